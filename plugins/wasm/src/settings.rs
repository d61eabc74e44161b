//! The settings of the filter.

use std::time::Duration;

use suiro_record::Value as Tree;
use suiro_sdk::reroute::{MAX_TAG, is_tag};
use suiro_sdk::settings::{ByteSize, Data, Reported, Section, Value};

use crate::fluentbit::Format;
use crate::inspect::{Abi, Refusal};
use crate::program::{Checked, Load, Wanted, from_hex};
use crate::remote::Remote;

/// The settings, and the module they name where it is a file.
pub(crate) struct Settings {
    pub(crate) module: Module,
    pub(crate) config: Tree,
    pub(crate) on_error: OnError,
    /// Of an instance.
    pub(crate) memory: ByteSize,
    /// Time of a call with up to a thousand records.
    pub(crate) timeout: Duration,
    pub(crate) lifetime: Lifetime,
    pub(crate) format: Format,
}

/// Where the module is.
pub(crate) enum Module {
    /// In a file, which was read.
    File { load: Load, checked: Checked },
    /// Somewhere else: it is fetched when the filter starts.
    Remote(Remote),
}

/// What becomes of records that the guest could not deal with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum OnError {
    DeadLetter,
    Drop,
    Pass,
    Tag(Box<str>),
}

/// How long an instance lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lifetime {
    Persistent,
    PerBatch,
}

const ON_ERROR: &str = "\"dead_letter\", \"drop\", \"pass\" or \"tag:NAME\"";

/// Reads the settings, and checks the module.
pub(crate) fn read(section: &Section) -> Result<Settings, Reported> {
    let module = match (section.value("module"), section.value("wasm_path")) {
        (Some(module), Some(_)) => {
            section.error_at("wasm_path", "`wasm_path` is Fluent Bit's name of `module`, and both are set", "keep one");
            Some(module)
        }
        (Some(module), None) | (None, Some(module)) => Some(module),
        (None, None) => {
            section.missing("module", "\"filter.wasm\"");
            None
        }
    };
    let abi = section.choice("abi", &[("suiro_v1", Abi::SuiroV1), ("fluentbit", Abi::FluentBit)]);
    let function = section.get::<String>("function_name");
    let format = section.choice("event_format", &[("json", Format::Json), ("msgpack", Format::MessagePack)]);
    let sha256 = section.value("sha256").map(|value| digest(&value));
    let config = section.value("config").map(|value| match value.data() {
        Data::Table => tree(&value),
        _ => Err(value.expected("a table: config = { key = \"value\" }")),
    });
    let on_error = section.value("on_error").map(|value| on_error(&value));
    let memory = section.within("memory", ByteSize::kib(64)..=ByteSize::gib(4)).unwrap_or(ByteSize::mib(64));
    let timeout = section
        .within("timeout", Duration::from_millis(1)..=Duration::from_secs(60))
        .unwrap_or(Duration::from_millis(100));
    let lifetimes = [("persistent", Lifetime::Persistent), ("per_batch", Lifetime::PerBatch)];
    let lifetime = section.choice("instance", &lifetimes).unwrap_or(Lifetime::Persistent);
    if section.has("accessible_paths") {
        let help = "it gets no files, whatever is set here; data it needs can stand in `config`";
        section.warning_at("accessible_paths", "a filter has no access to files", help);
    }
    // How Fluent Bit's runtime divides the memory: here a guest has `memory`, and a stack of a fixed size.
    section.known("wasm_heap_size");
    section.known("wasm_stack_size");
    let is_remote = module.as_ref().and_then(Value::as_str).is_some_and(Remote::is_one);
    let sha256 = sha256.transpose();
    let remote = match &module {
        Some(module) if is_remote => {
            let sha256 = sha256?;
            Some(Remote::read(section, module, Wanted { abi, function: function.clone(), sha256 }))
        }
        _ => {
            for setting in ["auth", "tls", "fetch_timeout"].into_iter().filter(|setting| section.has(setting)) {
                let message = format!("`{setting}` is for a module that is fetched, and this one is a file");
                section.error_at(setting, message, "leave it out, or write https:// or oci:// in `module`");
            }
            None
        }
    };
    section.finish()?;

    let module = match (remote, module) {
        (Some(remote), _) => Module::Remote(remote?),
        (None, Some(module)) => {
            let path = module.resolve_path(module.text("the path of a .wasm file")?);
            let load = Load { path, wanted: Wanted { abi, function, sha256: sha256? } };
            let refused = |refusal: Refusal| {
                let absent = !load.path.exists();
                let help =
                    if absent { "relative paths start at the folder of the configuration file" } else { &refusal.help };
                module.error(format!("{}: {}", load.path.display(), refusal.message), help)
            };
            let checked = load.check().and_then(|checked| checked.fits(memory).map(|()| checked)).map_err(refused)?;
            Module::File { load, checked }
        }
        (None, None) => return Err(section.missing("module", "\"filter.wasm\"")),
    };
    Ok(Settings {
        module,
        config: config.transpose()?.unwrap_or_else(|| Tree::Object(Vec::new())),
        on_error: on_error.transpose()?.unwrap_or(OnError::DeadLetter),
        memory,
        timeout,
        lifetime,
        format: format.unwrap_or(Format::Json),
    })
}

fn on_error(value: &Value) -> Result<OnError, Reported> {
    let word = value.text(ON_ERROR)?;
    OnError::read(word).map_err(|refusal| value.error(refusal.message, refusal.help))
}

// === impl OnError ===

impl OnError {
    /// Of the word for it.
    pub(crate) fn read(word: &str) -> Result<OnError, Refusal> {
        match word {
            "dead_letter" => return Ok(OnError::DeadLetter),
            "drop" => return Ok(OnError::Drop),
            "pass" => return Ok(OnError::Pass),
            _ => {}
        }
        match word.strip_prefix("tag:") {
            Some(tag) if is_tag(tag) => Ok(OnError::Tag(tag.into())),
            Some(_) => {
                let message = format!(
                    "the tag in `on_error` must have from 1 to {MAX_TAG} bytes, none of them control characters"
                );
                Err(Refusal::new(message, "for example: on_error = \"tag:failed\""))
            }
            None => {
                let near = suiro_sdk::settings::nearest(word, ["dead_letter", "drop", "pass"]);
                let near = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
                Err(Refusal::new(format!("`on_error` must be {ON_ERROR}{near}"), ""))
            }
        }
    }
}

fn digest(value: &Value) -> Result<[u8; 32], Reported> {
    const WHAT: &str = "64 hexadecimal digits, as `sha256sum` prints them";
    let text = value.text(WHAT)?;
    from_hex(text).ok_or_else(|| value.expected(WHAT))
}

/// All of a section as a map, as it stands in a filter's `config`.
pub(crate) fn config(section: &Section) -> Result<Tree, Reported> {
    let keys = section.keys().into_iter();
    let members = keys.filter_map(|key| section.value(&key).map(|value| Ok((key, tree(&value)?))));
    Ok(Tree::Object(members.collect::<Result<_, Reported>>()?))
}

/// A value of the configuration as a value of a record.
fn tree(value: &Value) -> Result<Tree, Reported> {
    Ok(match value.data() {
        Data::String(text) => Tree::from(text),
        Data::Integer(number) => Tree::Int(number),
        Data::Float(number) if number.is_finite() => Tree::Float(number),
        Data::Bool(yes) => Tree::Bool(yes),
        Data::List => Tree::Array(value.items()?.iter().map(tree).collect::<Result<_, _>>()?),
        Data::Table => {
            let members = value.entries()?.into_iter().map(|entry| Ok((entry.key, tree(&entry.value)?)));
            Tree::Object(members.collect::<Result<_, Reported>>()?)
        }
        Data::Float(_) | Data::Datetime | Data::Broken => {
            return Err(value.expected("a text, a number, a boolean, a list or a table; write dates in quotes"));
        }
    })
}

impl std::fmt::Display for Module {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Module::File { load, .. } => write!(f, "{}", load.path.display()),
            Module::Remote(remote) => write!(f, "{remote}"),
        }
    }
}
