//! `plugin bench`: what a plugin costs on a recorded snapshot, against its limits.

use std::path::PathBuf;
use std::process::ExitCode;

use tokio::time::Instant;

use super::super::term::{self, BOLD, styled};
use super::author::{self, show};
use crate::collect::Sample;
use crate::rules::Rule;
use crate::rules::wasm::WasmRule;

/// Measure a plugin on a snapshot: time a row, fuel, memory, against its limits
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A plugin file, or the folder of its project
    path: PathBuf,
    /// A file made by `pgsteward collect --out FILE`
    #[arg(long, value_name = "FILE")]
    snapshot: PathBuf,
    /// How often each rule is evaluated; the median counts
    #[arg(long, default_value_t = 21)]
    runs: usize,
}

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let desk = author::open(&args.path)?;
    let sample = Sample::read(&args.snapshot)?;
    let described = desk.described()?;
    for rule in &described.rules {
        term::out(&measured(rule, &sample, args.runs.max(1)));
    }
    super::super::shared::show_problems(described.problems.iter(), &[].into());
    Ok(ExitCode::SUCCESS)
}

fn measured(rule: &WasmRule, sample: &Sample, runs: usize) -> String {
    let input = author::input(rule, sample);
    let mut times: Vec<f64> = Vec::new();
    let mut last = rule.trace(&input);
    for _ in 0..runs {
        let began = Instant::now();
        last = rule.trace(&input);
        times.push(began.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    let median = times.get(times.len() / 2).copied().unwrap_or_default();
    let frame = rule.meta().from.as_ref().and_then(|name| input.snapshot.frame(name));
    let rows = frame.map_or(1, |frame| frame.rows.max(1));
    let mut text = format!("{}  {}\n", styled(BOLD, &rule.meta().id), last.outcome.word());
    let reason = last.outcome.reason();
    if !reason.is_empty() {
        text.push_str(&format!("   {reason}\n"));
    }
    text.push_str(&format!(
        "   {:.0} us of wall time a call (median of {runs}), {}, {} ns a row\n\n",
        median * 1e6,
        super::super::shared::counted(rows, "row"),
        (median * 1e9 / rows as f64).round()
    ));
    text.push_str(&show::limits(&last.used, &rule.limits()));
    text.push('\n');
    text
}
