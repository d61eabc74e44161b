//! What a module is, without compiling it: its imports and exports, and which interface they are of.
//!
//! Cheap enough for `suiro check`, and the place where most mistakes are found: each refusal says what is wrong and how to
//! mend it.

use wasmparser::{ExternalKind, FuncType, Parser, Payload, TypeRef, ValType};

use crate::link::{self, Function, Ty};
use crate::{fluentbit, wasi};

/// Largest module, bytes.
pub const MAX_MODULE: usize = 32 << 20;
/// Imports and exports of a module, most of each.
const MAX_NAMES: usize = 10_000;

/// How a guest and the agent talk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Interface {
    /// `suiro_v1`: handles of records that stay in the agent.
    SuiroV1,
    /// Fluent Bit's `filter_wasm`: the function of that name, called with each record's text.
    FluentBit {
        /// The function.
        function: String,
    },
}

/// Which interface the configuration asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Abi {
    /// `"suiro_v1"`
    SuiroV1,
    /// `"fluentbit"`
    FluentBit,
}

/// Why a module can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// What is wrong.
    pub message: String,
    /// How to mend it; empty if nobody knows.
    pub help: String,
}

/// A module's outside.
#[derive(Clone, Debug, Default)]
pub struct Inspection {
    /// What it imports.
    pub imports: Vec<Import>,
    /// What it exports.
    pub exports: Vec<Export>,
    /// Bytes of memory it starts with, if it has a memory of its own.
    pub memory: Option<u64>,
}

/// What a module imports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// From which module.
    pub module: String,
    /// Under which name.
    pub name: String,
    /// As what.
    pub what: Item,
}

/// What a module exports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// Under which name.
    pub name: String,
    /// What.
    pub what: Item,
}

/// What can be imported and exported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A function, and its type as it is written: `(i32, i32) -> i32`.
    Function(String),
    /// A memory.
    Memory,
    /// A table, a global or a tag.
    Other,
}

// === impl Refusal ===

impl Refusal {
    pub(crate) fn new(message: impl Into<String>, help: impl Into<String>) -> Refusal {
        Refusal { message: message.into(), help: help.into() }
    }
}

// === impl Inspection ===

impl Inspection {
    /// Reads a module's sections. Its code is not looked at.
    pub fn of(bytes: &[u8]) -> Result<Inspection, Refusal> {
        refuse_others(bytes)?;
        let broken = |error: wasmparser::BinaryReaderError| {
            let help = "is the file complete? Build it again, or copy it again";
            Refusal::new(format!("it is no valid WebAssembly: {} at byte {}", error.message(), error.offset()), help)
        };
        let mut found = Inspection::default();
        let mut types: Vec<String> = Vec::new();
        let mut functions: Vec<u32> = Vec::new();
        for payload in Parser::new(0).parse_all(bytes) {
            match payload.map_err(broken)? {
                Payload::TypeSection(section) => {
                    for ty in section.into_iter_err_on_gc_types() {
                        types.push(written(&ty.map_err(broken)?));
                    }
                }
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        let import = import.map_err(broken)?;
                        let what = match import.ty {
                            TypeRef::Func(ty) | TypeRef::FuncExact(ty) => {
                                functions.push(ty);
                                Item::Function(types.get(ty as usize).cloned().unwrap_or_default())
                            }
                            TypeRef::Memory(_) => Item::Memory,
                            TypeRef::Table(_) | TypeRef::Global(_) | TypeRef::Tag(_) => Item::Other,
                        };
                        let (module, name) = (import.module.to_owned(), import.name.to_owned());
                        found.imports.push(Import { module, name, what });
                        if found.imports.len() > MAX_NAMES {
                            return Err(Refusal::new(format!("it has more than {MAX_NAMES} imports"), ""));
                        }
                    }
                }
                Payload::FunctionSection(section) => {
                    for ty in section {
                        functions.push(ty.map_err(broken)?);
                    }
                }
                Payload::MemorySection(section) => {
                    for memory in section {
                        let memory = memory.map_err(broken)?;
                        found.memory = Some(memory.initial.saturating_mul(64 << 10));
                    }
                }
                Payload::ExportSection(section) => {
                    for export in section {
                        let export = export.map_err(broken)?;
                        let what = match export.kind {
                            ExternalKind::Func | ExternalKind::FuncExact => {
                                let ty = functions.get(export.index as usize);
                                Item::Function(ty.and_then(|ty| types.get(*ty as usize)).cloned().unwrap_or_default())
                            }
                            ExternalKind::Memory => Item::Memory,
                            _ => Item::Other,
                        };
                        found.exports.push(Export { name: export.name.to_owned(), what });
                        if found.exports.len() > MAX_NAMES {
                            return Err(Refusal::new(format!("it has more than {MAX_NAMES} exports"), ""));
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(found)
    }

    /// Which interface it is of, and whether all is there that this interface needs.
    pub fn interface(&self, abi: Option<Abi>, function: Option<&str>) -> Result<Interface, Refusal> {
        let (found, refusals) = self.examine(abi, function);
        match (found, refusals.into_iter().next()) {
            (Some(interface), None) => Ok(interface),
            (_, Some(refusal)) => Err(refusal),
            (None, None) => Err(nothing()),
        }
    }

    /// Which interface it is of, as far as that can be told, and all that is wrong with it.
    pub fn examine(&self, abi: Option<Abi>, function: Option<&str>) -> (Option<Interface>, Vec<Refusal>) {
        let mut refusals = Vec::new();
        let is_suiro_v1 = match abi {
            Some(abi) => abi == Abi::SuiroV1,
            None => self.export("suiro_version").is_some(),
        };
        let found = if is_suiro_v1 {
            self.examine_suiro_v1(&mut refusals);
            Some(Interface::SuiroV1)
        } else {
            self.fluentbit(function).map_err(|refusal| refusals.push(refusal)).ok()
        };
        if found.is_some() {
            refusals.extend(self.check_memory().err());
        }
        // Of a module of no interface nobody knows what it may import.
        if let Some(interface) = &found {
            refusals.extend(self.imports.iter().filter_map(|import| import.check(interface).err()));
        }
        (found, refusals)
    }

    /// An export, by name.
    pub fn export(&self, name: &str) -> Option<&Item> {
        self.exports.iter().find(|export| export.name == name).map(|export| &export.what)
    }

    fn examine_suiro_v1(&self, refusals: &mut Vec<Refusal>) {
        let needed = [("suiro_version", "() -> i32", true), ("process", "(i32) -> ()", true)];
        let optional = [("init", "() -> i32", false), ("flush", "() -> ()", false), ("_initialize", "() -> ()", false)];
        for (name, ty, required) in needed.into_iter().chain(optional) {
            match self.export(name) {
                None if required => {
                    let help = format!("export it with the type {ty}; the interface is described in suiro_v1.md");
                    refusals.push(Refusal::new(format!("it does not export the function `{name}`"), help));
                }
                Some(Item::Function(own)) if own != ty => {
                    refusals.push(Refusal::new(format!("it exports `{name}` as {own}; it must be {ty}"), ""));
                }
                Some(Item::Memory | Item::Other) => {
                    refusals.push(Refusal::new(format!("it exports `{name}`, but not as a function"), ""));
                }
                None | Some(Item::Function(_)) => {}
            }
        }
    }

    fn fluentbit(&self, function: Option<&str>) -> Result<Interface, Refusal> {
        let fitting = || {
            let fits = |export: &&Export| export.what == Item::Function(fluentbit::FUNCTION.to_owned());
            self.exports.iter().filter(fits).map(|export| export.name.as_str())
        };
        let function = match function {
            Some(name) => match self.export(name) {
                Some(Item::Function(ty)) if ty == fluentbit::FUNCTION => name,
                Some(Item::Function(ty)) => {
                    let message = format!("it exports `{name}` as {ty}; a filter is {}", fluentbit::FUNCTION);
                    return Err(Refusal::new(
                        message,
                        "its arguments are tag, length, seconds, nanoseconds, record, length",
                    ));
                }
                _ => {
                    let names: Vec<&str> = fitting().collect();
                    let help = match names.as_slice() {
                        [] => "it exports no function that could be a filter".to_owned(),
                        names => format!("it exports {}", suiro_sdk::settings::enumerate(names.iter().copied(), "and")),
                    };
                    return Err(Refusal::new(format!("it does not export the function `{name}`"), help));
                }
            },
            None => match fitting().collect::<Vec<_>>().as_slice() {
                [one] => *one,
                [] => return Err(nothing()),
                names => {
                    let message = format!(
                        "it exports several functions that could be the filter: {}",
                        suiro_sdk::settings::enumerate(names.iter().copied(), "and")
                    );
                    return Err(Refusal::new(message, "name one with `function_name`"));
                }
            },
        };
        Ok(Interface::FluentBit { function: function.to_owned() })
    }

    fn check_memory(&self) -> Result<(), Refusal> {
        if self.imports.iter().any(|import| import.what == Item::Memory) {
            let help = "build it such that it has its own: without --import-memory";
            return Err(Refusal::new("it imports its memory", help));
        }
        match self.export("memory") {
            Some(Item::Memory) => Ok(()),
            _ => Err(Refusal::new("it does not export its memory as `memory`", "the agent can't reach it otherwise")),
        }
    }
}

// === impl Import ===

impl Import {
    /// Whether the agent has it, for a module of that interface.
    fn check(&self, interface: &Interface) -> Result<(), Refusal> {
        let Import { module, name, what } = self;
        if *what == Item::Memory {
            // Said of the memory already.
            return Ok(());
        }
        let known: &[Function] = match (module.as_str(), interface) {
            (link::MODULE, Interface::SuiroV1) => link::FUNCTIONS,
            (wasi::MODULE, _) => wasi::FUNCTIONS,
            ("env", Interface::FluentBit { .. }) => fluentbit::libc::FUNCTIONS,
            _ => &[],
        };
        let Some(function) = known.iter().find(|function| function.name == name) else {
            let near = suiro_sdk::settings::nearest(name, known.iter().map(|function| function.name));
            let message = match near {
                Some(near) => format!("it imports `{module}.{name}`, which there is not; did you mean `{near}`?"),
                None => format!("it imports `{module}.{name}`, which the agent does not have"),
            };
            return Err(Refusal::new(message, help_for(module)));
        };
        let ty = written_by(function);
        match what {
            Item::Function(own) if *own == ty => Ok(()),
            Item::Function(own) => Err(Refusal::new(format!("it imports `{module}.{name}` as {own}; it is {ty}"), "")),
            Item::Memory | Item::Other => {
                Err(Refusal::new(format!("it imports `{module}.{name}`, but not as a function"), ""))
            }
        }
    }
}

/// What is said of a module of no interface.
fn nothing() -> Refusal {
    let help = "a filter exports `suiro_version` and `process`, or, in Fluent Bit's way, a function of tag, time and \
                record whose name `function_name` tells";
    Refusal::new("it exports nothing that makes it a filter", help)
}

/// What is known to be something else, by its first bytes.
fn refuse_others(bytes: &[u8]) -> Result<(), Refusal> {
    if bytes.len() > MAX_MODULE {
        let message = format!("it is larger than {} MiB", MAX_MODULE >> 20);
        return Err(Refusal::new(message, "is it a filter? Those of the largest languages have less than 10 MiB"));
    }
    if bytes.starts_with(b"\0aot") {
        let message = "it is compiled ahead of time for another runtime (.aot)";
        return Err(Refusal::new(
            message,
            "give the .wasm it was made of: the agent compiles it itself, and keeps the result",
        ));
    }
    if bytes.starts_with(b"\0asm") && bytes.get(4..8).is_some_and(|version| version == [0x0d, 0, 1, 0]) {
        let message = "it is a component, and filters are core modules";
        return Err(Refusal::new(message, "build it for wasm32-unknown-unknown or wasip1"));
    }
    if bytes.is_empty() {
        return Err(Refusal::new("the file is empty", ""));
    }
    if !bytes.starts_with(b"\0asm") {
        let text = bytes.trim_ascii_start().starts_with(b"(");
        let help = if text { "it looks like the text format: translate it with wat2wasm" } else { "" };
        return Err(Refusal::new("it is no WebAssembly", help));
    }
    Ok(())
}

fn help_for(module: &str) -> &'static str {
    match module {
        link::MODULE => "suiro_v1.md lists what there is",
        wasi::MODULE => "filters have clocks, random numbers and standard output, nothing else of WASI",
        "wasi_unstable" => "build it for wasi_snapshot_preview1",
        "env" | "a" => {
            "a function that is declared and defined nowhere? An Emscripten or wasm-bindgen build needs its JavaScript"
        }
        "__wbindgen_placeholder__" | "wbg" => "it is built for wasm-bindgen: a filter has no JavaScript around it",
        _ => "",
    }
}

/// A type as it is written.
fn written(ty: &FuncType) -> String {
    let names = |types: &[ValType]| types.iter().map(ToString::to_string).collect::<Vec<_>>();
    arrow(&names(ty.params()), &names(ty.results()))
}

fn written_by(function: &Function) -> String {
    let name = |ty: &Ty| match ty {
        Ty::I32 => "i32".to_owned(),
        Ty::I64 => "i64".to_owned(),
        Ty::F64 => "f64".to_owned(),
    };
    let names = |types: &[Ty]| types.iter().map(name).collect::<Vec<_>>();
    arrow(&names(function.params), &names(function.results))
}

fn arrow(params: &[String], results: &[String]) -> String {
    match results {
        [one] => format!("({}) -> {one}", params.join(", ")),
        other => format!("({}) -> ({})", params.join(", "), other.join(", ")),
    }
}
