//! Evaluate: a frozen `RuleInput` through every rule. Deterministic and bounded; a rule reaches no network, file,
//! database, clock or environment, and one that fails never stops the others.
//!
//! Flow: `shipped` and the user's files are `RuleFile`s; `load` compiles them (classic YAML in `threshold`, scripts by
//! `rhai`) into a `RuleSet`; `set` runs a tick through it; `unit` runs a rule's own tests through the same code.

pub mod convert;
mod facts;
#[cfg(test)]
mod fixtures;
mod header;
mod held;
mod load;
pub mod meta;
mod missing;
mod moment;
mod overrides;
mod rest;
pub mod rhai;
mod rule;
mod set;
mod shipped;
pub mod threshold;
pub mod unit;
pub mod wasm;

pub use facts::{Condition, Facts};
pub use load::{Loaded, LoadedPlugin, load};
pub use overrides::check_overrides;
pub use rule::Rule;
pub use set::{OWN_PACK, RuleSet, TickInput, set_by, settings_on};
pub use shipped::shipped;

/// A file with rules or their tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleFile {
    /// Its path as people are shown it.
    pub path: String,
    /// What is in it.
    pub text: String,
    /// The pack of its rules unless they name one (`OWN_PACK` for a person's files); without either a rule belongs to the
    /// pack of its tier.
    pub pack: Option<String>,
}

impl RuleFile {
    /// Whether it holds tests (`<rule>.test.yaml`).
    #[must_use]
    pub fn is_test(&self) -> bool {
        self.path.ends_with(".test.yaml") || self.path.ends_with(".test.yml")
    }
}
