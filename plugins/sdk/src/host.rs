//! What the host offers to a running plugin: its log, and the words of label and text columns. In native tests
//! [`testing`](crate::testing) stands in for it.

#[cfg(target_arch = "wasm32")]
use crate::bindings::pgsteward::plugin::host as there;
#[cfg(not(target_arch = "wasm32"))]
use crate::testing as there;

pub use crate::bindings::pgsteward::plugin::host::Level;

/// Writes a line to pgsteward's log, under the plugin's name and counted against a limit. [`log!`](crate::log) formats.
pub fn log(level: Level, message: &str) {
    there::log(level, message);
}

/// The texts of a label or text column among the rule's needs (`frame.column`), for these rows; `None` where unknown. One call for
/// many rows is cheaper than [`Label::text`](crate::Label::text) for each.
///
/// # Errors
/// When the rule does not need that column, or a row is not there.
pub fn text(column: &str, rows: &[u32]) -> Result<Vec<Option<String>>, String> {
    there::text(column, rows)
}

/// Writes a formatted line to pgsteward's log: `log!(warn, "row {row} has no name")`. Levels: `debug`, `info`, `warn`, `error`.
#[macro_export]
macro_rules! log {
    (debug, $($said:tt)+) => { $crate::host::log($crate::host::Level::Debug, &format!($($said)+)) };
    (info, $($said:tt)+) => { $crate::host::log($crate::host::Level::Info, &format!($($said)+)) };
    (warn, $($said:tt)+) => { $crate::host::log($crate::host::Level::Warn, &format!($($said)+)) };
    (error, $($said:tt)+) => { $crate::host::log($crate::host::Level::Error, &format!($($said)+)) };
}
