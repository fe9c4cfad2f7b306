//! Rules from compiled plugins. One adapter for each version of the plugin contract yields the same `Rule` as the other
//! engines; the sandbox crate runs the code and alone knows wasmtime.
//!
//! Flow: `describe` asks a component what it is and checks every word of it; for each evaluation `input` lays out the
//! declared columns, `select` leaves out rows that the rule declared uninteresting, the component is called in a fresh store, `answer` turns rows into subjects, checks evidence and
//! actions, and decides what is held. Nothing that a plugin says is believed: ids, names, units, ranges, rows, kinds and
//! links are checked here. Files, hashes and installation are `plugin`'s.

mod answer;
mod describe;
mod fill;
mod input;
mod rule;
mod select;
mod stopped;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use pgsteward_sandbox::{Component, Limits};

use crate::model::{Metric, RuleMeta};

pub use describe::{Described, describe};
pub use rule::{Trace, WasmRule};
pub use stopped::StoppedRule;

/// A plugin as it is handed to the loader.
#[derive(Debug, Clone)]
pub struct Plugin {
    /// The file it came from, as people are shown it.
    pub source: String,
    /// SHA-256 of the file, hex: what every alert of its rules is recorded with.
    pub hash: String,
    /// The code, or why it cannot run.
    pub component: Result<Component, Stopped>,
    /// Its rules as they were recorded when it was installed: those that it does not declare now hold their alerts.
    pub recorded: Vec<RuleMeta>,
    /// What one call may use.
    pub limits: Limits,
    /// The metrics it brings, for the catalog.
    pub metrics: Vec<Metric>,
    /// Whether the operator lets its metrics be asked of the servers.
    pub metrics_granted: bool,
}

/// A plugin that cannot run now: its rules hold their alerts and say why.
#[derive(Debug, Clone)]
pub struct Stopped {
    /// Why, in one fragment.
    pub reason: String,
    /// Its rules as they were recorded when it was installed.
    pub rules: Vec<RuleMeta>,
}

/// What all rules of a plugin share.
#[derive(Debug)]
pub(super) struct Origin {
    /// `id version`, for messages and logs.
    pub(super) name: String,
    pub(super) component: Component,
    pub(super) limits: Limits,
}

pub(super) type SharedOrigin = Arc<Origin>;
