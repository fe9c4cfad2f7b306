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
    /// Whether all conditions hold. A name may stand for several things at once (`tier` is the rule's and often a label of
    /// the target too).
    pub fn match_all(&self, matchers: &Matchers) -> bool {
        matchers.0.iter().all(|matcher| matcher.matches(&self.values(matcher.name())))
    }

    /// All that a name stands for.
    pub fn values(&self, name: &str) -> [Option<&str>; 3] {
        let of_every_alert = match name {
            "severity" => Some(self.alert.severity.as_str()),
            "rule" => Some(self.alert.rule.as_str()),
            "target" => Some(self.alert.target.as_str()),
            "tier" => Some(self.alert.tier.as_str()),
            "category" => self.meta.map(|meta| meta.category.as_str()).or(Some(&self.alert.category)).filter(|word| !word.is_empty()),
            "cluster" => self.target.cluster.as_deref(),
            _ => None,
        };
        [of_every_alert, self.alert.labels.get(name), self.alert.subject.get(name)]
    }

    /// The one value that a name stands for where there can be only one; empty when there is none.
    pub fn value(&self, name: &str) -> &str {
        self.values(name).into_iter().flatten().next().unwrap_or_default()
    }
}
