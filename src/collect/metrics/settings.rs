//! `settings`: every setting, with its number in base units, so that a rule compares bytes with bytes and seconds with
//! seconds. From `pg_settings`; half a millisecond.
//!
//! What our own session set (timeouts, read-only) is shown as the server would have it; what came with our connection
//! is unknown. Command texts, connection strings and string settings of extensions may hold secrets: they read
//! `(hidden)` unless empty or disabled. A special value such as -1 stays as it is.

use super::build::{OLDEST, by_version, flag, frame, gauge, instance, label, text};
use crate::model::{Metric, Unit};

const SQL: &str = "
SELECT s.name AS setting,
       CASE WHEN s.secret AND s.plain NOT IN ('', '(disabled)') THEN '(hidden)'
            WHEN s.source = 'client' THEN NULL
            WHEN s.source = 'session' THEN s.plain
            ELSE pg_catalog.current_setting(s.name, true)
       END AS value,
       CASE WHEN s.source = 'client' THEN NULL
            WHEN s.vartype = 'bool' THEN CASE s.plain WHEN 'on' THEN 1 ELSE 0 END
            WHEN s.vartype IN ('integer', 'real') AND s.plain = '-1' THEN -1
            WHEN s.vartype IN ('integer', 'real') THEN s.plain::float8 * COALESCE(s.count::float8, 1) * s.factor
       END::float8 AS number,
       CASE WHEN s.vartype NOT IN ('integer', 'real') OR s.word IS NULL THEN NULL
            WHEN s.word IN ('us', 'ms', 's', 'min', 'h', 'd') THEN 's'
            ELSE 'bytes'
       END AS unit,
       s.source,
       s.pending_restart,
       (s.source <> 'client' AND s.plain IS NOT DISTINCT FROM s.boot_val) AS is_default
  FROM (SELECT p.name::text AS name,
               p.source::text AS source,
               p.vartype,
               p.boot_val,
               p.pending_restart,
               CASE WHEN p.source = 'session' THEN p.reset_val ELSE p.setting END AS plain,
               pg_catalog.substring(p.unit, '^[0-9]+') AS count,
               pg_catalog.substring(p.unit, '[A-Za-z]+$') AS word,
               CASE pg_catalog.substring(p.unit, '[A-Za-z]+$')
                    WHEN 'us' THEN 0.000001
                    WHEN 'ms' THEN 0.001
                    WHEN 'min' THEN 60
                    WHEN 'h' THEN 3600
                    WHEN 'd' THEN 86400
                    WHEN 'kB' THEN 1024
                    WHEN 'MB' THEN 1048576
                    WHEN 'GB' THEN 1073741824
                    WHEN 'TB' THEN 1099511627776
                    ELSE 1
               END AS factor,
               (p.name ~ '_command$|conninfo$' OR p.category = 'Customized Options' AND p.vartype = 'string') AS secret
          FROM pg_catalog.pg_settings AS p) AS s
";

/// The metric.
#[must_use]
pub fn metric() -> Metric {
    let columns = vec![
        label("setting", "Name of the setting."),
        text("value", "Value as SHOW prints it; `(hidden)` where it may hold a secret."),
        gauge("number", Unit::None, "Value in bytes, seconds or plain; on is 1, off is 0; unknown for texts."),
        text("unit", "Unit of `number`: bytes, s, or unknown where it has none."),
        text("source", "Where the value comes from: default, configuration file, database, user, ..."),
        flag("pending_restart", "Whether a changed value waits for a restart."),
        flag("is_default", "Whether it is what PostgreSQL ships with."),
    ];
    let frame = frame("settings", "One row per setting of the server.", &["setting"], columns);
    Metric { every_s: 600, ..instance(frame, by_version(OLDEST, SQL)) }
}
