//! `check --format nagios`: one line with performance data, then one line a finding, as Nagios-like schedulers read it.

use crate::app::report::{Report, Row, exit};
use crate::model::{Severity, Tier};
use crate::text::safe;

/// Findings that get a line; schedulers read a few kilobytes and drop the rest.
const LINES: usize = 40;

/// The plugin output.
#[must_use]
pub fn render(report: &Report) -> String {
    let rows = report.rows();
    let count = |severity| rows.iter().filter(|row| row.finding.severity == severity).count();
    let (critical, warning, info) = (count(Severity::Critical), count(Severity::Warning), count(Severity::Info));
    let blind = report.blind().len();
    let word = match report.exit_code() {
        exit::OK => "OK",
        exit::WARNING => "WARNING",
        exit::CRITICAL => "CRITICAL",
        _ => "UNKNOWN",
    };
    let urgent: Vec<&Row<'_>> = rows.iter().filter(|row| row.finding.severity > Severity::Info).collect();
    let first = urgent.first().map_or_else(|| without_finding(report), |row| format!("{}: {}", row.meta.id, row.finding.summary));
    let cost = report.snapshot.cost.server_ms;
    let mut text = format!(
        "PGSTEWARD {word} - {} - {}|critical={critical};;0;0; warning={warning};0;;0; advice={info};;;0; unknown={blind};;;0; server_ms={cost:.0}ms;;;0;\n",
        field(&report.snapshot.target.name),
        field(&first),
    );
    for row in urgent.iter().take(LINES) {
        text.push_str(&format!("{} {}: {}\n", row.finding.severity, row.meta.id, field(&row.finding.summary)));
    }
    if urgent.len() > LINES {
        text.push_str(&format!("and {} more\n", urgent.len() - LINES));
    }
    text
}

/// The first line where no rule has found anything: well, or why that cannot be said.
fn without_finding(report: &Report) -> String {
    if !report.reached() {
        return "no connection".into();
    }
    let blind = report.blind();
    match blind.iter().find(|b| b.meta.tier == Tier::Page).filter(|_| report.exit_code() == exit::UNKNOWN) {
        Some(b) => format!("{} could not tell: {}", b.meta.id, b.reason),
        None => report.unusable.first().map_or_else(|| "nothing to report".into(), Clone::clone),
    }
}

/// `|` begins performance data and a line break ends the line: neither may come from a server.
fn field(text: &str) -> String {
    safe(text).replace('|', "/")
}
