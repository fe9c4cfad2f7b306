//! `demo`: a throw-away server with a small sick database, watched until its troubles show by name.
//!
//! With no server to be had, a recorded snapshot of the same database is shown instead, and the demo says so.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context;
use tokio::sync::Notify;

use super::check;
use super::shared::load_rules;
use super::term::{self, BOLD, DIM, styled};
use crate::app::house::{House, SharedStore, Watch};
use crate::app::oneshot::{self, OneShot};
use crate::app::plugins::Plugins;
use crate::app::report::{Earlier, Report};
use crate::app::setup::{self, Rules};
use crate::app::{delivery, tick};
use crate::clock::Clock;
use crate::collect::{Kept, Sample};
use crate::deliver::Line;
use crate::deliver::channels::{self, Means, Terminal};
use crate::deliver::render::Look;
use crate::demo::cluster::STEWARD;
use crate::demo::{Cluster, Search, obtain, sick};
use crate::env::Env;
use crate::model::{DecideConfig, Outcome, Route, RuleOverride, SettingValue, State};
use crate::store::Store;
use crate::yaml;

/// Watch a throw-away server with a sick database until its troubles show
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder with PostgreSQL server binaries; else they are looked for, and fetched when there are none
    #[arg(long, value_name = "DIR")]
    pg_bin: Option<PathBuf>,
    /// Major version of the server
    #[arg(long, value_name = "N")]
    major: Option<u32>,
    /// How many ticks
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(2..=100))]
    ticks: u32,
    /// How far apart
    #[arg(long, value_name = "DURATION", default_value = "3s", value_parser = check::duration)]
    every: f64,
    /// Show the recorded snapshot, without a server
    #[arg(long)]
    replay: bool,
    /// Write the last tick's sample, as the recorded one was made
    #[arg(long, value_name = "FILE", hide = true)]
    record: Option<PathBuf>,
}

/// A sample of the sick database, for machines that can have no server.
const RECORDED: &[u8] = include_bytes!("demo/recorded.json.gz");

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if args.replay {
        return replay();
    }
    say("looking for PostgreSQL server binaries");
    let search = Search { explicit: args.pg_bin.clone(), ..Search::here(args.major) };
    let binaries = match obtain(&search, &|line| say(line)) {
        Ok(binaries) => binaries,
        // What was asked for by name and is not there is an error, not a reason for something else.
        Err(problem) if args.pg_bin.is_some() || args.major.is_some() => return Err(problem.into()),
        Err(problem) => {
            say(&crate::app::chain(&problem));
            say("no server can be had here, so a recorded snapshot is shown instead");
            return replay();
        }
    };
    say(&format!("starting a throw-away PostgreSQL {}", binaries.version));
    let cluster = Cluster::start(&binaries, &sick::options()).context("the server cannot be started")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let shown = runtime.block_on(async {
        tokio::select! {
            shown = show(args, &cluster) => shown,
            _ = tokio::signal::ctrl_c() => Ok(()),
        }
    });
    say("stopping the server and removing its files");
    drop(runtime);
    drop(cluster);
    shown?;
    Ok(ExitCode::SUCCESS)
}

async fn show(args: &Args, cluster: &Cluster) -> anyhow::Result<()> {
    say("making its database `shop` sick: sessions that hold and wait, dead rows, idle indexes, ...");
    cluster.create_steward().await?;
    let sickness = sick::sicken(cluster).await?;
    let folder = tempfile::tempdir()?;
    cluster.grant_reading().await?;
    let dsn = cluster.dsn(sick::DATABASE, STEWARD);
    let house = house(&dsn, folder.path(), args.every)?;
    let watch = house.watches.first().context("no target")?;
    say(&format!(
        "watching as a role with pg_monitor and pg_read_all_data: {} ticks, {} apart. A demo has seconds where life has hours: every\n\
         rule's `for` is cut to one tick, some limits to seconds; what is true of any throw-away server is left out\n",
        args.ticks,
        pgsteward_helpers::span(args.every)
    ));
    let (mut last, mut kept) = (None, Kept::default());
    for n in 1..=args.ticks {
        sickness.workload(n).await?;
        let done = tick::tick(&house, watch, &mut kept).await?;
        let alerts = done.decision.book.alerts.values();
        let firing = alerts.filter(|a| a.state == State::Firing).count();
        let findings: usize = done.outcomes.iter().map(|o| if let Outcome::Ok(e) = &o.outcome { e.findings.len() } else { 0 }).sum();
        let cost = &done.basis.snapshot.cost;
        let line = format!(
            "tick {n} of {}: {findings} findings, {firing} alerts firing, {} notices; asking took {} ms",
            args.ticks,
            done.decision.tellings.len(),
            cost.server_ms.round()
        );
        term::out(&format!("{}\n\n", styled(BOLD, &line)));
        delivery::drain(&house, Duration::from_secs(10)).await;
        last = Some(done);
        if n < args.ticks {
            tokio::time::sleep(Duration::from_secs_f64(args.every)).await;
        }
    }
    kept.close().await;
    if let Some(done) = last {
        let report = Report {
            snapshot: done.basis.snapshot.clone(),
            outcomes: done.outcomes,
            decision: done.decision,
            earlier: Earlier::Stored(args.every),
            unusable: Vec::new(),
            grants: oneshot::grants(&house.metrics),
        };
        if let Some(path) = &args.record {
            let previous = done.basis.previous.iter().map(|(name, frame)| (name.clone(), frame.as_ref().clone())).collect();
            Sample::new(done.basis.snapshot.as_ref().clone(), previous).write(path)?;
        }
        term::out(&format!("{}\n\n", styled(BOLD, "What `pgsteward check --advice` says of it")));
        term::out(&check::page(&report, true));
    }
    Ok(())
}

/// A house of one target with a console, its state in a folder that goes with the demo.
fn house(dsn: &str, folder: &Path, every_s: f64) -> anyhow::Result<House> {
    let Rules { set, metrics, .. } = load_rules(&[], Plugins::default());
    let clock = Clock::System;
    let terminal =
        Terminal { writer: Arc::new(Mutex::new(anstream::stdout())), look: Look { colour: term::colours(), width: term::width() } };
    Ok(House {
        owner: "demo".into(),
        seed: 1,
        since: clock.now(),
        clock,
        store: SharedStore::new(Store::open(&setup::store_path(folder))?),
        rules: Arc::new(set),
        metrics: Arc::new(metrics),
        channels: BTreeMap::from([("console".to_string(), Line::plain(console(&terminal)?))]),
        watches: vec![watch(dsn, every_s)?],
        unusable: Vec::new(),
        own: DecideConfig::default(),
        heartbeat: None,
        announced: Notify::new(),
        status_file: None,
        spread: false,
        keep_s: 3_600,
        max_bytes: 1 << 30,
    })
}

fn watch(dsn: &str, every_s: f64) -> anyhow::Result<Watch> {
    let mut watch = setup::watch_of_dsn(dsn)?;
    watch.target.name = "demo".into();
    watch.decide.target.name = "demo".into();
    watch.decide.every_s = every_s.ceil() as u64;
    watch.decide.route = Route { channels: vec!["console".into()], ..Route::default() };
    watch.wishes.for_at_most_s = Some(watch.decide.every_s);
    watch.wishes.packs.insert("classic".into());
    watch.wishes.overrides = impatience();
    Ok(watch)
}

/// Limits that a demo of seconds can reach, and rules that are true of any throw-away server and say nothing of this one.
fn impatience() -> Vec<RuleOverride> {
    let limit = |rule: &str, settings: &[(&str, f64)]| RuleOverride {
        rule: Some(rule.into()),
        settings: settings.iter().map(|(name, value)| ((*name).to_string(), SettingValue::Number(*value))).collect(),
        ..RuleOverride::default()
    };
    let off =
        |rule: &str| RuleOverride { rule: Some(rule.into()), enabled: Some(false), why: Some("a demo".into()), ..RuleOverride::default() };
    vec![
        limit("idle_in_transaction", &[("warn", 3.0), ("crit", 900.0)]),
        limit("blocked_sessions", &[("wait", 2.0)]),
        limit("prepared_transaction_old", &[("warn", 3.0)]),
        limit("slot_inactive", &[("bytes", 0.0)]),
        limit("unused_index", &[("stats_age", 1.0)]),
        off("durability_off"),
        off("instance_restarted"),
    ]
}

/// The console channel, set up as a config would.
fn console(terminal: &Terminal) -> anyhow::Result<Arc<dyn crate::deliver::Channel>> {
    let kind = channels::KINDS.iter().find(|k| k.name == "console").context("there is no console channel")?;
    let node = yaml::parse("demo", "{}").map_err(|p| anyhow::anyhow!("{p}"))?;
    let mut fields = yaml::Fields::open("demo", &node, "a channel").map_err(|p| anyhow::anyhow!("{p}"))?;
    let settings = (kind.settings)("demo", &mut fields).context("the console channel has settings of its own")?;
    Ok(Arc::from(settings.build("console", &Means { terminal: terminal.clone(), env: Env::real() })))
}

fn replay() -> anyhow::Result<ExitCode> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("recorded.json.gz");
    std::fs::write(&path, RECORDED)?;
    let sample = Sample::read(&path)?;
    let Rules { set, metrics, .. } = load_rules(&[], Plugins::default());
    let watch = watch("host=localhost", 3.0)?;
    let shot =
        OneShot { clock: &Clock::System, watch: &watch, metrics: &metrics, rules: &set, store: None, interval_s: 1.0, progress: &|_| () };
    say(&format!("recorded at {}\n", sample.snapshot.taken_at.format("%F %TZ")));
    let (basis, earlier) = oneshot::basis_of(sample);
    term::out(&check::page(&oneshot::report(&shot, &basis, earlier), true));
    Ok(ExitCode::SUCCESS)
}

fn say(line: &str) {
    term::err(&format!("{}\n", styled(DIM, line)));
}
