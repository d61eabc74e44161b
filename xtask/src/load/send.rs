//! The generator: a process that sends requests as fast as they are answered, and says what that cost.
//!
//! Requests are made before the first is sent, and their bytes shared by all that are under way: nothing is encoded or copied
//! on the way to the socket. One thread, gRPC as it is on the wire (HTTP/2 without TLS, prior knowledge), the next request of a
//! stream when the one before has its status.

use std::{
    cell::{Cell, RefCell},
    env,
    future::poll_fn,
    io::Read,
    process::{Child, Command, Stdio},
    rc::Rc,
    time::{Duration, Instant},
};

use clap::ValueEnum;
use hyper::{HeaderMap, Method, Request, StatusCode, header};
use tokio::net::TcpStream;

use super::{
    Job,
    requests::{self, Bytes, Connection},
};
use crate::{
    error::{Context, Error},
    race::measure::own_cpu,
};

/// Before a request that was refused for now is sent again.
const PAUSE: Duration = Duration::from_millis(10);

/// Options of the hidden command `load-send`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// What to send.
    #[arg(value_enum)]
    job: Job,
    /// Where to, on 127.0.0.1.
    port: u16,
    /// Requests.
    requests: u64,
    /// Connections.
    connections: u64,
    /// Requests under way on each.
    streams: u64,
}

/// A generator that runs.
pub(super) struct Sender {
    child: Child,
    start: Instant,
}

/// What it did.
#[derive(Clone, Copy)]
pub(super) struct Sent {
    pub(super) refused: u64,
    pub(super) cpu: Duration,
}

/// What the streams share.
struct Course {
    job: Job,
    requests: Vec<Bytes>,
    left: Cell<u64>,
    refused: Cell<u64>,
    failure: RefCell<Option<String>>,
}

/// Sends, and prints `sent <refused> <cpu nanoseconds>`.
pub(crate) fn run(options: &Options) -> Result<(), Error> {
    let course = Rc::new(Course {
        job: options.job,
        requests: requests::all(options.job.traces()),
        left: Cell::new(options.requests),
        refused: Cell::new(0),
        failure: RefCell::new(None),
    });
    // Making the requests is not sending them.
    let before = own_cpu();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("the generator")?;
    let tasks = tokio::task::LocalSet::new();
    tasks.block_on(&runtime, async {
        let mut streams = vec![];
        for _ in 0..options.connections {
            let connection = connect(options.port).await?;
            for _ in 0..options.streams {
                streams.push(tokio::task::spawn_local(stream(course.clone(), connection.clone(), options.port)));
            }
        }
        for stream in streams {
            stream.await.map_err(|error| Error::Message(error.to_string()))?;
        }
        Ok::<_, Error>(())
    })?;
    if let Some(failure) = course.failure.take() {
        return Err(Error::Message(failure));
    }
    println!("sent {} {}", course.refused.get(), (own_cpu() - before).as_nanos());
    Ok(())
}

async fn connect(port: u16) -> Result<Connection, Error> {
    let socket = TcpStream::connect(("127.0.0.1", port)).await.context("connecting to the agent")?;
    socket.set_nodelay(true).context("the connection")?;
    let (sender, connection) =
        h2::client::handshake(socket).await.map_err(|error| Error::Message(format!("HTTP/2: {error}")))?;
    tokio::task::spawn_local(async move {
        // Its streams say what went wrong.
        let _ = connection.await;
    });
    Ok(sender)
}

/// Sends until nothing is left, or a stream has failed.
async fn stream(course: Rc<Course>, mut connection: Connection, port: u16) {
    while course.left.get() > 0 && course.failure.borrow().is_none() {
        let number = course.left.get() - 1;
        course.left.set(number);
        let body = &course.requests[number as usize % course.requests.len()];
        loop {
            match course.send(&mut connection, body.clone()).await {
                Ok(0) => break,
                // RESOURCE_EXHAUSTED, UNAVAILABLE
                Ok(8 | 14) => {
                    course.refused.set(course.refused.get() + 1);
                    tokio::time::sleep(PAUSE).await;
                }
                Ok(status) => return course.fail(format!("a request was answered with the gRPC status {status}")),
                // What HTTP/2 has for it.
                Err(error) if error.reason() == Some(h2::Reason::REFUSED_STREAM) => {
                    course.refused.set(course.refused.get() + 1);
                    tokio::time::sleep(PAUSE).await;
                }
                // Closing the connection is how some say it.
                Err(error) if error.is_io() || error.is_go_away() => {
                    course.refused.set(course.refused.get() + 1);
                    tokio::time::sleep(PAUSE).await;
                    match connect(port).await {
                        Ok(new) => connection = new,
                        Err(error) => return course.fail(error.to_string()),
                    }
                }
                Err(error) => return course.fail(format!("a request failed: {error}")),
            }
        }
    }
}

impl Course {
    /// Sends one request and returns its gRPC status.
    async fn send(&self, connection: &mut Connection, body: Bytes) -> Result<u32, h2::Error> {
        poll_fn(|context| connection.poll_ready(context)).await?;
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("http://127.0.0.1{}", requests::path(self.job)))
            .header(header::CONTENT_TYPE, "application/grpc")
            .header(header::TE, "trailers")
            .body(())
            .unwrap_or_default();
        let (response, mut stream) = connection.send_request(request, false)?;
        stream.send_data(body, true)?;
        let response = response.await?;
        if let Some(status) = status(response.headers()) {
            return Ok(status);
        }
        if response.status() != StatusCode::OK {
            // What gRPC makes of a proxy's 429 and 503.
            return Ok(if matches!(response.status().as_u16(), 429 | 503) { 14 } else { 2 });
        }
        let mut body = response.into_body();
        while let Some(piece) = body.data().await {
            body.flow_control().release_capacity(piece?.len())?;
        }
        Ok(body.trailers().await?.as_ref().and_then(status).unwrap_or(2))
    }

    fn fail(&self, what: String) {
        self.failure.borrow_mut().get_or_insert(what);
    }
}

fn status(headers: &HeaderMap) -> Option<u32> {
    headers.get("grpc-status")?.to_str().ok()?.parse().ok()
}

// === impl Sender ===

impl Sender {
    pub(super) fn start(job: Job, port: u16, requests: u64, connections: u64, streams: u64) -> Result<Self, Error> {
        let program = env::current_exe().context("the path of xtask")?;
        let job = job.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
        let child = Command::new(program)
            .args(["load-send", &job])
            .args([u64::from(port), requests, connections, streams].map(|number| number.to_string()))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("starting the generator")?;
        Ok(Self { child, start: Instant::now() })
    }

    pub(super) fn age(&self) -> Duration {
        self.start.elapsed()
    }

    /// Why it ended, if it did and should not have.
    pub(super) fn complaint(&mut self) -> Result<Option<String>, Error> {
        match self.child.try_wait().context("the generator")? {
            Some(status) if !status.success() => {
                let mut said = String::new();
                if let Some(mut pipe) = self.child.stderr.take() {
                    pipe.read_to_string(&mut said).context("the generator")?;
                }
                Ok(Some(format!("the generator: {}", said.trim())))
            }
            _ => Ok(None),
        }
    }

    /// Waits for its end.
    pub(super) fn end(mut self) -> Result<Sent, Error> {
        let mut said = String::new();
        if let Some(mut pipe) = self.child.stdout.take() {
            pipe.read_to_string(&mut said).context("the generator")?;
        }
        let numbers: Vec<u64> = said.split_whitespace().skip(1).filter_map(|word| word.parse().ok()).collect();
        match numbers[..] {
            [refused, cpu] => Ok(Sent { refused, cpu: Duration::from_nanos(cpu) }),
            _ => Err(Error::Message(format!("the generator said {said:?}"))),
        }
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
