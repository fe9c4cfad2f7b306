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
    Book, DecideConfig, Evaluation, Evidence, Finding, Labels, Outcome, RuleHealth, RuleMeta, RuleOutcome, Severity, Tier, Unit,
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
    match &ended.outcome {
        Outcome::Ok(_) => RuleHealth { last_ok: Some(now), ..RuleHealth::default() },
        Outcome::NoData(_) if ended.meta.fire_when_missing => RuleHealth { last_ok: Some(now), ..RuleHealth::default() },
        Outcome::NoData(_) => RuleHealth { unknown_since, reason: verdict::reason(&ended.outcome), errors: 0, ..before },
        Outcome::Error(_) => {
            RuleHealth { unknown_since, reason: verdict::reason(&ended.outcome), errors: before.errors.saturating_add(1), ..before }
        }
        Outcome::Skipped(_) => before,
    }
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
        // A skipped rule was not tried again: that is no news, neither good nor bad.
        let tried = !matches!(ended.outcome, Outcome::Skipped(_));
        let known = || book.alerts.contains_key(&fingerprint(RULE_UNEVALUABLE, &config.target.name, &subject));
        (lasted >= patience && (tried || known())).then(|| finding(subject, health, lasted, config))
    });
    RuleOutcome { meta: Arc::new(meta()), outcome: Outcome::Ok(Evaluation { findings: findings.collect(), ..Evaluation::default() }) }
}

fn finding(subject: Labels, health: &RuleHealth, lasted: TimeDelta, config: &DecideConfig) -> Finding {
    Finding {
        severity: Severity::Warning,
        summary: format!("rule `{}` cannot be judged: {}", subject.get("rule").unwrap_or_default(), health.reason),
        detail: String::new(),
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
