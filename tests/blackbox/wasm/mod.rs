//! WASM filters, run by the agent: what they do to records, and what becomes of records when they fail.

mod fluentbit;
pub(crate) mod guests;
mod hostile;
mod remote;
mod works;

use suiro_test_servers::Elasticsearch;

use crate::agent::Site;
use crate::records::{TAIL_JSON, elasticsearch};

/// A pipeline through a guest given as text, to a server.
pub(crate) fn site(guest: &str, settings: &str, server: &Elasticsearch) -> Site {
    let filter = format!("[[filter]]\nname = 'guest'\ntype = 'wasm'\nmodule = 'guest.wasm'\n{settings}\n");
    let site = Site::new(&format!("{TAIL_JSON}{filter}{}", elasticsearch(server, "")));
    site.write("guest.wasm", compiled(guest));
    site
}

/// A guest as a module.
pub(crate) fn compiled(guest: &str) -> Vec<u8> {
    wat::parse_str(guest).unwrap_or_else(|error| panic!("{error}\n{guest}"))
}
