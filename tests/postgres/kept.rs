//! Sessions that rest between sweeps, seen from the server. Each case has a role, a database and so sessions of its own.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::slice;
use std::time::Duration;

use pgsteward::collect::{Budget, Databases, Kept, SweepRequest, sweep};
use pgsteward::model::{ColumnKind, Metric, Need, Scope, Snapshot, Target};
use tokio_postgres::Client;

use super::collect::{admin, endpoint, metric, now, number, role_and_database};

/// A role with the databases that it sweeps, and what rests.
struct Watched {
    name: &'static str,
    dsn: String,
    databases: Databases,
    budget: Budget,
    kept: Kept,
    eye: Client,
}

impl Watched {
    async fn new(dsn: &str, name: &'static str) -> Self {
        let own = role_and_database(dsn, name, &["GRANT pg_monitor TO {name}"]).await;
        let databases = Databases::Only(vec![name.into()]);
        Self { name, dsn: own, databases, budget: Budget::default(), kept: Kept::default(), eye: admin(dsn).await }
    }

    async fn sweep(&mut self, metrics: &[Metric]) -> Snapshot {
        let request = SweepRequest {
            target: &Target { name: "test".into(), ..Target::default() },
            endpoint: &endpoint(&self.dsn),
            databases: &self.databases,
            metrics,
            budget: &self.budget,
            carried: &BTreeMap::new(),
            now: now(),
            every_s: 60,
            all_due: true,
        };
        sweep(&request, &mut self.kept).await
    }

    /// Process, database and state of our sessions; the state tells when a transaction or a snapshot is held.
    async fn sessions(&self) -> Vec<(i32, String, String)> {
        let sql =
            "SELECT pid, datname::text, state || CASE WHEN xact_start IS NULL AND backend_xmin IS NULL THEN '' ELSE ' and holding' END
                     FROM pg_stat_activity WHERE usename = $1 ORDER BY datname";
        let rows = self.eye.query(sql, &[&self.name]).await.unwrap();
        rows.iter().map(|row| (row.get(0), row.get(1), row.get::<_, Option<String>>(2).unwrap_or_default())).collect()
    }

    /// Waits, within a bound, until the server has as many sessions of ours: a backend is gone a little after its client.
    async fn settled(&self, count: usize) -> Vec<(i32, String, String)> {
        for _ in 0..200 {
            let sessions = self.sessions().await;
            if sessions.len() == count {
                return sessions;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        self.sessions().await
    }
}

fn pid() -> Metric {
    number("pid", "SELECT pg_backend_pid()::float8 AS n")
}

/// Which backend answered.
fn answered_by(snapshot: &Snapshot) -> Option<f64> {
    snapshot.frame("pid").and_then(|frame| frame.number("n", 0))
}

pub async fn serves_sweep_after_sweep_and_rests_in_no_transaction(dsn: &str) {
    let mut watched = Watched::new(dsn, "kept_serves").await;
    let metrics = [pid(), number("refused", "SELECT 1 / 0 AS n")];
    let first = watched.sweep(&metrics).await;
    let resting = watched.settled(1).await;
    assert_eq!(resting.iter().map(|s| s.2.as_str()).collect::<Vec<_>>(), ["idle"]);
    assert_eq!(answered_by(&first), Some(f64::from(resting[0].0)));
    let second = watched.sweep(&metrics).await;
    assert_eq!(answered_by(&second), answered_by(&first), "the same backend");
    assert_eq!(second.cost.connections, 1, "a login shows that everybody else can");
    assert_eq!(watched.settled(1).await, resting);
    std::mem::take(&mut watched.kept).close().await;
    assert_eq!(watched.settled(0).await, []);
}

pub async fn that_died_at_rest_is_replaced_in_the_same_sweep(dsn: &str) {
    let mut watched = Watched::new(dsn, "kept_dies").await;
    let first = answered_by(&watched.sweep(&[pid()]).await);
    watched.eye.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'kept_dies'", &[]).await.unwrap();
    assert_eq!(watched.settled(0).await, []);
    let second = watched.sweep(&[pid()]).await;
    assert!(answered_by(&second).is_some() && answered_by(&second) != first, "{second:?}");
}

/// Frozen, as a server that is gone without a word: nothing closes the connection, and nobody answers on it.
pub async fn that_did_not_answer_in_time_is_not_used_again(dsn: &str) {
    let mut watched = Watched::new(dsn, "kept_silent").await;
    watched.budget.connect_timeout_ms = 300;
    let first = answered_by(&watched.sweep(&[pid()]).await);
    let backend = watched.settled(1).await[0].0.to_string();
    let signal = |name: &str| assert!(std::process::Command::new("kill").args([name, &backend]).status().unwrap().success());
    signal("-STOP");
    let second = watched.sweep(&[pid()]).await;
    signal("-CONT");
    assert!(answered_by(&second).is_some() && answered_by(&second) != first, "{second:?}");
    assert_eq!(watched.settled(1).await.len(), 1);
}

/// Each name that is not there takes a place in a cache that never shrinks.
pub async fn that_has_grown_is_let_go(dsn: &str) {
    let mut watched = Watched::new(dsn, "kept_grows").await;
    let fill = number("fill", "SELECT count(pg_get_userbyid(n::oid))::float8 AS n FROM generate_series(1000000, 1400000) n");
    assert!(watched.sweep(&[fill]).await.frame("fill").is_some());
    assert_eq!(watched.settled(0).await, []);
    watched.sweep(&[pid()]).await;
    assert_eq!(watched.settled(1).await.len(), 1);
}

pub async fn of_another_database_rests_while_the_budget_has_room(dsn: &str) {
    let mut watched = Watched::new(dsn, "kept_room").await;
    let others = ["kept_room_1", "kept_room_2"];
    for name in others {
        watched.eye.batch_execute(&format!("DROP DATABASE IF EXISTS {name}")).await.unwrap();
        watched.eye.batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
    }
    watched.databases = Databases::Only([watched.name].iter().chain(&others).map(ToString::to_string).collect());
    let open = metric(
        "open",
        Scope::EachDatabase,
        "SELECT count(*)::float8 AS n FROM pg_stat_activity WHERE usename = current_user",
        &[("database", ColumnKind::Label), ("n", ColumnKind::Gauge)],
    );
    for (connections, kept) in [(1, 0), (2, 1), (3, 2), (4, 3)] {
        watched.budget.connections = connections;
        watched.sweep(slice::from_ref(&open)).await;
        watched.settled(kept).await;
        let again = watched.sweep(slice::from_ref(&open)).await;
        let frame = again.frame("open").unwrap();
        assert_eq!(frame.rows, 3);
        assert!((0..3).all(|row| frame.number("n", row) <= Some(connections as f64)), "{frame:?} with {connections}");
        let resting = watched.settled(kept).await;
        let names: Vec<&str> = resting.iter().map(|(_, database, _)| database.as_str()).collect();
        assert_eq!(names, ["kept_room", "kept_room_1", "kept_room_2"][..kept], "{connections} connections");
        std::mem::take(&mut watched.kept).close().await;
        watched.settled(0).await;
    }
    // What every tick needs takes the place of what only some ticks enter.
    let home = admin(&format!("{dsn} dbname=kept_room_2")).await;
    home.batch_execute("CREATE EXTENSION pgstattuple").await.unwrap();
    let mut everywhere = pid();
    everywhere.needs = vec![Need::Extension { name: "pgstattuple".into(), min_version: "1.0".into() }];
    watched.budget.connections = 3;
    watched.sweep(&[open, everywhere]).await;
    let resting = watched.settled(2).await;
    assert_eq!(resting.iter().map(|s| s.1.as_str()).collect::<Vec<_>>(), ["kept_room", "kept_room_2"]);
}
