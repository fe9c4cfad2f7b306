//! A compiled rule of the rich form, and how it judges the rows of its frame.
//!
//! A row is a hit when `where` and one of the conditions hold; the most severe one counts. A subject that fires stays, at
//! the mildest severity, until `clear_when` is true, whatever `where` says: else a filter such as `not(vacuum_running)`
//! would end and restart the alert with each vacuum.

use std::sync::Arc;

use super::rich::{Parts, metric_name};
use super::template::Template;
use crate::model::{ActionRequest, Evaluation, Evidence, Finding, Labels, Outcome, RuleInput, RuleMeta, Severity, Unit};
use crate::rules::facts::answer;
use crate::rules::missing::missing;
use crate::rules::rhai::{Engine, Expression, FrameUse, Session, trials, with_why};
use crate::rules::{Condition, Facts, Rule};

/// A condition and what it means.
#[derive(Debug)]
pub(super) struct Level {
    pub(super) severity: Severity,
    pub(super) condition: Expression,
    /// What the value is held against, where the condition says it plainly.
    pub(super) limit: Option<Expression>,
}

/// A piece of evidence.
#[derive(Debug)]
pub(super) struct EvidenceItem {
    pub(super) name: String,
    pub(super) value: Expression,
    pub(super) unit: Unit,
}

/// An action whose parameters may hold expressions.
#[derive(Debug)]
pub(super) struct ActionTemplate {
    pub(super) kind: String,
    pub(super) params: Vec<(String, Template)>,
}

/// A compiled rule.
#[derive(Debug)]
pub(super) struct Rich {
    engine: Arc<Engine>,
    meta: Arc<RuleMeta>,
    uses: Vec<FrameUse>,
    parts: Parts,
    value_name: String,
}

impl Rich {
    pub(super) fn new(engine: Arc<Engine>, meta: RuleMeta, uses: Vec<FrameUse>, parts: Parts) -> Self {
        let from = uses.iter().find(|used| Some(&used.def.name) == meta.from.as_ref());
        let value_name = from.zip(parts.value.as_ref()).map_or(String::new(), |(used, value)| metric_name(&used.def, value));
        Self { engine, meta: Arc::new(meta), uses, parts, value_name }
    }

    /// Runs it over small made-up inputs.
    pub(super) fn try_out(&self) -> Result<(), String> {
        trials(&self.meta, &self.uses).iter().try_for_each(|trial| match self.judge(&trial.input) {
            Ok(_) => Ok(()),
            Err(message) => Err(format!("{message} (with {})", trial.name)),
        })
    }

    fn session(&self, input: &RuleInput) -> Result<Session, String> {
        let mut session = Session::begin(&self.engine, &self.meta, input, &self.uses)?;
        if let Some(value) = &self.parts.value {
            session.set_value(value)?;
        }
        Ok(session)
    }

    fn judge(&self, input: &RuleInput) -> Result<Evaluation, String> {
        let session = self.session(input)?;
        let verdicts = Verdicts::of(&self.parts, &session)?;
        let mut rows = Vec::with_capacity(session.rows());
        for row in 0..session.rows() {
            let (verdict, level) = verdicts.at(row);
            rows.push(verdict);
            if let Some(level) = level.and_then(|level| self.parts.levels.get(level)) {
                session.add(self.finding(&session, row, level)?)?;
            }
        }
        session.end(rows, &self.uses)
    }

    fn finding(&self, session: &Session, row: usize, level: &Level) -> Result<Finding, String> {
        let subject = session.subject(row);
        let render = |template: &Option<Template>| template.as_ref().map(|t| t.render(session, row)).transpose();
        let evidence = self.evidence(session, row, level)?;
        let summary = match render(&self.parts.summary)? {
            Some(summary) => summary,
            None => self.plain_summary(&subject.to_string(), evidence.first()),
        };
        Ok(Finding {
            severity: level.severity,
            summary,
            detail: render(&self.parts.detail)?.unwrap_or_default(),
            evidence,
            actions: self.actions(session, row)?,
            links: Vec::new(),
            subject,
        })
    }

    fn facts_of(&self, input: &RuleInput, subject: &Labels) -> Result<Option<Facts>, String> {
        let session = self.session(input)?;
        let Some(row) = session.row_of(subject) else { return Ok(None) };
        let verdicts = Verdicts::of(&self.parts, &session)?;
        let (verdict, hit) = verdicts.at(row);
        // A quiet one is shown beside the mildest limit: that is the one it is nearest to.
        let level = hit.and_then(|hit| self.parts.levels.get(hit)).or(self.parts.levels.last());
        let evidence = level.map_or(Ok(Vec::new()), |level| self.evidence(&session, row, level))?;
        Ok(Some(Facts { found: answer(verdict), conditions: self.conditions(&session, &verdicts, row)?, evidence }))
    }

    fn conditions(&self, session: &Session, verdicts: &Verdicts, row: usize) -> Result<Vec<Condition>, String> {
        let cell = |values: &Vec<u8>| values.get(row).copied().and_then(answer);
        let plain = |name: &str, text: &Expression, values: &Vec<u8>| Condition {
            reads: text.inputs().iter().map(ToString::to_string).collect(),
            unit: self.parts.unit,
            ..Condition::plain(name, text.text(), cell(values))
        };
        let guard = |guard: &Expression| Ok(plain("where", guard, &session.condition(guard)?));
        let mut conditions = self.parts.guards.iter().map(guard).collect::<Result<Vec<Condition>, String>>()?;
        for (level, values) in self.parts.levels.iter().zip(&verdicts.levels) {
            let limit = level.limit.as_ref().map(|limit| session.number(limit, row)).transpose()?.flatten();
            conditions.push(Condition { limit, ..plain(level.severity.as_str(), &level.condition, values) });
        }
        let clear = self.parts.clear_when.iter().zip(&verdicts.clear);
        conditions.extend(clear.map(|(text, (values, _))| plain("clear_when", text, values)));
        Ok(conditions)
    }

    /// `Dead rows: shop.public.orders, 6 x`.
    fn plain_summary(&self, subject: &str, value: Option<&Evidence>) -> String {
        let value = value.and_then(|evidence| Some(evidence.unit.show(evidence.value?)));
        let said: Vec<String> = [Some(subject.to_string()).filter(|s| !s.is_empty()), value].into_iter().flatten().collect();
        if said.is_empty() { self.meta.title.clone() } else { format!("{}: {}", self.meta.title, said.join(", ")) }
    }

    fn evidence(&self, session: &Session, row: usize, level: &Level) -> Result<Vec<Evidence>, String> {
        let mut evidence = Vec::new();
        if let Some(value) = &self.parts.value {
            let threshold = level.limit.as_ref().map(|limit| session.number(limit, row)).transpose()?.flatten();
            let value = session.value_at(value, row)?;
            evidence.push(Evidence { metric: self.value_name.clone(), value, threshold, unit: self.parts.unit });
        }
        // The value itself stands there already, with its limit.
        for item in self.parts.evidence.iter().filter(|item| self.parts.value.is_none() || item.name != self.value_name) {
            let value = session.number(&item.value, row)?;
            evidence.push(Evidence { metric: item.name.clone(), value, threshold: None, unit: item.unit });
        }
        Ok(evidence)
    }

    fn actions(&self, session: &Session, row: usize) -> Result<Vec<ActionRequest>, String> {
        let build = |action: &ActionTemplate| {
            let mut request = ActionRequest { kind: action.kind.clone(), subject: session.subject(row), ..ActionRequest::default() };
            for (name, value) in &action.params {
                request = with_why(request, name, value.render(session, row)?);
            }
            request.sql()?;
            Ok(request)
        };
        self.parts.actions.iter().map(build).collect()
    }
}

/// The conditions of a rule in bulk.
struct Verdicts {
    filter: Option<Vec<u8>>,
    levels: Vec<Vec<u8>>,
    /// With `clear_when`: its verdicts, and which rows fire.
    clear: Option<(Vec<u8>, Vec<bool>)>,
}

impl Verdicts {
    fn of(parts: &Parts, session: &Session) -> Result<Self, String> {
        let clear = match &parts.clear_when {
            Some(clear) => {
                let mut firing = vec![false; session.rows()];
                for row in session.firing_rows() {
                    if let Some(fires) = firing.get_mut(row) {
                        *fires = true;
                    }
                }
                Some((session.condition(clear)?, firing))
            }
            None => None,
        };
        Ok(Self {
            filter: parts.filter.as_ref().map(|filter| session.condition(filter)).transpose()?,
            levels: parts.levels.iter().map(|level| session.condition(&level.condition)).collect::<Result<_, _>>()?,
            clear,
        })
    }

    /// 0, 1 or 2 (unknown), and the level of a hit.
    fn at(&self, row: usize) -> (u8, Option<usize>) {
        let cell = |values: &Vec<u8>| values.get(row).copied().unwrap_or(2);
        let filter = self.filter.as_ref().map_or(1, cell);
        let level = self.levels.iter().position(|level| cell(level) == 1);
        let unknown = self.levels.iter().any(|level| cell(level) == 2);
        let (verdict, hit) = match (filter, level) {
            (1, Some(level)) => return (1, Some(level)),
            (0, _) => (0, None),
            (_, None) if !unknown => (0, None),
            _ => (2, None),
        };
        match &self.clear {
            Some((clear, firing)) if firing.get(row).copied().unwrap_or(false) => match cell(clear) {
                0 => (1, self.levels.len().checked_sub(1)),
                1 => (0, None),
                _ => (2, None),
            },
            _ => (verdict, hit),
        }
    }
}

impl Rule for Rich {
    fn meta(&self) -> &RuleMeta {
        &self.meta
    }

    fn evaluate(&self, input: &RuleInput) -> Outcome {
        let missing = missing(&self.meta.inputs, input);
        if !missing.is_empty() {
            return Outcome::NoData(missing);
        }
        match self.judge(input) {
            Ok(evaluation) => Outcome::Ok(evaluation),
            Err(message) => Outcome::Error(format!("rule `{}`: {message}", self.meta.id)),
        }
    }

    fn facts(&self, input: &RuleInput, subject: &Labels) -> Option<Facts> {
        self.facts_of(input, subject).ok().flatten()
    }
}
