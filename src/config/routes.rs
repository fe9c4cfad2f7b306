//! `routes`: the tree that says which channel takes which alert.
//!
//! The root must name a channel. What no child matches goes there, so nothing can fall through unseen.

use std::collections::{BTreeMap, BTreeSet};

use super::channels::{console, named};
use super::checked::{ChannelConfig, TargetConfig};
use super::desk::Desk;
use super::matchers;
use super::source::SourceFile;
use crate::model::Route;
use crate::problem::Problem;
use crate::yaml::{Fields, Node};

/// Deepest tree; more is a mistake, not a plan.
const MAX_DEPTH: usize = 16;

/// What a tree may refer to.
pub(super) struct Known<'a> {
    pub channels: &'a BTreeSet<String>,
    pub targets: &'a [TargetConfig],
}

/// What a route must know of those above it.
#[derive(Debug, Clone, Copy, Default)]
struct Above {
    depth: usize,
    grouped: bool,
}

/// Reads the whole tree.
pub(super) fn read(desk: &mut Desk, file: &SourceFile, node: &Node, known: &Known<'_>) -> Route {
    let Some(mut fields) = desk.open(file, node, "`routes`") else { return Route::default() };
    fields.refuse("match", "does not stand at the top: what no child matches comes here");
    fields.refuse("go_on", "does not stand at the top: there is nothing beside it");
    let route = inner(desk, file, &mut fields, known, Above::default());
    if desk.finish(fields) && route.channels.is_empty() {
        desk.error_hint(file, node, "the root of `routes` names no channel", "add `channel: NAME`: it takes what no child matches");
    }
    route
}

/// The tree where there is no section: the one channel there is takes everything, and where there is none, a console.
pub(super) fn without(
    desk: &mut Desk,
    first: Option<&SourceFile>,
    channels: &mut BTreeMap<String, ChannelConfig>,
    names: &BTreeSet<String>,
) -> Route {
    if let (Some(file), true) = (first, names.len() > 1) {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let problem = Problem::error(&file.name, None, "there are several channels and no `routes`");
        desk.push(problem.hint(format!("add `routes: {{channel: NAME}}` with one of {}", names.join(", "))));
    }
    if names.is_empty() {
        channels.extend(console().map(|settings| ("console".into(), settings)));
    }
    let name = names.first().map_or("console", String::as_str);
    Route { channels: vec![name.into()], ..Route::default() }
}

fn child(desk: &mut Desk, file: &SourceFile, node: &Node, known: &Known<'_>, above: Above) -> Option<Route> {
    let mut fields = desk.open(file, node, "a route")?;
    fields.refuse("continue", "is called `go_on` here");
    let matchers = fields.node("match").map(|node| matchers::read(desk, file, "match", node, known.targets)).unwrap_or_default();
    let go_on = fields.flag("go_on").unwrap_or(false);
    if matchers.0.is_empty() {
        desk.warn(file, node, "this route matches everything", "add `match`, or move its channel to the parent");
    }
    let route = Route { matchers, go_on, ..inner(desk, file, &mut fields, known, above) };
    desk.finish(fields);
    Some(route)
}

fn inner(desk: &mut Desk, file: &SourceFile, fields: &mut Fields<'_>, known: &Known<'_>, above: Above) -> Route {
    let channels = named(desk, file, fields.list("channel").unwrap_or_default(), known.channels);
    let repeat_s = fields.node("repeat").and_then(|node| desk.seconds(file, "repeat", node, 60..=366 * 86_400));
    let group_by = fields.texts("group_by");
    for (node, name) in fields.list("group_by").unwrap_or_default().iter().zip(group_by.iter().flatten()) {
        desk.asks(file, node.at, name, &[]);
    }
    let here = Above { depth: above.depth + 1, grouped: above.grouped || group_by.is_some() };
    let wait_s = timer(desk, file, fields, "wait", here.grouped);
    let interval_s = timer(desk, file, fields, "interval", here.grouped);
    let mut routes: Vec<Route> = Vec::new();
    for node in fields.list("routes").unwrap_or_default() {
        if here.depth > MAX_DEPTH {
            desk.error(file, node, format!("routes are nested deeper than {MAX_DEPTH}"));
            break;
        }
        let Some(route) = child(desk, file, node, known, here) else { continue };
        if routes.iter().any(|earlier| takes_all(earlier, &route)) {
            let hint = "move it up, or let the earlier one `go_on`";
            desk.warn(file, node, "this route is never reached: one before it takes all that it matches", hint);
        }
        routes.push(route);
    }
    Route { channels, repeat_s, group_by, wait_s, interval_s, routes, ..Route::default() }
}

/// Whether whatever the later one matches has been taken by the earlier one, as far as that can be told from the text.
fn takes_all(earlier: &Route, later: &Route) -> bool {
    !earlier.go_on && earlier.matchers.0.iter().all(|matcher| later.matchers.0.contains(matcher))
}

/// How long a group waits. Without groups every alert is told by itself and at once, so there is nothing to wait for.
fn timer(desk: &mut Desk, file: &SourceFile, fields: &mut Fields<'_>, key: &'static str, grouped: bool) -> Option<u64> {
    let node = fields.node(key)?;
    if !grouped {
        desk.warn(file, node, format!("`{key}` does nothing without `group_by`"), "add `group_by: [cluster, rule]` here or above");
    }
    desk.seconds(file, key, node, 0..=86_400)
}
