//! The agent of the model: the real parts, called by hand.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use suiro_record::Scope;
use suiro_sdk::ledger::read;
use suiro_sdk::settings::Section;
use suiro_sdk::{
    Decoder, Delivering, Delivery, Flow, InputLedger, Limits, Line, OnParseError, Outcome, Output, OutputLedger, Pool,
    Reason, Tracker, Verdict,
};

use super::file::File;
use super::sink::Sink;
use super::{Answer, Filters};
use crate::output::former::{Formed, Former};
use crate::output::verdicts::Books as Verdicts;
use crate::output::{DeadLetter, DeadLetterSettings};
use crate::pipeline::books::Books;
use crate::pipeline::chain::{Chain, FilterBlock, Flush};
use crate::pipeline::health::Health;
use crate::pipeline::plan::{FilterPlan, Plan};
use crate::pipeline::router::{Blocked, Route, Router};
use crate::pipeline::tests;
use crate::queue::{MemoryQueue, Queue, QueueSetup, WhenFull};
use crate::registry;

/// What each output takes, by its `when`; the second one has a filter of its own.
pub(super) const OUTPUTS: [&str; 2] =
    ["not (same == 3) and not exists(nobody)", "not exists(team) and not exists(nobody)"];

/// The agent, between a start and a kill.
pub(super) struct Agent {
    tracker: Arc<Tracker>,
    resume: suiro_sdk::Position,
    scope: Arc<Scope>,
    decoder: Decoder,
    chain: Chain,
    router: Router,
    blocked: Vec<Blocked>,
    outputs: Vec<Out>,
    books: Books,
    /// The next line to read.
    next: usize,
    now: Instant,
    _folder: tempfile::TempDir,
}

struct Out {
    ledger: Arc<OutputLedger>,
    queue: Arc<MemoryQueue>,
    former: Former,
    waiting: Vec<Formed>,
    dead_letter: DeadLetter,
    /// Records the sink took and said so, and records it refused.
    taken: u64,
    refused: u64,
}

/// An output that exists for its name in the configuration.
struct Nowhere;

impl Output for Nowhere {
    fn deliver<'a>(&'a self, _delivery: &'a Delivery) -> Delivering<'a> {
        Box::pin(async { Outcome::Delivered })
    }
}

// === impl Agent ===

impl Agent {
    /// A fresh agent on what the last one saved.
    pub(super) fn start(filters: &Filters, file: &File, data: &Path) -> Self {
        let folder = tempfile::tempdir_in(data).expect("a temporary folder");
        let mut books = Books::default();
        let health = Arc::<Health>::default();
        let plan = plan(filters);
        let input: Arc<InputLedger> = books.input(&"model".into());
        let mut block = |filter: Arc<FilterPlan>| {
            let dead_letter = DeadLetter::new(DeadLetterSettings::of(folder.path(), &filter.name), &filter.name);
            let ledger = books.filter(&filter.name);
            FilterBlock::new(filter, ledger, Arc::new(dead_letter), health.clone())
        };
        let blocks: Vec<_> = plan.filters.into_iter().map(&mut block).collect();
        let mut chains: Vec<Option<Chain>> = plan
            .outputs
            .into_iter()
            .map(|output| {
                (!output.filters.is_empty()).then(|| Chain::new(output.filters.into_iter().map(&mut block), true))
            })
            .collect();
        let outputs: Vec<Out> = (0..OUTPUTS.len()).map(|at| Out::new(at, &mut books, folder.path())).collect();
        let routes = outputs
            .iter()
            .enumerate()
            .map(|(at, out)| Route {
                matches: Default::default(),
                when: suiro_sdk::lang::Condition::parse(OUTPUTS[at]).ok(),
                signals: vec![suiro_record::Signal::Logs],
                chain: chains[at].take(),
                queue: out.queue.clone(),
            })
            .collect();
        let pool = Arc::<Pool>::default();
        let parser = registry::all().parsers["json"].build;
        let parser = parser(&Section::from_text("json", "").0).ok();
        let tracker = Tracker::new(file.source.clone(), file.saved.mark, input.clone(), None);
        tracker.will_look();
        Agent {
            tracker,
            resume: file.saved.clone(),
            scope: Arc::new(Scope::new(file.source.clone())),
            decoder: Decoder::new(parser, OnParseError::Keep, false, input),
            chain: Chain::new(blocks, true),
            router: Router::new(routes, books.router.clone(), pool),
            blocked: Vec::new(),
            outputs,
            books,
            next: file
                .lines
                .iter()
                .position(|line| line.range.start as u64 >= file.saved.mark)
                .unwrap_or(file.lines.len()),
            now: Instant::now(),
            _folder: folder,
        }
    }

    /// Reads up to `count` lines, as a source would: what is settled already is passed over.
    pub(super) fn read(&mut self, file: &mut File, count: usize) {
        if self.is_parked() {
            return;
        }
        let end = file.lines.len().min(self.next + count);
        let settled = |range: &std::ops::Range<usize>| {
            self.resume.settled.iter().any(|s| s.start <= range.start as u64 && range.end as u64 <= s.end)
        };
        let fresh: Vec<_> = file.lines[self.next..end].iter().filter(|line| !settled(&line.range)).collect();
        let Some(last) = end.checked_sub(1).filter(|_| end > self.next) else { return };
        let read_to = file.lines[last].range.end as u64;
        let mut batch = suiro_record::Batch::new("model".into(), self.scope.clone(), 0);
        let mut lines = Vec::new();
        for line in &fresh {
            let at = batch.heap_mut().len();
            batch.heap_mut().extend_from_slice(&file.bytes[line.range.clone()]);
            let (start, end) = (line.range.start as u64, line.range.end as u64);
            lines.push(Line { span: at..at + line.range.len() - 1, start, end });
        }
        let taken = self.decoder.decode(&mut batch, 0, &lines);
        assert_eq!(taken, lines.len());
        self.next = end;
        if let (Some(first), Some(last)) = (batch.rows.first(), batch.rows.last()) {
            let receipt = self.tracker.open(first.start..last.end, batch.len() as u64);
            self.pass(Flow::new(batch, receipt));
        }
        self.tracker.advance(read_to);
    }

    /// Finds nothing to read, if there is nothing, and lets time pass.
    pub(super) fn look(&mut self, file: &File) {
        self.now += Duration::from_millis(700);
        if self.next == file.lines.len() && !self.is_parked() {
            self.tracker.note_quiet(self.now);
        }
        if self.chain.deadline().is_some_and(|deadline| deadline <= self.now) {
            let mut out = Vec::new();
            self.chain.tick(self.now, &mut out);
            self.route(out);
        }
    }

    pub(super) fn form(&mut self, output: usize) {
        let Out { queue, former, waiting, .. } = &mut self.outputs[output];
        while let Some(queued) = queue.pop() {
            former.add(queued, self.now, waiting);
        }
        waiting.extend(former.take());
    }

    /// Tries the oldest delivery of an output.
    pub(super) fn attempt(&mut self, output: usize, answer: &Answer, sink: &mut Sink) {
        let out = &mut self.outputs[output];
        if out.waiting.is_empty() {
            return;
        }
        let formed = out.waiting.remove(0);
        let mut verdicts = Vec::new();
        let (mut taken, mut refused) = (0, 0);
        for (n, (batch, row)) in formed.delivery.records().enumerate() {
            let bits = match answer {
                Answer::Take | Answer::StoreAndVanish => 0,
                Answer::Later | Answer::TooLarge => 2,
                Answer::Some(seed) => (seed >> (n * 2 % 64)) & 3,
            };
            match bits {
                2 => {
                    let why = "later".to_owned();
                    verdicts.push((n, Verdict::Retry { why, after: None, degraded: false }));
                }
                3 => verdicts.push((n, Verdict::Refused { reason: Reason::REJECTED, detail: String::new() })),
                _ => {}
            }
            taken += u64::from(bits < 2);
            refused += u64::from(bits == 3);
            if bits != 2 {
                let (mut id, mut content) = (Vec::new(), Vec::new());
                batch.origin(row).write_id(&mut id);
                batch.write_json(row, &mut content);
                let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
                sink.store(output, text(id), text(content));
            }
        }
        let outcome = match answer {
            Answer::Take => Outcome::Delivered,
            Answer::Later | Answer::StoreAndVanish => {
                Outcome::Retry { why: "later".to_owned(), after: None, degraded: false }
            }
            Answer::TooLarge if formed.delivery.len() == 1 => Outcome::Partial(verdicts),
            Answer::TooLarge => Outcome::TooLarge,
            Answer::Some(_) => Outcome::Partial(verdicts),
        };
        let books = Verdicts {
            ledger: &out.ledger,
            dead_letter: &out.dead_letter,
            queue: &*out.queue,
            max_attempts: None,
            apart: false,
        };
        let rest = books.close(formed, outcome);
        if !matches!(answer, Answer::StoreAndVanish) {
            out.taken += taken;
            out.refused += refused;
        }
        out.waiting.extend(rest.pieces);
        out.waiting.extend(rest.again.map(|(formed, _)| formed));
        self.router.retry(&mut self.blocked);
    }

    pub(super) fn checkpoint(&self, file: &mut File) {
        let mut position = self.tracker.position();
        // What was settled before the start and not read again yet is still settled.
        let ahead = self.resume.settled.iter().filter(|range| range.start >= position.mark).cloned();
        position.settled.extend(ahead.collect::<Vec<_>>());
        position.settled.sort_unstable_by_key(|range| range.start);
        file.saved = position;
    }

    /// No more faults: everything is read, let go of and delivered.
    pub(super) fn end_well(&mut self, file: &mut File, sink: &mut Sink) {
        while self.next < file.lines.len() {
            self.read(file, 50);
            self.deliver_all(sink);
        }
        for _ in 0..4 {
            self.look(file);
            self.deliver_all(sink);
        }
        let mut out = Vec::new();
        self.chain.flush(self.now, Flush::Own, &mut out);
        self.chain.flush(self.now, Flush::Shared, &mut out);
        self.route(out);
        self.deliver_all(sink);
    }

    fn deliver_all(&mut self, sink: &mut Sink) {
        loop {
            self.router.retry(&mut self.blocked);
            for output in 0..OUTPUTS.len() {
                self.form(output);
                while !self.outputs[output].waiting.is_empty() {
                    self.attempt(output, &Answer::Take, sink);
                }
            }
            if self.blocked.is_empty() {
                break;
            }
        }
    }

    pub(super) fn assert_balanced(&self) {
        let wrong = self.books.snapshot().imbalances();
        assert!(wrong.is_empty(), "{wrong:?}");
        // And it is what happened.
        for out in &self.outputs {
            assert_eq!((read(&out.ledger.delivered), out.ledger.dead_lettered.total()), (out.taken, out.refused));
            assert_eq!(out.ledger.dropped.total(), 0);
        }
    }

    /// Nothing is on its way, and nothing waits.
    pub(super) fn assert_settled(&self) {
        let ledger = self.books.snapshot();
        assert!(ledger.inputs.iter().all(|input| input.in_flight == 0), "{ledger:?}");
        assert!(ledger.filters.iter().all(|filter| filter.held == 0), "{ledger:?}");
        assert!(ledger.outputs.iter().all(|output| output.in_flight == 0 && output.queued_bytes == 0), "{ledger:?}");
        assert_eq!(self.tracker.open_receipts(), 0);
    }

    fn is_parked(&mut self) -> bool {
        self.router.retry(&mut self.blocked);
        !self.blocked.is_empty()
    }

    fn pass(&mut self, flow: Flow) {
        let mut out = Vec::new();
        self.chain.run(flow, self.now, &mut out);
        self.route(out);
    }

    fn route(&mut self, flows: Vec<Flow>) {
        flows.into_iter().for_each(|flow| self.router.route(flow, self.now, &mut self.blocked));
    }
}

// === impl Out ===

impl Out {
    fn new(at: usize, books: &mut Books, folder: &Path) -> Self {
        let name: Arc<str> = format!("out.{at}").into();
        let ledger = books.output(&name);
        let setup = QueueSetup {
            // Small, so that sources get parked.
            max_bytes: 40_000,
            when_full: WhenFull::Block,
            ledger: ledger.clone(),
            wakers: Vec::new(),
        };
        let limits = Limits { max_bytes: 200 + at * 400, max_records: 5 + at * 4, timeout: Duration::ZERO };
        Out {
            ledger,
            queue: Arc::new(MemoryQueue::new(setup)),
            former: Former::new(limits),
            waiting: Vec::new(),
            dead_letter: DeadLetter::new(DeadLetterSettings::of(folder, &name), &name),
            taken: 0,
            refused: 0,
        }
    }
}

fn plan(filters: &Filters) -> Plan {
    let mut registry = registry::all();
    registry.output("nowhere", "", |_| Ok(Box::new(Nowhere)));
    let output = "[[output]]\ntype = \"nowhere\"\n";
    let own = "[[output.filter]]\ntype = \"modify\"\nset = { own = true }\n";
    tests::plan(&registry, &format!("{}\n{output}{output}{own}", filters.toml()))
}
