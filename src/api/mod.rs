//! The agent's HTTP API, on loopback unless told otherwise.
//!
//! | route | answers |
//! | --- | --- |
//! | `GET /api/v1/health` | 200 `ok`, or 500 with what is wrong, by block |
//! | `GET /ready` | 200 once the configuration runs |
//! | `GET /api/ledger` | all counts, JSON |
//! | `GET /metrics` | all counts, Prometheus text format 0.0.4 |
//!
//! Nothing here changes anything, or shows a record's content.

mod metrics;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};

use crate::pipeline::Shared;

/// The API, listening but not yet answering.
#[derive(Debug)]
pub struct Api {
    listener: tokio::net::TcpListener,
    address: SocketAddr,
}

// === impl Api ===

impl Api {
    /// Listens. The error names the setting.
    pub async fn bind(listen: SocketAddr) -> Result<Api, String> {
        let listener = tokio::net::TcpListener::bind(listen).await.map_err(|error| {
            format!(
                "the API can't listen on {listen}: {error}; set api = {{ listen = \"127.0.0.1:PORT\" }} in [service], \
                 or api = false"
            )
        })?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        Ok(Api { listener, address })
    }

    /// Answers until the process ends. Where it listens.
    pub fn serve(self, shared: Arc<Shared>) -> SocketAddr {
        let Api { listener, address } = self;
        let app = Router::new()
            .route("/", get(about))
            .route("/ready", get(async || "ready\n"))
            .route("/api/v1/health", get(health))
            .route("/api/ledger", get(ledger))
            .route("/metrics", get(metrics))
            .with_state(shared);
        tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, app).await {
                tracing::error!("the API ended: {error}");
            }
        });
        address
    }
}

async fn about() -> String {
    format!("suiro {}\n", env!("CARGO_PKG_VERSION"))
}

async fn health(State(shared): State<Arc<Shared>>) -> Response {
    let troubles = shared.health.troubles();
    if troubles.is_empty() {
        return (StatusCode::OK, "ok\n").into_response();
    }
    let body = serde_json::json!({ "status": "degraded", "blocks": troubles, "panics": shared.health.panics() });
    (StatusCode::INTERNAL_SERVER_ERROR, Json(body)).into_response()
}

async fn ledger(State(shared): State<Arc<Shared>>) -> Response {
    Json(shared.books.snapshot()).into_response()
}

async fn metrics(State(shared): State<Arc<Shared>>) -> Response {
    let mut text = metrics::render(&shared.books.snapshot(), &shared.health);
    shared.metrics.render(&mut text);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}
