//! One evaluation: what it may see, what it has used up, and what it has said so far. Native functions reach it through
//! the tag of the engine that was made for it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rhai::{EvalAltResult, NativeCallContext, Position};

use super::column::Mask;
use super::error::{Answer, Trouble};
use super::index::Indexes;
use super::limits::{Deadline, Limits, Meter};
use super::view::{Row, View};
use crate::model::{ActionRequest, Evidence, Finding, Labels, RuleInput, RuleMeta};
use crate::rules::Condition;
use crate::rules::facts::answer;

/// One evaluation.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) meta: Arc<RuleMeta>,
    pub(super) input: RuleInput,
    limits: Limits,
    /// Label columns that identify a finding; empty for the frame's own key.
    subject: Vec<String>,
    indexes: Arc<Indexes>,
    meter: Arc<Meter>,
    notes: Mutex<Notes>,
}

/// What an evaluation has said so far.
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// Problems found, one a subject.
    pub(super) findings: Vec<Finding>,
    /// Frames whose rows were judged, with the verdicts.
    pub(super) judged: Vec<Mask>,
    /// Why a question about the server as a whole has no answer.
    pub(super) undecided: Option<String>,
    /// The one subject that is asked about, when this is no evaluation but a look at it; what was asked of it then.
    pub(super) probe: Option<(Labels, Vec<Condition>)>,
    text_bytes: usize,
}

/// The tag's type.
#[derive(Debug, Clone)]
pub(super) struct RunTag(pub(super) Arc<Run>);

/// The evaluation that a native function is called from.
pub(super) fn run_of(context: Option<&NativeCallContext>) -> Result<Arc<Run>, Box<EvalAltResult>> {
    let tag = context.and_then(NativeCallContext::tag).and_then(|tag| tag.read_lock::<RunTag>().map(|tag| tag.0.clone()));
    tag.ok_or_else(|| Box::new(EvalAltResult::ErrorRuntime("called outside of a rule".into(), Position::NONE)))
}

impl Run {
    pub(super) fn new(meta: Arc<RuleMeta>, subject: Vec<String>, input: RuleInput, limits: Limits, indexes: Arc<Indexes>) -> Arc<Self> {
        let meter = Meter::new(limits.column_bytes, Deadline::after(limits.wall_ms));
        Arc::new(Self { meta, input, limits, subject, indexes, meter, notes: Mutex::default() })
    }

    pub(super) fn meter(&self) -> &Arc<Meter> {
        &self.meter
    }

    pub(super) fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The label columns that say who a row of this frame is.
    pub(super) fn key<'a>(&'a self, view: &'a View) -> &'a [String] {
        let own = !self.subject.is_empty() && self.subject.iter().all(|name| view.frame.def.column(name).is_some());
        if own { &self.subject } else { &view.frame.def.key }
    }

    /// Who a row is.
    pub(super) fn subject_of(&self, row: &Row) -> Labels {
        let label = |name: &String| Some((name.clone(), row.of.frame.text(name, row.row)?.to_string()));
        self.key(&row.of).iter().filter_map(label).collect()
    }

    /// The row of each subject that has one in this frame.
    pub(super) fn rows_of(&self, view: &View, subjects: &[Labels]) -> Vec<Option<usize>> {
        if subjects.is_empty() {
            return Vec::new();
        }
        let key = self.key(view);
        if key.is_empty() {
            return subjects.iter().map(|subject| (subject.is_empty() && view.rows() > 0).then_some(0)).collect();
        }
        let index = self.indexes.of(&view.frame, key);
        subjects.iter().map(|subject| index.row(key, subject)).collect()
    }

    /// Looking at one subject, its row is the only one that a script loops over, whatever the mask says of it.
    pub(super) fn probed(&self, view: &View, mask: &[u8]) -> Option<usize> {
        let subject = self.notes().probe.as_ref().map(|(subject, _)| subject.clone())?;
        let row = self.rows_of(view, std::slice::from_ref(&subject)).into_iter().flatten().next()?;
        let holds = mask.get(row).copied().and_then(answer);
        let text = format!("among the rows of `{}` that the script looks at", view.name());
        let asked = Condition::plain("rows", text, holds);
        if let Some((_, conditions)) = self.notes().probe.as_mut() {
            conditions.push(asked);
        }
        Some(row)
    }

    /// Counts text that a script has made out of Rhai's sight; it is not given back.
    pub(super) fn said(&self, bytes: usize) -> Answer<()> {
        let mut notes = self.notes();
        notes.text_bytes = notes.text_bytes.saturating_add(bytes);
        if notes.text_bytes > self.limits.text_bytes {
            return Err(Trouble::Stop("its findings hold too much text".into()));
        }
        Ok(())
    }

    /// Keeps a finding; of two about one subject the more severe.
    pub(super) fn add(&self, finding: Finding) -> Answer<()> {
        self.said(weight(&finding))?;
        let mut notes = self.notes();
        if let Some(known) = notes.findings.iter_mut().find(|known| known.subject == finding.subject) {
            if known.severity < finding.severity {
                *known = finding;
            }
            return Ok(());
        }
        if notes.findings.len() == self.limits.findings {
            return Err(Trouble::Stop(format!("more than {} findings; narrow the condition", self.limits.findings)));
        }
        notes.findings.push(finding);
        Ok(())
    }

    /// Notes that a question about all rows of a frame could not be answered.
    pub(super) fn leave_undecided(&self, view: &View) {
        self.notes().undecided.get_or_insert_with(|| format!("rows of `{}` are unknown", view.name()));
    }
}

/// Bytes of a finding's texts, and a little for each item of its lists.
fn weight(finding: &Finding) -> usize {
    let evidence: usize = finding.evidence.iter().map(evidence_weight).sum();
    let actions: usize = finding.actions.iter().map(action_weight).sum();
    let links: usize = finding.links.iter().map(|link| link.title.len() + link.url.len() + ITEM).sum();
    finding.summary.len() + finding.detail.len() + labels_weight(&finding.subject) + evidence + actions + links
}

pub(super) fn evidence_weight(evidence: &Evidence) -> usize {
    evidence.metric.len() + ITEM
}

pub(super) fn action_weight(action: &ActionRequest) -> usize {
    let params: usize = action.params.iter().map(|(name, value)| name.len() + value.len() + ITEM).sum();
    action.kind.len() + action.why.len() + labels_weight(&action.subject) + params + ITEM
}

fn labels_weight(labels: &Labels) -> usize {
    labels.0.iter().map(|(name, value)| name.len() + value.len()).sum()
}

/// What an item of a list weighs beside its texts.
const ITEM: usize = 64;
