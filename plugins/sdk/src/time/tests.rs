//! Times against the documents that define them, and against `jiff`.

use std::sync::Arc;

use jiff::Timestamp;
use proptest::prelude::*;
use suiro_record::{Batch, Path, Row, Scope, Source};

use super::*;
use crate::settings::Section;

fn written(ns: i64) -> String {
    let mut out = Vec::new();
    write_rfc3339(ns, &mut out);
    String::from_utf8(out).unwrap()
}

fn read(format: &TimeFormat, text: &str) -> Option<String> {
    format.read_text(text.as_bytes(), NEAR).map(written)
}

/// 2024-03-01T00:00:00Z
const NEAR: i64 = 1_709_251_200 * SECOND;

#[test]
fn writes_the_digits_it_needs() {
    for (ns, text) in [
        (0, "1970-01-01T00:00:00Z"),
        (1, "1970-01-01T00:00:00.000000001Z"),
        (1_500_000, "1970-01-01T00:00:00.001500Z"),
        (120_000_000, "1970-01-01T00:00:00.120Z"),
        (-1, "1969-12-31T23:59:59.999999999Z"),
        (951_782_400 * SECOND, "2000-02-29T00:00:00Z"),
        (i64::MAX, "2262-04-11T23:47:16.854775807Z"),
        (i64::MIN, "1677-09-21T00:12:43.145224192Z"),
    ] {
        assert_eq!(written(ns), text);
        assert_eq!(parse_rfc3339(text.as_bytes()), Some(ns));
    }
}

#[test]
fn reads_rfc3339_and_its_dialects() {
    for (text, expected) in [
        ("1985-04-12T23:20:50.52Z", "1985-04-12T23:20:50.520Z"),
        ("1996-12-19T16:39:57-08:00", "1996-12-20T00:39:57Z"),
        ("1990-12-31T23:59:60Z", "1990-12-31T23:59:59Z"),
        ("1937-01-01T12:00:27.87+00:20", "1937-01-01T11:40:27.870Z"),
        ("2024-02-29t12:00:00z", "2024-02-29T12:00:00Z"),
        ("2024-02-29 12:00:00,25+0900", "2024-02-29T03:00:00.250Z"),
        ("2024-02-29T12:00:00-23", "2024-03-01T11:00:00Z"),
        ("2024-02-29T12:00:00.1234567891234Z", "2024-02-29T12:00:00.123456789Z"),
    ] {
        assert_eq!(parse_rfc3339(text.as_bytes()).map(written).as_deref(), Some(expected), "{text}");
    }
    for text in [
        "",
        "2024-02-29",
        "2024-02-29T12:00:00",
        "2023-02-29T12:00:00Z",
        "1900-02-29T12:00:00Z",
        "2024-13-01T12:00:00Z",
        "2024-00-01T12:00:00Z",
        "2024-04-31T12:00:00Z",
        "2024-04-00T12:00:00Z",
        "2024-04-30T24:00:00Z",
        "2024-04-30T12:60:00Z",
        "2024-04-30T12:00:61Z",
        "2024-04-30T12:00:00.Z",
        "2024-04-30T12:00:00Zz",
        "2024-04-30T12:00:00+24:00",
        "2024-04-30T12:00:00+01:60",
        "2024-04-30T12:00:00+1",
        "2024-04-30T12:00:00+01:000",
        "2024/04/30T12:00:00Z",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "2024-04-30T12:00:00 +09:00",
        "２０２４-04-30T12:00:00Z",
        "20240-4-30T12:00:00Z",
        "2262-04-11T23:47:16.854775808Z",
    ] {
        assert_eq!(parse_rfc3339(text.as_bytes()), None, "{text}");
    }
}

#[test]
fn reads_the_common_log_format() {
    let text = b"10/Oct/2000:13:55:36 -0700";
    assert_eq!(parse_clf(text).map(written).as_deref(), Some("2000-10-10T20:55:36Z"));
    for (i, _) in text.iter().enumerate() {
        let mut broken = text.to_vec();
        broken[i] = b'x';
        assert_eq!(parse_clf(&broken), None);
        assert_eq!(parse_clf(&text[..i]), None);
    }
    assert_eq!(parse_clf(b"31/Sep/2000:13:55:36 -0700"), None);
    assert!(parse_clf(b"10/OCT/2000:13:55:36 -0700").is_some());
}

#[test]
fn tells_units_of_an_epoch_by_their_size() {
    for (text, ns) in [
        ("1700000000", 1_700_000_000 * SECOND),
        ("1700000000123", 1_700_000_000_123 * 1_000_000),
        ("1700000000123456", 1_700_000_000_123_456 * 1_000),
        ("1700000000123456789", 1_700_000_000_123_456_789),
        ("1700000000.123", 1_700_000_000_123 * 1_000_000),
        ("1700000000.1234567891234567891234", 1_700_000_000_123_456_789),
        ("1700000000123.5", 1_700_000_000_123_500_000),
        ("1.7e9", 1_700_000_000 * SECOND),
        ("-1.5", -1_500_000_000),
        ("+0", 0),
    ] {
        assert_eq!(parse_epoch(text.as_bytes()), Some(ns), "{text}");
    }
    for text in ["", "-", ".5", "5.", "1,5", "1 ", "0x10", "inf", "nan", "1e400", "99999999999", "1.5.5", "1.x", "e"] {
        assert_eq!(parse_epoch(text.as_bytes()), None, "{text}");
    }
    assert_eq!(epoch_int(-1), Some(-SECOND));
    assert_eq!(epoch_int(i64::MIN), Some(i64::MIN));
    assert_eq!(epoch_int(99_999_999_999), None);
    assert_eq!(epoch_float(1_700_000_000.123), Some(1_700_000_000_123_000_000));
    assert_eq!(epoch_float(f64::NAN), None);
    assert_eq!(epoch_float(1e300), None);
}

#[test]
fn auto_takes_times_and_leaves_durations() {
    let auto = TimeFormat::auto();
    assert_eq!(read(&auto, "2024-02-29T12:00:00+09:00").as_deref(), Some("2024-02-29T03:00:00Z"));
    assert_eq!(read(&auto, "1700000000").as_deref(), Some("2023-11-14T22:13:20Z"));
    assert_eq!(read(&auto, "0.123"), None);
    assert_eq!(read(&auto, "-1700000000"), None);
    assert_eq!(read(&auto, "2024-02-29 12:00:00"), None);
    let zoned = TimeFormat::parse("auto", Some("Asia/Tokyo")).unwrap();
    assert_eq!(read(&zoned, "2024-02-29 12:00:00").as_deref(), Some("2024-02-29T03:00:00Z"));
    assert_eq!(read(&zoned, "2024-02-29 12:00:00Z").as_deref(), Some("2024-02-29T12:00:00Z"));
    assert_eq!(read(&TimeFormat::parse("epoch", None).unwrap(), "5").as_deref(), Some("1970-01-01T00:00:05Z"));
    assert_eq!(read(&TimeFormat::parse("rfc3339", None).unwrap(), "1700000000"), None);
    assert_eq!(read(&auto, &"1".repeat(10_000)), None);
}

#[test]
fn reads_formats() {
    for (format, zone, text, expected) in [
        ("%d/%b/%Y:%H:%M:%S %z", None, "10/Oct/2000:13:55:36 -0700", "2000-10-10T20:55:36Z"),
        ("%Y-%m-%d %H:%M:%S", None, "2024-02-29 12:00:00", "2024-02-29T12:00:00Z"),
        ("%Y-%m-%d %H:%M:%S", Some("Asia/Tokyo"), "2024-02-29 12:00:00", "2024-02-29T03:00:00Z"),
        ("%Y-%m-%d %H:%M:%S", Some("+05:30"), "2024-02-29 12:00:00", "2024-02-29T06:30:00Z"),
        ("%Y-%m-%d %H:%M:%S,%L", None, "2024-02-29 12:00:00,123", "2024-02-29T12:00:00.123Z"),
        ("%Y-%m-%dT%H:%M:%S%.f%z", None, "2024-02-29T12:00:00.5+0100", "2024-02-29T11:00:00.500Z"),
        ("%Y-%m-%dT%H:%M:%S.%L%z", None, "2024-02-29T12:00:00.5Z", "2024-02-29T12:00:00.500Z"),
        ("%a %b %e %H:%M:%S %Y", None, "Thu Feb 29 12:00:00 2024", "2024-02-29T12:00:00Z"),
        ("%s", None, "1700000000", "2023-11-14T22:13:20Z"),
        ("%Y%m%d", Some("Asia/Tokyo"), "20240229", "2024-02-28T15:00:00Z"),
        ("%m/%d/%y %I:%M:%S %p", None, "2/29/24 1:00:00 PM", "2024-02-29T13:00:00Z"),
        // Clocks went forward at 02:00, and back at 03:00: the gap is moved over, the first of two is meant.
        ("%F %T", Some("Europe/Paris"), "2024-03-31 02:30:00", "2024-03-31T01:30:00Z"),
        ("%F %T", Some("Europe/Paris"), "2024-10-27 02:30:00", "2024-10-27T00:30:00Z"),
    ] {
        let parsed = TimeFormat::parse(format, zone).unwrap();
        assert_eq!(read(&parsed, text).as_deref(), Some(expected), "{format} {text}");
        assert_eq!(read(&parsed, "what"), None);
    }
}

#[test]
fn a_missing_year_is_the_latest_that_is_not_ahead() {
    let format = TimeFormat::parse("%b %d %H:%M:%S", None).unwrap();
    let january = 1_704_067_200 * SECOND + SECOND;
    let read = |text: &str, near| format.read_text(text.as_bytes(), near).map(written);
    assert_eq!(read("Dec 31 23:59:59", january).as_deref(), Some("2023-12-31T23:59:59Z"));
    assert_eq!(read("Jan 01 00:00:05", january).as_deref(), Some("2024-01-01T00:00:05Z"));
    assert_eq!(read("Jan 01 00:00:05", january - 5 * SECOND).as_deref(), Some("2024-01-01T00:00:05Z"));
    // A file of last winter, read in autumn, is not of next winter.
    let november = january - 40 * 86_400 * SECOND;
    assert_eq!(read("Jan 01 00:00:05", november).as_deref(), Some("2023-01-01T00:00:05Z"));
    assert_eq!(read("Nov 22 00:00:05", november).as_deref(), Some("2023-11-22T00:00:05Z"));
    assert_eq!(read("Nov 24 00:00:05", november).as_deref(), Some("2022-11-24T00:00:05Z"));
    assert_eq!(read("Feb 29 00:00:00", november).as_deref(), Some("2020-02-29T00:00:00Z"));
    assert_eq!(read("Feb 29 00:00:00", NEAR).as_deref(), Some("2024-02-29T00:00:00Z"));
    assert_eq!(read("Feb 30 00:00:00", NEAR), None);
}

#[test]
fn mistakes_are_explained() {
    for (format, zone, setting, message, help) in [
        ("rfc339", None, "time_format", "`rfc339` is no time format", "did you mean `rfc3339`?"),
        ("%H:%M", None, "time_format", "this time format gives no day", "month and day are needed"),
        ("%Y-%m-%d %!", None, "time_format", "this time format can't be read: ", ""),
        ("%Y-%m-%d %", None, "time_format", "this time format can't be read: ", ""),
        ("%c", None, "time_format", "this time format can't be read: ", ""),
        ("auto", Some("Asia/Tokio"), "time_zone", "`Asia/Tokio` is no time zone", "did you mean `Asia/Tokyo`?"),
        ("auto", Some("../../etc/passwd"), "time_zone", "`../../etc/passwd` is no time zone", "a name such as"),
    ] {
        let error = TimeFormat::parse(format, zone).unwrap_err();
        assert_eq!(error.setting, setting);
        assert!(error.message.starts_with(message), "{}", error.message);
        assert!(error.help.starts_with(help), "{}", error.help);
    }
    let (section, diagnostics) = Section::from_text("parser", "time_format = '%H'\ntime_zone = 'local'");
    TimeFormat::from_section(&section);
    assert!(section.finish().is_err());
    assert_eq!(diagnostics.errors(), 1, "{}", diagnostics.render(false));
}

#[test]
fn reads_fields() {
    let source = Arc::new(Source::new("in".into(), 1));
    let mut batch = Batch::new("t".into(), Arc::new(Scope::new(source)), 0);
    let json =
        r#"{"i":1700000000123,"f":1700000000.123456789,"s":"2023-11-14T22:13:20Z","d":20240229,"b":true,"n":0.5}"#;
    batch.heap_mut().extend_from_slice(json.as_bytes());
    let root = batch.parse_json(0..json.len()).unwrap();
    batch.rows.push(Row::new(root, 42, 0, 1));
    let read = |format: &str, path: &str| {
        let path = Path::parse(path).unwrap();
        let field = batch.get(&batch.rows[0], &batch.resolve(&path)).unwrap();
        TimeFormat::parse(format, None).unwrap().read(field, NEAR).map(written)
    };
    assert_eq!(read("auto", "i").as_deref(), Some("2023-11-14T22:13:20.123Z"));
    assert_eq!(read("epoch", "f").as_deref(), Some("2023-11-14T22:13:20.123456789Z"));
    assert_eq!(read("auto", "s").as_deref(), Some("2023-11-14T22:13:20Z"));
    assert_eq!(read("%Y%m%d", "d").as_deref(), Some("2024-02-29T00:00:00Z"));
    assert_eq!(read("auto", "b"), None);
    assert_eq!(read("%Y%m%d", "b"), None);
    assert_eq!(read("auto", "n"), None);
    assert_eq!(read("epoch", "n").as_deref(), Some("1970-01-01T00:00:00.500Z"));
    assert_eq!(read("auto", "@time").as_deref(), Some("1970-01-01T00:00:00.000000042Z"));
}

proptest! {
    #[test]
    fn written_times_are_jiffs(ns in any::<i64>()) {
        let jiff = Timestamp::from_nanosecond(i128::from(ns)).unwrap();
        let text = written(ns);
        prop_assert_eq!(text.parse::<Timestamp>().unwrap(), jiff);
        prop_assert_eq!(parse_rfc3339(text.as_bytes()), Some(ns));
        let seconds = ns.div_euclid(SECOND);
        let whole = Timestamp::from_second(seconds).unwrap();
        prop_assert_eq!(written(seconds.max(i64::MIN / SECOND) * SECOND),
            Timestamp::from_second(seconds.max(i64::MIN / SECOND)).unwrap().to_string());
        let clf = jiff::fmt::strtime::format("%d/%b/%Y:%H:%M:%S %z", &whole.to_zoned(jiff::tz::TimeZone::UTC)).unwrap();
        prop_assert_eq!(parse_clf(clf.as_bytes()), seconds.checked_mul(SECOND));
    }

    #[test]
    fn read_times_are_jiffs(ns in any::<i64>(), minutes in -1439..1440_i32, digits in 0..=9_usize) {
        let offset = jiff::tz::Offset::from_seconds(minutes * 60).unwrap();
        let time = Timestamp::from_nanosecond(i128::from(ns)).unwrap().to_zoned(offset.to_time_zone());
        let fraction = if digits == 0 { String::new() } else { format!("%.{digits}f") };
        let text = jiff::fmt::strtime::format(format!("%Y-%m-%dT%H:%M:%S{fraction}%:z"), &time).unwrap();
        let expected = text.parse::<Timestamp>().unwrap().as_nanosecond();
        prop_assert_eq!(parse_rfc3339(text.as_bytes()), i64::try_from(expected).ok());
    }

    #[test]
    fn calendars_agree(year in 1678..2262_u32, month in 0..14_u32, day in 0..33_u32) {
        let text = format!("{year:04}-{month:02}-{day:02}T00:00:00Z");
        let jiff = text.parse::<Timestamp>().ok().map(|t| i64::try_from(t.as_nanosecond()).unwrap());
        prop_assert_eq!(parse_rfc3339(text.as_bytes()), jiff);
    }

    #[test]
    fn hand_written_formats_agree_with_jiff(ns in any::<i64>(), sep in prop::sample::select(vec!["T", " "])) {
        let time = Timestamp::from_nanosecond(i128::from(ns)).unwrap().to_zoned(jiff::tz::TimeZone::UTC);
        for rest in ["%H:%M:%S", "%H:%M:%S%.f", "%H:%M:%S.%f", "%H:%M:%S%z", "%H:%M:%S%.f%:z"] {
            let format = format!("%Y-%m-%d{sep}{rest}");
            let text = jiff::fmt::strtime::format(&format, &time).unwrap();
            // A format spelt differently goes through jiff.
            let by_jiff = TimeFormat::parse(&format.replace("%Y-", "%04Y-"), None).unwrap();
            let by_hand = TimeFormat::parse(&format, None).unwrap();
            let (by_jiff, by_hand) = (by_jiff.read_text(text.as_bytes(), NEAR), by_hand.read_text(text.as_bytes(), NEAR));
            prop_assert_eq!(by_jiff, by_hand, "{}", text);
        }
    }

    #[test]
    fn no_text_panics(text in ".{0,40}", format in "(%[0-9:._^#-]{0,3}[a-zA-Z]| |-|T|.){0,6}", near in any::<i64>()) {
        parse_rfc3339(text.as_bytes());
        parse_clf(text.as_bytes());
        parse_epoch(text.as_bytes());
        if let Ok(format) = TimeFormat::parse(&format, None) {
            format.read_text(text.as_bytes(), near);
        }
    }

    #[test]
    fn no_almost_time_panics(text in "[0-9]{1,4}[-/:T .0-9+Z]{0,40}", near in any::<i64>()) {
        for format in ["auto", "epoch", "%d/%b/%Y:%H:%M:%S %z", "%m-%d %T", "%Y-%m-%d %H:%M:%S%.f"] {
            TimeFormat::parse(format, Some("Europe/Paris")).unwrap().read_text(text.as_bytes(), near);
        }
    }

    #[test]
    fn epochs_of_every_unit(ns in 1_000_000_000_000_000_000..i64::MAX) {
        prop_assert_eq!(parse_epoch(ns.to_string().as_bytes()), Some(ns));
        prop_assert_eq!(epoch_int(ns / 1_000), Some(ns / 1_000 * 1_000));
        prop_assert_eq!(epoch_int(ns / 1_000_000), Some(ns / 1_000_000 * 1_000_000));
        prop_assert_eq!(epoch_int(ns / SECOND), Some(ns / SECOND * SECOND));
        let decimal = format!("{}.{:09}", ns / SECOND, ns % SECOND);
        prop_assert_eq!(parse_epoch(decimal.as_bytes()), Some(ns));
    }
}
