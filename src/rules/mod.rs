//! Evaluate: a frozen `RuleInput` through every rule. Deterministic and bounded; a rule reaches no network, file,
//! database, clock or environment, and one that fails never stops the others.

pub mod meta;
mod rule;

pub use rule::Rule;
