//! Names of tags and attributes that mean something.

pub(crate) const SERVICE: &str = "service.name";
pub(crate) const HOST_IP: &str = "host.ip";
pub(crate) const HOST_PORT: &str = "net.host.port";

pub(crate) const PEER_SERVICE: &str = "peer.service";
pub(crate) const PEER_ADDRESS: &str = "network.peer.address";
pub(crate) const PEER_PORT: &str = "network.peer.port";
pub(crate) const REMOTE_SERVICE: &str = "zipkin.remote_endpoint.service_name";
pub(crate) const REMOTE_IPV4: &str = "zipkin.remote_endpoint.ipv4";
pub(crate) const REMOTE_IPV6: &str = "zipkin.remote_endpoint.ipv6";
pub(crate) const REMOTE_PORT: &str = "zipkin.remote_endpoint.port";

/// Attributes that name the other side where nothing else does, the best first; the specification's table.
pub(crate) const OTHER_SIDE: [&str; 7] = [
    "server.address",
    "net.peer.name",
    "server.socket.domain",
    "net.sock.peer.name",
    "peer.hostname",
    "peer.address",
    "db.name",
];

pub(crate) const DURATION: &str = "zipkin.duration";
pub(crate) const DEBUG: &str = "zipkin.debug";
pub(crate) const SHARED: &str = "zipkin.shared";

pub(crate) const ERROR: &str = "error";
pub(crate) const STATUS_CODE: &str = "otel.status_code";
pub(crate) const TRACE_STATE: &str = "w3c.tracestate";
/// Name and version.
pub(crate) const SCOPE: (&str, &str) = ("otel.scope.name", "otel.scope.version");
/// What they were called before.
pub(crate) const LIBRARY: (&str, &str) = ("otel.library.name", "otel.library.version");
/// Tags, and the fields of a record.
pub(crate) const DROPPED: [(&str, &str); 3] = [
    ("otel.dropped_attributes_count", "dropped_attributes_count"),
    ("otel.dropped_events_count", "dropped_events_count"),
    ("otel.dropped_links_count", "dropped_links_count"),
];
