//! The engine, its clock, and compiling.
//!
//! One engine for all filters of the process, made when the first module is loaded. Time is counted in epochs of
//! [`TICK`]: a thread counts them while calls run and sleeps when none has for a while. `suiro wasm test` has an engine of
//! its own, which counts fuel as well: the same on every machine. It counts no work of the agent's own, so time is bounded
//! there too.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::Thread;
use std::time::Duration;

use wasmtime::{Config, Engine, InstanceAllocationStrategy, Module, PoolingAllocationConfig};

/// How finely time is told.
pub(crate) const TICK: Duration = Duration::from_millis(1);
/// Stack of a guest's own, bytes.
pub(crate) const STACK: usize = 512 << 10;
/// Instances that live at one time, all filters and workers together. An address space is reserved for each, no memory.
const INSTANCES: u32 = 1000;
/// Most entries of a guest's table.
pub(crate) const TABLE: usize = 100_000;
/// Ticks without a call after which the clock stops.
const IDLE: u32 = 20;
/// Stack of the threads that compile: the compiler recurses as deep as a module nests.
const COMPILER_STACK: usize = 16 << 20;

/// How much a guest may do is counted in time, or in instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Metering {
    /// Time, for production: nearly free.
    Time,
    /// Fuel and time, for tests and comparisons: exact, and a third slower.
    Fuel,
}

static ENGINES: [OnceLock<Result<Engine, String>>; 2] = [OnceLock::new(), OnceLock::new()];

/// The engine for that way of metering.
pub(crate) fn engine(metering: Metering) -> Result<Engine, String> {
    ENGINES[metering as usize].get_or_init(|| make(metering)).clone()
}

fn make(metering: Metering) -> Result<Engine, String> {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_core_instances(INSTANCES)
        .total_memories(INSTANCES)
        .total_tables(INSTANCES)
        .table_elements(TABLE)
        .max_core_instance_size(4 << 20);
    let mut config = Config::new();
    config
        .max_wasm_stack(STACK)
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        .epoch_interruption(true)
        .consume_fuel(metering == Metering::Fuel)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    // Where the system gives no such address space (a limit, an emulator), each instance asks for its own.
    Engine::new(&config)
        .or_else(|_| Engine::new(config.allocation_strategy(InstanceAllocationStrategy::OnDemand)))
        .map_err(|error| format!("WebAssembly does not run on this machine: {error:#}"))
}

/// Compiles a module, on threads that end with it.
pub(crate) fn compile(engine: &Engine, bytes: &[u8]) -> Result<Module, String> {
    let threads = rayon::ThreadPoolBuilder::new()
        .stack_size(COMPILER_STACK)
        .thread_name(|_| "wasm:compile".to_owned())
        .build()
        .map_err(|error| format!("no threads to be had for compiling: {error}"))?;
    threads.install(|| Module::new(engine, bytes)).map_err(|error| format!("{error:#}"))
}

/// Counts epochs while it is held.
pub(crate) struct Ticking(());

struct Clock {
    calls: AtomicUsize,
    /// The thread, when it sleeps.
    asleep: Mutex<Option<Thread>>,
}

static CLOCK: OnceLock<Option<Arc<Clock>>> = OnceLock::new();

// === impl Ticking ===

impl Ticking {
    pub(crate) fn start() -> Ticking {
        let clock = CLOCK.get_or_init(|| {
            let clock = Arc::new(Clock { calls: AtomicUsize::new(0), asleep: Mutex::default() });
            let own = clock.clone();
            let thread = std::thread::Builder::new().name("wasm:clock".to_owned()).spawn(move || own.run());
            thread.ok().map(|_| clock)
        });
        if let Some(clock) = clock
            && clock.calls.fetch_add(1, SeqCst) == 0
            && let Some(thread) = clock.asleep.lock().unwrap_or_else(PoisonError::into_inner).take()
        {
            thread.unpark();
        }
        Ticking(())
    }
}

impl Drop for Ticking {
    fn drop(&mut self) {
        if let Some(Some(clock)) = CLOCK.get() {
            clock.calls.fetch_sub(1, SeqCst);
        }
    }
}

// === impl Clock ===

impl Clock {
    fn run(&self) {
        let mut idle = 0;
        loop {
            std::thread::sleep(TICK);
            for engine in ENGINES.iter().filter_map(OnceLock::get).flatten() {
                engine.increment_epoch();
            }
            idle = if self.calls.load(SeqCst) > 0 { 0 } else { idle + 1 };
            if idle < IDLE {
                continue;
            }
            *self.asleep.lock().unwrap_or_else(PoisonError::into_inner) = Some(std::thread::current());
            // A call that began before that found nobody to wake.
            if self.calls.load(SeqCst) == 0 {
                std::thread::park();
            }
            self.asleep.lock().unwrap_or_else(PoisonError::into_inner).take();
            idle = 0;
        }
    }
}
