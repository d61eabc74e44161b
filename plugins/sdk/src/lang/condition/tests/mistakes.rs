//! What is said about texts that are no conditions.

use super::*;

#[test]
fn shown_where_they_stand_with_what_was_meant() {
    for (condition, marked, message, help) in [
        ("a = 1", "=", "`=` is no operator", "did you mean `==`?"),
        ("a === 1", "===", "`===` is no operator", "did you mean `==`?"),
        ("a <> 1", "<>", "`<>` is no operator", "did you mean `!=`?"),
        ("a => 1", "=>", "`=>` is no operator", "did you mean `>=`?"),
        ("a !~ \"x\"", "!~", "`!~` is no operator", "write `not a =~ \"...\"`"),
        ("a == 1 && b == 2", "&&", "this can't stand here", "write `and`"),
        ("a == 1 || b == 2", "||", "this can't stand here", "write `or`"),
        ("a&&b", "&&", "this is no operator", "write `and`"),
        ("a == 1 AND b == 2", "AND", "this can't stand here", "write `and`"),
        ("a == 1 b == 2", "b", "this can't stand here", "conditions are joined with `and` or `or`"),
        ("! a == 1", "!", "this can't stand here", "write `not`"),
        ("a == 'x'", "'", "a text stands in double quotes", "write \"text\""),
        ("a == “x”", "“", "a text stands in double quotes", "write \"text\""),
        ("'a' == 1", "'", "single quotes mean nothing here", "the field stands left, as in `status == 200`"),
        (
            "a == debug",
            "debug",
            "`debug` is no text without quotes",
            "write \"debug\"; to compare with a field: field(debug)",
        ),
        (
            "200 == a",
            "200",
            "a number can't stand left of an operator",
            "the field stands left, as in `status == 200`; a field of this name needs quotes",
        ),
        (
            "host == a.example.com",
            "a.example.com",
            "`a.example.com` is no text without quotes",
            "write \"a.example.com\"; to compare with a field: field(a.example.com)",
        ),
        ("host == /x", "/", "a text in double quotes, a number, true, false, null or a field is expected here", ""),
        (
            "\"debug\" == @tag",
            "\"",
            "left of an operator this is the name of a field",
            "write the text behind the operator: @tag == \"...\"",
        ),
        ("a", "a", "a field alone is no condition", "compare it, as in `a == true`, or ask `exists(a)`"),
        ("a and b == 1", "a", "a field alone is no condition", "compare it, as in `a == true`, or ask `exists(a)`"),
        ("a is 1", "is", "an operator is expected here", "did you mean `==`?"),
        ("a not in [1]", "not", "an operator is expected here", "`not` stands in front: `not a in [...]`"),
        ("a contain \"x\"", "contain", "an operator is expected here", "did you mean `contains`?"),
        ("a startswith \"x\"", "startswith", "an operator is expected here", "did you mean `starts_with`?"),
        ("exist(a)", "exist", "there is no function `exist`", "did you mean `exists`?"),
        ("is_int(a)", "is_int", "there is no function `is_int`", "did you mean `is_list`?"),
        ("exists()", ")", "a field is missing here", ""),
        ("exists(a, b)", ",", "here stands one field, and nothing else", ""),
        (
            "a in \"x\"",
            "",
            "behind `in` stands a list in brackets",
            "write `in [\"a\", \"b\"]`; whether a list has an item asks `tags contains \"a\"`",
        ),
        (
            "a in [x]",
            "x",
            "an item of a list is a text in double quotes, a number, true, false or null",
            "a text stands in double quotes: \"x\"",
        ),
        ("a in ['x']", "'", "a text stands in double quotes", "write \"text\""),
        (
            "a in [1 2]",
            "2",
            "an item of a list is a text in double quotes, a number, true, false or null",
            "a text stands in double quotes: \"2\"",
        ),
        ("a in [1", "[", "this bracket is never closed", ""),
        ("a == [1]", "[", "a list can stand only behind `in`", ""),
        ("a == 5MB", "5MB", "`5MB` is no number", "a text stands in double quotes: \"5MB\""),
        ("a == \"x", "\"", "this quote is never closed", ""),
        (
            "a == \"\\d\"",
            "d",
            "nothing is written with this behind a backslash",
            r#"there are \" \\ \/ \n \r \t and \u00e9; for a backslash write \\"#,
        ),
        (
            "a == \"\\ud800\"",
            "u",
            "nothing is written with this behind a backslash",
            r#"there are \" \\ \/ \n \r \t and \u00e9; for a backslash write \\"#,
        ),
        ("(a == 1", "(", "this parenthesis is never closed", ""),
        ("a == 1)", ")", "this can't stand here", "no parenthesis is open"),
        ("()", ")", "a condition is missing here", ""),
        ("", "", "a condition is missing here", ""),
        ("a == 1 and", "", "a condition is missing here", ""),
        (
            "a ==",
            "",
            "something is missing here",
            "a text in double quotes, a number, true, false, null or a field is expected here",
        ),
        ("and == 1", "and", "`and` is a word of the language", "a field of this name needs quotes: \"and\""),
        ("a < true", "true", "only numbers and texts have an order", ""),
        ("number(a) == \"5\"", "\"5\"", "left of it stands a number, which this is not", ""),
        ("number(a) contains \"5\"", "contains", "this asks about texts, and left of it stands a number", ""),
        ("a starts_with 5", "5", "a text in double quotes is expected here", ""),
        ("a == exists(b)", "exists", "this is a condition of its own, and no value", ""),
        (
            "a =~ x",
            "x",
            "a regular expression in double quotes is expected here",
            "a text stands in double quotes: \"x\"",
        ),
        ("a =~ \"(\"", "(", "this is no regular expression: unclosed group", ""),
        ("a..b == 1", ".", "a field name is expected", ""),
    ] {
        let error = Condition::parse(condition).expect_err(condition);
        assert_eq!((error.message.as_str(), error.help.as_str()), (message, help), "{condition}");
        assert_eq!(&condition[error.at..error.at + error.len], marked, "{condition}");
    }
}

#[test]
fn depth_and_length_are_bounded() {
    let nested = |n: usize| format!("{}a == 1{}", "(".repeat(n), ")".repeat(n));
    assert!(Condition::parse(&nested(64)).is_ok());
    assert_eq!(Condition::parse(&nested(65)).unwrap_err().message, "this nests deeper than 64");
    assert!(Condition::parse(&nested(10_000)).is_err());
    assert!(Condition::parse(&format!("{}a == 1", "not ".repeat(10_000))).is_err());
    assert!(Condition::parse(&format!("a == \"{}\"", "x".repeat(70_000))).is_err());
    // Long, but not deep.
    assert!(Condition::parse(&vec!["a == 1"; 5_000].join(" or ")).is_ok());
    let many = |n: usize| (0..n).map(|i| format!("f{i} == 1")).collect::<Vec<_>>().join(" or ");
    assert!(Condition::parse(&many(256)).is_ok());
    assert!(Condition::parse(&many(257)).is_err());
    // A regular expression that would compile to gigabytes.
    assert!(Condition::parse(r#"a =~ "((\w{1000}){1000}){1000}""#).is_err());
}
