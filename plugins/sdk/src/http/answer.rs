//! What came back, read no further than asked, and how it is quoted.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{HeaderMap, LOCATION, RETRY_AFTER};
use reqwest::{Response, StatusCode};

use super::failure::Failure;
use super::retry_after::retry_after;

/// Characters of an answer that are quoted, at most.
pub const EXCERPT: usize = 300;

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// How long the other side wants to be left alone.
    pub retry_after: Option<Duration>,
    /// Where a redirect points, as it is written.
    pub location: Option<String>,
    /// All headers.
    pub headers: HeaderMap,
    /// The body, or as much of it as was read.
    pub body: Vec<u8>,
    /// Whether there was more than was asked for. It was not read, and the connection is closed.
    pub cut: bool,
    /// Why the body ended early, if it did.
    pub broken: Option<Failure>,
}

// === impl Answer ===

impl Answer {
    /// Reads `response`, at most `limit` bytes of its body.
    pub(super) async fn read(mut response: Response, limit: usize) -> Answer {
        let header = |name| response.headers().get(name).map(|value| value.as_bytes());
        let mut answer = Answer {
            status: response.status(),
            retry_after: header(RETRY_AFTER).and_then(|value| retry_after(value, Timestamp::now())),
            location: header(LOCATION).map(excerpt),
            headers: HeaderMap::new(),
            body: Vec::new(),
            cut: false,
            broken: None,
        };
        answer.headers = std::mem::take(response.headers_mut());
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) => {
                    let room = limit - answer.body.len();
                    answer.body.extend_from_slice(&chunk[..chunk.len().min(room)]);
                    if chunk.len() > room {
                        answer.cut = true;
                        return answer;
                    }
                }
                Ok(None) => return answer,
                Err(error) => {
                    answer.broken = Some(Failure::new(error));
                    return answer;
                }
            }
        }
    }

    /// `503 Service Unavailable: <what the body says>`
    pub fn summary(&self) -> String {
        let text = excerpt(&self.body);
        let separator = if text.is_empty() { "" } else { ": " };
        format!("{}{separator}{text}", self.status)
    }
}

/// What a text of the other side's says, fit for a log line: one line, no control characters, of HTML only its text, at
/// most [`EXCERPT`] characters.
pub fn excerpt(text: &[u8]) -> String {
    // Tags and entities of a page's head can be long; its text is not worth more than this.
    const LOOKED_AT: usize = 64 << 10;
    let text = String::from_utf8_lossy(&text[..text.len().min(LOOKED_AT)]);
    let text = text.trim_start();
    let html = text.starts_with('<');
    let mut out = String::new();
    let mut chars = 0;
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        let shown = if html && c == '<' {
            rest = behind_tag(rest);
            ' '
        } else if c.is_whitespace() || is_invisible(c) {
            ' '
        } else {
            c
        };
        if shown == ' ' && (out.is_empty() || out.ends_with(' ')) {
            continue;
        }
        if chars == EXCERPT {
            out.truncate(out.trim_end().len());
            out.push('…');
            return out;
        }
        out.push(shown);
        chars += 1;
    }
    out.truncate(out.trim_end().len());
    out
}

/// What follows a tag of HTML, given what follows its `<`. Styles and scripts go with their content.
fn behind_tag(text: &str) -> &str {
    for element in ["style", "script"] {
        let is_it = text.get(..element.len()).is_some_and(|name| name.eq_ignore_ascii_case(element));
        if is_it {
            let end = text.as_bytes().windows(2).skip(1).position(|w| w == b"</").map_or(text.len(), |at| at + 1);
            return behind(&text[end..]);
        }
    }
    behind(text)
}

fn behind(text: &str) -> &str {
    text.find('>').map_or("", |at| &text[at + 1..])
}

/// Control characters, and those that turn the direction of what follows or can't be seen.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_is_one_clean_line() {
        for (text, shown) in [
            ("", ""),
            ("  over\r\n\tlimit \n", "over limit"),
            ("a\u{1b}[31mred\u{7}\u{202e}x", "a [31mred x"),
            ("a < b", "a < b"),
            (
                "<html><head><title>502 Bad Gateway</title></head>\n<body><center><h1>502</h1></center>",
                "502 Bad Gateway 502",
            ),
            ("<!DOCTYPE html><style>p { color: red }</style><p>gone</p><SCRIPT>x</SCRIPT>", "gone"),
            ("<html", ""),
            ("<style", ""),
        ] {
            assert_eq!(excerpt(text.as_bytes()), shown);
        }
        assert_eq!(excerpt(b"bad \xff byte"), "bad \u{fffd} byte");
    }

    #[test]
    fn an_excerpt_is_short() {
        let long = excerpt("水".repeat(5000).as_bytes());
        assert_eq!(long.chars().count(), EXCERPT + 1);
        assert!(long.ends_with('…'));
        assert_eq!(excerpt("x".repeat(EXCERPT).as_bytes()).chars().count(), EXCERPT);
        assert_eq!(excerpt(&vec![b' '; 1 << 20]), "");
    }
}
