//! `config check --routes LABELS`: the way that an alert with these labels takes, by the code that walks the tree in a tick.
//!
//! What a rule and a target add to the labels is filled in where they are named. What keeps notices back now is shown beside
//! the way instead of hiding it; an inhibition depends on other alerts and so is not here.

use anyhow::{Context, bail};
use chrono::{DateTime, Utc};
use pgsteward_helpers::span;

use crate::alert::{Taken, routes_of};
use crate::app::setup;
use crate::config::Config;
use crate::model::{Labels, Matchers, Op, RuleMeta, Severity};
use crate::rules::RuleSet;
use crate::text::safe;

/// What would become of such an alert.
///
/// # Errors
/// When the labels cannot be read, or name a rule or target that is not there.
pub fn preview(config: &Config, rules: &RuleSet, text: &str, now: DateTime<Utc>) -> anyhow::Result<String> {
    let written = written(text)?;
    let rule = written.get("rule").map(|id| rule(rules, id)).transpose()?;
    let labels = filled(config, rule, &written)?;
    let severity = labels.get("severity").unwrap_or_default();
    let severity: Severity = severity.parse().ok().with_context(|| format!("there is no severity `{}`", safe(severity)))?;
    let (_, decide) = setup::wants(Some(config), &Default::default());
    let own = rule.filter(|rule| !rule.channels.is_empty());
    let ways = match own {
        Some(rule) => format!("the rule `{}` names its channels itself\n{}", safe(&rule.id), told(config, &rule.channels, severity)),
        None => routes_of(&labels, &decide).iter().map(|taken| way(config, taken, severity)).collect(),
    };
    Ok([ways, escalations(config, &labels), kept_back(config, &labels, now)].concat())
}

fn written(text: &str) -> anyhow::Result<Labels> {
    let matchers: Matchers = text.parse().map_err(|reason: String| anyhow::anyhow!("{}", safe(&reason)))?;
    let mut labels = Labels::default();
    for matcher in &matchers.0 {
        match (matcher.op(), matcher.values()) {
            (Op::Is, [value]) => labels.set(matcher.name(), value.as_str()),
            _ => bail!("`{}` is a condition, and an alert has labels: write NAME=VALUE", safe(&matcher.to_string())),
        }
    }
    Ok(labels)
}

fn rule<'a>(rules: &'a RuleSet, id: &str) -> anyhow::Result<&'a RuleMeta> {
    rules.iter().map(|rule| rule.meta()).find(|meta| meta.id == id).with_context(|| format!("there is no rule `{}`", safe(id)))
}

/// The labels of the rule, then of the target, then those that were written.
fn filled(config: &Config, rule: Option<&RuleMeta>, written: &Labels) -> anyhow::Result<Labels> {
    let mut labels: Labels = [("severity", Severity::Warning.as_str())].into_iter().collect();
    if let Some(rule) = rule {
        labels.set("severity", rule.default_severity().as_str());
        labels.set("tier", rule.tier.as_str());
        labels.set("category", rule.category.as_str());
        labels = labels.with(&rule.labels);
    }
    if let Some(name) = written.get("target") {
        let mut targets = config.targets.iter().map(|target| &target.target);
        let target = targets.find(|target| target.name == name).with_context(|| format!("there is no target `{}`", safe(name)))?;
        labels = labels.with(&target.labels);
        if let Some(cluster) = &target.cluster {
            labels.set("cluster", cluster.as_str());
        }
    }
    Ok(labels.with(written))
}

/// A route, its timers, and its channels below it.
fn way(config: &Config, taken: &Taken, severity: Severity) -> String {
    let matchers = if taken.matchers.is_empty() { String::new() } else { format!(" ({})", safe(&taken.matchers)) };
    let repeat = taken.repeat_s.map_or("never repeated".into(), |s| format!("repeated every {}", span(s as f64)));
    let when = when(taken.group.wait_s, taken.group.interval_s);
    let together = match taken.group_by.as_deref() {
        None => "told by itself, at once".into(),
        Some([]) => format!("all of the route told together, {when}"),
        Some(names) => format!("told together by {}, {when}", safe(&names.join(", "))),
    };
    format!("{}{matchers}: {together}; {repeat}\n{}", taken.path, told(config, &taken.channels, severity))
}

/// When a group goes out: `at once`, `after 30s, then 5m apart`.
fn when(wait_s: u64, interval_s: u64) -> String {
    let first = if wait_s == 0 { "at once".into() } else { format!("after {}", span(wait_s as f64)) };
    if interval_s == 0 { first } else { format!("{first}, then {} apart", span(interval_s as f64)) }
}

fn told(config: &Config, channels: &[String], severity: Severity) -> String {
    let line = |name: &String| {
        let channel = config.channels.get(name);
        let too_mild = channel.and_then(|channel| channel.severity_at_least).filter(|least| severity < *least);
        let mild = too_mild.map_or(String::new(), |least| format!(", not told: it is told of {least} and worse"));
        let fallback = channel.and_then(|channel| channel.fallback.as_ref());
        let fallback = fallback.map_or(String::new(), |fallback| format!(", fallback {}", safe(fallback)));
        format!("  -> {}{fallback}{mild}\n", safe(name))
    };
    channels.iter().map(line).collect()
}

fn escalations(config: &Config, labels: &Labels) -> String {
    let matching = config.escalations.iter().filter(|escalation| escalation.matchers.matches(labels));
    let steps = matching.flat_map(|escalation| escalation.steps.iter().map(move |step| (escalation, step)));
    let line = |(escalation, step): (&crate::model::Escalation, &crate::model::EscalationStep)| {
        let unless = if escalation.unless_acked { ", unless acknowledged" } else { "" };
        format!(
            "escalation `{}` after {}: {}{unless}\n",
            safe(&escalation.name),
            span(step.after_s as f64),
            safe(&step.channels.join(", "))
        )
    };
    steps.map(line).collect()
}

/// Windows and silences that are open now.
fn kept_back(config: &Config, labels: &Labels, now: DateTime<Utc>) -> String {
    let line = |what: &str, name: &str, until: DateTime<Utc>| {
        format!("kept back now by the {what} `{}` until {}\n", safe(name), until.format("%Y-%m-%d %H:%MZ"))
    };
    let windows = config.windows.iter().filter(|window| window.matchers.matches(labels));
    let windows = windows.filter_map(|window| Some(line("window", &window.name, window.window.contains(now)?)));
    let silences = config.silences.iter().filter(|silence| silence.is_active(now) && silence.matchers.matches(labels));
    windows.chain(silences.map(|silence| line("silence", &silence.id, silence.ends_at))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Source, check};
    use crate::env::Env;

    const CONFIG: &str = r#"
targets: [{name: orders-1, dsn: host=a, labels: {team: shop}}]
channels:
  mail: {kind: console}
  chat: {kind: console, fallback: mail}
  pager: {kind: console, severity: critical}
routes:
  channel: mail
  routes:
    - {match: {team: shop}, channel: [chat, pager]}
escalation:
  shop: {match: {team: shop}, steps: [{after: 15m, channel: mail}]}
windows:
  - {name: night, match: {team: shop}, start: "22:00", end: "06:00", zone: UTC}
"#;

    fn previewed(text: &str) -> anyhow::Result<String> {
        let config = check(Source::of_text("c.yaml", CONFIG), &Env::of([])).config.unwrap();
        preview(&config, &setup::load_only(&[]).set, text, "2026-11-24T23:00:00Z".parse().unwrap())
    }

    #[test]
    fn the_way_of_an_alert_is_shown_with_what_stands_in_it() {
        let shop = "routes[0] (team=shop): told by itself, at once; repeated every 1h\n  -> chat, fallback mail\n  -> pager, not told: it is told of critical and worse\nescalation `shop` after 15m: mail, unless acknowledged\nkept back now by the window `night` until 2026-11-25 06:00Z\n";
        assert_eq!(previewed("team=shop").unwrap(), shop);
        assert_eq!(previewed("target=orders-1").unwrap(), shop, "the labels of the target count");
        let other = "routes: told by itself, at once; repeated every 1h\n  -> mail\n";
        assert_eq!(previewed("team=data,severity=critical").unwrap(), other);
    }

    #[test]
    fn a_group_says_when_it_goes_out() {
        let said = [(0, 0), (0, 300), (30, 0), (30, 300)].map(|(wait_s, interval_s)| when(wait_s, interval_s));
        assert_eq!(said, ["at once", "at once, then 5m apart", "after 30s", "after 30s, then 5m apart"]);
    }

    #[test]
    fn what_no_alert_can_have_is_refused() {
        let why = |text: &str| previewed(text).unwrap_err().to_string();
        assert_eq!(why("team!=shop"), "`team!=shop` is a condition, and an alert has labels: write NAME=VALUE");
        assert_eq!(why("severity=bad"), "there is no severity `bad`");
        assert_eq!(why("rule=nowhere"), "there is no rule `nowhere`");
        assert_eq!(why("target=orders-9"), "there is no target `orders-9`");
        assert_eq!(why("shop"), "`shop` is no matcher; write NAME=VALUE");
    }
}
