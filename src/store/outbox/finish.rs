//! After the attempts: each leased row told, tried again later, or given up, all in one transaction.

use chrono::{DateTime, Utc};
use rusqlite::{OptionalExtension, Transaction, params};

use super::super::cache::Mark;
use super::super::channel::{self, ChannelState};
use super::super::codec::{from_json, micros};
use super::super::{Store, StoreError};
use super::{AttemptOutcome, put};
use crate::model::{Fingerprint, Notice};

impl Store {
    /// Ends the attempts on leased rows, and notes how their channel fares. A lease that ran out is still good while
    /// nobody else has taken the row. Returns the rows that are finished already or another's by now; nothing changes
    /// for those.
    ///
    /// # Errors
    /// When the store cannot be written; then every row is as it was.
    pub fn finish(
        &mut self,
        owner: &str,
        ended: &[(i64, AttemptOutcome)],
        channel: Option<(&str, &ChannelState)>,
        now: DateTime<Utc>,
    ) -> Result<Vec<i64>, StoreError> {
        let tx = self.write()?;
        let before = Mark::of(&tx)?;
        let mut lost = Vec::new();
        for (row, outcome) in ended {
            if !end(&tx, *row, owner, outcome, micros(now))? {
                lost.push(*row);
            }
        }
        if let Some((name, state)) = channel {
            channel::put(&tx, name, state)?;
        }
        let (about, after) = (alerts_of(&tx, ended)?, Mark::of(&tx)?);
        tx.commit()?;
        self.cache.get_mut().told(before, after, about.iter());
        Ok(lost)
    }

    /// Hands what waits for one channel to another, in its order, because the first cannot be reached. Rows in flight
    /// stay. At most 1,000 at a time; returns how many, 0 when none is left.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn hand_over(&mut self, channel: &str, to: &str, why: &str, now: DateTime<Utc>) -> Result<usize, StoreError> {
        let tx = self.write()?;
        let now = micros(now);
        let sql = "SELECT id, CASE attempts WHEN 0 THEN max(due_at, ?2) ELSE ?2 END FROM outbox
                   WHERE channel = ?1 AND state = 'waiting' AND (owner IS NULL OR leased_until <= ?2) ORDER BY id LIMIT 1000";
        let rows: Vec<(i64, i64)> = {
            let mut query = tx.prepare_cached(sql)?;
            let rows = query.query_map(params![channel, now], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect::<Result<_, _>>()?
        };
        for (row, due_at) in &rows {
            copy(&tx, *row, to, now, *due_at)?;
            let sql = "UPDATE outbox SET state = 'handed', finished_at = ?2, error = ?3, owner = NULL, leased_at = NULL,
                       leased_until = NULL WHERE id = ?1";
            tx.prepare_cached(sql)?.execute(params![row, now, why])?;
        }
        tx.commit()?;
        Ok(rows.len())
    }
}

/// The alerts that rows are about.
fn alerts_of(tx: &Transaction<'_>, ended: &[(i64, AttemptOutcome)]) -> Result<Vec<Fingerprint>, StoreError> {
    let mut query = tx.prepare_cached("SELECT fingerprint FROM outbox WHERE id = ?1")?;
    let found = ended.iter().filter_map(|(row, _)| query.query_row([row], |row| Ok(Fingerprint(row.get(0)?))).optional().transpose());
    Ok(found.collect::<Result<_, _>>()?)
}

const FREED: &str = "owner = NULL, leased_at = NULL, leased_until = NULL WHERE id = ?1 AND owner = ?2 AND state = 'waiting'";

/// Whether the row was this owner's to end.
fn end(tx: &Transaction<'_>, row: i64, owner: &str, outcome: &AttemptOutcome, now: i64) -> Result<bool, StoreError> {
    let update = |set: &str, values: &[&dyn rusqlite::ToSql]| -> Result<bool, StoreError> {
        Ok(tx.prepare_cached(&format!("UPDATE outbox SET {set}, {FREED}"))?.execute(values)? == 1)
    };
    match outcome {
        AttemptOutcome::Delivered { receipt, handle } => {
            update("state = 'delivered', finished_at = ?3, receipt = ?4, handle = ?5", &[&row, &owner, &now, receipt, handle])
        }
        AttemptOutcome::Retry { at, error } => update("due_at = ?3, error = ?4", &[&row, &owner, &micros(*at), error]),
        AttemptOutcome::Untried => update("attempts = max(attempts - 1, 0)", &[&row, &owner]),
        AttemptOutcome::Dead { error, fallback } => {
            let mine = update("state = 'dead', finished_at = ?3, error = ?4", &[&row, &owner, &now, error])?;
            if mine {
                if let Some(to) = fallback {
                    copy(tx, row, to, now, now)?;
                }
                end_ends(tx, row, fallback.as_deref(), now)?;
            }
            Ok(mine)
        }
    }
}

/// The end that waits behind a beginning that was given up: a channel that heard of nothing else does not hear of it
/// either; who was told instead does.
fn end_ends(tx: &Transaction<'_>, dead: i64, fallback: Option<&str>, now: i64) -> Result<(), StoreError> {
    let sql = "SELECT later.id FROM outbox AS dead JOIN outbox AS later ON later.episode = dead.episode AND later.channel = dead.channel
               WHERE dead.id = ?1 AND later.state = 'waiting' AND later.kind = 'resolved' AND later.attempts = 0
               AND NOT EXISTS (SELECT 1 FROM outbox AS other WHERE other.episode = dead.episode AND other.channel = dead.channel
                               AND (other.state = 'delivered' OR other.state = 'waiting' AND other.kind <> 'resolved'))";
    let ends: Vec<i64> = tx.prepare_cached(sql)?.query_map([dead], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for end in ends {
        if let Some(to) = fallback {
            copy(tx, end, to, now, now)?;
        }
        let state = if fallback.is_some() { "handed" } else { "collapsed" };
        tx.execute("UPDATE outbox SET state = ?2, finished_at = ?3 WHERE id = ?1", params![end, state, now])?;
    }
    Ok(())
}

/// The same notice for another channel. One that has been there already does not go round in circles.
fn copy(tx: &Transaction<'_>, row: i64, to: &str, now: i64, due_at: i64) -> Result<(), StoreError> {
    let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?));
    let (target, body) = tx.prepare_cached("SELECT target, body FROM outbox WHERE id = ?1")?.query_row([row], read)?;
    let Some(notice) = from_json::<Notice>("a notice", &body) else { return Ok(()) };
    let been_there =
        notice.channel == to || notice.fallback_of.as_deref() == Some(to) || notice.key.split('~').skip(1).any(|name| name == to);
    if been_there {
        return Ok(());
    }
    let handed = Notice {
        key: format!("{}~{to}", notice.key),
        fallback_of: notice.fallback_of.clone().or_else(|| Some(notice.channel.clone())),
        channel: to.into(),
        ..notice
    };
    put::insert(tx, &target, &handed, "waiting", now, due_at)
}
