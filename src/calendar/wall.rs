//! What a clock on the wall of a zone shows, and which moments a wall time means: none where clocks are put forward, two
//! where they are put back.

use chrono::{DateTime, FixedOffset, NaiveDateTime, Offset, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

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

/// The moment that a wall time means; one that is skipped is the first moment after the gap.
pub(super) fn moment(zone: Tz, wall: NaiveDateTime, edge: Edge) -> Option<DateTime<Utc>> {
    let stretches = stretches(zone, wall, wall);
    let mut moments = stretches.iter().filter_map(|(since, till, offset)| {
        let at = before(wall, *offset);
        (*since <= at && at < *till).then_some(at)
    });
    let found = if edge == Edge::Start { moments.next() } else { moments.next_back() };
    found.or_else(|| stretches.first().map(|(_, till, _)| *till))
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
