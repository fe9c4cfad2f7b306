//! `alerts list`: living alerts, worst first.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

use chrono::{DateTime, Utc};
use pgsteward_helpers::span;

use crate::alert::{counted_s, is_matched};
use crate::cli::place::Place;
use crate::cli::shared::matchers;
use crate::cli::table;
use crate::cli::term;
use crate::clock::Clock;
use crate::config::Config;
use crate::model::{Alert, Matchers, RuleHealth, State, Target};
use crate::store::Store;

/// Living alerts, worst first
///
/// `--json` prints a list of alerts with all that is known of each: fingerprint, episode, rule, target, subject, labels, severity,
/// state, times, held, suppressed_by, summary, evidence, actions, choices.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only those that meet these conditions, as `silence start` takes them
    #[arg(value_name = "MATCHERS")]
    matchers: Vec<String>,
    /// Only this target
    #[arg(long)]
    target: Option<String>,
    /// Only those in this state: pending, firing or recovering
    #[arg(long, value_parser = state)]
    state: Option<State>,
    /// Only those whose notices are kept back
    #[arg(long)]
    silenced: bool,
    /// For a script
    #[arg(long)]
    json: bool,
}

fn state(text: &str) -> Result<State, String> {
    let states = [State::Pending, State::Firing, State::Recovering];
    states.into_iter().find(|state| state.as_str() == text).ok_or_else(|| "pending, firing or recovering".into())
}

pub(super) fn run(args: &Args, place: &Place) -> anyhow::Result<ExitCode> {
    let store = place.read_store()?;
    let mut alerts = store.alerts(args.target.as_deref())?;
    if let Some(target) = args.target.as_deref().filter(|_| alerts.is_empty()) {
        place.know_target(target, &store)?;
    }
    let conditions = matchers(&args.matchers)?;
    alerts.retain(|alert| wanted(alert, args, &conditions, place.config.as_ref()));
    alerts.sort_by(|a, b| (b.severity, &a.target, &a.rule, &a.subject).cmp(&(a.severity, &b.target, &b.rule, &b.subject)));
    let text = if args.json {
        format!("{}\n", serde_json::to_string_pretty(&alerts)?)
    } else {
        page(&alerts, &healths(&store, &alerts)?, Clock::System.now())
    };
    term::out(&text);
    Ok(ExitCode::SUCCESS)
}

fn wanted(alert: &Alert, args: &Args, conditions: &Matchers, config: Option<&Config>) -> bool {
    // What the target is now may differ from what the alert's labels say; only its cluster is asked of it.
    let known = config.and_then(|config| config.targets.iter().find(|target| target.target.name == alert.target));
    let target = known.map_or_else(|| Target { name: alert.target.clone(), ..Target::default() }, |known| known.target.clone());
    args.state.is_none_or(|state| alert.state == state)
        && (!args.silenced || alert.suppressed_by.is_some())
        && is_matched(alert, &target, conditions)
}

/// How the rules of pending alerts fare, by target.
fn healths(store: &Store, alerts: &[Alert]) -> anyhow::Result<BTreeMap<String, BTreeMap<String, RuleHealth>>> {
    let targets: BTreeSet<&String> = alerts.iter().filter(|alert| alert.state == State::Pending).map(|alert| &alert.target).collect();
    targets.into_iter().map(|target| Ok((target.clone(), store.book(target)?.rules))).collect()
}

/// Seconds that it fires; of a pending one those that count, which between two evaluations stand still.
fn lasted_s(alert: &Alert, healths: &BTreeMap<String, BTreeMap<String, RuleHealth>>, now: DateTime<Utc>) -> f64 {
    match alert.fired_at {
        Some(fired_at) => (now - fired_at).num_seconds().max(0) as f64,
        None => counted_s(alert, healths.get(&alert.target).and_then(|rules| rules.get(&alert.rule))) as f64,
    }
}

fn page(alerts: &[Alert], healths: &BTreeMap<String, BTreeMap<String, RuleHealth>>, now: DateTime<Utc>) -> String {
    if alerts.is_empty() {
        return "no alert\n".into();
    }
    let rows: Vec<Vec<String>> = alerts
        .iter()
        .map(|a| {
            vec![
                a.fingerprint.0.chars().take(8).collect(),
                a.severity.to_string(),
                a.state.to_string(),
                span(lasted_s(a, healths, now)),
                a.target.clone(),
                a.rule.clone(),
                a.subject.to_string(),
                a.suppressed_by.clone().or_else(|| a.held.clone()).unwrap_or_default(),
            ]
        })
        .collect();
    table::render(&["id", "severity", "state", "for", "target", "rule", "subject", "held back by"], &rows)
}
