//! What a tick decided about its alerts, not yet written out: whom to tell, and how they moved.
//!
//! A tick may be about a hundred thousand alerts at once. So what it decided shares the alert itself, and becomes the `Notice`
//! or the `Transition` that is kept one at a time, when it is stored or looked at. Read from a file they are what was written.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use serde::{Deserialize, Serialize};

use super::{Alert, Fingerprint, Group, Labels, Notice, NoticeKind, Reason, State, Transition};

/// One thing to tell one channel.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(from = "Notice", into = "Notice")]
pub enum Telling {
    /// Of an alert.
    Of(About),
    /// Written out already: a sign of life, a drill.
    Written(Box<Notice>),
}

/// What one channel is told of an alert.
#[derive(Debug, Clone, PartialEq)]
pub struct About {
    /// The alert after the tick.
    pub alert: Arc<Alert>,
    /// As in `Notice`.
    pub key: String,
    /// Channel name.
    pub channel: String,
    /// Why it is sent.
    pub kind: NoticeKind,
    /// The same for a person.
    pub reason: Reason,
    /// What few notices have.
    pub aside: Option<Box<Aside>>,
    /// When it was decided.
    pub at: DateTime<Utc>,
}

/// Parts of a notice that few have; each as in `Notice`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Aside {
    /// What kept the first notice back.
    pub began_during: Option<String>,
    /// What it is told with.
    pub group: Group,
    /// Who acknowledged it.
    pub acked: Option<String>,
    /// The target's cluster.
    pub cluster: Option<String>,
}

impl Telling {
    /// Whom it is about.
    #[must_use]
    pub fn fingerprint(&self) -> &Fingerprint {
        match self {
            Self::Of(about) => &about.alert.fingerprint,
            Self::Written(notice) => &notice.fingerprint,
        }
    }

    /// Why it is sent.
    #[must_use]
    pub fn kind(&self) -> NoticeKind {
        match self {
            Self::Of(about) => about.kind,
            Self::Written(notice) => notice.kind,
        }
    }

    /// Written out.
    #[must_use]
    pub fn notice(&self) -> Notice {
        match self {
            Self::Of(about) => about.notice(),
            Self::Written(notice) => Notice::clone(notice),
        }
    }
}

impl From<Notice> for Telling {
    fn from(notice: Notice) -> Self {
        Self::Written(Box::new(notice))
    }
}

impl From<Telling> for Notice {
    fn from(telling: Telling) -> Self {
        telling.notice()
    }
}

impl PartialEq for Telling {
    fn eq(&self, other: &Self) -> bool {
        self.notice() == other.notice()
    }
}

impl About {
    fn notice(&self) -> Notice {
        let alert = &self.alert;
        let Aside { began_during, group, acked, cluster } = self.aside.as_deref().cloned().unwrap_or_default();
        Notice {
            key: self.key.clone(),
            channel: self.channel.clone(),
            kind: self.kind,
            fingerprint: alert.fingerprint.clone(),
            episode: alert.episode.clone(),
            target: alert.target.clone(),
            rule: alert.rule.clone(),
            title: alert.title.clone(),
            subject: alert.subject.clone(),
            labels: alert.labels.clone(),
            tier: alert.tier,
            severity: alert.severity,
            summary: alert.summary.clone(),
            detail: detail(alert),
            evidence: alert.evidence.clone(),
            actions: alert.actions.clone(),
            runbook: alert.runbook.clone(),
            began_during,
            active_at: alert.active_at,
            at: self.at,
            category: alert.category.clone(),
            cluster,
            links: alert.links.clone(),
            group,
            reason: self.reason.to_string(),
            acked,
            fallback_of: None,
            drill: false,
        }
    }
}

/// The detail of the latest finding; a held alert says first how old that is, so that nobody takes it for news.
fn detail(alert: &Alert) -> String {
    let Some(why) = &alert.held else { return alert.detail.clone() };
    let since = format!("not judged since {}: {why}", alert.seen_at.format("%F %TZ"));
    if alert.detail.is_empty() { since } else { format!("{since}. {}", alert.detail) }
}

/// One change of an alert's state.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(from = "Transition", into = "Transition")]
pub enum Step {
    /// Of an alert.
    Of {
        /// The alert after it.
        alert: Arc<Alert>,
        /// Before.
        from: State,
        /// Why.
        reason: Reason,
        /// What is behind it.
        behind: Arc<Behind>,
        /// When.
        at: DateTime<Utc>,
    },
    /// Written out already.
    Written(Box<Transition>),
}

/// What is behind the steps of all alerts that one rule makes alike; each as in `Transition`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Behind {
    /// Hash of the rule.
    pub rule_hash: String,
    /// What matchers saw beside subject and severity.
    pub labels: Labels,
}

impl Step {
    /// Written out.
    #[must_use]
    pub fn transition(&self) -> Transition {
        match self {
            Self::Of { alert, from, reason, behind, at } => Transition {
                fingerprint: alert.fingerprint.clone(),
                episode: alert.episode.clone(),
                rule: alert.rule.clone(),
                subject: alert.subject.clone(),
                severity: alert.severity,
                from: *from,
                to: alert.state,
                reason: reason.clone(),
                summary: alert.summary.clone(),
                rule_hash: behind.rule_hash.clone(),
                labels: behind.labels.clone(),
                at: *at,
            },
            Self::Written(transition) => Transition::clone(transition),
        }
    }
}

impl From<Transition> for Step {
    fn from(transition: Transition) -> Self {
        Self::Written(Box::new(transition))
    }
}

impl From<Step> for Transition {
    fn from(step: Step) -> Self {
        step.transition()
    }
}

impl PartialEq for Step {
    fn eq(&self, other: &Self) -> bool {
        self.transition() == other.transition()
    }
}
