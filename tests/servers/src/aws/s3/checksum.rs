//! Checksums of bodies: what the client gave must be right.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use crate::aws::error::Refusal;
use crate::http::Head;

/// Whether the body has a length and is what its checksums say.
pub(super) fn check(head: &Head, body: &[u8]) -> Result<(), Refusal> {
    if head.length().is_none() {
        return Err(Refusal::new("MissingContentLength", "You must provide the Content-Length HTTP header."));
    }
    if let Some(given) = head.header("content-md5") {
        let given = STANDARD.decode(given).ok().filter(|sum| sum.len() == 16);
        let given = given.ok_or_else(|| Refusal::new("InvalidDigest", "The Content-MD5 you specified was invalid."))?;
        if given != md5(body) {
            return Err(bad("The Content-MD5 you specified did not match what we received."));
        }
    }
    for (name, value) in head.headers() {
        let Some(algorithm) = name.strip_prefix("x-amz-checksum-") else { continue };
        let own = match algorithm {
            "crc32" => {
                let mut crc = flate2::Crc::new();
                crc.update(body);
                crc.sum().to_be_bytes().to_vec()
            }
            "crc32c" => crc32c::crc32c(body).to_be_bytes().to_vec(),
            "crc64nvme" => crc64nvme(body).to_be_bytes().to_vec(),
            "sha256" => Sha256::digest(body).to_vec(),
            "algorithm" | "type" => continue,
            _ => return Err(Refusal::new("NotImplemented", format!("The checksum {algorithm} is not implemented"))),
        };
        if *value != STANDARD.encode(own) {
            return Err(bad(&format!(
                "The {} you specified did not match the calculated checksum.",
                algorithm.to_uppercase()
            )));
        }
    }
    Ok(())
}

fn bad(text: &str) -> Refusal {
    Refusal::new("BadDigest", text)
}

/// CRC-64/NVME: reflected, all ones before and after.
fn crc64nvme(bytes: &[u8]) -> u64 {
    !bytes.iter().fold(u64::MAX, |crc, byte| {
        (0..8).fold(
            crc ^ u64::from(*byte),
            |crc, _| {
                if crc & 1 == 1 { (crc >> 1) ^ 0x9a6c_9329_ac4b_c9b5 } else { crc >> 1 }
            },
        )
    })
}

/// MD5, RFC 1321.
pub(in crate::aws) fn md5(message: &[u8]) -> [u8; 16] {
    const SHIFTS: [[u32; 4]; 4] = [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];
    let mut state = [0x6745_2301_u32, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
    let mut padded = message.to_vec();
    padded.push(0x80);
    padded.resize((padded.len() + 8).next_multiple_of(64) - 8, 0);
    padded.extend((message.len() as u64 * 8).to_le_bytes());
    let constants: Vec<u32> = (1..=64).map(|i| (f64::from(i).sin().abs() * 4_294_967_296.0) as u32).collect();
    for block in padded.chunks_exact(64) {
        let words: Vec<u32> =
            block.chunks_exact(4).map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]])).collect();
        let [mut a, mut b, mut c, mut d] = state;
        for i in 0..64 {
            let (mixed, word) = match i / 16 {
                0 => ((b & c) | (!b & d), i),
                1 => ((d & b) | (!d & c), (5 * i + 1) % 16),
                2 => (b ^ c ^ d, (3 * i + 5) % 16),
                _ => (c ^ (b | !d), (7 * i) % 16),
            };
            let sum = a.wrapping_add(mixed).wrapping_add(constants[i]).wrapping_add(words[word]);
            (a, d, c, b) = (d, c, b, b.wrapping_add(sum.rotate_left(SHIFTS[i / 16][i % 4])));
        }
        for (own, new) in state.iter_mut().zip([a, b, c, d]) {
            *own = own.wrapping_add(new);
        }
    }
    let mut sum = [0; 16];
    for (out, word) in sum.chunks_exact_mut(4).zip(state) {
        out.copy_from_slice(&word.to_le_bytes());
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::credentials::hex;

    #[test]
    fn sums_are_those_of_the_standards() {
        assert_eq!(hex(&md5(b"")), "d41d8cd98f00b204e9800998ecf8427e");
        assert_eq!(hex(&md5(b"message digest")), "f96b697d7cb7938d525a2f31aaf161d0");
        let long = b"12345678901234567890123456789012345678901234567890123456789012345678901234567890";
        assert_eq!(hex(&md5(long)), "57edf4a22be3c955ac49da2e2107b67a");
        assert_eq!(crc64nvme(b"123456789"), 0xae8b_1486_0a79_9888);
    }
}
