//! `cargo xtask torture`: is anything lost, or doubled, when everything goes wrong at once?
//!
//! A writer appends numbered records to files that are rotated and truncated ([`writer`]); the agent follows them and sends
//! them on with `id = "origin"`; a sink stores by id, and answers 429 and 503, refuses single records, resets connections,
//! stores and never answers; and the agent is SIGKILLed again and again, at random and at named points ([`kills`]). At the
//! end the writer stops, the sink is well, the agent lives, and everything that was written must be there, once
//! ([`oracle`]).
//!
//! All that is drawn by chance is drawn from the seed, which is printed first. What it meets is not: a kill finds the agent
//! wherever it is.

mod agent;
mod kills;
mod oracle;
mod report;
mod sink;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;
use suiro_test_servers::Faults;

use self::{
    agent::{Launch, Slot, was_killed},
    kills::{Death, Kills},
    oracle::Oracle,
    report::Report,
    sink::{Output, Sink},
    writer::Writer,
};
use crate::{
    cargo,
    error::{Context, Error},
};

/// Without an arrival for so long, what did not arrive is lost.
const NO_PROGRESS: Duration = Duration::from_secs(30);

/// Options of `torture`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// How long the agent is tortured, minutes.
    #[arg(long, default_value_t = 2.0)]
    minutes: f64,
    /// What all that is random is drawn from; by default another one each time.
    #[arg(long)]
    seed: Option<u64>,
    /// End after so many kills, if the time is not over before.
    #[arg(long)]
    kills: Option<u64>,
    /// Documents written in a second.
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..=200_000))]
    rate: u32,
    /// Worker threads of the agent.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    workers: u32,
    /// The output.
    #[arg(long, value_enum, default_value = "elasticsearch")]
    output: Output,
    /// The output's queue.
    #[arg(long, default_value = "memory", value_parser = ["memory", "disk"])]
    queue: String,
    /// Torture the release build.
    #[arg(long)]
    release: bool,
    /// Torture this binary instead of building one; without the feature `killpoints` it dies at random only.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Keep the files, the agent's data and its log here.
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

/// Tortures the agent; an error if anything was lost or doubled.
pub(crate) fn run(options: &Options) -> Result<(), Error> {
    let seed = options.seed.unwrap_or_else(rand::random);
    println!("torture: seed {seed}, {} minutes, {} documents a second", options.minutes, options.rate);
    let folder = options.folder.clone().unwrap_or_else(|| cargo::target().join("torture"));
    agent::clean(&folder)?;
    let folder = folder.canonicalize().context(folder.display())?;
    let binary = match &options.binary {
        Some(binary) => binary.clone(),
        None => build(options.release, &folder)?,
    };
    let report = torture(options, seed, &folder, binary)?;
    report.print();
    report.verdict(&folder)
}

fn build(release: bool, folder: &Path) -> Result<PathBuf, Error> {
    let mut command = cargo::cargo();
    command.args(["build", "--quiet", "--workspace", "--bin", "suiro", "--features", "suiro/killpoints"]);
    if release {
        command.arg("--release");
    } else {
        // With a test at its side the dependencies have the features of `cargo test --workspace`, which mostly ran before.
        command.args(["--test", "blackbox"]);
    }
    let status = command.status().context("cargo build")?;
    if !status.success() {
        return Err("the agent does not build".to_owned().into());
    }
    // Another build would put an agent without points into its place.
    let built = cargo::target().join(if release { "release" } else { "debug" }).join("suiro");
    let own = folder.join("suiro");
    std::fs::copy(&built, &own).context(built.display())?;
    Ok(own)
}

fn config(options: &Options, folder: &Path, output: &str) -> String {
    let Options { workers, queue, .. } = options;
    let folder = folder.display();
    format!(
        r#"[service]
data_dir = "{folder}/data"
workers = {workers}
shutdown_timeout = "20s"
api = {{ listen = "127.0.0.1:0" }}

[[input]]
name = "json"
type = "tail"
tag = "json"
path = ["{folder}/logs/a.log*", "{folder}/logs/b.log", "{folder}/logs/c.log"]
scan_interval = "500ms"
rotate_wait = "1s"
parser = "json"

[[input]]
name = "text"
type = "tail"
tag = "text"
path = ["{folder}/logs/m.log*", "{folder}/logs/d.log"]
scan_interval = "500ms"
rotate_wait = "1s"
multiline = {{ start = '^\[', timeout = "500ms" }}

[[filter]]
type = "split"
match = "json"
path = "items"

[[output]]
name = "sink"
{output}queue = {{ type = "{queue}" }}
batch = {{ timeout = "100ms" }}
retry = {{ initial = "50ms", max = "500ms" }}
"#
    )
}

fn torture(options: &Options, seed: u64, folder: &Path, binary: PathBuf) -> Result<Report, Error> {
    let oracle = Arc::new(Oracle::new());
    let sink = Sink::start(options.output, folder, seed, &oracle)?;
    let logs = folder.join("logs");
    std::fs::create_dir_all(&logs).context(logs.display())?;
    let launch = Launch {
        binary,
        config: folder.join("suiro.toml"),
        log: folder.join("agent.log"),
        ledger: folder.join("ledger.json"),
    };
    std::fs::write(&launch.config, config(options, folder, &sink.config())).context(launch.config.display())?;
    let slot = Arc::new(Slot::default());
    let writer = Writer::new(&logs, seed, Arc::clone(&oracle), Arc::clone(&slot), sink.may_take_back())?;
    let (stop, over) = (AtomicBool::new(false), AtomicBool::new(false));
    let (kills, done, problems) = thread::scope(|scope| {
        scope.spawn(|| sink.watch(&oracle, &over));
        let writing = scope.spawn(|| writer.run(options.rate, &stop));
        let kills = live_and_die(options, seed, &launch, &slot, &oracle);
        stop.store(true, Ordering::Relaxed);
        let done = writing.join().unwrap_or_else(|_| Err("the writer panicked".to_owned().into()));
        if let Some(faults) = sink.faults() {
            faults.heal();
        }
        println!("the writer has stopped and the sink is well; waiting for the rest");
        let settled = settle(&launch, &slot, &oracle);
        over.store(true, Ordering::Relaxed);
        Ok::<_, Error>((kills?, done?, settled?))
    })?;
    let mut problems = problems;
    problems.extend(end(&launch, &slot, &oracle, &sink)?);
    let said = std::fs::read_to_string(&launch.log).unwrap_or_default();
    problems.extend(said.lines().filter(|line| line.contains("panicked")).take(5).map(str::to_owned));
    Ok(Report {
        seed,
        kills,
        done,
        problems,
        may_double: options.output == Output::Loki,
        guarantee: options.output.guarantee(),
        faults: sink.faults().map(Faults::seen).unwrap_or_default(),
        counts: sink.counts(),
        oracle,
    })
}

/// Lives and deaths until the time is over.
fn live_and_die(options: &Options, seed: u64, launch: &Launch, slot: &Slot, oracle: &Oracle) -> Result<Kills, Error> {
    let mut rng = StdRng::seed_from_u64(seed ^ 0x6b_69_6c_6c);
    let points = kills::points(options.output, options.queue == "disk");
    let mut kills = Kills::default();
    let until = Instant::now() + Duration::from_secs_f64(options.minutes * 60.0);
    let mut told = Instant::now();
    while Instant::now() < until && options.kills.is_none_or(|most| kills.total < most) {
        let death = Death::draw(&mut rng, &points);
        *slot.lock() = Some(launch.start(death.aim().as_deref())?);
        let latest = Instant::now() + death.latest();
        let (status, said, by_itself) = loop {
            let mut held = slot.lock();
            let Some(agent) = held.as_mut() else { return Err("nobody to kill".to_owned().into()) };
            if let Some(status) = agent.ended()? {
                break (status, agent.said(), true);
            }
            if Instant::now() >= latest {
                agent.signal(Signal::SIGKILL);
                let status = agent.wait(Duration::from_secs(10))?;
                break (status.ok_or("SIGKILL did not end the agent".to_owned())?, agent.said(), false);
            }
            drop(held);
            thread::sleep(Duration::from_millis(2));
        };
        *slot.lock() = None;
        if !was_killed(status) {
            return Err(format!("the agent ended by itself, with {status}; it said:\n{said}").into());
        }
        kills.count(&death, by_itself);
        if told.elapsed() > Duration::from_secs(10) {
            told = Instant::now();
            let total = oracle.lock().total();
            println!(
                "  {} kills; sent {}, delivered {}, duplicated {}",
                kills.total, total.sent, total.delivered, total.duplicated
            );
        }
        // Files change while nobody looks.
        thread::sleep(Duration::from_millis(rng.random_range(0..200)));
    }
    Ok(kills)
}

/// A last life: until all has arrived, and the agent knows it.
fn settle(launch: &Launch, slot: &Slot, oracle: &Oracle) -> Result<Vec<String>, Error> {
    oracle.lock().last_arrival = Instant::now();
    *slot.lock() = Some(launch.start(None)?);
    let mut problems = Vec::new();
    loop {
        let (done, quiet) = {
            let state = oracle.lock();
            (state.all_arrived(), state.last_arrival.elapsed())
        };
        if done {
            break;
        }
        if quiet > NO_PROGRESS {
            problems.push(format!("nothing arrived for {} s", NO_PROGRESS.as_secs()));
            break;
        }
        thread::sleep(Duration::from_millis(20));
    }
    let until = Instant::now() + Duration::from_secs(15);
    let idle = |ledger: &Value| {
        ledger["inputs"].as_array().is_some_and(|inputs| inputs.iter().all(|input| input["in_flight"] == 0))
    };
    while !slot.lock().as_ref().and_then(agent::Agent::live_ledger).is_some_and(|ledger| idle(&ledger)) {
        if Instant::now() > until {
            problems.push("the agent's ledger says that records are in flight, and nothing moves".to_owned());
            break;
        }
        thread::sleep(Duration::from_millis(50));
    }
    Ok(problems)
}

/// Stops the agent, looks at its ledger, and starts it once more: it must find nothing new.
fn end(launch: &Launch, slot: &Slot, oracle: &Oracle, sink: &Sink) -> Result<Vec<String>, Error> {
    let mut problems = Vec::new();
    if let Some(mut agent) = slot.lock().take() {
        agent.signal(Signal::SIGTERM);
        match agent.wait(Duration::from_secs(30))? {
            Some(status) if status.success() => problems.extend(report::imbalances(&launch.ledger()?)),
            Some(status) => problems.push(format!("SIGTERM: {status}; it said:\n{}", agent.said())),
            None => problems.push("the agent did not end within 30 s of SIGTERM".to_owned()),
        }
    }
    sink.recount(oracle);
    let before = oracle.lock().total();
    let status = launch.run_once()?;
    if !status.success() {
        problems.push(format!("run --once at the end: {status}"));
    }
    problems.extend(report::imbalances(&launch.ledger()?));
    sink.recount(oracle);
    let after = oracle.lock().total();
    if before != after {
        problems.push(format!("after a stop and a start more came: {before:?}, then {after:?}"));
    }
    Ok(problems)
}
