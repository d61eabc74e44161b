//! Loki's default limits, and its words for what is beyond them.

use std::collections::{BTreeMap, HashSet};

use jiff::Timestamp;

use super::{Entry, labels};

const LABELS: usize = 15;
const LABEL_NAME: usize = 1024;
const LABEL_VALUE: usize = 2048;
const LINE: usize = 256 << 10;
const METADATA: usize = 64 << 10;
const METADATA_ENTRIES: usize = 128;
const SECOND: i64 = 1_000_000_000;
const OLDEST: i64 = 7 * 24 * 3600 * SECOND;
const AHEAD: i64 = 600 * SECOND;
/// Entries this much older than the newest of their stream are too far behind.
pub(super) const BEHIND: i64 = 3600 * SECOND;

/// A failure: the words all of its kind share, and the whole text.
pub(super) type Failure = (&'static str, String);

/// Bytes of an entry that count.
pub(super) fn size(entry: &Entry) -> usize {
    entry.line.len() + metadata_size(entry)
}

fn metadata_size(entry: &Entry) -> usize {
    entry.metadata.iter().map(|(name, value)| name.len() + value.len()).sum()
}

/// What is wrong with a label set.
pub(super) fn stream(set: &[(String, String)]) -> Result<(), Failure> {
    let shown = labels::show(set);
    let mut names = HashSet::new();
    for (name, value) in set {
        if !names.insert(name) {
            return Err(("duplicate", format!("stream '{shown}' has duplicate label name: '{name}'")));
        }
        if name.len() > LABEL_NAME {
            return Err(("name", format!("stream '{shown}' has label name too long: '{name}'")));
        }
        if value.len() > LABEL_VALUE {
            return Err(("value", format!("stream '{shown}' has label value too long: '{value}'")));
        }
    }
    if set.len() > LABELS {
        let text = format!("entry for stream '{shown}' has {} label names; limit {LABELS}", set.len());
        return Err(("labels", text));
    }
    Ok(())
}

/// What is wrong with an entry of the stream `shown`. Its age is looked at where `now` is given.
pub(super) fn entry(entry: &Entry, shown: &str, now: Option<i64>) -> Result<(), Failure> {
    if let Some(now) = now {
        if entry.time < now - OLDEST {
            let (time, oldest) = (rfc3339(entry.time), rfc3339(now - OLDEST));
            let text = format!(
                "entry for stream '{shown}' has timestamp too old: {time}, oldest acceptable timestamp is: {oldest}"
            );
            return Err(("old", text));
        }
        if entry.time > now + AHEAD {
            return Err(("new", format!("entry for stream '{shown}' has timestamp too new: {}", rfc3339(entry.time))));
        }
    }
    if entry.line.len() > LINE {
        let text = format!(
            "max entry size '{LINE}' bytes exceeded for stream '{shown}' while adding an entry with length '{}' bytes",
            entry.line.len()
        );
        return Err(("line", text));
    }
    let contact = "or contact your Loki administrator to increase it";
    if entry.metadata.len() > METADATA_ENTRIES {
        let text = format!(
            "stream '{shown}' has too many structured metadata labels: '{}', limit: '{METADATA_ENTRIES}'. Please see \
             `limits_config.max_structured_metadata_entries_count` {contact}",
            entry.metadata.len()
        );
        return Err(("metadata entries", text));
    }
    if metadata_size(entry) > METADATA {
        let text = format!(
            "stream '{shown}' has structured metadata too large: '{}' bytes, limit: '{METADATA}' bytes. Please see \
             `limits_config.max_structured_metadata_size` {contact}",
            metadata_size(entry)
        );
        return Err(("metadata", text));
    }
    Ok(())
}

/// One text for all failures of a request.
pub(super) fn join(failures: Vec<Failure>) -> String {
    let mut kinds: BTreeMap<&str, (usize, String)> = BTreeMap::new();
    for (kind, text) in failures {
        kinds.entry(kind).or_insert((0, text)).0 += 1;
    }
    let several = kinds.len() > 1 || kinds.values().any(|(n, _)| *n > 1);
    let each: Vec<String> =
        kinds.into_values().map(|(n, text)| if several { format!("{n} errors like: {text}") } else { text }).collect();
    each.join("; ")
}

/// The first ten that are too far behind, then how many there are.
pub(super) fn too_far_behind(tenant: &str, shown: &str, times: &[i64], all: usize, newest: i64) -> String {
    let oldest = rfc3339(newest - BEHIND);
    let each: String = times
        .iter()
        .take(10)
        .map(|time| {
            let time = rfc3339(*time);
            let spoken = time.replace('T', " ").replace('Z', " +0000 UTC");
            format!(
                "entry with timestamp {spoken} ignored, reason: 'entry too far behind, entry timestamp is: {time}, oldest \
                 acceptable timestamp is: {oldest}',\n"
            )
        })
        .collect();
    format!("{each}user '{tenant}', total ignored: {} out of {all} for stream: {shown}", times.len())
}

pub(super) fn too_many_streams(tenant: &str, shown: &str) -> String {
    format!(
        "maximum active stream limit exceeded when trying to create stream {shown}, reduce the number of active streams \
         (reduce labels or reduce label values), or contact your Loki administrator to see if the limit can be increased, \
         user: '{tenant}'"
    )
}

/// Whole seconds.
fn rfc3339(nanoseconds: i64) -> String {
    match Timestamp::from_second(nanoseconds.div_euclid(SECOND)) {
        Ok(time) => time.to_string(),
        Err(_) => nanoseconds.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown() {
        assert_eq!(rfc3339(-5), "1969-12-31T23:59:59Z");
        assert_eq!(rfc3339(1_795_447_833 * SECOND + 5), "2026-11-23T15:30:33Z");
    }

    #[test]
    fn failures_are_joined() {
        assert_eq!(join(vec![("a", "x".to_owned())]), "x");
        let all = vec![("b", "y".to_owned()), ("a", "x".to_owned()), ("b", "z".to_owned())];
        assert_eq!(join(all), "1 errors like: x; 2 errors like: y");
    }
}
