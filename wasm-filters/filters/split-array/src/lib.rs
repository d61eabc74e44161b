//! `split-array`: makes a record of each item of a list.
//!
//! | setting | default | |
//! | --- | --- | --- |
//! | `field` | required | a path: where the list is |
//! | `into` | where the list was | a path: where the item goes |
//! | `merge` | `false` | an item that is a map is laid over the record's own fields instead |
//! | `index_field` | none | a path: the item's number, from 0 |
//! | `empty` | `"keep"` | what becomes of a record whose list is empty: `"keep"` or `"drop"` |
//! | `max_records` | 1000 | most records out of one; a longer list fails the record |
//!
//! The first item stays in the record itself, the others go into new ones behind it, with the other fields, the time, the
//! tag, and where it came from. A record without a list under `field` goes on as it is.

use suiro_filter::json::{Object, elements, members};
use suiro_filter::{Config, Error, Field, Kind, Record, Setup, Verdict, filter};

/// The filter's state.
pub struct Split {
    field: Field,
    into: Field,
    index_field: Option<Field>,
    merge: bool,
    empty: Verdict,
    max_records: usize,
}

impl Setup for Split {
    fn setup(config: &Config) -> Result<Split, String> {
        config.only(&["field", "into", "merge", "index_field", "empty", "max_records"])?;
        let path: String = config.require("field", "\"records\"")?;
        let field = |name: &str, path: &str| Field::parse(path).map_err(|error| format!("`{name}`: {error}"));
        let into: String = config.get_or("into", path.clone())?;
        let index_field: Option<String> = config.get("index_field")?;
        let empty = match &*config.get_or("empty", "keep".to_owned())? {
            "keep" => Verdict::Keep,
            "drop" => Verdict::Drop,
            other => return Err(format!("`empty` is \"keep\" or \"drop\", and is \"{other}\"")),
        };
        let max_records: i64 = config.get_or("max_records", 1000)?;
        Ok(Split {
            field: field("field", &path)?,
            into: field("into", &into)?,
            index_field: index_field.map(|path| field("index_field", &path)).transpose()?,
            merge: config.get_or("merge", false)?,
            empty,
            max_records: usize::try_from(max_records)
                .ok()
                .filter(|most| (1..=100_000).contains(most))
                .ok_or_else(|| format!("`max_records` is from 1 to 100000, and is {max_records}"))?,
        })
    }
}

/// The filter.
#[filter]
pub fn split_array(record: &mut Record, split: &mut Split) -> suiro_filter::Result {
    if record.kind(&split.field) != Some(Kind::List) {
        return Ok(Verdict::Keep);
    }
    let list = record.text(&split.field).unwrap_or_default();
    let count = elements(list).count();
    if count == 0 {
        return Ok(split.empty);
    }
    if count > split.max_records {
        return Err(format!("the list has {count} items, more than `max_records` = {}", split.max_records).into());
    }
    record.remove(&split.field)?;
    let rest = record.json();
    for (i, item) in elements(list).enumerate().skip(1) {
        fill(&record.emit(rest)?, split, i, item)?;
    }
    fill(record, split, 0, elements(list).next().unwrap_or("null"))?;
    Ok(Verdict::Keep)
}

/// Puts an item where it belongs.
fn fill(record: &Record, split: &Split, i: usize, item: &str) -> Result<(), Error> {
    if split.merge && item.starts_with('{') {
        record.replace_json(&over(record.json(), item))?;
    } else {
        record.set_json(&split.into, item)?;
    }
    match &split.index_field {
        Some(field) => record.set(field, i),
        None => Ok(()),
    }
}

/// A map laid over another: its members count where both have one.
fn over(below: &str, above: &str) -> String {
    let kept = members(below).filter(|(key, _)| !members(above).any(|(other, _)| other == *key));
    kept.chain(members(above)).fold(Object::new(), |object, (key, value)| object.json(&key, value)).finish()
}

#[cfg(test)]
mod tests {
    use suiro_filter::testing::{Host, set_up_with};

    use super::*;

    #[test]
    fn the_sample_is_split() {
        let outcome = Host::new().check_sample(split_array, env!("CARGO_MANIFEST_DIR"));
        assert_eq!(outcome.failures(), [""; 0]);
    }

    #[test]
    fn items_are_merged_and_empty_lists_dropped() {
        let config = r#"{"field":"l","merge":true,"index_field":"i","empty":"drop"}"#;
        let lines = [r#"{"a":1,"l":[{"a":2,"b":"x"},3,{}],"z":0}"#, r#"{"l":[]}"#];
        let outcome = Host::new().config(config).run(split_array, &lines).unwrap();
        let want = [r#"{"z":0,"a":2,"b":"x","i":0}"#, r#"{"a":1,"z":0,"l":3,"i":1}"#, r#"{"a":1,"z":0,"i":2}"#];
        assert_eq!((outcome.lines(), outcome.dropped()), (want.map(str::to_owned).to_vec(), 1));
    }

    #[test]
    fn a_list_that_is_too_long_fails() {
        let config = r#"{"field":"l","max_records":2}"#;
        let outcome = Host::new().config(config).run(split_array, &[r#"{"l":[1,2,3]}"#, r#"{"l":[1,2]}"#]).unwrap();
        assert_eq!(outcome.failures(), ["the list has 3 items, more than `max_records` = 2"]);
        assert_eq!(outcome.lines(), [r#"{"l":1}"#, r#"{"l":2}"#]);
    }

    #[test]
    fn settings_that_are_wrong_are_named() {
        let wrong = |json: &str| set_up_with::<Split>(json).err().expect("it is wrong");
        assert!(wrong("{}").contains("`field` is missing"));
        assert!(wrong(r#"{"field":"l","max_records":0}"#).contains("from 1 to 100000"));
        assert!(wrong(r#"{"field":"l","empty":"x"}"#).contains("`empty`"));
    }
}
