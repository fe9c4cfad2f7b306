//! Episodes: lives of alerts, read back from their transitions, with what became of their notices.
//!
//! Nothing is stored for them: an episode is its transitions. One of which retention has taken the beginning is shown as
//! far as it is known.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use rusqlite::{Connection, params};

use super::codec::{from_json, micros};
use super::{Store, StoreError, book};
use crate::model::{Alert, Fingerprint, Labels, Severity, State, Transition};

/// Which episodes are asked for; what is `None` asks nothing.
#[derive(Debug, Clone, Default)]
pub struct EpisodeFilter {
    /// Of this target.
    pub target: Option<String>,
    /// Of this rule.
    pub rule: Option<String>,
    /// Of alerts whose fingerprint begins so.
    pub fingerprint: Option<String>,
    /// Not over before.
    pub since: Option<DateTime<Utc>>,
    /// Begun not later.
    pub until: Option<DateTime<Utc>>,
    /// At most so many, the latest; `None` is all.
    pub limit: Option<usize>,
}

/// One life of an alert.
#[derive(Debug, Clone, PartialEq)]
pub struct EpisodeSummary {
    /// The alert.
    pub fingerprint: Fingerprint,
    /// Its id.
    pub episode: String,
    /// Target name.
    pub target: String,
    /// Rule id.
    pub rule: String,
    /// Whom it is about.
    pub subject: Labels,
    /// The worst severity that it had at a change of its state or that a channel was to be told.
    pub severity: Severity,
    /// One line, by the latest change.
    pub summary: String,
    /// When the finding was first seen.
    pub began: DateTime<Utc>,
    /// When it fired, if it did.
    pub fired: Option<DateTime<Utc>>,
    /// When it was over, if it is: resolved, or gone before it fired.
    pub ended: Option<DateTime<Utc>>,
    /// Where it stands.
    pub state: State,
    /// All changes of its state, oldest first.
    pub transitions: Vec<Transition>,
    /// Notices that channels took.
    pub delivered: u64,
    /// Notices that were given up.
    pub dead: u64,
}

/// An alert that fired at some time, as matchers saw it.
#[derive(Debug, Clone, PartialEq)]
pub struct SeenAlert {
    /// The alert.
    pub fingerprint: Fingerprint,
    /// Target name.
    pub target: String,
    /// Rule id.
    pub rule: String,
    /// Whom it is about.
    pub subject: Labels,
    /// How bad.
    pub severity: Severity,
    /// All that matchers saw of it.
    pub labels: Labels,
    /// When it last was so.
    pub at: DateTime<Utc>,
}

impl Store {
    /// Episodes, the latest to begin first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn episodes(&self, filter: &EpisodeFilter) -> Result<Vec<EpisodeSummary>, StoreError> {
        let view = self.read()?;
        let mut episodes = Vec::new();
        for (target, fingerprint) in candidates(&view, filter)? {
            let mut lives: BTreeMap<String, Vec<Transition>> = BTreeMap::new();
            for change in changes_of(&view, &target, &fingerprint)? {
                lives.entry(change.episode.clone()).or_default().push(change);
            }
            let told = lives.into_values().filter_map(|changes| summary(&target, changes)).filter(|episode| filter.takes(episode));
            episodes.extend(told);
        }
        episodes.sort_by(|a, b| (b.began, &a.fingerprint, &a.target).cmp(&(a.began, &b.fingerprint, &b.target)));
        episodes.truncate(filter.limit.unwrap_or(usize::MAX));
        for episode in &mut episodes {
            add_notices(&view, episode)?;
        }
        Ok(episodes)
    }

    /// Alerts that fired at some time since then, living ones among them; each once for every severity that it had.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn alerts_since(&self, at: DateTime<Utc>) -> Result<Vec<SeenAlert>, StoreError> {
        let view = self.read()?;
        let mut seen = BTreeMap::new();
        let mut query = view.prepare("SELECT target, body FROM transition WHERE at >= ?1 ORDER BY at, id")?;
        let mut rows = query.query([micros(at)])?;
        while let Some(row) = rows.next()? {
            let change = from_json::<Transition>("a transition", row.get_ref(1)?.as_str().unwrap_or_default());
            if let Some(change) = change.filter(|change| fired(change.to) || fired(change.from)) {
                let one = seen_in_change(row.get(0)?, change);
                seen.insert((one.target.clone(), one.fingerprint.clone(), one.severity), one);
            }
        }
        drop(rows);
        let clusters = book::clusters(&view)?;
        for alert in book::alerts(&view, None)?.iter().filter(|alert| fired(alert.state)) {
            let one = seen_now(alert, clusters.get(&alert.target).map(String::as_str));
            seen.insert((one.target.clone(), one.fingerprint.clone(), one.severity), one);
        }
        Ok(seen.into_values().collect())
    }
}

impl EpisodeFilter {
    fn takes(&self, episode: &EpisodeSummary) -> bool {
        self.rule.as_ref().is_none_or(|rule| *rule == episode.rule)
            && self.since.is_none_or(|since| episode.ended.is_none_or(|ended| ended >= since))
            && self.until.is_none_or(|until| episode.began <= until)
    }
}

/// Alerts that lived in the asked time: those that changed in it, and those that live.
fn candidates(db: &Connection, filter: &EpisodeFilter) -> Result<BTreeSet<(String, Fingerprint)>, StoreError> {
    let sql = "SELECT target, fingerprint FROM transition WHERE at >= ?1 AND (?2 IS NULL OR target = ?2) AND fingerprint BETWEEN ?3 AND ?4
               UNION SELECT target, fingerprint FROM alert WHERE (?2 IS NULL OR target = ?2) AND fingerprint BETWEEN ?3 AND ?4";
    let prefix = filter.fingerprint.as_deref().unwrap_or_default();
    let since = filter.since.map_or(i64::MIN, micros);
    let mut query = db.prepare(sql)?;
    let rows = query.query_map(params![since, filter.target, prefix, format!("{prefix}{}", char::MAX)], |row| {
        Ok((row.get(0)?, Fingerprint(row.get(1)?)))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn changes_of(db: &Connection, target: &str, fingerprint: &Fingerprint) -> Result<Vec<Transition>, StoreError> {
    let mut query = db.prepare_cached("SELECT body FROM transition WHERE fingerprint = ?1 AND target = ?2 ORDER BY id")?;
    let mut rows = query.query([fingerprint.0.as_str(), target])?;
    let mut changes = Vec::new();
    while let Some(row) = rows.next()? {
        changes.extend(from_json::<Transition>("a transition", row.get_ref(0)?.as_str().unwrap_or_default()));
    }
    Ok(changes)
}

fn summary(target: &str, transitions: Vec<Transition>) -> Option<EpisodeSummary> {
    let (first, last) = (transitions.first()?.clone(), transitions.last()?.clone());
    let over = matches!(last.to, State::Resolved | State::Inactive);
    Some(EpisodeSummary {
        severity: transitions.iter().map(|change| change.severity).max().unwrap_or_default(),
        fired: transitions.iter().find(|change| change.to == State::Firing).map(|change| change.at),
        ended: over.then_some(last.at),
        fingerprint: last.fingerprint,
        episode: last.episode,
        target: target.into(),
        rule: last.rule,
        subject: last.subject,
        summary: last.summary,
        began: first.at,
        state: last.to,
        transitions,
        delivered: 0,
        dead: 0,
    })
}

/// Counts the notices of an episode; one that rose while it fired was told as worse than any change of its state.
fn add_notices(db: &Connection, episode: &mut EpisodeSummary) -> Result<(), StoreError> {
    let sql = "SELECT state, severity, count(*) FROM outbox WHERE episode = ?1 AND +fingerprint = ?2 GROUP BY state, severity";
    let mut query = db.prepare_cached(sql)?;
    let mut rows = query.query([&episode.episode, &episode.fingerprint.0])?;
    while let Some(row) = rows.next()? {
        let count = row.get::<_, i64>(2)?.unsigned_abs();
        match row.get_ref(0)?.as_str().unwrap_or_default() {
            "delivered" => episode.delivered += count,
            "dead" => episode.dead += count,
            _ => {}
        }
        let told = row.get_ref(1)?.as_str().unwrap_or_default().parse::<Severity>();
        episode.severity = told.map_or(episode.severity, |told| told.max(episode.severity));
    }
    Ok(())
}

fn fired(state: State) -> bool {
    matches!(state, State::Firing | State::Recovering)
}

fn seen_in_change(target: String, change: Transition) -> SeenAlert {
    SeenAlert {
        target,
        labels: change.flat_labels(),
        fingerprint: change.fingerprint,
        rule: change.rule,
        subject: change.subject,
        severity: change.severity,
        at: change.at,
    }
}

fn seen_now(alert: &Alert, cluster: Option<&str>) -> SeenAlert {
    SeenAlert {
        target: alert.target.clone(),
        fingerprint: alert.fingerprint.clone(),
        rule: alert.rule.clone(),
        subject: alert.subject.clone(),
        severity: alert.severity,
        labels: alert.flat_labels(cluster),
        at: alert.seen_at,
    }
}

#[cfg(test)]
mod tests {
    use super::super::Store;
    use super::super::testing::{alert, at, decision, delivered, notice, snapshot, two_handles};
    use super::*;
    use crate::model::{Decision, NoticeKind, Reason};

    fn change(fingerprint: &str, episode: &str, from: State, to: State, s: i64) -> Transition {
        let mut of = alert(fingerprint, episode);
        of.labels = [("team", "shop")].into_iter().collect();
        Transition {
            fingerprint: of.fingerprint.clone(),
            episode: episode.into(),
            rule: of.rule.clone(),
            subject: Labels::default(),
            severity: Severity::Warning,
            from,
            to,
            reason: Reason::Cleared,
            summary: format!("at {s}"),
            rule_hash: String::new(),
            labels: of.common_labels(None),
            at: at(s),
        }
    }

    fn commit(store: &mut Store, s: i64, decision: Decision) {
        store.commit_simply(&snapshot(s, &[]), &decision).unwrap();
    }

    /// `f1` fires twice and is over, told the first time; `f2` lives since 300.
    fn some_history() -> (tempfile::TempDir, Store) {
        let (folder, mut store, _) = two_handles();
        let told = notice("k1", &Alert { severity: Severity::Critical, ..alert("f1", "e1") }, "log", NoticeKind::Raised);
        commit(
            &mut store,
            0,
            Decision { steps: vec![change("f1", "e1", State::Inactive, State::Pending, 0).into()], ..decision(&[], &[]) },
        );
        commit(
            &mut store,
            60,
            Decision { steps: vec![change("f1", "e1", State::Pending, State::Firing, 60).into()], ..decision(&[], &[told]) },
        );
        store.end_due("log", 61, &delivered(""));
        let lives = [
            (120, "f1", "e1", State::Firing, State::Resolved),
            (200, "f1", "e2", State::Inactive, State::Firing),
            (260, "f1", "e2", State::Firing, State::Resolved),
        ];
        for (s, fingerprint, episode, from, to) in lives {
            commit(&mut store, s, Decision { steps: vec![change(fingerprint, episode, from, to, s).into()], ..decision(&[], &[]) });
        }
        let begins =
            Decision { steps: vec![change("f2", "e3", State::Inactive, State::Firing, 300).into()], ..decision(&[alert("f2", "e3")], &[]) };
        commit(&mut store, 300, begins);
        (folder, store)
    }

    fn found(store: &Store, filter: EpisodeFilter) -> Vec<String> {
        store.episodes(&filter).unwrap().into_iter().map(|episode| episode.episode).collect()
    }

    #[test]
    fn an_episode_is_told_from_its_beginning_to_its_end_with_what_became_of_its_notices() {
        let (_folder, store) = some_history();
        let all = store.episodes(&EpisodeFilter::default()).unwrap();
        let said: Vec<String> = all
            .iter()
            .map(|e| {
                let at = |time: Option<DateTime<Utc>>| time.map_or("-".into(), |time| time.timestamp().to_string());
                let (fired, ended) = (at(e.fired), at(e.ended));
                format!("{} {} {} {fired} {ended} {} {}/{}", e.episode, e.severity, e.began.timestamp(), e.state, e.delivered, e.dead)
            })
            .collect();
        assert_eq!(said, ["e3 warning 300 300 - firing 0/0", "e2 warning 200 200 260 resolved 0/0", "e1 critical 0 60 120 resolved 1/0"]);
        assert_eq!(all[2].transitions.len(), 3);
    }

    #[test]
    fn episodes_are_asked_for_by_time_rule_target_and_id() {
        let (_folder, store) = some_history();
        let none = EpisodeFilter::default;
        assert_eq!(found(&store, EpisodeFilter { since: Some(at(200)), ..none() }), ["e3", "e2"]);
        assert_eq!(found(&store, EpisodeFilter { since: Some(at(1_000)), ..none() }), ["e3"], "it lives");
        assert_eq!(found(&store, EpisodeFilter { until: Some(at(199)), ..none() }), ["e1"]);
        assert_eq!(found(&store, EpisodeFilter { fingerprint: Some("f1".into()), ..none() }), ["e2", "e1"]);
        assert_eq!(found(&store, EpisodeFilter { limit: Some(1), ..none() }), ["e3"]);
        assert_eq!(found(&store, EpisodeFilter { rule: Some("other".into()), ..none() }), Vec::<String>::new());
        assert_eq!(found(&store, EpisodeFilter { target: Some("other".into()), ..none() }), Vec::<String>::new());
    }

    #[test]
    fn alerts_that_fired_lately_can_be_matched_as_they_were() {
        let (_folder, store) = some_history();
        let since = |s| -> Vec<(String, Option<String>, i64)> {
            let seen = store.alerts_since(at(s)).unwrap();
            seen.into_iter().map(|a| (a.fingerprint.0, a.labels.get("team").map(String::from), a.at.timestamp())).collect()
        };
        let f1 = ("f1".to_string(), Some("shop".to_string()), 260);
        let f2 = ("f2".to_string(), None, 0);
        assert_eq!(since(0), [f1.clone(), f2.clone()], "what lives is shown as it is now");
        assert_eq!(since(250), [f1, f2.clone()]);
        assert_eq!(since(10_000), [f2]);
    }
}
