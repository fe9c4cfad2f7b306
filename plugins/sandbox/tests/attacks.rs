//! Hostile plugins: each ends in a readable failure within its budget, the same twice, and the host stays small.
//!
//! Each attack runs in a process of its own, which this test starts, so that the memory it took can be read. What is
//! hostile before it runs at all stands in `files.rs`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::process::Command;
use std::sync::Arc;

use pgsteward_sandbox::{Component, Engine, FailureKind, Limits, NoTexts, Texts};
use support::{Plugin, evaluate_with, with_more};

use FailureKind::{Answer, Limit, Stack, Trap};

/// Tells the child which attack it runs.
const CHILD: &str = "PGSTEWARD_ATTACK";
/// What the host may hold at most while it runs one, in MiB: 128 of the plugin's memory, 16 of a crossing, and itself.
const PEAK_MIB: u64 = 256;
/// For attacks that would go on until fuel is out: a moment's worth.
const SHORT: Limits = Limits { fuel: 50_000_000, wall_ms: 60_000, ..Limits::DEFAULT };

/// An attack and how it ends.
struct Attack {
    component: Vec<u8>,
    limits: Limits,
    kind: FailureKind,
    message: &'static str,
}

impl Attack {
    fn new(plugin: &Plugin<'_>, limits: Limits, kind: FailureKind, message: &'static str) -> Self {
        Self { component: plugin.component(), limits, kind, message }
    }

    fn evaluating(evaluate: &str, kind: FailureKind, message: &'static str) -> Self {
        Self::new(&Plugin { evaluate, memory: LARGE, ..Plugin::default() }, SHORT, kind, message)
    }

    /// Runs it twice in this process; between and after that, a harmless plugin still works.
    #[expect(clippy::print_stdout, reason = "how a child tells its test what it took")]
    fn run(self) {
        let engine = Engine::new().unwrap();
        let harmless = Component::from_component(&engine, &Plugin::default().component()).unwrap();
        let hostile = Component::from_component(&engine, &self.component).unwrap();
        let fuels = [(); 2].map(|()| {
            let called = evaluate_with(&hostile, &self.limits, Arc::new(BigTexts));
            let failure = called.answer.unwrap_err();
            assert_eq!((failure.kind, failure.message.as_str()), (self.kind, self.message));
            assert!(called.used.against(&self.limits).iter().all(|(_, used, most)| used <= most), "{:?}", called.used);
            assert!(called.log.iter().map(|line| line.message.len() as u64).sum::<u64>() <= self.limits.log_bytes);
            assert!(evaluate_with(&harmless, &Limits::DEFAULT, Arc::new(NoTexts)).answer.is_ok());
            assert_eq!(failure.is_reproducible(), self.kind != Limit("wall_ms"));
            failure.is_reproducible().then_some(called.used)
        });
        assert_eq!(fuels[0], fuels[1], "what it uses is the same each time");
        println!("peak: {}", peak_mib());
    }
}

/// The most memory that this process has held at one time.
fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

/// Runs the attack of that name in a child.
#[expect(clippy::disallowed_methods, reason = "how a test tells its child what to do")]
fn held(name: &str, attack: fn() -> Attack) {
    if std::env::var(CHILD).is_ok() {
        return attack().run();
    }
    let this = std::env::current_exe().unwrap();
    let child = Command::new(this).args([name, "--exact", "--nocapture", "--test-threads=1"]).env(CHILD, name).output().unwrap();
    let said = String::from_utf8_lossy(&child.stdout).into_owned();
    assert!(child.status.success(), "{said}\n{}", String::from_utf8_lossy(&child.stderr));
    let peak: u64 = said.lines().find_map(|line| line.split_once("peak: ")?.1.parse().ok()).expect("the child says its peak");
    assert!(peak <= PEAK_MIB, "the host held {peak} MiB");
}

/// A test for each attack.
macro_rules! attacks {
    ($($name:ident: $attack:expr;)*) => {
        $(#[test] fn $name() { held(stringify!($name), || $attack); })*
    };
}

/// 1 KiB of text in each row.
struct BigTexts;

impl Texts for BigTexts {
    fn text(&self, _: &str, rows: &[u32]) -> Result<Vec<Option<String>>, String> {
        Ok(rows.iter().map(|_| Some("x".repeat(1_024))).collect())
    }
}

/// 100 MiB, of which nothing is touched.
const LARGE: &str = "(memory (export \"memory\") 1600)";
const ENDLESS: &str = "(func $endless (loop $again (br $again)))";
const FUEL: &str = "it wanted more than its limit `fuel` of 50000000 allows";

attacks! {
    an_endless_loop: Attack::evaluating("(loop $again (br $again)) unreachable", Limit("fuel"), FUEL);
    an_endless_loop_with_all_the_fuel_in_the_world: Attack::new(
        &Plugin { evaluate: "(loop $again (br $again)) unreachable", ..Plugin::default() },
        Limits { wall_ms: 50, ..Limits::MAX }, Limit("wall_ms"), "it wanted more than its limit `wall_ms` of 50 allows");
    an_endless_start: Attack::new(
        &Plugin { fields: &format!("{ENDLESS} (start $endless)"), ..Plugin::default() }, SHORT, Limit("fuel"), FUEL);
    an_endless_start_with_all_the_fuel_in_the_world: Attack::new(
        &Plugin { fields: &format!("{ENDLESS} (start $endless)"), ..Plugin::default() },
        Limits { wall_ms: 50, ..Limits::MAX }, Limit("wall_ms"), "it wanted more than its limit `wall_ms` of 50 allows");
    an_endless_allocation_for_an_argument: Attack::new(
        &Plugin { fields: ENDLESS, realloc: "(call $endless) unreachable", ..Plugin::default() }, SHORT, Limit("fuel"), FUEL);
    an_endless_clean_up_after_the_answer: Attack::new(
        &Plugin { fields: &format!("{ENDLESS} (export \"cabi_post_pgsteward:plugin/rules@1.0.0#evaluate\" (func $clean))
            (func $clean (param i32) (call $endless))"), ..Plugin::default() }, SHORT, Limit("fuel"), FUEL);
    endless_filling_of_memory: Attack::evaluating(
        "(loop $again (memory.fill (i32.const 0) (i32.const 7) (i32.const 0x6000000)) (br $again)) unreachable", Limit("fuel"), FUEL);
    one_memory_that_grows_and_is_used: Attack::new(&Plugin { evaluate:
        "(loop $grow
            (local.set $n (i32.mul (memory.grow (i32.const 16)) (i32.const 0x10000)))
            (local.set $m (i32.add (local.get $n) (i32.const 0x100000)))
            (loop $touch (i32.store (local.get $n) (i32.const 7)) (local.set $n (i32.add (local.get $n) (i32.const 4096)))
                (br_if $touch (i32.lt_u (local.get $n) (local.get $m))))
            (br $grow)) unreachable", ..Plugin::default() },
        SHORT, Limit("memory_bytes"), "it wanted more than its limit `memory_bytes` of 134217728 allows");
    one_memory_that_grows_fast: Attack::evaluating(
        "(loop $again (drop (memory.grow (i32.const 16))) (br $again)) unreachable",
        Limit("memory_bytes"), "it wanted more than its limit `memory_bytes` of 134217728 allows");
    many_memories_that_grow: Attack::new(
        &Plugin { fields: &(0..8).map(|n| format!("(memory $m{n} 0)")).collect::<String>(), evaluate: &format!("(loop $again {} (br $again)) unreachable",
            (0..8).map(|n| format!("(drop (memory.grow $m{n} (i32.const 16)))")).collect::<String>()), ..Plugin::default() },
        SHORT, Limit("memory_bytes"), "it wanted more than its limit `memory_bytes` of 134217728 allows");
    a_large_memory_from_the_start: Attack::new(
        &Plugin { memory: "(memory (export \"memory\") 8192)", ..Plugin::default() },
        SHORT, Limit("memory_bytes"), "it wanted more than its limit `memory_bytes` of 134217728 allows");
    a_table_that_grows: Attack::new(
        &Plugin { fields: "(table $t 1 funcref)",
            evaluate: "(loop $again (drop (table.grow $t (ref.null func) (i32.const 100))) (br $again)) unreachable", ..Plugin::default() },
        SHORT, Limit("table_elements"), "it wanted more than its limit `table_elements` of 100000 allows");
    a_large_table_from_the_start: Attack::new(
        &Plugin { fields: "(table 900000 funcref)", ..Plugin::default() },
        SHORT, Limit("table_elements"), "it wanted more than its limit `table_elements` of 100000 allows");
    ninety_memories: Attack::new(
        &Plugin { fields: &"(memory 1)".repeat(90), ..Plugin::default() },
        SHORT, Limit("memories"), "it wanted more than its limit `memories` of 32 allows");
    ninety_tables: Attack::new(
        &Plugin { fields: &"(table 1 funcref)".repeat(90), ..Plugin::default() },
        SHORT, Limit("memories"), "it wanted more than its limit `memories` of 32 allows");
    many_instances: Attack {
        component: with_more(&Plugin::default().component(), &format!("(core module $m) {}", "(core instance (instantiate $m))".repeat(300))),
        limits: SHORT, kind: Limit("instances"), message: "it wanted more than its limit `instances` of 100 allows" };
    endless_resources: Attack {
        component: with_more(&Plugin::default().component(),
            r#"(type $own (resource (rep i32))) (core func $new (canon resource.new $own))
            (core module $m (import "own" "new" (func $new (param i32) (result i32)))
                (func $endless (loop $again (drop (call $new (i32.const 1))) (br $again))) (start $endless))
            (core instance (instantiate $m (with "own" (instance (export "new" (func $new))))))"#),
        limits: SHORT, kind: Trap, message: "it broke off: it made too many resources" };
    deep_recursion: Attack::new(
        &Plugin { fields: "(func $deep (call $deep))", evaluate: "(call $deep) unreachable", ..Plugin::default() },
        SHORT, Stack, "its calls nest too deeply: the stack is used up");
    a_panic: Attack::new(
        &Plugin { fields: r#"(data (i32.const 4096) "panicked at src/lib.rs:7:\0aindex out \1b[31mof bounds")"#,
            evaluate: "(call $log (i32.const 3) (i32.const 4096) (i32.const 50)) unreachable", ..Plugin::default() },
        SHORT, Trap, r"it broke off: panicked at src/lib.rs:7: index out \u{1b}[31mof bounds (wasm `unreachable` instruction executed)");
    a_division_by_zero: Attack::evaluating("(i32.div_u (i32.const 1) (local.get $n))", Trap, "it broke off: integer divide by zero");
    a_call_of_the_host_while_an_argument_crosses: Attack::new(
        &Plugin { realloc: "(call $log (i32.const 1) (i32.const 1) (i32.const 1)) (i32.const 8)", ..Plugin::default() },
        SHORT, Trap, "it broke off: cannot leave component instance");
}

/// Sets the words of an answer at address 1024: `(offset, word)`.
fn answer(words: &[(u32, &str)]) -> String {
    let store = |(at, word): &(u32, &str)| format!("(i32.store offset={at} (i32.const 1024) (i32.const {word}))");
    format!("{} (i32.const 1024)", words.iter().map(store).collect::<String>())
}

/// A list of findings of 60 bytes each from 64 KiB on, each with a summary of that many bytes at that place.
fn findings(count: u32, at: &str, bytes: &str) -> String {
    format!(
        "(loop $again
            (i32.store offset=65548 (i32.mul (local.get $n) (i32.const 60)) (i32.const {at}))
            (i32.store offset=65552 (i32.mul (local.get $n) (i32.const 60)) (i32.const {bytes}))
            (local.set $n (i32.add (local.get $n) (i32.const 1)))
            (br_if $again (i32.lt_u (local.get $n) (i32.const {count}))))
        {}",
        answer(&[(4, "65536"), (8, &count.to_string())])
    )
}

const CROSSING: &str = "it wanted more than its limit `crossing_bytes` of 16777216 allows";

attacks! {
    twenty_million_rows_in_the_answer: Attack::evaluating(&answer(&[(12, "0"), (16, "20000000")]), Limit("crossing_bytes"), CROSSING);
    a_thousand_large_texts_in_the_answer: Attack::evaluating(&findings(1_000, "0x200000", "0x100000"), Limit("crossing_bytes"), CROSSING);
    too_many_findings: Attack::evaluating(&findings(10_001, "0", "0"),
        Limit("findings"), "it wanted more than its limit `findings` of 10000 allows");
    too_much_text: Attack::evaluating(&findings(5, "0x200000", "0x100000"),
        Limit("text_bytes"), "it wanted more than its limit `text_bytes` of 4194304 allows");
    a_list_beyond_its_memory: Attack::evaluating(&answer(&[(4, "65536"), (8, "20000000")]),
        Answer, "what it handed over cannot be read: list pointer/length out of bounds of memory");
    a_list_whose_length_turns_over: Attack::evaluating(&answer(&[(4, "0xfffffff0"), (8, "0xffffffff")]),
        Answer, "what it handed over cannot be read: list pointer/length out of bounds of memory");
    a_list_between_the_places: Attack::evaluating(&answer(&[(4, "65537"), (8, "1")]),
        Answer, "what it handed over cannot be read: list pointer is not aligned");
    a_text_beyond_its_memory: Attack::evaluating(&findings(1, "0x7fffffff", "9"),
        Answer, "what it handed over cannot be read: string pointer/length out of bounds of memory");
    a_text_that_is_no_utf_8: Attack::evaluating(&format!("(i32.store8 (i32.const 4096) (i32.const 0xff)) {}", findings(1, "4096", "1")),
        Answer, "what it handed over cannot be read: invalid utf-8 sequence of 1 bytes from index 0");
    a_severity_that_there_is_not: Attack::evaluating(
        &format!("(i32.store8 (i32.const 65544) (i32.const 9)) {}", findings(1, "0", "0")),
        Answer, "what it handed over cannot be read: unexpected discriminant: 9");
    neither_an_answer_nor_an_error: Attack::evaluating(&answer(&[(0, "7")]),
        Answer, "what it handed over cannot be read: invalid expected discriminant");
    an_answer_beyond_its_memory: Attack::evaluating("(i32.const 104857592)",
        Answer, "what it handed over cannot be read: pointer out of bounds of memory");
    an_answer_between_the_places: Attack::evaluating("(i32.const 1025)",
        Answer, "what it handed over cannot be read: return pointer not aligned");
    room_for_an_argument_beyond_its_memory: Attack::new(&Plugin { realloc: "(i32.const -8)", ..Plugin::default() },
        SHORT, Answer, "what it handed over cannot be read: realloc return: beyond end of memory");
    a_log_beyond_its_memory: Attack::evaluating("(call $log (i32.const 1) (i32.const -1) (i32.const 9)) unreachable",
        Answer, "what it handed over cannot be read: string pointer/length out of bounds of memory");
    a_level_that_there_is_not: Attack::evaluating("(call $log (i32.const 99) (i32.const 0) (i32.const 0)) unreachable",
        Answer, "what it handed over cannot be read: unexpected discriminant: 99");
    a_refusal_that_is_a_novel: Attack::evaluating(
        &format!("(memory.fill (i32.const 4096) (i32.const 7) (i32.const 0x100000)) {}", answer(&[(0, "1"), (4, "4096"), (8, "0x100000")])),
        FailureKind::Refused, Box::leak(format!("{}…", r"\u{7}".repeat(1_000)).into_boxed_str()));
    endless_large_lines_of_log: Attack::evaluating(
        "(loop $again (call $log (i32.const 1) (i32.const 0) (i32.const 0x100000)) (br $again)) unreachable",
        Limit("log_bytes"), "it wanted more than its limit `log_bytes` of 65536 allows");
    endless_huge_lines_of_log: Attack::evaluating(
        "(loop $again (call $log (i32.const 1) (i32.const 0) (i32.const 0x2000000)) (br $again)) unreachable", Limit("crossing_bytes"), CROSSING);
    endless_empty_lines_of_log: Attack::evaluating(
        "(loop $again (call $log (i32.const 1) (i32.const 0) (i32.const 0)) (br $again)) unreachable",
        Limit("log_bytes"), "it wanted more than its limit `log_bytes` of 65536 allows");
    endless_questions_for_nothing: Attack::evaluating(
        "(loop $again (call $text (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 1024)) (br $again)) unreachable",
        Limit("host_calls"), "it wanted more than its limit `host_calls` of 10000 allows");
    endless_questions_for_a_row: Attack::evaluating(
        "(loop $again (call $text (i32.const 0) (i32.const 3) (i32.const 0) (i32.const 2) (i32.const 1024)) (br $again)) unreachable",
        Limit("asked_bytes"), "it wanted more than its limit `asked_bytes` of 16777216 allows");
    one_question_for_a_gigabyte: Attack::evaluating(
        "(call $text (i32.const 0) (i32.const 3) (i32.const 0) (i32.const 1000000) (i32.const 1024)) unreachable",
        Limit("asked_bytes"), "it wanted more than its limit `asked_bytes` of 16777216 allows");
    one_question_of_many_words: Attack::evaluating(
        "(call $text (i32.const 0) (i32.const 3) (i32.const 0) (i32.const 20000000) (i32.const 1024)) unreachable",
        Limit("crossing_bytes"), CROSSING);
}

#[test]
fn describing_and_checking_settings_have_the_same_limits() {
    let engine = Engine::new().unwrap();
    // `describe` answers an id of 5 MiB, `validate-settings` a list of 40,000 complaints of 200 bytes.
    let describe = "(i32.store (i32.const 1024) (i32.const 0)) (i32.store (i32.const 1028) (i32.const 0x500000)) (i32.const 1024)";
    let validate = "(local $n i32) (loop $again
            (i32.store offset=0x10004 (i32.mul (local.get $n) (i32.const 8)) (i32.const 200))
            (local.set $n (i32.add (local.get $n) (i32.const 1))) (br_if $again (i32.lt_u (local.get $n) (i32.const 40000))))
        (i32.store (i32.const 1024) (i32.const 1)) (i32.store (i32.const 1028) (i32.const 0x10000)) (i32.store (i32.const 1032) (i32.const 40000))
        (i32.const 1024)";
    let plugin = Plugin { memory: LARGE, describe, validate, ..Plugin::default() };
    let component = Component::from_component(&engine, &plugin.component()).unwrap();
    let described = component.describe(&SHORT);
    assert_eq!(described.answer.unwrap_err().kind, Limit("text_bytes"));
    assert_eq!(described.used.text_bytes, SHORT.text_bytes);
    let checked = component.validate_settings(&SHORT, "rule", &[]);
    assert_eq!(checked.answer.unwrap_err().kind, Limit("text_bytes"));

    let endless =
        Plugin { fields: ENDLESS, describe: "(call $endless) unreachable", validate: "(call $endless) unreachable", ..Plugin::default() };
    let component = Component::from_component(&engine, &endless.component()).unwrap();
    assert_eq!(component.describe(&SHORT).answer.unwrap_err().message, FUEL);
    assert_eq!(component.validate_settings(&SHORT, "rule", &[]).answer.unwrap_err().message, FUEL);
}

#[test]
fn growth_that_its_own_memory_forbids_costs_nothing() {
    let engine = Engine::new().unwrap();
    let evaluate = "(loop $again
            (if (i32.ne (memory.grow (i32.const 1000)) (i32.const -1)) (then unreachable))
            (if (i32.ne (table.grow $t (ref.null func) (i32.const 1000)) (i32.const -1)) (then unreachable))
            (local.set $n (i32.add (local.get $n) (i32.const 1))) (br_if $again (i32.lt_u (local.get $n) (i32.const 1000))))
        (i32.const 1024)";
    let plugin = Plugin { memory: "(memory (export \"memory\") 1 2)", fields: "(table $t 1 1 funcref)", evaluate, ..Plugin::default() };
    let component = Component::from_component(&engine, &plugin.component()).unwrap();
    let called = evaluate_with(&component, &SHORT, Arc::new(NoTexts));
    assert!(called.answer.is_ok());
    assert_eq!(called.used.memory_bytes, 64 << 10);
}

#[test]
fn nothing_survives_from_one_call_to_the_next() {
    let engine = Engine::new().unwrap();
    let evaluate = "(if (i32.load (i32.const 8)) (then unreachable)) (i32.store (i32.const 8) (i32.const 1)) (i32.const 1024)";
    let component = Component::from_component(&engine, &Plugin { evaluate, ..Plugin::default() }.component()).unwrap();
    for _ in 0..50 {
        assert!(evaluate_with(&component, &SHORT, Arc::new(NoTexts)).answer.is_ok());
    }
}

/// More calls at once than there is room for: each runs, ends by its limit, or is refused as busy; none hangs.
#[test]
fn many_calls_at_once_run_or_are_busy() {
    let engine = Engine::new().unwrap();
    let load = |plugin: Plugin<'_>| Component::from_component(&engine, &plugin.component()).unwrap();
    let harmless = load(Plugin { evaluate: NOTHING_SLOWLY, ..Plugin::default() });
    let hostile = load(Plugin { evaluate: "(loop $again (br $again)) unreachable", ..Plugin::default() });
    let done = std::thread::scope(|scope| {
        let calls: Vec<_> = (0..40)
            .map(|nth| {
                let component = if nth % 4 == 0 { &hostile } else { &harmless };
                scope.spawn(move || (nth, [(); 5].map(|()| evaluate_with(component, &SHORT, Arc::new(NoTexts)).answer)))
            })
            .collect();
        calls.into_iter().map(|call| call.join().unwrap()).collect::<Vec<_>>()
    });
    let mut ran = 0;
    for (nth, answers) in done {
        for answer in answers {
            match answer {
                Ok(_) => ran += usize::from(nth % 4 != 0),
                Err(failure) if failure.kind == FailureKind::Busy => {
                    assert!(failure.message.starts_with("no room for another instance now: "), "{failure}");
                }
                Err(failure) => assert_eq!((failure.kind, nth % 4), (Limit("fuel"), 0), "{failure}"),
            }
        }
    }
    assert!(ran > 0);
    assert!(evaluate_with(&harmless, &SHORT, Arc::new(NoTexts)).answer.is_ok(), "the room is free again");
}

/// So that calls overlap.
const NOTHING_SLOWLY: &str = "(loop $again (local.set $n (i32.add (local.get $n) (i32.const 1)))
    (br_if $again (i32.lt_u (local.get $n) (i32.const 1000000)))) (i32.const 1024)";
