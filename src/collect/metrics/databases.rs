//! `databases`: the counters of every database, template and closed ones included. From `pg_stat_database`, which is
//! shared: one reading for the whole server.
//!
//! I/O times are unknown while track_io_timing is off, never zero. Checksum failures are unknown without checksums.
//! A collation version that differs means that indexes on text may be in the wrong order (typically a new libc).

use super::build::{OLDEST, by_version, counter, flag, frame, gauge, instance, label, reset_by, time};
use crate::model::{FrameDef, Metric, Unit};

const SQL: &str = "
SELECT d.datname::text AS database,
       s.numbackends::float8 AS numbackends,
       CASE WHEN d.datconnlimit >= 0 THEN d.datconnlimit END::float8 AS conn_limit,
       s.xact_commit,
       s.xact_rollback,
       s.blks_read,
       s.blks_hit,
       s.tup_returned,
       s.tup_fetched,
       s.tup_inserted,
       s.tup_updated,
       s.tup_deleted,
       s.conflicts,
       s.temp_files,
       s.temp_bytes,
       s.deadlocks,
       s.checksum_failures,
       CASE WHEN pg_catalog.current_setting('track_io_timing') = 'on' THEN s.blk_read_time::int8 END AS blk_read_time,
       CASE WHEN pg_catalog.current_setting('track_io_timing') = 'on' THEN s.blk_write_time::int8 END AS blk_write_time,
       s.sessions, -- 14+
       s.sessions_abandoned, -- 14+
       s.sessions_fatal, -- 14+
       s.sessions_killed, -- 14+
       s.active_time::int8 AS active_time, -- 14+
       s.idle_in_transaction_time::int8 AS idle_in_transaction_time, -- 14+
       COALESCE(d.datcollversion <> pg_catalog.pg_database_collation_actual_version(d.oid), false) AS collation_mismatch, -- 15+
       d.datistemplate AS is_template,
       d.datallowconn AS allow_connections,
       EXTRACT(EPOCH FROM s.stats_reset)::float8 AS stats_reset
  FROM pg_catalog.pg_database AS d
  JOIN pg_catalog.pg_stat_database AS s ON s.datid = d.oid
";

fn described() -> FrameDef {
    let columns = vec![
        label("database", "Name of the database."),
        gauge("numbackends", Unit::None, "Sessions in it now."),
        gauge("conn_limit", Unit::None, "Its own connection limit; unknown when it has none."),
        counter("xact_commit", Unit::None, "Transactions committed."),
        counter("xact_rollback", Unit::None, "Transactions rolled back."),
        counter("blks_read", Unit::Blocks, "Blocks that were not in shared buffers."),
        counter("blks_hit", Unit::Blocks, "Blocks that were."),
        counter("tup_returned", Unit::Rows, "Rows read by scans, wanted or not."),
        counter("tup_fetched", Unit::Rows, "Rows fetched by index scans."),
        counter("tup_inserted", Unit::Rows, "Rows inserted."),
        counter("tup_updated", Unit::Rows, "Rows updated."),
        counter("tup_deleted", Unit::Rows, "Rows deleted."),
        counter("conflicts", Unit::None, "Queries cancelled by recovery (standby only)."),
        counter("temp_files", Unit::None, "Temporary files made by queries."),
        counter("temp_bytes", Unit::Bytes, "Bytes written to them; counted when a file is closed."),
        counter("deadlocks", Unit::None, "Deadlocks broken."),
        counter("checksum_failures", Unit::None, "Pages with a wrong checksum; unknown without checksums."),
        counter("blk_read_time", Unit::Millis, "Time in reading blocks; unknown while track_io_timing is off."),
        counter("blk_write_time", Unit::Millis, "Time in writing blocks; unknown while track_io_timing is off."),
        counter("sessions", Unit::None, "Sessions begun (14+)."),
        counter("sessions_abandoned", Unit::None, "Sessions lost because the client went away (14+)."),
        counter("sessions_fatal", Unit::None, "Sessions ended by a fatal error (14+)."),
        counter("sessions_killed", Unit::None, "Sessions ended by an operator (14+)."),
        counter("active_time", Unit::Millis, "Time that sessions ran statements (14+)."),
        counter("idle_in_transaction_time", Unit::Millis, "Time that sessions idled in a transaction (14+)."),
        flag("collation_mismatch", "Whether the operating system's collation differs from the one it was built with (15+)."),
        flag("is_template", "Whether it is a template."),
        flag("allow_connections", "Whether anybody may connect."),
        time("stats_reset", "When its counters were last reset; unknown when never."),
    ];
    reset_by("stats_reset", frame("databases", "One row per database of the server.", &["database"], columns))
}

/// The metric.
#[must_use]
pub fn metric() -> Metric {
    instance(described(), by_version(OLDEST, SQL))
}
