//! `plugin!` through the wire: what it declares, and what it makes of columns.
#![allow(clippy::unwrap_used, missing_docs, reason = "a test fails by panicking")]

use pgsteward_sdk::prelude::*;
use pgsteward_sdk::wire::{self, Column, Entry, Frame};
use pgsteward_sdk::{describe, evaluate, testing, validate_settings};

plugin! {
    plugin "two_rules" { version "1.2.3"; summary "for tests"; }

    rule "dead_rows" {
        title "Dead rows";
        category "vacuum";
        for "10m";
        label "team" "dba";

        settings Limits {
            number warn = 2.0, 1.0..=50.0, "x", "warn above";
            number crit = 5.0, 1.0..=50.0, "x", "critical above";
            flag loud = true, "whether to speak";
            text schema = "public", "whose tables";
        }
        from "tables" row Table {
            gauge dead;
            rate n_tup_upd as updates;
            prev dead as before;
            delta n_tup_del "1h" as deleted;
            ago dead "1d" as yesterday;
            optional gauge vacuum_age;
            optional flag vacuum_running;
            label table;
            firing fires;
        }
        require |set| set.warn <= set.crit, "`warn` must be at most `crit`";
        require |set| !set.schema.is_empty(), "`schema` must name one";
        rows dead_rows;
    }

    rule "sizes" {
        title "Index larger than its table";
        from "indexes" row Index { label table; gauge bytes; }
        also "tables" row Heap { label table; gauge heap_bytes; }
        also optional "disk" row Disk { gauge free; }
        whole sizes;
    }

    rule "server" {
        title "Whole server";
        also "connections" row Connections { gauge clients; }
        whole server;
    }
}

fn dead_rows(t: &Table, set: &Limits) -> Verdict {
    if t.dead == 13.0 {
        return Verdict::Unknown;
    }
    let limit = if t.fires { set.warn / 2.0 } else { set.warn };
    let told = format!("{} {:?} {:?}", t.updates + t.before + t.deleted + t.yesterday, t.vacuum_age, t.vacuum_running);
    (t.dead > limit).then(|| warning(told).evidence("tables.dead", t.dead, limit, "rows").action(vacuum())).into()
}

fn sizes(input: &Input<Index>, tables: &Rows<Heap>, disk: Option<&Rows<Disk>>, _: &NoSettings) -> Result<Evaluation, String> {
    if input.rows.is_empty() {
        return Err("no index".into());
    }
    let table = |index: &Index| tables.iter().find(|t| t.table.text() == index.table.text());
    let large = input.rows.iter().filter_map(|i| table(i).filter(|t| i.bytes > t.heap_bytes).map(|_| i));
    let free = disk.and_then(|d| d.first()).map_or(-1.0, |d| d.free);
    Ok(large.map(|i| info("large").on(i.row).evidence("free", free, None, "bytes")).collect())
}

fn server(input: &Input, connections: &Rows<Connections>, _: &NoSettings) -> Result<Evaluation, String> {
    let now = connections.first().ok_or("nobody knows how many are connected")?;
    log!(info, "{} at {}", now.clients, input.now);
    Ok([critical("full").detail(format!("{:?}", input.fact("target")))].into_iter().collect())
}

const NAN: f64 = f64::NAN;

fn column(values: &[f64]) -> Column {
    Column { values: values.to_vec(), present: true }
}

fn absent() -> Column {
    Column { values: vec![], present: false }
}

fn frame(name: &str, rows: u32) -> Frame {
    Frame { name: name.into(), rows, age: 1.0, interval: Some(60.0), extra: vec![] }
}

fn input(frames: Vec<Frame>, columns: Vec<Column>) -> wire::Input {
    wire::Input { now: 7.0, frames, columns, firing: vec![], settings: vec![], extra: vec![] }
}

fn setting(key: &str, value: Value) -> Entry {
    Entry { key: key.into(), value }
}

/// Four rows: quiet, found, unknown in a required value, unknown in an optional one.
fn tables() -> wire::Input {
    let columns = vec![
        column(&[1.0, 3.0, 9.0, 4.0]),
        column(&[1.0, 1.0, NAN, 1.0]),
        column(&[1.0; 4]),
        column(&[1.0; 4]),
        column(&[1.0; 4]),
        column(&[5.0, 6.0, 7.0, NAN]),
        absent(),
        column(&[0.0, 1.0, 2.0, 3.0]),
    ];
    input(vec![frame("tables", 4)], columns)
}

fn run(rule: &str, input: wire::Input) -> Result<Evaluation, String> {
    evaluate(Plugin::RULES, rule, input)
}

fn rows(evaluation: &Evaluation) -> Vec<(Option<u32>, &str)> {
    evaluation.findings.iter().map(|f| (f.row, f.summary.as_str())).collect()
}

#[test]
fn many_rules_say_what_they_are() {
    let def = describe("two_rules", &[("version", "1.2.3"), ("summary", "for tests")], Plugin::RULES);
    assert_eq!((def.version.as_str(), def.extra.len()), ("1.2.3", 1));
    let ids: Vec<(&str, Option<&str>)> = def.rules.iter().map(|r| (r.id.as_str(), r.from.as_deref())).collect();
    assert_eq!(ids, [("dead_rows", Some("tables")), ("sizes", Some("indexes")), ("server", None)]);
    let needs: Vec<(&str, bool)> = def.rules[0].needs.iter().map(|n| (n.input.as_str(), n.optional)).collect();
    let expected = [
        ("tables.dead", false),
        ("rate(tables.n_tup_upd)", false),
        ("prev(tables.dead)", false),
        ("delta(tables.n_tup_del, 1h)", false),
        ("ago(tables.dead, 1d)", false),
        ("tables.vacuum_age", true),
        ("tables.vacuum_running", true),
        ("tables.table", false),
    ];
    assert_eq!(needs, expected);
    let extra: Vec<(&str, &Value)> = def.rules[0].extra.iter().map(|e| (e.key.as_str(), &e.value)).collect();
    let text = |t: &str| Value::Text(t.into());
    assert_eq!(extra, [("category", &text("vacuum")), ("for", &text("10m")), ("label.team", &text("dba"))]);
    // Every column of an optional frame is optional.
    assert!(def.rules[1].needs[4].optional && !def.rules[1].needs[3].optional);
}

#[test]
fn settings_are_declared_in_order_with_their_types() {
    let defs = &describe("two_rules", &[], Plugin::RULES).rules[0].settings;
    let names: Vec<&str> = defs.iter().map(|def| def.name.as_str()).collect();
    assert_eq!(names, ["warn", "crit", "loud", "schema"]);
    assert_eq!((&defs[0].default, defs[0].range, defs[0].unit.as_str()), (&Value::Number(2.0), Some((1.0, 50.0)), "x"));
    assert_eq!((&defs[2].default, defs[2].range), (&Value::Flag(true), None));
    assert_eq!((&defs[3].default, defs[3].doc.as_str()), (&Value::Text("public".into()), "whose tables"));
}

#[test]
fn settings_that_do_not_fit_each_other_are_all_named() {
    let check = |settings: &[Entry]| validate_settings(Plugin::RULES, "dead_rows", settings);
    assert_eq!(check(&[]), Ok(()));
    let wrong = check(&[setting("warn", Value::Number(9.0)), setting("schema", Value::Text(String::new()))]);
    assert_eq!(wrong, Err(vec!["`warn` must be at most `crit`".to_string(), "`schema` must name one".into()]));
    assert_eq!(check(&[setting("loud", Value::Number(1.0))]), Err(vec!["setting `loud` must be true or false".to_string()]));
    assert_eq!(validate_settings(Plugin::RULES, "sizes", &[]), Ok(()));
    assert_eq!(validate_settings(Plugin::RULES, "none", &[]), Err(vec!["this plugin has no rule `none`".to_string()]));
}

#[test]
fn rows_with_an_unknown_required_value_are_passed_over_and_optional_ones_are_none() {
    let evaluation = run("dead_rows", tables()).unwrap();
    assert_eq!(rows(&evaluation), [(Some(1), "4 Some(6.0) None"), (Some(3), "4 None None")]);
    assert!(evaluation.unknown.is_empty());
}

#[test]
fn a_rule_may_say_that_it_cannot_tell() {
    let mut input = tables();
    input.columns[0].values[1] = 13.0;
    let evaluation = run("dead_rows", input).unwrap();
    assert_eq!((rows(&evaluation).len(), &evaluation.unknown[..]), (1, &[1][..]));
}

#[test]
fn settings_and_firing_reach_the_function() {
    let mut input = tables();
    input.settings = vec![setting("warn", Value::Number(2.0)), setting("warn", Value::Number(4.0))];
    assert_eq!(rows(&run("dead_rows", input.clone()).unwrap()), []);
    input.firing = vec![1, 4_000];
    assert_eq!(rows(&run("dead_rows", input.clone()).unwrap()).len(), 1);
    input.settings = vec![setting("warn", Value::Flag(true))];
    assert_eq!(run("dead_rows", input), Err("setting `warn` must be a number".into()));
}

#[test]
fn whole_frames_are_slices_of_rows_that_know_their_number() {
    for (column, row, text) in [("indexes.table", 0, "a"), ("indexes.table", 2, "b"), ("tables.table", 0, "b"), ("tables.table", 1, "a")] {
        testing::set_text(column, row, text);
    }
    let frames = || vec![frame("indexes", 3), frame("tables", 2), frame("disk", 1)];
    let columns = || vec![column(&[7.0, 8.0, 8.0]), column(&[9.0, NAN, 5.0]), column(&[8.0, 7.0]), column(&[4.0, 10.0]), column(&[1e9])];
    let evaluation = run("sizes", input(frames(), columns())).unwrap();
    assert_eq!(rows(&evaluation), [(Some(2), "large")]);
    assert_eq!(evaluation.findings[0].evidence[0].value, 1e9);

    let mut without = input(frames()[..2].to_vec(), columns());
    without.columns[4] = absent();
    assert_eq!(run("sizes", without).unwrap().findings[0].evidence[0].value, -1.0);
}

#[test]
fn an_error_or_a_frame_that_is_not_there_is_said() {
    let empty = vec![column(&[]), column(&[]), column(&[]), column(&[]), absent()];
    assert_eq!(run("sizes", input(vec![frame("indexes", 0), frame("tables", 0)], empty)), Err("no index".into()));
    assert_eq!(run("sizes", input(vec![], vec![])), Err("the host gave no frame `indexes`".into()));
    assert_eq!(run("none", input(vec![], vec![])), Err("this plugin has no rule `none`".into()));
}

#[test]
fn a_rule_about_the_whole_server_has_facts_and_a_log() {
    let mut given = input(vec![frame("connections", 1)], vec![column(&[42.0])]);
    given.extra = vec![setting("target", Value::Text("db1".into()))];
    let evaluation = run("server", given).unwrap();
    assert_eq!((rows(&evaluation)[0].0, evaluation.findings[0].detail.contains("db1")), (None, true));
    assert_eq!(testing::logged(), [(Level::Info, "42 at 7".to_string())]);
}

#[test]
fn labels_compare_by_number_and_give_their_words() {
    assert_eq!(Label::named("a"), Label::named("a"));
    assert_ne!(Label::named("a"), Label::named("b"));
    assert_eq!(Label::named("b").text(), "b");
    testing::set_text("tables.table", 2, "orders");
    assert_eq!(host::text("tables.table", &[1, 2]), Ok(vec![None, Some("orders".into())]));
    assert_eq!(Label::default().text(), "");
    assert_eq!(Label::texts(&[Label::named("x"), Label::named("y")]), ["x", "y"]);
}

#[test]
fn hostile_lengths_are_no_panic() {
    let mut short = tables();
    short.columns.truncate(1);
    short.frames[0].rows = 100;
    assert_eq!(run("dead_rows", short).unwrap(), Evaluation::quiet());
}
