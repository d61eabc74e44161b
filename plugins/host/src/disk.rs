//! Disks: `/proc/diskstats`, a line a device:
//!
//! ```text
//! <major> <minor> <name> <reads> <merged> <sectors> <ms> <writes> <merged> <sectors> <ms> <under way> <ms> ...
//! ```
//! A sector is 512 bytes, whatever the device's are. Partitions are left out unless they are asked for: what they do, their
//! disk does.

use suiro_sdk::lang::TagMatch;

use crate::point::{Collection, Metric, text};
use crate::read::Reader;

static IO: Metric = Metric::counter("system.disk.io", "By", "Disk bytes transferred");
static OPERATIONS: Metric = Metric::counter("system.disk.operations", "{operation}", "Disk operations");
static OPERATION_TIME: Metric =
    Metric::counter("system.disk.operation_time", "s", "Sum of the time each operation took to complete");
static MERGED: Metric = Metric::counter(
    "system.disk.merged",
    "{operation}",
    "Operations that were merged into others before they were made",
);
static IO_TIME: Metric = Metric::counter("system.disk.io_time", "s", "Time in which the disk had something to do");

const SECTOR: u64 = 512;

/// A device.
#[derive(Debug, PartialEq)]
pub(crate) struct Disk<'a> {
    /// `8:0`
    pub(crate) number: String,
    pub(crate) name: &'a str,
    read: Done,
    write: Done,
    busy_ms: u64,
}

#[derive(Debug, PartialEq)]
struct Done {
    operations: u64,
    merged: u64,
    sectors: u64,
    ms: u64,
}

/// Devices, but for those in which columns are missing.
pub(crate) fn parse(diskstats: &str) -> Vec<Disk<'_>> {
    let lines = diskstats.lines().filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let (major, minor, name) = (words.next()?, words.next()?, words.next()?);
        let columns: Vec<u64> = words.map_while(|word| word.parse().ok()).collect();
        let [
            reads,
            reads_merged,
            read_sectors,
            read_ms,
            writes,
            writes_merged,
            write_sectors,
            write_ms,
            _,
            busy_ms,
            ..,
        ] = *columns.as_slice()
        else {
            return None;
        };
        Some(Disk {
            number: format!("{major}:{minor}"),
            name,
            read: Done { operations: reads, merged: reads_merged, sectors: read_sectors, ms: read_ms },
            write: Done { operations: writes, merged: writes_merged, sectors: write_sectors, ms: write_ms },
            busy_ms,
        })
    });
    lines.collect()
}

pub(crate) fn collect(reader: &mut Reader, wanted: Option<&TagMatch>, to: &mut Collection) {
    let Some(diskstats) = reader.text("disks", "proc/diskstats") else { return };
    for disk in parse(&diskstats) {
        let takes = match wanted {
            Some(wanted) => wanted.matches(disk.name),
            None => !is_made_up(disk.name) && !is_partition(reader, disk.name),
        };
        if takes {
            add(&disk, to);
        }
    }
}

/// Disks that are files, or memory.
fn is_made_up(name: &str) -> bool {
    ["loop", "ram", "zram", "fd", "sr"]
        .iter()
        .any(|kind| name.strip_prefix(kind).is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit())))
}

/// Whether `/sys` knows it, and not as a disk.
fn is_partition(reader: &Reader, name: &str) -> bool {
    let name = name.replace('/', "!");
    reader.path("sys/class/block").join(&name).exists() && !reader.path("sys/block").join(&name).exists()
}

fn add(disk: &Disk<'_>, to: &mut Collection) {
    let device = || ("system.device", text(disk.name));
    for (direction, done) in [("read", &disk.read), ("write", &disk.write)] {
        let attributes = || [device(), ("disk.io.direction", text(direction))];
        to.host(&IO, attributes(), done.sectors.saturating_mul(SECTOR));
        to.host(&OPERATIONS, attributes(), done.operations);
        to.host(&OPERATION_TIME, attributes(), done.ms as f64 / 1000.0);
        to.host(&MERGED, attributes(), done.merged);
    }
    to.host(&IO_TIME, [device()], disk.busy_ms as f64 / 1000.0);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tests::shown;

    #[test]
    fn reads_kernels_old_and_new() {
        let text = "   8       0 sda 10 1 100 2000 20 2 200 4000 0 3000 6000 1 2 3 4 5 6\n\
                    \x20  8       1 sda1 1 2 3 4\n   7 0 7 1 1 1 1 1 1 1 1 0 1 1\n 253 0 dm-0 1 1 1 1 1 1 1 1 0 1 1\nx\n";
        let disks = parse(text);
        assert_eq!(disks.iter().map(|disk| disk.name).collect::<Vec<_>>(), ["sda", "7", "dm-0"]);
        assert_eq!((disks[1].read.operations, &*disks[1].number), (1, "7:0"));
        let mut to = Collection::new(1, None, Vec::new());
        add(&disks[0], &mut to);
        assert_eq!(
            shown(&to),
            [
                "system.disk.io{sda,read} 51200",
                "system.disk.operations{sda,read} 10",
                "system.disk.operation_time{sda,read} 2.0",
                "system.disk.merged{sda,read} 1",
                "system.disk.io{sda,write} 102400",
                "system.disk.operations{sda,write} 20",
                "system.disk.operation_time{sda,write} 4.0",
                "system.disk.merged{sda,write} 2",
                "system.disk.io_time{sda} 3.0",
            ]
        );
    }

    #[test]
    fn disks_that_are_none_are_told_apart() {
        assert!(is_made_up("loop0") && is_made_up("zram1") && is_made_up("sr0"));
        assert!(!is_made_up("sda") && !is_made_up("ramdisk") && !is_made_up("loopy"));
    }

    proptest! {
        #[test]
        fn takes_anything(text in r"(( ?[0-9]{0,21}| [a-z/é]{0,3}){0,16}\n){0,4}") {
            let mut to = Collection::new(1, None, Vec::new());
            parse(&text).iter().for_each(|disk| add(disk, &mut to));
        }
    }
}
