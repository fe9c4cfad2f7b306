//! Which channels are told of one alert: suppress, acknowledge, route, dedup, escalate, each choice with its reason, and one
//! notice a channel at most. All is chosen first and written down then: in the alert what was chosen, as a record only what
//! is another choice than before.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::facts::Facts;
use super::fingerprint::notice_key;
use super::lifecycle::Life;
use super::route::{self, Destination, Destinations};
use super::suppress::{self, Scene, Suppression};
use super::{ack, dedup, escalate, flap};
use crate::model::{
    About, Ack, Alert, Aside, ChannelPolicy, Decision, DecisionRecord, Escalated, Few, NoticeKind, Reason, State, Telling, Told,
};

/// Adds the notices and records of one alert to the decision, and notes in the alert what was chosen.
pub(super) fn announce(life: &mut Life<'_>, scene: &Scene<'_>, decision: &mut Decision) {
    let ack = acknowledged(life, scene, decision);
    // Pending has no notices, and neither has what went away before it fired.
    if !matches!(life.alert.state, State::Firing | State::Recovering | State::Resolved) {
        return note(life, false, decision);
    }
    let facts = Facts { alert: &life.alert, meta: life.meta, target: &scene.config.target };
    let desk = Desk {
        facts: &facts,
        scene,
        ack,
        kept_back: suppress::keeps_back(&facts, scene, scene.now),
        told: scene.book.told.get(&life.alert.fingerprint),
        to: route::destinations(&facts, life.meta, scene.config),
        evaluation: decision.book.rules.get(&life.alert.rule).map_or(0, |health| health.evaluations),
    };
    let mut chosen = desk.choose();
    desk.complete(&mut chosen);
    let suppressed_by = desk.suppressed_by();
    let leads_nowhere = desk.to.list.is_empty() && desk.told().next().is_none();
    note(life, leads_nowhere, decision);
    keep(&mut life.alert, &chosen, suppressed_by, ack);
    for choice in &chosen.all {
        record(&mut life.alert, decision, choice.channel, choice.kind.is_some(), &choice.reason);
    }
    // Last of all, since what is told shares the alert, which must not change any more.
    decision.tellings.extend(chosen.all.into_iter().filter_map(|choice| choice.telling(&life.alert, scene.now)));
}

/// The acknowledgement that holds; one that has ended is taken out of the book, with the reason.
fn acknowledged<'a>(life: &mut Life<'_>, scene: &Scene<'a>, decision: &mut Decision) -> Option<&'a Ack> {
    let ack = scene.book.acks.get(&life.alert.fingerprint)?;
    let Some(why) = ack::ended(ack, &life.alert, life.change.is_some() || life.before.is_none(), scene.now) else { return Some(ack) };
    let fingerprint = life.alert.fingerprint.clone();
    decision.book.acks.remove(&fingerprint);
    decision.ended_acks.push((fingerprint, Reason::AckEnded { detail: why }));
    None
}

/// Writes down why a state is held, what does not count or that nobody is told, under the empty name, while it is so.
fn note(life: &mut Life<'_>, leads_nowhere: bool, decision: &mut Decision) {
    let note = match life.note.take() {
        Some(held @ Reason::Held { .. }) => Some(held),
        _ if leads_nowhere => Some(Reason::NotRouted),
        note => note,
    };
    match note {
        Some(reason) => record(&mut life.alert, decision, "", false, &reason),
        None if life.alert.choices.contains_key("") => drop(Arc::make_mut(&mut life.alert).choices.remove("")),
        None => {}
    }
}

/// Keeps in the alert what the next tick has to know, touching it only where that is something else than before.
fn keep(alert: &mut Arc<Alert>, chosen: &Chosen<'_>, suppressed_by: Option<String>, ack: Option<&Ack>) {
    if alert.suppressed_by != suppressed_by {
        Arc::make_mut(alert).suppressed_by = suppressed_by;
    }
    if chosen.escalated.is_some() && alert.escalated != chosen.escalated {
        Arc::make_mut(alert).escalated.clone_from(&chosen.escalated);
    }
    let ack_told = if chosen.tells_of_ack { ack.map(|ack| ack.at) } else { alert.ack_told.filter(|_| ack.is_some()) };
    if alert.ack_told != ack_told {
        Arc::make_mut(alert).ack_told = ack_told;
    }
}

/// Writes a choice down when it is another than before, or when something is sent.
fn record(alert: &mut Arc<Alert>, decision: &mut Decision, channel: &str, sent: bool, reason: &Reason) {
    if !sent && alert.choices.get(channel).is_some_and(|(was_sent, was)| !was_sent && was == reason) {
        return;
    }
    Arc::make_mut(alert).choices.insert(channel.to_string(), (sent, reason.clone()));
    let channel = (!channel.is_empty()).then(|| channel.to_string());
    decision.records.push(DecisionRecord { fingerprint: alert.fingerprint.clone(), channel, sent, reason: reason.clone() });
}

/// One choice about a channel.
struct Choice<'a> {
    channel: &'a str,
    /// What it is told, if anything.
    kind: Option<NoticeKind>,
    reason: Reason,
    aside: Option<Box<Aside>>,
}

impl Choice<'_> {
    fn telling(self, alert: &Arc<Alert>, now: DateTime<Utc>) -> Option<Telling> {
        let kind = self.kind?;
        let key = notice_key(&alert.episode, self.channel, kind, alert.severity, now);
        let channel = self.channel.to_string();
        Some(Telling::Of(About { alert: alert.clone(), key, channel, kind, reason: self.reason, aside: self.aside, at: now }))
    }
}

/// All that was chosen about one alert.
#[derive(Default)]
struct Chosen<'a> {
    /// Each channel once.
    all: Vec<Choice<'a>>,
    /// How far its escalation is, where some chain is about it.
    escalated: Option<Escalated>,
    /// Whether its acknowledgement is told.
    tells_of_ack: bool,
}

impl<'a> Chosen<'a> {
    /// Adds a choice; of several about one channel the first holds.
    fn add(&mut self, channel: &'a str, choose: impl FnOnce() -> dedup::Choice) {
        if self.all.iter().all(|choice| choice.channel != channel) {
            let (kind, reason) = choose();
            self.all.push(Choice { channel, kind, reason, aside: None });
        }
    }
}

/// One alert, and all that its choices depend on.
struct Desk<'a, 'd> {
    facts: &'d Facts<'d>,
    scene: &'d Scene<'a>,
    ack: Option<&'a Ack>,
    kept_back: Option<Suppression>,
    /// What channels were last told of it, also of earlier episodes.
    told: Option<&'a Few<Told>>,
    to: Destinations<'a>,
    /// The number of its rule's latest evaluation.
    evaluation: u64,
}

impl<'a> Desk<'a, '_> {
    fn choose(&self) -> Chosen<'a> {
        let mut chosen = Chosen::default();
        if self.facts.alert.state == State::Resolved {
            self.end(&mut chosen);
            return chosen;
        }
        self.escalate(&mut chosen);
        self.acknowledge(&mut chosen);
        if self.facts.alert.state == State::Firing || self.flaps() {
            self.to.list.iter().for_each(|to| chosen.add(to.channel, || self.about(to)));
        }
        chosen
    }

    /// Of an alert that fires or flaps.
    fn about(&self, to: &Destination<'a>) -> dedup::Choice {
        let barred = self.barred(to.channel, to.out_of_reach);
        if let Some(reason) = barred.or_else(|| self.kept_back.as_ref().map(|kept_back| kept_back.reason.clone())) {
            return (None, reason);
        }
        let question = self.question(to.channel, to.repeat_s);
        if self.flaps() { question.flapping(self.percent(to.channel)) } else { question.firing() }
    }

    /// The end goes to who was told of the beginning, whatever routes, windows and silences say by now.
    fn end(&self, chosen: &mut Chosen<'a>) {
        let destinations = self.to.list.iter().map(|to| to.channel);
        for channel in self.told().map(|(channel, _)| channel).chain(destinations) {
            chosen.add(channel, || self.question(channel, None).resolved());
        }
    }

    /// Tells of an acknowledgement once, whatever keeps other notices back: whoever holds an incident open wants to know.
    fn acknowledge(&self, chosen: &mut Chosen<'a>) {
        let Some(ack) = self.ack.filter(|ack| self.facts.alert.ack_told != Some(ack.at)) else { return };
        for (channel, _) in self.told() {
            chosen.tells_of_ack = true;
            chosen.add(channel, || (Some(NoticeKind::Acknowledged), Reason::Acknowledged { who: ack.who.clone() }));
        }
    }

    fn escalate(&self, chosen: &mut Chosen<'a>) {
        if self.scene.config.escalations.is_empty() {
            return;
        }
        let told_at = self.told().filter_map(|(_, told)| told.delivered_at).min();
        let paused = self.kept_back.is_some() || self.flaps() || self.facts.alert.state != State::Firing;
        let next = escalate::next(self.facts, self.scene.config, told_at, paused, self.ack.is_some(), self.scene.now);
        let Some(next) = next.filter(|next| next.escalated != Escalated::default()) else { return };
        chosen.escalated = Some(next.escalated);
        for (chain, channel, after_s) in next.due.iter().flat_map(|(chain, step)| step.channels.iter().map(|to| (*chain, to, step.after_s)))
        {
            let out_of_reach = !route::asks_for_action(&chain.matchers) && route::is_out_of_reach(self.facts, channel, self.scene.config);
            chosen.add(channel, || match self.barred(channel, out_of_reach) {
                Some(reason) => (None, reason),
                None => (Some(NoticeKind::Escalated), Reason::Escalated { name: chain.name.clone(), after_s }),
            });
        }
    }

    /// Why a channel is told nothing of the alert, however it stands.
    fn barred(&self, channel: &str, out_of_reach: bool) -> Option<Reason> {
        if out_of_reach {
            return Some(Reason::OutOfReach { action: self.facts.alert.labels.get("action").unwrap_or_default().to_string() });
        }
        let at_least = self.scene.config.channels.get(channel)?.severity_at_least?;
        (self.facts.alert.severity < at_least).then_some(Reason::TooMild { at_least })
    }

    fn question(&self, channel: &str, repeat_s: Option<u64>) -> dedup::Question<'_> {
        let config = self.scene.config;
        dedup::Question {
            alert: self.facts.alert,
            told: self.told.and_then(|told| told.get(channel)).filter(|told| self.is_of_this(told)),
            policy: config.channels.get(channel).unwrap_or(&ChannelPolicy::DEFAULT),
            ack: self.ack,
            repeat_s,
            tell_lowered: config.tell_lowered,
            now: self.scene.now,
        }
    }

    /// What channels were told of the firing in this episode.
    fn told(&self) -> impl Iterator<Item = (&'a str, &'a Told)> {
        self.told.into_iter().flatten().filter(|(_, told)| self.is_of_this(told)).map(|(channel, told)| (channel.as_str(), told))
    }

    fn is_of_this(&self, told: &Told) -> bool {
        told.episode == self.facts.alert.episode && told.kind != NoticeKind::Resolved
    }

    fn flaps(&self) -> bool {
        self.facts.alert.flap.since.is_some()
    }

    /// The share of changes; the one that was written down stays the one that is shown, or each evaluation would be another
    /// choice.
    fn percent(&self, channel: &str) -> u32 {
        match self.facts.alert.choices.get(channel) {
            Some((_, Reason::Flapping { percent })) => *percent,
            _ => flap::percent(&self.facts.alert.flap, self.evaluation).round() as u32,
        }
    }

    fn suppressed_by(&self) -> Option<String> {
        let by = self.kept_back.as_ref().map(|kept_back| kept_back.by.clone());
        by.or_else(|| self.flaps().then(|| "flapping".to_string()))
    }

    /// Adds what belongs to that which is told.
    fn complete(&self, chosen: &mut Chosen<'a>) {
        for choice in &mut chosen.all {
            let Some(kind) = choice.kind else { continue };
            let aside = Aside {
                began_during: if kind == NoticeKind::Firing { self.began_during() } else { None },
                group: self.to.group(choice.channel, self.facts),
                acked: self.ack.map(|ack| if ack.note.is_empty() { ack.who.clone() } else { format!("{}: {}", ack.who, ack.note) }),
                cluster: self.facts.target.cluster.clone(),
            };
            choice.aside = (aside != Aside::default()).then(|| Box::new(aside));
        }
    }

    /// What kept the first notice back when the alert fired. Asked of that time, so that nothing need be remembered.
    fn began_during(&self) -> Option<String> {
        let fired_at = self.facts.alert.fired_at.filter(|at| *at != self.scene.now)?;
        suppress::keeps_back(self.facts, self.scene, fired_at).map(|kept_back| kept_back.by)
    }
}
