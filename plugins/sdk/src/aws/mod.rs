//! Amazon Web Services: who signs, where a service is, and what its answers mean.
//!
//! # Constraints
//!
//! - Nothing of the SDK is made, and no file or network touched, before the first request: an agent that holds this code
//!   and has no account in its configuration pays nothing.
//! - Credentials come from the SDK's own providers in the SDK's order ([`Account`]); what they know stays with them. No
//!   error and no `Debug` shows a secret.
//! - A look-up that failed is not repeated for each request: it is on a back-off, and until then its error is the answer.
//! - A body is signed as it is sent: compressed, once, with its SHA-256.
//!
//! # Parts
//!
//! | | |
//! | --- | --- |
//! | [`AccountSettings`] | `region`, `endpoint`, `profile`, `assume_role`, `credentials`, `fips`, `dual_stack` |
//! | [`Account`] | credentials, region, endpoints, signatures; [`Account::sdk_config`] for clients of the SDK's |
//! | [`Caller`], [`Call`] | a service's signed HTTP client |
//! | [`RequestSigner`] | `auth = { aws = .. }` of other HTTP outputs |
//! | [`ServiceError`], [`judge`], [`element`] | what an answer means, and says |

mod account;
mod answer;
mod backoff;
mod caller;
mod clock;
mod credentials;
mod error;
mod partition;
mod providers;
mod request_signer;
mod service;
mod settings;
mod sign;
mod surroundings;
#[cfg(test)]
mod tests;

pub use self::account::Account;
pub use self::answer::{ServiceError, element, judge};
pub use self::caller::{Call, Caller, client_settings};
pub use self::error::AccountError;
pub use self::request_signer::RequestSigner;
pub use self::service::Service;
pub use self::settings::{AccountSettings, AssumeRole, StaticCredentials};
pub use self::sign::Signable;

pub use aws_types::SdkConfig;
pub use reqwest::Method;
