//! What a person writes into a cell, as the value of a column: quantities, flags, text and `null`.

use pgsteward_helpers::{Dimension, parse_quantity};

use crate::model::{ColumnDef, ColumnKind, Unit};
use crate::yaml::{Node, Value, text_of};

/// One cell.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell {
    /// Unknown.
    Null,
    /// A number, for gauges, times and counters.
    Number(f64),
    /// An exact integer that `f64` cannot hold.
    Integer(i64),
    /// A text.
    Text(String),
    /// A flag.
    Flag(bool),
}

impl Cell {
    /// The number, NaN when unknown.
    pub(super) fn number(&self) -> f64 {
        match self {
            Self::Number(value) => *value,
            Self::Integer(value) => *value as f64,
            Self::Flag(flag) => f64::from(u8::from(*flag)),
            Self::Null | Self::Text(_) => f64::NAN,
        }
    }
}

/// Reads a node as a value of a column.
pub(super) fn read(def: &ColumnDef, node: &Node) -> Result<Cell, String> {
    if node.value == Value::Null {
        return Ok(Cell::Null);
    }
    match (def.kind, &node.value) {
        (_, Value::List(_) | Value::Map(_)) => Err(format!("`{}` must be one value, this is {}", def.name, node.value.kind())),
        (ColumnKind::Label | ColumnKind::Text, _) => Ok(text_of(node).map_or(Cell::Null, Cell::Text)),
        (ColumnKind::Flag, Value::Flag(flag)) => Ok(Cell::Flag(*flag)),
        (ColumnKind::Flag, _) => Err(format!("`{}` must be true, false or null, not `{}`", def.name, text_of(node).unwrap_or_default())),
        (_, Value::Number(number)) => Ok(Cell::Number(*number)),
        (_, Value::Text(text)) => quantity(text, def.unit).map(Cell::Number).map_err(|reason| format!("`{}`: {reason}", def.name)),
        (_, Value::Flag(_) | Value::Null) => Err(format!("`{}` must be a number", def.name)),
    }
}

/// Reads a word of a text table.
pub(super) fn read_word(def: &ColumnDef, word: &str) -> Result<Cell, String> {
    match (def.kind, word) {
        (_, "null") => Ok(Cell::Null),
        (ColumnKind::Label | ColumnKind::Text, text) => Ok(Cell::Text(text.to_string())),
        (ColumnKind::Flag, "true") => Ok(Cell::Flag(true)),
        (ColumnKind::Flag, "false") => Ok(Cell::Flag(false)),
        (ColumnKind::Flag, other) => Err(format!("`{}` must be true, false or null, not `{other}`", def.name)),
        (_, text) => quantity(text, def.unit).map(Cell::Number).map_err(|reason| format!("`{}`: {reason}", def.name)),
    }
}

/// A quantity in the unit of its column: `500ms` is 500 in a column of milliseconds; bytes are no seconds.
pub(super) fn quantity(text: &str, unit: Unit) -> Result<f64, String> {
    let quantity = parse_quantity(text).map_err(|error| format!("`{text}` is {error}"))?;
    match (quantity.dimension, unit) {
        (Dimension::Number, _) | (Dimension::Bytes, Unit::Bytes) | (Dimension::Seconds, Unit::Seconds) => Ok(quantity.value),
        (Dimension::Percent, Unit::Percent) => Ok(quantity.value),
        (Dimension::Percent, Unit::Ratio) => Ok(quantity.value / 100.0),
        (Dimension::Seconds, Unit::Millis) => Ok(quantity.value * 1000.0),
        (Dimension::Seconds, Unit::Days) => Ok(quantity.value / 86_400.0),
        (_, Unit::None) => Err(format!("`{text}` has a unit, the column has none")),
        _ => Err(format!("`{text}` is not in {unit}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantity_must_fit_the_unit_of_its_column() {
        assert_eq!(quantity("500ms", Unit::Millis), Ok(500.0));
        assert_eq!(quantity("2h", Unit::Seconds), Ok(7200.0));
        assert_eq!(quantity("1.2M", Unit::Rows), Ok(1_200_000.0));
        assert_eq!(quantity("4GB", Unit::Rows), Err("`4GB` is not in rows".into()));
        assert_eq!(quantity("4GB", Unit::None), Err("`4GB` has a unit, the column has none".into()));
        assert_eq!(quantity("soon", Unit::Seconds), Err("`soon` is not a number".into()));
    }
}
