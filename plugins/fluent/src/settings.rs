//! What can be set: `docs/forward.md` has the table.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use suiro_sdk::intake::Ack;
use suiro_sdk::serve::{Tls, bounds, listen, unix};
use suiro_sdk::settings::{Data, Reported, Secret, Section};

use crate::handshake::Security;

/// Where Fluentd's protocol is spoken.
const LISTEN: &str = "127.0.0.1:24224";
/// Fluentd waits 190 s for an acknowledgement before it sends again: what comes sooner is sent once.
const PATIENCE: Duration = Duration::from_secs(180);

/// The input's settings.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// TCP.
    pub(crate) listen: Option<SocketAddr>,
    /// A Unix socket, and the rights it gets.
    pub(crate) unix: Option<PathBuf>,
    pub(crate) unix_mode: u32,
    /// Datagrams are answered where TCP is listened to.
    pub(crate) udp_heartbeat: bool,
    /// Of TCP.
    pub(crate) tls: Option<Tls>,
    /// Who may send; `None`: everybody.
    pub(crate) security: Option<Security>,
    pub(crate) ack: Ack,
    /// Bytes of a message, as it comes and once it is decompressed.
    pub(crate) max_message: usize,
    /// Bytes of messages that are read, and of records that wait for a worker.
    pub(crate) max_pending: usize,
    pub(crate) max_connections: usize,
    /// For a message to come in.
    pub(crate) timeout: Duration,
}

// === impl Settings ===

impl Settings {
    pub(crate) fn read(section: &Section) -> Result<Settings, Reported> {
        let is_off = matches!(section.value("listen").as_ref().map(|value| value.data()), Some(Data::Bool(false)));
        let listen = (!is_off).then(|| listen(section, "listen", LISTEN));
        let unix: Option<PathBuf> = section.get("unix");
        if is_off && !section.has("unix") {
            section.error_at("listen", "the input would listen nowhere", "leave `listen` out, or set `unix`");
        }
        let unix_mode = mode(section);
        let udp_heartbeat = section.flag("udp_heartbeat");
        let tls = Tls::read(section);
        for key in ["tls", "udp_heartbeat"] {
            if is_off && section.has(key) {
                section.error_at(key, format!("`{key}` is of TCP, which is off"), "leave it out, or set `listen`");
            }
        }
        if section.has("unix_mode") && !section.has("unix") {
            section.error_at("unix_mode", "`unix_mode` is of a Unix socket", "leave it out, or set `unix`");
        }
        let security = security(section);
        let ack = Ack::read_or(section, PATIENCE);
        let (max_message, max_pending) = bounds(section, "max_message");
        let max_connections = section.within("max_connections", 1..=65_536_u64).unwrap_or(1024);
        let timeout = section
            .within("timeout", Duration::from_millis(100)..=Duration::from_secs(600))
            .unwrap_or(Duration::from_secs(30));
        section.finish()?;
        Ok(Settings {
            listen,
            unix,
            unix_mode,
            udp_heartbeat,
            tls: tls?,
            security: security?,
            ack,
            max_message,
            max_pending,
            max_connections: usize::try_from(max_connections).unwrap_or(usize::MAX),
            timeout,
        })
    }
}

/// `unix_mode`: rights as `chmod` takes them, in octal digits.
fn mode(section: &Section) -> u32 {
    let Some(text) = section.get::<String>("unix_mode") else { return unix::MODE };
    match u32::from_str_radix(&text, 8) {
        Ok(mode @ 0..=0o777) => mode,
        _ => {
            section.error_at("unix_mode", "`unix_mode` must be three octal digits", "for example unix_mode = \"0660\"");
            unix::MODE
        }
    }
}

fn security(section: &Section) -> Result<Option<Security>, Reported> {
    let given = section.value("shared_key").map_or(0, |value| value.one_or_many().len());
    let keys: Vec<Secret> = section.list("shared_key");
    let named = section.value("users").and_then(|users| users.entries().ok()).map_or(0, |entries| entries.len());
    let users: Vec<(String, Secret)> = section.map("users");
    let hostname = section.get::<String>("hostname");
    if !section.has("shared_key") {
        for key in ["users", "hostname"] {
            if section.has(key) {
                let help = "set `shared_key`, or leave it out";
                return Err(section.error_at(key, format!("`{key}` has no use without a `shared_key`"), help));
            }
        }
        return Ok(None);
    }
    // One that can't be read is reported where it stands; nobody must get in for want of it.
    if keys.is_empty() || keys.len() < given {
        return Err(section.error_at(
            "shared_key",
            "`shared_key` can't be used",
            "for example shared_key = { env = \"FLUENT_KEY\" }",
        ));
    }
    if section.has("users") && (users.is_empty() || users.len() < named) {
        return Err(section.error_at(
            "users",
            "`users` can't be used",
            "for example users = { shop = { env = \"SHOP_PASSWORD\" } }",
        ));
    }
    let hostname = hostname.unwrap_or_else(|| {
        let own = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
        own.unwrap_or_else(|| "suiro".to_owned())
    });
    Ok(Some(Security { keys, users, hostname }))
}
