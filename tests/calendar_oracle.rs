//! Every minute of two years, against an oracle that knows nothing but what a clock on the wall shows: zones with daylight
//! saving both ways, by an hour and by half an hour, and one that left out a day.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, TimeDelta, Timelike, Utc};
use pgsteward::calendar::{Window, parse_days, parse_span, parse_zone};

/// A window as the oracle reads it: days from monday, minutes of the day.
struct Wanted {
    days: &'static [u32],
    start: u32,
    end: u32,
    except: Vec<NaiveDate>,
}

/// Day by day and minute by minute, as a person with a wall clock and the list of days would do it.
fn wall_says(wanted: &Wanted, wall: NaiveDateTime) -> bool {
    let minute = wall.hour() * 60 + wall.minute();
    let today = wall.date();
    let on = |date: NaiveDate| {
        (wanted.days.is_empty() || wanted.days.contains(&date.weekday().num_days_from_monday())) && !wanted.except.contains(&date)
    };
    if wanted.start < wanted.end {
        on(today) && wanted.start <= minute && minute < wanted.end
    } else {
        (on(today) && minute >= wanted.start) || (on(today - TimeDelta::days(1)) && minute < wanted.end)
    }
}

/// The window and the oracle's reading of it, from one text: `sun 22:00 04:00`.
fn both(text: &str, zone: &str, except: &[&str]) -> (Window, Wanted) {
    let [days, start, end] = text.split(' ').collect::<Vec<_>>().try_into().unwrap();
    let except: Vec<NaiveDate> = except.iter().map(|date| date.parse().unwrap()).collect();
    let minutes = |time: &str| time[..2].parse::<u32>().unwrap() * 60 + time[3..].parse::<u32>().unwrap();
    let numbers: &[u32] = match days {
        "daily" => &[],
        "sun" => &[6],
        "fri" => &[4],
        "sat,sun" => &[5, 6],
        "mon-fri" => &[0, 1, 2, 3, 4],
        other => unreachable!("the oracle has no days `{other}`"),
    };
    let wanted = Wanted { days: numbers, start: minutes(start), end: minutes(end), except: except.clone() };
    let (start, end, all_day) = parse_span(start, end).unwrap();
    let days = if days == "daily" { vec![] } else { parse_days(days).unwrap() };
    (Window { days, start, end, all_day, zone: parse_zone(zone).unwrap(), except }, wanted)
}

/// Walks two years of minutes; each time the window opens or closes must be among `next` and be what `contains` promised.
fn walk(zone: &str, first_year: i32, windows: &[(&str, &[&str])]) {
    let from: DateTime<Utc> = format!("{first_year}-01-01T00:00:00Z").parse().unwrap();
    let tz = parse_zone(zone).unwrap();
    for (text, except) in windows {
        let (window, wanted) = both(text, zone, except);
        let mut openings = window.next(from - TimeDelta::seconds(1), 2_000).into_iter();
        let mut open: Option<DateTime<Utc>> = window.contains(from - TimeDelta::minutes(1));
        let mut seen = 0;
        for minute in 0..2 * 365 * 24 * 60 {
            let at = from + TimeDelta::minutes(minute);
            let wall = at.with_timezone(&tz).naive_local();
            let until = window.contains(at);
            assert_eq!(until.is_some(), wall_says(&wanted, wall), "{text} {zone} at {at} = {wall}");
            if until != open {
                assert!(open.is_none_or(|end| end == at), "{text} {zone} promised to end at {open:?}, ended at {at}");
                if let Some(end) = until {
                    assert_eq!(openings.next(), Some((at, end)), "{text} {zone} at {at}");
                    seen += 1;
                }
                open = until;
            }
        }
        assert!(seen > 90, "{text} {zone} opened only {seen} times");
    }
}

#[test]
fn paris() {
    walk("Europe/Paris", 2025, &[("sun 22:00 04:00", &["2025-12-28", "2026-03-29"]), ("sun 02:30 02:45", &[])]);
}

#[test]
fn new_york() {
    walk("America/New_York", 2025, &[("sat,sun 00:00 24:00", &["2025-11-02"]), ("daily 01:30 01:15", &[])]);
}

#[test]
fn lord_howe_shifts_by_half_an_hour() {
    walk("Australia/Lord_Howe", 2025, &[("sun 01:45 02:15", &[]), ("mon-fri 20:00 24:00", &["2025-10-06"])]);
}

#[test]
fn apia_left_out_a_day() {
    walk("Pacific/Apia", 2011, &[("fri 22:00 06:00", &["2011-03-25"]), ("daily 08:00 10:00", &[])]);
}

#[test]
fn utc() {
    walk("UTC", 2023, &[("mon-fri 18:30 07:00", &["2024-02-29"]), ("sat,sun 00:00 24:00", &[])]);
}
