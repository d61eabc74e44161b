//! The pipeline on its threads, with plugins that panic.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use suiro_record::{Scope, Source as Origin};
use suiro_sdk::settings::{Diagnostics, Section, Source as Text};
use suiro_sdk::{
    Delivering, Delivery, Filter, FilterContext, FilterFactory, FilterState, Flow, Input, Line, Outcome, Output,
    OutputSetup, Polled, Progress, Registry, Selection, Source, SourceSetup, StartError, Tracker,
};

use super::control::Event;
use super::{Ending, Exhausted, Pipeline, Plan, within};
use crate::{config, registry};

/// How long anything may take before a test fails.
const PATIENCE: Duration = Duration::from_secs(60);
/// Records of a source, and of a batch.
const RECORDS: u64 = 1000;
const BATCH: u64 = 100;
/// The record on which plugins panic that panic on one.
const BOOM: u64 = 550;

/// What is to be run, by a configuration without mistakes.
pub(super) fn plan(registry: &Registry, toml: &str) -> Plan {
    let diagnostics = Diagnostics::default();
    let text = Text::new("test.toml", Path::new("/"), toml, 0);
    let types = registry::known_types(registry);
    let config = config::merge(vec![text], &types, &(Arc::new(|_: &str| None) as _), &diagnostics);
    match Plan::build(config, registry, &diagnostics) {
        Ok(plan) => plan,
        Err(_) => panic!("{}", diagnostics.render(false)),
    }
}

// === an input that panics once ===

/// Reads [`RECORDS`] records, and panics where `panics` says, unless `marker` is there already.
#[derive(Clone)]
struct Shaky {
    panics: String,
    marker: PathBuf,
}

struct ShakySource {
    settings: Shaky,
    setup: SourceSetup,
    tracker: Arc<Tracker>,
    next: u64,
}

impl Shaky {
    fn read(section: &Section) -> Self {
        Shaky { panics: section.or("panics", String::new()), marker: section.or("marker", PathBuf::new()) }
    }

    fn panic_once(&self, at: &str) {
        if self.panics == at && OpenOptions::new().create_new(true).write(true).open(&self.marker).is_ok() {
            panic!("shaky in {at}");
        }
    }
}

impl Input for Shaky {
    fn source(&self, setup: SourceSetup) -> Result<Option<Box<dyn Source>>, StartError> {
        self.panic_once("source");
        let origin = Arc::new(Origin::new(setup.name.clone(), 1));
        let tracker = Tracker::new(origin, 0, setup.ledger.clone(), None);
        Ok(Some(Box::new(ShakySource { settings: self.clone(), setup, tracker, next: 0 })))
    }
}

impl Source for ShakySource {
    fn poll(&mut self) -> Polled {
        if self.next == RECORDS {
            return Polled::Done;
        }
        if self.next > RECORDS / 2 {
            self.settings.panic_once("poll");
        }
        let scope = Arc::new(Scope::new(self.tracker.source().clone()));
        let mut batch = self.setup.pool.batch("app".into(), scope, 0);
        let mut lines = Vec::new();
        for n in self.next..self.next + BATCH {
            let start = batch.heap_mut().len();
            batch.heap_mut().extend_from_slice(n.to_string().as_bytes());
            lines.push(Line { span: start..batch.heap_mut().len(), start: n, end: n + 1 });
        }
        assert_eq!(self.setup.decoder.decode(&mut batch, 0, &lines), lines.len());
        let receipt = self.tracker.open(self.next..self.next + BATCH, BATCH);
        self.next += BATCH;
        Polled::Batch(Flow::new(batch, receipt))
    }

    /// Called on the worker, outside of everything that catches panics.
    fn progress(&self) -> Progress {
        self.settings.panic_once("progress");
        Progress::default()
    }
}

// === a filter and an output that panic on a record ===

/// Holds each batch until the next one, and panics on one with [`BOOM`] in it, before or behind letting go of the one held.
#[derive(Clone)]
struct Holding {
    late: bool,
}

struct HoldingFilter {
    settings: Holding,
    held: Option<Flow>,
}

struct Touchy {
    panics: String,
}

fn holds_boom<'a>(mut records: impl Iterator<Item = (&'a suiro_record::Batch, &'a suiro_record::Row)>) -> bool {
    records.any(|(batch, row)| batch.sole_text(row.root()) == Some(BOOM.to_string().as_bytes()))
}

impl FilterFactory for Holding {
    fn state(&self) -> FilterState {
        FilterState::PerSource
    }

    fn instance(&self) -> Box<dyn Filter> {
        Box::new(HoldingFilter { settings: self.clone(), held: None })
    }
}

impl Filter for HoldingFilter {
    fn apply(&mut self, flow: &mut Flow, _: &Selection, cx: &mut FilterContext) {
        let boom = holds_boom(flow.batch.rows.iter().map(|row| (&flow.batch, row)));
        assert!(!boom || self.settings.late, "holding");
        if let Some(held) = self.held.take() {
            cx.held -= held.batch.len() as isize;
            cx.emit(held);
        }
        assert!(!boom, "holding");
        let rest = flow.batch.sibling(flow.batch.tag.clone());
        let held = Flow { batch: std::mem::replace(&mut flow.batch, rest), custody: flow.custody.fork() };
        cx.held += held.batch.len() as isize;
        self.held = Some(held);
    }

    fn flush(&mut self, cx: &mut FilterContext) {
        if let Some(held) = self.held.take() {
            cx.held -= held.batch.len() as isize;
            cx.emit(held);
        }
    }
}

impl Output for Touchy {
    fn start(&mut self, _: &OutputSetup) -> Result<(), StartError> {
        assert!(self.panics != "start", "touchy");
        Ok(())
    }

    fn deliver<'a>(&'a self, delivery: &'a Delivery) -> Delivering<'a> {
        assert!(self.panics != "call" || !holds_boom(delivery.records()), "touchy");
        Box::pin(async move {
            tokio::task::yield_now().await;
            assert!(self.panics != "await" || !holds_boom(delivery.records()), "touchy");
            Outcome::Delivered
        })
    }
}

// === running them ===

/// A folder, and what runs there.
struct Run {
    folder: tempfile::TempDir,
}

impl Run {
    fn new() -> Self {
        Run { folder: tempfile::tempdir().expect("a folder") }
    }

    fn start(&self, blocks: &str, once: bool) -> Result<Pipeline, StartError> {
        let mut registry = registry::all();
        registry.input("shaky", "", |section| {
            let shaky = Shaky::read(section);
            section.finish()?;
            Ok(Box::new(shaky))
        });
        registry.filter("holding", "", |section| {
            let late = section.flag("late");
            section.finish()?;
            Ok(Box::new(Holding { late }))
        });
        registry.output("touchy", "", |section| {
            let panics = section.or("panics", String::new());
            section.finish()?;
            Ok(Box::new(Touchy { panics }))
        });
        let folder = self.folder.path().display();
        let blocks = blocks.replace("MARKER", &format!("marker = '{folder}/marker'"));
        Pipeline::start(plan(&registry, &format!("[service]\ndata_dir = '{folder}'\napi = false\n{blocks}")), once)
    }

    /// Runs to the end of the input.
    fn run(&self, blocks: &str) -> (Ending, Arc<super::Shared>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let mut pipeline = self.start(blocks, true).expect("it starts");
            let shared = pipeline.shared().clone();
            let exhausted = tokio::time::timeout(PATIENCE, pipeline.exhausted()).await;
            assert_eq!(exhausted, Ok(Exhausted::Read), "{:?}", shared.books.snapshot());
            let ending = pipeline.stop(within(PATIENCE)).await;
            assert!(ending.drained && ending.ledger.balanced, "{:?}", ending.ledger);
            (ending, shared)
        })
    }

    fn letters(&self, block: &str) -> usize {
        let files =
            std::fs::read_dir(self.folder.path().join("dead-letter").join(block)).into_iter().flatten().flatten();
        files.map(|file| std::fs::read_to_string(file.path()).map_or(0, |text| text.lines().count())).sum()
    }
}

const INPUT: &str = "[[input]]\nname = 'in'\ntype = 'shaky'\n";
const OUTPUT: &str = "[[output]]\nname = 'out'\ntype = 'touchy'\nbatch = { max_records = 100, timeout = '1ms' }\n";

#[test]
fn an_output_that_panics_sets_that_delivery_aside_and_goes_on() {
    for at in ["call", "await"] {
        let run = Run::new();
        let (ending, shared) = run.run(&format!("{INPUT}{OUTPUT}panics = '{at}'\n"));
        let out = &ending.ledger.outputs[0];
        assert_eq!((out.delivered, out.dead_lettered.get("panic")), (RECORDS - BATCH, Some(&BATCH)), "{at}");
        assert_eq!(run.letters("out") as u64, BATCH);
        assert_eq!((ending.ledger.inputs[0].settled, shared.health.panics().get("out")), (RECORDS, Some(&1)));
        // With --once that is a failure.
        assert_eq!(ending.ledger.undelivered(), BATCH);
    }
}

#[test]
fn a_filter_that_panics_sets_that_batch_aside_and_starts_anew() {
    for late in [false, true] {
        let run = Run::new();
        let (ending, shared) =
            run.run(&format!("{INPUT}[[filter]]\nname = 'f'\ntype = 'holding'\nlate = {late}\n{OUTPUT}"));
        let filter = &ending.ledger.filters[0];
        // Gone with the instance: the batch it held. If it was letting go of it, that one is in the dead letter, too.
        assert_eq!(
            (filter.dropped.get("panic"), filter.held, filter.out),
            (Some(&(2 * BATCH)), 0, RECORDS - 2 * BATCH)
        );
        assert_eq!(ending.ledger.outputs[0].delivered, RECORDS - 2 * BATCH);
        let kept = if late { 2 * BATCH } else { BATCH };
        assert_eq!(run.letters("f") as u64, kept, "{late}");
        // What is nowhere stays with its source, and is read again at the next start.
        let input = &ending.ledger.inputs[0];
        assert_eq!((input.settled, input.in_flight), (RECORDS - 2 * BATCH + kept, 2 * BATCH - kept), "{late}");
        assert_eq!(shared.health.panics().get("f"), Some(&1));
        assert!(ending.ledger.undelivered() > 0);
    }
}

#[test]
fn an_input_that_panics_starts_anew_from_what_is_settled() {
    let run = Run::new();
    let (ending, shared) = run.run(&format!("{INPUT}panics = 'poll'\nMARKER\n{OUTPUT}"));
    let again = RECORDS / 2 + BATCH;
    assert_eq!((ending.ledger.inputs[0].received, ending.ledger.inputs[0].in_flight), (RECORDS + again, 0));
    assert_eq!(ending.ledger.outputs[0].delivered, RECORDS + again);
    assert_eq!(shared.health.panics().get("in"), Some(&1));
}

#[test]
fn a_worker_that_panics_starts_anew() {
    let run = Run::new();
    // With what a filter holds when it happens.
    let (ending, shared) = run.run(&format!(
        "{INPUT}panics = 'progress'\nMARKER\n[[filter]]\nname = 'f'\ntype = 'holding'\nlate = true\n{OUTPUT}"
    ));
    assert_eq!(shared.health.panics().get("worker:0"), Some(&1));
    assert!(ending.ledger.outputs[0].delivered >= RECORDS - 2 * BATCH, "{:?}", ending.ledger);
    assert_eq!(ending.ledger.filters[0].held, 0, "{:?}", ending.ledger);
}

#[test]
fn what_panics_at_the_start_is_an_error_that_names_it() {
    for blocks in [format!("{INPUT}panics = 'source'\nMARKER\n{OUTPUT}"), format!("{INPUT}{OUTPUT}panics = 'start'\n")]
    {
        let error = Run::new().start(&blocks, true).err().expect("it does not start").to_string();
        assert!(error.contains("panicked") || error.contains("thread ended"), "{error}");
    }
}

#[test]
fn an_output_that_is_lost_ends_the_agent() {
    let run = Run::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut pipeline =
            run.start(&format!("[[input]]\ntype = 'tail'\npath = 'no.log'\n{OUTPUT}"), false).expect("it starts");
        pipeline.shared().control.tell(Event::OutputEnded(0));
        assert_eq!(tokio::time::timeout(PATIENCE, pipeline.exhausted()).await, Ok(Exhausted::OutputLost));
        assert!(pipeline.stop(within(PATIENCE)).await.ledger.balanced);
    });
}
