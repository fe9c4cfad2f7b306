//! What a compiled plugin costs: a rule over 100,000 tables with 1 % hits, held against the same loop natively over the
//! same columns (`parity` looks at every row, `dead_share` lets the host leave out most); a fresh store with an empty call; and start-up with 50 installed plugins. CPU time of this thread, median.
//!
//! `cargo bench --bench plugins -- COMPONENT...` prints the table of `docs/performance.md`; the components are those of
//! `plugins/examples` (`pgsteward plugin build DIR`), the first one `parity_rust`.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark fails by panicking, and prints")]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use pgsteward::collect::metrics;
use pgsteward::model::*;
use pgsteward::rules::Rule;
use pgsteward::rules::wasm::{Plugin, WasmRule, describe};
use pgsteward_sandbox::{Component, Engine, Limits, compile, inspect};

const TABLES: usize = 100_000;
const RUNS: usize = 41;

fn main() {
    let components: Vec<PathBuf> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).map(PathBuf::from).collect();
    if components.is_empty() {
        println!("cargo bench --bench plugins -- plugins/examples/parity_rust/plugin.wasm [more]");
        return;
    }
    let engine = Engine::new().unwrap();
    let (input, quiet) = (input(2.0, 0.2), input(50.0, 0.99));
    println!("{TABLES} tables; CPU of this thread, median of {RUNS}\n");
    println!("{:<34} {:>10} {:>9} {:>8}", "", "us", "ns a row", "ratio");
    let natives: Vec<(&str, f64)> = NATIVE.iter().map(|(id, each)| (*id, median(|| drop(black_box(each(&input)))))).collect();
    for ((id, native), (_, each)) in natives.iter().zip(NATIVE) {
        show(&format!("native `{id}`: {} row indexes", each(&input).len()), *native, *native);
    }
    for path in &components {
        let rule = rule(&engine, path);
        let native = natives.iter().find(|(id, _)| *id == rule.meta().id).map_or(f64::NAN, |(_, us)| *us);
        let found = match rule.trace(&input).outcome {
            Outcome::Ok(evaluation) => evaluation.findings.len(),
            other => {
                println!("{}: {}", path.display(), other.reason());
                continue;
            }
        };
        let whole = median(|| {
            black_box(rule.trace(&input));
        });
        let none = median(|| {
            black_box(rule.trace(&quiet));
        });
        // Copies, limits and the loop, without what a finding is made of.
        show(&format!("{}: no findings", name(path)), none, native);
        show(&format!("{}: {found} findings", name(path)), whole, native);
    }
    for path in &components {
        let bytes = std::fs::read(path).unwrap();
        let component = Component::from_component(&engine, &bytes).unwrap();
        // Refused or not, it has been called.
        let empty = median(|| {
            black_box(component.validate_settings(&Limits::DEFAULT, "", &[]));
        });
        println!("{:<34} {empty:>10.1}", format!("{}: store, instance, call", name(path)));
        println!("{:<34} {:>10.1}", format!("{}: 50 from compiled code", name(path)), start_up(&engine, &bytes));
    }
}

/// Loads fifty plugins from compiled code and asks each what it is.
fn start_up(engine: &Engine, bytes: &[u8]) -> f64 {
    let folder = tempfile::tempdir().unwrap();
    let files: Vec<PathBuf> = (0..50).map(|n| folder.path().join(format!("{n}.cwasm"))).collect();
    let code = compile(engine, bytes).unwrap();
    files.iter().for_each(|file| std::fs::write(file, &code).unwrap());
    let began = cpu();
    for file in &files {
        let hash = inspect(bytes).unwrap().hash;
        let component = Component::from_compiled(engine, file).unwrap();
        black_box((hash, component.describe(&Limits::DEFAULT).answer.unwrap()));
    }
    cpu() - began
}

fn show(what: &str, us: f64, native: f64) {
    println!("{what:<34} {us:>10.0} {:>9.1} {:>8.2}", us * 1000.0 / TABLES as f64, us / native);
}

fn name(path: &Path) -> String {
    let own = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let folder = path.parent().and_then(|dir| dir.file_name()).map(|dir| dir.to_string_lossy().into_owned());
    if own == "plugin" { folder.unwrap_or(own) } else { own }
}

fn rule(engine: &Engine, path: &Path) -> WasmRule {
    let bytes = std::fs::read(path).unwrap();
    let component = Component::from_component(engine, &bytes).unwrap();
    let plugin = Plugin {
        source: path.display().to_string(),
        hash: inspect(&bytes).unwrap().hash,
        component: Ok(component.clone()),
        limits: Limits::DEFAULT,
        metrics: Vec::new(),
        metrics_granted: false,
        recorded: Vec::new(),
    };
    describe(&plugin, &component, &metrics::catalog()).unwrap().rules.into_iter().next().unwrap()
}

/// A native loop: the rows it finds.
type Loop = fn(&RuleInput) -> Vec<u32>;

/// The native loops by rule id.
const NATIVE: [(&str, Loop); 2] = [("parity", parity), ("dead_share_high", dead_share)];

/// The rule of `plugins/examples/dead_share`: the rows it finds.
fn dead_share(input: &RuleInput) -> Vec<u32> {
    let frame = input.snapshot.frame("tables").unwrap();
    let column = |name: &str| frame.column(name).unwrap().to_floats().unwrap();
    let (dead, live) = (column("dead"), column("live"));
    let (least, most) = (input.settings.number("least").unwrap(), input.settings.number("most").unwrap());
    let mut hits = Vec::new();
    for row in 0..frame.rows {
        let (dead, live) = (dead[row], live[row]);
        if dead.is_nan() || live.is_nan() {
            continue;
        }
        if dead >= least && dead / (dead + live).max(1.0) > most {
            hits.push(row as u32);
        }
    }
    hits
}

/// The rule of `plugins/examples/parity`, over the same columns, without text: the rows it finds.
fn parity(input: &RuleInput) -> Vec<u32> {
    let frame = input.snapshot.frame("tables").unwrap();
    let column = |name: &str| frame.column(name).unwrap().to_floats().unwrap();
    let (dead, trigger, age) = (column("dead"), column("vacuum_trigger"), column("vacuum_age"));
    let updates = &input.changes.frames["tables"].rates["n_tup_upd"];
    let factor = input.settings.number("factor").unwrap();
    let mut hits = Vec::new();
    for row in 0..frame.rows {
        let (dead, trigger, updates, age) = (dead[row], trigger[row], updates[row], age[row]);
        if dead.is_nan() || trigger.is_nan() || updates.is_nan() {
            continue;
        }
        let fresh = if age < 600.0 { 2.0 } else { 1.0 };
        if dead > (factor * fresh * trigger - 600.0 * updates).max(0.0) {
            hits.push(row as u32);
        }
    }
    hits
}

/// One table in a hundred is over its limit with a factor of 2 and a share of 0.2, none with 50 and 0.99.
fn input(factor: f64, most: f64) -> RuleInput {
    let now = DateTime::<Utc>::UNIX_EPOCH + TimeDelta::seconds(1_800_000_000);
    let catalog = metrics::catalog();
    let def = catalog.frame("tables").unwrap();
    let (before, after) = (frame(def, now - TimeDelta::seconds(60), 0), frame(def, now, 60));
    let snapshot = Arc::new(Snapshot {
        form: Snapshot::FORM,
        target: Target { name: "bench".into(), ..Target::default() },
        taken_at: now,
        server: Some(Server::default()),
        frames: BTreeMap::from([("tables".to_string(), Reading::Collected(Arc::new(after)))]),
        cost: Cost::default(),
    });
    let previous = BTreeMap::from([("tables".to_string(), Arc::new(before))]);
    RuleInput {
        now,
        changes: Arc::new(Changes::between(&previous, &snapshot)),
        snapshot,
        past: Arc::default(),
        firing: Arc::default(),
        active: Arc::default(),
        settings: Arc::new(Settings(
            [("factor", factor), ("least", 10_000.0), ("most", most)]
                .map(|(name, value)| (name.to_string(), SettingValue::Number(value)))
                .into(),
        )),
    }
}

/// One table in a hundred holds more dead rows than its limit.
fn frame(def: &Arc<FrameDef>, as_of: DateTime<Utc>, updates: i64) -> Frame {
    let text = |of: &dyn Fn(usize) -> String| ColumnData::Text(Arc::new((0..TABLES).map(|row| Some(of(row))).collect()));
    let float = |of: &dyn Fn(usize) -> f64| ColumnData::Float((0..TABLES).map(of).collect());
    let column = |c: &ColumnDef| match c.name.as_str() {
        "database" => text(&|_| "shop".into()),
        "schema" => text(&|_| "public".into()),
        "table" => text(&|row| format!("t_{row}")),
        "dead" => float(&|row| if (row * 7919).is_multiple_of(100) { 40_000.0 } else { 10.0 }),
        "live" => float(&|_| 100_000.0),
        "vacuum_trigger" => float(&|_| 1_000.0),
        "vacuum_age" => float(&|_| 7_200.0),
        "n_tup_upd" => ColumnData::Int((0..TABLES).map(|_| Some(updates)).collect()),
        _ => ColumnData::unknown(c.kind, TABLES),
    };
    Frame::new(def.clone(), as_of, def.columns.iter().map(column).collect()).unwrap()
}

fn median(mut run: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = (0..RUNS)
        .map(|_| {
            let began = cpu();
            run();
            cpu() - began
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[RUNS / 2]
}

/// CPU time of this thread in microseconds.
fn cpu() -> f64 {
    cpu_time::ThreadTime::now().as_duration().as_secs_f64() * 1e6
}
