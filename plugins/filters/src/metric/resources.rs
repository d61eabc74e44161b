//! What is kept of the resources of records for the metrics that are made of them.

use std::collections::HashMap;
use std::sync::Arc;

use suiro_record::{Attributes, Scope};

use super::Made;

/// Resources that are remembered between batches.
const MAX_RESOURCES: usize = 10_000;

/// Resources, each with a scope that its points share.
pub(crate) struct Resources {
    keys: Vec<String>,
    /// Name of the instrumentation scope.
    name: &'static str,
    /// By the bytes of what is kept.
    known: HashMap<Box<[u8]>, Arc<Scope>>,
    /// For series that stand for many: no resource.
    pub(crate) none: Arc<Scope>,
}

/// What is kept of a resource, and its bytes.
pub(crate) type Kept = (Arc<Scope>, Vec<u8>);

// === impl Resources ===

impl Resources {
    /// Of which attributes `keys` are kept, for points of the instrumentation scope `name`.
    pub(crate) fn new(made: &Made, name: &'static str, keys: Vec<String>) -> Self {
        Resources { keys, name, known: HashMap::new(), none: Arc::new(named(made, name, Vec::new())) }
    }

    pub(crate) fn kept(&mut self, made: &Made, scope: &Scope) -> Kept {
        let mut bytes = Vec::new();
        let mut attributes = Attributes::new();
        for wanted in &self.keys {
            if let Some((key, value)) = scope.resource.iter().rev().find(|(key, _)| key == wanted) {
                value.write_json(&mut bytes);
                attributes.push((key.clone(), value.clone()));
            }
            bytes.push(0xff);
        }
        if let Some(scope) = self.known.get(bytes.as_slice()) {
            return (scope.clone(), bytes);
        }
        let scope = Arc::new(named(made, self.name, attributes));
        if self.known.len() < MAX_RESOURCES {
            self.known.insert(bytes.as_slice().into(), scope.clone());
        }
        (scope, bytes)
    }

    /// Forgets those that no series has.
    pub(crate) fn forget(&mut self) {
        self.known.retain(|_, scope| Arc::strong_count(scope) > 1);
    }
}

fn named(made: &Made, name: &str, resource: Attributes) -> Scope {
    let mut scope = made.scope(resource);
    scope.scope.push(("name".to_owned(), name.into()));
    scope
}
