//! Socket addresses and paths.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::Setting;
use super::diagnostic::Reported;
use super::value::Value;

impl Setting for SocketAddr {
    fn read(value: &Value) -> Result<Self, Reported> {
        const WHAT: &str = "an address and port such as \"127.0.0.1:2020\"";
        let text = value.text(WHAT)?;
        text.parse().map_err(|_| {
            let help = match text.rsplit_once(':') {
                Some(("" | "*", port)) if port.parse::<u16>().is_ok() => {
                    format!("for all interfaces write \"0.0.0.0:{port}\" or \"[::]:{port}\"")
                }
                Some(("localhost", port)) if port.parse::<u16>().is_ok() => {
                    format!("names aren't looked up; write \"127.0.0.1:{port}\"")
                }
                Some((host, _)) if host.contains(':') && !host.starts_with('[') => {
                    "an IPv6 address stands in brackets: \"[::1]:2020\"".to_owned()
                }
                _ => String::new(),
            };
            value.error(format!("{} must be {WHAT}", value.name()), help)
        })
    }
}

impl Setting for PathBuf {
    /// Relative paths start at the folder of the file that names them.
    fn read(value: &Value) -> Result<Self, Reported> {
        match value.text("a path")? {
            "" => Err(value.expected("a path")),
            text if text.contains('\0') => Err(value.error(format!("{} contains a NUL byte", value.name()), "")),
            text => Ok(value.resolve_path(text)),
        }
    }
}
