//! The name that was probably meant.

/// The candidate closest to `wanted`, if one is close enough to be worth proposing: a third of its letters may differ,
/// or the one begins with the other. `_` and `-`, and upper and lower case, count as the same.
pub fn nearest<'a>(wanted: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Foreign text: a name longer than any setting isn't compared with all of them.
    if wanted.len() > 64 {
        return None;
    }
    let folded = fold(wanted);
    candidates
        .into_iter()
        .filter(|candidate| *candidate != wanted)
        .filter_map(|candidate| {
            let other = fold(candidate);
            let distance = strsim::damerau_levenshtein(&folded, &other);
            let allowed = (folded.chars().count().max(other.chars().count()) / 3).max(1);
            let begins =
                folded.len().min(other.len()) >= 3 && (other.starts_with(&folded) || folded.starts_with(&other));
            (distance <= allowed || begins).then_some((distance, candidate))
        })
        .min_by_key(|(distance, candidate)| (*distance, *candidate))
        .map(|(_, candidate)| candidate)
}

/// `` `a`, `b` and `c` ``, for help texts.
pub fn enumerate<'a>(names: impl IntoIterator<Item = &'a str>, last: &str) -> String {
    let quoted: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        None => String::new(),
        Some((only, [])) => only.clone(),
        Some((end, rest)) => format!("{} {last} {end}", rest.join(", ")),
    }
}

fn fold(name: &str) -> String {
    name.chars().map(|c| if c == '-' { '_' } else { c.to_ascii_lowercase() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proposes_what_is_close() {
        let names = ["url", "labels", "match", "when", "structured_metadata"];
        for (wanted, expected) in [
            ("urll", Some("url")),
            ("lables", Some("labels")),
            ("Match", Some("match")),
            ("structured-metadata", Some("structured_metadata")),
            ("structured", Some("structured_metadata")),
            ("wehn", Some("when")),
            ("tenant", None),
            ("", None),
        ] {
            assert_eq!(nearest(wanted, names), expected, "{wanted}");
        }
        assert_eq!(nearest(&"u".repeat(1000), names), None);
    }

    #[test]
    fn enumerates() {
        assert_eq!(enumerate([], "or"), "");
        assert_eq!(enumerate(["a"], "or"), "`a`");
        assert_eq!(enumerate(["a", "b", "c"], "or"), "`a`, `b` or `c`");
    }
}
