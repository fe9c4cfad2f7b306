//! `match`: which alerts or targets something is about. A map says what labels equal; a list, or one text, holds matchers
//! as Alertmanager writes them.
//!
//! A label may come from a rule or a subject and so cannot be known here, but where targets carry it or it is built in,
//! a value that nobody has is a mistake worth a word.

use std::collections::BTreeSet;

use super::checked::TargetConfig;
use super::desk::{self, Desk, choose, shown};
use super::source::SourceFile;
use crate::model::{Matcher, Matchers, Op, Severity, Tier};
use crate::yaml::{Node, Value, text_of};

/// Reads the matchers of a key, most often `match`.
pub(super) fn read(desk: &mut Desk, file: &SourceFile, key: &str, node: &Node, targets: &[TargetConfig]) -> Matchers {
    let entries = match &node.value {
        Value::Map(entries) => entries,
        Value::List(list) => return Matchers(list.iter().flat_map(|node| written(desk, file, key, node, targets)).collect()),
        _ => return Matchers(written(desk, file, key, node, targets)),
    };
    let mut matchers = Matchers::default();
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
        desk.asks(file, key.at, &key.text, &values);
        matchers.0.push(Matcher::is(key.text.clone(), values));
    }
    matchers
}

/// Matchers in their text form; several with commas between them.
fn written(desk: &mut Desk, file: &SourceFile, key: &str, node: &Node, targets: &[TargetConfig]) -> Vec<Matcher> {
    let Value::Text(text) = &node.value else {
        let message = format!("`{key}` must hold matchers, this is {}", shown(node));
        desk.error_hint(file, node, message, "{severity: critical, tier: [prod, stage]} or [severity>=warning, tier=prod]");
        return Vec::new();
    };
    let Matchers(found) = match text.parse() {
        Ok(matchers) => matchers,
        Err(reason) => {
            let hint = "the text forms are NAME=VALUE, !=, =~, !~ and severity>=warning; quote it in YAML when it holds a comma";
            desk.error_hint(file, node, reason, hint);
            return Vec::new();
        }
    };
    for matcher in &found {
        let values = if matches!(matcher.op(), Op::Is | Op::IsNot) { matcher.values() } else { &[] };
        desk.asks(file, node.at, matcher.name(), values);
    }
    for matcher in found.iter().filter(|matcher| matches!(matcher.op(), Op::Is | Op::IsNot)) {
        matcher.values().iter().filter(|value| !value.is_empty()).for_each(|value| check(desk, file, node, matcher.name(), value, targets));
    }
    found
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

#[cfg(test)]
mod tests {
    use crate::config::testing::{config, problems};

    #[test]
    fn a_map_a_list_and_a_text_say_the_same() {
        let of = |matchers: &str| {
            config(&format!("windows:\n- {{name: w, match: {matchers}, all_day: true, zone: UTC}}\n")).windows.remove(0).matchers
        };
        let list = of("[team=shop, severity=(warning|critical)]");
        assert_eq!(of("{team: shop, severity: [warning, critical]}"), list);
        assert_eq!(of("'team=shop,severity=(warning|critical)'"), list);
        assert_eq!(
            of("[team=shop, 'table=~\"orders_.*\"', severity>=warning]").to_string(),
            "team=shop,table=~orders_.*,severity>=warning"
        );
    }

    #[test]
    fn what_no_matcher_is_says_what_would_be() {
        let of = |matchers: &str| {
            problems(&format!(
                "targets: [{{name: a, dsn: '', labels: {{team: shop}}}}]\nwindows:\n- {{name: w, match: {matchers}, all_day: true, zone: UTC}}\n"
            ))
        };
        assert!(of("[team]")[0].starts_with("c.yaml:3:21: error: `team` is no matcher; write NAME=VALUE; the text forms are "));
        assert_eq!(of("[team=shpo]"), ["c.yaml:3:21: warning: no target has `team: shpo`; did you mean `shop`?"]);
        assert_eq!(of("[severity=bad]"), ["c.yaml:3:21: error: there is no severity `bad`; known here: info, warning, critical"]);
        assert!(of("[7]")[0].starts_with("c.yaml:3:21: error: `match` must hold matchers, this is `7`; "));
        assert!(of("[team!=shop, 'x=~\"(\"']")[0].contains("`(` is not a pattern that can be used"));
    }
}
