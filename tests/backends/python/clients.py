"""Clients of the agent's inputs: X-Ray's SDK and Fluentd's logger, each in its plainest use.

clients.py xray ADDRESS: a service of a few segments to the daemon at ADDRESS, UDP and TCP; stdout: each document, as it was
sent, a JSON text a line, and behind them the sampling rules the daemon has, and those it has targets for.
clients.py fluent PORT TAG: records to the port; stdout: one JSON value a line, `[tag, seconds, nanoseconds, record]`.
"""

import json
import sys
import time


def xray(address):
    from aws_xray_sdk.core import xray_recorder
    from aws_xray_sdk.core.emitters.udp_emitter import UDPEmitter

    class Recording(UDPEmitter):
        def _send_data(self, data):
            print(json.dumps(data.split("\n", 1)[1]), flush=True)
            self._socket.setblocking(True)
            super()._send_data(data)

    emitter = Recording()
    xray_recorder.configure(
        service="shop", sampling=False, daemon_address=address, context_missing="RUNTIME_ERROR", plugins=(), emitter=emitter
    )
    emitter.set_daemon_address(address)
    for n in range(20):
        segment = xray_recorder.begin_segment(f"shop {n % 3}")
        segment.put_annotation("n", n)
        segment.put_annotation("text", "naïve 水路")
        segment.put_annotation("yes", True)
        segment.put_metadata("cart", {"items": [1, 2.5, None, {"deep": "ü"}], "n": n}, "shop")
        segment.set_user("jürgen")
        segment.put_http_meta("method", "GET")
        segment.put_http_meta("url", f"http://shop.example/räume/{n}?q=1")
        segment.put_http_meta("status", 500 if n % 7 == 6 else 200)
        segment.apply_status_code(500 if n % 7 == 6 else 200)
        with xray_recorder.in_subsegment("pay", namespace="remote") as pay:
            pay.put_http_meta("url", "http://bank.example/pay")
            pay.put_http_meta("status", 429 if n % 5 == 4 else 200)
            pay.apply_status_code(429 if n % 5 == 4 else 200)
        with xray_recorder.in_subsegment("db", namespace="remote") as db:
            db.set_sql({"url": "postgres://db.example/shop", "sanitized_query": "SELECT 1", "database_type": "PostgreSQL"})
        try:
            with xray_recorder.in_subsegment("fails"):
                if n % 4 == 3:
                    raise ValueError(f"no such räum: {n}")
        except ValueError:
            pass
        xray_recorder.end_segment()
    # So many subsegments that the SDK sends them by themselves.
    xray_recorder.configure(streaming_threshold=5)
    xray_recorder.begin_segment("streamed")
    for n in range(30):
        with xray_recorder.in_subsegment(f"part {n}"):
            pass
    xray_recorder.end_segment()

    # The daemon is asked for rules, and told how often they matched: that is the SDK's own background work, done here at once.
    from aws_xray_sdk.core.sampling.connector import ServiceConnector

    connector = ServiceConnector()
    connector.setup_xray_client(ip=address.rsplit(":", 1)[0], port=address.rsplit(":", 1)[1], client=None)
    rules = connector.fetch_sampling_rules()
    for rule in rules:
        rule.increment_request_count()
        rule.increment_sampled_count()
    targets, _ = connector.fetch_sampling_target(rules)
    print(json.dumps({"rules": [rule.name for rule in rules], "targets": sorted(targets)}), flush=True)


def fluent(port, tag):
    from fluent.sender import FluentSender

    for nanoseconds in (False, True):
        sender = FluentSender(tag, host="127.0.0.1", port=int(port), nanosecond_precision=nanoseconds, timeout=20.0)
        base = int(time.time()) - 60
        for n in range(500):
            record = {
                "n": n, "message": f"naïve 水路 🚰 {n}", "empty": "", "big": 2**63 - 1, "small": -(2**63), "float": n + 0.5,
                "yes": True, "nothing": None, "list": [1, "a", None, {"deep": [True]}], "map": {"a": {"b": n}},
            }
            when = base + n / 8 if nanoseconds else base + n // 8
            label = f"part{n % 3}"
            assert sender.emit_with_time(label, when, record), sender.last_error
            fraction = int(when % 1 * 10**9) if nanoseconds else 0
            print(json.dumps([f"{tag}.{label}", int(when), fraction, record]), flush=True)
        sender.close()


if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    {"xray": xray, "fluent": fluent}[command](*arguments)
