//! Every metric on every supported major: on an empty and on a sick database, as a superuser and with `pg_monitor` only.
//! Each frame is collected, or missing for exactly the reason that this server gives.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "postgres/collect.rs"]
mod collect;
#[path = "postgres/kept.rs"]
mod kept;
mod support;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use pgsteward::app::oneshot::{self, OneShot};
use pgsteward::app::setup;
use pgsteward::clock::Clock;
use pgsteward::collect::{Budget, Databases, Endpoint, EndpointDefaults, Kept, Surroundings, SweepRequest, metrics, sweep};
use pgsteward::demo::cluster::{self, STEWARD, SUPERUSER};
use pgsteward::demo::{Cluster, sick};
use pgsteward::model::{Frame, MissingReason, Outcome, Reading, Snapshot, Target};

fn endpoint(dsn: &str) -> Endpoint {
    Endpoint::parse(dsn, &EndpointDefaults::default(), &Surroundings::of::<String, String>([])).unwrap()
}

async fn look(dsn: &str) -> Snapshot {
    look_at(&endpoint(dsn), 5_000).await
}

async fn look_at(endpoint: &Endpoint, connect_timeout_ms: u64) -> Snapshot {
    let request = SweepRequest {
        target: &Target { name: "t".into(), ..Target::default() },
        endpoint,
        databases: &Databases::All,
        metrics: &metrics::all(),
        budget: &Budget { lock_timeout_ms: 1_000, statement_timeout_ms: 30_000, connect_timeout_ms, ..Budget::default() },
        carried: &BTreeMap::new(),
        now: DateTime::<Utc>::UNIX_EPOCH,
        every_s: 60,
        all_due: true,
    };
    sweep(&request, &mut Kept::default()).await
}

/// Frames that are missing, with the reason.
fn missing(snapshot: &Snapshot) -> BTreeMap<&str, MissingReason> {
    let missing = |reading: &Reading| match reading {
        Reading::Missing(missing) => Some(missing.reason),
        Reading::Collected(_) => None,
    };
    snapshot.frames.iter().filter_map(|(name, reading)| Some((name.as_str(), missing(reading)?))).collect()
}

/// What a primary of that major cannot show; `statements` is whether pg_stat_statements is installed.
fn expected(major: u32, statements: bool) -> BTreeMap<&'static str, MissingReason> {
    let mut expected = BTreeMap::from([("standby", MissingReason::NotApplicable)]);
    if major < 16 {
        expected.insert("io", MissingReason::Version);
    }
    if !statements {
        expected.extend(["statements", "statements_info", "statement_texts"].map(|frame| (frame, MissingReason::NoExtension)));
    }
    expected
}

/// Every row is told apart by its key, and no number is one that JSON cannot hold.
fn hangs_together(name: &str, frame: &Frame) {
    let subjects: BTreeSet<_> = (0..frame.rows).map(|row| frame.subject(row)).collect();
    if !frame.def.key.is_empty() {
        assert_eq!(subjects.len(), frame.rows, "{name}: rows that their key does not tell apart");
    }
    for column in &frame.def.columns {
        if let Some(values) = frame.column(&column.name).unwrap().to_floats() {
            assert!(values.iter().all(|v| !v.is_infinite()), "{name}.{}: an infinite value", column.name);
        }
    }
}

fn check(snapshot: &Snapshot, major: u32, who: &str, statements: bool) {
    let version = snapshot.server.as_ref().unwrap_or_else(|| panic!("{major} as {who} was not reached")).version_num;
    assert_eq!(version / 10_000, major);
    let mut found = missing(snapshot);
    // The data folder is the server's own: root may look into it, others may not.
    found.remove("disk");
    assert_eq!(found, expected(major, statements), "{major} as {who}");
    for (name, reading) in &snapshot.frames {
        if let Some(frame) = reading.frame() {
            hangs_together(&format!("{major} as {who}: {name}"), frame);
        }
    }
}

async fn every_metric_on(major: u32) {
    let empty = support::server(major).await;
    for dsn in [empty.superuser("postgres"), empty.steward("postgres")] {
        check(&look(&dsn).await, major, &dsn, false);
    }
    let binaries = support::binaries(major);
    let cluster = tokio::task::spawn_blocking(move || Cluster::start(&binaries, &sick::options())).await.unwrap().unwrap();
    cluster.create_steward().await.unwrap();
    let sickness = sick::sicken(&cluster).await.unwrap();
    sickness.workload(1).await.unwrap();
    for user in [SUPERUSER, STEWARD] {
        let snapshot = look(&cluster.dsn(sick::DATABASE, user)).await;
        check(&snapshot, major, user, true);
        troubles(&snapshot, user);
    }
    tokio::task::spawn_blocking(move || drop(cluster)).await.unwrap();
}

/// The row of a frame whose label has that value.
fn row(snapshot: &Snapshot, frame: &str, label: &str, value: &str) -> usize {
    let found = snapshot.frame(frame).unwrap();
    (0..found.rows).find(|row| found.text(label, *row) == Some(value)).unwrap_or_else(|| panic!("{frame} has no {label} `{value}`"))
}

/// The troubles of the sick database stand in the frames, by name.
fn troubles(snapshot: &Snapshot, user: &str) {
    let number = |frame: &str, column: &str, row: usize| snapshot.frame(frame).unwrap().number(column, row);
    let text = |frame: &str, column: &str, row: usize| snapshot.frame(frame).unwrap().text(column, row).map(String::from);

    let carts = row(snapshot, "tables", "table", "carts");
    assert!(number("tables", "dead", carts).unwrap() > 10_000.0, "{user}");
    assert_eq!(number("tables", "autovacuum_enabled", carts), Some(0.0));
    assert_eq!(number("tables", "has_primary_key", row(snapshot, "tables", "table", "audit_log")), Some(0.0));
    assert!(number("tables", "seq_tup_read", row(snapshot, "tables", "table", "employees")).unwrap() >= 200_000.0);

    assert_eq!(number("indexes", "is_valid", row(snapshot, "indexes", "index", "invoices_number_key")), Some(0.0));
    let twin = row(snapshot, "indexes", "index", "orders_placed_idx2");
    assert_eq!(text("indexes", "duplicate_of", twin).as_deref(), Some("orders_placed_idx"));
    assert_eq!(number("indexes", "scans", row(snapshot, "indexes", "index", "employees_badge_idx")), Some(0.0));

    let blocking = snapshot.frame("blocking").unwrap();
    assert_eq!(blocking.rows, 1, "one root blocker");
    assert!(number("blocking", "blocked", 0).unwrap() >= 2.0, "the migration and whoever stands behind it");
    assert_eq!(number("blocking", "exclusive_queue", 0), Some(1.0));

    assert_eq!(number("slots", "active", row(snapshot, "slots", "slot", "forgotten_replica")), Some(0.0));
    assert_eq!(number("instance", "prepared_xacts", 0), Some(1.0));
    assert!(number("connections", "used_pct", 0).unwrap() > 80.0);
    assert!(snapshot.frame("statements").unwrap().rows > 3);

    let sequence = number("sequences", "used_pct", row(snapshot, "sequences", "sequence", "tickets_id_seq"));
    match user {
        SUPERUSER => assert!(sequence.unwrap() > 90.0),
        _ => assert_eq!(sequence, None, "pg_monitor may not read a sequence: unknown, and not zero"),
    }
}

/// A test for each major, so that they run side by side and are named when they fail; majors that are not under test pass.
macro_rules! majors {
    ($($test:ident $major:literal),+) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $test() {
            if support::majors().contains(&$major) {
                every_metric_on($major).await;
            }
        }
    )+};
}

majors!(every_metric_on_14 14, every_metric_on_15 15, every_metric_on_16 16, every_metric_on_17 17, every_metric_on_18 18);

/// The cases of one file under `postgres/`, each on the shared cluster of the newest major.
macro_rules! cases {
    ($module:ident of $file:ident: $($case:ident),+) => {
        mod $module {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let server = super::support::server(super::support::newest()).await;
                super::$file::$case(&server.superuser("postgres")).await;
            })+
        }
    };
}

cases!(a_sweep of collect:
    reads_the_server_and_each_database,
    one_failure_never_harms_the_others,
    a_locked_relation_costs_its_own_database_only,
    an_extension_is_found_wherever_it_lives,
    what_is_not_due_is_carried,
    a_connection_lost_in_mid_sweep_keeps_what_was_read,
    limits_hold_and_are_said,
    the_probe_knows_server_role_and_databases
);

cases!(a_session of kept:
    serves_sweep_after_sweep_and_rests_in_no_transaction,
    that_died_at_rest_is_replaced_in_the_same_sweep,
    that_did_not_answer_in_time_is_not_used_again,
    that_has_grown_is_let_go,
    of_another_database_rests_while_the_budget_has_room
);

/// Needs a server that asks for passwords, so it has one of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_are_told_apart() {
    let binaries = support::binaries(support::newest());
    let start = move || Cluster::start(&binaries, &cluster::options()).unwrap();
    let cluster = tokio::task::spawn_blocking(start).await.unwrap();
    let rules = cluster.data().join("pg_hba.conf");
    let trust = std::fs::read_to_string(&rules).unwrap();
    std::fs::write(&rules, format!("local all collect_out scram-sha-256\n{trust}")).unwrap();
    let dsn = cluster.dsn("postgres", SUPERUSER);
    support::connect(&cluster.config("postgres", SUPERUSER)).await.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    collect::refusals_are_told_apart(&dsn).await;
    tokio::task::spawn_blocking(move || drop(cluster)).await.unwrap();
}

/// A lock on a catalogue makes every new session wait while it starts: ours may not queue up there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_one_login_waits_behind_a_lock_on_a_catalogue() {
    let binaries = support::binaries(support::newest());
    let cluster = tokio::task::spawn_blocking(move || Cluster::start(&binaries, &cluster::options()).unwrap()).await.unwrap();
    let locker = support::connect(&cluster.config("postgres", SUPERUSER)).await;
    locker.batch_execute("BEGIN; LOCK TABLE pg_catalog.pg_class IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let endpoint = endpoint(&cluster.dsn("postgres", SUPERUSER));
    let why = |snapshot: &Snapshot| snapshot.frame("target").unwrap().text("error", 0).unwrap_or_default().to_string();
    let first = why(&look_at(&endpoint, 500).await);
    assert!(first.contains("no answer within 500 ms"), "{first}");
    for _ in 0..3 {
        let next = why(&look_at(&endpoint, 500).await);
        assert!(next.contains("an earlier login still waits on the server"), "{next}");
    }
    locker.batch_execute("ROLLBACK").await.unwrap();
    // The login that waited ends as soon as it may; the next look is let in.
    let mut again = look_at(&endpoint, 5_000).await;
    for _ in 0..50 {
        if again.server.is_some() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        again = look_at(&endpoint, 5_000).await;
    }
    assert!(again.server.is_some(), "{}", why(&again));
    tokio::task::spawn_blocking(move || drop(cluster)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_of_the_sick_database_names_its_troubles() {
    let binaries = support::binaries(support::newest());
    let cluster = tokio::task::spawn_blocking(move || Cluster::start(&binaries, &sick::options()).unwrap()).await.unwrap();
    cluster.create_steward().await.unwrap();
    let sickness = sick::sicken(&cluster).await.unwrap();
    sickness.workload(1).await.unwrap();
    let rules = setup::load_rules(&[], pgsteward::app::plugins::Plugins::default());
    assert_eq!(rules.problems, []);
    let watch = setup::watch_of_dsn(&cluster.dsn(sick::DATABASE, STEWARD)).unwrap();
    let shot = OneShot {
        clock: &Clock::System,
        watch: &watch,
        metrics: &rules.metrics,
        rules: &rules.set,
        store: None,
        interval_s: 1.0,
        progress: &|_| (),
    };
    let (basis, earlier) = oneshot::look(&shot).await.unwrap();
    let report = oneshot::report(&shot, &basis, earlier);
    let rows = report.rows();
    let found: BTreeSet<&str> = rows.iter().map(|row| row.meta.id.as_str()).collect();
    let troubles =
        ["autovacuum_off_table", "connections_near_limit", "duplicate_index", "durability_off", "invalid_index", "no_primary_key"];
    for trouble in troubles {
        assert!(found.contains(trouble), "{trouble} is not among {found:?}");
    }
    let errors: Vec<String> = report
        .outcomes
        .iter()
        .filter(|o| matches!(o.outcome, Outcome::Error(_)))
        .map(|o| format!("{}: {}", o.meta.id, o.outcome.reason()))
        .collect();
    assert_eq!(errors, [] as [String; 0]);
    assert!(report.blind().iter().any(|b| b.meta.id == "sequence_used_pct"), "pg_monitor may not read sequences, and it is said");
    assert_eq!(report.exit_code(), 2);
    tokio::task::spawn_blocking(move || drop(cluster)).await.unwrap();
}
