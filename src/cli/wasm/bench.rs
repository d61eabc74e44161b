//! `suiro wasm bench`: what a filter costs, as the agent runs it: time is counted, not fuel.
//!
//! Records are parsed before the clock runs, and batches are copied outside of it: what is measured is the call. The agent
//! is spared what stands around it in a pipeline, so this is the filter's own cost.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use suiro_record::Batch;
use suiro_wasm::{Allowance, Failure, Metering};

use super::calls::Calls;
use super::lines::{self, Lines};
use super::{ModuleArgs, Stop, print, say};
use crate::cli::screen::{bytes, count};

/// Input that is kept: no more than this is repeated.
const MAX_INPUT: usize = 64 << 20;
/// Time of a call.
const TIME: Duration = Duration::from_secs(10);
/// Calls without records.
const EMPTY: u32 = 1000;

/// Arguments of `suiro wasm bench`.
#[derive(Debug, Args)]
#[command(after_help = "\
Records are read from standard input, a JSON map on each line, and run again and again in batches of 1,000. For example:

  suiro wasm bench filter.wasm --config-file config.toml < sample.jsonl

Where the input has fewer than 1,000 records it is repeated until a batch is full.")]
pub(super) struct BenchArgs {
    #[command(flatten)]
    module: ModuleArgs,
    /// For how long
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
}

/// What is run, again and again.
struct Input {
    /// With the bytes of their lines.
    batches: Vec<(Batch, usize)>,
    /// As it was read, before it was repeated to fill a batch.
    bytes: usize,
    records: usize,
}

pub(super) fn bench(args: &BenchArgs) -> Result<ExitCode, Stop> {
    let began = Instant::now();
    let loaded = args.module.load(Metering::Time)?;
    let compiled = began.elapsed();
    let module = args.module.file.module.display();
    let allowance = Allowance { time: TIME, fuel: u64::MAX };
    let began = Instant::now();
    let mut calls = Calls::start(&loaded, allowance)
        .map_err(|failure| Stop::Usage(format!("{module}: it can't start: {failure}")))?;
    let started = began.elapsed();
    lines::invite();
    let Input { batches, bytes: all_bytes, records: all_records } = Input::read(&loaded.tag)?;
    let failed = |failure: Failure| {
        let message =
            format!("{module}: it failed: {failure}\n  help: `suiro wasm test` finds the records it fails on");
        Stop::Failed(message)
    };
    // Once over all, so that memory and caches are as they will be.
    for (batch, _) in &batches {
        calls.call(&mut batch.clone(), allowance).map_err(failed)?;
    }
    let empty = empty_call(&mut calls, &batches[0].0, allowance).map_err(failed)?;
    let until = Instant::now() + Duration::from_secs(args.seconds);
    let (mut records, mut taken, mut time) = (0u64, 0u64, Duration::ZERO);
    let mut fastest = f64::MAX;
    let mut round = 0u64;
    while Instant::now() < until || round == 0 {
        for (batch, bytes) in &batches {
            let mut batch = batch.clone();
            let n = batch.len() as u64;
            let before = calls.spent.time;
            calls.call(&mut batch, allowance).map_err(failed)?;
            let took = calls.spent.time - before;
            fastest = fastest.min(took.as_nanos() as f64 / n as f64);
            (records, taken, time) = (records + n, taken + *bytes as u64, time + took);
            if Instant::now() >= until {
                break;
            }
        }
        round += 1;
    }
    let each = time.as_nanos() as f64 / records as f64;
    let rate = taken as f64 / time.as_secs_f64().max(1e-9) / 1e6;
    let size = batches[0].0.len();
    let batch = each * size as f64;
    let mut text = String::new();
    // Writing to a `String` does not fail.
    let _ = writeln!(text, "records    {size} a batch, {} bytes each; {} run", all_bytes / all_records, count(records));
    let _ = writeln!(text, "cost       {each:.0} ns a record; {fastest:.0} in the fastest batch");
    let _ = writeln!(text, "rate       {rate:.0} MB/s");
    let _ = writeln!(
        text,
        "empty call {:.0} ns: a batch costs {:.0} times as much",
        empty.as_nanos(),
        batch / empty.as_nanos().max(1) as f64
    );
    let _ = writeln!(text, "memory     {} at its peak", bytes(calls.spent.memory as u64));
    let _ = writeln!(
        text,
        "start      {:.1} ms to compile, {:.2} ms to get ready",
        compiled.as_secs_f64() * 1e3,
        started.as_secs_f64() * 1e3
    );
    if calls.spent.instances > 1 {
        let _ = writeln!(text, "note: its memory grew, and it was replaced {} times", count(calls.spent.instances - 1));
    }
    calls.end();
    if cfg!(debug_assertions) {
        say("note: this binary is a debug build, which is many times slower");
    }
    print(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

// === impl Input ===

impl Input {
    fn read(tag: &Arc<str>) -> Result<Input, Stop> {
        let mut lines = Lines::new(std::io::stdin(), tag.clone())?;
        let mut input = Input { batches: Vec::new(), bytes: 0, records: 0 };
        while input.bytes < MAX_INPUT
            && let Some(portion) = lines.next()?
        {
            input.bytes += portion.bytes;
            input.records += portion.batch.len();
            input.batches.push((portion.batch, portion.bytes));
        }
        if input.records == 0 {
            return Err(Stop::Usage("there are no records on standard input".to_owned()));
        }
        if input.bytes >= MAX_INPUT {
            say("note: no more than 64 MiB of the input are used");
        }
        // A sample of a few lines makes full batches too.
        if let [(batch, size)] = input.batches.as_mut_slice() {
            let rows = batch.rows.clone();
            let once = *size;
            while batch.len() + rows.len() <= lines::BATCH {
                batch.rows.extend_from_slice(&rows);
                *size += once;
            }
        }
        Ok(input)
    }
}

/// What a call without records takes.
fn empty_call(calls: &mut Calls, like: &Batch, allowance: Allowance) -> Result<Duration, Failure> {
    let mut batch = like.clone();
    batch.rows.clear();
    let before = calls.spent.time;
    for _ in 0..EMPTY {
        calls.call(&mut batch, allowance)?;
    }
    Ok((calls.spent.time - before) / EMPTY)
}
