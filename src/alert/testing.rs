//! A small world for the tests of this room: one rule, one target, ticks a minute apart, an outbox that delivers when told.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::decide;
use crate::model::{
    Book, DecideConfig, Decision, Evaluation, Few, Finding, Held, Labels, Matchers, Missing, MissingReason, Outcome, Route, RuleMeta,
    RuleOutcome, Severity, Target, Told,
};

/// Monday morning.
pub fn start() -> DateTime<Utc> {
    "2026-01-05T10:00:00Z".parse().unwrap()
}

pub fn meta(id: &str) -> RuleMeta {
    RuleMeta {
        id: id.into(),
        title: format!("{id} happens"),
        category: "vacuum".into(),
        source: "test".into(),
        ..super::rule_unevaluable()
    }
}

pub fn table(name: &str) -> Labels {
    [("table", name)].into_iter().collect()
}

pub fn finding(table_name: &str, severity: Severity) -> Finding {
    Finding {
        subject: table(table_name),
        severity,
        summary: format!("{table_name} is {severity}"),
        detail: String::new(),
        evidence: vec![],
        actions: vec![],
        links: vec![],
    }
}

/// The rule reports these tables.
pub fn seen(tables: &[&str]) -> Outcome {
    Outcome::Ok(Evaluation { findings: tables.iter().map(|t| finding(t, Severity::Warning)).collect(), ..Evaluation::default() })
}

/// The rule could not judge these tables.
pub fn unsure(tables: &[&str]) -> Outcome {
    let held = tables.iter().map(|t| Held { subject: table(t), reason: "tables.dead is unknown".into() }).collect();
    Outcome::Ok(Evaluation { held, ..Evaluation::default() })
}

pub fn no_data() -> Outcome {
    Outcome::NoData(vec![("tables".into(), Missing::new(MissingReason::NoGrant, "no grant"))])
}

pub fn failed() -> Outcome {
    Outcome::Error("line 3: division by zero".into())
}

pub fn skipped(why: &str) -> Outcome {
    Outcome::Skipped(why.into())
}

pub fn matching(name: &str, value: &str) -> Matchers {
    Matchers(vec![crate::model::Matcher::is(name, vec![value.into()])])
}

pub struct World {
    pub rule: RuleMeta,
    pub config: DecideConfig,
    pub book: Book,
    pub now: DateTime<Utc>,
}

impl World {
    /// One rule `dead_rows` that fires at once; one channel `mail` with a dedup window of an hour.
    pub fn new() -> Self {
        let config = DecideConfig {
            target: Target { name: "orders-1".into(), cluster: None, labels: Labels::default() },
            every_s: 60,
            dedup_s: Some(3_600),
            unknown_after_s: 600,
            route: Route { channels: vec!["mail".into()], ..Route::default() },
            ..DecideConfig::default()
        };
        Self { rule: meta("dead_rows"), config, book: Book::default(), now: start() }
    }

    /// One evaluation now, then a minute goes by. Notices are put on their way.
    pub fn tick(&mut self, outcome: Outcome) -> Decision {
        let outcomes = [RuleOutcome { meta: Arc::new(self.rule.clone()), outcome }];
        self.tick_all(&outcomes)
    }

    pub fn tick_all(&mut self, outcomes: &[RuleOutcome]) -> Decision {
        let decision = decide(&self.book, outcomes, &self.config, self.now);
        self.book = decision.book.clone();
        for notice in decision.notices() {
            let told = Told {
                episode: notice.episode.clone(),
                kind: notice.kind,
                severity: notice.severity,
                queued_at: self.now,
                delivered_at: None,
            };
            Arc::make_mut(&mut self.book.told).entry(notice.fingerprint.clone()).or_default().insert(notice.channel.clone(), told);
        }
        self.now += TimeDelta::minutes(1);
        decision
    }

    /// The choices of the book as they stand.
    pub fn standing(&self) -> String {
        said(&Decision { book: self.book.clone(), ..Decision::default() })
    }

    /// The same, and the notices are delivered in the second after.
    pub fn tick_delivered(&mut self, outcome: Outcome) -> Decision {
        let queued = self.now;
        let decision = self.tick(outcome);
        self.deliver(queued + TimeDelta::seconds(1));
        decision
    }

    pub fn deliver(&mut self, at: DateTime<Utc>) {
        for told in Arc::make_mut(&mut self.book.told).values_mut().flat_map(Few::values_mut) {
            told.delivered_at.get_or_insert(at);
        }
    }

    /// Several evaluations; what each did.
    pub fn story(&mut self, outcomes: impl IntoIterator<Item = Outcome>) -> Vec<String> {
        outcomes.into_iter().map(|outcome| said(&self.tick_delivered(outcome))).collect()
    }

    /// The same without what channels were told.
    pub fn steps(&mut self, outcomes: impl IntoIterator<Item = Outcome>) -> Vec<String> {
        outcomes.into_iter().map(|outcome| moved(&self.tick_delivered(outcome)).join("; ")).collect()
    }
}

/// Transitions, then why states are held.
pub fn moved(decision: &Decision) -> Vec<String> {
    let steps = decision.transitions().map(|t| format!("{}>{} ({})", t.from, t.to, t.reason));
    let notes = standing(decision).into_iter().filter(|(_, channel, _)| channel.is_empty());
    steps.chain(notes.map(|(_, _, (_, reason))| format!("({reason})"))).collect()
}

/// A decision in one line: how alerts moved, then what each channel was told or why not, as it stands.
pub fn said(decision: &Decision) -> String {
    let choices = standing(decision).into_iter().filter(|(_, channel, _)| !channel.is_empty());
    let choices = choices.map(|(who, channel, (_, reason))| {
        let notice = decision.notices().find(|n| n.fingerprint == who && n.channel == channel);
        let sent = decision.records.iter().any(|r| r.fingerprint == who && r.channel.as_ref() == Some(&channel) && r.sent);
        assert_eq!(notice.is_some(), sent, "a record says what was done");
        // What was sent at an earlier tick stands in the alert until something else is chosen.
        format!("{channel}: {} ({reason})", notice.map_or("-", |n| n.kind.as_str()))
    });
    moved(decision).into_iter().chain(choices).collect::<Vec<_>>().join("; ")
}

type Standing = (crate::model::Fingerprint, String, (bool, crate::model::Reason));

/// The choices about all alerts that fire or have just ended.
fn standing(decision: &Decision) -> Vec<Standing> {
    let alerts = decision.book.alerts.values();
    let living = alerts.flat_map(|alert| {
        let shown = alert.choices.iter().filter(|(channel, _)| channel.is_empty() || alert.state == crate::model::State::Firing);
        shown.map(|(channel, choice)| (alert.fingerprint.clone(), channel.clone(), choice.clone())).collect::<Vec<_>>()
    });
    let over = decision.records.iter().filter(|r| !decision.book.alerts.contains_key(&r.fingerprint));
    let over = over.map(|r| (r.fingerprint.clone(), r.channel.clone().unwrap_or_default(), (r.sent, r.reason.clone())));
    living.chain(over).collect()
}
