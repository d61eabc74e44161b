//! The settings of every block that speaks to AWS, at the block's top level.

use super::partition::is_region;
use crate::http::Endpoint;
use crate::settings::{Reported, Secret, Section};

/// Whose account, and where.
///
/// | setting | default | |
/// | --- | --- | --- |
/// | `region` | `AWS_REGION`, `AWS_DEFAULT_REGION`, the profile's, that of the task or instance | such as `eu-central-1` |
/// | `endpoint` | the service's in that region | a URL that all requests go to instead |
/// | `profile` | | a profile of the shared configuration files: its credentials, and no others |
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
        let endpoint = settings.get::<Endpoint>("endpoint");
        let fips = settings.get::<bool>("fips");
        let dual_stack = settings.get::<bool>("dual_stack");
        let identity = Self::read_identity(settings);
        if endpoint.is_some() {
            for (name, value) in [("fips", fips), ("dual_stack", dual_stack)] {
                if value == Some(true) {
                    let message = format!("`{name}` chooses among AWS's own endpoints, and `endpoint` names another");
                    return Err(settings.error_at(name, message, "leave one of them out"));
                }
            }
        }
        Ok(AccountSettings { endpoint, fips, dual_stack, ..identity? })
    }

    /// Reads who signs and in which region, and not where requests go: `region`, `profile`, `credentials`, `assume_role`.
    pub(super) fn read_identity(settings: &Section) -> Result<Self, Reported> {
        let region = settings.get::<String>("region");
        let profile = settings.get::<String>("profile");
        let credentials = read_credentials(settings);
        let assume_role = read_role(settings);
        if let Some(region) = &region
            && !is_region(region)
        {
            return Err(settings.error_at("region", "this is no region", "for example: region = \"eu-central-1\""));
        }
        if profile.as_ref().is_some_and(String::is_empty) {
            return Err(settings.error_at("profile", "`profile` is empty", "leave it out, or name one"));
        }
        if profile.is_some() && settings.has("credentials") {
            let message = "`profile` and `credentials` both say whose credentials are used";
            return Err(settings.error_at("profile", message, "leave one of them out"));
        }
        let (credentials, assume_role) = (credentials?, assume_role?);
        Ok(AccountSettings { region, profile, assume_role, credentials, ..AccountSettings::default() })
    }
}

fn read_credentials(settings: &Section) -> Result<Option<StaticCredentials>, Reported> {
    let Some(credentials) = settings.section("credentials") else {
        return if settings.has("credentials") {
            Err(settings.error_at("credentials", "`credentials` must be a table", CREDENTIALS))
        } else {
            Ok(None)
        };
    };
    let access_key_id = credentials.require("access_key_id", "{ env = \"AWS_KEY_ID\" }");
    let secret_access_key = credentials.require("secret_access_key", "{ env = \"AWS_KEY\" }");
    let session_token = credentials.get::<Secret>("session_token");
    let unreadable = credentials.has("session_token") && session_token.is_none();
    let (access_key_id, secret_access_key) = (access_key_id?, secret_access_key?);
    if unreadable {
        return Err(credentials.error_at("session_token", "`session_token` can't be used", CREDENTIALS));
    }
    Ok(Some(StaticCredentials { access_key_id, secret_access_key, session_token }))
}

fn read_role(settings: &Section) -> Result<Option<AssumeRole>, Reported> {
    const EXAMPLE: &str = "\"arn:aws:iam::123456789012:role/telemetry\"";
    let Some(role) = settings.section("assume_role") else {
        return if settings.has("assume_role") {
            let help = format!("write assume_role = {{ arn = {EXAMPLE} }}");
            Err(settings.error_at("assume_role", "`assume_role` must be a table", help))
        } else {
            Ok(None)
        };
    };
    let arn = role.require::<String>("arn", EXAMPLE);
    let external_id = role.get::<String>("external_id");
    let session_name = role.or("session_name", "suiro".to_owned());
    let arn = arn?;
    if !(arn.starts_with("arn:") && arn.contains(":role/")) {
        return Err(role.error_at("arn", "this is not the ARN of a role", format!("for example: arn = {EXAMPLE}")));
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
    if !(2..=64).contains(&session_name.len()) || !session_name.chars().all(plain) {
        let message = "`session_name` must be 2 to 64 letters, digits and `_+=,.@-`";
        return Err(role.error_at("session_name", message, ""));
    }
    Ok(Some(AssumeRole { arn, external_id, session_name }))
}

const CREDENTIALS: &str =
    "for example: credentials = { access_key_id = { env = \"KEY_ID\" }, secret_access_key = { env = \"KEY\" } }";

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Result<AccountSettings, Reported>, String) {
        let (section, diagnostics) = Section::from_text("[[output]] xray", text);
        let settings = AccountSettings::read(&section);
        let finished = section.finish();
        (settings.and_then(|settings| finished.map(|()| settings)), diagnostics.render(false))
    }

    #[test]
    fn reads_them_all() {
        let (settings, shown) = read(
            "region = 'eu-central-1'\nendpoint = 'http://127.0.0.1:5000'\nfips = false\ndual_stack = false\n\
             credentials = { access_key_id = 'AKIDEXAMPLE', secret_access_key = 'pa55', session_token = 'pa55' }\n\
             assume_role = { arn = 'arn:aws:iam::123456789012:role/x', external_id = 'e', session_name = 'me' }",
        );
        let settings = settings.unwrap_or_else(|_| panic!("{shown}"));
        assert_eq!(settings.region.as_deref(), Some("eu-central-1"));
        assert_eq!(settings.assume_role.as_ref().unwrap().session_name, "me");
        assert!(!format!("{settings:?}").contains("pa55"));
        assert_eq!(read("").0.unwrap(), AccountSettings::default());
        assert_eq!(read("profile = 'dev'\nfips = true").0.unwrap().profile.as_deref(), Some("dev"));
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, message) in [
            ("region = 'Frankfurt am Main'", "no region"),
            ("region = 'x.evil.example/'", "no region"),
            ("profile = ''", "`profile` is empty"),
            ("credentials = 'pa55'", "must be a table"),
            ("credentials = { access_key_id = 'AKID' }", "missing setting `secret_access_key`"),
            ("credentials = { secret_access_key = 'pa55' }", "missing setting `access_key_id`"),
            ("credentials = { access_key_id = 'AKID', secret_access_key = 'pa55' }\nprofile = 'x'", "both say whose"),
            (
                "credentials = { access_key_id = 'AKID', secret_access_key = { env = 'SUIRO_NO_SUCH' } }",
                "SUIRO_NO_SUCH` is not set",
            ),
            ("credentials = { access_key_id = 'A', secret_access_key = 'pa55', session_token = '' }", "session_token"),
            ("assume_role = 'arn:aws:iam::1:role/x'", "must be a table"),
            ("assume_role = { }", "missing setting `arn`"),
            ("assume_role = { arn = 'telemetry' }", "not the ARN of a role"),
            ("assume_role = { arn = 'arn:aws:iam::1:role/x', session_name = 'a b' }", "2 to 64 letters"),
            ("endpoint = 'http://h'\nfips = true", "`fips` chooses"),
            ("endpoint = 'h:1'", "starts with http"),
        ] {
            let (settings, shown) = read(text);
            assert!(settings.is_err(), "{text}");
            assert!(shown.contains(message), "{text}:\n{shown}");
            assert!(!shown.contains("pa55"), "{shown}");
        }
    }
}
