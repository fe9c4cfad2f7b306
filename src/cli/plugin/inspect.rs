//! `plugin inspect`: what a plugin file is, needs and may use, for whoever decides whether it is to run.

use std::path::PathBuf;
use std::process::ExitCode;

use pgsteward_sandbox::Form;
use serde_json::json;

use super::super::rules::show;
use super::super::shared::show_problems;
use super::super::table;
use super::super::term::{self, BOLD, DIM, styled};
use super::author::{self, Desk};
use crate::app::report::exit;
use crate::plugin::signature_of;

/// Show what a plugin file is: rules, what they read, imports, its own SQL, size, hash, limits and their use
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A plugin file, or the folder of its project
    path: PathBuf,
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let desk = author::open(&args.path)?;
    let signed = signature_of(&args.path).is_some();
    if args.json {
        term::out(&format!("{}\n", serde_json::to_string_pretty(&as_json(&desk, signed))?));
    } else {
        term::out(&as_text(&desk, signed));
    }
    show_problems(desk.rules.problems.iter(), &[].into());
    let broken = desk.rules.problems.iter().any(crate::problem::Problem::is_error);
    Ok(ExitCode::from(if broken { exit::WARNING } else { exit::OK }))
}

fn as_text(desk: &Desk, signed: bool) -> String {
    let inspection = &desk.package.inspection;
    let mut text = String::new();
    for about in &desk.rules.plugins {
        text.push_str(&format!("{} {}\n", styled(BOLD, &crate::text::safe(&about.id)), about.version));
        for (name, fact) in &about.facts {
            text.push_str(&format!("   {name}: {}\n", crate::text::safe(fact)));
        }
    }
    let form = match inspection.form {
        Form::Component => "component",
        Form::Module => "core module, made into a component",
    };
    let imports = if inspection.imports.is_empty() { "nothing".into() } else { inspection.imports.join(", ") };
    let rows: Vec<Vec<String>> = [
        ("file", format!("{}, {form}", pgsteward_helpers::bytes(inspection.bytes as f64))),
        ("sha256", inspection.hash.clone()),
        ("signature", if signed { "beside the file".into() } else { "none".into() }),
        ("contract", inspection.exports.join(", ")),
        ("imports", imports),
        ("tests", super::super::shared::counted(desk.tests.len(), "file")),
    ]
    .into_iter()
    .map(|(name, value)| vec![name.to_string(), value])
    .collect();
    // The table's own header is the empty line above it.
    text.push_str(&table::render(&["", ""], &rows));
    for metric in &desk.package.metrics {
        text.push_str(&format!("\n{}\n", styled(BOLD, &format!("Its own SQL: {}", metric.frame.name))));
        for (from, sql) in &metric.sql {
            text.push_str(&styled(DIM, &format!("   from server version {from}\n")));
            text.push_str(&term::wrapped(&crate::text::safe(sql), "   ", "   ", term::width()));
            text.push('\n');
        }
    }
    let used = desk.plugin.component.as_ref().ok().map(|component| component.describe(&desk.plugin.limits).used);
    let limits = used.unwrap_or_default().against(&desk.plugin.limits);
    let row = |(name, used, limit): &(&str, u64, u64)| vec![(*name).to_string(), used.to_string(), limit.to_string()];
    text.push_str(&format!("\n{}", table::render(&["limit", "used by describe", "most"], &limits.iter().map(row).collect::<Vec<_>>())));
    for rule in desk.rules.set.iter() {
        text.push_str(&format!("\n{}", show(rule.meta())));
    }
    text
}

fn as_json(desk: &Desk, signed: bool) -> serde_json::Value {
    let inspection = &desk.package.inspection;
    let about = desk.rules.plugins.first();
    json!({
        "id": about.map(|a| a.id.clone()),
        "version": about.map(|a| a.version.clone()),
        "bytes": inspection.bytes,
        "sha256": inspection.hash,
        "signature": signed,
        "imports": inspection.imports,
        "exports": inspection.exports,
        "rules": desk.rules.set.iter().map(|rule| rule.meta().clone()).collect::<Vec<_>>(),
        "metrics": desk.package.metrics.iter().map(|m| json!({"frame": m.frame.name, "sql": m.sql})).collect::<Vec<_>>(),
        "limits": desk.plugin.limits.named().into_iter().map(|(name, most)| (name.to_string(), most.into())).collect::<serde_json::Map<_, _>>(),
        "problems": desk.rules.problems.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}
