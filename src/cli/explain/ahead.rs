//! What would change it: the limits ahead, when a pending alert fires, and how long one stays once it is gone.

use chrono::{DateTime, TimeDelta, Utc};
use pgsteward_helpers::span;

use crate::alert::Patience;
use crate::app::explain::{Change, Explanation, Life};
use crate::cli::shared::clock;
use crate::cli::term::{BOLD, styled, wrapped};
use crate::model::State;
use crate::text::safe;

/// The part of the page; empty where nothing is known to come.
pub(super) fn change(one: &Explanation, width: usize) -> String {
    let mut lines: Vec<String> = one.changes.iter().map(|change| sentence(change, one.at)).collect();
    if let Some(life) = &one.life {
        lines.extend(waits(one, life));
        if life.state == State::Firing && one.rule.keep_firing_for_s > 0 {
            lines.push(format!("Once it is gone it stays firing for {} more.", span(one.rule.keep_firing_for_s as f64)));
        }
    }
    if lines.is_empty() {
        return String::new();
    }
    let lines: Vec<String> = lines.iter().map(|line| format!("{}\n", wrapped(line, "   ", "   ", width))).collect();
    format!("\n{}\n{}", styled(BOLD, "What would change it"), lines.concat())
}

/// When a pending alert fires.
fn waits(one: &Explanation, life: &Life) -> Vec<String> {
    match &life.patience {
        Some(told) => outlook(told, one.at),
        None if life.state == State::Pending => {
            let earliest = clock(life.since + seconds(one.rule.for_s), one.at);
            vec![format!("Fires at {earliest} at the earliest, at the first evaluation from then on that still finds it.")]
        }
        None => Vec::new(),
    }
}

/// What has to come before it fires: evaluations that still find it, none too far from the one before.
fn outlook(told: &Patience, now: DateTime<Utc>) -> Vec<String> {
    let at = |at: DateTime<Utc>| clock(at, now);
    let (counted, gap) = (span(told.counted_s as f64), span(told.longest_gap_s as f64));
    let fires = match told.fires_from {
        Some(from) if from <= now => {
            format!("at the next evaluation, if that still finds it and comes by {}", at(told.evaluated_at + seconds(told.longest_gap_s)))
        }
        Some(from) => format!("at the first evaluation from {} on, if each until then still finds it", at(from)),
        None => {
            let left = span(told.for_s.saturating_sub(told.counted_s) as f64);
            format!("{left} after the next evaluation at the earliest, if each until then still finds it")
        }
    };
    let so_far = format!("{counted} of {} counted by the last evaluation, at {}", span(told.for_s as f64), at(told.evaluated_at));
    let mut lines = vec![format!("Fires {fires}: {so_far}. Gaps of more than {gap} between evaluations do not count.")];
    if let Some(lost) = told.lost_s {
        let lost = span(lost as f64);
        lines.push(format!(
            "The {lost} before the last evaluation did not count. If runs always come that far apart it never fires: say so in `schedule: {{every: ..}}`."
        ));
    }
    lines
}

fn seconds(s: u64) -> TimeDelta {
    TimeDelta::seconds(s.min(u64::from(u32::MAX)) as i64)
}

fn sentence(change: &Change, now: DateTime<Utc>) -> String {
    let about = change.about.map_or(String::new(), |at| format!("; going on like this about {}", clock(at, now)));
    let text = format!("{}{about}.", distance(change));
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

/// `fires above 4 x: 29 % more`
pub(super) fn distance(change: &Change) -> String {
    let side = if change.limit >= change.value { "above" } else { "below" };
    let share = ((change.limit - change.value) / change.value * 100.0).abs();
    let more = if change.limit >= change.value { "more" } else { "less" };
    let far = if share.is_finite() && share < 1e6 { format!(": {} % {more}", share.ceil()) } else { String::new() };
    format!("{} {side} {}{far}", safe(&change.to), change.unit.show(change.limit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn between_two_evaluations_it_is_told_which_one_will_make_it_fire() {
        let at = |text: &str| format!("2026-01-05T{text}:00Z").parse::<DateTime<Utc>>().unwrap();
        let told = |fires_from: Option<&str>, lost_s| Patience {
            counted_s: 180,
            for_s: 300,
            evaluated_at: at("10:03"),
            longest_gap_s: 120,
            fires_from: fires_from.map(at),
            lost_s,
        };
        let rest = "3m of 5m counted by the last evaluation, at 10:03:00Z. Gaps of more than 2m between evaluations do not count.";
        for (fires_from, now, fires) in [
            (Some("10:05"), "10:04", "at the first evaluation from 10:05:00Z on, if each until then still finds it"),
            (Some("10:05"), "10:05", "at the next evaluation, if that still finds it and comes by 10:05:00Z"),
            (None, "10:09", "2m after the next evaluation at the earliest, if each until then still finds it"),
        ] {
            assert_eq!(outlook(&told(fires_from, None), at(now)), [format!("Fires {fires}: {rest}")]);
        }
        let lost = outlook(&told(Some("10:05"), Some(360)), at("10:04"));
        assert_eq!(
            lost[1..],
            [
                "The 6m before the last evaluation did not count. If runs always come that far apart it never fires: say so in `schedule: {every: ..}`."
            ]
        );
    }
}
