//! `run`: the service, or with `--once` what cron calls.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{RwLock, watch};
use tracing::{error, info};

use super::shared::{block_on, installed_plugins, load_config, load_rules};
use super::{EXIT_OVERLAP, term};
use crate::app::house::{House, SharedStore};
use crate::app::reload::{self, Watched};
use crate::app::report::exit;
use crate::app::{service, setup};
use crate::clock::Clock;
use crate::config;
use crate::deliver::channels::Terminal;
use crate::deliver::render::Look;
use crate::env::Env;
use crate::plugin::Shelf;
use crate::problem::Level;
use crate::rules::check_overrides;
use crate::store::Store;

/// Watch the targets of a config: at their schedule until stopped, or once for cron
///
/// Signals: TERM and INT finish what is begun and stop; HUP reads the config and the rules again.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The config
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// One tick of each target, deliveries for at most 30 seconds, then the end
    #[arg(long)]
    once: bool,
    /// How much is logged: error, warn, info, debug
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    log: tracing::Level,
}

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    tracing_subscriber::fmt().with_max_level(args.log).with_target(false).with_ansi(term::colours()).with_writer(std::io::stderr).init();
    let env = Env::real();
    let config = load_config(&args.config, &env, Level::Error)?;
    if args.once && config.schedule.every_s.is_none() {
        bail!("`run --once` needs `schedule: {{every: ...}}` in the config: `for` and gaps are judged against it");
    }
    let dir = config::state_dir(Some(&config), &env).context("the state folder cannot be used")?;
    let path = setup::store_path(&dir);
    let store = Store::open(&path).with_context(|| format!("the store `{}` cannot be opened", path.display()))?;
    let store = SharedStore::new(store);
    let source = Source { path: args.config.clone(), env, store };
    let (house, watched) = block_on(source.build(None))??;
    if args.once { once(&house) } else { serve(source, house, watched) }
}

/// What a house is built from, again and again.
struct Source {
    path: PathBuf,
    env: Env,
    store: SharedStore,
}

impl Source {
    /// Reads config and rules and builds the house; refuses what cannot be used as a whole, and, when another house runs
    /// already, changed rules that are broken or fail their own tests.
    async fn build(&self, running: Option<&Watched>) -> anyhow::Result<(House, Watched)> {
        let config = load_config(&self.path, &self.env, Level::Warning)?;
        let dir = config::state_dir(Some(&config), &self.env).context("the state folder cannot be used")?;
        let watched = Watched::new(config.rules.files.clone(), Shelf::in_state(&dir).dir().to_path_buf());
        let rules = load_rules(&config.rules.files, installed_plugins(Some(&config), &self.env)?);
        if let Some(before) = running {
            let tried = reload::trial(&rules, &config.rules.files, &watched.changed_since(before));
            tried.map_err(|faults| anyhow::anyhow!("{}", faults.join("\n")))?;
        }
        let problems = check_overrides(&rules.set, &config.rules.overrides, &self.path.display().to_string());
        if let Some(problem) = problems.iter().find(|p| p.is_error()) {
            bail!("{problem}");
        }
        let terminal =
            Terminal { writer: Arc::new(Mutex::new(anstream::stdout())), look: Look { colour: term::colours(), width: term::width() } };
        let house = setup::house(&config, rules, self.store.clone(), &self.env, Clock::System, &terminal).await;
        if running.is_some() && house.watches.is_empty() && !house.unusable.is_empty() {
            bail!("no target could be watched any more; the log says why of each");
        }
        Ok((house, watched))
    }
}

/// How often the files of rules and plugins are looked at.
const LOOK_PAUSE: Duration = Duration::from_secs(2);

fn once(house: &House) -> anyhow::Result<ExitCode> {
    let done = block_on(service::once(house))?;
    info!(ticked = done.ticked, overlapped = done.overlapped, failed = done.failed, "done");
    Ok(ExitCode::from(match done {
        d if d.failed > 0 => exit::UNKNOWN,
        _ if house.watches.is_empty() && !house.unusable.is_empty() => exit::UNKNOWN,
        d if d.ticked == 0 && d.overlapped > 0 => EXIT_OVERLAP,
        _ => exit::OK,
    }))
}

fn serve(source: Source, house: House, mut watched: Watched) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().context("the runtime cannot start")?;
    runtime.block_on(async {
        let (stop, stopped) = watch::channel(false);
        let (reload, reloaded) = watch::channel(0_u64);
        info!(targets = house.watches.len(), rules = house.rules.iter().count(), version = env!("CARGO_PKG_VERSION"), "watching");
        let current = Arc::new(RwLock::new(Arc::new(house)));
        let mut service = tokio::spawn(service::serve(current.clone(), stopped, reloaded));
        let (mut term, mut int, mut hup) =
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?, signal(SignalKind::hangup())?);
        let mut looks = tokio::time::interval(LOOK_PAUSE);
        loop {
            let wanted = tokio::select! {
                _ = term.recv() => break,
                _ = int.recv() => break,
                // It only ends when it is told to: whoever started us has to know, and start us again.
                ended = &mut service => {
                    ended.context("the service failed")?;
                    bail!("the service ended although nobody stopped it");
                }
                _ = hup.recv() => true,
                _ = looks.tick() => watched.wants_reload(),
            };
            if !wanted {
                continue;
            }
            match source.build(Some(&watched)).await {
                Ok((house, anew)) => {
                    *current.write().await = Arc::new(house);
                    reload.send_modify(|generation| *generation += 1);
                    watched = anew;
                    info!("reloaded");
                }
                Err(problem) => {
                    watched.refused();
                    error!(problem = %super::shared::explain(&problem), "not reloaded; the old config and rules stay");
                }
            }
        }
        info!("stopping: what is begun is finished");
        stop.send_replace(true);
        service.await.context("the service failed")?;
        Ok(ExitCode::SUCCESS)
    })
}
