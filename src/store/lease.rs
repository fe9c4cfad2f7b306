//! Leases: one process at a time looks after a target. A lease that is not renewed runs out by itself, so a killed
//! process blocks nobody for longer than its time to live.

use chrono::{DateTime, Utc};
use rusqlite::{OptionalExtension, Transaction, params};

use super::cache::Mark;
use super::codec::{micros, seconds, time};
use super::{Store, StoreError};

/// A lease that was taken later than this from now, in seconds, is from a clock that was set back. What was taken a moment later is
/// from somebody who asked the clock while this one waited for the store.
const AHEAD_S: u64 = 60;

impl Store {
    /// Takes the lease on a target for `ttl_s` seconds, or renews one's own.
    ///
    /// A lease taken in the future is not believed: the clock was set back, and a living holder renews it anyway.
    ///
    /// # Errors
    /// `LeaseHeld` with the holder while another's has not run out.
    pub fn acquire_lease(&mut self, target: &str, owner: &str, now: DateTime<Utc>, ttl_s: u64) -> Result<(), StoreError> {
        let tx = self.write()?;
        let before = Mark::of(&tx)?;
        let now_us = micros(now);
        let held = tx
            .query_row(
                "SELECT owner, until_at FROM lease WHERE target = ?1 AND owner <> ?2 AND taken_at <= ?4 AND until_at > ?3",
                params![target, owner, now_us, now_us.saturating_add(seconds(AHEAD_S))],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()?;
        if let Some((owner, until)) = held {
            return Err(StoreError::LeaseHeld { target: target.into(), owner, until: time(until) });
        }
        tx.execute(
            "INSERT INTO lease (target, owner, taken_at, until_at) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (target) DO UPDATE SET owner = excluded.owner, taken_at = excluded.taken_at, until_at = excluded.until_at",
            params![target, owner, now_us, now_us.saturating_add(seconds(ttl_s))],
        )?;
        let after = Mark::of(&tx)?;
        tx.commit()?;
        self.cache.get_mut().told(before, after, [].iter());
        Ok(())
    }

    /// Gives the lease on a target back; one that is another's stays as it is.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn release_lease(&mut self, target: &str, owner: &str) -> Result<(), StoreError> {
        self.db.execute("DELETE FROM lease WHERE target = ?1 AND owner = ?2", params![target, owner])?;
        Ok(())
    }
}

/// Whether the lease is still this owner's. One that ran out but was taken by nobody is.
pub(super) fn check(tx: &Transaction<'_>, target: &str, owner: &str) -> Result<(), StoreError> {
    let sql = "SELECT 1 FROM lease WHERE target = ?1 AND owner = ?2";
    match tx.query_row(sql, params![target, owner], |_| Ok(())).optional()? {
        Some(()) => Ok(()),
        None => Err(StoreError::LeaseLost { target: target.into(), owner: owner.into() }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{at, two_handles};
    use super::*;

    fn holder(result: Result<(), StoreError>) -> String {
        match result {
            Err(StoreError::LeaseHeld { owner, until, .. }) => format!("{owner} until {}", until.timestamp()),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn a_second_process_is_told_who_holds_the_target_and_until_when() {
        let (_folder, mut service, mut cron) = two_handles();
        service.acquire_lease("shop", "service", at(0), 60).unwrap();
        assert_eq!(holder(cron.acquire_lease("shop", "cron", at(59), 60)), "service until 60");
        cron.acquire_lease("other", "cron", at(59), 60).unwrap();
        service.acquire_lease("shop", "service", at(59), 60).unwrap();
        assert_eq!(holder(cron.acquire_lease("shop", "cron", at(100), 60)), "service until 119");
        cron.acquire_lease("shop", "cron", at(119), 60).unwrap();
    }

    #[test]
    fn releasing_frees_only_ones_own() {
        let (_folder, mut service, mut cron) = two_handles();
        service.acquire_lease("shop", "service", at(0), 60).unwrap();
        cron.release_lease("shop", "cron").unwrap();
        assert_eq!(holder(cron.acquire_lease("shop", "cron", at(1), 60)), "service until 60");
        service.release_lease("shop", "service").unwrap();
        cron.acquire_lease("shop", "cron", at(1), 60).unwrap();
    }

    #[test]
    fn a_clock_set_back_does_not_block_a_target_for_years() {
        let (_folder, mut service, mut cron) = two_handles();
        service.acquire_lease("shop", "service", at(1_000_000), 60).unwrap();
        cron.acquire_lease("shop", "cron", at(10), 60).unwrap();
    }

    #[test]
    fn who_asked_the_clock_a_moment_earlier_steals_nothing() {
        let (_folder, mut service, mut cron) = two_handles();
        service.acquire_lease("shop", "service", at(101), 60).unwrap();
        assert_eq!(holder(cron.acquire_lease("shop", "cron", at(100), 60)), "service until 161");
    }
}
