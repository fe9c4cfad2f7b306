//! `standby`: how far a standby is behind, seen from itself.
//!
//! Time since the last replayed commit grows on an idle primary too, so it counts as lag only if something received is not
//! replayed yet, or if no receiver is streaming (then nobody knows what the primary wrote meanwhile). The gap in bytes has
//! no such trap, but sees only what has arrived.

use super::build::{OLDEST, PG_MONITOR, by_version, counter, flag, frame, gauge, instance, label, text};
use crate::model::{CostClass, Metric, Role, Unit};

const SQL: &str = "
SELECT r.status AS receiver_status,
       pg_catalog.pg_wal_lsn_diff(p.received, p.replayed)::float8 AS received_replayed_gap_bytes,
       CASE WHEN r.status = 'streaming' AND p.received = p.replayed THEN 0
            ELSE EXTRACT(EPOCH FROM pg_catalog.clock_timestamp() - pg_catalog.pg_last_xact_replay_timestamp())
       END::float8 AS replay_lag,
       r.sender_host || ':' || r.sender_port AS sender_host,
       CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_is_wal_replay_paused() END AS replay_paused,
       EXTRACT(EPOCH FROM pg_catalog.clock_timestamp() - r.last_msg_receipt_time)::float8 AS message_age,
       c.conflicts
  FROM (SELECT pg_catalog.pg_last_wal_receive_lsn() AS received,
               pg_catalog.pg_last_wal_replay_lsn() AS replayed) AS p
 CROSS JOIN (SELECT pg_catalog.sum(d.confl_tablespace + d.confl_lock + d.confl_snapshot
                                   + d.confl_active_logicalslot -- 16+
                                   + d.confl_bufferpin + d.confl_deadlock)::int8 AS conflicts
               FROM pg_catalog.pg_stat_database_conflicts AS d) AS c
  LEFT JOIN pg_catalog.pg_stat_wal_receiver AS r ON true
 WHERE NOT EXISTS (SELECT 1 FROM pg_catalog.pg_ls_waldir() LIMIT 0)
";

/// The metric.
#[must_use]
pub fn metric() -> Metric {
    let columns = vec![
        label("receiver_status", "State of the WAL receiver; unknown when none runs (archive recovery, or the primary is gone)."),
        gauge("received_replayed_gap_bytes", Unit::Bytes, "WAL received and not replayed yet; unknown when nothing was ever streamed."),
        gauge("replay_lag", Unit::Seconds, "0 when all that was received is replayed, else age of the last replayed commit."),
        text("sender_host", "Host and port that it streams from."),
        flag("replay_paused", "Whether replay is paused."),
        gauge("message_age", Unit::Seconds, "Since when the sender has said nothing."),
        counter("conflicts", Unit::None, "Queries cancelled here because replay needed it, over all databases."),
    ];
    let frame = frame("standby", "One row on a standby: how far it is behind.", &[], columns);
    Metric { grant: PG_MONITOR.into(), role: Role::Standby, cost: CostClass::Cheap, ..instance(frame, by_version(OLDEST, SQL)) }
}
