//! `notify redrive`: lets what was given up be tried again.

use std::process::ExitCode;

use anyhow::bail;

use crate::cli::place::Place;
use crate::cli::shared::counted;
use crate::cli::term;
use crate::clock::Clock;
use crate::store::DeadFilter;

/// Let notices that were given up be tried again, under the same keys
///
/// Those that say that something begins which is over by now stay where they are. Prints how many wait again.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Keys, or the first characters of them, as `notify dead` shows them
    #[arg(value_name = "KEY", required_unless_present = "all", conflicts_with = "all")]
    keys: Vec<String>,
    /// All of them
    #[arg(long)]
    all: bool,
    /// Only of this channel
    #[arg(long, value_name = "NAME")]
    channel: Option<String>,
}

pub(super) fn run(args: &Args, place: &Place) -> anyhow::Result<ExitCode> {
    if args.keys.iter().any(String::is_empty) {
        bail!("an empty key would mean all of them; say `--all`");
    }
    let now = Clock::System.now();
    let mut store = place.written_store()?;
    let of = |key: Option<String>| DeadFilter { channel: args.channel.clone(), key, ..DeadFilter::default() };
    let filters: Vec<DeadFilter> = if args.all { vec![of(None)] } else { args.keys.iter().cloned().map(|key| of(Some(key))).collect() };
    let mut count = 0;
    for filter in &filters {
        count += store.redrive(filter, now)?;
    }
    if let Some(channel) = args.channel.as_deref().filter(|_| count == 0) {
        place.know_channel(channel, &store)?;
    }
    if count == 0 {
        bail!("nothing that was given up is meant, or what it says is over; `pgsteward notify dead` shows what there is");
    }
    term::out(&format!("{} waiting again\n", counted(count, "notice")));
    Ok(ExitCode::SUCCESS)
}
