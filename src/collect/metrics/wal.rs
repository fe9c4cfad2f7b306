//! `wal`: how much WAL is made, and how much lies in pg_wal. From `pg_stat_wal` (14+) and a listing of the folder, which
//! grows with a backlog: once a minute, with a timeout of its own.
//!
//! Times of writing and syncing left this view in 18; they are in `io` there, so this frame has none.

use super::build::{OLDEST, PG_MONITOR, by_version, counter, frame, gauge, instance, reset_by, time};
use crate::model::{CostClass, FrameDef, Metric, Unit};

// The 19 column is found by name, as in `slots`: unknown where the view does not have it.
// Written from the notes of 19 and not run on a real server of it.
const SQL: &str = "
SELECT d.dir_bytes,
       d.dir_files,
       w.wal_bytes::int8 AS wal_bytes, -- 14+
       w.wal_records, -- 14+
       w.wal_fpi, -- 14+
       w.wal_fpi_bytes::int8 AS wal_fpi_bytes, -- 14+
       w.wal_buffers_full, -- 14+
       EXTRACT(EPOCH FROM w.stats_reset)::float8 AS stats_reset, -- 14+
       pg_catalog.pg_size_bytes(pg_catalog.current_setting('max_wal_size'))::float8 AS max_wal_size
  FROM (SELECT pg_catalog.sum(f.size)::float8 AS dir_bytes,
               pg_catalog.count(*)::float8 AS dir_files
          FROM pg_catalog.pg_ls_waldir() AS f
         WHERE f.name ~ '^[0-9A-F]{24}$') AS d
 CROSS JOIN (SELECT NULL::numeric AS wal_fpi_bytes) AS absent
 CROSS JOIN LATERAL (SELECT wal_bytes, wal_records, wal_fpi, wal_fpi_bytes, wal_buffers_full, stats_reset -- 14+
                       FROM pg_catalog.pg_stat_wal) AS w -- 14+
";

fn described() -> FrameDef {
    let columns = vec![
        counter("wal_bytes", Unit::Bytes, "WAL made (14+)."),
        counter("wal_records", Unit::None, "WAL records made (14+)."),
        counter("wal_fpi", Unit::None, "Full page images made (14+)."),
        counter("wal_fpi_bytes", Unit::Bytes, "Bytes of full page images (19+)."),
        counter("wal_buffers_full", Unit::None, "Times that WAL had to be written because its buffers were full (14+)."),
        gauge("dir_bytes", Unit::Bytes, "Size of the WAL segments in pg_wal."),
        gauge("dir_files", Unit::None, "Number of WAL segments in pg_wal."),
        gauge("max_wal_size", Unit::Bytes, "Size that checkpoints aim to stay under."),
        time("stats_reset", "When the counters were last reset (14+)."),
    ];
    reset_by("stats_reset", frame("wal", "One row: WAL made, and WAL on disk.", &[], columns))
}

/// The metric.
#[must_use]
pub fn metric() -> Metric {
    Metric {
        every_s: 60,
        timeout_ms: Some(5_000),
        cost: CostClass::Moderate,
        grant: PG_MONITOR.into(),
        ..instance(described(), by_version(OLDEST, SQL))
    }
}
