//! What contributors and CI run on this workspace, as one program: `cargo xtask <command>`.
//!
//! | command | what it is for |
//! | --- | --- |
//! | `check` | everything CI checks, in CI's order |
//! | `race` | suiro, other agents and hand-written loops, side by side on the same files |
//! | `load` | suiro, the OpenTelemetry Collector and Fluent Bit, side by side under the same OTLP/gRPC |
//! | `segments` | X-Ray segments over UDP, at a rate: how many come in, and what that costs |
//! | `torture` | the agent, killed again and again while everything else goes wrong, too |
//!
//! One module per command; each has an `Options` (what clap parses) and a `run` that ends in `Ok` or in an [`error::Error`]
//! printed on one line. Commands whose name starts with `race-` or `load-` are the processes that these start of
//! themselves, hidden from the help.

// A command-line tool: what it prints is what it is for.
#![allow(clippy::print_stdout)]

mod cargo;
mod check;
mod error;
mod load;
mod race;
mod segments;
mod torture;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Tasks of the suiro workspace.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run what CI runs: format, tests, lints, documentation, fuzz targets, dependency rules.
    Check(check::Options),
    /// Race suiro against other agents and the least-work loops, and print the tables.
    Race(race::Options),
    /// Send OTLP/gRPC through suiro and its rivals, and print what a record costs each.
    Load(load::Options),
    /// Send X-Ray segments to suiro over UDP, and print how many come in and what that costs.
    Segments(segments::Options),
    /// Kill the agent again and again, fail its requests, rotate its files; then look for what is lost or doubled.
    Torture(torture::Options),
    /// The race's counting sink.
    #[command(hide = true)]
    RaceSink,
    /// The generator of `load`.
    #[command(hide = true)]
    LoadSend(load::send::Options),
    /// The race's least-work loop for one job.
    #[command(hide = true)]
    RaceLoop(race::loops::Options),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Check(options) => check::run(&options),
        Command::Race(options) => race::run(&options),
        Command::Torture(options) => torture::run(&options),
        Command::Load(options) => load::run(&options),
        Command::Segments(options) => segments::run(&options),
        Command::LoadSend(options) => load::send::run(&options),
        Command::RaceSink => race::sink::run(),
        Command::RaceLoop(options) => race::loops::run(&options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
