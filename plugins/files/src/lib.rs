//! Files and what is like them: the inputs `tail`, `stdin` and `generate`, the outputs `file`, `stdout` and `null`.

mod encode;
mod file;
mod generate;
mod lines;
mod null;
mod stdin;
mod stdout;
mod tail;
#[cfg(test)]
mod testing;

use suiro_sdk::Registry;

/// Adds the plugins of this crate.
pub fn register(registry: &mut Registry) {
    registry.input("tail", tail::ABOUT, tail::build);
    registry.input("stdin", stdin::ABOUT, stdin::build);
    registry.input("generate", generate::ABOUT, generate::build);
    registry.output("file", file::ABOUT, file::build);
    registry.output("stdout", stdout::ABOUT, stdout::build);
    registry.output("null", null::ABOUT, null::build);
}
