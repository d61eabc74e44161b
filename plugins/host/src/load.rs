//! Load and age: `/proc/loadavg`, `/proc/uptime`, and the processes made, of `/proc/stat`.

use crate::cpu::Stat;
use crate::point::{Collection, Metric};
use crate::read::Reader;

/// The conventions have no name for it yet; these are the collector's of OpenTelemetry.
static LOADS: [Metric; 3] = [
    Metric::gauge("system.cpu.load_average.1m", "{thread}", "Threads that ran or waited, on average over a minute"),
    Metric::gauge("system.cpu.load_average.5m", "{thread}", "Threads that ran or waited, on average over 5 minutes"),
    Metric::gauge("system.cpu.load_average.15m", "{thread}", "Threads that ran or waited, on average over 15 minutes"),
];
static UPTIME: Metric = Metric::gauge("system.uptime", "s", "The time the system has been running");
static MADE: Metric =
    Metric::counter("system.process.created", "{process}", "Processes created since the system started");

/// The floats a line begins with.
fn floats(text: &str) -> impl Iterator<Item = f64> + '_ {
    let words = text.split_ascii_whitespace().map_while(|word| word.parse().ok());
    words.take_while(|number: &f64| number.is_finite() && *number >= 0.0)
}

pub(crate) fn collect(reader: &mut Reader, stat: Option<&Stat>, to: &mut Collection) {
    if let Some(loadavg) = reader.text("load averages", "proc/loadavg") {
        LOADS.iter().zip(floats(&loadavg)).for_each(|(metric, load)| to.host(metric, [], load));
    }
    if let Some(uptime) = reader.text("uptime", "proc/uptime") {
        floats(&uptime).take(1).for_each(|uptime| to.host(&UPTIME, [], uptime));
    }
    stat.and_then(|stat| stat.made).into_iter().for_each(|made| to.host(&MADE, [], made));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_is_there() {
        for (text, want) in [
            ("0.31 3.43 3.05 5/177 26444\n", vec![0.31, 3.43, 3.05]),
            ("1.5", vec![1.5]),
            ("", vec![]),
            ("nan 1", vec![]),
            ("1 inf 2", vec![1.0]),
            ("-1 2", vec![]),
        ] {
            assert_eq!(floats(text).collect::<Vec<_>>(), want, "{text}");
        }
    }
}
