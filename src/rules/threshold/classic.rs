//! Runs a classic rule over a plain column: one native pass, nothing built for quiet rows.
//!
//! Unknown values raise nothing and hold the alerts that are there. Where a rule would report more findings than the
//! limit, those with an alert go first and the rest is counted as unknown, so that a flood never resolves anything.

use std::collections::{BTreeMap, HashSet};

use super::flat::{Comparison, FlatRule};
use crate::model::{
    ActionRequest, ColumnData, Evaluation, Evidence, Finding, Frame, Held, Input, Labels, Moment, Outcome, RuleInput, RuleMeta,
};
use crate::rules::held::held;
use crate::rules::{Condition, Facts, Rule};

/// A classic rule, ready to run.
#[derive(Debug)]
pub struct Classic {
    meta: RuleMeta,
    rule: FlatRule,
    most: usize,
}

impl Classic {
    /// A rule whose metric is a plain column; `most` is how many findings it may report.
    #[must_use]
    pub fn new(rule: FlatRule, file: &str, pack: &str, hash: &str, most: usize) -> Self {
        let input =
            Input { frame: rule.measure.frame.clone(), column: Some(rule.measure.value.clone()), moment: Moment::Now, optional: false };
        let meta = RuleMeta {
            id: rule.name.clone(),
            title: rule.title(),
            category: rule.category.clone(),
            tier: rule.response.tier(),
            pack: pack.into(),
            enabled: rule.enabled,
            inputs: vec![input],
            from: Some(rule.measure.frame.clone()),
            settings: Vec::new(),
            for_s: 0,
            keep_firing_for_s: 0,
            interval_s: 0,
            labels: rule.labels(),
            channels: Vec::new(),
            runbook: rule.runbook(),
            fire_when_missing: false,
            engine: "classic".into(),
            source: file.into(),
            hash: hash.into(),
        };
        Self { meta, rule, most }
    }

    fn column(&self) -> String {
        format!("{}.{}", self.rule.measure.frame, self.rule.measure.value)
    }

    fn judge(&self, frame: &Frame, data: &ColumnData, input: &RuleInput) -> Evaluation {
        let mut scan = Scan::default();
        let threshold = self.rule.threshold;
        match self.rule.comparison {
            Comparison::GreaterThan => scan.run(data, |v| v > threshold),
            Comparison::LessThan => scan.run(data, |v| v < threshold),
            Comparison::Equals => scan.run(data, |v| v == threshold),
        }
        let mut held = self.hold(frame, data, input, scan.unknown);
        let (mut findings, rest) = self.first(frame, &scan.hits, input);
        findings.sort_by(|a, b| a.subject.cmp(&b.subject));
        held.extend(rest);
        Evaluation { unknown: scan.unknown + scan.hits.len() - findings.len(), findings, held }
    }

    fn hold(&self, frame: &Frame, data: &ColumnData, input: &RuleInput, unknown: usize) -> Vec<Held> {
        if input.active.is_empty() || (unknown == 0 && frame.coverage.is_complete()) {
            return Vec::new();
        }
        held(frame, &input.active, |row| number(data, row).is_none(), |_| format!("{} is unknown", self.column()))
    }

    /// The findings, at most `most` of them; beyond that those that have an alert first, and who of them is left out.
    fn first(&self, frame: &Frame, hits: &[(usize, f64)], input: &RuleInput) -> (Vec<Finding>, Vec<Held>) {
        if hits.len() <= self.most {
            return (hits.iter().map(|(row, value)| self.finding(frame.subject(*row), *value)).collect(), Vec::new());
        }
        let active: HashSet<&Labels> = input.active.iter().collect();
        let named: Vec<(Labels, f64)> = hits.iter().map(|(row, value)| (frame.subject(*row), *value)).collect();
        let (mut known, fresh): (Vec<_>, Vec<_>) = named.into_iter().partition(|(subject, _)| active.contains(subject));
        known.extend(fresh);
        let rest = known.split_off(self.most.min(known.len()));
        let reason = format!("the rule found more than {} at once", self.most);
        let held = rest.into_iter().filter(|(s, _)| active.contains(s)).map(|(subject, _)| Held { subject, reason: reason.clone() });
        let held = held.collect();
        (known.into_iter().map(|(subject, value)| self.finding(subject, value)).collect(), held)
    }

    fn finding(&self, subject: Labels, value: f64) -> Finding {
        let (rule, unit) = (&self.rule, self.rule.measure.unit);
        let whom = if subject.is_empty() { String::new() } else { format!(" of {subject}") };
        let summary = format!("{}{whom} is {}, {} {}", rule.metric, unit.show(value), rule.comparison.phrase(), unit.show(rule.threshold));
        let evidence = Evidence { metric: self.column(), value: Some(value), threshold: Some(rule.threshold), unit };
        let action = rule.remedy().map(|(kind, params)| ActionRequest {
            kind: kind.into(),
            subject: subject.clone(),
            params: params.iter().map(|(k, v)| ((*k).to_string(), (*v).to_string())).collect::<BTreeMap<_, _>>(),
            why: String::new(),
        });
        Finding {
            subject,
            severity: rule.severity,
            summary,
            detail: String::new(),
            evidence: vec![evidence],
            actions: action.into_iter().collect(),
            links: Vec::new(),
        }
    }
}

impl Rule for Classic {
    fn meta(&self) -> &RuleMeta {
        &self.meta
    }

    fn evaluate(&self, input: &RuleInput) -> Outcome {
        let name = &self.rule.measure.frame;
        if let Some(missing) = input.snapshot.missing(name) {
            return Outcome::NoData(vec![(name.clone(), missing)]);
        }
        match input.snapshot.frame(name).and_then(|frame| Some((frame, frame.column(&self.rule.measure.value)?))) {
            Some((frame, data)) => Outcome::Ok(self.judge(frame, data, input)),
            None => Outcome::Error(format!("frame `{name}` came without its column `{}`", self.rule.measure.value)),
        }
    }

    fn facts(&self, input: &RuleInput, subject: &Labels) -> Option<Facts> {
        let frame = input.snapshot.frame(&self.rule.measure.frame)?;
        let row = frame.index().get(subject).copied()?;
        let (value, threshold, unit) = (number(frame.column(&self.rule.measure.value)?, row), self.rule.threshold, self.rule.measure.unit);
        let found = value.map(|value| self.rule.comparison.holds(value, threshold));
        let text = format!("{} {} {}", self.column(), self.rule.comparison.phrase(), unit.show(threshold));
        let condition = Condition { limit: Some(threshold), unit, ..Condition::plain(self.rule.severity.as_str(), text, found) };
        let evidence = Evidence { metric: self.column(), value, threshold: Some(threshold), unit };
        Some(Facts { found, conditions: vec![condition], evidence: vec![evidence] })
    }
}

/// What one pass over a column saw.
#[derive(Debug, Default)]
struct Scan {
    hits: Vec<(usize, f64)>,
    unknown: usize,
}

impl Scan {
    /// Generic over the comparison, so that the loop has no branch on it.
    fn run(&mut self, data: &ColumnData, hit: impl Fn(f64) -> bool) {
        match data {
            ColumnData::Float(values) => self.pass(values.iter().copied(), hit),
            ColumnData::Int(values) => self.pass(values.iter().map(|v| v.map_or(f64::NAN, |n| n as f64)), hit),
            ColumnData::Flag(values) => self.pass(values.iter().map(|v| if *v == 2 { f64::NAN } else { f64::from(*v) }), hit),
            ColumnData::Text(values) => self.unknown = values.len(),
        }
    }

    fn pass(&mut self, values: impl Iterator<Item = f64>, hit: impl Fn(f64) -> bool) {
        for (row, value) in values.enumerate() {
            if hit(value) {
                self.hits.push((row, value));
            }
            self.unknown += usize::from(value.is_nan());
        }
    }
}

fn number(data: &ColumnData, row: usize) -> Option<f64> {
    match data {
        ColumnData::Float(v) => v.get(row).copied().filter(|x| !x.is_nan()),
        ColumnData::Int(v) => v.get(row).copied().flatten().map(|n| n as f64),
        ColumnData::Flag(v) => v.get(row).filter(|x| **x != 2).map(|x| f64::from(*x)),
        ColumnData::Text(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::{Changes, Coverage, Missing, MissingReason, Reading, Settings, Severity, Snapshot};
    use crate::rules::fixtures::{at, catalog, snapshot, table, tables};
    use crate::rules::threshold::flat;
    use crate::yaml::parse;

    fn rule(text: &str, most: usize) -> Classic {
        let root = parse("c.yaml", text).unwrap();
        let mut problems = Vec::new();
        let flat = flat::read("c.yaml", "maintenance", &root, &catalog(), &mut problems);
        Classic::new(flat.unwrap_or_else(|| panic!("{problems:?}")), "c.yaml", "own", "h", most)
    }

    fn dead_rows(most: usize) -> Classic {
        rule("{name: dead_rows, metric: dead_rows, threshold: 10000, comparison: greater_than, severity: warning, action: remediate}", most)
    }

    fn input(snapshot: Arc<Snapshot>, active: &[&str]) -> RuleInput {
        RuleInput {
            now: at(0),
            snapshot,
            changes: Arc::new(Changes::default()),
            past: Arc::default(),
            firing: Arc::default(),
            active: Arc::new(active.iter().map(|name| table(name)).collect()),
            settings: Arc::new(Settings::default()),
        }
    }

    fn evaluate(rule: &Classic, input: &RuleInput) -> Evaluation {
        match rule.evaluate(input) {
            Outcome::Ok(evaluation) => evaluation,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_rows_past_the_threshold_are_found_and_say_what_was_measured() {
        let input = input(tables(&[("a", 10_000.0), ("b", 10_001.0), ("c", f64::NAN)], Coverage::default()), &[]);
        let evaluation = evaluate(&dead_rows(1000), &input);
        assert_eq!(evaluation.unknown, 1);
        let [finding] = &evaluation.findings[..] else { panic!("{evaluation:?}") };
        assert_eq!((&finding.subject, finding.severity), (&table("b"), Severity::Warning));
        assert_eq!(finding.summary, "dead_rows of app.public.b is 10 k rows, above 10 k rows");
        assert_eq!(finding.evidence[0].metric, "tables.dead");
        assert_eq!(finding.actions[0].sql(), Ok(Some("VACUUM (ANALYZE) public.b".into())));
    }

    #[test]
    fn unknown_and_uncovered_subjects_hold_and_a_proven_absence_does_not() {
        let rows = [("quiet", 1.0), ("unsure", f64::NAN)];
        let covered = evaluate(&dead_rows(1000), &input(tables(&rows, Coverage::default()), &["quiet", "unsure", "gone"]));
        assert_eq!(covered.held, [Held { subject: table("unsure"), reason: "tables.dead is unknown".into() }]);
        let cut = Coverage { top: Some(2), ..Coverage::default() };
        let cut = evaluate(&dead_rows(1000), &input(tables(&rows, cut), &["gone"]));
        assert_eq!(cut.held, [Held { subject: table("gone"), reason: "only the first 2 rows were collected".into() }]);
    }

    #[test]
    fn a_flood_keeps_the_alerts_that_are_there() {
        let rows = [("a", 2e4), ("b", 2e4), ("c", 2e4)];
        let evaluation = evaluate(&dead_rows(2), &input(tables(&rows, Coverage::default()), &["c"]));
        let found: Vec<&Labels> = evaluation.findings.iter().map(|f| &f.subject).collect();
        assert_eq!((found, evaluation.unknown), (vec![&table("a"), &table("c")], 1));
        let evaluation = evaluate(&dead_rows(1), &input(tables(&rows, Coverage::default()), &["b", "c"]));
        assert_eq!(evaluation.held, [Held { subject: table("c"), reason: "the rule found more than 1 at once".into() }]);
    }

    #[test]
    fn a_missing_frame_is_no_data() {
        let missing = Missing::new(MissingReason::LockTimeout, "it waited too long");
        let input = input(snapshot([("tables".into(), Reading::Missing(missing.clone()))]), &[]);
        assert_eq!(dead_rows(9).evaluate(&input), Outcome::NoData(vec![("tables".into(), missing)]));
    }

    #[test]
    fn each_comparison_is_strict() {
        let found = |comparison: &str| {
            let text = format!("{{name: x, metric: tables.dead, threshold: 5, comparison: {comparison}, severity: info, action: log}}");
            let input = input(tables(&[("a", 4.0), ("b", 5.0), ("c", 6.0)], Coverage::default()), &[]);
            let findings = evaluate(&rule(&text, 9), &input).findings;
            findings.iter().map(|f| f.subject.get("table").unwrap_or_default().to_string()).collect::<String>()
        };
        assert_eq!([found("greater_than"), found("less_than"), found("equals")], ["c", "a", "b"]);
    }
}
