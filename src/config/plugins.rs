//! `plugins`: whom installed plugins must be signed by, what they may use, and what is said of each.

use std::collections::BTreeMap;

use pgsteward_helpers::parse_quantity;
use pgsteward_sandbox::Limits;

use super::desk::{Desk, entries, shown};
use super::source::SourceFile;
use crate::yaml::{Node, text_of};

/// What a person says of plugins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PluginsConfig {
    /// Public minisign keys; with any, only plugins signed by one of them run.
    pub signed_by: Vec<String>,
    /// Limits of plugins of which nothing else is said.
    pub limits: Limits,
    /// By plugin id.
    pub plugins: BTreeMap<String, PluginConfig>,
}

/// What a person says of one plugin.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PluginConfig {
    /// Whether it runs, whatever `plugin enable` and `disable` said.
    pub enabled: Option<bool>,
    /// SHA-256 that its file must have, hex.
    pub sha256: Option<String>,
    /// Whether its own SQL may be asked of the servers.
    pub grant_metrics: bool,
    /// What one call may use.
    pub limits: Limits,
}

impl PluginsConfig {
    /// What holds for a plugin.
    #[must_use]
    pub fn of(&self, id: &str) -> PluginConfig {
        self.plugins.get(id).cloned().unwrap_or_else(|| PluginConfig { limits: self.limits, ..PluginConfig::default() })
    }
}

/// Reads `plugins`.
pub(super) fn read(desk: &mut Desk, file: &SourceFile, node: &Node) -> PluginsConfig {
    let mut config = PluginsConfig::default();
    let Some(mut fields) = desk.open(file, node, "`plugins`") else { return config };
    if let Some(node) = fields.node("limits") {
        limits(desk, file, node, &mut config.limits);
    }
    for node in fields.node("signed_by").map(entries).unwrap_or_default() {
        match text_of(node).filter(|key| is_key(key)) {
            Some(key) => config.signed_by.push(key),
            None => {
                desk.error_hint(file, node, format!("{} is no public minisign key", shown(node)), "it is the second line of a `.pub` file")
            }
        }
    }
    for (key, node) in fields.map("use").unwrap_or_default() {
        desk.place(format!("plugins.use.{}", key.text), file, key.at);
        let said = one(desk, file, node, config.limits);
        config.plugins.insert(key.text.clone(), said);
    }
    desk.finish(fields);
    config
}

fn is_key(key: &str) -> bool {
    key.len() == 56 && key.starts_with("RW")
}

fn one(desk: &mut Desk, file: &SourceFile, node: &Node, base: Limits) -> PluginConfig {
    let mut config = PluginConfig { limits: base, ..PluginConfig::default() };
    let Some(mut fields) = desk.open(file, node, "what is said of a plugin") else { return config };
    config.enabled = fields.flag("enabled");
    if let Some(node) = fields.node("sha256") {
        config.sha256 =
            text_of(node).map(|hash| hash.to_lowercase()).filter(|hash| hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit()));
        if config.sha256.is_none() {
            desk.error_hint(file, node, "`sha256` must be 64 hexadecimal digits", "`pgsteward plugin list` shows it; quote it");
        }
    }
    for node in fields.list("grant").unwrap_or_default() {
        config.grant_metrics |= desk.word(file, "grant", node, &["metrics"]).is_some();
    }
    if let Some(node) = fields.node("limits") {
        limits(desk, file, node, &mut config.limits);
    }
    desk.finish(fields);
    config
}

/// `{fuel: 10G, memory_bytes: 256MB, wall_ms: 5s}`: bytes and milliseconds may be written with their units.
fn limits(desk: &mut Desk, file: &SourceFile, node: &Node, limits: &mut Limits) {
    let Some(mut fields) = desk.open(file, node, "`limits` of plugins") else { return };
    for (name, _) in Limits::MAX.named() {
        let Some(node) = fields.node(name) else { continue };
        let value = text_of(node).and_then(|text| parse_quantity(&text).ok());
        let value = value.map(|quantity| match quantity.dimension {
            pgsteward_helpers::Dimension::Seconds => quantity.value * 1000.0,
            _ => quantity.value,
        });
        let set = match value {
            Some(value) if value >= 0.0 && value.fract() == 0.0 => limits.set(name, value as u64),
            _ => Err(format!("`{name}` must be a whole number, not {}", shown(node))),
        };
        if let Err(reason) = set {
            desk.error(file, node, reason);
        }
    }
    desk.finish(fields);
}
