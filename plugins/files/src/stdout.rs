//! The output `stdout`: records as lines on standard output.
//!
//! | setting | what it does |
//! | --- | --- |
//! | `format` | `"json"` (default), `"raw"` (the text as it was read, where a record is nothing but that), `"pretty"` (time, tag, record), `"full"` (all there is, as JSON) |
//!
//! A delivery is written in one piece, so that lines of two outputs don't mix. When nobody reads any more (`suiro run |
//! head`), no attempt can ever succeed: the records are refused as `stdout_closed` and set aside, the other outputs go on,
//! and `run --once` ends and says that records were not delivered.

use std::io::{self, Write};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use suiro_record::Signal;
use suiro_sdk::ledger::{OutputLedger, add};
use suiro_sdk::output::Delivering;
use suiro_sdk::settings::{Reported, Section};
use suiro_sdk::{Delivery, Outcome, Output, OutputSetup, Reason, StartError};

use crate::encode::Format;

/// What `suiro list` says.
pub(crate) const ABOUT: &str = "writes records as lines to standard output";

/// Nobody reads standard output any more.
const CLOSED: Reason = Reason("stdout_closed");
/// How long to wait for a terminal that takes no more just now.
const PAUSE: Duration = Duration::from_millis(5);

type Sink = fn(&[u8]) -> io::Result<()>;

struct Stdout {
    format: Format,
    sink: Sink,
    ledger: OnceLock<Arc<OutputLedger>>,
}

/// Reads the settings.
pub(crate) fn build(section: &Section) -> Result<Box<dyn Output>, Reported> {
    let format = read_format(section);
    section.finish()?;
    Ok(Box::new(Stdout { format, sink: write_stdout, ledger: OnceLock::new() }))
}

fn read_format(section: &Section) -> Format {
    let choices = [("json", Format::Json), ("raw", Format::Raw), ("pretty", Format::Pretty), ("full", Format::Full)];
    Format::read(section, &choices)
}

fn write_stdout(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    write_whole(&mut stdout, bytes)?;
    stdout.flush()
}

/// Writes all of it, also where the other side is set not to block.
fn write_whole(out: &mut impl Write, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match out.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => bytes = &bytes[n..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => std::thread::sleep(PAUSE),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

impl Output for Stdout {
    fn signals(&self) -> &'static [Signal] {
        &[Signal::Logs, Signal::Traces, Signal::Metrics]
    }

    fn start(&mut self, setup: &OutputSetup) -> Result<(), StartError> {
        self.ledger = OnceLock::from(setup.ledger.clone());
        Ok(())
    }

    fn deliver<'a>(&'a self, delivery: &'a Delivery) -> Delivering<'a> {
        let mut out = Vec::new();
        for (batch, row) in delivery.records() {
            self.format.write(batch, row, &mut out);
        }
        let outcome = match (self.sink)(&out) {
            Ok(()) => {
                if let Some(ledger) = self.ledger.get() {
                    add(&ledger.bytes, out.len());
                }
                Outcome::Delivered
            }
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                Outcome::Refused { reason: CLOSED, detail: "nobody reads standard output any more".to_owned() }
            }
            Err(error) => Outcome::Retry { why: format!("standard output: {error}"), after: None, degraded: true },
        };
        Box::pin(std::future::ready(outcome))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Feed, wait};

    fn output(sink: Sink) -> Stdout {
        Stdout { format: Format::Json, sink, ledger: OnceLock::from(Arc::new(OutputLedger::default())) }
    }

    #[test]
    fn what_the_sink_says() {
        let feed = Feed::new();
        let delivery = feed.delivery("one\ntwo\n");
        let taken = output(|bytes| {
            if bytes == b"{\"log\":\"one\"}\n{\"log\":\"two\"}\n" { Ok(()) } else { Err(io::ErrorKind::Other.into()) }
        });
        assert_eq!(wait(taken.deliver(&delivery)), Outcome::Delivered);
        assert_eq!(suiro_sdk::ledger::read(&taken.ledger.get().unwrap().bytes), 28);
        let closed = output(|_| Err(io::ErrorKind::BrokenPipe.into()));
        assert!(matches!(wait(closed.deliver(&delivery)), Outcome::Refused { reason: CLOSED, .. }));
        let full = output(|_| Err(io::ErrorKind::StorageFull.into()));
        assert!(matches!(wait(full.deliver(&delivery)), Outcome::Retry { degraded: true, .. }));
        feed.settle(delivery);
    }

    #[test]
    fn a_slow_reader_gets_all() {
        struct Slow(Vec<u8>, usize);
        impl Write for Slow {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.1 += 1;
                match self.1 % 3 {
                    0 => Err(io::ErrorKind::WouldBlock.into()),
                    1 => Err(io::ErrorKind::Interrupted.into()),
                    _ => {
                        let n = bytes.len().min(3);
                        self.0.extend_from_slice(&bytes[..n]);
                        Ok(n)
                    }
                }
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut slow = Slow(Vec::new(), 0);
        write_whole(&mut slow, b"hello world").unwrap();
        assert_eq!(slow.0, b"hello world");
    }

    #[test]
    fn settings() {
        let (section, _) = Section::from_text("[[output]] stdout", "format = 'pretty'");
        assert_eq!(read_format(&section), Format::Pretty);
        let (section, diagnostics) = Section::from_text("[[output]] stdout", "format = 'xml'");
        assert!(build(&section).is_err());
        assert!(diagnostics.render(false).contains("`pretty`"));
    }
}
