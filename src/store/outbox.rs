//! The outbox: notices from the commit that decided them until a channel took them, or they were given up.
//!
//! At least once: a row is leased, sent, then finished; when the sender dies in between, the lease runs out and the row
//! is sent again under the same key. First in, first out per (episode, channel): a later notice of the same pair waits
//! for the earlier one, so that no channel hears the end before the beginning.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rusqlite::{Transaction, params};

use super::codec::{from_json, micros, seconds, time, to_json};
use super::{Store, StoreError, TickCommit};
use crate::model::Notice;

/// Most rows that one call leases.
const MOST: usize = 64;

/// A row that says it is due later than this is from a clock that was set back; it is due now. Seconds.
const LATEST_DUE_S: u64 = 3_600;

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

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// The channel took it.
    Delivered {
        /// What the channel answered.
        receipt: String,
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
        let mut query = self.db.prepare(&format!("SELECT DISTINCT channel FROM outbox WHERE {DUE} ORDER BY channel"))?;
        let rows = query.query_map(params![micros(now), seconds(LATEST_DUE_S)], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Leases up to `limit` (at most 64) due rows of one channel for `ttl_s` seconds; those tried least come first. A
    /// row behind an unfinished one of the same episode is not among them.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn lease_outbox(
        &mut self,
        channel: &str,
        owner: &str,
        now: DateTime<Utc>,
        limit: usize,
        ttl_s: u64,
    ) -> Result<Vec<OutboxRow>, StoreError> {
        let tx = self.write()?;
        let now_us = micros(now);
        let leased = due_rows(&tx, channel, now_us, limit.min(MOST))?;
        let mut rows = Vec::new();
        for (row, body) in leased {
            let Some(notice) = from_json::<Notice>("a notice", &body) else {
                give_up(&tx, row.id, now_us, "the stored notice cannot be read")?;
                continue;
            };
            tx.execute(
                "UPDATE outbox SET owner = ?2, leased_at = ?3, leased_until = ?4, attempts = attempts + 1 WHERE id = ?1",
                params![row.id, owner, now_us, now_us.saturating_add(seconds(ttl_s))],
            )?;
            rows.push(OutboxRow { id: row.id, notice, queued_at: row.queued_at, attempts: row.attempts.saturating_add(1) });
        }
        tx.commit()?;
        Ok(rows)
    }

    /// Ends the attempt on a leased row. A lease that ran out is still good while nobody else has taken the row.
    ///
    /// # Errors
    /// `RowLost` when the row is finished already or another has taken it; nothing changes then.
    pub fn finish(&mut self, row: i64, owner: &str, outcome: &AttemptOutcome, now: DateTime<Utc>) -> Result<(), StoreError> {
        let tx = self.write()?;
        let now = micros(now);
        let freed = "owner = NULL, leased_at = NULL, leased_until = NULL WHERE id = ?1 AND owner = ?2 AND state = 'waiting'";
        let update = |set: &str, values: &[&dyn rusqlite::ToSql]| tx.execute(&format!("UPDATE outbox SET {set}, {freed}"), values);
        let changed = match outcome {
            AttemptOutcome::Delivered { receipt } => {
                update("state = 'delivered', finished_at = ?3, receipt = ?4", &[&row, &owner, &now, receipt])
            }
            AttemptOutcome::Retry { at, error } => update("due_at = ?3, error = ?4", &[&row, &owner, &micros(*at), error]),
            AttemptOutcome::Dead { error } => update("state = 'dead', finished_at = ?3, error = ?4", &[&row, &owner, &now, error]),
            AttemptOutcome::Untried => update("attempts = max(attempts - 1, 0)", &[&row, &owner]),
        }?;
        tx.commit()?;
        if changed == 1 { Ok(()) } else { Err(StoreError::RowLost { row, owner: owner.into() }) }
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

/// Rows that may be sent at `?1`: waiting, due, free, and first of their (episode, channel). What lies in the future of
/// a clock that was set back (a lease taken later than now, a due time beyond `?2`) is not believed.
const DUE: &str = "state = 'waiting' AND (due_at <= ?1 OR due_at > ?1 + ?2)
    AND (owner IS NULL OR leased_until <= ?1 OR leased_at > ?1)
    AND NOT EXISTS (SELECT 1 FROM outbox AS earlier WHERE earlier.episode = outbox.episode
                    AND earlier.channel = outbox.channel AND earlier.id < outbox.id AND earlier.state = 'waiting')";

struct DueRow {
    id: i64,
    queued_at: DateTime<Utc>,
    attempts: u32,
}

fn due_rows(tx: &Transaction<'_>, channel: &str, now: i64, limit: usize) -> Result<Vec<(DueRow, String)>, StoreError> {
    let sql = format!("SELECT id, queued_at, attempts, body FROM outbox WHERE channel = ?3 AND {DUE} ORDER BY attempts, id LIMIT ?4");
    let mut query = tx.prepare(&sql)?;
    let rows = query.query_map(params![now, seconds(LATEST_DUE_S), channel, limit as i64], |row| {
        Ok((DueRow { id: row.get(0)?, queued_at: time(row.get(1)?), attempts: row.get(2)? }, row.get(3)?))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn give_up(tx: &Transaction<'_>, row: i64, now: i64, error: &str) -> Result<(), StoreError> {
    tx.execute("UPDATE outbox SET state = 'dead', finished_at = ?2, error = ?3 WHERE id = ?1", params![row, now, error])?;
    Ok(())
}

/// The notices of the tick. A key that is there already is the same notice.
pub(super) fn put(tx: &Transaction<'_>, commit: &TickCommit<'_>) -> Result<(), StoreError> {
    let mut add = tx.prepare(
        "INSERT INTO outbox (key, target, fingerprint, episode, channel, kind, severity, body, queued_at, due_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9) ON CONFLICT (key) DO NOTHING",
    )?;
    for notice in &commit.decision.notices {
        add.execute(params![
            notice.key,
            commit.target,
            notice.fingerprint.0,
            notice.episode,
            notice.channel,
            notice.kind.as_str(),
            notice.severity.as_str(),
            to_json("a notice", notice)?,
            micros(commit.now),
        ])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::super::testing::{alert, at, decision, notice, snapshot, two_handles};
    use super::*;
    use crate::model::NoticeKind;

    /// Queues notices `(key, episode, channel)`.
    fn queue(store: &mut Store, s: i64, notices: &[(&str, &str, &str)]) {
        let notices: Vec<Notice> =
            notices.iter().map(|(key, episode, channel)| notice(key, &alert("f1", episode), channel, NoticeKind::Firing)).collect();
        store.commit_simply(&snapshot(s, &[]), &decision(&[], &notices)).unwrap();
    }

    fn lease(store: &mut Store, owner: &str, s: i64) -> Vec<(i64, String)> {
        store.lease_outbox("mail", owner, at(s), 64, 60).unwrap().into_iter().map(|row| (row.id, row.notice.key)).collect()
    }

    fn keys(rows: &[(i64, String)]) -> Vec<&str> {
        rows.iter().map(|(_, key)| key.as_str()).collect()
    }

    fn delivered() -> AttemptOutcome {
        AttemptOutcome::Delivered { receipt: String::new() }
    }

    #[test]
    fn a_channel_hears_the_notices_of_an_episode_in_order() {
        let (_folder, mut store, _) = two_handles();
        queue(&mut store, 0, &[("begin", "e1", "mail"), ("other", "e2", "mail"), ("elsewhere", "e1", "log")]);
        queue(&mut store, 1, &[("end", "e1", "mail")]);
        let first = lease(&mut store, "me", 2);
        assert_eq!(keys(&first), ["begin", "other"]);
        store.finish(first[0].0, "me", &AttemptOutcome::Retry { at: at(30), error: "busy".into() }, at(3)).unwrap();
        assert_eq!(keys(&lease(&mut store, "me", 29)), Vec::<&str>::new());
        let again = lease(&mut store, "me", 30);
        assert_eq!(keys(&again), ["begin"]);
        store.finish(again[0].0, "me", &AttemptOutcome::Dead { error: "gone".into() }, at(31)).unwrap();
        assert_eq!(keys(&lease(&mut store, "me", 32)), ["end"]);
    }

    #[test]
    fn two_senders_never_hold_the_same_row() {
        let (_folder, mut one, mut two) = two_handles();
        queue(&mut one, 0, &[("a", "e1", "mail"), ("b", "e2", "mail"), ("c", "e3", "mail")]);
        assert_eq!(one.lease_outbox("mail", "one", at(1), 2, 60).unwrap().len(), 2);
        assert_eq!(keys(&lease(&mut two, "two", 1)), ["c"]);
        assert_eq!(two.due_channels(at(1)).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn a_row_whose_sender_died_is_sent_again_under_the_same_key() {
        let (_folder, mut dead, mut living) = two_handles();
        queue(&mut dead, 0, &[("a", "e1", "mail")]);
        let held = lease(&mut dead, "dead", 1);
        assert_eq!(keys(&lease(&mut living, "living", 60)), Vec::<&str>::new());
        assert_eq!(living.due_channels(at(61)).unwrap(), ["mail"]);
        assert_eq!(lease(&mut living, "living", 61), held);
        let late = dead.finish(held[0].0, "dead", &delivered(), at(62)).unwrap_err();
        assert!(matches!(late, StoreError::RowLost { .. }), "{late}");
        living.finish(held[0].0, "living", &delivered(), at(63)).unwrap();
        assert!(matches!(living.finish(held[0].0, "living", &delivered(), at(64)), Err(StoreError::RowLost { .. })));
    }

    #[test]
    fn a_slow_sender_may_finish_while_nobody_else_took_the_row() {
        let (_folder, mut store, _) = two_handles();
        queue(&mut store, 0, &[("a", "e1", "mail")]);
        let held = lease(&mut store, "slow", 1);
        store.finish(held[0].0, "slow", &delivered(), at(500)).unwrap();
        assert_eq!(store.outbox_counts().unwrap()["mail"].delivered, 1);
    }

    #[test]
    fn what_was_not_tried_is_due_as_before_and_counts_no_attempt() {
        let (_folder, mut store, _) = two_handles();
        queue(&mut store, 0, &[("a", "e1", "mail")]);
        let rows = store.lease_outbox("mail", "me", at(1), 64, 60).unwrap();
        assert_eq!(rows[0].attempts, 1);
        store.finish(rows[0].id, "me", &AttemptOutcome::Untried, at(1)).unwrap();
        assert_eq!(store.lease_outbox("mail", "me", at(1), 64, 60).unwrap(), rows);
    }

    #[test]
    fn rows_that_fail_again_and_again_let_fresh_ones_pass() {
        let (_folder, mut store, _) = two_handles();
        queue(&mut store, 0, &[("poison", "e1", "mail")]);
        let row = lease(&mut store, "me", 1)[0].0;
        store.finish(row, "me", &AttemptOutcome::Retry { at: at(2), error: "no".into() }, at(1)).unwrap();
        queue(&mut store, 3, &[("fresh", "e2", "mail")]);
        assert_eq!(keys(&lease(&mut store, "me", 4)), ["fresh", "poison"]);
    }

    #[test]
    fn the_same_key_is_the_same_notice() {
        let (_folder, mut store, _) = two_handles();
        queue(&mut store, 0, &[("a", "e1", "mail")]);
        queue(&mut store, 1, &[("a", "e1", "mail")]);
        assert_eq!(store.outbox_counts().unwrap()["mail"].waiting, 1);
    }

    #[test]
    fn a_stored_notice_that_cannot_be_read_is_given_up_and_the_next_goes_on() {
        let (_folder, mut store, _) = two_handles();
        queue(&mut store, 0, &[("a", "e1", "mail"), ("b", "e2", "mail")]);
        store.db.execute("UPDATE outbox SET body = '{}' WHERE key = 'a'", []).unwrap();
        assert_eq!(keys(&lease(&mut store, "me", 1)), ["b"]);
        assert_eq!(store.outbox_counts().unwrap()["mail"].dead, 1);
    }

    #[test]
    fn a_clock_set_back_does_not_hold_notices_for_years() {
        let (_folder, mut store, _) = two_handles();
        queue(&mut store, 1_000_000, &[("a", "e1", "mail")]);
        assert_eq!(keys(&lease(&mut store, "me", 1_000_001)), ["a"]);
        assert_eq!(keys(&lease(&mut store, "you", 5)), ["a"]);
    }

    #[test]
    fn counts_say_what_waits_since_when_and_why() {
        let (_folder, mut store, _) = two_handles();
        queue(&mut store, 7, &[("a", "e1", "mail"), ("b", "e2", "mail")]);
        let row = lease(&mut store, "me", 8)[0].0;
        store.finish(row, "me", &AttemptOutcome::Retry { at: at(60), error: "421 try later".into() }, at(9)).unwrap();
        let expected = ChannelCounts {
            waiting: 2,
            oldest_waiting: Some(at(7)),
            waiting_error: Some("421 try later".into()),
            ..ChannelCounts::default()
        };
        assert_eq!(store.outbox_counts().unwrap(), [("mail".to_string(), expected)].into());
    }

    #[derive(Debug, Clone)]
    enum Step {
        Queue { episode: u8 },
        Lease { owner: bool, limit: usize },
        Finish { owner: bool, nth: usize, how: u8 },
        Wait { s: i64 },
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            (0u8..3).prop_map(|episode| Step::Queue { episode }),
            (any::<bool>(), 1usize..4).prop_map(|(owner, limit)| Step::Lease { owner, limit }),
            (any::<bool>(), 0usize..3, 0u8..4).prop_map(|(owner, nth, how)| Step::Finish { owner, nth, how }),
            (1i64..50).prop_map(|s| Step::Wait { s }),
        ];
        proptest::collection::vec(step, 1..40)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        /// Two senders, with crashes (a lease that is never finished) and waits in between.
        #[test]
        fn whatever_happens_order_holds_and_nothing_is_lost_or_held_twice(steps in steps()) {
            let (_folder, mut store, _) = two_handles();
            let (mut now, mut queued) = (0i64, Vec::<(String, String)>::new());
            let mut held: [Vec<(i64, String)>; 2] = [vec![], vec![]];
            let mut done: BTreeSet<String> = BTreeSet::new();
            for step in steps {
                match step {
                    Step::Queue { episode } => {
                        let (key, episode) = (format!("k{:03}", queued.len()), format!("e{episode}"));
                        queue(&mut store, now, &[(&key, &episode, "mail")]);
                        queued.push((key, episode));
                    }
                    Step::Lease { owner, limit } => {
                        let rows = store.lease_outbox("mail", ["one", "two"][usize::from(owner)], at(now), limit, 30).unwrap();
                        for row in rows {
                            let episode = &row.notice.episode;
                            let earlier = queued.iter().filter(|(key, e)| e == episode && *key < row.notice.key);
                            prop_assert!(earlier.clone().all(|(key, _)| done.contains(key)), "{} before {earlier:?}", row.notice.key);
                            prop_assert!(!done.contains(&row.notice.key), "{} was finished", row.notice.key);
                            held[usize::from(!owner)].retain(|(id, _)| *id != row.id);
                            held[usize::from(owner)].retain(|(id, _)| *id != row.id);
                            held[usize::from(owner)].push((row.id, row.notice.key));
                        }
                    }
                    Step::Finish { owner, nth, how } => {
                        let mine = &mut held[usize::from(owner)];
                        if nth < mine.len() {
                            let (id, key) = mine.remove(nth);
                            let outcome = match how {
                                0 => delivered(),
                                1 => AttemptOutcome::Dead { error: "dead".into() },
                                2 => AttemptOutcome::Retry { at: at(now + 5), error: "later".into() },
                                _ => AttemptOutcome::Untried,
                            };
                            store.finish(id, ["one", "two"][usize::from(owner)], &outcome, at(now)).unwrap();
                            if how < 2 {
                                done.insert(key);
                            }
                        }
                    }
                    Step::Wait { s } => now += s,
                }
            }
            // Whoever comes last can finish everything.
            for _ in 0..queued.len() {
                now += 100;
                for row in store.lease_outbox("mail", "last", at(now), 64, 30).unwrap() {
                    store.finish(row.id, "last", &delivered(), at(now)).unwrap();
                    prop_assert!(done.insert(row.notice.key));
                }
            }
            prop_assert_eq!(done.len(), queued.len());
        }
    }
}
