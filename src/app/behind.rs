//! The very data behind an alert: which tick its latest episode came from, as far as history still holds it, and all that
//! the rule could see then. For who wants to know why an alert was raised, or whether a new build of a plugin still does.
//!
//! What is not kept is the book of that tick. Of it the rule sees which of its subjects were firing; that is known for the
//! alert itself, by its transitions, and for no other.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::tick::basis;
use crate::model::{Alert, Book, Changes, Fingerprint, Frame, Input, Labels, Moment, RuleInput, Settings, Snapshot, State, Transition};
use crate::rules::RuleSet;
use crate::store::{Store, StoreError};

/// Why the data behind an alert cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum BehindError {
    /// No such alert.
    #[error("no alert's id begins with `{0}`; `pgsteward alerts list` shows the living ones")]
    Unknown(String),
    /// Several.
    #[error("`{0}` begins {1} ids; give more characters")]
    Several(String, usize),
    /// Retention has taken what it came from.
    #[error(
        "the history no longer holds a tick of this alert (looked for {0}); `history: {{keep: ..}}` in the config says how long it does"
    )]
    Gone(String),
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// At what moment of an episode a tick was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// The alert began firing.
    Fired,
    /// The rule last found it.
    LastFound,
    /// The rule first found it.
    Appeared,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fired => "it began firing",
            Self::LastFound => "it was last found",
            Self::Appeared => "it first appeared",
        })
    }
}

/// An alert with the tick behind it.
#[derive(Debug, Clone)]
pub struct Behind {
    /// Who.
    pub fingerprint: Fingerprint,
    /// The rule that raised it.
    pub rule: String,
    /// Whom it is about.
    pub subject: Labels,
    /// What the tick was in its life.
    pub point: Point,
    /// Where it stood before that tick.
    pub before: State,
    /// SHA-256 of the rule's text or the plugin's file that was recorded behind the alert, if history still says.
    pub rule_hash: Option<String>,
    /// What was seen.
    pub snapshot: Arc<Snapshot>,
}

/// Finds the tick behind an alert by the beginning of its id.
///
/// # Errors
/// When the beginning is of no alert or several, or history no longer holds such a tick.
pub fn behind(store: &Store, id: &str) -> Result<Behind, BehindError> {
    let (target, fingerprint) = match store.alerts_like(id)?.as_slice() {
        [one] => one.clone(),
        [] => return Err(BehindError::Unknown(id.into())),
        several => return Err(BehindError::Several(id.into(), several.len())),
    };
    let living = store.alerts(Some(&target))?.into_iter().find(|alert| alert.fingerprint == fingerprint);
    let history = store.alert_history(&fingerprint.0)?;
    let who = living.as_ref().map(|alert| (&alert.rule, &alert.subject)).or_else(|| history.last().map(|last| (&last.rule, &last.subject)));
    let Some((rule, subject)) = who else { return Err(BehindError::Unknown(id.into())) };
    let last_found = match &living {
        Some(alert) => Some(alert.last_seen(store.book(&target)?.rules.get(&alert.rule))),
        None => None,
    };
    let points = points(&history, living.as_ref(), last_found);
    for (point, at) in &points {
        if let Some(snapshot) = store.tick_at(&target, *at)? {
            return Ok(Behind {
                rule_hash: hash_at(&history, *at),
                before: state_before(&history, living.as_ref(), *at),
                rule: rule.clone(),
                subject: subject.clone(),
                point: *point,
                fingerprint,
                snapshot: Arc::new(snapshot),
            });
        }
    }
    let looked: Vec<String> = points.iter().map(|(point, at)| format!("{}, when {point}", at.format("%F %TZ"))).collect();
    Err(BehindError::Gone(looked.join("; ")))
}

/// When the tick may have been taken, best first.
fn points(history: &[Transition], living: Option<&Alert>, last_found: Option<DateTime<Utc>>) -> Vec<(Point, DateTime<Utc>)> {
    let episode = living.map(|alert| &alert.episode).or_else(|| history.last().map(|last| &last.episode));
    let of_episode = || history.iter().filter(|change| Some(&change.episode) == episode);
    let fired = of_episode().find(|change| change.to == State::Firing).map(|change| change.at);
    let appeared = of_episode().next().map(|change| change.at);
    let points = [
        (Point::Fired, fired.or_else(|| living.and_then(|alert| alert.fired_at))),
        (Point::LastFound, last_found),
        (Point::Appeared, appeared),
    ];
    points.into_iter().filter_map(|(point, at)| Some((point, at?))).collect()
}

/// Where an alert stood before a time: by its transitions, or where retention has taken those, by what it says of itself.
fn state_before(history: &[Transition], living: Option<&Alert>, at: DateTime<Utc>) -> State {
    let by_itself = || match living {
        Some(alert) if alert.fired_at.is_some_and(|fired_at| fired_at < at) => State::Firing,
        Some(alert) if alert.active_at < at => State::Pending,
        _ => State::Inactive,
    };
    history.iter().rev().find(|change| change.at < at).map_or_else(by_itself, |change| change.to)
}

/// The hash that was recorded with the last change up to a time.
fn hash_at(history: &[Transition], at: DateTime<Utc>) -> Option<String> {
    history.iter().rev().find(|change| change.at <= at).map(|change| change.rule_hash.clone()).filter(|hash| !hash.is_empty())
}

impl Behind {
    /// All that the rule could see at that tick, with these settings.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn input(&self, store: &Store, rules: &RuleSet, settings: Settings) -> Result<RuleInput, StoreError> {
        let basis = basis(store, self.snapshot.clone(), Book::default(), &rules.windows())?;
        let subjects = |states: &[State]| Arc::new(if states.contains(&self.before) { vec![self.subject.clone()] } else { Vec::new() });
        Ok(RuleInput {
            now: self.snapshot.taken_at,
            changes: Arc::new(Changes::between(&basis.previous, &basis.snapshot)),
            snapshot: basis.snapshot,
            past: basis.past,
            firing: subjects(&[State::Firing, State::Recovering]),
            active: subjects(&[State::Pending, State::Firing, State::Recovering]),
            settings: Arc::new(settings),
        })
    }
}

/// The windows that a rule reads and history does not hold for that tick.
#[must_use]
pub fn windows_gone(inputs: &[Input], past: &BTreeMap<u64, BTreeMap<String, Arc<Frame>>>) -> Vec<String> {
    let gone = |input: &&Input| match input.moment {
        Moment::Delta(s) | Moment::Ago(s) => !past.get(&s).is_some_and(|frames| frames.contains_key(&input.frame)),
        Moment::Now | Moment::Previous | Moment::Rate => false,
    };
    inputs.iter().filter(gone).map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::model::{Reason, Severity};

    fn at(s: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(s)
    }

    fn step(episode: &str, from: State, to: State, s: i64) -> Transition {
        Transition {
            fingerprint: Fingerprint("f1".into()),
            episode: episode.into(),
            rule: "r".into(),
            subject: Labels::default(),
            severity: Severity::Warning,
            from,
            to,
            reason: Reason::Cleared,
            summary: String::new(),
            rule_hash: format!("hash of {s}"),
            labels: Labels::default(),
            at: at(s),
        }
    }

    fn life() -> Vec<Transition> {
        use State::{Firing, Inactive, Pending, Recovering, Resolved};
        vec![
            step("e1", Inactive, Pending, 0),
            step("e1", Pending, Firing, 60),
            step("e1", Firing, Resolved, 120),
            step("e2", Inactive, Pending, 600),
            step("e2", Pending, Firing, 660),
            step("e2", Firing, Recovering, 700),
            step("e2", Recovering, Firing, 760),
        ]
    }

    #[test]
    fn the_tick_at_which_the_last_episode_began_firing_comes_first() {
        assert_eq!(points(&life(), None, None), [(Point::Fired, at(660)), (Point::Appeared, at(600))]);
        assert_eq!(points(&life()[..3], None, None), [(Point::Fired, at(60)), (Point::Appeared, at(0))]);
        assert_eq!(points(&life()[..4], None, None), [(Point::Appeared, at(600))]);
        assert_eq!(points(&[], None, None), []);
    }

    #[test]
    fn the_hash_behind_a_tick_is_that_of_the_last_change_up_to_it() {
        assert_eq!([59, 60, 90].map(|s| hash_at(&life(), at(s))), ["hash of 0", "hash of 60", "hash of 60"].map(|h| Some(h.into())));
        assert_eq!(hash_at(&life(), at(-1)), None);
    }

    #[test]
    fn the_state_before_a_tick_is_what_the_change_before_it_left() {
        let states: Vec<State> = [0, 60, 61, 120, 600, 760].map(|s| state_before(&life(), None, at(s))).into();
        assert_eq!(states, [State::Inactive, State::Pending, State::Firing, State::Firing, State::Resolved, State::Recovering]);
    }
}
