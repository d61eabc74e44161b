//! Lines in the agent's log, with the filter's name.
//!
//! A line is cut at 4 KiB, and beyond 100 lines a second they are counted instead: a filter that logs every record does
//! not hurt, and does not help.

use crate::sys;

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Level {
    /// The filter does not work as it should.
    Error = 0,
    /// Something a person should look at.
    Warn = 1,
    /// Good to know.
    Info = 2,
    /// For whoever writes the filter.
    Debug = 3,
}

/// Writes one line.
pub fn write(level: Level, text: &str) {
    // Errors: there is none but that of a level that does not exist.
    sys::log(level as i32, text);
}

/// Writes a line at the level of an error: `error!("no table {name}")`.
#[macro_export]
macro_rules! error {
    ($($text:tt)+) => { $crate::__log!(Error, $($text)+) };
}

/// Writes a line at the level of a warning.
#[macro_export]
macro_rules! warn {
    ($($text:tt)+) => { $crate::__log!(Warn, $($text)+) };
}

/// Writes a line at the level of an information.
#[macro_export]
macro_rules! info {
    ($($text:tt)+) => { $crate::__log!(Info, $($text)+) };
}

/// Writes a line for whoever writes the filter.
#[macro_export]
macro_rules! debug {
    ($($text:tt)+) => { $crate::__log!(Debug, $($text)+) };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __log {
    ($level:ident, $($text:tt)+) => {
        $crate::log::write($crate::log::Level::$level, &::std::format!($($text)+))
    };
}
