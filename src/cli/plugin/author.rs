//! What the author's subcommands share: a plugin from a file or from its project's folder, compiled, asked what it is.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use pgsteward_sandbox::Engine;

use crate::app::plugins::{self, Plugins};
use crate::app::setup::{self, Rules};
use crate::config::PluginConfig;
use crate::plugin::{Compiled, Compiler, Package};
use crate::rules::wasm::Plugin;
use crate::rules::{OWN_PACK, RuleFile};

/// The name of the built component in a project's folder.
pub(super) const BUILT: &str = "plugin.wasm";

/// A plugin on its author's desk.
pub(super) struct Desk {
    pub(super) plugin: Plugin,
    pub(super) package: Package,
    pub(super) rules: Rules,
    /// Its tests: packed ones, and those in the folder.
    pub(super) tests: Vec<RuleFile>,
}

/// Opens a plugin file, or the built one of a project's folder. Its own SQL is granted: nothing is asked of a server here.
pub(super) fn open(path: &Path) -> anyhow::Result<Desk> {
    let folder = path.is_dir().then_some(path);
    let file = folder.map_or_else(|| path.to_path_buf(), |folder| folder.join(BUILT));
    if !file.exists() && folder.is_some() {
        bail!("`{}` is not there; `pgsteward plugin build {}` makes it", file.display(), path.display());
    }
    let engine = Engine::new()?;
    let compiled = Compiled::open(&cache_dir()?, Compiler::child()?)?;
    let config = PluginConfig { grant_metrics: true, ..PluginConfig::default() };
    let opened = plugins::from_file(&file, &engine, &compiled, &config);
    let (plugin, mut package) = opened.with_context(|| format!("`{}` cannot be used", file.display()))?;
    if let Some(folder) = folder {
        package = crate::plugin::from_folder(package, folder)?;
    }
    let plugin = Plugin { metrics: package.metrics.clone(), ..plugin };
    let rules = setup::load_plugins(Plugins { plugins: vec![plugin.clone()], ..Plugins::default() });
    let tests = package.tests.clone();
    Ok(Desk { plugin, package, rules, tests })
}

/// Compiled code of plugins that are not installed.
fn cache_dir() -> anyhow::Result<PathBuf> {
    let dirs = directories::ProjectDirs::from("", "", "pgsteward").context("no folder for caches is known: set $HOME")?;
    Ok(dirs.cache_dir().join("plugins"))
}

/// Test files given on the command line, beside the plugin's own.
pub(super) fn read_tests(paths: &[PathBuf]) -> anyhow::Result<Vec<RuleFile>> {
    let read = |path: &PathBuf| {
        let text = std::fs::read_to_string(path).with_context(|| format!("`{}` cannot be read", path.display()))?;
        Ok(RuleFile { path: path.display().to_string(), text, pack: Some(OWN_PACK.into()) })
    };
    paths.iter().map(read).collect()
}
