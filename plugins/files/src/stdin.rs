//! The input `stdin`: the lines of standard input.
//!
//! | setting | what it does |
//! | --- | --- |
//! | `max_line` | a longer line is cut here, marked, and counted; default 1 MiB |
//!
//! Standard input blocks and can't be read twice, so a thread of its own reads it, a few pieces ahead and no more: whoever
//! writes to it waits as soon as the outputs do. What was read and not delivered is lost in a crash: no agent can read a
//! pipe again. Each run is an incarnation.

use std::io::Read;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use suiro_record::{Scope, Source as Origin};
use suiro_sdk::ledger::add;
use suiro_sdk::settings::{ByteSize, Reported, Section};
use suiro_sdk::time::ReadingClock;
use suiro_sdk::{Custody, Flow, Input, Line, Polled, Source, SourceSetup, StartError, Tracker, Waker};

use crate::lines;

/// What `suiro list` says.
pub(crate) const ABOUT: &str = "reads the lines of standard input";

/// Bytes read at once.
const PIECE: usize = 64 << 10;
/// Pieces read ahead.
const AHEAD: usize = 4;
/// Bytes of new text in a batch, about.
const BATCH: usize = 256 << 10;
/// Receipts that are not settled, at most.
const MAX_OPEN_RECEIPTS: usize = 4096;
/// How often a source that waits looks again.
const LOOK: Duration = Duration::from_millis(250);

/// Opens what is read, once.
type Open = fn() -> Box<dyn Read + Send>;

struct Stdin {
    max_line: usize,
    open: Open,
    /// The pieces. They outlive a worker: what stands in them can't be read again.
    pieces: Arc<Mutex<Option<Pieces>>>,
}

struct Pieces {
    receiver: Receiver<Vec<u8>>,
    /// Wakes whoever reads now.
    waker: Arc<Mutex<Waker>>,
}

struct StdinSource {
    setup: SourceSetup,
    max_line: usize,
    pieces: Arc<Mutex<Option<Pieces>>>,
    tracker: Arc<Tracker>,
    scope: Arc<Scope>,
    tag: Arc<str>,
    /// Read, and not handed on: lines the last batch had no room for, and one without its end.
    rest: Vec<u8>,
    /// Position of the first byte of `rest`.
    at: u64,
    clock: ReadingClock,
    /// There may be whole lines in `rest`.
    unsplit: bool,
    /// The line was cut: what is left of it is skipped.
    skipping: bool,
    ended: bool,
    lines: Vec<Line>,
}

/// Reads the settings.
pub(crate) fn build(section: &Section) -> Result<Box<dyn Input>, Reported> {
    let max_line = section.within("max_line", ByteSize(64)..=ByteSize::mib(64)).unwrap_or(ByteSize::mib(1)).as_usize();
    section.finish()?;
    Ok(Box::new(Stdin { max_line, open: || Box::new(std::io::stdin()), pieces: Arc::default() }))
}

/// Reads to the end, a piece at a time.
fn pump(mut from: Box<dyn Read + Send>, to: &SyncSender<Vec<u8>>, waker: &Mutex<Waker>) {
    loop {
        let mut piece = vec![0; PIECE];
        match from.read(&mut piece) {
            Ok(0) => return,
            Ok(n) => {
                piece.truncate(n);
                if to.send(piece).is_err() {
                    return;
                }
                waker.lock().unwrap_or_else(PoisonError::into_inner).wake();
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => {
                tracing::warn!(%error, "can't read standard input any further");
                return;
            }
        }
    }
}

// === impl Stdin ===

impl Stdin {
    fn start_reading(&self, waker: &Waker) -> Result<(), StartError> {
        let mut pieces = self.pieces.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pieces) = &*pieces {
            *pieces.waker.lock().unwrap_or_else(PoisonError::into_inner) = waker.clone();
            return Ok(());
        }
        let (sender, receiver) = sync_channel(AHEAD);
        let shared = Arc::new(Mutex::new(waker.clone()));
        let (open, waker) = (self.open, shared.clone());
        let read = move || {
            pump(open(), &sender, &waker);
            // The end is told by the channel's: let go of it before the worker looks.
            drop(sender);
            waker.lock().unwrap_or_else(PoisonError::into_inner).wake();
        };
        std::thread::Builder::new()
            .name("stdin".to_owned())
            .spawn(read)
            .map_err(|error| StartError(format!("can't start a thread to read standard input: {error}")))?;
        *pieces = Some(Pieces { receiver, waker: shared });
        Ok(())
    }

    fn open(&self, setup: SourceSetup) -> Result<StdinSource, StartError> {
        let origin = Arc::new(Origin::new(setup.name.clone(), rand::random()));
        let scope = Arc::new(Scope::new(origin.clone()));
        let tag = suiro_sdk::tag::render(&setup.tag, &scope)?;
        self.start_reading(&setup.waker)?;
        let tracker = Tracker::new(origin, 0, setup.ledger.clone(), None);
        tracker.will_look();
        Ok(StdinSource {
            setup,
            max_line: self.max_line,
            pieces: self.pieces.clone(),
            tracker,
            scope,
            tag,
            rest: Vec::new(),
            at: 0,
            clock: ReadingClock::default(),
            unsplit: false,
            skipping: false,
            ended: false,
            lines: Vec::new(),
        })
    }
}

impl Input for Stdin {
    fn source(&self, setup: SourceSetup) -> Result<Option<Box<dyn Source>>, StartError> {
        if setup.shard > 0 {
            return Ok(None);
        }
        Ok(Some(Box::new(self.open(setup)?)))
    }
}

// === impl StdinSource ===

impl StdinSource {
    /// Takes what was read, up to a batch's worth. Says whether there was anything.
    fn take_in(&mut self) -> bool {
        let pieces = self.pieces.clone();
        let pieces = pieces.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(pieces) = &*pieces else { return false };
        let mut any = false;
        while self.rest.len() < BATCH.max(self.max_line) {
            match pieces.receiver.try_recv() {
                Ok(piece) => {
                    any = true;
                    self.setup.ledger.add_bytes(piece.len() as u64);
                    self.append(&piece);
                }
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => {
                    self.ended = true;
                    break;
                }
            }
        }
        any
    }

    fn append(&mut self, mut piece: &[u8]) {
        if self.skipping {
            let end = memchr::memchr(b'\n', piece).map_or(piece.len(), |newline| newline + 1);
            self.skipping = end == piece.len() && !piece.ends_with(b"\n");
            self.at += end as u64;
            add(&self.setup.ledger.abandoned_bytes, end);
            self.tracker.advance(self.at);
            piece = &piece[end..];
        }
        self.unsplit |= memchr::memchr(b'\n', piece).is_some();
        self.rest.extend_from_slice(piece);
    }

    fn step(&mut self, now: Instant) -> Polled {
        if self.tracker.open_receipts() >= MAX_OPEN_RECEIPTS {
            return Polled::Idle { until: Some(now + LOOK) };
        }
        loop {
            let news = self.take_in();
            let too_long = self.rest.len() > self.max_line + 2;
            if self.unsplit || too_long || (self.ended && !self.rest.is_empty()) {
                // Lines that are no records are work as well: whoever writes nothing but line ends must not keep the worker.
                return self.batch(too_long).map_or(Polled::Idle { until: Some(now) }, Polled::Batch);
            }
            if self.ended {
                return Polled::Done;
            }
            if !news {
                break;
            }
        }
        if self.rest.is_empty() {
            self.tracker.note_quiet(now);
        }
        // Who waits for quiet asks how long it was: that takes a second look.
        let waiting = self.tracker.open_receipts() > 0;
        Polled::Idle { until: waiting.then_some(now + LOOK) }
    }

    /// Hands on the whole lines of `rest`; at the end, or where it is too long, the one without an end too.
    fn batch(&mut self, too_long: bool) -> Option<Flow> {
        let mut batch = self.setup.pool.batch(self.tag.clone(), self.scope.clone(), self.clock.now());
        let heap = batch.heap_mut();
        heap.extend_from_slice(&self.rest);
        self.lines.clear();
        let mut end = lines::split(heap, 0, self.at, &mut self.lines);
        let bounded = self.lines.len() >= lines::MAX_LINES;
        let endless = end < heap.len() && !bounded;
        let cut = self.lines.is_empty() && too_long && endless;
        if cut || (self.ended && endless) {
            self.lines.push(lines::line(heap, 0, self.at, end, heap.len(), heap.len()));
            end = heap.len();
        }
        heap.truncate(end);
        lines::cut_long(heap, &mut self.lines, self.max_line, &self.setup.ledger);
        let taken = self.setup.decoder.decode(&mut batch, 0, &self.lines);
        let (first, last) =
            (self.lines.first().map(|line| line.start), taken.checked_sub(1).map(|last| self.lines[last].end));
        let (Some(first), Some(last)) = (first, last) else {
            self.unsplit = false;
            self.setup.pool.recycle(batch);
            return None;
        };
        self.rest.drain(..(last - self.at) as usize);
        self.at = last;
        self.skipping = cut && taken == self.lines.len() && !self.ended;
        self.unsplit = bounded || taken < self.lines.len();
        if batch.rows.is_empty() {
            self.tracker.advance(last);
            self.setup.pool.recycle(batch);
            return None;
        }
        self.clock.note(batch.read_at, last - first);
        let receipt = self.tracker.open(first..last, batch.rows.len() as u64);
        Some(Flow::new(batch, Custody::from(receipt)))
    }
}

impl Source for StdinSource {
    fn poll(&mut self) -> Polled {
        self.step(Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use suiro_sdk::lang::Template;
    use suiro_sdk::ledger::{InputLedger, read};
    use suiro_sdk::{Decoder, OnParseError, Pool};

    use super::*;
    use crate::lines::CUT_MARKER;

    /// A source over `open`, its counts, and what tells that it was woken.
    fn source(open: Open, max_line: usize) -> (StdinSource, Arc<InputLedger>, Receiver<()>) {
        let ledger = Arc::new(InputLedger::default());
        let (wake, woken) = std::sync::mpsc::channel();
        let setup = SourceSetup {
            name: "in".into(),
            shard: 0,
            shards: 1,
            data_dir: "/nowhere".into(),
            ledger: ledger.clone(),
            decoder: Arc::new(Decoder::new(None, OnParseError::Keep, false, ledger.clone())),
            tag: Arc::new(Template::parse("x").unwrap()),
            pool: Arc::new(Pool::default()),
            waker: Waker::new(move || wake.send(()).unwrap_or_default()),
            once: false,
        };
        let input = Stdin { max_line, open, pieces: Arc::default() };
        (input.open(setup).unwrap(), ledger, woken)
    }

    /// What a run over `open` makes of it, step by step as it is woken.
    fn run(open: Open, max_line: usize) -> (Vec<String>, Arc<InputLedger>) {
        let (mut source, ledger, woken) = source(open, max_line);
        let mut texts = Vec::new();
        let mut at = 0;
        loop {
            match source.poll() {
                Polled::Batch(flow) => {
                    for row in &flow.batch.rows {
                        assert!(row.start >= at);
                        at = row.end;
                        let text = flow.batch.sole_text(row.root()).unwrap();
                        texts.push(String::from_utf8_lossy(text).into_owned());
                    }
                    flow.custody.settle();
                }
                Polled::Idle { until: Some(until) } if until <= Instant::now() => {}
                Polled::Idle { .. } => woken.recv_timeout(Duration::from_secs(20)).unwrap(),
                Polled::Done => break,
            }
        }
        assert_eq!((ledger.received(), ledger.in_flight()), (ledger.settled_records(), 0));
        (texts, ledger)
    }

    /// Gives a few bytes at a time.
    struct Drip(&'static [u8], usize);

    impl Read for Drip {
        fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
            let n = self.1.min(self.0.len()).min(bytes.len());
            bytes[..n].copy_from_slice(&self.0[..n]);
            self.0 = &self.0[n..];
            Ok(n)
        }
    }

    #[test]
    fn lines_to_the_end() {
        let (texts, ledger) = run(|| Box::new(Drip(b"one\r\ntwo\n\nthree", 2)), 1000);
        assert_eq!(texts, ["one", "two", "three"]);
        assert_eq!(ledger.bytes(), 15);
        assert!(run(|| Box::new(std::io::empty()), 1000).0.is_empty());
        assert_eq!(run(|| Box::new(Drip(b"x", 1)), 1000).0, ["x"]);
    }

    #[test]
    fn a_long_line_is_cut_and_the_rest_of_it_skipped() {
        for step in [1, 7, 64, 1000] {
            static TEXT: &[u8] =
                b"short\n0123456789012345678901234567890123456789012345678901234567890123456789\nafter\n";
            let open: Open = match step {
                1 => || Box::new(Drip(TEXT, 1)),
                7 => || Box::new(Drip(TEXT, 7)),
                64 => || Box::new(Drip(TEXT, 64)),
                _ => || Box::new(Drip(TEXT, 1000)),
            };
            let (texts, ledger) = run(open, 20);
            assert_eq!(texts, ["short", &format!("01234567890123456789{CUT_MARKER}"), "after"], "{step}");
            assert_eq!(read(&ledger.long_lines), 1);
            let abandoned = read(&ledger.abandoned_bytes);
            assert!((50..=51).contains(&abandoned), "{abandoned}");
        }
    }

    #[test]
    fn an_endless_line_is_one_record() {
        let (texts, ledger) = run(|| Box::new(std::io::repeat(b'x').take(3 << 20)), 1000);
        assert_eq!(texts.len(), 1);
        assert_eq!(read(&ledger.abandoned_bytes), (3 << 20) - 1000);
    }

    #[test]
    fn many_lines() {
        let (texts, _) = run(|| Box::new(std::io::Cursor::new("0123456789\n".repeat(200_000).into_bytes())), 1000);
        assert_eq!(texts.len(), 200_000);
        let (texts, _) = run(|| Box::new(std::io::Cursor::new(("\n".repeat(300_000) + "x").into_bytes())), 1000);
        assert_eq!(texts, ["x"]);
    }

    /// Whoever writes nothing but line ends must not keep the worker: it has other sources, and wants to end some time.
    #[test]
    fn line_ends_without_end_are_read_a_batch_at_a_time() {
        let (mut source, ledger, woken) = source(|| Box::new(std::io::repeat(b'\n')), 1000);
        for _ in 0..10 {
            while !matches!(source.poll(), Polled::Idle { until: Some(_) }) {
                woken.recv_timeout(Duration::from_secs(20)).unwrap();
            }
        }
        assert!(ledger.bytes() > 0);
        assert_eq!((ledger.received(), source.tracker.position().mark), (0, source.at));
    }

    #[test]
    fn an_error_is_an_end() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
                Err(std::io::ErrorKind::Other.into())
            }
        }
        let (texts, _) = run(|| Box::new(Drip(b"a\nb", 10).chain(Broken)), 1000);
        assert_eq!(texts, ["a", "b"]);
    }
}
