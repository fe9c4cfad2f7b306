//! Threshold rules in YAML.

mod judge;
mod metric;
pub mod rich;
mod template;
#[cfg(test)]
mod tests;
