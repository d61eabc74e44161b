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

/// Where the input listens: what it says of `grpc` or `http`.
fn address(running: &Running, setting: &str) -> String {
    let find = |said: &str| {
        let line =
            said.lines().find(|line| line.contains("listens") && line.contains(&format!("setting={setting} ")))?;
        let (_, rest) = line.split_once("address=")?;
        Some(rest.split_whitespace().next()?.trim_matches('"').to_owned())
    };
    running.wait_for("the input to listen", |running| find(&running.stderr()).is_some());
    find(&running.stderr()).unwrap()
}

/// Both addresses.
fn addresses(running: &Running) -> (String, String) {
    (address(running, "grpc"), address(running, "http"))
}
