//! Looking back: the tick that was in force at a time, and how a frame read over a while. For people who ask why.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use rusqlite::{OptionalExtension, params};

use super::codec::{micros, time};
use super::tick::{readable, whole};
use super::{Store, StoreError};
use crate::model::{Frame, Snapshot};

impl Store {
    /// The newest kept tick of a target that was not taken after `at`, whole.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn tick_before(&self, target: &str, at: DateTime<Utc>) -> Result<Option<Snapshot>, StoreError> {
        let view = self.read()?;
        let sql = "SELECT taken_at FROM tick WHERE target = ?1 AND taken_at <= ?2 ORDER BY taken_at DESC LIMIT 1";
        let Some(taken_at) = view.query_row(sql, params![target, micros(at)], |row| row.get::<_, i64>(0)).optional()? else {
            return Ok(None);
        };
        let sql = "SELECT id, head FROM tick WHERE target = ?1 AND taken_at = ?2 ORDER BY id DESC LIMIT 1";
        whole(&view, sql, params![target, taken_at])
    }

    /// When the oldest kept tick of a target was taken.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn first_tick_at(&self, target: &str) -> Result<Option<DateTime<Utc>>, StoreError> {
        let sql = "SELECT taken_at FROM tick WHERE target = ?1 ORDER BY id LIMIT 1";
        Ok(self.db.query_row(sql, [target], |row| row.get(0)).optional()?.map(time))
    }

    /// When each channel last took a notice, by name.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn last_deliveries(&self) -> Result<BTreeMap<String, DateTime<Utc>>, StoreError> {
        let sql = "SELECT channel, max(finished_at) FROM outbox WHERE state = 'delivered' GROUP BY channel";
        let mut query = self.db.prepare(sql)?;
        let rows = query.query_map([], |row| Ok((row.get(0)?, time(row.get(1)?))))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Readings of a frame in `[since, until]`, oldest first: all of them, or `most` that lie evenly, the newest among them.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn readings(
        &self,
        target: &str,
        frame: &str,
        since: DateTime<Utc>,
        until: DateTime<Utc>,
        most: usize,
    ) -> Result<Vec<Arc<Frame>>, StoreError> {
        let view = self.read()?;
        let sql = "SELECT as_of FROM reading WHERE target = ?1 AND frame = ?2 AND as_of BETWEEN ?3 AND ?4 ORDER BY as_of DESC";
        let mut query = view.prepare(sql)?;
        let times = query.query_map(params![target, frame, micros(since), micros(until)], |row| row.get::<_, i64>(0))?;
        let times: Vec<i64> = times.collect::<Result<_, _>>()?;
        let step = times.len().div_ceil(most.max(1)).max(1);
        let mut query = view.prepare("SELECT body FROM reading WHERE target = ?1 AND frame = ?2 AND as_of = ?3")?;
        let mut frames = Vec::new();
        for as_of in times.iter().step_by(step) {
            let body: Option<Vec<u8>> = query.query_row(params![target, frame, as_of], |row| row.get(0)).optional()?;
            frames.extend(body.and_then(|body| readable(frame, &body)));
        }
        frames.reverse();
        Ok(frames)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{at, frame, snapshot, two_handles};
    use crate::model::Decision;

    #[test]
    fn the_tick_in_force_is_the_newest_that_is_not_later() {
        let (_folder, mut store, _) = two_handles();
        for s in [60, 120, 180] {
            store.commit_simply(&snapshot(s, &[frame("tables", s, &[s as f64])]), &Decision::default()).unwrap();
        }
        let found = |s| store.tick_before("shop", at(s)).unwrap().map(|tick| tick.taken_at);
        assert_eq!([found(59), found(60), found(179), found(9_000)], [None, Some(at(60)), Some(at(120)), Some(at(180))]);
        assert_eq!(store.tick_before("other", at(180)).unwrap(), None);
        assert_eq!((store.first_tick_at("shop").unwrap(), store.first_tick_at("other").unwrap()), (Some(at(60)), None));
    }

    #[test]
    fn of_many_readings_a_few_stand_for_all_and_the_newest_is_among_them() {
        let (_folder, mut store, _) = two_handles();
        for s in 1..=10 {
            store.commit_simply(&snapshot(s, &[frame("tables", s, &[s as f64])]), &Decision::default()).unwrap();
        }
        let read = |since, until, most| {
            let frames = store.readings("shop", "tables", at(since), at(until), most).unwrap();
            frames.iter().map(|f| f.as_of.timestamp()).collect::<Vec<_>>()
        };
        assert_eq!(read(0, 99, 100), (1..=10).collect::<Vec<_>>());
        assert_eq!(read(0, 99, 4), [1, 4, 7, 10]);
        assert_eq!(read(3, 5, 100), [3, 4, 5]);
        assert_eq!(read(20, 30, 100), Vec::<i64>::new());
    }
}
