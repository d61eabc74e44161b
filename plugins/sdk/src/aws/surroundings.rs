//! What is found out once about where the agent runs: region, endpoints, and the shared configuration files.

use std::time::Duration;

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::imds;
use aws_config::imds::region::ImdsRegionProvider;
use aws_config::meta::region::ProvideRegion;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::service_config::ServiceConfigKey;
use reqwest::Url;
use reqwest::header::HeaderMap;

use super::clock::Clock;
use super::error::AccountError;
use super::partition::{host, is_region};
use super::service::Service;
use super::settings::AccountSettings;
use crate::http::Fetcher;

/// To open a connection to a provider of credentials may take this long.
const CONNECT: Duration = Duration::from_secs(3);
/// One attempt to ask it.
const ATTEMPT: Duration = Duration::from_secs(5);
/// All attempts.
const OPERATION: Duration = Duration::from_secs(10);
/// A task's metadata is a few kilobytes.
const TASK_METADATA: usize = 256 << 10;

/// What is known of the surroundings.
#[derive(Clone, Debug)]
pub(super) struct Surroundings {
    pub(super) region: String,
    /// As the SDK's own loader has it, with the account's settings before the environment; without credentials and without
    /// the setting `endpoint`.
    pub(super) sdk: SdkConfig,
    /// For providers of credentials.
    pub(super) providers: ProviderConfig,
}

// === impl Surroundings ===

impl Surroundings {
    /// Looks around: at variables, files, and the metadata of task and instance if the region is not known otherwise.
    pub(super) async fn find(settings: &AccountSettings, clock: &Clock) -> Result<Self, AccountError> {
        let http =
            aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT)
            .operation_attempt_timeout(ATTEMPT)
            .operation_timeout(OPERATION)
            .build();
        let retries = RetryConfig::standard().with_max_attempts(2);
        let providers = ProviderConfig::without_region()
            .with_behavior_version(Some(BehaviorVersion::latest()))
            .with_time_source(clock.clone())
            .with_http_client(http.clone())
            .with_retry_config(retries.clone())
            .with_timeout_config(timeouts.clone());
        let region = find_region(settings, &providers).await?;
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .no_credentials()
            .time_source(clock.clone())
            .http_client(http)
            .retry_config(retries)
            .timeout_config(timeouts)
            .region(Region::new(region.clone()));
        if let Some(profile) = &settings.profile {
            loader = loader.profile_name(profile);
        }
        if let Some(fips) = settings.fips {
            loader = loader.use_fips(fips);
        }
        if let Some(dual_stack) = settings.dual_stack {
            loader = loader.use_dual_stack(dual_stack);
        }
        let sdk = loader.load().await;
        let providers = providers
            .with_region(Some(Region::new(region.clone())))
            .with_use_fips(sdk.use_fips())
            .with_use_dual_stack(sdk.use_dual_stack());
        Ok(Surroundings { region, sdk, providers })
    }

    /// Where a service is: the setting, `AWS_ENDPOINT_URL_<SERVICE>` or `AWS_ENDPOINT_URL` (or the same in the profile), the
    /// partition's.
    pub(super) fn endpoint(&self, settings: &AccountSettings, service: Service) -> Result<Url, AccountError> {
        if let Some(endpoint) = &settings.endpoint {
            return Ok(endpoint.url().clone());
        }
        let key = ServiceConfigKey::builder()
            .service_id(service.id())
            .env("AWS_ENDPOINT_URL")
            .profile("endpoint_url")
            .build();
        let own = key.ok().and_then(|key| self.sdk.service_config()?.load_config(key));
        let configured = own.or_else(|| self.sdk.endpoint_url().map(str::to_owned));
        let (text, whence) = match configured {
            Some(url) => (url, "from AWS_ENDPOINT_URL or the profile's endpoint_url"),
            None => {
                let fips = self.sdk.use_fips().unwrap_or_default();
                let dual_stack = self.sdk.use_dual_stack().unwrap_or_default();
                (format!("https://{}", host(service, &self.region, fips, dual_stack)?), "made of `region`")
            }
        };
        match Url::parse(&text) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(url),
            _ => {
                Err(AccountError(format!("the endpoint {whence} is no URL: {}", crate::http::excerpt(text.as_bytes()))))
            }
        }
    }
}

/// A client of the instance's metadata that gives up soon: where there is no instance, nobody answers.
pub(super) fn imds_client(providers: &ProviderConfig) -> imds::Client {
    imds::Client::builder().configure(providers).max_attempts(2).build()
}

async fn find_region(settings: &AccountSettings, providers: &ProviderConfig) -> Result<String, AccountError> {
    if let Some(region) = &settings.region {
        return Ok(region.clone());
    }
    let mut profile = ProfileFileRegionProvider::builder().configure(providers);
    if let Some(name) = &settings.profile {
        profile = profile.profile_name(name);
    }
    let mut found = EnvironmentVariableRegionProvider::new().region().await;
    if found.is_none() {
        found = profile.build().region().await;
    }
    let mut found = found.map(|region| region.to_string());
    let mut task = String::from("no task (ECS_CONTAINER_METADATA_URI_V4 is not set)");
    if found.is_none()
        && let Ok(url) = std::env::var("ECS_CONTAINER_METADATA_URI_V4")
    {
        match region_of_task(&url).await {
            Ok(region) => found = Some(region),
            Err(why) => task = format!("the task's metadata: {why}"),
        }
    }
    if found.is_none() {
        let imds = ImdsRegionProvider::builder().configure(providers).imds_client(imds_client(providers)).build();
        found = ProvideRegion::region(&imds).await.map(|region| region.to_string());
    }
    match found {
        Some(region) if is_region(&region) => Ok(region),
        Some(region) => Err(AccountError(format!(
            "the region that was found is none: {}; set `region`",
            crate::http::excerpt(region.as_bytes())
        ))),
        None => Err(AccountError(format!(
            "no region: AWS_REGION and AWS_DEFAULT_REGION are not set; profile `{}` has none; {task}; the instance's \
             metadata say nothing; set `region`",
            profile_name(settings)
        ))),
    }
}

/// The profile that is asked.
pub(super) fn profile_name(settings: &AccountSettings) -> String {
    let environment = || std::env::var("AWS_PROFILE").ok().filter(|name| !name.is_empty());
    settings.profile.clone().or_else(environment).unwrap_or_else(|| "default".to_owned())
}

/// The region of the task we run in: it stands in its ARN.
async fn region_of_task(url: &str) -> Result<String, String> {
    let url = Url::parse(&format!("{}/task", url.trim_end_matches('/'))).map_err(|error| error.to_string())?;
    let fetcher = Fetcher::new(None).map_err(|error| error.to_string())?;
    let asked = tokio::time::timeout(ATTEMPT, fetcher.get(url, HeaderMap::new(), TASK_METADATA));
    let answer = asked.await.map_err(|_| "no answer in time")?.map_err(|error| error.to_string())?.answer;
    if !answer.is_success() {
        return Err(answer.summary());
    }
    region_in_arn(&String::from_utf8_lossy(&answer.body)).ok_or_else(|| "it names no task".to_owned())
}

/// Of `"TaskARN":"arn:aws:ecs:eu-central-1:…"`.
fn region_in_arn(metadata: &str) -> Option<String> {
    let (_, behind) = metadata.split_once("\"TaskARN\"")?;
    let (_, behind) = behind.split_once('"')?;
    let (arn, _) = behind.split_once('"')?;
    Some(arn.split(':').nth(3)?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_knows_its_region() {
        let metadata =
            r#"{"Cluster":"c","TaskARN": "arn:aws:ecs:us-west-2:111122223333:task/default/158d","Family":"f"}"#;
        assert_eq!(region_in_arn(metadata).as_deref(), Some("us-west-2"));
        for text in ["", "{}", "\"TaskARN\"", "\"TaskARN\":\"arn\"", "\"TaskARN\":\"arn:aws:ecs"] {
            assert_eq!(region_in_arn(text), None, "{text}");
        }
    }
}
