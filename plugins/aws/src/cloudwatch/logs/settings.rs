//! The settings of the `cloudwatch_logs` output.

use std::ops::RangeInclusive;
use std::time::Duration;

use aws_sdk_cloudwatchlogs::types::{EvaluationFrequency, LogGroupClass};
use suiro_record::{Path, Value};
use suiro_sdk::aws::AccountSettings;
use suiro_sdk::lang::{Check, Destination};
use suiro_sdk::settings::{ByteSize, Reported, Section};

use super::batch::{MAX_BYTES, PER_EVENT};
use super::message::LogKey;
use super::names;
use crate::cloudwatch::emf;

/// Days that `retention_days` can be.
const RETENTION: [i32; 22] =
    [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653];

/// Tags a group can have.
const MAX_TAGS: usize = 50;

/// Members of an entity's `key_attributes`.
const KEY_ATTRIBUTES: RangeInclusive<usize> = 2..=4;
/// Characters of the name of one of these.
const KEY_ATTRIBUTE_NAME: usize = 32;
/// Members of an entity's `attributes`, at most.
const ATTRIBUTES: usize = 10;
/// Characters of the name of one of these.
const ATTRIBUTE_NAME: usize = 256;
/// Characters of the value of any of them.
const ATTRIBUTE_VALUE: usize = 512;

/// The settings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Whose account, and where.
    pub(super) account: AccountSettings,
    pub(super) group: Destination,
    pub(super) stream: Destination,
    pub(super) format: Format,
    /// The field that is the message, where a record has it.
    pub(super) log_key: Option<LogKey>,
    /// Bytes an event may take, its 26 included.
    pub(super) max_event: usize,
    pub(super) oversize: Oversize,
    /// How groups are made that are missing; `None`: not at all.
    pub(super) create: Option<CreateGroup>,
    /// As JSON.
    pub(super) entity: Option<String>,
    pub(super) anomaly_detector: Option<AnomalyDetector>,
    /// Streams that are remembered.
    pub(super) max_streams: usize,
    /// For one request with its answer.
    pub(super) timeout: Duration,
}

/// What an event says.
#[derive(Clone, Debug)]
pub(super) enum Format {
    /// A record's text, or the record.
    Text,
    /// The same, and metric points as documents in the embedded metric format.
    Emf(emf::Settings),
}

/// What becomes of a message that is too large.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Oversize {
    /// Its beginning is sent, marked.
    #[default]
    Cut,
    /// The record is set aside.
    DeadLetter,
}

/// How a group is made.
#[derive(Clone, Debug, Default)]
pub(super) struct CreateGroup {
    pub(super) retention_days: Option<i32>,
    pub(super) class: Option<LogGroupClass>,
    pub(super) kms_key: Option<String>,
    pub(super) tags: Vec<(String, String)>,
}

/// The anomaly detector that each group gets.
#[derive(Clone, Debug)]
pub(super) struct AnomalyDetector {
    pub(super) name: Option<String>,
    pub(super) frequency: Option<EvaluationFrequency>,
    pub(super) filter_pattern: Option<String>,
    pub(super) kms_key: Option<String>,
    pub(super) visibility_days: Option<i64>,
}

// === impl Settings ===

impl Settings {
    /// Reads them.
    pub fn read(settings: &Section) -> Result<Settings, Reported> {
        let account = AccountSettings::read(settings);
        let group = read_name(settings, "log_group", "\"/app/{service}\"", names::group, names::cleanable);
        let stream = read_name(settings, "log_stream", "\"host-{@host.name|unknown}\"", names::stream, not_empty);
        let is_emf = settings.choice("format", &[("text", false), ("emf", true)]).unwrap_or_default();
        let emf = emf::Settings::read(settings, is_emf);
        let log_key = settings.get::<Path>("log_key").map(LogKey::new);
        let largest = ByteSize(MAX_BYTES as u64);
        let max_event = settings.within("max_event", ByteSize::kib(1)..=largest).unwrap_or(largest).as_usize();
        let oversize = settings.choice("oversize", &[("cut", Oversize::Cut), ("dead_letter", Oversize::DeadLetter)]);
        let create = CreateGroup::read(settings);
        let entity = read_entity(settings);
        let anomaly_detector = settings.section("anomaly_detector").map(|detector| AnomalyDetector::read(&detector));
        let max_streams = settings.within("max_streams", 1..=1_000_000_usize).unwrap_or(10_000);
        let timeout = settings.within("timeout", Duration::from_millis(1)..=Duration::from_secs(3600));
        settings.finish()?;
        Ok(Settings {
            account: account?,
            group: group?,
            stream: stream?,
            format: emf?.map_or(Format::Text, Format::Emf),
            log_key,
            max_event,
            oversize: oversize.unwrap_or_default(),
            create,
            entity,
            anomaly_detector,
            max_streams,
            timeout: timeout.unwrap_or(Duration::from_secs(30)),
        })
    }

    /// Bytes a message may have.
    pub(super) fn max_message(&self) -> usize {
        self.max_event - PER_EVENT
    }
}

/// A destination that is right as it stands: what records put into it is cleaned of what `strict` would not take, and must
/// only pass `lenient`.
fn read_name(
    settings: &Section,
    key: &str,
    example: &str,
    strict: Check,
    lenient: Check,
) -> Result<Destination, Reported> {
    let Some(value) = settings.value(key) else { return Err(settings.missing(key, example)) };
    let destination = Destination::read_checked(&value, strict)?;
    destination.with_check(lenient).map_err(|error| value.error(format!("`{key}`: {}", error.message), error.help))
}

fn not_empty(name: &str) -> Result<(), &'static str> {
    if name.is_empty() { Err("is empty") } else { Ok(()) }
}

/// `{ key_attributes, attributes }` as JSON.
fn read_entity(settings: &Section) -> Option<String> {
    let entity = settings.section("entity")?;
    let key_attributes = entity.map::<String>("key_attributes");
    let attributes = entity.map::<String>("attributes");
    // What can't be read is reported already.
    if !entity.has("key_attributes") {
        entity.missing("key_attributes", "{ Type = \"Service\", Name = \"shop\", Environment = \"prod\" }");
    } else if !key_attributes.iter().any(|(key, _)| key == "Type") {
        let help = "such as Type = \"Service\", with Name and Environment beside it";
        entity.error_at("key_attributes", "`key_attributes` must say the entity's `Type`", help);
    } else if !KEY_ATTRIBUTES.contains(&key_attributes.len()) {
        let message = format!("`key_attributes` has from 2 to 4 members, here it has {}", key_attributes.len());
        let help = "say `Type` and what tells the entity from others of it, such as Name and Environment; the rest belongs into `attributes`";
        entity.error_at("key_attributes", message, help);
    }
    if attributes.len() > ATTRIBUTES {
        let message = format!("`attributes` has at most {ATTRIBUTES} members, here it has {}", attributes.len());
        entity.error_at("attributes", message, "leave some out");
    }
    check_members(&entity, "key_attributes", &key_attributes, KEY_ATTRIBUTE_NAME);
    check_members(&entity, "attributes", &attributes, ATTRIBUTE_NAME);
    let map = |members: Vec<(String, String)>| {
        Value::Object(members.into_iter().map(|(key, value)| (key, Value::Str(value))).collect())
    };
    let mut members = vec![("keyAttributes".to_owned(), map(key_attributes))];
    if !attributes.is_empty() {
        members.push(("attributes".to_owned(), map(attributes)));
    }
    let mut json = Vec::new();
    Value::Object(members).write_json(&mut json);
    String::from_utf8(json).ok()
}

/// The service takes the events, but not the entity, if a text is empty or too long.
fn check_members(entity: &Section, table: &str, members: &[(String, String)], longest_name: usize) {
    let fits = |text: &str, most: usize| (1..=most).contains(&text.chars().count());
    for (name, value) in members {
        if !fits(name, longest_name) {
            let message = format!("a name in `{table}` has from 1 to {longest_name} characters");
            entity.error_at_key(table, name, message, "write another one");
        }
        if !fits(value, ATTRIBUTE_VALUE) {
            let message = format!("the value of `{name}` in `{table}` has from 1 to {ATTRIBUTE_VALUE} characters");
            entity.error_at_key(table, name, message, "write another one, or leave it out");
        }
    }
}

// === impl CreateGroup ===

impl CreateGroup {
    fn read(settings: &Section) -> Option<CreateGroup> {
        let create = settings.flag("create_group");
        if !create {
            for key in ["retention_days", "log_class", "kms_key", "tags"] {
                if settings.has(key) {
                    let message = format!("`{key}` is for groups that the agent makes, and it makes none");
                    settings.error_at(key, message, "set create_group = true");
                }
            }
            return None;
        }
        let retention_days = settings.get::<i32>("retention_days");
        if let Some(days) = retention_days.filter(|days| !RETENTION.contains(days)) {
            let all: Vec<String> = RETENTION.iter().map(i32::to_string).collect();
            let message = format!("the service keeps no logs for {days} days");
            settings.error_at("retention_days", message, format!("it can be {}", all.join(", ")));
        }
        let classes = [
            ("standard", LogGroupClass::Standard),
            ("infrequent_access", LogGroupClass::InfrequentAccess),
            ("delivery", LogGroupClass::Delivery),
            ("essentials", LogGroupClass::from("ESSENTIALS")),
        ];
        let class = settings.choice("log_class", &classes);
        if class == Some(LogGroupClass::Delivery) && retention_days.is_some() {
            settings.error_at(
                "retention_days",
                "groups of the class `delivery` keep logs for a day, always",
                "leave it out",
            );
        }
        let tags = settings.map::<String>("tags");
        if tags.len() > MAX_TAGS {
            settings.error_at("tags", format!("a group can have {MAX_TAGS} tags, here are {}", tags.len()), "");
        }
        for (key, value) in &tags {
            let fault = if key.is_empty() || key.chars().count() > 128 {
                "a tag's key has from 1 to 128 characters"
            } else if key.starts_with("aws:") {
                "keys that begin with `aws:` are the service's own"
            } else if value.chars().count() > 256 {
                "a tag's value has at most 256 characters"
            } else {
                continue;
            };
            settings.error_at_key("tags", key, fault, "");
        }
        Some(CreateGroup { retention_days, class, kms_key: settings.get("kms_key"), tags })
    }
}

// === impl AnomalyDetector ===

impl AnomalyDetector {
    fn read(section: &Section) -> AnomalyDetector {
        let frequencies = [
            ("1m", EvaluationFrequency::OneMin),
            ("5m", EvaluationFrequency::FiveMin),
            ("10m", EvaluationFrequency::TenMin),
            ("15m", EvaluationFrequency::FifteenMin),
            ("30m", EvaluationFrequency::ThirtyMin),
            ("1h", EvaluationFrequency::OneHour),
        ];
        AnomalyDetector {
            name: section.get("name"),
            frequency: section.choice("frequency", &frequencies),
            filter_pattern: section.get("filter_pattern"),
            kms_key: section.get("kms_key"),
            visibility_days: section.within("visibility_days", 7..=90_i64),
        }
    }
}
