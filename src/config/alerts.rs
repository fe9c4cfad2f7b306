//! `alerts`: how long a repeated alert keeps quiet, and when silence about a rule is itself an alert.

use super::desk::Desk;
use super::source::SourceFile;
use crate::yaml::{Node, text_of};

/// Dedup window when nobody says anything, in seconds.
pub const DEDUP_S: u64 = 3_600;
/// Longest dedup window, in seconds.
pub(super) const MAX_DEDUP_S: u64 = 366 * 86_400;

/// What was written; `dedup` holds `Some(None)` for `never`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Alerts {
    pub dedup: Option<Option<u64>>,
    pub unknown_after_s: Option<u64>,
}

/// Reads `alerts`.
pub(super) fn read(desk: &mut Desk, file: &SourceFile, node: &Node) -> Alerts {
    let Some(mut fields) = desk.open(file, node, "`alerts`") else { return Alerts::default() };
    let dedup = fields.node("dedup").and_then(|node| match text_of(node).as_deref() {
        Some("never") => Some(None),
        _ => desk.seconds(file, "dedup", node, 0..=MAX_DEDUP_S).map(Some),
    });
    let unknown_after_s = fields.node("unknown_after").and_then(|node| desk.seconds(file, "unknown_after", node, 60..=30 * 86_400));
    desk.finish(fields);
    Alerts { dedup, unknown_after_s }
}
