//! The words of conditions: texts, numbers, lists, keywords. And what people write instead.

use nom::Parser;
use nom::branch::alt;
use nom::bytes::complete::{is_not, tag, take_while, take_while_m_n};
use nom::character::complete::{anychar, char, multispace0};
use nom::combinator::{cut, map_opt, opt, recognize, value};
use nom::multi::{fold_many0, many0_count, separated_list0};
use nom::sequence::{delimited, preceded, terminated};

use super::expr::Literal;
use super::number::Number;
use crate::lang::error::{Parsed, Trouble};

/// Words that are not fields unless they are quoted.
pub(super) const RESERVED: [&str; 10] =
    ["and", "or", "not", "in", "contains", "starts_with", "ends_with", "true", "false", "null"];

/// A word of the language, with the white space behind it.
pub(super) fn keyword<'a>(word: &'static str) -> impl FnMut(&'a str) -> Parsed<'a, &'a str> {
    move |input| {
        let (rest, found) = tag(word).parse(input)?;
        if rest.starts_with(continues) {
            return no(input);
        }
        Ok((multispace0(rest)?.0, found))
    }
}

/// A sign, with the white space behind it.
pub(super) fn sign<'a>(sign: &'static str) -> impl Parser<&'a str, Output = &'a str, Error = Trouble<'a>> {
    terminated(tag(sign), multispace0)
}

/// Whether `c` would make a word longer.
pub(super) fn continues(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.')
}

/// The word at the head of `input`, for messages.
pub(super) fn word(input: &str) -> &str {
    let end = input.find(|c| !continues(c)).unwrap_or(input.len());
    &input[..end]
}

/// Another branch is wanted.
pub(super) fn no<T>(input: &str) -> Parsed<'_, T> {
    Err(nom::Err::Error(Trouble::new(input, 0, "something else is expected", "")))
}

/// `true`, `1.5`, `"text"`, with the white space behind it.
pub(super) fn literal(input: &str) -> Parsed<'_, Literal> {
    alt((
        text.map(Literal::Text),
        number.map(Literal::Number),
        value(Literal::Null, keyword("null")),
        value(Literal::Bool(true), keyword("true")),
        value(Literal::Bool(false), keyword("false")),
    ))
    .parse(input)
}

/// A text in double quotes.
fn text(input: &str) -> Parsed<'_, Box<str>> {
    let (inside, _) = char('"').parse(input)?;
    let piece = alt((is_not("\"\\").map(Piece::Text), preceded(char('\\'), cut(escape)).map(Piece::Char)));
    let (rest, text) = fold_many0(piece, String::new, |mut text, piece| {
        match piece {
            Piece::Text(piece) => text.push_str(piece),
            Piece::Char(c) => text.push(c),
        }
        text
    })
    .parse(inside)?;
    let rest = closing_quote(input, rest)?;
    Ok((rest, text.into()))
}

enum Piece<'a> {
    Text(&'a str),
    Char(char),
}

/// What stands behind a backslash.
fn escape(input: &str) -> Parsed<'_, char> {
    let simple = map_opt(anychar, |c| match c {
        '"' | '\\' | '/' => Some(c),
        'n' => Some('\n'),
        'r' => Some('\r'),
        't' => Some('\t'),
        _ => None,
    });
    let hex = take_while_m_n(4, 4, |c: char| c.is_ascii_hexdigit());
    let unicode = preceded(char('u'), map_opt(hex, |hex| char::from_u32(u32::from_str_radix(hex, 16).ok()?)));
    let found: Parsed<'_, char> = alt((simple, unicode)).parse(input);
    match found {
        Ok(found) => Ok(found),
        Err(_) => {
            let len = input.chars().next().map_or(0, char::len_utf8);
            let help = r#"there are \" \\ \/ \n \r \t and \u00e9; for a backslash write \\"#;
            Trouble::new(input, len, "nothing is written with this behind a backslash", help).fatal()
        }
    }
}

/// A text in double quotes as it is written: in a regular expression, backslashes are its own. Gives the text, and the
/// input behind it and its white space.
pub(super) fn raw_text(input: &str) -> Parsed<'_, &str> {
    let (inside, _) = char('"').parse(input)?;
    let piece = alt((is_not("\"\\"), recognize((char('\\'), anychar))));
    let (rest, text) = recognize(many0_count(piece)).parse(inside)?;
    let rest = closing_quote(input, rest)?;
    Ok((rest, text))
}

fn closing_quote<'a>(open: &'a str, rest: &'a str) -> Result<&'a str, nom::Err<Trouble<'a>>> {
    match terminated(char::<&str, Trouble<'_>>('"'), multispace0).parse(rest) {
        Ok((rest, _)) => Ok(rest),
        Err(_) => Err(nom::Err::Failure(Trouble::new(open, 1, "this quote is never closed", ""))),
    }
}

fn number(input: &str) -> Parsed<'_, Number> {
    let digits = input.strip_prefix(['-', '+']).unwrap_or(input);
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return no(input);
    }
    let (rest, token) =
        recognize((opt(alt((char('-'), char('+')))), take_while(|c| continues(c) || c == '+'))).parse(input)?;
    match Number::parse(token) {
        Some(number) => Ok((multispace0(rest)?.0, number)),
        None => {
            let message = format!("`{}` is no number", shortened(token));
            Trouble::new(
                input,
                token.len(),
                message,
                format!("a text stands in double quotes: \"{}\"", shortened(token)),
            )
            .fatal()
        }
    }
}

/// `[1, "a", null]`
pub(super) fn list(input: &str) -> Parsed<'_, Vec<Literal>> {
    if !input.starts_with('[') {
        let help = "write `in [\"a\", \"b\"]`; whether a list has an item asks `tags contains \"a\"`";
        return Trouble::new(input, word(input).len(), "behind `in` stands a list in brackets", help).fatal();
    }
    let items = terminated(separated_list0(sign(","), literal), opt(sign(",")));
    let (rest, list) = delimited(sign("["), items, multispace0).parse(input)?;
    match rest.chars().next() {
        Some(']') => Ok((multispace0(&rest[1..])?.0, list)),
        Some(_) => {
            mistaken_literal(rest, "an item of a list is a text in double quotes, a number, true, false or null")
        }
        None => Trouble::new(input, 1, "this bracket is never closed", "").fatal(),
    }
}

/// The failure where a literal should be and something like one is.
pub(super) fn mistaken_literal<'a, T>(input: &'a str, message: &'static str) -> Parsed<'a, T> {
    let Some(c) = input.chars().next() else {
        return Trouble::new(input, 0, "something is missing here", message).fatal();
    };
    if matches!(c, '\'' | '`' | '“' | '”' | '„' | '‘' | '’') {
        return Trouble::new(input, c.len_utf8(), "a text stands in double quotes", "write \"text\"").fatal();
    }
    let word = word(input);
    if word.is_empty() {
        return Trouble::new(input, c.len_utf8(), message, "").fatal();
    }
    Trouble::new(input, word.len(), message, format!("a text stands in double quotes: \"{}\"", shortened(word))).fatal()
}

pub(super) fn shortened(text: &str) -> &str {
    text.char_indices().nth(40).map_or(text, |(at, _)| &text[..at])
}
