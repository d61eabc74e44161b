//! Datagrams: each line is read or refused, and what was read says no more than the line does.
#![no_main]

use suiro_statsd::parse::{Kind, Line, parse};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    for line in data.split(|byte| *byte == b'\n') {
        match parse(line) {
            Ok(Line::Metric(metric)) => {
                assert!(!metric.name.is_empty() && metric.rate > 0.0 && metric.rate <= 1.0);
                if metric.kind != Kind::Set {
                    let numbers = metric.numbers().inspect(|(number, _)| assert!(number.is_finite())).count();
                    assert_eq!(numbers, metric.values.split(':').count());
                }
                assert!(metric.tags.iter().all(|(key, _)| !key.is_empty()));
            }
            Ok(Line::Event(event)) => assert!(event.title.len() + event.text.len() <= line.len()),
            Ok(Line::Check(check)) => assert!(check.status <= 3),
            Err(_) => {}
        }
    }
});
