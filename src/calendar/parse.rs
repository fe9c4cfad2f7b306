//! What people write for days, times and zones. Every refusal says what would be right.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc, Weekday};
use chrono_tz::{TZ_VARIANTS, Tz};

use super::wall::{self, Edge};

const DAYS: [(Weekday, &str); 7] = [
    (Weekday::Mon, "monday"),
    (Weekday::Tue, "tuesday"),
    (Weekday::Wed, "wednesday"),
    (Weekday::Thu, "thursday"),
    (Weekday::Fri, "friday"),
    (Weekday::Sat, "saturday"),
    (Weekday::Sun, "sunday"),
];

/// Weekdays by English name, long or short, several with commas or blanks, ranges with `-`: `sun`, `sat, sunday`,
/// `mon-fri`. In the order of the week, each once; none for an empty text.
///
/// # Errors
/// When a word is not the name of a day. Numbers are refused, since cron and Python count differently.
pub fn parse_days(text: &str) -> Result<Vec<Weekday>, String> {
    let mut found = [false; 7];
    for word in text.split([',', ' ', '\t']).filter(|word| !word.is_empty()) {
        let (first, last) = match word.split_once('-') {
            Some((first, last)) => (day(first)?, day(last)?),
            None => (day(word)?, day(word)?),
        };
        let mut today = first;
        found[today.num_days_from_monday() as usize] = true;
        while today != last {
            today = today.succ();
            found[today.num_days_from_monday() as usize] = true;
        }
    }
    Ok(DAYS.iter().zip(found).filter(|(_, found)| *found).map(|((day, _), _)| *day).collect())
}

fn day(word: &str) -> Result<Weekday, String> {
    if let Ok(number) = word.parse::<u8>() {
        return Err(readings(word, number));
    }
    // `Weekday` reads the long and the three-letter form, whatever the case.
    word.parse().map_err(|_| {
        let lower = word.to_lowercase();
        let names = DAYS.iter().flat_map(|(_, name)| [*name, &name[..3]]);
        let hint =
            nearest(names, &lower, 2).map_or("write it in English: `monday`, `tue`".into(), |name| format!("did you mean `{name}`?"));
        format!("unknown day `{word}`; {hint}")
    })
}

/// Cron counts from sunday, Python from monday: nobody can know what was meant.
fn readings(word: &str, number: u8) -> String {
    let name = |index: u8| DAYS.get(usize::from(index)).map(|(_, name)| *name);
    let cron = if number <= 7 { name((number + 6) % 7) } else { None };
    match (cron, name(number)) {
        (Some(cron), Some(python)) => {
            format!("day `{word}` is {cron} to cron and {python} to Python; write `{cron}` or `{python}`")
        }
        (Some(cron), None) => format!("day `{word}` is {cron} to cron and nothing to Python; write `{cron}`"),
        _ => format!("unknown day `{word}`; write its name: `monday`"),
    }
}

/// A time of day, `22:00`. `24:00`, the end of the day, is read as midnight: right for an end only, see `parse_span`.
///
/// # Errors
/// When it is not hours and minutes of a 24-hour clock.
pub fn parse_time(text: &str) -> Result<NaiveTime, String> {
    let wrong = |hint: &str| format!("`{text}` is not a time of day; {hint}");
    let digits = |part: &str, most: usize| !part.is_empty() && part.len() <= most && part.bytes().all(|b| b.is_ascii_digit());
    let Some((hours, minutes)) = text.split_once(':').filter(|(h, m)| digits(h, 2) && digits(m, 2) && m.len() == 2) else {
        return Err(match text.parse::<u32>() {
            Ok(hour) if hour <= 24 => wrong(&format!("write `{hour:02}:00`")),
            Ok(minutes) if minutes < 1440 => wrong(&format!("quote it in YAML: `\"{:02}:{:02}\"`", minutes / 60, minutes % 60)),
            _ => wrong("write hours and minutes of a 24-hour clock: `22:00`"),
        });
    };
    match (hours.parse(), minutes.parse()) {
        (Ok(24), Ok(0)) => Ok(NaiveTime::MIN),
        (Ok(hours), Ok(minutes)) => NaiveTime::from_hms_opt(hours, minutes, 0).ok_or_else(|| wrong("the last one is `24:00`")),
        _ => Err(wrong("write hours and minutes of a 24-hour clock: `22:00`")),
    }
}

/// Start and end of a window, and whether they are the whole day (`00:00` to `24:00`).
///
/// # Errors
/// When one is no time of day, the start is `24:00`, or both are the same moment.
pub fn parse_span(start: &str, end: &str) -> Result<(NaiveTime, NaiveTime, bool), String> {
    let (from, to) = (parse_time(start)?, parse_time(end)?);
    let late = |text: &str| text.starts_with("24");
    match (late(start), from == to) {
        (true, _) => Err(format!("a window cannot start at `{start}`; write `00:00` on the next day")),
        (false, true) if !late(end) => {
            Err(format!("a window from `{start}` to `{end}` is empty; for the whole day write `00:00` to `24:00`"))
        }
        (false, whole) => Ok((from, to, whole)),
    }
}

/// A zone by its IANA name, `Europe/Paris` or `UTC`.
///
/// # Errors
/// When there is none of that name. Offsets and the machine's own zone are refused: a window must mean the same
/// on every machine and in summer.
pub fn parse_zone(text: &str) -> Result<Tz, String> {
    text.parse().map_err(|_| {
        let lower = text.to_lowercase();
        if ["local", "localtime", "system"].contains(&lower.as_str()) {
            return format!("zone `{text}` differs from machine to machine; name one: `Europe/Paris`, `UTC`");
        }
        if text.starts_with(['+', '-']) || text.bytes().any(|b| b.is_ascii_digit()) {
            return format!("zone `{text}` does not follow daylight saving; name a place: `Europe/Paris`, or `UTC`");
        }
        format!("unknown zone `{text}`; {}", zone_hint(&lower))
    })
}

/// A moment: RFC 3339 (`2026-11-29T22:00:00+01:00`), or a local time (`2026-11-29 22:00`) in `zone`; a start may be a date
/// alone, its midnight. A local time that the zone skips is the first moment after the gap; of one that comes twice, a start
/// is the first and an end the last.
///
/// # Errors
/// When it is none, a local time without a zone, or an end without a time.
pub fn parse_moment(text: &str, zone: Option<Tz>, edge: Edge) -> Result<DateTime<Utc>, String> {
    if let Ok(moment) = DateTime::parse_from_rfc3339(text) {
        return Ok(moment.to_utc());
    }
    let forms = ["%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S"];
    let time = forms.iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok());
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok();
    let wall = match (time, date, edge) {
        (Some(wall), ..) => wall,
        (None, Some(date), Edge::Start) => date.and_time(NaiveTime::MIN),
        // Some mean the begin of the day, and some its end.
        (None, Some(_), Edge::End) => return Err(format!("`{text}` says no time of day; write `{text} 00:00` or another time")),
        _ => {
            let place = zone.map_or("with a zone".to_string(), |zone| format!("({zone})"));
            return Err(format!("`{text}` is not a moment; write `2026-11-29T22:00:00Z`, or `2026-11-29 22:00` {place}"));
        }
    };
    let Some(zone) = zone else {
        return Err(format!("`{text}` says no zone; add `zone: Europe/Paris`, or write `{}`", wall.format("%Y-%m-%dT%H:%M:%SZ")));
    };
    wall::moment(zone, wall, edge).ok_or_else(|| format!("`{text}` never comes in {zone}; write another time"))
}

/// The zone nearest to what was written: by the whole name, or by the place alone.
fn zone_hint(lower: &str) -> String {
    let place = lower.replace(' ', "_");
    let last = |zone: &Tz| zone.name().rsplit('/').next().is_some_and(|name| name.eq_ignore_ascii_case(&place));
    let by_place = TZ_VARIANTS.iter().find(|zone| last(zone)).map(|zone| zone.name());
    let by_name = || nearest(TZ_VARIANTS.iter().map(|zone| zone.name()), &place, 3);
    by_place.or_else(by_name).map_or("it is a name such as `Europe/Paris` or `UTC`".into(), |name| format!("did you mean `{name}`?"))
}

/// The candidate with the fewest edits, if it has at most `most`. Case does not count; `wrong` is in lower case.
fn nearest<'a>(candidates: impl Iterator<Item = &'a str>, wrong: &str, most: usize) -> Option<&'a str> {
    // Distance is quadratic in length, and the text is whatever somebody put into a file.
    if wrong.len() > 64 {
        return None;
    }
    let edits = candidates.map(|name| (strsim::damerau_levenshtein(&name.to_lowercase(), wrong), name));
    edits.filter(|(edits, _)| *edits <= most).min_by_key(|(edits, _)| *edits).map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Weekday::{Fri, Mon, Sat, Sun, Thu, Tue, Wed};

    #[test]
    fn days_read_long_short_in_lists_and_ranges() {
        for (text, days) in [
            ("sunday", vec![Sun]),
            ("Sun", vec![Sun]),
            ("sat, SUNDAY", vec![Sat, Sun]),
            ("sun sat sun", vec![Sat, Sun]),
            ("mon-fri", vec![Mon, Tue, Wed, Thu, Fri]),
            ("fri-mon", vec![Mon, Fri, Sat, Sun]),
            ("", vec![]),
        ] {
            assert_eq!(parse_days(text), Ok(days), "{text}");
        }
    }

    #[test]
    fn numbered_days_are_refused_with_both_readings() {
        let of = |text| parse_days(text).unwrap_err();
        assert_eq!(of("0"), "day `0` is sunday to cron and monday to Python; write `sunday` or `monday`");
        assert_eq!(of("6"), "day `6` is saturday to cron and sunday to Python; write `saturday` or `sunday`");
        assert_eq!(of("7"), "day `7` is sunday to cron and nothing to Python; write `sunday`");
        assert_eq!(of("1-5"), "day `1` is monday to cron and tuesday to Python; write `monday` or `tuesday`");
        assert_eq!(of("8"), "unknown day `8`; write its name: `monday`");
    }

    #[test]
    fn a_wrong_day_names_the_nearest() {
        assert_eq!(parse_days("saterday"), Err("unknown day `saterday`; did you mean `saturday`?".into()));
        assert_eq!(parse_days("dimanche"), Err("unknown day `dimanche`; write it in English: `monday`, `tue`".into()));
    }

    #[test]
    fn times_are_of_a_24_hour_clock() {
        assert_eq!(parse_time("22:00"), Ok(NaiveTime::from_hms_opt(22, 0, 0).unwrap()));
        assert_eq!(parse_time("7:05"), Ok(NaiveTime::from_hms_opt(7, 5, 0).unwrap()));
        assert_eq!(parse_time("24:00"), Ok(NaiveTime::MIN));
        for (text, hint) in [
            ("22", "write `22:00`"),
            ("1320", "quote it in YAML: `\"22:00\"`"),
            ("10pm", "write hours and minutes of a 24-hour clock: `22:00`"),
            ("24:01", "the last one is `24:00`"),
            ("12:60", "the last one is `24:00`"),
            ("22:0", "write hours and minutes of a 24-hour clock: `22:00`"),
            ("+2:00", "write hours and minutes of a 24-hour clock: `22:00`"),
            ("", "write hours and minutes of a 24-hour clock: `22:00`"),
        ] {
            assert_eq!(parse_time(text), Err(format!("`{text}` is not a time of day; {hint}")));
        }
    }

    #[test]
    fn a_span_is_never_empty_by_accident() {
        assert_eq!(parse_span("00:00", "24:00").map(|span| span.2), Ok(true));
        assert_eq!(parse_span("22:00", "04:00").map(|span| span.2), Ok(false));
        assert_eq!(parse_span("22:00", "24:00").map(|span| span.2), Ok(false));
        let empty = "a window from `04:00` to `04:00` is empty; for the whole day write `00:00` to `24:00`";
        assert_eq!(parse_span("04:00", "04:00"), Err(empty.into()));
        assert_eq!(parse_span("24:00", "04:00"), Err("a window cannot start at `24:00`; write `00:00` on the next day".into()));
    }

    #[test]
    fn a_moment_has_an_offset_or_a_zone() {
        let paris = Some(Tz::Europe__Paris);
        for (text, edge, moment) in [
            ("2026-11-29T22:00:00Z", Edge::Start, "2026-11-29T22:00:00Z"),
            ("2026-11-29T22:00:00+01:00", Edge::Start, "2026-11-29T21:00:00Z"),
            ("2026-11-29 22:00", Edge::Start, "2026-11-29T21:00:00Z"),
            ("2026-11-29T22:00:30", Edge::Start, "2026-11-29T21:00:30Z"),
            ("2026-07-01", Edge::Start, "2026-06-30T22:00:00Z"),
            // 02:00 is followed by 03:00 (01:00Z): both edges are there.
            ("2026-03-29 02:30", Edge::Start, "2026-03-29T01:00:00Z"),
            ("2026-03-29 02:30", Edge::End, "2026-03-29T01:00:00Z"),
            // 03:00 is followed by 02:00 (01:00Z): the span between them holds both passes.
            ("2026-10-25 02:30", Edge::Start, "2026-10-25T00:30:00Z"),
            ("2026-10-25 02:30", Edge::End, "2026-10-25T01:30:00Z"),
        ] {
            assert_eq!(parse_moment(text, paris, edge).map(|at| at.format("%FT%TZ").to_string()), Ok(moment.into()), "{text}");
        }
        assert_eq!(
            parse_moment("2026-11-29 22:00", None, Edge::Start),
            Err("`2026-11-29 22:00` says no zone; add `zone: Europe/Paris`, or write `2026-11-29T22:00:00Z`".into())
        );
        let whole = "`2026-07-01` says no time of day; write `2026-07-01 00:00` or another time";
        assert_eq!(parse_moment("2026-07-01", paris, Edge::End), Err(whole.into()));
        let never = "`2011-12-30 08:00` never comes in Pacific/Apia; write another time";
        assert_eq!(parse_moment("2011-12-30 08:00", Some(Tz::Pacific__Apia), Edge::Start), Err(never.into()));
        for text in ["tomorrow", "", "2026-02-30", "2026-11-29 25:00", "29.11.2026"] {
            assert!(parse_moment(text, paris, Edge::Start).unwrap_err().contains("is not a moment; "), "{text}");
        }
        let edge = "+262142-12-31 23:00";
        assert!(parse_moment(edge, paris, Edge::Start).is_err(), "the end of the calendar");
    }

    #[test]
    fn a_zone_is_a_place_and_a_wrong_one_names_the_nearest() {
        assert_eq!(parse_zone("Europe/Paris"), Ok(Tz::Europe__Paris));
        assert_eq!(parse_zone("UTC"), Ok(Tz::UTC));
        let of = |text| parse_zone(text).unwrap_err();
        assert_eq!(of("Europe/Pariss"), "unknown zone `Europe/Pariss`; did you mean `Europe/Paris`?");
        assert_eq!(of("europe/paris"), "unknown zone `europe/paris`; did you mean `Europe/Paris`?");
        assert_eq!(of("Paris"), "unknown zone `Paris`; did you mean `Europe/Paris`?");
        assert_eq!(of("new york"), "unknown zone `new york`; did you mean `America/New_York`?");
        assert_eq!(of("+02:00"), "zone `+02:00` does not follow daylight saving; name a place: `Europe/Paris`, or `UTC`");
        assert_eq!(of("local"), "zone `local` differs from machine to machine; name one: `Europe/Paris`, `UTC`");
        assert_eq!(of("Atlantis/Capital"), "unknown zone `Atlantis/Capital`; it is a name such as `Europe/Paris` or `UTC`");
    }
}
