//! Requests on their way from the network to a worker.

use suiro_record::Row;

use super::*;
use crate::custody::Tracker;

const QUEUED: Ack = Ack { level: AckLevel::Queued, timeout: Duration::from_secs(30) };
const DELIVERED: Ack = Ack { level: AckLevel::Delivered, timeout: Duration::from_secs(30) };

pub(crate) fn setup() -> SourceSetup {
    SourceSetup::sample("net.{@input}")
}

fn batches(desk: &Desk, sizes: &[usize]) -> Vec<Batch> {
    let scope = Arc::new(Scope::new(desk.origin()));
    let mut at = 0;
    let batch = |&size: &usize| {
        let mut batch = desk.batch(scope.clone(), Signal::Traces);
        for _ in 0..size {
            let root = batch.new_object();
            batch.rows.push(Row::new(root, 0, at, at + 1));
            at += 1;
        }
        batch
    };
    sizes.iter().map(batch).collect()
}

fn flow(source: &mut dyn Source) -> Option<Flow> {
    loop {
        match source.poll() {
            Polled::Batch(flow) => return Some(flow),
            Polled::Idle { until: Some(_) } => {}
            Polled::Idle { until: None } | Polled::Done => return None,
        }
    }
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(work)
}

/// Whether it is answered by now; if not, the ticket.
fn answered(ticket: Ticket, level: AckLevel) -> Result<(), Ticket> {
    if ticket.0.is_answered(level) { Ok(()) } else { Err(ticket) }
}

#[test]
fn a_request_is_answered_when_all_of_it_is_queued_or_delivered() {
    let setup = setup();
    let intake = Intake::new(1000);
    let desk = intake.desk(&setup).unwrap().unwrap();
    let mut source = intake.source(&setup);
    let submit = |sizes: &[usize]| desk.submit(desk.try_room(100).unwrap(), batches(&desk, sizes), 100);
    let (a, b) = (submit(&[2, 0, 3]), submit(&[1]));
    assert_eq!(setup.ledger.received(), 0, "nobody took it");
    let (one, two, three) = (flow(&mut *source).unwrap(), flow(&mut *source).unwrap(), flow(&mut *source).unwrap());
    assert!(flow(&mut *source).is_none());
    assert_eq!((&*one.batch.tag, one.batch.signal), ("net.in", Signal::Traces));
    assert_eq!((one.batch.len(), two.batch.len(), setup.ledger.received(), setup.ledger.bytes()), (2, 3, 6, 200));
    // Two outputs: both must have it.
    let fork = one.custody.fork();
    one.custody.note_queued();
    two.custody.note_queued();
    let a = answered(a, AckLevel::Queued).unwrap_err();
    fork.note_queued();
    assert!(a.0.is_answered(AckLevel::Queued));
    let a = answered(a, AckLevel::Delivered).unwrap_err();
    // What a queue has stays queued when it is forked for a piece.
    let piece = fork.fork();
    fork.settle();
    assert!(a.0.is_answered(AckLevel::Queued));
    one.custody.settle();
    two.custody.settle();
    piece.settle();
    block_on(a.wait(DELIVERED)).unwrap();
    // A disk queue settles at once.
    three.custody.settle();
    block_on(b.wait(QUEUED)).unwrap();
    assert_eq!((setup.ledger.settled_records(), setup.ledger.in_flight()), (6, 0));
}

#[test]
fn an_answer_that_does_not_come_is_a_no() {
    let setup = setup();
    let intake = Intake::new(1000);
    let desk = intake.desk(&setup).unwrap().unwrap();
    let mut source = intake.source(&setup);
    let ticket = desk.submit(desk.try_room(1).unwrap(), batches(&desk, &[1]), 1);
    let lost = flow(&mut *source).unwrap();
    drop(lost);
    assert_eq!(block_on(ticket.wait(QUEUED)), Err(AckTimeout));
    // An empty request is answered at once.
    let ticket = desk.submit(desk.try_room(1).unwrap(), batches(&desk, &[0]), 1);
    assert_eq!(block_on(ticket.wait(DELIVERED)), Ok(()));
}

#[test]
fn who_finds_no_room_waits_a_little() {
    let setup = setup();
    let intake = Intake::new(100);
    let desk = intake.desk(&setup).unwrap().unwrap();
    let mut source = intake.source(&setup);
    let mut room = desk.try_room(1000).expect("one that is larger than all is taken alone");
    assert_eq!(desk.try_room(1).unwrap_err(), Full);
    room.resize(60).unwrap();
    room.resize(100).unwrap();
    room.resize(60).unwrap();
    let other = desk.try_room(40).unwrap();
    assert_eq!(room.resize(61), Err(Full));
    drop(other);
    let _ticket = desk.submit(room, batches(&desk, &[1, 1]), 60);
    block_on(async {
        assert_eq!(desk.room(50).await.unwrap_err(), Full);
        let (room, ()) = tokio::join!(desk.room(50), async {
            tokio::task::yield_now().await;
            assert!(flow(&mut *source).is_some());
            assert_eq!(desk.try_room(50).unwrap_err(), Full, "its second batch still waits");
            assert!(flow(&mut *source).is_some());
        });
        room.unwrap();
    });
    assert_eq!(intake.state().taken, 0);
}

#[test]
fn at_the_end_senders_are_told() {
    let setup = setup();
    let intake = Intake::new(100);
    let desk = intake.desk(&setup).unwrap().unwrap();
    let mut source = intake.source(&setup);
    let half = desk.submit(desk.try_room(1).unwrap(), batches(&desk, &[1, 1]), 1);
    let whole = desk.submit(desk.try_room(1).unwrap(), batches(&desk, &[1]), 1);
    let taken = flow(&mut *source).unwrap();
    source.stop();
    taken.custody.settle();
    block_on(async {
        desk.stopping().await;
        assert_eq!((half.wait(QUEUED).await, whole.wait(QUEUED).await), (Err(AckTimeout), Err(AckTimeout)));
        assert_eq!(desk.room(1).await.unwrap_err(), Full);
    });
    assert_eq!((setup.ledger.received(), setup.ledger.settled_records()), (1, 1));
}

#[test]
fn a_network_side_that_dies_takes_the_source_with_it() {
    let (woken, wake) = std::sync::mpsc::channel();
    let setup = SourceSetup { waker: Waker::new(move || woken.send(()).unwrap_or_default()), ..setup() };
    let intake = Intake::new(100);
    let desk = intake.desk(&setup).unwrap().unwrap();
    let mut source = intake.source(&setup);
    desk.spawn(|_| async { panic!("for the test") }).unwrap();
    wake.recv().unwrap();
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| source.poll())).unwrap_err();
    assert!(panic.downcast_ref::<String>().unwrap().contains("for the test"));
    // Opened anew, it works; and while it works, a worker that starts anew opens no second one.
    let desk = intake.desk(&setup).unwrap().unwrap();
    desk.spawn(|desk| desk.stopping()).unwrap();
    assert!(intake.desk(&setup).unwrap().is_none());
    let mut source = intake.source(&setup);
    let _ticket = desk.submit(desk.try_room(1).unwrap(), batches(&desk, &[1]), 1);
    assert!(flow(&mut *source).is_some());
    // With --once, and on other shards, nothing listens.
    let once = SourceSetup { once: true, ..setup.clone() };
    assert!(intake.desk(&once).unwrap().is_none());
    assert!(matches!(intake.source(&once).poll(), Polled::Done));
    assert!(intake.desk(&SourceSetup { shard: 1, ..setup }).unwrap().is_none());
}

/// Scenario: the network side dies while something waits, and several workers read.
/// Guarantees: what waits is taken, and the shard that can open it anew is told, whoever polls first.
#[test]
fn who_opens_the_network_side_is_told_that_it_died() {
    let (woken, wake) = std::sync::mpsc::channel();
    let setup = SourceSetup { waker: Waker::new(move || woken.send(()).unwrap_or_default()), ..setup() };
    let intake = Intake::new(100);
    let desk = intake.desk(&setup).unwrap().unwrap();
    let mut first = intake.source(&setup);
    let mut second = intake.source(&SourceSetup { shard: 1, ..setup.clone() });
    let _ticket = desk.submit(desk.try_room(1).unwrap(), batches(&desk, &[1]), 1);
    // Each of the two is woken for it.
    (0..2).for_each(|_| wake.recv().unwrap());
    desk.spawn(|_| async { panic!("for the test") }).unwrap();
    wake.recv().unwrap();
    assert!(flow(&mut *first).is_some_and(|flow| flow.batch.len() == 1));
    assert!(flow(&mut *second).is_none());
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| first.poll())).is_err());
}

/// Scenario: an agent stops while two requests wait, and something was never handed over.
/// Guarantees: all of it is taken, in that order, and nothing comes behind that.
#[test]
fn at_the_last_call_all_is_taken() {
    let setup = setup();
    let intake = Intake::new(1 << 20);
    let desk = intake.desk(&setup).unwrap().unwrap();
    let hand_over = |sizes: &[usize]| drop(desk.submit(desk.try_room(1).unwrap(), batches(&desk, sizes), 1));
    let mut never = Some(Tracker::new(desk.origin(), 0, setup.ledger.clone(), None));
    let close = || {
        let flow = |tracker: Arc<Tracker>| Flow::new(batches(&desk, &[3]).remove(0), tracker.open(0..3, 3));
        never.take().map(flow).into_iter().collect()
    };
    let mut source = LastCall::new(intake.source(&setup), close);
    hand_over(&[1, 2]);
    hand_over(&[1]);
    source.stop();
    assert!(desk.try_room(1).is_err());
    for size in [1, 2, 1, 3] {
        let flow = source.finish().expect("a batch");
        assert_eq!(flow.batch.len(), size);
        flow.custody.settle();
    }
    assert!(source.finish().is_none());
    assert_eq!((setup.ledger.received(), setup.ledger.settled_records()), (7, 7));
}
