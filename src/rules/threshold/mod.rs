//! Rules in YAML: a value held against a limit.
//!
//! Two forms. The classic flat one: `flat` reads it, `alias` knows its metric names, `manual` what they are about, and
//! `classic` runs it natively when its metric is a plain column; what such a file says beside its rules is `config`'s. The
//! rich one, whose expressions are the vector language: `rich` compiles it (with `template` for messages and `metric` for its own SQL) and `judge` runs it.

pub mod alias;
pub mod classic;
pub mod flat;
mod judge;
mod manual;
mod metric;
pub mod rich;
mod template;
#[cfg(test)]
mod tests;

use crate::model::Metric;
use crate::problem::Problem;

/// A metric from a file of its own: the keys that stand under `metric:` in a rule.
///
/// # Errors
/// All that is wrong with it.
pub fn metric_of(file: &str, text: &str) -> Result<Metric, Vec<Problem>> {
    let root = crate::yaml::parse(file, text).map_err(|problem| vec![problem])?;
    metric::read_metric(file, &root)
}
