//! What a flat representation is easily got wrong by, one test each: changing.

use std::sync::Arc;

use suiro_record::{Batch, EditError, Header, MAX_DEPTH, NewValue, Path, Row, Scope, Source, Value};

use crate::bodies::{empty, push, written};

fn batch(text: &str) -> Batch {
    let mut batch = empty();
    push(&mut batch, text.as_bytes()).unwrap();
    batch
}

fn path(text: &str) -> Path {
    Path::parse(text).unwrap()
}

fn removed(text: &str, what: &str) -> String {
    let mut batch = batch(text);
    let what = path(what);
    batch.remove(0, &batch.resolve(&what));
    written(&batch, 0)
}

fn set(text: &str, what: &str) -> Result<String, EditError> {
    let mut batch = batch(text);
    batch.set(0, &path(what), NewValue::Int(9))?;
    Ok(written(&batch, 0))
}

#[test]
fn remove_removes_every_copy_nested_ones_too() {
    assert_eq!(removed(r#"{"s":1,"a":2,"s":3,"s":4}"#, "s"), r#"{"a":2}"#);
    assert_eq!(removed(r#"{"u":{"s":1,"s":2},"u":{"s":3,"k":4}}"#, "u.s"), r#"{"u":{},"u":{"k":4}}"#);
    assert_eq!(removed(r#"{"u.s":1,"u":{"s":2},"x":3}"#, "u.s"), r#"{"u":{},"x":3}"#);
    assert_eq!(removed(r#"{"u":{"\u0073":1},"k":[{"s":1}]}"#, "u.s"), r#"{"u":{},"k":[{"s":1}]}"#);
    assert_eq!(removed(r#"{"l":[{"s":1,"s":2},{"s":3}]}"#, "l[0].s"), r#"{"l":[{},{"s":3}]}"#);
}

#[test]
fn set_leaves_no_copy_of_what_it_replaces() {
    assert_eq!(set(r#"{"s":1,"a":2,"s":3}"#, "s").unwrap(), r#"{"a":2,"s":9}"#);
    assert_eq!(set(r#"{"u":{"s":1},"u":{"s":2}}"#, "u.s").unwrap(), r#"{"u":{},"u":{"s":9}}"#);
    assert_eq!(set(r#"{"u.s":1,"u":{"s":2}}"#, "u.s").unwrap(), r#"{"u.s":9,"u":{}}"#);
    assert_eq!(set(r#"{"x":{"a":{"b":1}},"x":{}}"#, "x.a.b").unwrap(), r#"{"x":{"a":{}},"x":{"a":{"b":9}}}"#);
}

#[test]
fn set_makes_maps_and_goes_around_what_is_no_map() {
    assert_eq!(set("{}", "a.b.c").unwrap(), r#"{"a":{"b":{"c":9}}}"#);
    assert_eq!(set(r#"{"a":{}}"#, "a.b.c").unwrap(), r#"{"a":{"b":{"c":9}}}"#);
    assert_eq!(set(r#"{"a":5}"#, "a.b.c").unwrap(), r#"{"a":5,"a.b.c":9}"#);
    assert_eq!(set(r#"{"a.b":{"x":1}}"#, "a.b.c").unwrap(), r#"{"a.b":{"x":1,"c":9}}"#);
    assert_eq!(set(r#"{"a":[1,2]}"#, "a[-1]").unwrap(), r#"{"a":[1,9]}"#);
    for (text, what) in [(r#"{"a":[1]}"#, "a[1]"), (r#"{"a":1}"#, "a[0]"), ("{}", "a[0].b"), ("[1]", "a"), ("1", "a.b")]
    {
        assert_eq!(set(text, what), Err(EditError::NotSettable), "{text} {what}");
    }
}

#[test]
fn an_edit_changes_nothing_else_not_even_spacing() {
    assert_eq!(removed(r#"{"a":1,"b":2,"c":3,"d":4}"#, "c"), r#"{"a":1,"b":2,"d":4}"#);
    assert_eq!(removed(r#"{"a": 1, "b": 2, "c": "x", "d": null}"#, "a"), r#"{"b": 2, "c": "x", "d": null}"#);
    assert_eq!(removed(r#"{"a" : 1 , "b":true ,"c":[ 1 ]}"#, "b"), r#"{"a":1,"c":[ 1 ]}"#);
    assert_eq!(removed(r#"{"a":1,"b":2,"c":3}"#, "c"), r#"{"a":1,"b":2}"#);
    assert_eq!(removed(r#"{"a":1}"#, "a"), "{}");
    assert_eq!(removed(r#"{"a":1,"x":"}","b":2}"#, "x"), r#"{"a":1,"b":2}"#);
}

#[test]
fn a_key_added_after_a_path_was_resolved_is_removed_all_the_same() {
    let mut batch = batch(r#"{"a":1}"#);
    let secret = path("secret");
    let resolved = batch.resolve(&secret);
    batch.set(0, &secret, NewValue::Str("x")).unwrap();
    assert!(batch.get(&batch.rows[0], &resolved).is_some());
    assert!(batch.remove(0, &resolved));
    assert_eq!(written(&batch, 0), r#"{"a":1}"#);
}

#[test]
fn appending_a_key_twice_is_noticed() {
    let mut batch = empty();
    let root = batch.new_object();
    batch.append(root, "k", NewValue::Int(1)).unwrap();
    batch.append(root, "m", NewValue::EmptyObject).unwrap();
    batch.append(root, "k", NewValue::Int(2)).unwrap();
    batch.rows.push(Row::new(root, 0, 0, 0));
    let key = path("k");
    assert_eq!(batch.get(&batch.rows[0], &batch.resolve(&key)).unwrap().as_i64(), Some(2));
    assert!(batch.rename(0, &key, &path("z")).unwrap());
    assert_eq!(written(&batch, 0), r#"{"m":{},"z":2}"#);
    for i in 0..200 {
        batch.append(root, &format!("n{}", i % 150), NewValue::Int(i)).unwrap();
    }
    assert_eq!(batch.get(&batch.rows[0], &batch.resolve(&path("n3"))).unwrap().as_i64(), Some(153));
    batch.heap_mut().extend_from_slice(b"[1]");
    let list = batch.parse_json(0..3).unwrap();
    assert_eq!(batch.append(list, "k", NewValue::Null), Err(EditError::NotSettable));
}

#[test]
fn renaming_into_itself_out_of_itself_and_onto_another() {
    let rename = |text: &str, from: &str, to: &str| {
        let mut batch = batch(text);
        let done = batch.rename(0, &path(from), &path(to));
        (done, written(&batch, 0))
    };
    assert_eq!(rename(r#"{"a":1,"b":2}"#, "a", "c"), (Ok(true), r#"{"c":1,"b":2}"#.into()));
    assert_eq!(rename(r#"{"a":1,"b":2}"#, "a", "b"), (Ok(true), r#"{"b":1}"#.into()));
    assert_eq!(rename(r#"{"a":1}"#, "a", "a.b"), (Ok(true), r#"{"a":{"b":1}}"#.into()));
    assert_eq!(rename(r#"{"a":{"b":{"b":1}}}"#, "a.b", "a"), (Ok(true), r#"{"a":{"b":1}}"#.into()));
    assert_eq!(rename(r#"{"a.b":1}"#, r#""a.b""#, "a.b"), (Ok(true), r#"{"a":{"b":1}}"#.into()));
    assert_eq!(rename(r#"{"l":[1,2]}"#, "l[0]", "l[1]"), (Err(EditError::NotSettable), r#"{"l":[1,2]}"#.into()));
    assert_eq!(rename(r#"{"a":1}"#, "a", "l[0]"), (Err(EditError::NotSettable), r#"{"a":1}"#.into()));
    assert_eq!(rename(r#"{"a":1}"#, "a", "@tag"), (Err(EditError::NotSettable), r#"{"a":1}"#.into()));
    assert_eq!(rename(r#"{"a":1}"#, "x", "y"), (Ok(false), r#"{"a":1}"#.into()));
}

#[test]
fn copies_do_not_share_what_is_edited_later() {
    let mut batch = batch(r#"{"a":{"b":1,"l":[1]}}"#);
    assert!(batch.copy(0, &path("a"), &path("a.c")).unwrap());
    batch.set(0, &path("a.c.b"), NewValue::Int(2)).unwrap();
    assert_eq!(written(&batch, 0), r#"{"a":{"b":1,"l":[1],"c":{"b":2,"l":[1]}}}"#);
}

#[test]
fn depth_is_bounded_for_editing_and_a_refused_edit_changes_nothing() {
    let deep = r#"{"a":"#.repeat(MAX_DEPTH) + "1" + &"}".repeat(MAX_DEPTH);
    let mut batch = batch(&deep);
    let (a, inside) = (path("a"), path("b.c"));
    assert_eq!(batch.copy(0, &a, &inside), Err(EditError::TooDeep));
    assert_eq!(batch.rename(0, &a, &inside), Err(EditError::TooDeep));
    assert_eq!(written(&batch, 0), deep);
    let mut tree = Value::Null;
    for _ in 0..MAX_DEPTH - 1 {
        tree = Value::Array(vec![tree]);
    }
    batch.set(0, &path("t"), NewValue::Tree(&tree)).unwrap();
    assert_eq!(batch.set(0, &path("u.v"), NewValue::Tree(&tree)), Err(EditError::TooDeep));
    let text = written(&batch, 0);
    push(&mut batch, text.as_bytes()).expect("what was written reads");
    let wrapped = batch.wrap_body(batch.rows[0].root());
    assert_eq!(wrapped, batch.rows[0].root());
}

#[test]
fn what_is_no_number_is_not_written_as_one() {
    let mut batch = batch("{}");
    let tree = Value::Number("1,\"x\":2".to_owned());
    batch.set(0, &path("n"), NewValue::Tree(&tree)).unwrap();
    assert_eq!(written(&batch, 0), r#"{"n":"1,\"x\":2"}"#);
    let mut out = Vec::new();
    tree.write_json(&mut out);
    assert_eq!(out, br#""1,\"x\":2""#);
}

#[test]
fn header_fields_are_beside_the_body_and_typed() {
    let mut batch = batch(r#"{"severity":"body","@severity":"too"}"#);
    batch.set_header(0, Header::Severity, NewValue::Str("warn")).unwrap();
    batch.set(0, &path("@attributes.user.id"), NewValue::Int(7)).unwrap();
    assert_eq!(batch.set(0, &path("@severity_number"), NewValue::Str("x")), Err(EditError::WrongType));
    assert_eq!(batch.set(0, &path("@attributes"), NewValue::Int(1)), Err(EditError::WrongType));
    assert_eq!(batch.set(0, &path("@host.name"), NewValue::Int(1)), Err(EditError::NotSettable));
    batch.set(0, &path("@time"), NewValue::Int(42)).unwrap();
    assert_eq!(batch.set(0, &path("@time"), NewValue::Str("now")), Err(EditError::WrongType));
    assert_eq!(batch.rows[0].time, 42);
    assert!(batch.rename(0, &path("@attributes.user.id"), &path("uid")).unwrap());
    assert_eq!(written(&batch, 0), r#"{"severity":"body","@severity":"too","uid":7}"#);
    assert_eq!(
        format!("{:?}", batch.header(&batch.rows[0]).unwrap()),
        r#"{"severity":"warn","attributes":{"user":{}}}"#
    );
    assert!(batch.rename(0, &path("uid"), &path("@time")).unwrap());
    assert_eq!(batch.rows[0].time, 7);
    assert_eq!(written(&batch, 0), r#"{"severity":"body","@severity":"too"}"#);
}

#[test]
fn a_shared_batch_is_copied_on_the_first_write() {
    let mut batch = Arc::new(batch(r#"{"a":1}"#));
    let shared = batch.clone();
    Arc::make_mut(&mut batch).set(0, &path("b"), NewValue::Int(2)).unwrap();
    assert_eq!((written(&shared, 0), written(&batch, 0)), (r#"{"a":1}"#.into(), r#"{"a":1,"b":2}"#.into()));
}

#[test]
fn records_keep_their_scope_and_origin_in_another_batch() {
    let mut from = empty();
    let other = Scope::new(Arc::new(Source::new("other".into(), 9))).with("host.name", "h");
    let index = from.add_scope(&Arc::new(other));
    push(&mut from, br#"{"a":1}"#).unwrap();
    push(&mut from, br#"{"a":2}"#).unwrap();
    from.rows[1].scope = index;
    from.set_header(1, Header::TraceId, NewValue::Str("00")).unwrap();
    let mut to = empty();
    let row = to.import(&from, &from.rows[1]).unwrap();
    assert_eq!(written(&to, row), r#"{"a":2}"#);
    assert_eq!(to.origin(&to.rows[row]), from.origin(&from.rows[1]));
    assert_eq!(to.get(&to.rows[row], &to.resolve(&path("@host.name"))).unwrap().as_str().unwrap(), "h");
    assert_eq!(to.get(&to.rows[row], &to.resolve(&path("@trace_id"))).unwrap().as_str().unwrap(), "00");
}

#[test]
fn a_field_outlives_the_row_it_was_found_with() {
    let batch = batch(r#"{"a":"x"}"#);
    let a = path("a");
    let field = {
        let row = batch.rows[0];
        batch.get(&row, &batch.resolve(&a)).unwrap()
    };
    assert!(field.str_eq("x"));
}
