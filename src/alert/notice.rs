//! A notice: what a channel needs to tell of one alert, without a look into the book.

use chrono::{DateTime, Utc};

use super::fingerprint::notice_key;
use crate::model::{Alert, Notice, NoticeKind};

/// The notice of an alert for a channel.
pub(super) fn of(alert: &Alert, channel: &str, kind: NoticeKind, began_during: Option<String>, now: DateTime<Utc>) -> Notice {
    Notice {
        key: notice_key(&alert.episode, channel, kind, alert.severity, now),
        channel: channel.to_string(),
        kind,
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
        at: now,
        category: alert.category.clone(),
        cluster: None,
        links: alert.links.clone(),
        ..Notice::default()
    }
}

/// The detail of the latest finding; a held alert says first how old that is, so that nobody takes it for news.
fn detail(alert: &Alert) -> String {
    let Some(why) = &alert.held else { return alert.detail.clone() };
    let since = format!("not judged since {}: {why}", alert.seen_at.format("%F %TZ"));
    if alert.detail.is_empty() { since } else { format!("{since}. {}", alert.detail) }
}
