//! `notify`: channels, their trouble, and drills. ONE FILE A SUBCOMMAND.

mod catch;
mod dead;
mod list;
mod redrive;
mod resume;
mod send;
mod test;
mod trial;

use std::path::PathBuf;
use std::process::ExitCode;

use super::place::Place;

/// Try channels, see how they fare, and let them go on after trouble
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
    /// Config whose channels and state folder are used
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Test(test::Args),
    Send(send::Args),
    List(list::Args),
    Resume(resume::Args),
    Dead(dead::Args),
    Redrive(redrive::Args),
    Catch(catch::Args),
}

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let place = Place::of(args.config.as_deref())?;
    match &args.command {
        Command::Test(args) => test::run(args, &place),
        Command::Send(args) => send::run(args, &place),
        Command::List(args) => list::run(args, &place),
        Command::Resume(args) => resume::run(args, &place),
        Command::Dead(args) => dead::run(args, &place),
        Command::Redrive(args) => redrive::run(args, &place),
        Command::Catch(args) => catch::run(args),
    }
}
