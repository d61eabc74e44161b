//! What the tests of all filters use: a source, its lines through a filter, and the books kept as the agent keeps them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use suiro_record::{Batch, Header, NewValue, Path, Row, Scope, Signal, Source};
use suiro_sdk::ledger::{InputLedger, Reason};
use suiro_sdk::registry::BuildFilter;
use suiro_sdk::settings::Section;
use suiro_sdk::{
    BlockHealth, Filter, FilterContext, FilterFactory, FilterSetup, Flow, Metrics, ReportHealth, Selection, Tracker,
};

/// When the lines are read.
pub(crate) const READ_AT: i64 = 1_700_000_000_000_000_000;

/// Sums over all calls.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub(crate) taken: usize,
    pub(crate) out: usize,
    pub(crate) created: usize,
    pub(crate) absorbed: usize,
    pub(crate) held: isize,
    pub(crate) failed: usize,
    pub(crate) dropped: Vec<(Reason, usize)>,
}

/// A source of lines, its offset, and its tracker.
#[derive(Debug)]
pub(crate) struct Feed {
    pub(crate) scope: Arc<Scope>,
    pub(crate) tracker: Arc<Tracker>,
    pub(crate) ledger: Arc<InputLedger>,
    pub(crate) read: u64,
}

/// A filter and one source in front of it.
pub(crate) struct Rig {
    pub(crate) filter: Box<dyn Filter>,
    pub(crate) feed: Feed,
    pub(crate) totals: Totals,
    pub(crate) now: Instant,
}

/// No filter of these has anything to say of its health.
struct Unhealthy;

impl ReportHealth for Unhealthy {
    fn ok(&self, _: &str) {}

    fn degraded(&self, block: &str, why: &str) {
        panic!("{block}: {why}");
    }
}

/// What a metric says: `name{labels} value`.
pub(crate) fn metric(metrics: &Metrics, series: &str) -> Option<f64> {
    let mut text = String::new();
    metrics.render(&mut text);
    text.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
}

pub(crate) fn factory(build: BuildFilter, settings: &str) -> Box<dyn FilterFactory> {
    let (section, diagnostics) = Section::from_text("[[filter]]", settings);
    build(&section).unwrap_or_else(|_| panic!("{}", diagnostics.render(false)))
}

/// What is reported for settings that are wrong.
pub(crate) fn fails(build: BuildFilter, settings: &str) -> String {
    let (section, diagnostics) = Section::from_text("[[filter]]", settings);
    assert!(build(&section).is_err(), "{settings}");
    assert!(diagnostics.errors() > 0, "{settings}");
    diagnostics.render(false)
}

pub(crate) fn json_of(batch: &Batch, row: &Row) -> String {
    let mut json = Vec::new();
    batch.write_json(row, &mut json);
    String::from_utf8(json).expect("records are UTF-8")
}

pub(crate) fn id_of(batch: &Batch, row: &Row) -> String {
    let mut id = Vec::new();
    batch.origin(row).write_id(&mut id);
    String::from_utf8(id).expect("ids are ASCII")
}

/// The names of spans or metric points.
pub(crate) fn names_of(flows: &[Flow]) -> Vec<String> {
    let path = Path::key("name");
    let of = |batch: &Batch, row: &Row| {
        batch.get(row, &batch.resolve(&path)).and_then(|name| name.as_str()).unwrap_or_default().into_owned()
    };
    flows.iter().flat_map(|flow| flow.batch.rows.iter().map(|row| of(&flow.batch, row))).collect()
}

// === impl Feed ===

impl Feed {
    pub(crate) fn new(incarnation: u128) -> Self {
        let source = Arc::new(Source::new("in".into(), incarnation));
        let ledger = Arc::new(InputLedger::default());
        let tracker = Tracker::new(source.clone(), 0, ledger.clone(), None);
        let scope = Arc::new(Scope::new(source).with("service.name", "shop"));
        Feed { scope, tracker, ledger, read: 0 }
    }

    /// A batch of records, one per text: as it is where it is a JSON map and `json` holds, else under `log`.
    pub(crate) fn batch(&mut self, lines: &[&str], json: bool) -> Flow {
        let mut batch = Batch::new("t".into(), self.scope.clone(), READ_AT);
        let from = self.read;
        for line in lines {
            let start = batch.heap().len();
            batch.heap_mut().extend_from_slice(line.as_bytes());
            let span = start..batch.heap().len();
            batch.heap_mut().push(b'\n');
            let root = if json { batch.parse_json(span).expect(line) } else { batch.text_body(span) };
            let end = self.read + line.len() as u64 + 1;
            batch.rows.push(Row::new(root, READ_AT, self.read, end));
            self.read = end;
        }
        let receipt = self.tracker.open(from..self.read, lines.len() as u64);
        Flow::new(batch, receipt)
    }

    /// Spans: the trace id is what stands under `@`.
    pub(crate) fn spans(&mut self, lines: &[&str]) -> Flow {
        let mut flow = self.batch(lines, true);
        flow.batch.signal = Signal::Traces;
        let path = Path::parse("\"@\"").expect("a path");
        for at in 0..flow.batch.rows.len() {
            let batch = &mut flow.batch;
            let resolved = batch.resolve(&path);
            let id = batch.get(&batch.rows[at], &resolved).and_then(|id| id.as_str()).map(|id| format!("{id:0>32}"));
            if let Some(id) = id {
                batch.remove(at, &resolved);
                batch.set_header(at, Header::TraceId, NewValue::Str(&id)).expect("room");
            }
        }
        flow
    }

    /// Metric points; their time is what stands under `@`.
    pub(crate) fn points(&mut self, lines: &[&str]) -> Flow {
        let mut flow = self.batch(lines, true);
        flow.batch.signal = Signal::Metrics;
        let path = Path::parse("\"@\"").expect("a path");
        for at in 0..flow.batch.rows.len() {
            let batch = &mut flow.batch;
            let resolved = batch.resolve(&path);
            if let Some(time) = batch.get(&batch.rows[at], &resolved).and_then(|time| time.as_i64()) {
                batch.remove(at, &resolved);
                batch.rows[at].time = time;
            }
        }
        flow
    }
}

// === impl Rig ===

impl Rig {
    pub(crate) fn new(build: BuildFilter, settings: &str) -> Self {
        let filter = factory(build, settings).instance();
        Rig { filter, feed: Feed::new(7), totals: Totals::default(), now: Instant::now() }
    }

    /// With the metrics that it keeps, as filter `f`.
    pub(crate) fn with_metrics(build: BuildFilter, settings: &str) -> (Rig, Arc<Metrics>) {
        let metrics = Arc::new(Metrics::default());
        let factory = factory(build, settings);
        let health = BlockHealth::new("f".into(), Arc::new(Unhealthy));
        let setup = FilterSetup { name: "f".into(), data_dir: Default::default(), metrics: metrics.clone(), health };
        factory.start(setup).expect("it starts");
        let rig =
            Rig { filter: factory.instance(), feed: Feed::new(7), totals: Totals::default(), now: Instant::now() };
        (rig, metrics)
    }

    /// Lines through the filter; what comes out.
    pub(crate) fn feed(&mut self, lines: &[&str]) -> Vec<Flow> {
        self.feed_selected(lines, &Selection::All)
    }

    pub(crate) fn feed_selected(&mut self, lines: &[&str], rows: &Selection) -> Vec<Flow> {
        let flow = self.feed.batch(lines, false);
        self.apply(flow, rows)
    }

    /// Records given as JSON through the filter.
    pub(crate) fn feed_json(&mut self, lines: &[&str]) -> Vec<Flow> {
        let flow = self.feed.batch(lines, true);
        self.apply(flow, &Selection::All)
    }

    /// Spans through the filter.
    pub(crate) fn feed_spans(&mut self, lines: &[&str]) -> Vec<Flow> {
        let flow = self.feed.spans(lines);
        self.apply(flow, &Selection::All)
    }

    /// Metric points through the filter.
    pub(crate) fn feed_points(&mut self, lines: &[&str]) -> Vec<Flow> {
        let flow = self.feed.points(lines);
        self.apply(flow, &Selection::All)
    }

    pub(crate) fn apply(&mut self, mut flow: Flow, rows: &Selection) -> Vec<Flow> {
        let taken = flow.batch.rows.len();
        let mut cx = FilterContext::new(self.now);
        self.filter.apply(&mut flow, rows, &mut cx);
        let mut flows = std::mem::take(&mut cx.emitted);
        flows.insert(0, flow);
        self.close_books(taken, flows, &cx)
    }

    /// Time passes; the filter is called if it wants to be.
    pub(crate) fn wait(&mut self, time: Duration) -> Vec<Flow> {
        self.now += time;
        if self.filter.deadline().is_none_or(|due| due > self.now) {
            return Vec::new();
        }
        let mut cx = FilterContext::new(self.now);
        self.filter.tick(&mut cx);
        let flows = std::mem::take(&mut cx.emitted);
        assert!(
            self.filter.deadline().is_none_or(|due| due > self.now),
            "a deadline that is over would be called at once"
        );
        self.close_books(0, flows, &cx)
    }

    pub(crate) fn flush(&mut self) -> Vec<Flow> {
        let mut cx = FilterContext::new(self.now);
        self.filter.flush(&mut cx);
        let flows = std::mem::take(&mut cx.emitted);
        self.close_books(0, flows, &cx)
    }

    /// The ledger's equation after a call; then nobody answers for batches of nothing.
    fn close_books(&mut self, taken: usize, flows: Vec<Flow>, cx: &FilterContext) -> Vec<Flow> {
        let out: usize = flows.iter().map(|flow| flow.batch.rows.len()).sum();
        let dropped: usize = cx.dropped.iter().map(|(_, n)| n).sum();
        assert_eq!(
            (taken + cx.created) as isize,
            (out + dropped + cx.dead_lettered.len() + cx.absorbed) as isize + cx.held,
            "in + created = out + dropped + dead_lettered + absorbed + held: {cx:?}"
        );
        let totals = &mut self.totals;
        totals.taken += taken;
        totals.out += out;
        totals.created += cx.created;
        totals.absorbed += cx.absorbed;
        totals.held += cx.held;
        totals.failed += cx.failed;
        totals.dropped.extend(cx.dropped.iter().copied());
        assert!(totals.held >= 0);
        let (full, empty): (Vec<Flow>, Vec<Flow>) = flows.into_iter().partition(|flow| !flow.batch.rows.is_empty());
        empty.into_iter().for_each(|flow| flow.custody.settle());
        full
    }

    /// Delivers batches: the texts under `log` of lines, or the JSON of other records.
    pub(crate) fn take(&mut self, flows: Vec<Flow>) -> Vec<String> {
        let mut all = Vec::new();
        for Flow { batch, custody } in flows {
            for row in &batch.rows {
                match batch.sole_text(row.root()) {
                    Some(text) => all.push(String::from_utf8(text.to_vec()).expect("texts are UTF-8")),
                    None => all.push(json_of(&batch, row)),
                }
            }
            custody.settle();
        }
        all
    }

    /// The end: nothing is held, nothing in flight, the position is where reading stopped.
    pub(crate) fn assert_settled(&self) {
        assert_eq!(self.totals.held, 0);
        let position = self.feed.tracker.position();
        assert_eq!((position.mark, position.settled), (self.feed.read, Vec::new()));
        let ledger = &self.feed.ledger;
        assert_eq!((ledger.received(), ledger.in_flight()), (ledger.settled_records(), 0));
    }
}
