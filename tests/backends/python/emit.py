"""What the OpenTelemetry SDK sends, through one of its exporters, to one address:

    emit.py EXPORTER SIGNAL ENDPOINT SERVICE [TIME]

EXPORTER is otlp-grpc, otlp-http, jaeger-http, jaeger-udp or zipkin; SIGNAL is traces, logs or metrics (all but OTLP know
traces only); SERVICE becomes `service.name`, by which a test finds its own, and what ids are made of; TIME (seconds since 1970) is when it
all happened: the same two make the same spans. Every kind of attribute, event, link, status,
body, instrument and aggregation that the SDK has is in it; what formats without a place for it make of it is the test's
business.

stdout: for each request one line, the OTLP request as JSON (ids in base64, as the protobuf library writes bytes). It is made
from what the exporter was given, by the SDK's own encoder. The exit code is 1 where an exporter says that it failed.
"""

import hashlib
import sys
import time

from google.protobuf.json_format import MessageToJson
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.id_generator import IdGenerator

failed = False


def say(request):
    print(MessageToJson(request, indent=None, use_integers_for_enums=True), flush=True)


def judged(export, *arguments):
    """Calls it. Every kind of exporter has a result type of its own, with SUCCESS first; some raise."""
    global failed
    failed, before = True, failed
    result = export(*arguments)
    failed = before or result.value != 0
    return result


class Ids(IdGenerator):
    def __init__(self, service):
        self.service, self.count = service, 0

    def next(self, size):
        self.count += 1
        return int.from_bytes(hashlib.sha256(f"{self.service} {self.count}".encode()).digest()[:size], "big")

    def generate_trace_id(self):
        return self.next(16)

    def generate_span_id(self):
        return self.next(8)


def resource(service):
    # No detection: the attributes are these and no others.
    return Resource(
        {
            "service.name": service,
            "service.version": "1.2.3-β",
            "host.cpus": 8,
            "load": 0.25,
            "spot": False,
            "zones": ["a", "b"],
            "telemetry.sdk.language": "python",
        },
        schema_url="https://opentelemetry.io/schemas/1.27.0",
    )


ATTRIBUTES = {
    "text": "naïve 水路 🚰, a \"quote\", a \\ and a\ttab",
    "empty": "",
    "long": "long " * 300,
    "integer": 42,
    "large": 2**63 - 1,
    "small": -(2**63),
    "float": 0.1,
    "whole float": 3.0,
    "yes": True,
    "no": False,
    "texts": ["a", "", "ü"],
    "integers": [1, -2, 3],
    "floats": [0.5, -1e300],
    "flags": [True, False],
}


def traces(exporter, service, kind, seconds):
    from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
    from opentelemetry.sdk.trace import SpanLimits, TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
    from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

    class Recording(SpanExporter):
        def export(self, spans):
            say(encode_spans(spans))
            return judged(exporter.export, spans)

        def shutdown(self):
            exporter.shutdown()

    limits = SpanLimits(max_span_attributes=20, max_events=6, max_links=4, max_event_attributes=16, max_link_attributes=3)
    provider = TracerProvider(resource=resource(service), span_limits=limits, id_generator=Ids(service))
    provider.add_span_processor(BatchSpanProcessor(Recording(), schedule_delay_millis=60_000))
    scope = {"scope.text": "x", "scope.number": 7}
    about = ("suiro.emit", "0.9", "https://opentelemetry.io/schemas/1.26.0")
    # The SDK that the Jaeger exporter needs knows no attributes of scopes.
    tracer = provider.get_tracer(*about) if kind.startswith("jaeger") else provider.get_tracer(*about, scope)
    plain = provider.get_tracer("suiro.plain")

    # Nanoseconds that no microsecond holds: formats that keep those only have to lose something.
    start = seconds * 1_000_000_000 + 123_456_789

    state = TraceState([("vendor", "a:1"), ("other", "b")])
    remote = SpanContext(0x0AF7651916CD43DD8448EB211C80319C, 0x00F067AA0BA902B7, True, TraceFlags(1), state)
    parent = trace.set_span_in_context(trace.NonRecordingSpan(remote))

    root = tracer.start_span("GET /räume/{id}", kind=SpanKind.SERVER, attributes=ATTRIBUTES, start_time=start)
    root.add_event("first", {"n": 1, "text": "ü", "ok": True, "ratio": 0.5, "list": ["x", "y"]}, start + 1_000_001)
    root.add_event("no attributes", timestamp=start + 2_000_000)
    root.set_status(Status(StatusCode.OK))
    below = trace.set_span_in_context(root)

    client = tracer.start_span("call", below, SpanKind.CLIENT, {"peer.service": "db", "n": 1}, start_time=start + 5_000)
    client.record_exception(ValueError("no such räum"), timestamp=start + 6_000)
    client.set_status(Status(StatusCode.ERROR, "it failed: ü"))
    client.end(start + 7_001_001)

    links = [
        Link(remote, {"why": "batch", "n": 3, "ok": False, "one": "too many"}),
        Link(SpanContext(1, 1, False, TraceFlags(0))),
    ]
    producer = tracer.start_span("send", below, SpanKind.PRODUCER, links=links, start_time=start + 8_000)
    producer.end(start + 8_000)
    consumer = plain.start_span("receive", parent, SpanKind.CONSUMER, links=[Link(producer.get_span_context())], start_time=start)
    consumer.end(start + 3_600_000_000_000)

    busy = plain.start_span("busy", below, start_time=start + 9_000)
    for n in range(30):
        busy.set_attribute(f"key.{n:02}", n)
    for n in range(9):
        busy.add_event(f"event {n}", timestamp=start + 9_000 + n)
    busy.end(start + 10_000_000)
    root.end(start + 1_000_000_000)
    for n in range(200):
        span = tracer.start_span(f"many {n % 3}", below, start_time=start + 20_000_000 + n, attributes={"n": n})
        span.end(start + 30_000_000 + 7 * n)
    provider.shutdown()


def logs(exporter, service, _kind, seconds):
    from opentelemetry._logs import LogRecord, SeverityNumber
    from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, LogRecordExporter
    from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

    class Recording(LogRecordExporter):
        def export(self, batch):
            say(encode_logs(batch))
            return judged(exporter.export, batch)

        def shutdown(self):
            exporter.shutdown()

        def force_flush(self, timeout_millis=30_000):
            return True

    provider = LoggerProvider(resource=resource(service))
    provider.add_log_record_processor(BatchLogRecordProcessor(Recording(), schedule_delay_millis=60_000))
    logger = provider.get_logger("suiro.emit", "0.9", "https://opentelemetry.io/schemas/1.26.0", {"scope.text": "x"})
    plain = provider.get_logger("suiro.plain")
    when = seconds * 1_000_000_000

    bodies = [
        "plain words",
        "naïve 水路 🚰\nsecond line",
        "",
        42,
        -(2**63),
        0.1,
        True,
        False,
        b"\x00\xff bytes",
        ["a list", 1, None, [2.5, {"deep": "x"}]],
        {"a": "map", "n": 1, "nested": {"list": [True, {"x": b"\x01"}], "none": None}, "": "no name"},
        {},
        [],
        None,
    ]
    nested = {**ATTRIBUTES, "bytes": b"\x00\x01\xfe", "map": {"a": {"b": [1, "x", 0.5]}}, "nothing": None, "mixed": [1, "a"]}
    context = trace.set_span_in_context(
        NonRecordingSpan(SpanContext(0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331, False, TraceFlags(1)))
    )
    for n, body in enumerate(bodies):
        logger.emit(
            LogRecord(
                timestamp=when + n,
                observed_timestamp=when + 1_000 + n,
                context=context if n % 2 else None,
                severity_text="WÄRN" if n % 3 else "",
                severity_number=SeverityNumber(n % 24 + 1),
                body=body,
                attributes=nested if n % 4 == 0 else {"n": n},
                event_name=f"event.{n}" if n % 5 == 0 else None,
            )
        )
    # No time of its own.
    plain.emit(LogRecord(observed_timestamp=when, body="observed only"))
    for n in range(1000):
        logger.emit(
            LogRecord(
                timestamp=when + 1_000_000 + n,
                observed_timestamp=when + 2_000_000,
                severity_text="INFO",
                severity_number=SeverityNumber.INFO,
                body=f"request {n} took {n * 7 % 1000} ms",
                attributes={"http.status": 200 + n % 4 * 100, "path": f"/item/{n}"},
            )
        )
    provider.shutdown()


def metrics(exporter, service, _kind, _seconds):
    from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
    from opentelemetry.metrics import Observation
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import MetricExporter, PeriodicExportingMetricReader
    from opentelemetry.sdk.metrics.view import (
        ExplicitBucketHistogramAggregation,
        ExponentialBucketHistogramAggregation,
        View,
    )
    from opentelemetry.sdk.trace import TracerProvider

    class Recording(MetricExporter):
        def __init__(self):
            super().__init__(exporter._preferred_temporality, exporter._preferred_aggregation)

        def export(self, data, timeout_millis=10_000, **_):
            say(encode_metrics(data))
            return judged(exporter.export, data)

        def force_flush(self, timeout_millis=10_000):
            return True

        def shutdown(self, timeout_millis=30_000, **_):
            exporter.shutdown()

    views = [
        View(instrument_name="request.size", aggregation=ExponentialBucketHistogramAggregation(max_size=20)),
        View(instrument_name="queue.wait", aggregation=ExplicitBucketHistogramAggregation([0.0, 0.5, 1.0, 10.0])),
        View(instrument_name="no.extremes", aggregation=ExplicitBucketHistogramAggregation([1.0], record_min_max=False)),
    ]
    reader = PeriodicExportingMetricReader(Recording(), export_interval_millis=3_600_000)
    provider = MeterProvider([reader], resource(service), views=views)
    meter = provider.get_meter("suiro.emit", "0.9", "https://opentelemetry.io/schemas/1.26.0", {"scope.text": "x"})
    plain = provider.get_meter("suiro.plain")

    # Within a sampled span, so that there are exemplars.
    tracer = TracerProvider().get_tracer("exemplars")
    with tracer.start_as_current_span("measuring"):
        requests = meter.create_counter("http.requests", "1", "Requests, ü")
        bytes_out = meter.create_counter("bytes.out", "By", "Bytes")
        for n in range(20):
            requests.add(n, {"code": 200 + n % 2 * 300, "path": f"/p/{n % 3}"})
            bytes_out.add(n + 0.5, {"zone": "ä"})
        active = meter.create_up_down_counter("active", "{request}")
        active.add(5, {"a": True})
        active.add(-7, {"a": True})
        wait = meter.create_histogram("queue.wait", "s", "Time in the queue")
        size = meter.create_histogram("request.size", "By", "Size")
        for n in range(100):
            wait.record(n * 0.13, {"queue": "q", "n": n % 2})
            size.record(n * n - 50, {"queue": "q"})
        plain.create_histogram("no.extremes").record(2)
        meter.create_gauge("temperature", "Cel").set(-3.25, ATTRIBUTES)
        plain.create_gauge("level").set(7)
    meter.create_observable_gauge("disk.free", [lambda _: [Observation(2**62, {"disk": "sda"}), Observation(0, {"disk": "sdb"})]], "By")
    meter.create_observable_counter("cpu.time", [lambda _: [Observation(12.5, {"cpu": 0}), Observation(0.0, {"cpu": 1})]], "s")
    meter.create_observable_up_down_counter("balance", [lambda _: [Observation(-4)]])
    provider.shutdown()


def exporter(kind, signal, endpoint):
    if kind == "otlp-grpc":
        if signal == "traces":
            from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as Exporter
        elif signal == "logs":
            from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as Exporter
        else:
            from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as Exporter
        return Exporter(endpoint=endpoint, insecure=True, timeout=20)
    if kind == "otlp-http":
        if signal == "traces":
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as Exporter
        elif signal == "logs":
            from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as Exporter
        else:
            from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as Exporter
        from opentelemetry.exporter.otlp.proto.http import Compression

        return Exporter(endpoint=f"{endpoint}/v1/{signal}", timeout=20, compression=Compression.Gzip)
    if signal != "traces":
        raise SystemExit(f"{kind} knows traces only")
    if kind == "zipkin":
        from opentelemetry.exporter.zipkin.json import ZipkinExporter

        return ZipkinExporter(endpoint=f"{endpoint}/api/v2/spans", timeout=20)
    from opentelemetry.exporter.jaeger.thrift import JaegerExporter

    if kind == "jaeger-http":
        return JaegerExporter(collector_endpoint=f"{endpoint}/api/traces?format=jaeger.thrift", timeout=20)
    host, port = endpoint.rsplit(":", 1)
    return JaegerExporter(agent_host_name=host, agent_port=int(port), udp_split_oversized_batches=True)


if __name__ == "__main__":
    kind, signal, endpoint, service, *more = sys.argv[1:]
    seconds = int(more[0]) if more else int(time.time()) - 60
    {"traces": traces, "logs": logs, "metrics": metrics}[signal](exporter(kind, signal, endpoint), service, kind, seconds)
    sys.exit(failed)
