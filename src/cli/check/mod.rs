//! `check`: one look at a server, for a person, a script or a scheduler.

mod json;
mod nagios;
mod text;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};

use super::place::existing_store;
use super::progress::Progress;
use super::shared::{TargetArgs, block_on, explain};
use super::term;
use crate::app::oneshot::{self, OneShot};
use crate::app::report::Report;
use crate::app::{replay, tick_file};
use crate::clock::Clock;
use crate::collect::Sample;
use crate::config::Config;
use crate::env::Env;
use crate::model::{Catalog, Tier};
use crate::problem::Level;
use crate::rules::RuleSet;
use crate::store::Store;

/// Look at a server once and say what is wrong with it
///
/// Exit code: 0 ok, 1 warning, 2 critical, 3 could not tell.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    target: TargetArgs,
    /// Evaluate a file that `collect --out` wrote instead of a server
    #[arg(long, value_name = "FILE", conflicts_with = "target")]
    snapshot: Option<PathBuf>,
    /// How far apart two samples are, where two are needed
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = duration)]
    interval: f64,
    /// For whom the result is
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Only rules of this tier
    #[arg(long, value_parser = tier)]
    tier: Option<Tier>,
    /// Also show advice in full
    #[arg(long)]
    advice: bool,
    /// Show everything, not only the first of each kind
    #[arg(long)]
    all: bool,
    /// Switch a pack of rules on beside the default ones, such as `classic`
    #[arg(long = "pack", value_name = "NAME")]
    packs: Vec<String>,
    /// Write a tick file that `replay` can turn again
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For a person
    Text,
    /// One JSON document
    Json,
    /// Nagios plugin output
    Nagios,
}

/// A duration on the command line, in seconds.
pub fn duration(text: &str) -> Result<f64, String> {
    use pgsteward_helpers::{Dimension, parse_quantity};
    match parse_quantity(text) {
        Ok(q) if matches!(q.dimension, Dimension::Seconds | Dimension::Number) && (0.1..=86_400.0).contains(&q.value) => Ok(q.value),
        Ok(_) => Err("a duration between 100ms and 1d, such as `5s`".into()),
        Err(reason) => Err(reason.to_string()),
    }
}

fn tier(text: &str) -> Result<Tier, String> {
    Tier::ALL.into_iter().find(|t| t.as_str() == text).ok_or_else(|| "page, ticket or advice".into())
}

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let report = report(args)?;
    let report = args.tier.map_or(report.clone(), |tier| report.only(tier));
    let advice = args.advice || args.all || args.tier == Some(Tier::Advice);
    term::out(&match args.format {
        Format::Text => text::render(&report, text::Options { width: term::width(), advice, all: args.all }),
        Format::Json => json::render(&report),
        Format::Nagios => nagios::render(&report),
    });
    Ok(ExitCode::from(report.exit_code()))
}

fn report(args: &Args) -> anyhow::Result<Report> {
    let env = Env::real();
    let sample = args.snapshot.as_deref().map(Sample::read).transpose().context("the snapshot cannot be used")?;
    let mut chosen = args.target.choose(&env, Level::Error)?;
    for pack in &args.packs {
        known_pack(pack, &chosen.rules.set)?;
    }
    chosen.watch.wishes.packs.extend(args.packs.iter().cloned());
    chosen.watch.wishes.evaluate_all = true;
    if let Some(sample) = &sample {
        chosen.watch.target = sample.snapshot.target.clone();
        chosen.watch.decide.target = sample.snapshot.target.clone();
    }
    let store = if sample.is_some() { None } else { usable_store(chosen.config.as_ref(), &env) };
    let progress = Progress::start("connecting");
    let shot = OneShot {
        clock: &Clock::System,
        watch: &chosen.watch,
        metrics: &chosen.rules.metrics,
        rules: &chosen.rules.set,
        store: store.as_ref(),
        interval_s: args.interval,
        progress: &|what| progress.say(what),
    };
    let (basis, earlier) = match sample {
        Some(sample) => oneshot::basis_of(sample),
        None => match block_on(oneshot::look(&shot))? {
            Ok(seen) => seen,
            Err(problem) => {
                store_is_no_use(&problem.into());
                block_on(oneshot::look(&OneShot { store: None, ..shot }))??
            }
        },
    };
    progress.end();
    let mut report = oneshot::report(&shot, &basis, earlier);
    report.unusable = chosen.rules.problems.iter().filter(|p| p.is_error()).map(ToString::to_string).collect();
    if let Some(path) = &args.record {
        let turned = (report.outcomes.clone(), report.decision.clone());
        let tick = replay::record(&basis, &chosen.rules.set, &chosen.watch.wishes, &chosen.watch.decide, turned)?;
        tick_file::write(path, &tick)?;
    }
    Ok(report)
}

/// The store of a service, where it can be read; a look at the server does not need one.
fn usable_store(config: Option<&Config>, env: &Env) -> Option<Store> {
    existing_store(config, env).unwrap_or_else(|problem| {
        store_is_no_use(&problem);
        None
    })
}

fn store_is_no_use(problem: &anyhow::Error) {
    term::err(&format!("warning: {}; two samples are taken instead\n", explain(problem)));
}

/// A pack that is none would only mean fewer rules, and nobody would see it.
fn known_pack(pack: &str, rules: &RuleSet) -> anyhow::Result<()> {
    let packs: BTreeSet<&str> = rules.iter().map(|rule| rule.meta().pack.as_str()).collect();
    if packs.contains(pack) {
        return Ok(());
    }
    let near = Catalog::nearest(packs.iter().copied(), pack).map_or(String::new(), |near| format!("; did you mean `{near}`?"));
    bail!("there is no pack `{pack}`{near} ({})", packs.into_iter().collect::<Vec<_>>().join(", "))
}

/// The page for a person, for other subcommands that end with a look.
pub fn page(report: &Report, advice: bool) -> String {
    text::render(report, text::Options { width: term::width(), advice, all: false })
}

#[cfg(test)]
mod tests;
