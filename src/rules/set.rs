//! All loaded rules, and one tick through them: who is due, with which settings, and how each ended.
//!
//! Rules stand in the order of their ids, so that the same tick always gives the same list. Nothing here decides about
//! alerts; a rule that is not evaluated says why, and one that fails never stops the others.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::meta::check_setting;
use super::rest::resting;
use super::{Rule, RuleFile};
use crate::model::{
    Book, Catalog, Changes, Evaluation, Frame, Labels, MissingReason, Moment, Outcome, RuleInput, RuleMeta, RuleOutcome, RuleOverride,
    Settings, Severity, Snapshot, State, Target,
};

/// The pack of rules that a person wrote; always on.
pub const OWN_PACK: &str = "own";

/// A rule with the file it came from.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) rule: Arc<dyn Rule>,
    pub(super) meta: Arc<RuleMeta>,
    pub(super) file: Arc<RuleFile>,
    /// The frame of the metric that the rule brings.
    pub(super) brings: Option<String>,
}

impl Entry {
    pub(super) fn new(rule: Box<dyn Rule>, file: &Arc<RuleFile>, brings: Option<String>) -> Self {
        let rule: Arc<dyn Rule> = rule.into();
        Self { meta: Arc::new(rule.meta().clone()), rule, file: file.clone(), brings }
    }
}

/// All loaded rules and the frames that they may read.
#[derive(Debug, Clone, Default)]
pub struct RuleSet {
    pub(super) entries: BTreeMap<String, Entry>,
    pub(super) catalog: Catalog,
}

/// What one tick gives to the rules.
#[derive(Debug, Clone)]
pub struct TickInput<'a> {
    /// The tick's time.
    pub now: DateTime<Utc>,
    /// How far apart ticks are meant to be, in seconds: an interval is due half a tick early rather than a tick late.
    pub every_s: u64,
    /// What was seen.
    pub snapshot: Arc<Snapshot>,
    /// What counters did.
    pub changes: Arc<Changes>,
    /// Frames a window (in seconds) ago; see `RuleSet::windows`.
    pub past: Arc<BTreeMap<u64, BTreeMap<String, Arc<Frame>>>>,
    /// The book before the tick.
    pub book: &'a Book,
    /// Overrides of the config, in order.
    pub overrides: &'a [RuleOverride],
    /// Packs that are on, beside `OWN_PACK`.
    pub packs: &'a BTreeSet<String>,
    /// Whether rules are evaluated although their interval is not over.
    pub evaluate_all: bool,
}

impl RuleSet {
    /// The rules by id.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn Rule>> {
        self.entries.values().map(|entry| &entry.rule)
    }

    /// The rule of that id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Arc<dyn Rule>> {
        self.entries.get(id).map(|entry| &entry.rule)
    }

    /// How many rules there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no rule.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The frames that rules read a window ago, by window in seconds. Disabled rules count too: an override may switch
    /// them on for some target.
    #[must_use]
    pub fn windows(&self) -> BTreeMap<u64, BTreeSet<String>> {
        let mut windows: BTreeMap<u64, BTreeSet<String>> = BTreeMap::new();
        for input in self.entries.values().flat_map(|entry| &entry.meta.inputs) {
            if let Moment::Delta(seconds) | Moment::Ago(seconds) = input.moment {
                windows.entry(seconds).or_default().insert(input.frame.clone());
            }
        }
        windows
    }

    /// The frames that rules can read, those of custom metrics included.
    #[must_use]
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// The hash of each rule's text, by id.
    #[must_use]
    pub fn hashes(&self) -> BTreeMap<String, String> {
        self.entries.iter().map(|(id, entry)| (id.clone(), entry.meta.hash.clone())).collect()
    }

    /// One rule in one tick: how it ends, and what it is given, where it is evaluated at all.
    ///
    /// `None` when there is no such rule.
    #[must_use]
    pub fn judge(&self, id: &str, tick: &TickInput<'_>) -> Option<(RuleOutcome, Option<RuleInput>)> {
        let entry = self.entries.get(id)?;
        let subjects = Subjects::of(tick.book);
        let overrides = matching(tick.overrides, &tick.snapshot.target);
        let outcome = RuleOutcome { meta: entry.meta.clone(), outcome: evaluate(entry, tick, &overrides, &subjects) };
        let settings = settings_of(entry.rule.as_ref(), &about(&overrides, id)).ok();
        Some((outcome, settings.map(|settings| input(entry, tick, &subjects, settings))))
    }

    /// One tick through all rules.
    #[must_use]
    pub fn evaluate(&self, tick: &TickInput<'_>) -> Vec<RuleOutcome> {
        let subjects = Subjects::of(tick.book);
        let overrides = matching(tick.overrides, &tick.snapshot.target);
        let judge = |entry: &Entry| RuleOutcome { meta: entry.meta.clone(), outcome: evaluate(entry, tick, &overrides, &subjects) };
        self.entries.values().map(judge).collect()
    }
}

/// One rule of one tick.
fn evaluate(entry: &Entry, tick: &TickInput<'_>, overrides: &[&RuleOverride], subjects: &Subjects) -> Outcome {
    let meta = &entry.meta;
    let mine = about(overrides, &meta.id);
    if let Some(reason) = off(meta, &mine, tick.packs).or_else(|| not_due(meta, tick)) {
        return Outcome::Skipped(reason);
    }
    let settings = match settings_of(entry.rule.as_ref(), &mine) {
        Ok(settings) => settings,
        Err(reason) => return Outcome::Error(reason),
    };
    let health = tick.book.rules.get(&meta.id).filter(|_| meta.engine == "wasm" && !tick.evaluate_all);
    if let Some(reason) = resting(&meta.hash, health, tick.every_s, tick.now) {
        return Outcome::Skipped(reason);
    }
    let cap = mine.iter().find_map(|o| o.severity_at_most);
    lower(applicable(run(entry.rule.as_ref(), &input(entry, tick, subjects, settings))), cap)
}

fn input(entry: &Entry, tick: &TickInput<'_>, subjects: &Subjects, settings: Settings) -> RuleInput {
    let (firing, active) = subjects.of_rule(&entry.meta.id);
    RuleInput {
        now: tick.now,
        snapshot: tick.snapshot.clone(),
        changes: tick.changes.clone(),
        past: tick.past.clone(),
        firing,
        active,
        settings: Arc::new(settings),
    }
}

/// A frame that does not apply to this server (a standby's on a primary) proves that its subjects do not exist: that is
/// an answer, and resolves what was said of them before the server changed its role.
fn applicable(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::NoData(inputs) if inputs.iter().all(|(_, missing)| missing.reason == MissingReason::NotApplicable) => {
            Outcome::Ok(Evaluation::default())
        }
        other => other,
    }
}

/// The last resort: an engine that panics costs its rule one tick, never the program.
fn run(rule: &dyn Rule, input: &RuleInput) -> Outcome {
    catch_unwind(AssertUnwindSafe(|| rule.evaluate(input)))
        .unwrap_or_else(|_| Outcome::Error(format!("`{}` broke off inside its engine; please report it", rule.meta().id)))
}

fn off(meta: &RuleMeta, overrides: &[&RuleOverride], packs: &BTreeSet<String>) -> Option<String> {
    let said = overrides.iter().find(|o| o.enabled.is_some());
    let why = said.and_then(|o| o.why.as_ref()).map_or(String::new(), |why| format!(": {why}"));
    match said.and_then(|o| o.enabled) {
        Some(true) => None,
        Some(false) => Some(format!("{}{why}", Outcome::DISABLED)),
        None if !meta.enabled => Some(Outcome::DISABLED.into()),
        None if meta.pack != OWN_PACK && !packs.contains(&meta.pack) => Some(format!("{}: pack `{}` is off", Outcome::DISABLED, meta.pack)),
        None => None,
    }
}

fn not_due(meta: &RuleMeta, tick: &TickInput<'_>) -> Option<String> {
    if tick.evaluate_all || meta.interval_s == 0 {
        return None;
    }
    let last = tick.book.rules.get(&meta.id)?.last_ok?;
    let seconds = meta.interval_s.min(u64::from(u32::MAX)) as i64;
    let slack = TimeDelta::milliseconds(tick.every_s.min(u64::from(u32::MAX)) as i64 * 500);
    (tick.now - last < TimeDelta::seconds(seconds) - slack).then(|| Outcome::NOT_DUE.into())
}

fn lower(outcome: Outcome, cap: Option<Severity>) -> Outcome {
    match (outcome, cap) {
        (Outcome::Ok(mut evaluation), Some(cap)) => {
            evaluation.findings.iter_mut().for_each(|finding| finding.severity = finding.severity.min(cap));
            Outcome::Ok(evaluation)
        }
        (outcome, _) => outcome,
    }
}

/// A rule's settings: its defaults, and for each key the first override that names it. Keys that the rule does not
/// declare are for other rules.
///
/// # Errors
/// When a value is not legal, or legal values do not fit each other.
pub(super) fn settings_of(rule: &dyn Rule, overrides: &[&RuleOverride]) -> Result<Settings, String> {
    let mut settings = Settings::default();
    for def in &rule.meta().settings {
        let set = overrides.iter().find_map(|o| o.settings.get(&def.name));
        if let Some(value) = set {
            check_setting(def, value).map_err(|reason| format!("override refused: {reason}"))?;
        }
        settings.0.insert(def.name.clone(), set.unwrap_or(&def.default).clone());
    }
    rule.check_settings(&settings)?;
    Ok(settings)
}

/// The settings that a rule has on a target, as a tick gives them.
///
/// # Errors
/// When a value is not legal, or legal values do not fit each other.
pub fn settings_on(target: &Target, rule: &dyn Rule, overrides: &[RuleOverride]) -> Result<Settings, String> {
    settings_of(rule, &about(&matching(overrides, target), &rule.meta().id))
}

/// The override that a setting of a rule has its value from, and its number in the config's list, from 0.
#[must_use]
pub fn set_by<'a>(target: &Target, rule: &str, overrides: &'a [RuleOverride], setting: &str) -> Option<(usize, &'a RuleOverride)> {
    let mine = about(&matching(overrides, target), rule).into_iter().find(|o| o.settings.contains_key(setting))?;
    overrides.iter().enumerate().find(|(_, over)| std::ptr::eq(*over, mine))
}

/// Those of the overrides that are about a rule.
fn about<'a>(overrides: &[&'a RuleOverride], id: &str) -> Vec<&'a RuleOverride> {
    overrides.iter().copied().filter(|o| o.rule.as_ref().is_none_or(|rule| rule == id)).collect()
}

/// The overrides for a target, in order.
fn matching<'a>(overrides: &'a [RuleOverride], target: &Target) -> Vec<&'a RuleOverride> {
    let mut labels = target.labels.clone();
    labels.set("target", target.name.clone());
    if let Some(cluster) = &target.cluster {
        labels.set("cluster", cluster.clone());
    }
    overrides.iter().filter(|o| o.matchers.matches(&labels)).collect()
}

/// The subjects in the book, by rule.
struct Subjects {
    by_rule: BTreeMap<String, Shared>,
    none: Arc<Vec<Labels>>,
}

/// Subjects that are firing or recovering, and all.
type Shared = (Arc<Vec<Labels>>, Arc<Vec<Labels>>);

impl Subjects {
    fn of(book: &Book) -> Self {
        let mut lists: BTreeMap<&str, (Vec<Labels>, Vec<Labels>)> = BTreeMap::new();
        for alert in book.alerts.values() {
            let (firing, active) = lists.entry(&alert.rule).or_default();
            if matches!(alert.state, State::Firing | State::Recovering) {
                firing.push(alert.subject.clone());
            }
            active.push(alert.subject.clone());
        }
        let shared =
            |(rule, (firing, active)): (&str, (Vec<Labels>, Vec<Labels>))| (rule.to_string(), (Arc::new(firing), Arc::new(active)));
        Self { by_rule: lists.into_iter().map(shared).collect(), none: Arc::default() }
    }

    fn of_rule(&self, id: &str) -> Shared {
        self.by_rule.get(id).cloned().unwrap_or_else(|| (self.none.clone(), self.none.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Coverage, Matcher, Matchers, RuleHealth, SettingDef, SettingValue, Unit};
    use crate::rules::check_overrides;
    use crate::rules::fixtures::{at, catalog, meta, tables};

    /// A rule that finds what its settings say, or breaks off.
    #[derive(Debug)]
    struct Probe(RuleMeta);

    impl Rule for Probe {
        fn meta(&self) -> &RuleMeta {
            &self.0
        }

        fn evaluate(&self, input: &RuleInput) -> Outcome {
            assert!(self.0.id != "broken", "on purpose");
            let severity = Severity::Critical;
            let summary = format!("{:?}", input.settings.number("factor"));
            let finding = crate::model::Finding {
                subject: Labels::default(),
                severity,
                summary,
                detail: String::new(),
                evidence: Vec::new(),
                actions: Vec::new(),
                links: Vec::new(),
            };
            Outcome::Ok(crate::model::Evaluation { findings: vec![finding], held: Vec::new(), unknown: 0 })
        }

        fn check_settings(&self, settings: &Settings) -> Result<(), String> {
            if settings.number("factor") == Some(13.0) { Err("13 never works".into()) } else { Ok(()) }
        }
    }

    fn set(ids: &[&str]) -> RuleSet {
        let file = Arc::new(RuleFile { path: "r.yaml".into(), text: String::new(), pack: None });
        let mut set = RuleSet { catalog: catalog(), ..RuleSet::default() };
        for id in ids {
            let factor = SettingDef {
                name: "factor".into(),
                default: SettingValue::Number(2.0),
                range: Some((1.0, 50.0)),
                unit: Unit::Times,
                doc: String::new(),
            };
            let meta = RuleMeta {
                id: (*id).into(),
                pack: if *id == "linty" { "lint".into() } else { "page".into() },
                enabled: *id != "sleeping",
                settings: vec![factor],
                ..meta()
            };
            set.entries.insert((*id).into(), Entry::new(Box::new(Probe(meta)), &file, None));
        }
        set
    }

    fn over(rule: Option<&str>) -> RuleOverride {
        RuleOverride { rule: rule.map(Into::into), ..RuleOverride::default() }
    }

    fn factor(rule: Option<&str>, value: f64) -> RuleOverride {
        RuleOverride { settings: BTreeMap::from([("factor".into(), SettingValue::Number(value))]), ..over(rule) }
    }

    fn evaluate(set: &RuleSet, overrides: &[RuleOverride], last_ok_s: Option<i64>) -> Vec<String> {
        let mut book = Book::default();
        for id in set.entries.keys() {
            book.rules.insert(id.clone(), RuleHealth { last_ok: last_ok_s.map(at), ..RuleHealth::default() });
        }
        let tick = TickInput {
            now: at(1000),
            every_s: 60,
            snapshot: tables(&[], Coverage::default()),
            changes: Arc::default(),
            past: Arc::default(),
            book: &book,
            overrides,
            packs: &BTreeSet::from(["page".to_string()]),
            evaluate_all: false,
        };
        let shown = |outcome: &RuleOutcome| match &outcome.outcome {
            Outcome::Ok(evaluation) => format!("{} {}", evaluation.findings[0].severity, evaluation.findings[0].summary),
            other => other.reason(),
        };
        set.evaluate(&tick).iter().map(|o| format!("{}: {}", o.meta.id, shown(o))).collect()
    }

    #[test]
    fn a_rule_that_is_not_evaluated_says_why() {
        let set = set(&["broken", "linty", "sleeping", "works"]);
        assert_eq!(
            evaluate(&set, &[], None),
            [
                "broken: `broken` broke off inside its engine; please report it",
                "linty: disabled: pack `lint` is off",
                "sleeping: disabled",
                "works: critical Some(2.0)",
            ]
        );
    }

    #[test]
    fn a_rule_is_due_half_a_tick_early_rather_than_a_tick_late() {
        let set = set(&["works"]);
        assert_eq!(evaluate(&set, &[], Some(731)), ["works: not due"]);
        assert_eq!(evaluate(&set, &[], Some(730)), ["works: critical Some(2.0)"]);
    }

    #[test]
    fn the_first_override_of_a_key_wins_and_only_on_its_targets() {
        let set = set(&["linty", "works"]);
        let elsewhere = RuleOverride { matchers: Matchers(vec![Matcher::is("tier", vec!["dev".into()])]), ..factor(None, 9.0) };
        let here = RuleOverride { matchers: Matchers(vec![Matcher::is("target", vec!["orders-1".into()])]), ..factor(None, 4.0) };
        let on = RuleOverride { enabled: Some(true), severity_at_most: Some(Severity::Info), ..over(Some("linty")) };
        let off = RuleOverride { enabled: Some(false), why: Some("DBA-311".into()), ..over(Some("works")) };
        assert_eq!(
            evaluate(&set, &[elsewhere, here, factor(None, 5.0), on, off], None),
            ["linty: info Some(4.0)", "works: disabled: DBA-311"]
        );
    }

    #[test]
    fn settings_that_are_not_legal_are_an_error_of_their_rule() {
        let set = set(&["works"]);
        assert_eq!(evaluate(&set, &[factor(None, 99.0)], None), ["works: override refused: `factor` must be 1 x to 50 x, not 99 x"]);
        assert_eq!(evaluate(&set, &[factor(None, 13.0)], None), ["works: 13 never works"]);
    }

    #[test]
    fn overrides_are_checked_before_they_are_used() {
        let set = set(&["works"]);
        let mut typo = factor(Some("works"), 4.0);
        typo.settings = BTreeMap::from([("facter".into(), SettingValue::Number(4.0))]);
        let overrides = [over(Some("work")), typo, factor(None, 99.0), factor(Some("works"), 13.0), factor(None, 4.0)];
        let problems: Vec<String> = check_overrides(&set, &overrides, "c.yaml").iter().map(ToString::to_string).collect();
        assert_eq!(
            problems,
            [
                "c.yaml: error: there is no rule `work`; did you mean `works`?",
                "c.yaml: error: rule `works` has no setting `facter`; did you mean `factor`?",
                "c.yaml: error: rule `works`: `factor` must be 1 x to 50 x, not 99 x",
                "c.yaml: error: rule `works`: 13 never works",
            ]
        );
    }
}
