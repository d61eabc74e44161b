//! How the server is set up.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::credentials::Role;

/// How the server is set up.
#[derive(Clone, Debug)]
pub struct AwsOptions {
    /// The key that is known. Default `AKIDSUIROTEST`.
    pub access_key_id: String,
    /// Its secret. Default `suiro-secret`.
    pub secret_access_key: String,
    /// The region signatures must be for. Default `eu-central-1`.
    pub region: String,
    /// The account's number. Default `123456789012`.
    pub account: String,
    /// Roles that can be assumed. Default: `arn:aws:iam::123456789012:role/suiro`, without an external id.
    pub roles: Vec<Role>,
    /// The token `AssumeRoleWithWebIdentity` takes. Default `suiro-web-identity`.
    pub web_identity_token: String,
    /// How long the credentials of a role are good for, whoever gives them. Default one hour.
    pub session: Duration,
    /// Most bytes of a log event, the 26 each event counts for included. Default 1,048,576; older regions have 262,144.
    pub max_log_event: usize,
    /// Most bytes of a request of `PutMetricData`, decoded. Default 1,048,576.
    pub max_metric_body: usize,
    /// Most bytes of a record of Kinesis, its partition key included. Default 1 MiB, the default of a stream.
    pub max_kinesis_record: usize,
    /// Most bytes of a `PutRecords`, partition keys included. Default 5 MiB.
    pub max_kinesis_request: usize,
    /// Kinesis streams, and how many shards each has. Default: `suiro` with 2.
    pub kinesis_streams: BTreeMap<String, usize>,
    /// Delivery streams of Firehose. Default: `suiro`.
    pub delivery_streams: Vec<String>,
    /// Buckets. Default: `suiro`.
    pub buckets: Vec<String>,
    /// X-Ray's sampling rules, each a `SamplingRule`. Default: the rule `Default` (1 a second, then 5 %).
    pub sampling_rules: Vec<Value>,
    /// Whether what is taken is kept. Without, log events, segments and records are counted, and their content is gone.
    pub keep: bool,
    /// The instance the metadata service speaks of; `None`: there is none (404).
    pub instance: Option<Instance>,
    /// The task the container's metadata endpoint speaks of; `None`: there is none (404).
    pub task: Option<Task>,
}

/// An EC2 instance, as its metadata service tells of it: `/latest/...`.
#[derive(Clone, Debug)]
pub struct Instance {
    /// The role whose credentials it hands out; `None`: it has none.
    pub role: Option<String>,
    /// Below `/latest/meta-data/`: path and value. `placement/region` and those of the role are added.
    pub metadata: BTreeMap<String, String>,
    /// Whether requests without a token are answered too (version 1). Default false.
    pub version_1: bool,
}

/// An ECS task, as its metadata endpoint tells of it: `/v4/ID`, `/v4/ID/task`. Its credentials: `/v2/credentials/ID`,
/// and as EKS Pod Identity has them: `/v1/credentials`.
#[derive(Clone, Debug)]
pub struct Task {
    /// The id in the path.
    pub id: String,
    /// What `/v4/ID` answers.
    pub container: Value,
    /// What `/v4/ID/task` answers.
    pub task: Value,
    /// The value of `Authorization` that credentials ask for; `None`: none, and no Pod Identity.
    pub token: Option<String>,
}

// === impl AwsOptions ===

impl Default for AwsOptions {
    fn default() -> Self {
        AwsOptions {
            access_key_id: "AKIDSUIROTEST".to_owned(),
            secret_access_key: "suiro-secret".to_owned(),
            region: "eu-central-1".to_owned(),
            account: "123456789012".to_owned(),
            roles: vec![Role { arn: "arn:aws:iam::123456789012:role/suiro".to_owned(), external_id: None }],
            web_identity_token: "suiro-web-identity".to_owned(),
            session: Duration::from_secs(3600),
            max_log_event: 1 << 20,
            max_metric_body: 1 << 20,
            max_kinesis_record: 1 << 20,
            max_kinesis_request: 5 << 20,
            kinesis_streams: BTreeMap::from([("suiro".to_owned(), 2)]),
            delivery_streams: vec!["suiro".to_owned()],
            buckets: vec!["suiro".to_owned()],
            sampling_rules: vec![super::xray::default_rule()],
            keep: true,
            instance: Some(Instance::default()),
            task: Some(Task::default()),
        }
    }
}

// === impl Instance ===

impl Default for Instance {
    fn default() -> Self {
        let metadata = [
            ("ami-id", "ami-0123456789abcdef0"),
            ("hostname", "ip-10-0-0-7.eu-central-1.compute.internal"),
            ("instance-id", "i-0123456789abcdef0"),
            ("instance-life-cycle", "on-demand"),
            ("instance-type", "t3.micro"),
            ("local-hostname", "ip-10-0-0-7.eu-central-1.compute.internal"),
            ("local-ipv4", "10.0.0.7"),
            ("mac", "0a:1b:2c:3d:4e:5f"),
            ("network/interfaces/macs/0a:1b:2c:3d:4e:5f/subnet-id", "subnet-0123456789abcdef0"),
            ("network/interfaces/macs/0a:1b:2c:3d:4e:5f/vpc-id", "vpc-0123456789abcdef0"),
            ("placement/availability-zone", "eu-central-1a"),
            ("placement/availability-zone-id", "euc1-az2"),
            ("public-ipv4", "203.0.113.7"),
            ("tags/instance/Name", "web 1"),
            ("tags/instance/team", "shop"),
        ];
        let metadata = metadata.map(|(path, value)| (path.to_owned(), value.to_owned()));
        Instance { role: Some("suiro-instance".to_owned()), metadata: metadata.into(), version_1: false }
    }
}

// === impl Task ===

impl Default for Task {
    fn default() -> Self {
        let labels = serde_json::json!({
            "com.amazonaws.ecs.cluster": "shop",
            "com.amazonaws.ecs.container-name": "web",
            "com.amazonaws.ecs.task-arn": "arn:aws:ecs:eu-central-1:123456789012:task/shop/158d1c8083dd49d6b527399fd6414f5c",
            "com.amazonaws.ecs.task-definition-family": "web",
            "com.amazonaws.ecs.task-definition-version": "5",
        });
        let container = serde_json::json!({
            "DockerId": "ea32192c8553fbff06c9340478a2ff089b2bb5646fb718b4ee206641c9086d66",
            "Name": "web",
            "DockerName": "ecs-web-5-web-cca48e8dcadd97805600",
            "Image": "123456789012.dkr.ecr.eu-central-1.amazonaws.com/web:1.2",
            "ImageID": "sha256:d691691e9652791a60114e67b365688d20d19940dde7c4736ea30e660d8d3553",
            "Labels": labels,
            "DesiredStatus": "RUNNING",
            "KnownStatus": "RUNNING",
            "Limits": { "CPU": 256, "Memory": 128 },
            "CreatedAt": "2026-11-20T10:02:00.615766803Z",
            "StartedAt": "2026-11-20T10:02:01.276531324Z",
            "Type": "NORMAL",
            "LogDriver": "awsfirelens",
            "ContainerARN": "arn:aws:ecs:eu-central-1:123456789012:container/shop/158d1c8083dd49d6b527399fd6414f5c/8f03e41243824aea923aca126495f665",
            "Networks": [{ "NetworkMode": "awsvpc", "IPv4Addresses": ["10.0.2.100"], "MACAddress": "0e:9e:32:c7:48:85" }],
        });
        let task = serde_json::json!({
            "Cluster": "arn:aws:ecs:eu-central-1:123456789012:cluster/shop",
            "TaskARN": "arn:aws:ecs:eu-central-1:123456789012:task/shop/158d1c8083dd49d6b527399fd6414f5c",
            "Family": "web",
            "Revision": "5",
            "ServiceName": "web",
            "DesiredStatus": "RUNNING",
            "KnownStatus": "RUNNING",
            "Limits": { "CPU": 0.25, "Memory": 512 },
            "PullStartedAt": "2026-11-20T10:01:50.43443669Z",
            "AvailabilityZone": "eu-central-1a",
            "LaunchType": "FARGATE",
            "VPCID": "vpc-0123456789abcdef0",
            "Containers": [container],
        });
        Task { id: "158d1c8083dd49d6b527399fd6414f5c-1234567890".to_owned(), container, task, token: None }
    }
}
