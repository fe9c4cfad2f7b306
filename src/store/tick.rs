//! The commit of a tick, all or nothing, and the reading of what ticks saw.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, Params, Transaction, params};
use serde::{Deserialize, Serialize};

use super::cache::Mark;
use super::codec::{from_json, micros, pack, seconds, to_json, unpack};
use super::{Store, StoreError, ack, book, history, lease, outbox, ruling, silence};
use crate::model::{Decision, Frame, Missing, MissingReason, Outcome, Reading, RuleOutcome, Snapshot};

/// All that one tick leaves behind.
#[derive(Debug)]
pub struct TickCommit<'a> {
    /// Target name.
    pub target: &'a str,
    /// Who holds the target's lease.
    pub owner: &'a str,
    /// When it was decided.
    pub now: DateTime<Utc>,
    /// What was seen.
    pub snapshot: &'a Snapshot,
    /// How each rule ended.
    pub outcomes: &'a [RuleOutcome],
    /// What was decided.
    pub decision: &'a Decision,
    /// Version of the book it was decided from.
    pub base_version: u64,
}

/// How one rule ended in the latest tick.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutcomeSummary {
    /// Rule id.
    pub rule: String,
    /// `ok`, `no_data`, `error` or `skipped`.
    pub outcome: String,
    /// Why it did not come to an end; empty for `ok`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Problems found.
    pub findings: usize,
    /// Rows that could not be judged.
    pub unknown: usize,
}

impl From<&RuleOutcome> for OutcomeSummary {
    fn from(rule: &RuleOutcome) -> Self {
        let (findings, unknown) = match &rule.outcome {
            Outcome::Ok(evaluation) => (evaluation.findings.len(), evaluation.unknown),
            _ => (0, 0),
        };
        Self { rule: rule.meta.id.clone(), outcome: rule.outcome.word().into(), reason: rule.outcome.reason(), findings, unknown }
    }
}

impl Store {
    /// Commits a tick in one transaction and returns its number. A frame that was read earlier and only carried on is
    /// referred to, not stored again.
    ///
    /// # Errors
    /// `LeaseLost` when the target is another's, `Conflict` when the book has changed since `base_version`, or why the
    /// store cannot be written. Nothing of the tick is stored then.
    pub fn commit(&mut self, commit: &TickCommit<'_>) -> Result<i64, StoreError> {
        // Before the write lock is taken: packing is slow, and others would wait.
        let packed = pack_new(&self.db, commit)?;
        let head = head(commit.snapshot)?;
        let outcomes: Vec<OutcomeSummary> = commit.outcomes.iter().map(OutcomeSummary::from).collect();
        let outcomes = to_json("the outcomes", &outcomes)?;

        let mut rulings = self.cache.get_mut().take_rulings(commit.target, commit.base_version);

        let tx = self.write()?;
        let before = Mark::of(&tx)?;
        lease::check(&tx, commit.target, commit.owner)?;
        book::check_version(&tx, commit.target, commit.base_version)?;
        let taken_at = micros(commit.snapshot.taken_at);
        tx.execute(
            "INSERT INTO tick (target, taken_at, head, outcomes) VALUES (?1, ?2, ?3, ?4)",
            params![commit.target, taken_at, head, outcomes],
        )?;
        let tick = tx.last_insert_rowid();
        put_readings(&tx, commit, tick, packed)?;
        book::put(&tx, commit, tick)?;
        ack::put(&tx, commit)?;
        silence::put(&tx, commit)?;
        history::put(&tx, commit)?;
        ruling::put(&tx, commit, &mut rulings)?;
        outbox::put(&tx, commit)?;
        let after = Mark::of(&tx)?;
        tx.commit()?;
        self.cache.get_mut().committed(commit, rulings, before, after);
        Ok(tick)
    }

    /// The newest tick of a target, whole; `None` when there is none. A stored frame that cannot be read is missing
    /// with that reason.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn latest(&self, target: &str) -> Result<Option<Snapshot>, StoreError> {
        let view = self.read()?;
        let sql = "SELECT tick.id, tick.head FROM target JOIN tick ON tick.id = target.last_tick WHERE target.name = ?1";
        whole(&view, sql, params![target])
    }

    /// The tick of a target that was taken at that very time; `None` when there was none or retention has taken it.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn tick_at(&self, target: &str, at: DateTime<Utc>) -> Result<Option<Snapshot>, StoreError> {
        let view = self.read()?;
        let sql = "SELECT id, head FROM tick WHERE target = ?1 AND taken_at = ?2 ORDER BY id DESC LIMIT 1";
        whole(&view, sql, params![target, micros(at)])
    }

    /// The latest reading of each frame of a target, by name, however old it is.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn latest_frames(&self, target: &str) -> Result<BTreeMap<String, Arc<Frame>>, StoreError> {
        let mut query = self
            .db
            .prepare_cached("SELECT newest.frame, body FROM newest JOIN reading ON reading.id = newest.reading WHERE newest.target = ?1")?;
        let mut rows = query.query([target])?;
        let mut frames = BTreeMap::new();
        while let Some(row) = rows.next()? {
            let name: String = row.get(0)?;
            if let Some(frame) = readable(&name, row.get_ref(1)?.as_blob().unwrap_or_default()) {
                frames.insert(name, frame);
            }
        }
        Ok(frames)
    }

    /// The newest reading of each named frame that is not later than `at` and at most `slack_s` seconds older; a frame
    /// without one is not in the answer.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn frames_before(
        &self,
        target: &str,
        names: &[String],
        at: DateTime<Utc>,
        slack_s: u64,
    ) -> Result<BTreeMap<String, Arc<Frame>>, StoreError> {
        let mut query = self
            .db
            .prepare_cached("SELECT body FROM reading WHERE target = ?1 AND frame = ?2 AND as_of BETWEEN ?3 AND ?4 ORDER BY as_of DESC")?;
        let until = micros(at);
        let from = until.saturating_sub(seconds(slack_s));
        let mut frames = BTreeMap::new();
        for name in names {
            let mut rows = query.query(params![target, name, from, until])?;
            while let Some(row) = rows.next()? {
                if let Some(frame) = readable(name, row.get_ref(0)?.as_blob().unwrap_or_default()) {
                    frames.insert(name.clone(), frame);
                    break;
                }
            }
        }
        Ok(frames)
    }

    /// How each rule ended in the newest tick of a target.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn latest_outcomes(&self, target: &str) -> Result<Vec<OutcomeSummary>, StoreError> {
        let sql = "SELECT tick.outcomes FROM target JOIN tick ON tick.id = target.last_tick WHERE target.name = ?1";
        let body: Option<String> = self.db.query_row(sql, [target], |row| row.get(0)).optional()?;
        Ok(body.and_then(|body| from_json("the outcomes of the latest tick", &body)).unwrap_or_default())
    }
}

/// The tick that a query names by number and head. A stored frame that cannot be read is missing with that reason.
pub(super) fn whole(view: &Connection, sql: &str, params: impl Params) -> Result<Option<Snapshot>, StoreError> {
    let found = view.query_row(sql, params, |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))).optional()?;
    let Some((tick, head)) = found else { return Ok(None) };
    let Some(mut snapshot) = from_json::<Snapshot>("the head of a tick", &head) else { return Ok(None) };
    let mut query = view.prepare_cached(
        "SELECT frame, body FROM tick_reading JOIN reading ON reading.id = tick_reading.reading WHERE tick_reading.tick = ?1",
    )?;
    let mut rows = query.query([tick])?;
    while let Some(row) = rows.next()? {
        let name: String = row.get(0)?;
        let reading = match unpack(row.get_ref(1)?.as_blob().unwrap_or_default()) {
            Ok(frame) => Reading::Collected(Arc::new(frame)),
            Err(error) => Reading::Missing(unreadable(&name, &error)),
        };
        snapshot.frames.insert(name, reading);
    }
    Ok(Some(snapshot))
}

fn unreadable(name: &str, error: &str) -> Missing {
    tracing::warn!(frame = name, error, "skipped a stored frame that cannot be read");
    Missing::new(MissingReason::NotCollected, format!("the stored reading cannot be read: {error}"))
}

pub(super) fn readable(name: &str, body: &[u8]) -> Option<Arc<Frame>> {
    unpack(body).map(Arc::new).map_err(|error| unreadable(name, &error)).ok()
}

/// The snapshot without what is stored as readings.
fn head(snapshot: &Snapshot) -> Result<String, StoreError> {
    let mut head = snapshot.clone();
    head.frames.retain(|_, reading| reading.frame().is_none());
    to_json("the snapshot", &head)
}

fn pack_new<'a>(db: &Connection, commit: &TickCommit<'a>) -> Result<BTreeMap<&'a str, Vec<u8>>, StoreError> {
    let mut packed = BTreeMap::new();
    for (name, frame) in collected(commit.snapshot) {
        if find(db, commit.target, name, frame)?.is_none() {
            packed.insert(name, pack(frame)?);
        }
    }
    Ok(packed)
}

fn collected(snapshot: &Snapshot) -> impl Iterator<Item = (&str, &Arc<Frame>)> {
    snapshot.frames.iter().filter_map(|(name, reading)| Some((name.as_str(), reading.frame()?)))
}

fn find(db: &Connection, target: &str, name: &str, frame: &Frame) -> Result<Option<i64>, StoreError> {
    let sql = "SELECT id FROM reading WHERE target = ?1 AND frame = ?2 AND as_of = ?3";
    Ok(db.prepare_cached(sql)?.query_row(params![target, name, micros(frame.as_of)], |row| row.get(0)).optional()?)
}

fn put_readings(tx: &Transaction<'_>, commit: &TickCommit<'_>, tick: i64, mut packed: BTreeMap<&str, Vec<u8>>) -> Result<(), StoreError> {
    for (name, frame) in collected(commit.snapshot) {
        let reading = match find(tx, commit.target, name, frame)? {
            Some(reading) => reading,
            None => {
                // Not packed yet only if it was there a moment ago and retention took it meanwhile.
                let body = packed.remove(name).map_or_else(|| pack(frame), Ok)?;
                let mut add = tx.prepare_cached("INSERT INTO reading (target, frame, as_of, body) VALUES (?1, ?2, ?3, ?4)")?;
                add.execute(params![commit.target, name, micros(frame.as_of), body])?;
                tx.last_insert_rowid()
            }
        };
        tx.prepare_cached("INSERT INTO tick_reading (tick, reading) VALUES (?1, ?2)")?.execute([tick, reading])?;
        put_newest(tx, commit.target, name, reading)?;
    }
    Ok(())
}

/// The latest reading is the one committed last, not the one with the latest time: clocks are set back.
fn put_newest(tx: &Transaction<'_>, target: &str, name: &str, reading: i64) -> Result<(), StoreError> {
    let sql = "SELECT reading FROM newest WHERE target = ?1 AND frame = ?2";
    let before: Option<i64> = tx.prepare_cached(sql)?.query_row(params![target, name], |row| row.get(0)).optional()?;
    if before == Some(reading) {
        return Ok(());
    }
    let sql = "INSERT OR REPLACE INTO newest (target, frame, reading) VALUES (?1, ?2, ?3)";
    tx.prepare_cached(sql)?.execute(params![target, name, reading])?;
    // It may have outlived its ticks only because it was the latest.
    let sql = "DELETE FROM reading WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM tick_reading WHERE reading = ?1)";
    tx.prepare_cached(sql)?.execute([before])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{alert, at, decision, frame, meta, notice, snapshot, two_handles};
    use super::*;
    use crate::model::{Evaluation, NoticeKind};

    fn count(store: &Store, table: &str) -> i64 {
        store.db.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn a_second_process_reads_the_tick_whole_while_the_first_writes() {
        let (folder, mut service, _) = two_handles();
        let reader = Store::open_read_only(&folder.path().join("store.db")).unwrap();
        assert_eq!(reader.latest("shop").unwrap(), None);
        let mut seen = snapshot(60, &[frame("tables", 59, &[1.0, 2.0])]);
        seen.frames.insert("io".into(), Reading::Missing(Missing::new(MissingReason::Version, "only from 16 on")));
        service.commit_simply(&seen, &Decision::default()).unwrap();
        assert_eq!(reader.latest("shop").unwrap(), Some(seen.clone()));

        let writing = service.write().unwrap();
        writing.execute("DELETE FROM target", []).unwrap();
        assert_eq!(reader.latest("shop").unwrap(), Some(seen));
    }

    #[test]
    fn a_frame_that_is_carried_on_is_stored_once() {
        let (_folder, mut store, _) = two_handles();
        let sizes = frame("sizes", 10, &[7.0]);
        for s in [10, 70, 130] {
            store.commit_simply(&snapshot(s, &[sizes.clone(), frame("tables", s, &[1.0])]), &Decision::default()).unwrap();
        }
        assert_eq!(count(&store, "reading"), 4);
        assert_eq!(store.latest("shop").unwrap().unwrap().frame("sizes"), Some(&sizes));
    }

    #[test]
    fn the_latest_reading_outlives_ticks_without_the_frame() {
        let (_folder, mut store, _) = two_handles();
        store.commit_simply(&snapshot(10, &[frame("tables", 10, &[1.0])]), &Decision::default()).unwrap();
        store.commit_simply(&snapshot(20, &[frame("tables", 20, &[2.0]), frame("slots", 20, &[0.0])]), &Decision::default()).unwrap();
        store.commit_simply(&snapshot(30, &[frame("slots", 30, &[3.0])]), &Decision::default()).unwrap();
        let latest = store.latest_frames("shop").unwrap();
        assert_eq!(latest["tables"].as_of, at(20));
        assert_eq!(latest["slots"].as_of, at(30));
        assert!(store.latest_frames("another").unwrap().is_empty());
    }

    #[test]
    fn after_the_clock_was_set_back_the_latest_is_what_was_committed_last() {
        let (_folder, mut store, _) = two_handles();
        store.commit_simply(&snapshot(9_000, &[frame("tables", 9_000, &[1.0])]), &Decision::default()).unwrap();
        store.commit_simply(&snapshot(20, &[frame("tables", 20, &[2.0])]), &Decision::default()).unwrap();
        assert_eq!(store.latest("shop").unwrap().unwrap().taken_at, at(20));
        assert_eq!(store.latest_frames("shop").unwrap()["tables"].as_of, at(20));
    }

    #[test]
    fn windows_find_the_newest_reading_that_is_old_enough_and_not_too_old() {
        let (_folder, mut store, _) = two_handles();
        for s in [0, 60, 120, 180] {
            store.commit_simply(&snapshot(s, &[frame("tables", s, &[s as f64])]), &Decision::default()).unwrap();
        }
        let names = ["tables".to_string(), "none".to_string()];
        let found = |s, slack| {
            let frames = store.frames_before("shop", &names, at(s), slack).unwrap();
            frames.values().map(|f| f.as_of.timestamp()).collect::<Vec<_>>()
        };
        assert_eq!(found(119, 60), [60]);
        assert_eq!(found(120, 0), [120]);
        assert_eq!(found(119, 58), Vec::<i64>::new());
        assert_eq!(found(-1, 60), Vec::<i64>::new());
    }

    #[test]
    fn a_tick_of_the_past_is_found_by_its_time_and_whole() {
        let (_folder, mut store, _) = two_handles();
        let sizes = frame("sizes", 10, &[7.0]);
        for s in [10, 70] {
            store.commit_simply(&snapshot(s, &[sizes.clone(), frame("tables", s, &[s as f64])]), &Decision::default()).unwrap();
        }
        let then = snapshot(10, &[sizes, frame("tables", 10, &[10.0])]);
        assert_eq!(store.tick_at("shop", at(10)).unwrap(), Some(then));
        assert_eq!((store.tick_at("shop", at(11)).unwrap(), store.tick_at("other", at(10)).unwrap()), (None, None));
    }

    #[test]
    fn a_stored_frame_that_cannot_be_read_is_missing_with_that_reason() {
        let (_folder, mut store, _) = two_handles();
        store.commit_simply(&snapshot(5, &[frame("tables", 5, &[1.0])]), &Decision::default()).unwrap();
        store.commit_simply(&snapshot(10, &[frame("tables", 10, &[1.0]), frame("slots", 10, &[1.0])]), &Decision::default()).unwrap();
        store.db.execute("UPDATE reading SET body = x'00ff' WHERE frame = 'tables' AND as_of = 10000000", []).unwrap();
        let latest = store.latest("shop").unwrap().unwrap();
        assert!(latest.frame("slots").is_some());
        assert!(latest.missing("tables").unwrap().detail.starts_with("the stored reading cannot be read"));
        assert_eq!(store.latest_frames("shop").unwrap().keys().collect::<Vec<_>>(), ["slots"]);
        assert_eq!(store.frames_before("shop", &["tables".into()], at(10), 60).unwrap()["tables"].as_of, at(5));
    }

    #[test]
    fn a_tick_decided_from_an_old_book_is_refused_whole() {
        let (_folder, mut store, _) = two_handles();
        let firing = alert("f1", "e1");
        let told = notice("k1", &firing, "console", NoticeKind::Firing);
        store.commit_simply(&snapshot(10, &[]), &Decision::default()).unwrap();
        let commit = TickCommit {
            target: "shop",
            owner: "me",
            now: at(20),
            snapshot: &snapshot(20, &[frame("tables", 20, &[1.0])]),
            outcomes: &[],
            decision: &decision(&[firing], &[told]),
            base_version: 0,
        };
        let refused = store.commit(&commit).unwrap_err();
        assert_eq!(refused.to_string(), "the book of target `shop` is at version 1, the tick was decided from 0; decide again");
        assert_eq!(["tick", "reading", "alert", "outbox"].map(|table| count(&store, table)), [1, 0, 0, 0]);
        store.commit(&TickCommit { base_version: 1, ..commit }).unwrap();
        assert_eq!(["tick", "reading", "alert", "outbox"].map(|table| count(&store, table)), [2, 1, 1, 1]);
    }

    #[test]
    fn who_lost_the_lease_commits_nothing() {
        let (_folder, mut slow, mut quick) = two_handles();
        slow.acquire_lease("shop", "slow", at(0), 60).unwrap();
        quick.acquire_lease("shop", "quick", at(61), 60).unwrap();
        let (snapshot, decision) = (snapshot(0, &[]), Decision::default());
        let commit = TickCommit {
            target: "shop",
            owner: "slow",
            now: at(62),
            snapshot: &snapshot,
            outcomes: &[],
            decision: &decision,
            base_version: 0,
        };
        assert!(matches!(slow.commit(&commit), Err(StoreError::LeaseLost { .. })));
        quick.commit(&TickCommit { owner: "quick", ..commit }).unwrap();
        assert_eq!(count(&slow, "tick"), 1);
    }

    #[test]
    fn a_full_disk_leaves_the_tick_before_it_as_it_was() {
        let (_folder, mut store, _) = two_handles();
        let small = snapshot(10, &[frame("tables", 10, &[1.0])]);
        store.commit_simply(&small, &Decision::default()).unwrap();
        store.db.query_row("PRAGMA max_page_count = 1", [], |_| Ok(())).unwrap();
        let noise: Vec<f64> = (0..20_000).map(|n| f64::from(n).sqrt()).collect();
        let large = snapshot(20, &[frame("tables", 20, &noise)]);
        let full = store.commit_simply(&large, &Decision::default()).unwrap_err();
        assert_eq!(full.to_string(), "the disk of the store is full; make room there, or lower `history.max_size`");
        assert_eq!(store.latest("shop").unwrap(), Some(small));
        store.db.query_row("PRAGMA max_page_count = 1000000", [], |_| Ok(())).unwrap();
        store.commit_simply(&large, &Decision::default()).unwrap();
        assert_eq!(store.latest("shop").unwrap(), Some(large));
    }

    #[test]
    fn a_store_that_may_not_be_written_says_so() {
        let (folder, _store, _) = two_handles();
        let mut reader = Store::open_read_only(&folder.path().join("store.db")).unwrap();
        let refused = reader.acquire_lease("shop", "me", at(0), 60).unwrap_err();
        assert_eq!(refused.to_string(), "the store is read-only; let the user that runs pgsteward write the file and its folder");
    }

    #[test]
    fn how_each_rule_ended_can_be_asked_later() {
        let (_folder, mut store, _) = two_handles();
        let outcomes = [
            RuleOutcome { meta: Arc::new(meta("fine")), outcome: Outcome::Ok(Evaluation { unknown: 3, ..Evaluation::default() }) },
            RuleOutcome { meta: Arc::new(meta("broken")), outcome: Outcome::Error("line 3: no such column".into()) },
        ];
        store.acquire_lease("shop", "me", at(0), 60).unwrap();
        let (snapshot, decision) = (snapshot(0, &[]), Decision::default());
        let commit = TickCommit {
            target: "shop",
            owner: "me",
            now: at(0),
            snapshot: &snapshot,
            outcomes: &outcomes,
            decision: &decision,
            base_version: 0,
        };
        store.commit(&commit).unwrap();
        let summary = |rule: &str, outcome: &str, reason: &str, unknown| OutcomeSummary {
            rule: rule.into(),
            outcome: outcome.into(),
            reason: reason.into(),
            findings: 0,
            unknown,
        };
        assert_eq!(
            store.latest_outcomes("shop").unwrap(),
            [summary("fine", "ok", "", 3), summary("broken", "error", "line 3: no such column", 0)]
        );
    }
}
