//! `explain`: why an alert fires, why it does not, and why it was or was not sent.

mod ahead;
mod page;

use std::path::PathBuf;
use std::process::ExitCode;

use chrono::{DateTime, Utc};

use super::place::Place;
use super::shared::{installed_plugins, load_rules, time};
use super::term;
use crate::app::explain::{Question, Sources, explain};
use crate::clock::Clock;

/// Say why a rule fires or is silent, and what was told to whom
///
/// From the records of `run`, and by judging the stored snapshot of that time again with the rules of now. Nothing is asked
/// of a server. Exit code 0 when it could be answered, 3 when not.
///
/// `--json` prints `{"one": {..}}` for one subject: rule, target, subject, fingerprint, at, tick, verdict (`is`: found, quiet,
/// absent, cannot_tell, off, records_only), life, notes, inputs, facts, settings, as_shipped, trend, channels, changes; or
/// `{"several": {..}}` with the subjects of the rule.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Id of the rule
    rule: String,
    /// Whom it is about: `shop.public.orders`, `orders`, `"slot old_dwh"`; may be left out where only one can be meant
    subject: Option<String>,
    /// Target, where several have it
    #[arg(long, value_name = "NAME")]
    target: Option<String>,
    /// At that time (UTC unless it says otherwise), not now
    #[arg(long, value_name = "TIME", value_parser = time)]
    at: Option<DateTime<Utc>>,
    /// Only what this channel was told
    #[arg(long, value_name = "NAME")]
    channel: Option<String>,
    /// For a script
    #[arg(long)]
    json: bool,
    /// Config whose state folder, overrides, routes and windows are used
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A rule file of your own, beside the shipped ones; can be given several times
    #[arg(long = "rules", value_name = "FILE")]
    rules: Vec<PathBuf>,
}

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let place = Place::of(args.config.as_deref())?;
    let (config, store) = (place.config.as_ref(), place.read_store()?);
    let mut own = args.rules.clone();
    own.extend(config.iter().flat_map(|c| c.rules.files.iter().cloned()));
    let rules = load_rules(&own, installed_plugins(config, &place.env)?);
    let now = Clock::System.now();
    let question = Question {
        rule: &args.rule,
        subject: args.subject.as_deref(),
        target: args.target.as_deref(),
        at: args.at,
        channel: args.channel.as_deref(),
    };
    let answer = explain(&Sources { store: &store, rules: &rules.set, config, now }, &question)?;
    if let Some(channel) = args.channel.as_deref().filter(|channel| !answer.mentions(channel)) {
        place.know_channel(channel, &store)?;
    }
    let text = if args.json { format!("{}\n", serde_json::to_string_pretty(&answer)?) } else { page::render(&answer, term::width()) };
    term::out(&text);
    Ok(ExitCode::SUCCESS)
}
