//! What routes and windows match: an alert's own labels, its subject, and the names that every alert has.

use crate::model::{Alert, Matchers, RuleMeta, Target};

/// One alert as matchers see it.
pub(super) struct Facts<'a> {
    pub alert: &'a Alert,
    /// `None` once the rule is gone.
    pub meta: Option<&'a RuleMeta>,
    pub target: &'a Target,
}

impl Facts<'_> {
    /// Whether all names match. A name may stand for several things at once (`tier` is the rule's and often a label of the
    /// target too): any of them will do.
    pub fn match_all(&self, matchers: &Matchers) -> bool {
        matchers.0.iter().all(|(name, values)| values.iter().any(|value| self.has(name, value)))
    }

    fn has(&self, name: &str, value: &str) -> bool {
        let of_every_alert = match name {
            "severity" => Some(self.alert.severity.as_str()),
            "rule" => Some(self.alert.rule.as_str()),
            "target" => Some(self.alert.target.as_str()),
            "tier" => Some(self.alert.tier.as_str()),
            "category" => self.meta.map(|meta| meta.category.as_str()),
            "cluster" => self.target.cluster.as_deref(),
            _ => None,
        };
        [of_every_alert, self.alert.labels.get(name), self.alert.subject.get(name)].contains(&Some(value))
    }
}
