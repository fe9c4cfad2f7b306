//! The language: NULL, precedence, functions, and the traps of the engine below it.

use super::*;

fn value(expression: &str) -> Result<String, String> {
    let tables: [RowOf<'_>; 3] = [&[("dead", N(5.0))], &[("table", S("b")), ("dead", N(50.0))], &[("table", S("c")), ("dead", Null)]];
    let world = World::empty().with("tables", &tables).with("connections", &[&[]]).with("xmin_holders", &[&[]]);
    value_of(expression, world)
}

fn is(expression: &str, expected: &str) {
    assert_eq!(value(expression).as_deref(), Ok(expected), "{expression}");
}

fn fails(expression: &str, part: &str) {
    let error = value(expression).expect_err(expression);
    assert!(error.contains(part), "{expression}: {error}");
}

#[test]
fn numbers_are_never_divided_as_integers() {
    is("1 / 2", "0.5");
    is("7 % 4", "3");
    is("1 / 0 ?? \"nothing\"", "nothing");
    is("2 * 3 + 1", "7");
    fails("9223372036854775807 + 1", "integer overflow");
}

#[test]
fn a_null_compared_is_an_error_that_says_what_to_write() {
    fails("() > 5", "`>` cannot join unknown (NULL) and a number; write `x ?? value`, or ask `is_null(x)`");
    is("(() ?? 3) > 2", "true");
    is("() == ()", "true");
    is("5 == ()", "false");
    is("() + 5 ?? \"still unknown\"", "still unknown");
    is("is_null(top(tables, \"dead\")?.comment)", "true");
}

#[test]
fn unlike_types_are_an_error_and_never_false() {
    fails("\"10\" > 9", "`>` cannot join text and a number; a number needs no quotes");
    fails("any(tables.dead > \"10\")", "`>` cannot join a column and text; a number needs no quotes");
    fails("any(tables.table == 10)", "`==` cannot join a text column and a number");
    fails("any(tables.dead == ())", "ask `is_null(column)`");
    fails("true == 1", "`==` cannot join true or false and a number");
    fails("[1] == [1]", "`==` cannot join a list and a list");
    fails("any(tables.vacuum_running > 5)", "compare first: `column > 5 and mask`");
}

#[test]
fn masks_do_not_go_through_short_circuit_operators() {
    fails("any(tables.dead > 1 && tables.live > 1)", "join masks with `and` or `or`");
    fails("if tables.dead > 1 { 1 } else { 2 }", "ask `any(mask)`");
    is("true && !false || false", "true");
}

#[test]
fn precedence_groups_as_it_is_read() {
    is("count(tables.dead > 1 & tables.dead < 10)", "1");
    is("count(tables.dead > 1 and tables.dead < 10 or tables.dead > 40)", "2");
    is("count(not(tables.dead > 10))", "1");
    is("top(xmin_holders, \"age\")?.age ?? 0.0 > hours(1)", "false");
    is("when(true, 1, 2) + 1", "2");
}

#[test]
fn null_stays_unknown_through_every_operator() {
    is("count(tables.dead > 10)", "1");
    is("count(!(tables.dead > 10))", "1");
    is("count(tables.dead * 0 == 0)", "2");
    is("count(is_null(tables.dead))", "1");
    is("count(or_else(tables.dead, 99) > 10)", "2");
    is("count(or_else(tables.dead > 10, true))", "2");
    is("count(tables.dead > 10 | tables.live > 0)", "3");
}

#[test]
fn in_looks_through_columns_row_by_row() {
    is("count(tables.table in [\"b\", \"c\"])", "2");
    is("count(tables.dead in [5, 6])", "1");
    is("count(one_of(tables.table, [\"orders\"]))", "1");
    is("count(tables.table in [])", "0");
    is("3 in [1, 2, 3]", "true");
    is("\"b\" in \"abc\"", "true");
    is("3 !in [1]", "true");
    fails("count(tables.dead in [\"5\"])", "a number needs no quotes");
    is("count(starts_with(tables.table, \"o\"))", "1");
    is("count(tables.table.contains(\"rder\"))", "1");
}

#[test]
fn statistics_leave_unknown_rows_out() {
    is("sum(tables.dead)", "55.0");
    is("avg(tables.dead)", "27.5");
    is("min(tables.dead)", "5.0");
    is("max(tables.dead)", "50.0");
    is("percentile(tables.dead, 50)", "27.5");
    is("max(3, 4.5)", "4.5");
    is("any(tables.dead > 40)", "true");
    is("all(tables.live > 0)", "true");
    is("tables.count()", "3");
    is("xmin_holders.is_empty()", "false");
}

#[test]
fn values_read_as_people_write_them() {
    is("human(1200000)", "1.2 M");
    is("bytes(mb(512))", "512 MB");
    is("span(days(1) + hours(2))", "1d 2h");
    is("ago(120)", "2m ago");
    is("ago(())", "never");
    is("round(6.04, 1)", "6.0");
    is("round(92.6)", "93");
    is("top(tables, \"dead\")", "app.public.b");
    is("[\"a\", \"b\"].len()", "2");
    is("#{a: 1}.a", "1");
}

#[test]
fn a_column_in_a_text_is_named_and_a_function_of_one_number_says_so() {
    fails("human(tables.dead)", "take one row of it: `column[t]`");
    is("tables.dead", "[column]");
}

#[test]
fn frames_are_not_joined_row_by_row_but_a_one_row_frame_joins_all() {
    fails("any(tables.dead > xmin_holders.age)", "a column of `tables` meets one of `xmin_holders`");
    is("count(tables.dead > connections.clients)", "1");
    is("count(connections.clients < tables.dead)", "1");
}

#[test]
fn counters_are_not_subtracted() {
    fails("any(tables.seq_scan - tables.idx_scan > 5)", "use `rate(column)`");
    fails("any(tables.seq_scan + -tables.idx_scan > 5)", "use `rate(column)`");
    is("count(tables.seq_scan > 50)", "3");
    is("count(tables.seq_scan / tables.idx_scan == 1)", "3");
    fails("any(rate(tables.dead) > 1)", "`rate` is for counters, `tables.dead` is none");
}

#[test]
fn rates_and_windows_come_from_the_changes() {
    let now: [RowOf<'_>; 2] = [&[("seq_scan", N(220.0)), ("dead", N(70.0))], &[("table", S("b")), ("seq_scan", N(5.0))]];
    let then: [RowOf<'_>; 2] = [&[("dead", N(30.0))], &[("table", S("b"))]];
    let world = || World::empty().with("tables", &now).before("tables", &then).ago(3600, "tables", &then);
    assert_eq!(hits("rate(tables.seq_scan) == 2", world()), (vec!["orders".into()], 1));
    assert_eq!(hits("prev(tables.seq_scan) == 100", world()).0, ["orders", "b"]);
    assert_eq!(hits("delta(tables.dead, hours(1)) == 40", world()).0, ["orders"]);
    assert_eq!(hits("delta(tables.seq_scan, hours(1)) == 120", world()), (vec!["orders".into()], 1));
    assert_eq!(hits("ago(tables.dead, hours(1)) == 30", world()).0, ["orders"]);
    assert_eq!(hits("tables.dead - ago(tables.dead, minutes(60)) > 39", world()).0, ["orders"]);
}

#[test]
fn assigning_operators_and_lists_work_as_expected() {
    let source = "let n = 1; n += 2; n *= 2; n /= 4; let l = []; l.push(1); l += 2; for i in 0..3 { n += i; } let s = \"a\"; s += 1;
                  finding(#{summary: `${n} ${l.len()} ${s}`});";
    let rule = compile(header(&[], &[]), source).unwrap();
    let Outcome::Ok(evaluation) = rule.evaluate(&World::empty().input(rule.meta())) else { panic!() };
    assert_eq!(evaluation.findings[0].summary, "4.5 2 a1");
}

#[test]
fn no_constant_replaces_a_loop_variable() {
    let source = "fn f(t) { t > 2 } let n = 0; for t in [5] { if f(t) { n += 1; } } finding(#{summary: `${n}`});";
    let rule = compile(header(&[], &[]), source).unwrap();
    let Outcome::Ok(evaluation) = rule.evaluate(&World::empty().input(rule.meta())) else { panic!() };
    assert_eq!(evaluation.findings[0].summary, "1");
}
