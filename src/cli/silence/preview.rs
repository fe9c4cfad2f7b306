//! `silence preview`: what conditions match now, and matched in the last days.

use std::process::ExitCode;

use chrono::{DateTime, Utc};

use crate::app::silence::{self, DAYS, Preview, Taken};
use crate::cli::place::Place;
use crate::cli::shared::{clock, counted, matchers};
use crate::cli::table;
use crate::cli::term;
use crate::clock::Clock;

/// Show what conditions match now, and matched in the last 7 days
///
/// `--json` prints `{"now": [..], "lately": [..]}`, each with severity, rule, target, subject and the time at which it last was so.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which alerts
    #[arg(value_name = "MATCHERS", required = true)]
    matchers: Vec<String>,
    /// For a script
    #[arg(long)]
    json: bool,
}

/// Alerts shown of each list.
const SHOWN: usize = 10;

pub(super) fn run(args: &Args, place: &Place) -> anyhow::Result<ExitCode> {
    let now = Clock::System.now();
    let found = silence::preview(&place.read_store()?, &matchers(&args.matchers)?, now)?;
    term::out(&if args.json { format!("{}\n", serde_json::to_string_pretty(&found)?) } else { page(&found, now) });
    Ok(ExitCode::SUCCESS)
}

/// Both lists, each cut to the worst.
pub(super) fn page(found: &Preview, now: DateTime<Utc>) -> String {
    let mut page = part(&format!("It matches {} now", counted(found.now.len(), "alert")), &found.now, now);
    let lately = format!("It matched {} in the last {DAYS} days", counted(found.lately.len(), "alert"));
    page.push_str(&part(&lately, &found.lately, now));
    if found.now.is_empty() && found.lately.is_empty() {
        page.push_str("Is every name spelt as alerts have it? `pgsteward alerts list --json` shows their labels.\n");
    }
    page
}

fn part(title: &str, taken: &[Taken], now: DateTime<Utc>) -> String {
    if taken.is_empty() {
        return format!("{title}.\n");
    }
    let row =
        |one: &Taken| vec![one.severity.to_string(), one.rule.clone(), one.target.clone(), one.subject.to_string(), clock(one.at, now)];
    let rows: Vec<Vec<String>> = taken.iter().take(SHOWN).map(row).collect();
    let more = taken.len().saturating_sub(SHOWN);
    let rest = if more > 0 { format!("and {more} more\n") } else { String::new() };
    format!("{title}:\n{}{rest}", table::render(&["severity", "rule", "target", "subject", "last so"], &rows))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Labels, Severity};

    #[test]
    fn the_worst_ten_are_shown_and_the_rest_is_counted() {
        let now = DateTime::UNIX_EPOCH;
        let one = |n: usize| Taken {
            severity: Severity::Warning,
            rule: "table_bloat".into(),
            target: "shop".into(),
            subject: Labels::from_iter([("table", format!("t{n:02}"))]),
            at: now,
        };
        let text = page(&Preview { now: vec![one(0)], lately: (0..12).map(one).collect() }, now);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "It matches 1 alert now:");
        assert_eq!(lines[2], "warning   table_bloat  shop    t00      00:00:00Z");
        assert_eq!((lines[3], lines[lines.len() - 1]), ("It matched 12 alerts in the last 7 days:", "and 2 more"));
        assert!(page(&Preview::default(), now).contains("Is every name spelt"));
    }
}
