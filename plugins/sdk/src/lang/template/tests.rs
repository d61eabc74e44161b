//! Templates against what they should say.

use proptest::prelude::*;

use super::*;

fn render(template: &str, json: &str) -> Result<String, String> {
    let template = Template::parse(template).expect(template);
    let batch = test_batch(json);
    let mut out = b"before ".to_vec();
    let result = template.prepare(&batch).render(&batch, &batch.rows[0], &mut out);
    let text = String::from_utf8(out).unwrap();
    let text = text.strip_prefix("before ").unwrap().to_owned();
    result.map(|()| text).map_err(|missing| missing.to_string())
}

#[test]
fn renders_fields() {
    let json = r#"{"a":"x","n":1.50,"b":true,"z":null,"m":{"k":[1, 2]},"e":"q\"\u00e9","a b":1}"#;
    for (template, expected) in [
        ("", ""),
        ("plain", "plain"),
        ("{a}", "x"),
        ("-{a}-{n}-{b}-{z}-", "-x-1.50-true-null-"),
        ("{m}", r#"{"k":[1, 2]}"#),
        ("{m.k[-1]}", "2"),
        ("{e}", "q\"é"),
        ("{\"a b\"}", "1"),
        ("{ a }", "x"),
        ("{none|}", ""),
        ("{none|de fault: 1|2}", "de fault: 1|2"),
        ("{a|default}", "x"),
        ("{{{a}}}", "{x}"),
        ("{{a}}", "{a}"),
        ("é{a}é", "éxé"),
        ("{@tag}/{@input}/{@signal}", "app.web/in/logs"),
        ("{@k8s.namespace.name}-{@service.name}", "shop-cart"),
        ("{@time:%Y.%m.%d}", "2024.02.29"),
        ("{@time:%Y-%m-%dT%H}:{@time:%M:%S.%L}", "2024-02-29T12:34:56.789"),
        ("{@time:%s|%%|%j}", "1709210096|%|060"),
        ("{@time}", "1709210096789000000"),
    ] {
        assert_eq!(render(template, json).as_deref(), Ok(expected), "{template}");
    }
    assert_eq!(render("a{none.x}", json), Err("the record has no `none.x`".to_owned()));
}

#[test]
fn says_what_it_is() {
    let template = Template::parse("{a|x}{b}").unwrap();
    assert_eq!(template.required_paths().map(Path::as_str).collect::<Vec<_>>(), ["b"]);
    let template = Template::parse("a{{-{b.c}{@time:%Y}{@input}").unwrap();
    assert_eq!(template.is_literal(), None);
    assert_eq!(template.literal_prefix(), "a{-");
    assert_eq!(template.paths().map(Path::as_str).collect::<Vec<_>>(), ["b.c", "@input"]);
    assert_eq!(template.sample("0"), "a{-019700");
    let literal = Template::parse("a{{}}b").unwrap();
    assert_eq!((literal.is_literal(), literal.literal_prefix()), (Some("a{}b"), "a{}b"));
    assert_eq!(Template::parse("").unwrap().is_literal(), Some(""));
}

#[test]
fn says_what_is_wrong_and_where() {
    for (text, at, len, message) in [
        ("a{b", 1, 1, "this brace is never closed"),
        ("a}b", 1, 1, "this brace closes nothing"),
        ("{}", 1, 1, "a field name is expected"),
        ("{", 1, 0, "a field name is expected"),
        ("{\u{80}", 1, 2, "a field name is expected"),
        ("{a..b}", 3, 1, "a field name is expected"),
        ("{a:%Y}", 2, 1, "only @time takes a format"),
        ("{@time:Y}", 7, 1, "a date format has directives, such as %Y"),
        ("{@time:}", 7, 0, "a date format has directives, such as %Y"),
        ("{a b}", 3, 1, "`b` can't stand in a placeholder"),
        ("{a|{b}}", 3, 1, "a placeholder holds no braces"),
        ("{a|b", 0, 1, "this brace is never closed"),
        ("é{b", 2, 1, "this brace is never closed"),
    ] {
        let error = Template::parse(text).unwrap_err();
        assert_eq!((error.at, error.len, error.message.as_str()), (at, len, message), "{text}");
    }
    assert!(Template::parse("{@time:%!}").unwrap_err().message.starts_with("this date format can't be written"));
    assert!(Template::parse(&"a".repeat(20_000)).is_err());
    assert_eq!(Template::parse("{\"a\": 1}").unwrap_err().help, "write {@time:%Y.%m.%d}; a default stands behind `|`");
}

#[test]
fn a_kept_date_is_given_up_in_time() {
    let json = "{}";
    let mut batch = test_batch(json);
    let first = batch.rows[0];
    for text in ["%F", "%FT%H", "%F %R", "%F %T", "%T.%L", "%T.%9f"] {
        let template = Template::parse(&format!("{{@time:{text}}}")).unwrap();
        let prepared = template.prepare(&batch);
        for step in [0, 1, 1_000_000, 1_000_000_000, 60_000_000_000, 3_600_000_000_000, 86_400_000_000_000, -5] {
            let mut row = first;
            row.time += step;
            let (mut kept, mut fresh) = (Vec::new(), Vec::new());
            prepared.render(&batch, &row, &mut kept).unwrap();
            template.prepare(&batch).render(&batch, &row, &mut fresh).unwrap();
            assert_eq!(kept, fresh, "{text} {step}");
        }
    }
    batch.rows[0].time = i64::MIN;
    let mut out = Vec::new();
    Template::parse("{@time:%F}").unwrap().prepare(&batch).render(&batch, &batch.rows[0], &mut out).unwrap();
    assert_eq!(out, b"1677-09-21");
}

#[test]
fn renders_for_a_scope() {
    let batch = test_batch("{}");
    let mut out = Vec::new();
    let template = Template::parse("app.{@service.name}").unwrap();
    template.render_scope(batch.scope(&batch.rows[0]), 0, &mut out).unwrap();
    assert_eq!(out, b"app.cart");
    let template = Template::parse("app.{level}").unwrap();
    assert!(template.render_scope(batch.scope(&batch.rows[0]), 0, &mut out).is_err());
    assert_eq!(out, b"app.cart");
}

/// A piece of a template, and what it says of `{"a":"x"}`; `None`: missing.
fn piece() -> impl Strategy<Value = (String, Option<String>)> {
    prop_oneof![
        "[^{}]{1,6}".prop_map(|text| (text.clone(), Some(text))),
        Just(("{{".to_owned(), Some("{".to_owned()))),
        Just(("}}".to_owned(), Some("}".to_owned()))),
        Just(("{a}".to_owned(), Some("x".to_owned()))),
        Just(("{ none }".to_owned(), None)),
        "[^{}]{0,6}".prop_map(|text| (format!("{{none|{text}}}"), Some(text))),
        Just(("{@time:%H%%}".to_owned(), Some("12%".to_owned()))),
    ]
}

proptest! {
    #[test]
    fn renders_what_its_pieces_say(pieces in prop::collection::vec(piece(), 0..8)) {
        let template: String = pieces.iter().map(|(text, _)| text.as_str()).collect();
        let expected: Option<String> = pieces.iter().map(|(_, says)| says.as_deref()).collect();
        prop_assert_eq!(render(&template, r#"{"a":"x"}"#).ok(), expected);
    }

    #[test]
    fn no_text_panics(text in "(\\{|\\}|@time|:|%|\\||[a-z.\"\\[\\]é -]|.){0,24}") {
        match Template::parse(&text) {
            Ok(template) => {
                let batch = test_batch("{}");
                let _ = template.prepare(&batch).render(&batch, &batch.rows[0], &mut Vec::new());
            }
            Err(error) => {
                prop_assert!(text.is_char_boundary(error.at), "{} {}", error.at, text);
                prop_assert!(text.is_char_boundary(error.at + error.len), "{} {} {}", error.at, error.len, text);
            }
        }
    }
}
