//! Sampling rules from a file, and the answers X-Ray would give by them.
//!
//! # Formats
//!
//! A file is what SDKs take as local rules,
//!
//! ```json
//! { "version": 2, "default": { "fixed_target": 1, "rate": 0.05 },
//!   "rules": [ { "description": "moves", "host": "*", "http_method": "*", "url_path": "/move/*", "fixed_target": 0, "rate": 0.05 } ] }
//! ```
//!
//! (version 1 says `service_name` for `host`), or what X-Ray answers itself, and `aws xray get-sampling-rules` prints:
//! `{"SamplingRuleRecords":[{"SamplingRule":{"RuleName":..}}]}`.
//!
//! # Targets
//!
//! A rule's reservoir is the number of requests a second that are traced whatever its rate. Clients that report to
//! `/SamplingTargets` share it: each gets an equal part, the remainder goes to the first of them by name. One that has not
//! reported for [`FORGET`] has no part any more.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// A file of rules is no larger.
const MAX_FILE: u64 = 1 << 20;
/// A request for targets is no larger.
pub(crate) const MAX_STATISTICS: usize = 1 << 20;
/// How often clients report, seconds.
const INTERVAL: u32 = 10;
/// How long what they are given is good for, seconds.
const QUOTA_TTL: i64 = 30;
/// A client that is silent for so long is gone.
const FORGET: Duration = Duration::from_secs(30);
/// Clients of a rule that are known at a time; others get no part of its reservoir.
const MAX_CLIENTS: usize = 4096;
/// A client's id is no longer.
const MAX_CLIENT_ID: usize = 128;
/// The name of the rule that is for all that no other is for.
const DEFAULT: &str = "Default";
const DEFAULT_PRIORITY: u32 = 10_000;

/// Rules as X-Ray has them, by priority.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rules {
    rules: Vec<Rule>,
    /// When the file was changed, seconds since 1970.
    changed: i64,
}

/// A rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Rule {
    rule_name: String,
    #[serde(rename = "RuleARN")]
    rule_arn: String,
    #[serde(rename = "ResourceARN")]
    resource_arn: String,
    priority: u32,
    fixed_rate: f64,
    reservoir_size: u32,
    service_name: String,
    service_type: String,
    host: String,
    #[serde(rename = "HTTPMethod")]
    http_method: String,
    #[serde(rename = "URLPath")]
    url_path: String,
    version: u32,
    attributes: BTreeMap<String, String>,
}

/// Rules, and who asked about them.
#[derive(Debug)]
pub(crate) struct LocalRules {
    rules: Rules,
    /// By rule and client, when it last reported.
    clients: Mutex<HashMap<String, BTreeMap<String, Instant>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LocalFile {
    version: u32,
    default: LocalDefault,
    #[serde(default)]
    rules: Vec<LocalRule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LocalDefault {
    fixed_target: u32,
    rate: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LocalRule {
    #[serde(default)]
    #[expect(dead_code, reason = "for people")]
    description: Option<String>,
    host: Option<String>,
    service_name: Option<String>,
    http_method: String,
    url_path: String,
    fixed_target: u32,
    rate: f64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RuleRecords {
    sampling_rule_records: Vec<RuleRecord>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RuleRecord {
    sampling_rule: Rule,
    #[serde(default, skip_deserializing)]
    created_at: i64,
    #[serde(default, skip_deserializing)]
    modified_at: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Statistics<'a> {
    #[serde(borrow)]
    sampling_statistics_documents: Vec<Report<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Report<'a> {
    #[serde(borrow)]
    rule_name: std::borrow::Cow<'a, str>,
    #[serde(borrow, rename = "ClientID")]
    client_id: std::borrow::Cow<'a, str>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Targets<'a> {
    sampling_target_documents: Vec<Target<'a>>,
    last_rule_modification: i64,
    unprocessed_statistics: Vec<Unprocessed<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Target<'a> {
    rule_name: &'a str,
    fixed_rate: f64,
    reservoir_quota: u32,
    #[serde(rename = "ReservoirQuotaTTL")]
    reservoir_quota_ttl: i64,
    interval: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Unprocessed<'a> {
    rule_name: &'a str,
    error_code: &'static str,
    message: &'static str,
}

// === impl Rule ===

impl Default for Rule {
    fn default() -> Self {
        let any = || "*".to_owned();
        Rule {
            rule_name: String::new(),
            rule_arn: String::new(),
            resource_arn: any(),
            priority: DEFAULT_PRIORITY,
            fixed_rate: 0.0,
            reservoir_size: 0,
            service_name: any(),
            service_type: any(),
            host: any(),
            http_method: any(),
            url_path: any(),
            version: 1,
            attributes: BTreeMap::new(),
        }
    }
}

// === impl Rules ===

impl Rules {
    /// Reads a file; otherwise what is wrong with it.
    pub(crate) fn read_file(path: &Path) -> Result<Rules, String> {
        let shown = path.display();
        let complain = |error: std::io::Error| format!("can't read {shown}: {error}");
        let metadata = std::fs::metadata(path).map_err(complain)?;
        if metadata.len() > MAX_FILE {
            return Err(format!("{shown} is larger than {MAX_FILE} bytes, as no file of sampling rules is"));
        }
        let text = std::fs::read(path).map_err(complain)?;
        let changed = metadata.modified().ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
        let changed = changed.map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(0));
        Rules::parse(&text, changed).map_err(|why| format!("{shown} holds no sampling rules: {why}"))
    }

    fn parse(text: &[u8], changed: i64) -> Result<Rules, String> {
        let value: serde_json::Value = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        let mut rules = if value.get("SamplingRuleRecords").is_some() {
            let records: RuleRecords = serde_json::from_value(value).map_err(|error| error.to_string())?;
            records.sampling_rule_records.into_iter().map(|record| record.sampling_rule).collect()
        } else if value.get("version").is_some() {
            let file: LocalFile = serde_json::from_value(value).map_err(|error| error.to_string())?;
            file.into_rules()?
        } else {
            return Err("it has neither `version`, as an SDK's local rules, nor `SamplingRuleRecords`".to_owned());
        };
        let mut names = BTreeSet::new();
        for rule in &rules {
            let name = &rule.rule_name;
            if name.is_empty() {
                return Err("a rule has no `RuleName`".to_owned());
            }
            if !names.insert(name.as_str()) {
                return Err(format!("there are two rules {name:?}"));
            }
            if !(0.0..=1.0).contains(&rule.fixed_rate) {
                return Err(format!("the rate of the rule {name:?} is {}, not from 0 to 1", rule.fixed_rate));
            }
        }
        rules.sort_by_key(|rule: &Rule| rule.priority);
        Ok(Rules { rules, changed })
    }
}

// === impl LocalFile ===

impl LocalFile {
    fn into_rules(self) -> Result<Vec<Rule>, String> {
        let LocalFile { version, default, rules } = self;
        if !matches!(version, 1 | 2) {
            return Err(format!("its version is {version}; 1 and 2 are known"));
        }
        let mut all = Vec::new();
        for (at, rule) in (1..).zip(rules) {
            let host = if version == 1 { rule.service_name } else { rule.host };
            let missing = || format!("rule {at} has no `{}`", if version == 1 { "service_name" } else { "host" });
            all.push(Rule {
                rule_name: format!("local-{at}"),
                priority: at,
                fixed_rate: rule.rate,
                reservoir_size: rule.fixed_target,
                host: host.ok_or_else(missing)?,
                http_method: rule.http_method,
                url_path: rule.url_path,
                ..Rule::default()
            });
        }
        if all.len() >= DEFAULT_PRIORITY as usize {
            return Err(format!("there are {} rules; X-Ray has no more than 9999 priorities", all.len()));
        }
        all.push(Rule {
            rule_name: DEFAULT.to_owned(),
            fixed_rate: default.rate,
            reservoir_size: default.fixed_target,
            ..Rule::default()
        });
        Ok(all)
    }
}

// === impl LocalRules ===

impl LocalRules {
    pub(crate) fn new(rules: Rules) -> Self {
        LocalRules { rules, clients: Mutex::default() }
    }

    /// The answer to `GetSamplingRules`, all on one page.
    pub(crate) fn rules(&self) -> Vec<u8> {
        let Rules { rules, changed } = &self.rules;
        let record =
            |rule: &Rule| RuleRecord { sampling_rule: rule.clone(), created_at: *changed, modified_at: *changed };
        let records = RuleRecords { sampling_rule_records: rules.iter().map(record).collect() };
        serde_json::to_vec(&records).unwrap_or_default()
    }

    /// The answer to `SamplingTargets`, at `now`, seconds since 1970.
    pub(crate) fn targets(&self, statistics: &[u8], now: i64) -> serde_json::Result<Vec<u8>> {
        let reports: Statistics<'_> = serde_json::from_slice(statistics)?;
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let mut targets = Targets {
            sampling_target_documents: Vec::new(),
            last_rule_modification: self.rules.changed,
            unprocessed_statistics: Vec::new(),
        };
        for Report { rule_name, client_id } in &reports.sampling_statistics_documents {
            let unprocessed = |message| Unprocessed { rule_name, error_code: "InvalidRequestException", message };
            let Some(rule) = self.rules.rules.iter().find(|rule| rule.rule_name == *rule_name) else {
                targets.unprocessed_statistics.push(unprocessed("there is no such rule"));
                continue;
            };
            if client_id.is_empty() || client_id.len() > MAX_CLIENT_ID {
                targets.unprocessed_statistics.push(unprocessed("this is no ClientID"));
                continue;
            }
            targets.sampling_target_documents.push(Target {
                rule_name: &rule.rule_name,
                fixed_rate: rule.fixed_rate,
                reservoir_quota: share(
                    clients.entry(rule.rule_name.clone()).or_default(),
                    client_id,
                    rule.reservoir_size,
                ),
                reservoir_quota_ttl: now.saturating_add(QUOTA_TTL),
                interval: INTERVAL,
            });
        }
        serde_json::to_vec(&targets)
    }
}

/// A client's part of a reservoir.
fn share(clients: &mut BTreeMap<String, Instant>, client: &str, reservoir: u32) -> u32 {
    let now = Instant::now();
    clients.retain(|_, seen| now.duration_since(*seen) < FORGET);
    if !clients.contains_key(client) && clients.len() >= MAX_CLIENTS {
        return 0;
    }
    clients.insert(client.to_owned(), now);
    let count = u32::try_from(clients.len()).unwrap_or(u32::MAX).max(1);
    let rank = u32::try_from(clients.range(..client.to_owned()).count()).unwrap_or(u32::MAX);
    reservoir / count + u32::from(rank < reservoir % count)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const LOCAL: &str = r#"{"version":2,"default":{"fixed_target":3,"rate":0.05},"rules":[
        {"description":"moves","host":"*","http_method":"GET","url_path":"/move/*","fixed_target":0,"rate":0.5}]}"#;

    fn local(text: &str) -> LocalRules {
        LocalRules::new(Rules::parse(text.as_bytes(), 1_700_000_000).unwrap())
    }

    fn rules(local: &LocalRules) -> Value {
        serde_json::from_slice(&local.rules()).unwrap()
    }

    fn targets(local: &LocalRules, reports: &[(&str, &str)]) -> Value {
        let report = |(rule, client): &(&str, &str)| json!({ "RuleName": rule, "ClientID": client, "Timestamp": 1.5e9, "RequestCount": 1, "SampledCount": 1, "BorrowCount": 0 });
        let reports: Vec<Value> = reports.iter().map(report).collect();
        let statistics = json!({ "SamplingStatisticsDocuments": reports }).to_string();
        serde_json::from_slice(&local.targets(statistics.as_bytes(), 1_700_000_100).unwrap()).unwrap()
    }

    #[test]
    fn local_rules_as_x_ray_has_them() {
        let rule = |name: &str, priority: u32, rate: f64, reservoir: u32, method: &str, path: &str| {
            json!({ "CreatedAt": 1_700_000_000, "ModifiedAt": 1_700_000_000, "SamplingRule": {
                "RuleName": name, "RuleARN": "", "ResourceARN": "*", "Priority": priority, "FixedRate": rate,
                "ReservoirSize": reservoir, "ServiceName": "*", "ServiceType": "*", "Host": "*", "HTTPMethod": method,
                "URLPath": path, "Version": 1, "Attributes": {},
            } })
        };
        let expected = [rule("local-1", 1, 0.5, 0, "GET", "/move/*"), rule("Default", 10_000, 0.05, 3, "*", "*")];
        assert_eq!(rules(&local(LOCAL)), json!({ "SamplingRuleRecords": expected }));
        // What it prints it reads.
        let printed = rules(&local(LOCAL)).to_string();
        assert_eq!(rules(&local(&printed)), json!({ "SamplingRuleRecords": expected }));
        let old = LOCAL.replace("\"version\":2", "\"version\":1").replace("\"host\"", "\"service_name\"");
        assert_eq!(rules(&local(&old)), json!({ "SamplingRuleRecords": expected }));
    }

    #[test]
    fn rules_of_x_ray_go_by_priority() {
        let records = r#"{"SamplingRuleRecords":[{"SamplingRule":{"RuleName":"Default","FixedRate":0.05,"ReservoirSize":1}},
            {"SamplingRule":{"RuleName":"a","Priority":7,"FixedRate":1,"ReservoirSize":5,"Host":"h"},"CreatedAt":1.5}],"NextToken":null}"#;
        let rules = rules(&local(records));
        let all = rules["SamplingRuleRecords"].as_array().unwrap();
        let names: Vec<&Value> = all.iter().map(|record| &record["SamplingRule"]["RuleName"]).collect();
        assert_eq!(names, ["a", "Default"]);
        assert_eq!((&all[0]["SamplingRule"]["Host"], &all[1]["SamplingRule"]["Host"]), (&json!("h"), &json!("*")));
    }

    #[test]
    fn clients_share_a_reservoir() {
        let local = local(LOCAL);
        let first = targets(&local, &[("Default", "b")]);
        assert_eq!(
            first,
            json!({
                "SamplingTargetDocuments": [{ "RuleName": "Default", "FixedRate": 0.05, "ReservoirQuota": 3,
                    "ReservoirQuotaTTL": 1_700_000_130, "Interval": 10 }],
                "LastRuleModification": 1_700_000_000, "UnprocessedStatistics": [],
            })
        );
        let quota = |client: &str| {
            targets(&local, &[("Default", client)])["SamplingTargetDocuments"][0]["ReservoirQuota"].clone()
        };
        assert_eq!((quota("a"), quota("b")), (json!(2), json!(1)));
        assert_eq!((quota("c"), quota("b"), quota("a")), (json!(1), json!(1), json!(1)));
        // More clients than there is to share.
        assert_eq!((quota("d"), quota("a")), (json!(0), json!(1)));
    }

    #[test]
    fn what_is_not_known_is_not_processed() {
        let local = local(LOCAL);
        let long = "x".repeat(200);
        let answer = targets(&local, &[("nope", "a"), ("Default", ""), ("Default", &long), ("local-1", "a")]);
        let names = |list: &str, key: &str| -> Vec<Value> {
            answer[list].as_array().unwrap().iter().map(|item| item[key].clone()).collect()
        };
        assert_eq!(names("UnprocessedStatistics", "RuleName"), ["nope", "Default", "Default"]);
        assert_eq!(names("SamplingTargetDocuments", "RuleName"), ["local-1"]);
        for text in [
            "",
            "[]",
            "{}",
            r#"{"SamplingStatisticsDocuments":[{}]}"#,
            "{\"SamplingStatisticsDocuments\":[{\"RuleName\":1}]}",
        ] {
            assert!(local.targets(text.as_bytes(), 0).is_err(), "{text}");
        }
    }

    #[test]
    fn clients_without_end_get_nothing_and_take_no_memory() {
        let mut clients = BTreeMap::new();
        for client in 0..MAX_CLIENTS + 10 {
            share(&mut clients, &format!("{client:05}"), 100_000);
        }
        assert_eq!(clients.len(), MAX_CLIENTS);
        assert_eq!(share(&mut clients, "99999", 100_000), 0);
    }

    #[test]
    fn says_what_is_wrong_with_a_file() {
        for (text, why) in [
            ("", "EOF"),
            ("{}", "neither `version`"),
            (r#"{"version":3,"default":{"fixed_target":1,"rate":1}}"#, "1 and 2 are known"),
            (r#"{"version":2,"rules":[]}"#, "missing field `default`"),
            (r#"{"version":2,"default":{"fixed_target":1,"rate":2}}"#, "is 2, not from 0 to 1"),
            (r#"{"version":2,"default":{"fixed_target":-1,"rate":1}}"#, "invalid value"),
            (r#"{"version":2,"default":{"fixed_target":1,"rate":1,"x":1}}"#, "unknown field `x`"),
            (
                r#"{"version":2,"default":{"fixed_target":1,"rate":1},"rules":[{"http_method":"*","url_path":"*","fixed_target":1,"rate":1}]}"#,
                "rule 1 has no `host`",
            ),
            (r#"{"SamplingRuleRecords":[{"SamplingRule":{}}]}"#, "no `RuleName`"),
            (
                r#"{"SamplingRuleRecords":[{"SamplingRule":{"RuleName":"a"}},{"SamplingRule":{"RuleName":"a"}}]}"#,
                "two rules \"a\"",
            ),
        ] {
            let said = Rules::parse(text.as_bytes(), 0).unwrap_err();
            assert!(said.contains(why), "{text}: {said}");
        }
        assert!(Rules::read_file(Path::new("/nonexistent.json")).unwrap_err().contains("can't read /nonexistent.json"));
    }
}
