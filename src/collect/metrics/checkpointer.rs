//! `checkpointer`: checkpoints and the background writer in one stable shape. Up to 16 all of it is in `pg_stat_bgwriter`;
//! 17 moved checkpoints to `pg_stat_checkpointer` and dropped what backends wrote (see `io`).
//!
//! Restart points of a standby count as checkpoints, as they did before 17. From 18 on `done` tells how many of the timed
//! ones were skipped because nothing had changed.

use super::build::{OLDEST, by_version, counter, frame, gauge, instance, reset_by, time};
use crate::model::{FrameDef, Metric, Unit};

const SQL: &str = "
SELECT b.buffers_clean,
       b.maxwritten_clean,
       b.buffers_alloc,
       b.checkpoints_timed AS timed, -- to 16
       b.checkpoints_req AS requested, -- to 16
       b.checkpoint_write_time::int8 AS write_time, -- to 16
       b.checkpoint_sync_time::int8 AS sync_time, -- to 16
       b.buffers_checkpoint AS buffers_written, -- to 16
       b.buffers_backend, -- to 16
       EXTRACT(EPOCH FROM b.stats_reset)::float8 AS stats_reset, -- to 16
       c.num_timed + c.restartpoints_timed AS timed, -- 17+
       c.num_requested + c.restartpoints_req AS requested, -- 17+
       c.num_done + c.restartpoints_done AS done, -- 18+
       c.write_time::int8 AS write_time, -- 17+
       c.sync_time::int8 AS sync_time, -- 17+
       c.buffers_written, -- 17+
       EXTRACT(EPOCH FROM GREATEST(b.stats_reset, c.stats_reset))::float8 AS stats_reset, -- 17+
       EXTRACT(EPOCH FROM pg_catalog.clock_timestamp() - k.checkpoint_time)::float8 AS last_checkpoint_age,
       EXTRACT(EPOCH FROM pg_catalog.current_setting('checkpoint_timeout')::interval)::float8 AS checkpoint_timeout
  FROM pg_catalog.pg_stat_bgwriter AS b
 CROSS JOIN pg_catalog.pg_control_checkpoint() AS k
 CROSS JOIN pg_catalog.pg_stat_checkpointer AS c -- 17+
";

fn described() -> FrameDef {
    let columns = vec![
        counter("timed", Unit::None, "Checkpoints because of checkpoint_timeout."),
        counter("requested", Unit::None, "Checkpoints because of WAL or a command."),
        counter("done", Unit::None, "Checkpoints that were carried out (18+); skipped ones count as timed."),
        counter("write_time", Unit::Millis, "Time that checkpoints spent in writing."),
        counter("sync_time", Unit::Millis, "Time that checkpoints spent in syncing."),
        counter("buffers_written", Unit::Blocks, "Blocks written by checkpoints."),
        counter("buffers_clean", Unit::Blocks, "Blocks written by the background writer."),
        counter("maxwritten_clean", Unit::None, "Times that the background writer stopped at its limit."),
        counter("buffers_backend", Unit::Blocks, "Blocks that backends had to write themselves (to 16; later see `io`)."),
        counter("buffers_alloc", Unit::Blocks, "Blocks allocated."),
        gauge("last_checkpoint_age", Unit::Seconds, "Since the last checkpoint in the control file."),
        gauge("checkpoint_timeout", Unit::Seconds, "The setting."),
        time("stats_reset", "When the counters were last reset."),
    ];
    reset_by("stats_reset", frame("checkpointer", "One row: checkpoints and the background writer.", &[], columns))
}

/// The metric.
#[must_use]
pub fn metric() -> Metric {
    instance(described(), by_version(OLDEST, SQL))
}
