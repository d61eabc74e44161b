//! Documents that pass through as they are.

use serde_json::json;

use super::*;

#[test]
fn the_text_is_what_came() {
    let document = "{ \"trace_id\":\"1-581cf771-a006649127e371903a2de979\",\n\t\"name\":\"sh\\u00f6p \u{e9}\", \"id\":\"53995C3F42CD8AD8\", \"start_time\":1478293361.5,\n\"end_time\":1478293362.123456789, \"x\":[1.0e2,{}], \"subsegments\":[{\"bad\":1}] }";
    let records = records(&format!("\n {document}\n"), Format::Segments);
    assert_eq!(records.len(), 1);
    assert_eq!(
        records[0].body,
        json!({
            "name": "shöp é", "start": 1_478_293_361_500_000_000_i64, "end": 1_478_293_362_123_456_789_i64,
            "xray.segment": document,
        })
    );
    let header = json!({ "trace_id": "581cf771a006649127e371903a2de979", "span_id": "53995c3f42cd8ad8" });
    assert_eq!((&records[0].header, &records[0].resource), (&header, &json!({})));
    assert_eq!((records[0].time, records[0].own_time), (1_478_293_362_123_456_789, true));
}

#[test]
fn what_is_not_needed_is_not_asked_for() {
    let document = r#"{"trace_id":"1-581cf771-a006649127e371903a2de979","id":"53995c3f42cd8ad8"}"#;
    let records = records(document, Format::Segments);
    assert_eq!(records[0].body, json!({ "xray.segment": document }));
    assert_eq!((records[0].time, records[0].own_time), (READ_AT, false));
    let going = r#"{"trace_id":"1-581cf771-a006649127e371903a2de979","id":"53995c3f42cd8ad8","start_time":2,"in_progress":true,"end_time":3}"#;
    let records = super::records(going, Format::Segments);
    assert_eq!(records[0].body["end"], json!(null));
    assert_eq!(records[0].time, 2_000_000_000);
}
