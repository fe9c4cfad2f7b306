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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::testing::*;
    use crate::model::{Alert, RuleMeta};

    fn route(name: &str, value: &str, channels: &[&str]) -> Route {
        Route { matchers: matching(name, value), channels: channels.iter().map(ToString::to_string).collect(), ..Route::default() }
    }

    /// The tree of the examples: mail, below it a pager for critical production, chat for one team, a log for development.
    fn tree() -> Route {
        let pager = Route { go_on: true, ..route("severity", "critical", &["pager", "chat"]) };
        let shop = Route { repeat_s: Some(60), ..route("team", "shop", &["chat"]) };
        let dev = Route { repeat_s: Some(604_800), routes: vec![route("database", "scratch", &[])], ..route("env", "dev", &["log"]) };
        Route { channels: vec!["mail".into()], repeat_s: Some(14_400), routes: vec![pager, shop, dev], ..Route::default() }
    }

    fn alert(labels: &[(&str, &str)], change: impl Fn(&mut Alert)) -> Alert {
        let mut world = World::new();
        world.config.target.labels = labels.iter().copied().collect();
        world.tick(seen(&["a"]));
        let mut alert = Alert::clone(world.book.alerts.values().next().unwrap());
        change(&mut alert);
        alert
    }

    fn leads(route: Route, alert: &Alert, rule: &RuleMeta) -> Vec<String> {
        let config = DecideConfig { route, ..World::new().config };
        let facts = Facts { alert, meta: Some(rule), target: &config.target };
        destinations(&facts, &config).iter().map(|to| format!("{} {:?}", to.channel, to.repeat_s)).collect()
    }

    #[test]
    fn the_first_child_that_matches_takes_it_and_children_inherit() {
        let rule = meta("dead_rows");
        let plain = alert(&[], |_| {});
        assert_eq!(leads(tree(), &plain, &rule), ["mail Some(14400)"], "no child matches");
        let shop = alert(&[("team", "shop"), ("env", "dev")], |_| {});
        assert_eq!(leads(tree(), &shop, &rule), ["chat Some(60)"], "the team comes first");
        let scratch = alert(&[("env", "dev")], |alert| alert.subject.set("database", "scratch"));
        assert_eq!(leads(tree(), &scratch, &rule), ["log Some(604800)"], "inherited by the grandchild");
    }

    #[test]
    fn a_route_that_goes_on_shares_with_its_siblings_each_channel_once() {
        let both = alert(&[("team", "shop")], |alert| alert.severity = crate::model::Severity::Critical);
        assert_eq!(leads(tree(), &both, &meta("dead_rows")), ["pager Some(14400)", "chat Some(14400)"]);
        let paged = alert(&[], |alert| alert.severity = crate::model::Severity::Critical);
        assert_eq!(leads(tree(), &paged, &meta("dead_rows")), ["pager Some(14400)", "chat Some(14400)"], "mail has handed it on");
    }

    #[test]
    fn channels_that_the_rule_names_come_before_routes() {
        let mut rule = meta("dead_rows");
        rule.channels = vec!["own".into(), "own".into()];
        assert_eq!(leads(tree(), &alert(&[("team", "shop")], |_| {}), &rule), ["own Some(3600)"]);
    }

    #[test]
    fn every_alert_has_the_names_that_are_promised() {
        let mut config = World::new().config;
        config.target.cluster = Some("orders".into());
        let mut alert = alert(&[("tier", "prod")], |_| {});
        alert.subject.set("database", "shop");
        let rule = meta("dead_rows");
        let facts = Facts { alert: &alert, meta: Some(&rule), target: &config.target };
        for (name, value) in [
            ("severity", "warning"),
            ("rule", "dead_rows"),
            ("target", "orders-1"),
            ("tier", "ticket"),
            ("tier", "prod"),
            ("category", "vacuum"),
            ("cluster", "orders"),
            ("database", "shop"),
            ("table", "a"),
        ] {
            assert!(facts.match_all(&matching(name, value)), "{name}={value}");
            assert!(!facts.match_all(&matching(name, "other")), "{name}");
        }
        assert!(facts.match_all(&matching("nowhere", "")), "a label that is not there equals an empty one");
    }

    #[test]
    fn an_alert_without_a_route_says_so() {
        let mut world = World::new();
        world.config.route = route("team", "nobody", &["mail"]);
        assert_eq!(
            world.story([seen(&["a"]), seen(&[])]),
            ["inactive>firing (fires at once); (no route leads to a channel)", "firing>resolved (cleared); (no route leads to a channel)",]
        );
    }
}
