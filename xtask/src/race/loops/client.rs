//! The least an HTTP client can do: one connection, one request at a time, the answer read whole and its status checked.

use std::{
    io::{self, IoSlice, Read, Write},
    net::{SocketAddr, TcpStream},
};

use memchr::memmem;

use crate::error::{Context, Error};

/// A connection to the sink.
pub(in crate::race) struct Client {
    stream: TcpStream,
    /// Request line and headers, all but the length.
    head: String,
    answer: Vec<u8>,
}

impl Client {
    /// Connects; every request will be a `POST` of `content_type` to `target`.
    pub(in crate::race) fn connect(address: SocketAddr, target: &str, content_type: &str) -> Result<Self, Error> {
        let stream = TcpStream::connect(address).context(address)?;
        stream.set_nodelay(true).context(address)?;
        let head =
            format!("POST {target} HTTP/1.1\r\nhost: {address}\r\ncontent-type: {content_type}\r\ncontent-length: ");
        Ok(Self { stream, head, answer: vec![0; 64 << 10] })
    }

    /// Sends one body and waits for its answer, which must be a success.
    pub(in crate::race) fn send(&mut self, body: &[u8]) -> Result<(), Error> {
        self.exchange(body).context("sending to the sink")
    }

    fn exchange(&mut self, body: &[u8]) -> io::Result<()> {
        let head = format!("{}{}\r\n\r\n", self.head, body.len());
        let mut parts = [IoSlice::new(head.as_bytes()), IoSlice::new(body)];
        let mut left = &mut parts[..];
        while !left.is_empty() {
            let written = self.stream.write_vectored(left)?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            IoSlice::advance_slices(&mut left, written);
        }
        self.read_answer()
    }

    fn read_answer(&mut self) -> io::Result<()> {
        let mut filled = 0;
        let head = loop {
            let read = self.stream.read(&mut self.answer[filled..])?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            filled += read;
            if let Some(at) = memmem::find(&self.answer[..filled], b"\r\n\r\n") {
                break at + 4;
            }
        };
        let text = String::from_utf8_lossy(&self.answer[..head]);
        if !text.starts_with("HTTP/1.1 20") {
            return Err(io::Error::other(format!("answered {:?}", text.lines().next())));
        }
        let length =
            text.split("\r\n").find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
        let mut left = (head + length).saturating_sub(filled);
        while left > 0 {
            let room = left.min(self.answer.len());
            let read = self.stream.read(&mut self.answer[..room])?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            left -= read;
        }
        Ok(())
    }
}
