//! Rules in the rich form: the three of the manual, and what is refused.

use std::sync::Arc;

use super::rich::{RichRule, compile_rich};
use crate::model::*;
use crate::rules::Rule;
use crate::rules::rhai::tests::{B, N, Null, RowOf, S, World, catalog, table};
use crate::rules::rhai::{Engine, Limits};
use crate::yaml;

fn compile(text: &str) -> Result<RichRule, Vec<String>> {
    let node = yaml::parse("r.yaml", text).unwrap();
    let engine: Arc<Engine> = Engine::new(Limits::default());
    compile_rich(&engine, "r.yaml", &node, "own", &catalog()).map_err(|problems| problems.iter().map(ToString::to_string).collect())
}

fn rule(text: &str) -> Box<dyn Rule> {
    compile(text).unwrap_or_else(|problems| panic!("{}", problems.join("\n"))).rule
}

fn judge(text: &str, world: World) -> Evaluation {
    let rule = rule(text);
    match rule.evaluate(&world.input(rule.meta())) {
        Outcome::Ok(evaluation) => evaluation,
        other => panic!("{}", other.reason()),
    }
}

const DEAD: &str = r#"
id: dead_tuples_simple
title: Dead rows past the table's own trigger
category: vacuum
tier: ticket
from: tables
where: live + dead >= 10000 and not(vacuum_running)
value: dead / vacuum_trigger
unit: x
settings: {warn: {default: 2.0, range: [1, 50]}, crit: {default: 5.0, range: [1, 100]}}
warning: value > settings.warn
critical: value > settings.crit
clear_when: value < 1.5
for: 10m
interval: 5m
summary: "{{schema}}.{{table}} has {{human(dead)}} dead rows, {{round(value, 1)}}x its trigger"
evidence: [dead, {last vacuum: vacuum_age}, {share: 100 * ratio(dead, live), unit: "%"}]
actions: [{vacuum: {analyze: true, why: "{{human(dead)}} rows wait"}}, {note: "look at {{table}}"}]
labels: {team: data}
runbook: https://wiki.corp/pg/vacuum
"#;

#[test]
fn a_rule_finds_says_and_advises() {
    let rows: [RowOf<'_>; 4] = [
        &[("dead", N(1.2e6))],
        &[("table", S("some")), ("dead", N(5e5))],
        &[("table", S("small")), ("dead", N(900.0)), ("live", N(1.0))],
        &[("table", S("unsure")), ("dead", N(9e5)), ("vacuum_trigger", Null)],
    ];
    let evaluation = judge(DEAD, World::empty().with("tables", &rows));
    let [critical, warning] = evaluation.findings.as_slice() else { panic!("{evaluation:?}") };
    assert_eq!((critical.severity, &critical.subject), (Severity::Critical, &table("orders")));
    assert_eq!(critical.summary, "public.orders has 1.2 M dead rows, 6.0x its trigger");
    let evidence = |metric: &str, value, threshold, unit| Evidence { metric: metric.into(), value: Some(value), threshold, unit };
    assert_eq!(
        critical.evidence,
        [
            evidence("dead / vacuum_trigger", 6.0, Some(5.0), Unit::Times),
            evidence("tables.dead", 1.2e6, None, Unit::Rows),
            evidence("last vacuum", 7_200.0, None, Unit::Seconds),
            evidence("share", 120.0, None, Unit::Percent),
        ]
    );
    assert_eq!(critical.actions[0].sql(), Ok(Some("VACUUM (ANALYZE) public.orders".into())));
    assert_eq!(critical.actions[0].why, "1.2 M rows wait");
    assert_eq!(critical.actions[1].params["text"], "look at orders");
    assert_eq!((warning.severity, warning.evidence[0].threshold), (Severity::Warning, Some(2.0)));
    assert_eq!(evaluation.unknown, 1);
}

#[test]
fn the_limit_of_a_condition_may_be_computed() {
    let text = DEAD.replace("critical: value > settings.crit", "critical: value > settings.crit * 2 - 1");
    let evaluation = judge(&text, World::empty().with("tables", &[&[("dead", N(1e7))]]));
    assert_eq!(evaluation.findings[0].severity, Severity::Critical);
    assert_eq!(evaluation.findings[0].evidence[0].threshold, Some(9.0));
}

#[test]
fn what_it_declares_is_read() {
    let rule = rule(DEAD);
    let meta = rule.meta();
    assert_eq!((meta.for_s, meta.interval_s, meta.from.as_deref(), meta.engine.as_str()), (600, 300, Some("tables"), "rich"));
    let columns: Vec<&str> = meta.inputs.iter().filter_map(|input| input.column.as_deref()).collect();
    assert_eq!(columns, ["dead", "live", "schema", "table", "vacuum_age", "vacuum_running", "vacuum_trigger"]);
    assert_eq!(meta.hash.len(), 64);
    let moved = format!("\n\n# moved\n{DEAD}");
    assert_eq!(super::tests::rule(&moved).meta().hash, meta.hash);
    assert_ne!(super::tests::rule(&DEAD.replace("1.5", "1.4")).meta().hash, meta.hash);
}

#[test]
fn a_firing_subject_stays_until_clear_when_is_true_whatever_where_says() {
    let world = |dead, running| {
        let row: [RowOf<'_>; 1] = [&[("dead", N(dead)), ("vacuum_running", B(running))]];
        World::empty().with("tables", &row)
    };
    let found = |world| judge(DEAD, world).findings.iter().map(|f| f.severity).collect::<Vec<_>>();
    assert_eq!(found(world(3.5e5, false)), []);
    assert_eq!(found(world(3.5e5, false).firing(&[table("orders")])), [Severity::Warning]);
    assert_eq!(found(world(5e5, true)), []);
    assert_eq!(found(world(5e5, true).firing(&[table("orders")])), [Severity::Warning]);
    assert_eq!(found(world(2.9e5, false).firing(&[table("orders")])), []);
}

#[test]
fn an_unknown_value_holds_what_fires() {
    let row: [RowOf<'_>; 1] = [&[("dead", N(5e5)), ("vacuum_trigger", Null)]];
    let evaluation = judge(DEAD, World::empty().with("tables", &row).firing(&[table("orders")]));
    assert_eq!(evaluation.findings, []);
    assert_eq!(evaluation.held, [Held { subject: table("orders"), reason: "tables.vacuum_trigger is unknown".into() }]);
}

const CONNECTIONS: &str = r#"
id: connections_near_limit
title: Client connections near the limit
tier: page
from: connections
value: 100 * ratio(clients, max_connections - reserved)
unit: "%"
warning: value > 80
critical: value > 92
clear_when: value < 70
for: 2m
summary: "{{round(value, 0)}} % of {{human(max_connections - reserved)}} usable connections are taken"
evidence: [clients, {idle share: 100 * ratio(idle, clients), unit: "%"}]
"#;

#[test]
fn a_rule_about_the_server_has_no_subject() {
    let row: [RowOf<'_>; 1] = [&[("clients", N(91.0)), ("reserved", N(3.0)), ("idle", N(63.0))]];
    let evaluation = judge(CONNECTIONS, World::empty().with("connections", &row));
    assert_eq!(evaluation.findings[0].subject, Labels::default());
    assert_eq!(evaluation.findings[0].summary, "94 % of 97 usable connections are taken");
    assert_eq!(evaluation.findings[0].severity, Severity::Critical);
}

#[test]
fn null_in_a_message_reads_unknown_and_never_fails_the_rule() {
    let text = CONNECTIONS.replace("value: 100 * ratio(clients, max_connections - reserved)", "value: clients");
    let row: [RowOf<'_>; 1] = [&[("clients", N(91.0)), ("reserved", Null)]];
    assert_eq!(judge(&text, World::empty().with("connections", &row)).findings[0].summary, "91 % of unknown usable connections are taken");
}

const ORDERS: &str = r#"
id: orders_stuck
title: Orders stay unpaid too long
tier: ticket
metric:
  name: orders_queue
  databases: [shop]
  every: 60s
  timeout: 2s
  sql:
    14: SELECT status, count(*) AS n, 1.0 AS oldest FROM orders GROUP BY status
  columns: {status: label, n: gauge rows, oldest: gauge s}
where: status == "unpaid"
value: oldest
unit: s
warning: value > hours(1)
critical: value > hours(6)
summary: "{{human(n)}} orders are unpaid, the oldest for {{span(value)}}"
when_missing: hold
channels: [shop-slack]
"#;

#[test]
fn a_rule_may_bring_its_own_metric() {
    let RichRule { rule, metric } = compile(ORDERS).unwrap();
    let metric = metric.unwrap();
    assert_eq!(metric.frame.name, "orders_queue");
    assert_eq!(rule.meta().from.as_deref(), Some("orders_queue"));
    let texts = ColumnData::Text(Arc::new([Some("paid"), Some("unpaid")].into_iter().collect()));
    let columns = vec![texts, ColumnData::Float([3.0, 40.0].into()), ColumnData::Float([9e9, 7_200.0].into())];
    let frame = Frame::new(Arc::new(metric.frame), crate::rules::rhai::tests::start(), columns).unwrap();
    let mut world = World::empty();
    world.now.insert("orders_queue".into(), Reading::Collected(Arc::new(frame)));
    let Outcome::Ok(evaluation) = rule.evaluate(&world.input(rule.meta())) else { panic!() };
    assert_eq!(evaluation.findings[0].summary, "40 orders are unpaid, the oldest for 2h");
    assert_eq!(evaluation.findings[0].evidence[0].metric, "orders_queue.oldest");
    assert_eq!(evaluation.findings[0].evidence[0].threshold, Some(3_600.0));
    assert_eq!(evaluation.findings[0].subject, [("status", "unpaid")].into_iter().collect());
}

#[test]
fn a_missing_frame_is_no_data() {
    let rule = rule(DEAD);
    assert_eq!(rule.evaluate(&World::empty().missing("tables").input(rule.meta())).reason(), "tables: it was locked");
}

#[test]
fn rates_windows_and_other_frames_can_be_read() {
    let text = "id: scans\ntitle: Many scans\nfrom: tables\nvalue: rate(seq_scan)\nwarning: value > 1 and connections.clients > 5\n";
    let now: [RowOf<'_>; 1] = [&[("seq_scan", N(220.0))]];
    let world = World::empty().with("tables", &now).before("tables", &[&[]]).with("connections", &[&[]]);
    let evaluation = judge(text, world);
    assert_eq!(evaluation.findings[0].summary, "Many scans: app.public.orders, 2");
    let inputs: Vec<String> = rule(text).meta().inputs.iter().map(ToString::to_string).collect();
    assert_eq!(inputs, ["connections.clients", "rate(tables.seq_scan)"]);
}

#[test]
fn everything_wrong_is_told_at_its_place() {
    let text = r#"id: wrong
title: Wrong
from: tables
where: ded > 5
value: dead / vacuum_triger
unit: times
warning: valu > 5
critical: dead > "10"
clear_wen: value < 1
summary: "{{tabel}} has {{humn(dead)}}"
evidence: [lve, {a: dead, b: live}]
actions: [vacum, {vacuum: {full: true}}, {vacuum: {analyze: maybe}}]
"#;
    assert_eq!(
        compile(text).unwrap_err(),
        [
            "r.yaml:4:8: error: frame `tables` has no column `ded`; did you mean `dead`?",
            "r.yaml:5:15: error: frame `tables` has no column `vacuum_triger`; did you mean `vacuum_trigger`?",
            "r.yaml:6:7: error: unknown unit `times` (known: rows, bytes, s, ms, %, ratio, x, blocks, xids, days, /s)",
            "r.yaml:7:10: error: frame `tables` has no column `valu`; did you mean `value`?",
            "r.yaml:10:10: error: frame `tables` has no column `tabel`; did you mean `table`?",
            "r.yaml:10:10: error: unknown function `humn`; did you mean `human`?",
            "r.yaml:11:12: error: frame `tables` has no column `lve`; did you mean `live`?",
            "r.yaml:11:17: error: a piece of evidence is `column`, or `{name: expression}` with an optional `unit`",
            "r.yaml:12:11: error: unknown action `vacum`; did you mean `vacuum`?",
            "r.yaml:12:34: error: action `vacuum` has no parameter `full` (known: analyze, freeze)",
            "r.yaml:12:61: error: action `vacuum`: `analyze` must be true or false, not `maybe`",
            "r.yaml:9:1: error: unknown key `clear_wen`; did you mean `clear_when`?",
        ]
    );
}

#[test]
fn unlike_types_are_found_by_the_trial() {
    let text = "id: wrong\ntitle: Wrong\nfrom: tables\nwarning: dead > \"10\"\n";
    assert_eq!(
        compile(text).unwrap_err(),
        ["r.yaml:1:1: error: `>` cannot join a column and text; a number needs no quotes (r.yaml:4:15) (with no row)"]
    );
}

#[test]
fn a_rule_needs_a_frame_and_a_condition() {
    assert_eq!(compile("id: a\ntitle: A\n").unwrap_err(), ["r.yaml:1:1: error: `from` is missing: the frame whose rows are judged"]);
    assert_eq!(
        compile("id: a\ntitle: A\nfrom: tabels\nwarning: dead > 1\n").unwrap_err(),
        ["r.yaml:3:7: error: there is no frame `tabels`; did you mean `tables`?"]
    );
    assert_eq!(
        compile("id: a\ntitle: A\nfrom: tables\n").unwrap_err(),
        ["r.yaml:1:1: error: `critical`, `warning` or `info` is missing: the condition"]
    );
    assert_eq!(
        compile("id: a\ntitle: A\nfrom: tables\nwarning: value > 1\n").unwrap_err(),
        ["r.yaml:4:10: error: `value` is not declared; add `value:` to the rule"]
    );
    assert_eq!(
        compile("id: a\ntitle: A\nwarning: dead > 1\nmetric: {name: tables, sql: SELECT 1, columns: {dead: gauge}}\n").unwrap_err(),
        ["r.yaml:4:9: error: a frame `tables` exists already"]
    );
}
