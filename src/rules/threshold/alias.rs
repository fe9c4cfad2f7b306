//! The metric names of the classic form that are not a plain `frame.column`: what each stands for.
//!
//! An alias is a frame, an expression in the vector language over its columns, a filter and a unit. The filter holds the
//! safety conditions without which the classic threshold would cry wolf; `doc` says them, because a reader of the
//! classic file cannot see them.

use crate::model::Unit;

/// One classic metric name.
#[derive(Debug)]
pub struct Alias {
    /// The name, then other spellings of it.
    pub names: &'static [&'static str],
    /// The frame whose rows are judged.
    pub frame: &'static str,
    /// What is held against the threshold; a bare column name runs natively.
    pub value: &'static str,
    /// Which rows count.
    pub filter: Option<&'static str>,
    /// Unit of the value and so of the threshold.
    pub unit: Unit,
    /// What it is, in one sentence that goes on after "`name` is".
    pub doc: &'static str,
}

/// The conditions under which an index may be called unused: long enough counted, big enough to matter, and nothing
/// but speed depends on it.
const UNUSED: &str = "stats_age >= days(35) and bytes >= mb(10) and is_valid and not(is_unique) and not(is_primary) \
                      and not(backs_constraint) and not(is_replica_identity) and not(supports_fk) and not(is_partition_attached)";
const UNUSED_ZERO: &str = "scans == 0.0 and stats_age >= days(35) and is_valid and not(is_unique) and not(is_primary) \
                           and not(backs_constraint) and not(is_replica_identity) and not(supports_fk) and not(is_partition_attached)";

const fn plain(names: &'static [&'static str], frame: &'static str, value: &'static str, unit: Unit, doc: &'static str) -> Alias {
    Alias { names, frame, value, filter: None, unit, doc }
}

/// All aliases.
pub const ALIASES: &[Alias] = &[
    Alias {
        names: &["query_time_ms", "avg_query_time_ms", "mean_query_time_ms"],
        frame: "statements",
        value: "ratio(rate(total_time), rate(calls))",
        filter: Some("rate(calls) > 0.0"),
        unit: Unit::Millis,
        doc: "the mean execution time of a statement over the last interval, per statement that was called",
    },
    Alias {
        names: &["slow_query_count", "slow_queries"],
        frame: "statements",
        value: "count(ratio(rate(statements.total_time), rate(statements.calls)) >= 100.0)",
        filter: None,
        unit: Unit::None,
        doc: "how many statements took 100 ms or more on average over the last interval, for the whole server",
    },
    Alias {
        names: &["cache_hit_ratio", "cache_hit_pct", "buffer_cache_hit_ratio"],
        frame: "databases",
        value: "100.0 * ratio(rate(blks_hit), rate(blks_hit) + rate(blks_read))",
        filter: Some("rate(blks_hit) + rate(blks_read) >= 100.0"),
        unit: Unit::Percent,
        doc: "the share of block reads served from shared buffers over the last interval, 0..100, per database with at least 100 block reads a second",
    },
    plain(
        &["connection_usage_pct", "connection_usage"],
        "connections",
        "used_pct",
        Unit::Percent,
        "the share of usable client connections that is taken",
    ),
    plain(&["connection_count", "connections"], "connections", "clients", Unit::None, "the number of client connections"),
    plain(&["active_connections"], "connections", "active", Unit::None, "the number of client connections that run a query"),
    plain(
        &["idle_in_transaction_connections", "idle_in_transaction"],
        "connections",
        "idle_in_transaction",
        Unit::None,
        "the number of client connections idle in a transaction",
    ),
    plain(
        &["waiting_connections", "lock_waits"],
        "connections",
        "waiting_on_lock",
        Unit::None,
        "the number of client connections that wait for a lock",
    ),
    plain(&["dead_tuples", "dead_rows"], "tables", "dead", Unit::Rows, "the dead rows of a table"),
    Alias {
        names: &["dead_tuple_pct", "dead_tuple_ratio", "dead_row_pct"],
        frame: "tables",
        value: "100.0 * ratio(dead, live + dead)",
        filter: Some("live + dead >= 10000.0"),
        unit: Unit::Percent,
        doc: "the share of dead rows among all rows, 0..100, per table with at least 10,000 rows",
    },
    Alias {
        names: &["last_vacuum_days", "vacuum_age_days"],
        frame: "tables",
        value: "vacuum_age / 86400.0",
        filter: None,
        unit: Unit::Days,
        doc: "the days since a table was last vacuumed, by hand or by autovacuum; a table that never was is unknown and raises nothing",
    },
    Alias {
        names: &["last_analyze_days", "analyze_age_days"],
        frame: "tables",
        value: "analyze_age / 86400.0",
        filter: None,
        unit: Unit::Days,
        doc: "the days since a table was last analysed, by hand or by autovacuum; a table that never was is unknown and raises nothing",
    },
    plain(
        &["table_bloat_pct", "table_bloat"],
        "tables",
        "bloat_pct",
        Unit::Percent,
        "the estimated share of a table that is bloat; unknown where statistics are not visible",
    ),
    Alias {
        names: &["table_size_mb"],
        frame: "tables",
        value: "total_bytes / 1048576.0",
        filter: None,
        unit: Unit::None,
        doc: "the size of a table with its indexes and TOAST, in MB",
    },
    Alias {
        names: &["unused_index_scans", "index_scans", "unused_index"],
        frame: "indexes",
        value: "scans",
        filter: Some(UNUSED),
        unit: Unit::None,
        doc: "the scans of an index since its statistics began, counted only after 35 days of statistics, from 10 MB, and never for an index \
              that a constraint, a foreign key, a replica identity or a partition needs",
    },
    Alias {
        names: &["unused_index_size_mb"],
        frame: "indexes",
        value: "bytes / 1048576.0",
        filter: Some(UNUSED_ZERO),
        unit: Unit::None,
        doc: "the size in MB of an index without any scan in at least 35 days of statistics, never of an index that a constraint, a foreign \
              key, a replica identity or a partition needs",
    },
    Alias {
        names: &["database_growth_pct_day", "database_growth_pct"],
        frame: "sizes",
        value: "100.0 * delta(bytes, days(1)) / ago(bytes, days(1))",
        filter: None,
        unit: Unit::Percent,
        doc: "how much a database grew in a day, in per cent of what it was; unknown until a day of history is there",
    },
    Alias {
        names: &["database_size_mb"],
        frame: "sizes",
        value: "bytes / 1048576.0",
        filter: None,
        unit: Unit::None,
        doc: "the size of a database in MB",
    },
    plain(
        &["disk_usage_pct", "disk_usage"],
        "disk",
        "used_pct",
        Unit::Percent,
        "the used share of a file system that holds the server's data; seen only where pgsteward runs on the server",
    ),
    plain(
        &["replication_lag_s", "replication_lag_seconds"],
        "replication",
        "replay_lag",
        Unit::Seconds,
        "the replay lag of a standby in seconds, as the primary sees it",
    ),
    Alias {
        names: &["replication_lag_mb"],
        frame: "replication",
        value: "replay_lag_bytes / 1048576.0",
        filter: None,
        unit: Unit::None,
        doc: "the WAL that a standby has not replayed yet, in MB",
    },
    plain(
        &["transaction_id_age_pct", "xid_age_pct"],
        "freeze",
        "xid_pct",
        Unit::Percent,
        "the share of the transaction ids of a database that is used up",
    ),
    plain(
        &["transaction_age_s", "long_transaction_s"],
        "sessions",
        "xact_age",
        Unit::Seconds,
        "the age of a session's transaction in seconds",
    ),
    plain(&["blocked_sessions"], "blocking", "blocked", Unit::None, "the sessions that wait behind a root blocker"),
    plain(&["sequence_usage_pct"], "sequences", "used_pct", Unit::Percent, "the used share of a sequence's values"),
];

impl Alias {
    /// Whether it is about the whole server although its frame has a row for each of something.
    #[must_use]
    pub fn is_total(&self) -> bool {
        self.value.starts_with("count(")
    }
}

/// The alias of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Alias> {
    ALIASES.iter().find(|alias| alias.names.contains(&name))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_name_stands_for_two_things() {
        let mut seen = BTreeSet::new();
        for name in ALIASES.iter().flat_map(|a| a.names) {
            assert!(seen.insert(name), "`{name}` twice");
            assert!(!name.contains('.'), "`{name}` looks like a column");
        }
    }

    #[test]
    fn an_index_is_never_called_unused_without_the_safety_conditions() {
        for alias in ALIASES.iter().filter(|a| a.names.iter().any(|n| n.starts_with("unused_index"))) {
            let filter = alias.filter.unwrap_or_default();
            for guard in
                ["stats_age", "is_unique", "is_primary", "backs_constraint", "is_replica_identity", "supports_fk", "is_partition_attached"]
            {
                assert!(filter.contains(guard), "{:?} lacks {guard}", alias.names);
            }
        }
    }
}
