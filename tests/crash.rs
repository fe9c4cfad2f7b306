//! Kill -9 at every point between a decision and its delivery: nothing is lost, and at most the row in flight is told
//! twice, under the same key.
//!
//! A test starts this binary again as a child that works on the same store. The child says on its output how far it is
//! and then stands still, or goes on working; the test kills it (SIGKILL), and looks at what is left.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::BoxFuture;
use pgsteward::clock::Clock;
use pgsteward::deliver::channels::{KINDS, Means, Terminal};
use pgsteward::deliver::{Channel, DrainBudget, DrainReport, Line, Message, Post, Receipt, SendError};
use pgsteward::env::Env;
use pgsteward::model::{Book, Decision, Notice, NoticeKind, Snapshot};
use pgsteward::store::{AttemptOutcome, LeaseRequest, Store, TickCommit};
use pgsteward::yaml::{self, Fields};

const FOLDER: &str = "PGSTEWARD_CRASH_FOLDER";
const POINT: &str = "PGSTEWARD_CRASH_POINT";

/// How far the child goes.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Point {
    BeforeCommit,
    AfterCommit,
    BeforeSend,
    AfterSend,
    TicksForEver,
    SendsForEver,
}

impl Point {
    const ALL: [Self; 6] =
        [Self::BeforeCommit, Self::AfterCommit, Self::BeforeSend, Self::AfterSend, Self::TicksForEver, Self::SendsForEver];
}

fn at(s: i64) -> DateTime<Utc> {
    DateTime::<Utc>::UNIX_EPOCH + TimeDelta::seconds(s)
}

/// A notice for each of `0..count`, each of an episode of its own.
fn notices(tick: i64, count: usize) -> Vec<Notice> {
    let notice = |n: usize| {
        let json = serde_json::json!({
            "key": format!("tick-{tick}-notice-{n}"), "channel": "log", "kind": NoticeKind::Firing, "fingerprint": format!("f{n}"),
            "episode": format!("tick-{tick}-episode-{n}"), "target": "shop", "rule": "r", "title": "t", "subject": {}, "labels": {},
            "tier": "ticket", "severity": "warning", "summary": "s".repeat(2_000), "detail": "", "evidence": [], "actions": [],
            "runbook": "", "began_during": null, "active_at": at(tick), "at": at(tick)
        });
        serde_json::from_value(json).unwrap()
    };
    (0..count).map(notice).collect()
}

/// One tick of the target `shop` with that many notices.
fn commit(store: &mut Store, tick: i64, count: usize) {
    store.acquire_lease("shop", "me", at(tick), 60).unwrap();
    let snapshot: Snapshot = serde_json::from_value(
        serde_json::json!({"form": 1, "target": {"name": "shop"}, "taken_at": at(tick), "server": null, "frames": {}}),
    )
    .unwrap();
    let decision = Decision { book: Book::default(), notices: notices(tick, count), ..Decision::default() };
    let base_version = store.book("shop").unwrap().version;
    store
        .commit(&TickCommit {
            target: "shop",
            owner: "me",
            now: at(tick),
            snapshot: &snapshot,
            outcomes: &[],
            decision: &decision,
            base_version,
        })
        .unwrap();
}

fn store_at(folder: &Path) -> Store {
    Store::open(&folder.join("store.db")).unwrap()
}

/// The shipped `log` channel; small files, so that turning over is part of what is killed.
fn log_at(folder: &Path) -> Arc<dyn Channel> {
    let text = format!("file: {}\nrotate: 40kB\nkeep: 1000", folder.join("alerts.jsonl").display());
    let root = yaml::parse("c", &text).unwrap();
    let kind = KINDS.iter().find(|kind| kind.name == "log").unwrap();
    let settings = (kind.settings)("c", &mut Fields::open("c", &root, "a channel").unwrap()).unwrap();
    Arc::from(settings.build("log", &Means { terminal: Terminal::plain(Arc::new(Mutex::new(std::io::sink()))), env: Env::of([]) }))
}

/// Tells the test how far the child is.
fn say(word: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "child: {word}").unwrap();
    out.flush().unwrap();
}

fn stand_still() -> ! {
    loop {
        std::thread::park();
    }
}

/// Stands still before or after its channel has sent, or says what it has sent.
struct Watched {
    inner: Arc<dyn Channel>,
    point: Point,
}

impl Channel for Watched {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn kind(&self) -> &'static str {
        self.inner.kind()
    }

    fn send<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<Receipt, SendError>> {
        Box::pin(async move {
            if self.point == Point::BeforeSend {
                say("ready");
                stand_still();
            }
            let receipt = self.inner.send(message).await;
            say(if self.point == Point::AfterSend { "ready" } else { &message.key });
            if self.point == Point::AfterSend {
                stand_still();
            }
            receipt
        })
    }
}

fn deliver(folder: &Path, channel: Arc<dyn Channel>, now: DateTime<Utc>) -> DrainReport {
    let lines = BTreeMap::from([("log".to_string(), Line::plain(channel))]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let store = Mutex::new(store_at(folder));
    let budget = DrainBudget { rows: 100_000, time: Duration::from_secs(600) };
    let owner = std::process::id().to_string();
    runtime.block_on(async {
        Post { store: &store, lines: &lines, owner: &owner, clock: &Clock::starting_at(now), seed: 0 }.drain(budget).await
    })
}

/// What runs in the child. Does nothing when the tests run as usual.
#[test]
#[expect(clippy::disallowed_methods, reason = "how a test tells its child what to do")]
fn child() {
    let (Ok(folder), Ok(point)) = (std::env::var(FOLDER), std::env::var(POINT)) else { return };
    let folder = PathBuf::from(folder);
    let point = Point::ALL.into_iter().find(|p| format!("{p:?}") == point).unwrap();
    let mut store = store_at(&folder);
    match point {
        Point::BeforeCommit => {
            store.acquire_lease("shop", "me", at(1), 60).unwrap();
            say("ready");
            stand_still();
        }
        Point::AfterCommit => {
            commit(&mut store, 1, 3);
            say("ready");
            stand_still();
        }
        Point::TicksForEver => {
            for tick in 0.. {
                commit(&mut store, tick, 3);
                say(&tick.to_string());
            }
        }
        Point::BeforeSend | Point::AfterSend | Point::SendsForEver => {
            drop(store);
            deliver(&folder, Arc::new(Watched { inner: log_at(&folder), point }), at(10));
            say("done");
        }
    }
}

struct Running {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Running {
    fn start(folder: &Path, point: Point) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["child", "--exact", "--nocapture", "--test-threads=1"])
            .env(FOLDER, folder)
            .env(POINT, format!("{point:?}"))
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// The next thing that the child says.
    fn said(&mut self) -> String {
        let words = self.lines.by_ref().map(Result::unwrap).filter_map(|line| Some(line.split_once("child: ")?.1.to_string()));
        words.into_iter().next().expect("the child ended too early")
    }

    /// Kills it with SIGKILL; what it had said until then.
    fn kill(mut self) -> Vec<String> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.lines.map_while(Result::ok).filter_map(|line| Some(line.split_once("child: ")?.1.to_string())).collect()
    }
}

/// Lets a child come to that point and kills it there.
fn killed_at(folder: &Path, point: Point) {
    let mut child = Running::start(folder, point);
    assert_eq!(child.said(), "ready");
    child.kill();
}

/// How often each key stands in the log, through all its files; every line but a torn one is whole.
fn told(folder: &Path) -> BTreeMap<String, usize> {
    let mut told = BTreeMap::new();
    for file in std::fs::read_dir(folder).unwrap().map(|f| f.unwrap()).filter(|f| f.file_name().to_string_lossy().starts_with("alerts")) {
        for line in std::fs::read_to_string(file.path()).unwrap().lines() {
            if let Ok(line) = serde_json::from_str::<serde_json::Value>(line) {
                *told.entry(line["key"].as_str().unwrap().to_string()).or_default() += 1;
            }
        }
    }
    told
}

/// Delivers what is left, after every lease of the dead has run out.
fn recover(folder: &Path) -> DrainReport {
    deliver(folder, log_at(folder), at(3_000))
}

fn keys_of(tick: i64, count: usize) -> Vec<String> {
    notices(tick, count).into_iter().map(|notice| notice.key).collect()
}

#[test]
fn killed_before_the_commit_the_tick_never_happened() {
    let folder = tempfile::tempdir().unwrap();
    killed_at(folder.path(), Point::BeforeCommit);
    let mut store = store_at(folder.path());
    assert_eq!(store.book("shop").unwrap(), Book::default());
    assert_eq!(store.outbox_counts().unwrap(), BTreeMap::new());
    store.acquire_lease("shop", "another", at(1 + 61), 60).unwrap();
}

#[test]
fn killed_after_the_commit_everything_is_told_once() {
    let folder = tempfile::tempdir().unwrap();
    killed_at(folder.path(), Point::AfterCommit);
    assert_eq!(store_at(folder.path()).book("shop").unwrap().version, 1);
    assert_eq!(recover(folder.path()).delivered, 3);
    assert_eq!(told(folder.path()), keys_of(1, 3).into_iter().map(|key| (key, 1)).collect());
}

#[test]
fn killed_between_lease_and_send_everything_is_told_once() {
    let folder = tempfile::tempdir().unwrap();
    commit(&mut store_at(folder.path()), 1, 3);
    killed_at(folder.path(), Point::BeforeSend);
    assert_eq!(deliver(folder.path(), log_at(folder.path()), at(11)).delivered, 0, "the dead one's lease still runs");
    assert_eq!(recover(folder.path()).delivered, 3);
    assert_eq!(told(folder.path()), keys_of(1, 3).into_iter().map(|key| (key, 1)).collect());
}

#[test]
fn killed_between_send_and_finish_only_that_row_is_told_again_under_its_key() {
    let folder = tempfile::tempdir().unwrap();
    commit(&mut store_at(folder.path()), 1, 3);
    killed_at(folder.path(), Point::AfterSend);
    assert_eq!(told(folder.path()).len(), 1);
    recover(folder.path());
    let told = told(folder.path());
    assert_eq!(told.keys().cloned().collect::<Vec<_>>(), keys_of(1, 3));
    assert_eq!(told.values().sum::<usize>(), 4, "{told:?}");
}

#[test]
fn killed_in_the_middle_of_commits_each_is_there_whole_or_not_at_all() {
    for after in [1, 2, 5, 9, 14] {
        let folder = tempfile::tempdir().unwrap();
        let mut child = Running::start(folder.path(), Point::TicksForEver);
        let mut committed: Vec<String> = (0..after).map(|_| child.said()).collect();
        committed.extend(child.kill());
        let store = store_at(folder.path());
        let version = store.book("shop").unwrap().version as usize;
        assert!(version >= committed.len(), "{version} of {} that were reported", committed.len());
        assert!(version <= committed.len() + 1, "at most the one in flight was not reported");
        assert_eq!(store.outbox_counts().unwrap()["log"].waiting as usize, 3 * version);
        assert_eq!(store.latest("shop").unwrap().unwrap().taken_at, at(version as i64 - 1));
    }
}

#[test]
fn killed_in_the_middle_of_sends_nothing_is_lost_and_little_is_repeated() {
    let folder = tempfile::tempdir().unwrap();
    commit(&mut store_at(folder.path()), 1, 100);
    let kills = [3, 7, 11, 17];
    for (nth, after) in kills.into_iter().enumerate() {
        let mut child = Running::start(folder.path(), Point::SendsForEver);
        (0..after).for_each(|_| drop(child.said()));
        child.kill();
        // What the dead one held is free again for the next, whose clock starts at the same time.
        let mut store = store_at(folder.path());
        let (channel, owner, messages) = ("log", "undertaker", LeaseRequest::MOST);
        let ask = LeaseRequest { channel, owner, now: at(2_000), messages, most: 1, ttl_s: 0, critical: false };
        let rows = store.lease_messages(&ask).unwrap().into_iter().flat_map(|batch| batch.rows);
        let ended: Vec<_> = rows.map(|row| (row.id, AttemptOutcome::Untried)).collect();
        store.finish(owner, &ended, None, at(2_000)).unwrap();
        assert!(!told(folder.path()).is_empty(), "kill {nth}");
    }
    recover(folder.path());
    let told = told(folder.path());
    assert_eq!(told.len(), 100);
    assert!(told.values().sum::<usize>() <= 100 + kills.len(), "at most the row in flight of each kill: {told:?}");
}
