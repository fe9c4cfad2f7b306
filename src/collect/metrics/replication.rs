//! `replication`: the standbys and other receivers that stream from this server, from `pg_stat_replication`.
//!
//! A row is known by application and client, not by process, so that it stays the same over a reconnect; a second one of
//! the same names reads `name #2`. Lag in seconds is what the sender measured last: it is unknown when there was no
//! traffic, and is not zero then. On a cascading standby the lag counts from what it has received itself.

use super::build::{OLDEST, PG_MONITOR, address, by_version, frame, gauge, instance, label};
use crate::model::{ColumnKind, FrameDef, Metric, Unit};

const SQL: &str = "
SELECT CASE WHEN r.nth > 1 THEN r.application_name || ' #' || r.nth ELSE r.application_name END AS application,
       COALESCE(pg_catalog.host(r.client_addr), 'local') AS client,
       r.pid::text AS pid,
       s.slot_name::text AS slot,
       r.state,
       r.sync_state,
       pg_catalog.pg_wal_lsn_diff(w.here, r.sent_lsn)::float8 AS sent_lag_bytes,
       pg_catalog.pg_wal_lsn_diff(w.here, r.write_lsn)::float8 AS write_lag_bytes,
       pg_catalog.pg_wal_lsn_diff(w.here, r.flush_lsn)::float8 AS flush_lag_bytes,
       pg_catalog.pg_wal_lsn_diff(w.here, r.replay_lsn)::float8 AS replay_lag_bytes,
       EXTRACT(EPOCH FROM r.write_lag)::float8 AS write_lag,
       EXTRACT(EPOCH FROM r.flush_lag)::float8 AS flush_lag,
       EXTRACT(EPOCH FROM r.replay_lag)::float8 AS replay_lag,
       pg_catalog.age(r.backend_xmin)::float8 AS backend_xmin_age,
       EXTRACT(EPOCH FROM pg_catalog.clock_timestamp() - r.reply_time)::float8 AS reply_age
  FROM (SELECT p.*,
               pg_catalog.row_number() OVER (PARTITION BY p.application_name, p.client_addr ORDER BY p.backend_start, p.pid) AS nth
          FROM pg_catalog.pg_stat_replication AS p
         WHERE NOT EXISTS (SELECT 1 FROM pg_catalog.pg_ls_waldir() LIMIT 0)) AS r
 CROSS JOIN (SELECT CASE WHEN pg_catalog.pg_is_in_recovery()
                         THEN pg_catalog.pg_last_wal_receive_lsn()
                         ELSE pg_catalog.pg_current_wal_lsn()
                    END AS here) AS w
  LEFT JOIN pg_catalog.pg_replication_slots AS s ON s.active_pid = r.pid
";

fn described() -> FrameDef {
    let columns = vec![
        label("application", "application_name of the receiver."),
        address("client", ColumnKind::Label, "Address of the receiver, or `local`."),
        label("pid", "Process id of the walsender; it changes at each reconnect."),
        label("slot", "Slot that it uses; unknown when none."),
        label("state", "streaming, catchup, backup, ..."),
        label("sync_state", "async, potential, sync or quorum."),
        gauge("sent_lag_bytes", Unit::Bytes, "WAL written here and not sent yet."),
        gauge("write_lag_bytes", Unit::Bytes, "WAL written here and not written there yet."),
        gauge("flush_lag_bytes", Unit::Bytes, "WAL written here and not flushed there yet."),
        gauge("replay_lag_bytes", Unit::Bytes, "WAL written here and not replayed there yet."),
        gauge("write_lag", Unit::Seconds, "Time until WAL was written there; unknown when idle."),
        gauge("flush_lag", Unit::Seconds, "Time until WAL was flushed there; unknown when idle."),
        gauge("replay_lag", Unit::Seconds, "Time until WAL was replayed there; unknown when idle."),
        gauge("backend_xmin_age", Unit::Xids, "How far back hot_standby_feedback holds dead rows; unknown without feedback."),
        gauge("reply_age", Unit::Seconds, "Since when the receiver has not answered."),
    ];
    frame("replication", "One row per receiver that streams from this server.", &["application", "client"], columns)
}

/// The metric.
#[must_use]
pub fn metric() -> Metric {
    Metric { grant: PG_MONITOR.into(), ..instance(described(), by_version(OLDEST, SQL)) }
}
