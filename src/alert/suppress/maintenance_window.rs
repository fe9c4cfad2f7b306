//! A recurring time in which people work on the server and want no notices of it.

use chrono::{DateTime, Utc};

use super::{Scene, Suppression};
use crate::alert::facts::Facts;
use crate::model::{DecideConfig, MaintenanceWindow, Reason};

/// A window that is open at some time, and when it ends.
pub(in crate::alert) type Open<'a> = (DateTime<Utc>, &'a MaintenanceWindow);

/// The windows that are open at a time. Asked once a tick, as a calendar is slow beside all else that an alert costs.
pub(in crate::alert) fn open(config: &DecideConfig, at: DateTime<Utc>) -> Vec<Open<'_>> {
    config.windows.iter().filter_map(|window| Some((window.window.contains(at)?, window))).collect()
}

/// The matching window that is open; of several the one that ends last, since notices wait for that.
pub(super) fn keeps_back(facts: &Facts<'_>, scene: &Scene<'_>, at: DateTime<Utc>) -> Option<Suppression> {
    let then = if at == scene.now { Vec::new() } else { open(scene.config, at) };
    let open = if at == scene.now { scene.open } else { &then };
    // `rev`: of equal ends the one written first.
    let matching = open.iter().rev().filter(|(_, window)| facts.match_all(&window.matchers));
    let (until, window) = matching.max_by_key(|(until, _)| *until)?;
    Some(Suppression { by: format!("window {}", window.name), reason: Reason::Window { name: window.name.clone(), until: *until } })
}

#[cfg(test)]
mod tests {
    use crate::alert::testing::*;
    use crate::calendar::{Form, Weekly, Window, parse_span};
    use crate::model::{Evaluation, MaintenanceWindow, Outcome, Severity};

    fn window(name: &str, start: &str, end: &str) -> MaintenanceWindow {
        let (start, end, all_day) = parse_span(start, end).unwrap();
        let window = Window::new(Form::Weekly(Weekly { days: vec![], start, end, all_day }), chrono_tz::UTC);
        MaintenanceWindow { name: name.into(), matchers: crate::model::Matchers::default(), window }
    }

    fn world(windows: Vec<MaintenanceWindow>) -> World {
        let mut world = World::new();
        world.config.windows = windows;
        world
    }

    #[test]
    fn what_begins_inside_is_told_once_after_it_and_says_so() {
        let mut world = world(vec![window("patch", "09:00", "10:02")]);
        let first = world.tick_delivered(seen(&["a"]));
        assert_eq!(said(&first), "inactive>firing (fires at once); mail: - (maintenance window `patch` until 2026-01-05 10:02Z)");
        assert_eq!(first.book.alerts.values().next().unwrap().suppressed_by.as_deref(), Some("window patch"));
        world.tick_delivered(seen(&["a"]));
        let after = world.tick_delivered(seen(&["a"]));
        assert_eq!(said(&after), "mail: firing (first notice of this episode)");
        assert_eq!(after.notices().next().unwrap().began_during.as_deref(), Some("window patch"));
        assert_eq!(after.book.alerts.values().next().unwrap().suppressed_by, None);
        assert_eq!(world.tick_delivered(seen(&["a"])).tellings, []);
    }

    #[test]
    fn what_ends_inside_and_was_never_told_is_never_told() {
        let mut world = world(vec![window("patch", "09:00", "10:02")]);
        assert_eq!(
            world.story([seen(&["a"]), seen(&[]), seen(&[])])[1..],
            ["firing>resolved (cleared); mail: - (the channel was never told of the firing)", "",]
        );
    }

    #[test]
    fn what_was_told_before_ends_inside_with_a_notice_and_is_not_marked_as_begun_there() {
        let mut world = world(vec![window("patch", "10:01", "11:30")]);
        let lines = world.story([seen(&["a"]), seen(&["a"]), seen(&[])]);
        assert_eq!(lines[1], "mail: - (maintenance window `patch` until 2026-01-05 11:30Z)");
        assert_eq!(lines[2], "firing>resolved (cleared); mail: resolved (the channel was told of the firing)");
        world.config.windows = vec![window("patch", "10:04", "10:05")];
        world.tick(seen(&["a"]));
        world.book.told = Default::default();
        world.tick(seen(&["a"]));
        let after = world.tick(seen(&["a"]));
        assert_eq!(
            (after.tellings.len(), after.notices().next().unwrap().began_during.as_deref()),
            (1, None),
            "it fired before the window"
        );
    }

    #[test]
    fn a_rise_inside_is_told_after_it() {
        let mut world = world(vec![window("patch", "10:01", "10:02")]);
        let critical = || Outcome::Ok(Evaluation { findings: vec![finding("a", Severity::Critical)], ..Evaluation::default() });
        let lines = world.story([seen(&["a"]), critical(), critical()]);
        assert_eq!(
            lines[1..],
            ["mail: - (maintenance window `patch` until 2026-01-05 10:02Z)", "mail: raised (severity rose from warning)"]
        );
    }

    #[test]
    fn only_matching_alerts_are_kept_back_and_the_window_that_ends_last_is_named() {
        let mut other = window("other tables", "09:00", "12:00");
        other.matchers = matching("table", "b");
        let mut world =
            world(vec![window("short", "09:00", "10:30"), other, window("long", "09:30", "11:00"), window("twin", "09:00", "11:00")]);
        assert!(said(&world.tick(seen(&["a"]))).ends_with("mail: - (maintenance window `long` until 2026-01-05 11:00Z)"));
        world.config.windows.truncate(2);
        world.config.windows.remove(0);
        assert_eq!(said(&world.tick(seen(&["a"]))), "mail: firing (first notice of this episode)");
    }

    #[test]
    fn pending_alerts_have_nothing_to_keep_back() {
        let mut world = world(vec![window("patch", "09:00", "12:00")]);
        world.rule.for_s = 600;
        let decision = world.tick(seen(&["a"]));
        assert_eq!(decision.records, []);
        assert_eq!(decision.book.alerts.values().next().unwrap().suppressed_by, None);
    }
}
