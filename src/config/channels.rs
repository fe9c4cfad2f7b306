//! `channels`: where notices go. Each kind reads its own keys.

use std::collections::{BTreeMap, BTreeSet};

use super::desk::{Desk, choose};
use super::source::SourceFile;
use crate::yaml::{Node, Value};

const KINDS: [&str; 2] = ["console", "log"];

/// A channel's kind and what was written about it.
#[derive(Debug, Clone, PartialEq)]
pub struct ChannelSettings {
    /// Its kind.
    pub kind: String,
    /// The map it was written as, `kind` included.
    pub node: Node,
}

impl ChannelSettings {
    /// The console as it is without any setting.
    #[must_use]
    pub fn console() -> Self {
        Self { kind: "console".into(), node: Node { value: Value::Null, at: crate::problem::Mark::default() } }
    }
}

/// Reads `channels` into `found`; `names` get those too that are wrong, so that a route to them is no second problem.
pub(super) fn read(
    desk: &mut Desk,
    file: &SourceFile,
    node: &Node,
    found: &mut BTreeMap<String, ChannelSettings>,
    names: &mut BTreeSet<String>,
) {
    let Value::Map(entries) = &node.value else {
        let hint = "write `channels:` and below it `console: {kind: console}`";
        return desk.error_hint(file, node, format!("`channels` must be a map, this is {}", node.value.kind()), hint);
    };
    for (key, node) in entries {
        if !names.insert(key.text.clone()) {
            desk.error(file, node, format!("a channel `{}` stands already in another file", key.text));
            continue;
        }
        desk.place(format!("channels.{}", key.text), file, key.at);
        let Some(mut fields) = desk.open(file, node, "a channel") else { continue };
        let kind = fields.text("kind").unwrap_or_default();
        if KINDS.contains(&kind.as_str()) {
            found.insert(key.text.clone(), ChannelSettings { kind, node: node.clone() });
        } else {
            desk.error_hint(file, node, format!("there is no channel kind `{kind}` in this version"), choose(KINDS.into_iter(), &kind));
        }
    }
}
