//! The results as tables for a terminal, as Markdown for the README, and as JSON.
//!
//! MB are millions of bytes of the input file; every figure is the median of the runs. Figures drift with the machine,
//! so only the ratios within one race mean anything.

use std::{fmt::Write as _, time::Duration};

use serde_json::{Value, json};

use super::{
    agents::Kind,
    corpus::CorpusFile,
    job::{Job, Target},
    run::Cost,
};

/// What one agent did in one job.
pub(crate) struct Result {
    /// Which job.
    pub(crate) job: Job,
    /// Who.
    pub(crate) kind: Kind,
    /// Length of the file, bytes.
    pub(crate) input: u64,
    /// The runs that finished.
    pub(crate) costs: Vec<Cost>,
}

/// What one agent did with nothing to do.
pub(crate) struct Idle {
    /// Who.
    pub(crate) kind: Kind,
    /// Resident bytes.
    pub(crate) memory: u64,
    /// Times to `/ready`; suiro only.
    pub(crate) ready: Vec<Duration>,
}

impl Result {
    fn median(&self, of: impl Fn(&Cost) -> f64) -> Option<f64> {
        median(self.costs.iter().map(of))
    }

    fn rate(&self, of: impl Fn(&Cost) -> Duration) -> Option<f64> {
        self.median(|cost| self.input as f64 / 1e6 / of(cost).as_secs_f64())
    }

    fn per_cpu_second(&self) -> Option<f64> {
        self.rate(|cost| cost.cpu)
    }

    fn peak(&self) -> Option<f64> {
        self.median(|cost| cost.peak as f64 / 1e6)
    }

    /// Of the Markdown tables.
    fn cell(&self) -> String {
        format!("{} ({} MB)", show(self.per_cpu_second(), 0, ""), show(self.peak(), 0, ""))
    }
}

/// The middle value; of an even number, the mean of the two in the middle.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}

fn of_job(results: &[Result], job: Job, kind: Kind) -> Option<&Result> {
    results.iter().find(|result| result.job == job && result.kind == kind && !result.costs.is_empty())
}

/// The table of one job, and what is asked of suiro in it.
pub(crate) fn job_table(results: &[Result], job: Job, file: &CorpusFile) -> String {
    let mut text = format!(
        "\n== {}: {}\n{:.0} MB, {} lines of {:.0} bytes, {} records expected{}\n\n",
        job.slug(),
        job.title(),
        file.bytes as f64 / 1e6,
        file.lines,
        file.mean_line(),
        file.expected(job),
        job.loop_steps().map_or(String::new(), |steps| format!("; loop: {steps}"))
    );
    let suiro = of_job(results, job, Kind::Suiro).and_then(Result::per_cpu_second);
    let least = of_job(results, job, Kind::Loop).and_then(Result::per_cpu_second);
    let _ = writeln!(
        text,
        "{:<18}{:>9}{:>15}{:>14}{:>9}{:>11}{:>10}{:>11}{:>11}",
        "", "MB/s", "MB per CPU s", "peak RSS MB", "of loop", "suiro is", "requests", "wire MB", "sink CPU s"
    );
    for result in results.iter().filter(|result| result.job == job && !result.costs.is_empty()) {
        let own = result.per_cpu_second();
        let ratio = |above: Option<f64>, below: Option<f64>| Some(above? / below?);
        let _ = writeln!(
            text,
            "{:<18}{:>9}{:>15}{:>14}{:>9}{:>11}{:>10}{:>11}{:>11}",
            result.kind.name(),
            show(result.rate(|cost| cost.wall), 0, ""),
            show(own, 0, ""),
            show(result.peak(), 1, ""),
            show(ratio(own, least).map(|ratio| ratio * 100.0), 0, " %"),
            if result.kind == Kind::Suiro { String::new() } else { show(ratio(suiro, own), 2, " x") },
            show(result.median(|cost| cost.requests as f64), 0, ""),
            show(result.median(|cost| cost.wire as f64 / 1e6), 0, ""),
            show(result.median(|cost| cost.sink_cpu.as_secs_f64()), 2, "")
        );
    }
    text.push_str(&verdict(results, job));
    text
}

/// The targets of a job and whether they are met.
fn verdict(results: &[Result], job: Job) -> String {
    let per_cpu = |kind| of_job(results, job, kind).and_then(Result::per_cpu_second);
    let mut text = String::from("\n");
    let mut line = |what: &str, met: bool, is: String| {
        let _ = writeln!(text, "target {what}: {} ({is})", if met { "met" } else { "MISSED" });
    };
    for Target { who, than, ratio } in job.targets() {
        let (Some(own), Some(other)) = (per_cpu(who), per_cpu(than)) else { continue };
        let (who, than) = (who.name(), than.name());
        let (asked, is) = if ratio > 1.0 {
            (format!("{ratio} x"), format!("{:.2} x", own / other))
        } else {
            (format!("{:.0} % of", ratio * 100.0), format!("{:.0} %", own / other * 100.0))
        };
        line(&format!("{who} >= {asked} {than}"), own >= ratio * other, is);
    }
    if let Some(peak) = of_job(results, job, Kind::Suiro).and_then(Result::peak) {
        line("suiro peak RSS <= 40 MB", peak <= 40.0, format!("{peak:.1} MB"));
    }
    text
}

/// Idle memory and time to ready.
pub(crate) fn idle_table(idle: &[Idle]) -> String {
    let mut text = String::from("\n== idle, one file tailed, after 5 s\n\n");
    for one in idle {
        let _ = write!(text, "{:<18}{:>6.1} MB resident", one.kind.name(), one.memory as f64 / 1e6);
        let times = || one.ready.iter().map(|time| time.as_secs_f64() * 1e3);
        if let Some(middle) = median(times()) {
            let _ = write!(text, ", ready in {middle:.1} ms ({:.1} at most)", times().fold(0.0, f64::max));
        }
        text.push('\n');
    }
    if let Some(suiro) = idle.iter().find(|one| one.kind == Kind::Suiro) {
        let ready = median(suiro.ready.iter().map(|time| time.as_secs_f64() * 1e3)).unwrap_or(f64::INFINITY);
        let say = |met: bool| if met { "met" } else { "MISSED" };
        let _ = writeln!(text, "\ntarget idle RSS <= 12 MB: {}", say(suiro.memory as f64 <= 12e6));
        let _ = writeln!(text, "target ready in <= 50 ms: {}", say(ready <= 50.0));
    }
    text
}

/// Everything in Markdown tables: MB per CPU second and peak RSS.
pub(crate) fn markdown(results: &[Result], idle: &[Idle]) -> String {
    let (wasm, jobs): (Vec<&Result>, Vec<&Result>) = results.iter().partition(|result| result.job == Job::WasmEs);
    let mut text = if jobs.is_empty() && idle.is_empty() { String::new() } else { markdown_jobs(&jobs, idle) };
    if !wasm.is_empty() {
        let _ = writeln!(text, "\n| {} | MB per CPU second (peak RSS) |\n| --- | ---: |", Job::WasmEs.title());
        for result in wasm.iter().filter(|result| !result.costs.is_empty()) {
            let _ = writeln!(text, "| {} | {} |", result.kind.name(), result.cell());
        }
    }
    text
}

fn markdown_jobs(results: &[&Result], idle: &[Idle]) -> String {
    let kinds: Vec<Kind> = [Kind::Suiro, Kind::FluentBit, Kind::Vector, Kind::Loop]
        .into_iter()
        .filter(|kind| {
            results.iter().any(|result| result.kind == *kind && !result.costs.is_empty())
                || idle.iter().any(|one| one.kind == *kind)
        })
        .collect();
    let mut text = String::from("| MB per CPU second (peak RSS) |");
    kinds.iter().for_each(|kind| text.push_str(&format!(" {} |", kind.name())));
    text.push_str("\n| --- |");
    kinds.iter().for_each(|_| text.push_str(" ---: |"));
    text.push('\n');
    for job in Job::ALL {
        if !results.iter().any(|result| result.job == job) {
            continue;
        }
        let _ = write!(text, "| {} |", job.title());
        for kind in &kinds {
            let cell = results.iter().find(|result| result.job == job && result.kind == *kind);
            let cell = cell.filter(|result| !result.costs.is_empty()).map_or(String::new(), |result| result.cell());
            let _ = write!(text, " {cell} |");
        }
        text.push('\n');
    }
    if !idle.is_empty() {
        text.push_str("| idle, one file tailed |");
        for kind in &kinds {
            let one = idle.iter().find(|one| one.kind == *kind);
            let _ =
                write!(text, " {} |", one.map_or(String::new(), |one| format!("{:.0} MB", one.memory as f64 / 1e6)));
        }
        text.push('\n');
    }
    text
}

/// Every run, for a program to read.
pub(crate) fn as_json(results: &[Result], idle: &[Idle]) -> Value {
    let run = |cost: &Cost| {
        json!({
            "wall_seconds": cost.wall.as_secs_f64(),
            "cpu_seconds": cost.cpu.as_secs_f64(),
            "peak_rss_bytes": cost.peak,
            "sink_cpu_seconds": cost.sink_cpu.as_secs_f64(),
            "wire_bytes": cost.wire,
            "requests": cost.requests,
            "surplus_records": cost.surplus,
        })
    };
    let results: Vec<Value> = results
        .iter()
        .map(|result| {
            json!({
                "job": result.job.slug(),
                "agent": result.kind.name(),
                "input_bytes": result.input,
                "mb_per_second": result.rate(|cost| cost.wall),
                "mb_per_cpu_second": result.per_cpu_second(),
                "peak_rss_mb": result.peak(),
                "runs": result.costs.iter().map(run).collect::<Vec<_>>(),
            })
        })
        .collect();
    let idle: Vec<Value> = idle
        .iter()
        .map(|one| {
            json!({
                "agent": one.kind.name(),
                "rss_bytes": one.memory,
                "ready_seconds": one.ready.iter().map(Duration::as_secs_f64).collect::<Vec<_>>(),
            })
        })
        .collect();
    json!({ "results": results, "idle": idle })
}

fn show(value: Option<f64>, decimals: usize, unit: &str) -> String {
    value.map_or("-".to_owned(), |value| format!("{value:.decimals$}{unit}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(kind: Kind, cpu: &[f64]) -> Result {
        let cost = |seconds: &f64| Cost {
            wall: Duration::from_secs(10),
            cpu: Duration::from_secs_f64(*seconds),
            peak: 30_000_000,
            sink_cpu: Duration::ZERO,
            wire: 0,
            requests: 1,
            surplus: 0,
        };
        Result { job: Job::JsonEs, kind, input: 100_000_000, costs: cpu.iter().map(cost).collect() }
    }

    #[test]
    fn medians_and_ratios() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), Some(2.0));
        assert_eq!(median([4.0, 1.0].into_iter()), Some(2.5));
        assert_eq!(median([].into_iter()), None);
        let results =
            [result(Kind::Suiro, &[0.25, 9.0, 0.2]), result(Kind::FluentBit, &[5.0]), result(Kind::Loop, &[0.1])];
        let file = CorpusFile { path: "x".into(), bytes: 100_000_000, lines: 10, kept: 7 };
        let table = job_table(&results, Job::JsonEs, &file);
        assert!(table.contains("target suiro >= 10 x Fluent Bit: met (20.00 x)"), "{table}");
        assert!(table.contains("target suiro >= 50 % of least-work loop: MISSED (40 %)"), "{table}");
        assert!(table.contains("target suiro peak RSS <= 40 MB: met (30.0 MB)"), "{table}");
    }

    #[test]
    fn an_agent_without_a_finished_run_is_left_out() {
        let text = markdown(&[result(Kind::Suiro, &[]), result(Kind::Loop, &[0.1])], &[]);
        assert!(!text.contains("suiro") && text.contains("1000 (30 MB)"), "{text}");
    }
}
