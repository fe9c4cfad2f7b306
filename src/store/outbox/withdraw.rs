//! Taking back: notices that wait, were never tried and are not to be told now are collapsed, with the reason. Nobody was told
//! of them, so they are decided anew once nothing keeps them back; an escalation goes a step back for that.

use chrono::{DateTime, Utc};
use rusqlite::{Transaction, params};

use super::super::cache::Mark;
use super::super::codec::micros;
use super::super::{Store, StoreError, book};
use crate::model::{NoticeKind, Withdrawn};

impl Store {
    /// Takes notices of one target back, as `alert::withdrawn` found them in the book of that version. Those that were tried
    /// meanwhile go on. An acknowledgement goes along when nothing is left of what it is about. How many there were.
    ///
    /// # Errors
    /// `Conflict` when the book has changed since, or why the store cannot be written. Nothing is changed then.
    pub fn withdraw(&mut self, target: &str, version: u64, list: &[Withdrawn], now: DateTime<Utc>) -> Result<usize, StoreError> {
        let tx = self.write()?;
        let before = Mark::of(&tx)?;
        book::check_version(&tx, target, version)?;
        let (mut count, mut steps_back) = (0, false);
        for one in list {
            let taken = take_back(&tx, one, micros(now))?;
            count += taken.len();
            if taken.iter().any(|kind| kind == NoticeKind::Escalated.as_str()) && !one.steps.is_empty() {
                book::step_back(&tx, target, one)?;
                steps_back = true;
            }
        }
        if steps_back {
            book::count_version(&tx, target)?;
        }
        let after = Mark::of(&tx)?;
        tx.commit()?;
        self.cache.get_mut().told(before, after, list.iter().map(|one| &one.fingerprint));
        Ok(count)
    }
}

/// The kinds of what was taken back.
fn take_back(tx: &Transaction<'_>, one: &Withdrawn, now: i64) -> Result<Vec<String>, StoreError> {
    let waits = "UPDATE outbox SET state = 'collapsed', finished_at = ?3, error = ?4
                 WHERE episode = ?1 AND channel = ?2 AND state = 'waiting' AND attempts = 0";
    let kinds: Vec<String> = one.kinds.iter().map(|kind| format!("'{kind}'")).collect();
    let of_kinds = format!("{waits} AND kind IN ({}) RETURNING kind", kinds.join(", "));
    let acknowledged = format!(
        "{waits} AND kind = 'acknowledged' AND NOT EXISTS (SELECT 1 FROM outbox AS other WHERE other.episode = ?1 AND other.channel = ?2
         AND other.kind <> 'acknowledged' AND other.state IN ('waiting', 'delivered')) RETURNING kind"
    );
    let mut taken = Vec::new();
    for sql in [of_kinds, acknowledged] {
        let mut query = tx.prepare_cached(&sql)?;
        let rows = query.query_map(params![one.episode, one.channel, now, one.reason.to_string()], |row| row.get(0))?;
        taken.extend(rows.collect::<Result<Vec<String>, _>>()?);
    }
    Ok(taken)
}
