//! Our own troubles and the sign of life, decided once a minute on the target named `pgsteward`.
//!
//! Channels that are not used, notices that were given up and targets that cannot be watched become outcomes of rules of
//! our own, and go through the same deciding, store and outbox as those of any target. See decision 18.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::house::House;
use crate::alert::{self, OWN_TARGET};
use crate::config::Heartbeat;
use crate::model::{Cost, Decision, Fingerprint, Notice, NoticeKind, Severity, Snapshot, Telling};
use crate::store::{Store, StoreError, TickCommit};

/// How often it is looked at.
pub(super) const EVERY: Duration = Duration::from_secs(60);
/// Longest that a look takes, and what a process that is killed in one keeps others from looking.
const LEASE_S: u64 = 30;
/// A sign of life is due this much early, so that one a minute does not become one every other minute.
const EARLY_S: i64 = 5;
/// The mark of the latest sign of life.
const MARK: &str = "heartbeat";

/// Looks once. What was decided is in the outbox then.
///
/// # Errors
/// `LeaseHeld` when another process does it, `Conflict` when somebody wrote the book in between, or why the store cannot be
/// read or written; the next look tries again.
pub fn look(house: &House) -> Result<Decision, StoreError> {
    let now = house.clock.now();
    let mut store = house.store.lock();
    store.acquire_lease(OWN_TARGET, &house.owner, now, LEASE_S)?;
    let decision = decide_and_commit(house, &mut store, now);
    store.release_lease(OWN_TARGET, &house.owner)?;
    decision
}

fn decide_and_commit(house: &House, store: &mut Store, now: DateTime<Utc>) -> Result<Decision, StoreError> {
    let book = store.book(OWN_TARGET)?;
    let mut health = store.channel_health(now)?;
    health.retain(|name, _| house.channels.contains_key(name));
    let outcomes = alert::own_outcomes(&health, &house.unusable, now);
    let mut decision = alert::decide(&book, &outcomes, &house.own, now);
    let last = store.mark(MARK)?;
    let alive = house.heartbeat.as_ref().and_then(|beat| sign_of_life(beat, last, now));
    let beats = alive.is_some();
    decision.tellings.extend(alive.map(Telling::from));
    let snapshot = Snapshot {
        form: Snapshot::FORM,
        target: house.own.target.clone(),
        taken_at: now,
        server: None,
        frames: BTreeMap::new(),
        cost: Cost::default(),
    };
    store.commit(&TickCommit {
        target: OWN_TARGET,
        owner: &house.owner,
        now,
        snapshot: &snapshot,
        outcomes: &outcomes,
        decision: &decision,
        base_version: book.version,
    })?;
    if beats {
        // A crash before this makes the same notice again, under the same key.
        store.set_mark(MARK, now)?;
    }
    Ok(decision)
}

/// The sign of life, when it is due: so long after the last one, or when that is in the future of a clock that was set back.
fn sign_of_life(beat: &Heartbeat, last: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Option<Notice> {
    let every = TimeDelta::try_seconds(i64::try_from(beat.every_s).ok()?)?;
    if last.is_some_and(|last| last <= now && now - last + TimeDelta::seconds(EARLY_S) < every) {
        return None;
    }
    let episode = format!("heartbeat-{}", beat.name);
    Some(Notice {
        key: format!("{episode}-{}", last.map_or(0, |last| last.timestamp_millis())),
        channel: beat.channel.clone(),
        kind: NoticeKind::Heartbeat,
        fingerprint: Fingerprint(episode.clone()),
        episode,
        target: OWN_TARGET.into(),
        rule: beat.name.clone(),
        title: "pgsteward is alive".into(),
        severity: Severity::Info,
        summary: format!("pgsteward is alive; the next sign of life comes in {}", pgsteward_helpers::span(beat.every_s as f64)),
        active_at: now,
        at: now,
        ..Notice::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(s)
    }

    fn due(last: Option<i64>, now: i64) -> Option<String> {
        let beat = Heartbeat { channel: "hook".into(), every_s: 60, name: "alive".into() };
        sign_of_life(&beat, last.map(at), at(now)).map(|notice| notice.key)
    }

    #[test]
    fn a_sign_of_life_is_due_at_its_interval_and_is_the_same_until_it_is_marked() {
        assert_eq!(due(None, 1_000).as_deref(), Some("heartbeat-alive-0"));
        assert_eq!(due(Some(1_000), 1_054), None);
        assert_eq!(due(Some(1_000), 1_059).as_deref(), Some("heartbeat-alive-1000000"));
        assert_eq!(due(Some(1_000), 1_300).as_deref(), Some("heartbeat-alive-1000000"));
    }

    #[test]
    fn a_clock_set_back_does_not_stop_it() {
        assert!(due(Some(1_000_000), 10).is_some());
    }
}
