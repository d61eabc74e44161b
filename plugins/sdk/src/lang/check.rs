//! Checks of rendered destinations: what a record's content has become part of must still be a name of its kind.
//!
//! A check's `Err` completes a sentence that begins with the name.

/// Whether a text may name a destination.
pub type Check = fn(&str) -> Result<(), &'static str>;

/// The longest file name of common file systems, bytes.
const MAX_FILE_NAME: usize = 255;
/// The longest name of an index, bytes.
const MAX_INDEX: usize = 255;

/// Any text that isn't empty and holds no control character.
pub fn printable(text: &str) -> Result<(), &'static str> {
    if text.is_empty() {
        return Err("is empty");
    }
    if text.chars().any(char::is_control) { Err("holds a control character") } else { Ok(()) }
}

/// The value of a header of HTTP, such as a tenant's name: visible ASCII and spaces.
pub fn header_value(text: &str) -> Result<(), &'static str> {
    printable(text)?;
    if !text.is_ascii() {
        return Err("holds a character that is not ASCII");
    }
    if text.trim() == text { Ok(()) } else { Err("begins or ends with a space") }
}

/// The name of an index, a data stream or an alias of Elasticsearch and OpenSearch.
pub fn elasticsearch_index(name: &str) -> Result<(), &'static str> {
    printable(name)?;
    if name.len() > MAX_INDEX {
        return Err("is longer than 255 bytes");
    }
    if name.starts_with(['-', '_', '+']) {
        return Err("begins with `-`, `_` or `+`");
    }
    if name == "." || name == ".." {
        return Err("is `.` or `..`");
    }
    if name.contains(['\\', '/', '*', '?', '"', '<', '>', '|', ' ', ',', '#', ':']) {
        return Err("holds one of the characters an index name can't: \\ / * ? \" < > | , # : and the space");
    }
    if name.chars().any(char::is_uppercase) {
        return Err("isn't lower case");
    }
    Ok(())
}

/// A path of a file: no part of it climbs (`..`) or is longer than a file's name can be, and it ends in a name.
pub fn file_path(path: &str) -> Result<(), &'static str> {
    printable(path)?;
    let parts = || path.split(['/', '\\']);
    if parts().any(|part| part == "..") {
        return Err("climbs with `..`");
    }
    if parts().any(|part| part.len() > MAX_FILE_NAME) {
        return Err("has a part longer than 255 bytes");
    }
    match parts().next_back() {
        None | Some("" | ".") => Err("doesn't end in a file's name"),
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indexes() {
        for name in ["logs-app-default", "a", ".hidden", "été", "a-_+", &"a".repeat(255)] {
            assert_eq!(elasticsearch_index(name), Ok(()), "{name}");
        }
        for name in
            ["", ".", "..", "-a", "_bulk", "+a", "a/b", "a b", "a,b", "a*", "A", "a\n", "a:b", "É", &"a".repeat(256)]
        {
            assert!(elasticsearch_index(name).is_err(), "{name}");
        }
    }

    #[test]
    fn headers() {
        assert_eq!(header_value("team a|b"), Ok(()));
        for value in ["", "é", "a\r\nb", " a", "a ", "\u{7f}"] {
            assert!(header_value(value).is_err(), "{value:?}");
        }
    }

    #[test]
    fn files() {
        for path in ["/var/log/a.log", "a", "./a", "a..b/..c", "/a/.log"] {
            assert_eq!(file_path(path), Ok(()), "{path}");
        }
        for path in ["", "..", "/a/../b", "a/..", "..\\b", "a\0b", "a/", "/", ".", &format!("/{}", "a".repeat(256))] {
            assert!(file_path(path).is_err(), "{path}");
        }
    }
}
