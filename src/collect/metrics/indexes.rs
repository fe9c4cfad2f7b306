//! `indexes`: every index: use, size, state, and what would be lost without it. The 4,000 largest of each database.
//!
//! Nothing here locks a user's relation. `pg_get_indexdef()` and `pg_get_expr()` open the table and would wait behind an
//! ALTER, so the definition is put together from the catalogue, for plain columns only. As naming columns costs, columns
//! and definition are given only to rows that a rule may speak of: invalid, duplicate, redundant, or one of the 200 largest
//! never scanned.
//!
//! Duplicates are the same in method, columns, operator classes, collations, order, INCLUDE, uniqueness, predicate and
//! expressions (stored trees without source positions); the one kept backs a constraint, else has the smaller name.
//! Redundant means that another valid b-tree of the same predicate begins with all of this one's columns.
//!
//! Scans are counted since `stats_age` at most; a younger index has had less time, and nobody records when an index was made.
//! A unique index that only guards never counts a scan, and replicas count for themselves.

use super::build::{OLDEST, by_version, counter, each_database, flag, frame, gauge, label, text};
use crate::model::{CostClass, FrameDef, Metric, Unit};

/// Rows that one reading brings at most.
const TOP: u64 = 4_000;

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
), backing AS MATERIALIZED (
    SELECT DISTINCT k.conindid
      FROM pg_catalog.pg_constraint AS k
     WHERE k.conindid <> 0
), largest AS (
    SELECT c.oid,
           c.relname,
           c.relnamespace,
           c.relam,
           c.relispartition,
           c.relpages
      FROM pg_catalog.pg_class AS c
     WHERE c.relkind = 'i'
       AND c.relpersistence <> 't'
       AND c.relnamespace IN (SELECT n.oid FROM spaces AS n)
     ORDER BY c.relpages DESC, c.oid
     LIMIT 4000
), picked AS MATERIALIZED (
    SELECT c.oid,
           c.relname,
           c.relnamespace,
           c.relam,
           c.relispartition,
           c.relpages,
           i.indrelid,
           i.indisunique,
           i.indisprimary,
           i.indisvalid,
           i.indisready,
           i.indisreplident,
           i.indnkeyatts,
           i.indkey[0] AS first_key,
           pg_catalog.regexp_replace(i.indpred::text, ':location -?\d+', '', 'g') AS predicate,
           pg_catalog.regexp_replace(i.indexprs::text, ':location -?\d+', '', 'g') AS expressions,
           (k.conindid IS NOT NULL) AS backs_constraint,
           pg_catalog.pg_stat_get_numscans(c.oid) AS scans
      FROM largest AS c
      JOIN pg_catalog.pg_index AS i ON i.indexrelid = c.oid
      LEFT JOIN backing AS k ON k.conindid = c.oid
), on_tables AS MATERIALIZED (
    SELECT t.oid,
           t.relname,
           GREATEST(t.relpages, 0) AS pages,
           pg_catalog.pg_stat_get_tuples_inserted(t.oid)
           + pg_catalog.pg_stat_get_tuples_updated(t.oid)
           + pg_catalog.pg_stat_get_tuples_deleted(t.oid) AS writes
      FROM pg_catalog.pg_class AS t
     WHERE t.oid IN (SELECT p.indrelid FROM picked AS p)
), foreign_keys AS MATERIALIZED (
    SELECT k.conrelid,
           k.conkey,
           pg_catalog.cardinality(k.conkey) AS width
      FROM pg_catalog.pg_constraint AS k
     WHERE k.contype = 'f'
), supporting AS MATERIALIZED (
    SELECT DISTINCT p.oid
      FROM foreign_keys AS f
      JOIN picked AS p
        ON p.indrelid = f.conrelid
       AND p.predicate IS NULL
       AND p.indnkeyatts >= f.width
      JOIN pg_catalog.pg_index AS i
        ON i.indexrelid = p.oid
       AND f.conkey <@ (i.indkey::int2[])[0:f.width - 1]
), rivals AS MATERIALIZED (
    SELECT p.*,
           i.indnatts,
           i.indnullsnotdistinct AS nulls_equal, -- 15+
           false AS nulls_equal, -- to 14
           i.indkey::int2[] AS keys,
           i.indclass::oid[] AS classes,
           i.indcollation::oid[] AS collations,
           i.indoption::int2[] AS directions
      FROM (SELECT w.indrelid,
                   w.first_key
              FROM picked AS w
             GROUP BY w.indrelid, w.first_key
            HAVING pg_catalog.count(*) > 1) AS g
      JOIN picked AS p ON p.indrelid = g.indrelid AND p.first_key = g.first_key
      JOIN pg_catalog.pg_index AS i ON i.indexrelid = p.oid
), pairs AS MATERIALIZED (
    SELECT a.oid,
           b.relname,
           b.relpages,
           b.oid AS other,
           b.backs_constraint AS kept,
           (a.indnkeyatts = b.indnkeyatts
            AND a.indnatts = b.indnatts
            AND a.keys = b.keys
            AND a.classes = b.classes
            AND a.collations = b.collations
            AND a.directions = b.directions
            AND a.indisunique = b.indisunique
            AND a.nulls_equal = b.nulls_equal
            AND a.expressions IS NOT DISTINCT FROM b.expressions) AS same,
           (NOT a.indisunique
            AND a.relam = (SELECT m.oid FROM pg_catalog.pg_am AS m WHERE m.amname = 'btree')
            AND a.expressions IS NULL
            AND a.indnatts = a.indnkeyatts
            AND a.indnkeyatts < b.indnkeyatts
            AND a.keys[0:a.indnkeyatts - 1] = b.keys[0:a.indnkeyatts - 1]
            AND a.classes[0:a.indnkeyatts - 1] = b.classes[0:a.indnkeyatts - 1]
            AND a.collations[0:a.indnkeyatts - 1] = b.collations[0:a.indnkeyatts - 1]
            AND a.directions[0:a.indnkeyatts - 1] = b.directions[0:a.indnkeyatts - 1]) AS prefix
      FROM rivals AS a
      JOIN rivals AS b
        ON b.indrelid = a.indrelid
       AND b.oid <> a.oid
       AND b.first_key = a.first_key
       AND b.relam = a.relam
       AND b.indisvalid
       AND a.predicate IS NOT DISTINCT FROM b.predicate
), doubles AS MATERIALIZED (
    SELECT a.oid,
           pg_catalog.min(x.relname::text) FILTER (WHERE x.same AND x.kept) AS kept_double,
           pg_catalog.min(x.relname::text) FILTER (WHERE x.same) AS plain_double,
           pg_catalog.min(x.relname::text) FILTER (WHERE x.prefix) AS longer
      FROM pairs AS x
      JOIN rivals AS a ON a.oid = x.oid
     WHERE x.prefix
        OR x.same AND (x.kept AND NOT a.backs_constraint
                       OR x.kept = a.backs_constraint AND (x.relname < a.relname OR NOT a.indisvalid))
     GROUP BY a.oid
), odd_classes AS MATERIALIZED (
    SELECT k.oid,
           ' ' || pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(k.opcname) AS name
      FROM pg_catalog.pg_opclass AS k
      JOIN pg_catalog.pg_namespace AS n ON n.oid = k.opcnamespace
     WHERE NOT k.opcdefault
), told AS MATERIALIZED (
    SELECT r.oid,
           COALESCE(d.kept_double, d.plain_double) AS duplicate_of,
           d.longer AS redundant_to
      FROM picked AS r
      LEFT JOIN doubles AS d ON d.oid = r.oid
     WHERE d.oid IS NOT NULL
        OR NOT r.indisvalid
        OR r.oid IN (SELECT u.oid FROM picked AS u WHERE u.scans = 0 ORDER BY u.relpages DESC, u.oid LIMIT 200)
), named AS MATERIALIZED (
    SELECT o.oid,
           w.nulls_equal, -- 15+
           false AS nulls_equal, -- to 14
           o.duplicate_of,
           o.redundant_to,
           w.columns,
           w.keys,
           w.included,
           w.has_parameters,
           (SELECT pg_catalog.string_agg(pg_catalog.quote_ident(x.option_name) || '=' || pg_catalog.quote_literal(x.option_value), ', ')
              FROM pg_catalog.pg_class AS z
             CROSS JOIN LATERAL pg_catalog.pg_options_to_table(z.reloptions) AS x
             WHERE z.oid = o.oid) AS storage
      FROM told AS o
     CROSS JOIN LATERAL (
           SELECT pg_catalog.string_agg(c.name, ', ' ORDER BY c.attnum) FILTER (WHERE c.is_key) AS columns,
                  pg_catalog.string_agg(c.name || c.collation || c.opclass || c.direction, ', ' ORDER BY c.attnum)
                      FILTER (WHERE c.is_key) AS keys,
                  pg_catalog.string_agg(c.name, ', ' ORDER BY c.attnum) FILTER (WHERE NOT c.is_key) AS included,
                  pg_catalog.bool_or(c.nulls_equal) AS nulls_equal, -- 15+
                  pg_catalog.bool_or(c.has_parameters) AS has_parameters
             FROM (SELECT a.attnum,
                          i.indnullsnotdistinct AS nulls_equal, -- 15+
                          a.attnum <= i.indnkeyatts AS is_key,
                          a.attoptions IS NOT NULL AS has_parameters,
                          pg_catalog.quote_ident(a.attname) AS name,
                          COALESCE((SELECT ' COLLATE ' || pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(k.collname)
                                      FROM pg_catalog.pg_collation AS k
                                      JOIN pg_catalog.pg_namespace AS n ON n.oid = k.collnamespace
                                     WHERE k.oid = i.indcollation[a.attnum - 1]
                                       AND k.oid <> (SELECT t.attcollation
                                                       FROM pg_catalog.pg_attribute AS t
                                                      WHERE t.attrelid = i.indrelid
                                                        AND t.attnum = i.indkey[a.attnum - 1])), '') AS collation,
                          COALESCE((SELECT k.name FROM odd_classes AS k WHERE k.oid = i.indclass[a.attnum - 1]), '') AS opclass,
                          CASE i.indoption[a.attnum - 1] & 3
                               WHEN 1 THEN ' DESC NULLS LAST'
                               WHEN 2 THEN ' NULLS FIRST'
                               WHEN 3 THEN ' DESC'
                               ELSE ''
                          END AS direction
                     FROM pg_catalog.pg_index AS i
                     JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indexrelid AND a.attnum > 0
                    WHERE i.indexrelid = o.oid) AS c) AS w
)
SELECT z.nspname::text AS schema,
       t.relname::text AS table,
       r.relname::text AS index,
       r.scans AS idx_scan,
       pg_catalog.pg_stat_get_tuples_returned(r.oid) AS idx_tup_read,
       pg_catalog.pg_stat_get_tuples_fetched(r.oid) AS idx_tup_fetch,
       GREATEST(r.relpages, 0) * e.block AS bytes,
       r.scans::float8 AS scans,
       e.stats_age,
       pg_catalog.date_part('epoch', e.now - pg_catalog.pg_stat_get_lastscan(r.oid))::int4 AS last_scan_age, -- 16+
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
                 || ' ON ' || pg_catalog.quote_ident(z.nspname) || '.' || pg_catalog.quote_ident(t.relname)
                 || ' USING ' || pg_catalog.quote_ident(m.amname) || ' (' || n.keys || ')'
                 || COALESCE(' INCLUDE (' || n.included || ')', '')
                 || CASE WHEN n.nulls_equal THEN ' NULLS NOT DISTINCT' ELSE '' END
                 || COALESCE(' WITH (' || n.storage || ')', '')
       END AS definition,
       n.duplicate_of,
       n.redundant_to,
       t.pages * e.block AS table_bytes,
       t.writes AS table_writes
  FROM picked AS r
 CROSS JOIN env AS e
  JOIN spaces AS z ON z.oid = r.relnamespace
  JOIN on_tables AS t ON t.oid = r.indrelid
  JOIN pg_catalog.pg_am AS m ON m.oid = r.relam
  LEFT JOIN supporting AS f ON f.oid = r.oid
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
        text("columns", "Its key columns; given for invalid, duplicate, redundant and the 200 largest unscanned ones."),
        text("definition", "CREATE INDEX that makes it again; as `columns`, and for plain columns only."),
        label("duplicate_of", "A valid index of the same table that is the same in all but name."),
        label("redundant_to", "A valid index of the same table that begins with all its columns."),
        gauge("table_bytes", Unit::Bytes, "Size of the table proper, as last counted."),
        counter("table_writes", Unit::Rows, "Rows inserted, updated and deleted in the table."),
    ];
    frame("indexes", "One row per index of each database (top 4,000 by size).", &["database", "schema", "index"], columns)
}

/// The metric.
#[must_use]
pub fn metric() -> Metric {
    Metric { top: Some(TOP), cost: CostClass::Heavy, ..each_database(described(), by_version(OLDEST, SQL)) }
}
