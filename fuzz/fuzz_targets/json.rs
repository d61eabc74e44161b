//! The JSON reader against `serde_json`: the same texts taken and refused, the same tree, and what is written reads back.
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

libfuzzer_sys::fuzz_target!(|data: &[u8]| bodies::json(data));
