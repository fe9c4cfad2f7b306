//! What disks do to a store: full, read-only, torn, changed under it, or written by a later build. Each is an error that
//! says so, or a book as it once was committed; never a panic, and never an alert that nobody committed.
//!
//! A full disk is real: the test starts itself again as a child, once with a limit on the size of files, once on a file
//! system of a megabyte in a mount namespace of its own, where the system allows that.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says what it skips"
)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use pgsteward::model::*;
use pgsteward::store::{Store, StoreError, TickCommit};

const FOLDER: &str = "PGSTEWARD_DAMAGE_FOLDER";
const TICKS: i64 = 8;
const ALERTS: usize = 12;

fn at(s: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(s)
}

fn alert(n: usize, tick: i64) -> Alert {
    Alert {
        fingerprint: Fingerprint(format!("{n:032x}")),
        episode: format!("{n:08x}-1"),
        rule: "dead_rows".into(),
        target: "shop".into(),
        subject: [("table", format!("t_{n}"))].into_iter().collect(),
        state: State::Firing,
        fired_at: Some(at(0)),
        summary: format!("seen at {tick}: {}", "x".repeat(300)),
        ..Alert::default()
    }
}

fn notice(alert: &Alert, tick: i64) -> Notice {
    let (fingerprint, episode) = (alert.fingerprint.clone(), alert.episode.clone());
    Notice { key: format!("{}-{tick}", fingerprint.0), channel: "log".into(), fingerprint, episode, ..Notice::default() }
}

/// A tick in which every alert has changed and is told; `pad` bytes more.
fn tick(store: &mut Store, tick: i64, pad: usize) -> Result<(), StoreError> {
    let now = at(tick * 60);
    store.acquire_lease("shop", "me", now, 600)?;
    let alerts: Vec<Alert> = (0..ALERTS).map(|n| alert(n, tick)).collect();
    let mut notices: Vec<Notice> = alerts.iter().map(|alert| notice(alert, tick)).collect();
    notices.iter_mut().for_each(|notice| notice.detail = "p".repeat(pad));
    let base_version = store.book("shop")?.version;
    let decision = Decision {
        changed: alerts.iter().map(|alert| alert.fingerprint.clone()).collect(),
        book: Book { alerts: alerts.into_iter().map(|alert| (alert.fingerprint.clone(), Arc::new(alert))).collect(), ..Book::default() },
        tellings: notices.into_iter().map(Into::into).collect(),
        ..Decision::default()
    };
    let snapshot = Snapshot {
        form: Snapshot::FORM,
        target: Target { name: "shop".into(), ..Target::default() },
        taken_at: now,
        server: None,
        frames: Default::default(),
        cost: Cost::default(),
    };
    store.commit(&TickCommit {
        target: "shop",
        owner: "me",
        now,
        snapshot: &snapshot,
        outcomes: &[],
        decision: &decision,
        base_version,
    })?;
    Ok(())
}

/// A store, and its book after each tick; the first is the empty one.
fn history(folder: &Path) -> (Store, Vec<Book>) {
    let mut store = Store::open(&folder.join("store.db")).unwrap();
    let mut books = vec![Book::default()];
    for n in 1..=TICKS {
        tick(&mut store, n, 0).unwrap();
        books.push(Store::open(&folder.join("store.db")).unwrap().book("shop").unwrap());
    }
    (store, books)
}

/// What a damaged copy of these files gives.
fn opened(main: &[u8], log: Option<&[u8]>) -> Result<Book, StoreError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    std::fs::write(&path, main).unwrap();
    if let Some(log) = log {
        std::fs::write(folder.path().join("store.db-wal"), log).unwrap();
    }
    Store::open(&path)?.book("shop")
}

#[test]
fn a_torn_log_is_the_book_of_an_earlier_tick_and_whole() {
    let folder = tempfile::tempdir().unwrap();
    let (_open, books) = history(folder.path());
    let main = std::fs::read(folder.path().join("store.db")).unwrap();
    let log = std::fs::read(folder.path().join("store.db-wal")).unwrap();
    let mut seen = 0;
    for cut in (0..=log.len()).step_by(log.len() / 97) {
        let version = match opened(&main, log.get(..cut)) {
            Ok(book) => {
                let version = usize::try_from(book.version).unwrap();
                assert!(Some(&book) == books.get(version), "cut at {cut}: version {version}");
                version
            }
            // Not even the making of the tables is in the log yet.
            Err(error) => panic!("cut at {cut}: {error}"),
        };
        assert!(version >= seen, "more of the log is never an older book");
        seen = version;
    }
    assert!(seen + 1 >= books.len() - 1, "{seen}");
    assert_eq!(opened(&main, Some(&log)).unwrap(), books[books.len() - 1]);
}

#[test]
fn a_torn_file_is_an_error_or_the_whole_book() {
    let folder = tempfile::tempdir().unwrap();
    let (open, books) = history(folder.path());
    drop(open);
    let main = std::fs::read(folder.path().join("store.db")).unwrap();
    let mut refused = 0;
    for cut in [1, 100, 511, 512, 4_095].into_iter().chain((1..main.len()).step_by(main.len() / 61)) {
        match opened(&main[..cut], None) {
            Ok(book) => assert!(Some(&book) == books.last(), "cut at {cut}: version {}", book.version),
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 40, "{refused}");
}

#[test]
fn a_changed_bit_is_never_an_alert_that_nobody_committed() {
    let folder = tempfile::tempdir().unwrap();
    let (open, books) = history(folder.path());
    drop(open);
    let main = std::fs::read(folder.path().join("store.db")).unwrap();
    let expected = books.last().unwrap();
    let (mut whole, mut partly, mut refused) = (0, 0, 0);
    // A fixed walk over the file that visits every bit of a byte.
    let mut place = 1_usize;
    for n in 0..600_usize {
        place = (place * 48_271 + 11) % main.len();
        let mut torn = main.clone();
        torn[place] ^= 1 << (n % 8);
        match opened(&torn, None) {
            Ok(book) => {
                for (fingerprint, alert) in &book.alerts {
                    assert_eq!(Some(alert), expected.alerts.get(fingerprint), "bit {} of byte {place}", n % 8);
                }
                if book.alerts.len() == ALERTS { whole += 1 } else { partly += 1 }
            }
            Err(error) => {
                assert!(!error.to_string().is_empty());
                refused += 1;
            }
        }
    }
    eprintln!("of 600 flips: {whole} left all alerts, {partly} took some, {refused} were refused");
    assert!(partly > 0, "some flips were in alerts, and were seen");
}

#[test]
fn a_store_of_a_later_build_is_refused_by_name_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    drop(history(folder.path()));
    let path = folder.path().join("store.db");
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let before = std::fs::read(&path).unwrap();
    let refused = Store::open(&path).unwrap_err().to_string();
    assert!(refused.contains(&path.display().to_string()) && refused.contains("form 99"), "{refused}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

/// Starts this binary again as the child `name`, by that shell line; `$0` is the binary.
fn child(name: &str, folder: &Path, line: &str) -> (Option<i32>, String) {
    let exe: PathBuf = std::env::current_exe().unwrap();
    let mut shell = Command::new("sh");
    shell.args(["-c", line]).arg(exe).args(["--exact", name, "--nocapture", "--ignored"]).env(FOLDER, folder);
    let output = shell.output().unwrap();
    let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    (output.status.code(), said)
}

fn folder_of_child() -> PathBuf {
    std::env::var_os(FOLDER).expect("started by its parent").into()
}

#[test]
fn where_files_may_not_grow_the_last_whole_tick_stays() {
    let folder = tempfile::tempdir().unwrap();
    // The signal is ignored, so that the write fails instead.
    let (code, said) = child("child_that_may_not_grow", folder.path(), "trap '' XFSZ; ulimit -f 4000; exec \"$0\" \"$@\"");
    assert_eq!(code, Some(0), "{said}");
    let ticks: u64 = std::fs::read_to_string(folder.path().join("ticks")).unwrap().parse().unwrap();
    let mut store = Store::open(&folder.path().join("store.db")).unwrap();
    let book = store.book("shop").unwrap();
    assert_eq!((book.version, book.alerts.len()), (ticks, ALERTS));
    assert!(book.alerts.values().all(|alert| alert.summary.starts_with(&format!("seen at {ticks}:"))));
    tick(&mut store, 1_000, 0).unwrap();
}

#[test]
#[ignore = "a child of another test"]
fn child_that_may_not_grow() {
    let folder = folder_of_child();
    let mut store = Store::open(&folder.join("store.db")).unwrap();
    let (mut done, failed) = (0, (1..).find_map(|n| tick(&mut store, n, 2_000).err().map(|error| (n, error))).unwrap());
    done += failed.0 - 1;
    assert!(done > 2, "{}", failed.1);
    assert_eq!(store.book("shop").unwrap().version, u64::try_from(done).unwrap(), "the handle that failed still reads");
    std::fs::write(folder.join("ticks"), done.to_string()).unwrap();
}

#[test]
fn a_full_disk_says_so_and_work_goes_on_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let line =
        "unshare -rm sh -c 'mount -t tmpfs -o size=1m none \"$PGSTEWARD_DAMAGE_FOLDER\" || exit 77; exec \"$0\" \"$@\"' \"$0\" \"$@\"";
    match child("child_on_a_small_disk", folder.path(), line) {
        (Some(0), _) => {}
        (Some(77), said) => eprintln!("skipped: no file system may be mounted here: {said}"),
        (Some(1), said) if said.contains("unshare") => eprintln!("skipped: there are no namespaces here: {said}"),
        (code, said) => panic!("{code:?}: {said}"),
    }
}

#[test]
#[ignore = "a child of another test"]
fn child_on_a_small_disk() {
    let folder = folder_of_child();
    let (path, filler) = (folder.join("store.db"), folder.join("filler"));
    std::fs::write(&filler, vec![0; 300_000]).unwrap();
    let mut store = Store::open(&path).unwrap();
    let (n, full) = (1..).find_map(|n| tick(&mut store, n, 2_000).err().map(|error| (n, error))).unwrap();
    assert_eq!(full.to_string(), "the disk of the store is full; make room there, or lower `history.max_size`");
    let left = |store: &Store| store.book("shop").unwrap().version;
    assert_eq!(left(&store), u64::try_from(n - 1).unwrap());
    assert!(store.add_silence(&silence()).is_err() || left(&store) > 0, "short writes fail or succeed whole");
    std::fs::remove_file(&filler).unwrap();
    tick(&mut store, n, 0).unwrap();
    assert_eq!(left(&store), u64::try_from(n).unwrap());
    drop(store);

    // As after a copy or a crash of the machine: the engine's shared memory is not there, and there is no room for it.
    std::fs::remove_file(folder.join("store.db-shm")).unwrap();
    std::fs::write(&filler, vec![0; 2_000_000]).unwrap_err();
    for opened in [Store::open(&path), Store::open_read_only(&path)] {
        assert_eq!(opened.unwrap_err().to_string(), full.to_string());
    }
    std::fs::remove_file(&filler).unwrap();

    assert!(Command::new("mount").args(["-o", "remount,ro"]).arg(&folder).status().unwrap().success());
    let refused = Store::open(&path).unwrap_err().to_string();
    let names_it = refused.contains(&path.display().to_string()) || refused.contains("read-only");
    assert!(names_it, "{refused}");
    match Store::open_read_only(&path) {
        Ok(store) => assert_eq!(left(&store), u64::try_from(n).unwrap()),
        Err(error) => assert!(error.to_string().contains(&path.display().to_string()), "{error}"),
    }
}

fn silence() -> Silence {
    Silence {
        id: String::new(),
        matchers: Matchers::default(),
        starts_at: at(0),
        ends_at: at(60),
        author: "ann".into(),
        reason: "r".repeat(1_000),
        link: None,
        expire_on_resolve: false,
        created_at: at(0),
        ended: None,
    }
}
