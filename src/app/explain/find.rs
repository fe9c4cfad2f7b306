//! Who is meant: the target and the subject of a question, from what people write.

use anyhow::{Result, bail};

use super::scene::Scene;
use super::{Question, Sources};
use crate::model::{Labels, Outcome};
use crate::text::safe;

/// Names shown when several are meant.
const SHOWN: usize = 8;

/// The name of the target: the one given, or the only one that can be meant.
pub(super) fn target(from: &Sources<'_>, question: &Question<'_>) -> Result<String> {
    let known: Vec<String> = from.store.targets()?.into_iter().map(|target| target.name).collect();
    if let Some(name) = question.target {
        if known.iter().any(|target| target == name) {
            return Ok(name.into());
        }
        bail!("nothing was ever seen of a target `{}`; there are: {}", safe(name), list(&known));
    }
    match known.as_slice() {
        [] => bail!("nothing was seen of any target so far"),
        [one] => return Ok(one.clone()),
        _ => {}
    }
    let mut having: Vec<String> = from
        .store
        .alerts(None)?
        .into_iter()
        .filter(|alert| alert.rule == question.rule && question.subject.is_none_or(|text| rank(&alert.subject, text).is_some()))
        .map(|alert| alert.target)
        .collect();
    having.sort();
    having.dedup();
    // Our own troubles and targets of an earlier config are in the store too.
    let configured = from.config.map(|config| config.targets.as_slice()).unwrap_or_default();
    match (having.as_slice(), configured) {
        ([one], _) => Ok(one.clone()),
        ([], [only]) if known.contains(&only.target.name) => Ok(only.target.name.clone()),
        ([], _) => bail!("which target? `--target` takes one of: {}", list(&known)),
        (several, _) => bail!("several targets have such an alert; `--target` takes one of: {}", list(several)),
    }
}

/// The subject that is meant; `None` when the rule has several and none was named.
pub(super) fn subject(scene: &Scene<'_>, question: &Question<'_>) -> Result<Option<Labels>> {
    let mut known = subjects(scene);
    let Some(text) = question.subject else {
        return Ok(match known.as_slice() {
            [one] => Some(one.clone()),
            [] if scene.has_one_subject() => Some(Labels::default()),
            _ => None,
        });
    };
    if known.iter().all(|labels| rank(labels, text).is_none()) {
        known = scene.past()?; // It may be gone, and its alerts over.
    }
    let best = known.iter().filter_map(|labels| rank(labels, text)).min();
    let meant: Vec<&Labels> = known.iter().filter(|labels| best.is_some() && rank(labels, text) == best).collect();
    match meant.as_slice() {
        [one] => Ok(Some((*one).clone())),
        // Why none can be seen is said of the rule as a whole.
        [] if scene.is_blind() => Ok(None),
        [] => bail!(
            "`{}` has no `{}` on `{}`{}; without a name all are shown",
            question.rule,
            safe(text),
            safe(&scene.target.name),
            unseen(scene)
        ),
        several => bail!("`{}` may be: {}", safe(text), list(&several.iter().map(ToString::to_string).collect::<Vec<_>>())),
    }
}

/// Why somebody who has no row may be there all the same.
fn unseen(scene: &Scene<'_>) -> String {
    let gaps = scene.gaps();
    if gaps.is_empty() { String::new() } else { format!(" in what was seen, which is not all: {}", safe(&gaps.join(", "))) }
}

/// All that the rule may be asked about: whom it has alerts of, found, or looked at.
fn subjects(scene: &Scene<'_>) -> Vec<Labels> {
    let mut known: Vec<Labels> = scene.alerts.iter().map(|alert| alert.subject.clone()).collect();
    if let Some(Outcome::Ok(evaluation)) = scene.first.outcome.as_ref().map(|ended| &ended.outcome) {
        known.extend(evaluation.findings.iter().map(|finding| finding.subject.clone()));
    }
    if let Some(frame) = scene.frame() {
        known.extend((0..frame.rows).map(|row| frame.subject(row)));
    }
    known.sort();
    known.dedup();
    known
}

/// How well a text names a subject: the whole name, its end, or one of its values.
fn rank(labels: &Labels, text: &str) -> Option<u8> {
    let name = labels.to_string();
    if name == text {
        return Some(0);
    }
    if name.strip_suffix(text).is_some_and(|rest| rest.ends_with('.')) {
        return Some(1);
    }
    labels.0.values().any(|value| value == text).then_some(2)
}

fn list(names: &[String]) -> String {
    let shown: Vec<String> = names.iter().take(SHOWN).map(|name| format!("`{}`", safe(name))).collect();
    let more = names.len().saturating_sub(SHOWN);
    if more == 0 { shown.join(", ") } else { format!("{} and {more} more", shown.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_be_whole_or_its_end_or_one_value() {
        let table: Labels = [("database", "shop"), ("schema", "public"), ("table", "orders")].into_iter().collect();
        let slot: Labels = [("slot", "old")].into_iter().collect();
        assert_eq!(rank(&table, "shop.public.orders"), Some(0));
        assert_eq!(rank(&table, "public.orders"), Some(1));
        assert_eq!(rank(&table, "orders"), Some(1));
        assert_eq!(rank(&table, "shop"), Some(2));
        assert_eq!(rank(&table, "rders"), None);
        assert_eq!((rank(&slot, "slot old"), rank(&slot, "old")), (Some(0), Some(2)));
    }
}
