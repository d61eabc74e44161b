//! The ledger on one screen.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

use crate::pipeline::Ledger;

/// Prints the ledger to standard error: standard output belongs to the `stdout` output.
pub(super) fn print(ledger: &Ledger, elapsed: Duration) {
    let _ = std::io::stderr().lock().write_all(render(ledger, elapsed).as_bytes());
}

fn render(ledger: &Ledger, elapsed: Duration) -> String {
    let mut text = String::new();
    // Writing to a `String` does not fail.
    let read: u64 = ledger.inputs.iter().map(|input| input.bytes).sum();
    let rate = read as f64 / elapsed.as_secs_f64().max(1e-3);
    let _ = writeln!(text, "{} in {:.2} s, {}/s", bytes(read), elapsed.as_secs_f64(), bytes(rate as u64));
    for i in &ledger.inputs {
        let _ = write!(text, "input   {:<20} received {} = settled {}", i.name, count(i.received), count(i.settled));
        let _ = write!(text, " + in flight {}", count(i.in_flight));
        let extra = [
            ("parse errors", i.parse_errors),
            ("invalid UTF-8", i.invalid_utf8),
            ("long lines", i.long_lines),
            ("bytes abandoned", i.abandoned_bytes),
        ];
        let mut extra: Vec<String> =
            extra.iter().filter(|(_, n)| *n > 0).map(|(name, n)| format!("{name} {}", count(*n))).collect();
        if !i.turned_away.is_empty() {
            extra.push(format!("turned away {}", reasons(&i.turned_away)));
        }
        let _ = writeln!(text, "{}", if extra.is_empty() { String::new() } else { format!(" ({})", extra.join(", ")) });
    }
    for f in &ledger.filters {
        let _ = write!(text, "filter  {:<20} in {} + created {}", f.name, count(f.taken), count(f.created));
        let _ = write!(text, " = out {} + dropped {}", count(f.out), reasons(&f.dropped));
        if !f.dead_lettered.is_empty() {
            let _ = write!(text, " + dead letter {}", reasons(&f.dead_lettered));
        }
        let _ = write!(text, " + absorbed {} + held {}", count(f.absorbed), count(f.held));
        let failed = if f.failed > 0 { format!(" (failed {})", count(f.failed)) } else { String::new() };
        let _ = writeln!(text, "{failed}");
    }
    if !ledger.router.dropped.is_empty() {
        let _ = writeln!(text, "router  {:<20} dropped {}", "", reasons(&ledger.router.dropped));
    }
    for o in &ledger.outputs {
        let _ = write!(text, "output  {:<20} routed {}", o.name, count(o.routed));
        if o.recovered > 0 {
            let _ = write!(text, " + recovered {}", count(o.recovered));
        }
        let _ = write!(text, " = delivered {} + dropped {}", count(o.delivered), reasons(&o.dropped));
        let _ = write!(text, " + dead letter {}", reasons(&o.dead_lettered));
        let _ = write!(text, " + in flight {}", count(o.in_flight));
        let altered = if o.altered.is_empty() { String::new() } else { format!(" (altered {})", reasons(&o.altered)) };
        let _ = writeln!(text, "{altered}");
    }
    let verdict =
        if ledger.balanced { "The ledger balances." } else { "The ledger does NOT balance; please report this." };
    let _ = writeln!(text, "{verdict}");
    text
}

fn reasons(reasons: &BTreeMap<&'static str, u64>) -> String {
    let total: u64 = reasons.values().sum();
    if total == 0 {
        return "0".to_owned();
    }
    let each: Vec<String> = reasons.iter().map(|(reason, n)| format!("{reason} {}", count(*n))).collect();
    format!("{} ({})", count(total), each.join(", "))
}

/// `1234567` as `1,234,567`.
pub(super) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `268435456` as `256.0 MiB`.
pub(super) fn bytes(n: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = n as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{n} B") } else { format!("{value:.1} {}", units[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!([0, 999, 1000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([0, 1023, 1536, 256 << 20].map(bytes), ["0 B", "1023 B", "1.5 KiB", "256.0 MiB"]);
    }
}
