//! `statements_info`: whether pg_stat_statements has room. Evictions (`dealloc`) mean that what `statements` shows is a
//! part, and that sums over it fall short. The view came with extension 1.9 (PostgreSQL 14).

use super::build::{by_version, counter, extension, frame, gauge, instance, reset_by, time};
use crate::model::{CostClass, Metric, Unit};

const SQL: &str = "
SELECT i.dealloc,
       EXTRACT(EPOCH FROM i.stats_reset)::float8 AS stats_reset,
       (SELECT pg_catalog.count(*) FROM {extension_schema}.pg_stat_statements(false))::float8 AS entries,
       pg_catalog.current_setting('pg_stat_statements.max', true)::float8 AS max_entries
  FROM {extension_schema}.pg_stat_statements_info AS i
";

/// The metric.
#[must_use]
pub fn metric() -> Metric {
    let columns = vec![
        counter("dealloc", Unit::None, "Times that the least used entries were thrown out."),
        time("stats_reset", "When all entries were last reset."),
        gauge("entries", Unit::None, "Entries in it now."),
        gauge("max_entries", Unit::None, "Entries that fit (pg_stat_statements.max)."),
    ];
    let frame = frame("statements_info", "One row: whether pg_stat_statements has room (14+).", &[], columns);
    Metric {
        cost: CostClass::Moderate,
        needs: extension("pg_stat_statements", "1.9"),
        ..instance(reset_by("stats_reset", frame), by_version(14, SQL))
    }
}
