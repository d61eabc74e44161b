//! Whatever comes in, requests are such as CloudWatch takes, and hold all that was not set aside.

use proptest::prelude::*;
use serde_json::{Value, json};
use suiro_sdk::http::test_kit::delivery;

use super::kit::{accept, packed, points, settings};

fn number() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<f64>().prop_map(|value| json!(value)),
        any::<i64>().prop_map(|value| json!(value)),
        (0..5_u32).prop_map(|value| json!(value)),
        Just(Value::Null),
    ]
}

fn counts() -> impl Strategy<Value = Value> {
    proptest::collection::vec(prop_oneof![3 => (0..4_u64).boxed(), 1 => any::<u64>().boxed()], 0..400)
        .prop_map(|all| json!(all))
}

prop_compose! {
    fn point()(
        name in "[a-c]|.{0,8}|a{250,260}",
        kind in prop_oneof![
            Just("gauge"), Just("sum"), Just("histogram"), Just("exponential_histogram"), Just("summary"), Just("x"),
        ],
        temporality in prop_oneof![Just("delta"), Just("delta"), Just("cumulative")],
        (unit, attributes) in (
            prop_oneof![Just("By"), Just("ns"), Just("{x}"), Just("")],
            proptest::collection::vec(("[a-d]|.{0,5}", ".{0,6}|x{1000,1100}"), 0..4),
        ),
        (value, count, sum, min, max) in (number(), number(), number(), number(), number()),
        values in proptest::option::weighted(0.1, proptest::collection::vec(-5..400_i32, 0..700)),
        (bounds, buckets) in (proptest::collection::vec(-1e6..1e6_f64, 0..300), counts()),
        (scale, offset, zero_count) in (-12..22_i32, -2000..2000_i32, 0..3_u32),
        (positive, negative) in (counts(), counts()),
        fits in any::<bool>(),
        statsd in any::<bool>(),
    ) -> Value {
        let mut bounds = bounds;
        bounds.sort_by(f64::total_cmp);
        bounds.dedup();
        let buckets = match buckets {
            Value::Array(mut all) if fits => {
                all.resize(bounds.len() + 1, json!(1));
                Value::Array(all)
            }
            other => other,
        };
        let attributes: serde_json::Map<String, Value> =
            attributes.into_iter().map(|(key, value)| (key, json!(value))).collect();
        json!({
            "name": name, "kind": kind, "temporality": temporality, "monotonic": true, "unit": unit,
            "attributes": attributes, "value": value, "count": count, "sum": sum, "min": min, "max": max,
            "values": values, "bounds": bounds, "buckets": buckets, "scale": scale, "zero_count": zero_count,
            "positive": { "offset": offset, "buckets": positive }, "negative": { "offset": offset, "buckets": negative },
            "quantiles": [{ "quantile": 0.5, "value": value }, { "quantile": 0.9, "value": max }],
            "metadata": { "type": if statsd { "timer" } else { "" } },
        })
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn each_request_is_legal(
        records in proptest::collection::vec(point(), 1..60),
        statistics in any::<bool>(),
        as_is in any::<bool>(),
    ) {
        let lines: Vec<String> = records.iter().map(Value::to_string).collect();
        let text = format!(
            "histograms = '{}'\ncumulative = '{}'",
            if statistics { "statistics" } else { "values" },
            if as_is { "as_is" } else { "refuse" },
        );
        let (forms, apart) = packed(&settings(&text), &delivery(vec![points(&lines)]));
        let data: usize = forms.iter().map(|form| accept(form).len()).sum();
        prop_assert!(data > 0 || apart.len() == lines.len());
        let mut numbers: Vec<usize> = apart.iter().map(|(number, _)| *number).collect();
        numbers.dedup();
        prop_assert_eq!(numbers.len(), apart.len());
    }

    /// Of simple values each arrives, once, however they are merged and cut.
    #[test]
    fn each_value_arrives_once(values in proptest::collection::vec((0..40_u32, 0..300_u32, 0..400_usize), 1..3000)) {
        let line = |(metric, value, pad): &(u32, u32, usize)| {
            let pad = "p".repeat(*pad);
            format!(r#"{{"name":"m{metric}","kind":"gauge","value":{value},"attributes":{{"pad":"{pad}x"}}}}"#)
        };
        let lines: Vec<String> = values.iter().map(line).collect();
        let (forms, apart) = packed(&settings(""), &delivery(vec![points(&lines)]));
        prop_assert!(apart.is_empty());
        let (mut count, mut sum) = (0.0, 0.0);
        for datum in forms.iter().flat_map(accept) {
            count += datum.count;
            sum += datum.sum;
        }
        let want: f64 = values.iter().map(|(_, value, _)| f64::from(*value)).sum();
        prop_assert_eq!((count, sum), (values.len() as f64, want));
    }
}
