//! `plugin`: checks that were compiled from any language: write, test, measure, install them. ONE FILE A SUBCOMMAND.

mod author;
mod bench;
mod build;
mod compile;
mod componentize;
mod dev;
mod inspect;
mod install;
mod list;
mod new;
mod pack;
mod replay;
mod test;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;

use crate::config::{self, Config, PluginsConfig};
use crate::env::Env;
use crate::plugin::Shelf;
use crate::problem::Level;

/// Write, test, install and manage compiled plugins
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    New(new::Args),
    Build(build::Args),
    Test(test::Args),
    Dev(dev::Args),
    Bench(bench::Args),
    Replay(replay::Args),
    Inspect(inspect::Args),
    Componentize(componentize::Args),
    Pack(pack::Args),
    Install(install::Args),
    List(list::Args),
    /// Let an installed plugin run
    Enable(list::OneArgs),
    /// Keep a plugin installed, but let it not run
    Disable(list::OneArgs),
    /// Take an installed plugin away
    Remove(list::OneArgs),
    #[command(hide = true)]
    Compile(compile::Args),
}

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match &args.command {
        Command::New(args) => new::run(args),
        Command::Build(args) => build::run(args),
        Command::Test(args) => test::run(args),
        Command::Dev(args) => dev::run(args),
        Command::Bench(args) => bench::run(args),
        Command::Replay(args) => replay::run(args),
        Command::Inspect(args) => inspect::run(args),
        Command::Componentize(args) => componentize::run(args),
        Command::Pack(args) => pack::run(args),
        Command::Install(args) => install::run(args),
        Command::List(args) => list::list(args),
        Command::Enable(args) => list::set_enabled(args, true),
        Command::Disable(args) => list::set_enabled(args, false),
        Command::Remove(args) => list::remove(args),
        Command::Compile(args) => compile::run(args),
    }
}

/// Where installed plugins are: the state folder of a config, or this user's.
#[derive(Debug, clap::Args)]
struct Place {
    /// Config whose state folder holds the plugins; default: this user's state folder
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Place {
    /// The shelf, and what the config says of plugins.
    fn open(&self) -> anyhow::Result<(Shelf, PluginsConfig)> {
        let env = Env::real();
        let config: Option<Config> = self.config.as_deref().map(|path| super::shared::load_config(path, &env, Level::Error)).transpose()?;
        let dir = config::state_dir(config.as_ref(), &env).context("there is no state folder to keep plugins in")?;
        Ok((Shelf::in_state(&dir), config.map(|config| config.plugins).unwrap_or_default()))
    }
}
