//! `schedule`: when what is collected.

use pgsteward_helpers::span;

use super::checked::Schedule;
use super::desk::Desk;
use super::source::SourceFile;
use crate::yaml::Node;

const DAY_S: u64 = 86_400;

/// Reads `schedule`. Whether the frames under `collect` exist is for `check_notes`, which is told what there is.
pub(super) fn read(desk: &mut Desk, file: &SourceFile, node: &Node) -> Schedule {
    let Some(mut fields) = desk.open(file, node, "`schedule`") else { return Schedule::default() };
    fields.refuse("tick", "is called `every` here");
    fields.refuse("interval", "is called `every` here");
    let every_s = fields.node("every").and_then(|node| desk.seconds(file, "every", node, 1..=DAY_S));
    let spread = fields.flag("spread").unwrap_or(true);
    let mut collect = std::collections::BTreeMap::new();
    for (key, node) in fields.map("collect").unwrap_or_default() {
        desk.place(format!("schedule.collect.{}", key.text), file, key.at);
        let Some(seconds) = desk.seconds(file, &key.text, node, 1..=7 * DAY_S) else { continue };
        let tick_s = every_s.unwrap_or(Schedule::EVERY_S);
        if seconds < tick_s {
            let message = format!("`{}` is collected at ticks, which come every {}", key.text, span(tick_s as f64));
            desk.warn(file, node, message, "a shorter cadence has no effect: lower `every`");
        }
        collect.insert(key.text.clone(), seconds);
    }
    desk.finish(fields);
    Schedule { every_s, spread, collect }
}
