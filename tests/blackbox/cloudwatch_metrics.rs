//! From StatsD and OTLP's kinds of points to CloudWatch's metrics through the agent.

use std::net::UdpSocket;

use suiro_test_servers::{Aws, Fault};

use crate::agent::Site;

/// A site that sends to `aws`. The input ends its windows at a stop.
fn site(aws: &Aws, input: &str, output: &str) -> Site {
    Site::new(&format!(
        "[[input]]\nname = 'in'\ntype = 'statsd'\nudp = '127.0.0.1:0'\ninterval = '300ms'\n{input}\n\
         [[output]]\nname = 'cw'\ntype = 'cloudwatch_metrics'\nendpoint = '{}'\nregion = 'eu-central-1'\n\
         credentials = {{ access_key_id = 'AKIDSUIROTEST', secret_access_key = 'suiro-secret' }}\n\
         namespace = 'Shop'\nresource_dimensions = []\n\
         retry = {{ initial = '10ms', max = '50ms' }}\nbatch = {{ timeout = '20ms' }}\n{output}",
        aws.url()
    ))
}

#[test]
fn points_arrive_as_metrics_though_the_service_is_busy() {
    let aws = Aws::start().unwrap();
    let detector = "anomaly_detectors = [{ metric = 'hits', limit = 1, stat = 'Sum', timezone = 'Europe/Paris',\n\
                    excluded = [{ start = '2026-12-24T00:00:00Z', end = '2026-12-27T00:00:00Z' }] }]";
    let site = site(&aws, "distributions = 'values'", detector);
    let running = site.start();
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    // The detector first: what is thrown at the server by the name of the action meets whatever comes to CloudWatch.
    client.send_to(b"hits:5|c|#first:1", running.listens("setting=udp ")).unwrap();
    running.wait_for("the detector", |_| !aws.taken().metric_anomaly_detectors.is_empty());
    running.wait_for_ledger("the first point", |ledger| ledger.output("cw", "delivered") == 1);
    aws.faults_of("PutMetricData").script([
        Fault::Busy(None),
        Fault::Named("ServiceUnavailable".into()),
        Fault::Named("ExpiredToken".into()),
    ]);
    let text = "hits:1|c|#a:1\nhits:2|c|#a:1\ndepth:7|g\nsize:1:2:2|d\nusers:anna|s\ntime:5:15|ms";
    client.send_to(text.as_bytes(), running.listens("setting=udp ")).unwrap();
    running.wait_for_ledger("all points", |ledger| ledger.output("cw", "delivered") == 6);
    let ledger = running.stop().all_well().clone();
    ledger.assert_balanced();
    assert_eq!((ledger.input("in", "received"), ledger.input("in", "settled")), (6, 6));
    assert!(ledger.output("cw", "retries") > 0);

    let taken = aws.taken();
    let find = |name: &str| taken.metrics.iter().rfind(|one| one.name == name).unwrap_or_else(|| panic!("no {name}"));
    assert_eq!(find("hits").values, [(3.0, 1.0)]);
    assert_eq!(find("hits").dimensions, [("a".to_owned(), "1".to_owned())]);
    assert_eq!(find("depth").values, [(7.0, 1.0)]);
    assert_eq!(find("users").values, [(1.0, 1.0)]);
    assert_eq!(find("size").values, [(1.0, 1.0), (2.0, 2.0)]);
    let time = find("time");
    let statistics = time.statistics.as_ref().expect("a statistic set");
    assert_eq!(
        (statistics.samples, statistics.sum, statistics.minimum, statistics.maximum, &*time.unit),
        (2.0, 20.0, 5.0, 15.0, "Milliseconds")
    );
    assert!(taken.metrics.iter().all(|one| one.namespace == "Shop"));
    let detectors: Vec<(&str, &str, usize)> = taken
        .metric_anomaly_detectors
        .iter()
        .map(|one| (one.metric.as_str(), one.statistic.as_str(), one.excluded.len()))
        .collect();
    assert_eq!(detectors, [("hits", "Sum", 1)]);
}

#[test]
fn one_bad_point_does_not_take_the_others_along() {
    let aws = Aws::start().unwrap();
    let site = site(&aws, "", "");
    let running = site.start();
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    // Beyond what CloudWatch can say, and two of no harm.
    client.send_to(b"ok:1|g\nhuge:1e200|g\nfine:2|g", running.listens("setting=udp ")).unwrap();
    running.wait_for_ledger("all points", |ledger| {
        ledger.output("cw", "delivered") == 2 && ledger.output("cw", "dead_lettered") == 1
    });
    let ledger = running.stop().ledger.expect("a ledger");
    ledger.assert_balanced();
    assert_eq!(ledger.reason("cw", "dead_lettered", "out_of_range"), 1);
    let mut names: Vec<String> = aws.taken().metrics.into_iter().map(|one| one.name).collect();
    names.sort();
    assert_eq!(names, ["fine", "ok"]);
    assert!(aws.look(|taken| taken.calls.iter().all(|call| call.refused.is_none())));
    assert_eq!(site.dead_letters("cw").len(), 1);
}
