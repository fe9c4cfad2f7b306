//! What a plugin answered, checked and turned into an evaluation: rows into subjects, messages filled, actions held
//! against the host's kinds, and what could not be judged held.

use std::collections::{BTreeMap, HashMap, HashSet};

use pgsteward_sandbox::v1::bindings::pgsteward::plugin::types as wire;

use super::fill::{Names, fill};
use super::input::Columns;
use crate::model::{ActionRequest, Evaluation, Evidence, Finding, Frame, Held, Input, Labels, Link, RuleInput, RuleMeta, Severity, Unit};
use crate::rules::held::held;
use crate::rules::meta::unknown_unit;

/// One answer with all that is needed to read it.
pub(super) struct Answer<'a> {
    pub(super) meta: &'a RuleMeta,
    pub(super) needs: &'a [Input],
    pub(super) input: &'a RuleInput,
    pub(super) columns: &'a Columns,
    /// The rule's own frame; `None` for a rule about the whole server.
    pub(super) frame: Option<&'a Frame>,
    /// The rows of that frame that the plugin was handed, where it was not all.
    pub(super) rows: Option<&'a [u32]>,
}

/// Why each row that cannot be judged cannot be: the position of the need, or `PLUGIN`.
struct Unknown(Vec<u16>);

const JUDGED: u16 = u16::MAX;
/// The plugin itself said so.
const PLUGIN: u16 = u16::MAX - 1;

impl Answer<'_> {
    /// The evaluation that the answer comes to.
    ///
    /// # Errors
    /// When anything in it is not legal: then nothing of it is believed.
    pub(super) fn read(&self, said: wire::Evaluation) -> Result<Evaluation, String> {
        let unknown = self.unknown(&said.unknown)?;
        let mut findings: Vec<Finding> = Vec::with_capacity(said.findings.len());
        let mut places: HashMap<Option<usize>, usize> = HashMap::with_capacity(said.findings.len());
        let mut checked = Checked::default();
        for found in said.findings {
            let row = self.row(found.row)?;
            // A rule without a frame has one row that stands for the server; in one with a frame nothing stands for it.
            if row.or(self.frame.is_none().then_some(0)).is_some_and(|row| unknown.is(row)) {
                continue;
            }
            let finding = self.finding(found, row, &mut checked)?;
            match places.get(&row).and_then(|at| findings.get_mut(*at)) {
                Some(known) if known.severity < finding.severity => *known = finding,
                Some(_) => {}
                None => {
                    places.insert(row, findings.len());
                    findings.push(finding);
                }
            }
        }
        let mut held = self.held(&unknown);
        if !held.is_empty() {
            let found: HashSet<&Labels> = findings.iter().map(|finding| &finding.subject).collect();
            held.retain(|held| !found.contains(&held.subject));
        }
        Ok(Evaluation { findings, held, unknown: unknown.count() })
    }

    /// The row of the frame that the answer names by its number among those that were handed over.
    fn row(&self, row: Option<u32>) -> Result<Option<usize>, String> {
        let Some(named) = row.map(|row| row as usize) else { return Ok(None) };
        let place = match self.rows {
            Some(rows) => rows.get(named).map(|row| *row as usize),
            None => Some(named),
        };
        match (place, self.frame) {
            (Some(row), Some(frame)) if row < frame.rows => Ok(Some(row)),
            (_, Some(frame)) => {
                let rows = self.rows.map_or(frame.rows, <[u32]>::len);
                Err(format!("its answer names row {named} of `{}`, which has {rows} rows", frame.def.name))
            }
            (_, None) => Err(format!("its answer names row {named}, and the rule is about the whole server")),
        }
    }

    /// Which rows cannot be judged: those with an unknown required input, and those that the plugin names. For a rule about
    /// the whole server the one row stands for it.
    fn unknown(&self, named: &[u32]) -> Result<Unknown, String> {
        let rows = self.frame.map_or(1, |frame| frame.rows);
        let mut unknown = Unknown(Vec::new());
        for (at, (need, values)) in self.needs.iter().zip(&self.columns.0).enumerate() {
            let own = self.frame.map_or(self.is_one_row(need), |frame| frame.def.name == need.frame);
            if need.optional || !own {
                continue;
            }
            // Most columns of most frames are known in every row: one pass says so without a branch a row.
            if !values.as_deref().is_some_and(any_unknown) {
                continue;
            }
            unknown.0.resize(rows, JUDGED);
            let reason = u16::try_from(at).unwrap_or(PLUGIN);
            for (known, value) in unknown.0.iter_mut().zip(values.iter().flat_map(|values| values.iter())) {
                if value.is_nan() && *known == JUDGED {
                    *known = reason;
                }
            }
        }
        if !named.is_empty() {
            unknown.0.resize(rows, JUDGED);
        }
        for row in named {
            let row = if self.frame.is_some() { self.row(Some(*row))?.unwrap_or(0) } else { 0 };
            if let Some(known) = unknown.0.get_mut(row).filter(|known| **known == JUDGED) {
                *known = PLUGIN;
            }
        }
        Ok(unknown)
    }

    /// Whether the frame has one row by its nature.
    fn is_one_row(&self, need: &Input) -> bool {
        self.input.snapshot.frame(&need.frame).is_some_and(|frame| frame.def.key.is_empty())
    }

    fn held(&self, unknown: &Unknown) -> Vec<Held> {
        let why = |row: usize| self.why(unknown, row);
        if let Some(frame) = self.frame.filter(|frame| !frame.def.key.is_empty()) {
            return held(frame, &self.input.active, |row| unknown.is(row), why);
        }
        let unread = || {
            let frames = self.needs.iter().filter_map(|need| self.input.snapshot.frame(&need.frame));
            frames.filter_map(|frame| Some((frame, frame.coverage.without_databases.iter().next()?))).next()
        };
        let unread = || unread().map(|(frame, (database, reason))| format!("`{}` lacks database {database}: {reason}", frame.def.name));
        let reason = if unknown.is(0) { Some(why(0)) } else { unread() };
        let hold = |subject: &Labels| Some(Held { subject: subject.clone(), reason: reason.clone()? });
        self.input.active.iter().filter_map(hold).collect()
    }

    fn why(&self, unknown: &Unknown, row: usize) -> String {
        let at = unknown.0.get(row).copied().unwrap_or(PLUGIN);
        self.needs.get(usize::from(at)).map_or_else(|| "the plugin could not judge it".into(), |need| format!("{need} is unknown"))
    }

    fn finding(&self, said: wire::Finding, row: Option<usize>, checked: &mut Checked) -> Result<Finding, String> {
        let evidence = said.evidence.into_iter().map(evidence).collect::<Result<Vec<_>, _>>()?;
        let names = Names { row: self.frame.zip(row), evidence: &evidence, settings: &self.input.settings, defs: &self.meta.settings };
        let (summary, detail) = (fill(&said.summary, &names)?, fill(&said.detail, &names)?);
        if summary.trim().is_empty() {
            return Err("a finding of it has no summary".into());
        }
        let subject = self.subject(row);
        let actions = said.actions.into_iter().map(|action| self.action(action, &subject, checked)).collect::<Result<Vec<_>, _>>()?;
        let links = said.links.into_iter().map(link).collect::<Result<Vec<_>, _>>()?;
        let (summary, detail) = (cut(summary, MOST_SUMMARY), cut(detail, MOST_DETAIL));
        Ok(Finding { severity: severity(said.severity), summary, detail, evidence, actions, links, subject })
    }

    fn subject(&self, row: Option<usize>) -> Labels {
        self.frame.zip(row).map_or_else(Labels::default, |(frame, row)| frame.subject(row))
    }

    fn action(&self, said: wire::Action, subject: &Labels, checked: &mut Checked) -> Result<ActionRequest, String> {
        let subject = match self.row(said.row)? {
            Some(row) => self.subject(Some(row)),
            None => subject.clone(),
        };
        let params: BTreeMap<String, String> = said.params.into_iter().map(|entry| (entry.key, param(&entry.value))).collect();
        let request = ActionRequest { kind: said.kind, subject, params, why: cut(said.why, MOST_SUMMARY) };
        checked.check(&request)?;
        Ok(request)
    }
}

/// Kinds with their parameters that were found legal in this answer: a rule says the same of a thousand rows.
#[derive(Default)]
struct Checked(Vec<(String, BTreeMap<String, String>)>);

impl Checked {
    fn check(&mut self, request: &ActionRequest) -> Result<(), String> {
        if self.0.iter().any(|(kind, params)| *kind == request.kind && *params == request.params) {
            return Ok(());
        }
        request.sql()?;
        if self.0.len() < MOST_CHECKED {
            self.0.push((request.kind.clone(), request.params.clone()));
        }
        Ok(())
    }
}

/// Whether any value is unknown: a sum of nothing but zeros and NaN, in lanes that a processor adds at once.
fn any_unknown(values: &[f64]) -> bool {
    let (blocks, rest) = values.as_chunks::<8>();
    let mut lanes = [0.0; 8];
    for block in blocks {
        lanes.iter_mut().zip(block).for_each(|(lane, value)| *lane += value * 0.0);
    }
    // An infinite value counts as possibly unknown too; the pass that follows tells them apart.
    lanes.iter().chain(rest.iter()).any(|value| value.is_nan() || value.is_infinite())
}

/// Pairs that are remembered; they are compared one by one.
const MOST_CHECKED: usize = 16;

impl Unknown {
    fn is(&self, row: usize) -> bool {
        self.0.get(row).is_some_and(|reason| *reason != JUDGED)
    }

    fn count(&self) -> usize {
        self.0.iter().filter(|reason| **reason != JUDGED).count()
    }
}

/// Characters of a summary and of a reason; a line is meant.
const MOST_SUMMARY: usize = 1_000;
/// Characters of a detail: a page.
const MOST_DETAIL: usize = 8_000;

/// No novel in a mail or a terminal.
fn cut(text: String, most: usize) -> String {
    if text.len() <= most { text } else { text.chars().take(most).chain(['…']).collect() }
}

fn severity(said: wire::Severity) -> Severity {
    match said {
        wire::Severity::Info => Severity::Info,
        wire::Severity::Warning => Severity::Warning,
        wire::Severity::Critical => Severity::Critical,
    }
}

fn evidence(said: wire::Evidence) -> Result<Evidence, String> {
    let unit = Unit::parse(&said.unit).ok_or_else(|| format!("evidence `{}`: {}", said.metric, unknown_unit(&said.unit)))?;
    let known = |value: f64| (!value.is_nan()).then_some(value);
    if said.value.is_infinite() || said.threshold.is_some_and(f64::is_infinite) {
        return Err(format!("evidence `{}` is infinite", said.metric));
    }
    Ok(Evidence { metric: said.metric, value: known(said.value), threshold: said.threshold.and_then(known), unit })
}

fn link(said: wire::Link) -> Result<Link, String> {
    if said.url.starts_with("https://") || said.url.starts_with("http://") {
        Ok(Link { title: said.title, url: said.url })
    } else {
        Err(format!("a link must begin with https:// or http://, not `{}`", said.url))
    }
}

/// A whole number without a point: `85`, as every engine writes a parameter.
fn param(value: &wire::ValueResult) -> String {
    match value {
        wire::ValueResult::Number(number) => number.to_string(),
        wire::ValueResult::Text(text) => text.clone(),
        wire::ValueResult::Flag(flag) => flag.to_string(),
    }
}
