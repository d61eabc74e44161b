//! Filesystems: `mountinfo`, a line a mount, and `statvfs` of each ([`crate::statfs`]).
//!
//! ```text
//! <id> <parent> <major:minor> <root> <mount point> <options> [<tag>...] - <type> <source> <options of the filesystem>
//! ```
//! Blanks, line ends and `\` in paths are written as `\ooo`.

use std::collections::BTreeSet;

use suiro_sdk::lang::TagMatch;

use crate::point::{Collection, Metric, text};
use crate::read::Reader;
use crate::statfs::{Answer, Space, StatFs};

static USAGE: Metric = Metric::up_down("system.filesystem.usage", "By", "Space of a filesystem by state");
static UTILIZATION: Metric =
    Metric::gauge("system.filesystem.utilization", "1", "Share of a filesystem's space that is used");
static LIMIT: Metric = Metric::up_down("system.filesystem.limit", "By", "The total space of a filesystem");
/// The conventions have no name for it yet; this is the collector's of OpenTelemetry.
static INODES: Metric = Metric::up_down("system.filesystem.inodes.usage", "{inode}", "Files of a filesystem by state");

/// Types that hold no files of anybody's.
const PSEUDO: [&str; 26] = [
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "fusectl",
    "hugetlbfs",
    "mqueue",
    "nsfs",
    "proc",
    "pstore",
    "ramfs",
    "rpc_pipefs",
    "rootfs",
    "securityfs",
    "selinuxfs",
    "squashfs",
    "sysfs",
    "tmpfs",
    "tracefs",
    "fuse.lxcfs",
];
/// Mounts that are looked at.
const MAX_MOUNTS: usize = 1000;

/// A mount.
#[derive(Clone, Debug, PartialEq)]
struct Mount {
    device: String,
    point: String,
    kind: String,
    source: String,
    read_only: bool,
}

fn parse(mountinfo: &str) -> Vec<Mount> {
    let lines = mountinfo.lines().filter_map(|line| {
        let (front, back) = line.split_once(" - ")?;
        let mut front = front.split(' ').skip(2);
        let (device, _root, point, options) = (front.next()?, front.next()?, front.next()?, front.next()?);
        let mut back = back.split(' ');
        let (kind, source) = (back.next()?, back.next()?);
        let options = options.split(',').chain(back.next().unwrap_or_default().split(','));
        Some(Mount {
            device: device.to_owned(),
            point: unescape(point),
            kind: kind.to_owned(),
            source: unescape(source),
            read_only: options.into_iter().any(|option| option == "ro"),
        })
    });
    lines.collect()
}

/// `\040` and the like as what they stand for.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        let code = match (first, behind) {
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..]) => {
                Some((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'))
            }
            _ => None,
        };
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &behind[3..] } else { behind };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Those that are wanted, each filesystem once: where it is mounted several times, at the shortest path.
fn choose(mut mounts: Vec<Mount>, wanted: &TagMatch, types: &TagMatch) -> Vec<Mount> {
    let by_default = types.matches_all();
    mounts.retain(|mount| {
        let kind = if by_default {
            // A container's root is an overlay; those of other containers are what their images lie on.
            !PSEUDO.contains(&&*mount.kind) && (mount.kind != "overlay" || mount.point == "/")
        } else {
            types.matches(&mount.kind)
        };
        kind && wanted.matches(&mount.point)
    });
    // What is mounted over another one hides it.
    let mut points = BTreeSet::new();
    mounts.reverse();
    mounts.retain(|mount| points.insert(mount.point.clone()));
    mounts.sort_by_key(|mount| mount.point.len());
    let mut seen = BTreeSet::new();
    mounts.retain(|mount| seen.insert((mount.device.clone(), mount.source.clone())));
    mounts.truncate(MAX_MOUNTS);
    mounts
}

pub(crate) fn collect(
    reader: &mut Reader,
    statfs: &mut StatFs,
    points: &TagMatch,
    types: &TagMatch,
    utilization: bool,
    to: &mut Collection,
) {
    let path = format!("{}/mountinfo", reader.own());
    let Some(mountinfo) = reader.text("filesystems", &path) else { return };
    let mounts = choose(parse(&mountinfo), points, types);
    for mount in mounts {
        match statfs.ask(&mount.point, reader.path(&mount.point)) {
            Answer::Space(space) => add(&mount, space, utilization, to),
            Answer::Failed(error) => reader.failed("a filesystem", &format!("{}: {error}", mount.point)),
            Answer::Stuck => {
                reader.failed("a filesystem", &format!("{} ({}) does not answer", mount.point, mount.kind));
            }
        }
    }
}

fn add(mount: &Mount, space: Space, utilization: bool, to: &mut Collection) {
    let of = || {
        [
            ("system.device", text(&*mount.source)),
            ("system.filesystem.mountpoint", text(&*mount.point)),
            ("system.filesystem.type", text(&*mount.kind)),
            ("system.filesystem.mode", text(if mount.read_only { "ro" } else { "rw" })),
        ]
    };
    let in_state = |state: &str| {
        let [device, point, kind, mode] = of();
        [device, point, kind, mode, ("system.filesystem.state", text(state))]
    };
    let Space { block, blocks, free, available, files, files_free } = space;
    let bytes = |blocks: u64| blocks.saturating_mul(block);
    let used = blocks.saturating_sub(free);
    to.host(&USAGE, in_state("used"), bytes(used));
    to.host(&USAGE, in_state("free"), bytes(available));
    to.host(&USAGE, in_state("reserved"), bytes(free.saturating_sub(available)));
    to.host(&LIMIT, of(), bytes(blocks));
    // As `df` reckons: of what is not reserved.
    let reachable = used.saturating_add(available);
    if utilization && reachable > 0 {
        to.host(&UTILIZATION, of(), used as f64 / reachable as f64);
    }
    // Some have no fixed number of files.
    if files > 0 {
        to.host(&INODES, in_state("used"), files.saturating_sub(files_free));
        to.host(&INODES, in_state("free"), files_free);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tests::shown;

    const MOUNTS: &str = "\
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime shared:1 master:2 - ext4 /dev/vda rw,discard
30 27 254:0 /srv /srv/bind rw - ext4 /dev/vda rw
31 27 8:1 / /mnt/with\\040blank ro,noatime - xfs /dev/sda1 rw
32 27 0:40 / /mnt/nfs rw - nfs4 server:/export rw,vers=4.2
33 27 0:41 / /var/lib/docker/overlay2/x/merged rw - overlay overlay rw
34 27 0:42 / /tmp rw - tmpfs tmpfs rw
odd
35 27
";

    #[test]
    fn each_filesystem_is_taken_once() {
        let all = TagMatch::default();
        let points = |mounts: Vec<Mount>| mounts.into_iter().map(|mount| mount.point).collect::<Vec<_>>();
        assert_eq!(parse(MOUNTS).len(), 7);
        assert_eq!(points(choose(parse(MOUNTS), &all, &all)), ["/", "/mnt/nfs", "/mnt/with blank"]);
        assert_eq!(points(choose(parse(MOUNTS), &all, &TagMatch::parse(["tmpfs"]).unwrap())), ["/tmp"]);
        assert_eq!(points(choose(parse(MOUNTS), &TagMatch::parse(["!/mnt/*"]).unwrap(), &all)), ["/"]);
        assert!(choose(parse(MOUNTS), &all, &all)[2].read_only);
    }

    #[test]
    fn a_filesystem_s_space() {
        let mount = choose(parse(MOUNTS), &TagMatch::default(), &TagMatch::default()).remove(0);
        let space = Space { block: 10, blocks: 100, free: 30, available: 20, files: 7, files_free: 2 };
        let mut to = Collection::new(1, None, Vec::new());
        add(&mount, space, true, &mut to);
        assert_eq!(
            shown(&to),
            [
                "system.filesystem.usage{/dev/vda,/,ext4,rw,used} 700",
                "system.filesystem.usage{/dev/vda,/,ext4,rw,free} 200",
                "system.filesystem.usage{/dev/vda,/,ext4,rw,reserved} 100",
                "system.filesystem.limit{/dev/vda,/,ext4,rw} 1000",
                "system.filesystem.utilization{/dev/vda,/,ext4,rw} 0.7777777777777778",
                "system.filesystem.inodes.usage{/dev/vda,/,ext4,rw,used} 5",
                "system.filesystem.inodes.usage{/dev/vda,/,ext4,rw,free} 2",
            ]
        );
    }

    #[test]
    fn escapes() {
        assert_eq!(unescape(r"/a\040b\134c\011"), "/a b\\c\t");
        assert_eq!(unescape(r"/a\04"), r"/a\04");
        assert_eq!(unescape(r"\777\x"), r"\777\x");
        assert_eq!(unescape(r"/w\303\251"), "/wé");
    }

    proptest! {
        #[test]
        fn takes_anything(text in r"(([0-9:]{1,3}|/[a-z\\0-7é]{0,5}|rw|-| - )( | - ){1}){0,14}") {
            let mounts = parse(&text);
            choose(mounts, &TagMatch::default(), &TagMatch::default());
        }
    }
}
