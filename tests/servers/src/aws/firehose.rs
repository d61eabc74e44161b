//! Firehose: `PutRecordBatch`, AWS JSON 1.1.
//!
//! 1 to 500 records of at most 1,000 KiB each, 4 MiB together; what is beyond refuses the whole request. Single records fail
//! by script only: the answer has one entry for each, in order, with a `RecordId` or an `ErrorCode`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::json;

use super::error::Refusal;
use super::logs::read;
use super::taken::DeliveryRecord;
use super::{Node, Signed};
use crate::http::Answer;

const MAX_RECORDS: usize = 500;
const MAX_RECORD: usize = 1_024_000;
const MAX_BATCH: usize = 4 << 20;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Put {
    #[serde(default)]
    delivery_stream_name: String,
    #[serde(default)]
    records: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    data: String,
}

// === impl Node ===

impl Node {
    pub(super) fn firehose(&self, action: &str, signed: &Signed<'_>) -> Result<Answer, Refusal> {
        if action != "PutRecordBatch" {
            return Err(Refusal::new("UnknownOperationException", ""));
        }
        let Put { delivery_stream_name: stream, records } = read(&signed.request.body)?;
        let constraint =
            |value: &str, member: &str, text: &str| Refusal::constraint("ValidationException", value, member, text);
        match records.len() {
            0 => return Err(constraint("[]", "records", "have length greater than or equal to 1")),
            1..=MAX_RECORDS => {}
            _ => return Err(constraint("[...]", "records", "have length less than or equal to 500")),
        }
        let mut decoded = Vec::with_capacity(records.len());
        for (at, record) in (1..).zip(records) {
            let data = STANDARD.decode(&record.data).map_err(Refusal::serialization)?;
            if data.len() > MAX_RECORD {
                let member = format!("records.{at}.member.data");
                return Err(constraint(
                    "java.nio.HeapByteBuffer[...]",
                    &member,
                    "have length less than or equal to 1024000",
                ));
            }
            decoded.push(data);
        }
        if decoded.iter().map(Vec::len).sum::<usize>() > MAX_BATCH {
            return Err(Refusal::new("InvalidArgumentException", "Records size exceeds 4 MB limit"));
        }
        if !self.options.delivery_streams.contains(&stream) {
            let text = format!("Firehose {stream} under account {} not found.", self.options.account);
            return Err(Refusal::new("ResourceNotFoundException", text));
        }
        self.taken.change(|taken| {
            let mut failed = 0;
            let mut results = Vec::with_capacity(decoded.len());
            for (at, data) in decoded.into_iter().enumerate() {
                if let Some(code) = signed.refused(at, "ServiceUnavailableException") {
                    let text = if code == "ServiceUnavailableException" { "Slow down." } else { "Internal failure." };
                    failed += 1;
                    results.push(json!({ "ErrorCode": code, "ErrorMessage": text }));
                    continue;
                }
                results.push(json!({ "RecordId": format!("{:0>224}", self.next()) }));
                taken.record_count += 1;
                if self.options.keep {
                    taken.firehose.entry(stream.clone()).or_default().push(DeliveryRecord { data });
                }
            }
            let answer = json!({ "FailedPutCount": failed, "Encrypted": false, "RequestResponses": results });
            Ok(Answer::new(200, "application/x-amz-json-1.1", answer.to_string()))
        })
    }
}
