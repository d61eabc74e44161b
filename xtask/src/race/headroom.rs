//! Is the sink the bottleneck? Prepared requests sent flat out, before anything else is measured.
//!
//! The sender does nothing but write the same body again and again, so the rate is about what the sink bears. The
//! figure to compare with an agent's is the sink's CPU time per GB: an agent that takes longer for the same bytes can't
//! have been held up.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use super::{
    loops::{client::Client, text::Push},
    sink::handle::Sink,
};
use crate::error::Error;

/// One shape of request.
pub(crate) struct Headroom {
    /// Which.
    pub(crate) what: &'static str,
    /// Input represented by a second of sending, in MB (what an agent would have read to send as much).
    pub(crate) mb_per_second: f64,
    /// The same, per second of the sink's CPU time.
    pub(crate) mb_per_cpu_second: f64,
}

/// Input each measurement stands for, in bytes.
const AMOUNT: u64 = 1 << 30;

/// Measures every shape of request the race's agents send.
pub(crate) fn measure(sink: &mut Sink) -> Result<Vec<Headroom>, Error> {
    let document = format!("{{\"message\":\"{}\"}}\n", "x".repeat(348));
    let count = (1 << 20) / document.len();
    let bulk = format!("{{\"create\":{{}}}}\n{document}").repeat(count).into_bytes();
    let line =
        "2026-03-01T08:00:00.123Z INFO  [worker-01] checkout: GET /api/v1/orders/123456 finished in 12 ms, request "
            .to_owned();
    let lines: Vec<String> =
        (0..6000u64).map(|n| format!("{line}{:032x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
    let length: usize = lines.iter().map(|line| line.len() + 1).sum();
    let mut push = Push::new();
    lines.iter().for_each(|line| push.add(line.as_bytes()));
    let protobuf = push.finish()?.to_vec();
    let values: Vec<String> = lines.iter().map(|line| format!("[\"1790000000000000000\",\"{line}\"]")).collect();
    let json = format!("{{\"streams\":[{{\"stream\":{{\"job\":\"race\"}},\"values\":[{}]}}]}}", values.join(","));

    let (plain, short) = ("/race/_bulk", "/race/_bulk?filter_path=errors,items.*.status,items.*.error");
    let (ndjson, loki) = ("application/x-ndjson", "/loki/api/v1/push");
    let per_bulk = (count * document.len(), count);
    let per_push = (length, lines.len());
    [
        ("bulk, the whole answer", plain, ndjson, &bulk[..], per_bulk),
        ("bulk, filter_path", short, ndjson, &bulk[..], per_bulk),
        ("Loki, protobuf + snappy", loki, "application/x-protobuf", &protobuf[..], per_push),
        ("Loki, JSON", loki, "application/json", json.as_bytes(), per_push),
    ]
    .into_iter()
    .map(|(what, target, content_type, body, (input, records))| {
        let requests = AMOUNT / input as u64;
        let address = SocketAddr::from(([127, 0, 0, 1], sink.port()));
        sink.expect(requests * records as u64)?;
        let before = sink.stats()?.cpu;
        let mut client = Client::connect(address, target, content_type)?;
        let start = Instant::now();
        for _ in 0..requests {
            client.send(body)?;
        }
        let wall = start.elapsed();
        // The last request is counted once it has been answered.
        let done = sink.done_within(Duration::from_secs(5))?;
        let after = sink.stats()?;
        if !done {
            return Err(Error::Message(format!(
                "{what}: sent {}, counted {}",
                requests * records as u64,
                after.records
            )));
        }
        let megabytes = (requests * input as u64) as f64 / 1e6;
        Ok(Headroom {
            what,
            mb_per_second: megabytes / wall.as_secs_f64(),
            mb_per_cpu_second: megabytes / (after.cpu - before).as_secs_f64(),
        })
    })
    .collect()
}
