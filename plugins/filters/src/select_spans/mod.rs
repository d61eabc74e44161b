//! `select_spans`: the calls of some APIs, all but some, or all.
//!
//! | setting | |
//! | --- | --- |
//! | `mode` | `"only"`: those that match go on; `"except"`: the others do; `"all"`: everything does, whatever else is set. Required |
//! | `names` | patterns of span names, such as `"GET /api/*"` |
//! | `routes` | patterns of the attribute `http.route` |
//! | `kinds` | `"server"`, `"client"`, `"producer"`, `"consumer"`, `"internal"`, `"unspecified"` |
//! | `of` | `"span"` (default): each span by itself; `"trace"`: all spans of a trace in which one matches |
//!
//! A span matches if its name or its route fits one of the patterns, and its kind is one of `kinds`; what is not set is not
//! asked. What does not go on counts as `filtered`.
//!
//! With `of = "trace"` it is [`tail_sample`](crate::tail_sample) with one policy: it holds traces, takes `wait`, `memory`,
//! `max_traces` and `remember`, drops as `sampled_out`, and a crash loses what it holds. With `"span"` it holds nothing.

mod rule;

use std::sync::Arc;

use suiro_record::Signal;
use suiro_sdk::ledger::Reason;
use suiro_sdk::settings::{Reported, Section};
use suiro_sdk::{Filter, FilterContext, FilterFactory, Flow, Selection, Stateless};

pub(crate) use self::rule::{SpanRule, SpanRulePrepared};
use crate::spans::Spans;
use crate::tail_sample::{Bounds, Policy, Rule, TailSample, Which};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    All,
    Only,
    Except,
}

/// The filter, where each span is by itself.
#[derive(Clone, Debug)]
struct SelectSpans {
    mode: Mode,
    rule: Arc<SpanRule>,
}

/// Reads the settings.
pub fn build(settings: &Section) -> Result<Box<dyn FilterFactory>, Reported> {
    let modes = [("all", Mode::All), ("only", Mode::Only), ("except", Mode::Except)];
    let mode = match settings.value("mode") {
        Some(value) => value.choice(&modes),
        None => Err(settings.missing("mode", "\"only\"")),
    };
    let rule = SpanRule::read(settings);
    let traces = settings.choice("of", &[("span", false), ("trace", true)]).unwrap_or_default();
    let bounds = traces.then(|| Bounds::read(settings));
    if matches!(mode, Ok(Mode::Only | Mode::Except)) && rule.is_empty() {
        settings.error_at(
            "mode",
            "this mode needs `names`, `routes` or `kinds`",
            "for example: names = [\"GET /api/*\"]",
        );
    }
    settings.finish()?;
    let (mode, rule) = (mode?, Arc::new(rule));
    match bounds {
        Some(bounds) if mode != Mode::All => Ok(Box::new(TailSample::new(policies(mode, rule), bounds))),
        _ => Ok(Box::new(Stateless(SelectSpans { mode, rule }))),
    }
}

fn policies(mode: Mode, rule: Arc<SpanRule>) -> Vec<Policy> {
    let policy = |name: &str, spans: Which, rule| Policy { name: name.into(), spans, rule };
    if mode == Mode::Only {
        return vec![policy("only", Which::Like(rule), Rule::Always)];
    }
    vec![policy("except", Which::Like(rule), Rule::Drop), policy("others", Which::Any, Rule::Always)]
}

impl Filter for SelectSpans {
    fn apply(&mut self, flow: &mut Flow, rows: &Selection, cx: &mut FilterContext) {
        if self.mode == Mode::All || flow.batch.signal != Signal::Traces {
            return;
        }
        let batch = &mut flow.batch;
        let all = std::mem::take(&mut batch.rows);
        let before = all.len();
        let spans = Spans::of(batch);
        let rule = self.rule.prepare(batch);
        let want = self.mode == Mode::Only;
        let goes_on = |(i, row): &(usize, suiro_record::Row)| !rows.has(*i) || rule.matches(&spans, batch, row) == want;
        let kept = all.into_iter().enumerate().filter(goes_on).map(|(_, row)| row).collect();
        batch.rows = kept;
        cx.drop_records(Reason::FILTERED, before - batch.rows.len());
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::test_kit::{Rig, fails, names_of};

    const SPANS: [&str; 5] = [
        r#"{"@":"1","name":"GET /api/a","kind":"server"}"#,
        r#"{"@":"1","name":"SELECT","kind":"client"}"#,
        r#"{"@":"2","name":"GET","kind":"server","attributes":{"http.route":"/api/b"}}"#,
        r#"{"@":"3","name":"GET /health","kind":"server"}"#,
        r#"{"@":"3","name":"read"}"#,
    ];

    fn selected(settings: &str) -> Vec<String> {
        let mut rig = Rig::new(build, settings);
        let mut out = rig.feed_spans(&SPANS);
        out.extend(rig.wait(Duration::from_secs(60)));
        let names = names_of(&out);
        rig.take(out);
        rig.assert_settled();
        assert_eq!(rig.totals.dropped.iter().map(|(_, n)| n).sum::<usize>(), SPANS.len() - names.len());
        names
    }

    #[test]
    fn spans_by_themselves() {
        let api = "names = 'GET /api/*'\nroutes = '/api/*'";
        assert_eq!(selected("mode = 'all'"), ["GET /api/a", "SELECT", "GET", "GET /health", "read"]);
        assert_eq!(selected(&format!("mode = 'only'\n{api}")), ["GET /api/a", "GET"]);
        assert_eq!(selected(&format!("mode = 'except'\n{api}")), ["SELECT", "GET /health", "read"]);
        assert_eq!(selected("mode = 'only'\nkinds = ['client', 'unspecified']"), ["SELECT", "read"]);
        assert_eq!(selected("mode = 'only'\nkinds = 'server'\nnames = 'GET'"), ["GET"]);
    }

    #[test]
    fn whole_traces() {
        let api = "of = 'trace'\nnames = 'GET /api/*'\nroutes = '/api/*'";
        assert_eq!(selected(&format!("mode = 'only'\n{api}")), ["GET /api/a", "SELECT", "GET"]);
        assert_eq!(selected(&format!("mode = 'except'\n{api}")), ["GET /health", "read"]);
        assert_eq!(selected(&format!("mode = 'all'\n{api}")).len(), 5);
    }

    #[test]
    fn mistakes_in_settings_are_named() {
        for (settings, words) in [
            ("", "missing setting `mode`"),
            ("mode = 'only'", "needs `names`"),
            ("mode = 'ony'\nnames = 'a'", "did you mean `only`"),
            ("mode = 'only'\nkinds = 'servr'", "did you mean `server`"),
            ("mode = 'only'\nkinds = 'server'\nwait = '1s'", "unknown setting `wait`"),
            ("mode = 'only'\nnames = 'a'\nof = 'trace'\ndurable = true", "can't be durable"),
        ] {
            let report = fails(build, settings);
            assert!(report.contains(words), "{words}: {report}");
        }
    }
}
