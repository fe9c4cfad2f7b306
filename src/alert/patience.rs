//! How far a pending alert is on its way to firing: what counts so far, what the next evaluation will count, and from when
//! on it would fire. For people who ask between two evaluations, in the clockwork of `lifecycle`, so that both agree.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use super::interval_s;
use super::lifecycle::{longest_gap_s, proven_s, unproven};
use crate::model::{Alert, Reason, RuleHealth, RuleMeta, State};

/// A pending alert between two evaluations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Patience {
    /// Seconds that count, by the last evaluation.
    pub counted_s: u64,
    /// Seconds that it takes to fire.
    pub for_s: u64,
    /// When the last evaluation was.
    pub evaluated_at: DateTime<Utc>,
    /// The longest time between two evaluations that counts, in seconds.
    pub longest_gap_s: u64,
    /// It fires at the first evaluation from then on that still finds it; `None` when the time since the last evaluation is
    /// too long to count by now, so that the next one only begins where the last has left off.
    pub fires_from: Option<DateTime<Utc>>,
    /// Seconds before the last evaluation that did not count, as they were too many.
    pub lost_s: Option<u64>,
}

/// How far a pending alert is; `None` for one in another state. `health` is its rule's, from the same book; ticks come
/// every `every_s` seconds.
#[must_use]
pub fn patience(alert: &Alert, meta: &RuleMeta, health: Option<&RuleHealth>, every_s: u64, now: DateTime<Utc>) -> Option<Patience> {
    if alert.state != State::Pending {
        return None;
    }
    let (interval_s, evaluated_at) = (interval_s(meta, every_s), evaluated_at(alert, health));
    let due = TimeDelta::try_seconds(i64::try_from(meta.for_s).ok()?).and_then(|wait| alert.active_at.checked_add_signed(wait));
    let lost_s = match alert.choices.get("") {
        Some((_, Reason::Gap { gap_s })) => Some(*gap_s),
        _ => None,
    };
    Some(Patience {
        counted_s: counted_s(alert, health),
        for_s: meta.for_s,
        evaluated_at,
        longest_gap_s: longest_gap_s(interval_s),
        fires_from: due.filter(|_| unproven(now - evaluated_at, interval_s).is_zero()),
        lost_s,
    })
}

/// How long a pending alert has lasted by its rule's last evaluation, in seconds; `health` is the rule's, from the same book.
#[must_use]
pub fn counted_s(alert: &Alert, health: Option<&RuleHealth>) -> u64 {
    proven_s(alert.active_at, evaluated_at(alert, health))
}

fn evaluated_at(alert: &Alert, health: Option<&RuleHealth>) -> DateTime<Utc> {
    health.and_then(|health| health.last_ok).unwrap_or(alert.seen_at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::alert::testing::*;

    fn asked(world: &World) -> Option<Patience> {
        let alert = world.book.alerts.values().next()?;
        patience(alert, &world.rule, world.book.rules.get(&world.rule.id), world.config.every_s, world.now)
    }

    #[test]
    fn what_counts_and_what_does_not_is_told_between_two_runs() {
        let mut world = World::new();
        world.rule.for_s = 300;
        world.tick(seen(&["a"]));
        world.now += TimeDelta::minutes(4);
        assert_eq!(asked(&world).unwrap().fires_from, None, "five minutes by now, of which none will count");
        world.tick(seen(&["a"]));
        let told = asked(&world).unwrap();
        assert_eq!((told.counted_s, told.longest_gap_s, told.lost_s), (0, 120, Some(300)));
        assert_eq!(told.fires_from, Some(start() + TimeDelta::minutes(10)));
        world.tick(seen(&["a"]));
        assert_eq!(asked(&world).map(|told| (told.counted_s, told.lost_s)), Some((60, None)));
    }

    proptest! {
        /// Whenever one asks, an evaluation at that very moment does what was told of it.
        #[test]
        fn the_next_evaluation_does_what_is_foretold(
            for_s in 1_u64..900,
            steps in prop::collection::vec((-30_i64..400, 0..4), 1..20),
        ) {
            let mut world = World::new();
            world.rule.for_s = for_s;
            world.tick(seen(&["a"]));
            for (gap_s, outcome) in steps {
                world.now += TimeDelta::seconds(gap_s);
                let foretold = asked(&world);
                let seen_now = outcome != 0;
                let now = world.now;
                let decision = world.tick(if seen_now { seen(&["a"]) } else { unsure(&["a"]) });
                let Some(foretold) = foretold else { break };
                let after = decision.book.alerts.values().next().unwrap();
                let fires = seen_now && foretold.fires_from.is_some_and(|from| from <= now);
                prop_assert_eq!(after.state == State::Firing, fires, "{:?}", foretold);
                if !fires {
                    let counts = seen_now && foretold.fires_from.is_some();
                    let more = if counts { u64::try_from((now - foretold.evaluated_at).num_seconds()).unwrap() } else { 0 };
                    let counted = counted_s(after, decision.book.rules.get(&world.rule.id));
                    prop_assert_eq!(counted, foretold.counted_s + more);
                }
            }
        }
    }
}
