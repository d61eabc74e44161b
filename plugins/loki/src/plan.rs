//! From a delivery to streams: which record goes to which tenant, under which labels.

use std::time::Instant;

use hashbrown::HashMap;
use suiro_record::Batch;
use suiro_sdk::http::header::HeaderValue;
use suiro_sdk::lang::Refusal;
use suiro_sdk::{Delivery, Reason, Verdict};

use crate::active::Active;
use crate::labels::LabelSet;
use crate::settings::Settings;

/// Where the records of a delivery go.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// In the order of their first records.
    pub(crate) streams: Vec<Stream>,
    /// Those named by streams. `None`: no tenant is configured.
    pub(crate) tenants: Vec<Option<HeaderValue>>,
    /// Records that go nowhere.
    pub(crate) apart: Vec<(usize, Verdict)>,
    /// Records that lost labels since there were too many streams.
    pub(crate) limited: usize,
}

/// Records with the same labels.
#[derive(Debug)]
pub(crate) struct Stream {
    /// Index into the tenants.
    pub(crate) tenant: usize,
    pub(crate) labels: LabelSet,
    /// In the order of the delivery.
    pub(crate) entries: Vec<Entry>,
}

/// A record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    /// Its number in the delivery.
    pub(crate) number: u32,
    /// Its part.
    pub(crate) part: u32,
    /// Its row in the part's batch.
    pub(crate) row: u32,
}

/// What was decided about a key.
#[derive(Clone, Copy)]
struct Chosen {
    stream: usize,
    limited: bool,
}

/// Behind the tenant in a key; no tenant's name holds it.
const TENANT_END: u8 = b'\n';

// === impl Plan ===

impl Plan {
    pub(crate) fn new(settings: &Settings, active: &mut Active, delivery: &Delivery, now: Instant) -> Plan {
        let mut plan = Plan::default();
        let mut chosen: HashMap<Vec<u8>, Chosen> = HashMap::new();
        let mut tenants: HashMap<Vec<u8>, usize> = HashMap::new();
        let mut key = Vec::new();
        let mut last: Option<(Vec<u8>, Chosen)> = None;
        // All records go the same way: nothing to look at but the first.
        let fixed = settings.labels.are_fixed() && settings.tenant.as_ref().is_none_or(|t| t.is_literal().is_some());
        let mut number = 0_u32;
        for (at, part) in delivery.parts.iter().enumerate() {
            let batch: &Batch = &part.batch;
            let labels = settings.labels.prepare(batch);
            let tenant = settings.tenant.as_ref().map(|tenant| tenant.prepare(batch));
            for n in 0..part.len() {
                let row_at = part.row_index(n);
                let entry = Entry { number, part: at as u32, row: row_at };
                if fixed && let Some((_, choice)) = &last {
                    plan.streams[choice.stream].entries.push(entry);
                    number += 1;
                    continue;
                }
                let row = &batch.rows[row_at as usize];
                key.clear();
                if let Some(tenant) = &tenant
                    && let Err(refusal) = tenant.render(batch, row, &mut key)
                {
                    plan.apart.push((number as usize, verdict(&refusal)));
                    number += 1;
                    continue;
                }
                key.push(TENANT_END);
                labels.write_key(batch, row, &mut key);
                let choice = match &last {
                    Some((before, choice)) if *before == key => *choice,
                    _ => {
                        let choice = match chosen.get(&key) {
                            Some(choice) => *choice,
                            None => plan.choose(settings, active, &mut chosen, &mut tenants, &key, now),
                        };
                        last = Some((key.clone(), choice));
                        choice
                    }
                };
                plan.limited += usize::from(choice.limited);
                plan.streams[choice.stream].entries.push(entry);
                number += 1;
            }
        }
        plan
    }

    /// Finds a stream for a key that is new in this delivery.
    fn choose(
        &mut self,
        settings: &Settings,
        active: &mut Active,
        chosen: &mut HashMap<Vec<u8>, Chosen>,
        tenants: &mut HashMap<Vec<u8>, usize>,
        key: &[u8],
        now: Instant,
    ) -> Chosen {
        let split = key.iter().position(|&b| b == TENANT_END).unwrap_or(0);
        let (name, values) = (&key[..split], &key[split + 1..]);
        let mut fixed = name.to_vec();
        fixed.push(TENANT_END);
        settings.labels.write_fixed_key(&mut fixed);
        let limited = key != fixed && !active.admit(key, now);
        let choice = match chosen.get(&fixed) {
            Some(choice) if limited => Chosen { limited, ..*choice },
            _ => {
                let tenant = *tenants.entry(name.to_vec()).or_insert_with(|| {
                    // A name that passed the check of a tenant is a header's value.
                    let value = settings.tenant.as_ref().and_then(|_| HeaderValue::from_bytes(name).ok());
                    self.tenants.push(value);
                    self.tenants.len() - 1
                });
                let values = if limited { &fixed[split + 1..] } else { values };
                let labels = settings.labels.set(values);
                self.streams.push(Stream { tenant, labels, entries: Vec::new() });
                let choice = Chosen { stream: self.streams.len() - 1, limited };
                if limited {
                    chosen.insert(fixed, Chosen { limited: false, ..choice });
                }
                choice
            }
        };
        chosen.insert(key.to_vec(), choice);
        choice
    }
}

fn verdict(refusal: &Refusal<'_>) -> Verdict {
    if refusal.is_drop() {
        Verdict::Drop(Reason::MISSING_FIELD)
    } else {
        Verdict::Refused { reason: refusal.reason(), detail: format!("`tenant`: {refusal}") }
    }
}
