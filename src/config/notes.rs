//! What a legal config may still get wrong, seen by somebody who knows the rules, the frames and the time: for
//! `config check`. Whether overrides fit the rules is checked where rules are loaded.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use super::checked::{Config, Schedule};
use super::desk::choose;
use crate::env::Env;
use crate::model::{Catalog, RuleMeta};
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
}

/// Everything worth saying; errors among it are no reason to refuse the config, since the rest works.
#[must_use]
pub fn check_notes(config: &Config, around: &Around<'_>) -> Vec<Problem> {
    let mut notes = frame(config, around);
    notes.extend(cadences(config, around));
    notes.extend(channels(config, around));
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

fn windows(config: &Config, around: &Around<'_>) -> Vec<Problem> {
    let places = |name: &str| config.places.get(&format!("windows.{name}"));
    config
        .windows
        .iter()
        .filter_map(|window| {
            let place = places(&window.name)?;
            let zone = if window.window.zone == Tz::UTC { around.local } else { window.window.zone };
            let next: Vec<String> =
                window.window.next(around.now, OCCURRENCES).into_iter().map(|(from, to)| occurrence(from, to, zone)).collect();
            Some(match next.is_empty() {
                true => place.warning(format!("the window `{}` never takes place again", window.name)),
                false => place.note(format!("the window `{}` is {}; next: {}", window.name, window.window, next.join(", "))),
            })
        })
        .collect()
}

/// `Sun 29 Nov 21:00Z..Mon 03:00Z (Sun 22:00..Mon 04:00 Europe/Paris)`.
fn occurrence(from: DateTime<Utc>, to: DateTime<Utc>, zone: Tz) -> String {
    let utc = format!("{}..{}", from.format("%a %-d %b %H:%MZ"), to.format("%a %H:%MZ"));
    if zone == Tz::UTC {
        return utc;
    }
    let (from, to) = (from.with_timezone(&zone), to.with_timezone(&zone));
    format!("{utc} ({}..{} {zone})", from.format("%a %H:%M"), to.format("%a %H:%M"))
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
    use crate::model::{FrameDef, Labels, Tier};

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
        let loaded = check(Source::of_text("c.yaml", text), &Env::of([]));
        let config = loaded.config.unwrap_or_else(|| panic!("{:?}", loaded.problems));
        let mut frames = Catalog::default();
        frames.add(FrameDef { name: "tables".into(), doc: "tables".into(), key: vec![], columns: vec![], reset_column: None }).unwrap();
        let rules = [&rule(&["shop-slak"])];
        let now = "2026-11-23T12:00:00Z".parse().unwrap();
        let around = Around { rules: &rules, frames: &frames, now, local: Tz::Europe__Paris, file: "c.yaml" };
        check_notes(&config, &around).iter().map(ToString::to_string).collect()
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
    fn the_machine_zone_is_what_the_environment_says() {
        assert_eq!(machine_zone(&Env::of([("TZ", ":Asia/Tokyo")])), Tz::Asia__Tokyo);
    }

    #[test]
    fn windows_are_shown_in_utc_and_on_the_wall() {
        let text = "windows:\n- {name: patch, days: sun, start: '22:00', end: '04:00', zone: UTC, except: [2026-12-06]}\n";
        let notes = notes(text);
        assert_eq!(
            notes[0],
            "c.yaml: warning: no target is configured: `run` has nothing to watch; add `targets: [{name: NAME, dsn: ...}]`; `check DSN` needs none"
        );
        assert!(
            notes[1].starts_with("c.yaml: note: no `schedule.every`: `run` ticks every 1m, and `run --once` refuses to start"),
            "{notes:?}"
        );
        let window = &notes[3];
        assert!(
            window.starts_with(
                "c.yaml:2:3: note: the window `patch` is Sun 22:00..04:00 UTC; next: Sun 29 Nov 22:00Z..Mon 04:00Z (Sun 23:00..Mon 05:00 \
                 Europe/Paris), Sun 13 Dec 22:00Z..Mon 04:00Z (Sun 23:00..Mon 05:00 Europe/Paris), "
            ),
            "{window}"
        );
        assert_eq!(window.matches("Z..").count(), 5);
    }
}
