//! Silences that people made: short writes of their own, beside whatever ticks. Those of the config are not here.

use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::{Connection, OptionalExtension, Params, Transaction, params};
use sha2::{Digest, Sha256};

use super::codec::{from_json, micros, to_json};
use super::{Store, StoreError, TickCommit};
use crate::model::Silence;

/// Silences that a beginning of an id may mean; more only say that it is too short.
const FEW: u32 = 10;

impl Store {
    /// Keeps a silence and returns its id, which is made here whatever the silence says.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn add_silence(&mut self, silence: &Silence) -> Result<String, StoreError> {
        let tx = self.write()?;
        let mut silence = silence.clone();
        let mut turn = 0_u64;
        // Of what it says, so that a replayed script makes the same; the turn tells two that are alike apart.
        while turn == 0 || exists(&tx, &silence.id)? {
            silence.id = name(&silence, turn)?;
            turn += 1;
        }
        let (ends_at, ended_at) = (micros(silence.ends_at), silence.ended.as_ref().map(|(at, _)| micros(*at)));
        let body = to_json("a silence", &silence)?;
        tx.execute(
            "INSERT INTO silence (id, ends_at, ended_at, body) VALUES (?1, ?2, ?3, ?4)",
            params![silence.id, ends_at, ended_at, body],
        )?;
        tx.commit()?;
        Ok(silence.id)
    }

    /// Ends a silence before its time; `false` when there is none of that id, or it is over.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn end_silence(&mut self, id: &str, at: DateTime<Utc>, why: &str) -> Result<bool, StoreError> {
        let tx = self.write()?;
        let ended = end(&tx, id, at, why)?;
        tx.commit()?;
        Ok(ended)
    }

    /// Silences that were not over at that time, those that begin later among them; by their end. All that are kept with
    /// `DateTime::<Utc>::MIN_UTC`.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn silences_since(&self, at: DateTime<Utc>) -> Result<Vec<Silence>, StoreError> {
        not_over(&self.db, micros(at))
    }

    /// Silences whose id begins so, a few at most; those that are over among them.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn silences_by_prefix(&self, prefix: &str) -> Result<Vec<Silence>, StoreError> {
        let sql = "SELECT body FROM silence WHERE id BETWEEN ?1 AND ?2 ORDER BY id LIMIT ?3";
        read(&self.db, sql, params![prefix, format!("{prefix}{}", char::MAX), FEW])
    }
}

/// Those that no longer matter to a tick ended a day before the one before it: what a silence kept back is told at the
/// first tick after it, with its name.
pub(super) fn of_book(db: &Connection, last_tick_at: Option<DateTime<Utc>>) -> Result<Vec<Silence>, StoreError> {
    let since = last_tick_at.and_then(|at| at.checked_sub_signed(TimeDelta::days(1)));
    not_over(db, since.map_or(i64::MIN, micros))
}

/// The silences that the tick ended.
pub(super) fn put(tx: &Transaction<'_>, commit: &TickCommit<'_>) -> Result<(), StoreError> {
    for (id, reason) in &commit.decision.ended_silences {
        end(tx, id, commit.now, &reason.to_string())?;
    }
    Ok(())
}

fn end(tx: &Transaction<'_>, id: &str, at: DateTime<Utc>, why: &str) -> Result<bool, StoreError> {
    let sql = "SELECT body FROM silence WHERE id = ?1 AND ended_at IS NULL AND ends_at > ?2";
    let found: Option<String> = tx.query_row(sql, params![id, micros(at)], |row| row.get(0)).optional()?;
    let Some(mut silence) = found.and_then(|body| from_json::<Silence>("a silence", &body)) else { return Ok(false) };
    silence.ended = Some((at, why.into()));
    let body = to_json("a silence", &silence)?;
    tx.execute("UPDATE silence SET ended_at = ?2, body = ?3 WHERE id = ?1", params![id, micros(at), body])?;
    Ok(true)
}

fn not_over(db: &Connection, since: i64) -> Result<Vec<Silence>, StoreError> {
    let sql = "SELECT body FROM silence WHERE ends_at > ?1 AND (ended_at IS NULL OR ended_at > ?1) ORDER BY ends_at, id";
    read(db, sql, [since])
}

fn read(db: &Connection, sql: &str, params: impl Params) -> Result<Vec<Silence>, StoreError> {
    let mut query = db.prepare_cached(sql)?;
    let mut rows = query.query(params)?;
    let mut silences = Vec::new();
    while let Some(row) = rows.next()? {
        silences.extend(from_json::<Silence>("a silence", row.get_ref(0)?.as_str().unwrap_or_default()));
    }
    Ok(silences)
}

fn exists(tx: &Transaction<'_>, id: &str) -> Result<bool, StoreError> {
    Ok(tx.query_row("SELECT 1 FROM silence WHERE id = ?1", [id], |_| Ok(())).optional()?.is_some())
}

/// Eight hex digits of SHA-256: short enough to type.
fn name(silence: &Silence, turn: u64) -> Result<String, StoreError> {
    let body = to_json("a silence", &Silence { id: String::new(), ..silence.clone() })?;
    let hash = Sha256::new().chain_update(turn.to_le_bytes()).chain_update(body).finalize();
    Ok(hash.iter().take(4).map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{at, decision, snapshot, two_handles};
    use super::*;
    use crate::model::{Decision, Reason};

    fn deploy(until_s: i64) -> Silence {
        Silence {
            id: String::new(),
            matchers: "tier=prod,table=~\"orders.*\"".parse().unwrap(),
            starts_at: at(0),
            ends_at: at(until_s),
            author: "ann@desk".into(),
            reason: "deploy".into(),
            link: None,
            expire_on_resolve: true,
            created_at: at(0),
            ended: None,
        }
    }

    fn ids(silences: Vec<Silence>) -> Vec<String> {
        silences.into_iter().map(|silence| silence.id).collect()
    }

    #[test]
    fn a_silence_made_beside_a_service_is_in_its_next_book() {
        let (_folder, service, mut person) = two_handles();
        let id = person.add_silence(&deploy(600)).unwrap();
        assert_eq!(service.book("shop").unwrap().silences, [Silence { id: id.clone(), ..deploy(600) }]);
        assert_eq!(ids(service.silences_by_prefix(&id[..3]).unwrap()), [id]);
        assert_eq!(service.silences_by_prefix("zz").unwrap(), []);
    }

    #[test]
    fn ids_are_short_and_two_silences_that_are_alike_have_their_own() {
        let (_folder, mut store, _) = two_handles();
        let (one, two) = (store.add_silence(&deploy(600)).unwrap(), store.add_silence(&deploy(600)).unwrap());
        assert_ne!(one, two);
        assert!([&one, &two].iter().all(|id| id.len() == 8 && id.chars().all(|c| c.is_ascii_hexdigit())), "{one} {two}");
    }

    #[test]
    fn an_ended_silence_says_when_and_why_and_ends_only_once() {
        let (_folder, mut store, _) = two_handles();
        let id = store.add_silence(&deploy(600)).unwrap();
        assert!(store.end_silence(&id, at(60), "done early").unwrap());
        assert!(!store.end_silence(&id, at(70), "again").unwrap());
        assert!(!store.end_silence("none", at(70), "").unwrap());
        assert_eq!(store.silences_since(at(60)).unwrap(), []);
        let kept = store.silences_since(DateTime::<Utc>::MIN_UTC).unwrap();
        assert_eq!(kept[0].ended, Some((at(60), "done early".into())));
        assert!(kept[0].is_active(at(59)) && !kept[0].is_active(at(60)));
    }

    #[test]
    fn a_silence_that_ran_out_cannot_be_ended_and_leaves_the_book_a_day_later() {
        let (_folder, mut store, _) = two_handles();
        let id = store.add_silence(&deploy(600)).unwrap();
        assert!(!store.end_silence(&id, at(600), "late").unwrap());
        let silences_after = |store: &mut Store, s| {
            store.commit_simply(&snapshot(s, &[]), &Decision::default()).unwrap();
            store.book("shop").unwrap().silences.len()
        };
        assert_eq!(silences_after(&mut store, 660), 1, "what it kept back is told with its name");
        assert_eq!(silences_after(&mut store, 600 + 86_400), 0);
    }

    #[test]
    fn a_tick_ends_the_silence_whose_last_alert_is_over() {
        let (_folder, mut store, _) = two_handles();
        let id = store.add_silence(&deploy(600)).unwrap();
        let over = Decision {
            ended_silences: vec![(id, Reason::LastOfSilence), ("config-made".into(), Reason::LastOfSilence)],
            ..decision(&[], &[])
        };
        store.commit_simply(&snapshot(60, &[]), &over).unwrap();
        let kept = store.silences_since(at(0)).unwrap();
        assert_eq!(kept[0].ended, Some((at(60), "the last alert that it kept back is over".into())));
    }

    #[test]
    fn a_silence_that_cannot_be_read_does_not_stop_the_others() {
        let (_folder, mut store, _) = two_handles();
        let (torn, whole) = (store.add_silence(&deploy(600)).unwrap(), store.add_silence(&deploy(700)).unwrap());
        store.db.execute("UPDATE silence SET body = '{' WHERE id = ?1", [&torn]).unwrap();
        assert_eq!(ids(store.silences_since(at(0)).unwrap()), [whole]);
        assert!(!store.end_silence(&torn, at(1), "").unwrap());
    }
}
