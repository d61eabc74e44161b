//! The counting sink: a process that speaks enough HTTP to pass for Elasticsearch (`_bulk`), Loki (push), CloudWatch Logs
//! (`PutLogEvents`) and a taker of OTLP/gRPC, and counts.
//!
//! It must cost far less than any agent, on the same two cores, or the race would measure the sink. So it is blocking,
//! one thread a connection, keeps a body in one reused buffer, looks at it once (newlines by memchr, protobuf by
//! skipping lengths), and answers from text rendered once per connection. [`super::headroom`] shows what it bears.
//!
//! It is driven over its standard streams, one line each way: it prints `listening <port>`; `expect <records>` zeroes
//! the counters and is answered `armed`; once that many records have been *answered*, it prints `done`; `stats` is
//! answered `stats <requests> <bytes> <records> <refused> <renamed> <cpu nanoseconds>`. It ends when its input does.

mod count;
mod grpc;
pub(crate) mod handle;
mod http;
mod reply;

use std::{
    io::{self, BufRead, Write},
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    thread,
};

use super::measure::own_cpu;
use crate::error::{Context, Error};

/// What has been counted since the last `expect`.
#[derive(Default)]
struct Counters {
    requests: AtomicU64,
    /// Body bytes as they came over the wire.
    bytes: AtomicU64,
    records: AtomicU64,
    /// Requests answered with an error, because their body was not what their address takes.
    refused: AtomicU64,
    /// Requests of OTLP in which the attribute is that `load` has renamed.
    renamed: AtomicU64,
    expected: AtomicU64,
}

impl Counters {
    fn arm(&self, expected: u64) {
        for counter in [&self.requests, &self.bytes, &self.records, &self.refused, &self.renamed] {
            counter.store(0, SeqCst);
        }
        self.expected.store(expected, SeqCst);
    }

    /// Adds one answered request. True if it completed what was expected.
    fn add(&self, bytes: u64, records: u64) -> bool {
        self.requests.fetch_add(1, SeqCst);
        self.bytes.fetch_add(bytes, SeqCst);
        let before = self.records.fetch_add(records, SeqCst);
        let expected = self.expected.load(SeqCst);
        before < expected && before + records >= expected
    }
}

/// Runs the sink until its standard input ends.
pub(crate) fn run() -> Result<(), Error> {
    let listener = TcpListener::bind("127.0.0.1:0").context("the sink's address")?;
    let port = listener.local_addr().context("the sink's address")?.port();
    let counters = Arc::new(Counters::default());
    say(format_args!("listening {port}"))?;

    let shared = counters.clone();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let counters = shared.clone();
            thread::spawn(move || {
                // A connection that ends badly is the sender's affair: what it sent whole has been counted.
                let mut start = [0; 3];
                let _ = match stream.peek(&mut start) {
                    Ok(3) if &start == b"PRI" => grpc::serve(stream, counters),
                    _ => http::serve(stream, &counters),
                };
            });
        }
    });

    for line in io::stdin().lock().lines() {
        let line = line.context("the sink's input")?;
        let mut words = line.split(' ');
        match (words.next(), words.next().and_then(|word| word.parse().ok())) {
            (Some("expect"), Some(records)) => {
                counters.arm(records);
                say(format_args!("armed"))?;
            }
            (Some("stats"), None) => {
                let of = |counter: &AtomicU64| counter.load(SeqCst);
                say(format_args!(
                    "stats {} {} {} {} {} {}",
                    of(&counters.requests),
                    of(&counters.bytes),
                    of(&counters.records),
                    of(&counters.refused),
                    of(&counters.renamed),
                    own_cpu().as_nanos()
                ))?;
            }
            _ => return Err(Error::Message(format!("the sink doesn't understand {line:?}"))),
        }
    }
    Ok(())
}

/// One line to whoever drives the sink, at once.
fn say(words: std::fmt::Arguments<'_>) -> Result<(), Error> {
    let mut out = io::stdout().lock();
    writeln!(out, "{words}").and_then(|()| out.flush()).context("the sink's output")
}
