//! Which installed plugins run, and how: the shelf held against the config. A plugin that cannot run never stops the
//! others; its rules stay known, are skipped with the reason, and hold their alerts.

use std::path::Path;

use pgsteward_sandbox::Engine;

use crate::collect::metrics;
use crate::config::{PluginConfig, PluginsConfig};
use crate::model::Catalog;
use crate::plugin::{Compiled, Compiler, Package, PluginError, Record, Shelf, signature_of, verify};
use crate::problem::Problem;
use crate::rules::wasm::{Plugin, Stopped, describe};
use crate::rules::{Rule, RuleFile};

/// The plugins that the loader is given.
#[derive(Debug, Default)]
pub struct Plugins {
    /// Those that run, and those that are stopped.
    pub plugins: Vec<Plugin>,
    /// The tests packed into those that run.
    pub tests: Vec<RuleFile>,
    /// What is wrong with any of them.
    pub problems: Vec<Problem>,
}

/// Takes the enabled plugins of a state folder's shelf.
#[must_use]
pub fn installed(state_dir: &Path, config: &PluginsConfig, compiler: &Compiler) -> Plugins {
    let shelf = Shelf::in_state(state_dir);
    let mut found = Plugins::default();
    let mut damaged = Vec::new();
    let records = match shelf.list() {
        Ok((records, problems)) => {
            damaged.extend(problems.iter().filter_map(|p| Path::new(&p.file).file_stem()?.to_str().map(String::from)));
            found.problems.extend(problems);
            records
        }
        Err(error) => {
            found.problems.push(Problem::error("plugins", None, told(&error)));
            Vec::new()
        }
    };
    found.problems.extend(strangers(config, &records));
    let wanted = |record: &&Record| config.of(&record.id).enabled.unwrap_or(record.enabled);
    let records: Vec<&Record> = records.iter().filter(wanted).collect();
    if records.is_empty() && damaged.is_empty() {
        return found;
    }
    match Workshop::new(&shelf, config, compiler) {
        Ok(workshop) => {
            records.into_iter().for_each(|record| workshop.take(record, &mut found));
            damaged.iter().for_each(|id| workshop.hold(id, &mut found));
        }
        Err(reason) => {
            let names: Vec<String> = records.iter().map(|record| format!("{} {}", record.id, record.version)).collect();
            found.problems.push(Problem::error("plugins", None, format!("{} cannot run: {reason}", names.join(", "))));
            records.into_iter().for_each(|record| found.stop(record, &reason));
        }
    }
    found
}

/// Plugins that the config names and nobody has installed.
fn strangers<'a>(config: &'a PluginsConfig, records: &'a [Record]) -> impl Iterator<Item = Problem> + 'a {
    config.plugins.iter().filter(|(id, _)| records.iter().all(|record| record.id != **id)).map(|(id, said)| {
        let message = format!("the config names plugin `{id}`, which is not installed");
        let near = Catalog::nearest(records.iter().map(|record| record.id.as_str()), id);
        let hint = near.map_or("`pgsteward plugin install FILE` puts it in place".into(), |near| format!("did you mean `{near}`?"));
        said.place.as_ref().map_or_else(|| Problem::error("plugins", None, message.clone()), |place| place.error(&message)).hint(hint)
    })
}

/// Plugins from files, as their authors run them: compiled in the same way, neither installed nor pinned.
///
/// # Errors
/// When a file cannot be used.
pub fn from_file(path: &Path, engine: &Engine, compiled: &Compiled, config: &PluginConfig) -> Result<(Plugin, Package), PluginError> {
    let package = crate::plugin::open(path)?;
    let component = compiled.component(engine, &package)?;
    Ok((plugin(&package, component, config), package))
}

fn plugin(package: &Package, component: pgsteward_sandbox::Component, config: &PluginConfig) -> Plugin {
    Plugin {
        source: package.source.clone(),
        hash: package.inspection.hash.clone(),
        component: Ok(component),
        recorded: Vec::new(),
        limits: config.limits,
        metrics: package.metrics.clone(),
        metrics_granted: config.grant_metrics,
    }
}

impl Plugins {
    fn stop(&mut self, record: &Record, reason: &str) {
        self.plugins.push(Plugin {
            source: record.source(),
            hash: record.sha256.clone(),
            component: Err(Stopped { reason: reason.into(), rules: record.rules.clone() }),
            recorded: Vec::new(),
            limits: pgsteward_sandbox::Limits::DEFAULT,
            metrics: Vec::new(),
            metrics_granted: false,
        });
    }
}

/// What running a plugin takes.
struct Workshop<'a> {
    engine: Engine,
    compiled: Compiled,
    shelf: &'a Shelf,
    config: &'a PluginsConfig,
}

impl<'a> Workshop<'a> {
    fn new(shelf: &'a Shelf, config: &'a PluginsConfig, compiler: &Compiler) -> Result<Self, String> {
        let engine = Engine::new().map_err(|unavailable| unavailable.to_string())?;
        let compiled = Compiled::open(&shelf.compiled_dir(), compiler.clone()).map_err(|error| told(&error))?;
        Ok(Self { engine, compiled, shelf, config })
    }

    fn take(&self, record: &Record, found: &mut Plugins) {
        match self.ready(record) {
            Ok((plugin, tests)) => {
                found.plugins.push(plugin);
                found.tests.extend(tests);
            }
            Err(error) => {
                let reason = told(&error);
                found.problems.push(Problem::error(record.source(), None, format!("it does not run: {reason}")));
                found.stop(record, &reason);
            }
        }
    }

    /// A plugin without a readable record does not run, but its file still says which rules hold their alerts.
    fn hold(&self, id: &str, found: &mut Plugins) {
        let file = self.shelf.file_of(id);
        let Ok(package) = crate::plugin::open(&file) else { return };
        // Asking it what it is runs it: only if it would be let run.
        if trusted(self.config, id, &package, signature_of(&file).as_deref()).is_err() {
            return;
        }
        let Ok(component) = self.compiled.component(&self.engine, &package) else { return };
        let plugin = plugin(&package, component.clone(), &self.config.of(id));
        let Ok(described) = describe(&plugin, &component, &metrics::catalog()) else { return };
        let rules = described.rules.iter().map(|rule| rule.meta().clone()).collect();
        let record = Record { id: id.into(), version: described.version, sha256: package.inspection.hash, enabled: false, rules };
        found.stop(&record, "its record cannot be read; install it again");
    }

    fn ready(&self, record: &Record) -> Result<(Plugin, Vec<RuleFile>), PluginError> {
        let (package, signature) = self.shelf.open(record)?;
        trusted(self.config, &record.id, &package, signature.as_deref())?;
        let component = self.compiled.component(&self.engine, &package)?;
        let plugin =
            Plugin { source: record.source(), recorded: record.rules.clone(), ..plugin(&package, component, &self.config.of(&record.id)) };
        let named = |file: RuleFile| {
            let name = file.path.rsplit(':').next().unwrap_or_default().to_string();
            RuleFile { path: format!("{}, {name}", record.source()), ..file }
        };
        Ok((plugin, package.tests.into_iter().map(named).collect()))
    }
}

/// Whether a file is the one that the config pins, and signed as it demands.
///
/// # Errors
/// `Hash`, or what is wrong with the signature.
pub fn trusted(config: &PluginsConfig, id: &str, package: &Package, signature: Option<&str>) -> Result<(), PluginError> {
    let found = &package.inspection.hash;
    if let Some(pinned) = config.of(id).sha256.filter(|pinned| pinned != found) {
        return Err(PluginError::Hash { found: found.clone(), pinned });
    }
    if !config.signed_by.is_empty() {
        verify(&package.file, signature, &config.signed_by)?;
    }
    Ok(())
}

fn told(error: &PluginError) -> String {
    super::chain(error)
}
