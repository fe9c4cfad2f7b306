//! What a rule says: findings, evidence, actions. Checked as it is said, so that a wrong word is an error at its line.

use std::sync::Arc;

use rhai::Map;

use super::super::error::{Answer, wrong};
use super::super::run::{Run, action_weight, evidence_weight};
use super::super::value::Value;
use super::super::view::Row;
use crate::model::action::kind;
use crate::model::{ActionRequest, Catalog, ColumnKind, Evidence, Finding, Labels, Link, Severity, Unit};
use crate::rules::meta::unknown_unit;

/// What a finding may say of itself.
pub(in super::super) const FINDING_KEYS: [&str; 7] = ["actions", "detail", "evidence", "links", "severity", "subject", "summary"];

pub(super) fn finding(run: &Run, args: &[Value]) -> Answer<Value> {
    let (row, said) = match args {
        [Value::Row(row), Value::Map(said)] => (Some(row), said),
        [Value::Map(said)] => (None, said),
        [Value::Unknown, _] => return wrong("`finding` of a row that is not there (NULL)"),
        _ => return wrong("`finding` takes a row and a map: `finding(t, #{summary: \"..\"})`"),
    };
    if let Some(unknown) = said.keys().find(|key| !FINDING_KEYS.contains(&key.as_str())) {
        return wrong(unknown_key(unknown));
    }
    let finding = Finding {
        subject: subject(run, row, field(said, "subject"))?,
        severity: severity(run, field(said, "severity"))?,
        summary: summary(field(said, "summary"))?,
        detail: optional_text(field(said, "detail"), "detail")?,
        evidence: items(field(said, "evidence"), "evidence", evidence_item)?,
        actions: items(field(said, "actions"), "actions", action_item)?,
        links: items(field(said, "links"), "links", link_item)?,
    };
    run.add(finding)?;
    Ok(Value::Unknown)
}

/// The sentence for something that a finding does not have.
pub(in super::super) fn unknown_key(key: &str) -> String {
    let near = Catalog::nearest(FINDING_KEYS.into_iter(), key).map_or(String::new(), |near| format!("; did you mean `{near}`?"));
    format!("a finding has no `{key}`{near}")
}

fn field(said: &Map, name: &str) -> Value {
    said.get(name).map_or(Value::Unknown, |value| value.clone().into())
}

fn subject(run: &Run, row: Option<&Row>, own: Value) -> Answer<Labels> {
    match own {
        Value::Unknown => Ok(row.map(|row| run.subject_of(row)).unwrap_or_default()),
        Value::Map(labels) => labels.into_iter().map(|(name, value)| Ok((name.to_string(), label(&name, value.into())?))).collect(),
        other => wrong(format!("`subject` must be a map of labels, this is {}", other.kind())),
    }
}

fn label(name: &str, value: Value) -> Answer<String> {
    match value {
        Value::Text(text) => Ok(text.to_string()),
        other => wrong(format!("label `{name}` must be text, this is {}; measured values belong into `evidence`", other.kind())),
    }
}

fn severity(run: &Run, value: Value) -> Answer<Severity> {
    match value {
        Value::Unknown => Ok(run.meta.default_severity()),
        Value::Text(word) => word.parse().map_err(super::super::error::Trouble::Wrong),
        other => wrong(format!("`severity` must be info, warning or critical, this is {}", other.kind())),
    }
}

fn summary(value: Value) -> Answer<String> {
    match value {
        Value::Text(text) if !text.trim().is_empty() => Ok(text.to_string()),
        Value::Text(_) | Value::Unknown => wrong("a finding needs a `summary`"),
        other => wrong(format!("`summary` must be text, this is {}", other.kind())),
    }
}

fn optional_text(value: Value, name: &str) -> Answer<String> {
    match value {
        Value::Unknown => Ok(String::new()),
        Value::Text(text) => Ok(text.to_string()),
        other => wrong(format!("`{name}` must be text, this is {}", other.kind())),
    }
}

fn items<T>(value: Value, name: &str, item: fn(Value) -> Answer<T>) -> Answer<Vec<T>> {
    match value {
        Value::Unknown => Ok(Vec::new()),
        Value::List(list) => list.into_iter().map(|value| item(value.into())).collect(),
        other => wrong(format!("`{name}` must be a list, this is {}", other.kind())),
    }
}

fn evidence_item(value: Value) -> Answer<Evidence> {
    match value {
        Value::Evidence(evidence) => Ok(Arc::unwrap_or_clone(evidence)),
        other => wrong(format!("`evidence` holds what `evidence(..)` returns, this is {}", other.kind())),
    }
}

fn action_item(value: Value) -> Answer<ActionRequest> {
    match value {
        Value::Action(action) => Ok(Arc::unwrap_or_clone(action)),
        other => wrong(format!("`actions` holds what `action(..)` and `note(..)` return, this is {}", other.kind())),
    }
}

fn link_item(value: Value) -> Answer<Link> {
    let link = match value {
        Value::Text(url) => Link { title: url.to_string(), url: url.to_string() },
        Value::Map(map) => Link { title: optional_text(field(&map, "title"), "title")?, url: optional_text(field(&map, "url"), "url")? },
        other => return wrong(format!("a link is text or `#{{title, url}}`, this is {}", other.kind())),
    };
    if link.url.starts_with("https://") || link.url.starts_with("http://") {
        Ok(link)
    } else {
        wrong(format!("a link must begin with https:// or http://, not `{}`", link.url))
    }
}

/// `evidence(t, "dead", limit)` or `evidence("name", value, limit, "unit")`.
pub(super) fn evidence(run: &Run, args: &[Value]) -> Answer<Value> {
    let (metric, value, unit) = match args {
        [Value::Row(row), column, ..] => of_row(row, column.word("evidence")?)?,
        [Value::Text(name), value, ..] => (name.to_string(), value.number("evidence")?, Unit::None),
        [other, ..] => return wrong(format!("`evidence` takes a row and a column, or a name and a value, not {}", other.kind())),
        [] => return wrong("`evidence` takes a row and a column, or a name and a value"),
    };
    let threshold = args.get(2).map_or(Ok(f64::NAN), |limit| limit.number("evidence"))?;
    let unit = match args.get(3) {
        Some(word) => parse_unit(word.word("evidence")?)?,
        None => unit,
    };
    let evidence = Evidence { metric, value: known(value), threshold: known(threshold), unit };
    run.said(evidence_weight(&evidence))?;
    Ok(Value::Evidence(Arc::new(evidence)))
}

fn of_row(row: &Row, column: &str) -> Answer<(String, f64, Unit)> {
    let def = row.of.described(column)?;
    if matches!(def.kind, ColumnKind::Label | ColumnKind::Text) {
        return wrong(format!("evidence is a number, `{}.{column}` is text", row.of.name()));
    }
    let value = row.of.frame.number(column, row.row).unwrap_or(f64::NAN);
    Ok((format!("{}.{column}", row.of.name()), value, def.unit))
}

fn known(value: f64) -> Option<f64> {
    (!value.is_nan()).then_some(value)
}

fn parse_unit(word: &str) -> Answer<Unit> {
    Unit::parse(word).map_or_else(|| wrong(unknown_unit(word)), Ok)
}

/// `action("vacuum", t, #{analyze: true})`; without a row for actions that need no subject.
pub(super) fn action(run: &Run, args: &[Value]) -> Answer<Value> {
    let (name, row, params) = match args {
        [Value::Text(name)] => (name, None, None),
        [Value::Text(name), Value::Row(row)] => (name, Some(row), None),
        [Value::Text(name), Value::Map(params)] => (name, None, Some(params)),
        [Value::Text(name), Value::Row(row), Value::Map(params)] => (name, Some(row), Some(params)),
        _ => return wrong("`action` takes a kind, a row and a map: `action(\"vacuum\", t, #{analyze: true})`"),
    };
    let mut request = ActionRequest {
        kind: name.to_string(),
        subject: row.map(|row| run.subject_of(row)).unwrap_or_default(),
        ..ActionRequest::default()
    };
    for (key, value) in params.into_iter().flatten() {
        request = with_param(request, key, value.clone().into())?;
    }
    request.sql().map_err(super::super::error::Trouble::Wrong)?;
    run.said(action_weight(&request))?;
    Ok(Value::Action(Arc::new(request)))
}

fn with_param(request: ActionRequest, key: &str, value: Value) -> Answer<ActionRequest> {
    let text = match &value {
        Value::Unknown => return wrong(format!("parameter `{key}` is unknown (NULL)")),
        Value::Float(number) if number.fract() == 0.0 && number.abs() < 1e15 => format!("{number:.0}"),
        Value::Flag(_) | Value::Int(_) | Value::Float(_) | Value::Text(_) => value.shown(),
        other => return wrong(format!("parameter `{key}` must be text, a number, true or false, this is {}", other.kind())),
    };
    Ok(with_why(request, key, text))
}

/// Adds a parameter; `why` is no parameter but the reason for a person.
pub(in crate::rules) fn with_why(mut request: ActionRequest, key: &str, text: String) -> ActionRequest {
    if key == "why" {
        request.why = text;
    } else {
        request.params.insert(key.to_string(), text);
    }
    request
}

/// `note("text")`, with a row for its subject.
pub(super) fn note(run: &Run, args: &[Value]) -> Answer<Value> {
    let text = match args {
        [text] | [_, text] => text.word("note")?,
        _ => return wrong("`note` takes text"),
    };
    let subject = match args {
        [Value::Row(row), _] => run.subject_of(row),
        _ => Labels::default(),
    };
    let request = ActionRequest { kind: "note".into(), subject, params: [("text".into(), text.to_string())].into(), why: String::new() };
    kind("note").and_then(|kind| kind.check(&request)).map_err(super::super::error::Trouble::Wrong)?;
    run.said(action_weight(&request))?;
    Ok(Value::Action(Arc::new(request)))
}
