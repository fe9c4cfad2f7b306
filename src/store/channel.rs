//! How channels fare, kept so that a restart neither forgets that one rests nor sends more than its rate.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use serde::{Deserialize, Serialize};

use super::codec::{from_json, micros, time, to_json};
use super::outbox::STILL_TRUE;
use super::{Store, StoreError};
use crate::model::ChannelHealth;

/// What is remembered of one channel between its turns. What it means is `deliver`'s.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ChannelState {
    /// What is left of its rate, and when that was counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bucket: Option<(f64, DateTime<Utc>)>,
    /// Since when it is not used because the receiver refuses our login, and what it said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<(DateTime<Utc>, String)>,
    /// Since when nothing has gone through, although it was tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing_since: Option<DateTime<Utc>>,
    /// Failures in a row.
    #[serde(default)]
    pub failures: u32,
    /// It rests; one message tries it then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe_at: Option<DateTime<Utc>>,
    /// The latest error; empty when all is well.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub error: String,
}

impl Store {
    /// How each channel fares of which something is known.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn channel_states(&self) -> Result<BTreeMap<String, ChannelState>, StoreError> {
        let mut query = self.db.prepare_cached("SELECT name, body FROM channel")?;
        let mut rows = query.query([])?;
        let mut states = BTreeMap::new();
        while let Some(row) = rows.next()? {
            states.insert(row.get(0)?, from_json("how a channel fares", row.get_ref(1)?.as_str().unwrap_or_default()).unwrap_or_default());
        }
        Ok(states)
    }

    /// How one channel fares.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn channel_state(&self, name: &str) -> Result<ChannelState, StoreError> {
        state(&self.db, name)
    }

    /// Notes how a channel fares.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn set_channel_state(&mut self, name: &str, state: &ChannelState) -> Result<(), StoreError> {
        let tx = self.write()?;
        put(&tx, name, state)?;
        Ok(tx.commit()?)
    }

    /// Uses a channel again that was paused or rests; what waits for it is due at once. Whether there was anything to
    /// resume.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn resume_channel(&mut self, name: &str, now: DateTime<Utc>) -> Result<bool, StoreError> {
        let tx = self.write()?;
        let before = state(&tx, name)?;
        let rested = before.paused.is_some() || before.probe_at.is_some();
        put(&tx, name, &ChannelState { bucket: before.bucket, ..ChannelState::default() })?;
        let sql = "UPDATE outbox SET due_at = ?2 WHERE state = 'waiting' AND channel = ?1 AND attempts > 0 AND due_at > ?2";
        tx.execute(sql, params![name, micros(now)])?;
        tx.commit()?;
        Ok(rested)
    }

    /// How each channel fares of which something is known, waits, or was given up in the last day.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn channel_health(&self, now: DateTime<Utc>) -> Result<BTreeMap<String, ChannelHealth>, StoreError> {
        let mut health: BTreeMap<String, ChannelHealth> = BTreeMap::new();
        for (name, state) in self.channel_states()? {
            let entry = health.entry(name).or_default();
            entry.paused_at = state.paused.as_ref().map(|(at, _)| *at);
            entry.failing_since = state.failing_since;
            entry.error = state.paused.map_or(state.error, |(_, why)| why);
        }
        for (name, waiting) in self.count("SELECT channel, count(*) FROM outbox WHERE state = 'waiting' GROUP BY channel", &[])? {
            health.entry(name).or_default().waiting = waiting;
        }
        let day_ago = micros(now - TimeDelta::days(1));
        // What says that something begins which is over by now is nobody's trouble any more.
        let sql = format!(
            "SELECT channel, count(*) FROM outbox WHERE state = 'dead' AND state <> 'waiting' AND finished_at >= ?1 AND {STILL_TRUE}
             GROUP BY channel"
        );
        for (name, dead) in self.count(&sql, &[&day_ago])? {
            health.entry(name).or_default().dead = dead;
        }
        Ok(health)
    }

    /// When something that is done now and then was last done.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn mark(&self, name: &str) -> Result<Option<DateTime<Utc>>, StoreError> {
        let at: Option<i64> = self.db.query_row("SELECT at FROM mark WHERE name = ?1", [name], |row| row.get(0)).optional()?;
        Ok(at.map(time))
    }

    /// Notes that it was done then.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn set_mark(&mut self, name: &str, at: DateTime<Utc>) -> Result<(), StoreError> {
        self.db.execute("INSERT OR REPLACE INTO mark (name, at) VALUES (?1, ?2)", params![name, micros(at)])?;
        Ok(())
    }

    /// How many alerts that still live each channel was told of: their ends are owed to it.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn open_alerts(&self) -> Result<BTreeMap<String, u64>, StoreError> {
        let sql = "SELECT channel, count(DISTINCT outbox.episode) FROM outbox
                   JOIN alert ON alert.episode = outbox.episode AND alert.fingerprint = outbox.fingerprint
                   WHERE outbox.state = 'delivered' AND outbox.kind <> 'resolved' GROUP BY channel";
        Ok(self.count(sql, &[])?.into_iter().collect())
    }

    fn count(&self, sql: &str, values: &[&dyn rusqlite::ToSql]) -> Result<Vec<(String, u64)>, StoreError> {
        let mut query = self.db.prepare_cached(sql)?;
        let rows = query.query_map(values, |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs())))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

fn state(db: &Connection, name: &str) -> Result<ChannelState, StoreError> {
    let body: Option<String> =
        db.prepare_cached("SELECT body FROM channel WHERE name = ?1")?.query_row([name], |row| row.get(0)).optional()?;
    Ok(body.and_then(|body| from_json("how a channel fares", &body)).unwrap_or_default())
}

pub(super) fn put(tx: &Transaction<'_>, name: &str, state: &ChannelState) -> Result<(), StoreError> {
    let body = to_json("how a channel fares", state)?;
    tx.prepare_cached("INSERT OR REPLACE INTO channel (name, body) VALUES (?1, ?2)")?.execute(params![name, body])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::AttemptOutcome;
    use super::super::testing::{alert, at, dead, decision, notice, snapshot, two_handles};
    use super::*;
    use crate::model::NoticeKind;

    fn queue(store: &mut Store, s: i64, key: &str) {
        let notice = notice(key, &alert("f1", key), "mail", NoticeKind::Firing);
        store.commit_simply(&snapshot(s, &[]), &decision(&[], &[notice])).unwrap();
    }

    #[test]
    fn how_a_channel_fares_outlives_the_process() {
        let (_folder, mut store, other) = two_handles();
        let state = ChannelState {
            bucket: Some((2.5, at(3))),
            failures: 5,
            failing_since: Some(at(1)),
            probe_at: Some(at(40)),
            error: "503".into(),
            paused: None,
        };
        store.set_channel_state("mail", &state).unwrap();
        assert_eq!(other.channel_state("mail").unwrap(), state);
        assert_eq!(other.channel_states().unwrap(), [("mail".to_string(), state)].into());
        assert_eq!(other.channel_state("unknown").unwrap(), ChannelState::default());
    }

    #[test]
    fn a_resumed_channel_is_tried_at_once() {
        let (_folder, mut store, _) = two_handles();
        queue(&mut store, 0, "a");
        store.end_due("mail", 1, &AttemptOutcome::Retry { at: at(300), error: "401".into() });
        store.set_channel_state("mail", &ChannelState { paused: Some((at(1), "401".into())), ..ChannelState::default() }).unwrap();
        assert!(store.due_channels(at(5)).unwrap().is_empty());
        assert!(store.resume_channel("mail", at(5)).unwrap());
        assert!(!store.resume_channel("mail", at(5)).unwrap(), "it is in use already");
        assert_eq!(store.due_channels(at(5)).unwrap(), ["mail"]);
        assert_eq!(store.channel_state("mail").unwrap(), ChannelState::default());
    }

    #[test]
    fn health_says_what_waits_what_was_given_up_lately_and_why() {
        let (_folder, mut store, _) = two_handles();
        for (s, key, lives) in [(0, "old", true), (89_990, "over", false), (90_000, "new", true)] {
            let living = alert("f1", key);
            let queued = notice(key, &living, "mail", NoticeKind::Firing);
            let living = if lives { vec![living] } else { Vec::new() };
            store.commit_simply(&snapshot(s, &[]), &decision(&living, &[queued])).unwrap();
            store.end_due("mail", s + 1, &dead("404"));
        }
        queue(&mut store, 90_002, "waits");
        store.set_channel_state("mail", &ChannelState { paused: Some((at(7), "401".into())), ..ChannelState::default() }).unwrap();
        let expected = ChannelHealth { paused_at: Some(at(7)), failing_since: None, error: "401".into(), waiting: 1, dead: 1 };
        assert_eq!(store.channel_health(at(90_010)).unwrap(), [("mail".to_string(), expected)].into());
    }

    #[test]
    fn marks_are_remembered() {
        let (_folder, mut store, other) = two_handles();
        assert_eq!(other.mark("heartbeat").unwrap(), None);
        store.set_mark("heartbeat", at(60)).unwrap();
        assert_eq!(other.mark("heartbeat").unwrap(), Some(at(60)));
    }
}
