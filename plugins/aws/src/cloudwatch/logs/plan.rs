//! From a delivery to streams: which record goes to which group and stream, in which order.

use hashbrown::HashMap;
use suiro_record::{Batch, Row, Signal};
use suiro_sdk::lang::{DestinationPrepared, Refusal};
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
    /// Numbers of points whose names or dimensions are not what they were.
    pub(super) altered: Vec<usize>,
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

/// Chooses the streams of records.
struct Chooser<'s> {
    settings: &'s Settings,
    /// All records go the same way: nothing to look at but the first.
    fixed: bool,
    /// So many events are expected of each stream.
    expected: usize,
    streams: Vec<Stream>,
    /// By what the templates rendered.
    rendered: HashMap<Vec<u8>, usize>,
    /// By the names made of it: two texts may be one name when they are clean.
    named: HashMap<(String, String), usize>,
    /// The choice before this one, mostly the same.
    last: Option<(Vec<u8>, usize)>,
    key: Vec<u8>,
}

/// The templates, prepared for a batch.
struct Templates<'b> {
    batch: &'b Batch,
    group: DestinationPrepared<'b>,
    stream: DestinationPrepared<'b>,
}

// === impl Plan ===

impl Plan {
    pub(super) fn new(settings: &Settings, delivery: &Delivery) -> Plan {
        let mut chooser = Chooser::new(settings, delivery.len());
        let mut apart = Vec::new();
        let mut number = 0..;
        for (at, part) in delivery.parts.iter().enumerate() {
            let batch: &Batch = &part.batch;
            let are_points = batch.signal == Signal::Metrics && matches!(settings.format, Format::Emf(_));
            let templates = chooser.prepare(batch);
            for (n, number) in (0..part.len()).zip(&mut number) {
                let row_at = part.row_index(n);
                let row = &batch.rows[row_at as usize];
                let chosen = match chooser.choose(&templates, row) {
                    Ok(chosen) => chosen,
                    Err(verdict) => {
                        apart.push((number as usize, verdict));
                        continue;
                    }
                };
                let stream = &mut chooser.streams[chosen];
                if are_points {
                    stream.points.push(emf::Place { number, part: at as u32, row: row_at });
                } else {
                    let what = What::Record { number, part: at as u32, row: row_at };
                    stream.events.push(Event { time: row.time, what });
                }
            }
        }
        let mut plan = Plan { streams: chooser.streams, apart, altered: Vec::new() };
        if let Format::Emf(emf) = &settings.format {
            plan.write_documents(emf, delivery, settings.max_message());
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

    fn write_documents(&mut self, settings: &emf::Settings, delivery: &Delivery, most: usize) {
        for stream in &mut self.streams {
            if stream.points.is_empty() {
                continue;
            }
            let written = emf::write(settings, delivery, &std::mem::take(&mut stream.points), most);
            self.apart.extend(written.apart);
            self.altered.extend(written.altered);
            for (at, document) in written.documents.iter().enumerate() {
                stream.events.push(Event { time: document.time, what: What::Document(at as u32) });
            }
            stream.documents = written.documents;
        }
    }
}

// === impl Chooser ===

impl<'s> Chooser<'s> {
    fn new(settings: &'s Settings, records: usize) -> Self {
        let fixed = settings.group.is_literal().is_some() && settings.stream.is_literal().is_some();
        let is_event_each = !matches!(settings.format, Format::Emf(_));
        Chooser {
            settings,
            fixed,
            expected: if fixed && is_event_each { records } else { 0 },
            streams: Vec::new(),
            rendered: HashMap::new(),
            named: HashMap::new(),
            last: None,
            key: Vec::new(),
        }
    }

    fn prepare<'b>(&self, batch: &'b Batch) -> Templates<'b>
    where
        's: 'b,
    {
        Templates { batch, group: self.settings.group.prepare(batch), stream: self.settings.stream.prepare(batch) }
    }

    /// Which of the streams a record goes to.
    fn choose(&mut self, templates: &Templates<'_>, row: &Row) -> Result<usize, Verdict> {
        if let Some((_, chosen)) = self.last.as_ref().filter(|_| self.fixed) {
            return Ok(*chosen);
        }
        templates.render(row, &mut self.key)?;
        if let Some((_, chosen)) = self.last.as_ref().filter(|(before, _)| *before == self.key) {
            return Ok(*chosen);
        }
        let known = self.rendered.get(&self.key).copied();
        let chosen = known.unwrap_or_else(|| {
            let chosen = self.stream();
            self.rendered.insert(self.key.clone(), chosen);
            chosen
        });
        self.last = Some((self.key.clone(), chosen));
        Ok(chosen)
    }

    /// The stream of a key that is new in this delivery.
    fn stream(&mut self) -> usize {
        let end = self.key.iter().position(|&b| b == GROUP_END).unwrap_or(self.key.len());
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let group = names::clean_group(&text(&self.key[..end]));
        let stream = names::clean_stream(&text(self.key.get(end + 1..).unwrap_or_default()));
        *self.named.entry((group, stream)).or_insert_with_key(|(group, stream)| {
            self.streams.push(Stream {
                group: group.clone(),
                stream: stream.clone(),
                events: Vec::with_capacity(self.expected),
                documents: Vec::new(),
                points: Vec::new(),
            });
            self.streams.len() - 1
        })
    }
}

// === impl Templates ===

impl Templates<'_> {
    /// What they say of a record: a key.
    fn render(&self, row: &Row, key: &mut Vec<u8>) -> Result<(), Verdict> {
        key.clear();
        let Templates { batch, group, stream } = self;
        group.render(batch, row, key).map_err(|refusal| verdict("log_group", &refusal))?;
        key.push(GROUP_END);
        stream.render(batch, row, key).map_err(|refusal| verdict("log_stream", &refusal))
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
