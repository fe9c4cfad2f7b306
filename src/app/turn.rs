//! The middle of a tick, as one function of values: delta, evaluate, decide. No IO and no clock.
//!
//! A rule's test, `check`, a service and a replayed tick file all go through here, so that what one shows is what the
//! others do.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::alert;
use crate::model::{Book, Changes, DecideConfig, Decision, Frame, Outcome, RuleOutcome, RuleOverride, Snapshot};
use crate::rules::{RuleSet, TickInput};

/// All that a tick decides from.
#[derive(Debug, Clone)]
pub struct Basis {
    /// What was seen.
    pub snapshot: Arc<Snapshot>,
    /// For each frame, the reading before the one in the snapshot.
    pub previous: BTreeMap<String, Arc<Frame>>,
    /// For each window (in seconds) that some rule declares, the frames as they were then.
    pub past: Arc<BTreeMap<u64, BTreeMap<String, Arc<Frame>>>>,
    /// The book before.
    pub book: Book,
}

/// What a person wants of the evaluating, for one target.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Wishes {
    /// Packs that are switched on.
    pub packs: BTreeSet<String>,
    /// Overrides that may match.
    pub overrides: Vec<RuleOverride>,
    /// Evaluates every rule, due or not: for one-shot runs.
    pub evaluate_all: bool,
    /// Caps every rule's `for`, in seconds: only the demo, which has minutes and not hours.
    pub for_at_most_s: Option<u64>,
    /// Findings only: what rules advise is left out (`actions: {mode: observe}`).
    pub observe: bool,
}

/// Turns the basis into outcomes and a decision.
#[must_use]
pub fn turn(basis: &Basis, rules: &RuleSet, wishes: &Wishes, config: &DecideConfig) -> (Vec<RuleOutcome>, Decision) {
    let now = basis.snapshot.taken_at;
    let changes = Arc::new(Changes::between(&basis.previous, &basis.snapshot));
    let input = TickInput {
        now,
        every_s: config.every_s,
        snapshot: basis.snapshot.clone(),
        changes,
        past: basis.past.clone(),
        book: &basis.book,
        overrides: &wishes.overrides,
        packs: &wishes.packs,
        evaluate_all: wishes.evaluate_all,
    };
    let mut outcomes = rules.evaluate(&input);
    if let Some(cap) = wishes.for_at_most_s {
        outcomes.iter_mut().for_each(|outcome| shorten(outcome, cap));
    }
    if wishes.observe {
        outcomes.iter_mut().for_each(leave_out_advice);
    }
    let decision = alert::decide(&basis.book, &outcomes, config, now);
    (outcomes, decision)
}

fn leave_out_advice(outcome: &mut RuleOutcome) {
    if let Outcome::Ok(evaluation) = &mut outcome.outcome {
        evaluation.findings.iter_mut().for_each(|finding| finding.actions.clear());
    }
}

fn shorten(outcome: &mut RuleOutcome, cap: u64) {
    if outcome.meta.for_s > cap {
        let mut meta = (*outcome.meta).clone();
        meta.for_s = cap;
        outcome.meta = Arc::new(meta);
    }
}
