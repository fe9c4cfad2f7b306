//! `channels`: where notices go. Each kind reads its own keys; this finds the kind and says what no kind knows.

use std::collections::{BTreeMap, BTreeSet};

use super::checked::ChannelConfig;
use super::desk::{Desk, choose};
use super::source::SourceFile;
use crate::deliver::channels::{ChannelKind, ChannelSettings, KINDS};
use crate::problem::{Mark, Problem};
use crate::yaml::{Fields, Node, Value};

/// Reads `channels` into `found`; `names` get those too that are wrong, so that a route to them is no second problem.
pub(super) fn read(
    desk: &mut Desk,
    file: &SourceFile,
    node: &Node,
    found: &mut BTreeMap<String, ChannelConfig>,
    names: &mut BTreeSet<String>,
) {
    let Value::Map(entries) = &node.value else {
        let hint = "write `channels:` and below it `console: {kind: console}`";
        return desk.error_hint(file, node, format!("`channels` must be a map, this is {}", node.value.kind()), hint);
    };
    for (key, node) in entries {
        if !names.insert(key.text.clone()) {
            desk.push(Problem::error(&file.name, key.at, format!("a channel `{}` stands already in another file", key.text)));
            continue;
        }
        desk.place(format!("channels.{}", key.text), file, key.at);
        if let Some(settings) = channel(desk, file, node) {
            found.insert(key.text.clone(), ChannelConfig::of(settings));
        }
    }
}

fn channel(desk: &mut Desk, file: &SourceFile, node: &Node) -> Option<ChannelSettings> {
    let mut fields = desk.open(file, node, "a channel")?;
    fields.refuse("fallback", "is not in this version yet: every notice waits for its own channel");
    let written = fields.required("kind");
    let name = fields.text("kind");
    let Some(kind) = name.as_deref().and_then(kind) else {
        if let (Some(node), Some(name)) = (written, name) {
            let hint = choose(KINDS.iter().map(|kind| kind.name), &name);
            desk.error_hint(file, node, format!("there is no channel kind `{name}` in this version"), hint);
        }
        // Without its kind nobody can say which other keys are right.
        desk.problems.append(&mut fields.problems);
        return None;
    };
    let settings = (kind.settings)(&file.name, &mut fields);
    desk.finish(fields);
    settings
}

fn kind(name: &str) -> Option<&'static ChannelKind> {
    KINDS.iter().copied().find(|kind| kind.name == name)
}

/// The console, for who names no channel.
pub(super) fn console() -> Option<ChannelConfig> {
    let node = Node { value: Value::Null, at: Mark::default() };
    let mut fields = Fields::open("", &node, "a channel").ok()?;
    (kind("console")?.settings)("", &mut fields).map(ChannelConfig::of)
}
