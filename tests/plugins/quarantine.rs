//! A plugin that keeps failing, in virtual time: left alone for longer and longer, told of once, taken back when it works
//! or was changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use pgsteward::app::plugins::Plugins;
use pgsteward::app::setup;
use pgsteward::app::turn::{Basis, Wishes, turn};
use pgsteward::collect::metrics;
use pgsteward::model::{Book, ColumnData, Cost, DecideConfig, Decision, Frame, Outcome, Reading, Route, Snapshot, State, Target, Told};
use pgsteward::rules::RuleSet;
use pgsteward::rules::wasm::Plugin;
use pgsteward_sandbox::{Component, Engine, Limits};

use super::guest::{Finding, Guest, Rule, traps_at};

/// The number of dead rows at which the plugin breaks off.
const BAD: f64 = 666.0;
/// Seconds between two ticks.
const EVERY_S: i64 = 60;

/// A set with only this plugin's rules.
fn rules(version: &str, hash: &str) -> RuleSet {
    let guest = Guest { version, before: traps_at(BAD), ..Guest::finding(Finding::default()) };
    let patient = Rule { id: "other_rule", needs: &["tables.live"], ..Rule::default() };
    let other = Guest { id: "other", rules: vec![patient], ..Guest::finding(Finding::default()) };
    let engine = Engine::new().unwrap();
    let plugin = |guest: &Guest<'_>, hash: &str| Plugin {
        source: format!("plugin {} {}", guest.id, guest.version),
        hash: hash.into(),
        component: Ok(Component::from_component(&engine, &guest.component()).unwrap()),
        limits: Limits::DEFAULT,
        metrics: Vec::new(),
        metrics_granted: false,
        recorded: Vec::new(),
    };
    let loaded = setup::load_plugins(Plugins { plugins: vec![plugin(&guest, hash), plugin(&other, "o")], ..Plugins::default() });
    assert_eq!(loaded.problems, []);
    loaded.set
}

/// One target with a book; a person is told by `mail`.
struct World {
    rules: RuleSet,
    book: Book,
    config: DecideConfig,
    now: DateTime<Utc>,
}

impl World {
    fn new() -> Self {
        let config = DecideConfig {
            target: Target { name: "shop".into(), ..Target::default() },
            every_s: EVERY_S as u64,
            dedup_s: Some(30 * 86_400),
            // Only quarantine tells here, not patience that is at an end.
            unknown_after_s: 30 * 86_400,
            windows: Vec::new(),
            route: Route { channels: vec!["mail".into()], ..Route::default() },
            ..DecideConfig::default()
        };
        Self { rules: rules("1.0.0", "first"), book: Book::default(), config, now: DateTime::UNIX_EPOCH }
    }

    /// A tick that sees a table with so many dead rows: the plugin's outcome and what was decided.
    fn tick(&mut self, dead: f64) -> (Outcome, Decision) {
        self.now += TimeDelta::seconds(EVERY_S);
        let basis = Basis { snapshot: snapshot(self.now, dead), previous: BTreeMap::new(), past: Arc::default(), book: self.book.clone() };
        let (outcomes, decision) = turn(&basis, &self.rules, &Wishes::default(), &self.config);
        self.book = decision.book.clone();
        self.deliver(&decision);
        let of = |rule: &str| outcomes.iter().find(|outcome| outcome.meta.id == rule).unwrap().outcome.clone();
        assert!(matches!(of("other_rule"), Outcome::Ok(_)), "the other plugin goes on");
        (of("guest_rule"), decision)
    }

    /// Every notice reaches its channel at once.
    fn deliver(&mut self, decision: &Decision) {
        for notice in decision.notices() {
            let told = Told {
                episode: notice.episode.clone(),
                kind: notice.kind,
                severity: notice.severity,
                queued_at: self.now,
                delivered_at: Some(self.now),
            };
            Arc::make_mut(&mut self.book.told).entry(notice.fingerprint.clone()).or_default().insert(notice.channel.clone(), told);
        }
    }

    /// The outcome alone.
    fn outcome(&mut self, dead: f64) -> Outcome {
        self.tick(dead).0
    }

    fn state(&self, rule: &str) -> Option<(State, Option<&str>)> {
        let alert = self.book.alerts.values().find(|alert| alert.rule == rule)?;
        Some((alert.state, alert.held.as_deref()))
    }
}

fn snapshot(now: DateTime<Utc>, dead: f64) -> Arc<Snapshot> {
    let def = metrics::catalog().frame("tables").unwrap().clone();
    let text = |text: &str| ColumnData::Text(Arc::new([Some(text)].into_iter().collect()));
    let data = |name: &str, kind| match name {
        "database" | "schema" | "table" => text(name),
        "dead" => ColumnData::Float([dead].into()),
        "live" => ColumnData::Float([1000.0].into()),
        _ => ColumnData::unknown(kind, 1),
    };
    let columns = def.columns.iter().map(|column| data(&column.name, column.kind)).collect();
    let frame = Frame::new(def, now, columns).unwrap();
    Arc::new(Snapshot {
        form: Snapshot::FORM,
        target: Target { name: "shop".into(), ..Target::default() },
        taken_at: now,
        server: None,
        frames: BTreeMap::from([("tables".to_string(), Reading::Collected(Arc::new(frame)))]),
        cost: Cost::default(),
    })
}

/// What became of alerts about rules that cannot be judged.
fn steps(decision: &Decision) -> Vec<String> {
    let ours = decision.transitions().filter(|step| step.rule == "rule_unevaluable");
    ours.map(|step| format!("{} -> {}: {}", step.from, step.to, step.summary)).collect()
}

#[test]
fn it_is_tried_less_and_less_often_then_quarantined_and_told_of_once_until_it_works() {
    let mut world = World::new();
    assert!(matches!(world.outcome(1.0), Outcome::Ok(_)));
    assert_eq!(world.state("guest_rule"), Some((State::Firing, None)));
    let (mut tries, mut told) = (Vec::new(), Vec::new());
    for minute in 1..1_000 {
        let (outcome, decision) = world.tick(BAD);
        match outcome {
            Outcome::Error(reason) => {
                assert!(reason.starts_with("plugin `guest 1.0.0`: it broke off: "), "{reason}");
                tries.push(minute);
            }
            Outcome::Skipped(reason) => {
                let word = if tries.len() >= 10 { "quarantined" } else { "resting" };
                let start = format!("{word} after {} errors in a row until ", tries.len());
                assert!(reason.starts_with(&start) && reason.contains("plugin `guest 1.0.0`: it broke off"), "{reason}");
            }
            other => panic!("{other:?}"),
        }
        told.extend(steps(&decision).into_iter().map(|step| (minute, step)));
        let held = world.state("guest_rule").unwrap();
        assert!(held.0 == State::Firing && held.1.is_some(), "its alert is held all the while: {held:?}");
    }
    // 2, 4, 8, 16 and 32 minutes, then one hour, then six.
    assert_eq!(tries, [1, 2, 3, 5, 9, 17, 33, 65, 125, 185, 545, 905]);
    let summary = "rule `guest_rule` cannot be judged: plugin `guest 1.0.0`: it broke off: wasm `unreachable` instruction executed";
    assert_eq!(told, [(185, format!("inactive -> firing: {summary}"))]);
    assert_eq!(world.book.alerts.values().filter(|alert| alert.rule == "rule_unevaluable").count(), 1);
    let unevaluable = world.book.alerts.values().find(|alert| alert.rule == "rule_unevaluable").unwrap();
    assert_eq!(
        unevaluable.detail,
        "It failed 12 times in a row and is quarantined: it is tried again now and then, and at once when it is changed."
    );
    // What made it fail is gone; it finds out at its next try, and is as new.
    let mut resolved = Vec::new();
    for _ in 0..360 {
        let (outcome, decision) = world.tick(2.0);
        resolved.extend(steps(&decision));
        if matches!(outcome, Outcome::Ok(_)) {
            break;
        }
    }
    assert_eq!((resolved, world.state("rule_unevaluable")), (vec![format!("firing -> resolved: {summary}")], None));
    assert_eq!(world.state("guest_rule"), Some((State::Firing, None)));
    assert!([(); 3].into_iter().all(|()| matches!(world.outcome(BAD), Outcome::Error(_))), "three more before it rests again");
    assert!(matches!(world.outcome(BAD), Outcome::Skipped(_)));
}

#[test]
fn a_changed_one_is_tried_at_once_and_what_it_finds_counts() {
    let mut world = World::new();
    while !world.book.rules.get("guest_rule").is_some_and(|health| health.is_quarantined()) {
        world.tick(BAD);
    }
    assert!(matches!(world.outcome(1.0), Outcome::Skipped(_)));
    world.rules = rules("1.0.1", "second");
    let (outcome, decision) = world.tick(1.0);
    assert!(matches!(outcome, Outcome::Ok(_)), "{outcome:?}");
    let fired = decision.transitions().find(|transition| transition.rule == "guest_rule").unwrap();
    assert_eq!((fired.to, fired.rule_hash.as_str()), (State::Firing, "second"));
    assert_eq!(world.state("rule_unevaluable"), None);
}

#[test]
fn a_changed_one_that_still_fails_stays_in_quarantine() {
    let mut world = World::new();
    while !world.book.rules.get("guest_rule").is_some_and(|health| health.is_quarantined()) {
        world.tick(BAD);
    }
    world.rules = rules("1.0.1", "second");
    assert!(matches!(world.outcome(BAD), Outcome::Error(_)));
    assert!(matches!(world.outcome(BAD), Outcome::Skipped(_)));
    assert_eq!(world.state("rule_unevaluable").unwrap().0, State::Firing);
}
