//! `lambda`: the function, as its environment tells of it.

use suiro_record::Value;
use suiro_sdk::FilterFactory;
use suiro_sdk::settings::{Reported, Section};

use super::filter::Metadata;
use super::keeper::{Ask, Asking};
use super::settings::Settings;
use super::surroundings::Surroundings;
use super::{Found, Trouble, is_value};

/// The function.
pub(super) struct Function {
    pub(super) surroundings: Surroundings,
}

/// Reads the settings.
pub(super) fn build(settings: &Section) -> Result<Box<dyn FilterFactory>, Reported> {
    let own = Settings::read(settings);
    settings.finish()?;
    Ok(Metadata::boxed(Function { surroundings: Surroundings::real() }, own))
}

// === impl Function ===

impl Function {
    fn find(&self) -> Result<Found, Trouble> {
        let around = &self.surroundings;
        let name = around.variable("AWS_LAMBDA_FUNCTION_NAME");
        let Some(name) = name else {
            let why = "AWS_LAMBDA_FUNCTION_NAME is not set: does the agent run in a function of Lambda?";
            return Err(Trouble::Lasting(why.to_owned()));
        };
        let mut found = Found::on("aws_lambda");
        found.add_some("cloud.region", around.first(&["AWS_REGION", "AWS_DEFAULT_REGION"]).as_deref());
        found.add("faas.name", &name);
        found.add_some("faas.version", around.variable("AWS_LAMBDA_FUNCTION_VERSION").as_deref());
        let stream = around.variable("AWS_LAMBDA_LOG_STREAM_NAME");
        found.add_some("faas.instance", stream.as_deref());
        let megabytes = around.variable("AWS_LAMBDA_FUNCTION_MEMORY_SIZE").and_then(|size| size.parse::<i64>().ok());
        if let Some(bytes) = megabytes.and_then(|megabytes| megabytes.checked_mul(1 << 20)) {
            found.facts.push(("faas.max_memory".to_owned(), Value::Int(bytes)));
        }
        let group = around.variable("AWS_LAMBDA_LOG_GROUP_NAME");
        for (name, value) in [("aws.log.group.names", group), ("aws.log.stream.names", stream)] {
            if let Some(value) = value.filter(|value| is_value(value)) {
                found.facts.push((name.to_owned(), Value::Array(vec![Value::Str(value)])));
            }
        }
        Ok(found)
    }
}

impl Ask for Function {
    fn ask(&self) -> Asking<'_> {
        Box::pin(std::future::ready(self.find()))
    }
}
