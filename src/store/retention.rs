//! Retention: history goes by age, then oldest first until the store is under its size.
//!
//! Never taken: the latest reading of each frame and the latest tick of each target, living alerts, notices that wait,
//! the latest notice of a living episode that a channel has (or the channel would be told again), how each rule ended
//! last, and silences that are not over or whose end no living alert's target has seen yet. Done in batches, each a short
//! transaction, so that a tick never waits long.

use chrono::{DateTime, Utc};
use rusqlite::{Transaction, params};

use super::codec::{micros, seconds};
use super::{Store, StoreError};

/// Things dropped in one transaction, about.
const BATCH: i64 = 64;

/// Pages given back to the disk in one transaction.
const GIVE_BACK_PAGES: u32 = 2_000;

/// What retention took.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Ticks.
    pub ticks: usize,
    /// Readings of frames.
    pub readings: usize,
    /// Transitions, choices, proposals and rulings.
    pub history: usize,
    /// Silences that are over.
    pub silences: usize,
    /// Finished notices.
    pub notices: usize,
    /// Bytes in use afterwards.
    pub bytes: u64,
    /// Bytes above the cap that nothing could be taken for; 0 normally.
    pub over_by: u64,
}

impl Store {
    /// Takes what is older than `keep_s` seconds, then the oldest until at most `max_bytes` are in use, and gives free
    /// space back to the disk.
    ///
    /// # Errors
    /// When the store cannot be written; what was taken before stays taken.
    pub fn prune(&mut self, now: DateTime<Utc>, keep_s: u64, max_bytes: u64) -> Result<Pruned, StoreError> {
        let cutoff = micros(now).saturating_sub(seconds(keep_s));
        let mut pruned = Pruned::default();
        self.drop_dead_acks()?;
        while self.drop_oldest(cutoff, &mut pruned)? {}
        while self.bytes_in_use()? > max_bytes && self.drop_oldest(i64::MAX, &mut pruned)? {}
        pruned.bytes = self.bytes_in_use()?;
        pruned.over_by = pruned.bytes.saturating_sub(max_bytes);
        self.give_back()?;
        Ok(pruned)
    }

    /// Bytes that hold something.
    fn bytes_in_use(&self) -> Result<u64, StoreError> {
        let pages = self.number("page_count")?.saturating_sub(self.number("freelist_count")?);
        Ok(pages.saturating_mul(self.number("page_size")?))
    }

    fn number(&self, pragma: &str) -> Result<u64, StoreError> {
        Ok(self.db.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0))?.unsigned_abs())
    }

    /// Drops one batch of what is older than `before`; `false` when there was nothing.
    fn drop_oldest(&mut self, before: i64, pruned: &mut Pruned) -> Result<bool, StoreError> {
        let tx = self.write()?;
        let Some(horizon) = horizon(&tx, before)? else { return Ok(false) };
        drop_ticks(&tx, horizon, pruned)?;
        for table in ["transition", "choice", "proposal"] {
            pruned.history += tx.execute(&format!("DELETE FROM {table} WHERE at <= ?1"), [horizon])?;
        }
        pruned.history += tx.execute(&format!("DELETE FROM ruling WHERE at <= ?1 AND {PAST_RULING}"), [horizon])?;
        pruned.silences += tx.execute(&format!("DELETE FROM silence WHERE {OVER_AT} <= ?1 AND {OVER}"), [horizon])?;
        pruned.notices += tx.execute(&format!("DELETE FROM outbox WHERE finished_at <= ?1 AND {FINISHED}"), [horizon])?;
        tx.commit()?;
        Ok(true)
    }

    /// Acknowledgements go with their episode; this takes what an earlier build or a damaged one left behind.
    fn drop_dead_acks(&self) -> Result<(), StoreError> {
        self.db.execute(
            "DELETE FROM ack WHERE NOT EXISTS (SELECT 1 FROM alert WHERE alert.target = ack.target AND alert.fingerprint = ack.fingerprint
             AND alert.episode = CASE WHEN json_valid(ack.body) THEN ack.body ->> 'episode' END)",
            [],
        )?;
        Ok(())
    }

    fn give_back(&mut self) -> Result<(), StoreError> {
        let mut free = u64::MAX;
        while (1..free).contains(&self.number("freelist_count")?) {
            free = self.number("freelist_count")?;
            let mut vacuum = self.db.prepare(&format!("PRAGMA incremental_vacuum({GIVE_BACK_PAGES})"))?;
            let mut pages = vacuum.query([])?;
            while pages.next()?.is_some() {}
        }
        // A reader may hold the log back; the next prune tries again.
        self.db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        Ok(())
    }
}

// CROSS JOIN and `+` hold the planner to the cheap order: from few alerts and ticks to what belongs to them.

const PAST_TICK: &str = "NOT EXISTS (SELECT 1 FROM target WHERE target.last_tick = tick.id)";

const PAST_RULING: &str = "id NOT IN (SELECT max(id) FROM ruling GROUP BY target, rule)";

const OVER_AT: &str = "min(ends_at, coalesce(ended_at, ends_at))";

/// As long as a silence is in a book that has alerts (see `silence::of_book`) it is needed.
const OVER: &str = "NOT EXISTS (SELECT 1 FROM target WHERE last_tick_at - 86400000000 < min(ends_at, coalesce(ended_at, ends_at))
    AND EXISTS (SELECT 1 FROM alert WHERE alert.target = target.name))";

const FINISHED: &str = "state <> 'waiting' AND id NOT IN
    (SELECT max(told.id) FROM alert CROSS JOIN outbox AS told ON told.episode = alert.episode AND +told.fingerprint = alert.fingerprint
     WHERE told.state IN ('waiting', 'delivered') GROUP BY told.episode, told.channel)";

/// The time up to which a batch goes; `None` when nothing older than `before` may be taken.
fn horizon(tx: &Transaction<'_>, before: i64) -> Result<Option<i64>, StoreError> {
    let sql = format!(
        "SELECT max(at) FROM (
            SELECT taken_at AS at FROM tick WHERE taken_at < ?1 AND {PAST_TICK}
            UNION ALL SELECT at FROM transition WHERE at < ?1
            UNION ALL SELECT at FROM choice WHERE at < ?1
            UNION ALL SELECT at FROM proposal WHERE at < ?1
            UNION ALL SELECT at FROM ruling WHERE at < ?1 AND {PAST_RULING}
            UNION ALL SELECT {OVER_AT} FROM silence WHERE {OVER_AT} < ?1 AND {OVER}
            UNION ALL SELECT finished_at FROM outbox WHERE finished_at < ?1 AND {FINISHED}
            ORDER BY at LIMIT ?2)"
    );
    Ok(tx.query_row(&sql, [before, BATCH], |row| row.get(0))?)
}

fn drop_ticks(tx: &Transaction<'_>, horizon: i64, pruned: &mut Pruned) -> Result<(), StoreError> {
    let mut query = tx.prepare(&format!(
        "SELECT DISTINCT reading FROM tick CROSS JOIN tick_reading ON tick_reading.tick = tick.id WHERE taken_at <= ?1 AND {PAST_TICK}"
    ))?;
    let readings: Vec<i64> = query.query_map([horizon], |row| row.get(0))?.collect::<Result<_, _>>()?;
    pruned.ticks += tx.execute(&format!("DELETE FROM tick WHERE taken_at <= ?1 AND {PAST_TICK}"), [horizon])?;
    let mut drop = tx.prepare(
        "DELETE FROM reading WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM tick_reading WHERE reading = ?1)
         AND NOT EXISTS (SELECT 1 FROM newest WHERE reading = ?1)",
    )?;
    for reading in readings {
        pruned.readings += drop.execute(params![reading])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::{alert, at, decision, delivered, frame, notice, snapshot, two_handles};
    use super::*;
    use crate::model::{Decision, NoticeKind, Silence};

    const NO_CAP: u64 = u64::MAX;

    fn noise(seed: i64) -> Vec<f64> {
        (0..2_000).map(|n| ((n * 7_919 + seed * 104_729) % 1_000_003) as f64 / 7.0).collect()
    }

    #[test]
    fn history_goes_by_age() {
        let (_folder, mut store, _) = two_handles();
        for s in [0, 100, 200, 300] {
            store.commit_simply(&snapshot(s, &[frame("tables", s, &[1.0])]), &Decision::default()).unwrap();
        }
        let pruned = store.prune(at(310), 150, NO_CAP).unwrap();
        assert_eq!((pruned.ticks, pruned.readings, pruned.over_by), (2, 2, 0));
        assert!(store.frames_before("shop", &["tables".into()], at(199), 199).unwrap().is_empty());
        assert_eq!(store.frames_before("shop", &["tables".into()], at(299), 99).unwrap().len(), 1);
        assert_eq!(store.prune(at(310), 150, NO_CAP).unwrap().ticks, 0);
    }

    #[test]
    fn the_latest_of_everything_stays_however_old_it_is() {
        let (_folder, mut store, _) = two_handles();
        let seen = snapshot(10, &[frame("tables", 10, &[1.0])]);
        store.commit_simply(&snapshot(5, &[frame("sizes", 5, &[4.0])]), &Decision::default()).unwrap();
        store.commit_simply(&seen, &Decision::default()).unwrap();
        let pruned = store.prune(at(1_000_000), 1, 0).unwrap();
        assert_eq!(pruned.ticks, 1);
        assert!(pruned.over_by > 0, "what must stay is more than nothing, and that is said");
        assert_eq!(store.latest("shop").unwrap(), Some(seen));
        assert_eq!(store.latest_frames("shop").unwrap().keys().collect::<Vec<_>>(), ["sizes", "tables"]);
        store.commit_simply(&snapshot(20, &[frame("sizes", 20, &[4.0])]), &Decision::default()).unwrap();
        assert!(store.frames_before("shop", &["sizes".into()], at(5), 0).unwrap().is_empty(), "it is the latest no more");
    }

    #[test]
    fn under_a_size_cap_the_oldest_go_first_and_the_file_shrinks() {
        let (folder, mut store, _) = two_handles();
        for s in 0..600 {
            store.commit_simply(&snapshot(s, &[frame("tables", s, &noise(s))]), &Decision::default()).unwrap();
        }
        let file = folder.path().join("store.db");
        let full = store.prune(at(600), 10_000, NO_CAP).unwrap().bytes;
        let size_before = std::fs::metadata(&file).unwrap().len();
        let pruned = store.prune(at(600), 10_000, full / 2).unwrap();
        assert!(pruned.bytes <= full / 2, "{pruned:?} of {full}");
        assert!(pruned.bytes > full / 4, "no more than needed, up to a batch: {pruned:?} of {full}");
        assert!(std::fs::metadata(&file).unwrap().len() < size_before * 2 / 3, "the disk has it back");
        let names = ["tables".to_string()];
        assert!(store.frames_before("shop", &names, at(0), 0).unwrap().is_empty());
        assert_eq!(store.frames_before("shop", &names, at(590), 0).unwrap().len(), 1);
    }

    #[test]
    fn what_a_living_episode_was_told_is_remembered() {
        let (_folder, mut store, _) = two_handles();
        let (living, over) = (alert("f1", "e1"), alert("f2", "e2"));
        let tell = [
            notice("old", &living, "log", NoticeKind::Firing),
            notice("waits", &over, "mail", NoticeKind::Firing),
            notice("over", &over, "log", NoticeKind::Firing),
        ];
        store.commit_simply(&snapshot(0, &[]), &decision(&[living.clone(), over.clone()], &tell)).unwrap();
        let mut next = decision(std::slice::from_ref(&living), &[notice("new", &living, "log", NoticeKind::Repeat)]);
        next.removed = vec![over.fingerprint];
        store.commit_simply(&snapshot(1, &[]), &next).unwrap();
        for s in [2, 3] {
            store.end_due("log", s, &delivered(""));
        }
        let told = store.book("shop").unwrap().told;
        let pruned = store.prune(at(1_000_000), 1, 0).unwrap();
        assert_eq!(pruned.notices, 2, "`old` has a successor, the episode of `over` is over");
        assert_eq!(store.book("shop").unwrap().told, told);
        assert_eq!(store.book("shop").unwrap().alerts.len(), 1);
        assert_eq!(store.outbox_counts().unwrap()["mail"].waiting, 1);
    }

    fn silence(ends_at: i64) -> Silence {
        Silence {
            id: String::new(),
            matchers: "table=orders".parse().unwrap(),
            starts_at: at(0),
            ends_at: at(ends_at),
            author: "ann".into(),
            reason: "deploy".into(),
            link: None,
            expire_on_resolve: false,
            created_at: at(0),
            ended: None,
        }
    }

    #[test]
    fn silences_that_are_over_go_when_no_tick_asks_for_them_any_more() {
        let (_folder, mut store, _) = two_handles();
        let day = 86_400;
        for ends_at in [100, 200, 10 * day] {
            store.add_silence(&silence(ends_at)).unwrap();
        }
        store.commit_simply(&snapshot(100 + day, &[]), &decision(&[alert("f1", "e1")], &[])).unwrap();
        let left = |store: &Store| -> Vec<i64> { store.silences_since(at(0)).unwrap().iter().map(|s| s.ends_at.timestamp()).collect() };
        assert_eq!((store.prune(at(3 * day), 1, NO_CAP).unwrap().silences, left(&store)), (1, vec![200, 10 * day]));
        store.commit_simply(&snapshot(200 + day, &[]), &Decision::default()).unwrap();
        assert_eq!((store.prune(at(3 * day), 1, NO_CAP).unwrap().silences, left(&store)), (1, vec![10 * day]));
    }

    #[test]
    fn how_a_rule_ended_last_is_remembered_and_acks_of_the_dead_are_not() {
        let (_folder, mut store, _) = two_handles();
        store.commit_simply(&snapshot(0, &[]), &decision(&[alert("f1", "e1")], &[])).unwrap();
        store
            .db
            .execute_batch(
                r#"INSERT INTO ruling (target, rule, at, body) VALUES ('shop', 'r', 1, '{"outcome":"ok"}'), ('shop', 'r', 2, '{"outcome":"error"}');
                   INSERT INTO ack VALUES ('shop', 'f1', '{"episode":"e0"}'), ('shop', 'f2', '{')"#,
            )
            .unwrap();
        store.prune(at(1_000_000), 1, NO_CAP).unwrap();
        let kept = store.rulings("shop", "r").unwrap();
        assert_eq!(kept.iter().map(|ruling| ruling.verdict.outcome.as_str()).collect::<Vec<_>>(), ["error"]);
        assert_eq!(store.db.query_row("SELECT count(*) FROM ack", [], |row| row.get::<_, i64>(0)).unwrap(), 0);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn retention_never_changes_what_the_next_tick_starts_from(
            ticks in proptest::collection::vec((1i64..500, 0u8..8, any::<bool>()), 1..30),
            keep_s in 0u64..3_000,
            max_bytes in prop_oneof![Just(0u64), Just(100_000), Just(NO_CAP)],
        ) {
            let (folder, mut store, _) = two_handles();
            let mut now = 0;
            for (nth, (step, frames, tells)) in ticks.iter().enumerate() {
                now += step;
                store.add_silence(&silence(now + 300 * step - 80_000)).unwrap();
                let frames: Vec<_> =
                    ["a", "b", "c"].iter().enumerate().filter(|(bit, _)| frames >> bit & 1 == 1).map(|(_, name)| frame(name, now, &[1.0])).collect();
                let firing = alert(&format!("f{}", nth % 3), &format!("e{}", nth % 3));
                let tell = notice(&format!("k{nth}"), &firing, "log", NoticeKind::Firing);
                store.commit_simply(&snapshot(now, &frames), &decision(&[firing], if *tells { std::slice::from_ref(&tell) } else { &[] })).unwrap();
                if nth % 2 == 0 {
                    store.end_due("log", now, &delivered(""));
                }
            }
            let start = |store: &Store| (store.latest("shop").unwrap(), store.latest_frames("shop").unwrap(), store.book("shop").unwrap(), store.outbox_counts().unwrap()["log"].waiting);
            store.commit_simply(&snapshot(now, &[]), &decision(&[alert("f9", "e9")], &[notice("k", &alert("f9", "e9"), "log", NoticeKind::Firing)])).unwrap();
            let before = start(&store);
            let pruned = store.prune(at(now), keep_s, max_bytes).unwrap();
            prop_assert_eq!(start(&store), before);
            prop_assert_eq!(Store::open(&folder.path().join("store.db")).unwrap().book("shop").unwrap(), store.book("shop").unwrap());
            prop_assert!(pruned.bytes <= max_bytes || pruned.over_by > 0);
            let oldest: Option<i64> = store.db.query_row("SELECT min(taken_at) FROM tick", [], |row| row.get(0)).unwrap();
            prop_assert!(oldest.unwrap() >= micros(at(now - keep_s as i64)), "only what is young enough, or the latest");
            let orphans: i64 = store.db.query_row("SELECT count(*) FROM reading WHERE id NOT IN (SELECT reading FROM tick_reading UNION SELECT reading FROM newest)", [], |row| row.get(0)).unwrap();
            prop_assert_eq!(orphans, 0);
        }
    }
}
