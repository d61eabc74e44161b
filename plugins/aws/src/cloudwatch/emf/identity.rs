//! What a point's metric is called: its name and its dimensions, in characters that CloudWatch takes.
//!
//! As [`head`](crate::cloudwatch::metrics::head) of the other output has it.

use suiro_record::{Kind, NodeRef, Value};
use suiro_sdk::Verdict;
use suiro_sdk::point::Point;

use super::Settings;
use crate::cloudwatch::metrics::head::{MAX_DIMENSIONS, MAX_NAME, MAX_VALUE, chosen, legal};
use crate::cloudwatch::metrics::verdict::{TOO_MANY_DIMENSIONS, malformed, refused};

/// A metric's name and dimensions.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) name: String,
    /// By name, each once.
    pub(super) dimensions: Vec<(String, String)>,
    /// A text was escaped or cut.
    pub(super) altered: bool,
}

// === impl Identity ===

impl Identity {
    /// Of a point and the attributes of its resource.
    pub(super) fn of(
        settings: &Settings,
        point: &Point<'_>,
        resource: &[(String, Value)],
    ) -> Result<Identity, Box<Verdict>> {
        let (name, altered) = legal(&point.name);
        if name.trim_ascii().is_empty() {
            return Err(malformed("the point has no name"));
        }
        if name.len() > MAX_NAME {
            return Err(malformed(&format!("the name is longer than {MAX_NAME} bytes")));
        }
        let mut identity = Identity { name: name.into_owned(), dimensions: Vec::new(), altered };
        let mut text = Vec::new();
        for node in point.attributes.into_iter().flat_map(NodeRef::children) {
            let key = node.key().unwrap_or_default();
            if node.kind() != Kind::Null && chosen(&settings.dimensions, key) {
                text.clear();
                node.write_text(&mut text);
                identity.add(key, &String::from_utf8_lossy(&text), true)?;
            }
        }
        for (key, value) in resource {
            if *value != Value::Null && chosen(&settings.resource_dimensions, key) {
                identity.add(key, &value.to_text(), false)?;
            }
        }
        if identity.dimensions.len() > MAX_DIMENSIONS {
            let detail = format!(
                "it would have {} dimensions, CloudWatch takes {MAX_DIMENSIONS}: name fewer in `dimensions` and \
                 `resource_dimensions`",
                identity.dimensions.len()
            );
            return Err(refused(TOO_MANY_DIMENSIONS, &detail));
        }
        // In whatever order attributes come, they are of the same metric.
        identity.dimensions.sort_unstable();
        Ok(identity)
    }

    /// Adds a dimension; `replace`s one of the same name, or leaves it.
    fn add(&mut self, key: &str, value: &str, replace: bool) -> Result<(), Box<Verdict>> {
        let (key, key_altered) = legal(key);
        let (value, value_altered) = legal(value);
        let is_cut = value.len() > MAX_VALUE || key.starts_with(':');
        let (key, value) = (key.trim_start_matches(':'), &value[..value.len().min(MAX_VALUE)]);
        if value.trim_ascii().is_empty() || key.trim_ascii().is_empty() {
            return Ok(());
        }
        if key.len() > MAX_NAME {
            return Err(malformed(&format!("the name of an attribute is longer than {MAX_NAME} bytes: {key}")));
        }
        self.altered |= key_altered || value_altered || is_cut;
        match self.dimensions.iter_mut().find(|(known, _)| *known == key) {
            Some(known) if replace => value.clone_into(&mut known.1),
            Some(_) => {}
            None => self.dimensions.push((key.to_owned(), value.to_owned())),
        }
        Ok(())
    }
}
