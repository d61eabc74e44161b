//! `eks`: the cluster, the node and, where records are of the agent's own pod, the pod.

use suiro_sdk::FilterFactory;
use suiro_sdk::settings::{Reported, Section};

use super::ec2::{add_identity, asker};
use super::filter::Metadata;
use super::imds::Imds;
use super::keeper::{Ask, Asking};
use super::settings::{Service, Settings};
use super::surroundings::Surroundings;
use super::{Found, Trouble};

/// Tags that say which cluster a node is of.
const CLUSTER_TAGS: [&str; 2] = ["aws:eks:cluster-name", "eks:cluster-name"];
/// What is before the cluster's name in the name of a tag.
const CLUSTER_PREFIX: &str = "kubernetes.io/cluster/";

/// The cluster.
pub(super) struct Cluster {
    pub(super) service: Service,
    /// Its name, where it is known.
    pub(super) name: Option<String>,
    /// The instance's metadata service is asked.
    pub(super) instance: bool,
    /// Records are of the agent's own pod.
    pub(super) pod: bool,
    pub(super) surroundings: Surroundings,
}

/// Reads the settings.
pub(super) fn build(settings: &Section) -> Result<Box<dyn FilterFactory>, Reported> {
    let (own, service) = Settings::read_asking(settings);
    let name = settings.get::<String>("cluster");
    let instance = settings.or("instance", true);
    let pod = settings.flag("pod");
    if !instance && service.endpoint.is_some() {
        settings.error_at(
            "endpoint",
            "nothing is asked of `endpoint` where `instance` is false",
            "leave one of them out",
        );
    }
    settings.finish()?;
    Ok(Metadata::boxed(Cluster { service, name, instance, pod, surroundings: Surroundings::real() }, own))
}

// === impl Cluster ===

impl Cluster {
    async fn find(&self) -> Result<Found, Trouble> {
        let mut found = Found::on("aws_eks");
        let around = &self.surroundings;
        found.add_some("k8s.cluster.name", self.name.as_deref());
        found.add_some("k8s.node.name", around.first(&["NODE_NAME", "K8S_NODE_NAME"]).as_deref());
        if self.pod {
            let namespace = around.first(&["POD_NAMESPACE", "K8S_NAMESPACE"]).or_else(|| around.namespace());
            found.add_some("k8s.namespace.name", namespace.as_deref());
            found.add_some("k8s.pod.name", around.first(&["POD_NAME", "K8S_POD_NAME", "HOSTNAME"]).as_deref());
            found.add_some("k8s.pod.uid", around.first(&["POD_UID", "K8S_POD_UID"]).as_deref());
        }
        // What a service account with a role, or a pod identity, is told.
        found.add_some("cloud.region", around.first(&["AWS_REGION", "AWS_DEFAULT_REGION"]).as_deref());
        let role = around.variable("AWS_ROLE_ARN");
        found.add_some("cloud.account.id", role.as_deref().and_then(|arn| arn.split(':').nth(4)));
        if self.instance
            && let Err(why) = self.ask_instance(&mut found).await
        {
            found.miss(format!(
                "the node's metadata service does not answer pods ({why}): allow two hops, set hostNetwork, or set \
                 `cluster`, and `instance = false`"
            ));
        }
        if !found.facts.iter().any(|(name, _)| name == "k8s.cluster.name") {
            found.miss("the name of the cluster is not known: set `cluster`");
        }
        Ok(found)
    }

    async fn ask_instance(&self, found: &mut Found) -> Result<(), String> {
        let asker = asker(&self.service)?;
        let imds = Imds::open(&asker).await?;
        add_identity(found, &imds.identity().await?);
        if self.name.is_some() {
            return Ok(());
        }
        for tag in imds.tags().await?.unwrap_or_default() {
            if let Some(name) = tag.strip_prefix(CLUSTER_PREFIX) {
                found.add("k8s.cluster.name", name);
            } else if CLUSTER_TAGS.contains(&tag.as_str()) {
                found.add_some("k8s.cluster.name", imds.tag(&tag).await?.as_deref());
            }
        }
        Ok(())
    }
}

impl Ask for Cluster {
    fn ask(&self) -> Asking<'_> {
        Box::pin(self.find())
    }
}
