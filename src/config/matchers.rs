//! `match`: which alerts or targets something is about.
//!
//! A label may come from a rule or a subject and so cannot be known here, but where targets carry it or it is built in,
//! a value that nobody has is a mistake worth a word.

use std::collections::BTreeSet;

use super::checked::TargetConfig;
use super::desk::{self, Desk, choose};
use super::source::SourceFile;
use crate::model::{Matcher, Matchers, Severity, Tier};
use crate::yaml::{Node, Value, text_of};

/// Reads the matchers of a key, most often `match`.
pub(super) fn read(desk: &mut Desk, file: &SourceFile, key: &str, node: &Node, targets: &[TargetConfig]) -> Matchers {
    let mut matchers = Matchers::default();
    let Value::Map(entries) = &node.value else {
        let message = format!("`{key}` must be a map, this is {}", node.value.kind());
        desk.error_hint(file, node, message, "{severity: critical, tier: [prod, stage]}");
        return matchers;
    };
    for (key, node) in entries {
        let list = desk::entries(node);
        if list.is_empty() {
            desk.error(file, node, format!("`{}` matches nothing: the list is empty", key.text));
        }
        let mut values = Vec::new();
        for node in list {
            let Some(text) = text_of(node) else {
                desk.error(file, node, format!("`{}` must be matched with text, this is {}", key.text, node.value.kind()));
                continue;
            };
            check(desk, file, node, &key.text, &text, targets);
            values.push(text);
        }
        matchers.0.push(Matcher::is(key.text.clone(), values));
    }
    matchers
}

fn check(desk: &mut Desk, file: &SourceFile, node: &Node, name: &str, value: &str, targets: &[TargetConfig]) {
    if name == "severity" {
        if value.parse::<Severity>().is_err() {
            let known = Severity::ALL.map(Severity::as_str);
            desk.error_hint(file, node, format!("there is no severity `{value}`"), choose(known.into_iter(), value));
        }
        return;
    }
    let known: BTreeSet<&str> = targets.iter().filter_map(|t| label(t, name)).collect();
    let tier = name == "tier" && Tier::ALL.iter().any(|tier| tier.as_str() == value);
    if known.is_empty() || known.contains(value) || tier {
        return;
    }
    desk.warn(file, node, format!("no target has `{name}: {value}`"), choose(known.iter().copied(), value));
}

/// What a target answers to.
pub(super) fn label<'a>(target: &'a TargetConfig, name: &str) -> Option<&'a str> {
    match name {
        "target" => Some(&target.target.name),
        "cluster" => target.target.cluster.as_deref(),
        _ => target.target.labels.get(name),
    }
}
