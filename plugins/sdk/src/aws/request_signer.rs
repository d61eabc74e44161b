//! `auth = { aws = { .. } }`: a signature on each request of an output that is not AWS's own kind.
//!
//! | setting | default | |
//! | --- | --- | --- |
//! | `service` | | what signatures call the service: `logs`, `xray`, `monitoring`, `aps`, `es`, `aoss`, `osis`, … |
//! | `region`, `profile`, `credentials`, `assume_role` | | see [`AccountSettings`]; where requests go, `url` says |

use std::sync::Arc;

use reqwest::StatusCode;

use super::account::Account;
use super::answer::{ServiceError, judge};
use super::settings::AccountSettings;
use crate::http::{Answer, Failure, Sign, Signable, Signing};
use crate::output::Outcome;
use crate::settings::{Reported, Section};

/// Signs what a client sends, for one service.
#[derive(Clone, Debug)]
pub struct RequestSigner {
    account: Account,
    service: Arc<str>,
}

// === impl RequestSigner ===

impl RequestSigner {
    /// One for the service that signatures call `service`.
    pub fn new(account: Account, service: &str) -> Self {
        RequestSigner { account, service: service.into() }
    }

    /// Reads the table `aws` of `auth`.
    pub(crate) fn read(settings: &Section) -> Result<Self, Reported> {
        let service = settings.require::<String>("service", "\"logs\"");
        let account = AccountSettings::read_identity(settings);
        let (service, account) = (service?, account?);
        let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
        if service.is_empty() || !service.bytes().all(plain) {
            let help = "such as `logs`, `xray`, `monitoring`, `aps`, `es`, `aoss` or `osis`";
            return Err(settings.error_at("service", "this is no name of a service in signatures", help));
        }
        Ok(RequestSigner::new(Account::new(account), &service))
    }

    /// The account learns from an answer.
    pub(super) fn hear(&self, answer: &Answer) {
        match ServiceError::of(answer) {
            Some(error) => self.account.learn(&error.code, &answer.headers),
            // What is no service of AWS's own (an OpenSearch domain) says less.
            None if matches!(answer.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                self.account.learn("", &answer.headers);
            }
            None => {}
        }
    }
}

impl Sign for RequestSigner {
    fn sign<'a>(&'a self, request: Signable<'a>) -> Signing<'a> {
        Box::pin(async move { self.account.sign(&self.service, request).await.map_err(Failure::from) })
    }

    /// Keys, signatures, permissions, throttling: AWS says much of that with 400, which others take for bad records.
    fn answered(&self, answer: &Answer) -> Option<Failure> {
        self.hear(answer);
        ServiceError::of(answer).filter(|_| answer.status.is_client_error())?;
        match judge(answer) {
            Outcome::Retry { why, after, degraded } => Some(Failure::refused(why, after, degraded)),
            _ => None,
        }
    }
}

impl PartialEq for RequestSigner {
    /// Whether they were configured alike.
    fn eq(&self, other: &Self) -> bool {
        self.service == other.service && self.account.settings() == other.account.settings()
    }
}

impl Eq for RequestSigner {}
