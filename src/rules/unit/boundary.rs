//! `boundaries: auto`: what a person forgets to try. Three sweeps over the cases of the file.
//!
//! Every input that the rule reads becomes unknown, zero and as large as it can be; each frame loses its rows; each setting
//! goes to its ends. None of that may be an error. And each limit that the evidence names, in a column or a setting, is
//! tried one step below, at and one step above: the verdict may change once on the way, or only at the limit itself.

use std::collections::BTreeMap;

use super::cells::Cell;
use super::compare::got;
use super::file::{Case, Expects, Given, Row};
use super::frames::start;
use super::run::Bench;
use crate::model::{ColumnKind, Evidence, Finding, Labels, Moment, Outcome, SettingDef, SettingValue, Severity};

/// Names that try the quoting of whoever prints them.
const HOSTILE: &str = "x\"; drop table y; -- \u{202e}\u{1b}[31m\n'{{1/0}}`${1/0}`";

type Rows = BTreeMap<String, Vec<Row>>;
type Setting = BTreeMap<String, SettingValue>;

pub(super) fn run(bench: &Bench<'_>) -> Vec<String> {
    let mut failures = Vec::new();
    for case in bench.test.cases.iter().filter(|case| matches!(case.expects, Expects::Findings(..))) {
        let trial = Trial { bench, case, rows: rows_of(bench, case) };
        failures.extend(trial.extremes());
        failures.extend(trial.ends_of_settings());
        failures.extend(trial.limits());
    }
    failures
}

/// The whole rows of every frame that is there in a case.
fn rows_of(bench: &Bench<'_>, case: &Case) -> Rows {
    let stage = bench.stage(case);
    let names = bench.test.healthy.keys().chain(case.given.keys());
    let rows = |name: &String| Some((name.clone(), stage.rows(bench.set.catalog.frame(name)?, case.given.get(name)).ok()?));
    names.filter_map(rows).collect()
}

struct Trial<'a> {
    bench: &'a Bench<'a>,
    case: &'a Case,
    rows: Rows,
}

impl Trial<'_> {
    fn outcome(&self, rows: &Rows, settings: &Setting) -> Outcome {
        let mut given = self.case.given.clone();
        given.extend(rows.iter().map(|(name, rows)| (name.clone(), Given::Rows(rows.clone()))));
        let stage = self.bench.stage(self.case);
        let earlier = stage.earlier(start());
        match stage.scene(start(), &given, &earlier) {
            Ok(scene) => self.bench.evaluate(&scene, settings),
            Err(problems) => Outcome::Error(problems.join("; ")),
        }
    }

    /// An error with what led to it.
    fn must_not_fail(&self, rows: &Rows, settings: &Setting, what: &str) -> Option<String> {
        match self.outcome(rows, settings) {
            Outcome::Error(message) => Some(format!("in `{}`, with {what}\nexpected no error\n     got {message}", self.case.name)),
            _ => None,
        }
    }

    fn extremes(&self) -> Vec<String> {
        let mut failures = Vec::new();
        for (frame, rows) in &self.rows {
            let mut empty = self.rows.clone();
            empty.insert(frame.clone(), Vec::new());
            failures.extend(self.must_not_fail(&empty, &self.case.settings, &format!("no row in {frame}")));
            for input in self.bench.meta.inputs.iter().filter(|i| i.frame == *frame) {
                let Some(column) = &input.column else { continue };
                let Some(def) = self.bench.set.catalog.frame(frame) else { continue };
                let Some(described) = def.column(column) else { continue };
                let never_null = def.key.contains(column);
                for (word, cell) in extremes_of(described.kind, input.moment) {
                    if never_null && cell == Cell::Null {
                        continue;
                    }
                    let slot = (column.clone(), input.moment);
                    let changed = rows.iter().cloned().map(|mut row| {
                        row.insert(slot.clone(), cell.clone());
                        row
                    });
                    let mut all = self.rows.clone();
                    all.insert(frame.clone(), changed.collect());
                    failures.extend(self.must_not_fail(&all, &self.case.settings, &format!("{input} at {word}")));
                }
            }
        }
        failures
    }

    fn ends_of_settings(&self) -> Vec<String> {
        let ends = |def: &SettingDef| def.range.map(|(low, high)| vec![low, high]).unwrap_or_default();
        let tries = self.bench.meta.settings.iter().flat_map(|def| ends(def).into_iter().map(move |value| (def, value)));
        let fail = |(def, value): (&SettingDef, f64)| {
            let settings = self.with_setting(def, value)?;
            self.must_not_fail(&self.rows, &settings, &format!("settings.{} at {}", def.name, def.unit.show(value)))
        };
        tries.filter_map(fail).collect()
    }

    /// The settings of the case with one of them changed; `None` when they would not be legal together.
    fn with_setting(&self, def: &SettingDef, value: f64) -> Option<Setting> {
        let mut settings = self.case.settings.clone();
        settings.insert(def.name.clone(), SettingValue::Number(value));
        let over = crate::model::RuleOverride { settings: settings.clone(), ..Default::default() };
        let rule = self.bench.set.iter().next()?;
        crate::rules::set::settings_of(rule.as_ref(), &[&over]).ok().map(|_| settings)
    }

    fn limits(&self) -> Vec<String> {
        let Outcome::Ok(evaluation) = self.outcome(&self.rows, &self.case.settings) else { return Vec::new() };
        let named = evaluation.findings.iter().flat_map(|finding| finding.evidence.iter().map(move |e| (finding, e)));
        named
            .filter_map(|(finding, evidence)| Some((finding, evidence, evidence.threshold.filter(|t| t.is_finite())?)))
            .flat_map(|(finding, evidence, limit)| {
                self.around_column(finding, evidence, limit).into_iter().chain(self.around_setting(finding, evidence))
            })
            .collect()
    }

    /// The verdict about one subject while its cell passes the limit.
    fn around_column(&self, finding: &Finding, evidence: &Evidence, limit: f64) -> Option<String> {
        let (frame, column) = evidence.metric.split_once('.')?;
        let def = self.bench.set.catalog.frame(frame)?;
        let kind = def.column(column)?.kind;
        let rows = self.rows.get(frame)?;
        let is_it = |row: &Row| {
            def.key.iter().all(|key| match row.get(&(key.clone(), Moment::Now)) {
                Some(Cell::Text(text)) => finding.subject.get(key) == Some(text),
                _ => finding.subject.get(key).is_none(),
            })
        };
        let at = rows.iter().position(is_it)?;
        let steps = match kind {
            ColumnKind::Gauge | ColumnKind::Time => [limit.next_down(), limit, limit.next_up()],
            ColumnKind::Counter => [limit - 1.0, limit, limit + 1.0],
            _ => return None,
        };
        let verdict = |value: &f64| {
            let mut all = self.rows.clone();
            let row = all.get_mut(frame).and_then(|rows| rows.get_mut(at))?;
            row.insert((column.to_string(), Moment::Now), Cell::Number(*value));
            Some(self.outcome(&all, &self.case.settings))
        };
        let outcomes: Option<Vec<Outcome>> = steps.iter().map(verdict).collect();
        self.one_way(&outcomes?, &finding.subject, &format!("{} around its limit {limit}", evidence.metric))
    }

    /// The same while the setting that is the limit passes the value.
    fn around_setting(&self, finding: &Finding, evidence: &Evidence) -> Option<String> {
        let value = evidence.value.filter(|v| v.is_finite())?;
        let is_limit = |def: &&SettingDef| {
            let now = self.case.settings.get(&def.name).unwrap_or(&def.default);
            matches!(now, SettingValue::Number(n) if Some(*n) == evidence.threshold)
        };
        let def = self.bench.meta.settings.iter().find(is_limit)?;
        let in_range = |v: &f64| def.range.is_none_or(|(low, high)| (low..=high).contains(v));
        let steps = [value.next_down(), value, value.next_up()];
        let tries: Option<Vec<Setting>> = steps.iter().map(|v| Some(*v).filter(in_range).and_then(|v| self.with_setting(def, v))).collect();
        let outcomes: Vec<Outcome> = tries?.iter().map(|settings| self.outcome(&self.rows, settings)).collect();
        self.one_way(&outcomes, &finding.subject, &format!("settings.{} around {value}", def.name))
    }

    /// No error, and a verdict that changes once at most (a rule for one exact value changes there and back).
    fn one_way(&self, outcomes: &[Outcome], subject: &Labels, what: &str) -> Option<String> {
        let verdicts: Option<Vec<Option<Severity>>> = outcomes.iter().map(|o| verdict(o, subject)).collect();
        let bad = match verdicts {
            None => true,
            Some(v) => !(v.is_sorted() || v.iter().rev().is_sorted() || v.first() == v.last()),
        };
        bad.then(|| {
            let got: Vec<String> = outcomes.iter().map(got).collect();
            format!(
                "in `{}`, {what}: one step below, at, one step above\nexpected no error and one change at most\n     got {}",
                self.case.name,
                got.join(" | ")
            )
        })
    }
}

/// The severity that a subject has; `None` outside when the evaluation did not come to an end.
fn verdict(outcome: &Outcome, subject: &Labels) -> Option<Option<Severity>> {
    match outcome {
        Outcome::Ok(evaluation) => Some(evaluation.findings.iter().find(|f| f.subject == *subject).map(|f| f.severity)),
        Outcome::Error(_) => None,
        Outcome::NoData(_) | Outcome::Skipped(_) => Some(None),
    }
}

fn extremes_of(kind: ColumnKind, moment: Moment) -> Vec<(&'static str, Cell)> {
    let mut cells = vec![("NULL", Cell::Null)];
    match kind {
        ColumnKind::Counter if moment == Moment::Now => {
            cells.extend([("0", Cell::Integer(0)), ("the largest integer", Cell::Integer(i64::MAX))]);
        }
        ColumnKind::Gauge | ColumnKind::Time | ColumnKind::Counter => {
            cells.extend([("0", Cell::Number(0.0)), ("the largest number", Cell::Number(f64::MAX))]);
        }
        ColumnKind::Flag => cells.extend([("false", Cell::Flag(false)), ("true", Cell::Flag(true))]),
        ColumnKind::Label | ColumnKind::Text => {
            cells.extend([("an empty text", Cell::Text(String::new())), ("a hostile text", Cell::Text(HOSTILE.into()))]);
        }
    }
    cells
}
