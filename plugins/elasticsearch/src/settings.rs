//! The settings of the `elasticsearch` output.

use suiro_sdk::http::{ClientSettings, Offer};
use suiro_sdk::lang::{Destination, Template, check};
use suiro_sdk::settings::{Reported, Section, Setting as _, Value};

/// Where documents go if nothing is said. It is a data stream's name: `<type>-<dataset>-<namespace>`.
const DEFAULT_INDEX: &str = "logs-suiro-default";

const OFFER: Offer = Offer { url: "\"http://127.0.0.1:9200\"", several: true, api_key: true, compression: true };

/// The settings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where and how.
    pub client: ClientSettings,
    /// The index or data stream.
    pub index: Destination,
    /// What is asked for.
    pub action: Action,
    /// Ids of documents.
    pub id: Id,
}

/// What the server does with a document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Action {
    /// Writes it if there is none of its id.
    #[default]
    Create,
    /// Writes it, over another of its id.
    Index,
}

/// Which id a document gets.
#[derive(Clone, Debug, Default)]
pub enum Id {
    /// One of the server's.
    #[default]
    Server,
    /// The record's origin.
    Origin,
    /// A template's text.
    Template(Template),
}

// === impl Settings ===

impl Settings {
    /// Reads them.
    pub fn read(settings: &Section) -> Result<Settings, Reported> {
        let client = ClientSettings::read(settings, OFFER);
        let index = match settings.value("index") {
            Some(value) => Destination::read_checked(&value, check::elasticsearch_index),
            None => Destination::parse(DEFAULT_INDEX).map_err(|error| settings.error(error.message, "")),
        };
        let action =
            settings.choice("action", &[("create", Action::Create), ("index", Action::Index)]).unwrap_or_default();
        let id = settings.value("id").map_or(Ok(Id::Server), |value| Id::read(&value));
        let pipeline = settings.get::<String>("pipeline");
        settings.finish()?;
        let mut client = client?.with_path("/_bulk");
        // Positions of the items are kept, and of each only what is looked at is sent.
        client = client.with_query("filter_path", "errors,items.*.status,items.*.error");
        if let Some(pipeline) = pipeline {
            client = client.with_query("pipeline", &pipeline);
        }
        Ok(Settings { client, index: index?, action, id: id? })
    }
}

// === impl Action ===

impl Action {
    /// As it stands in an action line.
    pub fn name(self) -> &'static str {
        match self {
            Action::Create => "create",
            Action::Index => "index",
        }
    }
}

// === impl Id ===

impl Id {
    fn read(value: &Value) -> Result<Id, Reported> {
        if value.as_str() == Some("origin") {
            return Ok(Id::Origin);
        }
        let template = Template::read(value)?;
        if template.is_literal().is_some() {
            let message = "all documents would have the same id";
            return Err(value.error(message, "write \"origin\", or a template such as \"{request.id}\""));
        }
        Ok(Id::Template(template))
    }

    /// Whether the server's answer 409 can only mean that it has the record.
    pub(crate) fn is_ours(&self) -> bool {
        !matches!(self, Id::Server)
    }
}
