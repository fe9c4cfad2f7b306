//! `notify resume`: lets a channel go on.

use std::process::ExitCode;

use anyhow::bail;

use crate::cli::place::Place;
use crate::cli::shared::counted;
use crate::cli::term;
use crate::clock::Clock;
use crate::text::safe;

/// Let a channel go on that was paused or rests
///
/// What waits for it is tried at once. Exit code 3 when the channel neither is paused nor rests.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The channel
    channel: String,
}

pub(super) fn run(args: &Args, place: &Place) -> anyhow::Result<ExitCode> {
    let now = Clock::System.now();
    let mut store = place.written_store()?;
    let name = args.channel.as_str();
    place.know_channel(name, &store)?;
    let waiting = store.channel_health(now)?.get(name).map_or(0, |health| health.waiting);
    if !store.resume_channel(name, now)? {
        bail!("channel `{}` is not paused; `pgsteward notify list` shows those that are", safe(name));
    }
    let waiting = counted(usize::try_from(waiting).unwrap_or(usize::MAX), "notice");
    term::out(&format!("{} goes on; {waiting} waiting for it\n", safe(name)));
    Ok(ExitCode::SUCCESS)
}
