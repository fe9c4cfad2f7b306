//! Our own troubles as alerts of a target named `pgsteward`: a channel that cannot be reached, a target that cannot be
//! watched, a sign of life that nobody takes. They are outcomes of rules of our own, and live, are silenced, routed and told
//! like any other.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use crate::model::{ChannelHealth, Evaluation, Finding, Labels, Outcome, RuleMeta, RuleOutcome, Severity, Tier};

/// The name of the target; no target of a config may have it.
pub const OWN_TARGET: &str = crate::model::Target::OWN;
/// Id of the rule about channels.
pub const CHANNEL_UNHEALTHY: &str = "channel_unhealthy";
/// Id of the rule about targets.
pub const TARGET_UNUSABLE: &str = "target_unusable";
/// Id of the rule about the sign of life.
pub const HEARTBEAT_OVERDUE: &str = "heartbeat_overdue";

/// How long nothing may go through before somebody is told.
const PATIENCE: TimeDelta = TimeDelta::minutes(5);

/// A sign of life that was made and that its channel has not taken yet.
#[derive(Debug, Clone)]
pub struct Untaken {
    /// Its name.
    pub name: String,
    /// Where it should go.
    pub channel: String,
    /// Seconds between two.
    pub every_s: u64,
    /// When the first was made that was not taken.
    pub since: DateTime<Utc>,
}

/// The outcomes of all of them: `channels` by name, `targets` that cannot be watched with the reason, the sign of life that
/// was not taken.
#[must_use]
pub fn outcomes(
    channels: &BTreeMap<String, ChannelHealth>,
    targets: &[(String, String)],
    beat: Option<&Untaken>,
    now: DateTime<Utc>,
) -> Vec<RuleOutcome> {
    let unhealthy = channels.iter().filter_map(|(name, health)| unhealthy(name, health, now)).collect();
    let unusable = targets.iter().map(|(name, why)| unusable(name, why)).collect();
    let overdue = beat.and_then(|beat| overdue(beat, now)).into_iter().collect();
    vec![outcome(channel_meta(), unhealthy), outcome(target_meta(), unusable), outcome(heartbeat_meta(), overdue)]
}

/// Every rule that is not in a file.
#[must_use]
pub fn rules() -> [RuleMeta; 4] {
    [channel_meta(), target_meta(), heartbeat_meta(), super::rule_unevaluable()]
}

fn outcome(meta: RuleMeta, findings: Vec<Finding>) -> RuleOutcome {
    RuleOutcome { meta: Arc::new(meta), outcome: Outcome::Ok(Evaluation { findings, ..Evaluation::default() }) }
}

fn unhealthy(name: &str, health: &ChannelHealth, now: DateTime<Utc>) -> Option<Finding> {
    let since = |at: DateTime<Utc>| format!("since {}", at.format("%F %TZ"));
    let (severity, summary) = match (health.paused_at, health.failing_since) {
        (Some(at), _) => (Severity::Critical, format!("channel `{name}` is paused {}: its receiver refuses our login", since(at))),
        (None, Some(at)) if now - at >= PATIENCE => (Severity::Warning, format!("channel `{name}` takes nothing {}", since(at))),
        _ if health.dead > 0 => (Severity::Warning, format!("channel `{name}`: given up in the last day: {}", notices(health.dead))),
        _ => return None,
    };
    let waiting = if health.waiting > 0 { format!(" Waiting: {}.", notices(health.waiting)) } else { String::new() };
    let detail = if health.error.is_empty() { waiting.trim().to_string() } else { format!("The latest error: {}.{waiting}", health.error) };
    Some(finding(("channel", name), severity, summary, detail))
}

fn notices(count: u64) -> String {
    if count == 1 { "1 notice".into() } else { format!("{count} notices") }
}

fn unusable(name: &str, why: &str) -> Finding {
    finding(("name", name), Severity::Critical, format!("target `{name}` is not watched: {why}"), String::new())
}

/// One that is not taken when the next is due: nobody has heard of us for two intervals.
fn overdue(beat: &Untaken, now: DateTime<Utc>) -> Option<Finding> {
    let every = TimeDelta::try_seconds(i64::try_from(beat.every_s).ok()?)?;
    let (channel, span) = (&beat.channel, pgsteward_helpers::span(beat.every_s as f64));
    let summary = format!("channel `{channel}` has taken no sign of life since {}; one is due every {span}", beat.since.format("%F %TZ"));
    (now - beat.since >= every).then(|| finding(("name", &beat.name), Severity::Warning, summary, String::new()))
}

fn finding(subject: (&str, &str), severity: Severity, summary: String, detail: String) -> Finding {
    let subject = Labels::from_iter([subject]);
    Finding { subject, severity, summary, detail, evidence: vec![], actions: vec![], links: vec![] }
}

fn channel_meta() -> RuleMeta {
    RuleMeta {
        id: CHANNEL_UNHEALTHY.into(),
        title: "a channel cannot be reached".into(),
        runbook: "Why: nobody hears of alerts by this channel; what has a fallback goes there.\n\
                  Do: mend what the error says. A paused channel wants `pgsteward notify resume NAME` after that.\n\
                  Do: `pgsteward notify test --channel NAME` shows whether it works; `pgsteward notify redrive` sends again what was given up.\n"
            .into(),
        ..own_meta()
    }
}

fn target_meta() -> RuleMeta {
    RuleMeta {
        id: TARGET_UNUSABLE.into(),
        title: "a target cannot be watched".into(),
        runbook: "Why: nothing is known of it while its connection or one of its secrets cannot be read, or its ticks do not end.\n\
                  Do: mend what the summary says, then reload (SIGHUP); where ticks do not end, the log says why.\n"
            .into(),
        ..own_meta()
    }
}

fn heartbeat_meta() -> RuleMeta {
    RuleMeta {
        id: HEARTBEAT_OVERDUE.into(),
        title: "the sign of life is not taken".into(),
        runbook: "Why: whoever waits for it takes us for dead, although we live.\n\
                  Do: `pgsteward notify test --channel NAME` shows what its channel says.\n"
            .into(),
        ..own_meta()
    }
}

fn own_meta() -> RuleMeta {
    RuleMeta { category: "pgsteward".into(), tier: Tier::Page, ..super::rule_unevaluable() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::minutes(minute)
    }

    fn said(health: ChannelHealth, minute: i64) -> Vec<(Severity, String, String)> {
        let channels = BTreeMap::from([("mail".to_string(), health)]);
        let Outcome::Ok(evaluation) = outcomes(&channels, &[], None, at(minute)).remove(0).outcome else { panic!() };
        evaluation.findings.into_iter().map(|f| (f.severity, f.summary, f.detail)).collect()
    }

    #[test]
    fn whatever_ends_here_is_a_known_rule() {
        let known = rules().map(|meta| meta.id);
        let ended = outcomes(&BTreeMap::new(), &[], None, at(0));
        assert!(ended.iter().all(|outcome| known.contains(&outcome.meta.id)), "{known:?}");
    }

    #[test]
    fn a_channel_is_told_of_when_it_is_paused_fails_for_long_or_has_given_up() {
        let well = ChannelHealth::default();
        assert_eq!(said(ChannelHealth { waiting: 9, ..well.clone() }, 0), []);
        let failing = ChannelHealth { failing_since: Some(at(0)), error: "503".into(), waiting: 2, ..well.clone() };
        assert_eq!(said(failing.clone(), 4), [], "patience");
        let told = said(failing.clone(), 5).remove(0);
        assert_eq!((told.0, told.1.as_str()), (Severity::Warning, "channel `mail` takes nothing since 1970-01-01 00:00:00Z"));
        assert_eq!(told.2, "The latest error: 503. Waiting: 2 notices.");
        let paused = ChannelHealth { paused_at: Some(at(0)), error: "401".into(), ..failing };
        assert_eq!(said(paused, 0)[0].0, Severity::Critical);
        assert_eq!(
            said(ChannelHealth { dead: 3, waiting: 1, ..well }, 0),
            [(Severity::Warning, "channel `mail`: given up in the last day: 3 notices".into(), "Waiting: 1 notice.".into())]
        );
    }

    #[test]
    fn a_target_that_cannot_be_watched_is_named() {
        let told = outcomes(&BTreeMap::new(), &[("orders-1".into(), "the variable `PW` is not set".into())], None, at(0)).remove(1);
        let Outcome::Ok(evaluation) = told.outcome else { panic!() };
        assert_eq!(evaluation.findings[0].summary, "target `orders-1` is not watched: the variable `PW` is not set");
    }
    #[test]
    fn a_sign_of_life_is_overdue_when_it_is_not_taken_before_the_next_is_due() {
        let beat = Untaken { name: "alive".into(), channel: "hook".into(), every_s: 600, since: at(0) };
        let found = |minute| overdue(&beat, at(minute)).map(|finding| finding.summary);
        assert_eq!(found(9), None);
        assert_eq!(found(10).unwrap(), "channel `hook` has taken no sign of life since 1970-01-01 00:00:00Z; one is due every 10m");
    }
}
