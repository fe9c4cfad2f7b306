//! `check` for a person: the worst first, each with why and what to do; then what could not be told.

use crate::app::report::{Blind, Earlier, Report, Row};
use crate::cli::term::{BOLD, DIM, GOOD, bar, ends, flow, severity_style, shown_width, styled, wrapped, wrapped_whole};
use crate::model::{ActionRequest, Evidence, MissingReason, Reading, Severity, Snapshot, State, Tier, Unit};
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
/// Columns of a value or a limit; a longer one is no number that anybody reads.
const VALUE_WIDTH: usize = 18;
/// Facts shown of one finding.
const FACTS: usize = 6;
/// Columns of a gauge; with less room than the least there is none.
const GAUGE_WIDTH: usize = 30;
const LEAST_GAUGE: usize = 10;
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
    page.push_str(&blind_part(report, options));
    page.push_str(&foot(report, options.width));
    page
}

fn header(snapshot: &Snapshot, earlier: Earlier, width: usize) -> String {
    let name = styled(BOLD, &safe(&snapshot.target.name));
    let left = match &snapshot.server {
        None => format!("{name}  {}", why_no_answer(snapshot)),
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
        "{samples}; asking took {} ms, {} {}",
        cost.server_ms.round(),
        cost.connections,
        if cost.connections == 1 { "connection" } else { "connections" }
    );
    format!("{}\n\n", ends(&left, &styled(DIM, &right), width))
}

/// Down and locked out are mended by different people.
fn why_no_answer(snapshot: &Snapshot) -> &'static str {
    let has = |reason| snapshot.frames.values().any(|reading| matches!(reading, Reading::Missing(missing) if missing.reason == reason));
    if has(MissingReason::LoginRefused) {
        "refuses our login"
    } else if has(MissingReason::TooManyClients) {
        "has no free connection"
    } else {
        "could not be reached"
    }
}

fn totals(report: &Report, rows: &[Row<'_>], width: usize) -> String {
    let count = |severity| rows.iter().filter(|row| row.finding.severity == severity).count();
    let item = |severity: Severity, label: &str| {
        let n = count(severity);
        let text = format!("{label}  {n}");
        if n > 0 { styled(severity_style(severity), &text) } else { styled(DIM, &text) }
    };
    let blind = report.blind().len();
    let items = [
        item(Severity::Critical, "CRITICAL"),
        item(Severity::Warning, "WARNING"),
        item(Severity::Info, "ADVICE"),
        if blind > 0 { format!("COULD NOT TELL  {blind}") } else { styled(DIM, "COULD NOT TELL  0") },
        styled(GOOD, &format!("ok  {}", report.quiet())),
    ];
    let left = flow(&items, "    ", "", width);
    let right = pages(rows);
    if left.contains('\n') && !right.is_empty() { format!("{left}\n{right}\n") } else { format!("{}\n", ends(&left, &right, width)) }
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
    let proven = row.alert.map_or(0, |alert| (row.at - alert.active_at).num_seconds().max(0));
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
        for (nth, row) in rows[index..index + shown].iter().enumerate() {
            text.push('\n');
            text.push_str(&finding(row, nth == 0, options.width));
        }
        if same > shown {
            text.push_str(&styled(DIM, &format!("\n          and {} more of {}: --all\n", same - shown, rows[index].meta.id)));
        }
        index += same;
    }
    text
}

fn finding(row: &Row<'_>, first_of_rule: bool, width: usize) -> String {
    let (meta, f) = (row.meta, row.finding);
    let label = if f.severity == Severity::Info { "ADVICE".to_string() } else { f.severity.as_str().to_uppercase() };
    let subject = if f.subject.is_empty() { String::new() } else { format!("  {}", safe(&f.subject.to_string())) };
    let left = format!("{}  {}{subject}", styled(severity_style(f.severity), &format!("{label:<8}")), styled(BOLD, &meta.id));
    let mut text = format!("{}\n", ends(&left, &dim(&timing(row)), width));
    text.push_str(&paragraph("   ", &f.summary, width));
    text.push_str(&facts(&f.evidence, width));
    if !f.detail.is_empty() {
        text.push_str(&paragraph("   Why   ", &f.detail, width));
    }
    text.push_str(&advice(row, first_of_rule, width));
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
            Some(at) if row.at > at => format!("firing for {}", span((row.at - at).num_seconds() as f64)),
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

/// Names, values and limits below each other, with a gauge for a share while there is room.
fn facts(evidence: &[Evidence], width: usize) -> String {
    let cells = |e: &Evidence| {
        let value = e.value.map_or("unknown".to_string(), |v| e.unit.show(v));
        let limit = e.threshold.map_or(String::new(), |t| format!("limit {}", e.unit.show(t)));
        [shortened(&safe(&e.metric), NAME_WIDTH), shortened(&value, VALUE_WIDTH), shortened(&limit, VALUE_WIDTH)]
    };
    let mut rows: Vec<([String; 3], &Evidence)> = evidence.iter().take(FACTS).map(|e| (cells(e), e)).collect();
    let widest = |rows: &[([String; 3], &Evidence)], column: usize| rows.iter().map(|(c, _)| shown_width(&c[column])).max().unwrap_or(0);
    let for_names = width.saturating_sub(9 + widest(&rows, 1) + widest(&rows, 2));
    rows.iter_mut().for_each(|(cells, _)| cells[0] = shortened(&cells[0], for_names));
    let widths = [0, 1, 2].map(|column| widest(&rows, column));
    let room = width.saturating_sub(widths.iter().map(|w| w + 3).sum::<usize>() + 3).min(GAUGE_WIDTH);
    let mut text = String::new();
    for ([name, value, limit], e) in &rows {
        let gauge = match (e.unit, e.value) {
            (Unit::Percent, Some(value)) if room >= LEAST_GAUGE => bar(value / 100.0, room),
            _ => String::new(),
        };
        let pad = |text: &str, to: usize| " ".repeat(to.saturating_sub(shown_width(text)));
        let line =
            format!("{name}{}   {}{value}   {limit}{}   {gauge}", pad(name, widths[0]), pad(value, widths[1]), pad(limit, widths[2]));
        text.push_str(&format!("   {}\n", styled(DIM, line.trim_end())));
    }
    text
}

/// The text, or its beginning and two dots, in so many columns.
fn shortened(text: &str, columns: usize) -> String {
    if shown_width(text) <= columns {
        return text.to_string();
    }
    let mut short = String::new();
    for c in text.chars() {
        short.push(c);
        if shown_width(&short) > columns.saturating_sub(2) {
            short.pop();
            break;
        }
    }
    format!("{}..", short.trim_end())
}

/// What to do. The manual's word is the same for all findings of a rule, so it stands once.
fn advice(row: &Row<'_>, first_of_rule: bool, width: usize) -> String {
    let mut text = String::new();
    for (index, action) in row.finding.actions.iter().enumerate() {
        let first = if index == 0 { "   Do    " } else { "   Also  " };
        text.push_str(&format!("{}\n", wrapped_whole(&shown_action(action), first, "         ", width)));
    }
    if row.finding.actions.is_empty()
        && let Some(line) = row.meta.runbook.lines().find_map(|l| l.trim().strip_prefix("Do:"))
    {
        text.push_str(&paragraph("   Do    ", if first_of_rule { line.trim() } else { "as above" }, width));
    }
    text
}

/// SQL to paste, or words. A name that a terminal cannot show would not be the name when pasted, which is said.
fn shown_action(action: &ActionRequest) -> String {
    let sql = match action.sql() {
        Ok(Some(sql)) => format!("{sql};"),
        Ok(None) => return safe(action.params.get("text").unwrap_or(&action.why)),
        Err(problem) => return safe(&format!("(the rule's advice cannot be built: {problem})")),
    };
    let shown = safe(&sql);
    let mut notes: Vec<String> = Vec::new();
    if !action.why.is_empty() {
        notes.push(safe(&action.why));
    }
    if shown != sql {
        notes.push("not to be pasted as it stands here: a name holds characters that cannot be shown; --format json has the SQL".into());
    }
    if notes.is_empty() { shown } else { format!("{shown}    ({})", notes.join("; ")) }
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
    let last = groups.len().saturating_sub(1);
    let comma = |index: usize| if index == last { "" } else { "," };
    let mut items: Vec<String> = groups.iter().enumerate().map(|(i, (id, n))| format!("{n} {id}{}", comma(i))).collect();
    items.push(styled(DIM, "   show: --advice"));
    let label = styled(severity_style(Severity::Info), "ADVICE  ");
    let lines = flow(&items, " ", "", width.saturating_sub(10)).replace('\n', "\n          ");
    format!("\n{label}  {lines}\n")
}

/// What could not be told, grouped by the reason, with what mends it. A server that does not answer is one reason.
fn blind_part(report: &Report, options: Options) -> String {
    let blind = report.blind();
    let closed = report.closed();
    if blind.is_empty() && closed.is_empty() && report.unusable.is_empty() {
        return String::new();
    }
    let mut text = format!("\n{}\n", styled(BOLD, "COULD NOT TELL"));
    for (database, why) in closed {
        text.push_str(&paragraph("   ", &format!("what is in database {database}"), options.width));
        text.push_str(&styled(DIM, &paragraph("      ", why, options.width)));
    }
    if !report.unusable.is_empty() {
        let words = format!("{} rules that could not be loaded; the problems are shown above", report.unusable.len());
        text.push_str(&paragraph("   ", &words, options.width));
    }
    if !report.reached() {
        let remedy = blind.iter().find_map(|b| b.remedy.as_deref());
        let which = if options.all { format!(": {}", ids(&blind)) } else { String::new() };
        let words = format!("{} rules need an answer of the server{which}", blind.len());
        text.push_str(&paragraph("   ", &words, options.width));
        text.push_str(&remedy.map_or(String::new(), |remedy| mend(remedy, options.width)));
        return text;
    }
    let mut groups: Vec<Vec<&Blind<'_>>> = Vec::new();
    for b in &blind {
        match groups.iter_mut().find(|group| group.iter().any(|other| other.reason == b.reason)) {
            Some(group) => group.push(b),
            None => groups.push(vec![b]),
        }
    }
    let shown = if options.all { groups.len() } else { groups.len().min(BLIND_SHOWN) };
    for group in groups.iter().take(shown) {
        text.push_str(&paragraph("   ", &ids(group.iter().copied()), options.width));
        let Some(first) = group.first() else { continue };
        text.push_str(&styled(DIM, &paragraph("      ", &first.reason, options.width)));
        text.push_str(&first.remedy.as_deref().map_or(String::new(), |remedy| mend(remedy, options.width)));
    }
    if groups.len() > shown {
        text.push_str(&styled(DIM, &format!("   and {} more reasons: --all\n", groups.len() - shown)));
    }
    text
}

fn ids<'a>(blind: impl IntoIterator<Item = &'a Blind<'a>>) -> String {
    blind.into_iter().map(|b| b.meta.id.as_str()).collect::<Vec<_>>().join(", ")
}

/// Mostly a GRANT or a setting: to be pasted, so long words stay whole.
fn mend(remedy: &str, width: usize) -> String {
    format!("{}\n", wrapped_whole(&safe(remedy), "      mend: ", "            ", width))
}

fn foot(report: &Report, width: usize) -> String {
    let meaning = match report.exit_code() {
        0 => "ok",
        1 => "warning",
        2 => "critical",
        _ => "could not tell",
    };
    let hints = [
        format!("exit {} ({meaning})", report.exit_code()),
        "a rule: pgsteward rules show ID".into(),
        "scripts: --format json|nagios".into(),
        "pages: --tier page".into(),
    ];
    let lines: Vec<String> = flow(&hints, "    ", "", width).lines().map(|line| styled(DIM, line)).collect();
    format!("\n{}\n", lines.join("\n"))
}
