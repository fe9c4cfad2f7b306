//! A card: one notice as the texts that a person is shown, each safe to look at. `story` lays cards out for the channels
//! that people read, and `template` gives their fields to users' templates; the names of the fields are therefore a contract,
//! which only grows. The order is the terminal's: the fact, the numbers, what to do.

use std::collections::BTreeMap;

use serde::Serialize;

use super::render::cut;
use crate::model::{ActionRequest, Evidence, Labels, Notice, NoticeKind};
use crate::text::safe;

/// Characters of one line.
const LINE: usize = 1_000;
/// Characters of a text of several lines.
const TEXT: usize = 8_000;
/// Facts, pieces of advice and links of one notice.
const ITEMS: usize = 40;
/// First words of an exercise.
pub const DRILL: &str = "DRILL, nothing is wrong: ";

/// One notice in texts. A text that there is not is empty.
#[derive(Debug, Clone, Serialize)]
pub struct Card {
    /// `CRITICAL`, `RESOLVED`, `ALIVE`.
    pub word: String,
    /// Word, rule, target and subject in one line; of an exercise it says so first.
    pub heading: String,
    /// `firing`, `raised`, `repeat`, `resolved`, ..
    pub kind: &'static str,
    /// `info`, `warning`, `critical`.
    pub severity: &'static str,
    /// `page`, `ticket`, `advice`.
    pub tier: &'static str,
    /// Whether it is over.
    pub resolved: bool,
    /// Whether it is an exercise.
    pub drill: bool,
    /// Target name.
    pub target: String,
    /// The target's cluster.
    pub cluster: String,
    /// Rule id.
    pub rule: String,
    /// Title of the rule.
    pub title: String,
    /// Area of the rule.
    pub category: String,
    /// Whom it is about: `shop.public.orders`.
    pub subject: String,
    /// The same by name: `about.table`.
    pub about: BTreeMap<String, String>,
    /// Routing labels by name: `labels.team`.
    pub labels: BTreeMap<String, String>,
    /// One line.
    pub summary: String,
    /// More, in lines.
    pub detail: String,
    /// Measured facts.
    pub facts: Vec<Fact>,
    /// What could be done.
    pub advice: Vec<Advice>,
    /// First line of the runbook.
    pub see: String,
    /// The whole runbook.
    pub runbook: String,
    /// Where to read on.
    pub links: Vec<Page>,
    /// Why it is told now.
    pub reason: String,
    /// Who acknowledged it, and what they said.
    pub acked: String,
    /// The silence or window in which it began.
    pub began_during: String,
    /// The channel that could not be reached.
    pub fallback_of: String,
    /// The channel it goes to.
    pub channel: String,
    /// When it was decided.
    pub at: String,
    /// When it began.
    pub active_at: String,
    /// Seconds from one to the other.
    pub lasted: f64,
    /// Its key.
    pub key: String,
    /// Its episode.
    pub episode: String,
    /// Who the alert is.
    pub fingerprint: String,
}

/// A measured fact.
#[derive(Debug, Clone, Serialize)]
pub struct Fact {
    /// What was measured.
    pub name: String,
    /// The number; nothing when unknown.
    pub value: Option<f64>,
    /// The limit, where there is one.
    pub limit: Option<f64>,
    /// Unit of both.
    pub unit: &'static str,
    /// The number as people read it: `1.2 M rows`.
    pub shown: String,
    /// The limit as people read it.
    pub shown_limit: String,
}

/// Something that could be done: SQL to paste, or a text.
#[derive(Debug, Clone, Serialize)]
pub struct Advice {
    /// Kind of action.
    pub kind: String,
    /// SQL with its semicolon.
    pub sql: String,
    /// What to do, where it is no SQL.
    pub text: String,
    /// Why.
    pub why: String,
    /// What is to be known before it is pasted.
    pub note: String,
}

/// A page to read.
#[derive(Debug, Clone, Serialize)]
pub struct Page {
    /// What it is.
    pub title: String,
    /// Where it is.
    pub url: String,
}

impl Card {
    /// The names of the fields, each with one line, for the reference page.
    pub const FIELDS: &'static [(&'static str, &'static str)] = &[
        ("word", "`CRITICAL`, `WARNING`, `INFO`, `RESOLVED` or `ALIVE`"),
        ("heading", "word, rule, target and subject in one line; a drill says so first"),
        ("kind", "`firing`, `raised`, `repeat`, `resolved`, `lowered`, `acknowledged`, `escalated`, `flapping`, `settled`, `heartbeat`"),
        ("severity", "`info`, `warning` or `critical`"),
        ("tier", "`page`, `ticket` or `advice`"),
        ("resolved", "whether it is over"),
        ("drill", "whether it is an exercise"),
        ("target", "name of the target"),
        ("cluster", "the target's cluster"),
        ("rule", "id of the rule"),
        ("title", "title of the rule"),
        ("category", "area of the rule"),
        ("subject", "whom it is about: `shop.public.orders`"),
        ("about", "the same by name: `about.table`"),
        ("labels", "routing labels by name: `labels.team`"),
        ("summary", "the fact, one line"),
        ("detail", "more, in lines"),
        ("facts", "list of `name`, `value`, `limit`, `unit`, `shown`, `shown_limit`"),
        ("advice", "list of `kind`, `sql`, `text`, `why`, `note`"),
        ("see", "first line of the runbook"),
        ("runbook", "the whole runbook"),
        ("links", "list of `title`, `url`"),
        ("reason", "why it is told now"),
        ("acked", "who acknowledged it, and what they said"),
        ("began_during", "the silence or window in which it began"),
        ("fallback_of", "the channel it was meant for and that could not be reached"),
        ("channel", "the channel it goes to"),
        ("at", "when it was decided, UTC"),
        ("active_at", "when it began, UTC"),
        ("lasted", "seconds from one to the other: `lasted|span`"),
        ("key", "stable key of the notice"),
        ("episode", "the life of the alert that it is about"),
        ("fingerprint", "who the alert is, over all its lives"),
    ];

    /// The card of a notice.
    #[must_use]
    pub fn of(notice: &Notice) -> Self {
        let optional = |text: &Option<String>| text.as_deref().map_or(String::new(), line);
        let word = word(notice);
        Self {
            heading: heading(notice, &word),
            word,
            kind: notice.kind.as_str(),
            severity: notice.severity.as_str(),
            tier: notice.tier.as_str(),
            resolved: notice.kind == NoticeKind::Resolved,
            drill: notice.drill,
            target: line(&notice.target),
            cluster: optional(&notice.cluster),
            rule: line(&notice.rule),
            title: line(&notice.title),
            category: line(&notice.category),
            subject: line(&notice.subject.to_string()),
            about: by_name(&notice.subject),
            labels: by_name(&notice.labels),
            summary: line(&notice.summary),
            detail: lines(&notice.detail),
            facts: notice.evidence.iter().take(ITEMS).map(Fact::of).collect(),
            advice: notice.actions.iter().take(ITEMS).map(Advice::of).collect(),
            see: line(notice.runbook.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default()),
            runbook: lines(&notice.runbook),
            links: notice.links.iter().take(ITEMS).map(|link| Page { title: line(&link.title), url: line(&link.url) }).collect(),
            reason: line(&notice.reason),
            acked: optional(&notice.acked),
            began_during: optional(&notice.began_during),
            fallback_of: optional(&notice.fallback_of),
            channel: line(&notice.channel),
            at: moment(notice.at),
            active_at: moment(notice.active_at),
            lasted: (notice.at - notice.active_at).num_seconds().max(0) as f64,
            key: line(&notice.key),
            episode: line(&notice.episode),
            fingerprint: line(&notice.fingerprint.0),
        }
    }

    /// What else is to be known, as sentences.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let say = |value: &str, before: &str, after: &str| (!value.is_empty()).then(|| format!("{before}{value}{after}"));
        let notes = [
            say(&self.reason, "why now: ", ""),
            say(&self.acked, "acknowledged: ", ""),
            say(&self.began_during, "it began during ", ", in which nobody was told"),
            say(&self.fallback_of, "it was meant for the channel ", ", which could not be reached"),
            self.drill.then(|| "this is an exercise: nothing is wrong, and nothing is to be done".into()),
        ];
        notes.into_iter().flatten().collect()
    }

    /// The small print: what else it belongs to, when, and its key.
    #[must_use]
    pub fn foot(&self) -> String {
        let key = format!("key {}", self.key);
        let parts = [&self.category, &self.cluster, &self.channel, &self.at, &key];
        parts.into_iter().filter(|part| !part.is_empty()).map(String::as_str).collect::<Vec<_>>().join(" · ")
    }
}

impl Fact {
    fn of(fact: &Evidence) -> Self {
        let show = |value: f64| fact.unit.show(value);
        Self {
            name: line(&fact.metric),
            value: fact.value,
            limit: fact.threshold,
            unit: fact.unit.as_str(),
            shown: fact.value.map_or("unknown".into(), show),
            shown_limit: fact.threshold.map_or(String::new(), show),
        }
    }

    /// `6 x   limit 4 x`.
    #[must_use]
    pub fn told(&self) -> String {
        if self.shown_limit.is_empty() { self.shown.clone() } else { format!("{} (limit {})", self.shown, self.shown_limit) }
    }
}

impl Advice {
    fn of(action: &ActionRequest) -> Self {
        let mut advice =
            Self { kind: line(&action.kind), sql: String::new(), text: String::new(), why: line(&action.why), note: String::new() };
        match action.sql() {
            Ok(Some(sql)) => {
                advice.sql = format!("{};", safe(&sql));
                if safe(&sql) != sql {
                    advice.note = "a name in it holds characters that are shown as \\u{..}; it does not run as it stands".into();
                }
            }
            Ok(None) => advice.text = line(action.params.get("text").map_or("", String::as_str)),
            Err(error) => advice.text = line(&format!("the advice `{}` cannot be written as SQL: {error}", action.kind)),
        }
        advice
    }
}

fn word(notice: &Notice) -> String {
    match notice.kind {
        NoticeKind::Resolved => "RESOLVED".into(),
        NoticeKind::Heartbeat => "ALIVE".into(),
        _ => notice.severity.as_str().to_uppercase(),
    }
}

fn heading(notice: &Notice, word: &str) -> String {
    let drill = if notice.drill { DRILL } else { "" };
    let mut heading = format!("{drill}{word} {} on {}", notice.rule, notice.target);
    for (before, text) in [(": ", notice.subject.to_string().as_str()), (", ", standing(notice.kind))] {
        if !text.is_empty() {
            heading.push_str(before);
            heading.push_str(text);
        }
    }
    line(&heading)
}

fn standing(kind: NoticeKind) -> &'static str {
    match kind {
        NoticeKind::Firing | NoticeKind::Resolved => "",
        NoticeKind::Raised => "now worse",
        NoticeKind::Repeat => "still firing",
        NoticeKind::Lowered => "less bad now",
        NoticeKind::Acknowledged => "somebody has taken it",
        NoticeKind::Escalated => "nobody has taken it yet",
        NoticeKind::Flapping => "it comes and goes",
        NoticeKind::Settled => "it has settled and still fires",
        NoticeKind::Heartbeat => "a sign of life",
    }
}

fn line(text: &str) -> String {
    safe(&cut(text, LINE))
}

fn lines(text: &str) -> String {
    cut(text.trim(), TEXT).lines().map(safe).collect::<Vec<_>>().join("\n")
}

fn by_name(labels: &Labels) -> BTreeMap<String, String> {
    labels.0.iter().map(|(name, value)| (line(name), line(value))).collect()
}

fn moment(at: chrono::DateTime<chrono::Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{hostile_notice, notice};
    use super::*;

    #[test]
    fn every_field_is_named_for_the_reference_page() {
        let card = serde_json::json!(Card::of(&notice("k")));
        let mut written: Vec<&String> = card.as_object().unwrap().keys().collect();
        let mut named: Vec<&str> = Card::FIELDS.iter().map(|(name, _)| *name).collect();
        written.sort();
        named.sort_unstable();
        assert_eq!(written, named);
    }

    #[test]
    fn headings_say_how_bad_what_and_where_and_a_drill_says_so_first() {
        let of = |kind, drill| Card::of(&Notice { kind, drill, ..notice("k") }).heading;
        assert_eq!(of(NoticeKind::Firing, false), "WARNING dead_tuples_past_trigger on orders-1: shop.public.orders");
        assert_eq!(of(NoticeKind::Raised, false), "WARNING dead_tuples_past_trigger on orders-1: shop.public.orders, now worse");
        assert_eq!(
            of(NoticeKind::Resolved, true),
            "DRILL, nothing is wrong: RESOLVED dead_tuples_past_trigger on orders-1: shop.public.orders"
        );
    }

    #[test]
    fn nothing_in_a_card_moves_a_terminal_or_forges_a_line() {
        let card = serde_json::json!(Card::of(&hostile_notice("k")));
        fn texts(value: &serde_json::Value, all: &mut Vec<String>) {
            match value {
                serde_json::Value::String(text) => all.push(text.clone()),
                serde_json::Value::Array(items) => items.iter().for_each(|item| texts(item, all)),
                serde_json::Value::Object(map) => map.values().for_each(|item| texts(item, all)),
                _ => {}
            }
        }
        let mut all = Vec::new();
        texts(&card, &mut all);
        for text in &all {
            text.lines().for_each(|line| assert_eq!(safe(line), line));
        }
        assert!(all.iter().filter(|text| text.contains("forged")).count() > 8, "it is shown, not hidden");
    }

    #[test]
    fn what_is_to_be_known_besides_is_told_in_sentences() {
        let mut notice = notice("k1");
        notice.reason = "severity rose from warning".into();
        notice.began_during = Some("window `weekly-patch`".into());
        notice.fallback_of = Some("shop-slack".into());
        let card = Card::of(&notice);
        assert_eq!(
            card.notes(),
            [
                "why now: severity rose from warning",
                "it began during window `weekly-patch`, in which nobody was told",
                "it was meant for the channel shop-slack, which could not be reached",
            ]
        );
        assert_eq!(card.foot(), "vacuum · console · 1970-01-01 00:10:00 UTC · key k1");
    }
}
