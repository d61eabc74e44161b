//! `suiro wasm new`: a folder with a filter, the SDK it is written with, and a test.
//!
//! The SDK is put into the folder, as it was when this binary was built: nothing has to be found anywhere, and the filter
//! goes on building when the SDK moves on.

use std::fs;
use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

use clap::Args;

use super::sdks::{File, Language};
use super::{Stop, print, say};

/// Longest name.
const MAX_NAME: usize = 64;
const DEFAULT: &str = "dead_letter";

/// Words that are no names of crates, packages or modules in one of the languages, or name what a filter is made with.
const TAKEN: &[&str] = &[
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "build",
    "case",
    "chan",
    "class",
    "const",
    "continue",
    "core",
    "crate",
    "default",
    "defer",
    "delete",
    "do",
    "dyn",
    "else",
    "enum",
    "example",
    "export",
    "extends",
    "extern",
    "fallthrough",
    "false",
    "final",
    "finally",
    "fn",
    "for",
    "func",
    "function",
    "gen",
    "go",
    "goto",
    "if",
    "impl",
    "import",
    "in",
    "instanceof",
    "interface",
    "internal",
    "let",
    "loop",
    "macro",
    "main",
    "map",
    "match",
    "mod",
    "move",
    "mut",
    "new",
    "node_modules",
    "null",
    "override",
    "package",
    "priv",
    "proc-macro",
    "proc-macro2",
    "proc_macro",
    "pub",
    "quote",
    "range",
    "ref",
    "return",
    "select",
    "self",
    "serde",
    "serde_json",
    "static",
    "std",
    "struct",
    "suiro",
    "suiro-filter",
    "suiro-filter-macros",
    "suiro_filter",
    "suiro_filter_macros",
    "super",
    "switch",
    "syn",
    "target",
    "test",
    "this",
    "throw",
    "toml",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "union",
    "unsafe",
    "unsized",
    "use",
    "var",
    "vendor",
    "virtual",
    "void",
    "where",
    "while",
    "with",
    "yield",
];

/// Arguments of `suiro wasm new`.
#[derive(Debug, Args)]
#[command(after_help = "\
The folder holds a filter that builds and passes its test, a sample with what comes out of it, the SDK, and filter.toml, which \
goes into the agent's configuration. Its README.md says how to build it.")]
pub(super) struct NewArgs {
    /// The filter's name, and the folder's: letters, digits, `-` and `_`
    name: String,
    /// The language it is to be written in
    #[arg(long, value_enum)]
    lang: Language,
    /// What becomes of a record the filter fails on: dead_letter (set aside with the reason), drop, pass, or tag:NAME (goes
    /// on under that tag). Asked for on a terminal; dead_letter elsewhere
    #[arg(long, value_name = "ACTION")]
    on_error: Option<String>,
}

pub(super) fn new(args: &NewArgs) -> Result<ExitCode, Stop> {
    check_name(&args.name)?;
    let folder = Path::new(&args.name);
    if fs::symlink_metadata(folder).is_ok() {
        let message =
            format!("{} exists already, and nothing in it is touched\n  help: choose another name", args.name);
        return Err(Stop::Usage(message));
    }
    let on_error = match &args.on_error {
        Some(word) => check_on_error(word).map(|()| word.clone()).map_err(Stop::Usage)?,
        None => ask()?,
    };
    fs::create_dir(folder).map_err(|error| Stop::Failed(format!("the folder {} can't be made: {error}", args.name)))?;
    if let Err(error) = write_all(folder, args, &on_error) {
        // It was made here and holds nothing else.
        let _ = fs::remove_dir_all(folder);
        return Err(Stop::Failed(format!("{}: {error}", args.name)));
    }
    let name = &args.name;
    let module = format!("{}.wasm", snake(name));
    print(
        format!(
            "{name}/ is a filter in {}. Next:\n\n  cd {name}\n  make                # builds {module}\n  make test           # runs \
             its tests\n\nfilter.toml goes into the agent's configuration; README.md says more.\n",
            args.lang.title()
        )
        .as_bytes(),
    )?;
    Ok(ExitCode::SUCCESS)
}

/// Writes the folder's files.
fn write_all(folder: &Path, args: &NewArgs, on_error: &str) -> std::io::Result<()> {
    for File { path, text } in args.lang.files() {
        let path = folder.join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&path, fill(&text, &args.name, on_error))?;
    }
    Ok(())
}

/// The template's places, filled.
fn fill(text: &str, name: &str, on_error: &str) -> String {
    // What is in quotes in TOML.
    let quoted = on_error.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "$$");
    text.replace("{{name}}", name).replace("{{snake}}", &snake(name)).replace("{{on_error}}", &quoted)
}

fn snake(name: &str) -> String {
    name.replace('-', "_")
}

fn check_name(name: &str) -> Result<(), Stop> {
    let refuse = |why: &str| {
        Err(Stop::Usage(format!("{name:?} can't be a filter's name: {why}\n  help: for example, drop-debug")))
    };
    if name.is_empty() || name.len() > MAX_NAME {
        return refuse("it must have from 1 to 64 letters");
    }
    if !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        return refuse("it must begin with a lower-case letter, and is also the name of the folder to be made here");
    }
    if !name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_')) {
        return refuse("it may hold lower-case letters, digits, `-` and `_`");
    }
    if TAKEN.contains(&name) {
        return refuse("the word has a meaning of its own where it would stand");
    }
    Ok(())
}

fn check_on_error(word: &str) -> Result<(), String> {
    suiro_wasm::check_on_error(word).map_err(|refusal| {
        let help = if refusal.help.is_empty() { String::new() } else { format!("\n  help: {}", refusal.help) };
        format!("--on-error: {}{help}", refusal.message)
    })
}

/// Asks on a terminal what should happen on an error.
fn ask() -> Result<String, Stop> {
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Ok(DEFAULT.to_owned());
    }
    say("What should become of a record the filter fails on?");
    say("  dead_letter  set aside in a file, with the reason (default)");
    say("  drop         dropped, and counted");
    say("  pass         passed on as it was: not for a filter that hides something");
    say("  tag:NAME     passed on under that tag, with the reason");
    let mut input = std::io::stdin().lock();
    loop {
        let _ = write!(std::io::stderr().lock(), "[{DEFAULT}] ");
        let mut answer = String::new();
        let read = input.read_line(&mut answer).map_err(|error| Stop::Failed(error.to_string()))?;
        let answer = answer.trim();
        if read == 0 || answer.is_empty() {
            return Ok(DEFAULT.to_owned());
        }
        match check_on_error(answer) {
            Ok(()) => return Ok(answer.to_owned()),
            Err(why) => say(why.trim_start_matches("--on-error: ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_none_are_refused() {
        for name in ["drop-debug", "a", "a_1"] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        for name in ["", "..", ".", "a/b", "/a", "-a", "1a", "A", "ä", "a b", "match", "suiro-filter", &"x".repeat(65)]
        {
            assert!(check_name(name).is_err(), "{name}");
        }
        assert!(TAKEN.is_sorted());
    }

    #[test]
    fn what_is_filled_in_is_toml() {
        let text = fill("module = '{{snake}}.wasm'\non_error = \"{{on_error}}\"\n", "a-b", "tag:x\"y\\${z}");
        let (section, diagnostics) = suiro_sdk::settings::Section::from_text("filter", &text);
        assert_eq!(
            section.get::<String>("on_error").as_deref(),
            Some("tag:x\"y\\${z}"),
            "{}",
            diagnostics.render(false)
        );
        assert_eq!(section.get::<String>("module").as_deref(), Some("a_b.wasm"));
    }
}
