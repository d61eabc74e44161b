//! What makes records the same.

use sha2::{Digest as _, Sha256};
use suiro_record::{Batch, Kind, Path, Resolved, Row};
use suiro_sdk::lang::{Template, TemplatePrepared};
use suiro_sdk::settings::{Reported, Section};

/// Longer keys are kept as their SHA-256: nobody finds two that share it. Bytes.
const LONG: usize = 64;

/// Which parts of a record make the key.
#[derive(Debug)]
pub(super) enum KeyRule {
    /// The whole body.
    Record,
    Paths(Vec<Path>),
    Text(Template),
}

/// A rule and what it means in one batch.
pub(super) enum KeyPrepared<'r> {
    Record,
    Paths(Vec<Resolved<'r>>),
    Text(TemplatePrepared<'r>),
}

/// A record's key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key(Box<[u8]>);

// === impl KeyRule ===

impl KeyRule {
    pub(super) fn read(settings: &Section) -> Result<KeyRule, Reported> {
        let Some(value) = settings.value("key") else { return Ok(KeyRule::Record) };
        if value.as_str().is_some_and(|text| text.contains('{')) {
            return value.read().map(KeyRule::Text);
        }
        let items = value.one_or_many();
        if items.is_empty() {
            return Err(value.error("`key` is an empty list", "for the whole record leave it out"));
        }
        let paths: Vec<Result<Path, Reported>> = items.iter().map(|item| item.read()).collect();
        paths.into_iter().collect::<Result<_, _>>().map(KeyRule::Paths)
    }

    pub(super) fn prepare(&self, batch: &Batch) -> KeyPrepared<'_> {
        match self {
            KeyRule::Record => KeyPrepared::Record,
            KeyRule::Paths(paths) => KeyPrepared::Paths(paths.iter().map(|path| batch.resolve(path)).collect()),
            KeyRule::Text(template) => KeyPrepared::Text(template.prepare(batch)),
        }
    }
}

// === impl KeyPrepared ===

impl KeyPrepared<'_> {
    /// The key of a record, if it has one. `scratch` is room to work in.
    pub(super) fn of(&self, batch: &Batch, row: &Row, scratch: &mut Vec<u8>) -> Option<Key> {
        scratch.clear();
        match self {
            KeyPrepared::Record => batch.write_json(row, scratch),
            KeyPrepared::Text(template) => template.render(batch, row, scratch).ok()?,
            KeyPrepared::Paths(paths) => {
                let mut any = false;
                for path in paths {
                    let field = batch.get(row, path);
                    any |= field.is_some();
                    // What kind it is, what it says, and a byte that no text holds.
                    match field {
                        None => scratch.push(0),
                        Some(field) if field.kind() == Kind::String => {
                            scratch.push(1);
                            field.write_text(scratch);
                        }
                        Some(field) => {
                            scratch.push(2);
                            field.write_json(scratch);
                        }
                    }
                    scratch.push(0xff);
                }
                if !any {
                    return None;
                }
            }
        }
        Some(Key::new(scratch))
    }
}

// === impl Key ===

impl Key {
    fn new(text: &[u8]) -> Key {
        // Of different lengths, the two forms can't be mistaken for each other.
        if text.len() > LONG {
            let mut long = vec![0xff; LONG + 1];
            long[..32].copy_from_slice(&Sha256::digest(text));
            return Key(long.into());
        }
        Key(text.into())
    }

    /// Memory it takes, in the record's batch and in the table.
    pub(super) fn bytes(&self) -> usize {
        2 * (self.0.len() + size_of::<Key>()) + 32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_kit::Feed;

    #[test]
    fn keys_tell_apart_what_differs() {
        let rule = KeyRule::Paths(vec![Path::key("a"), Path::key("b")]);
        let mut feed = Feed::new(1);
        let long = "x".repeat(100);
        let records = [
            r#"{"a":"x","b":"y"}"#.to_owned(),
            r#"{"a":"xy"}"#.to_owned(),
            r#"{"b":"xy"}"#.to_owned(),
            r#"{"a":1}"#.to_owned(),
            r#"{"a":"1"}"#.to_owned(),
            r#"{"a":null}"#.to_owned(),
            r#"{"a":"null"}"#.to_owned(),
            format!(r#"{{"a":"{long}"}}"#),
            format!(r#"{{"a":"{long}x"}}"#),
        ];
        let flow = feed.batch(&records.iter().map(String::as_str).collect::<Vec<_>>(), true);
        let prepared = rule.prepare(&flow.batch);
        let keys: Vec<Key> =
            flow.batch.rows.iter().map(|row| prepared.of(&flow.batch, row, &mut Vec::new()).unwrap()).collect();
        for (i, key) in keys.iter().enumerate() {
            assert!(!keys[..i].contains(key), "{}", records[i]);
        }
        let same = feed.batch(&[r#"{"z":0,"b":"y","a":"\u0078"}"#, r#"{"z":0}"#], true);
        let prepared = rule.prepare(&same.batch);
        let of = |row: usize| prepared.of(&same.batch, &same.batch.rows[row], &mut Vec::new());
        assert_eq!(of(0).as_ref(), Some(&keys[0]));
        assert_eq!(of(1), None);
        flow.custody.settle();
        same.custody.settle();
    }
}
