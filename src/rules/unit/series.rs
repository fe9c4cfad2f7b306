//! A case over several ticks: states and notices through the real deciding, every notice delivered at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::file::{Case, Expected, Given, Moving, Row, Series, Track};
use super::frames::{Frames, start};
use super::run::Bench;
use crate::model::{Alert, Book, DecideConfig, Decision, Labels, Missing, MissingReason, Moment, Reading, Route, State, Target, Told};

/// The channel that all notices of a test go to.
const CHANNEL: &str = "test";

/// A rule that cannot be judged raises an alert about itself in production; a series is about the rule's own alerts.
const UNKNOWN_AFTER_S: u64 = 10 * 365 * 86_400;

/// What one tick did.
struct Step {
    decision: Decision,
}

pub(super) fn run(bench: &Bench<'_>, case: &Case, series: &Series) -> Vec<String> {
    match play(bench, case, series) {
        Ok(steps) => {
            let mut failures: Vec<String> = series.states.iter().filter_map(|want| states(want, &steps)).collect();
            failures.extend(unnamed(series, &steps));
            failures.extend(series.notices.iter().filter_map(|want| notices(want, &steps)));
            failures
        }
        Err(failures) => failures,
    }
}

fn play(bench: &Bench<'_>, case: &Case, series: &Series) -> Result<Vec<Step>, Vec<String>> {
    let stage = bench.stage(case);
    let config = DecideConfig {
        target: Target { name: CHANNEL.into(), ..Target::default() },
        every_s: case.every_s,
        dedup_s: Some(3600),
        unknown_after_s: UNKNOWN_AFTER_S,
        route: Route { channels: vec![CHANNEL.into()], ..Route::default() },
        ..DecideConfig::default()
    };
    let mut book = Book::default();
    let mut earlier: Frames = stage.earlier(start());
    let mut steps = Vec::new();
    for tick in 0..series.ticks {
        let now = start() + TimeDelta::seconds((case.every_s as i64).saturating_mul(tick as i64));
        let scene = stage.scene(now, &given(bench, case, series, tick), &earlier)?;
        let outcomes = bench.tick(&scene, &case.settings, &book, case.every_s, false);
        let decision = (bench.decide)(&book, &outcomes, &config, now);
        book = delivered(&decision, now);
        let read = |(name, reading): (&String, &Reading)| Some((name.clone(), reading.frame()?.clone()));
        earlier.extend(scene.snapshot.frames.iter().filter_map(read));
        steps.push(Step { decision });
    }
    Ok(steps)
}

/// The book as it is once the channel has taken every notice of the tick.
fn delivered(decision: &Decision, now: DateTime<Utc>) -> Book {
    let mut book = decision.book.clone();
    for notice in decision.notices() {
        let told =
            Told { episode: notice.episode.clone(), kind: notice.kind, severity: notice.severity, queued_at: now, delivered_at: Some(now) };
        Arc::make_mut(&mut book.told).entry(notice.fingerprint.clone()).or_default().insert(notice.channel.clone(), told);
    }
    book
}

/// What the case gives at one tick: the rows of the series, beside the frames that stay as they are.
fn given(bench: &Bench<'_>, case: &Case, series: &Series, tick: usize) -> BTreeMap<String, Given> {
    let mut given = case.given.clone();
    let mut moving: BTreeMap<&str, Given> = BTreeMap::new();
    for track in &series.tracks {
        let rows = moving.entry(&track.frame).or_insert_with(|| Given::Rows(Vec::new()));
        match (row_at(bench, track, tick), rows) {
            (Ok(Some(row)), Given::Rows(rows)) => rows.push(row),
            (Err(missing), rows) => *rows = Given::Missing(missing),
            _ => {}
        }
    }
    given.extend(moving.into_iter().map(|(frame, rows)| (frame.to_string(), rows)));
    given
}

/// A track's row at one tick; `None` when it is gone, an error when its frame is missing.
fn row_at(bench: &Bench<'_>, track: &Track, tick: usize) -> Result<Option<Row>, Missing> {
    let mut row = Row::new();
    if let (Some(name), Some(key)) = (&track.name, bench.set.catalog.frame(&track.frame).and_then(|def| def.key.last())) {
        row.insert((key.clone(), Moment::Now), super::cells::Cell::Text(name.clone()));
    }
    for (slot, cells) in &track.cells {
        match cells.get(tick) {
            Some(Moving::Is(cell)) => {
                row.insert(slot.clone(), cell.clone());
            }
            Some(Moving::Gone) => return Ok(None),
            Some(Moving::Missing) | None => return Err(Missing::new(MissingReason::LockTimeout, "missing at this tick")),
        }
    }
    Ok(Some(row))
}

/// Whether a subject is meant: one of its values is the name. No name means any.
fn is_meant(name: Option<&String>, subject: &Labels) -> bool {
    name.is_none_or(|name| subject.is_empty() || subject.0.values().any(|value| value == name))
}

fn states(want: &Expected, steps: &[Step]) -> Option<String> {
    let name = want.name.as_ref();
    let state = |step: &Step| {
        let living: Option<&std::sync::Arc<Alert>> = step.decision.book.alerts.values().find(|alert| is_meant(name, &alert.subject));
        let ended = || step.decision.transitions().any(|t| t.to == State::Resolved && is_meant(name, &t.subject));
        match living {
            Some(alert) => alert.state.to_string(),
            None if ended() => State::Resolved.to_string(),
            None => "-".into(),
        }
    };
    let got: Vec<String> = steps.iter().map(state).collect();
    side_by_side(&format!("states{}", of(name)), &want.words, &got)
}

fn notices(want: &Expected, steps: &[Step]) -> Option<String> {
    let name = want.name.as_ref();
    let told = |step: &Step| {
        let kinds = step.decision.notices().filter(|n| is_meant(name, &n.subject)).map(|n| n.kind.to_string());
        let kinds: Vec<String> = kinds.collect();
        if kinds.is_empty() { "-".into() } else { kinds.join("+") }
    };
    let got: Vec<String> = steps.iter().map(told).collect();
    side_by_side(&format!("notices{}", of(name)), &want.words, &got)
}

/// Alerts that `states` does not name: lists are exhaustive.
fn unnamed(series: &Series, steps: &[Step]) -> Option<String> {
    if series.states.is_empty() {
        return None;
    }
    let alerts = steps.iter().flat_map(|step| step.decision.book.alerts.values());
    let mut others = alerts.filter(|alert| !series.states.iter().any(|want| is_meant(want.name.as_ref(), &alert.subject)));
    others.next().map(|alert| format!("unexpected alert about {}: {}", alert.subject, alert.summary))
}

fn of(name: Option<&String>) -> String {
    name.map_or(String::new(), |name| format!(" of {name}"))
}

fn side_by_side(what: &str, want: &[String], got: &[String]) -> Option<String> {
    if want == got {
        return None;
    }
    let width = |at: usize| want.get(at).map_or(0, String::len).max(got.get(at).map_or(0, String::len));
    let line = |words: &[String]| words.iter().enumerate().map(|(at, w)| format!("{w:<0$}", width(at))).collect::<Vec<_>>().join("  ");
    Some(format!("{what}\nexpected {}\n     got {}", line(want).trim_end(), line(got).trim_end()))
}
