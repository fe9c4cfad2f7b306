//! What this handle knows of the books, so that a tick need not read and parse ten thousand alerts again.
//!
//! Alerts, rule health and flaps change only with the version of their book, which every commit counts, whoever makes it:
//! what is known is good while the version is the same. What was told changes with every row of the outbox: it is good
//! while nobody else wrote to the file and every write of this handle has said here what it changed. A write that says
//! nothing is seen by its `Mark`, and what was told is read again.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use rusqlite::Connection;

use super::{StoreError, TickCommit, ruling};
use crate::model::{Alert, Few, Fingerprint, Flap, RuleHealth, Telling, Told};

/// By fingerprint, what each channel was told of it.
pub(super) type ToldAll = BTreeMap<Fingerprint, Few<Told>>;

/// How many writes there were: another value means that somebody wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    others: i64,
    own: u64,
}

impl Mark {
    /// Taken inside of a transaction, so that nothing comes between.
    pub fn of(db: &Connection) -> Result<Self, StoreError> {
        let others = db.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?;
        Ok(Self { others, own: db.total_changes() })
    }

    /// Rows that this handle changed until then.
    pub fn own_changes(self, then: Self) -> usize {
        usize::try_from(then.own.saturating_sub(self.own)).unwrap_or(usize::MAX)
    }
}

/// The books that were read or committed here, by target.
#[derive(Debug, Default)]
pub(super) struct Cache(HashMap<String, Known>);

/// What is known of one book.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub version: u64,
    pub alerts: BTreeMap<Fingerprint, Arc<Alert>>,
    pub rules: BTreeMap<String, RuleHealth>,
    pub flaps: BTreeMap<Fingerprint, Flap>,
    /// As far as ticks of this version needed it.
    pub rulings: ruling::Latest,
    pub told: Arc<ToldAll>,
    /// When `told` was right; `None` before it was read.
    pub told_at: Option<Mark>,
    /// Alerts of which `told` must be read again.
    pub stale: BTreeSet<Fingerprint>,
}

impl Cache {
    /// What is known of a book at that version, or what is read of it now.
    ///
    /// # Errors
    /// Those of the reading.
    pub fn at(&mut self, target: &str, version: u64, read: impl FnOnce() -> Result<Known, StoreError>) -> Result<&mut Known, StoreError> {
        let known = self.0.entry(target.into()).or_default();
        // Nothing is committed at version 0.
        if known.version != version || version == 0 {
            *known = Known { version, ..read()? };
        }
        Ok(known)
    }

    /// The latest rulings, as far as they are known; a commit that fails has to find them again.
    pub fn take_rulings(&mut self, target: &str, version: u64) -> ruling::Latest {
        let known = self.0.get_mut(target).filter(|known| known.version == version);
        known.map(|known| std::mem::take(&mut known.rulings)).unwrap_or_default()
    }

    /// A write of this handle, from mark to mark, changed what channels were told of these alerts, and of no others.
    pub fn told<'a>(&mut self, before: Mark, after: Mark, changed: impl Iterator<Item = &'a Fingerprint> + Clone) {
        for known in self.0.values_mut().filter(|known| known.told_at == Some(before)) {
            known.told_at = Some(after);
            known.stale.extend(changed.clone().filter(|fingerprint| known.alerts.contains_key(*fingerprint)).cloned());
        }
    }

    /// A tick of this handle was committed, from mark to mark.
    pub fn committed(&mut self, commit: &TickCommit<'_>, rulings: ruling::Latest, before: Mark, after: Mark) {
        if let Some(known) = self.0.get_mut(commit.target).filter(|known| known.version == commit.base_version) {
            known.follow(commit, rulings);
        }
        self.told(before, after, commit.decision.tellings.iter().map(Telling::fingerprint));
    }
}

impl Known {
    fn follow(&mut self, commit: &TickCommit<'_>, rulings: ruling::Latest) {
        let book = &commit.decision.book;
        self.version = self.version.saturating_add(1);
        self.rules.clone_from(&book.rules);
        self.flaps.clone_from(&book.flaps);
        self.rulings = rulings;
        for fingerprint in &commit.decision.removed {
            self.alerts.remove(fingerprint);
            self.stale.insert(fingerprint.clone());
        }
        for alert in commit.decision.changed.iter().filter_map(|fingerprint| book.alerts.get(fingerprint)) {
            let before = self.alerts.insert(alert.fingerprint.clone(), alert.clone());
            if before.is_none_or(|before| before.episode != alert.episode) {
                self.stale.insert(alert.fingerprint.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Store;
    use super::super::testing::{alert, at, dead, decision, delivered, notice, snapshot, two_handles};
    use super::*;
    use crate::model::{Ack, AckMode, Decision, NoticeKind, Severity};

    #[derive(Debug, Clone)]
    enum Step {
        Tick { changes: Option<(u8, u8)>, tells: bool, removes: Option<u8> },
        Lease,
        Finish { is_dead: bool },
        Ack { of: u8 },
        Prune,
    }

    fn steps() -> impl Strategy<Value = Vec<(bool, Step)>> {
        let step = prop_oneof![
            4 => (prop::option::of((0u8..4, 0u8..3)), any::<bool>(), prop::option::of(0u8..4))
                .prop_map(|(changes, tells, removes)| Step::Tick { changes, tells, removes }),
            1 => Just(Step::Lease),
            2 => any::<bool>().prop_map(|is_dead| Step::Finish { is_dead }),
            1 => (0u8..4).prop_map(|of| Step::Ack { of }),
            1 => Just(Step::Prune),
        ];
        prop::collection::vec((any::<bool>(), step), 1..25)
    }

    fn tick(store: &mut Store, s: i64, changes: Option<(u8, u8)>, tells: bool, removes: Option<u8>) {
        let changed: Vec<Alert> = changes.map(|(n, episode)| alert(&format!("f{n}"), &format!("e{n}{episode}"))).into_iter().collect();
        let told: Vec<_> =
            changed.iter().filter(|_| tells).map(|alert| notice(&format!("k{s}"), alert, "log", NoticeKind::Firing)).collect();
        let mut decided = decision(&changed, &told);
        decided.removed = removes.map(|n| Fingerprint(format!("f{n}"))).into_iter().filter(|f| !decided.changed.contains(f)).collect();
        let book = store.book("shop").unwrap();
        // As `decide` leaves it: what did not change stays in the book.
        for (fingerprint, alert) in book.alerts {
            if !decided.removed.contains(&fingerprint) {
                decided.book.alerts.entry(fingerprint).or_insert(alert);
            }
        }
        decided.book.rules.insert("r".into(), RuleHealth { evaluations: s.unsigned_abs(), ..RuleHealth::default() });
        store.commit_simply(&snapshot(s, &[]), &decided).unwrap();
    }

    fn finish(store: &mut Store, s: i64, is_dead: bool) {
        store.end_due("log", s, &if is_dead { dead("no") } else { delivered("") });
    }

    fn ack(store: &mut Store, s: i64, of: u8) {
        let fingerprint = Fingerprint(format!("f{of}"));
        for alert in store.alerts_by_prefix(&fingerprint.0).unwrap() {
            let (episode, who) = (alert.episode, "ann".to_string());
            let ack =
                Ack { episode, who, note: String::new(), at: at(s), until: None, mode: AckMode::UntilResolved, severity: Severity::Info };
            store.ack("shop", &fingerprint, &ack).unwrap();
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn whoever_writes_the_book_is_what_the_file_says(steps in steps()) {
            let (folder, one, two) = two_handles();
            let mut handles = [one, two];
            for (s, (which, step)) in steps.into_iter().enumerate() {
                let s = 10 + s as i64 * 20;
                let store = &mut handles[usize::from(which)];
                match step {
                    Step::Tick { changes, tells, removes } => tick(store, s, changes, tells, removes),
                    Step::Lease => drop(store.lease_rows("log", "dies", s, 64)),
                    Step::Finish { is_dead } => finish(store, s, is_dead),
                    Step::Ack { of } => ack(store, s, of),
                    Step::Prune => drop(store.prune(at(s), 30, u64::MAX).unwrap()),
                }
                let file = Store::open(&folder.path().join("store.db")).unwrap();
                for store in &handles {
                    prop_assert_eq!(store.book("shop").unwrap(), file.book("shop").unwrap());
                }
            }
        }
    }

    #[test]
    fn an_alert_that_did_not_change_is_read_once() {
        let (_folder, mut store, _) = two_handles();
        store.commit_simply(&snapshot(0, &[]), &decision(&[alert("f1", "e1"), alert("f2", "e2")], &[])).unwrap();
        let read = store.book("shop").unwrap().alerts;
        let changed = Decision { book: store.book("shop").unwrap(), ..Decision::default() };
        store.commit_simply(&snapshot(60, &[]), &changed).unwrap();
        let after = store.book("shop").unwrap().alerts;
        assert!(read.values().zip(after.values()).all(|(before, after)| Arc::ptr_eq(before, after)));
    }
}
