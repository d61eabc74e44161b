//! The grammar of conditions.
//!
//! ```text
//! any        = all *( "or" all )
//! all        = unary *( "and" unary )
//! unary      = "not" unary / "(" any ")" / test / comparison
//! test       = ( "exists" / "is_string" / ... ) "(" path ")"
//! comparison = left operator right
//! left       = path / "number" "(" path ")"
//! right      = literal / "@" path / ( "number" / "field" ) "(" path ")"
//! ```
//!
//! The depth is bounded, so that neither parsing nor evaluation can exhaust the stack; so is the length.

use std::cell::RefCell;

use nom::Parser as _;
use nom::character::complete::multispace0;
use nom::multi::separated_list1;
use regex::Regex;
use suiro_record::{Kind, Path};

use super::expr::{Expr, Left, List, Literal, Needle, Order, PathId, Right};
use super::token::{RESERVED, continues, keyword, list, literal, mistaken_literal, raw_text, shortened, sign, word};
use crate::lang::error::{LangError, Parsed, Trouble, finish};
use crate::settings::nearest;

/// The longest condition, bytes.
const MAX_LEN: usize = 64 * 1024;
/// Fields a condition may ask for, each counted once.
const MAX_PATHS: usize = 256;
/// How deep parentheses and `not`s may nest.
const MAX_DEPTH: usize = 64;

const FUNCTIONS: [(&str, Function); 9] = [
    ("exists", Function::Exists),
    ("number", Function::Number),
    ("field", Function::Field),
    ("is_string", Function::Is(Kind::String)),
    ("is_number", Function::Is(Kind::Number)),
    ("is_bool", Function::Is(Kind::Bool)),
    ("is_null", Function::Is(Kind::Null)),
    ("is_map", Function::Is(Kind::Object)),
    ("is_list", Function::Is(Kind::Array)),
];

#[derive(Clone, Copy)]
enum Function {
    Exists,
    Number,
    Field,
    Is(Kind),
}

#[derive(Clone, Copy)]
enum Operator {
    Equal,
    NotEqual,
    Order(Order),
    In,
    Contains,
    StartsWith,
    EndsWith,
    Fits,
}

/// The signs, longer ones first.
const SIGNS: [(&str, Operator); 7] = [
    ("==", Operator::Equal),
    ("!=", Operator::NotEqual),
    ("<=", Operator::Order(Order::LessOrEqual)),
    (">=", Operator::Order(Order::GreaterOrEqual)),
    ("=~", Operator::Fits),
    ("<", Operator::Order(Order::Less)),
    (">", Operator::Order(Order::Greater)),
];
const WORDS: [(&str, Operator); 4] = [
    ("in", Operator::In),
    ("contains", Operator::Contains),
    ("starts_with", Operator::StartsWith),
    ("ends_with", Operator::EndsWith),
];

/// What people write for an operator, and what it is here.
const MISTAKEN: [(&str, &str); 14] = [
    ("===", "did you mean `==`?"),
    ("!==", "did you mean `!=`?"),
    ("<>", "did you mean `!=`?"),
    ("=>", "did you mean `>=`?"),
    ("=<", "did you mean `<=`?"),
    ("!~", "write `not a =~ \"...\"`"),
    ("~=", "did you mean `=~`?"),
    ("~", "did you mean `=~`?"),
    ("=", "did you mean `==`?"),
    ("&&", "write `and`"),
    ("||", "write `or`"),
    ("|", "write `or`"),
    ("&", "write `and`"),
    (":", "did you mean `==`?"),
];

struct Grammar {
    paths: RefCell<Vec<Path>>,
}

pub(super) fn parse(text: &str) -> Result<(Expr, Vec<Path>), LangError> {
    if text.len() > MAX_LEN {
        return Err(LangError::new(0, text.len(), format!("a condition has at most {MAX_LEN} bytes"), ""));
    }
    let grammar = Grammar { paths: RefCell::default() };
    let (_, expr) = finish(text, grammar.condition(text))?;
    Ok((expr, grammar.paths.into_inner()))
}

// === impl Grammar ===

impl Grammar {
    fn condition<'a>(&self, input: &'a str) -> Parsed<'a, Expr> {
        let (input, _) = multispace0(input)?;
        let (rest, expr) = self.any(input, 0)?;
        if rest.is_empty() { Ok((rest, expr)) } else { unexpected(rest) }
    }

    fn any<'a>(&self, input: &'a str, depth: usize) -> Parsed<'a, Expr> {
        let (rest, exprs) = separated_list1(keyword("or"), |input| self.all(input, depth)).parse(input)?;
        Ok((rest, one_or(exprs, Expr::Any)))
    }

    fn all<'a>(&self, input: &'a str, depth: usize) -> Parsed<'a, Expr> {
        let (rest, exprs) = separated_list1(keyword("and"), |input| self.unary(input, depth)).parse(input)?;
        Ok((rest, one_or(exprs, Expr::All)))
    }

    fn unary<'a>(&self, input: &'a str, depth: usize) -> Parsed<'a, Expr> {
        if depth > MAX_DEPTH {
            let message = format!("this nests deeper than {MAX_DEPTH}");
            return Trouble::new(input, word(input).len(), message, "").fatal();
        }
        if let Ok((rest, _)) = keyword("not")(input) {
            let (rest, expr) = self.unary(rest, depth + 1)?;
            return Ok((rest, Expr::Not(Box::new(expr))));
        }
        if let Ok((inside, _)) = sign("(").parse(input) {
            let (rest, expr) = self.any(inside, depth + 1)?;
            return match rest.chars().next() {
                Some(')') => Ok((multispace0(&rest[1..])?.0, expr)),
                Some(_) => unexpected(rest),
                None => Trouble::new(input, 1, "this parenthesis is never closed", "").fatal(),
            };
        }
        if let Some((function, arguments)) = function(input)? {
            let (rest, path) = self.argument(arguments)?;
            return match function {
                Function::Exists => Ok((rest, Expr::Exists(path))),
                Function::Is(kind) => Ok((rest, Expr::Is(path, kind))),
                Function::Number => self.comparison(input, Left::Number(path), rest),
                Function::Field => self.comparison(input, Left::Field(path), rest),
            };
        }
        let (rest, path) = self.left(input)?;
        self.comparison(input, Left::Field(path), rest)
    }

    /// The field left of an operator.
    fn left<'a>(&self, input: &'a str) -> Parsed<'a, PathId> {
        const HELP: &str = "the field stands left, as in `status == 200`";
        if input.is_empty() || input.starts_with(')') {
            return Trouble::new(input, usize::from(!input.is_empty()), "a condition is missing here", "").fatal();
        }
        if input.starts_with('!') {
            return Trouble::new(input, 1, "this can't stand here", "write `not`").fatal();
        }
        let is_number = |c: char| c.is_ascii_digit();
        if input.starts_with(is_number)
            || input.strip_prefix(['-', '+']).is_some_and(|rest| rest.starts_with(is_number))
        {
            let help = format!("{HELP}; a field of this name needs quotes");
            return Trouble::new(input, word(input).len(), "a number can't stand left of an operator", help).fatal();
        }
        if ["true", "false", "null"].contains(&word(input)) {
            return Trouble::new(input, word(input).len(), "a value can't stand left of an operator", HELP).fatal();
        }
        if input.starts_with('\'') {
            return Trouble::new(input, 1, "single quotes mean nothing here", HELP).fatal();
        }
        self.path(input)
    }

    fn path<'a>(&self, input: &'a str) -> Parsed<'a, PathId> {
        let (path, used) = match Path::parse_prefix(input) {
            Ok(found) => found,
            Err(error) => {
                let rest = input.get(error.at..).unwrap_or_default();
                let len = rest.chars().next().map_or(0, char::len_utf8);
                return Trouble::new(rest, len, error.message, "").fatal();
            }
        };
        let text = path.as_str();
        if RESERVED.contains(&text) {
            let help = format!("a field of this name needs quotes: \"{text}\"");
            return Trouble::new(input, used, format!("`{text}` is a word of the language"), help).fatal();
        }
        // Names may hold these signs, but nobody means one that does.
        if !text.contains('"')
            && let Some(at) = text.find("&&")
        {
            return Trouble::new(&input[at..], 2, "this is no operator", "write `and`").fatal();
        }
        let mut paths = self.paths.borrow_mut();
        let known = paths.iter().position(|known| *known == path);
        if known.is_none() {
            if paths.len() == MAX_PATHS {
                return Trouble::new(input, used, format!("a condition asks for at most {MAX_PATHS} fields"), "")
                    .fatal();
            }
            paths.push(path);
        }
        let at = known.unwrap_or(paths.len() - 1);
        Ok((multispace0(&input[used..])?.0, at))
    }

    /// `(path)`
    fn argument<'a>(&self, input: &'a str) -> Parsed<'a, PathId> {
        let (inside, _) = sign("(").parse(input)?;
        if inside.starts_with(')') {
            return Trouble::new(inside, 1, "a field is missing here", "").fatal();
        }
        let (rest, path) = self.path(inside)?;
        match rest.chars().next() {
            Some(')') => Ok((multispace0(&rest[1..])?.0, path)),
            Some(c) => Trouble::new(rest, c.len_utf8(), "here stands one field, and nothing else", "").fatal(),
            None => Trouble::new(input, 1, "this parenthesis is never closed", "").fatal(),
        }
    }

    /// The rest of a comparison, from the operator on. `start` is the input from its left side on.
    fn comparison<'a>(&self, start: &'a str, left: Left, input: &'a str) -> Parsed<'a, Expr> {
        let whole_left = start[..start.len() - input.len()].trim_end();
        let (after, operator) = operator(input, start, whole_left)?;
        let Left::Field(path) = left else {
            if !matches!(operator, Operator::Equal | Operator::NotEqual | Operator::Order(_) | Operator::In) {
                let len = word(input).len().max(2);
                return Trouble::new(input, len, "this asks about texts, and left of it stands a number", "").fatal();
            }
            return self.numeric(start, left, operator, after);
        };
        match operator {
            Operator::In => list.map(|items| Expr::OneOf(left, List::new(items))).parse(after),
            Operator::Fits => regex(after).map(|(rest, regex)| (rest, Expr::Fits(path, regex))),
            Operator::Equal | Operator::NotEqual => {
                let (rest, right) = self.right(after, start)?;
                let expr = match right {
                    Right::Literal(Literal::Text(text)) => Expr::Says(path, text),
                    right => Expr::Equal(left, right),
                };
                Ok((rest, negated_if(matches!(operator, Operator::NotEqual), expr)))
            }
            Operator::Order(order) => {
                let (rest, right) = self.right(after, start)?;
                ordered(left, order, right, after, rest)
            }
            Operator::Contains => {
                let (rest, right) = self.right(after, start)?;
                let expr = match right {
                    Right::Literal(Literal::Text(text)) => Expr::ContainsText(path, Box::new(Needle::new(text))),
                    right => Expr::Contains(path, right),
                };
                Ok((rest, expr))
            }
            Operator::StartsWith | Operator::EndsWith => {
                let (rest, right) = self.right(after, start)?;
                if !matches!(right, Right::Literal(Literal::Text(_)) | Right::Field(_)) {
                    let len = after.len() - rest.len();
                    return Trouble::new(after, len, "a text in double quotes is expected here", "").fatal();
                }
                let starts = matches!(operator, Operator::StartsWith);
                Ok((rest, if starts { Expr::StartsWith(path, right) } else { Expr::EndsWith(path, right) }))
            }
        }
    }

    /// The right side of a comparison whose left side is a number.
    fn numeric<'a>(&self, start: &'a str, left: Left, operator: Operator, input: &'a str) -> Parsed<'a, Expr> {
        if let Operator::In = operator {
            return list.map(|items| Expr::OneOf(left, List::new(items))).parse(input);
        }
        let (rest, right) = self.right(input, start)?;
        if matches!(&right, Right::Literal(literal) if !matches!(literal, Literal::Number(_))) {
            let len = input[..input.len() - rest.len()].trim_end().len();
            return Trouble::new(input, len, "left of it stands a number, which this is not", "").fatal();
        }
        match operator {
            Operator::Order(order) => ordered(left, order, right, input, rest),
            _ => Ok((rest, negated_if(matches!(operator, Operator::NotEqual), Expr::Equal(left, right)))),
        }
    }

    /// What stands right of an operator. `start` is the input from the left side on.
    fn right<'a>(&self, input: &'a str, start: &'a str) -> Parsed<'a, Right> {
        const EXPECTED: &str = "a text in double quotes, a number, true, false, null or a field is expected here";
        match literal(input) {
            Ok((rest, literal)) => return Ok((rest, Right::Literal(literal))),
            Err(nom::Err::Error(_)) => {}
            Err(failure) => return Err(failure),
        }
        if input.starts_with('[') {
            return Trouble::new(input, 1, "a list can stand only behind `in`", "").fatal();
        }
        if let Some((called, arguments)) = function(input)? {
            let (rest, path) = self.argument(arguments)?;
            return match called {
                Function::Number => Ok((rest, Right::Number(path))),
                Function::Field => Ok((rest, Right::Field(path))),
                Function::Exists | Function::Is(_) => {
                    Trouble::new(input, word(input).len(), "this is a condition of its own, and no value", "").fatal()
                }
            };
        }
        if !input.starts_with('@') {
            return mistaken_text(input, EXPECTED);
        }
        let (rest, path) = self.path(input)?;
        let written = input[..input.len() - rest.len()].trim_end();
        if start.starts_with('"') {
            let message = "left of an operator this is the name of a field";
            return Trouble::new(
                start,
                1,
                message,
                format!("write the text behind the operator: {written} == \"...\""),
            )
            .fatal();
        }
        Ok((rest, Right::Field(path)))
    }
}

/// The failure where a text lacks its quotes: taken for a field, it would silently never be equal.
fn mistaken_text<'a, T>(input: &'a str, expected: &'static str) -> Parsed<'a, T> {
    let word = match Path::parse_prefix(input) {
        Ok((_, used)) if input.starts_with(continues) => &input[..used],
        _ => return mistaken_literal(input, expected),
    };
    let message = format!("`{}` is no text without quotes", shortened(word));
    let help = format!("write \"{0}\"; to compare with a field: field({0})", shortened(word));
    Trouble::new(input, word.len(), message, help).fatal()
}

/// A function's name, and the input from its parenthesis on.
fn function<'a>(input: &'a str) -> Result<Option<(Function, &'a str)>, nom::Err<Trouble<'a>>> {
    let name = word(input);
    let (rest, _) = multispace0::<_, Trouble<'_>>(&input[name.len()..])?;
    if name.is_empty() || !rest.starts_with('(') || RESERVED.contains(&name) {
        return Ok(None);
    }
    if let Some((_, function)) = FUNCTIONS.iter().find(|(known, _)| *known == name) {
        return Ok(Some((*function, rest)));
    }
    let names = FUNCTIONS.map(|(name, _)| name);
    let help = match nearest(name, names) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("there are {}", crate::settings::enumerate(names, "and")),
    };
    let message = format!("there is no function `{}`", shortened(name));
    Err(nom::Err::Failure(Trouble::new(input, name.len(), message, help)))
}

fn operator<'a>(input: &'a str, start: &'a str, left: &str) -> Parsed<'a, Operator> {
    let sign = SIGNS.iter().find(|(sign, _)| input.starts_with(sign));
    let mistaken = MISTAKEN.iter().find(|(sign, _)| input.starts_with(sign));
    // The longer one is what was written: `===` is not `==`, and `==` is not `=`.
    match (sign, mistaken) {
        (Some((sign, operator)), None) => return Ok((multispace0(&input[sign.len()..])?.0, *operator)),
        (Some((sign, operator)), Some((wrong, _))) if sign.len() > wrong.len() => {
            return Ok((multispace0(&input[sign.len()..])?.0, *operator));
        }
        (_, Some((wrong, help))) => {
            return Trouble::new(input, wrong.len(), format!("`{wrong}` is no operator"), *help).fatal();
        }
        (None, None) => {}
    }
    for (name, operator) in WORDS {
        if let Ok((rest, _)) = keyword(name)(input) {
            return Ok((rest, operator));
        }
    }
    let name = word(input);
    if input.is_empty() || input.starts_with(')') || ["and", "or"].contains(&name) {
        let help = format!("compare it, as in `{0} == true`, or ask `exists({0})`", shortened(left));
        return Trouble::new(start, left.len(), "a field alone is no condition", help).fatal();
    }
    let help = match name {
        "not" => "`not` stands in front: `not a in [...]`".to_owned(),
        "is" | "eq" | "equals" => "did you mean `==`?".to_owned(),
        "matches" | "match" | "like" | "regex" => "did you mean `=~`?".to_owned(),
        _ => nearest(name, WORDS.map(|(name, _)| name))
            .map_or_else(String::new, |meant| format!("did you mean `{meant}`?")),
    };
    let len = if name.is_empty() { input.chars().next().map_or(0, char::len_utf8) } else { name.len() };
    Trouble::new(input, len, "an operator is expected here", help).fatal()
}

/// `<` and its kin know numbers and texts.
fn ordered<'a>(left: Left, order: Order, right: Right, at: &'a str, rest: &'a str) -> Parsed<'a, Expr> {
    if matches!(right, Right::Literal(Literal::Null | Literal::Bool(_))) {
        let len = at[..at.len() - rest.len()].trim_end().len();
        return Trouble::new(at, len, "only numbers and texts have an order", "").fatal();
    }
    Ok((rest, Expr::Order(left, order, right)))
}

/// A regular expression in double quotes.
fn regex(input: &str) -> Parsed<'_, Regex> {
    if !input.starts_with('"') {
        return mistaken_literal(input, "a regular expression in double quotes is expected here");
    }
    let (rest, pattern) = raw_text(input)?;
    match Regex::new(pattern) {
        Ok(regex) => Ok((rest, regex)),
        Err(error) => {
            let (span, why) = match regex_syntax::parse(pattern) {
                Err(regex_syntax::Error::Parse(error)) => (*error.span(), error.kind().to_string()),
                Err(regex_syntax::Error::Translate(error)) => (*error.span(), error.kind().to_string()),
                _ => {
                    let why = error.to_string().lines().next_back().unwrap_or_default().to_owned();
                    return Trouble::new(input, pattern.len() + 2, format!("this is no regular expression: {why}"), "")
                        .fatal();
                }
            };
            let at = input.get(1 + span.start.offset..).unwrap_or(input);
            let len = span.end.offset - span.start.offset;
            Trouble::new(at, len, format!("this is no regular expression: {why}"), "").fatal()
        }
    }
}

/// The failure where a condition could have ended and goes on.
fn unexpected<T>(input: &str) -> Parsed<'_, T> {
    if let Some((sign, help)) = MISTAKEN.iter().find(|(sign, _)| input.starts_with(sign)) {
        return Trouble::new(input, sign.len(), "this can't stand here", *help).fatal();
    }
    let name = word(input);
    let help = match name {
        "AND" => "write `and`",
        "OR" => "write `or`",
        _ if input.starts_with(')') => "no parenthesis is open",
        _ => "conditions are joined with `and` or `or`",
    };
    let len = if name.is_empty() { input.chars().next().map_or(0, char::len_utf8) } else { name.len() };
    Trouble::new(input, len, "this can't stand here", help).fatal()
}

fn negated_if(negated: bool, expr: Expr) -> Expr {
    if negated { Expr::Not(Box::new(expr)) } else { expr }
}

fn one_or(mut exprs: Vec<Expr>, join: fn(Vec<Expr>) -> Expr) -> Expr {
    match exprs.pop() {
        Some(only) if exprs.is_empty() => only,
        Some(last) => {
            exprs.push(last);
            join(exprs)
        }
        None => join(exprs),
    }
}
