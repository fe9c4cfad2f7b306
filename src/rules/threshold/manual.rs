//! The manual text of a classic rule: the flat form has no room for one, so it comes with the metric.

/// Why a value of this frame matters and what to do about it; empty for frames that no classic monitor watches.
#[must_use]
pub fn manual(frame: &str, value: &str) -> &'static str {
    match frame {
        "statements" => {
            "Why: users wait for slow statements, and each one keeps a connection and its locks for as long as it runs.\n\
             Do: look at its plan with EXPLAIN (ANALYZE, BUFFERS); look for a missing index, stale statistics or too many rows read.\n\
             False alarm: a report or a batch that is meant to take long.\n\
             See: https://www.postgresql.org/docs/current/using-explain.html"
        }
        "databases" => {
            "Why: blocks that are not in shared buffers come from the kernel or the disk, which is many times slower.\n\
             Do: find the statements that read most blocks; an index often helps more than memory. Then look at shared_buffers.\n\
             False alarm: a backup, a restart or a large scan leaves the buffers cold for a while.\n\
             See: https://www.postgresql.org/docs/current/runtime-config-resource.html"
        }
        "connections" => {
            "Why: when no connection is left, every new client is refused, and many busy ones slow each other down.\n\
             Do: see what they do in pg_stat_activity; pool idle ones, end those idle in transaction, find what the others wait for.\n\
             False alarm: a deploy that runs old and new clients side by side.\n\
             See: https://www.postgresql.org/docs/current/runtime-config-connection.html"
        }
        "sessions" | "blocking" => {
            "Why: an old transaction keeps locks that others queue behind, and rows that VACUUM then cannot remove.\n\
             Do: ask its owner, then cancel or terminate it; set idle_in_transaction_session_timeout and lock_timeout.\n\
             False alarm: a dump or a migration that is meant to run this long.\n\
             See: https://www.postgresql.org/docs/current/monitoring-stats.html"
        }
        "tables" if value.contains("bloat") || value.contains("bytes") => {
            "Why: empty space in a table is read and cached with the rest, and it does not go back to the disk by itself.\n\
             Do: see first that autovacuum keeps up; then rebuild the table with pg_repack or, in a window, VACUUM FULL.\n\
             False alarm: the figure is an estimate from statistics, and a table that refills soon needs its space.\n\
             See: https://www.postgresql.org/docs/current/routine-vacuuming.html"
        }
        "tables" => {
            "Why: dead rows are read again by every scan, stale statistics mislead the planner, and both come from too little vacuum.\n\
             Do: end whoever holds an old snapshot, VACUUM (ANALYZE) the table, then lower its autovacuum thresholds.\n\
             False alarm: a bulk change that autovacuum is about to clear; a table that nobody changes needs no vacuum.\n\
             See: https://www.postgresql.org/docs/current/routine-vacuuming.html"
        }
        "indexes" => {
            "Why: an index that nobody reads costs every write, and takes cache and disk.\n\
             Do: look at every standby too, since their scans are counted there; then drop it CONCURRENTLY and keep its definition.\n\
             False alarm: a report that runs once a quarter.\n\
             See: https://www.postgresql.org/docs/current/sql-dropindex.html"
        }
        "sizes" | "disk" => {
            "Why: a full disk stops the server, and one that holds WAL can keep it from starting again.\n\
             Do: find what grows: the largest tables, WAL held by a replication slot, temporary files, logs; then free or add space.\n\
             False alarm: a load or a restore that was planned.\n\
             See: https://www.postgresql.org/docs/current/diskusage.html"
        }
        "replication" => {
            "Why: reads on a standby that lags are stale, and what it has not received is lost if the primary is.\n\
             Do: see whether sending, flushing or replaying lags; look for long queries on the standby, its disk and the network.\n\
             False alarm: a bulk load writes more WAL for a while than any standby replays.\n\
             See: https://www.postgresql.org/docs/current/warm-standby.html"
        }
        "freeze" => {
            "Why: when the transaction ids are used up, the server accepts no writes until a vacuum has frozen old rows.\n\
             Do: end old transactions, prepared transactions and slots that hold the horizon; then VACUUM the oldest tables.\n\
             False alarm: autovacuum_freeze_max_age raised on purpose.\n\
             See: https://www.postgresql.org/docs/current/routine-vacuuming.html"
        }
        "sequences" => {
            "Why: when a sequence is used up, every insert that needs its next value fails.\n\
             Do: change the column to bigint (the rewrite wants a window), or the sequence's maximum if only that is low.\n\
             False alarm: a sequence that cycles on purpose.\n\
             See: https://www.postgresql.org/docs/current/sql-createsequence.html"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::super::alias::ALIASES;
    use super::*;

    #[test]
    fn every_alias_has_one_that_says_why_what_and_when_not() {
        for alias in ALIASES {
            let text = manual(alias.frame, alias.value);
            let starts: Vec<&str> = text.lines().filter_map(|line| line.split(' ').next()).collect();
            assert_eq!(starts, ["Why:", "Do:", "False", "See:"], "{:?}", alias.names);
        }
    }
}
