//! What an answer weighs, against the limits: findings, and the bytes of all texts in them.

use super::bindings::pgsteward::plugin::types::{Action, EntryResult, Evaluation, Finding, ValueResult};
use crate::{Failure, Limits, Use};

/// Counts findings and texts.
///
/// # Errors
/// When there are more than the limits allow.
pub(super) fn count(evaluation: &Evaluation, limits: &Limits, used: &mut Use) -> Result<(), Failure> {
    used.findings = evaluation.findings.len() as u64;
    used.text_bytes = (evaluation.findings.iter().map(finding).sum::<usize>() + entries(&evaluation.extra)) as u64;
    if used.findings > limits.findings {
        return Err(Failure::limit("findings", limits.findings));
    }
    if used.text_bytes > limits.text_bytes {
        return Err(Failure::limit("text_bytes", limits.text_bytes));
    }
    Ok(())
}

fn finding(finding: &Finding) -> usize {
    let evidence = finding.evidence.iter().map(|e| e.metric.len() + e.unit.len() + ITEM);
    let links = finding.links.iter().map(|link| link.title.len() + link.url.len() + ITEM);
    let actions = finding.actions.iter().map(action);
    finding.summary.len() + finding.detail.len() + entries(&finding.extra) + evidence.chain(links).chain(actions).sum::<usize>()
}

fn action(action: &Action) -> usize {
    action.kind.len() + action.why.len() + entries(&action.params) + entries(&action.extra) + ITEM
}

fn entries(list: &[EntryResult]) -> usize {
    let value = |value: &ValueResult| match value {
        ValueResult::Text(text) => text.len(),
        ValueResult::Number(_) | ValueResult::Flag(_) => 8,
    };
    list.iter().map(|entry| entry.key.len() + value(&entry.value) + ITEM).sum()
}

/// What an item of a list weighs beside its texts, or a million empty ones would weigh nothing.
const ITEM: usize = 16;
