//! `tables`: every table, materialized view and partition: rows, sizes, vacuum, scans, bloat, age. The 2,000 largest of each
//! database; partitioned parents come last, with no pages of their own.
//!
//! Cheap by form, for 100,000 tables and for ALTERs under way: oids are chosen by relpages first and statistics asked for
//! those only; sizes are pages as last counted by vacuum, analyze or an index build, since the size functions wait behind a
//! lock. So sizes lag, and a table that nobody vacuumed yet shows 0. Triggers are computed as autovacuum does.
//!
//! Bloat is an estimate for heaps of 128 pages and more among the 1,000 largest: pages now, less those that the rows would
//! fill at the fill factor, by the widths in `pg_stats` (seen within 3 points of pgstattuple; padding between columns is
//! taken at half of the largest). It is unknown, never a guess, when the role cannot read the table (`stats_visible`; 14+:
//! GRANT pg_read_all_data), when a column was never analysed, or when over a fifth of the rows has changed since: with any
//! of these, published estimators report 80 % for nothing. The age of transaction ids includes TOAST, frozen on its own.

use super::build::{OLDEST, by_version, counter, each_database, flag, frame, gauge, label};
use crate::model::{CostClass, FrameDef, Metric, Unit};

/// Rows that one reading brings at most.
const TOP: u64 = 2_000;

const SQL: &str = "
WITH env AS MATERIALIZED (
    SELECT pg_catalog.clock_timestamp() AS now,
           pg_catalog.current_setting('block_size')::float8 AS block,
           pg_catalog.current_setting('autovacuum_vacuum_threshold')::float8 AS vacuum_threshold,
           pg_catalog.current_setting('autovacuum_vacuum_scale_factor')::float8 AS vacuum_scale,
           pg_catalog.current_setting('autovacuum_vacuum_max_threshold')::float8 AS vacuum_cap, -- 18+
           pg_catalog.current_setting('autovacuum_vacuum_insert_threshold')::float8 AS insert_threshold,
           pg_catalog.current_setting('autovacuum_vacuum_insert_scale_factor')::float8 AS insert_scale,
           pg_catalog.current_setting('autovacuum_analyze_threshold')::float8 AS analyze_threshold,
           pg_catalog.current_setting('autovacuum_analyze_scale_factor')::float8 AS analyze_scale,
           (SELECT r.rolsuper FROM pg_catalog.pg_roles AS r WHERE r.rolname = CURRENT_USER)
           OR pg_catalog.pg_has_role('pg_read_all_data', 'USAGE') -- 14+
           AS reads_all
), spaces AS MATERIALIZED (
    SELECT n.oid,
           n.nspname::text AS nspname
      FROM pg_catalog.pg_namespace AS n
     WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
       AND n.nspname NOT LIKE 'pg\\_temp\\_%'
       AND n.nspname NOT LIKE 'pg\\_toast\\_temp\\_%'
), picked AS MATERIALIZED (
    SELECT c.oid,
           c.relname,
           c.relnamespace,
           n.nspname,
           c.relkind,
           c.relpersistence,
           c.relreplident,
           c.relispartition,
           c.relrowsecurity,
           c.reltoastrelid,
           c.reloptions,
           c.relfrozenxid,
           c.relminmxid,
           GREATEST(c.relpages, 0)::float8 AS pages,
           GREATEST(c.reltuples, 0)::float8 AS tuples,
           c.relallfrozen, -- 18+
           NULLIF(c.reltuples, -1)::float8 AS counted
      FROM pg_catalog.pg_class AS c
      JOIN spaces AS n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'm', 'p')
       AND c.relpersistence <> 't'
     ORDER BY c.relpages DESC, c.oid
     LIMIT 2000
), options AS MATERIALIZED (
    SELECT p.oid,
           pg_catalog.max(o.option_value) FILTER (WHERE o.option_name = 'fillfactor')::float8 AS fillfactor,
           pg_catalog.max(o.option_value) FILTER (WHERE o.option_name = 'autovacuum_enabled')::bool AS enabled,
           pg_catalog.max(o.option_value) FILTER (WHERE o.option_name = 'autovacuum_vacuum_threshold')::float8 AS vacuum_threshold,
           pg_catalog.max(o.option_value) FILTER (WHERE o.option_name = 'autovacuum_vacuum_scale_factor')::float8 AS vacuum_scale,
           pg_catalog.max(o.option_value) FILTER (WHERE o.option_name = 'autovacuum_vacuum_max_threshold')::float8 AS vacuum_cap,
           pg_catalog.max(o.option_value) FILTER (WHERE o.option_name = 'autovacuum_vacuum_insert_threshold')::float8 AS insert_threshold,
           pg_catalog.max(o.option_value) FILTER (WHERE o.option_name = 'autovacuum_vacuum_insert_scale_factor')::float8 AS insert_scale,
           pg_catalog.max(o.option_value) FILTER (WHERE o.option_name = 'autovacuum_analyze_threshold')::float8 AS analyze_threshold,
           pg_catalog.max(o.option_value) FILTER (WHERE o.option_name = 'autovacuum_analyze_scale_factor')::float8 AS analyze_scale
      FROM picked AS p
     CROSS JOIN LATERAL pg_catalog.pg_options_to_table(p.reloptions) AS o
     WHERE p.reloptions IS NOT NULL
     GROUP BY p.oid
), on_table AS MATERIALIZED (
    SELECT i.indrelid,
           pg_catalog.sum(GREATEST(x.relpages, 0))::float8 AS pages,
           pg_catalog.count(*) AS indexes,
           pg_catalog.bool_or(i.indisprimary) AS has_primary_key,
           pg_catalog.sum(pg_catalog.pg_stat_get_numscans(i.indexrelid)::float8)::int8 AS scans,
           pg_catalog.sum(pg_catalog.pg_stat_get_tuples_fetched(i.indexrelid)::float8)::int8 AS fetched
      FROM picked AS p
      JOIN pg_catalog.pg_index AS i ON i.indrelid = p.oid
      JOIN pg_catalog.pg_class AS x ON x.oid = i.indexrelid AND x.relkind IN ('i', 'I')
     GROUP BY i.indrelid
), large AS MATERIALIZED (
    SELECT p.oid,
           p.nspname,
           p.relname,
           p.pages,
           p.tuples
      FROM picked AS p
     WHERE p.pages >= 128
       AND p.relkind <> 'p'
       AND p.counted IS NOT NULL
       AND pg_catalog.pg_stat_get_mod_since_analyze(p.oid) <= 0.2 * GREATEST(p.tuples, 1)
     ORDER BY p.pages DESC
     LIMIT 1000
), bloat AS MATERIALIZED (
    SELECT l.oid,
           GREATEST(0, l.pages - pg_catalog.ceil(
               l.tuples
               * (4 + 8 * pg_catalog.ceil((24 + CASE WHEN w.nullable THEN 8 * pg_catalog.ceil((w.columns - 8) / 64.0::float8) ELSE 0 END
                                           + w.width) / 8))
               / ((e.block - 24) * COALESCE(o.fillfactor, 100) / 100))) AS pages
      FROM large AS l
     CROSS JOIN env AS e
      LEFT JOIN options AS o ON o.oid = l.oid
     CROSS JOIN LATERAL (
           SELECT pg_catalog.count(*) AS columns,
                  pg_catalog.count(s.avg_width) AS analysed,
                  pg_catalog.bool_or(s.null_frac > 0) AS nullable,
                  pg_catalog.sum((1 - s.null_frac)
                      * (s.avg_width + CASE WHEN a.before IS NULL OR a.before = a.attalign AND a.attlen > 0 THEN 0
                                            WHEN a.attlen < 0 AND s.avg_width < 127 THEN 0
                                            WHEN a.attalign = 'd' THEN 3.5
                                            WHEN a.attalign = 'i' THEN 1.5
                                            WHEN a.attalign = 's' THEN 0.5
                                            ELSE 0
                                       END)) AS width
             FROM (SELECT b.attname,
                          b.attalign,
                          b.attlen,
                          pg_catalog.lag(b.attalign) OVER (ORDER BY b.attnum) AS before
                     FROM pg_catalog.pg_attribute AS b
                    WHERE b.attrelid = l.oid
                      AND b.attnum > 0
                      AND NOT b.attisdropped) AS a
             LEFT JOIN pg_catalog.pg_stats AS s
               ON s.schemaname = l.nspname::name
              AND s.tablename = l.relname
              AND s.attname = a.attname
              AND NOT s.inherited) AS w
     WHERE w.columns > 0
       AND w.columns = w.analysed
)
SELECT r.nspname AS schema,
       r.relname::text AS table,
       pg_catalog.pg_stat_get_live_tuples(r.oid)::float8 AS live,
       pg_catalog.pg_stat_get_dead_tuples(r.oid)::float8 AS dead,
       pg_catalog.pg_stat_get_mod_since_analyze(r.oid)::float8 AS changed_since_analyze,
       pg_catalog.pg_stat_get_ins_since_vacuum(r.oid)::float8 AS inserted_since_vacuum,
       r.pages * e.block AS heap_bytes,
       (r.pages + COALESCE(x.pages, 0) + COALESCE(t.relpages, 0)) * e.block AS total_bytes,
       LEAST(COALESCE(o.vacuum_threshold, e.vacuum_threshold) + COALESCE(o.vacuum_scale, e.vacuum_scale) * r.tuples
           , CASE WHEN COALESCE(o.vacuum_cap, e.vacuum_cap) >= 0 THEN COALESCE(o.vacuum_cap, e.vacuum_cap) END -- 18+
       ) AS vacuum_trigger,
       CASE WHEN COALESCE(o.insert_threshold, e.insert_threshold) >= 0
            THEN COALESCE(o.insert_threshold, e.insert_threshold) + COALESCE(o.insert_scale, e.insert_scale) * r.tuples
                 * CASE WHEN r.pages > 0 THEN 1 - LEAST(r.relallfrozen, r.pages) / r.pages ELSE 1 END -- 18+
       END AS insert_trigger,
       COALESCE(o.analyze_threshold, e.analyze_threshold) + COALESCE(o.analyze_scale, e.analyze_scale) * r.tuples AS analyze_trigger,
       pg_catalog.date_part('epoch', e.now - GREATEST(pg_catalog.pg_stat_get_last_vacuum_time(r.oid),
                                                       pg_catalog.pg_stat_get_last_autovacuum_time(r.oid))) AS vacuum_age,
       pg_catalog.date_part('epoch', e.now - GREATEST(pg_catalog.pg_stat_get_last_analyze_time(r.oid),
                                                       pg_catalog.pg_stat_get_last_autoanalyze_time(r.oid))) AS analyze_age,
       COALESCE(o.enabled, true) AS autovacuum_enabled,
       (v.relid IS NOT NULL) AS vacuum_running,
       pg_catalog.pg_stat_get_numscans(r.oid) AS seq_scan,
       pg_catalog.pg_stat_get_tuples_returned(r.oid) AS seq_tup_read,
       COALESCE(x.scans, 0) AS idx_scan,
       COALESCE(x.fetched, 0) + pg_catalog.pg_stat_get_tuples_fetched(r.oid) AS idx_tup_fetch,
       pg_catalog.pg_stat_get_tuples_inserted(r.oid) AS n_tup_ins,
       pg_catalog.pg_stat_get_tuples_updated(r.oid) AS n_tup_upd,
       pg_catalog.pg_stat_get_tuples_deleted(r.oid) AS n_tup_del,
       pg_catalog.pg_stat_get_tuples_hot_updated(r.oid) AS n_tup_hot_upd,
       pg_catalog.pg_stat_get_tuples_newpage_updated(r.oid) AS n_tup_newpage_upd, -- 16+
       pg_catalog.pg_stat_get_blocks_fetched(r.oid) - pg_catalog.pg_stat_get_blocks_hit(r.oid) AS heap_blks_read,
       pg_catalog.pg_stat_get_blocks_hit(r.oid) AS heap_blks_hit,
       COALESCE(o.fillfactor, 100)::int4 AS fillfactor,
       r.counted AS reltuples,
       COALESCE(x.indexes, 0)::int4 AS index_count,
       COALESCE(x.has_primary_key, false) AS has_primary_key,
       r.relispartition AS is_partition,
       (r.relkind = 'p') AS is_partitioned,
       CASE r.relkind WHEN 'm' THEN 'matview' WHEN 'p' THEN 'partitioned' ELSE 'table' END AS kind,
       CASE r.relpersistence WHEN 'u' THEN 'unlogged' ELSE 'permanent' END AS persistence,
       CASE WHEN r.relrowsecurity AND pg_catalog.row_security_active(r.oid) THEN false
            WHEN e.reads_all THEN true
            ELSE pg_catalog.has_table_privilege(r.oid, 'SELECT')
       END AS stats_visible,
       b.pages * e.block AS bloat_bytes,
       100 * b.pages / NULLIF(r.pages, 0) AS bloat_pct,
       CASE r.relreplident WHEN 'n' THEN 'nothing' WHEN 'f' THEN 'full' WHEN 'i' THEN 'index' ELSE 'default' END AS replica_identity,
       GREATEST(CASE WHEN r.relfrozenxid <> '0' THEN pg_catalog.age(r.relfrozenxid) END,
                CASE WHEN t.relfrozenxid <> '0' THEN pg_catalog.age(t.relfrozenxid) END) AS xid_age,
       GREATEST(CASE WHEN r.relminmxid <> '0' THEN pg_catalog.mxid_age(r.relminmxid) END,
                CASE WHEN t.relminmxid <> '0' THEN pg_catalog.mxid_age(t.relminmxid) END) AS mxid_age
  FROM picked AS r
 CROSS JOIN env AS e
  LEFT JOIN on_table AS x ON x.indrelid = r.oid
  LEFT JOIN options AS o ON o.oid = r.oid
  LEFT JOIN LATERAL (SELECT c.relpages,
                            c.relfrozenxid,
                            c.relminmxid
                       FROM pg_catalog.pg_class AS c
                      WHERE c.oid = r.reltoastrelid
                      LIMIT 1) AS t ON true
  LEFT JOIN bloat AS b ON b.oid = r.oid
  LEFT JOIN (SELECT DISTINCT i.relid
               FROM pg_catalog.pg_stat_progress_vacuum AS i
              WHERE i.datname = pg_catalog.current_database()) AS v ON v.relid = r.oid
";

fn described() -> FrameDef {
    let columns = vec![
        label("database", "The database."),
        label("schema", "Schema of the table."),
        label("table", "Name of the table."),
        gauge("live", Unit::Rows, "Live rows, as the statistics system reckons."),
        gauge("dead", Unit::Rows, "Dead rows that vacuum has to remove."),
        gauge("changed_since_analyze", Unit::Rows, "Rows changed since the last analyze."),
        gauge("inserted_since_vacuum", Unit::Rows, "Rows inserted since the last vacuum."),
        gauge("heap_bytes", Unit::Bytes, "Size of the table proper, as last counted (relpages)."),
        gauge("total_bytes", Unit::Bytes, "The same with indexes and TOAST (less the TOAST index, about a hundredth of it)."),
        gauge("vacuum_trigger", Unit::Rows, "Dead rows at which autovacuum starts on it; 18+: capped by the maximum threshold."),
        gauge("insert_trigger", Unit::Rows, "Inserted rows at which autovacuum starts on it; unknown when that is off."),
        gauge("analyze_trigger", Unit::Rows, "Changed rows at which autoanalyze starts on it."),
        gauge("vacuum_age", Unit::Seconds, "Since the last vacuum, manual or automatic; unknown when never."),
        gauge("analyze_age", Unit::Seconds, "Since the last analyze, manual or automatic; unknown when never."),
        flag("autovacuum_enabled", "Whether the table itself allows autovacuum; the server's setting is in `settings`."),
        flag("vacuum_running", "Whether a vacuum works on it now."),
        counter("seq_scan", Unit::None, "Sequential scans begun."),
        counter("seq_tup_read", Unit::Rows, "Rows read by them."),
        counter("idx_scan", Unit::None, "Index scans begun, over all its indexes."),
        counter("idx_tup_fetch", Unit::Rows, "Rows fetched by them."),
        counter("n_tup_ins", Unit::Rows, "Rows inserted."),
        counter("n_tup_upd", Unit::Rows, "Rows updated."),
        counter("n_tup_del", Unit::Rows, "Rows deleted."),
        counter("n_tup_hot_upd", Unit::Rows, "Updates that touched no index."),
        counter("n_tup_newpage_upd", Unit::Rows, "Updates that had to go to another page (16+)."),
        counter("heap_blks_read", Unit::Blocks, "Blocks of the table that were not in shared buffers."),
        counter("heap_blks_hit", Unit::Blocks, "Blocks of the table that were."),
        gauge("fillfactor", Unit::Percent, "How full pages are packed."),
        gauge("reltuples", Unit::Rows, "Rows that the planner believes in; unknown when never counted."),
        gauge("index_count", Unit::None, "Indexes on it."),
        flag("has_primary_key", "Whether it has a primary key."),
        flag("is_partition", "Whether it is a partition of another table."),
        flag("is_partitioned", "Whether it is a parent of partitions (then it has no pages itself)."),
        label("kind", "table, matview or partitioned."),
        label("persistence", "permanent or unlogged."),
        flag("stats_visible", "Whether the role may see its column statistics (GRANT pg_read_all_data, 14+)."),
        gauge("bloat_bytes", Unit::Bytes, "Estimated space that its rows do not need; unknown where it cannot be told."),
        gauge("bloat_pct", Unit::Percent, "The same as a share of the table proper."),
        label("replica_identity", "default, nothing, full or index."),
        gauge("xid_age", Unit::Xids, "Age of its oldest transaction id, TOAST included."),
        gauge("mxid_age", Unit::Xids, "Age of its oldest multixact id, TOAST included."),
    ];
    frame(
        "tables",
        "One row per table, materialized view or partition of each database (top 2,000 by size).",
        &["database", "schema", "table"],
        columns,
    )
}

/// The metric.
#[must_use]
pub fn metric() -> Metric {
    Metric { top: Some(TOP), cost: CostClass::Heavy, ..each_database(described(), by_version(OLDEST, SQL)) }
}
