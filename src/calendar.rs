//! Weekday windows in a zone, right across midnight and daylight saving. Pure; open to every room.

use chrono::{NaiveDate, NaiveTime, Weekday};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

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
