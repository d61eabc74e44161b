//! The settings of the input.

use std::path::PathBuf;
use std::time::Duration;

use suiro_sdk::lang::TagMatch;
use suiro_sdk::settings::{Reported, Section};

/// What can be collected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Cpu,
    Memory,
    Disk,
    Filesystem,
    Network,
    Load,
    Process,
    Container,
}

/// The settings, checked.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) interval: Duration,
    pub(crate) parts: Vec<Part>,
    /// Where the host's root is: `/`, or where it is mounted in a container.
    pub(crate) root: PathBuf,
    pub(crate) host_name: Option<String>,
    /// Shares as well as amounts.
    pub(crate) utilization: bool,
    /// Each processor by itself.
    pub(crate) per_cpu: bool,
    pub(crate) devices: Option<TagMatch>,
    pub(crate) interfaces: TagMatch,
    pub(crate) mounts: TagMatch,
    pub(crate) types: TagMatch,
    pub(crate) processes: TagMatch,
    pub(crate) max_processes: usize,
    pub(crate) max_containers: usize,
}

/// Every part by name.
const PARTS: [(&str, Part); 8] = [
    ("cpu", Part::Cpu),
    ("memory", Part::Memory),
    ("disk", Part::Disk),
    ("filesystem", Part::Filesystem),
    ("network", Part::Network),
    ("load", Part::Load),
    ("process", Part::Process),
    ("container", Part::Container),
];
/// Without being asked for: what does not grow with what runs.
const DEFAULT: [Part; 6] = [Part::Cpu, Part::Memory, Part::Disk, Part::Filesystem, Part::Network, Part::Load];

/// Interfaces of containers have names that come and go, and the loopback goes nowhere.
const INTERFACES: [&str; 5] = ["!lo", "!veth*", "!cali*", "!lxc*", "!cni*"];
/// Mounts of containers come and go as well.
const MOUNTS: [&str; 5] =
    ["!/var/lib/docker/*", "!/var/lib/containerd/*", "!/var/lib/containers/*", "!/run/*", "!/var/lib/kubelet/pods/*"];

// === impl Settings ===

impl Settings {
    /// Reads them.
    pub(crate) fn read(section: &Section) -> Result<Settings, Reported> {
        let interval = section.within("interval", Duration::from_millis(100)..=Duration::from_secs(24 * 3600));
        let parts = section.value("collect").map(|value| {
            let parts: Result<Vec<Part>, Reported> = value.one_or_many().iter().map(|one| one.choice(&PARTS)).collect();
            match parts {
                Ok(parts) if parts.is_empty() => Err(value.error("`collect` is empty", "leave it out for the default")),
                parts => parts,
            }
        });
        let root = section.get::<PathBuf>("root");
        let host_name = section.get::<String>("host_name");
        let utilization = section.flag("utilization");
        let per_cpu = section.get("per_cpu").unwrap_or(true);
        let disk = section.section_or_empty("disk");
        let devices = disk.has("match").then(|| disk.get::<TagMatch>("match").unwrap_or_default());
        let network = section.section_or_empty("network");
        let interfaces = globs(&network, "match", &INTERFACES);
        let filesystem = section.section_or_empty("filesystem");
        let mounts = globs(&filesystem, "match", &MOUNTS);
        let types = globs(&filesystem, "types", &[]);
        let process = section.section_or_empty("process");
        let processes = globs(&process, "match", &[]);
        let max_processes = process.within("max", 1..=10_000_u64).unwrap_or(100);
        let container = section.section_or_empty("container");
        let max_containers = container.within("max", 1..=10_000_u64).unwrap_or(500);
        let parts = parts.unwrap_or_else(|| Ok(DEFAULT.to_vec()));
        if let Ok(parts) = &parts {
            let tables = [
                ("disk", Part::Disk),
                ("network", Part::Network),
                ("filesystem", Part::Filesystem),
                ("process", Part::Process),
                ("container", Part::Container),
            ];
            for (name, _) in tables.iter().filter(|(name, part)| section.has(name) && !parts.contains(part)) {
                let message = format!("`{name}` is set, and not collected");
                section.error_at(name, message, format!("add \"{name}\" to `collect`"));
            }
        }
        section.finish()?;
        Ok(Settings {
            interval: interval.unwrap_or(Duration::from_secs(10)),
            parts: parts?,
            root: root.unwrap_or_else(|| "/".into()),
            host_name,
            utilization,
            per_cpu,
            devices,
            interfaces,
            mounts,
            types,
            processes,
            max_processes: usize::try_from(max_processes).unwrap_or(usize::MAX),
            max_containers: usize::try_from(max_containers).unwrap_or(usize::MAX),
        })
    }
}

/// Globs, as `match` of a block has them.
fn globs(section: &Section, key: &str, default: &[&str]) -> TagMatch {
    section.get(key).unwrap_or_else(|| TagMatch::parse(default.iter().copied()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Settings, String> {
        let (section, diagnostics) = Section::from_text("[[input]] host", text);
        Settings::read(&section).map_err(|_| diagnostics.render(false))
    }

    #[test]
    fn defaults_and_all_of_it() {
        let settings = read("").unwrap();
        assert_eq!((settings.interval, settings.parts), (Duration::from_secs(10), DEFAULT.to_vec()));
        assert!(settings.interfaces.matches("eth0") && !settings.interfaces.matches("veth1"));
        assert!(settings.mounts.matches("/var") && !settings.mounts.matches("/run/lock"));
        let settings = read(
            "interval = '1m'\ncollect = ['process', 'disk']\nroot = '/host'\nutilization = true\nper_cpu = false\n\
             process = { match = ['nginx*', '!nginx-x'], max = 5 }\ndisk = { match = 'sd*' }\nhost_name = 'a'",
        )
        .unwrap();
        assert_eq!((settings.parts, settings.max_processes), (vec![Part::Process, Part::Disk], 5));
        assert!(settings.processes.matches("nginx") && !settings.processes.matches("nginx-x"));
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, says) in [
            ("collect = ['cpus']", "cpu"),
            ("collect = []", "empty"),
            ("interval = '1ms'", "interval"),
            ("process = { match = ['a'] }", "add \"process\" to `collect`"),
            ("collect = ['process']\nprocess = { max = 0 }", "max"),
            ("disk = { devices = ['a'] }", "devices"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
