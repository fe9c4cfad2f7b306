//! What a plugin says is checked: on answers made by hand, without running any code.

use std::collections::BTreeMap;
use std::sync::Arc;

use pgsteward_sandbox::v1::bindings::pgsteward::plugin::types as wire;

use super::answer::Answer;
use super::fill::{Names, fill};
use super::input::Columns;
use crate::model::{Coverage, Evaluation, Evidence, Input, Labels, Moment, RuleInput, RuleMeta, SettingDef, SettingValue, Settings, Unit};
use crate::rules::fixtures::{at, tables};

fn need(column: &str) -> Input {
    Input { frame: "tables".into(), column: Some(column.into()), moment: Moment::Now, optional: false }
}

fn table(name: &str) -> Labels {
    [("database", "app"), ("schema", "public"), ("table", name)].into_iter().collect()
}

fn input(rows: &[(&str, f64)], active: &[&str]) -> RuleInput {
    RuleInput {
        now: at(1000),
        snapshot: tables(rows, Coverage::default()),
        changes: Arc::default(),
        past: Arc::default(),
        firing: Arc::default(),
        active: Arc::new(active.iter().map(|name| table(name)).collect()),
        settings: Arc::new(Settings(BTreeMap::from([("most".into(), SettingValue::Number(1024.0))]))),
    }
}

fn meta() -> RuleMeta {
    let most =
        SettingDef { name: "most".into(), default: SettingValue::Number(1024.0), range: None, unit: Unit::Bytes, doc: String::new() };
    RuleMeta { settings: vec![most], ..crate::rules::fixtures::meta() }
}

fn read(said: wire::Evaluation, rows: &[(&str, f64)], active: &[&str]) -> Result<Evaluation, String> {
    let (input, needs, meta) = (input(rows, active), [need("dead")], meta());
    let columns = Columns::read(&needs, &input);
    let frame = input.snapshot.frame("tables").map(Arc::as_ref);
    Answer { meta: &meta, needs: &needs, input: &input, columns: &columns, frame, rows: None }.read(said)
}

fn finding(row: u32) -> wire::Finding {
    wire::Finding {
        row: Some(row),
        severity: wire::Severity::Warning,
        summary: "{table} has {tables.dead} of {most}".into(),
        detail: String::new(),
        evidence: vec![wire::Evidence { metric: "tables.dead".into(), value: 5.0, threshold: None, unit: "rows".into() }],
        actions: Vec::new(),
        links: Vec::new(),
        extra: Vec::new(),
    }
}

fn said(findings: Vec<wire::Finding>, unknown: Vec<u32>) -> wire::Evaluation {
    wire::Evaluation { findings, unknown, extra: Vec::new() }
}

const ROWS: &[(&str, f64)] = &[("a", 5.0), ("b", f64::NAN), ("c", 1.0)];

#[test]
fn rows_become_subjects_and_messages_are_filled() {
    let evaluation = read(said(vec![finding(0)], Vec::new()), ROWS, &[]).unwrap();
    assert_eq!(evaluation.findings[0].subject, table("a"));
    assert_eq!(evaluation.findings[0].summary, "a has 5 rows of 1 kB");
}

#[test]
fn a_row_with_an_unknown_required_input_is_held_whatever_the_plugin_says_of_it() {
    let evaluation = read(said(vec![finding(1)], vec![2]), ROWS, &["a", "b", "c"]).unwrap();
    assert_eq!(evaluation.findings, []);
    let held: Vec<(String, &str)> = evaluation.held.iter().map(|h| (h.subject.to_string(), h.reason.as_str())).collect();
    assert_eq!(held, [("app.public.b".to_string(), "tables.dead is unknown"), ("app.public.c".into(), "the plugin could not judge it")]);
    assert_eq!(evaluation.unknown, 2);
}

#[test]
fn a_finding_about_the_whole_server_is_none_about_the_first_row() {
    let server = wire::Finding { row: None, summary: "all is lost".into(), ..finding(0) };
    let evaluation = read(said(vec![server], Vec::new()), &[("a", f64::NAN)], &[]).unwrap();
    assert_eq!((evaluation.findings.len(), evaluation.unknown), (1, 1));
    assert_eq!(evaluation.findings[0].subject, Labels::default());
}

#[test]
fn of_two_findings_about_one_subject_the_more_severe_is_kept() {
    let worse = wire::Finding { severity: wire::Severity::Critical, ..finding(0) };
    let evaluation = read(said(vec![finding(0), worse, finding(0)], Vec::new()), ROWS, &["a"]).unwrap();
    assert_eq!((evaluation.findings.len(), evaluation.findings[0].severity), (1, crate::model::Severity::Critical));
    assert_eq!(evaluation.held, []);
}

#[test]
fn an_answer_that_is_not_legal_is_refused_as_a_whole() {
    let evidence = |value: f64, unit: &str| vec![wire::Evidence { metric: "x".into(), value, threshold: None, unit: unit.into() }];
    let action = |kind: &str, key: &str, value: f64| wire::Action {
        kind: kind.into(),
        params: vec![wire::EntryResult { key: key.into(), value: wire::ValueResult::Number(value) }],
        why: String::new(),
        row: None,
        extra: Vec::new(),
    };
    let cases: Vec<(wire::Finding, &str)> = vec![
        (finding(3), "its answer names row 3 of `tables`, which has 3 rows"),
        (wire::Finding { summary: " ".into(), ..finding(0) }, "a finding of it has no summary"),
        (
            wire::Finding { summary: "{tabel}".into(), ..finding(0) },
            "a message names `{tabel}`, which is no evidence, setting or column of the row",
        ),
        (wire::Finding { summary: "}".into(), ..finding(0) }, "a `{` or `}` stands alone in a message; write `{{` or `}}`"),
        (wire::Finding { evidence: evidence(f64::INFINITY, ""), ..finding(0) }, "evidence `x` is infinite"),
        (
            wire::Finding { evidence: evidence(1.0, "byte"), ..finding(0) },
            "evidence `x`: unknown unit `byte` (known: rows, bytes, s, ms, %, ratio, x, blocks, xids, days, /s); did you mean `bytes`?",
        ),
        (wire::Finding { actions: vec![action("vacum", "full", 1.0)], ..finding(0) }, "unknown action `vacum`; did you mean `vacuum`?"),
        (
            wire::Finding { actions: vec![action("alter_table_storage", "fillfactor", 5.0)], ..finding(0) },
            "action `alter_table_storage`: `fillfactor` must be an integer 10..100, not `5`",
        ),
        (
            wire::Finding { links: vec![wire::Link { title: "t".into(), url: "javascript:x".into() }], ..finding(0) },
            "a link must begin with https:// or http://, not `javascript:x`",
        ),
    ];
    for (finding, reason) in cases {
        let summary = if finding.summary.contains("tables.dead") { "x".to_string() } else { finding.summary.clone() };
        let finding = wire::Finding { summary, ..finding };
        assert_eq!(read(said(vec![finding], Vec::new()), ROWS, &[]), Err(reason.to_string()));
    }
    assert_eq!(read(said(Vec::new(), vec![9]), ROWS, &[]), Err("its answer names row 9 of `tables`, which has 3 rows".into()));
}

#[test]
fn unknown_evidence_is_none_and_an_action_acts_on_its_row() {
    let vacuum = wire::Action { kind: "vacuum".into(), params: Vec::new(), why: "w".into(), row: Some(2), extra: Vec::new() };
    let evidence = wire::Evidence { metric: "x".into(), value: f64::NAN, threshold: Some(1.0), unit: String::new() };
    let one = wire::Finding { actions: vec![vacuum], evidence: vec![evidence], summary: "{x} {{of}}".into(), ..finding(0) };
    let evaluation = read(said(vec![one], Vec::new()), ROWS, &[]).unwrap();
    assert_eq!(evaluation.findings[0].summary, "unknown {of}");
    assert_eq!(evaluation.findings[0].evidence[0], Evidence { metric: "x".into(), value: None, threshold: Some(1.0), unit: Unit::None });
    assert_eq!(evaluation.findings[0].actions[0].subject, table("c"));
}

#[test]
fn a_novel_is_cut() {
    let long = wire::Finding { summary: "x".repeat(5_000), detail: "y".repeat(50_000), ..finding(0) };
    let evaluation = read(said(vec![long], Vec::new()), ROWS, &[]).unwrap();
    let found = &evaluation.findings[0];
    assert_eq!((found.summary.chars().count(), found.detail.chars().count()), (1_001, 8_001));
    assert!(found.summary.ends_with("x…"));
}

#[test]
fn a_message_without_a_row_knows_settings_and_evidence_only() {
    let settings = Settings(BTreeMap::from([("most".into(), SettingValue::Number(2048.0))]));
    let defs = meta().settings;
    let names = Names { row: None, evidence: &[], settings: &settings, defs: &defs };
    assert_eq!(fill("at most {most}", &names), Ok("at most 2 kB".into()));
    assert!(fill("{table}", &names).is_err());
}
