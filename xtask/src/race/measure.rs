//! Starting a process, and reading what it has cost so far.
//!
//! CPU time comes from the process's CPU-time clock (`clock_getcpuclockid`): user and system, every thread, the ones
//! that have ended included, in nanoseconds. `/proc/<pid>/stat` says the same in steps of 10 ms, which is two per cent
//! of a short run; `wait4` only speaks once the process has gone, its shutdown included. Memory is `VmHWM` and `VmRSS`.

use std::{
    fs::{self, File},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    time::{ClockId, clock_getcpuclockid},
    unistd::Pid,
};

use crate::error::{Context, Error};

/// How long a process may take to end after SIGTERM before it is killed.
const GRACE: Duration = Duration::from_secs(10);

/// A process being measured. Killed when this value goes, if it still runs.
pub(crate) struct Process {
    child: Child,
    pid: Pid,
    start: Instant,
}

impl Process {
    /// Starts `command`; what it prints goes to the file `log`.
    pub(crate) fn start(command: &mut Command, log: &Path) -> Result<Self, Error> {
        let out = File::create(log).context(log.display())?;
        let errors = out.try_clone().context(log.display())?;
        let what = format!("starting {}", command.get_program().display());
        let start = Instant::now();
        let child = command.stdin(Stdio::null()).stdout(out).stderr(errors).spawn().context(what)?;
        let pid = Pid::from_raw(child.id().cast_signed());
        Ok(Self { child, pid, start })
    }

    /// Time since it was started.
    pub(crate) fn age(&self) -> Duration {
        self.start.elapsed()
    }

    /// CPU time of all its threads so far.
    pub(crate) fn cpu(&self) -> Result<Duration, Error> {
        let time = clock_getcpuclockid(self.pid).and_then(ClockId::now);
        time.map(Duration::from).map_err(|error| Error::Message(format!("CPU time of process {}: {error}", self.pid)))
    }

    /// Peak resident memory in bytes.
    pub(crate) fn peak_memory(&self) -> Result<u64, Error> {
        self.status_field("VmHWM:")
    }

    /// Resident memory now, in bytes.
    pub(crate) fn memory(&self) -> Result<u64, Error> {
        self.status_field("VmRSS:")
    }

    fn status_field(&self, name: &str) -> Result<u64, Error> {
        let path = format!("/proc/{}/status", self.pid);
        let text = fs::read_to_string(&path).context(&path)?;
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_suffix(" kB")?.parse().ok());
        let kib: u64 = value.ok_or_else(|| Error::Message(format!("{path} has no {name}")))?;
        Ok(kib * 1024)
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>, Error> {
        self.child.try_wait().context("waiting for a process")
    }

    /// Asks it to end, and kills it if it doesn't within ten seconds. True if it ended by itself.
    pub(crate) fn stop(mut self) -> Result<bool, Error> {
        // An error means it has gone already, which the wait finds out.
        let _ = kill(self.pid, Signal::SIGTERM);
        let asked = Instant::now();
        while asked.elapsed() < GRACE {
            if self.ended()?.is_some() {
                return Ok(true);
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(false)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// CPU time of this process so far.
pub(crate) fn own_cpu() -> Duration {
    ClockId::CLOCK_PROCESS_CPUTIME_ID.now().map_or(Duration::ZERO, Duration::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_process_burns_is_seen_from_outside() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let mut busy = Command::new("sh");
        let mut process = Process::start(busy.args(["-c", "while :; do :; done"]), &log).unwrap();
        while process.cpu().unwrap() < Duration::from_millis(50) {
            assert!(process.ended().unwrap().is_none());
            thread::yield_now();
        }
        assert!(process.age() >= Duration::from_millis(50));
        assert!(process.peak_memory().unwrap() >= process.memory().unwrap());
        assert!(process.stop().unwrap(), "sh ends on SIGTERM");
    }
}
