//! `alerts ack` and `alerts unack`: somebody looks after an alert, or does not any more.

use std::process::ExitCode;

use anyhow::bail;
use chrono::{DateTime, TimeDelta, Utc};

use super::living;
use crate::cli::place::Place;
use crate::cli::shared::{author, seconds};
use crate::cli::term;
use crate::clock::Clock;
use crate::model::{Ack, AckMode, Alert};
use crate::text::safe;

/// Say that you look after alerts: repeats and escalation stop
///
/// It ends when the alert recovers or comes back, when its severity rises, or after `--for`. Channels that were told of the alert
/// are told at the next tick. Prints a line for each alert; exit code 3 when one of the ids is not a living alert's, and then
/// nothing is acknowledged.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Ids, or the first characters of them
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
    /// What you do about it
    #[arg(long)]
    note: String,
    /// It ends after that: `2h`
    #[arg(long = "for", value_name = "SPAN", value_parser = seconds)]
    lasts: Option<u64>,
    /// It holds until the alert is resolved, through recovering and coming back; a rise in severity ends it all the same
    #[arg(long)]
    until_resolved: bool,
    /// Who; default: $USER@host
    #[arg(long)]
    who: Option<String>,
}

/// Take an acknowledgement back
#[derive(Debug, clap::Args)]
pub struct UnackArgs {
    /// Id of the alert, or the first characters of it
    id: String,
    /// Who; default: $USER@host
    #[arg(long)]
    who: Option<String>,
}

pub(super) fn run(args: &Args, place: &Place) -> anyhow::Result<ExitCode> {
    if args.note.trim().is_empty() {
        bail!("a note needs words: who is asked why nobody is woken reads them");
    }
    let now = Clock::System.now();
    let mut store = place.written_store()?;
    let alerts: Vec<Alert> = args.ids.iter().map(|id| living(&store, id)).collect::<anyhow::Result<_>>()?;
    for alert in &alerts {
        let ack = ack_of(alert, args, args.who.clone().unwrap_or_else(|| author(&place.env)), now);
        if !store.ack(&alert.target, &alert.fingerprint, &ack)? {
            bail!("alert {} is over meanwhile", short(alert));
        }
        let until = ack.until.map_or(String::new(), |until| format!(" until {}", until.format("%F %TZ")));
        term::out(&format!("{}  {} on {}: acknowledged{until}\n", short(alert), safe(&alert.rule), safe(&alert.target)));
    }
    Ok(ExitCode::SUCCESS)
}

fn ack_of(alert: &Alert, args: &Args, who: String, now: DateTime<Utc>) -> Ack {
    let until =
        args.lasts.and_then(|s| i64::try_from(s).ok()).and_then(TimeDelta::try_seconds).and_then(|span| now.checked_add_signed(span));
    let mode = if args.until_resolved { AckMode::UntilResolved } else { AckMode::UntilChange };
    Ack { episode: alert.episode.clone(), who, note: args.note.clone(), at: now, until, mode, severity: alert.severity }
}

pub(super) fn unack(args: &UnackArgs, place: &Place) -> anyhow::Result<ExitCode> {
    let mut store = place.written_store()?;
    let alert = living(&store, &args.id)?;
    let who = args.who.clone().unwrap_or_else(|| author(&place.env));
    if !store.unack(&alert.target, &alert.fingerprint, &who, Clock::System.now())? {
        bail!("nobody has acknowledged alert {}", short(&alert));
    }
    term::out(&format!("{}  {} on {}: taken back\n", short(&alert), safe(&alert.rule), safe(&alert.target)));
    Ok(ExitCode::SUCCESS)
}

fn short(alert: &Alert) -> String {
    alert.fingerprint.0.chars().take(8).collect()
}
