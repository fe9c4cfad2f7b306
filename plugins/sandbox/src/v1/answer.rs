//! What an answer weighs, against the limits: findings, and the bytes of all texts in it.

use super::bindings::pgsteward::plugin::types::{Action, EntryResult, Evaluation, Finding, PluginDef, RuleDef, ValueResult};
use crate::failure::Hit;
use crate::store::add;
use crate::{Limits, Use};

/// An answer of a plugin.
pub(super) trait Answer {
    /// Findings in it.
    fn findings(&self) -> usize {
        0
    }

    /// Bytes of all texts in it.
    fn text_bytes(&self) -> usize;

    /// Counts both.
    ///
    /// # Errors
    /// When there are more than the limits allow.
    fn count(&self, limits: &Limits, used: &mut Use) -> Result<(), Hit> {
        add(&mut used.findings, self.findings() as u64, "findings", limits.findings)?;
        add(&mut used.text_bytes, self.text_bytes() as u64, "text_bytes", limits.text_bytes)
    }
}

impl Answer for Evaluation {
    fn findings(&self) -> usize {
        self.findings.len()
    }

    fn text_bytes(&self) -> usize {
        self.findings.iter().map(finding).sum::<usize>() + entries(&self.extra)
    }
}

impl Answer for PluginDef {
    fn text_bytes(&self) -> usize {
        self.id.len() + self.version.len() + entries(&self.extra) + self.rules.iter().map(rule).sum::<usize>()
    }
}

impl Answer for Result<(), Vec<String>> {
    fn text_bytes(&self) -> usize {
        self.as_ref().err().map_or(0, |messages| messages.iter().map(|message| message.len() + ITEM).sum())
    }
}

fn rule(rule: &RuleDef) -> usize {
    let needs = rule.needs.iter().map(|need| need.input.len() + ITEM);
    let settings = rule.settings.iter().map(|def| def.name.len() + value(&def.default) + def.unit.len() + def.doc.len() + ITEM);
    let own = rule.id.len() + rule.title.len() + rule.from.as_ref().map_or(0, String::len) + ITEM;
    own + needs.chain(settings).sum::<usize>() + entries(&rule.extra)
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
    list.iter().map(|entry| entry.key.len() + value(&entry.value) + ITEM).sum()
}

fn value(value: &ValueResult) -> usize {
    match value {
        ValueResult::Text(text) => text.len(),
        ValueResult::Number(_) | ValueResult::Flag(_) => 8,
    }
}

/// What an item of a list weighs beside its texts, or a million empty ones would weigh nothing.
const ITEM: usize = 16;
