//! Who is let in. Digests are those of a client of Fluentd's, computed outside of this code.

use suiro_record::Value;
use suiro_sdk::settings::Secret;

use super::kit::put;
use crate::handshake::{Helo, Security, digest};
use crate::msgpack::{Head, Reader};

fn security(users: &[(&str, &str)]) -> Security {
    Security {
        keys: vec![Secret::new("old key"), Secret::new("s3cr3t")],
        users: users.iter().map(|(name, password)| ((*name).to_owned(), Secret::new(*password))).collect(),
        hostname: "agent".to_owned(),
    }
}

/// What HELO says: nonce and salt of users.
fn helo(bytes: &[u8]) -> (String, String) {
    let mut reader = Reader::new(bytes, 0..bytes.len());
    let text = |reader: &mut Reader<'_>| String::from_utf8(bytes[reader.text().unwrap().unwrap()].to_vec()).unwrap();
    assert_eq!(reader.head(), Ok(Head::Array(2)));
    assert_eq!(text(&mut reader), "HELO");
    assert_eq!(reader.head(), Ok(Head::Map(3)));
    assert_eq!(text(&mut reader), "nonce");
    let nonce = text(&mut reader);
    assert_eq!(text(&mut reader), "auth");
    let auth = text(&mut reader);
    assert_eq!(text(&mut reader), "keepalive");
    assert_eq!((reader.head(), reader.is_done()), (Ok(Head::Bool(true)), true));
    (nonce, auth)
}

fn ping(parts: &[&str]) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, &Value::Array(parts.iter().map(|part| Value::from(*part)).collect()));
    out
}

fn sha(text: &str) -> String {
    digest(&[text.as_bytes()])
}

#[test]
fn a_digest_is_sha512_in_hexadecimal() {
    let expected = "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
                    2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f";
    assert_eq!(digest(&[b"a", b"", b"bc"]), expected);
}

#[test]
fn who_knows_a_key_is_let_in() {
    let security = security(&[]);
    let hello = Helo::new();
    let (nonce, auth) = helo(&hello.bytes(&security));
    assert!(nonce.len() == 32 && auth.is_empty());
    for key in ["s3cr3t", "old key"] {
        let ping = ping(&["PING", "client", "salt", &sha(&format!("saltclient{nonce}{key}")), "", ""]);
        let pong = hello.answer(&ping, &security);
        assert_eq!(pong.outcome, Ok(()));
        let mut expected = Vec::new();
        let parts = [
            Value::from("PONG"),
            Value::Bool(true),
            Value::from(""),
            Value::from("agent"),
            Value::from(sha(&format!("saltagent{nonce}{key}")).as_str()),
        ];
        put(&mut expected, &Value::Array(parts.to_vec()));
        assert_eq!(pong.bytes, expected);
    }
    let other = Helo::new();
    assert_ne!(helo(&other.bytes(&security)).0, nonce, "a nonce is used once");
    for (wrong, why) in [
        (ping(&["PING", "client", "salt", &sha(&format!("saltclient{nonce}other")), "", ""]), "shared_key"),
        (ping(&["PING", "client", "salt", "", "", ""]), "shared_key"),
        (ping(&["PING", "client", "salt", &sha("saltclients3cr3t"), "", ""]), "shared_key"),
        (ping(&["PONG", "client", "salt", &sha(&format!("saltclient{nonce}s3cr3t")), "", ""]), "invalid ping"),
        (ping(&["PING", "client", "salt"]), "invalid ping"),
        (vec![0x96, 0xc1], "invalid ping"),
        (vec![0x96], "invalid ping"),
    ] {
        let pong = hello.answer(&wrong, &security);
        assert!(pong.outcome.is_err_and(|error| error.contains(why)), "{wrong:?}");
        let text = String::from_utf8_lossy(&pong.bytes);
        assert!(text.contains(why) && !text.contains("agent"), "{text}");
    }
}

#[test]
fn users_have_passwords() {
    let security = security(&[("anna", "one"), ("bert", "two")]);
    let hello = Helo::new();
    let (nonce, auth) = helo(&hello.bytes(&security));
    assert_eq!(auth.len(), 32);
    let key = sha(&format!("saltclient{nonce}s3cr3t"));
    let answer = |user: &str, password: &str| {
        let digest = sha(&format!("{auth}{user}{password}"));
        hello.answer(&ping(&["PING", "client", "salt", &key, user, &digest]), &security).outcome
    };
    assert_eq!(answer("anna", "one"), Ok(()));
    assert_eq!(answer("bert", "two"), Ok(()));
    for (user, password) in [("anna", "two"), ("carl", "one"), ("", ""), ("annaone", "")] {
        assert_eq!(answer(user, password), Err("username/password mismatch"), "{user}");
    }
    assert!(!format!("{security:?}").contains("s3cr3t"));
}
