//! Weekdays and wall times.

use std::fmt;

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime, Utc, Weekday};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::wall;

/// A recurring time of the week.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Weekly {
    /// Days on which it starts, in the window's zone; empty means every day.
    pub days: Vec<Weekday>,
    /// Wall time at which it starts.
    pub start: NaiveTime,
    /// Wall time at which it ends (not part of it); at or before `start` it ends on the next day. Midnight (`24:00`)
    /// is the end of the day.
    pub end: NaiveTime,
    /// Whole days; `start` and `end` are midnight.
    pub all_day: bool,
}

impl Weekly {
    /// The moments of the one that starts on a date: none when the zone skips it, two when clocks are put back inside.
    pub(super) fn on(&self, date: NaiveDate, zone: Tz) -> Vec<(DateTime<Utc>, DateTime<Utc>)> {
        let takes_place = self.days.is_empty() || self.days.contains(&date.weekday());
        let Some((start, end)) = self.walls(date).filter(|_| takes_place) else { return Vec::new() };
        let mut pieces: Vec<(DateTime<Utc>, DateTime<Utc>)> = Vec::new();
        for (since, till, offset) in wall::stretches(zone, start, end) {
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

    /// Wall times of start and end of the one that starts on a date.
    fn walls(&self, date: NaiveDate) -> Option<(NaiveDateTime, NaiveDateTime)> {
        let (start, end) = if self.all_day { (NaiveTime::MIN, NaiveTime::MIN) } else { (self.start, self.end) };
        let last = if end <= start { date.succ_opt()? } else { date };
        Some((date.and_time(start), last.and_time(end)))
    }
}

/// As people say it: `Sun 22:00..04:00`.
impl fmt::Display for Weekly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days: Vec<String> = self.days.iter().map(Weekday::to_string).collect();
        let days = if days.is_empty() { "every day".into() } else { days.join(", ") };
        let end = if self.end == NaiveTime::MIN { "24:00".into() } else { self.end.format("%H:%M").to_string() };
        match self.all_day {
            true => f.write_str(&days),
            false => write!(f, "{days} {}..{end}", self.start.format("%H:%M")),
        }
    }
}
