//! What somebody asks for who begins a silence: from when to when it is, and what it would keep back: the alerts that it
//! matches now, and those that it would have matched in the last days. Pure but for the reading.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use pgsteward_helpers::span;
use serde::Serialize;

use crate::alert::is_matched;
use crate::model::{Alert, Labels, Matchers, Severity, Silence, Target};
use crate::store::{SeenAlert, Store, StoreError};

/// Days that a preview looks back.
pub const DAYS: i64 = 7;

/// What matchers take.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Preview {
    /// Living alerts, worst first.
    pub now: Vec<Taken>,
    /// Alerts that fired in the last days, worst first, each once; living ones among them.
    pub lately: Vec<Taken>,
}

/// One alert that is taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Taken {
    /// How bad it is, or was at worst.
    pub severity: Severity,
    /// Rule id.
    pub rule: String,
    /// Target name.
    pub target: String,
    /// Whom it is about.
    pub subject: Labels,
    /// When it last was so.
    pub at: DateTime<Utc>,
}

/// From when to when: until a time, or for so many seconds; from now, if nobody says.
///
/// # Errors
/// When it would be over before it begins, or last too long.
pub fn times(
    from: Option<DateTime<Utc>>,
    until: Option<DateTime<Utc>>,
    lasts_s: Option<u64>,
    now: DateTime<Utc>,
) -> Result<(DateTime<Utc>, DateTime<Utc>), String> {
    let starts_at = from.unwrap_or(now);
    let after = |s: u64| i64::try_from(s).ok().and_then(TimeDelta::try_seconds).and_then(|span| starts_at.checked_add_signed(span));
    let ends_at = until.or_else(|| lasts_s.and_then(after)).ok_or("that is too long")?;
    if ends_at <= starts_at || ends_at <= now {
        return Err(format!("it would be over before it begins: from {} until {}", starts_at.format("%F %TZ"), ends_at.format("%F %TZ")));
    }
    let lasts_s = (ends_at - starts_at).num_seconds();
    if lasts_s > Silence::LONGEST_S {
        let longest = span(Silence::LONGEST_S as f64);
        return Err(format!(
            "a silence lasts at most {longest}, this would last {}; what must be quiet for longer belongs into the config",
            span(lasts_s as f64)
        ));
    }
    Ok((starts_at, ends_at))
}

/// What matchers take now and took in the last days.
///
/// # Errors
/// When the store cannot be read.
pub fn preview(store: &Store, matchers: &Matchers, now: DateTime<Utc>) -> Result<Preview, StoreError> {
    Ok(of(&store.alerts(None)?, &store.alerts_since(now - TimeDelta::days(DAYS))?, matchers, now))
}

fn of(living: &[Alert], seen: &[SeenAlert], matchers: &Matchers, now: DateTime<Utc>) -> Preview {
    let clusters: BTreeMap<&str, &str> =
        seen.iter().filter_map(|alert| Some((alert.target.as_str(), alert.labels.get("cluster")?))).collect();
    let target = |alert: &Alert| Target {
        name: alert.target.clone(),
        cluster: clusters.get(alert.target.as_str()).map(|cluster| (*cluster).to_string()),
        ..Target::default()
    };
    let matching = living.iter().filter(|alert| is_matched(alert, &target(alert), matchers));
    let taken = |alert: &Alert| Taken {
        severity: alert.severity,
        rule: alert.rule.clone(),
        target: alert.target.clone(),
        subject: alert.subject.clone(),
        at: now,
    };
    let mut lately: BTreeMap<(&str, &str), Taken> = BTreeMap::new();
    for alert in seen.iter().filter(|alert| matchers.matches(&alert.labels)) {
        let one = Taken {
            severity: alert.severity,
            rule: alert.rule.clone(),
            target: alert.target.clone(),
            subject: alert.subject.clone(),
            at: alert.at,
        };
        let known = lately.entry((&alert.target, &alert.fingerprint.0)).or_insert_with(|| one.clone());
        known.severity = known.severity.max(one.severity);
        known.at = known.at.max(one.at);
    }
    Preview { now: worst_first(matching.map(taken).collect()), lately: worst_first(lately.into_values().collect()) }
}

fn worst_first(mut taken: Vec<Taken>) -> Vec<Taken> {
    taken.sort_by(|a, b| (Reverse(a.severity), &a.rule, &a.target, &a.subject).cmp(&(Reverse(b.severity), &b.rule, &b.target, &b.subject)));
    taken
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Fingerprint;

    fn seen(name: &str, severity: Severity, s: i64, labels: &[(&str, &str)]) -> SeenAlert {
        SeenAlert {
            fingerprint: Fingerprint(name.into()),
            target: "shop".into(),
            rule: "too_many".into(),
            subject: Labels::default(),
            severity,
            labels: labels.iter().copied().collect(),
            at: DateTime::UNIX_EPOCH + TimeDelta::seconds(s),
        }
    }

    #[test]
    fn what_fired_lately_is_shown_once_at_its_worst() {
        let team = [("team", "shop"), ("cluster", "west")];
        let lately = [
            seen("f1", Severity::Critical, 10, &team),
            seen("f1", Severity::Warning, 20, &team),
            seen("f2", Severity::Info, 20, &team),
            seen("f3", Severity::Critical, 20, &[("team", "data")]),
        ];
        let living = Alert { target: "shop".into(), labels: team.into_iter().take(1).collect(), ..Alert::default() };
        let now = DateTime::UNIX_EPOCH + TimeDelta::seconds(60);
        let found = of(std::slice::from_ref(&living), &lately, &"team=shop,cluster=west".parse().unwrap(), now);
        assert_eq!(found.now.len(), 1, "the cluster is known from what was seen");
        let shown: Vec<(Severity, i64)> = found.lately.iter().map(|taken| (taken.severity, taken.at.timestamp())).collect();
        assert_eq!(shown, [(Severity::Critical, 20), (Severity::Info, 20)]);
        assert_eq!(of(&[living], &lately, &"team=nobody".parse().unwrap(), now), Preview::default());
    }
}
