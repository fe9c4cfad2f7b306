//! `alerts`: what is pending, firing and recovering; who looks after it; what was. ONE FILE A SUBCOMMAND.

mod ack;
mod history;
mod list;
mod show;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};

use super::place::Place;
use crate::model::Alert;
use crate::store::Store;
use crate::text::safe;

/// Show and acknowledge alerts from the store of `run`
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
    /// Config whose state folder is used
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    List(list::Args),
    Show(show::Args),
    History(history::Args),
    Ack(ack::Args),
    Unack(ack::UnackArgs),
}

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let place = Place::of(args.config.as_deref())?;
    match &args.command {
        Command::List(args) => list::run(args, &place),
        Command::Show(args) => show::run(args, &place),
        Command::History(args) => history::run(args, &place),
        Command::Ack(args) => ack::run(args, &place),
        Command::Unack(args) => ack::unack(args, &place),
    }
}

/// The living alert whose id begins so.
fn living(store: &Store, id: &str) -> Result<Alert> {
    let mut found = store.alerts_by_prefix(id)?;
    match (found.pop(), found.len()) {
        (Some(alert), 0) => Ok(alert),
        (Some(_), more) => bail!("`{}` begins {} ids; give more characters", safe(id), more + 1),
        (None, _) => bail!("no living alert's id begins with `{}`; `pgsteward alerts list` shows them", safe(id)),
    }
}
