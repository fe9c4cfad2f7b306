//! What evaluating and deciding costs: 100 threshold rules over 10,000 tables with some 1,100 alerts active, in the three
//! forms of rules, beside a plain loop over the same columns. CPU time of this thread, median of several runs.
//!
//! The shape is that of a fleet's usual rules: ten metrics a table, eleven values in ten thousand over their limit, half of the
//! rules with `for: 1m`. `cargo bench --bench rules` prints the table of `docs/performance.md`.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark fails by panicking, and prints")]

use std::collections::{BTreeMap, BTreeSet};
use std::hint::black_box;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use pgsteward::alert;
use pgsteward::model::*;
use pgsteward::rules::rhai::Limits;
use pgsteward::rules::{OWN_PACK, RuleFile, RuleSet, TickInput, load};

const TABLES: usize = 10_000;
const METRICS: usize = 10;
const RULES: usize = 100;
const RUNS: usize = 7;
/// Turns of one run: the kernel counts CPU time in steps of milliseconds.
const TURNS: usize = 25;

fn main() {
    let catalog = catalog();
    let snapshot = Arc::new(snapshot(&catalog));
    println!("{RULES} rules x {TABLES} tables, {METRICS} metrics; ns of CPU per rule x row, median of {RUNS}\n");
    println!("{:<44} {:>8} {:>10}", "form", "ns", "alerts");
    let plain = median(|| plain_loop(&snapshot));
    println!("{:<44} {:>8.2} {:>10}", "plain Rust loop, rows found only", plain.0, plain.1);
    for (name, text, ending) in [
        ("classic form, evaluate and decide", classic(), "yaml"),
        ("rich form, evaluate and decide", rich(), "yaml"),
        ("Rhai, vectorised, evaluate and decide", String::new(), "rhai"),
    ] {
        let files: Vec<RuleFile> = if ending == "rhai" { scripts() } else { vec![file("own.yaml".into(), text)] };
        let loaded = load(&files, &[], &catalog, Limits::default());
        assert!(loaded.problems.iter().all(|p| !p.is_error()), "{:?}", loaded.problems);
        let (evaluate, whole, alerts) = measure(&loaded.set, &snapshot);
        println!("{name:<44} {whole:>8.2} {alerts:>10}   (evaluate alone {evaluate:.2})");
    }
}

fn file(path: String, text: String) -> RuleFile {
    RuleFile { path, text, pack: Some(OWN_PACK.into()) }
}

fn def() -> FrameDef {
    let column = |name: String, kind| ColumnDef { name, kind, unit: Unit::None, sensitivity: Sensitivity::Public, doc: "x".into() };
    let mut columns: Vec<ColumnDef> = ["database", "schema", "table"].map(|n| column(n.into(), ColumnKind::Label)).into();
    columns.extend((0..METRICS).map(|m| column(format!("m{m}"), ColumnKind::Gauge)));
    FrameDef {
        name: "bench".into(),
        doc: "x".into(),
        key: ["database", "schema", "table"].map(String::from).into(),
        columns,
        reset_column: None,
    }
}

fn catalog() -> Catalog {
    let mut catalog = Catalog::default();
    catalog.add(def()).unwrap();
    catalog
}

/// Eleven values in ten thousand are over every limit; which ones is fixed.
fn snapshot(catalog: &Catalog) -> Snapshot {
    let text = |of: &dyn Fn(usize) -> String| ColumnData::Text(Arc::new((0..TABLES).map(|row| Some(of(row))).collect()));
    let mut columns = vec![text(&|_| "shop".into()), text(&|_| "public".into()), text(&|row| format!("t_{row}"))];
    for metric in 0..METRICS {
        let over = |row: usize| (row * 7919 + metric * 104_729).is_multiple_of(909);
        columns.push(ColumnData::Float((0..TABLES).map(|row| if over(row) { 1e6 } else { 0.0 }).collect()));
    }
    let frame = Frame::new(catalog.frame("bench").unwrap().clone(), at(0), columns).unwrap();
    Snapshot {
        form: Snapshot::FORM,
        target: Target { name: "bench".into(), ..Target::default() },
        taken_at: at(0),
        server: Some(Server::default()),
        frames: BTreeMap::from([("bench".to_string(), Reading::Collected(Arc::new(frame)))]),
        cost: Cost::default(),
    }
}

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(1_800_000_000 + seconds)
}

/// Metric and limit of a rule.
fn rule(n: usize) -> (usize, usize, &'static str) {
    (n % METRICS, 1_000 + n, if n.is_multiple_of(2) { "1m" } else { "0s" })
}

fn classic() -> String {
    let item = |n: usize| {
        let (m, limit, _) = rule(n);
        format!(
            "    - {{name: rule_{n}, metric: bench.m{m}, threshold: {limit}, comparison: greater_than, severity: warning, action: notify, enabled: true}}\n"
        )
    };
    format!("rules:\n  bench:\n{}", (0..RULES).map(item).collect::<String>())
}

fn rich() -> String {
    let item = |n: usize| {
        let (m, limit, wait) = rule(n);
        format!(
            "  - {{id: rule_{n}, title: x, category: bench, tier: ticket, from: bench, value: m{m}, warning: value > {limit}, for: {wait}, summary: \"{{{{table}}}} is high\"}}\n"
        )
    };
    format!("rules:\n{}", (0..RULES).map(item).collect::<String>())
}

fn scripts() -> Vec<RuleFile> {
    let script = |n: usize| {
        let (m, limit, wait) = rule(n);
        let text = format!(
            "//! id: rule_{n}\n//! title: x\n//! category: bench\n//! tier: ticket\n//! inputs: [bench]\n//! for: {wait}\n\n\
             for t in bench.rows(bench.m{m} > {limit}) {{\n    \
             finding(t, #{{ severity: \"warning\", summary: `${{t}} is high`, evidence: [evidence(t, \"m{m}\", {limit}.0)] }});\n}}\n"
        );
        file(format!("rule_{n}.rhai"), text)
    };
    (0..RULES).map(script).collect()
}

fn decide_config() -> DecideConfig {
    DecideConfig {
        target: Target { name: "bench".into(), ..Target::default() },
        every_s: 60,
        dedup_s: Some(3_600),
        unknown_after_s: 600,
        windows: Vec::new(),
        route: Route { channels: vec!["log".into()], ..Route::default() },
        ..DecideConfig::default()
    }
}

/// ns per rule x row of evaluating alone and of evaluating and deciding, and the alerts that are active.
fn measure(set: &RuleSet, snapshot: &Arc<Snapshot>) -> (f64, f64, usize) {
    let config = decide_config();
    let packs = [OWN_PACK.to_string()].into();
    // Two ticks first, so that every alert is active and told, as in the middle of a day.
    let mut book = Book::default();
    for tick in 0..3 {
        book = turn(set, snapshot, &book, &config, &packs, at(tick * 60)).book;
    }
    let alerts = book.alerts.len();
    let packs = &packs;
    let evaluate = median(|| {
        black_box(evaluate(set, snapshot, &book, packs, at(240)));
        alerts
    });
    let whole = median(|| {
        black_box(turn(set, snapshot, &book, &config, packs, at(240)));
        alerts
    });
    (evaluate.0, whole.0, alerts)
}

fn evaluate(set: &RuleSet, snapshot: &Arc<Snapshot>, book: &Book, packs: &BTreeSet<String>, now: DateTime<Utc>) -> Vec<RuleOutcome> {
    set.evaluate(&TickInput {
        now,
        every_s: 60,
        snapshot: snapshot.clone(),
        changes: Arc::default(),
        past: Arc::default(),
        book,
        overrides: &[],
        packs,
        evaluate_all: true,
    })
}

fn turn(
    set: &RuleSet,
    snapshot: &Arc<Snapshot>,
    book: &Book,
    config: &DecideConfig,
    packs: &BTreeSet<String>,
    now: DateTime<Utc>,
) -> Decision {
    alert::decide(book, &evaluate(set, snapshot, book, packs, now), config, now)
}

/// The same comparisons without rules: what the memory itself costs.
fn plain_loop(snapshot: &Snapshot) -> usize {
    let frame = snapshot.frame("bench").unwrap();
    let mut found: Vec<usize> = Vec::new();
    for n in 0..RULES {
        let (m, limit, _) = rule(n);
        let Some(ColumnData::Float(values)) = frame.column(&format!("m{m}")) else { continue };
        let limit = limit as f64;
        found.extend(values.iter().enumerate().filter(|(_, v)| **v > limit).map(|(row, _)| row));
    }
    black_box(found).len()
}

/// ns per rule x row of some work, and what it found.
fn median(work: impl Fn() -> usize) -> (f64, usize) {
    let mut found = 0;
    let mut times: Vec<u64> = (0..RUNS)
        .map(|_| {
            let start = cpu_ns();
            for _ in 0..TURNS {
                found = black_box(work());
            }
            cpu_ns() - start
        })
        .collect();
    times.sort_unstable();
    (times[RUNS / 2] as f64 / (RULES * TABLES * TURNS) as f64, found)
}

/// CPU time of this thread in nanoseconds, by the kernel's own account.
fn cpu_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split_whitespace().next().unwrap().parse().unwrap()
}
