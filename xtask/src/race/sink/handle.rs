//! The sink as the race sees it: a child process driven by lines.

use std::{
    env,
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::Duration,
};

use crate::error::{Context, Error};

/// How long the sink may take to answer a command.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running sink. Ends with this value.
pub(crate) struct Sink {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    port: u16,
}

/// Counters of the sink since the last [`Sink::expect`]; `cpu` since it started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stats {
    /// Requests answered.
    pub(crate) requests: u64,
    /// Body bytes over the wire.
    pub(crate) bytes: u64,
    /// Records counted.
    pub(crate) records: u64,
    /// Requests answered with an error.
    pub(crate) refused: u64,
    /// Requests of OTLP in which the attribute is that `load` has renamed.
    pub(crate) renamed: u64,
    /// The sink's own CPU time.
    pub(crate) cpu: Duration,
}

impl Sink {
    /// Starts a sink on a free port.
    pub(crate) fn start() -> Result<Self, Error> {
        let program = env::current_exe().context("the path of xtask")?;
        let mut child = Command::new(program)
            .arg("race-sink")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting the sink")?;
        let input = child.stdin.take();
        let (sender, lines) = channel();
        if let Some(output) = child.stdout.take() {
            thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    if sender.send(line).is_err() {
                        break;
                    }
                }
            });
        }
        let mut sink = Self { child, input, lines, port: 0 };
        let line = sink.line("listening ")?;
        sink.port = line.parse().map_err(|_| Error::Message(format!("the sink listens on {line:?}")))?;
        Ok(sink)
    }

    /// The port on 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Zeroes the counters and asks to be told when `records` have come.
    pub(crate) fn expect(&mut self, records: u64) -> Result<(), Error> {
        self.say(&format!("expect {records}"))?;
        self.line("armed").map(drop)
    }

    /// Waits up to `patience` for the records expected. True once they have all been answered.
    pub(crate) fn done_within(&mut self, patience: Duration) -> Result<bool, Error> {
        match self.lines.recv_timeout(patience) {
            Ok(line) if line == "done" => Ok(true),
            Ok(line) => Err(Error::Message(format!("the sink said {line:?}"))),
            Err(RecvTimeoutError::Timeout) => Ok(false),
            Err(RecvTimeoutError::Disconnected) => Err(Error::Message("the sink has ended".to_owned())),
        }
    }

    /// What it has counted.
    pub(crate) fn stats(&mut self) -> Result<Stats, Error> {
        self.say("stats")?;
        let line = self.line("stats ")?;
        let numbers: Vec<u64> = line.split(' ').filter_map(|word| word.parse().ok()).collect();
        let [requests, bytes, records, refused, renamed, cpu] = numbers[..] else {
            return Err(Error::Message(format!("the sink's stats are {line:?}")));
        };
        Ok(Stats { requests, bytes, records, refused, renamed, cpu: Duration::from_nanos(cpu) })
    }

    fn say(&mut self, words: &str) -> Result<(), Error> {
        match &mut self.input {
            Some(input) => writeln!(input, "{words}").context("the sink's input"),
            None => Err(Error::Message("the sink has no input".to_owned())),
        }
    }

    /// The rest of the next line that begins with `start`. A `done` that nobody waits for any more is passed over.
    fn line(&self, start: &str) -> Result<String, Error> {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) if line == "done" => {}
                Ok(line) => {
                    let rest = line.strip_prefix(start).map(str::to_owned);
                    return rest.ok_or_else(|| Error::Message(format!("the sink said {line:?}")));
                }
                Err(_) => return Err(Error::Message("the sink does not answer".to_owned())),
            }
        }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        // The sink ends when its input does.
        self.input = None;
        let _ = self.child.wait();
    }
}
