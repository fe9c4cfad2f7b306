//! How the first measured fact of a subject went: the rule looks at it in each stored reading of its frame.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use super::inputs::row_of;
use super::scene::{Judged, Scene};
use crate::model::{Changes, ColumnKind, Frame, Labels, Moment, Reading, RuleInput, RuleMeta, Unit};
use crate::rules::Facts;
use crate::store::Store;

/// Hours that are looked back.
pub(super) const HOURS: i64 = 6;
/// Readings that are looked at: as many as a line of small bars needs, since a large frame takes milliseconds to unpack.
const READINGS: usize = 36;

/// How a fact went.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TrendPart {
    /// Its name.
    pub metric: String,
    /// Its unit.
    pub unit: Unit,
    /// Readings, oldest first; those in which it was unknown are left out.
    pub points: Vec<(DateTime<Utc>, f64)>,
}

/// How the fact went in the hours before; `None` where fewer than three readings say anything.
pub(super) fn of(
    store: &Store,
    scene: &Scene<'_>,
    judged: &Judged<'_>,
    subject: &Labels,
    facts: Option<&Facts>,
) -> Result<Option<TrendPart>> {
    let Some((meta, input)) = scene.meta.zip(judged.input.as_ref()) else { return Ok(None) };
    let Some(name) = meta.from.as_deref().or(meta.inputs.first().map(|input| input.frame.as_str())) else { return Ok(None) };
    let until = scene.snapshot.as_ref().map_or(scene.at, |snapshot| snapshot.taken_at);
    let frames = store.readings(&scene.target.name, name, until - TimeDelta::hours(HOURS), until, READINGS)?;
    let part = match facts.and_then(|facts| facts.evidence.first()) {
        Some(fact) => TrendPart { metric: fact.metric.clone(), unit: fact.unit, points: judged_points(judged, input, subject, &frames) },
        None => plain(meta, name, subject, &frames),
    };
    Ok(Some(part).filter(|part| part.points.len() >= 3))
}

/// The fact as the rule works it out in each reading.
fn judged_points(judged: &Judged<'_>, input: &RuleInput, subject: &Labels, frames: &[Arc<Frame>]) -> Vec<(DateTime<Utc>, f64)> {
    let mut before: Option<&Arc<Frame>> = None;
    let mut points = Vec::new();
    for frame in frames {
        let then = Judged { input: Some(input_then(input, before, frame)), ..judged.clone() };
        let fact = then.facts(subject).and_then(|facts| facts.evidence.first()?.value);
        points.extend(fact.map(|value| (frame.as_of, value)));
        before = Some(frame);
    }
    points
}

/// The input with one frame as it was read then; the others, which are beside the point, as they are.
fn input_then(input: &RuleInput, before: Option<&Arc<Frame>>, frame: &Arc<Frame>) -> RuleInput {
    let mut snapshot = input.snapshot.as_ref().clone();
    snapshot.taken_at = frame.as_of;
    snapshot.frames.insert(frame.def.name.clone(), Reading::Collected(frame.clone()));
    let previous: BTreeMap<String, Arc<Frame>> = before.map(|before| (frame.def.name.clone(), before.clone())).into_iter().collect();
    let changes = Arc::new(Changes::between(&previous, &snapshot));
    RuleInput { now: frame.as_of, changes, snapshot: Arc::new(snapshot), ..input.clone() }
}

/// The first number that the rule reads of the frame, as it stands there.
fn plain(meta: &RuleMeta, name: &str, subject: &Labels, frames: &[Arc<Frame>]) -> TrendPart {
    let of_frame = meta.inputs.iter().filter(|input| input.frame == name && input.moment == Moment::Now);
    let numbers = of_frame.filter_map(|input| input.column.as_deref());
    // Yes and no draw no line.
    let is_number = |frame: &Frame, column: &str| frame.def.column(column).is_some_and(|def| def.kind != ColumnKind::Flag);
    let column =
        numbers.clone().find(|column| frames.iter().any(|frame| is_number(frame, column) && point(frame, column, subject).is_some()));
    let Some(column) = column else { return TrendPart { metric: name.into(), unit: Unit::None, points: Vec::new() } };
    let unit = frames.first().and_then(|frame| frame.def.column(column)).map_or(Unit::None, |def| def.unit);
    let points = frames.iter().filter_map(|frame| Some((frame.as_of, point(frame, column, subject)?)));
    TrendPart { metric: format!("{name}.{column}"), unit, points: points.collect() }
}

fn point(frame: &Frame, column: &str, subject: &Labels) -> Option<f64> {
    frame.number(column, row_of(frame, subject)?)
}
