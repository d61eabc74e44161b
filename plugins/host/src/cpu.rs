//! Processors: `/proc/stat`.
//!
//! ```text
//! cpu  <user> <nice> <system> <idle> <iowait> <irq> <softirq> <steal> <guest> <guest_nice>     in ticks, of all
//! cpu0 ...                                                                                    of each that is online
//! btime <seconds since the epoch>
//! processes <made since the start>
//! ```
//! `guest` is in `user` already.

use std::collections::HashMap;

use suiro_record::Value;

use crate::point::{Collection, Metric, text};
use crate::read::{Reader, numbers};

/// Ticks in a second: what the kernel tells programs, on every architecture Rust's standard library runs on.
pub(crate) const TICKS: f64 = 100.0;
/// Idle time is put together of parts that are not read at once, and may go back by so many ticks. Beyond, the processor
/// was taken out and put back.
const SLACK: u64 = 300;

static TIME: Metric = Metric::counter("system.cpu.time", "s", "Seconds each logical CPU spent on each mode");
static UTILIZATION: Metric =
    Metric::gauge("system.cpu.utilization", "1", "Share of the time since the last measurement spent on each mode");
static COUNT: Metric = Metric::up_down("system.cpu.logical.count", "{cpu}", "Number of logical processors");

/// Modes, with the columns they are made of.
const MODES: [(&str, &[usize]); 7] = [
    ("user", &[0]),
    ("nice", &[1]),
    ("system", &[2]),
    ("idle", &[3]),
    ("iowait", &[4]),
    ("interrupt", &[5, 6]),
    ("steal", &[7]),
];

/// Ticks by mode; those this kernel does not tell are missing at the end.
type Ticks = Vec<u64>;

/// What the file says.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Stat {
    /// Of all processors together.
    pub(crate) all: Option<Ticks>,
    /// By number.
    pub(crate) each: Vec<(u32, Ticks)>,
    /// Seconds since the epoch.
    pub(crate) boot: Option<u64>,
    /// Processes made since then.
    pub(crate) made: Option<u64>,
}

/// What was read before.
#[derive(Debug, Default)]
pub(crate) struct Cpu {
    before: HashMap<Option<u32>, Ticks>,
}

/// Reads the file.
pub(crate) fn parse(stat: &str) -> Stat {
    let mut all = Stat::default();
    for line in stat.lines() {
        let Some((key, rest)) = line.split_once(' ') else { continue };
        match key {
            "btime" => all.boot = numbers(rest).next(),
            "processes" => all.made = numbers(rest).next(),
            "cpu" => all.all = ticks(rest),
            _ => {
                let number = key.strip_prefix("cpu").and_then(|number| number.parse().ok());
                all.each.extend(number.zip(ticks(rest)));
            }
        }
    }
    all
}

fn ticks(rest: &str) -> Option<Ticks> {
    let columns: Vec<u64> = numbers(rest).collect();
    let known = MODES.iter().map_while(|(_, from)| {
        let parts: Option<Vec<u64>> = from.iter().map(|at| columns.get(*at).copied()).collect();
        Some(parts?.iter().fold(0, |sum: u64, part| sum.saturating_add(*part)))
    });
    // The first four were there from the start.
    (columns.len() >= 4).then(|| known.collect())
}

// === impl Cpu ===

impl Cpu {
    pub(crate) fn collect(&mut self, stat: &Stat, per_cpu: bool, utilization: bool, to: &mut Collection) {
        if !stat.each.is_empty() {
            to.host(&COUNT, [], stat.each.len() as u64);
        }
        let all = stat.all.iter().map(|ticks| (None, ticks)).filter(|_| !per_cpu || stat.each.is_empty());
        let each = stat.each.iter().map(|(number, ticks)| (Some(*number), ticks)).filter(|_| per_cpu);
        for (number, ticks) in all.chain(each) {
            let before = self.before.get(&number);
            let ticks = steady(before, ticks);
            for (at, ((mode, _), now)) in MODES.iter().zip(&ticks).enumerate() {
                let time = *now as f64 / TICKS;
                let share = utilization.then(|| share(before?, &ticks, at)).flatten();
                match number {
                    Some(number) => {
                        let attributes =
                            || [("cpu.logical_number", Value::Int(number.into())), ("cpu.mode", text(*mode))];
                        to.host(&TIME, attributes(), time);
                        share.into_iter().for_each(|share| to.host(&UTILIZATION, attributes(), share));
                    }
                    None => {
                        to.host(&TIME, [("cpu.mode", text(*mode))], time);
                        share.into_iter().for_each(|share| to.host(&UTILIZATION, [("cpu.mode", text(*mode))], share));
                    }
                }
            }
            self.before.insert(number, ticks);
        }
    }
}

/// What was read, where it went back a little: as it was before.
fn steady(before: Option<&Ticks>, now: &Ticks) -> Ticks {
    let Some(before) = before else { return now.clone() };
    let back = |now: &u64, before: &u64| before.saturating_sub(*now);
    if now.iter().zip(before).any(|(now, before)| back(now, before) > SLACK) {
        return now.clone();
    }
    let both = now.iter().zip(before).map(|(now, before)| *now.max(before));
    both.chain(now.iter().skip(before.len()).copied()).collect()
}

/// Of the time since `before`, the part that was spent on mode `at`. Nothing where no time passed, or it went back.
fn share(before: &Ticks, now: &Ticks, at: usize) -> Option<f64> {
    let spent: Option<Vec<u64>> = now.iter().zip(before).map(|(now, before)| now.checked_sub(*before)).collect();
    let spent = spent?;
    let all = spent.iter().fold(0_u64, |sum, part| sum.saturating_add(*part));
    (all > 0).then(|| spent.get(at).copied().unwrap_or(0) as f64 / all as f64)
}

/// The file, read and understood; counted where it is not.
pub(crate) fn read(reader: &mut Reader) -> Option<Stat> {
    let stat = parse(&reader.text("processor times", "proc/stat")?);
    if stat.all.is_none() && stat.each.is_empty() {
        reader.failed("processor times", "/proc/stat names no processor");
    }
    Some(stat)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_kernels_old_and_new() {
        let stat = parse(
            "cpu  10 20 30 40 50 1 2 7 9 9 77 new\ncpu0 5 10 15 20 25 0 1 3 0 0\ncpu1 5 10 15 20\ncpux 1 2 3 4\ncpu2 1\n\
             intr 5 0 0\nbtime 1700000000\nprocesses 4321\n",
        );
        assert_eq!(stat.all, Some(vec![10, 20, 30, 40, 50, 3, 7]));
        assert_eq!(stat.each, [(0, vec![5, 10, 15, 20, 25, 1, 3]), (1, vec![5, 10, 15, 20])]);
        assert_eq!((stat.boot, stat.made), (Some(1_700_000_000), Some(4321)));
        assert_eq!(parse(""), Stat::default());
    }

    #[test]
    fn sums_do_not_go_back_a_little_and_shares_add_up() {
        let collect = |cpu: &mut Cpu, line: &str| {
            let mut to = Collection::new(1, None, Vec::new());
            cpu.collect(&parse(line), false, true, &mut to);
            let values = |metric: &str| -> Vec<f64> {
                let of = to.points.iter().filter(|point| point.metric.name == metric);
                of.map(|point| match point.value {
                    crate::point::Number::Float(value) => value,
                    crate::point::Number::Int(value) => value as f64,
                })
                .collect()
            };
            (values("system.cpu.time"), values("system.cpu.utilization"))
        };
        let mut cpu = Cpu::default();
        assert_eq!(collect(&mut cpu, "cpu 100 0 0 1000"), (vec![1.0, 0.0, 0.0, 10.0], vec![]));
        assert_eq!(collect(&mut cpu, "cpu 200 0 0 999"), (vec![2.0, 0.0, 0.0, 10.0], vec![1.0, 0.0, 0.0, 0.0]));
        assert_eq!(collect(&mut cpu, "cpu 300 0 0 1300").1, [0.25, 0.0, 0.0, 0.75]);
        // Put back: a new life.
        assert_eq!(collect(&mut cpu, "cpu 1 0 0 2"), (vec![0.01, 0.0, 0.0, 0.02], vec![]));
    }

    proptest! {
        #[test]
        fn takes_anything(text in r"((cpu|btime|processes|x)[0-9]{0,11}( [0-9]{0,21}| -1| é){0,12}\n){0,5}") {
            let mut to = Collection::new(1, None, Vec::new());
            let mut cpu = Cpu::default();
            cpu.collect(&parse(&text), true, true, &mut to);
            cpu.collect(&parse(&text), true, true, &mut to);
        }
    }
}
