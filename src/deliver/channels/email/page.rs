//! What a person reads: the fact first, then the numbers, how they went, what to do, and whom it is about. One notice gets
//! a page; several get a list, worst first.
//!
//! The HTML is a template with every value escaped by it, on top of `text::safe`; styles are inline and nothing is loaded
//! from anywhere, since mail programs take the one out and block the other.

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::deliver::render::{self, Look, cut};
use crate::deliver::{Message, Trend, plot};
use crate::model::{ActionRequest, Evidence, Notice, NoticeKind, Severity, Unit};
use crate::text::safe;

/// Columns of the text part; mail programs break longer lines as they like.
const LOOK: Look = Look { colour: false, width: 76 };
/// Characters of one line, and of a whole detail.
const LINE_CHARS: usize = 1_000;
const DETAIL_CHARS: usize = 4_000;
/// Characters of a statement to paste; cutting one would change it, so a longer one is left out.
const SQL_CHARS: usize = 4_000;
/// What an exercise begins with.
const DRILL: &str = "DRILL: this is an exercise, nothing is wrong.";

/// The values of the template.
#[derive(Debug, Serialize)]
pub(super) struct Page {
    title: String,
    word: String,
    colour: &'static str,
    drill: Option<&'static str>,
    /// When there is one notice.
    one: Option<Details>,
    /// When there are several.
    list: Vec<Entry>,
    more: Option<String>,
    key: String,
    pub pictures: Vec<Picture>,
}

#[derive(Debug, Serialize)]
struct Details {
    summary: String,
    detail: Vec<String>,
    facts: Vec<Fact>,
    advice: Vec<Advice>,
    about: Vec<(&'static str, String)>,
    runbook: Vec<String>,
    links: Vec<(String, String)>,
}

#[derive(Debug, Serialize)]
struct Entry {
    word: String,
    colour: &'static str,
    rule: String,
    place: String,
    summary: String,
}

#[derive(Debug, Serialize)]
struct Fact {
    name: String,
    value: String,
    limit: String,
}

#[derive(Debug, Serialize)]
struct Advice {
    sql: Option<String>,
    text: String,
    why: String,
}

/// A plot, and what stands beside it.
#[derive(Debug, Serialize)]
pub(super) struct Picture {
    pub cid: String,
    pub file: String,
    #[serde(skip)]
    pub png: Vec<u8>,
    name: String,
    last: String,
    limit: Option<String>,
    low: String,
    high: String,
    from: String,
    until: String,
}

impl Page {
    pub fn of(message: &Message) -> Self {
        let one = if message.notices.len() == 1 { message.first().map(Details::of) } else { None };
        let list = if one.is_some() { Vec::new() } else { message.notices.iter().map(Entry::of).collect() };
        Self {
            title: line(&title(message)),
            word: word(message),
            colour: colour(message.is_resolved(), message.severity()),
            drill: is_drill(message).then_some(DRILL),
            one,
            list,
            more: more(message),
            key: line(&message.key),
            pictures: message.trends.iter().enumerate().filter_map(|(n, trend)| Picture::of(n, trend)).collect(),
        }
    }

    /// The HTML part.
    pub fn html(&self) -> Result<String, minijinja::Error> {
        let mut templates = minijinja::Environment::new();
        templates.add_template("mail.html", include_str!("mail.html"))?;
        templates.get_template("mail.html")?.render(self)
    }
}

/// The text part.
pub(super) fn text(message: &Message) -> String {
    let mut blocks: Vec<String> = Vec::new();
    blocks.extend(is_drill(message).then(|| format!("{DRILL}\n")));
    match message.notices.as_slice() {
        [notice] => {
            blocks.push(render::console(notice, &message.key, LOOK));
            let notes = notes(notice).into_iter().map(|(name, value)| paragraph(&format!("{name}: {value}")));
            blocks.push(notes.chain(links(notice).iter().map(|(title, url)| format!("{title}: {url}\n"))).collect());
        }
        notices => {
            blocks.push(paragraph(&format!("{}: {}", word(message), title(message))));
            blocks.push(notices.iter().map(|notice| row(&Entry::of(notice))).collect());
            blocks.extend(more(message).map(|more| format!("{more}\n")));
            blocks.push(format!("Key {}\n", line(&message.key)));
        }
    }
    blocks.push(message.trends.iter().filter_map(|trend| Picture::of(0, trend).map(|p| sparkline(&p, trend))).collect());
    blocks.retain(|block| !block.is_empty());
    blocks.join("\n")
}

fn row(entry: &Entry) -> String {
    let head = format!("{:<9} {}  {}", entry.word.to_uppercase(), entry.rule, entry.place);
    format!("{}{}", paragraph(head.trim_end()), wrapped(&entry.summary, "          "))
}

fn paragraph(text: &str) -> String {
    wrapped(&line(text), "")
}

fn wrapped(text: &str, indent: &str) -> String {
    let options = textwrap::Options::new(LOOK.width).initial_indent(indent).subsequent_indent(indent);
    textwrap::fill(text, options.word_splitter(textwrap::WordSplitter::NoHyphenation)) + "\n"
}

fn sparkline(picture: &Picture, trend: &Trend) -> String {
    let limit = picture.limit.as_ref().map_or(String::new(), |limit| format!(", limit {limit}"));
    let (name, line) = (&picture.name, plot::sparkline(trend));
    format!("{name}\n  {line}  now {}{limit}\n  {} to {}, {} to {}\n", picture.last, picture.low, picture.high, picture.from, picture.until)
}

/// Whether it is an exercise.
pub(super) fn is_drill(message: &Message) -> bool {
    message.notices.iter().any(|notice| notice.drill)
}

/// How it stands, in a word or two.
pub(super) fn word(message: &Message) -> String {
    match message.notices.as_slice() {
        [notice] if message.omitted == 0 => state(notice),
        notices => {
            let how = if message.is_resolved() { "resolved" } else { message.severity().as_str() };
            format!("{how}, {} alerts", notices.len().saturating_add(message.omitted))
        }
    }
}

fn state(notice: &Notice) -> String {
    let severity = notice.severity.as_str();
    match notice.kind {
        NoticeKind::Firing => severity.into(),
        NoticeKind::Raised => format!("{severity}, worse"),
        NoticeKind::Lowered => format!("{severity}, better"),
        NoticeKind::Repeat => format!("{severity}, still firing"),
        NoticeKind::Resolved => "resolved".into(),
        NoticeKind::Heartbeat => "alive".into(),
        NoticeKind::Acknowledged | NoticeKind::Escalated | NoticeKind::Flapping | NoticeKind::Settled => format!("{severity}, {}", notice.kind),
    }
}

/// What it is about: the same as long as it goes on.
pub(super) fn title(message: &Message) -> String {
    let Some(first) = message.first() else { return String::new() };
    if message.digest {
        return "alerts that came too fast to be told one by one".into();
    }
    if !first.group.key.is_empty() {
        let labels = first.group.labels.to_string();
        return if labels.is_empty() { format!("alerts of {}", first.target) } else { format!("alerts of {labels}") };
    }
    let subject = first.subject.to_string();
    let what = if subject.is_empty() { first.title.clone() } else { format!("{}: {subject}", first.title) };
    format!("{what} on {}", first.target)
}

fn more(message: &Message) -> Option<String> {
    (message.omitted > 0).then(|| format!("{} more; `pgsteward alerts` lists all", message.omitted))
}

fn colour(is_resolved: bool, severity: Severity) -> &'static str {
    match severity {
        _ if is_resolved => "#067647",
        Severity::Critical => "#b42318",
        Severity::Warning => "#b54708",
        Severity::Info => "#175cd3",
    }
}

/// One safe line.
fn line(text: &str) -> String {
    safe(&cut(text, LINE_CHARS))
}

fn time(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// What else is to be known of how it came to be told.
fn notes(notice: &Notice) -> Vec<(&'static str, String)> {
    let mut notes = Vec::new();
    notes.extend((!notice.reason.is_empty()).then(|| ("Told because", line(&notice.reason))));
    notes.extend(notice.acked.as_ref().map(|who| ("Acknowledged", line(who))));
    notes.extend(notice.fallback_of.as_ref().map(|channel| ("Instead of", format!("channel {}, which cannot be reached", line(channel)))));
    notes
}

/// Links that lead to the web and nowhere else.
fn links(notice: &Notice) -> Vec<(String, String)> {
    let is_web = |url: &str| (url.starts_with("https://") || url.starts_with("http://")) && url.chars().all(|c| c.is_ascii_graphic());
    notice.links.iter().filter(|link| is_web(&link.url)).map(|link| (line(&link.title), line(&link.url))).collect()
}

impl Details {
    fn of(notice: &Notice) -> Self {
        let over = notice.kind == NoticeKind::Resolved;
        let texts = |text: &str, most| cut(text, most).lines().map(line).collect::<Vec<_>>();
        Self {
            summary: line(&notice.summary),
            detail: if over { Vec::new() } else { texts(&notice.detail, DETAIL_CHARS) },
            facts: if over { Vec::new() } else { notice.evidence.iter().map(Fact::of).collect() },
            advice: if over { Vec::new() } else { notice.actions.iter().map(Advice::of).collect() },
            about: about(notice),
            runbook: if over { Vec::new() } else { texts(&notice.runbook, DETAIL_CHARS) },
            links: links(notice),
        }
    }
}

fn about(notice: &Notice) -> Vec<(&'static str, String)> {
    let mut about = vec![("Target", line(&notice.target))];
    about.extend(notice.cluster.as_ref().map(|cluster| ("Cluster", line(cluster))));
    about.extend((!notice.subject.is_empty()).then(|| ("About", line(&notice.subject.to_string()))));
    about.push(("Rule", line(&notice.rule)));
    about.push(("Since", time(notice.active_at)));
    if notice.kind == NoticeKind::Resolved {
        let lasted = (notice.at - notice.active_at).num_seconds().max(0);
        about.push(("Until", format!("{}; it lasted {}", time(notice.at), pgsteward_helpers::span(lasted as f64))));
    }
    about.extend(notice.began_during.as_ref().map(|during| ("Began during", format!("{}, in which nobody was told", line(during)))));
    about.extend(notes(notice));
    about
}

impl Entry {
    fn of(notice: &Notice) -> Self {
        let place = [notice.target.clone(), notice.subject.to_string()].into_iter().filter(|part| !part.is_empty());
        Self {
            word: if notice.kind == NoticeKind::Resolved { "resolved".into() } else { notice.severity.to_string() },
            colour: colour(notice.kind == NoticeKind::Resolved, notice.severity),
            rule: line(&notice.rule),
            place: line(&place.collect::<Vec<_>>().join("  ")),
            summary: line(&notice.summary),
        }
    }
}

impl Fact {
    fn of(fact: &Evidence) -> Self {
        let shown = |value: Option<f64>, none: &str| value.map_or(none.to_string(), |value| fact.unit.show(value));
        Self { name: line(&fact.metric), value: shown(fact.value, "unknown"), limit: shown(fact.threshold, "") }
    }
}

impl Advice {
    fn of(action: &ActionRequest) -> Self {
        let why = line(&action.why);
        let (sql, text) = match action.sql() {
            Ok(Some(sql)) if sql.chars().count() > SQL_CHARS => (None, "the statement is too long for a mail; `pgsteward alerts` shows it".into()),
            Ok(Some(sql)) if safe(&sql) != sql => {
                let note = "a name in it holds characters that are shown as \\u{..}; it does not run as it stands";
                (Some(format!("{};", safe(&sql))), note.into())
            }
            Ok(Some(sql)) => (Some(format!("{sql};")), String::new()),
            Ok(None) => (None, line(action.params.get("text").map_or("", String::as_str))),
            Err(error) => (None, line(&format!("the advice `{}` cannot be written as SQL: {error}", action.kind))),
        };
        Self { sql, text, why }
    }
}

impl Picture {
    fn of(n: usize, trend: &Trend) -> Option<Self> {
        let png = plot::png(trend)?;
        let unit: Unit = trend.fact.unit;
        let finite = || trend.points.iter().map(|(_, value)| *value).filter(|value| value.is_finite());
        let clock = |at: &DateTime<Utc>| at.format("%H:%M UTC").to_string();
        Some(Self {
            cid: format!("plot-{n}@pgsteward"),
            file: format!("plot-{n}.png"),
            png,
            name: line(&trend.fact.metric),
            last: unit.show(finite().next_back()?),
            limit: trend.fact.threshold.map(|limit| unit.show(limit)),
            low: unit.show(finite().fold(f64::INFINITY, f64::min)),
            high: unit.show(finite().fold(f64::NEG_INFINITY, f64::max)),
            from: trend.points.first().map(|(at, _)| clock(at))?,
            until: trend.points.last().map(|(at, _)| clock(at))?,
        })
    }
}
