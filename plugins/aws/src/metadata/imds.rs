//! The instance's metadata service, version 2.

use suiro_sdk::aws::Method;
use suiro_sdk::http::header::HeaderValue;

use super::asker::Asker;

/// Where it is, for every instance.
pub(super) const ADDRESS: &str = "http://169.254.169.254";

const TOKEN: &str = "x-aws-ec2-metadata-token";
const TOKEN_TTL: &str = "x-aws-ec2-metadata-token-ttl-seconds";
/// Long enough for one round of questions.
const TTL: &str = "60";

/// The service, with a token for it.
#[derive(Debug)]
pub(super) struct Imds<'a> {
    asker: &'a Asker,
    token: HeaderValue,
}

/// What an instance says of itself in one document.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Identity {
    pub(super) account_id: Option<String>,
    pub(super) architecture: Option<String>,
    pub(super) availability_zone: Option<String>,
    pub(super) image_id: Option<String>,
    pub(super) instance_id: Option<String>,
    pub(super) instance_type: Option<String>,
    pub(super) region: Option<String>,
}

// === impl Imds ===

impl<'a> Imds<'a> {
    /// Asks for a token.
    pub(super) async fn open(asker: &'a Asker) -> Result<Imds<'a>, String> {
        let ttl = HeaderValue::from_static(TTL);
        let token = asker.ask(Method::PUT, "/latest/api/token", Some((TOKEN_TTL, &ttl))).await?;
        let token =
            token.ok_or("the metadata service gives out no tokens (404): is it turned off for the instance?")?;
        let mut token = HeaderValue::from_str(token.trim()).map_err(|_| "the token is none".to_owned())?;
        token.set_sensitive(true);
        Ok(Imds { asker, token })
    }

    /// What is at `path`.
    pub(super) async fn get(&self, path: &str) -> Result<Option<String>, String> {
        self.asker.ask(Method::GET, path, Some((TOKEN, &self.token))).await
    }

    /// The instance's identity document.
    pub(super) async fn identity(&self) -> Result<Identity, String> {
        const PATH: &str = "/latest/dynamic/instance-identity/document";
        let text = self.get(PATH).await?.ok_or_else(|| format!("{PATH}: there is none (404)"))?;
        serde_json::from_str(&text).map_err(|error| format!("{PATH}: {error}"))
    }

    /// The names of the instance's tags; `None`: it does not show them.
    pub(super) async fn tags(&self) -> Result<Option<Vec<String>>, String> {
        let list = self.get("/latest/meta-data/tags/instance").await?;
        Ok(list.map(|list| list.lines().map(str::to_owned).collect()))
    }

    /// The value of a tag.
    pub(super) async fn tag(&self, name: &str) -> Result<Option<String>, String> {
        self.get(&format!("/latest/meta-data/tags/instance/{name}")).await
    }
}
