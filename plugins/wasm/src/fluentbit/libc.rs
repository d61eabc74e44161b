//! What Fluent Bit's runtime gives C programs that were built without a C library: WAMR's libc-builtin, the common part.
//!
//! Memory that `malloc` gives is the guest's own, grown behind what it has. Texts are bounded by the guest's memory;
//! `printf` and its kin know flags, width, precision and the conversions of C but for `%n`, and cut at [`MAX_TEXT`].
//! What they print goes to the filter's log.

use std::collections::HashMap;

use wasmtime::{Caller, Error, FuncType, Linker, Result, Val, ValType};

use crate::instance::Host;
use crate::link::{Function, Ty};

const PAGE: usize = 64 << 10;
/// Longest text a conversion makes, bytes.
const MAX_TEXT: usize = 64 << 10;
/// Smallest piece of memory.
const LEAST: usize = 16;

const I: Ty = Ty::I32;

macro_rules! functions {
    ($($name:literal($($param:ident),*) -> ($($result:ident)?);)*) => {
        /// The functions of `env`.
        pub(crate) const FUNCTIONS: &[Function] = &[
            $(Function { name: $name, params: &[$($param),*], results: &[$($result)?] }),*
        ];
    };
}

functions! {
    "malloc"(I) -> (I);
    "calloc"(I, I) -> (I);
    "realloc"(I, I) -> (I);
    "free"(I) -> ();
    "memcpy"(I, I, I) -> (I);
    "memmove"(I, I, I) -> (I);
    "memset"(I, I, I) -> (I);
    "memcmp"(I, I, I) -> (I);
    "strlen"(I) -> (I);
    "strcmp"(I, I) -> (I);
    "strncmp"(I, I, I) -> (I);
    "strcpy"(I, I) -> (I);
    "strncpy"(I, I, I) -> (I);
    "strchr"(I, I) -> (I);
    "strstr"(I, I) -> (I);
    "strdup"(I) -> (I);
    "atoi"(I) -> (I);
    "puts"(I) -> (I);
    "putchar"(I) -> (I);
    "printf"(I, I) -> (I);
    "sprintf"(I, I, I) -> (I);
    "snprintf"(I, I, I, I) -> (I);
    "abort"(I) -> ();
    "exit"(I) -> ();
}

/// The guest ended itself.
#[derive(Debug, thiserror::Error)]
#[error("it called {0}")]
struct Ended(&'static str);

/// It used memory it does not have.
#[derive(Debug, thiserror::Error)]
#[error("it gave `{0}` a pointer outside of its memory")]
struct Wild(&'static str);

/// Memory given to the guest.
#[derive(Default)]
pub(crate) struct Heap {
    /// What is in use, and how large it is.
    used: HashMap<usize, usize>,
    /// What was given back, by the power of two it is large.
    free: Vec<Vec<usize>>,
    /// The rest of the pages grown last.
    rest: std::ops::Range<usize>,
}

/// Makes them importable.
pub(crate) fn link(linker: &mut Linker<Host>) -> Result<()> {
    let engine = linker.engine().clone();
    for function in FUNCTIONS {
        let types = |types: &[Ty]| vec![ValType::I32; types.len()];
        let ty = FuncType::new(&engine, types(function.params), types(function.results));
        let name = function.name;
        linker.func_new("env", name, ty, move |mut caller, args, results| {
            let mut numbers = [0; 4];
            for (number, arg) in numbers.iter_mut().zip(args) {
                *number = arg.i32().unwrap_or(0);
            }
            let answer = serve(&mut caller, name, numbers)?;
            results.iter_mut().for_each(|result| *result = Val::I32(answer));
            Ok(())
        })?;
    }
    Ok(())
}

fn serve(caller: &mut Caller<'_, Host>, name: &'static str, args: [i32; 4]) -> Result<i32> {
    let [a, b, c, d] = args.map(|arg| arg.cast_unsigned() as usize);
    let wild = || Error::new(Wild(name));
    match name {
        "malloc" => return allocate(caller, a),
        "calloc" => {
            let size = a.checked_mul(b).ok_or_else(wild)?;
            let at = allocate(caller, size)?;
            let (memory, _) = Host::of(caller);
            range(memory, at.cast_unsigned() as usize, if at == 0 { 0 } else { size }).ok_or_else(wild)?.fill(0);
            return Ok(at);
        }
        "realloc" => {
            let at = allocate(caller, b)?;
            let (memory, host) = Host::of(caller);
            if let Some(&had) = host.libc.used.get(&a)
                && at != 0
            {
                memory.copy_within(a..a + had.min(b), at.cast_unsigned() as usize);
                host.libc.release(a);
            }
            return Ok(at);
        }
        "strdup" => {
            let (memory, _) = Host::of(caller);
            let len = text(memory, a).ok_or_else(wild)?.len();
            let at = allocate(caller, len + 1)?;
            let (memory, _) = Host::of(caller);
            if at != 0 {
                memory.copy_within(a..=a + len, at.cast_unsigned() as usize);
            }
            return Ok(at);
        }
        "abort" | "exit" => return Err(Error::new(Ended(name))),
        _ => {}
    }
    let (memory, host) = Host::of(caller);
    let answer = match name {
        "free" => {
            host.libc.release(a);
            Some(0)
        }
        "memcpy" | "memmove" => copy(memory, a, b, c),
        "memset" => range(memory, a, c).map(|target| {
            target.fill(args[1] as u8);
            args[0]
        }),
        "memcmp" => {
            range(memory, a, c).map(|left| left.to_vec()).and_then(|left| Some(order(&left, range(memory, b, c)?)))
        }
        "strlen" => text(memory, a).map(|text| text.len() as i32),
        "strcmp" => text(memory, a).zip(text(memory, b)).map(|(a, b)| order(a, b)),
        "strncmp" => {
            text(memory, a).zip(text(memory, b)).map(|(a, b)| order(&a[..a.len().min(c)], &b[..b.len().min(c)]))
        }
        "strcpy" => text(memory, b).map(<[u8]>::len).and_then(|len| copy(memory, a, b, len + 1)),
        "strncpy" => text(memory, b).map(|text| text.len().min(c)).and_then(|len| {
            copy(memory, a, b, len)?;
            range(memory, a + len, c - len)?.fill(0);
            Some(args[0])
        }),
        "strchr" => text(memory, a).map(|text| {
            let wanted = args[1] as u8;
            let at = if wanted == 0 { Some(text.len()) } else { text.iter().position(|byte| *byte == wanted) };
            at.map_or(0, |at| (a + at) as i32)
        }),
        "strstr" => text(memory, a).zip(text(memory, b)).map(|(text, wanted)| {
            let at =
                if wanted.is_empty() { Some(0) } else { text.windows(wanted.len()).position(|part| part == wanted) };
            at.map_or(0, |at| (a + at) as i32)
        }),
        "atoi" => text(memory, a).map(|text| {
            let text = String::from_utf8_lossy(&text[..text.len().min(64)]);
            let text = text.trim_start();
            let end = text.char_indices().find(|(i, c)| !(c.is_ascii_digit() || *i == 0 && matches!(c, '+' | '-')));
            text[..end.map_or(text.len(), |(i, _)| i)].parse().unwrap_or(0)
        }),
        "puts" => text(memory, a).map(|text| [text, b"\n"].concat()).map(|line| {
            host.print(0, &line);
            line.len() as i32
        }),
        "putchar" => {
            host.print(0, &[args[0] as u8]);
            Some(args[0])
        }
        "printf" => print(memory, a, b).map(|text| {
            host.print(0, &text);
            text.len() as i32
        }),
        "sprintf" => print(memory, b, c).and_then(|text| put_text(memory, a, usize::MAX, &text)),
        "snprintf" => print(memory, c, d).and_then(|text| put_text(memory, a, b, &text)),
        _ => None,
    };
    answer.ok_or_else(wild)
}

fn range(memory: &mut [u8], at: usize, len: usize) -> Option<&mut [u8]> {
    memory.get_mut(at..at.checked_add(len)?)
}

/// The text that begins there, without its end.
fn text(memory: &[u8], at: usize) -> Option<&[u8]> {
    let rest = memory.get(at..)?;
    rest.iter().position(|byte| *byte == 0).map(|end| &rest[..end])
}

fn copy(memory: &mut [u8], to: usize, from: usize, len: usize) -> Option<i32> {
    range(memory, from, len)?;
    range(memory, to, len)?;
    memory.copy_within(from..from + len, to);
    Some(to as i32)
}

fn order(a: &[u8], b: &[u8]) -> i32 {
    a.cmp(b) as i32
}

/// Stores a text and its end in as many bytes as there are; how long it is.
fn put_text(memory: &mut [u8], at: usize, cap: usize, text: &[u8]) -> Option<i32> {
    if let Some(room) = cap.checked_sub(1) {
        let kept = &text[..text.len().min(room)];
        let target = range(memory, at, kept.len() + 1)?;
        target[..kept.len()].copy_from_slice(kept);
        target[kept.len()] = 0;
    }
    Some(text.len() as i32)
}

// === memory ===

fn allocate(caller: &mut Caller<'_, Host>, size: usize) -> Result<i32> {
    let class = size.max(LEAST).next_power_of_two();
    let heap = &mut caller.data_mut().libc;
    if let Some(at) = heap.take(class) {
        return Ok(at as u32 as i32);
    }
    let Some(memory) = caller.data().memory() else { return Ok(0) };
    let pages = class.div_ceil(PAGE);
    let before = memory.grow(&mut *caller, pages as u64)? as usize * PAGE;
    let heap = &mut caller.data_mut().libc;
    // What is left of the pages before is too small for this, and lost to all but smaller pieces.
    heap.rest = before..before + pages * PAGE;
    Ok(heap.take(class).unwrap_or(0) as u32 as i32)
}

// === impl Heap ===

impl Heap {
    fn take(&mut self, class: usize) -> Option<usize> {
        let list = class.trailing_zeros() as usize;
        let reused = self.free.get_mut(list).and_then(Vec::pop);
        let at = match reused {
            Some(at) => at,
            None if self.rest.len() >= class => {
                let at = self.rest.start;
                self.rest.start += class;
                at
            }
            None => return None,
        };
        self.used.insert(at, class);
        Some(at)
    }

    /// Takes a piece back. One that was never given is let be.
    fn release(&mut self, at: usize) {
        if let Some(class) = self.used.remove(&at) {
            let list = class.trailing_zeros() as usize;
            if self.free.len() <= list {
                self.free.resize_with(list + 1, Vec::new);
            }
            self.free[list].push(at);
        }
    }
}

// === printf ===

/// What a format makes of the arguments that begin at `args`.
fn print(memory: &[u8], format: usize, args: usize) -> Option<Vec<u8>> {
    let format = text(memory, format)?;
    let mut args = Args { memory, at: args };
    let mut out = Vec::new();
    let mut rest = format;
    while let Some(percent) = rest.iter().position(|byte| *byte == b'%') {
        out.extend_from_slice(&rest[..percent]);
        rest = &rest[percent + 1..];
        let mut spec = Spec::default();
        while let Some((flag, after)) = rest.split_first()
            && b"-0+ #".contains(flag)
        {
            spec.left |= *flag == b'-';
            spec.zero |= *flag == b'0';
            spec.plus |= *flag == b'+';
            rest = after;
        }
        (spec.width, rest) = count(rest, &mut args)?;
        if let Some(after) = rest.strip_prefix(b".") {
            let (precision, after) = count(after, &mut args)?;
            (spec.precision, rest) = (Some(precision), after);
        }
        let mut long = 0;
        while let Some((size, after)) = rest.split_first()
            && b"lhzjt".contains(size)
        {
            long += usize::from(*size == b'l') + 2 * usize::from(*size == b'j');
            rest = after;
        }
        let Some((&conversion, after)) = rest.split_first() else { break };
        rest = after;
        spec.write(conversion, long >= 2, &mut args, &mut out)?;
        if out.len() > MAX_TEXT {
            out.truncate(MAX_TEXT);
            return Some(out);
        }
    }
    out.extend_from_slice(rest);
    Some(out)
}

#[derive(Default)]
struct Spec {
    left: bool,
    zero: bool,
    plus: bool,
    width: usize,
    precision: Option<usize>,
}

/// Arguments in memory, each aligned to its size.
struct Args<'m> {
    memory: &'m [u8],
    at: usize,
}

/// A number in a format, or `*` for one among the arguments.
fn count<'f>(format: &'f [u8], args: &mut Args<'_>) -> Option<(usize, &'f [u8])> {
    if let Some(rest) = format.strip_prefix(b"*") {
        return Some(((args.word()?.max(0) as usize).min(MAX_TEXT), rest));
    }
    let digits = format.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = format.split_at(digits);
    let number = digits.iter().fold(0_usize, |n, digit| n.saturating_mul(10).saturating_add(usize::from(digit - b'0')));
    Some((number.min(MAX_TEXT), rest))
}

// === impl Args ===

impl Args<'_> {
    fn word(&mut self) -> Option<i32> {
        let bytes = self.memory.get(self.at..self.at.checked_add(4)?)?;
        self.at += 4;
        Some(i32::from_le_bytes(bytes.try_into().ok()?))
    }

    fn long(&mut self) -> Option<i64> {
        self.at = self.at.checked_next_multiple_of(8)?;
        let bytes = self.memory.get(self.at..self.at.checked_add(8)?)?;
        self.at += 8;
        Some(i64::from_le_bytes(bytes.try_into().ok()?))
    }
}

// === impl Spec ===

impl Spec {
    fn write(&self, conversion: u8, long: bool, args: &mut Args<'_>, out: &mut Vec<u8>) -> Option<()> {
        let plus = if self.plus { "+" } else { "" };
        let unsigned = |args: &mut Args<'_>| {
            if long {
                args.long().map(i64::cast_unsigned)
            } else {
                args.word().map(|word| u64::from(word.cast_unsigned()))
            }
        };
        let (sign, digits): (&str, Vec<u8>) = match conversion {
            b'%' => {
                out.push(b'%');
                return Some(());
            }
            b'd' | b'i' => {
                let number = if long { args.long()? } else { i64::from(args.word()?) };
                (if number < 0 { "-" } else { plus }, number.unsigned_abs().to_string().into_bytes())
            }
            b'u' => ("", unsigned(args)?.to_string().into_bytes()),
            b'x' => ("", format!("{:x}", unsigned(args)?).into_bytes()),
            b'X' => ("", format!("{:X}", unsigned(args)?).into_bytes()),
            b'o' => ("", format!("{:o}", unsigned(args)?).into_bytes()),
            b'p' => ("0x", format!("{:x}", args.word()?).into_bytes()),
            b'c' => ("", vec![args.word()? as u8]),
            b's' => {
                let text = text(args.memory, args.word()?.cast_unsigned() as usize)?;
                let len = text.len().min(self.precision.unwrap_or(MAX_TEXT)).min(MAX_TEXT);
                ("", text[..len].to_vec())
            }
            b'f' | b'F' | b'e' | b'E' | b'g' | b'G' => {
                let number = f64::from_bits(args.long()?.cast_unsigned());
                let precision = self.precision.unwrap_or(6).min(100);
                let text = match conversion.to_ascii_lowercase() {
                    b'e' => format!("{:.precision$e}", number.abs()),
                    b'g' => number.abs().to_string(),
                    _ => format!("{:.precision$}", number.abs()),
                };
                (if number.is_sign_negative() { "-" } else { plus }, text.into_bytes())
            }
            // What is no conversion stands as it is.
            other => ("%", vec![other]),
        };
        let missing = self.width.saturating_sub(sign.len() + digits.len());
        let zero = self.zero && !self.left && !matches!(conversion, b's' | b'c');
        if !self.left && !zero {
            out.resize(out.len() + missing, b' ');
        }
        out.extend_from_slice(sign.as_bytes());
        if zero {
            out.resize(out.len() + missing, b'0');
        }
        out.extend_from_slice(&digits);
        if self.left {
            out.resize(out.len() + missing, b' ');
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(format: &str, args: &[u8]) -> Option<String> {
        let mut memory = vec![0; 64];
        memory.extend_from_slice(b"text\0");
        memory.resize(128, 0);
        memory.extend_from_slice(args);
        memory.resize(256, 0);
        memory.extend_from_slice(format.as_bytes());
        memory.push(0);
        print(&memory, 256, 128).map(|text| String::from_utf8(text).unwrap())
    }

    #[test]
    fn formats_as_c_does() {
        let words = |words: &[i32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
        for (format, args, want) in [
            ("a %d%% %s.", words(&[-5, 64]), "a -5% text."),
            ("[%5d|%-5d|%05d|%+d]", words(&[42, 42, -42, 42]), "[   42|42   |-0042|+42]"),
            ("%x %X %o %c %u", words(&[255, 255, 8, 65, -1]), "ff FF 10 A 4294967295"),
            ("%.2s|%*d|%.*s", words(&[64, 4, 7, 3, 64]), "te|   7|tex"),
            ("%lld %ld", [i64::MIN.to_le_bytes().to_vec(), words(&[9])].concat(), "-9223372036854775808 9"),
            (
                "%d %.2f %g",
                [words(&[1, 0]), 1.005e3_f64.to_le_bytes().to_vec(), 0.5_f64.to_le_bytes().to_vec()].concat(),
                "1 1005.00 0.5",
            ),
            ("%", Vec::new(), ""),
            ("%q", Vec::new(), "%q"),
        ] {
            assert_eq!(printed(format, &args).as_deref(), Some(want), "{format}");
        }
        // A pointer that lies, and a width that would take the machine's memory.
        assert_eq!(printed("%s", &words(&[-1])), None);
        assert!(printed("%99999999d", &words(&[1])).unwrap().len() <= MAX_TEXT);
    }
}
