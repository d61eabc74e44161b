//! Points, and the requests for them, read back as a server reads them.

use std::collections::{BTreeMap, BTreeSet};

use suiro_record::{Batch, Signal};
use suiro_sdk::http::test_kit::{batch, delivery};
use suiro_sdk::settings::Section;
use suiro_sdk::{Delivery, Reason, Verdict};

use crate::cloudwatch::metrics::pack::{MAX_BODY, MAX_DATA, Packed};
use crate::cloudwatch::metrics::settings::Settings;

/// 2026-11-22T16:29:03Z
pub(super) const TIME: i64 = 1_795_364_943_000_000_000;

pub(super) fn read(text: &str) -> Result<Settings, String> {
    let (section, diagnostics) = Section::from_text("[[output]] cloudwatch_metrics", text);
    Settings::read(&section).map_err(|_| diagnostics.render(false))
}

pub(super) fn settings(more: &str) -> Settings {
    read(&format!("namespace = 'Shop'\n{more}")).unwrap_or_else(|shown| panic!("{shown}"))
}

pub(super) fn points<L: AsRef<str>>(lines: &[L]) -> Batch {
    let mut batch = batch(lines, TIME);
    batch.signal = Signal::Metrics;
    for row in &mut batch.rows {
        row.time = TIME;
    }
    batch
}

/// A request's parameters, in order.
pub(super) type Form = Vec<(String, String)>;

pub(super) fn form(body: &[u8]) -> Form {
    let text = std::str::from_utf8(body).expect("a form is ASCII");
    let decode = |text: &str| {
        assert!(!text.contains('+'), "a space is %20: {text}");
        let mut bytes = Vec::new();
        let mut rest = text.as_bytes();
        while let [first, tail @ ..] = rest {
            rest = tail;
            if *first == b'%' {
                let digits = std::str::from_utf8(&tail[..2]).expect("two digits");
                bytes.push(u8::from_str_radix(digits, 16).expect("two digits"));
                rest = &tail[2..];
            } else {
                bytes.push(*first);
            }
        }
        String::from_utf8(bytes).expect("texts are UTF-8")
    };
    text.split('&')
        .map(|pair| {
            let (key, value) = pair.split_once('=').expect("key=value");
            (decode(key), decode(value))
        })
        .collect()
}

/// The bodies for a delivery, and what is not sent.
pub(super) fn packed(settings: &Settings, delivery: &Delivery) -> (Vec<Form>, Vec<(usize, Verdict)>) {
    let packed = Packed::new(settings, delivery, TIME);
    let body = |piece| {
        let mut body = Vec::new();
        packed.write(piece, &mut body);
        assert!(body.len() <= MAX_BODY, "{} bytes", body.len());
        form(&body)
    };
    (packed.pieces.iter().map(body).collect(), packed.apart)
}

/// The parameters of the data of one request, a line each, without their prefix.
pub(super) fn lines(settings: &Settings, points: Batch) -> Vec<String> {
    let (forms, apart) = packed(settings, &delivery(vec![points]));
    assert_eq!((forms.len(), apart), (1, Vec::new()));
    let of_data = |(key, value): &(String, String)| {
        let rest = key.strip_prefix("MetricData.member.")?;
        Some(format!("{rest}={value}"))
    };
    forms[0].iter().filter_map(of_data).collect()
}

/// The reasons for which points are set aside or dropped.
pub(super) fn reasons(settings: &Settings, points: Batch) -> Vec<(usize, Reason)> {
    let reason = |(number, verdict): (usize, Verdict)| match verdict {
        Verdict::Refused { reason, .. } | Verdict::Drop(reason) => (number, reason),
        other => panic!("{number}: {other:?}"),
    };
    packed(settings, &delivery(vec![points])).1.into_iter().map(reason).collect()
}

/// A datum as a server reads it.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) name: String,
    pub(super) dimensions: BTreeMap<String, String>,
    /// What was measured and how often, whatever form it has.
    pub(super) count: f64,
    pub(super) sum: f64,
}

/// Reads a request as CloudWatch does, and panics where it would refuse it.
pub(super) fn accept(form: &Form) -> Vec<Read> {
    let mut seen = BTreeSet::new();
    let mut data: BTreeMap<usize, BTreeMap<String, String>> = BTreeMap::new();
    for (key, value) in form {
        assert!(seen.insert(key), "{key} twice");
        if let Some(rest) = key.strip_prefix("MetricData.member.") {
            let (n, name) = rest.split_once('.').expect("a datum's parameter");
            data.entry(n.parse().expect("a number")).or_default().insert(name.to_owned(), value.clone());
        } else {
            assert!(["Action", "Version", "Namespace"].contains(&key.as_str()), "{key}");
        }
    }
    assert_eq!(data.keys().copied().collect::<Vec<_>>(), (1..=data.len()).collect::<Vec<_>>());
    assert!((1..=MAX_DATA).contains(&data.len()));
    data.values().map(accept_datum).collect()
}

fn accept_datum(datum: &BTreeMap<String, String>) -> Read {
    let printable = |text: &str, most: usize| {
        assert!(!text.trim().is_empty() && text.len() <= most, "{text:?}");
        assert!(text.bytes().all(|b| (b' '..=b'~').contains(&b)), "{text:?}");
    };
    let number = |text: &str| {
        let number: f64 = text.parse().expect("a number");
        assert!(number.is_finite() && number.abs() <= 2.0_f64.powi(360), "{text}");
        number
    };
    let list = |prefix: &str| -> Vec<String> {
        (1..).map_while(|n| datum.get(&format!("{prefix}.member.{n}")).cloned()).collect()
    };
    let mut read = Read { name: datum["MetricName"].clone(), ..Read::default() };
    printable(&read.name, 255);
    for n in 1.. {
        let Some(name) = datum.get(&format!("Dimensions.member.{n}.Name")) else { break };
        let value = &datum[&format!("Dimensions.member.{n}.Value")];
        printable(name, 255);
        printable(value, 1024);
        assert!(!name.starts_with(':'));
        assert!(read.dimensions.insert(name.clone(), value.clone()).is_none(), "{name} twice");
    }
    assert!(read.dimensions.len() <= 30);
    assert_eq!(datum["Timestamp"].len(), 20);
    let values = list("Values");
    let forms = [datum.contains_key("Value"), !values.is_empty(), datum.contains_key("StatisticValues.Sum")];
    assert_eq!(forms.iter().filter(|is| **is).count(), 1, "{datum:?}");
    if let Some(value) = datum.get("Value") {
        (read.count, read.sum) = (1.0, number(value));
    } else if !values.is_empty() {
        assert!(values.len() <= 150);
        let unique: BTreeSet<&String> = values.iter().collect();
        assert_eq!(unique.len(), values.len(), "{values:?}");
        let counts = list("Counts");
        assert!(counts.is_empty() || counts.len() == values.len());
        for (at, value) in values.iter().enumerate() {
            let count = counts.get(at).map_or(1.0, |count| number(count));
            assert!(count >= 1.0);
            read.count += count;
            read.sum += count * number(value);
        }
    } else {
        let member = |name: &str| number(&datum[&format!("StatisticValues.{name}")]);
        assert!(member("SampleCount") > 0.0 && member("Minimum") <= member("Maximum"));
        (read.count, read.sum) = (member("SampleCount"), member("Sum"));
    }
    read
}
