//! The command line, ONE FILE A SUBCOMMAND. The only room that prints; talks to `app` and shows what it says.
//!
//! Exit codes, for all commands: 0 fine, 1 warning (or: tests failed, problems found), 2 critical, 3 could not do what
//! was asked or could not print it, 75 another run holds the lease.

mod alerts;
mod check;
mod collect;
mod completions;
mod config;
mod demo;
mod docs;
mod doctor;
mod explain;
mod frames;
mod notify;
mod place;
mod plugin;
mod progress;
mod replay;
mod rules;
mod run;
pub mod shared;
mod silence;
mod table;
pub mod term;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::app::report::exit;

/// Another run holds the lease of every target (`EX_TEMPFAIL`).
const EXIT_OVERLAP: u8 = 75;

/// Looks after PostgreSQL servers: watches, warns, advises.
#[derive(Debug, Parser)]
#[command(name = "pgsteward", version, about, propagate_version = true, max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Check(check::Args),
    Run(run::Args),
    Doctor(doctor::Args),
    Demo(demo::Args),
    Alerts(alerts::Args),
    Explain(explain::Args),
    Silence(silence::Args),
    Notify(notify::Args),
    Rules(rules::Args),
    Frames(frames::Args),
    Plugin(plugin::Args),
    Config(config::Args),
    Collect(collect::Args),
    Replay(replay::Args),
    Completions(completions::Args),
    #[command(hide = true)]
    Docs(docs::Args),
}

/// Parses the arguments and does what they say.
#[must_use]
pub fn main() -> ExitCode {
    let done = match Cli::try_parse() {
        Ok(cli) => run(&cli.command),
        Err(error) => Ok(usage(&error)),
    };
    let failed = match (done, term::unwritten()) {
        (Ok(code), None) => return code,
        (Ok(_), Some(error)) => format!("the output cannot be written: {error}; all else was done"),
        (Err(error), _) => shared::explain(&error),
    };
    term::err(&format!("{}: {failed}\n", term::styled(term::severity_style(crate::model::Severity::Critical), "error")));
    ExitCode::from(exit::UNKNOWN)
}

fn run(command: &Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Check(args) => check::run(args),
        Command::Run(args) => run::run(args),
        Command::Doctor(args) => doctor::run(args),
        Command::Demo(args) => demo::run(args),
        Command::Alerts(args) => alerts::run(args),
        Command::Explain(args) => explain::run(args),
        Command::Silence(args) => silence::run(args),
        Command::Notify(args) => notify::run(args),
        Command::Rules(args) => rules::run(args),
        Command::Frames(args) => frames::run(args),
        Command::Plugin(args) => plugin::run(args),
        Command::Config(args) => config::run(args),
        Command::Collect(args) => collect::run(args),
        Command::Replay(args) => replay::run(args),
        Command::Completions(args) => completions::run(args),
        Command::Docs(args) => docs::run(args),
    }
}

/// Help and version are answers; anything else is a question that cannot be understood, which must not look like a
/// critical finding (clap's own code is 2).
fn usage(error: &clap::Error) -> ExitCode {
    let printed = error.print();
    if error.use_stderr() {
        return ExitCode::from(exit::UNKNOWN);
    }
    term::note(printed);
    ExitCode::SUCCESS
}
