//! `io`: who reads and writes what, from `pg_stat_io` (16+).
//!
//! Relations only: from 18 on the view has rows for WAL as well, and a sum over both would mean nothing. Up to 17 bytes
//! are operations times op_bytes. Times are unknown while track_io_timing is off. An operation that cannot happen in a
//! context is unknown, as in the view.

use super::build::{by_version, counter, frame, instance, label, reset_by, time};
use crate::model::{FrameDef, Metric, Unit};

const SQL: &str = "
SELECT i.backend_type,
       i.object,
       i.context,
       i.reads,
       i.reads * i.op_bytes AS read_bytes, -- to 17
       i.read_bytes::int8 AS read_bytes, -- 18+
       CASE WHEN t.timed THEN i.read_time::int8 END AS read_time,
       i.writes,
       i.writes * i.op_bytes AS write_bytes, -- to 17
       i.write_bytes::int8 AS write_bytes, -- 18+
       CASE WHEN t.timed THEN i.write_time::int8 END AS write_time,
       i.extends,
       i.hits,
       i.evictions,
       i.fsyncs,
       EXTRACT(EPOCH FROM i.stats_reset)::float8 AS stats_reset
  FROM pg_catalog.pg_stat_io AS i
 CROSS JOIN (SELECT pg_catalog.current_setting('track_io_timing') = 'on' AS timed) AS t
 WHERE i.object <> 'wal'
";

fn described() -> FrameDef {
    let columns = vec![
        label("backend_type", "Which kind of process."),
        label("object", "relation or temp relation."),
        label("context", "normal, vacuum, bulkread, bulkwrite."),
        counter("reads", Unit::None, "Read operations."),
        counter("read_bytes", Unit::Bytes, "Bytes read."),
        counter("read_time", Unit::Millis, "Time in reading; unknown while track_io_timing is off."),
        counter("writes", Unit::None, "Write operations."),
        counter("write_bytes", Unit::Bytes, "Bytes written."),
        counter("write_time", Unit::Millis, "Time in writing; unknown while track_io_timing is off."),
        counter("extends", Unit::None, "Operations that made a relation longer."),
        counter("hits", Unit::Blocks, "Blocks found in shared buffers."),
        counter("evictions", Unit::Blocks, "Blocks thrown out to make room."),
        counter("fsyncs", Unit::None, "fsync calls."),
        time("stats_reset", "When the counters were last reset."),
    ];
    let frame = frame(
        "io",
        "One row per kind of process, object and context that does I/O on relations (16+).",
        &["backend_type", "object", "context"],
        columns,
    );
    reset_by("stats_reset", frame)
}

/// The metric.
#[must_use]
pub fn metric() -> Metric {
    Metric { every_s: 60, ..instance(described(), by_version(16, SQL)) }
}
