//! The agent as a process: started, asked, killed.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::error::{Context, Error};

/// How the agent is started.
#[derive(Clone, Debug)]
pub(super) struct Launch {
    pub(super) binary: PathBuf,
    pub(super) config: PathBuf,
    /// Takes what it says, all lives together.
    pub(super) log: PathBuf,
    pub(super) ledger: PathBuf,
}

/// One life.
#[derive(Debug)]
pub(super) struct Agent {
    child: Child,
    log: PathBuf,
    /// Bytes in the log when it began.
    log_start: u64,
}

/// Where the agent of the moment is: one thread kills it, another must know that nobody does.
#[derive(Debug, Default)]
pub(super) struct Slot(Mutex<Option<Agent>>);

// === impl Launch ===

impl Launch {
    /// Starts it, to die at a point if `kill_at` says so.
    pub(super) fn start(&self, kill_at: Option<&str>) -> Result<Agent, Error> {
        let log = OpenOptions::new().create(true).append(true).open(&self.log).context(self.log.display())?;
        let log_start = log.metadata().context(self.log.display())?.len();
        let mut command = self.command();
        command.arg("--ledger-json").arg(&self.ledger).stderr(log);
        if let Some(kill_at) = kill_at {
            command.env("SUIRO_KILL_AT", kill_at);
        }
        let child = command.spawn().context(self.binary.display())?;
        Ok(Agent { child, log: self.log.clone(), log_start })
    }

    /// Reads what there still is, and ends.
    pub(super) fn run_once(&self) -> Result<ExitStatus, Error> {
        let log = OpenOptions::new().create(true).append(true).open(&self.log).context(self.log.display())?;
        let mut command = self.command();
        command.arg("--once").arg("--ledger-json").arg(&self.ledger).stderr(log);
        command.status().context(self.binary.display())
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.binary);
        command.arg("run").arg("-c").arg(&self.config);
        command.env_remove("SUIRO_KILL_AT").stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    /// The ledger it wrote when it ended.
    pub(super) fn ledger(&self) -> Result<Value, Error> {
        let bytes = std::fs::read(&self.ledger).context(self.ledger.display())?;
        serde_json::from_slice(&bytes).map_err(|error| format!("{}: {error}", self.ledger.display()).into())
    }
}

// === impl Agent ===

impl Agent {
    /// How it ended, if it did.
    pub(super) fn ended(&mut self) -> Result<Option<ExitStatus>, Error> {
        self.child.try_wait().context("waiting for the agent")
    }

    pub(super) fn signal(&mut self, signal: Signal) {
        // It may be gone already.
        let _ = kill(Pid::from_raw(self.child.id().cast_signed()), signal);
    }

    /// Waits for its end.
    pub(super) fn wait(&mut self, patience: Duration) -> Result<Option<ExitStatus>, Error> {
        let until = Instant::now() + patience;
        loop {
            let ended = self.ended()?;
            if ended.is_some() || Instant::now() > until {
                return Ok(ended);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// What it said in this life.
    pub(super) fn said(&self) -> String {
        use std::io::Seek;
        let mut text = Vec::new();
        if let Ok(mut file) = File::open(&self.log)
            && file.seek(std::io::SeekFrom::Start(self.log_start)).is_ok()
        {
            let _ = file.take(1 << 20).read_to_end(&mut text);
        }
        String::from_utf8_lossy(&text).into_owned()
    }

    /// The ledger, asked for over its API; `None` while there is no answer.
    pub(super) fn live_ledger(&self) -> Option<Value> {
        let said = self.said();
        let address = said.split("api=").nth(1)?.trim_start_matches('"');
        let address: String = address.chars().take_while(|c| c.is_ascii_digit() || matches!(c, '.' | ':')).collect();
        let mut stream = TcpStream::connect(&address).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        write!(stream, "GET /api/ledger HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok()?;
        let text = String::from_utf8(answer).ok()?;
        let (_, body) = text.split_once("\r\n\r\n")?;
        serde_json::from_str(body).ok()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

// === impl Slot ===

impl Slot {
    pub(super) fn lock(&self) -> MutexGuard<'_, Option<Agent>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls `act` if the agent is alive; it is not killed meanwhile.
    pub(super) fn while_alive<R>(&self, act: impl FnOnce() -> R) -> Option<R> {
        let mut slot = self.lock();
        let alive = slot.as_mut().is_some_and(|agent| matches!(agent.ended(), Ok(None)));
        alive.then(act)
    }
}

/// Whether that was a SIGKILL.
pub(super) fn was_killed(status: ExitStatus) -> bool {
    status.signal() == Some(Signal::SIGKILL as i32)
}

/// Removes what an earlier run left.
pub(super) fn clean(folder: &Path) -> Result<(), Error> {
    match std::fs::remove_dir_all(folder) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).context(folder.display()),
    }
    std::fs::create_dir_all(folder).context(folder.display())
}
