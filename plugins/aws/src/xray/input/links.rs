//! Links to other traces.

use suiro_record::{Assembly, EditError, Key, Kind, NodeRef};

use super::map::LazyMap;
use crate::xray::ids::{SegmentId, TraceId};

/// Writes `links`. One without the ids of a segment leads nowhere, and is left out.
pub(crate) fn write(record: &mut Assembly<'_>, links: NodeRef<'_>) -> Result<(), EditError> {
    let mut found = links.children().filter_map(ids).peekable();
    if links.kind() != Kind::Array || found.peek().is_none() {
        return Ok(());
    }
    record.open_list(Key::Name("links"))?;
    for (link, trace, span) in found {
        record.open_map(Key::Item)?;
        record.put_text(Key::Name("trace_id"), trace.digits().as_str())?;
        record.put_text(Key::Name("span_id"), span.digits().as_str())?;
        let attributes = link.children().filter(|member| member.key() == Some("attributes"));
        let mut map = LazyMap::new(record, "attributes");
        for member in attributes.flat_map(NodeRef::children).filter(|member| member.key().is_some()) {
            map.rest("", member)?;
        }
        map.close();
        record.close();
    }
    record.close();
    Ok(())
}

fn ids(link: NodeRef<'_>) -> Option<(NodeRef<'_>, TraceId, SegmentId)> {
    let text = |name: &str| link.children().find(|member| member.key() == Some(name))?.as_str();
    Some((link, TraceId::parse(&text("trace_id")?)?, SegmentId::parse(&text("id")?)?))
}
