//! What each filter finds out, and what becomes of records.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use suiro_record::{Attributes, Batch, Scope, Source, Value};
use suiro_sdk::health::{BlockHealth, ReportHealth};
use suiro_sdk::http::Endpoint;
use suiro_sdk::http::test_kit::{Reply, Server, batch};
use suiro_sdk::lang::Glob;
use suiro_sdk::settings::Section;
use suiro_sdk::{Custody, FilterContext, FilterFactory, FilterSetup, Flow, Metrics, Selection};
use suiro_test_servers::{Aws, AwsOptions, Instance as FakeInstance};

use super::keeper::Ask;
use super::settings::Service;
use super::surroundings::Surroundings;
use super::{Found, Trouble, ec2, ecs, eks, lambda};

fn nothing(_: &str) -> Option<String> {
    None
}

fn service(url: &str) -> Service {
    Service { endpoint: Endpoint::parse(url).ok(), timeout: Duration::from_secs(10) }
}

fn shown(facts: &Attributes) -> Vec<String> {
    facts.iter().map(|(name, value)| format!("{name}={}", value.to_text())).collect()
}

async fn found(ask: impl Ask) -> Found {
    ask.ask().await.unwrap()
}

#[tokio::test]
async fn an_instance_tells_of_itself() {
    let aws = Aws::start().unwrap();
    let tags = vec![Glob::parse("*").unwrap()];
    let Found { facts, missing } = found(ec2::Instance { service: service(&aws.url()), tags }).await;
    assert_eq!(missing, None);
    assert_eq!(
        shown(&facts),
        [
            "cloud.provider=aws",
            "cloud.platform=aws_ec2",
            "cloud.account.id=123456789012",
            "cloud.region=eu-central-1",
            "cloud.availability_zone=eu-central-1a",
            "host.id=i-0123456789abcdef0",
            "host.type=t3.micro",
            "host.image.id=ami-0123456789abcdef0",
            "host.arch=amd64",
            "host.name=ip-10-0-0-7.eu-central-1.compute.internal",
            "ec2.tag.Name=web 1",
            "ec2.tag.team=shop",
        ]
    );
}

#[tokio::test]
async fn tags_that_are_not_shown_are_missed() {
    let mut instance = FakeInstance::default();
    instance.metadata.retain(|path, _| !path.starts_with("tags/"));
    let aws = Aws::with(AwsOptions { instance: Some(instance), ..AwsOptions::default() }).unwrap();
    let tags = vec![Glob::parse("team").unwrap()];
    let Found { facts, missing } = found(ec2::Instance { service: service(&aws.url()), tags }).await;
    assert_eq!(facts.len(), 10);
    assert!(missing.unwrap().contains("does not show its tags"));
}

#[tokio::test]
async fn a_task_tells_of_itself() {
    let aws = Aws::start().unwrap();
    let url = format!("{}/v4/158d1c8083dd49d6b527399fd6414f5c-1234567890", aws.url());
    let task = |container| ecs::Task {
        service: service(&url),
        container,
        surroundings: Surroundings::of(nothing, PathBuf::new()),
    };
    let Found { facts, missing } = found(task(None)).await;
    assert_eq!(missing, None);
    let of_task = [
        "cloud.provider=aws",
        "cloud.platform=aws_ecs",
        "cloud.account.id=123456789012",
        "cloud.region=eu-central-1",
        "cloud.availability_zone=eu-central-1a",
        "aws.ecs.cluster.arn=arn:aws:ecs:eu-central-1:123456789012:cluster/shop",
        "aws.ecs.task.arn=arn:aws:ecs:eu-central-1:123456789012:task/shop/158d1c8083dd49d6b527399fd6414f5c",
        "aws.ecs.task.id=158d1c8083dd49d6b527399fd6414f5c",
        "aws.ecs.task.family=web",
        "aws.ecs.task.revision=5",
        "aws.ecs.launchtype=fargate",
        "aws.ecs.service.name=web",
    ];
    assert_eq!(shown(&facts), of_task);
    for which in [ecs::Which::Own, ecs::Which::Named("web".to_owned())] {
        let Found { facts, .. } = found(task(Some(which))).await;
        assert_eq!(shown(&facts)[of_task.len()..][0], "container.name=web");
        assert_eq!(facts.len(), of_task.len() + 4);
    }
    let late = found(task(Some(ecs::Which::Named("app".to_owned())))).await;
    assert!(late.missing.unwrap().contains("no container `app`"));
    assert_eq!(late.facts.len(), of_task.len());
}

#[tokio::test]
async fn a_task_is_not_asked_of_strangers() {
    fn stranger(name: &str) -> Option<String> {
        (name == "ECS_CONTAINER_METADATA_URI_V4").then(|| "http://192.0.2.1/v4/x".to_owned())
    }
    let task = |variable| ecs::Task {
        service: Service { endpoint: None, timeout: Duration::from_secs(1) },
        container: None,
        surroundings: Surroundings::of(variable, PathBuf::new()),
    };
    for (task, said) in [(task(stranger), "neither link-local"), (task(nothing), "is not set")] {
        let trouble = task.ask().await.unwrap_err();
        assert!(matches!(&trouble, Trouble::Lasting(why) if why.contains(said)), "{trouble:?}");
    }
}

#[tokio::test]
async fn a_cluster_is_known_by_tags_and_environment() {
    fn variables(name: &str) -> Option<String> {
        let value = match name {
            "NODE_NAME" => "ip-10-0-0-7",
            "POD_NAME" => "suiro-x2x",
            "AWS_ROLE_ARN" => "arn:aws:iam::210987654321:role/suiro",
            "AWS_REGION" => "eu-west-3",
            _ => return None,
        };
        Some(value.to_owned())
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("namespace"), "observability\n").unwrap();
    let cluster = |url: &str, name: Option<&str>, instance| eks::Cluster {
        service: service(url),
        name: name.map(str::to_owned),
        instance,
        pod: true,
        surroundings: Surroundings::of(variables, folder.path().to_owned()),
    };
    let by_itself = [
        "k8s.node.name=ip-10-0-0-7",
        "k8s.namespace.name=observability",
        "k8s.pod.name=suiro-x2x",
        "cloud.region=eu-west-3",
        "cloud.account.id=210987654321",
    ];
    let Found { facts, missing } = found(cluster("http://127.0.0.1:1", Some("shop"), false)).await;
    assert_eq!((&shown(&facts)[3..], missing), (&by_itself.map(str::to_owned)[..], None));
    assert_eq!(shown(&facts)[2], "k8s.cluster.name=shop");

    let mut instance = FakeInstance::default();
    instance.metadata.insert("tags/instance/aws:eks:cluster-name".to_owned(), "prod".to_owned());
    let aws = Aws::with(AwsOptions { instance: Some(instance), ..AwsOptions::default() }).unwrap();
    let Found { facts, missing } = found(cluster(&aws.url(), None, true)).await;
    assert_eq!(missing, None);
    let shown = shown(&facts);
    for fact in ["k8s.cluster.name=prod", "host.id=i-0123456789abcdef0", "cloud.region=eu-west-3"] {
        assert!(shown.iter().any(|known| known == fact), "{fact} in {shown:?}");
    }

    // Nobody answers: what the environment says is known all the same.
    let Found { facts, missing } = found(cluster("http://127.0.0.1:1", None, true)).await;
    assert_eq!(facts.len(), 2 + by_itself.len());
    assert!(missing.unwrap().contains("does not answer pods"));
}

#[tokio::test]
async fn a_function_is_known_by_its_environment() {
    fn variables(name: &str) -> Option<String> {
        let value = match name {
            "AWS_LAMBDA_FUNCTION_NAME" => "orders",
            "AWS_LAMBDA_FUNCTION_VERSION" => "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE" => "128",
            "AWS_LAMBDA_LOG_GROUP_NAME" => "/aws/lambda/orders",
            "AWS_LAMBDA_LOG_STREAM_NAME" => "2026/11/29/[$LATEST]abc",
            "AWS_REGION" => "eu-central-1",
            _ => return None,
        };
        Some(value.to_owned())
    }
    let function = |variable| lambda::Function { surroundings: Surroundings::of(variable, PathBuf::new()) };
    let Found { facts, missing } = found(function(variables)).await;
    assert_eq!(missing, None);
    assert_eq!(
        shown(&facts)[2..],
        [
            "cloud.region=eu-central-1",
            "faas.name=orders",
            "faas.version=$LATEST",
            "faas.instance=2026/11/29/[$LATEST]abc",
            "faas.max_memory=134217728",
            "aws.log.group.names=[\"/aws/lambda/orders\"]",
            "aws.log.stream.names=[\"2026/11/29/[$LATEST]abc\"]",
        ]
    );
    assert!(matches!(function(nothing).ask().await, Err(Trouble::Lasting(_))));
}

#[tokio::test]
async fn hostile_answers_are_refused() {
    for reply in [
        Reply::text(302, "").with("location", "http://127.0.0.1:1/"),
        Reply::text(200, "a\r\nb: c"),
        Reply::text(500, "no"),
        Reply::text(404, ""),
        Reply::Endless(200),
        Reply::Broken(200, b"abc".to_vec()),
        Reply::Reset,
    ] {
        let script = reply.clone();
        let server = Server::start(move |_| script.clone()).await.unwrap();
        let instance = ec2::Instance { service: service(&server.url), tags: Vec::new() };
        assert!(instance.ask().await.is_err(), "{reply:?}");
    }
    // What is no value is no fact.
    let server = Server::start(|request| match request.target.as_str() {
        "/latest/api/token" => Reply::text(200, "t"),
        "/latest/meta-data/hostname" => Reply::text(200, "a\u{7}b"),
        _ => Reply::text(200, format!(r#"{{"instanceId":"i-1","region":"{}","imageId":null}}"#, "x".repeat(2000))),
    })
    .await
    .unwrap();
    let Found { facts, .. } = found(ec2::Instance { service: service(&server.url), tags: Vec::new() }).await;
    assert_eq!(shown(&facts)[2..], ["host.id=i-1"]);
}

// === records ===

/// What is said of a filter's health.
#[derive(Default)]
struct Health(std::sync::Mutex<Vec<String>>);

impl ReportHealth for Health {
    fn ok(&self, _: &str) {
        self.0.lock().unwrap().clear();
    }

    fn degraded(&self, _: &str, why: &str) {
        self.0.lock().unwrap().push(why.to_owned());
    }
}

fn started(text: &str) -> (Box<dyn FilterFactory>, Arc<Health>, Arc<Metrics>) {
    let (section, diagnostics) = Section::from_text("[[filter]] ec2", text);
    let factory = ec2::build(&section).unwrap_or_else(|_| panic!("{}", diagnostics.render(false)));
    let (health, metrics) = (Arc::new(Health::default()), Arc::new(Metrics::default()));
    let setup = FilterSetup {
        name: "here".into(),
        data_dir: PathBuf::new(),
        metrics: metrics.clone(),
        health: BlockHealth::new("here".into(), health.clone()),
    };
    factory.start(setup).unwrap();
    (factory, health, metrics)
}

fn records() -> Batch {
    let mut batch = batch(&["a", "b"], 0);
    let source = Arc::new(Source::new("in".into(), 1));
    batch.replace_scope(0, Arc::new(Scope::new(source).with("host.id", "its own").with("x", "y")));
    batch
}

fn apply(filter: &mut dyn suiro_sdk::Filter, batch: Batch, rows: &Selection) -> (Batch, usize) {
    let mut flow = Flow::new(batch, Custody::default());
    let mut cx = FilterContext::new(Instant::now());
    filter.apply(&mut flow, rows, &mut cx);
    (flow.batch, cx.failed)
}

fn resource(batch: &Batch, row: usize) -> Vec<String> {
    shown(&batch.scope(&batch.rows[row]).resource)
}

#[test]
fn records_get_what_they_do_not_have() {
    let aws = Aws::start().unwrap();
    let text = format!("endpoint = '{}'\nfields = ['host.*', 'ec2.*']\ntags = 'team'\nwait = '60s'", aws.url());
    let (factory, health, _) = started(&text);
    assert!(health.0.lock().unwrap().is_empty());
    let mut filter = factory.instance();
    let batch = records();
    let before = batch.scopes()[0].clone();
    let (batch, failed) = apply(&mut *filter, batch, &Selection::All);
    assert_eq!(failed, 0);
    let want = [
        "host.id=its own",
        "x=y",
        "host.type=t3.micro",
        "host.image.id=ami-0123456789abcdef0",
        "host.arch=amd64",
        "host.name=ip-10-0-0-7.eu-central-1.compute.internal",
        "ec2.tag.team=shop",
    ];
    assert_eq!(resource(&batch, 0), want);
    assert_eq!(batch.scopes().len(), 1);
    // The same scope again becomes the same scope again.
    let mut again = records();
    again.replace_scope(0, before);
    let (again, _) = apply(&mut *filter, again, &Selection::All);
    assert!(Arc::ptr_eq(&again.scopes()[0], &batch.scopes()[0]));
    // Only records that are selected.
    let (some, _) = apply(&mut *filter, records(), &Selection::Rows(vec![false, true]));
    assert_eq!((resource(&some, 0).len(), resource(&some, 1)), (2, want.map(str::to_owned).to_vec()));

    let (factory, _, _) =
        started(&format!("endpoint = '{}'\nfields = 'host.id'\noverride = true\nwait = '60s'", aws.url()));
    let (batch, _) = apply(&mut *factory.instance(), records(), &Selection::All);
    assert_eq!(resource(&batch, 1), ["host.id=i-0123456789abcdef0", "x=y"]);
}

#[test]
fn records_go_on_without_and_it_is_said() {
    // Nobody answers there.
    let (factory, health, metrics) = started("endpoint = 'http://127.0.0.1:1'\nwait = '50ms'");
    let said = health.0.lock().unwrap().join(" ");
    assert!(said.contains("records go on without"), "{said}");
    let (batch, failed) = apply(&mut *factory.instance(), records(), &Selection::Rows(vec![true, false]));
    assert_eq!((failed, resource(&batch, 0).len()), (1, 2));
    let mut text = String::new();
    metrics.render(&mut text);
    assert!(text.contains("suiro_metadata_missing_records_total{filter=\"here\"} 1"), "{text}");
    assert_eq!(Value::from("x").to_text(), "x");
}

#[test]
fn settings_are_checked() {
    for (build, text, message) in [
        (ec2::build as fn(&Section) -> _, "endpoint = 'file:///etc'", "can't be spoken to"),
        (ec2::build, "tag = 'x'", "tags"),
        (ec2::build, "wait = '1h'", "wait"),
        (eks::build, "instance = false\nendpoint = 'http://127.0.0.1'", "nothing is asked"),
        (lambda::build, "endpoint = 'http://127.0.0.1'", "unknown setting"),
        (ecs::build, "container = 5", "container"),
    ] {
        let (section, diagnostics) = Section::from_text("[[filter]]", text);
        assert!(build(&section).is_err(), "{text}");
        assert!(diagnostics.render(false).contains(message), "{text}: {}", diagnostics.render(false));
    }
}
