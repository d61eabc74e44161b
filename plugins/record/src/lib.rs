//! How records live in memory.
//!
//! The unit of flow is a [`Batch`], never a record. A batch is three flat tables:
//!
//! - **heap**: bytes. What a file held, as it was read; texts that filters made, appended behind it.
//! - **nodes**: 16 bytes a value (`node.rs`), children on forward-only links, each string, number and container an
//!   `(offset, length)` in the heap. Nothing is copied to build them.
//! - **rows**: one per record: its time, its root node, its header, the [`Scope`] it shares with many, its [`Origin`].
//!
//! Keys are interned per batch, so a [`Path`] is resolved once per batch and then costs integer comparisons.
//!
//! Records of a binary format may wait with their nodes until somebody asks for them ([`Batch::unpack`]).
//!
//! # Invariants
//!
//! 1. Every string, key and JSON span in the heap is valid UTF-8. Readers check once per chunk
//!    ([`Batch::check_utf8`]); texts that come from edits are `&str`.
//! 2. Links go forward: a child, and a next sibling, always have a higher index than the node that names them. So every
//!    walk ends, whatever was edited.
//! 3. A *clean* container's raw span is exactly its JSON text, and its subtree is the run of nodes right behind it.
//!    An edit inside it makes it, and every container above it, *dirty*; a dirty container is written by walking. A body
//!    or a header that came in a binary format is clean too until it is edited: its span is the message it was read from
//!    ([`NodeRef::wire`]), and what is in it is dirty; copying it within a batch or into another one makes it dirty.
//! 4. Offsets and lengths are `u32`: a batch holds at most 4 GiB, and a reader closes it long before
//!    ([`Batch::is_full`]). Keys are `u16`: a batch whose keys run out refuses the record that needs one more
//!    ([`JsonError::KeysFull`]), and the reader gives that record a fresh batch.
//! 5. Nothing of this layout leaves the process: disks and peers get text ([`Batch::write_json`]).
//!
//! # Semantics
//!
//! - Duplicate keys: the last one wins for look-up, [`Batch::remove`] removes them all, pass-through keeps the text.
//! - Key order is kept. Numbers keep their source text until somebody changes them: big integers and decimals survive.
//! - Escaped keys and strings compare by what they say: `"l\u0065vel"` is `level`.
//! - A lone surrogate (`"\ud800"`) is refused, as is nesting deeper than [`MAX_DEPTH`], by reading and by editing.
//! - What is written has no line breaks, whatever was read: it fits into formats of lines.
//!
//! There is no I/O here, nothing asynchronous, and `unsafe` only in `scan.rs`, where it was measured.

mod assemble;
mod batch;
mod build;
mod derive;
mod edit;
mod escape;
mod field;
mod header;
mod import;
mod json_error;
mod keys;
mod link;
mod lookup;
mod lossless;
mod mark;
mod node;
mod node_ref;
mod origin;
mod packed;
mod parse;
mod path;
mod place;
mod scan;
mod scope;
mod shape;
mod text;
mod value;
mod walk;
mod write;

pub use assemble::{Assembly, Key, Piece};
pub use batch::{Batch, RootId, Row, Signal, TimeKind};
pub use edit::{EditError, NewValue};
pub use escape::{write_escaped as write_json_escaped, write_json_str};
pub use field::{Field, Kind};
pub use header::Header;
pub use json_error::JsonError;
pub use keys::MAX_KEYS;
pub use mark::Mark;
pub use node_ref::{Children, NodeRef};
pub use origin::{Origin, Source};
pub use packed::{MessageEdit, MessageEditor, Messages, Rewrite};
pub use parse::MAX_DEPTH;
pub use path::{MAX_PARTS, Path, PathError, PathRoot, Resolved};
pub use scope::{Attributes, Scope};
pub use shape::{Building, Shape, is_number};
pub use text::Utf8Report;
pub use value::Value;
pub use walk::Walk;

/// The key under which a line without a parser, or a body that is not a map, is kept.
pub const LOG_KEY: &str = "log";
