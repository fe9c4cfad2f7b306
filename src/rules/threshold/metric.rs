//! A rule file's own SQL as a metric: it becomes a frame like any other, read-only and budgeted like any other.

use crate::model::{ColumnDef, ColumnKind, CostClass, FrameDef, Metric, Role, Scope, Sensitivity, Unit};
use crate::problem::Problem;
use crate::rules::meta::unknown_unit;
use crate::rules::rhai::is_reserved;
use crate::yaml::{Fields, Key, Node, Value, text_of};

/// Reads `metric:`.
///
/// # Errors
/// All that is wrong with it.
pub(super) fn read_metric(file: &str, node: &Node) -> Result<Metric, Vec<Problem>> {
    let mut fields = Fields::open(file, node, "`metric`").map_err(|problem| vec![problem])?;
    let name = fields.required("name").and_then(|node| name_of(&mut fields, node));
    let mut columns = read_columns(&mut fields);
    let key = fields.texts("key");
    let scope = read_scope(&mut fields);
    let role = read_role(&mut fields);
    let every_s = fields.seconds("every").unwrap_or(60);
    let timeout = fields.number("timeout");
    let doc = fields.text("doc").unwrap_or_default();
    let sql = read_sql(&mut fields);
    add_database(&mut columns, &scope);
    let labels: Vec<String> = columns.iter().filter(|c| c.kind == ColumnKind::Label).map(|c| c.name.clone()).collect();
    if let (Some(wrong), Some(at)) = (key.iter().flatten().find(|name| !labels.contains(name)), fields.node("key")) {
        fields.error(at, format!("`key`: `{wrong}` is not a label among the columns"));
    }
    let frame = FrameDef { name: name.unwrap_or_default(), doc, key: key.unwrap_or(labels), columns, reset_column: None };
    let problems = fields.finish();
    if !problems.is_empty() {
        return Err(problems);
    }
    let timeout_ms = timeout.map(|seconds| (seconds * 1000.0).round().max(1.0) as u64);
    Ok(Metric {
        frame,
        scope,
        role,
        every_s,
        timeout_ms,
        cost: CostClass::Moderate,
        needs: Vec::new(),
        grant: String::new(),
        top: None,
        sql,
    })
}

/// In several databases the rows of each must be told apart.
fn add_database(columns: &mut Vec<ColumnDef>, scope: &Scope) {
    let several = matches!(scope, Scope::EachDatabase) || matches!(scope, Scope::Databases(names) if names.len() > 1);
    if several && columns.iter().all(|column| column.name != "database") {
        columns.insert(0, column("database", ColumnKind::Label, Unit::None));
    }
}

fn column(name: &str, kind: ColumnKind, unit: Unit) -> ColumnDef {
    ColumnDef { name: name.into(), kind, unit, sensitivity: Sensitivity::Public, doc: String::new() }
}

fn name_of(fields: &mut Fields<'_>, node: &Node) -> Option<String> {
    let name = text_of(node).unwrap_or_default();
    let reason = wrong_name(&name);
    if let Some(reason) = &reason {
        fields.error(node, reason.clone());
    }
    reason.is_none().then_some(name)
}

fn wrong_name(name: &str) -> Option<String> {
    let legal = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if !legal || name.len() > 63 {
        return Some(format!("`{name}` is not a name: lower-case letters, digits and `_`, a letter first, at most 63"));
    }
    is_reserved(name).then(|| format!("`{name}` is a reserved word of the rule language"))
}

/// `{status: label, n: gauge rows}`.
fn read_columns(fields: &mut Fields<'_>) -> Vec<ColumnDef> {
    let entries: &[(Key, Node)] = fields.map("columns").unwrap_or_default();
    if entries.is_empty() {
        let at = fields.at();
        fields.error(&Node { value: Value::Null, at }, "`columns` must describe what the SQL returns: `{status: label, n: gauge rows}`");
    }
    let mut columns = Vec::new();
    for (key, node) in entries {
        match described(key, node) {
            Ok(column) => columns.push(column),
            Err(reason) => fields.error(node, reason),
        }
    }
    columns
}

fn described(key: &Key, node: &Node) -> Result<ColumnDef, String> {
    if let Some(reason) = wrong_name(&key.text) {
        return Err(reason);
    }
    let text = text_of(node).unwrap_or_default();
    let (word, unit) = text.split_once(' ').unwrap_or((text.as_str(), ""));
    let kind = match word {
        "label" => ColumnKind::Label,
        "gauge" => ColumnKind::Gauge,
        "counter" => ColumnKind::Counter,
        "text" => ColumnKind::Text,
        "time" => ColumnKind::Time,
        "flag" => ColumnKind::Flag,
        _ => return Err(format!("column `{}` must be label, gauge, counter, text, time or flag, not `{word}`", key.text)),
    };
    let unit = Unit::parse(unit.trim()).ok_or_else(|| unknown_unit(unit.trim()))?;
    Ok(column(&key.text, kind, unit))
}

fn read_scope(fields: &mut Fields<'_>) -> Scope {
    match fields.texts("databases") {
        None => Scope::Instance,
        Some(names) if names == ["all"] => Scope::EachDatabase,
        Some(names) => Scope::Databases(names),
    }
}

fn read_role(fields: &mut Fields<'_>) -> Role {
    let Some(node) = fields.node("on") else { return Role::Any };
    match text_of(node).as_deref() {
        Some("any") => Role::Any,
        Some("primary") => Role::Primary,
        Some("standby") => Role::Standby,
        _ => {
            fields.error(node, "`on` must be primary, standby or any");
            Role::Any
        }
    }
}

/// One text for all versions, or one by smallest major version.
fn read_sql(fields: &mut Fields<'_>) -> Vec<(u32, String)> {
    let Some(node) = fields.required("sql") else { return Vec::new() };
    let Value::Map(entries) = &node.value else {
        return sql_text(fields, node).map(|sql| (0, sql)).into_iter().collect();
    };
    let mut forms = Vec::new();
    for (key, node) in entries {
        match key.text.parse::<u32>() {
            Ok(major) if (9..=99).contains(&major) => forms.extend(sql_text(fields, node).map(|sql| (major * 10_000, sql))),
            _ => fields.error(node, format!("`{}` is not a major version such as 14", key.text)),
        }
    }
    forms.sort_by_key(|(version, _)| *version);
    forms
}

fn sql_text(fields: &mut Fields<'_>, node: &Node) -> Option<String> {
    let sql = text_of(node).map(|sql| sql.trim().trim_end_matches(';').to_string()).filter(|sql| !sql.is_empty() && !sql.contains('\0'));
    if sql.is_none() {
        fields.error(node, "`sql` must be one SELECT");
    }
    sql
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::parse;

    fn read(text: &str) -> Result<Metric, Vec<String>> {
        let node = parse("f", text).unwrap();
        read_metric("f", &node).map_err(|problems| problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn own_sql_becomes_a_frame() {
        let metric = read(
            "name: orders_queue\ndatabases: [shop]\non: primary\nevery: 60s\ntimeout: 2s\n\
             sql:\n  17: SELECT 17\n  14: SELECT 14;\ncolumns: {status: label, n: gauge rows, oldest: gauge s}\n",
        )
        .unwrap();
        assert_eq!(metric.frame.key, ["status"]);
        assert_eq!(metric.frame.column("oldest").unwrap().unit, Unit::Seconds);
        assert_eq!(metric.scope, Scope::Databases(vec!["shop".into()]));
        assert_eq!((metric.every_s, metric.timeout_ms, metric.role), (60, Some(2000), Role::Primary));
        assert_eq!(metric.sql_for(160_000), Some("SELECT 14"));
        assert_eq!(metric.sql_for(180_000), Some("SELECT 17"));
    }

    #[test]
    fn rows_of_several_databases_are_told_apart() {
        let metric = read("name: q\ndatabases: all\nsql: SELECT 1\ncolumns: {n: gauge}\n").unwrap();
        assert_eq!(metric.frame.key, ["database"]);
    }

    #[test]
    fn all_that_is_wrong_comes_at_once() {
        assert_eq!(
            read("name: new\non: master\nsql: {x: SELECT 1}\ncolumns: {default: gauge, n: number, b: gauge byte}\nevry: 5s\n"),
            Err(vec![
                "f:1:7: error: `new` is a reserved word of the rule language".to_string(),
                "f:4:20: error: `default` is a reserved word of the rule language".into(),
                "f:4:30: error: column `n` must be label, gauge, counter, text, time or flag, not `number`".into(),
                "f:4:41: error: unknown unit `byte` (known: rows, bytes, s, ms, %, ratio, x, blocks, xids, days, /s); did you mean `bytes`?"
                    .into(),
                "f:2:5: error: `on` must be primary, standby or any".into(),
                "f:3:10: error: `x` is not a major version such as 14".into(),
                "f:5:1: error: unknown key `evry`; did you mean `every`?".into(),
            ])
        );
    }
}
