//! The test runner on trial: the shipped rules pass, and each kind of mistake fails with a text that says what came.

use super::*;
use crate::rules::fixtures::{catalog, decide};
use crate::rules::rhai::Limits;
use crate::rules::{RuleFile, RuleSet, load, shipped};

fn file(path: &str, text: &str) -> RuleFile {
    RuleFile { path: path.into(), text: text.into(), pack: None }
}

const RULE: &str = "rules:\n  - id: dead\n    title: Dead rows\n    from: tables\n    settings: {warn: {default: 5, range: [1, 100]}}\n    value: dead\n    \
                    warning: value > settings.warn\n    for: 2m\n    summary: \"{{table}} has {{human(dead)}}\"\n    evidence: [dead]\n    \
                    actions: [{vacuum: {}}]\n";

fn set() -> RuleSet {
    let loaded = load(&[file("dead.yaml", RULE)], &[], &catalog(), Limits::default());
    assert!(loaded.problems.is_empty(), "{:?}", loaded.problems);
    loaded.set
}

/// What a test file says about the rule `dead`: each failure behind its case.
fn run(cases: &str) -> Vec<String> {
    let text = format!("rule: dead\nhealthy:\n  tables: {{database: app, schema: public, table: t, dead: 0}}\n{cases}");
    let report = run_tests(&set(), &file("dead.test.yaml", &text), decide);
    let failures = report.cases.iter().flat_map(|case| case.failures.iter().map(|f| format!("{}: {f}", case.name)));
    report.problems.iter().map(ToString::to_string).chain(failures).collect()
}

/// The shipped files that read no more than the fixtures have; `tests/rules.rs` runs all of them over the real frames.
fn some_shipped() -> Vec<RuleFile> {
    let known = ["rules/classic/", "rules/vacuum/dead_tuples_past_trigger.", "rules/connections/connections_near_limit."];
    shipped().into_iter().filter(|file| known.iter().any(|start| file.path.starts_with(start))).collect()
}

#[test]
fn shipped_rules_pass_their_tests() {
    let files = some_shipped();
    let loaded = load(&files, &[], &catalog(), Limits::default());
    let errors: Vec<String> = loaded.problems.iter().filter(|p| p.is_error()).map(ToString::to_string).collect();
    assert_eq!(errors, Vec::<String>::new());
    let mut failures = Vec::new();
    for test in files.iter().filter(|f| f.is_test()) {
        let report = run_tests(&loaded.set, test, decide);
        failures.extend(report.problems.iter().map(ToString::to_string));
        for case in report.cases {
            failures.extend(case.failures.iter().map(|f| format!("{}:{} {}: {f}", test.path, case.line, case.name)));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn what_comes_as_expected_passes() {
    let cases = "cases:\n  - name: c\n    given: {tables: [{dead: 9}, {table: quiet}]}\n    expect:\n      - warning: {table: t}\n        \
                 says: t has 9\n        evidence: {tables.dead: 9}\n        actions: [vacuum]\n        sql: VACUUM public.t\nboundaries: auto\n";
    assert_eq!(run(cases), Vec::<String>::new());
}

#[test]
fn lists_are_exhaustive() {
    let failures =
        run("cases:\n  - name: c\n    given: {tables: [{dead: 9}, {dead: 9, table: u}, {dead: null, table: v}]}\n    expect:\n      \
                        - warning: {table: u}\n      - critical: {table: t}\n");
    assert_eq!(
        failures,
        [
            "c: expected critical {table: t}\n     got warning {database: app, schema: public, table: t}: t has 9",
            "c: unexpected warning {database: app, schema: public, table: t}: t has 9",
            "c: expected unknown: 0\n     got unknown: 1",
        ]
    );
}

#[test]
fn every_detail_that_differs_is_shown_both_ways() {
    let failures = run("cases:\n  - name: c\n    given: {tables: [{dead: 9}]}\n    expect:\n      - warning: {table: t}\n        \
                        says: eight\n        evidence: {tables.dead: 8, tables.live: 1}\n        actions: []\n        sql: VACUUM\n");
    let whom = "c: {database: app, schema: public, table: t}";
    assert_eq!(
        failures,
        [
            format!("{whom} should say eight\n    says t has 9"),
            format!("{whom} expected evidence `tables.dead`: 8\n     got 9"),
            format!("{whom} expected evidence `tables.live`\n     got evidence [\"tables.dead\"]"),
            format!("{whom} expected actions []\n     got actions [vacuum]"),
            format!("{whom} expected sql [VACUUM]\n     got sql [VACUUM public.t]"),
        ]
    );
}

#[test]
fn a_verdict_is_not_an_absence_of_data() {
    assert_eq!(
        run(
            "cases:\n  - {name: c, given: {tables: missing(no grant)}, expect: []}\n  - {name: d, given: {tables: [{}]}, expect: no_data}\n"
        ),
        ["c: expected no finding\n     got no_data (tables: no grant)", "d: expected no_data\n     got no finding"]
    );
}

#[test]
fn states_and_notices_stand_one_under_the_other() {
    let failures = run("cases:\n  - name: c\n    every: 1m\n    series:\n      tables/t: {dead: [9, 9, 9, 0]}\n    states:\n      \
                        t: [pending, firing, firing, resolved]\n    notices: [\"-\", \"-\", firing, \"-\"]\n");
    assert_eq!(
        failures,
        [
            "c: states of t\nexpected pending  firing   firing  resolved\n     got pending  pending  firing  resolved",
            "c: notices\nexpected -  -  firing  -\n     got -  -  firing  resolved",
        ]
    );
}

#[test]
fn a_series_names_everybody_it_alerts_about() {
    let failures = run(
        "cases:\n  - name: c\n    every: 1m\n    series:\n      tables/t: {dead: [0]}\n      tables/u: {dead: [9]}\n    states:\n      t: [\"-\"]\n",
    );
    assert_eq!(failures, ["c: unexpected alert about app.public.u: u has 9"]);
}

#[test]
fn mistakes_in_the_file_are_all_named_at_their_place() {
    let problems = run(
        "cases:\n  - name: a\n    given: {tables: [{deed: 9}, {dead: 4GB}], table: []}\n    settings: {warm: 1}\n    expect: nothing\n  \
                        - name: b\n    given: {tables: missing(mood)}\n    series: {tables/t: {dead: [1, 2]}}\n    states: {t: [firing]}\nboundries: auto\n",
    );
    let starts = [
        "dead.test.yaml:6:23: error: frame `tables` has no column `deed`; did you mean `dead`?",
        "dead.test.yaml:6:40: error: `dead`: `4GB` is not in rows",
        "dead.test.yaml:6:47: error: there is no frame `table`; did you mean `tables`?",
        "dead.test.yaml:7:22: error: rule `dead` has no setting `warm`",
        "dead.test.yaml:8:13: error: `expect` must be a list of findings, `no_data` or `{error: text}`",
        "dead.test.yaml:10:21: error: `mood` is no reason for a missing frame",
        "dead.test.yaml:11:13: error: every row of a series, `states` and `notices` must have as many ticks",
        "dead.test.yaml:13:1: error: unknown key `boundries`; did you mean `boundaries`?",
    ];
    assert_eq!(problems.len(), starts.len(), "{problems:#?}");
    for (problem, start) in problems.iter().zip(starts) {
        assert!(problem.starts_with(start), "{problem} does not start with {start}");
    }
}

#[test]
fn a_column_that_the_rule_reads_must_be_given() {
    let text = "rule: dead\nhealthy:\n  tables: {database: app, schema: public, table: t}\ncases:\n  - {name: c, given: {tables: [{}]}, expect: []}\n";
    let report = run_tests(&set(), &file("dead.test.yaml", text), decide);
    assert_eq!(report.cases[0].failures, ["the rule reads `tables.dead`, but neither `healthy` nor the case gives it"]);
    assert_eq!(report.cases[0].line, 5);
}

#[test]
fn a_test_of_no_rule_says_which_there_are() {
    let report = run_tests(&set(), &file("x.test.yaml", "rule: deed\ncases: []\n"), decide);
    assert_eq!(report.problems[0].to_string(), "x.test.yaml:1:7: error: there is no rule `deed`; did you mean `dead`?");
    assert!(!report.passed());
}

#[test]
fn a_budget_that_is_too_small_fails() {
    let script = "//! id: busy\n//! title: Busy\n//! inputs: [tables]\nlet n = 0;\nwhile n < 2000 { n += 1; }\nfor t in tables.rows(tables.dead > 5.0) {\n    \
                  finding(t, #{severity: \"info\", summary: `${t}`});\n}\n";
    let loaded = load(&[file("busy.rhai", script)], &[], &catalog(), Limits::default());
    let text = |budget: &str| {
        format!(
            "rule: busy\nhealthy:\n  tables: {{database: app, schema: public, table: t, dead: 0}}\ncases:\n  - {{name: c, given: {{tables: [{{}}]}}, expect: []}}\n{budget}"
        )
    };
    let run = |budget: &str| run_tests(&loaded.set, &file("busy.test.yaml", &text(budget)), decide);
    assert!(run("").passed(), "{:?} {:?}", run(""), loaded.problems);
    assert!(!run("budget: {operations: 100}\n").passed());
}

#[test]
fn a_text_table_reads_cells_that_hold_single_blanks() {
    let text = "cases:\n  - name: c\n    given:\n      tables: |\n        table      dead\n        two words  9\n    expect:\n      - warning: {table: two words}\n";
    assert_eq!(run(text), Vec::<String>::new());
}

#[test]
fn every_shipped_rule_has_a_case_that_fires_and_one_that_is_quiet() {
    use crate::yaml::{Node, Value, parse, text_of};
    let files = some_shipped();
    let entry = |node: &Node, key: &str| match &node.value {
        Value::Map(entries) => entries.iter().find(|(k, _)| k.text == key).map(|(_, node)| node.clone()),
        _ => None,
    };
    let list = |node: Option<Node>| match node.map(|n| n.value) {
        Some(Value::List(list)) => Some(list),
        _ => None,
    };
    let mut tested = std::collections::BTreeSet::new();
    for file in files.iter().filter(|f| f.is_test()) {
        let root = parse(&file.path, &file.text).unwrap();
        let expects: Vec<Vec<Node>> = list(entry(&root, "cases")).unwrap().iter().filter_map(|case| list(entry(case, "expect"))).collect();
        assert!(expects.iter().any(Vec::is_empty), "{} has no quiet case", file.path);
        assert!(expects.iter().any(|e| !e.is_empty()), "{} has no firing case", file.path);
        tested.insert(entry(&root, "rule").as_ref().and_then(text_of).unwrap());
    }
    for rule in load(&files, &[], &catalog(), Limits::default()).set.iter() {
        assert!(tested.contains(&rule.meta().id), "{} has no test", rule.meta().id);
    }
}

#[test]
fn a_first_reading_a_short_history_and_growth_can_be_said() {
    let rule = "rules:\n  - id: grows\n    title: Grows\n    from: sizes\n    value: delta(bytes, days(1))\n    unit: bytes\n    warning: value > gb(1)\n";
    let loaded = load(&[file("grows.yaml", rule)], &[], &catalog(), Limits::default());
    let text = "rule: grows\nhealthy:\n  sizes: {database: app, bytes: 9GB, \"delta(bytes, 1d)\": 0}\ncases:\n  \
                - {name: quiet, given: {sizes: [{}]}, expect: []}\n  \
                - {name: grown, given: {sizes: [{\"delta(bytes, 1d)\": 2GB}]}, expect: [{warning: {database: app}, evidence: {\"delta(bytes, days(1))\": 2GB}}]}\n  \
                - {name: young, history: 6h, given: {sizes: [{}]}, expect: no_data}\nboundaries: auto\n";
    let report = run_tests(&loaded.set, &file("grows.test.yaml", text), decide);
    assert!(report.passed(), "{report:#?} {:?}", loaded.problems);
}

#[test]
fn boundaries_find_what_the_cases_do_not_try() {
    let script = "//! id: brittle\n//! title: Brittle\n//! inputs: [tables]\nfor t in tables.rows(tables.dead > 5.0) {\n    \
                  finding(t, #{severity: if t.table == \"\" { \"bad\" } else { \"info\" }, summary: `${t}`});\n}\n";
    let loaded = load(&[file("brittle.rhai", script)], &[], &catalog(), Limits::default());
    let text = "rule: brittle\nhealthy:\n  tables: {database: app, schema: public, table: t, dead: 9}\ncases:\n  \
                - {name: c, given: {tables: [{}]}, expect: [{info: {table: t}}]}\nboundaries: auto\n";
    let report = run_tests(&loaded.set, &file("brittle.test.yaml", text), decide);
    let boundaries = report.cases.last().unwrap();
    assert_eq!((boundaries.name.as_str(), boundaries.failures.len()), ("boundaries", 1), "{report:#?} {:?}", loaded.problems);
    assert!(
        boundaries.failures[0].starts_with("in `c`, with tables.table at an empty text\nexpected no error\n     got "),
        "{boundaries:?}"
    );
}
