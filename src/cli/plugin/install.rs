//! `plugin install`: checks a plugin file in every way there is, and puts it on the shelf.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};

use super::super::rules::run_tests;
use super::super::shared::{counted, show_problems};
use super::super::term::{self, BOLD, styled};
use super::{Place, author};
use crate::app::setup::Rules;
use crate::model::RuleMeta;
use crate::plugin::{PluginError, Record, signature_of, verify};
use crate::rules::LoadedPlugin;

/// Check a plugin file (form, imports, what it says of itself, its tests, its signature) and put it in place
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The plugin file; a signature is looked for beside it, in `<file>.minisig`
    file: PathBuf,
    /// Refuse any other file than the one with this SHA-256
    #[arg(long, value_name = "HEX")]
    sha256: Option<String>,
    #[command(flatten)]
    place: Place,
}

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let (shelf, config) = args.place.open()?;
    let desk = author::open(&args.file)?;
    let hash = desk.package.inspection.hash.clone();
    if let Some(pinned) = args.sha256.as_ref().map(|pin| pin.to_lowercase()).filter(|pin| *pin != hash) {
        return Err(PluginError::Hash { found: hash, pinned }.into());
    }
    let signature = signature_of(&args.file);
    if !config.signed_by.is_empty() {
        verify(&desk.package.file, signature.as_deref(), &config.signed_by)?;
    }
    show_problems(desk.rules.problems.iter(), &[].into());
    if desk.rules.problems.iter().any(crate::problem::Problem::is_error) {
        bail!("`{}` is not installed: mend what is said above", args.file.display());
    }
    let about = desk.rules.plugins.first().context("it cannot be asked what it is")?;
    if !desk.tests.is_empty() && run_tests(&desk.rules, &desk.tests, false)? != ExitCode::SUCCESS {
        bail!("`{}` is not installed: its own tests fail", args.file.display());
    }
    let before = shelf.find(&about.id).ok();
    let enabled = before.as_ref().is_none_or(|record| record.enabled);
    let rules: Vec<RuleMeta> = desk.rules.set.iter().map(|rule| rule.meta().clone()).collect();
    let record = Record { id: about.id.clone(), version: about.version.clone(), sha256: hash, enabled, rules };
    shelf.install(&desk.package, signature.as_deref(), &record)?;
    term::out(&told(about, &desk.rules, &record, before.as_ref()));
    Ok(ExitCode::SUCCESS)
}

fn told(about: &LoadedPlugin, rules: &Rules, record: &Record, before: Option<&Record>) -> String {
    let mut text = format!("{} {}", styled(BOLD, &record.id), record.version);
    match before {
        Some(before) => text.push_str(&format!(" installed in place of {}", before.version)),
        None => text.push_str(" installed"),
    }
    text.push_str(&format!(": {} ({})\n", counted(about.rules.len(), "rule"), about.rules.join(", ")));
    if !record.enabled {
        text.push_str(&format!("It is disabled, as the version before it was; `pgsteward plugin enable {}` lets it run.\n", record.id));
    }
    let asks: Vec<&str> =
        rules.metrics.iter().filter(|m| rules.set.catalog().frame(&m.frame.name).is_some()).map(|m| m.frame.name.as_str()).collect();
    let own: Vec<&str> =
        asks.into_iter().filter(|name| !crate::collect::metrics::catalog().frames().any(|frame| frame.name == *name)).collect();
    let grant = if own.is_empty() { String::new() } else { ", grant: [metrics]".into() };
    if !own.is_empty() {
        text.push_str(&format!("It brings its own SQL for {}, which runs only where the config grants it.\n", own.join(", ")));
    }
    text.push_str(&format!("\nPin it in the config, so that no other file runs under its name:\n\n   plugins:\n     use:\n       {}: {{sha256: \"{}\"{grant}}}\n", record.id, record.sha256));
    text
}
