//! `PutLogEvents`.
//!
//! The whole request is refused for: no events or more than 10,000; an empty message; an event beyond the event limit; more
//! than 1,048,576 bytes, each event counting for its bytes in UTF-8 and 26 more; events out of order; more than 24 hours
//! between the first and the last of those that are valid; a group or a stream that is not there.
//!
//! Events that are more than 14 days old, older than the group keeps them, or more than 2 hours ahead are left out, and an
//! answer of 200 says which: up to `tooOldLogEventEndIndex` and `expiredLogEventEndIndex` (both exclusive), and from
//! `tooNewLogEventStartIndex` (inclusive). The sequence token is ignored. An entity that is not valid is left out, too.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{group_name, invalid, no_group, ok, read, stream_name};
use crate::aws::Node;
use crate::aws::error::Refusal;
use crate::aws::taken::LogEvent;
use crate::http::Answer;

const MAX_EVENTS: usize = 10_000;
const MAX_BYTES: usize = 1_048_576;
/// What an event counts for beside its message.
const OVERHEAD: usize = 26;
const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
const ENTITY_TYPES: [&str; 5] = ["Service", "RemoteService", "AWS::Service", "AWS::Resource", "Resource"];
const ENTITY_KEYS: [&str; 5] = ["Type", "ResourceType", "Identifier", "Name", "Environment"];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Put {
    #[serde(default)]
    log_group_name: String,
    #[serde(default)]
    log_stream_name: String,
    #[serde(default)]
    log_events: Vec<Event>,
    entity: Option<Entity>,
}

#[derive(Deserialize)]
struct Event {
    timestamp: i64,
    message: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entity {
    #[serde(default)]
    key_attributes: BTreeMap<String, String>,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
}

/// Which events of a request are valid: those from `start` to `end`.
#[derive(Debug, PartialEq, Eq)]
struct Valid {
    start: usize,
    end: usize,
    /// `rejectedLogEventsInfo`
    rejected: Option<Value>,
}

// === impl Node ===

impl Node {
    pub(super) fn put_log_events(&self, body: &[u8]) -> Result<Answer, Refusal> {
        let Put { log_group_name, log_stream_name, log_events, entity } = read(body)?;
        group_name(&log_group_name)?;
        stream_name(&log_stream_name)?;
        check(&log_events, self.options.max_log_event)?;
        let (now, keep) = (self.now(), self.options.keep);
        self.taken.change(|taken| {
            let group = taken.log_groups.get_mut(&log_group_name).ok_or_else(no_group)?;
            let no_stream = || Refusal::new("ResourceNotFoundException", "The specified log stream does not exist.");
            let stream = group.streams.get_mut(&log_stream_name).ok_or_else(no_stream)?;
            let valid = valid(&log_events, now, group.retention)?;
            let mut answer = json!({ "nextSequenceToken": format!("{:056}", self.next()) });
            if let Some(rejected) = valid.rejected {
                answer["rejectedLogEventsInfo"] = rejected;
            }
            match entity.map(Entity::check) {
                Some(Ok(keys)) => {
                    group.entities.insert(keys);
                }
                Some(Err(why)) => answer["rejectedEntityInfo"] = json!({ "errorType": why }),
                None => {}
            }
            group.count += valid.end - valid.start;
            if keep {
                let events = log_events.into_iter().take(valid.end).skip(valid.start);
                stream.extend(events.map(|event| LogEvent { time: event.timestamp, message: event.message }));
            }
            Ok(ok(&answer))
        })
    }
}

/// What the whole request is refused for.
fn check(events: &[Event], max_event: usize) -> Result<(), Refusal> {
    let constraint = |value: &str, member: &str, text: &str| {
        Err(Refusal::constraint("InvalidParameterException", value, member, text))
    };
    match events.len() {
        0 => return constraint("[]", "logEvents", "have length greater than or equal to 1"),
        1..=MAX_EVENTS => {}
        _ => return constraint("[...]", "logEvents", "have length less than or equal to 10000"),
    }
    if let Some(at) = events.iter().position(|event| event.message.is_empty()) {
        let member = format!("logEvents.{}.member.message", at + 1);
        return constraint("", &member, "have length greater than or equal to 1");
    }
    if let Some(event) = events.iter().find(|event| event.timestamp < 0) {
        return constraint(&event.timestamp.to_string(), "logEvents", "have value greater than or equal to 0");
    }
    let sizes = || events.iter().map(|event| event.message.len() + OVERHEAD);
    if let Some(size) = sizes().find(|size| *size > max_event) {
        return Err(invalid(&format!("Log event too large: {size} bytes exceeds limit of {max_event}")));
    }
    let size: usize = sizes().sum();
    if size > MAX_BYTES {
        return Err(invalid(&format!("Upload too large: {size} bytes exceeds limit of {MAX_BYTES}")));
    }
    if !events.is_sorted_by_key(|event| event.timestamp) {
        return Err(invalid("Log events in a single PutLogEvents request must be in chronological order."));
    }
    Ok(())
}

/// Which of the events, which are in order, are neither too old nor too new.
fn valid(events: &[Event], now: i64, retention: Option<i64>) -> Result<Valid, Refusal> {
    let before = |time: i64| events.partition_point(|event| event.timestamp < time);
    let too_old = before(now - 14 * DAY);
    let expired = retention.map_or(0, |days| before(now - days * DAY));
    let end = events.partition_point(|event| event.timestamp <= now + 2 * HOUR);
    let start = too_old.max(expired).min(end);
    let mut rejected = serde_json::Map::new();
    if too_old > 0 {
        rejected.insert("tooOldLogEventEndIndex".to_owned(), too_old.into());
    }
    // What is too old for every group is not told twice.
    if expired > too_old {
        rejected.insert("expiredLogEventEndIndex".to_owned(), expired.into());
    }
    if end < events.len() {
        rejected.insert("tooNewLogEventStartIndex".to_owned(), end.into());
    }
    if let [first, .., last] = &events[start..end]
        && last.timestamp - first.timestamp > DAY
    {
        return Err(invalid(
            "The batch of log events in a single PutLogEvents request cannot span more than 24 hours.",
        ));
    }
    Ok(Valid { start, end, rejected: (!rejected.is_empty()).then_some(rejected.into()) })
}

// === impl Entity ===

impl Entity {
    /// Its key attributes, or why it is rejected.
    fn check(self) -> Result<BTreeMap<String, String>, &'static str> {
        let Entity { key_attributes: keys, attributes } = self;
        let Some(kind) = keys.get("Type") else { return Err("MissingRequiredFields") };
        if !ENTITY_TYPES.contains(&kind.as_str()) {
            return Err("InvalidTypeValue");
        }
        let known = keys.keys().all(|name| ENTITY_KEYS.contains(&name.as_str()));
        if !known || !(2..=4).contains(&keys.len()) || keys.values().any(|value| value.is_empty() || value.len() > 512)
        {
            return Err("InvalidKeyAttributes");
        }
        if attributes.len() > 10 || attributes.iter().any(|(name, value)| name.len() > 256 || value.len() > 512) {
            return Err("InvalidAttributes");
        }
        Ok(keys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_795_000_000_000;

    fn events(ages: &[i64]) -> Vec<Event> {
        ages.iter().map(|age| Event { timestamp: NOW - age, message: "x".to_owned() }).collect()
    }

    #[test]
    fn what_is_left_out_is_told_by_index() {
        /// Ages, days of retention, which are valid, and what is told of the others.
        type Case = (&'static [i64], Option<i64>, (usize, usize), Value);
        let cases: [Case; 7] = [
            (&[5, 0], None, (0, 2), Value::Null),
            (&[14 * DAY + 1, 14 * DAY], None, (1, 2), json!({ "tooOldLogEventEndIndex": 1 })),
            (&[DAY + 1, DAY, 0], Some(1), (1, 3), json!({ "expiredLogEventEndIndex": 1 })),
            (&[0, -2 * HOUR, -2 * HOUR - 1], None, (0, 2), json!({ "tooNewLogEventStartIndex": 2 })),
            (
                &[20 * DAY, 4 * DAY, HOUR, -3 * HOUR],
                Some(3),
                (2, 3),
                json!({ "tooOldLogEventEndIndex": 1, "expiredLogEventEndIndex": 2, "tooNewLogEventStartIndex": 3 }),
            ),
            (&[20 * DAY], None, (1, 1), json!({ "tooOldLogEventEndIndex": 1 })),
            (&[-9 * DAY], None, (0, 0), json!({ "tooNewLogEventStartIndex": 0 })),
        ];
        for (ages, retention, (start, end), rejected) in cases {
            let valid = valid(&events(ages), NOW, retention).unwrap();
            let rejected = (!rejected.is_null()).then_some(rejected);
            assert_eq!(valid, Valid { start, end, rejected }, "{ages:?}");
        }
    }

    #[test]
    fn a_day_is_the_most_between_valid_events() {
        assert!(valid(&events(&[DAY, 0]), NOW, None).is_ok());
        assert!(valid(&events(&[DAY + 1, 0]), NOW, None).is_err());
        // What is left out does not count.
        assert!(valid(&events(&[20 * DAY, 0, -DAY]), NOW, None).is_ok());
    }

    #[test]
    fn bytes_count_with_26_for_each_event() {
        let sized = |size: usize| Event { timestamp: 0, message: "x".repeat(size) };
        let half = MAX_BYTES / 2 - OVERHEAD;
        assert!(check(&[sized(half), sized(half)], MAX_BYTES).is_ok());
        let refusal = check(&[sized(half), sized(half + 1)], MAX_BYTES).unwrap_err();
        assert_eq!(refusal.message, "Upload too large: 1048577 bytes exceeds limit of 1048576");
        let refusal = check(&[sized(262_119)], 262_144).unwrap_err();
        assert_eq!(refusal.message, "Log event too large: 262145 bytes exceeds limit of 262144");
        assert!(check(&[sized(262_118)], 262_144).is_ok());
    }
}
