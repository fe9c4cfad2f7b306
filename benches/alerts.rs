//! What alerts cost between a rule and the outbox: deciding and committing, CPU time of the whole process, and memory.
//!
//! One target, ten rules, so many alerts (10,000 unless an argument says otherwise), one channel. The first tick finds all of
//! them and queues a notice each; the next twenty find the same again. `cargo bench --bench alerts -- 100000` for more.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark fails by panicking, and prints")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use cpu_time::ProcessTime;
use pgsteward::alert;
use pgsteward::model::*;
use pgsteward::store::{Store, TickCommit};

const RULES: usize = 10;
const TICKS: u32 = 20;

fn main() {
    let alerts: usize = std::env::args().filter_map(|argument| argument.parse().ok()).next().unwrap_or(10_000);
    let folder = tempfile::tempdir().unwrap();
    let mut desk = Desk::new(&folder.path().join("store.db"), alerts);
    println!("{alerts} alerts of {RULES} rules on one target, one channel; CPU time of the process\n");
    println!("{:<44} {:>8} MB", "before", megabytes("VmRSS"));

    let first = desk.tick(0);
    assert_eq!(first.queued, alerts, "a notice each");
    println!("{:<44} {:>8} MB, {} MB at most", "after the first tick", megabytes("VmRSS"), megabytes("VmHWM"));
    show("first tick, one notice each", alerts, &first.spent);

    let mut again = [Duration::ZERO; 3];
    for n in 1..=TICKS {
        let tick = desk.tick(i64::from(n) * 60);
        assert_eq!(tick.queued, 0, "nothing new");
        again.iter_mut().zip(tick.spent).for_each(|(sum, spent)| *sum += spent);
    }
    show("re-fed unchanged, mean of 20 ticks", alerts, &again.map(|sum| sum / TICKS));
    println!("{:<44} {:>8} MB, {} MB at most", "after all", megabytes("VmRSS"), megabytes("VmHWM"));
}

/// Book, decide, commit.
type Spent = [Duration; 3];

struct Tick {
    spent: Spent,
    queued: usize,
}

struct Desk {
    store: Store,
    outcomes: Vec<RuleOutcome>,
    config: DecideConfig,
}

impl Desk {
    fn new(path: &Path, alerts: usize) -> Self {
        let per_rule = alerts / RULES;
        let outcomes = (0..RULES).map(|n| outcome(n, if n == 0 { alerts - per_rule * (RULES - 1) } else { per_rule }));
        let config = DecideConfig {
            target: Target { name: "bench".into(), ..Target::default() },
            every_s: 60,
            dedup_s: Some(86_400),
            unknown_after_s: 600,
            route: Route { channels: vec!["log".into()], ..Route::default() },
            ..DecideConfig::default()
        };
        Self { store: Store::open(path).unwrap(), outcomes: outcomes.collect(), config }
    }

    fn tick(&mut self, s: i64) -> Tick {
        let now = at(s);
        self.store.acquire_lease("bench", "bench", now, 600).unwrap();
        let snapshot = Snapshot {
            form: Snapshot::FORM,
            target: self.config.target.clone(),
            taken_at: now,
            server: Some(Server::default()),
            frames: BTreeMap::new(),
            cost: Cost::default(),
        };
        let start = ProcessTime::now();
        let book = self.store.book("bench").unwrap();
        let read = ProcessTime::now();
        let decision = alert::decide(&book, &self.outcomes, &self.config, now);
        let decided = ProcessTime::now();
        let commit = TickCommit {
            target: "bench",
            owner: "bench",
            now,
            snapshot: &snapshot,
            outcomes: &self.outcomes,
            decision: &decision,
            base_version: book.version,
        };
        self.store.commit(&commit).unwrap();
        let queued = decision.tellings.len();
        drop((book, decision));
        let done = ProcessTime::now();
        Tick { spent: [read.duration_since(start), decided.duration_since(read), done.duration_since(decided)], queued }
    }
}

fn outcome(n: usize, findings: usize) -> RuleOutcome {
    let meta = serde_json::json!({
        "id": format!("rule_{n}"), "title": "dead rows", "category": "vacuum", "tier": "ticket", "pack": "own", "enabled": true,
        "inputs": [], "from": null, "settings": [], "for_s": 0, "keep_firing_for_s": 0, "interval_s": 0, "labels": {"team": "shop"},
        "channels": [], "runbook": "Look at autovacuum first.", "fire_when_missing": false, "engine": "rich", "source": "", "hash": "h"
    });
    let findings = (0..findings).map(finding).collect();
    let outcome = Outcome::Ok(Evaluation { findings, ..Evaluation::default() });
    RuleOutcome { meta: Arc::new(serde_json::from_value(meta).unwrap()), outcome }
}

fn finding(table: usize) -> Finding {
    let name = format!("table_{table}");
    Finding {
        subject: [("database", "shop"), ("schema", "public"), ("table", name.as_str())].into_iter().collect(),
        severity: Severity::Warning,
        summary: format!("shop.public.{name} has 31 % dead rows"),
        detail: String::new(),
        evidence: vec![Evidence { metric: "dead_ratio".into(), value: Some(0.31), threshold: Some(0.2), unit: Unit::Ratio }],
        actions: Vec::new(),
        links: Vec::new(),
    }
}

fn at(s: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(1_800_000_000 + s)
}

fn show(what: &str, alerts: usize, spent: &Spent) {
    let per_alert = |spent: &Duration| spent.as_secs_f64() * 1e6 / alerts as f64;
    let [book, decide, commit] = spent.each_ref().map(per_alert);
    let all = book + decide + commit;
    println!("{what:<44} {all:>8.2} us an alert   (book {book:.2}, decide {decide:.2}, commit {commit:.2})");
}

/// A figure of this process from the kernel, in whole megabytes.
fn megabytes(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or_default() / 1_024
}
