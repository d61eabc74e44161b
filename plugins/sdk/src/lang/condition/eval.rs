//! Whether a condition is true for a record.
//!
//! Nothing here allocates but for texts with escapes, and for maps and lists compared as wholes.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::HashMap;

use suiro_record::{Batch, Field, Kind, Resolved, Row, Value};

use super::expr::{Expr, Left, List, Literal, Order, PathId, Right};
use super::number::Number;

/// Texts behind `in` up to which each is compared in turn.
const FEW: usize = 4;

/// A record, and the paths as it has them.
#[derive(Clone, Copy)]
struct Record<'a> {
    batch: &'a Batch,
    row: &'a Row,
    paths: &'a [Resolved<'a>],
}

/// What a side of a comparison is.
enum Side<'a> {
    Field(Field<'a>),
    Literal(&'a Literal),
    Number(Number),
}

#[inline]
pub(super) fn matches(expr: &Expr, paths: &[Resolved<'_>], batch: &Batch, row: &Row) -> bool {
    Record { batch, row, paths }.matches(expr)
}

// === impl Record ===

impl<'a> Record<'a> {
    fn matches(self, expr: &'a Expr) -> bool {
        match expr {
            Expr::Says(path, text) => self.field(*path).is_some_and(|field| field.str_eq(text)),
            Expr::All(all) => all.iter().all(|expr| self.matches(expr)),
            Expr::Any(any) => any.iter().any(|expr| self.matches(expr)),
            Expr::Not(expr) => !self.matches(expr),
            Expr::Exists(path) => self.field(*path).is_some(),
            Expr::Is(path, kind) => self.field(*path).is_some_and(|field| field.kind() == *kind),
            Expr::Equal(left, right) => self.both(*left, right).is_some_and(|(a, b)| equal(&a, &b)),
            Expr::Order(left, order, right) => self.both(*left, right).is_some_and(|(a, b)| ordered(&a, *order, &b)),
            Expr::OneOf(left, list) => self.left(*left).is_some_and(|side| one_of(&side, list)),
            Expr::ContainsText(path, needle) => self.field(*path).is_some_and(|field| match field.as_str() {
                Some(text) => needle.finder.find(text.as_bytes()).is_some(),
                None => has_item(field, |item| item.str_eq(&needle.text)),
            }),
            Expr::Contains(path, right) => {
                self.both(Left::Field(*path), right).is_some_and(|(list, item)| match list {
                    Side::Field(list) => contains(list, &item),
                    _ => false,
                })
            }
            Expr::StartsWith(path, right) => {
                self.texts(*path, right).is_some_and(|(text, head)| text.as_bytes().starts_with(head.as_bytes()))
            }
            Expr::EndsWith(path, right) => {
                self.texts(*path, right).is_some_and(|(text, tail)| text.as_bytes().ends_with(tail.as_bytes()))
            }
            Expr::Fits(path, regex) => {
                self.field(*path).and_then(Field::as_str).is_some_and(|text| regex.is_match(&text))
            }
        }
    }

    #[inline]
    fn field(self, path: PathId) -> Option<Field<'a>> {
        self.batch.get(self.row, self.paths.get(path)?)
    }

    /// The number a field is, or its text says.
    fn number(self, path: PathId) -> Option<Number> {
        let field = self.field(path)?;
        match field.as_str() {
            Some(text) => Number::parse(&text),
            None => Number::of(field),
        }
    }

    fn left(self, left: Left) -> Option<Side<'a>> {
        match left {
            Left::Field(path) => self.field(path).map(Side::Field),
            Left::Number(path) => self.number(path).map(Side::Number),
        }
    }

    fn right(self, right: &'a Right) -> Option<Side<'a>> {
        match right {
            Right::Literal(literal) => Some(Side::Literal(literal)),
            Right::Field(path) => self.field(*path).map(Side::Field),
            Right::Number(path) => self.number(*path).map(Side::Number),
        }
    }

    fn both(self, left: Left, right: &'a Right) -> Option<(Side<'a>, Side<'a>)> {
        Some((self.left(left)?, self.right(right)?))
    }

    fn texts(self, left: PathId, right: &'a Right) -> Option<(Cow<'a, str>, Cow<'a, str>)> {
        Some((self.field(left)?.as_str()?, self.right(right)?.text()?))
    }
}

// === impl Side ===

impl<'a> Side<'a> {
    fn number(&self) -> Option<Number> {
        match self {
            Side::Field(field) => Number::of(*field),
            Side::Literal(Literal::Number(number)) => Some(*number),
            Side::Number(number) => Some(*number),
            Side::Literal(_) => None,
        }
    }

    fn text(&self) -> Option<Cow<'a, str>> {
        match self {
            Side::Field(field) => field.as_str(),
            Side::Literal(Literal::Text(text)) => Some(Cow::Borrowed(text)),
            _ => None,
        }
    }
}

fn equal(a: &Side<'_>, b: &Side<'_>) -> bool {
    match (a, b) {
        (Side::Field(field), Side::Literal(literal)) | (Side::Literal(literal), Side::Field(field)) => {
            equals_literal(*field, literal)
        }
        (Side::Field(a), Side::Field(b)) => equal_fields(*a, *b),
        _ => a.number().is_some_and(|a| b.number().is_some_and(|b| a == b)),
    }
}

fn equals_literal(field: Field<'_>, literal: &Literal) -> bool {
    match literal {
        Literal::Null => field.is_null(),
        Literal::Bool(b) => field.as_bool() == Some(*b),
        Literal::Number(number) => Number::of(field).is_some_and(|n| n == *number),
        Literal::Text(text) => field.str_eq(text),
    }
}

fn equal_fields(a: Field<'_>, b: Field<'_>) -> bool {
    match (a.kind(), b.kind()) {
        (Kind::String, Kind::String) => a.as_str() == b.as_str(),
        (Kind::Number, Kind::Number) => Number::of(a).is_some_and(|a| Number::of(b).is_some_and(|b| a == b)),
        (a_kind, b_kind) => a_kind == b_kind && equal_values(&a.to_value(), &b.to_value()),
    }
}

fn equal_values(a: &Value, b: &Value) -> bool {
    if let (Some(a), Some(b)) = (Number::of_value(a), Number::of_value(b)) {
        return a == b;
    }
    match (a, b) {
        (Value::Null, Value::Null) => true,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::Str(a), Value::Str(b)) => a == b,
        (Value::Bytes(a), Value::Bytes(b)) => a == b,
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal_values(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            // Of a key that is there twice the last counts, as in look-ups.
            let members = |object: &'_ [(String, Value)]| -> HashMap<String, usize> {
                object.iter().enumerate().map(|(at, (key, _))| (key.clone(), at)).collect()
            };
            let (of_a, of_b) = (members(a), members(b));
            of_a.len() == of_b.len()
                && of_a.iter().all(|(key, &at)| of_b.get(key).is_some_and(|&other| equal_values(&a[at].1, &b[other].1)))
        }
        _ => false,
    }
}

fn ordered(a: &Side<'_>, order: Order, b: &Side<'_>) -> bool {
    let ordering: Option<Ordering> = match (a.number(), b.number()) {
        (Some(a), Some(b)) => a.compare(b),
        (None, None) => a.text().and_then(|a| b.text().map(|b| a.as_bytes().cmp(b.as_bytes()))),
        _ => None,
    };
    ordering.is_some_and(|ordering| order.holds(ordering))
}

fn one_of(side: &Side<'_>, list: &List) -> bool {
    if let Side::Field(field) = side {
        match field.kind() {
            Kind::String if list.texts.len() <= FEW => return list.texts.iter().any(|text| field.str_eq(text)),
            Kind::String => {
                let text = field.as_str().unwrap_or_default();
                return list.texts.binary_search_by(|listed| listed.as_bytes().cmp(text.as_bytes())).is_ok();
            }
            Kind::Null => return list.null,
            Kind::Bool => return if field.as_bool() == Some(true) { list.yes } else { list.no },
            Kind::Number => {}
            Kind::Bytes | Kind::Array | Kind::Object => return false,
        }
    }
    // NaN is nowhere.
    let find = |number| list.numbers.binary_search_by(|listed| listed.compare(number).unwrap_or(Ordering::Less));
    !list.numbers.is_empty() && side.number().is_some_and(|number| find(number).is_ok())
}

fn contains(list: Field<'_>, item: &Side<'_>) -> bool {
    match (list.as_str(), item.text()) {
        (Some(text), Some(part)) => memchr::memmem::find(text.as_bytes(), part.as_bytes()).is_some(),
        (Some(_), None) => false,
        (None, _) => has_item(list, |found| equal(&Side::Field(found), item)),
    }
}

fn has_item(list: Field<'_>, mut is_it: impl FnMut(Field<'_>) -> bool) -> bool {
    match list {
        Field::Node(node) if node.kind() == Kind::Array => node.children().any(|item| is_it(Field::Node(item))),
        Field::Value(Value::Array(items)) => items.iter().any(|item| is_it(Field::Value(item))),
        _ => false,
    }
}
