//! `suiro wasm`: for those who write WASM filters. A module runs over records from standard input as it does in the agent,
//! without one.
//!
//! Exit codes: 0 all is well; 1 the filter is not as it should be: a record is not what was expected or failed, a module
//! can't be used; 2 the command line is wrong, or there is nothing to work with.

mod bench;
mod calls;
mod config;
mod diff;
mod inspect;
mod lines;
mod new;
mod sdks;
mod test;

use std::fmt::Display;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Subcommand, ValueEnum};
use suiro_sdk::Metrics;
use suiro_wasm::{
    Abi, Bounds, Checked, Format, Interface, Load, LogLevel, Metering, Program, Refusal, Sandbox, Surroundings, Wanted,
};

use super::EXIT_USAGE;

/// Arguments of `suiro wasm`.
#[derive(Debug, Args)]
pub(super) struct WasmArgs {
    #[command(subcommand)]
    command: WasmCommand,
}

#[derive(Debug, Subcommand)]
enum WasmCommand {
    /// Make a folder with a filter, the SDK and a test, ready to build
    New(new::NewArgs),
    /// Run a filter over records from standard input, and compare what comes out
    Test(test::TestArgs),
    /// Tell what a module is, and what it lacks to be a filter
    Inspect(inspect::InspectArgs),
    /// Measure what a filter costs
    Bench(bench::BenchArgs),
}

/// Which module, and how it is to be run.
#[derive(Debug, Args)]
struct ModuleArgs {
    #[command(flatten)]
    file: FileArgs,
    /// A setting of the filter, as in its `config = { .. }`; a VALUE that is no TOML is a text. May be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    config: Vec<String>,
    /// A TOML file with what stands in `config = { .. }`; what --config sets goes before it
    #[arg(long, value_name = "FILE")]
    config_file: Option<PathBuf>,
    /// The tag of the records
    #[arg(long, default_value = "test")]
    tag: String,
    /// How records are passed in Fluent Bit's interface
    #[arg(long, value_enum, default_value = "json")]
    event_format: EventFormat,
    /// Memory the filter may have, MiB
    #[arg(long, value_name = "MIB", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=4096))]
    memory: u16,
}

/// Which module.
#[derive(Debug, Args)]
struct FileArgs {
    /// The module
    #[arg(value_name = "FILE.wasm")]
    module: PathBuf,
    /// The function, in Fluent Bit's interface, where there are several that could be the filter
    #[arg(long, value_name = "NAME")]
    function: Option<String>,
    /// The interface, where it is not to be found out
    #[arg(long, value_enum)]
    abi: Option<AbiName>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum AbiName {
    #[value(name = "suiro_v1")]
    SuiroV1,
    #[value(name = "fluentbit")]
    FluentBit,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum EventFormat {
    Json,
    Msgpack,
}

/// A module that is ready to be run over records.
struct Loaded {
    program: Arc<Program>,
    around: Arc<Surroundings>,
    metrics: Arc<Metrics>,
    sandbox: Sandbox,
    tag: Arc<str>,
}

/// Why a command ends early.
enum Stop {
    /// There is nothing to work with.
    Usage(String),
    /// It was tried, and failed.
    Failed(String),
    /// Nobody reads what comes out.
    Closed,
}

/// Runs one of the commands.
pub(super) fn wasm(args: &WasmArgs) -> ExitCode {
    let result = match &args.command {
        WasmCommand::New(args) => new::new(args),
        WasmCommand::Test(args) => test::test(args),
        WasmCommand::Inspect(args) => inspect::inspect(args),
        WasmCommand::Bench(args) => bench::bench(args),
    };
    match result {
        Ok(code) => code,
        Err(Stop::Usage(message)) => {
            say(format_args!("error: {message}"));
            ExitCode::from(EXIT_USAGE)
        }
        Err(Stop::Failed(message)) => {
            say(format_args!("error: {message}"));
            ExitCode::FAILURE
        }
        Err(Stop::Closed) => ExitCode::FAILURE,
    }
}

/// A line on standard error.
fn say(line: impl Display) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// Text on standard output.
fn print(text: &[u8]) -> Result<(), Stop> {
    let mut out = std::io::stdout().lock();
    out.write_all(text).and_then(|()| out.flush()).map_err(|_| Stop::Closed)
}

// === impl FileArgs ===

impl FileArgs {
    fn load(&self) -> Load {
        let abi = self.abi.map(|abi| match abi {
            AbiName::SuiroV1 => Abi::SuiroV1,
            AbiName::FluentBit => Abi::FluentBit,
        });
        Load { path: self.module.clone(), wanted: Wanted { abi, function: self.function.clone(), sha256: None } }
    }

    /// The module's name, as far as it says something: that of the file.
    fn name(&self) -> String {
        self.module.file_stem().map_or_else(|| "filter".to_owned(), |name| name.to_string_lossy().into_owned())
    }

    fn check(&self) -> Result<Checked, Stop> {
        self.load().check().map_err(|refusal| self.refused(&refusal))
    }

    fn refused(&self, refusal: &Refusal) -> Stop {
        let help = if refusal.help.is_empty() { String::new() } else { format!("\n  help: {}", refusal.help) };
        Stop::Usage(format!("{}: {}{help}", self.module.display(), refusal.message))
    }
}

// === impl ModuleArgs ===

impl ModuleArgs {
    /// Reads, checks and compiles.
    fn load(&self, metering: Metering) -> Result<Loaded, Stop> {
        let config = config::read(&self.config, self.config_file.as_deref())?;
        if self.tag.is_empty() || self.tag.len() > 256 || self.tag.chars().any(char::is_control) {
            return Err(Stop::Usage("--tag must have from 1 to 256 bytes, none of them control characters".to_owned()));
        }
        let checked = self.file.check()?;
        if self.file.function.is_some() && checked.interface == Interface::SuiroV1 {
            say("warning: --function is of Fluent Bit's interface, and the module has the interface suiro_v1");
        }
        let memory = usize::from(self.memory) << 20;
        if let Some(start) = checked.inspection.memory.filter(|start| *start > memory as u64) {
            let message = format!("it starts with {} MiB of memory, and may have {}", start >> 20, self.memory);
            return Err(Stop::Usage(format!("{}: {message}; set --memory, and `memory`", self.file.module.display())));
        }
        let program = checked.compile(metering, None).map_err(|refusal| self.file.refused(&refusal))?;
        let metrics = Arc::new(Metrics::default());
        let around = Surroundings::new(self.file.name().into(), &config, metrics.clone(), |level, line| {
            let level = match level {
                LogLevel::Error => "error",
                LogLevel::Warn => "warning",
                LogLevel::Info => "info",
                LogLevel::Debug => "debug",
            };
            say(format_args!("log: {level}: {}", line.trim_end()));
        });
        let format = match self.event_format {
            EventFormat::Json => Format::Json,
            EventFormat::Msgpack => Format::MessagePack,
        };
        Ok(Loaded {
            program: Arc::new(program),
            around: Arc::new(around),
            metrics,
            sandbox: Sandbox { memory, bounds: Bounds::default(), format },
            tag: self.tag.as_str().into(),
        })
    }
}
