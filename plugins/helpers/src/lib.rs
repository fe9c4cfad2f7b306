//! Helpers for rule writers, written once: the host registers them for scripts and messages, compiled guests link them.
//!
//! Pure functions over numbers and text: no clock, no allocation beyond the returned string, no dependency, so that
//! the crate builds for any target. Parsing of quantities is here too, because a setting written as `512MB` must mean
//! the same in a YAML file, a script header and a test table.

mod format;
mod quantity;
mod stat;

pub use format::{ago, bytes, human, round, span};
pub use quantity::{Dimension, Quantity, QuantityError, parse_quantity};
pub use stat::{percentile, ratio};
