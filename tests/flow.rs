//! Whole ticks without a server, in virtual time: what was seen goes through the turn, the store and the outbox to a
//! channel, and the transcript says what changed, who was told, and why nobody was.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, NaiveTime, TimeDelta, Utc};
use futures_util::future::BoxFuture;
use pgsteward::alert;
use pgsteward::app::replay::{ReplayError, record, replay};
use pgsteward::app::tick::basis;
use pgsteward::app::turn::{Basis, Wishes, turn};
use pgsteward::app::{setup, tick_file};
use pgsteward::calendar::{Form, Weekly, Window};
use pgsteward::clock::Clock;
use pgsteward::collect::metrics;
use pgsteward::deliver::{Channel, DrainBudget, Line, Message, Post, Receipt, SendError};
use pgsteward::model::*;
use pgsteward::rules::rhai::Limits;
use pgsteward::rules::{OWN_PACK, RuleFile, RuleSet, load};
use pgsteward::store::{Store, TickCommit};

/// Remembers what it was told.
#[derive(Default)]
struct Memory(Mutex<Vec<String>>);

impl Channel for Memory {
    fn name(&self) -> &str {
        "memory"
    }

    fn kind(&self) -> &'static str {
        "memory"
    }

    fn send<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<Receipt, SendError>> {
        let notice = &message.notices[0];
        let during = notice.began_during.as_ref().map_or(String::new(), |d| format!(" (began during {d})"));
        self.0.lock().unwrap().push(format!("{} {}: {}{during}", notice.kind, notice.severity, notice.summary));
        Box::pin(async { Ok(Receipt::new("noted")) })
    }
}

/// One target with a store, a rule set and a channel; time is in seconds since the start.
struct World {
    folder: tempfile::TempDir,
    store: Mutex<Store>,
    rules: RuleSet,
    config: DecideConfig,
    memory: Arc<Memory>,
    clock: Clock,
    transcript: String,
}

const START: i64 = 1_800_000_000;

fn at(s: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(START + s)
}

impl World {
    fn new(rules: &str, every_s: u64) -> Self {
        let files = [RuleFile { path: "own.yaml".into(), text: rules.into(), pack: Some(OWN_PACK.into()) }];
        let loaded = load(&files, &[], &metrics::catalog(), Limits::default());
        assert_eq!(loaded.problems, []);
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&setup::store_path(folder.path())).unwrap();
        let config = DecideConfig {
            target: target(),
            every_s,
            dedup_s: Some(600),
            unknown_after_s: 86_400,
            windows: Vec::new(),
            route: Route { channels: vec!["memory".into()], ..Route::default() },
            ..DecideConfig::default()
        };
        Self {
            folder,
            store: Mutex::new(store),
            rules: loaded.set,
            config,
            memory: Arc::default(),
            clock: Clock::starting_at(at(0)),
            transcript: String::new(),
        }
    }

    fn wishes(&self) -> Wishes {
        Wishes { packs: BTreeSet::new(), ..Wishes::default() }
    }

    /// One tick at that second; what it decided goes to the transcript.
    async fn tick(&mut self, second: i64, frames: Vec<(&str, Reading)>) -> (Basis, Vec<RuleOutcome>, Decision) {
        let passed = second - (self.clock.now() - at(0)).num_seconds();
        tokio::time::advance(Duration::from_secs(passed.unsigned_abs())).await;
        let snapshot = Arc::new(snapshot(second, frames));
        let (basis, outcomes, decision) = {
            let mut store = self.store.lock().unwrap();
            store.acquire_lease("shop", "me", at(second), 60).unwrap();
            let book = store.book("shop").unwrap();
            let basis = basis(&store, snapshot.clone(), book, &self.rules.windows()).unwrap();
            let (outcomes, decision) = turn(&basis, &self.rules, &self.wishes(), &self.config);
            let commit = TickCommit {
                target: "shop",
                owner: "me",
                now: at(second),
                snapshot: &snapshot,
                outcomes: &outcomes,
                decision: &decision,
                base_version: basis.book.version,
            };
            store.commit(&commit).unwrap();
            (basis, outcomes, decision)
        };
        let lines = BTreeMap::from([("memory".to_string(), Line::plain(self.memory.clone()))]);
        let budget = DrainBudget { rows: 100, time: Duration::from_secs(60) };
        Post { store: &self.store, lines: &lines, owner: "me", clock: &self.clock, seed: 1 }.drain(budget).await;
        self.note(second, &outcomes, &decision);
        (basis, outcomes, decision)
    }

    fn note(&mut self, second: i64, outcomes: &[RuleOutcome], decision: &Decision) {
        let mut lines: Vec<String> = Vec::new();
        lines.extend(
            outcomes
                .iter()
                .filter(|o| !matches!(o.outcome, Outcome::Ok(_)))
                .map(|o| format!("{}: {}", o.outcome.word(), o.outcome.reason())),
        );
        lines.extend(decision.transitions().map(|t| format!("{} -> {}: {}", t.from, t.to, t.reason)));
        lines.extend(decision.records.iter().filter(|r| !r.sent).map(|r| format!("not told: {}", r.reason)));
        lines.extend(self.memory.0.lock().unwrap().drain(..).map(|told| format!("told {told}")));
        let head = format!("{:>6}", pgsteward_helpers::span(second as f64));
        if lines.is_empty() {
            lines.push("-".into());
        }
        for (n, line) in lines.iter().enumerate() {
            writeln!(self.transcript, "{}  {line}", if n == 0 { head.as_str() } else { "      " }).unwrap();
        }
    }
}

fn target() -> Target {
    Target { name: "shop".into(), ..Target::default() }
}

fn snapshot(second: i64, frames: Vec<(&str, Reading)>) -> Snapshot {
    Snapshot {
        form: Snapshot::FORM,
        target: target(),
        taken_at: at(second),
        server: Some(Server::default()),
        frames: frames.into_iter().map(|(name, reading)| (name.to_string(), reading)).collect(),
        cost: Cost::default(),
    }
}

/// A frame of the real catalogue of one row: these cells, everything else unknown.
fn one_row(name: &str, second: i64, epoch: &str, cells: &[(&str, f64)]) -> Reading {
    let def = metrics::catalog().frame(name).unwrap().clone();
    let cell = |column: &ColumnDef| {
        let number = cells.iter().find(|(c, _)| *c == column.name).map(|(_, v)| *v);
        match (column.kind, number) {
            (ColumnKind::Gauge | ColumnKind::Time, Some(v)) => ColumnData::Float(vec![v].into()),
            (ColumnKind::Counter, Some(v)) => ColumnData::Int(vec![Some(v as i64)].into()),
            (ColumnKind::Label, _) => ColumnData::Text(Arc::new([Some("x")].into_iter().collect())),
            (kind, _) => ColumnData::unknown(kind, 1),
        }
    };
    let columns = def.columns.iter().map(cell).collect();
    let mut frame = Frame::new(def, at(second), columns).unwrap();
    frame.epoch = Some(epoch.into());
    Reading::Collected(Arc::new(frame))
}

fn clients(second: i64, n: f64) -> Vec<(&'static str, Reading)> {
    vec![("connections", one_row("connections", second, "e", &[("clients", n)]))]
}

const CLIENTS: &str = r#"rules:
  - id: clients
    title: Many clients
    tier: page
    from: connections
    value: clients
    warning: value > 80
    critical: value > 95
    for: 2m
    summary: "{{human(clients)}} clients"
"#;

#[tokio::test(start_paused = true)]
async fn an_alert_lives_and_says_why_at_each_step() {
    let mut world = World::new(CLIENTS, 60);
    let cells = [10.0, 90.0, 90.0, 90.0, 97.0, 97.0, f64::NAN, 97.0, 20.0, 20.0];
    for (n, cell) in cells.into_iter().enumerate() {
        world.tick(n as i64 * 60, clients(n as i64 * 60, cell)).await;
    }
    let missing = Reading::Missing(Missing::new(MissingReason::LockTimeout, "a lock was in the way"));
    world.tick(600, clients(600, 97.0)).await;
    world.tick(660, vec![("connections", missing)]).await;
    world.tick(720, clients(720, 97.0)).await;
    world.tick(780, clients(780, 97.0)).await;
    for n in 14..26 {
        world.tick(n * 60, clients(n * 60, 99.0)).await;
    }
    insta::assert_snapshot!(world.transcript);
}

#[tokio::test(start_paused = true)]
async fn a_window_keeps_notices_back_and_they_are_told_once_after_it() {
    let mut world = World::new(CLIENTS, 60);
    let minute = |s: i64| NaiveTime::from_num_seconds_from_midnight_opt(((START + s) % 86_400) as u32 / 60 * 60, 0).unwrap();
    let weekly = Weekly { days: vec![], start: minute(60), end: minute(420), all_day: false };
    let window = Window::new(Form::Weekly(weekly), chrono_tz::UTC);
    world.config.windows = vec![MaintenanceWindow { name: "deploy".into(), matchers: Matchers::default(), window }];
    for n in 0..10 {
        world.tick(n * 60, clients(n * 60, 90.0)).await;
    }
    insta::assert_snapshot!(world.transcript);
}

/// How many ticks of that length a finding is pending before it fires.
async fn ticks_until_firing(every_s: u64) -> usize {
    let mut world = World::new(CLIENTS, every_s);
    for n in 0..40 {
        let second = n * every_s as i64;
        let (_, _, decision) = world.tick(second, clients(second, 90.0)).await;
        if decision.book.alerts.values().any(|a| a.state == State::Firing) {
            return n as usize;
        }
    }
    panic!("it never fired")
}

#[tokio::test(start_paused = true)]
async fn for_is_judged_against_the_schedule_in_force() {
    assert_eq!(ticks_until_firing(10).await, 12, "two minutes at ten seconds");
    assert_eq!(ticks_until_firing(60).await, 2, "two minutes at a minute");
    assert_eq!(ticks_until_firing(900).await, 1, "the first tick that proves two minutes");
}

#[tokio::test(start_paused = true)]
async fn time_in_which_nobody_looked_proves_nothing() {
    let mut world = World::new(CLIENTS, 10);
    world.tick(0, clients(0, 90.0)).await;
    world.tick(600, clients(600, 90.0)).await;
    let pending = world.tick(610, clients(610, 90.0)).await.2;
    assert!(pending.book.alerts.values().all(|a| a.state == State::Pending), "{}", world.transcript);
    assert!(!world.transcript.contains("firing"), "{}", world.transcript);
}

const GROWTH: &str = r#"rules:
  - id: growth
    title: It grows
    tier: advice
    from: sizes
    value: bytes - ago(bytes, hours(1))
    info: value > 100
    summary: "grew by {{round(value)}}"
  - id: busy
    title: Commits
    tier: advice
    from: databases
    value: rate(xact_commit)
    info: value > 5
    summary: "{{round(value)}} commits a second"
"#;

fn sizes_and_commits(second: i64, sizes_at: i64, bytes: f64, commits: f64, epoch: &str) -> Vec<(&'static str, Reading)> {
    vec![
        ("sizes", one_row("sizes", sizes_at, epoch, &[("bytes", bytes)])),
        ("databases", one_row("databases", second, epoch, &[("xact_commit", commits)])),
    ]
}

fn found(outcomes: &[RuleOutcome], rule: &str) -> String {
    match &outcomes.iter().find(|o| o.meta.id == rule).unwrap().outcome {
        Outcome::Ok(evaluation) => {
            let findings: Vec<&str> = evaluation.findings.iter().map(|f| f.summary.as_str()).collect();
            format!("{} unknown {}", findings.join(","), evaluation.unknown)
        }
        other => other.reason(),
    }
}

#[tokio::test(start_paused = true)]
async fn windows_and_rates_come_from_stored_readings() {
    let mut world = World::new(GROWTH, 900);
    let first = world.tick(0, sizes_and_commits(0, 0, 1_000.0, 0.0, "e")).await.1;
    assert_eq!(found(&first, "growth"), "sizes: `ago(sizes.bytes, 1h)` needs a history of 1h");
    assert_eq!(found(&first, "busy"), "databases: `rate(databases.xact_commit)` needs two readings");
    for n in 1..4 {
        let second = n * 900;
        let outcomes = world.tick(second, sizes_and_commits(second, second, 1_000.0, second as f64 * 10.0, "e")).await.1;
        assert_eq!(found(&outcomes, "busy"), "10 commits a second unknown 0");
    }
    let hour = world.tick(3_600, sizes_and_commits(3_600, 3_600, 1_500.0, 36_000.0, "e")).await.1;
    assert_eq!(found(&hour, "growth"), "grew by 500 unknown 0");
    // Sizes are not due: the reading of an hour ago is carried, with its own age, and is not missing.
    let carried = world.tick(4_500, sizes_and_commits(4_500, 3_600, 1_500.0, 45_000.0, "e")).await.1;
    assert!(found(&carried, "growth").contains("unknown 0"), "{}", found(&carried, "growth"));
    // The server was restarted: no rate is known, and nobody invents one.
    let restarted = world.tick(5_400, sizes_and_commits(5_400, 5_400, 1_500.0, 1.0, "other")).await.1;
    assert_eq!(found(&restarted, "busy"), " unknown 1");
}

#[tokio::test(start_paused = true)]
async fn a_recorded_tick_replays_byte_for_byte_and_a_changed_rule_is_refused() {
    let mut world = World::new(CLIENTS, 60);
    world.tick(0, clients(0, 90.0)).await;
    let (basis, outcomes, decision) = world.tick(180, clients(180, 97.0)).await;
    let tick = record(&basis, &world.rules, &world.wishes(), &world.config, (outcomes, decision)).unwrap();
    let path = world.folder.path().join("tick.json.gz");
    tick_file::write(&path, &tick).unwrap();
    let again = tick_file::read(&path).unwrap();
    replay(&again, &world.rules).unwrap();
    assert_eq!(serde_json::to_vec(&again).unwrap(), serde_json::to_vec(&tick).unwrap());

    let changed = World::new(&CLIENTS.replace("> 80", "> 81"), 60);
    let refused = replay(&again, &changed.rules).unwrap_err();
    assert!(matches!(&refused, ReplayError::RulesChanged(ids) if ids == "clients"), "{refused}");
    let mut forged = again;
    forged.decision.book.version += 1;
    assert!(matches!(replay(&forged, &world.rules), Err(ReplayError::Differs(_))));
}

#[test]
fn a_fingerprint_is_who_and_never_what() {
    let subject: Labels = [("table", "orders")].into_iter().collect();
    assert_eq!(alert::fingerprint("r", "t", &subject), alert::fingerprint("r", "t", &subject));
    assert_ne!(alert::fingerprint("r", "t", &subject), alert::fingerprint("r", "u", &subject));
}
