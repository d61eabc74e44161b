//! The filter: what is known goes to the resource of records.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use suiro_record::{Attributes, Scope};
use suiro_sdk::metrics::Counter;
use suiro_sdk::{Filter, FilterContext, FilterFactory, FilterSetup, Flow, Selection, StartError};

use super::keeper::{Ask, Keeper, Known};
use super::settings::Settings;

/// Scopes that are remembered: those of sources, which come again. Inputs that make a scope for each request would fill any
/// number.
const REMEMBERED: usize = 256;

/// A filter, as configured.
pub(super) struct Metadata {
    ask: Arc<dyn Ask>,
    settings: Settings,
    known: Arc<Known>,
    keeper: Mutex<Option<Keeper>>,
    missing: Arc<OnceLock<Counter>>,
}

/// One that works.
struct Worker {
    known: Arc<Known>,
    replace: bool,
    missing: Arc<OnceLock<Counter>>,
    /// What the scopes below were made with.
    facts: Arc<Attributes>,
    /// By address of the scope before, which is kept and so can't become another one's.
    scopes: HashMap<usize, (Arc<Scope>, Arc<Scope>)>,
}

// === impl Metadata ===

impl Metadata {
    /// What `ask` finds out, as `settings` say.
    pub(super) fn boxed(ask: impl Ask, settings: Settings) -> Box<dyn FilterFactory> {
        let missing = Arc::default();
        Box::new(Metadata { ask: Arc::new(ask), settings, known: Arc::default(), keeper: Mutex::default(), missing })
    }
}

impl FilterFactory for Metadata {
    fn start(&self, setup: FilterSetup) -> Result<(), StartError> {
        let missing = setup.metrics.counter(
            "suiro_metadata_missing_records_total",
            "Records that went on before metadata was known",
            &[("filter", &setup.name)],
        );
        // A second start would be of the same filter.
        let _ = self.missing.set(missing);
        let keeper = Keeper::start(self.ask.clone(), self.known.clone(), &self.settings, &setup)?;
        *self.keeper.lock().unwrap_or_else(PoisonError::into_inner) = Some(keeper);
        Ok(())
    }

    fn instance(&self) -> Box<dyn Filter> {
        Box::new(Worker {
            known: self.known.clone(),
            replace: self.settings.replace,
            missing: self.missing.clone(),
            facts: Arc::default(),
            scopes: HashMap::new(),
        })
    }
}

// === impl Worker ===

impl Filter for Worker {
    fn apply(&mut self, flow: &mut Flow, rows: &Selection, cx: &mut FilterContext) {
        let batch = &mut flow.batch;
        let Some(facts) = self.known.facts() else {
            let records = rows.count(batch.rows.len());
            cx.failed += records;
            if let Some(missing) = self.missing.get() {
                missing.add(records as u64);
            }
            return;
        };
        if !Arc::ptr_eq(&facts, &self.facts) {
            self.scopes.clear();
            self.facts = facts;
        }
        if *rows == Selection::All {
            for index in 0..batch.scopes().len() {
                let scope = self.scope(&batch.scopes()[index].clone());
                // There are no more than an index can say.
                batch.replace_scope(index as u16, scope);
            }
            return;
        }
        // By the scope that was: the one that is.
        let mut places: Vec<Option<u16>> = vec![None; batch.scopes().len()];
        for row in 0..batch.rows.len() {
            if !rows.has(row) {
                continue;
            }
            let before = usize::from(batch.rows[row].scope);
            let place = match places.get(before).copied().flatten() {
                Some(place) => Some(place),
                None => {
                    let scope = self.scope(&batch.scopes()[before].clone());
                    batch.try_add_scope(&scope)
                }
            };
            match place {
                Some(place) => {
                    places[before] = Some(place);
                    batch.rows[row].scope = place;
                }
                None => cx.failed += 1,
            }
        }
    }
}

impl Worker {
    /// The scope with what is known.
    fn scope(&mut self, before: &Arc<Scope>) -> Arc<Scope> {
        let address = Arc::as_ptr(before) as usize;
        if let Some((_, after)) = self.scopes.get(&address) {
            return after.clone();
        }
        let after = self.enriched(before);
        if self.scopes.len() == REMEMBERED {
            self.scopes.clear();
        }
        self.scopes.insert(address, (before.clone(), after.clone()));
        after
    }

    fn enriched(&self, before: &Arc<Scope>) -> Arc<Scope> {
        let mut after: Option<Scope> = None;
        for (name, value) in &*self.facts {
            let at = before.resource.iter().position(|(known, _)| known == name);
            match at {
                Some(at) if self.replace => {
                    after.get_or_insert_with(|| (**before).clone()).resource[at].1 = value.clone()
                }
                Some(_) => {}
                None => {
                    let after = after.get_or_insert_with(|| (**before).clone());
                    after.resource.push((name.clone(), value.clone()));
                }
            }
        }
        after.map_or_else(|| before.clone(), Arc::new)
    }
}
