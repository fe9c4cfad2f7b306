//! `sequences`: how far each sequence has come, measured against what its column can hold: a bigint sequence that feeds an
//! integer column ends at the column. The column is the one that owns the sequence (serial, identity), else one whose
//! default draws from it.
//!
//! Reading a sequence's value opens it, with a lock that only ALTER and DROP of the sequence conflict with. A sequence
//! on which such a lock is held or awaited is not touched: its value is unknown. So is one that the role may not read
//! (`readable`), or an unlogged one on a standby. The server keeps each of these locks to the end of the transaction, and its
//! lock table holds some thousands: so only the 1,000 with the smallest range are read, smallint and integer first. A view
//! over all sequences would stop other people's work. Temporary sequences are left out: they are another session's.
//! One that was never used stands at 0 %.

use super::build::{OLDEST, by_version, each_database, flag, frame, gauge, label, text};
use crate::model::{FrameDef, Metric, Unit};

const SQL: &str = "
WITH busy AS MATERIALIZED (
    SELECT DISTINCT l.relation
      FROM pg_catalog.pg_locks AS l
     WHERE l.locktype = 'relation'
       AND l.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
), read AS MATERIALIZED (
    SELECT q.seqrelid,
           q.seqincrement,
           q.seqmin,
           q.seqmax,
           q.seqcycle,
           c.relname,
           n.nspname,
           pg_catalog.has_sequence_privilege(c.oid, 'SELECT, USAGE') AS readable,
           (b.relation IS NOT NULL OR c.relpersistence = 'u' AND pg_catalog.pg_is_in_recovery()) AS untouchable
      FROM pg_catalog.pg_sequence AS q
      JOIN pg_catalog.pg_class AS c ON c.oid = q.seqrelid AND c.relpersistence <> 't'
      JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
      LEFT JOIN busy AS b ON b.relation = c.oid
), feeds AS MATERIALIZED (
    SELECT DISTINCT ON (u.seqrelid) u.seqrelid,
           u.relid,
           u.attnum
      FROM (SELECT d.objid AS seqrelid,
                   d.refobjid AS relid,
                   d.refobjsubid::int2 AS attnum,
                   1 AS rank
              FROM pg_catalog.pg_depend AS d
             WHERE d.classid = 'pg_catalog.pg_class'::regclass
               AND d.refclassid = 'pg_catalog.pg_class'::regclass
               AND d.deptype IN ('a', 'i')
               AND d.refobjsubid > 0
             UNION ALL
            SELECT d.refobjid,
                   f.adrelid,
                   f.adnum,
                   2
              FROM pg_catalog.pg_depend AS d
              JOIN pg_catalog.pg_attrdef AS f ON f.oid = d.objid
             WHERE d.classid = 'pg_catalog.pg_attrdef'::regclass
               AND d.refclassid = 'pg_catalog.pg_class'::regclass) AS u
      JOIN read AS r ON r.seqrelid = u.seqrelid
     ORDER BY u.seqrelid, u.rank, u.relid, u.attnum
), bounds AS (
    SELECT s.*,
           f.relid,
           f.attnum,
           y.typname,
           LEAST(s.seqmax, CASE y.typname WHEN 'int2' THEN 32767 WHEN 'int4' THEN 2147483647 ELSE s.seqmax END) AS top,
           GREATEST(s.seqmin, CASE y.typname WHEN 'int2' THEN -32768 WHEN 'int4' THEN -2147483648 ELSE s.seqmin END) AS bottom
      FROM read AS s
      LEFT JOIN feeds AS f ON f.seqrelid = s.seqrelid
      LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = f.relid AND a.attnum = f.attnum
      LEFT JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
      LEFT JOIN pg_catalog.pg_type AS y ON y.oid = COALESCE(NULLIF(t.typbasetype, 0), t.oid)
), ranked AS MATERIALIZED (
    SELECT b.*,
           pg_catalog.row_number() OVER (ORDER BY b.readable DESC,
                                                  CASE WHEN b.seqincrement > 0 THEN b.top ELSE -(b.bottom + 1) END,
                                                  b.seqrelid) AS rank
      FROM bounds AS b
), drawn AS MATERIALIZED (
    SELECT r.*,
           (r.readable AND NOT r.untouchable AND r.rank <= 1000) AS seen,
           CASE WHEN r.readable AND NOT r.untouchable AND r.rank <= 1000
                THEN pg_catalog.pg_sequence_last_value(r.seqrelid)
           END AS value
      FROM ranked AS r
)
SELECT b.nspname::text AS schema,
       b.relname::text AS sequence,
       b.value::float8 AS last_value,
       CASE WHEN b.seqincrement > 0 THEN b.top ELSE b.bottom END::float8 AS max_value,
       CASE b.typname WHEN 'int2' THEN 'smallint' WHEN 'int4' THEN 'integer' WHEN 'int8' THEN 'bigint' ELSE b.typname::text END AS column_type,
       CASE WHEN NOT b.seen THEN NULL
            WHEN b.value IS NULL THEN 0
            WHEN b.seqincrement > 0
            THEN LEAST(100, GREATEST(0, 100 * (b.value::float8 - GREATEST(b.bottom, 0)) / NULLIF(b.top::float8 - GREATEST(b.bottom, 0), 0)))
            ELSE LEAST(100, GREATEST(0, 100 * (b.value::float8 - LEAST(b.top, 0)) / NULLIF(b.bottom::float8 - LEAST(b.top, 0), 0)))
       END::float8 AS used_pct,
       b.seqcycle AS cycles,
       b.readable,
       n.nspname || '.' || c.relname || '.' || a.attname AS owner
  FROM drawn AS b
  LEFT JOIN pg_catalog.pg_class AS c ON c.oid = b.relid
  LEFT JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = b.relid AND a.attnum = b.attnum
";

fn described() -> FrameDef {
    let columns = vec![
        label("database", "The database."),
        label("schema", "Schema of the sequence."),
        label("sequence", "Name of the sequence."),
        gauge(
            "last_value",
            Unit::None,
            "Last value drawn; unknown when never used, not readable, locked, or past the 1,000 of smallest range.",
        ),
        gauge("max_value", Unit::None, "Where it ends: its own limit or the column's, in its direction."),
        label("column_type", "Type of the column it feeds, domains resolved; unknown when it feeds none."),
        gauge("used_pct", Unit::Percent, "Share of its range that is used up; unknown when the value could not be read."),
        flag("cycles", "Whether it begins anew at its end."),
        flag("readable", "Whether the role may read its value (GRANT pg_read_all_data, 14+)."),
        text("owner", "The column it feeds: schema.table.column."),
    ];
    frame("sequences", "One row per sequence of each database: how far it has come.", &["database", "schema", "sequence"], columns)
}

/// The metric.
#[must_use]
pub fn metric() -> Metric {
    Metric {
        every_s: 3_600,
        grant: "GRANT pg_read_all_data TO the_monitoring_role;".into(),
        ..each_database(described(), by_version(OLDEST, SQL))
    }
}
