//! What filters ask of a span, looked up once per batch.

use std::borrow::Cow;
use std::sync::LazyLock;

use suiro_record::{Batch, Path, Resolved, Row};

/// Where a span's fields are.
struct Paths {
    trace_id: Path,
    name: Path,
    kind: Path,
    start: Path,
    end: Path,
    status: Path,
    trace_state: Path,
}

/// The spans of a batch.
pub(crate) struct Spans<'b> {
    batch: &'b Batch,
    trace_id: Resolved<'static>,
    name: Resolved<'static>,
    kind: Resolved<'static>,
    start: Resolved<'static>,
    end: Resolved<'static>,
    status: Resolved<'static>,
    trace_state: Resolved<'static>,
}

static PATHS: LazyLock<Paths> = LazyLock::new(|| Paths {
    trace_id: fixed_path("@trace_id"),
    name: fixed_path("name"),
    kind: fixed_path("kind"),
    start: fixed_path("start"),
    end: fixed_path("end"),
    status: fixed_path("status.code"),
    trace_state: fixed_path("trace_state"),
});

/// A path that is written in this program.
pub(crate) fn fixed_path(text: &str) -> Path {
    Path::parse(text).unwrap_or_else(|error| panic!("`{text}` is a path: {error}"))
}

/// The number that an id of up to 32 hexadecimal digits says; `None` for other texts, and for zero, which names no trace.
pub(crate) fn parse_trace_id(text: &str) -> Option<u128> {
    let digits = !text.is_empty() && text.len() <= 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
    u128::from_str_radix(text, 16).ok().filter(|&id| digits && id != 0)
}

// === impl Spans ===

impl<'b> Spans<'b> {
    pub(crate) fn of(batch: &'b Batch) -> Self {
        Spans {
            batch,
            trace_id: batch.resolve(&PATHS.trace_id),
            name: batch.resolve(&PATHS.name),
            kind: batch.resolve(&PATHS.kind),
            start: batch.resolve(&PATHS.start),
            end: batch.resolve(&PATHS.end),
            status: batch.resolve(&PATHS.status),
            trace_state: batch.resolve(&PATHS.trace_state),
        }
    }

    pub(crate) fn trace_id(&self, row: &Row) -> Option<u128> {
        parse_trace_id(&self.batch.get(row, &self.trace_id)?.as_str()?)
    }

    pub(crate) fn name(&self, row: &Row) -> Cow<'b, str> {
        self.text(row, &self.name)
    }

    /// Absent: unspecified.
    pub(crate) fn kind(&self, row: &Row) -> Cow<'b, str> {
        self.text(row, &self.kind)
    }

    /// `"ok"`, `"error"`; absent: unset.
    pub(crate) fn status(&self, row: &Row) -> Cow<'b, str> {
        self.text(row, &self.status)
    }

    pub(crate) fn is_error(&self, row: &Row) -> bool {
        self.batch.get(row, &self.status).is_some_and(|code| code.str_eq("error"))
    }

    /// When it began and ended, where both are known and in that order.
    pub(crate) fn times(&self, row: &Row) -> Option<(i64, i64)> {
        let time = |path| self.batch.get(row, path)?.as_i64();
        let (start, end) = (time(&self.start)?, time(&self.end)?);
        (start <= end).then_some((start, end))
    }

    pub(crate) fn trace_state(&self, row: &Row) -> Option<Cow<'b, str>> {
        self.batch.get(row, &self.trace_state)?.as_str()
    }

    fn text(&self, row: &Row, path: &Resolved<'_>) -> Cow<'b, str> {
        self.batch.get(row, path).and_then(|field| field.as_str()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trace_ids() {
        assert_eq!(parse_trace_id("4BF92F3577B34DA6A3CE929D0E0E4736"), Some(0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736));
        assert_eq!(parse_trace_id("a3ce929d0e0e4736"), Some(0xa3ce_929d_0e0e_4736));
        for text in ["", "+1", "0", "00000000000000000000000000000000", "xyz", "4bf92f3577b34da6a3ce929d0e0e47361", "ß"]
        {
            assert_eq!(parse_trace_id(text), None, "{text}");
        }
    }
}
