//! What a flat representation is easily got wrong by, one test each: reading and keeping.

use suiro_record::{Batch, JsonError, Kind, LOG_KEY, MAX_DEPTH, MAX_KEYS, NewValue, Path, RootId, Row, Utf8Report};

use crate::bodies::{empty, push, written};
use crate::oracle;

fn parse(text: &str) -> Result<Batch, JsonError> {
    let mut batch = empty();
    push(&mut batch, text.as_bytes())?;
    Ok(batch)
}

fn get_str(batch: &Batch, row: usize, path: &str) -> Option<String> {
    let path = Path::parse(path).unwrap();
    batch.get(&batch.rows[row], &batch.resolve(&path)).and_then(|f| f.as_str().map(|s| s.into_owned()))
}

/// The text in the heap, and where its lines are.
fn lines(batch: &mut Batch, text: &[u8]) -> Vec<std::ops::Range<usize>> {
    let mut start = batch.heap().len();
    batch.heap_mut().extend_from_slice(text);
    let mut spans = Vec::new();
    for line in text.split_inclusive(|&b| b == b'\n') {
        spans.push(start..start + line.len() - usize::from(line.ends_with(b"\n")));
        start += line.len();
    }
    spans
}

#[test]
fn invalid_utf8_is_repaired_per_line_and_never_per_chunk() {
    let mut batch = empty();
    let spans = lines(&mut batch, b"{\"a\":1}\n{\"a\":\"\xff\xc3\"}\n{\"a\":\"\xc3\xa9\"}\n");
    assert_eq!(batch.check_utf8(0), Utf8Report::Invalid);
    assert_eq!(batch.check_utf8_in(spans[0].clone()), Utf8Report::Valid);
    let mut repaired = 0;
    for span in spans {
        let (span, changed) = batch.repair_utf8(span);
        repaired += usize::from(changed);
        let root = batch.parse_json(span.clone()).unwrap();
        batch.rows.push(Row::new(root, 0, span.start as u64, span.end as u64));
    }
    assert_eq!(repaired, 1);
    assert_eq!(written(&batch, 0), r#"{"a":1}"#);
    assert_eq!(written(&batch, 1), "{\"a\":\"\u{fffd}\u{fffd}\"}");
    assert_eq!(written(&batch, 2), r#"{"a":"é"}"#);
}

#[test]
fn a_chunk_that_ends_inside_a_character_is_checked_up_to_its_last_line() {
    let mut batch = empty();
    let spans = lines(&mut batch, b"caf\xc3\xa9\ncaf\xc3");
    assert_eq!(batch.check_utf8(0), Utf8Report::Invalid);
    assert_eq!(batch.check_utf8_in(0..spans[1].start), Utf8Report::Valid);
}

#[test]
fn lone_surrogates_are_refused() {
    for text in [r#"{"a":"\ud800"}"#, r#"{"a":"\udc00x"}"#, r#"{"\ud800":1}"#, r#"{"a":"\ud800\ud800"}"#] {
        assert!(matches!(parse(text), Err(JsonError::BadString { .. })), "{text}");
    }
    assert_eq!(get_str(&parse(r#"{"a":"\ud83d\ude00"}"#).unwrap(), 0, "a").unwrap(), "😀");
}

#[test]
fn of_a_repeated_key_the_last_counts_and_all_are_passed_through() {
    let text = r#"{"a":"x","b":{"c":"1","c":"2"},"a":"y"}"#;
    let batch = parse(text).unwrap();
    assert_eq!(get_str(&batch, 0, "a").unwrap(), "y");
    assert_eq!(get_str(&batch, 0, "b.c").unwrap(), "2");
    assert_eq!(written(&batch, 0), text);
}

#[test]
fn a_key_repeated_around_a_map_that_has_it_too_is_noticed() {
    let batch = parse(r#"{"a":"1","m":{"a":"2","n":{"a":"3"}},"a":"4"}"#).unwrap();
    assert_eq!(get_str(&batch, 0, "a").unwrap(), "4");
    assert_eq!(get_str(&batch, 0, "m.a").unwrap(), "2");
    let batch = parse(r#"{"m":{"a":"2"},"a":"1","a":"4"}"#).unwrap();
    assert_eq!(get_str(&batch, 0, "a").unwrap(), "4");
}

#[test]
fn escaped_keys_and_strings_compare_by_what_they_say() {
    let text = r#"{"l\u0065vel":"d\u0065bug","q\"k":"\u0071"}"#;
    let batch = parse(text).unwrap();
    let path = Path::key("level");
    let field = batch.get(&batch.rows[0], &batch.resolve(&path)).unwrap();
    assert!(field.str_eq("debug") && !field.str_eq(r"d\u0065bug"));
    assert_eq!(get_str(&batch, 0, r#""q\"k""#).unwrap(), "q");
    assert_eq!(written(&batch, 0), text);
    // Escaped and plain, it is the same key.
    assert_eq!(get_str(&parse(r#"{"level":"a","l\u0065vel":"b"}"#).unwrap(), 0, "level").unwrap(), "b");
}

#[test]
fn integers_beyond_64_bits_and_long_decimals_keep_their_text() {
    let text = r#"{"n":123456789012345678901234567890,"d":0.1000000000000000055511151231257827,"e":1E400,"u":18446744073709551615}"#;
    let mut batch = parse(text).unwrap();
    assert_eq!(written(&batch, 0), text);
    let n = Path::key("n");
    let field = batch.get(&batch.rows[0], &batch.resolve(&n)).unwrap();
    assert_eq!((field.kind(), field.as_i64()), (Kind::Number, None));
    assert!(field.as_f64().unwrap() > 1e29);
    let (u, row) = (Path::key("u"), batch.rows[0]);
    assert_eq!(batch.get(&row, &batch.resolve(&u)).unwrap().as_f64(), Some(u64::MAX as f64));
    // An edit beside them touches none of them, and copying one keeps its words.
    batch.remove(0, &batch.resolve(&u));
    assert!(batch.copy(0, &n, &Path::parse("x.n").unwrap()).unwrap());
    assert_eq!(
        written(&batch, 0),
        r#"{"n":123456789012345678901234567890,"d":0.1000000000000000055511151231257827,"e":1E400,"x":{"n":123456789012345678901234567890}}"#
    );
}

#[test]
fn depth_is_bounded_for_reading() {
    let nested = |open: &str, inner: &str, close: &str, depth: usize| open.repeat(depth) + inner + &close.repeat(depth);
    let deep = nested("{\"a\":", "1", "}", MAX_DEPTH);
    let batch = parse(&deep).unwrap();
    assert_eq!(written(&batch, 0), deep);
    assert!(matches!(parse(&nested("{\"a\":", "1", "}", MAX_DEPTH + 1)), Err(JsonError::TooDeep { .. })));
    assert!(matches!(parse(&nested("{\"a\":", "{}", "}", MAX_DEPTH)), Err(JsonError::TooDeep { .. })));
    assert!(matches!(parse(&"[".repeat(1_000_000)), Err(JsonError::TooDeep { .. })));
    // What is no map goes into one.
    let mut batch = parse(&nested("[", "", "]", MAX_DEPTH - 1)).unwrap();
    let wrapped = batch.wrap_body(batch.rows[0].root());
    batch.rows[0].set_root(wrapped);
    assert!(parse(&written(&batch, 0)).is_ok());
    assert!(matches!(parse(&nested("[", "", "]", MAX_DEPTH)), Err(JsonError::TooDeep { .. })));
}

#[test]
fn when_keys_run_out_the_record_goes_into_a_fresh_batch() {
    let mut batch = empty();
    let mut refused = None;
    for i in 0..MAX_KEYS {
        let text = format!("{{\"k{i}\":{i},\"log\":\"x\"}}");
        if let Err(error) = push(&mut batch, text.as_bytes()) {
            refused = Some((text, error));
            break;
        }
    }
    let (text, error) = refused.expect("one key too many");
    assert_eq!(error, JsonError::KeysFull);
    assert_eq!(batch.len(), MAX_KEYS - 1);
    assert_eq!(written(&batch, MAX_KEYS - 2), format!("{{\"k{0}\":{0},\"log\":\"x\"}}", MAX_KEYS - 2));
    // The batch goes on with the keys it has, and always takes text.
    push(&mut batch, br#"{"k7":1,"k9":2}"#).unwrap();
    let root = batch.text_body(0..3);
    assert_eq!(batch.body(root).key(), None);
    assert_eq!(batch.body(root).to_value().get(LOG_KEY).unwrap().as_str(), Some("{\"k"));
    let error = batch.set(0, &Path::parse("new.key").unwrap(), NewValue::Null).unwrap_err();
    assert_eq!(error.to_string(), "the batch is full");
    assert_eq!(written(&batch, 0), r#"{"k0":0,"log":"x"}"#);
    let mut fresh = batch.sibling("t".into());
    push(&mut fresh, text.as_bytes()).unwrap();
    assert_eq!(written(&fresh, 0), text);
}

#[test]
fn a_reset_batch_is_as_new() {
    let mut batch = parse(r#"{"a":1,"b":{"c":2}}"#).unwrap();
    let scope = batch.scopes()[0].clone();
    batch.reset("u".into(), scope, 5);
    assert!(batch.is_empty() && batch.heap().is_empty());
    push(&mut batch, br#"{"b":1,"log":2}"#).unwrap();
    assert_eq!(written(&batch, 0), r#"{"b":1,"log":2}"#);
    assert!(batch.get(&batch.rows[0], &batch.resolve(&Path::key("a"))).is_none());
}

#[test]
fn nul_bytes_are_refused_in_json_and_kept_in_text() {
    for text in ["\0", "{\"a\":1}\0", "{\"a\0\":1}", "{\"a\":\"\0\"}", "{\0\"a\":1}", "{\"a\":1\0}"] {
        assert!(parse(text).is_err(), "{text:?}");
    }
    let mut batch = empty();
    batch.heap_mut().extend_from_slice(b"a\0b");
    let root = batch.text_body(0..3);
    batch.rows.push(Row::new(root, 0, 0, 3));
    assert_eq!(written(&batch, 0), r#"{"log":"a\u0000b"}"#);
    assert_eq!(batch.sole_text(root), Some(&b"a\0b"[..]));
}

#[test]
fn empty_lines_are_no_json_and_may_be_text() {
    for text in ["", " ", "\r", "\t \r"] {
        assert_eq!(parse(text).unwrap_err(), JsonError::Unfinished, "{text:?}");
    }
    let mut batch = empty();
    let root = batch.text_body(0..0);
    batch.rows.push(Row::new(root, 0, 0, 1));
    assert_eq!(written(&batch, 0), r#"{"log":""}"#);
}

#[test]
fn errors_say_where_and_leave_the_batch_as_it_was() {
    let mut batch = empty();
    push(&mut batch, br#"{"a":1}"#).unwrap();
    for (text, error) in [
        (r#"{"a":x}"#, JsonError::Expected { expected: "a value", at: 5 }),
        (r#"{"a" 1}"#, JsonError::Expected { expected: "`:`", at: 5 }),
        (r#"{"a":1,}"#, JsonError::Expected { expected: "a key in double quotes", at: 7 }),
        (r#"[1 2]"#, JsonError::Expected { expected: "`,` or `]`", at: 3 }),
        (r#"{"a":1} x"#, JsonError::Expected { expected: "the end", at: 8 }),
        (r#"{"a":-x}"#, JsonError::Expected { expected: "a digit", at: 6 }),
        (r#"{"a":"\x"}"#, JsonError::BadString { what: "a malformed escape, or half of a surrogate pair", at: 6 }),
        (r#"{"a":tru"#, JsonError::Unfinished),
        (r#"{"a":"#, JsonError::Unfinished),
        (r#"{"a"#, JsonError::Unfinished),
    ] {
        assert_eq!(push(&mut batch, text.as_bytes()).unwrap_err(), error, "{text}");
    }
    push(&mut batch, br#"{"a":2}"#).unwrap();
    assert_eq!((written(&batch, 0), written(&batch, 1)), (r#"{"a":1}"#.into(), r#"{"a":2}"#.into()));
}

#[test]
fn a_refused_text_with_many_maps_leaves_nothing_the_next_one_stumbles_over() {
    let mut batch = empty();
    let many = format!("[{}", r#"{"a":1},"#.repeat(50));
    assert!(push(&mut batch, many.as_bytes()).is_err());
    push(&mut batch, br#"{"a":1}"#).unwrap();
    assert_eq!(written(&batch, 0), r#"{"a":1}"#);
}

#[test]
fn a_text_that_ends_inside_another_is_not_read_on() {
    let mut batch = empty();
    batch.heap_mut().extend_from_slice(br#"1234{"a":"b"}"#);
    let number = batch.parse_json(0..2).unwrap();
    assert_eq!(batch.body(number).as_i64(), Some(12));
    for end in 5..batch.heap().len() {
        assert_eq!(batch.parse_json(4..end), Err(JsonError::Unfinished), "{end}");
    }
}

#[test]
fn line_breaks_between_tokens_are_not_written() {
    let text = "{\r\n \"a\" : [\n1,\n{ }, {\n}],\n\"b\": {\"c\": \"x\\n\"}\n}\r\n";
    let batch = parse(text).unwrap();
    assert_eq!(written(&batch, 0), r#"{"a":[1,{},{}],"b": {"c": "x\n"}}"#.replace(r#""b": {"c": "#, r#""b":{"c": "#));
    assert_eq!(Some(batch.body(batch.rows[0].root()).to_value()), oracle::read(text.as_bytes()));
    // Around the value they belong to nobody.
    assert_eq!(written(&parse("\n{ \"a\" : 1 }\r\n").unwrap(), 0), "{ \"a\" : 1 }");
}

#[test]
fn untouched_text_is_passed_through_to_the_letter() {
    let text = r#"{ "a" :1.0e0 ,  "b":[ ],"c":{ "d":"\u00e9" } }"#;
    assert_eq!(written(&parse(text).unwrap(), 0), text);
}

#[test]
fn the_worst_case_of_nodes_is_half_the_bytes() {
    let text = format!("[{}]", vec!["[]"; 10_000].join(","));
    assert!(parse(&text).is_ok());
    let text = format!("[{}]", vec!["1"; 10_000].join(","));
    let mut batch = empty();
    let before = batch.capacity();
    push(&mut batch, text.as_bytes()).unwrap();
    assert!(batch.capacity() - before <= 2 * (text.len() + (text.len() / 2 + 1) * 16) + 4096, "no more than doubling");
}

#[test]
fn few_records_of_many_do_not_pin_the_chunk() {
    let mut batch = empty();
    let (mut expected, mut starts) = (Vec::new(), Vec::new());
    for i in 0..1000 {
        let text = format!("{{\"i\":{i},\"pad\":\"{}\",\"m\":{{\"é\\n\":[1,2]}}}}", "x".repeat(100));
        push(&mut batch, text.as_bytes()).unwrap();
        if i % 10 == 0 {
            expected.push(text);
            starts.push(batch.rows[i].start);
        }
    }
    let before = batch.capacity();
    batch.compact();
    assert_eq!(batch.capacity(), before, "all of it lives");
    let mut i = 0;
    batch.rows.retain(|_| {
        i += 1;
        (i - 1) % 10 == 0
    });
    batch.compact();
    assert!(batch.capacity() < before / 4, "{} of {before}", batch.capacity());
    assert_eq!((0..100).map(|row| written(&batch, row)).collect::<Vec<_>>(), expected);
    assert_eq!(batch.rows.iter().map(|row| row.start).collect::<Vec<_>>(), starts);
    batch.set(3, &Path::parse("m.x").unwrap(), NewValue::Bool(true)).unwrap();
    assert!(written(&batch, 3).ends_with(r#""m":{"é\n":[1,2],"x":true}}"#));
}

#[test]
fn records_whose_origin_counts_no_bytes_are_not_rewritten_for_nothing() {
    let mut batch = empty();
    for i in 0..100 {
        push(&mut batch, br#"{"log":"a generated line"}"#).unwrap();
        (batch.rows[i].start, batch.rows[i].end) = (i as u64, i as u64);
    }
    let heap = batch.heap().as_ptr();
    batch.compact();
    assert_eq!(batch.heap().as_ptr(), heap);
}

#[test]
fn a_sole_text_is_found_and_nothing_else_is() {
    let mut batch = empty();
    let mut sole = |text: &str| {
        push(&mut batch, text.as_bytes()).unwrap();
        let root: RootId = batch.rows.last().unwrap().root();
        batch.sole_text(root).map(<[u8]>::to_vec)
    };
    assert_eq!(sole(r#"{"log":"x"}"#).unwrap(), b"x");
    for text in [r#"{"log":"\u0078"}"#, r#"{"log":1}"#, r#"{"log":"x","a":1}"#, r#"{"a":"x"}"#, "{}", "1", r#"["x"]"#] {
        assert_eq!(sole(text), None, "{text}");
    }
}
