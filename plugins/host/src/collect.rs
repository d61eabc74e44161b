//! A collection: each part in its turn, with one look at the clock.

use std::sync::Arc;

use suiro_record::Attributes;
use suiro_sdk::ledger::InputLedger;
use suiro_sdk::time;

use crate::cpu::Cpu;
use crate::point::{Collection, text};
use crate::read::Reader;
use crate::settings::{Part, Settings};
use crate::statfs::StatFs;
use crate::{container, cpu, disk, filesystem, load, memory, network, process};

const SECOND: i64 = 1_000_000_000;

/// Collects.
pub(crate) struct Collector {
    settings: Settings,
    reader: Reader,
    cpu: Cpu,
    statfs: StatFs,
    host: Attributes,
    /// When the host was started, in nanoseconds since the epoch: read once, since it is reckoned back from the clock, and
    /// a clock that is set would make all sums begin anew.
    boot: Option<i64>,
    /// Bytes of a page.
    page: u64,
}

// === impl Collector ===

impl Collector {
    pub(crate) fn new(name: Arc<str>, settings: Settings, ledger: Arc<InputLedger>) -> Collector {
        let reader = Reader::new(name, settings.root.clone(), ledger);
        let host = host(&reader, settings.host_name.as_deref());
        let page = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok().flatten();
        let page = page.and_then(|page| u64::try_from(page).ok()).unwrap_or(4096);
        Collector { settings, reader, cpu: Cpu::default(), statfs: StatFs::new(), host, boot: None, page }
    }

    pub(crate) fn collect(&mut self) -> Collection {
        let Collector { settings, reader, .. } = self;
        let now = time::now();
        let stat = cpu::read(reader);
        if self.boot.is_none() {
            let seconds = stat.as_ref().and_then(|stat| i64::try_from(stat.boot?).ok());
            self.boot = seconds.and_then(|seconds| seconds.checked_mul(SECOND));
        }
        let mut to = Collection::new(now, self.boot, self.host.clone());
        for part in &settings.parts {
            match part {
                Part::Cpu => {
                    if let Some(stat) = &stat {
                        self.cpu.collect(stat, settings.per_cpu, settings.utilization, &mut to);
                    }
                }
                Part::Memory => memory::collect(reader, settings.utilization, &mut to),
                Part::Disk => disk::collect(reader, settings.devices.as_ref(), &mut to),
                Part::Filesystem => filesystem::collect(
                    reader,
                    &mut self.statfs,
                    &settings.mounts,
                    &settings.types,
                    settings.utilization,
                    &mut to,
                ),
                Part::Network => network::collect(reader, &settings.interfaces, &mut to),
                Part::Load => load::collect(reader, stat.as_ref(), &mut to),
                Part::Process => {
                    process::collect(reader, &settings.processes, settings.max_processes, self.page, &mut to);
                }
                Part::Container => container::collect(reader, settings.max_containers, &mut to),
            }
        }
        if to.left_out > 0 {
            reader.too_many("points", to.left_out, "a collection has room for");
        }
        to
    }
}

/// The host, as a resource.
fn host(reader: &Reader, name: Option<&str>) -> Attributes {
    // In a container the kernel tells the container's name, and the host's is in a file of the host's.
    let files = ["etc/hostname", "proc/sys/kernel/hostname"];
    let files = if reader.is_elsewhere() { &files[..] } else { &files[1..] };
    let told = || files.iter().find_map(|file| reader.try_text(file).ok()).map(|name| name.trim().to_owned());
    let name = name.map(str::to_owned).or_else(told).filter(|name| !name.is_empty());
    let arch = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "arm" => "arm32",
        "powerpc64" => "ppc64",
        other => other,
    };
    let name = name.map(|name| ("host.name".to_owned(), text(name)));
    let rest = [("host.arch".to_owned(), text(arch)), ("os.type".to_owned(), text("linux"))];
    name.into_iter().chain(rest).collect()
}
