//! Remote-write requests, 1.0 and 2.0, as protobuf.
//!
//! ```text
//! 1.0  WriteRequest { 1: TimeSeries*, 3: Metadata* }
//!      TimeSeries { 1: Label*, 2: Sample*, 3: Exemplar*, 4: Histogram* }      Label { 1: name, 2: value }
//!      Metadata { 1: type, 2: family, 4: help, 5: unit }
//! 2.0  Request { 4: symbol*, 5: TimeSeries* }
//!      TimeSeries { 1: refs, 2: Sample*, 3: Histogram*, 4: Exemplar*, 5: Metadata, 6: created }
//!      Metadata { 1: type, 3: help ref, 4: unit ref }
//! both Sample { 1: value, 2: ms }      Exemplar { 1: labels, 2: value, 3: ms }
//!      Histogram { 1: count, 3: sum, 4: schema, 5: zero threshold, 6: zero count, 8, 11: spans, 9, 12: deltas, 15: ms }
//! ```

use suiro_sdk::protobuf::{put_len, put_uint, put_varint, zigzag};

use super::protobuf::{double, nested, sint, text, uint};
use super::series::{Collected, Exemplar, Series};
use crate::point::{Exponential, Side};
use crate::text::{STALE, Type};

/// So many empty buckets between two that are not are written as such; more begin a new span.
const GAP: usize = 2;

/// A request of 1.0.
pub(crate) fn write_v1(collected: &Collected, out: &mut Vec<u8>) {
    let symbols = &collected.symbols;
    for series in &collected.series {
        nested(1, out, |out| {
            for pair in series.labels.chunks_exact(2) {
                write_label(symbols.get(pair[0]), symbols.get(pair[1]), 1, out);
            }
            write_samples(series, 2, out);
            for exemplar in &series.exemplars {
                nested(3, out, |out| {
                    for pair in exemplar.labels.chunks_exact(2) {
                        write_label(symbols.get(pair[0]), symbols.get(pair[1]), 1, out);
                    }
                    write_exemplar_value(exemplar, out);
                });
            }
            write_histograms(series, 4, out);
        });
    }
    let mut told = hashbrown::HashSet::new();
    for series in collected.series.iter().filter(|series| told.insert(series.family)) {
        nested(3, out, |out| {
            uint(1, type_number(series.kind), out);
            text(2, symbols.get(series.family), out);
            text(4, symbols.get(series.help), out);
            text(5, symbols.get(series.unit), out);
        });
    }
}

/// A request of 2.0.
pub(crate) fn write_v2(collected: &Collected, out: &mut Vec<u8>) {
    for symbol in collected.symbols.all() {
        put_len(4, symbol.as_bytes(), out);
    }
    let refs = |refs: &[u32], out: &mut Vec<u8>| {
        if !refs.is_empty() {
            nested(1, out, |out| refs.iter().for_each(|&id| put_varint(u64::from(id), out)));
        }
    };
    for series in &collected.series {
        nested(5, out, |out| {
            refs(&series.labels, out);
            write_samples(series, 2, out);
            write_histograms(series, 3, out);
            for exemplar in &series.exemplars {
                nested(4, out, |out| {
                    refs(&exemplar.labels, out);
                    write_exemplar_value(exemplar, out);
                });
            }
            nested(5, out, |out| {
                uint(1, type_number(series.kind), out);
                uint(3, u64::from(series.help), out);
                uint(4, u64::from(series.unit), out);
            });
            uint(6, series.created.cast_unsigned(), out);
        });
    }
}

/// A type's number, the same in both.
fn type_number(kind: Type) -> u64 {
    match kind {
        Type::Unknown => 0,
        Type::Counter => 1,
        Type::Gauge => 2,
        Type::Histogram => 3,
        Type::GaugeHistogram => 4,
        Type::Summary => 5,
        Type::Info => 6,
        Type::StateSet => 7,
    }
}

fn write_label(name: &str, value: &str, field: u32, out: &mut Vec<u8>) {
    nested(field, out, |out| {
        text(1, name, out);
        text(2, value, out);
    });
}

fn write_samples(series: &Series, field: u32, out: &mut Vec<u8>) {
    for &(time, value) in &series.samples {
        nested(field, out, |out| {
            double(1, value, out);
            uint(2, time.cast_unsigned(), out);
        });
    }
}

fn write_exemplar_value(exemplar: &Exemplar, out: &mut Vec<u8>) {
    double(2, exemplar.value, out);
    uint(3, exemplar.time.cast_unsigned(), out);
}

fn write_histograms(series: &Series, field: u32, out: &mut Vec<u8>) {
    for (time, histogram, stale) in &series.histograms {
        nested(field, out, |out| {
            if *stale {
                put_uint(1, 0, out);
                double(3, f64::from_bits(STALE), out);
            } else {
                write_histogram(histogram, out);
            }
            if series.kind == Type::GaugeHistogram {
                uint(14, 3, out);
            }
            uint(15, time.cast_unsigned(), out);
        });
    }
}

fn write_histogram(histogram: &Exponential, out: &mut Vec<u8>) {
    put_uint(1, histogram.count, out);
    double(3, histogram.sum.unwrap_or(0.0), out);
    sint(4, i64::from(histogram.scale), out);
    double(5, histogram.zero_threshold, out);
    put_uint(6, histogram.zero_count, out);
    write_side(&histogram.negative, 8, out);
    write_side(&histogram.positive, 11, out);
}

/// Spans and deltas. Where OpenTelemetry counts up to a power, Prometheus counts from the one below: one index more.
fn write_side(side: &Side, field: u32, out: &mut Vec<u8>) {
    let mut spans: Vec<(i64, usize)> = Vec::new();
    let mut deltas: Vec<i64> = Vec::new();
    let mut before = 0_i64;
    let mut end = 0_usize;
    let counts = || side.buckets.iter().enumerate().filter(|(_, n)| **n > 0);
    for (at, &count) in counts() {
        let count = count.min(i64::MAX as u64).cast_signed();
        let gap = at - end;
        match spans.last_mut() {
            Some((_, length)) if gap <= GAP => {
                for _ in 0..gap {
                    deltas.push(-before);
                    before = 0;
                }
                *length += gap + 1;
            }
            Some(_) => spans.push((gap as i64, 1)),
            None => spans.push((i64::from(side.offset) + 1 + at as i64, 1)),
        }
        deltas.push(count - before);
        before = count;
        end = at + 1;
    }
    for (offset, length) in spans {
        nested(field, out, |out| {
            sint(1, offset, out);
            uint(2, length as u64, out);
        });
    }
    if !deltas.is_empty() {
        nested(field + 1, out, |out| deltas.iter().for_each(|&delta| put_varint(zigzag(delta), out)));
    }
}
