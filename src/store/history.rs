//! What happened and why: state changes, choices about notices, advice given, notices and what became of them.

use chrono::{DateTime, Utc};
use rusqlite::{Params, Row, Transaction, params};
use serde::de::DeserializeOwned;

use super::codec::{from_json, micros, time, to_json};
use super::{Store, StoreError, TickCommit};
use crate::model::{ActionRequest, DecisionRecord, Fingerprint, Notice, State, Transition};

/// No answer about one alert is longer than this; the latest entries are shown.
const MOST: u32 = 500;

/// Alerts that a beginning of an id may mean; more only say that it is too short.
const FEW: u32 = 10;

/// A choice about a notice and when it was first made.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// When.
    pub at: DateTime<Utc>,
    /// What was chosen, and why.
    pub record: DecisionRecord,
}

/// Advice that came with an alert.
#[derive(Debug, Clone, PartialEq)]
pub struct Proposal {
    /// When it was first given in its episode.
    pub at: DateTime<Utc>,
    /// The episode.
    pub episode: String,
    /// The advice.
    pub action: ActionRequest,
}

/// What became of a notice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoticeState {
    /// It waits to be told, not before `due`.
    Waiting {
        /// When it is tried next.
        due: DateTime<Utc>,
    },
    /// The channel took it.
    Delivered {
        /// When.
        at: DateTime<Utc>,
        /// What the channel answered.
        receipt: String,
    },
    /// It was given up; see the error.
    Dead {
        /// When.
        at: DateTime<Utc>,
    },
    /// The end came before the channel was told: there is nothing to tell any more. With an error: it was taken back for that
    /// reason before it was sent.
    Collapsed {
        /// When.
        at: DateTime<Utc>,
    },
    /// The channel could not be reached and its fallback was told; see the error.
    Handed {
        /// When.
        at: DateTime<Utc>,
    },
}

/// A notice and how its delivery went.
#[derive(Debug, Clone, PartialEq)]
pub struct SentNotice {
    /// Number of the outbox row.
    pub row: i64,
    /// The notice.
    pub notice: Notice,
    /// When it was committed.
    pub queued_at: DateTime<Utc>,
    /// Attempts begun.
    pub attempts: u32,
    /// What became of it.
    pub state: NoticeState,
    /// Why the latest attempt that failed did.
    pub error: Option<String>,
}

/// A target that the store knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetState {
    /// Its name.
    pub name: String,
    /// When its latest tick was taken.
    pub last_tick_at: Option<DateTime<Utc>>,
}

impl Store {
    /// State changes of an alert, through all its episodes, oldest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn alert_history(&self, fingerprint: &str) -> Result<Vec<Transition>, StoreError> {
        let sql = "SELECT body FROM transition WHERE fingerprint = ?1 ORDER BY id DESC LIMIT ?2";
        self.latest_of(sql, params![fingerprint, MOST], |row| body("a transition", row, 0))
    }

    /// Alerts, living and past ones, whose fingerprint begins so: target and fingerprint, a few at most.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn alerts_like(&self, prefix: &str) -> Result<Vec<(String, Fingerprint)>, StoreError> {
        let sql = "SELECT target, fingerprint FROM alert WHERE fingerprint BETWEEN ?1 AND ?2
                   UNION SELECT target, fingerprint FROM transition WHERE fingerprint BETWEEN ?1 AND ?2 LIMIT ?3";
        let mut query = self.db.prepare(sql)?;
        let last = format!("{prefix}{}", char::MAX);
        let rows = query.query_map(params![prefix, last, FEW], |row| Ok((row.get(0)?, Fingerprint(row.get(1)?))))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Choices about the notices of an alert, oldest first; one that stayed the same stands here once.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn decision_records(&self, fingerprint: &str) -> Result<Vec<Choice>, StoreError> {
        let sql = "SELECT body, at FROM choice WHERE fingerprint = ?1 ORDER BY id DESC LIMIT ?2";
        self.latest_of(sql, params![fingerprint, MOST], |row| {
            let at = time(row.get(1)?);
            Ok(body("a choice", row, 0)?.map(|record| Choice { at, record }))
        })
    }

    /// Advice that came with an alert, oldest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn proposals(&self, fingerprint: &str) -> Result<Vec<Proposal>, StoreError> {
        let sql = "SELECT body, at, episode FROM proposal WHERE fingerprint = ?1 ORDER BY id DESC LIMIT ?2";
        self.latest_of(sql, params![fingerprint, MOST], |row| {
            let (at, episode) = (time(row.get(1)?), row.get(2)?);
            Ok(body("an action", row, 0)?.map(|action| Proposal { at, episode, action }))
        })
    }

    /// Notices of an alert and what became of them, oldest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn notices_of(&self, fingerprint: &str) -> Result<Vec<SentNotice>, StoreError> {
        let sql = "SELECT body, id, queued_at, attempts, state, due_at, finished_at, receipt, error
                   FROM outbox WHERE fingerprint = ?1 ORDER BY id DESC LIMIT ?2";
        self.latest_of(sql, params![fingerprint, MOST], sent_notice)
    }

    /// The targets that have ever ticked, by name.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn targets(&self) -> Result<Vec<TargetState>, StoreError> {
        let mut query = self.db.prepare("SELECT name, last_tick_at FROM target ORDER BY name")?;
        let rows =
            query.query_map([], |row| Ok(TargetState { name: row.get(0)?, last_tick_at: row.get::<_, Option<i64>>(1)?.map(time) }))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Rows that a query gives newest first, turned round; what cannot be read is left out.
    pub(super) fn latest_of<T>(
        &self,
        sql: &str,
        params: impl Params,
        mut read: impl FnMut(&Row<'_>) -> rusqlite::Result<Option<T>>,
    ) -> Result<Vec<T>, StoreError> {
        let mut query = self.db.prepare(sql)?;
        let rows = query.query_map(params, |row| read(row))?;
        let mut list: Vec<T> = rows.filter_map(Result::transpose).collect::<Result<_, _>>()?;
        list.reverse();
        Ok(list)
    }
}

fn body<T: DeserializeOwned>(what: &str, row: &Row<'_>, at: usize) -> rusqlite::Result<Option<T>> {
    Ok(from_json(what, row.get_ref(at)?.as_str().unwrap_or_default()))
}

pub(super) fn sent_notice(row: &Row<'_>) -> rusqlite::Result<Option<SentNotice>> {
    let finished = time(row.get::<_, Option<i64>>(6)?.unwrap_or_default());
    let state = match row.get_ref(4)?.as_str().unwrap_or_default() {
        "delivered" => NoticeState::Delivered { at: finished, receipt: row.get::<_, Option<String>>(7)?.unwrap_or_default() },
        "dead" => NoticeState::Dead { at: finished },
        "collapsed" => NoticeState::Collapsed { at: finished },
        "handed" => NoticeState::Handed { at: finished },
        _ => NoticeState::Waiting { due: time(row.get(5)?) },
    };
    let (number, queued_at, attempts, error) = (row.get(1)?, time(row.get(2)?), row.get(3)?, row.get(8)?);
    Ok(body("a notice", row, 0)?.map(|notice| SentNotice { row: number, notice, queued_at, attempts, state, error }))
}

/// What the tick adds to the history.
pub(super) fn put(tx: &Transaction<'_>, commit: &TickCommit<'_>) -> Result<(), StoreError> {
    let at = micros(commit.now);
    let mut add = tx.prepare_cached("INSERT INTO transition (target, fingerprint, at, body) VALUES (?1, ?2, ?3, ?4)")?;
    for change in commit.decision.transitions() {
        add.execute(params![commit.target, change.fingerprint.0, micros(change.at), to_json("a transition", &change)?])?;
    }
    put_choices(tx, &commit.decision.records, commit.now)?;
    let mut add = tx.prepare_cached("INSERT OR IGNORE INTO proposal (fingerprint, episode, at, body) VALUES (?1, ?2, ?3, ?4)")?;
    let book = &commit.decision.book.alerts;
    for alert in commit.decision.changed.iter().filter_map(|f| book.get(f)).filter(|alert| alert.state == State::Firing) {
        for action in &alert.actions {
            add.execute(params![alert.fingerprint.0, alert.episode, at, to_json("an action", action)?])?;
        }
    }
    Ok(())
}

/// Choices as they are given: that they differ from the ones before is for `alert` to see.
pub(super) fn put_choices(tx: &Transaction<'_>, records: &[DecisionRecord], at: DateTime<Utc>) -> Result<(), StoreError> {
    let mut add = tx.prepare_cached("INSERT INTO choice (fingerprint, channel, at, body) VALUES (?1, ?2, ?3, ?4)")?;
    for record in records {
        let channel = record.channel.as_deref().unwrap_or_default();
        add.execute(params![record.fingerprint.0, channel, micros(at), to_json("a choice", record)?])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::AttemptOutcome;
    use super::super::testing::{alert, at, dead, decision, delivered, notice, snapshot, two_handles};
    use super::*;
    use crate::model::{Decision, NoticeKind, Reason};

    fn record(sent: bool, reason: Reason) -> DecisionRecord {
        DecisionRecord { fingerprint: Fingerprint("f1".into()), channel: Some("console".into()), sent, reason }
    }

    #[test]
    fn choices_are_told_in_the_order_in_which_they_were_made() {
        let (_folder, mut store, _) = two_handles();
        let ticks = [
            record(false, Reason::Waiting { proven_s: 0, for_s: 600 }),
            record(true, Reason::FirstOfEpisode),
            record(false, Reason::Deduplicated { until: at(3600) }),
        ];
        for (s, choice) in ticks.iter().enumerate() {
            let decided = Decision { records: vec![choice.clone()], ..Decision::default() };
            store.commit_simply(&snapshot(s as i64, &[]), &decided).unwrap();
        }
        let kept: Vec<(i64, DecisionRecord)> =
            store.decision_records("f1").unwrap().into_iter().map(|c| (c.at.timestamp(), c.record)).collect();
        assert_eq!(kept, [0, 1, 2].map(|tick: usize| (tick as i64, ticks[tick].clone())));
    }

    #[test]
    fn the_life_of_an_alert_can_be_told_from_its_transitions() {
        let (_folder, mut store, _) = two_handles();
        let step = |from, to, s| Transition {
            fingerprint: Fingerprint("f1".into()),
            episode: "e1".into(),
            rule: "too_many".into(),
            subject: Default::default(),
            severity: crate::model::Severity::Warning,
            from,
            to,
            reason: Reason::Cleared,
            summary: "s".into(),
            rule_hash: String::new(),
            labels: Default::default(),
            at: at(s),
        };
        let life = [step(State::Inactive, State::Pending, 0), step(State::Pending, State::Firing, 60)];
        for change in &life {
            let decided = Decision { steps: vec![change.clone().into()], ..Decision::default() };
            store.commit_simply(&snapshot(change.at.timestamp(), &[]), &decided).unwrap();
        }
        assert_eq!(store.alert_history("f1").unwrap(), life);
        assert_eq!(store.alert_history("f2").unwrap(), []);
        assert_eq!(store.alerts_like("f").unwrap(), [("shop".to_string(), Fingerprint("f1".into()))]);
        assert_eq!(store.alerts_like("f2").unwrap(), []);
        let known = TargetState { name: "shop".into(), last_tick_at: Some(at(60)) };
        assert_eq!(store.targets().unwrap(), [known]);
    }

    #[test]
    fn advice_is_kept_once_an_episode_and_only_when_it_fires() {
        let (_folder, mut store, _) = two_handles();
        let note = ActionRequest { kind: "note".into(), params: [("text".to_string(), "do it".to_string())].into(), ..Default::default() };
        let mut advised = alert("f1", "e1");
        advised.actions = vec![note.clone()];
        let mut pending = advised.clone();
        pending.state = State::Pending;
        store.commit_simply(&snapshot(0, &[]), &decision(&[pending], &[])).unwrap();
        assert_eq!(store.proposals("f1").unwrap(), []);
        store.commit_simply(&snapshot(60, &[]), &decision(std::slice::from_ref(&advised), &[])).unwrap();
        store.commit_simply(&snapshot(120, &[]), &decision(&[advised], &[])).unwrap();
        assert_eq!(store.proposals("f1").unwrap(), [Proposal { at: at(60), episode: "e1".into(), action: note }]);
    }

    #[test]
    fn what_became_of_each_notice_can_be_asked() {
        let (_folder, mut store, _) = two_handles();
        let firing = alert("f1", "e1");
        let tell = ["console", "log", "mail"].map(|channel| notice(channel, &firing, channel, NoticeKind::Firing));
        store.commit_simply(&snapshot(0, &[]), &decision(&[firing], &tell)).unwrap();
        let mut finish = |channel: &str, outcome: &AttemptOutcome| store.end_due(channel, 2, outcome);
        finish("console", &delivered("line 7"));
        finish("log", &AttemptOutcome::Retry { at: at(30), error: "disk full".into() });
        finish("mail", &dead("no such user"));
        let told: Vec<_> = store.notices_of("f1").unwrap().into_iter().map(|n| (n.notice.key, n.attempts, n.state, n.error)).collect();
        let row = |key: &str, state, error: Option<&str>| (key.to_string(), 1, state, error.map(String::from));
        assert_eq!(
            told,
            [
                row("console", NoticeState::Delivered { at: at(2), receipt: "line 7".into() }, None),
                row("log", NoticeState::Waiting { due: at(30) }, Some("disk full")),
                row("mail", NoticeState::Dead { at: at(2) }, Some("no such user")),
            ]
        );
    }
}
