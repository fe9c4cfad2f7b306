//! Our own troubles and the sign of life, decided once a minute on the target named `pgsteward`.
//!
//! Channels that are not used, notices that were given up, targets that cannot be watched or whose ticks do not end, and a
//! sign of life that is not taken become outcomes of rules of our own, and go through the same deciding, store and outbox as
//! those of any target. See decision 18.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::house::{House, Watch};
use crate::alert::{self, OWN_TARGET, Untaken};
use crate::config::Heartbeat;
use crate::model::{Cost, Decision, Fingerprint, Notice, NoticeKind, Severity, Snapshot, Telling};
use crate::store::{Store, StoreError, TickCommit};

/// How often it is looked at.
pub(super) const EVERY: Duration = Duration::from_secs(60);
/// Longest that a look takes, and what a process that is killed in one keeps others from looking.
const LEASE_S: u64 = 30;
/// A sign of life is due this much early, so that one a minute does not become one every other minute.
const EARLY_S: i64 = 5;
/// How long a target may be without a tick, at least: a first sweep of a large server takes its time.
const PATIENCE: TimeDelta = TimeDelta::minutes(10);
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
    let targets: Vec<_> = house.unusable.iter().cloned().chain(late(house, store, now)?).collect();
    let outcomes = alert::own_outcomes(&health, &targets, untaken(house, store)?.as_ref(), now);
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

/// Targets without a tick for so long that theirs hang or cannot be committed, with that reason. Ticks of another process
/// count.
fn late(house: &House, store: &Store, now: DateTime<Utc>) -> Result<Vec<(String, String)>, StoreError> {
    let ticked: BTreeMap<_, _> = store.targets()?.into_iter().map(|target| (target.name, target.last_tick_at)).collect();
    let late = |watch: &Watch| {
        let name = &watch.target.name;
        let since = ticked.get(name).copied().flatten().map_or(house.since, |last| last.max(house.since));
        let every_s = watch.decide.every_s;
        let patience = TimeDelta::try_seconds(i64::try_from(every_s.saturating_mul(3)).ok()?)?.max(PATIENCE);
        let span = pgsteward_helpers::span(every_s as f64);
        let why = format!("no tick has come to an end since {}, and one is due every {span}", since.format("%F %TZ"));
        (now - since > patience).then(|| (name.clone(), why))
    };
    Ok(house.watches.iter().filter_map(late).collect())
}

/// The sign of life, if one was made and its channel has not taken it yet.
fn untaken(house: &House, store: &Store) -> Result<Option<Untaken>, StoreError> {
    let Some(beat) = &house.heartbeat else { return Ok(None) };
    let since = store.untaken_since(&episode(beat), &beat.channel)?;
    Ok(since.map(|since| Untaken { name: beat.name.clone(), channel: beat.channel.clone(), every_s: beat.every_s, since }))
}

/// Its episode, and its fingerprint.
fn episode(beat: &Heartbeat) -> String {
    format!("heartbeat-{}", beat.name)
}

/// The sign of life, when it is due: so long after the last one, or when that is in the future of a clock that was set back.
fn sign_of_life(beat: &Heartbeat, last: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Option<Notice> {
    let every = TimeDelta::try_seconds(i64::try_from(beat.every_s).ok()?)?;
    if last.is_some_and(|last| last <= now && now - last + TimeDelta::seconds(EARLY_S) < every) {
        return None;
    }
    let episode = episode(beat);
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
    use std::sync::{Arc, Mutex};

    use super::super::house::SharedStore;
    use super::super::plugins::Plugins;
    use super::super::{delivery, setup};
    use super::*;
    use crate::clock::Clock;
    use crate::config::{Source, check};
    use crate::deliver::channels::Terminal;
    use crate::env::Env;

    /// A house of that config, with a log channel.
    async fn house(folder: &std::path::Path, more: &str) -> House {
        let text = format!("channels: {{hook: {{kind: log, file: {}}}}}\nroutes: {{channel: hook}}\n{more}", folder.join("log").display());
        let loaded = check(Source::of_text("c.yaml", &text), &Env::of([]));
        let config = loaded.config.unwrap_or_else(|| panic!("{:?}", loaded.problems));
        let store = SharedStore::new(Store::open(&setup::store_path(folder)).unwrap());
        let terminal = Terminal::plain(Arc::new(Mutex::new(std::io::sink())));
        setup::house(&config, setup::load_plugins(Plugins::default()), store, &Env::of([]), Clock::starting_at(at(1_000_000)), &terminal)
            .await
    }

    /// Looks after so many seconds; what is told.
    async fn looked(house: &House, after_s: u64) -> Vec<String> {
        tokio::time::advance(Duration::from_secs(after_s)).await;
        let told = look(house).unwrap();
        told.notices().filter(|n| n.kind != NoticeKind::Heartbeat).map(|n| format!("{} {} {}", n.rule, n.kind, n.summary)).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_sign_of_life_that_is_not_taken_is_an_alert_until_one_is() {
        let folder = tempfile::tempdir().unwrap();
        let house = house(folder.path(), "heartbeat: {channel: hook, every: 1m, name: alive}\n").await;
        assert_eq!(looked(&house, 0).await, Vec::<String>::new());
        assert_eq!(looked(&house, 55).await, Vec::<String>::new(), "the next is made, and the first may still be taken");
        let told = looked(&house, 5).await;
        let expected = "heartbeat_overdue firing channel `hook` has taken no sign of life since 1970-01-12 13:46:40Z; one is due every 1m";
        assert_eq!(told, [expected]);
        assert_eq!(delivery::drain(&house, Duration::from_secs(60)).await.delivered, 2, "the latest one, and the alert");
        let told = looked(&house, 30).await;
        assert!(told.len() == 1 && told[0].starts_with("heartbeat_overdue resolved "), "{told:?}");
        assert_eq!(looked(&house, 30).await, Vec::<String>::new(), "made, and not yet due again");
    }

    #[tokio::test(start_paused = true)]
    async fn a_target_whose_ticks_do_not_end_is_told_of() {
        let folder = tempfile::tempdir().unwrap();
        let house = house(folder.path(), "targets: [{name: shop, dsn: host=/nowhere}]\nschedule: {every: 5m}\n").await;
        assert_eq!(looked(&house, 900).await, Vec::<String>::new(), "three ticks may be late");
        let told = looked(&house, 1).await;
        let why = "no tick has come to an end since 1970-01-12 13:46:40Z, and one is due every 5m";
        assert_eq!(told, [format!("target_unusable firing target `shop` is not watched: {why}")]);
        house.store.lock().acquire_lease("shop", "me", house.clock.now(), 60).unwrap();
        let snapshot = crate::store::testing::snapshot(1_000_901, &[]);
        house.store.lock().commit_simply(&snapshot, &Decision::default()).unwrap();
        let told = looked(&house, 1).await;
        assert!(told.len() == 1 && told[0].starts_with("target_unusable resolved "), "{told:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn with_no_target_to_watch_our_own_alerts_are_decided() {
        let folder = tempfile::tempdir().unwrap();
        let house = house(folder.path(), "targets: [{name: shop, dsn: host=/nowhere, password: {env: PW}}]\n").await;
        assert!(house.watches.is_empty());
        let told = looked(&house, 0).await;
        assert!(told.len() == 1 && told[0].starts_with("target_unusable firing target `shop` is not watched: "), "{told:?}");
    }

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
