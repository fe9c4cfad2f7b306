//! Whether one channel is told of one alert, and why or why not.
//!
//! The window is anchored at the last delivery and half-open, `[delivered, delivered + repeat)`: it does not slide with
//! occurrences, and a notice that failed (those are not in `Told`) does not start it. Falling severity tells nobody.

use chrono::{DateTime, TimeDelta, Utc};

use crate::model::{Alert, NoticeKind, Reason, Told};

/// A notice to make, or `None`; either way the reason.
pub(super) type Choice = (Option<NoticeKind>, Reason);

/// For an alert that fires and is not suppressed.
pub(super) fn firing(alert: &Alert, told: Option<&Told>, repeat_s: Option<u64>, now: DateTime<Utc>) -> Choice {
    let Some(told) = told else { return (Some(NoticeKind::Firing), Reason::FirstOfEpisode) };
    if alert.severity > told.severity {
        return (Some(NoticeKind::Raised), Reason::SeverityRose { from: told.severity });
    }
    let Some(delivered_at) = told.delivered_at else { return (None, Reason::OnItsWay) };
    let Some((repeat_s, window)) = repeat_s.and_then(|s| Some((s, TimeDelta::try_seconds(i64::try_from(s).ok()?)?))) else {
        return (None, Reason::NoRepeat);
    };
    let over = Reason::WindowOver { dedup_s: repeat_s };
    // A delivery later than now was made while this tick ran, or before the clock was put back. Counting from when it was
    // queued, no clock can silence for more than one window; if even that is to come, the clock is proven wrong.
    let Some(anchor) = [delivered_at, told.queued_at].into_iter().find(|at| *at <= now) else { return (Some(NoticeKind::Repeat), over) };
    match anchor.checked_add_signed(window) {
        Some(until) if until <= now => (Some(NoticeKind::Repeat), over),
        Some(until) => (None, Reason::Deduplicated { until }),
        None => (None, Reason::NoRepeat),
    }
}

/// For an alert that is over: a channel hears of the end if it was told of the firing, even if that is on its way.
pub(super) fn resolved(told: Option<&Told>) -> Choice {
    match told {
        Some(_) => (Some(NoticeKind::Resolved), Reason::ToldOfFiring),
        None => (None, Reason::NeverTold),
    }
}
