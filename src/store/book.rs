//! The alert book of each target: living alerts, rule health, and what channels were told of them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Params, Transaction, params};

use super::cache::{Known, Mark, ToldAll};
use super::codec::{from_json, micros, time, to_json};
use super::{Store, StoreError, TickCommit, ack, silence};
use crate::model::{Alert, Book, Elsewhere, Fingerprint, Labels, State, Told, Withdrawn};

/// Alerts that a beginning of an id may mean; more only say that it is too short.
const FEW: u32 = 10;

impl Store {
    /// The book of a target; an empty one at version 0 for a target that is not known yet.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn book(&self, target: &str) -> Result<Book, StoreError> {
        let view = self.read()?;
        let mut query = view.prepare_cached("SELECT version, last_tick_at FROM target WHERE name = ?1")?;
        let found = query.query_row([target], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Option<i64>>(1)?))).optional()?;
        let Some((version, last_tick_at)) = found else {
            return Ok(Book { silences: silence::of_book(&view, None)?, ..Book::default() });
        };
        let version = version.unsigned_abs();
        let mut cache = self.cache.borrow_mut();
        let known = cache.at(target, version, || read(&view, target))?;
        refresh_told(&view, target, known)?;
        Ok(Book {
            version,
            alerts: known.alerts.clone(),
            rules: known.rules.clone(),
            told: known.told.clone(),
            acks: ack::of_book(&view, target)?,
            silences: silence::of_book(&view, last_tick_at.map(time))?,
            elsewhere: Vec::new(),
            flaps: known.flaps.clone(),
        })
    }

    /// Firing and recovering alerts of all other targets, as matchers see them.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn elsewhere(&self, target: &str) -> Result<Vec<Elsewhere>, StoreError> {
        let view = self.read()?;
        let clusters = clusters(&view)?;
        let mut query = view.prepare_cached("SELECT name, version FROM target WHERE name <> ?1 ORDER BY name")?;
        let mut rows = query.query([target])?;
        let (mut cache, mut elsewhere) = (self.cache.borrow_mut(), Vec::new());
        while let Some(row) = rows.next()? {
            let (name, version): (String, i64) = (row.get(0)?, row.get(1)?);
            let known = cache.at(&name, version.unsigned_abs(), || read(&view, &name))?;
            let cluster = clusters.get(&name).map(String::as_str);
            let live = known.alerts.values().filter(|alert| matches!(alert.state, State::Firing | State::Recovering));
            elsewhere.extend(live.map(|alert| Elsewhere { fingerprint: alert.fingerprint.clone(), labels: alert.flat_labels(cluster) }));
        }
        Ok(elsewhere)
    }

    /// Living alerts whose fingerprint begins so, a few at most. `alerts_like` finds past ones too.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn alerts_by_prefix(&self, prefix: &str) -> Result<Vec<Alert>, StoreError> {
        let which = "fingerprint BETWEEN ?1 AND ?2 ORDER BY fingerprint, target LIMIT ?3";
        read_alerts(&self.db, which, params![prefix, format!("{prefix}{}", char::MAX), FEW])
    }

    /// Living alerts of one target, or of all.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn alerts(&self, target: Option<&str>) -> Result<Vec<Alert>, StoreError> {
        alerts(&self.db, target)
    }
}

/// The cluster of each target that is of one, as its latest tick says.
pub(super) fn clusters(db: &Connection) -> Result<BTreeMap<String, String>, StoreError> {
    // A torn head is nobody's cluster, and no error: the book of everything else goes on.
    let mut query = db.prepare_cached(
        "SELECT target.name, json_extract(head, '$.target.cluster') AS cluster FROM target JOIN tick ON tick.id = target.last_tick
         WHERE json_valid(head) AND json_type(head, '$.target.cluster') = 'text'",
    )?;
    let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) fn alerts(db: &Connection, target: Option<&str>) -> Result<Vec<Alert>, StoreError> {
    read_alerts(db, "?1 IS NULL OR target = ?1 ORDER BY target, fingerprint", [target])
}

/// What cannot be read, or is not what was written, is left out with a line in the log: the others go on.
fn read_alerts(db: &Connection, which: &str, params: impl Params) -> Result<Vec<Alert>, StoreError> {
    let mut query = db.prepare_cached(&format!("SELECT target, fingerprint, episode, body, sum FROM alert WHERE {which}"))?;
    let mut rows = query.query(params)?;
    let mut alerts = Vec::new();
    while let Some(row) = rows.next()? {
        let text = |at: usize| Ok::<_, StoreError>(row.get_ref(at)?.as_str().unwrap_or_default());
        let (fingerprint, body) = (text(1)?, text(3)?);
        let written: Option<i64> = row.get(4)?;
        let found = i64::from(sum([text(0)?, fingerprint, text(2)?, body]));
        if written.is_some_and(|written| written != found) {
            tracing::error!(fingerprint, "the disk has changed a stored alert; it begins anew if it still holds");
            continue;
        }
        alerts.extend(from_json::<Alert>("an alert", body));
    }
    Ok(alerts)
}

fn sum(parts: [&str; 4]) -> u32 {
    let mut crc = flate2::Crc::new();
    for part in parts {
        crc.update(part.as_bytes());
        crc.update(&[0]);
    }
    crc.sum()
}

/// A book as it is stored, but for what was told.
fn read(db: &Connection, target: &str) -> Result<Known, StoreError> {
    let mut query = db.prepare_cached("SELECT rules, flaps FROM target WHERE name = ?1")?;
    let (rules, flaps): (String, String) = query.query_row([target], |row| Ok((row.get(0)?, row.get(1)?)))?;
    // Alerts of one rule have the same labels: they are kept once.
    let mut labels: HashMap<String, Labels> = HashMap::new();
    let mut known = Known {
        rules: from_json("the rule health", &rules).unwrap_or_default(),
        flaps: from_json("how subjects come and go", &flaps).unwrap_or_default(),
        ..Known::default()
    };
    for mut alert in alerts(db, Some(target))? {
        match labels.get(&alert.rule) {
            Some(same) if *same == alert.labels => alert.labels = same.clone(),
            _ => drop(labels.insert(alert.rule.clone(), alert.labels.clone())),
        }
        known.alerts.insert(alert.fingerprint.clone(), Arc::new(alert));
    }
    Ok(known)
}

/// Brings what was told up to date: all of it, or where few alerts are concerned, those.
fn refresh_told(db: &Connection, target: &str, known: &mut Known) -> Result<(), StoreError> {
    let now = Mark::of(db)?;
    let stale = std::mem::take(&mut known.stale);
    if known.told_at != Some(now) || stale.len() * 4 > known.alerts.len() {
        known.told_at = None;
        known.told = Arc::new(told(db, target)?);
        known.told_at = Some(now);
    } else if !stale.is_empty() {
        known.told_at = None;
        let all = Arc::make_mut(&mut known.told);
        for fingerprint in stale {
            all.remove(&fingerprint);
            read_told(db, OF_ALERT, params![target, fingerprint.0], all)?;
        }
        known.told_at = Some(now);
    }
    Ok(())
}

/// The latest notice of each living episode that a channel has, or will have; what was given up, collapsed or handed
/// to another told it nothing.
fn told(db: &Connection, target: &str) -> Result<ToldAll, StoreError> {
    let mut all = ToldAll::new();
    read_told(db, OF_TARGET, params![target], &mut all)?;
    Ok(all)
}

const OF_TARGET: &str = "alert.target = ?1";
const OF_ALERT: &str = "alert.target = ?1 AND alert.fingerprint = ?2";

fn read_told(db: &Connection, of: &str, params: impl Params, all: &mut ToldAll) -> Result<(), StoreError> {
    let mut query = db.prepare_cached(&format!(
        "SELECT outbox.fingerprint, outbox.channel, outbox.episode, outbox.kind, outbox.severity, outbox.queued_at,
                outbox.finished_at, max(outbox.id)
         FROM alert CROSS JOIN outbox ON outbox.episode = alert.episode AND +outbox.fingerprint = alert.fingerprint
         WHERE {of} AND outbox.state IN ('waiting', 'delivered')
         GROUP BY outbox.episode, outbox.channel"
    ))?;
    let mut rows = query.query(params)?;
    while let Some(row) = rows.next()? {
        let word = |at: usize| -> Result<String, StoreError> { Ok(format!("\"{}\"", row.get_ref(at)?.as_str().unwrap_or_default())) };
        let (Some(kind), Some(severity)) = (from_json("a notice", &word(3)?), from_json("a notice", &word(4)?)) else { continue };
        let entry = Told {
            episode: row.get(2)?,
            kind,
            severity,
            queued_at: time(row.get(5)?),
            delivered_at: row.get::<_, Option<i64>>(6)?.map(time),
        };
        all.entry(Fingerprint(row.get(0)?)).or_default().insert(row.get(1)?, entry);
    }
    Ok(())
}

pub(super) fn check_version(tx: &Transaction<'_>, target: &str, expected: u64) -> Result<(), StoreError> {
    let sql = "SELECT version FROM target WHERE name = ?1";
    let found = tx.query_row(sql, [target], |row| row.get::<_, i64>(0)).optional()?.unwrap_or(0).unsigned_abs();
    if found == expected { Ok(()) } else { Err(StoreError::Conflict { target: target.into(), expected, found }) }
}

/// A change to the book that is not a tick's.
pub(super) fn count_version(tx: &Transaction<'_>, target: &str) -> Result<(), StoreError> {
    tx.execute("UPDATE target SET version = version + 1 WHERE name = ?1", [target])?;
    Ok(())
}

/// The book after the tick: changed and removed alerts, rule health, the next version.
pub(super) fn put(tx: &Transaction<'_>, commit: &TickCommit<'_>, tick: i64) -> Result<(), StoreError> {
    let book = &commit.decision.book;
    tx.execute(
        "INSERT INTO target (name, version, rules, flaps, last_tick, last_tick_at) VALUES (?1, 1, ?2, ?3, ?4, ?5)
         ON CONFLICT (name) DO UPDATE SET version = version + 1, rules = excluded.rules, flaps = excluded.flaps,
                                          last_tick = excluded.last_tick, last_tick_at = excluded.last_tick_at",
        params![
            commit.target,
            to_json("the rule health", &book.rules)?,
            to_json("how subjects come and go", &book.flaps)?,
            tick,
            micros(commit.snapshot.taken_at)
        ],
    )?;
    for alert in commit.decision.changed.iter().filter_map(|fingerprint| book.alerts.get(fingerprint)) {
        keep(tx, commit.target, alert)?;
    }
    let mut remove = tx.prepare_cached("DELETE FROM alert WHERE target = ?1 AND fingerprint = ?2")?;
    for fingerprint in &commit.decision.removed {
        remove.execute(params![commit.target, fingerprint.0])?;
    }
    Ok(())
}

fn keep(tx: &Transaction<'_>, target: &str, alert: &Alert) -> Result<(), StoreError> {
    let body = to_json("an alert", alert)?;
    let sum = sum([target, &alert.fingerprint.0, &alert.episode, &body]);
    let sql = "INSERT OR REPLACE INTO alert (target, fingerprint, episode, body, sum) VALUES (?1, ?2, ?3, ?4, ?5)";
    tx.prepare_cached(sql)?.execute(params![target, alert.fingerprint.0, alert.episode, body, sum])?;
    Ok(())
}

/// Lets escalations take again the step whose notice was taken back.
pub(super) fn step_back(tx: &Transaction<'_>, target: &str, withdrawn: &Withdrawn) -> Result<(), StoreError> {
    for mut alert in read_alerts(tx, "target = ?1 AND fingerprint = ?2", params![target, withdrawn.fingerprint.0])? {
        let Some(escalated) = &mut alert.escalated else { continue };
        for (chain, steps) in &withdrawn.steps {
            escalated.steps.entry(chain.clone()).and_modify(|taken| *taken = (*taken).min(*steps));
        }
        keep(tx, target, &alert)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{alert, at, dead, decision, delivered, notice, snapshot, two_handles};
    use super::super::{AttemptOutcome, Store};
    use super::*;
    use crate::model::{Decision, Flap, NoticeKind, RuleHealth, Severity};

    fn told_by_console(store: &Store) -> Option<(NoticeKind, bool)> {
        let book = store.book("shop").unwrap();
        book.told.get(&Fingerprint("f1".into()))?.get("console").map(|told| (told.kind, told.delivered_at.is_some()))
    }

    fn attempt(store: &mut Store, s: i64, outcome: &AttemptOutcome) {
        store.end_due("console", s, outcome);
    }

    #[test]
    fn the_book_is_what_the_last_tick_left() {
        let (_folder, mut store, other) = two_handles();
        let (first, second) = (alert("f1", "e1"), alert("f2", "e2"));
        let mut before = decision(&[first.clone(), second.clone()], &[]);
        before.book.rules.insert("too_many".into(), RuleHealth { errors: 2, ..RuleHealth::default() });
        store.commit_simply(&snapshot(0, &[]), &before).unwrap();

        let worse = Alert { severity: Severity::Critical, ..second };
        let mut after = decision(std::slice::from_ref(&worse), &[]);
        after.removed = vec![first.fingerprint];
        store.commit_simply(&snapshot(60, &[]), &after).unwrap();
        let book = other.book("shop").unwrap();
        assert_eq!(book.version, 2);
        assert_eq!(book.alerts.values().map(AsRef::as_ref).collect::<Vec<_>>(), [&worse]);
        assert!(book.rules.is_empty(), "the rule is gone from the rule set");
        assert_eq!(other.book("unknown").unwrap(), Book::default());
        assert_eq!(other.alerts(None).unwrap(), [worse]);
        assert_eq!(other.alerts(Some("unknown")).unwrap(), []);
    }

    #[test]
    fn told_follows_the_outbox_and_forgets_dead_letters() {
        let (_folder, mut store, _) = two_handles();
        let firing = alert("f1", "e1");
        let tell = |key: &str, kind| decision(std::slice::from_ref(&firing), &[notice(key, &firing, "console", kind)]);
        assert_eq!(told_by_console(&store), None);
        store.commit_simply(&snapshot(0, &[]), &tell("k1", NoticeKind::Firing)).unwrap();
        assert_eq!(told_by_console(&store), Some((NoticeKind::Firing, false)));
        attempt(&mut store, 1, &delivered("ok"));
        assert_eq!(told_by_console(&store), Some((NoticeKind::Firing, true)));
        store.commit_simply(&snapshot(60, &[]), &tell("k2", NoticeKind::Raised)).unwrap();
        assert_eq!(told_by_console(&store), Some((NoticeKind::Raised, false)));
        attempt(&mut store, 61, &dead("no such room"));
        assert_eq!(told_by_console(&store), Some((NoticeKind::Firing, true)));
    }

    #[test]
    fn what_an_earlier_episode_was_told_does_not_count_for_the_next() {
        let (_folder, mut store, _) = two_handles();
        let (first, second) = (alert("f1", "e1"), alert("f1", "e2"));
        let told = notice("k1", &first, "console", NoticeKind::Firing);
        store.commit_simply(&snapshot(0, &[]), &decision(&[first], &[told])).unwrap();
        store.commit_simply(&snapshot(60, &[]), &decision(&[second], &[])).unwrap();
        assert_eq!(told_by_console(&store), None);
    }

    #[test]
    fn how_subjects_come_and_go_is_part_of_the_book() {
        let (_folder, mut store, other) = two_handles();
        let mut calm = decision(&[], &[]);
        calm.book.flaps.insert(Fingerprint("f1".into()), Flap { changes: vec![3, 5, 6], since: Some(at(60)), ..Flap::default() });
        store.commit_simply(&snapshot(0, &[]), &calm).unwrap();
        assert_eq!(other.book("shop").unwrap().flaps, calm.book.flaps);
    }

    #[test]
    fn firing_alerts_of_other_targets_are_seen_as_matchers_see_them() {
        let (_folder, mut store, _) = two_handles();
        let mut firing = alert("f1", "e1");
        firing.subject = [("table", "orders")].into_iter().collect();
        firing.labels = [("team", "shop")].into_iter().collect();
        firing.category = "vacuum".into();
        let pending = Alert { state: State::Pending, ..alert("f2", "e2") };
        let mut seen = snapshot(0, &[]);
        seen.target.cluster = Some("west".into());
        store.commit_simply(&seen, &decision(&[firing, pending], &[])).unwrap();
        let labels = [
            ("category", "vacuum"),
            ("cluster", "west"),
            ("rule", "too_many"),
            ("severity", "warning"),
            ("table", "orders"),
            ("target", "shop"),
            ("team", "shop"),
            ("tier", "ticket"),
        ];
        let expected = Elsewhere { fingerprint: Fingerprint("f1".into()), labels: labels.into_iter().collect() };
        assert_eq!(store.elsewhere("other").unwrap(), [expected]);
        assert_eq!(store.elsewhere("shop").unwrap(), []);
    }

    #[test]
    fn an_alert_that_cannot_be_read_does_not_stop_the_others() {
        let (_folder, mut store, other) = two_handles();
        store.commit_simply(&snapshot(0, &[]), &decision(&[alert("f1", "e1"), alert("f2", "e2")], &[])).unwrap();
        store.db.execute("UPDATE alert SET body = '{' WHERE fingerprint = 'f1'", []).unwrap();
        assert_eq!(other.book("shop").unwrap().alerts.into_keys().collect::<Vec<_>>(), [Fingerprint("f2".into())]);
    }

    #[test]
    fn committing_nothing_new_still_counts_the_version() {
        let (_folder, mut store, _) = two_handles();
        for s in 0..3 {
            store.commit_simply(&snapshot(s, &[]), &Decision::default()).unwrap();
        }
        assert_eq!(store.book("shop").unwrap().version, 3);
    }
}
