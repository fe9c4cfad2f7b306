//! Reads a test file: every problem at once, each cell checked against the column that it is for.

use std::collections::BTreeMap;

use super::cells::Cell;
use crate::model::{Catalog, Labels, Missing, Moment, RuleMeta, SettingValue, Severity};
use crate::problem::{Mark, Problem};
use crate::rules::meta::setting_value;
use crate::yaml::{Fields, Node, Value, text_of};

/// A column at a moment.
pub(super) type Slot = (String, Moment);

/// What a row says.
pub(super) type Row = BTreeMap<Slot, Cell>;

/// What a case says of one frame.
#[derive(Debug, Clone)]
pub(super) enum Given {
    /// Its rows, as far as they differ from the healthy one.
    Rows(Vec<Row>),
    /// It is not there.
    Missing(Missing),
}

/// The longest time between two ticks: a year, so that no series leaves the calendar.
const MOST_EVERY_S: u64 = 366 * 86_400;

/// A test file.
#[derive(Debug)]
pub(super) struct TestFile {
    pub(super) healthy: BTreeMap<String, Row>,
    pub(super) cases: Vec<Case>,
    pub(super) boundaries: Option<Mark>,
    pub(super) budget: Budget,
}

/// Limits tighter than those of production; `None` where the file says nothing.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Budget {
    pub(super) operations: Option<u64>,
    pub(super) column_bytes: Option<usize>,
}

/// One case.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) at: Mark,
    pub(super) settings: BTreeMap<String, SettingValue>,
    pub(super) given: BTreeMap<String, Given>,
    pub(super) previous: BTreeMap<String, Given>,
    pub(super) history_s: Option<u64>,
    pub(super) every_s: u64,
    pub(super) expects: Expects,
}

/// What a case expects.
#[derive(Debug)]
pub(super) enum Expects {
    /// These findings, no other, and that many rows that could not be judged.
    Findings(Vec<ExpectedFinding>, usize),
    /// A required input is not there.
    NoData,
    /// The rule fails, with this in its message.
    Error(String),
    /// What happens over time.
    Series(Series),
}

/// One expected finding.
#[derive(Debug)]
pub(super) struct ExpectedFinding {
    pub(super) severity: Severity,
    pub(super) subject: Labels,
    pub(super) says: Vec<String>,
    pub(super) evidence: Vec<(String, Option<f64>)>,
    pub(super) actions: Option<Vec<String>>,
    pub(super) sql: Option<Vec<String>>,
}

/// A case over several ticks.
#[derive(Debug)]
pub(super) struct Series {
    pub(super) tracks: Vec<Track>,
    pub(super) states: Vec<Expected>,
    pub(super) notices: Vec<Expected>,
    pub(super) ticks: usize,
}

/// One row over time.
#[derive(Debug)]
pub(super) struct Track {
    pub(super) frame: String,
    /// Value of the last key column; `None` for a frame of one row.
    pub(super) name: Option<String>,
    pub(super) cells: Vec<(Slot, Vec<Moving>)>,
}

/// One cell of a series.
#[derive(Debug, Clone)]
pub(super) enum Moving {
    /// A value.
    Is(Cell),
    /// The frame could not be read.
    Missing,
    /// The row is not there.
    Gone,
}

/// Words, one a tick, about one subject or (`None`) about all.
#[derive(Debug)]
pub(super) struct Expected {
    pub(super) name: Option<String>,
    pub(super) words: Vec<String>,
}

/// Everything that reading needs to know.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    pub(super) file: &'a str,
    pub(super) catalog: &'a Catalog,
    pub(super) meta: &'a RuleMeta,
}

/// The rule that a test file is about.
pub(super) fn rule_of(file: &str, root: &Node) -> Result<(String, Mark), Problem> {
    let mut fields = Fields::open(file, root, "a test file")?;
    match fields.required("rule").and_then(|node| Some((text_of(node)?, node.at))) {
        Some(found) => Ok(found),
        None => Err(Problem::error(file, root.at, "`rule` is missing: the id of the rule that is tested")),
    }
}

impl Reader<'_> {
    pub(super) fn read(&self, root: &Node) -> Result<TestFile, Vec<Problem>> {
        let mut fields = Fields::open(self.file, root, "a test file").map_err(|problem| vec![problem])?;
        let mut problems = Vec::new();
        fields.node("rule");
        let healthy = self.healthy(&mut fields, &mut problems);
        let cases = fields.required("cases").map(|node| self.cases(node, &mut problems)).unwrap_or_default();
        let boundaries = fields.node("boundaries");
        if let Some(node) = boundaries.filter(|node| text_of(node).as_deref() != Some("auto")) {
            fields.error(node, "`boundaries` can only be auto");
        }
        let budget = self.budget(&mut fields, &mut problems);
        problems.extend(fields.finish());
        if problems.is_empty() { Ok(TestFile { healthy, cases, boundaries: boundaries.map(|n| n.at), budget }) } else { Err(problems) }
    }

    fn healthy(&self, fields: &mut Fields<'_>, problems: &mut Vec<Problem>) -> BTreeMap<String, Row> {
        let frames = fields.map("healthy").unwrap_or_default();
        let row = |(key, node): &(crate::yaml::Key, Node)| {
            let def = self.frame(&key.text, key.at, problems)?;
            Some((key.text.clone(), self.row(def, node, problems)))
        };
        frames.iter().filter_map(row).collect()
    }

    fn budget(&self, fields: &mut Fields<'_>, problems: &mut Vec<Problem>) -> Budget {
        let Some(node) = fields.node("budget") else { return Budget::default() };
        match Fields::open(self.file, node, "`budget`") {
            Ok(mut inner) => {
                let operations = inner.number("operations").map(|n| n.max(0.0) as u64);
                let column_bytes = inner.number("columns").map(|n| n.max(0.0) as usize);
                problems.extend(inner.finish());
                Budget { operations, column_bytes }
            }
            Err(problem) => {
                problems.push(problem);
                Budget::default()
            }
        }
    }

    fn cases(&self, node: &Node, problems: &mut Vec<Problem>) -> Vec<Case> {
        let Value::List(list) = &node.value else {
            problems.push(self.error(node.at, format!("`cases` must be a list, this is {}", node.value.kind())));
            return Vec::new();
        };
        list.iter().filter_map(|node| self.case(node, problems)).collect()
    }

    fn case(&self, node: &Node, problems: &mut Vec<Problem>) -> Option<Case> {
        let mut fields = Fields::open(self.file, node, "a case").map_err(|problem| problems.push(problem)).ok()?;
        let name = fields.required("name").and_then(text_of);
        let settings = self.settings(&mut fields);
        let given = self.given(&mut fields, "given", problems);
        let previous = self.given(&mut fields, "previous", problems);
        let history_s = fields.seconds("history");
        let every_s = fields.seconds("every").unwrap_or(60).clamp(1, MOST_EVERY_S);
        let expects = match fields.node("series") {
            Some(series) => self.series(series, &mut fields, problems).map(Expects::Series),
            None => self.expects(&mut fields, problems),
        };
        problems.extend(fields.finish());
        Some(Case { name: name?, at: node.at, settings, given, previous, history_s, every_s, expects: expects? })
    }

    fn settings(&self, fields: &mut Fields<'_>) -> BTreeMap<String, SettingValue> {
        let mut settings = BTreeMap::new();
        for (key, node) in fields.map("settings").unwrap_or_default() {
            let known = self.meta.settings.iter().find(|def| def.name == key.text);
            match known.map(|def| setting_value(def, node)) {
                Some(Ok(value)) => {
                    settings.insert(key.text.clone(), value);
                }
                Some(Err(reason)) => fields.error(node, reason),
                None => fields.error(node, format!("rule `{}` has no setting `{}`", self.meta.id, key.text)),
            }
        }
        settings
    }
}
