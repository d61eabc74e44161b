//! The input `otlp`, from outside: requests of all kinds, and what arrives of them.

mod changed;
mod client;
mod hostile;
mod pressure;
mod requests;

use suiro_test_servers::Sink;

use crate::agent::{Running, Site};

/// A site with the input, called `in`, with `settings`, and an output to `sink`, called `out`, with `output`.
fn site(sink: &Sink, settings: &str, output: &str) -> Site {
    Site::new(&config(sink, settings, output))
}

fn config(sink: &Sink, settings: &str, output: &str) -> String {
    format!(
        "[[input]]\nname = 'in'\ntype = 'otlp'\ngrpc = '127.0.0.1:0'\nhttp = '127.0.0.1:0'\n{settings}\n\
         [[output]]\nname = 'out'\ntype = 'http'\nurl = '{}'\nbatch = {{ timeout = '10ms' }}\n\
         retry = {{ initial = '10ms', max = '50ms' }}\n{output}\n",
        sink.url()
    )
}

/// Both addresses.
fn addresses(running: &Running) -> (String, String) {
    (running.listens("setting=grpc ").to_string(), running.listens("setting=http ").to_string())
}
