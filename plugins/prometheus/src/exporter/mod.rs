//! The output `prometheus_exporter`: metrics for Prometheus to scrape.
//!
//! # Settings
//!
//! | setting | default | |
//! | --- | --- | --- |
//! | `listen` | `127.0.0.1:9464` | where it listens, in the clear and for everybody who can reach it |
//! | `path` | `/metrics` | |
//! | `expire` | 5m | a series without points for so long is forgotten |
//! | `max_series` | 100000 | a point of one more is dropped: `series_limit` |
//! | `timestamps` | `false` | whether samples carry the times of their points |
//! | `target_info` | `true` | whether resources are told as `target_info` |
//!
//! # Guarantee
//!
//! A record is delivered when the registry has it. The registry lives in memory: after a restart it fills again with the
//! points that come, and sums of delta points begin at 0.

mod registry;
mod render;
#[cfg(test)]
mod tests;

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use suiro_record::Signal;
use suiro_sdk::settings::{Reported, Section};
use suiro_sdk::{Delivering, Delivery, Outcome, Output, OutputSetup, Reason, StartError, Verdict};

use self::registry::{Refused, Registry};
use crate::labels::Shared;
use crate::point::Point;
use crate::text::Format;

/// What `suiro list` says.
pub(crate) const ABOUT: &str = "metrics for Prometheus to scrape";

/// There are `max_series` already.
const SERIES_LIMIT: Reason = Reason("series_limit");
/// Another metric has that name once it is written as Prometheus takes it.
const NAME_COLLISION: Reason = Reason("name_collision");

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The settings, and what was measured.
struct Exporter {
    listen: SocketAddr,
    path: String,
    target_info: bool,
    shop: Arc<Shop>,
}

/// What the server and the output share.
struct Shop {
    registry: Mutex<Registry>,
    timestamps: bool,
}

/// Reads the settings.
pub(crate) fn build(section: &Section) -> Result<Box<dyn Output>, Reported> {
    Ok(Box::new(Exporter::read(section)?))
}

// === impl Exporter ===

impl Exporter {
    fn read(section: &Section) -> Result<Self, Reported> {
        let listen = section.or("listen", SocketAddr::from(([127, 0, 0, 1], 9464)));
        let path: String = section.or("path", "/metrics".to_owned());
        if !path.starts_with('/') || path.contains(['{', '}', '?', '#', ' ']) {
            section.error_at("path", "`path` is a path, such as \"/metrics\"", "");
        }
        let expire = section.within("expire", Duration::from_secs(1)..=Duration::from_secs(7 * 86400));
        let max_series = section.within("max_series", 1..=10_000_000_usize).unwrap_or(100_000);
        let timestamps = section.flag("timestamps");
        let target_info = section.or("target_info", true);
        section.finish()?;
        let registry = Registry::new(max_series, expire.unwrap_or(Duration::from_secs(300)));
        let shop = Arc::new(Shop { registry: Mutex::new(registry), timestamps });
        Ok(Exporter { listen, path, target_info, shop })
    }

    fn take(&self, delivery: &Delivery) -> Outcome {
        let now = Instant::now();
        let mut registry = self.shop.registry();
        let mut verdicts = Vec::new();
        let mut number = 0;
        for part in &delivery.parts {
            let mut shared: Vec<Option<Shared>> = vec![None; part.batch.scopes().len()];
            for row in part.records() {
                let slot = &mut shared[usize::from(row.scope)];
                let first = slot.is_none();
                let shared = &*slot.get_or_insert_with(|| Shared::read(part.batch.scope(row)));
                let verdict = match Point::read(&part.batch, row) {
                    Err(why) => Some(Verdict::Refused { reason: Reason::MALFORMED, detail: why.to_owned() }),
                    Ok(point) => {
                        if first && self.target_info {
                            // No room for it is no reason not to take the point.
                            let _ = registry.take_target_info(shared, row.time, now);
                        }
                        let taken = registry.take(&point, shared, now);
                        taken.err().map(|refused| match refused {
                            Refused::Limit => Verdict::Drop(SERIES_LIMIT),
                            Refused::Collision => Verdict::Drop(NAME_COLLISION),
                        })
                    }
                };
                verdicts.extend(verdict.map(|verdict| (number, verdict)));
                number += 1;
            }
        }
        if verdicts.is_empty() { Outcome::Delivered } else { Outcome::Partial(verdicts) }
    }
}

impl Output for Exporter {
    fn signals(&self) -> &'static [Signal] {
        &[Signal::Metrics]
    }

    fn start(&mut self, setup: &OutputSetup) -> Result<(), StartError> {
        let wrong = |error: std::io::Error| {
            let address = self.listen;
            StartError(format!("`listen`: can't listen on {address}: {error}; choose another port, or stop who has it"))
        };
        let listener = std::net::TcpListener::bind(self.listen).map_err(wrong)?;
        listener.set_nonblocking(true).map_err(wrong)?;
        let address = listener.local_addr().map_err(wrong)?;
        let listener = tokio::net::TcpListener::from_std(listener).map_err(wrong)?;
        let app = Router::new().route(&self.path, get(metrics)).with_state(self.shop.clone());
        let name = setup.name.clone();
        tracing::info!(output = %name, %address, path = %self.path, "listens for scrapes");
        tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, app).await {
                tracing::error!(output = %name, %error, "no more scrapes are answered");
            }
        });
        Ok(())
    }

    fn deliver<'a>(&'a self, delivery: &'a Delivery) -> Delivering<'a> {
        Box::pin(async { self.take(delivery) })
    }
}

// === impl Shop ===

impl Shop {
    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn page(&self, format: Format) -> Vec<u8> {
        let mut out = Vec::new();
        let mut registry = self.registry();
        registry.expire(Instant::now());
        render::render(&registry, format, self.timestamps, &mut out);
        out
    }
}

async fn metrics(State(shop): State<Arc<Shop>>, headers: HeaderMap) -> Response {
    let text = |name| headers.get(name).and_then(|value: &axum::http::HeaderValue| value.to_str().ok()).unwrap_or("");
    let format = format_of(text(header::ACCEPT));
    let content_type = if format == Format::OpenMetrics { OPEN_METRICS } else { TEXT };
    let mut page = shop.page(format);
    let gzip = text(header::ACCEPT_ENCODING).split(',').any(|encoding| {
        let (name, weight) = encoding.split_once(';').unwrap_or((encoding, ""));
        name.trim().eq_ignore_ascii_case("gzip") && weight.trim() != "q=0"
    });
    let mut response_headers = vec![(header::CONTENT_TYPE, content_type), (header::VARY, "Accept, Accept-Encoding")];
    if gzip {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        if let Some(packed) = packer.write_all(&page).ok().and_then(|()| packer.finish().ok()) {
            page = packed;
            response_headers.push((header::CONTENT_ENCODING, "gzip"));
        }
    }
    let mut response = page.into_response();
    for (name, value) in response_headers {
        response.headers_mut().insert(name, axum::http::HeaderValue::from_static(value));
    }
    response
}

/// OpenMetrics where it is asked for, and not less than the text format.
fn format_of(accept: &str) -> Format {
    let weight = |kind: &str| {
        let weights = accept.split(',').filter_map(|range| {
            let mut parts = range.split(';').map(str::trim);
            parts.next().filter(|name| name.eq_ignore_ascii_case(kind))?;
            Some(parts.find_map(|part| part.strip_prefix("q=")?.parse().ok()).unwrap_or(1.0_f64))
        });
        weights.fold(0.0, f64::max)
    };
    let open = weight("application/openmetrics-text");
    if open > 0.0 && open >= weight("text/plain") { Format::OpenMetrics } else { Format::Text }
}
