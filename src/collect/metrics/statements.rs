//! `statements`: what each statement cost, from pg_stat_statements without its texts: `(false)` does not read the text
//! file, which makes it twenty times cheaper and keeps temporary files away. Texts: see `statement_texts`.
//!
//! Columns go by the version of the extension, which an upgrade leaves behind the server's. So the newer ones are named
//! in a lateral sub-select: where the function does not return one, the name finds `absent` and reads unknown. That also
//! covers the columns of 19 (extension 1.13), which were not run on a real server.
//!
//! An entry can be evicted and come back: `stats_since` (1.11) tells, before that only a counter that fell does.
//! A queryid is stable within a major version only.

use super::build::{OLDEST, PG_MONITOR, by_version, counter, extension, frame, gauge, instance, label, reset_by, time};
use crate::model::{CostClass, FrameDef, Metric, Unit};

/// Rows that one reading brings at most; the extension's own default of pg_stat_statements.max.
const TOP: u64 = 5_000;

const SQL: &str = "
SELECT COALESCE(d.datname::text, s.dbid::text) AS database,
       COALESCE(r.rolname::text, s.userid::text) AS role,
       s.queryid::text AS queryid,
       s.toplevel::text AS toplevel,
       s.calls,
       s.total_exec_time::int8 AS total_time,
       s.rows,
       s.shared_blks_hit,
       s.shared_blks_read,
       s.shared_blks_dirtied,
       s.shared_blks_written,
       s.temp_blks_read,
       s.temp_blks_written,
       CASE WHEN t.timed THEN COALESCE(s.shared_blk_read_time, s.blk_read_time)::int8 END AS blk_read_time,
       s.wal_bytes::int8 AS wal_bytes,
       CASE WHEN t.planned THEN s.total_plan_time::int8 END AS plan_time,
       (s.jit_generation_time + s.jit_inlining_time + s.jit_optimization_time + s.jit_emission_time)::int8 AS jit_time,
       s.generic_plan_calls,
       s.custom_plan_calls,
       EXTRACT(EPOCH FROM s.stats_since)::float8 AS stats_since,
       s.mean_exec_time AS mean_time,
       s.max_exec_time AS max_time
  FROM (SELECT NULL::bool AS toplevel,
               NULL::float8 AS blk_read_time,
               NULL::float8 AS shared_blk_read_time,
               NULL::float8 AS jit_generation_time,
               NULL::float8 AS jit_inlining_time,
               NULL::float8 AS jit_optimization_time,
               NULL::float8 AS jit_emission_time,
               NULL::int8 AS generic_plan_calls,
               NULL::int8 AS custom_plan_calls,
               NULL::timestamptz AS stats_since) AS absent
 CROSS JOIN LATERAL (SELECT dbid, userid, queryid, toplevel, calls, rows,
                            total_exec_time, total_plan_time, mean_exec_time, max_exec_time,
                            shared_blks_hit, shared_blks_read, shared_blks_dirtied, shared_blks_written,
                            temp_blks_read, temp_blks_written, blk_read_time, shared_blk_read_time, wal_bytes,
                            jit_generation_time, jit_inlining_time, jit_optimization_time, jit_emission_time,
                            generic_plan_calls, custom_plan_calls, stats_since
                       FROM {extension_schema}.pg_stat_statements(false)
                      WHERE queryid IS NOT NULL
                        AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_ls_waldir() LIMIT 0)
                      ORDER BY total_exec_time DESC
                      LIMIT 5000) AS s
 CROSS JOIN (SELECT pg_catalog.current_setting('track_io_timing') = 'on' AS timed,
                    pg_catalog.current_setting('pg_stat_statements.track_planning', true) = 'on' AS planned) AS t
  LEFT JOIN pg_catalog.pg_database AS d ON d.oid = s.dbid
  LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = s.userid
";

fn described() -> FrameDef {
    let columns = vec![
        label("database", "Database it ran in; its oid when that is dropped."),
        label("role", "Role that ran it; its oid when that is dropped."),
        label("queryid", "Identifier of the statement, the same for all literals."),
        label("toplevel", "true when a client sent it, false when a function did (14+)."),
        counter("calls", Unit::None, "Executions."),
        counter("total_time", Unit::Millis, "Time in execution."),
        counter("rows", Unit::Rows, "Rows returned or changed."),
        counter("shared_blks_hit", Unit::Blocks, "Blocks found in shared buffers."),
        counter("shared_blks_read", Unit::Blocks, "Blocks that were not."),
        counter("shared_blks_dirtied", Unit::Blocks, "Blocks made dirty."),
        counter("shared_blks_written", Unit::Blocks, "Blocks it had to write itself."),
        counter("temp_blks_read", Unit::Blocks, "Blocks read from temporary files."),
        counter("temp_blks_written", Unit::Blocks, "Blocks written to temporary files."),
        counter("blk_read_time", Unit::Millis, "Time in reading shared blocks; unknown while track_io_timing is off."),
        counter("wal_bytes", Unit::Bytes, "WAL made."),
        counter("plan_time", Unit::Millis, "Time in planning; unknown while pg_stat_statements.track_planning is off."),
        counter("jit_time", Unit::Millis, "Time in just-in-time compilation (15+)."),
        counter("generic_plan_calls", Unit::None, "Executions with a generic plan (19+)."),
        counter("custom_plan_calls", Unit::None, "Executions with a plan of their own (19+)."),
        time("stats_since", "Since when this entry counts; it changes after eviction or reset (17+)."),
        gauge("mean_time", Unit::Millis, "Mean time of an execution since the entry counts."),
        gauge("max_time", Unit::Millis, "Longest execution since the entry counts."),
    ];
    let frame = frame(
        "statements",
        "One row per statement known to pg_stat_statements (top 5,000 by total time), without its text.",
        &["database", "role", "queryid", "toplevel"],
        columns,
    );
    reset_by("stats_since", frame)
}

/// The metric.
#[must_use]
pub fn metric() -> Metric {
    Metric {
        top: Some(TOP),
        cost: CostClass::Moderate,
        needs: extension("pg_stat_statements", "1.8"),
        grant: PG_MONITOR.into(),
        ..instance(described(), by_version(OLDEST, SQL))
    }
}
