//! Templates: texts with fields in them.
//!
//! `{path}`, `{path|default}`, `{@time:%Y.%m.%d}` in UTC, `{{` and `}}` for braces.
//!
//! A string renders as what it says, everything else as JSON: a field that is `null` is there, and renders as `null`.
//! What is rendered is always UTF-8. A default is a text, not a template.

mod date;
mod grammar;

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::sync::Arc;

use smallvec::SmallVec;
use suiro_record::{Batch, Path, PathRoot, Resolved, Row, Scope};

use self::date::{DateFormat, Rendered};
use super::error::LangError;

/// A parsed template.
#[derive(Clone, Debug)]
pub struct Template {
    text: String,
    segments: Vec<Segment>,
}

#[derive(Clone, Debug)]
enum Segment {
    Literal(String),
    Field { path: Path, default: Option<String> },
    Date(DateFormat),
}

/// A template and what its paths mean in one batch.
#[derive(Debug)]
pub struct TemplatePrepared<'t> {
    template: &'t Template,
    /// One per field segment, in order.
    paths: SmallVec<[Resolved<'t>; 2]>,
    /// One per date segment, in order.
    dates: RefCell<SmallVec<[Rendered; 1]>>,
}

/// A field that is missing and has no default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the record has no `{path}`")]
pub struct Missing<'t> {
    /// The field.
    pub path: &'t Path,
}

// === impl Template ===

impl Template {
    /// Parses the whole of `text`.
    pub fn parse(text: &str) -> Result<Template, LangError> {
        Ok(Template { text: text.to_owned(), segments: grammar::parse(text)? })
    }

    /// The template as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The text it always is, if it has no placeholders.
    pub fn is_literal(&self) -> Option<&str> {
        match self.segments.as_slice() {
            [] => Some(""),
            [Segment::Literal(text)] => Some(text),
            _ => None,
        }
    }

    /// The text before the first placeholder.
    pub fn literal_prefix(&self) -> &str {
        match self.segments.first() {
            Some(Segment::Literal(text)) => text,
            _ => "",
        }
    }

    /// The fields it asks for, dates excepted.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Field { path, .. } => Some(path),
            _ => None,
        })
    }

    /// Those without a default.
    pub fn required_paths(&self) -> impl Iterator<Item = &Path> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Field { path, default: None } => Some(path),
            _ => None,
        })
    }

    /// The first field whose value a record, a tag or a resource chooses, rather than the configuration or the clock.
    pub fn first_foreign(&self) -> Option<&Path> {
        self.paths().find(|path| !matches!(path.root(), PathRoot::Input | PathRoot::Signal))
    }

    /// Looks the paths up in `batch`. Holds until a key is added to it.
    pub fn prepare(&self, batch: &Batch) -> TemplatePrepared<'_> {
        let dates = self.segments.iter().filter(|segment| matches!(segment, Segment::Date(_)));
        TemplatePrepared {
            template: self,
            paths: self.paths().map(|path| batch.resolve(path)).collect(),
            dates: RefCell::new(dates.map(|_| Rendered::default()).collect()),
        }
    }

    /// Renders it for a scope alone, as an input does for the tag of a source, at the time `now`.
    pub fn render_scope(&self, scope: &Arc<Scope>, now: i64, out: &mut Vec<u8>) -> Result<(), Missing<'_>> {
        let mut batch = Batch::new("".into(), scope.clone(), now);
        let row = Row::new(batch.new_object(), now, 0, 0);
        self.prepare(&batch).render(&batch, &row, out)
    }

    /// An example of what it renders: `stand_in` for fields without a default.
    pub(super) fn sample(&self, stand_in: &str) -> String {
        let mut out = Vec::new();
        for segment in &self.segments {
            match segment {
                Segment::Literal(text) => out.extend_from_slice(text.as_bytes()),
                Segment::Field { default, .. } => {
                    out.extend_from_slice(default.as_deref().unwrap_or(stand_in).as_bytes());
                }
                Segment::Date(date) => date.render(0, &mut Rendered::default(), &mut out),
            }
        }
        String::from_utf8(out).unwrap_or_default()
    }
}

/// Equal as written.
impl PartialEq for Template {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Template {}

impl std::fmt::Display for Template {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

// === impl TemplatePrepared ===

impl<'t> TemplatePrepared<'t> {
    /// Appends the text for a record; UTF-8. If a field is missing, `out` is as it was.
    pub fn render(&self, batch: &Batch, row: &Row, out: &mut Vec<u8>) -> Result<(), Missing<'t>> {
        let before = out.len();
        let mut paths = self.paths.iter();
        let mut date_at = 0;
        for segment in &self.template.segments {
            match segment {
                Segment::Literal(text) => out.extend_from_slice(text.as_bytes()),
                Segment::Field { path, default } => {
                    let field = paths.next().and_then(|resolved| batch.get(row, resolved));
                    match (field, default) {
                        (Some(field), _) => field.write_text(out),
                        (None, Some(default)) => out.extend_from_slice(default.as_bytes()),
                        (None, None) => {
                            out.truncate(before);
                            return Err(Missing { path });
                        }
                    }
                }
                Segment::Date(date) => {
                    if let Some(last) = self.dates.borrow_mut().get_mut(date_at) {
                        date.render(row.time, last, out);
                    }
                    date_at += 1;
                }
            }
        }
        Ok(())
    }
}

/// A batch of one record, of the input `in`, tagged `app.web`, with a resource, at 2024-02-29T12:34:56.789Z.
#[cfg(test)]
pub(in crate::lang) fn test_batch(json: &str) -> Batch {
    let source = Arc::new(suiro_record::Source::new("in".into(), 7));
    let scope = Scope::new(source).with("k8s.namespace.name", "shop").with("service.name", "cart");
    let mut batch = Batch::new("app.web".into(), Arc::new(scope), 0);
    batch.heap_mut().extend_from_slice(json.as_bytes());
    let root = batch.parse_json(0..json.len()).expect(json);
    batch.rows.push(Row::new(root, 1_709_210_096_789_000_000, 0, json.len() as u64));
    batch
}
