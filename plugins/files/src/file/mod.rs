//! The output `file`: records as lines in files.
//!
//! | setting | what it does |
//! | --- | --- |
//! | `path` | the file; a template, such as `"/var/log/app/{@file.name}-{@time:%Y-%m-%d}.log"`. Folders are made. Relative paths start at the configuration file |
//! | `format` | `"json"` (default), `"raw"`: the text as it was read, where a record is nothing but that, or `"full"`: all there is, as JSON |
//! | `rotate` | `{ max_size = "100MiB", keep = 5 }`: a file that would grow beyond is renamed to `.1`, that to `.2`, and so on |
//! | `fsync` | `"never"` (default) or `"batch"`: whether the disk is waited for. Without it a crash of the agent loses and doubles nothing, a power failure may |
//!
//! Effectively once: a replay adds nothing that is there ([`sidecar`]). A file is written by one agent and one output
//! alone. Whoever moves a file away, moves it with all that is in it: the output begins a new one at the next delivery.
//!
//! # Missing
//!
//! Compression.

mod disk;
mod settled;
mod sidecar;
mod writer;

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use suiro_record::Signal;
use suiro_sdk::lang::{Destination, check};
use suiro_sdk::ledger::{OutputLedger, add};
use suiro_sdk::output::Delivering;
use suiro_sdk::settings::{ByteSize, Reported, Section};
use suiro_sdk::{Delivery, Outcome, Output, OutputSetup, Reason, StartError, Verdict};

use self::disk::{Disk, RealDisk};
use self::writer::{Rotate, Rows, Writer};
use crate::encode::Format;

/// What `suiro list` says.
pub(crate) const ABOUT: &str = "appends records as lines to files, effectively once";

/// Files that are open, at most.
const MAX_OPEN: usize = 64;

struct FileOutput {
    path: Destination,
    folder: PathBuf,
    format: Format,
    rotate: Option<Rotate>,
    disk: Box<dyn Disk>,
    ledger: OnceLock<Arc<OutputLedger>>,
    open: RefCell<Open>,
}

#[derive(Default)]
struct Open {
    files: HashMap<PathBuf, Writer>,
    turn: u64,
}

/// Reads the settings.
pub(crate) fn build(section: &Section) -> Result<Box<dyn Output>, Reported> {
    Ok(Box::new(FileOutput::read(section)?))
}

// === impl FileOutput ===

impl FileOutput {
    fn read(section: &Section) -> Result<Self, Reported> {
        let path = match section.value("path") {
            Some(value) => Destination::read_checked(&value, check::file_path),
            None => Err(section.missing("path", r#""/var/log/suiro/app.log""#)),
        };
        let format = Format::read(section, &[("json", Format::Json), ("raw", Format::Raw), ("full", Format::Full)]);
        let rotate = section.section("rotate").map(|rotate| {
            let max_size = rotate.require::<ByteSize>("max_size", r#""100MiB""#);
            let keep = rotate.within("keep", 0..=1000_u32).unwrap_or(5);
            max_size.map(|max_size| Rotate { max_size: max_size.bytes().max(1), keep })
        });
        let sync = section.choice("fsync", &[("never", false), ("batch", true)]).unwrap_or(false);
        if let Ok(path) = &path
            && path.is_literal().is_some_and(|path| sidecar::is_sidecar(Path::new(path)))
        {
            section.error_at(
                "path",
                "`path` names a file that the output keeps its own notes in",
                "choose another name",
            );
        }
        section.finish()?;
        Ok(FileOutput {
            path: path?,
            folder: section.resolve_path(""),
            format,
            rotate: rotate.transpose()?,
            disk: Box::new(RealDisk { sync }),
            ledger: OnceLock::new(),
            open: RefCell::default(),
        })
    }

    fn write(&self, delivery: &Delivery) -> Outcome {
        let mut verdicts: Vec<(usize, Verdict)> = Vec::new();
        let mut groups: Vec<(PathBuf, Rows<'_>, Vec<usize>)> = Vec::new();
        let mut group_of: HashMap<Vec<u8>, usize> = HashMap::new();
        let mut number = 0;
        for part in &delivery.parts {
            let prepared = self.path.prepare(&part.batch);
            let mut rendered = Vec::new();
            for (n, row) in part.records().enumerate() {
                rendered.clear();
                match prepared.render(&part.batch, row, &mut rendered) {
                    Ok(()) => {
                        let group = match group_of.get(&rendered) {
                            Some(&group) => group,
                            None => {
                                group_of.insert(rendered.clone(), groups.len());
                                let path = self.folder.join(String::from_utf8_lossy(&rendered).as_ref());
                                groups.push((path, Vec::new(), Vec::new()));
                                groups.len() - 1
                            }
                        };
                        groups[group].1.push((part, n));
                        groups[group].2.push(number);
                    }
                    Err(refusal) if refusal.is_drop() => verdicts.push((number, Verdict::Drop(refusal.reason()))),
                    Err(refusal) => {
                        let detail = refusal.to_string();
                        verdicts.push((number, Verdict::Refused { reason: refusal.reason(), detail }));
                    }
                }
                number += 1;
            }
        }
        let mut failed = None;
        let all = verdicts.is_empty() && groups.len() == 1;
        // A path through another record's file is the record's fault: waiting would not mend it.
        let chosen = self.path.template().first_foreign().is_some();
        for (path, rows, numbers) in groups {
            if sidecar::is_sidecar(&path) {
                let detail = format!("{} is a file that the output keeps its own notes in", path.display());
                let verdict = Verdict::Refused { reason: Reason::NOT_ALLOWED, detail };
                verdicts.extend(numbers.into_iter().map(|number| (number, verdict.clone())));
                continue;
            }
            if let Err(error) = self.append(&path, &rows) {
                let why = format!("can't write {}: {error}", path.display());
                // A folder can't be made where a file is: it exists.
                let hopeless = [ErrorKind::AlreadyExists, ErrorKind::NotADirectory, ErrorKind::InvalidFilename];
                if chosen && hopeless.contains(&error.kind()) {
                    let verdict = Verdict::Refused { reason: Reason::NOT_ALLOWED, detail: why };
                    verdicts.extend(numbers.into_iter().map(|number| (number, verdict.clone())));
                    continue;
                }
                let verdict = Verdict::Retry { why: why.clone(), after: None, degraded: true };
                verdicts.extend(numbers.into_iter().map(|number| (number, verdict.clone())));
                failed = Some(why);
            }
        }
        match failed {
            Some(why) if all => Outcome::Retry { why, after: None, degraded: true },
            _ if verdicts.is_empty() => Outcome::Delivered,
            _ => {
                verdicts.sort_by_key(|(number, _)| *number);
                Outcome::Partial(verdicts)
            }
        }
    }

    fn append(&self, path: &Path, rows: &Rows<'_>) -> std::io::Result<()> {
        let mut open = self.open.borrow_mut();
        open.turn += 1;
        let turn = open.turn;
        // Whatever goes wrong, the file is opened anew, and what was half written is cut off.
        let mut writer = match open.files.remove(path) {
            Some(writer) if writer.is_current() => writer,
            _ => Writer::open(path, &*self.disk)?,
        };
        let bytes = writer.append(rows, self.format, self.rotate, &*self.disk)?;
        if let Some(ledger) = self.ledger.get() {
            add(&ledger.bytes, bytes);
        }
        writer.used = turn;
        if open.files.len() >= MAX_OPEN
            && let Some(oldest) = open.files.iter().min_by_key(|(_, writer)| writer.used).map(|(path, _)| path.clone())
        {
            open.files.remove(&oldest);
        }
        open.files.insert(path.to_owned(), writer);
        Ok(())
    }
}

impl Output for FileOutput {
    fn signals(&self) -> &'static [Signal] {
        &[Signal::Logs, Signal::Traces, Signal::Metrics]
    }

    fn start(&mut self, setup: &OutputSetup) -> Result<(), StartError> {
        self.ledger = OnceLock::from(setup.ledger.clone());
        Ok(())
    }

    fn deliver<'a>(&'a self, delivery: &'a Delivery) -> Delivering<'a> {
        Box::pin(std::future::ready(self.write(delivery)))
    }
}
