//! Alerts and the book that holds them. How they move is `alert`'s; here is only what they are.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Ack, ActionRequest, Evidence, Few, Labels, Link, NoticeKind, Reason, Severity, Silence, Tier};

/// Who an alert is: a hash of rule id, target and subject. Made by `alert::fingerprint`.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(pub String);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where an alert stands in its life. Inactive and resolved alerts are not in the book.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// There is no finding.
    #[default]
    Inactive,
    /// There is a finding, not yet for as long as the rule's `for`.
    Pending,
    /// It lasts.
    Firing,
    /// The finding is gone, not yet for as long as the rule's `keep_firing_for`.
    Recovering,
    /// It is over; the end of an episode.
    Resolved,
}

impl State {
    /// The word used in files and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inactive => "inactive",
            Self::Pending => "pending",
            Self::Firing => "firing",
            Self::Recovering => "recovering",
            Self::Resolved => "resolved",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A finding with a life.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// Who.
    pub fingerprint: Fingerprint,
    /// The life this is: `<fingerprint prefix>-<when it began>`; a new one after each resolve.
    pub episode: String,
    /// Rule id.
    pub rule: String,
    /// Title of the rule.
    pub title: String,
    /// Target name.
    pub target: String,
    /// Whom it is about on that target.
    pub subject: Labels,
    /// Labels for routing and windows: the target's, then the rule's.
    pub labels: Labels,
    /// How urgent.
    pub tier: Tier,
    /// How bad, by the latest finding.
    pub severity: Severity,
    /// Where it stands.
    pub state: State,
    /// When the finding was first seen; moved on over gaps that prove nothing.
    pub active_at: DateTime<Utc>,
    /// When it fired.
    pub fired_at: Option<DateTime<Utc>>,
    /// When the finding went away.
    pub recovering_at: Option<DateTime<Utc>>,
    /// When the rule last came to an end and saw it, written down when it no longer does; `last_seen` says it at any time.
    pub seen_at: DateTime<Utc>,
    /// Why its state is held now, if it is.
    pub held: Option<String>,
    /// What keeps its notices back now, if anything: `window weekly-patch`.
    pub suppressed_by: Option<String>,
    /// One line, by the latest finding.
    pub summary: String,
    /// More, by the latest finding.
    pub detail: String,
    /// Facts, by the latest finding.
    pub evidence: Vec<Evidence>,
    /// Advice, by the latest finding.
    pub actions: Vec<ActionRequest>,
    /// What to do.
    pub runbook: String,
    /// Area of its rule; empty in books of earlier builds.
    #[serde(default)]
    pub category: String,
    /// Where to read on, by the latest finding.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Link>,
    /// The latest choice about each channel, so that only a change of it is written down; about no channel under an empty
    /// name.
    #[serde(default, skip_serializing_if = "Few::is_empty")]
    pub choices: Few<(bool, Reason)>,
    /// How it comes and goes.
    #[serde(default, skip_serializing_if = "Flap::is_calm")]
    pub flap: Flap,
    /// How far its escalation is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escalated: Option<Escalated>,
    /// When the acknowledgement was made that channels were told of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ack_told: Option<DateTime<Utc>>,
}

impl Alert {
    /// When its rule last came to an end and saw it; `health` is the rule's, from the same book.
    #[must_use]
    pub fn last_seen(&self, health: Option<&RuleHealth>) -> DateTime<Utc> {
        let is_seen = self.held.is_none() && matches!(self.state, State::Pending | State::Firing);
        health.and_then(|health| health.last_ok).filter(|_| is_seen).unwrap_or(self.seen_at)
    }

    /// What matchers see of all alerts that its rule makes alike on a target: its labels, and over them the names that
    /// every alert has.
    #[must_use]
    pub fn common_labels(&self, cluster: Option<&str>) -> Labels {
        let of_every_alert =
            [("rule", self.rule.as_str()), ("target", &self.target), ("tier", self.tier.as_str()), ("category", &self.category)];
        let of_every_alert = of_every_alert.into_iter().chain(cluster.map(|cluster| ("cluster", cluster)));
        self.labels.with(&of_every_alert.collect())
    }

    /// All that matchers see of it, in one map.
    #[must_use]
    pub fn flat_labels(&self, cluster: Option<&str>) -> Labels {
        flat(&self.subject, &self.common_labels(cluster), self.severity)
    }
}

/// What matchers see of one alert: its subject, what it has in common with others, and how bad it is.
pub(super) fn flat(subject: &Labels, common: &Labels, severity: Severity) -> Labels {
    subject.with(common).with(&[("severity", severity.as_str())].into_iter().collect())
}

/// How a subject comes and goes, told apart by the number of its rule's evaluation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Flap {
    /// Evaluations at which it came or went, oldest first; only the latest that count.
    pub changes: Vec<u64>,
    /// Since when it flaps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<DateTime<Utc>>,
    /// From when to when it last flapped in this episode, for who was told of it meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled: Option<(DateTime<Utc>, DateTime<Utc>)>,
    /// Its rule; only where no alert says so.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub rule: String,
}

impl Flap {
    /// Whether there is nothing to remember.
    #[must_use]
    pub fn is_calm(&self) -> bool {
        self.changes.is_empty() && self.since.is_none()
    }
}

/// How far the escalation of an alert is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Escalated {
    /// When the first notice was delivered, moved on over times in which notices were kept back.
    pub since: Option<DateTime<Utc>>,
    /// Since when its clock stands still, if it does.
    pub paused_at: Option<DateTime<Utc>>,
    /// Steps taken, by name of the escalation.
    pub steps: BTreeMap<String, usize>,
}

/// How one rule fares on one target over time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RuleHealth {
    /// When it last came to an end.
    pub last_ok: Option<DateTime<Utc>>,
    /// Since when it has not (NoData or Error), and why.
    pub unknown_since: Option<DateTime<Utc>>,
    /// The latest reason.
    pub reason: String,
    /// Errors in a row.
    pub errors: u32,
    /// Times that it came to an end; what flapping is counted in.
    #[serde(default)]
    pub evaluations: u64,
    /// When the latest of them was, and the hash of the rule that it was of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<(DateTime<Utc>, String)>,
}

impl RuleHealth {
    /// Errors in a row after which a plugin's rule is tried less often.
    pub const RESTS_AFTER: u32 = 3;
    /// Errors in a row after which it is quarantined: a person is told at once, and it is tried only now and then.
    pub const QUARANTINED_AFTER: u32 = 10;

    /// Whether it is quarantined.
    #[must_use]
    pub fn is_quarantined(&self) -> bool {
        self.errors >= Self::QUARANTINED_AFTER
    }
}

/// The latest notice of an episode that a channel was given, from the outbox.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// The episode it belongs to.
    pub episode: String,
    /// What it said.
    pub kind: NoticeKind,
    /// The severity it said.
    pub severity: Severity,
    /// When it was put into the outbox.
    pub queued_at: DateTime<Utc>,
    /// When the channel took it; `None` while it is on its way.
    pub delivered_at: Option<DateTime<Utc>>,
}

/// How a channel fares, from the store.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ChannelHealth {
    /// Since when it is not used, because the receiver refuses our login; somebody has to mend it.
    pub paused_at: Option<DateTime<Utc>>,
    /// Since when nothing has gone through, although it was tried.
    pub failing_since: Option<DateTime<Utc>>,
    /// The latest error; empty when all is well.
    pub error: String,
    /// Notices that wait for it.
    pub waiting: u64,
    /// Notices that were given up in the last day.
    pub dead: u64,
}

/// An alert of another target, as far as it may inhibit one of this.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Elsewhere {
    /// Who.
    pub fingerprint: Fingerprint,
    /// All that matchers see of it: its labels and subject, and the names that every alert has.
    pub labels: Labels,
}

/// All that is known of one target's alerts between two ticks.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Book {
    /// Counts commits; a commit made from an older version is refused.
    pub version: u64,
    /// Living alerts; shared, since from tick to tick most stay as they are.
    pub alerts: BTreeMap<Fingerprint, Arc<Alert>>,
    /// Rule health by rule id.
    pub rules: BTreeMap<String, RuleHealth>,
    /// What each channel was last told, by alert and channel name. Failed notices are not here.
    /// Shared, since a tick changes nothing of it.
    pub told: Arc<BTreeMap<Fingerprint, Few<Told>>>,
    /// Acknowledgements of living episodes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub acks: BTreeMap<Fingerprint, Ack>,
    /// Silences that people made, all targets'; those that ended lately are still here, for what they kept back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub silences: Vec<Silence>,
    /// Firing alerts of other targets that some inhibition may be about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub elsewhere: Vec<Elsewhere>,
    /// How subjects without a living alert came and went lately.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub flaps: BTreeMap<Fingerprint, Flap>,
}
