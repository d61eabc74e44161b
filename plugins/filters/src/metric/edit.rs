//! Writing what a point says: into a record that is there, or into one that is made.

use suiro_record::{Batch, EditError, NewValue, Path, RootId, Value};

use super::exponential::Side;
use super::number::count_value;
use super::point::PATHS;
use super::{Data, Temporality};

/// A field: its path, and its value unless it has none.
type Fields = Vec<(&'static Path, Option<Value>)>;

/// The fields of what a point says. Those that are `None` are not there.
fn fields(data: &Data) -> Fields {
    let float = |value: f64| Some(Value::Float(value));
    let counts = |counts: &[u64]| Value::Array(counts.iter().map(|&count| count_value(count)).collect());
    match data {
        Data::Gauge(_) | Data::Sum { .. } => Vec::new(),
        Data::Histogram(h) => vec![
            (&PATHS.count, Some(count_value(h.count))),
            (&PATHS.sum, h.sum.and_then(float)),
            (&PATHS.min, h.min.and_then(float)),
            (&PATHS.max, h.max.and_then(float)),
            (&PATHS.bounds, Some(Value::Array(h.bounds.iter().map(|&bound| Value::Float(bound)).collect()))),
            (&PATHS.buckets, Some(counts(&h.buckets))),
        ],
        Data::Exponential(h) => {
            let side = |side: &Side| {
                let offset = ("offset".to_owned(), Value::Int(side.offset.into()));
                let buckets = ("buckets".to_owned(), counts(&side.buckets));
                (!side.buckets.is_empty()).then(|| Value::Object(vec![offset, buckets]))
            };
            vec![
                (&PATHS.count, Some(count_value(h.count))),
                (&PATHS.sum, h.sum.and_then(float)),
                (&PATHS.min, h.min.and_then(float)),
                (&PATHS.max, h.max.and_then(float)),
                (&PATHS.scale, (h.scale != 0).then(|| Value::Int(h.scale.into()))),
                (&PATHS.zero_count, (h.zero_count != 0).then(|| count_value(h.zero_count))),
                (&PATHS.zero_threshold, Some(h.zero_threshold).filter(|&zero| zero > 0.0).and_then(float)),
                (&PATHS.positive, side(&h.positive)),
                (&PATHS.negative, side(&h.negative)),
            ]
        }
    }
}

/// Appends what a point says to a record that is being made.
pub(super) fn append_data(batch: &mut Batch, root: RootId, data: &Data) -> Result<(), EditError> {
    match data {
        Data::Gauge(value) => batch.append(root, "value", value.new_value())?,
        Data::Sum { value, monotonic } => {
            if *monotonic {
                batch.append(root, "monotonic", NewValue::Bool(true))?;
            }
            batch.append(root, "value", value.new_value())?;
        }
        _ => {}
    }
    for (path, value) in fields(data) {
        if let Some(value) = value {
            batch.append(root, path.as_str(), NewValue::Tree(&value))?;
        }
    }
    Ok(())
}

/// Gives the record at `row` another value, and says since when it counts.
pub(crate) fn rewrite(
    batch: &mut Batch,
    row: usize,
    data: &Data,
    temporality: Temporality,
    start: Option<i64>,
) -> Result<(), EditError> {
    if let Data::Gauge(value) | Data::Sum { value, .. } = data {
        batch.set(row, &PATHS.value, value.new_value())?;
    }
    let start = (&PATHS.start, start.map(Value::Int));
    for (path, value) in fields(data).into_iter().chain([start]) {
        match value {
            Some(value) => batch.set(row, path, NewValue::Tree(&value))?,
            None => {
                let path = batch.resolve(path);
                batch.remove(row, &path);
            }
        }
    }
    batch.set(row, &PATHS.temporality, NewValue::Str(temporality.name()))
}
