//! The queue as the agent has it: a real folder, its own thread.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use suiro_sdk::ledger::{add, read};

use super::{Input, setup};
use crate::queue::{DiskQueue, DiskSetup, Fsync, Queue, Queued, orphans};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// Delivers until the queue is finished, as the driver does: how many records.
fn drive(queue: &DiskQueue, setup: &std::sync::Arc<suiro_sdk::OutputLedger>) -> usize {
    runtime().block_on(async {
        let mut records = 0;
        loop {
            while let Some(Queued { part, charge }) = queue.pop() {
                records += part.len();
                add(&setup.delivered, part.len());
                setup.in_flight.fetch_sub(part.len() as u64, Relaxed);
                part.custody.settle();
                queue.done(charge);
            }
            if queue.is_finished() {
                return records;
            }
            tokio::time::timeout(Duration::from_secs(60), queue.ready()).await.expect("the queue says when");
        }
    })
}

#[test]
fn records_wait_for_the_next_run() {
    for fsync in [Fsync::Interval, Fsync::Batch, Fsync::Never] {
        let data = tempfile::tempdir().expect("a folder");
        let folder = data.path().join("queue/out");
        let make = || {
            let mut setup = setup(&folder);
            setup.fsync = fsync;
            let ledger = setup.queue.ledger.clone();
            (DiskQueue::open(setup).expect("the queue opens"), ledger)
        };
        let mut input = Input::new();
        let (queue, ledger) = make();
        for _ in 0..50 {
            assert!(queue.push(input.part(20, 100)).is_ok());
        }
        queue.close();
        queue.finish();
        assert_eq!(input.acknowledged().len(), 1000, "{fsync:?}");
        assert_eq!(read(&ledger.in_flight), 1000);
        drop(queue);

        let (queue, ledger) = make();
        assert!(queue.push(input.part(5, 100)).is_ok());
        queue.close();
        assert_eq!(drive(&queue, &ledger), 1005, "{fsync:?}");
        assert_eq!((read(&ledger.recovered), read(&ledger.routed), read(&ledger.in_flight)), (1000, 5, 0));
        drop(queue);

        let (queue, ledger) = make();
        queue.close();
        assert_eq!(drive(&queue, &ledger), 0, "{fsync:?}: the state was saved");
        let mode = std::fs::metadata(&folder).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }
}

#[test]
fn two_agents_do_not_share_a_queue() {
    let data = tempfile::tempdir().expect("a folder");
    let open = || DiskQueue::open(DiskSetup { max_size: 1 << 20, ..setup(&data.path().join("out")) });
    let first = open().expect("the queue opens");
    let error = open().expect_err("the second must not").to_string();
    assert!(error.contains("another agent") && error.contains("data_dir") && error.contains("`out`"), "{error}");
    drop(first);
    open().expect("the first has let go");
}

#[test]
fn a_folder_that_cant_be_is_an_error_that_names_it() {
    let data = tempfile::tempdir().expect("a folder");
    let path = data.path().join("file");
    std::fs::write(&path, b"not a folder").expect("written");
    let error = DiskQueue::open(setup(&path.join("out"))).expect_err("it is a file").to_string();
    assert!(error.contains("file/out") && error.contains("data_dir"), "{error}");
}

#[test]
fn records_of_an_output_that_is_no_more_are_noticed() {
    let data = tempfile::tempdir().expect("a folder");
    for name in ["old", "empty", "out"] {
        let queue = DiskQueue::open(setup(&data.path().join(name))).expect("the queue opens");
        if name != "empty" {
            assert!(queue.push(Input::new().part(1, 10)).is_ok());
        }
        queue.close();
        queue.finish();
    }
    assert_eq!(orphans(data.path(), &["out".into()]), [data.path().join("old")]);
    assert!(orphans(&data.path().join("nowhere"), &[]).is_empty());
}

#[test]
fn pushes_and_pops_at_once() {
    let data = tempfile::tempdir().expect("a folder");
    let mut config = setup(&data.path().join("out"));
    config.max_size = 256 << 10;
    config.queue.max_bytes = 64 << 10;
    let ledger = config.queue.ledger.clone();
    let queue = DiskQueue::open(config).expect("the queue opens");
    let mut input = Input::new();
    let records = std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..400 {
                let mut part = Box::new(input.part(7, 200));
                // A worker parks until it is woken; here the driver makes room soon.
                while let Err(back) = queue.push(*part) {
                    part = back;
                    std::thread::yield_now();
                }
            }
            queue.close();
        });
        drive(&queue, &ledger)
    });
    assert_eq!(records, 2800);
    assert_eq!((read(&ledger.routed), read(&ledger.delivered), read(&ledger.in_flight)), (2800, 2800, 0));
    assert_eq!(ledger.dropped.total(), 0);
    queue.finish();
    assert_eq!(input.acknowledged().len(), 2800);
}
