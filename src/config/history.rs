//! `history`: what is kept, and for how long.

use super::checked::{History, StatementText};
use super::desk::Desk;
use super::source::SourceFile;
use crate::yaml::Node;

/// Reads `history`.
pub(super) fn read(desk: &mut Desk, file: &SourceFile, node: &Node) -> History {
    let base = History::default();
    let Some(mut fields) = desk.open(file, node, "`history`") else { return base };
    let words = ["normalized", "none", "full"];
    let statement_text = match fields.node("statement_text").and_then(|node| desk.word(file, "statement_text", node, &words)) {
        Some("none") => StatementText::None,
        Some("full") => StatementText::Full,
        _ => StatementText::Normalized,
    };
    let keep = fields.node("keep").and_then(|node| desk.seconds(file, "keep", node, 3_600..=3_660 * 86_400));
    let size = fields.node("max_size").and_then(|node| desk.bytes(file, "max_size", node, 64 << 20..=1 << 44));
    desk.finish(fields);
    History { keep_s: keep.unwrap_or(base.keep_s), max_bytes: size.unwrap_or(base.max_bytes), statement_text }
}
