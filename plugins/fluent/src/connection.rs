//! One connection: from its first byte to its last acknowledgement.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex as Lock, MutexGuard, OnceLock, PoisonError};

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use suiro_record::{Batch, Scope, Signal, Source as Origin};
use suiro_sdk::decompress::Decompressor;
use suiro_sdk::intake::{Ack, AckTimeout, Desk, Room, Ticket};
use suiro_sdk::lang::Template;
use suiro_sdk::{Complaint, Reason, tag};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::{Mutex, watch};
use tokio::time::{Duration, Instant, timeout, timeout_at};

use crate::buffer::{Buffer, BufferTerms, ReadError, Taken};
use crate::burst::{Burst, BurstError, Refusals};
use crate::group;
use crate::handshake::{Helo, MAX_PING, Security};

/// What a record knows of its tag: `{@fluent.tag}`.
pub(crate) const TAG: &str = "fluent.tag";
/// Bursts of a connection nobody has answered for, at most: then nothing more is read.
const MAX_WAITING: usize = 32;
/// Tags of a connection that are remembered.
const MAX_TAGS: usize = 32;
/// How long a client may take to read an acknowledgement.
const SENDING: Duration = Duration::from_secs(10);
/// For those who have sent all they had, and when the agent stops: longer than queues need.
const LAST_ANSWERS: Duration = Duration::from_secs(30);
/// When the agent stops: who has come already, and what, is taken, which takes no longer.
pub(crate) const LAST_BYTES: Duration = Duration::from_millis(20);
/// A message that did not come to its end.
const INCOMPLETE: Reason = Reason("incomplete");

/// What all connections of an input share.
pub(crate) struct Terms {
    pub(crate) desk: Desk,
    pub(crate) tag: Arc<Template>,
    pub(crate) ack: Ack,
    pub(crate) security: Option<Security>,
    pub(crate) buffer: BufferTerms,
    /// Who reads a burst has this: one at a time, so that what is decoded and has no room yet is one batch.
    pub(crate) bench: Mutex<Decompressor>,
    pub(crate) closing: Arc<Closing>,
    pub(crate) complaints: Lock<Complaints>,
}

/// What the log says once in a while, each kind by itself: who sends nonsense must not hide what becomes of others' records.
#[derive(Debug, Default)]
pub(crate) struct Complaints {
    /// Events that are no records.
    events: Complaint,
    /// Connections that are closed, by why.
    closed: HashMap<Reason, Complaint>,
}

/// The agent is told to stop: connections hand over what they have, and only then the input is closed.
#[derive(Debug)]
pub(crate) struct Closing {
    pub(crate) told: watch::Sender<bool>,
    /// Listeners and connections that may still hand something over.
    busy: AtomicUsize,
    /// Bytes workers have taken since.
    pub(crate) held: AtomicUsize,
    /// So many they take altogether: said by the first of them that waits no longer.
    pub(crate) most: OnceLock<usize>,
}

/// Counted among [`Closing`]'s as long as it lives.
#[derive(Debug)]
pub(crate) struct Busy(Arc<Closing>);

/// Why a connection ends before its client wants to.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Refused(#[from] BurstError),
    #[error("{0}")]
    Unauthorized(&'static str),
    #[error(transparent)]
    Unanswered(#[from] AckTimeout),
    #[error("its acknowledgements are not read")]
    Unread,
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error("the agent stops")]
    Stopped,
}

/// The tags of a connection, and what is made of them.
struct Tags {
    terms: Arc<Terms>,
    origin: Arc<Origin>,
    known: HashMap<Box<[u8]>, Tag>,
}

/// What is made of a tag that was sent.
struct Tag {
    /// What routes its records.
    tag: Arc<str>,
    /// What they know of it.
    scope: Arc<Scope>,
}

/// A connection.
struct Connection<I, O> {
    terms: Arc<Terms>,
    input: I,
    output: O,
    buffer: Buffer,
    tags: Tags,
    /// Where the next byte stands in what came on it.
    base: u64,
}

/// What was handed over at once.
struct Handed {
    tickets: Vec<Ticket>,
    /// What is sent back once they are answered for.
    acks: Vec<u8>,
    /// Behind it came what is no message, or the agent stops.
    ended: Result<(), Ended>,
}

/// Bytes to be sent once tickets are answered for: all of them in the time that one may take, since they may be of one chunk.
pub(crate) fn answered(
    tickets: Vec<Ticket>,
    acks: Vec<u8>,
    ack: Ack,
) -> impl Future<Output = Result<Vec<u8>, AckTimeout>> {
    // It runs from now on, not from when somebody first looks.
    let until = Instant::now() + ack.timeout;
    async move {
        let all = async {
            for ticket in tickets {
                ticket.wait(ack).await?;
            }
            Ok(acks)
        };
        timeout_at(until, all).await.unwrap_or(Err(AckTimeout))
    }
}

/// Serves a connection to its end.
pub(crate) async fn serve(terms: Arc<Terms>, stream: impl AsyncRead + AsyncWrite, peer: &str, busy: Busy) {
    let (input, output) = tokio::io::split(stream);
    tokio::pin!(input, output);
    let tags = Tags { terms: terms.clone(), origin: terms.desk.origin(), known: HashMap::new() };
    let buffer = Buffer::new(terms.buffer.clone());
    let mut connection = Connection { terms: terms.clone(), input, output, buffer, tags, base: 0 };
    if let Err(ended) = connection.run(busy).await {
        terms.complain(&ended, peer);
    }
}

// === impl Connection ===

impl<I: AsyncRead + Unpin, O: AsyncWrite + Unpin> Connection<I, O> {
    async fn run(&mut self, busy: Busy) -> Result<(), Ended> {
        let closing = self.terms.closing.wait();
        tokio::pin!(closing);
        if let Some(security) = self.terms.security.clone() {
            tokio::select! {
                admitted = self.admit(&security) => admitted?,
                () = &mut closing => return Ok(()),
            }
        }
        let mut waiting = FuturesUnordered::new();
        let mut is_closing = false;
        let ended = loop {
            match self.hand_over().await {
                Ok(None) => {}
                Ok(Some(handed)) => {
                    if !handed.acks.is_empty() {
                        waiting.push(answered(handed.tickets, handed.acks, self.terms.ack));
                    }
                    match handed.ended {
                        Ok(()) => continue,
                        Err(error) => break Err(error),
                    }
                }
                Err(error) => break Err(error.into()),
            }
            if is_closing {
                // What has come is taken; what comes from now on is somebody else's.
                match timeout(LAST_BYTES, self.buffer.fill(&mut self.input)).await {
                    Ok(Ok(true)) => continue,
                    _ => break Ok(()),
                }
            }
            tokio::select! {
                Some(acks) = waiting.next(), if !waiting.is_empty() => {
                    send(&mut self.output, &acks?).await?;
                    // It may have been the client that waited.
                    self.buffer.touch();
                }
                more = self.buffer.fill(&mut self.input), if waiting.len() < MAX_WAITING => match more {
                    Ok(true) => {}
                    Ok(false) => break Ok(()),
                    Err(error) => break Err(error.into()),
                },
                () = &mut closing => is_closing = true,
            }
        };
        drop(busy);
        let rest = async {
            while let Some(acks) = waiting.next().await {
                send(&mut self.output, &acks?).await?;
            }
            Ok::<_, Ended>(())
        };
        let answered = timeout(LAST_ANSWERS, rest).await;
        let _ = timeout(SENDING, self.output.shutdown()).await;
        ended.and(answered.unwrap_or(Ok(())))
    }

    /// The handshake.
    async fn admit(&mut self, security: &Security) -> Result<(), Ended> {
        let helo = Helo::new();
        send(&mut self.output, &helo.bytes(security)).await?;
        // Its client has as long for it as for any message, though not a byte has come yet.
        let asked = async {
            loop {
                if let Some(ping) = self.buffer.take_one()? {
                    return Ok(ping);
                }
                if self.buffer.len() > MAX_PING {
                    return Err(Ended::Unauthorized("what came instead of a PING is too long for one"));
                }
                if !self.buffer.fill(&mut self.input).await? {
                    return Err(Ended::Unauthorized("the client went away instead of sending a PING"));
                }
            }
        };
        let late = |_| Ended::Unauthorized("no PING came in time");
        let ping = timeout(self.terms.buffer.timeout, asked).await.map_err(late)??;
        let pong = helo.answer(&ping, security);
        send(&mut self.output, &pong.bytes).await?;
        pong.outcome.map_err(Ended::Unauthorized)
    }

    /// Hands over the messages that are complete, if there are any.
    async fn hand_over(&mut self) -> Result<Option<Handed>, ReadError> {
        // The permit is held until the bytes are read.
        let Some(Taken { bytes, ends, permit }) = self.buffer.take()? else { return Ok(None) };
        let terms = self.terms.clone();
        let mut wire = bytes.len() as u64;
        let mut burst = Burst::new(bytes, ends, self.base, terms.buffer.max_message);
        let mut tickets = Vec::new();
        let mut bench = terms.bench.lock().await;
        let ended = loop {
            match burst.next(&mut bench, &mut |tag| self.tags.batch(tag)) {
                Ok(Some(batch)) => {
                    let Some(room) = terms.room(group::used(&batch)).await else { break Err(Ended::Stopped) };
                    tickets.push(terms.desk.submit(room, vec![batch], std::mem::take(&mut wire)));
                }
                Ok(None) => break Ok(()),
                Err(error) => break Err(error.into()),
            }
        };
        drop(bench);
        terms.note(&burst.take_refusals());
        let acks = if matches!(ended, Err(Ended::Stopped)) { Vec::new() } else { burst.take_acks() };
        self.base = burst.next_base();
        self.buffer.reuse(burst.into_spare());
        drop(permit);
        self.buffer.touch();
        Ok(Some(Handed { tickets, acks, ended }))
    }
}

async fn send(output: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> Result<(), Ended> {
    let sent = async {
        output.write_all(bytes).await?;
        output.flush().await
    };
    timeout(SENDING, sent).await.map_err(|_| Ended::Unread)?.map_err(Ended::Io)
}

// === impl Terms ===

impl Terms {
    /// Room for a batch, as long as it takes; `None` when the agent stops.
    async fn room(&self, bytes: usize) -> Option<Room> {
        loop {
            match self.desk.room(bytes).await {
                Ok(room) => return Some(room),
                Err(_) if self.desk.is_stopping() => return None,
                Err(_) => {}
            }
        }
    }

    /// Counts what was no record.
    fn note(&self, refused: &Refusals) {
        self.desk.turn_away(Reason::MALFORMED, refused.malformed);
        self.desk.turn_away(Reason::TOO_LARGE, refused.too_large);
        if let Some(why) = &refused.why
            && let Some(events) = self.complaints().events.of(refused.malformed + refused.too_large)
        {
            tracing::warn!(input = %self.desk.name(), events, "an event can't be a record: {why}; it is counted and left out");
        }
    }

    /// Counts and says why a connection ended.
    fn complain(&self, ended: &Ended, peer: &str) {
        let reason = match ended {
            Ended::Read(ReadError::TooLarge(_)) | Ended::Refused(BurstError::TooLarge(_)) => Some(Reason::TOO_LARGE),
            Ended::Read(ReadError::Broken(_)) | Ended::Refused(_) => Some(Reason::MALFORMED),
            Ended::Read(ReadError::Timeout | ReadError::Incomplete) => Some(INCOMPLETE),
            Ended::Unauthorized(_) => Some(Reason::UNAUTHORIZED),
            Ended::Read(ReadError::Io(_)) | Ended::Io(_) | Ended::Unread | Ended::Unanswered(_) | Ended::Stopped => {
                None
            }
        };
        let input = self.desk.name();
        match reason {
            Some(reason) => {
                self.desk.turn_away(reason, 1);
                if let Some(closed) = self.complaints().of_closed(reason) {
                    tracing::warn!(%input, %peer, %reason, closed, "a connection is closed: {ended}");
                }
            }
            None => tracing::debug!(%input, %peer, "a connection is closed: {ended}"),
        }
    }

    fn complaints(&self) -> MutexGuard<'_, Complaints> {
        self.complaints.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Complaints ===

impl Complaints {
    /// One more connection is closed. How many there were since it was last said, if it is time to say it.
    fn of_closed(&mut self, reason: Reason) -> Option<usize> {
        self.closed.entry(reason).or_default().of(1)
    }
}

// === impl Closing ===

impl Closing {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Closing {
            told: watch::Sender::new(false),
            busy: AtomicUsize::new(0),
            held: AtomicUsize::new(0),
            most: OnceLock::new(),
        })
    }

    /// Waits until the agent is told.
    pub(crate) fn wait(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        let mut told = self.told.subscribe();
        async move {
            // An error would mean that the input is gone.
            let _ = told.wait_for(|told| *told).await;
        }
    }

    /// Whether no connection will hand over anything more.
    pub(crate) fn is_done(&self) -> bool {
        self.busy.load(SeqCst) == 0
    }
}

impl Busy {
    pub(crate) fn new(closing: &Arc<Closing>) -> Self {
        closing.busy.fetch_add(1, SeqCst);
        Busy(closing.clone())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, SeqCst);
    }
}

// === impl Tags ===

impl Tags {
    /// An empty batch for events of that tag.
    fn batch(&mut self, sent: &[u8]) -> Batch {
        if !self.known.contains_key(sent) {
            if self.known.len() >= MAX_TAGS {
                self.known.clear();
            }
            let made = self.make(sent);
            self.known.insert(sent.into(), made);
        }
        let Tag { tag, scope } = &self.known[sent];
        self.terms.desk.tagged(tag.clone(), scope.clone(), Signal::Logs)
    }

    fn make(&self, sent: &[u8]) -> Tag {
        let sent = String::from_utf8_lossy(sent);
        let scope = Arc::new(Scope::new(self.origin.clone()).with(TAG, &*sent));
        let name = self.terms.desk.name();
        // That the template can be rendered was seen at the start; what renders as nothing matches nothing.
        let tag = tag::render(&self.terms.tag, &scope).ok().filter(|tag| !tag.is_empty());
        Tag { tag: tag.unwrap_or_else(|| name.clone()), scope }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_does_not_hide_another_one() {
        let mut complaints = Complaints::default();
        assert_eq!(complaints.of_closed(Reason::UNAUTHORIZED), Some(1));
        assert_eq!(complaints.of_closed(Reason::UNAUTHORIZED), None);
        assert_eq!(complaints.of_closed(Reason::MALFORMED), Some(1));
        assert_eq!(complaints.events.of(3), Some(3));
    }
}
