//! `connections`: how full the connection slots are.
//!
//! Counts client backends only, from one look at the activity array. Our own session takes a slot, so it counts as a
//! client; it is left out of the states, which it would distort. What an ordinary client can get is max_connections less
//! the slots kept for superusers and, from 16, for pg_use_reserved_connections.

use super::build::{OLDEST, PG_MONITOR, by_version, frame, gauge, instance};
use crate::model::{Metric, Unit};

const SQL: &str = "
SELECT a.clients,
       a.active,
       a.idle,
       a.idle_in_transaction,
       l.max_connections,
       l.reserved,
       a.waiting_on_lock,
       100 * a.clients / NULLIF(l.max_connections - l.reserved, 0) AS used_pct
  FROM (SELECT pg_catalog.count(*)::float8 AS clients,
               pg_catalog.count(*) FILTER (WHERE s.state = 'active' AND s.pid <> pg_catalog.pg_backend_pid())::float8 AS active,
               pg_catalog.count(*) FILTER (WHERE s.state = 'idle')::float8 AS idle,
               pg_catalog.count(*) FILTER (WHERE s.state LIKE 'idle in transaction%')::float8 AS idle_in_transaction,
               pg_catalog.count(*) FILTER (WHERE s.wait_event_type = 'Lock')::float8 AS waiting_on_lock
          FROM pg_catalog.pg_stat_activity AS s
         WHERE s.backend_type = 'client backend'
           AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_ls_waldir() LIMIT 0)) AS a
 CROSS JOIN (SELECT pg_catalog.current_setting('max_connections')::float8 AS max_connections,
                    pg_catalog.current_setting('reserved_connections')::float8 + -- 16+
                    pg_catalog.current_setting('superuser_reserved_connections')::float8 AS reserved) AS l
";

/// The metric.
#[must_use]
pub fn metric() -> Metric {
    let columns = vec![
        gauge("clients", Unit::None, "Client sessions, ours included."),
        gauge("active", Unit::None, "Client sessions that run a statement, ours not counted."),
        gauge("idle", Unit::None, "Client sessions that wait for a command outside a transaction."),
        gauge("idle_in_transaction", Unit::None, "Client sessions that hold a transaction open and do nothing."),
        gauge("max_connections", Unit::None, "Slots in all."),
        gauge("reserved", Unit::None, "Slots kept for superusers and (16+) for pg_use_reserved_connections."),
        gauge("waiting_on_lock", Unit::None, "Client sessions that wait for a heavyweight lock."),
        gauge("used_pct", Unit::Percent, "Clients per slot that an ordinary client can get."),
    ];
    Metric {
        grant: PG_MONITOR.into(),
        ..instance(frame("connections", "One row: how full the connection slots are.", &[], columns), by_version(OLDEST, SQL))
    }
}
