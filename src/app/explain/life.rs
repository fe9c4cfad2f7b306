//! How an alert came to where it stood at a time, from its state changes.

use anyhow::Result;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use super::RulePart;
use super::scene::Scene;
use crate::alert::{Patience, patience};
use crate::model::{Alert, Fingerprint, Severity, State, Transition};
use crate::store::Store;

/// Days in which episodes are counted.
pub(super) const DAYS: i64 = 30;

/// The latest episode.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Life {
    /// Where it stood.
    pub state: State,
    /// Since when; of one that fires, since it did so first.
    pub since: DateTime<Utc>,
    /// How far it is on its way to firing, where it is pending now.
    pub patience: Option<Patience>,
    /// Its id.
    pub episode: String,
    /// Which it is of the last 30 days, from 1.
    pub nth: usize,
    /// How bad, by the latest change of its state where an earlier time is explained.
    pub severity: Severity,
    /// One line.
    pub summary: String,
    /// Why its state is held, if it is now.
    pub held: Option<String>,
    /// What keeps its notices back now, if anything.
    pub suppressed_by: Option<String>,
    /// Who looks after it, and what they said.
    pub acked: Option<String>,
    /// Its state changes, oldest first.
    pub steps: Vec<Step>,
    /// State changes of all kept episodes.
    #[serde(skip)]
    all: Vec<Transition>,
}

/// One state change.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// When.
    pub at: DateTime<Utc>,
    /// Before.
    pub from: State,
    /// After.
    pub to: State,
    /// Severity after it.
    pub severity: Severity,
    /// Why, for a person.
    pub reason: String,
}

impl Life {
    /// Whether the alert is not over.
    pub(super) fn is_open(&self) -> bool {
        !matches!(self.state, State::Inactive | State::Resolved)
    }

    /// Whether it fired already when a tick began.
    pub(super) fn fired_before(&self, at: DateTime<Utc>) -> bool {
        self.all.iter().rev().find(|change| change.at < at).is_some_and(|change| matches!(change.to, State::Firing | State::Recovering))
    }

    /// A word of warning when the rule's text was another one at the latest change.
    pub(super) fn other_text(&self, rule: &RulePart) -> Option<String> {
        let then = self.all.last().map(|change| change.rule_hash.as_str()).filter(|hash| !hash.is_empty())?;
        let short = |hash: &str| hash.chars().take(8).collect::<String>();
        let other = !rule.hash.is_empty() && then != rule.hash;
        other.then(|| {
            format!("the rule's text was another one then ({}, now {}): values are judged by that of now", short(then), short(&rule.hash))
        })
    }
}

/// The latest episode of an alert at a time; `None` when none is known.
pub(super) fn of(store: &Store, scene: &Scene<'_>, fingerprint: &Fingerprint) -> Result<Option<Life>> {
    let mut all = store.alert_history(&fingerprint.0)?;
    all.retain(|change| change.at <= scene.at);
    let Some(last) = all.last().cloned() else { return Ok(None) };
    // What the alert says of itself is true now, and not at an earlier time.
    let living =
        scene.alerts.iter().filter(|_| scene.is_now).find(|alert| alert.fingerprint == *fingerprint && alert.episode == last.episode);
    let ack = store.acks(&scene.target.name)?.remove(fingerprint).filter(|ack| ack.episode == last.episode && ack.at <= scene.at);
    let steps = all.iter().filter(|change| change.episode == last.episode);
    let step = |change: &Transition| Step {
        at: change.at,
        from: change.from,
        to: change.to,
        severity: change.severity,
        reason: change.reason.to_string(),
    };
    let fired = all.iter().filter(|_| last.to == State::Firing).find(|change| change.episode == last.episode && change.to == State::Firing);
    Ok(Some(Life {
        state: last.to,
        since: fired.unwrap_or(&last).at,
        patience: living.map(|alert| patience_of(store, scene, alert)).transpose()?.flatten(),
        nth: count(&all, scene.at),
        severity: living.map_or(last.severity, |alert| alert.severity),
        summary: living.map_or(&last.summary, |alert| &alert.summary).clone(),
        held: living.and_then(|alert| alert.held.clone()),
        suppressed_by: living.and_then(|alert| alert.suppressed_by.clone()),
        acked: ack.map(|ack| if ack.note.is_empty() { ack.who } else { format!("{}: {}", ack.who, ack.note) }),
        steps: steps.map(step).collect(),
        episode: last.episode,
        all,
    }))
}

fn patience_of(store: &Store, scene: &Scene<'_>, alert: &Alert) -> Result<Option<Patience>> {
    let Some(meta) = scene.meta.filter(|_| alert.state == State::Pending) else { return Ok(None) };
    let book = store.book(&scene.target.name)?;
    Ok(patience(alert, meta, book.rules.get(&meta.id), scene.decide.every_s, scene.at))
}

/// Episodes that fired within the days before.
fn count(all: &[Transition], at: DateTime<Utc>) -> usize {
    let since = at - TimeDelta::days(DAYS);
    let mut fired: Vec<&str> =
        all.iter().filter(|change| change.to == State::Firing && change.at >= since).map(|change| change.episode.as_str()).collect();
    fired.dedup();
    let current = all.last().map(|change| change.episode.as_str());
    fired.len() + usize::from(current.is_some() && fired.last().copied() != current)
}
