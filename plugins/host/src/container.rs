//! Containers: their cgroups (v2), which runtimes name by the container's id.
//!
//! ```text
//! .../docker-<id>.scope      .../cri-containerd-<id>.scope      .../crio-<id>.scope      .../libpod-<id>.scope      .../<id>
//! ```
//! An id has 64 hexadecimal digits. An agent in a container that sees no others' reports its own, without an id: `/` of
//! its cgroups has a `memory.current`, which the host's has not.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::disk;
use crate::point::{Collection, Metric, Subject, text};
use crate::read::{Reader, numbers};

static CPU_TIME: Metric = Metric::counter("container.cpu.time", "s", "CPU time consumed by mode");
static MEMORY: Metric = Metric::up_down("container.memory.usage", "By", "Memory usage of the container");
static WORKING_SET: Metric =
    Metric::up_down("container.memory.working_set", "By", "Memory usage without what can be dropped at once");
static RSS: Metric = Metric::up_down("container.memory.rss", "By", "Memory that is no file's");
static AVAILABLE: Metric =
    Metric::up_down("container.memory.available", "By", "What is left of the limit beside the working set");
static IO: Metric = Metric::counter("container.disk.io", "By", "Disk bytes of the container");

const ROOT: &str = "sys/fs/cgroup";
/// Folders that are looked at, and how deep.
const MAX_FOLDERS: usize = 50_000;
const MAX_DEPTH: usize = 12;

/// A container's id, and who runs it, of the name of its cgroup.
fn named(name: &str) -> Option<(&str, Option<&str>)> {
    let name = name.strip_suffix(".scope").unwrap_or(name);
    let (runtime, id) = match name.rsplit_once('-') {
        Some((runtime, id)) => (Some(runtime), id),
        None => (None, name),
    };
    let is_id = id.len() == 64 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    // Those who watch over a container have cgroups of its name.
    (is_id && !runtime.is_some_and(|runtime| runtime.ends_with("conmon"))).then_some((id, runtime))
}

/// As the conventions name it.
fn runtime_name(prefix: &str) -> &str {
    match prefix {
        "cri-containerd" => "containerd",
        "crio" => "cri-o",
        "libpod" => "podman",
        other => other,
    }
}

pub(crate) fn collect(reader: &mut Reader, max: usize, to: &mut Collection) {
    let root = Path::new(ROOT);
    if !reader.path(root).join("cgroup.controllers").exists() {
        return reader.failed("containers", "there is no cgroup v2 at /sys/fs/cgroup");
    }
    let mut found = find(reader, root);
    found.sort();
    if found.len() > max {
        reader.too_many("containers", found.len() - max, "`container.max`");
        found.truncate(max);
    }
    let diskstats = reader.try_text("proc/diskstats").unwrap_or_default();
    let disks: HashMap<String, &str> =
        disk::parse(&diskstats).into_iter().map(|disk| (disk.number, disk.name)).collect();
    if found.is_empty() && reader.path(root).join("memory.current").exists() {
        add(reader, root, Subject::HOST, &disks, to);
    }
    for path in found {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let Some((id, runtime)) = named(name) else { continue };
        let mut own = vec![("container.id".to_owned(), text(id))];
        own.extend(runtime.map(|runtime| ("container.runtime.name".to_owned(), text(runtime_name(runtime)))));
        let subject = to.subject(own);
        add(reader, &path, subject, &disks, to);
    }
}

/// Cgroups of containers, as paths below the host's root.
fn find(reader: &mut Reader, root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut seen = 0;
    let mut waiting = vec![(root.to_owned(), 0)];
    while let Some((path, depth)) = waiting.pop() {
        seen += 1;
        if seen > MAX_FOLDERS {
            reader.too_many("containers", 1, "50,000 cgroups");
            break;
        }
        let folder = match std::fs::read_dir(reader.path(&path)) {
            Ok(folder) => folder,
            Err(error) => {
                reader.failed_of_many("containers", &error);
                continue;
            }
        };
        for entry in folder.flatten() {
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            let name = entry.file_name();
            let below = path.join(&name);
            if name.to_str().and_then(named).is_some() {
                found.push(below.clone());
            }
            if depth < MAX_DEPTH {
                waiting.push((below, depth + 1));
            }
        }
    }
    found
}

/// Lines of `name <n>`.
fn parse(stat: &str) -> HashMap<&str, u64> {
    stat.lines()
        .filter_map(|line| line.split_once(' ').and_then(|(name, rest)| Some((name, numbers(rest).next()?))))
        .collect()
}

fn add(reader: &mut Reader, path: &Path, subject: Subject, disks: &HashMap<String, &str>, to: &mut Collection) {
    let start = to.boot;
    let mut file = |name: &str| match reader.try_text(&path.join(name).to_string_lossy()) {
        Ok(text) => Some(text),
        Err(error) => {
            reader.failed_of_many("figures of containers", &error);
            None
        }
    };
    if let Some(cpu) = file("cpu.stat") {
        let values = parse(&cpu);
        for (mode, name) in [("user", "user_usec"), ("system", "system_usec")] {
            let Some(time) = values.get(name) else { continue };
            to.add(&CPU_TIME, subject, start, [("cpu.mode", text(mode))], *time as f64 / 1e6);
        }
    }
    if let Some(usage) = file("memory.current").and_then(|text| numbers(&text).next()) {
        let stat = file("memory.stat").unwrap_or_default();
        let values = parse(&stat);
        let working_set = values.get("inactive_file").map(|inactive| usage.saturating_sub(*inactive));
        // `max`: there is no limit.
        let limit = file("memory.max").and_then(|text| numbers(&text).next());
        let available = limit.zip(working_set).map(|(limit, used)| limit.saturating_sub(used));
        let rss = values.get("anon").copied();
        for (metric, value) in
            [(&MEMORY, Some(usage)), (&WORKING_SET, working_set), (&RSS, rss), (&AVAILABLE, available)]
        {
            value.into_iter().for_each(|value| to.add(metric, subject, start, [], value));
        }
    }
    if let Some(io) = file("io.stat") {
        add_io(&io, subject, disks, to);
    }
}

/// `8:0 rbytes=1 wbytes=2 rios=3 ...`, a line a device.
fn add_io(io: &str, subject: Subject, disks: &HashMap<String, &str>, to: &mut Collection) {
    for line in io.lines() {
        let Some((number, rest)) = line.split_once(' ') else { continue };
        let device = disks.get(number).copied().unwrap_or(number);
        for word in rest.split_ascii_whitespace() {
            let (direction, value) = match word.split_once('=') {
                Some(("rbytes", value)) => ("read", value),
                Some(("wbytes", value)) => ("write", value),
                _ => continue,
            };
            let Ok(value) = value.parse::<u64>() else { continue };
            let attributes = [("system.device", text(device)), ("disk.io.direction", text(direction))];
            to.add(&IO, subject, to.boot, attributes, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn containers_are_known_by_name() {
        let id = "0123456789abcdef".repeat(4);
        for (name, want) in [
            (format!("docker-{id}.scope"), Some(Some("docker"))),
            (format!("cri-containerd-{id}.scope"), Some(Some("cri-containerd"))),
            (id.clone(), Some(None)),
            (format!("crio-conmon-{id}.scope"), None),
            (format!("libpod-conmon-{id}.scope"), None),
            (id.to_uppercase(), None),
            ("system.slice".to_owned(), None),
            ("init.scope".to_owned(), None),
            (format!("x{id}"), None),
        ] {
            assert_eq!(named(&name), want.map(|runtime| (&*id, runtime)), "{name}");
        }
        assert_eq!((runtime_name("crio"), runtime_name("docker")), ("cri-o", "docker"));
    }

    proptest! {
        #[test]
        fn takes_anything(text in r"(([0-9:]{0,4}|usage_usec|é)( (rbytes|wbytes|x)?=?[0-9]{0,21}){0,3}\n){0,4}") {
            let mut to = Collection::new(1, None, Vec::new());
            parse(&text);
            add_io(&text, Subject::HOST, &HashMap::new(), &mut to);
        }
    }
}
