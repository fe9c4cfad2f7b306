//! Every shipped rule against its own test file, over the real frames and through the real deciding.

use std::collections::BTreeSet;

use pgsteward::yaml::{Node, Value, parse, text_of};
use pgsteward::{alert, collect, rules};

fn entry<'a>(node: &'a Node, key: &str) -> Option<&'a Node> {
    match &node.value {
        Value::Map(entries) => entries.iter().find(|(k, _)| k.text == key).map(|(_, node)| node),
        _ => None,
    }
}

fn list(node: Option<&Node>) -> Option<&[Node]> {
    match &node?.value {
        Value::List(list) => Some(list),
        _ => None,
    }
}

fn loaded() -> rules::Loaded {
    rules::load(&rules::shipped(), &[], &collect::metrics::catalog(), rules::rhai::Limits::default())
}

#[test]
fn shipped_rules_load_and_pass_their_tests() {
    let loaded = loaded();
    let mut failures: Vec<String> = loaded.problems.iter().filter(|p| p.is_error()).map(ToString::to_string).collect();
    for test in rules::shipped().iter().filter(|file| file.is_test()) {
        let report = rules::unit::run_tests(&loaded.set, test, alert::decide);
        failures.extend(report.problems.iter().map(ToString::to_string));
        for case in &report.cases {
            failures.extend(case.failures.iter().map(|failure| format!("{}:{} {}: {failure}", test.path, case.line, case.name)));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn every_shipped_rule_has_its_manual_and_a_case_that_fires_and_one_that_is_quiet() {
    let mut tested = BTreeSet::new();
    for file in rules::shipped().iter().filter(|file| file.is_test()) {
        let root = parse(&file.path, &file.text).unwrap();
        let cases = list(entry(&root, "cases")).unwrap_or_default();
        let expects: Vec<&[Node]> = cases.iter().filter_map(|case| list(entry(case, "expect"))).collect();
        assert!(expects.iter().any(|list| list.is_empty()), "{} has no quiet case", file.path);
        assert!(expects.iter().any(|list| !list.is_empty()), "{} has no firing case", file.path);
        tested.insert(entry(&root, "rule").and_then(text_of).unwrap());
    }
    for rule in loaded().set.iter().map(|rule| rule.meta()) {
        assert!(tested.contains(&rule.id), "{} has no test", rule.id);
        assert!(!rule.runbook.is_empty(), "{} has no manual", rule.id);
    }
}

#[test]
fn every_classic_metric_name_stands_for_frames_that_are_there() {
    for alias in rules::threshold::alias::ALIASES {
        let text = format!(
            "rules:\n  x:\n    - {{name: r, metric: {}, threshold: 5, comparison: greater_than, severity: warning, action: log}}\n",
            alias.names[0]
        );
        let file = rules::RuleFile { path: "c.yaml".into(), text, pack: None };
        let loaded = rules::load(&[file], &[], &collect::metrics::catalog(), rules::rhai::Limits::default());
        assert_eq!(loaded.set.len(), 1, "{:?}", loaded.problems);
    }
}
