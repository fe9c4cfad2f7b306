//! A notice: what a channel needs to tell of one alert, without a look into the book.

use chrono::{DateTime, Utc};

use super::facts::Facts;
use super::fingerprint::notice_key;
use crate::model::{Ack, Alert, Group, Notice, NoticeKind};

/// What is said of an alert, and to whom.
pub(super) struct Telling<'a> {
    pub channel: &'a str,
    pub kind: NoticeKind,
    pub reason: String,
    /// What kept the first notice back.
    pub began_during: Option<String>,
    pub group: Group,
    pub ack: Option<&'a Ack>,
}

/// The notice of an alert.
pub(super) fn of(facts: &Facts<'_>, told: Telling<'_>, now: DateTime<Utc>) -> Notice {
    let alert = facts.alert;
    Notice {
        key: notice_key(&alert.episode, told.channel, told.kind, alert.severity, now),
        channel: told.channel.to_string(),
        kind: told.kind,
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
        began_during: told.began_during,
        active_at: alert.active_at,
        at: now,
        category: alert.category.clone(),
        cluster: facts.target.cluster.clone(),
        links: alert.links.clone(),
        group: told.group,
        reason: told.reason,
        acked: told.ack.map(|ack| if ack.note.is_empty() { ack.who.clone() } else { format!("{}: {}", ack.who, ack.note) }),
        fallback_of: None,
        drill: false,
    }
}

/// The detail of the latest finding; a held alert says first how old that is, so that nobody takes it for news.
fn detail(alert: &Alert) -> String {
    let Some(why) = &alert.held else { return alert.detail.clone() };
    let since = format!("not judged since {}: {why}", alert.seen_at.format("%F %TZ"));
    if alert.detail.is_empty() { since } else { format!("{since}. {}", alert.detail) }
}
