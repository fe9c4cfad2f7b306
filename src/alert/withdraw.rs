//! What is not to be told any more although it was decided: a silence, a window or an inhibition that has begun since, or an
//! acknowledgement, overtakes notices that wait for their group, their channel or its rate.
//!
//! Asked just before anything is sent; the store takes back what was never tried. What a channel was told is then what it
//! was told before, so that once nothing keeps it back the next tick tells it again, as it is by then. Deliberately absent:
//! ends, which are always told.

use chrono::{DateTime, Utc};

use super::facts::Facts;
use super::suppress::{self, Scene, Sources, open_windows};
use super::{ack, escalate};
use crate::model::{Ack, Alert, Book, DecideConfig, NoticeKind, Reason, State, Told, Withdrawn};

/// What is kept back with the alert. An end is always told, and an acknowledgement to whoever was told of the alert.
const KEPT_BACK: [NoticeKind; 7] = [
    NoticeKind::Firing,
    NoticeKind::Raised,
    NoticeKind::Repeat,
    NoticeKind::Lowered,
    NoticeKind::Escalated,
    NoticeKind::Flapping,
    NoticeKind::Settled,
];

/// Notices on their way that are not to be told at that time.
#[must_use]
pub fn withdrawn(book: &Book, config: &DecideConfig, now: DateTime<Utc>) -> Vec<Withdrawn> {
    let alert = |(fingerprint, told)| Some((book.alerts.get(fingerprint)?.as_ref(), told));
    let waits = |alert: &Alert, told: &Told| told.episode == alert.episode && told.delivered_at.is_none();
    let on_their_way: Vec<(&Alert, Vec<&str>)> = book
        .told
        .iter()
        .filter_map(alert)
        .map(|(alert, told)| (alert, told.iter().filter(|(_, told)| waits(alert, told)).map(|(channel, _)| channel.as_str()).collect()))
        .filter(|(_, channels): &(_, Vec<&str>)| !channels.is_empty())
        .collect();
    if on_their_way.is_empty() {
        return Vec::new();
    }
    let firing = book.alerts.values().filter(|alert| matches!(alert.state, State::Firing | State::Recovering));
    let sources = Sources::of(config, book, firing.map(|alert| facts(alert, config)));
    let open = open_windows(config, now);
    let scene = Scene { config, book, sources: &sources, open: &open, now };
    on_their_way.iter().flat_map(|(alert, channels)| channels.iter().filter_map(|channel| of_channel(alert, channel, &scene))).collect()
}

fn facts<'a>(alert: &'a Alert, config: &'a DecideConfig) -> Facts<'a> {
    Facts { alert, meta: None, target: &config.target }
}

fn of_channel(alert: &Alert, channel: &str, scene: &Scene<'_>) -> Option<Withdrawn> {
    let facts = facts(alert, scene.config);
    let holds = |ack: &&Ack| ack::ended(ack, alert, false, scene.now).is_none();
    let (kinds, reason, acked) = match suppress::keeps_back(&facts, scene, scene.now) {
        Some(kept_back) => (KEPT_BACK.to_vec(), kept_back.reason, false),
        None => {
            let ack = scene.book.acks.get(&alert.fingerprint).filter(holds)?;
            (vec![NoticeKind::Repeat, NoticeKind::Escalated], Reason::Acked { who: ack.who.clone(), until: ack.until }, true)
        }
    };
    let (goes_on, steps) = escalate::back(&facts, scene.config, channel, acked);
    let kinds = kinds.into_iter().filter(|kind| *kind != NoticeKind::Escalated || !goes_on).collect();
    Some(Withdrawn {
        fingerprint: alert.fingerprint.clone(),
        episode: alert.episode.clone(),
        channel: channel.to_string(),
        kinds,
        reason,
        steps,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use chrono::TimeDelta;

    use super::*;
    use crate::alert::testing::*;
    use crate::model::{AckMode, Escalated, Escalation, EscalationStep, Few, Silence};

    /// An alert of the table `a` whose notice is on its way.
    fn on_its_way() -> World {
        let mut world = World::new();
        world.tick(seen(&["a"]));
        world
    }

    fn found(world: &World) -> Vec<String> {
        let all = withdrawn(&world.book, &world.config, world.now);
        all.iter().map(|one| format!("{}: {}", one.channel, one.reason)).collect()
    }

    fn silence(world: &World) -> Silence {
        Silence {
            id: "s1".into(),
            matchers: "table=a".parse().unwrap(),
            starts_at: world.now,
            ends_at: world.now + TimeDelta::hours(1),
            author: "ann".into(),
            reason: "deploy".into(),
            link: None,
            expire_on_resolve: false,
            created_at: world.now,
            ended: None,
        }
    }

    fn acked(world: &mut World) {
        let alert = world.book.alerts.values().next().unwrap();
        let (episode, severity, at) = (alert.episode.clone(), alert.severity, world.now);
        let ack = Ack { episode, who: "ann".into(), note: String::new(), at, until: None, mode: AckMode::UntilResolved, severity };
        world.book.acks = [(alert.fingerprint.clone(), ack)].into();
    }

    #[test]
    fn what_is_kept_back_by_now_is_withdrawn_while_it_is_on_its_way() {
        let mut world = on_its_way();
        assert_eq!(found(&world), Vec::<String>::new());
        world.book.silences = vec![silence(&world)];
        assert_eq!(found(&world), ["mail: silence s1 by ann until 2026-01-05 11:01Z"]);
        world.deliver(world.now);
        assert_eq!(found(&world), Vec::<String>::new(), "it was told");
    }

    #[test]
    fn once_nothing_keeps_it_back_it_is_told_anew() {
        let mut world = on_its_way();
        world.book.silences = vec![silence(&world)];
        let one = withdrawn(&world.book, &world.config, world.now).remove(0);
        assert!(one.kinds.contains(&NoticeKind::Firing) && !one.kinds.contains(&NoticeKind::Resolved));
        Arc::make_mut(&mut world.book.told).clear();
        assert!(said(&world.tick(seen(&["a"]))).starts_with("mail: - (silence s1"));
        world.now += TimeDelta::hours(1);
        assert_eq!(said(&world.tick(seen(&["a"]))), "mail: firing (first notice of this episode)");
    }

    #[test]
    fn an_acknowledgement_withdraws_repeats_and_what_nobody_need_be_woken_for() {
        let mut world = on_its_way();
        acked(&mut world);
        let kinds = |world: &World| withdrawn(&world.book, &world.config, world.now)[0].kinds.clone();
        assert_eq!(kinds(&world), [NoticeKind::Repeat, NoticeKind::Escalated], "the first notice goes out");
        let step = EscalationStep { after_s: 60, channels: vec!["mail".into()] };
        let chain = Escalation { name: "prod".into(), matchers: Default::default(), steps: vec![step], unless_acked: false };
        world.config.escalations = vec![chain];
        let alert = world.book.alerts.values_mut().next().unwrap();
        Arc::make_mut(alert).escalated = Some(Escalated { steps: [("prod".to_string(), 1)].into(), ..Escalated::default() });
        assert_eq!(kinds(&world), [NoticeKind::Repeat], "this chain goes on whoever looks after it");
        world.config.escalations[0].unless_acked = true;
        let one = withdrawn(&world.book, &world.config, world.now).remove(0);
        assert_eq!((one.kinds.len(), one.steps), (2, vec![("prod".to_string(), 0)]), "the step is taken again");
    }

    #[test]
    fn what_another_episode_was_told_is_nobodys_business() {
        let mut world = on_its_way();
        world.book.silences = vec![silence(&world)];
        for told in Arc::make_mut(&mut world.book.told).values_mut().flat_map(Few::values_mut) {
            told.episode = "before".into();
        }
        assert_eq!(found(&world), Vec::<String>::new());
    }
}
