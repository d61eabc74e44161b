//! A series' samples and native histograms as metric points: `docs/signals.md`.

use suiro_record::{Assembly, EditError, Key, Piece, RootId};

use super::decode::Reading;
use super::histogram::{Native, Shape};
use super::message::{About, Exemplar, Series, Span};
use crate::point::Side;
use crate::text::{STALE, Type};
use crate::words::Words;

/// Nanoseconds of a millisecond.
pub(super) const MS: i64 = 1_000_000;

impl Reading<'_> {
    /// The point of a sample.
    pub(super) fn number(
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
    pub(super) fn native(
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
