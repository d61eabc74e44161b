//! The requests the generator sends, made once: OTLP's export requests in protobuf, each with the five bytes before it that
//! gRPC wants. The same bytes on every machine.
//!
//! A log record is 1 KB: times, severity, ids, a text, and eight attributes of four types. A span has the ids, times, kind and
//! status of one, a dozen attributes and an event, as servers' instrumentation makes them.

use h2::client::SendRequest;

use super::Job;

/// Records of a request.
pub(super) const BATCH: u64 = 1000;
/// Different requests: more than any cache of the processor holds.
const DIFFERENT: u64 = 16;
/// Bytes of a log record.
const RECORD: usize = 1024;
/// The attribute that is renamed, and its new name, which is nowhere else in a request.
pub(super) const RENAMED: (&str, &str) = ("user.id", "enduser.renamed");

/// What [`SendRequest`] is given.
pub(super) type Bytes = hyper::body::Bytes;
/// A connection that sends them.
pub(super) type Connection = SendRequest<Bytes>;

/// A protobuf message as it grows.
#[derive(Default)]
struct Message(Vec<u8>);

/// splitmix64: no two alike, the same everywhere.
struct Numbers(u64);

/// The path of the service.
pub(super) fn path(job: Job) -> &'static str {
    if job.traces() {
        "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
    } else {
        "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
    }
}

/// All requests there are.
pub(super) fn all(traces: bool) -> Vec<Bytes> {
    (0..DIFFERENT).map(|number| framed(&request(traces, number))).collect()
}

/// What they are, in words.
pub(super) fn describe(traces: bool) -> String {
    let size = request(traces, 0).0.len() as f64;
    let what = if traces { "spans" } else { "log records" };
    format!("requests of {BATCH} {what}, {:.0} bytes each, {:.2} MB", size / BATCH as f64, size / 1e6)
}

fn framed(message: &Message) -> Bytes {
    let length = u32::try_from(message.0.len()).unwrap_or(u32::MAX);
    let mut bytes = vec![0];
    bytes.extend(length.to_be_bytes());
    bytes.extend(&message.0);
    bytes.into()
}

fn request(traces: bool, number: u64) -> Message {
    let mut numbers = Numbers(number);
    let resource = Message::default()
        .attribute(1, "service.name", "checkout")
        .attribute(1, "service.version", "4.17.2")
        .attribute(1, "host.name", "node-17.eu-central.example")
        .attribute(1, "k8s.namespace.name", "shop")
        .attribute(1, "k8s.pod.name", "checkout-6f7c9d8b5-x2x7q")
        .attribute(1, "cloud.region", "eu-central-1");
    let scope = Message::default().text(1, "com.example.checkout").text(2, "1.0.3");
    let mut group = Message::default().message(1, &scope);
    for at in 0..BATCH {
        let when = 1_790_000_000_000_000_000 + (number * BATCH + at) * 1_000_003;
        let record = if traces { span(when, &mut numbers) } else { log(when, &mut numbers) };
        group = group.message(2, &record);
    }
    Message::default().message(1, &Message::default().message(1, &resource).message(2, &group))
}

fn log(when: u64, numbers: &mut Numbers) -> Message {
    let record = Message::default()
        .fixed(1, when)
        .number(2, 9)
        .text(3, "INFO")
        .attribute(6, "http.request.method", "POST")
        .attribute(6, "url.path", &format!("/api/v1/orders/{}", numbers.below(1_000_000)))
        .value(6, "http.response.status_code", &Message::default().number(3, 200 + numbers.below(4)))
        .attribute(6, RENAMED.0, &format!("user-{}", numbers.below(100_000)))
        .value(6, "duration", &Message::default().fixed(4, (numbers.below(1000) as f64 / 7.0).to_bits()))
        .value(6, "cache.hit", &Message::default().number(2, numbers.below(2)))
        .attribute(6, "thread.name", &format!("worker-{}", numbers.below(64)))
        .attribute(6, "client.address", &format!("10.{}.{}.7", numbers.below(256), numbers.below(256)))
        .bytes(9, &numbers.bytes::<16>())
        .bytes(10, &numbers.bytes::<8>())
        .fixed(11, when + 1_500_000);
    // The body fills it up: its own key and length, and those of the value in it, take eight bytes.
    let mut body = format!("order {} accepted", numbers.below(1_000_000));
    while record.0.len() + body.len() + 8 < RECORD {
        body.push_str(
            [" stock reserved", " payment authorised", " rule applied", " mail queued"][numbers.below(4) as usize],
        );
    }
    body.truncate(RECORD.saturating_sub(record.0.len() + 6));
    record.message(5, &Message::default().text(1, &body))
}

fn span(when: u64, numbers: &mut Numbers) -> Message {
    let event = Message::default()
        .fixed(1, when + 2_000_000)
        .text(2, "cache.lookup")
        .attribute(3, "cache.key", &format!("order:{}", numbers.below(1_000_000)))
        .value(3, "cache.hit", &Message::default().number(2, numbers.below(2)));
    Message::default()
        .bytes(1, &numbers.bytes::<16>())
        .bytes(2, &numbers.bytes::<8>())
        .bytes(4, &numbers.bytes::<8>())
        .text(5, "POST /api/v1/orders/{id}")
        .number(6, 2)
        .fixed(7, when)
        .fixed(8, when + 12_345_678)
        .attribute(9, "http.request.method", "POST")
        .attribute(9, "url.path", &format!("/api/v1/orders/{}", numbers.below(1_000_000)))
        .attribute(9, "url.scheme", "https")
        .attribute(9, "http.route", "/api/v1/orders/{id}")
        .value(9, "http.response.status_code", &Message::default().number(3, 200 + numbers.below(4)))
        .attribute(9, "network.protocol.version", "1.1")
        .attribute(9, "server.address", "shop.example.com")
        .value(9, "server.port", &Message::default().number(3, 443))
        .attribute(9, "client.address", &format!("10.{}.{}.7", numbers.below(256), numbers.below(256)))
        .attribute(9, "user_agent.original", "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0")
        .attribute(9, RENAMED.0, &format!("user-{}", numbers.below(100_000)))
        .attribute(9, "thread.name", &format!("worker-{}", numbers.below(64)))
        .message(11, &event)
        .message(15, &Message::default().number(3, 1))
}

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn number(mut self, field: u64, value: u64) -> Self {
        self.varint(field << 3);
        self.varint(value);
        self
    }

    fn fixed(mut self, field: u64, value: u64) -> Self {
        self.varint(field << 3 | 1);
        self.0.extend(value.to_le_bytes());
        self
    }

    fn bytes(mut self, field: u64, value: &[u8]) -> Self {
        self.varint(field << 3 | 2);
        self.varint(value.len() as u64);
        self.0.extend(value);
        self
    }

    fn text(self, field: u64, value: &str) -> Self {
        self.bytes(field, value.as_bytes())
    }

    fn message(self, field: u64, value: &Message) -> Self {
        self.bytes(field, &value.0)
    }

    /// A `KeyValue`.
    fn value(self, field: u64, key: &str, value: &Message) -> Self {
        self.message(field, &Message::default().text(1, key).message(2, value))
    }

    fn attribute(self, field: u64, key: &str, value: &str) -> Self {
        self.value(field, key, &Message::default().text(1, value))
    }
}

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.next() as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_record_is_a_kilobyte() {
        let record = log(1, &mut Numbers(3));
        assert!(record.0.len().abs_diff(RECORD) <= 2, "{}", record.0.len());
    }

    #[test]
    fn every_request_has_what_is_renamed_and_not_its_new_name() {
        for traces in [false, true] {
            let all = all(traces);
            assert_eq!(all.len() as u64, DIFFERENT);
            for request in &all {
                let times = |name: &str| memchr::memmem::find_iter(request, name).count() as u64;
                assert_eq!((times(RENAMED.0), times(RENAMED.1)), (BATCH, 0));
            }
        }
    }
}
