//! What a person, a script and a scheduler read, as goldens: from the recorded sick database, and from small reports
//! made by hand for what that one does not show.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use proptest::prelude::*;

use super::{json, nagios, text};
use crate::alert;
use crate::app::oneshot::{self, OneShot};
use crate::app::report::{Earlier, Report};
use crate::app::setup;
use crate::clock::Clock;
use crate::collect::Sample;
use crate::model::{
    ActionRequest, Book, Cost, DecideConfig, Evaluation, Evidence, Finding, Missing, MissingReason, Outcome, RuleMeta, RuleOutcome, Server,
    Severity, Snapshot, Target, Tier, Unit,
};

fn now() -> DateTime<Utc> {
    "2026-01-05T10:00:00Z".parse().unwrap()
}

/// The sick database of `demo`, as the recorded sample shows it.
fn recorded() -> Report {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli/demo/recorded.json.gz");
    let sample = Sample::read(&path).unwrap();
    let rules = setup::load_rules(&[], crate::app::plugins::Plugins::default());
    let mut watch = setup::watch_of_dsn("host=localhost user=me dbname=shop").unwrap();
    watch.decide.target = sample.snapshot.target.clone();
    let shot = OneShot {
        clock: &Clock::System,
        watch: &watch,
        metrics: &rules.metrics,
        rules: &rules.set,
        store: None,
        interval_s: 1.0,
        progress: &|_| (),
    };
    let (basis, earlier) = oneshot::basis_of(sample);
    oneshot::report(&shot, &basis, earlier)
}

fn rule(id: &str, tier: Tier) -> RuleMeta {
    RuleMeta {
        id: id.into(),
        title: format!("{id} happens"),
        tier,
        for_s: 0,
        runbook: "Why: it slows everybody down.\nDo: find out who did it, and ask for the reason.\n".into(),
        ..alert::rule_unevaluable()
    }
}

fn finding(subject: &[(&str, &str)], severity: Severity, summary: &str) -> Finding {
    Finding {
        subject: subject.iter().copied().collect(),
        severity,
        summary: summary.into(),
        detail: String::new(),
        evidence: vec![],
        actions: vec![],
        links: vec![],
    }
}

fn found(findings: Vec<Finding>) -> Outcome {
    Outcome::Ok(Evaluation { findings, ..Evaluation::default() })
}

fn missing(frame: &str, missing: Missing) -> Outcome {
    Outcome::NoData(vec![(frame.into(), missing)])
}

/// A report of these outcomes, decided as a first look decides.
fn report(name: &str, server: Option<Server>, outcomes: Vec<(RuleMeta, Outcome)>) -> Report {
    let target = Target { name: name.into(), ..Target::default() };
    let config =
        DecideConfig { target: target.clone(), every_s: 60, dedup_s: Some(3_600), unknown_after_s: 600, ..DecideConfig::default() };
    let outcomes: Vec<RuleOutcome> = outcomes.into_iter().map(|(meta, outcome)| RuleOutcome { meta: Arc::new(meta), outcome }).collect();
    let snapshot = Snapshot {
        form: Snapshot::FORM,
        target,
        taken_at: now(),
        server,
        frames: BTreeMap::new(),
        cost: Cost { server_ms: 12.4, queries: 30, rows: 400, bytes: 50_000, connections: 1 },
    };
    let decision = alert::decide(&Book::default(), &outcomes, &config, now());
    Report {
        snapshot: Arc::new(snapshot),
        outcomes,
        decision,
        earlier: Earlier::Sampled(5.0),
        unusable: Vec::new(),
        grants: BTreeMap::new(),
    }
}

fn primary() -> Option<Server> {
    Some(Server { version_num: 160_004, version: "16.4 (Debian 16.4-1)".into(), in_recovery: Some(false), ..Server::default() })
}

fn plain(report: &Report, options: text::Options) -> String {
    anstream::adapter::strip_str(&text::render(report, options)).to_string()
}

fn page(report: &Report, width: usize) -> String {
    plain(report, text::Options { width, advice: false, all: false })
}

fn full(report: &Report, width: usize) -> String {
    plain(report, text::Options { width, advice: true, all: true })
}

fn widest(page: &str) -> usize {
    page.lines().map(crate::cli::term::shown_width).max().unwrap_or(0)
}

#[test]
fn the_sick_database_at_110_columns() {
    insta::assert_snapshot!(page(&recorded(), 110));
}

#[test]
fn the_sick_database_at_80_columns_with_everything() {
    insta::assert_snapshot!(full(&recorded(), 80));
}

#[test]
fn the_sick_database_for_a_scheduler() {
    insta::assert_snapshot!(nagios::render(&recorded()));
}

#[test]
fn the_sick_database_for_a_script() {
    insta::assert_snapshot!(json::render(&recorded()));
}

#[test]
fn every_line_of_the_sick_database_fits() {
    let report = recorded();
    for width in [60, 72, 80, 100, 110, 132, 160] {
        assert!(widest(&page(&report, width)) <= width, "{}", page(&report, width));
        // What is to be pasted stays whole, so a long name in SQL may pass a narrow line, and nothing else may.
        let full = full(&report, width);
        let long: Vec<&str> = full.lines().filter(|line| widest(line) > width).collect();
        assert!(long.iter().all(|line| line.split_whitespace().any(|word| widest(word) + 12 > width)), "{width}: {long:#?}");
    }
}

#[test]
fn all_quiet() {
    let report = report("orders-1", primary(), vec![(rule("deadlocks", Tier::Ticket), found(vec![]))]);
    assert_eq!(report.exit_code(), 0);
    insta::assert_snapshot!(format!("{}----\n{}----\n{}", page(&report, 80), nagios::render(&report), json::render(&report)));
}

#[test]
fn a_server_that_does_not_answer() {
    let gone =
        || Missing::new(MissingReason::Unreachable, "db-1:5432: Connection refused (os error 111)").with_remedy("check the host and port");
    let not = || Missing::new(MissingReason::NotCollected, "frame `blocking` was not collected");
    let down = finding(&[], Severity::Critical, "the server does not answer: db-1:5432: Connection refused (os error 111)");
    let report = report(
        "orders-1",
        None,
        vec![
            (RuleMeta { for_s: 60, ..rule("instance_down", Tier::Page) }, found(vec![down])),
            (rule("dead_rows", Tier::Ticket), missing("tables", gone())),
            (rule("deadlocks", Tier::Ticket), missing("databases", gone())),
            (rule("blocked_sessions", Tier::Page), missing("blocking", not())),
        ],
    );
    assert_eq!(report.exit_code(), 2);
    insta::assert_snapshot!(format!("{}----\n{}----\n{}", page(&report, 80), full(&report, 80), nagios::render(&report)));
}

#[test]
fn no_connection_and_nothing_found_is_three() {
    let gone = Missing::new(MissingReason::Unreachable, "db-1:5432: Connection refused (os error 111)");
    let report = report("orders-1", None, vec![(rule("dead_rows", Tier::Ticket), missing("tables", gone))]);
    assert_eq!(report.exit_code(), 3);
    assert!(nagios::render(&report).starts_with("PGSTEWARD UNKNOWN - orders-1 - no connection|"), "{}", nagios::render(&report));
}

#[test]
fn a_blind_page_rule_is_three_and_advice_does_not_hide_it() {
    let no_grant =
        Missing::new(MissingReason::NoGrant, "the role may not read pg_stat_activity").with_remedy("GRANT pg_monitor TO pgsteward;");
    let report = report(
        "orders-1",
        primary(),
        vec![
            (rule("blocked_sessions", Tier::Page), missing("blocking", no_grant)),
            (rule("unused_index", Tier::Advice), found(vec![finding(&[("index", "i")], Severity::Info, "nobody uses i")])),
        ],
    );
    assert_eq!(report.exit_code(), 3);
    insta::assert_snapshot!(format!("{}----\n{}", page(&report, 80), nagios::render(&report)));
}

#[test]
fn a_blind_ticket_rule_is_no_reason_to_wake_anybody() {
    let later = Missing::new(MissingReason::NotCollected, "needs a history of 1d");
    let report = report("orders-1", primary(), vec![(rule("growth", Tier::Ticket), missing("sizes", later))]);
    assert_eq!(report.exit_code(), 0);
}

#[test]
fn advice_alone_is_zero() {
    let indexes = ["a_idx", "b_idx"].map(|name| finding(&[("index", name)], Severity::Info, &format!("nobody uses {name}")));
    let report = report(
        "orders-1",
        primary(),
        vec![
            (rule("unused_index", Tier::Advice), found(indexes.to_vec())),
            (rule("no_primary_key", Tier::Advice), found(vec![finding(&[("table", "t")], Severity::Info, "t has no primary key")])),
        ],
    );
    assert_eq!(report.exit_code(), 0);
    insta::assert_snapshot!(format!("{}----\n{}", page(&report, 80), full(&report, 80)));
}

#[test]
fn of_many_findings_of_one_rule_the_first_are_shown() {
    let tables = (1..=7).map(|n| finding(&[("table", &format!("t{n}"))], Severity::Warning, &format!("t{n} has many dead rows")));
    let report = report("orders-1", primary(), vec![(rule("dead_rows", Tier::Ticket), found(tables.collect()))]);
    assert_eq!(report.exit_code(), 1);
    insta::assert_snapshot!(page(&report, 80));
    assert_eq!(full(&report, 80).matches("has many dead rows").count(), 7);
}

#[test]
fn a_scheduler_is_not_flooded() {
    let tables = (0..100_000).map(|n| finding(&[("table", &format!("t{n}"))], Severity::Warning, "has many dead rows"));
    let report = report("orders-1", primary(), vec![(rule("dead_rows", Tier::Ticket), found(tables.collect()))]);
    let text = nagios::render(&report);
    assert_eq!(text.lines().count(), 42);
    assert_eq!(text.lines().last().unwrap(), "and 99960 more");
}

#[test]
fn hostile_names_are_shown_and_not_obeyed() {
    let name = "x\u{1b}[2J\nfaked: all is well|critical=0\u{202e}txt.exe";
    let table = Finding {
        actions: vec![ActionRequest {
            kind: "vacuum".into(),
            subject: [("schema", "public"), ("table", name)].into_iter().collect(),
            ..ActionRequest::default()
        }],
        evidence: vec![Evidence { metric: name.into(), value: Some(97.5), threshold: Some(80.0), unit: Unit::Percent }],
        detail: format!("seen in {name}"),
        ..finding(&[("schema", "public"), ("table", name)], Severity::Warning, &format!("{name} has many dead rows"))
    };
    let report = report(
        name,
        primary(),
        vec![
            (rule("dead_rows", Tier::Ticket), found(vec![table])),
            (rule("broken", Tier::Ticket), Outcome::Error(format!("line 3: no column `{name}`"))),
        ],
    );
    let (page, scheduler) = (page(&report, 80), nagios::render(&report));
    insta::assert_snapshot!(format!("{page}----\n{scheduler}"));
    assert_eq!(scheduler.matches('|').count(), 1, "only our own begins performance data");
    let back: serde_json::Value = serde_json::from_str(&json::render(&report)).unwrap();
    assert_eq!(back["findings"][0]["subject"]["table"], name, "a script gets the name as it is");
}

fn keys(value: &serde_json::Value) -> BTreeSet<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

/// The keys are a promise: scripts read them. New ones may come; then this list grows with them.
#[test]
fn the_keys_of_the_json_form_are_these() {
    let index = Finding {
        evidence: vec![Evidence { metric: "tables.dead".into(), value: Some(2.0), threshold: None, unit: Unit::Rows }],
        actions: vec![ActionRequest { kind: "note".into(), params: [("text".into(), "look".into())].into(), ..ActionRequest::default() }],
        ..finding(&[("table", "t")], Severity::Warning, "t has many dead rows")
    };
    let report = report("orders-1", primary(), vec![(rule("dead_rows", Tier::Ticket), found(vec![index]))]);
    let document: serde_json::Value = serde_json::from_str(&json::render(&report)).unwrap();
    let promised = ["target", "taken_at", "server_version", "findings", "outcomes"];
    assert_eq!(keys(&document), promised.into_iter().chain(["cost", "exit_code", "closed_databases", "unusable_rules"]).collect());
    let finding = &document["findings"][0];
    let promised = ["rule", "severity", "subject", "summary", "detail", "evidence", "actions", "runbook"];
    assert_eq!(keys(finding), promised.into_iter().chain(["tier", "state", "links"]).collect());
    assert_eq!(keys(&finding["evidence"][0]), ["metric", "value", "threshold", "unit"].into());
    assert_eq!(keys(&finding["actions"][0]), ["kind", "sql", "undo", "risk", "lock", "params", "why"].into());
    assert_eq!(keys(&document["outcomes"][0]), ["rule", "outcome", "reason", "unknown"].into());
    assert_eq!(document["taken_at"], "2026-01-05T10:00:00Z");
    assert_eq!(document["server_version"], "16.4");
}

/// Text as a server may hand it over: long words, wide and zero-width characters, escape codes.
fn any_text() -> impl Strategy<Value = String> {
    prop_oneof!["\\PC{0,40}", "[a-z_]{60,200}", "([a-zäß漢]{1,12} ){0,30}", "(?s).{0,40}", Just("e\u{301}\u{1b}[31m\u{200b}".to_string())]
}

fn any_finding() -> impl Strategy<Value = Finding> {
    let severity = prop::sample::select(Severity::ALL.to_vec());
    let unit = prop::sample::select(vec![Unit::Percent, Unit::Bytes, Unit::Seconds, Unit::None]);
    let evidence = (any_text(), prop::option::of(any::<f64>()), prop::option::of(0.0..1e18), unit)
        .prop_map(|(metric, value, threshold, unit)| Evidence { metric, value, threshold, unit });
    (any_text(), severity, any_text(), any_text(), prop::collection::vec(evidence, 0..8)).prop_map(
        |(name, severity, summary, detail, evidence)| Finding { detail, evidence, ..finding(&[("table", &name)], severity, &summary) },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_line_is_wider_than_the_terminal_and_none_holds_what_it_would_obey(
        name in any_text(),
        findings in prop::collection::vec(any_finding(), 0..9),
        reason in any_text(),
        width in 60_usize..160,
    ) {
        let mut rules = vec![(rule("broken", Tier::Page), Outcome::Error(reason))];
        rules.push((RuleMeta { for_s: 60, ..rule("dead_rows", Tier::Page) }, found(findings)));
        let report = report(&name, primary(), rules);
        for page in [page(&report, width), full(&report, width)] {
            prop_assert!(widest(&page) <= width, "{}", page);
            prop_assert!(page.chars().all(|c| c == '\n' || !c.is_control()), "{:?}", page);
        }
        let scheduler = nagios::render(&report);
        prop_assert_eq!(scheduler.matches('|').count(), 1);
        prop_assert!(scheduler.chars().all(|c| c == '\n' || !c.is_control()));
    }
}
