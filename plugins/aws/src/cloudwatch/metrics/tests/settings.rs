//! What the settings may say.

use super::kit::{read, settings};

#[test]
fn mistakes_are_named() {
    for (text, message) in [
        ("", "missing setting `namespace`"),
        ("namespace = 'AWS/EC2'", "is for AWS's own"),
        ("namespace = ':a'", "begins with `:`"),
        ("namespace = '{service}'", "freely"),
        ("namespace = 'Café'", "a character a namespace can't"),
        ("namespace = 'a'\nstorage_resolution = '5s'", "1s"),
        ("namespace = 'a'\nhistograms = 'buckets'", "statistics"),
        ("namespace = 'a'\ncompression = 'zip'", "gzip"),
        ("namespace = 'a'\ndimension = ['x']", "dimensions"),
        ("namespace = 'a'\nanomaly_detectors = [{ stat = 'Sum' }]", "missing setting `metric`"),
        ("namespace = 'a'\nanomaly_detectors = [{ metric = 'm', namespace = 'AWS/x' }]", "is for AWS's own"),
        (
            "namespace = 'a'\nanomaly_detectors = [{ metric = 'm', excluded = [{ start = 'x', end = '2026-01-01T00:00:00Z' }] }]",
            "RFC 3339",
        ),
        (
            "namespace = 'a'\nanomaly_detectors = [{ metric = 'm', excluded = [{ start = '2026-01-02T00:00:00Z', end = '2026-01-01T00:00:00Z' }] }]",
            "ends before it starts",
        ),
        (
            "namespace = 'a-{x}'\nanomaly_detectors = [{ metric = 'm', dimensions = { a = 'b' } }]",
            "needs a `namespace`",
        ),
        ("namespace = 'a'\nanomaly_detectors = [{ metric = 'm', dimensions = { a = 'b' }, limit = 3 }]", "single one"),
        ("namespace = 'a'\nanomaly_detectors = [{ metric = 'm', metrik = 1 }]", "metrik"),
    ] {
        let shown = read(text).expect_err(text);
        assert!(shown.contains(message), "{text}:\n{shown}");
    }
}

#[test]
fn the_least_is_a_namespace() {
    let settings = settings("");
    assert!(settings.detectors.is_empty());
    assert_eq!(settings.client.compression, suiro_sdk::compress::Compression::Gzip);
}
