//! What a channel is told: one alert, one transition, rendered by the channel itself.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{ActionRequest, Evidence, Fingerprint, Labels, Severity, Tier};

/// Why a notice is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeKind {
    /// First of its episode on this channel.
    Firing,
    /// Severity rose since the last one.
    Raised,
    /// It still fires and the dedup window since the last delivery is over.
    Repeat,
    /// It is over.
    Resolved,
}

impl NoticeKind {
    /// The word used in files and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Raised => "raised",
            Self::Repeat => "repeat",
            Self::Resolved => "resolved",
        }
    }
}

impl fmt::Display for NoticeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One thing to tell one channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    /// Stable per (episode, channel, kind, time of the decision): a receiver drops repeats by it.
    pub key: String,
    /// Channel name.
    pub channel: String,
    /// Why it is sent.
    pub kind: NoticeKind,
    /// The alert.
    pub fingerprint: Fingerprint,
    /// Its episode.
    pub episode: String,
    /// Target name.
    pub target: String,
    /// Rule id.
    pub rule: String,
    /// Title of the rule.
    pub title: String,
    /// Whom it is about.
    pub subject: Labels,
    /// Routing labels.
    pub labels: Labels,
    /// How urgent.
    pub tier: Tier,
    /// How bad.
    pub severity: Severity,
    /// One line.
    pub summary: String,
    /// More.
    pub detail: String,
    /// Facts.
    pub evidence: Vec<Evidence>,
    /// Advice.
    pub actions: Vec<ActionRequest>,
    /// What to do.
    pub runbook: String,
    /// The window or silence during which it began, when it is told only after that.
    pub began_during: Option<String>,
    /// When the finding was first seen.
    pub active_at: DateTime<Utc>,
    /// When it was decided.
    pub at: DateTime<Utc>,
}
