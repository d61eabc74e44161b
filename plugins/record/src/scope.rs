//! What many records share: their source, and what is known about it.

use std::sync::Arc;

use crate::origin::Source;
use crate::value::Value;

/// Attributes in the order they were given.
pub type Attributes = Vec<(String, Value)>;

/// The scope of a record, shared by many through an `Arc`. Written by inputs and enriching filters, never by a record's
/// content.
#[derive(Clone, Debug, PartialEq)]
pub struct Scope {
    /// Where the records came from.
    pub source: Arc<Source>,
    /// The resource: `@resource.x`, and `@a.b` for any first word that is not a header's.
    pub resource: Attributes,
    /// What a resource has beside its attributes: `schema_url`, `dropped_attributes_count`, `entity_refs`. It has no path.
    pub resource_details: Attributes,
    /// The instrumentation scope: `@scope.x`, where x is `name`, `version`, `attributes` (a map), `schema_url`,
    /// `dropped_attributes_count`.
    pub scope: Attributes,
}

// === impl Scope ===

impl Scope {
    /// A scope that knows nothing but its source.
    pub fn new(source: Arc<Source>) -> Self {
        Scope { source, resource: Vec::new(), resource_details: Vec::new(), scope: Vec::new() }
    }

    /// The same with a resource attribute more.
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.resource.push((key.to_owned(), value.into()));
        self
    }
}
