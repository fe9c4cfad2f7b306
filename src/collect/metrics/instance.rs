//! `instance`: what the server is and since when it runs.
//!
//! Cheap: shared memory, the control file and one pass over the settings. `pg_is_wal_replay_paused()` fails on a primary,
//! so it is asked on a standby only. A start time that changed is a restart; an uptime that fell may be a clock.

use super::build::{OLDEST, by_version, flag, frame, gauge, instance, time};
use crate::model::{Metric, Unit};

const SQL: &str = "
SELECT pg_catalog.current_setting('server_version_num')::float8 AS version_num,
       pg_catalog.pg_is_in_recovery() AS in_recovery,
       EXTRACT(EPOCH FROM pg_catalog.clock_timestamp() - pg_catalog.pg_postmaster_start_time())::float8 AS uptime,
       EXTRACT(EPOCH FROM pg_catalog.pg_postmaster_start_time())::float8 AS started_at,
       EXTRACT(EPOCH FROM pg_catalog.pg_conf_load_time())::float8 AS config_loaded_at,
       (SELECT c.timeline_id FROM pg_catalog.pg_control_checkpoint() AS c)::float8 AS timeline,
       p.prepared_xacts,
       p.oldest_prepared_age,
       CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_is_wal_replay_paused() END AS wal_replay_paused,
       (pg_catalog.current_setting('data_checksums') = 'on') AS data_checksums,
       (SELECT pg_catalog.count(*) FROM pg_catalog.pg_settings AS s WHERE s.pending_restart)::float8 AS pending_restart
  FROM (SELECT pg_catalog.count(*)::float8 AS prepared_xacts,
               EXTRACT(EPOCH FROM pg_catalog.clock_timestamp() - pg_catalog.min(x.prepared))::float8 AS oldest_prepared_age
          FROM pg_catalog.pg_prepared_xacts AS x) AS p
";

/// The metric.
#[must_use]
pub fn metric() -> Metric {
    let columns = vec![
        gauge("version_num", Unit::None, "server_version_num, for example 160004."),
        flag("in_recovery", "Whether it is a standby (or still recovers)."),
        gauge("uptime", Unit::Seconds, "Time since the postmaster started."),
        time("started_at", "When the postmaster started."),
        time("config_loaded_at", "When the configuration files were last read."),
        gauge("timeline", Unit::None, "Timeline of the last checkpoint; it grows at each promotion."),
        gauge("prepared_xacts", Unit::None, "Prepared transactions that wait for COMMIT or ROLLBACK PREPARED."),
        gauge("oldest_prepared_age", Unit::Seconds, "Age of the oldest of them; unknown when there is none."),
        flag("wal_replay_paused", "Whether replay is paused; known on a standby only."),
        flag("data_checksums", "Whether pages carry checksums."),
        gauge("pending_restart", Unit::None, "Settings that were changed and wait for a restart."),
    ];
    instance(frame("instance", "One row: what the server is and since when it runs.", &[], columns), by_version(OLDEST, SQL))
}
