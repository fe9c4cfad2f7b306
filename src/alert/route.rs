//! Where notices of an alert go: the channels that its rule names, else those of the routing tree.
//!
//! A route that matches hands the alert to its first matching child; one that says `go_on` does not keep it from the
//! siblings after it. A route without a matching child is the destination. Channels, repeat, group and its spans come from
//! the nearest ancestor that has any. The word that a classic rule has for `action` bounds how far its notices reach.

use super::facts::Facts;
use super::fingerprint::group_key;
use crate::model::{DecideConfig, Group, Labels, Matchers, Reach, Route, RuleMeta};

/// One destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Destination<'a> {
    /// Channel name.
    pub channel: &'a str,
    /// Seconds between repeats; `None` repeats nothing.
    pub repeat_s: Option<u64>,
    /// Whether the `action` word of its rule does not reach this channel.
    pub out_of_reach: bool,
    /// The route that leads there; `None` when the rule names the channel itself.
    leaf: Option<usize>,
}

/// All destinations of an alert.
pub(super) struct Destinations<'a> {
    /// Each channel once, in the order of the tree.
    pub list: Vec<Destination<'a>>,
    leaves: Vec<Leaf<'a>>,
}

impl Destinations<'_> {
    /// What a channel is told with; made only for a notice, as most ticks have none.
    pub fn group(&self, channel: &str, facts: &Facts<'_>) -> Group {
        let leaf = self.list.iter().find(|to| to.channel == channel).and_then(|to| self.leaves.get(to.leaf?));
        leaf.map(|leaf| leaf.group(|name| facts.value(name))).unwrap_or_default()
    }
}

/// A route that some labels take, for whoever asks before there is an alert.
#[derive(Debug, Clone, PartialEq)]
pub struct Taken {
    /// Where it stands: `routes`, `routes[0].routes[2]`.
    pub path: String,
    /// Its own conditions; empty at the root.
    pub matchers: String,
    /// Channels, own or inherited.
    pub channels: Vec<String>,
    /// Labels that make its groups; `None` tells every alert by itself.
    pub group_by: Option<Vec<String>>,
    /// The group that these labels belong to.
    pub group: Group,
    /// Seconds between repeats; `None` repeats nothing.
    pub repeat_s: Option<u64>,
}

/// Which routes take an alert with these labels (`severity`, `rule`, `target` and the like among them).
#[must_use]
pub fn routes_of(labels: &Labels, config: &DecideConfig) -> Vec<Taken> {
    let mut leaves = Vec::new();
    walk(&config.route, Leaf::root(config), &mut Vec::new(), &|matchers| matchers.matches(labels), &mut leaves);
    let taken = |leaf: Leaf<'_>| Taken {
        group: leaf.group(|name| labels.get(name).unwrap_or_default()),
        path: leaf.path(),
        matchers: leaf.route.matchers.to_string(),
        channels: leaf.channels.to_vec(),
        group_by: leaf.group_by.map(<[String]>::to_vec),
        repeat_s: leaf.repeat_s,
    };
    leaves.into_iter().map(taken).collect()
}

/// All destinations of an alert: the channels that its rule names, else those of the tree.
pub(super) fn destinations<'a>(facts: &Facts<'_>, rule: Option<&'a RuleMeta>, config: &'a DecideConfig) -> Destinations<'a> {
    let mut to = Destinations { list: Vec::new(), leaves: Vec::new() };
    if let Some(rule) = rule.filter(|rule| !rule.channels.is_empty()) {
        rule.channels.iter().for_each(|channel| add(&mut to.list, channel, config.dedup_s, None, || false));
        return to;
    }
    walk(&config.route, Leaf::root(config), &mut Vec::new(), &|matchers| facts.match_all(matchers), &mut to.leaves);
    for (at, leaf) in to.leaves.iter().enumerate() {
        for channel in leaf.channels {
            add(&mut to.list, channel, leaf.repeat_s, Some(at), || !leaf.by_action && is_out_of_reach(facts, channel, config));
        }
    }
    to
}

fn add<'a>(list: &mut Vec<Destination<'a>>, channel: &'a str, repeat_s: Option<u64>, leaf: Option<usize>, out_of_reach: impl Fn() -> bool) {
    if list.iter().all(|known| known.channel != channel) {
        list.push(Destination { channel, repeat_s, leaf, out_of_reach: out_of_reach() });
    }
}

/// Whether the `action` word of an alert's rule does not reach a channel.
pub(super) fn is_out_of_reach(facts: &Facts<'_>, channel: &str, config: &DecideConfig) -> bool {
    let most = match facts.alert.labels.get("action") {
        Some("log") => Reach::Record,
        Some("notify") => Reach::Tell,
        _ => return false,
    };
    config.channels.get(channel).map(|policy| policy.reach).unwrap_or_default() > most
}

/// Whether conditions are about the `action` word: then somebody has decided how far its notices go.
pub(super) fn asks_for_action(matchers: &Matchers) -> bool {
    matchers.0.iter().any(|matcher| matcher.name() == "action")
}

/// A route with what it has from those above it.
#[derive(Clone)]
struct Leaf<'a> {
    route: &'a Route,
    /// Its place: of each step down the number of the child; empty at the root.
    trail: Vec<usize>,
    channels: &'a [String],
    repeat_s: Option<u64>,
    group_by: Option<&'a [String]>,
    wait_s: u64,
    interval_s: u64,
    /// Whether a route on the way asks for the `action` word.
    by_action: bool,
}

impl<'a> Leaf<'a> {
    fn root(config: &'a DecideConfig) -> Self {
        let above = Self {
            route: &config.route,
            trail: Vec::new(),
            channels: &[],
            repeat_s: config.dedup_s,
            group_by: None,
            wait_s: 0,
            interval_s: 0,
            by_action: false,
        };
        above.down(&config.route)
    }

    /// What a child has: its own, else this one's.
    fn down(&self, route: &'a Route) -> Self {
        Self {
            route,
            trail: Vec::new(),
            channels: if route.channels.is_empty() { self.channels } else { &route.channels },
            repeat_s: route.repeat_s.or(self.repeat_s),
            group_by: route.group_by.as_deref().or(self.group_by),
            wait_s: route.wait_s.unwrap_or(self.wait_s),
            interval_s: route.interval_s.unwrap_or(self.interval_s),
            by_action: self.by_action || asks_for_action(&route.matchers),
        }
    }

    /// As it is written: `routes` for the root, `routes[0].routes[2]` for a grandchild.
    fn path(&self) -> String {
        let steps: Vec<String> = self.trail.iter().map(|at| format!("routes[{at}]")).collect();
        if steps.is_empty() { "routes".into() } else { steps.join(".") }
    }

    fn group<'v>(&self, value: impl Fn(&str) -> &'v str) -> Group {
        let Some(by) = self.group_by else { return Group::default() };
        let labels: Labels = by.iter().map(|name| (name.as_str(), value(name))).collect();
        Group { key: group_key(&self.path(), &labels), labels, wait_s: self.wait_s, interval_s: self.interval_s }
    }
}

/// Whether the route takes it; the leaves are the routes that are its destination.
fn walk<'a>(
    route: &'a Route,
    own: Leaf<'a>,
    trail: &mut Vec<usize>,
    matches: &dyn Fn(&Matchers) -> bool,
    leaves: &mut Vec<Leaf<'a>>,
) -> bool {
    if !matches(&route.matchers) {
        return false;
    }
    let mut taken = false;
    for (at, child) in route.routes.iter().enumerate() {
        trail.push(at);
        let takes = walk(child, own.down(child), trail, matches, leaves);
        trail.pop();
        taken |= takes;
        if takes && !child.go_on {
            break;
        }
    }
    if !taken {
        leaves.push(Leaf { trail: trail.clone(), ..own });
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::testing::*;
    use crate::model::Alert;

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
        destinations(&facts, Some(rule), &config).list.iter().map(|to| format!("{} {:?}", to.channel, to.repeat_s)).collect()
    }

    #[test]
    fn groups_are_made_of_the_route_and_the_values_of_its_labels() {
        let by = |names: &[&str]| Some(names.iter().map(ToString::to_string).collect::<Vec<_>>());
        let shop = Route { interval_s: Some(300), ..route("team", "shop", &["chat"]) };
        let root = Route {
            channels: vec!["mail".into()],
            group_by: by(&["target", "rule"]),
            wait_s: Some(30),
            routes: vec![shop],
            ..Route::default()
        };
        let config = DecideConfig { route: root, ..World::new().config };
        let taken = |labels: &[(&str, &str)]| routes_of(&labels.iter().copied().collect(), &config).remove(0);
        let mail = taken(&[("target", "orders-1"), ("rule", "x")]);
        let chat = taken(&[("target", "orders-1"), ("rule", "x"), ("team", "shop")]);
        assert_eq!((mail.path.as_str(), chat.path.as_str(), chat.matchers.as_str()), ("routes", "routes[0]", "team=shop"));
        assert_eq!((chat.group.wait_s, chat.group.interval_s), (30, 300), "inherited and its own");
        assert_ne!(mail.group.key, chat.group.key, "another route, another group");
        assert_ne!(mail.group.key, taken(&[("target", "orders-1"), ("rule", "y")]).group.key);
        assert_eq!(chat.group.labels, [("target", "orders-1"), ("rule", "x")].into_iter().collect());
        assert_eq!(routes_of(&Labels::default(), &World::new().config)[0].group, Group::default(), "nobody asked for groups");
    }

    #[test]
    fn paths_name_the_route_as_it_is_written() {
        let inner =
            Route { routes: vec![route("database", "x", &["log"]), route("database", "y", &["log"])], ..route("env", "dev", &["log"]) };
        let root = Route { channels: vec!["mail".into()], routes: vec![route("team", "shop", &["chat"]), inner], ..Route::default() };
        let config = DecideConfig { route: root, ..World::new().config };
        let path = |labels: &[(&str, &str)]| routes_of(&labels.iter().copied().collect(), &config).remove(0).path;
        assert_eq!(path(&[("env", "dev"), ("database", "y")]), "routes[1].routes[1]");
        assert_eq!(path(&[("env", "dev")]), "routes[1]");
        assert_eq!(path(&[]), "routes");
    }

    #[test]
    fn an_action_word_bounds_how_far_notices_go_unless_a_route_asks_for_it() {
        let channels = |reach| crate::model::ChannelPolicy { reach, ..Default::default() };
        let mut config = World::new().config;
        config.route = Route { channels: vec!["journal".into(), "mail".into(), "pager".into()], ..Route::default() };
        config.channels = [("journal", Reach::Record), ("mail", Reach::Tell), ("pager", Reach::Page)]
            .map(|(name, reach)| (name.to_string(), channels(reach)))
            .into();
        let rule = meta("dead_rows");
        let told = |word: &str, config: &DecideConfig| {
            let mut alert = alert(&[], |_| {});
            alert.labels.set("action", word);
            let facts = Facts { alert: &alert, meta: Some(&rule), target: &config.target };
            let found = destinations(&facts, Some(&rule), config).list;
            found.iter().filter(|to| !to.out_of_reach).map(|to| to.channel.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(told("log", &config), ["journal"]);
        assert_eq!(told("notify", &config), ["journal", "mail"]);
        assert_eq!(told("alert", &config), ["journal", "mail", "pager"]);
        assert_eq!(told("remediate", &config), ["journal", "mail", "pager"]);
        config.route.routes = vec![route("action", "log", &["pager"])];
        assert_eq!(told("log", &config), ["pager"], "somebody has decided so");
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
            ["inactive>firing (fires at once); (no route leads to a channel)", "firing>resolved (cleared)"]
        );
    }
}
