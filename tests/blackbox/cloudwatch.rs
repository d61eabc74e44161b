//! CloudWatch Logs: the agent against a server that checks signatures and enforces the service's limits.

use suiro_test_servers::{Aws, Fault};

use crate::agent::Site;
use crate::records::{TAIL_JSON, TAIL_TEXT};

/// An agent that tails `app.log` into the group `/app` of this server.
fn site(aws: &Aws, input: &str, more: &str) -> Site {
    Site::new(&configuration(aws, input, more))
}

fn configuration(aws: &Aws, input: &str, more: &str) -> String {
    format!(
        "{input}[[output]]\nname = 'logs'\ntype = 'cloudwatch_logs'\nregion = 'eu-central-1'\nendpoint = '{}'\n\
         credentials = {{ access_key_id = 'AKIDSUIROTEST', secret_access_key = 'suiro-secret' }}\n\
         retry = {{ initial = '10ms', max = '50ms' }}\n{more}\n",
        aws.url()
    )
}

const NAMES: &str = "log_group = '/app'\nlog_stream = 'web'\n";
const CREATE: &str = "log_group = '/app'\nlog_stream = 'web'\ncreate_group = true\n";

/// Messages of a stream of `/app`.
fn messages(aws: &Aws, stream: &str) -> Vec<String> {
    aws.look(|taken| {
        let events = taken.log_groups.get("/app").and_then(|group| group.streams.get(stream));
        events.into_iter().flatten().map(|event| event.message.clone()).collect()
    })
}

#[test]
fn lines_arrive_whole_and_in_order() {
    let aws = Aws::start().unwrap();
    let site = site(&aws, TAIL_TEXT, &format!("{CREATE}concurrency = 1"));
    let want: Vec<String> = (0..30_000).map(|n| format!("line {n} says \"é\\\t水\"")).collect();
    site.write("app.log", want.join("\n") + "\n");
    let outcome = site.once();
    assert_eq!(outcome.all_well().output("logs", "delivered"), 30_000);
    assert_eq!(messages(&aws, "web"), want);
}

/// Scenario: the service fails in every way it has before it takes anything. Guarantees: everything arrives, once where
/// the service said that it took nothing.
#[test]
fn refusals_that_pass_lose_nothing() {
    let aws = Aws::start().unwrap();
    let named = |code: &str| Fault::Named(code.to_owned());
    aws.faults_of("PutLogEvents").script([
        named("ExpiredTokenException"),
        Fault::Busy(None),
        named("AccessDeniedException"),
        Fault::Unavailable(None),
        named("InvalidSignatureException"),
        Fault::ResetBeforeBody,
        Fault::ResetMidBody,
        Fault::Html(502),
        Fault::Busy(None),
    ]);
    aws.faults_of("CreateLogGroup").script([Fault::Busy(None), Fault::ResetBeforeBody]);
    let site = site(&aws, TAIL_TEXT, &format!("{CREATE}batch = {{ max_records = 100 }}"));
    let want: Vec<String> = (0..500).map(|n| format!("line {n}")).collect();
    site.write("app.log", want.join("\n") + "\n");
    let outcome = site.once();
    assert_eq!(outcome.all_well().output("logs", "delivered"), 500);
    let (mut got, mut want) = (messages(&aws, "web"), want);
    got.sort();
    want.sort();
    assert_eq!(got, want);
}

#[test]
fn what_the_service_will_never_take_is_set_aside_with_the_reason() {
    let aws = Aws::start().unwrap();
    let site = site(&aws, TAIL_JSON, &format!("{CREATE}log_key = 'm'\nmax_event = '2KiB'\noversize = 'dead_letter'"));
    let giant = "x".repeat(3000);
    site.write(
        "app.log",
        format!(
            "{{\"m\":\"fine\"}}\n{{\"m\":\"\"}}\n{{\"m\":\"{giant}\"}}\n\
             {{\"m\":\"1970\",\"time\":\"1970-01-02T00:00:00Z\"}}\n{{\"m\":\"future\",\"time\":\"2200-01-01T00:00:00Z\"}}\n"
        ),
    );
    let outcome = site.once();
    let ledger = outcome.ledger(1);
    ledger.assert_settled();
    assert_eq!(ledger.output("logs", "delivered"), 1);
    for reason in ["empty_message", "too_large", "too_old", "too_new"] {
        assert_eq!(ledger.reason("logs", "dead_lettered", reason), 1, "{reason}: {ledger:?}");
    }
    assert_eq!(messages(&aws, "web"), ["fine"]);
    let letters = site.dead_letters("logs");
    let letter = letters.iter().find(|letter| letter["reason"] == "too_large").expect("the giant");
    assert!(letter["detail"].as_str().is_some_and(|detail| detail.contains("max_event")), "{}", letter["detail"]);
}

/// Scenario: of two groups one is missing, and the agent must not make it. Guarantees: the other one gets its records all the
/// same; the message says what to set; when somebody makes the group, its records arrive.
#[test]
fn a_group_that_is_missing_holds_up_no_other() {
    let aws = Aws::start().unwrap();
    let named =
        "log_group = { value = '/{g}', allow = ['/app', '/late'] }\nlog_stream = 'web'\nbatch = { max_records = 1 }\n";
    let maker = site(&aws, TAIL_JSON, &format!("{named}create_group = true"));
    maker.write("app.log", "{\"g\":\"app\",\"n\":0}\n");
    maker.once().all_well();

    let site = site(&aws, TAIL_JSON, named);
    let running = site.start();
    site.append("app.log", "{\"g\":\"late\",\"n\":1}\n{\"g\":\"late\",\"n\":2}\n{\"g\":\"app\",\"n\":3}\n");
    running.wait_for("the group that is there", |_| messages(&aws, "web").len() == 2);
    running.wait_for("a word about the other", |running| running.stderr().contains("create_group = true"));
    for n in 4..20 {
        site.append("app.log", format!("{{\"g\":\"app\",\"n\":{n}}}\n"));
        running.wait_for("the next record", |_| messages(&aws, "web").len() == n - 1);
    }
    maker.append("app.log", "{\"g\":\"late\",\"n\":99}\n");
    maker.once().all_well();
    running.wait_for_ledger("all of it", |ledger| ledger.output("logs", "delivered") == 19 && ledger.is_settled());
    running.stop().all_well();
    assert_eq!(aws.look(|taken| taken.log_groups["/late"].count), 3);
}

#[test]
fn a_wrong_region_is_said_and_loses_nothing() {
    let aws = Aws::start().unwrap();
    let site = site(&aws, TAIL_TEXT, CREATE);
    let right = configuration(&aws, TAIL_TEXT, CREATE);
    site.configure(&right.replace("eu-central-1", "us-east-1"));
    site.write("app.log", "one\ntwo\n");
    let running = site.start();
    running.wait_for("health", |running| running.get("/api/v1/health").1.contains("region"));
    let outcome = running.stop();
    let ledger = outcome.ledger.as_ref().expect("a ledger");
    ledger.assert_balanced();
    assert_eq!(ledger.output("logs", "delivered"), 0);
    site.configure(&right);
    assert_eq!(site.once().all_well().output("logs", "delivered"), 2);
    assert_eq!(messages(&aws, "web"), ["one", "two"]);
}

#[test]
fn the_server_s_clock_counts() {
    let aws = Aws::start().unwrap();
    aws.set_clock(3600);
    let site = site(&aws, TAIL_TEXT, CREATE);
    site.write("app.log", "one\n");
    site.once().all_well();
    assert_eq!(messages(&aws, "web"), ["one"]);
}

#[test]
fn mistakes_are_shown_before_anything_starts() {
    let aws = Aws::start().unwrap();
    let site = site(&aws, TAIL_TEXT, &format!("{NAMES}retention_days = 30"));
    let outcome = site.command(&["check", "-c", "suiro.toml"]);
    assert_ne!(outcome.code(), 0);
    assert!(outcome.stderr.contains("create_group = true") || outcome.stdout.contains("create_group = true"));
    assert_eq!(aws.requests(), 0);
}
