//! `extensions`: what is installed in each database and what the server's files would bring. The default versions are read
//! from the control files, some milliseconds: once an hour.

use super::build::{OLDEST, by_version, each_database, flag, frame, label, text};
use crate::model::Metric;

const SQL: &str = "
SELECT e.extname::text AS extension,
       e.extversion AS version,
       a.default_version,
       e.extversion <> a.default_version AS outdated
  FROM pg_catalog.pg_extension AS e
  LEFT JOIN pg_catalog.pg_available_extensions() AS a ON a.name = e.extname
";

/// The metric.
#[must_use]
pub fn metric() -> Metric {
    let columns = vec![
        label("database", "The database."),
        label("extension", "Name of the extension."),
        text("version", "Version installed in this database."),
        text("default_version", "Version that the server's files bring; unknown when they are gone."),
        flag("outdated", "Whether the two differ; unknown when the files are gone."),
    ];
    let frame = frame("extensions", "One row per extension of each database.", &["database", "extension"], columns);
    Metric { every_s: 3_600, ..each_database(frame, by_version(OLDEST, SQL)) }
}
