//! A batch as entries are made of it: what depends on the batch is made once.

use suiro_record::{Batch, Row};
use suiro_sdk::document::write_text;
use suiro_sdk::lang::{Template, TemplatePrepared};

use crate::settings::Settings;

/// What entries of one batch are made with.
#[derive(Debug)]
pub(crate) struct View<'a> {
    pub(crate) batch: &'a Batch,
    line: Option<TemplatePrepared<'a>>,
    metadata: Vec<(&'a str, TemplatePrepared<'a>)>,
}

// === impl View ===

impl<'a> View<'a> {
    pub(crate) fn new(settings: &'a Settings, batch: &'a Batch) -> Self {
        let prepare = |template: &'a Template| template.prepare(batch);
        View {
            batch,
            line: settings.line.as_ref().map(prepare),
            metadata: settings.structured_metadata.iter().map(|(name, t)| (name.as_str(), prepare(t))).collect(),
        }
    }

    /// The line of an entry: in the batch where it stands there as it is, else written to `scratch`.
    #[inline]
    pub(crate) fn line<'s>(&'s self, row: &Row, scratch: &'s mut Vec<u8>) -> &'s [u8] {
        scratch.clear();
        if let Some(line) = &self.line
            && line.render(self.batch, row, scratch).is_ok()
        {
            return scratch;
        }
        if let Some(text) = self.batch.sole_text(row.root()) {
            return text;
        }
        write_text(self.batch, row, scratch);
        scratch
    }

    /// The structured metadata of an entry: calls `each` with the names and values it has.
    #[inline]
    pub(crate) fn metadata(&self, row: &Row, scratch: &mut Vec<u8>, mut each: impl FnMut(&str, &[u8])) {
        for (name, template) in &self.metadata {
            scratch.clear();
            if template.render(self.batch, row, scratch).is_ok() && !scratch.is_empty() {
                each(name, scratch);
            }
        }
    }
}
