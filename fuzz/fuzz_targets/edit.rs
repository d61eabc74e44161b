//! Sequences of edits against a plain tree: after each step every record is what the model says.
#![no_main]
// The modules are those of the record's tests, which use more of each other than one target does.
#![allow(dead_code)]

#[path = "../../plugins/record/tests/record/bodies.rs"]
mod bodies;
#[path = "../../plugins/record/tests/record/generate.rs"]
mod generate;
#[path = "../../plugins/record/tests/record/model.rs"]
mod model;
#[path = "../../plugins/record/tests/record/oracle.rs"]
mod oracle;

libfuzzer_sys::fuzz_target!(|data: &[u8]| bodies::edits(data));
