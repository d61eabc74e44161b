//! What `suiro wasm new` writes, by language: the SDK's example as the filter, the files to build it
//! (`wasm-filters/<language>/template`), and the SDK itself, in `suiro-filter`.
//!
//! All of it is part of this binary. In templates `{{name}}` is the filter's name, `{{snake}}` the same with `_` for `-`,
//! `{{on_error}}` what becomes of a record it fails on.

use std::borrow::Cow;

use clap::ValueEnum;

/// A language with an SDK.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Language {
    Rust,
    Go,
    Assemblyscript,
    C,
}

/// A file of a new folder.
pub(super) struct File {
    pub(super) path: &'static str,
    pub(super) text: Cow<'static, str>,
}

/// Files of `wasm-filters`: where each goes, and its text.
macro_rules! files {
    ($($path:literal: $from:literal,)*) => {
        &[$(($path, include_str!(concat!("../../../wasm-filters/", $from)))),*]
    };
}

const FILTER_TOML: &str = r#"# The filter, for the agent's configuration: as it stands there, or beside it, `suiro run -c agent.toml -c filter.toml`.
[[filter]]
name = "{{name}}"
type = "wasm"
module = "{{snake}}.wasm"
# What becomes of a record the filter fails on: dead_letter, drop, pass, or tag:NAME.
on_error = "{{on_error}}"
# What the filter can ask for:
# config = { key = "value" }
"#;

/// The SDK is somebody else's code in the new folder, under its own licence.
const LICENSE: &str = include_str!("../../../LICENSE");

type Files = &'static [(&'static str, &'static str)];

const RUST: Files = files! {
    "Cargo.toml": "rust/template/Cargo.toml",
    "Makefile": "rust/template/Makefile",
    "README.md": "rust/template/README.md",
    "src/lib.rs": "rust/examples/no-debug/src/lib.rs",
    "sample.jsonl": "rust/examples/no-debug/sample.jsonl",
    "expected.jsonl": "rust/examples/no-debug/expected.jsonl",
    "suiro-filter/Cargo.toml": "rust/Cargo.toml",
    "suiro-filter/README.md": "rust/README.md",
    "suiro-filter/macros/Cargo.toml": "rust/macros/Cargo.toml",
    "suiro-filter/macros/src/lib.rs": "rust/macros/src/lib.rs",
    "suiro-filter/src/config.rs": "rust/src/config.rs",
    "suiro-filter/src/error.rs": "rust/src/error.rs",
    "suiro-filter/src/field.rs": "rust/src/field.rs",
    "suiro-filter/src/json.rs": "rust/src/json.rs",
    "suiro-filter/src/lib.rs": "rust/src/lib.rs",
    "suiro-filter/src/log.rs": "rust/src/log.rs",
    "suiro-filter/src/metrics.rs": "rust/src/metrics.rs",
    "suiro-filter/src/record.rs": "rust/src/record.rs",
    "suiro-filter/src/run.rs": "rust/src/run.rs",
    "suiro-filter/src/sys.rs": "rust/src/sys.rs",
    "suiro-filter/src/testing/functions.rs": "rust/src/testing/functions.rs",
    "suiro-filter/src/testing/mod.rs": "rust/src/testing/mod.rs",
    "suiro-filter/src/testing/path.rs": "rust/src/testing/path.rs",
    "suiro-filter/src/testing/world.rs": "rust/src/testing/world.rs",
    "suiro-filter/src/texts.rs": "rust/src/texts.rs",
    "suiro-filter/src/value.rs": "rust/src/value.rs",
};

const GO: Files = files! {
    "go.mod": "go/template/go.mod",
    "Makefile": "go/template/Makefile",
    "README.md": "go/template/README.md",
    "main.go": "go/example/main.go",
    "main_test.go": "go/example/main_test.go",
    "sample.jsonl": "go/example/sample.jsonl",
    "expected.jsonl": "go/example/expected.jsonl",
    "suiro-filter/README.md": "go/README.md",
    "suiro-filter/go.mod": "go/go.mod",
    "suiro-filter/host_wasip1.go": "go/host_wasip1.go",
    "suiro-filter/json.go": "go/json.go",
    "suiro-filter/suiro.go": "go/suiro.go",
    "suiro-filter/testhost.go": "go/testhost.go",
};

const ASSEMBLYSCRIPT: Files = files! {
    "package.json": "assemblyscript/template/package.json",
    "Makefile": "assemblyscript/template/Makefile",
    "README.md": "assemblyscript/template/README.md",
    "filter.ts": "assemblyscript/example/no_debug.ts",
    "filter.test.mjs": "assemblyscript/template/filter.test.mjs",
    "sample.jsonl": "assemblyscript/example/sample.jsonl",
    "expected.jsonl": "assemblyscript/example/expected.jsonl",
    "suiro-filter/README.md": "assemblyscript/README.md",
    "suiro-filter/package.json": "assemblyscript/package.json",
    "suiro-filter/assembly/host.ts": "assemblyscript/assembly/host.ts",
    "suiro-filter/assembly/index.ts": "assemblyscript/assembly/index.ts",
    "suiro-filter/assembly/tsconfig.json": "assemblyscript/assembly/tsconfig.json",
    "suiro-filter/testing/host.mjs": "assemblyscript/testing/host.mjs",
};

const C: Files = files! {
    "Makefile": "c/template/Makefile",
    "README.md": "c/template/README.md",
    "filter.c": "c/example/no_debug.c",
    "sample.jsonl": "c/example/sample.jsonl",
    "expected.jsonl": "c/example/expected.jsonl",
    "suiro-filter/README.md": "c/README.md",
    "suiro-filter/suiro_filter.h": "c/suiro_filter.h",
};

// === impl Language ===

impl Language {
    /// As it is written.
    pub(super) fn title(self) -> &'static str {
        match self {
            Language::Rust => "Rust",
            Language::Go => "Go",
            Language::Assemblyscript => "AssemblyScript",
            Language::C => "C",
        }
    }

    /// All files of a new folder.
    pub(super) fn files(self) -> impl Iterator<Item = File> {
        let (files, ignored) = match self {
            Language::Rust => (RUST, "/target\n"),
            Language::Go => (GO, ""),
            Language::Assemblyscript => (ASSEMBLYSCRIPT, "/node_modules\n"),
            Language::C => (C, ""),
        };
        let of_all = [
            ("filter.toml", Cow::Borrowed(FILTER_TOML)),
            (".gitignore", Cow::Owned(format!("/{{{{snake}}}}.wasm\n{ignored}"))),
            ("suiro-filter/LICENSE", Cow::Borrowed(LICENSE)),
        ];
        let files = files.iter().map(|(path, text)| (*path, Cow::Borrowed(*text)));
        files.chain(of_all).map(move |(path, text)| {
            // The example stands beside the SDK, the filter above it.
            let text = match (self, path) {
                (Language::Assemblyscript, "filter.ts") => {
                    Cow::Owned(text.replace("\"../assembly\"", "\"suiro-filter/assembly\""))
                }
                _ => text,
            };
            File { path, text }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    fn find(folder: &Path, within: &str, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder.join(within)).unwrap() {
            let path = format!("{within}/{}", entry.as_ref().unwrap().file_name().to_string_lossy());
            if entry.unwrap().path().is_dir() {
                find(folder, &path, found);
            } else {
                found.insert(path);
            }
        }
    }

    /// A file that an SDK gets must get into new folders too.
    #[test]
    fn the_sdks_are_whole() {
        let sdks = Path::new(env!("CARGO_MANIFEST_DIR")).join("wasm-filters");
        for (language, folder, parts) in [
            (Language::Rust, "rust", &["src", "macros"][..]),
            (Language::Go, "go", &[]),
            (Language::Assemblyscript, "assemblyscript", &["assembly", "testing"]),
            (Language::C, "c", &[]),
        ] {
            let mut there = BTreeSet::new();
            parts.iter().for_each(|part| find(&sdks.join(folder), part, &mut there));
            for entry in std::fs::read_dir(sdks.join(folder)).unwrap() {
                let name = entry.unwrap().file_name().to_string_lossy().into_owned();
                let source = name.ends_with(".go") && !name.ends_with("_test.go");
                if source || name.ends_with(".h") || ["Cargo.toml", "go.mod", "package.json"].contains(&name.as_str()) {
                    there.insert(name);
                }
            }
            let written =
                language.files().filter_map(|file| file.path.strip_prefix("suiro-filter/").map(str::to_owned));
            let mut written: BTreeSet<String> = written.collect();
            written.remove("LICENSE");
            written.remove("README.md");
            assert_eq!(written, there, "{language:?}");
        }
    }

    #[test]
    fn no_file_names_a_place_that_is_not_in_the_folder() {
        for file in Language::Assemblyscript.files().filter(|file| file.path == "filter.ts") {
            assert!(file.text.contains("\"suiro-filter/assembly\"") && !file.text.contains("../"));
        }
        // What the SDK's manifests take from their workspace, the new one has.
        let manifest = Language::Rust.files().find(|file| file.path == "Cargo.toml").unwrap().text;
        let own = include_str!("../../../wasm-filters/Cargo.toml");
        let package = |text: &str| {
            let (_, rest) = text.split_once("[workspace.package]\n").unwrap();
            rest.split_once("\n\n").unwrap().0.to_owned()
        };
        assert_eq!(package(&manifest), package(own));
    }
}
