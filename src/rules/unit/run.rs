//! Runs one test file: finds its rule, plays every case, and gathers what did not come as expected.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::boundary;
use super::compare::compare;
use super::file::{Budget, Case, Expects, Reader, TestFile, rule_of};
use super::frames::{Frames, Scene, Stage, start};
use super::series;
use crate::model::{Book, Catalog, DecideConfig, Decision, Outcome, RuleMeta, RuleOutcome, RuleOverride, SettingValue};
use crate::problem::Problem;
use crate::rules::load::load;
use crate::rules::rhai::Limits;
use crate::rules::set::Entry;
use crate::rules::{RuleFile, RuleSet, TickInput};
use crate::yaml::parse;

/// The deciding, as `alert::decide` does it.
pub type Decide = fn(&Book, &[RuleOutcome], &DecideConfig, DateTime<Utc>) -> Decision;

/// How a test file went.
#[derive(Debug, Clone, Default)]
pub struct TestReport {
    /// What is wrong with the file itself; then no case was run.
    pub problems: Vec<Problem>,
    /// Each case, `boundaries` last.
    pub cases: Vec<CaseResult>,
}

impl TestReport {
    /// Whether there were cases and none failed.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.problems.is_empty() && !self.cases.is_empty() && self.cases.iter().all(|case| case.failures.is_empty())
    }
}

/// How one case went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseResult {
    /// Its name.
    pub name: String,
    /// The line at which it begins.
    pub line: u32,
    /// What did not come as expected; several lines each.
    pub failures: Vec<String>,
}

/// Runs every case of a test file against the rule that it names.
#[must_use]
pub fn run_tests(set: &RuleSet, file: &RuleFile, decide: Decide) -> TestReport {
    let whole = |problems| TestReport { problems, cases: Vec::new() };
    let root = match parse(&file.path, &file.text) {
        Ok(root) => root,
        Err(problem) => return whole(vec![problem]),
    };
    let (id, at) = match rule_of(&file.path, &root) {
        Ok(found) => found,
        Err(problem) => return whole(vec![problem]),
    };
    let Some(entry) = set.entries.get(&id) else {
        let problem = Problem::error(&file.path, at, format!("there is no rule `{id}`"));
        return whole(vec![match Catalog::nearest(set.entries.keys().map(String::as_str), &id) {
            Some(near) => problem.hint(format!("did you mean `{near}`?")),
            None => problem.hint("it may have failed to load"),
        }]);
    };
    let reader = Reader { file: &file.path, catalog: &set.catalog, meta: &entry.meta };
    match reader.read(&root) {
        Ok(test) => match bounded(set, entry, test.budget) {
            Ok(bounded) => {
                let alone = alone(set, entry);
                let bench = |set| Bench { set, meta: &entry.meta, test: &test, decide };
                TestReport { problems: Vec::new(), cases: bench(&bounded).cases().chain(bench(&alone).boundaries()).collect() }
            }
            Err(problems) => whole(problems),
        },
        Err(problems) => whole(problems),
    }
}

/// The rule alone.
fn alone(set: &RuleSet, entry: &Entry) -> RuleSet {
    RuleSet { entries: BTreeMap::from([(entry.meta.id.clone(), entry.clone())]), catalog: set.catalog.clone() }
}

/// The rule alone; with a budget, compiled anew under its limits. The budget is for what the cases show: the sweeps of
/// `boundaries` find more than any of them.
fn bounded(set: &RuleSet, entry: &Entry, budget: Budget) -> Result<RuleSet, Vec<Problem>> {
    if budget.operations.is_none() && budget.column_bytes.is_none() {
        return Ok(alone(set, entry));
    }
    if entry.meta.engine == "wasm" {
        let message = "`budget` is for scripts; a plugin's limits are checked by `pgsteward plugin bench`";
        return Err(vec![Problem::error(&entry.file.path, None, message)]);
    }
    let mut limits = Limits::default();
    limits.operations = budget.operations.unwrap_or(limits.operations);
    limits.column_bytes = budget.column_bytes.unwrap_or(limits.column_bytes);
    let mut catalog = Catalog::default();
    let brought: BTreeSet<&String> = set.entries.values().filter(|e| e.file == entry.file).filter_map(|e| e.brings.as_ref()).collect();
    for frame in set.catalog.frames().filter(|frame| !brought.contains(&frame.name)) {
        catalog.add(frame.as_ref().clone()).map_err(|message| vec![Problem::error(&entry.file.path, None, message)])?;
    }
    let loaded = load(std::slice::from_ref(entry.file.as_ref()), &[], &catalog, limits);
    let mut set = loaded.set;
    set.entries.retain(|id, _| *id == entry.meta.id);
    if set.is_empty() { Err(loaded.problems) } else { Ok(set) }
}

/// One rule on trial.
#[derive(Clone, Copy)]
pub(super) struct Bench<'a> {
    pub(super) set: &'a RuleSet,
    pub(super) meta: &'a RuleMeta,
    pub(super) test: &'a TestFile,
    pub(super) decide: Decide,
}

impl<'a> Bench<'a> {
    fn cases(self) -> impl Iterator<Item = CaseResult> {
        let result = move |case: &Case| CaseResult { name: case.name.clone(), line: case.at.line, failures: self.case(case) };
        self.test.cases.iter().map(result)
    }

    fn boundaries(self) -> Option<CaseResult> {
        let at = self.test.boundaries?;
        Some(CaseResult { name: "boundaries".into(), line: at.line, failures: boundary::run(&self) })
    }

    fn case(&self, case: &Case) -> Vec<String> {
        match &case.expects {
            Expects::Series(series) => series::run(self, case, series),
            expects => match self.scene(case) {
                Ok(scene) => compare(expects, &self.evaluate(&scene, &case.settings)),
                Err(failures) => failures,
            },
        }
    }

    /// How the frames of a case are built.
    pub(super) fn stage<'c>(&self, case: &'c Case) -> Stage<'c>
    where
        'a: 'c,
    {
        Stage {
            catalog: &self.set.catalog,
            meta: self.meta,
            healthy: &self.test.healthy,
            every_s: case.every_s,
            history_s: case.history_s,
            previous: &case.previous,
            running: matches!(case.expects, Expects::Series(_)),
        }
    }

    /// What the rule sees in a case of one tick.
    pub(super) fn scene(&self, case: &Case) -> Result<Scene, Vec<String>> {
        let stage = self.stage(case);
        let earlier: Frames = stage.earlier(start());
        stage.scene(start(), &case.given, &earlier)
    }

    /// The outcome of one tick on its own, as production would have it.
    pub(super) fn evaluate(&self, scene: &Scene, settings: &BTreeMap<String, SettingValue>) -> Outcome {
        let outcomes = self.tick(scene, settings, &Book::default(), 60, true);
        outcomes.into_iter().next().map_or_else(|| Outcome::Error("the rule is gone".into()), |o| o.outcome)
    }

    /// One tick through the rule.
    pub(super) fn tick(
        &self,
        scene: &Scene,
        settings: &BTreeMap<String, SettingValue>,
        book: &Book,
        every_s: u64,
        evaluate_all: bool,
    ) -> Vec<RuleOutcome> {
        let overrides = [RuleOverride { settings: settings.clone(), enabled: Some(true), ..RuleOverride::default() }];
        self.set.evaluate(&TickInput {
            now: scene.now,
            every_s,
            snapshot: Arc::clone(&scene.snapshot),
            changes: Arc::clone(&scene.changes),
            past: Arc::clone(&scene.past),
            book,
            overrides: &overrides,
            packs: &BTreeSet::new(),
            evaluate_all,
        })
    }
}
