//! `suiro wasm test`: a filter over records from standard input.
//!
//! What goes on is printed on standard output, a JSON map on each line, in the order in which it goes on; everything else
//! on standard error. Fuel bounds a call, so that the same records take the same every time, and time does too, since what
//! the agent itself does for a guest costs none.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use suiro_record::{Batch, Row};
use suiro_wasm::{Allowance, Fate, Metering};

use super::calls::{Calls, Part, Spent};
use super::diff::{self, Came};
use super::lines::{self, Lines};
use super::{ModuleArgs, Stop, print, say};
use crate::cli::screen::{bytes, count};

/// Fuel of a call: several times what 100 ms in the agent are.
const FUEL: u64 = 1_000_000_000;
/// Time of a call, whatever its fuel.
const TIME: Duration = Duration::from_secs(5);
/// What a call may take in the agent, unless it is set.
const TIMEOUT: Duration = Duration::from_millis(100);
/// Records whose failure is told, each with a line.
const TOLD: u64 = 20;

/// Arguments of `suiro wasm test`.
#[derive(Debug, Args)]
#[command(after_help = "\
Records are read from standard input, a JSON map on each line; those that go on are printed. For example:

  echo '{\"level\":\"info\"}' | suiro wasm test filter.wasm
  suiro wasm test filter.wasm --config-file config.toml --expect expected.jsonl < sample.jsonl

Exit code 1: a record failed, or came out otherwise than expected. 2: the module can't be used.")]
pub(super) struct TestArgs {
    #[command(flatten)]
    module: ModuleArgs,
    /// A file with the records that are to come out, in this order; how they are spaced, and in which order their fields
    /// stand, does not matter
    #[arg(long, value_name = "FILE")]
    expect: Option<PathBuf>,
}

/// What became of the records.
#[derive(Debug, Default)]
struct Verdicts {
    records: u64,
    kept: u64,
    changed: u64,
    dropped: u64,
    failed: u64,
    /// New ones that go on.
    emitted: u64,
    tags: BTreeMap<String, u64>,
    retagged: u64,
    out: u64,
}

/// A record before the call: what it is compared with.
struct Before {
    number: usize,
    text: Vec<u8>,
}

pub(super) fn test(args: &TestArgs) -> Result<ExitCode, Stop> {
    let expected = args.expect.as_deref().map(diff::read).transpose()?;
    let loaded = args.module.load(Metering::Fuel)?;
    let allowance = Allowance { time: TIME, fuel: FUEL };
    let mut calls = Calls::start(&loaded, allowance)
        .map_err(|failure| Stop::Usage(format!("{}: it can't start: {failure}", args.module.file.module.display())))?;
    lines::invite();
    let mut lines = Lines::new(std::io::stdin(), loaded.tag.clone())?;
    let mut verdicts = Verdicts::default();
    let mut came: Vec<Came> = Vec::new();
    while let Some(mut portion) = lines.next()? {
        let before: Vec<Before> = portion
            .batch
            .rows
            .iter()
            .zip(&portion.numbers)
            .map(|(row, number)| Before { number: *number, text: whole(&portion.batch, row) })
            .collect();
        let mut out = Vec::new();
        calls.run(&mut portion.batch, |part| {
            verdicts.take(part, &before, |number, json| {
                out.extend_from_slice(json);
                out.push(b'\n');
                if expected.is_some() {
                    came.push(Came { number, json: String::from_utf8_lossy(json).into_owned() });
                }
            });
        });
        print(&out)?;
    }
    calls.end();
    if verdicts.records == 0 {
        say("warning: there were no records on standard input");
    }
    if lines.strange() > 0 {
        let strange = match lines.strange() {
            1 => "1 line was".to_owned(),
            n => format!("{} lines were", count(n)),
        };
        say(format_args!("note: {strange} no JSON, and went in as the text under `log`, as in the agent"));
    }
    let mut well = verdicts.failed == 0;
    if let (Some(expected), Some(path)) = (&expected, &args.expect) {
        let report = diff::compare(&came, expected, &path.display().to_string());
        if report.differences > 0 {
            well = false;
            say(report.text.trim_end());
        }
        let differences = match report.differences {
            0 => "as expected".to_owned(),
            1 => "1 difference".to_owned(),
            n => format!("{} differences", count(n)),
        };
        say(format_args!("expected   {} records: {differences}", count(expected.len() as u64)));
    }
    say(verdicts.render().trim_end());
    say(cost(&calls.spent).trim_end());
    let mut metrics = String::new();
    loaded.metrics.render(&mut metrics);
    for (name, value) in metrics.lines().filter_map(own_metric) {
        say(format_args!("metric     {name} {value}"));
    }
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Of a line of metrics, one that the filter keeps itself: its name and its value.
fn own_metric(line: &str) -> Option<(&str, &str)> {
    let labels = line.strip_prefix("suiro_wasm_custom")?;
    let (_, name) = labels.rsplit_once("name=\"")?;
    name.split_once("\"} ")
}

/// A record's body, time and header.
fn whole(batch: &Batch, row: &Row) -> Vec<u8> {
    let mut text = row.time.to_le_bytes().to_vec();
    if let Some(header) = batch.header(row) {
        header.write_json(&mut text);
    }
    batch.write_json(row, &mut text);
    text
}

// === impl Verdicts ===

impl Verdicts {
    /// Counts a part of a batch; `goes_on` is called with each record that does, and the line it came from.
    fn take(&mut self, part: Part, before: &[Before], mut goes_on: impl FnMut(usize, &[u8])) {
        match part {
            Part::Failed { range, failure } => {
                self.records += range.len() as u64;
                for at in range {
                    self.fail(before[at].number, failure.kind.name(), &failure.detail);
                }
            }
            Part::Done { from, effects, batch } => {
                let mut json = Vec::new();
                effects.visit(&batch.rows, |at, made, row, fate| {
                    let before = &before[from + at];
                    self.records += u64::from(!made);
                    match fate {
                        Fate::Dropped => {
                            self.dropped += u64::from(!made);
                            return;
                        }
                        Fate::Failed(why) => return self.fail(before.number, "failed", why),
                        Fate::Tagged(tag) => {
                            self.retagged += 1;
                            *self.tags.entry(tag.to_string()).or_default() += 1;
                        }
                        Fate::Stays => {}
                    }
                    if made {
                        self.emitted += 1;
                    } else if whole(batch, row) == before.text {
                        self.kept += 1;
                    } else {
                        self.changed += 1;
                    }
                    self.out += 1;
                    json.clear();
                    batch.write_json(row, &mut json);
                    goes_on(before.number, &json);
                });
            }
        }
    }

    fn fail(&mut self, number: usize, kind: &str, why: &str) {
        self.failed += 1;
        if self.failed <= TOLD {
            say(format_args!("line {number}: {kind}: {why}"));
        } else if self.failed == TOLD + 1 {
            say("further records that failed are counted only");
        }
    }

    fn render(&self) -> String {
        let mut text = format!("records    {} in, {} out: ", count(self.records), count(self.out));
        let counts = [
            ("kept", self.kept),
            ("changed", self.changed),
            ("dropped", self.dropped),
            ("emitted", self.emitted),
            ("failed", self.failed),
            ("re-tagged", self.retagged),
        ];
        let counts: Vec<String> = counts.iter().map(|(name, n)| format!("{name} {}", count(*n))).collect();
        // Writing to a `String` does not fail.
        let _ = writeln!(text, "{}", counts.join(", "));
        if !self.tags.is_empty() {
            let tags: Vec<String> = self.tags.iter().take(20).map(|(tag, n)| format!("{tag} {}", count(*n))).collect();
            let more = if self.tags.len() > 20 { ", .." } else { "" };
            let _ = writeln!(text, "tags       {}{more}", tags.join(", "));
        }
        text
    }
}

/// What it cost.
fn cost(spent: &Spent) -> String {
    let each = |sum: f64| sum / spent.records.max(1) as f64;
    let mut text = String::new();
    if spent.records > 0 {
        let _ = writeln!(
            text,
            "cost       {:.0} ns and {:.0} fuel a record; the time with fuel counted, which slows it down: `suiro wasm bench` measures",
            each(spent.time.as_nanos() as f64),
            each(spent.fuel as f64),
        );
    }
    let _ = writeln!(text, "memory     {} at its peak", bytes(spent.memory as u64));
    if spent.longest > TIMEOUT {
        let _ = writeln!(
            text,
            "warning: a call took {} ms, and the agent's `timeout` is 100 ms unless it is set",
            spent.longest.as_millis()
        );
    }
    text
}
