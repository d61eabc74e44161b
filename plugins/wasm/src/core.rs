//! What the instances of one filter share: the program, its metrics, the quarantine, and the watch over the file.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use suiro_sdk::metrics::{Counter, Gauge, Histogram};
use suiro_sdk::{BlockHealth, FilterSetup, Reason};

use crate::Metering;
use crate::cache::Cache;
use crate::filter::Course;
use crate::inspect::Refusal;
use crate::instance::{Allowance, Failure, FailureKind, Instance, Sandbox};
use crate::program::{Load, Program, hex};
use crate::quarantine::{Quarantine, Turn};
use crate::settings::{Module, Settings};
use crate::view::{Bounds, LogLevel, Surroundings, empty_batch};
use crate::watch::Watch;

/// The guest trapped on the record.
pub(crate) const TRAP: Reason = Reason("wasm_trap");
/// The guest took too long.
pub(crate) const TIMEOUT: Reason = Reason("wasm_timeout");
/// The guest wanted too much memory.
pub(crate) const MEMORY: Reason = Reason("wasm_memory");
/// The guest could not get ready.
pub(crate) const START: Reason = Reason("wasm_start");
/// The guest said that it could not deal with the record, or gave something that is none.
pub(crate) const FAILED: Reason = Reason("wasm_failed");
/// The filter is not called for a while, since it failed too often.
pub(crate) const QUARANTINED: Reason = Reason("wasm_quarantined");

/// How often the log says that records failed.
const SAY_EVERY: Duration = Duration::from_secs(1);

/// What the instances of one filter share.
pub(crate) struct Core {
    pub(crate) settings: Arc<Settings>,
    pub(crate) metrics: FilterMetrics,
    around: Arc<Surroundings>,
    health: BlockHealth,
    cache: Cache,
    program: RwLock<Arc<Program>>,
    quarantine: Mutex<Quarantine>,
    /// Of the file, where it is one.
    watch: Option<Watch>,
    said: Mutex<Option<Instant>>,
}

/// The filter's metrics, beside the ledger.
pub(crate) struct FilterMetrics {
    calls: Histogram,
    pub(crate) taken: Counter,
    pub(crate) out: Counter,
    pub(crate) dropped: Counter,
    pub(crate) made: Counter,
    failures: [Counter; 4],
    memory: Gauge,
    pub(crate) reloads: Counter,
    pub(crate) failed_reloads: Counter,
    quarantines: Counter,
    quarantined: Gauge,
}

// === impl Core ===

impl Core {
    /// Compiles the module and tries an instance.
    pub(crate) fn start(settings: Arc<Settings>, setup: &FilterSetup) -> Result<Core, Refusal> {
        let cache = Cache::new(&setup.data_dir);
        let name = setup.name.clone();
        let own = name.clone();
        let around =
            Surroundings::new(name.clone(), &settings.config, setup.metrics.clone(), move |level, line| match level {
                LogLevel::Error => tracing::error!(filter = %own, "{line}"),
                LogLevel::Warn => tracing::warn!(filter = %own, "{line}"),
                LogLevel::Info => tracing::info!(filter = %own, "{line}"),
                LogLevel::Debug => tracing::debug!(filter = %own, "{line}"),
            });
        let (watch, program) = match &settings.module {
            Module::File { load, checked } => {
                (Some(Watch::of(&load.path)), checked.compile(Metering::Time, Some(&cache))?)
            }
            Module::Remote(remote) => {
                let checked = remote.obtain(&cache)?;
                checked.fits(settings.memory)?;
                (None, checked.compile(Metering::Time, Some(&cache))?)
            }
        };
        let program = Arc::new(program);
        let core = Core {
            metrics: FilterMetrics::new(setup),
            around: Arc::new(around),
            health: setup.health.clone(),
            cache,
            program: RwLock::new(program.clone()),
            quarantine: Mutex::default(),
            watch,
            said: Mutex::default(),
            settings,
        };
        core.try_out(&program)?;
        Ok(core)
    }

    pub(crate) fn name(&self) -> &str {
        self.around.name()
    }

    /// What is to be run now.
    pub(crate) fn program(&self) -> Arc<Program> {
        self.program.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A fresh instance.
    pub(crate) fn instance(&self) -> Result<Instance, Failure> {
        let made = Instance::new(&self.program(), &self.around, &self.sandbox());
        made.inspect_err(|failure| self.metrics.failed(failure.kind))
    }

    fn sandbox(&self) -> Sandbox {
        let Settings { memory, format, .. } = *self.settings;
        Sandbox { memory: memory.as_usize(), bounds: Bounds::default(), format }
    }

    /// Whether an instance of it gets ready, and bears a batch without records.
    fn try_out(&self, program: &Arc<Program>) -> Result<(), Refusal> {
        let allowance = Allowance { time: self.settings.timeout, fuel: u64::MAX };
        let tried = Instance::new(program, &self.around, &self.sandbox())
            .and_then(|mut instance| instance.call(&mut empty_batch(), allowance));
        tried.map(drop).map_err(|failure| Refusal::new(format!("it can't start: {failure}"), ""))
    }

    // === files that change ===

    /// If the file is another one than before, has it loaded on another thread; the instances change over when that is done.
    pub(crate) fn look_for_changes(self: &Arc<Self>, now: Instant) {
        let (Module::File { load, .. }, Some(watch)) = (&self.settings.module, &self.watch) else { return };
        if !watch.has_changed(now) {
            return;
        }
        let (core, load) = (self.clone(), load.clone());
        let thread = std::thread::Builder::new().name("wasm:load".to_owned()).spawn(move || {
            core.reload(&load);
            core.watch.iter().for_each(Watch::done);
        });
        if let Err(error) = thread {
            tracing::warn!(filter = %self.name(), "no thread to be had for loading the module: {error}");
            watch.done();
        }
    }

    fn reload(&self, load: &Load) {
        let path = load.path.display();
        let loaded = load.check().and_then(|checked| {
            if checked.sha256 == self.program().sha256 {
                return Ok(None);
            }
            let program = Arc::new(checked.compile(Metering::Time, Some(&self.cache))?);
            self.try_out(&program)?;
            Ok(Some(program))
        });
        match loaded {
            Ok(None) => self.health.ok(),
            Ok(Some(program)) => {
                tracing::info!(filter = %self.name(), sha256 = hex(&program.sha256[..8]), "{path} changed: the new module is used from now on");
                *self.program.write().unwrap_or_else(PoisonError::into_inner) = program;
                *self.quarantined() = Quarantine::default();
                self.metrics.quarantined.set(0.0);
                self.metrics.reloads.add(1);
                self.health.ok();
            }
            Err(refusal) => {
                let why =
                    format!("{path} changed, and can't be used: {}; the module before it goes on", refusal.message);
                tracing::error!(filter = %self.name(), "{why}");
                self.metrics.failed_reloads.add(1);
                self.health.degraded(&why);
            }
        }
    }

    // === quarantine ===

    /// Why the guest is not to be called now, if that is so.
    pub(crate) fn quarantine(&self, now: Instant) -> Option<String> {
        self.quarantined().why(now)
    }

    /// Takes note of how a batch went.
    pub(crate) fn went(&self, now: Instant, course: Course, why: Option<&str>) {
        if let Some(why) = why
            && course.poisonous > 0
        {
            self.say(now, course, why);
        }
        match self.quarantined().note(now, course, why.unwrap_or_default()) {
            Turn::None => {}
            Turn::Released => {
                tracing::info!(filter = %self.name(), "the filter works again");
                self.metrics.quarantined.set(0.0);
                self.health.ok();
            }
            Turn::Quarantined(why) => {
                tracing::error!(filter = %self.name(), "{why}");
                self.metrics.quarantines.add(1);
                self.metrics.quarantined.set(1.0);
                self.health.degraded(&why);
            }
        }
    }

    fn say(&self, now: Instant, course: Course, why: &str) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.is_none_or(|said| now.duration_since(said) >= SAY_EVERY) {
            *said = Some(now);
            let Course { records, poisonous, .. } = course;
            tracing::warn!(filter = %self.name(), "the filter failed on {poisonous} of {records} records: {why}");
        }
    }

    fn quarantined(&self) -> MutexGuard<'_, Quarantine> {
        self.quarantine.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl FilterMetrics ===

impl FilterMetrics {
    fn new(setup: &FilterSetup) -> FilterMetrics {
        let metrics = &setup.metrics;
        let labels = [("filter", &*setup.name)];
        let counter = |name, help| metrics.counter(name, help, &labels);
        let failures = [FailureKind::Trap, FailureKind::Timeout, FailureKind::Memory, FailureKind::Start].map(|kind| {
            let labels = [("filter", &*setup.name), ("reason", kind.name())];
            metrics.counter(
                "suiro_wasm_failed_calls_total",
                "Calls that failed, those that look for the reason included",
                &labels,
            )
        });
        FilterMetrics {
            calls: metrics.histogram("suiro_wasm_call_seconds", "Time in the guest, by call", &labels),
            taken: counter("suiro_wasm_in_records_total", "Records the guest was given"),
            out: counter("suiro_wasm_out_records_total", "Records the guest passed on"),
            dropped: counter("suiro_wasm_dropped_records_total", "Records the guest dropped"),
            made: counter("suiro_wasm_emitted_records_total", "Records the guest made"),
            failures,
            memory: metrics.gauge("suiro_wasm_memory_bytes", "Memory of the instance that was called last", &labels),
            reloads: counter("suiro_wasm_reloads_total", "Modules that replaced one while running"),
            failed_reloads: counter("suiro_wasm_failed_reloads_total", "Modules that could not replace one"),
            quarantines: counter("suiro_wasm_quarantines_total", "Times the filter was not called for a while"),
            quarantined: metrics.gauge("suiro_wasm_quarantined", "1 while the filter is not called", &labels),
        }
    }

    pub(crate) fn called(&self, time: Duration, memory: usize) {
        self.calls.observe(time);
        self.memory.set(memory as f64);
    }

    pub(crate) fn failed(&self, kind: FailureKind) {
        self.failures[kind as usize].add(1);
    }
}

impl From<FailureKind> for Reason {
    fn from(kind: FailureKind) -> Reason {
        match kind {
            FailureKind::Trap => TRAP,
            FailureKind::Timeout => TIMEOUT,
            FailureKind::Memory => MEMORY,
            FailureKind::Start => START,
        }
    }
}
