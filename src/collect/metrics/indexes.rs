//! `indexes`: every index: use, size, state, and what would be lost without it. The 10,000 largest of each database.
//!
//! Nothing here locks a user's relation. `pg_get_indexdef()` and `pg_get_expr()` open the table and would wait behind an
//! ALTER, so the definition is put together from the catalogue, for plain columns only: a partial or expression index has
//! none. As naming columns costs, columns and definition are given only to rows that a rule may speak of: invalid, a
//! duplicate, redundant, or one of the 500 largest never scanned.
//!
//! Duplicates have the same method, columns, operator classes, collations, order, INCLUDE, uniqueness, predicate and
//! expressions; the one that is kept backs a constraint, else has the smaller name. Redundant means that another valid b-tree
//! of the same predicate begins with all of this one's columns. Expressions are compared as stored trees, without source
//! positions.
//!
//! Scans are counted since `stats_age` at most; a younger index has had less time, and nobody records when an index was made.
//! A unique index that only guards never counts a scan, and replicas count for themselves.

use super::build::{OLDEST, by_version, counter, each_database, flag, frame, gauge, label, text};
use crate::model::{CostClass, FrameDef, Metric, Unit};

/// Rows that one reading brings at most.
const TOP: u64 = 10_000;

const SQL: &str = r"
WITH env AS MATERIALIZED (
    SELECT pg_catalog.clock_timestamp() AS now,
           pg_catalog.current_setting('block_size')::float8 AS block,
           (SELECT EXTRACT(EPOCH FROM pg_catalog.clock_timestamp()
                           - GREATEST(d.stats_reset, b.stats_reset, CASE WHEN d.stats_reset IS NULL THEN pg_catalog.pg_postmaster_start_time() END))::int4
              FROM pg_catalog.pg_stat_database AS d
             CROSS JOIN pg_catalog.pg_stat_bgwriter AS b
             WHERE d.datname = pg_catalog.current_database()) AS stats_age
), spaces AS MATERIALIZED (
    SELECT n.oid,
           n.nspname
      FROM pg_catalog.pg_namespace AS n
     WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
       AND n.nspname NOT LIKE 'pg\_temp\_%'
       AND n.nspname NOT LIKE 'pg\_toast\_temp\_%'
), picked AS MATERIALIZED (
    SELECT c.oid,
           c.relname,
           n.nspname,
           c.relam,
           c.relispartition,
           c.relpages,
           c.relkind,
           i.indrelid,
           i.indisunique,
           i.indisprimary,
           i.indisvalid,
           i.indisready,
           i.indisreplident,
           i.indnkeyatts,
           i.indnatts,
           i.indkey,
           i.indclass,
           i.indcollation,
           i.indoption,
           i.indnullsnotdistinct AS nulls_equal, -- 15+
           false AS nulls_equal, -- to 14
           pg_catalog.regexp_replace(i.indpred::text, ':location -?\d+', '', 'g') AS predicate,
           pg_catalog.regexp_replace(i.indexprs::text, ':location -?\d+', '', 'g') AS expressions
      FROM pg_catalog.pg_class AS c
      JOIN spaces AS n ON n.oid = c.relnamespace
      JOIN pg_catalog.pg_index AS i ON i.indexrelid = c.oid
     WHERE c.relkind = 'i'
       AND c.relpersistence <> 't'
     ORDER BY c.relpages DESC, c.oid
     LIMIT 10000
), on_tables AS MATERIALIZED (
    SELECT t.oid,
           t.relname,
           GREATEST(t.relpages, 0) AS pages,
           pg_catalog.pg_stat_get_tuples_inserted(t.oid)
           + pg_catalog.pg_stat_get_tuples_updated(t.oid)
           + pg_catalog.pg_stat_get_tuples_deleted(t.oid) AS writes
      FROM pg_catalog.pg_class AS t
     WHERE t.oid IN (SELECT p.indrelid FROM picked AS p)
), backing AS MATERIALIZED (
    SELECT DISTINCT k.conindid
      FROM pg_catalog.pg_constraint AS k
     WHERE k.conindid <> 0
), supporting AS MATERIALIZED (
    SELECT DISTINCT p.oid
      FROM pg_catalog.pg_constraint AS k
      JOIN picked AS p ON p.indrelid = k.conrelid
     WHERE k.contype = 'f'
       AND p.predicate IS NULL
       AND p.indnkeyatts >= pg_catalog.cardinality(k.conkey)
       AND k.conkey <@ (p.indkey::int2[])[0:pg_catalog.cardinality(k.conkey) - 1]
), pairs AS MATERIALIZED (
    SELECT a.oid,
           b.relname,
           b.relpages,
           b.oid AS other,
           (k.conindid IS NOT NULL) AS kept,
           (a.indnkeyatts = b.indnkeyatts
            AND a.indnatts = b.indnatts
            AND a.indkey::int2[] = b.indkey::int2[]
            AND a.indclass = b.indclass
            AND a.indcollation = b.indcollation
            AND a.indoption::int2[] = b.indoption::int2[]
            AND a.indisunique = b.indisunique
            AND a.nulls_equal = b.nulls_equal
            AND a.expressions IS NOT DISTINCT FROM b.expressions) AS same,
           (NOT a.indisunique
            AND a.relam = (SELECT m.oid FROM pg_catalog.pg_am AS m WHERE m.amname = 'btree')
            AND a.expressions IS NULL
            AND a.indnatts = a.indnkeyatts
            AND a.indnkeyatts < b.indnkeyatts
            AND (a.indkey::int2[])[0:a.indnkeyatts - 1] = (b.indkey::int2[])[0:a.indnkeyatts - 1]
            AND (a.indclass::oid[])[0:a.indnkeyatts - 1] = (b.indclass::oid[])[0:a.indnkeyatts - 1]
            AND (a.indcollation::oid[])[0:a.indnkeyatts - 1] = (b.indcollation::oid[])[0:a.indnkeyatts - 1]
            AND (a.indoption::int2[])[0:a.indnkeyatts - 1] = (b.indoption::int2[])[0:a.indnkeyatts - 1]) AS prefix
      FROM picked AS a
      JOIN picked AS b
        ON b.indrelid = a.indrelid
       AND b.oid <> a.oid
       AND b.indkey[0] = a.indkey[0]
       AND b.relam = a.relam
       AND b.indisvalid
       AND a.predicate IS NOT DISTINCT FROM b.predicate
      LEFT JOIN backing AS k ON k.conindid = b.oid
), ranked AS MATERIALIZED (
    SELECT p.*,
           (k.conindid IS NOT NULL) AS backs_constraint,
           pg_catalog.pg_stat_get_numscans(p.oid) AS scans
      FROM picked AS p
      LEFT JOIN backing AS k ON k.conindid = p.oid
), doubles AS MATERIALIZED (
    SELECT a.oid,
           pg_catalog.min(x.relname::text) FILTER (WHERE x.same AND x.kept) AS kept_double,
           pg_catalog.min(x.relname::text) FILTER (WHERE x.same) AS plain_double,
           pg_catalog.min(x.relname::text) FILTER (WHERE x.prefix) AS longer
      FROM pairs AS x
      JOIN ranked AS a ON a.oid = x.oid
     WHERE x.prefix
        OR x.same AND (x.kept AND NOT a.backs_constraint
                       OR x.kept = a.backs_constraint AND (x.relname < a.relname OR NOT a.indisvalid))
     GROUP BY a.oid
), told AS MATERIALIZED (
    SELECT r.oid,
           COALESCE(d.kept_double, d.plain_double) AS duplicate_of,
           d.longer AS redundant_to
      FROM ranked AS r
      LEFT JOIN doubles AS d ON d.oid = r.oid
     WHERE d.oid IS NOT NULL
        OR NOT r.indisvalid
        OR r.oid IN (SELECT u.oid FROM ranked AS u WHERE u.scans = 0 ORDER BY u.relpages DESC, u.oid LIMIT 500)
), named AS MATERIALIZED (
    SELECT r.oid,
           pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', ' ORDER BY a.attnum)
               FILTER (WHERE a.attnum <= r.indnkeyatts) AS columns,
           pg_catalog.string_agg(pg_catalog.quote_ident(a.attname)
               || CASE WHEN r.indcollation[a.attnum - 1] NOT IN (0, a.attcollation) OR l.attcollation <> a.attcollation
                       THEN ' COLLATE ' || pg_catalog.quote_ident(cn.nspname) || '.' || pg_catalog.quote_ident(co.collname) ELSE '' END
               || CASE WHEN oc.opcdefault THEN '' ELSE ' ' || pg_catalog.quote_ident(opn.nspname) || '.' || pg_catalog.quote_ident(oc.opcname) END
               || CASE r.indoption[a.attnum - 1] & 3 WHEN 1 THEN ' DESC NULLS LAST' WHEN 2 THEN ' NULLS FIRST' WHEN 3 THEN ' DESC' ELSE '' END
               , ', ' ORDER BY a.attnum) FILTER (WHERE a.attnum <= r.indnkeyatts) AS keys,
           pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', ' ORDER BY a.attnum)
               FILTER (WHERE a.attnum > r.indnkeyatts) AS included,
           pg_catalog.bool_or(a.attoptions IS NOT NULL) AS has_parameters
      FROM told AS o
      JOIN ranked AS r ON r.oid = o.oid
      JOIN pg_catalog.pg_attribute AS a ON a.attrelid = r.oid AND a.attnum > 0
      LEFT JOIN pg_catalog.pg_attribute AS l ON l.attrelid = r.indrelid AND l.attnum = r.indkey[a.attnum - 1] AND l.attnum <> 0
      LEFT JOIN pg_catalog.pg_opclass AS oc ON a.attnum <= r.indnkeyatts AND oc.oid = r.indclass[a.attnum - 1]
      LEFT JOIN pg_catalog.pg_namespace AS opn ON opn.oid = oc.opcnamespace
      LEFT JOIN pg_catalog.pg_collation AS co ON a.attnum <= r.indnkeyatts AND co.oid = r.indcollation[a.attnum - 1]
      LEFT JOIN pg_catalog.pg_namespace AS cn ON cn.oid = co.collnamespace
     GROUP BY r.oid
)
SELECT r.nspname::text AS schema,
       t.relname::text AS table,
       r.relname::text AS index,
       r.scans AS idx_scan,
       pg_catalog.pg_stat_get_tuples_returned(r.oid) AS idx_tup_read,
       pg_catalog.pg_stat_get_tuples_fetched(r.oid) AS idx_tup_fetch,
       GREATEST(r.relpages, 0) * e.block AS bytes,
       r.scans::float8 AS scans,
       e.stats_age,
       EXTRACT(EPOCH FROM e.now - pg_catalog.pg_stat_get_lastscan(r.oid))::int4 AS last_scan_age, -- 16+
       r.indisunique AS is_unique,
       r.indisprimary AS is_primary,
       r.indisvalid AS is_valid,
       r.indisready AS is_ready,
       (g.index_relid IS NOT NULL) AS being_built,
       (r.predicate IS NOT NULL) AS is_partial,
       (r.expressions IS NOT NULL) AS is_expression,
       r.backs_constraint,
       r.indisreplident AS is_replica_identity,
       (f.oid IS NOT NULL) AS supports_fk,
       r.relispartition AS is_partition_attached,
       n.columns,
       CASE WHEN r.predicate IS NULL AND r.expressions IS NULL AND NOT n.has_parameters
            THEN 'CREATE ' || CASE WHEN r.indisunique THEN 'UNIQUE ' ELSE '' END || 'INDEX ' || pg_catalog.quote_ident(r.relname)
                 || ' ON ' || pg_catalog.quote_ident(r.nspname) || '.' || pg_catalog.quote_ident(t.relname)
                 || ' USING ' || pg_catalog.quote_ident(m.amname) || ' (' || n.keys || ')'
                 || COALESCE(' INCLUDE (' || n.included || ')', '')
                 || CASE WHEN r.nulls_equal THEN ' NULLS NOT DISTINCT' ELSE '' END
                 || COALESCE(' WITH (' || (SELECT pg_catalog.string_agg(pg_catalog.quote_ident(w.option_name) || '=' || pg_catalog.quote_literal(w.option_value), ', ')
                                            FROM pg_catalog.pg_class AS z
                                           CROSS JOIN LATERAL pg_catalog.pg_options_to_table(z.reloptions) AS w
                                           WHERE z.oid = r.oid) || ')', '')
       END AS definition,
       o.duplicate_of,
       o.redundant_to,
       t.pages * e.block AS table_bytes,
       t.writes AS table_writes
  FROM ranked AS r
 CROSS JOIN env AS e
  JOIN on_tables AS t ON t.oid = r.indrelid
  JOIN pg_catalog.pg_am AS m ON m.oid = r.relam
  LEFT JOIN supporting AS f ON f.oid = r.oid
  LEFT JOIN told AS o ON o.oid = r.oid
  LEFT JOIN named AS n ON n.oid = r.oid
  LEFT JOIN (SELECT DISTINCT i.index_relid
               FROM pg_catalog.pg_stat_progress_create_index AS i
              WHERE i.datname = pg_catalog.current_database()) AS g ON g.index_relid = r.oid
";

fn described() -> FrameDef {
    let columns = vec![
        label("database", "The database."),
        label("schema", "Schema of the index and its table."),
        label("table", "The table."),
        label("index", "Name of the index."),
        counter("idx_scan", Unit::None, "Scans begun."),
        counter("idx_tup_read", Unit::Rows, "Entries returned by them."),
        counter("idx_tup_fetch", Unit::Rows, "Rows fetched by plain index scans."),
        gauge("bytes", Unit::Bytes, "Size, as last counted (relpages)."),
        gauge("scans", Unit::None, "Scans in all since the statistics began (see `stats_age`)."),
        gauge("stats_age", Unit::Seconds, "For how long scans have been counted without a reset, at least."),
        gauge("last_scan_age", Unit::Seconds, "Since the last scan; unknown when there was none (16+)."),
        flag("is_unique", "Whether it enforces uniqueness."),
        flag("is_primary", "Whether it is the primary key's."),
        flag("is_valid", "Whether queries may use it; a failed concurrent build leaves one that they may not."),
        flag("is_ready", "Whether writes keep it up to date."),
        flag("being_built", "Whether it is being built now, so that invalid is normal."),
        flag("is_partial", "Whether it has a predicate."),
        flag("is_expression", "Whether it has an expression."),
        flag("backs_constraint", "Whether a primary key, unique, exclusion or foreign key constraint rests on it."),
        flag("is_replica_identity", "Whether it is the table's replica identity."),
        flag("supports_fk", "Whether its leading columns are those of a foreign key of its table."),
        flag("is_partition_attached", "Whether it is part of a partitioned index, so that it cannot be dropped alone."),
        text("columns", "Its key columns; given for invalid, duplicate, redundant and the 500 largest unscanned ones."),
        text("definition", "CREATE INDEX that makes it again; as `columns`, and for plain columns only."),
        label("duplicate_of", "A valid index of the same table that is the same in all but name."),
        label("redundant_to", "A valid index of the same table that begins with all its columns."),
        gauge("table_bytes", Unit::Bytes, "Size of the table proper, as last counted."),
        counter("table_writes", Unit::Rows, "Rows inserted, updated and deleted in the table."),
    ];
    frame("indexes", "One row per index of each database (top 10,000 by size).", &["database", "schema", "index"], columns)
}

/// The metric.
#[must_use]
pub fn metric() -> Metric {
    Metric { top: Some(TOP), cost: CostClass::Heavy, ..each_database(described(), by_version(OLDEST, SQL)) }
}
