//! Whether the overrides of a config fit the rules: names, legal values, and values that fit each other.

use super::RuleSet;
use super::meta::check_setting;
use super::set::{Entry, settings_of};
use crate::model::{Catalog, RuleOverride};
use crate::problem::Problem;

/// Every problem of every override; `file` is the config they stand in.
#[must_use]
pub fn check_overrides(set: &RuleSet, overrides: &[RuleOverride], file: &str) -> Vec<Problem> {
    overrides.iter().flat_map(|over| check(set, over).into_iter().map(|(message, hint)| problem(file, over, message, hint))).collect()
}

fn problem(file: &str, over: &RuleOverride, message: String, hint: Option<String>) -> Problem {
    let problem = Problem::error(file, over.at, message);
    match hint {
        Some(hint) => problem.hint(hint),
        None => problem,
    }
}

/// Message and hint of each problem.
fn check(set: &RuleSet, over: &RuleOverride) -> Vec<(String, Option<String>)> {
    let entries: Vec<&Entry> = match &over.rule {
        None => set.entries.values().collect(),
        Some(id) => match set.entries.get(id) {
            Some(entry) => vec![entry],
            None => {
                let near = Catalog::nearest(set.entries.keys().map(String::as_str), id);
                return vec![(format!("there is no rule `{id}`"), near.map(|n| format!("did you mean `{n}`?")))];
            }
        },
    };
    let mut found: Vec<_> = over.settings.keys().filter_map(|name| unknown_setting(&entries, over, name)).collect();
    for entry in entries {
        let illegal: Vec<String> = entry
            .meta
            .settings
            .iter()
            .filter_map(|def| check_setting(def, over.settings.get(&def.name)?).err())
            .map(|reason| format!("rule `{}`: {reason}", entry.meta.id))
            .collect();
        let fits = illegal.is_empty() && !over.settings.is_empty();
        found.extend(illegal.into_iter().map(|message| (message, None)));
        if fits && let Err(reason) = settings_of(entry.rule.as_ref(), &[over]) {
            found.push((format!("rule `{}`: {reason}", entry.meta.id), None));
        }
    }
    found
}

fn unknown_setting(entries: &[&Entry], over: &RuleOverride, name: &str) -> Option<(String, Option<String>)> {
    let known: Vec<&str> = entries.iter().flat_map(|e| e.meta.settings.iter().map(|s| s.name.as_str())).collect();
    if known.contains(&name) {
        return None;
    }
    let whose = over.rule.as_ref().map_or("no rule has a".into(), |id| format!("rule `{id}` has no"));
    let near = Catalog::nearest(known.iter().copied(), name).map(|n| format!("did you mean `{n}`?"));
    let hint = near.or_else(|| (over.rule.is_some() && !known.is_empty()).then(|| format!("it has: {}", known.join(", "))));
    Some((format!("{whose} setting `{name}`"), hint))
}
