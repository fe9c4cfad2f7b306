//! What a sweep makes of a real server, good and bad. Each case takes the connection string of a superuser and makes its
//! own role and database, so that cases can run beside each other on one cluster.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use pgsteward::collect::{Budget, Databases, Endpoint, EndpointDefaults, Kept, ROLE_IN_GRANT, Surroundings, SweepRequest, probe, sweep};
use pgsteward::model::{
    ColumnDef, ColumnKind, CostClass, Frame, FrameDef, Metric, MissingReason, Need, Role, Scope, Sensitivity, Snapshot, Target, Unit,
};
use tokio_postgres::{Client, NoTls};

/// A session of the test's own, beside those of the sweep.
pub async fn admin(dsn: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(dsn, NoTls).await.expect("the test server answers");
    tokio::spawn(connection);
    client
}

/// The endpoint of a connection string, with nothing from the surroundings.
pub fn endpoint(dsn: &str) -> Endpoint {
    Endpoint::parse(dsn, &EndpointDefaults::default(), &Surroundings::default()).expect("a sound connection string")
}

/// A role that can log in and a database, both of that name. `wants` is SQL for the role, `{name}` its name.
pub async fn role_and_database(dsn: &str, name: &str, wants: &[&str]) -> String {
    let client = admin(dsn).await;
    for sql in [
        format!("DROP DATABASE IF EXISTS {name}"),
        format!("DROP ROLE IF EXISTS {name}"),
        format!("CREATE ROLE {name} LOGIN PASSWORD 'pw of {name}'"),
        format!("CREATE DATABASE {name}"),
    ]
    .into_iter()
    .chain(wants.iter().map(|sql| sql.replace("{name}", name)))
    {
        client.batch_execute(&sql).await.expect("the test server obeys");
    }
    format!("{dsn} user={name} password='pw of {name}' dbname={name}")
}

/// A metric of one SQL; columns as `name` and kind.
pub fn metric(name: &str, scope: Scope, sql: &str, columns: &[(&str, ColumnKind)]) -> Metric {
    let column = |(name, kind): &(&str, ColumnKind)| ColumnDef {
        name: (*name).into(),
        kind: *kind,
        unit: Unit::None,
        sensitivity: Sensitivity::Public,
        doc: String::new(),
    };
    let key = columns.iter().filter(|(_, kind)| *kind == ColumnKind::Label).map(|(name, _)| (*name).to_string()).collect();
    Metric {
        frame: FrameDef { name: name.into(), doc: String::new(), key, columns: columns.iter().map(column).collect(), reset_column: None },
        scope,
        role: Role::Any,
        every_s: 0,
        timeout_ms: None,
        cost: CostClass::Cheap,
        needs: vec![],
        grant: String::new(),
        top: None,
        sql: vec![(0, sql.into())],
    }
}

/// A metric of one number.
pub fn number(name: &str, sql: &str) -> Metric {
    metric(name, Scope::Instance, sql, &[("n", ColumnKind::Gauge)])
}

/// Sweeps only `databases`, with a budget that tests can wait for.
async fn read(dsn: &str, databases: &[&str], metrics: &[Metric]) -> Snapshot {
    let budget = Budget { statement_timeout_ms: 1000, ..Budget::default() };
    read_with(dsn, databases, metrics, &budget, &BTreeMap::new(), now()).await
}

async fn read_with(
    dsn: &str,
    databases: &[&str],
    metrics: &[Metric],
    budget: &Budget,
    carried: &BTreeMap<String, Arc<Frame>>,
    now: DateTime<Utc>,
) -> Snapshot {
    let target = Target { name: "test".into(), ..Target::default() };
    let databases = Databases::Only(databases.iter().map(|name| (*name).to_string()).collect());
    let request = SweepRequest {
        target: &target,
        endpoint: &endpoint(dsn),
        databases: &databases,
        metrics,
        budget,
        carried,
        now,
        every_s: 60,
        all_due: false,
    };
    let mut kept = Kept::default();
    let snapshot = sweep(&request, &mut kept).await;
    kept.close().await;
    snapshot
}

pub fn now() -> DateTime<Utc> {
    pgsteward::clock::Clock::System.now()
}

fn reason(snapshot: &Snapshot, frame: &str) -> (MissingReason, String, String) {
    let missing = snapshot.missing(frame).unwrap_or_else(|| panic!("{frame} is missing in {snapshot:#?}"));
    (missing.reason, missing.detail, missing.remedy.unwrap_or_default())
}

fn target_number(snapshot: &Snapshot, column: &str) -> Option<f64> {
    snapshot.frame("target").expect("the target frame is always there").number(column, 0)
}

/// Frames come from the server and from each database, hostile names included, and say whose life they belong to.
pub async fn reads_the_server_and_each_database(dsn: &str) {
    let mon = role_and_database(dsn, "collect_each", &["GRANT pg_monitor TO {name}"]).await;
    let hostile = "od\"d; 'n\nx\u{202e}";
    let admin = admin(dsn).await;
    let quoted = hostile.replace('"', "\"\"");
    admin.batch_execute(&format!("DROP DATABASE IF EXISTS \"{quoted}\"")).await.unwrap();
    admin.batch_execute(&format!("CREATE DATABASE \"{quoted}\"")).await.unwrap();
    let metrics = [
        metric(
            "kinds",
            Scope::Instance,
            "SELECT 1.5::float8 AS g, 7::int8 AS c, 'x'::text AS l, true AS f, NULL::text AS t, 5 AS extra",
            &[
                ("g", ColumnKind::Gauge),
                ("c", ColumnKind::Counter),
                ("l", ColumnKind::Label),
                ("f", ColumnKind::Flag),
                ("t", ColumnKind::Text),
                ("later", ColumnKind::Gauge),
            ],
        ),
        metric(
            "here",
            Scope::EachDatabase,
            "SELECT current_database()::text AS said",
            &[("database", ColumnKind::Label), ("said", ColumnKind::Text)],
        ),
    ];
    let snapshot = read(&mon, &["collect_each", hostile, "no_such"], &metrics).await;
    admin.batch_execute(&format!("DROP DATABASE \"{quoted}\" WITH (FORCE)")).await.unwrap();

    let kinds = snapshot.frame("kinds").expect("collected");
    assert_eq!(
        (kinds.number("g", 0), kinds.number("c", 0), kinds.text("l", 0), kinds.number("f", 0)),
        (Some(1.5), Some(7.0), Some("x"), Some(1.0))
    );
    assert_eq!((kinds.text("t", 0), kinds.number("later", 0)), (None, None));
    let server = snapshot.server.as_ref().expect("the server says what it is");
    let epoch = kinds.epoch.as_deref().expect("frames from a server have an epoch");
    assert!(epoch.starts_with(server.system_identifier.as_deref().unwrap()), "{epoch}");
    assert!(!epoch.contains('?'), "{epoch}");

    let here = snapshot.frame("here").expect("collected");
    let mut rows: Vec<_> = (0..here.rows).map(|row| (here.text("database", row), here.text("said", row))).collect();
    rows.sort_unstable();
    assert_eq!(rows, [(Some("collect_each"), Some("collect_each")), (Some(hostile), Some(hostile))]);
    assert_eq!(here.coverage.without_databases["no_such"], "the server has no such database");
    assert_eq!(here.coverage.without_databases["postgres"], "the configuration leaves it out");
    assert_eq!(target_number(&snapshot, "reachable"), Some(1.0));
    assert!(target_number(&snapshot, "latency_ms").is_some_and(|ms| ms > 0.0));
    assert!(target_number(&snapshot, "clock_skew").is_some_and(|s| s.abs() < 2.0));
    assert_eq!(snapshot.cost.connections, 2, "one for each database, and none for the instance beside its own");
    assert!(snapshot.cost.queries > 0 && snapshot.cost.server_ms > 0.0 && snapshot.cost.bytes > 0);
}

/// What one metric runs into is not the others' trouble.
pub async fn one_failure_never_harms_the_others(dsn: &str) {
    let mon = role_and_database(dsn, "collect_alone", &["GRANT pg_monitor TO {name}"]).await;
    let mut denied = number("denied", "SELECT count(*)::float8 AS n FROM pg_authid");
    denied.grant = format!("GRANT something TO {ROLE_IN_GRANT};");
    let mut late = number("late", "SELECT 1::float8 AS n");
    late.sql = vec![(990_000, late.sql[0].1.clone())];
    let mut standby = number("standby", "SELECT 1::float8 AS n");
    standby.role = Role::Standby;
    let mut quick = number("quick", "SELECT pg_sleep(5)::text, 1::float8 AS n");
    quick.timeout_ms = Some(50);
    let metrics = [
        denied,
        late,
        standby,
        quick,
        number("undefined", "SELECT no_such_column AS n FROM pg_class"),
        number("numeric", "SELECT 1::numeric AS n"),
        number("two", "SELECT 1::float8 AS n; SELECT 2"),
        number("writes", "CREATE TABLE collect_written ()"),
        number("commits", "COMMIT"),
        number("escapes", "SELECT set_config('statement_timeout', '0', false), 1::float8 AS n"),
        number("limits", "SELECT extract(epoch FROM current_setting('statement_timeout')::interval)::float8 AS n"),
        number(
            "path",
            "SELECT (current_setting('search_path') = 'pg_catalog' AND current_setting('transaction_read_only')::bool)::int4 AS n",
        ),
    ];
    let snapshot = read(&mon, &[], &metrics).await;
    let (why, detail, remedy) = reason(&snapshot, "denied");
    assert_eq!((why, remedy.as_str()), (MissingReason::NoGrant, "GRANT something TO collect_alone;"), "{detail}");
    assert_eq!(reason(&snapshot, "late").0, MissingReason::Version);
    assert_eq!(reason(&snapshot, "standby").0, MissingReason::NotApplicable);
    assert_eq!(reason(&snapshot, "quick").0, MissingReason::StatementTimeout);
    assert!(reason(&snapshot, "quick").1.starts_with("not done after 50 ms"));
    assert!(reason(&snapshot, "undefined").1.ends_with("(SQLSTATE 42703)"));
    assert_eq!(reason(&snapshot, "numeric").1, "column `numeric.n` is numeric, but a gauge needs float8: cast it in the SQL");
    assert!(reason(&snapshot, "two").1.ends_with("(SQLSTATE 42601)"), "two statements are refused");
    assert!(reason(&snapshot, "writes").1.ends_with("(SQLSTATE 25006)"), "the transaction is read only");
    assert_eq!(snapshot.frame("limits").and_then(|f| f.number("n", 0)), Some(1.0), "limits hold whatever an earlier metric has set");
    assert_eq!(snapshot.frame("path").and_then(|f| f.number("n", 0)), Some(1.0));
}

/// A relation under an AccessExclusive lock is left alone after `lock_timeout`.
pub async fn a_locked_relation_costs_its_own_database_only(dsn: &str) {
    let mon = role_and_database(dsn, "collect_lock", &["GRANT pg_monitor TO {name}", "GRANT pg_read_all_data TO {name}"]).await;
    let own = format!("{dsn} dbname=collect_lock");
    let holder = admin(&own).await;
    holder.batch_execute("CREATE TABLE t (a int)").await.unwrap();
    holder.batch_execute("BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let metrics = [
        metric(
            "sizes",
            Scope::EachDatabase,
            "SELECT pg_relation_size(oid)::float8 AS n FROM pg_class WHERE relname = 't'",
            &[("database", ColumnKind::Label), ("n", ColumnKind::Gauge)],
        ),
        number("after", "SELECT 1::float8 AS n"),
    ];
    let snapshot = read(&mon, &["collect_lock"], &metrics).await;
    let (why, detail, _) = reason(&snapshot, "sizes");
    assert_eq!(why, MissingReason::LockTimeout);
    assert!(detail.starts_with("collect_lock: a relation that `sizes` reads is locked"), "{detail}");
    assert!(snapshot.frame("after").is_some());

    let snapshot = read(&mon, &["collect_lock", "postgres"], &metrics).await;
    let sizes = snapshot.frame("sizes").expect("the other database answers");
    assert!(sizes.coverage.without_databases["collect_lock"].contains("locked"));
}

/// An extension is found in the database that has it, under the schema that it lives in.
pub async fn an_extension_is_found_wherever_it_lives(dsn: &str) {
    let mon = role_and_database(dsn, "collect_ext", &["GRANT pg_monitor TO {name}"]).await;
    let own = admin(&format!("{dsn} dbname=collect_ext")).await;
    own.batch_execute("CREATE SCHEMA \"My ext\"; CREATE EXTENSION pgstattuple SCHEMA \"My ext\"").await.unwrap();
    let needs = |min_version: &str| {
        let mut metric =
            number("tuples", "SELECT (SELECT table_len FROM {extension_schema}.pgstattuple('pg_catalog.pg_class'))::float8 AS n");
        metric.needs = vec![Need::Extension { name: "pgstattuple".into(), min_version: min_version.into() }];
        metric
    };
    let elsewhere = format!("{mon} dbname=postgres");
    let closed = read(&elsewhere, &["collect_ext"], &[needs("1.4")]).await;
    assert_eq!(reason(&closed, "tuples").2, "GRANT USAGE ON SCHEMA \"My ext\" TO collect_ext;");
    own.batch_execute("GRANT USAGE ON SCHEMA \"My ext\" TO collect_ext").await.unwrap();
    let found = read(&elsewhere, &["collect_ext"], &[needs("1.4")]).await;
    assert!(found.frame("tuples").and_then(|f| f.number("n", 0)).is_some_and(|n| n > 0.0), "{:?}", found.missing("tuples"));
    assert_eq!(found.cost.connections, 2);
    let old = read(&mon, &[], &[needs("99")]).await;
    assert_eq!(reason(&old, "tuples").2, "ALTER EXTENSION pgstattuple UPDATE;");
    let none = read(&elsewhere, &[], &[needs("1.4")]).await;
    assert_eq!((reason(&none, "tuples").0, none.cost.connections), (MissingReason::NoExtension, 1));

    // Once the hourly `extensions` frame has said where it is, no other database is searched.
    let extensions = metric(
        "extensions",
        Scope::EachDatabase,
        "SELECT extname::text AS extension FROM pg_extension",
        &[("database", ColumnKind::Label), ("extension", ColumnKind::Label)],
    );
    let known = read(&elsewhere, &["postgres"], &[extensions]).await.frame("extensions").cloned().unwrap();
    let carried = BTreeMap::from([("extensions".to_string(), known)]);
    let spared = read_with(&elsewhere, &["collect_ext", "postgres"], &[needs("1.4")], &Budget::default(), &carried, now()).await;
    assert_eq!((reason(&spared, "tuples").0, spared.cost.connections), (MissingReason::NoExtension, 1));
}

/// What is not due is carried over as it is; what is due is read.
pub async fn what_is_not_due_is_carried(dsn: &str) {
    let mon = role_and_database(dsn, "collect_due", &[]).await;
    let mut slow = number("slow", "SELECT random()::float8 AS n");
    slow.every_s = 300;
    let metrics = [slow, number("fast", "SELECT random()::float8 AS n")];
    let start = now();
    let first = read_with(&mon, &[], &metrics, &Budget::default(), &BTreeMap::new(), start).await;
    let carried: BTreeMap<_, _> = ["slow", "fast"].map(|name| (name.to_string(), first.frame(name).cloned().unwrap())).into();
    let second = read_with(&mon, &[], &metrics, &Budget::default(), &carried, start + TimeDelta::seconds(60)).await;
    assert_eq!(second.frame("slow"), first.frame("slow"));
    assert_ne!(second.frame("fast"), first.frame("fast"));
    assert!(second.frame("fast").unwrap().as_of >= start + TimeDelta::seconds(60));
    let third = read_with(&mon, &[], &metrics, &Budget::default(), &carried, start + TimeDelta::seconds(300)).await;
    assert_ne!(third.frame("slow"), first.frame("slow"));
}

/// Each way of not getting in has its flag, its words and its remedy, and no secret in them.
pub async fn refusals_are_told_apart(dsn: &str) {
    let mon = role_and_database(dsn, "collect_out", &[]).await;
    let one = [number("one", "SELECT 1::float8 AS n")];
    let wrong = read(&format!("{mon} password=hunter2"), &[], &one).await;
    assert_eq!((target_number(&wrong, "reachable"), target_number(&wrong, "login_refused")), (Some(0.0), Some(1.0)));
    let (why, detail, remedy) = reason(&wrong, "one");
    assert_eq!((why, wrong.server.as_ref()), (MissingReason::LoginRefused, None));
    assert!(remedy.contains("collect_out") && !format!("{wrong:?}").contains("hunter2"), "{detail} {remedy}");

    let nowhere = read("host=127.0.0.1 port=1 user=x", &[], &one).await;
    assert_eq!((reason(&nowhere, "one").0, target_number(&nowhere, "login_refused")), (MissingReason::Unreachable, Some(0.0)));
    let no_database = read(&format!("{mon} dbname=no_such"), &[], &one).await;
    assert_eq!(reason(&no_database, "one").2, "name a database that exists (dbname=postgres)");

    admin(dsn).await.batch_execute("ALTER ROLE collect_out CONNECTION LIMIT 0").await.unwrap();
    let full = read(&mon, &[], &one).await;
    // The limit is the role's: the server itself has room, and nobody is to be paged for it.
    assert_eq!((reason(&full, "one").0, target_number(&full, "too_many_clients")), (MissingReason::LoginRefused, Some(0.0)));
    assert!(reason(&full, "one").2.contains("CONNECTION LIMIT"));

    admin(dsn)
        .await
        .batch_execute("ALTER ROLE collect_out CONNECTION LIMIT -1; REVOKE CONNECT ON DATABASE collect_out FROM PUBLIC")
        .await
        .unwrap();
    let closed = read(&mon, &[], &one).await;
    assert_eq!(reason(&closed, "one").2, "GRANT CONNECT ON DATABASE collect_out TO collect_out;");
}

/// A session that is ended in mid-sweep leaves what was read, and says of the rest why it is not there.
pub async fn a_connection_lost_in_mid_sweep_keeps_what_was_read(dsn: &str) {
    let mon = role_and_database(dsn, "collect_cut", &[]).await;
    let metrics = [
        number("before", "SELECT 1::float8 AS n"),
        number("cut", "SELECT pg_terminate_backend(pg_backend_pid())::int4 AS n"),
        number("rest", "SELECT 1::float8 AS n"),
    ];
    let snapshot = read(&mon, &["collect_cut"], &metrics).await;
    assert!(snapshot.frame("before").is_some() && snapshot.server.is_some());
    assert_eq!(reason(&snapshot, "cut").0, MissingReason::Unreachable);
    let (why, detail, _) = reason(&snapshot, "rest");
    assert!(why == MissingReason::Unreachable && detail.starts_with("the connection was lost"), "{detail}");
    assert!(snapshot.frame("target").unwrap().text("error", 0).unwrap().starts_with("the connection was lost"));
}

/// The budget and the breaker leave the rest unasked; rows and a metric's own top show in the coverage.
pub async fn limits_hold_and_are_said(dsn: &str) {
    let mon = role_and_database(dsn, "collect_caps", &[]).await;
    let mut top = number("top", "SELECT n::float8 AS n FROM generate_series(1, 10) n");
    top.top = Some(10);
    let many = number("many", "SELECT n::float8 AS n FROM generate_series(1, 60000) n");
    let mut heavy = number("heavy", "SELECT 1::float8 AS n");
    heavy.cost = CostClass::Heavy;
    let snapshot = read(&mon, &[], &[top, many, heavy.clone()]).await;
    assert_eq!(snapshot.frame("top").unwrap().coverage.top, Some(10));
    assert_eq!(snapshot.frame("many").map(|f| (f.rows, f.coverage.top)), Some((50_000, Some(50_000))));
    assert!(snapshot.frame("heavy").is_some());

    let sleepy = number("sleepy", "SELECT 1::float8 AS n FROM pg_sleep(0.2)");
    let budget = Budget { server_ms_per_sweep: 150.0, ..Budget::default() };
    let spent = read_with(&mon, &[], &[sleepy, heavy.clone()], &budget, &BTreeMap::new(), now()).await;
    assert!(spent.frame("sleepy").is_some());
    assert_eq!(reason(&spent, "heavy").0, MissingReason::Budget);

    let hang = |name: &str| number(name, "SELECT 1::float8 AS n FROM pg_sleep(9)");
    let budget = Budget { statement_timeout_ms: 30, ..Budget::default() };
    let broken = read_with(&mon, &[], &[hang("a"), hang("b"), hang("c"), heavy], &budget, &BTreeMap::new(), now()).await;
    assert_eq!(reason(&broken, "c").0, MissingReason::StatementTimeout);
    assert!(reason(&broken, "heavy").1.starts_with("3 statements in a row"));
    let wide = number("wide", "SELECT repeat('x', 1000000) AS n FROM generate_series(1, 100)");
    let mut wide = wide;
    wide.frame.columns[0].kind = ColumnKind::Text;
    let large = read(&mon, &[], &[wide]).await;
    assert_eq!(reason(&large, "wide").0, MissingReason::Budget);
}

/// The probe says what a role with nothing but a login may see.
pub async fn the_probe_knows_server_role_and_databases(dsn: &str) {
    let mon = role_and_database(dsn, "collect_probe", &[]).await;
    let found = probe(&endpoint(&mon), &Budget::default()).await.expect("a way in");
    assert!(found.server.version_num >= 130_000 && found.server.in_recovery == Some(false));
    assert_eq!((found.role.name.as_str(), found.role.superuser, found.role.monitor), ("collect_probe", false, false));
    assert_eq!(found.notes(), ["others' sessions and statements are hidden; GRANT pg_monitor TO collect_probe;"]);
    let own = found.databases.iter().find(|d| d.name == "collect_probe").expect("listed");
    assert_eq!(
        own.extensions.as_ref().and_then(|e| e.first()).map(|e| (e.name.as_str(), e.schema.as_str())),
        Some(("plpgsql", "pg_catalog"))
    );
    admin(dsn).await.batch_execute("GRANT pg_monitor TO collect_probe").await.unwrap();
    let found = probe(&endpoint(&mon), &Budget::default()).await.expect("a way in");
    assert!(found.role.monitor && found.role.read_all_settings && found.preloaded.is_some() && found.notes().is_empty());
}
