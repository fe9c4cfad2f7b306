//! Targets that the store knows and the config no more: their alerts are over, and who was told of them is told so. Of
//! channels that are gone while the end of an alert is owed to them, people are warned.
//!
//! A store belongs to one config. A target that another process has the lease of is left alone.

use chrono::{DateTime, Utc};
use tracing::{info, warn};

use super::house::House;
use super::tick::take_lease;
use crate::alert;
use crate::model::{Cost, DecideConfig, Snapshot, Target};
use crate::store::{Store, StoreError, TickCommit};

/// How long the lease is kept for it, in seconds.
const LEASE_S: u64 = 60;

/// What is wrong with channels that the config no more has: alerts that they were told of go on.
///
/// # Errors
/// When the store cannot be read.
pub fn orphaned(store: &Store, in_config: impl Fn(&str) -> bool) -> Result<Vec<String>, StoreError> {
    let gone = store.open_alerts()?.into_iter().filter(|(channel, _)| !in_config(channel));
    let told = |(channel, alerts): (String, u64)| {
        let what = if alerts == 1 { "an alert that goes on".to_string() } else { format!("{alerts} alerts that go on") };
        format!(
            "channel `{}` is not in the config any more and was told of {what}: the end cannot be told there; keep it, with no route to it, until then",
            crate::text::safe(&channel)
        )
    };
    Ok(gone.map(told).collect())
}

/// Ends the alerts of all targets that are gone from the config; what cannot be ended now is at the next start or reload.
pub(super) fn retire(house: &House) {
    let mut store = house.store.lock();
    match orphaned(&store, |channel| house.channels.contains_key(channel)) {
        Ok(orphaned) => orphaned.iter().for_each(|said| warn!("{said}")),
        Err(problem) => warn!(problem = %super::chain(&problem), "channels that left the config are not looked for"),
    }
    let known = match store.targets() {
        Ok(known) => known,
        Err(problem) => return warn!(problem = %super::chain(&problem), "targets that left the config are not looked for"),
    };
    // One whose secret cannot be read is not gone: nobody knows how it is.
    let in_config = |name: &str| {
        let mut names = house.watches.iter().map(|watch| &watch.target.name).chain(house.unusable.iter().map(|(name, _)| name));
        name == alert::OWN_TARGET || names.any(|known| known == name)
    };
    for gone in known.into_iter().filter(|target| !in_config(&target.name)) {
        let name = crate::text::safe(&gone.name);
        let target = Target { name: gone.name, ..Target::default() };
        match end(&mut store, &house.owner, house.clock.now(), &DecideConfig { target, ..house.own.clone() }) {
            Ok(0) => {}
            Ok(alerts) => {
                info!(target_name = %name, alerts, "a target left the config; its alerts are over");
                house.announced.notify_one();
            }
            Err(problem) => {
                warn!(target_name = %name, problem = %super::chain(&problem), "the alerts of a target that left the config stay for now")
            }
        }
    }
}

/// Ends the alerts of the config's target; returns how many there were.
fn end(store: &mut Store, owner: &str, now: DateTime<Utc>, config: &DecideConfig) -> Result<usize, StoreError> {
    let name = config.target.name.as_str();
    let book = store.book(name)?;
    if book.alerts.is_empty() {
        return Ok(0);
    }
    take_lease(store, name, owner, now, LEASE_S)?;
    let decision = alert::remove_target(&book, config, now);
    let snapshot = Snapshot {
        form: Snapshot::FORM,
        target: config.target.clone(),
        taken_at: now,
        server: None,
        frames: Default::default(),
        cost: Cost::default(),
    };
    let commit =
        TickCommit { target: name, owner, now, snapshot: &snapshot, outcomes: &[], decision: &decision, base_version: book.version };
    let committed = store.commit(&commit);
    store.release_lease(name, owner)?;
    committed.map(|_| decision.removed.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{NoticeKind, State};
    use crate::store::NoticeState;
    use crate::store::testing::{alert, at, decision, delivered, notice, snapshot, two_handles};

    fn gone() -> DecideConfig {
        DecideConfig { target: Target { name: "shop".into(), ..Target::default() }, ..DecideConfig::default() }
    }

    #[test]
    fn alerts_of_a_target_that_is_gone_end_and_who_was_told_is_told_so() {
        let (_folder, mut store, _) = two_handles();
        let (told, silent) = (alert("f1", "e1"), alert("f2", "e2"));
        let firing = notice("k1", &told, "mail", NoticeKind::Firing);
        store.commit_simply(&snapshot(0, &[]), &decision(&[told, silent], &[firing])).unwrap();
        store.lease_rows("mail", "me", 1, 1);
        store.release_lease("shop", "me").unwrap();

        assert_eq!(end(&mut store, "me", at(60), &gone()).unwrap(), 2);
        assert!(store.book("shop").unwrap().alerts.is_empty());
        let kinds: Vec<_> = store.notices_of("f1").unwrap().into_iter().map(|n| (n.notice.kind, n.state)).collect();
        assert_eq!(kinds.len(), 2);
        assert!(matches!(kinds[1], (NoticeKind::Resolved, NoticeState::Waiting { .. })), "{kinds:?}");
        assert_eq!(store.notices_of("f2").unwrap(), []);
        assert_eq!(store.alert_history("f2").unwrap().last().map(|change| change.to), Some(State::Resolved));
        assert_eq!(end(&mut store, "me", at(120), &gone()).unwrap(), 0, "there is nothing left to end");
    }

    #[test]
    fn a_channel_that_is_gone_while_an_end_is_owed_to_it_is_told_of() {
        let (_folder, mut store, _) = two_handles();
        let (open, over) = (alert("f1", "e1"), alert("f2", "e2"));
        let told = [notice("k1", &open, "pager", NoticeKind::Firing), notice("k2", &over, "mail", NoticeKind::Firing)];
        store.commit_simply(&snapshot(0, &[]), &decision(&[open], &told)).unwrap();
        assert_eq!(orphaned(&store, |_| false).unwrap(), Vec::<String>::new(), "nobody was told yet");
        for channel in ["pager", "mail"] {
            store.end_due(channel, 1, &delivered("ok"));
        }
        let said = orphaned(&store, |_| false).unwrap();
        assert!(
            said.len() == 1 && said[0].starts_with("channel `pager` is not in the config any more and was told of an alert"),
            "{said:?}"
        );
        assert_eq!(orphaned(&store, |channel| channel == "pager").unwrap(), Vec::<String>::new());
    }

    #[test]
    fn a_target_that_another_process_looks_after_is_left_alone() {
        let (_folder, mut store, mut other) = two_handles();
        store.commit_simply(&snapshot(0, &[]), &decision(&[alert("f1", "e1")], &[])).unwrap();
        store.release_lease("shop", "me").unwrap();
        other.acquire_lease("shop", "other", at(50), 60).unwrap();
        assert!(matches!(end(&mut store, "me", at(60), &gone()), Err(StoreError::LeaseHeld { .. })));
        assert_eq!(store.book("shop").unwrap().alerts.len(), 1);
    }
}
