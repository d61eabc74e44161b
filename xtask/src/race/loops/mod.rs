//! The least-work loops: for each job, the shortest hand-written program that does it, as a yardstick.
//!
//! One thread, blocking: no queue, no retry, no checkpoint, no configuration, one record layout known beforehand. What an
//! agent costs above its loop is what it costs to be an agent. A loop runs as a process of its own and is measured just
//! as an agent is; it waits to be stopped when it has sent everything.

mod apache;
pub(super) mod client;
mod json;
mod reader;
pub(super) mod text;

use std::{net::SocketAddr, path::PathBuf, thread};

use super::job::Job;
use crate::error::Error;

/// Body bytes per request. Large enough that a request costs nothing, small enough to stay in the cache.
const BODY: usize = 512 << 10;

/// Options of the hidden command `race-loop`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The job.
    #[arg(value_enum)]
    job: Job,
    /// The file to read.
    file: PathBuf,
    /// The sink.
    address: SocketAddr,
}

/// Does the job, then waits to be stopped.
pub(crate) fn run(options: &Options) -> Result<(), Error> {
    match options.job {
        Job::TextLoki => text::run(&options.file, options.address)?,
        Job::JsonEs => json::run(&options.file, options.address, false)?,
        Job::JsonFilterEs => json::run(&options.file, options.address, true)?,
        Job::ApacheEs => apache::run(&options.file, options.address)?,
        Job::TextCloudWatch | Job::WasmEs => {
            return Err(Error::Message(format!("there is no loop for {}", options.job.slug())));
        }
    }
    loop {
        thread::park();
    }
}
