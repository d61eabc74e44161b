//! The fuzz targets' bodies on a bounded corpus, the same in every run.

use crate::bodies;
use crate::generate::Choices;

/// xorshift64*: small, and the same everywhere.
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| (self.next() >> 32) as u8).collect()
    }
}

/// One random change, of the kinds that make valid texts nearly valid.
fn mutate(rng: &mut Rng, text: &mut Vec<u8>) {
    const BITS: [&[u8]; 22] = [
        b"\"",
        b"\\",
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b" ",
        b"\n",
        b"0",
        b"-",
        b"e",
        b".",
        b"\\u",
        b"\\ud800",
        b"null",
        b"\0",
        b"\xff",
        b"\xc3\xa9",
        b"1",
        b"\\udc00",
    ];
    let at = rng.below(text.len() + 1);
    match rng.below(4) {
        0 => drop(text.splice(at..at, BITS[rng.below(BITS.len())].iter().copied())),
        1 if at < text.len() => drop(text.remove(at)),
        2 if at < text.len() => text[at] = rng.next() as u8,
        _ => text.truncate(at),
    }
}

#[test]
fn json_is_taken_and_refused_as_serde_json_does() {
    let mut rng = Rng(0x5eed_0001);
    for round in 0..4_000 {
        let len = 1 + rng.below(120);
        let data = rng.bytes(len);
        let mut text = String::new();
        Choices(&data).json(&mut text);
        let mut text = text.into_bytes();
        bodies::json(&text);
        for _ in 0..1 + round % 3 {
            mutate(&mut rng, &mut text);
            bodies::json(&text);
        }
    }
}

#[test]
fn garbage_is_refused_as_serde_json_does() {
    let mut rng = Rng(0x5eed_0002);
    for _ in 0..4_000 {
        let len = rng.below(24);
        let mut text = rng.bytes(len);
        bodies::json(&text);
        text.iter_mut().for_each(|b| *b = b"{}[],:\"\\ u0e-+.1ntrfalsx"[usize::from(*b) % 24]);
        bodies::json(&text);
    }
}

#[test]
fn any_sequence_of_edits_gives_the_same_record_as_the_model() {
    let mut rng = Rng(0x5eed_0003);
    for _ in 0..3_000 {
        let len = 20 + rng.below(400);
        let data = rng.bytes(len);
        if let Err(panic) = std::panic::catch_unwind(|| bodies::edits(&data)) {
            eprintln!("the bytes: {data:?}");
            std::panic::resume_unwind(panic);
        }
    }
}
