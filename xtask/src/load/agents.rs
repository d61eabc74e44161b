//! Who takes part, and how each is configured: OTLP/gRPC in at one port and out to another, nothing compressed, memory queues,
//! otherwise its defaults, but for what is said beside it.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::{Job, requests::RENAMED};
use crate::{
    cargo::{target, workspace},
    error::{Context, Error},
    race::agents as race,
};

/// Who runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nobody: the generator sends straight to the sink.
    Straight,
    Suiro,
    Collector,
    FluentBit,
}

/// A program that takes part.
pub(super) struct Agent {
    pub(super) kind: Kind,
    program: PathBuf,
}

/// Ports on 127.0.0.1.
pub(super) struct Ports {
    pub(super) listen: u16,
    pub(super) sink: u16,
    /// For an API of the agent's own.
    pub(super) api: u16,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Straight => "generator to sink",
            Self::Suiro => "suiro",
            Self::Collector => "OpenTelemetry Collector",
            Self::FluentBit => "Fluent Bit",
        }
    }
}

/// Finds them; says who takes part and who does not, and why.
pub(super) fn line_up(suiro: Option<&Path>, only_suiro: bool) -> Vec<Agent> {
    let mut found = vec![];
    match suiro.map_or_else(
        || race::Agent::suiro().map(|agent| agent.program),
        |program| program.canonicalize().context(program.display()),
    ) {
        Ok(program) => found.push((Kind::Suiro, program)),
        Err(error) => println!("suiro can't be run, so only the others are: {error}"),
    }
    if !only_suiro {
        let collector = env::var_os("OTELCOL").map(PathBuf::from).or_else(built_collector);
        match collector {
            Some(program) => found.push((Kind::Collector, program)),
            None => println!("not in the race: the Collector: it could not be built, and OTELCOL names none"),
        }
        match env::var_os("FLUENT_BIT").map(PathBuf::from).or_else(|| race::on_path("fluent-bit")) {
            Some(program) => found.push((Kind::FluentBit, program)),
            None => println!("not in the race: Fluent Bit: no fluent-bit on PATH, and FLUENT_BIT names none"),
        }
    }
    let mut agents = vec![];
    for (kind, program) in found {
        match race::version_of(&program) {
            Ok(version) => {
                println!("in the race: {} ({version}, {})", kind.name(), program.display());
                agents.push(Agent { kind, program });
            }
            Err(error) => println!("not in the race: {}: {error}", kind.name()),
        }
    }
    agents
}

fn built_collector() -> Option<PathBuf> {
    let build = workspace().join("tests/backends/collector/build");
    println!("building the Collector ({})", build.display());
    let built = Command::new(build).status().is_ok_and(|status| status.success());
    built.then(|| target().join("backends/collector/otelcol"))
}

impl Agent {
    /// Whether it can do the job.
    pub(super) fn takes(&self, job: Job) -> bool {
        // Fluent Bit's filters and processors reach OTLP attributes of logs in the record's metadata only with a script, and
        // its spans pass through as they are.
        self.kind != Kind::FluentBit || !job.renames()
    }

    /// File names and texts, the main one first.
    pub(super) fn configuration(&self, job: Job, ports: &Ports, folder: &Path) -> Vec<(&'static str, String)> {
        match self.kind {
            Kind::Straight => vec![],
            Kind::Suiro => vec![("suiro.toml", suiro(job, ports, folder))],
            Kind::Collector => vec![("collector.yaml", collector(job, ports))],
            Kind::FluentBit => vec![("fluent-bit.conf", fluent_bit(ports))],
        }
    }

    /// Writes the configuration into `folder` and gives the command that runs it.
    pub(super) fn prepare(&self, job: Job, ports: &Ports, folder: &Path) -> Result<Command, Error> {
        let mut command = Command::new(&self.program);
        command.current_dir(folder);
        for (name, text) in self.configuration(job, ports, folder) {
            let path = folder.join(name);
            fs::write(&path, text).context(path.display())?;
            match self.kind {
                Kind::Straight => &mut command,
                Kind::Suiro => command.arg("run").arg("-c").arg(path),
                Kind::Collector => command.arg("--config").arg(path),
                Kind::FluentBit => command.arg("-c").arg(path),
            };
        }
        Ok(command)
    }
}

fn suiro(job: Job, Ports { listen, sink, api }: &Ports, folder: &Path) -> String {
    let filter = if job.renames() {
        let at = if job.traces() { "attributes" } else { "@attributes" };
        format!("[[filter]]\ntype = \"modify\"\nrename = {{ '{at}.\"{}\"' = '{at}.\"{}\"' }}\n\n", RENAMED.0, RENAMED.1)
    } else {
        String::new()
    };
    format!(
        r#"[service]
data_dir = '{data}'
api = {{ listen = "127.0.0.1:{api}" }}

[[input]]
type = "otlp"
tag = "load"
grpc = "127.0.0.1:{listen}"
http = false

{filter}[[output]]
type = "otlp"
url = "http://127.0.0.1:{sink}"
protocol = "grpc"
compression = "none"
"#,
        data = folder.join("data").display()
    )
}

/// No batch processor: its requests go on as they came. The queue of the exporter is its default one.
fn collector(job: Job, Ports { listen, sink, .. }: &Ports) -> String {
    let signal = if job.traces() { "traces" } else { "logs" };
    let (processor, processors) = if job.renames() {
        let (from, to) = RENAMED;
        (format!("processors:\n  rename:\n    from: {from}\n    to: {to}\n\n"), "      processors: [rename]\n")
    } else {
        (String::new(), "")
    };
    format!(
        "receivers:
  otlp:
    protocols:
      grpc:
        endpoint: 127.0.0.1:{listen}

{processor}exporters:
  otlp:
    endpoint: 127.0.0.1:{sink}
    compression: none
    tls:
      insecure: true

service:
  telemetry:
    metrics:
      level: none
    logs:
      level: error
  pipelines:
    {signal}:
      receivers: [otlp]
{processors}      exporters: [otlp]
"
    )
}

/// A flush interval below the default of a second, or the memory limit would pace it, as in the race. With
/// Fluent Bit 5.1.1 one request of logs did not come to the sink in any run, which of the two lost it is not known; such a
/// run is no result.
fn fluent_bit(Ports { listen, sink, .. }: &Ports) -> String {
    format!(
        r"[SERVICE]
    flush             0.2
    grace             1
    daemon            off
    log_level         error
    http_server       off

[INPUT]
    name              opentelemetry
    listen            127.0.0.1
    port              {listen}
    buffer_max_size   16M
    mem_buf_limit     64M

[OUTPUT]
    name              opentelemetry
    match             *
    workers           0
    retry_limit       no_limits
    host              127.0.0.1
    port              {sink}
    grpc              on
    http2             force
"
    )
}
