//! The built agent, run over a folder of its own.

use std::fs;
use std::io::Read;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use super::ledger::Ledger;

/// A run of some ten thousand records takes seconds, also in a debug build on a machine that builds something else.
const RUN_LIMIT: Duration = Duration::from_secs(180);

const START_LIMIT: Duration = Duration::from_secs(30);
const SIGHT_LIMIT: Duration = Duration::from_secs(30);

/// A folder with input files, a configuration, and the agent's data, which outlives the agent.
pub(crate) struct Agent {
    folder: TempDir,
}

/// What a run that went to its end left behind.
pub(crate) struct Outcome {
    pub(crate) status: ExitStatus,
    pub(crate) ledger: Ledger,
    /// For the messages of assertions.
    pub(crate) stderr: String,
}

/// An agent at work, to be killed.
pub(crate) struct Running {
    /// `None` where somebody else sees to its end.
    child: Option<Child>,
}

/// Writes `lines` to a file in `folder` and returns the `[[input]]` that reads it, named and tagged `name`. `parser` is
/// empty for none.
pub(crate) fn tail<'a>(folder: &Path, name: &str, parser: &str, lines: impl IntoIterator<Item = &'a str>) -> String {
    let path = folder.join(format!("{name}.log"));
    let mut text = String::new();
    for line in lines {
        text.push_str(line);
        text.push('\n');
    }
    fs::write(&path, text).expect("the folder takes an input file");
    let parser = if parser.is_empty() { String::new() } else { format!("parser = '{parser}'\n") };
    let path = path.display();
    format!(
        "[[input]]\ntype = 'tail'\nname = '{name}'\ntag = '{name}'\npath = ['{path}']\n\
         read_from = 'beginning'\n{parser}\n"
    )
}

// === impl Agent ===

impl Agent {
    /// `config` makes the TOML below `[service]`; it gets the folder, to name the files it writes there.
    pub(crate) fn new(config: impl FnOnce(&Path) -> String) -> Self {
        let folder = tempfile::Builder::new().prefix("suiro-backends.").tempdir().expect("a folder for the agent");
        let path = folder.path();
        let data = path.join("data");
        // Two agents run at once, and no test asks the API.
        let text = format!(
            "[service]\ndata_dir = '{}'\napi = false\nshutdown_timeout = '20s'\n\n{}",
            data.display(),
            config(path)
        );
        fs::write(path.join("suiro.toml"), text).expect("the folder takes a configuration");
        Self { folder }
    }

    fn command(&self) -> Command {
        let folder = self.folder.path();
        let mut command = Command::new(env!("CARGO_BIN_EXE_suiro"));
        command.arg("run").arg("-c").arg(folder.join("suiro.toml"));
        command.arg("--ledger-json").arg(self.ledger_file());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }

    fn ledger_file(&self) -> PathBuf {
        self.folder.path().join("ledger.json")
    }

    /// Runs to the end of the inputs.
    pub(crate) fn run(&self) -> Outcome {
        let mut command = self.command();
        command.arg("--once");
        let (child, said) = launch(command);
        self.end(child, &said)
    }

    /// Runs until `work` is done, which begins when the agent listens at `port`; then it is told to end, and delivers
    /// what it has. Returns what `work` did, too.
    pub(crate) fn serve<T>(&self, port: u16, work: impl FnOnce() -> T) -> (Outcome, T) {
        let (child, said) = launch(self.command());
        let mut running = Running { child: Some(child) };
        let began = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            if running.ended() || began.elapsed() > START_LIMIT {
                let _ = running.child.as_mut().map(Child::kill);
                panic!("the agent does not listen at {port}; it said:\n{}", said.recv().unwrap_or_default());
            }
            thread::sleep(Duration::from_millis(20));
        }
        let done = work();
        let child = running.child.take().expect("it was started");
        let id = i32::try_from(child.id()).expect("a process id");
        kill(Pid::from_raw(id), Signal::SIGTERM).expect("the agent can be told to end");
        (self.end(child, &said), done)
    }

    fn end(&self, mut child: Child, said: &mpsc::Receiver<String>) -> Outcome {
        // The end of stderr is the end of the agent; it has no children of its own.
        let Ok(stderr) = said.recv_timeout(RUN_LIMIT) else {
            child.kill().expect("the agent can be killed");
            let stderr = said.recv().unwrap_or_default();
            panic!("the agent did not end in {RUN_LIMIT:?}; it said:\n{stderr}");
        };
        let status = child.wait().expect("the agent ended");
        let json =
            fs::read(self.ledger_file()).unwrap_or_else(|error| panic!("no ledger: {error}; {status}\n{stderr}"));
        let ledger = serde_json::from_slice(&json)
            .unwrap_or_else(|error| panic!("{error} in the ledger {}", String::from_utf8_lossy(&json)));
        Outcome { status, ledger, stderr }
    }

    /// Starts, to be killed before the end.
    pub(crate) fn start(&self) -> Running {
        let mut command = self.command();
        command.arg("--once");
        // Nobody reads it; a full pipe would stop the agent.
        command.stderr(Stdio::null());
        Running { child: Some(command.spawn().expect("the agent starts")) }
    }

    /// Everything below the agent's dead-letter folder, one file after the other.
    pub(crate) fn dead_letters(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut folders = vec![self.folder.path().join("data/dead-letter")];
        while let Some(folder) = folders.pop() {
            let Ok(entries) = fs::read_dir(&folder) else { continue };
            for entry in entries {
                let path = entry.expect("a folder of ours can be listed").path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    bytes.extend(fs::read(&path).expect("a file of ours can be read"));
                }
            }
        }
        bytes
    }
}

/// Starts it, and reads what it says until its end.
fn launch(mut command: Command) -> (Child, mpsc::Receiver<String>) {
    let mut child = command.spawn().expect("the agent starts");
    let mut pipe = child.stderr.take().expect("stderr is piped");
    let (sender, said) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        let _ = sender.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    (child, said)
}

// === impl Running ===

impl Running {
    pub(crate) fn ended(&mut self) -> bool {
        let child = self.child.as_mut().expect("it was started");
        child.try_wait().expect("the agent can be asked").is_some()
    }

    /// SIGKILL: no warning, no last write.
    pub(crate) fn kill(mut self) {
        let mut child = self.child.take().expect("it was started");
        child.kill().expect("the agent can be killed");
        child.wait().expect("the agent ended");
    }
}

impl Drop for Running {
    /// For tests that panic: no agent is left behind.
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A port of TCP nobody listens at right now.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("a bound address").port()
}

/// Asks `found` until it says that it is enough, for half a minute at most: servers show what they took a little later.
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> T, found: impl Fn(&T) -> bool) -> T {
    let began = Instant::now();
    loop {
        let seen = look();
        if found(&seen) {
            return seen;
        }
        assert!(began.elapsed() < SIGHT_LIMIT, "waited {SIGHT_LIMIT:?} for {what}");
        thread::sleep(Duration::from_millis(50));
    }
}
