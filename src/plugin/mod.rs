//! Plugin files: what is in one, whether it may be used, where installed ones stand, and their compiled code.
//!
//! Flow: `package` opens a file (a component, or a core module that becomes one) with the tests, metrics and README packed
//! into it; `signature` checks who signed it; `shelf` keeps installed ones with a record of what they said of themselves;
//! `compiled` has machine code made in a child process with limits and keeps it by content. Authors' `build` and
//! `scaffold` stand beside them. Running a plugin is `rules::wasm`'s, choosing which run is `app`'s.

mod build;
mod compiled;
mod error;
#[cfg(test)]
#[path = "../../tests/support/guest.rs"]
mod guest;
mod language;
mod package;
mod scaffold;
mod shelf;
mod signature;

pub use build::{BUILT, BuildError, Built, Tools, build};
pub use compiled::{Compiled, Compiler, compile_file};
pub use error::PluginError;
pub use language::Language;
pub use package::{Package, from_folder, open, pack};
pub use scaffold::scaffold;
pub use shelf::{Record, Shelf};
pub use signature::{signature_of, verify};
