//! `silence`: keep notices of some alerts back for a while. ONE FILE A SUBCOMMAND.

mod end;
mod list;
mod preview;
mod start;

use std::path::PathBuf;
use std::process::ExitCode;

use super::place::Place;

/// Keep notices of some alerts back for a while
///
/// Alerts go on being judged and recorded; only notices wait. What a channel was told of, it is told the end of. MATCHERS are
/// conditions on labels, all of which must hold: `rule=table_bloat`, `tier!=prod`, `table=~"orders_.*"`, `severity>=warning`;
/// the names severity, rule, target, tier, category and cluster are there for every alert.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
    /// Config whose state folder is used, and whose own silences are listed
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Start(start::Args),
    Preview(preview::Args),
    List(list::Args),
    End(end::Args),
}

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let place = Place::of(args.config.as_deref())?;
    match &args.command {
        Command::Start(args) => start::run(args, &place),
        Command::Preview(args) => preview::run(args, &place),
        Command::List(args) => list::run(args, &place),
        Command::End(args) => end::run(args, &place),
    }
}
