//! One run: an agent, a job, from the start of its process until the sink has answered its last record.

use std::{fs, net::TcpListener, path::Path, time::Duration};

use super::{
    agents::{Agent, Course},
    corpus::CorpusFile,
    job::Job,
    measure::Process,
    sink::handle::Sink,
};
use crate::error::{Context, Error};

/// What one run cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// From the start of the process to the last record's answer.
    pub(crate) wall: Duration,
    /// The agent's CPU time up to then.
    pub(crate) cpu: Duration,
    /// The agent's peak resident memory up to then, bytes.
    pub(crate) peak: u64,
    /// The sink's CPU time for it.
    pub(crate) sink_cpu: Duration,
    /// Body bytes over the wire.
    pub(crate) wire: u64,
    /// Requests.
    pub(crate) requests: u64,
    /// Records beyond those expected.
    pub(crate) surplus: u64,
}

/// A port nobody listens on right now.
pub(crate) fn free_port() -> Result<u16, Error> {
    let listener = TcpListener::bind("127.0.0.1:0").context("a free port")?;
    Ok(listener.local_addr().context("a free port")?.port())
}

/// Runs `agent` once. An error says what went wrong and ends with the last lines the agent printed.
pub(crate) fn run(agent: &Agent, job: Job, file: &CorpusFile, sink: &mut Sink, under: &Path) -> Result<Cost, Error> {
    let folder = tempfile::tempdir_in(under).context(under.display())?;
    let log = folder.path().join("agent.log");
    let course =
        Course { job: Some(job), file: &file.path, sink: sink.port(), api: free_port()?, folder: folder.path() };
    let mut command = agent.prepare(&course)?;
    let expected = file.expected(job);
    // Below a megabyte a second there is no point in waiting for the end.
    let patience = Duration::from_secs(60 + file.bytes / 1_000_000);

    file.warm()?;
    sink.expect(expected)?;
    let sink_before = sink.stats()?.cpu;
    let mut process = Process::start(&mut command, &log)?;
    while !sink.done_within(Duration::from_millis(200))? {
        let complaint = if let Some(status) = process.ended()? {
            format!("ended early ({status})")
        } else if process.age() > patience {
            format!("did not finish within {} s", patience.as_secs())
        } else {
            continue;
        };
        let seen = sink.stats()?;
        return Err(Error::Message(format!(
            "{complaint}; {} of {expected} records had come, {} requests were refused\n{}",
            seen.records,
            seen.refused,
            last_lines(&log)
        )));
    }
    let (wall, cpu, peak) = (process.age(), process.cpu()?, process.peak_memory()?);
    if !process.stop()? {
        println!("  {} had to be killed", agent.kind.name());
    }
    let seen = sink.stats()?;
    Ok(Cost {
        wall,
        cpu,
        peak,
        sink_cpu: seen.cpu - sink_before,
        wire: seen.bytes,
        requests: seen.requests,
        surplus: seen.records - expected,
    })
}

/// The end of what a process printed.
pub(crate) fn last_lines(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}
