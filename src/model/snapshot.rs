//! All frames of one tick. Each is collected or missing with a reason: missing is not empty, and neither is zero.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Frame, Target};

/// What the server says of itself; counters begin anew when `system_identifier`, `started_at` or `timeline` change.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Server {
    /// `server_version_num`, for example 160004.
    pub version_num: u32,
    /// `server_version`, for example `16.4 (Debian 16.4-1)`.
    pub version: String,
    /// `system_identifier` of the cluster; `None` where the role may not read it.
    pub system_identifier: Option<String>,
    /// Postmaster start, seconds since the epoch by the server's clock.
    pub started_at: Option<f64>,
    /// Current timeline.
    pub timeline: Option<i64>,
    /// Whether it is a standby.
    pub in_recovery: Option<bool>,
}

impl Server {
    /// `16.4` from `16.4 (Debian 16.4-1)`.
    #[must_use]
    pub fn short_version(&self) -> &str {
        self.version.split_whitespace().next().unwrap_or("?")
    }
}

/// Why a frame could not be collected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MissingReason {
    /// No connection to the server or database.
    Unreachable,
    /// The server refused the login.
    LoginRefused,
    /// No connection slot was free.
    TooManyClients,
    /// The role lacks a privilege.
    NoGrant,
    /// An extension is not installed, or too old.
    NoExtension,
    /// A server setting turns the source off.
    SettingOff,
    /// The server's version does not have the source.
    Version,
    /// It waited longer than `lock_timeout`.
    LockTimeout,
    /// It ran longer than `statement_timeout`.
    StatementTimeout,
    /// The budget for this server was used up.
    Budget,
    /// It does not apply to this server (a standby's on a primary): proof that what it would show does not exist.
    NotApplicable,
    /// The server answered with another error.
    ServerError,
    /// It has not been collected yet, or its collection was switched off.
    NotCollected,
    /// It needs an earlier reading, or a longer history, than there is so far.
    NotYet,
}

impl MissingReason {
    /// The word used in files, tests and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::LoginRefused => "login_refused",
            Self::TooManyClients => "too_many_clients",
            Self::NoGrant => "no_grant",
            Self::NoExtension => "no_extension",
            Self::SettingOff => "setting_off",
            Self::Version => "version",
            Self::LockTimeout => "lock_timeout",
            Self::StatementTimeout => "statement_timeout",
            Self::Budget => "budget",
            Self::NotApplicable => "not_applicable",
            Self::ServerError => "server_error",
            Self::NotCollected => "not_collected",
            Self::NotYet => "not_yet",
        }
    }

    /// All reasons, for tests and docs.
    pub const ALL: [Self; 14] = [
        Self::Unreachable,
        Self::LoginRefused,
        Self::TooManyClients,
        Self::NoGrant,
        Self::NoExtension,
        Self::SettingOff,
        Self::Version,
        Self::LockTimeout,
        Self::StatementTimeout,
        Self::Budget,
        Self::NotApplicable,
        Self::ServerError,
        Self::NotCollected,
        Self::NotYet,
    ];
}

impl fmt::Display for MissingReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A frame that is not there, why, and what would bring it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// The class of the reason.
    pub reason: MissingReason,
    /// This case, in one fragment: `the role cannot read pg_stats of 38 tables`.
    pub detail: String,
    /// The GRANT, setting or command that mends it, ready to paste.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

impl Missing {
    /// A missing frame without a remedy.
    #[must_use]
    pub fn new(reason: MissingReason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into(), remedy: None }
    }

    /// The same with what mends it.
    #[must_use]
    pub fn with_remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

/// One frame of a snapshot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reading {
    /// It was read, now or (when its group was not due) earlier: see `as_of`.
    Collected(#[serde(with = "shared_frame")] Arc<Frame>),
    /// It was not.
    Missing(Missing),
}

impl Reading {
    /// The frame, if there is one.
    #[must_use]
    pub fn frame(&self) -> Option<&Arc<Frame>> {
        match self {
            Self::Collected(frame) => Some(frame),
            Self::Missing(_) => None,
        }
    }
}

/// What the collection cost. Time is what was spent waiting for the server: its own time and the network's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// Time spent waiting for answers, in milliseconds, summed over queries.
    pub server_ms: f64,
    /// Queries sent.
    pub queries: u32,
    /// Rows read.
    pub rows: u64,
    /// Bytes of values read.
    pub bytes: u64,
    /// Connections opened.
    pub connections: u32,
}

/// All that was seen of one target at one time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Version of this file form; see `Snapshot::FORM`.
    pub form: u32,
    /// Whose it is.
    pub target: Target,
    /// The one time that the tick read the clock; `now` for everything after.
    pub taken_at: DateTime<Utc>,
    /// What the server said of itself; `None` when it could not be reached.
    pub server: Option<Server>,
    /// Frames by name.
    pub frames: BTreeMap<String, Reading>,
    /// What it cost.
    #[serde(default)]
    pub cost: Cost,
}

impl Snapshot {
    /// The form that this build writes. It reads this one; an older or newer one is refused by name.
    pub const FORM: u32 = 1;

    /// The frame of that name if it was collected.
    #[must_use]
    pub fn frame(&self, name: &str) -> Option<&Arc<Frame>> {
        self.frames.get(name)?.frame()
    }

    /// Why the frame of that name is not there; `None` when it is.
    #[must_use]
    pub fn missing(&self, name: &str) -> Option<Missing> {
        match self.frames.get(name) {
            Some(Reading::Collected(_)) => None,
            Some(Reading::Missing(missing)) => Some(missing.clone()),
            None => Some(Missing::new(MissingReason::NotCollected, format!("frame `{name}` was not collected"))),
        }
    }
}

mod shared_frame {
    use super::{Arc, Deserialize, Frame};
    use serde::{Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(frame: &Arc<Frame>, ser: S) -> Result<S::Ok, S::Error> {
        frame.as_ref().serialize(ser)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(de: D) -> Result<Arc<Frame>, D::Error> {
        Frame::deserialize(de).map(Arc::new)
    }
}
