//! Remote-write requests, 1.0 and 2.0, read into a batch of metric points.
//!
//! The request's bytes are the batch's heap: names, labels and helps are spans of it. Each sample is a point; the series of
//! a classic histogram or summary stay the series they are (a sender spreads them over requests), with `metadata.type`
//! saying what they belong to. Native histograms are points whole. `job` and `instance` become resource attributes.
//!
//! A series that is wrong is left out and told; what is no protobuf refuses the request. A series is read in [`super::message`],
//! and becomes points in [`super::point`].

use std::sync::Arc;

use hashbrown::HashMap;
use suiro_record::{Batch, EditError, RootId, Row, Scope, TimeKind};
use suiro_sdk::protobuf::{Field, Malformed, Raw, Reader};

use super::message::{About, Exemplar, Series, Span, checked, type_of};
use super::point::MS;
use crate::words::Words;

/// The version of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// 1.0
    V1,
    /// 2.0
    V2,
}

/// What was in a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Samples.
    pub samples: usize,
    /// Native histograms.
    pub histograms: usize,
    /// Exemplars.
    pub exemplars: usize,
    /// Samples and histograms that were left out.
    pub refused: usize,
    /// Why the first of them was.
    pub first_refused: Option<String>,
}

/// What `job` and `instance` say.
type Resource = (Box<[u8]>, Box<[u8]>);

pub(super) struct Reading<'r> {
    /// The request.
    pub(super) body: &'r [u8],
    pub(super) batch: &'r mut Batch,
    pub(super) words: Words,
    scope: Arc<Scope>,
    resources: HashMap<Resource, u16>,
    symbols: Vec<Span>,
    families: HashMap<&'r [u8], About>,
    written: Written,
}

/// Reads `body` into `batch`, whose scope has the origin; the batch gets the body as its heap.
pub fn read(version: Version, body: &[u8], batch: &mut Batch) -> Result<Written, Malformed> {
    let heap = batch.heap_mut();
    heap.clear();
    heap.extend_from_slice(body);
    let words = Words::new(batch);
    let scope = batch.scopes()[0].clone();
    let mut reading = Reading {
        body,
        batch,
        words,
        scope,
        resources: HashMap::new(),
        symbols: Vec::new(),
        families: HashMap::new(),
        written: Written::default(),
    };
    match version {
        Version::V1 => reading.v1()?,
        Version::V2 => reading.v2()?,
    }
    Ok(reading.written)
}

impl Reading<'_> {
    fn v1(&mut self) -> Result<(), Malformed> {
        // What is known of metrics stands behind their series.
        let mut fields = Reader::new(self.body, 0..self.body.len());
        while let Some(Field { number: field, value }) = fields.field()? {
            if let (3, Raw::Len(metadata)) = (field, value) {
                self.metadata(fields.inner(metadata))?;
            }
        }
        let mut fields = Reader::new(self.body, 0..self.body.len());
        let mut series = Series::default();
        while let Some(Field { number: field, value }) = fields.field()? {
            if let (1, Raw::Len(place)) = (field, value) {
                series.clear();
                series.v1(fields.inner(place.clone()))?;
                series.about = self.about(&series);
                self.take(&series, place);
            }
        }
        Ok(())
    }

    fn metadata(&mut self, mut message: Reader<'_>) -> Result<(), Malformed> {
        let mut about = About::default();
        let mut family = 0..0;
        while let Some(Field { number: field, value }) = message.field()? {
            match (field, value) {
                (1, value) => about.kind = type_of(value.uint().unwrap_or(0)),
                (2, Raw::Len(text)) => family = checked(&message, text)?,
                (4, Raw::Len(text)) => about.help = checked(&message, text)?,
                (5, Raw::Len(text)) => about.unit = checked(&message, text)?,
                _ => {}
            }
        }
        self.families.insert(&self.body[family], about);
        Ok(())
    }

    /// What is known of a series by its name.
    fn about(&self, series: &Series) -> About {
        let name = series.labels.iter().find(|(name, _)| &self.body[name.clone()] == b"__name__");
        let Some((_, name)) = name else { return About::default() };
        let name = &self.body[name.clone()];
        let suffixes: [&[u8]; 5] = [b"", b"_total", b"_bucket", b"_sum", b"_count"];
        let found = suffixes.iter().find_map(|suffix| {
            let about = self.families.get(name.strip_suffix(*suffix)?)?;
            Some(about.clone())
        });
        found.unwrap_or_default()
    }

    fn v2(&mut self) -> Result<(), Malformed> {
        let mut fields = Reader::new(self.body, 0..self.body.len());
        while let Some(Field { number: field, value }) = fields.field()? {
            if let (4, Raw::Len(text)) = (field, value) {
                self.symbols.push(checked(&fields, text)?);
            }
        }
        if self.symbols.first().is_some_and(|first| !first.is_empty()) {
            return Err(Malformed { what: "the first symbol is not the empty text", at: self.symbols[0].start });
        }
        let mut fields = Reader::new(self.body, 0..self.body.len());
        let mut series = Series::default();
        while let Some(Field { number: field, value }) = fields.field()? {
            if let (5, Raw::Len(place)) = (field, value) {
                series.clear();
                series.v2(fields.inner(place.clone()), &self.symbols)?;
                self.take(&series, place);
            }
        }
        Ok(())
    }

    /// Makes points of a series.
    fn take(&mut self, series: &Series, place: Span) {
        let name = match self.check(series) {
            Ok(name) => name,
            Err(why) => {
                let n = (series.samples.len() + series.histograms.len()).max(1);
                return self.refuse(n, &place, why);
            }
        };
        let scope = self.scope_of(series);
        let last = series.samples.len().saturating_sub(1);
        for (i, (time, value, place)) in series.samples.iter().enumerate() {
            let exemplars: &[Exemplar] = if i == last { &series.exemplars } else { &[] };
            let root = self.number(series, &name, scope, Some(*value), exemplars);
            if self.push(root, *time, place, scope) {
                self.written.samples += 1;
                self.written.exemplars += exemplars.len();
            }
        }
        for (i, (native, place)) in series.histograms.iter().enumerate() {
            let exemplars: &[Exemplar] = if i + 1 == series.histograms.len() { &series.exemplars } else { &[] };
            match native {
                Err(why) => self.refuse(1, place, why),
                Ok(native) => {
                    let root = self.native(series, &name, scope, native, exemplars);
                    if self.push(root, native.time, place, scope) {
                        self.written.histograms += 1;
                        self.written.exemplars += exemplars.len();
                    }
                }
            }
        }
        // Senders put exemplars into series of their own: a point without a value carries them.
        if series.samples.is_empty() && series.histograms.is_empty() && !series.exemplars.is_empty() {
            let time = series.exemplars.iter().map(|exemplar| exemplar.time).max().unwrap_or(0);
            let root = self.number(series, &name, scope, None, &series.exemplars);
            if self.push(root, time, &place, scope) {
                self.written.exemplars += series.exemplars.len();
            }
        }
    }

    /// The name of a series that is one.
    fn check(&self, series: &Series) -> Result<Span, &'static str> {
        let mut name = None;
        for (i, (label, value)) in series.labels.iter().enumerate() {
            let text = &self.body[label.clone()];
            if text.is_empty() {
                return Err("a label has no name");
            }
            if series.labels[..i].iter().any(|(other, _)| self.body[other.clone()] == *text) {
                return Err("a label is there twice");
            }
            if text == b"__name__" && !value.is_empty() {
                name = Some(value.clone());
            }
        }
        if !series.samples.is_empty() && !series.histograms.is_empty() {
            return Err("a series has both samples and histograms");
        }
        name.ok_or("a series has no label `__name__`")
    }

    fn refuse(&mut self, n: usize, place: &Span, why: &str) {
        self.written.refused += n;
        if self.written.first_refused.is_none() {
            self.written.first_refused = Some(format!("{why}, at byte {}", place.start));
        }
    }

    fn push(&mut self, root: Result<RootId, EditError>, time: i64, place: &Span, scope: Option<u16>) -> bool {
        let Ok(root) = root else {
            self.refuse(1, place, "there are too many different label names");
            return false;
        };
        // A sample of defaults takes no bytes, but a record has a place.
        let (start, end) = (place.start as u64, place.end.max(place.start + 1) as u64);
        let mut row = Row::new(root, time.saturating_mul(MS), start, end);
        row.time_kind = TimeKind::Own;
        row.scope = scope.unwrap_or(0);
        self.batch.rows.push(row);
        true
    }

    /// The scope of a series with `job` or `instance`; `None` where it has neither, or there is no room for another one.
    fn scope_of(&mut self, series: &Series) -> Option<u16> {
        let get = |key: &[u8]| {
            let label = series.labels.iter().find(|(name, _)| &self.body[name.clone()] == key);
            label.map_or(&[][..], |(_, value)| &self.body[value.clone()])
        };
        let (job, instance) = (get(b"job"), get(b"instance"));
        if job.is_empty() && instance.is_empty() {
            return None;
        }
        let key = (Box::from(job), Box::from(instance));
        if let Some(&known) = self.resources.get(&key) {
            return Some(known);
        }
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut scope = Scope::clone(&self.scope);
        if !job.is_empty() {
            let job = text(job);
            match job.split_once('/') {
                Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() => {
                    scope = scope.with("service.namespace", namespace).with("service.name", name);
                }
                _ => scope = scope.with("service.name", job.as_str()),
            }
        }
        if !instance.is_empty() {
            scope = scope.with("service.instance.id", text(instance).as_str());
        }
        // A batch is closed long before it has as many scopes as it may: this is for those who send nothing else.
        let index = if self.batch.scopes().len() < 10_000 { self.batch.try_add_scope(&Arc::new(scope)) } else { None }?;
        self.resources.insert(key, index);
        Some(index)
    }
}
