//! The outbox: order, groups, leases, collapsing.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::super::testing::{alert, at, dead, decision, delivered, notice, snapshot, two_handles};
use super::*;
use crate::model::{Group, NoticeKind};
use crate::store::NoticeState;

/// Queues notices `(key, episode, channel)`.
fn queue(store: &mut Store, s: i64, notices: &[(&str, &str, &str)]) {
    let notices: Vec<Notice> =
        notices.iter().map(|(key, episode, channel)| notice(key, &alert("f1", episode), channel, NoticeKind::Firing)).collect();
    store.commit_simply(&snapshot(s, &[]), &decision(&[], &notices)).unwrap();
}

fn lease(store: &mut Store, owner: &str, s: i64) -> Vec<(i64, String)> {
    store.lease_rows("mail", owner, s, 64).into_iter().map(|row| (row.id, row.notice.key)).collect()
}

fn keys(rows: &[(i64, String)]) -> Vec<&str> {
    rows.iter().map(|(_, key)| key.as_str()).collect()
}

/// Ends one row; whether it was this owner's.
fn end(store: &mut Store, row: i64, owner: &str, outcome: AttemptOutcome, s: i64) -> bool {
    store.finish(owner, &[(row, outcome)], None, at(s)).unwrap().is_empty()
}

#[test]
fn a_channel_hears_the_notices_of_an_episode_in_order() {
    let (_folder, mut store, _) = two_handles();
    queue(&mut store, 0, &[("begin", "e1", "mail"), ("other", "e2", "mail"), ("elsewhere", "e1", "log")]);
    queue(&mut store, 1, &[("end", "e1", "mail")]);
    let first = lease(&mut store, "me", 2);
    assert_eq!(keys(&first), ["begin", "other"]);
    end(&mut store, first[0].0, "me", AttemptOutcome::Retry { at: at(30), error: "busy".into() }, 3);
    assert_eq!(keys(&lease(&mut store, "me", 29)), Vec::<&str>::new());
    let again = lease(&mut store, "me", 30);
    assert_eq!(keys(&again), ["begin"]);
    end(&mut store, again[0].0, "me", dead("gone"), 31);
    assert_eq!(keys(&lease(&mut store, "me", 32)), ["end"]);
}

#[test]
fn two_senders_never_hold_the_same_row() {
    let (_folder, mut one, mut two) = two_handles();
    queue(&mut one, 0, &[("a", "e1", "mail"), ("b", "e2", "mail"), ("c", "e3", "mail")]);
    assert_eq!(one.lease_rows("mail", "one", 1, 2).len(), 2);
    assert_eq!(keys(&lease(&mut two, "two", 1)), ["c"]);
    assert_eq!(two.due_channels(at(1)).unwrap(), Vec::<String>::new());
}

#[test]
fn a_row_whose_sender_died_is_sent_again_under_the_same_key() {
    let (_folder, mut dead, mut living) = two_handles();
    queue(&mut dead, 0, &[("a", "e1", "mail")]);
    let held = lease(&mut dead, "dead", 1);
    assert_eq!(keys(&lease(&mut living, "living", 60)), Vec::<&str>::new());
    assert_eq!(living.due_channels(at(61)).unwrap(), ["mail"]);
    assert_eq!(lease(&mut living, "living", 61), held);
    assert!(!end(&mut dead, held[0].0, "dead", delivered(""), 62), "it comes too late");
    assert!(end(&mut living, held[0].0, "living", delivered(""), 63));
    assert!(!end(&mut living, held[0].0, "living", delivered(""), 64), "it is finished");
}

#[test]
fn the_rows_of_a_sender_that_is_known_to_be_dead_are_free_at_once() {
    let (_folder, mut dead, mut living) = two_handles();
    queue(&mut dead, 0, &[("a", "e1", "mail"), ("b", "e2", "mail")]);
    let held = dead.lease_rows("mail", "dead", 1, 1);
    assert_eq!(living.senders().unwrap(), ["dead"]);
    assert_eq!(living.free_rows_of("dead").unwrap(), 1);
    assert_eq!(keys(&lease(&mut living, "living", 2)), ["b", "a"]);
    assert!(!end(&mut dead, held[0].id, "dead", delivered(""), 3));
}

#[test]
fn a_slow_sender_may_finish_while_nobody_else_took_the_row() {
    let (_folder, mut store, _) = two_handles();
    queue(&mut store, 0, &[("a", "e1", "mail")]);
    let held = lease(&mut store, "slow", 1);
    assert!(end(&mut store, held[0].0, "slow", delivered(""), 500));
    assert_eq!(store.outbox_counts().unwrap()["mail"].delivered, 1);
}

#[test]
fn what_was_not_tried_is_due_as_before_and_counts_no_attempt() {
    let (_folder, mut store, _) = two_handles();
    queue(&mut store, 0, &[("a", "e1", "mail")]);
    let rows = store.lease_rows("mail", "me", 1, 64);
    assert_eq!(rows[0].attempts, 1);
    end(&mut store, rows[0].id, "me", AttemptOutcome::Untried, 1);
    assert_eq!(store.lease_rows("mail", "me", 1, 64), rows);
}

#[test]
fn rows_that_fail_again_and_again_let_fresh_ones_pass() {
    let (_folder, mut store, _) = two_handles();
    queue(&mut store, 0, &[("poison", "e1", "mail")]);
    let row = lease(&mut store, "me", 1)[0].0;
    end(&mut store, row, "me", AttemptOutcome::Retry { at: at(2), error: "no".into() }, 1);
    queue(&mut store, 3, &[("fresh", "e2", "mail")]);
    assert_eq!(keys(&lease(&mut store, "me", 4)), ["fresh", "poison"]);
}

#[test]
fn the_same_key_is_the_same_notice() {
    let (_folder, mut store, _) = two_handles();
    queue(&mut store, 0, &[("a", "e1", "mail")]);
    queue(&mut store, 1, &[("a", "e1", "mail")]);
    assert_eq!(store.outbox_counts().unwrap()["mail"].waiting, 1);
}

#[test]
fn a_stored_notice_that_cannot_be_read_is_given_up_and_the_next_goes_on() {
    let (_folder, mut store, _) = two_handles();
    queue(&mut store, 0, &[("a", "e1", "mail"), ("b", "e2", "mail")]);
    store.db.execute("UPDATE outbox SET body = '{}' WHERE key = 'a'", []).unwrap();
    assert_eq!(keys(&lease(&mut store, "me", 1)), ["b"]);
    assert_eq!(store.outbox_counts().unwrap()["mail"].dead, 1);
}

#[test]
fn a_clock_set_back_does_not_hold_notices_for_years() {
    let (_folder, mut store, _) = two_handles();
    queue(&mut store, 1_000_000, &[("a", "e1", "mail")]);
    assert_eq!(keys(&lease(&mut store, "me", 1_000_001)), ["a"]);
    assert_eq!(keys(&lease(&mut store, "you", 5)), ["a"]);
}

#[test]
fn counts_say_what_waits_since_when_and_why() {
    let (_folder, mut store, _) = two_handles();
    queue(&mut store, 7, &[("a", "e1", "mail"), ("b", "e2", "mail")]);
    let row = lease(&mut store, "me", 8)[0].0;
    end(&mut store, row, "me", AttemptOutcome::Retry { at: at(60), error: "421 try later".into() }, 9);
    let expected =
        ChannelCounts { waiting: 2, oldest_waiting: Some(at(7)), waiting_error: Some("421 try later".into()), ..ChannelCounts::default() };
    assert_eq!(store.outbox_counts().unwrap(), [("mail".to_string(), expected)].into());
}

/// A notice of a group that waits 30 s for others and 300 s between messages.
fn grouped(key: &str, episode: &str, kind: NoticeKind) -> Notice {
    let group = Group { key: "g".into(), wait_s: 30, interval_s: 300, ..Group::default() };
    Notice { group, ..notice(key, &alert("f1", episode), "mail", kind) }
}

fn commit(store: &mut Store, s: i64, notices: &[Notice]) {
    store.commit_simply(&snapshot(s, &[]), &decision(&[], notices)).unwrap();
}

/// The keys of each message that is due.
fn messages(store: &mut Store, s: i64, most: usize) -> Vec<Vec<String>> {
    batches(store, s, most).into_iter().map(|batch| batch.rows.into_iter().map(|row| row.notice.key).collect()).collect()
}

fn batches(store: &mut Store, s: i64, most: usize) -> Vec<Batch> {
    let (channel, owner, messages) = ("mail", "me", 64);
    store.lease_messages(&LeaseRequest { channel, owner, now: at(s), messages, most, ttl_s: 60, critical: false }).unwrap()
}

/// Each notice of the alert `f1` and where it stands.
fn states(store: &Store) -> Vec<(String, &'static str)> {
    let word = |state| match state {
        NoticeState::Waiting { .. } => "waiting",
        NoticeState::Delivered { .. } => "delivered",
        NoticeState::Dead { .. } => "dead",
        NoticeState::Collapsed { .. } => "collapsed",
        NoticeState::Handed { .. } => "handed",
    };
    store.notices_of("f1").unwrap().into_iter().map(|sent| (sent.notice.key, word(sent.state))).collect()
}

fn stand(list: &[(&str, &'static str)]) -> Vec<(String, &'static str)> {
    list.iter().map(|(key, state)| ((*key).to_string(), *state)).collect()
}

#[test]
fn a_group_goes_out_as_one_message_when_its_wait_is_over_and_then_at_its_interval() {
    let (_folder, mut store, _) = two_handles();
    commit(&mut store, 0, &[grouped("a", "e1", NoticeKind::Firing), grouped("b", "e2", NoticeKind::Firing)]);
    commit(&mut store, 20, &[grouped("c", "e3", NoticeKind::Firing)]);
    assert!(messages(&mut store, 29, 64).is_empty());
    let first = batches(&mut store, 30, 64);
    assert_eq!(first[0].rows.iter().map(|row| row.notice.key.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
    commit(&mut store, 31, &[grouped("u", "e4", NoticeKind::Escalated)]);
    assert!(messages(&mut store, 31, 64).is_empty(), "the group has a message under way");
    let handle = AttemptOutcome::Delivered { receipt: String::new(), handle: Some("thread".into()) };
    let ended: Vec<_> = first[0].rows.iter().map(|row| (row.id, handle.clone())).collect();
    store.finish("me", &ended, None, at(32)).unwrap();
    let urgent = batches(&mut store, 32, 64);
    assert_eq!((urgent[0].rows[0].notice.key.as_str(), urgent[0].previous.as_deref()), ("u", Some("thread")));
    end(&mut store, urgent[0].rows[0].id, "me", delivered(""), 32);
    commit(&mut store, 40, &[grouped("d", "e5", NoticeKind::Firing)]);
    assert!(messages(&mut store, 331, 64).is_empty());
    assert_eq!(messages(&mut store, 332, 64), [["d"]]);
}

#[test]
fn what_is_urgent_takes_the_waiting_of_its_group_along() {
    let (_folder, mut store, _) = two_handles();
    commit(&mut store, 0, &[grouped("a", "e1", NoticeKind::Firing)]);
    commit(&mut store, 5, &[grouped("u", "e2", NoticeKind::Raised)]);
    assert_eq!(messages(&mut store, 5, 64), [["a", "u"]]);
}

#[test]
fn a_message_holds_no_more_than_it_may_and_what_was_lost_comes_again_as_it_was() {
    let (_folder, mut store, _) = two_handles();
    let firing = |key: &str| grouped(key, key, NoticeKind::Firing);
    commit(&mut store, 0, &[firing("a"), firing("b"), firing("c")]);
    assert_eq!(messages(&mut store, 30, 2), [["a", "b"]]);
    commit(&mut store, 50, &[firing("d")]);
    assert_eq!(messages(&mut store, 91, 4), [["c", "d"]], "the lease of the first has run out; those tried least come first");
    assert_eq!(messages(&mut store, 152, 4), [["a", "b", "c", "d"]], "both senders died");
}

#[test]
fn the_thread_of_an_episode_is_known_to_its_later_notices() {
    let (_folder, mut store, _) = two_handles();
    queue(&mut store, 0, &[("begin", "e1", "mail")]);
    assert_eq!(batches(&mut store, 1, 1)[0].previous, None);
    let row = store.notices_of("f1").unwrap()[0].row;
    end(&mut store, row, "me", AttemptOutcome::Delivered { receipt: String::new(), handle: Some("ts 1".into()) }, 1);
    queue(&mut store, 2, &[("again", "e1", "mail"), ("other", "e2", "mail")]);
    let previous: Vec<_> = batches(&mut store, 3, 1).into_iter().map(|batch| batch.previous).collect();
    assert_eq!(previous, [Some("ts 1".to_string()), None]);
}

#[test]
fn an_end_makes_needless_what_was_never_tried_and_itself_when_nothing_was() {
    let (_folder, mut store, _) = two_handles();
    let ended = |episode: &str| notice(&format!("end of {episode}"), &alert("f1", episode), "mail", NoticeKind::Resolved);
    queue(&mut store, 0, &[("tried", "e1", "mail")]);
    let row = lease(&mut store, "me", 1)[0].0;
    end(&mut store, row, "me", AttemptOutcome::Retry { at: at(500), error: "504".into() }, 1);
    queue(&mut store, 2, &[("raised", "e1", "mail"), ("fresh", "e2", "mail")]);
    commit(&mut store, 3, &[ended("e1"), ended("e2")]);
    let expected =
        [("tried", "waiting"), ("raised", "collapsed"), ("fresh", "collapsed"), ("end of e1", "waiting"), ("end of e2", "collapsed")];
    assert_eq!(states(&store), stand(&expected));
    assert_eq!(keys(&lease(&mut store, "me", 501)), ["tried"]);
}

#[test]
fn the_end_behind_a_beginning_that_was_given_up_goes_the_same_way() {
    for (fallback, expected) in [
        (None, stand(&[("a", "dead"), ("end", "collapsed")])),
        (Some("chat".to_string()), stand(&[("a", "dead"), ("end", "handed"), ("a~chat", "waiting"), ("end~chat", "waiting")])),
    ] {
        let (_folder, mut store, _) = two_handles();
        queue(&mut store, 0, &[("a", "e1", "mail")]);
        let row = lease(&mut store, "me", 1)[0].0;
        commit(&mut store, 2, &[notice("end", &alert("f1", "e1"), "mail", NoticeKind::Resolved)]);
        end(&mut store, row, "me", AttemptOutcome::Dead { error: "404".into(), fallback }, 3);
        assert_eq!(states(&store), expected);
    }
}

#[test]
fn what_one_channel_cannot_be_told_its_fallback_is_told_in_order_and_never_in_circles() {
    let (_folder, mut store, _) = two_handles();
    queue(&mut store, 0, &[("a", "e1", "mail"), ("b", "e1", "mail"), ("c", "e2", "mail")]);
    let flying = store.lease_rows("mail", "me", 1, 2);
    assert_eq!(flying.iter().map(|row| row.notice.key.as_str()).collect::<Vec<_>>(), ["a", "c"]);
    assert_eq!(store.hand_over("mail", "chat", "it is paused", at(2)).unwrap(), 1, "what is in flight stays");
    assert_eq!(store.hand_over("mail", "chat", "it is paused", at(62)).unwrap(), 2);
    let handed = store.lease_rows("chat", "me", 63, 64);
    assert_eq!(handed.iter().map(|row| row.notice.key.as_str()).collect::<Vec<_>>(), ["b~chat", "c~chat"]);
    assert!(handed.iter().all(|row| row.notice.fallback_of.as_deref() == Some("mail") && row.notice.channel == "chat"));
    for to in ["mail", "chat"] {
        let (_folder, mut store, _) = two_handles();
        queue(&mut store, 0, &[("a", "e1", "mail")]);
        store.hand_over("mail", "chat", "", at(1)).unwrap();
        store.hand_over("chat", to, "", at(2)).unwrap();
        assert_eq!(states(&store).len(), 2, "`{to}` knows of it already");
    }
}

#[test]
fn what_was_given_up_is_brought_back_unless_it_would_open_what_is_over() {
    let (_folder, mut store, _) = two_handles();
    let living = alert("f1", "e1");
    let tell = [
        notice("living", &living, "mail", NoticeKind::Firing),
        notice("over", &alert("f1", "e0"), "mail", NoticeKind::Firing),
        notice("elsewhere", &living, "log", NoticeKind::Firing),
    ];
    store.commit_simply(&snapshot(0, &[]), &decision(std::slice::from_ref(&living), &tell)).unwrap();
    assert_eq!(store.end_due("mail", 1, &dead("404")) + store.end_due("log", 1, &dead("disk full")), 3);
    let mail = DeadFilter { channel: Some("mail".into()), ..DeadFilter::default() };
    let letters = store.dead_letters(&mail).unwrap();
    assert_eq!(letters.iter().map(|sent| sent.notice.key.as_str()).collect::<Vec<_>>(), ["living", "over"]);
    assert_eq!(store.redrive(&DeadFilter { key: Some("liv".into()), since: Some(at(2)), ..mail.clone() }, at(5)).unwrap(), 0);
    assert_eq!(store.redrive(&mail, at(5)).unwrap(), 1);
    assert_eq!(states(&store), stand(&[("living", "waiting"), ("over", "dead"), ("elsewhere", "dead")]));
    assert_eq!(store.lease_rows("mail", "me", 5, 64)[0].attempts, 1);
}

#[test]
fn a_notice_that_was_given_up_and_is_decided_again_is_tried_again_an_hour_later() {
    let (_folder, mut store, _) = two_handles();
    queue(&mut store, 0, &[("a", "e1", "mail")]);
    store.end_due("mail", 1, &dead("404"));
    queue(&mut store, 3_600, &[("a", "e1", "mail")]);
    assert_eq!(states(&store), stand(&[("a", "dead")]));
    queue(&mut store, 3_601, &[("a", "e1", "mail")]);
    assert_eq!(states(&store), stand(&[("a", "waiting")]));
}

#[test]
fn critical_ones_can_be_leased_before_the_others() {
    let (_folder, mut store, _) = two_handles();
    let critical = Notice { severity: crate::model::Severity::Critical, ..notice("worst", &alert("f1", "e2"), "mail", NoticeKind::Firing) };
    commit(&mut store, 0, &[notice("mild", &alert("f1", "e1"), "mail", NoticeKind::Firing), critical]);
    let ask = LeaseRequest { channel: "mail", owner: "me", now: at(1), messages: 64, most: 1, ttl_s: 60, critical: true };
    let leased = store.lease_messages(&ask).unwrap();
    assert_eq!(leased.iter().map(|batch| batch.rows[0].notice.key.as_str()).collect::<Vec<_>>(), ["worst"]);
}

#[test]
fn channels_with_something_due_and_the_next_time_are_found() {
    let (_folder, mut store, _) = two_handles();
    assert_eq!((store.due_channels(at(0)).unwrap(), store.next_due(at(0)).unwrap()), (vec![], None));
    queue(&mut store, 0, &[("a", "e1", "log"), ("b", "e2", "mail"), ("c", "e3", "pager")]);
    let later = AttemptOutcome::Retry { at: at(40), error: "503".into() };
    store.end_due("log", 1, &later);
    assert_eq!(store.due_channels(at(2)).unwrap(), ["mail", "pager"]);
    assert_eq!(store.next_due(at(2)).unwrap(), Some(at(40)));
    assert_eq!(store.due_channels(at(40)).unwrap(), ["log", "mail", "pager"]);
}

#[derive(Debug, Clone)]
enum Step {
    Queue { episode: u8 },
    Lease { owner: bool, limit: usize },
    Finish { owner: bool, nth: usize, how: u8 },
    Wait { s: i64 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (0u8..3).prop_map(|episode| Step::Queue { episode }),
        (any::<bool>(), 1usize..4).prop_map(|(owner, limit)| Step::Lease { owner, limit }),
        (any::<bool>(), 0usize..3, 0u8..4).prop_map(|(owner, nth, how)| Step::Finish { owner, nth, how }),
        (1i64..50).prop_map(|s| Step::Wait { s }),
    ];
    proptest::collection::vec(step, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Two senders, with crashes (a lease that is never finished) and waits in between.
    #[test]
    fn whatever_happens_order_holds_and_nothing_is_lost_or_held_twice(steps in steps()) {
        let (_folder, mut store, _) = two_handles();
        let (mut now, mut queued) = (0i64, Vec::<(String, String)>::new());
        let mut held: [Vec<(i64, String)>; 2] = [vec![], vec![]];
        let mut done: BTreeSet<String> = BTreeSet::new();
        for step in steps {
            match step {
                Step::Queue { episode } => {
                    let (key, episode) = (format!("k{:03}", queued.len()), format!("e{episode}"));
                    queue(&mut store, now, &[(&key, &episode, "mail")]);
                    queued.push((key, episode));
                }
                Step::Lease { owner, limit } => {
                    let rows = store.lease_rows("mail", ["one", "two"][usize::from(owner)], now, limit);
                    for row in rows {
                        let episode = &row.notice.episode;
                        let earlier = queued.iter().filter(|(key, e)| e == episode && *key < row.notice.key);
                        prop_assert!(earlier.clone().all(|(key, _)| done.contains(key)), "{} before {earlier:?}", row.notice.key);
                        prop_assert!(!done.contains(&row.notice.key), "{} was finished", row.notice.key);
                        held[usize::from(!owner)].retain(|(id, _)| *id != row.id);
                        held[usize::from(owner)].retain(|(id, _)| *id != row.id);
                        held[usize::from(owner)].push((row.id, row.notice.key));
                    }
                }
                Step::Finish { owner, nth, how } => {
                    let mine = &mut held[usize::from(owner)];
                    if nth < mine.len() {
                        let (id, key) = mine.remove(nth);
                        let outcome = match how {
                            0 => delivered(""),
                            1 => dead("dead"),
                            2 => AttemptOutcome::Retry { at: at(now + 5), error: "later".into() },
                            _ => AttemptOutcome::Untried,
                        };
                        prop_assert!(end(&mut store, id, ["one", "two"][usize::from(owner)], outcome, now));
                        if how < 2 {
                            done.insert(key);
                        }
                    }
                }
                Step::Wait { s } => now += s,
            }
        }
        // Whoever comes last can finish everything.
        for _ in 0..queued.len() {
            now += 100;
            for row in store.lease_rows("mail", "last", now, 64) {
                prop_assert!(end(&mut store, row.id, "last", delivered(""), now));
                prop_assert!(done.insert(row.notice.key));
            }
        }
        prop_assert_eq!(done.len(), queued.len());
    }
}
