//! From an answer to what becomes of a request's records. The table is in the module's documentation.

use std::borrow::Cow;

use serde::Deserialize;
use suiro_sdk::aws::{self, ServiceError};
use suiro_sdk::http::{Answer, excerpt};
use suiro_sdk::{Outcome, Verdict};

use super::settings::Stream;

/// An answer is read so far: 500 entries of some hundred bytes, all of them errors with a long message.
pub(crate) const ANSWER: usize = 2 << 20;

/// An answer with a status in the 200s.
#[derive(Deserialize)]
struct Taken<'a> {
    #[serde(borrow, rename = "Records", alias = "RequestResponses")]
    entries: Vec<Entry<'a>>,
}

#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(borrow, default, rename = "ErrorCode")]
    code: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename = "ErrorMessage")]
    message: Option<Cow<'a, str>>,
}

/// What becomes of the records `sent`, which are numbers in the delivery.
pub(crate) fn outcome(answer: &Answer, stream: &Stream, sent: &[usize]) -> Outcome {
    if answer.is_success() { taken(answer, sent) } else { refused(answer, stream) }
}

fn taken(answer: &Answer, sent: &[usize]) -> Outcome {
    let entries = match serde_json::from_slice::<Taken<'_>>(&answer.body) {
        Ok(Taken { entries }) if entries.len() == sent.len() => entries,
        // Some may not have been taken, and nobody knows which.
        _ => {
            let why = format!("{}; the answer does not speak of each record", answer.summary());
            return Outcome::Retry { why, after: answer.retry_after, degraded: false };
        }
    };
    let failed = |(&number, entry): (&usize, Entry<'_>)| {
        let code = entry.code?;
        let message = excerpt(entry.message.unwrap_or_default().as_bytes());
        let why = format!("{}: {message}", excerpt(code.as_bytes()));
        Some((number, Verdict::Retry { why, after: None, degraded: false }))
    };
    let verdicts: Vec<_> = sent.iter().zip(entries).filter_map(failed).collect();
    if verdicts.is_empty() { Outcome::Delivered } else { Outcome::Partial(verdicts) }
}

fn refused(answer: &Answer, stream: &Stream) -> Outcome {
    let retry = |why: String, degraded| Outcome::Retry { why, after: answer.retry_after, degraded };
    let Some(ServiceError { code, message }) = ServiceError::of(answer) else { return aws::judge(answer) };
    let said = format!("{code}: {}", excerpt(message.as_bytes()));
    let (setting, name) = (stream.setting(), stream.describe());
    match code.as_str() {
        "ResourceNotFoundException" => {
            let why = format!(
                "there is no stream `{name}` in this account and region: mend `{setting}` or `region` ({said})"
            );
            retry(why, true)
        }
        // The stream is being made or changed, or it reads from another stream.
        "ResourceInUseException" | "InvalidSourceException" => {
            retry(format!("the stream `{name}` takes nothing ({said})"), true)
        }
        "InvalidArgumentException" if message.contains("not permitted") => {
            retry(format!("the stream `{name}` takes nothing from here ({said})"), true)
        }
        _ => aws::judge(answer),
    }
}
