//! Groups and streams on demand, and what a group is to have.
//!
//! A stream is made when the service says that it is missing, and so is its group, if `create_group` is set. However many
//! requests find it missing, it is made once. Retention and the anomaly detector follow, after the first events were
//! taken: the delivery waits for it, five seconds at most, and it is delivered whatever becomes of it. Where that fails it
//! is said, and tried again later.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::known::{KnownGroup, KnownStream};
use super::service::Service;
use super::settings::{AnomalyDetector, Settings};
use super::trouble::{Of, Trouble};
use aws_sdk_cloudwatchlogs::Client;
use tokio::time::timeout;

/// When what failed for a group is tried again.
const AGAIN: Duration = Duration::from_secs(10 * 60);
/// For so long a delivery waits for what is done for a group.
const PATIENCE: Duration = Duration::from_secs(5);

/// Makes a stream, and its group if need be, unless somebody has done so since it was made for the `made`th time.
pub(super) async fn make_stream(
    service: &Service,
    settings: &Settings,
    (group_name, group): (&str, &KnownGroup),
    (stream_name, stream): (&str, &KnownStream),
    made: u32,
) -> Result<(), Trouble> {
    let _one = stream.making.lock().await;
    if stream.made.load(Relaxed) != made {
        return Ok(());
    }
    let client = service.client().await.map_err(Trouble::of_account)?;
    let create = async || {
        let sent = client.create_log_stream().log_group_name(group_name).log_stream_name(stream_name).send().await;
        match sent.map_err(|error| service.trouble(&error)) {
            Ok(_) | Err(Trouble::Exists) => Ok(()),
            Err(trouble) => Err(trouble),
        }
    };
    let groups_made = group.made.load(Relaxed);
    match create().await {
        Err(Trouble::Missing(_)) => {
            make_group(service, &client, settings, group_name, group, groups_made).await?;
            create().await?;
        }
        other => other?,
    }
    stream.made.store(made.wrapping_add(1), Relaxed);
    tracing::info!(group = group_name, stream = stream_name, "made a log stream");
    Ok(())
}

async fn make_group(
    service: &Service,
    client: &Client,
    settings: &Settings,
    name: &str,
    group: &KnownGroup,
    made: u32,
) -> Result<(), Trouble> {
    let Some(create) = &settings.create else {
        let why = format!("the log group `{name}` does not exist: make it, or set create_group = true");
        return Err(Trouble::later(why, true, Of::Stream));
    };
    let _one = group.making.lock().await;
    if group.made.load(Relaxed) != made {
        return Ok(());
    }
    let mut request = client
        .create_log_group()
        .log_group_name(name)
        .set_log_group_class(create.class.clone())
        .set_kms_key_id(create.kms_key.clone());
    for (key, value) in &create.tags {
        request = request.tags(key, value);
    }
    match request.send().await.map_err(|error| service.trouble(&error)) {
        Ok(_) => {
            tracing::info!(group = name, "made a log group");
            group.retention_due.store(create.retention_days.is_some(), Relaxed);
            group.make_due();
            group.made.store(made.wrapping_add(1), Relaxed);
            Ok(())
        }
        // Somebody was faster, and will see to its retention.
        Err(Trouble::Exists) => {
            group.made.store(made.wrapping_add(1), Relaxed);
            Ok(())
        }
        // What is wrong with the group is not wrong with an event.
        Err(Trouble::Invalid(why) | Trouble::Refused(why)) => {
            let why =
                format!("the log group `{name}` can't be made: {why}; are `log_class`, `kms_key` and `tags` right?");
            Err(Trouble::later(why, true, Of::Stream))
        }
        Err(trouble) => Err(trouble),
    }
}

/// Does what is still to be done for a group that takes events.
pub(super) async fn tend_group(service: &Service, settings: &Settings, name: &str, group: &KnownGroup) {
    let wants_detector = settings.anomaly_detector.is_some() && !group.detector_done.load(Relaxed);
    let wants_retention = group.retention_due.load(Relaxed);
    if !(wants_detector || wants_retention) || !group.is_due(AGAIN) {
        return;
    }
    let tending = set_up(service, settings, name, group, (wants_retention, wants_detector));
    if timeout(PATIENCE, tending).await.is_err() {
        tracing::warn!(
            group = name,
            "retention and anomaly detector of the log group are not seen to yet: no answer in {} s; the agent tries \
             again in 10 minutes",
            PATIENCE.as_secs()
        );
    }
}

/// Sets the retention, and makes the anomaly detector, if they are wanted.
async fn set_up(
    service: &Service,
    settings: &Settings,
    name: &str,
    group: &KnownGroup,
    (wants_retention, wants_detector): (bool, bool),
) {
    let Ok(client) = service.client().await else { return };
    if let Some(days) = settings.create.as_ref().and_then(|create| create.retention_days)
        && wants_retention
    {
        let sent = client.put_retention_policy().log_group_name(name).retention_in_days(days).send().await;
        match sent.map_err(|error| service.trouble(&error)) {
            Ok(_) => group.retention_due.store(false, Relaxed),
            Err(trouble) => {
                tracing::warn!(group = name, "the retention of the log group can't be set to {days} days: {trouble}")
            }
        }
    }
    if let Some(detector) = settings.anomaly_detector.as_ref().filter(|_| wants_detector) {
        match watch_group(service, &client, detector, name).await {
            Ok(()) => group.detector_done.store(true, Relaxed),
            Err(trouble) => tracing::warn!(
                group = name,
                "the log group gets no anomaly detector: {trouble}; the agent tries again in 10 minutes, without `anomaly_detector` not at all"
            ),
        }
    }
}

/// Gives a group an anomaly detector, unless it has one.
async fn watch_group(
    service: &Service,
    client: &Client,
    detector: &AnomalyDetector,
    name: &str,
) -> Result<(), Trouble> {
    let arn = arn_of(service, client, name).await?;
    let found = client.list_log_anomaly_detectors().filter_log_group_arn(&arn).send().await;
    let found = found.map_err(|error| service.trouble(&error))?;
    if found.anomaly_detectors().iter().any(|detector| detector.log_group_arn_list().contains(&arn)) {
        return Ok(());
    }
    let sent = client
        .create_log_anomaly_detector()
        .log_group_arn_list(arn)
        .set_detector_name(detector.name.clone())
        .set_evaluation_frequency(detector.frequency.clone())
        .set_filter_pattern(detector.filter_pattern.clone())
        .set_kms_key_id(detector.kms_key.clone())
        .set_anomaly_visibility_time(detector.visibility_days)
        .send()
        .await;
    sent.map_err(|error| service.trouble(&error))?;
    tracing::info!(group = name, "made an anomaly detector");
    Ok(())
}

/// The ARN of a group, without the `:*` that policies have.
async fn arn_of(service: &Service, client: &Client, name: &str) -> Result<String, Trouble> {
    // Groups come in the order of their names: one that only begins alike comes later.
    let found = client.describe_log_groups().log_group_name_prefix(name).limit(1).send().await;
    let found = found.map_err(|error| service.trouble(&error))?;
    let group = found.log_groups().iter().find(|group| group.log_group_name() == Some(name));
    let arn = group.and_then(|group| group.log_group_arn().or(group.arn()));
    match arn {
        Some(arn) => Ok(arn.strip_suffix(":*").unwrap_or(arn).to_owned()),
        None => Err(Trouble::Missing(format!("no log group `{name}` is described"))),
    }
}
