//! Messages with expressions in them: `{{schema}}.{{table}} has {{human(dead)}} dead rows`.

use crate::problem::Problem;
use crate::rules::rhai::{Engine, Expression, Names, Place, Session};

/// A checked message.
#[derive(Debug, Clone, Default)]
pub(super) struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone)]
enum Part {
    Text(String),
    Value(Box<Expression>),
}

impl Template {
    /// Parses and checks a message.
    ///
    /// # Errors
    /// What is wrong with its expressions.
    pub(super) fn compile(engine: &Engine, text: &str, place: &Place, names: &Names<'_>) -> Result<Self, Vec<Problem>> {
        let (mut parts, mut problems) = (Vec::new(), Vec::new());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let Some((inside, behind)) = after.split_once("}}") else {
                return Err(vec![place.problem(None, "`{{` without `}}`")]);
            };
            parts.push(Part::Text(before.to_string()));
            match Expression::compile(engine, inside.trim(), place.clone(), names) {
                Ok(expression) => parts.push(Part::Value(Box::new(expression))),
                Err(found) => problems.extend(found),
            }
            rest = behind;
        }
        parts.push(Part::Text(rest.to_string()));
        if problems.is_empty() { Ok(Self { parts }) } else { Err(problems) }
    }

    /// The expressions in it.
    pub(super) fn expressions(&self) -> impl Iterator<Item = &Expression> {
        self.parts.iter().filter_map(|part| match part {
            Part::Value(expression) => Some(&**expression),
            Part::Text(_) => None,
        })
    }

    /// The text when there is no expression in it.
    pub(super) fn constant(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The message for one row.
    pub(super) fn render(&self, session: &Session, row: usize) -> Result<String, String> {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(fixed) => text.push_str(fixed),
                Part::Value(expression) => text.push_str(&session.shown(expression, row)?),
            }
        }
        Ok(text)
    }
}
