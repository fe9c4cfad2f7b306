//! The cases of Prometheus' alert generator compliance suite, as far as they are about states: samples every 5 s, evaluated
//! every 10 s, problem while the value is above 10. Its templates, labels and API shapes have no counterpart here; where it
//! resends, we are silent for the dedup window.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::testing::*;
use crate::model::{Labels, NoticeKind, Outcome, RuleMeta, RuleOutcome};

const SAMPLE_S: usize = 5;
const EVALUATE_S: usize = 10;

/// Values as runs: `(value, how many samples)`.
fn series(runs: &[(i32, usize)]) -> Vec<i32> {
    runs.iter().flat_map(|(value, times)| std::iter::repeat_n(*value, *times)).collect()
}

/// One rule over several series, each a table of the same name.
struct Case {
    rule: RuleMeta,
    series: Vec<(&'static str, Vec<i32>)>,
}

fn case(id: &str, for_s: usize, series: Vec<(&'static str, Vec<i32>)>) -> Case {
    Case { rule: RuleMeta { for_s: for_s as u64, ..meta(id) }, series }
}

/// Every change of state and every notice, with the number of the sample at which it happened.
fn run(cases: &[Case]) -> Vec<String> {
    let mut world = World::new();
    world.config.every_s = EVALUATE_S as u64;
    let mut log = Vec::new();
    let samples = cases.iter().flat_map(|case| &case.series).map(|(_, values)| values.len()).max().unwrap_or(0);
    for sample in (0..samples).step_by(EVALUATE_S / SAMPLE_S) {
        world.now = start() + TimeDelta::seconds((sample * SAMPLE_S) as i64);
        let outcomes: Vec<RuleOutcome> =
            cases.iter().map(|case| RuleOutcome { meta: Arc::new(case.rule.clone()), outcome: above_ten(case, sample) }).collect();
        let at = world.now;
        let decision = world.tick_all(&outcomes);
        world.deliver(at);
        let who = |rule: &str, subject: &Labels| format!("{sample}: {rule} {subject}");
        log.extend(decision.transitions().map(|t| format!("{} {}", who(&t.rule, &t.subject), t.to)));
        log.extend(decision.notices().map(|n| format!("{} told {} since {}", who(&n.rule, &n.subject), n.kind, sample_of(n.active_at))));
        assert!(decision.notices().all(|n| n.kind != NoticeKind::Raised));
    }
    log
}

fn above_ten(case: &Case, sample: usize) -> Outcome {
    let high = case.series.iter().filter(|(_, values)| values.get(sample).is_some_and(|value| *value > 10));
    seen(&high.map(|(name, _)| *name).collect::<Vec<_>>())
}

fn sample_of(at: DateTime<Utc>) -> i64 {
    (at - start()).num_seconds() / SAMPLE_S as i64
}

#[test]
fn pending_firing_resolved() {
    let log = run(&[case("pfr", 60, vec![("t", series(&[(3, 8), (11, 36), (9, 40)]))])]);
    assert_eq!(
        log,
        ["8: pfr t pending", "20: pfr t firing", "20: pfr t told firing since 8", "44: pfr t resolved", "44: pfr t told resolved since 8",]
    );
}

#[test]
fn pending_resolved_and_always_inactive() {
    let pending_only = case("pending", 60, vec![("t", series(&[(3, 8), (15, 8), (9, 40)]))]);
    let never = case("inactive", 60, vec![("t", series(&[(3, 8), (10, 8), (9, 40)]))]);
    assert_eq!(run(&[pending_only, never]), ["8: pending t pending", "16: pending t inactive"]);
}

#[test]
fn zero_for_and_small_for() {
    let values = || vec![("t", series(&[(3, 1), (5, 3), (9, 4), (11, 13), (9, 40)]))];
    let log = run(&[case("small", EVALUATE_S / 2, values()), case("zero", 0, values())]);
    assert_eq!(
        log,
        [
            "8: small t pending",
            "8: zero t firing",
            "8: zero t told firing since 8",
            "10: small t firing",
            "10: small t told firing since 8",
            "22: small t resolved",
            "22: zero t resolved",
            "22: small t told resolved since 8",
            "22: zero t told resolved since 8",
        ]
    );
}

#[test]
fn new_alerts_while_others_are_active() {
    let one = ("one", series(&[(1, 8), (11, 65), (9, 21)]));
    let two = ("two", series(&[(1, 32), (11, 33), (9, 21)]));
    assert_eq!(
        run(&[case("new", 60, vec![one, two])]),
        [
            "8: new one pending",
            "20: new one firing",
            "20: new one told firing since 8",
            "32: new two pending",
            "44: new two firing",
            "44: new two told firing since 32",
            "66: new two resolved",
            "66: new two told resolved since 32",
            "74: new one resolved",
            "74: new one told resolved since 8",
        ]
    );
}
