//! Memory: `/proc/meminfo`, lines of `Name: <n> kB`, and `/proc/vmstat`, lines of `name <n>`.

use std::collections::HashMap;

use crate::point::{Collection, Metric, text};
use crate::read::{Reader, numbers};

static USAGE: Metric = Metric::up_down("system.memory.usage", "By", "Memory in use by state");
static UTILIZATION: Metric = Metric::gauge("system.memory.utilization", "1", "Share of memory in use by state");
static LIMIT: Metric = Metric::up_down("system.memory.limit", "By", "Total memory of the system");
static AVAILABLE: Metric = Metric::up_down(
    "system.memory.linux.available",
    "By",
    "Estimate of memory that new programs can have without swapping",
);
static SHARED: Metric = Metric::up_down("system.memory.linux.shared", "By", "Shared memory, mostly of tmpfs");
static SLAB: Metric = Metric::up_down("system.memory.linux.slab.usage", "By", "Caches of the kernel's own objects");
static SWAP: Metric = Metric::up_down("system.paging.usage", "By", "Swap in use");
static SWAP_SHARE: Metric = Metric::gauge("system.paging.utilization", "1", "Share of swap in use");
static FAULTS: Metric = Metric::counter("system.paging.faults", "{fault}", "Page faults");
static OPERATIONS: Metric = Metric::counter("system.paging.operations", "{operation}", "Pages swapped");

/// Values by name; of `meminfo` in bytes.
type Values<'a> = HashMap<&'a str, u64>;

fn parse_meminfo(text: &str) -> Values<'_> {
    let lines = text.lines().filter_map(|line| {
        let (name, rest) = line.split_once(':')?;
        let value = numbers(rest).next()?;
        // Those without a unit are numbers of pages and are not asked for.
        Some((name, if rest.ends_with("kB") { value.saturating_mul(1024) } else { value }))
    });
    lines.collect()
}

fn parse_vmstat(text: &str) -> Values<'_> {
    let lines = text.lines().filter_map(|line| {
        let (name, rest) = line.split_once(' ')?;
        Some((name, numbers(rest).next()?))
    });
    lines.collect()
}

pub(crate) fn collect(reader: &mut Reader, utilization: bool, to: &mut Collection) {
    if let Some(meminfo) = reader.text("memory", "proc/meminfo") {
        let values = parse_meminfo(&meminfo);
        if !values.contains_key("MemTotal") {
            reader.failed("memory", "/proc/meminfo has no MemTotal");
        }
        of_meminfo(&values, utilization, to);
    }
    if let Some(vmstat) = reader.text("paging", "proc/vmstat") {
        of_vmstat(&parse_vmstat(&vmstat), to);
    }
}

fn of_meminfo(values: &Values<'_>, utilization: bool, to: &mut Collection) {
    let get = |name: &str| values.get(name).copied();
    let (total, free, buffers, cached) = (get("MemTotal"), get("MemFree"), get("Buffers"), get("Cached"));
    let reclaimable = get("SReclaimable");
    // Kernels before 3.14 make no estimate of what is available.
    let unused = get("MemAvailable").or_else(|| {
        Some(free?.saturating_add(buffers?).saturating_add(cached?).saturating_add(reclaimable.unwrap_or(0)))
    });
    let used = total.zip(unused).map(|(total, unused)| total.saturating_sub(unused));
    for (state, value) in [("used", used), ("free", free), ("buffers", buffers), ("cached", cached)] {
        let Some(value) = value else { continue };
        to.host(&USAGE, [("system.memory.state", text(state))], value);
        if let Some(total) = total.filter(|total| utilization && *total > 0) {
            to.host(&UTILIZATION, [("system.memory.state", text(state))], value as f64 / total as f64);
        }
    }
    for (metric, value) in [(&LIMIT, total), (&AVAILABLE, get("MemAvailable")), (&SHARED, get("Shmem"))] {
        value.into_iter().for_each(|value| to.host(metric, [], value));
    }
    for (state, value) in [("reclaimable", reclaimable), ("unreclaimable", get("SUnreclaim"))] {
        value.into_iter().for_each(|value| to.host(&SLAB, [("system.memory.linux.slab.state", text(state))], value));
    }
    if let Some((total, free)) = get("SwapTotal").zip(get("SwapFree")) {
        for (state, value) in [("used", total.saturating_sub(free)), ("free", free)] {
            to.host(&SWAP, [("system.paging.state", text(state))], value);
            if utilization && total > 0 {
                to.host(&SWAP_SHARE, [("system.paging.state", text(state))], value as f64 / total as f64);
            }
        }
    }
}

fn of_vmstat(values: &Values<'_>, to: &mut Collection) {
    let get = |name: &str| values.get(name).copied();
    let major = get("pgmajfault");
    // `pgfault` counts both.
    let minor = get("pgfault").zip(major).map(|(all, major)| all.saturating_sub(major));
    for (kind, value) in [("major", major), ("minor", minor)] {
        value.into_iter().for_each(|value| to.host(&FAULTS, [("system.paging.fault.type", text(kind))], value));
    }
    for (direction, value) in [("in", get("pswpin")), ("out", get("pswpout"))] {
        let Some(value) = value else { continue };
        let attributes = [("system.paging.fault.type", text("major")), ("system.paging.direction", text(direction))];
        to.host(&OPERATIONS, attributes, value);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tests::shown;

    fn of(meminfo: &str) -> Vec<String> {
        let mut to = Collection::new(1, None, Vec::new());
        of_meminfo(&parse_meminfo(meminfo), true, &mut to);
        shown(&to)
    }

    #[test]
    fn used_is_what_is_not_available() {
        let points =
            of("MemTotal: 100 kB\nMemFree: 10 kB\nMemAvailable:  60 kB\nBuffers: 5 kB\nCached: 20 kB\nNew_One: 7 kB\n\
                         Shmem: 1 kB\nSReclaimable: 3 kB\nHugePages_Total: 5\nSwapTotal: 0 kB\nSwapFree: 0 kB\n");
        for point in [
            "system.memory.usage{used} 40960",
            "system.memory.usage{free} 10240",
            "system.memory.utilization{used} 0.4",
            "system.memory.limit 102400",
            "system.memory.linux.available 61440",
            "system.memory.linux.slab.usage{reclaimable} 3072",
            "system.paging.usage{used} 0",
        ] {
            assert!(points.iter().any(|shown| shown == point), "{point}: {points:#?}");
        }
        assert!(!points.iter().any(|shown| shown.starts_with("system.paging.utilization")), "there is no swap");
    }

    #[test]
    fn an_old_kernel_does_not_say_what_is_available() {
        let points = of("MemTotal: 100 kB\nMemFree: 10 kB\nBuffers: 5 kB\nCached: 20 kB\n");
        assert!(points.contains(&"system.memory.usage{used} 66560".to_owned()), "{points:?}");
        assert!(!points.iter().any(|shown| shown.contains("available")));
        assert!(of("").is_empty());
    }

    #[test]
    fn faults() {
        let mut to = Collection::new(1, None, Vec::new());
        of_vmstat(&parse_vmstat("pgfault 100\npgmajfault 7\npswpin 1\nodd\npswpout x\n"), &mut to);
        let points = shown(&to);
        assert_eq!(
            points,
            ["system.paging.faults{major} 7", "system.paging.faults{minor} 93", "system.paging.operations{major,in} 1"]
        );
    }

    proptest! {
        #[test]
        fn takes_anything(text in r"((MemTotal|MemFree|MemAvailable|SwapTotal|SwapFree|pgfault|pgmajfault)(:| )( ?[0-9]{0,21}| kB|é){0,3}\n){0,8}") {
            let mut to = Collection::new(1, None, Vec::new());
            of_meminfo(&parse_meminfo(&text), true, &mut to);
            of_vmstat(&parse_vmstat(&text), &mut to);
        }
    }
}
