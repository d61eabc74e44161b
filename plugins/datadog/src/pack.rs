//! From a delivery to bodies of requests.

use suiro_sdk::lang::TemplatePrepared;
use suiro_sdk::point::Point;
use suiro_sdk::{Delivery, Reason, Verdict};

use crate::series::{self, Route, Shared};
use crate::settings::Settings;
use crate::tags;

/// Bytes of a body before compression. See the crate's documentation.
pub(crate) const MAX_BODY: usize = 500_000;

/// A request to be.
#[derive(Debug)]
pub(crate) struct Piece {
    pub(crate) route: Route,
    /// The items of its records: the number in the delivery, and where they stand in the text.
    pub(crate) records: Vec<(usize, std::ops::Range<usize>)>,
}

/// A delivery as text.
#[derive(Debug, Default)]
pub(crate) struct Packed {
    text: Vec<u8>,
    pub(crate) pieces: Vec<Piece>,
    /// Records of which nothing is sent.
    pub(crate) apart: Vec<(usize, Verdict)>,
}

// === impl Packed ===

impl Packed {
    pub(crate) fn new(settings: &Settings, delivery: &Delivery) -> Packed {
        let mut packed = Packed::default();
        let (mut tags, mut host) = (Vec::new(), Vec::new());
        let mut number = 0;
        for part in &delivery.parts {
            let template = settings.host.as_ref().map(|template| template.prepare(&part.batch));
            for row in part.records() {
                let point = Point::read(&part.batch, row);
                let resource = &part.batch.scope(row).resource;
                tags.clear();
                settings.tags.iter().for_each(|tag| tags::push(tag, &mut tags));
                tags::resource(resource, settings.resource_tags, &mut tags);
                for node in point.attributes.into_iter().flat_map(|attributes| attributes.children()) {
                    tags::attribute(node.key().unwrap_or_default(), node, &mut tags);
                }
                host.clear();
                match &template {
                    Some(template) => {
                        if TemplatePrepared::render(template, &part.batch, row, &mut host).is_err() {
                            host.clear();
                        }
                    }
                    None => {
                        let named = resource.iter().find(|(key, _)| key == tags::HOST);
                        host.extend(named.iter().flat_map(|(_, name)| name.to_text().into_owned().into_bytes()));
                    }
                }
                let host = std::str::from_utf8(&host).ok().filter(|host| !host.is_empty());
                let from = packed.text.len();
                match series::write(Shared { point: &point, tags: &tags, host }, &mut packed.text) {
                    Ok(route) => packed.put(route, number, from..packed.text.len()),
                    Err(verdict) => packed.apart.push((number, verdict)),
                }
                number += 1;
            }
        }
        packed.apart.sort_by_key(|(number, _)| *number);
        packed
    }

    fn put(&mut self, route: Route, number: usize, span: std::ops::Range<usize>) {
        if span.len() > MAX_BODY - route.head().len() - TAIL.len() {
            let detail = format!("its {} bytes are more than a request may have", span.len());
            self.apart.push((number, Verdict::Refused { reason: Reason::TOO_LARGE, detail }));
            return;
        }
        let open = self.pieces.iter_mut().rfind(|piece| piece.route == route);
        match open.filter(|piece| piece.len() + 1 + span.len() <= MAX_BODY) {
            Some(piece) => piece.records.push((number, span)),
            None => self.pieces.push(Piece { route, records: vec![(number, span)] }),
        }
    }

    /// Appends the body of a piece.
    pub(crate) fn write(&self, piece: &Piece, out: &mut Vec<u8>) {
        out.extend_from_slice(piece.route.head());
        for (at, (_, span)) in piece.records.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            out.extend_from_slice(&self.text[span.clone()]);
        }
        out.extend_from_slice(TAIL);
    }
}

const TAIL: &[u8] = b"]}";

// === impl Piece ===

impl Piece {
    /// Bytes of the body.
    fn len(&self) -> usize {
        let items: usize = self.records.iter().map(|(_, span)| span.len() + 1).sum();
        self.route.head().len() + items.saturating_sub(1) + TAIL.len()
    }

    /// Its second half, taken off.
    pub(crate) fn split_off(&mut self) -> Piece {
        Piece { route: self.route, records: self.records.split_off(self.records.len() / 2) }
    }

    /// Numbers of its records.
    pub(crate) fn numbers(&self) -> Vec<usize> {
        self.records.iter().map(|(number, _)| *number).collect()
    }
}

// === impl Route ===

impl Route {
    fn head(self) -> &'static [u8] {
        b"{\"series\":["
    }

    /// Where it goes.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Route::Series => "/api/v2/series",
            Route::Distributions => "/api/v1/distribution_points",
        }
    }
}
