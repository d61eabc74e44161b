//! HTTP/1.1 as the sink serves it: keep-alive, `Content-Length` or chunked bodies, `Expect: 100-continue`, gzip.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    str,
    sync::atomic::Ordering::SeqCst,
};

use memchr::memmem;

use super::{Counters, count, reply::BulkReply};

/// The longest request head taken.
const MAX_HEAD: usize = 64 << 10;

/// What the head of a request says, as far as the sink cares.
struct Head {
    get: bool,
    target: String,
    length: Option<usize>,
    chunked: bool,
    gzip: bool,
    protobuf: bool,
    /// An action of CloudWatch Logs.
    logs: bool,
    expect: bool,
    close: bool,
}

/// Bytes received and not yet used. Bodies are read straight behind the head.
struct Received {
    stream: TcpStream,
    buffer: Vec<u8>,
    filled: usize,
}

/// Serves one connection until the peer closes it.
pub(super) fn serve(stream: TcpStream, counters: &Counters) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut out = stream.try_clone()?;
    let mut received = Received { stream, buffer: vec![0; 1 << 20], filled: 0 };
    let mut answers = Answers::default();
    while let Some(head) = received.head()? {
        if head.expect {
            out.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let (length, wire) = if head.chunked {
            received.unchunk()?
        } else {
            let length = head.length.unwrap_or(0);
            received.fill(length)?;
            (length, length)
        };
        let records = answers.answer(&head, &received.buffer[..length], &mut out)?;
        match records {
            Some(0) => {}
            Some(records) => {
                if counters.add(length as u64, records) {
                    super::say(format_args!("done")).map_err(io::Error::other)?;
                }
            }
            None => {
                counters.refused.fetch_add(1, SeqCst);
            }
        }
        received.consume(wire);
        if head.close {
            break;
        }
    }
    Ok(())
}

impl Received {
    fn read_more(&mut self) -> io::Result<usize> {
        if self.filled == self.buffer.len() {
            let double = self.buffer.len() * 2;
            self.buffer.resize(double, 0);
        }
        let read = self.stream.read(&mut self.buffer[self.filled..])?;
        self.filled += read;
        Ok(read)
    }

    /// Reads until `length` bytes are there.
    fn fill(&mut self, length: usize) -> io::Result<()> {
        if length > count::MAX_BODY {
            return Err(io::ErrorKind::InvalidData.into());
        }
        if self.buffer.len() < length {
            self.buffer.resize(length, 0);
        }
        if self.filled < length {
            self.stream.read_exact(&mut self.buffer[self.filled..length])?;
            self.filled = length;
        }
        Ok(())
    }

    fn consume(&mut self, used: usize) {
        self.buffer.copy_within(used..self.filled, 0);
        self.filled -= used;
    }

    /// Reads the next head and removes it. `None` once the peer has closed.
    fn head(&mut self) -> io::Result<Option<Head>> {
        let end = loop {
            if let Some(at) = memmem::find(&self.buffer[..self.filled], b"\r\n\r\n") {
                break at + 4;
            }
            if self.filled > MAX_HEAD {
                return Err(io::ErrorKind::InvalidData.into());
            }
            if self.read_more()? == 0 {
                return Ok(None);
            }
        };
        let head = Head::parse(&self.buffer[..end]).ok_or(io::ErrorKind::InvalidData)?;
        self.consume(end);
        Ok(Some(head))
    }

    /// Reads a chunked body and joins its chunks in place at the start of the buffer: their length, and how far the
    /// encoded body went.
    fn unchunk(&mut self) -> io::Result<(usize, usize)> {
        let (mut joined, mut at) = (0, 0);
        loop {
            let line = loop {
                if let Some(end) = memmem::find(&self.buffer[at..self.filled], b"\r\n") {
                    break at..at + end;
                }
                if self.read_more()? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            };
            let size = str::from_utf8(&self.buffer[line.clone()])
                .ok()
                .and_then(|text| usize::from_str_radix(text.split(';').next()?.trim(), 16).ok())
                .filter(|size| joined + size <= count::MAX_BODY)
                .ok_or(io::ErrorKind::InvalidData)?;
            let start = line.end + 2;
            self.fill(start + size + 2)?;
            if size == 0 {
                return Ok((joined, start + 2));
            }
            self.buffer.copy_within(start..start + size, joined);
            joined += size;
            at = start + size + 2;
        }
    }
}

impl Head {
    fn parse(text: &[u8]) -> Option<Self> {
        let text = str::from_utf8(text).ok()?;
        let mut lines = text.split("\r\n");
        let mut first = lines.next()?.split(' ');
        let (method, target) = (first.next()?, first.next()?);
        let mut head = Self {
            get: matches!(method, "GET" | "HEAD"),
            target: target.to_owned(),
            length: None,
            chunked: false,
            gzip: false,
            protobuf: false,
            logs: false,
            expect: false,
            // Not even for HTTP/1.0: Fluent Bit speaks it to AWS, and sends again on the same connection.
            close: false,
        };
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            let value = value.trim();
            let is = |other: &str| name.eq_ignore_ascii_case(other);
            if is("content-length") {
                head.length = Some(value.parse().ok()?);
            } else if is("transfer-encoding") {
                head.chunked = value.eq_ignore_ascii_case("chunked");
            } else if is("content-encoding") {
                head.gzip = value.eq_ignore_ascii_case("gzip");
            } else if is("content-type") {
                head.protobuf = value.eq_ignore_ascii_case("application/x-protobuf");
            } else if is("x-amz-target") {
                head.logs = value.starts_with("Logs_20140328.");
            } else if is("expect") {
                head.expect = value.eq_ignore_ascii_case("100-continue");
            } else if is("connection") {
                head.close |= value.eq_ignore_ascii_case("close");
            }
        }
        Some(head)
    }
}

/// What a connection keeps between its requests.
#[derive(Default)]
struct Answers {
    /// The last bulk target and action, and the answers rendered for them.
    bulk: Option<(String, bool, BulkReply)>,
    decoder: snap::raw::Decoder,
    plain: Vec<u8>,
    scratch: Vec<u8>,
}

impl Answers {
    /// Answers a request: the records it held, or `None` if it was refused.
    fn answer(&mut self, head: &Head, body: &[u8], out: &mut TcpStream) -> io::Result<Option<u64>> {
        let (path, query) = head.target.split_once('?').unwrap_or((&head.target, ""));
        if head.get {
            out.write_all(about(path).as_bytes())?;
            return Ok(Some(0));
        }
        let unpacked = if head.gzip { count::gunzip(body) } else { None };
        let body = match (&unpacked, head.gzip) {
            (Some(plain), _) => plain,
            (None, false) => body,
            (None, true) => return self.refuse(out),
        };
        if path.ends_with("/_bulk") {
            let Some((records, index)) = count::bulk(body) else { return self.refuse(out) };
            let fresh = |(target, is, _): &(String, bool, BulkReply)| *target != head.target || *is != index;
            if self.bulk.as_ref().is_none_or(fresh) {
                let filter_path = query.split('&').find_map(|pair| pair.strip_prefix("filter_path="));
                let filter_path = filter_path.map(|text| text.replace("%2C", ",").replace("%2A", "*"));
                let reply = BulkReply::new(filter_path.as_deref(), if index { "index" } else { "create" });
                self.bulk = Some((head.target.clone(), index, reply));
            }
            if let Some((_, _, reply)) = &self.bulk {
                reply.write(records, out, &mut self.scratch)?;
            }
            return Ok(Some(records));
        }
        if head.logs {
            // Also streams that are made: they hold no events.
            let Some(events) = count::log_events(body) else { return self.refuse(out) };
            out.write_all(LOGS_ANSWER)?;
            return Ok(Some(events));
        }
        let entries = if head.protobuf {
            count::loki_protobuf(body, &mut self.decoder, &mut self.plain)
        } else {
            count::loki_json(body)
        };
        match entries.filter(|_| path == "/loki/api/v1/push") {
            Some(entries) => {
                out.write_all(b"HTTP/1.1 204 No Content\r\n\r\n")?;
                Ok(Some(entries))
            }
            None => self.refuse(out),
        }
    }

    fn refuse(&self, out: &mut TcpStream) -> io::Result<Option<u64>> {
        out.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")?;
        Ok(None)
    }
}

/// To any action of CloudWatch Logs. Fluent Bit takes an answer without the id of a request for a failure and sends again.
const LOGS_ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.1\r\n\
    x-amzn-RequestId: 00000000-0000-4000-8000-000000000000\r\ncontent-length: 29\r\n\r\n\
    {\"nextSequenceToken\":\"49545\"}";

/// What the servers say to an agent that looks before it sends.
fn about(path: &str) -> String {
    let body = match path {
        "/" => {
            r#"{"name":"race","cluster_name":"race","version":{"number":"9.1.0","build_flavor":"default"},"tagline":"You Know, for Search"}"#
        }
        "/_cluster/health" => r#"{"cluster_name":"race","status":"green","timed_out":false}"#,
        _ => "ready\n",
    };
    format!(
        "HTTP/1.1 200 OK\r\nX-elastic-product: Elasticsearch\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, sync::Arc, thread};

    use super::*;

    /// Sends `request` to a connection of the sink, closes, and gives the whole answer and the counters.
    fn exchange(request: &[u8]) -> (String, Arc<Counters>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let counters = Arc::new(Counters::default());
        let shared = counters.clone();
        let server = thread::spawn(move || serve(listener.accept().unwrap().0, &shared).unwrap());
        let mut client = TcpStream::connect(address).unwrap();
        client.write_all(request).unwrap();
        client.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        server.join().unwrap();
        (answer, counters)
    }

    #[test]
    fn requests_on_one_connection_are_each_answered_and_counted() {
        let body = "{\"create\":{}}\n{}\n";
        let one =
            format!("POST /race/_bulk?filter_path=errors HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        let chunked = format!(
            "POST /_bulk?filter_path=errors HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{}\r\n{:x}\r\n{}\r\n0\r\n\r\n",
            5,
            &body[..5],
            body.len() - 5,
            &body[5..]
        );
        let (answer, counters) = exchange([one.as_bytes(), chunked.as_bytes(), one.as_bytes()].concat().as_slice());
        assert_eq!(answer.matches("{\"errors\":false}").count(), 3, "{answer}");
        assert_eq!(counters.records.load(SeqCst), 3);
        assert_eq!(counters.bytes.load(SeqCst), 3 * body.len() as u64);
        assert_eq!(counters.refused.load(SeqCst), 0);
    }

    #[test]
    fn log_events_are_taken_by_their_action() {
        let head = "POST / HTTP/1.1\r\nX-Amz-Target: Logs_20140328.PutLogEvents\r\n";
        let body = r#"{"logGroupName":"race","logEvents":[{"timestamp":1,"message":"x"}]}"#;
        let one = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
        let (answer, counters) = exchange(one.repeat(2).as_bytes());
        let token = "{\"nextSequenceToken\":\"49545\"}";
        assert_eq!(answer.matches(&format!("content-length: {}\r\n\r\n{token}", token.len())).count(), 2, "{answer}");
        assert_eq!(counters.records.load(SeqCst), 2);
        assert_eq!(counters.refused.load(SeqCst), 0);
    }

    #[test]
    fn a_body_that_is_not_what_its_address_takes_is_refused() {
        let (answer, counters) = exchange(b"POST /_bulk HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc");
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
        let (answer, _) = exchange(b"POST /elsewhere HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}");
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
        assert_eq!((counters.records.load(SeqCst), counters.refused.load(SeqCst)), (0, 1));
    }
}
