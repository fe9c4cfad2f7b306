//! Notices as text: a block for a terminal, a line of JSON for programs. Names, statements and messages come from a
//! database and may hold anything: escape codes that take a terminal over, marks that turn the reading order, line
//! breaks that forge an entry. Every text goes through `text::safe` here, and nowhere else in this room.

use std::borrow::Cow;
use std::fmt::Write;

use anstyle::{AnsiColor, Style};
use serde::Serialize;
use textwrap::{Options, WordSplitter, wrap};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::card::{Card, DRILL};
use crate::model::{ActionRequest, Evidence, Labels, Link, Notice, NoticeKind, Severity};
use crate::text::safe;

/// Characters of a detail that a terminal is shown.
const DETAIL_CHARS: usize = 4_000;
/// Characters of one line that a terminal is shown.
const LINE_CHARS: usize = 1_000;
/// Narrower than this nothing can be read.
const NARROWEST: usize = 20;

/// At most `max` characters; what is cut off is counted.
#[must_use]
pub fn cut(text: &str, max: usize) -> Cow<'_, str> {
    match text.char_indices().nth(max) {
        None => Cow::Borrowed(text),
        Some((at, _)) => Cow::Owned(format!("{} .. ({} characters more)", &text[..at], text[at..].chars().count())),
    }
}

/// At most `max` characters in all, with `..` where something is cut off. No letter is parted from its accents.
#[must_use]
pub fn clip(text: &str, max: usize) -> Cow<'_, str> {
    if text.char_indices().nth(max).is_none() {
        return Cow::Borrowed(text);
    }
    let room = text.char_indices().nth(max.saturating_sub(2)).map_or(0, |(at, _)| at);
    // What stands at the cut belongs to the letter before it when it takes no column of its own.
    let hangs = |at: usize| text.get(at..).and_then(|rest| rest.chars().next()).is_some_and(|c| c.width() == Some(0));
    let before = |at: usize| text.get(..at).and_then(|kept| kept.char_indices().next_back()).map_or(0, |(at, _)| at);
    let end = std::iter::successors(Some(room), |at| (*at > 0 && hangs(*at)).then(|| before(*at))).last().unwrap_or(room);
    Cow::Owned(format!("{}..", text.get(..end).unwrap_or_default()))
}

/// How a terminal is written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Whether it shows colours.
    pub colour: bool,
    /// Its columns.
    pub width: usize,
}

/// A notice for a terminal: the fact, the numbers, what to do. Ends with a line break.
#[must_use]
pub fn console(notice: &Notice, key: &str, look: Look) -> String {
    let mut out = heading(notice, look);
    let mut block = Block { out: &mut out, width: look.width };
    block.text("", &cut(&notice.summary, LINE_CHARS));
    if notice.kind == NoticeKind::Resolved {
        let lasted = (notice.at - notice.active_at).num_seconds().max(0);
        block.text("", &format!("it lasted {}", pgsteward_helpers::span(lasted as f64)));
    } else {
        cut(&notice.detail, DETAIL_CHARS).lines().for_each(|line| block.text("", line));
        evidence(&mut block, &notice.evidence);
        notice.actions.iter().for_each(|action| advice(&mut block, action));
        if let Some(line) = notice.runbook.lines().map(str::trim).find(|line| !line.is_empty()) {
            block.text("See", &cut(line, LINE_CHARS));
        }
    }
    Card::of(notice).notes().iter().for_each(|note| block.text("Note", note));
    block.text("Key", key);
    out
}

fn heading(notice: &Notice, look: Look) -> String {
    let word = match notice.kind {
        NoticeKind::Resolved => "RESOLVED".into(),
        _ => notice.severity.as_str().to_uppercase(),
    };
    let style = match (notice.kind, notice.severity) {
        _ if !look.colour => Style::new(),
        (NoticeKind::Resolved, _) => AnsiColor::Green.on_default().bold(),
        (_, Severity::Critical) => AnsiColor::Red.on_default().bold(),
        (_, Severity::Warning) => AnsiColor::Yellow.on_default().bold(),
        (_, Severity::Info) => AnsiColor::Cyan.on_default().bold(),
    };
    let mut parts = vec![notice.rule.clone(), notice.target.clone(), notice.subject.to_string()];
    match notice.kind {
        NoticeKind::Raised => parts.push("now worse".into()),
        NoticeKind::Repeat => parts.push("still firing".into()),
        NoticeKind::Firing | NoticeKind::Resolved => {}
        other => parts.push(other.to_string()),
    }
    parts.retain(|part| !part.is_empty());
    parts.push(notice.at.format("%Y-%m-%dT%H:%M:%SZ").to_string());
    let drill = if notice.drill { DRILL } else { "" };
    let rest = safe(&cut(&format!("{drill}{}", parts.join("  ")), LINE_CHARS));
    let lines = wrap(&rest, options(look.width, 10));
    format!("{style}{word:<8}{style:#}  {}\n", lines.join("\n          "))
}

/// Names are full of hyphens; lines break only at spaces.
fn options(width: usize, indent: usize) -> Options<'static> {
    Options::new(width.max(NARROWEST) - indent).word_splitter(WordSplitter::NoHyphenation)
}

struct Block<'a> {
    out: &'a mut String,
    width: usize,
}

impl Block<'_> {
    /// One paragraph behind a word, indented and wrapped.
    fn text(&mut self, word: &str, text: &str) {
        let indent = if word.is_empty() { 2 } else { 8 };
        let mut head = format!("  {word}");
        for line in wrap(&safe(text), options(self.width, indent)) {
            put(self.out, format_args!("{head:<indent$}{line}\n"));
            head.clear();
        }
    }

    /// One line that is meant to be pasted: never wrapped.
    fn paste(&mut self, word: &str, text: &str) {
        let head = format!("  {word}");
        put(self.out, format_args!("{head:<8}{}\n", safe(text)));
    }
}

fn evidence(block: &mut Block<'_>, evidence: &[Evidence]) {
    let widest = evidence.iter().map(|e| safe(&e.metric).width()).max().unwrap_or(0).min(40);
    for fact in evidence {
        let value = fact.value.map_or("unknown".into(), |v| fact.unit.show(v));
        let limit = fact.threshold.map_or(String::new(), |t| format!("   limit {}", fact.unit.show(t)));
        let metric = safe(&fact.metric);
        let pad = widest.saturating_sub(metric.width());
        block.text("", &format!("{metric}{:pad$}   {value}{limit}", ""));
    }
}

fn advice(block: &mut Block<'_>, action: &ActionRequest) {
    match action.sql() {
        Ok(Some(sql)) => {
            block.paste("Do", &format!("{sql};"));
            if safe(&sql) != sql {
                block.text("Note", "a name in it holds characters that are shown as \\u{..}; it does not run as it stands");
            }
        }
        Ok(None) => block.text("Do", &cut(action.params.get("text").map_or("", String::as_str), LINE_CHARS)),
        Err(error) => block.text("Do", &format!("the advice `{}` cannot be written as SQL: {error}", action.kind)),
    }
    if !action.why.is_empty() {
        block.text("Why", &cut(&action.why, LINE_CHARS));
    }
}

/// Writing to a `String` cannot fail.
fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).unwrap_or_default();
}

/// A notice as a line of JSON, without the line break. Characters that `safe` would show are escaped, which changes
/// nothing for whoever parses it.
///
/// # Errors
/// When a value has no JSON form.
pub fn json_line(notice: &Notice, key: &str) -> Result<String, serde_json::Error> {
    let line = Line {
        key,
        at: notice.at,
        kind: notice.kind,
        severity: notice.severity,
        target: &notice.target,
        rule: &notice.rule,
        title: &notice.title,
        tier: notice.tier,
        subject: &notice.subject,
        labels: &notice.labels,
        summary: &notice.summary,
        detail: &notice.detail,
        evidence: &notice.evidence,
        actions: notice.actions.iter().map(Advice::from).collect(),
        runbook: &notice.runbook,
        began_during: notice.began_during.as_deref(),
        active_at: notice.active_at,
        fingerprint: &notice.fingerprint.0,
        episode: &notice.episode,
        category: &notice.category,
        cluster: notice.cluster.as_deref(),
        links: &notice.links,
        reason: &notice.reason,
        acked: notice.acked.as_deref(),
        fallback_of: notice.fallback_of.as_deref(),
        drill: notice.drill,
    };
    Ok(json_safe(&serde_json::to_string(&line)?))
}

/// JSON with what a terminal would obey written as `\uXXXX`; it reads the same. Line breaks between values stay.
#[must_use]
pub fn json_safe(json: &str) -> String {
    json.chars().fold(String::with_capacity(json.len()), |mut out, c| {
        if c != '\n' && is_unsafe(c) {
            c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| put(&mut out, format_args!("\\u{unit:04x}")));
        } else {
            out.push(c);
        }
        out
    })
}

fn is_unsafe(c: char) -> bool {
    c.is_control() || !c.is_ascii() && safe(c.encode_utf8(&mut [0; 4])) != c.to_string()
}

/// The form of a line; its keys only ever grow.
#[derive(Serialize)]
struct Line<'a> {
    key: &'a str,
    at: chrono::DateTime<chrono::Utc>,
    kind: NoticeKind,
    severity: Severity,
    target: &'a str,
    rule: &'a str,
    title: &'a str,
    tier: crate::model::Tier,
    subject: &'a Labels,
    labels: &'a Labels,
    summary: &'a str,
    detail: &'a str,
    evidence: &'a [Evidence],
    actions: Vec<Advice<'a>>,
    runbook: &'a str,
    began_during: Option<&'a str>,
    active_at: chrono::DateTime<chrono::Utc>,
    fingerprint: &'a str,
    episode: &'a str,
    category: &'a str,
    cluster: Option<&'a str>,
    links: &'a [Link],
    reason: &'a str,
    acked: Option<&'a str>,
    fallback_of: Option<&'a str>,
    drill: bool,
}

#[derive(Serialize)]
struct Advice<'a> {
    #[serde(flatten)]
    request: &'a ActionRequest,
    sql: Option<String>,
}

impl<'a> From<&'a ActionRequest> for Advice<'a> {
    fn from(request: &'a ActionRequest) -> Self {
        Self { request, sql: request.sql().ok().flatten() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::{hostile_notice, notice};
    use super::*;

    const PLAIN: Look = Look { colour: false, width: 80 };

    #[test]
    fn a_notice_is_a_fact_its_numbers_and_what_to_do() {
        insta::assert_snapshot!(console(&notice("7f3a.console.firing"), "7f3a.console.firing", PLAIN));
    }

    #[test]
    fn the_end_is_short() {
        let over = Notice { kind: NoticeKind::Resolved, ..notice("k2") };
        insta::assert_snapshot!(console(&over, "k2", PLAIN));
    }

    #[test]
    fn a_narrow_terminal_gets_narrow_lines_but_whole_sql() {
        let mut narrow = notice("k");
        narrow.began_during = Some("window `weekly-patch`".into());
        insta::assert_snapshot!(console(&narrow, "k", Look { colour: false, width: 40 }));
    }

    #[test]
    fn hostile_text_is_shown_and_not_obeyed() {
        insta::assert_snapshot!(console(&hostile_notice("k"), "k", Look { colour: false, width: 120 }));
    }

    #[test]
    fn colours_come_only_when_asked_for() {
        let coloured = console(&notice("k"), "k", Look { colour: true, width: 80 });
        assert!(coloured.starts_with("\u{1b}["), "{coloured:?}");
        assert_eq!(anstream::adapter::strip_str(&coloured).to_string(), console(&notice("k"), "k", PLAIN));
    }

    #[test]
    fn what_is_cut_off_is_counted() {
        assert_eq!(cut("äöü", 3), "äöü");
        assert_eq!(cut("äöüß", 3), "äöü .. (1 characters more)");
    }

    #[test]
    fn what_is_clipped_fits_and_keeps_letters_whole() {
        assert_eq!(clip("äöü", 3), "äöü");
        assert_eq!(clip("äöüßx", 4), "äö..");
        assert_eq!(clip("abe\u{301}\u{323}fgh", 6), "ab..", "the cut would part e from its marks");
        assert_eq!(clip("ab\u{1f600}\u{1f600}\u{1f600}", 4), "ab..");
        assert_eq!((clip("", 0), clip("\u{301}\u{301}\u{301}\u{301}", 3)), ("".into(), "..".into()));
    }

    proptest! {
        #[test]
        fn whatever_stands_in_a_notice_comes_out_safe_and_json_keeps_it(text in any::<String>(), width in 0usize..200) {
            let mut any = notice("k");
            any.summary = text.clone();
            any.detail = text.clone();
            any.subject.set("table", text.clone());
            for line in console(&any, "k", Look { colour: false, width }).lines() {
                prop_assert_eq!(safe(line), line);
            }
            let line = json_line(&any, "k").unwrap();
            prop_assert_eq!(safe(&line), line.as_str());
            let parsed: serde_json::Value = serde_json::from_str(&line).unwrap();
            prop_assert_eq!(parsed["summary"].as_str(), Some(text.as_str()));
        }
    }
}
