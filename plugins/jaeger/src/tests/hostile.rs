//! What nobody should send.

use proptest::prelude::*;

use super::{CLIENT_UDP, LIB, LIB_EMIT, OTEL_HTTP, OTEL_UDP, batches, shown};
use crate::{Form, Protocol};

const FORMS: [(&[u8], Protocol, Form); 7] = [
    (OTEL_HTTP, Protocol::Binary, Form::Batch),
    (OTEL_UDP, Protocol::Compact, Form::Message),
    (CLIENT_UDP, Protocol::Compact, Form::Message),
    (LIB[0], Protocol::Binary, Form::Batch),
    (LIB[1], Protocol::Compact, Form::Batch),
    (LIB_EMIT[0], Protocol::Binary, Form::Message),
    (LIB_EMIT[1], Protocol::Compact, Form::Message),
];

fn error(bytes: &[u8], protocol: Protocol, form: Form) -> String {
    batches(bytes, protocol, form).expect_err("it is refused").to_string()
}

fn binary(bytes: &[u8]) -> String {
    error(bytes, Protocol::Binary, Form::Batch)
}

/// Writes the binary protocol.
#[derive(Clone, Default)]
struct Writer(Vec<u8>);

impl Writer {
    fn field(mut self, kind: u8, id: i16) -> Self {
        self.0.push(kind);
        self.0.extend(id.to_be_bytes());
        self
    }

    fn text(self, id: i16, text: &str) -> Self {
        let mut this = self.field(11, id);
        this.0.extend((text.len() as i32).to_be_bytes());
        this.0.extend(text.as_bytes());
        this
    }

    fn long(self, id: i16, n: i64) -> Self {
        let mut this = self.field(10, id);
        this.0.extend(n.to_be_bytes());
        this
    }

    fn int(self, id: i16, n: i32) -> Self {
        let mut this = self.field(8, id);
        this.0.extend(n.to_be_bytes());
        this
    }

    fn list(self, id: i16, items: &[Writer]) -> Self {
        let mut this = self.field(15, id);
        this.0.push(12);
        this.0.extend((items.len() as i32).to_be_bytes());
        items.iter().for_each(|item| this.0.extend(&item.0));
        this
    }

    fn end(mut self) -> Self {
        self.0.push(0);
        self
    }
}

fn tag(key: &str, value: &str) -> Writer {
    Writer::default().text(1, key).int(2, 0).text(3, value).end()
}

/// A span but for its tags and its end.
fn span(start: i64, duration: i64) -> Writer {
    let ids = Writer::default().long(1, 1).long(2, 0).long(3, 5).long(4, 0);
    ids.text(5, "x").int(7, 1).long(8, start).long(9, duration)
}

fn batch_of(process: &[Writer], spans: &[Writer]) -> Vec<u8> {
    let mut batch = Writer::default().field(12, 1);
    batch.0.extend(Writer::default().text(1, "app").list(2, process).end().0);
    batch.list(2, spans).end().0
}

#[test]
fn what_breaks_off_is_refused_wherever_it_does() {
    for (bytes, protocol, form) in FORMS {
        for length in 0..bytes.len() {
            let why = error(&bytes[..length], protocol, form);
            assert!(why.starts_with("byte "), "{why}");
        }
    }
}

#[test]
fn lengths_and_counts_are_not_believed() {
    // A service name of 2 GiB, of -1 bytes; a list of 2 billion spans.
    let text = |length: i32| [&[12, 0, 1, 11, 0, 1], &length.to_be_bytes()[..], b"abc"].concat();
    assert!(binary(&text(i32::MAX)).contains("2147483647 bytes are claimed, and 3 are left"));
    assert!(binary(&text(-1)).contains("-1 is no length"));
    let mut list = batch_of(&[], &[]);
    list.truncate(list.len() - 5);
    list.extend(i32::MAX.to_be_bytes());
    assert!(binary(&list).contains("a list claims 2147483647 items, and 0 bytes are left"), "{}", binary(&list));
    // Compact: a varint of eleven bytes, and one that means more than 64 bits.
    for long in [
        &[0x1c, 0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1][..],
        &[0x1c, 0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2],
    ] {
        assert!(error(long, Protocol::Compact, Form::Batch).contains("longer than 64 bits"));
    }
    let huge = [0x1c, 0x18, 0xff, 0xff, 0xff, 0xff, 0x7f];
    assert!(error(&huge, Protocol::Compact, Form::Batch).contains("is no length"));
}

#[test]
fn what_is_skipped_is_skipped_to_a_depth() {
    // Structures in structures, lists in lists, under a field nobody knows.
    let structs = [12, 0, 9].repeat(100_000);
    assert!(binary(&structs).contains("nested deeper than 32"), "{}", binary(&structs));
    let mut lists = vec![15, 0, 9];
    lists.extend([15, 0, 0, 0, 1].repeat(100_000));
    assert!(binary(&lists).contains("nested deeper than 32"));
    let compact = [0x9c].repeat(100_000);
    assert!(error(&compact, Protocol::Compact, Form::Batch).contains("nested deeper than 32"));
    // A little of it is nothing.
    let mut some = vec![12, 0, 9];
    some.extend(Writer::default().text(3, "x").end().0);
    some.extend(batch_of(&[], &[span(1, 1).end()]));
    assert_eq!(shown(&batches(&some, Protocol::Binary, Form::Batch).unwrap()).len(), 1);
}

#[test]
fn says_what_is_wrong_and_where() {
    let one = |span: Writer| batch_of(&[], &[span]);
    let without = Writer::default().long(1, 1).long(2, 0).end();
    let wrong = Writer::default().text(1, "x").end();
    let reference = Writer::default().int(1, 7).end();
    let odd = Writer::default().text(1, "k").int(2, 9).end();
    let zero = Writer::default().long(1, 0).long(2, 0).long(3, 5).long(4, 0).text(5, "x").int(7, 1);
    let mut head = Writer::default().field(12, 1);
    head.0.extend(Writer::default().text(1, "app").end().0);
    for (bytes, what) in [
        (vec![], "byte 0: it ends in the middle"),
        (b"{\"spans\":[]}".to_vec(), "123 is no type of the binary protocol"),
        (vec![0], "byte 1: the batch has no `process`"),
        (head.clone().end().0, "the batch has no `spans`"),
        (vec![12, 0, 1, 0, 0], "the process has no `serviceName`"),
        (one(without), "a span has no `spanId`"),
        (one(wrong), "field 1 of a span can't be of type Text"),
        (one(span(1, 1).list(6, &[reference]).end()), "7 is no type of a reference"),
        (one(span(1, 1).list(10, &[odd]).end()), "9 is no type of a tag"),
        (one(zero.long(8, 1).long(9, 1).end()), "byte 30: this span's trace id is 0"),
        (one(span(-1, 0).end()), "this span's startTime is out of range"),
        (one(span(i64::MAX, 0).end()), "this span's startTime is out of range"),
        (one(span(i64::MAX / 1000, i64::MAX).end()), "this span's duration is out of range"),
        (one(span(5, -6).end()), "this span's duration is out of range"),
        (head.list(2, &[]).list(2, &[]).end().0, "field 2 of a batch twice"),
    ] {
        let why = binary(&bytes);
        assert!(why.contains(what), "{what}: {why}");
    }
    let zipkin = [&[0x80, 1, 0, 4, 0, 0, 0, 15][..], b"emitZipkinBatch", &[0, 0, 0, 0, 0]].concat();
    let why = error(&zipkin, Protocol::Binary, Form::Message);
    assert_eq!(why, "the message `emitZipkinBatch` is not taken, only `emitBatch`");
    let empty = [&[0x80, 1, 0, 4, 0, 0, 0, 9][..], b"emitBatch", &[0, 0, 0, 0, 0]].concat();
    assert!(error(&empty, Protocol::Binary, Form::Message).contains("the message has no `batch`"));
    assert!(error(OTEL_HTTP, Protocol::Compact, Form::Message).contains("no message of the compact protocol"));
    // Unversioned, as old clients write it.
    let old = [&[0, 0, 0, 9][..], b"emitBatch", &[4, 0, 0, 0, 1, 12, 0, 1], LIB[0], &[0]].concat();
    assert_eq!(shown(&batches(&old, Protocol::Binary, Form::Message).unwrap()).len(), 1);
}

#[test]
fn the_process_may_come_last() {
    let spans = Writer::default().list(2, &[span(1, 2).end(), span(3, 4).end()]);
    let process = Writer::default().text(1, "late").end();
    let bytes = [&spans.0[..], &[12, 0, 1], &process.0, &[0]].concat();
    let lines = shown(&batches(&bytes, Protocol::Binary, Form::Batch).unwrap());
    assert_eq!(lines.len(), 2);
    assert!(lines.iter().all(|line| line.starts_with(r#"{"service.name":"late"}"#)));
}

#[test]
fn of_a_key_that_comes_twice_the_last_stays() {
    let few = [tag("a", "1"), tag("span.kind", "odd"), tag("a", "2"), tag("b", "3")];
    let many: Vec<Writer> = (0..100).map(|n| tag(&format!("k{}", n % 50), &n.to_string())).collect();
    let bytes = batch_of(
        &[tag("x", "1"), tag("x", "2"), tag("service.name", "other")],
        &[span(1, 1).list(10, &few).end(), span(1, 1).list(10, &many).end()],
    );
    let lines = shown(&batches(&bytes, Protocol::Binary, Form::Batch).unwrap());
    assert!(lines[0].starts_with(r#"{"service.name":"app","x":"2"}"#), "{}", lines[0]);
    assert!(lines[0].contains(r#""attributes":{"span.kind":"odd","a":"2","b":"3"}"#), "{}", lines[0]);
    assert!(lines[1].contains(r#""attributes":{"k0":"50","k1":"51","#), "{}", lines[1]);
    assert_eq!(lines[1].matches(r#""k"#).count(), 50);
}

#[test]
fn tags_with_a_place_of_their_own() {
    let one = |tags: &[Writer]| {
        let bytes = batch_of(&[], &[span(1, 1).list(10, tags).end()]);
        shown(&batches(&bytes, Protocol::Binary, Form::Batch).unwrap()).remove(0)
    };
    let number = |key: &str, n: i64| Writer::default().text(1, key).int(2, 3).long(6, n).end();
    let both = one(&[
        tag("otel.library.name", "lib"),
        tag("otel.scope.name", "lib"),
        tag("otel.library.version", "1"),
        tag("otel.scope.version", "1"),
        tag("w3c.tracestate", "a=b"),
        number("otel.dropped_events_count", 3),
        number("otel.dropped_links_count", -1),
    ]);
    assert!(both.contains(r#"{"name":"lib","version":"1"}"#), "{both}");
    assert!(both.contains(r#""trace_state":"a=b""#) && both.contains(r#""dropped_events_count":3"#), "{both}");
    assert!(both.contains(r#""attributes":{"otel.dropped_links_count":-1}"#), "{both}");
    for (tags, status) in [
        (vec![tag("error", "TRUE"), tag("otel.status_code", "OK")], Some(r#""status":{"code":"error"}"#)),
        (
            vec![tag("otel.status_code", "ERROR"), tag("otel.status_description", "no")],
            Some(r#""status":{"code":"error","message":"no"}"#),
        ),
        (vec![tag("otel.status_code", "OK")], Some(r#""status":{"code":"ok"}"#)),
        (vec![tag("otel.status_code", "UNSET")], None),
        (vec![tag("error", "false")], Some(r#""attributes":{"error":"false"}"#)),
        (vec![tag("otel.status_description", "x")], Some(r#""attributes":{"otel.status_description":"x"}"#)),
    ] {
        let line = one(&tags);
        match status {
            Some(status) => assert!(line.contains(status), "{status}: {line}"),
            None => assert!(!line.contains("status") && !line.contains("attributes"), "{line}"),
        }
    }
}

/// Each instrumentation scope holds the resource anew: a large one with many of them must not.
#[test]
fn a_large_process_and_many_scopes_cost_little() {
    let process = [tag("padding", &"x".repeat(100_000))];
    let spans: Vec<Writer> =
        (0..2000).map(|n| span(1, 1).list(10, &[tag("otel.scope.name", &format!("lib{n}"))]).end()).collect();
    let batches = batches(&batch_of(&process, &spans), Protocol::Binary, Form::Batch).unwrap();
    let mut scopes: Vec<_> = batches.iter().flat_map(|batch| batch.scopes()).map(std::sync::Arc::as_ptr).collect();
    scopes.sort();
    scopes.dedup();
    assert!(scopes.len() < 50, "{}", scopes.len());
    let lines = shown(&batches);
    assert_eq!(lines.len(), 2000);
    // No name is lost.
    assert!(lines[0].contains(r#"{"name":"lib0"}"#));
    assert!(lines[1999].contains(r#""attributes":{"otel.scope.name":"lib1999"#), "{}", &lines[1999][100_000..]);
}

proptest! {
    /// Whatever comes, nothing panics, and memory stays in proportion.
    #[test]
    fn anything_is_survived(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        for protocol in [Protocol::Binary, Protocol::Compact] {
            for form in [Form::Batch, Form::Message] {
                let _ = batches(&bytes, protocol, form);
            }
        }
    }

    /// Real requests with a few bytes changed.
    #[test]
    fn nearly_right_is_survived(which in 0..FORMS.len(), changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let (bytes, protocol, form) = FORMS[which];
        let mut bytes = bytes.to_vec();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(batches) = batches(&bytes, protocol, form) {
            let used: usize = batches.iter().map(suiro_record::Batch::used).sum();
            prop_assert!(used < 20 * bytes.len() + 1000, "{used} for {}", bytes.len());
            shown(&batches);
        }
    }
}
