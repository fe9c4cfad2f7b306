//! Deliver: outbox rows in, receipts out. It never decides what is told, only when it is tried again.
//!
//! `drain` leases rows, hands each to its channel under a timeout, and finishes it by what `retry` says: the one retry
//! engine. A channel only sends and classes its errors; it never loops, never retries. `render` makes every text safe
//! that a database, script or config wrote. At least once: a crash between send and finish sends the same key again.
//!
//! Deliberately absent: grouping, rate limits and fallbacks, which `alert` will decide before a row exists.

pub mod channels;
mod drain;
pub mod render;
pub mod retry;
#[cfg(test)]
mod testing;

pub use drain::{DrainBudget, DrainReport, drain};

use futures_util::future::BoxFuture;

use crate::model::Notice;

/// A way to tell somebody.
pub trait Channel: Send + Sync {
    /// Its name in the config.
    fn name(&self) -> &str;

    /// Its kind, one of `channels::KINDS`.
    fn kind(&self) -> &'static str;

    /// Tells one notice once. `key` is the same when the same notice is told again; it goes out with the notice, so that
    /// a receiver can drop repeats. May be dropped half-way when it takes too long.
    fn send<'a>(&'a self, notice: &'a Notice, key: &'a str) -> BoxFuture<'a, Result<Receipt, SendError>>;
}

/// What a channel answered, kept with the notice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt(pub String);

/// Why a notice could not be told, by what can be done about it. Details are fragments without secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// It may work later.
    #[error("{detail}")]
    Retryable {
        /// What happened.
        detail: String,
        /// Seconds that the receiver asked to wait.
        after_s: Option<u64>,
    },
    /// This notice will never be taken.
    #[error("{detail}")]
    Permanent {
        /// What happened.
        detail: String,
    },
    /// The receiver does not know us: nothing will be taken until somebody mends it.
    #[error("{detail}")]
    Auth {
        /// What happened.
        detail: String,
    },
}

impl SendError {
    /// It may work later; nobody said when.
    #[must_use]
    pub fn retryable(detail: impl Into<String>) -> Self {
        Self::Retryable { detail: detail.into(), after_s: None }
    }
}
