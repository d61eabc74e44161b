//! X-Ray: REST JSON, POST of `/TraceSegments`, `/GetSamplingRules` and `/SamplingTargets`.
//!
//! `PutTraceSegments` takes 1 to 50 documents; each is judged alone, and the answer names those that were not taken in
//! `UnprocessedTraceSegments`, without an `Id` where the document has none that can be read.

mod segment;

use serde::Deserialize;
use serde_json::{Value, json};

use super::error::Refusal;
use super::logs::read;
use super::taken::Segment;
use super::{Node, Signed};
use crate::http::Answer;

const MAX_DOCUMENTS: usize = 50;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Put {
    trace_segment_documents: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Targets {
    sampling_statistics_documents: Option<Vec<Value>>,
}

/// The rule every account has.
pub(super) fn default_rule() -> Value {
    json!({
        "RuleName": "Default",
        "RuleARN": "arn:aws:xray:eu-central-1:123456789012:sampling-rule/Default",
        "ResourceARN": "*",
        "Priority": 10000,
        "FixedRate": 0.05,
        "ReservoirSize": 1,
        "ServiceName": "*",
        "ServiceType": "*",
        "Host": "*",
        "HTTPMethod": "*",
        "URLPath": "*",
        "Version": 1,
        "Attributes": {},
    })
}

// === impl Node ===

impl Node {
    pub(super) fn xray(&self, action: &str, signed: &Signed<'_>) -> Result<Answer, Refusal> {
        if signed.request.head.method != "POST" {
            return Err(Refusal::new("UnknownOperationException", ""));
        }
        let body = &signed.request.body;
        match action {
            "PutTraceSegments" => self.put_trace_segments(signed),
            "GetSamplingRules" => {
                let records = self.options.sampling_rules.iter();
                let records: Vec<Value> = records
                    .map(|rule| json!({ "SamplingRule": rule, "CreatedAt": 0.0, "ModifiedAt": 1_529_959_993.0 }))
                    .collect();
                Ok(ok(&json!({ "SamplingRuleRecords": records, "NextToken": null })))
            }
            _ => self.sampling_targets(body),
        }
    }

    fn put_trace_segments(&self, signed: &Signed<'_>) -> Result<Answer, Refusal> {
        let Put { trace_segment_documents } = read(&signed.request.body)?;
        let documents = trace_segment_documents.unwrap_or_default();
        match documents.len() {
            0 => return Err(invalid("Missing required field: TraceSegmentDocuments")),
            1..=MAX_DOCUMENTS => {}
            n => {
                return Err(invalid(&format!(
                    "Number of trace segment documents {n} exceeds the limit of {MAX_DOCUMENTS}"
                )));
            }
        }
        let now = self.now() as f64 / 1000.0;
        let mut unprocessed = Vec::new();
        let mut taken: Vec<Segment> = Vec::new();
        for (at, document) in documents.into_iter().enumerate() {
            match (segment::check(&document, now), signed.refused(at, "ThrottledException")) {
                (Ok((id, _)), Some(code)) => {
                    unprocessed.push(json!({ "Id": id, "ErrorCode": code, "Message": format!("{code}. Try again.") }));
                }
                (Ok((id, trace_id)), None) => taken.push(Segment { document, id, trace_id }),
                (Err(problem), _) => unprocessed.push(problem.value()),
            }
        }
        self.taken.change(|state| {
            state.segment_count += taken.len();
            if self.options.keep {
                state.segments.append(&mut taken);
            }
        });
        Ok(ok(&json!({ "UnprocessedTraceSegments": unprocessed })))
    }

    fn sampling_targets(&self, body: &[u8]) -> Result<Answer, Refusal> {
        let documents = read::<Targets>(body)?.sampling_statistics_documents;
        let documents = documents.ok_or_else(|| invalid("Missing required field: SamplingStatisticsDocuments"))?;
        let now = self.now() / 1000;
        let (mut targets, mut unprocessed) = (Vec::new(), Vec::new());
        for document in &documents {
            let whole = ["Timestamp", "RequestCount", "SampledCount"].iter().all(|name| document[name].is_number());
            let client = document["ClientID"].as_str().is_some_and(|id| hex(id, 24));
            let (Some(name), true, true) = (document["RuleName"].as_str(), whole, client) else {
                return Err(invalid("A sampling statistics document is missing required parameters"));
            };
            match self.options.sampling_rules.iter().find(|rule| rule["RuleName"] == name) {
                Some(rule) => targets.push(json!({
                    "RuleName": name, "FixedRate": rule["FixedRate"], "ReservoirQuota": rule["ReservoirSize"],
                    "ReservoirQuotaTTL": now + 10, "Interval": 10,
                })),
                None => unprocessed.push(json!({ "RuleName": name, "ErrorCode": "404", "Message": "Rule not found" })),
            }
        }
        self.taken.change(|taken| taken.sampling_statistics.extend(documents));
        Ok(ok(&json!({
            "SamplingTargetDocuments": targets, "LastRuleModification": 1_529_959_993.0, "UnprocessedStatistics": unprocessed,
        })))
    }
}

/// Whether it is so many hex digits.
fn hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn ok(value: &Value) -> Answer {
    Answer::new(200, "application/json", value.to_string())
}

fn invalid(text: &str) -> Refusal {
    Refusal::new("InvalidRequestException", text)
}
