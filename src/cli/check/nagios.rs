//! `check --format nagios`: one line with performance data, then one line a finding, as Nagios-like schedulers read it.

use crate::app::report::{Report, exit};
use crate::model::Severity;
use crate::text::safe;

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
    let first = rows.first().filter(|row| row.finding.severity > Severity::Info).map_or_else(
        || if report.reached() { "nothing to report".to_string() } else { "no connection".to_string() },
        |row| format!("{}: {}", row.meta.id, row.finding.summary),
    );
    let cost = report.snapshot.cost.server_ms;
    let mut text = format!(
        "PGSTEWARD {word} - {} - {}|critical={critical};;1;0; warning={warning};1;;0; advice={info};;;0; unknown={blind};;;0; server_ms={cost:.0}ms;;;0;\n",
        field(&report.snapshot.target.name),
        field(&first),
    );
    for row in rows.iter().filter(|row| row.finding.severity > Severity::Info) {
        text.push_str(&format!("{} {}: {}\n", row.finding.severity, row.meta.id, field(&row.finding.summary)));
    }
    text
}

/// `|` begins performance data and a line break ends the line: neither may come from a server.
fn field(text: &str) -> String {
    safe(text).replace('|', "/")
}
