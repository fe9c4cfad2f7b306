//! Which channels are told of one alert: suppress, acknowledge, route, dedup, escalate, each choice with its reason. What
//! was chosen stands in the alert, so that a choice is written down only when it is another than before.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::facts::Facts;
use super::lifecycle::Life;
use super::route::Destination;
use super::suppress::{self, Scene};
use super::{ack, dedup, escalate, notice, route};
use crate::model::{Ack, Alert, ChannelPolicy, Decision, DecisionRecord, Escalated, Group, NoticeKind, Reason, State, Told};

/// Adds the notices and records of one alert to the decision, and notes in the alert what keeps its notices back.
pub(super) fn announce(life: &mut Life<'_>, scene: &Scene<'_>, decision: &mut Decision) {
    note(life, decision);
    let ack = acknowledged(life, scene, decision);
    // Pending has no notices, and neither has what went away before it fired.
    if !matches!(life.alert.state, State::Firing | State::Recovering | State::Resolved) {
        return;
    }
    let alert = life.alert.clone();
    let facts = Facts { alert: &alert, meta: life.meta, target: &scene.config.target };
    let kept_back = suppress::keeps_back(&facts, scene, scene.now);
    let told = told(&alert, scene);
    let mut desk = Desk { facts, scene, told, ack, decision, alert: &mut life.alert };
    match alert.state {
        State::Resolved => desk.resolved(),
        _ if alert.flap.since.is_some() => desk.flapping(kept_back.as_ref()),
        State::Firing => desk.firing(kept_back.as_ref()),
        _ => {}
    }
    if alert.state != State::Resolved {
        desk.acknowledge();
        desk.escalate(kept_back.is_some());
    }
    let by = kept_back.map(|kept_back| kept_back.by);
    if life.alert.suppressed_by != by {
        Arc::make_mut(&mut life.alert).suppressed_by = by;
    }
}

/// Writes down why a state is held or what does not count, under the empty name, while it is so.
fn note(life: &mut Life<'_>, decision: &mut Decision) {
    match life.note.take() {
        Some(reason) => record(&mut life.alert, decision, "", false, reason),
        None => {
            let stale = |(_, reason): &(bool, Reason)| !matches!(reason, Reason::NotRouted);
            if life.alert.held.is_none() && life.alert.choices.get("").is_some_and(stale) {
                Arc::make_mut(&mut life.alert).choices.remove("");
            }
        }
    }
}

/// The acknowledgement that holds; one that has ended is taken out of the book, with the reason.
fn acknowledged<'a>(life: &mut Life<'_>, scene: &Scene<'a>, decision: &mut Decision) -> Option<&'a Ack> {
    let ack = scene.book.acks.get(&life.alert.fingerprint)?;
    let Some(why) = ack::ended(ack, &life.alert, life.change.is_some() || life.before.is_none(), scene.now) else { return Some(ack) };
    let fingerprint = life.alert.fingerprint.clone();
    decision.book.acks.remove(&fingerprint);
    decision.ended_acks.push((fingerprint, Reason::AckEnded { detail: why }));
    if life.alert.ack_told.is_some() {
        Arc::make_mut(&mut life.alert).ack_told = None;
    }
    None
}

/// What channels were told of the firing in this episode.
fn told<'a>(alert: &Alert, scene: &Scene<'a>) -> BTreeMap<&'a str, &'a Told> {
    let all = scene.book.told.get(&alert.fingerprint).into_iter().flatten();
    let of_this = all.filter(|(_, told)| told.episode == alert.episode && told.kind != NoticeKind::Resolved);
    of_this.map(|(channel, told)| (channel.as_str(), told)).collect()
}

/// Writes a choice down when it is another than before, or when something is sent.
fn record(alert: &mut Arc<Alert>, decision: &mut Decision, channel: &str, sent: bool, reason: Reason) {
    if !sent && alert.choices.get(channel).is_some_and(|(was_sent, was)| !was_sent && *was == reason) {
        return;
    }
    Arc::make_mut(alert).choices.insert(channel.to_string(), (sent, reason.clone()));
    let channel = (!channel.is_empty()).then(|| channel.to_string());
    decision.records.push(DecisionRecord { fingerprint: alert.fingerprint.clone(), channel, sent, reason });
}

struct Desk<'a, 'd> {
    facts: Facts<'a>,
    scene: &'a Scene<'a>,
    told: BTreeMap<&'a str, &'a Told>,
    ack: Option<&'a Ack>,
    decision: &'d mut Decision,
    /// The alert as it is left behind.
    alert: &'d mut Arc<Alert>,
}

impl<'a> Desk<'a, '_> {
    fn firing(&mut self, kept_back: Option<&suppress::Suppression>) {
        for to in self.destinations() {
            let choice = match (kept_back, to.out_of_reach) {
                (_, Some(word)) => (None, Reason::OutOfReach { action: word.to_string() }),
                (Some(kept_back), None) => (None, kept_back.reason.clone()),
                (None, None) => self.with(to.channel, to.repeat_s, |question| question.firing()),
            };
            self.choose(to.channel, choice, &to.group);
        }
    }

    fn flapping(&mut self, kept_back: Option<&suppress::Suppression>) {
        let percent = super::flap::percent(&self.facts.alert.flap, self.evaluation()).round() as u32;
        for to in self.destinations() {
            // The share at the beginning stays the one that is shown, or each evaluation would be another choice.
            let known = match self.alert.choices.get(to.channel) {
                Some((_, Reason::Flapping { percent })) => *percent,
                _ => percent,
            };
            let choice = match (kept_back, to.out_of_reach) {
                (_, Some(word)) => (None, Reason::OutOfReach { action: word.to_string() }),
                (Some(kept_back), None) => (None, kept_back.reason.clone()),
                (None, None) => self.with(to.channel, to.repeat_s, |question| question.flapping(known)),
            };
            self.choose(to.channel, choice, &to.group);
        }
    }

    /// The end goes to who was told of the beginning, whatever routes, windows and silences say by now.
    fn resolved(&mut self) {
        let destinations = self.destinations();
        let group = |channel: &str| destinations.iter().find(|to| to.channel == channel).map(|to| to.group.clone()).unwrap_or_default();
        for channel in self.told.keys().copied().collect::<Vec<_>>() {
            let choice = self.with(channel, None, |question| question.resolved());
            self.choose(channel, choice, &group(channel));
        }
        let untold: Vec<&Destination<'_>> = destinations.iter().filter(|to| !self.told.contains_key(to.channel)).collect();
        for to in untold {
            let choice = self.with(to.channel, None, |question| question.resolved());
            self.choose(to.channel, choice, &to.group);
        }
    }

    /// Tells of an acknowledgement once, whatever keeps other notices back: whoever holds an incident open wants to know.
    fn acknowledge(&mut self) {
        let Some(ack) = self.ack.filter(|ack| self.alert.ack_told != Some(ack.at)) else { return };
        Arc::make_mut(self.alert).ack_told = Some(ack.at);
        for channel in self.told.keys().copied().collect::<Vec<_>>() {
            self.choose(channel, (Some(NoticeKind::Acknowledged), Reason::Acknowledged { who: ack.who.clone() }), &Group::default());
        }
    }

    fn escalate(&mut self, kept_back: bool) {
        let told_at = self.told.values().filter_map(|told| told.delivered_at).min();
        let held = kept_back || self.facts.alert.state != State::Firing;
        let (config, now) = (self.scene.config, self.scene.now);
        let Some(next) = escalate::next(&self.facts, config, told_at, held, self.ack.is_some(), now) else { return };
        if self.alert.escalated.as_ref() != Some(&next.escalated) && next.escalated != Escalated::default() {
            Arc::make_mut(self.alert).escalated = Some(next.escalated);
        }
        for (chain, step) in next.due {
            for channel in &step.channels {
                let reason = Reason::Escalated { name: chain.name.clone(), after_s: step.after_s };
                self.choose(channel, (Some(NoticeKind::Escalated), reason), &Group::default());
            }
        }
    }

    fn destinations(&mut self) -> Vec<Destination<'a>> {
        let destinations = route::destinations(&self.facts, self.scene.config);
        if destinations.is_empty() && self.told.is_empty() {
            record(self.alert, self.decision, "", false, Reason::NotRouted);
        }
        destinations
    }

    /// Asks the question about one channel.
    fn with(&self, channel: &str, repeat_s: Option<u64>, ask: impl Fn(&dedup::Question<'_>) -> dedup::Choice) -> dedup::Choice {
        let default = ChannelPolicy::default();
        let config = self.scene.config;
        ask(&dedup::Question {
            alert: self.facts.alert,
            told: self.told.get(channel).copied(),
            policy: config.channels.get(channel).unwrap_or(&default),
            ack: self.ack,
            repeat_s,
            tell_lowered: config.tell_lowered,
            now: self.scene.now,
        })
    }

    fn choose(&mut self, channel: &str, (kind, reason): dedup::Choice, group: &Group) {
        if let Some(kind) = kind {
            let began_during = if kind == NoticeKind::Firing { self.began_during() } else { None };
            let told = notice::Telling { channel, kind, reason: reason.to_string(), began_during, group: group.clone(), ack: self.ack };
            self.decision.notices.push(notice::of(&self.facts, told, self.scene.now));
        }
        record(self.alert, self.decision, channel, kind.is_some(), reason);
    }

    /// What kept the first notice back when the alert fired. Asked of that time, so that nothing need be remembered.
    fn began_during(&self) -> Option<String> {
        let fired_at = self.facts.alert.fired_at.filter(|at| *at != self.scene.now)?;
        suppress::keeps_back(&self.facts, self.scene, fired_at).map(|kept_back| kept_back.by)
    }

    fn evaluation(&self) -> u64 {
        self.decision.book.rules.get(&self.facts.alert.rule).map_or(0, |health| health.evaluations)
    }
}
