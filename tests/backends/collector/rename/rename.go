// Package rename is a processor that renames one attribute of log records and spans, for the race: the least the
// Collector's own data model lets such a change cost. (Its general processors bring a whole expression language.)
package rename

import (
	"context"
	"errors"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/collector/processor/processorhelper"
)

// Config names the attribute and what it is to be called.
type Config struct {
	From string `mapstructure:"from"`
	To   string `mapstructure:"to"`
}

// Validate is called by the Collector on start.
func (c *Config) Validate() error {
	if c.From == "" || c.To == "" {
		return errors.New("rename: both `from` and `to` are needed")
	}
	return nil
}

// NewFactory is what the builder looks for.
func NewFactory() processor.Factory {
	return processor.NewFactory(
		component.MustNewType("rename"),
		func() component.Config { return &Config{} },
		processor.WithLogs(logs, component.StabilityLevelStable),
		processor.WithTraces(traces, component.StabilityLevelStable),
	)
}

var mutates = processorhelper.WithCapabilities(consumer.Capabilities{MutatesData: true})

func (c *Config) rename(attributes pcommon.Map) {
	value, there := attributes.Get(c.From)
	if !there {
		return
	}
	// Adding may move the map's entries, and with them what `value` points to.
	moved := pcommon.NewValueEmpty()
	value.MoveTo(moved)
	attributes.Remove(c.From)
	moved.MoveTo(attributes.PutEmpty(c.To))
}

func logs(
	ctx context.Context, set processor.Settings, cfg component.Config, next consumer.Logs,
) (processor.Logs, error) {
	config := cfg.(*Config)
	return processorhelper.NewLogs(ctx, set, cfg, next, func(_ context.Context, logs plog.Logs) (plog.Logs, error) {
		for _, resource := range logs.ResourceLogs().All() {
			for _, scope := range resource.ScopeLogs().All() {
				for _, record := range scope.LogRecords().All() {
					config.rename(record.Attributes())
				}
			}
		}
		return logs, nil
	}, mutates)
}

func traces(
	ctx context.Context, set processor.Settings, cfg component.Config, next consumer.Traces,
) (processor.Traces, error) {
	config := cfg.(*Config)
	return processorhelper.NewTraces(ctx, set, cfg, next, func(_ context.Context, spans ptrace.Traces) (ptrace.Traces, error) {
		for _, resource := range spans.ResourceSpans().All() {
			for _, scope := range resource.ScopeSpans().All() {
				for _, span := range scope.Spans().All() {
					config.rename(span.Attributes())
				}
			}
		}
		return spans, nil
	}, mutates)
}
