//! What can be set, and what is said of what can't.

use std::time::Duration;

use suiro_sdk::settings::Section;

use crate::settings::Settings;

fn read(text: &str) -> Result<Settings, String> {
    let (section, diagnostics) = Section::from_text("[[input]] forward", text);
    Settings::read(&section).map_err(|_| diagnostics.render(false))
}

#[test]
fn defaults_and_values() {
    let settings = read("").unwrap();
    assert_eq!(settings.listen, Some("127.0.0.1:24224".parse().unwrap()));
    assert!(
        settings.unix.is_none() && settings.security.is_none() && settings.tls.is_none() && !settings.udp_heartbeat
    );
    assert_eq!((settings.max_message, settings.max_pending), (20 << 20, 64 << 20));
    assert_eq!((settings.ack.timeout, settings.timeout), (Duration::from_secs(180), Duration::from_secs(30)));
    let text = "listen = false\nunix = '/run/x.sock'\nunix_mode = '0660'\nmax_message = '1MiB'\n\
                shared_key = ['k1', 'k2']\nusers = { anna = 'pa55' }\nhostname = 'me'";
    let settings = read(text).unwrap();
    assert_eq!((settings.listen, settings.unix_mode), (None, 0o660));
    let security = settings.security.unwrap();
    assert_eq!((security.keys.len(), security.users.len(), &*security.hostname), (2, 1, "me"));
    // A default goes with what is set.
    assert_eq!(read("max_pending = '10MiB'").unwrap().max_message, 10 << 20);
    assert_eq!(read("max_message = '100MiB'").unwrap().max_pending, 100 << 20);
    assert_eq!(read("max_pending = '20MiB'").unwrap().max_pending, 20 << 20);
    assert!(!read("shared_key = 'k'").unwrap().security.unwrap().hostname.is_empty());
}

#[test]
fn says_what_is_wrong() {
    for (text, message) in [
        ("listen = false", "nowhere"),
        ("listen = false\nunix = '/x'\nudp_heartbeat = true", "of TCP"),
        ("unix_mode = '0660'", "set `unix`"),
        ("unix = '/x'\nunix_mode = '888'", "octal"),
        ("users = { anna = 'pa55' }", "without a `shared_key`"),
        ("hostname = 'me'", "without a `shared_key`"),
        ("shared_key = ''", "shared_key"),
        ("shared_key = ['k', '']", "shared_key"),
        ("shared_key = 'k'\nusers = {}", "users"),
        ("shared_key = 'k'\nusers = { anna = '' }", "users"),
        ("max_message = '1B'", "max_message"),
        ("max_pending = '10MiB'\nmax_message = '11MiB'", "`max_message` is more than `max_pending`"),
        ("tls = {}", "cert_file"),
        ("ack = 'never'", "ack"),
    ] {
        let shown = read(text).map(drop).expect_err(text);
        assert!(shown.contains(message) && !shown.contains("pa55"), "{text}:\n{shown}");
    }
}
