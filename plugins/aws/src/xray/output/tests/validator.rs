//! What X-Ray takes for a document, by its reference: an opinion of its own, which shares no code with what writes them.

use serde_json::{Map, Value};

type Check = Result<(), String>;

/// Whether X-Ray would take the text as a segment.
pub(super) fn check(text: &str) -> Check {
    if text.len() > 64_000 {
        return Err(format!("{} bytes", text.len()));
    }
    doubles(text)?;
    let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let map = value.as_object().ok_or("no map")?;
    only(map, "segment", &KEYS)?;
    let name = text_of(map, "name")?.ok_or("no name")?;
    let sound = |c: char| c.is_alphabetic() || c.is_ascii_digit() || " _.:/%&#=+-@".contains(c);
    if name.is_empty() || name.chars().count() > 200 || !name.chars().all(sound) {
        return Err(format!("name {name:?}"));
    }
    id(map, "id")?.ok_or("no id")?;
    let trace = text_of(map, "trace_id")?.ok_or("no trace_id")?;
    let parts: Vec<&str> = trace.split('-').collect();
    if !matches!(parts[..], ["1", time, rest] if is_hex(time, 8) && is_hex(rest, 24)) {
        return Err(format!("trace_id {trace:?}"));
    }
    let parent = id(map, "parent_id")?;
    match text_of(map, "type")? {
        None => {}
        Some("subsegment") if parent.is_some() => {}
        other => return Err(format!("type {other:?} with parent {parent:?}")),
    }
    let start = map.get("start_time").and_then(Value::as_f64).filter(|time| *time > 0.0).ok_or("no start_time")?;
    match (map.get("end_time").and_then(Value::as_f64), map.get("in_progress")) {
        (Some(end), None) if end >= start => {}
        (None, Some(Value::Bool(true))) => {}
        other => return Err(format!("end {other:?}")),
    }
    if !matches!(text_of(map, "namespace")?, None | Some("aws" | "remote")) {
        return Err("namespace".to_owned());
    }
    for key in ["error", "fault", "throttle"] {
        flag(map, key)?;
    }
    text_of(map, "origin")?;
    text_of(map, "user")?;
    within(map, "http", |http| {
        only(http, "http", &["request", "response"])?;
        within(http, "request", |request| {
            only(request, "request", &["method", "url", "user_agent", "client_ip", "x_forwarded_for", "traced"])?;
            flag(request, "x_forwarded_for")?;
            ["method", "url", "user_agent", "client_ip"].iter().try_for_each(|key| text_of(request, key).map(drop))
        })?;
        within(http, "response", |response| {
            only(response, "response", &["status", "content_length"])?;
            response.values().all(Value::is_i64).then_some(()).ok_or_else(|| "response".to_owned())
        })
    })?;
    within(map, "sql", |sql| {
        only(sql, "sql", &["url", "connection_string", "sanitized_query", "database_type", "user"])?;
        sql.values().all(Value::is_string).then_some(()).ok_or_else(|| "sql".to_owned())
    })?;
    within(map, "aws", aws)?;
    within(map, "cause", cause)?;
    within(map, "annotations", |annotations| {
        let sound = |key: &str| {
            (1..=500).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'.')
        };
        let all = annotations.iter().all(|(key, value)| {
            let short = value.as_str().is_none_or(|text| text.chars().count() <= 1000);
            sound(key) && short && (value.is_string() || value.is_number() || value.is_boolean())
        });
        (annotations.len() <= 50 && all).then_some(()).ok_or_else(|| "annotations".to_owned())
    })?;
    within(map, "metadata", |metadata| {
        metadata.values().all(Value::is_object).then_some(()).ok_or_else(|| "metadata".to_owned())
    })?;
    for link in map.get("links").and_then(Value::as_array).into_iter().flatten() {
        let link = link.as_object().ok_or("link")?;
        only(link, "link", &["trace_id", "id", "attributes"])?;
        id(link, "id")?.ok_or("link without id")?;
    }
    Ok(())
}

const KEYS: [&str; 23] = [
    "name",
    "id",
    "trace_id",
    "parent_id",
    "type",
    "start_time",
    "end_time",
    "in_progress",
    "namespace",
    "error",
    "fault",
    "throttle",
    "origin",
    "user",
    "http",
    "aws",
    "service",
    "sql",
    "links",
    "cause",
    "annotations",
    "metadata",
    "subsegments",
];

fn aws(aws: &Map<String, Value>) -> Check {
    let texts = ["account_id", "operation", "region", "request_id", "queue_url", "table_name"];
    let maps = ["ec2", "ecs", "eks", "elastic_beanstalk", "xray"];
    let lists = ["table_names", "cloudwatch_logs"];
    only(aws, "aws", &[&texts[..], &maps[..], &lists[..]].concat())?;
    texts.iter().try_for_each(|key| text_of(aws, key).map(drop))?;
    maps.iter().try_for_each(|key| within(aws, key, |_| Ok(())))?;
    let all = lists.iter().all(|key| aws.get(*key).is_none_or(|list| list.as_array().is_some_and(|l| !l.is_empty())));
    all.then_some(()).ok_or_else(|| "aws".to_owned())
}

fn cause(cause: &Map<String, Value>) -> Check {
    only(cause, "cause", &["exceptions"])?;
    let list = cause.get("exceptions").and_then(Value::as_array).filter(|list| !list.is_empty()).ok_or("exceptions")?;
    for exception in list {
        let map = exception.as_object().ok_or("exception")?;
        only(map, "exception", &["id", "message", "type", "remote", "truncated", "skipped", "cause", "stack"])?;
        id(map, "id")?.ok_or("exception without id")?;
        id(map, "cause")?;
        text_of(map, "message")?;
        text_of(map, "type")?;
        flag(map, "remote")?;
        for frame in map.get("stack").and_then(Value::as_array).into_iter().flatten() {
            let frame = frame.as_object().filter(|frame| !frame.is_empty()).ok_or("frame")?;
            only(frame, "frame", &["path", "line", "label"])?;
            text_of(frame, "path")?;
            text_of(frame, "label")?;
            frame.get("line").is_none_or(Value::is_u64).then_some(()).ok_or("line")?;
        }
        for key in ["truncated", "skipped"] {
            map.get(key).is_none_or(Value::is_u64).then_some(()).ok_or(key)?;
        }
    }
    Ok(())
}

fn only(map: &Map<String, Value>, what: &str, keys: &[&str]) -> Check {
    match map.keys().find(|key| !keys.contains(&key.as_str())) {
        Some(key) => Err(format!("{what} with {key:?}")),
        None if map.is_empty() => Err(format!("{what} is empty")),
        None => Ok(()),
    }
}

fn within(map: &Map<String, Value>, key: &str, check: impl FnOnce(&Map<String, Value>) -> Check) -> Check {
    match map.get(key) {
        None => Ok(()),
        Some(Value::Object(inner)) if !inner.is_empty() => check(inner),
        Some(_) => Err(format!("{key} is no map, or empty")),
    }
}

fn text_of<'m>(map: &'m Map<String, Value>, key: &str) -> Result<Option<&'m str>, String> {
    match map.get(key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(format!("{key} is no text")),
    }
}

fn flag(map: &Map<String, Value>, key: &str) -> Check {
    map.get(key).is_none_or(Value::is_boolean).then_some(()).ok_or_else(|| format!("{key} is no boolean"))
}

fn id<'m>(map: &'m Map<String, Value>, key: &str) -> Result<Option<&'m str>, String> {
    match text_of(map, key)? {
        Some(id) if !is_hex(id, 16) || id.bytes().all(|b| b == b'0') => Err(format!("{key} is {id:?}")),
        id => Ok(id),
    }
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// Keys that are there twice, which `serde_json` would not mind.
fn doubles(text: &str) -> Check {
    struct Unique;
    impl<'de> serde::de::DeserializeSeed<'de> for Unique {
        type Value = ();
        fn deserialize<D: serde::Deserializer<'de>>(self, input: D) -> Result<(), D::Error> {
            input.deserialize_any(self)
        }
    }
    impl<'de> serde::de::Visitor<'de> for Unique {
        type Value = ();
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("JSON")
        }
        fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
            let mut seen = std::collections::HashSet::new();
            while let Some(key) = map.next_key::<String>()? {
                map.next_value_seed(Unique)?;
                if !seen.insert(key.clone()) {
                    return Err(serde::de::Error::custom(format!("{key:?} is there twice")));
                }
            }
            Ok(())
        }
        fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
            while list.next_element_seed(Unique)?.is_some() {}
            Ok(())
        }
        fn visit_bool<E>(self, _: bool) -> Result<(), E> {
            Ok(())
        }
        fn visit_i64<E>(self, _: i64) -> Result<(), E> {
            Ok(())
        }
        fn visit_u64<E>(self, _: u64) -> Result<(), E> {
            Ok(())
        }
        fn visit_f64<E>(self, _: f64) -> Result<(), E> {
            Ok(())
        }
        fn visit_str<E>(self, _: &str) -> Result<(), E> {
            Ok(())
        }
        fn visit_unit<E>(self) -> Result<(), E> {
            Ok(())
        }
    }
    let mut input = serde_json::Deserializer::from_str(text);
    serde::de::DeserializeSeed::deserialize(Unique, &mut input).map_err(|error| error.to_string())
}

#[test]
fn it_finds_what_is_wrong() {
    let good = r#"{"name":"a","id":"00f067aa0ba902b7","trace_id":"1-4bf92f35-77b34da6a3ce929d0e0e4736","start_time":1.0,"end_time":2.0}"#;
    check(good).unwrap();
    for (from, to) in [
        ("\"a\"", "\"a{\""),
        ("\"a\"", "\"\""),
        ("00f067aa0ba902b7", "00F067aa0ba902b7"),
        ("00f067aa0ba902b7", "0000000000000000"),
        ("1-4bf92f35", "1-4bf92f3"),
        ("2.0", "0.5"),
        (",\"end_time\":2.0", ""),
        ("2.0}", "2.0,\"type\":\"subsegment\"}"),
        ("2.0}", "2.0,\"namespace\":\"x\"}"),
        ("2.0}", "2.0,\"http\":{}}"),
        ("2.0}", "2.0,\"annotations\":{\"a-b\":1}}"),
        ("2.0}", "2.0,\"annotations\":{\"a\":[]}}"),
        ("2.0}", "2.0,\"metadata\":{\"a\":1}}"),
        ("2.0}", "2.0,\"metadata\":{\"a\":{\"b\":1,\"b\":1}}}"),
        ("2.0}", "2.0,\"other\":1}"),
        ("2.0}", "2.0,\"error\":1}"),
        ("2.0}", "2.0,\"cause\":{\"exceptions\":[]}}"),
    ] {
        let bad = good.replacen(from, to, 1);
        assert!(check(&bad).is_err(), "{bad}");
    }
    assert!(check(&good.replacen("\"a\"", &format!("{:?}", "a".repeat(201)), 1)).is_err());
}
