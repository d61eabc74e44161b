//! What answers mean, and how the records that are refused are found.

use suiro_sdk::aws::{Account, Caller, Service};
use suiro_sdk::http::test_kit::{Received, Reply, Server, delivery, setup};
use suiro_sdk::settings::Section;
use suiro_sdk::{Outcome, Output, OutputSetup, Reason, Verdict, time};
use suiro_test_servers::{Aws, Fault};
use tokio::time::Instant;

use super::kit::{accept, form, points, read};
use crate::cloudwatch::metrics::detector::Detectors;
use crate::cloudwatch::metrics::output::build;

/// What every block of these tests says.
const ACCOUNT: &str = "region = 'eu-central-1'\n\
     credentials = { access_key_id = 'AKIDSUIROTEST', secret_access_key = 'suiro-secret' }\n";

fn started(url: &str, more: &str) -> (Box<dyn Output>, OutputSetup) {
    started_with(&format!("namespace = 'Shop'\nendpoint = '{url}'\n{ACCOUNT}{more}"))
}

fn started_with(text: &str) -> (Box<dyn Output>, OutputSetup) {
    let (section, diagnostics) = Section::from_text("[[output]] cloudwatch_metrics", text);
    let Ok(mut output) = build(&section) else { panic!("{}", diagnostics.render(false)) };
    let setup = setup();
    output.start(&setup).unwrap();
    (output, setup)
}

/// Points of now: gauges `m0`, `m1` and so on.
fn gauges(count: usize) -> suiro_record::Batch {
    let lines: Vec<String> = (0..count).map(|n| format!(r#"{{"name":"m{n}","kind":"gauge","value":{n}}}"#)).collect();
    of_now(points(&lines))
}

fn of_now(mut batch: suiro_record::Batch) -> suiro_record::Batch {
    let now = time::now();
    batch.rows.iter_mut().for_each(|row| row.time = now);
    batch
}

fn error(status: u16, code: &str, message: &str) -> Reply {
    let text = format!(
        "<ErrorResponse xmlns=\"http://monitoring.amazonaws.com/doc/2010-08-01/\"><Error><Type>Sender</Type>\
         <Code>{code}</Code><Message>{message}</Message></Error><RequestId>1</RequestId></ErrorResponse>"
    );
    Reply::text(status, text).with("content-type", "text/xml")
}

fn taken() -> Reply {
    Reply::text(200, "<PutMetricDataResponse><ResponseMetadata/></PutMetricDataResponse>")
}

fn kind(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Delivered => "delivered",
        Outcome::Retry { degraded: false, .. } => "retry",
        Outcome::Retry { degraded: true, .. } => "degraded",
        Outcome::TooLarge => "too large",
        Outcome::Refused { .. } => "refused",
        Outcome::Unidentified { .. } => "unidentified",
        Outcome::Partial(_) => "partial",
    }
}

#[tokio::test]
async fn answers_good_and_bad() {
    for (reply, expected) in [
        (taken(), "delivered"),
        (Reply::text(200, "<html>log in</html>"), "degraded"),
        (Reply::text(200, "OK"), "degraded"),
        (Reply::text(200, "{}"), "degraded"),
        (Reply::text(204, ""), "degraded"),
        (Reply::Broken(200, b"<Put".to_vec()), "retry"),
        (Reply::Broken(200, b"<PutMetricDataResponse>".to_vec()), "delivered"),
        (Reply::Endless(200), "degraded"),
        (Reply::text(400, "<html>The plain HTTP request was sent to HTTPS port</html>"), "degraded"),
        (Reply::text(404, "<html>nothing here</html>"), "degraded"),
        (error(400, "Throttling", "Rate exceeded"), "retry"),
        (error(503, "ServiceUnavailable", ""), "retry"),
        (error(500, "InternalServiceFault", ""), "retry"),
        (error(403, "AccessDenied", "not yours"), "degraded"),
        (error(403, "InvalidClientTokenId", "who?"), "degraded"),
        (error(413, "RequestEntityTooLarge", ""), "too large"),
        (error(400, "InvalidParameterValue", "The parameter MetricData.member.1.Value is bad"), "refused"),
        (Reply::Reset, "retry"),
    ] {
        let script = reply.clone();
        let server = Server::start(move |_| script.clone()).await.unwrap();
        let (output, _) = started(&server.url, "timeout = '10s'");
        assert_eq!(kind(&output.deliver(&delivery(vec![gauges(1)])).await), expected, "{reply:?}");
    }
}

/// Refuses as CloudWatch does where a request holds one of these metrics; says which if `tells`.
fn picky(bad: &'static [&'static str], tells: bool) -> impl FnMut(&Received) -> Reply + Send + 'static {
    move |request| {
        let data = accept(&form(&request.body));
        match data.iter().position(|datum| bad.contains(&datum.name.as_str())) {
            Some(at) if tells => {
                let message = format!("The value x for parameter MetricData.member.{}.Value is invalid.", at + 1);
                error(400, "InvalidParameterValue", &message)
            }
            Some(_) => error(400, "ValidationError", "something is invalid"),
            None => taken(),
        }
    }
}

#[tokio::test]
async fn the_refused_are_found_and_the_others_arrive() {
    for (tells, most) in [(true, 5), (false, 40)] {
        let server = Server::start(picky(&["m7", "m93"], tells)).await.unwrap();
        let (output, setup) = started(&server.url, "compression = 'none'");
        let outcome = output.deliver(&delivery(vec![gauges(100)])).await;
        let Outcome::Partial(verdicts) = &outcome else { panic!("{outcome:?}") };
        let refused: Vec<usize> = verdicts
            .iter()
            .map(|(number, verdict)| {
                assert!(matches!(verdict, Verdict::Refused { reason: Reason::REJECTED, .. }), "{verdict:?}");
                *number
            })
            .collect();
        assert_eq!(refused, [7, 93]);
        let requests = server.requests();
        assert!(requests.len() <= most, "{} requests", requests.len());
        let arrived = requests.iter().map(|request| accept(&form(&request.body)));
        let arrived = arrived.filter(|data| !data.iter().any(|datum| ["m7", "m93"].contains(&datum.name.as_str())));
        assert_eq!(arrived.map(|data| data.len()).sum::<usize>(), 98);
        let bytes: usize = requests.iter().map(|request| request.body.len()).sum();
        assert_eq!(suiro_sdk::ledger::read(&setup.ledger.bytes), bytes as u64);
    }
}

#[tokio::test]
async fn a_namespace_that_is_refused_is_not_searched() {
    let server =
        Server::start(|_| error(400, "InvalidParameterValue", "The value x for parameter Namespace is invalid."))
            .await
            .unwrap();
    let (output, _) = started(&server.url, "");
    assert_eq!(kind(&output.deliver(&delivery(vec![gauges(50)])).await), "refused");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_request_to_be_tried_again_ends_the_delivery() {
    // Three requests of up to a thousand data.
    let server = Server::start(|_| error(400, "Throttling", "Rate exceeded")).await.unwrap();
    let (output, _) = started(&server.url, "");
    assert_eq!(kind(&output.deliver(&delivery(vec![gauges(2500)])).await), "retry");
    assert_eq!(server.requests().len(), 1);

    let mut first = Some(taken());
    let script = move |_: &Received| first.take().unwrap_or_else(|| error(503, "ServiceUnavailable", ""));
    let server = Server::start(script).await.unwrap();
    let (output, _) = started(&server.url, "");
    let outcome = output.deliver(&delivery(vec![gauges(2500)])).await;
    let Outcome::Partial(verdicts) = &outcome else { panic!("{outcome:?}") };
    let again = verdicts.iter().map(|(number, verdict)| (*number, matches!(verdict, Verdict::Retry { .. })));
    assert!(again.eq((1000..2500).map(|number| (number, true))));
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn a_namespace_that_is_denied_does_not_hold_up_others() {
    let server = Server::start(|request| {
        let form = form(&request.body);
        let is_denied = form.contains(&("Namespace".to_owned(), "Shop/a".to_owned()));
        if is_denied { error(403, "AccessDenied", "not that namespace") } else { taken() }
    })
    .await
    .unwrap();
    let (output, _) = started_with(&format!(
        "namespace = 'Shop/{{ns}}'\nendpoint = '{}'\ncompression = 'none'\n{ACCOUNT}",
        server.url
    ));
    let lines = ["a", "b", "a"].map(|ns| format!(r#"{{"name":"m","kind":"gauge","value":1,"ns":"{ns}"}}"#));
    let outcome = output.deliver(&delivery(vec![of_now(points(&lines))])).await;
    let Outcome::Partial(verdicts) = &outcome else { panic!("{outcome:?}") };
    let again = verdicts.iter().map(|(number, verdict)| (*number, matches!(verdict, Verdict::Retry { .. })));
    assert!(again.eq([(0, true), (2, true)]), "{verdicts:?}");
}

#[tokio::test]
async fn what_is_too_large_goes_in_halves() {
    let server = Server::start(|request| {
        if accept(&form(&request.body)).len() > 3 { error(413, "RequestEntityTooLarge", "") } else { taken() }
    })
    .await
    .unwrap();
    let (output, _) = started(&server.url, "compression = 'none'");
    assert_eq!(output.deliver(&delivery(vec![gauges(10)])).await, Outcome::Delivered);
}

#[tokio::test]
async fn the_service_takes_it_signed_and_packed() {
    let aws = Aws::start().unwrap();
    aws.faults_of("PutMetricData").script([Fault::Busy(None)]);
    let (output, setup) = started(&aws.url(), "storage_resolution = '1s'");
    let lines = [
        r#"{"name":"http.time","kind":"histogram","temporality":"delta","unit":"s","count":3,"sum":6,"min":1,"max":3,"bounds":[1,2.5],"buckets":[1,1,1],"attributes":{"route":"/café"}}"#,
        r#"{"name":"queue","kind":"gauge","value":5,"attributes":{"a":"b"}}"#,
        r#"{"name":"queue","kind":"gauge","value":7,"attributes":{"a":"b"}}"#,
    ];
    let delivery = delivery(vec![of_now(points(&lines))]);
    assert_eq!(kind(&output.deliver(&delivery).await), "retry");
    assert!(setup.ledger.altered.snapshot().is_empty());
    assert_eq!(output.deliver(&delivery).await, Outcome::Delivered);
    assert_eq!(setup.ledger.altered.snapshot().into_iter().collect::<Vec<_>>(), [("dimensions_altered", 1)]);
    let metrics = aws.taken().metrics;
    assert_eq!(metrics.len(), 2);
    assert_eq!((&*metrics[0].namespace, &*metrics[0].unit, metrics[0].resolution), ("Shop", "Seconds", 1));
    assert_eq!(metrics[0].dimensions, [("route".to_owned(), "/caf\\u00e9".to_owned())]);
    assert_eq!(metrics[0].values, [(1.0, 1.0), (2.0, 1.0), (3.0, 1.0)]);
    assert_eq!((&*metrics[1].name, &metrics[1].values), ("queue", &vec![(5.0, 1.0), (7.0, 1.0)]));
}

#[tokio::test]
async fn detectors_are_put_once_and_hold_nothing_up() {
    let aws = Aws::start().unwrap();
    let detectors = "anomaly_detectors = [
        { metric = 'queue', dimensions = { a = 'b' }, stat = 'p99', timezone = 'Europe/Paris',
          excluded = [{ start = '2026-12-24T00:00:00Z', end = '2026-12-27T00:00:00+01:00' }] },
        { metric = 'm1' }, { metric = 'm2', limit = 1 }, { metric = 'm3', stat = 'nonsense' }, { metric = 'm9' },
    ]";
    let (output, _) = started(&aws.url(), detectors);
    for _ in 0..3 {
        assert_eq!(output.deliver(&delivery(vec![gauges(4)])).await, Outcome::Delivered);
    }
    let lines = [0, 1].map(|n| format!(r#"{{"name":"m2","kind":"gauge","value":1,"attributes":{{"n":{n}}}}}"#));
    assert_eq!(output.deliver(&delivery(vec![of_now(points(&lines))])).await, Outcome::Delivered);
    let taken = aws.taken();
    let put: Vec<(&str, &str, usize)> = taken
        .metric_anomaly_detectors
        .iter()
        .map(|one| (one.metric.as_str(), one.statistic.as_str(), one.dimensions.len()))
        .collect();
    assert_eq!(put, [("queue", "p99", 1), ("m1", "Average", 0), ("m2", "Average", 0)]);
    assert_eq!(aws.calls_of("PutAnomalyDetector"), 4);
    let first = &taken.metric_anomaly_detectors[0];
    assert_eq!((&*first.namespace, first.time_zone.as_deref()), ("Shop", Some("Europe/Paris")));
    assert_eq!(first.excluded, [(1_798_070_400_000, 1_798_326_000_000)]);
    assert_eq!(taken.metrics.len(), 14);
}

#[tokio::test]
async fn a_detector_that_fails_is_put_later() {
    let server = Server::start(|request| {
        if request.text().contains("PutAnomalyDetector") { error(400, "Throttling", "Rate exceeded") } else { taken() }
    })
    .await
    .unwrap();
    let (output, _) =
        started(&server.url, "compression = 'none'\nanomaly_detectors = [{ metric = 'm0' }, { metric = 'm1' }]");
    for _ in 0..2 {
        assert_eq!(output.deliver(&delivery(vec![gauges(2)])).await, Outcome::Delivered);
    }
    // One was asked for and is to be asked for again in a minute; so the second delivery asks for the other one only.
    let asked = server.requests().iter().filter(|request| request.text().contains("PutAnomalyDetector")).count();
    assert_eq!(asked, 2);
}

#[tokio::test]
async fn a_delivery_does_not_wait_long_for_detectors() {
    let server = Server::start(|request| {
        assert!(request.text().contains("PutAnomalyDetector"));
        // From here on time is what the program waits for.
        tokio::time::pause();
        Reply::Silent
    })
    .await
    .unwrap();
    let detector = "anomaly_detectors = [{ metric = 'm', dimensions = {} }]";
    let text = format!("namespace = 'Shop'\nendpoint = '{}'\ncompression = 'none'\n{ACCOUNT}{detector}", server.url);
    let settings = read(&text).unwrap();
    let account = Account::new(settings.account);
    let caller = Caller::new(account, Service::MONITORING, settings.client, setup().ledger).unwrap();
    let detectors = Detectors::new(settings.detectors);
    let begun = Instant::now();
    detectors.put(&caller).await;
    assert!((5..15).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    // It is put a minute later.
    detectors.put(&caller).await;
    assert_eq!(server.requests().len(), 1);
}
