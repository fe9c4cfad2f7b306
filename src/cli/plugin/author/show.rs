//! How one evaluation of a plugin's rule is shown to its author: findings, use against limits, log lines.

use pgsteward_sandbox::{Limits, LogLine, Use};

use crate::cli::shared::{counted, evidence};
use crate::cli::table;
use crate::cli::term::{self, BOLD, DIM, severity_style, styled};
use crate::model::{Evaluation, Finding, Outcome};
use crate::text::safe;

/// Findings of one rule that are shown in short before the rest is only counted.
const SHORTLY: usize = 20;

/// How an evaluation ended, a line a finding.
pub(in crate::cli::plugin) fn shortly(rule: &str, outcome: &Outcome) -> String {
    let Outcome::Ok(Evaluation { findings, unknown, .. }) = outcome else { return ended(rule, outcome) };
    let unknown = if *unknown == 0 { String::new() } else { format!(", {unknown} unknown") };
    let mut text = format!("{}  {}{unknown}\n", styled(BOLD, rule), counted(findings.len(), "finding"));
    findings.iter().take(SHORTLY).for_each(|finding| text.push_str(&headline(finding)));
    if findings.len() > SHORTLY {
        text.push_str(&styled(DIM, &format!("   and {} more\n", findings.len() - SHORTLY)));
    }
    text
}

/// That an evaluation came to no end, and why.
pub(in crate::cli::plugin) fn ended(rule: &str, outcome: &Outcome) -> String {
    let line = format!("{}  {}  {}", styled(BOLD, rule), outcome.word(), safe(&outcome.reason()));
    format!("{}\n", term::wrapped(line.trim_end(), "", "   ", term::width()))
}

fn headline(finding: &Finding) -> String {
    let severity = styled(severity_style(finding.severity), &format!("{:<8}", finding.severity.as_str()));
    format!("{}\n", term::wrapped(&format!("{severity}  {}", safe(&finding.summary)), "   ", "             ", term::width()))
}

/// One finding with all that it says.
pub(in crate::cli::plugin) fn whole(finding: &Finding) -> String {
    let mut text = headline(finding);
    if !finding.detail.is_empty() {
        text.push_str(&format!("{}\n", term::wrapped(&safe(&finding.detail), "      ", "      ", term::width())));
    }
    text.push_str(&evidence(&finding.evidence));
    for action in &finding.actions {
        let sql = action.sql().ok().flatten().unwrap_or_default();
        text.push_str(&format!("   advice: {}  {}\n", safe(&action.kind), safe(&action.why)));
        if !sql.is_empty() {
            text.push_str(&format!("{}\n", term::wrapped_whole(&safe(&sql), "      ", "      ", term::width())));
        }
    }
    text
}

/// What was used of each limit.
pub(in crate::cli::plugin) fn limits(used: &Use, limits: &Limits) -> String {
    let row = |(name, used, limit): &(&str, u64, u64)| {
        vec![(*name).to_string(), used.to_string(), limit.to_string(), format!("{:.1} %", *used as f64 * 100.0 / *limit as f64)]
    };
    let rows: Vec<Vec<String>> = used.against(limits).iter().map(row).collect();
    table::render(&["limit", "used", "most", "share"], &rows)
}

/// What the plugin logged.
pub(in crate::cli::plugin) fn log(lines: &[LogLine]) -> String {
    lines.iter().map(|line| format!("   {:<5}  {}\n", line.level, safe(&line.message))).collect()
}
