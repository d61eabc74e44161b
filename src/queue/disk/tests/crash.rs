//! What is acknowledged survives: the disk fails, or the agent dies, at every single operation.

use std::io::ErrorKind;
use std::time::Duration;

use suiro_sdk::ledger::read;

use super::super::state::StateFile;
use super::disk::{Crash, Disk, Fault};
use super::{Input, Rig, segments};
use crate::queue::{DiskSetup, Fsync, Queued};

/// Small segments: with three frames to each, all there is to do happens often.
fn small(fsync: Fsync) -> impl Fn(&mut DiskSetup) {
    move |setup| {
        setup.max_size = 64 << 10;
        setup.fsync = fsync;
    }
}

/// A day in the life of a queue. Gives what is still under way at the end, and is otherwise the same every time.
fn live(rig: &mut Rig, input: &mut Input) -> Vec<Queued> {
    let mut under_way = Vec::new();
    for round in 0..12 {
        for _ in 0..2 {
            if rig.push(input.part(1 + round % 3, 700)) {
                rig.turn();
            }
        }
        rig.turn_after(Duration::from_millis(60));
        while let Some(queued) = rig.pop() {
            under_way.push(queued);
        }
        // The newest of what is under way is answered first, and one stays for ever.
        while under_way.len() > 2 {
            let last = under_way.pop().into_iter().chain(under_way.drain(1..2)).collect::<Vec<_>>();
            last.into_iter().for_each(|queued| rig.deliver(queued));
        }
        rig.turn_after(Duration::from_millis(10));
        if round == 7 {
            under_way.drain(..).for_each(|queued| rig.deliver(queued));
        }
        // So that trouble is over before the next round.
        rig.turn_after(Duration::from_millis(1100));
    }
    under_way
}

/// Everything that was acknowledged was delivered before the crash or is after it, and the queue goes on.
fn assert_recovers(before: &Rig, input: &Input, disk: &Disk, what: &str) {
    let mut after = Rig::with(disk, small(Fsync::Batch));
    let mut fresh = Input::new();
    fresh.next = 1_000_000;
    after.drain();
    let part = fresh.part(3, 10);
    assert!(after.push(part), "{what}");
    after.drain();
    for n in input.acknowledged() {
        let there = before.delivered.contains_key(&n) || after.delivered.contains_key(&n);
        assert!(there, "{what}: record {n} was acknowledged and is lost");
    }
    for n in 1_000_000..1_000_003 {
        assert_eq!(after.delivered.get(&n), Some(&1), "{what}: fresh records flow");
    }
    assert_eq!(after.dropped(), 0, "{what}");
    after.assert_empty();
    assert!(segments(disk).len() <= 1, "{what}: settled segments are removed");
}

/// Operations of an undisturbed life.
fn operations(fsync: Fsync) -> usize {
    let disk = Disk::default();
    let mut rig = Rig::with(&disk, small(fsync));
    live(&mut rig, &mut Input::new());
    disk.ops()
}

#[test]
fn nothing_acknowledged_is_lost_wherever_the_agent_dies() {
    for fsync in [Fsync::Batch, Fsync::Interval] {
        let operations = operations(fsync);
        assert!(operations > 100, "{operations}");
        for at in 0..operations {
            for crash in [Crash::Kill, Crash::Power, Crash::PowerKeepsNames] {
                let disk = Disk::default();
                disk.fail(at, Fault::Death);
                let mut input = Input::new();
                let Some(mut rig) = Rig::try_with(&disk, small(fsync)) else { continue };
                live(&mut rig, &mut input);
                let what = format!("{fsync:?}, {crash:?} at operation {at}");
                assert_recovers(&rig, &input, &disk.crash(crash), &what);
            }
        }
    }
}

#[test]
fn without_fsync_a_kill_loses_nothing() {
    for at in 0..operations(Fsync::Never) {
        let disk = Disk::default();
        disk.fail(at, Fault::Death);
        let mut input = Input::new();
        let Some(mut rig) = Rig::try_with(&disk, small(Fsync::Never)) else { continue };
        live(&mut rig, &mut input);
        assert_recovers(&rig, &input, &disk.crash(Crash::Kill), &format!("killed at operation {at}"));
    }
}

#[test]
fn a_failure_anywhere_loses_and_doubles_nothing() {
    let faults = [
        Fault::Error(ErrorKind::StorageFull),
        Fault::Error(ErrorKind::ReadOnlyFilesystem),
        Fault::Half(ErrorKind::StorageFull),
        Fault::Short,
    ];
    for fsync in [Fsync::Batch, Fsync::Interval, Fsync::Never] {
        for at in 0..operations(fsync) {
            for fault in faults {
                let what = format!("{fsync:?}, {fault:?} at operation {at}");
                let disk = Disk::default();
                disk.fail(at, fault);
                let mut input = Input::new();
                let Some(mut rig) = Rig::try_with(&disk, small(fsync)) else { continue };
                let under_way = live(&mut rig, &mut input);
                under_way.into_iter().for_each(|queued| rig.deliver(queued));
                rig.drain();
                let pushed = read(&rig.ledger.routed);
                assert_eq!(rig.delivered.len() as u64, pushed, "{what}");
                assert!(rig.delivered.values().all(|&times| times == 1), "{what}: {:?}", rig.delivered);
                assert!(rig.popped.is_sorted(), "{what}: in order");
                assert_eq!(rig.dropped(), 0, "{what}");
                assert!(rig.health.troubles().is_empty(), "{what}: {:?}", rig.health.troubles());
                rig.assert_empty();
                assert_eq!(input.acknowledged().len() as u64, input.next, "{what}");
            }
        }
    }
}

/// After a failed fsync the pages count as clean: asked again, the system says all is well.
#[test]
fn after_a_failed_fsync_frames_are_written_elsewhere() {
    for at in 0..operations(Fsync::Batch) {
        let disk = Disk::default();
        disk.fail(at, Fault::Error(ErrorKind::Other));
        let mut input = Input::new();
        let Some(mut rig) = Rig::try_with(&disk, small(Fsync::Batch)) else { continue };
        live(&mut rig, &mut input);
        let what = format!("an I/O error at operation {at}, then a power loss");
        assert_recovers(&rig, &input, &disk.crash(Crash::Power), &what);
    }
}

#[test]
fn what_a_failed_segment_holds_beyond_its_end_is_not_read() {
    let disk = Disk::default();
    let mut input = Input::new();
    let mut rig = Rig::open(&disk);
    assert!(rig.push(input.part(2, 10)));
    rig.turn();
    let syncs = |disk: &Disk| disk.log().iter().filter(|op| op.starts_with("sync 0")).count();
    assert_eq!(syncs(&disk), 1);
    // The next operations are a write and its sync.
    disk.fail(disk.ops() + 1, Fault::Error(ErrorKind::Other));
    assert!(rig.push(input.part(2, 10)));
    rig.turn();
    assert_eq!((syncs(&disk), input.acknowledged().len()), (2, 2));
    rig.turn_after(Duration::from_secs(1));
    assert_eq!((segments(&disk).len(), input.acknowledged().len()), (2, 4));
    let mut after = Rig::open(&disk.crash(Crash::Kill));
    after.drain();
    assert_eq!(after.delivered(), [0, 1, 2, 3]);
    assert!(after.delivered.values().all(|&times| times == 1), "{:?}", after.delivered);
    after.assert_empty();
}

#[test]
fn a_torn_write_of_the_state_leaves_the_one_before() {
    let quiet = Disk::default();
    live(&mut Rig::with(&quiet, small(Fsync::Batch)), &mut Input::new());
    let log = quiet.log();
    let durable = log.iter().position(|op| op == "sync state").expect("there is a durable state");
    let writes: Vec<usize> = (durable..log.len()).filter(|&at| log[at] == "write state").collect();
    assert!(writes.len() > 2, "{log:?}");
    for at in writes {
        let disk = Disk::default();
        disk.fail(at, Fault::DeathHalfway);
        live(&mut Rig::with(&disk, small(Fsync::Batch)), &mut Input::new());
        for crash in [Crash::Kill, Crash::Power] {
            let (_, position, damaged) = StateFile::open(&disk.crash(crash)).expect("it opens");
            assert!(!damaged && position.is_some_and(|position| position.mark > 0), "{crash:?} at operation {at}");
        }
    }
}

#[test]
fn the_state_is_durable_before_a_segment_goes() {
    let disk = Disk::default();
    let mut rig = Rig::with(&disk, small(Fsync::Batch));
    live(&mut rig, &mut Input::new());
    let log = disk.log();
    let removals: Vec<usize> = (0..log.len()).filter(|&i| log[i].starts_with("remove")).collect();
    assert!(removals.len() > 3, "{log:?}");
    for at in removals {
        let before = log[..at].iter().rposition(|op| op == "sync state").expect("a state is synced first");
        assert!(
            log[before..at].iter().all(|op| !op.starts_with("write state")),
            "what was written last is what was synced: {:?}",
            &log[before..=at]
        );
    }
}

#[test]
fn a_restart_delivers_only_what_was_not_settled() {
    let disk = Disk::default();
    let mut input = Input::new();
    let mut rig = Rig::with(&disk, small(Fsync::Batch));
    for _ in 0..4 {
        rig.push(input.part(2, 100));
    }
    rig.turn();
    let mut popped: Vec<Queued> = std::iter::from_fn(|| rig.pop()).collect();
    assert_eq!(popped.len(), 4);
    // The third is settled before the others are.
    let third = popped.remove(2);
    rig.deliver(third);
    let first = popped.remove(0);
    rig.deliver(first);
    rig.turn();
    for _ in 0..2 {
        // Twice: what was settled above the mark is still known after a start that delivered nothing.
        let mut idle = Rig::open(&disk.crash(Crash::Kill));
        idle.turn();
    }
    let disk = disk.crash(Crash::Kill);
    Rig::open(&disk).turn();
    let mut after = Rig::open(&disk);
    after.drain();
    assert_eq!(after.delivered(), [2, 3, 6, 7]);
    assert_eq!(read(&after.ledger.recovered), 4);
    after.assert_empty();
}
