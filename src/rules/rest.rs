//! When a plugin's rule that keeps failing is left alone: tried less and less often after a few errors in a row, and
//! hardly ever in quarantine. A rule that was changed is tried at once; one that comes to an end is as new.

use chrono::{DateTime, TimeDelta, Utc};

use crate::model::RuleHealth;

/// Longest time between two tries outside quarantine.
const MOST_S: i64 = 3_600;
/// Time between two tries in quarantine.
const QUARANTINE_S: i64 = 6 * 3_600;

/// Why a rule with this hash is not tried now; `None` when it is.
pub(super) fn resting(hash: &str, health: Option<&RuleHealth>, every_s: u64, now: DateTime<Utc>) -> Option<String> {
    let health = health.filter(|health| health.errors >= RuleHealth::RESTS_AFTER)?;
    let (failed_at, failed) = health.last_error.as_ref()?;
    let next = *failed_at + TimeDelta::seconds(pause_s(health, every_s));
    // A clock put back must not keep it resting for ever.
    if failed != hash || now >= next || now < *failed_at {
        return None;
    }
    let word = if health.is_quarantined() { "quarantined" } else { "resting" };
    Some(format!("{word} after {} errors in a row until {}: {}", health.errors, next.format("%H:%M:%SZ"), health.reason))
}

/// Doubles with every further error.
fn pause_s(health: &RuleHealth, every_s: u64) -> i64 {
    if health.is_quarantined() {
        return QUARANTINE_S;
    }
    let doubled = (health.errors - RuleHealth::RESTS_AFTER + 1).min(20);
    i64::try_from(every_s.max(1).saturating_mul(1 << doubled)).unwrap_or(MOST_S).min(MOST_S)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::fixtures::at;

    fn health(errors: u32) -> RuleHealth {
        RuleHealth { errors, reason: "it broke off".into(), last_error: Some((at(1000), "h".into())), ..RuleHealth::default() }
    }

    #[test]
    fn the_pauses_double_until_quarantine() {
        let pauses: Vec<i64> = (3..12).map(|errors| pause_s(&health(errors), 60)).collect();
        assert_eq!(pauses, [120, 240, 480, 960, 1920, 3600, 3600, 21_600, 21_600]);
    }

    #[test]
    fn a_rule_that_fails_is_left_alone_until_its_pause_is_over_or_it_is_changed() {
        let rests = |errors, hash: &str, now| resting(hash, Some(&health(errors)), 60, at(now));
        assert_eq!(rests(2, "h", 1001), None);
        assert_eq!(rests(3, "h", 1119), Some("resting after 3 errors in a row until 00:18:40Z: it broke off".into()));
        assert_eq!(rests(3, "h", 1120), None);
        assert_eq!(rests(3, "changed", 1001), None);
        assert_eq!(rests(3, "h", 999), None, "the clock was put back");
        assert!(rests(10, "h", 1120).unwrap().starts_with("quarantined after 10 errors in a row until 06:16:40Z"));
    }
}
