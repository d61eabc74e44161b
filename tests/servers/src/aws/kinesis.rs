//! Kinesis Data Streams: `PutRecords`, AWS JSON 1.1.
//!
//! 1 to 500 records; a partition key of 1 to 256 characters; a record of at most 1 MiB and a request of at most 5 MiB, each
//! with its partition keys ([`AwsOptions`](super::AwsOptions) has both). What is beyond refuses the whole request. Single
//! records fail by script only: the answer has one entry for each, in order, with a sequence number or an `ErrorCode`.
//! A key's shard is chosen by its MD5, as the service does.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::json;

use super::error::Refusal;
use super::logs::read;
use super::s3::md5;
use super::taken::KinesisRecord;
use super::{Node, Signed};
use crate::http::Answer;

const MAX_RECORDS: usize = 500;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Put {
    #[serde(default)]
    records: Vec<Entry>,
    stream_name: Option<String>,
    #[serde(rename = "StreamARN")]
    stream_arn: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    data: String,
    #[serde(default)]
    partition_key: String,
    explicit_hash_key: Option<String>,
}

// === impl Node ===

impl Node {
    pub(super) fn kinesis(&self, action: &str, signed: &Signed<'_>) -> Result<Answer, Refusal> {
        if action != "PutRecords" {
            return Err(Refusal::new("UnknownOperationException", ""));
        }
        let Put { records, stream_name, stream_arn } = read(&signed.request.body)?;
        let stream = match (stream_name, stream_arn) {
            (Some(name), _) => name,
            (None, Some(arn)) => arn.rsplit_once(":stream/").map(|(_, name)| name.to_owned()).unwrap_or_default(),
            (None, None) => {
                return Err(Refusal::new("ValidationException", "Either StreamName or StreamARN must be given."));
            }
        };
        let records = self.check_records(records)?;
        let account = &self.options.account;
        let Some(&shards) = self.options.kinesis_streams.get(&stream) else {
            let text = format!("Stream {stream} under account {account} not found.");
            return Err(Refusal::new("ResourceNotFoundException", text));
        };
        self.taken.change(|taken| {
            let mut failed = 0;
            let mut results = Vec::with_capacity(records.len());
            for (at, (partition_key, hash, data)) in records.into_iter().enumerate() {
                let shard = format!("shardId-{:012}", shard(hash, shards));
                if let Some(code) = signed.refused(at, "ProvisionedThroughputExceededException") {
                    let text = match code {
                        "ProvisionedThroughputExceededException" => {
                            format!("Rate exceeded for shard {shard} in stream {stream} under account {account}.")
                        }
                        _ => "Internal service failure.".to_owned(),
                    };
                    failed += 1;
                    results.push(json!({ "ErrorCode": code, "ErrorMessage": text }));
                    continue;
                }
                let sequence_number = format!("496{:053}", self.next());
                results.push(json!({ "SequenceNumber": sequence_number, "ShardId": shard }));
                taken.record_count += 1;
                if self.options.keep {
                    let record = KinesisRecord { partition_key, data, shard, sequence_number };
                    taken.kinesis.entry(stream.clone()).or_default().push(record);
                }
            }
            let answer = json!({ "EncryptionType": "NONE", "FailedRecordCount": failed, "Records": results });
            Ok(Answer::new(200, "application/x-amz-json-1.1", answer.to_string()))
        })
    }

    /// Partition key, its hash, and content of each.
    fn check_records(&self, records: Vec<Entry>) -> Result<Vec<(String, u128, Vec<u8>)>, Refusal> {
        let constraint =
            |value: &str, member: &str, text: &str| Refusal::constraint("ValidationException", value, member, text);
        match records.len() {
            0 => return Err(constraint("[]", "records", "have length greater than or equal to 1")),
            1..=MAX_RECORDS => {}
            _ => return Err(constraint("[...]", "records", "have length less than or equal to 500")),
        }
        let (max_record, max_request) = (self.options.max_kinesis_record, self.options.max_kinesis_request);
        let mut total = 0;
        let mut checked = Vec::with_capacity(records.len());
        for (at, record) in (1..).zip(records) {
            let member = |name: &str| format!("records.{at}.member.{name}");
            let key = record.partition_key;
            if !(1..=256).contains(&key.chars().count()) {
                return Err(constraint(&key, &member("partitionKey"), "have length between 1 and 256"));
            }
            let hash = match &record.explicit_hash_key {
                None => u128::from_be_bytes(md5(key.as_bytes())),
                Some(hash) => hash.parse().map_err(|_| {
                    constraint(
                        hash,
                        &member("explicitHashKey"),
                        r"satisfy regular expression pattern: 0|([1-9]\d{0,38})",
                    )
                })?,
            };
            let data = STANDARD.decode(&record.data).map_err(Refusal::serialization)?;
            let size = data.len() + key.len();
            if size > max_record {
                let text = format!("have length less than or equal to {max_record}");
                return Err(constraint("java.nio.HeapByteBuffer[...]", &member("data"), &text));
            }
            total += size;
            checked.push((key, hash, data));
        }
        if total > max_request {
            let text = format!("Records size exceeds {} MB limit", max_request >> 20);
            return Err(Refusal::new("InvalidArgumentException", text));
        }
        Ok(checked)
    }
}

/// Shards have equal parts of all hashes.
fn shard(hash: u128, shards: usize) -> usize {
    let shards = shards.max(1) as u128;
    (hash / (u128::MAX / shards)).min(shards - 1) as usize
}
