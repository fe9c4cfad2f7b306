//! `actions`: how far they may go.

use super::checked::ActionsMode;
use super::desk::Desk;
use super::source::SourceFile;
use crate::yaml::{Node, text_of};

/// Reads `actions`.
pub(super) fn read(desk: &mut Desk, file: &SourceFile, node: &Node) -> ActionsMode {
    let Some(mut fields) = desk.open(file, node, "`actions`") else { return ActionsMode::default() };
    for key in ["role", "policy"] {
        fields.refuse(key, "is not in this version yet: actions are proposed, never run");
    }
    let mode = fields.node("mode").and_then(|node| match text_of(node).as_deref() {
        Some(word @ ("approve" | "auto")) => {
            desk.error_hint(file, node, format!("the mode `{word}` is not in this version yet"), "use observe or advise");
            None
        }
        _ => desk.word(file, "mode", node, &["observe", "advise"]),
    });
    desk.finish(fields);
    if mode == Some("observe") { ActionsMode::Observe } else { ActionsMode::Advise }
}
