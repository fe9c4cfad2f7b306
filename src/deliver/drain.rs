//! Draining the outbox: each channel has its turn, all at the same time, so that one that hangs never blocks another.
//!
//! A turn ends when nothing is due, the budget is spent, the receiver refuses the login, or several sends in a row have
//! failed; what was leased and not tried is given back. A row whose channel left the config is given up with that
//! reason. The store is locked only between sends, never across one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use super::{Channel, Message, Receipt, SendError, retry};
use crate::clock::Clock;
use crate::store::{AttemptOutcome, OutboxRow, Store, StoreError};
use crate::text::safe;

/// Longest that one send may take.
const SEND_TIMEOUT: Duration = Duration::from_secs(30);
/// Rows leased at once.
const BATCH: usize = 8;
/// Seconds of a lease: a whole batch of sends that all time out, and a minute.
const LEASE_S: u64 = BATCH as u64 * SEND_TIMEOUT.as_secs() + 60;
/// Failures in a row after which a channel rests until the next drain.
const FAILURES: usize = 3;

/// How much one drain may do.
#[derive(Debug, Clone, Copy)]
pub struct DrainBudget {
    /// Most rows that each channel tries.
    pub rows: usize,
    /// No send begins after this.
    pub time: Duration,
}

/// What one drain did.
#[derive(Debug, Default)]
pub struct DrainReport {
    /// Notices that a channel took.
    pub delivered: usize,
    /// Attempts that failed and are made again.
    pub retried: usize,
    /// Notices given up.
    pub dead: usize,
    /// Attempts that took longer than their lease, so that another sender has, or had, the row.
    pub lost: usize,
    /// The latest error of each channel that had one.
    pub failed: BTreeMap<String, String>,
    /// Channels whose login was refused.
    pub paused: Vec<String>,
    /// What the store could not do; the rows concerned are sent again.
    pub errors: Vec<StoreError>,
}

impl DrainReport {
    fn add(&mut self, other: Self) {
        self.delivered += other.delivered;
        self.retried += other.retried;
        self.dead += other.dead;
        self.lost += other.lost;
        self.failed.extend(other.failed);
        self.paused.extend(other.paused);
        self.errors.extend(other.errors);
    }
}

/// Tells what is due. Nothing is lost when it is stopped at any point: what was leased is tried again later, under the
/// same key. `jitter_seed` spreads the retries of several senders.
pub async fn drain(
    store: &Mutex<Store>,
    channels: &BTreeMap<String, Arc<dyn Channel>>,
    owner: &str,
    clock: &Clock,
    jitter_seed: u64,
    budget: DrainBudget,
) -> DrainReport {
    let mut report = DrainReport::default();
    let until = Instant::now() + budget.time;
    match with(store, |store| store.due_channels(clock.now())) {
        Ok(due) => {
            let turn = |name: &String| {
                let channel = channels.get(name).cloned();
                Turn { store, name: name.clone(), channel, owner, clock, jitter_seed, rows: budget.rows, until }.run()
            };
            join_all(due.iter().map(turn)).await.into_iter().for_each(|of_channel| report.add(of_channel));
        }
        Err(error) => report.errors.push(error),
    }
    report
}

fn with<T>(store: &Mutex<Store>, work: impl FnOnce(&mut Store) -> T) -> T {
    work(&mut store.lock().unwrap_or_else(PoisonError::into_inner))
}

/// One channel's turn.
struct Turn<'a> {
    store: &'a Mutex<Store>,
    name: String,
    channel: Option<Arc<dyn Channel>>,
    owner: &'a str,
    clock: &'a Clock,
    jitter_seed: u64,
    /// Rows that it may still try.
    rows: usize,
    until: Instant,
}

impl Turn<'_> {
    async fn run(mut self) -> DrainReport {
        let mut report = DrainReport::default();
        let mut in_a_row = 0;
        while self.may_go_on(&report, in_a_row) {
            let leased = match self.lease() {
                Ok(leased) if leased.is_empty() => break,
                Ok(leased) => leased,
                Err(error) => {
                    report.errors.push(error);
                    break;
                }
            };
            for row in leased {
                if !self.may_go_on(&report, in_a_row) {
                    self.finish(&row, &AttemptOutcome::Untried, &mut report);
                    continue;
                }
                let delivered = self.attempt(&row, &mut report).await;
                in_a_row = if delivered { 0 } else { in_a_row + 1 };
            }
        }
        report
    }

    fn may_go_on(&self, report: &DrainReport, failures_in_a_row: usize) -> bool {
        let resting = self.channel.is_some() && failures_in_a_row >= FAILURES;
        self.rows > 0 && Instant::now() < self.until && !resting && report.paused.is_empty() && report.errors.is_empty()
    }

    fn lease(&self) -> Result<Vec<OutboxRow>, StoreError> {
        with(self.store, |store| store.lease_outbox(&self.name, self.owner, self.clock.now(), self.rows.min(BATCH), LEASE_S))
    }

    /// Sends one row and records how it ended; whether it was taken.
    async fn attempt(&mut self, row: &OutboxRow, report: &mut DrainReport) -> bool {
        self.rows -= 1;
        let result = self.send(row).await;
        if let Err(error) = &result {
            let shown = safe(&error.to_string());
            tracing::warn!(channel = %safe(&self.name), key = %safe(&row.notice.key), error = %shown, "notice not delivered");
            report.failed.insert(self.name.clone(), shown);
        }
        if matches!(result, Err(SendError::Auth { .. })) {
            report.paused.push(self.name.clone());
        }
        let outcome = retry::settle(row, result, self.clock.now(), self.jitter_seed);
        self.finish(row, &outcome, report);
        matches!(outcome, AttemptOutcome::Delivered { .. })
    }

    async fn send(&self, row: &OutboxRow) -> Result<Receipt, SendError> {
        let Some(channel) = &self.channel else {
            return Err(SendError::Permanent { detail: format!("channel `{}` is not in the config any more", self.name) });
        };
        let message = Message::of(row.notice.clone());
        let sending = channel.send(&message);
        tokio::time::timeout(SEND_TIMEOUT, sending)
            .await
            .unwrap_or_else(|_| Err(SendError::retryable(format!("no answer within {} s", SEND_TIMEOUT.as_secs()))))
    }

    fn finish(&self, row: &OutboxRow, outcome: &AttemptOutcome, report: &mut DrainReport) {
        match with(self.store, |store| store.finish(row.id, self.owner, outcome, self.clock.now())) {
            Ok(()) => match outcome {
                AttemptOutcome::Delivered { .. } => report.delivered += 1,
                AttemptOutcome::Retry { .. } => report.retried += 1,
                AttemptOutcome::Dead { .. } => report.dead += 1,
                AttemptOutcome::Untried => {}
            },
            Err(StoreError::RowLost { .. }) => report.lost += 1,
            Err(error) => report.errors.push(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use futures_util::future::BoxFuture;

    use super::super::testing::at;
    use super::*;
    use crate::model::{Notice, NoticeKind};
    use crate::store::testing::{alert, decision, notice, snapshot};
    use crate::store::{ChannelCounts, NoticeState};

    const PLENTY: DrainBudget = DrainBudget { rows: 1_000, time: Duration::from_secs(3_600) };

    /// Answers as it was told to, then always takes everything. Keeps the keys it was given.
    #[derive(Default)]
    struct Scripted {
        answers: Mutex<VecDeque<Answer>>,
        seen: Mutex<Vec<String>>,
    }

    enum Answer {
        Take,
        Fail(SendError),
        Hang,
    }

    impl Scripted {
        fn new(answers: impl IntoIterator<Item = Answer>) -> Arc<Self> {
            Arc::new(Self { answers: Mutex::new(answers.into_iter().collect()), seen: Mutex::default() })
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

    fn channels(list: &[(&str, &Arc<Scripted>)]) -> BTreeMap<String, Arc<dyn Channel>> {
        list.iter().map(|(name, channel)| (name.to_string(), Arc::clone(channel) as Arc<dyn Channel>)).collect()
    }

    fn counts(store: &Mutex<Store>, channel: &str) -> ChannelCounts {
        store.lock().unwrap().outbox_counts().unwrap().remove(channel).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_due_is_told_once_in_order_with_its_receipt() {
        let (_folder, store, clock) = house(&[("a", "e1", "log"), ("b", "e1", "log"), ("c", "e2", "log")]);
        let log = Scripted::new([]);
        let report = drain(&store, &channels(&[("log", &log)]), "me", &clock, 0, PLENTY).await;
        assert_eq!((report.delivered, report.retried, report.dead), (3, 0, 0));
        assert_eq!(log.seen(), ["a", "c", "b"]);
        let told = store.lock().unwrap().notices_of("f1").unwrap();
        assert!(told.iter().all(|n| n.state == NoticeState::Delivered { at: at(1), receipt: "taken".into() }), "{told:?}");
        let again = drain(&store, &channels(&[("log", &log)]), "me", &clock, 0, PLENTY).await;
        assert_eq!(again.delivered, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_channel_that_hangs_does_not_keep_another_waiting() {
        let (_folder, store, clock) = house(&[("slow", "e1", "mail"), ("quick", "e1", "log")]);
        let (mail, log) = (Scripted::new([Answer::Hang]), Scripted::new([]));
        let channels = channels(&[("mail", &mail), ("log", &log)]);
        let report = drain(&store, &channels, "me", &clock, 0, PLENTY).await;
        assert_eq!((report.delivered, report.retried), (1, 1));
        assert_eq!(report.failed["mail"], "no answer within 30 s");
        let told = store.lock().unwrap().notices_of("f1").unwrap();
        assert_eq!(told[1].state, NoticeState::Delivered { at: at(1), receipt: "taken".into() }, "before the other timed out");
        tokio::time::advance(Duration::from_secs(300)).await;
        assert_eq!(drain(&store, &channels, "me", &clock, 0, PLENTY).await.delivered, 1);
        assert_eq!(mail.seen(), ["slow", "slow"], "tried again under the same key");
    }

    #[tokio::test(start_paused = true)]
    async fn a_failing_channel_rests_after_some_tries_and_later_catches_up() {
        let many: Vec<(String, String)> = (0..20).map(|n| (format!("k{n:02}"), format!("e{n}"))).collect();
        let notices: Vec<(&str, &str, &str)> = many.iter().map(|(key, episode)| (key.as_str(), episode.as_str(), "mail")).collect();
        let (_folder, store, clock) = house(&notices);
        let mail = Scripted::new(fail(3));
        let channels = channels(&[("mail", &mail)]);
        let report = drain(&store, &channels, "me", &clock, 0, PLENTY).await;
        assert_eq!((report.delivered, report.retried), (0, 3));
        assert_eq!(mail.seen().len(), 3);
        assert_eq!(counts(&store, "mail").waiting, 20);
        tokio::time::advance(Duration::from_secs(300)).await;
        assert_eq!(drain(&store, &channels, "me", &clock, 0, PLENTY).await.delivered, 20);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_login_pauses_the_channel_and_keeps_its_rows() {
        let (_folder, store, clock) = house(&[("a", "e1", "mail"), ("b", "e2", "mail"), ("c", "e1", "log")]);
        let refused = || Answer::Fail(SendError::Auth { detail: "535 who are you".into() });
        let (mail, log) = (Scripted::new([refused(), refused()]), Scripted::new([]));
        let channels = channels(&[("mail", &mail), ("log", &log)]);
        let report = drain(&store, &channels, "me", &clock, 0, PLENTY).await;
        assert_eq!((report.paused, report.delivered), (vec!["mail".to_string()], 1));
        assert_eq!(mail.seen(), ["a"]);
        tokio::time::advance(Duration::from_secs(30 * 86_400)).await;
        assert_eq!(drain(&store, &channels, "me", &clock, 0, PLENTY).await.dead, 0, "somebody has to mend it first");
        tokio::time::advance(Duration::from_secs(300)).await;
        assert_eq!(drain(&store, &channels, "me", &clock, 0, PLENTY).await.delivered, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn rows_of_a_channel_that_left_the_config_are_given_up_with_that_reason() {
        let (_folder, store, clock) = house(&[("a", "e1", "old"), ("b", "e2", "old"), ("c", "e3", "old"), ("d", "e4", "old")]);
        let report = drain(&store, &BTreeMap::new(), "me", &clock, 0, PLENTY).await;
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
            drain(&store, &channels, "me", &clock, 7, PLENTY).await;
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
        let mail = Scripted::new([Answer::Take, Answer::Hang]);
        let channels = channels(&[("mail", &mail)]);
        assert_eq!(drain(&store, &channels, "me", &clock, 0, DrainBudget { rows: 1, ..PLENTY }).await.delivered, 1);
        let brief = DrainBudget { time: Duration::from_secs(10), ..PLENTY };
        let report = drain(&store, &channels, "me", &clock, 0, brief).await;
        assert_eq!((report.delivered, report.retried), (0, 1), "the send that had begun ran into its timeout, no other began");
        assert_eq!(drain(&store, &channels, "another", &clock, 0, PLENTY).await.delivered, 2, "nothing is held back by a lease");
    }

    #[tokio::test(start_paused = true)]
    async fn two_senders_tell_everything_once() {
        let many: Vec<(String, String)> = (0..60).map(|n| (format!("k{n:02}"), format!("e{}", n % 7))).collect();
        let notices: Vec<(&str, &str, &str)> = many.iter().map(|(key, episode)| (key.as_str(), episode.as_str(), "log")).collect();
        let (folder, store, clock) = house(&notices);
        let other = Mutex::new(Store::open(&folder.path().join("store.db")).unwrap());
        let log = Scripted::new([]);
        let channels = channels(&[("log", &log)]);
        let (one, two) =
            tokio::join!(drain(&store, &channels, "one", &clock, 0, PLENTY), drain(&other, &channels, "two", &clock, 0, PLENTY));
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
                let elsewhere = AttemptOutcome::Delivered { receipt: "by another".into() };
                self.0.lock().unwrap().finish(row, "me", &elsewhere, at(1)).unwrap();
            }
            Box::pin(async { Ok(Receipt::new("taken")) })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_row_that_was_lost_meanwhile_does_not_stop_the_turn() {
        let (folder, store, clock) = house(&[("a", "e1", "log"), ("b", "e2", "log")]);
        let other = Mutex::new(Store::open(&folder.path().join("store.db")).unwrap());
        let channels = BTreeMap::from([("log".to_string(), Arc::new(Overtaken(other)) as Arc<dyn Channel>)]);
        let report = drain(&store, &channels, "me", &clock, 0, PLENTY).await;
        assert_eq!((report.delivered, report.lost), (1, 1), "{report:?}");
        assert!(report.errors.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_cannot_be_written_ends_the_drain_and_says_so() {
        let (folder, _store, clock) = house(&[("a", "e1", "log")]);
        let reader = Mutex::new(Store::open_read_only(&folder.path().join("store.db")).unwrap());
        let log = Scripted::new([]);
        let report = drain(&reader, &channels(&[("log", &log)]), "me", &clock, 0, PLENTY).await;
        assert!(matches!(report.errors[..], [StoreError::ReadOnly]), "{report:?}");
        assert_eq!(log.seen(), Vec::<String>::new());
    }
}
