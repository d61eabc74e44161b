//! Tables as RFC 4180 has them. Blank lines are passed over.

/// All rows, the first with the names among them.
pub(crate) fn rows(text: &str) -> Result<Vec<Vec<String>>, String> {
    let mut rows = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let mut row = Vec::new();
        loop {
            let (value, after) = value(rest)?;
            row.push(value);
            match after.strip_prefix(',') {
                Some(after) => rest = after,
                None => {
                    let line_end = ["\r\n", "\n"].into_iter().find_map(|end| after.strip_prefix(end));
                    rest = match line_end {
                        Some(after) => after,
                        None if after.is_empty() => after,
                        None => return Err(format!("`csv`: row {} goes on behind a closing quote", rows.len())),
                    };
                    break;
                }
            }
        }
        if row != [""] {
            rows.push(row);
        }
    }
    Ok(rows)
}

/// The first value, and what follows: a comma, a line's end, or nothing.
fn value(text: &str) -> Result<(String, &str), String> {
    let Some(mut rest) = text.strip_prefix('"') else {
        let line = text.find([',', '\n']).unwrap_or(text.len());
        // A line may end with a carriage return too.
        let end = if text[line..].starts_with('\n') && text[..line].ends_with('\r') { line - 1 } else { line };
        return Ok((text[..end].to_owned(), &text[end..]));
    };
    let mut value = String::new();
    loop {
        let Some((part, after)) = rest.split_once('"') else {
            let head: String = text.chars().take(20).collect();
            return Err(format!("`csv`: the quote that opens {head} is never closed"));
        };
        value.push_str(part);
        match after.strip_prefix('"') {
            Some(after) => {
                value.push('"');
                rest = after;
            }
            None => return Ok((value, after)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_read() {
        let text = "a,b\r\n\"1,\"\"x\"\"\",\"two\nlines\"\n\n,\n水,last";
        let want = [vec!["a", "b"], vec!["1,\"x\"", "two\nlines"], vec!["", ""], vec!["水", "last"]];
        assert_eq!(rows(text).unwrap(), want);
        assert!(rows("a\n\"x\" y").unwrap_err().contains("row 1"));
        assert!(rows("\"x").unwrap_err().contains("never closed"));
    }
}
