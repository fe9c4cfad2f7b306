//! Whether a channel is used now, pure. Failures in a row open its circuit: it rests, and one message tries it after a
//! back-off; a refused login pauses it until somebody has mended it and says so.
//!
//! `ChannelState` is what the store keeps; only this file and `rate` say what it means.

use chrono::{DateTime, TimeDelta, Utc};

use super::retry::{self, LONGEST_ASKED_S};
use crate::store::ChannelState;

/// Failures in a row after which a channel rests.
pub const FAILURES: u32 = 5;
/// Shortest rest in seconds; doubles up to the longest while the tries fail.
pub const SHORTEST_REST_S: u64 = 30;
/// Longest rest in seconds that the receiver did not ask for.
pub const LONGEST_REST_S: u64 = 300;
/// A channel that could not be used for longer than this hands its notices to its fallback, in seconds.
pub const HAND_OVER_S: i64 = 300;

/// What a channel may be given now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// Everything.
    Open,
    /// One message, to see whether it works again.
    Probe,
    /// Nothing yet.
    Rests,
    /// Nothing until it is resumed.
    Paused,
}

/// What the channel may be given.
#[must_use]
pub fn gate(state: &ChannelState, now: DateTime<Utc>) -> Gate {
    // A rest that is longer than any can be was begun by a clock that ran ahead.
    let latest = now + TimeDelta::seconds(LONGEST_ASKED_S as i64);
    match state.probe_at {
        _ if state.paused.is_some() => Gate::Paused,
        None => Gate::Open,
        Some(at) if at > now && at <= latest => Gate::Rests,
        Some(_) => Gate::Probe,
    }
}

/// A message was taken: all is well.
pub fn taken(state: &mut ChannelState) {
    *state = ChannelState { bucket: state.bucket, ..ChannelState::default() };
}

/// A message was not taken, and may be later. What was under way when the circuit opened says nothing new.
pub fn failed(state: &mut ChannelState, error: &str, asked_s: Option<u64>, now: DateTime<Utc>, seed: u64) {
    state.error = error.into();
    state.failing_since.get_or_insert(now);
    if gate(state, now) == Gate::Rests {
        return;
    }
    state.failures = state.failures.saturating_add(1);
    let own_s = state.failures.checked_sub(FAILURES).map(|beyond| rest_s(beyond, seed ^ u64::from(state.failures)));
    let asked_s = asked_s.map(|s| s.clamp(1, LONGEST_ASKED_S));
    state.probe_at = own_s.max(asked_s).map(|s| now + TimeDelta::seconds(i64::try_from(s).unwrap_or(0)));
}

/// The receiver does not know us.
pub fn refused(state: &mut ChannelState, error: &str, now: DateTime<Utc>) {
    state.failing_since.get_or_insert(now);
    state.paused.get_or_insert((now, error.into()));
}

/// Why another channel is told what this one cannot be told, once that has lasted.
#[must_use]
pub fn hands_over(state: &ChannelState, now: DateTime<Utc>) -> Option<String> {
    let lasts = |since: DateTime<Utc>| now - since > TimeDelta::seconds(HAND_OVER_S);
    if let Some((at, why)) = &state.paused {
        return lasts(*at).then(|| format!("the channel is paused: {why}"));
    }
    let rests = state.probe_at.is_some() && state.failing_since.is_some_and(lasts);
    rests.then(|| format!("the channel does not take anything: {}", state.error))
}

/// Seconds to rest, drawn evenly between the shortest and a ceiling that doubles.
fn rest_s(beyond: u32, seed: u64) -> u64 {
    let ceiling = (SHORTEST_REST_S * 2).saturating_mul(1 << beyond.min(10)).min(LONGEST_REST_S);
    SHORTEST_REST_S + retry::mix(seed) % (ceiling - SHORTEST_REST_S + 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::at;
    use super::*;

    fn failing(times: u32, seed: u64) -> ChannelState {
        let mut state = ChannelState::default();
        (0..times).for_each(|_| failed(&mut state, "503", None, at(100), seed));
        state
    }

    #[test]
    fn a_run_of_failures_opens_the_circuit_and_one_message_tries_it() {
        assert_eq!(gate(&failing(FAILURES - 1, 0), at(100)), Gate::Open);
        let state = failing(FAILURES, 0);
        assert_eq!(gate(&state, at(100)), Gate::Rests);
        assert_eq!(gate(&state, at(100 + 60)), Gate::Probe);
        assert_eq!((state.failing_since, state.error.as_str()), (Some(at(100)), "503"));
    }

    #[test]
    fn a_message_that_is_taken_closes_it_and_keeps_the_rate() {
        let mut state = ChannelState { bucket: Some((2.0, at(1))), ..failing(FAILURES, 0) };
        taken(&mut state);
        assert_eq!(state, ChannelState { bucket: Some((2.0, at(1))), ..ChannelState::default() });
    }

    #[test]
    fn what_was_under_way_when_it_opened_does_not_lengthen_the_rest() {
        assert_eq!(failing(FAILURES + 7, 3).probe_at, failing(FAILURES, 3).probe_at);
    }

    #[test]
    fn a_receiver_that_asks_for_a_rest_gets_it_at_once_within_limits() {
        for (asked, rest) in [(0, 1), (60, 60), (86_400, 900)] {
            let mut state = ChannelState::default();
            failed(&mut state, "429", Some(asked), at(0), 0);
            assert_eq!(state.probe_at, Some(at(rest)));
        }
    }

    #[test]
    fn a_refused_login_pauses_it_however_long_that_lasts() {
        let mut state = ChannelState::default();
        refused(&mut state, "401", at(0));
        refused(&mut state, "403", at(50));
        assert_eq!(gate(&state, at(1_000_000)), Gate::Paused);
        assert_eq!(hands_over(&state, at(300)), None);
        assert_eq!(hands_over(&state, at(301)), Some("the channel is paused: 401".into()));
    }

    #[test]
    fn notices_are_handed_over_when_the_trouble_lasts_and_not_for_a_few_failures() {
        assert_eq!(hands_over(&failing(FAILURES - 1, 0), at(10_000)), None);
        assert_eq!(hands_over(&failing(FAILURES, 0), at(400)), None);
        assert_eq!(hands_over(&failing(FAILURES, 0), at(401)), Some("the channel does not take anything: 503".into()));
    }

    #[test]
    fn a_clock_set_back_holds_no_channel() {
        let state = ChannelState { probe_at: Some(at(1_000_000)), ..ChannelState::default() };
        assert_eq!(gate(&state, at(0)), Gate::Probe);
    }

    proptest! {
        #[test]
        fn rests_stay_within_bounds(tries in 1u32..60, seed: u64) {
            let (mut state, mut now) = (ChannelState::default(), at(0));
            for _ in 0..tries {
                failed(&mut state, "503", None, now, seed);
                let rest = state.probe_at.map_or(0, |probe| (probe - now).num_seconds());
                prop_assert!(rest == 0 && state.failures < FAILURES || (30..=300).contains(&rest), "{rest}");
                now = state.probe_at.unwrap_or(now);
                prop_assert!(matches!(gate(&state, now), Gate::Open | Gate::Probe));
            }
        }
    }
}
