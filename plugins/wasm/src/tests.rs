//! The filter as the agent uses it: settings, start, batches, and the books.

use std::path::Path as FilePath;
use std::sync::Mutex;
use std::time::Instant;

use proptest::prelude::*;
use suiro_record::{Batch, Path, Row, Scope, Source};
use suiro_sdk::{BlockHealth, Custody, FilterContext, Flow, InputLedger, Metrics, ReportHealth, Selection, Tracker};

use super::*;

/// Does with each record what its `x` says: 1 dropped, 2 trap, 3 another one made of it, 4 changed, 5 rerouted, 6 given up.
const GUEST: &str = r#"(module
  (import "suiro_v1" "field" (func $field (param i32 i32) (result i32)))
  (import "suiro_v1" "get_i64" (func $get_i64 (param i32 i32 i32) (result i32)))
  (import "suiro_v1" "set_i64" (func $set_i64 (param i32 i32 i64) (result i32)))
  (import "suiro_v1" "drop" (func $drop (param i32) (result i32)))
  (import "suiro_v1" "fail" (func $fail (param i32 i32 i32) (result i32)))
  (import "suiro_v1" "emit" (func $emit (param i32 i32 i32) (result i32)))
  (import "suiro_v1" "set_tag" (func $set_tag (param i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "x\00\00\00made\00\00\00\00{\22made\22:1}\00\00\00\00\00other")
  (func (export "suiro_version") (result i32) (i32.const 1))
  (func $record (param $rec i32) (param $x i64)
    (if (i64.eq (local.get $x) (i64.const 1)) (then (drop (call $drop (local.get $rec)))))
    (if (i64.eq (local.get $x) (i64.const 2)) (then unreachable))
    (if (i64.eq (local.get $x) (i64.const 3)) (then (drop (call $emit (local.get $rec) (i32.const 12) (i32.const 10)))))
    (if (i64.eq (local.get $x) (i64.const 4)) (then
      (drop (call $set_i64 (local.get $rec) (call $field (i32.const 4) (i32.const 4)) (i64.const 7)))))
    (if (i64.eq (local.get $x) (i64.const 5)) (then
      (drop (call $set_tag (local.get $rec) (i32.const 27) (i32.const 5)))))
    (if (i64.eq (local.get $x) (i64.const 6)) (then
      (drop (call $fail (local.get $rec) (i32.const 27) (i32.const 5))))))
  (func (export "process") (param $count i32) (local $rec i32)
    (block $done (loop $next
      (br_if $done (i32.ge_u (local.get $rec) (local.get $count)))
      (drop (call $get_i64 (local.get $rec) (call $field (i32.const 0) (i32.const 1)) (i32.const 256)))
      (call $record (local.get $rec) (i64.load (i32.const 256)))
      (local.set $rec (i32.add (local.get $rec) (i32.const 1)))
      (br $next)))))"#;

#[derive(Default)]
struct Reports(Mutex<Option<String>>);

impl ReportHealth for Reports {
    fn ok(&self, _: &str) {
        *self.0.lock().unwrap() = None;
    }

    fn degraded(&self, _: &str, why: &str) {
        *self.0.lock().unwrap() = Some(why.to_owned());
    }
}

/// A started filter in a folder of its own.
fn filter(folder: &FilePath, settings: &str) -> (Box<dyn Filter>, Arc<Reports>) {
    std::fs::write(folder.join("guest.wasm"), wat::parse_str(GUEST).unwrap()).unwrap();
    let text = format!("module = '{}'\n{settings}", folder.join("guest.wasm").display());
    let (section, diagnostics) = Section::from_text("[[filter]] wasm", &text);
    let factory = build(&section).unwrap_or_else(|_| panic!("{}", diagnostics.render(false)));
    let reports = Arc::new(Reports::default());
    let setup = FilterSetup {
        name: "wasm".into(),
        data_dir: folder.to_owned(),
        metrics: Arc::new(Metrics::default()),
        health: BlockHealth::new("wasm".into(), reports.clone()),
    };
    factory.start(setup).unwrap();
    (factory.instance(), reports)
}

fn json(batch: &Batch, row: &Row) -> String {
    let mut json = Vec::new();
    batch.write_json(row, &mut json);
    String::from_utf8(json).unwrap()
}

/// A batch of records `{"i":..,"x":..}`, and who waits for it.
fn flow(xs: &[u8]) -> (Flow, Arc<Tracker>) {
    let source = Arc::new(Source::new("in".into(), 1));
    let mut batch = Batch::new("t".into(), Arc::new(Scope::new(source.clone())), 0);
    for (i, x) in xs.iter().enumerate() {
        let from = batch.heap().len();
        batch.heap_mut().extend_from_slice(format!(r#"{{"i":{i},"x":{x}}}"#).as_bytes());
        let end = batch.heap().len();
        let root = batch.parse_json(from..end).unwrap();
        batch.rows.push(Row::new(root, 0, i as u64 * 10, i as u64 * 10 + 10));
    }
    let tracker = Tracker::new(source, 0, Arc::new(InputLedger::default()), None);
    let receipt = tracker.open(0..xs.len() as u64 * 10, xs.len() as u64);
    (Flow::new(batch, Custody::from(receipt)), tracker)
}

/// What comes out, by tag, in order; what is set aside, with its reason; and the books, which balance.
fn run(filter: &mut dyn Filter, xs: &[u8], rows: &Selection) -> (Vec<String>, Vec<String>, Vec<String>, FilterContext) {
    let (mut flow, tracker) = flow(xs);
    let mut cx = FilterContext::new(Instant::now());
    filter.apply(&mut flow, rows, &mut cx);
    let dead =
        cx.dead_lettered.iter().map(|dead| format!("{} {}", json(&flow.batch, &dead.row), dead.reason)).collect();
    let mut flows = std::mem::take(&mut cx.emitted);
    flows.push(flow);
    let out: usize = flows.iter().map(|flow| flow.batch.len()).sum();
    let dropped: usize = cx.dropped.iter().map(|(_, n)| n).sum();
    assert_eq!(xs.len() + cx.created, out + dropped + cx.dead_lettered.len() + cx.absorbed, "{cx:?}");
    let texts = |tag: &str| -> Vec<String> {
        let of = flows.iter().filter(|flow| &*flow.batch.tag == tag);
        of.flat_map(|flow| flow.batch.rows.iter().map(|row| json(&flow.batch, row))).collect()
    };
    let (stayed, left) = (texts("t"), texts("other"));
    flows.into_iter().for_each(|flow| flow.custody.settle());
    assert_eq!(tracker.position().mark, xs.len() as u64 * 10);
    (stayed, left, dead, cx)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// However records that are kept, dropped, made, rerouted, given up and trapped on follow each other, and whichever the
    /// filter is given: each has the fate it would have alone, and order holds.
    #[test]
    fn each_record_has_the_fate_it_would_have_alone(
        records in proptest::collection::vec((prop_oneof![4 => Just(0_u8), 1 => 1..7_u8], prop::bool::weighted(0.8)), 1..40),
        all: bool,
        per_batch: bool,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let instance = if per_batch { "per_batch" } else { "persistent" };
        let (mut filter, _) = filter(folder.path(), &format!("instance = '{instance}'"));
        let xs: Vec<u8> = records.iter().map(|(x, _)| *x).collect();
        let selection = if all { Selection::All } else { Selection::Rows(records.iter().map(|(_, s)| *s).collect()) };
        let (mut stayed, mut left, mut trapped, mut failed) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (i, x) in xs.iter().enumerate() {
            let whole = format!(r#"{{"i":{i},"x":{x}}}"#);
            match if selection.has(i) { *x } else { 0 } {
                1 => {}
                2 => trapped.push(format!("{whole} wasm_trap")),
                3 => stayed.extend([whole, r#"{"made":1}"#.to_owned()]),
                4 => stayed.push(format!(r#"{{"i":{i},"x":{x},"made":7}}"#)),
                5 => left.push(whole),
                6 => failed.push(format!("{whole} wasm_failed")),
                _ => stayed.push(whole),
            }
        }
        let (got, gone, mut dead, _) = run(&mut *filter, &xs, &selection);
        prop_assert_eq!(got, stayed);
        prop_assert_eq!(gone, left);
        let mut want = trapped;
        want.extend(failed);
        want.sort();
        dead.sort();
        prop_assert_eq!(dead, want);
        // And the filter is well.
        let (got, ..) = run(&mut *filter, &[0], &Selection::All);
        prop_assert_eq!(got.len(), 1);
    }
}

#[test]
fn a_record_goes_on_under_another_tag_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let (mut filter, _) = filter(folder.path(), "on_error = 'tag:other'");
    let (mut flow, _) = flow(&[0, 2, 0]);
    let mut cx = FilterContext::new(Instant::now());
    filter.apply(&mut flow, &Selection::All, &mut cx);
    assert_eq!((flow.batch.len(), cx.emitted.len(), cx.failed), (2, 1, 1));
    let other = &cx.emitted[0].batch;
    let path = Path::parse("@attributes.wasm_error").unwrap();
    let why = other.get(&other.rows[0], &other.resolve(&path)).and_then(|field| field.as_str()).unwrap().into_owned();
    assert!(why.starts_with("wasm_trap: it aborted"), "{why}");
}

#[test]
fn a_filter_that_fails_on_everything_is_left_alone_and_lets_nothing_through() {
    let folder = tempfile::tempdir().unwrap();
    let (mut filter, reports) = filter(folder.path(), "");
    for _ in 0..10 {
        let (stayed, _, dead, _) = run(&mut *filter, &[2; 8], &Selection::All);
        assert_eq!((stayed.len(), dead.len()), (0, 8));
    }
    let (stayed, _, dead, _) = run(&mut *filter, &[0; 8], &Selection::All);
    assert!(stayed.is_empty() && dead[0].ends_with("wasm_quarantined"), "{dead:?}");
    assert!(reports.0.lock().unwrap().as_ref().is_some_and(|why| why.contains("it aborted")));
}
