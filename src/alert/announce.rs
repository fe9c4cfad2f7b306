//! Which channels are told of one alert: suppress, route, dedup, each choice recorded.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::facts::Facts;
use super::lifecycle::Life;
use super::{dedup, notice, route, suppress};
use crate::model::{Book, DecideConfig, Decision, DecisionRecord, NoticeKind, Reason, State, Told};

/// Adds the notices and records of one alert to the decision, and notes in the alert what keeps its notices back.
pub(super) fn announce(life: &mut Life<'_>, book: &Book, config: &DecideConfig, now: DateTime<Utc>, decision: &mut Decision) {
    // Pending has no notices, and neither has what went away before it fired.
    if !matches!(life.alert.state, State::Firing | State::Recovering | State::Resolved) {
        return;
    }
    let facts = Facts { alert: &life.alert, meta: life.meta, target: &config.target };
    let kept_back = suppress::keeps_back(&facts, config, now);
    let told = told(life, book);
    let mut desk = Desk { facts, config, now, decision };
    match desk.facts.alert.state {
        State::Firing => desk.firing(&told, kept_back.as_ref()),
        State::Resolved => desk.resolved(&told),
        _ => {}
    }
    life.alert.suppressed_by = kept_back.map(|kept_back| kept_back.by);
}

/// What channels were told of the firing in this episode.
fn told<'a>(life: &Life<'_>, book: &'a Book) -> BTreeMap<&'a str, &'a Told> {
    let all = book.told.get(&life.alert.fingerprint).into_iter().flatten();
    let of_this = all.filter(|(_, told)| told.episode == life.alert.episode && told.kind != NoticeKind::Resolved);
    of_this.map(|(channel, told)| (channel.as_str(), told)).collect()
}

struct Desk<'a> {
    facts: Facts<'a>,
    config: &'a DecideConfig,
    now: DateTime<Utc>,
    decision: &'a mut Decision,
}

impl Desk<'_> {
    fn firing(&mut self, told: &BTreeMap<&str, &Told>, kept_back: Option<&suppress::Suppression>) {
        let destinations = route::destinations(&self.facts, self.config);
        for to in &destinations {
            let choice = match kept_back {
                Some(kept_back) => (None, kept_back.reason.clone()),
                None => dedup::firing(self.facts.alert, told.get(to.channel).copied(), to.repeat_s, self.now),
            };
            self.choose(to.channel, choice);
        }
        if destinations.is_empty() {
            self.record(None, false, Reason::NotRouted);
        }
    }

    /// The end goes to who was told of the beginning, whatever routes and windows say by now.
    fn resolved(&mut self, told: &BTreeMap<&str, &Told>) {
        for (channel, told) in told {
            self.choose(channel, dedup::resolved(Some(told)));
        }
        let destinations = route::destinations(&self.facts, self.config);
        for to in destinations.iter().filter(|to| !told.contains_key(to.channel)) {
            self.choose(to.channel, dedup::resolved(None));
        }
        if destinations.is_empty() && told.is_empty() {
            self.record(None, false, Reason::NotRouted);
        }
    }

    fn choose(&mut self, channel: &str, (kind, reason): dedup::Choice) {
        self.record(Some(channel.to_string()), kind.is_some(), reason);
        if let Some(kind) = kind {
            let began_during = if kind == NoticeKind::Firing { self.began_during() } else { None };
            self.decision.notices.push(notice::of(self.facts.alert, channel, kind, began_during, self.now));
        }
    }

    /// What kept the first notice back when the alert fired. Asked of that time, so that nothing need be remembered.
    fn began_during(&self) -> Option<String> {
        let fired_at = self.facts.alert.fired_at.filter(|at| *at != self.now)?;
        suppress::keeps_back(&self.facts, self.config, fired_at).map(|kept_back| kept_back.by)
    }

    fn record(&mut self, channel: Option<String>, sent: bool, reason: Reason) {
        let fingerprint = self.facts.alert.fingerprint.clone();
        self.decision.records.push(DecisionRecord { fingerprint, channel, sent, reason });
    }
}
