//! Which spans are calls of an API.

use suiro_record::{Batch, Path, Resolved, Row};
use suiro_sdk::lang::Glob;
use suiro_sdk::settings::Section;

use crate::spans::{Spans, fixed_path};

/// The kinds, as records have them; what has none is as `internal` as OpenTelemetry says.
pub(crate) const KINDS: [(&str, &str); 6] = [
    ("internal", "internal"),
    ("server", "server"),
    ("client", "client"),
    ("producer", "producer"),
    ("consumer", "consumer"),
    ("unspecified", ""),
];

/// Spans by name or route, and kind.
#[derive(Debug)]
pub(crate) struct SpanRule {
    /// A span's name is one of them, or its route.
    names: Vec<Glob>,
    routes: Vec<Glob>,
    kinds: Vec<&'static str>,
    route: Path,
}

pub(crate) struct SpanRulePrepared<'a> {
    rule: &'a SpanRule,
    route: Resolved<'a>,
}

// === impl SpanRule ===

impl SpanRule {
    pub(super) fn read(settings: &Section) -> SpanRule {
        let names = settings.list("names");
        let routes = settings.list("routes");
        let kinds = settings.value("kinds").map(|value| value.one_or_many()).unwrap_or_default();
        let kinds = kinds.iter().filter_map(|kind| kind.choice(&KINDS).ok()).collect();
        SpanRule { names, routes, kinds, route: fixed_path("attributes.\"http.route\"") }
    }

    /// Whether it asks for nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.names.is_empty() && self.routes.is_empty() && self.kinds.is_empty()
    }

    pub(crate) fn prepare(&self, batch: &Batch) -> SpanRulePrepared<'_> {
        SpanRulePrepared { rule: self, route: batch.resolve(&self.route) }
    }
}

// === impl SpanRulePrepared ===

impl SpanRulePrepared<'_> {
    pub(crate) fn matches(&self, spans: &Spans<'_>, batch: &Batch, row: &Row) -> bool {
        let SpanRule { names, routes, kinds, .. } = self.rule;
        if !kinds.is_empty() && !kinds.contains(&&*spans.kind(row)) {
            return false;
        }
        if names.is_empty() && routes.is_empty() {
            return true;
        }
        let any = |globs: &[Glob], text: &str| globs.iter().any(|glob| glob.matches(text));
        any(names, &spans.name(row))
            || (!routes.is_empty()
                && batch
                    .get(row, &self.route)
                    .and_then(|route| route.as_str())
                    .is_some_and(|route| any(routes, &route)))
    }
}
