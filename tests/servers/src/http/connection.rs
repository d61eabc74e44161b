//! One connection: requests in turn, and what goes wrong with them.

use std::io::{self, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::Ordering;
use std::thread;

use nix::libc::linger;
use nix::sys::socket::{setsockopt, sockopt};

use super::message::{BodyError, reason};
use super::server::Shared;
use super::{Answer, Head, Request, Service};
use crate::fault::Fault;

/// Whether the connection goes on.
#[derive(PartialEq, Eq)]
enum Then {
    Next,
    Close,
}

/// Answers requests until the connection ends.
pub(super) fn serve(stream: TcpStream, shared: &Shared, service: &impl Service) {
    let _ = stream.set_nodelay(true);
    let mut reader = BufReader::with_capacity(64 << 10, stream);
    while let Ok(Some(head)) = Head::read(&mut reader) {
        shared.requests.fetch_add(1, Ordering::Relaxed);
        let fault = service.fault(&head).or_else(|| shared.faults.next());
        match request(&mut reader, head, fault, service) {
            Ok(Then::Next) => {}
            Ok(Then::Close) | Err(_) => break,
        }
    }
}

fn request(
    reader: &mut BufReader<TcpStream>,
    head: Head,
    fault: Option<Fault>,
    service: &impl Service,
) -> io::Result<Then> {
    match fault {
        Some(Fault::ResetBeforeBody) => return reset(reader),
        Some(Fault::ResetMidBody) => {
            let half = head.length().unwrap_or(0) as u64 / 2;
            io::copy(&mut reader.take(half), &mut io::sink())?;
            return reset(reader);
        }
        _ => {}
    }
    if head.header("expect").is_some() {
        reader.get_mut().write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    let mut last = head.last;
    let turned_away = service.turn_away(&head);
    let body = match head.read_body(reader, service.max_body(), service.decodes(&head)) {
        Ok(body) => body,
        Err(BodyError::TooLarge) => {
            // Clients may not read the answer of a server that stops listening.
            drain(reader, &head)?;
            return answer(reader, &service.too_large(), true);
        }
        Err(BodyError::Undecodable(encoding)) => {
            return match service.undecodable(&encoding) {
                Some(refusal) => answer(reader, &refusal, last),
                None => Ok(Then::Close),
            };
        }
        Err(BodyError::Gone) => return Ok(Then::Close),
    };
    let request = Request { head, body: body.bytes, encoded: body.encoded };
    let take = |fault: Option<&Fault>| turned_away.clone().unwrap_or_else(|| service.take(&request, fault));
    let later = |status: u16, after: Option<u32>| {
        let answer = service.overloaded(&request.head, status);
        after.into_iter().fold(answer, |answer, after| answer.with("retry-after", after))
    };
    let reply = match &fault {
        None | Some(Fault::RefuseSome(_) | Fault::RefuseSomeWith(..)) => take(fault.as_ref()),
        Some(Fault::Busy(after)) => later(429, *after),
        Some(Fault::Unavailable(after)) => later(503, *after),
        Some(Fault::Status(status, body)) => Answer::new(*status, "text/plain; charset=utf-8", body.as_str()),
        Some(Fault::Named(name)) => service.named(&request.head, name),
        Some(Fault::Html(status)) => Answer::new(*status, "text/html", page(*status)),
        Some(Fault::Slow(wait)) => {
            thread::sleep(*wait);
            take(None)
        }
        Some(Fault::ResetAfterStore) => {
            take(None);
            return reset(reader);
        }
        Some(Fault::ResetMidAnswer) => {
            let bytes = take(None).encode(last);
            reader.get_mut().write_all(&bytes[..bytes.len() / 2])?;
            return reset(reader);
        }
        Some(Fault::StoreAndHang) => {
            take(None);
            return hang(reader);
        }
        Some(Fault::Hang) => return hang(reader),
        Some(Fault::Endless(status, bytes)) => return endless(reader, *status, *bytes),
        // Done with above.
        Some(Fault::ResetBeforeBody | Fault::ResetMidBody) => return Ok(Then::Close),
    };
    last |= reply.headers.iter().any(|(name, value)| *name == "connection" && value == "close");
    answer(reader, &reply, last)
}

fn answer(reader: &mut BufReader<TcpStream>, answer: &Answer, last: bool) -> io::Result<Then> {
    reader.get_mut().write_all(&answer.encode(last))?;
    Ok(if last { Then::Close } else { Then::Next })
}

/// Ends the connection with a TCP reset.
fn reset(reader: &BufReader<TcpStream>) -> io::Result<Then> {
    setsockopt(reader.get_ref(), sockopt::Linger, &linger { l_onoff: 1, l_linger: 0 })?;
    Ok(Then::Close)
}

/// Says nothing until the client leaves.
fn hang(reader: &mut BufReader<TcpStream>) -> io::Result<Then> {
    io::copy(reader, &mut io::sink())?;
    Ok(Then::Close)
}

/// Reads on, to no end but the body's, within reason.
fn drain(reader: &mut BufReader<TcpStream>, head: &Head) -> io::Result<()> {
    let left = head.length().unwrap_or(0).min(1 << 30) as u64;
    io::copy(&mut reader.take(left), &mut io::sink())?;
    Ok(())
}

fn endless(reader: &mut BufReader<TcpStream>, status: u16, bytes: u64) -> io::Result<Then> {
    let stream = reader.get_mut();
    let head =
        format!("HTTP/1.1 {status} {}\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n", reason(status));
    stream.write_all(head.as_bytes())?;
    io::copy(&mut io::repeat(b' ').take(bytes), stream)?;
    Ok(Then::Close)
}

fn page(status: u16) -> String {
    let reason = reason(status);
    format!(
        "<html>\r\n<head><title>{status} {reason}</title></head>\r\n<body>\r\n<center><h1>{status} {reason}</h1></center>\r\n\
         <hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
    )
}
