//! The driver of an output: what stands between its queue and [`Output::deliver`](suiro_sdk::Output::deliver).
//!
//! | file | does |
//! | --- | --- |
//! | `driver` | the loop: forms deliveries, keeps some under way, closes |
//! | `former` | collects parts until a delivery is full or old enough |
//! | `verdicts` | what an outcome means for each record: settle, retry, dead letter |
//! | `backoff` | when to try again, and how many requests at once |
//! | `dead_letter` | records set aside, with their reason |
//! | `settings` | the settings every output has |
//!
//! Every record that was pushed leaves in exactly one way, and is counted there before its custody is settled.

mod backoff;
mod dead_letter;
mod driver;
pub(crate) mod former;
mod settings;
pub(crate) mod verdicts;

#[cfg(test)]
mod tests;

pub use dead_letter::{Cause, DeadLetter, DeadLetterSettings};
pub use driver::{Driver, DriverSetup};
pub use settings::{OutputSettings, QueueKind, QueueSettings, RetrySettings};
