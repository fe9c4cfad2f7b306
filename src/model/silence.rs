//! What people say about alerts while they live: silences and acknowledgements.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Matchers, Severity};

/// A time in which notices of matching alerts are kept back because somebody said so. It always ends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Silence {
    /// Its name: made by the store, or the one written in the config.
    pub id: String,
    /// Which alerts.
    pub matchers: Matchers,
    /// From when.
    pub starts_at: DateTime<Utc>,
    /// Until when; not part of it.
    pub ends_at: DateTime<Utc>,
    /// Who made it.
    pub author: String,
    /// Why.
    pub reason: String,
    /// A ticket or page about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// Whether it ends when the last alert that it kept back is over.
    #[serde(default)]
    pub expire_on_resolve: bool,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was ended before its time, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<(DateTime<Utc>, String)>,
}

impl Silence {
    /// Longest silence, in seconds: 30 days. Whatever must be quiet for longer is a matter for the config.
    pub const LONGEST_S: i64 = 30 * 86_400;

    /// Whether it keeps anything back at that time.
    #[must_use]
    pub fn is_active(&self, at: DateTime<Utc>) -> bool {
        self.starts_at <= at && at < self.ends_at && self.ended.as_ref().is_none_or(|(ended_at, _)| at < *ended_at)
    }
}

/// How long an acknowledgement holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AckMode {
    /// Until the alert changes its state (recovers, comes back) or its severity.
    UntilChange,
    /// Until the alert is resolved.
    UntilResolved,
}

/// Somebody has seen an alert and looks after it. Repeats and escalation stop; a rise in severity always ends it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ack {
    /// The episode it is about.
    pub episode: String,
    /// Who.
    pub who: String,
    /// What they said.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// When.
    pub at: DateTime<Utc>,
    /// When it runs out, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<DateTime<Utc>>,
    /// What ends it.
    pub mode: AckMode,
    /// The severity at the time.
    pub severity: Severity,
}
