//! Paths: how a field of a record is named, and what a path means for one batch.
//!
//! ```text
//! path  = ["@"] part *( "." part / "[" ["-"] digits "]" )
//! part  = bare / quoted          bare: anything but  . [ ] " @ white space, or an operator's or template's sign
//! ```
//!
//! At each map the longest literal key is tried first, then nesting: `a.b` finds the key `a.b`, else `b` in `a`. `[0]` is
//! the first item of a list, `[-1]` the last. A path that starts with `@` names the header or the scope; its first word
//! decides which, and a word that is no header's is looked up in the resource.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::AtomicU16;
use std::sync::atomic::Ordering::Relaxed;

use nom::Parser as _;
use nom::branch::alt;
use nom::bytes::complete::{is_not, tag, take_while1};
use nom::character::complete::{char, digit1};
use nom::combinator::{opt, recognize};
use nom::sequence::{delimited, preceded};
use smallvec::SmallVec;

use crate::batch::Batch;
use crate::header::Header;
use crate::keys::Keys;
use crate::node::NO_KEY;

/// Parts a path may have.
pub const MAX_PARTS: usize = 16;

/// What a path starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathRoot {
    /// The record's own fields.
    Body,
    /// `@time`
    Time,
    /// A header field kept as a map.
    Header(Header),
    /// `@tag`
    Tag,
    /// `@input`
    Input,
    /// `@signal`
    Signal,
    /// `@resource.x`, or `@x`
    Resource,
    /// `@scope.x`
    Scope,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Key(String),
    Index(i32),
}

/// A parsed path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    pub(crate) root: PathRoot,
    pub(crate) parts: Vec<Part>,
    /// `joined[i][j]`: the literal key made of the parts `i..=i + j`, dots between.
    pub(crate) joined: Vec<Vec<String>>,
    /// How many keys `joined[..i]` holds.
    starts: Vec<usize>,
    text: String,
}

/// Why a text is not a path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PathError {
    /// Byte offset of the trouble.
    pub at: usize,
    /// What is wrong.
    pub message: String,
}

/// A path's keys as ids of one batch: `ids[i][j]` for `joined[i][j]`, absent keys as `NO_KEY`.
#[derive(Debug)]
pub struct Resolved<'p> {
    pub(crate) path: Held<'p>,
    pub(crate) ids: SmallVec<[u16; 6]>,
    /// Number of keys the batch had when the missing ones were last looked for.
    known: AtomicU16,
    single: bool,
}

/// The path of a look-up: somebody else's, or shared with whoever keeps the look-up.
#[derive(Clone, Debug)]
pub(crate) enum Held<'p> {
    Borrowed(&'p Path),
    Shared(Arc<Path>),
}

impl Deref for Held<'_> {
    type Target = Path;

    #[inline]
    fn deref(&self) -> &Path {
        match self {
            Held::Borrowed(path) => path,
            Held::Shared(path) => path,
        }
    }
}

// === impl Path ===

impl Path {
    /// Parses the whole of `text`.
    pub fn parse(text: &str) -> Result<Path, PathError> {
        let (path, used) = Path::parse_prefix(text)?;
        if used < text.len() {
            let c = text[used..].chars().next().unwrap_or(' ');
            return Err(error(
                used,
                format!("`{c}` can't stand in a path; a name that holds it needs quotes: a.\"b{c}c\""),
            ));
        }
        Ok(path)
    }

    /// Parses a path at the head of `text`, for grammars that contain paths. Says how many bytes it took.
    pub fn parse_prefix(text: &str) -> Result<(Path, usize), PathError> {
        let mut rest = text;
        let at = |rest: &str| text.len() - rest.len();
        let special = rest.strip_prefix('@').inspect(|r| rest = r).is_some();
        let mut parts = Vec::new();
        loop {
            let (after, key) = key(rest).map_err(|_| {
                let expected =
                    if rest.starts_with('"') { "this quote is never closed" } else { "a field name is expected" };
                error(at(rest), expected.to_owned())
            })?;
            parts.push(Part::Key(key));
            rest = after;
            while rest.starts_with('[') {
                let (after, index) = index(rest)
                    .map_err(|_| error(at(rest), "an index is a whole number in brackets: [0], [-1]".to_owned()))?;
                parts.push(Part::Index(index));
                rest = after;
            }
            if parts.len() > MAX_PARTS {
                return Err(error(at(rest), format!("a path has at most {MAX_PARTS} parts")));
            }
            match rest.strip_prefix('.') {
                Some(after) => rest = after,
                None => break,
            }
        }
        let used = at(rest);
        let root = if special { special_root(&mut parts)? } else { PathRoot::Body };
        Ok((Path::build(root, parts, text[..used].to_owned()), used))
    }

    /// The path of one literal key of the record's body.
    pub fn key(key: &str) -> Path {
        Path::build(PathRoot::Body, vec![Part::Key(key.to_owned())], key.to_owned())
    }

    fn build(root: PathRoot, parts: Vec<Part>, text: String) -> Path {
        let joined: Vec<Vec<String>> = (0..parts.len())
            .map(|i| {
                let mut keys: Vec<String> = Vec::new();
                for part in &parts[i..] {
                    let Part::Key(k) = part else { break };
                    keys.push(keys.last().map_or_else(|| k.clone(), |head| format!("{head}.{k}")));
                }
                keys
            })
            .collect();
        let starts = (0..=parts.len()).map(|i| joined[..i].iter().map(Vec::len).sum()).collect();
        Path { root, parts, joined, starts, text }
    }

    /// The path of a header field.
    pub(crate) fn header(header: Header) -> Path {
        Path {
            root: PathRoot::Header(header),
            parts: Vec::new(),
            joined: Vec::new(),
            starts: Vec::new(),
            text: String::new(),
        }
    }

    /// The single key of a one-part path into the body: the common case.
    pub(crate) fn single_key(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [Part::Key(key)] if self.root == PathRoot::Body => Some(key),
            _ => None,
        }
    }

    /// The keys it leads through behind its root, unless there is an index among them.
    pub fn keys(&self) -> Option<Vec<&str>> {
        let parts = self.parts.iter();
        parts.map(|part| if let Part::Key(key) = part { Some(key.as_str()) } else { None }).collect()
    }

    /// Whether the paths are the same, however they are written.
    pub(crate) fn same_place(&self, other: &Path) -> bool {
        self.root == other.root && self.parts == other.parts
    }

    /// Whether `other` may lie in what this path names, or be it under another name: too often rather than too seldom.
    pub(crate) fn may_hold(&self, other: &Path) -> bool {
        self.root == other.root && other.flat().starts_with(&self.flat())
    }

    /// What all ways a path can be read have in common: keys with dots between, no matter where a key ends.
    fn flat(&self) -> String {
        let words: Vec<&str> = self.parts.iter().map(|p| if let Part::Key(key) = p { key } else { "[]" }).collect();
        words.join(".")
    }

    /// What the path starts from.
    pub fn root(&self) -> PathRoot {
        self.root
    }

    /// The path as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl std::fmt::Display for Path {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

// === impl Resolved ===

impl Clone for Resolved<'_> {
    fn clone(&self) -> Self {
        Resolved {
            path: self.path.clone(),
            ids: self.ids.clone(),
            known: AtomicU16::new(self.known.load(Relaxed)),
            single: self.single,
        }
    }
}

impl Resolved<'_> {
    /// Ids of the literal keys that start at part `i`, shortest first.
    pub(crate) fn keys_at(&self, i: usize) -> &[u16] {
        &self.ids[self.path.starts[i]..self.path.starts[i + 1]]
    }

    /// The single key of a one-part path into the body: the common case.
    #[inline]
    pub(crate) fn single_key(&self) -> Option<u16> {
        self.single.then(|| self.ids[0])
    }

    /// Whether a key that was missing has been added to the batch since.
    #[inline]
    pub(crate) fn is_stale(&self, keys: &Keys) -> bool {
        usize::from(self.known.load(Relaxed)) != keys.len() && self.look_again(keys)
    }

    #[cold]
    fn look_again(&self, keys: &Keys) -> bool {
        let names = self.path.joined.iter().flatten();
        let stale = names.zip(&self.ids).any(|(name, &id)| id == NO_KEY && keys.find(name).is_some());
        if !stale {
            self.known.store(keys.len() as u16, Relaxed);
        }
        stale
    }
}

impl Batch {
    /// What `path` means in this batch: resolve once per batch and filter. Good for as long as the batch is not reset; keys
    /// added to it later are found, more slowly.
    pub fn resolve<'p>(&self, path: &'p Path) -> Resolved<'p> {
        self.resolve_held(Held::Borrowed(path))
    }

    /// As [`Batch::resolve`], for those who keep what they resolved beside the path.
    pub fn resolve_shared(&self, path: &Arc<Path>) -> Resolved<'static> {
        self.resolve_held(Held::Shared(path.clone()))
    }

    fn resolve_held<'p>(&self, path: Held<'p>) -> Resolved<'p> {
        assert!(!self.is_packed(), "a packed batch is asked for a value");
        let ids = path.joined.iter().flatten().map(|key| self.keys.find(key).unwrap_or(NO_KEY)).collect();
        let single = path.single_key().is_some();
        Resolved { ids, known: AtomicU16::new(self.keys.len() as u16), single, path }
    }
}

fn error(at: usize, message: String) -> PathError {
    PathError { at, message }
}

fn special_root(parts: &mut Vec<Part>) -> Result<PathRoot, PathError> {
    let Some(Part::Key(first)) = parts.first() else { return Ok(PathRoot::Resource) };
    let root = match first.as_str() {
        "time" => PathRoot::Time,
        "tag" => PathRoot::Tag,
        "input" => PathRoot::Input,
        "signal" => PathRoot::Signal,
        "resource" => PathRoot::Resource,
        "scope" => PathRoot::Scope,
        word => match Header::ALL.into_iter().find(|h| h.name() == word) {
            Some(header) => PathRoot::Header(header),
            None => return Ok(PathRoot::Resource),
        },
    };
    parts.remove(0);
    let deep = matches!(root, PathRoot::Resource | PathRoot::Scope | PathRoot::Header(Header::Attributes));
    match (deep, parts.is_empty()) {
        (false, false) => Err(error(0, "this header field has no fields of its own".to_owned())),
        (true, true) if !matches!(root, PathRoot::Header(_)) => {
            Err(error(0, "name a field of it: @resource.service.name".to_owned()))
        }
        _ => Ok(root),
    }
}

type Result2<'a, T> = Result<(&'a str, T), nom::Err<nom::error::Error<&'a str>>>;

/// Characters a bare part may hold: those that no operator, template or path syntax needs.
fn is_bare(c: char) -> bool {
    !c.is_whitespace() && !c.is_control() && !"@.[]\"'{}()|,=!<>~:".contains(c)
}

/// Whether a key can stand in a path without quotes.
pub(crate) fn is_bare_part(key: &str) -> bool {
    !key.is_empty() && key.chars().all(is_bare)
}

fn key(input: &str) -> Result2<'_, String> {
    let quoted = delimited(char('"'), opt(is_not_escaped), char('"')).map(|s| unescape_quoted(s.unwrap_or("")));
    let bare = take_while1(is_bare).map(str::to_owned);
    alt((quoted, bare)).parse(input)
}

/// The inside of a quoted part: anything but a quote, or a backslash and what it protects.
fn is_not_escaped(input: &str) -> Result2<'_, &str> {
    let piece = alt((recognize(is_not("\\\"")), recognize((char('\\'), nom::character::complete::anychar))));
    recognize(nom::multi::many1_count(piece)).parse(input)
}

fn unescape_quoted(s: &str) -> String {
    let mut out = String::with_capacity(s.len());
    let mut chars = s.chars();
    while let Some(c) = chars.next() {
        out.push(if c == '\\' { chars.next().unwrap_or(c) } else { c });
    }
    out
}

fn index(input: &str) -> Result2<'_, i32> {
    let number = recognize(preceded(opt(tag("-")), digit1)).map_opt(|s: &str| s.parse().ok());
    delimited(char('['), number, char(']')).parse(input)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_what_semantics_names() {
        for (text, root, parts) in [
            ("level", PathRoot::Body, 1),
            ("http.status", PathRoot::Body, 2),
            (r#"a."b.c".d"#, PathRoot::Body, 3),
            ("items[0].id", PathRoot::Body, 3),
            ("items[-1]", PathRoot::Body, 2),
            ("@time", PathRoot::Time, 0),
            ("@tag", PathRoot::Tag, 0),
            ("@trace_id", PathRoot::Header(Header::TraceId), 0),
            ("@attributes.user.id", PathRoot::Header(Header::Attributes), 2),
            ("@resource.host.name", PathRoot::Resource, 2),
            ("@k8s.namespace.name", PathRoot::Resource, 3),
            ("@scope.name", PathRoot::Scope, 1),
        ] {
            let path = Path::parse(text).unwrap();
            assert_eq!((path.root, path.parts.len()), (root, parts), "{text}");
            assert_eq!(path.as_str(), text);
        }
        let quoted = Path::parse(r#"a."b.\"c""#).unwrap();
        assert_eq!(quoted.parts[1], Part::Key("b.\"c".to_owned()));
    }

    #[test]
    fn says_where_it_is_wrong() {
        for (text, at) in [
            ("", 0),
            ("a..b", 2),
            ("a.", 2),
            ("a[x]", 1),
            ("a[99999999999]", 1),
            ("a b", 1),
            ("a.\"b", 2),
            ("@", 1),
            ("@time.x", 0),
            ("@resource", 0),
        ] {
            assert_eq!(Path::parse(text).expect_err(text).at, at, "{text}");
        }
        assert!(Path::parse(&vec!["a"; 17].join(".")).is_err());
    }

    #[test]
    fn a_prefix_stops_at_an_operator() {
        let (path, used) = Path::parse_prefix("http.status==500").unwrap();
        assert_eq!((path.as_str(), used), ("http.status", 11));
    }
}
