//! Death within a transaction. A process of its own does one thing and is gone (`abort`) at a chosen point of it: at each row
//! that is written, between any two instructions of SQLite's machine, before the commit reaches the disk, right after it. What
//! is found then is what was there before, or all of it; and done again, it leaves what an undisturbed one leaves.
//!
//! The points are SQLite's own hooks, set by the test on the connection; the code of this room knows nothing of them. Death
//! within a write to the disk is in `tests/crash.rs`, a torn log in `tests/store_damage.rs`.
#![allow(clippy::print_stdout, reason = "it shows what goes into the crash matrix")]

use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rusqlite::Connection;
use rusqlite::hooks::{Action, Wal};
use rusqlite::types::Value;

use super::testing::{alert, at, dead, decision, delivered, frame, meta, notice, snapshot};
use super::{AttemptOutcome, ChannelState, DeadFilter, Store, TickCommit};
use crate::model::{
    Ack, AckMode, Decision, DecisionRecord, Evaluation, Fingerprint, Labels, Matchers, NoticeKind, Outcome, Reason, RuleOutcome, Severity,
    Silence, State, Transition,
};

/// One transaction, and what it needs to find.
struct Deed {
    name: &'static str,
    prepare: fn(&mut Store),
    act: fn(&mut Store),
}

const DEEDS: [Deed; 8] = [
    Deed { name: "commit of a tick", prepare: a_life, act: commit },
    Deed { name: "lease of messages", prepare: a_life, act: |store| assert_eq!(store.lease_rows("mail", "me", 100, 64).len(), 3) },
    Deed { name: "finish of a batch", prepare: leased, act: finish },
    Deed {
        name: "hand-over to the fallback",
        prepare: a_life,
        act: |store| assert_eq!(store.hand_over("mail", "log", "it is paused", at(100)).unwrap(), 3),
    },
    Deed { name: "redrive", prepare: given_up, act: |store| assert_eq!(store.redrive(&DeadFilter::default(), at(200)).unwrap(), 3) },
    Deed { name: "silence", prepare: a_life, act: |store| drop(store.add_silence(&silence("another")).unwrap()) },
    Deed { name: "acknowledgement", prepare: a_life, act: |store| assert!(store.ack("shop", &f("f2"), &ack("e2")).unwrap()) },
    Deed { name: "resume of a channel", prepare: resting, act: |store| assert!(store.resume_channel("mail", at(100)).unwrap()) },
];

fn f(name: &str) -> Fingerprint {
    Fingerprint(name.into())
}

/// Two firing alerts, told to nobody yet, one of them acknowledged; a silence; a lease that does not run out.
fn a_life(store: &mut Store) {
    let (one, two) = (alert("f1", "e1"), alert("f2", "e2"));
    let notices =
        [("k1", &one), ("k2", &two), ("k3", &alert("f3", "e3"))].map(|(key, alert)| notice(key, alert, "mail", NoticeKind::Firing));
    store.commit_simply(&snapshot(0, &[frame("tables", 0, &[1.0])]), &decision(&[one, two], &notices)).unwrap();
    store.ack("shop", &f("f1"), &ack("e1")).unwrap();
    store.add_silence(&silence("a deploy")).unwrap();
    store.acquire_lease("shop", "me", at(0), 1_000_000).unwrap();
}

fn ack(episode: &str) -> Ack {
    let (who, mode) = ("anna".to_string(), AckMode::UntilResolved);
    Ack { episode: episode.into(), who, note: "on it".into(), at: at(10), until: None, mode, severity: Severity::Warning }
}

fn silence(reason: &str) -> Silence {
    Silence {
        id: String::new(),
        matchers: Matchers::default(),
        starts_at: at(0),
        ends_at: at(1_000_000),
        author: "anna".into(),
        reason: reason.into(),
        link: None,
        expire_on_resolve: true,
        created_at: at(0),
        ended: None,
    }
}

/// A tick after which one alert is over, before its beginning was told, and another has begun.
fn commit(store: &mut Store) {
    let (over, new) = (alert("f1", "e1"), alert("f4", "e4"));
    let change = |of: &crate::model::Alert, from, to| Transition {
        fingerprint: of.fingerprint.clone(),
        episode: of.episode.clone(),
        rule: of.rule.clone(),
        subject: Labels::default(),
        severity: of.severity,
        from,
        to,
        reason: Reason::Cleared,
        summary: String::new(),
        rule_hash: String::new(),
        labels: Labels::default(),
        at: at(60),
    };
    let silence = store.silences_since(at(0)).unwrap().remove(0).id;
    let decided = Decision {
        removed: vec![f("f1")],
        steps: vec![change(&over, State::Firing, State::Resolved).into(), change(&new, State::Inactive, State::Firing).into()],
        records: vec![DecisionRecord { fingerprint: f("f2"), channel: Some("mail".into()), sent: false, reason: Reason::Cleared }],
        ended_acks: vec![(f("f1"), Reason::Cleared)],
        ended_silences: vec![(silence, Reason::Cleared)],
        ..decision(
            std::slice::from_ref(&new),
            &[notice("k4", &over, "mail", NoticeKind::Resolved), notice("k5", &new, "mail", NoticeKind::Firing)],
        )
    };
    let outcomes = [RuleOutcome { meta: Arc::new(meta("too_many")), outcome: Outcome::Ok(Evaluation::default()) }];
    let snapshot = snapshot(60, &[frame("tables", 60, &[2.0]), frame("slots", 60, &[0.0])]);
    let base_version = store.book("shop").unwrap().version;
    let (target, owner, now) = ("shop", "me", at(60));
    store.commit(&TickCommit { target, owner, now, snapshot: &snapshot, outcomes: &outcomes, decision: &decided, base_version }).unwrap();
}

fn leased(store: &mut Store) {
    a_life(store);
    store.lease_rows("mail", "me", 100, 64);
}

/// One message was taken, one is tried again, one is given up and told by the fallback.
fn finish(store: &mut Store) {
    let given_up = AttemptOutcome::Dead { error: "404".into(), fallback: Some("log".into()) };
    let ended = [delivered("250"), AttemptOutcome::Retry { at: at(300), error: "503".into() }, given_up];
    let ended: Vec<_> = (1..).zip(ended).collect();
    let failing = ChannelState { failing_since: Some(at(100)), error: "503".into(), ..ChannelState::default() };
    assert_eq!(store.finish("me", &ended, Some(("mail", &failing)), at(101)).unwrap(), Vec::<i64>::new());
}

fn given_up(store: &mut Store) {
    let living = ["1", "2", "3"].map(|n| alert(&format!("f{n}"), &format!("e{n}")));
    let notices = living.each_ref().map(|alert| notice(&alert.episode, alert, "mail", NoticeKind::Firing));
    store.commit_simply(&snapshot(0, &[]), &decision(&living, &notices)).unwrap();
    assert_eq!(store.end_due("mail", 100, &dead("404")), 3);
}

fn resting(store: &mut Store) {
    a_life(store);
    store.end_due("mail", 10, &AttemptOutcome::Retry { at: at(900), error: "401".into() });
    store.set_channel_state("mail", &ChannelState { paused: Some((at(10), "401".into())), ..ChannelState::default() }).unwrap();
}

/// Where the process dies.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Point {
    /// At the nth row that is written.
    Row(usize),
    /// At the nth instruction.
    Step(usize),
    /// Before the commit reaches the log.
    Commit,
    /// After it.
    Committed,
}

impl Point {
    fn words(self) -> String {
        match self {
            Self::Row(n) => format!("row {n}"),
            Self::Step(n) => format!("step {n}"),
            Self::Commit => "commit 1".into(),
            Self::Committed => "committed 1".into(),
        }
    }

    fn of_words(words: &str) -> Self {
        let (word, n) = words.split_once(' ').unwrap();
        match (word, n.parse().unwrap()) {
            ("row", n) => Self::Row(n),
            ("step", n) => Self::Step(n),
            ("commit", _) => Self::Commit,
            _ => Self::Committed,
        }
    }

    /// Lets the process die there.
    fn arm(self, db: &mut Connection) {
        let mut left = if let Self::Row(n) | Self::Step(n) = self { n } else { 1 };
        let mut count = move || {
            left -= 1;
            if left == 0 {
                std::process::abort();
            }
        };
        match self {
            Self::Row(_) => db.update_hook(Some(move |_: Action, _: &str, _: &str, _| count())),
            Self::Step(_) => db.progress_handler(1, Some(move || (count(), false).1)),
            Self::Commit => db.commit_hook(Some(move || (count(), false).1)),
            Self::Committed => db.wal_hook(Some(|_: &mut Wal, _: i32| -> rusqlite::Result<()> { std::process::abort() })),
        }
        .unwrap();
    }
}

/// What runs in the process that dies: it is told deed, point and file through its standard input.
#[test]
#[ignore = "the tests beside it start it as a process of its own"]
fn child() {
    let lines: Vec<String> = std::io::stdin().lines().map_while(Result::ok).collect();
    let [deed, point, path] = &lines[..] else { return };
    let deed = DEEDS.into_iter().find(|known| known.name == deed).unwrap();
    let mut store = Store::open(Path::new(path)).unwrap();
    Point::of_words(point).arm(&mut store.db);
    (deed.act)(&mut store);
}

/// Whether it died of it.
fn dies(deed: &Deed, point: Point, path: &Path) -> bool {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store::fail_points::child", "--ignored", "--nocapture"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    writeln!(child.stdin.take().unwrap(), "{}\n{}\n{}", deed.name, point.words(), path.display()).unwrap();
    let ended = child.wait().unwrap();
    assert!(ended.success() || ended.signal().is_some(), "{} at {point:?}: {ended}", deed.name);
    !ended.success()
}

/// A copy of the prepared store in a folder of its own.
fn copy(prepared: &Path, folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::copy(prepared, &path).unwrap();
    path
}

/// Every row of every table.
fn content(store: &Store) -> Vec<String> {
    let mut tables = store.db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").unwrap();
    let tables: Vec<String> = tables.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let mut content = Vec::new();
    for table in tables {
        let mut query = store.db.prepare(&format!("SELECT * FROM {table}")).unwrap();
        let columns = query.column_count();
        let rows = query.query_map([], |row| (0..columns).map(|at| row.get::<_, Value>(at)).collect::<Result<Vec<_>, _>>());
        content.extend(rows.unwrap().map(|row| format!("{table} {:?}", row.unwrap())));
    }
    content
}

/// Does the deed undisturbed: rows and instructions that it takes, and what is left.
fn undisturbed(deed: &Deed, path: &Path) -> (usize, usize, Vec<String>) {
    let mut store = Store::open(path).unwrap();
    let (rows, steps): (Arc<AtomicUsize>, Arc<AtomicUsize>) = Default::default();
    let (row, step) = (rows.clone(), steps.clone());
    store.db.update_hook(Some(move |_: Action, _: &str, _: &str, _| (row.fetch_add(1, Ordering::Relaxed), ()).1)).unwrap();
    store.db.progress_handler(1, Some(move || (step.fetch_add(1, Ordering::Relaxed), false).1)).unwrap();
    (deed.act)(&mut store);
    (rows.load(Ordering::Relaxed), steps.load(Ordering::Relaxed), content(&store))
}

/// Instructions at which it dies, spread over all of them but the last, by which the commit is done.
const STEPS: usize = 40;

#[test]
fn a_transaction_that_dies_anywhere_never_happened_and_can_be_done_again() {
    for deed in &DEEDS {
        let folder = tempfile::tempdir().unwrap();
        let prepared = folder.path().join("prepared.db");
        (deed.prepare)(&mut Store::open(&prepared).unwrap());
        let before = content(&Store::open(&prepared).unwrap());
        let (rows, steps, after) = undisturbed(deed, &copy(&prepared, folder.path(), "undisturbed.db"));
        assert!(rows + steps > 0 && before != after, "{}: it changes something", deed.name);

        let points = (1..=rows).map(Point::Row).chain((1..=STEPS).map(|n| Point::Step(1 + n * steps / (STEPS + 1))));
        let points: Vec<Point> = points.chain([Point::Commit, Point::Committed]).collect();
        for (n, point) in points.iter().enumerate() {
            let path = copy(&prepared, folder.path(), &format!("{n}.db"));
            assert!(dies(deed, *point, &path), "{} at {point:?}", deed.name);
            let mut store = Store::open(&path).unwrap();
            let expected = if *point == Point::Committed { &after } else { &before };
            assert_eq!(content(&store), *expected, "{} at {point:?}", deed.name);
            if *point != Point::Committed {
                (deed.act)(&mut store);
                assert_eq!(content(&store), after, "{} at {point:?}, done again", deed.name);
            }
        }
        println!(
            "| {} | {} rows, {STEPS} of {steps} instructions, before and after the commit | {} | 0 | 0 |",
            deed.name,
            rows,
            points.len()
        );
    }
}
