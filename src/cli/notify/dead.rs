//! `notify dead`: what was given up.

use std::process::ExitCode;

use serde_json::{Value, json};

use crate::cli::place::Place;
use crate::cli::table;
use crate::cli::term;
use crate::store::{DeadFilter, NoticeState, SentNotice};

/// Show notices that were given up, oldest first
///
/// `--json` prints a list: key, channel, kind, target, rule, subject, severity, summary, decided, given_up, attempts, error.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only of this channel
    #[arg(long, value_name = "NAME")]
    channel: Option<String>,
    /// For a script
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args, place: &Place) -> anyhow::Result<ExitCode> {
    let store = place.read_store()?;
    let dead = store.dead_letters(&DeadFilter { channel: args.channel.clone(), ..DeadFilter::default() })?;
    if let Some(channel) = args.channel.as_deref().filter(|_| dead.is_empty()) {
        place.know_channel(channel, &store)?;
    }
    term::out(&if args.json {
        format!("{}\n", serde_json::to_string_pretty(&dead.iter().map(document).collect::<Vec<_>>())?)
    } else if dead.is_empty() {
        "nothing was given up\n".into()
    } else {
        let rows: Vec<Vec<String>> = dead.iter().map(row).collect();
        let table = table::render(&["key", "channel", "what", "target", "rule", "subject", "attempts", "error"], &rows);
        format!("{table}\nAgain, once what was in the way is mended: pgsteward notify redrive --all, or KEY..\n")
    });
    Ok(ExitCode::SUCCESS)
}

fn row(sent: &SentNotice) -> Vec<String> {
    let notice = &sent.notice;
    vec![
        notice.key.chars().take(12).collect(),
        notice.channel.clone(),
        notice.kind.to_string(),
        notice.target.clone(),
        notice.rule.clone(),
        notice.subject.to_string(),
        sent.attempts.to_string(),
        sent.error.clone().unwrap_or_default(),
    ]
}

fn document(sent: &SentNotice) -> Value {
    let notice = &sent.notice;
    let given_up = match sent.state {
        NoticeState::Dead { at } => Some(at),
        _ => None,
    };
    json!({
        "key": notice.key,
        "channel": notice.channel,
        "kind": notice.kind,
        "target": notice.target,
        "rule": notice.rule,
        "subject": notice.subject,
        "severity": notice.severity,
        "summary": notice.summary,
        "decided": sent.queued_at,
        "given_up": given_up,
        "attempts": sent.attempts,
        "error": sent.error,
    })
}
