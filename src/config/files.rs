//! Finding and reading the files of a configuration.
//!
//! A folder stands for its `*.toml` files, by name; hidden ones are left out, as Kubernetes mounts keep their bookkeeping
//! in those. Anything that can be read may be given as a file, a pipe too, up to [`MAX_FILE_BYTES`].

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use suiro_sdk::settings::{Diagnostic, Diagnostics, MAX_FILE_BYTES, Place, Source};

/// Files read from one folder. A folder with more of them isn't one of configurations.
const MAX_FILES: usize = 1000;

/// Reads all that is given. What can't be read is reported and left out.
pub(super) fn read(paths: &[PathBuf], diagnostics: &Diagnostics) -> Vec<Arc<Source>> {
    let mut found = Vec::new();
    for path in paths {
        if path.is_dir() {
            found.extend(in_folder(path, diagnostics));
        } else {
            found.push(path.clone());
        }
    }
    let mut seen: Vec<PathBuf> = Vec::new();
    let mut sources = Vec::new();
    for path in found {
        if let Ok(real) = path.canonicalize() {
            if seen.contains(&real) {
                let message = format!("{} is given twice and read once", path.display());
                diagnostics.report(Diagnostic::warning(None, message, ""));
                continue;
            }
            seen.push(real);
        }
        sources.extend(read_one(&path, sources.len() as u32, diagnostics));
    }
    sources
}

fn in_folder(folder: &Path, diagnostics: &Diagnostics) -> Vec<PathBuf> {
    let complain = |message: String, help: &str| {
        diagnostics.report(Diagnostic::error(None, message, help));
        Vec::new()
    };
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => return complain(format!("can't read the folder {}: {error}", folder.display()), ""),
    };
    let is_configuration = |path: &PathBuf| {
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        path.extension().is_some_and(|extension| extension == "toml") && !hidden && !path.is_dir()
    };
    let mut files: Vec<PathBuf> =
        entries.filter_map(|entry| Some(entry.ok()?.path())).filter(is_configuration).take(MAX_FILES + 1).collect();
    if files.is_empty() {
        return complain(
            format!("the folder {} holds no *.toml file", folder.display()),
            "give a file, or another folder",
        );
    }
    if files.len() > MAX_FILES {
        return complain(format!("the folder {} holds more than {MAX_FILES} files", folder.display()), "");
    }
    files.sort();
    files
}

fn read_one(path: &Path, rank: u32, diagnostics: &Diagnostics) -> Option<Arc<Source>> {
    let name = path.display().to_string();
    let bytes = match read_bytes(path) {
        Ok(bytes) => bytes,
        Err(why) => {
            let help = if path.exists() { "" } else { "give a file or folder with -c" };
            diagnostics.report(Diagnostic::error(None, format!("can't read {name}: {why}"), help));
            return None;
        }
    };
    // Relative paths in the file start at its folder, wherever the agent's working folder is later on.
    let dir = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let dir = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    match std::str::from_utf8(&bytes) {
        Ok(text) => Some(Source::new(name, dir, text, rank)),
        Err(error) => {
            let source = Source::new(name, dir, &String::from_utf8_lossy(&bytes), rank);
            let at = error.valid_up_to() as u32;
            let place = Place::new(&source, at..at + '\u{fffd}'.len_utf8() as u32);
            diagnostics.error(&place, "the file isn't UTF-8 text", "is it a configuration file?");
            None
        }
    }
}

fn read_bytes(path: &Path) -> Result<Vec<u8>, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() > MAX_FILE_BYTES {
        return Err(format!("it is larger than {} MiB; is it a configuration file?", MAX_FILE_BYTES >> 20));
    }
    Ok(bytes)
}
