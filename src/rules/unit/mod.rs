//! Runs a rule's own tests: `<rule>.test.yaml`, one format for every engine.
//!
//! A case starts from one healthy row a frame and says only what it changes; what it expects is exhaustive. The frames
//! are built and evaluated by the same code as in production, and a series goes through the real deciding (`Decide` is a
//! parameter because rooms do not import each other).
//!
//! Rows know more than columns of now. `rate(calls): 10` gives a counter's change per second; `ago(bytes, 1d): 9GB` what
//! a column was a day ago; `delta(bytes, 1d): 1GB` by how much it grew since then (quote these keys inside `{}`: they
//! hold a comma). `previous:` beside `given:` has whole rows of the reading `every` earlier, from which rates come as in
//! production; `missing` there is a first reading. `history: 6h` makes every longer window unavailable. `repeat: 100` in a
//! row stands for that many, numbered in their last key column. A cell of a series may also be `missing` (the frame could
//! not be read at that tick) or `gone` (its row is not there).

mod boundary;
mod cells;
mod compare;
mod expect;
mod file;
mod frames;
mod rows;
mod run;
mod series;

pub use run::{CaseResult, Decide, TestReport, run_tests};

#[cfg(test)]
mod tests;
