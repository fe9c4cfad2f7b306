//! `heartbeat`: a sign of life at regular times, so that somebody else notices when it stays away.

use std::collections::BTreeSet;

use super::channels;
use super::checked::Heartbeat;
use super::desk::Desk;
use super::source::SourceFile;
use crate::yaml::Node;

/// Its name where nobody says.
const NAME: &str = "pgsteward_alive";

/// Reads `heartbeat`.
pub(super) fn read(desk: &mut Desk, file: &SourceFile, node: &Node, known: &BTreeSet<String>) -> Option<Heartbeat> {
    let mut fields = desk.open(file, node, "`heartbeat`")?;
    let channel = fields.required("channel").and_then(|node| channels::named(desk, file, std::slice::from_ref(node), known).pop());
    let every_s = fields.required("every").and_then(|node| desk.seconds(file, "every", node, 60..=7 * 86_400));
    let name = fields.text("name").unwrap_or_else(|| NAME.into());
    desk.finish(fields);
    Some(Heartbeat { channel: channel?, every_s: every_s?, name })
}
