//! `slots`: replication slots and what each keeps: WAL on disk and dead rows. From `pg_replication_slots` and (14+)
//! `pg_stat_replication_slots`.
//!
//! A slot that a standby synchronised (17+) or a temporary one is normal when inactive: both have a flag, so that rules can
//! leave them out.

use super::build::{OLDEST, by_version, counter, flag, frame, gauge, instance, label, reset_by, time};
use crate::model::{FrameDef, Metric, Unit};

// The 19 column is named outside the join: where the view does not have it, the name finds `absent` and reads unknown.
// Written from the notes of 19 and not run on a real server of it.
const SQL: &str = "
SELECT s.slot_name::text AS slot,
       s.slot_type,
       s.database::text AS database,
       s.active,
       EXTRACT(EPOCH FROM pg_catalog.clock_timestamp() - s.inactive_since)::float8 AS inactive_for, -- 17+
       pg_catalog.pg_wal_lsn_diff(w.here, s.restart_lsn)::float8 AS retained_bytes,
       s.safe_wal_size::float8 AS safe_wal_bytes,
       s.wal_status,
       s.temporary,
       s.synced, -- 17+
       s.conflicting, -- 16+
       s.invalidation_reason, -- 17+
       pg_catalog.age(s.catalog_xmin)::float8 AS catalog_xmin_age,
       t.spill_bytes, -- 14+
       t.spill_txns, -- 14+
       t.mem_exceeded, -- 14+
       EXTRACT(EPOCH FROM t.stats_reset)::float8 AS stats_reset, -- 14+
       pg_catalog.age(s.xmin)::float8 AS xmin_age
  FROM pg_catalog.pg_replication_slots AS s
 CROSS JOIN (SELECT CASE WHEN pg_catalog.pg_is_in_recovery()
                         THEN pg_catalog.pg_last_wal_replay_lsn()
                         ELSE pg_catalog.pg_current_wal_lsn()
                    END AS here) AS w
 CROSS JOIN (SELECT NULL::int8 AS mem_exceeded_count) AS absent
  LEFT JOIN LATERAL (SELECT slot_name, spill_bytes, spill_txns, mem_exceeded_count AS mem_exceeded, stats_reset -- 14+
                       FROM pg_catalog.pg_stat_replication_slots) AS t ON t.slot_name = s.slot_name -- 14+
";

fn described() -> FrameDef {
    let columns = vec![
        label("slot", "Name of the slot."),
        label("slot_type", "physical or logical."),
        label("database", "Database of a logical slot."),
        flag("active", "Whether somebody uses it now."),
        gauge("inactive_for", Unit::Seconds, "How long nobody has used it; unknown while active (17+)."),
        gauge("retained_bytes", Unit::Bytes, "WAL that it keeps on disk; unknown when it has reserved none."),
        gauge("safe_wal_bytes", Unit::Bytes, "WAL that may still be written before it is lost; unknown when unlimited."),
        label("wal_status", "reserved, extended, unreserved or lost."),
        flag("temporary", "Whether it ends with its session."),
        flag("synced", "Whether it was synchronised from a primary (17+)."),
        flag("conflicting", "Whether a logical slot was invalidated by recovery (16+)."),
        label("invalidation_reason", "Why it was invalidated; unknown when it was not (17+)."),
        gauge("xmin_age", Unit::Xids, "How far back it holds dead rows."),
        gauge("catalog_xmin_age", Unit::Xids, "How far back it holds dead rows of the catalogues."),
        counter("spill_bytes", Unit::Bytes, "Decoded changes that did not fit logical_decoding_work_mem (14+)."),
        counter("spill_txns", Unit::None, "Transactions spilled (14+)."),
        counter("mem_exceeded", Unit::None, "Times that logical_decoding_work_mem was exceeded (19+)."),
        time("stats_reset", "When the counters of the slot were last reset (14+)."),
    ];
    reset_by("stats_reset", frame("slots", "One row per replication slot.", &["slot"], columns))
}

/// The metric.
#[must_use]
pub fn metric() -> Metric {
    instance(described(), by_version(OLDEST, SQL))
}
