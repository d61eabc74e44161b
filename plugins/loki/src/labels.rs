//! Labels: what makes a stream.
//!
//! Labels are kept sorted by name, so that equal sets are written alike. The values that depend on the record are rendered
//! into a key, each behind the other with marks between that no UTF-8 text holds; equal keys are the same stream.

use suiro_record::{Batch, Row};
use suiro_sdk::lang::Template;
use suiro_sdk::settings::{Reported, Section};

/// Labels Loki takes by default, besides the one it adds.
const MAX_LABELS: usize = 15;
/// The longest name it takes.
const MAX_NAME: usize = 1024;

/// Behind each value of a key.
const END: u8 = 0xff;
/// In place of a value that is missing.
const MISSING: u8 = 0xfe;

/// The label of a record that has none of those configured.
const FALLBACK: (&str, &str) = ("agent", "suiro");

/// The labels as configured.
#[derive(Clone, Debug)]
pub struct Labels {
    /// Sorted by name.
    all: Vec<Label>,
}

#[derive(Clone, Debug)]
struct Label {
    name: String,
    value: Template,
}

/// A stream's labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LabelSet(Vec<(String, String)>);

/// The labels that depend on the record, for one batch.
#[derive(Debug)]
pub(crate) struct Dynamic<'t>(Vec<suiro_sdk::lang::TemplatePrepared<'t>>);

// === impl Labels ===

impl Labels {
    pub(crate) fn read(settings: &Section) -> Result<Labels, Reported> {
        const EXAMPLE: &str = "for example: labels = { job = \"app\", level = \"{level}\" }";
        let mut all: Vec<Label> =
            settings.map::<Template>("labels").into_iter().map(|(name, value)| Label { name, value }).collect();
        let Some(value) = settings.value("labels") else {
            return Err(settings.missing("labels", "{ job = \"app\" }"));
        };
        let mut failed = None;
        // Those that can't be read are reported already.
        if value.entries()?.is_empty() {
            failed = Some(settings.error_at("labels", "`labels` must name at least one label", EXAMPLE));
        }
        if all.len() > MAX_LABELS {
            let message = format!("Loki takes at most {MAX_LABELS} labels, here are {}", all.len());
            let help = "put what is looked at but not searched by into `structured_metadata`";
            failed = Some(settings.error_at("labels", message, help));
        }
        for label in &all {
            failed = check_name(settings, "labels", &label.name).or(failed);
            if label.value.is_literal() == Some("") {
                let message = format!("the label `{}` is empty", label.name);
                let help = "leave it out: Loki does not tell an empty label from none";
                failed = Some(settings.error_at_key("labels", &label.name, message, help));
            }
        }
        all.sort_by(|a, b| a.name.cmp(&b.name));
        failed.map_or(Ok(Labels { all }), Err)
    }

    /// Those that depend on the record.
    fn templates(&self) -> impl Iterator<Item = &Label> {
        self.all.iter().filter(|label| label.value.is_literal().is_none())
    }

    /// Whether none depends on the record.
    pub(crate) fn are_fixed(&self) -> bool {
        self.templates().next().is_none()
    }

    /// Resolves the labels that depend on the record.
    pub(crate) fn prepare(&self, batch: &Batch) -> Dynamic<'_> {
        Dynamic(self.templates().map(|label| label.value.prepare(batch)).collect())
    }

    /// Appends the key of a record that has none of the labels that depend on it.
    pub(crate) fn write_fixed_key(&self, key: &mut Vec<u8>) {
        for _ in self.templates() {
            key.extend_from_slice(&[MISSING, END]);
        }
    }

    /// The label set whose values `key` holds.
    pub(crate) fn set(&self, key: &[u8]) -> LabelSet {
        let mut values = key.split(|&b| b == END);
        let mut set = Vec::with_capacity(self.all.len());
        for label in &self.all {
            let value = match label.value.is_literal() {
                Some(literal) => literal.as_bytes(),
                None => values.next().unwrap_or_default(),
            };
            if !value.is_empty() && value != [MISSING] {
                set.push((label.name.clone(), String::from_utf8_lossy(value).into_owned()));
            }
        }
        if set.is_empty() {
            set.push((FALLBACK.0.to_owned(), FALLBACK.1.to_owned()));
        }
        LabelSet(set)
    }
}

// === impl Dynamic ===

impl Dynamic<'_> {
    /// Appends the record's key.
    #[inline]
    pub(crate) fn write_key(&self, batch: &Batch, row: &Row, key: &mut Vec<u8>) {
        for template in &self.0 {
            if template.render(batch, row, key).is_err() {
                key.push(MISSING);
            }
            key.push(END);
        }
    }
}

// === impl LabelSet ===

impl LabelSet {
    /// Appends it as Loki's text: `{job="app", level="info"}`.
    pub(crate) fn write_text(&self, out: &mut Vec<u8>) {
        out.push(b'{');
        for (i, (name, value)) in self.0.iter().enumerate() {
            if i > 0 {
                out.extend_from_slice(b", ");
            }
            out.extend_from_slice(name.as_bytes());
            // JSON's escapes are a part of those Go has for its strings.
            out.push(b'=');
            suiro_record::write_json_str(value, out);
        }
        out.push(b'}');
    }

    /// Appends it as JSON.
    pub(crate) fn write_json(&self, out: &mut Vec<u8>) {
        out.push(b'{');
        for (i, (name, value)) in self.0.iter().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            suiro_record::write_json_str(name, out);
            out.push(b':');
            suiro_record::write_json_str(value, out);
        }
        out.push(b'}');
    }
}

/// Reports a name Loki refuses. One refused label set makes it refuse the whole request.
pub(crate) fn check_name(settings: &Section, key: &str, name: &str) -> Option<Reported> {
    let mut bytes = name.bytes();
    let head = bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    if head && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_') && name.len() <= MAX_NAME {
        return None;
    }
    let mut fixed: String = name.chars().take(40).map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    if fixed.is_empty() || fixed.starts_with(|c: char| c.is_ascii_digit()) {
        fixed.insert(0, '_');
    }
    let message =
        format!("`{name}` can't be a name in `{key}`: letters, digits and `_` make one, and no digit comes first");
    Some(settings.error_at_key(key, name, message, format!("write `{fixed}`")))
}
