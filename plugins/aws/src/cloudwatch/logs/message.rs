//! What an event says: the text of a record, where it stands if it can be.

use suiro_record::{Batch, Field, Path, Resolved, Row};
use suiro_sdk::document::write_text;

use super::settings::Settings;

/// What marks a document in the embedded metric format.
const EMF: &str = "_aws";

/// What the messages of one batch are made with: what depends on the batch is made once.
#[derive(Debug)]
pub(super) struct View<'a> {
    pub(super) batch: &'a Batch,
    /// `log_key`
    key: Option<Key<'a>>,
}

#[derive(Debug)]
struct Key<'a> {
    log: Resolved<'a>,
    emf: Resolved<'a>,
}

/// The field by which a document in the embedded metric format is known.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct LogKey {
    log: Path,
    emf: Path,
}

// === impl LogKey ===

impl LogKey {
    pub(super) fn new(log: Path) -> Self {
        LogKey { log, emf: Path::key(EMF) }
    }
}

// === impl View ===

impl<'a> View<'a> {
    pub(super) fn new(settings: &'a Settings, batch: &'a Batch) -> Self {
        let key = settings.log_key.as_ref();
        View { batch, key: key.map(|key| Key { log: batch.resolve(&key.log), emf: batch.resolve(&key.emf) }) }
    }

    /// The message of a record: in the batch where it stands there as it is, else written to `scratch`.
    #[inline]
    pub(super) fn message<'s>(&'s self, row: &Row, scratch: &'s mut Vec<u8>) -> &'s [u8] {
        if let Some(key) = &self.key
            // Documents in the embedded metric format pass whole: cut out of one, a field is no metric any more.
            && self.batch.get(row, &key.emf).is_none()
            && let Some(field) = self.batch.get(row, &key.log)
        {
            if let Field::Node(node) = field
                && let Some(text) = node.plain_bytes()
            {
                return text;
            }
            scratch.clear();
            field.write_text(scratch);
            return scratch;
        }
        if let Some(text) = self.batch.sole_text(row.root()) {
            return text;
        }
        scratch.clear();
        write_text(self.batch, row, scratch);
        scratch
    }
}
