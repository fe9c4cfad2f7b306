//! What an evaluation proves, and what it does not: whose alert is held after it.
//!
//! Only a covered quiet row or the proven absence of the object may resolve an alert. A subject whose verdict is unknown,
//! whose counters were reset, or that the frame may simply not show, is held with the reason. A finding wins over all of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::run::Run;
use super::view::View;
use crate::model::{ChangeState, ColumnKind, Evaluation, FrameDef, Held, Labels, Moment};

/// A frame that a rule uses, as the catalog describes it.
#[derive(Debug, Clone)]
pub(in crate::rules) struct FrameUse {
    pub(in crate::rules) def: Arc<FrameDef>,
    pub(in crate::rules) optional: bool,
}

/// Closes an evaluation.
pub(super) fn conclude(run: &Run, views: &[Arc<View>], uses: &[FrameUse]) -> Evaluation {
    let (findings, judged, undecided) = {
        let mut notes = run.notes();
        (std::mem::take(&mut notes.findings), std::mem::take(&mut notes.judged), notes.undecided.take())
    };
    let found: BTreeSet<&Labels> = findings.iter().map(|f| &f.subject).collect();
    let doubts: Vec<Doubt> = views.iter().map(|view| Doubt::about(run, view, &judged, &found)).collect();
    let server_unknown = usize::from(undecided.is_some() && !found.contains(&Labels::default()));
    let unknown = doubts.iter().map(|doubt| doubt.unknown).sum::<usize>() + server_unknown;
    let held = run.input.active.iter().filter(|subject| !found.contains(subject)).filter_map(|subject| {
        let reason = held_by_rows(run, &doubts, subject).or_else(|| held_by_absence(run, views, uses, subject, undecided.as_deref()))?;
        Some(Held { subject: subject.clone(), reason })
    });
    let held = held.collect();
    Evaluation { findings, held, unknown }
}

/// The rows of one frame on which there is no verdict.
struct Doubt<'a> {
    view: &'a Arc<View>,
    /// By row; empty when the frame was not judged or every verdict is known.
    rows: Vec<bool>,
    /// How many rows, those with a finding left out.
    unknown: usize,
}

impl<'a> Doubt<'a> {
    fn about(run: &Run, view: &'a Arc<View>, judged: &[super::column::Mask], found: &BTreeSet<&Labels>) -> Self {
        let mut rows: Vec<bool> = Vec::new();
        for mask in judged.iter().filter(|mask| mask.of.is_same(view) && mask.unknowns() > 0) {
            rows.resize(view.rows(), false);
            for (doubt, verdict) in rows.iter_mut().zip(mask.values.iter()) {
                *doubt |= *verdict == 2;
            }
        }
        if !rows.is_empty() {
            let found: Vec<Labels> = found.iter().map(|subject| (*subject).clone()).collect();
            for row in run.rows_of(view, &found).into_iter().flatten() {
                if let Some(doubt) = rows.get_mut(row) {
                    *doubt = false;
                }
            }
        }
        let unknown = rows.iter().filter(|doubt| **doubt).count();
        Self { view, rows, unknown }
    }
}

/// Whether the labels are those that identify rows by this key.
fn is_keyed_by(subject: &Labels, key: &[String]) -> bool {
    subject.0.len() == key.len() && key.iter().all(|name| subject.get(name).is_some())
}

/// Why a subject that has a row could not be judged.
fn held_by_rows(run: &Run, doubts: &[Doubt<'_>], subject: &Labels) -> Option<String> {
    doubts.iter().filter(|doubt| is_keyed_by(subject, run.key(doubt.view))).find_map(|doubt| {
        let row = run.rows_of(doubt.view, std::slice::from_ref(subject)).into_iter().next().flatten()?;
        if doubt.rows.get(row).copied().unwrap_or(false) {
            return Some(why_unknown(run, doubt.view, row));
        }
        why_no_change(run, doubt.view, row)
    })
}

/// The first input of a row that is unknown.
fn why_unknown(run: &Run, view: &View, row: usize) -> String {
    let of_frame = || run.meta.inputs.iter().filter(|input| input.frame == view.name());
    let null = of_frame().filter_map(|input| input.column.as_deref()).find(|column| is_null(view, column, row));
    let null = null.map(|column| format!("{}.{column} is unknown", view.name()));
    why_no_change(run, view, row).or(null).unwrap_or_else(|| format!("a condition on this row of `{}` is unknown", view.name()))
}

fn is_null(view: &View, column: &str, row: usize) -> bool {
    match view.frame.def.column(column).map(|def| def.kind) {
        Some(ColumnKind::Label | ColumnKind::Text) => view.frame.text(column, row).is_none(),
        Some(_) => view.frame.number(column, row).is_none(),
        None => false,
    }
}

/// Why a rate or change that the rule reads is not known for a row.
fn why_no_change(run: &Run, view: &View, row: usize) -> Option<String> {
    run.meta.inputs.iter().filter(|input| input.frame == view.name()).find_map(|input| {
        let changes = match input.moment {
            Moment::Now => return None,
            Moment::Rate | Moment::Previous => view.changes.clone(),
            Moment::Delta(window) | Moment::Ago(window) => view.changes_since(run, window),
        };
        let counter = input.column.as_deref().and_then(|c| view.frame.def.column(c)).is_some_and(|def| def.kind == ColumnKind::Counter);
        match changes?.states.get(row)? {
            ChangeState::FirstSeen => Some(format!("{input} is unknown: the row is new")),
            ChangeState::Reset if counter => Some(format!("{input} is unknown: the counters were reset")),
            ChangeState::Reset | ChangeState::Rate => None,
        }
    })
}

/// Why a subject without a row may still exist.
fn held_by_absence(run: &Run, views: &[Arc<View>], uses: &[FrameUse], subject: &Labels, undecided: Option<&str>) -> Option<String> {
    if subject.is_empty() {
        let unread = views.iter().find_map(|view| {
            let (database, reason) = view.frame.coverage.without_databases.iter().next()?;
            Some(format!("`{}` lacks database {database}: {reason}", view.name()))
        });
        return undecided.map(String::from).or(unread);
    }
    let uncovered = views.iter().filter(|view| is_keyed_by(subject, run.key(view))).find_map(|view| {
        let absent = run.rows_of(view, std::slice::from_ref(subject)).iter().all(Option::is_none);
        view.frame.coverage.gap_for(subject).filter(|_| absent)
    });
    let unread = uses.iter().filter(|used| used.optional && is_keyed_by(subject, &used.def.key)).find_map(|used| {
        let missing = run.input.snapshot.missing(&used.def.name)?;
        Some(format!("`{}` could not be read: {}", used.def.name, missing.detail))
    });
    uncovered.or(unread)
}
