//! What a segment says of the service and where it runs: the resource of its span, and of those embedded in it.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use suiro_record::{Attributes, Kind, NodeRef, Scope, Source, Value};

use super::exceptions::Language;
use super::segment::Segment;

/// Members of a segment's `aws` that are of the resource.
pub(crate) const OF_AWS: [&str; 7] =
    ["account_id", "cloudwatch_logs", "ec2", "ecs", "eks", "elastic_beanstalk", "xray"];

/// What X-Ray calls the places a service runs in, the conventions' word, and of ECS the launch type.
const ORIGINS: [(&str, &str, Option<&str>); 8] = [
    ("AWS::EC2::Instance", "aws_ec2", None),
    ("AWS::ECS::Container", "aws_ecs", None),
    ("AWS::ECS::EC2", "aws_ecs", Some("ec2")),
    ("AWS::ECS::Fargate", "aws_ecs", Some("fargate")),
    ("AWS::EKS::Container", "aws_eks", None),
    ("AWS::ElasticBeanstalk::Environment", "aws_elastic_beanstalk", None),
    ("AWS::AppRunner::Service", "aws_app_runner", None),
    ("AWS::Lambda::Function", "aws_lambda", None),
];

/// Members of parts of `aws`, and the attributes they are.
const EC2: [(&str, &str); 4] = [
    ("availability_zone", "cloud.availability_zone"),
    ("instance_id", "host.id"),
    ("instance_size", "host.type"),
    ("ami_id", "host.image.id"),
];
const ECS: [(&str, &str); 9] = [
    ("availability_zone", "cloud.availability_zone"),
    ("container", "container.name"),
    ("container_name", "container.name"),
    ("container_id", "container.id"),
    ("container_arn", "aws.ecs.container.arn"),
    ("cluster_arn", "aws.ecs.cluster.arn"),
    ("task_arn", "aws.ecs.task.arn"),
    ("task_family", "aws.ecs.task.family"),
    ("launch_type", "aws.ecs.launchtype"),
];
const EKS: [(&str, &str); 3] =
    [("cluster_name", "k8s.cluster.name"), ("pod", "k8s.pod.name"), ("container_id", "container.id")];
const BEANSTALK: [(&str, &str); 4] = [
    ("environment", "service.namespace"),
    ("environment_name", "service.namespace"),
    ("version_label", "service.version"),
    ("deployment_id", "service.instance.id"),
];
const SERVICE: [(&str, &str); 3] = [
    ("version", "service.version"),
    ("runtime", "process.runtime.name"),
    ("runtime_version", "process.runtime.version"),
];

/// The scopes of what comes at one time: most of it is of one service.
#[derive(Debug)]
pub(crate) struct Scopes {
    source: Arc<Source>,
    /// Of what says nothing of its service.
    plain: Arc<Scope>,
    known: HashMap<Vec<u8>, Arc<Scope>>,
    key: Vec<u8>,
}

// === impl Scopes ===

impl Scopes {
    pub(crate) fn new(source: Arc<Source>) -> Self {
        let plain = Arc::new(Scope::new(source.clone()));
        Scopes { source, plain, known: HashMap::new(), key: Vec::new() }
    }

    /// Those of another source.
    pub(crate) fn begin(&mut self, source: Arc<Source>) {
        self.plain = Arc::new(Scope::new(source.clone()));
        self.source = source;
        self.known.clear();
    }

    pub(crate) fn plain(&self) -> &Arc<Scope> {
        &self.plain
    }

    /// That of a segment; a subsegment that comes alone does not know whose it is.
    pub(crate) fn scope(&mut self, segment: &Segment<'_>) -> Arc<Scope> {
        if segment.is_subsegment {
            return self.plain.clone();
        }
        let Scopes { key, known, source, .. } = self;
        write_key(segment, key);
        if let Some(scope) = known.get(key) {
            return scope.clone();
        }
        let mut scope = Scope::new(source.clone());
        scope.resource = resource(segment);
        let scope = Arc::new(scope);
        known.insert(key.clone(), scope.clone());
        scope
    }
}

/// What a resource is made of.
fn write_key(segment: &Segment<'_>, key: &mut Vec<u8>) {
    key.clear();
    let members = &segment.members;
    key.extend_from_slice(segment.name.as_bytes());
    let of_aws = members.aws.into_iter().flat_map(of_aws);
    for part in [members.origin, members.service].into_iter().flatten().chain(of_aws) {
        // No JSON holds it, and what came before has an end by it.
        key.push(0);
        key.extend_from_slice(part.key().unwrap_or_default().as_bytes());
        key.push(0);
        part.write_json(key);
    }
}

fn of_aws<'d>(aws: NodeRef<'d>) -> impl Iterator<Item = NodeRef<'d>> {
    aws.children().filter(|member| member.key().is_some_and(|key| OF_AWS.contains(&key)) && !member.is_null())
}

/// The language of the SDK a segment is from.
pub(crate) fn language(segment: &Segment<'_>) -> Option<Language> {
    let xray = segment.members.aws?.children().find(|member| member.key() == Some("xray"))?;
    let sdk = xray.children().find(|member| member.key() == Some("sdk"))?;
    Language::of_sdk(&sdk.as_str()?)
}

fn resource(segment: &Segment<'_>) -> Attributes {
    let mut resource = Attributes::new();
    put(&mut resource, "service.name", Value::Str(segment.name.clone().into_owned()));
    let members = &segment.members;
    if let Some(service) = members.service {
        part(&mut resource, service, &SERVICE, "aws.xray.service");
    }
    let origin = members.origin.and_then(NodeRef::as_str);
    if origin.as_ref().is_some_and(|origin| origin.starts_with("AWS::")) || members.aws.is_some_and(is_placed) {
        put(&mut resource, "cloud.provider", "aws".into());
    }
    if let Some(origin) = origin {
        match ORIGINS.into_iter().find(|(name, ..)| *name == origin) {
            Some((_, platform, launch_type)) => {
                put(&mut resource, "cloud.platform", platform.into());
                if let Some(launch_type) = launch_type {
                    put(&mut resource, "aws.ecs.launchtype", launch_type.into());
                }
            }
            None => put(&mut resource, "aws.xray.origin", Value::Str(origin.into_owned())),
        }
    }
    for member in members.aws.into_iter().flat_map(of_aws) {
        match member.key().unwrap_or_default() {
            "account_id" => put(&mut resource, "cloud.account.id", text(member)),
            "ec2" => part(&mut resource, member, &EC2, "aws.xray.ec2"),
            "ecs" => part(&mut resource, member, &ECS, "aws.xray.ecs"),
            "eks" => part(&mut resource, member, &EKS, "aws.xray.eks"),
            "elastic_beanstalk" => part(&mut resource, member, &BEANSTALK, "aws.xray.elastic_beanstalk"),
            "cloudwatch_logs" => log_groups(&mut resource, member),
            _ => sdk(&mut resource, member),
        }
    }
    resource
}

/// Whether it says where the service runs.
fn is_placed(aws: NodeRef<'_>) -> bool {
    of_aws(aws).any(|member| !matches!(member.key(), Some("xray" | "cloudwatch_logs")))
}

/// The members of a part of `aws` by their names in the conventions; those without one behind `prefix`.
fn part(resource: &mut Attributes, part: NodeRef<'_>, names: &[(&str, &str)], prefix: &str) {
    for member in part.children().filter(|member| !member.is_null()) {
        let key = member.key().unwrap_or_default();
        match names.iter().find(|(name, _)| *name == key) {
            Some((_, attribute)) => put(resource, attribute, text(member)),
            None => put(resource, &format!("{prefix}.{key}"), plain(member)),
        }
    }
}

/// The groups the service logs to.
fn log_groups(resource: &mut Attributes, groups: NodeRef<'_>) {
    for (key, attribute) in [("log_group", "aws.log.group.names"), ("arn", "aws.log.group.arns")] {
        let named = groups.children().flat_map(NodeRef::children).filter(|member| member.key() == Some(key));
        let texts: Vec<Value> = named.filter_map(NodeRef::as_str).map(|text| Value::Str(text.into_owned())).collect();
        if !texts.is_empty() {
            put(resource, attribute, Value::Array(texts));
        }
    }
}

/// `X-Ray for Python`, and its version.
fn sdk(resource: &mut Attributes, xray: NodeRef<'_>) {
    for member in xray.children().filter(|member| !member.is_null()) {
        match member.key().unwrap_or_default() {
            "sdk" => {
                let sdk = member.as_str().unwrap_or_default();
                let language = Language::of_sdk(&sdk);
                // Its language is said by itself.
                let name = match (language, sdk.rsplit_once(" for ")) {
                    (Some(_), Some((name, _))) => Cow::Borrowed(name),
                    _ => sdk.clone(),
                };
                put(resource, "telemetry.sdk.name", Value::Str(name.into_owned()));
                if let Some(language) = language {
                    put(resource, "telemetry.sdk.language", language.name().into());
                }
            }
            "sdk_version" => put(resource, "telemetry.sdk.version", text(member)),
            // Of the request, not of the service.
            "sampling_rule_name" => {}
            key => put(resource, &format!("aws.xray.{key}"), plain(member)),
        }
    }
}

/// A text; what is none (a `deployment_id`) as one.
fn text(member: NodeRef<'_>) -> Value {
    match member.kind() {
        Kind::Number => Value::Str(member.number_text().unwrap_or_default().to_owned()),
        _ => plain(member),
    }
}

/// Texts, numbers and booleans as they are, lists and maps as JSON in a text: as of attributes.
fn plain(member: NodeRef<'_>) -> Value {
    let is_number = || member.as_f64().is_some_and(f64::is_finite);
    match member.kind() {
        Kind::String | Kind::Bool => member.to_value(),
        Kind::Number if is_number() => member.to_value(),
        _ => {
            let mut json = Vec::new();
            member.write_json(&mut json);
            Value::Str(String::from_utf8_lossy(&json).into_owned())
        }
    }
}

/// The first that is said of a thing stays.
fn put(resource: &mut Attributes, key: &str, value: Value) {
    if resource.iter().all(|(own, _)| own != key) {
        resource.push((key.to_owned(), value));
    }
}
