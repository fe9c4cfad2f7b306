//! A rule whose plugin cannot run on this machine, or was changed since it was installed: it is there, says why it is
//! skipped, and holds its alerts.

use crate::model::{Outcome, RuleInput, RuleMeta};
use crate::rules::Rule;

/// A rule that is skipped.
#[derive(Debug)]
pub struct StoppedRule {
    meta: RuleMeta,
    reason: String,
}

impl StoppedRule {
    /// A rule that declares this and is skipped for that reason.
    #[must_use]
    pub fn new(meta: RuleMeta, reason: String) -> Self {
        Self { meta, reason }
    }
}

impl Rule for StoppedRule {
    fn meta(&self) -> &RuleMeta {
        &self.meta
    }

    fn evaluate(&self, _: &RuleInput) -> Outcome {
        Outcome::Skipped(self.reason.clone())
    }
}
