//! The seam that every engine implements.

use super::Facts;
use crate::model::{Labels, Outcome, RuleInput, RuleMeta, Settings};

/// One rule, compiled and checked.
pub trait Rule: Send + Sync + std::fmt::Debug {
    /// What it declares.
    fn meta(&self) -> &RuleMeta;

    /// Judges one input. Must answer the same for the same input, and never panic: trouble is `Outcome::Error`.
    fn evaluate(&self, input: &RuleInput) -> Outcome;

    /// Whether settings that are legal one by one also fit each other (`require:` of a rule).
    ///
    /// # Errors
    /// Names the requirement that does not hold.
    fn check_settings(&self, _settings: &Settings) -> Result<(), String> {
        Ok(())
    }

    /// What it makes of one subject, found or not. `None` when its engine cannot look at one subject by itself, or the
    /// subject is not among the rows.
    fn facts(&self, _input: &RuleInput, _subject: &Labels) -> Option<Facts> {
        None
    }
}
