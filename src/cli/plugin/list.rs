//! `plugin list`, `enable`, `disable`, `remove`: what is installed.

use std::process::ExitCode;

use super::super::shared::show_problems;
use super::super::table;
use super::super::term;
use super::Place;
use crate::app::plugins::trusted;
use crate::app::report::exit;
use crate::config::PluginsConfig;
use crate::plugin::{Compiled, Compiler, Package, PluginError, Record, Shelf, verify};

/// All installed plugins
#[derive(Debug, clap::Args)]
pub struct Args {
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

/// One installed plugin.
#[derive(Debug, clap::Args)]
pub struct OneArgs {
    /// Id of the plugin
    id: String,
    #[command(flatten)]
    place: Place,
}

pub fn list(args: &Args) -> anyhow::Result<ExitCode> {
    let (shelf, config) = args.place.open()?;
    let (records, problems) = shelf.list()?;
    if args.json {
        term::out(&format!("{}\n", serde_json::to_string_pretty(&records)?));
    } else if records.is_empty() {
        term::out("No plugin is installed.\n");
    } else {
        let row = |record: &Record| {
            let rules: Vec<&str> = record.rules.iter().map(|rule| rule.id.as_str()).collect();
            let signed = signed(&shelf, record, &config.signed_by);
            vec![
                record.id.clone(),
                record.version.clone(),
                runs(&shelf, record, &config).into(),
                signed,
                rules.join(", "),
                record.sha256.chars().take(12).collect(),
            ]
        };
        let rows: Vec<Vec<String>> = records.iter().map(row).collect();
        term::out(&table::render(&["plugin", "version", "runs", "signed", "rules", "sha256"], &rows));
    }
    show_problems(problems.iter(), &[].into());
    Ok(ExitCode::from(if problems.is_empty() { exit::OK } else { exit::WARNING }))
}

/// Whether its rules are asked; `check` and `run` say why one is refused.
fn runs(shelf: &Shelf, record: &Record, config: &PluginsConfig) -> &'static str {
    let is_trusted = |(package, signature): (Package, Option<String>)| trusted(config, &record.id, &package, signature.as_deref());
    match config.of(&record.id).enabled.unwrap_or(record.enabled) {
        false => "off",
        true if shelf.open(record).and_then(is_trusted).is_err() => "refused",
        true => "on",
    }
}

fn signed(shelf: &Shelf, record: &Record, keys: &[String]) -> String {
    match shelf.open(record) {
        Err(PluginError::Read(..)) => "file missing".into(),
        Err(_) => "file changed".into(),
        Ok((_, None)) => "no".into(),
        Ok((package, signature)) => match verify(&package.file, signature.as_deref(), keys) {
            Ok(_) => "yes".into(),
            Err(_) if keys.is_empty() => "by an unknown key".into(),
            Err(_) => "wrongly".into(),
        },
    }
}

pub fn set_enabled(args: &OneArgs, enabled: bool) -> anyhow::Result<ExitCode> {
    let (shelf, config) = args.place.open()?;
    let record = shelf.set_enabled(&args.id, enabled)?;
    term::out(&format!("{} {} is {}.\n", record.id, record.version, if enabled { "on" } else { "off" }));
    if let Some(said) = config.of(&record.id).enabled.filter(|said| *said != enabled) {
        term::out(&format!("The config says `enabled: {said}` of it, and that holds.\n"));
    }
    Ok(ExitCode::SUCCESS)
}

pub fn remove(args: &OneArgs) -> anyhow::Result<ExitCode> {
    let (shelf, config) = args.place.open()?;
    let record = shelf.remove(&args.id)?;
    forget(&shelf, &record)?;
    term::out(&format!("{} {} is removed.\n", record.id, record.version));
    if config.plugins.contains_key(&record.id) {
        term::out("The config still names it: take it out of `plugins: {use: ..}` there.\n");
    }
    Ok(ExitCode::SUCCESS)
}

/// Removes the compiled code of a version that is not used any more.
pub(super) fn forget(shelf: &Shelf, record: &Record) -> anyhow::Result<()> {
    if let Ok(compiled) = Compiled::open(&shelf.compiled_dir(), Compiler::child()?) {
        compiled.forget(&record.sha256);
    }
    Ok(())
}
