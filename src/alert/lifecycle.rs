//! How alerts move: inactive, pending, firing, recovering, resolved. A pure step from one evaluation to the next.
//!
//! A finding fires when it has lasted `for` (inclusive; 0 at once) and is over when it has been away `keep_firing_for`.
//! Both clocks are start times in the alert. Time that proves nothing moves the start on: all time up to an evaluation
//! that could not judge the subject, a gap of more than two intervals between two that could, and a step of the clock back.
//! What is absent here: suppression, routes and channels, which never change a state.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use super::fingerprint::{episode, fingerprint};
use super::verdict::Verdict;
use crate::model::{Alert, Finding, Labels, Reason, RuleMeta, State};

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
    /// How far apart its evaluations are meant to be, in seconds.
    pub interval_s: u64,
}

/// One alert in this tick.
pub(super) struct Life<'a> {
    /// As it was in the book.
    pub before: Option<&'a Alert>,
    /// As it is now, also when that is the end of it.
    pub alert: Alert,
    /// `None` once the rule is gone.
    pub meta: Option<&'a RuleMeta>,
    /// The state it left and why, if it did.
    pub change: Option<(State, Reason)>,
    /// Why it is held, or what does not count.
    pub note: Option<Reason>,
}

/// All alerts of one rule: those with a finding in the order of their subjects, then the others.
pub(super) fn advance<'a>(turn: &Turn<'a>, alerts: &[&'a Alert]) -> Vec<Life<'a>> {
    let evaluation = match &turn.verdict {
        Verdict::Judged(evaluation) => evaluation,
        Verdict::Held(reason) => return alerts.iter().map(|alert| turn.held(alert, reason, TimeDelta::zero())).collect(),
        Verdict::NotDue => return alerts.iter().map(|alert| turn.unchanged(alert)).collect(),
    };
    let mut findings: BTreeMap<&Labels, &Finding> = BTreeMap::new();
    for finding in &evaluation.findings {
        let kept = findings.entry(&finding.subject).or_insert(finding);
        if order(finding, kept).is_lt() {
            *kept = finding;
        }
    }
    let mut held: BTreeMap<&Labels, &str> = BTreeMap::new();
    for one in &evaluation.held {
        let kept = held.entry(&one.subject).or_insert(&one.reason);
        *kept = (*kept).min(&one.reason);
    }
    let known: BTreeMap<&Labels, &'a Alert> = alerts.iter().map(|alert| (&alert.subject, *alert)).collect();
    let seen = findings.values().map(|finding| turn.seen(known.get(&finding.subject).copied(), finding));
    let others = alerts.iter().filter(|alert| !findings.contains_key(&alert.subject)).map(|alert| match held.get(&alert.subject) {
        Some(reason) => turn.held(alert, reason, turn.since_end),
        None => turn.missed(alert),
    });
    seen.chain(others).collect()
}

/// The end of an alert whose rule is gone.
pub(super) fn removed(before: &Alert) -> Life<'_> {
    let state = if before.state == State::Pending { State::Inactive } else { State::Resolved };
    let alert = Alert { state, held: None, ..before.clone() };
    Life { before: Some(before), alert, meta: None, change: Some((before.state, Reason::RuleRemoved)), note: None }
}

/// Of two findings about one subject the worse comes first; between equals their text decides, so that order never does.
fn order(a: &Finding, b: &Finding) -> Ordering {
    let worse = b.severity.cmp(&a.severity);
    let text = || (&a.summary, &a.detail).cmp(&(&b.summary, &b.detail));
    worse.then_with(text).then_with(|| format!("{a:?}").cmp(&format!("{b:?}")))
}

impl<'a> Turn<'a> {
    /// The rule reports the subject.
    fn seen(&self, before: Option<&'a Alert>, finding: &Finding) -> Life<'a> {
        let mut alert = self.draft(before, finding);
        let mut note = None;
        let from = before.map_or(State::Inactive, |before| before.state);
        let change = match from {
            State::Firing => None,
            State::Recovering => Some((State::Firing, Reason::CameBack)),
            State::Pending | State::Inactive | State::Resolved => {
                if from == State::Pending {
                    let gap = self.unproven();
                    alert.active_at = later(alert.active_at, gap);
                    note = u64::try_from(gap.num_seconds()).ok().filter(|s| *s > 0).map(|gap_s| Reason::Gap { gap_s });
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
        Life { before, alert, meta: Some(self.meta), change, note }
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
    fn missed(&self, before: &'a Alert) -> Life<'a> {
        let keep_firing_for_s = self.meta.keep_firing_for_s;
        let mut alert = Alert { held: None, ..before.clone() };
        let away_since = match before.recovering_at {
            Some(since) => later(since, self.since_end.min(TimeDelta::zero())),
            None => self.now,
        };
        let change = match before.state {
            State::Pending | State::Inactive => Some((State::Inactive, Reason::GoneBeforeFiring)),
            _ if seconds(self.now - away_since) >= keep_firing_for_s => Some((State::Resolved, Reason::Cleared)),
            State::Firing => Some((State::Recovering, Reason::Recovering { keep_firing_for_s })),
            State::Recovering | State::Resolved => None,
        };
        if before.state != State::Pending {
            alert.recovering_at = Some(away_since);
        }
        let change = change.map(|(to, reason)| {
            alert.state = to;
            (before.state, reason)
        });
        Life { before: Some(before), alert, meta: Some(self.meta), change, note: None }
    }

    /// Nothing is known of the subject; its clock stands still for as long as `lost`.
    fn held(&self, before: &'a Alert, reason: &str, lost: TimeDelta) -> Life<'a> {
        let mut alert = Alert { held: Some(reason.to_string()), ..before.clone() };
        if alert.state == State::Pending {
            alert.active_at = later(alert.active_at, lost);
        }
        alert.recovering_at = alert.recovering_at.map(|since| later(since, lost));
        Life { before: Some(before), alert, meta: Some(self.meta), change: None, note: Some(Reason::Held { detail: reason.to_string() }) }
    }

    fn unchanged(&self, before: &'a Alert) -> Life<'a> {
        Life { before: Some(before), alert: before.clone(), meta: Some(self.meta), change: None, note: None }
    }

    /// Time since the last evaluation that does not count, although the subject was seen at both ends of it.
    fn unproven(&self) -> TimeDelta {
        let steady = self.since_end >= TimeDelta::zero();
        let tolerated = self.interval_s.saturating_mul(2).saturating_mul(1_000);
        let short = u64::try_from(self.since_end.num_milliseconds()).is_ok_and(|gap| gap <= tolerated);
        if steady && short { TimeDelta::zero() } else { self.since_end }
    }

    /// The alert as the finding describes it; identity and times as they were.
    fn draft(&self, before: Option<&Alert>, finding: &Finding) -> Alert {
        let who = before.map_or_else(|| fingerprint(&self.meta.id, self.target, &finding.subject), |before| before.fingerprint.clone());
        Alert {
            episode: before.map_or_else(|| episode(&who, self.now), |before| before.episode.clone()),
            fingerprint: who,
            rule: self.meta.id.clone(),
            title: self.meta.title.clone(),
            target: self.target.to_string(),
            subject: finding.subject.clone(),
            labels: self.labels.clone(),
            tier: self.meta.tier,
            severity: finding.severity,
            state: before.map_or(State::Inactive, |before| before.state),
            active_at: before.map_or(self.now, |before| before.active_at),
            fired_at: before.and_then(|before| before.fired_at),
            recovering_at: None,
            seen_at: self.now,
            held: None,
            suppressed_by: None,
            summary: finding.summary.clone(),
            detail: finding.detail.clone(),
            evidence: finding.evidence.clone(),
            actions: finding.actions.clone(),
            runbook: self.meta.runbook.clone(),
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
