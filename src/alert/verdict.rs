//! What the outcome of a rule means for its alerts: only a judgement, or whoever switches the rule off, may end anything;
//! everything else holds.

use std::borrow::Cow;
use std::sync::Arc;

use crate::model::{Alert, Evaluation, Finding, Held, Labels, Outcome, RuleMeta, RuleOutcome};

/// Longest reason kept, in characters; a reason may quote whatever a server or script said.
const REASON_CHARS: usize = 1_000;

/// The meaning of one outcome.
pub(super) enum Verdict<'a> {
    /// The rule came to an end: subjects without a finding are well, but for those it could not judge.
    Judged(Cow<'a, Evaluation>),
    /// It did not; every alert keeps its state.
    Held(String),
    /// Nobody asked it, as its interval is not over.
    NotDue,
    /// Somebody has switched it off, so its alerts are over.
    Off(String),
}

/// What an outcome means for the rule's alerts.
pub(super) fn of<'a>(ended: &'a RuleOutcome, alerts: &[&Arc<Alert>]) -> Verdict<'a> {
    match &ended.outcome {
        Outcome::Ok(evaluation) => Verdict::Judged(Cow::Borrowed(evaluation)),
        Outcome::Skipped(reason) if reason.starts_with(Outcome::NOT_DUE) => Verdict::NotDue,
        outcome if outcome.is_off() => Verdict::Off(reason(outcome)),
        Outcome::NoData(_) if ended.meta.fire_when_missing => {
            Verdict::Judged(Cow::Owned(missing(&ended.meta, reason(&ended.outcome), alerts)))
        }
        outcome => Verdict::Held(reason(outcome)),
    }
}

/// Why an outcome is no judgement, cut to a length that fits a line or two.
pub(super) fn reason(outcome: &Outcome) -> String {
    let mut text = outcome.reason();
    if let Some((end, _)) = text.char_indices().nth(REASON_CHARS) {
        text.truncate(end);
        text.push_str("...");
    }
    text
}

/// A rule that takes absence for a problem has one finding, about the server; its other subjects are unknown.
fn missing(meta: &RuleMeta, reason: String, alerts: &[&Arc<Alert>]) -> Evaluation {
    let others = alerts.iter().filter(|alert| !alert.subject.is_empty());
    let held = others.map(|alert| Held { subject: alert.subject.clone(), reason: reason.clone() }).collect();
    let finding = Finding {
        subject: Labels::default(),
        severity: meta.default_severity(),
        summary: format!("its data is missing: {reason}"),
        detail: String::new(),
        evidence: Vec::new(),
        actions: Vec::new(),
        links: Vec::new(),
    };
    Evaluation { findings: vec![finding], held, unknown: 0 }
}
