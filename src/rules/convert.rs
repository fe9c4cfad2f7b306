//! Writes a classic rule in the rich form: for `rules convert`, and to run the metrics that are more than a column.

use super::threshold::flat::{self, FlatRule};
use crate::model::{Catalog, Labels, Unit};
use crate::problem::Problem;
use crate::yaml::{Fields, Node, Value, parse};

/// The rich form of every classic rule in a file, comments aside.
///
/// # Errors
/// The problems of the file, when one of them is an error.
pub fn to_rich(file: &str, text: &str, catalog: &Catalog) -> Result<String, Vec<Problem>> {
    let root = parse(file, text).map_err(|problem| vec![problem])?;
    let mut fields = Fields::open(file, &root, "a rule file").map_err(|problem| vec![problem])?;
    let mut problems = Vec::new();
    let items = fields.required("rules").map(items).unwrap_or_default();
    let rules: Vec<FlatRule> =
        items.iter().filter_map(|(category, node)| flat::read(file, category, node, catalog, &mut problems)).collect();
    problems.append(&mut fields.problems);
    problems.retain(Problem::is_error);
    if !problems.is_empty() {
        return Err(problems);
    }
    let mut rich = String::from("rules:\n");
    rules.iter().for_each(|rule| rich.push_str(&item(rule, catalog)));
    Ok(rich)
}

/// The rules under `rules:` with their categories, whether it is a list or a map of lists.
pub(super) fn items(node: &Node) -> Vec<(String, &Node)> {
    match &node.value {
        Value::List(list) => list.iter().map(|item| ("general".to_string(), item)).collect(),
        Value::Map(categories) => categories
            .iter()
            .flat_map(|(category, node)| match &node.value {
                Value::List(list) => list.iter().map(|item| (category.text.clone(), item)).collect::<Vec<_>>(),
                _ => vec![(category.text.clone(), node)],
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// One rule as an item of a rich `rules:` list.
pub(super) fn item(rule: &FlatRule, catalog: &Catalog) -> String {
    let mut out = String::new();
    let mut line = |key: &str, value: &str| {
        let lead = if key == "id" { "  - " } else { "    " };
        out.extend([lead, key, ": ", value, "\n"]);
    };
    let measure = &rule.measure;
    line("id", &rule.name);
    line("title", &quoted(&rule.title()));
    line("category", &quoted(&rule.category));
    line("tier", rule.response.tier().as_str());
    if !rule.enabled {
        line("enabled", "false");
    }
    // A number for the whole server is judged from the one row that is always there.
    line("from", if measure.total { "target" } else { &measure.frame });
    if let Some(filter) = measure.filter {
        line("where", &quoted(filter));
    }
    line("value", &quoted(&measure.value));
    if measure.unit != Unit::None {
        line("unit", &quoted(measure.unit.as_str()));
    }
    line(rule.severity.as_str(), &quoted(&format!("value {} {}", rule.comparison.operator(), rule.threshold)));
    line("summary", &quoted(&summary(rule, catalog)));
    if let Some((kind, params)) = rule.remedy() {
        let params: Vec<String> = params.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        line("actions", &format!("[{{{kind}: {{{}}}}}]", params.join(", ")));
    }
    line("labels", &format!("{{action: {}}}", rule.response.as_str()));
    out
}

/// The native summary as a template: `tables.dead of {{...}} is {{human(value)}} rows, above 10 k rows`.
fn summary(rule: &FlatRule, catalog: &Catalog) -> String {
    let measure = &rule.measure;
    let key = catalog.frame(&measure.frame).filter(|_| !measure.total).map(|frame| frame.key.clone()).unwrap_or_default();
    // The labels of a row whose values are the templates themselves read like the subject of a real one.
    let subject: Labels = key.iter().map(|name| (name.clone(), format!("{{{{{name}}}}}"))).collect();
    let whom = if subject.is_empty() { String::new() } else { format!(" of {subject}") };
    let (is, limit) = (shown(measure.unit), measure.unit.show(rule.threshold));
    format!("{}{whom} is {is}, {} {limit}", rule.metric, rule.comparison.phrase())
}

/// The template that prints `value` as `Unit::show` does.
fn shown(unit: Unit) -> String {
    match unit {
        Unit::None => "{{human(value)}}".into(),
        Unit::Bytes => "{{bytes(value)}}".into(),
        Unit::Seconds => "{{span(value)}}".into(),
        Unit::Millis => "{{span(value / 1000.0)}}".into(),
        Unit::Days => "{{span(value * 86400.0)}}".into(),
        Unit::Percent => "{{human(value)}} %".into(),
        Unit::Ratio => "{{round(value, 3)}}".into(),
        Unit::Times => "{{human(value)}} x".into(),
        Unit::PerSecond => "{{human(value)}}/s".into(),
        Unit::Rows | Unit::Blocks | Unit::Xids => format!("{{{{human(value)}}}} {unit}"),
    }
}

/// A YAML text in double quotes.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
