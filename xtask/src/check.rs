//! `cargo xtask check`: what CI runs, in CI's order, so that a green run here is a green run there.
//!
//! Every step runs even when one before it failed: a contributor wants the whole list at once. The exit code is
//! non-zero if any step failed. A tool that isn't installed is skipped in plain words, never silently.
//!
//! What CI runs beyond this takes long or needs servers: the torture and `tests/backends`; the summary names them.

use std::{
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::{cargo::cargo, error::Error};

/// Options of `check`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Stop at the first step that fails.
    #[arg(long)]
    fail_fast: bool,
}

struct Step {
    name: &'static str,
    arguments: &'static [&'static str],
    environment: Option<(&'static str, &'static str)>,
    /// A cargo sub-command that has to be installed for this step, and how to get it.
    needs: Option<(&'static str, &'static str)>,
}

const STEPS: &[Step] = &[
    Step { name: "format", arguments: &["fmt", "--all", "--", "--check"], environment: None, needs: None },
    Step { name: "tests", arguments: &["test", "--workspace"], environment: None, needs: None },
    Step {
        name: "lints",
        arguments: &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"],
        environment: None,
        needs: None,
    },
    Step {
        name: "documentation",
        arguments: &["doc", "--workspace", "--no-deps", "--quiet"],
        environment: Some(("RUSTDOCFLAGS", "-Dwarnings")),
        needs: None,
    },
    Step {
        name: "fuzz targets",
        arguments: &["check", "--quiet", "--manifest-path", "fuzz/Cargo.toml"],
        environment: None,
        needs: None,
    },
    Step {
        name: "dependency rules",
        // Advisories need the network, which CI has not.
        arguments: &["deny", "check", "bans", "licenses", "sources"],
        environment: None,
        needs: Some(("deny", "cargo install --locked cargo-deny")),
    },
];

enum Outcome {
    Passed(Duration),
    Failed(Duration),
    Skipped(String),
    NotRun,
}

/// Runs every step and prints a summary.
pub(crate) fn run(options: &Options) -> Result<(), Error> {
    let mut outcomes = Vec::with_capacity(STEPS.len());
    let mut failed = false;
    for step in STEPS {
        let outcome = if failed && options.fail_fast { Outcome::NotRun } else { run_step(step) };
        failed |= matches!(outcome, Outcome::Failed(_));
        outcomes.push(outcome);
    }

    println!("\n== summary");
    for (step, outcome) in STEPS.iter().zip(&outcomes) {
        let words = match outcome {
            Outcome::Passed(time) => format!("passed in {:.1} s", time.as_secs_f64()),
            Outcome::Failed(time) => format!("FAILED in {:.1} s", time.as_secs_f64()),
            Outcome::Skipped(why) => format!("skipped: {why}"),
            Outcome::NotRun => "not run".to_owned(),
        };
        println!("{:<18}{words}", step.name);
    }
    println!("CI also runs `cargo xtask torture --minutes 2` and `tests/backends/run`.");
    if failed { Err(Error::Message("check failed".to_owned())) } else { Ok(()) }
}

fn run_step(step: &Step) -> Outcome {
    println!("\n== {}: cargo {}", step.name, step.arguments.join(" "));
    if let Some((tool, install)) = step.needs
        && !installed(tool)
    {
        let why = format!("cargo-{tool} is not installed (`{install}`)");
        println!("{why}");
        return Outcome::Skipped(why);
    }
    let mut command = cargo();
    command.args(step.arguments);
    if let Some((name, value)) = step.environment {
        command.env(name, value);
    }
    let start = Instant::now();
    match command.status() {
        Ok(status) if status.success() => Outcome::Passed(start.elapsed()),
        Ok(_) => Outcome::Failed(start.elapsed()),
        Err(error) => {
            println!("cargo could not be started: {error}");
            Outcome::Failed(start.elapsed())
        }
    }
}

fn installed(tool: &str) -> bool {
    let quiet = |command: &mut Command| command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    quiet(cargo().args([tool, "--version"])).is_ok_and(|status| status.success())
}
