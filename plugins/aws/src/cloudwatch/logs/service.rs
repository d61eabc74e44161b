//! Calls of the service, through the SDK: its credentials, endpoints, signatures and errors, our bytes.
//!
//! The SDK would build a `PutLogEvents` of an object per event. So it is given a request without events, whose body is
//! replaced before it is signed; what it costs then depends on the body's length alone (its SHA-256, and the socket). It
//! does not try again by itself: the driver does.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_cloudwatchlogs::Client;
use aws_sdk_cloudwatchlogs::config::retry::RetryConfig;
use aws_sdk_cloudwatchlogs::config::timeout::TimeoutConfig;
use aws_sdk_cloudwatchlogs::config::{Builder, StalledStreamProtectionConfig};
use aws_sdk_cloudwatchlogs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_cloudwatchlogs::operation::put_log_events::PutLogEventsOutput;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use suiro_sdk::OutputLedger;
use suiro_sdk::aws::{Account, AccountError};
use suiro_sdk::http::Buffers;
use suiro_sdk::ledger::add;

use super::trouble::{Trouble, answer_of};

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);

/// The service, as one account sees it.
#[derive(Debug)]
pub(super) struct Service {
    account: Account,
    timeout: Duration,
    /// From the first request on.
    client: RefCell<Option<Client>>,
    buffers: Buffers,
    ledger: Arc<OutputLedger>,
}

// === impl Service ===

impl Service {
    pub(super) fn new(account: Account, timeout: Duration, ledger: Arc<OutputLedger>) -> Self {
        Service { account, timeout, client: RefCell::default(), buffers: Buffers::default(), ledger }
    }

    /// Where bodies come from.
    pub(super) fn buffers(&self) -> &Buffers {
        &self.buffers
    }

    /// The SDK's client.
    pub(super) async fn client(&self) -> Result<Client, AccountError> {
        if let Some(client) = self.client.borrow().as_ref() {
            return Ok(client.clone());
        }
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT.min(self.timeout))
            .operation_attempt_timeout(self.timeout)
            // The account's own bound, which would hold beside this one. There is one attempt.
            .disable_operation_timeout()
            .build();
        let config = Builder::from(&self.account.sdk_config().await?)
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts)
            // Bodies are in memory; the time for a request is bounded as a whole.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            // The account's clock is put right already; twice would be wrong again.
            .disable_clock_skew_correction(true)
            .build();
        let client = Client::from_conf(config);
        self.client.replace(Some(client.clone()));
        Ok(client)
    }

    /// `PutLogEvents` with this body. `emf`: documents in the embedded metric format may be in it.
    pub(super) async fn put(&self, body: Bytes, emf: bool) -> Result<PutLogEventsOutput, Trouble> {
        let client = self.client().await.map_err(Trouble::of_account)?;
        add(&self.ledger.bytes, body.len());
        let replace = move |request: &mut HttpRequest| {
            request.headers_mut().insert("content-length", body.len().to_string());
            if emf {
                request.headers_mut().insert("x-amzn-logs-format", "json/emf");
            }
            *request.body_mut() = SdkBody::from(body.clone());
        };
        let sent = client.put_log_events().customize().mutate_request(replace).send().await;
        sent.map_err(|error| self.trouble(&error))
    }

    /// What an error of any call means.
    pub(super) fn trouble<E: ProvideErrorMetadata + std::error::Error + 'static>(
        &self,
        error: &SdkError<E, HttpResponse>,
    ) -> Trouble {
        if let SdkError::ServiceError(refusal) = error {
            self.account.learn(refusal.err().code().unwrap_or_default(), &answer_of(refusal.raw()).headers);
        }
        Trouble::of(error)
    }
}
