//! `sizes`: bytes of every database on disk. `pg_database_size()` walks the file system (some 10 µs a file, 100 ms for
//! 60,000 files), so it is asked every quarter of an hour, with a timeout of its own. A database that the role may not
//! connect to is shown as unknown unless the role reads all statistics.

use super::build::{OLDEST, by_version, frame, gauge, instance, label};
use crate::model::{CostClass, Metric, Unit};

const SQL: &str = "
SELECT d.datname::text AS database,
       CASE WHEN pg_catalog.has_database_privilege(d.oid, 'CONNECT') OR pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE')
            THEN pg_catalog.pg_database_size(d.oid)
       END::float8 AS bytes
  FROM pg_catalog.pg_database AS d
";

/// The metric.
#[must_use]
pub fn metric() -> Metric {
    let columns = vec![
        label("database", "Name of the database."),
        gauge("bytes", Unit::Bytes, "Size on disk, indexes and free space included; unknown when the role may not ask."),
    ];
    let frame = frame("sizes", "One row per database: its size on disk.", &["database"], columns);
    Metric { every_s: 900, timeout_ms: Some(20_000), cost: CostClass::Heavy, ..instance(frame, by_version(OLDEST, SQL)) }
}
