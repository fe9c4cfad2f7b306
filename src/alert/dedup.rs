//! Whether one channel is told of one alert, and why or why not.
//!
//! The window is anchored at the last delivery and half-open, `[delivered, delivered + repeat)`: it does not slide with
//! occurrences, and a notice that failed (those are not in `Told`) does not start it. A rise is always told, a fall where
//! the config asks for it. An acknowledgement stops repeats.

use chrono::{DateTime, TimeDelta, Utc};

use crate::model::{Ack, Alert, ChannelPolicy, NoticeKind, Reason, Told};

/// A notice to make, or `None`; either way the reason.
pub(super) type Choice = (Option<NoticeKind>, Reason);

/// What is asked of one channel about one alert.
pub(super) struct Question<'a> {
    pub alert: &'a Alert,
    /// What the channel was last told of this episode.
    pub told: Option<&'a Told>,
    pub policy: &'a ChannelPolicy,
    pub ack: Option<&'a Ack>,
    /// Seconds between repeats; `None` repeats nothing.
    pub repeat_s: Option<u64>,
    pub tell_lowered: bool,
    pub now: DateTime<Utc>,
}

impl Question<'_> {
    /// For an alert that fires and is not suppressed.
    pub fn firing(&self) -> Choice {
        let Some(told) = self.told else { return (Some(NoticeKind::Firing), Reason::FirstOfEpisode) };
        if self.alert.severity > told.severity {
            return (Some(NoticeKind::Raised), Reason::SeverityRose { from: told.severity });
        }
        if self.alert.flap.settled.is_some_and(|(from, to)| from <= told.queued_at && told.queued_at < to) {
            return (Some(NoticeKind::Settled), Reason::Settled);
        }
        if self.tell_lowered && self.alert.severity < told.severity {
            return (Some(NoticeKind::Lowered), Reason::Lowered { from: told.severity });
        }
        if let Some(ack) = self.ack {
            return (None, Reason::Acked { who: ack.who.clone(), until: ack.until });
        }
        self.repeat(told)
    }

    fn repeat(&self, told: &Told) -> Choice {
        let Some(delivered_at) = told.delivered_at else { return (None, Reason::OnItsWay) };
        let Some((repeat_s, window)) = self.repeat_s.and_then(|s| Some((s, TimeDelta::try_seconds(i64::try_from(s).ok()?)?))) else {
            return (None, Reason::NoRepeat);
        };
        let over = Reason::WindowOver { dedup_s: repeat_s };
        // A delivery later than now was made while this tick ran, or before the clock was put back. Counting from when it was
        // queued, no clock can silence for more than one window; if even that is to come, the clock is proven wrong.
        let anchor = [delivered_at, told.queued_at].into_iter().find(|at| *at <= self.now);
        let Some(anchor) = anchor else { return (Some(NoticeKind::Repeat), over) };
        match anchor.checked_add_signed(window) {
            Some(until) if until <= self.now => (Some(NoticeKind::Repeat), over),
            Some(until) => (None, Reason::Deduplicated { until }),
            None => (None, Reason::NoRepeat),
        }
    }

    /// For an alert that flaps: once, and then nothing but a rise.
    pub fn flapping(&self, percent: u32) -> Choice {
        match self.told {
            Some(told) if self.alert.severity > told.severity => (Some(NoticeKind::Raised), Reason::SeverityRose { from: told.severity }),
            // Whatever it was told while it flaps came after the word that it does.
            Some(told) if told.kind == NoticeKind::Flapping || self.alert.flap.since <= Some(told.queued_at) => {
                (None, Reason::Flapping { percent })
            }
            _ => (Some(NoticeKind::Flapping), Reason::Flapping { percent }),
        }
    }

    /// For an alert that is over: a channel hears of the end if it was told of the firing, even if that is on its way.
    pub fn resolved(&self) -> Choice {
        match self.told {
            Some(_) if !self.policy.resolved && !self.policy.stateful => (None, Reason::EndsNotTold),
            Some(_) => (Some(NoticeKind::Resolved), Reason::ToldOfFiring),
            None => (None, Reason::NeverTold),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::testing::*;
    use crate::model::{Evaluation, Outcome, Severity};

    fn at(severity: Severity) -> Outcome {
        Outcome::Ok(Evaluation { findings: vec![finding("a", severity)], ..Evaluation::default() })
    }

    /// Told a minute ago of a warning, delivered a second later.
    fn told_world() -> World {
        let mut world = World::new();
        world.tick_delivered(at(Severity::Warning));
        world
    }

    #[test]
    fn a_channel_is_told_once_then_again_when_the_window_is_over() {
        let mut world = told_world();
        assert_eq!(said(&world.tick_delivered(at(Severity::Warning))), "mail: - (told already; again after 2026-01-05 11:00:01Z)");
        world.now = start() + TimeDelta::seconds(3_600);
        assert_eq!(said(&world.tick_delivered(at(Severity::Warning))), "mail: - (told already; again after 2026-01-05 11:00:01Z)");
        world.now = start() + TimeDelta::seconds(3_601);
        let decision = world.tick_delivered(at(Severity::Warning));
        assert_eq!(said(&decision), "mail: repeat (still firing 1h after the last notice)", "half-open: the end is not part of it");
    }

    #[test]
    fn the_window_is_anchored_at_the_last_delivery_and_does_not_slide() {
        let mut world = told_world();
        let kinds: Vec<String> =
            (0..125).map(|_| said(&world.tick_delivered(at(Severity::Warning)))).filter(|line| !line.contains(": -")).collect();
        assert_eq!(kinds.len(), 2, "two hours of a firing alert are two repeats: {kinds:?}");
    }

    #[test]
    fn a_rise_is_told_at_once_and_a_fall_never() {
        let mut world = told_world();
        assert_eq!(said(&world.tick_delivered(at(Severity::Critical))), "mail: raised (severity rose from warning)");
        assert_eq!(said(&world.tick_delivered(at(Severity::Info))), "mail: - (told already; again after 2026-01-05 11:01:01Z)");
        assert_eq!(
            said(&world.tick_delivered(at(Severity::Critical))),
            "mail: - (told already; again after 2026-01-05 11:01:01Z)",
            "it was told of critical"
        );
    }

    #[test]
    fn while_a_notice_is_on_its_way_only_a_rise_is_added() {
        let mut world = World::new();
        world.tick(at(Severity::Warning));
        world.now += TimeDelta::hours(5);
        assert_eq!(said(&world.tick(at(Severity::Warning))), "mail: - (a notice is on its way)");
        assert_eq!(said(&world.tick(at(Severity::Critical))), "mail: raised (severity rose from warning)");
        assert_eq!(said(&world.tick(at(Severity::Critical))), "mail: - (a notice is on its way)");
    }

    #[test]
    fn a_failed_notice_is_as_if_it_had_never_been() {
        let mut world = World::new();
        let first = world.tick(at(Severity::Warning)).notices().next().unwrap().key.clone();
        world.book.told = Default::default();
        let again = world.tick(at(Severity::Warning));
        assert_eq!(said(&again), "mail: firing (first notice of this episode)");
        assert_eq!(again.notices().next().unwrap().key, first, "the receiver may have got it after all");
    }

    #[test]
    fn the_end_is_told_to_whom_the_firing_was_told_or_is_on_its_way_to() {
        let mut world = told_world();
        assert!(said(&world.tick(seen(&[]))).ends_with("mail: resolved (the channel was told of the firing)"));
        assert!(said(&world.tick(at(Severity::Warning))).ends_with("mail: firing (first notice of this episode)"), "a new episode");
        assert!(said(&world.tick(seen(&[]))).ends_with("mail: resolved (the channel was told of the firing)"), "on its way");
        world.tick(at(Severity::Warning));
        world.book.told = Default::default();
        assert!(said(&world.tick(seen(&[]))).ends_with("mail: - (the channel was never told of the firing)"));
    }

    #[test]
    fn the_end_follows_the_firing_when_routes_change() {
        let mut world = told_world();
        world.config.route.channels = vec!["chat".into()];
        let line = said(&world.tick(seen(&[])));
        assert!(
            line.ends_with("mail: resolved (the channel was told of the firing); chat: - (the channel was never told of the firing)"),
            "{line}"
        );
    }

    #[test]
    fn without_a_repeat_it_is_told_once() {
        for dedup_s in [None, Some(u64::MAX), Some(9_000_000_000_000)] {
            let mut world = World::new();
            world.config.dedup_s = dedup_s;
            world.tick_delivered(at(Severity::Warning));
            world.now += TimeDelta::days(400);
            assert_eq!(said(&world.tick_delivered(at(Severity::Warning))), "mail: - (told already; repeats are off)");
        }
    }

    #[test]
    fn no_clock_silences_for_more_than_one_window() {
        // The clock ran a year ahead when the notice was queued and delivered.
        let mut world = World::new();
        world.now += TimeDelta::days(365);
        world.tick_delivered(at(Severity::Warning));
        world.now = start();
        assert_eq!(said(&world.tick_delivered(at(Severity::Warning))), "mail: repeat (still firing 1h after the last notice)");
        assert_eq!(said(&world.tick_delivered(at(Severity::Warning))), "mail: - (told already; again after 2026-01-05 11:00:01Z)");
        // It ran ahead only while the notice was delivered: counted from when it was queued.
        let mut world = World::new();
        world.tick(at(Severity::Warning));
        world.deliver(start() + TimeDelta::days(365));
        assert_eq!(said(&world.tick(at(Severity::Warning))), "mail: - (told already; again after 2026-01-05 11:00:00Z)");
    }
}
