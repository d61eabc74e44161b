//! Who is asked for credentials.
//!
//! The SDK's own providers, in the order of its default chain: environment, profile (files, SSO, `credential_process`, roles
//! of other profiles), web identity (IRSA), container (ECS, EKS Pod Identity), instance (IMDSv2). The chain is walked here
//! and not by the SDK, whose own says in the end only that nobody had any: we say who failed, and why. As there, one that
//! is not set up passes the question on, and one that is and fails ends it.

use std::error::Error as _;
use std::fmt::{self, Write as _};

use aws_config::ecs::EcsCredentialsProvider;
use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::sts::AssumeRoleProvider;
use aws_config::web_identity_token::WebIdentityTokenCredentialsProvider;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};

use super::error::{AccountError, in_words};
use super::settings::{AccountSettings, AssumeRole, StaticCredentials};
use super::surroundings::{Surroundings, imds_client, profile_name};

/// Who is asked, and in which order.
#[derive(Debug)]
pub(super) struct Providers {
    chain: Chain,
    /// What is done with what they give.
    role: Option<(String, AssumeRoleProvider)>,
}

/// The providers themselves.
#[derive(Clone, Debug)]
struct Chain(Vec<(Name, SharedCredentialsProvider)>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Name {
    Settings,
    Environment,
    Profile(String),
    WebIdentity,
    Container,
    Instance,
}

/// Why nobody had any.
#[derive(Debug)]
struct Nobody(String);

// === impl Providers ===

impl Providers {
    /// Those that the settings allow. Nothing is asked yet.
    pub(super) async fn new(settings: &AccountSettings, surroundings: &Surroundings) -> Self {
        let chain = Chain::new(settings, surroundings);
        let role = match &settings.assume_role {
            Some(role) => Some((role.arn.clone(), assume(role, chain.clone(), surroundings).await)),
            None => None,
        };
        Providers { chain, role }
    }

    /// Asks.
    pub(super) async fn ask(&self) -> Result<Credentials, AccountError> {
        match &self.role {
            None => self.chain.ask().await.map_err(|Nobody(why)| AccountError(why)),
            Some((arn, provider)) => provider.provide_credentials().await.map_err(|error| match nobody(&error) {
                Some(why) => AccountError(format!("{why} (they are to assume the role {arn})")),
                None => AccountError(format!(
                    "the role {arn} can't be assumed: {}; if it was refused, mend `assume_role`, the role's trust policy, or \
                     the permission sts:AssumeRole of who assumes it",
                    in_words(&error)
                )),
            }),
        }
    }
}

async fn assume(role: &AssumeRole, chain: Chain, surroundings: &Surroundings) -> AssumeRoleProvider {
    let mut builder = AssumeRoleProvider::builder(&role.arn).session_name(&role.session_name);
    // The account's `endpoint` is the service's; STS has its own, or that of the environment.
    builder = builder.configure(&surroundings.sdk);
    if let Some(id) = &role.external_id {
        builder = builder.external_id(id);
    }
    builder.build_from_provider(chain).await
}

/// What our own chain said, if it is that which failed inside a provider of the SDK's.
fn nobody<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a str> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(Nobody(why)) = error.downcast_ref() {
            return Some(why);
        }
        next = error.source();
    }
    None
}

// === impl Chain ===

impl Chain {
    fn new(settings: &AccountSettings, surroundings: &Surroundings) -> Self {
        let config = &surroundings.providers;
        if let Some(credentials) = &settings.credentials {
            return Chain(vec![(Name::Settings, SharedCredentialsProvider::new(given(credentials)))]);
        }
        let name = profile_name(settings);
        // Always by name: without one, what `config` once read of the files would be asked, and not the files.
        let profile = ProfileFileCredentialsProvider::builder().configure(config).profile_name(&name).build();
        let profile = (Name::Profile(name), SharedCredentialsProvider::new(profile));
        if settings.profile.is_some() {
            return Chain(vec![profile]);
        }
        let environment = EnvironmentVariableCredentialsProvider::new();
        let web_identity = WebIdentityTokenCredentialsProvider::builder().configure(config).build();
        let container = EcsCredentialsProvider::builder().configure(config).build();
        let instance = ImdsCredentialsProvider::builder().configure(config).imds_client(imds_client(config)).build();
        Chain(vec![
            (Name::Environment, SharedCredentialsProvider::new(environment)),
            profile,
            (Name::WebIdentity, SharedCredentialsProvider::new(web_identity)),
            (Name::Container, SharedCredentialsProvider::new(container)),
            (Name::Instance, SharedCredentialsProvider::new(instance)),
        ])
    }

    async fn ask(&self) -> Result<Credentials, Nobody> {
        let mut failures = String::new();
        for (name, provider) in &self.0 {
            let error = match provider.provide_credentials().await {
                Ok(credentials) => return Ok(credentials),
                Err(error) => error,
            };
            let not_set_up = matches!(error, CredentialsError::CredentialsNotLoaded(_));
            let why =
                if not_set_up { name.why_not(&error).unwrap_or_else(|| in_words(&error)) } else { in_words(&error) };
            let separator = if failures.is_empty() { "" } else { "; " };
            let _ = write!(failures, "{separator}{name}: {why}");
            if !not_set_up {
                return Err(Nobody(format!("no credentials: {failures}; mend {}", name.remedy())));
            }
        }
        let remedy = match &self.0[..] {
            [(name, _)] => format!("mend {}", name.remedy()),
            _ => "set `credentials` or `profile`, or give the task or instance a role".to_owned(),
        };
        Err(Nobody(format!("no credentials: {failures}; {remedy}")))
    }
}

impl ProvideCredentials for Chain {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async { self.ask().await.map_err(CredentialsError::provider_error) })
    }
}

fn given(credentials: &StaticCredentials) -> Credentials {
    let mut builder = Credentials::builder()
        .access_key_id(credentials.access_key_id.expose())
        .secret_access_key(credentials.secret_access_key.expose())
        .provider_name("settings");
    builder.set_session_token(credentials.session_token.as_ref().map(|token| token.expose().to_owned()));
    builder.build()
}

// === impl Name ===

impl Name {
    /// Why one that is not set up is not: the SDK's own words name no variable.
    fn why_not(&self, error: &CredentialsError) -> Option<String> {
        let unset = |name: &str| std::env::var(name).map_or(true, |value| value.trim().is_empty());
        match self {
            Name::Environment => {
                let missing = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"].into_iter().find(|name| unset(name))?;
                Some(format!("{missing} is not set"))
            }
            Name::Profile(_) if error.source().is_none() => {
                Some("it is not in ~/.aws/config and ~/.aws/credentials, or has no credentials".to_owned())
            }
            Name::WebIdentity => {
                let missing = ["AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN"].into_iter().find(|name| unset(name))?;
                Some(format!("{missing} is not set"))
            }
            Name::Container => Some(
                "neither AWS_CONTAINER_CREDENTIALS_RELATIVE_URI nor AWS_CONTAINER_CREDENTIALS_FULL_URI is set"
                    .to_owned(),
            ),
            Name::Settings | Name::Profile(_) | Name::Instance => None,
        }
    }

    /// What mends one that is set up and fails.
    fn remedy(&self) -> &'static str {
        match self {
            Name::Settings => "`credentials`",
            Name::Environment => "the variables, or set `credentials`",
            Name::Profile(_) => "the profile in ~/.aws/config or ~/.aws/credentials, or set `profile`",
            Name::WebIdentity => {
                "AWS_WEB_IDENTITY_TOKEN_FILE, the service account's role or its trust policy, or set `credentials`"
            }
            Name::Container => "the role of the task or pod, or set `credentials`",
            Name::Instance => "the instance's role, or set `credentials`",
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Name::Settings => f.write_str("settings"),
            Name::Environment => f.write_str("environment"),
            Name::Profile(name) => write!(f, "profile `{name}`"),
            Name::WebIdentity => f.write_str("web identity"),
            Name::Container => f.write_str("container (ECS, EKS)"),
            Name::Instance => f.write_str("instance (IMDS)"),
        }
    }
}

impl fmt::Display for Nobody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Nobody {}
