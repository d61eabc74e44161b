//! `cargo xtask segments`: X-Ray segments over UDP into the agent, at a rate: how many come in, and what that costs.
//!
//! # How it measures
//!
//! Each run is a fresh process of the agent, with the input `xray` on a free port of 127.0.0.1 and the output `null`. This
//! process sends segments of a kilobyte, made beforehand, in a group every millisecond, for `--seconds`; one that is late
//! sends what is due, so that the rate is kept and the agent has bursts to bear. Nobody answers a datagram: what came in, what
//! was turned away and why is read from the agent's ledger when nothing changes any more. CPU time is the agent's alone, from
//! before the first segment to then; so is memory. What is neither received nor counted by anybody is *missing*.
//!
//! The sender and the agent share the machine: on two cores, one that sends 50,000 segments a second takes a good part of one.

use std::{
    fmt::Write as _,
    fs,
    io::{Read as _, Write as _},
    net::{TcpStream, UdpSocket},
    path::PathBuf,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use crate::{
    cargo::target,
    error::{Context, Error},
    race::{
        agents::Agent,
        measure::{Process, own_cpu},
        run::{free_port, last_lines},
    },
};

/// How often a group is sent.
const TICK: Duration = Duration::from_millis(1);
/// Different segments.
const DIFFERENT: u64 = 1000;
/// The agent is done when its ledger did not change for so long.
const QUIET: Duration = Duration::from_secs(2);

/// Options of `segments`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Segments a second.
    #[arg(long, default_value_t = 50_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    rate: u64,
    /// How long each run sends.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// What segments become, separated by commas.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Format::Spans, Format::Segments])]
    formats: Vec<Format>,
    /// Runs of each.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=99))]
    runs: u64,
    /// The agent to measure, instead of one built now.
    #[arg(long, value_name = "FILE")]
    suiro: Option<PathBuf>,
}

/// The input's setting `format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Spans,
    Segments,
}

/// What one run came to.
struct Outcome {
    sent: u64,
    received: u64,
    /// By reason.
    turned_away: Vec<(String, u64)>,
    sending: Duration,
    sender_cpu: Duration,
    cpu: Duration,
    peak: u64,
}

/// What the ledger says of the input.
#[derive(Clone, Debug, Default, PartialEq)]
struct Counts {
    received: u64,
    settled: u64,
    turned_away: Vec<(String, u64)>,
}

/// Runs them and prints what came out.
pub(crate) fn run(options: &Options) -> Result<(), Error> {
    let program = match &options.suiro {
        Some(program) => program.canonicalize().context(program.display())?,
        None => Agent::suiro()?.program,
    };
    let under = target().join("race");
    fs::create_dir_all(&under).context(under.display())?;
    let datagrams = datagrams();
    let bytes = datagrams.iter().map(Vec::len).sum::<usize>() / datagrams.len();
    println!("{} segments/s for {} s, {bytes} bytes each", options.rate, options.seconds);
    for &format in &options.formats {
        for round in 1..=options.runs {
            let outcome = once(&program, format, options, &datagrams, &under)?;
            outcome.print(round, format);
        }
    }
    Ok(())
}

fn once(
    program: &std::path::Path,
    format: Format,
    options: &Options,
    datagrams: &[Vec<u8>],
    under: &std::path::Path,
) -> Result<Outcome, Error> {
    let folder = tempfile::tempdir_in(under).context(under.display())?;
    let (log, config) = (folder.path().join("agent.log"), folder.path().join("suiro.toml"));
    let (api, port) = (free_port()?, free_port()?);
    let text = format!(
        "[service]\ndata_dir = '{}'\napi = {{ listen = '127.0.0.1:{api}' }}\n\n\
         [[input]]\ntype = 'xray'\nname = 'in'\nudp = '127.0.0.1:{port}'\ntcp = false\nformat = '{}'\n\n\
         [[output]]\ntype = 'null'\n",
        folder.path().join("data").display(),
        format.name(),
    );
    fs::write(&config, text).context(config.display())?;
    let mut agent = Process::start(Command::new(program).arg("run").arg("-c").arg(&config), &log)?;
    while !fs::read_to_string(&log).is_ok_and(|said| said.contains("takes datagrams")) || ledger(api).is_err() {
        if agent.ended()?.is_some() || agent.age() > Duration::from_secs(30) {
            return Err(Error::Message(format!("the agent does not listen\n{}", last_lines(&log))));
        }
        thread::sleep(Duration::from_millis(10));
    }

    let (cpu, sender_cpu) = (agent.cpu()?, own_cpu());
    let (sent, sending) = send(port, options, datagrams)?;
    let sender_cpu = own_cpu() - sender_cpu;
    let mut counts = ledger(api)?;
    let mut changed = Instant::now();
    while changed.elapsed() < QUIET && !(counts.all() == sent && counts.settled == counts.received) {
        thread::sleep(Duration::from_millis(50));
        let now = ledger(api)?;
        if now != counts {
            (counts, changed) = (now, Instant::now());
        }
    }
    let (cpu, peak) = (agent.cpu()? - cpu, agent.peak_memory()?);
    agent.stop()?;
    let Counts { received, turned_away, .. } = counts;
    Ok(Outcome { sent, received, turned_away, sending, sender_cpu, cpu, peak })
}

/// Sends; how many, and in what time.
fn send(port: u16, options: &Options, datagrams: &[Vec<u8>]) -> Result<(u64, Duration), Error> {
    let socket = UdpSocket::bind("127.0.0.1:0").context("a socket")?;
    socket.connect(("127.0.0.1", port)).context("the socket")?;
    let total = options.rate * options.seconds;
    let began = Instant::now();
    let mut sent = 0;
    while sent < total {
        let due = (began.elapsed().as_secs_f64() * options.rate as f64) as u64;
        while sent < due.min(total) {
            socket.send(&datagrams[(sent % DIFFERENT) as usize]).context("sending a segment")?;
            sent += 1;
        }
        thread::sleep(TICK);
    }
    Ok((sent, began.elapsed()))
}

/// Segments as the SDK for Python writes them, a subsegment in each second one. So there are as many records as segments in
/// one format, and half as many again in the other.
fn datagrams() -> Vec<Vec<u8>> {
    (0..DIFFERENT).map(|n| datagram(n).into_bytes()).collect()
}

fn datagram(n: u64) -> String {
    let subsegment = format!(
        r#"{{"id": "{:016x}", "name": "DynamoDB", "start_time": 1795364943.1{n:05}, "end_time": 1795364943.2{n:05}, "in_progress": false, "namespace": "aws", "type": "subsegment", "http": {{"response": {{"status": 200}}}}, "aws": {{"operation": "PutItem", "region": "eu-central-1", "request_id": "{n:036}", "table_name": "orders"}}}}"#,
        0x5000_0000_0000_0000 + n
    );
    let mut text = String::from("{\"format\":\"json\",\"version\":1}\n");
    let _ = write!(
        text,
        r#"{{"id": "{:016x}", "name": "shop", "start_time": 1795364943.0{n:05}, "end_time": 1795364943.3{n:05}, "in_progress": false, "trace_id": "1-6b0344cf-{n:024x}", "http": {{"request": {{"method": "POST", "url": "https://shop.example.com/api/orders/{n}", "user_agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36", "client_ip": "10.0.{}.{}", "x_forwarded_for": true}}, "response": {{"status": 201, "content_length": 512}}}}, "annotations": {{"tenant": "tenant-{}", "priority": {}}}, "metadata": {{"default": {{"cart": [{n}, {n}], "note": "as it came"}}}}, "aws": {{"xray": {{"sdk": "X-Ray for Python", "sdk_version": "2.14.0", "sampling_rule_name": "Default"}}}}, "service": {{"runtime": "CPython", "runtime_version": "3.12.4"}}, "subsegments": [{}]}}"#,
        0x4000_0000_0000_0000 + n,
        n / 256,
        n % 256,
        n % 10,
        n % 3,
        if n.is_multiple_of(2) { "" } else { &subsegment },
    );
    text
}

/// What the agent's ledger says of the input.
fn ledger(api: u16) -> Result<Counts, Error> {
    let mut stream = TcpStream::connect(("127.0.0.1", api)).context("the agent's API")?;
    let request = "GET /api/ledger HTTP/1.1\r\nhost: agent\r\nconnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).context("the agent's API")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).context("the agent's API")?;
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let ledger: serde_json::Value =
        serde_json::from_str(body).map_err(|error| Error::Message(format!("the agent's ledger: {error}")))?;
    let input = &ledger["inputs"][0];
    let count = |name: &str| input[name].as_u64().unwrap_or(0);
    let reasons = input["turned_away"].as_object().into_iter().flatten();
    let turned_away = reasons.map(|(reason, n)| (reason.clone(), n.as_u64().unwrap_or(0))).collect();
    Ok(Counts { received: count("received"), settled: count("settled"), turned_away })
}

// === impl Counts ===

impl Counts {
    fn all(&self) -> u64 {
        self.received + self.turned_away.iter().map(|(_, n)| n).sum::<u64>()
    }
}

// === impl Format ===

impl Format {
    fn name(self) -> &'static str {
        match self {
            Format::Spans => "spans",
            Format::Segments => "segments",
        }
    }

    /// Records that so many segments are.
    fn records(self, segments: u64) -> u64 {
        match self {
            Format::Spans => {
                let rest = segments % DIFFERENT;
                segments + segments / DIFFERENT * (DIFFERENT / 2) + rest / 2
            }
            Format::Segments => segments,
        }
    }
}

// === impl Outcome ===

impl Outcome {
    fn print(&self, round: u64, format: Format) {
        let seconds = self.sending.as_secs_f64();
        let records = format.records(self.sent);
        let cpu = self.cpu.as_secs_f64();
        println!("\n{round} format = {:?}", format.name());
        println!("  sent        {:>12} segments, {:.0}/s", self.sent, self.sent as f64 / seconds);
        println!("  received    {:>12} of {records} records", self.received);
        for (reason, n) in &self.turned_away {
            println!("  turned away {n:>12} {reason}");
        }
        if self.turned_away.is_empty() {
            println!("  missing     {:>12} records", records.saturating_sub(self.received));
        }
        println!(
            "  agent       {cpu:>12.2} s CPU, {:.0} % of one, {:.1} MB",
            cpu / seconds * 100.0,
            self.peak as f64 / 1e6
        );
        println!("  sender      {:>12.2} s CPU", self.sender_cpu.as_secs_f64());
    }
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_segment_is_one_and_its_records_are_counted() {
        let mut records = 0;
        for datagram in datagrams() {
            assert!((600..1400).contains(&datagram.len()), "{}", datagram.len());
            let at = datagram.iter().position(|byte| *byte == b'\n').unwrap();
            let document: serde_json::Value = serde_json::from_slice(&datagram[at..]).unwrap();
            records += 1 + document["subsegments"].as_array().unwrap().len() as u64;
        }
        assert_eq!(records, Format::Spans.records(DIFFERENT));
        assert_eq!(Format::Spans.records(3), 4);
        assert_eq!(Format::Segments.records(3), 3);
    }
}
