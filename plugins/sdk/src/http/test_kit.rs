//! For tests of outputs: deliveries made of lines, and a scripted HTTP server on a free port of the loopback, which
//! misbehaves in every way the client must bear.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use suiro_record::{Batch, Row, Scope, Source};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use crate::custody::Custody;
use crate::output::{Delivery, OutputSetup, Part, Rows};
use crate::pool::Pool;

/// A batch of `lines`: JSON where a line begins with `{`, text otherwise. Line `n` came from bytes `100 n..100 n + 50`, and
/// all were read `read_at` nanoseconds after the epoch, and have the times that the decoder gives them.
pub fn batch<L: AsRef<str>>(lines: &[L], read_at: i64) -> Batch {
    let source = Arc::new(Source::new("test".into(), 7));
    let mut batch = Batch::new("app.test".into(), Arc::new(Scope::new(source)), read_at);
    for (n, line) in lines.iter().enumerate() {
        let line = line.as_ref();
        let from = batch.heap().len();
        batch.heap_mut().extend_from_slice(line.as_bytes());
        let span = from..from + line.len();
        let parsed = if line.starts_with('{') { batch.parse_json(span.clone()).ok() } else { None };
        let root = parsed.unwrap_or_else(|| batch.text_body(span));
        let start = n as u64 * 100;
        batch.rows.push(Row::new(root, read_at + start.cast_signed(), start, start + 50));
    }
    batch
}

/// A delivery of these batches, for whose records nobody waits.
pub fn delivery(batches: Vec<Batch>) -> Delivery {
    let pool = Arc::new(Pool::default());
    let part = |batch| Part { batch: pool.share(batch), rows: Rows::All, custody: Custody::default() };
    Delivery { parts: batches.into_iter().map(part).collect() }
}

/// What an output gets at its start.
pub fn setup() -> OutputSetup {
    OutputSetup { name: "test".into(), data_dir: "/nonexistent".into(), ledger: Arc::default() }
}

/// A server. It lives as long as the runtime it was started in.
#[derive(Clone, Debug)]
pub struct Server {
    /// `http://127.0.0.1:<port>`
    pub url: String,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    requests: Mutex<Vec<Received>>,
    /// Bytes of endless answers that the client took.
    endless: AtomicU64,
    connections: AtomicU64,
    gone: Notify,
}

/// A request.
#[derive(Clone, Debug)]
pub struct Received {
    /// The method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, as it came.
    pub body: Vec<u8>,
}

/// What the server does.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Answers.
    Answer(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// Promises more of a body than it sends, then resets the connection.
    Broken(u16, Vec<u8>),
    /// Sends a body that never ends.
    Endless(u16),
    /// Takes the request and says nothing, for ever.
    Silent,
    /// Takes the request and resets the connection.
    Reset,
}

// === impl Reply ===

impl Reply {
    /// A plain answer.
    pub fn text(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Reply::Answer(status, Vec::new(), body.into())
    }

    /// The same with a header more.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        if let Reply::Answer(_, headers, _) = &mut self {
            headers.push((name, value.into()));
        }
        self
    }
}

// === impl Received ===

impl Received {
    /// The value of a header, named in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

// === impl Server ===

impl Server {
    /// Starts one that does what `script` says to each request.
    pub async fn start(script: impl FnMut(&Received) -> Reply + Send + 'static) -> std::io::Result<Server> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let shared = Arc::new(Shared::default());
        let script = Arc::new(Mutex::new(script));
        let server = Server { url, shared: shared.clone() };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                shared.connections.fetch_add(1, Relaxed);
                let (shared, script) = (shared.clone(), script.clone());
                tokio::spawn(async move {
                    let script = |request: &Received| (script.lock().unwrap_or_else(PoisonError::into_inner))(request);
                    let _ = serve(stream, &shared, script).await;
                    shared.gone.notify_one();
                });
            }
        });
        Ok(server)
    }

    /// The requests so far.
    pub fn requests(&self) -> MutexGuard<'_, Vec<Received>> {
        self.shared.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Connections so far.
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Relaxed)
    }

    /// Waits until a connection ends, and says how much of endless answers was taken so far.
    pub async fn taken_of_endless(&self) -> u64 {
        self.shared.gone.notified().await;
        self.shared.endless.load(Relaxed)
    }
}

async fn serve(mut stream: TcpStream, shared: &Shared, script: impl Fn(&Received) -> Reply) -> std::io::Result<()> {
    let mut pending = Vec::new();
    while let Some(request) = read_request(&mut stream, &mut pending).await? {
        let reply = script(&request);
        shared.requests.lock().unwrap_or_else(PoisonError::into_inner).push(request);
        match reply {
            Reply::Answer(status, headers, body) => {
                let mut head = format!("HTTP/1.1 {status} Status\r\n");
                for (name, value) in headers {
                    head.push_str(&format!("{name}: {value}\r\n"));
                }
                if status != 204 {
                    head.push_str(&format!("content-length: {}\r\n", body.len()));
                }
                head.push_str("\r\n");
                stream.write_all(head.as_bytes()).await?;
                stream.write_all(&body).await?;
            }
            Reply::Broken(status, body) => {
                let head = format!("HTTP/1.1 {status} Status\r\ncontent-length: {}\r\n\r\n", body.len() + 1000);
                stream.write_all(head.as_bytes()).await?;
                stream.write_all(&body).await?;
                return reset(stream);
            }
            Reply::Endless(status) => {
                let head = format!("HTTP/1.1 {status} Status\r\ncontent-length: 10000000000\r\n\r\n");
                stream.write_all(head.as_bytes()).await?;
                let chunk = vec![b'x'; 64 << 10];
                loop {
                    stream.write_all(&chunk).await?;
                    shared.endless.fetch_add(chunk.len() as u64, Relaxed);
                }
            }
            Reply::Silent => {
                // Until the client has enough.
                stream.read_u8().await?;
            }
            Reply::Reset => return reset(stream),
        }
    }
    Ok(())
}

/// Closes with RST instead of FIN.
fn reset(stream: TcpStream) -> std::io::Result<()> {
    stream.set_zero_linger()
}

async fn read_request(stream: &mut TcpStream, pending: &mut Vec<u8>) -> std::io::Result<Option<Received>> {
    let head_end = loop {
        if let Some(at) = pending.windows(4).position(|w| w == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(pending).await? == 0 {
            return Ok(None);
        }
    };
    let head = String::from_utf8_lossy(&pending[..head_end]).into_owned();
    let mut lines = head.lines();
    let mut words = lines.next().unwrap_or_default().split(' ').map(str::to_owned);
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length").and_then(|(_, v)| v.parse().ok());
    let body_end = head_end + length.unwrap_or(0_usize);
    while pending.len() < body_end {
        if stream.read_buf(pending).await? == 0 {
            return Ok(None);
        }
    }
    let rest = pending.split_off(body_end);
    let body = std::mem::replace(pending, rest).split_off(head_end);
    Ok(Some(Received { method, target, headers, body }))
}
