//! What each operator means.

use super::*;
use crate::flow::Selection;

const RECORD: &str = r#"{"level":"debug","status":500,"rate":0.5,"big":18446744073709551616,"ok":true,"none":null,
    "text":"5","esc":"q\"\u00e9","path":"/api/v1","tags":["slow","a",3,null],"http":{"status":200,"a.b":1},"x.y":"lit",
    "x":{"y":"nested","z":1},"my field":1,"same":{"k":[1,2.0],"j":1},"same2":{"j":1.0,"k":[1.0,2]},"200":"number"}"#;

#[track_caller]
fn all_are(expected: bool, conditions: &[&str]) {
    for condition in conditions {
        assert_eq!(is(condition, RECORD), expected, "{condition}");
    }
}

#[test]
fn equality() {
    all_are(
        true,
        &[
            r#"level == "debug""#,
            r#"level=="debug""#,
            r#"level != "info""#,
            "status == 500",
            "status == 500.0",
            "status == 5e2",
            "rate == 0.5",
            "ok == true",
            "none == null",
            r#"esc == "q\"é""#,
            r#"esc == "q\"\u00e9""#,
            "big == 18446744073709551616",
            "big != 18446744073709551617",
            "http.status == 200",
            "http.a.b == 1",
            r#"x.y == "lit""#,
            "x.z == 1",
            r#""my field" == 1"#,
            r#""200" == "number""#,
            "tags[0] == \"slow\"",
            "tags[-1] == null",
            "field(same) == field(same2)",
            "same == field(same2)",
            "status == field(status)",
        ],
    );
    all_are(
        false,
        &[
            r#"level == "Debug""#,
            r#"status == "500""#,
            "text == 5",
            "ok == \"true\"",
            "none == false",
            "none == \"\"",
            "tags == \"slow\"",
            "status != 500.0",
            "same == field(tags)",
            "level == @tag",
        ],
    );
}

#[test]
fn absence() {
    all_are(
        true,
        &["gone != 1", "gone != null", "not gone == 1", "not gone < 1", "gone != field(none)", "not exists(gone)"],
    );
    all_are(
        false,
        &[
            "gone == null",
            "gone < 1",
            "gone >= 1",
            "gone in [null]",
            "gone contains \"\"",
            "gone starts_with \"\"",
            "gone =~ \"\"",
            "exists(gone)",
            "is_null(gone)",
            "gone == field(gone2)",
            "number(gone) == 1",
            "level.x == 1",
            "tags[9] == 1",
            "@k8s.pod.name == \"x\"",
        ],
    );
    all_are(true, &["exists(none)", "exists(tags[-1])", "exists(http.status)"]);
}

#[test]
fn order() {
    all_are(
        true,
        &[
            "status > 499",
            "status >= 500",
            "status <= 500.0",
            "rate < 1",
            "big > 18446744073709551615",
            "level < \"e\"",
            "level >= \"debug\"",
            "esc < \"q\\\"ê\"",
            "number(text) > 4.5",
            "status > field(rate)",
            "@time > 1709210096000000000",
        ],
    );
    all_are(
        false,
        &["text > 4", "level > 1", "ok < field(status)", "none < 1", "status < field(level)", "number(level) < 1"],
    );
}

#[test]
fn membership() {
    all_are(
        true,
        &[
            r#"level in ["info", "debug"]"#,
            r#"level in["a","b","c","d","e","debug",]"#,
            "status in [404, 500.0]",
            "none in [null]",
            "ok in [false, true]",
            r#"esc in ["q\"é", "b", "c", "d", "e", "f"]"#,
            "number(text) in [5]",
            "not level in [\"info\"]",
        ],
    );
    all_are(
        false,
        &["level in []", "text in [5]", "status in [\"500\"]", "tags in [\"slow\"]", "none in [false]", "ok in [null]"],
    );
}

#[test]
fn texts() {
    all_are(
        true,
        &[
            r#"path starts_with "/api""#,
            r#"path ends_with "v1""#,
            r#"path contains "pi/""#,
            r#"path contains """#,
            r#"esc contains "\"é""#,
            r#"esc ends_with "é""#,
            r#"tags contains "slow""#,
            "tags contains 3.0",
            "tags contains null",
            r#"path =~ "^/api/v\d+$""#,
            r#"esc =~ "^q\"é$""#,
            r#"@tag starts_with "app.""#,
            "path starts_with field(x.slash) or path contains field(path)",
        ],
    );
    all_are(
        false,
        &[
            r#"status starts_with "5""#,
            r#"status =~ "5""#,
            r#"path starts_with "api""#,
            r#"tags contains "slo""#,
            "path contains 1",
            "http contains \"status\"",
            r#"path =~ "^api""#,
            "tags contains true",
        ],
    );
}

#[test]
fn types() {
    all_are(
        true,
        &[
            "is_string(level)",
            "is_number(status)",
            "is_number(big)",
            "is_bool(ok)",
            "is_null(none)",
            "is_map(http)",
            "is_list( tags )",
            "is_string(@tag)",
            "is_number(@time)",
        ],
    );
    all_are(
        false,
        &["is_string(status)", "is_number(text)", "is_bool(none)", "is_null(gone)", "is_map(tags)", "is_list(http)"],
    );
}

#[test]
fn header_and_scope() {
    all_are(
        true,
        &[
            r#"@tag == "app.web""#,
            r#"@input == "in""#,
            r#"@signal == "logs""#,
            r#"@k8s.namespace.name in ["shop"]"#,
            r#"@resource.service.name =~ "^c""#,
            "@service.name == @resource.service.name",
        ],
    );
}

#[test]
fn precedence() {
    let record = r#"{"t":true,"f":false}"#;
    for (condition, expected) in [
        ("t == true or t == true and f == true", true),
        ("(t == true or t == true) and f == true", false),
        ("not f == true and f == true", false),
        ("not (f == true and f == true)", true),
        ("not not t == true", true),
        ("not(t==true)or(t==true)", true),
        ("f == true or f == true or t == true", true),
        ("t == true and t == true and f == true", false),
        (" \n t == true \t ", true),
        ("order == 1 or t == true", true),
        ("not.x == 1 or android == 1 or t == true", true),
    ] {
        assert_eq!(is(condition, record), expected, "{condition}");
    }
}

#[test]
fn selects_rows() {
    let mut batch = test_batch(r#"{"a":1}"#);
    let at = batch.heap().len();
    batch.heap_mut().extend_from_slice(b"{\"a\":2}");
    let root = batch.parse_json(at..at + 7).unwrap();
    batch.rows.push(suiro_record::Row::new(root, 0, 0, 0));
    let condition = Condition::parse("a == 2").unwrap();
    assert_eq!(condition.select(&batch), Selection::Rows(vec![false, true]));
    assert_eq!(condition.paths().len(), 1);
    assert_eq!(Condition::parse("a == 1 or a == 2 or b == 1").unwrap().paths().len(), 2);
}
