//! Every minute of two years, against oracles that know nothing but what a clock on the wall shows: zones with daylight
//! saving both ways, by an hour and by half an hour, without any, and one that left out a day.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, TimeDelta, Timelike, Utc};
use pgsteward::calendar::{Cron, Form, Weekly, Window, parse_days, parse_span, parse_zone};

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
    let form = Form::Weekly(Weekly { days, start, end, all_day });
    (Window { except, ..Window::new(form, parse_zone(zone).unwrap()) }, wanted)
}

/// Walks two years of minutes of each window against the wall clock.
fn walk(zone: &str, first_year: i32, windows: &[(&str, &[&str])]) {
    for (text, except) in windows {
        let (window, wanted) = both(text, zone, except);
        compare(&window, first_year, |_, wall| wall_says(&wanted, wall));
    }
}

/// Each minute must be inside when the oracle says so; each time the window opens or closes must be among `next` and be what
/// `contains` promised. The oracle is asked from some days before, so that it may have a memory.
fn compare(window: &Window, first_year: i32, mut oracle: impl FnMut(DateTime<Utc>, NaiveDateTime) -> bool) {
    let from: DateTime<Utc> = format!("{first_year}-01-01T00:00:00Z").parse().unwrap();
    let mut ask = |minute: i64| {
        let at = from + TimeDelta::minutes(minute);
        oracle(at, at.with_timezone(&window.zone).naive_local())
    };
    (-9 * 24 * 60..0).for_each(|minute| {
        ask(minute);
    });
    let mut openings = window.next(from - TimeDelta::seconds(1), 2_000).into_iter();
    let mut open: Option<DateTime<Utc>> = window.contains(from - TimeDelta::minutes(1));
    let mut seen = 0;
    for minute in 0..2 * 365 * 24 * 60 {
        let at = from + TimeDelta::minutes(minute);
        let until = window.contains(at);
        assert_eq!(until.is_some(), ask(minute), "{window} at {at}");
        if until != open {
            assert!(open.is_none_or(|end| end == at), "{window} promised to end at {open:?}, ended at {at}");
            if let Some(end) = until {
                assert_eq!(openings.next(), Some((at, end)), "{window} at {at}");
                seen += 1;
            }
            open = until;
        }
    }
    assert!(seen > 90, "{window} opened only {seen} times");
}

/// A cron window as a person with a wall clock keeps it: whenever the clock shows a time on the list, or has just jumped over
/// one, set the kitchen timer. A jump over a whole date leaves that date out.
fn walk_cron(zone: &str, first_year: i32, text: &str, hours: i64, except: &[&str]) {
    let except: Vec<NaiveDate> = except.iter().map(|date| date.parse().unwrap()).collect();
    let form = Form::Cron(Cron::new(text, hours as u64 * 3_600).unwrap());
    let window = Window { except: except.clone(), ..Window::new(form, parse_zone(zone).unwrap()) };
    let [minute, hour, .., day] = text.split(' ').collect::<Vec<_>>().try_into().map(|five: [&str; 5]| five).unwrap();
    let day = parse_days(if day == "*" { "" } else { day }).unwrap();
    let listed = |wall: NaiveDateTime| {
        let shows = |field: &str, value: u32| field == "*" || field.split(',').any(|one| one.parse() == Ok(value));
        let on = day.is_empty() || day.contains(&wall.weekday());
        on && !except.contains(&wall.date()) && shows(minute, wall.minute()) && shows(hour, wall.hour())
    };
    let (mut last, mut timer) = (None, DateTime::<Utc>::MIN_UTC);
    compare(&window, first_year, |at, wall| {
        let jump = last.map_or(1, |last: NaiveDateTime| (wall - last).num_minutes());
        let since = if (2..24 * 60).contains(&jump) { 1 - jump } else { 0 };
        if (since..=0).any(|back| listed(wall + TimeDelta::minutes(back))) {
            timer = at + TimeDelta::hours(hours);
        }
        last = Some(wall);
        at < timer
    });
}

#[test]
fn cron_follows_the_wall_clock_and_lasts_a_measured_time() {
    walk_cron("Europe/Paris", 2025, "30 2 * * *", 3, &["2025-12-28", "2026-03-29"]);
    walk_cron("Europe/Paris", 2025, "0 22 * * sun", 6, &[]);
    walk_cron("America/New_York", 2025, "30,45 1 * * sat,sun", 1, &["2025-11-02"]);
    walk_cron("Australia/Lord_Howe", 2025, "45 1 * * *", 1, &[]);
    walk_cron("Pacific/Apia", 2011, "0 8,20 * * *", 2, &["2011-03-25"]);
    walk_cron("Asia/Kathmandu", 2025, "15 23 * * fri", 48, &[]);
    walk_cron("UTC", 2023, "0 * * * mon", 1, &["2024-01-01"]);
}

#[test]
fn kathmandu_is_a_quarter_of_an_hour_off() {
    walk("Asia/Kathmandu", 2025, &[("sun 22:00 04:00", &["2025-12-28"]), ("mon-fri 09:15 18:45", &[])]);
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
