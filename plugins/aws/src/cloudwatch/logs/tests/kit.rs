//! An output and what it sends.

use std::sync::Arc;

use serde_json::Value;
use suiro_sdk::http::test_kit::{self, Reply, Server};
use suiro_sdk::settings::Section;
use suiro_sdk::{Delivery, Outcome, Output, OutputLedger};

use super::super::output;
use super::super::settings::Settings;

/// What every block of these tests says.
const ACCOUNT: &str = "region = 'eu-central-1'\n\
     credentials = { access_key_id = 'AKIDSUIROTEST', secret_access_key = 'suiro-secret' }\n";
/// And of where it writes.
pub(super) const NAMES: &str = "log_group = '/app'\nlog_stream = 'web'\n";

/// 2026-11-22T16:29:03Z, nanoseconds.
pub(super) const TIME: i64 = 1_795_364_943_000_000_000;

/// An output that has started, and the server it writes to.
pub(super) struct Rig {
    output: Box<dyn Output>,
    pub(super) ledger: Arc<OutputLedger>,
    pub(super) server: Server,
}

// === impl Rig ===

impl Rig {
    /// The server does as `script` says to each action.
    pub(super) async fn new(settings: &str, mut script: impl FnMut(&str, &Value) -> Reply + Send + 'static) -> Rig {
        let server = Server::start(move |request| {
            let body = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
            script(action(request), &body)
        })
        .await
        .expect("a server");
        let text = format!("{ACCOUNT}endpoint = '{}'\n{settings}", server.url);
        let (section, diagnostics) = Section::from_text("[[output]] cloudwatch_logs", &text);
        let Ok(mut output) = output::build(&section) else { panic!("{}", diagnostics.render(false)) };
        let setup = test_kit::setup();
        output.start(&setup).expect("it starts");
        Rig { output, ledger: setup.ledger, server }
    }

    pub(super) async fn deliver(&self, delivery: &Delivery) -> Outcome {
        self.output.deliver(delivery).await
    }

    /// Actions so far, in order.
    pub(super) fn actions(&self) -> Vec<String> {
        self.server.requests().iter().map(|request| action(request).to_owned()).collect()
    }

    /// Bodies of an action so far, in order.
    pub(super) fn bodies(&self, of: &str) -> Vec<Value> {
        let requests = self.server.requests();
        let of = requests.iter().filter(|request| action(request) == of);
        of.map(|request| serde_json::from_slice(&request.body).expect("JSON")).collect()
    }

    pub(super) fn altered(&self, reason: &str) -> u64 {
        self.ledger.altered.snapshot().get(reason).copied().unwrap_or(0)
    }
}

/// `PutLogEvents`
fn action(request: &test_kit::Received) -> &str {
    request.header("x-amz-target").and_then(|target| target.rsplit('.').next()).unwrap_or_default()
}

/// An answer of the service's.
pub(super) fn answer(body: &Value) -> Reply {
    Reply::text(200, body.to_string()).with("content-type", "application/x-amz-json-1.1")
}

/// It has nothing to say.
pub(super) fn fine() -> Reply {
    answer(&serde_json::json!({}))
}

/// A refusal of the service's.
pub(super) fn refusal(code: &str, message: &str) -> Reply {
    let body = serde_json::json!({ "__type": code, "message": message });
    Reply::text(400, body.to_string()).with("content-type", "application/x-amz-json-1.1")
}

/// Settings that must be right.
pub(super) fn settings(text: &str) -> Settings {
    let (section, diagnostics) = Section::from_text("[[output]] cloudwatch_logs", &format!("{ACCOUNT}{text}"));
    match Settings::read(&section) {
        Ok(settings) => settings,
        Err(_) => panic!("{}", diagnostics.render(false)),
    }
}

/// What is said of settings that are not.
pub(super) fn mistakes(text: &str) -> String {
    let (section, diagnostics) = Section::from_text("[[output]] cloudwatch_logs", &format!("{ACCOUNT}{text}"));
    assert!(Settings::read(&section).is_err(), "{text}");
    diagnostics.render(false)
}
