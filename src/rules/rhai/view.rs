//! A frame as scripts see it: `frame.column` in bulk, `frame.rows(mask)` for the few rows that are left, and one row.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::column::{Buffer, Column, Mask, Texts};
use super::error::{Answer, wrong};
use super::run::Run;
use super::value::Value;
use crate::model::{Catalog, ColumnData, ColumnDef, ColumnKind, Frame, FrameChanges};

/// The property that is a mask of the rows whose alert of this rule fires or recovers.
pub(super) const WAS_FIRING: &str = "was_firing";

/// One frame of the input, with what its counters did.
#[derive(Debug)]
pub(super) struct View {
    pub(super) frame: Arc<Frame>,
    /// Since the previous reading; `None` without one.
    pub(super) changes: Option<Arc<FrameChanges>>,
    /// Since a window ago, by seconds; worked out once.
    past: Mutex<BTreeMap<u64, Option<Arc<FrameChanges>>>>,
}

impl View {
    pub(super) fn new(frame: Arc<Frame>, changes: Option<Arc<FrameChanges>>) -> Arc<Self> {
        Arc::new(Self { frame, changes, past: Mutex::default() })
    }

    pub(super) fn name(&self) -> &str {
        &self.frame.def.name
    }

    pub(super) fn rows(&self) -> usize {
        self.frame.rows
    }

    /// Whether rows of both are the same rows.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.frame, &other.frame)
    }

    /// Whether the frame has one row by its nature, and not by chance.
    pub(super) fn is_one_row(&self) -> bool {
        self.frame.def.key.is_empty()
    }

    /// The changes between the reading of a window ago and now; `None` when the history does not reach back so far.
    pub(super) fn changes_since(&self, run: &Run, window_s: u64) -> Option<Arc<FrameChanges>> {
        let mut past = self.past.lock().unwrap_or_else(PoisonError::into_inner);
        let between = || FrameChanges::between(run.input.past.get(&window_s)?.get(self.name())?, &self.frame).map(Arc::new);
        past.entry(window_s).or_insert_with(between).clone()
    }

    /// The description of a column.
    pub(super) fn described(&self, column: &str) -> Answer<&ColumnDef> {
        match self.frame.def.column(column) {
            Some(def) => Ok(def),
            None => wrong(unknown_column(&self.frame.def, column)),
        }
    }

    /// A column in bulk.
    pub(super) fn column(self: &Arc<Self>, run: &Run, name: &str) -> Answer<Bulk> {
        if name == WAS_FIRING {
            return Ok(Bulk::Mask(self.was_firing(run)?));
        }
        let def = self.described(name)?;
        let number = |values: Buffer<f64>| {
            Bulk::Column(Column { values, of: self.clone(), name: Some(name.into()), counter: def.kind == ColumnKind::Counter })
        };
        Ok(match self.frame.column(name) {
            Some(ColumnData::Float(values)) => number(values.clone().into()),
            Some(ColumnData::Int(values)) => number(Buffer::made(run.meter(), values.iter().map(|v| v.map_or(f64::NAN, |n| n as f64)))?),
            Some(ColumnData::Flag(values)) => Bulk::Mask(Mask { values: values.clone().into(), of: self.clone() }),
            Some(ColumnData::Text(values)) => Bulk::Texts(Texts { values: values.clone(), of: self.clone() }),
            None => return wrong(unknown_column(&self.frame.def, name)),
        })
    }

    fn was_firing(self: &Arc<Self>, run: &Run) -> Answer<Mask> {
        let mut values = vec![0_u8; self.rows()];
        for row in run.rows_of(self, &run.input.firing).into_iter().flatten() {
            if let Some(value) = values.get_mut(row) {
                *value = 1;
            }
        }
        Ok(Mask { values: Buffer::made(run.meter(), values.into_iter())?, of: self.clone() })
    }

    /// The row with the greatest value; `None` when no value is known.
    pub(super) fn top(self: &Arc<Self>, run: &Run, column: &str) -> Answer<Option<Row>> {
        let Bulk::Column(column) = self.column(run, column)? else {
            return wrong(format!("`top` needs a column of numbers, `{}.{column}` is none", self.name()));
        };
        let known = column.values.iter().enumerate().filter(|(_, value)| !value.is_nan());
        // The first of equals: `max_by` alone would give the last.
        let best = known.rev().max_by(|(_, a), (_, b)| a.total_cmp(b));
        Ok(best.map(|(row, _)| Row { of: self.clone(), row }))
    }
}

/// The sentence for a column that a frame does not have.
pub(super) fn unknown_column(def: &crate::model::FrameDef, column: &str) -> String {
    let names = def.columns.iter().map(|c| c.name.as_str()).chain([WAS_FIRING]);
    let near = Catalog::nearest(names, column).map_or(String::new(), |near| format!("; did you mean `{near}`?"));
    format!("frame `{}` has no column `{column}`{near}", def.name)
}

/// A column of whatever kind.
pub(super) enum Bulk {
    Column(Column),
    Mask(Mask),
    Texts(Texts),
}

/// One row of a frame.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) of: Arc<View>,
    pub(super) row: usize,
}

impl Row {
    /// One cell.
    pub(super) fn cell(&self, run: &Run, name: &str) -> Answer<Value> {
        if name == WAS_FIRING {
            let subject = run.subject_of(self);
            return Ok(Value::Flag(run.input.firing.contains(&subject)));
        }
        let def = self.of.described(name)?;
        let number = || self.of.frame.number(name, self.row);
        Ok(match def.kind {
            ColumnKind::Label | ColumnKind::Text => self.of.frame.text(name, self.row).map_or(Value::Unknown, Value::text),
            ColumnKind::Flag => number().map_or(Value::Unknown, |flag| Value::Flag(flag != 0.0)),
            ColumnKind::Gauge | ColumnKind::Time | ColumnKind::Counter => number().map_or(Value::Unknown, Value::Float),
        })
    }
}

/// The rows that a mask selected.
#[derive(Debug, Clone)]
pub(super) struct Rows {
    pub(super) of: Arc<View>,
    pub(super) hits: Buffer<u32>,
}

impl IntoIterator for Rows {
    type Item = Row;
    type IntoIter = RowsIter;

    fn into_iter(self) -> RowsIter {
        RowsIter { rows: self, next: 0 }
    }
}

/// Walks over selected rows in the order of the frame.
pub(super) struct RowsIter {
    rows: Rows,
    next: usize,
}

impl Iterator for RowsIter {
    type Item = Row;

    fn next(&mut self) -> Option<Row> {
        let row = *self.rows.hits.get(self.next)? as usize;
        self.next += 1;
        Some(Row { of: self.rows.of.clone(), row })
    }
}
