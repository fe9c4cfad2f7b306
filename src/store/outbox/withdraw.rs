//! Taking back: notices that wait, were never tried and are not to be told now are collapsed, with the reason. Nobody was told
//! of them, so they are decided anew once nothing keeps them back; an escalation goes a step back for that.

use chrono::{DateTime, Utc};
use rusqlite::{Transaction, params};

use super::super::cache::Mark;
use super::super::codec::micros;
use super::super::{Store, StoreError, book, history};
use crate::model::{DecisionRecord, NoticeKind, Withdrawn};

impl Store {
    /// Takes notices of one target back, as `alert::withdrawn` found them in the book of that version. Those that were tried
    /// meanwhile go on. An acknowledgement goes along when nothing is left of what it is about. How many there were.
    ///
    /// # Errors
    /// `Conflict` when the book has changed since, or why the store cannot be written. Nothing is changed then.
    pub fn withdraw(&mut self, target: &str, version: u64, list: &[Withdrawn], now: DateTime<Utc>) -> Result<usize, StoreError> {
        let tx = self.write()?;
        let before = Mark::of(&tx)?;
        book::check_version(&tx, target, version)?;
        let (mut count, mut steps_back) = (0, false);
        for one in list {
            let taken = take_back(&tx, one, micros(now))?;
            if taken.is_empty() {
                continue;
            }
            count += taken.len();
            let (fingerprint, channel, reason) = (one.fingerprint.clone(), Some(one.channel.clone()), one.reason.clone());
            history::put_choices(&tx, &[DecisionRecord { fingerprint, channel, sent: false, reason }], now)?;
            if taken.iter().any(|kind| kind == NoticeKind::Escalated.as_str()) && !one.steps.is_empty() {
                book::step_back(&tx, target, one)?;
                steps_back = true;
            }
        }
        if steps_back {
            book::count_version(&tx, target)?;
        }
        let after = Mark::of(&tx)?;
        tx.commit()?;
        self.cache.get_mut().told(before, after, list.iter().map(|one| &one.fingerprint));
        Ok(count)
    }
}

/// The kinds of what was taken back.
fn take_back(tx: &Transaction<'_>, one: &Withdrawn, now: i64) -> Result<Vec<String>, StoreError> {
    let waits = "UPDATE outbox SET state = 'collapsed', finished_at = ?3, error = ?4
                 WHERE episode = ?1 AND channel = ?2 AND state = 'waiting' AND attempts = 0";
    let kinds: Vec<String> = one.kinds.iter().map(|kind| format!("'{kind}'")).collect();
    let of_kinds = format!("{waits} AND kind IN ({}) RETURNING kind", kinds.join(", "));
    let acknowledged = format!(
        "{waits} AND kind = 'acknowledged' AND NOT EXISTS (SELECT 1 FROM outbox AS other WHERE other.episode = ?1 AND other.channel = ?2
         AND other.kind <> 'acknowledged' AND other.state IN ('waiting', 'delivered')) RETURNING kind"
    );
    let mut taken = Vec::new();
    for sql in [of_kinds, acknowledged] {
        let mut query = tx.prepare_cached(&sql)?;
        let rows = query.query_map(params![one.episode, one.channel, now, one.reason.to_string()], |row| row.get(0))?;
        taken.extend(rows.collect::<Result<Vec<String>, _>>()?);
    }
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{alert, at, decision, notice, snapshot, two_handles};
    use super::*;
    use crate::model::{Alert, Escalated, Notice, Reason};
    use crate::store::{AttemptOutcome, NoticeState};

    /// Takes back all that is about the alert, for that channel.
    fn take_back(store: &mut Store, alert: &Alert, s: i64) -> usize {
        let kinds = vec![NoticeKind::Firing, NoticeKind::Raised, NoticeKind::Repeat, NoticeKind::Escalated];
        let (fingerprint, episode) = (alert.fingerprint.clone(), alert.episode.clone());
        let reason = Reason::Silenced { id: "s1".into(), author: "ann".into(), until: at(3_600) };
        let one = Withdrawn { fingerprint, episode, channel: "mail".into(), kinds, reason, steps: vec![("prod".into(), 1)] };
        let version = store.book("shop").unwrap().version;
        store.withdraw("shop", version, &[one], at(s)).unwrap()
    }

    fn states(store: &Store) -> Vec<(NoticeKind, &'static str, Option<String>)> {
        let word = |state: &NoticeState| match state {
            NoticeState::Waiting { .. } => "waiting",
            NoticeState::Delivered { .. } => "delivered",
            NoticeState::Dead { .. } => "dead",
            NoticeState::Collapsed { .. } => "collapsed",
            NoticeState::Handed { .. } => "handed",
        };
        store.notices_of("f1").unwrap().into_iter().map(|sent| (sent.notice.kind, word(&sent.state), sent.error)).collect()
    }

    const SILENCED: &str = "silence s1 by ann until 1970-01-01 01:00Z";

    #[test]
    fn what_was_never_tried_is_taken_back_with_the_reason_and_told_under_its_key_when_it_is_decided_again() {
        let (_folder, mut store, _) = two_handles();
        let firing = alert("f1", "e1");
        let told = [notice("k", &firing, "mail", NoticeKind::Firing)];
        store.commit_simply(&snapshot(0, &[]), &decision(std::slice::from_ref(&firing), &told)).unwrap();
        assert_eq!(store.book("shop").unwrap().told.len(), 1);
        assert_eq!(take_back(&mut store, &firing, 5), 1);
        assert_eq!(states(&store), [(NoticeKind::Firing, "collapsed", Some(SILENCED.into()))]);
        assert_eq!(store.decision_records("f1").unwrap().pop().unwrap().record.reason.to_string(), SILENCED);
        assert_eq!((store.book("shop").unwrap().told.len(), store.lease_rows("mail", "me", 6, 9).len()), (0, 0), "nobody was told");
        store.commit_simply(&snapshot(60, &[]), &decision(&[firing], &told)).unwrap();
        assert_eq!(states(&store), [(NoticeKind::Firing, "waiting", None)], "at once, and not after an hour");
        assert_eq!(store.lease_rows("mail", "me", 61, 9)[0].notice.key, "k");
    }

    #[test]
    fn what_was_tried_goes_on_and_what_waits_behind_it_is_taken_back() {
        let (_folder, mut store, _) = two_handles();
        let firing = alert("f1", "e1");
        let told =
            [NoticeKind::Firing, NoticeKind::Raised, NoticeKind::Acknowledged].map(|kind| notice(kind.as_str(), &firing, "mail", kind));
        store.commit_simply(&snapshot(0, &[]), &decision(std::slice::from_ref(&firing), &told)).unwrap();
        store.end_due("mail", 1, &AttemptOutcome::Retry { at: at(30), error: "busy".into() });
        assert_eq!(take_back(&mut store, &firing, 5), 1);
        let kept = [(NoticeKind::Firing, "waiting"), (NoticeKind::Raised, "collapsed"), (NoticeKind::Acknowledged, "waiting")];
        assert_eq!(states(&store).into_iter().map(|(kind, state, _)| (kind, state)).collect::<Vec<_>>(), kept);
        assert_eq!(take_back(&mut store, &firing, 6), 0);
    }

    #[test]
    fn an_acknowledgement_of_what_was_taken_back_is_told_to_nobody() {
        let (_folder, mut store, _) = two_handles();
        let firing = alert("f1", "e1");
        let acknowledged = notice("ack", &firing, "mail", NoticeKind::Acknowledged);
        let told = [notice("k", &firing, "mail", NoticeKind::Firing), acknowledged.clone()];
        store.commit_simply(&snapshot(0, &[]), &decision(std::slice::from_ref(&firing), &told)).unwrap();
        assert_eq!(take_back(&mut store, &firing, 5), 2);
        let late = Notice { key: "late".into(), ..acknowledged };
        store.commit_simply(&snapshot(60, &[]), &decision(std::slice::from_ref(&firing), &[late])).unwrap();
        assert!(states(&store).iter().all(|(_, state, _)| *state == "collapsed"), "{:?}", states(&store));
    }

    #[test]
    fn an_escalation_whose_notice_is_taken_back_goes_a_step_back() {
        let (_folder, mut store, _) = two_handles();
        let escalated = Escalated { steps: [("prod".to_string(), 2), ("other".to_string(), 2)].into(), ..Escalated::default() };
        let firing = Alert { escalated: Some(escalated), ..alert("f1", "e1") };
        let told = [notice("k", &firing, "mail", NoticeKind::Escalated)];
        store.commit_simply(&snapshot(0, &[]), &decision(std::slice::from_ref(&firing), &told)).unwrap();
        let version = store.book("shop").unwrap().version;
        assert_eq!(take_back(&mut store, &firing, 5), 1);
        let book = store.book("shop").unwrap();
        let steps = &book.alerts[&firing.fingerprint].escalated.as_ref().unwrap().steps;
        assert_eq!((steps["prod"], steps["other"]), (1, 2));
        assert_eq!(book.version, version + 1, "a tick that was decided meanwhile is decided again");
        assert!(matches!(store.withdraw("shop", version, &[], at(6)), Err(StoreError::Conflict { .. })));
    }
}
