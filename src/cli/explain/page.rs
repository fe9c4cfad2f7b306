//! The answer as a page: the verdict, then why, how it came here, what was told, what would change it.

use chrono::{DateTime, Utc};
use pgsteward_helpers::span;

use super::ahead;
use crate::app::explain::{Answer, AsShipped, ChannelPart, Explanation, InputPart, Life, Overview, RulePart, SettingPart, Verdict};
use crate::cli::shared::{clock, counted};
use crate::cli::table;
use crate::cli::term::{BOLD, DIM, severity_style, shown_width, spark, styled, wrapped, wrapped_whole};
use crate::model::{Evidence, State, Unit};
use crate::rules::Condition;
use crate::text::safe;

/// Lines of a part; a longer one is cut and says so.
const LINES: usize = 12;
/// Columns of a name; a longer one pushes the rest of its line.
const NAME: usize = 30;
/// Columns of a value.
const VALUE: usize = 14;

/// The whole page.
#[must_use]
pub fn render(answer: &Answer, width: usize) -> String {
    match answer {
        Answer::One(one) => explanation(one, width),
        Answer::Several(overview) => several(overview, width),
    }
}

fn explanation(one: &Explanation, width: usize) -> String {
    let whom = if one.subject.is_empty() { String::new() } else { format!(" of {}", one.subject) };
    let mut page = styled(DIM, &format!("{}{} on {}", one.rule.id, safe(&whom), safe(&one.target)));
    page.push('\n');
    let otherwise = one.as_shipped.as_ref().map_or(String::new(), |as_shipped| format!("  {}", as_shipped_sentence(one, as_shipped)));
    page.push_str(&wrapped(&format!("{}{otherwise}", headline(one)), "", "", width));
    page.push('\n');
    for note in &one.notes {
        page.push_str(&wrapped(&styled(DIM, &format!("Note: {}.", safe(note))), "", "   ", width));
        page.push('\n');
    }
    page.push_str(&why(one));
    page.push_str(&how(one));
    page.push_str(&told(one, width));
    page.push_str(&ahead::change(one, width));
    page
}

/// What the overrides of the config make of it.
fn as_shipped_sentence(one: &Explanation, as_shipped: &AsShipped) -> String {
    let values: Vec<String> = as_shipped.settings.iter().map(|setting| format!("`{}`", safe(setting))).collect();
    let with = match (values.is_empty(), as_shipped.is_own) {
        (true, _) => "Without the overrides of the config".into(),
        (false, true) => format!("With the rule's own {}", values.join(" and ")),
        (false, false) => format!("With the shipped {}", values.join(" and ")),
    };
    let Some(severity) = as_shipped.severity else { return format!("{with} it would not fire.") };
    if matches!(one.verdict, Verdict::Found { .. }) {
        return format!("{with} its severity would be {severity}.");
    }
    let lasts = if one.rule.for_s > 0 { format!(", if that lasts {}", span(one.rule.for_s as f64)) } else { String::new() };
    format!("{with} it would fire with severity {severity}{lasts}.")
}

/// The answer in one or two sentences.
fn headline(one: &Explanation) -> String {
    let since = |at: DateTime<Utc>| clock(at, one.at);
    match (&one.verdict, &one.life) {
        (Verdict::CannotTell { since: from, reason, remedy }, life) => {
            let from = from.map_or(String::new(), |at| format!(" since {}", since(at)));
            let held = life.as_ref().map_or("inactive", |life| life.state.as_str());
            let mend = remedy.as_ref().map_or(String::new(), |remedy| {
                format!(
                    "\n{}: {};     then: pgsteward doctor {}",
                    styled(BOLD, "Mend"),
                    safe(remedy).trim_end_matches(';'),
                    safe(&one.target)
                )
            });
            format!("{}: {}. State held: {held}.{mend}", styled(BOLD, &format!("Cannot tell{from}")), safe(reason))
        }
        (Verdict::Off { reason }, _) => format!("{}: {}.", styled(BOLD, "Not evaluated"), safe(reason)),
        (_, Some(life)) if life.state != State::Resolved => alive(one, life),
        (Verdict::Found { severity, summary }, _) => {
            let bad = styled(severity_style(*severity), &severity.as_str().to_uppercase());
            format!("{bad} by the rules and settings of now, and no alert was recorded: {}.", safe(summary))
        }
        (Verdict::RecordsOnly { reason }, life) => {
            let last = life.as_ref().map_or("there is no record of an alert".into(), over);
            format!("{}: {}; {last}.", styled(BOLD, "Only the records speak"), safe(reason))
        }
        (Verdict::Absent, life) => {
            format!("{}: no such object was there, and it would have been seen.{}", styled(BOLD, "Quiet"), last(life.as_ref()))
        }
        (Verdict::Quiet, life) => format!("{}{}.{}", styled(BOLD, "Quiet, and it could tell"), nearest(one), last(life.as_ref())),
    }
}

fn alive(one: &Explanation, life: &Life) -> String {
    let severity = match &one.verdict {
        Verdict::Found { severity, .. } => *severity,
        _ => life.severity,
    };
    let bad = styled(severity_style(severity), &severity.as_str().to_uppercase());
    // Between two evaluations nobody knows; `alerts list` says the same of a pending one.
    let lasted_s = life.patience.as_ref().map_or((one.at - life.since).num_seconds().max(0) as f64, |told| told.counted_s as f64);
    let nth = format!("episode {}, the {} in 30 days", safe(&life.episode), ordinal(life.nth));
    let mut text = format!("{bad}, {} for {} ({nth}).  {}", life.state, span(lasted_s), told_whom(one));
    if matches!(one.verdict, Verdict::Quiet | Verdict::Absent) {
        text.push_str("  By the rules and settings of now it is quiet.");
    }
    for (label, note) in [("Held", &life.held), ("Kept back by", &life.suppressed_by), ("Acknowledged by", &life.acked)] {
        if let Some(note) = note {
            text.push_str(&format!("  {label}: {}.", safe(note)));
        }
    }
    text
}

fn told_whom(one: &Explanation) -> String {
    let told = one.channels.iter().filter(|part| !part.channel.is_empty());
    let (told, untold): (Vec<&ChannelPart>, Vec<&ChannelPart>) =
        told.partition(|part| part.said.iter().any(|said| said.state.starts_with("delivered")));
    let mut text = match told.as_slice() {
        [] => "Nobody was told.".to_string(),
        some => format!("Told: {}.", some.iter().map(|part| first_told(part, one.at)).collect::<Vec<_>>().join(", ")),
    };
    for part in untold.iter().filter(|part| !part.said.is_empty()) {
        text.push_str(&format!("  {}: {}.", safe(&part.channel), styled(BOLD, "NOT delivered")));
    }
    text
}

fn first_told(part: &ChannelPart, now: DateTime<Utc>) -> String {
    let first = part.said.iter().find(|said| said.state.starts_with("delivered"));
    first.map_or(safe(&part.channel), |said| format!("{} at {}", safe(&part.channel), clock(said.at, now)))
}

fn last(life: Option<&Life>) -> String {
    life.map_or(String::new(), |life| format!("  Before: {}.", over(life)))
}

fn over(life: &Life) -> String {
    format!("its latest alert, the {} in 30 days, is {} since {}", ordinal(life.nth), life.state, life.since.format("%F %TZ"))
}

/// `: dead / trigger is 3.1 x; fires above 4 x: 29 % more`, and the guard that keeps it from firing.
fn nearest(one: &Explanation) -> String {
    let fact = one
        .changes
        .first()
        .map(|change| format!(": {} is {}; {}", safe(&change.metric), change.unit.show(change.value), ahead::distance(change)));
    format!("{}{}", fact.as_deref().unwrap_or_default(), guards(one, fact.is_some()))
}

/// The guards that keep it from firing; where a value is known to be off its limit, only those beside that.
fn guards(one: &Explanation, has_limit: bool) -> String {
    let failing = || one.facts.iter().flat_map(|facts| &facts.conditions).filter(|condition| condition.holds == Some(false));
    let is_guard = |condition: &&Condition| condition.name == "where" || (condition.line.is_some() && !has_limit);
    let but = if has_limit { ".  Whatever that is," } else { ":" };
    if let Some(guard) = failing().find(is_guard) {
        let more = failing().filter(is_guard).count() - 1;
        let more = if more == 0 { String::new() } else { format!("; and {more} more below") };
        return format!("{but} its guard `{}` does not hold{}{more}", safe(&guard.text), saw(one, guard));
    }
    match failing().find(|condition| !has_limit && condition.name != "rows") {
        Some(silent) if silent.name == "finding" => format!("{but} {}", safe(&silent.text)),
        Some(condition) => format!("{but} `{}` does not hold, {}", safe(&condition.name), safe(&condition.text)),
        None => String::new(),
    }
}

fn why(one: &Explanation) -> String {
    let mut lines: Vec<String> = Vec::new();
    for fact in one.facts.iter().flat_map(|facts| &facts.evidence) {
        lines.push(fact_line(fact));
    }
    for condition in one.facts.iter().flat_map(|facts| &facts.conditions) {
        lines.push(condition_line(one, condition));
    }
    lines.extend(part_lines(&one.inputs, input_line, "inputs"));
    lines.extend(part_lines(&one.settings, setting_line, "settings"));
    if lines.is_empty() {
        return String::new();
    }
    let title = match one.verdict {
        Verdict::Found { .. } => "Why it fires",
        Verdict::Quiet => "Why it is quiet",
        _ => "What it reads",
    };
    let tick = one.tick.map_or(String::new(), |at| format!("tick {}, {}", at.format("%F %TZ"), text_of(&one.rule)));
    format!("\n{}  {}\n{}", styled(BOLD, &format!("{title:<20}")), styled(DIM, &tick), lines.concat())
}

fn text_of(rule: &RulePart) -> String {
    let hash: String = rule.hash.chars().take(8).collect();
    format!("{}@{hash}", safe(&rule.source))
}

fn part_lines<T>(parts: &[T], line: impl Fn(&T) -> String, what: &str) -> Vec<String> {
    let mut lines: Vec<String> = parts.iter().take(LINES).map(line).collect();
    if parts.len() > LINES {
        lines.push(format!("   and {} more {what}\n", parts.len() - LINES));
    }
    lines
}

/// `   name            value   rest`
fn entry(name: &str, value: &str, rest: &str) -> String {
    let pad = |text: &str, to: usize| " ".repeat(to.saturating_sub(shown_width(text)));
    format!("   {name}{}{}{value}   {rest}", pad(name, NAME), pad(value, VALUE)).trim_end().to_string() + "\n"
}

fn fact_line(fact: &Evidence) -> String {
    let limit = fact.threshold.map_or(String::new(), |limit| format!("limit {}", fact.unit.show(limit)));
    entry(&safe(&fact.metric), &number(fact.value, fact.unit), &limit)
}

fn condition_line(one: &Explanation, condition: &Condition) -> String {
    let holds = condition.holds.map_or("unknown", |holds| if holds { "true" } else { "false" });
    let limit = condition.limit.map_or(String::new(), |limit| format!("  ({})", condition.unit.show(limit)));
    let line = condition.line.map_or(String::new(), |line| format!("  (line {line})"));
    let saw = if condition.holds == Some(true) { String::new() } else { saw(one, condition) };
    entry(&safe(&condition.name), holds, &format!("{}{limit}{line}{saw}", safe(&condition.text)))
}

/// `: tables.vacuum_running is yes`, for what a condition reads.
fn saw(one: &Explanation, condition: &Condition) -> String {
    let value = |name: &String| {
        let input = one.inputs.iter().find(|input| input.name == *name).map(shown);
        let setting = || one.settings.iter().find(|setting| Some(setting.name.as_str()) == name.strip_prefix("settings."));
        let label = || one.subject.get(name.rsplit('.').next().unwrap_or_default());
        input.or_else(|| setting().map(|setting| setting.value.clone())).or_else(|| label().map(String::from))
    };
    let read: Vec<String> = condition.reads.iter().filter_map(|name| Some(format!("{} is {}", safe(name), safe(&value(name)?)))).collect();
    if read.is_empty() { String::new() } else { format!(": {}", read.join(", ")) }
}

fn input_line(input: &InputPart) -> String {
    let age = input.age_s.filter(|age| *age >= 1.0).map_or(String::new(), |age| format!("read {} before the tick", span(age)));
    if let Some(missing) = &input.missing {
        let ease = if input.optional { " (the rule can do without)" } else { "" };
        return entry(&safe(&input.name), "missing", &format!("{}{ease}", safe(&missing.detail)));
    }
    if let Some(why) = &input.no_row {
        return entry(&safe(&input.name), "no row", &safe(why));
    }
    entry(&safe(&input.name), &shown(input), &age)
}

fn shown(input: &InputPart) -> String {
    match (&input.text, input.value, input.rows) {
        (Some(text), ..) => cut(&safe(text)),
        (None, Some(value), _) if input.flag => (if value == 0.0 { "no" } else { "yes" }).into(),
        (None, Some(value), _) if input.per_s => format!("{}/s", input.unit.show(value)),
        (None, Some(value), _) => input.unit.show(value),
        (None, None, Some(rows)) => counted(rows, "row"),
        (None, None, None) => "unknown".into(),
    }
}

/// A text of a database may be as long as it likes.
fn cut(text: &str) -> String {
    const MOST: usize = 60;
    if text.chars().count() <= MOST { text.into() } else { format!("{}..", text.chars().take(MOST).collect::<String>()) }
}

fn setting_line(setting: &SettingPart) -> String {
    let by = setting.by.as_ref().map_or(String::new(), |by| format!("{}, otherwise {}", safe(by), safe(&setting.default)));
    entry(&format!("settings.{}", safe(&setting.name)), &safe(&setting.value), &by)
}

fn number(value: Option<f64>, unit: Unit) -> String {
    value.map_or("unknown".into(), |value| unit.show(value))
}

fn how(one: &Explanation) -> String {
    let mut lines: Vec<String> = Vec::new();
    if let Some(life) = &one.life {
        // Those at the end matter most.
        let skipped = life.steps.len().saturating_sub(LINES);
        if skipped > 0 {
            lines.push(format!("   {} before\n", counted(skipped, "change")));
        }
        for step in life.steps.iter().skip(skipped) {
            lines.push(format!("   {}  {:<10}  {}\n", clock(step.at, one.at), step.to.as_str(), safe(&step.reason)));
        }
    }
    if let Some(trend) = &one.trend {
        let values: Vec<f64> = trend.points.iter().map(|(_, value)| *value).collect();
        let over =
            trend.points.first().zip(trend.points.last()).map_or(0.0, |((first, _), (last, _))| (*last - *first).num_seconds() as f64);
        let now = values.last().map_or(String::new(), |value| trend.unit.show(*value));
        lines.push(format!("   {}, {}   {}   now {now}\n", safe(&trend.metric), span(over), spark(&values)));
    }
    if lines.is_empty() { String::new() } else { format!("\n{}\n{}", styled(BOLD, "How it came here"), lines.concat()) }
}

fn told(one: &Explanation, width: usize) -> String {
    let wanted = |part: &&ChannelPart| one.channel.as_ref().is_none_or(|channel| *channel == part.channel);
    let parts: Vec<&ChannelPart> = one.channels.iter().filter(wanted).collect();
    let mut text = format!("\n{}\n", styled(BOLD, "What was told, and what was not"));
    if parts.is_empty() {
        let whom = if one.leads_to.is_empty() {
            "nobody".into()
        } else {
            one.leads_to.iter().map(|name| safe(name)).collect::<Vec<_>>().join(", ")
        };
        let nothing = one.channel.as_ref().map_or("Nothing.".into(), |channel| format!("{}: nothing of this episode.", safe(channel)));
        let line = format!("{nothing}  By the routes of now a new alert leads to: {whom}.");
        text.push_str(&format!("{}\n", wrapped(&line, "   ", "   ", width)));
    }
    for part in parts {
        let name = if part.channel.is_empty() { "(no channel)".into() } else { safe(&part.channel) };
        let mut lines: Vec<String> = Vec::new();
        for said in &part.said {
            let fallback = said.fallback_of.as_ref().map_or(String::new(), |of| format!(" as fallback of {}", safe(of)));
            let detail = if said.detail.is_empty() { String::new() } else { format!(": {}", safe(&said.detail)) };
            lines.push(format!("{} {}{fallback}{detail}", said.kind, said.state));
        }
        if let Some((sent, reason, at)) = &part.choice {
            let what = if *sent { "decided" } else { "not told since" };
            lines.push(format!("{what} {}: {}", clock(*at, one.at), safe(reason)));
        }
        if let Some((at, error)) = &part.paused {
            lines.push(format!("channel paused since {}: {}", clock(*at, one.at), safe(error)));
            lines.push(format!("Mend it, then: pgsteward notify resume {name}"));
        }
        if let Some((rate, at)) = &part.rate_waits {
            lines.push(format!("waits for the rate of {rate} of channel {name}: the next message may go at {}", clock(*at, one.at)));
        }
        if let (Some(next), Some((window, until))) = (part.next, &part.next_waits) {
            let (next, until) = (clock(next, one.at), clock(*until, one.at));
            lines.push(format!("{next} falls into window `{}`: it waits, and is told once at {until} if it still fires", safe(window)));
        }
        for (number, line) in lines.iter().enumerate() {
            let first = if number == 0 { format!("   {name:<14} ") } else { " ".repeat(18) };
            text.push_str(&wrapped_whole(line, &first, &" ".repeat(18), width));
            text.push('\n');
        }
    }
    for other in one.unrouted.iter().filter(|other| one.channel.as_ref().is_none_or(|channel| *channel == other.channel)).take(LINES) {
        let line = format!("not told: {}", safe(&other.why));
        text.push_str(&wrapped_whole(&line, &format!("   {:<14} ", safe(&other.channel)), &" ".repeat(18), width));
        text.push('\n');
    }
    text
}

fn ordinal(n: usize) -> String {
    let ending = match (n % 10, n % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{n}{ending}")
}

fn several(overview: &Overview, width: usize) -> String {
    let tick = overview.tick.map_or("no tick is kept".into(), |at| format!("tick {}", at.format("%F %TZ")));
    let mut page = styled(DIM, &format!("{} on {}, {tick}", overview.rule.id, safe(&overview.target)));
    page.push('\n');
    let gaps = if overview.gaps.is_empty() { String::new() } else { format!(" ({})", safe(&overview.gaps.join(", "))) };
    let judged = format!("{} looked at, {} could not be judged{gaps}", counted(overview.rows, "row"), overview.unknown);
    let line = match &overview.verdict {
        Verdict::CannotTell { since, reason, remedy } => {
            let since = since.map_or(String::new(), |at| format!(" since {}", at.format("%F %TZ")));
            let mend = remedy.as_ref().map_or(String::new(), |remedy| format!("\n{}: {}", styled(BOLD, "Mend"), safe(remedy)));
            format!("{}: {}.{mend}", styled(BOLD, &format!("Cannot tell{since}")), safe(reason))
        }
        Verdict::Off { reason } => format!("Not evaluated: {}.", safe(reason)),
        Verdict::RecordsOnly { reason } => format!("Only the records speak: {}.", safe(reason)),
        _ if overview.subjects.is_empty() => format!("Quiet, and it could tell: {judged}."),
        _ => format!("{}; {judged}.", counted(overview.subjects.len(), "subject")),
    };
    page.push_str(&wrapped(&line, "", "", width));
    page.push('\n');
    if !overview.subjects.is_empty() {
        let rows: Vec<Vec<String>> = overview
            .subjects
            .iter()
            .take(LINES)
            .map(|line| {
                let state = line.state.map_or("found", State::as_str);
                vec![line.severity.to_string(), state.to_string(), line.subject.to_string(), line.summary.clone()]
            })
            .collect();
        page.push_str(&format!("\n{}", table::render(&["severity", "state", "subject", "summary"], &rows)));
    }
    if overview.rows > 0 || !overview.subjects.is_empty() {
        page.push_str(&format!("\nAbout one of them: pgsteward explain {} SUBJECT\n", overview.rule.id));
    }
    page
}
