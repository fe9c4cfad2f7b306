//! What would change it: the limits ahead, when a pending alert fires, and how long one stays once it is gone.

use chrono::{DateTime, TimeDelta, Utc};
use pgsteward_helpers::span;

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
    let Some(told) = &life.patience else {
        let wait = TimeDelta::seconds(one.rule.for_s.min(u64::from(u32::MAX)) as i64);
        let earliest = |_| {
            format!(
                "Fires at {} at the earliest, at the first evaluation from then on that still finds it.",
                clock(life.since + wait, one.at)
            )
        };
        return Some(()).filter(|()| life.state == State::Pending).map(earliest).into_iter().collect();
    };
    let at = |at: DateTime<Utc>| clock(at, one.at);
    let so_far = format!("{} of {} count so far", span(told.counted_s as f64), span(told.for_s as f64));
    let last = told.evaluated_at + TimeDelta::seconds(told.longest_gap_s.min(u64::from(u32::MAX)) as i64);
    let gap = span(told.longest_gap_s as f64);
    let mut lines = vec![match told.fires_from {
        Some(from) if from <= one.at => {
            format!("Fires at the next evaluation if that still finds it and comes by {}: longer gaps than {gap} do not count.", at(last))
        }
        Some(from) => format!(
            "Fires at the first evaluation from {} on that still finds it ({so_far}; longer gaps than {gap} between two do not count).",
            at(from)
        ),
        None => format!(
            "Fires at the first evaluation that still finds it {} or more after the next one ({so_far}; the last was at {}, and longer gaps than {gap} do not count).",
            span(told.for_s.saturating_sub(told.counted_s) as f64),
            at(told.evaluated_at)
        ),
    }];
    if let Some(lost) = told.lost_s {
        lines.push(format!(
            "The {} before the last evaluation did not count. Where runs always are that far apart, say so with `schedule: {{every: ..}}`, or it never fires.",
            span(lost as f64)
        ));
    }
    lines
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
