//! `silences`: times in which notices are kept back once, and why.
//!
//! What people say in passing stands in the store (`silence start`); here is what is known beforehand and reviewed like
//! the rest of the config. It cannot end by itself when an alert is over: a file keeps no memory of that.

use chrono::{DateTime, TimeDelta, Utc};

use super::checked::TargetConfig;
use super::desk::{Desk, entries};
use super::source::SourceFile;
use super::{matchers, windows};
use crate::calendar::Edge;
use crate::model::Silence;
use crate::yaml::{Node, text_of};

/// Reads `silences` into `found`.
pub(super) fn read(desk: &mut Desk, file: &SourceFile, section: &Node, targets: &[TargetConfig], found: &mut Vec<Silence>) {
    for node in entries(section) {
        let Some(silence) = one(desk, file, node, targets) else { continue };
        let path = format!("silences.{}", silence.id);
        if let Some(first) = desk.places.get(&path).cloned() {
            let message = format!("a silence `{}` stands already at {}:{}", silence.id, first.file, first.at.line);
            desk.error_hint(file, node, message, "reasons name silences: each needs its own name");
            continue;
        }
        desk.place(path, file, node.at);
        found.push(silence);
    }
}

fn one(desk: &mut Desk, file: &SourceFile, node: &Node, targets: &[TargetConfig]) -> Option<Silence> {
    let mut fields = desk.open(file, node, "a silence")?;
    let id = fields.required("name").and_then(text_of);
    let matchers = fields.required("match").map(|node| matchers::read(desk, file, "match", node, targets));
    let zone = fields.node("zone").and_then(|node| windows::zone(desk, file, node));
    let (from, to) = (fields.required("from"), fields.required("to"));
    let starts_at = from.and_then(|node| windows::moment(desk, file, node, zone, Edge::Start));
    let ends_at = to.and_then(|node| windows::moment(desk, file, node, zone, Edge::End));
    let author = fields.required("author").and_then(text_of);
    let reason = fields.required("reason").and_then(text_of);
    let link = fields.text("link");
    let understood = desk.finish(fields);
    let (starts_at, ends_at, matchers) = (starts_at?, ends_at?, matchers?);
    if understood && matchers.is_empty() {
        let hint = "say which alerts; for all of them, `match: [severity>=info]`";
        desk.error_hint(file, node, "a silence that matches everything is refused", hint);
    }
    span(desk, file, to?, starts_at, ends_at);
    Some(Silence {
        id: id?,
        matchers,
        starts_at,
        ends_at,
        author: author?,
        reason: reason?,
        link,
        expire_on_resolve: false,
        created_at: starts_at,
        ended: None,
    })
}

fn span(desk: &mut Desk, file: &SourceFile, node: &Node, from: DateTime<Utc>, to: DateTime<Utc>) {
    if to <= from {
        desk.error(file, node, "the silence ends before it begins");
    } else if to - from > TimeDelta::seconds(Silence::LONGEST_S) {
        let hint = "what nobody looks at for longer is forgotten: use a window, switch the rule off, or route it to a log";
        desk.error_hint(file, node, "the silence lasts longer than 30 days", hint);
    }
}

#[cfg(test)]
mod tests {
    use crate::config::testing::{config, problems};

    const END: &str = "author: kim, reason: move";

    #[test]
    fn a_planned_silence_has_an_end_an_author_and_a_reason() {
        let text = format!(
            "silences:\n- {{name: move, match: {{team: shop}}, from: 2026-12-05 20:00, to: '2026-12-06T06:00:00Z', zone: Europe/Paris, {END}}}"
        );
        let silence = config(&text).silences.remove(0);
        assert_eq!((silence.id.as_str(), silence.author.as_str(), silence.reason.as_str()), ("move", "kim", "move"));
        assert_eq!(
            (silence.starts_at.to_rfc3339(), silence.ends_at.to_rfc3339()),
            ("2026-12-05T19:00:00+00:00".into(), "2026-12-06T06:00:00+00:00".into())
        );
        assert_eq!(silence.matchers.to_string(), "team=shop");
        assert_eq!(
            problems("silences:\n- {name: move, match: [team=shop], from: 2026-12-05T20:00:00Z}"),
            ["c.yaml:2:3: error: `to` is missing", "c.yaml:2:3: error: `author` is missing", "c.yaml:2:3: error: `reason` is missing",]
        );
    }

    #[test]
    fn a_silence_is_short_and_about_something() {
        let of = |span: &str, matchers: &str| problems(&format!("silences:\n- {{name: move, match: {matchers}, {span}, {END}}}"));
        let month = "from: 2026-12-05T20:00:00Z, to: 2027-01-04T20:00:00Z";
        assert_eq!(of(month, "[team=shop]"), [] as [&str; 0]);
        assert_eq!(
            of(month, "{}")[0],
            "c.yaml:2:3: error: a silence that matches everything is refused; say which alerts; for all of them, `match: [severity>=info]`"
        );
        let longer = of("from: 2026-12-05T20:00:00Z, to: 2027-01-04T20:00:01Z", "[team=shop]");
        assert!(longer[0].contains("error: the silence lasts longer than 30 days; what nobody looks at"), "{longer:?}");
        let backwards = of("from: 2026-12-05T20:00:00Z, to: 2026-12-05T20:00:00Z", "[team=shop]");
        assert!(backwards[0].ends_with("error: the silence ends before it begins"), "{backwards:?}");
    }
}
