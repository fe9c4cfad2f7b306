//! `config check --routes LABELS`: the way that an alert with these labels would take, by the code that decides in a tick.
//!
//! What keeps notices back now is named beside it instead of hiding the way.

use anyhow::{Context, bail};
use chrono::{DateTime, Utc};
use pgsteward_helpers::span;

use crate::alert;
use crate::app::{drill, setup};
use crate::cli::table;
use crate::config::Config;
use crate::model::{Decision, Labels, Matchers, Op, RuleMeta, Severity, Target, Tier};
use crate::rules::RuleSet;
use crate::text::safe;

/// An alert that might be.
struct Wanted {
    labels: Labels,
    severity: Severity,
}

/// What would become of such an alert.
///
/// # Errors
/// When the labels cannot be read, or name a rule that is not there.
pub fn preview(config: &Config, rules: &RuleSet, text: &str, now: DateTime<Utc>) -> anyhow::Result<String> {
    let wanted = wanted(text)?;
    let meta = meta(&wanted.labels, rules)?;
    let (_, decide) = setup::wants(Some(config), &target(&wanted.labels, config));
    let decision = drill::sample(&meta, &Labels::default(), wanted.severity, &decide, now);
    let mut all = wanted.labels;
    all.set("severity", wanted.severity.as_str());
    Ok([ways(config, &decision), untold(&decision), escalations(config, &all), kept_back(config, &all, now)].concat())
}

fn wanted(text: &str) -> anyhow::Result<Wanted> {
    let matchers: Matchers = text.parse().map_err(|reason: String| anyhow::anyhow!("{}", safe(&reason)))?;
    let mut labels = Labels::default();
    for matcher in &matchers.0 {
        match (matcher.op(), matcher.values()) {
            (Op::Is, [value]) => labels.set(matcher.name(), value.as_str()),
            _ => bail!("`{}` is a condition, and an alert has labels: write NAME=VALUE", safe(&matcher.to_string())),
        }
    }
    let severity = match labels.get("severity") {
        Some(word) => word.parse().ok().with_context(|| format!("there is no severity `{}`", safe(word)))?,
        None => Severity::Warning,
    };
    Ok(Wanted { labels, severity })
}

/// The rule that is named, or one of which nothing is known but what the labels say.
fn meta(labels: &Labels, rules: &RuleSet) -> anyhow::Result<RuleMeta> {
    if let Some(id) = labels.get("rule") {
        let found = rules.iter().map(|rule| rule.meta()).find(|meta| meta.id == id);
        return found.cloned().with_context(|| format!("there is no rule `{}`", safe(id)));
    }
    let tier = labels.get("tier").and_then(|word| Tier::ALL.into_iter().find(|tier| tier.as_str() == word));
    let category = labels.get("category").unwrap_or_default().to_string();
    Ok(RuleMeta { id: "any".into(), title: "Any rule".into(), category, tier: tier.unwrap_or_default(), ..alert::rule_unevaluable() })
}

/// The target that is named, with the labels that were given put over its own.
fn target(labels: &Labels, config: &Config) -> Target {
    let name = labels.get("target").unwrap_or_default();
    let known = config.targets.iter().map(|target| &target.target).find(|target| target.name == name);
    let mut target = known.cloned().unwrap_or_else(|| Target { name: name.into(), ..Target::default() });
    for (name, value) in labels.0.iter() {
        match name.as_str() {
            "cluster" => target.cluster = Some(value.clone()),
            "severity" | "rule" | "target" | "category" => {}
            _ => target.labels.set(name.as_str(), value.as_str()),
        }
    }
    target
}

fn ways(config: &Config, decision: &Decision) -> String {
    let rows = decision.notices.iter().map(|notice| {
        let group = &notice.group;
        let labels = group.labels.0.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(", ");
        let timers = match group.key.is_empty() {
            true => ["by itself".into(), "at once".into(), String::new()],
            false => [labels, span(group.wait_s as f64), span(group.interval_s as f64)],
        };
        let fallback = config.channels.get(&notice.channel).and_then(|channel| channel.fallback.clone()).unwrap_or_default();
        [[notice.channel.clone()].as_slice(), timers.as_slice(), &[fallback]].concat()
    });
    table::render(&["channel", "told with", "wait", "interval", "fallback"], &rows.collect::<Vec<_>>())
}

fn untold(decision: &Decision) -> String {
    let line = |record: &crate::model::DecisionRecord| {
        let whom = record.channel.as_deref().map_or("nobody is told".into(), |channel| format!("{} is not told", safe(channel)));
        format!("{whom}: {}\n", safe(&record.reason.to_string()))
    };
    decision.records.iter().filter(|record| !record.sent && record.channel.is_some()).map(line).collect()
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
        let shop = previewed("team=shop").unwrap();
        let lines: Vec<Vec<&str>> = shop.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[1], ["chat", "by", "itself", "at", "once", "mail"], "{shop}");
        assert!(shop.contains("escalation `shop` after 15m: mail, unless acknowledged\n"), "{shop}");
        assert!(shop.ends_with("kept back now by the window `night` until 2026-11-25 06:00Z\n"), "{shop}");
        let named = previewed("target=orders-1").unwrap();
        assert!(named.lines().nth(1).is_some_and(|line| line.starts_with("chat")), "the labels of the target count: {named}");
        let other = previewed("team=data,severity=critical").unwrap();
        assert!(other.lines().nth(1).is_some_and(|line| line.starts_with("mail")), "{other}");
    }

    #[test]
    fn what_no_alert_can_have_is_refused() {
        let why = |text: &str| previewed(text).unwrap_err().to_string();
        assert_eq!(why("team!=shop"), "`team!=shop` is a condition, and an alert has labels: write NAME=VALUE");
        assert_eq!(why("severity=bad"), "there is no severity `bad`");
        assert_eq!(why("rule=nowhere"), "there is no rule `nowhere`");
        assert_eq!(why("shop"), "`shop` is no matcher; write NAME=VALUE");
    }
}
