//! What it costs to bring alerts to a receiver over HTTP, from the deciding to the last answer; and what a receiver that
//! fails, and a sender that is killed, do to that. One notice a message, durable: every commit is on the disk.
//!
//! The sender and the receiver are processes of their own, so that only the sender's CPU time and memory are counted.
//! `cargo bench --bench delivery -- 10000`; for the failing receiver and the kill: `-- 10000 faults`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a benchmark fails by panicking, and prints")]

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cpu_time::ProcessTime;
use pgsteward::alert;
use pgsteward::app::delivery::free_rows_of_the_dead;
use pgsteward::app::house::SharedStore;
use pgsteward::clock::Clock;
use pgsteward::deliver::channels::{KINDS, Means, Terminal};
use pgsteward::deliver::{DrainBudget, Line, Post};
use pgsteward::env::Env;
use pgsteward::model::*;
use pgsteward::store::{Store, TickCommit};
use pgsteward::yaml::{self, Fields};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["receiver"] => runtime().block_on(receiver()),
        ["sender", folder, port, alerts] => send(Path::new(folder), port, alerts.parse().unwrap()),
        ["latency", folder, port] => latency(Path::new(folder), port),
        _ => measure(words.iter().find_map(|word| word.parse().ok()).unwrap_or(10_000), words.iter().any(|word| word == "faults")),
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

fn measure(alerts: usize, faults: bool) {
    println!("{alerts} alerts, one notice each, by the webhook channel to another process on this machine");
    let receiver = Receiver::start();
    let folder = tempfile::tempdir().unwrap();
    println!("\nall well\n{}", sender(folder.path(), &receiver, alerts).output());
    receiver.shows(alerts);
    println!("\nfrom the commit of one notice to the answer of the receiver, nothing else to do\n{}", idle(&receiver).output());
    if !faults {
        return;
    }
    let receiver = Receiver::start();
    let folder = tempfile::tempdir().unwrap();
    receiver.ask("/fail/30");
    println!("\nthe receiver says 500 for 30 s\n{}", sender(folder.path(), &receiver, alerts).output());
    receiver.shows(alerts);

    let receiver = Receiver::start();
    let folder = tempfile::tempdir().unwrap();
    let first = sender(folder.path(), &receiver, alerts);
    let kill_at = alerts / 2;
    while receiver.stats().accepted < kill_at {
        std::thread::sleep(Duration::from_millis(1));
    }
    first.kill();
    println!("\nkilled (-9) after {} were taken, then started again\n{}", kill_at, sender(folder.path(), &receiver, 0).output());
    receiver.shows(alerts);
}

/// A process of this program.
struct Other(Child);

impl Other {
    fn start(words: &[&str]) -> Self {
        Self(Command::new(std::env::current_exe().unwrap()).args(words).stdout(Stdio::piped()).spawn().unwrap())
    }

    fn output(mut self) -> String {
        let mut text = String::new();
        self.0.stdout.take().unwrap().read_to_string(&mut text).unwrap();
        assert!(self.0.wait().unwrap().success());
        text.trim_end().into()
    }

    fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn sender(folder: &Path, receiver: &Receiver, alerts: usize) -> Other {
    Other::start(&["sender", folder.to_str().unwrap(), &receiver.port, &alerts.to_string()])
}

fn idle(receiver: &Receiver) -> Other {
    let folder = tempfile::tempdir().unwrap().keep();
    Other::start(&["latency", folder.to_str().unwrap(), &receiver.port])
}

/// The receiver, from outside.
struct Receiver {
    process: Child,
    port: String,
}

struct Stats {
    accepted: usize,
    distinct: usize,
    refused: usize,
}

impl Receiver {
    fn start() -> Self {
        let Other(mut process) = Other::start(&["receiver"]);
        let mut port = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut port).unwrap();
        Self { process, port: port.trim().into() }
    }

    fn ask(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(format!("127.0.0.1:{}", self.port)).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split_once("\r\n\r\n").unwrap().1.into()
    }

    fn stats(&self) -> Stats {
        let numbers: Vec<usize> = self.ask("/stats").split(' ').map(|number| number.parse().unwrap()).collect();
        Stats { accepted: numbers[0], distinct: numbers[1], refused: numbers[2] }
    }

    fn shows(&self, alerts: usize) {
        let Stats { accepted, distinct, refused } = self.stats();
        println!("taken {accepted}, told twice {}, lost {}, answered with 500: {refused}", accepted - distinct, alerts - distinct);
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// What the receiver has seen.
#[derive(Default)]
struct Seen {
    keys: HashMap<String, usize>,
    accepted: usize,
    refused: usize,
    fails_until: Option<tokio::time::Instant>,
}

async fn receiver() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap().port());
    let seen = Arc::new(Mutex::new(Seen::default()));
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let seen = seen.clone();
        tokio::spawn(async move { drop(serve(stream, &seen).await) });
    }
}

async fn serve(mut stream: tokio::net::TcpStream, seen: &Mutex<Seen>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let (reader, mut writer) = stream.split();
    let mut reader = tokio::io::BufReader::new(reader);
    loop {
        let (mut first, mut key, mut length) = (String::new(), String::new(), 0);
        if reader.read_line(&mut first).await? == 0 {
            return Ok(());
        }
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).await?;
            match line.trim_end().split_once(": ") {
                None => break,
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.parse().unwrap(),
                Some((name, value)) if name.eq_ignore_ascii_case("idempotency-key") => key = value.into(),
                Some(_) => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).await?;
        let (status, answer) = answer(&first, key, &mut seen.lock().unwrap());
        writer.write_all(format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\n\r\n{answer}", answer.len()).as_bytes()).await?;
        if first.starts_with("GET") {
            return Ok(());
        }
    }
}

fn answer(first: &str, key: String, seen: &mut Seen) -> (u16, String) {
    let now = tokio::time::Instant::now();
    if first.starts_with("GET /stats") {
        return (200, format!("{} {} {}", seen.accepted, seen.keys.len(), seen.refused));
    }
    if let Some(seconds) = first.strip_prefix("GET /fail/") {
        let seconds = seconds.split(' ').next().unwrap().parse().unwrap();
        seen.fails_until = Some(now + Duration::from_secs(seconds));
        return (200, String::new());
    }
    if seen.fails_until.is_some_and(|until| now < until) {
        seen.refused += 1;
        return (500, String::new());
    }
    seen.accepted += 1;
    *seen.keys.entry(key).or_default() += 1;
    (200, "ok".into())
}

fn lines(port: &str) -> BTreeMap<String, Line> {
    let kind = KINDS.iter().find(|kind| kind.name == "webhook").unwrap();
    let root = yaml::parse("bench", &format!("url: http://127.0.0.1:{port}/hook")).unwrap();
    let settings = (kind.settings)("bench", &mut Fields::open("bench", &root, "a channel").unwrap()).unwrap();
    let means = Means { terminal: Terminal::plain(Arc::new(Mutex::new(std::io::sink()))), env: Env::of([]) };
    let plain = Line::plain(Arc::from(settings.build("hook", &means)));
    [("hook".to_string(), Line { traits: kind.traits, ..plain })].into()
}

fn open(folder: &Path) -> SharedStore {
    SharedStore::new(Store::open(&folder.join("store.db")).unwrap())
}

/// Decides and commits so many alerts, then delivers until nothing waits.
fn send(folder: &Path, port: &str, alerts: usize) {
    let (store, lines) = (open(folder), lines(port));
    let owner = format!("{}-0", std::process::id());
    free_rows_of_the_dead(&store).unwrap();
    let (cpu, wall) = (ProcessTime::now(), tokio::time::Instant::now());
    if alerts > 0 {
        commit(&store, 0, alerts);
    }
    let committed = cpu.elapsed();
    let budget = DrainBudget { rows: usize::MAX, time: Duration::from_secs(3_600) };
    runtime().block_on(async {
        let post = Post { store: &store.0, lines: &lines, owner: &owner, clock: &Clock::System, seed: 1 };
        post.drain(budget).await;
        while store.lock().outbox_counts().unwrap()["hook"].waiting > 0 {
            post.drain(budget).await;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    let (cpu, wall) = (cpu.elapsed(), wall.elapsed().as_secs_f64());
    if alerts > 0 {
        let per_alert = |spent: Duration| spent.as_secs_f64() * 1e6 / alerts as f64;
        println!(
            "{:.1} us of CPU an alert (decide and commit {:.1}, deliver {:.1}); {:.0} MB at most; {wall:.1} s",
            per_alert(cpu),
            per_alert(committed),
            per_alert(cpu - committed),
            peak_megabytes(),
        );
    } else {
        println!("{wall:.1} s for the rest");
    }
}

/// One notice at a time, each after the one before was answered.
fn latency(folder: &Path, port: &str) {
    const TIMES: usize = 300;
    let (store, lines) = (open(folder), lines(port));
    let budget = DrainBudget { rows: 1_000, time: Duration::from_secs(5) };
    let mut took: Vec<f64> = runtime().block_on(async {
        let post = Post { store: &store.0, lines: &lines, owner: "bench", clock: &Clock::System, seed: 1 };
        let mut took = Vec::new();
        for n in 1..=TIMES {
            commit(&store, n - 1, 1);
            let committed = tokio::time::Instant::now();
            assert_eq!(post.drain(budget).await.delivered, 1);
            took.push(committed.elapsed().as_secs_f64() * 1e3);
        }
        took
    });
    took.sort_by(f64::total_cmp);
    let of = |share: f64| took[((TIMES - 1) as f64 * share) as usize];
    println!("p50 {:.1} ms, p99 {:.1} ms, longest {:.1} ms of {TIMES}", of(0.5), of(0.99), of(1.0));
}

/// One tick that finds so many new alerts, each of a table of its own; the first has the number `first`.
fn commit(store: &SharedStore, first: usize, alerts: usize) {
    let now = Clock::System.now();
    let target = Target { name: "bench".into(), ..Target::default() };
    let config = DecideConfig {
        target: target.clone(),
        every_s: 60,
        dedup_s: Some(86_400),
        unknown_after_s: 600,
        route: Route { channels: vec!["hook".into()], ..Route::default() },
        ..DecideConfig::default()
    };
    let outcomes = [outcome(first, alerts)];
    let mut store = store.lock();
    store.acquire_lease("bench", "bench", now, 600).unwrap();
    let book = store.book("bench").unwrap();
    let mut decision = alert::decide(&book, &outcomes, &config, now);
    decision.tellings.retain(|telling| telling.kind() == NoticeKind::Firing);
    assert_eq!(decision.tellings.len(), alerts);
    let server = Some(Server::default());
    let snapshot = Snapshot { form: Snapshot::FORM, target, taken_at: now, server, frames: BTreeMap::new(), cost: Cost::default() };
    let (target, owner, base_version) = ("bench", "bench", book.version);
    store.commit(&TickCommit { target, owner, now, snapshot: &snapshot, outcomes: &outcomes, decision: &decision, base_version }).unwrap();
}

fn outcome(first: usize, findings: usize) -> RuleOutcome {
    let meta = serde_json::json!({
        "id": "dead_rows", "title": "dead rows", "category": "vacuum", "tier": "ticket", "pack": "own", "enabled": true,
        "inputs": [], "from": null, "settings": [], "for_s": 0, "keep_firing_for_s": 0, "interval_s": 0, "labels": {"team": "shop"},
        "channels": [], "runbook": "Look at autovacuum first.", "fire_when_missing": false, "engine": "rich", "source": "", "hash": "h"
    });
    let findings = (first..first + findings).map(finding).collect();
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

/// The most memory that this process has had, by the kernel.
fn peak_megabytes() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}
