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

#[cfg(test)]
mod tests {
    use crate::config::testing::{config, problems};

    #[test]
    fn a_heartbeat_goes_to_one_channel_at_its_pace() {
        let heartbeat = config("channels: {mail: {kind: console}}\nheartbeat: {channel: mail, every: 5m}\n").heartbeat.unwrap();
        assert_eq!((heartbeat.channel.as_str(), heartbeat.every_s, heartbeat.name.as_str()), ("mail", 300, "pgsteward_alive"));
        assert_eq!(
            problems("channels: {mail: {kind: console}}\nheartbeat: {channel: mial, every: 1s}\n"),
            [
                "c.yaml:2:22: error: there is no channel `mial`; did you mean `mail`?",
                "c.yaml:2:35: error: `every` must be between 1m and 7d, this is `1s`",
            ]
        );
    }
}
