//! What each channel was told of an episode, what it was not, why, and what comes next.

use std::collections::BTreeMap;

use anyhow::Result;
use chrono::{DateTime, Utc};
use serde::Serialize;

use super::Sources;
use super::life::Life;
use super::scene::Scene;
use crate::alert::is_matched;
use crate::app::setup;
use crate::deliver::circuit::{self, Gate};
use crate::deliver::rate;
use crate::model::{Fingerprint, MaintenanceWindow, NoticeKind, Reason, Severity};
use crate::store::{ChannelState, NoticeState, SentNotice};

/// One channel's part of an episode.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ChannelPart {
    /// Its name; empty when no channel is meant.
    pub channel: String,
    /// What it was told, oldest first.
    pub said: Vec<Said>,
    /// The latest choice about it: whether it was told then, why, and since when that is so.
    pub choice: Option<(bool, String, DateTime<Utc>)>,
    /// When it is told again at the earliest, if it still fires then.
    pub next: Option<DateTime<Utc>>,
    /// Since when it is paused, and why; of the present only.
    pub paused: Option<(DateTime<Utc>, String)>,
    /// The rate that its notices wait for, and when the next message may go; of the present only.
    pub rate_waits: Option<(String, DateTime<Utc>)>,
    /// What `next` falls into: name of a window, and when that ends.
    pub next_waits: Option<(String, DateTime<Utc>)>,
}

/// One notice and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Said {
    /// What it said.
    pub kind: NoticeKind,
    /// When it was decided.
    pub at: DateTime<Utc>,
    /// What became of it: `delivered 17:50:09`, `waits until ..`, `given up`.
    pub state: String,
    /// The receipt, or the latest error.
    pub detail: String,
    /// The channel that it was meant for, when that could not be reached.
    pub fallback_of: Option<String>,
}

impl Said {
    /// What became of a notice.
    #[must_use]
    pub fn of(sent: &SentNotice) -> Self {
        let error = || sent.error.clone().unwrap_or_default();
        let (state, detail) = match &sent.state {
            NoticeState::Waiting { due } => (format!("waits until {}{}", due.format("%TZ"), tries(sent.attempts)), error()),
            NoticeState::Delivered { at, receipt } => (format!("delivered {}", at.format("%TZ")), receipt.clone()),
            NoticeState::Dead { at } => (format!("given up {}", at.format("%TZ")), error()),
            NoticeState::Collapsed { .. } if sent.error.is_none() => ("needless: it was over before it was told".into(), String::new()),
            NoticeState::Collapsed { at } => (format!("taken back {}, before it was sent", at.format("%TZ")), error()),
            NoticeState::Handed { at } => (format!("handed to its fallback {}", at.format("%TZ")), error()),
        };
        Self { kind: sent.notice.kind, at: sent.queued_at, state, detail, fallback_of: sent.notice.fallback_of.clone() }
    }
}

/// What was tried may have arrived, so nothing takes it back.
fn tries(attempts: u32) -> String {
    match attempts {
        0 => String::new(),
        1 => ", tried once".into(),
        more => format!(", tried {more} times"),
    }
}

/// All channels that had a part in the episode, by name.
pub(super) fn of(from: &Sources<'_>, scene: &Scene<'_>, fingerprint: &Fingerprint, life: Option<&Life>) -> Result<Vec<ChannelPart>> {
    let Some(life) = life else { return Ok(Vec::new()) };
    let states = if scene.is_now { from.store.channel_states()? } else { BTreeMap::new() };
    let mut channels: BTreeMap<String, ChannelPart> = BTreeMap::new();
    for sent in from.store.notices_of(&fingerprint.0)? {
        if sent.notice.episode == life.episode && sent.queued_at <= scene.at {
            let part = channels.entry(sent.notice.channel.clone()).or_default();
            part.rate_waits = part.rate_waits.take().or_else(|| rate_waits(from, scene, &states, &sent));
            let mut said = Said::of(&sent);
            if life.suppressed_by.is_some() && sent.attempts == 0 && matches!(sent.state, NoticeState::Waiting { .. }) {
                said.state.push_str(", and is taken back then if it is still kept back");
            }
            part.said.push(said);
        }
    }
    let began = life.steps.first().map_or(life.since, |step| step.at);
    for choice in from.store.decision_records(&fingerprint.0)? {
        if choice.at < began || choice.at > scene.at {
            continue;
        }
        let part = channels.entry(choice.record.channel.clone().unwrap_or_default()).or_default();
        part.next = next(&choice.record.reason);
        part.choice = Some((choice.record.sent, choice.record.reason.to_string(), choice.at));
    }
    let of_channel = |(channel, part): (String, ChannelPart)| {
        let paused = states.get(&channel).and_then(|state| state.paused.clone());
        let next_waits = part.next.and_then(|at| falls_into(scene, fingerprint, at));
        ChannelPart { channel, next_waits, paused, ..part }
    };
    Ok(channels.into_iter().map(of_channel).collect())
}

/// The rate that keeps a notice waiting that is due, on a channel that is used, and when the next message may go.
fn rate_waits(
    from: &Sources<'_>,
    scene: &Scene<'_>,
    states: &BTreeMap<String, ChannelState>,
    sent: &SentNotice,
) -> Option<(String, DateTime<Utc>)> {
    let NoticeState::Waiting { due } = sent.state else { return None };
    let rate = setup::rate(from.config?.channels.get(&sent.notice.channel)?)?;
    let state = states.get(&sent.notice.channel)?;
    if due > scene.at || circuit::gate(state, scene.at) != Gate::Open {
        return None;
    }
    let critical = sent.notice.severity == Severity::Critical;
    rate::free_at(state.bucket, rate, critical, scene.at).map(|at| (rate.to_string(), at))
}

/// When a choice may turn out otherwise.
fn next(reason: &Reason) -> Option<DateTime<Utc>> {
    match reason {
        Reason::Deduplicated { until } | Reason::Window { until, .. } | Reason::Silenced { until, .. } => Some(*until),
        Reason::Acked { until, .. } => *until,
        _ => None,
    }
}

/// The window that is open then.
fn falls_into(scene: &Scene<'_>, fingerprint: &Fingerprint, at: DateTime<Utc>) -> Option<(String, DateTime<Utc>)> {
    let alert = scene.alerts.iter().find(|alert| alert.fingerprint == *fingerprint)?;
    let takes = |window: &&MaintenanceWindow| is_matched(alert, &scene.target, &window.matchers);
    scene.decide.windows.iter().filter(takes).find_map(|window| Some((window.name.clone(), window.window.contains(at)?)))
}
