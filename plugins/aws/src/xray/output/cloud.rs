//! What a resource says of where a service runs: `origin`, `service`, and most of `aws`. It is worked out once for all spans
//! in a row that share it.
//!
//! | X-Ray | resource |
//! | --- | --- |
//! | `origin` | `cloud.platform`, `aws.ecs.launchtype` |
//! | `service.version` | `service.version`, `container.image.tag` |
//! | `aws.account_id` | `cloud.account.id`, unless the span has `aws.account_id` |
//! | `aws.ec2` | on `aws_ec2`, or where `host.id` is an instance's: `host.id`, `host.type`, `host.image.id`, `cloud.availability_zone` |
//! | `aws.ecs` | on `aws_ecs`: `container.name`, `container.id`, `aws.ecs.*`, the zone |
//! | `aws.eks` | on `aws_eks`, or where there is a `k8s.cluster.name`: that, `k8s.pod.name`, `container.id` |
//! | `aws.elastic_beanstalk` | on `aws_elastic_beanstalk`: `service.namespace`, `service.instance.id`, `service.version` |
//! | `aws.cloudwatch_logs` | `aws.log.group.arns`, `aws.log.group.names`, the setting `log_groups` |
//! | `aws.xray` | `telemetry.sdk.*`, `telemetry.auto.version` |
//!
//! Where `cloud.provider` is another one, there is neither an `origin` nor an `aws`.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;

use suiro_sdk::record::{Scope, Value, write_json_str};

use super::attributes::Known;
use super::json::{Members, joined, text_of_value};
use super::settings::Rules;
use super::span::Span;
use super::stack::Language;

/// Stands before the keys of a resource's attributes.
pub(super) const RESOURCE: &str = "otel.resource.";

/// In a document that has no room, lists are cut to so many.
const BARE_LIST: usize = 10;
/// And what the resource says is left out if it takes more bytes.
const BARE_AWS: usize = 4 << 10;

/// A resource, read for X-Ray.
pub(super) struct Resource<'a> {
    scope: &'a Scope,
    pub(super) service_name: Option<Cow<'a, str>>,
    pub(super) language: Language,
    pub(super) origin: Option<&'static str>,
    version: Option<Cow<'a, str>>,
    /// Whether there is an `aws`.
    pub(super) in_aws: bool,
    account: Option<Cow<'a, str>>,
    /// Its members of `aws`, written.
    aws: Vec<u8>,
    pub(super) attributes: Vec<ResourceAttribute<'a>>,
    /// Those that are no annotations, written as members of `metadata.default`.
    pub(super) metadata: Vec<u8>,
}

/// An attribute of a resource.
pub(super) struct ResourceAttribute<'a> {
    pub(super) key: &'a str,
    pub(super) value: &'a Value,
    /// The settings want it as an annotation.
    pub(super) annotated: bool,
    /// Where it stands in the resource's `metadata`.
    pub(super) written: Range<usize>,
}

// === impl Resource ===

impl<'a> Resource<'a> {
    pub(super) fn new(scope: &'a Scope, rules: &Rules) -> Self {
        let value = |key: &str| scope.resource.iter().rev().find(|(own, _)| own == key).map(|(_, value)| value);
        let text = |key: &str| value(key).and_then(text_of_value);
        let platform = text("cloud.platform").unwrap_or_default();
        let in_aws = text("cloud.provider").is_none_or(|provider| provider == "aws");
        let mut resource = Resource {
            scope,
            service_name: text("service.name"),
            language: Language::of(&text("telemetry.sdk.language").unwrap_or_default()),
            origin: origin(&platform, &text("aws.ecs.launchtype").unwrap_or_default()).filter(|_| in_aws),
            version: text("service.version").or_else(|| text("container.image.tag")),
            in_aws,
            account: text("cloud.account.id"),
            aws: Vec::new(),
            attributes: Vec::new(),
            metadata: Vec::new(),
        };
        if in_aws {
            let mut aws = Members::open(&mut resource.aws, usize::MAX);
            write_places(&platform, &text, &mut aws);
            write_log_groups(value("aws.log.group.arns"), value("aws.log.group.names"), rules, &mut aws);
            write_sdk(&text, &mut aws);
            // Only the members.
            resource.aws.remove(0);
        }
        resource.list_attributes(rules);
        resource
    }

    fn list_attributes(&mut self, rules: &Rules) {
        let mut seen = HashSet::new();
        let mut last: Vec<_> = self.scope.resource.iter().rev().filter(|(key, _)| seen.insert(&**key)).collect();
        last.reverse();
        for (key, value) in last {
            let annotated = rules.annotates_resource(key);
            let from = self.metadata.len();
            if !annotated {
                if from > 0 {
                    self.metadata.push(b',');
                }
                write_attribute(key, value, &mut self.metadata);
            }
            let written = from..self.metadata.len();
            self.attributes.push(ResourceAttribute { key, value, annotated, written });
        }
    }

    /// Whether this is the resource of `scope`.
    pub(super) fn is_of(&self, scope: &Scope) -> bool {
        std::ptr::eq(self.scope, scope)
    }

    pub(super) fn write_service(&self, out: &mut Members<'_>) {
        out.map("service", |service| service.some_text("version", self.version.as_deref()));
    }

    /// `aws`, with what the span says of a call: not in the segment of a service.
    pub(super) fn write_aws(&self, span: &Span<'_>, calls: bool, bare: bool, out: &mut Members<'_>) {
        if !self.in_aws {
            return;
        }
        let attributes = &span.attributes;
        out.map("aws", |aws| {
            let too_long = bare && self.aws.len() > BARE_AWS;
            if !self.aws.is_empty() && !too_long {
                aws.comma();
                aws.out.extend_from_slice(&self.aws);
            }
            if !calls {
                return;
            }
            let account = attributes.text(Known::AccountId);
            aws.some_text("account_id", account.as_deref().or(self.account.as_deref()));
            aws.some_text("operation", attributes.first_text(&[Known::AwsOperation, Known::RpcMethod]));
            aws.some_text("region", attributes.text(Known::Region));
            aws.some_text("request_id", attributes.text(Known::RequestId));
            aws.some_text("queue_url", attributes.first_text(&[Known::MessagingUrl, Known::QueueUrl]));
            let tables = attributes.get(Known::DynamoTables).into_iter().flat_map(|tables| tables.children());
            let tables = tables.filter_map(super::json::text_of).take(if bare { BARE_LIST } else { usize::MAX });
            match tables.clone().count() {
                0 => aws.some_text("table_name", attributes.text(Known::TableName)),
                1 => aws.some_text("table_name", tables.into_iter().next()),
                _ => aws.texts("table_names", tables),
            }
        });
    }
}

/// Appends an attribute as a member of `metadata.default`.
pub(super) fn write_attribute(key: &str, value: &Value, out: &mut Vec<u8>) {
    let from = out.len();
    write_json_str(key, out);
    // Its quote moves before the prefix, which needs no escaping.
    out.splice(from..=from, [b"\"", RESOURCE.as_bytes()].concat());
    out.push(b':');
    value.write_json(out);
}

fn origin(platform: &str, launch_type: &str) -> Option<&'static str> {
    Some(match (platform, launch_type) {
        ("aws_app_runner", _) => "AWS::AppRunner::Service",
        ("aws_eks", _) => "AWS::EKS::Container",
        ("aws_elastic_beanstalk", _) => "AWS::ElasticBeanstalk::Environment",
        ("aws_ecs", "ec2" | "EC2") => "AWS::ECS::EC2",
        ("aws_ecs", "fargate" | "FARGATE") => "AWS::ECS::Fargate",
        ("aws_ecs", _) => "AWS::ECS::Container",
        ("aws_ec2", _) => "AWS::EC2::Instance",
        _ => return None,
    })
}

fn write_places<'a>(platform: &str, text: &impl Fn(&str) -> Option<Cow<'a, str>>, aws: &mut Members<'_>) {
    let zone = || text("cloud.availability_zone");
    // Elsewhere, `host.id` is any machine's.
    if platform == "aws_ec2" || text("host.id").is_some_and(|id| id.starts_with("i-")) {
        aws.map("ec2", |ec2| {
            ec2.some_text("instance_id", text("host.id"));
            ec2.some_text("availability_zone", zone());
            ec2.some_text("instance_size", text("host.type"));
            ec2.some_text("ami_id", text("host.image.id"));
        });
    }
    if platform == "aws_ecs" {
        aws.map("ecs", |ecs| {
            ecs.some_text("container", text("container.name"));
            ecs.some_text("container_id", text("container.id"));
            ecs.some_text("container_arn", text("aws.ecs.container.arn"));
            ecs.some_text("cluster_arn", text("aws.ecs.cluster.arn"));
            ecs.some_text("task_arn", text("aws.ecs.task.arn"));
            ecs.some_text("task_family", text("aws.ecs.task.family"));
            ecs.some_text("launch_type", text("aws.ecs.launchtype"));
            ecs.some_text("availability_zone", zone());
        });
    }
    if platform == "aws_elastic_beanstalk" {
        let deployment = text("service.instance.id");
        aws.map("elastic_beanstalk", |beanstalk| {
            beanstalk.some_text("environment_name", text("service.namespace"));
            if let Some(deployment) = &deployment {
                beanstalk.number("deployment_id", deployment.parse::<i64>().unwrap_or(0));
            }
            beanstalk.some_text("version_label", text("service.version"));
        });
    }
    if platform == "aws_eks" || text("k8s.cluster.name").is_some() {
        aws.map("eks", |eks| {
            eks.some_text("cluster_name", text("k8s.cluster.name"));
            eks.some_text("pod", text("k8s.pod.name"));
            eks.some_text("container_id", text("container.id"));
        });
    }
}

fn write_log_groups(arns: Option<&Value>, names: Option<&Value>, rules: &Rules, aws: &mut Members<'_>) {
    // A list, or one text: that is what an environment variable can say.
    let texts = |value: Option<&Value>| -> Vec<String> {
        match value {
            Some(Value::Array(items)) => items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect(),
            Some(Value::Str(text)) => vec![text.clone()],
            _ => Vec::new(),
        }
    };
    let (arns, names) = (texts(arns), texts(names));
    let names = if names.is_empty() { &rules.log_groups } else { &names };
    aws.list("cloudwatch_logs", |groups| {
        for arn in &arns {
            groups.item(|group| {
                // arn:aws:logs:region:account:log-group:NAME:*
                group.text("log_group", arn.split(':').nth(6).unwrap_or(arn));
                group.text("arn", arn);
            });
        }
        for name in names.iter().filter(|_| arns.is_empty()) {
            groups.item(|group| group.text("log_group", name));
        }
    });
}

fn write_sdk<'a>(text: &impl Fn(&str) -> Option<Cow<'a, str>>, aws: &mut Members<'_>) {
    aws.map("xray", |xray| {
        if let Some(name) = text("telemetry.sdk.name") {
            let suffix = text("telemetry.sdk.language").map(|language| joined(&[" for ", &language]));
            let suffix =
                suffix.filter(|suffix| !name.to_lowercase().ends_with(&suffix.to_lowercase())).unwrap_or_default();
            xray.text("sdk", &joined(&[&name, &suffix]));
        }
        xray.some_text("sdk_version", text("telemetry.sdk.version"));
        xray.flag("auto_instrumentation", text("telemetry.auto.version").is_some());
    });
}
