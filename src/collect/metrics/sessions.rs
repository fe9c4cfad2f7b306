//! `sessions`: who is connected and what each does, from one look at the activity array. Our own session is left out, and
//! so are processes that no rule judges (checkpointer, writer, launchers, parallel workers).
//!
//! `pg_blocking_pids()` takes every lock-manager partition, so it is asked only for sessions that wait, and for at most the
//! 100 that wait longest. Statement text is cut to 200 characters here, so that more never leaves the server.
//! A statement that begins with `/* pgsteward: ignore */` counts as maintenance: a way for an application to say "I am
//! meant to be slow".

use super::build::{OLDEST, PG_MONITOR, address, by_version, flag, frame, gauge, instance, label, statement};
use crate::model::{ColumnKind, FrameDef, Metric, Unit};

/// Rows that one reading brings at most.
const TOP: u64 = 500;

const SQL: &str = r"
WITH seen AS MATERIALIZED (
    SELECT a.*
      FROM pg_catalog.pg_stat_activity AS a
     WHERE a.pid <> pg_catalog.pg_backend_pid()
       AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_ls_waldir() LIMIT 0)
), waiters AS MATERIALIZED (
    SELECT w.pid,
           pg_catalog.cardinality(pg_catalog.pg_blocking_pids(w.pid)) AS blockers
      FROM (SELECT s.pid
              FROM seen AS s
             WHERE s.wait_event_type = 'Lock'
             ORDER BY s.query_start
             LIMIT 100) AS w
)
SELECT s.pid::text AS pid,
       s.datname::text AS database,
       s.usename::text AS role,
       s.application_name AS application,
       COALESCE(pg_catalog.host(s.client_addr), CASE WHEN s.client_port = -1 THEN 'local' END) AS client,
       s.backend_type,
       s.state,
       s.wait_event_type,
       s.wait_event,
       pg_catalog.left(s.query, 200) AS query,
       s.query_id::text AS query_id, -- 14+
       EXTRACT(EPOCH FROM n.now - s.xact_start)::float8 AS xact_age,
       CASE WHEN s.state = 'active' THEN EXTRACT(EPOCH FROM n.now - s.query_start)::float8 END AS query_age,
       EXTRACT(EPOCH FROM n.now - s.state_change)::float8 AS state_age,
       EXTRACT(EPOCH FROM n.now - s.backend_start)::float8 AS backend_age,
       pg_catalog.age(s.backend_xmin)::float8 AS xmin_age,
       pg_catalog.age(s.backend_xid)::float8 AS xid_age,
       COALESCE(s.wait_event_type = 'Lock', false) AS waiting,
       CASE WHEN s.wait_event_type = 'Lock' THEN w.blockers ELSE 0 END::float8 AS blocked_by_count,
       (s.backend_type <> 'client backend'
        OR s.application_name IN ('pg_dump', 'pg_dumpall', 'pg_basebackup', 'vacuumdb', 'reindexdb', 'clusterdb')
        OR pg_catalog.left(s.query, 200) ~* '^\s*/\*\s*pgsteward:\s*ignore\s*\*/'
        OR pg_catalog.left(s.query, 200) ~*
           '^\s*(vacuum|analyze|reindex|cluster|repack|refresh\s+materialized|create\s+(unique\s+)?index)\M') AS is_maintenance
  FROM seen AS s
 CROSS JOIN (SELECT pg_catalog.clock_timestamp() AS now) AS n
  LEFT JOIN waiters AS w ON w.pid = s.pid
 WHERE s.backend_type IN ('client backend', 'walsender', 'autovacuum worker')
    OR s.backend_type LIKE 'logical replication%worker'
    OR s.backend_type <> 'parallel worker' AND s.xact_start IS NOT NULL
 ORDER BY s.xact_start NULLS LAST
 LIMIT 500
";

fn described() -> FrameDef {
    let columns = vec![
        label("pid", "Process id."),
        label("database", "Database it is connected to; unknown for a physical walsender."),
        label("role", "Role it logged in as."),
        label("application", "application_name, as the client set it."),
        address("client", ColumnKind::Text, "Address of the client, or `local` for a socket."),
        label("backend_type", "client backend, walsender, autovacuum worker, ..."),
        label("state", "active, idle, idle in transaction, ..."),
        label("wait_event_type", "Class of what it waits for; unknown when it does not wait."),
        label("wait_event", "What it waits for."),
        statement("query", "Its current or last statement, first 200 characters."),
        label("query_id", "Identifier of that statement, as in `statements` (14+)."),
        gauge("xact_age", Unit::Seconds, "How long its transaction is open; unknown when it has none."),
        gauge("query_age", Unit::Seconds, "How long its statement runs; unknown when it runs none."),
        gauge("state_age", Unit::Seconds, "How long it is in this state."),
        gauge("backend_age", Unit::Seconds, "How long it is connected."),
        gauge("xmin_age", Unit::Xids, "How far back its snapshot keeps dead rows; unknown without a snapshot."),
        gauge("xid_age", Unit::Xids, "Age of its own transaction id; unknown when it has written nothing."),
        flag("waiting", "Whether it waits for a heavyweight lock."),
        gauge("blocked_by_count", Unit::None, "Sessions it waits for; 0 when it does not wait, unknown past the 100 longest waiters."),
        flag("is_maintenance", "Dump, vacuum, index build, replication, or marked `/* pgsteward: ignore */`: long by nature."),
    ];
    frame("sessions", "One row per session (top 500 by transaction age), ours left out.", &["pid"], columns)
}

/// The metric.
#[must_use]
pub fn metric() -> Metric {
    Metric { grant: PG_MONITOR.into(), top: Some(TOP), ..instance(described(), by_version(OLDEST, SQL)) }
}
