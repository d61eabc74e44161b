//! `suiro health`: is the agent well? For health checks in images without curl.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use suiro_sdk::settings::{Diagnostics, process_environment};

use crate::config;
use crate::registry;

/// Answers are shorter; of a longer one the beginning says enough.
const MAX_ANSWER: usize = 64 << 10;
/// Where the API listens unless told otherwise.
const DEFAULT_URL: &str = "http://127.0.0.1:2020";

/// Arguments of `suiro health`.
#[derive(Debug, Args)]
pub(super) struct HealthArgs {
    /// The configuration the agent runs with: it says where the API listens
    #[arg(short, long, value_name = "FILE or FOLDER", conflicts_with = "url")]
    config: Vec<PathBuf>,
    /// Where the API listens [default: http://127.0.0.1:2020]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Ask only whether the agent runs, not whether all of it is well
    #[arg(long)]
    ready: bool,
    /// How many seconds the agent may take to answer
    #[arg(long, value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=3600))]
    timeout: u16,
}

/// Asks, and says in one line what is wrong. Exit code 0 or 1, and no other: those who ask know no more.
pub(super) fn health(args: &HealthArgs) -> ExitCode {
    let (code, line) = match ask(args) {
        Ok(line) => (ExitCode::SUCCESS, line),
        Err(line) => (ExitCode::FAILURE, line),
    };
    // Health checks keep what stands on standard output, some of them only that.
    let _ = writeln!(std::io::stdout().lock(), "{line}");
    code
}

fn ask(args: &HealthArgs) -> Result<String, String> {
    let until = Instant::now() + Duration::from_secs(args.timeout.into());
    let host = if args.config.is_empty() {
        host_of(args.url.as_deref().unwrap_or(DEFAULT_URL))?
    } else {
        reachable(listen_address(&args.config)?).to_string()
    };
    let path = if args.ready { "/ready" } else { "/api/v1/health" };
    let (status, body) = get(&host, path, until).map_err(|why| format!("no answer from {host}: {why}"))?;
    match status {
        200 => Ok(body.lines().next().unwrap_or("ok").to_owned()),
        _ => {
            Err(troubles(&body).unwrap_or_else(|| format!("{host} answers {status} to GET {path}: is it suiro's API?")))
        }
    }
}

/// Host and port of a URL, which names nothing else.
fn host_of(url: &str) -> Result<String, String> {
    let wrong = || format!("--url {url}: it must be like {DEFAULT_URL}; the API speaks plain HTTP");
    let host = url.strip_prefix("http://").ok_or_else(wrong)?;
    let host = host.strip_suffix('/').unwrap_or(host);
    if host.is_empty()
        || host.contains(['/', '?', '#', '@'])
        || host.chars().any(|c| c.is_whitespace() || c.is_control())
    {
        return Err(wrong());
    }
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    Ok(if has_port { host.to_owned() } else { format!("{host}:80") })
}

/// Where the configuration says the API listens. What else is wrong in it is none of our business: the agent runs.
fn listen_address(paths: &[PathBuf]) -> Result<SocketAddr, String> {
    let diagnostics = Diagnostics::default();
    let types = registry::known_types(&registry::all());
    let config = config::load(paths, &types, &process_environment(), &diagnostics);
    if config.files.is_empty() {
        let names: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
        return Err(format!("the configuration {} can't be read", names.join(", ")));
    }
    match config.service.api {
        None => Err("the configuration has no API to ask: it says api = false".to_owned()),
        Some(address) if address.port() == 0 => {
            Err("the configuration leaves the API's port to the system: give --url".to_owned())
        }
        Some(address) => Ok(address),
    }
}

/// The same where it listens on all addresses: there is one we can ask.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

/// Status and body of the answer. By hand: it is one line to one server, of which every byte is known.
fn get(host: &str, path: &str, until: Instant) -> Result<(u16, String), String> {
    let say = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut => "it did not come in time".to_owned(),
        _ => error.to_string(),
    };
    let left = || {
        let left = until.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left).ok_or_else(|| "it did not come in time".to_owned())
    };
    let mut refused = "the host has no address".to_owned();
    let mut connected = None;
    for address in host.to_socket_addrs().map_err(say)? {
        match TcpStream::connect_timeout(&address, left()?) {
            Ok(stream) => {
                connected = Some(stream);
                break;
            }
            Err(error) => refused = say(error),
        }
    }
    let mut stream = connected.ok_or(refused)?;
    stream.set_write_timeout(Some(left()?)).map_err(say)?;
    // HTTP/1.0: the answer ends with the connection.
    let request = format!("GET {path} HTTP/1.0\r\nhost: {host}\r\nuser-agent: suiro health\r\n\r\n");
    stream.write_all(request.as_bytes()).map_err(say)?;
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    while answer.len() < MAX_ANSWER {
        stream.set_read_timeout(Some(left()?)).map_err(say)?;
        let read = stream.read(&mut piece).map_err(say)?;
        if read == 0 {
            break;
        }
        answer.extend_from_slice(&piece[..read]);
    }
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("it is no HTTP")?;
    let status = head.strip_prefix("HTTP/1.").and_then(|head| head.split(' ').nth(1)?.parse().ok());
    Ok((status.ok_or("it is no HTTP")?, body.to_owned()))
}

/// What the API says is wrong, by block, in one line.
fn troubles(body: &str) -> Option<String> {
    let answer: serde_json::Value = serde_json::from_str(body).ok()?;
    let blocks = answer.get("blocks")?.as_object()?;
    let each = blocks.iter().map(|(block, why)| format!("{block}: {}", why.as_str().unwrap_or_default()));
    Some(format!("degraded: {}", each.collect::<Vec<_>>().join("; ")).replace(['\n', '\r'], " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_host_and_nothing_else() {
        assert_eq!(host_of(DEFAULT_URL).as_deref(), Ok("127.0.0.1:2020"));
        assert_eq!(host_of("http://[::1]:2020/").as_deref(), Ok("[::1]:2020"));
        assert_eq!(host_of("http://agent").as_deref(), Ok("agent:80"));
        for wrong in
            ["", "127.0.0.1:2020", "https://a", "http://", "http://a/b", "http://a b", "http://u@a", "http://a\r\nx: y"]
        {
            assert!(host_of(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn all_addresses_can_be_reached_at_one() {
        for (listen, asked) in [("0.0.0.0:1", "127.0.0.1:1"), ("[::]:1", "[::1]:1"), ("10.0.0.1:1", "10.0.0.1:1")] {
            assert_eq!(reachable(listen.parse().unwrap()).to_string(), asked);
        }
    }

    #[test]
    fn troubles_are_one_line() {
        let body = r#"{"status":"degraded","blocks":{"es":"401\nno","loki":"gone"},"panics":{}}"#;
        assert_eq!(troubles(body).as_deref(), Some("degraded: es: 401 no; loki: gone"));
        assert_eq!(troubles("Not Found"), None);
    }
}
