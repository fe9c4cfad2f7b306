#![doc = include_str!("../README.md")]

// The generated code names this crate from inside and from an author's crate alike.
extern crate self as pgsteward_sdk;

pub mod action;
#[doc(hidden)]
pub mod bindings;
mod check;
mod finding;
pub mod host;
mod input;
mod macros;
mod panic;
mod row;
mod run;
mod settings;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;

#[doc(hidden)]
pub use wit_bindgen::rt as runtime;

/// The records of the wire. `Finding`, `Action` and `Evaluation` have builders here.
pub use bindings::pgsteward::plugin::types as wire;

pub use finding::{Verdict, critical, info, plain, warning};
pub use input::{Input, Rows, Seen};
/// Numbers as people read them, and arithmetic that keeps unknown apart from zero; the host's own.
pub use pgsteward_helpers as helpers;
pub use row::{Label, Row};
pub use settings::{NoSettings, Settings};

// What `plugin!` writes about, and nobody else.
#[doc(hidden)]
pub use check::{is_id, is_property, is_unit};
#[doc(hidden)]
pub use row::{Cells, Field, Need};
#[doc(hidden)]
pub use run::{Given, Rule, describe, evaluate, judge_rows, validate_settings};
#[doc(hidden)]
pub use settings::{Setting, read_settings};

/// Everything that a plugin needs: `use pgsteward_sdk::prelude::*;`.
pub mod prelude {
    pub use crate::action::*;
    pub use crate::helpers::{bytes, human, percentile, ratio, span};
    pub use crate::host::{self, Level};
    pub use crate::wire::{Action, Evaluation, Evidence, Finding, Severity, Value};
    pub use crate::{Input, Label, NoSettings, Rows, Seen, Verdict, critical, info, log, plain, plugin, warning};
}
