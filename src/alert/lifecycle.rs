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
        Verdict::Off(detail) => return alerts.iter().map(|alert| removed(alert, Reason::RuleOff { detail: detail.clone() })).collect(),
        Verdict::NotDue => return alerts.iter().map(|alert| turn.not_asked(alert)).collect(),
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

/// The end of an alert whose rule or target is gone or switched off.
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
        if let Some(before) = before.filter(|before| self.stays(before) && self.says_the_same(before, finding)) {
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

    /// Whether an alert that is found again stays in its state, with the clock that it has.
    fn stays(&self, before: &Alert) -> bool {
        match before.state {
            State::Firing => true,
            State::Pending => self.unproven().is_zero() && self.wait(before, State::Pending).is_none(),
            _ => false,
        }
    }

    /// Whether an alert says already what the finding says, so that there is nothing to write down.
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
        let proven_s = proven_s(alert.active_at, self.now);
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

    /// Nobody asked the rule, so all is as it was, the word about it included.
    fn not_asked(&self, before: &'a Arc<Alert>) -> Life<'a> {
        let note = before.choices.get("").map(|(_, reason)| reason.clone());
        Life { meta: Some(self.meta), note, ..unchanged(before) }
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
        unproven(self.since_end, self.interval_s)
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

/// The longest time between two evaluations that counts, in seconds; `interval_s` is how far apart they are meant to be.
pub(super) fn longest_gap_s(interval_s: u64) -> u64 {
    interval_s.saturating_mul(2)
}

/// What of the time between two evaluations that saw a subject does not count.
pub(super) fn unproven(between: TimeDelta, interval_s: u64) -> TimeDelta {
    let tolerated = longest_gap_s(interval_s).saturating_mul(1_000);
    // A negative one, from a clock put back, is never short.
    let short = u64::try_from(between.num_milliseconds()).is_ok_and(|gap| gap <= tolerated);
    if short { TimeDelta::zero() } else { between }
}

/// How long a finding has lasted by an evaluation, in seconds.
pub(super) fn proven_s(active_at: DateTime<Utc>, evaluated_at: DateTime<Utc>) -> u64 {
    seconds(evaluated_at - active_at)
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
mod tests;
