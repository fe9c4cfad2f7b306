//! How alerts move: inactive, pending, firing, recovering, resolved. A pure step from one evaluation to the next.
//!
//! A finding fires when it has lasted `for` (inclusive; 0 at once) and is over when it has been away `keep_firing_for`.
//! Both clocks are start times in the alert. Time that proves nothing moves the start on: all time up to an evaluation
//! that could not judge the subject, a gap of more than two intervals between two that could, and a step of the clock back.
//! An alert that flaps does not end before it has settled. An alert of which nothing has changed stays the very same value.
//! What is absent here: suppression, routes and channels, which never change a state.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::fingerprint::{episode, fingerprint};
use super::flap::{self, Coming};
use super::verdict::Verdict;
use crate::model::{Alert, Finding, Flap, Flapping, Labels, Reason, RuleMeta, State};

/// One rule in this tick.
pub(super) struct Turn<'a> {
    pub meta: &'a RuleMeta,
    pub verdict: Verdict<'a>,
    /// Target name.
    pub target: &'a str,
    /// Labels of its alerts: the target's, then the rule's.
    pub labels: Labels,
    pub now: DateTime<Utc>,
    /// Since the rule last came to an end; negative when the clock was put back, zero when it never did.
    pub since_end: TimeDelta,
    /// When that was.
    pub last_end: Option<DateTime<Utc>>,
    /// How far apart its evaluations are meant to be, in seconds.
    pub interval_s: u64,
    /// The number of this evaluation.
    pub evaluation: u64,
    /// When an alert flaps, if that is asked.
    pub flapping: Option<Flapping>,
    /// How subjects without an alert came and went, by fingerprint.
    pub flaps: &'a std::collections::BTreeMap<crate::model::Fingerprint, Flap>,
}

/// One alert in this tick.
pub(super) struct Life<'a> {
    /// As it was in the book.
    pub before: Option<&'a Arc<Alert>>,
    /// As it is now, also when that is the end of it; the same value as before when nothing has changed.
    pub alert: Arc<Alert>,
    /// `None` once the rule is gone.
    pub meta: Option<&'a RuleMeta>,
    /// The state it left and why, if it did.
    pub change: Option<(State, Reason)>,
    /// Why it is held, or what does not count.
    pub note: Option<Reason>,
}

/// All alerts of one rule: those of the book in its order, then the new ones in the order of their subjects.
pub(super) fn advance<'a>(turn: &Turn<'a>, alerts: &[&'a Arc<Alert>]) -> Vec<Life<'a>> {
    let evaluation = match &turn.verdict {
        Verdict::Judged(evaluation) => evaluation,
        Verdict::Held(reason) => return alerts.iter().map(|alert| turn.held(alert, reason, TimeDelta::zero())).collect(),
        Verdict::NotDue => return alerts.iter().map(|alert| Life { meta: Some(turn.meta), ..unchanged(alert) }).collect(),
    };
    // Looked up by hash; what has an order in the end is sorted, so that the order of findings decides nothing.
    let mut findings: HashMap<&Labels, (&Finding, usize)> = HashMap::with_capacity(evaluation.findings.len());
    for finding in &evaluation.findings {
        findings
            .entry(&finding.subject)
            .and_modify(|(kept, count)| (*kept, *count) = (worse(kept, finding), *count + 1))
            .or_insert((finding, 1));
    }
    let mut held: HashMap<&Labels, &str> = HashMap::with_capacity(evaluation.held.len());
    for one in &evaluation.held {
        held.entry(&one.subject).and_modify(|kept| *kept = (*kept).min(&one.reason)).or_insert(&one.reason);
    }
    let step = |alert: &&'a Arc<Alert>| match (findings.remove(&alert.subject), held.get(&alert.subject)) {
        (Some((finding, count)), _) => turn.seen(Some(*alert), finding, count),
        (None, Some(reason)) => turn.held(alert, reason, turn.since_end),
        (None, None) => turn.missed(alert),
    };
    let mut lives: Vec<Life<'a>> = alerts.iter().map(step).collect();
    let mut new: Vec<(&Finding, usize)> = findings.into_values().collect();
    new.sort_by(|(a, _), (b, _)| a.subject.cmp(&b.subject));
    lives.extend(new.into_iter().map(|(finding, count)| turn.seen(None, finding, count)));
    lives
}

/// The end of an alert whose rule or target is gone.
pub(super) fn removed(before: &Arc<Alert>, why: Reason) -> Life<'_> {
    let state = if before.state == State::Pending { State::Inactive } else { State::Resolved };
    let alert = Arc::new(Alert { state, held: None, ..Alert::clone(before) });
    Life { before: Some(before), alert, meta: None, change: Some((before.state, why)), note: None }
}

fn unchanged(before: &Arc<Alert>) -> Life<'_> {
    Life { before: Some(before), alert: before.clone(), meta: None, change: None, note: None }
}

/// Of two findings about one subject the worse; between equals their text decides, so that order never does.
fn worse<'f>(a: &'f Finding, b: &'f Finding) -> &'f Finding {
    let order = a.severity.cmp(&b.severity).then_with(|| format!("{b:?}").cmp(&format!("{a:?}")));
    if order.is_ge() { a } else { b }
}

impl<'a> Turn<'a> {
    /// The rule reports the subject.
    fn seen(&self, before: Option<&'a Arc<Alert>>, finding: &Finding, count: usize) -> Life<'a> {
        let duplicate = (count > 1).then_some(Reason::Duplicate { count });
        if let Some(before) = before.filter(|before| before.state == State::Firing && self.says_the_same(before, finding)) {
            let mut alert = before.clone();
            self.settle_flap(&mut alert, None);
            return Life { before: Some(before), alert, meta: Some(self.meta), change: None, note: duplicate };
        }
        let mut alert = self.draft(before.map(AsRef::as_ref), finding);
        let mut note = duplicate;
        let from = before.map_or(State::Inactive, |before| before.state);
        let change = match from {
            State::Firing => None,
            State::Recovering => Some((State::Firing, Reason::CameBack)),
            State::Pending | State::Inactive | State::Resolved => {
                if from == State::Pending {
                    let gap = self.unproven();
                    alert.active_at = later(alert.active_at, gap);
                    let gap_s = u64::try_from(gap.num_seconds()).ok().filter(|s| *s > 0);
                    note = gap_s.map(|gap_s| Reason::Gap { gap_s }).or(note);
                }
                self.wait(&alert, from)
            }
        };
        let change = change.map(|(to, reason)| {
            alert.state = to;
            (from, reason)
        });
        if alert.state == State::Firing && alert.fired_at.is_none() {
            alert.fired_at = Some(self.now);
        }
        alert.recovering_at = None;
        let came = (alert.state == State::Firing && change.is_some()).then_some(Coming::Came);
        let mut alert = Arc::new(alert);
        self.settle_flap(&mut alert, came);
        Life { before, alert, meta: Some(self.meta), change, note }
    }

    /// Whether a firing alert says already what the finding says, so that there is nothing to write down.
    fn says_the_same(&self, alert: &Alert, finding: &Finding) -> bool {
        let told = (&alert.summary, &alert.detail, &alert.evidence, &alert.actions, &alert.links);
        alert.held.is_none()
            && alert.severity == finding.severity
            && told == (&finding.summary, &finding.detail, &finding.evidence, &finding.actions, &finding.links)
            && (alert.tier, &alert.title, &alert.category) == (self.meta.tier, &self.meta.title, &self.meta.category)
            && alert.labels == self.labels
            && alert.runbook == self.meta.runbook
    }

    /// Where a finding that has not fired yet goes.
    fn wait(&self, alert: &Alert, from: State) -> Option<(State, Reason)> {
        let for_s = self.meta.for_s;
        let proven_s = seconds(self.now - alert.active_at);
        if proven_s >= for_s {
            return Some((State::Firing, Reason::Lasted { for_s }));
        }
        (from != State::Pending).then_some((State::Pending, Reason::Waiting { proven_s, for_s }))
    }

    /// The rule came to an end without the subject.
    fn missed(&self, before: &'a Arc<Alert>) -> Life<'a> {
        let keep_firing_for_s = self.meta.keep_firing_for_s;
        let mut after = before.clone();
        let left = (before.state == State::Firing).then_some(Coming::Went);
        self.settle_flap(&mut after, left);
        let flaps = after.flap.since.is_some();
        let alert = Arc::make_mut(&mut after);
        alert.held = None;
        let away_since = match before.recovering_at {
            Some(since) => later(since, self.since_end.min(TimeDelta::zero())),
            None => self.now,
        };
        let over = seconds(self.now - away_since) >= keep_firing_for_s && !flaps;
        let change = match before.state {
            State::Pending | State::Inactive => Some((State::Inactive, Reason::GoneBeforeFiring)),
            _ if over => Some((State::Resolved, Reason::Cleared)),
            State::Firing if flaps => Some((State::Recovering, Reason::Flapping { percent: self.percent(&alert.flap) })),
            State::Firing => Some((State::Recovering, Reason::Recovering { keep_firing_for_s })),
            State::Recovering | State::Resolved => None,
        };
        if before.state != State::Pending {
            alert.recovering_at = Some(away_since);
        }
        if before.state == State::Firing && before.held.is_none() {
            alert.seen_at = self.last_end.unwrap_or(before.seen_at);
        }
        let change = change.map(|(to, reason)| {
            alert.state = to;
            (before.state, reason)
        });
        Life { before: Some(before), alert: after, meta: Some(self.meta), change, note: None }
    }

    /// Nothing is known of the subject; its clock stands still for as long as `lost`.
    fn held(&self, before: &'a Arc<Alert>, reason: &str, lost: TimeDelta) -> Life<'a> {
        let note = Some(Reason::Held { detail: reason.to_string() });
        let clocks = before.state == State::Pending || before.recovering_at.is_some();
        if before.held.as_deref() == Some(reason) && (lost.is_zero() || !clocks) {
            return Life { note, meta: Some(self.meta), ..unchanged(before) };
        }
        let mut alert = Alert { held: Some(reason.to_string()), ..Alert::clone(before) };
        if before.held.is_none() && before.state != State::Recovering {
            alert.seen_at = self.last_end.unwrap_or(before.seen_at);
        }
        if alert.state == State::Pending {
            alert.active_at = later(alert.active_at, lost);
        }
        alert.recovering_at = alert.recovering_at.map(|since| later(since, lost));
        Life { before: Some(before), alert: Arc::new(alert), meta: Some(self.meta), change: None, note }
    }

    /// Counts a coming or going, and begins or ends the flapping; touches nothing where neither is the case.
    fn settle_flap(&self, alert: &mut Arc<Alert>, coming: Option<Coming>) {
        let Some(limits) = self.flapping else {
            if !alert.flap.is_calm() {
                Arc::make_mut(alert).flap = Flap::default();
            }
            return;
        };
        if coming.is_none() && alert.flap.since.is_none() {
            return;
        }
        let flap = flap::after(&alert.flap, coming, self.evaluation, &limits, self.now);
        if flap != alert.flap {
            Arc::make_mut(alert).flap = flap;
        }
    }

    fn percent(&self, flap: &Flap) -> u32 {
        flap::percent(flap, self.evaluation).round() as u32
    }

    /// Time since the last evaluation that does not count, although the subject was seen at both ends of it.
    fn unproven(&self) -> TimeDelta {
        let tolerated = self.interval_s.saturating_mul(2).saturating_mul(1_000);
        // A negative one, from a clock put back, is never short.
        let short = u64::try_from(self.since_end.num_milliseconds()).is_ok_and(|gap| gap <= tolerated);
        if short { TimeDelta::zero() } else { self.since_end }
    }

    /// The alert as the finding describes it; identity and times as they were.
    fn draft(&self, before: Option<&Alert>, finding: &Finding) -> Alert {
        let said = Alert {
            title: self.meta.title.clone(),
            labels: self.labels.clone(),
            tier: self.meta.tier,
            severity: finding.severity,
            seen_at: self.now,
            held: None,
            summary: finding.summary.clone(),
            detail: finding.detail.clone(),
            evidence: finding.evidence.clone(),
            actions: finding.actions.clone(),
            runbook: self.meta.runbook.clone(),
            category: self.meta.category.clone(),
            links: finding.links.clone(),
            ..before.cloned().unwrap_or_default()
        };
        if before.is_some() {
            return said;
        }
        let who = fingerprint(&self.meta.id, self.target, &finding.subject);
        Alert {
            episode: episode(&who, self.now),
            rule: self.meta.id.clone(),
            target: self.target.to_string(),
            subject: finding.subject.clone(),
            state: State::Inactive,
            active_at: self.now,
            flap: self.flaps.get(&who).map(|flap| Flap { rule: String::new(), ..flap.clone() }).unwrap_or_default(),
            fingerprint: who,
            ..said
        }
    }
}

/// A start time moved on by time that does not count.
fn later(start: DateTime<Utc>, lost: TimeDelta) -> DateTime<Utc> {
    start.checked_add_signed(lost).unwrap_or(start)
}

/// Whole seconds, none when negative.
fn seconds(span: TimeDelta) -> u64 {
    u64::try_from(span.num_seconds()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
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
        let first = world.tick(seen(&["a"])).transitions[0].episode.clone();
        assert!(first.ends_with("-20260105T100000000Z"), "{first}");
        world.tick(seen(&[]));
        let second = world.tick(seen(&["a"])).transitions[0].episode.clone();
        assert_ne!(first, second);
        assert_eq!(world.tick(seen(&[])).transitions[0].episode, second);
    }

    #[test]
    fn without_a_judgement_nothing_moves() {
        for (outcome, why) in
            [(failed(), "held: line 3: division by zero"), (no_data(), "held: tables: no grant"), (skipped("disabled"), "held: disabled")]
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
            held: vec![
                Held { subject: table("b"), reason: "unknown".into() },
                Held { subject: table("never seen"), reason: "unknown".into() },
            ],
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
                assert_eq!(decision.transitions.len(), usize::from(fires), "{every_s} {interval_s} {gap}");
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
    fn a_removed_rule_ends_its_alerts() {
        let mut world = waiting(120, 0);
        world.tick(seen(&["a"]));
        assert_eq!(said(&world.tick_all(&[])), "pending>inactive (its rule was removed)");
        assert!(world.book.alerts.is_empty() && world.book.rules.is_empty());
        world.rule.for_s = 0;
        world.tick(seen(&["a"]));
        let decision = world.tick_all(&[]);
        assert_eq!(decision.transitions[0].reason, Reason::RuleRemoved);
        assert_eq!((decision.transitions[0].to, decision.removed.len()), (State::Resolved, 1));
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
}
