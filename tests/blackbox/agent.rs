//! A folder with a configuration, and the agent that runs it.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

use crate::PATIENCE;
use crate::ledger::Ledger;

/// What every configuration starts with.
const SERVICE: &str = "[service]\ndata_dir = 'data'\nshutdown_timeout = '10s'\napi = { listen = '127.0.0.1:0' }\n";

/// A folder with a configuration. Relative paths in it start there.
pub(crate) struct Site {
    folder: TempDir,
}

/// A run that ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) status: ExitStatus,
    /// What it wrote to `--ledger-json`; `None` if it did not come to that.
    pub(crate) ledger: Option<Ledger>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) elapsed: Duration,
}

/// An agent that runs. Dropping it kills it.
pub(crate) struct Running {
    child: Child,
    stderr: Collected,
    stdout: Collected,
    ledger: PathBuf,
    began: Instant,
}

/// What comes out of a pipe, as it comes.
struct Collected {
    text: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

// === impl Site ===

impl Site {
    /// `config` goes behind a `[service]` with defaults for tests; one that has its own `[service]` is taken as it is.
    pub(crate) fn new(config: &str) -> Site {
        let folder = tempfile::Builder::new().prefix("suiro-test.").tempdir().expect("a folder");
        let site = Site { folder };
        site.configure(config);
        site
    }

    /// Replaces the configuration.
    pub(crate) fn configure(&self, config: &str) {
        let text = if config.contains("[service]") { config.to_owned() } else { format!("{SERVICE}\n{config}") };
        self.write("suiro.toml", text);
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).expect("the folder takes a file");
    }

    /// Appends by one call, as programs that log do.
    pub(crate) fn append(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let mut file = self.open(name);
        file.write_all(bytes.as_ref()).expect("the file takes more");
    }

    /// Opens a file to append to.
    pub(crate) fn open(&self, name: &str) -> File {
        OpenOptions::new().create(true).append(true).open(self.path(name)).expect("the file opens")
    }

    pub(crate) fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).expect("the file can be renamed");
    }

    /// The agent with other arguments than `run`'s.
    pub(crate) fn command(&self, arguments: &[&str]) -> Outcome {
        let mut command = Command::new(env!("CARGO_BIN_EXE_suiro"));
        command.args(arguments);
        self.launch(command, None).end()
    }

    /// The same with this on standard input.
    pub(crate) fn command_with_stdin(&self, arguments: &[&str], input: &[u8]) -> Outcome {
        let mut command = Command::new(env!("CARGO_BIN_EXE_suiro"));
        command.args(arguments);
        self.launch(command, Some(input.to_vec())).end()
    }

    /// `run --once`, to its end.
    pub(crate) fn once(&self) -> Outcome {
        self.launch(self.run(&["--once"]), None).end()
    }

    /// `run --once` with this on standard input.
    pub(crate) fn once_with_stdin(&self, input: &[u8]) -> Outcome {
        self.launch(self.run(&["--once"]), Some(input.to_vec())).end()
    }

    /// `run`, and waits until it is ready.
    pub(crate) fn start(&self) -> Running {
        self.start_with(&[])
    }

    /// `run`, without waiting for anything.
    #[cfg(feature = "wasm")]
    pub(crate) fn begin(&self) -> Running {
        self.launch(self.run(&[]), None)
    }

    /// The same with further arguments.
    pub(crate) fn start_with(&self, arguments: &[&str]) -> Running {
        let running = self.launch(self.run(arguments), None);
        running.wait_for("ready", |running| running.address().is_some());
        running
    }

    fn run(&self, arguments: &[&str]) -> Command {
        let ledger = self.path("ledger.json");
        let _ = fs::remove_file(&ledger);
        let mut command = Command::new(env!("CARGO_BIN_EXE_suiro"));
        command.arg("run").arg("-c").arg(self.path("suiro.toml")).arg("--ledger-json").arg(ledger).args(arguments);
        command
    }

    fn launch(&self, mut command: Command, input: Option<Vec<u8>>) -> Running {
        let stdin = if input.is_some() { Stdio::piped() } else { Stdio::null() };
        command.current_dir(self.folder()).stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        let began = Instant::now();
        let mut child = command.spawn().expect("the agent starts");
        if let (Some(input), Some(mut pipe)) = (input, child.stdin.take()) {
            thread::spawn(move || {
                // An agent that ends early does not read it all.
                let _ = pipe.write_all(&input);
            });
        }
        let stdout = Collected::of(child.stdout.take().expect("stdout is piped"));
        let stderr = Collected::of(child.stderr.take().expect("stderr is piped"));
        Running { child, stderr, stdout, ledger: self.path("ledger.json"), began }
    }

    /// All dead letters, in the order in which they were written.
    pub(crate) fn dead_letters(&self, output: &str) -> Vec<Value> {
        let folder = self.path("data/dead-letter").join(output);
        let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("a folder of ours").path()).collect();
        files.sort();
        let mut letters = Vec::new();
        for file in files {
            let text = fs::read_to_string(file).expect("a file of ours");
            letters.extend(text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")));
        }
        letters
    }
}

// === impl Collected ===

impl Collected {
    fn of(mut pipe: impl Read + Send + 'static) -> Self {
        let text = Arc::new(Mutex::new(Vec::new()));
        let own = Arc::clone(&text);
        let reader = thread::spawn(move || {
            let mut piece = [0; 8192];
            while let Ok(n) = pipe.read(&mut piece)
                && n > 0
            {
                own.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&piece[..n]);
            }
        });
        Collected { text, reader: Some(reader) }
    }

    fn so_far(&self) -> String {
        String::from_utf8_lossy(&self.text.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    fn all(&mut self) -> String {
        if let Some(reader) = self.reader.take() {
            reader.join().expect("the pipe is read");
        }
        self.so_far()
    }
}

// === impl Running ===

impl Running {
    /// What it said so far.
    pub(crate) fn stderr(&self) -> String {
        self.stderr.so_far()
    }

    /// Where its API listens, once it said so.
    fn address(&self) -> Option<String> {
        let said = self.stderr();
        let (_, rest) = said.split_once("api=")?;
        let address: String =
            rest.trim_start_matches('"').chars().take_while(|c| c.is_ascii_digit() || matches!(c, '.' | ':')).collect();
        // The line may not be complete.
        (rest.len() > address.len() + 1).then_some(address)
    }

    /// Asks the API; status and body.
    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        let address = self.address().expect("the agent said where its API is");
        let mut stream = TcpStream::connect(&address).expect("the API listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").expect("the API reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("the API answers");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        (status, body.to_owned())
    }

    /// The ledger of the moment.
    pub(crate) fn ledger(&self) -> Ledger {
        let (status, body) = self.get("/api/ledger");
        assert_eq!(status, 200, "{body}");
        Ledger::parse(body.as_bytes())
    }

    /// Waits until `done`; panics with `what` and what the agent said if it does not come to that.
    pub(crate) fn wait_for(&self, what: &str, mut done: impl FnMut(&Running) -> bool) {
        let until = Instant::now() + PATIENCE;
        while !done(self) {
            assert!(Instant::now() < until, "waited for {what} in vain; the agent said:\n{}", self.stderr());
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Where it listens, as it says on the first line with `part` and an address.
    pub(crate) fn listens(&self, part: &str) -> SocketAddr {
        let said = |stderr: &str| -> Option<SocketAddr> {
            let mut lines = stderr.lines().filter(|line| line.contains(part));
            lines.find_map(|line| line.split_once(" address=")?.1.split(' ').next()?.trim_matches('"').parse().ok())
        };
        self.wait_for(&format!("an address: {part}"), |running| said(&running.stderr()).is_some());
        said(&self.stderr()).expect("just found")
    }

    /// Waits until the ledger is as `done` wants it.
    pub(crate) fn wait_for_ledger(&self, what: &str, mut done: impl FnMut(&Ledger) -> bool) {
        self.wait_for(what, |running| done(&running.ledger()));
    }

    /// Resident memory, bytes.
    pub(crate) fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("memory is told");
        let kib: u64 = line.split_whitespace().nth(1).and_then(|word| word.parse().ok()).expect("a number");
        kib << 10
    }

    /// Processor time so far.
    pub(crate) fn processor_time(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("it runs");
        let (_, rest) = stat.rsplit_once(')').expect("a name in brackets");
        let words: Vec<&str> = rest.split_whitespace().collect();
        let ticks: u64 = [11, 12].iter().map(|at| words[*at].parse::<u64>().expect("a number")).sum();
        // Linux tells it in hundredths of a second.
        Duration::from_millis(ticks * 10)
    }

    /// Asserts that it takes less than so much processor time in the next second.
    pub(crate) fn assert_quiet(&self, at_most: Duration) {
        let (before, began) = (self.processor_time(), Instant::now());
        self.wait_for("a second to pass", |_| began.elapsed() > Duration::from_secs(1));
        let (spent, elapsed) = (self.processor_time() - before, began.elapsed());
        assert!(spent.as_secs_f64() < at_most.as_secs_f64() * elapsed.as_secs_f64(), "{spent:?} in {elapsed:?}");
    }

    /// SIGTERM, and what came of it.
    pub(crate) fn stop(self) -> Outcome {
        kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGTERM).expect("it runs");
        self.end()
    }

    /// Ctrl-C.
    pub(crate) fn interrupt(&self) {
        kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGINT).expect("it runs");
    }

    /// SIGKILL: no warning, no last write.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ended");
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> Outcome {
        let until = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("it can be asked") {
                break status;
            }
            assert!(Instant::now() < until, "the agent does not end; it said:\n{}", self.stderr());
            thread::sleep(Duration::from_millis(2));
        };
        let elapsed = self.began.elapsed();
        let ledger = fs::read(&self.ledger).ok().map(|bytes| Ledger::parse(&bytes));
        Outcome { status, ledger, stdout: self.stdout.all(), stderr: self.stderr.all(), elapsed }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

// === impl Outcome ===

impl Outcome {
    /// Exit code.
    pub(crate) fn code(&self) -> i32 {
        self.status.code().unwrap_or_else(|| panic!("{}; it said:\n{}", self.status, self.stderr))
    }

    /// The ledger, which balances, after a run that ended with `code`.
    pub(crate) fn ledger(&self, code: i32) -> &Ledger {
        assert_eq!(self.code(), code, "it said:\n{}", self.stderr);
        assert!(!self.stderr.contains("panicked"), "it said:\n{}", self.stderr);
        let ledger = self.ledger.as_ref().unwrap_or_else(|| panic!("no ledger; it said:\n{}", self.stderr));
        ledger.assert_balanced();
        ledger
    }

    /// The ledger of a run in which everything was delivered.
    pub(crate) fn all_well(&self) -> &Ledger {
        let ledger = self.ledger(0);
        ledger.assert_settled();
        ledger
    }
}
