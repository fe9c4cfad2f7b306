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
