//! What the config's tests share: reading one that is whole, and what is said of one that is not.

use crate::config::{Config, Source, check};
use crate::env::Env;

/// A config that nothing is wrong with.
pub fn config(text: &str) -> Config {
    let loaded = check(Source::of_text("c.yaml", text), &Env::of([]));
    assert_eq!(loaded.problems, []);
    loaded.config.unwrap()
}

/// What is said of it.
pub fn problems(text: &str) -> Vec<String> {
    check(Source::of_text("c.yaml", text), &Env::of([])).problems.iter().map(ToString::to_string).collect()
}
