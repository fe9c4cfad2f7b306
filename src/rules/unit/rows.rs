//! Reads rows of a test file: maps, text tables, `missing(reason)`; each cell goes to a column at a moment.

use std::collections::BTreeMap;

use super::cells::{self, Cell};
use super::file::{Given, Reader, Row, Slot};
use crate::model::{Catalog, ColumnDef, FrameDef, Missing, MissingReason, Moment};
use crate::problem::{Mark, Problem};
use crate::rules::moment;
use crate::yaml::{Fields, Key, Node, Value, number_of};

/// The key of a row that stands for many.
const REPEAT: &str = "repeat";

/// How many rows one may stand for.
const MOST_ROWS: f64 = 20_000.0;

impl Reader<'_> {
    pub(super) fn given(&self, fields: &mut Fields<'_>, key: &'static str, problems: &mut Vec<Problem>) -> BTreeMap<String, Given> {
        let frames = fields.map(key).unwrap_or_default();
        let one = |(key, node): &(Key, Node)| {
            let def = self.frame(&key.text, key.at, problems)?;
            Some((key.text.clone(), self.given_of(def, node, problems)?))
        };
        frames.iter().filter_map(one).collect()
    }

    fn given_of(&self, def: &FrameDef, node: &Node, problems: &mut Vec<Problem>) -> Option<Given> {
        match &node.value {
            Value::List(list) => Some(Given::Rows(list.iter().flat_map(|node| self.repeated(def, node, problems)).collect())),
            Value::Map(_) => Some(Given::Rows(vec![self.row(def, node, problems)])),
            Value::Text(text) if text.trim_start().starts_with("missing") => {
                missing(text.trim()).map_err(|message| problems.push(self.error(node.at, message))).ok().map(Given::Missing)
            }
            Value::Text(text) => Some(Given::Rows(self.table(def, text, node.at, problems))),
            other => {
                let message = format!("`{}` must be a list of rows, a text table or missing(reason), this is {}", def.name, other.kind());
                problems.push(self.error(node.at, message));
                None
            }
        }
    }

    /// A row, or with `repeat: 100` that many whose last key column ends with a number.
    fn repeated(&self, def: &FrameDef, node: &Node, problems: &mut Vec<Problem>) -> Vec<Row> {
        let repeat = match &node.value {
            Value::Map(entries) => entries.iter().find(|(key, _)| key.text == REPEAT).map(|(_, node)| node),
            _ => None,
        };
        let row = self.row(def, node, problems);
        let (Some(repeat), Some(key)) = (repeat, def.key.last()) else { return vec![row] };
        let Some(times) = number_of(repeat).ok().filter(|n| (1.0..=MOST_ROWS).contains(n)) else {
            problems.push(self.error(repeat.at, format!("`{REPEAT}` must be a number of rows, 1 to {MOST_ROWS}")));
            return Vec::new();
        };
        let slot = (key.clone(), Moment::Now);
        let copy = |number: usize| {
            let name = match row.get(&slot) {
                Some(Cell::Text(name)) => format!("{name}-{number}"),
                _ => format!("{number}"),
            };
            let mut copy = row.clone();
            copy.insert(slot.clone(), Cell::Text(name));
            copy
        };
        (1..=times as usize).map(copy).collect()
    }

    /// A text table: the columns' names, then a line a row. Two or more blanks part cells, so that one may stand inside.
    fn table(&self, def: &FrameDef, text: &str, at: Mark, problems: &mut Vec<Problem>) -> Vec<Row> {
        let mut lines = text.lines().filter(|line| !line.trim().is_empty());
        let header = split_cells(lines.next().unwrap_or_default(), None);
        let slots: Vec<_> = header.iter().filter_map(|name| self.slot(def, name, at, problems)).collect();
        if slots.len() != header.len() {
            return Vec::new();
        }
        let mut rows = Vec::new();
        for line in lines {
            let words = split_cells(line, Some(header.len()));
            if words.len() != header.len() {
                problems
                    .push(self.error(at, format!("`{}` has {} cells, the table has {} columns", line.trim(), words.len(), header.len())));
                continue;
            }
            let cell = |((slot, column), word): (&(_, &ColumnDef), &&str)| {
                cells::read_word(column, word)
                    .map(|cell| (Clone::clone(slot), cell))
                    .map_err(|message| problems.push(self.error(at, message)))
                    .ok()
            };
            rows.push(slots.iter().zip(&words).filter_map(cell).collect());
        }
        rows
    }

    pub(super) fn row(&self, def: &FrameDef, node: &Node, problems: &mut Vec<Problem>) -> Row {
        let entries = match &node.value {
            Value::Map(entries) => entries.as_slice(),
            Value::Null => &[],
            other => {
                problems.push(self.error(node.at, format!("a row of `{}` must be a map, this is {}", def.name, other.kind())));
                &[]
            }
        };
        let mut row = Row::new();
        for (key, node) in entries.iter().filter(|(key, _)| key.text != REPEAT) {
            let Some((slot, column)) = self.slot(def, &key.text, key.at, problems) else { continue };
            match cells::read(column, node) {
                Ok(cell) => {
                    row.insert(slot, cell);
                }
                Err(message) => problems.push(self.error(node.at, message)),
            }
        }
        row
    }

    /// A column with its moment: `dead`, `rate(calls)`, `prev(calls)`, `ago(bytes, 1d)`, `delta(bytes, 1d)`.
    pub(super) fn slot<'d>(&self, def: &'d FrameDef, text: &str, at: Mark, problems: &mut Vec<Problem>) -> Option<(Slot, &'d ColumnDef)> {
        let (name, moment) = match moment::read(text) {
            Ok(found) => found,
            Err(message) => {
                problems.push(self.error(at, message));
                return None;
            }
        };
        let Some(column) = def.column(name) else {
            let problem = self.error(at, format!("frame `{}` has no column `{name}`", def.name));
            problems.push(match Catalog::nearest(def.columns.iter().map(|c| c.name.as_str()), name) {
                Some(near) => problem.hint(format!("did you mean `{near}`?")),
                None => problem,
            });
            return None;
        };
        Some(((name.to_string(), moment), column))
    }

    pub(super) fn frame(&self, name: &str, at: Mark, problems: &mut Vec<Problem>) -> Option<&FrameDef> {
        let frame = self.catalog.frame(name);
        if frame.is_none() {
            let problem = self.error(at, format!("there is no frame `{name}`"));
            problems.push(match Catalog::nearest(self.catalog.frames().map(|f| f.name.as_str()), name) {
                Some(near) => problem.hint(format!("did you mean `{near}`?")),
                None => problem,
            });
        }
        frame.map(AsRef::as_ref)
    }

    pub(super) fn error(&self, at: Mark, message: impl Into<String>) -> Problem {
        Problem::error(self.file, at, message)
    }
}

fn split_cells(line: &str, wanted: Option<usize>) -> Vec<&str> {
    let wide: Vec<&str> = line.split("  ").flat_map(|part| part.split('\t')).map(str::trim).filter(|cell| !cell.is_empty()).collect();
    let narrow: Vec<&str> = line.split_whitespace().collect();
    match wanted {
        Some(count) if wide.len() != count && narrow.len() == count => narrow,
        None if wide.iter().all(|name| !name.contains(' ') || name.contains('(')) => wide,
        None => narrow,
        Some(_) => wide,
    }
}

/// `missing` or `missing(no grant)`.
fn missing(text: &str) -> Result<Missing, String> {
    let reason = text.strip_prefix("missing").unwrap_or_default().trim_start_matches('(').trim_end_matches(')').trim();
    if reason.is_empty() {
        return Ok(Missing::new(MissingReason::NotCollected, "not collected"));
    }
    let word = reason.replace([' ', '-'], "_");
    let words = || MissingReason::ALL.iter().map(|r| r.as_str());
    match MissingReason::ALL.into_iter().find(|r| r.as_str() == word) {
        Some(found) => Ok(Missing::new(found, reason)),
        None => Err(format!("`{reason}` is no reason for a missing frame (known: {})", words().collect::<Vec<_>>().join(", "))),
    }
}
