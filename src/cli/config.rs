//! `config`: whether a config can be used, what it means, and one to start from.

mod routes;

use std::path::PathBuf;
use std::process::ExitCode;

use super::place::existing_store;
use super::shared::{counted, installed_plugins, load_rules, show_problems};
use super::table;
use super::term::{self, GOOD, styled};
use crate::alert;
use crate::app::removed;
use crate::app::report::exit;
use crate::clock::Clock;
use crate::collect::{Endpoint, EndpointDefaults, Surroundings};
use crate::config::{self, Around, Config, TargetConfig};
use crate::env::Env;
use crate::model::RuleMeta;
use crate::problem::Problem;
use crate::rules::check_overrides;

/// Check a config, or print one to start from
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Say everything that is wrong with a config, and what its windows mean
    Check {
        /// The config
        file: PathBuf,
        /// Show which way an alert with these labels takes: `tier=prod,severity=critical`
        #[arg(long, value_name = "LABELS")]
        routes: Option<String>,
    },
    /// Print a small config with comments
    Example,
}

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match &args.command {
        Command::Example => {
            term::out(config::EXAMPLE);
            Ok(ExitCode::SUCCESS)
        }
        Command::Check { file, routes: labels } => {
            let env = Env::real();
            let loaded = config::load(file, &env);
            let mut problems = loaded.problems;
            let mut windows = Vec::new();
            let mut way = None;
            if let Some(config) = &loaded.config {
                let rules = load_rules(&config.rules.files, installed_plugins(Some(config), &env)?);
                problems.extend(check_overrides(&rules.set, &config.rules.overrides, &file.display().to_string()));
                problems.extend(rules.problems.iter().filter(|p| p.is_error()).cloned());
                let own = alert::own_rules();
                let metas: Vec<&RuleMeta> = rules.set.iter().map(|r| r.meta()).chain(&own).collect();
                let name = file.display().to_string();
                let around = Around {
                    rules: &metas,
                    frames: rules.set.catalog(),
                    now: Clock::System.now(),
                    local: config::machine_zone(&env),
                    file: &name,
                    env: &env,
                };
                problems.extend(config::check_notes(config, &around));
                windows = config::occurrences(config, &around);
                way = labels.as_ref().map(|labels| routes::preview(config, &rules.set, labels, around.now)).transpose()?;
                problems.extend(config.targets.iter().filter_map(|target| unreadable_dsn(config, target)));
                problems.extend(orphaned(config, &env, &name));
            }
            show_problems(problems.iter(), &loaded.sources);
            let errors = problems.iter().filter(|p| p.is_error()).count();
            if errors > 0 {
                term::out(&format!("{}\n", counted(errors, "error")));
                return Ok(ExitCode::from(exit::WARNING));
            }
            if let Some(way) = way {
                term::out(&format!("{way}\n"));
            }
            if !windows.is_empty() {
                term::out(&format!("{}\n", table::render(&config::OCCURRENCES_HEADER, &windows)));
            }
            if let Some(config) = loaded.config {
                let parts = [(config.targets.len(), "target"), (config.channels.len(), "channel"), (config.windows.len(), "window")];
                let parts = parts.map(|(n, what)| counted(n, what)).join(", ");
                term::out(&format!("{}  {parts}\n", styled(GOOD, "ok")));
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Channels that are gone although a service of this config, on this machine, owes them the end of an alert.
fn orphaned(config: &Config, env: &Env, file: &str) -> Vec<Problem> {
    let Ok(Some(store)) = existing_store(Some(config), env) else { return Vec::new() };
    let gone = removed::orphaned(&store, |channel| config.channels.contains_key(channel)).unwrap_or_default();
    gone.into_iter().map(|said| Problem::warning(file, None, said)).collect()
}

/// A connection string that cannot be read, at its place; nothing is connected to.
fn unreadable_dsn(config: &Config, target: &TargetConfig) -> Option<Problem> {
    let problem = Endpoint::parse(&target.dsn, &EndpointDefaults::default(), &Surroundings::of_process()).err()?;
    let place = config.places.get(&format!("targets.{}", target.target.name));
    Some(place?.error(format!("`dsn` of `{}`: {}", target.target.name, crate::app::chain(&problem))))
}
