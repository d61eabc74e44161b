//! Requests as they should be, and those that are answered with what would be right.

use bytes::Bytes;

use super::kit::{Frames, Http2, framed, gzip, read_all, serve};
use tokio::io::AsyncWriteExt as _;

#[tokio::test]
async fn both_versions_on_one_port_in_every_encoding() {
    let served = serve("");
    let plain = b"some text\n".repeat(20_000);
    let mut http2 = Http2::new(served.connect().await).await;
    let packed = [
        ("identity", plain.clone()),
        ("gzip", gzip(&plain)),
        ("zstd", zstd::encode_all(&plain[..], 1).unwrap()),
        ("snappy", snap::raw::Encoder::new().compress_vec(&plain).unwrap()),
    ];
    for (name, body) in packed {
        let expected = format!("200000 of {}", body.len());
        let answer = served.post(&format!("content-encoding: {name}\r\n"), &body).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with(&expected), "{name}: {answer}");
        let answer = http2.post(&[("content-encoding", name)], &body).await;
        assert_eq!((answer.status, String::from_utf8(answer.body).unwrap()), (200, expected), "{name}");
    }
    // In chunks, without a length.
    let chunked = "POST /count HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: text/plain; charset=x\r\n\
                   transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n";
    assert!(served.raw(chunked).await.ends_with("7 of 7"));
    assert!(served.turned_away().is_empty());
}

#[tokio::test]
async fn what_is_wrong_is_answered_with_what_is_right() {
    let served = serve("max_body = '1KiB'");
    for (request, status, text) in [
        ("GET /count HTTP/1.1\r\n", "405 Method Not Allowed", "allow: POST"),
        ("POST /counts HTTP/1.1\r\n", "404 Not Found", "POST /count"),
        ("POST /count HTTP/1.1\r\n", "415 Unsupported Media Type", "no content-type; this path takes text/plain"),
        ("POST /count HTTP/1.1\r\ncontent-type: a/b\r\n", "415 Unsupported Media Type", "\"a/b\" is not for this path"),
        (
            "POST /count HTTP/1.1\r\ncontent-type: text/plain\r\ncontent-encoding: br\r\n",
            "415 Unsupported Media Type",
            "accept-encoding: gzip",
        ),
        (
            "POST /count HTTP/1.1\r\ncontent-type: text/plain\r\ncontent-encoding: gzip\r\ncontent-length: 0\r\n",
            "400 Bad Request",
            "the gzip data ends before its end",
        ),
        (
            "POST /count HTTP/1.1\r\ncontent-type: text/plain\r\ncontent-length: 1025\r\n",
            "413 Payload Too Large",
            "max_body",
        ),
        ("POST /count HTTP/1.1\r\ncontent-type: application/grpc\r\n", "400 Bad Request", "gRPC needs HTTP/2"),
    ] {
        let answer = served.raw(format!("{request}host: x\r\nconnection: close\r\n\r\n")).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{request}\n{answer}");
        assert!(answer.contains(text), "{request}\n{answer}");
    }
    let counted = served.turned_away();
    assert_eq!(counted.into_iter().collect::<Vec<_>>(), [("malformed", 2), ("too_large", 1)]);
}

#[tokio::test]
async fn only_who_shows_credentials_gets_in() {
    let served = serve("auth = { bearer = 'pa55' }");
    let answer = served.post("", b"text").await;
    assert!(answer.starts_with("HTTP/1.1 401") && answer.contains("www-authenticate: Bearer"), "{answer}");
    assert!(served.post("authorization: Bearer pa56\r\n", b"text").await.starts_with("HTTP/1.1 401"));
    assert!(served.post("authorization: Bearer pa55\r\n", b"text").await.starts_with("HTTP/1.1 200"));
    let mut http2 = Http2::new(served.connect().await).await;
    // gRPC makes UNAUTHENTICATED of it.
    assert_eq!(http2.call(&[], vec![framed(0, b"x")]).await.status, 401);
    let answer = http2.call(&[("authorization", "Bearer pa55")], vec![framed(0, b"x")]).await;
    assert_eq!((answer.status, answer.header("grpc-status")), (200, "0"));
    assert_eq!(served.turned_away()["unauthorized"], 3);
}

#[tokio::test]
async fn calls_of_grpc() {
    let served = serve("max_body = '64KiB'");
    let mut http2 = Http2::new(served.connect().await).await;
    let plain = b"some text\n".repeat(5000);
    let whole = framed(0, &plain);
    // In pieces of any size, the frame's head torn as well.
    for size in [1, 3, 5, 7, 1000, 60_000] {
        let length = if size < 10 { 105 } else { whole.len() };
        let body = framed(0, &plain[..length - 5]);
        let pieces = body.chunks(size).map(Bytes::copy_from_slice).collect();
        let answer = http2.call(&[], pieces).await;
        assert_eq!((answer.status, answer.header("grpc-status")), (200, "0"), "{answer:?}");
        assert!(answer.body == body);
    }
    for (name, packed) in [("gzip", gzip(&plain)), ("zstd", zstd::encode_all(&plain[..], 1).unwrap())] {
        let answer = http2.call(&[("grpc-encoding", name)], vec![framed(1, &packed)]).await;
        assert!(answer.header("grpc-status") == "0" && answer.body == whole);
    }
    assert_eq!(http2.call(&[], vec![framed(0, b"")]).await.header("grpc-status"), "0");
    for (headers, body, code, text) in [
        (vec![], vec![], "3", "no message"),
        (vec![], vec![Bytes::from_static(b"\0\0\0")], "3", "no message"),
        (vec![], vec![Bytes::from_static(b"\x02\0\0\0\x01x")], "3", "no gRPC frame"),
        (vec![], vec![Bytes::from_static(b"\0\0\0\0\x05abc")], "3", "shorter"),
        (vec![], vec![Bytes::from_static(b"\0\0\0\0\x02abc")], "3", "one message"),
        (vec![], vec![Bytes::from_static(b"\0\xff\xff\xff\xff")], "8", "max_body"),
        (vec![], vec![framed(1, b"abc")], "3", "grpc-encoding"),
        (vec![("grpc-encoding", "br")], vec![framed(1, b"abc")], "12", "br"),
        (vec![("grpc-encoding", "gzip")], vec![framed(1, &gzip(&[0; 100_000]))], "8", "max_body"),
    ] {
        let answer = http2.call(&headers, body).await;
        assert_eq!((answer.status, answer.header("grpc-status")), (200, code), "{answer:?}");
        assert!(answer.header("grpc-message").contains(text), "{answer:?}");
    }
    let counted = served.turned_away();
    assert_eq!(counted.into_iter().collect::<Vec<_>>(), [("malformed", 7), ("too_large", 2)]);
    // The connection is as good as new.
    assert_eq!(http2.post(&[], b"x").await.status, 200);
}

#[tokio::test]
async fn without_room_senders_are_told_to_come_again() {
    let served = serve("max_body = '10KiB'\nmax_pending = '10KiB'");
    let room = served.desk.try_room(10 << 10).unwrap();
    let answer = served.post("", b"text").await;
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("retry-after: 1"), "{answer}");
    let mut http2 = Http2::new(served.connect().await).await;
    let answer = http2.call(&[], vec![framed(0, b"x")]).await;
    assert_eq!((answer.status, answer.header("grpc-status")), (200, "14"));
    assert!(!answer.header("grpc-status-details-bin").is_empty());
    drop(room);
    assert!(served.post("", b"text").await.starts_with("HTTP/1.1 200"));
    // Who is told to come again is not lost.
    assert!(served.turned_away().is_empty());
    // All room is given back.
    served.desk.try_room(10 << 10).unwrap();
}

#[tokio::test]
async fn at_the_end_requests_under_way_are_answered_and_no_more_are_taken() {
    let mut served = serve("");
    let mut http1 = served.connect().await;
    http1.write_all(b"POST /hang HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    let mut http2 = Http2::new(served.connect().await).await;
    let hang = tokio::spawn(async move { http2.send("/hang", &[], Frames(vec![], true)).await });
    let mut quiet = Http2::new(served.connect().await).await;
    assert_eq!(quiet.post(&[], b"x").await.status, 200);
    while served.service.hanging.load(std::sync::atomic::Ordering::SeqCst) < 2 {
        tokio::task::yield_now().await;
    }
    served.source.stop();
    assert!(read_all(http1).await.ends_with("late"));
    assert_eq!(hang.await.unwrap().unwrap().body, b"late");
    tokio::task::spawn_blocking(move || served.done.recv_timeout(std::time::Duration::from_secs(20)).unwrap())
        .await
        .unwrap();
    assert!(tokio::net::TcpStream::connect(served.address).await.is_err());
}

#[test]
fn a_port_in_use_is_an_error_that_names_the_setting() {
    let served = serve("");
    let (section, _) = crate::settings::Section::from_text("[[input]] x", "");
    let settings = crate::serve::ServerSettings::read(&section, &[]).unwrap();
    let error = crate::serve::Door::open(served.address, "grpc", &settings).unwrap_err().to_string();
    assert!(error.starts_with("`grpc`: can't listen on 127.0.0.1:"), "{error}");
    assert!(error.contains("choose another port"), "{error}");
}
