//! The output against a scripted server, and its bodies.

mod bodies;
mod fake;
mod kit;
mod outcomes;
mod settings;
