//! Reads a test file: every problem at once, each cell checked against the column that it is for.

use std::collections::BTreeMap;

use super::cells::{self, Cell};
use crate::model::{Catalog, FrameDef, Labels, Missing, MissingReason, Moment, RuleMeta, SettingValue, Severity};
use crate::problem::{Mark, Problem};
use crate::rules::meta::setting_value;
use crate::yaml::{Fields, Node, Value, number_of, text_of};

/// What a row says: cells by column and moment.
pub(super) type Row = BTreeMap<(String, Moment), Cell>;

/// What a case says of one frame.
#[derive(Debug, Clone)]
pub(super) enum Given {
    /// Its rows, as far as they differ from the healthy one.
    Rows(Vec<Row>),
    /// It is not there.
    Missing(Missing),
}

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
    pub(super) cells: Vec<((String, Moment), Vec<Moving>)>,
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
        let every_s = fields.seconds("every").unwrap_or(60).max(1);
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

    fn given(&self, fields: &mut Fields<'_>, key: &'static str, problems: &mut Vec<Problem>) -> BTreeMap<String, Given> {
        let frames = fields.map(key).unwrap_or_default();
        let one = |(key, node): &(crate::yaml::Key, Node)| {
            let def = self.frame(&key.text, key.at, problems)?;
            Some((key.text.clone(), self.given_of(def, node, problems)?))
        };
        frames.iter().filter_map(one).collect()
    }

    fn given_of(&self, def: &FrameDef, node: &Node, problems: &mut Vec<Problem>) -> Option<Given> {
        match &node.value {
            Value::List(list) => Some(Given::Rows(list.iter().map(|node| self.row(def, node, problems)).collect())),
            Value::Map(_) => Some(Given::Rows(vec![self.row(def, node, problems)])),
            Value::Text(text) if text.trim_start().starts_with("missing") => {
                missing(text.trim()).map_err(|message| problems.push(self.error(node.at, message))).ok().map(Given::Missing)
            }
            Value::Text(text) => Some(Given::Rows(self.table(def, text, node.at, problems))),
            other => {
                let message = format!("`{}` must be a list of rows, a text table or missing(reason), this is {}", def.name, other.kind());
                problems.push(self.error(node.at, message));
                None
            }
        }
    }

    /// A text table: the columns' names, then a line a row. Two or more blanks part cells, so that one may stand inside.
    fn table(&self, def: &FrameDef, text: &str, at: Mark, problems: &mut Vec<Problem>) -> Vec<Row> {
        let mut lines = text.lines().filter(|line| !line.trim().is_empty());
        let header = split_cells(lines.next().unwrap_or_default(), None);
        let slots: Vec<_> = header.iter().filter_map(|name| self.slot(def, name, at, problems)).collect();
        if slots.len() != header.len() {
            return Vec::new();
        }
        let mut rows = Vec::new();
        for line in lines {
            let words = split_cells(line, Some(header.len()));
            if words.len() != header.len() {
                problems
                    .push(self.error(at, format!("`{}` has {} cells, the table has {} columns", line.trim(), words.len(), header.len())));
                continue;
            }
            let cell = |((slot, column), word): (&(_, &crate::model::ColumnDef), &&str)| {
                cells::read_word(column, word)
                    .map(|cell| (Clone::clone(slot), cell))
                    .map_err(|message| problems.push(self.error(at, message)))
                    .ok()
            };
            rows.push(slots.iter().zip(&words).filter_map(cell).collect());
        }
        rows
    }

    fn row(&self, def: &FrameDef, node: &Node, problems: &mut Vec<Problem>) -> Row {
        let entries = match &node.value {
            Value::Map(entries) => entries.as_slice(),
            Value::Null => &[],
            other => {
                problems.push(self.error(node.at, format!("a row of `{}` must be a map, this is {}", def.name, other.kind())));
                &[]
            }
        };
        let mut row = Row::new();
        for (key, node) in entries {
            let Some((slot, column)) = self.slot(def, &key.text, key.at, problems) else { continue };
            match cells::read(column, node) {
                Ok(cell) => {
                    row.insert(slot, cell);
                }
                Err(message) => problems.push(self.error(node.at, message)),
            }
        }
        row
    }

    /// A column with its moment: `dead`, `rate(calls)`, `prev(calls)`, `ago(bytes, 1d)`, `delta(bytes, 1d)`.
    fn slot<'d>(
        &self,
        def: &'d FrameDef,
        text: &str,
        at: Mark,
        problems: &mut Vec<Problem>,
    ) -> Option<((String, Moment), &'d crate::model::ColumnDef)> {
        let (name, moment) = match read_moment(text) {
            Ok(found) => found,
            Err(message) => {
                problems.push(self.error(at, message));
                return None;
            }
        };
        let Some(column) = def.column(name) else {
            let problem = self.error(at, format!("frame `{}` has no column `{name}`", def.name));
            problems.push(match Catalog::nearest(def.columns.iter().map(|c| c.name.as_str()), name) {
                Some(near) => problem.hint(format!("did you mean `{near}`?")),
                None => problem,
            });
            return None;
        };
        Some(((name.to_string(), moment), column))
    }

    fn frame(&self, name: &str, at: Mark, problems: &mut Vec<Problem>) -> Option<&FrameDef> {
        let frame = self.catalog.frame(name);
        if frame.is_none() {
            let problem = self.error(at, format!("there is no frame `{name}`"));
            problems.push(match Catalog::nearest(self.catalog.frames().map(|f| f.name.as_str()), name) {
                Some(near) => problem.hint(format!("did you mean `{near}`?")),
                None => problem,
            });
        }
        frame.map(AsRef::as_ref)
    }

    fn error(&self, at: Mark, message: impl Into<String>) -> Problem {
        Problem::error(self.file, at, message)
    }

    fn expects(&self, fields: &mut Fields<'_>, problems: &mut Vec<Problem>) -> Option<Expects> {
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

    fn series(&self, node: &Node, fields: &mut Fields<'_>, problems: &mut Vec<Problem>) -> Option<Series> {
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

fn split_cells(line: &str, wanted: Option<usize>) -> Vec<&str> {
    let wide: Vec<&str> = line.split("  ").flat_map(|part| part.split('\t')).map(str::trim).filter(|cell| !cell.is_empty()).collect();
    let narrow: Vec<&str> = line.split_whitespace().collect();
    match wanted {
        Some(count) if wide.len() != count && narrow.len() == count => narrow,
        None if wide.iter().all(|name| !name.contains(' ') || name.contains('(')) => wide,
        None => narrow,
        Some(_) => wide,
    }
}

/// Splits `rate(calls)` into the column and the moment.
fn read_moment(text: &str) -> Result<(&str, Moment), String> {
    let Some((word, inner)) = text.split_once('(').and_then(|(w, rest)| Some((w.trim(), rest.strip_suffix(')')?))) else {
        return Ok((text, Moment::Now));
    };
    let window = |text: &str| {
        pgsteward_helpers::parse_quantity(text.trim().trim_matches(['"', '\'']))
            .ok()
            .filter(|q| q.dimension == pgsteward_helpers::Dimension::Seconds && q.value >= 1.0)
            .map(|q| q.value as u64)
    };
    let parts = inner.split_once(',').map(|(column, w)| (column.trim(), window(w)));
    match (word, parts) {
        ("rate", None) => Ok((inner.trim(), Moment::Rate)),
        ("prev", None) => Ok((inner.trim(), Moment::Previous)),
        ("ago", Some((column, Some(w)))) => Ok((column, Moment::Ago(w))),
        ("delta", Some((column, Some(w)))) => Ok((column, Moment::Delta(w))),
        _ => Err(format!("`{text}` is no column (forms: dead, rate(calls), prev(calls), ago(bytes, 1d), delta(bytes, 1d))")),
    }
}

/// `missing` or `missing(no grant)`.
fn missing(text: &str) -> Result<Missing, String> {
    let reason = text.strip_prefix("missing").unwrap_or_default().trim_start_matches('(').trim_end_matches(')').trim();
    if reason.is_empty() {
        return Ok(Missing::new(MissingReason::NotCollected, "not collected"));
    }
    let word = reason.replace([' ', '-'], "_");
    let words = || MissingReason::ALL.iter().map(|r| r.as_str());
    match MissingReason::ALL.into_iter().find(|r| r.as_str() == word) {
        Some(found) => Ok(Missing::new(found, reason)),
        None => Err(format!("`{reason}` is no reason for a missing frame (known: {})", words().collect::<Vec<_>>().join(", "))),
    }
}
