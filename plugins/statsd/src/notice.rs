//! Events and service checks as log records.
//!
//! | field | event | service check |
//! | --- | --- | --- |
//! | `type` | `event` | `service_check` |
//! | `title`, `text` | what happened | |
//! | `name`, `status` | | which, and `ok`, `warning`, `critical` or `unknown` |
//! | `message` | | why |
//! | `host`, `aggregation_key`, `priority`, `source_type`, `alert_type` | as sent | `host` |
//! | `tags` | a map; a tag without a value is `true` | the same |
//! | `@severity`, `@severity_number` | by `alert_type` | by `status` |

use suiro_sdk::record::{Batch, EditError, Header, NewValue, Row, TimeKind, Value};

use crate::parse::{Check, Event};
use crate::point::attributes;

/// Line ends as they are, which the format writes `\n`.
fn unescaped(text: &str) -> Value {
    Value::from(text.replace("\\n", "\n").as_str())
}

fn write(
    batch: &mut Batch,
    members: Vec<(&str, Option<Value>)>,
    severity: Option<(&str, i64)>,
    (timestamp, now): (Option<i64>, i64),
    at: u64,
) -> Result<(), EditError> {
    let root = batch.new_object();
    for (key, value) in members {
        if let Some(value) = value {
            batch.append(root, key, NewValue::Tree(&value))?;
        }
    }
    let mut row = Row::new(root, now, at, at + 1);
    if let Some(seconds) = timestamp {
        row.time = seconds.saturating_mul(1_000_000_000);
        row.time_kind = TimeKind::Own;
    }
    batch.rows.push(row);
    if let Some((text, number)) = severity {
        let row = batch.rows.len() - 1;
        batch.set_header(row, Header::Severity, NewValue::Str(text))?;
        batch.set_header(row, Header::SeverityNumber, NewValue::Int(number))?;
    }
    Ok(())
}

/// Writes an event.
pub(crate) fn write_event(event: &Event<'_>, now: i64, batch: &mut Batch, at: u64) -> Result<(), EditError> {
    let severity = match event.alert {
        Some("error") => Some(("ERROR", 17)),
        Some("warning") => Some(("WARN", 13)),
        Some("info" | "success") => Some(("INFO", 9)),
        _ => None,
    };
    let tags = attributes(event.tags);
    let members = vec![
        ("type", Some("event".into())),
        ("title", Some(unescaped(event.title))),
        ("text", Some(unescaped(event.text))),
        ("host", event.host.map(Value::from)),
        ("aggregation_key", event.key.map(Value::from)),
        ("priority", event.priority.map(Value::from)),
        ("source_type", event.source.map(Value::from)),
        ("alert_type", event.alert.map(Value::from)),
        ("tags", (!tags.is_empty()).then_some(Value::Object(tags))),
    ];
    write(batch, members, severity, (event.timestamp, now), at)
}

/// Writes a service check.
pub(crate) fn write_check(check: &Check<'_>, now: i64, batch: &mut Batch, at: u64) -> Result<(), EditError> {
    let (status, severity) = match check.status {
        0 => ("ok", Some(("INFO", 9))),
        1 => ("warning", Some(("WARN", 13))),
        2 => ("critical", Some(("ERROR", 17))),
        _ => ("unknown", None),
    };
    let tags = attributes(check.tags);
    let members = vec![
        ("type", Some("service_check".into())),
        ("name", Some(check.name.into())),
        ("status", Some(status.into())),
        ("message", check.message.map(unescaped)),
        ("host", check.host.map(Value::from)),
        ("tags", (!tags.is_empty()).then_some(Value::Object(tags))),
    ];
    write(batch, members, severity, (check.timestamp, now), at)
}
