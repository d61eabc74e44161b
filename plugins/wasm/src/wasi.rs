//! WASI preview 1, as little of it as languages' runtimes need to start: clocks, random bytes, output to the log.
//!
//! There are no files, no arguments, no environment, no network. What a guest writes to its standard output or error
//! becomes lines of the filter's log. What is not served answers `ENOSYS`; a descriptor that is none of 0, 1, 2 answers
//! `EBADF`; `proc_exit` is a trap.

use wasmtime::{Caller, Error, FuncType, Linker, Result, Val, ValType};

use crate::instance::Host;
use crate::link::{Function, Ty};
use crate::view::LogLevel;

/// The module from which guests import.
pub(crate) const MODULE: &str = "wasi_snapshot_preview1";

const SUCCESS: i32 = 0;
const EBADF: i32 = 8;
const EFAULT: i32 = 21;
const EINVAL: i32 = 28;
const ENOSYS: i32 = 52;
const ESPIPE: i32 = 70;

/// Most random bytes a guest gets at once.
const MAX_RANDOM: usize = 64 << 10;
/// Most pieces of one write.
const MAX_PIECES: i32 = 1024;
/// Longest line before it is shown without an end.
const MAX_LINE: usize = 4 << 10;

/// The guest ended itself.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("it called proc_exit({0})")]
pub(crate) struct Exited(i32);

/// Lines that are not complete yet, of standard output and error.
#[derive(Default)]
pub(crate) struct Output([Vec<u8>; 2]);

const I: Ty = Ty::I32;
const L: Ty = Ty::I64;

macro_rules! wasi {
    ($($name:literal($($param:ident),*);)*) => {
        /// All functions of WASI preview 1.
        pub(crate) const FUNCTIONS: &[Function] = &[
            $(Function { name: $name, params: &[$($param),*], results: &[I] },)*
            Function { name: "proc_exit", params: &[I], results: &[] },
        ];
    };
}

wasi! {
    "args_get"(I, I);
    "args_sizes_get"(I, I);
    "clock_res_get"(I, I);
    "clock_time_get"(I, L, I);
    "environ_get"(I, I);
    "environ_sizes_get"(I, I);
    "fd_advise"(I, L, L, I);
    "fd_allocate"(I, L, L);
    "fd_close"(I);
    "fd_datasync"(I);
    "fd_fdstat_get"(I, I);
    "fd_fdstat_set_flags"(I, I);
    "fd_fdstat_set_rights"(I, L, L);
    "fd_filestat_get"(I, I);
    "fd_filestat_set_size"(I, L);
    "fd_filestat_set_times"(I, L, L, I);
    "fd_pread"(I, I, I, L, I);
    "fd_prestat_get"(I, I);
    "fd_prestat_dir_name"(I, I, I);
    "fd_pwrite"(I, I, I, L, I);
    "fd_read"(I, I, I, I);
    "fd_readdir"(I, I, I, L, I);
    "fd_renumber"(I, I);
    "fd_seek"(I, L, I, I);
    "fd_sync"(I);
    "fd_tell"(I, I);
    "fd_write"(I, I, I, I);
    "path_create_directory"(I, I, I);
    "path_filestat_get"(I, I, I, I, I);
    "path_filestat_set_times"(I, I, I, I, L, L, I);
    "path_link"(I, I, I, I, I, I, I);
    "path_open"(I, I, I, I, I, L, L, I, I);
    "path_readlink"(I, I, I, I, I, I);
    "path_remove_directory"(I, I, I);
    "path_rename"(I, I, I, I, I, I);
    "path_symlink"(I, I, I, I, I);
    "path_unlink_file"(I, I, I);
    "poll_oneoff"(I, I, I, I);
    "proc_raise"(I);
    "random_get"(I, I);
    "sched_yield"();
    "sock_accept"(I, I, I);
    "sock_recv"(I, I, I, I, I, I);
    "sock_send"(I, I, I, I, I);
    "sock_shutdown"(I, I);
}

/// Makes them importable.
pub(crate) fn link(linker: &mut Linker<Host>) -> Result<()> {
    let engine = linker.engine().clone();
    for function in FUNCTIONS.iter().filter(|function| !function.results.is_empty()) {
        let params = function.params.iter().map(|ty| if *ty == L { ValType::I64 } else { ValType::I32 });
        let ty = FuncType::new(&engine, params, [ValType::I32]);
        let name = function.name;
        linker.func_new(MODULE, name, ty, move |mut caller: Caller<'_, Host>, args, results| {
            let (memory, host) = Host::of(&mut caller);
            let number = |at: usize| match args.get(at) {
                Some(Val::I32(number)) => *number,
                _ => 0,
            };
            results[0] = Val::I32(serve(name, memory, host, number).unwrap_or_else(|code| code));
            Ok(())
        })?;
    }
    linker.func_wrap(MODULE, "proc_exit", |_: Caller<'_, Host>, code: i32| -> Result<()> {
        Err(Error::new(Exited(code)))
    })?;
    Ok(())
}

/// One call: 0, or what went wrong.
fn serve(name: &str, memory: &mut [u8], host: &mut Host, arg: impl Fn(usize) -> i32) -> std::result::Result<i32, i32> {
    match name {
        "args_get" | "environ_get" | "sched_yield" | "fd_fdstat_set_flags" => Ok(SUCCESS),
        "args_sizes_get" | "environ_sizes_get" => {
            store(memory, arg(0), &0_u32.to_le_bytes())?;
            store(memory, arg(1), &0_u32.to_le_bytes())
        }
        "clock_res_get" => store(memory, arg(1), &1000_u64.to_le_bytes()),
        "clock_time_get" => {
            let now = match arg(0) {
                0 => suiro_sdk::time::now(),
                1..=3 => i64::try_from(host.began.elapsed().as_nanos()).unwrap_or(i64::MAX),
                _ => return Err(EINVAL),
            };
            store(memory, arg(2), &now.to_le_bytes())
        }
        "random_get" => {
            let len = (arg(1).cast_unsigned() as usize).min(MAX_RANDOM);
            rand::fill(piece(memory, arg(0), len)?);
            Ok(SUCCESS)
        }
        "fd_write" => write(memory, host, &arg),
        "fd_read" if arg(0) == 0 => store(memory, arg(3), &0_u32.to_le_bytes()),
        "fd_fdstat_get" if (0..=2).contains(&arg(0)) => {
            // A character device that may be read or written.
            let mut stat = [0; 24];
            stat[0] = 2;
            stat[8..16].copy_from_slice(&0x42_u64.to_le_bytes());
            store(memory, arg(1), &stat)
        }
        "fd_close" if (0..=2).contains(&arg(0)) => Ok(SUCCESS),
        "fd_seek" | "fd_tell" if (0..=2).contains(&arg(0)) => Err(ESPIPE),
        "poll_oneoff" => poll(memory, &arg),
        "proc_raise" => Err(ENOSYS),
        name if name.starts_with("fd_") || name.starts_with("path_") || name.starts_with("sock_") => Err(EBADF),
        _ => Err(ENOSYS),
    }
}

/// Nobody sleeps in a filter: every clock that is waited for has come at once.
fn poll(memory: &mut [u8], arg: &impl Fn(usize) -> i32) -> std::result::Result<i32, i32> {
    let (subscriptions, events, count) = (arg(0), arg(1), arg(2));
    if !(1..=64).contains(&count) {
        return Err(EINVAL);
    }
    for i in 0..count {
        let subscription: [u8; 48] =
            piece(memory, subscriptions.wrapping_add(i * 48), 48)?.try_into().unwrap_or([0; 48]);
        let mut event = [0; 32];
        event[..8].copy_from_slice(&subscription[..8]);
        event[10] = subscription[8];
        store(memory, events.wrapping_add(i * 32), &event)?;
    }
    store(memory, arg(3), &count.to_le_bytes())
}

fn write(memory: &mut [u8], host: &mut Host, arg: &impl Fn(usize) -> i32) -> std::result::Result<i32, i32> {
    let stream = match arg(0) {
        1 => 0,
        2 => 1,
        _ => return Err(EBADF),
    };
    let (pieces, count) = (arg(1), arg(2));
    if !(0..=MAX_PIECES).contains(&count) {
        return Err(EINVAL);
    }
    let mut written = 0_u32;
    for i in 0..count {
        let head: [u8; 8] = piece(memory, pieces.wrapping_add(i * 8), 8)?.try_into().unwrap_or([0; 8]);
        let [ptr, len] = [0, 4].map(|at| i32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]));
        let text = piece(memory, ptr, len.cast_unsigned() as usize)?;
        written = written.saturating_add(text.len() as u32);
        host.print(stream, text);
    }
    store(memory, arg(3), &written.to_le_bytes())
}

fn piece(memory: &mut [u8], ptr: i32, len: usize) -> std::result::Result<&mut [u8], i32> {
    let from = ptr.cast_unsigned() as usize;
    memory.get_mut(from..from.saturating_add(len)).ok_or(EFAULT)
}

fn store(memory: &mut [u8], ptr: i32, bytes: &[u8]) -> std::result::Result<i32, i32> {
    piece(memory, ptr, bytes.len())?.copy_from_slice(bytes);
    Ok(SUCCESS)
}

// === impl Output ===

impl Output {
    /// Takes what was written to standard output (0) or error (1), and says each line that is complete.
    pub(crate) fn print(&mut self, stream: usize, text: &[u8], mut say: impl FnMut(LogLevel, &str)) {
        let level = if stream == 0 { LogLevel::Info } else { LogLevel::Warn };
        let held = &mut self.0[stream];
        for piece in text.split_inclusive(|b| *b == b'\n') {
            let room = MAX_LINE.saturating_sub(held.len());
            held.extend_from_slice(&piece[..piece.len().min(room)]);
            if piece.ends_with(b"\n") || held.len() >= MAX_LINE {
                let line = String::from_utf8_lossy(held);
                let line = line.trim_end();
                if !line.is_empty() {
                    say(level, line);
                }
                held.clear();
            }
        }
    }
}
