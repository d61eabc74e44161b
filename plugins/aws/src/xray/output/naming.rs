//! `name` and `namespace`: X-Ray calls a segment as the service is called, not as the operation.
//!
//! The first of these that is there and has a character X-Ray takes:
//!
//! 1. `aws.local.service`, of a server or an internal local root; `aws.remote.service`, of a client, producer or consumer
//!    (without `AWS.SDK.` or `AWS::` before it where AWS was called);
//! 2. `peer.service`;
//! 3. `aws.service`, and the namespace is `aws`;
//! 4. `db.name` (`db.namespace`), with `@` and the host of `db.connection_string`;
//! 5. of a server, the resource's `service.name`;
//! 6. `rpc.service`, `http.host`, `net.peer.name`;
//! 7. the span's name; else `span`.

use std::sync::LazyLock;

use regex::Regex;

use super::attributes::Known;
use super::cloud::Resource;
use super::document::Role;
use super::span::{Kind, Span};

/// Characters of a name, at most.
const MAX_NAME: usize = 200;
/// The name of what has none.
const NAMELESS: &str = "span";

/// Letters of all scripts. What else Unicode calls alphabetic (marks) is none to X-Ray.
static LETTER: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"^\p{L}$").ok());

/// Appends the name, without quotes: it needs no escaping. Says whether `aws.service` gave it.
pub(super) fn write(span: &Span<'_>, role: Role, resource: &Resource<'_>, out: &mut Vec<u8>) -> bool {
    let attributes = &span.attributes;
    let own = match (role, span.kind) {
        (Role::Service(_), _) | (_, Kind::Server) => attributes.text(Known::LocalService),
        (_, Kind::Internal) if span.is_local_root() => attributes.text(Known::LocalService),
        (_, kind) if kind.is_dependency() => attributes.text(Known::RemoteService),
        _ => None,
    };
    if let Some(own) = own {
        let short = own.strip_prefix("AWS.SDK.").or_else(|| own.strip_prefix("AWS::"));
        let short = short.filter(|_| span.is_aws_call() && span.kind.is_dependency() && !role.is_service());
        if write_name(&[short.unwrap_or(&own)], out) {
            return false;
        }
    }
    let mut is = |known| attributes.text(known).is_some_and(|text| write_name(&[&text], out));
    if is(Known::PeerService) {
        return false;
    }
    if is(Known::AwsService) {
        return true;
    }
    if let Some(database) = attributes.text(Known::DbName) {
        let connection = attributes.text(Known::ConnectionString).unwrap_or_default();
        let host = host_of(&connection);
        let parts = [&*database, "@", host];
        if write_name(if host.is_empty() { &parts[..1] } else { &parts }, out) {
            return false;
        }
    }
    let service = resource.service_name.as_deref().filter(|_| span.kind == Kind::Server);
    if service.is_some_and(|service| write_name(&[service], out)) {
        return false;
    }
    let mut is = |known| attributes.text(known).is_some_and(|text| write_name(&[&text], out));
    if is(Known::RpcService) || is(Known::HttpHost) || is(Known::NetPeerName) {
        return false;
    }
    if !write_name(&[&span.name], out) {
        out.extend_from_slice(NAMELESS.as_bytes());
    }
    false
}

/// Where the work was done; `by_aws_service` is what [`write`] said.
pub(super) fn namespace(span: &Span<'_>, role: Role, by_aws_service: bool) -> Option<&'static str> {
    let aws = span.is_aws_call() || by_aws_service;
    let calls = span.kind.is_dependency() && span.attributes.has(Known::RemoteService);
    match role {
        Role::Service(_) | Role::LocalRoot => None,
        _ if aws => Some("aws"),
        Role::Dependency(_) => Some("remote"),
        Role::Segment => (span.kind == Kind::Client).then_some("remote"),
        Role::Subsegment => (span.kind == Kind::Client || calls).then_some("remote"),
    }
}

/// Appends what X-Ray takes of a name, at most [`MAX_NAME`] characters; says whether that is anything.
pub(super) fn write_name(parts: &[&str], out: &mut Vec<u8>) -> bool {
    let from = out.len();
    let taken = parts.iter().flat_map(|part| part.chars()).filter_map(|c| match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' => Some(c),
        '_' | '.' | ':' | '/' | '%' | '&' | '#' | '=' | '+' | '-' | '@' => Some(c),
        _ if c.is_whitespace() => Some(' '),
        '\0'..='\u{7f}' => None,
        _ => Some(c).filter(|_| LETTER.as_ref().is_some_and(|letter| letter.is_match(c.encode_utf8(&mut [0; 4])))),
    });
    for c in taken.skip_while(|c| *c == ' ').take(MAX_NAME) {
        out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    }
    while out.len() > from && out.ends_with(b" ") {
        out.pop();
    }
    out.len() > from
}

/// The host of `scheme://user@host:port/...`, JDBC's too.
fn host_of(connection: &str) -> &str {
    let url = connection.strip_prefix("jdbc:").unwrap_or(connection);
    let Some((_, rest)) = url.split_once("://") else { return "" };
    let authority = rest.split(['/', '?', '#', ';']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    match host.strip_prefix('[') {
        Some(address) => address.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_x_ray_takes() {
        let taken = |text: &str| {
            let mut out = Vec::new();
            write_name(&[text], &mut out);
            String::from_utf8(out).unwrap()
        };
        for (text, name) in [
            ("GET /a?b={c}", "GET /ab=c"),
            (" \t a\nb ", "a b"),
            ("Größe 注文 _.:/%&#=+-@", "Größe 注文 _.:/%&#=+-@"),
            ("a\\b\"c\u{301}\u{200d}😀", "abc"),
            ("{}", ""),
        ] {
            assert_eq!(taken(text), name);
        }
        assert_eq!(taken(&"é".repeat(300)), "é".repeat(200));
    }

    #[test]
    fn hosts_of_connections() {
        for (connection, host) in [
            ("mysql://db.example.com:3306/shop", "db.example.com"),
            ("jdbc:postgresql://u:p@ss@db:1/x", "db"),
            ("jdbc:sqlserver://db;databaseName=x", "db"),
            ("pg://[::1]:5432/x", "::1"),
            ("Server=(localdb);Database=x", ""),
            ("", ""),
            ("://", ""),
        ] {
            assert_eq!(host_of(connection), host);
        }
    }
}
