//! Label sets: `{a="b", c="d"}`.

use std::collections::BTreeMap;

/// The labels in the order they were sent, or why they can't be read.
pub(super) fn parse(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return Ok(Vec::new());
    }
    let place = |rest: &str| text.len() - rest.len() + 1;
    let unexpected = |rest: &str| {
        let what = rest
            .chars()
            .next()
            .map_or_else(|| "end of input".to_owned(), |c| format!("character inside braces: '{c}'"));
        format!("couldn't parse labels: 1:{}: parse error: unexpected {what}", place(rest))
    };
    rest = rest.strip_prefix('{').ok_or_else(|| unexpected(rest))?;
    let mut labels = Vec::new();
    loop {
        rest = rest.trim_start();
        if let Some(end) = rest.strip_prefix('}') {
            return if end.trim().is_empty() { Ok(labels) } else { Err(unexpected(end)) };
        }
        let len = rest.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
        let (name, after) = rest.split_at(len);
        if len == 0 || name.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(unexpected(rest));
        }
        rest = after.trim_start();
        rest = rest.strip_prefix('=').ok_or_else(|| unexpected(rest))?.trim_start();
        let (value, after) = quoted(rest).ok_or_else(|| unexpected(rest))?;
        labels.push((name.to_owned(), value));
        rest = after.trim_start();
        match rest.strip_prefix(',') {
            Some(after) => rest = after,
            None if rest.starts_with('}') => {}
            None => return Err(unexpected(rest)),
        }
    }
}

/// A quoted string as Go writes one, and what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut chars = text.strip_prefix('"')?.char_indices();
    let mut out: Vec<u8> = Vec::new();
    let digits = |chars: &mut std::str::CharIndices<'_>, n: usize| {
        let hex: String = chars.by_ref().take(n).map(|(_, c)| c).collect();
        u32::from_str_radix(&hex, 16).ok().filter(|_| hex.len() == n)
    };
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((String::from_utf8(out).ok()?, text.get(at + 2..)?)),
            '\n' => return None,
            '\\' => {
                let (_, escape) = chars.next()?;
                let plain = match escape {
                    'n' => b'\n',
                    't' => b'\t',
                    'r' => b'\r',
                    'a' => 7,
                    'b' => 8,
                    'f' => 12,
                    'v' => 11,
                    '\\' | '"' | '\'' => escape as u8,
                    'x' => u8::try_from(digits(&mut chars, 2)?).ok()?,
                    'u' | 'U' => {
                        let n = if escape == 'u' { 4 } else { 8 };
                        let c = char::from_u32(digits(&mut chars, n)?)?;
                        out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                        continue;
                    }
                    _ => return None,
                };
                out.push(plain);
            }
            c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    None
}

/// As texts show them: sorted, with the service's name.
pub(super) fn show(labels: &[(String, String)]) -> String {
    let mut sorted: Vec<(&str, &str)> = labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let named = ["service", "app", "application", "name", "app_kubernetes_io_name", "container", "job"];
    let service = named.iter().find_map(|name| sorted.iter().find(|(own, _)| own == name).map(|(_, value)| *value));
    if !sorted.iter().any(|(name, _)| *name == "service_name") {
        sorted.push(("service_name", service.unwrap_or("unknown_service")));
    }
    sorted.sort_unstable();
    let each: Vec<String> = sorted.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    format!("{{{}}}", each.join(", "))
}

/// See [`show`].
pub(super) fn show_map(labels: &BTreeMap<String, String>) -> String {
    show(&labels.iter().map(|(name, value)| (name.clone(), value.clone())).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_read() {
        let labels = parse(r#"{ a="b", c_1 = "d\"\\\n\u00e9é" , }"#).unwrap();
        assert_eq!(labels, [("a".to_owned(), "b".to_owned()), ("c_1".to_owned(), "d\"\\\néé".to_owned())]);
        assert_eq!(parse("{}").unwrap(), []);
        assert_eq!(show(&labels[..1]), r#"{a="b", service_name="unknown_service"}"#);
        for bad in
            [r#"{a-b="c"}"#, r#"{1a="c"}"#, r#"{é="c"}"#, r#"{="c"}"#, r#"{a="b"#, r#"{a=b}"#, "a", r#"{a="b"}x"#]
        {
            assert!(parse(bad).unwrap_err().starts_with("couldn't parse labels: 1:"), "{bad}");
        }
    }
}
