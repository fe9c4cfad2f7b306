//! Flapping: how much a subject comes and goes, by the evaluations of its rule.
//!
//! The last 21 evaluations have 20 steps between them; each step at which it came or went counts, the newest by 1.2, the
//! oldest by 0.8, evenly between. The share of that weight is held against two limits, so that it does not flap in
//! flapping. Steps are remembered by the number of the evaluation, so that a calm alert costs nothing and changes nothing.

use chrono::{DateTime, Utc};

use crate::model::{Flap, Flapping};

/// Steps that count.
const STEPS: u64 = 20;
/// Weights of the newest and the oldest step.
const NEWEST: f64 = 1.2;
const OLDEST: f64 = 0.8;

/// What an evaluation showed of a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coming {
    /// It is there and was not.
    Came,
    /// It is gone and was there.
    Went,
}

/// How it came and went up to this evaluation, and whether it flaps now.
pub(super) fn after(before: &Flap, coming: Option<Coming>, evaluation: u64, limits: &Flapping, now: DateTime<Utc>) -> Flap {
    let mut flap = before.clone();
    if coming.is_some() {
        flap.changes.retain(|change| counts(*change, evaluation));
        flap.changes.push(evaluation);
    }
    let share = percent(&flap, evaluation);
    match flap.since {
        None if share > limits.enter_pct => flap.since = Some(now),
        Some(since) if share < limits.leave_pct => (flap.since, flap.settled) = (None, Some((since, now))),
        _ => {}
    }
    flap
}

/// The weighted share of changes among the last steps, in per cent.
pub(super) fn percent(flap: &Flap, evaluation: u64) -> f64 {
    let weight = |change: &u64| {
        let age = evaluation.saturating_sub(*change) as f64;
        NEWEST - (NEWEST - OLDEST) * age / (STEPS - 1) as f64
    };
    let sum: f64 = flap.changes.iter().filter(|change| counts(**change, evaluation)).map(weight).sum();
    100.0 * sum / STEPS as f64
}

/// Whether anything of it still counts.
pub(super) fn is_recent(flap: &Flap, evaluation: u64) -> bool {
    flap.changes.iter().any(|change| counts(*change, evaluation))
}

fn counts(change: u64, evaluation: u64) -> bool {
    change <= evaluation && evaluation - change < STEPS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::testing::*;
    use crate::model::{ChannelPolicy, Evaluation, NoticeKind, Outcome, Severity};

    fn changes(list: &[u64]) -> Flap {
        Flap { changes: list.to_vec(), ..Flap::default() }
    }

    #[test]
    fn the_share_is_weighted_by_age() {
        assert!((percent(&changes(&[20]), 20) - 6.0).abs() < 1e-9, "the newest counts 1.2 of 20");
        assert!((percent(&changes(&[1]), 20) - 4.0).abs() < 1e-9, "the oldest 0.8");
        assert_eq!(percent(&changes(&[0]), 20), 0.0, "and what is older nothing");
        let all: Vec<u64> = (1..=20).collect();
        assert!((percent(&changes(&all), 20) - 100.0).abs() < 1e-9);
    }

    /// Comes and goes at each evaluation.
    fn restless() -> World {
        let mut world = World::new();
        world.config.flapping = Some(Flapping::default());
        world
    }

    fn here(n: usize) -> Outcome {
        if n.is_multiple_of(2) { seen(&["a"]) } else { seen(&[]) }
    }

    #[test]
    fn what_comes_and_goes_is_told_of_once_and_again_when_it_settles() {
        let mut world = restless();
        let mut told: Vec<NoticeKind> = Vec::new();
        for n in 0..30 {
            told.extend(world.tick_delivered(here(n)).notices().map(|notice| notice.kind));
        }
        let pairs = told.iter().filter(|kind| **kind == NoticeKind::Resolved).count();
        assert_eq!(told.iter().filter(|kind| **kind == NoticeKind::Flapping).count(), 1, "{told:?}");
        assert!(pairs < 6, "the first comings and goings are told, the others are not: {told:?}");
        told.clear();
        for _ in 0..25 {
            told.extend(world.tick_delivered(seen(&["a"])).notices().map(|notice| notice.kind));
        }
        assert_eq!(told, [NoticeKind::Settled]);
        let mut world = restless();
        (0..30).for_each(|n| drop(world.tick_delivered(here(n))));
        let ends: Vec<NoticeKind> =
            (0..25).flat_map(|_| world.tick_delivered(seen(&[])).notices().collect::<Vec<_>>()).map(|notice| notice.kind).collect();
        assert_eq!(ends, [NoticeKind::Resolved], "the episode that was told of is ended, once");
        assert!(world.book.alerts.is_empty());
    }

    #[test]
    fn evaluations_that_say_nothing_are_no_steps() {
        let mut world = restless();
        (0..30).for_each(|n| drop(world.tick_delivered(here(n))));
        let told: usize = (0..100).map(|_| world.tick_delivered(failed()).notices().filter(|n| n.rule == "dead_rows").count()).sum();
        assert_eq!(told, 0, "it flaps as before");
    }

    /// It flaps, and `mail` was told so.
    fn flapping() -> World {
        let mut world = restless();
        (0..21).for_each(|n| drop(world.tick_delivered(here(n))));
        assert!(world.book.alerts.values().next().unwrap().flap.since.is_some());
        world
    }

    fn critical() -> Outcome {
        Outcome::Ok(Evaluation { findings: vec![finding("a", Severity::Critical)], ..Evaluation::default() })
    }

    #[test]
    fn only_a_rise_gets_through_and_the_settling_is_told_after_it_all_the_same() {
        let mut world = flapping();
        assert_eq!(world.book.alerts.values().next().unwrap().suppressed_by.as_deref(), Some("flapping"));
        let told: Vec<NoticeKind> = [critical(), seen(&[]), critical(), seen(&[]), critical()]
            .into_iter()
            .flat_map(|outcome| world.tick_delivered(outcome).notices().collect::<Vec<_>>())
            .map(|notice| notice.kind)
            .collect();
        assert_eq!(told, [NoticeKind::Raised], "and not that it flaps once more");
        let told: Vec<NoticeKind> =
            (0..25).flat_map(|_| world.tick_delivered(critical()).notices().collect::<Vec<_>>()).map(|notice| notice.kind).collect();
        assert_eq!(told, [NoticeKind::Settled]);
    }

    #[test]
    fn a_channel_that_wants_worse_alerts_does_not_hear_of_it() {
        let mut world = restless();
        let policy = ChannelPolicy { severity_at_least: Some(Severity::Critical), ..ChannelPolicy::default() };
        world.config.channels.insert("mail".into(), policy);
        assert!((0..30).all(|n| world.tick_delivered(here(n)).tellings.is_empty()));
    }

    #[test]
    fn nothing_is_written_down_while_it_just_goes_on_flapping() {
        let mut world = flapping();
        let records: usize = (0..10).map(|n| world.tick_delivered(here(n + 1)).records.len()).sum();
        assert_eq!(records, 0, "however its share changes");
    }

    #[test]
    fn a_subject_that_is_calm_is_forgotten() {
        let mut world = restless();
        world.tick_delivered(seen(&["a"]));
        world.tick_delivered(seen(&[]));
        assert_eq!(world.book.flaps.len(), 1);
        (0..20).for_each(|_| drop(world.tick_delivered(seen(&[]))));
        assert!(world.book.flaps.is_empty());
    }
}
