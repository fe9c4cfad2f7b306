//! What several subcommands need: the config argument, the target argument, the store, a runtime, problems on screen.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::term;
use crate::app::house::Watch;
use crate::app::plugins::{self, Plugins};
use crate::app::setup::{self, Rules};
use crate::config::{self, Config};
use crate::env::Env;
use crate::model::Evidence;
use crate::plugin::Compiler;
use crate::problem::{Level, Problem};
use crate::store::Store;

/// An error with its causes, for a person.
pub fn explain(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// `1 rule`, `2 rules`.
pub fn counted(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

/// Facts beside their limits, a line each.
pub fn evidence(facts: &[Evidence]) -> String {
    let line = |fact: &Evidence| {
        let value = fact.value.map_or("unknown".to_string(), |v| fact.unit.show(v));
        let limit = fact.threshold.map_or(String::new(), |t| format!("   limit {}", fact.unit.show(t)));
        format!("   {:<28} {value:>14}{limit}\n", crate::text::safe(&fact.metric))
    };
    facts.iter().map(line).collect()
}

/// Runs a future to its end on this thread: one-shot commands have no use for more.
pub fn block_on<F: Future>(future: F) -> anyhow::Result<F::Output> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("the runtime cannot start")?;
    Ok(runtime.block_on(future))
}

/// Reads a config; problems are shown, errors end the command.
pub fn load_config(path: &Path, env: &Env) -> anyhow::Result<Config> {
    let loaded = config::load(path, env);
    show_problems(loaded.problems.iter().filter(|p| p.level <= Level::Warning), &loaded.sources);
    loaded.config.with_context(|| format!("`{}` cannot be used; `pgsteward config check` says more", path.display()))
}

/// Problems beside the lines they are about.
pub fn show_problems<'a>(problems: impl Iterator<Item = &'a Problem>, sources: &BTreeMap<String, String>) {
    for problem in problems {
        let source = sources.get(&problem.file).map_or("", String::as_str);
        term::err(&format!("{}\n\n", problem.render(source, true)));
    }
}

/// The installed plugins of a state folder.
pub fn installed_plugins(config: Option<&Config>, env: &Env) -> anyhow::Result<Plugins> {
    let Ok(dir) = config::state_dir(config, env) else { return Ok(Plugins::default()) };
    let said = config.map(|config| config.plugins.clone()).unwrap_or_default();
    Ok(plugins::installed(&dir, &said, &Compiler::child()?))
}

/// Loads shipped and own rules, and those of plugins; problems are shown, and the rules that can be used are used.
pub fn load_rules(own: &[PathBuf], plugins: Plugins) -> Rules {
    let rules = setup::load_rules(own, plugins);
    show_problems(rules.problems.iter().filter(|p| p.level <= Level::Warning), &sources(&rules));
    rules
}

/// The texts of rule files by path.
pub fn sources(rules: &Rules) -> BTreeMap<String, String> {
    rules.files.iter().map(|f| (f.path.clone(), f.text.clone())).collect()
}

/// Which target a command is about.
#[derive(Debug, clap::Args)]
pub struct TargetArgs {
    /// A DSN (URL or keywords), or the name of a configured target; default: the PG* variables
    #[arg(value_name = "TARGET")]
    pub target: Option<String>,
    /// Config that names targets and rules
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// A rule file of your own, beside the shipped ones; can be given several times
    #[arg(long = "rules", value_name = "FILE")]
    pub rules: Vec<PathBuf>,
}

/// A target with what watches it.
pub struct Chosen {
    /// The target.
    pub watch: Watch,
    /// Rules and metrics.
    pub rules: Rules,
    /// The config, if one was given.
    pub config: Option<Config>,
}

impl TargetArgs {
    /// Finds the target and loads the rules.
    pub fn choose(&self, env: &Env) -> anyhow::Result<Chosen> {
        let config = self.config.as_deref().map(|path| load_config(path, env)).transpose()?;
        let mut own = self.rules.clone();
        own.extend(config.iter().flat_map(|c| c.rules.files.iter().cloned()));
        let mut rules = load_rules(&own, installed_plugins(config.as_ref(), env)?);
        if let Some(config) = &config {
            setup::apply_cadence(&mut rules.metrics, &config.schedule.collect);
        }
        let watch = match &config {
            Some(config) => self.configured(config, env)?,
            None => setup::watch_of_dsn(self.target.as_deref().unwrap_or_default())?,
        };
        Ok(Chosen { watch, rules, config })
    }

    fn configured(&self, config: &Config, env: &Env) -> anyhow::Result<Watch> {
        let names = || config.targets.iter().map(|t| t.target.name.as_str()).collect::<Vec<_>>().join(", ");
        let target = match &self.target {
            Some(name) => config.targets.iter().find(|t| t.target.name == *name),
            None if config.targets.len() == 1 => config.targets.first(),
            None => bail!("which target? The config names {}", names()),
        };
        let target = target.with_context(|| format!("the config names no such target; it names {}", names()))?;
        block_on(setup::watch_of_config(target, config, env))?
    }
}

/// The store of a service on this machine, if there is one.
pub fn existing_store(config: Option<&Config>, env: &Env) -> anyhow::Result<Option<Store>> {
    let Ok(dir) = config::state_dir(config, env) else { return Ok(None) };
    let path = setup::store_path(&dir);
    if !path.exists() {
        return Ok(None);
    }
    Ok(Some(Store::open_read_only(&path).with_context(|| format!("the store `{}` cannot be read", path.display()))?))
}
