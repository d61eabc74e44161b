use proptest::prelude::*;
use suiro_record::Value;
use suiro_sdk::Metrics;

use super::*;
use crate::link::{FUNCTIONS, call};

const RECORDS: [&str; 4] = [
    r#"{"level":"info","n":1,"user":{"name":"a","tags":["x","y\n"]},"ok":true}"#,
    r#"{"level":"warn","n":-7.5e3,"user":{"name":"b"},"level":"twice"}"#,
    r#"{"a.b":1,"a":{"b":2},"big":123456789012345678901234567890,"nothing":null}"#,
    r#"{}"#,
];

/// A batch of [`RECORDS`].
fn batch() -> Batch {
    let mut batch = empty_batch();
    for json in RECORDS {
        let from = batch.heap().len();
        batch.heap_mut().extend_from_slice(json.as_bytes());
        let end = batch.heap().len();
        let root = batch.parse_json(from..end).unwrap();
        batch.rows.push(Row::new(root, 1_000_000_001, from as u64, end as u64));
    }
    batch
}

fn texts(batch: &Batch) -> Vec<String> {
    let text = |row: &Row| {
        let mut json = Vec::new();
        batch.write_json(row, &mut json);
        batch.header(row).into_iter().for_each(|header| header.write_json(&mut json));
        String::from_utf8(json).expect("records are UTF-8")
    };
    batch.rows.iter().map(text).collect()
}

/// A view, a memory, and how a guest would use them.
struct Rig {
    view: View,
    memory: Vec<u8>,
    batch: Batch,
    said: Arc<std::sync::Mutex<Vec<String>>>,
    metrics: Arc<Metrics>,
}

impl Rig {
    fn new() -> Rig {
        let config = Value::Object(vec![
            ("who".into(), "me".into()),
            ("deep".into(), Value::Object(vec![("n".into(), Value::Int(7))])),
        ]);
        let said = Arc::new(std::sync::Mutex::new(Vec::new()));
        let lines = said.clone();
        let log = move |level: LogLevel, line: &str| lines.lock().unwrap().push(format!("{level:?}: {line}"));
        let metrics = Arc::new(Metrics::default());
        let around = Surroundings::new("test".into(), &config, metrics.clone(), log);
        let mut rig = Rig {
            view: View::new(Arc::new(around), Bounds::default()),
            memory: vec![0; 64 << 10],
            batch: batch(),
            said,
            metrics,
        };
        rig.view.begin(&mut rig.batch);
        rig
    }

    /// Puts a text into the memory: where, and how long it is.
    fn text(&mut self, text: &str) -> (i32, i32) {
        self.memory[..text.len()].copy_from_slice(text.as_bytes());
        (0, text.len() as i32)
    }

    fn field(&mut self, path: &str) -> i32 {
        let (ptr, len) = self.text(path);
        number(self.view.field(&mut self.memory, ptr, len))
    }

    fn read(&mut self, ask: impl Fn(&mut View, &mut [u8], i32, i32) -> Answer) -> Result<String, Code> {
        let len = ask(&mut self.view, &mut self.memory, 1000, 4096)? as usize;
        Ok(String::from_utf8(self.memory[1000..1000 + len].to_vec()).unwrap())
    }

    fn get(&mut self, rec: i32, path: &str) -> Result<String, Code> {
        let field = self.field(path);
        self.read(|view, memory, buf, cap| view.get(memory, rec, field, buf, cap))
    }

    fn set_json(&mut self, rec: i32, path: &str, json: &str) -> Answer {
        let field = self.field(path);
        let (ptr, len) = self.text(json);
        self.view.set_json(&mut self.memory, rec, field, ptr, len)
    }

    fn set_str(&mut self, rec: i32, field: i32, text: &str) -> Answer {
        let (ptr, len) = self.text(text);
        self.view.set_str(&mut self.memory, rec, field, ptr, len)
    }

    fn commit(&mut self) -> (Effects, Vec<String>) {
        let effects = self.view.commit(&mut self.batch);
        let texts = texts(&self.batch);
        (effects, texts)
    }
}

#[test]
fn reads_every_kind_of_value() {
    let mut rig = Rig::new();
    for (rec, path, want) in [
        (0, "level", Ok("info")),
        (0, "user.name", Ok("a")),
        (0, "user.tags[-1]", Ok("y\n")),
        (0, "user", Ok(r#"{"name":"a","tags":["x","y\n"]}"#)),
        (1, "level", Ok("twice")),
        (1, "n", Ok("-7.5e3")),
        (2, "a.b", Ok("1")),
        (2, "big", Ok("123456789012345678901234567890")),
        (2, "nothing", Ok("null")),
        (3, "level", Err(Code::Absent)),
        (0, "@tag", Ok("wasm")),
        (0, "@time", Ok("1000000001")),
        (4, "level", Err(Code::Invalid)),
        (-1, "level", Err(Code::Invalid)),
    ] {
        assert_eq!(rig.get(rec, path).as_deref(), want.as_ref().copied(), "{path} of {rec}");
    }
    let kinds = [
        (0, "ok", 1),
        (0, "n", 2),
        (1, "n", 3),
        (2, "big", 2),
        (0, "level", 4),
        (0, "user.tags", 6),
        (2, "nothing", 0),
    ];
    for (rec, path, kind) in kinds {
        let field = rig.field(path);
        assert_eq!(rig.view.kind(&mut rig.memory, rec, field), Ok(kind), "{path}");
    }
    let (n, big, ok) = (rig.field("n"), rig.field("big"), rig.field("ok"));
    assert_eq!(rig.view.get_i64(&mut rig.memory, 0, n, 8), Ok(0));
    assert_eq!(rig.memory[8..16], 1_i64.to_le_bytes());
    assert_eq!(rig.view.get_i64(&mut rig.memory, 1, n, 8), Err(Code::WrongType));
    assert_eq!(rig.view.get_i64(&mut rig.memory, 2, big, 8), Err(Code::WrongType));
    assert_eq!(rig.view.get_f64(&mut rig.memory, 1, n, 8), Ok(0));
    assert_eq!(rig.memory[8..16], (-7500.0_f64).to_le_bytes());
    assert_eq!(rig.view.get_bool(&mut rig.memory, 0, ok), Ok(1));
    assert_eq!(rig.view.get_bool(&mut rig.memory, 0, n), Err(Code::WrongType));
    assert_eq!(rig.field("level"), rig.field("level"));
    assert_eq!((rig.field("a..b"), rig.field("")), (Code::BadText as i32, Code::BadText as i32));
}

#[test]
fn a_buffer_that_is_too_small_is_let_be() {
    let mut rig = Rig::new();
    let level = rig.field("level");
    rig.memory[100..104].fill(7);
    assert_eq!(rig.view.get(&mut rig.memory, 0, level, 100, 3), Ok(4));
    assert_eq!(rig.memory[100..104], [7; 4]);
    assert_eq!(rig.view.get(&mut rig.memory, 0, level, -4, 4), Err(Code::Invalid));
    assert_eq!(rig.view.get(&mut rig.memory, 0, level, i32::MAX, -1), Err(Code::Invalid));
    let end = rig.memory.len() as i32;
    assert_eq!(rig.view.get(&mut rig.memory, 0, level, end - 4, 4), Ok(4));
    assert_eq!(rig.view.get(&mut rig.memory, 0, level, end - 3, 4), Err(Code::Invalid));
    assert_eq!(rig.view.get(&mut rig.memory, 0, level, end, 0), Ok(4));
}

#[test]
fn changes_stand_when_the_call_does() {
    let mut rig = Rig::new();
    let (level, tag, time, host) = (rig.field("level"), rig.field("@tag"), rig.field("@time"), rig.field("@host.name"));
    assert_eq!(rig.set_str(0, level, "é\"x"), Ok(0));
    assert_eq!(rig.set_str(0, tag, "x"), Err(Code::Denied));
    assert_eq!(rig.set_str(0, host, "x"), Err(Code::Denied));
    assert_eq!(rig.set_str(0, time, "x"), Err(Code::WrongType));
    assert_eq!(rig.view.set_i64(&mut rig.memory, 0, time, 5), Ok(0));
    assert_eq!(rig.view.timestamp(&mut rig.memory, 0), 5);
    assert_eq!(rig.view.set_f64(&mut rig.memory, 0, level, f64::NAN), Err(Code::Invalid));
    assert_eq!(rig.set_json(1, "user", r#"{"a":[1,{"b":null}]}"#), Ok(0));
    assert_eq!(rig.set_json(1, "user", "{"), Err(Code::BadText));
    assert_eq!(rig.set_json(1, "user", &"[".repeat(200)), Err(Code::Full));
    rig.memory[..2].copy_from_slice(b"\xff\xfe");
    assert_eq!(rig.view.set_str(&mut rig.memory, 0, level, 0, 2), Err(Code::BadText));
    let severity = rig.field("@severity");
    assert_eq!(rig.set_str(3, severity, "warn"), Ok(0));
    let b = rig.field("a.b");
    assert_eq!(rig.view.remove(&mut rig.memory, 2, b), Ok(1));
    assert_eq!(rig.view.remove(&mut rig.memory, 2, b), Ok(0));
    assert_eq!(rig.view.remove(&mut rig.memory, 2, tag), Err(Code::Denied));
    assert_eq!(rig.get(1, "level").as_deref(), Ok("twice"));
    let (effects, texts) = rig.commit();
    assert!(effects.is_plain());
    assert_eq!(texts[0], r#"{"level":"é\"x","n":1,"user":{"name":"a","tags":["x","y\n"]},"ok":true}"#);
    assert_eq!(texts[1], r#"{"level":"warn","n":-7.5e3,"user":{"a":[1,{"b":null}]},"level":"twice"}"#);
    assert_eq!(texts[2], r#"{"a":{},"big":123456789012345678901234567890,"nothing":null}"#);
    assert_eq!(texts[3], r#"{}{"severity":"warn"}"#);
    // Between calls there is nothing to be had.
    assert_eq!(rig.view.drop(&mut rig.memory, 0), Err(Code::Invalid));
    assert_eq!(rig.set_str(0, level, "x"), Err(Code::Invalid));
}

#[test]
fn walks_over_texts_and_changes_them() {
    let mut rig = Rig::new();
    assert_eq!(rig.view.each(&mut rig.memory, 0, 1 << 4), Ok(0));
    let mut seen = Vec::new();
    while let Ok(text) = rig.read(|view, memory, buf, cap| view.next(memory, buf, cap)) {
        let path = rig.read(|view, memory, buf, cap| view.path(memory, buf, cap)).unwrap();
        assert_eq!(rig.get(0, &path).as_deref(), Ok(&*text));
        assert_eq!(rig.set_str(0, AT, "*"), Ok(0));
        assert_eq!(rig.read(|view, memory, buf, cap| view.get(memory, 0, AT, buf, cap)).as_deref(), Ok("*"));
        seen.push(path);
    }
    assert_eq!(seen, ["level", "user.name", "user.tags[0]", "user.tags[1]"]);
    assert_eq!(rig.set_str(0, AT, "x"), Err(Code::Absent));
    // Another record's walk; removing at it; changes beside it end it.
    assert_eq!(rig.view.each(&mut rig.memory, 2, 1 << 2), Ok(0));
    assert_eq!(rig.read(|view, memory, buf, cap| view.next(memory, buf, cap)).as_deref(), Ok("1"));
    assert_eq!(rig.view.remove(&mut rig.memory, 0, AT), Ok(0), "the walk is over another record");
    assert_eq!(rig.view.remove(&mut rig.memory, 2, AT), Ok(1));
    assert_eq!(rig.set_str(2, AT, "x"), Err(Code::Absent));
    assert_eq!(rig.read(|view, memory, buf, cap| view.next(memory, buf, cap)).as_deref(), Ok("2"));
    let level = rig.field("level");
    assert_eq!(rig.set_str(2, level, "x"), Ok(0));
    assert_eq!(rig.view.next(&mut rig.memory, 0, 0), Err(Code::Absent));
    let (_, texts) = rig.commit();
    assert_eq!(texts[0], r#"{"level":"*","n":1,"user":{"name":"*","tags":["*","*"]},"ok":true}"#);
    assert_eq!(texts[2], r#"{"a":{"b":2},"big":123456789012345678901234567890,"nothing":null,"level":"x"}"#);
}

#[test]
fn records_are_made_dropped_and_told_apart() {
    let mut rig = Rig::new();
    let emit = |rig: &mut Rig, rec: i32, json: &str| {
        let (ptr, len) = rig.text(json);
        rig.view.emit(&mut rig.memory, rec, ptr, len)
    };
    assert_eq!(emit(&mut rig, 0, r#"{"of":0}"#), Ok(4));
    assert_eq!(emit(&mut rig, 1, r#"{"of":1}"#), Ok(5));
    assert_eq!(emit(&mut rig, 0, r#"{"of":0}"#), Ok(6));
    assert_eq!(emit(&mut rig, 4, r#"{"of":4}"#), Ok(7));
    assert_eq!(emit(&mut rig, 0, "[]"), Err(Code::BadText));
    assert_eq!(emit(&mut rig, 8, "{}"), Err(Code::Invalid));
    assert_eq!(rig.view.drop(&mut rig.memory, 1), Ok(0));
    assert_eq!(rig.view.drop(&mut rig.memory, 1), Err(Code::Denied));
    assert_eq!(rig.get(1, "level"), Err(Code::Denied));
    assert_eq!(emit(&mut rig, 1, r#"{"of":"dropped"}"#), Ok(8));
    let (ptr, len) = rig.text("can't");
    assert_eq!(rig.view.fail(&mut rig.memory, 2, ptr, len), Ok(0));
    let (ptr, len) = rig.text("other");
    assert_eq!(rig.view.set_tag(&mut rig.memory, 3, ptr, len), Ok(0));
    assert_eq!(rig.get(3, "@tag").as_deref(), Ok("other"));
    let (ptr, len) = rig.text("a\nb");
    assert_eq!(rig.view.set_tag(&mut rig.memory, 3, ptr, len), Err(Code::BadText));
    let (effects, _) = rig.commit();
    let (mut order, mut ids) = (Vec::new(), Vec::new());
    effects.visit(&rig.batch.rows, |origin, made, row, fate| {
        let mut json = Vec::new();
        rig.batch.write_json(row, &mut json);
        let fate = match fate {
            Fate::Stays => "stays".to_owned(),
            Fate::Tagged(tag) => format!("to {tag}"),
            Fate::Dropped => "dropped".to_owned(),
            Fate::Failed(why) => format!("failed: {why}"),
        };
        let mut id = Vec::new();
        rig.batch.origin(row).write_id(&mut id);
        ids.push(id);
        order.push((origin, made, made.then(|| String::from_utf8(json).unwrap()), fate));
    });
    let made = |origin, json: &str| (origin, true, Some(json.to_owned()), "stays".to_owned());
    let want = [
        (0, false, None, "stays".to_owned()),
        made(0, r#"{"of":0}"#),
        made(0, r#"{"of":4}"#),
        made(0, r#"{"of":0}"#),
        (1, false, None, "dropped".to_owned()),
        made(1, r#"{"of":1}"#),
        made(1, r#"{"of":"dropped"}"#),
        (2, false, None, "failed: can't".to_owned()),
        (3, false, None, "to other".to_owned()),
    ];
    assert_eq!(order, want);
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 9, "each record has an id of its own");
}

#[test]
fn limits_hold() {
    let mut rig = Rig::new();
    rig.view.rollback(&mut rig.batch);
    rig.view.bounds = Bounds { emitted: 2, bytes: 4096, times: 0 };
    rig.view.begin(&mut rig.batch);
    let (ptr, len) = rig.text("{}");
    let made: Vec<Answer> = (0..3).map(|_| rig.view.emit(&mut rig.memory, 0, ptr, len)).collect();
    assert_eq!(made, [Ok(4), Ok(5), Err(Code::Full)]);
    let level = rig.field("level");
    let text = "x".repeat(1000);
    let written: Vec<Answer> = (0..5).map(|_| rig.set_str(0, level, &text)).collect();
    assert_eq!((written[0], written[4]), (Ok(0), Err(Code::Full)));
    for i in 0..MAX_FIELDS {
        rig.field(&format!("f{i}"));
    }
    assert_eq!(rig.field("one_more"), Code::Full as i32);
}

#[test]
fn surroundings_answer() {
    let mut rig = Rig::new();
    let config = |rig: &mut Rig, key: &str| {
        let (ptr, len) = rig.text(key);
        rig.read(|view, memory, buf, cap| view.config(memory, ptr, len, buf, cap))
    };
    assert_eq!(config(&mut rig, "who").as_deref(), Ok("me"));
    assert_eq!(config(&mut rig, "deep.n").as_deref(), Ok("7"));
    assert_eq!(config(&mut rig, "").as_deref(), Ok(r#"{"who":"me","deep":{"n":7}}"#));
    assert_eq!(config(&mut rig, "absent"), Err(Code::Absent));
    assert_eq!(config(&mut rig, "@tag"), Err(Code::Absent));
    assert_eq!(config(&mut rig, "["), Err(Code::BadText));
    let (ptr, len) = rig.text("hello");
    assert_eq!(rig.view.log(&mut rig.memory, 4, ptr, len), Err(Code::Invalid));
    for _ in 0..500 {
        assert_eq!(rig.view.log(&mut rig.memory, 2, ptr, len), Ok(0));
    }
    let said = rig.said.lock().unwrap().clone();
    assert!(said.len() <= 202 && said[0] == "Info: hello", "{} lines", said.len());
    let (ptr, len) = rig.text("hits");
    assert_eq!(rig.view.counter(&mut rig.memory, ptr, len, 3), Ok(0));
    assert_eq!(rig.view.counter(&mut rig.memory, ptr, len, -3), Err(Code::Invalid));
    assert_eq!(rig.view.gauge(&mut rig.memory, ptr, len, 0.5), Ok(0));
    let shown = |rig: &Rig| {
        let mut text = String::new();
        rig.metrics.render(&mut text);
        text
    };
    assert!(shown(&rig).contains("suiro_wasm_custom_total{filter=\"test\",name=\"hits\"} 0"));
    rig.commit();
    assert!(shown(&rig).contains("suiro_wasm_custom_total{filter=\"test\",name=\"hits\"} 3"));
    assert!(shown(&rig).contains("suiro_wasm_custom{filter=\"test\",name=\"hits\"} 0.5"));
    let (ptr, len) = rig.text("Bad Name");
    assert_eq!(rig.view.counter(&mut rig.memory, ptr, len, 1), Err(Code::BadText));
    let answers: Vec<Answer> = (0..MAX_FIELDS)
        .map(|i| {
            let (ptr, len) = rig.text(&format!("name_{i}"));
            rig.view.counter(&mut rig.memory, ptr, len, 1)
        })
        .collect();
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 62);
}

/// Texts that lie about in the memory, at multiples of 64.
const LYING: [&str; 16] = [
    "level",
    "n",
    "user.name",
    "user.tags[0]",
    "a.b",
    "@time",
    "@tag",
    "@severity",
    "@attributes.x",
    "{}",
    r#"{"x":[1,"y"]}"#,
    "[1,2]",
    "\"text\"",
    "nonsense{",
    "\u{e9}",
    "new.deep.key",
];

/// Arguments as guests give them: sound ones, near misses, and anything.
fn argument() -> impl Strategy<Value = i64> {
    prop_oneof![
        4 => 0..12_i64,
        3 => (0..16_i64).prop_map(|i| i * 64),
        2 => 1..20_i64,
        1 => Just(i64::from(AT)),
        1 => prop_oneof![Just(0x10000), Just(0xffff), Just(-1), Just(i64::from(i32::MIN)), Just(0x7fff_fff0)],
        1 => any::<i64>(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Whatever a guest calls with whatever arguments: nothing panics, a call that is taken back leaves no trace, and one
    /// that stands leaves records that are sound.
    #[test]
    fn any_sequence_of_calls_is_borne(calls in proptest::collection::vec(
        (0..FUNCTIONS.len(), proptest::collection::vec(argument(), 5)), 0..60
    )) {
        let mut rig = Rig::new();
        rig.view.bounds = Bounds { emitted: 5, bytes: 8 << 10, times: 1 };
        for (i, text) in LYING.iter().enumerate() {
            rig.memory[i * 64..i * 64 + text.len()].copy_from_slice(text.as_bytes());
        }
        let len = rig.memory.len();
        let play = |rig: &mut Rig| {
            for (function, args) in &calls {
                let mut args = args.iter().copied();
                call(&mut rig.view, &mut rig.memory, *function, || args.next().unwrap_or(0));
            }
        };
        play(&mut rig);
        prop_assert_eq!(rig.memory.len(), len);
        rig.view.rollback(&mut rig.batch);
        prop_assert_eq!(texts(&rig.batch), RECORDS);
        prop_assert_eq!(rig.batch.used(), batch().used());

        rig.view.begin(&mut rig.batch);
        play(&mut rig);
        let effects = rig.view.commit(&mut rig.batch);
        prop_assert_eq!(rig.batch.len(), 4 + effects.emitted());
        for row in &rig.batch.rows {
            let mut json = Vec::new();
            rig.batch.write_json(row, &mut json);
            let mut again = empty_batch();
            again.heap_mut().extend_from_slice(&json);
            prop_assert!(again.parse_json(0..json.len()).is_ok(), "{}", String::from_utf8_lossy(&json));
        }
        let mut visited = 0;
        let mut last = 0;
        effects.visit(&rig.batch.rows, |origin, _, _, _| {
            visited += 1;
            assert!(origin >= last && origin < 4);
            last = origin;
        });
        prop_assert_eq!(visited, rig.batch.len());
    }
}
