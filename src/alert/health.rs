//! How each rule fares, and the one alert about a rule that cannot be judged.
//!
//! That alert is a finding of a rule of our own, `rule_unevaluable`, and so it lives, is kept back, routed and told like
//! any other: one per rule however many alerts the rule has, over when the rule comes to an end again.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::fingerprint::fingerprint;
use super::verdict;
use crate::model::{
    Book, DecideConfig, Evaluation, Evidence, Finding, Labels, MissingReason, Outcome, RuleHealth, RuleMeta, RuleOutcome, Severity, Tier,
    Unit,
};

/// Id of the rule about rules; no other rule may have it.
pub const RULE_UNEVALUABLE: &str = "rule_unevaluable";

/// Health of every rule that has an outcome, after it.
pub(super) fn after(book: &Book, outcomes: &[RuleOutcome], now: DateTime<Utc>) -> BTreeMap<String, RuleHealth> {
    let next = |ended: &RuleOutcome| (ended.meta.id.clone(), one(book.rules.get(&ended.meta.id), ended, now));
    outcomes.iter().map(next).collect()
}

fn one(before: Option<&RuleHealth>, ended: &RuleOutcome, now: DateTime<Utc>) -> RuleHealth {
    let before = before.cloned().unwrap_or_default();
    // A clock put back must not postpone the alert.
    let unknown_since = Some(before.unknown_since.map_or(now, |since| since.min(now)));
    let reason = || verdict::reason(&ended.outcome);
    match &ended.outcome {
        Outcome::Ok(_) => came_to_an_end(&before, now),
        Outcome::NoData(_) if ended.meta.fire_when_missing => came_to_an_end(&before, now),
        // What somebody has switched off need not be mended.
        outcome if outcome.is_off() => RuleHealth { unknown_since: None, reason: String::new(), errors: 0, last_error: None, ..before },
        outcome if !is_news(outcome) => before,
        Outcome::NoData(_) => RuleHealth { unknown_since, reason: reason(), errors: 0, last_error: None, ..before },
        Outcome::Error(_) => {
            let last_error = Some((now, ended.meta.hash.clone()));
            RuleHealth { unknown_since, reason: reason(), errors: before.errors.saturating_add(1), last_error, ..before }
        }
        Outcome::Skipped(_) => before,
    }
}

fn came_to_an_end(before: &RuleHealth, now: DateTime<Utc>) -> RuleHealth {
    RuleHealth { last_ok: Some(now), evaluations: before.evaluations.saturating_add(1), ..RuleHealth::default() }
}

/// Whether an outcome says anything of the rule itself. One that was not tried does not; nor does a server that cannot be
/// asked at all, of which rules of their own tell once, nor a history that is still too short.
fn is_news(outcome: &Outcome) -> bool {
    use MissingReason::{LoginRefused, NotYet, TooManyClients, Unreachable};
    match outcome {
        Outcome::Ok(_) | Outcome::Error(_) => true,
        Outcome::NoData(inputs) => {
            !inputs.iter().all(|(_, missing)| matches!(missing.reason, Unreachable | LoginRefused | TooManyClients | NotYet))
        }
        Outcome::Skipped(_) => false,
    }
}

/// Whether a rule is left alone when it keeps failing: only a plugin's, whose failures cost time and memory.
fn rests(meta: &RuleMeta) -> bool {
    meta.engine == "wasm"
}

/// The outcome of our own rule: a finding for each rule that has not come to an end for too long.
pub(super) fn outcome(
    book: &Book,
    outcomes: &[RuleOutcome],
    health: &BTreeMap<String, RuleHealth>,
    config: &DecideConfig,
    now: DateTime<Utc>,
) -> RuleOutcome {
    let patience = i64::try_from(config.unknown_after_s).ok().and_then(TimeDelta::try_seconds).unwrap_or(TimeDelta::MAX);
    let findings = outcomes.iter().filter_map(|ended| {
        let health = health.get(&ended.meta.id)?;
        let lasted = now - health.unknown_since?;
        let subject = Labels::from_iter([("rule", ended.meta.id.as_str())]);
        let quarantined = health.is_quarantined() && rests(&ended.meta);
        let tried = is_news(&ended.outcome);
        let known = || book.alerts.contains_key(&fingerprint(RULE_UNEVALUABLE, &config.target.name, &subject));
        ((lasted >= patience || quarantined) && (tried || known())).then(|| finding(subject, &ended.meta, health, lasted, config))
    });
    RuleOutcome { meta: Arc::new(meta()), outcome: Outcome::Ok(Evaluation { findings: findings.collect(), ..Evaluation::default() }) }
}

fn finding(subject: Labels, meta: &RuleMeta, health: &RuleHealth, lasted: TimeDelta, config: &DecideConfig) -> Finding {
    Finding {
        // Advice that cannot be given hurts nobody.
        severity: if meta.tier == Tier::Advice { Severity::Info } else { Severity::Warning },
        summary: format!("rule `{}` cannot be judged: {}", subject.get("rule").unwrap_or_default(), health.reason),
        detail: if health.is_quarantined() && rests(meta) {
            format!(
                "It failed {} times in a row and is quarantined: it is tried again now and then, and at once when it is changed.",
                health.errors
            )
        } else {
            String::new()
        },
        evidence: vec![Evidence {
            metric: "unknown_for".into(),
            value: Some(lasted.num_seconds() as f64),
            threshold: Some(config.unknown_after_s as f64),
            unit: Unit::Seconds,
        }],
        actions: Vec::new(),
        links: Vec::new(),
        subject,
    }
}

/// What our own rule declares; for lists and docs beside the shipped ones.
#[must_use]
pub fn meta() -> RuleMeta {
    RuleMeta {
        id: RULE_UNEVALUABLE.into(),
        title: "a rule cannot be judged".into(),
        category: "pgsteward".into(),
        tier: Tier::Ticket,
        pack: "ticket".into(),
        enabled: true,
        inputs: Vec::new(),
        from: None,
        settings: Vec::new(),
        for_s: 0,
        keep_firing_for_s: 0,
        interval_s: 0,
        labels: Labels::default(),
        channels: Vec::new(),
        runbook: "Why: the rule found no data or failed, so its problem could be there unseen; its alerts keep their state.\n\
                  Do: `pgsteward doctor` names the grant, extension or setting that is missing; an error names its place in the rule.\n\
                  False alarms: a source that this server will never have; switch the rule off for it."
            .into(),
        fire_when_missing: false,
        engine: "built-in".into(),
        source: "built in".into(),
        hash: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::alert::testing::*;
    use crate::model::State;

    #[test]
    fn a_server_that_is_down_or_a_young_history_raises_no_alert_about_each_rule() {
        for reason in [MissingReason::Unreachable, MissingReason::LoginRefused, MissingReason::NotYet] {
            let mut world = World::new();
            let missing = || Outcome::NoData(vec![("tables".into(), crate::model::Missing::new(reason, "not there"))]);
            let lines = world.story((0..30).map(|_| missing()));
            assert!(lines.iter().all(String::is_empty), "{reason}: {lines:?}");
            // What is missing for a reason of its own afterwards begins to count then.
            let lines = world.story((0..12).map(|_| no_data()));
            assert!(lines[..10].iter().all(String::is_empty) && !lines[10].is_empty(), "{reason}: {lines:?}");
        }
    }

    #[test]
    fn a_rule_that_cannot_be_judged_for_too_long_raises_one_alert_until_it_can() {
        let mut world = World::new();
        let lines = world.story((0..12).map(|_| no_data()).chain([seen(&[])]));
        assert!(lines[..10].iter().all(String::is_empty), "{lines:?}");
        assert_eq!(lines[10], "inactive>firing (fires at once); mail: firing (first notice of this episode)");
        assert_eq!(lines[11], "mail: - (told already; again after 2026-01-05 11:10:01Z)");
        assert_eq!(lines[12], "firing>resolved (cleared); mail: resolved (the channel was told of the firing)");
    }

    #[test]
    fn it_is_one_alert_a_rule_not_one_a_subject() {
        let mut world = World::new();
        world.tick(seen(&["a", "b", "c"]));
        world.story((0..11).map(|_| failed()));
        let own: Vec<_> = world.book.alerts.values().filter(|alert| alert.rule == RULE_UNEVALUABLE).collect();
        assert_eq!(own.len(), 1);
        assert_eq!(own[0].summary, "rule `dead_rows` cannot be judged: line 3: division by zero");
        assert_eq!((own[0].subject.get("rule"), own[0].severity), (Some("dead_rows"), Severity::Warning));
        assert_eq!(world.book.alerts.values().filter(|alert| alert.held.is_some()).count(), 3);
    }

    #[test]
    fn health_counts_errors_in_a_row_and_remembers_since_when() {
        let mut world = World::new();
        let mut health = |outcome| world.tick(outcome).book.rules["dead_rows"].clone();
        let minute = |n| Some(start() + TimeDelta::minutes(n));
        assert_eq!(health(seen(&[])), RuleHealth { last_ok: minute(0), evaluations: 1, ..RuleHealth::default() });
        health(failed());
        let twice = health(failed());
        assert_eq!((twice.last_ok, twice.unknown_since, twice.errors), (minute(0), minute(1), 2));
        assert_eq!(health(skipped("not due")), twice, "skipping is no news");
        let gone = health(no_data());
        assert_eq!((gone.unknown_since, gone.errors, gone.reason.as_str()), (minute(1), 0, "tables: no grant"));
        assert_eq!(health(seen(&[])), RuleHealth { last_ok: minute(5), evaluations: 2, ..RuleHealth::default() });
    }

    #[test]
    fn skipping_is_neither_good_nor_bad_news() {
        let mut world = World::new();
        world.tick(failed());
        let quiet = world.story((0..20).map(|_| skipped("not due")));
        assert!(quiet.iter().all(String::is_empty), "one failure and then nothing tried: {quiet:?}");
        assert!(world.tick(failed()).tellings.len() == 1);
        world.tick(skipped("the plugin is quarantined"));
        assert_eq!(world.book.alerts.values().map(|alert| alert.state).collect::<Vec<_>>(), [State::Firing], "still not judged");
        world.tick(skipped("disabled: no such source"));
        assert!(world.book.alerts.is_empty(), "switched off, it need not be mended");
    }

    #[test]
    fn a_clock_put_back_does_not_postpone_it() {
        let mut world = World::new();
        world.story((0..3).map(|_| failed()));
        world.now -= TimeDelta::days(365);
        let lines = world.story((0..11).map(|_| failed()));
        assert!(lines[10].starts_with("inactive>firing"), "{lines:?}");
    }

    #[test]
    fn a_rule_that_takes_absence_for_a_problem_fires_and_holds_the_rest() {
        let mut world = World::new();
        world.rule.fire_when_missing = true;
        world.rule.tier = Tier::Page;
        world.tick(seen(&["a"]));
        let decision = world.tick(no_data());
        let mut all: Vec<_> =
            decision.book.alerts.values().map(|a| (a.subject.to_string(), a.severity, a.summary.clone(), a.held.clone())).collect();
        all.sort();
        assert_eq!(
            all,
            [
                (String::new(), Severity::Critical, "its data is missing: tables: no grant".to_string(), None),
                ("a".to_string(), Severity::Warning, "a is warning".to_string(), Some("tables: no grant".to_string())),
            ]
        );
        assert_eq!(decision.book.rules["dead_rows"].unknown_since, None);
        let back = world.tick(seen(&["a"]));
        assert_eq!(back.book.alerts.len(), 1);
        assert_eq!(back.transitions().next().unwrap().to, State::Resolved);
    }

    #[test]
    fn a_long_reason_is_cut() {
        let mut world = World::new();
        let decision = world.tick(Outcome::Error("é".repeat(100_000)));
        assert_eq!(decision.book.rules["dead_rows"].reason.chars().count(), 1_003);
    }

    #[test]
    fn no_rule_of_the_same_name_stands_in_its_way() {
        let mut world = World::new();
        let stranger = RuleOutcome { meta: Arc::new(super::meta()), outcome: seen(&["a"]) };
        assert!(world.tick_all(&[stranger]).book.alerts.is_empty());
    }
}
