//! Amazon S3, and whatever speaks its protocol: the output `s3`.
//!
//! A delivery is an object, or one object for each key that its records have. Larger objects than a delivery there are not:
//! until an object is complete, no record in it may be forgotten, so all of them are in memory, and that is what
//! `memory_limit` bounds.
//!
//! # Settings
//!
//! | setting | default | |
//! | --- | --- | --- |
//! | `bucket` | | its name |
//! | `key` | `suiro/{@time:%Y/%m/%d/%H}/` | a destination: what keys begin with. Time, id and suffix are put behind it ([`key`]) |
//! | `format` | `json_lines` | `raw`: a line each, the text under `log` if that is all there is, else JSON; `full`: what stands beside the record too |
//! | `compression` | `gzip` | `none`, `zstd` |
//! | `part_size` | 8MiB | a larger object goes in parts of exactly that size, but for the last (5 to 256 MiB) |
//! | `path_style` | as the endpoint wants | whether the bucket is in the path rather than in the host's name |
//! | `storage_class` | the bucket's | `STANDARD_IA`, `INTELLIGENT_TIERING`, ... |
//! | `server_side_encryption` | the bucket's | `AES256`, `aws:kms`, `aws:kms:dsse` |
//! | `kms_key_id` | AWS's own | with `aws:kms` |
//! | `acl` | none | a canned one, for buckets that have ACLs |
//! | `tags` | none | `{ team = "shop" }`, at most 10 |
//! | `checksum` | `crc32c` | `none`: for systems that do not know the header |
//! | `timeout`, `tls`, `headers` | | see [`suiro_sdk::http::ClientSettings`] |
//! | `region`, `endpoint`, `credentials`, ... | | see [`suiro_sdk::aws::AccountSettings`] |
//!
//! How large objects are, and how old: `batch.max_bytes` (64 MiB, or what `memory_limit` has room for), `batch.timeout`
//! (5 minutes).
//!
//! # Guarantee
//!
//! At least once. The key is made of the records' origins: tried again, the same records are the same object. A replay after a
//! crash may form other deliveries, so a record can be in two objects then.
//!
//! # In parts
//!
//! An object is written, compressed and sent piece by piece: of one in parts, at most two parts are in memory. A part that
//! failed is sent again, three times in all; then the upload is given up (aborted), and the delivery is tried again from its
//! beginning. An upload the agent was killed in stays with the bucket, invisible and paid for: a lifecycle rule with
//! `AbortIncompleteMultipartUpload` is for that.
//!
//! Completing may fail behind a 200, with an `<Error>` in its body ([`answer`]). If nobody knows how it ended, it is asked
//! again, and at last the whole delivery is, which can only write the same object again.
//!
//! # What an answer means
//!
//! A body is opaque to S3: what it refuses, it does not refuse for a record's sake. So nothing is set aside for an answer but
//! a record that is too large by itself:
//!
//! | answer | outcome |
//! | --- | --- |
//! | 2xx without `<Error>` | delivered |
//! | 301, 307, `AuthorizationHeaderMalformed` with a region | retry, degraded: `region` is wrong, and the right one is named |
//! | `NoSuchBucket` | retry, degraded |
//! | 5xx, `SlowDown`, `RequestTimeout`, 409, a digest that does not match | retry |
//! | 413, `EntityTooLarge` | that object in halves, under keys of their own; a record alone: set aside, `too_large` |
//! | other 4xx | retry, degraded: an operator must mend it |

mod answer;
mod body;
mod key;
mod output;
mod plan;
mod settings;
mod upload;

#[cfg(test)]
mod tests;

/// Adds the output.
pub(crate) fn register(registry: &mut suiro_sdk::Registry) {
    registry.output("s3", "objects in Amazon S3 and systems that speak its protocol", output::build);
}
