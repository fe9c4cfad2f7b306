//! `plugins`: whom installed plugins must be signed by, what they may use, and what is said of each.

use std::collections::BTreeMap;

use pgsteward_helpers::{Dimension, parse_quantity};
use pgsteward_sandbox::Limits;

use super::checked::Place;
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
    /// Where it is said; `None` when nothing is.
    pub place: Option<Place>,
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
        let place = Place { file: file.name.clone(), at: key.at };
        let said = PluginConfig { place: Some(place), ..one(desk, file, node, config.limits) };
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
            desk.error_hint(
                file,
                node,
                "`sha256` must be 64 hexadecimal digits",
                "`pgsteward plugin install` and `inspect` show it; quote it",
            );
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
        let set = match text_of(node).and_then(|text| amount(name, &text)) {
            Some(value) => limits.set(name, value),
            None => Err(format!("`{name}` must be a whole number, not {}", shown(node))),
        };
        if let Err(reason) = set {
            desk.error(file, node, reason);
        }
    }
    desk.finish(fields);
}

/// A whole number of what the limit's name says.
fn amount(name: &str, text: &str) -> Option<u64> {
    let quantity = parse_quantity(text).ok()?;
    let value = match quantity.dimension {
        Dimension::Number => quantity.value,
        Dimension::Seconds if name.ends_with("_ms") => quantity.value * 1000.0,
        Dimension::Bytes if name.ends_with("_bytes") => quantity.value,
        _ => return None,
    };
    (value >= 0.0 && value.fract() == 0.0).then_some(value as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load::check;
    use crate::config::source::Source;
    use crate::env::Env;

    fn read(plugins: &str) -> (PluginsConfig, Vec<String>) {
        let loaded = check(Source::of_text("c.yaml", &format!("version: 1\nplugins: {plugins}\n")), &Env::of([]));
        let problems = loaded.problems.iter().filter(|problem| problem.is_error()).map(ToString::to_string).collect();
        (loaded.config.map(|config| config.plugins).unwrap_or_default(), problems)
    }

    #[test]
    fn what_is_said_of_one_stands_before_what_is_said_of_all() {
        let (config, problems) = read("{limits: {fuel: 1G, wall_ms: 1s}, use: {a: {limits: {wall_ms: 500, text_bytes: 1MB}}}}");
        assert_eq!(problems, [] as [&str; 0]);
        let all = Limits { fuel: 1_000_000_000, wall_ms: 1_000, ..Limits::DEFAULT };
        assert_eq!(config.of("b").limits, all);
        assert_eq!(config.of("a").limits, Limits { wall_ms: 500, text_bytes: 1 << 20, ..all });
    }

    #[test]
    fn nothing_is_granted_and_nobody_is_trusted_unless_it_is_said() {
        let (config, _) = read("{use: {a: {}, b: {grant: [metrics], enabled: false}}}");
        assert_eq!((config.of("a").grant_metrics, config.of("a").enabled, config.of("c").grant_metrics), (false, None, false));
        assert_eq!((config.of("b").grant_metrics, config.of("b").enabled), (true, Some(false)));
    }

    #[test]
    fn a_limit_has_the_unit_that_its_name_says() {
        for (limit, shown) in [("fuel: 5s", "`5s`"), ("memory_bytes: 1h", "`1h`"), ("wall_ms: 1MB", "`1MB`"), ("findings: 1.5", "`1.5`")] {
            let (_, problems) = read(&format!("{{limits: {{{limit}}}}}"));
            let name = limit.split(':').next().unwrap();
            assert_eq!(problems.len(), 1, "{limit}");
            assert!(problems[0].ends_with(&format!("`{name}` must be a whole number, not {shown}")), "{problems:?}");
        }
    }
}
