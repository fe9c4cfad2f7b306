//! Notices that were given up: shown, and brought back when somebody has mended what stood in their way.

use chrono::{DateTime, Utc};
use rusqlite::params;

use super::super::codec::micros;
use super::super::history::{SentNotice, sent_notice};
use super::super::{Store, StoreError};

/// Most that one answer shows.
const MOST: u32 = 1_000;

/// Which given-up notices; what is `None` asks nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeadFilter {
    /// Of this channel.
    pub channel: Option<String>,
    /// Of this target.
    pub target: Option<String>,
    /// Whose key begins so.
    pub key: Option<String>,
    /// Given up since then.
    pub since: Option<DateTime<Utc>>,
}

const WHICH: &str = "state = 'dead' AND (?1 IS NULL OR channel = ?1) AND (?2 IS NULL OR target = ?2)
    AND (?3 IS NULL OR substr(key, 1, length(?3)) = ?3) AND (?4 IS NULL OR finished_at >= ?4)";

/// A beginning whose episode is over would open what nobody closes; an end is always worth telling.
pub(in crate::store) const STILL_TRUE: &str = "(kind = 'resolved' OR EXISTS (SELECT 1 FROM alert WHERE alert.episode = outbox.episode
    AND alert.fingerprint = outbox.fingerprint))";

impl Store {
    /// Notices that were given up, oldest first, the latest 1,000.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn dead_letters(&self, which: &DeadFilter) -> Result<Vec<SentNotice>, StoreError> {
        let sql = format!(
            "SELECT body, id, queued_at, attempts, state, due_at, finished_at, receipt, error FROM outbox
             WHERE {WHICH} ORDER BY id DESC LIMIT {MOST}"
        );
        let since = which.since.map(micros);
        self.latest_of(&sql, params![which.channel, which.target, which.key, since], sent_notice)
    }

    /// Lets given-up notices be tried again, under their keys, as if they were new. Those that say that something begins
    /// which is over by now stay where they are. Returns how many wait again.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn redrive(&mut self, which: &DeadFilter, now: DateTime<Utc>) -> Result<usize, StoreError> {
        let tx = self.write()?;
        let sql = format!(
            "UPDATE outbox SET state = 'waiting', attempts = 0, due_at = ?5, queued_at = ?5, finished_at = NULL, owner = NULL,
                 leased_at = NULL, leased_until = NULL WHERE {WHICH} AND {STILL_TRUE}"
        );
        let count = tx.execute(&sql, params![which.channel, which.target, which.key, which.since.map(micros), micros(now)])?;
        tx.commit()?;
        Ok(count)
    }
}
