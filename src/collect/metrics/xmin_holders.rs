//! `xmin_holders`: what keeps vacuum from removing dead rows: open snapshots, prepared transactions, slots, and standbys
//! with hot_standby_feedback. The 20 oldest of each source.
//!
//! Vacuum itself is left out, since other vacuums ignore its snapshot. A slot's age in seconds is known only from 17 on and
//! while it is inactive; the age in transactions is always known. A standby that uses a slot shows under `slot`.

use super::build::{OLDEST, PG_MONITOR, by_version, frame, gauge, instance, label};
use crate::model::{Metric, Unit};

const SQL: &str = "
(SELECT 'session' AS source,
        'pid ' || a.pid || COALESCE(' (' || NULLIF(a.application_name, '') || ')', '') AS who,
        a.pid::text AS pid,
        EXTRACT(EPOCH FROM pg_catalog.clock_timestamp() - a.xact_start)::float8 AS age,
        GREATEST(pg_catalog.age(a.backend_xmin), pg_catalog.age(a.backend_xid))::float8 AS xid_age,
        a.datname::text AS database
   FROM pg_catalog.pg_stat_activity AS a
  WHERE (a.backend_xmin IS NOT NULL OR a.backend_xid IS NOT NULL)
    AND a.pid <> pg_catalog.pg_backend_pid()
    AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_ls_waldir() LIMIT 0)
    AND a.backend_type NOT IN ('autovacuum worker', 'walsender')
    AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_stat_get_progress_info('VACUUM') AS v WHERE v.pid = a.pid)
  ORDER BY xid_age DESC
  LIMIT 20)
 UNION ALL
(SELECT 'prepared',
        'prepared transaction ' || p.gid,
        NULL,
        EXTRACT(EPOCH FROM pg_catalog.clock_timestamp() - p.prepared)::float8,
        pg_catalog.age(p.transaction)::float8 AS xid_age,
        p.database::text
   FROM pg_catalog.pg_prepared_xacts AS p
  ORDER BY xid_age DESC
  LIMIT 20)
 UNION ALL
(SELECT 'slot',
        'slot ' || s.slot_name,
        s.active_pid::text,
        EXTRACT(EPOCH FROM pg_catalog.clock_timestamp() - s.inactive_since)::float8, -- 17+
        NULL, -- to 16
        GREATEST(pg_catalog.age(s.xmin), pg_catalog.age(s.catalog_xmin))::float8 AS xid_age,
        s.database::text
   FROM pg_catalog.pg_replication_slots AS s
  WHERE s.xmin IS NOT NULL OR s.catalog_xmin IS NOT NULL
  ORDER BY xid_age DESC
  LIMIT 20)
 UNION ALL
(SELECT 'standby',
        'standby ' || r.application_name || CASE WHEN r.nth > 1 THEN ' #' || r.nth ELSE '' END,
        r.pid::text,
        NULL,
        pg_catalog.age(r.backend_xmin)::float8 AS xid_age,
        NULL
   FROM (SELECT p.*,
                pg_catalog.row_number() OVER (PARTITION BY p.application_name ORDER BY p.backend_start, p.pid) AS nth
           FROM pg_catalog.pg_stat_replication AS p
          WHERE p.backend_xmin IS NOT NULL) AS r
  ORDER BY xid_age DESC
  LIMIT 20)
";

/// The metric.
#[must_use]
pub fn metric() -> Metric {
    let columns = vec![
        label("source", "session, prepared, slot or standby."),
        label("who", "The holder by name: `pid 4711 (etl)`, `slot reports`."),
        label("pid", "Process id, where there is one."),
        gauge("age", Unit::Seconds, "How long it has been holding; unknown for standbys and active slots."),
        gauge("xid_age", Unit::Xids, "How many transactions back it holds."),
        label("database", "Its database; unknown for physical slots and standbys, which hold all."),
    ];
    let frame =
        frame("xmin_holders", "One row per holder of the oldest visible transaction (20 of each source).", &["source", "who"], columns);
    Metric { grant: PG_MONITOR.into(), ..instance(frame, by_version(OLDEST, SQL)) }
}
