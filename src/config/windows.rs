//! `windows`: when notices are kept back.

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use chrono_tz::Tz;

use super::checked::TargetConfig;
use super::desk::{Desk, entries};
use super::matchers;
use super::source::SourceFile;
use crate::calendar::{Cron, Edge, Form, Weekly, Window, parse_days, parse_moment, parse_span, parse_zone};
use crate::model::MaintenanceWindow;
use crate::problem::Problem;
use crate::yaml::{Fields, Node, text_of};

/// The keys of one form.
pub(super) struct Keys {
    pub days: &'static str,
    pub start: &'static str,
    pub end: &'static str,
    pub zone: &'static str,
    /// Says that it lasts whole days, in place of start and end.
    pub all_day: Option<&'static str>,
}

const KEYS: Keys = Keys { days: "days", start: "start", end: "end", zone: "zone", all_day: Some("all_day") };

impl Keys {
    /// Whether any of them was written.
    fn written(&self, fields: &mut Fields<'_>) -> bool {
        [Some(self.days), Some(self.start), Some(self.end), self.all_day].into_iter().flatten().any(|key| fields.node(key).is_some())
    }
}

/// Reads `windows` into `found`.
pub(super) fn read(desk: &mut Desk, file: &SourceFile, section: &Node, targets: &[TargetConfig], found: &mut Vec<MaintenanceWindow>) {
    for node in entries(section) {
        let Some(mut fields) = desk.open(file, node, "a window") else { continue };
        let name = fields.required("name").and_then(text_of);
        let matchers = fields.node("match").map(|node| matchers::read(desk, file, "match", node, targets)).unwrap_or_default();
        let window = one(desk, file, node, &mut fields);
        desk.finish(fields);
        if let (Some(name), Some(window)) = (name, window) {
            add(desk, file, node, MaintenanceWindow { name, matchers, window }, found);
        }
    }
}

/// Reads the form that was written, and for how long it is valid.
fn one(desk: &mut Desk, file: &SourceFile, node: &Node, fields: &mut Fields<'_>) -> Option<Window> {
    let zone_node = fields.node("zone");
    let zone = zone_node.and_then(|node| zone(desk, file, node));
    let (cron, span) = (fields.node("cron"), fields.node("for"));
    let (from, to) =
        (moment_of(desk, file, fields.node("from"), zone, Edge::Start), moment_of(desk, file, fields.node("to"), zone, Edge::End));
    let valid_from = moment_of(desk, file, fields.node("valid_from"), zone, Edge::Start).and_then(|(_, at)| at);
    let valid_until = moment_of(desk, file, fields.node("valid_until"), zone, Edge::End).and_then(|(_, at)| at);
    let weekly = KEYS.written(fields);
    let forms = [cron.is_some() || span.is_some(), from.is_some() || to.is_some(), weekly];
    if forms.iter().filter(|written| **written).count() > 1 {
        let hint = "either days, start and end, or `cron` and `for`, or `from` and `to`";
        desk.error_hint(file, node, "a window has one form", hint);
        return None;
    }
    if zone_node.is_none() && !forms[1] {
        fields.required("zone");
    }
    let window = match forms {
        [true, ..] => cron_window(desk, file, fields, zone)?,
        [_, true, _] => once(desk, file, fields, from, to, zone)?,
        _ => window(desk, file, fields, &KEYS, zone)?,
    };
    Some(Window { valid_from, valid_until, ..window })
}

fn cron_window(desk: &mut Desk, file: &SourceFile, fields: &mut Fields<'_>, zone: Option<Tz>) -> Option<Window> {
    let except = exceptions(desk, file, fields);
    let (cron, span) = (fields.required("cron"), fields.required("for"));
    let for_s = desk.seconds(file, "for", span?, 60..=7 * 86_400)?;
    let node = cron?;
    let cron = Cron::new(&text_of(node).unwrap_or_default(), for_s).map_err(|reason| desk.push(split(file, node, &reason))).ok()?;
    Some(Window { except, ..Window::new(Form::Cron(cron), zone?) })
}

/// Its moments may say their offset themselves; the zone is then only for showing them.
fn once(
    desk: &mut Desk,
    file: &SourceFile,
    fields: &mut Fields<'_>,
    from: Written<'_>,
    to: Written<'_>,
    zone: Option<Tz>,
) -> Option<Window> {
    fields.refuse("except", "does not belong to a window that comes once");
    fields.required("from");
    fields.required("to");
    let (from, (node, to)) = (from?.1?, to?);
    let to = to?;
    if to <= from {
        desk.error(file, node, "the window ends before it begins");
        return None;
    }
    Some(Window::new(Form::Once { from, to }, zone.unwrap_or(Tz::UTC)))
}

/// A moment that was written, and where.
type Written<'a> = Option<(&'a Node, Option<DateTime<Utc>>)>;

fn moment_of<'a>(desk: &mut Desk, file: &SourceFile, node: Option<&'a Node>, zone: Option<Tz>, edge: Edge) -> Written<'a> {
    node.map(|node| (node, moment(desk, file, node, zone, edge)))
}

/// Adds one whose name is new.
pub(super) fn add(desk: &mut Desk, file: &SourceFile, node: &Node, window: MaintenanceWindow, found: &mut Vec<MaintenanceWindow>) {
    let path = format!("windows.{}", window.name);
    if let Some(first) = desk.places.get(&path).cloned() {
        let message = format!("a window `{}` stands already at {}:{}", window.name, first.file, first.at.line);
        return desk.error_hint(file, node, message, "reasons name windows: each needs its own name");
    }
    desk.place(path, file, node.at);
    found.push(window);
}

/// Reads days, times and exceptions under the keys of a form; `None` when something needed is missing or wrong.
pub(super) fn window(desk: &mut Desk, file: &SourceFile, fields: &mut Fields<'_>, keys: &Keys, zone: Option<Tz>) -> Option<Window> {
    let days = fields.list(keys.days).map(|list| {
        let each = list.iter().map(|node| (node, parse_days(&text_of(node).unwrap_or_default())));
        let mut days = Vec::new();
        for (node, parsed) in each {
            match parsed {
                Ok(some) => days.extend(some),
                Err(reason) => desk.push(split(file, node, &reason)),
            }
        }
        days.sort_by_key(chrono::Weekday::num_days_from_monday);
        days.dedup();
        days
    });
    let except = exceptions(desk, file, fields);
    if keys.all_day.and_then(|key| fields.flag(key)) == Some(true) {
        let weekly = Weekly { days: days.unwrap_or_default(), start: NaiveTime::MIN, end: NaiveTime::MIN, all_day: true };
        return Some(Window { except, ..Window::new(Form::Weekly(weekly), zone?) });
    }
    let (start, end) = (fields.required(keys.start), fields.required(keys.end));
    let (start_node, start, end) = (start?, text_of(start?)?, text_of(end?)?);
    let (start, end, all_day) = parse_span(&start, &end).map_err(|reason| desk.push(split(file, start_node, &reason))).ok()?;
    let weekly = Weekly { days: days.unwrap_or_default(), start, end, all_day };
    Some(Window { except, ..Window::new(Form::Weekly(weekly), zone?) })
}

fn exceptions(desk: &mut Desk, file: &SourceFile, fields: &mut Fields<'_>) -> Vec<NaiveDate> {
    fields.list("except").unwrap_or_default().iter().filter_map(|node| date(desk, file, node)).collect()
}

/// Reads a moment; without an offset it is local time in `zone`.
pub(super) fn moment(desk: &mut Desk, file: &SourceFile, node: &Node, zone: Option<Tz>, edge: Edge) -> Option<DateTime<Utc>> {
    parse_moment(&text_of(node).unwrap_or_default(), zone, edge).map_err(|reason| desk.push(split(file, node, &reason))).ok()
}

/// Reads a zone.
pub(super) fn zone(desk: &mut Desk, file: &SourceFile, node: &Node) -> Option<Tz> {
    parse_zone(&text_of(node).unwrap_or_default()).map_err(|reason| desk.push(split(file, node, &reason))).ok()
}

fn date(desk: &mut Desk, file: &SourceFile, node: &Node) -> Option<NaiveDate> {
    let text = text_of(node).unwrap_or_default();
    let date = NaiveDate::parse_from_str(&text, "%Y-%m-%d").ok();
    if date.is_none() {
        desk.error_hint(file, node, format!("`{text}` is not a date"), "write year, month and day: 2026-12-27");
    }
    date
}

/// The calendar says what is wrong and what would be right in one sentence.
fn split(file: &SourceFile, node: &Node, reason: &str) -> Problem {
    match reason.split_once("; ") {
        Some((message, hint)) => Problem::error(&file.name, node.at, message).hint(hint),
        None => Problem::error(&file.name, node.at, reason),
    }
}

#[cfg(test)]
mod tests {
    use crate::config::testing::{config, problems};

    fn window(keys: &str) -> String {
        config(&format!("windows:\n- {{name: w, {keys}}}")).windows.remove(0).window.to_string()
    }

    #[test]
    fn every_form_can_be_written() {
        for (keys, shown) in [
            ("days: sun, start: '22:00', end: '04:00', zone: Europe/Paris", "Sun 22:00..04:00 Europe/Paris"),
            ("days: [sat, sun], all_day: true, zone: UTC", "Sat, Sun UTC"),
            ("cron: 0 22 * * sun, for: 6h, zone: UTC, except: [2026-12-27]", "cron `0 22 * * sun` for 6h UTC"),
            ("from: 2026-12-05 20:00, to: 2026-12-06 06:00, zone: Europe/Paris", "2026-12-05 20:00..2026-12-06 06:00 Europe/Paris"),
            ("from: '2026-12-05T20:00:00+01:00', to: 2026-12-06T06:00:00Z", "2026-12-05 19:00..2026-12-06 06:00 UTC"),
            ("cron: 0 1 * * *, for: 1h, zone: UTC, valid_from: 2026-12-01", "cron `0 1 * * *` for 1h UTC from 2026-12-01 00:00"),
        ] {
            assert_eq!(window(keys), shown, "{keys}");
        }
    }

    #[test]
    fn a_form_that_is_half_or_two_says_so() {
        let of = |keys: &str| problems(&format!("windows:\n- {{name: w, {keys}}}"));
        let two = "c.yaml:2:3: error: a window has one form; either days, start and end, or `cron` and `for`, or `from` and `to`";
        assert_eq!(of("days: sun, cron: 0 22 * * sun, for: 6h, zone: UTC"), [two]);
        assert_eq!(of("cron: 0 22 * * sun, zone: UTC"), ["c.yaml:2:3: error: `for` is missing"]);
        assert_eq!(of("from: 2026-12-05T20:00:00Z"), ["c.yaml:2:3: error: `to` is missing"]);
        assert_eq!(of("cron: 0 22 * * sun, for: 6h"), ["c.yaml:2:3: error: `zone` is missing"]);
        assert_eq!(of("from: 2026-12-06T20:00:00Z, to: 2026-12-05T20:00:00Z"), ["c.yaml:2:45: error: the window ends before it begins"]);
        let cron = of("cron: every sunday, for: 6h, zone: UTC");
        assert_eq!(
            cron,
            ["c.yaml:2:19: error: `every sunday` is not a cron expression; write minute, hour, day, month and weekday: `0 22 * * sun`"]
        );
    }
}
