//! Fluent Bit's configuration for the race.
//!
//! The documented settings it was found to be fastest with (MB per CPU second), each tried both ways:
//!
//! - no position database: nothing is saved, nothing synced;
//! - memory storage, with a limit as large as suiro's;
//! - read buffers of 512 KiB rather than 32: 15 % on text;
//! - no output workers: as fast as with one or two, in half the memory;
//! - no limit to the buffer for answers: with one, a bulk answer above it is taken for a failure and the chunk sent again;
//! - a flush every 0.2 s: no faster per CPU second than every second, but the memory limit paces it less.
//!
//! To CloudWatch, 5.1.1 speaks TLS whatever `tls` says (`upstream_set_fn_ec2` of its EC2 provider sets `use_tls`), and this
//! job has none: it fails with an unchanged Fluent Bit, and runs with one in which that function puts back what it found.
//!
//! The parsers are written out here, so that a package that ships other ones runs the same race. They read the record's
//! time, since suiro does.

use super::{Course, module};
use crate::race::job::{Destination, Job};

/// Its flush interval: shorter than the default of a second, or the memory limit would pace it.
const FLUSH: &str = "0.2";

pub(super) fn configuration(course: &Course<'_>) -> Vec<(&'static str, String)> {
    let Course { job, file, sink, .. } = course;
    let parser = match job {
        Some(Job::JsonEs | Job::JsonFilterEs | Job::WasmEs) => "    parser            race_json\n",
        Some(Job::ApacheEs) => "    parser            race_apache\n",
        Some(Job::TextLoki | Job::TextCloudWatch) | None => "",
    };
    let filters = match job {
        Some(Job::JsonFilterEs) => "[FILTER]
    name              grep
    match             race
    exclude           level ^debug$

[FILTER]
    name              modify
    match             race
    set               env prod
    remove            session

"
        .to_owned(),
        Some(Job::WasmEs) => format!(
            "[FILTER]
    name              wasm
    match             race
    event_format      json
    wasm_path         {}
    function_name     severity
    accessible_paths  .

",
            module("race-severity-fluentbit.wasm").display()
        ),
        _ => String::new(),
    };
    let output = match job.map(Job::destination) {
        Some(Destination::Loki) => {
            "    name              loki
    labels            job=race
    line_format       json
    drop_single_key   raw
"
        }
        Some(Destination::CloudWatchLogs) => {
            "    name              cloudwatch_logs
    region            eu-central-1
    endpoint          127.0.0.1
    tls               off
    log_group_name    race
    log_stream_name   race
    log_key           log
"
        }
        Some(Destination::Elasticsearch) | None => {
            "    name              es
    index             race
    suppress_type_name on
    time_key          @timestamp
    buffer_size       false
"
        }
    };
    let main = format!(
        r"[SERVICE]
    flush             {FLUSH}
    grace             1
    daemon            off
    log_level         error
    http_server       off
    parsers_file      parsers.conf

[INPUT]
    name              tail
    tag               race
    path              {file}
    read_from_head    on
    buffer_chunk_size 512k
    buffer_max_size   2M
    mem_buf_limit     64M
{parser}
{filters}[OUTPUT]
    match             race
    workers           0
    host              127.0.0.1
    port              {sink}
{output}",
        file = file.display(),
    );
    let parser_file = r#"[PARSER]
    name              race_json
    format            json
    time_key          time
    time_format       %Y-%m-%dT%H:%M:%S.%LZ
    time_keep         on

[PARSER]
    name              race_apache
    format            regex
    regex             ^(?<host>[^ ]+) [^ ]+ (?<user>[^ ]+) \[(?<time>[^\]]+)\] "(?<method>[^ ]+) (?<path>[^ ]+) [^"]+" (?<status>[^ ]+) (?<size>[^ ]+) "(?<referer>[^"]*)" "(?<agent>[^"]*)"$
    time_key          time
    time_format       %d/%b/%Y:%H:%M:%S %z
"#;
    vec![("fluent-bit.conf", main), ("parsers.conf", parser_file.to_owned())]
}
