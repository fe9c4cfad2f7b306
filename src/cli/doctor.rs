//! `doctor`: what can be seen of a server, what cannot, and the GRANT or setting that mends it.

use std::process::ExitCode;

use super::progress::Progress;
use super::shared::{Chosen, TargetArgs, block_on, counted};
use super::table;
use super::term::{self, BOLD, DIM, GOOD, severity_style, styled};
use crate::app::oneshot::{self, OneShot};
use crate::app::report::{Earlier, Report, exit};
use crate::app::setup::Rules;
use crate::clock::Clock;
use crate::collect::{Capabilities, probe};
use crate::env::Env;
use crate::model::{MissingReason, Outcome, Reading, Severity, Tier};
use crate::problem::Level;
use crate::text::safe;

/// Say what can be watched of a server, what cannot, and what would mend it
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    target: TargetArgs,
    /// Print the SQL that makes a role to watch with, and stop
    #[arg(long)]
    role_sql: bool,
}

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if args.role_sql {
        term::out(ROLE_SQL);
        return Ok(ExitCode::SUCCESS);
    }
    let env = Env::real();
    let chosen = args.target.choose(&env, Level::Warning)?;
    let progress = Progress::start("connecting");
    let capabilities = match block_on(probe(&chosen.watch.endpoint, &chosen.watch.budget))? {
        Ok(capabilities) => capabilities,
        Err(problem) => {
            drop(progress);
            let mut text = format!("{}  {}\n", styled(severity_style(Severity::Critical), "no connection"), crate::app::chain(&problem));
            text.push_str(&format!("   mend: {}\n", safe(&problem.remedy)));
            term::out(&text);
            return Ok(ExitCode::from(exit::UNKNOWN));
        }
    };
    progress.say("trying every metric once");
    let report = look(&chosen, &progress)?;
    drop(progress);
    term::out(&page(&capabilities, &report, &chosen.rules));
    let blind_pages = report.blind().iter().any(|b| b.meta.tier == Tier::Page);
    Ok(ExitCode::from(if blind_pages { exit::WARNING } else { exit::OK }))
}

/// One sweep without an earlier reading is enough to see what can be read.
fn look(chosen: &Chosen, progress: &Progress) -> anyhow::Result<Report> {
    let shot = OneShot {
        clock: &Clock::System,
        watch: &chosen.watch,
        metrics: &chosen.rules.metrics,
        rules: &chosen.rules.set,
        store: None,
        interval_s: 1.0,
        progress: &|what| progress.say(what),
    };
    let sample = block_on(oneshot::two_samples(&shot))?;
    let (basis, _) = oneshot::basis_of(sample);
    Ok(oneshot::report(&shot, &basis, Earlier::None))
}

fn page(capabilities: &Capabilities, report: &Report, loaded: &Rules) -> String {
    let mut text = format!("{}  {}\n\n", styled(BOLD, &safe(&report.snapshot.target.name)), describe(capabilities));
    text.push_str(&styled(BOLD, "Frames\n"));
    let rows: Vec<Vec<String>> = report
        .snapshot
        .frames
        .iter()
        .map(|(name, reading)| match reading {
            Reading::Collected(frame) => {
                let gaps = frame.coverage.without_databases.iter().map(|(db, why)| format!("without {db}: {why}"));
                let top = frame.coverage.top.map(|n| format!("only the first {n} rows"));
                vec![name.clone(), "ok".into(), frame.rows.to_string(), gaps.chain(top).collect::<Vec<_>>().join("; ")]
            }
            Reading::Missing(missing) => vec![name.clone(), missing.reason.to_string(), String::new(), missing.detail.clone()],
        })
        .collect();
    text.push_str(&table::render(&["frame", "state", ">rows", "detail"], &rows));
    text.push_str(&mends(report));
    text.push_str(&rules(report));
    text.push_str(&plugins(loaded));
    let cost = &report.snapshot.cost;
    text.push_str(&styled(
        DIM,
        &format!(
            "\nAsking took {} ms in {} queries, {} rows, {}\n",
            cost.server_ms.round(),
            cost.queries,
            cost.rows,
            pgsteward_helpers::bytes(cost.bytes as f64)
        ),
    ));
    text
}

fn describe(capabilities: &Capabilities) -> String {
    let databases = capabilities.databases.iter().filter(|d| d.closed.is_none()).count();
    let databases = counted(databases, "database");
    let who = format!("PostgreSQL {}, as {}, {databases}", capabilities.server.short_version(), capabilities.role.name);
    let notes: Vec<String> = capabilities.notes().iter().map(|note| format!("\nnote: {note}")).collect();
    format!("{}{}", safe(&who), notes.concat())
}

/// What would bring the missing frames, each remedy once.
fn mends(report: &Report) -> String {
    let mut remedies: Vec<(&str, Vec<&str>)> = Vec::new();
    for (name, reading) in &report.snapshot.frames {
        let Reading::Missing(missing) = reading else { continue };
        if let Some(remedy) = missing.remedy.as_deref().filter(|_| missing.reason != MissingReason::NotApplicable) {
            gather(&mut remedies, remedy, name);
        }
    }
    let mut text = String::new();
    for (remedy, frames) in remedies {
        text.push_str(&format!("{}\n", term::wrapped(&frames.join(", "), "   ", "   ", term::width())));
        text.push_str(&format!("{}\n", term::wrapped_whole(&safe(remedy), "      ", "      ", term::width())));
    }
    if text.is_empty() { text } else { format!("\n{}\n{text}", styled(BOLD, "To see more")) }
}

/// Adds a member to its group; groups keep the order in which they came.
fn gather<'a>(groups: &mut Vec<(&'a str, Vec<&'a str>)>, key: &'a str, member: &'a str) {
    match groups.iter_mut().find(|(other, _)| *other == key) {
        Some((_, members)) => members.push(member),
        None => groups.push((key, vec![member])),
    }
}

fn rules(report: &Report) -> String {
    let able = report.outcomes.iter().filter(|o| matches!(o.outcome, Outcome::Ok(_))).count();
    let blind = report.blind();
    let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
    blind.iter().for_each(|b| gather(&mut reasons, &b.reason, &b.meta.id));
    let mut text = format!("\n{}\n   {}\n", styled(BOLD, "Rules"), styled(GOOD, &format!("{able} can be evaluated")));
    for (reason, rules) in reasons {
        let line = format!("{}: {}", rules.join(", "), safe(reason));
        text.push_str(&format!("{}\n", term::wrapped(&line, "   cannot tell  ", "                ", term::width())));
    }
    text
}

/// How many installed plugins run, and why others do not; nothing where there is none.
fn plugins(loaded: &Rules) -> String {
    if loaded.plugins.is_empty() && loaded.stopped.is_empty() {
        return String::new();
    }
    let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
    loaded.stopped.iter().for_each(|(source, reason)| gather(&mut reasons, reason, source.trim_start_matches("plugin ")));
    let mut text = format!("\n{}\n   {}\n", styled(BOLD, "Plugins"), styled(GOOD, &format!("{} can be run", loaded.plugins.len())));
    for (reason, names) in reasons {
        let line = safe(&format!("{}: {reason}", names.join(", ")));
        text.push_str(&format!("{}\n", term::wrapped(&line, "   cannot run  ", "               ", term::width())));
    }
    text
}

/// A role that can see what the rules need and change nothing. `CONNECTION LIMIT` bounds what a mistake can cost; a
/// superuser would not be bound by it.
const ROLE_SQL: &str = "\
-- A login for pgsteward: sees statistics and settings, changes nothing. Run as a superuser; choose a password.
CREATE ROLE pgsteward LOGIN PASSWORD 'choose one'
    NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS
    CONNECTION LIMIT 5;
GRANT pg_monitor TO pgsteward;
ALTER ROLE pgsteward SET default_transaction_read_only = on;
ALTER ROLE pgsteward SET statement_timeout = '5s';
ALTER ROLE pgsteward SET lock_timeout = '100ms';

-- Statistics of statements, in one database of the server (shared_preload_libraries must name it first):
-- CREATE EXTENSION IF NOT EXISTS pg_stat_statements;

-- Optional, 14 and newer: bloat estimates read pg_stats, which shows a role only what it may SELECT, and nobody else may
-- read how far a sequence is (the page rule sequence_used_pct). This lets the role read every table and sequence:
-- GRANT pg_read_all_data TO pgsteward;
";
