//! Leasing: due rows of one channel, gathered to messages.
//!
//! Those tried least come first, so that what fails again and again lets fresh ones pass. Rows of one group that were
//! tried equally often are one message: what was sent and not finished comes again as the same message, under the same
//! key. A group has one message under way at a time, so that the next one knows what became of it.

use chrono::{DateTime, Utc};
use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::super::cache::Mark;
use super::super::codec::{from_json, micros, seconds, time};
use super::super::{Store, StoreError};
use super::{Batch, DUE, LATEST_GROUP_S, LATEST_RETRY_S, OutboxRow};
use crate::model::{Notice, NoticeKind};

/// What a sender asks for.
#[derive(Debug, Clone, Copy)]
pub struct LeaseRequest<'a> {
    /// Channel name.
    pub channel: &'a str,
    /// Who sends.
    pub owner: &'a str,
    /// When.
    pub now: DateTime<Utc>,
    /// Most messages.
    pub messages: usize,
    /// Most notices in one message.
    pub most: usize,
    /// Seconds until the rows are free again, unless they are finished.
    pub ttl_s: u64,
    /// Only messages that begin with a critical notice.
    pub critical: bool,
}

impl LeaseRequest<'_> {
    /// Most messages that one call leases.
    pub const MOST: usize = 64;
}

impl Store {
    /// Leases due rows of one channel, gathered to messages: at most 64. A row behind an unfinished one of the same
    /// episode is not among them.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn lease_messages(&mut self, ask: &LeaseRequest<'_>) -> Result<Vec<Batch>, StoreError> {
        let tx = self.write()?;
        let before = Mark::of(&tx)?;
        let batches = Taking { tx: &tx, ask, now: micros(ask.now), messages: ask.messages.min(LeaseRequest::MOST) }.batches()?;
        let after = Mark::of(&tx)?;
        tx.commit()?;
        let leased: usize = batches.iter().map(|batch| batch.rows.len()).sum();
        // A leased row is told as before. One more change than that is a row that was given up.
        if before.own_changes(after) == leased {
            self.cache.get_mut().told(before, after, [].iter());
        }
        Ok(batches)
    }
}

impl Store {
    /// Who holds rows of the outbox now.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn senders(&self) -> Result<Vec<String>, StoreError> {
        let sql =
            "SELECT DISTINCT owner FROM outbox INDEXED BY outbox_waiting WHERE state = 'waiting' AND attempts > 0 AND owner IS NOT NULL";
        let mut query = self.db.prepare_cached(sql)?;
        let rows = query.query_map([], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Since when a channel has taken no notice about the fingerprint, of those that were made after the last it took.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn untaken_since(&self, fingerprint: &str, channel: &str) -> Result<Option<DateTime<Utc>>, StoreError> {
        let sql = "SELECT min(queued_at) FROM outbox WHERE fingerprint = ?1 AND channel = ?2 AND id > ifnull(
                       (SELECT max(id) FROM outbox WHERE fingerprint = ?1 AND channel = ?2 AND state = 'delivered'), 0)";
        let at: Option<i64> = self.db.query_row(sql, params![fingerprint, channel], |row| row.get(0))?;
        Ok(at.map(time))
    }

    /// Frees the rows of a sender that is known to be dead, as the end of their leases would. How many there were.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn free_rows_of(&mut self, owner: &str) -> Result<usize, StoreError> {
        let sql = "UPDATE outbox SET owner = NULL, leased_at = NULL, leased_until = NULL WHERE state = 'waiting' AND owner = ?1";
        let tx = self.write()?;
        let freed = tx.execute(sql, [owner])?;
        tx.commit()?;
        Ok(freed)
    }
}

struct Taking<'a> {
    tx: &'a Transaction<'a>,
    ask: &'a LeaseRequest<'a>,
    now: i64,
    messages: usize,
}

/// A row, and its notice as it is stored.
type Stored = (OutboxRow, String);

impl Taking<'_> {
    fn batches(&self) -> Result<Vec<Batch>, StoreError> {
        let mut found: Vec<(String, Vec<Stored>)> = self.alone()?.into_iter().map(|row| (String::new(), vec![row])).collect();
        found.extend(self.groups()?);
        found.sort_by_key(|(_, rows)| rows.first().map(|(row, _)| (row.attempts, row.id)));
        found.truncate(self.messages);
        let mut batches = Vec::with_capacity(found.len());
        for (group, rows) in found {
            let rows = self.lease(rows)?;
            if !rows.is_empty() {
                batches.push(Batch { previous: self.previous(&group, &rows)?, rows });
            }
        }
        Ok(batches)
    }

    /// Due rows that are told by themselves.
    fn alone(&self) -> Result<Vec<Stored>, StoreError> {
        self.due("grp = ?4", "", self.messages)
    }

    /// Due rows of each group that has some, until there are enough groups.
    fn groups(&self) -> Result<Vec<(String, Vec<Stored>)>, StoreError> {
        let (mut found, mut group) = (Vec::new(), String::new());
        while found.len() < self.messages {
            let Some(next) = self.group_after(&group)? else { break };
            group = next;
            if self.is_under_way(&group)? {
                continue;
            }
            let head = self.due("grp = ?4", &group, 1)?;
            let Some((head, _)) = head.first() else { continue };
            // The head's own number of attempts: what came later is a message of its own.
            let alike = format!("grp = ?4 AND attempts = {}", head.attempts);
            found.push((group.clone(), self.due(&alike, &group, self.ask.most.max(1))?));
        }
        Ok(found)
    }

    fn group_after(&self, group: &str) -> Result<Option<String>, StoreError> {
        let sql = "SELECT min(grp) FROM outbox INDEXED BY outbox_waiting WHERE state = 'waiting' AND channel = ?1 AND grp > ?2";
        Ok(self.tx.prepare_cached(sql)?.query_row(params![self.ask.channel, group], |row| row.get(0))?)
    }

    /// Whether somebody is sending a message of the group.
    fn is_under_way(&self, group: &str) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM outbox INDEXED BY outbox_waiting WHERE state = 'waiting' AND channel = ?1 AND grp = ?2
                   AND attempts > 0 AND owner IS NOT NULL AND leased_until > ?3 AND leased_at <= ?3";
        Ok(self.tx.prepare_cached(sql)?.exists(params![self.ask.channel, group, self.now])?)
    }

    fn due(&self, which: &str, group: &str, limit: usize) -> Result<Vec<Stored>, StoreError> {
        let critical = if self.ask.critical { "AND severity = 'critical'" } else { "" };
        let sql = format!(
            "SELECT id, queued_at, attempts, body FROM outbox INDEXED BY outbox_waiting
             WHERE channel = ?5 AND {which} AND {DUE} {critical} ORDER BY attempts, id LIMIT ?6"
        );
        let mut query = self.tx.prepare_cached(&sql)?;
        let values = params![self.now, seconds(LATEST_RETRY_S), seconds(LATEST_GROUP_S), group, self.ask.channel, limit as i64];
        let rows = query.query_map(values, stored)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Leases the rows; one whose notice cannot be read is given up.
    fn lease(&self, rows: Vec<Stored>) -> Result<Vec<OutboxRow>, StoreError> {
        let mut lease = self
            .tx
            .prepare_cached("UPDATE outbox SET owner = ?2, leased_at = ?3, leased_until = ?4, attempts = attempts + 1 WHERE id = ?1")?;
        let mut leased = Vec::with_capacity(rows.len());
        for (row, body) in rows {
            let Some(notice) = from_json::<Notice>("a notice", &body) else {
                let sql = "UPDATE outbox SET state = 'dead', finished_at = ?2, error = 'the stored notice cannot be read' WHERE id = ?1";
                self.tx.execute(sql, params![row.id, self.now])?;
                continue;
            };
            lease.execute(params![row.id, self.ask.owner, self.now, self.now.saturating_add(seconds(self.ask.ttl_s))])?;
            leased.push(OutboxRow { notice, attempts: row.attempts.saturating_add(1), ..row });
        }
        Ok(leased)
    }

    /// What the channel kept of the last message about the same. A group whose last word was an end, and that begins
    /// anew, has none.
    fn previous(&self, group: &str, rows: &[OutboxRow]) -> Result<Option<String>, StoreError> {
        let read = |row: &Row<'_>| Ok((row.get::<_, Option<String>>(0)?, row.get::<_, String>(1)?));
        let Some(first) = rows.first() else { return Ok(None) };
        let last = if group.is_empty() {
            let sql =
                "SELECT handle, kind FROM outbox WHERE episode = ?1 AND channel = ?2 AND state = 'delivered' ORDER BY id DESC LIMIT 1";
            self.tx.prepare_cached(sql)?.query_row(params![first.notice.episode, self.ask.channel], read).optional()?
        } else {
            let sql = "SELECT handle, kind FROM outbox INDEXED BY outbox_by_group
                       WHERE grp = ?1 AND channel = ?2 AND state = 'delivered' AND grp <> '' ORDER BY finished_at DESC LIMIT 1";
            self.tx.prepare_cached(sql)?.query_row(params![group, self.ask.channel], read).optional()?
        };
        let begins = rows.iter().all(|row| row.notice.kind == NoticeKind::Firing);
        Ok(last.filter(|(_, kind)| !(begins && kind == NoticeKind::Resolved.as_str())).and_then(|(handle, _)| handle))
    }
}

fn stored(row: &Row<'_>) -> rusqlite::Result<Stored> {
    let found = OutboxRow { id: row.get(0)?, notice: Notice::default(), queued_at: time(row.get(1)?), attempts: row.get(2)? };
    Ok((found, row.get(3)?))
}
