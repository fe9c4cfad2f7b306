//! `notify test`: a drill through each channel.

use std::process::ExitCode;

use super::trial;
use crate::app::drill;
use crate::cli::place::Place;
use crate::cli::shared::author;
use crate::clock::Clock;

/// Send a marked drill through each channel and say what happened
///
/// Directly, past silences, windows, rates and the queue. Exit code 0 when every channel took it, 1 when one did not, 3 when
/// nothing could be tried. What a PagerDuty or a webhook would keep open is ended at once; an Alertmanager ends it by itself
/// after five minutes.
///
/// `--json` prints a list: channel, kind, result (sent, not_now, refused, login_refused), detail, ended (whether its end was
/// taken, where there is one), mend, paused_since.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only this channel; can be given several times
    #[arg(long = "channel", value_name = "NAME")]
    channels: Vec<String>,
    /// For a script
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args, place: &Place) -> anyhow::Result<ExitCode> {
    let all = place.config()?.channels.keys().cloned();
    let names: Vec<String> = if args.channels.is_empty() { all.collect() } else { args.channels.clone() };
    let (who, now) = (author(&place.env), Clock::System.now());
    let drills = names.iter().map(|name| drill::of_channel(name, &who, now)).collect();
    trial::show(&trial::all(drills, place)?, args.json)
}
