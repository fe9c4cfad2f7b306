//! `notify list`: how each channel fares.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::cli::place::Place;
use crate::cli::shared::clock;
use crate::cli::table;
use crate::cli::term;
use crate::clock::Clock;
use crate::config::ChannelConfig;
use crate::model::ChannelHealth;
use crate::text::safe;

/// Show how each channel fares: state, what waits, what was given up, the last delivery
///
/// `--json` prints a list: channel, kind, state (ok, failing, paused, gone), error, since, waiting, dead (in the last day),
/// last_delivery, rate, fallback.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// For a script
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args, place: &Place) -> anyhow::Result<ExitCode> {
    let now = Clock::System.now();
    let store = place.read_store()?;
    let (health, last) = (store.channel_health(now)?, store.last_deliveries()?);
    let configured = place.config.as_ref().map(|config| &config.channels);
    let lines = lines(configured, &health, &last);
    let text = if args.json {
        format!("{}\n", serde_json::to_string_pretty(&lines.iter().map(Line::document).collect::<Vec<_>>())?)
    } else if lines.is_empty() {
        "no channel; `--config FILE` names them\n".into()
    } else {
        page(&lines, now)
    };
    term::out(&text);
    Ok(ExitCode::SUCCESS)
}

fn page(lines: &[Line<'_>], now: DateTime<Utc>) -> String {
    let rows: Vec<Vec<String>> = lines.iter().map(|line| line.row(now)).collect();
    let table = table::render(&["channel", "kind", "state", ">waiting", ">dead 24h", "last delivery", "rate", "fallback"], &rows);
    let troubles: Vec<String> = lines.iter().filter_map(|line| line.trouble(now)).collect();
    if troubles.is_empty() { table } else { format!("{table}\n{}", troubles.concat()) }
}

/// One channel.
struct Line<'a> {
    name: &'a str,
    config: Option<&'a ChannelConfig>,
    /// Whether no config was given, so that nobody can say whether it is gone.
    unasked: bool,
    health: ChannelHealth,
    last: Option<DateTime<Utc>>,
}

fn lines<'a>(
    configured: Option<&'a BTreeMap<String, ChannelConfig>>,
    health: &'a BTreeMap<String, ChannelHealth>,
    last: &'a BTreeMap<String, DateTime<Utc>>,
) -> Vec<Line<'a>> {
    let names: BTreeSet<&String> = configured.iter().flat_map(|channels| channels.keys()).chain(health.keys()).chain(last.keys()).collect();
    names
        .into_iter()
        .map(|name| Line {
            name,
            config: configured.and_then(|channels| channels.get(name)),
            unasked: configured.is_none(),
            health: health.get(name).cloned().unwrap_or_default(),
            last: last.get(name).copied(),
        })
        .collect()
}

impl Line<'_> {
    fn state(&self) -> &'static str {
        match (&self.health, self.config) {
            (_, None) if !self.unasked => "gone",
            (ChannelHealth { paused_at: Some(_), .. }, _) => "paused",
            (ChannelHealth { failing_since: Some(_), .. }, _) => "failing",
            _ => "ok",
        }
    }

    fn since(&self) -> Option<DateTime<Utc>> {
        self.health.paused_at.or(self.health.failing_since)
    }

    fn rate(&self) -> Option<String> {
        let config = self.config?;
        let rate = config.rate.or_else(|| config.settings.traits()?.rate)?;
        Some(format!("{}/{}", rate.count, pgsteward_helpers::span(f64::from(rate.per_s))))
    }

    /// Since when, why, and what to type once it is mended; below the table, so that it can be pasted.
    fn trouble(&self, now: DateTime<Utc>) -> Option<String> {
        let (name, state) = (safe(self.name), self.state());
        let mend = if state == "paused" { format!("  Mend it, then: pgsteward notify resume {name}") } else { String::new() };
        Some(format!("{name} is {state} since {}: {}.{mend}\n", clock(self.since()?, now), safe(&self.health.error)))
    }

    fn row(&self, now: DateTime<Utc>) -> Vec<String> {
        vec![
            self.name.into(),
            self.config.map_or("", |config| config.settings.kind()).into(),
            self.state().into(),
            self.health.waiting.to_string(),
            self.health.dead.to_string(),
            self.last.map_or("never".into(), |at| clock(at, now)),
            self.rate().unwrap_or_default(),
            self.config.and_then(|config| config.fallback.clone()).unwrap_or_default(),
        ]
    }

    fn document(&self) -> Value {
        json!({
            "channel": self.name,
            "kind": self.config.map(|config| config.settings.kind()),
            "state": self.state(),
            "error": self.health.error,
            "since": self.since(),
            "waiting": self.health.waiting,
            "dead": self.health.dead,
            "last_delivery": self.last,
            "rate": self.rate(),
            "fallback": self.config.and_then(|config| config.fallback.as_ref()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paused_channel_says_how_to_go_on() {
        let at = DateTime::UNIX_EPOCH;
        let paused = ChannelHealth { paused_at: Some(at), error: "401 invalid_auth".into(), waiting: 3, ..ChannelHealth::default() };
        let health = [("chat".to_string(), paused)].into();
        let last = [("mail".to_string(), at)].into();
        let both = lines(None, &health, &last);
        let shown: Vec<String> = both.iter().map(|line| line.row(at).join("|")).collect();
        assert_eq!(shown, ["chat||paused|3|0|never||", "mail||ok|0|0|00:00:00Z||"]);
        let told = "\nchat is paused since 00:00:00Z: 401 invalid_auth.  Mend it, then: pgsteward notify resume chat\n";
        assert!(page(&both, at).ends_with(told), "{}", page(&both, at));
        let shown: Vec<&str> = lines(Some(&BTreeMap::new()), &health, &last).iter().map(Line::state).collect();
        assert_eq!(shown, ["gone", "gone"], "the config has it no more");
    }
}
