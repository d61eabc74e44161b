//! What a condition is once it is parsed.

use memchr::memmem::Finder;
use regex::Regex;
use suiro_record::Kind;

use super::number::Number;

/// A condition, or a part of one. Its depth is bounded by the grammar.
#[derive(Clone, Debug)]
pub(super) enum Expr {
    All(Vec<Expr>),
    Any(Vec<Expr>),
    Not(Box<Expr>),
    Exists(PathId),
    Is(PathId, Kind),
    /// A field equals a text: the case that must be fast.
    Says(PathId, Box<str>),
    Equal(Left, Right),
    Order(Left, Order, Right),
    OneOf(Left, List),
    /// A text contains this text, or a list this item.
    ContainsText(PathId, Box<Needle>),
    Contains(PathId, Right),
    StartsWith(PathId, Right),
    EndsWith(PathId, Right),
    Fits(PathId, Regex),
}

/// Index into the condition's paths.
pub(super) type PathId = usize;

/// What stands left of an operator.
#[derive(Clone, Copy, Debug)]
pub(super) enum Left {
    Field(PathId),
    /// The number it is, or says.
    Number(PathId),
}

/// What stands right of an operator.
#[derive(Clone, Debug)]
pub(super) enum Right {
    Literal(Literal),
    Field(PathId),
    Number(PathId),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Literal {
    Null,
    Bool(bool),
    Number(Number),
    Text(Box<str>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// A text to search for.
#[derive(Clone, Debug)]
pub(super) struct Needle {
    pub(super) text: Box<str>,
    pub(super) finder: Finder<'static>,
}

/// The literals behind `in`, by type, each sorted.
#[derive(Clone, Debug, Default)]
pub(super) struct List {
    pub(super) texts: Vec<Box<str>>,
    pub(super) numbers: Vec<Number>,
    pub(super) null: bool,
    pub(super) yes: bool,
    pub(super) no: bool,
}

// === impl Order ===

impl Order {
    pub(super) fn holds(self, ordering: std::cmp::Ordering) -> bool {
        match self {
            Order::Less => ordering.is_lt(),
            Order::LessOrEqual => ordering.is_le(),
            Order::Greater => ordering.is_gt(),
            Order::GreaterOrEqual => ordering.is_ge(),
        }
    }
}

// === impl Needle ===

impl Needle {
    pub(super) fn new(text: Box<str>) -> Self {
        Needle { finder: Finder::new(text.as_bytes()).into_owned(), text }
    }
}

// === impl List ===

impl List {
    pub(super) fn new(literals: Vec<Literal>) -> Self {
        let mut list = List::default();
        for literal in literals {
            match literal {
                Literal::Null => list.null = true,
                Literal::Bool(true) => list.yes = true,
                Literal::Bool(false) => list.no = true,
                Literal::Number(number) => list.numbers.push(number),
                Literal::Text(text) => list.texts.push(text),
            }
        }
        list.texts.sort_unstable();
        list.texts.dedup();
        // Literals are never NaN.
        list.numbers.sort_by(|a, b| a.compare(*b).unwrap_or(std::cmp::Ordering::Equal));
        list
    }
}
