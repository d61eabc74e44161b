//! What is written.

use std::collections::BTreeMap;
use std::io::Read as _;

use proptest::prelude::*;
use suiro_sdk::http::test_kit::{batch, delivery};
use suiro_sdk::{Delivery, Reason, Verdict};

use super::settings;
use crate::s3::body::Body;
use crate::s3::plan::{Object, Plan};
use crate::s3::settings::Settings;

/// 2026-11-29T15:30:12Z
const TIME: i64 = 1_795_966_212_000_000_000;

/// The object's bytes, in pieces of `size`.
fn pieces(settings: &Settings, object: &Object<'_>, size: usize) -> Vec<Vec<u8>> {
    let mut body = Body::new(settings, object).unwrap();
    let mut pieces = Vec::new();
    loop {
        let mut piece = Vec::new();
        let done = body.fill(&mut piece, size).unwrap();
        pieces.push(piece);
        if done {
            return pieces;
        }
    }
}

fn unpacked(bytes: &[u8]) -> String {
    let mut plain = Vec::new();
    match bytes {
        [0x1f, 0x8b, ..] => {
            flate2::read::GzDecoder::new(bytes).read_to_end(&mut plain).unwrap();
        }
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            zstd::stream::copy_decode(bytes, &mut plain).unwrap();
        }
        bytes => plain.extend_from_slice(bytes),
    }
    String::from_utf8(plain).unwrap()
}

/// The objects of a delivery: text by key.
fn objects(settings: &Settings, delivery: &Delivery) -> BTreeMap<String, String> {
    let plan = Plan::new(settings, delivery);
    assert!(plan.apart.is_empty(), "{:?}", plan.apart);
    let written = |object: &Object<'_>| pieces(settings, object, usize::MAX).concat();
    plan.objects.iter().map(|object| (object.key(settings, "s3"), unpacked(&written(object)))).collect()
}

#[test]
fn keys_and_formats() {
    let records = delivery(vec![batch(&["{\"a\": 1}", "plain \"text\""], TIME)]);
    let only = |text: &str| {
        let objects = objects(&settings(text), &records);
        assert_eq!(objects.len(), 1);
        objects.into_iter().next().unwrap()
    };
    let (key, text) = only("");
    assert!(key.starts_with("suiro/2026/11/29/15/20261129T153012Z-") && key.ends_with(".jsonl.gz"), "{key}");
    assert_eq!(text, "{\"a\": 1}\n{\"log\":\"plain \\\"text\\\"\"}\n");
    let (key, text) = only("key = 'x-'\nformat = 'raw'\ncompression = 'none'");
    assert!(key.starts_with("x-20261129T153012Z-") && key.ends_with(".log"), "{key}");
    assert_eq!(text, "{\"a\": 1}\nplain \"text\"\n");
    let (key, text) = only("format = 'full'\ncompression = 'zstd'");
    assert!(key.ends_with(".jsonl.zst"), "{key}");
    assert!(text.starts_with("{\"@time\":\"2026-11-29T15:30:12Z\",\"@tag\":\"app.test\""), "{text}");
}

#[test]
fn an_object_for_each_key() {
    let settings = settings("key = 'logs/{team}/'\ncompression = 'none'\nformat = 'raw'");
    let lines = ["{\"team\":\"a\",\"n\":0}", "{\"team\":\"b\",\"n\":1}", "{\"team\":\"a\",\"n\":2}"];
    let both = delivery(vec![batch(&lines, TIME), batch(&["{\"team\":\"b\",\"n\":3}"], TIME)]);
    let objects = objects(&settings, &both);
    let texts: Vec<(&str, &str)> = objects.iter().map(|(key, text)| (&key[..7], text.as_str())).collect();
    assert_eq!(
        texts,
        [
            ("logs/a/", "{\"team\":\"a\",\"n\":0}\n{\"team\":\"a\",\"n\":2}\n"),
            ("logs/b/", "{\"team\":\"b\",\"n\":1}\n{\"team\":\"b\",\"n\":3}\n")
        ]
    );
    let lines = ["{\"n\":0}", "{\"team\":\"../x\",\"n\":1}", "{\"team\":\"a\"}"];
    let some = delivery(vec![batch(&lines, TIME)]);
    let plan = Plan::new(&settings, &some);
    assert_eq!(plan.objects.len(), 1);
    let reasons: Vec<_> = plan
        .apart
        .iter()
        .map(|(number, verdict)| match verdict {
            Verdict::Refused { reason, detail } if detail.starts_with("`key`: ") => (*number, *reason),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(reasons, [(0, Reason::MISSING_FIELD), (1, Reason::NOT_ALLOWED)]);
}

proptest! {
    /// Every record is in one object, in order; a second try writes the same objects; pieces are an object's bytes, and all
    /// but the last are of the size that was asked for.
    #[test]
    fn each_record_once(
        teams in prop::collection::vec(prop::collection::vec(0_u8..4, 1..60), 1..5),
        compression in prop::sample::select(vec!["none", "gzip", "zstd"]),
        size in 1_usize..4_000,
    ) {
        let settings = settings(&format!("key = 'a/{{team}}/'\ncompression = '{compression}'"));
        let mut number = 0;
        let mut line = |team: u8| {
            number += 1;
            format!("{{\"team\":{team},\"n\":{},\"noise\":\"{:x}\"}}", number - 1, u64::from(team) * 0x9e37_79b9 + number)
        };
        let lines: Vec<Vec<String>> = teams.iter().map(|part| part.iter().map(|&team| line(team)).collect()).collect();
        let delivery = delivery(lines.iter().map(|part| batch(part, TIME)).collect());
        let first = objects(&settings, &delivery);
        prop_assert_eq!(&first, &objects(&settings, &delivery));
        let mut seen = Vec::new();
        for text in first.values() {
            let numbers: Vec<u64> =
                text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["n"].as_u64().unwrap()).collect();
            prop_assert!(numbers.is_sorted());
            seen.extend(numbers);
        }
        seen.sort_unstable();
        prop_assert_eq!(seen, (0..delivery.len() as u64).collect::<Vec<_>>());
        for object in &Plan::new(&settings, &delivery).objects {
            let all = pieces(&settings, object, usize::MAX);
            let some = pieces(&settings, object, size);
            prop_assert_eq!(all.concat(), some.concat());
            prop_assert!(some[..some.len() - 1].iter().all(|piece| piece.len() == size));
            prop_assert!(some[some.len() - 1].len() <= size);
            prop_assert!(some.len() == 1 || some.iter().all(|piece| !piece.is_empty()));
        }
    }
}
