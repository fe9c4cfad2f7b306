//! `collect`: writes what was seen to a file, for another machine, another day, or a bug report.

use std::path::PathBuf;
use std::process::ExitCode;

use super::check::duration;
use super::progress::Progress;
use super::shared::{TargetArgs, block_on};
use super::term;
use crate::app::oneshot::{OneShot, two_samples};
use crate::app::report::exit;
use crate::clock::Clock;
use crate::env::Env;
use crate::model::Reading;
use crate::problem::Level;

/// Collect a snapshot into a file, for `check --snapshot`
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    target: TargetArgs,
    /// The file; compressed when its name ends in `.gz`
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// How far apart the two samples are that counters need
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = duration)]
    interval: f64,
}

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let env = Env::real();
    let chosen = args.target.choose(&env, Level::Error)?;
    let progress = Progress::start("connecting");
    let shot = OneShot {
        clock: &Clock::System,
        watch: &chosen.watch,
        metrics: &chosen.rules.metrics,
        rules: &chosen.rules.set,
        store: None,
        interval_s: args.interval,
        progress: &|what| progress.say(what),
    };
    let sample = block_on(two_samples(&shot))?;
    drop(progress);
    sample.write(&args.out)?;
    let missing = sample.snapshot.frames.values().filter(|r| matches!(r, Reading::Missing(_))).count();
    let frames = sample.snapshot.frames.len() - missing;
    let cost = &sample.snapshot.cost;
    term::out(&format!(
        "{}: {frames} frames, {missing} missing, {} rows, {} read, {} ms of the server\n",
        args.out.display(),
        cost.rows,
        pgsteward_helpers::bytes(cost.bytes as f64),
        cost.server_ms.round(),
    ));
    Ok(ExitCode::from(if sample.snapshot.server.is_some() { exit::OK } else { exit::UNKNOWN }))
}
