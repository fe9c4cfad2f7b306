//! Runs one WASM component under limits: the only place that knows wasmtime.
//!
//! Flow: `inspect` reads what a file is without running it; `componentize` makes a component of a core module; `compile`
//! turns a component into machine code (in a process of its own, see there); `load` takes that code back; `v1` calls it,
//! each time in a fresh store under `limits`. What goes wrong is a `failure` that names the limit. A crate of its own
//! because it needs a little `unsafe` and because nothing else should wait for it to build. It knows the contract, but
//! neither rules nor frames nor files: those are the host's.

mod compile;
mod componentize;
mod engine;
mod failure;
mod inspect;
mod limits;
mod load;
mod section;
mod store;
pub mod v1;
mod words;

pub use compile::{CompileLimits, compile, lower_own_limits};
pub use componentize::componentize;
pub use engine::{Engine, Unavailable};
pub use failure::{Failure, FailureKind};
pub use inspect::{Contract, Form, Inspection, Refused, inspect};
pub use limits::{Limits, Use};
pub use load::{Component, LoadError};
pub use section::{sections, with_sections, without_sections};
pub use store::{LogLine, NoTexts, Texts};
