//! suiro's configuration for the race: its defaults, but for the size of a request.

use super::{BATCH, Course, Kind, REGION, module};
use crate::race::job::{Destination, Job};

pub(super) fn configuration(kind: Kind, course: &Course<'_>) -> Vec<(&'static str, String)> {
    let Course { job, file, sink, api, folder } = course;
    let parser = match job {
        Some(Job::JsonEs | Job::JsonFilterEs | Job::WasmEs) => "parser = \"json\"\n",
        Some(Job::ApacheEs) => "parser = \"apache_combined\"\n",
        Some(Job::TextLoki | Job::TextCloudWatch) | None => "",
    };
    let filters = match job {
        Some(Job::JsonFilterEs) => concat!(
            "[[filter]]\ntype = \"drop\"\nwhen = 'level == \"debug\"'\n\n",
            "[[filter]]\ntype = \"modify\"\nset = { env = \"prod\" }\nremove = [\"session\"]\n\n",
        )
        .to_owned(),
        Some(Job::WasmEs) => match kind {
            Kind::SuiroModify => "[[filter]]\ntype = \"modify\"\ncopy = { level = \"severity\" }\n\n".to_owned(),
            Kind::SuiroSameWasm => wasm("race-severity-fluentbit.wasm", "function_name = \"severity\"\n"),
            _ => wasm("race-severity.wasm", ""),
        },
        _ => String::new(),
    };
    let output = match job.map(Job::destination) {
        Some(Destination::Loki) => {
            format!("type = \"loki\"\nurl = \"http://127.0.0.1:{sink}\"\nlabels = {{ job = \"race\" }}\n")
        }
        Some(Destination::CloudWatchLogs) => format!(
            "type = \"cloudwatch_logs\"\nregion = \"{REGION}\"\nendpoint = \"http://127.0.0.1:{sink}\"\n\
             log_group = \"race\"\nlog_stream = \"race\"\n"
        ),
        Some(Destination::Elasticsearch) | None => {
            format!("type = \"elasticsearch\"\nurl = \"http://127.0.0.1:{sink}\"\nindex = \"race\"\n")
        }
    };
    // The service bounds requests to CloudWatch, and the output knows how.
    let batch = match job {
        Some(Job::TextCloudWatch) => String::new(),
        _ => format!("batch = {{ max_bytes = \"{BATCH}\" }}\n"),
    };
    let text = format!(
        r#"[service]
data_dir = '{data}'
api = {{ listen = "127.0.0.1:{api}" }}

[[input]]
type = "tail"
tag = "race"
path = ['{file}']
read_from = "beginning"
{parser}
{filters}[[output]]
{output}{batch}"#,
        data = folder.join("data").display(),
        file = file.display(),
    );
    vec![("suiro.toml", text)]
}

fn wasm(name: &str, more: &str) -> String {
    format!("[[filter]]\ntype = \"wasm\"\nmodule = '{}'\n{more}\n", module(name).display())
}
