//! `alerts`: what is pending, firing and recovering, and the history of one of them.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use chrono::{DateTime, Utc};

use super::shared::{evidence, existing_store, load_config};
use super::table;
use super::term::{self, BOLD, DIM, severity_style, styled};
use crate::clock::Clock;
use crate::env::Env;
use crate::model::{Alert, Transition};
use crate::store::{NoticeState, Store};
use crate::text::safe;

/// Show alerts from the store of `run`
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
    /// Config whose state folder is read
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Living alerts, worst first
    List {
        /// Only this target
        #[arg(long)]
        target: Option<String>,
        /// For a script
        #[arg(long)]
        json: bool,
    },
    /// One alert: facts, history, what was told to whom and why not
    Show {
        /// Its id, or the first characters of it
        id: String,
    },
}

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let env = Env::real();
    let config = args.config.as_deref().map(|path| load_config(path, &env)).transpose()?;
    let store = existing_store(config.as_ref(), &env)?.context("there is no store yet: `pgsteward run` makes one")?;
    match &args.command {
        Command::List { target, json } => {
            let mut alerts = store.alerts(target.as_deref())?;
            alerts.sort_by(|a, b| (b.severity, &a.target, &a.rule).cmp(&(a.severity, &b.target, &b.rule)));
            let text = if *json { format!("{}\n", serde_json::to_string_pretty(&alerts)?) } else { list(&alerts, Clock::System.now()) };
            term::out(&text);
        }
        Command::Show { id } => {
            let alerts = store.alerts(None)?;
            let matching: Vec<&Alert> = alerts.iter().filter(|a| a.fingerprint.0.starts_with(id.as_str())).collect();
            match matching.as_slice() {
                [alert] => term::out(&show(&store, alert)?),
                [] => history_only(&store, id)?,
                several => bail!("`{id}` begins {} ids; give more characters", several.len()),
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn list(alerts: &[Alert], now: DateTime<Utc>) -> String {
    if alerts.is_empty() {
        return "no alert\n".into();
    }
    let rows: Vec<Vec<String>> = alerts
        .iter()
        .map(|a| {
            let since = a.fired_at.unwrap_or(a.active_at);
            vec![
                a.fingerprint.0.chars().take(8).collect(),
                a.severity.to_string(),
                a.state.to_string(),
                pgsteward_helpers::span((now - since).num_seconds().max(0) as f64),
                a.target.clone(),
                a.rule.clone(),
                a.subject.to_string(),
                a.suppressed_by.clone().or_else(|| a.held.clone()).unwrap_or_default(),
            ]
        })
        .collect();
    table::render(&["id", "severity", "state", "for", "target", "rule", "subject", "held back by"], &rows)
}

fn show(store: &Store, alert: &Alert) -> anyhow::Result<String> {
    let mut text = format!(
        "{}  {} on {}  {}\n{}\n",
        styled(severity_style(alert.severity), &alert.severity.as_str().to_uppercase()),
        styled(BOLD, &alert.rule),
        safe(&alert.target),
        safe(&alert.subject.to_string()),
        safe(&alert.summary),
    );
    if !alert.detail.is_empty() {
        text.push_str(&format!("{}\n", safe(&alert.detail)));
    }
    text.push_str(&styled(DIM, &format!("{} since {}, id {}\n", alert.state, alert.active_at.format("%F %TZ"), alert.fingerprint)));
    for (label, note) in [("held", &alert.held), ("kept back by", &alert.suppressed_by)] {
        if let Some(note) = note {
            text.push_str(&format!("{label}: {}\n", safe(note)));
        }
    }
    text.push_str(&evidence(&alert.evidence));
    text.push_str(&told(store, alert)?);
    text.push_str(&history(&store.alert_history(&alert.fingerprint.0)?));
    if !alert.runbook.is_empty() {
        text.push_str(&format!("\n{}\n", alert.runbook.trim_end()));
    }
    Ok(text)
}

/// What each channel was told, and why one was not.
fn told(store: &Store, alert: &Alert) -> anyhow::Result<String> {
    let mut rows = Vec::new();
    for notice in store.notices_of(&alert.fingerprint.0)? {
        let (state, detail) = match notice.state {
            NoticeState::Waiting { due } => (format!("waits until {}", due.format("%TZ")), notice.error.unwrap_or_default()),
            NoticeState::Delivered { receipt, .. } => ("delivered".to_string(), receipt),
            NoticeState::Dead { .. } => ("given up".to_string(), notice.error.unwrap_or_default()),
            NoticeState::Collapsed { .. } => ("needless: it was over before".to_string(), String::new()),
            NoticeState::Handed { .. } => ("its fallback was told".to_string(), notice.error.unwrap_or_default()),
        };
        let sent = notice.notice;
        rows.push(vec![notice.queued_at.format("%F %TZ").to_string(), sent.channel, sent.kind.to_string(), state, detail]);
    }
    for record in store.decision_records(&alert.fingerprint.0)? {
        if !record.record.sent {
            let channel = record.record.channel.clone().unwrap_or_default();
            rows.push(vec![
                record.at.format("%F %TZ").to_string(),
                channel,
                String::new(),
                "not sent".into(),
                record.record.reason.to_string(),
            ]);
        }
    }
    rows.sort();
    Ok(if rows.is_empty() {
        String::new()
    } else {
        format!("\nTold\n{}", table::render(&["at", "channel", "what", "state", "detail"], &rows))
    })
}

fn history(transitions: &[Transition]) -> String {
    let rows: Vec<Vec<String>> = transitions
        .iter()
        .map(|t| {
            vec![
                t.at.format("%F %TZ").to_string(),
                format!("{} -> {}", t.from, t.to),
                t.severity.to_string(),
                t.rule_hash.chars().take(12).collect(),
                t.reason.to_string(),
            ]
        })
        .collect();
    if rows.is_empty() {
        String::new()
    } else {
        format!("\nHistory\n{}", table::render(&["at", "state", "severity", "rule text", "why"], &rows))
    }
}

/// An alert that is over has left the book; its history has not.
fn history_only(store: &Store, id: &str) -> anyhow::Result<()> {
    let transitions = store.alert_history(id)?;
    if transitions.is_empty() {
        bail!("no alert's id begins with `{id}`; `pgsteward alerts list` shows them");
    }
    term::out(&format!("over{}", history(&transitions)));
    Ok(())
}
