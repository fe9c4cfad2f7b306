//! `silence end`: ends one before its time.

use std::process::ExitCode;

use anyhow::bail;

use crate::cli::place::Place;
use crate::cli::shared::author;
use crate::cli::term;
use crate::clock::Clock;
use crate::text::safe;

/// End a silence before its time
///
/// What still fires and was kept back is told at the next tick. Prints the whole id.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Its id, or the first characters of it
    id: String,
    /// Why
    #[arg(long)]
    reason: Option<String>,
}

pub(super) fn run(args: &Args, place: &Place) -> anyhow::Result<ExitCode> {
    let now = Clock::System.now();
    let mut store = place.written_store()?;
    let found = store.silences_by_prefix(&args.id)?;
    let id = match found.as_slice() {
        [] => bail!("no silence's id begins with `{}`; those of the config end there", safe(&args.id)),
        [one] => one.id.clone(),
        several => bail!("`{}` begins {} ids; give more characters", safe(&args.id), several.len()),
    };
    let by = author(&place.env);
    let why = args.reason.as_ref().map_or_else(|| format!("by {by}"), |reason| format!("{reason} (by {by})"));
    if !store.end_silence(&id, now, &why)? {
        bail!("silence {id} is over already");
    }
    term::out(&format!("{id}\n"));
    Ok(ExitCode::SUCCESS)
}
