//! E-mail addresses: letters, digits and `._%+-` before the `@`, a host name with a dot and a top level of letters behind.

/// Longest name before the `@`.
const MAX_LOCAL: usize = 64;

/// The address around the `@` at `i`; it does not begin before `from`.
pub(crate) fn find_around(bytes: &[u8], from: usize, i: usize) -> Option<(usize, usize)> {
    let is_local = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'%' | b'+' | b'-');
    let local = bytes[from..i].iter().rev().take(MAX_LOCAL).take_while(|&&byte| is_local(byte)).count();
    // It begins with a letter or digit: `-a@b.co` is an option and an address.
    let start = (i - local..i).find(|&at| bytes[at].is_ascii_alphanumeric())?;
    let is_host = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    let host = &bytes[i + 1..];
    let host = &host[..host.iter().position(|&byte| !is_host(byte)).unwrap_or(host.len())];
    // A sentence may end behind it.
    let len = host.iter().rposition(|byte| byte.is_ascii_alphanumeric())? + 1;
    let dot = host[..len].iter().rposition(|&byte| byte == b'.')?;
    let top = &host[dot + 1..len];
    let named = dot > 0 && host[0].is_ascii_alphanumeric() && host[dot - 1].is_ascii_alphanumeric();
    (named && top.len() >= 2 && top.iter().all(u8::is_ascii_alphabetic)).then_some((start, i + 1 + len))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(text: &str) -> Option<&str> {
        let (start, end) = find_around(text.as_bytes(), 0, text.find('@')?)?;
        Some(&text[start..end])
    }

    #[test]
    fn addresses() {
        for (text, want) in [
            ("<jane.doe+tag@mail.example.co.uk>", "jane.doe+tag@mail.example.co.uk"),
            ("to:a_1%b@x-y.org.", "a_1%b@x-y.org"),
            ("水x@y.de水", "x@y.de"),
            ("--o@p.io", "o@p.io"),
        ] {
            assert_eq!(find(text), Some(want), "{text}");
        }
    }

    #[test]
    fn no_addresses() {
        for text in
            ["@a.de", "a@", "a@b", "a@10.0.0.1", "a@.de", "a@b.c", "a@-.de", "a@b..de", ".@b.de", "a@b.d1", "a@b.水"]
        {
            assert_eq!(find(text), None, "{text}");
        }
    }
}
