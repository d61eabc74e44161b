//! The names of blocks: given, or made of the type.
//!
//! A name identifies a block in the ledger, in metrics, in checkpoints and in the folders of its queue and dead letters;
//! hence it is unique among its kind, and of characters that are safe in a file's name.

use std::collections::HashMap;

use suiro_sdk::settings::{Diagnostic, Diagnostics, Section};

use super::Kind;

/// The longest name, in bytes.
const MAX_NAME: usize = 64;

/// The names taken, by kind, and the section that has each.
#[derive(Default)]
pub(super) struct Names {
    taken: HashMap<(Kind, String), Section>,
}

impl Names {
    /// Takes a name the user chose. A second use is reported; what holds it goes on without.
    pub(super) fn take(&mut self, kind: Kind, name: &str, section: &Section, diagnostics: &Diagnostics) {
        let key = (kind, name.to_owned());
        let Some(first) = self.taken.get(&key) else {
            self.taken.insert(key, section.clone());
            return;
        };
        let message = format!("there are two {}s named `{name}`", kind.word());
        let error = Diagnostic::error(Some(section.place_of("name")), message, "names must differ");
        diagnostics.report(error.with_note(first.place_of("name"), "it is used here first"));
    }

    /// A name for a block that has none: the base, or `base.2` and so on.
    pub(super) fn make(&mut self, kind: Kind, base: &str, section: &Section) -> String {
        let mut name = base.to_owned();
        let mut number = 1_usize;
        while self.taken.contains_key(&(kind, name.clone())) {
            number += 1;
            name = format!("{base}.{number}");
        }
        self.taken.insert((kind, name.clone()), section.clone());
        name
    }
}

/// The name a block gives itself, if it is a good one.
pub(super) fn given(section: &Section) -> Option<String> {
    let name: String = section.get("name")?;
    let good = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    let first = name.chars().next();
    if name.len() > MAX_NAME || !name.chars().all(good) || !first.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_')
    {
        section.error_at(
            "name",
            "`name` must be of letters, digits, `_`, `-` and `.`, and begin with a letter, a digit or `_`",
            format!("it becomes the name of a folder; at most {MAX_NAME} characters"),
        );
        return None;
    }
    Some(name)
}
