//! A caller, and a client with `auth.aws`, against a server that checks what it is sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials as _;
use jiff::civil::DateTime;
use jiff::fmt::rfc2822::DateTimePrinter;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Url};

use crate::aws::sign::Seal;
use crate::aws::{Account, AccountSettings, Call, Caller, Service, client_settings, judge};
use crate::http::test_kit::{Received, Reply, Server};
use crate::http::{Answer, Client, ClientSettings, Failure, Offer, Request, Signable};
use crate::ledger::{OutputLedger, read};
use crate::output::Outcome;
use crate::settings::Section;

const CREDENTIALS: &str = "region = 'eu-central-1'\ncredentials = { access_key_id = 'AKIDSUIROTEST', \
    secret_access_key = 'suiro-secret', session_token = 'suiro-token' }";

/// Whether the request bears the signature it should, made of what arrived.
fn is_signed(request: &Received, base: &str, service: &str) -> bool {
    let credentials = Credentials::builder()
        .access_key_id("AKIDSUIROTEST")
        .secret_access_key("suiro-secret")
        .session_token("suiro-token")
        .provider_name("server")
        .build();
    let time = request.header("x-amz-date").and_then(|date| DateTime::strptime("%Y%m%dT%H%M%SZ", date).ok());
    let Some(time) = time.and_then(|time| time.to_zoned(TimeZone::UTC).ok()) else { return false };
    let ours = ["x-amz-date", "x-amz-security-token", "x-amz-content-sha256"];
    let headers: HeaderMap = request
        .headers
        .iter()
        .filter(|(name, _)| !ours.contains(&name.as_str()))
        .map(|(name, value)| (HeaderName::try_from(name).unwrap(), HeaderValue::from_str(value).unwrap()))
        .collect();
    let method = Method::from_bytes(request.method.as_bytes()).unwrap();
    let url = Url::parse(&format!("{base}{}", request.target)).unwrap();
    let seal =
        Seal { credentials: &credentials, region: "eu-central-1", service, time: SystemTime::from(time.timestamp()) };
    let added = seal.sign(Signable { method: &method, url: &url, headers: &headers, body: &request.body }).unwrap();
    added.iter().all(|(name, value)| request.header(name.as_str()) == value.to_str().ok())
}

fn account(settings: &str) -> Account {
    let (section, diagnostics) = Section::from_text("[[output]] x", settings);
    let read = AccountSettings::read(&section);
    assert!(section.finish().is_ok(), "{}", diagnostics.render(false));
    Account::new(read.unwrap())
}

fn caller(service: Service, endpoint: &str, more: &str) -> (Caller, Arc<OutputLedger>) {
    let text = format!("{CREDENTIALS}\nendpoint = '{endpoint}'\n{more}");
    let (section, diagnostics) = Section::from_text("[[output]] x", &text);
    let (account, client) = (AccountSettings::read(&section), client_settings(&section, true));
    assert!(section.finish().is_ok(), "{}", diagnostics.render(false));
    let ledger = Arc::new(OutputLedger::default());
    let caller = Caller::new(Account::new(account.unwrap()), service, client.unwrap(), ledger.clone());
    (caller.unwrap(), ledger)
}

async fn call(caller: &Caller, path: &str, body: &[u8]) -> Result<Answer, Failure> {
    let mut buffer = caller.buffer();
    buffer.bytes.extend_from_slice(body);
    caller
        .call(Call {
            method: Method::POST,
            path,
            target: Some("Kinesis_20131202.PutRecords"),
            content_type: "application/x-amz-json-1.1",
            headers: &[(HeaderName::from_static("x-amz-meta-a"), HeaderValue::from_static("b"))],
            body: buffer,
            limit: 1000,
        })
        .await
}

#[tokio::test]
async fn a_call_arrives_signed_as_it_was_sent() {
    let server = Server::start(|_| Reply::text(200, "{}")).await.unwrap();
    for (service, more) in [
        (Service::KINESIS, ""),
        (Service::KINESIS, "compression = 'gzip'\nheaders = { X-Team = 't' }"),
        (Service::S3, ""),
    ] {
        let (caller, ledger) = caller(service, &format!("{}/base/", server.url), more);
        for path in ["/", "/a%20b//c?x=1&list-type=2&empty"] {
            assert_eq!(call(&caller, path, &b"the body ".repeat(100)).await.unwrap().status.as_u16(), 200);
        }
        let requests = std::mem::take(&mut *server.requests());
        assert_eq!(requests.len(), 2);
        for request in &requests {
            assert!(is_signed(request, &server.url, service.signing), "{request:?}");
            let signed = request.header("authorization").unwrap();
            assert!(signed.contains("content-type;host;"), "{signed}");
            assert!(signed.contains("x-amz-meta-a;x-amz-security-token;x-amz-target"), "{signed}");
            assert_eq!(request.header("x-amz-target"), Some("Kinesis_20131202.PutRecords"));
            assert_eq!(request.header("content-encoding").is_some(), more.contains("gzip"));
            assert_eq!(request.header("x-team").is_some(), more.contains("X-Team"));
        }
        assert_eq!(requests[0].target, "/base/");
        assert_eq!(requests[1].target, "/base/a%20b//c?x=1&list-type=2&empty");
        let sent: usize = requests.iter().map(|request| request.body.len()).sum();
        assert_eq!(read(&ledger.bytes), sent as u64);
    }
    // A caller keeps its connection.
    assert_eq!(server.connections(), 3);
}

/// A server whose clock is an hour ahead refuses the first request. The second bears its time.
#[tokio::test]
async fn a_clock_that_is_off_costs_one_request() {
    let ahead = Arc::new(AtomicI64::new(3600));
    let clock = ahead.clone();
    let server = Server::start(move |request| {
        let now = Timestamp::now() + SignedDuration::from_secs(clock.load(Relaxed));
        let date = DateTimePrinter::new().timestamp_to_rfc9110_string(&now).unwrap();
        let signed = DateTime::strptime("%Y%m%dT%H%M%SZ", request.header("x-amz-date").unwrap()).unwrap();
        let signed = signed.to_zoned(TimeZone::UTC).unwrap().timestamp();
        let off = now.as_second() - signed.as_second();
        let reply = if off.abs() < 300 {
            Reply::text(200, "")
        } else {
            Reply::text(400, r#"{"__type":"InvalidSignatureException","message":"Signature expired"}"#)
        };
        reply.with("Date", date)
    })
    .await
    .unwrap();
    let (caller, _) = caller(Service::LOGS, &server.url, "");
    for off in [3600, -7200, 0] {
        ahead.store(off, Relaxed);
        let refused = judge(&call(&caller, "/", b"x").await.unwrap());
        assert!(matches!(refused, Outcome::Retry { degraded: false, .. }) || off == 0, "{refused:?}");
        assert_eq!(judge(&call(&caller, "/", b"x").await.unwrap()), Outcome::Delivered);
    }
    assert!(is_signed(server.requests().last().unwrap(), &server.url, "logs"));
}

#[tokio::test]
async fn a_path_leads_to_no_other_host() {
    let server = Server::start(|_| Reply::text(200, "")).await.unwrap();
    let (caller, _) = caller(Service::S3, &server.url, "");
    assert!(!caller.takes_host_prefix().await.unwrap());
    for path in ["@evil.example/", ".evil.example/", ":1/"] {
        let failure = call(&caller, path, b"x").await.unwrap_err();
        assert!(failure.unsent && failure.degraded, "{failure:?}");
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn endpoints_are_the_regions_own() {
    let own = account("region = 'cn-north-1'\ndual_stack = true");
    let endpoint = own.endpoint(Service::XRAY).await.unwrap();
    assert_eq!(endpoint.as_str(), "https://xray.cn-north-1.api.amazonwebservices.com.cn/");
    let (section, _) = Section::from_text("[[output]] x", "");
    let client = client_settings(&section, false).unwrap();
    let s3 = Caller::new(account(CREDENTIALS), Service::S3, client, Arc::default()).unwrap();
    assert!(s3.takes_host_prefix().await.unwrap());
    let bucket = s3.with_host_prefix("bucket");
    // Nobody is asked: there is no such host to be signed for from here.
    assert_eq!(bucket.url("/key").await.unwrap().as_str(), "https://bucket.s3.eu-central-1.amazonaws.com/key");
}

#[tokio::test]
async fn clients_of_the_sdk_get_the_same() {
    let config = account(&format!("{CREDENTIALS}\nendpoint = 'http://127.0.0.1:1'")).sdk_config().await.unwrap();
    assert_eq!(config.region().unwrap().as_ref(), "eu-central-1");
    assert_eq!(config.endpoint_url(), Some("http://127.0.0.1:1/"));
    // So that no variable comes before it.
    assert!(config.get_origin("endpoint_url").is_client_config());
    assert_eq!(config.retry_config().unwrap().max_attempts(), 1);
    let credentials = config.credentials_provider().unwrap().provide_credentials().await.unwrap();
    assert_eq!((credentials.access_key_id(), credentials.session_token()), ("AKIDSUIROTEST", Some("suiro-token")));
}

#[test]
fn settings_of_the_client_are_checked() {
    for (text, message) in [
        ("endpoint = 'http://h'\ntls = { insecure_skip_verify = true }", "plain http"),
        ("url = 'http://h'", "unknown setting `url`"),
        ("compression = 'br'", "compression"),
        ("endpoint = 'h:1'", "starts with http"),
    ] {
        let (section, diagnostics) = Section::from_text("[[output]] x", text);
        let read = (AccountSettings::read(&section).is_ok(), client_settings(&section, true).is_ok());
        assert!(section.finish().is_err() || read != (true, true), "{text}");
        let shown = diagnostics.render(false);
        assert!(shown.contains(message), "{text}:\n{shown}");
        assert_eq!(shown.matches("error: ").count(), 1, "{shown}");
    }
}

/// Any output with the client's settings signs, whatever the service: the body as it leaves, for each attempt.
#[tokio::test]
async fn auth_aws_signs_for_any_service() {
    let server = Server::start(|_| Reply::text(200, "")).await.unwrap();
    for service in ["logs", "aoss", "made-up"] {
        let text = format!(
            "url = '{}/v1/logs?a=b'\ncompression = 'gzip'\nheaders = {{ x-aws-log-group = 'g' }}\n\
             auth = {{ aws = {{ service = '{service}', {} }} }}",
            server.url,
            CREDENTIALS.replace('\n', ", ")
        );
        let (section, diagnostics) = Section::from_text("[[output]] http", &text);
        let offer = Offer { url: "", several: true, api_key: true, compression: true };
        let settings = ClientSettings::read(&section, offer);
        assert!(section.finish().is_ok(), "{}", diagnostics.render(false));
        let settings = settings.unwrap();
        assert!(!format!("{settings:?}").contains("suiro-secret"));
        assert!(Client::http2(settings.clone(), Arc::default()).is_err());
        let client = Client::new(settings, Arc::default()).unwrap();
        let mut body = client.buffer();
        body.bytes.extend_from_slice(&b"again ".repeat(1000));
        let request = Request { method: Method::POST, body, content_type: "text/plain", header: None, limit: 10 };
        client.send(request).await.unwrap();
        let request = server.requests().pop().unwrap();
        assert!(is_signed(&request, &server.url, service), "{request:?}");
        assert_eq!(request.header("content-encoding"), Some("gzip"));
        assert_eq!(request.header("x-amz-content-sha256").is_some(), service == "aoss");
    }
}

#[test]
fn auth_aws_is_checked() {
    for (text, message) in [
        ("auth = { aws = { } }", "missing setting `service`"),
        ("auth = { aws = { service = 'Logs!' } }", "no name of a service"),
        ("auth = { aws = { service = 'logs', endpoint = 'http://h' } }", "unknown setting `endpoint`"),
        ("auth = { aws = { service = 'logs', region = 'X Y' } }", "no region"),
        ("auth = { aws = { service = 'logs' }, bearer = 'pa55' }", "only one of"),
        ("auth = { aws = 'logs' }", "aws"),
        ("auth = { aws = { service = 'logs' } }\nheaders = { authorization = 'x' }", "both `auth` and the header"),
    ] {
        let (section, diagnostics) = Section::from_text("[[output]] http", &format!("url = 'http://h'\n{text}"));
        let offer = Offer { url: "", several: true, api_key: true, compression: true };
        let settings = ClientSettings::read(&section, offer);
        let finished = section.finish();
        assert!(settings.is_err() || finished.is_err(), "{text}");
        let shown = diagnostics.render(false);
        assert!(shown.contains(message), "{text}:\n{shown}");
        assert!(!shown.contains("pa55"), "{shown}");
    }
}

/// A signature that is refused is no fault of the records, whatever the status: the client fails, and every output tries
/// again.
#[tokio::test]
async fn a_refused_signature_is_a_failure() {
    let replies = [
        (400, "ExpiredTokenException", Some(false)),
        (400, "ThrottlingException", Some(false)),
        (429, "TooManyRequestsException", Some(false)),
        (404, "UnknownOperationException", Some(true)),
        (400, "UnrecognizedClientException", Some(true)),
        (403, "AccessDeniedException", Some(true)),
        (400, "ResourceNotFoundException", Some(true)),
        (400, "ValidationException", None),
        (500, "InternalFailure", None),
        (413, "RequestEntityTooLarge", None),
    ];
    let mut left = replies.into_iter();
    let server = Server::start(move |_| {
        let (status, code, _) = left.next().unwrap();
        let reply = Reply::text(status, format!("{{\"__type\":\"{code}\",\"message\":\"words\"}}"));
        if status == 429 { reply.with("retry-after", "30") } else { reply }
    })
    .await
    .unwrap();
    let text = format!(
        "url = '{}'\nauth = {{ aws = {{ service = 'logs', {} }} }}",
        server.url,
        CREDENTIALS.replace('\n', ", ")
    );
    let (section, _) = Section::from_text("[[output]] http", &text);
    let offer = Offer { url: "", several: false, api_key: false, compression: false };
    let client = Client::new(ClientSettings::read(&section, offer).unwrap(), Arc::default()).unwrap();
    for (status, code, failed) in &replies {
        let body = client.buffer();
        let request = Request { method: Method::POST, body, content_type: "text/plain", header: None, limit: 1000 };
        match (client.send(request).await, failed) {
            (Ok(answer), None) => assert_eq!(answer.status.as_u16(), *status),
            (Err(failure), Some(degraded)) => {
                assert!(failure.to_string().contains(code), "{failure}");
                assert_eq!((failure.unsent, failure.degraded), (false, *degraded), "{code}");
                let Outcome::Retry { after, .. } = failure.into_outcome() else { panic!("{code}") };
                assert_eq!(after, (*status == 429).then_some(Duration::from_secs(30)), "{code}");
            }
            (got, _) => panic!("{code}: {got:?}"),
        }
    }
}
