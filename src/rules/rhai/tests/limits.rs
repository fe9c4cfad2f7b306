//! Runaway and hostile scripts: each is stopped, with a place, and in time.

use super::*;

/// The error of a script that gets past its trial only when there are rows, or of its trial.
fn stopped(source: &str) -> String {
    stopped_by(Limits::default(), source)
}

fn stopped_by(limits: Limits, source: &str) -> String {
    let engine = Engine::new(limits);
    // The body must call `finding` somewhere to be a rule at all.
    let source = format!("{source}\nif false {{ finding(#{{summary: \"x\"}}); }}");
    match compile_script(&engine, header(&["tables"], &[]), &source, "r.rhai", 1, &catalog()) {
        Err(problems) => problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
        Ok(rule) => rule.evaluate(&World::empty().with("tables", &[&[]]).input(rule.meta())).reason(),
    }
}

#[test]
fn endless_loops_and_recursion_end_the_same_way_everywhere() {
    let patient = Limits { operations: 20_000, wall_ms: 600_000, ..Limits::default() };
    assert_eq!(stopped_by(patient.clone(), "loop { }"), "r.rhai:1:6: error: stopped after too many operations (with no row)");
    assert!(stopped_by(patient.clone(), "let n = 0; while true { n += 1; }").contains("too many operations"));
    assert!(stopped_by(patient, "fn f(n) { f(n + 1) } f(0);").contains("functions call each other too deeply"));
}

#[test]
fn a_wall_clock_stop_says_that_it_is_one() {
    let impatient = Limits { operations: 0, wall_ms: 0, ..Limits::default() };
    let error = stopped_by(impatient, "loop { }");
    assert!(error.contains("stopped by wall clock after 0 ms, not reproducible"), "{error}");
}

#[test]
fn texts_lists_and_maps_do_not_grow_without_bound() {
    assert!(stopped("let s = \"xxxxxxxx\"; loop { s += s; }").contains("too large"));
    assert!(stopped("let s = \"xxxxxxxx\"; loop { s = `${s}${s}`; }").contains("too large"));
    assert!(stopped("let a = [1]; loop { a.push(1); }").contains("too large"));
    assert!(stopped("let a = [1]; loop { a += 1; }").contains("too large"));
    assert!(stopped("let a = [1]; loop { a = [a, a]; }").contains("too large"));
    assert!(stopped("let s = \"x\"; for i in 0..12 { s += s; } let a = []; loop { a.push(s + \"y\"); }").contains("too large"));
    assert!(stopped("let m = #{a: 1}; loop { m = #{a: m, b: m}; }").contains("too large"));
}

#[test]
fn what_the_engine_does_not_measure_is_refused() {
    let refused = "an element cannot be assigned";
    assert!(stopped("let m = #{}; for i in 0..60000 { m[`k${i}`] = i; }").contains(refused));
    assert!(stopped("let m = #{a: 1}; m.a = 2;").contains(refused));
    assert!(stopped("let a = [1]; a[0] = 2;").contains(refused));
    assert!(stopped("let a = [1]; a[0] += 2;").contains(refused));
}

#[test]
fn columns_are_counted_although_the_engine_does_not_see_them() {
    let engine = Engine::new(Limits::default());
    let source = "let kept = []; let m = tables.dead; for i in 0..900 { m = m + 1; kept.push(m); } finding(#{summary: \"x\"});";
    let rule = compile_script(&engine, header(&["tables"], &[]), source, "r.rhai", 1, &catalog()).unwrap();
    let big = ColumnData::unknown(ColumnKind::Gauge, 100_000);
    let def = Arc::new(def("tables", &["table"], &[("dead", ColumnKind::Gauge, Unit::None)]));
    let frame = Arc::new(Frame::new(def, start(), vec![big]).unwrap());
    let mut world = World::empty();
    world.now.insert("tables".into(), Reading::Collected(frame));
    let outcome = rule.evaluate(&world.input(rule.meta()));
    assert_eq!(outcome, Outcome::Error("rule `r`: it holds more than 64 MB of columns (r.rhai:1:61)".into()));
    assert!(stopped("let kept = []; loop { kept.push(tables.rows(true)); }").contains("too "));
    // What is let go is not counted.
    let source = "let m = tables.dead; for i in 0..900 { m = m + 1; } finding(#{summary: \"x\"});";
    let rule = compile_script(&engine, header(&["tables"], &[]), source, "r.rhai", 1, &catalog()).unwrap();
    let big = ColumnData::unknown(ColumnKind::Gauge, 100_000);
    let def = Arc::new(super::def("tables", &["table"], &[("dead", ColumnKind::Gauge, Unit::None)]));
    let mut world = World::empty();
    world.now.insert("tables".into(), Reading::Collected(Arc::new(Frame::new(def, start(), vec![big]).unwrap())));
    assert!(matches!(rule.evaluate(&world.input(rule.meta())), Outcome::Ok(_)));
}

#[test]
fn the_doors_out_are_walled_up() {
    assert!(stopped("sleep(30);").contains("unknown function `sleep`; a rule cannot wait"));
    assert!(stopped("exit();").contains("unknown function `exit`; use `return`"));
    for source in ["eval(\"1\");", "print(1);", "debug(1);", "import \"x\";", "let f = |x| x + 1;", "Fn(\"x\");", "try { 1 } catch { 2 }"] {
        let error = stopped(source);
        assert!(error.starts_with("r.rhai:1:"), "{source}: {error}");
    }
    assert!(stopped("let t = timestamp();").contains("unknown function `timestamp`"));
}

#[test]
fn huge_and_deep_sources_are_refused() {
    let deep = format!("let x = {}1{};", "(".repeat(100_000), ")".repeat(100_000));
    assert!(stopped_by(Limits { source_bytes: 1 << 20, ..Limits::default() }, &deep).contains("nested too deeply"));
    let long = "let x = 1;\n".repeat(800_000);
    assert!(stopped(&long).contains("at most 64 kB are read"), "{}", stopped(&long));
    let wide = format!("let x = 1{};", "+1".repeat(20_000));
    assert!(stopped(&wide).contains("nested too deeply"));
}

#[test]
fn findings_are_bounded_in_number_and_text() {
    let many = "for i in 0..2000 { finding(#{summary: \"x\", subject: #{n: `${i}`}}); }";
    assert!(stopped(many).contains("more than 1000 findings; narrow the condition"));
    let long = "let s = \"x\"; for i in 0..14 { s += s; } for i in 0..100 { finding(#{summary: s, subject: #{n: `${i}`}}); }";
    assert!(stopped(long).contains("its findings hold too much text"));
}
