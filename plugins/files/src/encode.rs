//! How records are written as lines.

use suiro_record::{Batch, Row};
use suiro_sdk::document::{write_full, write_text};
use suiro_sdk::settings::Section;
use suiro_sdk::time;

/// What a line looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Format {
    /// The body as JSON.
    #[default]
    Json,
    /// The text of a body that is nothing but `log`, as it was read; any other as JSON.
    Raw,
    /// Time, tag, and the body as with `raw`: for people.
    Pretty,
    /// Everything, as JSON: what stands beside the record, under its paths (`@time`, `@resource`, ...), then the body.
    Full,
}

impl Format {
    /// The setting `format`, of the given ones.
    pub(crate) fn read(section: &Section, choices: &[(&str, Format)]) -> Format {
        section.choice("format", choices).unwrap_or_default()
    }

    /// Appends a record and a line end.
    pub(crate) fn write(self, batch: &Batch, row: &Row, out: &mut Vec<u8>) {
        match self {
            Format::Json => batch.write_json(row, out),
            Format::Raw => write_text(batch, row, out),
            Format::Pretty => {
                time::write_rfc3339(row.time, out);
                out.push(b' ');
                out.extend_from_slice(batch.tag.as_bytes());
                out.push(b' ');
                write_text(batch, row, out);
            }
            Format::Full => write_full(batch, row, out),
        }
        out.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use suiro_record::{Scope, Source};

    use super::*;

    #[test]
    fn formats() {
        let scope = Arc::new(Scope::new(Arc::new(Source::new("in".into(), 1))));
        let mut batch = Batch::new("app".into(), scope, 0);
        let texts = [r#"{"a": 1}"#, r#"{"log":"a\tb"}"#, r#"{"log":5}"#, r#"{"log":"x","b":1}"#, "[1]"];
        for text in texts {
            let start = batch.heap_mut().len();
            batch.heap_mut().extend_from_slice(text.as_bytes());
            let root = batch.parse_json(start..start + text.len()).unwrap();
            batch.rows.push(Row::new(root, 1_000_000_000, 0, 1));
        }
        let written = |format: Format| -> Vec<String> {
            let mut out = Vec::new();
            batch.rows.iter().for_each(|row| format.write(&batch, row, &mut out));
            String::from_utf8(out).unwrap().lines().map(str::to_owned).collect()
        };
        let json = written(Format::Json);
        assert_eq!(json[..4], texts[..4]);
        assert_eq!(written(Format::Raw), [texts[0], "a\tb", texts[2], texts[3], &json[4]]);
        assert_eq!(written(Format::Pretty)[1], "1970-01-01T00:00:01Z app a\tb");
    }
}
