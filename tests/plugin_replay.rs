//! `plugin replay`: the very data behind an alert, from a store that real ticks wrote, judged again by the plugin that
//! raised it and by another.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::disallowed_methods, reason = "what a tool is found by stands in the environment")]

#[path = "support/plugins.rs"]
mod plugins;

use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use pgsteward::app::plugins::from_file;
use pgsteward::app::setup::store_path;
use pgsteward::app::tick::basis;
use pgsteward::app::turn::{Wishes, turn};
use pgsteward::collect::metrics;
use pgsteward::config::PluginConfig;
use pgsteward::model::*;
use pgsteward::plugin::{Compiled, Compiler};
use pgsteward::rules::rhai::Limits;
use pgsteward::rules::{RuleSet, load};
use pgsteward::store::{Store, TickCommit};
use pgsteward_sandbox::Engine;
use plugins::{build, ran, run, source, steward};

/// A service's life without a service: a store, and ticks a minute apart over one table.
struct Life {
    store: Store,
    rules: RuleSet,
    minute: i64,
}

fn at(minute: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(1_800_000_000 + 60 * minute)
}

impl Life {
    fn begin(folder: &Path, plugin: &Path) -> Self {
        let compiled = Compiled::open(&folder.join("compiled"), Compiler::Child(env!("CARGO_BIN_EXE_pgsteward").into())).unwrap();
        let (plugin, _) = from_file(plugin, &Engine::new().unwrap(), &compiled, &PluginConfig::default()).unwrap();
        let loaded = load(&[], &[plugin], &metrics::catalog(), Limits::default());
        assert!(loaded.problems.is_empty(), "{:?}", loaded.problems);
        Self { store: Store::open(&store_path(&folder.join("state"))).unwrap(), rules: loaded.set, minute: 0 }
    }

    /// One tick; `None` when the tables could not be read.
    fn tick(&mut self, dead: Option<f64>) {
        let target = Target { name: "shop".into(), ..Target::default() };
        let reading = dead.map_or_else(
            || Reading::Missing(Missing::new(MissingReason::LockTimeout, "it waited for a lock")),
            |dead| Reading::Collected(tables(self.minute, dead)),
        );
        let snapshot = Arc::new(Snapshot {
            form: Snapshot::FORM,
            target: target.clone(),
            taken_at: at(self.minute),
            server: Some(Server::default()),
            frames: [("tables".to_string(), reading)].into(),
            cost: Cost::default(),
        });
        let decide = DecideConfig { target, every_s: 60, dedup_s: None, unknown_after_s: 86_400, ..DecideConfig::default() };
        self.store.acquire_lease("shop", "me", at(self.minute), 60).unwrap();
        let book = self.store.book("shop").unwrap();
        let basis = basis(&self.store, snapshot.clone(), book, &self.rules.windows()).unwrap();
        let (outcomes, decision) = turn(&basis, &self.rules, &Wishes { evaluate_all: true, ..Wishes::default() }, &decide);
        let (now, base_version) = (at(self.minute), basis.book.version);
        let commit =
            TickCommit { target: "shop", owner: "me", now, snapshot: &snapshot, outcomes: &outcomes, decision: &decision, base_version };
        self.store.commit(&commit).unwrap();
        self.minute += 1;
    }

    /// The beginning of the only living alert's id, as lists show it.
    fn alert(&self) -> String {
        let alerts = self.store.alerts(None).unwrap();
        assert_eq!(alerts.len(), 1);
        alerts[0].fingerprint.0.chars().take(8).collect()
    }
}

/// `public.orders`, with 100 updates a second.
fn tables(minute: i64, dead: f64) -> Arc<Frame> {
    let def = metrics::catalog().frame("tables").unwrap().clone();
    let text = |word: &str| ColumnData::Text(Arc::new([Some(word)].into_iter().collect()));
    let column = |column: &ColumnDef| match column.name.as_str() {
        "database" => text("shop"),
        "schema" => text("public"),
        "table" => text("orders"),
        "dead" => ColumnData::Float([dead].into()),
        "vacuum_trigger" => ColumnData::Float([200_000.0].into()),
        "n_tup_upd" => ColumnData::Int([Some(6_000 * minute)].into()),
        _ => ColumnData::unknown(column.kind, 1),
    };
    Arc::new(Frame::new(def.clone(), at(minute), def.columns.iter().map(column).collect()).unwrap())
}

#[test]
fn an_alert_is_judged_again_on_the_data_it_came_from() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let project = source("examples/parity_c");
    let Some(built) = build(here, "c", &project) else { return };
    assert_eq!(built.code, 0, "{built:?}");
    let plugin = here.join("parity.wasm");
    std::fs::copy(project.join("plugin.wasm"), &plugin).unwrap();

    let mut life = Life::begin(here, &plugin);
    life.tick(Some(1_000.0));
    (0..12).for_each(|_| life.tick(Some(500_000.0)));
    life.tick(Some(900_000.0));
    let id = life.alert();

    let none = ran(here, &["plugin", "replay", "--alert", &id]);
    assert_eq!((none.code, none.err.as_str()), (3, "error: no installed plugin has the rule `parity`; give the plugin's file\n"));
    assert_eq!(ran(here, &["plugin", "install", "parity.wasm"]).code, 0);
    let again = ran(here, &["plugin", "replay", "--alert", &id]);
    assert_eq!((again.code, again.err.as_str()), (0, ""), "{}", again.out);
    for word in [
        &format!("{id}  parity on shop  "),
        "when it began firing; pending before",
        "parity_c 1.0.0: the file that judged then",
        "warning   public.orders has 500 k rows dead, more than its updates leave room for",
        "tables.dead",
        "limit 340 k rows",
        "advice: vacuum  gets ahead of the updates",
        "VACUUM (ANALYZE) public.orders",
        "fuel ",
    ] {
        assert!(again.out.contains(word), "`{word}` is not in:\n{}", again.out);
    }

    // What is given is judged instead, and a file with other bytes is called another.
    let packed = run(steward(here).args(["plugin", "pack", "--out", "packed.wasm"]).arg(&project));
    assert_eq!(packed.code, 0, "{packed:?}");
    let other = ran(here, &["plugin", "replay", "--alert", &id, "packed.wasm"]);
    assert_eq!(other.code, 0, "{other:?}");
    assert!(other.out.contains("another file than judged then (SHA-256") && other.out.contains("500 k rows dead"), "{}", other.out);

    // A setting of the config holds, as it did for the tick.
    let config = "version: 1\ntargets: [{name: shop, dsn: host=a}]\nrules: {override: [{rule: parity, settings: {factor: 40}}]}\n";
    std::fs::write(here.join("c.yaml"), config).unwrap();
    let quiet = ran(here, &["plugin", "replay", "--alert", &id, "--config", "c.yaml"]);
    assert_eq!(quiet.code, 1, "{quiet:?}");
    assert!(quiet.out.contains("it finds nothing about "), "{}", quiet.out);

    // The tick at which it began firing has gone; the last that found it has not.
    life.store.prune(at(14), 60, u64::MAX).unwrap();
    let last = ran(here, &["plugin", "replay", "--alert", &id]);
    assert_eq!(last.code, 1, "the reading before has gone as well, and with it the rate: {last:?}");
    assert!(last.out.contains("when it was last found; firing before"), "{}", last.out);
    assert!(last.out.contains("it cannot be judged: ") || last.out.contains("no_data"), "{}", last.out);

    (0..5).for_each(|_| life.tick(None));
    life.store.prune(at(19), 60, u64::MAX).unwrap();
    let gone = ran(here, &["plugin", "replay", "--alert", &id]);
    assert_eq!((gone.code, gone.out.as_str()), (3, ""));
    assert!(gone.err.contains("the history no longer holds a tick of this alert (looked for "), "{}", gone.err);
}

#[test]
fn an_alert_that_is_none_and_a_plugin_without_its_rule_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let absent = ran(here, &["plugin", "replay", "--alert", "abc"]);
    let makes_one = "`: `pgsteward run --config FILE` makes one; give its `--config` here too\n";
    assert!(absent.err.starts_with("error: there is no store yet at `") && absent.err.ends_with(makes_one), "{}", absent.err);
    assert_eq!(absent.code, 3);
    let project = source("examples/parity_c");
    let Some(built) = build(here, "c", &project) else { return };
    assert_eq!(built.code, 0, "{built:?}");
    let mut life = Life::begin(here, &project.join("plugin.wasm"));
    (0..3).for_each(|_| life.tick(Some(500_000.0)));
    let unknown = ran(here, &["plugin", "replay", "--alert", "zzz"]);
    assert!(unknown.code == 3 && unknown.err.contains("no alert's id begins with `zzz`"), "{}", unknown.err);

    let other = source("examples/wraparound_eta_c");
    assert_eq!(build(here, "c", &other).unwrap().code, 0);
    let without = run(steward(here).args(["plugin", "replay", "--alert", &life.alert()]).arg(&other));
    assert_eq!(without.code, 3);
    assert!(without.out.contains("when it was last found; pending before"), "{}", without.out);
    assert!(without.err.contains("the plugin has no rule `parity` (it has "), "{}", without.err);
}
