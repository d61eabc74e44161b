//! The filters `ec2`, `ecs`, `eks` and `lambda`: what is known of where the agent runs, as attributes of the resource.
//!
//! # Constraints
//!
//! - A worker never waits for metadata. A thread of the filter's own asks when the pipeline is built, which waits for the first
//!   answer for `wait` at most. Records that come before there is one go on as they are: counted as `failed`, in
//!   `suiro_metadata_missing_records_total`, and health says degraded. It asks again until it knows, then every `refresh`.
//! - Requests go to the setting `endpoint`, or to the link-local addresses of the metadata services. An address from the
//!   environment is taken only if it is link-local or the loopback. No redirect is followed, no proxy used; answers are
//!   bounded in size and time, and values are short texts without control characters, or none.
//! - Of instances only version 2 is asked (a token first): what can be made to GET a URL can't read it.
//! - Attributes that are there already stay, unless `override` is set: a record that came from elsewhere knows better where it
//!   is from.
//!
//! Records that shared a scope share one afterwards, also with those of batches before.

mod asker;
mod ec2;
mod ecs;
mod eks;
mod filter;
mod imds;
mod keeper;
mod lambda;
mod settings;
mod surroundings;

#[cfg(test)]
mod tests;

use suiro_record::{Attributes, Value};

/// Adds the filters.
pub(crate) fn register(registry: &mut suiro_sdk::Registry) {
    registry.filter("ec2", "adds what the EC2 instance says of itself to the resource", ec2::build);
    registry.filter("ecs", "adds what the ECS task says of itself to the resource", ecs::build);
    registry.filter("eks", "adds what is known of the EKS cluster and node to the resource", eks::build);
    registry.filter("lambda", "adds what is known of the Lambda function to the resource", lambda::build);
}

/// Longest value that is taken, bytes.
const MAX_VALUE: usize = 1024;

/// What was found out.
#[derive(Debug, Default, PartialEq)]
struct Found {
    facts: Attributes,
    /// What could not be, and what mends it.
    missing: Option<String>,
}

/// Why nothing was found.
#[derive(Debug, PartialEq, Eq)]
enum Trouble {
    /// It is worth asking again.
    Passing(String),
    /// It is not: the environment does not change.
    Lasting(String),
}

// === impl Trouble ===

impl From<String> for Trouble {
    fn from(why: String) -> Trouble {
        Trouble::Passing(why)
    }
}

impl From<&str> for Trouble {
    fn from(why: &str) -> Trouble {
        Trouble::Passing(why.to_owned())
    }
}

// === impl Found ===

impl Found {
    /// Of AWS's platform `platform`.
    fn on(platform: &str) -> Found {
        let mut found = Found::default();
        found.add("cloud.provider", "aws");
        found.add("cloud.platform", platform);
        found
    }

    /// Adds a fact. A value that can't be one is not known.
    fn add(&mut self, name: &str, value: &str) {
        if is_value(value) && !self.facts.iter().any(|(known, _)| known == name) {
            self.facts.push((name.to_owned(), Value::from(value)));
        }
    }

    /// Adds a fact that may not be known.
    fn add_some(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.add(name, value);
        }
    }

    /// Takes note of what could not be had.
    fn miss(&mut self, why: impl Into<String>) {
        self.missing.get_or_insert(why.into());
    }
}

fn is_value(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_VALUE && !text.chars().any(char::is_control)
}
