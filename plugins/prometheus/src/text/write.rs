//! Words of the text format, written.

use std::io::Write as _;

/// A number as Prometheus writes it.
pub(crate) fn write_number(value: f64, out: &mut Vec<u8>) {
    if value.is_nan() {
        out.extend_from_slice(b"NaN");
    } else if value.is_infinite() {
        out.extend_from_slice(if value > 0.0 { b"+Inf" } else { b"-Inf" });
    } else if value != 0.0 && !(1e-5..1e17).contains(&value.abs()) {
        let _ = write!(out, "{value:e}");
    } else {
        // A vector takes everything.
        let _ = write!(out, "{value}");
    }
}

/// The value of a label, without its quotes.
pub(crate) fn write_label_value(value: &[u8], out: &mut Vec<u8>) {
    escape(value, true, out);
}

/// The text of a help line. OpenMetrics escapes quotes in it too.
pub(crate) fn write_help(help: &[u8], open_metrics: bool, out: &mut Vec<u8>) {
    escape(help, open_metrics, out);
}

fn escape(text: &[u8], quotes: bool, out: &mut Vec<u8>) {
    for &b in text {
        match b {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'"' if quotes => out.extend_from_slice(b"\\\""),
            _ => out.push(b),
        }
    }
}

/// A bound of a bucket, or a quantile: always a float, so that `1` and `1.0` are the same label.
pub(crate) fn write_bound(value: f64, out: &mut Vec<u8>) {
    let from = out.len();
    write_number(value, out);
    if value.is_finite() && out[from..].iter().all(|b| b.is_ascii_digit() || *b == b'-') {
        out.extend_from_slice(b".0");
    }
}
