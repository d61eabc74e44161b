//! Files that are not what was written: cut at every byte, each byte flipped.

use suiro_sdk::ledger::read;

use super::super::frame::{PREFIX, SEGMENT_HEADER};
use super::disk::Disk;
use super::{Input, Rig, segments};

/// A disk with one segment of four frames of two records, and where the frames end in the file.
fn four_frames() -> (Disk, String, Vec<usize>) {
    let disk = Disk::default();
    let mut input = Input::new();
    let mut rig = Rig::open(&disk);
    let mut ends = Vec::new();
    for _ in 0..4 {
        assert!(rig.push(input.part(2, 5)));
        rig.turn();
        ends.push(disk.content(&segments(&disk)[0]).len());
    }
    let name = segments(&disk).remove(0);
    (disk, name, ends)
}

/// Opens, reads everything, and pushes something more: what was delivered of the old, and what was dropped.
fn read_all(disk: &Disk, what: &str) -> (Vec<u64>, u64) {
    let mut rig = Rig::open(disk);
    rig.drain();
    let delivered = rig.delivered();
    assert!(rig.delivered.values().all(|&times| times == 1), "{what}");
    assert_eq!(read(&rig.ledger.recovered), delivered.len() as u64 + rig.dropped(), "{what}");
    let mut input = Input::new();
    input.next = 100;
    assert!(rig.push(input.part(1, 5)), "{what}");
    rig.drain();
    assert!(rig.delivered.contains_key(&100), "{what}: the queue goes on");
    rig.assert_empty();
    let dropped = rig.dropped();
    // A second start finds nothing of it.
    let mut again = Rig::open(disk);
    again.drain();
    assert!(again.delivered.is_empty(), "{what}: {:?}", again.delivered);
    assert_eq!(again.dropped(), 0, "{what}");
    (delivered, dropped)
}

#[test]
fn a_file_cut_anywhere_gives_what_is_whole() {
    let (disk, name, ends) = four_frames();
    let content = disk.content(&name);
    for len in 0..=content.len() {
        let disk = Disk::default();
        disk.set_content(&name, content[..len].to_vec());
        let whole = ends.iter().filter(|&&end| end <= len).count() as u64;
        let (delivered, dropped) = read_all(&disk, &format!("cut to {len} bytes"));
        assert_eq!(delivered, (0..whole * 2).collect::<Vec<_>>(), "cut to {len} bytes");
        assert_eq!(dropped, 0, "cut to {len} bytes");
    }
}

#[test]
fn a_flipped_byte_costs_its_frame_or_what_follows() {
    let (disk, name, ends) = four_frames();
    let content = disk.content(&name);
    for at in 0..content.len() {
        for mask in [1, 0x80, 0xff] {
            let what = format!("byte {at} flipped with {mask:#x}");
            let mut bad = content.clone();
            bad[at] ^= mask;
            let disk = Disk::default();
            disk.set_content(&name, bad);
            let frame = ends.iter().filter(|&&end| end <= at).count() as u64;
            let start = ends[..frame as usize].last().copied().unwrap_or(SEGMENT_HEADER as usize);
            let (delivered, dropped) = read_all(&disk, &what);
            let names = disk.names();
            if at < SEGMENT_HEADER as usize || at < start + PREFIX {
                let before = if at < SEGMENT_HEADER as usize { 0 } else { frame };
                assert_eq!(delivered, (0..before * 2).collect::<Vec<_>>(), "{what}");
                assert_eq!(dropped, 0, "{what}: nobody knows how many");
                assert!(names.contains(&format!("{name}.corrupt")), "{what}: {names:?}");
            } else {
                let rest: Vec<u64> = (0..8).filter(|n| n / 2 != frame).collect();
                assert_eq!(delivered, rest, "{what}");
                assert_eq!(dropped, 2, "{what}: its prefix says how many");
                assert_eq!(disk.content("quarantine").len(), ends[frame as usize] - start, "{what}");
            }
        }
    }
}

#[test]
fn damage_to_what_this_run_wrote_is_counted_exactly() {
    for (flip, lost) in [(0, 6), (PREFIX + 3, 2)] {
        let disk = Disk::default();
        let mut input = Input::new();
        let mut rig = Rig::open(&disk);
        let mut start = 0;
        for i in 0..4 {
            assert!(rig.push(input.part(2, 5)));
            rig.turn();
            if i == 0 {
                start = disk.content(&segments(&disk)[0]).len();
            }
        }
        let name = segments(&disk).remove(0);
        let first = rig.pop().expect("the first frame");
        let mut bad = disk.content(&name);
        bad[start + flip] ^= 1;
        // In place: the segment is open, and still written to.
        let mut file = super::super::fs::Fs::open(&disk, &name, false).expect("it is there");
        file.write_at(&bad, 0).expect("written");
        assert!(rig.pop().is_some() == (lost == 2));
        assert_eq!(rig.dropped(), lost, "flipped {flip}");
        assert!(rig.push(input.part(2, 5)));
        rig.deliver(first);
        rig.drain();
        assert!(rig.delivered.contains_key(&8) && rig.delivered.contains_key(&9), "{:?}", rig.delivered);
        assert_eq!(rig.dropped(), lost);
    }
}

#[test]
fn a_damaged_state_delivers_again_and_loses_nothing() {
    let (disk, name, _) = four_frames();
    let segment = disk.content(&name);
    let state = disk.content("state");
    assert_eq!(state.len(), 8192);
    for at in (0..80).chain(4096..4176) {
        let mut bad = state.clone();
        bad[at] ^= 0x10;
        let disk = Disk::default();
        disk.set_content("state", bad);
        disk.set_content(&name, segment.clone());
        let (delivered, dropped) = read_all(&disk, &format!("byte {at} of the state flipped"));
        assert_eq!((delivered, dropped), ((0..8).collect(), 0), "byte {at} of the state flipped");
    }
}

#[test]
fn strange_files_are_left_alone() {
    let (disk, name, _) = four_frames();
    for strange in ["notes.txt", "zz.seg", "ffffffffffffffff.seg", "lock"] {
        disk.set_content(strange, b"not ours".to_vec());
    }
    // Nothing but a header that is none, far behind all others.
    disk.set_content("0000000000100000.seg", vec![0; 100]);
    let mut rig = Rig::open(&disk);
    rig.drain();
    assert_eq!(rig.delivered(), (0..8).collect::<Vec<_>>());
    rig.assert_empty();
    for strange in ["notes.txt", "zz.seg", "ffffffffffffffff.seg", "lock"] {
        assert_eq!(disk.content(strange), b"not ours", "{strange}");
    }
    assert!(!disk.names().contains(&name));
    assert!(disk.names().contains(&"0000000000100000.seg.corrupt".to_owned()));
}

#[test]
fn the_quarantine_is_bounded() {
    let (disk, name, _) = four_frames();
    disk.set_content("0000000000000000.seg.corrupt", vec![0; 1 << 20]);
    let mut bad = disk.content(&name);
    bad[0] ^= 1;
    disk.set_content(&name, bad);
    Rig::open(&disk).drain();
    let names = disk.names();
    assert!(!names.contains(&name), "{names:?}");
    assert_eq!(names.iter().filter(|name| name.ends_with(".corrupt")).count(), 1, "{names:?}");
}
