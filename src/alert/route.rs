//! Where notices of an alert go: the channels that its rule names, else those of the routing tree.
//!
//! A route that matches hands the alert to its first matching child; one that says `go_on` does not keep it from the
//! siblings after it. A route without a matching child is the destination. Channels and repeat come from the nearest
//! ancestor that has any.

use super::facts::Facts;
use crate::model::{DecideConfig, Route};

/// One destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Destination<'a> {
    /// Channel name.
    pub channel: &'a str,
    /// Seconds between repeats; `None` repeats nothing.
    pub repeat_s: Option<u64>,
}

/// All destinations, each channel once, in the order of the tree.
pub(super) fn destinations<'a>(facts: &Facts<'a>, config: &'a DecideConfig) -> Vec<Destination<'a>> {
    let mut found = Vec::new();
    match facts.meta.map(|meta| &meta.channels) {
        Some(named) if !named.is_empty() => add(&mut found, named, config.dedup_s),
        _ => {
            walk(&config.route, &[], config.dedup_s, facts, &mut found);
        }
    }
    found
}

/// Whether the route takes the alert.
fn walk<'a>(route: &'a Route, above: &'a [String], above_s: Option<u64>, facts: &Facts<'_>, found: &mut Vec<Destination<'a>>) -> bool {
    if !facts.match_all(&route.matchers) {
        return false;
    }
    let channels = if route.channels.is_empty() { above } else { &route.channels };
    let repeat_s = route.repeat_s.or(above_s);
    let mut taken = false;
    for child in &route.routes {
        if walk(child, channels, repeat_s, facts, found) {
            taken = true;
            if !child.go_on {
                break;
            }
        }
    }
    if !taken {
        add(found, channels, repeat_s);
    }
    true
}

fn add<'a>(found: &mut Vec<Destination<'a>>, channels: &'a [String], repeat_s: Option<u64>) {
    for channel in channels {
        if found.iter().all(|known| known.channel != channel) {
            found.push(Destination { channel, repeat_s });
        }
    }
}
