//! The outbox: notices from the commit that decided them until a channel took them, or they were given up.
//!
//! `put` at the commit, `withdraw` what is not to be told any more, `take` under a lease, `finish` after the attempt; `dead` brings
//! back what was given up. At least
//! once: when the sender dies in between, the lease runs out and the row is sent again under the same key. First in, first
//! out per (episode, channel): a later notice of the same pair waits for the earlier one, so that no channel hears the end
//! before the beginning.

mod dead;
mod finish;
mod put;
mod take;
#[cfg(test)]
mod tests;
mod withdraw;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rusqlite::params;

use super::codec::{micros, seconds, time};
use super::{Store, StoreError};
use crate::model::Notice;

pub use dead::DeadFilter;
pub(in crate::store) use dead::STILL_TRUE;
pub(super) use put::put;
pub use take::LeaseRequest;

/// A row that was tried and says that it is due later than this is from a clock that was set back; it is due now. Seconds.
const LATEST_RETRY_S: u64 = 3_600;
/// The same for one that waits for others of its group.
const LATEST_GROUP_S: u64 = 86_400;

/// A leased row: a notice to tell now.
#[derive(Debug, Clone, PartialEq)]
pub struct OutboxRow {
    /// Its number.
    pub id: i64,
    /// The notice.
    pub notice: Notice,
    /// When it was committed.
    pub queued_at: DateTime<Utc>,
    /// Attempts begun, this one included.
    pub attempts: u32,
}

/// Leased rows that go out as one message: one alone, or those of one group.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// At least one, in the order in which they were decided.
    pub rows: Vec<OutboxRow>,
    /// What the channel kept of the last message about the same episode or group.
    pub previous: Option<String>,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// The channel took it.
    Delivered {
        /// What the channel answered.
        receipt: String,
        /// What the channel wants to be given with the next message about the same.
        handle: Option<String>,
    },
    /// It failed and is tried again.
    Retry {
        /// Not before.
        at: DateTime<Utc>,
        /// Why it failed.
        error: String,
    },
    /// It failed and is given up.
    Dead {
        /// Why.
        error: String,
        /// The channel that is told instead.
        fallback: Option<String>,
    },
    /// It was leased and not tried; it is due as before.
    Untried,
}

/// How many notices of one channel stand where.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChannelCounts {
    /// Not told yet.
    pub waiting: u64,
    /// Told.
    pub delivered: u64,
    /// Given up.
    pub dead: u64,
    /// When the oldest that waits was committed.
    pub oldest_waiting: Option<DateTime<Utc>>,
    /// Why the latest of them that failed did; `None` when nothing waits after a failure.
    pub waiting_error: Option<String>,
}

impl Store {
    /// Channels with rows that are due and free, by name.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn due_channels(&self, now: DateTime<Utc>) -> Result<Vec<String>, StoreError> {
        let view = self.read()?;
        let mut query =
            view.prepare_cached(&format!("SELECT 1 FROM outbox INDEXED BY outbox_waiting WHERE channel = ?4 AND {DUE} LIMIT 1"))?;
        let mut due = waiting_channels(&view)?;
        let mut failed = None;
        due.retain(|channel| {
            let found = query.exists(params![micros(now), seconds(LATEST_RETRY_S), seconds(LATEST_GROUP_S), channel]);
            found.unwrap_or_else(|error| {
                failed = Some(error);
                false
            })
        });
        failed.map_or(Ok(due), |error| Err(error.into()))
    }

    /// When the next row that waits for its time is due; `None` when none does.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn next_due(&self, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, StoreError> {
        let sql = "SELECT min(due_at) FROM outbox INDEXED BY outbox_waiting WHERE state = 'waiting' AND due_at > ?1";
        let next: Option<i64> = self.db.prepare_cached(sql)?.query_row([micros(now)], |row| row.get(0))?;
        Ok(next.map(time))
    }

    /// How many notices stand where, by channel.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn outbox_counts(&self) -> Result<BTreeMap<String, ChannelCounts>, StoreError> {
        let mut query = self.db.prepare(
            "SELECT channel, count(*) FILTER (WHERE state = 'waiting'), count(*) FILTER (WHERE state = 'delivered'),
                    count(*) FILTER (WHERE state = 'dead'), min(queued_at) FILTER (WHERE state = 'waiting'),
                    (SELECT error FROM outbox AS last WHERE last.channel = outbox.channel AND last.state = 'waiting'
                     AND last.error IS NOT NULL ORDER BY last.id DESC LIMIT 1)
             FROM outbox GROUP BY channel",
        )?;
        let rows = query.query_map([], |row| {
            let count = |at: usize| row.get::<_, i64>(at).map(i64::unsigned_abs);
            let counts = ChannelCounts {
                waiting: count(1)?,
                delivered: count(2)?,
                dead: count(3)?,
                oldest_waiting: row.get::<_, Option<i64>>(4)?.map(time),
                waiting_error: row.get(5)?,
            };
            Ok((row.get(0)?, counts))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

/// Channels for which something waits, each found by one seek.
fn waiting_channels(db: &rusqlite::Connection) -> Result<Vec<String>, StoreError> {
    let sql = "WITH RECURSIVE named (name) AS (
                   SELECT min(channel) FROM outbox INDEXED BY outbox_waiting WHERE state = 'waiting'
                   UNION ALL
                   SELECT (SELECT min(channel) FROM outbox INDEXED BY outbox_waiting WHERE state = 'waiting' AND channel > name)
                   FROM named WHERE name IS NOT NULL)
               SELECT name FROM named WHERE name IS NOT NULL";
    let mut query = db.prepare_cached(sql)?;
    let rows = query.query_map([], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Rows that may be sent at `?1`: waiting, due, free, and first of their (episode, channel). What lies in the future of
/// a clock that was set back (committed later than now, leased a minute later, due beyond `?2` or, for its group, `?3`) is not believed.
const DUE: &str = "state = 'waiting'
    AND (due_at <= ?1 OR queued_at > ?1 OR due_at > ?1 + CASE attempts WHEN 0 THEN ?3 ELSE ?2 END)
    AND (owner IS NULL OR leased_until <= ?1 OR leased_at > ?1 + 60000000)
    AND NOT EXISTS (SELECT 1 FROM outbox AS earlier WHERE earlier.episode = outbox.episode
                    AND earlier.channel = outbox.channel AND earlier.id < outbox.id AND earlier.state = 'waiting')";
