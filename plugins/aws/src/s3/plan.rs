//! Which records of a delivery go into which object.

use std::collections::HashMap;

use suiro_record::{Batch, Row};
use suiro_sdk::{Delivery, Verdict};

use super::key::Identity;
use super::settings::Settings;

/// A delivery, by object.
#[derive(Debug, Default)]
pub(crate) struct Plan<'a> {
    /// None empty.
    pub(crate) objects: Vec<Object<'a>>,
    /// Records without a key.
    pub(crate) apart: Vec<(usize, Verdict)>,
}

/// An object to be.
#[derive(Debug)]
pub(crate) struct Object<'a> {
    prefix: String,
    /// In order: the number in the delivery, and the record.
    pub(crate) records: Vec<(usize, &'a Batch, &'a Row)>,
}

// === impl Plan ===

impl<'a> Plan<'a> {
    pub(crate) fn new(settings: &Settings, delivery: &'a Delivery) -> Self {
        let mut plan = Plan::default();
        let mut known: HashMap<String, usize> = HashMap::new();
        let mut prefix = Vec::new();
        let mut last = 0;
        let mut number = 0;
        for part in &delivery.parts {
            let batch: &Batch = &part.batch;
            let key = settings.key.prepare(batch);
            for row in part.records() {
                prefix.clear();
                match key.render(batch, row, &mut prefix) {
                    Ok(()) => {
                        // Records that follow each other mostly go to the same place. What is rendered is UTF-8.
                        let text = std::str::from_utf8(&prefix).unwrap_or_default();
                        if plan.objects.get(last).is_none_or(|object| object.prefix != text) {
                            last = plan.object(text, &mut known);
                        }
                        plan.objects[last].records.push((number, batch, row));
                    }
                    Err(refusal) if refusal.is_drop() => plan.apart.push((number, Verdict::Drop(refusal.reason()))),
                    Err(refusal) => {
                        let verdict =
                            Verdict::Refused { reason: refusal.reason(), detail: format!("`key`: {refusal}") };
                        plan.apart.push((number, verdict));
                    }
                }
                number += 1;
            }
        }
        plan
    }

    fn object(&mut self, prefix: &str, known: &mut HashMap<String, usize>) -> usize {
        if let Some(&at) = known.get(prefix) {
            return at;
        }
        let at = self.objects.len();
        known.insert(prefix.to_owned(), at);
        self.objects.push(Object { prefix: prefix.to_owned(), records: Vec::new() });
        at
    }
}

// === impl Object ===

impl Object<'_> {
    /// Leaves the first half of its records, and gives an object of the others. Each has a key of its own, made of its
    /// records as always: cut again, they are the same two objects.
    pub(crate) fn split_off_half(&mut self) -> Self {
        let records = self.records.split_off(self.records.len() / 2);
        Object { prefix: self.prefix.clone(), records }
    }

    /// Its key, as an object of the output `output`.
    pub(crate) fn key(&self, settings: &Settings, output: &str) -> String {
        let mut identity = Identity::new(output);
        for (_, batch, row) in &self.records {
            identity.add(&batch.origin(row));
        }
        let first = self.records.first().map_or(0, |(_, _, row)| row.time);
        identity.key(&self.prefix, first, settings.suffix(), settings.compression)
    }

    /// The numbers of its records.
    pub(crate) fn numbers(&self) -> Vec<usize> {
        self.records.iter().map(|(number, ..)| *number).collect()
    }
}
