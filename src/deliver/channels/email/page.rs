//! What a person reads: the fact first, then the numbers, how they went, what to do, and whom it is about. One notice gets
//! a page; several get a list, worst first.
//!
//! The HTML is a template with every value escaped by it, on top of `text::safe`; styles are inline and nothing is loaded
//! from anywhere, since mail programs take the one out and block the other.

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::deliver::card::Card;
use crate::deliver::render::{self, Look, cut};
use crate::deliver::template::{TemplateError, Templates};
use crate::deliver::{Message, Trend, plot};
use crate::model::{Notice, NoticeKind, Severity};
use crate::text::safe;

/// Columns of the text part; mail programs break longer lines as they like.
const LOOK: Look = Look { colour: false, width: 76 };
/// Characters of one line.
const LINE_CHARS: usize = 1_000;
/// What an exercise begins with.
const DRILL: &str = "DRILL: this is an exercise, nothing is wrong.";

/// What both parts are made of; also the values of the HTML template.
#[derive(Debug, Serialize)]
pub(super) struct Page {
    title: String,
    word: String,
    colour: &'static str,
    drill: Option<&'static str>,
    /// When there is one notice.
    one: Option<One>,
    /// When there are several.
    list: Vec<Entry>,
    more: Option<String>,
    key: String,
    pub pictures: Vec<Picture>,
    /// The one notice for a text of fixed width.
    #[serde(skip)]
    block: String,
}

#[derive(Debug, Serialize)]
struct One {
    card: Card,
    /// What is said of it in the user's own words, if there are any.
    body: Option<String>,
    about: Vec<(&'static str, String)>,
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

/// A plot, and what stands beside it.
#[derive(Debug, Serialize)]
pub(super) struct Picture {
    pub cid: String,
    pub file: String,
    #[serde(skip)]
    pub png: Vec<u8>,
    blocks: String,
    name: String,
    last: String,
    limit: Option<String>,
    low: String,
    high: String,
    from: String,
    until: String,
}

impl Page {
    /// The page of a message.
    ///
    /// # Errors
    /// When the user's own words cannot be put together.
    pub fn of(message: &Message, templates: &Templates) -> Result<Self, TemplateError> {
        let single = match message.notices.as_slice() {
            [notice] if message.omitted == 0 => Some(notice),
            _ => None,
        };
        Ok(Self {
            title: line(&title(message)),
            word: word(message),
            colour: colour(message.is_resolved(), message.severity()),
            drill: is_drill(message).then_some(DRILL),
            one: single.map(|notice| One::of(notice, templates)).transpose()?,
            list: if single.is_some() { Vec::new() } else { message.notices.iter().map(Entry::of).collect() },
            more: more(message),
            key: line(&message.key),
            pictures: message.trends.iter().enumerate().filter_map(|(n, trend)| Picture::of(n, trend, &of_whom(message, trend))).collect(),
            block: single.map_or(String::new(), |notice| render::console(notice, &message.key, LOOK)),
        })
    }

    /// The HTML part.
    ///
    /// # Errors
    /// When the template fails, which its tests rule out.
    pub fn html(&self) -> Result<String, minijinja::Error> {
        let mut templates = minijinja::Environment::new();
        templates.add_template("mail.html", include_str!("mail.html"))?;
        templates.get_template("mail.html")?.render(minijinja::value::Serde(self))
    }

    /// The text part.
    pub fn text(&self) -> String {
        let mut blocks: Vec<String> = self.drill.map(|drill| format!("{drill}\n")).into_iter().collect();
        match &self.one {
            Some(one) => blocks.extend(self.alone(one)),
            None => blocks.extend(self.listed()),
        }
        blocks.push(self.pictures.iter().map(Picture::text).collect());
        blocks.retain(|block| !block.is_empty());
        blocks.join("\n")
    }

    fn alone(&self, one: &One) -> [String; 2] {
        if let Some(body) = &one.body {
            return [format!("{body}\n"), format!("Key {}\n", self.key)];
        }
        [self.block.clone(), one.links.iter().map(|(title, url)| format!("{title}: {url}\n")).collect()]
    }

    fn listed(&self) -> Vec<String> {
        let head = paragraph(&format!("{}: {}", self.word, self.title));
        let rows = self.list.iter().map(Entry::text).collect();
        let more = self.more.as_ref().map_or(String::new(), |more| format!("{more}\n"));
        vec![head, rows, more, format!("Key {}\n", self.key)]
    }
}

fn paragraph(text: &str) -> String {
    wrapped(text, "")
}

fn wrapped(text: &str, indent: &str) -> String {
    let options = textwrap::Options::new(LOOK.width).initial_indent(indent).subsequent_indent(indent);
    textwrap::fill(text, options.word_splitter(textwrap::WordSplitter::NoHyphenation)) + "\n"
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
        NoticeKind::Acknowledged | NoticeKind::Escalated | NoticeKind::Flapping | NoticeKind::Settled => {
            format!("{severity}, {}", notice.kind)
        }
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
    (message.omitted > 0).then(|| format!("{} more; `pgsteward alerts list` shows all", message.omitted))
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

/// Links that lead to the web and nowhere else.
fn links(notice: &Notice) -> Vec<(String, String)> {
    let is_web = |url: &str| (url.starts_with("https://") || url.starts_with("http://")) && url.chars().all(|c| c.is_ascii_graphic());
    notice.links.iter().filter(|link| is_web(&link.url)).map(|link| (line(&link.title), line(&link.url))).collect()
}

impl One {
    fn of(notice: &Notice, templates: &Templates) -> Result<Self, TemplateError> {
        let card = Card::of(notice);
        let body = templates.body(&card).transpose()?;
        Ok(Self { body, about: about(&card), links: links(notice), card })
    }
}

fn about(card: &Card) -> Vec<(&'static str, String)> {
    let lasted = pgsteward_helpers::span(card.lasted);
    let (during, until) = (format!("{}, in which nobody was told", card.began_during), format!("{}, after {lasted}", card.at));
    let rows = [
        ("Target", &card.target, card.target.clone()),
        ("Cluster", &card.cluster, card.cluster.clone()),
        ("About", &card.subject, card.subject.clone()),
        ("Rule", &card.rule, card.rule.clone()),
        ("Since", &card.active_at, card.active_at.clone()),
        ("Until", if card.resolved { &card.at } else { &String::new() }, until),
        ("Began during", &card.began_during, during),
        ("Told because", &card.reason, card.reason.clone()),
        ("Acknowledged", &card.acked, card.acked.clone()),
        ("Instead of", &card.fallback_of, format!("the channel {}, which could not be reached", card.fallback_of)),
    ];
    rows.into_iter().filter(|(_, value, _)| !value.is_empty()).map(|(name, _, shown)| (name, shown)).collect()
}

/// Whom a notice is about.
fn place(notice: &Notice) -> String {
    let parts = [notice.target.clone(), notice.subject.to_string()];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("  ")
}

/// Among several, a plot says whose it is.
fn of_whom(message: &Message, trend: &Trend) -> String {
    let notice = message.notices.iter().find(|notice| notice.key == trend.notice).filter(|_| message.notices.len() > 1);
    notice.map_or(String::new(), |notice| format!(" of {}", place(notice)))
}

impl Entry {
    fn of(notice: &Notice) -> Self {
        Self {
            word: if notice.kind == NoticeKind::Resolved { "resolved".into() } else { notice.severity.to_string() },
            colour: colour(notice.kind == NoticeKind::Resolved, notice.severity),
            rule: line(&notice.rule),
            place: line(&place(notice)),
            summary: line(&notice.summary),
        }
    }

    fn text(&self) -> String {
        let head = format!("{:<9} {}  {}", self.word.to_uppercase(), self.rule, self.place);
        format!("{}{}", paragraph(head.trim_end()), wrapped(&self.summary, "          "))
    }
}

impl Picture {
    fn of(n: usize, trend: &Trend, of_whom: &str) -> Option<Self> {
        let png = plot::png(trend)?;
        let unit = trend.fact.unit;
        let finite = || trend.points.iter().map(|(_, value)| *value).filter(|value| value.is_finite());
        let clock = |at: &DateTime<Utc>| at.format("%H:%M UTC").to_string();
        Some(Self {
            cid: format!("plot-{n}@pgsteward"),
            file: format!("plot-{n}.png"),
            png,
            blocks: plot::sparkline(trend),
            name: line(&format!("{}{of_whom}", trend.fact.metric)),
            last: unit.show(finite().next_back()?),
            limit: trend.fact.threshold.map(|limit| unit.show(limit)),
            low: unit.show(finite().fold(f64::INFINITY, f64::min)),
            high: unit.show(finite().fold(f64::NEG_INFINITY, f64::max)),
            from: trend.points.first().map(|(at, _)| clock(at))?,
            until: trend.points.last().map(|(at, _)| clock(at))?,
        })
    }

    fn text(&self) -> String {
        let limit = self.limit.as_ref().map_or(String::new(), |limit| format!(", limit {limit}"));
        let span = format!("  {} to {}, {} to {}\n", self.low, self.high, self.from, self.until);
        format!("{}\n  {}  now {}{limit}\n{span}", self.name, self.blocks, self.last)
    }
}
