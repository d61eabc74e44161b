//! The grammar of templates.
//!
//! ```text
//! template    = *( text / "{{" / "}}" / placeholder )
//! placeholder = "{" path [ "|" default / ":" format ] "}"        format: only behind @time
//! ```

use nom::Parser as _;
use nom::branch::alt;
use nom::bytes::complete::{is_not, tag, take_till};
use nom::character::complete::{char, multispace0};
use nom::combinator::{all_consuming, value};
use nom::multi::{fold_many1, many0};
use suiro_record::{Path, PathRoot};

use super::Segment;
use super::date::DateFormat;
use crate::lang::error::{LangError, Parsed, Trouble, finish};

/// The longest template, bytes.
const MAX_LEN: usize = 16 * 1024;
const BRACE_HELP: &str = "for a brace itself write `{{` or `}}`";

pub(super) fn parse(text: &str) -> Result<Vec<Segment>, LangError> {
    if text.len() > MAX_LEN {
        return Err(LangError::new(0, text.len(), format!("a template has at most {MAX_LEN} bytes"), ""));
    }
    finish(text, all_consuming(many0(alt((literal, placeholder, stray)))).parse(text)).map(|(_, segments)| segments)
}

fn literal(input: &str) -> Parsed<'_, Segment> {
    let piece = alt((is_not("{}"), value("{", tag("{{")), value("}", tag("}}"))));
    fold_many1(piece, String::new, |mut text, piece| {
        text.push_str(piece);
        text
    })
    .map(Segment::Literal)
    .parse(input)
}

fn stray(input: &str) -> Parsed<'_, Segment> {
    match input.starts_with('}') {
        true => Trouble::new(input, 1, "this brace closes nothing", BRACE_HELP).fatal(),
        false => Err(nom::Err::Error(Trouble::new(input, 0, "", ""))),
    }
}

fn placeholder(open: &str) -> Parsed<'_, Segment> {
    let (input, _) = (char('{'), multispace0).parse(open)?;
    let (path, used) = match Path::parse_prefix(input) {
        Ok(found) => found,
        Err(error) => {
            let rest = input.get(error.at..).unwrap_or_default();
            let len = rest.chars().next().map_or(0, char::len_utf8);
            return Trouble::new(rest, len, error.message, BRACE_HELP).fatal();
        }
    };
    let (input, _) = multispace0(&input[used..])?;
    let (input, segment) = match input.as_bytes().first() {
        Some(b'|') => {
            let (rest, default) = inside(&input[1..])?;
            (rest, Segment::Field { path, default: Some(default.to_owned()) })
        }
        Some(b':') if path.root() == PathRoot::Time => {
            let (rest, format) = inside(&input[1..])?;
            match DateFormat::parse(format) {
                Ok(date) => (rest, Segment::Date(date)),
                Err((message, help)) => return Trouble::new(&input[1..], format.len(), message, help).fatal(),
            }
        }
        Some(b':') => {
            let message = "only @time takes a format";
            return Trouble::new(input, 1, message, "write {@time:%Y.%m.%d}; a default stands behind `|`").fatal();
        }
        _ => (input, Segment::Field { path, default: None }),
    };
    match input.chars().next() {
        Some('}') => Ok((&input[1..], segment)),
        Some('{') => Trouble::new(input, 1, "a placeholder holds no braces", "").fatal(),
        Some(c) => {
            let message = format!("`{c}` can't stand in a placeholder");
            Trouble::new(input, c.len_utf8(), message, "it is {path}, {path|default} or {@time:%Y.%m.%d}").fatal()
        }
        None => Trouble::new(open, 1, "this brace is never closed", BRACE_HELP).fatal(),
    }
}

/// Up to the brace that ends the placeholder.
fn inside(input: &str) -> Parsed<'_, &str> {
    take_till(|c| c == '}' || c == '{').parse(input)
}
