//! `windows`: when notices are kept back.

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;

use super::checked::TargetConfig;
use super::desk::{Desk, entries};
use super::matchers;
use super::source::SourceFile;
use crate::calendar::{Edge, Window, parse_days, parse_moment, parse_span, parse_zone};
use crate::model::MaintenanceWindow;
use crate::problem::Problem;
use crate::yaml::{Fields, Node, text_of};

/// The keys of one form.
pub(super) struct Keys {
    pub days: &'static str,
    pub start: &'static str,
    pub end: &'static str,
    pub zone: &'static str,
}

const KEYS: Keys = Keys { days: "days", start: "start", end: "end", zone: "zone" };

/// Reads `windows` into `found`.
pub(super) fn read(desk: &mut Desk, file: &SourceFile, section: &Node, targets: &[TargetConfig], found: &mut Vec<MaintenanceWindow>) {
    for node in entries(section) {
        let Some(mut fields) = desk.open(file, node, "a window") else { continue };
        let name = fields.required("name").and_then(text_of);
        let matchers = fields.node("match").map(|node| matchers::read(desk, file, "match", node, targets)).unwrap_or_default();
        let zone = fields.required("zone").and_then(|node| zone(desk, file, node));
        let window = window(desk, file, &mut fields, &KEYS, zone);
        desk.finish(fields);
        if let (Some(name), Some(window)) = (name, window) {
            add(desk, file, node, MaintenanceWindow { name, matchers, window }, found);
        }
    }
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
    let except: Vec<NaiveDate> = fields.list("except").unwrap_or_default().iter().filter_map(|node| date(desk, file, node)).collect();
    let (start, end) = (fields.required(keys.start), fields.required(keys.end));
    let (start_node, start, end) = (start?, text_of(start?)?, text_of(end?)?);
    let (start, end, all_day) = parse_span(&start, &end).map_err(|reason| desk.push(split(file, start_node, &reason))).ok()?;
    Some(Window { days: days.unwrap_or_default(), start, end, all_day, zone: zone?, except })
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
