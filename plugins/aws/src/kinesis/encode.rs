//! Bodies of requests: records in base64, in JSON.
//!
//! A record is written once, into a buffer that is used again for the next one, and from there as base64 into the body.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use suiro_record::{Batch, Row, write_json_str};
use suiro_sdk::lang::TemplatePrepared;
use suiro_sdk::{Delivery, Reason, Verdict};

use super::service::{Bounds, Service};
use super::settings::{Settings, Stream};

/// The longest partition key, characters.
const MAX_KEY: usize = 256;

/// The records of a delivery, by number.
#[derive(Debug)]
pub(crate) struct Records<'a> {
    settings: &'a Settings,
    rows: Vec<(usize, &'a Row)>,
    batches: Vec<(&'a Batch, Option<TemplatePrepared<'a>>)>,
}

/// Writes requests. Its buffers are used again.
#[derive(Debug, Default)]
pub(crate) struct Encoder {
    data: Vec<u8>,
    key: Vec<u8>,
}

/// A request to be.
#[derive(Debug, Default)]
pub(crate) struct Request {
    /// Numbers of the records it carries, in their order in the body.
    pub(crate) sent: Vec<usize>,
    /// How many of the records it was to carry were looked at; the rest needs another request.
    pub(crate) looked_at: usize,
}

// === impl Records ===

impl<'a> Records<'a> {
    pub(crate) fn new(settings: &'a Settings, delivery: &'a Delivery) -> Self {
        let mut rows = Vec::with_capacity(delivery.len());
        let mut batches = Vec::with_capacity(delivery.parts.len());
        for (at, part) in delivery.parts.iter().enumerate() {
            let batch: &Batch = &part.batch;
            batches.push((batch, settings.partition_key.as_ref().map(|template| template.prepare(batch))));
            rows.extend(part.records().map(|row| (at, row)));
        }
        Records { settings, rows, batches }
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Writes record `number` as its stream gets it.
    fn write(&self, number: usize, encoder: &mut Encoder) {
        let Encoder { data, key } = encoder;
        data.clear();
        key.clear();
        let (at, row) = self.rows[number];
        let (batch, template) = &self.batches[at];
        self.settings.format.write(batch, row, data);
        if self.settings.newline {
            data.push(b'\n');
        }
        if self.settings.service == Service::Streams {
            let made = template.as_ref().is_some_and(|template| template.render(batch, row, key).is_ok());
            if !made || key.is_empty() {
                batch.origin(row).write_id(key);
            }
            cut(key);
        }
    }
}

// === impl Encoder ===

impl Encoder {
    /// Appends a request with as many of the records `numbers` as fit, in order. What no request can carry is noted in
    /// `apart`.
    pub(crate) fn write(
        &mut self,
        records: &Records<'_>,
        numbers: &[usize],
        apart: &mut Vec<(usize, Verdict)>,
        out: &mut Vec<u8>,
    ) -> Request {
        let Settings { service, stream, bounds, .. } = records.settings;
        write_head(*service, stream, out);
        let mut request = Request::default();
        let mut bytes = 0;
        for &number in numbers {
            records.write(number, self);
            let size = self.data.len() + self.key.len();
            if size > bounds.record {
                apart.push((number, too_large(size, *service, *bounds)));
                request.looked_at += 1;
                continue;
            }
            // What is larger than a request should be goes alone: the service takes it, or `max_record` is wrong.
            let full = request.sent.len() == bounds.records || bytes + size > bounds.request;
            if full && !request.sent.is_empty() {
                break;
            }
            bytes += size;
            if !request.sent.is_empty() {
                out.push(b',');
            }
            self.write_entry(*service, out);
            request.sent.push(number);
            request.looked_at += 1;
        }
        out.extend_from_slice(b"]}");
        request
    }

    fn write_entry(&self, service: Service, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"Data\":\"");
        let from = out.len();
        // Room for all of it: neither can fail.
        out.resize(from + base64::encoded_len(self.data.len(), true).unwrap_or_default(), 0);
        let written = STANDARD.encode_slice(&self.data, &mut out[from..]).unwrap_or_default();
        out.truncate(from + written);
        out.push(b'"');
        if service == Service::Streams {
            out.extend_from_slice(b",\"PartitionKey\":");
            // Templates and ids are UTF-8.
            write_json_str(std::str::from_utf8(&self.key).unwrap_or_default(), out);
        }
        out.push(b'}');
    }
}

fn write_head(service: Service, stream: &Stream, out: &mut Vec<u8>) {
    let (field, name) = match (service, stream) {
        (Service::Streams, Stream::Name(name)) => ("StreamName", name),
        (Service::Streams, Stream::Arn(arn)) => ("StreamARN", arn),
        (Service::Firehose, Stream::Name(name) | Stream::Arn(name)) => ("DeliveryStreamName", name),
    };
    out.push(b'{');
    write_json_str(field, out);
    out.push(b':');
    write_json_str(name, out);
    out.extend_from_slice(b",\"Records\":[");
}

/// Cuts a key behind its last character that may be there.
fn cut(key: &mut Vec<u8>) {
    if key.len() <= MAX_KEY {
        return;
    }
    let is_start = |byte: u8| byte & 0xC0 != 0x80;
    let end = key.iter().enumerate().filter(|(_, byte)| is_start(**byte)).nth(MAX_KEY).map(|(at, _)| at);
    key.truncate(end.unwrap_or(key.len()));
}

fn too_large(size: usize, service: Service, bounds: Bounds) -> Verdict {
    let limit = bounds.record;
    let detail = match service {
        Service::Streams => format!("its {size} bytes, key included, are more than the {limit} of `max_record`"),
        Service::Firehose => format!("its {size} bytes are more than the {limit} that Firehose takes"),
    };
    Verdict::Refused { reason: Reason::TOO_LARGE, detail }
}
