//! Decide: alert book x outcomes x windows, routes x now -> the next book, notices and records. Pure, no clock.
//!
//! lifecycle -> suppress -> route -> dedup, one alert at a time: what a tick costs follows the alerts and findings there
//! are, never the rows that were judged. Whatever the order of rules and findings, the decision is the same. It never
//! sends (`deliver` does) and never commits (`store` does); `book.told` is read here and changes only by a delivery.

mod announce;
#[cfg(test)]
mod conformance;
mod dedup;
mod facts;
mod fingerprint;
mod health;
mod lifecycle;
mod notice;
mod route;
mod suppress;
#[cfg(test)]
mod testing;
mod verdict;

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use crate::model::{Alert, Book, DecideConfig, Decision, DecisionRecord, Labels, RuleMeta, RuleOutcome, State, Transition};
use lifecycle::{Life, Turn};

pub use fingerprint::fingerprint;
pub use health::{RULE_UNEVALUABLE, meta as rule_unevaluable};

/// A rule's outcome and its alerts in the book; without an outcome the rule is gone.
type Affairs<'a> = (Option<&'a RuleOutcome>, Vec<&'a Alert>);

/// What a tick decides for one target.
#[must_use]
pub fn decide(book: &Book, outcomes: &[RuleOutcome], config: &DecideConfig, now: DateTime<Utc>) -> Decision {
    let health = health::after(book, outcomes, now);
    let own = health::outcome(book, outcomes, &health, config, now);
    let mut affairs: BTreeMap<&str, Affairs<'_>> = BTreeMap::new();
    for outcome in outcomes.iter().chain([&own]) {
        affairs.entry(&outcome.meta.id).or_default().0 = Some(outcome);
    }
    for alert in book.alerts.values() {
        affairs.entry(&alert.rule).or_default().1.push(alert);
    }
    let mut decision = Decision { book: Book { alerts: BTreeMap::new(), rules: health, ..book.clone() }, ..Decision::default() };
    for (outcome, alerts) in affairs.values() {
        let lives = match outcome {
            Some(outcome) => lifecycle::advance(&turn(outcome, alerts, book, config, now), alerts),
            None => alerts.iter().map(|alert| lifecycle::removed(alert)).collect(),
        };
        for life in lives {
            settle(life, book, config, now, &mut decision);
        }
    }
    decision.changed.sort();
    decision.removed.sort();
    decision
}

fn turn<'a>(outcome: &'a RuleOutcome, alerts: &[&Alert], book: &Book, config: &'a DecideConfig, now: DateTime<Utc>) -> Turn<'a> {
    let meta: &RuleMeta = &outcome.meta;
    let last_ok = book.rules.get(&meta.id).and_then(|health| health.last_ok);
    Turn {
        meta,
        verdict: verdict::of(outcome, alerts),
        target: &config.target.name,
        labels: config.target.labels.with(&meta.labels),
        now,
        since_end: last_ok.map_or(TimeDelta::zero(), |last_ok| now - last_ok),
        interval_s: meta.interval_s.max(config.every_s),
    }
}

/// Writes down one alert: its step, its notices, and its place in the next book.
fn settle(mut life: Life<'_>, book: &Book, config: &DecideConfig, now: DateTime<Utc>, decision: &mut Decision) {
    if let Some((from, reason)) = life.change.take() {
        let rule_hash = life.meta.map_or_else(String::new, |meta| meta.hash.clone());
        let labels = life.alert.flat_labels(config.target.cluster.as_deref());
        decision.transitions.push(Transition { rule_hash, labels, ..transition(&life.alert, from, reason, now) });
    }
    if let Some(reason) = life.note.take() {
        let fingerprint = life.alert.fingerprint.clone();
        decision.records.push(DecisionRecord { fingerprint, channel: None, sent: false, reason });
    }
    announce::announce(&mut life, book, config, now, decision);
    let fingerprint = life.alert.fingerprint.clone();
    if matches!(life.alert.state, State::Inactive | State::Resolved) {
        decision.removed.push(fingerprint);
        return;
    }
    if life.before != Some(&life.alert) {
        decision.changed.push(fingerprint.clone());
    }
    decision.book.alerts.insert(fingerprint, Arc::new(life.alert));
}

fn transition(alert: &Alert, from: State, reason: crate::model::Reason, now: DateTime<Utc>) -> Transition {
    Transition {
        fingerprint: alert.fingerprint.clone(),
        episode: alert.episode.clone(),
        rule: alert.rule.clone(),
        subject: alert.subject.clone(),
        severity: alert.severity,
        from,
        to: alert.state,
        reason,
        summary: alert.summary.clone(),
        rule_hash: String::new(),
        labels: Labels::default(),
        at: now,
    }
}

#[cfg(test)]
mod tests {
    use super::testing::*;
    use super::*;

    #[test]
    fn the_order_of_rules_and_findings_decides_nothing() {
        let ended = |id: &str, tables: &[&str]| RuleOutcome { meta: Arc::new(meta(id)), outcome: seen(tables) };
        let one = World::new().tick_all(&[ended("b", &["x", "y"]), ended("a", &["z"])]);
        let other = World::new().tick_all(&[ended("a", &["z"]), ended("b", &["y", "x"])]);
        assert_eq!(serde_json::to_string(&one).unwrap(), serde_json::to_string(&other).unwrap());
    }

    #[test]
    fn the_next_book_names_what_is_new_changed_and_gone() {
        let mut world = World::new();
        let first = world.tick_delivered(seen(&["a", "b"]));
        assert_eq!((first.changed.len(), first.removed.len()), (2, 0));
        let second = world.tick_delivered(seen(&["a"]));
        assert_eq!((second.changed.len(), second.removed.len(), second.book.alerts.len()), (1, 1, 1));
        assert_eq!(second.book.told.len(), 2, "what was told changes by delivery only");
        assert_eq!((second.book.version, second.book.rules.len()), (0, 1));
    }

    #[test]
    fn a_notice_carries_what_a_channel_needs() {
        let mut world = World::new();
        world.rule.runbook = "Do: vacuum it.".into();
        let decision = world.tick(seen(&["a"]));
        let notice = &decision.notices[0];
        assert_eq!((notice.channel.as_str(), notice.target.as_str(), notice.rule.as_str()), ("mail", "orders-1", "dead_rows"));
        assert_eq!((notice.summary.as_str(), notice.runbook.as_str(), notice.at), ("a is warning", "Do: vacuum it.", start()));
        assert_eq!(notice.fingerprint, fingerprint("dead_rows", "orders-1", &table("a")));
    }
}
