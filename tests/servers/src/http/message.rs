//! Requests and answers.

use std::io::{self, BufRead, Read};

use flate2::read::MultiGzDecoder;

/// Most bytes of the head of a request.
const MAX_HEAD: usize = 64 << 10;

/// The head of a request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Head {
    pub(crate) method: String,
    /// Without the query.
    pub(crate) path: String,
    /// `a=b&c=d`, percent-decoded per value on demand.
    pub(crate) query: String,
    headers: Vec<(String, String)>,
    /// HTTP/1.0, or `Connection: close`.
    pub(crate) last: bool,
}

/// A request whose body is decoded.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) head: Head,
    pub(crate) body: Vec<u8>,
    /// The body as sent, where that is not the same.
    pub(crate) encoded: Option<Vec<u8>>,
}

/// A body that was read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Body {
    pub(crate) bytes: Vec<u8>,
    /// As sent, where that is not the same.
    pub(crate) encoded: Option<Vec<u8>>,
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

/// Why there is no body.
pub(crate) enum BodyError {
    TooLarge,
    Undecodable(String),
    /// The connection ended, or what came is not HTTP.
    Gone,
}

// === impl Head ===

impl Head {
    /// Reads a head; `None` where the connection ended before one.
    pub(crate) fn read(stream: &mut impl BufRead) -> io::Result<Option<Head>> {
        let mut left = MAX_HEAD;
        let Some(first) = line(stream, &mut left)? else { return Ok(None) };
        let mut words = first.split(' ');
        let (Some(method), Some(target), Some(version)) = (words.next(), words.next(), words.next()) else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut head = Head {
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            headers: Vec::new(),
            last: version == "HTTP/1.0",
        };
        while let Some(line) = line(stream, &mut left)?.filter(|line| !line.is_empty()) {
            let Some((name, value)) = line.split_once(':') else { return Err(io::ErrorKind::InvalidData.into()) };
            head.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        head.last |= head.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        Ok(Some(head))
    }

    /// A header by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// All headers, names in lower case.
    pub(crate) fn headers(&self) -> &[(String, String)] {
        &self.headers
    }

    /// A parameter of the query, decoded.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        self.query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .find(|(key, _)| *key == name)
            .map(|(_, v)| decode(v))
    }

    /// Bytes of the body, where the head says.
    pub(crate) fn length(&self) -> Option<usize> {
        self.header("content-length")?.parse().ok()
    }

    /// Reads the body and decodes it, each up to `max` bytes.
    pub(crate) fn read_body(&self, stream: &mut impl BufRead, max: usize, decode: bool) -> Result<Body, BodyError> {
        let raw = if self.header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
            chunked(stream, max)?
        } else {
            let length = self.length().unwrap_or(0);
            if length > max {
                return Err(BodyError::TooLarge);
            }
            let mut body = Vec::with_capacity(length);
            let read = stream.take(length as u64).read_to_end(&mut body).map_err(|_| BodyError::Gone)?;
            if read < length {
                return Err(BodyError::Gone);
            }
            body
        };
        match self.header("content-encoding").filter(|_| decode) {
            None | Some("identity") => Ok(Body { bytes: raw, encoded: None }),
            Some("gzip") => {
                let mut bytes = Vec::new();
                let undecodable = |_| BodyError::Undecodable("gzip".to_owned());
                MultiGzDecoder::new(&raw[..]).take(max as u64 + 1).read_to_end(&mut bytes).map_err(undecodable)?;
                if bytes.len() > max { Err(BodyError::TooLarge) } else { Ok(Body { bytes, encoded: Some(raw) }) }
            }
            Some(other) => Err(BodyError::Undecodable(other.to_owned())),
        }
    }
}

/// A line without its end; `None` at the end of the stream.
fn line(stream: &mut impl BufRead, left: &mut usize) -> io::Result<Option<String>> {
    let mut bytes = Vec::new();
    let read = stream.take(*left as u64).read_until(b'\n', &mut bytes)?;
    *left -= read;
    if read == 0 {
        return if *left == 0 { Err(io::ErrorKind::InvalidData.into()) } else { Ok(None) };
    }
    while bytes.last().is_some_and(|byte| matches!(byte, b'\r' | b'\n')) {
        bytes.pop();
    }
    String::from_utf8(bytes).map(Some).map_err(|_| io::ErrorKind::InvalidData.into())
}

fn chunked(stream: &mut impl BufRead, max: usize) -> Result<Vec<u8>, BodyError> {
    let mut body = Vec::new();
    loop {
        let mut left = MAX_HEAD;
        let head = line(stream, &mut left).ok().flatten().ok_or(BodyError::Gone)?;
        let length = usize::from_str_radix(head.split(';').next().unwrap_or_default().trim(), 16);
        let length = length.map_err(|_| BodyError::Gone)?;
        if length > max.saturating_sub(body.len()) {
            return Err(BodyError::TooLarge);
        }
        let read = stream.take(length as u64).read_to_end(&mut body).map_err(|_| BodyError::Gone)?;
        let end = line(stream, &mut left).ok().flatten();
        if read < length || end.is_none() {
            return Err(BodyError::Gone);
        }
        if length == 0 {
            return Ok(body);
        }
    }
}

/// Undoes percent-encoding of a form's value; what is not encoded well stays.
pub(crate) fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let hex = text.get(at + 1..at + 3).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (byte, hex) {
            (b'%', Some(decoded)) => {
                out.push(decoded);
                at += 3;
            }
            _ => {
                out.push(if byte == b'+' { b' ' } else { byte });
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

// === impl Answer ===

impl Answer {
    /// With a body of this type.
    pub(crate) fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Answer { status, headers: vec![("content-type", content_type.to_owned())], body: body.into() }
    }

    /// A status and nothing else.
    pub(crate) fn empty(status: u16) -> Self {
        Answer { status, headers: Vec::new(), body: Vec::new() }
    }

    /// Adds a header.
    pub(crate) fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }

    /// Status line, headers and body. `last`: the connection ends with it.
    pub(crate) fn encode(&self, last: bool) -> Vec<u8> {
        let mut out = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status)).into_bytes();
        for (name, value) in &self.headers {
            out.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        if last {
            out.extend_from_slice(b"connection: close\r\n");
        }
        if self.status != 204 {
            out.extend_from_slice(format!("content-length: {}\r\n", self.body.len()).as_bytes());
        }
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(&self.body);
        out
    }
}

pub(crate) fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        413 => "Request Entity Too Large",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        _ => "Answer",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(text: &str) -> (Head, Result<Vec<u8>, BodyError>) {
        let mut stream = text.as_bytes();
        let head = Head::read(&mut stream).unwrap().unwrap();
        let body = head.read_body(&mut stream, 10, true).map(|body| body.bytes);
        (head, body)
    }

    #[test]
    fn requests_are_read() {
        let (head, body) = request("POST /a?x=a%2Cb&y=2 HTTP/1.1\r\nContent-Length: 3\r\nX: y \r\n\r\nabcd");
        assert_eq!((head.method.as_str(), head.path.as_str()), ("POST", "/a"));
        assert_eq!((head.parameter("x").unwrap().as_str(), head.header("x"), head.last), ("a,b", Some("y"), false));
        assert_eq!(body.ok().unwrap(), b"abc");
        let chunks = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n3;x\r\ncde\r\n0\r\n\r\n";
        assert_eq!(request(chunks).1.ok().unwrap(), b"abcde");
        assert!(matches!(request("POST / HTTP/1.1\r\nContent-Length: 11\r\n\r\n").1, Err(BodyError::TooLarge)));
        assert!(matches!(request("POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nab").1, Err(BodyError::Gone)));
        let bad = "POST / HTTP/1.1\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nab";
        assert!(matches!(request(bad).1, Err(BodyError::Undecodable(_))));
    }
}
