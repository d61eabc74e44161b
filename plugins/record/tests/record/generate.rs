//! Inputs made of bytes, so that a fuzzer's mutations of them mean something: JSON texts of many styles, paths, values.

use suiro_record::Value;

/// Choices read from bytes; at their end every choice is the first one, so everything ends.
pub(crate) struct Choices<'a>(pub(crate) &'a [u8]);

/// How a text is laid out.
#[derive(Clone, Copy)]
struct Style {
    before_colon: &'static str,
    colon: &'static str,
    comma: &'static str,
    inside: &'static str,
}

const STYLES: [Style; 6] = [
    Style { before_colon: "", colon: "", comma: "", inside: "" },
    Style { before_colon: "", colon: " ", comma: " ", inside: "" },
    Style { before_colon: "", colon: "", comma: " ", inside: " " },
    Style { before_colon: " ", colon: "\t", comma: "", inside: "" },
    Style { before_colon: "", colon: " ", comma: "\n  ", inside: "\n" },
    Style { before_colon: "\r\n", colon: "  ", comma: "\t", inside: " " },
];

const KEYS: [&str; 10] = ["a", "b", "c", "a.b", "b.c", "a.b.c", "log", "é\"x", "", "a_key_longer_than_sixteen_bytes"];

impl Choices<'_> {
    pub(crate) fn pick(&mut self, n: usize) -> usize {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        usize::from(first) % n
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn key(&mut self) -> &'static str {
        // Short keys that meet often.
        let n = if self.pick(4) == 0 { KEYS.len() } else { 5 };
        KEYS[self.pick(n)]
    }

    /// A map as JSON text, with escapes, duplicate keys and odd spacing.
    pub(crate) fn json(&mut self, out: &mut String) {
        let style = self.pick(STYLES.len());
        self.json_map(STYLES[style], 4, out);
    }

    fn json_map(&mut self, style: Style, room: usize, out: &mut String) {
        out.push('{');
        out.push_str(style.inside);
        for i in 0..self.pick(6) {
            if i > 0 {
                out.push(',');
                out.push_str(style.comma);
            }
            let key = self.key();
            self.json_string(key, out);
            out.push_str(style.before_colon);
            out.push(':');
            out.push_str(style.colon);
            self.json_value(style, room - 1, out);
        }
        out.push_str(style.inside);
        out.push('}');
    }

    fn json_value(&mut self, style: Style, room: usize, out: &mut String) {
        match self.pick(if room == 0 { 6 } else { 9 }) {
            0 => out.push_str(["null", "true", "false"][self.pick(3)]),
            1 | 2 => {
                let number = ["0", "-1", "12.50", "1e400", "123456789012345678901234567890", "-0", "0.1E-7"];
                out.push_str(number[self.pick(7)]);
            }
            3..=5 => {
                let text =
                    ["", "x", "a\"\\/\n\u{1}", "é水😀", "a text that is longer than sixteen bytes", "\0"][self.pick(6)];
                self.json_string(text, out);
            }
            6 => {
                out.push('[');
                out.push_str(style.inside);
                for i in 0..self.pick(4) {
                    if i > 0 {
                        out.push(',');
                        out.push_str(style.comma);
                    }
                    self.json_value(style, room - 1, out);
                }
                out.push_str(style.inside);
                out.push(']');
            }
            _ => self.json_map(style, room, out),
        }
    }

    fn json_string(&mut self, text: &str, out: &mut String) {
        let escape_all = self.pick(5) == 4;
        out.push('"');
        for c in text.chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                _ if escape_all || c < ' ' => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        out.push_str(&format!("\\u{unit:04X}"));
                    }
                }
                c => out.push(c),
            }
        }
        out.push('"');
    }

    /// An owned value, for edits.
    pub(crate) fn value(&mut self, room: usize) -> Value {
        match self.pick(if room == 0 { 8 } else { 10 }) {
            0 => Value::Null,
            1 => Value::Bool(true),
            2 => Value::Int(-5),
            3 => Value::Uint(u64::MAX),
            4 => Value::Float([1.5, 1e300, f64::NAN][self.pick(3)]),
            5 => Value::Str(["new", "", "q\"\n\0é"][self.pick(3)].to_owned()),
            6 => Value::Bytes(vec![0, 255, 7]),
            7 => Value::Number("1.50".to_owned()),
            8 => Value::Array((0..self.pick(3)).map(|_| self.value(room - 1)).collect()),
            _ => Value::Object((0..self.pick(4)).map(|_| (self.key().to_owned(), self.value(room - 1))).collect()),
        }
    }
}
