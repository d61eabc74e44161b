//! What OpenSearch answers to bulk requests that it refuses in whole or in part, without the agent: the in-process
//! server of the other tests imitates these answers, and the output relies on them. A new version that answers
//! otherwise fails here, by name.

use serde_json::Value;

use super::server;

/// Status and body of a bulk request.
fn bulk(url: &str, body: impl ureq::AsSendBody) -> (u16, String) {
    let config = ureq::Agent::config_builder().http_status_as_error(false).build();
    let mut answer = ureq::Agent::from(config)
        .post(format!("{url}/_bulk?filter_path=errors,items.*.status,items.*.error,error,status"))
        .header("content-type", "application/x-ndjson")
        .send(body)
        .unwrap_or_else(|error| panic!("{url}: {error}"));
    (answer.status().as_u16(), answer.body_mut().read_to_string().expect("the answer can be read"))
}

/// One action of an index of its own for each test.
fn create(index: &str, id: &str, document: &str) -> String {
    format!("{{\"create\":{{\"_index\":\"{index}\",\"_id\":\"{id}\"}}}}\n{document}\n")
}

fn json(body: &str) -> Value {
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body}"))
}

#[test]
fn each_item_has_its_own_answer() {
    let Some(server) = server::opensearch() else { return };
    let cases = [
        (r#"{"n":1}"#, 201, ""),
        (r#"{"n":"x"}"#, 400, "mapper_parsing_exception"),
        (r#"{"d":1,"d":2}"#, 400, "mapper_parsing_exception"),
        (r#"{"n":1,}"#, 400, "mapper_parsing_exception"),
        (r#"[1]"#, 400, "mapper_parsing_exception"),
        (r#""#, 400, "mapper_parsing_exception"),
        (r#"{"":1}"#, 400, "mapper_parsing_exception"),
        (r#"{"n":123456789012345678901234567890}"#, 400, "mapper_parsing_exception"),
        (r#"{"o":[1,{"a":2}]}"#, 400, "illegal_argument_exception"),
        (r#"{"s":"\ud800"}"#, 201, ""),
    ];
    let mut body = String::new();
    for (at, (document, ..)) in cases.iter().enumerate() {
        body += &create("fact-items", &at.to_string(), document);
    }
    // The id of the first once more, and an index whose name is not one.
    body += &create("fact-items", "0", r#"{"n":2}"#);
    body += &create("Fact", "0", r#"{"n":2}"#);
    let expected: Vec<(u64, &str)> = cases
        .iter()
        .map(|(_, status, kind)| (*status, *kind))
        .chain([(409, "version_conflict_engine_exception"), (400, "invalid_index_name_exception")])
        .collect();

    let (status, body) = bulk(&server.url, body);
    let answer = json(&body);
    assert_eq!((status, &answer["errors"]), (200, &Value::Bool(true)));
    let items = answer["items"].as_array().expect("one item for each action");
    let items: Vec<(u64, &str)> = items
        .iter()
        .map(|item| &item["create"])
        .map(|item| (item["status"].as_u64().unwrap_or_default(), item["error"]["type"].as_str().unwrap_or_default()))
        .collect();
    assert_eq!(items, expected, "{body}");
}

#[test]
fn an_id_beyond_512_bytes_refuses_the_whole_request() {
    let Some(server) = server::opensearch() else { return };
    let good = create("fact-id", &"g".repeat(512), r#"{"n":1}"#);
    let (status, body) = bulk(&server.url, good.clone());
    assert_eq!((status, &json(&body)["errors"]), (200, &Value::Bool(false)), "{body}");

    let (status, body) = bulk(&server.url, good + &create("fact-id", &"b".repeat(513), r#"{"n":1}"#));
    assert_eq!((status, &json(&body)["error"]["type"]), (400, &Value::from("action_request_validation_exception")));
    assert!(body.contains("is too long, must be no longer than 512 bytes but was: 513"), "{body}");
}

/// A tenth of the heap is what bulk requests may hold; one that is larger is refused by an idle node as well.
#[test]
fn a_request_beyond_the_indexing_pressure_is_a_429_and_beyond_the_limit_a_413() {
    let Some(server) = server::opensearch() else { return };
    let one = create("fact-large", "a", &format!("{{\"s\":\"{}\"}}", "w ".repeat(500_000)));
    let (status, body) = bulk(&server.url, one.repeat(90));
    assert_eq!((status, &json(&body)["error"]["type"]), (429, &Value::from("rejected_execution_exception")), "{body}");

    assert_eq!(bulk(&server.url, one.repeat(106)), (413, String::new()));
}

#[test]
fn a_request_that_is_not_one_is_refused_with_its_reason() {
    let Some(server) = server::opensearch() else { return };
    for (body, reason) in [
        (
            "{\"create\":{\"_index\":\"fact-bad\"}}\n{\"n\":1}",
            "The bulk request must be terminated by a newline [\\\\n]",
        ),
        ("{\"create\":{}}\n{\"n\":1}\n", "Validation Failed: 1: index is missing;"),
        ("{\"make\":{\"_index\":\"fact-bad\"}}\n{\"n\":1}\n", "Malformed action/metadata line [1], expected one of "),
        ("", "request body is required"),
    ] {
        let (status, answer) = bulk(&server.url, body);
        assert_eq!((status, &json(&answer)["status"]), (400, &Value::from(400)));
        assert!(answer.contains(reason), "{answer}");
    }
}
