//! Why a channel is not on an alert's way: what the first route that leads to it asks for. Routes are named as
//! `config check --routes` names them: `routes[0].routes[2]`.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::alert::is_matched;
use crate::model::{Alert, Matcher, Matchers, Route, Target};

/// A channel that routes lead to, but not for this alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unrouted {
    /// The channel.
    pub channel: String,
    /// Why not: what the first route to it asks for, or what the route says that leads there.
    pub why: String,
}

/// The channels of the tree that an alert's own do not name, in the order of the tree.
pub(super) fn of(route: &Route, alert: &Alert, target: &Target, told: &BTreeSet<&str>) -> Vec<Unrouted> {
    let mut found = Vec::new();
    walk(
        route,
        "routes",
        Vec::new(),
        &mut |channel, path, unmet| {
            if !told.contains(channel) && found.iter().all(|known: &Unrouted| known.channel != channel) {
                let needs = Matchers(unmet.to_vec());
                let why = if needs.is_empty() { format!("{path} comes after one that takes it") } else { format!("{path} needs {needs}") };
                found.push(Unrouted { channel: channel.into(), why });
            }
        },
        &|matchers| is_matched(alert, target, matchers),
    );
    found
}

/// Shown each channel of the tree, the path of its route, and what an alert does not meet on that path.
type See<'a> = dyn FnMut(&str, &str, &[Matcher]) + 'a;

fn walk(route: &Route, path: &str, above: Vec<Matcher>, see: &mut See<'_>, meets: &dyn Fn(&Matchers) -> bool) {
    let mut unmet = above;
    unmet.extend(route.matchers.0.iter().filter(|one| !meets(&Matchers(vec![(*one).clone()]))).cloned());
    for channel in &route.channels {
        see(channel, path, &unmet);
    }
    for (number, child) in route.routes.iter().enumerate() {
        let below = if path == "routes" { format!("routes[{number}]") } else { format!("{path}.routes[{number}]") };
        walk(child, &below, unmet.clone(), see, meets);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Severity;

    #[test]
    fn the_route_that_leads_there_says_what_it_asks_for() {
        let route = |text: &str, channels: &[&str], routes: Vec<Route>| Route {
            matchers: text.parse().unwrap(),
            channels: channels.iter().map(ToString::to_string).collect(),
            routes,
            ..Route::default()
        };
        let deep = route("team=shop", &["chat"], vec![route("severity=critical", &["pager"], Vec::new())]);
        let tree =
            route("", &["mail"], vec![route("env=dev", &["log"], Vec::new()), deep, route("severity=warning", &["late"], Vec::new())]);
        let alert =
            Alert { severity: Severity::Warning, labels: [("env", "prod"), ("team", "data")].into_iter().collect(), ..Alert::default() };
        let found = of(&tree, &alert, &Target::default(), &BTreeSet::from(["mail"]));
        let shown: Vec<String> = found.iter().map(|one| format!("{}: {}", one.channel, one.why)).collect();
        assert_eq!(
            shown,
            [
                "log: routes[0] needs env=dev",
                "chat: routes[1] needs team=shop",
                "pager: routes[1].routes[0] needs team=shop,severity=critical",
                "late: routes[2] comes after one that takes it"
            ]
        );
    }
}
