//! Windows of time in a zone, right across midnight and daylight saving: weekdays, cron, once. Pure; open to every room.
//!
//! A weekly window holds the moments at which a clock on the wall shows a time inside it: a start or end that a zone skips
//! takes place at the first moment after it, and both passes of a repeated hour are inside. A cron window opens whenever
//! the clock shows its time (in both passes of a repeated hour; at the first moment after a gap that skips it) and stays
//! open for a measured time. A date that a zone left out holds none. `parse` reads what people write.

mod cron;
mod parse;
mod wall;
mod weekly;

use std::fmt;

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

pub use cron::Cron;
pub use parse::{parse_days, parse_moment, parse_span, parse_time, parse_zone};
pub use wall::Edge;
pub use weekly::Weekly;

/// A time with a begin and an end, which is not part of it.
pub type Span = (DateTime<Utc>, DateTime<Utc>);

/// When something is on, again and again or once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// How it comes again.
    #[serde(flatten)]
    pub form: Form,
    /// The zone of its days and times.
    pub zone: Tz,
    /// Dates (of the start) on which it does not take place.
    #[serde(default)]
    pub except: Vec<NaiveDate>,
    /// Before this there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_from: Option<DateTime<Utc>>,
    /// From this on there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<DateTime<Utc>>,
}

/// How a window comes again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Form {
    /// On weekdays, from one wall time to another.
    Weekly(Weekly),
    /// At the times of a cron expression, for a while.
    Cron(Cron),
    /// It does not.
    Once {
        /// When it begins.
        from: DateTime<Utc>,
        /// When it ends; not part of it.
        to: DateTime<Utc>,
    },
}

impl Window {
    /// One without exceptions, for ever.
    #[must_use]
    pub fn new(form: Form, zone: Tz) -> Self {
        Self { form, zone, except: Vec::new(), valid_from: None, valid_until: None }
    }

    /// Whether a moment is inside; then also when that comes to an end.
    #[must_use]
    pub fn contains(&self, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let inside = |spans: Vec<Span>| spans.into_iter().find(|(from, to)| *from <= at && at < *to).map(|(_, to)| to);
        let (back, ahead) = match &self.form {
            Form::Once { from, to } => return inside(self.valid((*from, *to)).into_iter().collect()),
            // It lasts at most a day, so the one inside began today or yesterday.
            Form::Weekly(_) => (1, 0),
            // Those that overlap are one; an end that lies further ahead is told when it is nearer.
            Form::Cron(cron) => (cron.days(), cron.days()),
        };
        let first = days_before(wall::shown(self.zone, at)?.date(), back);
        let mut spans = Vec::new();
        first.iter_days().take(back + 1 + ahead).for_each(|date| self.gather(date, &mut spans));
        inside(spans)
    }

    /// The next `n` times that begin after a moment. Where clocks are put back inside one, it may come in two pieces; fewer
    /// than `n` when the calendar or the exceptions leave no more.
    #[must_use]
    pub fn next(&self, after: DateTime<Utc>, n: usize) -> Vec<Span> {
        let mut spans = Vec::new();
        // One date a week is enough for any weekly window; each exception and the dates that a zone left out cost one more.
        let weeks = n.saturating_add(self.except.len()).saturating_add(3).saturating_mul(7);
        let (back, horizon) = match &self.form {
            Form::Once { from, to } => {
                spans.extend(self.valid((*from, *to)));
                (0, 0)
            }
            Form::Weekly(_) => (1, weeks),
            Form::Cron(cron) => (cron.days(), weeks.max(Cron::HORIZON_DAYS)),
        };
        let since = self.valid_from.map_or(after, |valid| valid.max(after));
        let Some(wall) = wall::shown(self.zone, since) else { return Vec::new() };
        for date in days_before(wall.date(), back).iter_days().take(horizon) {
            self.gather(date, &mut spans);
            // Two more: the last may grow, and in a night with a repeated hour one day's tail comes after the next day's head.
            if spans.iter().rev().filter(|(from, _)| *from > after).count() > n.saturating_add(2) {
                break;
            }
        }
        spans.retain(|(from, _)| *from > after);
        spans.sort();
        spans.truncate(n);
        spans
    }

    /// Adds those that start on a date; one that begins inside the one before it makes that longer.
    fn gather(&self, date: NaiveDate, spans: &mut Vec<Span>) {
        if self.except.contains(&date) {
            return;
        }
        let on = match &self.form {
            Form::Weekly(weekly) => weekly.on(date, self.zone),
            Form::Cron(cron) => cron.on(date, self.zone),
            Form::Once { .. } => Vec::new(),
        };
        for span in on.into_iter().filter_map(|span| self.valid(span)) {
            match spans.last_mut() {
                Some(last) if last.0 <= span.0 && span.0 < last.1 => last.1 = last.1.max(span.1),
                _ => spans.push(span),
            }
        }
    }

    /// What of a time is valid.
    fn valid(&self, (from, to): Span) -> Option<Span> {
        let from = self.valid_from.map_or(from, |valid| valid.max(from));
        let to = self.valid_until.map_or(to, |valid| valid.min(to));
        (from < to).then_some((from, to))
    }
}

fn days_before(date: NaiveDate, days: usize) -> NaiveDate {
    date.checked_sub_days(chrono::Days::new(days as u64)).unwrap_or(date)
}

/// As people say it: `Sun 22:00..04:00 Europe/Paris`.
impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let local = |at: &DateTime<Utc>| at.with_timezone(&self.zone).format("%Y-%m-%d %H:%M").to_string();
        match &self.form {
            Form::Weekly(weekly) => write!(f, "{weekly} {}", self.zone)?,
            Form::Cron(cron) => write!(f, "{cron} {}", self.zone)?,
            Form::Once { from, to } => write!(f, "{}..{} {}", local(from), local(to), self.zone)?,
        }
        if let Some(from) = &self.valid_from {
            write!(f, " from {}", local(from))?;
        }
        if let Some(until) = &self.valid_until {
            write!(f, " until {}", local(until))?;
        }
        Ok(())
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
        let form = Form::Weekly(Weekly { days: parse_days(days).unwrap(), start, end, all_day });
        Window::new(form, parse_zone(zone).unwrap())
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

    fn cron(text: &str, hours: u64, zone: &str) -> Window {
        Window::new(Form::Cron(Cron::new(text, hours * 3_600).unwrap()), parse_zone(zone).unwrap())
    }

    #[test]
    fn a_cron_window_opens_by_the_clock_and_lasts_a_measured_time() {
        let patch = cron("0 22 * * sun", 6, "Europe/Paris");
        assert_eq!(patch.to_string(), "cron `0 22 * * sun` for 6h Europe/Paris");
        let next = shown(&patch.next(at("2026-10-11T20:00:00Z"), 3));
        assert_eq!(next, ["Sun 18 Oct 20:00Z..Mon 02:00Z", "Sun 25 Oct 21:00Z..Mon 03:00Z", "Sun 01 Nov 21:00Z..Mon 03:00Z"]);
        assert_eq!(patch.contains(at("2026-11-30T02:59:59Z")), Some(at("2026-11-30T03:00:00Z")));
        assert_eq!(patch.contains(at("2026-11-30T03:00:00Z")), None);
        let second_tuesday = cron("0 1 * * tue#2", 2, "UTC");
        assert_eq!(
            shown(&second_tuesday.next(at("2026-11-24T00:00:00Z"), 2)),
            ["Tue 08 Dec 01:00Z..Tue 03:00Z", "Tue 12 Jan 01:00Z..Tue 03:00Z"]
        );
        let leap = cron("0 0 29 2 *", 1, "UTC");
        assert_eq!(leap.next(at("2026-11-24T00:00:00Z"), 1), [(at("2028-02-29T00:00:00Z"), at("2028-02-29T01:00:00Z"))]);
        assert_eq!(cron("0 0 31 2 *", 1, "UTC").next(at("2026-11-24T00:00:00Z"), 1), [], "there is no such day");
    }

    #[test]
    fn a_cron_start_that_is_skipped_or_repeated() {
        // Paris, 29 March 2026: 02:00 is followed by 03:00 (01:00Z); 25 October: 03:00 by 02:00 (01:00Z).
        let half_past_two = cron("30 2 * * *", 2, "Europe/Paris");
        assert_eq!(shown(&half_past_two.next(at("2026-03-28T12:00:00Z"), 1)), ["Sun 29 Mar 01:00Z..Sun 03:00Z"]);
        let both = ["Sun 25 Oct 00:30Z..Sun 03:30Z"];
        assert_eq!(shown(&half_past_two.next(at("2026-10-24T12:00:00Z"), 1)), both, "both passes open it, and they overlap");
        let apia = cron("0 8 * * *", 2, "Pacific/Apia");
        let around = ["Thu 29 Dec 18:00Z..Thu 20:00Z", "Fri 30 Dec 18:00Z..Fri 20:00Z"];
        assert_eq!(shown(&apia.next(at("2011-12-28T18:00:00Z"), 2)), around, "29 and 31 December there; no 30th");
    }

    #[test]
    fn cron_windows_that_overlap_are_one() {
        let weekend = cron("0 20 * * fri,sat", 30, "UTC");
        assert_eq!(shown(&weekend.next(at("2026-11-24T00:00:00Z"), 1)), ["Fri 27 Nov 20:00Z..Mon 02:00Z"]);
        assert_eq!(weekend.contains(at("2026-11-28T12:00:00Z")), Some(at("2026-11-30T02:00:00Z")));
    }

    #[test]
    fn a_window_can_be_once_and_be_valid_for_a_time() {
        let (from, to) = (at("2026-12-05T19:00:00Z"), at("2026-12-06T05:00:00Z"));
        let once = Window::new(Form::Once { from, to }, Tz::Europe__Paris);
        assert_eq!((once.contains(from), once.contains(to)), (Some(to), None));
        assert_eq!((once.next(at("2026-11-24T00:00:00Z"), 5), once.next(from, 5)), (vec![(from, to)], vec![]));
        assert_eq!(once.to_string(), "2026-12-05 20:00..2026-12-06 06:00 Europe/Paris");

        let mut weekly = window("sun", "22:00", "04:00", "UTC");
        (weekly.valid_from, weekly.valid_until) = (Some(at("2027-11-29T01:00:00Z")), Some(at("2027-12-12T22:30:00Z")));
        let pieces = ["Mon 29 Nov 01:00Z..Mon 04:00Z", "Sun 05 Dec 22:00Z..Mon 04:00Z", "Sun 12 Dec 22:00Z..Sun 22:30Z"];
        assert_eq!(shown(&weekly.next(at("2026-11-24T00:00:00Z"), 5)), pieces);
        assert_eq!(weekly.contains(at("2027-11-29T00:30:00Z")), None);
        assert_eq!(weekly.contains(at("2027-12-12T22:10:00Z")), Some(at("2027-12-12T22:30:00Z")));
        assert_eq!(weekly.to_string(), "Sun 22:00..04:00 UTC from 2027-11-29 01:00 until 2027-12-12 22:30");
    }

    #[test]
    fn every_form_reads_back_from_json_and_a_weekly_one_as_it_always_was() {
        let (from, to) = (at("2026-12-05T19:00:00Z"), at("2026-12-06T05:00:00Z"));
        let once = Window::new(Form::Once { from, to }, Tz::UTC);
        for window in [window("sun", "22:00", "04:00", "Europe/Paris"), cron("0 22 * * sun", 6, "UTC"), once] {
            let json = serde_json::to_string(&window).unwrap();
            assert_eq!(serde_json::from_str::<Window>(&json).unwrap(), window, "{json}");
        }
        let old = r#"{"days":["Sun"],"start":"22:00:00","end":"04:00:00","all_day":false,"zone":"Europe/Paris","except":[]}"#;
        assert_eq!(serde_json::from_str::<Window>(old).unwrap(), window("sun", "22:00", "04:00", "Europe/Paris"));
        assert!(serde_json::from_str::<Window>(r#"{"cron":"bad","for_s":60,"zone":"UTC"}"#).is_err());
    }
}
