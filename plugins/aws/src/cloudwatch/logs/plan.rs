//! From a delivery to streams: which record goes to which group and stream, in which order.

use hashbrown::HashMap;
use suiro_record::{Batch, Signal};
use suiro_sdk::lang::Refusal;
use suiro_sdk::{Delivery, Reason, Verdict};

use super::names;
use super::settings::{Format, Settings};
use crate::cloudwatch::emf::{self, Document};

/// Where the records of a delivery go.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// In the order of their first records.
    pub(super) streams: Vec<Stream>,
    /// Records that go nowhere.
    pub(super) apart: Vec<(usize, Verdict)>,
    /// Points whose names or dimensions are not what they were.
    pub(super) altered: usize,
}

/// What goes to one stream.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) group: String,
    pub(super) stream: String,
    /// In the order of their times, those of one time in the order of the delivery.
    pub(super) events: Vec<Event>,
    /// Those of metric points.
    pub(super) documents: Vec<Document>,
    /// Metric points that documents will be made of.
    points: Vec<emf::Place>,
}

/// An event: a record, or a document made of several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Event {
    /// Nanoseconds since the epoch.
    pub(super) time: i64,
    pub(super) what: What,
}

/// What an event is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// A record: its number in the delivery, its part, its row in the part's batch.
    Record { number: u32, part: u32, row: u32 },
    /// One of the stream's documents.
    Document(u32),
}

/// Behind the group in a key. No UTF-8 holds it.
const GROUP_END: u8 = 0xff;

// === impl Plan ===

impl Plan {
    pub(super) fn new(settings: &Settings, delivery: &Delivery) -> Plan {
        let mut plan = Plan::default();
        // By what the templates rendered, and by the names made of it: two texts may be one name when they are clean.
        let mut rendered: HashMap<Vec<u8>, usize> = HashMap::new();
        let mut named: HashMap<(String, String), usize> = HashMap::new();
        let mut last: Option<(Vec<u8>, usize)> = None;
        let mut key = Vec::new();
        // All records go the same way: nothing to look at but the first.
        let fixed = settings.group.is_literal().is_some() && settings.stream.is_literal().is_some();
        let mut number = 0_u32;
        for (at, part) in delivery.parts.iter().enumerate() {
            let batch: &Batch = &part.batch;
            let are_points = batch.signal == Signal::Metrics && matches!(settings.format, Format::Emf(_));
            let group = settings.group.prepare(batch);
            let stream = settings.stream.prepare(batch);
            for n in 0..part.len() {
                let row_at = part.row_index(n);
                let row = &batch.rows[row_at as usize];
                let this = number;
                number += 1;
                let chosen = match &last {
                    Some((_, chosen)) if fixed => *chosen,
                    _ => {
                        key.clear();
                        let result =
                            group.render(batch, row, &mut key).map_err(|refusal| verdict("log_group", &refusal));
                        key.push(GROUP_END);
                        let result = result.and_then(|()| {
                            stream.render(batch, row, &mut key).map_err(|refusal| verdict("log_stream", &refusal))
                        });
                        if let Err(verdict) = result {
                            plan.apart.push((this as usize, verdict));
                            continue;
                        }
                        match &last {
                            Some((before, chosen)) if *before == key => *chosen,
                            _ => {
                                let chosen = match rendered.get(&key) {
                                    Some(chosen) => *chosen,
                                    None => {
                                        let chosen = plan.choose(&mut named, &key);
                                        if fixed && !are_points {
                                            plan.streams[chosen].events.reserve(delivery.len() - this as usize);
                                        }
                                        rendered.insert(key.clone(), chosen);
                                        chosen
                                    }
                                };
                                last = Some((key.clone(), chosen));
                                chosen
                            }
                        }
                    }
                };
                let stream = &mut plan.streams[chosen];
                if are_points {
                    stream.points.push(emf::Place { number: this, part: at as u32, row: row_at });
                } else {
                    let what = What::Record { number: this, part: at as u32, row: row_at };
                    stream.events.push(Event { time: row.time, what });
                }
            }
        }
        if let Format::Emf(emf) = &settings.format {
            plan.write_documents(emf, delivery);
        }
        for stream in &mut plan.streams {
            // What one source wrote is in order mostly.
            if !stream.events.is_sorted_by_key(|event| event.time) {
                stream.events.sort_by_key(|event| event.time);
            }
        }
        plan.streams.retain(|stream| !stream.events.is_empty());
        plan
    }

    /// The stream of a key that is new in this delivery.
    fn choose(&mut self, named: &mut HashMap<(String, String), usize>, key: &[u8]) -> usize {
        let end = key.iter().position(|&b| b == GROUP_END).unwrap_or(key.len());
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let group = names::clean_group(&text(&key[..end]));
        let stream = names::clean_stream(&text(key.get(end + 1..).unwrap_or_default()));
        *named.entry((group, stream)).or_insert_with_key(|(group, stream)| {
            self.streams.push(Stream {
                group: group.clone(),
                stream: stream.clone(),
                events: Vec::new(),
                documents: Vec::new(),
                points: Vec::new(),
            });
            self.streams.len() - 1
        })
    }

    fn write_documents(&mut self, settings: &emf::Settings, delivery: &Delivery) {
        for stream in &mut self.streams {
            if stream.points.is_empty() {
                continue;
            }
            let written = emf::write(settings, delivery, &std::mem::take(&mut stream.points));
            self.apart.extend(written.apart);
            self.altered += written.altered;
            for (at, document) in written.documents.iter().enumerate() {
                stream.events.push(Event { time: document.time, what: What::Document(at as u32) });
            }
            stream.documents = written.documents;
        }
    }
}

// === impl Stream ===

impl Stream {
    /// Calls `each` with the numbers of the records an event is made of.
    pub(super) fn each_number(&self, event: &Event, mut each: impl FnMut(usize)) {
        match event.what {
            What::Record { number, .. } => each(number as usize),
            What::Document(at) => {
                let records = self.documents.get(at as usize).map_or(&[][..], |document| &document.records);
                records.iter().for_each(|&number| each(number as usize));
            }
        }
    }
}

fn verdict(setting: &str, refusal: &Refusal<'_>) -> Verdict {
    if refusal.is_drop() {
        Verdict::Drop(Reason::MISSING_FIELD)
    } else {
        Verdict::Refused { reason: refusal.reason(), detail: format!("`{setting}`: {refusal}") }
    }
}
