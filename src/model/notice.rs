//! What a channel is told: one alert, one transition, rendered by the channel itself.

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::{ActionRequest, Evidence, Fingerprint, Labels, Link, Severity, Tier};

/// Why a notice is sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeKind {
    /// First of its episode on this channel.
    #[default]
    Firing,
    /// Severity rose since the last one.
    Raised,
    /// It still fires and the dedup window since the last delivery is over.
    Repeat,
    /// It is over.
    Resolved,
    /// Severity fell since the last one; only where the config asks for it.
    Lowered,
    /// Somebody has acknowledged it.
    Acknowledged,
    /// It goes on and nobody has acknowledged it: the next in line.
    Escalated,
    /// It comes and goes; nothing more is told until it settles.
    Flapping,
    /// It has stopped flapping and still fires.
    Settled,
    /// Nothing is wrong: a sign of life for whoever watches over the watcher.
    Heartbeat,
}

impl NoticeKind {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Firing,
        Self::Raised,
        Self::Repeat,
        Self::Resolved,
        Self::Lowered,
        Self::Acknowledged,
        Self::Escalated,
        Self::Flapping,
        Self::Settled,
        Self::Heartbeat,
    ];

    /// Whether it must not wait for others of its group.
    #[must_use]
    pub fn is_urgent(self) -> bool {
        matches!(self, Self::Raised | Self::Acknowledged | Self::Escalated)
    }

    /// The word used in files and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Raised => "raised",
            Self::Repeat => "repeat",
            Self::Resolved => "resolved",
            Self::Lowered => "lowered",
            Self::Acknowledged => "acknowledged",
            Self::Escalated => "escalated",
            Self::Flapping => "flapping",
            Self::Settled => "settled",
            Self::Heartbeat => "heartbeat",
        }
    }
}

impl fmt::Display for NoticeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is told together: notices of one channel with the same key go out as one message.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// Made of the route and the values of its labels; empty for an alert that is told by itself.
    pub key: String,
    /// The labels that its notices share.
    pub labels: Labels,
    /// Seconds that the first notice waits for others.
    pub wait_s: u64,
    /// Seconds between two messages about it.
    pub interval_s: u64,
}

impl Group {
    /// When a notice that is decided now goes out. `joins`: when another one of the group that waits already does;
    /// `last`: when the group's last message was delivered. Never rounded to a tick: the earliest time that both allow.
    #[must_use]
    pub fn ready_at(&self, urgent: bool, now: DateTime<Utc>, joins: Option<DateTime<Utc>>, last: Option<DateTime<Utc>>) -> DateTime<Utc> {
        if urgent || self.key.is_empty() {
            return now;
        }
        let plus = |at: DateTime<Utc>, s: u64| {
            i64::try_from(s).ok().and_then(TimeDelta::try_seconds).and_then(|span| at.checked_add_signed(span)).unwrap_or(at)
        };
        let (waited, rested) = (plus(now, self.wait_s), plus(now, self.interval_s));
        // A message that lies in the future of a clock that was put back holds nothing longer than one interval.
        let earliest = last.map_or(now, |last| plus(last, self.interval_s).min(rested));
        let own = waited.max(earliest);
        joins.map_or(own, |joins| joins.min(own))
    }
}

/// One thing to tell one channel.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
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
    /// Area of the rule: `vacuum`, `locks`, ...; empty when the rule is gone.
    #[serde(default)]
    pub category: String,
    /// The target's cluster, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// Where to read on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Link>,
    /// What it is told with.
    #[serde(default)]
    pub group: Group,
    /// Why it is sent, for a person: `severity rose from warning`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Who acknowledged the alert, and what they said, if somebody did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acked: Option<String>,
    /// The channel that this was meant for and that could not be reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback_of: Option<String>,
    /// Whether this is an exercise, and nothing is wrong.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub drill: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(s)
    }

    #[test]
    fn the_first_of_a_group_waits_and_the_next_message_keeps_its_distance() {
        let group = Group { key: "g".into(), wait_s: 30, interval_s: 300, ..Group::default() };
        assert_eq!(group.ready_at(false, at(100), None, None), at(130));
        assert_eq!(group.ready_at(false, at(110), Some(at(130)), None), at(130), "it joins the one that waits");
        assert_eq!(group.ready_at(false, at(200), None, Some(at(130))), at(430), "a message was told just now");
        assert_eq!(group.ready_at(false, at(1_000), None, Some(at(130))), at(1_030), "and this one long ago");
        assert_eq!(group.ready_at(true, at(200), Some(at(430)), Some(at(130))), at(200), "what is urgent waits for nobody");
        assert_eq!(group.ready_at(false, at(0), None, Some(at(9_000))), at(300), "a clock was put back");
        assert_eq!(Group::default().ready_at(false, at(5), None, None), at(5), "alone, at once");
    }
}
