//! `escalation`: who else is told when an alert goes on. By name, each a row of steps with growing delays.

use std::collections::BTreeSet;

use super::channels;
use super::desk::Desk;
use super::matchers;
use super::routes::Known;
use super::source::SourceFile;
use crate::model::{Escalation, EscalationStep};
use crate::yaml::{Node, Value};

/// Longest delay of a step in seconds.
const LONGEST_S: u64 = 30 * 86_400;

/// Reads `escalation`.
pub(super) fn read(desk: &mut Desk, file: &SourceFile, section: &Node, known: &Known<'_>) -> Vec<Escalation> {
    let Value::Map(entries) = &section.value else {
        let hint = "prod: {match: {tier: prod}, steps: [{after: 15m, channel: NAME}]}";
        let message = format!("`escalation` must be a map from names, this is {}", section.value.kind());
        desk.error_hint(file, section, message, hint);
        return Vec::new();
    };
    let mut found = Vec::new();
    for (key, node) in entries {
        desk.place(format!("escalation.{}", key.text), file, key.at);
        found.extend(one(desk, file, node, key.text.clone(), known));
    }
    found
}

fn one(desk: &mut Desk, file: &SourceFile, node: &Node, name: String, known: &Known<'_>) -> Option<Escalation> {
    let mut fields = desk.open(file, node, "an escalation")?;
    let matchers = fields.node("match").map(|node| matchers::read(desk, file, "match", node, known.targets)).unwrap_or_default();
    let list = fields.list("steps").unwrap_or_default();
    let unless = fields.node("unless").and_then(|node| desk.word(file, "unless", node, &["acked", "nothing"]));
    if desk.finish(fields) && list.is_empty() {
        desk.error_hint(file, node, format!("the escalation `{name}` has no steps"), "add `steps: [{after: 15m, channel: NAME}]`");
    }
    let mut steps: Vec<EscalationStep> = Vec::new();
    for node in list {
        let Some(step) = step(desk, file, node, known.channels) else { continue };
        if steps.last().is_some_and(|last| step.after_s <= last.after_s) {
            let hint = "each counts from the first notice, so delays must grow from step to step";
            desk.error_hint(file, node, "this step comes no later than the one before it", hint);
        }
        steps.push(step);
    }
    Some(Escalation { name, matchers, steps, unless_acked: unless != Some("nothing") })
}

fn step(desk: &mut Desk, file: &SourceFile, node: &Node, known: &BTreeSet<String>) -> Option<EscalationStep> {
    let mut fields = desk.open(file, node, "a step")?;
    let after_s = fields.required("after").and_then(|node| desk.seconds(file, "after", node, 60..=LONGEST_S));
    let channels = fields.list("channel").map(|list| channels::named(desk, file, list, known)).unwrap_or_default();
    if desk.finish(fields) && channels.is_empty() {
        desk.error_hint(file, node, "this step tells nobody", "add `channel: NAME`");
    }
    Some(EscalationStep { after_s: after_s?, channels })
}

#[cfg(test)]
mod tests {
    use crate::config::testing::{config, problems};

    const CHANNELS: &str = "channels: {mail: {kind: console}, pager: {kind: console}}\nroutes: {channel: mail}\n";

    #[test]
    fn steps_follow_each_other_and_name_channels_that_are_there() {
        let text = "escalation:\n  prod: {match: [severity>=critical], steps: [{after: 15m, channel: pager}, {after: 1h, channel: [mail, pager]}], unless: nothing}\n";
        let escalation = config(&format!("{CHANNELS}{text}")).escalations.remove(0);
        assert_eq!((escalation.name.as_str(), escalation.unless_acked), ("prod", false));
        let steps: Vec<(u64, usize)> = escalation.steps.iter().map(|step| (step.after_s, step.channels.len())).collect();
        assert_eq!(steps, [(900, 1), (3_600, 2)]);
        let sick = "escalation:\n  a: {steps: [{after: 1h, channel: paper}, {after: 1h}]}\n  b: {}\n";
        let found = problems(&format!("{CHANNELS}{sick}"));
        assert_eq!(
            found,
            [
                "c.yaml:4:36: error: there is no channel `paper`; did you mean `pager`?",
                "c.yaml:4:44: error: this step tells nobody; add `channel: NAME`",
                "c.yaml:4:44: error: this step comes no later than the one before it; each counts from the first notice, so delays must grow from step to step",
                "c.yaml:5:6: error: the escalation `b` has no steps; add `steps: [{after: 15m, channel: NAME}]`",
            ]
        );
    }
}
