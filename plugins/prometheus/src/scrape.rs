//! The input `prometheus_scrape`: what targets show at `/metrics`.
//!
//! # Settings
//!
//! | setting | default | |
//! | --- | --- | --- |
//! | `targets` | | URLs; `/metrics` is meant where there is no path |
//! | `job` | the input's name | |
//! | `interval` | 60s | from one scrape of a target to the next |
//! | `honor_timestamps` | `true` | whether timestamps of samples count |
//! | `sample_limit` | 1000000 | a scrape with more samples fails as a whole |
//! | `body_limit` | 64 MiB | and so does a larger one, decompressed |
//! | `max_pending` | 64 MiB | of all scrapes that wait for a worker |
//! | `auth`, `tls`, `headers`, `timeout` (10s) | | see [`suiro_sdk::http::ClientSettings`] |
//!
//! # What comes of a scrape
//!
//! One request of the intake: the points of the body, then `up`, `scrape_duration_seconds` and `scrape_samples_scraped`, as
//! Prometheus adds them. The resource is `service.name` (the job), `service.instance.id` (host and port), `url.scheme`,
//! `server.address` and `server.port`. Wrong lines, duplicates and old samples are counted at the door: `malformed`,
//! `duplicate`, `out_of_order`; a scrape that fails as a whole shows as `up` 0.
//!
//! Targets are scraped each on its own clock, begun at a random moment of the interval. One that is slow is waited for until
//! `timeout` and delays nobody else.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use suiro_record::{Batch, Row, Scope, Signal, TimeKind};
use suiro_sdk::decompress::{Decompressor, Encoding};
use suiro_sdk::http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue};
use suiro_sdk::http::{Client, ClientSettings, Endpoint, Offer};
use suiro_sdk::intake::{Desk, Intake};
use suiro_sdk::settings::{ByteSize, Reported, Section};
use suiro_sdk::{Input, Reason, Source, SourceSetup, StartError, time};
use tokio::time::MissedTickBehavior;

use crate::text::{Format, Memory, Options, Report, TextParser};

/// What `suiro list` says.
pub(crate) const ABOUT: &str = "metrics that targets show at /metrics";

const OFFER: Offer =
    Offer { url: "[\"http://127.0.0.1:9100/metrics\"]", several: true, api_key: false, compression: false };
/// As Prometheus asks for it.
const WANTED: &str = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.4,*/*;q=0.1";

/// A sample of a series that the scrape had already.
const DUPLICATE: Reason = Reason("duplicate");
/// A sample older than the one before.
const OUT_OF_ORDER: Reason = Reason("out_of_order");
/// A scrape that found no room in the agent.
const NO_ROOM: Reason = Reason("no_room");
/// A scrape with more samples than `sample_limit`.
const SAMPLE_LIMIT: Reason = Reason("sample_limit");

#[derive(Clone)]
struct Settings {
    client: ClientSettings,
    job: Option<String>,
    interval: Duration,
    honor_timestamps: bool,
    sample_limit: usize,
    body_limit: usize,
}

struct Scrape {
    settings: Settings,
    intake: Arc<Intake>,
}

/// What all targets of an input share.
struct Scraper {
    desk: Desk,
    settings: Settings,
    client: Client,
    /// One body is read at a time, whoever's it is.
    parser: Mutex<(TextParser, Decompressor)>,
}

/// One target.
struct Target {
    url: Endpoint,
    instance: String,
    memory: Memory,
    /// The last scrape went well; `None`: there was none.
    up: Option<bool>,
    /// Size of the last body.
    size: usize,
}

/// A body, or why there is none.
type Fetched = Result<(Vec<u8>, Format), String>;

/// Reads the settings.
pub(crate) fn build(section: &Section) -> Result<Box<dyn Input>, Reported> {
    let client = ClientSettings::read_at(section, "targets", OFFER);
    let job = section.get::<String>("job");
    let interval = section.within("interval", Duration::from_secs(1)..=Duration::from_secs(86400));
    let interval = interval.unwrap_or(Duration::from_secs(60));
    let honor_timestamps = section.or("honor_timestamps", true);
    let sample_limit = section.within("sample_limit", 1..=10_000_000_usize).unwrap_or(1_000_000);
    let size = |key| section.within(key, ByteSize(1 << 10)..=ByteSize::mib(1 << 10)).unwrap_or(ByteSize::mib(64));
    let (body_limit, max_pending) = (size("body_limit").as_usize(), size("max_pending").as_usize());
    if let Ok(client) = &client
        && section.has("timeout")
        && client.timeout > interval
    {
        section.error_at("timeout", "`timeout` is longer than `interval`", "a scrape must end before the next begins");
    }
    let own_timeout = section.has("timeout");
    section.finish()?;
    let mut client = client?;
    if !own_timeout {
        client.timeout = interval.min(Duration::from_secs(10));
    }
    let seconds = HeaderValue::from_str(&client.timeout.as_secs_f64().to_string());
    let ours = [
        (ACCEPT, Ok(HeaderValue::from_static(WANTED))),
        (ACCEPT_ENCODING, Ok(HeaderValue::from_static("gzip"))),
        (HeaderName::from_static("x-prometheus-scrape-timeout-seconds"), seconds),
    ];
    for (name, value) in ours {
        if let (Ok(value), false) = (value, client.headers.contains_key(&name)) {
            client.headers.insert(name, value);
        }
    }
    for endpoint in &mut client.endpoints {
        if endpoint.url().path() == "/" {
            *endpoint = endpoint.clone().with_path("/metrics");
        }
    }
    let settings = Settings { client, job, interval, honor_timestamps, sample_limit, body_limit };
    Ok(Box::new(Scrape { settings, intake: Intake::new(max_pending) }))
}

impl Input for Scrape {
    fn source(&self, setup: SourceSetup) -> Result<Option<Box<dyn Source>>, StartError> {
        if let Some(desk) = self.intake.desk(&setup)? {
            // The client lives on the input's thread; what is wrong with its settings is told here.
            Client::new(self.settings.client.clone(), Arc::default())?;
            let settings = self.settings.clone();
            desk.spawn(|desk| run(desk, settings))?;
        }
        Ok(Some(self.intake.source(&setup)))
    }
}

/// Scrapes all targets until the agent stops.
async fn run(desk: Desk, mut settings: Settings) {
    let client = match Client::new(settings.client.clone(), Arc::default()) {
        Ok(client) => client,
        Err(error) => {
            tracing::error!(input = %desk.name(), %error, "can't scrape");
            return;
        }
    };
    settings.job.get_or_insert_with(|| desk.name().to_string());
    let stopping = desk.stopping();
    let scraper = Scraper { desk, client, parser: Mutex::default(), settings };
    let targets = scraper.settings.client.endpoints.iter().map(|url| scraper.watch(Target::new(url.clone())));
    let all = futures_util::future::join_all(targets);
    tokio::select! {
        () = stopping => {}
        _ = all => {}
    }
}

// === impl Target ===

impl Target {
    fn new(url: Endpoint) -> Self {
        let host = url.url().host_str().unwrap_or_default();
        let port = url.url().port_or_known_default().unwrap_or_default();
        let instance = format!("{host}:{port}");
        Target { url, instance, memory: Memory::default(), up: None, size: 64 << 10 }
    }
}

// === impl Scraper ===

impl Scraper {
    /// Scrapes one target again and again.
    async fn watch(&self, mut target: Target) {
        let interval = self.settings.interval;
        let begin = tokio::time::Instant::now() + interval.mul_f64(rand::random::<f64>().min(0.999));
        // A first look does not wait for a whole interval.
        let begin = begin.min(tokio::time::Instant::now() + Duration::from_secs(5).mul_f64(rand::random::<f64>()));
        let mut clock = tokio::time::interval_at(begin, interval);
        clock.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            clock.tick().await;
            self.scrape(&mut target).await;
        }
    }

    async fn scrape(&self, target: &mut Target) {
        let (at, begun) = (time::now(), Instant::now());
        let Ok(mut room) = self.desk.room(target.size).await else {
            self.desk.turn_away(NO_ROOM, 1);
            tracing::warn!(input = %self.desk.name(), target = %target.url.url(), "no room for a scrape: it was left out");
            return;
        };
        let mut fetched = self.fetch(&target.url).await;
        if let Ok((body, _)) = &fetched {
            target.size = body.len().max(64 << 10);
            if room.resize(target.size).is_err() {
                self.desk.turn_away(NO_ROOM, 1);
                fetched = Err("the agent has no room for it".to_owned());
            }
        }
        let took = begun.elapsed();
        let scope = self.scope(target);
        let mut batches = Vec::new();
        let mut report = Report::default();
        let mut size = 0;
        if let Ok((body, format)) = &fetched {
            size = body.len();
            report = self.read(target, body, *format, at, &scope, &mut batches);
        }
        let failed = match &fetched {
            Err(why) => Some(why.clone()),
            Ok(_) if report.over_limit => {
                self.desk.turn_away(SAMPLE_LIMIT, report.samples);
                batches.clear();
                Some(format!("it has more samples than `sample_limit` ({})", self.settings.sample_limit))
            }
            Ok(_) => None,
        };
        self.note(target, failed.as_deref(), &report);
        let samples = if failed.is_some() { 0 } else { report.samples };
        let values = [
            ("up", "Whether the target could be scraped.", f64::from(u8::from(failed.is_none()))),
            ("scrape_duration_seconds", "How long the scrape took.", took.as_secs_f64()),
            ("scrape_samples_scraped", "Samples the target showed.", samples as f64),
        ];
        let mut own = self.desk.batch(scope, Signal::Metrics);
        for (n, (name, help, value)) in values.into_iter().enumerate() {
            push_own(&mut own, name, help, value, at, size as u64 + n as u64);
        }
        batches.push(own);
        // Nobody waits for the answer: a target can't be asked to show its past.
        let _ticket = self.desk.submit(room, batches, size as u64);
    }

    /// Counts and tells what was wrong.
    fn note(&self, target: &mut Target, failed: Option<&str>, report: &Report) {
        let (input, url) = (self.desk.name(), target.url.url());
        match failed {
            Some(why) if target.up != Some(false) => tracing::warn!(%input, target = %url, "can't scrape: {why}"),
            None if target.up == Some(false) => tracing::info!(%input, target = %url, "can be scraped again"),
            _ => {}
        }
        target.up = Some(failed.is_none());
        if failed.is_some() {
            return;
        }
        self.desk.turn_away(Reason::MALFORMED, report.wrong);
        self.desk.turn_away(DUPLICATE, report.duplicates);
        self.desk.turn_away(OUT_OF_ORDER, report.out_of_order);
        if let Some(fault) = &report.first_wrong {
            let wrong = report.wrong;
            tracing::debug!(%input, target = %url, wrong, "some of a scrape can't be read, first {fault}");
        }
    }

    async fn fetch(&self, url: &Endpoint) -> Fetched {
        let limit = self.settings.body_limit;
        let answer = self.client.get(url, limit).await.map_err(|failure| failure.to_string())?;
        if !answer.is_success() {
            return Err(answer.summary());
        }
        if let Some(broken) = answer.broken {
            return Err(broken.to_string());
        }
        let too_large = || format!("the body is larger than `body_limit` ({limit} bytes)");
        if answer.cut {
            return Err(too_large());
        }
        let header = |name: &HeaderName| answer.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("");
        let format = if header(&CONTENT_TYPE).trim_start().starts_with("application/openmetrics-text") {
            Format::OpenMetrics
        } else {
            Format::Text
        };
        let said = header(&CONTENT_ENCODING);
        let encoding = match Encoding::read(said, Encoding::Snappy) {
            Some(Encoding::Identity) => return Ok((answer.body, format)),
            Some(encoding) => encoding,
            None => return Err(format!("the content-encoding {said:?} was not asked for")),
        };
        let mut body = Vec::new();
        let mut parser = self.parser.lock().unwrap_or_else(PoisonError::into_inner);
        match parser.1.decompress(encoding, &answer.body, limit, &mut body) {
            Ok(()) => Ok((body, format)),
            Err(error) => Err(error.to_string()),
        }
    }

    fn read(
        &self,
        target: &mut Target,
        body: &[u8],
        format: Format,
        at: i64,
        scope: &Arc<Scope>,
        batches: &mut Vec<Batch>,
    ) -> Report {
        let options = Options {
            format,
            time: at,
            honor_timestamps: self.settings.honor_timestamps,
            max_samples: self.settings.sample_limit,
        };
        let mut parser = self.parser.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || self.desk.batch(scope.clone(), Signal::Metrics);
        let mut report = parser.0.parse(body, options, Some(&mut target.memory), new, |batch| batches.push(batch));
        if format == Format::OpenMetrics && !report.ended && !report.over_limit {
            // Something of it may be missing; what is there is kept.
            report.wrong += 1;
        }
        report
    }

    /// What is known of a target, and a new origin.
    fn scope(&self, target: &Target) -> Arc<Scope> {
        let url = target.url.url();
        let mut scope = Scope::new(self.desk.origin())
            .with("service.name", self.settings.job.as_deref().unwrap_or_default())
            .with("service.instance.id", target.instance.as_str())
            .with("url.scheme", url.scheme())
            .with("server.address", url.host_str().unwrap_or_default());
        if let Some(port) = url.port_or_known_default() {
            scope = scope.with("server.port", port.to_string().as_str());
        }
        Arc::new(scope)
    }
}

/// A metric about the scrape itself.
fn push_own(batch: &mut Batch, name: &str, help: &str, value: f64, at: i64, place: u64) {
    use suiro_record::NewValue::{Float, Str};
    let root = batch.new_object();
    for (key, field) in
        [("name", Str(name)), ("description", Str(help)), ("kind", Str("gauge")), ("value", Float(value))]
    {
        // An empty batch has room for it.
        let _ = batch.append(root, key, field);
    }
    let mut row = Row::new(root, at, place, place + 1);
    row.time_kind = TimeKind::Own;
    batch.rows.push(row);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_checked() {
        let read = |text: &str| {
            let (section, diagnostics) = Section::from_text("[[input]] prometheus_scrape", text);
            (build(&section).is_ok(), diagnostics.render(false))
        };
        let target = "targets = ['http://a:1', 'https://b/federate?match[]=up']";
        let (read_it, shown) = read(&format!("{target}\ninterval = '5s'\nheaders = {{ accept = 'text/plain' }}"));
        assert!(read_it, "{shown}");
        for (text, message) in [
            ("", "targets"),
            ("targets = []", "`targets` must name at least one URL"),
            ("targets = ['a:1']", "starts with http://"),
            ("targets = 'http://a'\ntls = {}", "`tls` is set, but `targets` is plain http"),
            ("targets = 'http://a'\ninterval = '1s'\ntimeout = '2s'", "longer than `interval`"),
            ("targets = 'http://a'\nsample_limit = 0", "sample_limit"),
            ("targets = 'http://a'\nurl = 'http://b'", "url"),
        ] {
            let (read_it, shown) = read(text);
            assert!(!read_it && shown.contains(message), "{text}: {shown}");
        }
    }

    #[test]
    fn a_target_is_known_by_host_and_port() {
        let (section, _) = Section::from_text("x", "targets = ['http://a.example', 'https://b:8443/x']");
        let settings = ClientSettings::read_at(&section, "targets", OFFER).unwrap();
        let instances: Vec<String> = settings.endpoints.into_iter().map(|url| Target::new(url).instance).collect();
        assert_eq!(instances, ["a.example:80", "b:8443"]);
    }
}
