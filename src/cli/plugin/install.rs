//! `plugin install`: checks a plugin file in every way there is, and puts it on the shelf.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use pgsteward_sandbox::Engine;

use super::super::rules::run_tests;
use super::super::shared::{counted, show_problems};
use super::super::term::{self, BOLD, styled};
use super::list::forget;
use super::{Place, author};
use crate::app::plugins::{Plugins, trusted};
use crate::app::setup::{self, Rules};
use crate::model::RuleMeta;
use crate::plugin::{Compiled, Compiler, Record, Shelf, signature_of};
use crate::problem::Problem;
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
    let signature = signature_of(&args.file);
    let refused = || format!("`{}` is not installed", args.file.display());
    show_problems(desk.rules.problems.iter(), &[].into());
    if desk.rules.problems.iter().any(Problem::is_error) {
        bail!("{}: mend what is said above", refused());
    }
    let about = desk.rules.plugins.first().context("it cannot be asked what it is").with_context(refused)?;
    if let Some(asked) = args.sha256.as_ref().filter(|asked| asked.to_lowercase() != desk.package.inspection.hash) {
        bail!("{}: its SHA-256 is {}, not {asked}", refused(), desk.package.inspection.hash);
    }
    trusted(&config, &about.id, &desk.package, signature.as_deref()).with_context(refused)?;
    free(about, &shelf).with_context(refused)?;
    if !desk.tests.is_empty() && run_tests(&desk.rules, &desk.tests, false)? != ExitCode::SUCCESS {
        bail!("{}: its own tests fail", refused());
    }
    let before = shelf.find(&about.id).ok();
    let enabled = before.as_ref().is_none_or(|record| record.enabled);
    let sha256 = desk.package.inspection.hash.clone();
    let mut record = Record { id: about.id.clone(), version: about.version.clone(), sha256, enabled, rules: Vec::new() };
    record.rules = desk.rules.set.iter().map(|rule| RuleMeta { source: record.source(), ..rule.meta().clone() }).collect();
    shelf.install(&desk.package, signature.as_deref(), &record)?;
    // Here and not at the first start, which may be a service's that has little time and may write nothing.
    Compiled::open(&shelf.compiled_dir(), Compiler::child()?)?.component(&Engine::new()?, &desk.package)?;
    if let Some(old) = before.as_ref().filter(|before| before.sha256 != record.sha256) {
        forget(&shelf, old)?;
    }
    term::out(&told(about, &desk.rules, &record, before.as_ref()));
    Ok(ExitCode::SUCCESS)
}

/// Whether its rules' ids are free: one that another rule has would never be used.
fn free(about: &LoadedPlugin, shelf: &Shelf) -> anyhow::Result<()> {
    let shipped = setup::load_rules(&[], Plugins::default()).set;
    let (records, _) = shelf.list()?;
    for id in &about.rules {
        let ours = shipped.get(id).map(|rule| rule.meta().source.clone());
        let other = records.iter().find(|record| record.id != about.id && record.rules.iter().any(|rule| rule.id == *id));
        if let Some(source) = ours.or_else(|| other.map(Record::source)) {
            bail!("rule id `{id}` is taken: {source} declares it");
        }
    }
    Ok(())
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
