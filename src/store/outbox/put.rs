//! What a commit puts into the outbox: each notice with the time at which it goes out, and what an end makes needless.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rusqlite::{Transaction, params};

use super::super::codec::{micros, seconds, time, to_json};
use super::super::{StoreError, TickCommit};
use super::LATEST_GROUP_S;
use crate::model::{Notice, NoticeKind};

/// A notice that was given up, or handed on, and is decided again is tried again, but not more often than this, in seconds:
/// a channel that will never take it is not asked at every tick. One that was taken back is tried at once.
const REVIVE_S: u64 = 3_600;

/// The notices of the tick. A key that is there already is the same notice.
pub(in crate::store) fn put(tx: &Transaction<'_>, commit: &TickCommit<'_>) -> Result<(), StoreError> {
    let mut groups = Groups { tx, now: commit.now, known: BTreeMap::new() };
    for notice in commit.decision.notices() {
        let now = micros(commit.now);
        if notice.kind == NoticeKind::Heartbeat {
            // Of signs of life only the latest is one.
            collapse(tx, &notice, now)?;
        }
        let heard = match notice.kind {
            NoticeKind::Resolved => collapse(tx, &notice, now)?,
            // What it is about may have been taken back since it was decided.
            NoticeKind::Acknowledged => is_alive(tx, &notice)?,
            _ => true,
        };
        if !heard {
            insert(tx, commit.target, &notice, "collapsed", now, now)?;
        } else {
            let due_at = micros(groups.ready_at(&notice)?).min(now.saturating_add(seconds(LATEST_GROUP_S)));
            insert(tx, commit.target, &notice, "waiting", now, due_at)?;
        }
    }
    Ok(())
}

/// When the notices of this commit go out; each group is looked up once.
struct Groups<'a> {
    tx: &'a Transaction<'a>,
    now: DateTime<Utc>,
    /// By channel and group: when the next message is due, and when the last one was delivered.
    known: BTreeMap<(String, String), Timing>,
}

#[derive(Clone, Copy)]
struct Timing {
    joins: Option<DateTime<Utc>>,
    last: Option<DateTime<Utc>>,
}

impl Groups<'_> {
    fn ready_at(&mut self, notice: &Notice) -> Result<DateTime<Utc>, StoreError> {
        let group = &notice.group;
        if group.key.is_empty() {
            return Ok(self.now);
        }
        let id = (notice.channel.clone(), group.key.clone());
        let timing = match self.known.get(&id) {
            Some(timing) => *timing,
            None => self.look_up(&id)?,
        };
        let urgent = notice.kind.is_urgent();
        let ready = group.ready_at(urgent, self.now, timing.joins, timing.last);
        if urgent && timing.joins.is_some_and(|joins| joins > self.now) {
            self.pull_along(&id)?;
        }
        self.known.insert(id, Timing { joins: Some(ready), ..timing });
        Ok(ready)
    }

    fn look_up(&self, (channel, group): &(String, String)) -> Result<Timing, StoreError> {
        let sql = "SELECT (SELECT min(due_at) FROM outbox INDEXED BY outbox_waiting
                           WHERE state = 'waiting' AND channel = ?1 AND grp = ?2 AND attempts = 0),
                          (SELECT max(finished_at) FROM outbox INDEXED BY outbox_by_group
                           WHERE channel = ?1 AND grp = ?2 AND grp <> '' AND state = 'delivered')";
        let found = self.tx.prepare_cached(sql)?.query_row(params![channel, group], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let (joins, last): (Option<i64>, Option<i64>) = found;
        Ok(Timing { joins: joins.map(time), last: last.map(time) })
    }

    /// What is urgent goes now, and what waits in its group goes with it.
    fn pull_along(&self, (channel, group): &(String, String)) -> Result<(), StoreError> {
        let sql = "UPDATE outbox SET due_at = ?3 WHERE state = 'waiting' AND channel = ?1 AND grp = ?2 AND attempts = 0 AND due_at > ?3";
        self.tx.prepare_cached(sql)?.execute(params![channel, group, micros(self.now)])?;
        Ok(())
    }
}

/// At an end, what the channel has not been told yet is needless. Whether the end itself is worth telling: the channel
/// heard, or may have heard, of the episode.
fn collapse(tx: &Transaction<'_>, end: &Notice, now: i64) -> Result<bool, StoreError> {
    let sql = "UPDATE outbox SET state = 'collapsed', finished_at = ?3, error = NULL
               WHERE episode = ?1 AND channel = ?2 AND state = 'waiting' AND attempts = 0";
    tx.prepare_cached(sql)?.execute(params![end.episode, end.channel, now])?;
    let sql = "SELECT 1 FROM outbox WHERE episode = ?1 AND channel = ?2 AND attempts > 0";
    Ok(tx.prepare_cached(sql)?.exists(params![end.episode, end.channel])?)
}

/// Whether the channel was told of the episode, or will be.
fn is_alive(tx: &Transaction<'_>, notice: &Notice) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM outbox WHERE episode = ?1 AND channel = ?2 AND state IN ('waiting', 'delivered')";
    Ok(tx.prepare_cached(sql)?.exists(params![notice.episode, notice.channel])?)
}

pub(super) fn insert(
    tx: &Transaction<'_>,
    target: &str,
    notice: &Notice,
    state: &str,
    queued_at: i64,
    due_at: i64,
) -> Result<(), StoreError> {
    let mut add = tx.prepare_cached(
        "INSERT INTO outbox (key, target, fingerprint, episode, channel, kind, severity, grp, body, queued_at, due_at, state, finished_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, CASE ?12 WHEN 'waiting' THEN NULL ELSE ?10 END)
         ON CONFLICT (key) DO UPDATE SET state = 'waiting', queued_at = excluded.queued_at, due_at = excluded.due_at, attempts = 0,
             finished_at = NULL, body = excluded.body, error = CASE state WHEN 'collapsed' THEN NULL ELSE error END
         WHERE excluded.state = 'waiting'
             AND (state = 'collapsed' OR state IN ('dead', 'handed') AND finished_at <= excluded.queued_at - ?13)",
    )?;
    add.execute(params![
        notice.key,
        target,
        notice.fingerprint.0,
        notice.episode,
        notice.channel,
        notice.kind.as_str(),
        notice.severity.as_str(),
        notice.group.key,
        to_json("a notice", notice)?,
        queued_at,
        due_at,
        state,
        seconds(REVIVE_S),
    ])?;
    Ok(())
}
