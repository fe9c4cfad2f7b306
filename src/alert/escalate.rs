//! Who else is told when an alert goes on and nobody has acknowledged it.
//!
//! The clock begins with the first notice that some channel took, and stands still while notices are kept back, or while
//! an acknowledgement holds and no chain goes on in spite of it. How far a chain has come is part of the alert, so a
//! restart goes on where it was.

use chrono::{DateTime, TimeDelta, Utc};

use super::facts::Facts;
use crate::model::{DecideConfig, Escalated, Escalation, EscalationStep};

/// How an escalation stands, and which steps are due.
pub(super) struct Next<'a> {
    pub escalated: Escalated,
    pub due: Vec<(&'a Escalation, &'a EscalationStep)>,
}

/// What an alert comes to that fires now; `None` when no chain is about it. `told_at`: when the first notice was taken.
pub(super) fn next<'a>(
    facts: &Facts<'_>,
    config: &'a DecideConfig,
    told_at: Option<DateTime<Utc>>,
    kept_back: bool,
    acked: bool,
    now: DateTime<Utc>,
) -> Option<Next<'a>> {
    let chains: Vec<&Escalation> = config.escalations.iter().filter(|chain| facts.match_all(&chain.matchers)).collect();
    if chains.is_empty() {
        return None;
    }
    let mut escalated = facts.alert.escalated.clone().unwrap_or_default();
    // A notice that was on its way when others began to be kept back may be taken meanwhile: the clock begins after that.
    let was_kept_back = facts.alert.suppressed_by.is_some();
    escalated.since = escalated.since.or(told_at.map(|at| if was_kept_back { now } else { at.min(now) }));
    let paused = kept_back || (acked && chains.iter().all(|chain| chain.unless_acked));
    match (paused, escalated.paused_at) {
        (true, None) => escalated.paused_at = escalated.since.map(|_| now),
        (false, Some(paused_at)) => {
            let lost = (now - paused_at).max(TimeDelta::zero());
            escalated.since = escalated.since.map(|since| since.checked_add_signed(lost).unwrap_or(now));
            escalated.paused_at = None;
        }
        _ => {}
    }
    let mut due = Vec::new();
    if let (false, Some(since)) = (paused, escalated.since) {
        let lasted_s = u64::try_from((now - since).num_seconds()).unwrap_or(0);
        for chain in chains.into_iter().filter(|chain| !(acked && chain.unless_acked)) {
            let taken = escalated.steps.get(&chain.name).copied().unwrap_or(0);
            let steps: Vec<&EscalationStep> = chain.steps.iter().skip(taken).take_while(|step| step.after_s <= lasted_s).collect();
            if !steps.is_empty() {
                escalated.steps.insert(chain.name.clone(), taken + steps.len());
            }
            due.extend(steps.into_iter().map(|step| (chain, step)));
        }
    }
    Some(Next { escalated, due })
}

/// Where the chains go on when the notice of their latest step to a channel is taken back: name, and steps that stay taken.
/// Before it, whether some chain tells that channel in spite of an acknowledgement.
pub(super) fn back(facts: &Facts<'_>, config: &DecideConfig, channel: &str, acked: bool) -> (bool, Vec<(String, usize)>) {
    let taken = |chain: &Escalation| facts.alert.escalated.as_ref().and_then(|escalated| escalated.steps.get(&chain.name)).copied();
    let to_channel = |step: &EscalationStep| step.channels.iter().any(|name| name == channel);
    let latest = |chain: &Escalation| chain.steps.iter().take(taken(chain)?).rposition(to_channel);
    let chains = config.escalations.iter().filter(|chain| facts.match_all(&chain.matchers));
    let steps: Vec<(&Escalation, usize)> = chains.filter_map(|chain| Some((chain, latest(chain)?))).collect();
    let goes_on = acked && steps.iter().any(|(chain, _)| !chain.unless_acked);
    (goes_on, steps.into_iter().map(|(chain, step)| (chain.name.clone(), step)).collect())
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use crate::alert::testing::*;
    use crate::model::{Ack, AckMode, ChannelPolicy, Escalation, EscalationStep, NoticeKind, Severity, Silence};

    fn world(unless_acked: bool) -> World {
        let mut world = World::new();
        let step = |minutes: u64, channel: &str| EscalationStep { after_s: minutes * 60, channels: vec![channel.into()] };
        let steps = vec![step(15, "lead"), step(30, "boss")];
        world.config.escalations =
            vec![Escalation { name: "prod".into(), matchers: "rule=dead_rows".parse().unwrap(), steps, unless_acked }];
        world
    }

    /// From now on.
    fn silence(world: &World, minutes: i64) -> Silence {
        Silence {
            id: "s".into(),
            matchers: "table=a".parse().unwrap(),
            starts_at: world.now,
            ends_at: world.now + TimeDelta::minutes(minutes),
            author: "ann".into(),
            reason: "deploy".into(),
            link: None,
            expire_on_resolve: false,
            created_at: world.now,
            ended: None,
        }
    }

    /// Minutes of the ticks in which somebody was escalated to.
    fn escalated(world: &mut World, ticks: usize) -> Vec<String> {
        let mut told = Vec::new();
        for _ in 0..ticks {
            let minute = (world.now - start()).num_minutes();
            let notices = world.tick_delivered(seen(&["a"])).notices().collect::<Vec<_>>();
            told.extend(notices.iter().filter(|n| n.kind == NoticeKind::Escalated).map(|n| format!("{minute}: {}", n.channel)));
        }
        told
    }

    #[test]
    fn each_step_is_taken_once_at_its_time_after_the_first_delivery() {
        let mut world = world(true);
        assert_eq!(escalated(&mut world, 120), ["16: lead", "31: boss"], "told one second after the first minute");
        let over = world.tick_delivered(seen(&[]));
        let ends: Vec<String> = over.notices().map(|n| n.channel).collect();
        assert_eq!(ends, ["boss", "lead", "mail"], "who was told of the firing is told of the end");
    }

    #[test]
    fn steps_that_come_due_together_tell_each_channel_once() {
        let mut world = world(true);
        let steps = &mut world.config.escalations[0].steps;
        steps.iter_mut().for_each(|step| step.channels = vec!["mail".into(), "lead".into()]);
        world.config.dedup_s = Some(2_700);
        escalated(&mut world, 2);
        world.now += TimeDelta::minutes(60);
        let notices = world.tick_delivered(seen(&["a"])).notices().collect::<Vec<_>>();
        let told: Vec<(&str, NoticeKind)> = notices.iter().map(|n| (n.channel.as_str(), n.kind)).collect();
        assert_eq!(told, [("mail", NoticeKind::Escalated), ("lead", NoticeKind::Escalated)], "and no repeat beside it");
        assert_eq!(escalated(&mut world, 40), Vec::<String>::new(), "both steps are taken");
    }

    #[test]
    fn a_channel_that_wants_worse_alerts_is_not_escalated_to() {
        let mut world = world(true);
        let policy = ChannelPolicy { severity_at_least: Some(Severity::Critical), ..ChannelPolicy::default() };
        world.config.channels.insert("lead".into(), policy);
        assert_eq!(escalated(&mut world, 40), ["31: boss"]);
    }

    #[test]
    fn an_action_word_bounds_it_unless_the_chain_asks_for_the_word() {
        let mut world = world(true);
        world.rule.labels.set("action", "log");
        assert_eq!(escalated(&mut world, 40), Vec::<String>::new());
        world.tick_delivered(seen(&[]));
        world.config.escalations[0].matchers = "action=log".parse().unwrap();
        world.config.route.matchers = "action=log".parse().unwrap();
        assert_eq!(escalated(&mut world, 40).len(), 2);
    }

    #[test]
    fn nobody_is_escalated_to_before_anybody_was_told() {
        let mut world = world(true);
        for _ in 0..60 {
            world.tick(seen(&["a"]));
        }
        assert!(world.book.alerts.values().next().unwrap().escalated.as_ref().is_none_or(|e| e.steps.is_empty()));
    }

    #[test]
    fn the_clock_stands_still_while_notices_are_kept_back() {
        let mut world = world(true);
        assert_eq!(escalated(&mut world, 10), Vec::<String>::new());
        world.book.silences = vec![silence(&world, 30)];
        assert_eq!(escalated(&mut world, 60), ["46: lead", "61: boss"]);
    }

    #[test]
    fn what_is_taken_while_others_are_kept_back_begins_nothing_before_that_is_over() {
        let mut world = world(true);
        world.tick(seen(&["a"]));
        world.book.silences = vec![silence(&world, 30)];
        assert_eq!(escalated(&mut world, 60), ["46: lead"], "15 minutes after the silence, not after its delivery");
    }

    #[test]
    fn an_acknowledgement_stops_it_unless_it_goes_on_in_spite_of_one() {
        for (unless_acked, told) in [(true, vec![]), (false, vec!["16: lead".to_string(), "31: boss".into()])] {
            let mut world = world(unless_acked);
            escalated(&mut world, 2);
            let alert = world.book.alerts.values().next().unwrap();
            let ack = Ack {
                episode: alert.episode.clone(),
                who: "ann".into(),
                note: String::new(),
                at: world.now,
                until: None,
                mode: AckMode::UntilResolved,
                severity: Severity::Warning,
            };
            world.book.acks = [(alert.fingerprint.clone(), ack)].into();
            assert_eq!(escalated(&mut world, 60), told);
        }
    }
}
