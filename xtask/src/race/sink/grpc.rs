//! OTLP over gRPC as the sink takes it: each request is put together, its records counted by their lengths, and answered with
//! an empty message.
//!
//! A connection is a thread with a runtime of its own. Windows are so large that no sender waits for them; frames are of the
//! size that every server takes.

use std::{
    cell::RefCell,
    io,
    net::TcpStream,
    rc::Rc,
    sync::{Arc, atomic::Ordering::SeqCst},
};

use h2::{RecvStream, server::SendResponse};
use hyper::{
    HeaderMap, Response,
    body::Bytes,
    header::{CONTENT_TYPE, HeaderValue},
};
use memchr::memmem;

use super::{Counters, count};

/// Bytes on their way in one stream and in all of a connection.
const STREAM_WINDOW: u32 = 8 << 20;
const WINDOW: u32 = 64 << 20;
/// What renaming leaves in each request; it is looked for where its first record is.
const RENAMED: &[u8] = b"enduser.renamed";
const HEAD: usize = 4096;

/// Serves one connection until the peer closes it.
pub(super) fn serve(stream: TcpStream, counters: Arc<Counters>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let tasks = tokio::task::LocalSet::new();
    tasks.block_on(&runtime, async {
        let stream = tokio::net::TcpStream::from_std(stream)?;
        let mut builder = h2::server::Builder::new();
        builder.initial_window_size(STREAM_WINDOW).initial_connection_window_size(WINDOW);
        let mut connection = builder.handshake::<_, Bytes>(stream).await.map_err(io::Error::other)?;
        let buffers = Rc::new(RefCell::new(vec![]));
        while let Some(request) = connection.accept().await {
            let (request, respond) = request.map_err(io::Error::other)?;
            let (buffers, counters) = (buffers.clone(), counters.clone());
            tokio::task::spawn_local(async move {
                // A stream that ends badly is the sender's affair.
                let _ = take(request.into_body(), respond, &buffers, &counters).await;
            });
        }
        Ok(())
    })
}

/// Takes one request and answers it. `buffers` are free ones, to be used again.
async fn take(
    mut body: RecvStream,
    mut respond: SendResponse<Bytes>,
    buffers: &RefCell<Vec<Vec<u8>>>,
    counters: &Counters,
) -> Result<(), h2::Error> {
    let mut buffer = buffers.borrow_mut().pop().unwrap_or_default();
    while let Some(piece) = body.data().await {
        let piece = piece?;
        body.flow_control().release_capacity(piece.len())?;
        if buffer.len() + piece.len() > count::MAX_BODY {
            respond.send_reset(h2::Reason::CANCEL);
            return Ok(());
        }
        buffer.extend_from_slice(&piece);
    }
    let records = message(&buffer).and_then(count::otlp);
    let response = Response::builder().header(CONTENT_TYPE, "application/grpc").body(()).unwrap_or_default();
    let mut stream = respond.send_response(response, false)?;
    if records.is_some() {
        // A message that is there, and empty.
        stream.send_data(Bytes::from_static(&[0; 5]), false)?;
    }
    let mut trailers = HeaderMap::new();
    // OK, or INVALID_ARGUMENT
    trailers.insert("grpc-status", HeaderValue::from_static(if records.is_some() { "0" } else { "3" }));
    stream.send_trailers(trailers)?;
    match records {
        Some(records) => {
            let head = &buffer[..buffer.len().min(HEAD)];
            counters.renamed.fetch_add(u64::from(memmem::find(head, RENAMED).is_some()), SeqCst);
            if counters.add(buffer.len() as u64, records) {
                // Whoever drives the sink has gone if it can't be told.
                let _ = super::say(format_args!("done"));
            }
        }
        None => {
            counters.refused.fetch_add(1, SeqCst);
        }
    }
    buffer.clear();
    buffers.borrow_mut().push(buffer);
    Ok(())
}

/// The one message of a body, uncompressed.
fn message(body: &[u8]) -> Option<&[u8]> {
    let (head, message) = body.split_at_checked(5)?;
    let length = u32::from_be_bytes(head[1..].try_into().ok()?);
    (head[0] == 0 && message.len() == length as usize).then_some(message)
}
