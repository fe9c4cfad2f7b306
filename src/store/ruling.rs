//! How each rule ended, written down each time that it ended otherwise than before: for why it is silent, and since when.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use serde::{Deserialize, Serialize};

use super::codec::{from_json, micros, time, to_json};
use super::{Store, StoreError, TickCommit};
use crate::model::{Outcome, RuleOutcome};

/// No answer about one rule is longer than this; the latest entries are shown.
const MOST: u32 = 500;

/// How a rule ended, and since when it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ruling {
    /// When it first ended so.
    pub at: DateTime<Utc>,
    /// How.
    pub verdict: Verdict,
}

/// How a rule ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// `ok`, `no_data`, `error` or `skipped`.
    pub outcome: String,
    /// Why it did not come to an end; empty for `ok`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Hash of the rule's text.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub rule_hash: String,
}

/// The latest verdict on each rule of a target.
pub(super) type Latest = BTreeMap<String, Verdict>;

impl Store {
    /// How a rule ended on a target over time, oldest first; what stayed the same stands here once. That a rule was not
    /// due is not written down.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn rulings(&self, target: &str, rule: &str) -> Result<Vec<Ruling>, StoreError> {
        let sql = "SELECT at, body FROM ruling WHERE target = ?1 AND rule = ?2 ORDER BY id DESC LIMIT ?3";
        let mut query = self.db.prepare(sql)?;
        let mut rows = query.query(params![target, rule, MOST])?;
        let mut rulings = Vec::new();
        while let Some(row) = rows.next()? {
            let verdict = from_json("a ruling", row.get_ref(1)?.as_str().unwrap_or_default());
            let at = time(row.get(0)?);
            rulings.extend(verdict.map(|verdict| Ruling { at, verdict }));
        }
        rulings.reverse();
        Ok(rulings)
    }
}

/// What differs from the latest. `latest` is what is known of it and is brought up to date.
pub(super) fn put(tx: &Transaction<'_>, commit: &TickCommit<'_>, latest: &mut Latest) -> Result<(), StoreError> {
    let mut add = tx.prepare_cached("INSERT INTO ruling (target, rule, at, body) VALUES (?1, ?2, ?3, ?4)")?;
    for ended in commit.outcomes.iter().filter(|ended| is_news(&ended.outcome)) {
        let rule = ended.meta.id.as_str();
        let verdict = Verdict::from(ended);
        if !latest.contains_key(rule)
            && let Some(stored) = latest_of(tx, commit.target, rule)?
        {
            latest.insert(rule.into(), stored);
        }
        if latest.get(rule) != Some(&verdict) {
            add.execute(params![commit.target, rule, micros(commit.now), to_json("a ruling", &verdict)?])?;
            latest.insert(rule.into(), verdict);
        }
    }
    Ok(())
}

impl From<&RuleOutcome> for Verdict {
    fn from(ended: &RuleOutcome) -> Self {
        Self { outcome: ended.outcome.word().into(), reason: ended.outcome.reason(), rule_hash: ended.meta.hash.clone() }
    }
}

/// A rule that was not due has not ended otherwise.
fn is_news(outcome: &Outcome) -> bool {
    !matches!(outcome, Outcome::Skipped(reason) if reason.starts_with(Outcome::NOT_DUE))
}

fn latest_of(db: &Connection, target: &str, rule: &str) -> Result<Option<Verdict>, StoreError> {
    let mut query = db.prepare_cached("SELECT body FROM ruling WHERE target = ?1 AND rule = ?2 ORDER BY id DESC LIMIT 1")?;
    let body: Option<String> = query.query_row([target, rule], |row| row.get(0)).optional()?;
    Ok(body.and_then(|body| from_json("a ruling", &body)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::testing::{at, meta, snapshot, two_handles};
    use super::*;
    use crate::model::{Decision, Evaluation, Missing, MissingReason};

    fn tick(store: &mut Store, s: i64, hash: &str, outcome: Outcome) {
        let meta = Arc::new(crate::model::RuleMeta { hash: hash.into(), ..meta("dead_rows") });
        let outcomes = [RuleOutcome { meta, outcome }];
        let (snapshot, decision) = (snapshot(s, &[]), Decision::default());
        store.acquire_lease("shop", "me", at(s), 60).unwrap();
        let base_version = store.book("shop").unwrap().version;
        let commit = TickCommit {
            target: "shop",
            owner: "me",
            now: at(s),
            snapshot: &snapshot,
            outcomes: &outcomes,
            decision: &decision,
            base_version,
        };
        store.commit(&commit).unwrap();
    }

    #[test]
    fn a_rule_that_ends_as_before_is_written_down_once_whoever_ticked() {
        let (_folder, mut store, mut other) = two_handles();
        let ok = || Outcome::Ok(Evaluation::default());
        let no_data = || Outcome::NoData(vec![("io".into(), Missing::new(MissingReason::Version, "only from 16 on"))]);
        tick(&mut store, 0, "h1", ok());
        tick(&mut store, 60, "h1", ok());
        tick(&mut other, 120, "h1", ok());
        tick(&mut other, 180, "h1", no_data());
        tick(&mut store, 240, "h1", Outcome::Skipped("not due for 4m".into()));
        tick(&mut store, 300, "h1", no_data());
        tick(&mut store, 360, "h2", no_data());
        tick(&mut store, 420, "h2", ok());
        let told: Vec<String> = store
            .rulings("shop", "dead_rows")
            .unwrap()
            .into_iter()
            .map(|r| format!("{} {} {} {}", r.at.timestamp(), r.verdict.outcome, r.verdict.rule_hash, r.verdict.reason))
            .collect();
        assert_eq!(told, ["0 ok h1 ", "180 no_data h1 io: only from 16 on", "360 no_data h2 io: only from 16 on", "420 ok h2 "]);
        assert_eq!(store.rulings("other", "dead_rows").unwrap(), []);
    }
}
