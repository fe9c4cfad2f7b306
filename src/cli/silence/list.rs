//! `silence list`: those that hold or will hold, and on request those that are over.

use std::process::ExitCode;

use chrono::{DateTime, Utc};
use pgsteward_helpers::span;

use crate::app::silence;
use crate::cli::place::Place;
use crate::cli::table;
use crate::cli::term;
use crate::clock::Clock;
use crate::model::Silence;
use crate::store::Store;

/// Show silences, with `--config` those of the config too
///
/// `--json` prints a list: id, matchers, starts_at, ends_at, author, reason, link, expire_on_resolve, created_at, and `ended`
/// (when and why) for one that was ended before its time.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Those that are over too
    #[arg(long)]
    all: bool,
    /// For a script
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args, place: &Place) -> anyhow::Result<ExitCode> {
    let now = Clock::System.now();
    // What the config plans is known before the first `run`.
    let store = if place.config.is_some() { place.existing_store()? } else { Some(place.read_store()?) };
    let since = if args.all { DateTime::<Utc>::MIN_UTC } else { now };
    let planned = place.config.iter().flat_map(|config| &config.silences).filter(|one| one.ends_at > since).cloned();
    let mut silences = store.as_ref().map_or(Ok(Vec::new()), |store| store.silences_since(since))?;
    silences.extend(planned);
    let text = if args.json { format!("{}\n", serde_json::to_string_pretty(&silences)?) } else { page(store.as_ref(), &silences, now)? };
    term::out(&text);
    Ok(ExitCode::SUCCESS)
}

fn page(store: Option<&Store>, silences: &[Silence], now: DateTime<Utc>) -> anyhow::Result<String> {
    if silences.is_empty() {
        return Ok("no silence\n".into());
    }
    let mut rows = Vec::new();
    for one in silences {
        let matching = store.map_or(Ok(0), |store| silence::preview(store, &one.matchers, now).map(|found| found.now.len()))?;
        rows.push(row(one, matching, now));
    }
    Ok(table::render(&["id", "state", "until", ">alerts now", "by", "reason", "matchers"], &rows))
}

fn row(one: &Silence, matching: usize, now: DateTime<Utc>) -> Vec<String> {
    let matchers = if one.matchers.is_empty() { "(everything)".into() } else { one.matchers.to_string() };
    let until = one.ended.as_ref().map_or(one.ends_at, |(at, _)| *at);
    let link = one.link.as_ref().map_or(String::new(), |link| format!(" ({link})"));
    vec![
        one.id.clone(),
        state(one, now),
        until.format("%F %TZ").to_string(),
        matching.to_string(),
        one.author.clone(),
        format!("{}{link}", one.reason),
        matchers,
    ]
}

fn state(one: &Silence, now: DateTime<Utc>) -> String {
    let ahead = |at: DateTime<Utc>| span((at - now).num_seconds().max(0) as f64);
    match &one.ended {
        Some((_, why)) => format!("ended: {why}"),
        None if now < one.starts_at => format!("begins in {}", ahead(one.starts_at)),
        None if one.is_active(now) => format!("{} left", ahead(one.ends_at)),
        None => "over".into(),
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn a_silence_says_how_it_stands() {
        let at = |s| DateTime::UNIX_EPOCH + TimeDelta::seconds(s);
        let one = Silence {
            id: "a1".into(),
            matchers: "tier=dev".parse().unwrap(),
            starts_at: at(60),
            ends_at: at(3_660),
            author: "ann@desk".into(),
            reason: "deploy".into(),
            link: None,
            expire_on_resolve: false,
            created_at: at(0),
            ended: None,
        };
        assert_eq!([0, 60, 9_000].map(|s| state(&one, at(s))), ["begins in 1m", "1h left", "over"]);
        let ended = Silence { ended: Some((at(120), "done".into())), link: Some("T-1".into()), ..one };
        let shown = row(&ended, 3, at(180)).join("|");
        assert_eq!(shown, "a1|ended: done|1970-01-01 00:02:00Z|3|ann@desk|deploy (T-1)|tier=dev");
    }
}
