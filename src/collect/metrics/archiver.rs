//! `archiver`: whether WAL gets into the archive. Failing means that the last failure is later than the last success: an
//! idle server archives nothing for hours and is well, so the age alone says nothing.
//!
//! The backlog counts `.ready` files, which needs pg_monitor. On a standby it matters with archive_mode = always only.

use super::build::{OLDEST, PG_MONITOR, by_version, counter, flag, frame, gauge, instance, label, reset_by, time};
use crate::model::{FrameDef, Metric, Unit};

const SQL: &str = "
SELECT pg_catalog.current_setting('archive_mode') AS archive_mode,
       a.archived_count AS archived,
       a.failed_count AS failed,
       EXTRACT(EPOCH FROM pg_catalog.clock_timestamp() - a.last_archived_time)::float8 AS last_archived_age,
       EXTRACT(EPOCH FROM pg_catalog.clock_timestamp() - a.last_failed_time)::float8 AS last_failed_age,
       (a.last_failed_time IS NOT NULL AND a.last_failed_time > COALESCE(a.last_archived_time, '-infinity')) AS failing,
       (SELECT pg_catalog.count(*) FROM pg_catalog.pg_ls_archive_statusdir() AS f WHERE f.name LIKE '%.ready')::float8 AS ready_files,
       EXTRACT(EPOCH FROM a.stats_reset)::float8 AS stats_reset
  FROM pg_catalog.pg_stat_archiver AS a
";

fn described() -> FrameDef {
    let columns = vec![
        label("archive_mode", "off, on or always."),
        counter("archived", Unit::None, "WAL files archived."),
        counter("failed", Unit::None, "Attempts that failed."),
        gauge("last_archived_age", Unit::Seconds, "Since the last success; unknown when there was none."),
        gauge("last_failed_age", Unit::Seconds, "Since the last failure; unknown when there was none."),
        flag("failing", "Whether the last failure is later than the last success."),
        gauge("ready_files", Unit::None, "WAL files that wait to be archived."),
        time("stats_reset", "When the counters were last reset."),
    ];
    reset_by("stats_reset", frame("archiver", "One row: whether WAL gets into the archive.", &[], columns))
}

/// The metric.
#[must_use]
pub fn metric() -> Metric {
    Metric { timeout_ms: Some(5_000), grant: PG_MONITOR.into(), ..instance(described(), by_version(OLDEST, SQL)) }
}
