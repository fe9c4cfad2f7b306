//! Labels and rules that matchers and groupings ask for and that no alert has: most often a typing error, and the reason
//! why a route is never taken. For `config check`, since only who knows the rules can tell.
//!
//! A plugin makes up its subjects as it goes, so beside one no label is doubted.

use std::collections::BTreeSet;

use super::checked::{Asked, Config};
use super::notes::Around;
use crate::model::{Catalog, ColumnKind};
use crate::problem::Problem;

/// What every alert has, and the subjects of alerts about pgsteward itself.
const ALWAYS: [&str; 8] = ["severity", "rule", "target", "tier", "category", "cluster", "channel", "name"];

/// A warning for each.
pub(super) fn notes(config: &Config, around: &Around<'_>) -> Vec<Problem> {
    let (labels, rules) = (labels(config, around), around.rules.iter().map(|rule| rule.id.as_str()).collect());
    config.asked.iter().flat_map(|asked| label(asked, labels.as_ref()).into_iter().chain(unknown_rules(asked, &rules))).collect()
}

/// All labels that an alert may have; `None` where they are not to be known.
fn labels<'a>(config: &'a Config, around: &Around<'a>) -> Option<BTreeSet<&'a str>> {
    if around.rules.iter().any(|rule| rule.engine == "wasm") {
        return None;
    }
    let columns = around.frames.frames().flat_map(|frame| &frame.columns).filter(|column| column.kind == ColumnKind::Label);
    let given = config.targets.iter().map(|target| &target.target.labels).chain(around.rules.iter().map(|rule| &rule.labels));
    let given = given.flat_map(|labels| labels.0.keys()).map(String::as_str);
    Some(columns.map(|column| column.name.as_str()).chain(given).chain(ALWAYS).collect())
}

/// A label that only absence is asked of is asked for by `NAME=""`.
fn label(asked: &Asked, labels: Option<&BTreeSet<&str>>) -> Option<Problem> {
    let absence = !asked.values.is_empty() && asked.values.iter().all(String::is_empty);
    let labels = labels.filter(|labels| !absence && !labels.contains(asked.label.as_str()))?;
    let message = format!("no rule, target or metric gives an alert the label `{}`", asked.label);
    Some(asked.place.warning(message).hint(near(labels, &asked.label, "give it to a target or a rule with `labels`")))
}

fn unknown_rules(asked: &Asked, rules: &BTreeSet<&str>) -> Vec<Problem> {
    let named = asked.values.iter().filter(|id| asked.label == "rule" && !id.is_empty() && !rules.contains(id.as_str()));
    named
        .map(|id| asked.place.warning(format!("there is no rule `{id}`")).hint(near(rules, id, "`pgsteward rules list` names them")))
        .collect()
}

/// There are too many of either to name them all.
fn near(known: &BTreeSet<&str>, name: &str, otherwise: &str) -> String {
    Catalog::nearest(known.iter().copied(), name).map_or_else(|| otherwise.into(), |near| format!("did you mean `{near}`?"))
}
