//! Times by a cron expression, each the start of a while.
//!
//! The crate `croner` reads expressions and matches dates. What a time means in a zone is decided by `wall`, as for every
//! other window.

use std::fmt;

use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, TimeDelta, Utc};
use chrono_tz::Tz;
use croner::parser::{CronParser, Seconds, Year};
use croner::{CronPattern, Weekday};
use serde::{Deserialize, Serialize};

use super::wall;

/// Longest expression in bytes.
const LONGEST: usize = 200;
/// Most starts in a day; what opens more often is not a window.
const MOST_STARTS: usize = 96;
/// Seconds that it may stay open.
const OPEN_S: std::ops::RangeInclusive<u64> = 60..=7 * 86_400;

/// Times by a cron expression of five fields, and how long each lasts.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Cron {
    written: Written,
    pattern: CronPattern,
    times: Vec<NaiveTime>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Written {
    cron: String,
    for_s: u64,
}

impl PartialEq for Cron {
    fn eq(&self, other: &Self) -> bool {
        self.written == other.written
    }
}

impl From<Cron> for Written {
    fn from(cron: Cron) -> Self {
        cron.written
    }
}

impl TryFrom<Written> for Cron {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        Self::new(&written.cron, written.for_s)
    }
}

impl Cron {
    /// Days in which whatever comes at all has come once: leap days are up to eight years apart.
    pub(super) const HORIZON_DAYS: usize = 9 * 366;

    /// Reads an expression; each start stays open for so many seconds.
    ///
    /// # Errors
    /// What is wrong with it and what would be right.
    pub fn new(text: &str, for_s: u64) -> Result<Self, String> {
        let right = "write minute, hour, day, month and weekday: `0 22 * * sun`";
        if text.len() > LONGEST {
            return Err(format!("the cron expression is longer than {LONGEST} characters; {right}"));
        }
        if !OPEN_S.contains(&for_s) {
            return Err("a cron window stays open for a minute at least and a week at most; write `for: 6h`".into());
        }
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let pattern = parser.parse(text).map_err(|_| format!("`{text}` is not a cron expression; {right}"))?.pattern;
        let (hours, minutes) = (pattern.hours.values(), pattern.minutes.values());
        let all = hours.iter().flat_map(|hour| minutes.iter().map(move |minute| (*hour, *minute)));
        let times: Vec<NaiveTime> =
            all.filter_map(|(hour, minute)| NaiveTime::from_hms_opt(hour.into(), minute.into(), 0)).take(MOST_STARTS + 1).collect();
        if times.len() > MOST_STARTS {
            return Err(format!("`{text}` opens more than {MOST_STARTS} times a day; a window is a time of rest, not a rhythm"));
        }
        Ok(Self { written: Written { cron: text.into(), for_s }, pattern, times })
    }

    /// Days that the latest start which may still be open lies back; one more for a start that was moved past midnight.
    pub(super) fn days(&self) -> usize {
        (self.written.for_s / 86_400) as usize + 2
    }

    /// Those that start on a date. Two for a time that comes twice, none on a date that the zone left out.
    pub(super) fn on(&self, date: NaiveDate, zone: Tz) -> Vec<(DateTime<Utc>, DateTime<Utc>)> {
        if !self.takes_place(date) {
            return Vec::new();
        }
        let mut starts: Vec<DateTime<Utc>> = self.times.iter().flat_map(|time| wall::passes(zone, date.and_time(*time))).collect();
        starts.sort_unstable();
        starts.dedup();
        let open = TimeDelta::seconds(self.written.for_s as i64);
        starts.into_iter().filter_map(|from| Some((from, from.checked_add_signed(open)?))).collect()
    }

    fn takes_place(&self, date: NaiveDate) -> bool {
        let weekday = Weekday::from_days_from_sunday(date.weekday().num_days_from_sunday());
        let month = self.pattern.month_match(date.month()).unwrap_or(false);
        month && self.pattern.day_match(date.year(), date.month(), date.day(), weekday).unwrap_or(false)
    }
}

/// As people say it: ``cron `0 22 * * sun` for 6h``.
impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cron `{}` for {}", self.written.cron, pgsteward_helpers::span(self.written.for_s as f64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_expression_says_what_would_be() {
        let why = |text: &str| Cron::new(text, 3_600).unwrap_err();
        for text in ["", "0 22 * *", "0 0 22 * * sun", "61 22 * * *", "0 22 * * sonntag", "0 22 * * sun 2027", "every day"] {
            let right = "write minute, hour, day, month and weekday: `0 22 * * sun`";
            assert_eq!(why(text), format!("`{text}` is not a cron expression; {right}"));
        }
        assert!(why(&"*".repeat(201)).contains("longer than 200 characters"));
        assert!(why("*/10 * * * *").contains("opens more than 96 times a day"));
        for for_s in [0, 59, 7 * 86_400 + 1, u64::MAX] {
            assert!(Cron::new("0 22 * * *", for_s).unwrap_err().contains("a minute at least and a week at most"));
        }
    }
}
