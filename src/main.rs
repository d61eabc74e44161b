//! The `suiro` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    suiro::cli::main()
}
