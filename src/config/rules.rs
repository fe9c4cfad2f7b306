//! `rules`: which shipped packs are on, and what is changed about rules on which targets.

use std::collections::{BTreeMap, BTreeSet};

use super::checked::TargetConfig;
use super::desk::{Desk, choose, shown};
use super::matchers;
use super::source::{Content, SourceFile, are_rules};
use crate::model::{Matcher, RuleOverride, SettingValue, Severity};
use crate::yaml::{Key, Node, Value, number_of, text_of};

/// The packs that are shipped.
pub const PACKS: [&str; 4] = ["page", "ticket", "advice", "classic"];

/// The packs that are on when nobody says anything.
fn default_packs() -> BTreeSet<String> {
    ["page", "ticket", "advice"].map(String::from).into()
}

/// The packs where there is no section. A rule file that is the whole config means its own rules and no others: a
/// shipped one that says the same would tell everything twice, and run what the file switches off.
pub(super) fn packs_beside(first: Option<&SourceFile>) -> BTreeSet<String> {
    match first.map(|file| &file.content) {
        Some(Content::Rules(_)) => BTreeSet::new(),
        _ => default_packs(),
    }
}

/// Reads `rules`.
pub(super) fn read(desk: &mut Desk, file: &SourceFile, node: &Node, targets: &[TargetConfig]) -> (BTreeSet<String>, Vec<RuleOverride>) {
    let nothing = (default_packs(), Vec::new());
    if are_rules(node) {
        let hint = "move them there and name that file in `include`";
        desk.error_hint(file, node, "rules stand in a file of their own", hint);
        return nothing;
    }
    let Some(mut fields) = desk.open(file, node, "`rules`") else { return nothing };
    fields.refuse("files", "is not needed: name rule files and folders in `include`");
    let packs = fields.list("shipped").map(|list| packs(desk, file, list)).unwrap_or_else(default_packs);
    let mut overrides = Vec::new();
    for node in fields.list("override").unwrap_or_default() {
        desk.place(format!("rules.override.{}", overrides.len()), file, node.at);
        if let Some(change) = change(desk, file, node, targets) {
            overrides.push(change);
        }
    }
    desk.finish(fields);
    (packs, overrides)
}

fn packs(desk: &mut Desk, file: &SourceFile, list: &[Node]) -> BTreeSet<String> {
    let mut packs = BTreeSet::new();
    for node in list {
        let name = text_of(node).unwrap_or_default();
        if PACKS.contains(&name.as_str()) {
            packs.insert(name);
        } else if name == "lint" {
            desk.error(file, node, "the pack `lint` is not in this version yet");
        } else {
            desk.error_hint(file, node, format!("there is no pack {}", shown(node)), choose(PACKS.into_iter(), &name));
        }
    }
    packs
}

fn change(desk: &mut Desk, file: &SourceFile, node: &Node, targets: &[TargetConfig]) -> Option<RuleOverride> {
    let mut fields = desk.open(file, node, "an override")?;
    let change = RuleOverride {
        matchers: fields.node("match").map(|node| matchers::read(desk, file, "match", node, targets)).unwrap_or_default(),
        rule: fields.text("rule"),
        enabled: fields.flag("enabled"),
        settings: fields.map("settings").map(|entries| settings(desk, file, entries)).unwrap_or_default(),
        severity_at_most: fields.node("severity_at_most").and_then(|node| severity(desk, file, node)),
        why: fields.text("why"),
        at: Some(node.at),
    };
    for name in change.matchers.0.iter().map(Matcher::name) {
        if ["severity", "rule", "category"].contains(&name) {
            let message = format!("an override matches targets, and `{name}` is not one of their labels");
            desk.error_hint(file, node, message, "match on target, cluster or a target's labels; name the rule with `rule`");
        }
    }
    let understood = desk.finish(fields);
    if understood && change.enabled.is_none() && change.settings.is_empty() && change.severity_at_most.is_none() {
        desk.warn(file, node, "this override changes nothing", "say enabled, settings or severity_at_most");
    }
    if !change.settings.is_empty() && change.rule.is_none() {
        desk.error_hint(file, node, "`settings` without `rule`", "settings belong to one rule: name it with `rule`");
    }
    Some(change)
}

fn severity(desk: &mut Desk, file: &SourceFile, node: &Node) -> Option<Severity> {
    desk.word(file, "severity_at_most", node, &Severity::ALL.map(Severity::as_str))?.parse().ok()
}

fn settings(desk: &mut Desk, file: &SourceFile, entries: &[(Key, Node)]) -> BTreeMap<String, SettingValue> {
    let mut settings = BTreeMap::new();
    for (key, node) in entries {
        let value = match &node.value {
            Value::Flag(flag) => SettingValue::Flag(*flag),
            _ => match (number_of(node), text_of(node)) {
                (Ok(number), _) if number.is_finite() => SettingValue::Number(number),
                (Err(_), Some(text)) => SettingValue::Text(text),
                _ => {
                    desk.error(file, node, format!("the setting `{}` must be a number, text or flag, this is {}", key.text, shown(node)));
                    continue;
                }
            },
        };
        settings.insert(key.text.clone(), value);
    }
    settings
}
