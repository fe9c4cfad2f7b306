//! What is refused at load, where, and what is suggested.

use super::*;

fn problems(source: &str) -> Vec<String> {
    problems_of(header(&["tables", "xmin_holders?"], &[("factor", 2.0)]), source)
}

fn problems_of(header: Header, source: &str) -> Vec<String> {
    compile(header, source).err().unwrap_or_default()
}

/// A body that is a rule, with something before it.
fn before(source: &str) -> Vec<String> {
    problems(&format!("{source}\nfor t in tables.rows(tables.dead > 1) {{ finding(t, #{{summary: \"x\"}}); }}"))
}

#[test]
fn unknown_columns_are_found_wherever_they_stand_and_all_at_once() {
    assert_eq!(
        problems(
            "let x = tables.ded > 1;\nfor t in tables.rows(x) {\n  if false { finding(t, #{summary: `${t.vacum_age}`, evidence: [evidence(t, \"liv\")]}); }\n}\n\
             let h = xmin_holders?.top(\"agee\");\nlet w = h?.whoo ?? 1;"
        ),
        [
            "r.rhai:10:16: error: frame `tables` has no column `ded`; did you mean `dead`?",
            "r.rhai:12:41: error: frame `tables` has no column `vacum_age`; did you mean `vacuum_age`?",
            "r.rhai:12:77: error: frame `tables` has no column `liv`; did you mean `live`?",
            "r.rhai:14:23: error: frame `xmin_holders` has no column `agee`; did you mean `age`?",
            "r.rhai:15:12: error: frame `xmin_holders` has no column `whoo`; did you mean `who`?",
        ]
    );
}

#[test]
fn unknown_names_functions_and_settings_are_refused_with_the_nearest() {
    assert_eq!(before("let x = tabels.dead;"), ["r.rhai:10:9: error: unknown name `tabels`; did you mean `tables`?"]);
    assert_eq!(
        before("let x = connections.clients;"),
        ["r.rhai:10:9: error: frame `connections` is not among the inputs of `r`; add it to `inputs:`"]
    );
    assert_eq!(before("if false { humn(5); }"), ["r.rhai:10:12: error: unknown function `humn`; did you mean `human`?"]);
    assert_eq!(before("if false { human(5, 6); }"), ["r.rhai:10:12: error: `human` takes 1 arguments, not 2"]);
    assert_eq!(before("if false { settings.fctor > 3 }"), ["r.rhai:10:21: error: no setting `fctor`; did you mean `factor`?"]);
    assert_eq!(
        problems_of(header(&["tabels"], &[]), "finding(#{summary: \"x\"})"),
        ["r.rhai: error: `inputs`: there is no frame `tabels`; did you mean `tables`?"]
    );
}

#[test]
fn functions_see_no_frames_and_nothing_hides_one() {
    assert_eq!(
        before("fn f() { tables.dead }"),
        ["r.rhai:10:10: error: `tables` is not seen inside of a function; pass it as an argument"]
    );
    assert_eq!(before("let tables = 5;"), ["r.rhai:10:5: error: `tables` is an input of this rule; choose another name"]);
    assert!(before("for tables in [1] { }")[0].starts_with("r.rhai:10:5: error: `tables` is an input of this rule"));
    assert!(before("settings = 5;")[0].contains("`settings` is an input of this rule and cannot be changed"));
    assert_eq!(before("fn finding(a, b) { 1 }"), ["r.rhai:10:1: error: `finding` is a function of the language; choose another name"]);
    assert_eq!(before("fn big(x) { x > 10 } let m = big(tables.dead);"), Vec::<String>::new());
}

#[test]
fn reserved_words_and_syntax_errors_have_their_place_in_the_file() {
    assert_eq!(before("let match = 1;"), ["r.rhai:10:5: error: `match` is a reserved word"]);
    assert_eq!(before("let x = ;").len(), 1);
    assert!(before("let x = ;")[0].starts_with("r.rhai:10:9: error: "), "{:?}", before("let x = ;"));
    for word in [
        "new", "default", "shared", "public", "private", "sync", "async", "thread", "module", "package", "with", "is", "void", "null",
        "match", "case", "go",
    ] {
        assert!(super::super::is_reserved(word), "{word}");
        assert_eq!(before(&format!("let {word} = 1;")).len(), 1, "{word}");
    }
}

#[test]
fn windows_are_written_out_and_become_inputs() {
    let rule = compile(
        header(&["tables"], &[]),
        "let d = delta(tables.seq_scan, hours(1));\nlet a = tables.dead.ago(days(1));\nlet raw = tables.idx_scan;\n\
         for t in tables.rows(d > 5 & a > 1 & rate(raw) > 1 & prev(tables.live) > 1) { finding(t, #{summary: \"x\"}); }",
    )
    .unwrap();
    let inputs: Vec<String> = rule.meta().inputs.iter().map(ToString::to_string).collect();
    assert_eq!(
        inputs,
        ["tables", "ago(tables.dead, 1d)", "tables.idx_scan", "rate(tables.idx_scan)", "prev(tables.live)", "delta(tables.seq_scan, 1h)",]
    );
    let hidden = before("fn f(c, w) { delta(c, w) } let d = f(tables.dead, hours(1));");
    assert!(hidden[0].contains("write column and window out in one place"), "{hidden:?}");
    let unclear = before("let s = 5; let d = delta(tables.seq_scan, s);");
    assert_eq!(unclear, ["r.rhai:10:43: error: a window must be written out, such as `hours(1)`, so that its history is kept"]);
}

#[test]
fn literal_actions_severities_and_keys_are_checked() {
    let finding = |inside: &str| before(&format!("for t in tables.rows(tables.dead > 9) {{ finding(t, #{{summary: \"x\", {inside}}}); }}"));
    assert_eq!(finding("severty: \"info\""), ["r.rhai:10:68: error: a finding has no `severty`; did you mean `severity`?"]);
    assert_eq!(finding("severity: \"fatal\""), ["r.rhai:10:78: error: unknown severity `fatal` (info, warning, critical)"]);
    assert!(finding("actions: [action(\"vacum\", t)]")[0].contains("unknown action `vacum`; did you mean `vacuum`?"));
    assert!(finding("actions: [action(\"vacuum\", t, #{full: true})]")[0].contains("action `vacuum` has no parameter `full`"));
    assert!(finding("actions: [action(\"vacuum\", t, #{analyze: 3})]")[0].contains("`analyze` must be true or false, not `3`"));
    assert_eq!(finding("actions: [action(\"vacuum\", t, #{analyze: t.vacuum_running, why: \"it is time\"})]"), Vec::<String>::new());
}

#[test]
fn a_script_that_cannot_fire_is_no_rule() {
    assert_eq!(problems("let x = 1;"), ["r.rhai:10:1: error: the script never calls `finding`; without one the rule can never fire"]);
}

#[test]
fn a_trial_finds_what_only_running_can() {
    let null = before("let h = xmin_holders?.top(\"age\"); if h.age > 5 { }");
    assert_eq!(null, ["r.rhai:10:40: error: this is unknown (NULL): write `x?.name`, or `x ?? value` (with no row)"]);
    let missing = before("for x in xmin_holders.rows(xmin_holders.age > 5) { }");
    assert!(missing[0].contains("(with its optional frames missing)"), "{missing:?}");
    let late = problems("for t in tables.rows(tables.dead > 1e12) { finding(t, #{summary: t.dead}); }");
    assert_eq!(late, ["r.rhai:10:44: error: `summary` must be text, this is a number (with a row of huge numbers)"]);
}

#[test]
fn requirements_hold_for_the_defaults() {
    let mut rule = header(&["tables"], &[("low", 5.0), ("high", 2.0)]);
    rule.require = Some(("low < high".into(), crate::problem::Mark { line: 4, column: 15 }));
    assert_eq!(
        problems_of(rule, "finding(#{summary: \"x\"});"),
        ["r.rhai:4:15: error: the settings do not fit each other: `low < high` does not hold"]
    );
    let mut typo = header(&["tables"], &[("low", 5.0)]);
    typo.require = Some(("lo < 9".into(), crate::problem::Mark { line: 4, column: 15 }));
    assert_eq!(problems_of(typo, "finding(#{summary: \"x\"});"), ["r.rhai:4:15: error: unknown name `lo`"]);
}

#[test]
fn a_subject_is_made_of_labels() {
    let mut rule = header(&["tables"], &[]);
    rule.subject = vec!["database".into(), "dead".into()];
    let source = "for t in tables.rows(tables.dead > 1) { finding(t, #{summary: \"x\"}); }";
    assert_eq!(problems_of(rule, source), ["r.rhai: error: `subject`: `tables.dead` is not a label"]);
}
