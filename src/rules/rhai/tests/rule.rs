//! A whole rule of the kind that ships: hysteresis, a second frame, actions, settings that must fit each other.

use super::*;
use crate::problem::Mark;

const SOURCE: &str = r#"
let times = tables.dead / tables.vacuum_trigger;
let waste = tables.heap_bytes * ratio(tables.dead, tables.dead + tables.live);
let limit = when(tables.was_firing, settings.clear, settings.factor);
let bad   = times > limit & waste >= settings.min_bytes & (!tables.vacuum_running | tables.was_firing);

let holder  = xmin_holders?.top("age");
let blocked = holder?.age ?? 0.0 > hours(1);

for t in tables.rows(bad) {
    let actions = [];
    if blocked { actions.push(note(`End ${holder.who} first.`)); } else { actions.push(action("vacuum", t, #{ analyze: true })); }
    if !(t.autovacuum_enabled ?? true) { actions.push(action("alter_table_storage", t, #{ autovacuum_enabled: true })); }
    finding(t, #{
        severity: if times[t] > settings.critical { "critical" } else { "warning" },
        summary:  `${t} has ${human(t.dead)} dead rows, ${round(times[t], 1)}x its trigger`,
        detail:   if blocked { `${holder.who} holds it for ${span(holder.age)}` } else { `last vacuum ${ago(t.vacuum_age)}` },
        evidence: [evidence("dead / trigger", times[t], limit[t], "x"), evidence(t, "dead", limit[t] * t.vacuum_trigger)],
        actions:  actions,
    });
}
"#;

const MB: f64 = 1024.0 * 1024.0;

fn rule() -> Box<dyn Rule> {
    let mut header = header(&["tables", "xmin_holders?"], &[("factor", 2.0), ("critical", 5.0), ("clear", 1.5), ("min_bytes", 512.0 * MB)]);
    header.require = Some(("clear <= factor & factor < critical".into(), Mark { line: 7, column: 14 }));
    compile(header, SOURCE).unwrap_or_else(|problems| panic!("{}", problems.join("\n")))
}

fn judge(world: World) -> Evaluation {
    let rule = rule();
    match rule.evaluate(&world.input(rule.meta())) {
        Outcome::Ok(evaluation) => evaluation,
        other => panic!("{}", other.reason()),
    }
}

#[test]
fn only_the_big_table_past_its_trigger_is_found() {
    let tables: [RowOf<'_>; 3] = [
        &[("dead", N(1.2e6))],
        &[("table", S("tiny")), ("dead", N(1.2e6)), ("heap_bytes", N(100.0 * MB))],
        &[("table", S("almost")), ("dead", N(4e5))],
    ];
    let evaluation = judge(World::empty().with("tables", &tables));
    let [finding] = evaluation.findings.as_slice() else { panic!("{evaluation:?}") };
    assert_eq!((finding.severity, &finding.subject), (Severity::Critical, &table("orders")));
    assert_eq!(finding.summary, "app.public.orders has 1.2 M dead rows, 6.0x its trigger");
    assert_eq!(finding.detail, "last vacuum 2h ago");
    assert_eq!(finding.actions[0].sql(), Ok(Some("VACUUM (ANALYZE) public.orders".into())));
    let evidence =
        |metric: &str, value, threshold, unit| Evidence { metric: metric.into(), value: Some(value), threshold: Some(threshold), unit };
    assert_eq!(finding.evidence, [evidence("dead / trigger", 6.0, 2.0, Unit::Times), evidence("tables.dead", 1.2e6, 4e5, Unit::Rows)]);
    assert_eq!((evaluation.unknown, evaluation.held.len()), (0, 0));
}

#[test]
fn who_holds_the_horizon_is_named_and_vacuum_is_not_advised() {
    let holders: [RowOf<'_>; 2] = [&[("age", N(10_800.0))], &[("source", S("slot")), ("who", S("slot reports")), ("age", N(93_600.0))]];
    let evaluation = judge(World::empty().with("tables", &[&[("dead", N(5e5))]]).with("xmin_holders", &holders));
    assert_eq!(evaluation.findings[0].detail, "slot reports holds it for 1d 2h");
    assert_eq!(evaluation.findings[0].actions[0].kind, "note");
}

#[test]
fn never_vacuumed_reads_never_and_an_unknown_flag_advises_nothing() {
    let tables: [RowOf<'_>; 2] = [
        &[("dead", N(5e5)), ("vacuum_age", Null), ("autovacuum_enabled", B(false))],
        &[("table", S("unsure")), ("dead", N(5e5)), ("autovacuum_enabled", Null)],
    ];
    let evaluation = judge(World::empty().with("tables", &tables));
    assert_eq!(evaluation.findings[0].detail, "last vacuum never");
    let kinds = |at: usize| evaluation.findings[at].actions.iter().map(|a| a.kind.as_str()).collect::<Vec<_>>();
    assert_eq!((kinds(0), kinds(1)), (vec!["vacuum", "alter_table_storage"], vec!["vacuum"]));
}

#[test]
fn a_missing_optional_frame_is_null_and_a_missing_required_one_is_no_data() {
    let evaluation = judge(World::empty().with("tables", &[&[("dead", N(5e5))]]).missing("xmin_holders"));
    assert_eq!(evaluation.findings[0].actions[0].kind, "vacuum");
    let rule = rule();
    let outcome = rule.evaluate(&World::empty().missing("tables").input(rule.meta()));
    assert_eq!(outcome, Outcome::NoData(vec![("tables".into(), Missing::new(MissingReason::LockTimeout, "it was locked"))]));
}

#[test]
fn a_firing_table_clears_below_another_limit_and_stays_through_a_vacuum() {
    let row: [RowOf<'_>; 1] = [&[("dead", N(3.5e5)), ("vacuum_running", B(true))]];
    assert_eq!(judge(World::empty().with("tables", &row)).findings.len(), 0);
    assert_eq!(judge(World::empty().with("tables", &row).firing(&[table("orders")])).findings.len(), 1);
    assert_eq!(judge(World::empty().with("tables", &row).firing(&[table("other")])).findings.len(), 0);
}

#[test]
fn settings_move_it_and_must_fit_each_other() {
    let mut world = World::empty().with("tables", &[&[("dead", N(7e5))]]);
    world.settings = [("factor".to_string(), SettingValue::Number(4.0))].into();
    assert_eq!(judge(world).findings.len(), 0);
    let mut wrong = World::empty();
    wrong.settings = [("factor".to_string(), SettingValue::Number(6.0))].into();
    let rule = rule();
    let outcome = rule.evaluate(&wrong.input(rule.meta()));
    assert_eq!(
        outcome,
        Outcome::Error("rule `r`: the settings do not fit each other: `clear <= factor & factor < critical` does not hold".into())
    );
}

#[test]
fn what_it_reads_is_found_in_the_script() {
    let rule = rule();
    let inputs: Vec<String> = rule.meta().inputs.iter().map(|i| format!("{i}{}", if i.optional { "?" } else { "" })).collect();
    assert_eq!(
        inputs,
        [
            "tables",
            "tables.autovacuum_enabled",
            "tables.dead",
            "tables.heap_bytes",
            "tables.live",
            "tables.vacuum_age",
            "tables.vacuum_running",
            "tables.vacuum_trigger",
            "xmin_holders.age?",
            "xmin_holders.who?",
        ]
    );
    assert_eq!(rule.meta().from.as_deref(), Some("tables"));
}

#[test]
fn a_hostile_name_is_quoted_and_never_run() {
    let evaluation = judge(World::empty().with("tables", &[&[("table", S("x\"; drop table y; --")), ("dead", N(5e5))]]));
    assert_eq!(evaluation.findings[0].actions[0].sql(), Ok(Some(r#"VACUUM (ANALYZE) public."x""; drop table y; --""#.into())));
}

#[test]
fn the_same_input_gives_the_same_answer() {
    let rule = rule();
    let input = World::empty().with("tables", &[&[("dead", N(1.2e6))]]).input(rule.meta());
    assert_eq!(rule.evaluate(&input), rule.evaluate(&input));
}
