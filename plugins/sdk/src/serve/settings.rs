//! The settings every input over HTTP has: `auth`, `tls`, and the limits.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::auth::Auth;
use super::tls::Tls;
use crate::intake::Intake;
use crate::settings::{ByteSize, Reported, Section};

/// The settings, checked. The address is the input's own to read ([`listen`]): some have several.
///
/// | setting | default | |
/// | --- | --- | --- |
/// | `auth` | none | who may send: `{ user, password }` or `{ bearer }`, one token or a list |
/// | `tls` | none | `{ cert_file, key_file, client_ca_file }`, see [`Tls`] |
/// | `max_body` | 20 MiB, or `max_pending` if that is less | of one request, after decompression; more is answered 413 |
/// | `max_pending` | 64 MiB, or `max_body` if that is more | of all requests that are read or wait for a worker; more is answered 503 |
/// | `max_connections` | 1024 | open at once; more are closed at once |
/// | `timeout` | 30s | for a request to come in; a body gets a second more for every 16 KiB of it that came |
#[derive(Clone, Debug)]
pub struct ServerSettings {
    /// Who may send; `None`: everybody.
    pub auth: Option<Auth>,
    /// `None`: in the clear.
    pub tls: Option<Tls>,
    /// Bytes of a body, after decompression.
    pub max_body: usize,
    /// Bytes of all requests.
    pub max_pending: usize,
    /// Open connections.
    pub max_connections: usize,
    /// For a request to come in.
    pub timeout: Duration,
}

/// Reads where to listen: the setting `key`.
pub fn listen(settings: &Section, key: &str, default: &str) -> SocketAddr {
    let default = default.parse().unwrap_or_else(|_| SocketAddr::from(([127, 0, 0, 1], 0)));
    settings.or(key, default)
}

// === impl ServerSettings ===

impl ServerSettings {
    /// Reads them. `addresses` are those that will be listened on. Unpack the result behind `settings.finish()?`, so that
    /// all mistakes are reported.
    pub fn read(settings: &Section, addresses: &[SocketAddr]) -> Result<ServerSettings, Reported> {
        let auth = Auth::read(settings);
        let tls = Tls::read(settings);
        let (max_body, max_pending) = bounds(settings, "max_body");
        let max_connections = settings.within("max_connections", 1..=65_536_u64).unwrap_or(1024);
        let timeout = settings
            .within("timeout", Duration::from_millis(100)..=Duration::from_secs(600))
            .unwrap_or(Duration::from_secs(30));
        let (auth, tls) = (auth?, tls?);
        if auth.is_some() && tls.is_none() && addresses.iter().any(|address| !address.ip().is_loopback()) {
            let help = "set `tls`, or leave it to a proxy in front and listen on 127.0.0.1";
            settings.warning_at("auth", "without `tls`, anybody on the way can read the credentials", help);
        }
        let max_connections = usize::try_from(max_connections).unwrap_or(usize::MAX);
        Ok(ServerSettings { auth, tls, max_body, max_pending, max_connections, timeout })
    }

    /// The hand-over for an input with these settings.
    pub fn intake(&self) -> Arc<Intake> {
        Intake::new(self.max_pending)
    }
}

/// Reads the setting `one`, bytes of a single request (20 MiB), and `max_pending`, of all (64 MiB). One that is set moves the
/// other's default where that would not go with it; both set, they must go together.
pub fn bounds(section: &Section, one: &str) -> (usize, usize) {
    let size = |key| section.within(key, ByteSize(1 << 10)..=ByteSize::mib(1 << 10));
    let (set, pending) = (size(one), size("max_pending"));
    let pending = pending.unwrap_or(ByteSize::mib(64).max(set.unwrap_or_default()));
    let single = set.unwrap_or(ByteSize::mib(20).min(pending));
    if single > pending {
        let message = format!("`{one}` is more than `max_pending`, {pending}: there would be no room for it");
        section.error_at(one, message, "lower it, or raise `max_pending`");
    }
    (single.as_usize(), pending.as_usize())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, address: &str) -> (Result<ServerSettings, Reported>, String) {
        let (section, diagnostics) = Section::from_text("[[input]] x", text);
        let address = listen(&section, "listen", address);
        let settings = ServerSettings::read(&section, &[address]);
        let finished = section.finish();
        (settings.and_then(|settings| finished.map(|()| settings)), diagnostics.render(false))
    }

    #[test]
    fn defaults_and_values() {
        let settings = read("", "127.0.0.1:1").0.unwrap();
        assert_eq!((settings.max_body, settings.max_pending), (20 << 20, 64 << 20));
        assert_eq!((settings.max_connections, settings.timeout), (1024, Duration::from_secs(30)));
        assert!(settings.auth.is_none() && settings.tls.is_none());
        let text = "max_body = '100MiB'\nmax_connections = 7\ntimeout = '5s'\nauth = { bearer = 'pa55' }";
        let (settings, shown) = read(text, "127.0.0.1:1");
        let settings = settings.unwrap();
        assert_eq!((settings.max_body, settings.max_pending, settings.max_connections), (100 << 20, 100 << 20, 7));
        let small = read("max_pending = '1MiB'", "127.0.0.1:1").0.unwrap();
        assert_eq!((small.max_body, small.max_pending), (1 << 20, 1 << 20));
        assert!(read("max_pending = '1MiB'\nmax_body = '2MiB'", "127.0.0.1:1").1.contains("no room for it"));
        assert!(!shown.contains("warning") && !format!("{settings:?}").contains("pa55"));
        assert!(read("auth = { bearer = 'pa55' }", "0.0.0.0:1").1.contains("anybody on the way"));
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, message) in [
            ("listen = ':80'", "0.0.0.0:80"),
            ("max_body = '1B'", "max_body"),
            ("max_connections = 0", "max_connections"),
            ("timeout = '0s'", "timeout"),
            ("tls = { cert_file = '/c.pem' }", "needs a `key_file`"),
            ("tls = { key_file = '/c.pem' }", "needs a `cert_file`"),
            ("tls = { client_ca_file = '/c.pem' }", "needs a `cert_file` and a `key_file`"),
            ("tls = {}", "needs a `cert_file` and a `key_file`"),
            ("tls = { cert_file = '/no/such.pem', key_file = '/no/such.key' }", "can't read /no/such.pem"),
            ("tls = { cert_file = '/dev/null', key_file = '/dev/null' }", "no certificate"),
        ] {
            let (settings, shown) = read(text, "127.0.0.1:1");
            assert!(settings.is_err(), "{text}");
            assert!(shown.contains(message), "{text}:\n{shown}");
        }
    }
}
