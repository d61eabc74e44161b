//! What takes too long, by a clock that the test moves.

use std::sync::{Arc, Mutex as Lock};

use suiro_record::{Batch, Row, Scope, Signal};
use suiro_sdk::decompress::Decompressor;
use suiro_sdk::intake::{Ack, AckLevel, AckTimeout, Desk, Intake, Ticket};
use suiro_sdk::{Polled, Source, SourceSetup};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, Semaphore, watch};
use tokio::time::{Duration, Instant};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::server::ResolvesServerCertUsingSni;

use crate::buffer::BufferTerms;
use crate::connection::{Busy, Closing, Complaints, Terms, answered};
use crate::listen::Caller;

const ACK: Ack = Ack { level: AckLevel::Queued, timeout: Duration::from_secs(180) };

fn record(desk: &Desk) -> Batch {
    let mut batch = desk.batch(Arc::new(Scope::new(desk.origin())), Signal::Logs);
    let root = batch.assemble().unwrap().finish(None).unwrap();
    batch.rows.push(Row::new(root, 0, 0, 1));
    batch
}

/// Two batches of one chunk. The first is answered for after a while, the second is not.
async fn answer_one_of_two(tickets: Vec<Ticket>, source: &mut dyn Source) -> Result<Vec<u8>, AckTimeout> {
    let Polled::Batch(first) = source.poll() else { panic!("nothing was handed over") };
    let acks = answered(tickets, vec![1], ACK);
    tokio::time::advance(Duration::from_secs(100)).await;
    first.custody.settle();
    acks.await
}

#[tokio::test(start_paused = true)]
async fn a_chunk_of_many_batches_has_the_time_of_one() {
    let setup = SourceSetup::sample("t");
    let intake = Intake::new(1000);
    let desk = intake.desk(&setup).unwrap().unwrap();
    let mut source = intake.source(&setup);
    let hand_over = || desk.submit(desk.try_room(1).unwrap(), vec![record(&desk)], 1);
    let began = Instant::now();
    let tickets = vec![hand_over(), hand_over()];
    assert_eq!(answer_one_of_two(tickets, &mut *source).await, Err(AckTimeout));
    // The clock counts milliseconds.
    assert_eq!(began.elapsed().as_secs(), ACK.timeout.as_secs());
}

#[tokio::test(start_paused = true)]
async fn who_says_nothing_of_tls_is_counted() {
    let setup = SourceSetup::sample("t");
    let desk = Intake::new(1000).desk(&setup).unwrap().unwrap();
    let closing = Closing::new();
    let terms = Arc::new(Terms {
        desk,
        tag: setup.tag.clone(),
        ack: ACK,
        security: None,
        buffer: BufferTerms {
            max_message: 1000,
            timeout: Duration::from_secs(30),
            shared: Arc::new(Semaphore::new(1000)),
        },
        bench: Mutex::new(Decompressor::default()),
        closing: closing.clone(),
        complaints: Lock::new(Complaints::default()),
    });
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = builder
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(ResolvesServerCertUsingSni::new()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (stream, peer) = listener.accept().await.unwrap();
    let slot = Arc::new(Semaphore::new(1)).acquire_owned().await.unwrap();
    let tls = TlsAcceptor::from(Arc::new(config));
    let busy = Busy::new(&closing);
    Caller::Tcp(stream, peer).serve(terms, Some(tls), busy, (slot, watch::channel(()).1)).await;
    assert_eq!(setup.ledger.turned_away.snapshot().get("unauthorized"), Some(&1));
    assert!(closing.is_done());
}
