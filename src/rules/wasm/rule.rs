//! One rule of a plugin behind the seam that every engine implements.

use std::sync::Arc;

use pgsteward_sandbox::v1::bindings::pgsteward::plugin::types::EntryParam;
use pgsteward_sandbox::{Failure, LogLine, Use};

use super::SharedOrigin;
use super::answer::Answer;
use super::input::{Columns, Facts, FrameTexts, Handed, Parts, firing, wire_value};
use super::select::Select;
use crate::model::{FrameDef, Input, Labels, Outcome, RuleInput, RuleMeta, Settings};
use crate::rules::held::rows_of;
use crate::rules::missing::missing;
use crate::rules::{Condition, Rule, facts as told};

/// A rule of a plugin.
#[derive(Debug)]
pub struct WasmRule {
    origin: SharedOrigin,
    meta: RuleMeta,
    /// What the plugin declared, in its order; `meta.inputs` may hold its own frame as well.
    needs: Arc<[Input]>,
    from: Option<Arc<FrameDef>>,
    select: Select,
}

/// One evaluation with what it used: for authors.
#[derive(Debug)]
pub struct Trace {
    /// How it ended.
    pub outcome: Outcome,
    /// What it used.
    pub used: Use,
    /// What it logged.
    pub log: Vec<LogLine>,
    /// Whether another run ends the same way.
    pub reproducible: bool,
}

impl WasmRule {
    pub(super) fn new(origin: SharedOrigin, meta: RuleMeta, needs: Vec<Input>, from: Option<Arc<FrameDef>>, select: Select) -> Self {
        Self { origin, meta, needs: needs.into(), from, select }
    }

    /// What one call may use.
    #[must_use]
    pub fn limits(&self) -> pgsteward_sandbox::Limits {
        self.origin.limits
    }

    /// Judges an input and tells what that used.
    #[must_use]
    pub fn trace(&self, input: &RuleInput) -> Trace {
        let missing = missing(&self.meta.inputs, input);
        if !missing.is_empty() {
            return Trace { outcome: Outcome::NoData(missing), used: Use::default(), log: Vec::new(), reproducible: true };
        }
        let columns = Columns::read(&self.needs, input);
        let facts = Facts::of(&self.meta.settings, input);
        let firing = firing(self.from.as_deref(), input);
        let rows: Option<Arc<[u32]>> = self.select.rows(&self.needs, &columns, &firing, input).map(Into::into);
        let handed = Handed { frame: self.meta.from.as_deref().unwrap_or_default(), rows: rows.clone() };
        let chosen = handed.columns(&self.needs, &columns);
        let firing = handed.places(firing);
        let texts =
            Arc::new(FrameTexts { needs: self.needs.clone(), snapshot: input.snapshot.clone(), from: self.meta.from.clone(), rows });
        let mut parts = Parts::default();
        let wire = facts.wire(input, &self.needs, &handed, &chosen, &firing, &mut parts);
        let called = self.origin.component.evaluate(&self.origin.limits, texts, &self.meta.id, wire);
        let reproducible = called.answer.as_ref().err().is_none_or(Failure::is_reproducible);
        let frame = self.from.as_ref().and_then(|def| input.snapshot.frame(&def.name)).map(Arc::as_ref);
        let answer = Answer { meta: &self.meta, needs: &self.needs, input, columns: &columns, frame, rows: handed.rows.as_deref() };
        let outcome = match called.answer.map_err(|failure| failure.message).and_then(|said| answer.read(said)) {
            Ok(evaluation) => Outcome::Ok(evaluation),
            Err(reason) => Outcome::Error(self.complaint(&reason)),
        };
        Trace { outcome, used: called.used, log: called.log, reproducible }
    }

    /// The conditions of its `where` for a subject; `None` when it has no row.
    fn asked(&self, input: &RuleInput, subject: &Labels) -> Option<Vec<Condition>> {
        let frame = input.snapshot.frame(&self.from.as_ref()?.name)?;
        let subject = std::slice::from_ref(subject);
        let row = rows_of(frame, subject, 0..frame.rows).into_values().next()?;
        Some(self.select.conditions(&self.needs, &Columns::read(&self.needs, input), row, input))
    }

    fn complaint(&self, reason: &str) -> String {
        format!("plugin `{}`: {}", self.origin.name, crate::text::safe(reason))
    }
}

impl Rule for WasmRule {
    fn meta(&self) -> &RuleMeta {
        &self.meta
    }

    fn evaluate(&self, input: &RuleInput) -> Outcome {
        let trace = self.trace(input);
        for line in &trace.log {
            let message = crate::text::safe(&line.message);
            match line.level {
                "error" => tracing::error!(plugin = self.origin.name, rule = self.meta.id, "{message}"),
                "warn" => tracing::warn!(plugin = self.origin.name, rule = self.meta.id, "{message}"),
                "info" => tracing::info!(plugin = self.origin.name, rule = self.meta.id, "{message}"),
                _ => tracing::debug!(plugin = self.origin.name, rule = self.meta.id, "{message}"),
            }
        }
        trace.outcome
    }

    /// What it reports is all that is seen of its reasoning, and its `where` all that is declared.
    fn facts(&self, input: &RuleInput, subject: &Labels) -> Option<told::Facts> {
        let conditions = self.asked(input, subject);
        let asked = RuleInput { active: Arc::new(vec![subject.clone()]), ..input.clone() };
        let Outcome::Ok(evaluation) = self.trace(&asked).outcome else { return None };
        let finding = evaluation.findings.into_iter().find(|finding| finding.subject == *subject);
        if finding.is_none() && conditions.is_none() {
            return None;
        }
        let found = if finding.is_some() { Some(true) } else { evaluation.held.is_empty().then_some(false) };
        let evidence = finding.map(|finding| finding.evidence).unwrap_or_default();
        Some(told::Facts { found, conditions: conditions.unwrap_or_default(), evidence })
    }

    fn check_settings(&self, settings: &Settings) -> Result<(), String> {
        if self.meta.settings.is_empty() {
            return Ok(());
        }
        let entries: Vec<EntryParam<'_>> = settings.0.iter().map(|(key, value)| EntryParam { key, value: wire_value(value) }).collect();
        let called = self.origin.component.validate_settings(&self.origin.limits, &self.meta.id, &entries);
        match called.answer {
            Ok(Ok(())) => Ok(()),
            Ok(Err(reasons)) => Err(self.complaint(&reasons.join("; "))),
            Err(failure) => Err(self.complaint(&failure.message)),
        }
    }
}
