//! Lives of alerts, evaluation by evaluation.

use chrono::TimeDelta;

use crate::alert::testing::*;
use crate::model::{Evaluation, Finding, Held, Outcome, Reason, Severity, State};

fn waiting(for_s: u64, keep_firing_for_s: u64) -> World {
    let mut world = World::new();
    (world.rule.for_s, world.rule.keep_firing_for_s) = (for_s, keep_firing_for_s);
    world
}

#[test]
fn a_finding_fires_when_it_has_lasted_for_and_not_a_second_before() {
    let mut world = waiting(120, 0);
    let lines = world.steps(vec![seen(&["a"]), seen(&["a"]), seen(&["a"]), seen(&["a"])]);
    assert_eq!(lines, ["inactive>pending (seen for 0s of 2m)", "", "pending>firing (lasted 2m)", ""]);
    let mut world = waiting(121, 0);
    let lines = world.steps(vec![seen(&["a"]), seen(&["a"]), seen(&["a"]), seen(&["a"])]);
    assert_eq!(lines, ["inactive>pending (seen for 0s of 2m 1s)", "", "", "pending>firing (lasted 2m 1s)"]);
}

#[test]
fn for_zero_fires_in_the_same_evaluation_and_keep_zero_ends_in_the_first_miss() {
    let lines = waiting(0, 0).steps(vec![seen(&["a"]), seen(&[])]);
    assert_eq!(lines, ["inactive>firing (fires at once)", "firing>resolved (cleared)"]);
}

#[test]
fn pending_that_goes_away_is_forgotten_and_begins_anew() {
    let mut world = waiting(120, 0);
    let lines = world.steps(vec![seen(&["a"]), seen(&["a"]), seen(&[]), seen(&["a"])]);
    assert_eq!(lines[2..], ["pending>inactive (gone before it fired)", "inactive>pending (seen for 0s of 2m)"]);
    assert_eq!(world.book.alerts.values().next().unwrap().active_at, start() + TimeDelta::minutes(3));
}

#[test]
fn recovering_lasts_as_long_as_asked_and_a_return_keeps_the_time_it_fired() {
    let mut world = waiting(0, 120);
    let lines = world.steps(vec![seen(&["a"]), seen(&[]), seen(&["a"])]);
    assert_eq!(lines[1..], ["firing>recovering (gone; kept firing for 2m)", "recovering>firing (came back while recovering)"]);
    let alert = world.book.alerts.values().next().unwrap().clone();
    assert_eq!((alert.fired_at, alert.recovering_at), (Some(start()), None));
    let lines = world.steps(vec![seen(&[]), seen(&[]), seen(&[])]);
    assert_eq!(lines, ["firing>recovering (gone; kept firing for 2m)", "", "recovering>resolved (cleared)"], "counted anew");
}

#[test]
fn each_life_is_its_own_episode() {
    let mut world = waiting(0, 0);
    let first = world.tick(seen(&["a"])).transitions().next().unwrap().episode.clone();
    assert!(first.ends_with("-20260105T100000000Z"), "{first}");
    world.tick(seen(&[]));
    let second = world.tick(seen(&["a"])).transitions().next().unwrap().episode.clone();
    assert_ne!(first, second);
    assert_eq!(world.tick(seen(&[])).transitions().next().unwrap().episode, second);
}

#[test]
fn without_a_judgement_nothing_moves() {
    for (outcome, why) in
        [(failed(), "held: line 3: division by zero"), (no_data(), "held: tables: no grant"), (skipped("not here"), "held: not here")]
    {
        for (for_s, keep_s, steps_before) in
            [(600, 0, vec![seen(&["a"])]), (0, 600, vec![seen(&["a"])]), (0, 600, vec![seen(&["a"]), seen(&[])])]
        {
            let mut world = waiting(for_s, keep_s);
            world.story(steps_before);
            let before = world.book.alerts.values().next().unwrap().clone();
            let decision = world.tick(outcome.clone());
            let mut after = crate::model::Alert::clone(decision.book.alerts.values().next().unwrap());
            assert!(said(&decision).starts_with(&format!("({why})")), "{}", said(&decision));
            assert!(after.held.take().is_some());
            after.choices.clone_from(&before.choices);
            assert_eq!(after, *before);
        }
    }
}

#[test]
fn a_rule_that_is_not_due_is_not_even_held() {
    let mut world = waiting(0, 0);
    world.rule.interval_s = 300;
    world.tick_delivered(seen(&["a"]));
    world.tick(skipped("not due until 10:05"));
    let decision = world.tick(skipped("not due until 10:05"));
    assert_eq!(decision.changed, []);
    assert_eq!(decision.book.alerts.values().next().unwrap().held, None);
    assert_eq!(decision.book.rules["dead_rows"].unknown_since, None);
}

#[test]
fn the_clock_of_a_held_subject_stands_still() {
    let mut world = waiting(120, 0);
    let lines = world.steps(vec![seen(&["a"]), seen(&["a"]), unsure(&["a"]), unsure(&["a"]), unsure(&["a"]), seen(&["a"])]);
    assert_eq!(lines[2], "(held: tables.dead is unknown)");
    assert_eq!(lines[5], "pending>firing (lasted 2m)", "one minute before and one after it was held");

    let mut world = waiting(0, 120);
    let lines = world.steps(vec![seen(&["a"]), seen(&[]), unsure(&["a"]), unsure(&["a"]), seen(&[]), seen(&[])]);
    assert_eq!(lines[4..], ["", "recovering>resolved (cleared)"]);
}

#[test]
fn one_subject_held_does_not_hold_another() {
    let mut world = waiting(0, 0);
    world.tick(seen(&["a", "b", "c"]));
    let mixed = Evaluation {
        findings: vec![finding("a", Severity::Warning)],
        held: vec![Held { subject: table("b"), reason: "unknown".into() }, Held { subject: table("never seen"), reason: "unknown".into() }],
        unknown: 2,
    };
    let decision = world.tick(Outcome::Ok(mixed));
    let left: Vec<_> = decision.book.alerts.values().map(|alert| (alert.subject.to_string(), alert.state)).collect();
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(left.contains(&("a".into(), State::Firing)) && left.contains(&("b".into(), State::Firing)));
    assert_eq!(said(&decision).split("; ").next(), Some("firing>resolved (cleared)"));
}

#[test]
fn a_gap_of_more_than_two_intervals_proves_nothing() {
    for (every_s, interval_s) in [(10, 0), (60, 0), (900, 0), (10, 900)] {
        let apart = TimeDelta::seconds(i64::try_from(every_s.max(interval_s)).unwrap());
        for (gap, fires) in [(apart * 2, true), (apart * 2 + TimeDelta::milliseconds(1), false)] {
            let mut world = waiting(apart.num_seconds().unsigned_abs() * 2, 0);
            (world.config.every_s, world.rule.interval_s) = (every_s, interval_s);
            world.tick(seen(&["a"]));
            world.now = start() + gap;
            let decision = world.tick(seen(&["a"]));
            assert_eq!(decision.steps.len(), usize::from(fires), "{every_s} {interval_s} {gap}");
            let noted = decision.records.iter().any(|r| r.reason == Reason::Gap { gap_s: gap.num_seconds().unsigned_abs() });
            assert_eq!(noted, !fires);
            let active_at = decision.book.alerts.values().next().unwrap().active_at;
            assert_eq!(active_at, if fires { start() } else { start() + gap });
        }
    }
}

#[test]
fn a_missed_evaluation_between_two_proofs_counts_and_more_do_not() {
    let mut world = waiting(180, 0);
    let lines = world.steps(vec![seen(&["a"]), failed(), seen(&["a"]), seen(&["a"])]);
    assert_eq!(lines[3], "pending>firing (lasted 3m)");
    let mut world = waiting(180, 0);
    let lines = world.steps(vec![seen(&["a"]), failed(), failed(), seen(&["a"]), seen(&["a"])]);
    assert_eq!(lines[3..], ["(3m without an evaluation do not count)", ""]);
}

#[test]
fn a_clock_put_back_neither_fires_nor_stops_the_wait() {
    for back in [TimeDelta::hours(1), TimeDelta::days(365)] {
        let mut world = waiting(180, 120);
        world.story(vec![seen(&["a"]), seen(&["a"])]);
        world.now -= back;
        let lines = world.steps(vec![seen(&["a"]), seen(&["a"]), seen(&["a"])]);
        assert_eq!(lines, ["", "", "pending>firing (lasted 3m)"], "a minute before and two after");
        world.story(vec![seen(&[])]);
        world.now -= back;
        assert_eq!(world.steps(vec![seen(&[]), seen(&[]), seen(&[])]), ["", "", "recovering>resolved (cleared)"]);
    }
}

#[test]
fn a_new_for_is_held_against_the_time_it_was_first_seen() {
    let mut world = waiting(3_600, 0);
    world.story(vec![seen(&["a"]), seen(&["a"])]);
    world.rule.for_s = 60;
    assert_eq!(world.steps(vec![seen(&["a"])]), ["pending>firing (lasted 1m)"]);
}

#[test]
fn a_rule_that_is_switched_off_ends_its_alerts_and_says_why() {
    let mut world = World::new();
    let told = world.story([seen(&["a"]), skipped("not for this server"), skipped("disabled: DBA-311")]);
    assert_eq!(told[2], "firing>resolved (its rule is disabled: DBA-311); mail: resolved (the channel was told of the firing)");
    assert!(world.book.alerts.is_empty());
}

#[test]
fn a_removed_rule_ends_its_alerts() {
    let mut world = waiting(120, 0);
    world.tick(seen(&["a"]));
    assert_eq!(said(&world.tick_all(&[])), "pending>inactive (its rule was removed)");
    assert!(world.book.alerts.is_empty() && world.book.rules.is_empty());
    world.rule.for_s = 0;
    world.tick(seen(&["a"]));
    let decision = world.tick_all(&[]);
    assert_eq!(decision.transitions().next().unwrap().reason, Reason::RuleRemoved);
    assert_eq!((decision.transitions().next().unwrap().to, decision.removed.len()), (State::Resolved, 1));
}

#[test]
fn of_two_findings_about_one_subject_the_worse_is_kept_in_any_order() {
    let mild = Finding { summary: "mild".into(), ..finding("a", Severity::Info) };
    let bad = Finding { summary: "bad".into(), ..finding("a", Severity::Critical) };
    let also_bad = Finding { summary: "also bad".into(), ..finding("a", Severity::Critical) };
    let of = |findings: Vec<Finding>| {
        let decision = waiting(0, 0).tick(Outcome::Ok(Evaluation { findings, ..Evaluation::default() }));
        decision.book.alerts.values().map(|alert| (alert.severity, alert.summary.clone())).collect::<Vec<_>>()
    };
    let expected = vec![(Severity::Critical, "also bad".to_string())];
    assert_eq!(of(vec![mild.clone(), bad.clone(), also_bad.clone()]), expected);
    assert_eq!(of(vec![also_bad, bad, mild]), expected);
}

#[test]
fn the_latest_finding_describes_the_alert_and_its_labels_are_the_targets_then_the_rules() {
    let mut world = waiting(0, 0);
    world.config.target.labels = [("team", "shop"), ("env", "prod")].into_iter().collect();
    world.rule.labels = [("team", "dba")].into_iter().collect();
    world.tick(seen(&["a"]));
    let worse = Outcome::Ok(Evaluation { findings: vec![finding("a", Severity::Critical)], ..Evaluation::default() });
    world.tick(worse);
    let alert = world.book.alerts.values().next().unwrap();
    assert_eq!((alert.severity, alert.summary.as_str()), (Severity::Critical, "a is critical"));
    assert_eq!((alert.labels.get("team"), alert.labels.get("env")), (Some("dba"), Some("prod")));
    assert_eq!((alert.active_at, alert.seen_at), (start(), start() + TimeDelta::minutes(1)));
}
