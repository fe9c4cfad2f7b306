//! `plugin replay`: a plugin's rule on the very data that an alert came from.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;

use super::super::place::Place;
use super::super::term::{self, BOLD, DIM, styled};
use super::author::{self, Desk, show};
use crate::app::behind::{Behind, behind, windows_gone};
use crate::app::report::exit;
use crate::config::{self, Config};
use crate::env::Env;
use crate::model::{Evaluation, Outcome, Settings};
use crate::plugin::Shelf;
use crate::rules::wasm::{Trace, WasmRule};
use crate::rules::{Rule, settings_on};
use crate::store::Store;
use crate::text::safe;

/// Evaluate a plugin on the recorded data behind an alert: what it found, from what, and what that used
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Id of the alert, or the first characters of it, as `pgsteward alerts` shows it
    #[arg(long, value_name = "ID")]
    alert: String,
    /// A plugin file, or the folder of its project; default: the installed plugin
    path: Option<PathBuf>,
    /// Config whose state folder, settings and limits are used
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let place = Place::of(args.config.as_deref())?;
    let (config, store) = (place.config.as_ref(), place.read_store()?);
    let behind = behind(&store, &args.alert)?;
    let path = args.path.clone().map_or_else(|| installed(&behind.rule, config, &place.env), Ok)?;
    let mut desk = author::open(&path)?;
    if let Some(about) = desk.rules.plugins.first() {
        desk.plugin.limits = config.map_or(desk.plugin.limits, |config| config.plugins.of(&about.id).limits);
    }
    term::out(&head(&behind, &desk));
    let (rule, trace) = replay(&behind, &store, &desk, config)?;
    Ok(ExitCode::from(told(&behind, &rule, &trace)))
}

/// The file of the installed plugin that has a rule.
fn installed(rule: &str, config: Option<&Config>, env: &Env) -> anyhow::Result<PathBuf> {
    let shelf = Shelf::in_state(&config::state_dir(config, env)?);
    let (records, _) = shelf.list()?;
    let record = records.iter().find(|record| record.rules.iter().any(|meta| meta.id == rule));
    let record = record.with_context(|| format!("no installed plugin has the rule `{}`; give the plugin's file", safe(rule)))?;
    shelf.open(record)?;
    Ok(shelf.file_of(&record.id))
}

/// Evaluates the rule as a tick would have done.
fn replay(behind: &Behind, store: &Store, desk: &Desk, config: Option<&Config>) -> anyhow::Result<(WasmRule, Trace)> {
    let described = desk.described()?;
    let has: Vec<String> = described.rules.iter().map(|rule| rule.meta().id.clone()).collect();
    let rule = described.rules.into_iter().find(|rule| rule.meta().id == behind.rule);
    let rule = rule.with_context(|| format!("the plugin has no rule `{}` (it has {})", safe(&behind.rule), has.join(", ")))?;
    let overrides = config.map(|config| config.rules.overrides.as_slice()).unwrap_or_default();
    let settings: Settings = settings_on(&behind.snapshot.target, &rule, overrides).map_err(anyhow::Error::msg)?;
    let input = behind.input(store, &desk.rules.set, settings)?;
    let gone = windows_gone(&rule.meta().inputs, &input.past);
    if !gone.is_empty() {
        term::out(&format!("The history holds nothing for {}: it is unknown here, and may have been known then.\n", gone.join(", ")));
    }
    let trace = rule.trace(&input);
    Ok((rule, trace))
}

fn head(behind: &Behind, desk: &Desk) -> String {
    let id: String = behind.fingerprint.0.chars().take(8).collect();
    let target = safe(&behind.snapshot.target.name);
    let taken = behind.snapshot.taken_at.format("%F %TZ");
    let plugin = desk.rules.plugins.first().map_or_else(|| "plugin".into(), |about| format!("{} {}", about.id, about.version));
    let (now, then) = (&desk.plugin.hash, behind.rule_hash.as_ref());
    let file = match then {
        Some(then) if then == now => "the file that judged then".to_string(),
        Some(then) => format!("another file than judged then (SHA-256 {now}, recorded {then}), so it may say something else"),
        None => format!("the history does not say which file judged then (SHA-256 {now} does now)"),
    };
    let lines = [
        format!("{}  {} on {target}  {}", styled(DIM, &id), styled(BOLD, &safe(&behind.rule)), safe(&behind.subject.to_string())),
        format!("data of {taken}, when {}; {} before", behind.point, behind.before),
        format!("{plugin}: {file}"),
    ];
    lines.map(|line| format!("{}\n", term::wrapped(&line, "", "   ", term::width()))).concat()
}

/// Shows what was found of the alert's subject, and gives the exit code: a warning where it was not found.
fn told(behind: &Behind, rule: &WasmRule, trace: &Trace) -> u8 {
    let (found, code) = match &trace.outcome {
        Outcome::Ok(evaluation) => match evaluation.findings.iter().find(|finding| finding.subject == behind.subject) {
            Some(finding) => (show::whole(finding), exit::OK),
            None => (format!("   {}\n", not_found(behind, evaluation)), exit::WARNING),
        },
        other => (show::ended(&behind.rule, other), exit::WARNING),
    };
    let log = if trace.log.is_empty() { String::new() } else { format!("\nlog\n{}", show::log(&trace.log)) };
    let clock = if trace.reproducible { "" } else { "\nIt was stopped by the clock, so another run may end otherwise.\n" };
    term::out(&format!("\n{found}{log}{clock}\n{}", show::limits(&trace.used, &rule.limits())));
    code
}

fn not_found(behind: &Behind, evaluation: &Evaluation) -> String {
    match evaluation.held.iter().find(|held| held.subject == behind.subject) {
        Some(held) => format!("it cannot be judged: {}", safe(&held.reason)),
        None if behind.subject.0.is_empty() => "it finds nothing".into(),
        None => format!("it finds nothing about {}", safe(&behind.subject.to_string())),
    }
}
