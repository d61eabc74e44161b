//! From text to tree: parses TOML, reports its syntax errors, puts the environment into strings.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::Environment;
use super::diagnostic::{Diagnostic, Diagnostics};
use super::expand::expand;
use super::literal::offset_in_literal;
use super::node::{Entry, Kind, MAX_DEPTH, Node, Table, Text};
use super::recover::{self, SyntaxError};
use super::section::{Context, Section, State};
use super::source::{Place, Source};

/// Syntax errors reported for one file. A file with more of them isn't a configuration.
const MAX_SYNTAX_ERRORS: usize = 25;
/// Times a file with syntax errors is parsed again.
const MAX_ROUNDS: usize = 25;

/// Parses a file and gives its root. Always gives one: what is wrong is reported, what can be read is in it.
pub fn parse(source: &Arc<Source>, environment: &Environment, diagnostics: &Diagnostics) -> Section {
    let mut text = Cow::Borrowed(source.text());
    let mut reported = 0;
    for _ in 0..MAX_ROUNDS {
        let (table, errors) = DeTable::parse_recoverable(&text);
        let errors: Vec<(Range<usize>, String)> =
            errors.iter().map(|error| (in_bounds(error.span(), &text), error.message().to_owned())).collect();
        let (harmless, mut fatal): (Vec<_>, Vec<_>) =
            errors.into_iter().partition(|(_, message)| recover::is_harmless(message));
        let mut builder = Builder { source, environment, diagnostics };
        if fatal.is_empty() {
            let table = table.into_inner();
            for (at, message) in harmless.into_iter().take(MAX_SYNTAX_ERRORS) {
                let first = message.starts_with("duplicate").then(|| first_use(&table, &text, &at)).flatten();
                builder.report(recover::reworded(&text, at, &message), first);
            }
            let node = builder.table(table, 0..0, false, 0);
            return root(source, environment, diagnostics, node, reported > 0);
        }
        dismantle(DeValue::Table(table.into_inner()));
        // A runaway of a hundred thousand errors is decided by the first of them.
        fatal.sort_by_key(|(at, _)| at.start);
        fatal.truncate(10_000);
        let round = recover::blank_out(&text, &fatal);
        let progress = round.text != *text;
        for mask in round.masks {
            source.mask(mask.start as u32..mask.end as u32);
        }
        for error in round.errors {
            if reported == MAX_SYNTAX_ERRORS {
                break;
            }
            reported += 1;
            builder.report(error, None);
        }
        if reported == MAX_SYNTAX_ERRORS || !progress {
            break;
        }
        text = Cow::Owned(round.text);
    }
    let empty = Node { kind: Kind::Table(Table::default()), start: 0, end: 0 };
    root(source, environment, diagnostics, empty, true)
}

fn root(
    source: &Arc<Source>,
    environment: &Environment,
    diagnostics: &Diagnostics,
    node: Node,
    damaged: bool,
) -> Section {
    let context =
        Context { source: source.clone(), environment: environment.clone(), diagnostics: diagnostics.clone(), damaged };
    State::root(Arc::new(context), Arc::new(node))
}

/// The parser's spans, made fit to slice with.
fn in_bounds(span: Option<Range<usize>>, text: &str) -> Range<usize> {
    let span = span.unwrap_or(0..0);
    let floor = |mut at: usize| {
        at = at.min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let start = floor(span.start);
    start..floor(span.end).max(start)
}

/// The place of the key that a duplicate repeats: the last of its name before it.
fn first_use(table: &DeTable<'_>, text: &str, duplicate: &Range<usize>) -> Option<Range<usize>> {
    let name = &text[duplicate.clone()];
    let mut best: Option<Range<usize>> = None;
    let mut open = vec![table];
    while let Some(table) = open.pop() {
        for (key, value) in table.iter() {
            let span = key.span();
            if span.end <= duplicate.start
                && text.get(span.clone()) == Some(name)
                && best.as_ref().is_none_or(|best| best.start < span.start)
            {
                best = Some(span);
            }
            match value.get_ref() {
                DeValue::Table(table) => open.push(table),
                DeValue::Array(items) => open.extend(items.iter().filter_map(|item| item.get_ref().as_table())),
                _ => {}
            }
        }
    }
    best
}

struct Builder<'a> {
    source: &'a Arc<Source>,
    environment: &'a Environment,
    diagnostics: &'a Diagnostics,
}

impl Builder<'_> {
    fn report(&mut self, error: SyntaxError, first: Option<Range<usize>>) {
        let mut diagnostic = Diagnostic::error(Some(self.place(error.at)), error.message, error.help);
        if let Some(first) = first {
            diagnostic = diagnostic.with_note(self.place(first), "it is set here first");
        }
        self.diagnostics.report(diagnostic);
    }

    fn place(&self, range: Range<usize>) -> Place {
        Place::new(self.source, range.start as u32..range.end as u32)
    }

    fn table(&mut self, table: DeTable<'_>, span: Range<usize>, dotted: bool, depth: usize) -> Node {
        let mut entries: Vec<(Spanned<DeString<'_>>, Spanned<DeValue<'_>>)> = table.into_iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        let entries = entries
            .into_iter()
            .map(|(key, value)| {
                let span = key.span();
                let dotted = value.span() == span && !self.in_header(span.start);
                let value = Arc::new(self.value(value, dotted, depth + 1));
                Entry { key: key.into_inner().into_owned(), start: span.start as u32, end: span.end as u32, value }
            })
            .collect();
        node(Kind::Table(Table { entries, dotted }), span)
    }

    fn value(&mut self, value: Spanned<DeValue<'_>>, dotted: bool, depth: usize) -> Node {
        let span = value.span();
        let value = value.into_inner();
        if depth > MAX_DEPTH && matches!(value, DeValue::Table(_) | DeValue::Array(_)) {
            dismantle(value);
            let error = Diagnostic::error(Some(self.place(span.clone())), "nested too deeply", "");
            self.diagnostics.report(error);
            return node(Kind::Broken, span);
        }
        let kind = match value {
            DeValue::String(text) => self.string(text, &span),
            DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
                Ok(number) => Kind::Integer(number),
                Err(_) => self.broken(&span, "the number is too large"),
            },
            DeValue::Float(number) => match number.as_str().parse::<f64>() {
                Ok(float) if float.is_finite() || number.as_str().contains(['i', 'n']) => Kind::Float(float),
                _ => self.broken(&span, "the number is too large"),
            },
            DeValue::Boolean(yes) => Kind::Bool(yes),
            DeValue::Datetime(_) => Kind::Datetime,
            DeValue::Array(items) => {
                Kind::Array(items.into_iter().map(|item| Arc::new(self.value(item, false, depth + 1))).collect())
            }
            DeValue::Table(table) => return self.table(table, span, dotted, depth),
        };
        node(kind, span)
    }

    fn string(&mut self, text: DeString<'_>, span: &Range<usize>) -> Kind {
        match expand(&text, &**self.environment) {
            Ok(None) => Kind::String(Text { value: text.into_owned(), expansions: Vec::new() }),
            Ok(Some((value, expansions))) => Kind::String(Text { value, expansions }),
            Err(failure) => {
                let raw = &self.source.text()[span.clone()];
                let at = |offset| span.start + offset_in_literal(raw, offset);
                let at = at(failure.at.start)..at(failure.at.end);
                self.report(SyntaxError { at, message: failure.message, help: failure.help }, None);
                Kind::Broken
            }
        }
    }

    fn broken(&mut self, span: &Range<usize>, message: &str) -> Kind {
        self.diagnostics.report(Diagnostic::error(Some(self.place(span.clone())), message, ""));
        Kind::Broken
    }

    /// True for a key in `[a.b]`: the tables it makes are not dotted keys'.
    fn in_header(&self, at: usize) -> bool {
        let before = &self.source.text()[..at];
        let line = before.rfind('\n').map_or(0, |newline| newline + 1);
        before[line..].trim_start().starts_with('[')
    }
}

fn node(kind: Kind, span: Range<usize>) -> Node {
    Node { kind, start: span.start as u32, end: span.end as u32 }
}

/// Drops a tree level by level: the parser bounds brackets and dots, but not their product, and a drop that recurses
/// through thousands of levels would end the process.
fn dismantle(value: DeValue<'_>) {
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        match value {
            DeValue::Table(table) => open.extend(table.into_iter().map(|(_, value)| value.into_inner())),
            DeValue::Array(items) => open.extend(items.into_iter().map(Spanned::into_inner)),
            _ => {}
        }
    }
}
