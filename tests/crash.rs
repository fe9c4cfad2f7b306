//! The crash matrix: kill -9 at every point between a decision and its delivery. Nothing is lost, and at most the messages
//! in flight are told twice, under the same key.
//!
//! A test starts this binary again as a child that does one thing again and again on the same folder, and says before and
//! after each time how far it is. The test kills it (SIGKILL) at moments spread over that thing, starts the next one, and in
//! the end looks at what is left. `cargo test --test crash -- --nocapture` prints the matrix. Long, because each deed of the
//! child stands beside what must be left of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::BoxFuture;
use pgsteward::app::status::{self, Status};
use pgsteward::clock::Clock;
use pgsteward::deliver::channels::{KINDS, Means, Terminal};
use pgsteward::deliver::{Channel, DrainBudget, DrainReport, Line, Message, Post, Receipt, SendError};
use pgsteward::env::Env;
use pgsteward::model::{Ack, AckMode, Alert, Book, Decision, Fingerprint, Matchers, Notice, NoticeKind, Severity, Silence, Snapshot};
use pgsteward::store::{AttemptOutcome, DeadFilter, LeaseRequest, NoticeState, Store, TickCommit};
use pgsteward::yaml::{self, Fields};

const FOLDER: &str = "PGSTEWARD_CRASH_FOLDER";
const DEED: &str = "PGSTEWARD_CRASH_DEED";

/// Most messages that one killed sender may have told without having noted it.
const IN_FLIGHT: usize = LeaseRequest::MOST;

/// What a child does again and again.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Deed {
    /// Commits a tick with three notices.
    Commit,
    /// Commits a beginning and, before it is told, its end.
    Collapse,
    /// Leases, sends and finishes up to 100 notices by the log channel, which turns its file over every few.
    Deliver,
    /// The same, standing still before its first send.
    StandBeforeSend,
    /// The same, standing still after its first send.
    StandAfterSend,
    /// Hands a notice from one channel to another.
    HandOver,
    /// Brings a dead letter back.
    Redrive,
    /// Makes a silence.
    Silence,
    /// Acknowledges an alert.
    Ack,
    /// Writes the status file.
    Status,
}

impl Deed {
    const ALL: [Self; 10] = [
        Self::Commit,
        Self::Collapse,
        Self::Deliver,
        Self::StandBeforeSend,
        Self::StandAfterSend,
        Self::HandOver,
        Self::Redrive,
        Self::Silence,
        Self::Ack,
        Self::Status,
    ];
}

fn at(s: i64) -> DateTime<Utc> {
    DateTime::<Utc>::UNIX_EPOCH + TimeDelta::seconds(s)
}

fn notice(key: &str, kind: NoticeKind, channel: &str) -> Notice {
    let episode = format!("episode of {}", key.trim_end_matches(" end"));
    Notice {
        key: key.into(),
        channel: channel.into(),
        kind,
        fingerprint: Fingerprint("f".into()),
        episode,
        target: "shop".into(),
        severity: Severity::Warning,
        summary: "s".repeat(2_000),
        ..Notice::default()
    }
}

fn alert(episode: &str) -> Alert {
    Alert { fingerprint: Fingerprint("f".into()), episode: episode.into(), target: "shop".into(), ..Alert::default() }
}

/// One tick of the target `shop` with these notices; `living` is an alert that it leaves in the book.
fn commit(store: &mut Store, notices: Vec<Notice>, living: Option<Alert>) {
    let base_version = store.book("shop").unwrap().version;
    let now = at(base_version as i64);
    store.acquire_lease("shop", "me", now, 60).unwrap();
    let snapshot: Snapshot =
        serde_json::from_value(serde_json::json!({"form": 1, "target": {"name": "shop"}, "taken_at": now, "server": null, "frames": {}}))
            .unwrap();
    let changed = living.iter().map(|alert| alert.fingerprint.clone()).collect();
    let alerts = living.into_iter().map(|alert| (alert.fingerprint.clone(), Arc::new(alert))).collect();
    let decision = Decision {
        book: Book { alerts, ..Book::default() },
        changed,
        tellings: notices.into_iter().map(Into::into).collect(),
        ..Decision::default()
    };
    let (target, owner, outcomes) = ("shop", "me", &[]);
    store.commit(&TickCommit { target, owner, now, snapshot: &snapshot, outcomes, decision: &decision, base_version }).unwrap();
}

fn firing(keys: impl IntoIterator<Item = String>, channel: &str) -> Vec<Notice> {
    keys.into_iter().map(|key| notice(&key, NoticeKind::Firing, channel)).collect()
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

/// Stands still before or after its channel has sent.
struct Standing {
    inner: Arc<dyn Channel>,
    after: bool,
}

impl Channel for Standing {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn kind(&self) -> &'static str {
        self.inner.kind()
    }

    fn send<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<Receipt, SendError>> {
        Box::pin(async move {
            if self.after {
                drop(self.inner.send(message).await);
            }
            say("begin");
            loop {
                std::thread::park();
            }
        })
    }
}

fn deliver(folder: &Path, channel: Arc<dyn Channel>, clock: impl FnOnce() -> Clock, rows: usize) -> DrainReport {
    let lines = BTreeMap::from([("log".to_string(), Line::plain(channel))]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let store = Mutex::new(store_at(folder));
    let budget = DrainBudget { rows, time: Duration::from_secs(600) };
    let owner = std::process::id().to_string();
    runtime.block_on(async { Post { store: &store, lines: &lines, owner: &owner, clock: &clock(), seed: 0 }.drain(budget).await })
}

/// Does it once; `n` is a new number each time.
fn act(deed: Deed, folder: &Path, store: &mut Store, n: usize) {
    match deed {
        Deed::Commit => commit(store, firing((0..3).map(|m| format!("{n}-{m}")), "log"), None),
        Deed::Collapse => {
            commit(store, firing([format!("{n}")], "log"), None);
            commit(store, vec![notice(&format!("{n} end"), NoticeKind::Resolved, "log")], None);
        }
        Deed::Deliver => drop(deliver(folder, log_at(folder), || Clock::System, 100)),
        Deed::StandBeforeSend | Deed::StandAfterSend => {
            let channel = Standing { inner: log_at(folder), after: deed == Deed::StandAfterSend };
            deliver(folder, Arc::new(channel), || Clock::starting_at(at(1_000)), 100);
        }
        Deed::HandOver => {
            commit(store, firing([format!("{n}")], "mail"), None);
            store.hand_over("mail", "log", "it is paused", at(1_000_000)).unwrap();
        }
        Deed::Redrive => {
            let key = format!("{n}");
            commit(store, firing([key.clone()], "log"), Some(alert(&format!("episode of {key}"))));
            let ask = LeaseRequest { channel: "log", owner: "me", now: at(1_000_000), messages: 64, most: 1, ttl_s: 0, critical: false };
            let dead = AttemptOutcome::Dead { error: "404".into(), fallback: None };
            let rows = store.lease_messages(&ask).unwrap().into_iter().flat_map(|batch| batch.rows);
            let ended: Vec<_> = rows.map(|row| (row.id, dead.clone())).collect();
            store.finish("me", &ended, None, at(1_000_000)).unwrap();
            store.redrive(&DeadFilter::default(), at(1_000_000)).unwrap();
        }
        Deed::Silence => {
            let silence = Silence {
                id: String::new(),
                matchers: Matchers::default(),
                starts_at: at(0),
                ends_at: at(1_000_000),
                author: "me".into(),
                reason: format!("{n}"),
                link: None,
                expire_on_resolve: false,
                created_at: at(n as i64),
                ended: None,
            };
            store.add_silence(&silence).unwrap();
        }
        Deed::Ack => {
            let ack = Ack {
                episode: "e".into(),
                who: "me".into(),
                note: format!("{n}"),
                at: at(n as i64),
                until: None,
                mode: AckMode::UntilResolved,
                severity: Severity::Warning,
            };
            assert!(store.ack("shop", &Fingerprint("f".into()), &ack).unwrap());
        }
        Deed::Status => status::put(&status::path_in(folder), &status_of(n)).unwrap(),
    }
}

fn status_of(n: usize) -> Status {
    let last_tick = (0..200).map(|target| (format!("target-{target}"), Some(at(n as i64)))).collect();
    Status { form: 1, version: "1".into(), pid: 7, written_at: at(n as i64), last_tick, channels: BTreeMap::new(), skipped_overlap: None }
}

/// What runs in the child. Does nothing when the tests run as usual.
#[test]
#[expect(clippy::disallowed_methods, reason = "how a test tells its child what to do")]
fn child() {
    let (Ok(folder), Ok(deed)) = (std::env::var(FOLDER), std::env::var(DEED)) else { return };
    let folder = PathBuf::from(folder);
    let (deed, first) = deed.split_once(' ').unwrap();
    let deed = Deed::ALL.into_iter().find(|known| format!("{known:?}") == deed).unwrap();
    let mut store = store_at(&folder);
    for n in first.parse::<usize>().unwrap().. {
        if !matches!(deed, Deed::StandBeforeSend | Deed::StandAfterSend) {
            say("begin");
        }
        act(deed, &folder, &mut store, n);
        say("end");
    }
}

struct Running {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Running {
    /// A child that begins with the number `first`.
    fn start(folder: &Path, deed: Deed, first: usize) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["child", "--exact", "--nocapture", "--test-threads=1"])
            .env(FOLDER, folder)
            .env(DEED, format!("{deed:?} {first}"))
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// The next thing that the child says.
    fn said(&mut self) -> Option<String> {
        let mut words = self.lines.by_ref().map_while(Result::ok).filter_map(|line| Some(line.split_once("child: ")?.1.to_string()));
        words.next()
    }

    /// Waits until it has begun for the `nth` time, lets it go on for so long, kills it with SIGKILL. How often it had
    /// come to the end.
    fn killed(mut self, nth: usize, after: Duration) -> usize {
        let (mut begun, mut ended) = (0, 0);
        while begun < nth {
            match self.said().expect("the child ended too early").as_str() {
                "begin" => begun += 1,
                _ => ended += 1,
            }
        }
        std::thread::sleep(after);
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        while let Some(word) = self.said() {
            ended += usize::from(word == "end");
        }
        ended
    }
}

/// How often the matrix kills in each row.
const KILLS: usize = 12;

/// Kills children at moments spread over the deed; how often it was done whole, and the first number nobody has used.
fn killed_again_and_again(folder: &Path, deed: Deed, span: Duration) -> (usize, usize) {
    let (mut ended, mut next) = (0, 0);
    for kill in 0..KILLS {
        let after = span.mul_f64(kill as f64 / KILLS as f64);
        let done = Running::start(folder, deed, next).killed(1 + kill % 3, after);
        ended += done;
        next += done + 2;
        bury(folder);
    }
    (ended, next)
}

/// What the end of its leases would do for a dead sender.
fn bury(folder: &Path) {
    let mut store = store_at(folder);
    for owner in store.senders().unwrap() {
        store.free_rows_of(&owner).unwrap();
    }
}

/// How often each key stands in the log, through all its files; a torn line counts as not there.
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
    deliver(folder, log_at(folder), || Clock::starting_at(at(2_000_000)), 100_000)
}

/// Where each notice stands, by key.
fn states(folder: &Path) -> BTreeMap<String, NoticeState> {
    let mut states = BTreeMap::new();
    let store = store_at(folder);
    let sent = store.notices_of("f").unwrap();
    states.extend(sent.into_iter().map(|sent| (sent.notice.key, sent.state)));
    states
}

/// One row of the matrix.
fn row(what: &str, ended: usize, lost: usize, repeated: usize) {
    println!("| {what:<44} | {KILLS:>5} | {ended:>8} | {lost:>4} | {repeated:>10} |");
}

#[test]
fn a_commit_is_there_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let (ended, _) = killed_again_and_again(folder.path(), Deed::Commit, Duration::from_micros(3_000));
    let version = store_at(folder.path()).book("shop").unwrap().version as usize;
    assert!((ended..=ended + KILLS).contains(&version), "{version} of {ended} that were reported");
    recover(folder.path());
    let told = told(folder.path());
    assert_eq!(told.len(), 3 * version, "three notices a commit");
    row("commit", ended, 3 * version - told.len(), told.values().sum::<usize>() - told.len());
    assert!(told.values().all(|times| *times == 1));
}

#[test]
fn an_end_before_the_telling_takes_the_beginning_with_it_or_never_happened() {
    let folder = tempfile::tempdir().unwrap();
    let (ended, _) = killed_again_and_again(folder.path(), Deed::Collapse, Duration::from_micros(5_000));
    let states = states(folder.path());
    for (key, state) in states.iter().filter(|(key, _)| !key.ends_with(" end")) {
        let end = states.get(&format!("{key} end"));
        let fits = match state {
            NoticeState::Waiting { .. } => end.is_none(),
            NoticeState::Collapsed { .. } => matches!(end, Some(NoticeState::Collapsed { .. })),
            _ => false,
        };
        assert!(fits, "{key}: {state:?}, its end {end:?}");
    }
    let waiting = states.values().filter(|state| matches!(state, NoticeState::Waiting { .. })).count();
    recover(folder.path());
    assert_eq!(told(folder.path()).len(), waiting);
    row("collapse (a beginning and its end)", ended, waiting - told(folder.path()).len(), 0);
}

#[test]
fn killed_while_it_delivers_only_what_was_in_flight_is_told_again_under_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let count = 3_000;
    commit(&mut store_at(folder.path()), firing((0..count).map(|n| format!("{n}")), "log"), None);
    let (ended, _) = killed_again_and_again(folder.path(), Deed::Deliver, Duration::from_millis(30));
    recover(folder.path());
    let told = told(folder.path());
    let repeated = told.values().sum::<usize>() - told.len();
    row("deliver (lease, send, log rotation, finish)", ended, count - told.len(), repeated);
    assert_eq!(told.len(), count);
    assert!(repeated <= KILLS * IN_FLIGHT, "{repeated} told twice");
}

#[test]
fn killed_between_lease_and_send_everything_is_told_once() {
    let folder = tempfile::tempdir().unwrap();
    commit(&mut store_at(folder.path()), firing((0..3).map(|n| format!("{n}")), "log"), None);
    Running::start(folder.path(), Deed::StandBeforeSend, 0).killed(1, Duration::ZERO);
    assert_eq!(
        deliver(folder.path(), log_at(folder.path()), || Clock::starting_at(at(1_001)), 100).delivered,
        0,
        "the dead one's lease still runs"
    );
    assert_eq!(recover(folder.path()).delivered, 3);
    assert_eq!(told(folder.path()), ["0", "1", "2"].map(|key| (key.to_string(), 1)).into());
}

#[test]
fn killed_between_send_and_finish_only_that_message_is_told_again() {
    let folder = tempfile::tempdir().unwrap();
    commit(&mut store_at(folder.path()), firing((0..100).map(|n| format!("{n:02}")), "log"), None);
    Running::start(folder.path(), Deed::StandAfterSend, 0).killed(1, Duration::ZERO);
    let before = told(folder.path());
    assert!((1..=8).contains(&before.len()), "as many as are sent at a time: {before:?}");
    recover(folder.path());
    let told = told(folder.path());
    assert_eq!(told.len(), 100);
    assert_eq!(told.values().sum::<usize>() - 100, before.len());
}

#[test]
fn what_is_handed_over_is_with_one_channel_or_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let (ended, _) = killed_again_and_again(folder.path(), Deed::HandOver, Duration::from_micros(5_000));
    store_at(folder.path()).hand_over("mail", "log", "it is paused", at(1_000_000)).unwrap();
    let originals: BTreeSet<String> = states(folder.path()).into_keys().filter(|key| !key.contains('~')).collect();
    recover(folder.path());
    let told = told(folder.path());
    row("hand-over to the fallback", ended, originals.len() - told.len(), told.values().sum::<usize>() - told.len());
    assert!(originals.len() >= ended);
    assert_eq!(told, originals.into_iter().map(|key| (format!("{key}~log"), 1)).collect());
}

#[test]
fn a_dead_letter_that_is_brought_back_is_dead_or_waits() {
    let folder = tempfile::tempdir().unwrap();
    let (ended, next) = killed_again_and_again(folder.path(), Deed::Redrive, Duration::from_micros(8_000));
    let states = states(folder.path());
    assert!(states.values().all(|state| matches!(state, NoticeState::Dead { .. } | NoticeState::Waiting { .. })), "{states:?}");
    assert!((ended..=next).contains(&states.len()));
    let waiting = states.values().filter(|state| matches!(state, NoticeState::Waiting { .. })).count();
    recover(folder.path());
    row("dead letter and redrive", ended, waiting - told(folder.path()).len(), 0);
    assert_eq!(told(folder.path()).values().sum::<usize>(), waiting);
}

#[test]
fn a_silence_that_was_said_to_be_made_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let (ended, _) = killed_again_and_again(folder.path(), Deed::Silence, Duration::from_micros(1_500));
    let kept = store_at(folder.path()).silences_since(at(0)).unwrap().len();
    row("silence", ended, ended.saturating_sub(kept), 0);
    assert!((ended..=ended + KILLS).contains(&kept), "{kept} of {ended}");
}

#[test]
fn an_acknowledgement_that_was_said_to_be_made_is_there() {
    let folder = tempfile::tempdir().unwrap();
    commit(&mut store_at(folder.path()), Vec::new(), Some(alert("e")));
    let (ended, next) = killed_again_and_again(folder.path(), Deed::Ack, Duration::from_micros(1_500));
    let acks = store_at(folder.path()).acks("shop").unwrap();
    let note: usize = acks[&Fingerprint("f".into())].note.parse().unwrap();
    row("acknowledgement", ended, 0, 0);
    assert!(note < next && note + 3 >= next, "the last that was said, or the one begun after it: {note} of {next}");
}

#[test]
fn the_status_file_is_always_a_whole_one() {
    let folder = tempfile::tempdir().unwrap();
    let (ended, next) = killed_again_and_again(folder.path(), Deed::Status, Duration::from_micros(800));
    let status = status::read(&status::path_in(folder.path())).expect("a whole file");
    let n = status.written_at.timestamp() as usize;
    assert_eq!(status, status_of(n));
    row("status file (write, rename)", ended, 0, 0);
    assert!(n < next && n + 3 >= next, "{n} of {next}");
}

#[test]
fn two_processes_that_deliver_at_once_tell_everything_once() {
    let folder = tempfile::tempdir().unwrap();
    let count = 2_000;
    commit(&mut store_at(folder.path()), firing((0..count).map(|n| format!("{n}")), "log"), None);
    let mut pair = [(); 2].map(|()| Running::start(folder.path(), Deed::Deliver, 0));
    let mut rounds = [0; 2];
    while store_at(folder.path()).outbox_counts().unwrap()["log"].waiting > 0 {
        for (running, rounds) in pair.iter_mut().zip(&mut rounds) {
            *rounds += usize::from(running.said().unwrap() == "end");
        }
    }
    for mut running in pair {
        running.child.kill().unwrap();
        running.child.wait().unwrap();
    }
    let told = told(folder.path());
    assert_eq!((told.len(), told.values().sum::<usize>()), (count, count));
    assert!(rounds.iter().all(|rounds| *rounds > 0), "both worked: {rounds:?}");
}
