//! The settings of the `xray` output.

use std::collections::HashSet;

use suiro_sdk::aws::{AccountSettings, client_settings};
use suiro_sdk::http::ClientSettings;
use suiro_sdk::settings::{Reported, Section};

use super::cloud::RESOURCE;

/// The settings.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) account: AccountSettings,
    pub(super) client: ClientSettings,
    pub(super) rules: Rules,
}

/// How documents are made.
#[derive(Clone, Debug, Default)]
pub(super) struct Rules {
    annotations: Annotations,
    /// Where the services' logs are, if a resource does not say.
    pub(super) log_groups: Vec<String>,
}

/// Which attributes are annotations.
#[derive(Clone, Debug)]
enum Annotations {
    All,
    Listed { span: HashSet<String>, resource: HashSet<String> },
}

// === impl Settings ===

impl Settings {
    pub(super) fn read(settings: &Section) -> Result<Settings, Reported> {
        let account = AccountSettings::read(settings);
        let client = client_settings(settings, false);
        let annotations = Annotations::read(settings);
        let log_groups = settings.list::<String>("log_groups");
        settings.finish()?;
        Ok(Settings { account: account?, client: client?, rules: Rules { annotations: annotations?, log_groups } })
    }
}

// === impl Rules ===

impl Rules {
    /// Whether all attributes are annotations that can be.
    pub(super) fn annotates_all(&self) -> bool {
        matches!(self.annotations, Annotations::All)
    }

    /// Whether an attribute of a span is named.
    pub(super) fn annotates(&self, key: &str) -> bool {
        match &self.annotations {
            Annotations::All => false,
            Annotations::Listed { span, .. } => !span.is_empty() && span.contains(key),
        }
    }

    /// Whether an attribute of a resource is one.
    pub(super) fn annotates_resource(&self, key: &str) -> bool {
        match &self.annotations {
            Annotations::All => true,
            Annotations::Listed { resource, .. } => resource.contains(key),
        }
    }
}

// === impl Annotations ===

impl Default for Annotations {
    fn default() -> Self {
        Annotations::Listed { span: HashSet::new(), resource: HashSet::new() }
    }
}

impl Annotations {
    fn read(settings: &Section) -> Result<Annotations, Reported> {
        let Some(value) = settings.value("annotations") else { return Ok(Annotations::default()) };
        if let Some(text) = value.as_str() {
            if text == "all" {
                return Ok(Annotations::All);
            }
            let message = format!("`annotations` is \"all\" or a list of attributes, not {text:?}");
            return Err(value.error(message, format!("for example: annotations = [{text:?}]")));
        }
        let (mut span, mut resource) = (HashSet::new(), HashSet::new());
        for name in value.read::<Vec<String>>()? {
            match name.strip_prefix(RESOURCE) {
                Some(key) => resource.insert(key.to_owned()),
                None => span.insert(name),
            };
        }
        Ok(Annotations::Listed { span, resource })
    }
}
