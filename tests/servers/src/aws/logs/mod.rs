//! CloudWatch Logs: AWS JSON 1.1.
//!
//! `PutLogEvents` is in its own file. Of groups: names of 1 to 512 of `[A-Za-z0-9_\-/.#]`, streams' without `:` and `*`;
//! classes and days of retention are the service's lists; at most 50 tags; an anomaly detector watches exactly one group,
//! and a group has one at most. A detector needs the class STANDARD.

mod put;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::error::Refusal;
use super::taken::{LogAnomalyDetector, LogGroup};
use super::{Node, Signed};
use crate::http::Answer;

/// The days events can be kept.
const RETENTION: [i64; 22] =
    [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653];
const CLASSES: [&str; 4] = ["STANDARD", "INFREQUENT_ACCESS", "DELIVERY", "ESSENTIALS"];
const FREQUENCIES: [&str; 6] = ["ONE_MIN", "FIVE_MIN", "TEN_MIN", "FIFTEEN_MIN", "THIRTY_MIN", "ONE_HOUR"];

type Tags = BTreeMap<String, String>;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CreateGroup {
    #[serde(default)]
    log_group_name: String,
    kms_key_id: Option<String>,
    tags: Option<Tags>,
    log_group_class: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CreateStream {
    #[serde(default)]
    log_group_name: String,
    #[serde(default)]
    log_stream_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PutRetention {
    #[serde(default)]
    log_group_name: String,
    retention_in_days: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DescribeGroups {
    log_group_name_prefix: Option<String>,
    log_group_name_pattern: Option<String>,
    limit: Option<usize>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DescribeStreams {
    #[serde(default)]
    log_group_name: String,
    log_stream_name_prefix: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CreateDetector {
    #[serde(default)]
    log_group_arn_list: Vec<String>,
    evaluation_frequency: Option<String>,
    anomaly_visibility_time: Option<i64>,
    detector_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TagResource {
    resource_arn: String,
    tags: Tags,
}

// === impl Node ===

impl Node {
    pub(super) fn logs(&self, action: &str, signed: &Signed<'_>) -> Result<Answer, Refusal> {
        let body = &signed.request.body;
        match action {
            // It can't name records that it would take later.
            "PutLogEvents" if signed.fault.is_some() => Err(Refusal::named("ThrottlingException")),
            "PutLogEvents" => self.put_log_events(body),
            "CreateLogGroup" => self.create_log_group(read(body)?),
            "CreateLogStream" => self.create_log_stream(read(body)?),
            "PutRetentionPolicy" => self.put_retention(read(body)?),
            "DescribeLogGroups" => self.describe_log_groups(read(body)?),
            "DescribeLogStreams" => self.describe_log_streams(read(body)?),
            "CreateLogAnomalyDetector" => self.create_log_anomaly_detector(body),
            "ListLogAnomalyDetectors" => {
                let found = |detector: &LogAnomalyDetector| json!({ "anomalyDetectorArn": detector.arn, "logGroupArnList": [detector.group_arn] });
                let all: Vec<Value> = self.taken.lock().log_anomaly_detectors.iter().map(found).collect();
                Ok(ok(&json!({ "anomalyDetectors": all })))
            }
            "TagResource" => self.tag_log_group(read(body)?),
            _ => Err(Refusal::new("UnknownOperationException", "")),
        }
    }

    fn create_log_group(&self, asked: CreateGroup) -> Result<Answer, Refusal> {
        group_name(&asked.log_group_name)?;
        let class = asked.log_group_class.unwrap_or_else(|| "STANDARD".to_owned());
        one_of(&class, "logGroupClass", &CLASSES)?;
        let tags = asked.tags.unwrap_or_default();
        check_tags(&tags)?;
        if let Some(key) = &asked.kms_key_id
            && !key.starts_with("arn:aws")
        {
            return Err(invalid("The provided KMS key is not an ARN of a key."));
        }
        let created = self.now();
        self.taken.change(|taken| {
            if taken.log_groups.contains_key(&asked.log_group_name) {
                return Err(Refusal::new("ResourceAlreadyExistsException", "The specified log group already exists"));
            }
            let group = LogGroup { class, kms_key: asked.kms_key_id, tags, created, ..LogGroup::default() };
            taken.log_groups.insert(asked.log_group_name, group);
            Ok(nothing())
        })
    }

    fn create_log_stream(&self, asked: CreateStream) -> Result<Answer, Refusal> {
        group_name(&asked.log_group_name)?;
        stream_name(&asked.log_stream_name)?;
        self.taken.change(|taken| {
            let group = taken.log_groups.get_mut(&asked.log_group_name).ok_or_else(no_group)?;
            if group.streams.contains_key(&asked.log_stream_name) {
                return Err(Refusal::new("ResourceAlreadyExistsException", "The specified log stream already exists"));
            }
            group.streams.insert(asked.log_stream_name, Vec::new());
            Ok(nothing())
        })
    }

    fn put_retention(&self, asked: PutRetention) -> Result<Answer, Refusal> {
        group_name(&asked.log_group_name)?;
        let days = asked.retention_in_days;
        if !RETENTION.contains(&days) {
            let set = format!("satisfy enum value set: {RETENTION:?}");
            return Err(Refusal::constraint("InvalidParameterException", &days.to_string(), "retentionInDays", &set));
        }
        self.taken.change(|taken| {
            taken.log_groups.get_mut(&asked.log_group_name).ok_or_else(no_group)?.retention = Some(days);
            Ok(nothing())
        })
    }

    fn describe_log_groups(&self, asked: DescribeGroups) -> Result<Answer, Refusal> {
        if asked.log_group_name_prefix.is_some() && asked.log_group_name_pattern.is_some() {
            return Err(invalid("LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters."));
        }
        let limit = asked.limit.unwrap_or(50);
        if !(1..=50).contains(&limit) {
            let text = "have value less than or equal to 50";
            return Err(Refusal::constraint("InvalidParameterException", &limit.to_string(), "limit", text));
        }
        let taken = self.taken.lock();
        let prefix = asked.log_group_name_prefix.unwrap_or_default();
        let pattern = asked.log_group_name_pattern.unwrap_or_default();
        let after = asked.next_token.unwrap_or_default();
        let mut found = taken
            .log_groups
            .iter()
            .filter(|(name, _)| name.starts_with(&prefix) && name.contains(&pattern) && **name > after);
        let page: Vec<Value> = found.by_ref().take(limit).map(|(name, group)| self.describe(name, group)).collect();
        let mut answer = json!({ "logGroups": page });
        if found.next().is_some()
            && let Some(last) = page_end(&answer)
        {
            answer["nextToken"] = last;
        }
        Ok(ok(&answer))
    }

    fn describe(&self, name: &str, group: &LogGroup) -> Value {
        let arn = self.arn("logs", &format!("log-group:{name}"));
        let stored: usize = group.streams.values().flatten().map(|event| event.message.len() + 26).sum();
        let mut value = json!({
            "logGroupName": name,
            "arn": format!("{arn}:*"),
            "logGroupArn": arn,
            "creationTime": group.created,
            "metricFilterCount": 0,
            "storedBytes": stored,
            "logGroupClass": group.class,
        });
        if let Some(days) = group.retention {
            value["retentionInDays"] = days.into();
        }
        if let Some(key) = &group.kms_key {
            value["kmsKeyId"] = key.as_str().into();
        }
        value
    }

    fn describe_log_streams(&self, asked: DescribeStreams) -> Result<Answer, Refusal> {
        group_name(&asked.log_group_name)?;
        let taken = self.taken.lock();
        let group = taken.log_groups.get(&asked.log_group_name).ok_or_else(no_group)?;
        let prefix = asked.log_stream_name_prefix.unwrap_or_default();
        let names = group.streams.keys().filter(|name| name.starts_with(&prefix)).take(50);
        let streams: Vec<Value> = names.map(|name| json!({ "logStreamName": name })).collect();
        Ok(ok(&json!({ "logStreams": streams })))
    }

    fn create_log_anomaly_detector(&self, body: &[u8]) -> Result<Answer, Refusal> {
        let settings: Value = read(body)?;
        let asked: CreateDetector = read(body)?;
        let [group_arn] = &asked.log_group_arn_list[..] else {
            return Err(invalid("Exactly one log group ARN must be specified."));
        };
        if let Some(frequency) = &asked.evaluation_frequency {
            one_of(frequency, "evaluationFrequency", &FREQUENCIES)?;
        }
        if let Some(days) = asked.anomaly_visibility_time.filter(|days| !(7..=90).contains(days)) {
            let text = "have value between 7 and 90";
            return Err(Refusal::constraint(
                "InvalidParameterException",
                &days.to_string(),
                "anomalyVisibilityTime",
                text,
            ));
        }
        if asked.detector_name.is_some_and(|name| name.is_empty()) {
            let text = "have length greater than or equal to 1";
            return Err(Refusal::constraint("InvalidParameterException", "", "detectorName", text));
        }
        let name = self.group_of(group_arn)?;
        let arn = self.arn("logs", &format!("anomaly-detector:00000000-0000-4000-8000-{:012x}", self.next()));
        self.taken.change(|taken| {
            let group = taken.log_groups.get(&name).ok_or_else(no_group)?;
            if group.class != "STANDARD" {
                let text = "The operation is not supported for log groups of this class.";
                return Err(Refusal::new("OperationAbortedException", text));
            }
            if taken.log_anomaly_detectors.iter().any(|detector| detector.group_arn == *group_arn) {
                return Err(Refusal::new("LimitExceededException", "The log group has an anomaly detector already."));
            }
            let detector = LogAnomalyDetector { arn: arn.clone(), group_arn: group_arn.clone(), settings };
            taken.log_anomaly_detectors.push(detector);
            Ok(ok(&json!({ "anomalyDetectorArn": arn })))
        })
    }

    fn tag_log_group(&self, asked: TagResource) -> Result<Answer, Refusal> {
        check_tags(&asked.tags)?;
        let name = self.group_of(&asked.resource_arn)?;
        self.taken.change(|taken| {
            let group = taken.log_groups.get_mut(&name).ok_or_else(no_group)?;
            group.tags.extend(asked.tags);
            Ok(nothing())
        })
    }

    /// The name of a group by its ARN, which must not end with `:*`.
    fn group_of(&self, arn: &str) -> Result<String, Refusal> {
        let name = arn.strip_prefix(&self.arn("logs", "log-group:")).filter(|name| !name.ends_with(":*"));
        name.map(str::to_owned).ok_or_else(|| invalid("The ARN is not one of a log group of this account and region."))
    }
}

fn page_end(answer: &Value) -> Option<Value> {
    answer["logGroups"].as_array()?.last()?.get("logGroupName").cloned()
}

/// A body as the action has it.
pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(Refusal::serialization)
}

fn ok(value: &Value) -> Answer {
    Answer::new(200, "application/x-amz-json-1.1", value.to_string())
}

/// Success without a result: no body at all.
fn nothing() -> Answer {
    Answer::new(200, "application/x-amz-json-1.1", "")
}

fn invalid(text: &str) -> Refusal {
    Refusal::new("InvalidParameterException", text)
}

fn no_group() -> Refusal {
    Refusal::new("ResourceNotFoundException", "The specified log group does not exist.")
}

fn group_name(name: &str) -> Result<(), Refusal> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '/' | '.' | '#');
    name_of(name, "logGroupName", r"[\.\-_/#A-Za-z0-9]+", allowed)
}

fn stream_name(name: &str) -> Result<(), Refusal> {
    name_of(name, "logStreamName", "[^:*]*", |c| !matches!(c, ':' | '*'))
}

fn name_of(name: &str, member: &str, pattern: &str, allowed: fn(char) -> bool) -> Result<(), Refusal> {
    let constraint = |text: &str| Err(Refusal::constraint("InvalidParameterException", name, member, text));
    match name.chars().count() {
        0 => constraint("have length greater than or equal to 1"),
        1..=512 if name.chars().all(allowed) => Ok(()),
        1..=512 => constraint(&format!("satisfy regular expression pattern: {pattern}")),
        _ => constraint("have length less than or equal to 512"),
    }
}

fn one_of(value: &str, member: &str, all: &[&str]) -> Result<(), Refusal> {
    if all.contains(&value) {
        return Ok(());
    }
    let set = format!("satisfy enum value set: [{}]", all.join(", "));
    Err(Refusal::constraint("InvalidParameterException", value, member, &set))
}

fn check_tags(tags: &Tags) -> Result<(), Refusal> {
    let allowed = |text: &str| text.chars().all(|c| c.is_alphanumeric() || " _.:/=+-@".contains(c));
    let good = |(name, value): (&String, &String)| {
        let (long_name, long_value) = (name.chars().count(), value.chars().count());
        (1..=128).contains(&long_name) && long_value <= 256 && allowed(name) && allowed(value)
    };
    if tags.len() > 50 || !tags.iter().all(good) {
        return Err(Refusal::constraint("InvalidParameterException", &format!("{tags:?}"), "tags", "be valid tags"));
    }
    Ok(())
}
