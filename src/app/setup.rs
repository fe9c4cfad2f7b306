//! From what a person wrote to a house that runs: the one place where config, rules, metrics, channels and store meet.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use tokio::sync::Notify;

use super::house::{House, SharedStore, Watch};
use super::plugins::Plugins;
use super::status;
use super::turn::Wishes;
use crate::alert::OWN_TARGET;
use crate::clock::Clock;
use crate::collect::{Budget, Databases, Endpoint, EndpointDefaults, Surroundings, metrics};
use crate::config::{self, ActionsMode, ChannelConfig, Config, Schedule, StatementText, TargetConfig};
use crate::deliver::Line;
use crate::deliver::channels::{Means, Rate, Terminal};
use crate::env::Env;
use crate::model::{DecideConfig, Flapping, Metric, Route, Target};
use crate::problem::Problem;
use crate::rules::rhai::Limits;
use crate::rules::wasm::Plugin;
use crate::rules::{self, LoadedPlugin, OWN_PACK, RuleFile, RuleSet};

/// Rules with the metrics that they brought, and what was wrong with any of them.
#[derive(Debug)]
pub struct Rules {
    /// The rules that can be used.
    pub set: RuleSet,
    /// Shipped metrics and those of rule files.
    pub metrics: Vec<Metric>,
    /// Plugins that could be asked what they are.
    pub plugins: Vec<LoadedPlugin>,
    /// Installed plugins that do not run, and why.
    pub stopped: Vec<(String, String)>,
    /// Problems, of rules that are left out too.
    pub problems: Vec<Problem>,
    /// The files, for showing problems and running tests.
    pub files: Vec<RuleFile>,
}

/// A rule that cannot be judged for this long raises an alert about itself, in seconds.
pub const DEFAULT_UNKNOWN_AFTER_S: u64 = 600;
/// Packs that are on where nothing says otherwise; `classic` and `lint` are not.
pub const DEFAULT_PACKS: [&str; 3] = ["page", "ticket", "advice"];

/// Loads the shipped rules, those of a person, and those of plugins.
#[must_use]
pub fn load_rules(own: &[PathBuf], plugins: Plugins) -> Rules {
    compile(rules::shipped(), own, plugins)
}

/// Loads only these files: what their tests are run on. A shipped rule that somebody is changing does not stand in the
/// way of itself.
#[must_use]
pub fn load_only(own: &[PathBuf]) -> Rules {
    compile(Vec::new(), own, Plugins::default())
}

/// Loads only these plugins: what their tests are run on.
#[must_use]
pub fn load_plugins(plugins: Plugins) -> Rules {
    compile(Vec::new(), &[], plugins)
}

fn compile(mut files: Vec<RuleFile>, own: &[PathBuf], plugins: Plugins) -> Rules {
    let mut problems = plugins.problems;
    for path in own {
        match std::fs::read_to_string(path) {
            Ok(text) => files.push(RuleFile { path: path.display().to_string(), text, pack: Some(OWN_PACK.into()) }),
            Err(error) => problems.push(Problem::error(path.display().to_string(), None, format!("cannot be read: {error}"))),
        }
    }
    let loaded = rules::load(&files, &plugins.plugins, &metrics::catalog(), Limits::default());
    // What is worth noting of a shipped rule is known to us; only what keeps one from loading concerns a person.
    let own_file = |p: &Problem| {
        own.iter().any(|path| path.display().to_string() == p.file) || plugins.plugins.iter().any(|plugin| plugin.source == p.file)
    };
    problems.extend(loaded.problems.into_iter().filter(|p| p.is_error() || own_file(p)));
    let mut metrics = metrics::all();
    metrics.extend(loaded.metrics);
    files.extend(plugins.tests);
    let runs = |plugin: &&Plugin| loaded.plugins.iter().any(|running| running.source == plugin.source);
    let stopped = plugins.plugins.iter().filter(|plugin| !runs(plugin));
    let stopped = stopped.map(|plugin| (plugin.source.clone(), why_stopped(plugin, &problems))).collect();
    Rules { set: loaded.set, metrics, plugins: loaded.plugins, stopped, problems, files }
}

fn why_stopped(plugin: &Plugin, problems: &[Problem]) -> String {
    let told = || problems.iter().find(|problem| problem.file == plugin.source).map(|problem| problem.message.clone());
    plugin.component.as_ref().err().map(|stopped| stopped.reason.clone()).or_else(told).unwrap_or_default()
}

/// The packs that are on by default, beside a person's own rules.
#[must_use]
pub fn default_packs() -> BTreeSet<String> {
    DEFAULT_PACKS.map(String::from).into()
}

/// A target given on the command line, with nothing configured.
///
/// # Errors
/// When the DSN cannot be read; the message holds no secret.
pub fn watch_of_dsn(dsn: &str) -> anyhow::Result<Watch> {
    let parsed = Endpoint::parse(dsn, &EndpointDefaults::default(), &Surroundings::of_process());
    let is_name = !dsn.is_empty() && !dsn.contains(['=', '/', ' ']);
    let endpoint =
        if is_name { parsed.with_context(|| format!("to check a configured target, say where: `{dsn} --config FILE`"))? } else { parsed? };
    let target = Target { name: endpoint.describe(), ..Target::default() };
    let decide = decide_config(target.clone(), None);
    Ok(Watch {
        target,
        endpoint,
        databases: Databases::All,
        budget: Budget::default(),
        wishes: Wishes { packs: default_packs(), evaluate_all: true, ..Wishes::default() },
        decide,
        all_due: true,
        statement_text: StatementText::Normalized,
    })
}

/// What is wanted of the evaluating and of the deciding for a target, without a look at how it is reached.
#[must_use]
pub fn wants(config: Option<&Config>, target: &Target) -> (Wishes, DecideConfig) {
    let plain = || Wishes { packs: default_packs(), ..Wishes::default() };
    (config.map_or_else(plain, wishes), decide_config(target.clone(), config))
}

fn wishes(config: &Config) -> Wishes {
    Wishes {
        packs: config.rules.packs.clone(),
        overrides: config.rules.overrides.clone(),
        observe: config.actions_mode == ActionsMode::Observe,
        ..Wishes::default()
    }
}

fn decide_config(target: Target, config: Option<&Config>) -> DecideConfig {
    DecideConfig {
        target,
        every_s: config.map_or(Schedule::EVERY_S, |c| c.schedule.every_or_default_s()),
        dedup_s: config.map_or(Some(config::DEDUP_S), |c| c.dedup_s),
        unknown_after_s: config.map_or(DEFAULT_UNKNOWN_AFTER_S, |c| c.unknown_after_s),
        windows: config.map(|c| c.windows.clone()).unwrap_or_default(),
        route: config.map_or_else(Route::default, |c| c.route.clone()),
        silences: config.map(|c| c.silences.clone()).unwrap_or_default(),
        inhibitions: config.map(|c| c.inhibitions.clone()).unwrap_or_default(),
        escalations: config.map(|c| c.escalations.clone()).unwrap_or_default(),
        flapping: config.map_or_else(|| Some(Flapping::default()), |c| c.flapping),
        tell_lowered: config.is_some_and(|c| c.tell_lowered),
        channels: config.map(|c| c.channels.iter().map(|(name, channel)| (name.clone(), channel.policy())).collect()).unwrap_or_default(),
    }
}

/// A configured target; its secrets are read now, commands among them run.
///
/// # Errors
/// When its DSN or one of its secrets cannot be read; the message holds no secret.
pub async fn watch_of_config(target: &TargetConfig, config: &Config, env: &Env) -> anyhow::Result<Watch> {
    let endpoint = Endpoint::parse(&target.dsn, &endpoint_defaults(target, env).await?, &Surroundings::of_process())?;
    Ok(Watch {
        target: target.target.clone(),
        endpoint,
        databases: match &target.databases {
            config::Databases::All => Databases::All,
            config::Databases::AllExcept(names) => Databases::AllExcept(names.clone()),
            config::Databases::Only(names) => Databases::Only(names.clone()),
        },
        budget: budget(&target.budget, config.schedule.every_or_default_s()),
        wishes: wishes(config),
        decide: decide_config(target.target.clone(), Some(config)),
        all_due: false,
        statement_text: config.history.statement_text,
    })
}

/// What the config says where the DSN is silent, by libpq's names.
async fn endpoint_defaults(target: &TargetConfig, env: &Env) -> anyhow::Result<EndpointDefaults> {
    let path = |path: &Option<PathBuf>| path.as_ref().map(|p| p.display().to_string());
    let plain = [
        ("user", target.user.clone()),
        ("sslmode", target.sslmode.clone()),
        ("sslrootcert", path(&target.sslrootcert)),
        ("sslcert", path(&target.sslcert)),
        ("sslkey", path(&target.sslkey)),
    ];
    let defaults = EndpointDefaults::default();
    let defaults = plain.into_iter().fold(defaults, |d, (name, value)| value.map_or(d.clone(), |v| d.with(name, v)));
    Ok(match &target.password {
        Some(secret) => defaults.with("password", secret.reveal(env).await?.expose()),
        None => defaults,
    })
}

/// The share of one CPU that a target may be asked for, as server time of one sweep; never so little that the cheap
/// frames would not fit.
fn budget(budget: &config::Budget, every_s: u64) -> Budget {
    Budget {
        statement_timeout_ms: budget.statement_timeout_ms,
        lock_timeout_ms: budget.lock_timeout_ms,
        connections: budget.connections as usize,
        server_ms_per_sweep: (budget.server_cpu_pct / 100.0 * every_s as f64 * 1000.0).max(LEAST_SERVER_MS),
        ..Budget::default()
    }
}

/// Server time that one sweep may always use, in milliseconds: what a server with 10,000 tables needs once, so that a
/// short interval does not starve the frames that are due less often.
const LEAST_SERVER_MS: f64 = 1_000.0;

/// The file that holds the state.
#[must_use]
pub fn store_path(state_dir: &Path) -> PathBuf {
    state_dir.join("pgsteward.db")
}

/// Applies the config's cadences: by metric name, or to all with `all`.
pub fn apply_cadence(metrics: &mut [Metric], collect: &BTreeMap<String, u64>) {
    for metric in metrics {
        if let Some(every_s) = collect.get(&metric.frame.name) {
            metric.every_s = *every_s;
        }
    }
}

fn line(name: &str, channel: &ChannelConfig, means: &Means) -> Line {
    let plain = Line::plain(Arc::from(channel.settings.build(name, means)));
    let traits = channel.settings.traits().copied().unwrap_or(plain.traits);
    Line { traits, rate: rate(channel), fallback: channel.fallback.clone(), ..plain }
}

/// Most messages that a channel is sent: what the config says, else what its receiver takes.
pub(super) fn rate(channel: &ChannelConfig) -> Option<Rate> {
    channel.rate.or(channel.settings.traits().and_then(|traits| traits.rate))
}

/// Builds the house of a config; a target whose secrets cannot be read is among the unusable.
pub async fn house(config: &Config, rules: Rules, store: SharedStore, env: &Env, clock: Clock, terminal: &Terminal) -> House {
    let (mut watches, mut unusable) = (Vec::new(), Vec::new());
    for target in &config.targets {
        match watch_of_config(target, config, env).await {
            Ok(watch) => watches.push(watch),
            Err(problem) => {
                let problem = format!("{problem:#}");
                tracing::error!(target_name = target.target.name, problem, "target not watched: mend it and reload; the others go on");
                unusable.push((target.target.name.clone(), problem));
            }
        }
    }
    let means = Means { terminal: terminal.clone(), env: env.clone() };
    let channels = config.channels.iter().map(|(name, channel)| (name.clone(), line(name, channel, &means))).collect();
    let mut metrics = rules.metrics;
    apply_cadence(&mut metrics, &config.schedule.collect);
    let now = clock.now();
    House {
        owner: format!("{}-{}", std::process::id(), now.timestamp_millis()),
        since: now,
        seed: now.timestamp_millis().unsigned_abs() ^ u64::from(std::process::id()),
        clock,
        store,
        rules: Arc::new(rules.set),
        metrics: Arc::new(metrics),
        channels,
        watches,
        unusable,
        own: decide_config(Target { name: OWN_TARGET.into(), ..Target::default() }, Some(config)),
        heartbeat: config.heartbeat.clone(),
        announced: Notify::new(),
        status_file: config::state_dir(Some(config), env).ok().map(|dir| status::path_in(&dir)),
        spread: config.schedule.spread,
        keep_s: config.history.keep_s,
        max_bytes: config.history.max_bytes,
    }
}
