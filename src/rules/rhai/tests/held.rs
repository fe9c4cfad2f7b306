//! What may resolve an alert and what holds it.

use super::*;

const DEAD: &str = "for t in tables.rows(tables.dead > 100) { finding(t, #{summary: \"x\"}); }";

fn judge(source: &str, world: World) -> Evaluation {
    let rule = compile(header(&["tables", "xmin_holders?", "connections"], &[]), source).unwrap_or_else(|p| panic!("{}", p.join("\n")));
    match rule.evaluate(&world.input(rule.meta())) {
        Outcome::Ok(evaluation) => evaluation,
        other => panic!("{}", other.reason()),
    }
}

fn held(source: &str, world: World) -> Vec<String> {
    judge(source, world).held.iter().map(|held| format!("{}: {}", held.subject, held.reason)).collect()
}

#[test]
fn an_unknown_row_holds_its_alert_and_counts() {
    let rows: [RowOf<'_>; 2] = [&[("dead", Null)], &[("table", S("quiet")), ("dead", N(5.0))]];
    let world = || World::empty().with("tables", &rows);
    assert_eq!(held(DEAD, world().firing(&[table("orders")])), ["app.public.orders: tables.dead is unknown"]);
    assert_eq!(held(DEAD, world().firing(&[table("quiet")])), Vec::<String>::new());
    assert_eq!(judge(DEAD, world()).unknown, 1);
}

#[test]
fn a_finding_wins_over_unknown() {
    let source = "for t in tables.rows(tables.dead > 100) { finding(t, #{summary: \"x\"}); }
                  for t in tables.rows(tables.live > 100) { finding(t, #{summary: \"y\"}); }";
    let evaluation = judge(source, World::empty().with("tables", &[&[("dead", Null)]]).firing(&[table("orders")]));
    assert_eq!((evaluation.findings.len(), evaluation.held.len(), evaluation.unknown), (1, 0, 0));
}

#[test]
fn false_and_unknown_is_false_and_resolves() {
    let source = "for t in tables.rows(tables.dead > 100 & tables.live > 1e9) { finding(t, #{summary: \"x\"}); }";
    assert_eq!(held(source, World::empty().with("tables", &[&[("dead", Null)]]).firing(&[table("orders")])), Vec::<String>::new());
}

#[test]
fn a_proven_absence_resolves_and_an_uncovered_one_holds() {
    let world = || World::empty().with("tables", &[]).firing(&[table("gone")]);
    assert_eq!(held(DEAD, world()), Vec::<String>::new());
    let top = Coverage { top: Some(5000), ..Coverage::default() };
    assert_eq!(held(DEAD, world().covering("tables", top)), ["app.public.gone: only the first 5000 rows were collected"]);
    let unread = Coverage { without_databases: [("app".to_string(), "timeout".to_string())].into(), ..Coverage::default() };
    assert_eq!(held(DEAD, world().covering("tables", unread)), ["app.public.gone: its database could not be read: timeout"]);
    let locked = Coverage { without_relations: vec!["app.public.gone".into()], ..Coverage::default() };
    assert_eq!(held(DEAD, world().covering("tables", locked)), ["app.public.gone: the relation was locked"]);
}

#[test]
fn a_covered_quiet_row_resolves_even_where_the_frame_has_gaps() {
    let world = World::empty().with("tables", &[&[]]).covering("tables", Coverage { top: Some(1), ..Coverage::default() });
    assert_eq!(held(DEAD, world.firing(&[table("orders")])), Vec::<String>::new());
}

#[test]
fn a_counter_that_was_reset_or_is_new_holds() {
    let source = "for t in tables.rows(rate(tables.seq_scan) > 100) { finding(t, #{summary: \"x\"}); }";
    let now: [RowOf<'_>; 3] = [&[("seq_scan", N(5.0))], &[("table", S("new"))], &[("table", S("calm")), ("seq_scan", N(160.0))]];
    let then: [RowOf<'_>; 2] = [&[], &[("table", S("calm"))]];
    let world = World::empty().with("tables", &now).before("tables", &then).firing(&[table("orders"), table("new"), table("calm")]);
    assert_eq!(
        held(source, world),
        [
            "app.public.orders: rate(tables.seq_scan) is unknown: the counters were reset",
            "app.public.new: rate(tables.seq_scan) is unknown: the row is new",
        ]
    );
}

#[test]
fn a_rate_without_an_earlier_reading_is_no_data() {
    let source = "for t in tables.rows(rate(tables.seq_scan) > 100) { finding(t, #{summary: \"x\"}); }";
    let rule = compile(header(&["tables"], &[]), source).unwrap();
    let outcome = rule.evaluate(&World::empty().with("tables", &[&[]]).input(rule.meta()));
    assert_eq!(outcome.reason(), "tables: `rate(tables.seq_scan)` needs two readings");
}

#[test]
fn a_window_older_than_the_history_is_no_data() {
    let source = "for t in tables.rows(delta(tables.dead, hours(1)) > 100) { finding(t, #{summary: \"x\"}); }";
    let rule = compile(header(&["tables"], &[]), source).unwrap();
    let outcome = rule.evaluate(&World::empty().with("tables", &[&[]]).ago(60, "tables", &[]).input(rule.meta()));
    assert_eq!(outcome.reason(), "tables: `delta(tables.dead, 1h)` needs a history of 1h");
    let outcome = rule.evaluate(&World::empty().with("tables", &[&[]]).ago(3600, "tables", &[&[]]).input(rule.meta()));
    assert_eq!(outcome.word(), "ok");
}

#[test]
fn an_optional_frame_that_is_missing_holds_its_subjects() {
    let source = "if xmin_holders != () { for h in xmin_holders.rows(xmin_holders.age > 9) { finding(h, #{summary: \"x\"}); } }";
    let session: Labels = [("source", "session")].into_iter().collect();
    let world = World::empty().missing("xmin_holders").firing(std::slice::from_ref(&session));
    assert_eq!(held(source, world), ["source session: `xmin_holders` could not be read: it was locked"]);
    assert_eq!(held(source, World::empty().firing(&[session])), Vec::<String>::new());
}

#[test]
fn the_server_as_a_whole_is_held_while_the_answer_is_open() {
    let source = "if any(tables.dead > 100) { finding(#{summary: \"x\"}); }";
    let server = || [Labels::default()];
    let unknown = || World::empty().with("tables", &[&[("dead", Null)]]);
    assert_eq!(held(source, unknown().firing(&server())), [": rows of `tables` are unknown"]);
    assert_eq!(judge(source, unknown()).unknown, 1);
    assert_eq!(held(source, World::empty().with("tables", &[&[]]).firing(&server())), Vec::<String>::new());
    let one: [RowOf<'_>; 2] = [&[("dead", Null)], &[("table", S("b")), ("dead", N(500.0))]];
    assert_eq!(judge(source, World::empty().with("tables", &one)).findings.len(), 1);
}

#[test]
fn the_one_row_of_a_keyless_frame_is_the_server() {
    let source = "for c in connections.rows(connections.clients > 90) { finding(c, #{summary: \"x\"}); }";
    let full = judge(source, World::empty().with("connections", &[&[("clients", N(95.0))]]));
    assert_eq!(full.findings[0].subject, Labels::default());
    let unknown = World::empty().with("connections", &[&[("clients", Null)]]).firing(&[Labels::default()]);
    assert_eq!(held(source, unknown), [": connections.clients is unknown"]);
}

#[test]
fn of_two_findings_about_one_subject_the_more_severe_stays() {
    let source = "for s in [\"info\", \"critical\", \"warning\"] { finding(#{summary: s, severity: s}); }";
    let evaluation = judge(source, World::empty());
    assert_eq!(evaluation.findings.iter().map(|f| f.severity).collect::<Vec<_>>(), [Severity::Critical]);
}
