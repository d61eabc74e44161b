//! What a line of each file looks like.
//!
//! - text: about 150 bytes, timestamp, level, thread, component and a sentence with varying numbers.
//! - JSON: about 364 bytes, 14 top-level keys, one nested map and one list; 30 % at level debug; one message in twenty
//!   holds an escape. `session` is the field the filtering job removes.
//! - Apache combined: about 172 bytes, ten user agents, one request in fifty with a `-` for its size or referer.
//!
//! Times run forward by a few milliseconds a line from 2026-03-01T00:00:00Z.

use std::io::Write;

use super::super::job::Corpus;

const SERVICES: [&str; 8] =
    ["checkout", "catalog", "payment", "shipping", "inventory", "session-store", "recommendation", "gateway"];
const METHODS: [&str; 8] = ["GET", "GET", "GET", "GET", "POST", "POST", "PUT", "DELETE"];
const PATHS: [&str; 8] = ["orders", "products", "carts", "users", "sessions", "invoices", "shipments", "reviews"];
const STATUS: [u16; 16] = [200, 200, 200, 200, 200, 200, 200, 200, 200, 201, 204, 301, 304, 400, 404, 500];
const REGIONS: [&str; 4] = ["eu-west-1", "eu-north-1", "us-east-1", "ap-northeast-1"];
const AGENTS: [&str; 10] = [
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/141.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_6) Safari/605",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Mobile/15E148",
    "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 Mobile",
    "curl/8.14.1",
    "kube-probe/1.33",
    "Prometheus/3.5.0",
    "python-requests/2.32.4",
    "Mozilla/5.0 (compatible; bingbot/2.0)",
];

/// An endless, deterministic sequence of lines.
pub(super) struct Lines {
    corpus: Corpus,
    random: Random,
    /// Nanoseconds since the first day began.
    clock: u64,
}

impl Lines {
    pub(super) fn new(corpus: Corpus) -> Self {
        let seed = match corpus {
            Corpus::Text => 0x7465_7874,
            Corpus::Json => 0x6a73_6f6e,
            Corpus::Apache => 0x6170_6163,
        };
        Self { corpus, random: Random(seed), clock: 0 }
    }

    /// Appends the next line with its newline. False if the filtering job will drop it.
    pub(super) fn next_into(&mut self, line: &mut Vec<u8>) -> bool {
        self.clock += 1_000_000 + self.random.below(30_000_000);
        let written = match self.corpus {
            Corpus::Text => self.text(line),
            Corpus::Json => self.json(line),
            Corpus::Apache => self.apache(line),
        };
        written.expect("writing to memory cannot fail")
    }

    /// Day of March, hour, minute, second, nanosecond.
    fn time(&self) -> (u64, u64, u64, u64, u64) {
        let seconds = self.clock / 1_000_000_000;
        (1 + seconds / 86_400 % 31, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60, self.clock % 1_000_000_000)
    }

    fn text(&mut self, line: &mut Vec<u8>) -> std::io::Result<bool> {
        let (day, hour, minute, second, nano) = self.time();
        let random = &mut self.random;
        let level = *random.pick(&["DEBUG", "INFO ", "INFO ", "INFO ", "WARN ", "ERROR"]);
        let (worker, service) = (random.below(16), *random.pick(&SERVICES));
        let milli = nano / 1_000_000;
        write!(
            line,
            "2026-03-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z {level} [worker-{worker:02}] {service}: "
        )?;
        let (id, other) = (random.next(), random.below(900_000) + 100_000);
        let (method, path) = (*random.pick(&METHODS), *random.pick(&PATHS));
        match random.below(4) {
            0 => writeln!(
                line,
                "{method} /api/v1/{path}/{other} finished in {} ms with status {}, request {id:016x}",
                random.below(900),
                random.pick(&STATUS)
            )?,
            1 => writeln!(
                line,
                "connection {id:016x} to {service}-db-{} returned to the pool after {} us, {} in use, {} waiting",
                random.below(8),
                random.below(100_000),
                random.below(64),
                random.below(9)
            )?,
            2 => writeln!(
                line,
                "cache miss for key \"{path}:{other}\", loaded {} rows from the replica, version {id:016x}, kept for {} s",
                random.below(500),
                random.below(3600)
            )?,
            _ => writeln!(
                line,
                "retrying {method} {path} {other} for user {id:016x}, attempt {} of 5, waiting {} ms before the next one",
                1 + random.below(5),
                random.below(5000)
            )?,
        }
        Ok(true)
    }

    fn json(&mut self, line: &mut Vec<u8>) -> std::io::Result<bool> {
        let (day, hour, minute, second, nano) = self.time();
        let random = &mut self.random;
        let debug = random.below(10) < 3;
        let level = if debug { "debug" } else { *random.pick(&["info", "info", "info", "warn", "error"]) };
        let (method, path, status) = (*random.pick(&METHODS), *random.pick(&PATHS), *random.pick(&STATUS));
        let id = random.below(90_000) + 10_000;
        write!(
            line,
            r#"{{"time":"2026-03-{day:02}T{hour:02}:{minute:02}:{second:02}.{:06}Z","level":"{level}","service":"{}","msg":""#,
            nano / 1000,
            random.pick(&SERVICES)
        )?;
        match random.below(20) {
            0 => write!(line, r#"rejected \"{path}\": not a number\n"#)?,
            1..=9 => write!(line, "request to {path} completed")?,
            _ => write!(line, "{method} {path} {id} took long")?,
        }
        writeln!(
            line,
            concat!(
                r#"","trace_id":"{:016x}{:016x}","span_id":"{:016x}","session":"{:08x}","user_id":{},"http":{{"method":"{}","#,
                r#""path":"/api/v1/{}/{}","status":{},"bytes":{},"duration_ms":{}.{:03}}},"tags":["{}","v{}"],"retry":{}}}"#
            ),
            random.next(),
            random.next(),
            random.next(),
            random.next() as u32,
            random.below(900_000) + 100_000,
            method,
            path,
            id,
            status,
            random.below(50_000),
            random.below(900),
            random.below(1000),
            random.pick(&REGIONS),
            random.below(20),
            random.below(10) == 0
        )?;
        Ok(!debug)
    }

    fn apache(&mut self, line: &mut Vec<u8>) -> std::io::Result<bool> {
        let (day, hour, minute, second, _) = self.time();
        let random = &mut self.random;
        let (path, id) = (*random.pick(&PATHS), random.below(90_000) + 10_000);
        write!(
            line,
            "10.{}.{}.{} - {} [{day:02}/Mar/2026:{hour:02}:{minute:02}:{second:02} +0000] \"{} /api/v1/{path}/{id} HTTP/1.1\" {} ",
            random.below(256),
            random.below(256),
            random.below(256),
            if random.below(4) == 0 { "alice" } else { "-" },
            random.pick(&METHODS),
            random.pick(&STATUS)
        )?;
        match random.below(50) {
            0 => write!(line, "- ")?,
            _ => write!(line, "{} ", random.below(60_000))?,
        }
        match random.below(50) {
            0 => write!(line, "\"-\" ")?,
            _ => write!(line, "\"https://shop.example/{}/\" ", random.pick(&PATHS))?,
        }
        writeln!(line, "\"{}\"", random.pick(&AGENTS))?;
        Ok(true)
    }
}

/// splitmix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len() as u64) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(corpus: Corpus) -> Vec<String> {
        let mut lines = Lines::new(corpus);
        (0..2000)
            .map(|_| {
                let mut line = Vec::new();
                lines.next_into(&mut line);
                String::from_utf8(line).unwrap()
            })
            .collect()
    }

    fn mean(lines: &[String]) -> f64 {
        lines.iter().map(String::len).sum::<usize>() as f64 / lines.len() as f64
    }

    #[test]
    fn json_lines_are_the_records_the_page_of_measurements_describes() {
        let lines = sample(Corpus::Json);
        let debug = lines
            .iter()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
            .filter(|record| {
                assert!(record["session"].is_string() && record["http"]["status"].is_u64());
                record["level"] == "debug"
            })
            .count();
        assert!((500..700).contains(&debug), "{debug} of 2000 at level debug");
        assert!((355.0..373.0).contains(&mean(&lines)), "{}", mean(&lines));
    }

    #[test]
    fn text_and_apache_lines_have_their_length() {
        let (text, apache) = (sample(Corpus::Text), sample(Corpus::Apache));
        assert!((140.0..160.0).contains(&mean(&text)), "{}", mean(&text));
        assert!((164.0..180.0).contains(&mean(&apache)), "{}", mean(&apache));
        // The sink counts Loki's JSON entries by `["`, which no line may end its own text with.
        assert!(text.iter().all(|line| !line.contains("[\"") && !line.ends_with("[\n")));
    }

    #[test]
    fn the_sequence_is_the_same_every_time() {
        assert_eq!(sample(Corpus::Json), sample(Corpus::Json));
    }
}
