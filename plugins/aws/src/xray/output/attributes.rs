//! A span's attributes, and what each is good for.
//!
//! Those that have a place of their own in a segment ([`Place`]) are no metadata then. Old and new names of the semantic
//! conventions are one; of two the last counts, as of an attribute that is there twice.

use std::borrow::Cow;
use std::collections::HashSet;

use smallvec::SmallVec;
use suiro_sdk::record::{Kind, NodeRef};

use super::json::text_of;

/// Where an attribute goes, if what it belongs to is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// `http`
    Http,
    /// `aws`
    Aws,
    /// `sql`
    Sql,
    /// `user`
    User,
    /// It says which others are annotations.
    Annotations,
    /// `error`, `fault` or `throttle`.
    Flag,
    /// It names something or decides something, and is metadata all the same.
    Metadata,
}

macro_rules! known {
    ($($name:ident $place:ident $($key:literal)|+;)*) => {
        /// An attribute with a meaning.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Known { $(#[doc = concat!($("`", $key, "` ",)+)] $name,)* }

        impl Known {
            const COUNT: usize = [$(Known::$name),*].len();

            fn of(key: &str) -> Option<Known> {
                Some(match key { $($($key)|+ => Known::$name,)* _ => return None })
            }

            pub(super) fn place(self) -> Place {
                match self { $(Known::$name => Place::$place,)* }
            }
        }
    };
}

known! {
    Method Http "http.method" | "http.request.method";
    ClientIp Http "http.client_ip";
    ClientAddress Http "client.address";
    UserAgent Http "http.user_agent" | "user_agent.original";
    Status Http "http.status_code" | "http.response.status_code";
    ResponseSize Http "http.response_content_length" | "http.response.body.size";
    Url Http "http.url" | "url.full";
    Scheme Http "http.scheme" | "url.scheme";
    HttpHost Http "http.host";
    HttpServerName Http "http.server_name";
    Target Http "http.target";
    UrlPath Http "url.path";
    UrlQuery Http "url.query";
    HostName Http "host.name";
    NetHostName Http "net.host.name";
    NetHostPort Http "net.host.port";
    NetPeerName Http "net.peer.name";
    NetPeerPort Http "net.peer.port";
    NetPeerIp Http "net.peer.ip" | "net.sock.peer.addr";
    NetworkPeerAddress Http "network.peer.address";
    NetworkPeerPort Http "network.peer.port";
    ServerAddress Http "server.address";
    ServerPort Http "server.port";
    AwsOperation Aws "aws.operation";
    RpcMethod Aws "rpc.method";
    AccountId Aws "aws.account_id";
    Region Aws "aws.region";
    RequestId Aws "aws.request_id" | "aws.requestId";
    QueueUrl Aws "aws.queue_url" | "aws.queue.url";
    TableName Aws "aws.table_name" | "aws.table.name";
    ConnectionString Sql "db.connection_string";
    DbSystem Sql "db.system" | "db.system.name";
    DbName Sql "db.name" | "db.namespace";
    DbStatement Sql "db.statement" | "db.query.text";
    DbUser Sql "db.user";
    User User "enduser.id";
    Annotations Annotations "aws.xray.annotations";
    Error Flag "aws.xray.error";
    Fault Flag "aws.xray.fault";
    Throttle Flag "aws.xray.throttle";
    MessagingUrl Metadata "messaging.url";
    DynamoTables Metadata "aws.dynamodb.table_names";
    MessageType Metadata "message.type";
    MessageSize Metadata "messaging.message_payload_size_bytes" | "messaging.message.body.size";
    StatusText Metadata "http.status_text";
    PeerService Metadata "peer.service";
    AwsService Metadata "aws.service";
    RpcSystem Metadata "rpc.system";
    RpcService Metadata "rpc.service";
    LocalService Metadata "aws.local.service";
    RemoteService Metadata "aws.remote.service";
    RemoteOperation Metadata "aws.remote.operation";
    RemoteTarget Metadata "remoteTarget";
    RemoteNamespace Metadata "K8s.RemoteNamespace";
    SpanKind Metadata "aws.span.kind";
}

/// An attribute, and what it is known as.
pub(super) type Entry<'a> = (NodeRef<'a>, Option<Known>);

/// Above so many, attributes that are there twice are looked for by hashing.
const FEW: usize = 64;

/// A span's attributes.
pub(super) struct Attributes<'a> {
    /// Each key once, in their order.
    pub(super) entries: SmallVec<[Entry<'a>; 24]>,
    known: [Option<NodeRef<'a>>; Known::COUNT],
}

// === impl Attributes ===

impl<'a> Attributes<'a> {
    pub(super) fn new(map: Option<NodeRef<'a>>) -> Self {
        let mut attributes = Attributes { entries: SmallVec::new(), known: [None; Known::COUNT] };
        for node in map.into_iter().flat_map(NodeRef::children) {
            // A value of a type that means nothing there is an attribute as any other.
            let lists = |known| matches!(known, Known::Annotations | Known::DynamoTables);
            let known = Known::of(node.key().unwrap_or_default()).filter(|&known| match node.kind() {
                Kind::Bool => !lists(known),
                Kind::String | Kind::Number => !lists(known) && known.place() != Place::Flag,
                Kind::Array => lists(known),
                Kind::Null | Kind::Bytes | Kind::Object => false,
            });
            if let Some(known) = known {
                attributes.known[known as usize] = Some(node);
            }
            attributes.entries.push((node, known));
        }
        attributes.drop_doubles();
        attributes
    }

    fn drop_doubles(&mut self) {
        let entries = &mut self.entries;
        if entries.len() > FEW {
            let mut seen = HashSet::new();
            let last: Vec<bool> = entries.iter().rev().map(|(node, _)| seen.insert(node.key())).collect();
            let mut last = last.into_iter().rev();
            entries.retain(|_| last.next().unwrap_or(true));
            return;
        }
        let mut at = 0;
        while at < entries.len() {
            let key = entries[at].0.key();
            if entries[at + 1..].iter().any(|(later, _)| later.key() == key) {
                entries.remove(at);
            } else {
                at += 1;
            }
        }
    }

    pub(super) fn get(&self, known: Known) -> Option<NodeRef<'a>> {
        self.known[known as usize]
    }

    pub(super) fn has(&self, known: Known) -> bool {
        self.get(known).is_some()
    }

    pub(super) fn text(&self, known: Known) -> Option<Cow<'a, str>> {
        text_of(self.get(known)?)
    }

    /// The first of these that says something.
    pub(super) fn first_text(&self, ranks: &[Known]) -> Option<Cow<'a, str>> {
        ranks.iter().find_map(|&known| self.text(known))
    }

    pub(super) fn is(&self, known: Known, text: &str) -> bool {
        self.get(known).is_some_and(|node| node.str_eq(text))
    }

    /// A boolean.
    pub(super) fn flag(&self, known: Known) -> Option<bool> {
        self.get(known)?.as_bool()
    }

    /// A whole number, or a text that is one.
    pub(super) fn integer(&self, known: Known) -> Option<i64> {
        let node = self.get(known)?;
        node.as_i64().or_else(|| node.as_str()?.parse().ok())
    }
}
