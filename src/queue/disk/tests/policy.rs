//! Bounds, and what happens at them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use futures_util::FutureExt as _;
use suiro_sdk::Waker;
use suiro_sdk::ledger::read;

use super::disk::Disk;
use super::{Input, Rig, segments};
use crate::queue::{DiskSetup, Fsync, WhenFull};

/// 64 KiB of segments of 4 KiB, 64 KiB of staging.
fn bounded(when_full: WhenFull) -> impl Fn(&mut DiskSetup) {
    move |setup| {
        setup.max_size = 64 << 10;
        setup.queue.max_bytes = 128 << 10;
        setup.queue.when_full = when_full;
    }
}

/// Pushes `count` parts of one record of 1 KB, turning in between: how many were taken.
fn push(rig: &mut Rig, input: &mut Input, count: usize) -> usize {
    let mut taken = 0;
    for _ in 0..count {
        taken += usize::from(rig.push(input.part(1, 1000)));
        rig.turn();
        assert!(rig.core.book().disk_bytes() <= 64 << 10);
    }
    taken
}

fn on_disk(disk: &Disk) -> usize {
    segments(disk).iter().map(|name| disk.content(name).len()).sum()
}

#[test]
fn a_full_queue_makes_the_inputs_wait() {
    let disk = Disk::default();
    let mut input = Input::new();
    let woken = Arc::<AtomicUsize>::default();
    let count = woken.clone();
    let mut rig = Rig::with(&disk, |setup| {
        bounded(WhenFull::Block)(setup);
        let wake = move || _ = count.fetch_add(1, Relaxed);
        setup.queue.wakers.push(Waker::new(wake));
    });
    let taken = push(&mut rig, &mut input, 300);
    let before = woken.load(Relaxed);
    assert!((60..200).contains(&taken), "{taken}: the disk's share and the staging's");
    assert!(on_disk(&disk) <= 64 << 10);
    assert_eq!(rig.dropped(), 0);
    rig.drain();
    assert!(woken.load(Relaxed) > before, "who was turned away hears that there is room");
    assert_eq!(rig.delivered.len(), taken);
    rig.assert_empty();
    assert!(segments(&disk).len() <= 1);
}

#[test]
fn a_full_queue_drops_what_is_new() {
    let disk = Disk::default();
    let mut input = Input::new();
    let mut rig = Rig::with(&disk, bounded(WhenFull::DropNewest));
    assert_eq!(push(&mut rig, &mut input, 300), 300);
    assert!(on_disk(&disk) <= 64 << 10);
    rig.drain();
    let kept = rig.delivered();
    assert!(kept.len() > 40 && kept.len() < 64, "{}", kept.len());
    assert_eq!(kept, (0..kept.len() as u64).collect::<Vec<_>>(), "the oldest are kept");
    assert_eq!(rig.dropped(), 300 - kept.len() as u64);
    assert_eq!(input.acknowledged().len(), 300);
    rig.assert_empty();
}

#[test]
fn a_full_queue_drops_what_is_old() {
    let disk = Disk::default();
    let mut input = Input::new();
    let mut rig = Rig::with(&disk, bounded(WhenFull::DropOldest));
    let first = rig.push(input.part(1, 1000));
    assert!(first);
    rig.turn();
    let under_way = rig.pop().expect("the first");
    assert_eq!(push(&mut rig, &mut input, 299), 299);
    assert!(on_disk(&disk) <= 64 << 10);
    rig.deliver(under_way);
    rig.drain();
    let kept = rig.delivered();
    assert_eq!(kept[0], 0, "what is under way is not dropped");
    assert_eq!(kept.last(), Some(&299));
    assert!(kept.len() > 40, "{}", kept.len());
    assert_eq!(rig.dropped(), 300 - kept.len() as u64);
    assert_eq!(input.acknowledged().len(), 300);
    rig.assert_empty();
}

#[test]
fn old_segments_of_an_earlier_run_are_dropped_and_counted_too() {
    let disk = Disk::default();
    let mut input = Input::new();
    let mut rig = Rig::with(&disk, bounded(WhenFull::DropOldest));
    push(&mut rig, &mut input, 50);
    drop(rig);
    let mut rig = Rig::with(&disk, bounded(WhenFull::DropOldest));
    push(&mut rig, &mut input, 150);
    rig.drain();
    let kept = rig.delivered.len() as u64;
    assert_eq!(read(&rig.ledger.recovered), 50);
    assert_eq!(rig.dropped(), 200 - kept);
    assert_eq!(rig.delivered().last(), Some(&199));
    rig.assert_empty();
}

#[test]
fn a_part_larger_than_the_queue_is_taken_when_it_is_empty() {
    for when_full in [WhenFull::Block, WhenFull::DropOldest, WhenFull::DropNewest] {
        let disk = Disk::default();
        let mut input = Input::new();
        let mut rig = Rig::with(&disk, bounded(when_full));
        assert!(rig.push(input.part(1, 200_000)));
        rig.drain();
        assert_eq!(rig.delivered(), [0], "{when_full:?}");
        assert!(rig.push(input.part(1, 10)));
        assert!(rig.push(input.part(1, 10)));
        rig.drain();
        assert_eq!(rig.delivered(), [0, 1, 2], "{when_full:?}");
        rig.assert_empty();
    }
}

#[test]
fn large_parts_become_several_frames_and_settle_once() {
    let disk = Disk::default();
    let mut input = Input::new();
    let mut rig = Rig::with(&disk, |setup| setup.max_size = 64 << 20);
    assert!(rig.push(input.part(30, 100_000)));
    rig.turn();
    assert_eq!(input.acknowledged().len(), 30);
    let first = rig.pop().expect("the first frame");
    assert_eq!(first.part.len(), 11);
    rig.deliver(first);
    rig.drain();
    assert!(rig.delivered.len() == 30 && rig.delivered.values().all(|&times| times == 1));
    rig.assert_empty();
}

#[test]
fn what_is_under_way_is_bounded() {
    let disk = Disk::default();
    let mut input = Input::new();
    let mut rig = Rig::with(&disk, |setup| setup.queue.max_bytes = 64 << 10);
    for _ in 0..20 {
        assert!(rig.push(input.part(1, 5000)));
        rig.turn();
    }
    let mut popped: Vec<_> = std::iter::from_fn(|| rig.pop()).collect();
    let charges: usize = popped.iter().map(|queued| queued.charge).sum();
    assert!(popped.len() < 10 && charges <= 48 << 10, "{} parts, {charges} bytes", popped.len());
    let told = |rig: &Rig| rig.core.ready.notified().now_or_never().is_some();
    told(&rig);
    assert!(!told(&rig));
    let one = popped.remove(0);
    rig.deliver(one);
    assert!(told(&rig), "the driver hears that there is room");
    let next = rig.pop().expect("there is room for one more");
    rig.deliver(next);
    popped.into_iter().for_each(|queued| rig.deliver(queued));
    rig.drain();
    assert_eq!(rig.delivered.len(), 20);
    rig.assert_empty();
}

#[test]
fn a_full_disk_is_survived() {
    let disk = Disk::default();
    let mut input = Input::new();
    let mut rig = Rig::with(&disk, bounded(WhenFull::Block));
    assert_eq!(push(&mut rig, &mut input, 5), 5);
    disk.set_capacity(Some(16 << 10));
    let mut taken = push(&mut rig, &mut input, 100);
    assert!(taken < 100, "staging is full, and inputs wait");
    let acknowledged = input.acknowledged().len();
    assert!(acknowledged < 5 + taken);
    let trouble = rig.health.troubles();
    assert!(trouble["out.queue"].contains("queue/out"), "{trouble:?}");
    for _ in 0..30 {
        rig.turn_after(Duration::from_secs(1));
    }
    assert!(segments(&disk).len() <= 4, "it does not litter: {:?}", segments(&disk));
    // What is there already is delivered meanwhile, and its space is of use.
    let queued = rig.pop().expect("what is durable can be read");
    rig.deliver(queued);
    disk.set_capacity(None);
    rig.turn_after(Duration::from_secs(1));
    assert!(rig.health.troubles().is_empty());
    taken += push(&mut rig, &mut input, 1);
    rig.drain();
    assert_eq!(rig.delivered.len(), 5 + taken);
    assert!(rig.delivered.values().all(|&times| times == 1));
    assert_eq!(rig.dropped(), 0);
    rig.assert_empty();
}

#[test]
fn receipts_settle_when_fsync_says_so() {
    let mut input = Input::new();
    let disk = Disk::default();
    let mut rig = Rig::with(&disk, |setup| setup.fsync = Fsync::Interval);
    assert!(rig.push(input.part(2, 10)));
    rig.turn();
    assert_eq!(input.acknowledged().len(), 0, "written, not durable");
    assert!(rig.pop().is_none(), "nor to be read");
    rig.turn_after(Duration::from_millis(49));
    assert_eq!(input.acknowledged().len(), 0);
    rig.turn_after(Duration::from_millis(2));
    assert_eq!(input.acknowledged().len(), 2);
    assert!(rig.push(input.part(2, 10)));
    rig.core.close();
    rig.turn();
    assert_eq!(input.acknowledged().len(), 4, "the end does not wait for the clock");
    assert!(disk.log().iter().any(|op| op.starts_with("sync 0")));
    rig.drain();
    rig.assert_empty();

    let disk = Disk::default();
    let mut rig = Rig::with(&disk, |setup| setup.fsync = Fsync::Never);
    let mut input = Input::new();
    assert!(rig.push(input.part(2, 10)));
    rig.turn();
    assert_eq!(input.acknowledged().len(), 2);
    rig.drain();
    rig.assert_empty();
    assert!(disk.log().iter().all(|op| !op.starts_with("sync")), "{:?}", disk.log());
}
