//! The bodies of the fuzz targets: bytes in, a panic where the batch and its model differ.

use std::sync::Arc;

use suiro_record::{Batch, JsonError, NewValue, Path, Row, Scope, Source, Utf8Report, Value};

use crate::generate::Choices;
use crate::model::{Model, ModelPath};
use crate::oracle;

/// A batch of no records.
pub(crate) fn empty() -> Batch {
    let source = Arc::new(Source::new("in".into(), 1));
    Batch::new("t".into(), Arc::new(Scope::new(source)), 0)
}

/// Adds a record of that text.
pub(crate) fn push(batch: &mut Batch, json: &[u8]) -> Result<usize, JsonError> {
    let from = batch.heap().len();
    batch.heap_mut().extend_from_slice(json);
    let root = batch.parse_json(from..from + json.len())?;
    batch.rows.push(Row::new(root, 0, from as u64, (from + json.len()) as u64));
    Ok(batch.rows.len() - 1)
}

/// The record as text.
pub(crate) fn written(batch: &Batch, row: usize) -> String {
    let mut out = Vec::new();
    batch.write_json(&batch.rows[row], &mut out);
    String::from_utf8(out).expect("what is written is UTF-8")
}

/// Any bytes as a text: taken or refused as `serde_json` does, and read as the same tree. Twice, so that keys are guessed;
/// and with a text behind it that must not be looked at.
pub(crate) fn json(data: &[u8]) {
    let mut batch = empty();
    let expected = oracle::read(data);
    for behind in [&b""[..], b"\"}]0 tail that is longer than sixteen bytes", b"\n{\"a\":1}\n"] {
        let from = batch.heap().len();
        batch.heap_mut().extend_from_slice(data);
        if batch.check_utf8(from) == Utf8Report::Invalid {
            assert_eq!(expected, None);
            let (span, repaired) = batch.repair_utf8(from..from + data.len());
            assert!(repaired);
            assert_eq!(&batch.heap()[span], String::from_utf8_lossy(data).as_bytes());
            return;
        }
        batch.heap_mut().extend_from_slice(behind);
        match batch.parse_json(from..from + data.len()) {
            Ok(root) => {
                let value = batch.body(root).to_value();
                assert_eq!(Some(&value), expected.as_ref());
                let mut out = Vec::new();
                batch.body(root).write_json(&mut out);
                assert_eq!(oracle::read(&out), expected);
                assert!(!out.contains(&b'\n') && !out.contains(&b'\r'));
                let wrapped = batch.wrap_body(root);
                assert_eq!(batch.body(wrapped).to_value().get("log"), expected.as_ref());
            }
            Err(_) => assert_eq!(expected, None),
        }
    }
}

/// A few records, and edits of them: after each step every record is what the model says, by look-up and as text.
pub(crate) fn edits(data: &[u8]) {
    let mut choices = Choices(data);
    let mut batch = empty();
    let mut models = Vec::new();
    for _ in 0..2 {
        let mut text = String::new();
        choices.json(&mut text);
        push(&mut batch, text.as_bytes()).expect("generated JSON parses");
        let body = oracle::read(text.as_bytes()).expect("generated JSON parses");
        models.push(Model { body, header: Value::Object(Vec::new()) });
    }
    check(&batch, &models);
    let mut steps = 0;
    while !choices.is_empty() && steps < 64 {
        steps += 1;
        step(&mut choices, &mut batch, &mut models);
        check(&batch, &models);
    }
}

fn step(choices: &mut Choices, batch: &mut Batch, models: &mut Vec<Model>) {
    let row = choices.pick(models.len());
    let path = ModelPath::choose(choices);
    let parsed = Path::parse(&path.text()).expect("generated paths parse");
    match choices.pick(12) {
        0..=3 => {
            let value = choices.value(2);
            let done = batch.set(row, &parsed, NewValue::Tree(&value));
            assert_eq!(done.is_ok(), models[row].set(&path, value).is_ok(), "set {parsed}: {done:?}");
        }
        4 | 5 => {
            let resolved = batch.resolve(&parsed);
            assert_eq!(batch.remove(row, &resolved), models[row].remove(&path), "remove {parsed}");
        }
        6 | 7 => {
            let to = ModelPath::choose(choices);
            let done = batch.rename(row, &parsed, &Path::parse(&to.text()).expect("generated paths parse"));
            assert_eq!(done.ok(), models[row].rename(&path, &to).ok(), "rename {parsed} to {}", to.text());
        }
        8 => {
            let to = ModelPath::choose(choices);
            let done = batch.copy(row, &parsed, &Path::parse(&to.text()).expect("generated paths parse"));
            assert_eq!(done.ok(), models[row].copy(&path, &to).ok(), "copy {parsed} to {}", to.text());
        }
        9 => {
            let (key, value) = (choices.key(), choices.value(1));
            batch.append(batch.rows[row].root(), key, NewValue::Tree(&value)).expect("there is room");
            let Value::Object(members) = &mut models[row].body else { panic!("bodies are maps") };
            members.push((key.to_owned(), value));
        }
        10 if models.len() < 4 => {
            let original = batch.rows[row];
            let copy = batch.copy_row(&original);
            batch.rows.push(copy);
            models.push(models[row].clone());
        }
        _ => match choices.pick(3) {
            0 => {
                let mut fresh = batch.sibling(batch.tag.clone());
                push(&mut fresh, br#"{"z":{"a":1},"c":2}"#).expect("it parses");
                fresh.rows.clear();
                fresh.import_all(batch, &batch.rows).expect("there is room");
                *batch = fresh;
            }
            1 if models.len() > 1 => {
                batch.rows.remove(row);
                models.remove(row);
                batch.compact();
            }
            _ => *batch = batch.clone(),
        },
    }
    let found = batch.rows.get(row).and_then(|row| batch.get(row, &batch.resolve(&parsed)));
    let expected = models.get(row).and_then(|model| model.get(&path));
    assert_eq!(found.map(|f| oracle::normal(&f.to_value())), expected.map(oracle::normal), "get {parsed}");
}

fn check(batch: &Batch, models: &[Model]) {
    assert_eq!(batch.len(), models.len());
    for (row, model) in batch.rows.iter().zip(models) {
        let expected = oracle::normal(&model.body);
        assert_eq!(oracle::normal(&batch.body(row.root()).to_value()), expected);
        let mut out = Vec::new();
        batch.write_json(row, &mut out);
        assert_eq!(oracle::read(&out).as_ref(), Some(&expected), "{}", String::from_utf8_lossy(&out));
        assert!(!out.contains(&b'\n'), "{}", String::from_utf8_lossy(&out));
        let mut members = b"{".to_vec();
        batch.write_members(row.root(), &mut members);
        members.push(b'}');
        assert_eq!(oracle::read(&members), Some(expected));
        let header = batch.header(row).map_or(Value::Object(Vec::new()), |header| header.to_value());
        assert_eq!(oracle::normal(&header), oracle::normal(&model.header));
    }
}
