//! What the classic flat form says beside its rules: `aggregation.deduplication` and `suppression.maintenance_windows`.
//!
//! Accepted as it stands. Its windows name no zone; they are read as UTC, with a warning.

use chrono_tz::Tz;

use super::alerts::{DEDUP_S, MAX_DEDUP_S};
use super::desk::Desk;
use super::source::{Content, SourceFile};
use super::windows::{self, Keys};
use crate::model::{MaintenanceWindow, Matchers};
use crate::problem::Problem;
use crate::yaml::{Fields, Node, Value, text_of};

const KEYS: Keys = Keys { days: "day_of_week", start: "start_time", end: "end_time", zone: "time_zone", all_day: None };

/// Reads what all rule files bring along. Of several dedup windows the first counts, and the others are told so.
pub(super) fn all(desk: &mut Desk, files: &[SourceFile], found: &mut Vec<MaintenanceWindow>) -> Option<u64> {
    let mut dedup: Option<u64> = None;
    for file in files {
        let Content::Rules(root) = &file.content else { continue };
        let own = read(desk, file, root, found);
        if dedup.is_some() && own.is_some() && own != dedup {
            let problem = Problem::warning(&file.name, root.at, "its dedup window differs from that of an earlier file, which counts");
            desk.push(problem.hint("say it once, in the main file: `alerts: {dedup: 1h}`"));
        }
        dedup = dedup.or(own);
    }
    dedup
}

/// Reads what a rule file brings along: its windows into `found`, and its dedup window in seconds, if it has one.
fn read(desk: &mut Desk, file: &SourceFile, root: &Node, found: &mut Vec<MaintenanceWindow>) -> Option<u64> {
    if !matches!(root.value, Value::Map(_)) {
        return None;
    }
    // Unknown keys beside these are the room `rules`' business: it knows what a rule file may hold.
    let mut fields = desk.open(file, root, "a rule file")?;
    let dedup = fields.node("aggregation").and_then(|node| deduplication(desk, file, node));
    if let Some(node) = fields.node("suppression") {
        suppression(desk, file, node, found);
    }
    dedup
}

fn deduplication(desk: &mut Desk, file: &SourceFile, node: &Node) -> Option<u64> {
    let mut fields = desk.open(file, node, "`aggregation`")?;
    let inner = fields.node("deduplication");
    desk.finish(fields);
    let mut fields = desk.open(file, inner?, "`deduplication`")?;
    let enabled = fields.flag("enabled").unwrap_or(true);
    let window = fields.node("window").and_then(|node| desk.seconds(file, "window", node, 0..=MAX_DEDUP_S)).unwrap_or(DEDUP_S);
    desk.finish(fields);
    if !enabled {
        desk.warn(file, inner?, "deduplication is off: a firing alert is told anew at every tick", "set enabled: true and a window");
    }
    Some(if enabled { window } else { 0 })
}

fn suppression(desk: &mut Desk, file: &SourceFile, node: &Node, found: &mut Vec<MaintenanceWindow>) {
    let Some(mut fields) = desk.open(file, node, "`suppression`") else { return };
    let list = fields.list("maintenance_windows").unwrap_or_default();
    desk.finish(fields);
    for node in list {
        if let Some(mut fields) = desk.open(file, node, "a maintenance window") {
            one(desk, file, node, &mut fields, found);
            desk.finish(fields);
        }
    }
}

fn one(desk: &mut Desk, file: &SourceFile, node: &Node, fields: &mut Fields<'_>, found: &mut Vec<MaintenanceWindow>) {
    let name = fields.required("name").and_then(text_of);
    let enabled = fields.flag("enabled").unwrap_or(true);
    let written = fields.node(KEYS.zone);
    let zone = written.map_or(Some(Tz::UTC), |node| windows::zone(desk, file, node));
    let window = windows::window(desk, file, fields, &KEYS, zone);
    let (Some(name), Some(window)) = (name, window) else { return };
    if !enabled {
        return;
    }
    if written.is_none() {
        desk.warn(
            file,
            node,
            format!("the window `{name}` has no zone and is read as UTC"),
            "add `time_zone: Europe/Paris`, or `time_zone: UTC` if it is meant",
        );
    }
    windows::add(desk, file, node, MaintenanceWindow { name, matchers: Matchers::default(), window }, found);
}
