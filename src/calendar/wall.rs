//! What a clock on the wall of a zone shows, and which moments a wall time means: none where clocks are put forward, two
//! where they are put back.

use chrono::{DateTime, FixedOffset, NaiveDateTime, Offset, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

/// Seconds of a day: zones that moved across the date line left out a whole one.
const DAY_S: i32 = 86_400;

/// Which end of a time span a moment is: of a wall time that comes twice, a start means the first and an end the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge {
    /// It begins there.
    Start,
    /// It ends there.
    End,
}

/// The offset of a zone at a moment.
pub(super) fn offset(zone: Tz, at: DateTime<Utc>) -> FixedOffset {
    zone.offset_from_utc_datetime(&at.naive_utc()).fix()
}

/// What the clock on the wall shows; `None` beyond the ends of the calendar.
pub(super) fn shown(zone: Tz, at: DateTime<Utc>) -> Option<NaiveDateTime> {
    at.naive_utc().checked_add_offset(offset(zone, at))
}

/// The moments at which the clock shows a wall time, earliest first: two where clocks are put back over it. Where they are
/// put forward over it, the first moment after the gap; none where a zone left out the whole date.
pub(super) fn passes(zone: Tz, wall: NaiveDateTime) -> Vec<DateTime<Utc>> {
    let stretches = stretches(zone, wall, wall);
    let under = stretches.iter().map(|(since, till, offset)| (*since, *till, before(wall, *offset)));
    let passes: Vec<_> = under.filter(|(since, till, at)| since <= at && at < till).map(|(_, _, at)| at).collect();
    match stretches.as_slice() {
        [(_, till, old), (_, _, new)] if passes.is_empty() && new.local_minus_utc() - old.local_minus_utc() < DAY_S => vec![*till],
        _ => passes,
    }
}

/// The one moment that a wall time means as an edge; `None` when it never comes.
pub(super) fn moment(zone: Tz, wall: NaiveDateTime, edge: Edge) -> Option<DateTime<Utc>> {
    let passes = passes(zone, wall);
    let found = if edge == Edge::Start { passes.first() } else { passes.last() };
    found.copied()
}

/// A wall time under an offset.
pub(super) fn before(wall: NaiveDateTime, offset: FixedOffset) -> DateTime<Utc> {
    (wall - TimeDelta::seconds(i64::from(offset.local_minus_utc()))).and_utc()
}

/// The stretches of constant offset around two wall times. No zone changes its offset twice within the three days.
pub(super) fn stretches(zone: Tz, start: NaiveDateTime, end: NaiveDateTime) -> Vec<(DateTime<Utc>, DateTime<Utc>, FixedOffset)> {
    let (Some(first), Some(last)) = (start.checked_sub_signed(TimeDelta::hours(26)), end.checked_add_signed(TimeDelta::hours(26))) else {
        return Vec::new();
    };
    let (first, last) = (first.and_utc(), last.and_utc());
    let (before, after) = (offset(zone, first), offset(zone, last));
    if before == after {
        return vec![(first, last, before)];
    }
    let (mut old, mut new) = (first, last);
    while new - old > TimeDelta::seconds(1) {
        let middle = old + TimeDelta::seconds((new - old).num_seconds() / 2);
        if offset(zone, middle) == before { old = middle } else { new = middle }
    }
    vec![(first, new, before), (new, last, after)]
}
