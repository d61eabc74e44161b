//! What a segment says as attributes of a span; the table is in the module of the input.

use suiro_record::{Assembly, EditError, Kind, NodeRef, Piece};

use super::map::LazyMap;
use super::resource;
use super::segment::{Segment, WentWrong};

type Result<T> = std::result::Result<T, EditError>;
type Map<'r, 'b> = LazyMap<'r, 'b>;

/// Writes `attributes`.
pub(crate) fn write(record: &mut Assembly<'_>, segment: &Segment<'_>) -> Result<()> {
    let members = &segment.members;
    let mut map = Map::new(record, "attributes");
    let is_aws = segment.namespace.as_deref() == Some("aws");
    match segment.namespace.as_deref() {
        Some("aws") => {
            map.text("rpc.system", "aws-api")?;
            map.text("rpc.service", &segment.name)?;
        }
        Some("remote") => map.text("peer.service", &segment.name)?,
        Some(other) => map.text("aws.xray.namespace", other)?,
        None => {}
    }
    if let Some(node) = members.http {
        http(&mut map, node)?;
    }
    if let Some(node) = members.aws {
        aws(&mut map, node, segment.is_subsegment, is_aws)?;
    }
    if let Some(node) = members.sql {
        sql(&mut map, node, &segment.name)?;
    }
    if let Some(user) = members.user {
        map.value("enduser.id", user)?;
    }
    if segment.end.is_none() {
        map.put("aws.xray.inprogress", Piece::Bool(true))?;
    }
    went_wrong(&mut map, segment)?;
    if let Some(node) = members.cause {
        cause(&mut map, node)?;
    }
    if let Some(ids) = members.precursor_ids {
        map.texts("aws.xray.precursor_ids", ids)?;
    }
    if let Some(node) = members.annotations {
        annotations(&mut map, node)?;
    }
    if let Some(node) = members.metadata {
        metadata(&mut map, node)?;
    }
    if segment.is_subsegment {
        for (key, node) in [("aws.xray.origin", members.origin), ("aws.xray.service", members.service)] {
            if let Some(node) = node {
                map.value(key, node)?;
            }
        }
    }
    for member in &members.others {
        map.rest("aws.xray.", *member)?;
    }
    map.close();
    Ok(())
}

fn http(map: &mut Map<'_, '_>, http: NodeRef<'_>) -> Result<()> {
    for part in http.children() {
        match (part.key().unwrap_or_default(), part.kind()) {
            ("request", Kind::Object) => request(map, part)?,
            ("response", Kind::Object) => {
                for member in part.children() {
                    match member.key().unwrap_or_default() {
                        "status" => map.int("http.response.status_code", member)?,
                        "content_length" => map.int("http.response.body.size", member)?,
                        _ => map.rest("aws.xray.http.response.", member)?,
                    }
                }
            }
            _ => map.rest("aws.xray.http.", part)?,
        }
    }
    Ok(())
}

fn request(map: &mut Map<'_, '_>, request: NodeRef<'_>) -> Result<()> {
    let is_forwarded = |member: NodeRef<'_>| member.key() == Some("x_forwarded_for") && member.as_bool() == Some(true);
    let forwarded = request.children().any(is_forwarded);
    for member in request.children() {
        match member.key().unwrap_or_default() {
            "method" => map.value("http.request.method", member)?,
            "url" => map.value("url.full", member)?,
            "user_agent" => map.value("user_agent.original", member)?,
            "client_ip" => {
                map.value("client.address", member)?;
                if !forwarded {
                    // Nobody in between: the client is who the connection was with.
                    map.value("network.peer.address", member)?;
                }
            }
            "x_forwarded_for" => {}
            "traced" => map.value("aws.xray.traced", member)?,
            _ => map.rest("aws.xray.http.request.", member)?,
        }
    }
    Ok(())
}

fn aws(map: &mut Map<'_, '_>, aws: NodeRef<'_>, is_subsegment: bool, is_aws: bool) -> Result<()> {
    for member in aws.children() {
        match member.key().unwrap_or_default() {
            "operation" if is_aws => map.value("rpc.method", member)?,
            "retries" => map.value("aws.xray.retries", member)?,
            "xray" if !is_subsegment => {
                for member in member.children().filter(|member| member.key() == Some("sampling_rule_name")) {
                    map.rest("aws.xray.", member)?;
                }
            }
            key if !is_subsegment && resource::OF_AWS.contains(&key) => {}
            // `operation`, `region`, `request_id`, `queue_url`, `table_name`, and what else SDKs know of a call.
            _ => map.rest("aws.", member)?,
        }
    }
    Ok(())
}

fn sql(map: &mut Map<'_, '_>, sql: NodeRef<'_>, name: &str) -> Result<()> {
    let has_connection = sql.children().any(|member| member.key() == Some("connection_string"));
    for member in sql.children() {
        match member.key().unwrap_or_default() {
            "connection_string" => connection(map, member)?,
            "url" if !has_connection => connection(map, member)?,
            // That is what stands there where a span was made a segment: it says nothing new.
            "url" if member.str_eq(name) => {}
            "database_type" => match member.as_str() {
                Some(text) => map.text("db.system", &system(&text))?,
                None => map.value("db.system", member)?,
            },
            "sanitized_query" => map.value("db.statement", member)?,
            "user" => map.value("db.user", member)?,
            _ => map.rest("aws.xray.sql.", member)?,
        }
    }
    Ok(())
}

/// `jdbc:postgresql://host:5432/db`: where, and which database.
fn connection(map: &mut Map<'_, '_>, member: NodeRef<'_>) -> Result<()> {
    let Some(text) = member.as_str() else { return map.value("db.connection_string", member) };
    match text.rsplit_once('/') {
        Some((connection, name)) if !name.is_empty() && !connection.is_empty() && !connection.ends_with('/') => {
            map.text("db.connection_string", connection)?;
            map.text("db.name", name)
        }
        _ => map.text("db.connection_string", &text),
    }
}

/// A database's name by the conventions: theirs are in lower case, and JDBC's product names are not.
fn system(database: &str) -> String {
    let name = database.to_lowercase();
    match name.as_str() {
        "microsoft sql server" | "sql server" | "sqlserver" => "mssql".to_owned(),
        "postgres" => "postgresql".to_owned(),
        _ => name,
    }
}

/// What the status of HTTP, or that something went wrong, does not say already.
fn went_wrong(map: &mut Map<'_, '_>, segment: &Segment<'_>) -> Result<()> {
    let (found, implied) = (segment.went_wrong, implied(segment));
    if found == implied {
        return Ok(());
    }
    // If none is set, that has to be said of what would be taken for one.
    let nothing = found == WentWrong::default();
    for (key, is_set, is_implied) in [
        ("aws.xray.fault", found.fault, implied.fault),
        ("aws.xray.error", found.error, implied.error),
        ("aws.xray.throttle", found.throttle, implied.throttle),
    ] {
        if is_set || (nothing && is_implied) {
            map.put(key, Piece::Bool(is_set))?;
        }
    }
    Ok(())
}

/// What X-Ray's exporters make of the span: by the status of HTTP, else a fault if its status is an error.
fn implied(segment: &Segment<'_>) -> WentWrong {
    let status = segment.members.http.and_then(|http| {
        let response = http.children().find(|member| member.key() == Some("response"))?;
        response.children().find(|member| member.key() == Some("status"))?.as_i64()
    });
    let is_error = segment.is_error();
    match status {
        Some(429) => WentWrong { error: true, throttle: true, fault: false },
        Some(400..=499) => WentWrong { error: true, ..WentWrong::default() },
        Some(500..=599) => WentWrong { fault: true, ..WentWrong::default() },
        _ => WentWrong { fault: is_error, ..WentWrong::default() },
    }
}

/// What a cause has beside its exceptions, which are events.
fn cause(map: &mut Map<'_, '_>, cause: NodeRef<'_>) -> Result<()> {
    if cause.kind() != Kind::Object {
        // The id of an exception elsewhere in the trace.
        return map.value("aws.xray.cause", cause);
    }
    for member in cause.children() {
        match member.key().unwrap_or_default() {
            "exceptions" if member.kind() == Kind::Array => {}
            "paths" => map.texts("aws.xray.cause.paths", member)?,
            _ => map.rest("aws.xray.cause.", member)?,
        }
    }
    Ok(())
}

/// Each is an attribute, and their names are listed.
fn annotations(map: &mut Map<'_, '_>, annotations: NodeRef<'_>) -> Result<()> {
    if annotations.kind() != Kind::Object {
        return map.value("aws.xray.annotations", annotations);
    }
    let there = || annotations.children().filter(|member| !member.is_null());
    if there().next().is_none() {
        return Ok(());
    }
    for member in there() {
        map.rest("", member)?;
    }
    map.list("aws.xray.annotations", there().filter_map(NodeRef::key))
}

/// One attribute for each namespace, JSON as a text: exact, whatever is in it.
fn metadata(map: &mut Map<'_, '_>, metadata: NodeRef<'_>) -> Result<()> {
    if metadata.kind() != Kind::Object {
        return map.value("aws.xray.metadata", metadata);
    }
    for member in metadata.children() {
        map.json(&format!("aws.xray.metadata.{}", member.key().unwrap_or_default()), member)?;
    }
    Ok(())
}
