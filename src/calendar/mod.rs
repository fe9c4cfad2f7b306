//! Weekday windows in a zone, right across midnight and daylight saving. Pure; open to every room.
//!
//! A moment is inside a window when a clock on the wall in the window's zone shows a time inside it. So a start or end
//! that a zone skips takes place at the first moment after it, and both passes of a repeated hour are inside. `parse`
//! reads what people write. Cron expressions are deliberately absent: days and times say all that windows need.

mod parse;
mod wall;

use std::fmt;

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime, Utc, Weekday};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

pub use parse::{parse_days, parse_moment, parse_span, parse_time, parse_zone};
pub use wall::Edge;

/// A recurring time of the week.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// Days on which it starts, in its own zone; empty means every day.
    pub days: Vec<Weekday>,
    /// Wall time at which it starts.
    pub start: NaiveTime,
    /// Wall time at which it ends (not part of it); at or before `start` it ends on the next day. Midnight (`24:00`)
    /// is the end of the day.
    pub end: NaiveTime,
    /// Whole days; `start` and `end` are midnight.
    pub all_day: bool,
    /// The zone of days and times.
    pub zone: Tz,
    /// Dates (of the start) on which it does not take place.
    #[serde(default)]
    pub except: Vec<NaiveDate>,
}

impl Window {
    /// Whether a moment is inside; then also when that comes to an end.
    #[must_use]
    pub fn contains(&self, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let wall = wall::shown(self.zone, at)?;
        // It lasts at most a day, so the one inside began today or yesterday.
        let date = [Some(wall.date()), wall.date().pred_opt()].into_iter().flatten().find(|date| self.on(*date, wall))?;
        self.pieces(date).into_iter().find(|(from, to)| *from <= at && at < *to).map(|(_, to)| to)
    }

    /// The next `n` times that begin after a moment, as `[from, to)`. Where clocks are put back inside one, it may come in
    /// two pieces; fewer than `n` when the calendar or the exceptions leave no more.
    #[must_use]
    pub fn next(&self, after: DateTime<Utc>, n: usize) -> Vec<(DateTime<Utc>, DateTime<Utc>)> {
        let Some(wall) = wall::shown(self.zone, after) else { return Vec::new() };
        // One date a week is enough for any window; each exception and the dates that a zone left out cost one more.
        let horizon = n.saturating_add(self.except.len()).saturating_add(3).saturating_mul(7);
        let dates = wall.date().pred_opt().unwrap_or(wall.date()).iter_days().take(horizon);
        let pieces = dates.filter(|date| self.takes_place(*date)).flat_map(|date| self.pieces(date));
        // The tail of one day's may come after the head of the next day's, in a night with a repeated hour.
        let mut next: Vec<_> = pieces.filter(|(from, _)| *from > after).take(n.saturating_add(2)).collect();
        next.sort();
        next.truncate(n);
        next
    }

    /// Whether it starts on a date.
    fn takes_place(&self, date: NaiveDate) -> bool {
        (self.days.is_empty() || self.days.contains(&date.weekday())) && !self.except.contains(&date)
    }

    /// Whether a wall time is inside the one that starts on a date.
    fn on(&self, date: NaiveDate, wall: NaiveDateTime) -> bool {
        self.takes_place(date) && self.walls(date).is_some_and(|(from, to)| from <= wall && wall < to)
    }

    /// Wall times of start and end of the one that starts on a date.
    fn walls(&self, date: NaiveDate) -> Option<(NaiveDateTime, NaiveDateTime)> {
        let (start, end) = if self.all_day { (NaiveTime::MIN, NaiveTime::MIN) } else { (self.start, self.end) };
        let last = if end <= start { date.succ_opt()? } else { date };
        Some((date.and_time(start), last.and_time(end)))
    }

    /// The moments of the one that starts on a date: none when the zone skips it, two when clocks are put back inside.
    fn pieces(&self, date: NaiveDate) -> Vec<(DateTime<Utc>, DateTime<Utc>)> {
        let Some((start, end)) = self.walls(date) else { return Vec::new() };
        let mut pieces: Vec<(DateTime<Utc>, DateTime<Utc>)> = Vec::new();
        for (since, till, offset) in wall::stretches(self.zone, start, end) {
            let from = wall::before(start, offset).max(since);
            let to = wall::before(end, offset).min(till);
            match pieces.last_mut() {
                Some(last) if from < to && last.1 == from => last.1 = to,
                _ if from < to => pieces.push((from, to)),
                _ => {}
            }
        }
        pieces
    }
}

/// As people say it: `Sun 22:00..04:00 Europe/Paris`.
impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days: Vec<String> = self.days.iter().map(Weekday::to_string).collect();
        let days = if days.is_empty() { "every day".into() } else { days.join(", ") };
        let end = if self.end == NaiveTime::MIN { "24:00".into() } else { self.end.format("%H:%M").to_string() };
        match self.all_day {
            true => write!(f, "{days} {}", self.zone),
            false => write!(f, "{days} {}..{end} {}", self.start.format("%H:%M"), self.zone),
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn window(days: &str, start: &str, end: &str, zone: &str) -> Window {
        let (start, end, all_day) = parse_span(start, end).unwrap();
        Window { days: parse_days(days).unwrap(), start, end, all_day, zone: parse_zone(zone).unwrap(), except: vec![] }
    }

    fn shown(pieces: &[(DateTime<Utc>, DateTime<Utc>)]) -> Vec<String> {
        pieces.iter().map(|(from, to)| format!("{}..{}", from.format("%a %d %b %H:%MZ"), to.format("%a %H:%MZ"))).collect()
    }

    #[test]
    fn an_overnight_window_belongs_to_the_day_it_starts_on() {
        let patch = window("sun", "22:00", "04:00", "Europe/Paris");
        assert_eq!(patch.contains(at("2026-11-29T20:59:59Z")), None);
        assert_eq!(patch.contains(at("2026-11-29T21:00:00Z")), Some(at("2026-11-30T03:00:00Z")));
        assert_eq!(patch.contains(at("2026-11-30T02:59:59Z")), Some(at("2026-11-30T03:00:00Z")), "monday morning is sunday's tail");
        assert_eq!(patch.contains(at("2026-11-30T03:00:00Z")), None, "the end is not part of it");
        assert_eq!(patch.contains(at("2026-11-29T01:00:00Z")), None, "sunday morning would be saturday's tail");
        assert_eq!(patch.to_string(), "Sun 22:00..04:00 Europe/Paris");
    }

    #[test]
    fn the_next_ones_follow_the_wall_clock_through_the_year() {
        let patch = window("sun", "22:00", "04:00", "Europe/Paris");
        let next = shown(&patch.next(at("2026-10-11T20:00:00Z"), 3));
        assert_eq!(next, ["Sun 18 Oct 20:00Z..Mon 02:00Z", "Sun 25 Oct 21:00Z..Mon 03:00Z", "Sun 01 Nov 21:00Z..Mon 03:00Z"]);
    }

    #[test]
    fn an_exception_names_the_date_of_the_start() {
        let mut patch = window("sun", "22:00", "04:00", "Europe/Paris");
        patch.except = vec![NaiveDate::from_ymd_opt(2026, 12, 27).unwrap()];
        assert_eq!(patch.contains(at("2026-12-28T02:00:00Z")), None, "its tail does not take place either");
        assert_eq!(shown(&patch.next(at("2026-12-21T12:00:00Z"), 1)), ["Sun 03 Jan 21:00Z..Mon 03:00Z"]);
    }

    #[test]
    fn a_skipped_start_or_end_is_the_first_moment_after() {
        // Paris, 29 March 2026: 02:00 is followed by 03:00 (01:00Z).
        let starts = window("sun", "02:30", "05:00", "Europe/Paris");
        assert_eq!(shown(&starts.next(at("2026-03-28T00:00:00Z"), 1)), ["Sun 29 Mar 01:00Z..Sun 03:00Z"]);
        let ends = window("sun", "01:00", "02:30", "Europe/Paris");
        assert_eq!(shown(&ends.next(at("2026-03-28T00:00:00Z"), 1)), ["Sun 29 Mar 00:00Z..Sun 01:00Z"]);
        let inside = window("sun", "02:10", "02:50", "Europe/Paris");
        assert_eq!(shown(&inside.next(at("2026-03-28T00:00:00Z"), 1)), ["Sun 05 Apr 00:10Z..Sun 00:50Z"], "no such time that night");
    }

    #[test]
    fn both_passes_of_a_repeated_hour_are_inside() {
        // Paris, 25 October 2026: 03:00 is followed by 02:00 (01:00Z).
        let hour = window("sun", "02:00", "03:00", "Europe/Paris");
        assert_eq!(shown(&hour.next(at("2026-10-24T12:00:00Z"), 1)), ["Sun 25 Oct 00:00Z..Sun 02:00Z"]);
        let half = window("sun", "02:00", "02:30", "Europe/Paris");
        let pieces = ["Sun 25 Oct 00:00Z..Sun 00:30Z", "Sun 25 Oct 01:00Z..Sun 01:30Z"];
        assert_eq!(shown(&half.next(at("2026-10-24T12:00:00Z"), 2)), pieces);
        assert_eq!(half.contains(at("2026-10-25T00:45:00Z")), None, "the clock shows 02:45");
    }

    #[test]
    fn half_an_hour_of_daylight_saving_and_a_date_that_never_was() {
        // Lord Howe, 5 April 2026: 02:00 (+11:00) is followed by 01:30 (+10:30).
        let early = window("sun", "01:30", "02:00", "Australia/Lord_Howe");
        assert_eq!(shown(&early.next(at("2026-04-04T00:00:00Z"), 1)), ["Sat 04 Apr 14:30Z..Sat 15:30Z"]);
        // Apia went from Thursday 29 to Saturday 31 December 2011.
        let friday = window("fri", "08:00", "10:00", "Pacific/Apia");
        assert_eq!(shown(&friday.next(at("2011-12-24T00:00:00Z"), 1)), ["Thu 05 Jan 18:00Z..Thu 20:00Z"]);
        let overnight = window("fri", "22:00", "06:00", "Pacific/Apia");
        assert_eq!(shown(&overnight.next(at("2011-12-25T00:00:00Z"), 1)), ["Fri 30 Dec 10:00Z..Fri 16:00Z"], "only its tail");
    }

    #[test]
    fn whole_days_end_at_midnight_of_their_zone() {
        let weekend = window("sat,sun", "00:00", "24:00", "America/New_York");
        assert_eq!(weekend.to_string(), "Sat, Sun America/New_York");
        let next = shown(&weekend.next(at("2026-03-06T00:00:00Z"), 2));
        assert_eq!(next, ["Sat 07 Mar 05:00Z..Sun 05:00Z", "Sun 08 Mar 05:00Z..Mon 04:00Z"], "the second has 23 hours");
        let evening = window("mon", "20:00", "24:00", "UTC");
        assert_eq!(shown(&evening.next(at("2026-03-06T00:00:00Z"), 1)), ["Mon 09 Mar 20:00Z..Tue 00:00Z"]);
        assert_eq!(evening.to_string(), "Mon 20:00..24:00 UTC");
    }

    #[test]
    fn a_window_that_starts_at_this_moment_is_not_among_the_next() {
        let daily = window("", "10:00", "11:00", "UTC");
        assert_eq!(shown(&daily.next(at("2026-03-06T10:00:00Z"), 1)), ["Sat 07 Mar 10:00Z..Sat 11:00Z"]);
        assert_eq!(daily.to_string(), "every day 10:00..11:00 UTC");
    }

    #[test]
    fn the_ends_of_the_calendar_hold_no_window_and_no_panic() {
        let daily = window("", "22:00", "04:00", "Asia/Tokyo");
        for edge in [DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC] {
            assert!(daily.contains(edge).is_none());
            assert!(daily.next(edge, 3).len() <= 3);
        }
        let mut never = window("mon", "22:00", "04:00", "UTC");
        never.except = (0..60).map(|week| NaiveDate::from_ymd_opt(2026, 1, 5).unwrap() + TimeDelta::weeks(week)).collect();
        assert_eq!(never.next(at("2026-01-01T00:00:00Z"), 1).len(), 1, "after sixty exceptions there is one again");
        assert_eq!(never.next(at("2026-01-01T00:00:00Z"), 0), []);
    }
}
