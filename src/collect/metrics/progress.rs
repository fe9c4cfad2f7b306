//! `progress`: long commands under way, from the progress views of vacuum, analyze, index builds, cluster, copy and base
//! backup.
//!
//! One query for the whole server: the relation of another database reads as its oid, since names are known only where
//! one is connected. Copies and base backups count in bytes; here in blocks like the rest. In 19 CLUSTER is a form of
//! REPACK and its view shows both.

use super::build::{OLDEST, PG_MONITOR, by_version, frame, gauge, instance, label};
use crate::model::{FrameDef, Metric, Unit};

const SQL: &str = "
SELECT p.pid::text AS pid,
       p.command,
       p.database,
       n.nspname::text AS schema,
       COALESCE(c.relname::text, CASE WHEN p.relid > 0 THEN 'oid ' || p.relid END) AS table,
       p.phase,
       p.done,
       p.total,
       100 * p.done / NULLIF(p.total, 0) AS done_pct,
       EXTRACT(EPOCH FROM pg_catalog.clock_timestamp() - COALESCE(a.query_start, a.backend_start))::float8 AS age,
       p.index_passes,
       p.delay_s
  FROM (SELECT v.pid,
               'VACUUM' AS command,
               v.datname::text AS database,
               v.relid::int8 AS relid,
               v.phase,
               v.heap_blks_scanned::float8 AS done,
               v.heap_blks_total::float8 AS total,
               v.index_vacuum_count::float8 AS index_passes,
               v.delay_time / 1000 AS delay_s -- 18+
               NULL::float8 AS delay_s -- to 17
          FROM pg_catalog.pg_stat_progress_vacuum AS v
         UNION ALL
        SELECT v.pid,
               'ANALYZE',
               v.datname::text,
               v.relid::int8,
               v.phase,
               v.sample_blks_scanned::float8,
               v.sample_blks_total::float8,
               NULL,
               v.delay_time / 1000 -- 18+
               NULL -- to 17
          FROM pg_catalog.pg_stat_progress_analyze AS v
         UNION ALL
        SELECT v.pid,
               v.command,
               v.datname::text,
               v.relid::int8,
               v.phase,
               v.blocks_done::float8,
               v.blocks_total::float8,
               NULL,
               NULL
          FROM pg_catalog.pg_stat_progress_create_index AS v
         UNION ALL
        SELECT v.pid,
               v.command,
               v.datname::text,
               v.relid::int8,
               v.phase,
               v.heap_blks_scanned::float8,
               v.heap_blks_total::float8,
               NULL,
               NULL
          FROM pg_catalog.pg_stat_progress_cluster AS v
         UNION ALL
        SELECT v.pid,
               'BASE_BACKUP',
               NULL,
               NULL,
               v.phase,
               v.backup_streamed / pg_catalog.current_setting('block_size')::float8,
               v.backup_total / pg_catalog.current_setting('block_size')::float8,
               NULL,
               NULL
          FROM pg_catalog.pg_stat_progress_basebackup AS v
         UNION ALL -- 14+
        SELECT v.pid, -- 14+
               v.command, -- 14+
               v.datname::text, -- 14+
               v.relid::int8, -- 14+
               NULL, -- 14+
               v.bytes_processed / pg_catalog.current_setting('block_size')::float8, -- 14+
               NULLIF(v.bytes_total, 0) / pg_catalog.current_setting('block_size')::float8, -- 14+
               NULL, -- 14+
               NULL -- 14+
          FROM pg_catalog.pg_stat_progress_copy AS v -- 14+
       ) AS p
  LEFT JOIN pg_catalog.pg_class AS c ON c.oid = p.relid AND p.database = pg_catalog.current_database()
  LEFT JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid = p.pid
 WHERE NOT EXISTS (SELECT 1 FROM pg_catalog.pg_ls_waldir() LIMIT 0)
";

fn described() -> FrameDef {
    let columns = vec![
        label("pid", "Process id."),
        label("command", "VACUUM, ANALYZE, CREATE INDEX, REINDEX, CLUSTER, COPY FROM, BASE_BACKUP, ..."),
        label("database", "Its database."),
        label("schema", "Schema of the table; known only for the database that this was read in."),
        label("table", "The table; `oid N` when it is in another database."),
        label("phase", "What it does now."),
        gauge("done", Unit::Blocks, "Blocks done in this phase's scan."),
        gauge("total", Unit::Blocks, "Blocks in all; unknown when nobody knows."),
        gauge("done_pct", Unit::Percent, "Done per total; unknown when there is no total."),
        gauge("age", Unit::Seconds, "Since the command began."),
        gauge("index_passes", Unit::None, "Times that a vacuum went over the indexes; 2 or more means too little memory."),
        gauge("delay_s", Unit::Seconds, "Time slept by cost delay (18+, with track_cost_delay_timing)."),
    ];
    frame("progress", "One row per long command under way.", &["pid"], columns)
}

/// The metric.
#[must_use]
pub fn metric() -> Metric {
    Metric { grant: PG_MONITOR.into(), ..instance(described(), by_version(OLDEST, SQL)) }
}
