//! `temp`: temporary files that lie in each tablespace now. The counters of `databases` see a file only when it is closed,
//! so a query that fills the disk shows here first.

use super::build::{OLDEST, PG_MONITOR, by_version, frame, gauge, instance, label};
use crate::model::{Metric, Unit};

const SQL: &str = "
SELECT t.spcname::text AS tablespace,
       pg_catalog.count(f.name)::float8 AS files,
       COALESCE(pg_catalog.sum(f.size), 0)::float8 AS bytes
  FROM pg_catalog.pg_tablespace AS t
  LEFT JOIN LATERAL pg_catalog.pg_ls_tmpdir(t.oid) AS f ON true
 WHERE t.spcname <> 'pg_global'
 GROUP BY t.spcname
";

/// The metric.
#[must_use]
pub fn metric() -> Metric {
    let columns = vec![
        label("tablespace", "Name of the tablespace."),
        gauge("files", Unit::None, "Temporary files in it now."),
        gauge("bytes", Unit::Bytes, "Their size."),
    ];
    let frame = frame("temp", "One row per tablespace: temporary files now.", &["tablespace"], columns);
    let metric = instance(frame, by_version(OLDEST, SQL));
    Metric { every_s: 60, timeout_ms: Some(5_000), grant: PG_MONITOR.into(), ..metric }
}
