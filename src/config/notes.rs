//! What a legal config may still get wrong, seen by somebody who knows the rules, the frames and the time: for
//! `config check`. Whether overrides fit the rules is checked where rules are loaded.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use super::asked;
use super::checked::{Config, Schedule};
use super::desk::choose;
use crate::env::Env;
use crate::model::{Catalog, MaintenanceWindow, RuleMeta, Silence};
use crate::problem::Problem;

/// How many occurrences of a window are shown.
const OCCURRENCES: usize = 5;

/// What `config check` looks at beside the config.
#[derive(Debug, Clone, Copy)]
pub struct Around<'a> {
    /// The rules that the config switches on.
    pub rules: &'a [&'a RuleMeta],
    /// The frames there are.
    pub frames: &'a Catalog,
    /// The time now.
    pub now: DateTime<Utc>,
    /// The zone of whoever reads it.
    pub local: Tz,
    /// The main file as the person named it.
    pub file: &'a str,
    /// The environment of whoever reads it.
    pub env: &'a Env,
}

/// Everything worth saying; errors among it are no reason to refuse the config, since the rest works.
#[must_use]
pub fn check_notes(config: &Config, around: &Around<'_>) -> Vec<Problem> {
    let mut notes = frame(config, around);
    notes.extend(cadences(config, around));
    notes.extend(channels(config, around));
    notes.extend(doubts(config, around));
    notes.extend(unused(config, around));
    notes.extend(asked::notes(config, around));
    notes.extend(silences(config, around));
    notes.extend(windows(config, around));
    notes
}

fn frame(config: &Config, around: &Around<'_>) -> Vec<Problem> {
    let mut notes = Vec::new();
    if config.targets.is_empty() {
        let note = Problem::warning(around.file, None, "no target is configured: `run` has nothing to watch");
        notes.push(note.hint("add `targets: [{name: NAME, dsn: ...}]`; `check DSN` needs none"));
    }
    if config.schedule.every_s.is_none() {
        let span = pgsteward_helpers::span(Schedule::EVERY_S as f64);
        let note =
            Problem::note(around.file, None, format!("no `schedule.every`: `run` ticks every {span}, and `run --once` refuses to start"));
        notes.push(note.hint("say how often cron starts it: `schedule: {every: 5m}`"));
    }
    notes
}

fn cadences(config: &Config, around: &Around<'_>) -> Vec<Problem> {
    let unknown = config.schedule.collect.keys().filter(|name| around.frames.frame(name).is_none());
    unknown
        .filter_map(|name| {
            let known: Vec<&str> = around.frames.frames().map(|frame| frame.name.as_str()).collect();
            let place = config.places.get(&format!("schedule.collect.{name}"))?;
            Some(place.error(format!("there is no frame `{name}`")).hint(choose(known.into_iter(), name)))
        })
        .collect()
}

fn channels(config: &Config, around: &Around<'_>) -> Vec<Problem> {
    let named = around.rules.iter().flat_map(|rule| rule.channels.iter().map(move |channel| (rule, channel)));
    named
        .filter(|(_, channel)| !config.channels.contains_key(*channel))
        .map(|(rule, channel)| {
            let message = format!("rule `{}` names the channel `{channel}`, which is not there", rule.id);
            Problem::error(&rule.source, None, message).hint(choose(config.channels.keys().map(String::as_str), channel))
        })
        .collect()
}

/// What of channels would not work here; the service may run elsewhere, or as somebody else.
fn doubts(config: &Config, around: &Around<'_>) -> Vec<Problem> {
    let secrets = config.elsewhere.iter().filter_map(|(place, secret)| {
        let (message, hint) = secret.doubt(around.env)?;
        Some(place.warning(message).hint(hint))
    });
    let settings = config.channels.iter().flat_map(|(name, channel)| {
        channel.settings.doubts(around.env).into_iter().filter_map(move |doubt| {
            let place = config.places.get(&format!("channels.{name}.{}", doubt.key))?;
            Some(place.warning(doubt.message).hint(doubt.hint))
        })
    });
    secrets.chain(settings).collect()
}

/// A channel that nothing leads to is most often a typing error in a route.
fn unused(config: &Config, around: &Around<'_>) -> Vec<Problem> {
    let mut named: BTreeSet<&str> = BTreeSet::new();
    let mut routes = vec![&config.route];
    while let Some(route) = routes.pop() {
        named.extend(route.channels.iter().map(String::as_str));
        routes.extend(&route.routes);
    }
    named.extend(around.rules.iter().flat_map(|rule| &rule.channels).map(String::as_str));
    named.extend(config.channels.values().filter_map(|channel| channel.fallback.as_deref()));
    named.extend(config.escalations.iter().flat_map(|escalation| &escalation.steps).flat_map(|step| &step.channels).map(String::as_str));
    named.extend(config.heartbeat.iter().map(|heartbeat| heartbeat.channel.as_str()));
    let unused = config.channels.keys().filter(|name| !named.contains(name.as_str()));
    unused
        .filter_map(|name| {
            let place = config.places.get(&format!("channels.{name}"))?;
            let hint = "name it in a route, a rule, an escalation or as a fallback";
            Some(place.warning(format!("nothing leads to the channel `{name}`")).hint(hint))
        })
        .collect()
}

fn silences(config: &Config, around: &Around<'_>) -> Vec<Problem> {
    let over = config.silences.iter().filter(|silence| silence.ends_at <= around.now);
    let note = |silence: &Silence| {
        let place = config.places.get(&format!("silences.{}", silence.id))?;
        Some(place.note(format!("the silence `{}` is over since {}", silence.id, silence.ends_at.format("%-d %b %Y %H:%MZ"))))
    };
    over.filter_map(note).collect()
}

fn windows(config: &Config, around: &Around<'_>) -> Vec<Problem> {
    let over =
        config.windows.iter().filter(|window| window.window.contains(around.now).is_none() && window.window.next(around.now, 1).is_empty());
    over.filter_map(|window| {
        let place = config.places.get(&format!("windows.{}", window.name))?;
        Some(place.warning(format!("the window `{}` never takes place again", window.name)))
    })
    .collect()
}

/// The header of `occurrences`.
pub const OCCURRENCES_HEADER: [&str; 5] = ["window", "from", "to", "local", "zone"];

/// The next times of each window, a row each: name, begin and end in UTC, both on the wall of its zone (or, where that is
/// UTC, of the reader's).
#[must_use]
pub fn occurrences(config: &Config, around: &Around<'_>) -> Vec<Vec<String>> {
    let rows = |window: &MaintenanceWindow| {
        let zone = if window.window.zone == Tz::UTC { around.local } else { window.window.zone };
        let local = |at: DateTime<Utc>| at.with_timezone(&zone).format("%a %H:%M").to_string();
        let utc = |at: DateTime<Utc>| at.format("%a %-d %b %Y %H:%MZ").to_string();
        let open = window.window.contains(around.now).map(|until| ["now".into(), utc(until), format!("until {}", local(until))]);
        let next = window.window.next(around.now, OCCURRENCES).into_iter();
        let next = next.map(|(from, to)| [utc(from), utc(to), format!("{}..{}", local(from), local(to))]);
        let rows: Vec<[String; 3]> = open.into_iter().chain(next).collect();
        let row = |[from, to, local]: [String; 3]| vec![window.name.clone(), from, to, local, zone.to_string()];
        rows.into_iter().map(row).collect::<Vec<_>>()
    };
    config.windows.iter().flat_map(rows).collect()
}

/// The zone of this machine, or UTC where it cannot be told; to show times in, never to decide with.
#[must_use]
pub fn machine_zone(env: &Env) -> Tz {
    let named = env.get("TZ").map(|zone| zone.trim_start_matches(':').to_string());
    let system = || iana_time_zone::get_timezone().ok()?.parse().ok();
    named.and_then(|zone| zone.parse().ok()).or_else(system).unwrap_or(Tz::UTC)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Source, check};
    use crate::model::{ColumnDef, ColumnKind, FrameDef, Labels, Sensitivity, Tier, Unit};

    fn rule(channels: &[&str]) -> RuleMeta {
        RuleMeta {
            id: "orders_stuck".into(),
            title: "Orders stay unpaid".into(),
            category: "own".into(),
            tier: Tier::Ticket,
            pack: "own".into(),
            enabled: true,
            inputs: vec![],
            from: None,
            settings: vec![],
            for_s: 0,
            keep_firing_for_s: 0,
            interval_s: 0,
            labels: Labels::default(),
            channels: channels.iter().map(ToString::to_string).collect(),
            runbook: String::new(),
            fire_when_missing: false,
            engine: "rich".into(),
            source: "orders.yaml".into(),
            hash: String::new(),
        }
    }

    fn notes(text: &str) -> Vec<String> {
        seen(text, |config, around| check_notes(config, around).iter().map(ToString::to_string).collect())
    }

    fn seen<T>(text: &str, look: impl FnOnce(&Config, &Around<'_>) -> T) -> T {
        let loaded = check(Source::of_text("c.yaml", text), &Env::of([]));
        let config = loaded.config.unwrap_or_else(|| panic!("{:?}", loaded.problems));
        let mut frames = Catalog::default();
        frames
            .add(FrameDef {
                name: "tables".into(),
                doc: "tables".into(),
                key: vec![],
                columns: vec![ColumnDef {
                    name: "table".into(),
                    kind: ColumnKind::Label,
                    unit: Unit::default(),
                    sensitivity: Sensitivity::default(),
                    doc: "its name".into(),
                }],
                reset_column: None,
            })
            .unwrap();
        let rules = [&rule(&["shop-slak"])];
        let now = "2026-11-23T12:00:00Z".parse().unwrap();
        let env = Env::of([("PATH", "/nowhere"), ("KEY", "0123456789abcdef0123456789abcdef")]);
        let around = Around { rules: &rules, frames: &frames, now, local: Tz::Europe__Paris, file: "c.yaml", env: &env };
        look(&config, &around)
    }

    #[test]
    fn what_others_know_better_is_said() {
        let text =
            "channels: {shop-slack: {kind: console}}\nschedule: {every: 60s, collect: {tabels: 5m}}\ntargets: [{name: a, dsn: host=a}]\n";
        assert_eq!(
            notes(text),
            [
                "c.yaml:2:34: error: there is no frame `tabels`; did you mean `tables`?",
                "orders.yaml: error: rule `orders_stuck` names the channel `shop-slak`, which is not there; did you mean `shop-slack`?",
            ]
        );
    }

    #[test]
    fn a_channel_that_would_not_work_here_is_doubted_at_its_place() {
        let text = "targets: [{name: a, dsn: host=a}]\nschedule: {every: 60s}\nroutes: {channel: [a, b, c, d, e]}\nchannels:
  a: {kind: slack, token: {env: TOKEN}, channel: C1}
  b: {kind: webhook, url: https://h/, secret: {file: /nowhere/hook}}
  c: {kind: exec, command: [tell, hunter2]}
  d: {kind: log, file: /nowhere/a.jsonl}
  e: {kind: pagerduty, routing_key: {env: KEY}}
";
        let doubts = |text: &str| notes(text).into_iter().filter(|note| note.starts_with("c.yaml")).collect::<Vec<_>>();
        assert_eq!(
            doubts(text),
            [
                "c.yaml:5:27: warning: the environment variable `TOKEN` is not set here; set it where the service starts",
                "c.yaml:6:47: warning: there is no file `/nowhere/hook`; make it, or see that the service can read it",
                "c.yaml:7:28: warning: there is no program `tell` here; install it, or write its whole path",
                "c.yaml:8:24: warning: there is no folder `/nowhere` here; mkdir -p /nowhere",
            ]
        );
        let short = text.replace("{env: KEY}", "R0UT1NGKEY");
        assert_eq!(
            doubts(&short)[4],
            "c.yaml:9:37: warning: `routing_key` must be the 32 letters and digits of an Events API v2 integration; copy it from the service's page `Integrations`"
        );
    }

    #[test]
    fn what_no_alert_has_is_asked_for_in_vain() {
        let text = "targets: [{name: a, dsn: host=a, labels: {team: shop}}]\nschedule: {every: 60s}\nroutes:
  channel: a
  group_by: [target, tabel]
  routes:
  - {match: {taem: shop}, channel: a}
  - {match: [table=~\"x.*\", rule=orders_stuk, hue=\"\"], channel: a}
inhibit:
- {source: {rule: [orders_stuck]}, target: {severity: warning}, equal: [sever]}
channels: {a: {kind: console}}
";
        let asked: Vec<String> = notes(text).into_iter().filter(|note| note.starts_with("c.yaml")).collect();
        assert_eq!(
            asked,
            [
                "c.yaml:5:22: warning: no rule, target or metric gives an alert the label `tabel`; did you mean `table`?",
                "c.yaml:7:14: warning: no rule, target or metric gives an alert the label `taem`; did you mean `team`?",
                "c.yaml:8:28: warning: there is no rule `orders_stuk`; did you mean `orders_stuck`?",
                "c.yaml:10:73: warning: no rule, target or metric gives an alert the label `sever`; give it to a target or a rule with `labels`",
            ]
        );
    }

    #[test]
    fn the_machine_zone_is_what_the_environment_says() {
        assert_eq!(machine_zone(&Env::of([("TZ", ":Asia/Tokyo")])), Tz::Asia__Tokyo);
    }

    #[test]
    fn windows_are_shown_in_utc_and_on_the_wall() {
        let text = "windows:\n- {name: patch, days: sun, start: '22:00', end: '04:00', zone: UTC, except: [2026-12-06]}\n\
                    - {name: today, all_day: true, days: mon, zone: Asia/Tokyo}\n";
        let rows: Vec<String> = seen(text, |config, around| occurrences(config, around).iter().map(|row| row.join(" | ")).collect());
        assert_eq!(rows.len(), 11, "five each, and the one that is open");
        assert_eq!(rows[0], "patch | Sun 29 Nov 2026 22:00Z | Mon 30 Nov 2026 04:00Z | Sun 23:00..Mon 05:00 | Europe/Paris");
        assert_eq!(rows[1], "patch | Sun 13 Dec 2026 22:00Z | Mon 14 Dec 2026 04:00Z | Sun 23:00..Mon 05:00 | Europe/Paris");
        assert_eq!(rows[5], "today | now | Mon 23 Nov 2026 15:00Z | until Tue 00:00 | Asia/Tokyo");
    }

    #[test]
    fn what_leads_nowhere_and_what_is_over_is_said() {
        let text = "targets: [{name: a, dsn: host=a, labels: {team: x}}]\nschedule: {every: 60s}\nroutes: {channel: a, routes: [{match: {team: x}, channel: a}, {match: [team=x, severity>=warning]}]}\nchannels:\n  a: {kind: console, fallback: b}\n  b: {kind: console}\n  c: {kind: console}\nsilences:\n- {name: old, match: [team=x], from: 2026-11-01, to: 2026-11-02 12:00, zone: UTC, author: kim, reason: move}\nwindows:\n- {name: gone, from: 2026-11-01, to: 2026-11-02 12:00, zone: UTC}\n";
        let notes: Vec<String> = notes(text).into_iter().filter(|note| note.starts_with("c.yaml")).collect();
        assert_eq!(
            notes,
            [
                "c.yaml:7:3: warning: nothing leads to the channel `c`; name it in a route, a rule, an escalation or as a fallback",
                "c.yaml:9:3: note: the silence `old` is over since 2 Nov 2026 12:00Z",
                "c.yaml:11:3: warning: the window `gone` never takes place again",
            ]
        );
        let problems = check(Source::of_text("c.yaml", text), &Env::of([])).problems;
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(
            problems,
            [
                "c.yaml:3:63: warning: this route is never reached: one before it takes all that it matches; move it up, or let the earlier one `go_on`"
            ]
        );
    }
}
