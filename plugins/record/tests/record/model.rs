//! A record as a plain tree, and what each edit means on it: slow, obvious, and made without looking at nodes.

use suiro_record::Value;

use crate::generate::Choices;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Part {
    Key(String),
    Index(i32),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ModelPath {
    /// `None`: the body.
    pub(crate) header: Option<&'static str>,
    pub(crate) parts: Vec<Part>,
}

/// A record. The header is a map under its fields' names.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Model {
    pub(crate) body: Value,
    pub(crate) header: Value,
}

/// Positions among children, from the top down to a value.
type Trail = Vec<usize>;

/// The edit can't be made.
#[derive(Debug)]
pub(crate) struct Refused;

impl ModelPath {
    pub(crate) fn choose(choices: &mut Choices) -> ModelPath {
        let header = match choices.pick(8) {
            6 => Some("attributes"),
            7 => Some("severity"),
            _ => None,
        };
        let mut parts = Vec::new();
        let count = match header {
            Some("attributes") => choices.pick(3),
            Some(_) => 0,
            None => 1 + choices.pick(3),
        };
        for _ in 0..count {
            parts.push(Part::Key(choices.key().to_owned()));
            if choices.pick(6) == 5 {
                parts.push(Part::Index([0, 1, -1, 7, -9][choices.pick(5)]));
            }
        }
        ModelPath { header, parts }
    }

    pub(crate) fn text(&self) -> String {
        let mut text = self.header.map_or(String::new(), |name| format!("@{name}"));
        for part in &self.parts {
            match part {
                Part::Key(key) => {
                    let dot = if text.is_empty() { "" } else { "." };
                    text += &format!("{dot}\"{}\"", key.replace('\\', "\\\\").replace('"', "\\\""));
                }
                Part::Index(i) => text += &format!("[{i}]"),
            }
        }
        text
    }

    fn takes(&self, value: &Value) -> bool {
        match (self.header, value) {
            (Some("severity"), value) => matches!(value, Value::Str(_)),
            (Some(_), value) => !self.parts.is_empty() || matches!(value, Value::Object(_)),
            (None, _) => true,
        }
    }
}

impl Model {
    pub(crate) fn get(&self, path: &ModelPath) -> Option<&Value> {
        let top = match path.header {
            None => &self.body,
            Some(name) => self.header.get(name)?,
        };
        Some(at(top, &find(top, &path.parts)?))
    }

    pub(crate) fn set(&mut self, path: &ModelPath, value: Value) -> Result<(), Refused> {
        if !path.takes(&value) {
            return Err(Refused);
        }
        let mut after = self.clone();
        match path.header {
            None => set(&mut after.body, &path.parts, value)?,
            Some(name) => {
                let members = members(&mut after.header);
                match members.iter_mut().find(|(k, _)| k == name) {
                    Some((_, old)) if path.parts.is_empty() => *old = value,
                    Some((_, old)) => set(old, &path.parts, value)?,
                    None => members.push((name.to_owned(), nested(&path.parts, value)?)),
                }
            }
        }
        *self = after;
        Ok(())
    }

    pub(crate) fn remove(&mut self, path: &ModelPath) -> bool {
        match path.header {
            None => remove(&mut self.body, &path.parts, None),
            Some(name) => {
                let members = members(&mut self.header);
                let before = members.len();
                if path.parts.is_empty() {
                    members.retain(|(k, _)| k != name);
                    return members.len() < before;
                }
                let old = members.iter_mut().find(|(k, _)| k == name);
                old.is_some_and(|(_, old)| remove(old, &path.parts, None))
            }
        }
    }

    pub(crate) fn rename(&mut self, from: &ModelPath, to: &ModelPath) -> Result<bool, Refused> {
        let Some(value) = self.get(from).cloned() else { return Ok(false) };
        if from == to {
            return Ok(true);
        }
        if let (None, None, [Part::Key(old)], [Part::Key(new)]) =
            (from.header, to.header, from.parts.as_slice(), to.parts.as_slice())
        {
            // Within one map it keeps its place.
            let members = members(&mut self.body);
            let keep = members.iter().rposition(|(k, _)| k == old).expect("it was found");
            let mut i = 0;
            members.retain(|(k, _)| {
                i += 1;
                i - 1 == keep || (k != old && k != new)
            });
            members.iter_mut().filter(|(k, _)| k == old).for_each(|(k, _)| k.clone_from(new));
            return Ok(true);
        }
        let mut after = self.clone();
        after.remove(from);
        after.set(to, value)?;
        *self = after;
        Ok(true)
    }

    pub(crate) fn copy(&mut self, from: &ModelPath, to: &ModelPath) -> Result<bool, Refused> {
        let Some(value) = self.get(from).cloned() else { return Ok(false) };
        if from != to {
            self.set(to, value)?;
        }
        Ok(true)
    }
}

fn members(value: &mut Value) -> &mut Vec<(String, Value)> {
    match value {
        Value::Object(members) => members,
        _ => panic!("not a map"),
    }
}

fn at<'v>(value: &'v Value, trail: &[usize]) -> &'v Value {
    trail.iter().fold(value, |value, &i| match value {
        Value::Array(items) => &items[i],
        Value::Object(members) => &members[i].1,
        _ => panic!("a trail leads through containers"),
    })
}

fn at_mut<'v>(value: &'v mut Value, trail: &[usize]) -> &'v mut Value {
    trail.iter().fold(value, |value, &i| match value {
        Value::Array(items) => &mut items[i],
        Value::Object(members) => &mut members[i].1,
        _ => panic!("a trail leads through containers"),
    })
}

/// The literal keys a path may mean at its head, longest first, and how many parts each takes.
fn heads(parts: &[Part]) -> Vec<(String, usize)> {
    let mut heads: Vec<(String, usize)> = Vec::new();
    for (i, part) in parts.iter().enumerate() {
        let Part::Key(key) = part else { break };
        let joined = heads.last().map_or_else(|| key.clone(), |(head, _)| format!("{head}.{key}"));
        heads.push((joined, i + 1));
    }
    heads.reverse();
    heads
}

fn position(len: usize, index: i32) -> Option<usize> {
    let at = if index < 0 { len as i64 + i64::from(index) } else { i64::from(index) };
    usize::try_from(at).ok().filter(|&at| at < len)
}

/// Everything a path can name, in the order of look-up.
fn all(value: &Value, parts: &[Part]) -> Vec<Trail> {
    let below = |i: usize, child: &Value, rest: &[Part]| {
        all(child, rest).into_iter().map(move |mut trail| {
            trail.insert(0, i);
            trail
        })
    };
    match (parts.first(), value) {
        (None, _) => vec![Vec::new()],
        (Some(Part::Index(index)), Value::Array(items)) => {
            position(items.len(), *index).map_or(Vec::new(), |i| below(i, &items[i], &parts[1..]).collect())
        }
        (Some(Part::Key(_)), Value::Object(members)) => {
            let mut found = Vec::new();
            for (key, used) in heads(parts) {
                for (i, (k, child)) in members.iter().enumerate().rev() {
                    if *k == key {
                        found.extend(below(i, child, &parts[used..]));
                    }
                }
            }
            found
        }
        _ => Vec::new(),
    }
}

/// What a look-up finds: of a repeated key the last alone counts.
fn find(value: &Value, parts: &[Part]) -> Option<Trail> {
    match (parts.first(), value) {
        (None, _) => Some(Vec::new()),
        (Some(Part::Index(index)), Value::Array(items)) => {
            let i = position(items.len(), *index)?;
            Some([vec![i], find(&items[i], &parts[1..])?].concat())
        }
        (Some(Part::Key(_)), Value::Object(members)) => heads(parts).into_iter().find_map(|(key, used)| {
            let i = members.iter().rposition(|(k, _)| *k == key)?;
            Some([vec![i], find(&members[i].1, &parts[used..])?].concat())
        }),
        _ => None,
    }
}

fn remove(value: &mut Value, parts: &[Part], keep: Option<&Trail>) -> bool {
    let mut trails = all(value, parts);
    trails.retain(|trail| Some(trail) != keep);
    // From behind, so that positions stay what they were.
    trails.sort();
    trails.dedup();
    for trail in trails.iter().rev() {
        let (&last, above) = trail.split_last().expect("a path has parts");
        match at_mut(value, above) {
            Value::Array(items) => drop(items.remove(last)),
            Value::Object(members) => drop(members.remove(last)),
            _ => panic!("a trail leads through containers"),
        }
    }
    !trails.is_empty()
}

fn set(value: &mut Value, parts: &[Part], new: Value) -> Result<(), Refused> {
    match find(value, parts) {
        Some(trail) => *at_mut(value, &trail) = new,
        None => create(value, parts, new)?,
    }
    let trail = find(value, parts).expect("it was set");
    remove(value, parts, Some(&trail));
    Ok(())
}

fn create(value: &mut Value, parts: &[Part], new: Value) -> Result<(), Refused> {
    match (&parts[0], value) {
        (Part::Index(index), Value::Array(items)) => {
            let i = position(items.len(), *index).ok_or(Refused)?;
            if parts.len() == 1 { Err(Refused) } else { create(&mut items[i], &parts[1..], new) }
        }
        (Part::Key(_), Value::Object(members)) => {
            let mut blocked = false;
            for (key, used) in heads(parts) {
                let Some(i) = members.iter().rposition(|(k, _)| *k == key) else { continue };
                let fits = matches!(
                    (&parts[used], &members[i].1),
                    (Part::Key(_), Value::Object(_)) | (Part::Index(_), Value::Array(_))
                );
                if fits {
                    return create(&mut members[i].1, &parts[used..], new);
                }
                blocked |= used == 1;
            }
            let (longest, used) = heads(parts).swap_remove(0);
            if used < parts.len() {
                return Err(Refused);
            }
            if blocked {
                members.push((longest, new));
            } else {
                let Part::Key(key) = &parts[0] else { return Err(Refused) };
                members.push((key.clone(), nested(&parts[1..], new)?));
            }
            Ok(())
        }
        _ => Err(Refused),
    }
}

fn nested(parts: &[Part], new: Value) -> Result<Value, Refused> {
    parts.iter().rev().try_fold(new, |inner, part| match part {
        Part::Key(key) => Ok(Value::Object(vec![(key.clone(), inner)])),
        Part::Index(_) => Err(Refused),
    })
}
