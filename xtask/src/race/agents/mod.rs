//! The agents in the race: where each is found, and how it is configured for a job.
//!
//! Everyone gets the same job with the same result: the whole file from its beginning, the record's own time as
//! `@timestamp`, no compression but what Loki's protobuf brings along, requests of about [`BATCH`] bytes (to CloudWatch, what
//! its service takes), memory queues.
//! Beyond that each agent gets the settings it is fastest with, found by trying; they are printed with the result.
//!
//! In the job with a filter in WASM, suiro runs thrice: with the filter in its own interface, with the module that Fluent Bit
//! runs, and with its native filter of the same effect. The filters' sources are in `wasm-filters/race`.

mod fluent_bit;
mod suiro;
mod vector;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::job::Job;
use crate::{
    cargo::{cargo, target},
    error::{Context, Error},
};

/// Bytes a request is filled with, where an agent lets that be chosen. Fluent Bit's chunks of 2 MB are fixed.
pub(super) const BATCH: &str = "1MiB";

/// Where CloudWatch is said to be.
pub(super) const REGION: &str = "eu-central-1";

/// Who runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// This project's agent.
    Suiro,
    /// This project's agent, with the native filter instead of the one in WASM.
    SuiroModify,
    /// This project's agent, with Fluent Bit's filter in WASM.
    SuiroSameWasm,
    /// Fluent Bit, named by `FLUENT_BIT` or found as `fluent-bit`.
    FluentBit,
    /// Vector, named by `VECTOR` or found as `vector`.
    Vector,
    /// The hand-written loop for the job.
    Loop,
}

/// A program that takes part.
#[derive(Clone, Debug)]
pub(crate) struct Agent {
    /// Which one.
    pub(crate) kind: Kind,
    /// The program.
    pub(crate) program: PathBuf,
    /// What it says its version is.
    pub(crate) version: String,
}

/// What a run is given.
pub(crate) struct Course<'a> {
    /// The job; `None` for an agent that is only to sit there with one file tailed.
    pub(crate) job: Option<Job>,
    /// The file.
    pub(crate) file: &'a Path,
    /// The sink's port on 127.0.0.1.
    pub(crate) sink: u16,
    /// A port for the agent's own API.
    pub(crate) api: u16,
    /// A folder of the run's own, for configuration and state.
    pub(crate) folder: &'a Path,
}

impl Kind {
    /// The name in tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Suiro => "suiro",
            Self::SuiroModify => "suiro, `modify`",
            Self::SuiroSameWasm => "suiro, same .wasm",
            Self::FluentBit => "Fluent Bit",
            Self::Vector => "Vector",
            Self::Loop => "least-work loop",
        }
    }

    /// Whether it is a program, and not one in another role.
    pub(crate) fn is_itself(self) -> bool {
        !matches!(self, Self::SuiroModify | Self::SuiroSameWasm)
    }
}

impl Agent {
    /// This project's agent, built here and now. An error says why it can't run.
    pub(crate) fn suiro() -> Result<Self, Error> {
        println!("building suiro (cargo build --release --package suiro)");
        let built = cargo().args(["build", "--release", "--package", "suiro"]).status().context("starting cargo")?;
        if !built.success() {
            return Err(Error::Message("it did not build".to_owned()));
        }
        let program = target().join("release").join("suiro");
        let version = version_of(&program)?;
        Ok(Self { kind: Kind::Suiro, program, version })
    }

    /// The same program in another role.
    pub(crate) fn as_kind(&self, kind: Kind) -> Self {
        Self { kind, ..self.clone() }
    }

    /// The other agents that can be had here, and a line on each that can't.
    pub(crate) fn others() -> (Vec<Self>, Vec<String>) {
        let (mut found, mut missing) = (vec![], vec![]);
        for (kind, variable, name) in
            [(Kind::FluentBit, "FLUENT_BIT", "fluent-bit"), (Kind::Vector, "VECTOR", "vector")]
        {
            let named = env::var_os(variable).map(PathBuf::from);
            let Some(program) = named.or_else(|| on_path(name)) else {
                missing.push(format!("{}: no {name} on PATH, and {variable} names none", kind.name()));
                continue;
            };
            match version_of(&program) {
                Ok(version) => found.push(Self { kind, program, version }),
                Err(error) => missing.push(format!("{}: {error}", kind.name())),
            }
        }
        (found, missing)
    }

    /// The least-work loop, which is this program.
    pub(crate) fn least_work() -> Result<Self, Error> {
        let program = env::current_exe().context("the path of xtask")?;
        Ok(Self { kind: Kind::Loop, program, version: String::new() })
    }

    /// The configuration for a course: file name and text. The loop has none.
    pub(crate) fn configuration(&self, course: &Course<'_>) -> Vec<(&'static str, String)> {
        match self.kind {
            Kind::Suiro | Kind::SuiroModify | Kind::SuiroSameWasm => suiro::configuration(self.kind, course),
            Kind::FluentBit => fluent_bit::configuration(course),
            Kind::Vector => vector::configuration(course),
            Kind::Loop => vec![],
        }
    }

    /// Writes the configuration into the course's folder and gives the command that runs it.
    pub(crate) fn prepare(&self, course: &Course<'_>) -> Result<Command, Error> {
        let mut command = Command::new(&self.program);
        command.current_dir(course.folder);
        let files = self.configuration(course);
        for (name, text) in &files {
            let path = course.folder.join(name);
            fs::write(&path, text).context(path.display())?;
        }
        let main = files.first().map(|(name, _)| course.folder.join(name)).unwrap_or_default();
        if course.job == Some(Job::TextCloudWatch) {
            // Credentials of the environment: nobody looks for others, and the sink checks none.
            command.env("AWS_ACCESS_KEY_ID", "AKIDSUIROTEST").env("AWS_SECRET_ACCESS_KEY", "suiro-secret");
        }
        match self.kind {
            Kind::Suiro | Kind::SuiroModify | Kind::SuiroSameWasm => command.arg("run").arg("-c").arg(main),
            Kind::FluentBit => command.arg("-c").arg(main),
            Kind::Vector => command.arg("--config").arg(main).env("VECTOR_LOG", "warn"),
            Kind::Loop => {
                let job = course.job.ok_or_else(|| Error::Message("a loop needs a job".to_owned()))?;
                let address = format!("127.0.0.1:{}", course.sink);
                command.args(["race-loop", job.slug()]).arg(course.file).arg(address)
            }
        };
        Ok(command)
    }
}

/// A filter in WASM, as it is committed.
fn module(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../wasm-filters/dist").join(name)
}

/// A program by its name.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// The first line of `--version`.
pub(crate) fn version_of(program: &Path) -> Result<String, Error> {
    let output = Command::new(program).arg("--version").output().context(program.display())?;
    if !output.status.success() {
        return Err(Error::Message(format!("{} --version failed: {}", program.display(), output.status)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned())
}
