//! Decide: alert book x outcomes x silences, windows, routes x now -> the next book, notices and records. Pure, no clock.
//!
//! First every alert takes its step (`lifecycle`, `flap`), so that inhibition sees this evaluation's states; then each is
//! announced: suppress -> acknowledge -> route -> dedup -> escalate. What a tick costs follows the alerts and findings
//! there are, never the rows that were judged, and an alert of which nothing changes is not even copied. Whatever the order
//! of rules and findings, the decision is the same. Of what waits to be sent, `withdraw` says what is not to be told any more.
//! It never sends (`deliver` does) and never commits (`store` does); `book.told` is read here and changes only by a delivery.

mod ack;
mod announce;
mod ask;
#[cfg(test)]
mod conformance;
mod dedup;
mod escalate;
mod facts;
mod fingerprint;
mod flap;
mod health;
mod lifecycle;
mod own;
mod patience;
mod route;
mod suppress;
#[cfg(test)]
mod testing;
mod verdict;
mod withdraw;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use crate::model::{Alert, Behind, Book, DecideConfig, Decision, Fingerprint, Flap, Reason, RuleMeta, RuleOutcome, State, Step};
use facts::Facts;
use lifecycle::{Life, Turn};
use suppress::{Scene, Sources, open_windows};

pub use ask::is_matched;
pub use fingerprint::fingerprint;
pub use health::{RULE_UNEVALUABLE, meta as rule_unevaluable};
pub use own::{CHANNEL_UNHEALTHY, HEARTBEAT_OVERDUE, OWN_TARGET, TARGET_UNUSABLE, Untaken, outcomes as own_outcomes, rules as own_rules};
pub use patience::{Patience, counted_s, patience};
pub use route::{Taken, routes_of};
pub use withdraw::withdrawn;

/// A rule's outcome and its alerts in the book; without an outcome the rule is gone.
type Affairs<'a> = (Option<&'a RuleOutcome>, Vec<&'a Arc<Alert>>);

/// Subjects without an alert whose comings and goings are remembered; beyond that the calmest are forgotten.
const MOST_FLAPS: usize = 1_000;

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
        match affairs.get_mut(alert.rule.as_str()) {
            Some(known) => known.1.push(alert),
            None => drop(affairs.insert(&alert.rule, (None, vec![alert]))),
        }
    }
    let next = Decision { book: Book { rules: health, ..book.clone() }, ..Decision::default() };
    let mut lives: Vec<Life<'_>> = Vec::with_capacity(book.alerts.len());
    for (outcome, alerts) in affairs.values() {
        match outcome {
            Some(outcome) => lives.extend(lifecycle::advance(&turn(outcome, alerts, book, &next.book, config, now), alerts)),
            None => lives.extend(alerts.iter().map(|alert| lifecycle::removed(alert, Reason::RuleRemoved))),
        }
    }
    close(lives, book, config, now, next)
}

/// The end of all alerts of a target that is gone from the config: whoever was told of them is told so.
#[must_use]
pub fn remove_target(book: &Book, config: &DecideConfig, now: DateTime<Utc>) -> Decision {
    let next = Decision { book: Book { rules: BTreeMap::new(), flaps: BTreeMap::new(), ..book.clone() }, ..Decision::default() };
    let lives = book.alerts.values().map(|alert| lifecycle::removed(alert, Reason::TargetRemoved)).collect();
    close(lives, book, config, now, next)
}

fn turn<'a>(
    outcome: &'a RuleOutcome,
    alerts: &[&Arc<Alert>],
    book: &'a Book,
    next: &Book,
    config: &'a DecideConfig,
    now: DateTime<Utc>,
) -> Turn<'a> {
    let meta: &RuleMeta = &outcome.meta;
    let last_end = book.rules.get(&meta.id).and_then(|health| health.last_ok);
    Turn {
        meta,
        verdict: verdict::of(outcome, alerts),
        target: &config.target.name,
        labels: config.target.labels.with(&meta.labels),
        now,
        since_end: last_end.map_or(TimeDelta::zero(), |last_end| now - last_end),
        last_end,
        interval_s: interval_s(meta, config.every_s),
        evaluation: next.rules.get(&meta.id).map_or(1, |health| health.evaluations),
        flapping: config.flapping,
        flaps: &book.flaps,
    }
}

/// How far apart a rule's evaluations are meant to be, in seconds, where ticks come every `every_s`.
fn interval_s(meta: &RuleMeta, every_s: u64) -> u64 {
    meta.interval_s.max(every_s)
}

/// Announces all that took their step, and puts the next book together.
fn close(lives: Vec<Life<'_>>, book: &Book, config: &DecideConfig, now: DateTime<Utc>, mut decision: Decision) -> Decision {
    let firing = lives.iter().filter(|life| matches!(life.alert.state, State::Firing | State::Recovering));
    let sources = match config.inhibitions.is_empty() {
        true => Sources::default(),
        false => Sources::of(config, book, firing.map(|life| Facts { alert: &life.alert, meta: life.meta, target: &config.target })),
    };
    let open = open_windows(config, now);
    let scene = Scene { config, book, sources: &sources, open: &open, now };
    let mut over: Vec<Arc<Alert>> = Vec::new();
    let mut common = Common::default();
    for life in lives {
        settle(life, &scene, &mut common, &mut decision, &mut over);
    }
    decision.book.acks.retain(|fingerprint, _| decision.book.alerts.contains_key(fingerprint));
    end_silences(&over, &scene, &mut decision);
    remember_flaps(&over, &mut decision.book);
    decision.changed.sort();
    decision.removed.sort();
    decision
}

/// Writes down one alert: its notices, its step, and its place in the next book.
fn settle(mut life: Life<'_>, scene: &Scene<'_>, common: &mut Common, decision: &mut Decision, over: &mut Vec<Arc<Alert>>) {
    announce::announce(&mut life, scene, decision);
    if let Some((from, reason)) = life.change.take() {
        let behind = common.behind(&life, scene.config.target.cluster.as_deref());
        decision.steps.push(Step::Of { alert: life.alert.clone(), from, reason, behind, at: scene.now });
    }
    let fingerprint = &life.alert.fingerprint;
    if matches!(life.alert.state, State::Inactive | State::Resolved) {
        decision.removed.push(fingerprint.clone());
        decision.book.alerts.remove(fingerprint);
        over.push(life.alert);
        return;
    }
    let same = life.before.is_some_and(|before| Arc::ptr_eq(before, &life.alert) || **before == *life.alert);
    if !same {
        decision.changed.push(fingerprint.clone());
        decision.book.alerts.insert(fingerprint.clone(), life.alert);
    }
}

/// What is behind the steps of alerts that are alike, made once and shared.
#[derive(Default)]
struct Common {
    of: Option<Arc<Alert>>,
    behind: Arc<Behind>,
}

impl Common {
    fn behind(&mut self, life: &Life<'_>, cluster: Option<&str>) -> Arc<Behind> {
        let alert = &life.alert;
        let alike =
            |of: &Arc<Alert>| (of.tier, &of.rule, &of.category, &of.labels) == (alert.tier, &alert.rule, &alert.category, &alert.labels);
        if !self.of.as_ref().is_some_and(alike) {
            let rule_hash = life.meta.map_or_else(String::new, |meta| meta.hash.clone());
            self.behind = Arc::new(Behind { rule_hash, labels: alert.common_labels(cluster) });
            self.of = Some(alert.clone());
        }
        self.behind.clone()
    }
}

/// Silences that end with the last alert that they kept back.
fn end_silences(over: &[Arc<Alert>], scene: &Scene<'_>, decision: &mut Decision) {
    let target = &scene.config.target;
    for silence in scene.book.silences.iter().filter(|silence| silence.expire_on_resolve && silence.is_active(scene.now)) {
        let matches = |alert: &Arc<Alert>| Facts { alert, meta: None, target }.match_all(&silence.matchers);
        let fired = |alert: &&Arc<Alert>| alert.state == State::Resolved && matches(alert);
        if over.iter().any(|alert| fired(&alert)) && !decision.book.alerts.values().any(matches) {
            decision.ended_silences.push((silence.id.clone(), Reason::LastOfSilence));
        }
    }
    let ended: BTreeSet<&str> = decision.ended_silences.iter().map(|(id, _)| id.as_str()).collect();
    decision.book.silences.retain(|silence| !ended.contains(silence.id.as_str()));
}

/// How subjects without an alert came and went, while it still counts.
fn remember_flaps(over: &[Arc<Alert>], next: &mut Book) {
    if next.flaps.is_empty() && over.is_empty() {
        return;
    }
    let gone = over.iter().filter(|alert| !alert.flap.changes.is_empty());
    let gone: Vec<(Fingerprint, Flap)> = gone
        .map(|alert| (alert.fingerprint.clone(), Flap { since: None, settled: None, rule: alert.rule.clone(), ..alert.flap.clone() }))
        .collect();
    next.flaps.extend(gone);
    let (alerts, rules) = (&next.alerts, &next.rules);
    next.flaps.retain(|fingerprint, flap| {
        !alerts.contains_key(fingerprint) && rules.get(&flap.rule).is_some_and(|health| flap::is_recent(flap, health.evaluations))
    });
    if next.flaps.len() > MOST_FLAPS {
        let mut calmest: Vec<(usize, Fingerprint)> = next.flaps.iter().map(|(who, flap)| (flap.changes.len(), who.clone())).collect();
        calmest.sort();
        calmest.truncate(next.flaps.len() - MOST_FLAPS);
        calmest.iter().for_each(|(_, who)| drop(next.flaps.remove(who)));
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
        assert_eq!(format!("{one:?}"), format!("{other:?}"));
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
    fn what_is_found_again_stays_the_same_value() {
        for for_s in [0, 3_600] {
            let mut world = World::new();
            world.rule.for_s = for_s;
            world.story([seen(&["a"]), seen(&["a"])]);
            let before = world.book.alerts.clone();
            let again = world.tick_delivered(seen(&["a"]));
            assert!(again.changed.is_empty() && again.records.is_empty());
            let [before, after] = [&before, &again.book.alerts].map(|alerts| alerts.values().next().unwrap());
            assert!(Arc::ptr_eq(before, after), "not even copied");
            assert_eq!(after.last_seen(again.book.rules.get("dead_rows")), start() + TimeDelta::minutes(2));
            let held = world.tick_delivered(failed());
            let alert = held.book.alerts.values().next().unwrap();
            assert_eq!(alert.seen_at, start() + TimeDelta::minutes(2), "written down when it is no longer judged");
            assert_eq!(alert.last_seen(held.book.rules.get("dead_rows")), alert.seen_at);
        }
    }

    #[test]
    fn an_alert_that_is_held_and_leads_nowhere_is_written_down_once() {
        let mut world = World::new();
        world.config.route.channels.clear();
        let mut records = |outcome| world.tick_delivered(outcome).records.iter().map(|r| r.reason.to_string()).collect::<Vec<_>>();
        assert_eq!(records(seen(&["a"])), ["no route leads to a channel"]);
        assert_eq!(records(failed()), ["held: line 3: division by zero"]);
        assert_eq!(records(failed()), Vec::<String>::new());
        assert_eq!(records(skipped("not due")), Vec::<String>::new());
        assert_eq!(records(seen(&["a"])), ["no route leads to a channel"]);
    }

    #[test]
    fn a_transition_carries_what_matchers_saw() {
        let mut world = World::new();
        world.config.target.cluster = Some("orders".into());
        let labels = &world.tick(seen(&["a"])).transitions().next().unwrap().flat_labels();
        assert_eq!((labels.get("table"), labels.get("cluster"), labels.get("severity")), (Some("a"), Some("orders"), Some("warning")));
    }

    #[test]
    fn a_notice_carries_what_a_channel_needs() {
        let mut world = World::new();
        world.rule.runbook = "Do: vacuum it.".into();
        let decision = world.tick(seen(&["a"]));
        let notice = decision.notices().next().unwrap();
        assert_eq!((notice.channel.as_str(), notice.target.as_str(), notice.rule.as_str()), ("mail", "orders-1", "dead_rows"));
        assert_eq!((notice.summary.as_str(), notice.runbook.as_str(), notice.at), ("a is warning", "Do: vacuum it.", start()));
        assert_eq!(notice.fingerprint, fingerprint("dead_rows", "orders-1", &table("a")));
    }
}
