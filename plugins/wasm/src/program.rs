//! A module that is ready to run: read, checked, compiled.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use sha2::{Digest as _, Sha256};
use suiro_sdk::settings::ByteSize;
use wasmtime::{Engine, InstancePre, Linker, Module};

use crate::cache::Cache;
use crate::engine::{self, Metering};
use crate::inspect::{Abi, Inspection, Interface, MAX_MODULE, Refusal};
use crate::instance::Host;
use crate::{fluentbit, link, wasi};

/// A file that is to be loaded.
#[derive(Clone, Debug)]
pub struct Load {
    /// The file.
    pub path: PathBuf,
    /// What it has to be.
    pub wanted: Wanted,
}

/// What a module has to be.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// The interface, where it is not to be found out.
    pub abi: Option<Abi>,
    /// `function_name`, of Fluent Bit's interface.
    pub function: Option<String>,
    /// What its SHA-256 must be.
    pub sha256: Option<[u8; 32]>,
}

/// A module's bytes, read and checked, not yet compiled.
#[derive(Clone, Debug)]
pub struct Checked {
    bytes: Arc<[u8]>,
    /// Its interface.
    pub interface: Interface,
    /// Its outside.
    pub inspection: Inspection,
    /// SHA-256 of its bytes.
    pub sha256: [u8; 32],
}

/// A compiled module.
#[derive(Clone)]
pub struct Program {
    pub(crate) engine: Engine,
    pub(crate) pre: InstancePre<Host>,
    /// Kept so that others find it.
    _module: Arc<Module>,
    /// Its interface.
    pub interface: Interface,
    /// How it is metered.
    pub metering: Metering,
    /// SHA-256 of its bytes.
    pub sha256: [u8; 32],
}

// === impl Load ===

impl Load {
    /// The file's bytes, whatever they are, but not more of them than a module may have.
    pub fn read(&self) -> Result<Vec<u8>, Refusal> {
        read(&self.path)
    }

    /// Reads the file and checks all that can be checked without compiling it.
    pub fn check(&self) -> Result<Checked, Refusal> {
        self.wanted.check(self.read()?)
    }
}

// === impl Wanted ===

impl Wanted {
    /// Checks all of a module that can be checked without compiling it.
    pub(crate) fn check(&self, bytes: Vec<u8>) -> Result<Checked, Refusal> {
        let sha256: [u8; 32] = Sha256::digest(&bytes).into();
        if let Some(wanted) = self.sha256
            && wanted != sha256
        {
            let message = format!("its SHA-256 is {}, `sha256` says {}", hex(&sha256), hex(&wanted));
            return Err(Refusal::new(message, "it is another one than was pinned"));
        }
        let inspection = Inspection::of(&bytes)?;
        let interface = inspection.interface(self.abi, self.function.as_deref())?;
        let engine = engine::engine(Metering::Time).map_err(|error| Refusal::new(error, ""))?;
        Module::validate(&engine, &bytes).map_err(|error| {
            let help = "is the file complete? It may also use a feature of WebAssembly that the agent does not take";
            Refusal::new(format!("it is no valid WebAssembly: {}", error.root_cause()), help)
        })?;
        Ok(Checked { bytes: bytes.into(), interface, inspection, sha256 })
    }
}

// === impl Checked ===

impl Checked {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether it can start with that much memory.
    pub(crate) fn fits(&self, memory: ByteSize) -> Result<(), Refusal> {
        match self.inspection.memory {
            Some(start) if start > memory.bytes() => {
                let wants = ByteSize(start.next_multiple_of(1 << 20));
                let message = format!("it starts with {wants} of memory, and may have {memory}");
                Err(Refusal::new(message, format!("set memory = \"{wants}\" or more")))
            }
            _ => Ok(()),
        }
    }

    /// Compiles it, or takes what was compiled before. Takes seconds for large modules: not for a worker's thread.
    pub fn compile(&self, metering: Metering, cache: Option<&Cache>) -> Result<Program, Refusal> {
        let refused = |error: String| Refusal::new(format!("it can't be compiled: {error}"), "");
        let engine = engine::engine(metering).map_err(|error| Refusal::new(error, ""))?;
        let module = shared(metering, &self.sha256, || match cache {
            Some(cache) => cache.module(&engine, &self.bytes, &self.sha256),
            None => engine::compile(&engine, &self.bytes),
        });
        let module = module.map_err(refused)?;
        let mut linker = Linker::new(&engine);
        let linked = match &self.interface {
            Interface::SuiroV1 => link::link(&mut linker),
            Interface::FluentBit { .. } => fluentbit::libc::link(&mut linker),
        };
        let pre = linked.and_then(|()| wasi::link(&mut linker)).and_then(|()| linker.instantiate_pre(&module));
        let pre = pre.map_err(|error| Refusal::new(format!("it can't be linked: {error:#}"), ""))?;
        Ok(Program { engine, pre, _module: module, interface: self.interface.clone(), metering, sha256: self.sha256 })
    }
}

impl std::fmt::Debug for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Program").field("interface", &self.interface).field("sha256", &hex(&self.sha256)).finish()
    }
}

/// Modules that are in use, so that filters of the same module have its code once.
static IN_USE: Mutex<Vec<InUse>> = Mutex::new(Vec::new());

type InUse = (Metering, [u8; 32], Weak<Module>);

/// The module with that hash: the one in use, or made.
fn shared(
    metering: Metering,
    sha256: &[u8; 32],
    make: impl FnOnce() -> Result<Module, String>,
) -> Result<Arc<Module>, String> {
    let lock = || IN_USE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut in_use = lock();
    in_use.retain(|(.., module)| module.strong_count() > 0);
    let found = in_use.iter().find(|(how, which, _)| *how == metering && which == sha256);
    if let Some(module) = found.and_then(|(.., module)| module.upgrade()) {
        return Ok(module);
    }
    // Compiling may take seconds: others are not kept waiting.
    drop(in_use);
    let module = Arc::new(make()?);
    lock().push((metering, *sha256, Arc::downgrade(&module)));
    Ok(module)
}

/// Reads a file that may be anything.
fn read(path: &Path) -> Result<Vec<u8>, Refusal> {
    use std::io::Read as _;
    if path.extension().is_some_and(|extension| extension == "aot") {
        let help = "give the .wasm it was made of: the agent compiles it itself, and keeps the result";
        return Err(Refusal::new("it is compiled ahead of time for another runtime (.aot)", help));
    }
    let failed = |error: std::io::Error| Refusal::new(format!("it can't be read: {error}"), "");
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.is_dir() {
        return Err(Refusal::new("it is a folder", "name the .wasm file in it"));
    }
    file.take(MAX_MODULE as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

/// As hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A SHA-256 of 64 hexadecimal digits.
pub(crate) fn from_hex(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut digest = [0; 32];
    for (at, byte) in digest.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(digest)
}
