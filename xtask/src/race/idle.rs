//! What an agent holds while it has nothing to do, and how long suiro takes to be ready.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    thread,
    time::Duration,
};

use super::{
    agents::{Agent, Course},
    measure::Process,
    run::{free_port, last_lines},
    sink::handle::Sink,
};
use crate::error::{Context, Error};

/// How long an agent sits idle before its memory is read.
const IDLE: Duration = Duration::from_secs(5);

/// Resident memory in bytes after five idle seconds with one small file tailed.
pub(crate) fn memory(agent: &Agent, sink: &mut Sink, under: &Path) -> Result<u64, Error> {
    let (mut process, folder) = start(agent, sink, free_port()?, under)?;
    thread::sleep(IDLE);
    if let Some(status) = process.ended()? {
        let said = last_lines(&folder.path().join("agent.log"));
        return Err(Error::Message(format!("ended early ({status})\n{said}")));
    }
    let memory = process.memory()?;
    process.stop()?;
    Ok(memory)
}

/// Time from the start of the process until `/ready` answers 200.
pub(crate) fn ready(agent: &Agent, sink: &mut Sink, under: &Path) -> Result<Duration, Error> {
    const PATIENCE: Duration = Duration::from_secs(10);
    let port = free_port()?;
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let (mut process, folder) = start(agent, sink, port, under)?;
    while !answers_ready(address) {
        if process.ended()?.is_some() || process.age() > PATIENCE {
            let said = last_lines(&folder.path().join("agent.log"));
            return Err(Error::Message(format!("/ready never answered 200\n{said}")));
        }
        thread::sleep(Duration::from_micros(200));
    }
    let age = process.age();
    process.stop()?;
    Ok(age)
}

fn start(agent: &Agent, sink: &mut Sink, api: u16, under: &Path) -> Result<(Process, tempfile::TempDir), Error> {
    let folder = tempfile::tempdir_in(under).context(under.display())?;
    let file = folder.path().join("quiet.log");
    fs::write(&file, "the only line\n").context(file.display())?;
    let course = Course { job: None, file: &file, sink: sink.port(), api, folder: folder.path() };
    let mut command = agent.prepare(&course)?;
    sink.expect(1)?;
    let process = Process::start(&mut command, &folder.path().join("agent.log"))?;
    Ok((process, folder))
}

fn answers_ready(address: SocketAddr) -> bool {
    let exchange = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(format!("GET /ready HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").as_bytes())?;
        let mut status = [0; 12];
        stream.read_exact(&mut status)?;
        Ok(&status[9..] == b"200")
    };
    exchange().unwrap_or(false)
}
