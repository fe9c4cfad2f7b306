//! `alerts show`: one alert, living or over: facts, state changes, what was told to whom and why not.

use std::process::ExitCode;

use anyhow::bail;
use chrono::{DateTime, Utc};

use crate::alert::is_matched;
use crate::app::explain::Said;
use crate::cli::place::Place;
use crate::cli::shared::evidence;
use crate::cli::table;
use crate::cli::term::{self, BOLD, DIM, severity_style, styled};
use crate::clock::Clock;
use crate::model::{Ack, Alert, Fingerprint, Severity, Silence, Target, Transition};
use crate::store::{EpisodeFilter, EpisodeSummary, Store};
use crate::text::safe;

/// One alert, living or over: facts, state changes, notices with receipts, acknowledgement, silences
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Its id, or the first characters of it
    id: String,
}

pub(super) fn run(args: &Args, place: &Place) -> anyhow::Result<ExitCode> {
    let store = place.read_store()?;
    let (target, fingerprint) = one(&store, &args.id)?;
    let alerts = store.alerts_by_prefix(&fingerprint.0)?;
    let mut text = match alerts.iter().find(|alert| alert.target == target) {
        Some(alert) => living(&store, alert, place, Clock::System.now())?,
        None => over(&store, &target, &fingerprint)?,
    };
    text.push_str(&told(&store, &fingerprint)?);
    text.push_str(&changes(&store.alert_history(&fingerprint.0)?));
    if let Some(alert) = alerts.iter().find(|alert| alert.target == target && !alert.runbook.is_empty()) {
        text.push_str(&format!("\n{}\n", alert.runbook.trim_end().lines().map(safe).collect::<Vec<_>>().join("\n")));
    }
    text.push_str(&styled(DIM, &format!("\nWhy: pgsteward explain RULE SUBJECT --target {}\n", safe(&target))));
    term::out(&text);
    Ok(ExitCode::SUCCESS)
}

/// The alert whose id begins so.
fn one(store: &Store, id: &str) -> anyhow::Result<(String, Fingerprint)> {
    let mut found = store.alerts_like(id)?;
    match (found.pop(), found.len()) {
        (Some(alert), 0) => Ok(alert),
        (Some(_), more) => bail!("`{}` begins {} ids; give more characters", safe(id), more + 1),
        (None, _) => bail!("no alert's id begins with `{}`; `pgsteward alerts list` and `alerts history` show them", safe(id)),
    }
}

fn head(severity: Severity, rule: &str, target: &str, subject: &str, summary: &str) -> String {
    let bad = styled(severity_style(severity), &severity.as_str().to_uppercase());
    format!("{bad}  {} on {}  {}\n{}\n", styled(BOLD, rule), safe(target), safe(subject), safe(summary))
}

fn living(store: &Store, alert: &Alert, place: &Place, now: DateTime<Utc>) -> anyhow::Result<String> {
    let mut text = head(alert.severity, &alert.rule, &alert.target, &alert.subject.to_string(), &alert.summary);
    if !alert.detail.is_empty() {
        text.push_str(&format!("{}\n", safe(&alert.detail)));
    }
    let since = alert.active_at.format("%F %TZ");
    text.push_str(&styled(DIM, &format!("{} since {since}, id {}, episode {}\n", alert.state, alert.fingerprint, safe(&alert.episode))));
    for (label, note) in [("held", &alert.held), ("kept back by", &alert.suppressed_by)] {
        if let Some(note) = note {
            text.push_str(&format!("{label}: {}\n", safe(note)));
        }
    }
    if let Some(ack) = store.acks(&alert.target)?.get(&alert.fingerprint) {
        text.push_str(&acked(ack));
    }
    let target = Target { name: alert.target.clone(), ..Target::default() };
    let silences = store.silences_since(now)?;
    let planned = place.config.iter().flat_map(|config| &config.silences).filter(|one| one.ends_at > now);
    for silence in silences.iter().chain(planned).filter(|silence| is_matched(alert, &target, &silence.matchers)) {
        text.push_str(&silenced(silence));
    }
    text.push_str(&evidence(&alert.evidence));
    Ok(text)
}

fn acked(ack: &Ack) -> String {
    let until = ack.until.map_or(String::new(), |until| format!(", until {}", until.format("%F %TZ")));
    let note = if ack.note.is_empty() { String::new() } else { format!(": {}", safe(&ack.note)) };
    format!("acknowledged by {} at {}{until}{note}\n", safe(&ack.who), ack.at.format("%F %TZ"))
}

fn silenced(silence: &Silence) -> String {
    let (from, until) = (silence.starts_at.format("%F %TZ"), silence.ends_at.format("%F %TZ"));
    format!("silence {} by {}, {from} until {until}: {}\n", safe(&silence.id), safe(&silence.author), safe(&silence.reason))
}

fn over(store: &Store, target: &str, fingerprint: &Fingerprint) -> anyhow::Result<String> {
    let filter = EpisodeFilter { target: Some(target.into()), fingerprint: Some(fingerprint.0.clone()), ..EpisodeFilter::default() };
    let episodes = store.episodes(&filter)?;
    let Some(last) = episodes.first() else { bail!("nothing is kept of that alert any more") };
    let EpisodeSummary { severity, rule, subject, summary, state, ended, .. } = last;
    let mut text = head(*severity, rule, target, &subject.to_string(), summary);
    let at = ended.map_or(String::new(), |at| format!(" since {}", at.format("%F %TZ")));
    let kept = if episodes.len() == 1 { "1 episode is kept".into() } else { format!("{} episodes are kept", episodes.len()) };
    text.push_str(&styled(DIM, &format!("{state}{at}, id {fingerprint}, episode {}; {kept}\n", safe(&last.episode))));
    Ok(text)
}

/// What each channel was told, and why one was not.
fn told(store: &Store, fingerprint: &Fingerprint) -> anyhow::Result<String> {
    let mut rows = Vec::new();
    for notice in store.notices_of(&fingerprint.0)? {
        let said = Said::of(&notice);
        rows.push((said.at, vec![notice.notice.channel.clone(), said.kind.to_string(), said.state, said.detail]));
    }
    for choice in store.decision_records(&fingerprint.0)?.into_iter().filter(|choice| !choice.record.sent) {
        let channel = choice.record.channel.clone().unwrap_or_default();
        rows.push((choice.at, vec![channel, String::new(), "not sent".into(), choice.record.reason.to_string()]));
    }
    rows.sort();
    let dated = |(at, row): (DateTime<Utc>, Vec<String>)| [vec![at.format("%F %TZ").to_string()], row].concat();
    let rows: Vec<Vec<String>> = rows.into_iter().map(dated).collect();
    let title = styled(BOLD, "Told");
    Ok(if rows.is_empty() {
        String::new()
    } else {
        format!("\n{title}\n{}", table::render(&["at", "channel", "what", "state", "detail"], &rows))
    })
}

fn changes(transitions: &[Transition]) -> String {
    let row = |t: &Transition| {
        vec![
            t.at.format("%F %TZ").to_string(),
            format!("{} -> {}", t.from, t.to),
            t.severity.to_string(),
            t.rule_hash.chars().take(12).collect(),
            t.reason.to_string(),
        ]
    };
    let rows: Vec<Vec<String>> = transitions.iter().map(row).collect();
    let title = styled(BOLD, "History");
    if rows.is_empty() {
        String::new()
    } else {
        format!("\n{title}\n{}", table::render(&["at", "state", "severity", "rule text", "why"], &rows))
    }
}
