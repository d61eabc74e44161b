//! WASM filters: users' own code in the chain, in a sandbox.
//!
//! | part | is |
//! | --- | --- |
//! | `inspect` | what a module is, without compiling it |
//! | `program`, `cache`, `engine` | compiling, and keeping what was compiled |
//! | `remote` | fetching what is no file: `https://`, OCI registries |
//! | [`view`] | the functions a guest may call, and what a call did; knows nothing of WebAssembly |
//! | `link`, `wasi`, `fluentbit` | those functions, and others', as a module imports them |
//! | `instance` | a guest that runs, and calls of it |
//! | `filter`, `sorted` | a batch through a guest; finding the records it fails on; `on_error` |
//! | `core`, `quarantine`, `watch` | what a filter's instances share: the module, files that change, failures that repeat |
//!
//! A filter sends a batch to a guest in one call. Records stay in the agent, and the guest reads and changes them through
//! handles (`wasm-filters/suiro_v1.md` is the contract). Everything a guest does in a call is taken back if the call fails.
//!
//! For tools that run a module over records without an agent: [`Load::check`], [`Checked::compile`] with
//! [`Metering::Fuel`], [`Instance::new`], [`Instance::call`], and the [`Effects`] of each call; [`config`] and
//! [`check_on_error`] read settings as the filter does.

mod cache;
mod core;
mod engine;
mod filter;
mod fluentbit;
mod inspect;
mod instance;
mod limits;
mod link;
mod program;
mod quarantine;
mod remote;
mod settings;
mod sorted;
mod wasi;
mod watch;

pub mod view;

#[cfg(test)]
mod tests;

use std::sync::{Arc, OnceLock};

use suiro_record::Value;
use suiro_sdk::settings::{Reported, Section};
use suiro_sdk::{Filter, FilterFactory, FilterSetup, Registry, StartError};

pub use crate::cache::Cache;
pub use crate::engine::Metering;
pub use crate::fluentbit::Format;
pub use crate::inspect::{Abi, Export, Import, Inspection, Interface, Item, MAX_MODULE, Refusal};
pub use crate::instance::{Allowance, Failure, FailureKind, Host, Instance, Sandbox};
#[doc(hidden)]
pub use crate::link::call;
pub use crate::link::{FUNCTIONS, Function, MODULE, Ty};
pub use crate::program::{Checked, Load, Program, Wanted, hex};
pub use crate::view::{Bounds, Effects, Fate, LogLevel, Surroundings, View};

use crate::core::Core;
use crate::filter::WasmFilter;
use crate::settings::Settings;

/// Adds the filter.
pub fn register(registry: &mut Registry) {
    registry.filter("wasm", "runs code of your own, compiled to WebAssembly", build);
}

/// Reads the settings, and checks the module.
pub fn build(section: &Section) -> Result<Box<dyn FilterFactory>, Reported> {
    let settings = Arc::new(settings::read(section)?);
    Ok(Box::new(Wasm { settings, core: OnceLock::new() }))
}

/// A section's settings as a map: what stands in a filter's `config = { .. }`.
pub fn config(section: &Section) -> Result<Value, Reported> {
    settings::config(section)
}

/// Whether that is what a filter's `on_error` can be.
pub fn check_on_error(word: &str) -> Result<(), Refusal> {
    settings::OnError::read(word).map(drop)
}

/// The filter, as configured.
struct Wasm {
    settings: Arc<Settings>,
    /// Once it was started.
    core: OnceLock<Arc<Core>>,
}

impl FilterFactory for Wasm {
    fn start(&self, setup: FilterSetup) -> Result<(), StartError> {
        let core = Core::start(self.settings.clone(), &setup).map_err(|refusal| {
            let help = if refusal.help.is_empty() { String::new() } else { format!("; {}", refusal.help) };
            StartError(format!("filter `{}`: {}: {refusal}{help}", setup.name, self.settings.module))
        })?;
        // Starting twice leaves it as it is.
        let _ = self.core.set(Arc::new(core));
        Ok(())
    }

    fn instance(&self) -> Box<dyn Filter> {
        let core = self.core.get().expect("a filter is started before there are instances of it");
        Box::new(WasmFilter::new(core.clone()))
    }
}
