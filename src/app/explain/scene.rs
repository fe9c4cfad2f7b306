//! The stored tick that was in force, cut down to what the rule reads, and the rule judged on it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::{Result, bail};
use chrono::{DateTime, Utc};
use serde::Serialize;

use super::life::Life;
use super::{Overview, Question, RulePart, Sources, SubjectLine, Unrouted, unrouted};
use crate::alert;
use crate::app::tick::basis;
use crate::app::turn::{Basis, Wishes};
use crate::app::{drill, setup};
use crate::model::{
    Alert, Book, Catalog, Changes, DecideConfig, Evaluation, Frame, Labels, Moment, Outcome, RuleInput, RuleMeta, RuleOutcome,
    RuleOverride, Severity, Snapshot, State, Target,
};
use crate::rules::{Facts, Rule, TickInput};
use crate::store::{EpisodeFilter, Store};
use crate::text::safe;

/// What a rule says of one subject of one tick.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum Verdict {
    /// It finds a problem.
    Found {
        /// How bad.
        severity: Severity,
        /// One line.
        summary: String,
    },
    /// It could tell, and finds nothing.
    Quiet,
    /// There is no such object, and it would be seen if there were.
    Absent,
    /// It cannot tell.
    CannotTell {
        /// Since when, where that is known.
        since: Option<DateTime<Utc>>,
        /// Why.
        reason: String,
        /// What mends it.
        remedy: Option<String>,
    },
    /// It is not evaluated.
    Off {
        /// Why.
        reason: String,
    },
    /// The tick is not kept any more, or the rule is gone: only the records speak.
    RecordsOnly {
        /// Why.
        reason: String,
    },
}

/// The stored tick with all that is needed to judge the rule on it.
pub(super) struct Scene<'a> {
    pub(super) at: DateTime<Utc>,
    /// Whether the present is explained.
    pub(super) is_now: bool,
    pub(super) rule: RulePart,
    pub(super) meta: Option<&'a RuleMeta>,
    engine: Option<&'a Arc<dyn Rule>>,
    from: &'a Sources<'a>,
    pub(super) target: Target,
    pub(super) wishes: Wishes,
    pub(super) decide: DecideConfig,
    /// Cut down to the frames that the rule reads; `None` when the tick is not kept.
    pub(super) snapshot: Option<Arc<Snapshot>>,
    basis: Option<Basis>,
    /// Living alerts of the rule on the target.
    pub(super) alerts: Vec<Alert>,
    pub(super) notes: Vec<String>,
    /// The rule judged with the alerts that live now.
    pub(super) first: Judged<'a>,
}

/// One judgement of the rule.
#[derive(Clone, Default)]
pub(super) struct Judged<'a> {
    pub(super) outcome: Option<RuleOutcome>,
    pub(super) input: Option<RuleInput>,
    pub(super) engine: Option<&'a Arc<dyn Rule>>,
}

impl<'a> Scene<'a> {
    pub(super) fn open(from: &'a Sources<'a>, question: &Question<'_>, target: &str) -> Result<Self> {
        let engine = from.rules.get(question.rule);
        let mut alerts = from.store.alerts(Some(target))?;
        alerts.retain(|alert| alert.rule == question.rule);
        if engine.is_none() && alerts.is_empty() && past_subjects(from.store, target, question.rule)?.is_empty() {
            if is_own(question.rule) {
                bail!("`{}` never had an alert on `{}`", question.rule, safe(target));
            }
            let near = Catalog::nearest(from.rules.iter().map(|rule| rule.meta().id.as_str()), question.rule);
            bail!("there is no rule `{}`{}", safe(question.rule), near.map_or(String::new(), |near| format!("; did you mean `{near}`?")));
        }
        let at = question.at.unwrap_or(from.now);
        let whole = from.store.tick_before(target, at)?;
        let whole = if question.at.is_none() { from.store.latest(target)?.or(whole) } else { whole };
        let meta = engine.map(|rule| rule.meta());
        let who = whole.as_ref().map_or_else(|| Target { name: target.into(), ..Target::default() }, |snapshot| snapshot.target.clone());
        let (wishes, decide) = setup::wants(from.config, &who);
        let snapshot = whole.zip(meta).map(|(snapshot, meta)| Arc::new(cut(snapshot, meta)));
        let basis = snapshot.clone().zip(meta).map(|(snapshot, meta)| of_rule(from.store, snapshot, meta)).transpose()?;
        let rule = meta.map_or_else(|| gone(question.rule, &alerts), RulePart::of);
        let mut scene = Self {
            at,
            is_now: question.at.is_none(),
            rule,
            meta,
            engine,
            from,
            target: who,
            wishes,
            decide,
            snapshot,
            basis,
            alerts,
            notes: Vec::new(),
            first: Judged::default(),
        };
        scene.first = scene.judge_with(&scene.firing_now(), None, &scene.wishes.overrides);
        scene.notes = scene.limits()?;
        Ok(scene)
    }

    /// What limits any answer.
    fn limits(&self) -> Result<Vec<String>> {
        let mut notes = Vec::new();
        if self.from.config.is_none() {
            notes.push("without `--config` the settings, packs and routes are the default ones".into());
        }
        if self.snapshot.is_none() && self.meta.is_some() {
            let first = self.from.store.first_tick_at(&self.target.name)?;
            let kept = first.map_or("none is kept".into(), |first| format!("the oldest that is kept is of {}", first.format("%F %TZ")));
            notes.push(format!("no tick of that time is kept ({kept}): only the records speak"));
        }
        Ok(notes)
    }

    /// Whether the rule is about the server as a whole, or about the one row of a frame.
    pub(super) fn has_one_subject(&self) -> bool {
        let from = self.meta.and_then(|meta| meta.from.as_deref());
        from.is_none_or(|name| self.from.rules.catalog().frame(name).is_some_and(|def| def.key.is_empty()))
    }

    /// The frame whose rows are the rule's subjects.
    pub(super) fn frame(&self) -> Option<&Arc<Frame>> {
        self.snapshot.as_ref()?.frame(self.meta?.from.as_deref()?)
    }

    /// Whether the frame with the rule's subjects is not there, so that nobody can be found in it.
    pub(super) fn is_blind(&self) -> bool {
        self.meta.is_some_and(|meta| meta.from.is_some()) && self.frame().is_none()
    }

    /// What that frame does not show.
    pub(super) fn gaps(&self) -> Vec<String> {
        let Some(coverage) = self.frame().map(|frame| &frame.coverage) else { return Vec::new() };
        let top = coverage.top.map(|n| format!("only the first {n} rows were collected"));
        let databases = coverage.without_databases.iter().map(|(name, why)| format!("database `{name}` could not be read: {why}"));
        let relations = coverage.without_relations.iter().map(|name| format!("`{name}` was locked"));
        top.into_iter().chain(databases).chain(relations).take(GAPS).collect()
    }

    fn firing_now(&self) -> Vec<Labels> {
        let before = self.snapshot.as_ref().map_or(self.at, |snapshot| snapshot.taken_at);
        let fires = |alert: &&Alert| alert.fired_at.is_some_and(|fired| fired < before);
        self.alerts.iter().filter(fires).map(|alert| alert.subject.clone()).collect()
    }

    /// The rule judged as it was for this subject: whether it fired already decides which limit holds. It counts as having an
    /// alert, so that the rule says why it could not judge it, if so.
    pub(super) fn judge(&self, life: Option<&Life>, subject: &Labels) -> Judged<'a> {
        let mut firing = self.firing_now();
        let fired = life.is_some_and(|life| self.snapshot.as_ref().is_some_and(|snapshot| life.fired_before(snapshot.taken_at)));
        firing.retain(|other| other != subject);
        firing.extend(fired.then(|| subject.clone()));
        self.judge_with(&firing, Some(subject), &self.wishes.overrides)
    }

    /// The same judgement with other overrides.
    pub(super) fn judge_again(&self, judged: &Judged<'a>, overrides: &[RuleOverride]) -> Judged<'a> {
        let firing = judged.input.as_ref().map_or_else(|| self.firing_now(), |input| input.firing.to_vec());
        self.judge_with(&firing, None, overrides)
    }

    fn judge_with(&self, firing: &[Labels], active: Option<&Labels>, overrides: &[RuleOverride]) -> Judged<'a> {
        let Some((basis, meta)) = self.basis.as_ref().zip(self.meta) else { return Judged::default() };
        let book = book_of(meta, &self.target.name, firing, active);
        let tick = TickInput {
            now: basis.snapshot.taken_at,
            every_s: self.decide.every_s,
            snapshot: basis.snapshot.clone(),
            changes: Arc::new(Changes::between(&basis.previous, &basis.snapshot)),
            past: basis.past.clone(),
            book: &book,
            overrides,
            packs: &self.wishes.packs,
            evaluate_all: true,
        };
        let (outcome, input) = self.from.rules.judge(&meta.id, &tick).unzip();
        Judged { outcome, input: input.flatten(), engine: self.engine }
    }

    /// Subjects of the rule's latest episodes, those of objects that are gone among them.
    pub(super) fn past(&self) -> Result<Vec<Labels>> {
        past_subjects(self.from.store, &self.target.name, &self.rule.id)
    }

    /// Channels that a new alert of a subject would be told to, and those that other routes lead to.
    pub(super) fn ways(&self, subject: &Labels, life: Option<&Life>) -> (Vec<String>, Vec<Unrouted>) {
        let Some(meta) = self.meta else { return (Vec::new(), Vec::new()) };
        let found = self.first.evaluation().and_then(|ok| ok.findings.iter().find(|finding| finding.subject == *subject));
        let severity = found.map(|finding| finding.severity).or(life.map(|life| life.severity));
        let severity = severity.unwrap_or_else(|| meta.default_severity());
        let sample = drill::sample(meta, subject, severity, &self.decide, self.at);
        let told: BTreeSet<String> = sample.notices().map(|notice| notice.channel).collect();
        let refused = sample.records.iter().filter(|record| !record.sent);
        let refused = refused.filter_map(|record| Some(Unrouted { channel: record.channel.clone()?, why: record.reason.to_string() }));
        let mut untold: Vec<Unrouted> = refused.collect();
        let known: BTreeSet<&str> = told.iter().map(String::as_str).chain(untold.iter().map(|other| other.channel.as_str())).collect();
        let own = sample.book.alerts.get(&alert::fingerprint(&meta.id, &self.target.name, subject));
        let unrouted = own.map(|alert| unrouted::of(&self.decide.route, alert, &self.target, &known)).unwrap_or_default();
        let told = told.into_iter().collect();
        untold.extend(unrouted);
        (told, untold)
    }

    /// The answer when no subject was named.
    pub(super) fn overview(&self, store: &Store) -> Result<Overview> {
        let ok = self.first.evaluation();
        let line = |alert: &Alert| SubjectLine {
            subject: alert.subject.clone(),
            severity: alert.severity,
            state: Some(alert.state),
            summary: alert.summary.clone(),
        };
        let mut subjects: Vec<SubjectLine> = self.alerts.iter().map(line).collect();
        for finding in ok.iter().flat_map(|ok| &ok.findings) {
            if subjects.iter().all(|known| known.subject != finding.subject) {
                let (severity, summary) = (finding.severity, finding.summary.clone());
                subjects.push(SubjectLine { subject: finding.subject.clone(), severity, state: None, summary });
            }
        }
        subjects.sort_by(|a, b| (b.severity, &a.subject).cmp(&(a.severity, &b.subject)));
        Ok(Overview {
            rule: self.rule.clone(),
            target: self.target.name.clone(),
            tick: self.snapshot.as_ref().map(|snapshot| snapshot.taken_at),
            verdict: self.first.dated(self, store)?,
            subjects,
            rows: self.frame().map_or(0, |frame| frame.rows),
            unknown: ok.map_or(0, |ok| ok.unknown),
            gaps: self.gaps(),
        })
    }
}

impl Judged<'_> {
    fn evaluation(&self) -> Option<&Evaluation> {
        match &self.outcome.as_ref()?.outcome {
            Outcome::Ok(evaluation) => Some(evaluation),
            _ => None,
        }
    }

    /// How bad it finds the subject; `None` when it finds nothing.
    pub(super) fn severity_of(&self, subject: &Labels) -> Option<Severity> {
        Some(self.evaluation()?.findings.iter().find(|finding| finding.subject == *subject)?.severity)
    }

    /// What its engine makes of the subject, where it can look at one by itself.
    pub(super) fn facts(&self, subject: &Labels) -> Option<Facts> {
        self.engine?.facts(self.input.as_ref()?, subject)
    }

    /// A word about a judgement that cannot be looked into.
    pub(super) fn opaque(&self) -> Option<String> {
        let is_plugin = self.input.is_some() && self.engine?.meta().engine == "wasm";
        is_plugin.then(|| "a plugin judges: what it reads, its `where` and what it reports are seen, its own reasoning is not".into())
    }

    /// What is said in its finding about the subject, else in the alert: what there is to show of other engines.
    pub(super) fn said(&self, scene: &Scene<'_>, subject: &Labels) -> Option<Facts> {
        let finding = self.evaluation().and_then(|ok| ok.findings.iter().find(|finding| finding.subject == *subject));
        let living = scene.alerts.iter().filter(|_| scene.is_now).find(|alert| alert.subject == *subject);
        let evidence = finding.map(|finding| &finding.evidence).or(living.map(|alert| &alert.evidence))?.clone();
        Some(Facts { found: Some(true), conditions: Vec::new(), evidence })
    }

    /// What it says of a subject.
    pub(super) fn verdict(&self, scene: &Scene<'_>, subject: &Labels, life: Option<&Life>, facts: Option<&Facts>) -> Result<Verdict> {
        let store = scene.from.store;
        let Some(ok) = self.evaluation() else { return self.dated(scene, store) };
        if let Some(found) = ok.findings.iter().find(|finding| finding.subject == *subject) {
            return Ok(Verdict::Found { severity: found.severity, summary: found.summary.clone() });
        }
        let cannot = |reason: String| Verdict::CannotTell { since: None, reason, remedy: None };
        // What holds an alert leaves a subject without one quiet, as long as the rule can tell.
        let is_open = life.is_some_and(Life::is_open) || facts.is_none_or(|facts| facts.found.is_none());
        if let Some(held) = ok.held.iter().find(|held| is_open && held.subject == *subject) {
            return Ok(cannot(held.reason.clone()));
        }
        let there = subject.is_empty() || scene.frame().is_none_or(|frame| frame.index().contains_key(subject));
        if !there {
            let gap = scene.frame().and_then(|frame| frame.coverage.gap_for(subject));
            return Ok(gap.map_or(Verdict::Absent, cannot));
        }
        Ok(match facts {
            Some(Facts { found: None, .. }) => cannot("one of its values is unknown".into()),
            _ => Verdict::Quiet,
        })
    }

    /// The same with the time since when it cannot tell.
    fn dated(&self, scene: &Scene<'_>, store: &Store) -> Result<Verdict> {
        Ok(match self.as_a_whole(scene) {
            Verdict::CannotTell { reason, remedy, .. } => Verdict::CannotTell { since: unknown_since(store, scene)?, reason, remedy },
            other => other,
        })
    }

    fn as_a_whole(&self, scene: &Scene<'_>) -> Verdict {
        let Some(ended) = &self.outcome else {
            let reason = match scene.meta {
                Some(_) => "the tick is not kept any more",
                None if is_own(&scene.rule.id) => "it is one of the program's own rules, which look at no snapshot",
                None => "the rule is not among the rules of now",
            };
            return Verdict::RecordsOnly { reason: reason.into() };
        };
        match &ended.outcome {
            Outcome::Ok(evaluation) => match evaluation.findings.iter().max_by_key(|finding| finding.severity) {
                Some(worst) => Verdict::Found { severity: worst.severity, summary: worst.summary.clone() },
                None => Verdict::Quiet,
            },
            Outcome::NoData(inputs) => {
                let remedy = inputs.iter().find_map(|(_, missing)| missing.remedy.clone());
                Verdict::CannotTell { since: None, reason: ended.outcome.reason(), remedy }
            }
            Outcome::Error(reason) => Verdict::CannotTell { since: None, reason: reason.clone(), remedy: None },
            Outcome::Skipped(reason) => Verdict::Off { reason: reason.clone() },
        }
    }
}

/// Since when the rule has not come to an end, by how it ended before that time.
fn unknown_since(store: &Store, scene: &Scene<'_>) -> Result<Option<DateTime<Utc>>> {
    let mut rulings = store.rulings(&scene.target.name, &scene.rule.id)?;
    rulings.retain(|ruling| ruling.at <= scene.at);
    let ended = |outcome: &str| matches!(outcome, "ok" | "skipped");
    Ok(rulings.iter().rev().take_while(|ruling| !ended(&ruling.verdict.outcome)).last().map(|ruling| ruling.at))
}

/// Whether the program made the rule itself.
fn is_own(rule: &str) -> bool {
    [alert::RULE_UNEVALUABLE, alert::CHANNEL_UNHEALTHY, alert::TARGET_UNUSABLE, alert::HEARTBEAT_OVERDUE].contains(&rule)
}

fn gone(rule: &str, alerts: &[Alert]) -> RulePart {
    let title = alerts.first().map(|alert| alert.title.clone()).unwrap_or_default();
    RulePart { id: rule.into(), title, source: String::new(), hash: String::new(), for_s: 0, keep_firing_for_s: 0 }
}

/// The snapshot with only the frames that the rule reads.
fn cut(mut snapshot: Snapshot, meta: &RuleMeta) -> Snapshot {
    snapshot.frames.retain(|name, _| meta.inputs.iter().any(|input| input.frame == *name) || meta.from.as_ref() == Some(name));
    snapshot
}

/// All that the rule may read in the tick.
fn of_rule(store: &Store, snapshot: Arc<Snapshot>, meta: &RuleMeta) -> Result<Basis> {
    let mut windows: BTreeMap<u64, BTreeSet<String>> = BTreeMap::new();
    for input in &meta.inputs {
        if let Moment::Delta(window) | Moment::Ago(window) = input.moment {
            windows.entry(window).or_default().insert(input.frame.clone());
        }
    }
    Ok(basis(store, snapshot, Book::default(), &windows)?)
}

/// A book in which just these subjects fire; one that is active may be about to.
fn book_of(meta: &RuleMeta, target: &str, firing: &[Labels], active: Option<&Labels>) -> Book {
    let alert = |(subject, state): (&Labels, State)| {
        let fingerprint = alert::fingerprint(&meta.id, target, subject);
        let alert = Alert { fingerprint: fingerprint.clone(), rule: meta.id.clone(), subject: subject.clone(), state, ..Alert::default() };
        (fingerprint, Arc::new(alert))
    };
    let pending = active.filter(|subject| !firing.contains(subject)).map(|subject| (subject, State::Pending));
    let all = firing.iter().map(|subject| (subject, State::Firing)).chain(pending);
    Book { alerts: all.map(alert).collect(), ..Book::default() }
}

fn past_subjects(store: &Store, target: &str, rule: &str) -> Result<Vec<Labels>> {
    let filter = EpisodeFilter { target: Some(target.into()), rule: Some(rule.into()), limit: Some(EPISODES), ..EpisodeFilter::default() };
    let mut subjects: Vec<Labels> = store.episodes(&filter)?.into_iter().map(|episode| episode.subject).collect();
    subjects.sort();
    subjects.dedup();
    Ok(subjects)
}

/// Gaps of a frame that are told.
const GAPS: usize = 8;
/// Episodes that are looked through for a name.
const EPISODES: usize = 500;
