//! `inhibit`: which alerts keep back which others.

use super::checked::TargetConfig;
use super::desk::{Desk, entries};
use super::matchers;
use super::source::SourceFile;
use crate::model::Inhibition;
use crate::yaml::Node;

/// Reads `inhibit`.
pub(super) fn read(desk: &mut Desk, file: &SourceFile, section: &Node, targets: &[TargetConfig]) -> Vec<Inhibition> {
    entries(section).iter().filter_map(|node| one(desk, file, node, targets)).collect()
}

fn one(desk: &mut Desk, file: &SourceFile, node: &Node, targets: &[TargetConfig]) -> Option<Inhibition> {
    let mut fields = desk.open(file, node, "an inhibition")?;
    let source = fields.required("source").map(|node| matchers::read(desk, file, "source", node, targets)).unwrap_or_default();
    let target = fields.required("target").map(|node| matchers::read(desk, file, "target", node, targets)).unwrap_or_default();
    let written = fields.texts("equal");
    for (node, name) in fields.list("equal").unwrap_or_default().iter().zip(written.iter().flatten()) {
        desk.asks(file, node.at, name, &[]);
    }
    let name = fields.text("name").unwrap_or_else(|| source.to_string());
    if !desk.finish(fields) {
        return None;
    }
    if source.is_empty() {
        desk.error_hint(file, node, "`source` matches everything", "name what keeps the others back: `source: {rule: instance_down}`");
    }
    if written.is_none() {
        let hint = "add `equal: [target]`, or `equal: []` if it is meant";
        desk.warn(file, node, "one alert that matches `source` keeps back all that match `target`, on every server", hint);
    }
    Some(Inhibition { name, source, target, equal: written.unwrap_or_default() })
}

#[cfg(test)]
mod tests {
    use crate::config::testing::{config, problems};

    #[test]
    fn an_inhibition_says_by_what_and_within_what() {
        let text = "inhibit:\n- {source: {rule: instance_down}, target: {}, equal: [target]}\n";
        let inhibition = config(text).inhibitions.remove(0);
        assert_eq!((inhibition.name.as_str(), inhibition.equal.as_slice()), ("rule=instance_down", &["target".to_string()][..]));
        assert_eq!(
            problems("inhibit:\n- {source: {}, target: [severity>=info]}\n- {target: {}, equal: []}\n"),
            [
                "c.yaml:2:3: error: `source` matches everything; name what keeps the others back: `source: {rule: instance_down}`",
                "c.yaml:2:3: warning: one alert that matches `source` keeps back all that match `target`, on every server; add `equal: [target]`, or `equal: []` if it is meant",
                "c.yaml:3:3: error: `source` is missing",
            ]
        );
    }
}
