//! Conditions made at random, judged by a second evaluator that knows only owned trees.

use proptest::prelude::*;
use suiro_record::Value;

use super::*;

#[derive(Clone, Debug)]
enum Model {
    And(Vec<Model>),
    Or(Vec<Model>),
    Not(Box<Model>),
    Compare(&'static str, &'static str, Value),
    Fields(&'static str, &'static str, &'static str),
    Number(&'static str, &'static str, f64),
    In(&'static str, Vec<Value>),
    Exists(&'static str),
    IsString(&'static str),
}

const FIELDS: [&str; 4] = ["a", "b", "c.d", "e"];

impl Model {
    fn text(&self) -> String {
        let join = |all: &[Model], by: &str| format!("({})", all.iter().map(Model::text).collect::<Vec<_>>().join(by));
        match self {
            Model::And(all) => join(all, " and "),
            Model::Or(any) => join(any, " or "),
            Model::Not(inner) => format!("not {}", inner.text()),
            Model::Compare(field, operator, value) => format!("{field} {operator} {}", literal(value)),
            Model::Fields(a, operator, b) => format!("{a} {operator} field({b})"),
            Model::Number(field, operator, number) => format!("number({field}) {operator} {number:?}"),
            Model::In(field, values) => {
                format!("{field} in [{}]", values.iter().map(literal).collect::<Vec<_>>().join(", "))
            }
            Model::Exists(field) => format!("exists({field})"),
            Model::IsString(field) => format!("is_string({field})"),
        }
    }

    fn holds(&self, record: &Value) -> bool {
        match self {
            Model::And(all) => all.iter().all(|model| model.holds(record)),
            Model::Or(any) => any.iter().any(|model| model.holds(record)),
            Model::Not(inner) => !inner.holds(record),
            Model::Compare(field, operator, value) => compare(look_up(record, field), operator, Some(value)),
            Model::Fields(a, operator, b) => compare(look_up(record, a), operator, look_up(record, b)),
            Model::Number(field, operator, number) => {
                let value = look_up(record, field).and_then(|value| match value {
                    Value::Str(text) => text.parse().ok().map(Value::Float),
                    value => as_number(value).map(Value::Float),
                });
                compare(value.as_ref(), operator, Some(&Value::Float(*number)))
            }
            Model::In(field, values) => values.iter().any(|value| compare(look_up(record, field), "==", Some(value))),
            Model::Exists(field) => look_up(record, field).is_some(),
            Model::IsString(field) => matches!(look_up(record, field), Some(Value::Str(_))),
        }
    }
}

/// JSON's texts, numbers and words are a condition's too.
fn literal(value: &Value) -> String {
    let mut out = Vec::new();
    value.write_json(&mut out);
    String::from_utf8(out).unwrap()
}

fn look_up<'v>(record: &'v Value, path: &str) -> Option<&'v Value> {
    record.get(path).or_else(|| path.split('.').try_fold(record, |value, part| value.get(part)))
}

fn as_number(value: &Value) -> Option<f64> {
    match value {
        Value::Int(n) => Some(*n as f64),
        Value::Float(n) => Some(*n),
        _ => None,
    }
}

/// All numbers of the model are exact floats.
fn compare(a: Option<&Value>, operator: &str, b: Option<&Value>) -> bool {
    if operator == "!=" {
        return !compare(a, "==", b);
    }
    let (Some(a), Some(b)) = (a, b) else { return false };
    let ordering = match (as_number(a), as_number(b)) {
        (Some(a), Some(b)) => a.partial_cmp(&b),
        _ => match (a, b) {
            (Value::Str(a), Value::Str(b)) => Some(a.chars().cmp(b.chars())),
            _ => None,
        },
    };
    match operator {
        "==" => ordering.map_or_else(|| same(a, b), |ordering| ordering.is_eq()),
        "<" => ordering.is_some_and(|ordering| ordering.is_lt()),
        "<=" => ordering.is_some_and(|ordering| ordering.is_le()),
        ">" => ordering.is_some_and(|ordering| ordering.is_gt()),
        ">=" => ordering.is_some_and(|ordering| ordering.is_ge()),
        "contains" => match (a, b) {
            (Value::Str(a), Value::Str(b)) => a.contains(b.as_str()),
            (Value::Array(items), b) => items.iter().any(|item| compare(Some(item), "==", Some(b))),
            _ => false,
        },
        "starts_with" => matches!((a, b), (Value::Str(a), Value::Str(b)) if a.starts_with(b.as_str())),
        "ends_with" => matches!((a, b), (Value::Str(a), Value::Str(b)) if a.ends_with(b.as_str())),
        other => panic!("{other}"),
    }
}

fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| compare(Some(a), "==", Some(b)))
        }
        (a, b) => a == b,
    }
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        (-3..4_i64).prop_map(Value::Int),
        (-6..7_i32).prop_map(|halves| Value::Float(f64::from(halves) / 2.0)),
        prop::sample::select(vec!["", "a", "ab", "b", "\"", "é\n", "\\", "1", "-1.5", "1e0", "x1", "tab\t"])
            .prop_map(Value::from),
    ]
}

fn record() -> impl Strategy<Value = Value> {
    let value = || prop_oneof![4 => scalar(), 1 => prop::collection::vec(scalar(), 0..3).prop_map(Value::Array)];
    let key = prop::sample::select(vec!["a", "b", "c.d", "e", "other"]);
    let flat = prop::collection::vec((key.prop_map(str::to_owned), value()), 0..5);
    (flat, prop::option::of(value())).prop_map(|(mut members, nested)| {
        if let Some(nested) = nested {
            members.push(("c".to_owned(), Value::Object(vec![("d".to_owned(), nested)])));
        }
        Value::Object(members)
    })
}

fn model() -> impl Strategy<Value = Model> {
    let field = || prop::sample::select(FIELDS.to_vec());
    let any_operator = || prop::sample::select(vec!["==", "!=", "contains"]);
    let order = || prop::sample::select(vec!["<", "<=", ">", ">=", "==", "!="]);
    let text = || prop::sample::select(vec!["starts_with", "ends_with", "<", ">="]);
    let ordered = scalar().prop_filter("has an order", |value| !matches!(value, Value::Null | Value::Bool(_)));
    let string = scalar().prop_filter("is a text", |value| matches!(value, Value::Str(_)));
    let leaf = prop_oneof![
        (field(), any_operator(), scalar()).prop_map(|(f, o, v)| Model::Compare(f, o, v)),
        (field(), order(), ordered).prop_map(|(f, o, v)| Model::Compare(f, o, v)),
        (field(), text(), string).prop_map(|(f, o, v)| Model::Compare(f, o, v)),
        (field(), prop_oneof![order(), any_operator(), text()], field()).prop_map(|(a, o, b)| Model::Fields(a, o, b)),
        (field(), order(), -4..5_i32).prop_map(|(f, o, n)| Model::Number(f, o, f64::from(n) / 2.0)),
        (field(), prop::collection::vec(scalar(), 0..8)).prop_map(|(f, v)| Model::In(f, v)),
        field().prop_map(Model::Exists),
        field().prop_map(Model::IsString),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..4).prop_map(Model::And),
            prop::collection::vec(inner.clone(), 1..4).prop_map(Model::Or),
            inner.prop_map(|inner| Model::Not(Box::new(inner))),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn agrees_with_the_model(model in model(), record in record()) {
        prop_assert_eq!(is(&model.text(), &literal(&record)), model.holds(&record), "{}", model.text());
    }

    #[test]
    fn no_text_panics(text in "(and|or|not|in|exists|number|==|!=|<|=~|\\(|\\)|\\[|\\]|\"|'|,|\\\\|@|-|[0-9]|[a-z.]| |.){0,24}") {
        match Condition::parse(&text) {
            Ok(condition) => {
                let batch = test_batch("{}");
                condition.prepare(&batch).matches(&batch, &batch.rows[0]);
            }
            Err(error) => {
                prop_assert!(text.is_char_boundary(error.at), "{} {}", error.at, text);
                prop_assert!(text.is_char_boundary(error.at + error.len), "{} {} {}", error.at, error.len, text);
            }
        }
    }

    #[test]
    fn no_broken_condition_panics(model in model(), at in 0..200_usize, with in "[ -~é]{0,2}") {
        let mut text = model.text();
        let at = text.char_indices().map(|(at, _)| at).nth(at).unwrap_or(0);
        text.insert_str(at, &with);
        if let Err(error) = Condition::parse(&text) {
            prop_assert!(text.get(error.at..error.at + error.len).is_some(), "{} {} {}", error.at, error.len, text);
        }
    }
}
