//! Paths of the host of tests: the agent's syntax and its way to look them up.

use serde_json::{Map, Value};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Key(String),
    Index(i64),
}

/// A parsed path. `special` is the word behind `@`, which then is no part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Path {
    pub(super) special: bool,
    pub(super) parts: Vec<Part>,
}

/// One step to a value that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Key(String),
    Index(usize),
}

/// What a bare part can't hold.
const SIGNS: &str = "@.[]\"'{}()|,=!<>~:";

impl Path {
    pub(super) fn parse(text: &str) -> Option<Path> {
        let (special, mut rest) = text.strip_prefix('@').map_or((false, text), |rest| (true, rest));
        let mut parts = Vec::new();
        loop {
            let (key, after) = key(rest)?;
            parts.push(Part::Key(key));
            rest = after;
            while let Some(inside) = rest.strip_prefix('[') {
                let (number, after) = inside.split_once(']')?;
                let digits = number.strip_prefix('-').unwrap_or(number);
                if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                    return None;
                }
                parts.push(Part::Index(number.parse().ok()?));
                rest = after;
            }
            match rest.strip_prefix('.') {
                Some(after) => rest = after,
                None => return (rest.is_empty() && parts.len() <= 16).then_some(Path { special, parts }),
            }
        }
    }

    /// Where the value is: at each map the longest literal key is tried first, then nesting.
    pub(super) fn find(&self, root: &Map<String, Value>) -> Option<Vec<Step>> {
        let mut steps = Vec::new();
        find_in_map(root, &self.parts, &mut steps).then_some(steps)
    }

    /// Where the value is to be put, and the keys of maps that are missing on the way; `None` where something that is no
    /// map, or a list's missing item, is in the way.
    pub(super) fn place(&self, root: &Map<String, Value>) -> Option<(Vec<Step>, Vec<String>)> {
        if let Some(steps) = self.find(root) {
            return Some((steps, Vec::new()));
        }
        // The longest head of the path that is there, and is a map.
        for there in (0..self.parts.len()).rev() {
            let mut steps = Vec::new();
            if there > 0 && !find_in_map(root, &self.parts[..there], &mut steps) {
                continue;
            }
            let map = at(root, &steps).is_none_or(Value::is_object);
            let missing: Option<Vec<String>> = self.parts[there..]
                .iter()
                .map(|part| if let Part::Key(key) = part { Some(key.clone()) } else { None })
                .collect();
            return missing.filter(|_| map).map(|missing| (steps, missing));
        }
        None
    }
}

/// The value behind these steps; `None` for none, which is the root.
pub(super) fn at<'v>(root: &'v Map<String, Value>, steps: &[Step]) -> Option<&'v Value> {
    let (first, rest) = steps.split_first()?;
    let Step::Key(key) = first else { return None };
    rest.iter().try_fold(root.get(key)?, |value, step| match step {
        Step::Key(key) => value.get(key),
        Step::Index(index) => value.get(index),
    })
}

/// The path of a value, such that it can be parsed again.
pub(super) fn write(steps: &[Step]) -> String {
    let mut out = String::new();
    for step in steps {
        match step {
            Step::Index(index) => out.push_str(&format!("[{index}]")),
            Step::Key(key) => {
                if !out.is_empty() {
                    out.push('.');
                }
                if key.is_empty() || key.contains(|c: char| !is_bare(c)) {
                    out.push_str(&format!("\"{}\"", key.replace('\\', "\\\\").replace('"', "\\\"")));
                } else {
                    out.push_str(key);
                }
            }
        }
    }
    out
}

fn is_bare(c: char) -> bool {
    !c.is_whitespace() && !c.is_control() && !SIGNS.contains(c)
}

fn key(text: &str) -> Option<(String, &str)> {
    if let Some(inside) = text.strip_prefix('"') {
        let mut key = String::new();
        let mut characters = inside.char_indices();
        while let Some((i, c)) = characters.next() {
            match c {
                '"' => return Some((key, &inside[i + 1..])),
                '\\' => key.push(characters.next()?.1),
                c => key.push(c),
            }
        }
        return None;
    }
    let end = text.find(|c| !is_bare(c)).unwrap_or(text.len());
    (end > 0).then(|| (text[..end].to_owned(), &text[end..]))
}

fn find_in_map(map: &Map<String, Value>, parts: &[Part], steps: &mut Vec<Step>) -> bool {
    let keys = parts.iter().take_while(|part| matches!(part, Part::Key(_))).count();
    for taken in (1..=keys).rev() {
        let words: Vec<&str> =
            parts[..taken].iter().map(|part| if let Part::Key(key) = part { key.as_str() } else { "" }).collect();
        let key = words.join(".");
        let Some(value) = map.get(&key) else { continue };
        steps.push(Step::Key(key));
        if find_in_value(value, &parts[taken..], steps) {
            return true;
        }
        steps.pop();
    }
    false
}

fn find_in_value(value: &Value, parts: &[Part], steps: &mut Vec<Step>) -> bool {
    match (value, parts.first()) {
        (_, None) => true,
        (Value::Object(map), Some(Part::Key(_))) => find_in_map(map, parts, steps),
        (Value::Array(list), Some(&Part::Index(index))) => {
            let index = if index < 0 { index + list.len() as i64 } else { index };
            let Some((index, item)) = usize::try_from(index).ok().and_then(|i| Some((i, list.get(i)?))) else {
                return false;
            };
            steps.push(Step::Index(index));
            let found = find_in_value(item, &parts[1..], steps);
            if !found {
                steps.pop();
            }
            found
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_path_is_refused() {
        for text in ["", "a..b", ".a", "a.", "a b", "a[", "a[x]", "a[-]", "\"a", "@", "a]", &"a.".repeat(20)] {
            assert_eq!(Path::parse(text), None, "{text}");
        }
    }

    #[test]
    fn paths_are_written_as_they_are_read() {
        let steps = [Step::Key("a".into()), Step::Index(2), Step::Key("b.c \"d\\".into()), Step::Key(String::new())];
        let text = write(&steps);
        assert_eq!(text, r#"a[2]."b.c \"d\\"."""#);
        let parts: Vec<Part> = Path::parse(&text).unwrap().parts;
        let same = parts.iter().zip(&steps).all(|(part, step)| match (part, step) {
            (Part::Key(a), Step::Key(b)) => a == b,
            (Part::Index(a), Step::Index(b)) => *a == *b as i64,
            _ => false,
        });
        assert!(same && parts.len() == steps.len(), "{parts:?}");
    }

    #[test]
    fn the_longest_key_is_tried_first() {
        let root: Map<String, Value> = serde_json::from_str(r#"{"a.b":1,"a":{"b":2,"c":[3,{"d":4}]}}"#).unwrap();
        let value =
            |path: &str| Path::parse(path).unwrap().find(&root).map(|steps| at(&root, &steps).unwrap().to_string());
        assert_eq!(value("a.b").as_deref(), Some("1"));
        assert_eq!(value("a.c[-1].d").as_deref(), Some("4"));
        assert_eq!(value("a.c[2]"), None);
        assert_eq!(value("a.c.d"), None);
    }
}
