//! The settings of the filter.

use std::time::Duration;

use suiro_record::Value as Tree;
use suiro_sdk::reroute::{MAX_TAG, is_tag};
use suiro_sdk::settings::{ByteSize, Data, Reported, Section, Value};

use crate::fluentbit::Format;
use crate::inspect::{Abi, Refusal};
use crate::program::{Checked, Load};

/// The settings, and the module they name.
pub(crate) struct Settings {
    pub(crate) load: Load,
    pub(crate) checked: Checked,
    pub(crate) config: Tree,
    pub(crate) on_error: OnError,
    /// Bytes of memory of an instance.
    pub(crate) memory: usize,
    /// Time of a call with up to a thousand records.
    pub(crate) timeout: Duration,
    pub(crate) lifetime: Lifetime,
    pub(crate) format: Format,
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
    let path = module.as_ref().and_then(|value| Some(value.resolve_path(value.text("the path of a .wasm file").ok()?)));
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
    section.finish()?;

    let (Some(module), Some(path)) = (module, path) else { return Err(section.missing("module", "\"filter.wasm\"")) };
    let load = Load { path, abi, function, sha256: sha256.transpose()? };
    let checked = load.check().map_err(|refusal| {
        let absent = !load.path.exists();
        let help = if absent { "relative paths start at the folder of the configuration file" } else { &refusal.help };
        module.error(format!("{}: {}", load.path.display(), refusal.message), help)
    })?;
    if checked.inspection.memory.is_some_and(|start| start > memory.bytes()) {
        let wants = ByteSize(checked.inspection.memory.unwrap_or(0).next_multiple_of(1 << 20));
        let message = format!("{}: it starts with {wants} of memory, and may have {memory}", load.path.display());
        return Err(module.error(message, format!("set memory = \"{wants}\" or more")));
    }
    Ok(Settings {
        load,
        checked,
        config: config.transpose()?.unwrap_or_else(|| Tree::Object(Vec::new())),
        on_error: on_error.transpose()?.unwrap_or(OnError::DeadLetter),
        memory: memory.as_usize(),
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
    let mut digest = [0; 32];
    let sound = text.len() == 64
        && text.is_ascii()
        && digest.iter_mut().enumerate().all(|(i, byte)| match u8::from_str_radix(&text[2 * i..2 * i + 2], 16) {
            Ok(number) => {
                *byte = number;
                true
            }
            Err(_) => false,
        });
    if sound { Ok(digest) } else { Err(value.expected(WHAT)) }
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
