//! From a delivery to requests.
//!
//! Each record is translated once and stands whole in one request, so that an answer means the same for all of it. Within a
//! request, values of one metric at one time are one datum, whichever records they are of. Requests are cut by an upper
//! bound of what they will be, before compression.

use std::hash::{BuildHasher as _, RandomState};
use std::ops::Range;

use hashbrown::HashTable;
use suiro_record::{Batch, Row};
use suiro_sdk::lang::DestinationPrepared;
use suiro_sdk::point::Point;
use suiro_sdk::time::SECOND;
use suiro_sdk::{Delivery, Reason, Verdict};

use super::datum::Datum;
use super::head::{Dimensions, Head};
use super::query;
use super::settings::Settings;
use super::translate::Translation;
use super::verdict::{NO_VALUE, TOO_NEW, TOO_OLD, drop, refused};

/// Bytes of a body before compression. CloudWatch says 1 MB, and not whether that is before or after it.
pub(super) const MAX_BODY: usize = 1_000_000;
/// Data of a request.
pub(super) const MAX_DATA: usize = 1000;

/// How old a point may be: two weeks, less a minute for the way.
const OLDEST: i64 = (14 * 86_400 - 60) * SECOND;
/// How far ahead: two hours, less a minute.
const NEWEST: i64 = (2 * 3600 - 60) * SECOND;

/// A delivery, translated.
#[derive(Debug, Default)]
pub(super) struct Packed {
    /// The heads of all data.
    text: Vec<u8>,
    namespaces: Vec<String>,
    data: Vec<Datum>,
    records: Vec<Prepared>,
    /// Requests to be.
    pub(super) pieces: Vec<Piece>,
    /// Records of which nothing is sent.
    pub(super) apart: Vec<(usize, Verdict)>,
    /// Records whose dimensions are not what they were.
    pub(super) altered: Vec<usize>,
    /// Series that anomaly detectors are for.
    pub(super) seen: Vec<Series>,
    hasher: RandomState,
}

/// A record.
#[derive(Debug)]
struct Prepared {
    /// Its number in the delivery.
    number: usize,
    namespace: usize,
    data: Range<usize>,
}

/// A metric.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Series {
    pub(super) namespace: String,
    pub(super) metric: String,
    pub(super) dimensions: Dimensions,
}

/// A request to be.
#[derive(Debug)]
pub(super) struct Piece {
    namespace: usize,
    /// What it carries, as places in the list of records.
    records: Vec<usize>,
    data: Vec<Datum>,
    /// By head: the last datum that has it.
    by_head: HashTable<usize>,
    /// Of the body, at most.
    bytes: usize,
    /// By record: the datum it is in, or the first of its own.
    members: Vec<usize>,
}

// === impl Packed ===

impl Packed {
    /// Of a delivery, at the time `now`.
    pub(super) fn new(settings: &Settings, delivery: &Delivery, now: i64) -> Packed {
        let mut packed = Packed::default();
        let mut number = 0;
        let mut namespace = Vec::new();
        for part in &delivery.parts {
            let destination = settings.namespace.prepare(&part.batch);
            for row in part.records() {
                if let Err(verdict) =
                    packed.add(settings, (&part.batch, row), number, &destination, &mut namespace, now)
                {
                    packed.apart.push((number, *verdict));
                }
                number += 1;
            }
        }
        packed.pieces = packed.cut((0..packed.records.len()).collect());
        packed.apart.sort_by_key(|(number, _)| *number);
        packed
    }

    fn add(
        &mut self,
        settings: &Settings,
        (batch, row): (&Batch, &Row),
        number: usize,
        destination: &DestinationPrepared<'_>,
        namespace: &mut Vec<u8>,
        now: i64,
    ) -> Result<(), Box<Verdict>> {
        let point = Point::read(batch, row);
        if point.unrecorded {
            return Err(drop(NO_VALUE));
        }
        let time = settings.resolution.floor(point.time);
        if time < now.saturating_sub(OLDEST) {
            return Err(refused(TOO_OLD, "CloudWatch takes points of the last two weeks"));
        }
        if time > now.saturating_add(NEWEST) {
            return Err(refused(TOO_NEW, "CloudWatch takes points that are at most two hours ahead"));
        }
        namespace.clear();
        destination.render(batch, row, namespace).map_err(|refusal| {
            if refusal.is_drop() {
                drop(refusal.reason())
            } else {
                refused(refusal.reason(), &format!("`namespace`: {refusal}"))
            }
        })?;
        let head =
            Head::new((&point, &settings.dimensions), (&batch.scope(row).resource, &settings.resource_dimensions))?;
        let (text, data) = (self.text.len(), self.data.len());
        if let Err(verdict) = Translation::new(&point, &head, settings, &mut self.text, &mut self.data).run() {
            self.text.truncate(text);
            self.data.truncate(data);
            return Err(verdict);
        }
        let prepared = Prepared { number, namespace: self.namespace(namespace), data: data..self.data.len() };
        let (bytes, members) = self.size(&prepared);
        if bytes + self.begin(prepared.namespace).len() > MAX_BODY || members > MAX_DATA {
            self.text.truncate(text);
            self.data.truncate(data);
            let detail = "it needs more than a request may have: 1 MB before compression, 1000 data of 150 values";
            return Err(refused(Reason::TOO_LARGE, detail));
        }
        if head.altered {
            self.altered.push(number);
        }
        if settings.detectors.iter().any(|wanted| wanted.watches(&head.name)) {
            let series = Series {
                namespace: self.namespaces[prepared.namespace].clone(),
                metric: head.name,
                dimensions: head.dimensions,
            };
            if self.seen.last() != Some(&series) {
                self.seen.push(series);
            }
        }
        self.records.push(prepared);
        Ok(())
    }

    fn namespace(&mut self, name: &[u8]) -> usize {
        // There are few, and what follows each other mostly goes to the same one.
        if let Some(at) = self.namespaces.iter().rposition(|known| known.as_bytes() == name) {
            return at;
        }
        self.namespaces.push(String::from_utf8_lossy(name).into_owned());
        self.namespaces.len() - 1
    }

    /// Bytes and data of a record.
    fn size(&self, record: &Prepared) -> (usize, usize) {
        let bytes = self.data[record.data.clone()].iter().map(|datum| datum.cost(&self.text)).sum();
        (bytes, record.data.len())
    }

    /// Makes requests of records.
    pub(super) fn cut(&self, records: Vec<usize>) -> Vec<Piece> {
        let mut pieces: Vec<Piece> = Vec::new();
        for record in records {
            let namespace = self.records[record].namespace;
            let open = pieces.iter_mut().rfind(|piece| piece.namespace == namespace);
            if open.is_none_or(|piece| !piece.take(self, record)) {
                let mut piece = Piece::new(namespace, self.begin(namespace).len());
                piece.take(self, record);
                pieces.push(piece);
            }
        }
        pieces
    }

    /// The body up to its data.
    fn begin(&self, namespace: usize) -> Vec<u8> {
        let mut out = Vec::new();
        query::begin("PutMetricData", &mut out);
        query::parameter(format_args!("Namespace"), &self.namespaces[namespace], &mut out);
        out
    }

    /// Appends the body of a piece.
    pub(super) fn write(&self, piece: &Piece, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.begin(piece.namespace));
        for (at, datum) in piece.data.iter().enumerate() {
            datum.write(at + 1, &self.text, out);
        }
    }

    /// Numbers of a piece's records, in the delivery.
    pub(super) fn numbers(&self, piece: &Piece) -> Vec<usize> {
        piece.records.iter().map(|&record| self.records[record].number).collect()
    }

    /// Two pieces of one that was refused: the records in its datum `guilty` (from 1 on) and the others; halves, where that
    /// is not known or is all of them.
    pub(super) fn split(&self, piece: Piece, guilty: Option<usize>) -> Vec<Piece> {
        let Piece { mut records, members, .. } = piece;
        let is_guilty = |at: usize| {
            guilty.is_some_and(|guilty| {
                let own = self.records[records[at]].data.len();
                // Of several data all are a record's own, one behind the other.
                (members[at]..members[at] + own).contains(&(guilty - 1))
            })
        };
        let (bad, good): (Vec<usize>, Vec<usize>) = (0..records.len()).partition(|&at| is_guilty(at));
        if bad.is_empty() || good.is_empty() {
            let rest = records.split_off(records.len() / 2);
            return [records, rest]
                .into_iter()
                .filter(|half| !half.is_empty())
                .flat_map(|half| self.cut(half))
                .collect();
        }
        let pick = |places: Vec<usize>| places.into_iter().map(|at| records[at]).collect();
        [pick(bad), pick(good)].into_iter().flat_map(|records| self.cut(records)).collect()
    }

    fn hash(&self, head: &Range<usize>) -> u64 {
        self.hasher.hash_one(&self.text[head.clone()])
    }
}

// === impl Piece ===

impl Piece {
    fn new(namespace: usize, bytes: usize) -> Piece {
        Piece {
            namespace,
            records: Vec::new(),
            data: Vec::new(),
            by_head: HashTable::new(),
            bytes,
            members: Vec::new(),
        }
    }

    /// Whether both go to one namespace.
    pub(super) fn has_namespace_of(&self, other: &Piece) -> bool {
        self.namespace == other.namespace
    }

    /// How many records.
    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    /// Takes a record in, if there is room for it.
    fn take(&mut self, packed: &Packed, record: usize) -> bool {
        let data = &packed.data[packed.records[record].data.clone()];
        if let [datum] = data
            && let Some(at) = self.open(packed, datum)
        {
            let bytes = datum.worth.cost();
            if self.bytes + bytes > MAX_BODY {
                return false;
            }
            self.bytes += bytes;
            self.data[at].worth.merge(&datum.worth);
            self.members.push(at);
            self.records.push(record);
            return true;
        }
        let (bytes, members) = packed.size(&packed.records[record]);
        if self.bytes + bytes > MAX_BODY || self.data.len() + members > MAX_DATA {
            // The first one has been measured: it fits.
            return false;
        }
        self.bytes += bytes;
        self.members.push(self.data.len());
        self.records.push(record);
        for datum in data {
            self.list(packed, datum);
        }
        true
    }

    /// The datum of the same metric and time, if it has room.
    fn open(&self, packed: &Packed, datum: &Datum) -> Option<usize> {
        let head = &packed.text[datum.head.clone()];
        let same = |&at: &usize| packed.text[self.data[at].head.clone()] == *head;
        let at = *self.by_head.find(packed.hash(&datum.head), same)?;
        self.data[at].worth.has_room(&datum.worth).then_some(at)
    }

    fn list(&mut self, packed: &Packed, datum: &Datum) {
        let at = self.data.len();
        self.data.push(datum.clone());
        let head = &packed.text[datum.head.clone()];
        let data = &self.data;
        let entry = self.by_head.entry(
            packed.hash(&datum.head),
            |&at| packed.text[data[at].head.clone()] == *head,
            |&at| packed.hash(&data[at].head),
        );
        entry.insert(at);
    }
}
