//! What a rule makes of one subject, whether it finds anything there or not: for people who ask why it is silent.
//!
//! The same code judges as in a tick, over the same input; nothing here decides. An engine that cannot look at one subject
//! by itself (a plugin) gives no facts, and whoever asks shows the inputs alone.

use serde::Serialize;

use crate::model::{Evidence, Unit};

/// What a rule sees of one subject.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Facts {
    /// Whether it is a finding; `None` when that cannot be told.
    pub found: Option<bool>,
    /// What was asked of it, in the rule's order.
    pub conditions: Vec<Condition>,
    /// What was measured, beside its limits; the same as in a finding.
    pub evidence: Vec<Evidence>,
}

/// One condition of a rule, for one subject.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Condition {
    /// Its place in the rule: `where`, `critical`, `clear_when`, `rows`.
    pub name: String,
    /// As the rule says it.
    pub text: String,
    /// What the first measured fact is held against, where the condition says it plainly.
    pub limit: Option<f64>,
    /// Unit of the limit.
    pub unit: Unit,
    /// Whether it holds; `None` when that cannot be told.
    pub holds: Option<bool>,
}

/// A verdict of the engines (0, 1, or 2 for unknown) as an answer.
pub(in crate::rules) fn answer(verdict: u8) -> Option<bool> {
    match verdict {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}
