//! `channels`: where notices go. Each kind reads its own keys; this reads what every channel may say (fallback, rate, least
//! severity, ends), finds the kind and says what no kind knows.

use std::collections::{BTreeMap, BTreeSet};

use pgsteward_helpers::{Dimension, parse_quantity};

use super::checked::ChannelConfig;
use super::desk::{Desk, choose, shown};
use super::source::SourceFile;
use crate::deliver::channels::{ChannelKind, KINDS, Rate};
use crate::model::Severity;
use crate::problem::{Mark, Problem};
use crate::yaml::{Fields, Node, Value, text_of};

/// Most messages in a rate.
const MOST_MESSAGES: u32 = 100_000;
/// Longest time of a rate in seconds.
const LONGEST_RATE_S: f64 = 86_400.0;

/// Reads `channels` into `found`; `names` get those too that are wrong, so that a route to them is no second problem.
pub(super) fn read(
    desk: &mut Desk,
    file: &SourceFile,
    node: &Node,
    found: &mut BTreeMap<String, ChannelConfig>,
    names: &mut BTreeSet<String>,
) {
    let Value::Map(entries) = &node.value else {
        let hint = "write `channels:` and below it `console: {kind: console}`";
        return desk.error_hint(file, node, format!("`channels` must be a map, this is {}", node.value.kind()), hint);
    };
    for (key, node) in entries {
        if !names.insert(key.text.clone()) {
            desk.push(Problem::error(&file.name, key.at, format!("a channel `{}` stands already in another file", key.text)));
            continue;
        }
        desk.place(format!("channels.{}", key.text), file, key.at);
        if let Some(channel) = channel(desk, file, node, &key.text) {
            found.insert(key.text.clone(), channel);
        }
    }
}

fn channel(desk: &mut Desk, file: &SourceFile, node: &Node, name: &str) -> Option<ChannelConfig> {
    let mut fields = desk.open(file, node, "a channel")?;
    if let Value::Map(entries) = &node.value {
        entries.iter().for_each(|(key, value)| desk.place(format!("channels.{name}.{}", key.text), file, value.at));
    }
    let written = fields.required("kind");
    let word = fields.text("kind");
    let Some(kind) = word.as_deref().and_then(kind) else {
        if let (Some(node), Some(word)) = (written, word) {
            let hint = choose(KINDS.iter().map(|kind| kind.name), &word);
            desk.error_hint(file, node, format!("there is no channel kind `{word}` in this version"), hint);
        }
        // Without its kind nobody can say which other keys are right.
        desk.problems.append(&mut fields.problems);
        return None;
    };
    let fallback = fields.node("fallback").and_then(|node| {
        let fallback = text_of(node);
        if fallback.is_none() {
            desk.error(file, node, format!("`fallback` must be the name of a channel, this is {}", node.value.kind()));
        }
        fallback
    });
    let rate = fields.node("rate").and_then(|node| rate(desk, file, node));
    let severity_at_least = fields.node("severity").and_then(|node| severity(desk, file, node));
    let resolved = fields.node("resolved").map(|node| resolved(desk, file, node, kind)).unwrap_or(true);
    let settings = (kind.settings)(&file.name, &mut fields);
    desk.finish(fields);
    Some(ChannelConfig { settings: settings?, fallback, rate, severity_at_least, resolved })
}

fn kind(name: &str) -> Option<&'static ChannelKind> {
    KINDS.iter().copied().find(|kind| kind.name == name)
}

/// `30/1m`: at most so many messages in that time.
fn rate(desk: &mut Desk, file: &SourceFile, node: &Node) -> Option<Rate> {
    let text = text_of(node).unwrap_or_default();
    let rate = text.split_once('/').and_then(|(count, per)| {
        let count = count.trim().parse().ok().filter(|count| (1..=MOST_MESSAGES).contains(count))?;
        let per = parse_quantity(per.trim()).ok().filter(|per| per.dimension == Dimension::Seconds)?.value;
        (1.0..=LONGEST_RATE_S).contains(&per).then_some(Rate { count, per_s: per as u32 })
    });
    if rate.is_none() {
        let hint = "write messages and a time between 1s and 1d: 30/1m";
        desk.error_hint(file, node, format!("{} is not a rate", shown(node)), hint);
    }
    rate
}

fn severity(desk: &mut Desk, file: &SourceFile, node: &Node) -> Option<Severity> {
    desk.word(file, "severity", node, &Severity::ALL.map(Severity::as_str))?.parse().ok()
}

/// A receiver that keeps incidents open must hear of the end, or they stay open for ever.
fn resolved(desk: &mut Desk, file: &SourceFile, node: &Node, kind: &ChannelKind) -> bool {
    let Value::Flag(flag) = node.value else {
        desk.error(file, node, format!("`resolved` must be true or false, this is {}", shown(node)));
        return true;
    };
    if !flag && kind.traits.stateful {
        let hint = format!("leave `resolved` out: what `{}` opens is closed by the notice of the end alone", kind.name);
        desk.error_hint(file, node, format!("a channel of the kind `{}` must be told of ends", kind.name), hint);
    }
    flag
}

/// Every fallback must be there, and following them must come to an end.
pub(super) fn check_fallbacks(desk: &mut Desk, channels: &BTreeMap<String, ChannelConfig>, names: &BTreeSet<String>) {
    let mut problems = Vec::new();
    for (name, channel) in channels {
        let Some(place) = desk.places.get(&format!("channels.{name}.fallback")) else { continue };
        let Some(fallback) = &channel.fallback else { continue };
        if !names.contains(fallback) {
            let hint = choose(names.iter().map(String::as_str), fallback);
            problems.push(place.error(format!("there is no channel `{fallback}`")).hint(hint));
        } else if let Some(circle) = circle(name, channels) {
            let hint = "the last one in the row must have no fallback";
            problems.push(place.error(format!("fallbacks go round in a circle: {}", circle.join(" -> "))).hint(hint));
        }
    }
    desk.problems.append(&mut problems);
}

/// The fallbacks that lead from a channel back to it; only for the first of them by name, so that a circle is told once.
fn circle<'a>(first: &'a str, channels: &'a BTreeMap<String, ChannelConfig>) -> Option<Vec<&'a str>> {
    let next = |name: &&str| channels.get(*name)?.fallback.as_deref();
    let mut row = vec![first];
    row.extend(std::iter::successors(next(&first), next).take(channels.len()).take_while(|name| *name != first));
    let closes = row.last().and_then(next) == Some(first);
    row.push(first);
    (closes && row.iter().all(|name| first <= *name)).then_some(row)
}

/// Names of channels in a list; one that is not there is a problem and named all the same, so that it is no second one.
pub(super) fn named(desk: &mut Desk, file: &SourceFile, list: &[Node], known: &BTreeSet<String>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for node in list {
        let name = text_of(node).unwrap_or_default();
        if !known.contains(&name) {
            let hint = choose(known.iter().map(String::as_str), &name);
            desk.error_hint(file, node, format!("there is no channel {}", shown(node)), hint);
        }
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// The console, for who names no channel.
pub(super) fn console() -> Option<ChannelConfig> {
    let node = Node { value: Value::Null, at: Mark::default() };
    let mut fields = Fields::open("", &node, "a channel").ok()?;
    (kind("console")?.settings)("", &mut fields).map(ChannelConfig::of)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Loaded, Source, check};
    use crate::env::Env;

    fn loaded(channels: &str) -> Loaded {
        let text = format!("targets: [{{name: a, dsn: ''}}]\nroutes: {{channel: a}}\nchannels:\n{channels}");
        check(Source::of_text("c.yaml", &text), &Env::of([]))
    }

    fn problems(channels: &str) -> Vec<String> {
        loaded(channels).problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_channel_may_say_how_much_it_is_told_and_who_steps_in() {
        let loaded = loaded("  a: {kind: console, fallback: b, rate: 30/1m, severity: warning, resolved: false}\n  b: {kind: console}\n");
        assert_eq!(loaded.problems, []);
        let config = loaded.config.unwrap();
        let a = &config.channels["a"];
        assert_eq!((a.fallback.as_deref(), a.rate), (Some("b"), Some(Rate { count: 30, per_s: 60 })));
        assert_eq!((a.severity_at_least, a.resolved), (Some(Severity::Warning), false));
        assert_eq!((a.policy().resolved, a.policy().severity_at_least), (false, Some(Severity::Warning)));
        let b = &config.channels["b"];
        assert_eq!((&b.fallback, b.rate, b.severity_at_least, b.resolved), (&None, None, None, true));
    }

    #[test]
    fn what_a_channel_cannot_say_is_told_at_its_place() {
        assert_eq!(
            problems("  a: {kind: console, rate: 30, severity: bad, resolved: never, fallback: [b]}\n"),
            [
                "c.yaml:4:28: error: `30` is not a rate; write messages and a time between 1s and 1d: 30/1m",
                "c.yaml:4:42: error: `severity` cannot be `bad`; known here: info, warning, critical",
                "c.yaml:4:57: error: `resolved` must be true or false, this is `never`",
                "c.yaml:4:74: error: `fallback` must be the name of a channel, this is a list",
            ]
        );
        for rate in ["0/1m", "1/0s", "1/2d", "-1/1m", "1/1MB", "1/", "/1m", "x"] {
            assert!(problems(&format!("  a: {{kind: console, rate: '{rate}'}}\n"))[0].contains("is not a rate"), "{rate}");
        }
    }

    #[test]
    fn fallbacks_must_be_there_and_come_to_an_end() {
        let channel = |name: &str, fallback: &str| format!("  {name}: {{kind: console, fallback: {fallback}}}\n");
        assert_eq!(problems(&channel("a", "mial"))[0], "c.yaml:4:32: error: there is no channel `mial`; known here: a");
        assert_eq!(
            problems(&[channel("a", "b"), channel("b", "c"), channel("c", "b"), channel("d", "d")].concat()),
            [
                "c.yaml:5:32: error: fallbacks go round in a circle: b -> c -> b; the last one in the row must have no fallback",
                "c.yaml:7:32: error: fallbacks go round in a circle: d -> d; the last one in the row must have no fallback",
            ]
        );
    }

    #[test]
    fn who_keeps_incidents_open_must_be_told_of_the_end() {
        for kind in KINDS {
            let example = kind.example.trim_end().replace('\n', "\n    ");
            let told = problems(&format!("  a:\n    {example}\n    resolved: false\n"));
            let refused = told.iter().any(|problem| problem.contains("must be told of ends"));
            assert_eq!(refused, kind.traits.stateful, "{}: {told:?}", kind.name);
        }
    }
}
