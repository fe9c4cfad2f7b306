//! What the rule read there, with ages and gaps, and the settings it was judged by.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use super::scene::Scene;
use crate::model::{ColumnKind, Frame, FrameChanges, Input, Labels, Missing, Moment, RuleInput, SettingDef, SettingValue, Unit};
use crate::rules::set_by;

/// One input of the rule.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct InputPart {
    /// As the rule reads it: `tables.dead`, `rate(statements.calls)`.
    pub name: String,
    /// A number; `None` when unknown, a text, or many rows.
    pub value: Option<f64>,
    /// Its unit.
    pub unit: Unit,
    /// Whether it is per second.
    pub per_s: bool,
    /// A text, as it stands in the frame.
    pub text: Option<String>,
    /// Whether the number means yes (1) or no (0).
    pub flag: bool,
    /// Rows, where not one of them is meant.
    pub rows: Option<usize>,
    /// Seconds between the reading and the tick.
    pub age_s: Option<f64>,
    /// Why the frame is not there.
    pub missing: Option<Missing>,
    /// Why the subject has no row in it: that it is gone, or what was not collected.
    pub no_row: Option<String>,
    /// Whether the rule can do without it.
    pub optional: bool,
}

/// One setting of the rule, there.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SettingPart {
    /// Its name.
    pub name: String,
    /// Its value, for people.
    pub value: String,
    /// What it is where nobody changes it, for people.
    pub default: String,
    /// The override that changed it: `override 2 (line 34): DBA-311`.
    pub by: Option<String>,
}

/// All inputs, in the rule's order.
pub(super) fn read(scene: &Scene<'_>, input: &RuleInput, subject: &Labels) -> Vec<InputPart> {
    let mut rows: BTreeMap<&str, Option<usize>> = BTreeMap::new();
    let inputs = scene.meta.map(|meta| meta.inputs.as_slice()).unwrap_or_default();
    inputs
        .iter()
        .filter(|wanted| is_worth_showing(wanted, inputs, input, subject))
        .map(|wanted| {
            let frame = input.snapshot.frame(&wanted.frame);
            let row = *rows.entry(&wanted.frame).or_insert_with(|| frame.and_then(|frame| row_of(frame, subject)));
            part(wanted, input, row, frame.and_then(|frame| no_row(frame, subject)))
        })
        .collect()
}

/// Who the subject is stands above, a frame that is missing or has no row is so once, and a frame with columns needs no line of
/// its own.
fn is_worth_showing(wanted: &Input, all: &[Input], input: &RuleInput, subject: &Labels) -> bool {
    let of_frame = || all.iter().filter(|other| other.frame == wanted.frame);
    let frame = input.snapshot.frame(&wanted.frame).filter(|frame| no_row(frame, subject).is_none());
    let Some(frame) = frame else { return of_frame().next() == Some(wanted) };
    match &wanted.column {
        Some(column) => !frame.def.key.contains(column),
        None => of_frame().count() == 1,
    }
}

/// The row of a subject; the only one of a frame that has one by its nature.
pub(super) fn row_of(frame: &Frame, subject: &Labels) -> Option<usize> {
    if frame.def.key.is_empty() {
        return (frame.rows > 0).then_some(0);
    }
    // A rule may say who it is about with fewer labels than identify a row.
    let is = |row: &usize| subject.0.iter().all(|(name, value)| frame.text(name, *row) == Some(value));
    if is_about(frame, subject) { (0..frame.rows).find(is) } else { None }
}

/// Whether a subject is one of those that the rows of a frame stand for.
fn is_about(frame: &Frame, subject: &Labels) -> bool {
    !subject.is_empty() && subject.0.keys().all(|name| frame.def.key.contains(name))
}

/// Why a subject that should have a row has none.
fn no_row(frame: &Frame, subject: &Labels) -> Option<String> {
    let is_gone = is_about(frame, subject) && row_of(frame, subject).is_none();
    is_gone.then(|| frame.coverage.gap_for(subject).unwrap_or_else(|| "there is no such object".into()))
}

fn part(wanted: &Input, input: &RuleInput, row: Option<usize>, no_row: Option<String>) -> InputPart {
    let frame = input.snapshot.frame(&wanted.frame);
    let column = frame.zip(wanted.column.as_deref());
    let def = column.and_then(|(frame, name)| frame.def.column(name));
    let (unit, kind) = (def.map_or(Unit::None, |def| def.unit), def.map(|def| def.kind));
    let text = column.zip(row).and_then(|((frame, name), row)| frame.text(name, row));
    InputPart {
        name: if frame.is_some() && no_row.is_none() { wanted.to_string() } else { wanted.frame.clone() },
        value: row.and_then(|row| value(wanted, input, row)),
        unit,
        per_s: wanted.moment == Moment::Rate,
        text: text.filter(|_| wanted.moment == Moment::Now).map(String::from),
        flag: kind == Some(ColumnKind::Flag),
        rows: frame.filter(|_| row.is_none() || wanted.column.is_none()).map(|frame| frame.rows),
        age_s: frame.map(|frame| (input.now - frame.as_of).num_milliseconds() as f64 / 1000.0),
        missing: input.snapshot.missing(&wanted.frame),
        no_row,
        optional: wanted.optional,
    }
}

/// The number that the rule reads in one row.
fn value(wanted: &Input, input: &RuleInput, row: usize) -> Option<f64> {
    let (frame, column) = (input.snapshot.frame(&wanted.frame)?, wanted.column.as_deref()?);
    let known = |number: f64| (!number.is_nan()).then_some(number);
    match wanted.moment {
        Moment::Now => frame.number(column, row),
        Moment::Rate => input.changes.frames.get(&wanted.frame)?.rates.get(column)?.get(row).copied().and_then(known),
        Moment::Previous => input.changes.frames.get(&wanted.frame)?.previous_values(column)?.get(row).copied().and_then(known),
        Moment::Ago(window) => since(wanted, input, frame, window)?.previous_values(column)?.get(row).copied().and_then(known),
        Moment::Delta(window) => {
            let changes = since(wanted, input, frame, window)?;
            if frame.def.column(column)?.kind == ColumnKind::Counter {
                return changes.rates.get(column)?.get(row).copied().and_then(known).map(|rate| rate * changes.interval_s);
            }
            let then = changes.previous_values(column)?.get(row).copied().and_then(known)?;
            Some(frame.number(column, row)? - then)
        }
    }
}

fn since(wanted: &Input, input: &RuleInput, frame: &Arc<Frame>, window: u64) -> Option<FrameChanges> {
    FrameChanges::between(input.past.get(&window)?.get(&wanted.frame)?, frame)
}

/// All settings, with where a value that is not the default comes from.
pub(super) fn settings(scene: &Scene<'_>, input: &RuleInput) -> Vec<SettingPart> {
    let part = |def: &SettingDef| SettingPart {
        name: def.name.clone(),
        value: shown(def, input.settings.0.get(&def.name).unwrap_or(&def.default)),
        default: shown(def, &def.default),
        by: set_by(&scene.target, &scene.rule.id, &scene.wishes.overrides, &def.name).map(|(number, over)| {
            let line = over.at.map_or(String::new(), |at| format!(" (line {})", at.line));
            let why = over.why.as_ref().map_or(String::new(), |why| format!(": {why}"));
            format!("override {}{line}{why}", number + 1)
        }),
    };
    scene.meta.map(|meta| meta.settings.iter().map(part).collect()).unwrap_or_default()
}

fn shown(def: &SettingDef, value: &SettingValue) -> String {
    match value {
        SettingValue::Number(number) => def.unit.show(*number),
        SettingValue::Flag(flag) => flag.to_string(),
        SettingValue::Text(text) => text.clone(),
    }
}
