//! The command line.
//!
//! Exit codes: 0 done; 1 something could not be delivered or started; 2 the configuration or the command line is wrong.

mod check;
mod health;
mod list;
mod load;
mod logs;
mod progress;
mod run;
mod screen;
#[cfg(feature = "wasm")]
mod wasm;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The configuration, or the command line, is wrong.
pub const EXIT_USAGE: u8 = 2;

#[derive(Debug, Parser)]
#[command(
    name = "suiro",
    version,
    about = "A telemetry agent: files in, filters in the middle, Loki, Elasticsearch and more out; every record accounted for.",
    after_help = "Start with: suiro run -c conf/quickstart.toml",
    subcommand_required = true,
    arg_required_else_help = true
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the pipeline that a configuration describes, until SIGTERM or Ctrl-C
    Run(run::RunArgs),
    /// Check a configuration and print what would be run; exit code 2 if it is wrong
    Check(check::CheckArgs),
    /// Ask a running agent whether it is well; exit code 1 if not
    Health(health::HealthArgs),
    /// List inputs, filters, outputs and parsers
    List(list::ListArgs),
    /// Write, test, inspect and measure WASM filters
    #[cfg(feature = "wasm")]
    Wasm(wasm::WasmArgs),
    /// Not in this binary, which was built without WASM
    #[cfg(not(feature = "wasm"))]
    #[command(disable_help_flag = true)]
    Wasm {
        /// Whatever stands there
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
        _arguments: Vec<std::ffi::OsString>,
    },
}

/// Runs the command the process was started with.
pub fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Run(args) => run::run(&args),
        Command::Check(args) => check::check(&args),
        Command::Health(args) => health::health(&args),
        Command::List(args) => list::list(&args),
        #[cfg(feature = "wasm")]
        Command::Wasm(args) => wasm::wasm(&args),
        #[cfg(not(feature = "wasm"))]
        Command::Wasm { .. } => {
            use std::io::Write as _;
            let message = "error: this binary was built without WASM filters\n  help: build it with the feature `wasm`, which is a default one";
            let _ = writeln!(std::io::stderr().lock(), "{message}");
            ExitCode::from(EXIT_USAGE)
        }
    }
}
