//! How a frame went lately: some of its readings, for who draws them. The work is bounded whatever the store holds.

use chrono::{DateTime, Utc};
use rusqlite::{OptionalExtension, params};

use super::codec::{micros, unpack};
use super::{Store, StoreError};
use crate::model::Frame;

/// Packed readings above this are passed over: unpacking them takes longer than a picture is worth.
const MAX_PACKED_BYTES: i64 = 256 * 1024;
/// Readings that are looked through for those that are taken.
const MOST_LISTED: i64 = 5_000;

/// Which readings of a frame.
#[derive(Debug, Clone, Copy)]
pub struct Series<'a> {
    /// Target name.
    pub target: &'a str,
    /// Frame name.
    pub frame: &'a str,
    /// The earliest time.
    pub from: DateTime<Utc>,
    /// The latest time.
    pub until: DateTime<Utc>,
    /// At most so many, evenly over what is there; the newest and the oldest are always among them.
    pub most: usize,
}

impl Store {
    /// Shows readings of a frame to `visit`, newest first, until it answers `false`. Readings that are very large, or that
    /// cannot be read, are passed over.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn series(&self, series: &Series<'_>, mut visit: impl FnMut(&Frame) -> bool) -> Result<(), StoreError> {
        let view = self.read()?;
        let sql = "SELECT id FROM reading WHERE target = ?1 AND frame = ?2 AND as_of BETWEEN ?3 AND ?4 AND length(body) <= ?5
                   ORDER BY as_of DESC LIMIT ?6";
        let mut list = view.prepare(sql)?;
        let (from, until) = (micros(series.from), micros(series.until));
        let listed = list.query_map(params![series.target, series.frame, from, until, MAX_PACKED_BYTES, MOST_LISTED], |row| row.get(0))?;
        let ids: Vec<i64> = listed.collect::<Result<_, _>>()?;
        let mut body = view.prepare("SELECT body FROM reading WHERE id = ?1")?;
        for id in evenly(&ids, series.most) {
            let packed: Option<Vec<u8>> = body.query_row([id], |row| row.get(0)).optional()?;
            let Some(frame) = packed.and_then(|packed| unpack(&packed).ok()) else { continue };
            if !visit(&frame) {
                break;
            }
        }
        Ok(())
    }
}

/// At most `most` of a list, evenly, the first and the last among them.
fn evenly(ids: &[i64], most: usize) -> impl Iterator<Item = i64> {
    let taken = most.min(ids.len());
    let gaps = taken.saturating_sub(1).max(1);
    (0..taken).filter_map(move |n| ids.get(n * ids.len().saturating_sub(1) / gaps).copied())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{at, frame, snapshot, two_handles};
    use super::*;
    use crate::model::Decision;

    fn seen(store: &Store, from: i64, until: i64, most: usize) -> Vec<i64> {
        let mut times = Vec::new();
        let series = Series { target: "shop", frame: "tables", from: at(from), until: at(until), most };
        let visit = |frame: &Frame| {
            times.push(frame.as_of.timestamp());
            true
        };
        store.series(&series, visit).unwrap();
        times
    }

    #[test]
    fn readings_come_evenly_with_the_newest_and_the_oldest() {
        let (_folder, mut store, _) = two_handles();
        for s in 0..9 {
            store.commit_simply(&snapshot(s, &[frame("tables", s, &[s as f64])]), &Decision::default()).unwrap();
        }
        assert_eq!(seen(&store, 0, 100, 3), [8, 4, 0]);
        assert_eq!(seen(&store, 2, 4, 32), [4, 3, 2], "no more than there are");
        assert_eq!(seen(&store, 0, 100, 1), [8]);
        assert_eq!(seen(&store, 50, 100, 3), Vec::<i64>::new());
    }

    #[test]
    fn very_large_readings_are_passed_over_and_the_visitor_may_stop() {
        let (_folder, mut store, _) = two_handles();
        let mut noise = 1_u64;
        let large: Vec<f64> = std::iter::repeat_with(|| {
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            noise as f64
        })
        .take(60_000)
        .collect();
        for (s, values) in [(1, vec![1.0]), (2, large), (3, vec![3.0])] {
            store.commit_simply(&snapshot(s, &[frame("tables", s, &values)]), &Decision::default()).unwrap();
        }
        assert_eq!(seen(&store, 0, 10, 9), [3, 1]);
        let mut visits = 0;
        let series = Series { target: "shop", frame: "tables", from: at(0), until: at(10), most: 9 };
        let visit = |_: &Frame| {
            visits += 1;
            false
        };
        store.series(&series, visit).unwrap();
        assert_eq!(visits, 1);
    }
}
