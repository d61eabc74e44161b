//! `suiro wasm inspect`: what a module is, without running it.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Args;
use sha2::{Digest as _, Sha256};
use suiro_wasm::{Import, Inspection, Interface, Item, Refusal, hex};

use super::{FileArgs, Stop, print};
use crate::cli::screen::{bytes, count};

/// Names that are shown of each kind.
const SHOWN: usize = 60;
/// Characters of a name that are shown.
const WIDTH: usize = 100;

/// Arguments of `suiro wasm inspect`.
#[derive(Debug, Args)]
#[command(after_help = "Exit code 0: the module is a filter. 1: it is none, and the output says why.")]
pub(super) struct InspectArgs {
    #[command(flatten)]
    file: FileArgs,
}

pub(super) fn inspect(args: &InspectArgs) -> Result<ExitCode, Stop> {
    let load = args.file.load();
    let path = load.path.display();
    let mut text = String::new();
    let mut refusals = Vec::new();
    let module = match load.read() {
        Ok(module) => module,
        // A file that is not there is a slip of the command line.
        Err(_) if !load.path.exists() => return Err(Stop::Usage(format!("{path}: there is no such file"))),
        Err(refusal) => {
            print(verdict(&[refusal]).as_bytes())?;
            return Ok(ExitCode::FAILURE);
        }
    };
    // Writing to a `String` does not fail.
    let _ = writeln!(text, "size       {}", bytes(module.len() as u64));
    match Inspection::of(&module) {
        Err(refusal) => refusals.push(refusal),
        Ok(inspection) => {
            let _ = writeln!(text, "sha256     {}", hex(&Sha256::digest(&module)));
            let (interface, wrong) = inspection.examine(load.wanted.abi, load.wanted.function.as_deref());
            refusals = wrong;
            let interface = match &interface {
                Some(Interface::SuiroV1) => "suiro_v1".to_owned(),
                Some(Interface::FluentBit { function }) => format!("fluentbit, function `{function}`"),
                None => "none".to_owned(),
            };
            let _ = writeln!(text, "interface  {interface}");
            let memory = match inspection.memory {
                Some(start) => format!("starts with {}; may grow to `memory`, 64 MiB unless set", bytes(start)),
                None => "none of its own".to_owned(),
            };
            let _ = writeln!(text, "memory     {memory}");
            names(
                &mut text,
                "imports",
                inspection.imports.iter().map(|Import { module, name, what }| (format!("{module}.{name}"), what)),
            );
            names(&mut text, "exports", inspection.exports.iter().map(|export| (export.name.clone(), &export.what)));
            if refusals.is_empty() {
                // What the agent looks at beyond that: whether the code is sound.
                refusals.extend(load.check().err());
            }
        }
    }
    text += &verdict(&refusals);
    print(text.as_bytes())?;
    Ok(if refusals.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn names<'i>(text: &mut String, title: &str, items: impl ExactSizeIterator<Item = (String, &'i Item)>) {
    let total = items.len();
    let _ = writeln!(text, "{title}    {}", if total == 0 { "nothing".to_owned() } else { count(total as u64) });
    for (name, what) in items.take(SHOWN) {
        let name: String = name.chars().take(WIDTH).map(|c| if c.is_control() { '?' } else { c }).collect();
        let what = match what {
            Item::Function(ty) => ty.chars().take(WIDTH).collect(),
            Item::Memory => "memory".to_owned(),
            Item::Other => "a table, a global or a tag".to_owned(),
        };
        let _ = writeln!(text, "  {name}: {what}");
    }
    if total > SHOWN {
        let _ = writeln!(text, "  and {} more", count((total - SHOWN) as u64));
    }
}

fn verdict(refusals: &[Refusal]) -> String {
    let mut text = String::new();
    if refusals.is_empty() {
        text += "It is a filter. Try it: suiro wasm test FILE.wasm < records.jsonl\n";
        return text;
    }
    text += "It can't be used:\n";
    for Refusal { message, help } in refusals.iter().take(SHOWN) {
        let _ = writeln!(text, "- {message}");
        if !help.is_empty() {
            let _ = writeln!(text, "  help: {help}");
        }
    }
    if refusals.len() > SHOWN {
        let _ = writeln!(text, "and {} more", count((refusals.len() - SHOWN) as u64));
    }
    text
}
