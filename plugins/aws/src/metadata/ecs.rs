//! `ecs`: the task, as the metadata endpoint (version 4) tells of it, and a container of it.

use serde::Deserialize;
use suiro_record::Value;
use suiro_sdk::FilterFactory;
use suiro_sdk::aws::Method;
use suiro_sdk::settings::{Reported, Section};

use super::asker::Asker;
use super::filter::Metadata;
use super::keeper::{Ask, Asking};
use super::settings::{Service, Settings, local_endpoint};
use super::surroundings::Surroundings;
use super::{Found, Trouble};

/// Where the container finds the endpoint.
const VARIABLE: &str = "ECS_CONTAINER_METADATA_URI_V4";

/// The task.
pub(super) struct Task {
    pub(super) service: Service,
    pub(super) container: Option<Which>,
    pub(super) surroundings: Surroundings,
}

/// Which container records are of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Which {
    /// The agent's own.
    Own,
    /// One by name.
    Named(String),
}

/// `/task`
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Description {
    cluster: Option<String>,
    #[serde(rename = "TaskARN")]
    task_arn: Option<String>,
    family: Option<String>,
    revision: Option<String>,
    launch_type: Option<String>,
    availability_zone: Option<String>,
    service_name: Option<String>,
    containers: Vec<Container>,
}

/// A container of a task.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Container {
    docker_id: Option<String>,
    name: Option<String>,
    image: Option<String>,
    #[serde(rename = "ContainerARN")]
    container_arn: Option<String>,
    log_options: Option<LogOptions>,
}

/// Of the driver `awslogs`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct LogOptions {
    #[serde(rename = "awslogs-group")]
    group: Option<String>,
    #[serde(rename = "awslogs-stream")]
    stream: Option<String>,
}

/// Parts of an ARN: `arn:aws:ecs:REGION:ACCOUNT:RESOURCE`.
struct Arn<'a> {
    head: &'a str,
    region: &'a str,
    account: &'a str,
    resource: &'a str,
}

/// Reads the settings.
pub(super) fn build(settings: &Section) -> Result<Box<dyn FilterFactory>, Reported> {
    let (own, service) = Settings::read_asking(settings);
    let container = settings.get::<String>("container").map(|name| match &*name {
        "self" => Which::Own,
        _ => Which::Named(name),
    });
    settings.finish()?;
    Ok(Metadata::boxed(Task { service, container, surroundings: Surroundings::real() }, own))
}

// === impl Task ===

impl Task {
    async fn find(&self) -> Result<Found, Trouble> {
        let endpoint = match (&self.service.endpoint, self.surroundings.variable(VARIABLE)) {
            (Some(endpoint), _) => endpoint.clone(),
            (None, Some(text)) => local_endpoint(&text).map_err(Trouble::Lasting)?,
            (None, None) => {
                let why = format!("{VARIABLE} is not set: does the agent run in a task of ECS?");
                return Err(Trouble::Lasting(why));
            }
        };
        let asker = Asker::new(endpoint, self.service.timeout)?;
        let text = asker.ask(Method::GET, "/task", None).await?.ok_or("/task: there is no such task (404)")?;
        let task: Description = serde_json::from_str(&text).map_err(|error| format!("/task: {error}"))?;
        let mut found = Found::on("aws_ecs");
        add_task(&mut found, &task);
        match &self.container {
            None => {}
            Some(Which::Own) => {
                let text = asker.ask(Method::GET, "", None).await?.ok_or("there is no such container (404)")?;
                let own: Container = serde_json::from_str(&text).map_err(|error| format!("the container: {error}"))?;
                add_container(&mut found, &own);
            }
            Some(Which::Named(name)) => match task.containers.iter().find(|one| one.name.as_ref() == Some(name)) {
                Some(one) => add_container(&mut found, one),
                // It may start behind the agent.
                None => found.miss(format!("the task has no container `{name}` (`container`), or not yet")),
            },
        }
        Ok(found)
    }
}

impl Ask for Task {
    fn ask(&self) -> Asking<'_> {
        Box::pin(self.find())
    }
}

fn add_task(found: &mut Found, task: &Description) {
    let arn = task.task_arn.as_deref().and_then(Arn::read);
    if let Some(arn) = &arn {
        found.add("cloud.account.id", arn.account);
        found.add("cloud.region", arn.region);
    }
    found.add_some("cloud.availability_zone", task.availability_zone.as_deref());
    if let Some(cluster) = task.cluster.as_deref() {
        match &arn {
            // On instances it is a name.
            Some(arn) if Arn::read(cluster).is_none() => {
                let Arn { head, region, account, .. } = arn;
                found.add("aws.ecs.cluster.arn", &format!("{head}:{region}:{account}:cluster/{cluster}"));
            }
            _ => found.add("aws.ecs.cluster.arn", cluster),
        }
    }
    found.add_some("aws.ecs.task.arn", task.task_arn.as_deref());
    found.add_some("aws.ecs.task.id", arn.as_ref().and_then(|arn| arn.resource.rsplit('/').next()));
    found.add_some("aws.ecs.task.family", task.family.as_deref());
    found.add_some("aws.ecs.task.revision", task.revision.as_deref());
    found.add_some("aws.ecs.launchtype", task.launch_type.as_deref().map(str::to_ascii_lowercase).as_deref());
    found.add_some("aws.ecs.service.name", task.service_name.as_deref());
}

fn add_container(found: &mut Found, container: &Container) {
    found.add_some("container.name", container.name.as_deref());
    found.add_some("container.id", container.docker_id.as_deref());
    found.add_some("container.image.name", container.image.as_deref());
    found.add_some("aws.ecs.container.arn", container.container_arn.as_deref());
    let Some(LogOptions { group, stream }) = &container.log_options else { return };
    // Conventions have lists here: a container may have several.
    for (name, value) in [("aws.log.group.names", group), ("aws.log.stream.names", stream)] {
        if let Some(value) = value.as_deref().filter(|value| super::is_value(value)) {
            found.facts.push((name.to_owned(), Value::Array(vec![value.into()])));
        }
    }
}

// === impl Arn ===

impl<'a> Arn<'a> {
    fn read(text: &'a str) -> Option<Arn<'a>> {
        let mut parts = text.splitn(6, ':');
        let (arn, partition, service) = (parts.next()?, parts.next()?, parts.next()?);
        let (region, account, resource) = (parts.next()?, parts.next()?, parts.next()?);
        let head = text.get(..arn.len() + partition.len() + service.len() + 2)?;
        (arn == "arn").then_some(Arn { head, region, account, resource })
    }
}
