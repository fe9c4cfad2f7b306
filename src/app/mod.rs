//! The only room that knows every other: builds the parts, runs ticks, reloads, stops. `cli` calls it, nobody else does.

pub mod behind;
pub mod delivery;
pub mod drill;
pub mod explain;
pub mod house;
pub mod oneshot;
pub mod own;
pub mod plugins;
mod privacy;
pub mod reload;
pub mod removed;
pub mod replay;
pub mod report;
pub mod service;
pub mod setup;
pub mod silence;
pub mod status;
pub mod tick;
pub mod tick_file;
pub mod turn;
mod withdraw;

/// An error with its causes in one line: `store cannot be written: disk is full`.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
