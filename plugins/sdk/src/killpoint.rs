//! Named points at which the process can be made to die, for tests of what survives.
//!
//! With the feature `killpoints`, `SUIRO_KILL_AT=output.answered:3` makes the third pass through the point
//! `output.answered` the process's last: SIGKILL, no destructor, no last write. Without the feature, as in every build that
//! people run, a point is nothing.

#[cfg(feature = "killpoints")]
pub use armed::{cut, pass, write_all};
#[cfg(not(feature = "killpoints"))]
pub use disarmed::{cut, pass, write_all};

#[cfg(not(feature = "killpoints"))]
mod disarmed {
    use std::io::{self, Write};

    /// Passes the point `name`.
    #[inline(always)]
    pub fn pass(_name: &str) {}

    /// What of `bytes` to write before the point `name`: all, or half where it is the aim.
    #[inline(always)]
    pub fn cut<'b>(bytes: &'b [u8], _name: &str) -> &'b [u8] {
        bytes
    }

    /// Writes `bytes`; the point `name` is where half of them are written.
    ///
    /// # Errors
    ///
    /// As [`Write::write_all`].
    #[inline(always)]
    pub fn write_all(file: &mut impl Write, bytes: &[u8], _name: &str) -> io::Result<()> {
        file.write_all(bytes)
    }
}

#[cfg(feature = "killpoints")]
mod armed {
    use std::io::{self, Write};
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;

    /// Where to die.
    struct Aim {
        point: String,
        /// Passes that are left.
        passes: AtomicU64,
    }

    static AIM: OnceLock<Option<Aim>> = OnceLock::new();

    /// Passes the point `name`, or dies there.
    pub fn pass(name: &str) {
        let Some(aim) = aim() else { return };
        if aim.point == name && aim.passes.fetch_sub(1, Ordering::SeqCst) == 1 {
            // Where even that fails, nothing else would do.
            let _ = kill(Pid::this(), Signal::SIGKILL);
            loop {
                std::thread::park();
            }
        }
    }

    /// What of `bytes` to write before the point `name`: all, or half where it is the aim.
    pub fn cut<'b>(bytes: &'b [u8], name: &str) -> &'b [u8] {
        let half = bytes.len().div_ceil(2);
        if aim().is_some_and(|aim| aim.point == name) { &bytes[..half] } else { bytes }
    }

    /// Writes `bytes`; the point `name` is where half of them are written.
    ///
    /// # Errors
    ///
    /// As [`Write::write_all`].
    pub fn write_all(file: &mut impl Write, bytes: &[u8], name: &str) -> io::Result<()> {
        let first = cut(bytes, name);
        file.write_all(first)?;
        pass(name);
        file.write_all(&bytes[first.len()..])
    }

    fn aim() -> Option<&'static Aim> {
        AIM.get_or_init(read).as_ref()
    }

    fn read() -> Option<Aim> {
        let text = std::env::var("SUIRO_KILL_AT").ok()?;
        let (point, passes) = text.split_once(':').unwrap_or((&text, "1"));
        Some(Aim { point: point.to_owned(), passes: AtomicU64::new(passes.parse().ok()?) })
    }
}
