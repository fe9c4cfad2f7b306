//! What would change it: how far the first measured fact is from each limit, and when it gets there if it goes on so.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use super::life::Life;
use super::scene::Scene;
use super::trend::TrendPart;
use crate::model::{Evidence, Severity, State, Unit};
use crate::rules::{Condition, Facts};

/// A limit ahead.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// What happens there: `fires`, `critical`, `clears`.
    pub to: String,
    /// The fact.
    pub metric: String,
    /// What it is now.
    pub value: f64,
    /// The limit.
    pub limit: f64,
    /// Unit of both.
    pub unit: Unit,
    /// When it gets there, going on as in the last hours; `None` when it does not, or not within a week.
    pub about: Option<DateTime<Utc>>,
}

/// How far ahead a guess is worth something.
const GUESS_DAYS: f64 = 7.0;

/// The limits ahead, nearest first.
pub(super) fn of(scene: &Scene<'_>, facts: Option<&Facts>, life: Option<&Life>, trend: Option<&TrendPart>) -> Vec<Change> {
    let Some(facts) = facts else { return Vec::new() };
    let Some((fact, value)) = facts.evidence.first().and_then(|fact| Some((fact, fact.value?))) else { return Vec::new() };
    let fires = life.is_some_and(|life| matches!(life.state, State::Firing | State::Recovering));
    let mut limits: Vec<(String, f64)> = facts.conditions.iter().filter_map(ahead).collect();
    limits.extend(own_limit(facts, fact, value, fires));
    if facts.found == Some(true) {
        limits.extend(by_name(scene, fact, value));
    }
    let change = |(to, limit): (String, f64)| Change {
        about: trend.and_then(|trend| reached(trend, limit, scene.at)),
        to,
        metric: fact.metric.clone(),
        value,
        limit,
        unit: fact.unit,
    };
    let mut changes: Vec<Change> = limits.into_iter().map(change).collect();
    changes.sort_by(|a, b| (a.limit - value).abs().total_cmp(&(b.limit - value).abs()));
    changes
}

/// The limit of a condition that does not hold yet.
fn ahead(condition: &Condition) -> Option<(String, f64)> {
    condition.limit.filter(|_| condition.holds == Some(false)).map(|limit| (condition.name.clone(), limit))
}

/// Where a script's rule keeps the limit of a severity in a setting of that name, it says so nowhere else.
fn by_name(scene: &Scene<'_>, fact: &Evidence, value: f64) -> Vec<(String, f64)> {
    let Some(input) = scene.first.input.as_ref() else { return Vec::new() };
    let settings = scene.meta.map(|meta| meta.settings.as_slice()).unwrap_or_default();
    let named = settings.iter().filter(|def| def.unit == fact.unit && def.name.parse::<Severity>().is_ok());
    let limits = named.filter_map(|def| Some((def.name.clone(), input.settings.number(&def.name)?)));
    // Nobody says on which side; with a limit that is passed already it is one of those that are told.
    limits.filter(|(_, limit)| *limit >= value && fact.threshold.is_some_and(|threshold| threshold < value)).collect()
}

/// The limit beside the fact: where one that is found clears, and, where no condition tells, where a quiet one fires.
fn own_limit(facts: &Facts, fact: &Evidence, value: f64, fires: bool) -> Option<(String, f64)> {
    let limit = fact.threshold?;
    match facts.found {
        Some(true) => Some(((if fires { "clears" } else { "goes away" }).into(), limit)),
        Some(false) if facts.conditions.iter().all(|condition| condition.limit.is_none()) && value <= limit => {
            Some(("fires".into(), limit))
        }
        _ => None,
    }
}

/// When the fact reaches a limit, by the line through the second half of its readings.
fn reached(trend: &TrendPart, limit: f64, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let half = trend.points.get(trend.points.len() / 2..)?;
    let ((first_at, first), (last_at, last)) = (half.first()?, half.last()?);
    let seconds = (*last_at - *first_at).num_milliseconds() as f64 / 1000.0;
    let slope = (last - first) / seconds;
    let ahead = (limit - last) / slope;
    let sensible = seconds > 0.0 && ahead.is_finite() && ahead > 0.0 && ahead <= GUESS_DAYS * 86_400.0;
    sensible.then(|| *last_at + TimeDelta::seconds(ahead as i64)).filter(|at| *at > now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trend(points: &[(i64, f64)]) -> TrendPart {
        let at = |s| DateTime::UNIX_EPOCH + TimeDelta::seconds(s);
        TrendPart { metric: "m".into(), unit: Unit::None, points: points.iter().map(|(s, value)| (at(*s), *value)).collect() }
    }

    #[test]
    fn a_guess_follows_the_later_half_and_gives_none_where_it_leads_nowhere() {
        let now = DateTime::UNIX_EPOCH + TimeDelta::seconds(300);
        let growing = trend(&[(0, 50.0), (100, 50.0), (200, 10.0), (300, 20.0)]);
        assert_eq!(reached(&growing, 40.0, now), Some(now + TimeDelta::seconds(200)));
        assert_eq!(reached(&growing, 5.0, now), None, "it goes the other way");
        assert_eq!(reached(&growing, 1e9, now), None, "in years");
        assert_eq!(reached(&trend(&[(0, 1.0), (100, 1.0), (200, 1.0)]), 4.0, now), None, "it stands still");
        assert_eq!(reached(&trend(&[]), 4.0, now), None);
    }
}
