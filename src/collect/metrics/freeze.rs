//! `freeze`: how near each database is to transaction id wraparound. Template and closed databases are included: they wrap
//! around too, and nobody looks at them.
//!
//! Normal life is a sawtooth up to autovacuum_freeze_max_age: 95 % of that is well, 40 % of 2^31 is not.

use super::build::{OLDEST, by_version, frame, gauge, instance, label};
use crate::model::{Metric, Unit};

const SQL: &str = "
SELECT d.datname::text AS database,
       pg_catalog.age(d.datfrozenxid)::float8 AS xid_age,
       pg_catalog.mxid_age(d.datminmxid)::float8 AS mxid_age,
       pg_catalog.age(d.datfrozenxid) / 21474836.48::float8 AS xid_pct,
       pg_catalog.mxid_age(d.datminmxid) / 21474836.48::float8 AS mxid_pct,
       pg_catalog.current_setting('autovacuum_freeze_max_age')::float8 AS freeze_max_age,
       pg_catalog.current_setting('autovacuum_multixact_freeze_max_age')::float8 AS mxid_freeze_max_age
  FROM pg_catalog.pg_database AS d
";

/// The metric.
#[must_use]
pub fn metric() -> Metric {
    let columns = vec![
        label("database", "Name of the database."),
        gauge("xid_age", Unit::Xids, "Age of its oldest transaction id that is not frozen."),
        gauge("mxid_age", Unit::Xids, "Age of its oldest multixact id."),
        gauge("xid_pct", Unit::Percent, "The first as a share of 2^31, where the server stops writing."),
        gauge("mxid_pct", Unit::Percent, "The second as a share of 2^31."),
        gauge("freeze_max_age", Unit::Xids, "autovacuum_freeze_max_age."),
        gauge("mxid_freeze_max_age", Unit::Xids, "autovacuum_multixact_freeze_max_age."),
    ];
    let frame = frame("freeze", "One row per database: how near it is to wraparound.", &["database"], columns);
    Metric { every_s: 300, ..instance(frame, by_version(OLDEST, SQL)) }
}
