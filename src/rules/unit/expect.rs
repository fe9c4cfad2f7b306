//! Reads what a case expects: findings, no data, an error, or states and notices over a series.

use super::cells;
use super::file::{Expected, ExpectedFinding, Expects, Moving, Reader, Series, Track};
use crate::model::{Labels, Severity};
use crate::problem::{Mark, Problem};
use crate::yaml::{Fields, Node, Value, number_of, text_of};

impl Reader<'_> {
    pub(super) fn expects(&self, fields: &mut Fields<'_>, problems: &mut Vec<Problem>) -> Option<Expects> {
        let unknown = fields.number("unknown").map_or(0, |n| n.max(0.0) as usize);
        let node = fields.required("expect")?;
        match &node.value {
            Value::List(list) => {
                let findings = list.iter().filter_map(|node| self.expected_finding(node, problems)).collect();
                Some(Expects::Findings(findings, unknown))
            }
            Value::Text(word) if word == "no_data" => Some(Expects::NoData),
            Value::Map(entries) if entries.len() == 1 && entries.iter().all(|(k, _)| k.text == "error") => {
                Some(Expects::Error(entries.iter().find_map(|(_, node)| text_of(node)).unwrap_or_default()))
            }
            _ => {
                fields.error(node, "`expect` must be a list of findings, `no_data` or `{error: text}`");
                None
            }
        }
    }

    fn expected_finding(&self, node: &Node, problems: &mut Vec<Problem>) -> Option<ExpectedFinding> {
        let mut fields = Fields::open(self.file, node, "an expected finding").map_err(|problem| problems.push(problem)).ok()?;
        let words = [(Severity::Info, "info"), (Severity::Warning, "warning"), (Severity::Critical, "critical")];
        // A severity stands with its subject: `critical: {table: orders}`; `critical:` alone is about the whole server.
        let Value::Map(entries) = &node.value else { return None };
        let given: Vec<Severity> = words.iter().filter(|(_, word)| entries.iter().any(|(k, _)| k.text == *word)).map(|(s, _)| *s).collect();
        let subjects: Vec<_> = words.iter().filter_map(|(_, word)| fields.node(word)).collect();
        let says = fields.texts("says").unwrap_or_default();
        let evidence = self.expected_evidence(&mut fields);
        let actions = fields.texts("actions");
        let sql = fields.texts("sql");
        let subject = subjects.first().map(|node| self.subject(node, problems)).unwrap_or_default();
        if given.len() != 1 {
            problems
                .push(self.error(node.at, "an expected finding needs one severity with its subject, such as `warning: {table: orders}`"));
        }
        problems.extend(fields.finish());
        Some(ExpectedFinding { severity: *given.first()?, subject, says, evidence, actions, sql })
    }

    fn subject(&self, node: &Node, problems: &mut Vec<Problem>) -> Labels {
        match &node.value {
            Value::Map(entries) => entries.iter().filter_map(|(key, node)| Some((key.text.clone(), text_of(node)?))).collect(),
            other => {
                problems.push(self.error(node.at, format!("a subject must be a map of labels, this is {}", other.kind())));
                Labels::default()
            }
        }
    }

    fn expected_evidence(&self, fields: &mut Fields<'_>) -> Vec<(String, Option<f64>)> {
        let mut evidence = Vec::new();
        for (key, node) in fields.map("evidence").unwrap_or_default() {
            match (&node.value, number_of(node)) {
                (Value::Null, _) => evidence.push((key.text.clone(), None)),
                (_, Ok(value)) => evidence.push((key.text.clone(), Some(value))),
                (_, Err(reason)) => fields.error(node, format!("evidence `{}`: {reason}", key.text)),
            }
        }
        evidence
    }

    pub(super) fn series(&self, node: &Node, fields: &mut Fields<'_>, problems: &mut Vec<Problem>) -> Option<Series> {
        let tracks = match &node.value {
            Value::Map(entries) => entries.iter().filter_map(|(key, node)| self.track(&key.text, key.at, node, problems)).collect(),
            other => {
                problems.push(self.error(node.at, format!("`series` must be a map of rows, this is {}", other.kind())));
                Vec::new()
            }
        };
        let states = self.words(fields, "states", problems);
        let notices = self.words(fields, "notices", problems);
        let lengths = tracks.iter().flat_map(|t: &Track| t.cells.iter().map(|(_, cells)| cells.len()));
        let lengths: Vec<usize> = lengths.chain(states.iter().chain(&notices).map(|e| e.words.len())).collect();
        let ticks = lengths.first().copied().unwrap_or(0);
        if lengths.iter().any(|n| *n != ticks) {
            problems.push(
                self.error(node.at, format!("every row of a series, `states` and `notices` must have as many ticks, here {lengths:?}")),
            );
        }
        if states.is_empty() && notices.is_empty() {
            problems.push(self.error(node.at, "a series needs `states` or `notices`: else it expects nothing"));
        }
        Some(Series { tracks, states, notices, ticks })
    }

    fn track(&self, key: &str, at: Mark, node: &Node, problems: &mut Vec<Problem>) -> Option<Track> {
        let (frame, name) = key.split_once('/').map_or((key, None), |(frame, name)| (frame, Some(name.to_string())));
        let def = self.frame(frame, at, problems)?;
        if name.is_some() == def.key.is_empty() {
            let form =
                if def.key.is_empty() { frame.to_string() } else { format!("{frame}/<{}>", def.key.last().map_or("", String::as_str)) };
            problems.push(self.error(at, format!("a row of `{frame}` is named `{form}` here")));
        }
        let Value::Map(columns) = &node.value else {
            problems.push(self.error(node.at, format!("`{key}` must be a map of columns, this is {}", node.value.kind())));
            return None;
        };
        let mut cells = Vec::new();
        for (column, node) in columns {
            let Some((slot, described)) = self.slot(def, &column.text, column.at, problems) else { continue };
            let Value::List(list) = &node.value else {
                problems.push(self.error(node.at, format!("`{}` must be a list, one value a tick", column.text)));
                continue;
            };
            let read = |node: &Node| match text_of(node).as_deref() {
                Some("missing") => Ok(Moving::Missing),
                Some("gone") => Ok(Moving::Gone),
                _ => cells::read(described, node).map(Moving::Is),
            };
            let values = list.iter().filter_map(|node| read(node).map_err(|m| problems.push(self.error(node.at, m))).ok());
            cells.push((slot, values.collect()));
        }
        Some(Track { frame: frame.to_string(), name, cells })
    }

    /// `[a, b]` about all, or `{orders: [a, b]}` by subject.
    fn words(&self, fields: &mut Fields<'_>, key: &'static str, problems: &mut Vec<Problem>) -> Vec<Expected> {
        let Some(node) = fields.node(key) else { return Vec::new() };
        let list = |node: &Node| match &node.value {
            Value::List(list) => Some(list.iter().map(|n| text_of(n).unwrap_or_else(|| "-".into())).collect()),
            _ => None,
        };
        let expected = match &node.value {
            Value::Map(entries) => {
                entries.iter().map(|(key, node)| list(node).map(|words| Expected { name: Some(key.text.clone()), words })).collect()
            }
            _ => list(node).map(|words| vec![Expected { name: None, words }]),
        };
        let expected: Option<Vec<Expected>> = expected;
        expected.unwrap_or_else(|| {
            problems.push(self.error(node.at, format!("`{key}` must be a list, one word a tick, or a map of such lists by subject")));
            Vec::new()
        })
    }
}
