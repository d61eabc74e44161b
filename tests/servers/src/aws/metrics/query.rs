//! The Query protocol: a form whose names spell a tree, `MetricData.member.1.Dimensions.member.2.Name=x`.

use serde_json::{Map, Value};

use crate::aws::error::Refusal;
use crate::http::{Answer, decode};

/// The action and its parameters as JSON has them, but that all are texts. A list begins at 1 and has no gaps.
pub(in crate::aws) fn read(body: &[u8], version: &str) -> Result<(String, Map<String, Value>), Refusal> {
    let malformed = |why: &str| Refusal::new("MalformedInput", why);
    let text = std::str::from_utf8(body).map_err(|_| malformed("not UTF-8"))?;
    let mut root = Value::Object(Map::new());
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').ok_or_else(|| malformed("a parameter without a value"))?;
        let name = decode(name);
        let words: Vec<&str> = name.split('.').collect();
        set(&mut root, &words, decode(value)).ok_or_else(|| malformed(&format!("unexpected parameter {name}")))?;
    }
    let Value::Object(mut root) = root else { return Err(malformed("no parameters")) };
    let mut take = |name: &str| match root.remove(name) {
        Some(Value::String(text)) => Ok(text),
        _ => Err(Refusal::new("MissingAction", format!("{name} is missing"))),
    };
    let action = take("Action")?;
    if take("Version")? != version {
        return Err(Refusal::new("NoSuchVersion", "The requested version is not known."));
    }
    Ok((action, root))
}

fn set(at: &mut Value, words: &[&str], value: String) -> Option<()> {
    match words {
        [] => {
            // Once only.
            at.is_null().then(|| *at = Value::String(value))
        }
        ["member", index, rest @ ..] => {
            let index = index.parse::<usize>().ok()?.checked_sub(1)?;
            if at.is_null() {
                *at = Value::Array(Vec::new());
            }
            let list = at.as_array_mut()?;
            if index > list.len() {
                return None;
            }
            if index == list.len() {
                list.push(Value::Null);
            }
            set(&mut list[index], rest, value)
        }
        [name, rest @ ..] => {
            if at.is_null() {
                *at = Value::Object(Map::new());
            }
            set(at.as_object_mut()?.entry(*name).or_insert(Value::Null), rest, value)
        }
    }
}

/// Success of an action without a result.
pub(super) fn done(action: &str) -> Answer {
    let id = "<ResponseMetadata><RequestId>00000000-0000-4000-8000-000000000000</RequestId></ResponseMetadata>";
    let space = "http://monitoring.amazonaws.com/doc/2010-08-01/";
    Answer::new(200, "text/xml", format!("<{action}Response xmlns=\"{space}\">{id}</{action}Response>"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_spell_a_tree() {
        let body =
            b"Action=A&Version=1&N=a%20b&L.member.1.X=1&L.member.2.V.member.1=2&L.member.2.V.member.2=3&S.T=%2B+";
        let (action, asked) = read(body, "1").unwrap();
        assert_eq!(action, "A");
        let tree = json!({ "N": "a b", "L": [{ "X": "1" }, { "V": ["2", "3"] }], "S": { "T": "+ " } });
        assert_eq!(Value::Object(asked), tree);
        for body in
            ["Action=A&Version=1&L.member.2=1", "Action=A&Version=1&N=1&N=2", "Action=A&Version=1&N=1&N.x=2", "x=1"]
        {
            assert!(read(body.as_bytes(), "1").is_err(), "{body}");
        }
    }
}
