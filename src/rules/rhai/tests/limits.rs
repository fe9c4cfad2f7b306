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
    let source = "let kept = []; let m = tables.dead; for i in 0..200 { m = m + 1; kept.push(m); } finding(#{summary: \"x\"});";
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
    let source = "let m = tables.dead; for i in 0..200 { m = m + 1; } finding(#{summary: \"x\"});";
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
    let long = "let s = \"x\"; for i in 0..14 { s += s; } for i in 0..300 { finding(#{summary: s, subject: #{n: `${i}`}}); }";
    assert!(stopped(long).contains("its findings hold too much text"));
}

/// What a script might try that other programs of Rhai allow, of which no part is here.
#[test]
fn the_bombs_of_the_standard_packages_are_not_there() {
    let unknown = [
        "sleep(30);",
        "sleep(0.001);",
        "blob(1000000000);",
        "let s = \"x\"; s.pad(100000000, \"x\");",
        "let s = \"x\"; s.replace(\"x\", \"xx\");",
        "let a = [3, 1]; a.sort();",
        "let a = [1]; a.pad(1000000, 1);",
        "let a = [1]; a.append(a);",
        "let a = [1]; a.insert(0, a);",
        "let s = \"x\"; s.to_chars();",
        "let s = \"x\"; s.split();",
        "range(0, 1000000000);",
        "let m = #{}; m.set(\"k\", 1);",
        "let m = #{}; m.fill_with(m);",
        "let m = #{}; m.mixin(m);",
        "parse_json(\"{}\");",
        "let n = 2; n.pow(2);",
    ];
    for source in unknown {
        let error = stopped(source);
        assert!(error.contains("unknown function"), "{source}: {error}");
    }
    for source in [
        "loop { print(\"x\"); }",
        "loop { debug(\"x\"); }",
        "let a = [3, 1]; a.filter(|x| x > 1);",
        "let f = |n| call(n);",
        "eval(\"loop {}\");",
    ] {
        assert!(stopped(source).starts_with("r.rhai:1:"), "{source}");
    }
    assert!(stopped("let m = #{}; m += #{a: 1};").contains("`+` cannot join a map and a map"));
    assert!(stopped("let s = \"x\"; s -= \"x\";").contains("`-` cannot join text and text"));
}

#[test]
fn a_function_has_few_parameters() {
    let names: Vec<String> = (0..1_000).map(|n| format!("p{n}")).collect();
    let source = format!("fn f({}) {{ 1 }} let a = [1]; f({});", names.join(", "), vec!["a"; 1_000].join(", "));
    assert!(stopped(&source).contains("`f` takes 1000 parameters, at most 20 are allowed"));
}

#[test]
fn evidence_and_actions_are_counted_although_the_engine_does_not_see_their_texts() {
    let text = "let s = \"x\"; for i in 0..14 { s += s; } ";
    for source in [
        "for i in 0..300 { evidence(s, 1); }",
        "for i in 0..300 { note(s); }",
        "for i in 0..300 { action(\"note\", #{text: \"x\", why: s}); }",
        "for i in 0..70000 { evidence(\"x\", 1); }",
    ] {
        let error = stopped(&format!("{text}{source}"));
        assert!(error.contains("its findings hold too much text"), "{source}: {error}");
    }
    let shared = "let e = evidence(s, 1); let l = []; for i in 0..900 { l.push(e); } finding(#{summary: \"x\", evidence: l});";
    assert!(stopped(&format!("{text}{shared}")).contains("its findings hold too much text"));
    let subjects = "for i in 0..300 { finding(#{summary: \"x\", subject: #{a: s, n: `${i}`}}); }";
    assert!(stopped(&format!("{text}{subjects}")).contains("its findings hold too much text"));
    let links = "let l = []; for i in 0..1 { l.push(\"https://x/\" + s); } for i in 0..200 { finding(#{summary: \"x\", subject: #{n: `${i}`}, links: l}); }";
    assert!(stopped(&format!("{text}{links}")).contains("its findings hold too much text"));
}

/// One operation on a large column takes as long as thousands on a number: the clock is asked at each of them.
#[test]
fn a_few_operations_on_large_columns_do_not_outlast_the_clock() {
    let impatient = Engine::new(Limits { operations: 0, wall_ms: 0, ..Limits::default() });
    let patient = Engine::new(Limits::default());
    // Ten operations, and the clock is asked every 256.
    for source in [
        "let m = tables.dead + 1;",
        "let m = tables.dead in [1, 2];",
        "let m = tables.dead; m.percentile(50);",
        "let m = tables.rows(true);",
    ] {
        let source = format!("{source} if false {{ finding(#{{summary: \"x\"}}); }}");
        let rule = compile_script(&impatient, header(&["tables"], &[]), &source, "r.rhai", 1, &catalog()).unwrap();
        let reason = rule.evaluate(&many_rows().input(rule.meta())).reason();
        assert!(reason.contains("stopped by wall clock after 0 ms, not reproducible"), "{source}: {reason}");
        let rule = compile_script(&patient, header(&["tables"], &[]), &source, "r.rhai", 1, &catalog()).unwrap();
        assert!(matches!(rule.evaluate(&many_rows().input(rule.meta())), Outcome::Ok(_)));
    }
}

/// 10,000 rows.
fn many_rows() -> World {
    let def = Arc::new(def("tables", &["table"], &[("dead", ColumnKind::Gauge, Unit::None)]));
    let frame = Frame::new(def, start(), vec![ColumnData::unknown(ColumnKind::Gauge, 10_000)]).unwrap();
    let mut world = World::empty();
    world.now.insert("tables".into(), Reading::Collected(Arc::new(frame)));
    world
}

/// Tells the child of the test below that it is one.
const CHILD: &str = "PGSTEWARD_SCRIPT_BOMBS";

/// Scripts that hold as much as they can in as many ways, in a process of its own so that its memory can be read.
#[test]
#[expect(clippy::disallowed_methods, reason = "how a test tells its child what to do")]
#[expect(clippy::print_stdout, reason = "how a child tells its test what it took")]
fn no_script_makes_the_process_large() {
    const NAME: &str = "rules::rhai::tests::limits::no_script_makes_the_process_large";
    if std::env::var(CHILD).is_ok() {
        for bomb in bombs() {
            let outcome = stopped_by(Limits { wall_ms: 600_000, ..Limits::default() }, &bomb);
            let status = std::fs::read_to_string("/proc/self/status").unwrap();
            let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap().trim().trim_end_matches(" kB").to_string();
            println!("peak: {peak} after: {} ({outcome})", &bomb[..bomb.len().min(150)]);
        }
        return;
    }
    let this = std::env::current_exe().unwrap();
    let child =
        std::process::Command::new(this).args([NAME, "--exact", "--nocapture", "--test-threads=1"]).env(CHILD, "1").output().unwrap();
    let said = String::from_utf8_lossy(&child.stdout).into_owned();
    assert!(child.status.success(), "{said}\n{}", String::from_utf8_lossy(&child.stderr));
    let peaks = said.lines().filter_map(|line| line.split_once("peak: ")?.1.split(' ').next()?.parse::<u64>().ok());
    let peaks: Vec<u64> = peaks.collect();
    assert_eq!(peaks.len(), bombs().len());
    assert!(peaks.iter().all(|kb| *kb < 200 << 10), "{said}");
}

/// A list with as much in it as one may hold, and then as many copies as there may be.
fn bombs() -> Vec<String> {
    let copies: String = (0..90).map(|n| format!("let v{n} = full;")).collect();
    let full = [
        // Texts that are not shared.
        "let full = []; for i in 0..900 { full.push(`${i} xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx`); }",
        "let full = []; for i in 0..30 { let inner = []; for j in 0..30 { inner.push(`${i} ${j} xxxxxxxxxxxxxxxxxxxx`); } full.push(inner); }",
        "let full = #{}; for i in 0..3 { full = #{a: full, b: full, c: [full, full]}; }",
        "let s = \"x\"; for i in 0..14 { s += s; } let full = [s];",
        "let s = \"x\"; for i in 0..14 { s += s; } let full = []; for i in 0..900 { full.push(evidence(s, 1)); }",
        "let full = []; for i in 0..900 { full.push(evidence(`${i} xxxxxxxxxxxxxxxxxxxxxxxxxxxx`, 1)); }",
        "let full = []; for i in 0..900 { full.push(note(`${i} xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx`)); }",
        "let full = []; for i in 0..900 { full.push(tables.dead); }",
    ];
    let copied = full.map(|full| format!("{full} {}", copies));
    let deep = full.map(|full| format!("fn deep(full, n) {{ {} if n > 0 {{ deep(full, n - 1) }} }} {full} deep(full, 6);", copies));
    let endless = [
        "loop { tables.rows(true); }",
        "let a = []; loop { a = [a, a, a]; }",
        "let s = \"x\"; loop { s = s + s; }",
        "let m = tables.dead; let kept = []; loop { m = m + 1; kept.push(m); }",
        "let n = 0; loop { n += 1; finding(#{summary: `${n}`, subject: #{n: `${n}`}, evidence: [evidence(`${n}`, n)]}); }",
    ];
    copied.into_iter().chain(deep).chain(endless.map(String::from)).collect()
}
