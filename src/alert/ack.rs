//! Whether an acknowledgement still holds. A rise in severity always ends it.

use chrono::{DateTime, Utc};

use crate::model::{Ack, AckMode, Alert, State};

/// Why an acknowledgement has ended; `None` while it holds. `changed`: whether the alert changed its state just now.
pub(super) fn ended(ack: &Ack, alert: &Alert, changed: bool, now: DateTime<Utc>) -> Option<String> {
    if ack.episode != alert.episode || matches!(alert.state, State::Resolved | State::Inactive) {
        return Some("the alert is over".into());
    }
    if alert.severity > ack.severity {
        return Some(format!("severity rose from {}", ack.severity));
    }
    if ack.until.is_some_and(|until| until <= now) {
        return Some("it has run out".into());
    }
    let lowered = alert.severity < ack.severity;
    (ack.mode == AckMode::UntilChange && (changed || lowered))
        .then(|| if changed { format!("the alert is {}", alert.state) } else { format!("severity fell from {}", ack.severity) })
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use crate::alert::testing::*;
    use crate::model::{Ack, AckMode, Evaluation, NoticeKind, Outcome, Severity};

    fn at(severity: Severity) -> Outcome {
        Outcome::Ok(Evaluation { findings: vec![finding("a", severity)], ..Evaluation::default() })
    }

    /// Told of a warning, and acknowledged.
    fn acked(mode: AckMode, minutes: Option<i64>) -> World {
        let mut world = World::new();
        world.rule.keep_firing_for_s = 300;
        world.tick_delivered(at(Severity::Warning));
        let alert = world.book.alerts.values().next().unwrap();
        let ack = Ack {
            episode: alert.episode.clone(),
            who: "ann".into(),
            note: "on it".into(),
            at: world.now,
            until: minutes.map(|minutes| world.now + TimeDelta::minutes(minutes)),
            mode,
            severity: alert.severity,
        };
        world.book.acks = [(alert.fingerprint.clone(), ack)].into();
        world
    }

    #[test]
    fn it_is_told_once_and_stops_repeats() {
        let mut world = acked(AckMode::UntilResolved, None);
        let told = world.tick_delivered(at(Severity::Warning));
        assert_eq!((told.tellings.len(), told.notices().next().unwrap().kind), (1, NoticeKind::Acknowledged));
        assert_eq!(told.notices().next().unwrap().acked.as_deref(), Some("ann: on it"));
        let kinds: Vec<NoticeKind> = (0..200)
            .flat_map(|_| world.tick_delivered(at(Severity::Warning)).notices().collect::<Vec<_>>())
            .map(|notice| notice.kind)
            .collect();
        assert_eq!(kinds, [], "hours go by without a repeat");
        assert!(world.standing().contains("mail: - (acknowledged by ann)"), "{}", world.standing());
    }

    #[test]
    fn who_hears_of_the_alert_later_hears_of_the_acknowledgement_too() {
        let mut world = acked(AckMode::UntilResolved, None);
        world.book.told = Default::default();
        let kinds: Vec<NoticeKind> = (0..5)
            .flat_map(|_| world.tick_delivered(at(Severity::Warning)).notices().collect::<Vec<_>>())
            .map(|notice| notice.kind)
            .collect();
        assert_eq!(kinds, [NoticeKind::Firing, NoticeKind::Acknowledged]);
    }

    #[test]
    fn a_fall_in_the_same_tick_is_no_second_notice() {
        let mut world = acked(AckMode::UntilResolved, None);
        world.config.tell_lowered = true;
        let kinds: Vec<NoticeKind> =
            (0..5).flat_map(|_| world.tick_delivered(at(Severity::Info)).notices().collect::<Vec<_>>()).map(|notice| notice.kind).collect();
        assert_eq!(kinds, [NoticeKind::Acknowledged], "its message shows the new severity");
    }

    #[test]
    fn it_runs_out_and_repeats_go_on() {
        let mut world = acked(AckMode::UntilResolved, Some(90));
        let kinds: Vec<NoticeKind> = (0..92)
            .flat_map(|_| world.tick_delivered(at(Severity::Warning)).notices().collect::<Vec<_>>())
            .map(|notice| notice.kind)
            .collect();
        assert_eq!(kinds, [NoticeKind::Acknowledged, NoticeKind::Repeat]);
        assert!(world.book.acks.is_empty());
    }

    #[test]
    fn a_rise_ends_it_and_is_told() {
        let mut world = acked(AckMode::UntilResolved, None);
        world.tick_delivered(at(Severity::Warning));
        let risen = world.tick_delivered(at(Severity::Critical));
        assert_eq!(risen.ended_acks.len(), 1);
        assert_eq!((risen.tellings.len(), risen.notices().next().unwrap().kind), (1, NoticeKind::Raised));
    }

    #[test]
    fn one_until_change_ends_when_the_alert_recovers_and_one_until_resolved_does_not() {
        for (mode, ends) in [(AckMode::UntilChange, 1), (AckMode::UntilResolved, 0)] {
            let mut world = acked(mode, None);
            world.tick_delivered(at(Severity::Warning));
            assert_eq!(world.tick_delivered(seen(&[])).ended_acks.len(), ends, "{mode:?}");
        }
    }

    #[test]
    fn it_ends_with_its_episode_and_the_end_is_told() {
        let mut world = acked(AckMode::UntilResolved, None);
        world.rule.keep_firing_for_s = 0;
        world.tick_delivered(at(Severity::Warning));
        let over = world.tick_delivered(seen(&[]));
        assert_eq!((over.notices().next().unwrap().kind, over.ended_acks.len()), (NoticeKind::Resolved, 1));
        assert!(over.book.acks.is_empty());
    }
}
