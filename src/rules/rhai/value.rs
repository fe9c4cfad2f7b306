//! The values of the language, told apart once, so that operators and functions are plain matches that the compiler
//! checks for completeness.

use std::sync::Arc;

use rhai::{Array, Dynamic, FLOAT, INT, ImmutableString, Map};

use super::column::{Column, Mask, Operand, Texts};
use super::error::{Answer, wrong};
use super::settings::ScriptSettings;
use super::view::{Bulk, Row, Rows, View};
use crate::model::{ActionRequest, Evidence};

/// A frame in a script's hands.
#[derive(Debug, Clone)]
pub(super) struct FrameValue(pub(super) Arc<View>);

/// Any value.
#[derive(Debug, Clone)]
pub(super) enum Value {
    /// `()`: NULL, or a frame or row that is not there.
    Unknown,
    Flag(bool),
    Int(INT),
    Float(FLOAT),
    Text(ImmutableString),
    List(Array),
    Map(Map),
    Column(Column),
    Mask(Mask),
    Texts(Texts),
    Row(Row),
    Rows(Rows),
    Frame(Arc<View>),
    Settings(ScriptSettings),
    /// Shared, so that a list of them is copied as cheaply as it is measured.
    Evidence(Arc<Evidence>),
    Action(Arc<ActionRequest>),
    /// Something of Rhai's that rules have no use for; its type.
    Other(String),
}

impl From<Dynamic> for Value {
    fn from(value: Dynamic) -> Self {
        if value.is_unit() {
            return Self::Unknown;
        }
        if let Ok(flag) = value.as_bool() {
            return Self::Flag(flag);
        }
        if let Ok(number) = value.as_int() {
            return Self::Int(number);
        }
        if let Ok(number) = value.as_float() {
            return if number.is_nan() { Self::Unknown } else { Self::Float(number) };
        }
        foreign(value)
    }
}

/// The rarer and the custom types, most frequent first.
fn foreign(value: Dynamic) -> Value {
    fn next<T: Clone + Send + Sync + 'static>(value: Dynamic, wrap: fn(T) -> Value) -> Result<Value, Dynamic> {
        value.try_cast_result::<T>().map(wrap)
    }
    let found = next(value, Value::Column)
        .or_else(|v| next(v, Value::Mask))
        .or_else(|v| next(v, Value::Texts))
        .or_else(|v| next(v, Value::Text))
        .or_else(|v| next(v, Value::Row))
        .or_else(|v| next(v, |frame: FrameValue| Value::Frame(frame.0)))
        .or_else(|v| next(v, Value::List))
        .or_else(|v| next(v, Value::Map))
        .or_else(|v| next(v, Value::Rows))
        .or_else(|v| next(v, Value::Settings))
        .or_else(|v| next(v, Value::Evidence))
        .or_else(|v| next(v, Value::Action));
    found.unwrap_or_else(|other| Value::Other(other.type_name().to_string()))
}

impl From<Value> for Dynamic {
    fn from(value: Value) -> Self {
        match value {
            Value::Unknown => Self::UNIT,
            Value::Flag(flag) => flag.into(),
            Value::Int(number) => number.into(),
            Value::Float(number) if number.is_nan() => Self::UNIT,
            Value::Float(number) => number.into(),
            Value::Text(text) => text.into(),
            Value::List(list) => Self::from_array(list),
            Value::Map(map) => Self::from_map(map),
            Value::Column(column) => Self::from(column),
            Value::Mask(mask) => Self::from(mask),
            Value::Texts(texts) => Self::from(texts),
            Value::Row(row) => Self::from(row),
            Value::Rows(rows) => Self::from(rows),
            Value::Frame(view) => Self::from(FrameValue(view)),
            Value::Settings(settings) => Self::from(settings),
            Value::Evidence(evidence) => Self::from(evidence),
            Value::Action(action) => Self::from(action),
            Value::Other(_) => Self::UNIT,
        }
    }
}

impl From<Bulk> for Value {
    fn from(bulk: Bulk) -> Self {
        match bulk {
            Bulk::Column(column) => Self::Column(column),
            Bulk::Mask(mask) => Self::Mask(mask),
            Bulk::Texts(texts) => Self::Texts(texts),
        }
    }
}

impl Value {
    /// A text.
    pub(super) fn text(text: impl Into<ImmutableString>) -> Self {
        Self::Text(text.into())
    }

    /// What a person would call it, with its article.
    pub(super) fn kind(&self) -> &str {
        match self {
            Self::Unknown => "unknown (NULL)",
            Self::Flag(_) => "true or false",
            Self::Int(_) | Self::Float(_) => "a number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
            Self::Column(_) => "a column",
            Self::Mask(_) => "a mask",
            Self::Texts(_) => "a text column",
            Self::Row(_) => "a row",
            Self::Rows(_) => "rows",
            Self::Frame(_) => "a frame",
            Self::Settings(_) => "the settings",
            Self::Evidence(_) => "evidence",
            Self::Action(_) => "an action",
            Self::Other(name) => name,
        }
    }

    /// One number, NaN when unknown; `None` for anything else.
    pub(super) fn as_number(&self) -> Option<f64> {
        match self {
            Self::Unknown => Some(f64::NAN),
            Self::Int(number) => Some(*number as f64),
            Self::Float(number) => Some(*number),
            _ => None,
        }
    }

    /// A column or one number.
    pub(super) fn as_operand(&self) -> Option<Operand> {
        match self {
            Self::Column(column) => Some(Operand::Rows(column.clone())),
            other => other.as_number().map(Operand::One),
        }
    }

    /// One number for a function that needs it.
    pub(super) fn number(&self, function: &str) -> Answer<f64> {
        match (self.as_number(), self) {
            (Some(number), _) => Ok(number),
            (None, Self::Column(_)) => wrong(format!("`{function}` takes one number, this is a column; take one row of it: `column[t]`")),
            (None, other) => wrong(format!("`{function}` takes a number, this is {}", other.kind())),
        }
    }

    /// One text for a function that needs it.
    pub(super) fn word(&self, function: &str) -> Answer<&str> {
        match self {
            Self::Text(text) => Ok(text),
            other => wrong(format!("`{function}` takes text, this is {}", other.kind())),
        }
    }

    /// As it reads in a message.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Unknown => "unknown".into(),
            Self::Flag(flag) => flag.to_string(),
            Self::Int(number) => number.to_string(),
            Self::Float(number) => Dynamic::from_float(*number).to_string(),
            Self::Text(text) => text.to_string(),
            Self::Row(row) => row.of.frame.subject(row.row).to_string(),
            Self::Frame(view) => format!("[frame {}]", view.name()),
            other => format!("[{}]", other.kind().trim_start_matches("a ")),
        }
    }
}

/// `column[t]`: the value of a computed column at one row.
pub(super) fn at_row(value: &Value, row: &Row) -> Answer<Value> {
    let (of, at): (&Arc<View>, &dyn Fn(usize) -> Value) = match value {
        Value::Column(column) => (&column.of, &|row| Value::Float(column.at(row))),
        Value::Mask(mask) => (&mask.of, &|row| mask.values.get(row).filter(|v| **v != 2).map_or(Value::Unknown, |v| Value::Flag(*v == 1))),
        Value::Texts(texts) => (&texts.of, &|row| texts.values.get(row).map_or(Value::Unknown, Value::text)),
        other => return Ok(other.clone()),
    };
    if of.is_same(&row.of) {
        Ok(at(row.row))
    } else if of.is_one_row() {
        Ok(at(0))
    } else {
        wrong(format!("this row is one of `{}`, the column belongs to `{}`", row.of.name(), of.name()))
    }
}
