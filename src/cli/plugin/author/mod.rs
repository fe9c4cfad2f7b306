//! What the author's subcommands share: a plugin from a file or from its project's folder, compiled, asked what it is.

pub(super) mod show;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use pgsteward_sandbox::Engine;

use crate::app::plugins::{self, Plugins};
use crate::app::setup::{self, Rules};
use crate::collect::Sample;
use crate::config::PluginConfig;
use crate::model::{Changes, RuleInput, Settings};
use crate::plugin::{BUILT, Compiled, Compiler, Package};
use crate::rules::wasm::{Described, Plugin, WasmRule, describe};
use crate::rules::{OWN_PACK, Rule, RuleFile};

/// A plugin on its author's desk.
pub(super) struct Desk {
    pub(super) plugin: Plugin,
    pub(super) package: Package,
    pub(super) rules: Rules,
    /// Its tests: packed ones, and those in the folder.
    pub(super) tests: Vec<RuleFile>,
}

impl Desk {
    /// Its rules as they can be traced.
    pub(super) fn described(&self) -> anyhow::Result<Described> {
        let component = self.plugin.component.as_ref().map_err(|stopped| anyhow::anyhow!("{}", stopped.reason))?;
        describe(&self.plugin, component, self.rules.set.catalog()).map_err(|problem| anyhow::anyhow!("{problem}"))
    }
}

/// What a rule sees of a sample, with its own defaults.
pub(super) fn input(rule: &WasmRule, sample: &Sample) -> RuleInput {
    let snapshot = Arc::new(sample.snapshot.clone());
    let previous = sample.previous.iter().map(|(name, frame)| (name.clone(), Arc::new(frame.clone()))).collect();
    let settings = rule.meta().settings.iter().map(|def| (def.name.clone(), def.default.clone())).collect();
    RuleInput {
        now: snapshot.taken_at,
        changes: Arc::new(Changes::between(&previous, &snapshot)),
        snapshot,
        past: Arc::default(),
        firing: Arc::default(),
        active: Arc::default(),
        settings: Arc::new(Settings(settings)),
    }
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
