//! `routes`: the tree that says which channel takes which alert.
//!
//! The root must name a channel. What no child matches goes there, so nothing can fall through unseen.

use std::collections::{BTreeMap, BTreeSet};

use super::channels::console;
use super::checked::{ChannelConfig, TargetConfig};
use super::desk::{Desk, choose, shown};
use super::matchers;
use super::source::SourceFile;
use crate::model::Route;
use crate::problem::Problem;
use crate::yaml::{Fields, Node, text_of};

/// Deepest tree; more is a mistake, not a plan.
const MAX_DEPTH: usize = 16;

/// What a tree may refer to.
pub(super) struct Known<'a> {
    pub channels: &'a BTreeSet<String>,
    pub targets: &'a [TargetConfig],
}

/// Reads the whole tree.
pub(super) fn read(desk: &mut Desk, file: &SourceFile, node: &Node, known: &Known<'_>) -> Route {
    let Some(mut fields) = desk.open(file, node, "`routes`") else { return Route::default() };
    fields.refuse("match", "does not stand at the top: what no child matches comes here");
    fields.refuse("go_on", "does not stand at the top: there is nothing beside it");
    let route = inner(desk, file, &mut fields, known, 0);
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

fn child(desk: &mut Desk, file: &SourceFile, node: &Node, known: &Known<'_>, depth: usize) -> Option<Route> {
    let mut fields = desk.open(file, node, "a route")?;
    fields.refuse("continue", "is called `go_on` here");
    let matchers = fields.node("match").map(|node| matchers::read(desk, file, node, known.targets)).unwrap_or_default();
    let go_on = fields.flag("go_on").unwrap_or(false);
    if matchers.0.is_empty() {
        desk.warn(file, node, "this route matches everything", "add `match`, or move its channel to the parent");
    }
    let route = Route { matchers, go_on, ..inner(desk, file, &mut fields, known, depth) };
    desk.finish(fields);
    Some(route)
}

fn inner(desk: &mut Desk, file: &SourceFile, fields: &mut Fields<'_>, known: &Known<'_>, depth: usize) -> Route {
    for key in ["group_by", "wait"] {
        fields.refuse(key, "is not in this version yet: every alert is told by itself, at once");
    }
    let mut channels = Vec::new();
    for node in fields.list("channel").unwrap_or_default() {
        let name = text_of(node).unwrap_or_default();
        if known.channels.contains(&name) {
            channels.push(name);
        } else {
            let hint = choose(known.channels.iter().map(String::as_str), &name);
            desk.error_hint(file, node, format!("there is no channel {}", shown(node)), hint);
            // It was named all the same: no second problem about a missing channel.
            channels.push(name);
        }
    }
    let repeat_s = fields.node("repeat").and_then(|node| desk.seconds(file, "repeat", node, 60..=366 * 86_400));
    let mut routes = Vec::new();
    for node in fields.list("routes").unwrap_or_default() {
        if depth + 1 > MAX_DEPTH {
            desk.error(file, node, format!("routes are nested deeper than {MAX_DEPTH}"));
            break;
        }
        routes.extend(child(desk, file, node, known, depth + 1));
    }
    Route { channels, repeat_s, routes, ..Route::default() }
}
