//! One line of the text format.
//!
//! ```text
//! name{label="value",...} value [timestamp] [# {label="value",...} value [timestamp]]
//! {"name that is no identifier",label="value",...} value [timestamp]
//! ```
//!
//! Both formats are read the same way, as widely as Prometheus reads them: blanks may stand between all words, a comma may
//! stand behind the last label. They differ in what a timestamp is: milliseconds in the text format, seconds with a
//! fraction in OpenMetrics. Exemplars are read in both. Nothing is copied or allocated: what is found are spans.

use std::ops::Range;

/// Labels of one sample, at most. Prometheus has no bound by default; nobody has so many.
pub const MAX_LABELS: usize = 256;

/// The NaN that Prometheus takes for one that was measured.
pub(crate) const NAN: u64 = 0x7ff8_0000_0000_0001;

/// The format of a body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Text format 0.0.4.
    #[default]
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

/// A text of the body, and whether there are escapes in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) escaped: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Label {
    pub(crate) name: Word,
    pub(crate) value: Word,
}

/// A sample. Its labels are the first `labels` of those the reader was given, an exemplar's stand behind them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sample {
    pub(crate) name: Word,
    pub(crate) labels: usize,
    pub(crate) value: f64,
    /// Nanoseconds since the epoch.
    pub(crate) time: Option<i64>,
    pub(crate) exemplar: Option<Exemplar>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Exemplar {
    pub(crate) value: f64,
    pub(crate) time: Option<i64>,
}

/// Why a line is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    /// Where in the body.
    pub(crate) at: usize,
    pub(crate) what: &'static str,
}

/// Reads a line.
struct Reader<'b> {
    body: &'b [u8],
    at: usize,
    end: usize,
    format: Format,
}

const NAME_START: u8 = 1;
const NAME: u8 = 2;
const LABEL_START: u8 = 4;
const LABEL: u8 = 8;

const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut b = 0;
    while b < 256 {
        let c = b as u8;
        if c.is_ascii_alphabetic() || c == b'_' {
            classes[b] = NAME_START | NAME | LABEL_START | LABEL;
        } else if c.is_ascii_digit() {
            classes[b] = NAME | LABEL;
        } else if c == b':' {
            classes[b] = NAME_START | NAME;
        }
        b += 1;
    }
    classes
};

// === impl Word ===

impl Word {
    pub(crate) fn range(self) -> Range<usize> {
        self.start..self.end
    }

    #[inline]
    pub(crate) fn of(self, body: &[u8]) -> &[u8] {
        &body[self.start..self.end]
    }
}

/// Reads the sample in `line` of `body`. `labels` is emptied first.
#[inline]
pub(crate) fn sample(
    body: &[u8],
    line: Range<usize>,
    format: Format,
    labels: &mut Vec<Label>,
) -> Result<Sample, Wrong> {
    labels.clear();
    let mut reader = Reader { body, at: line.start, end: line.end, format };
    reader.sample(labels)
}

// === impl Reader ===

impl Reader<'_> {
    #[inline]
    fn peek(&self) -> u8 {
        // A line's end reads as its line break.
        if self.at < self.end { self.body[self.at] } else { b'\n' }
    }

    fn wrong<T>(&self, what: &'static str) -> Result<T, Wrong> {
        Err(Wrong { at: self.at, what })
    }

    #[inline]
    fn blanks(&mut self) {
        while matches!(self.peek(), b' ' | b'\t') {
            self.at += 1;
        }
    }

    #[inline]
    fn sample(&mut self, labels: &mut Vec<Label>) -> Result<Sample, Wrong> {
        self.blanks();
        let mut name = Word { start: self.at, end: self.at, escaped: false };
        if CLASSES[usize::from(self.peek())] & NAME_START != 0 {
            self.skip(NAME);
            name.end = self.at;
            self.blanks();
        }
        if self.peek() == b'{' {
            self.at += 1;
            let quoted = self.labels(labels, name.start == name.end)?;
            name = quoted.unwrap_or(name);
        }
        if name.start == name.end {
            return self.wrong("a sample begins with the name of a metric");
        }
        let count = labels.len();
        self.blanks();
        let value = self.value()?;
        self.blanks();
        let mut time = None;
        if !matches!(self.peek(), b'\n' | b'#') {
            time = Some(self.time()?);
            self.blanks();
        }
        let mut exemplar = None;
        if self.peek() == b'#' {
            self.at += 1;
            self.blanks();
            if self.peek() != b'{' {
                return self.wrong("an exemplar begins with `{`");
            }
            self.at += 1;
            self.labels(labels, false)?;
            self.blanks();
            let value = self.value()?;
            self.blanks();
            let time = if self.peek() == b'\n' { None } else { Some(self.seconds()?) };
            self.blanks();
            exemplar = Some(Exemplar { value, time });
        }
        if self.at != self.end {
            return self.wrong("there is something behind the sample");
        }
        Ok(Sample { name, labels: count, value, time, exemplar })
    }

    #[inline]
    fn skip(&mut self, class: u8) {
        let rest = &self.body[self.at..self.end];
        self.at += rest.iter().position(|b| CLASSES[usize::from(*b)] & class == 0).unwrap_or(rest.len());
    }

    /// Labels up to the closing brace. Where the metric has no name yet, a text without `=` is it.
    #[inline]
    fn labels(&mut self, labels: &mut Vec<Label>, mut nameless: bool) -> Result<Option<Word>, Wrong> {
        let mut metric = None;
        loop {
            self.blanks();
            let name = match self.peek() {
                b'}' => {
                    self.at += 1;
                    return Ok(metric);
                }
                b'"' => self.quoted()?,
                c if CLASSES[usize::from(c)] & LABEL_START != 0 => {
                    let start = self.at;
                    self.skip(LABEL);
                    Word { start, end: self.at, escaped: false }
                }
                b'\n' => return self.wrong("the labels have no end: `}` is missing"),
                _ => return self.wrong("a label's name is letters, digits and `_`, or a quoted text"),
            };
            self.blanks();
            match self.peek() {
                b'=' => {
                    self.at += 1;
                    self.blanks();
                    if self.peek() != b'"' {
                        return self.wrong("a label's value stands between quotes");
                    }
                    let value = self.quoted()?;
                    if labels.len() >= MAX_LABELS {
                        return self.wrong("there are more than 256 labels");
                    }
                    // A label that says nothing is none.
                    if value.start < value.end {
                        labels.push(Label { name, value });
                    }
                    self.blanks();
                }
                b',' | b'}' if nameless && self.body[name.start - 1] == b'"' => {
                    nameless = false;
                    metric = Some(name);
                }
                _ => return self.wrong("a label's name is followed by `=`"),
            }
            match self.peek() {
                b',' => self.at += 1,
                b'}' => {}
                _ => return self.wrong("labels are separated by commas and end with `}`"),
            }
        }
    }

    /// A text between quotes.
    #[inline]
    fn quoted(&mut self) -> Result<Word, Wrong> {
        let start = self.at + 1;
        let rest = &self.body[start..self.end];
        let (mut length, mut escaped) = (0, false);
        loop {
            match rest.get(length) {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    length += 2;
                }
                Some(_) => length += 1,
                None => {
                    self.at = self.end;
                    return self.wrong("the text has no end: a quote is missing");
                }
            }
        }
        self.at = start + length + 1;
        Ok(Word { start, end: start + length, escaped })
    }

    #[inline]
    fn word(&mut self) -> &[u8] {
        let start = self.at;
        while !matches!(self.peek(), b' ' | b'\t' | b'\n') {
            self.at += 1;
        }
        &self.body[start..self.at]
    }

    #[inline]
    fn value(&mut self) -> Result<f64, Wrong> {
        let start = self.at;
        match number(self.word()) {
            Some(value) => Ok(value),
            None => Err(Wrong { at: start, what: "the value is no number" }),
        }
    }

    fn time(&mut self) -> Result<i64, Wrong> {
        if self.format == Format::OpenMetrics {
            return self.seconds();
        }
        let start = self.at;
        let word = std::str::from_utf8(self.word()).unwrap_or_default();
        match word.parse::<i64>().ok().and_then(|ms| ms.checked_mul(1_000_000)) {
            Some(time) => Ok(time),
            None => Err(Wrong { at: start, what: "the timestamp is no number of milliseconds" }),
        }
    }

    fn seconds(&mut self) -> Result<i64, Wrong> {
        let start = self.at;
        match seconds(self.word()) {
            Some(time) => Ok(time),
            None => Err(Wrong { at: start, what: "the timestamp is no number of seconds" }),
        }
    }
}

/// A number as Prometheus writes one.
#[inline]
pub(crate) fn number(word: &[u8]) -> Option<f64> {
    // Up to 15 digits are exact as a float, and so is a power of ten up to 22 they are divided by.
    if (1..=15).contains(&word.len()) {
        let (mut digits, mut point) = (0_u64, None);
        let mut plain = true;
        for (i, &b) in word.iter().enumerate() {
            match b {
                b'0'..=b'9' => digits = digits * 10 + u64::from(b - b'0'),
                b'.' if point.is_none() => point = Some(i),
                _ => {
                    plain = false;
                    break;
                }
            }
        }
        match point {
            _ if !plain => {}
            None => return Some(digits as f64),
            Some(at) if word.len() > 1 => return Some(digits as f64 / POWERS[word.len() - 1 - at]),
            Some(_) => return None,
        }
    }
    slow_number(word)
}

const POWERS: [f64; 15] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14];

fn slow_number(word: &[u8]) -> Option<f64> {
    let value: f64 = std::str::from_utf8(word).ok()?.parse().ok()?;
    Some(if value.is_nan() { f64::from_bits(NAN) } else { value })
}

/// Seconds with a fraction as nanoseconds, exactly where there are at most nine digits of it.
pub(crate) fn seconds(word: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(word).ok()?;
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if !is_digits(whole) || !is_digits(fraction) || whole.is_empty() {
        let nanos = text.parse::<f64>().ok()? * 1e9;
        return (nanos.is_finite() && nanos.abs() < 9.2e18).then_some(nanos as i64);
    }
    let mut nanos = whole.parse::<i64>().ok()?.checked_mul(1_000_000_000)?;
    let mut unit = 100_000_000;
    for digit in fraction.bytes().take(9) {
        nanos = nanos.checked_add(i64::from(digit - b'0') * unit)?;
        unit /= 10;
    }
    Some(sign * nanos)
}

/// The value of a `_created` sample as nanoseconds; a float is exact to the microsecond.
pub(crate) fn created(seconds: f64) -> Option<i64> {
    let micros = (seconds * 1e6).round();
    (micros.is_finite() && micros.abs() < 9.2e15).then_some(micros as i64 * 1000)
}

/// What an escaped text says: `\\`, `\"`, `\n`; any other backslash is itself.
pub(crate) fn unescape(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        let (byte, used) = match rest.get(at + 1) {
            Some(b'n') => (b'\n', 2),
            Some(&c @ (b'\\' | b'"')) => (c, 2),
            _ => (b'\\', 1),
        };
        out.push(byte);
        rest = &rest[at + used..];
    }
    out.extend_from_slice(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `name|label=value|...|value|time|exemplar`
    fn read(line: &str, format: Format) -> Result<String, (usize, &'static str)> {
        let mut labels = Vec::new();
        let body = line.as_bytes();
        let sample = sample(body, 0..body.len(), format, &mut labels).map_err(|wrong| (wrong.at, wrong.what))?;
        let text = |word: Word| {
            let mut out = Vec::new();
            if word.escaped {
                unescape(word.of(body), &mut out)
            } else {
                out.extend_from_slice(word.of(body))
            }
            String::from_utf8(out).unwrap()
        };
        let mut out = text(sample.name);
        for (i, label) in labels.iter().enumerate() {
            let apart = if i == sample.labels { "|#" } else { "" };
            out += &format!("{apart}|{}={}", text(label.name), text(label.value));
        }
        out += &format!("|{}|{:?}", sample.value, sample.time);
        if let Some(exemplar) = sample.exemplar {
            out += &format!("|{}|{:?}", exemplar.value, exemplar.time);
        }
        Ok(out)
    }

    #[test]
    fn reads_what_prometheus_reads() {
        for (line, want) in [
            ("a 1", "a|1|None"),
            ("a:b_c1{} -1.5e3 1395066363000", "a:b_c1|-1500|Some(1395066363000000000)"),
            ("  a\t{ x = \"y\" , z=\"\", }\t+Inf  -5 ", "a|x=y|inf|Some(-5000000)"),
            (r#"a{x="q\"b\\s\nn\t}",y="水"} NaN"#, "a|x=q\"b\\s\nn\\t}|y=水|NaN|None"),
            (r#"{"http.reqs",x="y"} 0.1"#, "http.reqs|x=y|0.1|None"),
            (r#"{"my \"m\"","a b"="c"} 00012"#, "my \"m\"|a b=c|12|None"),
            ("a 123456789012345678", "a|123456789012345680|None"),
            ("a 1 # {} 2", "a|1|None|2|None"),
        ] {
            assert_eq!(read(line, Format::Text).as_deref(), Ok(want), "{line}");
        }
        let line = r#"a_bucket{le="1.0"} 3 1.5 # {trace_id="ab",x="y"} 0.67 1520879607.789123456"#;
        assert_eq!(
            read(line, Format::OpenMetrics).as_deref(),
            Ok("a_bucket|le=1.0|#|trace_id=ab|x=y|3|Some(1500000000)|0.67|Some(1520879607789123456)")
        );
    }

    #[test]
    fn says_where_a_line_is_wrong() {
        for (line, at) in [
            ("", 0),
            ("1a 1", 0),
            ("a", 1),
            ("a x", 2),
            ("a .", 2),
            ("a 1 x", 4),
            ("a 1 1 1", 6),
            ("a{", 2),
            ("a{x", 3),
            ("a{x=", 4),
            ("a{x=1} 1", 4),
            ("a{x=\"y} 1", 9),
            ("a{x=\"y\\", 7),
            ("a{x=\"y\"z=\"\"} 1", 7),
            ("a{,} 1", 2),
            ("a{\"b\"} 1", 5),
            ("{x=\"y\"} 1", 7),
            ("{b} 1", 2),
            ("a 1 # x", 6),
            ("a 1 # {x=\"y\"}", 13),
            ("a 1 99999999999999999", 4),
            ("a_b-c 1", 3),
        ] {
            assert_eq!(read(line, Format::Text).map_err(|(at, _)| at), Err(at), "{line}");
        }
        let many: String = (0..300).map(|n| format!("l{n}=\"v\",")).collect();
        assert!(read(&format!("a{{{many}}} 1"), Format::Text).unwrap_err().1.contains("256"));
    }

    #[test]
    fn numbers_and_times_are_exact() {
        for text in
            ["0", "1", "0.1", ".5", "5.", "123456.789", "99999999999999", "0.00000000000001", "1e22", "-0", "1.7e308"]
        {
            let want: f64 = text.parse().unwrap();
            assert_eq!(number(text.as_bytes()).unwrap().to_bits(), want.to_bits(), "{text}");
        }
        assert_eq!(number(b"nan").unwrap().to_bits(), NAN);
        assert_eq!(
            (number(b"-Inf"), number(b"1_0"), number(b""), number(b"0x1p4")),
            (Some(f64::NEG_INFINITY), None, None, None)
        );
        for (text, want) in [
            ("1.000000001", Some(1_000_000_001)),
            ("-0.5", Some(-500_000_000)),
            ("1e3", Some(1_000_000_000_000)),
            ("9999999999999", None),
            ("NaN", None),
            ("1.2.3", None),
        ] {
            assert_eq!(seconds(text.as_bytes()), want, "{text}");
        }
    }
}
