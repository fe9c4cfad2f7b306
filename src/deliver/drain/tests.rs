//! Deliveries, with channels that do as they are told.

use std::collections::VecDeque;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::super::channels::Rate;
use super::super::testing::at;
use super::super::{Channel, Message, Receipt, SendError};
use super::*;
use crate::model::{Decision, Evidence, Notice, NoticeKind, Severity, Unit};
use crate::store::testing::{alert, decision, delivered, frame, notice, snapshot};
use crate::store::{ChannelCounts, NoticeState};

const PLENTY: DrainBudget = DrainBudget { rows: 1_000, time: Duration::from_secs(3_600) };

/// Answers as it was told to, then always takes everything. Keeps the keys it was given.
#[derive(Default)]
struct Scripted {
    answers: Mutex<VecDeque<Answer>>,
    seen: Mutex<Vec<String>>,
    /// Readings of the trends it was given.
    drawn: Mutex<Vec<usize>>,
}

enum Answer {
    Take,
    Fail(SendError),
    Hang,
}

impl Scripted {
    fn new(answers: impl IntoIterator<Item = Answer>) -> Arc<Self> {
        Arc::new(Self { answers: Mutex::new(answers.into_iter().collect()), ..Self::default() })
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

impl Channel for Scripted {
    fn name(&self) -> &str {
        "scripted"
    }

    fn kind(&self) -> &'static str {
        "scripted"
    }

    fn send<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<Receipt, SendError>> {
        self.seen.lock().unwrap().push(message.key.clone());
        self.drawn.lock().unwrap().extend(message.trends.iter().map(|trend| trend.points.len()));
        let answer = self.answers.lock().unwrap().pop_front().unwrap_or(Answer::Take);
        Box::pin(async move {
            match answer {
                Answer::Take => Ok(Receipt::new("taken")),
                Answer::Fail(error) => Err(error),
                Answer::Hang => std::future::pending().await,
            }
        })
    }
}

fn fail(times: usize) -> impl Iterator<Item = Answer> {
    (0..times).map(|_| Answer::Fail(SendError::retryable("503")))
}

/// A store with notices `(key, episode, channel)`, and a clock that starts one second later.
fn house(notices: &[(&str, &str, &str)]) -> (tempfile::TempDir, Mutex<Store>, Clock) {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(&folder.path().join("store.db")).unwrap();
    let notices: Vec<Notice> =
        notices.iter().map(|(key, episode, channel)| notice(key, &alert("f1", episode), channel, NoticeKind::Firing)).collect();
    store.commit_simply(&snapshot(0, &[]), &decision(&[], &notices)).unwrap();
    (folder, Mutex::new(store), Clock::starting_at(at(1)))
}

fn channels(list: &[(&str, &Arc<Scripted>)]) -> BTreeMap<String, Line> {
    list.iter().map(|(name, channel)| (name.to_string(), Line::plain(Arc::clone(channel) as Arc<dyn Channel>))).collect()
}

fn post<'a>(store: &'a Mutex<Store>, lines: &'a BTreeMap<String, Line>, owner: &'a str, clock: &'a Clock, seed: u64) -> Post<'a> {
    Post { store, lines, owner, clock, seed }
}

fn counts(store: &Mutex<Store>, channel: &str) -> ChannelCounts {
    store.lock().unwrap().outbox_counts().unwrap().remove(channel).unwrap()
}

#[tokio::test(start_paused = true)]
async fn what_is_due_is_told_once_in_order_with_its_receipt() {
    let (_folder, store, clock) = house(&[("a", "e1", "log"), ("b", "e1", "log"), ("c", "e2", "log")]);
    let log = Scripted::new([]);
    let report = post(&store, &channels(&[("log", &log)]), "me", &clock, 0).drain(PLENTY).await;
    assert_eq!((report.delivered, report.retried, report.dead), (3, 0, 0));
    assert_eq!(log.seen(), ["a", "c", "b"]);
    let told = store.lock().unwrap().notices_of("f1").unwrap();
    assert!(told.iter().all(|n| n.state == NoticeState::Delivered { at: at(1), receipt: "taken".into() }), "{told:?}");
    let again = post(&store, &channels(&[("log", &log)]), "me", &clock, 0).drain(PLENTY).await;
    assert_eq!(again.delivered, 0);
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_hangs_does_not_keep_another_waiting() {
    let (_folder, store, clock) = house(&[("slow", "e1", "mail"), ("quick", "e1", "log")]);
    let (mail, log) = (Scripted::new([Answer::Hang]), Scripted::new([]));
    let channels = channels(&[("mail", &mail), ("log", &log)]);
    let report = post(&store, &channels, "me", &clock, 0).drain(PLENTY).await;
    assert_eq!((report.delivered, report.retried), (1, 1));
    assert_eq!(report.failed["mail"], "no answer within 30 s");
    let told = store.lock().unwrap().notices_of("f1").unwrap();
    assert_eq!(told[1].state, NoticeState::Delivered { at: at(1), receipt: "taken".into() }, "before the other timed out");
    tokio::time::advance(Duration::from_secs(300)).await;
    assert_eq!(post(&store, &channels, "me", &clock, 0).drain(PLENTY).await.delivered, 1);
    assert_eq!(mail.seen(), ["slow", "slow"], "tried again under the same key");
}

#[tokio::test(start_paused = true)]
async fn a_failing_channel_rests_after_some_tries_and_later_catches_up() {
    let many: Vec<(String, String)> = (0..20).map(|n| (format!("k{n:02}"), format!("e{n}"))).collect();
    let notices: Vec<(&str, &str, &str)> = many.iter().map(|(key, episode)| (key.as_str(), episode.as_str(), "mail")).collect();
    let (_folder, store, clock) = house(&notices);
    let mail = Scripted::new(fail(12));
    let channels = channels(&[("mail", &mail)]);
    let report = post(&store, &channels, "me", &clock, 0).drain(PLENTY).await;
    assert_eq!((report.delivered, report.retried), (0, 12));
    assert_eq!(mail.seen().len(), 12, "the seven that were under way when the fifth failed, and no more");
    assert_eq!(post(&store, &channels, "me", &clock, 0).drain(PLENTY).await.retried, 0, "it rests");
    assert_eq!(counts(&store, "mail").waiting, 20);
    tokio::time::advance(Duration::from_secs(300)).await;
    assert_eq!(post(&store, &channels, "me", &clock, 0).drain(PLENTY).await.delivered, 20);
}

#[tokio::test(start_paused = true)]
async fn a_refused_login_pauses_the_channel_and_keeps_its_rows() {
    let (_folder, store, clock) = house(&[("a", "e1", "mail"), ("b", "e2", "mail"), ("c", "e1", "log")]);
    let refused = || Answer::Fail(SendError::Auth { detail: "535 who are you".into() });
    let (mail, log) = (Scripted::new([refused(), refused()]), Scripted::new([]));
    let channels = channels(&[("mail", &mail), ("log", &log)]);
    let report = post(&store, &channels, "me", &clock, 0).drain(PLENTY).await;
    assert_eq!((report.paused, report.delivered), (["mail".to_string()].into(), 1));
    assert_eq!(mail.seen(), ["a", "b"]);
    tokio::time::advance(Duration::from_secs(30 * 86_400)).await;
    assert_eq!(post(&store, &channels, "me", &clock, 0).drain(PLENTY).await.dead, 0, "somebody has to mend it first");
    assert_eq!(mail.seen().len(), 2, "and says so");
    assert!(store.lock().unwrap().resume_channel("mail", clock.now()).unwrap());
    assert_eq!(post(&store, &channels, "me", &clock, 0).drain(PLENTY).await.delivered, 2);
}

/// Channels, the first of which has that rate.
fn limited(list: &[(&str, &Arc<Scripted>)], count: u32, digest: bool) -> BTreeMap<String, Line> {
    let mut lines = channels(list);
    let line = lines.get_mut(list[0].0).unwrap();
    line.rate = Some(Rate { count, per_s: 60 });
    line.traits.digest = digest;
    lines
}

fn many(count: usize) -> Vec<(String, String)> {
    (0..count).map(|n| (format!("k{n:02}"), format!("e{n}"))).collect()
}

fn on<'a>(channel: &'a str, many: &'a [(String, String)]) -> Vec<(&'a str, &'a str, &'a str)> {
    many.iter().map(|(key, episode)| (key.as_str(), episode.as_str(), channel)).collect()
}

#[tokio::test(start_paused = true)]
async fn what_is_over_the_rate_waits_and_goes_out_as_the_rate_allows() {
    let many = many(20);
    let (_folder, store, clock) = house(&on("mail", &many));
    let mail = Scripted::new([]);
    let lines = limited(&[("mail", &mail)], 6, false);
    assert_eq!(post(&store, &lines, "me", &clock, 0).drain(PLENTY).await.delivered, 4, "a third is kept for what is critical");
    assert_eq!(post(&store, &lines, "me", &clock, 0).drain(PLENTY).await.delivered, 0);
    tokio::time::advance(Duration::from_secs(20)).await;
    assert_eq!(post(&store, &lines, "me", &clock, 0).drain(PLENTY).await.delivered, 2);
    assert_eq!(counts(&store, "mail").waiting, 14);
}

#[tokio::test(start_paused = true)]
async fn where_the_receiver_understands_digests_nothing_waits_for_the_rate() {
    let many = many(100);
    let (_folder, store, clock) = house(&on("mail", &many));
    let mail = Scripted::new([]);
    let lines = limited(&[("mail", &mail)], 6, true);
    let report = post(&store, &lines, "me", &clock, 0).drain(PLENTY).await;
    assert_eq!((report.delivered, mail.seen().len()), (100, 4), "three by themselves and one for the other 97");
}

/// Commits critical notices.
fn add_critical(store: &Mutex<Store>, s: i64, keys: std::ops::Range<usize>) {
    let critical = |n: usize| Notice {
        severity: Severity::Critical,
        ..notice(&format!("c{n}"), &alert("f2", &format!("c{n}")), "mail", NoticeKind::Firing)
    };
    let critical: Vec<Notice> = keys.map(critical).collect();
    store.lock().unwrap().commit_simply(&snapshot(s, &[]), &decision(&[], &critical)).unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_is_critical_and_over_the_rate_becomes_a_digest_with_the_rest() {
    let (_folder, store, clock) = house(&on("mail", &many(20)));
    add_critical(&store, 1, 0..30);
    let mail = Scripted::new([]);
    let lines = limited(&[("mail", &mail)], 6, true);
    let report = post(&store, &lines, "me", &clock, 0).drain(PLENTY).await;
    assert_eq!((report.delivered, mail.seen().len()), (50, 6), "five by themselves and one for all others");
    assert_eq!(mail.seen()[..5], ["c0", "c1", "c2", "c3", "c4"]);
    add_critical(&store, 2, 30..60);
    assert_eq!(post(&store, &lines, "me", &clock, 0).drain(PLENTY).await.delivered, 0, "the rate is used up");
    tokio::time::advance(Duration::from_secs(10)).await;
    assert_eq!(post(&store, &lines, "me", &clock, 0).drain(PLENTY).await.delivered, 30);
    assert_eq!(mail.seen().len(), 7, "all in one message");
}

#[tokio::test(start_paused = true)]
async fn a_receiver_of_single_alerts_gets_critical_ones_one_by_one() {
    let (_folder, store, clock) = house(&[]);
    add_critical(&store, 1, 0..30);
    let pager = Scripted::new([]);
    let lines = limited(&[("mail", &pager)], 6, false);
    assert_eq!(post(&store, &lines, "me", &clock, 0).drain(PLENTY).await.delivered, 6);
    assert_eq!((pager.seen().len(), counts(&store, "mail").waiting), (6, 24));
}

#[tokio::test(start_paused = true)]
async fn what_is_critical_has_its_share_of_the_rate() {
    let (_folder, store, clock) = house(&on("mail", &many(9)));
    let mail = Scripted::new([]);
    let lines = limited(&[("mail", &mail)], 6, false);
    post(&store, &lines, "me", &clock, 0).drain(PLENTY).await;
    let critical = Notice { severity: Severity::Critical, ..notice("worst", &alert("f2", "e99"), "mail", NoticeKind::Firing) };
    store.lock().unwrap().commit_simply(&snapshot(1, &[]), &decision(&[], &[critical])).unwrap();
    assert_eq!(post(&store, &lines, "me", &clock, 0).drain(PLENTY).await.delivered, 1);
    assert_eq!(mail.seen().last().map(String::as_str), Some("worst"));
}

fn with_fallback(mail: &Arc<Scripted>, chat: &Arc<Scripted>) -> BTreeMap<String, Line> {
    let mut lines = channels(&[("mail", mail), ("chat", chat)]);
    lines.get_mut("mail").unwrap().fallback = Some("chat".into());
    lines
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_is_told_to_the_fallback_in_the_same_drain() {
    let (_folder, store, clock) = house(&[("a", "e1", "mail")]);
    let (mail, chat) = (Scripted::new([Answer::Fail(SendError::Permanent { detail: "550 no such user".into() })]), Scripted::new([]));
    let report = post(&store, &with_fallback(&mail, &chat), "me", &clock, 0).drain(PLENTY).await;
    assert_eq!((report.dead, report.handed, report.delivered), (1, 1, 1));
    assert_eq!(chat.seen(), ["a~chat"]);
}

#[tokio::test(start_paused = true)]
async fn after_five_minutes_of_trouble_the_fallback_is_told_and_before_not() {
    let many = many(12);
    let (_folder, store, clock) = house(&on("mail", &many));
    let (mail, chat) = (Scripted::new(fail(10_000)), Scripted::new([]));
    let lines = with_fallback(&mail, &chat);
    let mut passed = 0;
    while chat.seen().is_empty() && passed < 900 {
        post(&store, &lines, "me", &clock, 0).drain(PLENTY).await;
        tokio::time::advance(Duration::from_secs(1)).await;
        passed += 1;
    }
    assert!((300..=310).contains(&passed), "{passed} s");
    assert_eq!(chat.seen().len(), 12);
    let tries = mail.seen().len();
    assert!(tries < 20, "a channel that rests is only tried now and then: {tries} tries");
}

#[tokio::test(start_paused = true)]
async fn a_paused_channel_hands_over_what_comes_later_too() {
    let (_folder, store, clock) = house(&[("a", "e1", "mail")]);
    let (mail, chat) = (Scripted::new([Answer::Fail(SendError::Auth { detail: "401".into() })]), Scripted::new([]));
    let lines = with_fallback(&mail, &chat);
    assert_eq!(post(&store, &lines, "me", &clock, 0).drain(PLENTY).await.handed, 0);
    tokio::time::advance(Duration::from_secs(301)).await;
    assert_eq!(post(&store, &lines, "me", &clock, 0).drain(PLENTY).await.delivered, 1);
    let later = notice("b", &alert("f1", "e2"), "mail", NoticeKind::Firing);
    store.lock().unwrap().commit_simply(&snapshot(302, &[]), &decision(&[], &[later])).unwrap();
    assert_eq!(post(&store, &lines, "me", &clock, 0).drain(PLENTY).await.delivered, 1);
    assert_eq!(chat.seen(), ["a~chat", "b~chat"]);
}

#[tokio::test(start_paused = true)]
async fn rows_of_a_channel_that_left_the_config_are_given_up_with_that_reason() {
    let (_folder, store, clock) = house(&[("a", "e1", "old"), ("b", "e2", "old"), ("c", "e3", "old"), ("d", "e4", "old")]);
    let report = post(&store, &BTreeMap::new(), "me", &clock, 0).drain(PLENTY).await;
    assert_eq!(report.dead, 4);
    let told = store.lock().unwrap().notices_of("f1").unwrap();
    assert!(told.iter().all(|n| n.error.as_deref() == Some("channel `old` is not in the config any more")), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn a_notice_that_is_never_taken_ends_at_its_deadline_and_not_before() {
    let (_folder, store, clock) = house(&[("a", "e1", "mail")]);
    let mail = Scripted::new(fail(10_000));
    let channels = channels(&[("mail", &mail)]);
    while counts(&store, "mail").waiting > 0 {
        post(&store, &channels, "me", &clock, 7).drain(PLENTY).await;
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    let lasted = (clock.now() - at(0)).num_seconds();
    assert!((4 * 3_600 - 300..=4 * 3_600 + 1).contains(&lasted), "{lasted} s");
    let tries = mail.seen().len();
    assert!((60..200).contains(&tries), "{tries} tries in 4 h");
    assert_eq!(counts(&store, "mail").dead, 1);
}

#[tokio::test(start_paused = true)]
async fn the_budget_bounds_rows_and_time_and_the_rest_stays_due() {
    let notices = [("a", "e1", "mail"), ("b", "e2", "mail"), ("c", "e3", "mail"), ("d", "e4", "mail")];
    let (_folder, store, clock) = house(&notices);
    let mail = Scripted::new([]);
    let channels = channels(&[("mail", &mail)]);
    assert_eq!(post(&store, &channels, "me", &clock, 0).drain(DrainBudget { rows: 1, ..PLENTY }).await.delivered, 1);
    let over = DrainBudget { time: Duration::ZERO, ..PLENTY };
    assert_eq!(post(&store, &channels, "me", &clock, 0).drain(over).await.delivered, 0);
    assert_eq!(post(&store, &channels, "another", &clock, 0).drain(PLENTY).await.delivered, 3, "nothing is held back by a lease");
}

#[tokio::test(start_paused = true)]
async fn two_senders_tell_everything_once() {
    let many: Vec<(String, String)> = (0..60).map(|n| (format!("k{n:02}"), format!("e{}", n % 7))).collect();
    let notices: Vec<(&str, &str, &str)> = many.iter().map(|(key, episode)| (key.as_str(), episode.as_str(), "log")).collect();
    let (folder, store, clock) = house(&notices);
    let other = Mutex::new(Store::open(&folder.path().join("store.db")).unwrap());
    let log = Scripted::new([]);
    let channels = channels(&[("log", &log)]);
    let (one, two) = {
        let (one, two) = (post(&store, &channels, "one", &clock, 0), post(&other, &channels, "two", &clock, 0));
        tokio::join!(one.drain(PLENTY), two.drain(PLENTY))
    };
    assert_eq!(one.delivered + two.delivered, 60);
    let mut seen = log.seen();
    seen.sort();
    assert_eq!(seen, many.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>());
}

/// While it sends, the row is finished by somebody else.
struct Overtaken(Mutex<Store>);

impl Channel for Overtaken {
    fn name(&self) -> &str {
        "overtaken"
    }

    fn kind(&self) -> &'static str {
        "overtaken"
    }

    fn send<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<Receipt, SendError>> {
        if message.key == "a" {
            let row = self.0.lock().unwrap().notices_of(&message.notices[0].fingerprint.0).unwrap()[0].row;
            self.0.lock().unwrap().finish("me", &[(row, delivered("by another"))], None, at(1)).unwrap();
        }
        Box::pin(async { Ok(Receipt::new("taken")) })
    }
}

#[tokio::test(start_paused = true)]
async fn a_row_that_was_lost_meanwhile_does_not_stop_the_turn() {
    let (folder, store, clock) = house(&[("a", "e1", "log"), ("b", "e2", "log")]);
    let other = Mutex::new(Store::open(&folder.path().join("store.db")).unwrap());
    let channels = BTreeMap::from([("log".to_string(), Line::plain(Arc::new(Overtaken(other))))]);
    let report = post(&store, &channels, "me", &clock, 0).drain(PLENTY).await;
    assert_eq!((report.delivered, report.lost), (1, 1), "{report:?}");
    assert!(report.errors.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_store_that_cannot_be_written_ends_the_drain_and_says_so() {
    let (folder, _store, clock) = house(&[("a", "e1", "log")]);
    let reader = Mutex::new(Store::open_read_only(&folder.path().join("store.db")).unwrap());
    let log = Scripted::new([]);
    let report = post(&reader, &channels(&[("log", &log)]), "me", &clock, 0).drain(PLENTY).await;
    assert!(matches!(report.errors[..], [StoreError::ReadOnly]), "{report:?}");
    assert_eq!(log.seen(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn only_a_channel_that_draws_is_given_how_facts_went() {
    let (_folder, store, clock) = house(&[]);
    let tell = |channel| Notice {
        at: at(120),
        evidence: vec![Evidence { metric: "tables.n".into(), value: Some(7.0), threshold: None, unit: Unit::None }],
        ..notice(channel, &alert("f1", "e1"), channel, NoticeKind::Firing)
    };
    let told = decision(&[], &[tell("mail"), tell("log")]);
    for (s, decision) in [(60, &Decision::default()), (120, &told)] {
        store.lock().unwrap().commit_simply(&snapshot(s, &[frame("tables", s, &[7.0])]), decision).unwrap();
    }
    let (mail, log) = (Scripted::new([]), Scripted::new([]));
    let mut lines = channels(&[("mail", &mail), ("log", &log)]);
    lines.get_mut("mail").unwrap().traits.draws = true;
    tokio::time::advance(Duration::from_secs(300)).await;
    assert_eq!(post(&store, &lines, "me", &clock, 0).drain(PLENTY).await.delivered, 2);
    assert_eq!((mail.drawn.lock().unwrap().as_slice(), log.drawn.lock().unwrap().as_slice()), ([2].as_slice(), [].as_slice()));
}
