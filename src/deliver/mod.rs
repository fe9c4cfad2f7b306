//! Deliver: outbox rows in, receipts out. It never decides what is told, only when it is tried again.
//!
//! `drain` gives each channel its `turn`: lease, send under a timeout, finish. `packet` gathers rows to messages, `rate` and
//! `circuit` say what a channel may be given now, `retry` what becomes of a row: the one retry engine. A channel only sends
//! and classes its errors; it never loops, never retries. `render` and `card` make every text safe that a database, script or
//! config wrote; `story` says for chats what a message says, `escape` and `template` how; `trend` reads how facts went, `plot` draws
//! it. At least once: a crash between send and finish sends the same key again.
//!
//! Deliberately absent: groups and whom to tell, which `alert` decides before a row exists.

pub mod card;
pub mod channels;
pub mod circuit;
mod drain;
pub mod escape;
pub mod hook;
pub mod http;
pub mod labelled;
mod packet;
pub mod plot;
pub mod rate;
pub mod render;
pub mod retry;
pub mod story;
pub mod template;
#[cfg(test)]
mod testing;
pub mod trend;
mod turn;

pub use drain::{DrainBudget, DrainReport, Post};

use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;

use self::channels::{Rate, Traits};
use crate::model::{Evidence, Notice, NoticeKind, Reach, Severity};
use crate::secret::SecretError;

/// What goes out to a channel at once: one notice, or several of one group, or a digest of what a rate limit would not let
/// through one by one.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Stable: the same when the same is sent again. It goes out with the message, so that a receiver can drop repeats.
    pub key: String,
    /// At least one; worst first, then in the order in which they were decided.
    pub notices: Vec<Notice>,
    /// How many more there were than a message may hold.
    pub omitted: usize,
    /// Whether it stands for notices that would have come one by one.
    pub digest: bool,
    /// What the channel kept (`Receipt::handle`) of the last message about the same episode or group: to reply to it, or to
    /// change it in place.
    pub previous: Option<String>,
    /// How the measured facts went lately, for channels that draw.
    pub trends: Vec<Trend>,
}

/// How one measured fact of a notice went.
#[derive(Debug, Clone, PartialEq)]
pub struct Trend {
    /// Key of the notice.
    pub notice: String,
    /// The fact, with its unit and limit.
    pub fact: Evidence,
    /// Readings, oldest first.
    pub points: Vec<(DateTime<Utc>, f64)>,
}

impl Message {
    /// A message of one notice.
    #[must_use]
    pub fn of(notice: Notice) -> Self {
        Self { key: notice.key.clone(), notices: vec![notice], omitted: 0, digest: false, previous: None, trends: Vec::new() }
    }

    /// The notice that stands first; a message always has one.
    #[must_use]
    pub fn first(&self) -> Option<&Notice> {
        self.notices.first()
    }

    /// The worst of what still goes on, else of all.
    #[must_use]
    pub fn severity(&self) -> Severity {
        let of = |notices: &mut dyn Iterator<Item = &Notice>| notices.map(|notice| notice.severity).max();
        let open = of(&mut self.notices.iter().filter(|notice| notice.kind != NoticeKind::Resolved));
        open.or_else(|| of(&mut self.notices.iter())).unwrap_or(Severity::Info)
    }

    /// Whether all of it is over.
    #[must_use]
    pub fn is_resolved(&self) -> bool {
        self.notices.iter().all(|notice| notice.kind == NoticeKind::Resolved)
    }
}

/// A way to tell somebody.
pub trait Channel: Send + Sync {
    /// Its name in the config.
    fn name(&self) -> &str;

    /// Its kind, one of `channels::KINDS`.
    fn kind(&self) -> &'static str;

    /// Sends one message once. It never loops and never tries again. May be dropped half-way when it takes too long.
    fn send<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<Receipt, SendError>>;

    /// Whether a drill that its receiver took stays open there until its end is told.
    fn keeps_drills_open(&self) -> bool {
        false
    }
}

/// A channel as notices are brought to it.
#[derive(Clone)]
pub struct Line {
    /// The channel.
    pub channel: Arc<dyn Channel>,
    /// What is true of its kind.
    pub traits: Traits,
    /// Most messages that it is sent.
    pub rate: Option<Rate>,
    /// The channel that is told what this one cannot be told.
    pub fallback: Option<String>,
}

impl Line {
    /// A channel that takes one notice a message, as often as there are any, and has nobody in its stead.
    #[must_use]
    pub fn plain(channel: Arc<dyn Channel>) -> Self {
        let traits = Traits { stateful: false, reach: Reach::Tell, most: 1, digest: false, rate: None, draws: false };
        Self { channel, traits, rate: None, fallback: None }
    }
}

/// What a channel answered, kept with the notices.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Receipt {
    /// For a person: `250 accepted`, `202, incident key ...`.
    pub text: String,
    /// What the channel wants to be given as `Message::previous` next time.
    pub handle: Option<String>,
}

impl Receipt {
    /// A receipt without a handle.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), handle: None }
    }
}

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
    /// What one of the channel's settings names is not to be had on this machine: a secret, a file, a program. Tried again,
    /// since somebody may put it right at any time.
    #[error("{detail}")]
    Unready {
        /// The setting.
        setting: &'static str,
        /// What happened.
        detail: String,
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

    /// The secret of a setting is not to be had; why is said, and never what came.
    #[must_use]
    pub fn no_secret(setting: &'static str, error: &SecretError) -> Self {
        let why = std::error::Error::source(error).map_or(String::new(), |why| format!(": {why}"));
        Self::Unready { setting, detail: format!("the setting `{setting}` is not to be had: {error}{why}") }
    }
}
