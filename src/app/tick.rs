//! One tick of one target: collect, turn, commit. The only place where the three meet.
//!
//! Whatever happens before the commit has not happened; what the commit holds waits in the store to be delivered. When
//! another process has written the book in between, the deciding is done again from the new book.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::house::{House, Watch};
use super::privacy;
use super::turn::{Basis, turn};
use crate::collect::{Kept, SweepRequest, sweep};
use crate::model::{Book, DecideConfig, Decision, Frame, RuleOutcome, Snapshot};
use crate::store::{Store, StoreError, TickCommit};

/// What a tick came to.
#[derive(Debug, Clone)]
pub struct TickDone {
    /// Row of the tick in the store.
    pub id: i64,
    /// From what it was decided.
    pub basis: Basis,
    /// How each rule ended.
    pub outcomes: Vec<RuleOutcome>,
    /// What was decided.
    pub decision: Decision,
}

/// How often a tick decides again when another process wrote the book in between.
const CONFLICTS: u32 = 5;
/// How far from the asked time a reading may be to stand for a window, as a share of the window.
const WINDOW_SLACK: f64 = 0.1;

/// Runs one tick, with the sessions that the last one has left and leaving some to the next.
///
/// # Errors
/// When the lease is held by another process or the store cannot be read or written. A target that cannot be reached
/// is not an error: it is a snapshot that says so.
pub async fn tick(house: &House, watch: &Watch, kept: &mut Kept) -> Result<TickDone, StoreError> {
    let now = house.clock.now();
    let name = watch.target.name.as_str();
    let carried = {
        let mut store = house.store.lock();
        take_lease(&mut store, name, &house.owner, now, lease_s(watch))?;
        store.latest_frames(name)?
    };
    let request = SweepRequest {
        target: &watch.target,
        endpoint: &watch.endpoint,
        databases: &watch.databases,
        metrics: &house.metrics,
        budget: &watch.budget,
        carried: &carried,
        now,
        every_s: watch.decide.every_s,
        all_due: watch.all_due,
    };
    let mut snapshot = sweep(&request, kept).await;
    privacy::apply(&mut snapshot, watch.statement_text);
    let snapshot = Arc::new(snapshot);
    for _ in 1..CONFLICTS {
        match decide_and_commit(house, watch, &snapshot) {
            Err(StoreError::Conflict { .. }) => {}
            other => return other,
        }
    }
    decide_and_commit(house, watch, &snapshot)
}

/// Takes the lease, from a dead owner too: a service that was killed must not keep the one that replaces it waiting.
pub(super) fn take_lease(store: &mut Store, target: &str, owner: &str, now: DateTime<Utc>, ttl_s: u64) -> Result<(), StoreError> {
    match store.acquire_lease(target, owner, now, ttl_s) {
        Err(StoreError::LeaseHeld { owner: other, .. }) if is_dead(&other) => {
            store.release_lease(target, &other)?;
            store.acquire_lease(target, owner, now, ttl_s)
        }
        taken => taken,
    }
}

/// Whether the process of an owner (`<pid>-<start>`) is gone from this machine. Where that cannot be told it lives. A store
/// is one file of one machine; should the owner live on in another process namespace, its commit is refused and it
/// begins anew.
pub(super) fn is_dead(owner: &str) -> bool {
    let pid = owner.split('-').next().and_then(|pid| pid.parse::<u32>().ok());
    let processes = std::path::Path::new("/proc/self");
    pid.is_some_and(|pid| processes.exists() && !processes.with_file_name(pid.to_string()).exists())
}

/// A lease outlives two missed ticks and a slow sweep, and not more: a crashed process must not block its successor long.
fn lease_s(watch: &Watch) -> u64 {
    (watch.decide.every_s * 2).clamp(60, 1800)
}

/// The store is free while rules are evaluated: a slow plugin keeps no delivery waiting.
fn decide_and_commit(house: &House, watch: &Watch, snapshot: &Arc<Snapshot>) -> Result<TickDone, StoreError> {
    let name = watch.target.name.as_str();
    let windows = house.rules.windows();
    let basis = {
        let store = house.store.lock();
        basis(&store, snapshot.clone(), book(&store, &watch.decide)?, &windows)?
    };
    let (outcomes, decision) = turn(&basis, &house.rules, &watch.wishes, &watch.decide);
    let id = house.store.lock().commit(&TickCommit {
        target: name,
        owner: &house.owner,
        now: snapshot.taken_at,
        snapshot,
        outcomes: &outcomes,
        decision: &decision,
        base_version: basis.book.version,
    })?;
    Ok(TickDone { id, basis, outcomes, decision })
}

/// The book of the config's target, with the alerts of other targets that may inhibit its own.
///
/// # Errors
/// When the store cannot be read.
pub fn book(store: &Store, config: &DecideConfig) -> Result<Book, StoreError> {
    let mut book = store.book(&config.target.name)?;
    if !config.inhibitions.is_empty() {
        book.elsewhere = store.elsewhere(&config.target.name)?;
        book.elsewhere.retain(|other| config.inhibitions.iter().any(|inhibition| inhibition.source.matches(&other.labels)));
    }
    Ok(book)
}

/// Gathers what a tick decides from: for each frame the reading before it, and the frames that windows ask for.
///
/// # Errors
/// When the store cannot be read.
pub fn basis(
    store: &Store,
    snapshot: Arc<Snapshot>,
    book: Book,
    windows: &BTreeMap<u64, std::collections::BTreeSet<String>>,
) -> Result<Basis, StoreError> {
    let target = snapshot.target.name.clone();
    let previous = readings_before(store, &target, &snapshot)?;
    let mut past = BTreeMap::new();
    for (window_s, frames) in windows {
        let names: Vec<String> = frames.iter().cloned().collect();
        let at = snapshot.taken_at - TimeDelta::seconds(*window_s as i64);
        let slack_s = (*window_s as f64 * WINDOW_SLACK).max(120.0) as u64;
        // The reading nearest to the asked time from below; when none is that old, one a little younger will do.
        past.insert(*window_s, store.frames_before(&target, &names, at + TimeDelta::seconds(slack_s as i64 / 2), slack_s)?);
    }
    Ok(Basis { snapshot, previous, past: Arc::new(past), book })
}

fn readings_before(store: &Store, target: &str, snapshot: &Snapshot) -> Result<BTreeMap<String, Arc<Frame>>, StoreError> {
    let mut by_time: BTreeMap<DateTime<Utc>, Vec<String>> = BTreeMap::new();
    for (name, reading) in &snapshot.frames {
        if let Some(frame) = reading.frame() {
            by_time.entry(frame.as_of).or_default().push(name.clone());
        }
    }
    let mut previous = BTreeMap::new();
    for (as_of, names) in by_time {
        previous.extend(store.frames_before(target, &names, as_of - TimeDelta::milliseconds(1), EARLIER_S)?);
    }
    Ok(previous)
}

/// How old the reading before may be, in seconds: over that a rate would be an average over a day or more and hide
/// what happened in it.
const EARLIER_S: u64 = 86_400;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Alert, Inhibition, Severity, Target};
    use crate::store::testing::{alert, decision, snapshot, two_handles};

    #[test]
    fn a_book_has_of_other_targets_what_may_inhibit() {
        let (_folder, mut store, _) = two_handles();
        let critical = Alert { severity: Severity::Critical, ..alert("f1", "e1") };
        store.commit_simply(&snapshot(0, &[]), &decision(&[critical, alert("f2", "e2")], &[])).unwrap();
        let mut config = DecideConfig { target: Target { name: "replica".into(), ..Target::default() }, ..DecideConfig::default() };
        assert_eq!(book(&store, &config).unwrap().elsewhere, []);
        let matchers = |text: &str| text.parse().unwrap();
        let (source, target) = (matchers("severity=critical,target=shop"), matchers("target=replica"));
        config.inhibitions = vec![Inhibition { name: "primary is down".into(), source, target, equal: vec![] }];
        let found: Vec<String> = book(&store, &config).unwrap().elsewhere.into_iter().map(|other| other.fingerprint.0).collect();
        assert_eq!(found, ["f1"]);
    }

    #[test]
    fn the_lease_of_a_dead_process_is_taken_and_that_of_a_living_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(&folder.path().join("store.db")).unwrap();
        let now = DateTime::UNIX_EPOCH;
        // No process can have this id: it is above the kernel's largest.
        store.acquire_lease("shop", "4194305-1", now, 600).unwrap();
        take_lease(&mut store, "shop", &format!("{}-2", std::process::id()), now, 600).unwrap();
        let held = take_lease(&mut store, "shop", "4194305-3", now, 600);
        assert!(matches!(held, Err(StoreError::LeaseHeld { .. })), "{held:?}");
    }
}
