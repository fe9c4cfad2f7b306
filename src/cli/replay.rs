//! `replay`: turns a recorded tick again and says whether the result is the same.

use std::path::PathBuf;
use std::process::ExitCode;

use super::shared::{installed_plugins, load_rules};
use super::term;
use crate::app::replay::replay;
use crate::app::report::exit;
use crate::app::tick_file;
use crate::env::Env;

/// Turn a recorded tick again; it must decide the same, byte for byte
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A file that `check --record` wrote
    file: PathBuf,
    /// A rule file of your own that took part; can be given several times
    #[arg(long = "rules", value_name = "FILE")]
    rules: Vec<PathBuf>,
}

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let tick = tick_file::read(&args.file)?;
    let rules = load_rules(&args.rules, installed_plugins(None, &Env::real())?);
    let (text, code) = match replay(&tick, &rules.set) {
        Ok(()) => {
            let (target, at) = (&tick.snapshot.target.name, tick.snapshot.taken_at);
            let rules = tick.outcomes.len();
            (
                format!(
                    "same: {target} at {}, {rules} rules, {} alerts, byte for byte\n",
                    at.format("%FT%TZ"),
                    tick.decision.book.alerts.len()
                ),
                exit::OK,
            )
        }
        Err(problem) => (format!("not the same: {}\n", crate::app::chain(&problem)), exit::WARNING),
    };
    term::out(&text);
    Ok(ExitCode::from(code))
}
