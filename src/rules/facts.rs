//! What a rule makes of one subject, whether it finds anything there or not: for people who ask why it is silent.
//!
//! The same code judges as in a tick, over the same input; nothing here decides. What is joined by `and` stands apart, so
//! that it can be seen which part keeps a rule from firing. Of a plugin only what it declares (`where`) and reports is known.

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
    /// The line of the rule's file that it stands in, where the rule has lines of its own.
    pub line: Option<u32>,
    /// The inputs that it reads: `tables.vacuum_running`.
    pub reads: Vec<String>,
    /// What the first measured fact is held against, where the condition says it plainly.
    pub limit: Option<f64>,
    /// Unit of the limit.
    pub unit: Unit,
    /// Whether it holds; `None` when that cannot be told.
    pub holds: Option<bool>,
}

impl Condition {
    /// A condition that is held against nothing plain.
    pub(in crate::rules) fn plain(name: &str, text: impl Into<String>, holds: Option<bool>) -> Self {
        Self { name: name.into(), text: text.into(), line: None, reads: Vec::new(), limit: None, unit: Unit::None, holds }
    }
}

/// A verdict of the engines (0, 1, or 2 for unknown) as an answer.
pub(in crate::rules) fn answer(verdict: u8) -> Option<bool> {
    match verdict {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}
