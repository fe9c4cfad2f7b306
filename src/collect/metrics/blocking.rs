//! `blocking`: who stands in the way. One row per root: a session that waits for nobody while others wait for it, directly
//! or behind each other. So a pile-up of forty sessions is one row with one culprit.
//!
//! From `pg_blocking_pids()` of the waiting sessions (at most the 200 that wait longest; it sees hard blocks and the queue,
//! which joins of `pg_locks` with itself do not). `pg_locks` is read only if somebody waits: the condition is a one-time
//! filter, so a quiet server pays for one look at the activity array. A prepared transaction has no process: its pid reads
//! `prepared`. A ring of waiters has no root; the server's deadlock check breaks it within a second.
//!
//! An exclusive queue is the worst form: a request for ACCESS EXCLUSIVE waits, and everybody who comes later waits behind
//! it, readers too. Then `queue_pid` is who to cancel, not the root.

use super::build::{OLDEST, PG_MONITOR, by_version, flag, frame, gauge, instance, label, statement, text};
use crate::model::{FrameDef, Metric, Unit};

const SQL: &str = "
WITH RECURSIVE seen AS MATERIALIZED (
    SELECT a.*
      FROM pg_catalog.pg_stat_activity AS a
     WHERE a.pid <> pg_catalog.pg_backend_pid()
       AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_ls_waldir() LIMIT 0)
), waiters AS MATERIALIZED (
    SELECT s.pid,
           s.query_start
      FROM seen AS s
     WHERE s.wait_event_type = 'Lock'
     ORDER BY s.query_start
     LIMIT 200
), edges AS MATERIALIZED (
    SELECT DISTINCT w.pid,
           b.pid AS blocker
      FROM waiters AS w
     CROSS JOIN LATERAL pg_catalog.unnest(pg_catalog.pg_blocking_pids(w.pid)) AS b(pid)
), wanted AS MATERIALIZED (
    SELECT DISTINCT ON (w.pid) w.pid,
           l.mode,
           l.locktype,
           COALESCE(l.waitstart, w.query_start) AS since, -- 14+
           w.query_start AS since, -- to 13
           COALESCE(n.nspname || '.' || c.relname, 'relation ' || l.relation) AS relation
      FROM waiters AS w
      JOIN pg_catalog.pg_locks AS l ON l.pid = w.pid AND NOT l.granted
      LEFT JOIN pg_catalog.pg_database AS d ON d.oid = l.database AND d.datname = pg_catalog.current_database()
      LEFT JOIN pg_catalog.pg_class AS c ON c.oid = l.relation AND (d.oid IS NOT NULL OR l.database = 0)
      LEFT JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
     WHERE (SELECT pg_catalog.count(*) FROM waiters) > 0
     ORDER BY w.pid
), chain AS (
    SELECT e.blocker AS root,
           e.pid
      FROM edges AS e
     WHERE NOT EXISTS (SELECT 1 FROM edges AS up WHERE up.pid = e.blocker)
     UNION
    SELECT c.root,
           e.pid
      FROM chain AS c
      JOIN edges AS e ON e.blocker = c.pid
), queues AS (
    SELECT DISTINCT ON (c.root) c.root,
           c.pid,
           w.relation
      FROM chain AS c
      JOIN wanted AS w ON w.pid = c.pid AND w.mode = 'AccessExclusiveLock' AND w.locktype = 'relation'
     WHERE EXISTS (SELECT 1 FROM edges AS e WHERE e.blocker = c.pid)
     ORDER BY c.root, w.since
), firsts AS (
    SELECT DISTINCT ON (e.blocker) e.blocker AS root,
           w.mode,
           w.locktype,
           w.relation
      FROM edges AS e
      JOIN wanted AS w ON w.pid = e.pid
     ORDER BY e.blocker, w.since
), totals AS (
    SELECT c.root,
           pg_catalog.count(*)::float8 AS blocked,
           EXTRACT(EPOCH FROM pg_catalog.clock_timestamp() - pg_catalog.min(w.since))::float8 AS longest_wait
      FROM chain AS c
      LEFT JOIN wanted AS w ON w.pid = c.pid
     GROUP BY c.root
)
SELECT CASE WHEN t.root = 0 THEN 'prepared' ELSE t.root::text END AS pid,
       s.datname::text AS database,
       s.usename::text AS role,
       s.application_name AS application,
       s.state,
       pg_catalog.left(s.query, 200) AS query,
       EXTRACT(EPOCH FROM pg_catalog.clock_timestamp() - s.xact_start)::float8 AS xact_age,
       EXTRACT(EPOCH FROM pg_catalog.clock_timestamp() - s.state_change)::float8 AS state_age,
       t.blocked,
       t.longest_wait,
       f.mode || ' on ' || COALESCE(f.relation, f.locktype) AS wants,
       COALESCE(q.relation, f.relation) AS relation,
       (q.pid IS NOT NULL) AS exclusive_queue,
       q.pid::text AS queue_pid
  FROM totals AS t
  LEFT JOIN seen AS s ON s.pid = t.root
  LEFT JOIN firsts AS f ON f.root = t.root
  LEFT JOIN queues AS q ON q.root = t.root
";

fn described() -> FrameDef {
    let columns = vec![
        label("pid", "Process id of the session that blocks, or `prepared` for a prepared transaction."),
        label("database", "Its database."),
        label("role", "Its role."),
        label("application", "Its application_name."),
        label("state", "Its state: idle in transaction, active, ..."),
        statement("query", "Its current or last statement, first 200 characters."),
        gauge("xact_age", Unit::Seconds, "How long its transaction is open."),
        gauge("state_age", Unit::Seconds, "How long it is in this state."),
        gauge("blocked", Unit::None, "Sessions that wait behind it, at all levels."),
        gauge("longest_wait", Unit::Seconds, "How long the longest of them waits (13: since its statement began)."),
        text("wants", "Lock mode that the first waiter wants, and on what."),
        label(
            "relation",
            "The relation that the waiting ACCESS EXCLUSIVE request wants, else the first waiter; an oid when it is in another database.",
        ),
        flag("exclusive_queue", "Whether a waiting ACCESS EXCLUSIVE request holds up others behind it."),
        label("queue_pid", "Process id of that request."),
    ];
    frame("blocking", "One row per session at the root of a lock queue; none when nobody waits.", &["pid"], columns)
}

/// The metric.
#[must_use]
pub fn metric() -> Metric {
    Metric { grant: PG_MONITOR.into(), ..instance(described(), by_version(OLDEST, SQL)) }
}
