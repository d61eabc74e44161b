//! Bombs, slow and broken bodies, too many connections.

use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use super::kit::{Frames, Http2, gzip, read_all, serve};

const SOON: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_bomb_is_too_large() {
    let served = serve("max_body = '1MiB'");
    let plain = vec![0; 100 << 20];
    for (name, packed) in [("gzip", gzip(&plain)), ("zstd", zstd::encode_all(&plain[..], 1).unwrap())] {
        let answer = served.post(&format!("content-encoding: {name}\r\n"), &packed).await;
        assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    }
    // What it took is given back.
    served.desk.try_room(64 << 20).unwrap();
    served.expect_turned_away("too_large", 2).await;
}

/// One that writes a whole body before it looks for an answer finds one.
#[tokio::test]
async fn who_sends_too_much_is_told() {
    let served = serve("max_body = '100KiB'");
    let answer = served.post("", &vec![b'x'; 190_000]).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    let chunk = format!("{:x}\r\n{}\r\n", 60_000, "x".repeat(60_000));
    let head = "POST /count HTTP/1.1\r\nhost: x\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n";
    let answer =
        served.raw(format!("{head}{chunk}{chunk}0\r\n\r\n").replace("host: x", "host: x\r\nconnection: close"));
    let answer = answer.await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    let mut http2 = Http2::new(served.connect().await).await;
    let frames = Frames(vec![Bytes::from(vec![b'x'; 60_000]); 2], true);
    let answer = http2.send("/count", &[("content-type", "text/plain")], frames).await.unwrap();
    assert_eq!(answer.status, 413);
    served.expect_turned_away("too_large", 3).await;
}

#[tokio::test]
async fn slow_ones_are_let_go() {
    let served = serve("timeout = '200ms'");
    // Nothing at all; half a request line; headers without an end: closed without a word, or with one.
    for sent in ["", "POST /count HT", "PRI * HTTP/2.0\r\n", "POST /count HTTP/1.1\r\nhost: x\r\n"] {
        let mut stream = served.connect().await;
        stream.write_all(sent.as_bytes()).await.unwrap();
        let answer = timeout(SOON, read_all(stream)).await.expect("it is closed");
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    // A body that does not come.
    let mut stream = served.connect().await;
    let head = "POST /count HTTP/1.1\r\nhost: x\r\ncontent-type: text/plain\r\ncontent-length: 10\r\n\r\nabc";
    stream.write_all(head.as_bytes()).await.unwrap();
    let answer = timeout(SOON, read_all(stream)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("too slowly"), "{answer}");
    let mut http2 = Http2::new(served.connect().await).await;
    let frames = Frames(vec![Bytes::from_static(b"abc")], false);
    let answer = timeout(SOON, http2.send("/count", &[("content-type", "text/plain")], frames)).await.unwrap();
    assert_eq!(answer.unwrap().status, 408);
}

#[tokio::test]
async fn a_body_that_breaks_off_leaves_nothing_behind() {
    let served = serve("max_body = '1MiB'\nmax_pending = '1MiB'");
    for _ in 0..20 {
        let mut stream = served.connect().await;
        let head = "POST /count HTTP/1.1\r\nhost: x\r\ncontent-type: text/plain\r\ncontent-length: 900000\r\n\r\nabc";
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let answer = timeout(SOON, read_all(stream)).await.unwrap();
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{answer}");
    }
    let mut broken = served.connect().await;
    broken.write_all(b"\x16\x03\x01 this is no HTTP\r\n\r\n").await.unwrap();
    timeout(SOON, read_all(broken)).await.unwrap();
    timeout(SOON, served.desk.room(1 << 20)).await.unwrap().expect("all room is given back");
}

#[tokio::test]
async fn more_connections_than_allowed_are_closed_at_once() {
    let served = serve("max_connections = 3");
    let mut open = Vec::new();
    for _ in 0..3 {
        let mut http2 = Http2::new(served.connect().await).await;
        assert_eq!(http2.post(&[], b"x").await.status, 200);
        open.push(http2);
    }
    let mut refused = served.connect().await;
    let read = timeout(SOON, refused.read(&mut [0; 10])).await.unwrap();
    assert!(matches!(read, Ok(0) | Err(_)));
    served.expect_turned_away("too_many_connections", 1).await;
    // One goes, another comes.
    open.pop();
    timeout(SOON, async { while !served.post("", b"x").await.starts_with("HTTP/1.1 200") {} }).await.unwrap();
    for http2 in &mut open {
        assert_eq!(http2.post(&[], b"x").await.status, 200);
    }
}

#[tokio::test]
async fn headers_without_end_are_refused() {
    let served = serve("");
    let long = format!("POST /count HTTP/1.1\r\nhost: x\r\nlong: {}\r\n\r\n", "x".repeat(1 << 20));
    let answer = timeout(SOON, served.raw(long)).await.unwrap();
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    let mut http2 = Http2::new(served.connect().await).await;
    let long = "x".repeat(100_000);
    let frames = Frames(vec![], true);
    match http2.send("/count", &[("long", &long)], frames).await {
        Ok(answer) => assert_eq!(answer.status, 431),
        Err(error) => assert!(!error.is_timeout(), "{error}"),
    }
    assert!(served.post("", b"x").await.starts_with("HTTP/1.1 200"));
}
