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
    line("runbook", "|");
    rule.runbook().lines().for_each(|text| out.extend(["      ", text, "\n"]));
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use std::sync::Arc;

    use super::*;
    use crate::model::{Book, Coverage, Outcome};
    use crate::rules::fixtures::{at, catalog, tables};
    use crate::rules::rhai::Limits;
    use crate::rules::{RuleFile, RuleSet, TickInput, load};

    const CLASSIC: &str = "rules:\n  cache:\n    - {name: low_hit, metric: cache_hit_ratio, threshold: 80, comparison: less_than, severity: warning, action: notify}\n  \
                           tables:\n    - {name: dead_rows, metric: dead_rows, threshold: 10000, comparison: greater_than, severity: critical, action: remediate, enabled: false}\n";

    #[test]
    fn the_rich_form_says_what_the_classic_one_means() {
        let rich = to_rich("c.yaml", CLASSIC, &catalog()).unwrap();
        let without_manual: String = rich.lines().filter(|line| !line.starts_with("      ")).map(|line| format!("{line}\n")).collect();
        assert_eq!(
            without_manual,
            r#"rules:
  - id: low_hit
    title: "cache_hit_ratio below 80 %"
    category: "cache"
    tier: ticket
    from: databases
    where: "rate(blks_hit) + rate(blks_read) >= 100.0"
    value: "100.0 * ratio(rate(blks_hit), rate(blks_hit) + rate(blks_read))"
    unit: "%"
    warning: "value < 80"
    summary: "cache_hit_ratio of {{database}} is {{human(value)}} %, below 80 %"
    labels: {action: notify}
    runbook: |
  - id: dead_rows
    title: "dead_rows above 10 k rows"
    category: "tables"
    tier: ticket
    enabled: false
    from: tables
    value: "dead"
    unit: "rows"
    critical: "value > 10000"
    summary: "dead_rows of {{database}}.{{schema}}.{{table}} is {{human(value)}} rows, above 10 k rows"
    actions: [{vacuum: {analyze: true}}]
    labels: {action: remediate}
    runbook: |
"#
        );
    }

    #[test]
    fn the_manual_goes_along() {
        let rich = to_rich("c.yaml", CLASSIC, &catalog()).unwrap();
        assert!(rich.contains("      What: `dead_rows` is the dead rows of a table.\n      Why: dead rows are read again"), "{rich}");
    }

    #[test]
    fn a_file_with_a_mistake_is_not_converted() {
        let problems = to_rich("c.yaml", "rules:\n  x:\n    - {name: a, metric: nope, threshold: 1}\n", &catalog()).unwrap_err();
        assert!(problems[0].to_string().starts_with("c.yaml:3:25: error: unknown metric `nope`"), "{problems:?}");
    }

    fn loaded(text: &str) -> RuleSet {
        let loaded =
            load(&[RuleFile { path: "r.yaml".into(), text: text.into(), pack: Some("own".into()) }], &[], &catalog(), Limits::default());
        assert_eq!(loaded.set.len(), 1, "{:?}", loaded.problems);
        loaded.set
    }

    fn evaluate(set: &RuleSet, rows: &[(&str, f64)]) -> Outcome {
        let tick = TickInput {
            now: at(0),
            every_s: 60,
            snapshot: tables(rows, Coverage::default()),
            changes: Arc::default(),
            past: Arc::default(),
            book: &Book::default(),
            overrides: &[],
            packs: &std::collections::BTreeSet::new(),
            evaluate_all: true,
        };
        set.evaluate(&tick).remove(0).outcome
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn both_engines_find_the_same(
            values in prop::collection::vec(prop_oneof![Just(f64::NAN), Just(10.0), -20.0..20.0f64, 0.0..1e9f64], 0..6),
            comparison in prop::sample::select(vec!["greater_than", "less_than", "equals"]),
            severity in prop::sample::select(vec!["info", "warning", "critical"]),
        ) {
            let text = format!(
                "rules:\n  x:\n    - {{name: r, metric: dead_rows, threshold: 10, comparison: {comparison}, severity: {severity}, action: remediate}}\n"
            );
            let names = ["a", "b", "c", "d", "e", "f"];
            let rows: Vec<(&str, f64)> = names.into_iter().zip(values).collect();
            let rich = to_rich("r.yaml", &text, &catalog()).unwrap();
            let (classic, rich) = (evaluate(&loaded(&text), &rows), evaluate(&loaded(&rich), &rows));
            let (Outcome::Ok(mut classic), Outcome::Ok(rich)) = (classic, rich) else { panic!("both come to an end") };
            if comparison == "equals" {
                // The rich form names no limit for an equality.
                classic.findings.iter_mut().flat_map(|f| &mut f.evidence).for_each(|e| e.threshold = None);
            }
            prop_assert_eq!(classic, rich);
        }
    }
}
