//! Small made-up inputs that every rule must survive before it is taken: no row, rows of ones, zeros and huge numbers,
//! rows of NULL, and each of the optional frames missing. An error that would come in the night comes at load.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::conclude::FrameUse;
use crate::model::{
    Changes, ColumnData, ColumnKind, Cost, Frame, Labels, Missing, MissingReason, Moment, Reading, RuleInput, RuleMeta, Settings, Snapshot,
    Target,
};

/// What the cells of a made-up row hold.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Cell {
    Null,
    Value(f64),
}

/// One made-up input.
pub(in crate::rules) struct Trial {
    /// What it is, for messages: `a row of NULL`.
    pub(in crate::rules) name: &'static str,
    /// The input.
    pub(in crate::rules) input: RuleInput,
}

/// The inputs for a rule that uses these frames.
pub(in crate::rules) fn trials(meta: &RuleMeta, uses: &[FrameUse]) -> Vec<Trial> {
    let trial = |name, cells: &[Cell], optional| Trial { name, input: input(meta, uses, cells, optional) };
    let mut trials = vec![
        trial("no row", &[], true),
        trial("a row of ones", &[Cell::Value(1.0)], true),
        trial("a row of zeros", &[Cell::Value(0.0)], true),
        trial("a row of huge numbers", &[Cell::Value(1e15)], true),
        trial("a row of NULL", &[Cell::Null], true),
    ];
    if uses.iter().any(|used| used.optional) {
        trials.push(trial("its optional frames missing", &[Cell::Value(1e15)], false));
    }
    trials
}

fn input(meta: &RuleMeta, uses: &[FrameUse], cells: &[Cell], optional: bool) -> RuleInput {
    let now = DateTime::<Utc>::UNIX_EPOCH + TimeDelta::days(1);
    let mut snapshot = empty(now);
    let (mut previous, mut firing) = (BTreeMap::new(), Vec::new());
    for used in uses {
        let name = used.def.name.clone();
        if used.optional && !optional {
            snapshot.frames.insert(name, Reading::Missing(Missing::new(MissingReason::NotCollected, "a trial")));
            continue;
        }
        // The earlier reading is smaller, so that counters have a rate.
        let before: Vec<Cell> = cells.iter().map(|cell| if *cell == Cell::Null { Cell::Null } else { Cell::Value(0.0) }).collect();
        if let (Some(frame), Some(before)) = (frame(used, cells, now), frame(used, &before, now - TimeDelta::minutes(1))) {
            if meta.from.as_ref() == Some(&name) {
                firing.extend((0..frame.rows).map(|row| frame.subject(row)).filter(|subject: &Labels| !subject.is_empty()));
            }
            snapshot.frames.insert(name.clone(), Reading::Collected(frame));
            previous.insert(name, before);
        }
    }
    let windows = meta.inputs.iter().filter_map(|input| match input.moment {
        Moment::Delta(window) | Moment::Ago(window) => Some((window, previous.clone())),
        Moment::Now | Moment::Previous | Moment::Rate => None,
    });
    let settings = Settings(meta.settings.iter().map(|def| (def.name.clone(), def.default.clone())).collect());
    RuleInput {
        now,
        changes: Arc::new(Changes::between(&previous, &snapshot)),
        past: Arc::new(windows.collect()),
        snapshot: Arc::new(snapshot),
        active: Arc::new(firing.clone()),
        firing: Arc::new(firing),
        settings: Arc::new(settings),
    }
}

/// An input without any frame, for expressions that read only settings.
pub(super) fn nothing(settings: &Settings) -> RuleInput {
    RuleInput {
        now: DateTime::<Utc>::UNIX_EPOCH,
        snapshot: Arc::new(empty(DateTime::<Utc>::UNIX_EPOCH)),
        changes: Arc::default(),
        past: Arc::default(),
        firing: Arc::default(),
        active: Arc::default(),
        settings: Arc::new(settings.clone()),
    }
}

fn empty(taken_at: DateTime<Utc>) -> Snapshot {
    let target = Target { name: "trial".into(), ..Target::default() };
    Snapshot { form: Snapshot::FORM, target, taken_at, server: None, frames: BTreeMap::new(), cost: Cost::default() }
}

fn frame(used: &FrameUse, cells: &[Cell], as_of: DateTime<Utc>) -> Option<Arc<Frame>> {
    let column = |kind: ColumnKind| match kind {
        ColumnKind::Gauge | ColumnKind::Time => ColumnData::Float(cells.iter().map(|cell| number(*cell).unwrap_or(f64::NAN)).collect()),
        ColumnKind::Counter => ColumnData::Int(cells.iter().map(|cell| number(*cell).map(|n| n as i64)).collect()),
        ColumnKind::Flag => ColumnData::Flag(cells.iter().map(|cell| number(*cell).map_or(2, |n| u8::from(n > 0.0))).collect()),
        // `1` is a legal name and a legal process id.
        ColumnKind::Label | ColumnKind::Text => ColumnData::Text(Arc::new(cells.iter().map(|cell| number(*cell).map(|_| "1")).collect())),
    };
    let columns = used.def.columns.iter().map(|def| column(def.kind)).collect();
    Frame::new(used.def.clone(), as_of, columns).ok().map(Arc::new)
}

fn number(cell: Cell) -> Option<f64> {
    match cell {
        Cell::Null => None,
        Cell::Value(value) => Some(value),
    }
}
