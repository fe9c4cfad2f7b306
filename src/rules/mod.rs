//! Evaluate: a frozen `RuleInput` through every rule. Deterministic and bounded; a rule reaches no network, file,
//! database, clock or environment, and one that fails never stops the others.

pub mod meta;
pub mod rhai;
mod rule;
pub mod threshold;

pub use rule::Rule;
