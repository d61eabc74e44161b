//! `cargo xtask race`: suiro, the other agents to be had here and the least-work loops, on the same files, side by side.
//!
//! # How it measures
//!
//! Every run is a fresh process reading one finished file into the counting sink ([`sink`]), from the start of the
//! process until the sink has answered the last record. The file has just been read once, so that all find it in memory.
//! CPU time and memory are the agent's alone ([`measure`]). Runs are interleaved, agent after agent and round after round,
//! so that a machine that slows down slows everybody down. Medians are compared. The loops ([`loops`]) do the least a
//! program can do for each job, and are measured the same way.
//!
//! The race shows first what the sink bears ([`headroom`]), prints the configuration each agent ran with
//! ([`agents`]), and says which agents are missing. An agent that fails a run is reported and left out of that job.

pub(crate) mod agents;
mod corpus;
mod headroom;
mod idle;
mod job;
pub(crate) mod loops;
pub(crate) mod measure;
pub(crate) mod report;
pub(crate) mod run;
pub(crate) mod sink;

use std::{
    fs,
    path::{Path, PathBuf},
};

use self::{
    agents::{Agent, Course, Kind},
    job::Job,
    report::{Idle, Result as JobResult},
    sink::handle::Sink,
};
use crate::{
    cargo::target,
    error::{Context, Error},
};

/// Starts of suiro for the time to ready.
const STARTS: usize = 5;

/// Options of `race`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Size of each file, MiB.
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u64).range(1..=16 << 10))]
    size_mib: u64,
    /// Runs of each agent in each job; medians are compared.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=99))]
    runs: u64,
    /// Jobs to run, separated by commas.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Job::ALL)]
    jobs: Vec<Job>,
    /// Race suiro against the loops only.
    #[arg(long)]
    only_suiro: bool,
    /// Write every run to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Runs the race and prints its tables.
pub(crate) fn run(options: &Options) -> Result<(), Error> {
    let folder = target().join("race");
    fs::create_dir_all(&folder).context(folder.display())?;
    let busy = load().filter(|load| *load > 0.5);
    let agents = line_up(options.only_suiro)?;
    let mut sink = Sink::start()?;
    if let Some(load) = busy {
        println!("\nthis machine is busy (load {load:.1}): MB/s say nothing, MB per CPU s suffer a little");
    }

    println!("\n== the sink, sent to flat out (1 GiB of input in each shape)\n");
    for one in headroom::measure(&mut sink)? {
        println!(
            "{:<26}{:>7.0} MB/s{:>9.0} MB per CPU s of the sink",
            one.what, one.mb_per_second, one.mb_per_cpu_second
        );
    }

    let mut results = vec![];
    for &job in &options.jobs {
        let file = corpus::provide(job.corpus(), options.size_mib << 20, &folder)?;
        let agents: Vec<&Agent> = agents.iter().filter(|agent| job.takes(agent.kind)).collect();
        print_configurations(&agents, job, &file.path, sink.port());
        let first = results.len();
        results.extend(agents.iter().map(|agent| JobResult {
            job,
            kind: agent.kind,
            input: file.bytes,
            costs: vec![],
        }));
        let mut failed = vec![false; agents.len()];
        println!("\n-- {}: runs", job.slug());
        for round in 1..=options.runs {
            for (at, agent) in agents.iter().enumerate() {
                if failed[at] {
                    continue;
                }
                match run::run(agent, job, &file, &mut sink, &folder) {
                    Ok(cost) => {
                        println!(
                            "  {round} {:<18}{:>8.2} s wall{:>8.2} s CPU{:>8.1} MB",
                            agent.kind.name(),
                            cost.wall.as_secs_f64(),
                            cost.cpu.as_secs_f64(),
                            cost.peak as f64 / 1e6
                        );
                        if cost.surplus > 0 {
                            println!("    {} records came more than once", cost.surplus);
                        }
                        results[first + at].costs.push(cost);
                    }
                    Err(error) => {
                        println!("  {round} {} FAILED and is left out of this job: {error}", agent.kind.name());
                        results[first + at].costs.clear();
                        failed[at] = true;
                    }
                }
            }
        }
        println!("{}", report::job_table(&results, job, &file));
    }

    let idle = idle(&agents, &mut sink, &folder);
    println!("{}", report::idle_table(&idle));
    println!("== for the README\n\n{}", report::markdown(&results, &idle));
    if let Some(path) = &options.json {
        fs::write(path, format!("{:#}\n", report::as_json(&results, &idle))).context(path.display())?;
    }
    Ok(())
}

/// Processes that wanted a core in the last minute, on average.
fn load() -> Option<f64> {
    fs::read_to_string("/proc/loadavg").ok()?.split(' ').next()?.parse().ok()
}

/// Who takes part; prints who does and who doesn't, and why.
fn line_up(only_suiro: bool) -> Result<Vec<Agent>, Error> {
    let mut agents = vec![];
    match Agent::suiro() {
        Ok(agent) => {
            let roles = [Kind::SuiroModify, Kind::SuiroSameWasm].map(|kind| agent.as_kind(kind));
            agents.push(agent);
            agents.extend(roles);
        }
        Err(error) => println!("\nsuiro can't be run, so only the others are: {error}\n"),
    }
    if !only_suiro {
        let (found, missing) = Agent::others();
        agents.extend(found);
        missing.iter().for_each(|line| println!("not in the race: {line}"));
    }
    for agent in agents.iter().filter(|agent| agent.kind.is_itself()) {
        println!("in the race: {} ({}, {})", agent.kind.name(), agent.version, agent.program.display());
    }
    agents.push(Agent::least_work()?);
    Ok(agents)
}

fn print_configurations(agents: &[&Agent], job: Job, file: &Path, sink: u16) {
    let folder = Path::new("/tmp/run");
    let course = Course { job: Some(job), file, sink, api: 2020, folder };
    for agent in agents {
        for (name, text) in agent.configuration(&course) {
            println!("\n-- {}: {}, {name}\n{text}", job.slug(), agent.kind.name());
        }
    }
}

fn idle(agents: &[Agent], sink: &mut Sink, folder: &Path) -> Vec<Idle> {
    let mut idle = vec![];
    for agent in agents.iter().filter(|agent| agent.kind != Kind::Loop && agent.kind.is_itself()) {
        let measured = idle::memory(agent, sink, folder).and_then(|memory| {
            let starts = if agent.kind == Kind::Suiro { STARTS } else { 0 };
            let ready = (0..starts).map(|_| idle::ready(agent, sink, folder)).collect::<Result<_, _>>()?;
            Ok(Idle { kind: agent.kind, memory, ready })
        });
        match measured {
            Ok(one) => idle.push(one),
            Err(error) => println!("idle: {} FAILED: {error}", agent.kind.name()),
        }
    }
    idle
}
