//! An instance of a module, and calls of it.
//!
//! An instance belongs to one thread. After a call that failed it must not be used again: what it holds in its memory is
//! anything. The batch of such a call is as it was before.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use suiro_record::Batch;
use wasmtime::{AsContextMut, Caller, Memory, Store, Trap, TypedFunc, WasmBacktrace};

use crate::engine::{STACK, TICK, Ticking};
use crate::fluentbit;
use crate::inspect::Interface;
use crate::limits::{Limits, TooMuchMemory};
use crate::program::Program;
use crate::view::{Bounds, Effects, Surroundings, View};
use crate::wasi::Output;

/// Time for a guest to get ready.
const START: Duration = Duration::from_secs(10);
/// Time for a guest's last words.
const FLUSH: Duration = Duration::from_millis(100);

/// What a guest may use.
#[derive(Clone, Debug)]
pub struct Sandbox {
    /// Bytes of memory.
    pub memory: usize,
    /// What a call may add to a batch.
    pub bounds: Bounds,
    /// How Fluent Bit's interface passes records.
    pub format: fluentbit::Format,
}

/// How much one call may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Time.
    pub time: Duration,
    /// Fuel, where the program's [`Metering`](crate::Metering) counts it.
    pub fuel: u64,
}

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Failure {
    /// What kind of failure it is.
    pub kind: FailureKind,
    /// What the guest did wrong.
    pub detail: String,
}

/// What kind of failure it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FailureKind {
    /// It trapped.
    Trap,
    /// It took too long.
    Timeout,
    /// It wanted too much memory.
    Memory,
    /// It could not get ready.
    Start,
}

/// An instance.
pub struct Instance {
    store: Store<Host>,
    memory: Memory,
    entry: Entry,
    program: Arc<Program>,
    /// Bytes of memory when it was ready.
    at_first: usize,
    failed: bool,
}

enum Entry {
    SuiroV1 { process: TypedFunc<i32, ()>, flush: Option<TypedFunc<(), ()>> },
    FluentBit(Box<fluentbit::Guest>),
}

/// What an instance's host functions work with.
pub struct Host {
    pub(crate) view: View,
    pub(crate) limits: Limits,
    /// The guest's memory, once it is there.
    memory: Option<Memory>,
    output: Output,
    pub(crate) libc: fluentbit::libc::Heap,
    pub(crate) began: Instant,
}

// === impl Host ===

impl Host {
    /// The guest's memory and the rest. While a module is being instantiated there is no memory: then nothing can be
    /// pointed at.
    #[inline]
    pub(crate) fn of<'c>(caller: &'c mut Caller<'_, Host>) -> (&'c mut [u8], &'c mut Host) {
        match caller.data().memory {
            Some(memory) => memory.data_and_store_mut(caller),
            None => (&mut [], caller.data_mut()),
        }
    }

    /// The guest's memory.
    pub(crate) fn memory(&self) -> Option<Memory> {
        self.memory
    }

    /// What the guest wrote to its standard output (0) or error (1).
    pub(crate) fn print(&mut self, stream: usize, text: &[u8]) {
        let around = self.view.surroundings().clone();
        self.output.print(stream, text, |level, line| around.say(level, line));
    }
}

// === impl Instance ===

impl Instance {
    /// Makes an instance and has it get ready.
    pub fn new(program: &Arc<Program>, around: &Arc<Surroundings>, sandbox: &Sandbox) -> Result<Instance, Failure> {
        let host = Host {
            view: View::new(around.clone(), sandbox.bounds),
            limits: Limits { memory: sandbox.memory },
            memory: None,
            output: Output::default(),
            libc: fluentbit::libc::Heap::default(),
            began: Instant::now(),
        };
        let mut store = Store::new(&program.engine, host);
        store.limiter(|host| &mut host.limits);
        allow(&mut store, program, Allowance { time: START, fuel: u64::MAX });
        let ticking = Ticking::start();
        let failed = |error: wasmtime::Error| {
            let failure = Failure::of(&error, START);
            Failure { kind: FailureKind::Start, ..failure }
        };
        let instance = program.pre.instantiate(&mut store).map_err(failed)?;
        let start = |detail: &str| Failure { kind: FailureKind::Start, detail: detail.to_owned() };
        let memory = instance.get_memory(&mut store, "memory").ok_or_else(|| start("it has no memory"))?;
        store.data_mut().memory = Some(memory);
        if let Ok(initialize) = instance.get_typed_func::<(), ()>(&mut store, "_initialize") {
            initialize.call(&mut store, ()).map_err(failed)?;
        }
        let entry = match &program.interface {
            Interface::SuiroV1 => {
                let version = instance.get_typed_func::<(), i32>(&mut store, "suiro_version").map_err(failed)?;
                let version = version.call(&mut store, ()).map_err(failed)?;
                if version != 1 {
                    return Err(start(&format!(
                        "it wants version {version} of the interface; the agent has version 1"
                    )));
                }
                if let Ok(init) = instance.get_typed_func::<(), i32>(&mut store, "init") {
                    let code = init.call(&mut store, ()).map_err(failed)?;
                    if code != 0 {
                        let detail =
                            format!("its `init` answered {code}: it can't work as configured; its log says why");
                        return Err(start(&detail));
                    }
                }
                Entry::SuiroV1 {
                    process: instance.get_typed_func(&mut store, "process").map_err(failed)?,
                    flush: instance.get_typed_func(&mut store, "flush").ok(),
                }
            }
            Interface::FluentBit { function } => {
                let guest = fluentbit::Guest::new(&mut store, &instance, function, sandbox.format).map_err(failed)?;
                Entry::FluentBit(Box::new(guest))
            }
        };
        drop(ticking);
        store.data_mut().view.commit_metrics();
        let at_first = memory.data_size(&store);
        Ok(Instance { store, memory, entry, program: program.clone(), at_first, failed: false })
    }

    /// Calls it with all records of `batch`. Where it fails, the batch is as it was, and the instance must not be used
    /// again.
    pub fn call(&mut self, batch: &mut Batch, allowance: Allowance) -> Result<Effects, Failure> {
        if self.failed {
            let detail = "it failed before, and must be made anew".to_owned();
            return Err(Failure { kind: FailureKind::Start, detail });
        }
        let count = i32::try_from(batch.len()).unwrap_or(i32::MAX);
        allow(&mut self.store, &self.program, allowance);
        self.failed = true;
        self.store.data_mut().view.begin(batch);
        let ticking = Ticking::start();
        // A panic of the host's must not keep the batch.
        let result = catch_unwind(AssertUnwindSafe(|| match &mut self.entry {
            Entry::SuiroV1 { process, .. } => process.call(&mut self.store, count),
            Entry::FluentBit(guest) => guest.process(&mut self.store),
        }));
        drop(ticking);
        let view = &mut self.store.data_mut().view;
        match result {
            Ok(Ok(())) => {
                self.failed = false;
                Ok(view.commit(batch))
            }
            Ok(Err(error)) => {
                view.rollback(batch);
                Err(Failure::of(&error, allowance.time))
            }
            Err(panic) => {
                view.rollback(batch);
                resume_unwind(panic)
            }
        }
    }

    /// Its last words, before it is let go of.
    pub fn flush(&mut self) -> Result<(), Failure> {
        let Entry::SuiroV1 { flush: Some(flush), .. } = &self.entry else { return Ok(()) };
        if self.failed {
            return Ok(());
        }
        allow(&mut self.store, &self.program, Allowance { time: FLUSH, fuel: u64::MAX });
        let ticking = Ticking::start();
        let result = flush.call(&mut self.store, ());
        drop(ticking);
        let view = &mut self.store.data_mut().view;
        result.map(|()| view.commit_metrics()).map_err(|error| {
            self.failed = true;
            Failure::of(&error, FLUSH)
        })
    }

    /// Bytes of memory it has.
    pub fn memory(&self) -> usize {
        self.memory.data_size(&self.store)
    }

    /// Bytes of memory it had when it was ready.
    pub fn memory_at_first(&self) -> usize {
        self.at_first
    }

    /// Fuel that is left of the last call's allowance, where fuel is counted.
    pub fn fuel_left(&self) -> Option<u64> {
        self.store.get_fuel().ok()
    }

    /// What it was made of.
    pub fn program(&self) -> &Arc<Program> {
        &self.program
    }
}

/// Gives the guest as much as it may use next.
fn allow(store: &mut Store<Host>, program: &Program, allowance: Allowance) {
    let ticks = allowance.time.as_nanos() / TICK.as_nanos();
    // The tick under way is not a whole one.
    store.as_context_mut().set_epoch_deadline(u64::try_from(ticks).unwrap_or(u64::MAX >> 1).saturating_add(1));
    if program.metering == crate::Metering::Fuel {
        // It can't fail where fuel is counted.
        let _ = store.set_fuel(allowance.fuel);
    }
}

// === impl Failure ===

impl Failure {
    fn of(error: &wasmtime::Error, time: Duration) -> Failure {
        let (kind, what) = if let Some(trap) = error.downcast_ref::<Trap>() {
            match trap {
                Trap::Interrupt => (FailureKind::Timeout, format!("it took longer than {time:?}")),
                Trap::OutOfFuel => (FailureKind::Timeout, "it used up its fuel".to_owned()),
                Trap::StackOverflow => {
                    (FailureKind::Trap, format!("it recursed too deep: its stack of {} KiB is used up", STACK >> 10))
                }
                Trap::UnreachableCodeReached => {
                    (FailureKind::Trap, "it aborted (`unreachable`: a panic, or a failed assertion)".to_owned())
                }
                other => (FailureKind::Trap, other.to_string().replace("wasm trap: ", "it trapped: ")),
            }
        } else if error.downcast_ref::<TooMuchMemory>().is_some() {
            (FailureKind::Memory, error.root_cause().to_string())
        } else {
            (FailureKind::Trap, error.root_cause().to_string())
        };
        Failure { kind, detail: what + &place(error) }
    }
}

/// Where in the guest it happened, as far as the module names its functions.
fn place(error: &wasmtime::Error) -> String {
    let Some(trace) = error.downcast_ref::<WasmBacktrace>() else { return String::new() };
    let name = |frame: &wasmtime::FrameInfo| match frame.func_name() {
        Some(name) => name.chars().take(100).collect(),
        None => format!("function {}", frame.func_index()),
    };
    let names: Vec<String> = trace.frames().iter().take(3).map(name).collect();
    if names.is_empty() { String::new() } else { format!(", in {}", names.join(" < ")) }
}

// === impl FailureKind ===

impl FailureKind {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            FailureKind::Trap => "trap",
            FailureKind::Timeout => "timeout",
            FailureKind::Memory => "memory",
            FailureKind::Start => "start",
        }
    }
}
