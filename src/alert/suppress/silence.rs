//! A silence: somebody has said that these alerts are to be quiet for a time.

use chrono::{DateTime, Utc};

use super::{Scene, Suppression};
use crate::alert::facts::Facts;
use crate::model::{Reason, Silence};

/// The matching silence that is active; of several the one that ends last, since notices wait for that.
pub(super) fn keeps_back(facts: &Facts<'_>, scene: &Scene<'_>, at: DateTime<Utc>) -> Option<Suppression> {
    let all = scene.config.silences.iter().chain(&scene.book.silences);
    let matching = all.filter(|silence| silence.is_active(at) && facts.match_all(&silence.matchers));
    let silence: &Silence = matching.max_by_key(|silence| silence.ends_at)?;
    let reason = Reason::Silenced { id: silence.id.clone(), author: silence.author.clone(), until: silence.ends_at };
    Some(Suppression { by: format!("silence {}", silence.id), reason })
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use crate::alert::testing::*;
    use crate::model::Silence;

    fn silence(id: &str, matchers: &str, minutes: i64) -> Silence {
        Silence {
            id: id.into(),
            matchers: matchers.parse().unwrap(),
            starts_at: start(),
            ends_at: start() + TimeDelta::minutes(minutes),
            author: "ann".into(),
            reason: "deploy".into(),
            link: None,
            expire_on_resolve: false,
            created_at: start(),
            ended: None,
        }
    }

    #[test]
    fn what_begins_silenced_is_told_once_after_it_and_says_so() {
        let mut world = World::new();
        world.book.silences = vec![silence("s1", "table=a", 2)];
        let lines = world.story([seen(&["a", "b"]), seen(&["a", "b"])]);
        assert!(lines[0].contains("mail: - (silence s1 by ann until 2026-01-05 10:02Z)"), "{}", lines[0]);
        assert!(lines[0].contains("mail: firing (first notice of this episode)"), "the other table is told");
        let after = world.tick_delivered(seen(&["a", "b"]));
        assert_eq!((after.tellings.len(), after.notices().next().unwrap().began_during.as_deref()), (1, Some("silence s1")));
    }

    #[test]
    fn the_end_of_what_was_told_is_told_although_it_is_silenced() {
        let mut world = World::new();
        world.tick_delivered(seen(&["a"]));
        world.book.silences = vec![silence("s1", "table=a", 60)];
        let lines = world.story([seen(&["a"]), seen(&[])]);
        assert!(lines[1].contains("mail: resolved"), "{lines:?}");
    }

    #[test]
    fn one_that_expires_on_resolve_ends_with_the_last_alert_it_kept_back() {
        let mut world = World::new();
        world.book.silences = vec![Silence { expire_on_resolve: true, ..silence("s1", r#"table=~"a|b""#, 600) }];
        world.tick(seen(&["a", "b", "c"]));
        assert_eq!(world.tick(seen(&["b", "c"])).ended_silences, []);
        let ended = world.tick(seen(&["c"])).ended_silences;
        assert_eq!((ended.len(), ended[0].0.as_str()), (1, "s1"));
        assert_eq!(world.tick(seen(&["c"])).ended_silences, [], "it matches nothing that ends");
    }

    #[test]
    fn silences_of_the_config_count_as_well_and_one_that_was_ended_does_not() {
        let mut world = World::new();
        world.config.silences = vec![silence("written", "rule=dead_rows", 60)];
        world.book.silences = vec![Silence { ended: Some((start(), "done".into())), ..silence("s1", "table=a", 90) }];
        assert!(world.story([seen(&["a"])])[0].contains("silence written by ann"));
    }
}
