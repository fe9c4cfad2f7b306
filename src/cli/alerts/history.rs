//! `alerts history`: episodes, the latest first.

use std::process::ExitCode;

use chrono::{DateTime, TimeDelta, Utc};
use pgsteward_helpers::span;
use serde_json::{Value, json};

use crate::cli::place::Place;
use crate::cli::shared::{clock, counted, matchers, seconds};
use crate::cli::table;
use crate::cli::term;
use crate::clock::Clock;
use crate::model::{Labels, Matchers, Transition};
use crate::store::{EpisodeFilter, EpisodeSummary};

/// Episodes: lives of alerts, the latest first
///
/// `--json` prints a list: fingerprint, episode, rule, target, subject, labels, severity (the worst), summary, state, began, fired,
/// ended, delivered and dead (notices), transitions.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only those that meet these conditions, as `silence start` takes them
    #[arg(value_name = "MATCHERS")]
    matchers: Vec<String>,
    /// Only this target
    #[arg(long)]
    target: Option<String>,
    /// Not over before: `24h`, `7d`, as long as history is kept
    #[arg(long, value_name = "SPAN", value_parser = seconds, default_value = "7d")]
    since: u64,
    /// For a script
    #[arg(long)]
    json: bool,
}

/// Episodes in a table.
const SHOWN: usize = 200;

pub(super) fn run(args: &Args, place: &Place) -> anyhow::Result<ExitCode> {
    let now = Clock::System.now();
    let conditions = matchers(&args.matchers)?;
    let since = i64::try_from(args.since).ok().and_then(TimeDelta::try_seconds).and_then(|span| now.checked_sub_signed(span));
    let filter = EpisodeFilter { target: args.target.clone(), since, ..EpisodeFilter::default() };
    let store = place.read_store()?;
    let mut episodes = store.episodes(&filter)?;
    if let Some(target) = args.target.as_deref().filter(|_| episodes.is_empty()) {
        place.know_target(target, &store)?;
    }
    episodes.retain(|episode| wanted(episode, &conditions));
    term::out(&if args.json {
        format!("{}\n", serde_json::to_string_pretty(&episodes.iter().map(document).collect::<Vec<_>>())?)
    } else {
        page(&episodes, now)
    });
    Ok(ExitCode::SUCCESS)
}

/// Whether it ever met the conditions.
fn wanted(episode: &EpisodeSummary, conditions: &Matchers) -> bool {
    conditions.is_empty()
        || episode.transitions.iter().any(|change| conditions.matches(&change.flat_labels()))
        || conditions.matches(&labels(episode))
}

/// What matchers saw of it last, at its worst.
fn labels(episode: &EpisodeSummary) -> Labels {
    let mut labels = episode.transitions.last().map(Transition::flat_labels).unwrap_or_default();
    labels.set("severity", episode.severity.as_str());
    labels
}

fn document(episode: &EpisodeSummary) -> Value {
    json!({
        "fingerprint": episode.fingerprint,
        "episode": episode.episode,
        "rule": episode.rule,
        "target": episode.target,
        "subject": episode.subject,
        "labels": labels(episode),
        "severity": episode.severity,
        "summary": episode.summary,
        "state": episode.state,
        "began": episode.began,
        "fired": episode.fired,
        "ended": episode.ended,
        "delivered": episode.delivered,
        "dead": episode.dead,
        "transitions": episode.transitions,
    })
}

fn page(episodes: &[EpisodeSummary], now: DateTime<Utc>) -> String {
    if episodes.is_empty() {
        return "no episode\n".into();
    }
    let rows: Vec<Vec<String>> = episodes.iter().take(SHOWN).map(|episode| row(episode, now)).collect();
    let more = episodes.len().saturating_sub(SHOWN);
    let rest = if more > 0 { format!("and {more} more; `--json` prints all\n") } else { String::new() };
    let header = ["id", "severity", "state", "began", "lasted", "target", "rule", "subject", "told"];
    format!("{}{rest}", table::render(&header, &rows))
}

fn row(episode: &EpisodeSummary, now: DateTime<Utc>) -> Vec<String> {
    let lasted = episode.ended.unwrap_or(now) - episode.began;
    let dead = if episode.dead > 0 { format!(", {} given up", episode.dead) } else { String::new() };
    vec![
        episode.fingerprint.0.chars().take(8).collect(),
        episode.severity.to_string(),
        if episode.fired.is_none() && episode.ended.is_some() { "never fired".into() } else { episode.state.to_string() },
        clock(episode.began, now),
        span(lasted.num_seconds().max(0) as f64),
        episode.target.clone(),
        episode.rule.clone(),
        episode.subject.to_string(),
        format!("{}{dead}", counted(usize::try_from(episode.delivered).unwrap_or(usize::MAX), "notice")),
    ]
}
