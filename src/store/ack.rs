//! Acknowledgements of living episodes. One that is made or taken back counts the book's version, so that a tick that was
//! decided without it is decided again.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rusqlite::{Connection, Transaction, params};

use super::codec::{from_json, to_json};
use super::{Store, StoreError, TickCommit, book, history};
use crate::model::{Ack, DecisionRecord, Fingerprint, Reason};

impl Store {
    /// Acknowledges an alert, in place of an earlier acknowledgement; `false` when that episode is over.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn ack(&mut self, target: &str, fingerprint: &Fingerprint, ack: &Ack) -> Result<bool, StoreError> {
        let body = to_json("an acknowledgement", ack)?;
        let tx = self.write()?;
        let sql = "INSERT OR REPLACE INTO ack (target, fingerprint, body)
                   SELECT target, fingerprint, ?3 FROM alert WHERE target = ?1 AND fingerprint = ?2 AND episode = ?4";
        let taken = tx.execute(sql, params![target, fingerprint.0, body, ack.episode])? > 0;
        if taken {
            book::count_version(&tx, target)?;
        }
        tx.commit()?;
        Ok(taken)
    }

    /// Takes an acknowledgement back and writes down who did; `false` when there is none.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn unack(&mut self, target: &str, fingerprint: &Fingerprint, who: &str, at: DateTime<Utc>) -> Result<bool, StoreError> {
        let tx = self.write()?;
        let gone = tx.execute("DELETE FROM ack WHERE target = ?1 AND fingerprint = ?2", params![target, fingerprint.0])? > 0;
        if gone {
            book::count_version(&tx, target)?;
            let reason = Reason::AckEnded { detail: format!("taken back by {who}") };
            history::put_choices(&tx, &[DecisionRecord { fingerprint: fingerprint.clone(), channel: None, sent: false, reason }], at)?;
        }
        tx.commit()?;
        Ok(gone)
    }

    /// The acknowledgements of a target's living episodes.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn acks(&self, target: &str) -> Result<BTreeMap<Fingerprint, Ack>, StoreError> {
        of_book(&self.db, target)
    }
}

pub(super) fn of_book(db: &Connection, target: &str) -> Result<BTreeMap<Fingerprint, Ack>, StoreError> {
    let sql = "SELECT fingerprint, alert.episode, ack.body FROM ack JOIN alert USING (target, fingerprint) WHERE target = ?1";
    let mut query = db.prepare_cached(sql)?;
    let mut rows = query.query([target])?;
    let mut acks = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let episode: String = row.get(1)?;
        let ack = from_json::<Ack>("an acknowledgement", row.get_ref(2)?.as_str().unwrap_or_default());
        if let Some(ack) = ack.filter(|ack| ack.episode == episode) {
            acks.insert(Fingerprint(row.get(0)?), ack);
        }
    }
    Ok(acks)
}

/// Those that the tick ended, and those of alerts that are over.
pub(super) fn put(tx: &Transaction<'_>, commit: &TickCommit<'_>) -> Result<(), StoreError> {
    let mut delete = tx.prepare_cached("DELETE FROM ack WHERE target = ?1 AND fingerprint = ?2")?;
    let ended = commit.decision.ended_acks.iter().map(|(fingerprint, _)| fingerprint);
    for fingerprint in ended.chain(&commit.decision.removed) {
        delete.execute(params![commit.target, fingerprint.0])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{alert, at, decision, snapshot, two_handles};
    use super::*;
    use crate::model::{AckMode, Alert, Decision, Severity};

    fn ack_of(alert: &Alert) -> Ack {
        Ack {
            episode: alert.episode.clone(),
            who: "ann".into(),
            note: "on it".into(),
            at: at(30),
            until: None,
            mode: AckMode::UntilChange,
            severity: Severity::Warning,
        }
    }

    fn acked(store: &Store) -> Vec<String> {
        store.book("shop").unwrap().acks.into_keys().map(|fingerprint| fingerprint.0).collect()
    }

    #[test]
    fn an_acknowledgement_made_beside_a_service_makes_it_decide_again() {
        let (_folder, mut service, mut person) = two_handles();
        let firing = alert("f1", "e1");
        service.commit_simply(&snapshot(0, &[]), &decision(std::slice::from_ref(&firing), &[])).unwrap();
        let version = service.book("shop").unwrap().version;
        let found = person.alerts_by_prefix("f").unwrap();
        assert_eq!(found, std::slice::from_ref(&firing));
        assert!(person.ack("shop", &firing.fingerprint, &ack_of(&firing)).unwrap());
        let book = service.book("shop").unwrap();
        assert_eq!((book.version, &book.acks[&firing.fingerprint]), (version + 1, &ack_of(&firing)));
    }

    #[test]
    fn what_is_over_cannot_be_acknowledged_and_the_end_takes_the_acknowledgement_along() {
        let (_folder, mut store, _) = two_handles();
        let firing = alert("f1", "e1");
        assert!(!store.ack("shop", &firing.fingerprint, &ack_of(&firing)).unwrap());
        store.commit_simply(&snapshot(0, &[]), &decision(std::slice::from_ref(&firing), &[])).unwrap();
        assert!(!store.ack("shop", &firing.fingerprint, &ack_of(&alert("f1", "e0"))).unwrap(), "of an earlier episode");
        assert!(store.ack("shop", &firing.fingerprint, &ack_of(&firing)).unwrap());
        let over = Decision { removed: vec![firing.fingerprint.clone()], ..Decision::default() };
        store.commit_simply(&snapshot(60, &[]), &over).unwrap();
        store.commit_simply(&snapshot(120, &[]), &decision(&[alert("f1", "e2")], &[])).unwrap();
        assert_eq!(acked(&store), Vec::<String>::new());
    }

    #[test]
    fn a_tick_ends_what_broke_and_a_person_takes_back_what_was_said() {
        let (_folder, mut store, _) = two_handles();
        let (one, two) = (alert("f1", "e1"), alert("f2", "e2"));
        store.commit_simply(&snapshot(0, &[]), &decision(&[one.clone(), two.clone()], &[])).unwrap();
        for alert in [&one, &two] {
            assert!(store.ack("shop", &alert.fingerprint, &ack_of(alert)).unwrap());
        }
        assert_eq!(acked(&store), ["f1", "f2"]);
        let broke = Decision {
            ended_acks: vec![(one.fingerprint.clone(), Reason::AckEnded { detail: "severity rose".into() })],
            ..decision(&[one, two.clone()], &[])
        };
        store.commit_simply(&snapshot(60, &[]), &broke).unwrap();
        assert_eq!(acked(&store), ["f2"]);
        assert!(store.unack("shop", &two.fingerprint, "bob", at(90)).unwrap());
        assert!(!store.unack("shop", &two.fingerprint, "bob", at(91)).unwrap());
        let said: Vec<String> = store.decision_records("f2").unwrap().into_iter().map(|c| c.record.reason.to_string()).collect();
        assert_eq!(said, ["the acknowledgement has ended: taken back by bob"]);
    }
}
