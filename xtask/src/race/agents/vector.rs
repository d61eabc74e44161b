//! Vector's configuration for the race.
//!
//! No disk buffer, no acknowledgements, no health check, no compression: the fastest it offers.

use super::Course;
use crate::race::job::{Destination, Job};

/// [`super::BATCH`] in bytes.
const BATCH_BYTES: u32 = 1 << 20;

pub(super) fn configuration(course: &Course<'_>) -> Vec<(&'static str, String)> {
    let Course { job, file, sink, folder, .. } = course;
    let program = match job {
        Some(Job::JsonEs) => Some(concat!(
            ". = object!(parse_json!(string!(.message)))\n",
            ".\"@timestamp\" = parse_timestamp!(.time, \"%+\")\n",
        )),
        Some(Job::JsonFilterEs) => Some(concat!(
            ". = object!(parse_json!(string!(.message)))\n",
            "if .level == \"debug\" { abort }\n",
            ".\"@timestamp\" = parse_timestamp!(.time, \"%+\")\n",
            ".env = \"prod\"\n",
            "del(.session)\n",
        )),
        Some(Job::ApacheEs) => Some(concat!(
            ". = parse_apache_log!(string!(.message), format: \"combined\")\n",
            ".\"@timestamp\" = del(.timestamp)\n",
        )),
        Some(Job::TextLoki | Job::TextCloudWatch | Job::WasmEs) | None => None,
    };
    let transform = program.map_or(String::new(), |program| {
        format!("[transforms.edit]\ntype = \"remap\"\ninputs = [\"file\"]\nsource = '''\n{program}'''\n\n")
    });
    let from = if program.is_some() { "edit" } else { "file" };
    let output = match job.map(Job::destination) {
        Some(Destination::Loki) => format!(
            "type = \"loki\"\nendpoint = \"http://127.0.0.1:{sink}\"\nlabels = {{ job = \"race\" }}\nencoding.codec = \"raw_message\"\ncompression = \"snappy\"\n"
        ),
        // It has no part in the race to CloudWatch.
        Some(Destination::Elasticsearch | Destination::CloudWatchLogs) | None => format!(
            "type = \"elasticsearch\"\nendpoints = [\"http://127.0.0.1:{sink}\"]\napi_version = \"v8\"\nbulk.index = \"race\"\nbulk.action = \"create\"\ncompression = \"none\"\n"
        ),
    };
    let text = format!(
        r#"data_dir = '{data}'

[sources.file]
type = "file"
include = ['{file}']
read_from = "beginning"

{transform}[sinks.out]
inputs = ["{from}"]
healthcheck.enabled = false
batch.max_bytes = {BATCH_BYTES}
{output}"#,
        data = folder.display(),
        file = file.display(),
    );
    vec![("vector.toml", text)]
}
