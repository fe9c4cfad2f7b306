//! The `target` frame: whether the server answers and why not. The engine makes it at every tick, so that "down" is a rule
//! like any other.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::capability::Capabilities;
use super::failure::ConnectError;
use super::metrics;
use crate::model::{ColumnData, Frame, Missing, MissingReason, Reading};

/// The frame when the server answered; `lost` when its connection broke later in the sweep.
pub(super) fn reachable(now: DateTime<Utc>, found: &Capabilities, lost: Option<&str>) -> Reading {
    frame(now, [1, 0, 0], lost, found.latency_ms, found.clock_skew_s)
}

/// The frame when there was no session.
pub(super) fn unreachable(now: DateTime<Utc>, refusal: &ConnectError) -> Reading {
    let is = |reason| u8::from(refusal.reason == reason);
    let flags = [0, is(MissingReason::LoginRefused), is(MissingReason::TooManyClients)];
    frame(now, flags, Some(&refusal.detail), f64::NAN, f64::NAN)
}

fn frame(now: DateTime<Utc>, flags: [u8; 3], error: Option<&str>, latency_ms: f64, clock_skew_s: f64) -> Reading {
    let [reachable, refused, full] = flags.map(|flag| ColumnData::Flag(vec![flag].into()));
    let error = ColumnData::Text(Arc::new([error].into_iter().collect()));
    let [latency, skew] = [latency_ms, clock_skew_s].map(|value| ColumnData::Float(vec![value].into()));
    match Frame::new(Arc::new(metrics::target::frame()), now, vec![reachable, refused, full, error, latency, skew]) {
        Ok(frame) => Reading::Collected(Arc::new(frame)),
        Err(why) => Reading::Missing(Missing::new(MissingReason::NotCollected, why)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn why_not_is_one_flag_and_the_words() {
        let refusal = ConnectError::new(MissingReason::TooManyClients, "db:5432: sorry", "");
        let reading = unreachable(DateTime::UNIX_EPOCH, &refusal);
        let frame = reading.frame().unwrap();
        let flags: Vec<_> = ["reachable", "login_refused", "too_many_clients"].map(|c| frame.number(c, 0)).into();
        assert_eq!(flags, [Some(0.0), Some(0.0), Some(1.0)]);
        assert_eq!(frame.text("error", 0), Some("db:5432: sorry"));
        assert_eq!(frame.number("latency_ms", 0), None);
    }

    #[test]
    fn a_lost_session_was_reachable_and_says_how_it_ended() {
        let found = Capabilities { latency_ms: 2.0, ..Capabilities::default() };
        let reading = reachable(DateTime::UNIX_EPOCH, &found, Some("terminated"));
        let frame = reading.frame().unwrap();
        assert_eq!((frame.number("reachable", 0), frame.text("error", 0)), (Some(1.0), Some("terminated")));
        assert_eq!(frame.number("latency_ms", 0), Some(2.0));
    }
}
