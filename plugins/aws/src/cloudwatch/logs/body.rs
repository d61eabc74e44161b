//! The body of a `PutLogEvents`, written straight from the batch.
//!
//! ```text
//! {"logGroupName":"g","logStreamName":"s","logEvents":[{"timestamp":1795364943000,"message":"..."},...],"entity":{...}}
//! ```
//!
//! One pass over the events, in order: each is looked at once, and its message is escaped from where it stands into the
//! body. What the service would refuse a whole request for is left out of it: empty messages, times before 1970, messages
//! beyond `max_event` where they are not to be cut.

use suiro_record::{write_json_escaped, write_json_str};
use suiro_sdk::{Reason, Verdict};

use super::batch::Filling;
use super::message::View;
use super::plan::{Event, Stream, What};
use super::settings::{Oversize, Settings};

/// Behind a message that was cut; as the agent marks lines it cuts.
const MARKER: &str = " …[cut by suiro]";

/// The message is empty: the service takes none.
const EMPTY: Reason = Reason("empty_message");
/// Its time is before 1970.
const TOO_OLD: Reason = Reason("too_old");

/// Memory that bodies are made with.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    message: Vec<u8>,
    stamp: Stamp,
}

/// What stands before the message of an event. Events that follow each other often have one time.
#[derive(Debug, Default)]
struct Stamp {
    time: i64,
    text: Vec<u8>,
}

/// What became of events that a body was made of.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// So many were looked at, from the first.
    pub(super) taken: usize,
    /// Places of those that are not in the body, ascending.
    pub(super) left_out: Vec<usize>,
    /// What becomes of them.
    pub(super) apart: Vec<(usize, Verdict)>,
    /// Messages that were cut.
    pub(super) cut: usize,
}

// === impl Written ===

impl Written {
    /// Events in the body.
    pub(super) fn len(&self) -> usize {
        self.taken - self.left_out.len()
    }

    /// Of those looked at, the ones in the body, in order.
    pub(super) fn sent<'e>(&'e self, events: &'e [Event]) -> impl Iterator<Item = &'e Event> {
        let mut left_out = self.left_out.iter().copied().peekable();
        let taken = events.iter().take(self.taken).enumerate();
        taken.filter(move |(at, _)| left_out.next_if_eq(at).is_none()).map(|(_, event)| event)
    }
}

/// Appends a body with as many of a stream's `events` as fit. At least one is looked at; there may be none in the body.
pub(super) fn write(
    settings: &Settings,
    stream: &Stream,
    events: &[Event],
    views: &[View<'_>],
    scratch: &mut Scratch,
    out: &mut Vec<u8>,
) -> Written {
    let Scratch { message: buffer, stamp } = scratch;
    let most = settings.max_message();
    let mut written = Written { taken: events.len(), ..Written::default() };
    let mut filling = Filling::default();
    out.extend_from_slice(b"{\"logGroupName\":");
    write_json_str(&stream.group, out);
    out.extend_from_slice(b",\"logStreamName\":");
    write_json_str(&stream.stream, out);
    out.extend_from_slice(b",\"logEvents\":[");
    for (at, event) in events.iter().enumerate() {
        let message = match event.what {
            What::Record { part, row, .. } => {
                let view = &views[part as usize];
                view.message(&view.batch.rows[row as usize], buffer)
            }
            What::Document(at) => stream.documents.get(at as usize).map_or(&[][..], |document| &document.text),
        };
        let time = event.time.div_euclid(1_000_000);
        let refusal = if message.is_empty() {
            Some((EMPTY, "the message is empty, and the service takes no empty ones".to_owned()))
        } else if time < 0 {
            Some((TOO_OLD, "its time is before 1970".to_owned()))
        } else if message.len() > most && (settings.oversize == Oversize::DeadLetter || is_document(event)) {
            let detail =
                format!("a message of {} bytes is larger than `max_event` lets through ({most})", message.len());
            Some((Reason::TOO_LARGE, detail))
        } else {
            None
        };
        if let Some((reason, detail)) = refusal {
            written.left_out.push(at);
            stream.each_number(event, |number| {
                written.apart.push((number, Verdict::Refused { reason, detail: detail.clone() }));
            });
            continue;
        }
        let (message, marker) = if message.len() > most {
            (head_of(message, most.saturating_sub(MARKER.len())), MARKER)
        } else {
            (message, "")
        };
        if !filling.admit(time, message.len() + marker.len()) {
            written.taken = at;
            break;
        }
        written.cut += usize::from(!marker.is_empty());
        let separator = usize::from(out.ends_with(b"["));
        out.extend_from_slice(&stamp.text_at(time)[separator..]);
        write_json_escaped(message, out);
        out.extend_from_slice(marker.as_bytes());
        out.extend_from_slice(b"\"}");
    }
    out.push(b']');
    if let Some(entity) = &settings.entity {
        out.extend_from_slice(b",\"entity\":");
        out.extend_from_slice(entity.as_bytes());
    }
    out.push(b'}');
    if buffer.capacity() > 2 * super::batch::MAX_BYTES {
        // It held a giant record.
        *buffer = Vec::new();
    }
    written
}

/// Cut, a document is none any more.
fn is_document(event: &Event) -> bool {
    matches!(event.what, What::Document(_))
}

/// The first `most` bytes, or a few less where a character would be cut.
fn head_of(text: &[u8], most: usize) -> &[u8] {
    let is_continuation = |at: usize| text.get(at).is_some_and(|b| b & 0xc0 == 0x80);
    let mut end = most.min(text.len());
    while end > 0 && is_continuation(end) {
        end -= 1;
    }
    &text[..end]
}

// === impl Stamp ===

impl Stamp {
    /// `,{"timestamp":1795364943000,"message":"`
    #[inline]
    fn text_at(&mut self, time: i64) -> &[u8] {
        if self.time != time || self.text.is_empty() {
            self.time = time;
            self.text.clear();
            self.text.extend_from_slice(format!(",{{\"timestamp\":{time},\"message\":\"").as_bytes());
        }
        &self.text
    }
}
