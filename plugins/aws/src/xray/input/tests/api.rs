//! Requests, passed on or answered.

use serde_json::json;
use suiro_sdk::aws::AccountSettings;
use suiro_sdk::http::test_kit::{Reply, Server};
use suiro_sdk::intake::Intake;
use suiro_sdk::serve::{Door, ServerSettings};
use suiro_sdk::settings::Section;
use suiro_sdk::{InputLedger, SourceSetup};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;
use crate::xray::input::api::Api;
use crate::xray::input::settings::Sampling;

/// A door behind which requests are answered.
struct Served {
    address: std::net::SocketAddr,
    ledger: Arc<InputLedger>,
    source: Box<dyn suiro_sdk::Source>,
}

impl Served {
    fn start(sampling: &Sampling) -> Served {
        let (section, _) = Section::from_text("[[input]] x", "max_body = '64KiB'");
        let settings = ServerSettings::read(&section, &[]).unwrap();
        let setup = SourceSetup::sample("x");
        let intake = Intake::new(1 << 20);
        let desk = intake.desk(&setup).unwrap().unwrap();
        let source = intake.source(&setup);
        let door = Door::open("127.0.0.1:0".parse().unwrap(), "tcp", &settings).unwrap();
        let address = door.address();
        let api = Api::new(sampling, desk.clone()).unwrap();
        desk.spawn(move |desk| door.serve(desk, Arc::new(api))).unwrap();
        Served { address, ledger: setup.ledger, source }
    }

    fn proxy(endpoint: &str, more: &str) -> Served {
        let text = format!(
            "region = 'eu-central-1'\nendpoint = '{endpoint}'\n\
             credentials = {{ access_key_id = 'AKIDSUIROTEST', secret_access_key = 'suiro-secret' }}\n{more}"
        );
        let (section, diagnostics) = Section::from_text("[[input]] x", &text);
        let account = AccountSettings::read(&section).unwrap_or_else(|_| panic!("{}", diagnostics.render(false)));
        Served::start(&Sampling::Proxy(Box::new(account)))
    }

    async fn send(&self, head: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let length = body.len();
        let request =
            format!("{head}\r\nhost: 127.0.0.1:2000\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        (status, answer)
    }

    async fn post(&self, path: &str, body: &str) -> (u16, String) {
        self.send(&format!("POST {path} HTTP/1.1\r\ncontent-type: application/json"), body).await
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.source.stop();
    }
}

#[tokio::test]
async fn requests_are_signed_and_answers_passed_back() {
    let server = Server::start(|request| match request.target.as_str() {
        "/GetSamplingRules" => Reply::text(200, r#"{"SamplingRuleRecords":[]}"#)
            .with("content-type", "application/json")
            .with("x-amzn-requestid", "r-1"),
        "/odd%20path?a=b%2F" => Reply::text(403, r#"{"__type":"AccessDeniedException","message":"no"}"#),
        _ => Reply::text(404, ""),
    })
    .await
    .unwrap();
    let served = Served::proxy(&server.url, "");
    let (status, answer) = served.post("/GetSamplingRules", "{}").await;
    assert_eq!(status, 200, "{answer}");
    assert!(answer.ends_with("\r\n\r\n{\"SamplingRuleRecords\":[]}"), "{answer}");
    assert!(answer.contains("x-amzn-requestid: r-1") && answer.contains("content-type: application/json"), "{answer}");
    let (status, answer) = served
        .send("PUT /odd%20path?a=b%2F HTTP/1.1\r\nx-amz-thing: 1\r\nauthorization: mine\r\nuser-agent: sdk/1", "body")
        .await;
    assert_eq!(status, 403);
    assert!(answer.ends_with("AccessDeniedException\",\"message\":\"no\"}"), "{answer}");

    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    let [rules, odd] = [&requests[0], &requests[1]];
    assert_eq!((rules.method.as_str(), rules.text().as_str()), ("POST", "{}"));
    assert_eq!((odd.method.as_str(), odd.text().as_str(), odd.header("user-agent")), ("PUT", "body", Some("sdk/1")));
    for request in [rules, odd] {
        let authorization = request.header("authorization").unwrap();
        assert!(authorization.starts_with("AWS4-HMAC-SHA256 Credential=AKIDSUIROTEST/"), "{authorization}");
        assert!(authorization.contains("/eu-central-1/xray/aws4_request"), "{authorization}");
        assert!(request.header("x-amz-date").is_some() && request.header("connection").is_none());
        assert_eq!(request.header("host"), server.url.strip_prefix("http://"));
        assert_eq!(request.headers.iter().filter(|(name, _)| name == "authorization").count(), 1);
    }
    assert!(odd.header("authorization").unwrap().contains("x-amz-thing"));
    // What X-Ray refused was answered: nothing is counted.
    assert_eq!(served.ledger.turned_away.total(), 0);
}

#[tokio::test]
async fn where_x_ray_can_not_be_asked_the_sender_is_told() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let served = Served::proxy(&format!("http://{closed}"), "");
    let (status, answer) = served.post("/SamplingTargets", "{}").await;
    assert_eq!(status, 502);
    assert!(answer.contains("the agent could not ask X-Ray: can't connect"), "{answer}");
    let server = Server::start(|request| match request.target.as_str() {
        "/reset" => Reply::Reset,
        "/broken" => Reply::Broken(200, b"{".to_vec()),
        _ => Reply::Endless(200),
    })
    .await
    .unwrap();
    let served_by = Served::proxy(&server.url, "");
    for (path, why) in
        [("/reset", "the connection broke"), ("/broken", "the connection broke"), ("/endless", "larger than")]
    {
        let (status, answer) = served_by.post(path, "{}").await;
        assert_eq!(status, 502);
        assert!(answer.contains(why), "{path}: {answer}");
    }
    let (status, answer) = served_by.post("/GetSamplingRules", &"x".repeat(70_000)).await;
    assert_eq!(status, 413, "{answer}");
    assert_eq!(served.ledger.turned_away.snapshot(), [("xray_unreachable", 1)].into());
    assert_eq!(served_by.ledger.turned_away.snapshot(), [("too_large", 1), ("xray_unreachable", 3)].into());
}

#[tokio::test]
async fn local_rules_are_answered_here() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rules.json");
    std::fs::write(&path, r#"{"version":2,"default":{"fixed_target":1,"rate":0.05}}"#).unwrap();
    let text = format!("udp = false\nsampling = 'local'\nsampling_rules = '{}'", path.display());
    let (section, diagnostics) = Section::from_text("[[input]] x", &text);
    let settings = crate::xray::input::settings::Settings::read(&section);
    let settings = settings.unwrap_or_else(|_| panic!("{}", diagnostics.render(false)));
    let served = Served::start(&settings.sampling);
    let json_of = |answer: &str| -> Value { serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap() };

    let (status, answer) = served.post("/GetSamplingRules", "{}").await;
    assert_eq!(
        (status, &json_of(&answer)["SamplingRuleRecords"][0]["SamplingRule"]["RuleName"]),
        (200, &json!("Default"))
    );
    let report = r#"{"SamplingStatisticsDocuments":[{"RuleName":"Default","ClientID":"a","Timestamp":1,"RequestCount":1,"SampledCount":1}]}"#;
    let (status, answer) = served.post("/SamplingTargets", report).await;
    assert_eq!((status, &json_of(&answer)["SamplingTargetDocuments"][0]["ReservoirQuota"]), (200, &json!(1)));
    for (path, body, expected) in [("/SamplingTargets", "[", 400), ("/TraceSegments", "{}", 404)] {
        let (status, answer) = served.post(path, body).await;
        assert_eq!(status, expected, "{answer}");
    }
    assert_eq!(served.send("GET /GetSamplingRules HTTP/1.1", "").await.0, 405);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while served.ledger.turned_away.total() < 3 && std::time::Instant::now() < deadline {
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    assert_eq!(served.ledger.turned_away.snapshot(), [("malformed", 3)].into());
}
