//! Which condition of a script's mask keeps it from firing.

use super::*;
use crate::rules::Facts;

/// What a script asks of `orders`, a line each.
fn asked(source: &str, world: World) -> Vec<String> {
    let rule = compile(header(&["tables"], &[("factor", 2.0)]), source).unwrap_or_else(|problems| panic!("{}", problems.join("\n")));
    let Facts { found, conditions, .. } = rule.facts(&world.input(rule.meta()), &table("orders")).unwrap();
    let answer = |holds: Option<bool>| holds.map_or("unknown", |holds| if holds { "true" } else { "false" });
    let line = conditions.iter().map(|asked| {
        let line = asked.line.map_or(String::new(), |line| format!(" ({line})"));
        format!("{} {}{line}: {} <- {}", asked.name, asked.text, answer(asked.holds), asked.reads.join(", "))
    });
    line.chain([format!("found {}", answer(found))]).collect()
}

fn vacuumed() -> World {
    World::empty().with("tables", &[&[("dead", N(1.2e6)), ("vacuum_running", B(true))]])
}

#[test]
fn each_condition_of_a_mask_is_told_with_its_line_and_what_it_reads() {
    let source = "let times = tables.dead / tables.vacuum_trigger;\nlet many = times > settings.factor;\nlet bad = many\n    & (!tables.vacuum_running | tables.was_firing) // a vacuum starts no alert; and ends none\n    & tables.heap_bytes > 5.0;\nfor t in tables.rows(bad) { finding(t, #{summary: \"x\"}); }\n";
    let times = "tables.dead, tables.vacuum_trigger";
    assert_eq!(
        asked(source, vacuumed()),
        [
            &format!("rows times > settings.factor (11): true <- {times}"),
            "rows (!tables.vacuum_running | tables.was_firing) (13): false <- tables.vacuum_running",
            "rows tables.heap_bytes > 5.0 (14): true <- tables.heap_bytes",
            "found false"
        ]
    );
}

#[test]
fn a_mask_that_stands_in_the_call_is_told_apart_too() {
    let source = "for t in tables.rows(tables.dead > 1.0 & not(tables.vacuum_running)) { finding(t, #{summary: \"x\"}); }";
    assert_eq!(
        asked(source, vacuumed()),
        [
            "rows tables.dead > 1.0 (10): true <- tables.dead",
            "rows not(tables.vacuum_running) (10): false <- tables.vacuum_running",
            "found false"
        ]
    );
}

#[test]
fn what_is_not_plain_is_told_as_a_whole() {
    for source in [
        // Set twice, so that the text of the first would be the wrong one.
        "let bad = tables.dead > 1.0; bad = bad & tables.dead < 2.0; for t in tables.rows(bad) { finding(t, #{summary: \"x\"}); }",
        "let bad = tables.dead > 1.0; let bad = bad & tables.dead < 2.0; for t in tables.rows(bad) { finding(t, #{summary: \"x\"}); }",
        // The inner one hides the outer one.
        "let bad = tables.dead > 1.0; if true { let bad = tables.dead < 2.0; for t in tables.rows(bad) { finding(t, #{summary: \"x\"}); } }",
    ] {
        assert_eq!(
            asked(source, vacuumed()),
            ["rows among the rows of `tables` that the script looks at: false <- ", "found false"],
            "{source}"
        );
    }
}

#[test]
fn a_row_that_an_if_in_the_loop_leaves_out_is_no_finding() {
    let source = "for t in tables.rows(tables.dead > 1.0) { if t.vacuum_running { continue; } finding(t, #{summary: \"x\"}); }";
    let told = asked(source, vacuumed());
    assert_eq!(told[1..], ["finding the script looks at it and reports nothing: false <- ", "found false"]);
}

/// Each line doubles what the one before joins: followed blindly that is a million conditions.
#[test]
fn conditions_that_are_joined_over_and_over_are_followed_once() {
    let doubled: String = (1..20).map(|n| format!("let m{n} = m{} & m{};", n - 1, n - 1)).collect();
    let source = format!("let m0 = tables.dead > 1e9;{doubled} for t in tables.rows(m19) {{ finding(t, #{{summary: \"x\"}}); }}");
    assert_eq!(asked(&source, vacuumed()), ["rows tables.dead > 1e9 (10): false <- tables.dead", "found false"]);
}
