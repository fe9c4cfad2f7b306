//! Another alert that makes this one's notices needless: a server that is down explains all that its rules find.
//!
//! Held against the states of this very evaluation, so that a cause and its symptoms that begin together are told as one.
//! A source counts while it fires or recovers. What matches both sides can neither inhibit itself nor be inhibited by
//! another that matches both: else two alerts could hide each other. A label that is missing equals an empty one.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use super::{Scene, Suppression};
use crate::alert::facts::Facts;
use crate::model::{Book, DecideConfig, Elsewhere, Fingerprint, Inhibition, Labels, Matchers, Reason};

/// The alerts that inhibit others, by inhibition and by the values of its `equal` labels.
#[derive(Debug, Default)]
pub(in crate::alert) struct Sources(Vec<HashMap<Vec<String>, Vec<Source>>>);

#[derive(Debug)]
struct Source {
    fingerprint: Fingerprint,
    /// Whether it matches the other side too.
    both: bool,
    /// Rule and target, for people.
    name: String,
}

impl Sources {
    /// Sorts the firing and recovering alerts of this evaluation, and those of other targets, by what they inhibit.
    pub fn of<'a>(config: &DecideConfig, book: &Book, firing: impl Iterator<Item = Facts<'a>> + Clone) -> Self {
        let one = |inhibition: &Inhibition| {
            let mut found: HashMap<Vec<String>, Vec<Source>> = HashMap::new();
            for facts in firing.clone().filter(|facts| facts.match_all(&inhibition.source)) {
                let name = format!("{} on {}", facts.alert.rule, facts.alert.target);
                let source = Source { fingerprint: facts.alert.fingerprint.clone(), both: facts.match_all(&inhibition.target), name };
                found.entry(inhibition.equal.iter().map(|label| facts.value(label).to_string()).collect()).or_default().push(source);
            }
            for other in book.elsewhere.iter().filter(|other| inhibition.source.matches(&other.labels)) {
                let key = inhibition.equal.iter().map(|label| other.labels.get(label).unwrap_or_default().to_string()).collect();
                found.entry(key).or_default().push(elsewhere(other, &inhibition.target));
            }
            found
        };
        Self(config.inhibitions.iter().map(one).collect())
    }
}

fn elsewhere(other: &Elsewhere, target: &Matchers) -> Source {
    let word = |labels: &Labels, name: &str| labels.get(name).unwrap_or_default().to_string();
    let name = format!("{} on {}", word(&other.labels, "rule"), word(&other.labels, "target"));
    Source { fingerprint: other.fingerprint.clone(), both: target.matches(&other.labels), name }
}

/// The first inhibition that has a source for this alert. Of other times than the tick's nothing is known.
pub(super) fn keeps_back(facts: &Facts<'_>, scene: &Scene<'_>, at: DateTime<Utc>) -> Option<Suppression> {
    if at != scene.now {
        return None;
    }
    scene.config.inhibitions.iter().zip(&scene.sources.0).find_map(|(inhibition, sources)| {
        if !facts.match_all(&inhibition.target) {
            return None;
        }
        let both = facts.match_all(&inhibition.source);
        let key: Vec<String> = inhibition.equal.iter().map(|label| facts.value(label).to_string()).collect();
        let candidates = sources.get(&key)?.iter().filter(|source| source.fingerprint != facts.alert.fingerprint && !(both && source.both));
        let source = candidates.min_by(|a, b| a.fingerprint.cmp(&b.fingerprint))?;
        let reason = Reason::Inhibited { name: inhibition.name.clone(), by: source.name.clone() };
        Some(Suppression { by: format!("inhibition {}", inhibition.name), reason })
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::alert::testing::*;
    use crate::model::{Elsewhere, Fingerprint, Inhibition, Outcome, RuleOutcome};

    fn inhibition(source: &str, target: &str, equal: &[&str]) -> Inhibition {
        Inhibition {
            name: "cause".into(),
            source: source.parse().unwrap(),
            target: target.parse().unwrap(),
            equal: equal.iter().map(ToString::to_string).collect(),
        }
    }

    fn world(inhibition: Inhibition) -> World {
        let mut world = World::new();
        world.config.inhibitions = vec![inhibition];
        world
    }

    fn outcomes(down: Outcome, dead: Outcome) -> [RuleOutcome; 2] {
        [("instance_down", down), ("dead_rows", dead)].map(|(id, outcome)| RuleOutcome { meta: Arc::new(meta(id)), outcome })
    }

    /// Which rules were told of.
    fn told(world: &mut World, down: Outcome, dead: Outcome) -> Vec<String> {
        let queued = world.now;
        let told = world.tick_all(&outcomes(down, dead)).notices().map(|n| format!("{} {}", n.rule, n.kind)).collect();
        world.deliver(queued);
        told
    }

    #[test]
    fn cause_and_symptom_of_one_evaluation_are_told_as_the_cause() {
        let mut world = world(inhibition("rule=instance_down", "rule=dead_rows", &["target"]));
        assert_eq!(told(&mut world, seen(&["x"]), seen(&["a"])), ["instance_down firing"]);
        assert_eq!(told(&mut world, seen(&[]), seen(&["a"])), ["dead_rows firing", "instance_down resolved"]);
    }

    #[test]
    fn equal_labels_must_be_equal_and_a_missing_one_is_empty() {
        let mut world = world(inhibition("rule=instance_down", "rule=dead_rows", &["table", "rack"]));
        assert_eq!(
            told(&mut world, seen(&["a"]), seen(&["a", "b"])),
            ["dead_rows firing", "instance_down firing"],
            "only `a` is kept back"
        );
    }

    #[test]
    fn what_matches_both_sides_hides_nothing_that_does_too() {
        let mut world = world(inhibition("severity=warning", "severity>=info", &[]));
        assert_eq!(told(&mut world, seen(&["x"]), seen(&["a"])).len(), 2, "two alerts do not hide each other");
    }

    #[test]
    fn alerts_of_other_targets_inhibit_and_recovering_ones_too() {
        let mut world = world(inhibition("rule=primary_down", "rule=dead_rows", &["cluster"]));
        world.config.target.cluster = Some("orders".into());
        let labels = [("rule", "primary_down"), ("target", "orders-0"), ("cluster", "orders")].into_iter().collect();
        world.book.elsewhere = vec![Elsewhere { fingerprint: Fingerprint("f".into()), labels }];
        assert_eq!(told(&mut world, seen(&[]), seen(&["a"])), Vec::<String>::new());
        let mut own = super::tests::world(inhibition("rule=instance_down", "rule=dead_rows", &[]));
        own.rule.keep_firing_for_s = 0;
        let mut keeps = meta("instance_down");
        keeps.keep_firing_for_s = 600;
        let mut tick = |down: Outcome| {
            let both = [(keeps.clone(), down), (meta("dead_rows"), seen(&["a"]))];
            own.tick_all(&both.map(|(meta, outcome)| RuleOutcome { meta: Arc::new(meta), outcome })).tellings.len()
        };
        assert_eq!((tick(seen(&["x"])), tick(seen(&[]))), (1, 0), "it recovers, and still explains the other");
    }
}
