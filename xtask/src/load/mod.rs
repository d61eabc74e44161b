//! `cargo xtask load`: OTLP/gRPC into agents and out of them, side by side: what a record costs.
//!
//! # How it measures
//!
//! Every run is a fresh process of the agent between two processes of ours: the generator ([`send`]) sends requests that were
//! made beforehand ([`requests`]), over several streams of several connections, as fast as they are answered; the race's
//! counting sink takes what comes out and answers at once. CPU time is the agent's alone, from the moment at which it listens
//! until the sink has answered the last record; so is memory. Runs are interleaved, and medians compared.
//!
//! Before anything else the generator sends straight to the sink, which shows what the two bear and cost. An agent that
//! refuses for now (`UNAVAILABLE`, `RESOURCE_EXHAUSTED`, a stream refused, a connection closed) is asked again a little later; anything else ends its run. So does a
//! record that does not come; ones that come twice are reported, and so are requests without the change asked for.
//!
//! The rivals are the OpenTelemetry Collector that `tests/backends/collector/build` builds (with a processor that does nothing
//! but rename), and Fluent Bit, named by `FLUENT_BIT` or found as `fluent-bit`.

mod agents;
mod requests;
pub(crate) mod send;

use std::{
    fs,
    net::TcpStream,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use serde_json::json;

use self::agents::{Agent, Kind};
use self::requests::BATCH;
use crate::{
    cargo::target,
    error::{Context, Error},
    race::{
        measure::Process,
        report::median,
        run::{free_port, last_lines},
        sink::handle::Sink,
    },
};

/// One job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Job {
    /// Logs, untouched.
    #[value(name = "otlp-logs")]
    Logs,
    /// Logs, one attribute renamed.
    #[value(name = "otlp-logs-rename")]
    LogsRename,
    /// Spans, untouched.
    #[value(name = "otlp-traces")]
    Traces,
    /// Spans, one attribute renamed.
    #[value(name = "otlp-traces-rename")]
    TracesRename,
}

/// Options of `load`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Records of a run, in thousands.
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    thousands: u64,
    /// Runs of each agent in each job; medians are compared.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=99))]
    runs: u64,
    /// Jobs to run, separated by commas.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Job::ALL)]
    jobs: Vec<Job>,
    /// Connections of the generator.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=64))]
    connections: u64,
    /// Requests under way on each connection.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=256))]
    streams: u64,
    /// The agent to measure, instead of one built now.
    #[arg(long, value_name = "FILE")]
    suiro: Option<PathBuf>,
    /// No rivals.
    #[arg(long)]
    only_suiro: bool,
    /// Write every run to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// What one run cost.
#[derive(Clone, Copy, Debug)]
struct Cost {
    wall: Duration,
    /// Of the agent; for the generator straight to the sink, nothing.
    cpu: Duration,
    peak: u64,
    sender_cpu: Duration,
    sink_cpu: Duration,
    /// Requests that were refused for now, and sent again.
    refused: u64,
    surplus: u64,
}

struct Outcome {
    job: Job,
    kind: Kind,
    records: u64,
    costs: Vec<Cost>,
}

impl Job {
    /// Every job, in the order of the tables.
    const ALL: [Self; 4] = [Self::Logs, Self::LogsRename, Self::Traces, Self::TracesRename];

    /// The name on the command line.
    fn slug(self) -> &'static str {
        match self {
            Self::Logs => "otlp-logs",
            Self::LogsRename => "otlp-logs-rename",
            Self::Traces => "otlp-traces",
            Self::TracesRename => "otlp-traces-rename",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Logs => "OTLP/gRPC logs in and out, untouched",
            Self::LogsRename => "OTLP/gRPC logs in and out, one attribute renamed",
            Self::Traces => "OTLP/gRPC spans in and out, untouched",
            Self::TracesRename => "OTLP/gRPC spans in and out, one attribute renamed",
        }
    }

    fn traces(self) -> bool {
        matches!(self, Self::Traces | Self::TracesRename)
    }

    fn renames(self) -> bool {
        matches!(self, Self::LogsRename | Self::TracesRename)
    }

    /// Records per CPU second asked of suiro.
    fn target(self) -> f64 {
        if self.renames() { 400e3 } else { 800e3 }
    }
}

/// Runs the jobs and prints their tables.
pub(crate) fn run(options: &Options) -> Result<(), Error> {
    let folder = target().join("race");
    fs::create_dir_all(&folder).context(folder.display())?;
    let agents = agents::line_up(options.suiro.as_deref(), options.only_suiro);
    let mut sink = Sink::start()?;
    let mut outcomes = vec![];
    for &job in &options.jobs {
        println!("\n== {}: {}", job.slug(), job.title());
        let about = requests::describe(job.traces());
        println!("{about}; {} connections, {} requests under way on each", options.connections, options.streams);
        for agent in agents.iter().filter(|agent| agent.takes(job)) {
            for (name, text) in
                agent.configuration(job, &agents::Ports { listen: 4317, sink: sink.port(), api: 2020 }, &folder)
            {
                println!("\n-- {}: {}, {name}\n{text}", job.slug(), agent.kind.name());
            }
        }
        // The generator alone is one of them: it shows what there is to be had.
        let mut takers: Vec<(Kind, Option<&Agent>)> = vec![(Kind::Straight, None)];
        takers.extend(agents.iter().filter(|agent| agent.takes(job)).map(|agent| (agent.kind, Some(agent))));
        let records = options.thousands * 1000 / BATCH * BATCH;
        let first = outcomes.len();
        outcomes.extend(takers.iter().map(|(kind, _)| Outcome { job, kind: *kind, records, costs: vec![] }));
        let mut failed = vec![false; takers.len()];
        for round in 1..=options.runs {
            for (at, (kind, agent)) in takers.iter().enumerate().filter(|(at, _)| !failed[*at]).collect::<Vec<_>>() {
                match once(*agent, job, records, options, &mut sink, &folder) {
                    Ok(cost) => {
                        println!(
                            "  {round} {:<24}{:>8.2} s wall{:>8.2} s CPU{:>8.1} MB{:>8} refused",
                            kind.name(),
                            cost.wall.as_secs_f64(),
                            cost.cpu.as_secs_f64(),
                            cost.peak as f64 / 1e6,
                            cost.refused
                        );
                        if cost.surplus > 0 {
                            println!("    {} records came more than once", cost.surplus);
                        }
                        outcomes[first + at].costs.push(cost);
                    }
                    Err(error) => {
                        println!("  {round} {} FAILED and is left out of this job: {error}", kind.name());
                        outcomes[first + at].costs.clear();
                        failed[at] = true;
                    }
                }
            }
        }
        table(&outcomes[first..]);
    }
    if let Some(path) = &options.json {
        fs::write(path, format!("{:#}\n", as_json(&outcomes))).context(path.display())?;
    }
    Ok(())
}

/// One run. `None` as the agent: the generator straight to the sink.
fn once(
    agent: Option<&Agent>,
    job: Job,
    records: u64,
    options: &Options,
    sink: &mut Sink,
    under: &Path,
) -> Result<Cost, Error> {
    let folder = tempfile::tempdir_in(under).context(under.display())?;
    let log = folder.path().join("agent.log");
    sink.expect(records)?;
    let sink_before = sink.stats()?.cpu;
    let mut process = None;
    let port = match agent {
        None => sink.port(),
        Some(agent) => {
            let ports = agents::Ports { listen: free_port()?, sink: sink.port(), api: free_port()? };
            let mut started = Process::start(&mut agent.prepare(job, &ports, folder.path())?, &log)?;
            while TcpStream::connect(("127.0.0.1", ports.listen)).is_err() {
                if started.ended()?.is_some() || started.age() > Duration::from_secs(30) {
                    return Err(Error::Message(format!("it does not listen\n{}", last_lines(&log))));
                }
                thread::sleep(Duration::from_millis(10));
            }
            process = Some(started);
            ports.listen
        }
    };
    let cpu = |process: &Option<Process>| process.as_ref().map_or(Ok(Duration::ZERO), Process::cpu);
    let before = cpu(&process)?;

    let mut sender = send::Sender::start(job, port, records / BATCH, options.connections, options.streams)?;
    // Below 5000 records a second there is no point in waiting for the end.
    let patience = Duration::from_secs(30 + records / 5000);
    while !sink.done_within(Duration::from_millis(50))? {
        let complaint = match &mut process {
            Some(process) => process.ended()?.map(|status| format!("ended early ({status})")),
            None => None,
        };
        let complaint = complaint.or(sender.complaint()?);
        let complaint =
            complaint.or((sender.age() > patience).then(|| format!("not done in {} s", patience.as_secs())));
        if let Some(complaint) = complaint {
            let seen = sink.stats()?.records;
            return Err(Error::Message(format!(
                "{complaint}; {seen} of {records} records had come\n{}",
                last_lines(&log)
            )));
        }
    }
    let (wall, cpu) = (sender.age(), cpu(&process)? - before);
    let peak = process.as_ref().map_or(Ok(0), Process::peak_memory)?;
    let sent = sender.end()?;
    if let Some(process) = process {
        process.stop()?;
    }
    let seen = sink.stats()?;
    if job.renames() && agent.is_some() && seen.renamed != seen.requests {
        return Err(Error::Message(format!(
            "{} of {} requests have no renamed attribute",
            seen.requests - seen.renamed,
            seen.requests
        )));
    }
    Ok(Cost {
        wall,
        cpu,
        peak,
        sender_cpu: sent.cpu,
        sink_cpu: seen.cpu - sink_before,
        refused: sent.refused,
        surplus: seen.records - records,
    })
}

impl Outcome {
    fn median(&self, of: impl Fn(&Cost) -> f64) -> Option<f64> {
        median(self.costs.iter().map(of))
    }

    fn per_cpu_second(&self) -> Option<f64> {
        if self.kind == Kind::Straight {
            None
        } else {
            self.median(|cost| self.records as f64 / cost.cpu.as_secs_f64())
        }
    }

    /// CPU time for a record, in nanoseconds.
    fn per_record(&self, of: impl Fn(&Cost) -> Duration) -> Option<f64> {
        self.median(|cost| of(cost).as_secs_f64() * 1e9 / self.records as f64)
    }
}

fn table(outcomes: &[Outcome]) {
    let show =
        |value: Option<f64>, decimals: usize| value.map_or("-".to_owned(), |value| format!("{value:.decimals$}"));
    println!(
        "\n{:<24}{:>18}{:>14}{:>14}{:>12}{:>20}{:>16}",
        "", "records/CPU s", "records/s", "peak RSS MB", "suiro is", "generator ns/record", "sink ns/record"
    );
    let of = |kind| outcomes.iter().find(|outcome| outcome.kind == kind).and_then(Outcome::per_cpu_second);
    let suiro = of(Kind::Suiro);
    for outcome in outcomes.iter().filter(|outcome| !outcome.costs.is_empty()) {
        let own = outcome.per_cpu_second();
        let ratio = suiro.zip(own).filter(|_| outcome.kind != Kind::Suiro).map(|(suiro, own)| suiro / own);
        println!(
            "{:<24}{:>18}{:>14}{:>14}{:>12}{:>20}{:>16}",
            outcome.kind.name(),
            show(own, 0),
            show(outcome.median(|cost| outcome.records as f64 / cost.wall.as_secs_f64()), 0),
            show(outcome.median(|cost| cost.peak as f64 / 1e6), 1),
            ratio.map_or(String::new(), |ratio| format!("{ratio:.2} x")),
            show(outcome.per_record(|cost| cost.sender_cpu), 0),
            show(outcome.per_record(|cost| cost.sink_cpu), 0)
        );
    }
    let (Some(suiro), Some(job)) = (suiro, outcomes.first().map(|outcome| outcome.job)) else { return };
    let say = |met: bool| if met { "met" } else { "MISSED" };
    println!("\ntarget suiro >= {:.0} records per CPU s: {} ({suiro:.0})", job.target(), say(suiro >= job.target()));
    let rivals = [Kind::Collector, Kind::FluentBit];
    if let Some(best) = rivals.into_iter().filter_map(of).reduce(f64::max) {
        println!("target suiro >= 4 x the better rival: {} ({:.2} x)", say(suiro >= 4.0 * best), suiro / best);
    }
}

fn as_json(outcomes: &[Outcome]) -> serde_json::Value {
    let seconds = |of: &dyn Fn(&Cost) -> Duration, outcome: &Outcome| -> Vec<f64> {
        outcome.costs.iter().map(|cost| of(cost).as_secs_f64()).collect()
    };
    outcomes
        .iter()
        .map(|outcome| {
            json!({
                "job": outcome.job.slug(),
                "agent": outcome.kind.name(),
                "records": outcome.records,
                "cpu_seconds": seconds(&|cost| cost.cpu, outcome),
                "wall_seconds": seconds(&|cost| cost.wall, outcome),
                "generator_cpu_seconds": seconds(&|cost| cost.sender_cpu, outcome),
                "sink_cpu_seconds": seconds(&|cost| cost.sink_cpu, outcome),
                "peak_bytes": outcome.costs.iter().map(|cost| cost.peak).collect::<Vec<_>>(),
                "refused": outcome.costs.iter().map(|cost| cost.refused).collect::<Vec<_>>(),
            })
        })
        .collect()
}
