//! `http`: what was asked and what was answered.
//!
//! | X-Ray | attributes, the first there is |
//! | --- | --- |
//! | `request.method` | `http.method`, `http.request.method` |
//! | `request.url` | `http.url`, `url.full`; else scheme, host, port and path |
//! | scheme | `http.scheme`, `url.scheme`, `http` |
//! | host, of a server | `http.host`, `http.server_name`, `net.host.name`, `host.name`, `server.address` |
//! | host, of another | `http.host`, `net.peer.name`, `net.peer.ip`, `server.address`, `network.peer.address` |
//! | port, unless `http.host` is there or the scheme says it | `net.host.port` or `net.peer.port`; `server.port` (`network.peer.port`) |
//! | path | `http.target`; else `url.path` and `?` and `url.query` |
//! | `request.user_agent` | `http.user_agent`, `user_agent.original` |
//! | `request.client_ip` | `http.client_ip`, `client.address` if it is an address; else the peer's, unless that is a server |
//! | `request.x_forwarded_for` | `true` if that came from one of the first two, and no peer is known |
//! | `response.status` | `http.status_code`, `http.response.status_code` |
//! | `response.content_length` | `http.response.body.size`, `http.response_content_length`, else the size of a `RECEIVED` message of the span or an event |

use std::borrow::Cow;
use std::net::{IpAddr, Ipv6Addr};

use suiro_sdk::record::NodeRef;

use super::attributes::Known;
use super::json::{Members, joined, member};
use super::span::{Kind, Span};

/// Any of these makes a span one of HTTP.
const SIGNS: [Known; 11] = [
    Known::Method,
    Known::ClientIp,
    Known::UserAgent,
    Known::Status,
    Known::Url,
    Known::Scheme,
    Known::HttpHost,
    Known::HttpServerName,
    Known::Target,
    Known::UrlPath,
    Known::UrlQuery,
];

/// Whether there is such a block.
pub(super) fn applies(span: &Span<'_>) -> bool {
    SIGNS.iter().any(|&sign| span.attributes.has(sign))
}

/// Whether what the block says includes this attribute, which is of HTTP.
pub(super) fn includes(span: &Span<'_>, known: Known) -> bool {
    match known {
        Known::ClientAddress | Known::NetworkPeerAddress if !is_address(span, known) => false,
        Known::NetPeerIp | Known::NetworkPeerAddress => !span.kind.is_remote(),
        _ => true,
    }
}

pub(super) fn write(span: &Span<'_>, out: &mut Members<'_>) {
    let attributes = &span.attributes;
    out.map("http", |http| {
        http.map("request", |request| {
            request.some_text("method", attributes.text(Known::Method));
            request.some_text("url", url(span));
            request.some_text("user_agent", attributes.text(Known::UserAgent));
            let said = attributes
                .text(Known::ClientIp)
                .or_else(|| attributes.text(Known::ClientAddress).filter(|_| is_address(span, Known::ClientAddress)));
            let peer = attributes.text(Known::NetPeerIp).or_else(|| {
                attributes.text(Known::NetworkPeerAddress).filter(|_| is_address(span, Known::NetworkPeerAddress))
            });
            let forwarded = said.is_some() && peer.is_none();
            // Of a client, the peer is who was asked.
            request.some_text("client_ip", said.or(peer.filter(|_| !span.kind.is_remote())));
            request.flag("x_forwarded_for", forwarded);
        });
        http.map("response", |response| {
            if let Some(status) = attributes.integer(Known::Status).filter(|status| (100..=999).contains(status)) {
                response.number("status", status);
            }
            if let Some(size) = response_size(span) {
                response.number("content_length", size);
            }
        });
    });
}

fn is_address(span: &Span<'_>, known: Known) -> bool {
    span.attributes.text(known).is_some_and(|text| text.parse::<IpAddr>().is_ok())
}

fn url<'a>(span: &Span<'a>) -> Option<Cow<'a, str>> {
    let attributes = &span.attributes;
    if let Some(url) = attributes.text(Known::Url) {
        return Some(url);
    }
    let http_host = attributes.text(Known::HttpHost);
    let (hosts, ports) = match span.kind {
        Kind::Server => (
            &[Known::HttpServerName, Known::NetHostName, Known::HostName, Known::ServerAddress][..],
            &[Known::NetHostPort, Known::ServerPort][..],
        ),
        _ => (
            &[Known::NetPeerName, Known::NetPeerIp, Known::ServerAddress, Known::NetworkPeerAddress][..],
            &[Known::NetPeerPort, Known::ServerPort, Known::NetworkPeerPort][..],
        ),
    };
    let port = if http_host.is_some() { None } else { attributes.first_text(ports) };
    let host = http_host.or_else(|| attributes.first_text(hosts))?;
    let scheme = attributes.text(Known::Scheme).unwrap_or(Cow::Borrowed("http"));
    let port = port.filter(|port| !matches!((&*scheme, &**port), ("http", "80") | ("https", "443")));
    let (open, close) = if host.parse::<Ipv6Addr>().is_ok() { ("[", "]") } else { ("", "") };
    let (colon, port) = port.as_deref().map_or(("", ""), |port| (":", port));
    let target = attributes.text(Known::Target);
    let path = target.clone().or_else(|| attributes.text(Known::UrlPath)).unwrap_or(Cow::Borrowed("/"));
    let query = attributes.text(Known::UrlQuery).filter(|_| target.is_none()).unwrap_or_default();
    let mark = if query.is_empty() || query.starts_with('?') { "" } else { "?" };
    Some(joined(&[&scheme, "://", open, &host, close, colon, port, &path, mark, &query]).into())
}

fn response_size(span: &Span<'_>) -> Option<i64> {
    let attributes = &span.attributes;
    let own = attributes.integer(Known::ResponseSize);
    let own = own
        .or_else(|| attributes.integer(Known::MessageSize).filter(|_| attributes.is(Known::MessageType, "RECEIVED")));
    let of_event = |event: NodeRef<'_>| {
        let attributes = member(event, "attributes")?;
        member(attributes, "message.type").filter(|kind| kind.str_eq("RECEIVED"))?;
        ["messaging.message_payload_size_bytes", "messaging.message.body.size"]
            .iter()
            .find_map(|key| member(attributes, key)?.as_i64())
    };
    own.or_else(|| span.events().find_map(of_event)).filter(|size| *size >= 0)
}
