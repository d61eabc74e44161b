//! Whether a segment document is one.
//!
//! A document is at most 64 kB. A segment has a name (1 to 200 of letters, digits, white space and `_.:/%&#=+\-@`), an id
//! (16 hex digits), a trace id (`1-8hex-24hex`), a start, and an end or `in_progress`. A subsegment by itself has
//! `type = "subsegment"` and a `parent_id`; one inside of another needs no trace id. `namespace` is `aws` or `remote`.
//!
//! `ParseError`, `MissingId` and `InvalidName` are codes the service is known to use, and the others made after them.
//! Annotations that the service would not index (other types than text, number and bool, names with other characters than
//! letters, digits, `_` and `.`, more than 50) are refused here, so that a test sees them.

use serde_json::{Map, Value, json};

use super::hex;

const MAX_BYTES: usize = 64 << 10;
const MAX_ANNOTATIONS: usize = 50;
const DAY: f64 = 86_400.0;

/// Why a document is not taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Problem {
    id: Option<String>,
    code: &'static str,
    kind: &'static str,
}

// === impl Problem ===

impl Problem {
    /// An entry of `UnprocessedTraceSegments`.
    pub(super) fn value(&self) -> Value {
        let Problem { id, code, kind } = self;
        let mut value = json!({ "ErrorCode": code, "Message": format!("Invalid {kind}. ErrorCode: {code}") });
        if let Some(id) = id {
            value["Id"] = id.as_str().into();
        }
        value
    }
}

/// The ids of the segment and of its trace. `now` in seconds since 1970.
pub(super) fn check(document: &str, now: f64) -> Result<(String, String), Problem> {
    let unread = |code| Problem { id: None, code, kind: "segment" };
    let Ok(Value::Object(segment)) = serde_json::from_str::<Value>(document) else { return Err(unread("ParseError")) };
    let kind = if segment.get("type").is_some_and(|kind| kind == "subsegment") { "subsegment" } else { "segment" };
    let id = segment.get("id").and_then(Value::as_str).map(str::to_owned);
    let problem = |code| Problem { id: id.clone(), code, kind };
    if document.len() > MAX_BYTES {
        return Err(problem("SegmentTooLarge"));
    }
    let mut annotations = 0;
    entity(&segment, now, &mut annotations).map_err(problem)?;
    if annotations > MAX_ANNOTATIONS {
        return Err(problem("TooManyAnnotations"));
    }
    let trace_id = segment.get("trace_id").and_then(Value::as_str).ok_or_else(|| problem("MissingTraceId"))?;
    if !is_trace_id(trace_id) {
        return Err(problem("InvalidTraceId"));
    }
    match (segment.get("type"), segment.get("parent_id").map(|id| id.as_str().is_some_and(|id| hex(id, 16)))) {
        (_, Some(false)) => return Err(problem("InvalidParentId")),
        (Some(Value::String(kind)), None) if kind == "subsegment" => return Err(problem("MissingParentId")),
        (Some(Value::String(kind)), _) if kind == "subsegment" => {}
        (None, _) => {}
        _ => return Err(problem("InvalidType")),
    }
    Ok((id.clone().unwrap_or_default(), trace_id.to_owned()))
}

fn is_trace_id(id: &str) -> bool {
    let [version, epoch, unique] = id.split('-').collect::<Vec<_>>()[..] else { return false };
    version == "1" && hex(epoch, 8) && hex(unique, 24)
}

/// What segments and subsegments have in common.
fn entity(entity: &Map<String, Value>, now: f64, annotations: &mut usize) -> Result<(), &'static str> {
    match entity.get("id").map(Value::as_str) {
        None => return Err("MissingId"),
        Some(Some(id)) if hex(id, 16) => {}
        Some(_) => return Err("InvalidId"),
    }
    match entity.get("name").map(Value::as_str) {
        None => return Err("MissingName"),
        Some(Some(name)) if is_name(name) => {}
        Some(_) => return Err("InvalidName"),
    }
    let start = entity.get("start_time").ok_or("MissingStartTime")?.as_f64().ok_or("InvalidStartTime")?;
    // Milliseconds or nanoseconds in the place of seconds.
    if start < 0.0 || start > now + DAY {
        return Err("InvalidStartTime");
    }
    match (entity.get("end_time"), entity.get("in_progress")) {
        (Some(end), None | Some(Value::Bool(false))) if end.as_f64().is_some_and(|end| end <= now + DAY) => {}
        (None, Some(Value::Bool(true))) => {}
        (None, _) => return Err("MissingEndTime"),
        (Some(_), _) => return Err("InvalidEndTime"),
    }
    for flag in ["error", "fault", "throttle"] {
        if entity.get(flag).is_some_and(|flag| !flag.is_boolean()) {
            return Err("InvalidFlag");
        }
    }
    if entity.get("namespace").is_some_and(|namespace| namespace != "aws" && namespace != "remote") {
        return Err("InvalidNamespace");
    }
    for name in ["http", "aws", "sql", "metadata", "service"] {
        if entity.get(name).is_some_and(|value| !value.is_object()) {
            return Err("InvalidBlock");
        }
    }
    let http = |part: &str, name: &str| entity.get("http")?.get(part)?.get(name);
    if http("response", "status").is_some_and(|status| !status.is_u64())
        || http("response", "content_length").is_some_and(|length| !length.is_u64())
    {
        return Err("InvalidHttp");
    }
    match entity.get("cause") {
        None => {}
        Some(Value::String(id)) if hex(id, 16) => {}
        Some(Value::Object(cause)) => cause_of(cause)?,
        Some(_) => return Err("InvalidCause"),
    }
    match entity.get("annotations") {
        None => {}
        Some(Value::Object(all)) => {
            *annotations += all.len();
            let good = |(name, value): (&String, &Value)| {
                let letters = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.'));
                letters && !name.is_empty() && (value.is_string() || value.is_number() || value.is_boolean())
            };
            if !all.iter().all(good) {
                return Err("InvalidAnnotation");
            }
        }
        Some(_) => return Err("InvalidAnnotation"),
    }
    match entity.get("subsegments") {
        None => Ok(()),
        Some(Value::Array(all)) => all.iter().try_for_each(|one| {
            let one = one.as_object().ok_or("ParseError")?;
            self::entity(one, now, annotations)
        }),
        Some(_) => Err("ParseError"),
    }
}

fn is_name(name: &str) -> bool {
    let allowed = |c: char| c.is_alphanumeric() || c.is_whitespace() || r"_.:/%&#=+\-@".contains(c);
    (1..=200).contains(&name.chars().count()) && name.chars().all(allowed)
}

fn cause_of(cause: &Map<String, Value>) -> Result<(), &'static str> {
    let Some(exceptions) = cause.get("exceptions") else { return Ok(()) };
    let exceptions = exceptions.as_array().ok_or("InvalidCause")?;
    for exception in exceptions {
        let id = exception.get("id").and_then(Value::as_str).is_some_and(|id| hex(id, 16));
        let stack = exception.get("stack").is_none_or(|stack| {
            let frames = stack.as_array().map(Vec::as_slice);
            frames.is_some_and(|frames| frames.iter().all(|frame| frame.get("line").is_none_or(Value::is_i64)))
        });
        if !id || !stack {
            return Err("InvalidCause");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment() -> Value {
        json!({
            "id": "0123456789abcdef", "trace_id": "1-58406520-a006649127e371903a2de979", "name": "shop: a/b",
            "start_time": 1_795_000_000.5, "end_time": 1_795_000_001.0,
        })
    }

    #[test]
    fn segments_are_looked_at() {
        let judge = |change: &dyn Fn(&mut Value)| {
            let mut value = segment();
            change(&mut value);
            check(&value.to_string(), 1_795_000_010.0).map_err(|problem| problem.code)
        };
        assert!(judge(&|_| {}).is_ok());
        assert!(judge(&|s| s["annotations"] = json!({ "a_1": 1, "b.c": "x", "c": false })).is_ok());
        let own = json!({ "id": "0123456789abcde0", "name": "x", "start_time": 1.0, "in_progress": true });
        assert!(judge(&|s| s["subsegments"] = json!([own])).is_ok());
        let cases: [(&str, Value, &str); 17] = [
            ("id", Value::Null, "InvalidId"),
            ("id", json!("0123456789abcdeg"), "InvalidId"),
            ("name", json!(""), "InvalidName"),
            ("name", json!("a?b"), "InvalidName"),
            ("name", json!("x".repeat(201)), "InvalidName"),
            ("trace_id", json!("58406520a006649127e371903a2de979"), "InvalidTraceId"),
            ("start_time", json!("1"), "InvalidStartTime"),
            ("start_time", json!(1_795_000_000_500_i64), "InvalidStartTime"),
            ("in_progress", json!(true), "InvalidEndTime"),
            ("type", json!("subsegment"), "MissingParentId"),
            ("parent_id", json!("1"), "InvalidParentId"),
            ("namespace", json!("local"), "InvalidNamespace"),
            ("annotations", json!({ "a b": 1 }), "InvalidAnnotation"),
            ("annotations", json!({ "a": [1] }), "InvalidAnnotation"),
            ("http", json!({ "response": { "status": "200" } }), "InvalidHttp"),
            ("cause", json!({ "exceptions": [{ "message": "x" }] }), "InvalidCause"),
            ("subsegments", json!([{ "id": "0123456789abcdef" }]), "MissingName"),
        ];
        for (name, value, code) in cases {
            assert_eq!(judge(&|s| s[name] = value.clone()), Err(code), "{name} = {value}");
        }
        for (name, code) in [("id", "MissingId"), ("trace_id", "MissingTraceId"), ("end_time", "MissingEndTime")] {
            let without = judge(&|s| {
                s.as_object_mut().unwrap().remove(name);
            });
            assert_eq!(without, Err(code));
        }
        assert_eq!(judge(&|s| s["metadata"] = json!({ "x": "x".repeat(64 << 10) })), Err("SegmentTooLarge"));
    }

    #[test]
    fn what_has_no_id_is_told_without_one() {
        let problem = check("[]", 0.0).unwrap_err();
        let told = json!({ "ErrorCode": "ParseError", "Message": "Invalid segment. ErrorCode: ParseError" });
        assert_eq!(problem.value(), told);
    }
}
