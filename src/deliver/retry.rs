//! The retry policy, pure: what becomes of an outbox row after an attempt.
//!
//! Full jitter: the wait is drawn evenly below a ceiling that doubles, so that many senders do not come back together.
//! A notice is given up when its next try would fall behind its deadline; an alert that still fires is then decided
//! anew, since nobody was told, and tried again an hour later. A refused login gives nothing up: somebody has to mend it,
//! and then everything is told.

use chrono::{DateTime, TimeDelta, Utc};

use super::{Receipt, SendError, render};
use crate::model::Severity;
use crate::store::{AttemptOutcome, OutboxRow};
use crate::text::safe;

/// Shortest wait in milliseconds.
pub const SHORTEST_MS: u64 = 1_000;
/// Longest wait in milliseconds, unless the receiver asks for more.
pub const LONGEST_MS: u64 = 300_000;
/// Longest wait in seconds that a receiver may ask for.
pub const LONGEST_ASKED_S: u64 = 900;
/// Characters kept of an error.
const ERROR_CHARS: usize = 500;

/// Milliseconds to wait after the attempt of that number (from 1), drawn from `seed`.
#[must_use]
pub fn backoff_ms(attempt: u32, seed: u64) -> u64 {
    let ceiling = SHORTEST_MS.saturating_mul(1 << attempt.clamp(1, 20)).min(LONGEST_MS);
    SHORTEST_MS + mix(seed ^ u64::from(attempt).rotate_left(32)) % (ceiling - SHORTEST_MS + 1)
}

/// Seconds from the commit of a notice until it is given up.
#[must_use]
pub fn deadline_s(severity: Severity) -> i64 {
    match severity {
        Severity::Critical => 24 * 3_600,
        Severity::Warning | Severity::Info => 4 * 3_600,
    }
}

/// What becomes of a row. `seed` is the message's, so that what failed together comes again together.
#[must_use]
pub fn settle(
    row: &OutboxRow,
    result: &Result<Receipt, SendError>,
    fallback: Option<&str>,
    now: DateTime<Utc>,
    seed: u64,
) -> AttemptOutcome {
    let dead = |error: String| AttemptOutcome::Dead { error, fallback: fallback.map(String::from) };
    let later = |detail: &str, after_s: Option<u64>| {
        let asked_ms = after_s.map(|s| s.clamp(1, LONGEST_ASKED_S) * 1_000);
        let at = after(now, asked_ms.unwrap_or_else(|| backoff_ms(row.attempts, seed)));
        let deadline_s = deadline_s(row.notice.severity);
        if at <= row.queued_at + TimeDelta::seconds(deadline_s) {
            return AttemptOutcome::Retry { at, error: told(detail) };
        }
        let limit = pgsteward_helpers::span(deadline_s as f64);
        dead(format!("given up after {} attempts in {limit}: {}", row.attempts, told(detail)))
    };
    match result {
        Ok(receipt) => AttemptOutcome::Delivered { receipt: told(&receipt.text), handle: receipt.handle.clone() },
        Err(SendError::Permanent { detail }) => dead(told(detail)),
        Err(SendError::Auth { detail }) => AttemptOutcome::Retry { at: after(now, LONGEST_MS), error: told(detail) },
        Err(SendError::Retryable { detail, after_s }) => later(detail, *after_s),
        Err(SendError::Unready { detail, .. }) => later(detail, None),
    }
}

fn after(now: DateTime<Utc>, ms: u64) -> DateTime<Utc> {
    now + TimeDelta::milliseconds(i64::try_from(ms).unwrap_or(i64::MAX / 2))
}

/// A receiver's words, as they may stand in a store and on a terminal.
pub(super) fn told(text: &str) -> String {
    safe(&render::cut(text, ERROR_CHARS))
}

/// A well-mixed number (the finaliser of splitmix64).
pub(super) fn mix(seed: u64) -> u64 {
    let a = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let b = (a ^ (a >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let c = (b ^ (b >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    c ^ (c >> 31)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::{at, notice};
    use super::*;

    fn row(severity: Severity, attempts: u32) -> OutboxRow {
        OutboxRow { id: 7, notice: crate::model::Notice { severity, ..notice("k") }, queued_at: at(0), attempts }
    }

    fn retryable(after_s: Option<u64>) -> Result<Receipt, SendError> {
        Err(SendError::Retryable { detail: "503".into(), after_s })
    }

    proptest! {
        #[test]
        fn waits_stay_within_bounds_that_double(attempt in 0u32..=u32::MAX, seed: u64) {
            let wait = backoff_ms(attempt, seed);
            prop_assert!((SHORTEST_MS..=LONGEST_MS).contains(&wait));
            prop_assert!(wait <= SHORTEST_MS << attempt.clamp(1, 9));
            prop_assert_eq!(wait, backoff_ms(attempt, seed), "the same seed draws the same wait");
        }

        #[test]
        fn nothing_is_tried_again_behind_its_deadline(now in 0i64..200_000, attempts in 1u32..100, after_s in proptest::option::of(any::<u64>()), seed: u64) {
            for severity in Severity::ALL {
                match settle(&row(severity, attempts), &retryable(after_s), None, at(now), seed) {
                    AttemptOutcome::Retry { at: next, .. } => {
                        prop_assert!(next >= at(now + 1) && next <= at(now + 900));
                        prop_assert!(next <= at(deadline_s(severity)));
                    }
                    AttemptOutcome::Dead { .. } => prop_assert!(at(now + 900) > at(deadline_s(severity))),
                    other => prop_assert!(false, "{other:?}"),
                }
            }
        }
    }

    #[test]
    fn waits_are_spread_over_their_range() {
        let waits: Vec<u64> = (0..1_000).map(|seed| backoff_ms(6, seed)).collect();
        let low = waits.iter().filter(|w| **w < 22_000).count();
        let high = waits.iter().filter(|w| **w > 43_000).count();
        assert!((250..420).contains(&low) && (250..420).contains(&high), "{low} low, {high} high of 1000 below 64 s");
    }

    #[test]
    fn a_receiver_that_names_a_time_is_heard_within_limits() {
        let wait = |after_s| match settle(&row(Severity::Critical, 1), &retryable(Some(after_s)), None, at(100), 0) {
            AttemptOutcome::Retry { at, .. } => at.timestamp() - 100,
            other => panic!("{other:?}"),
        };
        assert_eq!([0, 1, 60, 900, 86_400, u64::MAX].map(wait), [1, 1, 60, 900, 900, 900]);
    }

    #[test]
    fn each_class_of_error_has_its_end() {
        let dead = |error: &str| AttemptOutcome::Dead { error: error.into(), fallback: Some("log".into()) };
        let end = |error| settle(&row(Severity::Info, 9), &Err(error), Some("log"), at(5 * 3_600), 0);
        assert_eq!(end(SendError::Permanent { detail: "no such room".into() }), dead("no such room"));
        assert_eq!(
            end(SendError::Auth { detail: "token refused".into() }),
            AttemptOutcome::Retry { at: at(5 * 3_600 + 300), error: "token refused".into() }
        );
        assert_eq!(end(SendError::retryable("503")), dead("given up after 9 attempts in 4h: 503"));
        let unready = SendError::Unready { setting: "url", detail: "no such file".into() };
        assert_eq!(end(unready), dead("given up after 9 attempts in 4h: no such file"));
        let receipt = Receipt { text: "r1".into(), handle: Some("h1".into()) };
        let taken = AttemptOutcome::Delivered { receipt: "r1".into(), handle: Some("h1".into()) };
        assert_eq!(settle(&row(Severity::Info, 1), &Ok(receipt), None, at(0), 0), taken);
    }

    #[test]
    fn a_receivers_words_are_cut_and_made_safe() {
        let words = format!("\u{1b}[2J{}", "x".repeat(10_000));
        let refused = Err(SendError::Permanent { detail: words });
        let AttemptOutcome::Dead { error, .. } = settle(&row(Severity::Info, 1), &refused, None, at(0), 0) else {
            panic!("a permanent error ends the row")
        };
        assert!(error.starts_with("\\u{1b}[2Jxxx"));
        assert!(error.chars().count() < 600);
    }
}
