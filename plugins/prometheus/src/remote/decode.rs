//! Remote-write requests, 1.0 and 2.0, read into a batch of metric points.
//!
//! The request's bytes are the batch's heap: names, labels and helps are spans of it. Each sample is a point; the series of
//! a classic histogram or summary stay the series they are (a sender spreads them over requests), with `metadata.type`
//! saying what they belong to. Native histograms are points whole. `job` and `instance` become resource attributes.
//!
//! A series that is wrong is left out and told; what is no protobuf refuses the request.

use std::ops::Range;
use std::sync::Arc;

use hashbrown::HashMap;
use smallvec::SmallVec;
use suiro_record::{Assembly, Batch, EditError, Key, Piece, RootId, Row, Scope, TimeKind};

use super::histogram::{self, Native, Shape};
use super::protobuf::{Fields, Malformed, Value};
use crate::point::Side;
use crate::text::{STALE, Type};
use crate::words::Words;

/// Labels of a series, at most.
const MAX_LABELS: usize = 256;
const MS: i64 = 1_000_000;

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

type Span = Range<usize>;

/// What is known of a metric.
#[derive(Clone, Debug, Default)]
struct About {
    kind: Type,
    help: Span,
    unit: Span,
}

/// A series being read. Its memory is used for the next.
#[derive(Debug, Default)]
struct Series {
    labels: Vec<(Span, Span)>,
    samples: Vec<(i64, f64, Span)>,
    histograms: Vec<(Result<Native, &'static str>, Span)>,
    exemplars: Vec<Exemplar>,
    about: About,
    /// Milliseconds.
    created: i64,
}

#[derive(Debug, Default)]
struct Exemplar {
    labels: SmallVec<[(Span, Span); 4]>,
    value: f64,
    time: i64,
}

/// What `job` and `instance` say.
type Resource = (Box<[u8]>, Box<[u8]>);

struct Reading<'r> {
    /// The request.
    body: &'r [u8],
    batch: &'r mut Batch,
    words: Words,
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
        let mut fields = Fields::new(self.body);
        while let Some((field, value)) = fields.next()? {
            if let (3, Value::Bytes(metadata)) = (field, value) {
                self.metadata(metadata)?;
            }
        }
        let mut fields = Fields::new(self.body);
        let mut series = Series::default();
        while let Some((field, value)) = fields.next()? {
            if let (1, Value::Bytes(message)) = (field, value) {
                let place = message.range();
                series.clear();
                series.v1(message)?;
                series.about = self.about(&series);
                self.take(&series, place);
            }
        }
        Ok(())
    }

    fn metadata(&mut self, mut message: Fields<'_>) -> Result<(), Malformed> {
        let mut about = About::default();
        let mut family = 0..0;
        while let Some((field, value)) = message.next()? {
            match (field, value) {
                (1, value) => about.kind = type_of(value.uint().unwrap_or(0)),
                (2, Value::Bytes(text)) => family = checked(&text)?,
                (4, Value::Bytes(text)) => about.help = checked(&text)?,
                (5, Value::Bytes(text)) => about.unit = checked(&text)?,
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
        let mut fields = Fields::new(self.body);
        while let Some((field, value)) = fields.next()? {
            if let (4, Value::Bytes(text)) = (field, value) {
                self.symbols.push(checked(&text)?);
            }
        }
        if self.symbols.first().is_some_and(|first| !first.is_empty()) {
            return Err(Malformed { what: "the first symbol is not the empty text", at: self.symbols[0].start });
        }
        let mut fields = Fields::new(self.body);
        let mut series = Series::default();
        while let Some((field, value)) = fields.next()? {
            if let (5, Value::Bytes(message)) = (field, value) {
                let place = message.range();
                series.clear();
                series.v2(message, &self.symbols)?;
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

    /// The point of a sample.
    fn number(
        &mut self,
        series: &Series,
        name: &Span,
        scope: Option<u16>,
        value: Option<f64>,
        exemplars: &[Exemplar],
    ) -> Result<RootId, EditError> {
        let (body, words) = (self.body, self.words);
        let kind = series.about.kind;
        let counter = kind == Type::Counter;
        let mut point = self.batch.assemble()?;
        head(&mut point, words, &series.about, name, if counter { "sum" } else { "gauge" }, metadata_type(kind))?;
        if counter {
            point.put(Key::Name("temporality"), words.get("cumulative"))?;
            point.put(Key::Name("monotonic"), Piece::Bool(true))?;
            put_start(&mut point, series.created)?;
        }
        put_labels(&mut point, body, series, scope)?;
        if let Some(value) = value {
            if value.to_bits() == STALE {
                point.put(Key::Name("flags"), Piece::Int(1))?;
            }
            point.put(Key::Name("value"), Piece::Float(value))?;
        }
        put_exemplars(&mut point, body, exemplars)?;
        point.finish(None)
    }

    /// The point of a native histogram.
    fn native(
        &mut self,
        series: &Series,
        name: &Span,
        scope: Option<u16>,
        native: &Native,
        exemplars: &[Exemplar],
    ) -> Result<RootId, EditError> {
        let (body, words) = (self.body, self.words);
        let kind = match native.shape {
            Shape::Exponential(_) => "exponential_histogram",
            Shape::Custom(_) => "histogram",
        };
        let gauge = native.gauge || series.about.kind == Type::GaugeHistogram;
        let mut point = self.batch.assemble()?;
        head(&mut point, words, &series.about, name, kind, gauge.then_some("gaugehistogram"))?;
        if !gauge {
            point.put(Key::Name("temporality"), words.get("cumulative"))?;
        }
        put_start(&mut point, series.created)?;
        put_labels(&mut point, body, series, scope)?;
        if native.stale {
            point.put(Key::Name("flags"), Piece::Int(1))?;
            return point.finish(None);
        }
        let counts = |point: &mut Assembly<'_>, counts: &[u64]| -> Result<(), EditError> {
            point.open_list(Key::Name("buckets"))?;
            counts.iter().try_for_each(|&n| point.put(Key::Item, Piece::Uint(n)))?;
            point.close();
            Ok(())
        };
        match &native.shape {
            Shape::Custom(histogram) => {
                point.put(Key::Name("count"), Piece::Uint(histogram.count))?;
                if let Some(sum) = histogram.sum {
                    point.put(Key::Name("sum"), Piece::Float(sum))?;
                }
                point.open_list(Key::Name("bounds"))?;
                histogram.bounds.iter().try_for_each(|&bound| point.put(Key::Item, Piece::Float(bound)))?;
                point.close();
                counts(&mut point, &histogram.buckets)?;
            }
            Shape::Exponential(histogram) => {
                point.put(Key::Name("count"), Piece::Uint(histogram.count))?;
                if let Some(sum) = histogram.sum {
                    point.put(Key::Name("sum"), Piece::Float(sum))?;
                }
                point.put(Key::Name("scale"), Piece::Int(i64::from(histogram.scale)))?;
                if histogram.zero_count != 0 {
                    point.put(Key::Name("zero_count"), Piece::Uint(histogram.zero_count))?;
                }
                if histogram.zero_threshold != 0.0 {
                    point.put(Key::Name("zero_threshold"), Piece::Float(histogram.zero_threshold))?;
                }
                for (key, Side { offset, buckets }) in
                    [("positive", &histogram.positive), ("negative", &histogram.negative)]
                {
                    if !buckets.is_empty() {
                        point.open_map(Key::Name(key))?;
                        point.put(Key::Name("offset"), Piece::Int(i64::from(*offset)))?;
                        counts(&mut point, buckets)?;
                        point.close();
                    }
                }
            }
        }
        put_exemplars(&mut point, body, exemplars)?;
        point.finish(None)
    }
}

/// What a point's kind does not say.
fn metadata_type(kind: Type) -> Option<&'static str> {
    match kind {
        // The series of one: what the point's kind can't be.
        Type::Histogram => Some("histogram"),
        Type::Summary => Some("summary"),
        other => other.word(),
    }
}

fn head(
    point: &mut Assembly<'_>,
    words: Words,
    about: &About,
    name: &Span,
    kind: &'static str,
    source: Option<&'static str>,
) -> Result<(), EditError> {
    point.put(Key::Name("name"), Piece::Text(name.clone()))?;
    for (key, text) in [("description", &about.help), ("unit", &about.unit)] {
        if !text.is_empty() {
            point.put(Key::Name(key), Piece::Text(text.clone()))?;
        }
    }
    if let Some(source) = source {
        point.open_map(Key::Name("metadata"))?;
        point.put(Key::Name("type"), words.get(source))?;
        point.close();
    }
    point.put(Key::Name("kind"), words.get(kind))
}

fn put_start(point: &mut Assembly<'_>, created: i64) -> Result<(), EditError> {
    if created == 0 {
        return Ok(());
    }
    point.put(Key::Name("start"), Piece::Int(created.saturating_mul(MS)))
}

fn put_labels(point: &mut Assembly<'_>, body: &[u8], series: &Series, scope: Option<u16>) -> Result<(), EditError> {
    let own = |(name, value): &&(Span, Span)| {
        let name = &body[name.clone()];
        let resource = scope.is_some() && matches!(name, b"job" | b"instance");
        name != b"__name__" && !resource && !value.is_empty()
    };
    if !series.labels.iter().any(|label| own(&label)) {
        return Ok(());
    }
    point.open_map(Key::Name("attributes"))?;
    for (name, value) in series.labels.iter().filter(own) {
        point.put(Key::Bytes(&body[name.clone()]), Piece::Text(value.clone()))?;
    }
    point.close();
    Ok(())
}

fn put_exemplars(point: &mut Assembly<'_>, body: &[u8], exemplars: &[Exemplar]) -> Result<(), EditError> {
    if exemplars.is_empty() {
        return Ok(());
    }
    point.open_list(Key::Name("exemplars"))?;
    for exemplar in exemplars {
        point.open_map(Key::Item)?;
        if exemplar.time != 0 {
            point.put(Key::Name("time"), Piece::Int(exemplar.time.saturating_mul(MS)))?;
        }
        point.put(Key::Name("value"), Piece::Float(exemplar.value))?;
        let id = |name: &Span, value: &Span| {
            let hex = |digits: usize| {
                let text = &body[value.clone()];
                text.len() == digits && text.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
            };
            match &body[name.clone()] {
                b"trace_id" if hex(32) => Some("trace_id"),
                b"span_id" if hex(16) => Some("span_id"),
                _ => None,
            }
        };
        let mut others = false;
        for (name, value) in &exemplar.labels {
            match id(name, value) {
                Some(key) => point.put(Key::Name(key), Piece::Text(value.clone()))?,
                None => others = true,
            }
        }
        if others {
            point.open_map(Key::Name("attributes"))?;
            for (name, value) in exemplar.labels.iter().filter(|(name, value)| id(name, value).is_none()) {
                point.put(Key::Bytes(&body[name.clone()]), Piece::Text(value.clone()))?;
            }
            point.close();
        }
        point.close();
    }
    point.close();
    Ok(())
}

fn type_of(number: u64) -> Type {
    match number {
        1 => Type::Counter,
        2 => Type::Gauge,
        3 => Type::Histogram,
        4 => Type::GaugeHistogram,
        5 => Type::Summary,
        6 => Type::Info,
        7 => Type::StateSet,
        _ => Type::Unknown,
    }
}

fn checked(text: &Fields<'_>) -> Result<Span, Malformed> {
    text.text()?;
    Ok(text.range())
}

// === impl Series ===

impl Series {
    fn clear(&mut self) {
        let Series { labels, samples, histograms, exemplars, .. } = self;
        labels.clear();
        samples.clear();
        histograms.clear();
        exemplars.clear();
        self.about = About::default();
        self.created = 0;
    }

    fn v1(&mut self, mut message: Fields<'_>) -> Result<(), Malformed> {
        while let Some((field, value)) = message.next()? {
            let Value::Bytes(inner) = value else { continue };
            match field {
                1 => {
                    let label = read_label(inner)?;
                    self.label(label, &message)?;
                }
                2 => self.samples.push(read_sample(inner)?),
                3 => {
                    let mut exemplar = Exemplar::default();
                    let mut fields = inner;
                    while let Some((field, value)) = fields.next()? {
                        match (field, value) {
                            (1, Value::Bytes(label)) => exemplar.labels.push(read_label(label)?),
                            (field, value) => exemplar.field(field, &value),
                        }
                    }
                    self.exemplars.push(exemplar);
                }
                4 => self.histograms.push((histogram::read(inner.clone())?, inner.range())),
                _ => {}
            }
        }
        Ok(())
    }

    fn v2(&mut self, mut message: Fields<'_>, symbols: &[Span]) -> Result<(), Malformed> {
        let symbol = |id: u64, at: &Fields<'_>| match usize::try_from(id).ok().and_then(|id| symbols.get(id)) {
            Some(span) => Ok(span.clone()),
            None => at.wrong("a reference names no symbol"),
        };
        let mut refs: SmallVec<[Span; 32]> = SmallVec::new();
        while let Some((field, value)) = message.next()? {
            match (field, value) {
                (1, Value::Bytes(packed)) => {
                    if packed.bytes().len() > 10 * 2 * MAX_LABELS {
                        return packed.wrong("a series has more than 256 labels");
                    }
                    for id in packed.clone().varints() {
                        refs.push(symbol(id?, &packed)?);
                    }
                }
                (1, Value::Varint(id)) => refs.push(symbol(id, &message)?),
                (2, Value::Bytes(inner)) => self.samples.push(read_sample(inner)?),
                (3, Value::Bytes(inner)) => self.histograms.push((histogram::read(inner.clone())?, inner.range())),
                (4, Value::Bytes(mut fields)) => {
                    let mut exemplar = Exemplar::default();
                    let mut refs: SmallVec<[Span; 8]> = SmallVec::new();
                    while let Some((field, value)) = fields.next()? {
                        match (field, value) {
                            (1, Value::Bytes(packed)) => {
                                for id in packed.clone().varints() {
                                    refs.push(symbol(id?, &packed)?);
                                }
                            }
                            (1, Value::Varint(id)) => refs.push(symbol(id, &fields)?),
                            (field, value) => exemplar.field(field, &value),
                        }
                    }
                    exemplar.labels = pairs(&refs, &message)?.collect();
                    self.exemplars.push(exemplar);
                }
                (5, Value::Bytes(mut fields)) => {
                    while let Some((field, value)) = fields.next()? {
                        let number = value.uint().unwrap_or(0);
                        match field {
                            1 => self.about.kind = type_of(number),
                            3 => self.about.help = symbol(number, &fields)?,
                            4 => self.about.unit = symbol(number, &fields)?,
                            _ => {}
                        }
                    }
                }
                (6, value) => self.created = value.int().unwrap_or(0),
                _ => {}
            }
        }
        for label in pairs(&refs, &message)? {
            self.label(label, &message)?;
        }
        Ok(())
    }

    fn label(&mut self, label: (Span, Span), at: &Fields<'_>) -> Result<(), Malformed> {
        if self.labels.len() >= MAX_LABELS {
            return at.wrong("a series has more than 256 labels");
        }
        self.labels.push(label);
        Ok(())
    }
}

impl Exemplar {
    fn field(&mut self, field: u32, value: &Value<'_>) {
        match field {
            2 => self.value = value.double().unwrap_or(0.0),
            3 => self.time = value.int().unwrap_or(0),
            _ => {}
        }
    }
}

fn pairs<'s>(refs: &'s [Span], at: &Fields<'_>) -> Result<impl Iterator<Item = (Span, Span)> + use<'s>, Malformed> {
    if !refs.len().is_multiple_of(2) {
        return at.wrong("a label has a name and no value");
    }
    Ok(refs.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())))
}

fn read_label(mut fields: Fields<'_>) -> Result<(Span, Span), Malformed> {
    let (mut name, mut value) = (0..0, 0..0);
    while let Some((field, inner)) = fields.next()? {
        match (field, inner) {
            (1, Value::Bytes(text)) => name = checked(&text)?,
            (2, Value::Bytes(text)) => value = checked(&text)?,
            _ => {}
        }
    }
    Ok((name, value))
}

fn read_sample(mut fields: Fields<'_>) -> Result<(i64, f64, Span), Malformed> {
    let place = fields.range();
    let (mut time, mut value) = (0, 0.0);
    while let Some((field, inner)) = fields.next()? {
        match field {
            1 => value = inner.double().unwrap_or(0.0),
            2 => time = inner.int().unwrap_or(0),
            _ => {}
        }
    }
    Ok((time, value, place))
}
