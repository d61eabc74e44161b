//! Who knows what was written, and what of it arrived.
//!
//! Every document that is to arrive has a number. Lines that are identical share one: of these as many must arrive as were
//! written. The sink tells of a document only once per id, so one that comes twice came under two ids.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// What a document was before it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// A line of JSON.
    Line,
    /// A line of JSON, the same several times.
    Same,
    /// An item of a list in a line of JSON.
    Item,
    /// Several lines of text.
    Group,
}

/// A file between two rotations or truncations.
pub(super) type Generation = usize;

/// What was written, and what arrived. Shared by the writer and the sink.
#[derive(Debug)]
pub(super) struct Oracle(Mutex<State>);

#[derive(Debug)]
pub(super) struct State {
    documents: Vec<Expected>,
    generations: Vec<Progress>,
    /// Documents of which nobody knows, or that do not say what was written; the first few.
    pub(super) strange: Vec<String>,
    pub(super) strangers: u64,
    pub(super) last_arrival: Instant,
    /// Under which id each document came first, where there is one of it.
    first_ids: HashMap<u32, String>,
    /// Number, first id and second, the first few.
    doubles: Vec<(u32, String, String)>,
}

#[derive(Clone, Copy, Debug)]
struct Expected {
    kind: Kind,
    copies: u16,
    arrived: u16,
    generation: u32,
    offset: u64,
    /// Of the text that is to arrive.
    crc: u32,
}

#[derive(Debug, Default)]
struct Progress {
    path: PathBuf,
    sent: u64,
    arrived: u64,
}

/// All of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) sent: u64,
    /// Copies beyond what was sent not counted.
    pub(super) delivered: u64,
    pub(super) lost: u64,
    pub(super) duplicated: u64,
}

/// Complaints that are kept word for word.
const MAX_COMPLAINTS: usize = 20;

// === impl Kind ===

impl Kind {
    pub(super) const ALL: [Kind; 4] = [Kind::Line, Kind::Same, Kind::Item, Kind::Group];

    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Line => "lines",
            Kind::Same => "identical lines",
            Kind::Item => "split items",
            Kind::Group => "multiline groups",
        }
    }
}

// === impl Oracle ===

impl Oracle {
    pub(super) fn new() -> Self {
        Oracle(Mutex::new(State {
            documents: Vec::new(),
            generations: Vec::new(),
            strange: Vec::new(),
            strangers: 0,
            last_arrival: Instant::now(),
            first_ids: HashMap::new(),
            doubles: Vec::new(),
        }))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets what arrived.
    pub(super) fn forget_arrivals(&self) {
        let mut state = self.lock();
        state.documents.iter_mut().for_each(|document| document.arrived = 0);
        state.generations.iter_mut().for_each(|generation| generation.arrived = 0);
        state.strange.clear();
        state.strangers = 0;
        state.first_ids.clear();
        state.doubles.clear();
    }

    /// Called by the sink with every document that is new to it.
    pub(super) fn arrived(&self, id: &str, source: &[u8]) {
        let mut state = self.lock();
        state.last_arrival = Instant::now();
        if let Err(complaint) = state.count(id, source) {
            state.strangers += 1;
            if state.strange.len() < MAX_COMPLAINTS {
                state.strange.push(format!("{complaint}: id {id}: {}", String::from_utf8_lossy(source)));
            }
        }
    }
}

/// What identifies a document, and the text that must be as it was written.
fn look(source: &[u8]) -> Option<(Kind, u32, String)> {
    let group = |text: &str| {
        let number = text.strip_prefix('[')?.split(']').next()?.parse().ok()?;
        Some((Kind::Group, number, text.to_owned()))
    };
    if source.starts_with(b"[") {
        return group(std::str::from_utf8(source).ok()?);
    }
    let value: serde_json::Value = serde_json::from_slice(source).ok()?;
    if let Some(text) = value.get("log") {
        return group(text.as_str()?);
    }
    let number = |value: &serde_json::Value| value.get("n")?.as_u64().and_then(|n| u32::try_from(n).ok());
    let text = value.get("text")?.as_str()?.to_owned();
    match value.get("kind")?.as_str()? {
        "line" => Some((Kind::Line, number(&value)?, text)),
        "same" => Some((Kind::Same, number(&value)?, text)),
        "split" => Some((Kind::Item, number(value.get("items")?)?, text)),
        _ => None,
    }
}

// === impl State ===

impl State {
    /// A new file, or a new life of one.
    pub(super) fn generation(&mut self, path: PathBuf) -> Generation {
        self.generations.push(Progress { path, sent: 0, arrived: 0 });
        self.generations.len() - 1
    }

    /// The number the next document will get.
    pub(super) fn next_number(&self) -> u32 {
        u32::try_from(self.documents.len()).unwrap_or(u32::MAX)
    }

    /// A document that is about to be written; `text` is what it says. Its number is [`State::next_number`].
    pub(super) fn expect(&mut self, kind: Kind, copies: u16, generation: Generation, offset: u64, text: &str) {
        self.generations[generation].sent += u64::from(copies);
        let crc = crc32c::crc32c(text.as_bytes());
        let generation = u32::try_from(generation).unwrap_or(u32::MAX);
        self.documents.push(Expected { kind, copies, arrived: 0, generation, offset, crc });
    }

    /// Documents that arrived of a generation, and those sent.
    pub(super) fn progress(&self, generation: Generation) -> (u64, u64) {
        self.generations.get(generation).map_or((0, 0), |progress| (progress.arrived, progress.sent))
    }

    /// Whether all that was written of it arrived.
    pub(super) fn is_complete(&self, generation: Generation) -> bool {
        let (arrived, sent) = self.progress(generation);
        arrived >= sent
    }

    fn count(&mut self, id: &str, source: &[u8]) -> Result<(), &'static str> {
        let (kind, number, text) = look(source).ok_or("not what was written")?;
        let document = self.documents.get_mut(number as usize).ok_or("never written")?;
        if document.kind != kind || document.crc != crc32c::crc32c(text.as_bytes()) {
            return Err("not what was written");
        }
        document.arrived = document.arrived.saturating_add(1);
        if document.arrived <= document.copies {
            self.generations[document.generation as usize].arrived += 1;
        } else if self.doubles.len() < MAX_COMPLAINTS {
            let first = self.first_ids.get(&number).cloned().unwrap_or_default();
            self.doubles.push((number, first, id.to_owned()));
        }
        if document.copies == 1 {
            self.first_ids.entry(number).or_insert_with(|| id.to_owned());
        }
        Ok(())
    }

    /// The sums of one kind.
    pub(super) fn sum(&self, kind: Kind) -> Count {
        let mut count = Count::default();
        for document in self.documents.iter().filter(|document| document.kind == kind) {
            let (copies, arrived) = (u64::from(document.copies), u64::from(document.arrived));
            count.sent += copies;
            count.delivered += arrived.min(copies);
            count.lost += copies.saturating_sub(arrived);
            count.duplicated += arrived.saturating_sub(copies);
        }
        count
    }

    /// The sums of all kinds.
    pub(super) fn total(&self) -> Count {
        Kind::ALL.into_iter().fold(Count::default(), |all, kind| {
            let one = self.sum(kind);
            Count {
                sent: all.sent + one.sent,
                delivered: all.delivered + one.delivered,
                lost: all.lost + one.lost,
                duplicated: all.duplicated + one.duplicated,
            }
        })
    }

    /// Whether all that was written arrived.
    pub(super) fn all_arrived(&self) -> bool {
        self.generations.iter().all(|generation| generation.arrived >= generation.sent)
    }

    /// What is wrong, document by document, the first few.
    pub(super) fn complaints(&self) -> Vec<String> {
        let wrong = self.documents.iter().enumerate().filter(|(_, document)| document.arrived != document.copies);
        let mut lines: Vec<String> = wrong
            .take(MAX_COMPLAINTS)
            .map(|(number, document)| {
                let place = self.generations.get(document.generation as usize).map(|g| g.path.display().to_string());
                format!(
                    "number {number} ({}): {} of {} arrived; written to {} (life {}) at offset {}",
                    document.kind.name(),
                    document.arrived,
                    document.copies,
                    place.unwrap_or_default(),
                    document.generation,
                    document.offset
                )
            })
            .collect();
        lines.extend(
            self.doubles.iter().map(|(number, first, id)| format!("number {number}: first as {first}, again as {id}")),
        );
        lines.extend(self.strange.iter().cloned());
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_or_double_shows() {
        let oracle = Oracle::new();
        let generation = {
            let mut state = oracle.lock();
            let generation = state.generation("a.log".into());
            state.expect(Kind::Line, 1, generation, 0, "x");
            state.expect(Kind::Same, 2, generation, 10, "y");
            state.expect(Kind::Group, 1, generation, 20, "[2] a\n b");
            generation
        };
        oracle.arrived("1", br#"{"kind":"line","n":0,"text":"x"}"#);
        oracle.arrived("2", br#"{"kind":"line","n":0,"text":"x"}"#);
        oracle.arrived("3", br#"{"kind":"same","n":1,"text":"y"}"#);
        oracle.arrived("4", br#"{"kind":"same","n":1,"text":"z"}"#);
        oracle.arrived("5", br#"{"log":"[2] a\n b"}"#);
        let state = oracle.lock();
        assert_eq!(state.total(), Count { sent: 4, delivered: 3, lost: 1, duplicated: 1 });
        assert_eq!((state.strangers, state.is_complete(generation), state.all_arrived()), (1, false, false));
        assert_eq!(state.complaints().len(), 4);
    }
}
