//! `check` for a person: the worst first, each with why and what to do; then what could not be told.

use crate::app::report::{Blind, Earlier, Report, Row};
use crate::cli::term::{BOLD, DIM, GOOD, bar, ends, severity_style, shown_width, styled, wrapped};
use crate::deliver::render::cut;
use crate::model::{Evidence, Severity, Snapshot, State, Tier, Unit};
use crate::text::safe;
use pgsteward_helpers::span;

/// What is shown beyond the default.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Columns to fill.
    pub width: usize,
    /// Advice in full, not only counted.
    pub advice: bool,
    /// Every finding of a rule, not only the first few.
    pub all: bool,
}

/// Findings shown of one rule unless all are asked for.
const PER_RULE: usize = 5;
/// Columns of the name of a fact; a longer one, an expression, is cut.
const NAME_WIDTH: usize = 36;
/// Rules that could not tell, shown unless all are asked for.
const BLIND_SHOWN: usize = 12;

/// The whole page.
#[must_use]
pub fn render(report: &Report, options: Options) -> String {
    let rows = report.rows();
    let mut page = header(&report.snapshot, report.earlier, options.width);
    page.push_str(&totals(report, &rows, options.width));
    let (advice, urgent): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.finding.severity == Severity::Info);
    page.push_str(&findings(&urgent, options));
    if options.advice {
        page.push_str(&findings(&advice, options));
    } else if !advice.is_empty() {
        page.push_str(&advice_line(&advice, options.width));
    }
    page.push_str(&blind_part(&report.blind(), options));
    page.push_str(&foot(report));
    page
}

fn header(snapshot: &Snapshot, earlier: Earlier, width: usize) -> String {
    let name = styled(BOLD, &safe(&snapshot.target.name));
    let left = match &snapshot.server {
        None => format!("{name}  could not be reached"),
        Some(server) => {
            let role = match server.in_recovery {
                Some(true) => "standby",
                Some(false) => "primary",
                None => "role unknown",
            };
            let uptime = snapshot.frame("instance").and_then(|f| f.number("uptime", 0));
            let up = uptime.map_or(String::new(), |s| format!(", up {}", span(s)));
            format!("{name}  PostgreSQL {}, {role}{up}", safe(server.short_version()))
        }
    };
    let samples = match earlier {
        Earlier::Sampled(s) => format!("2 samples {} apart", span(s)),
        Earlier::Stored(s) => format!("1 sample, {} after the stored tick", span(s)),
        Earlier::None => "1 sample".into(),
    };
    let cost = &snapshot.cost;
    let right = format!(
        "{samples}; cost the server {} ms, {} {}",
        cost.server_ms.round(),
        cost.connections,
        if cost.connections == 1 { "connection" } else { "connections" }
    );
    format!("{}\n\n", ends(&left, &styled(DIM, &right), width))
}

fn totals(report: &Report, rows: &[Row<'_>], width: usize) -> String {
    let count = |severity| rows.iter().filter(|row| row.finding.severity == severity).count();
    let item = |severity: Severity, label: &str| {
        let n = count(severity);
        let text = format!("{label}  {n}");
        if n > 0 { styled(severity_style(severity), &text) } else { styled(DIM, &text) }
    };
    let blind = report.blind().len();
    let left = [
        item(Severity::Critical, "CRITICAL"),
        item(Severity::Warning, "WARNING"),
        item(Severity::Info, "ADVICE"),
        if blind > 0 { format!("COULD NOT TELL  {blind}") } else { styled(DIM, "COULD NOT TELL  0") },
        styled(GOOD, &format!("ok  {}", report.quiet())),
    ]
    .join("    ");
    format!("{}\n", ends(&left, &pages(rows), width))
}

/// Who would be woken: now, and by what is still waiting for its `for`.
fn pages(rows: &[Row<'_>]) -> String {
    let pages = || rows.iter().filter(|row| row.meta.tier == Tier::Page && row.finding.severity > Severity::Info);
    let now = pages().filter(|row| fires_now(row)).count();
    let later: Vec<f64> = pages().filter(|row| !fires_now(row)).map(remaining_s).collect();
    let first = later.iter().copied().fold(f64::INFINITY, f64::min);
    match (now, later.len()) {
        (0, 0) => String::new(),
        (n, 0) => format!("pages now: {n}"),
        (0, n) => format!("pages in {} if it lasts: {n}", span(first)),
        (n, m) => format!("pages now: {n}, in {} if it lasts: {m}", span(first)),
    }
}

fn fires_now(row: &Row<'_>) -> bool {
    row.alert.map_or(row.meta.for_s == 0, |alert| matches!(alert.state, State::Firing | State::Recovering))
}

fn remaining_s(row: &Row<'_>) -> f64 {
    let proven = row.alert.map_or(0, |alert| (alert.seen_at - alert.active_at).num_seconds().max(0));
    (row.meta.for_s as i64 - proven).max(0) as f64
}

fn findings(rows: &[Row<'_>], options: Options) -> String {
    let mut text = String::new();
    let mut index = 0;
    while index < rows.len() {
        let same = rows[index..]
            .iter()
            .take_while(|r| r.meta.id == rows[index].meta.id && r.finding.severity == rows[index].finding.severity)
            .count();
        let shown = if options.all { same } else { same.min(PER_RULE) };
        for row in &rows[index..index + shown] {
            text.push('\n');
            text.push_str(&finding(row, options.width));
        }
        if same > shown {
            text.push_str(&styled(DIM, &format!("   and {} more of {}: --all\n", same - shown, rows[index].meta.id)));
        }
        index += same;
    }
    text
}

fn finding(row: &Row<'_>, width: usize) -> String {
    let (meta, f) = (row.meta, row.finding);
    let label = if f.severity == Severity::Info { "ADVICE".to_string() } else { f.severity.as_str().to_uppercase() };
    let subject = if f.subject.is_empty() { String::new() } else { format!("  {}", safe(&f.subject.to_string())) };
    let left = format!("{}  {}{subject}", styled(severity_style(f.severity), &format!("{label:<8}")), styled(BOLD, &meta.id));
    let mut text = format!("{}\n", ends(&left, &dim(&timing(row)), width));
    text.push_str(&paragraph("   ", &f.summary, width));
    for evidence in f.evidence.iter().take(6) {
        text.push_str(&fact(evidence, width));
    }
    if !f.detail.is_empty() {
        text.push_str(&paragraph("   Why   ", &f.detail, width));
    }
    text.push_str(&advice(row, width));
    text
}

fn dim(text: &str) -> String {
    if text.is_empty() { String::new() } else { styled(DIM, text) }
}

/// When it wakes or tells somebody.
fn timing(row: &Row<'_>) -> String {
    let verb = match row.meta.tier {
        Tier::Page => "pages",
        Tier::Ticket => "fires",
        Tier::Advice => return String::new(),
    };
    match row.alert {
        Some(alert) if alert.state == State::Firing => match alert.fired_at {
            Some(at) if alert.seen_at > at => format!("firing for {}", span((alert.seen_at - at).num_seconds() as f64)),
            _ => format!("{verb} now"),
        },
        _ if fires_now(row) => format!("{verb} now"),
        _ => format!("{verb} in {} if it lasts", span(remaining_s(row))),
    }
}

fn paragraph(first: &str, text: &str, width: usize) -> String {
    let rest = " ".repeat(first.chars().count());
    format!("{}\n", wrapped(&safe(text), first, &rest, width))
}

fn fact(evidence: &Evidence, width: usize) -> String {
    let value = evidence.value.map_or("unknown".to_string(), |v| evidence.unit.show(v));
    let limit = evidence.threshold.map_or(String::new(), |t| format!("   limit {}", evidence.unit.show(t)));
    let name = safe(&evidence.metric);
    let line = format!("{:<NAME_WIDTH$} {value:>14}{limit}", cut(&name, NAME_WIDTH));
    let room = width.saturating_sub(shown_width(&line) + 8).min(30);
    let gauge = match (evidence.unit, evidence.value) {
        (Unit::Percent, Some(value)) if room >= 10 => format!("   {}", bar(value / 100.0, room)),
        _ => String::new(),
    };
    format!("   {}\n", styled(DIM, &format!("{line}{gauge}")))
}

fn advice(row: &Row<'_>, width: usize) -> String {
    let mut text = String::new();
    for (index, action) in row.finding.actions.iter().enumerate() {
        let first = if index == 0 { "   Do    " } else { "   Also  " };
        let words = action.params.get("text").filter(|_| action.kind == "note").cloned();
        let line = match (words, action.sql()) {
            (Some(note), _) => note,
            (None, Ok(Some(sql))) if action.why.is_empty() => format!("{sql};"),
            (None, Ok(Some(sql))) => format!("{sql};    ({})", action.why),
            (None, Ok(None)) => action.why.clone(),
            (None, Err(problem)) => format!("(the rule's advice cannot be built: {problem})"),
        };
        text.push_str(&paragraph(first, &line, width));
    }
    if row.finding.actions.is_empty()
        && let Some(line) = row.meta.runbook.lines().find_map(|l| l.trim().strip_prefix("Do:"))
    {
        text.push_str(&paragraph("   Do    ", line.trim(), width));
    }
    text
}

/// Advice in one line: how many of what.
fn advice_line(rows: &[Row<'_>], width: usize) -> String {
    let mut groups: Vec<(&str, usize)> = Vec::new();
    for row in rows {
        match groups.iter_mut().find(|(id, _)| *id == row.meta.id) {
            Some((_, n)) => *n += 1,
            None => groups.push((&row.meta.id, 1)),
        }
    }
    let list: Vec<String> = groups.iter().map(|(id, n)| if *n > 1 { format!("{n} {id}") } else { (*id).to_string() }).collect();
    let label = styled(severity_style(Severity::Info), "ADVICE  ");
    format!("\n{label}  {}\n", wrapped(&format!("{}    show: --advice", list.join(", ")), "", "          ", width.saturating_sub(10)))
}

/// What could not be told, grouped by the reason, with what mends it.
fn blind_part(blind: &[Blind<'_>], options: Options) -> String {
    if blind.is_empty() {
        return String::new();
    }
    let mut groups: Vec<(&str, Option<&str>, Vec<&str>)> = Vec::new();
    for b in blind {
        match groups.iter_mut().find(|(reason, _, _)| *reason == b.reason) {
            Some((_, _, rules)) => rules.push(&b.meta.id),
            None => groups.push((&b.reason, b.remedy.as_deref(), vec![&b.meta.id])),
        }
    }
    let mut text = format!("\n{}\n", styled(BOLD, "COULD NOT TELL"));
    let shown = if options.all { groups.len() } else { BLIND_SHOWN };
    for (reason, remedy, rules) in groups.iter().take(shown) {
        text.push_str(&paragraph("   ", &rules.join(", "), options.width));
        text.push_str(&styled(DIM, &paragraph("      ", reason, options.width)));
        if let Some(remedy) = remedy {
            text.push_str(&paragraph("      mend: ", remedy, options.width));
        }
    }
    if groups.len() > shown {
        text.push_str(&styled(DIM, &format!("   and {} more reasons: --all\n", groups.len() - shown)));
    }
    text
}

fn foot(report: &Report) -> String {
    let meaning = match report.exit_code() {
        0 => "ok",
        1 => "warning",
        2 => "critical",
        _ => "could not tell",
    };
    let hint = format!(
        "exit {} ({meaning})    one rule: pgsteward rules show ID    scripts: --format json|nagios    pages only: --tier page",
        report.exit_code()
    );
    format!("\n{}\n", styled(DIM, &hint))
}
