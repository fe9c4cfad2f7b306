//! `alerts`: how long a repeated alert keeps quiet, when silence about a rule is itself an alert, and when coming and going
//! is told as one thing.

use super::desk::Desk;
use super::source::SourceFile;
use crate::model::Flapping;
use crate::yaml::{Node, text_of};

/// Dedup window when nobody says anything, in seconds.
pub const DEDUP_S: u64 = 3_600;
/// Longest dedup window, in seconds.
pub(super) const MAX_DEDUP_S: u64 = 366 * 86_400;

/// What was written; `dedup` holds `Some(None)` for `never`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Alerts {
    pub dedup: Option<Option<u64>>,
    pub unknown_after_s: Option<u64>,
    pub flapping: Option<Flapping>,
    pub tell_lowered: bool,
}

impl Default for Alerts {
    fn default() -> Self {
        Self { dedup: None, unknown_after_s: None, flapping: Some(Flapping::default()), tell_lowered: false }
    }
}

/// Reads `alerts`.
pub(super) fn read(desk: &mut Desk, file: &SourceFile, node: &Node) -> Alerts {
    let Some(mut fields) = desk.open(file, node, "`alerts`") else { return Alerts::default() };
    let dedup = fields.node("dedup").and_then(|node| match text_of(node).as_deref() {
        Some("never") => Some(None),
        _ => desk.seconds(file, "dedup", node, 0..=MAX_DEDUP_S).map(Some),
    });
    let unknown_after_s = fields.node("unknown_after").and_then(|node| desk.seconds(file, "unknown_after", node, 60..=30 * 86_400));
    let flapping = fields.node("flapping").map_or(Some(Flapping::default()), |node| flapping(desk, file, node));
    let tell_lowered = fields.flag("tell_lowered").unwrap_or(false);
    desk.finish(fields);
    Alerts { dedup, unknown_after_s, flapping, tell_lowered }
}

/// `off`, or two shares of its last evaluations in per cent.
fn flapping(desk: &mut Desk, file: &SourceFile, node: &Node) -> Option<Flapping> {
    match text_of(node).as_deref() {
        Some("off") => return None,
        Some(_) => {
            desk.error_hint(file, node, "`flapping` must be `off` or a map", "{enter: 50%, leave: 25%}");
            return None;
        }
        None => {}
    }
    let usual = Flapping::default();
    let mut fields = desk.open(file, node, "`flapping`")?;
    let mut share = |desk: &mut Desk, key: &'static str| {
        fields.node(key).and_then(|node| desk.number(file, key, node, 1.0..=100.0, "a share of the last evaluations such as `50%`"))
    };
    let enter_pct = share(desk, "enter").unwrap_or(usual.enter_pct);
    let leave_pct = share(desk, "leave").unwrap_or(usual.leave_pct);
    if desk.finish(fields) && enter_pct <= leave_pct {
        let message = format!("an alert cannot begin to flap at {enter_pct} % and settle at {leave_pct} %");
        desk.error_hint(file, node, message, "`enter` must be above `leave`");
    }
    Some(Flapping { enter_pct, leave_pct })
}
