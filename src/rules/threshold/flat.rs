//! Reads the classic flat form: `{name, metric, threshold, comparison, severity, action, enabled}` by category.
//!
//! What a rule says stays a `FlatRule`: `classic` runs it when its metric is a plain column, `convert` writes it in the
//! rich form otherwise (and for people). Its words map to ours: `log` is tier advice, `notify` ticket, `alert` page, and
//! `remediate` ticket with an action; the word stays as the routing label `action`.

use super::alias;
use super::manual::manual;
use crate::model::{Catalog, ColumnKind, FrameDef, Labels, Severity, Tier, Unit};
use crate::problem::{Mark, Problem};
use crate::yaml::{Fields, Node, text_of};

/// How a value is held against the threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// Fires above.
    GreaterThan,
    /// Fires below.
    LessThan,
    /// Fires at exactly.
    Equals,
}

impl Comparison {
    /// All of them with the word in files, the operator, and the word for people.
    const ALL: [(Self, &'static str, &'static str, &'static str); 3] = [
        (Self::GreaterThan, "greater_than", ">", "above"),
        (Self::LessThan, "less_than", "<", "below"),
        (Self::Equals, "equals", "==", "equal to"),
    ];

    fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, w, ..)| *w == word).map(|(c, ..)| *c)
    }

    /// `>`, `<` or `==`.
    #[must_use]
    pub fn operator(self) -> &'static str {
        Self::ALL.iter().find(|(c, ..)| *c == self).map_or("", |(_, _, op, _)| op)
    }

    /// Whether a value fires.
    #[must_use]
    #[expect(clippy::float_cmp, reason = "`equals` is exact by its definition")]
    pub fn holds(self, value: f64, threshold: f64) -> bool {
        match self {
            Self::GreaterThan => value > threshold,
            Self::LessThan => value < threshold,
            Self::Equals => value == threshold,
        }
    }

    /// `above`, `below` or `equal to`.
    #[must_use]
    pub fn phrase(self) -> &'static str {
        Self::ALL.iter().find(|(c, ..)| *c == self).map_or("", |(.., phrase)| phrase)
    }
}

/// What is to happen when it fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Response {
    /// Only written down.
    Log,
    /// Somebody is told in working hours.
    Notify,
    /// Somebody is told now.
    Alert,
    /// Somebody is told, with an action proposed.
    Remediate,
}

impl Response {
    const ALL: [(Self, &'static str, Tier); 4] = [
        (Self::Log, "log", Tier::Advice),
        (Self::Notify, "notify", Tier::Ticket),
        (Self::Alert, "alert", Tier::Page),
        (Self::Remediate, "remediate", Tier::Ticket),
    ];

    fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, w, _)| *w == word).map(|(r, ..)| *r)
    }

    /// The word in files.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(r, ..)| *r == self).map_or("", |(_, word, _)| word)
    }

    /// How urgent that is.
    #[must_use]
    pub fn tier(self) -> Tier {
        Self::ALL.iter().find(|(r, ..)| *r == self).map_or(Tier::Ticket, |(.., tier)| *tier)
    }
}

/// What a metric name stands for.
#[derive(Debug, Clone, PartialEq)]
pub struct Measure {
    /// The frame.
    pub frame: String,
    /// The column, or an expression over columns.
    pub value: String,
    /// Whether `value` is just a column.
    pub plain: bool,
    /// Whether the value is one for the whole server although the frame has many rows.
    pub total: bool,
    /// Which rows count.
    pub filter: Option<&'static str>,
    /// Unit of value and threshold.
    pub unit: Unit,
    /// What it is.
    pub doc: String,
}

/// One rule of the classic form.
#[derive(Debug, Clone, PartialEq)]
pub struct FlatRule {
    /// Id.
    pub name: String,
    /// Area, from the key it stands under.
    pub category: String,
    /// The metric as written.
    pub metric: String,
    /// What that stands for.
    pub measure: Measure,
    /// The limit, in the metric's unit.
    pub threshold: f64,
    /// How it is compared.
    pub comparison: Comparison,
    /// How bad.
    pub severity: Severity,
    /// What is to happen.
    pub response: Response,
    /// Whether it is on.
    pub enabled: bool,
    /// Where its name stands.
    pub at: Mark,
}

/// Kind and parameters of an action.
pub type Remedy = (&'static str, &'static [(&'static str, &'static str)]);

impl FlatRule {
    /// `tables.dead above 10 k rows`.
    #[must_use]
    pub fn title(&self) -> String {
        format!("{} {} {}", self.metric, self.comparison.phrase(), self.measure.unit.show(self.threshold))
    }

    /// What to do, for a person: what the metric is, then why it matters.
    #[must_use]
    pub fn runbook(&self) -> String {
        let manual = manual(&self.measure.frame, &self.measure.value);
        let what = if self.measure.doc.is_empty() { String::new() } else { format!("What: `{}` is {}.\n", self.metric, self.measure.doc) };
        format!("{what}{manual}").trim_end().to_string()
    }

    /// The routing labels.
    #[must_use]
    pub fn labels(&self) -> Labels {
        [("action", self.response.as_str())].into_iter().collect()
    }

    /// What `remediate` proposes. An index is only proposed to be dropped when nobody ever scanned it.
    #[must_use]
    pub fn remedy(&self) -> Option<Remedy> {
        if self.response != Response::Remediate {
            return None;
        }
        let (value, threshold) = (self.measure.value.as_str(), self.threshold);
        let never_scanned = match self.comparison {
            Comparison::GreaterThan => self.measure.filter.is_some_and(|f| f.contains("scans == 0.0")),
            Comparison::LessThan => value == "scans" && threshold <= 1.0,
            Comparison::Equals => value == "scans" && threshold == 0.0,
        };
        match self.measure.frame.as_str() {
            "tables" if value.contains("analyze") => Some(("analyze", &[])),
            "tables" if value.contains("dead") || value.contains("vacuum") => Some(("vacuum", &[("analyze", "true")])),
            "indexes" if never_scanned && self.measure.filter.is_some() => Some(("drop_index", &[])),
            _ => None,
        }
    }
}

/// Whether an item of a `rules:` list is in the flat form.
#[must_use]
pub fn is_flat(node: &Node) -> bool {
    let crate::yaml::Value::Map(entries) = &node.value else { return false };
    let has = |key: &str| entries.iter().any(|(k, _)| k.text == key);
    has("metric") && has("threshold") && !has("id")
}

/// Reads one rule. `None` when it cannot be used; the problems say why. Notes and warnings come with a usable rule too.
pub fn read(file: &str, category: &str, node: &Node, catalog: &Catalog, problems: &mut Vec<Problem>) -> Option<FlatRule> {
    let mut fields = match Fields::open(file, node, "a rule") {
        Ok(fields) => fields,
        Err(problem) => {
            problems.push(problem);
            return None;
        }
    };
    let rule = read_fields(category, &mut fields, catalog);
    let mut found = fields.finish();
    if let Some(rule) = &rule {
        found.extend(remarks(file, rule));
    }
    let usable = !found.iter().any(Problem::is_error);
    problems.append(&mut found);
    rule.filter(|_| usable)
}

fn read_fields(category: &str, fields: &mut Fields<'_>, catalog: &Catalog) -> Option<FlatRule> {
    let name = fields.required("name").and_then(|node| read_name(fields, node));
    let metric = fields.required("metric").and_then(|node| Some((text_of(node)?, read_metric(fields, node, catalog)?)));
    let threshold_given = fields.required("threshold").is_some();
    let threshold = fields.number("threshold").filter(|_| threshold_given);
    let comparison = word(fields, "comparison", Comparison::parse, Comparison::ALL.map(|(_, w, ..)| w));
    let severity = word(fields, "severity", |w| w.parse().ok(), Severity::ALL.map(Severity::as_str));
    let response = word(fields, "action", Response::parse, Response::ALL.map(|(_, w, _)| w));
    let enabled = fields.flag("enabled").unwrap_or(true);
    let (name, at) = name?;
    let (metric, measure) = metric?;
    let category = category.to_string();
    Some(FlatRule {
        threshold: threshold?,
        comparison: comparison?,
        severity: severity?,
        response: response?,
        name,
        category,
        metric,
        measure,
        enabled,
        at,
    })
}

fn read_name(fields: &mut Fields<'_>, node: &Node) -> Option<(String, Mark)> {
    let name = text_of(node).unwrap_or_default();
    let legal_char = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if (1..=63).contains(&name.len()) && name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(legal_char) {
        return Some((name, node.at));
    }
    fields.error(node, format!("`{name}` is not a name: lower-case letters, digits and `_`, a letter first, at most 63"));
    None
}

fn word<T, const N: usize>(
    fields: &mut Fields<'_>,
    key: &'static str,
    parse: impl Fn(&str) -> Option<T>,
    known: [&'static str; N],
) -> Option<T> {
    let node = fields.required(key)?;
    let text = text_of(node).unwrap_or_default();
    let value = parse(&text);
    if value.is_none() {
        fields.error(node, format!("unknown {key} `{text}` (known: {})", known.join(", ")));
    }
    value
}

fn read_metric(fields: &mut Fields<'_>, node: &Node, catalog: &Catalog) -> Option<Measure> {
    let name = text_of(node).unwrap_or_default();
    let measure = measure(&name, catalog);
    measure
        .map_err(|(message, hint)| {
            fields.error(node, message);
            if let (Some(hint), Some(problem)) = (hint, fields.problems.last_mut()) {
                problem.hint = Some(hint);
            }
        })
        .ok()
}

/// What a metric name stands for; the error is a message and a hint.
fn measure(name: &str, catalog: &Catalog) -> Result<Measure, (String, Option<String>)> {
    let unknown = || {
        let columns: Vec<String> =
            catalog.frames().flat_map(|frame| frame.columns.iter().map(|c| format!("{}.{}", frame.name, c.name))).collect();
        let aliases = alias::ALIASES.iter().flat_map(|a| a.names).copied();
        let near = Catalog::nearest(aliases.chain(columns.iter().map(String::as_str)), name);
        (format!("unknown metric `{name}`"), near.map(|n| format!("did you mean `{n}`?")))
    };
    if let Some(alias) = alias::find(name) {
        let frame = catalog.frame(alias.frame).ok_or_else(unknown)?;
        return Ok(Measure {
            frame: alias.frame.into(),
            value: alias.value.into(),
            plain: alias.filter.is_none() && frame.column(alias.value).is_some(),
            total: alias.is_total(),
            filter: alias.filter,
            unit: alias.unit,
            doc: alias.doc.into(),
        });
    }
    let (frame, column) = name.split_once('.').and_then(|(f, c)| Some((catalog.frame(f)?, c))).ok_or_else(unknown)?;
    let column = frame.column(column).ok_or_else(unknown)?;
    if matches!(column.kind, ColumnKind::Label | ColumnKind::Text) {
        return Err((format!("`{name}` is text, a threshold needs a number"), numbers_of(frame)));
    }
    Ok(Measure {
        frame: frame.name.clone(),
        value: column.name.clone(),
        plain: true,
        total: false,
        filter: None,
        unit: column.unit,
        doc: column.doc.clone(),
    })
}

fn numbers_of(frame: &FrameDef) -> Option<String> {
    let numbers = frame.columns.iter().filter(|c| !matches!(c.kind, ColumnKind::Label | ColumnKind::Text));
    let names: Vec<&str> = numbers.map(|c| c.name.as_str()).collect();
    (!names.is_empty()).then(|| format!("numbers of `{}`: {}", frame.name, names.join(", ")))
}

/// What the author should know although the rule is legal.
fn remarks(file: &str, rule: &FlatRule) -> Vec<Problem> {
    let name = &rule.name;
    let mut remarks = Vec::new();
    if alias::find(&rule.metric).is_some() {
        remarks.push(Problem::note(file, rule.at, format!("{name}: `{}` is {}", rule.metric, rule.measure.doc)));
    }
    if rule.measure.frame == "tables" && rule.measure.value == "dead" {
        let message = format!("{name}: one alert a table, whatever its size; consider the rule `dead_tuples_past_trigger`");
        remarks.push(Problem::note(file, rule.at, message));
    }
    match (rule.response, rule.remedy()) {
        (Response::Remediate, Some((kind, _))) => {
            let message = format!("{name}: `remediate` asks for {kind}; it will only be proposed, nothing is run");
            remarks.push(Problem::warning(file, rule.at, message));
        }
        (Response::Remediate, None) => {
            let message = format!("{name}: `remediate` knows no action for `{}`; it works like `notify`", rule.metric);
            remarks.push(Problem::warning(file, rule.at, message));
        }
        _ => {}
    }
    remarks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::fixtures::catalog;
    use crate::yaml::parse;

    fn read_text(text: &str) -> (Option<FlatRule>, Vec<String>) {
        let root = parse("c.yaml", text).unwrap();
        let mut problems = Vec::new();
        let rule = read("c.yaml", "cache", &root, &catalog(), &mut problems);
        (rule, problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn an_alias_says_what_it_stands_for() {
        let (rule, problems) = read_text(
            "{name: low_cache_hit, metric: cache_hit_ratio, threshold: 80, comparison: less_than, severity: warning, action: notify, enabled: true}",
        );
        let rule = rule.unwrap();
        assert!(!rule.measure.plain);
        assert_eq!(rule.title(), "cache_hit_ratio below 80 %");
        assert_eq!(
            problems,
            ["c.yaml:1:8: note: low_cache_hit: `cache_hit_ratio` is the share of block reads served from shared buffers over the last \
              interval, 0..100, per database with at least 100 block reads a second"]
        );
    }

    #[test]
    fn every_mistake_is_named_with_what_would_be_right() {
        let (rule, problems) =
            read_text("{name: Slow, metric: tables.deed, threshold: lots, comparison: over, severity: bad, action: page, enable: true}");
        assert_eq!(rule, None);
        assert_eq!(
            problems,
            [
                "c.yaml:1:8: error: `Slow` is not a name: lower-case letters, digits and `_`, a letter first, at most 63",
                "c.yaml:1:22: error: unknown metric `tables.deed`; did you mean `tables.dead`?",
                "c.yaml:1:46: error: `threshold` must be a number (not a number), this is `lots`",
                "c.yaml:1:64: error: unknown comparison `over` (known: greater_than, less_than, equals)",
                "c.yaml:1:80: error: unknown severity `bad` (known: info, warning, critical)",
                "c.yaml:1:93: error: unknown action `page` (known: log, notify, alert, remediate)",
                "c.yaml:1:99: error: unknown key `enable`; did you mean `enabled`?",
            ]
        );
    }

    #[test]
    fn text_has_no_threshold() {
        let (_, problems) = read_text("{name: x, metric: disk.mount, threshold: 1, comparison: equals, severity: info, action: log}");
        assert_eq!(problems, ["c.yaml:1:19: error: `disk.mount` is text, a threshold needs a number; numbers of `disk`: used_pct"]);
    }

    #[test]
    fn remediate_never_drops_an_index_that_is_scanned() {
        let kind = |metric: &str, comparison: &str, threshold: &str| {
            let text = format!(
                "{{name: x, metric: {metric}, threshold: {threshold}, comparison: {comparison}, severity: info, action: remediate}}"
            );
            read_text(&text).0.unwrap().remedy().map(|(kind, _)| kind)
        };
        assert_eq!(kind("unused_index_scans", "equals", "0"), Some("drop_index"));
        assert_eq!(kind("unused_index_scans", "less_than", "50"), None);
        assert_eq!(kind("unused_index_size_mb", "greater_than", "100"), Some("drop_index"));
        assert_eq!(kind("indexes.bytes", "greater_than", "100"), None);
        assert_eq!(kind("last_vacuum_days", "greater_than", "7"), Some("vacuum"));
        assert_eq!(kind("connection_usage_pct", "greater_than", "80"), None);
    }
}
