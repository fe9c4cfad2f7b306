//! The builders of actions hold every kind and parameter of the host, and no other.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use pgsteward_sdk::action::KINDS;
use pgsteward_sdk::prelude::*;

/// The texts after `{word}"` up to the next quote.
fn quoted(text: &str, word: &str) -> BTreeSet<String> {
    text.split(&format!("{word}\"")).skip(1).filter_map(|rest| rest.split('"').next()).map(String::from).collect()
}

#[test]
fn the_kinds_are_those_of_the_host() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../src/model/action");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let kinds = files.filter_map(|path| {
        let text = std::fs::read_to_string(&path).unwrap();
        let described = text.contains("const KIND: ActionKind");
        let params = text.split("Param {").skip(1).flat_map(|param| quoted(param, "name: ").into_iter().next());
        described.then(|| (path.file_stem().unwrap().to_str().unwrap().to_string(), params.collect()))
    });
    let theirs: BTreeMap<String, BTreeSet<String>> = kinds.collect();
    let ours = KINDS.iter().map(|(kind, params)| (kind.to_string(), params.iter().map(|p| p.to_string()).collect()));
    assert!(theirs.len() >= 11, "{theirs:?}");
    assert_eq!(ours.collect::<BTreeMap<String, BTreeSet<String>>>(), theirs);
}

#[test]
fn a_builder_becomes_what_crosses() {
    let action = Action::from(create_index("orders_a", "a, b").why("it is searched").on(4));
    assert_eq!((action.kind.as_str(), action.why.as_str(), action.row), ("create_index", "it is searched", Some(4)));
    assert_eq!(action.param("columns"), Some(&Value::Text("a, b".into())));
    assert_eq!(Action::from(terminate_backend(4711.0)).param("pid"), Some(&Value::Number(4711.0)));
    assert_eq!(Action::from(vacuum().analyze(true).analyze(false)).param("analyze"), Some(&Value::Flag(false)));
    assert_eq!(action.param("fillfactor"), None);
}
