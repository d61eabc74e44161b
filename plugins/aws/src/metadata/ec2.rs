//! `ec2`: the instance, as its metadata service tells of it.

use suiro_sdk::FilterFactory;
use suiro_sdk::http::Endpoint;
use suiro_sdk::lang::Glob;
use suiro_sdk::settings::{Reported, Section};

use super::asker::Asker;
use super::filter::Metadata;
use super::imds::{ADDRESS, Identity, Imds};
use super::keeper::{Ask, Asking};
use super::settings::{Service, Settings};
use super::{Found, Trouble};

/// Tags that are taken, at most: as many as an instance can have.
const MAX_TAGS: usize = 50;

/// The instance.
pub(super) struct Instance {
    pub(super) service: Service,
    /// Tags that are wanted.
    pub(super) tags: Vec<Glob>,
}

/// Reads the settings.
pub(super) fn build(settings: &Section) -> Result<Box<dyn FilterFactory>, Reported> {
    let (own, service) = Settings::read_asking(settings);
    let tags = settings.list::<Glob>("tags");
    settings.finish()?;
    Ok(Metadata::boxed(Instance { service, tags }, own))
}

/// Where the instance's metadata service is asked.
pub(super) fn asker(service: &Service) -> Result<Asker, String> {
    let endpoint = match &service.endpoint {
        Some(endpoint) => endpoint.clone(),
        None => Endpoint::parse(ADDRESS).map_err(|(why, _)| why)?,
    };
    Asker::new(endpoint, service.timeout)
}

/// What the identity document says of the host and where it stands.
pub(super) fn add_identity(found: &mut Found, identity: &Identity) {
    found.add_some("cloud.account.id", identity.account_id.as_deref());
    found.add_some("cloud.region", identity.region.as_deref());
    found.add_some("cloud.availability_zone", identity.availability_zone.as_deref());
    found.add_some("host.id", identity.instance_id.as_deref());
    found.add_some("host.type", identity.instance_type.as_deref());
    found.add_some("host.image.id", identity.image_id.as_deref());
    let arch = identity.architecture.as_deref().map(|arch| match arch {
        "x86_64" => "amd64",
        "i386" => "x86",
        other => other,
    });
    found.add_some("host.arch", arch);
}

// === impl Instance ===

impl Instance {
    async fn find(&self) -> Result<Found, Trouble> {
        let asker = asker(&self.service)?;
        let imds = Imds::open(&asker).await?;
        let mut found = Found::on("aws_ec2");
        add_identity(&mut found, &imds.identity().await?);
        found.add_some("host.name", imds.get("/latest/meta-data/hostname").await?.as_deref());
        if self.tags.is_empty() {
            return Ok(found);
        }
        let Some(tags) = imds.tags().await? else {
            found.miss("the instance does not show its tags: allow tags in instance metadata, or leave `tags` out");
            return Ok(found);
        };
        let wanted = tags.iter().filter(|name| self.tags.iter().any(|pattern| pattern.matches(name)));
        for name in wanted.take(MAX_TAGS) {
            found.add_some(&format!("ec2.tag.{name}"), imds.tag(name).await?.as_deref());
        }
        Ok(found)
    }
}

impl Ask for Instance {
    fn ask(&self) -> Asking<'_> {
        Box::pin(self.find())
    }
}
