//! One rule written as YAML, as a script, in Rust and in C says the same to the last character, over generated tables with
//! unknown values, resets, new rows and several settings. What it must say stands in `plugins/examples/parity/README.md`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::disallowed_methods, reason = "what a tool is found by stands in the environment")]

#[path = "support/plugins.rs"]
mod plugins;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use pgsteward::app::plugins::from_file;
use pgsteward::collect::metrics;
use pgsteward::config::PluginConfig;
use pgsteward::model::*;
use pgsteward::plugin::{Compiled, Compiler};
use pgsteward::rules::rhai::Limits;
use pgsteward::rules::wasm::Plugin;
use pgsteward::rules::{Loaded, OWN_PACK, RuleFile, TickInput, load};
use pgsteward_sandbox::Engine;
use plugins::{build, source};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

const ROWS: usize = 200;

/// What the rule reads of one table; `None` is NULL.
#[derive(Debug, Clone)]
struct Row {
    dead: Option<f64>,
    trigger: Option<f64>,
    updates_before: Option<i64>,
    updates: Option<i64>,
    vacuum_age: Option<f64>,
    is_new: bool,
}

fn row() -> impl Strategy<Value = Row> {
    fn maybe<T: Clone + std::fmt::Debug + 'static>(known: impl Strategy<Value = T> + 'static) -> impl Strategy<Value = Option<T>> {
        prop_oneof![1 => Just(None), 8 => known.prop_map(Some)]
    }
    let dead = prop_oneof![Just(0.0), (0..2_000_000).prop_map(f64::from), 0.0..1e12, Just(400_000.0)];
    let trigger = prop_oneof![Just(0.0), (0..400_000).prop_map(f64::from), Just(200_000.0)];
    let age = prop_oneof![0.0..1_200.0, Just(600.0), Just(599.999), 0.0..1e9];
    let before = 0..1_000_000_i64;
    (maybe(dead), maybe(trigger), maybe(before), maybe(0..1_000_000_i64), maybe(age), prop::bool::weighted(0.1)).prop_map(
        |(dead, trigger, updates_before, more, vacuum_age, is_new)| {
            // A counter that began anew is now below what it was.
            let updates = more.map(|more| if more % 10 == 0 { more / 100 } else { updates_before.unwrap_or(0) + more / 4 });
            Row { dead, trigger, updates_before, updates, vacuum_age, is_new }
        },
    )
}

fn at(s: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(1_800_000_000 + s)
}

/// The frame `tables` as it is shipped, with all but a few columns unknown.
fn frame(rows: &[(usize, &Row)], as_of: DateTime<Utc>, updates: impl Fn(&Row) -> Option<i64>) -> Arc<Frame> {
    let def = metrics::catalog().frame("tables").unwrap().clone();
    let gauge = |read: fn(&Row) -> Option<f64>| ColumnData::Float(rows.iter().map(|(_, row)| read(row).unwrap_or(f64::NAN)).collect());
    let text = |of: &dyn Fn(usize) -> String| ColumnData::Text(Arc::new(rows.iter().map(|(n, _)| Some(of(*n))).collect()));
    let columns = def.columns.iter().map(|column| match column.name.as_str() {
        "database" => text(&|_| "shop".into()),
        "schema" => text(&|n| if n % 3 == 0 { "pub\"lic".into() } else { "public".into() }),
        // Names are a server's: some look like what a summary or a script would read as its own.
        "table" => text(&|n| match n % 5 {
            0 => format!("{{dead}}_{n}"),
            1 => format!("a\u{1b}[31m{n}"),
            2 => format!("größe ${{n}} {n}"),
            _ => format!("t{n}"),
        }),
        "dead" => gauge(|row| row.dead),
        "vacuum_trigger" => gauge(|row| row.trigger),
        "vacuum_age" => gauge(|row| row.vacuum_age),
        "n_tup_upd" => ColumnData::Int(rows.iter().map(|(_, row)| updates(row)).collect()),
        _ => ColumnData::unknown(column.kind, rows.len()),
    });
    Arc::new(Frame::new(def.clone(), as_of, columns.collect()).unwrap())
}

/// All that one way of writing the rule comes to.
fn judged(loaded: &Loaded, rows: &[Row], factor: f64, firing: usize) -> Evaluation {
    let all: Vec<(usize, &Row)> = rows.iter().enumerate().collect();
    let old: Vec<(usize, &Row)> = all.iter().copied().filter(|(_, row)| !row.is_new).collect();
    let now = frame(&all, at(60), |row| row.updates);
    let snapshot = Arc::new(Snapshot {
        form: Snapshot::FORM,
        target: Target { name: "shop".into(), ..Target::default() },
        taken_at: at(60),
        server: None,
        frames: [("tables".to_string(), Reading::Collected(now.clone()))].into(),
        cost: Cost::default(),
    });
    let previous = [("tables".to_string(), frame(&old, at(0), |row| row.updates_before))].into();
    let settings = BTreeMap::from([("factor".to_string(), SettingValue::Number(factor))]);
    let tick = TickInput {
        now: at(60),
        every_s: 60,
        changes: Arc::new(Changes::between(&previous, &snapshot)),
        snapshot,
        past: Arc::default(),
        book: &book(&now, firing),
        overrides: &[RuleOverride { settings, ..RuleOverride::default() }],
        packs: &BTreeSet::new(),
        evaluate_all: true,
    };
    let outcomes = loaded.set.evaluate(&tick);
    let [RuleOutcome { meta, outcome: Outcome::Ok(evaluation) }] = outcomes.as_slice() else { panic!("{outcomes:?}") };
    assert_eq!(meta.id, "parity");
    evaluation.clone()
}

/// The first thing in which two evaluations differ. Why a subject is held each engine says in its own words: a script knows
/// that its condition is unknown, a plugin's host which input.
fn differs(one: &Evaluation, other: &Evaluation) -> Option<String> {
    fn first<T: PartialEq + std::fmt::Debug>(one: &[T], other: &[T]) -> Option<String> {
        let at = (0..one.len().max(other.len())).find(|at| one.get(*at) != other.get(*at))?;
        Some(format!("{:#?}\ninstead of {:#?}", one.get(at), other.get(at)))
    }
    let held = |evaluation: &Evaluation| evaluation.held.iter().map(|held| held.subject.clone()).collect::<Vec<_>>();
    let counts = (one.unknown != other.unknown).then(|| format!("{} unknown instead of {}", one.unknown, other.unknown));
    first(&one.findings, &other.findings).or_else(|| first(&held(one), &held(other))).or(counts)
}

/// Every so-many-th row has an alert already, so that what cannot be judged has something to hold.
fn book(frame: &Frame, every: usize) -> Book {
    let alert = |row: usize| {
        let subject = frame.subject(row);
        let alert = pgsteward::alert::fingerprint("parity", "shop", &subject);
        let text = serde_json::json!({
            "fingerprint": alert, "episode": "e", "rule": "parity", "title": "", "target": "shop", "subject": subject, "labels": {},
            "tier": "ticket", "severity": "warning", "state": "firing", "active_at": at(0), "fired_at": at(0), "recovering_at": null,
            "seen_at": at(0), "held": null, "suppressed_by": null, "summary": "", "detail": "", "evidence": [], "actions": [],
            "runbook": "",
        });
        (alert, std::sync::Arc::new(serde_json::from_value::<Alert>(text).unwrap()))
    };
    Book { alerts: (0..frame.rows).step_by(every).map(alert).collect(), ..Book::default() }
}

fn from_text(name: &str) -> Loaded {
    let text = std::fs::read_to_string(source("examples/parity").join(name)).unwrap();
    let loaded = load(&[RuleFile { path: name.into(), text, pack: Some(OWN_PACK.into()) }], &[], &metrics::catalog(), Limits::default());
    assert!(!loaded.problems.iter().any(pgsteward::problem::Problem::is_error), "{:?}", loaded.problems);
    loaded
}

fn from_plugin(folder: &Path, language: &str, name: &str) -> Option<Loaded> {
    let project = source("examples").join(name);
    let built = build(folder, language, &project)?;
    assert_eq!(built.code, 0, "{built:?}");
    let compiled = Compiled::open(&folder.join("compiled"), Compiler::Child(env!("CARGO_BIN_EXE_pgsteward").into())).unwrap();
    let engine = Engine::new().unwrap();
    let (plugin, _): (Plugin, _) = from_file(&project.join("plugin.wasm"), &engine, &compiled, &PluginConfig::default()).unwrap();
    let loaded = load(&[], &[plugin], &metrics::catalog(), Limits::default());
    assert!(loaded.problems.is_empty(), "{:?}", loaded.problems);
    Some(loaded)
}

#[test]
fn one_rule_says_the_same_in_every_language() {
    let folder = tempfile::tempdir().unwrap();
    let script = from_text("parity.rhai");
    let ways = [
        ("yaml", Some(from_text("parity.yaml"))),
        ("rust", from_plugin(folder.path(), "rust", "parity_rust")),
        ("c", from_plugin(folder.path(), "c", "parity_c")),
    ];
    let ways: Vec<(&str, Loaded)> = ways.into_iter().filter_map(|(name, way)| Some((name, way?))).collect();
    for (name, way) in &ways {
        assert_eq!(declared(way), declared(&script), "{name} declares another rule than the script");
    }
    let seen = RefCell::new(BTreeMap::<String, usize>::new());
    let cases = (prop::collection::vec(row(), ROWS), prop::sample::select(vec![1.0, 1.5, 2.0, 3.7, 50.0]), 1..20_usize);
    let config = Config { cases: 40, failure_persistence: None, max_shrink_iters: 0, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let compared = runner.run(&cases, |(rows, factor, firing)| {
        let evaluation = judged(&script, &rows, factor, firing);
        for (name, way) in &ways {
            if let Some(difference) = differs(&judged(way, &rows, factor, firing), &evaluation) {
                return Err(TestCaseError::fail(format!("{name} says another thing than the script: {difference}")));
            }
        }
        let count = |what: &str, n: usize| *seen.borrow_mut().entry(what.into()).or_default() += n;
        evaluation.findings.iter().for_each(|finding| count(finding.severity.as_str(), 1));
        count("held", evaluation.held.len());
        count("unknown", evaluation.unknown);
        count("quiet", ROWS - evaluation.findings.len() - evaluation.unknown);
        Ok(())
    });
    if let Err(TestError::Fail(reason, _)) = compared {
        panic!("{reason}");
    }
    let seen = seen.into_inner();
    assert!(["critical", "warning", "held", "unknown", "quiet"].iter().all(|what| seen.get(*what).is_some_and(|n| *n > 100)), "{seen:?}");
}

/// What the rule declares that must not hang on its language.
fn declared(loaded: &Loaded) -> impl PartialEq + std::fmt::Debug {
    let meta = loaded.set.get("parity").unwrap().meta();
    let meta =
        RuleMeta { engine: String::new(), source: String::new(), hash: String::new(), runbook: meta.runbook.trim().into(), ..meta.clone() };
    RuleMeta { inputs: Vec::new(), ..meta }
}
