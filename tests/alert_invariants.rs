//! What must hold of `alert::decide` whatever happens: random findings, silences, acknowledgements, windows, inhibition,
//! flapping, escalation and deliveries that fail, all at once. Nothing is predicted here (`alert_model.rs` does that for what
//! a reference can work out); each decision is held against a plain reading of all that happened before. What can happen, the
//! bookkeeping and the invariants are read together, hence the length.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, NaiveTime, TimeDelta, Utc};
use pgsteward::alert::{decide, rule_unevaluable, withdrawn};
use pgsteward::calendar::{Form, Weekly, Window};
use pgsteward::model::*;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

const EVERY_S: i64 = 60;
const REPEAT_S: i64 = 300;
const ESCALATES_S: i64 = 240;
const TABLES: [&str; 2] = ["a", "b"];
const RULES: [&str; 2] = ["cause", "symptom"];
/// `journal` is not told of ends, `pager` keeps incidents and is told of critical alerts only, `lead` is escalated to.
const CHANNELS: [&str; 4] = ["journal", "lead", "mail", "pager"];

/// How one rule ended.
#[derive(Debug, Clone)]
enum Ended {
    Judged([Said; 2]),
    NoData,
    Failed,
    NotDue,
}

#[derive(Debug, Clone, Copy)]
enum Said {
    Absent,
    Seen(Severity),
    Held,
}

/// What a person does before a tick.
#[derive(Debug, Clone)]
enum Deed {
    Nothing,
    /// The n-th living alert, for so many ticks.
    Ack(usize, AckMode, Option<i64>),
    /// What is about one table, for so many ticks.
    Silence(usize, i64, bool),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate {
    Delivered,
    /// Nothing is sent: the channel is paused, or its rate is used up.
    Waiting,
    /// It was tried, and is tried again.
    Retried,
    Failed,
}

#[derive(Debug, Clone)]
struct Turn {
    /// In ticks.
    step: i64,
    ended: [Ended; 2],
    deed: Deed,
    fates: [Fate; 4],
}

#[derive(Debug, Clone)]
struct Setup {
    waits: i64,
    keeps: i64,
    window: bool,
    inhibits: bool,
    flapping: bool,
    escalates: Option<bool>,
    tell_lowered: bool,
}

impl Turn {
    fn fate(&self, channel: &str) -> Fate {
        self.fates[CHANNELS.iter().position(|name| *name == channel).unwrap()]
    }
}

fn ended() -> impl Strategy<Value = Ended> {
    let seen = prop::sample::select(&Severity::ALL[..]).prop_map(Said::Seen);
    let said = prop_oneof![6 => Just(Said::Absent), 6 => seen, 1 => Just(Said::Held)];
    let other = prop_oneof![Just(Ended::NoData), Just(Ended::Failed), Just(Ended::NotDue)];
    prop_oneof![8 => [said.clone(), said].prop_map(Ended::Judged), 1 => other]
}

fn deed() -> impl Strategy<Value = Deed> {
    let mode = prop_oneof![Just(AckMode::UntilChange), Just(AckMode::UntilResolved)];
    let ack = (0..4usize, mode, prop::option::of(1..8i64)).prop_map(|(n, mode, ticks)| Deed::Ack(n, mode, ticks));
    let silence = (0..2usize, 1..10i64, any::<bool>()).prop_map(|(table, ticks, expires)| Deed::Silence(table, ticks, expires));
    prop_oneof![6 => Just(Deed::Nothing), 1 => ack, 1 => silence]
}

/// Turns that look alike make long lives; one that comes and goes, and is quiet then, flaps and settles.
fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let fate = || prop_oneof![10 => Just(Fate::Delivered), 4 => Just(Fate::Waiting), 1 => Just(Fate::Retried), 2 => Just(Fate::Failed)];
    let step = prop_oneof![9 => Just(1i64), 1 => 2..5i64];
    let turn = (step, [ended(), ended()], deed(), [fate(), fate(), fate(), fate()]);
    let turn = turn.prop_map(|(step, ended, deed, fates)| Turn { step, ended, deed, fates }).boxed();
    let alike = (turn.clone(), prop_oneof![3 => 1..2usize, 1 => 2..12usize]).prop_map(|(turn, times)| {
        let again = Turn { deed: Deed::Nothing, ..turn.clone() };
        std::iter::once(turn).chain(std::iter::repeat_n(again, times - 1)).collect::<Vec<_>>()
    });
    let restless = (turn, 8..16usize, 0..24usize, any::<bool>()).prop_map(|(turn, times, quiet, stays)| {
        let there = |is: bool| if is { Said::Seen(Severity::Warning) } else { Said::Absent };
        let at = |is: bool| Turn { ended: [Ended::Judged([there(is), Said::Absent]), Ended::Judged([there(is); 2])], ..turn.clone() };
        let comes_and_goes = (0..times).map(|n| at(n % 2 == 0));
        comes_and_goes.chain(std::iter::repeat_n(at(stays), quiet)).collect::<Vec<_>>()
    });
    prop::collection::vec(prop_oneof![8 => alike, 1 => restless], 1..15).prop_map(|runs| runs.concat())
}

fn setup() -> impl Strategy<Value = Setup> {
    (0..3i64, 0..3i64, any::<bool>(), any::<bool>(), any::<bool>(), any::<Option<bool>>(), any::<bool>()).prop_map(
        |(waits, keeps, window, inhibits, flapping, escalates, tell_lowered)| Setup {
            waits,
            keeps,
            window,
            inhibits,
            flapping,
            escalates,
            tell_lowered,
        },
    )
}

fn config(setup: &Setup) -> DecideConfig {
    let only = |text: &str| text.parse::<Matchers>().unwrap();
    let to = |channel: &str, matchers: &str| Route {
        matchers: only(matchers),
        channels: vec![channel.into()],
        repeat_s: Some(REPEAT_S as u64),
        group_by: Some(vec!["rule".into()]),
        go_on: true,
        ..Route::default()
    };
    let clock = |minute: u32| NaiveTime::from_hms_opt(10, minute, 0).unwrap();
    let window = Window::new(Form::Weekly(Weekly { days: vec![], start: clock(10), end: clock(30), all_day: false }), chrono_tz::UTC);
    let policy =
        |stateful, resolved, severity_at_least| ChannelPolicy { stateful, resolved, severity_at_least, ..ChannelPolicy::default() };
    DecideConfig {
        target: Target { name: "orders-1".into(), ..Target::default() },
        every_s: EVERY_S as u64,
        dedup_s: None,
        unknown_after_s: 10 * 86_400,
        windows: setup.window.then(|| MaintenanceWindow { name: "w".into(), matchers: only("table=a"), window }).into_iter().collect(),
        route: Route { routes: vec![to("journal", ""), to("mail", ""), to("pager", "")], ..Route::default() },
        inhibitions: setup
            .inhibits
            .then(|| Inhibition { name: "i".into(), source: only("rule=cause"), target: only("rule=symptom"), equal: vec!["table".into()] })
            .into_iter()
            .collect(),
        escalations: setup
            .escalates
            .map(|unless_acked| Escalation {
                name: "e".into(),
                matchers: Matchers::default(),
                steps: vec![EscalationStep { after_s: ESCALATES_S as u64, channels: vec!["lead".into()] }],
                unless_acked,
            })
            .into_iter()
            .collect(),
        flapping: setup.flapping.then(Flapping::default),
        tell_lowered: setup.tell_lowered,
        channels: BTreeMap::from([
            ("journal".to_string(), policy(false, false, None)),
            ("pager".to_string(), policy(true, false, Some(Severity::Critical))),
        ]),
        ..DecideConfig::default()
    }
}

fn outcome(setup: &Setup, rule: usize, ended: &Ended) -> RuleOutcome {
    let subject = |table: &str| Labels::from_iter([("table", table)]);
    let outcome = match ended {
        Ended::NoData => Outcome::NoData(vec![("tables".into(), Missing::new(MissingReason::NoGrant, "no grant"))]),
        Ended::Failed => Outcome::Error("line 1".into()),
        Ended::NotDue => Outcome::Skipped("not due".into()),
        Ended::Judged(said) => {
            let mut evaluation = Evaluation::default();
            for (table, said) in TABLES.iter().zip(said) {
                match said {
                    Said::Absent => {}
                    Said::Held => evaluation.held.push(Held { subject: subject(table), reason: "unknown".into() }),
                    Said::Seen(severity) => evaluation.findings.push(Finding {
                        subject: subject(table),
                        severity: *severity,
                        summary: format!("{table} {severity}"),
                        detail: String::new(),
                        evidence: vec![],
                        actions: vec![],
                        links: vec![],
                    }),
                }
            }
            Outcome::Ok(evaluation)
        }
    };
    let meta = RuleMeta {
        id: RULES[rule].into(),
        for_s: (setup.waits * EVERY_S) as u64,
        keep_firing_for_s: (setup.keeps * EVERY_S) as u64,
        ..rule_unevaluable()
    };
    RuleOutcome { meta: Arc::new(meta), outcome }
}

fn time(at: i64) -> DateTime<Utc> {
    "2026-01-05T10:00:00Z".parse::<DateTime<Utc>>().unwrap() + TimeDelta::seconds(at)
}

/// A notice and what became of it.
struct Row {
    notice: Notice,
    delivered_at: Option<DateTime<Utc>>,
    tried: bool,
    /// Given up, or taken back.
    dead: bool,
}

/// All that happened, read plainly.
struct Past<'a> {
    setup: &'a Setup,
    config: DecideConfig,
    book: Book,
    outbox: Vec<Row>,
    /// The latest record of each alert's choice about each channel.
    records: BTreeMap<(Fingerprint, Option<String>), DecisionRecord>,
    /// Seconds of each episode since its first delivery in which its clock did not stand still.
    lasted: BTreeMap<String, i64>,
    /// Episodes that were not paused at the latest tick.
    running: BTreeSet<String>,
    /// Kinds of notices that were taken back.
    taken_back: BTreeSet<NoticeKind>,
    at: i64,
}

impl Past<'_> {
    /// What a channel has, or will have, heard of an episode.
    fn heard<'p>(&'p self, episode: &'p str, channel: &'p str) -> impl DoubleEndedIterator<Item = &'p Row> + 'p {
        self.outbox.iter().filter(move |row| !row.dead && row.notice.episode == episode && row.notice.channel == channel)
    }

    /// By the words of the config, without matchers.
    fn kept_back(&self, alert: &Alert, living: &BTreeMap<Fingerprint, Arc<Alert>>, now: DateTime<Utc>) -> bool {
        let table = alert.subject.get("table").unwrap_or_default();
        let minutes = self.at / 60;
        let in_window = self.setup.window && table == "a" && (10..30).contains(&minutes.rem_euclid(1_440));
        let about = format!("table={table}");
        let silenced = self.book.silences.iter().any(|silence| silence.is_active(now) && silence.matchers.to_string() == about);
        let source = |other: &Arc<Alert>| {
            other.rule == "cause"
                && other.subject.get("table").unwrap_or_default() == table
                && matches!(other.state, State::Firing | State::Recovering)
        };
        in_window || silenced || (self.setup.inhibits && alert.rule == "symptom" && living.values().any(source))
    }

    fn acts(&mut self, deed: &Deed, now: DateTime<Utc>) {
        match deed {
            Deed::Nothing => {}
            Deed::Ack(n, mode, ticks) => {
                let Some(alert) = self.book.alerts.values().nth(*n) else { return };
                let until = ticks.map(|ticks| now + TimeDelta::seconds(ticks * EVERY_S));
                let at = now - TimeDelta::seconds(20);
                let who = format!("ann at {}", self.at);
                let ack =
                    Ack { episode: alert.episode.clone(), who, note: String::new(), at, until, mode: *mode, severity: alert.severity };
                self.book.acks.insert(alert.fingerprint.clone(), ack);
            }
            Deed::Silence(table, ticks, expire_on_resolve) => self.book.silences.push(Silence {
                id: format!("s{}", self.at),
                matchers: format!("table={}", TABLES[*table]).parse().unwrap(),
                starts_at: now,
                ends_at: now + TimeDelta::seconds(ticks * EVERY_S),
                author: "ann".into(),
                reason: "deploy".into(),
                link: None,
                expire_on_resolve: *expire_on_resolve,
                created_at: now,
                ended: None,
            }),
        }
    }

    /// Each notice must be one that may be sent.
    fn allows(&self, decision: &Decision, notice: &Notice, now: DateTime<Utc>) {
        let last = self.heard(&notice.episode, &notice.channel).next_back();
        let what = format!("{} to {} at {}s", notice.kind, notice.channel, self.at);
        let Some(alert) = decision.book.alerts.get(&notice.fingerprint) else {
            assert_eq!(notice.kind, NoticeKind::Resolved, "{what}: the alert is over");
            assert_ne!(notice.channel, "journal", "it is not told of ends");
            assert!(last.is_some_and(|last| last.notice.kind != NoticeKind::Resolved), "{what}: an end without a beginning, or twice");
            return;
        };
        let kept_back = self.kept_back(alert, &decision.book.alerts, now);
        assert!(!kept_back || notice.kind == NoticeKind::Acknowledged, "{what}, although it is kept back");
        assert!(matches!(alert.state, State::Firing | State::Recovering), "{what}, although it is {}", alert.state);
        if notice.channel == "pager" && notice.kind != NoticeKind::Acknowledged {
            assert_eq!(notice.severity, Severity::Critical, "{what}: too mild");
        }
        let ack = decision.book.acks.get(&notice.fingerprint);
        let flaps_since = alert.flap.since;
        match notice.kind {
            NoticeKind::Firing => assert!(last.is_none() && flaps_since.is_none(), "{what}: not the first"),
            NoticeKind::Raised => assert!(last.unwrap().notice.severity < notice.severity, "{what}: no rise"),
            NoticeKind::Lowered => assert!(self.setup.tell_lowered && last.unwrap().notice.severity > notice.severity, "{what}: no fall"),
            NoticeKind::Repeat => {
                assert!(last.unwrap().delivered_at.unwrap() + TimeDelta::seconds(REPEAT_S) <= now, "{what}: too early");
                assert!(ack.is_none() && flaps_since.is_none(), "{what}: it is looked after, or flaps");
            }
            NoticeKind::Acknowledged => {
                let who = ack.unwrap().who.as_str();
                let told = self.heard(&notice.episode, &notice.channel).filter(|row| row.notice.kind == NoticeKind::Acknowledged);
                assert!(last.is_some(), "{what}: it was told of nothing");
                assert!(told.into_iter().all(|row| !row.notice.acked.as_deref().unwrap_or_default().contains(who)), "{what}: twice");
            }
            NoticeKind::Escalated => {
                assert_eq!(notice.channel, "lead");
                assert!(ack.is_none() || self.setup.escalates == Some(false), "{what}: it is looked after");
                assert!(self.heard(&notice.episode, "lead").all(|row| row.notice.kind != NoticeKind::Escalated), "{what}: twice");
                let lasted = self.lasted.get(&notice.episode).copied().unwrap_or(0);
                assert!(lasted >= ESCALATES_S, "{what}: {lasted} s after it was first told");
            }
            NoticeKind::Flapping => {
                let since = flaps_since.unwrap();
                let told = self.heard(&notice.episode, &notice.channel).filter(|row| row.notice.kind == NoticeKind::Flapping);
                assert!(told.into_iter().all(|row| row.notice.at < since), "{what}: twice");
            }
            NoticeKind::Settled => {
                assert!(flaps_since.is_none(), "{what}: it still flaps");
                let (from, to) = alert.flap.settled.unwrap();
                assert!((from..to).contains(&last.unwrap().notice.at), "{what}: it has not heard of the flapping, or of its end already");
            }
            NoticeKind::Resolved | NoticeKind::Heartbeat => panic!("{what}: it is not over"),
        }
    }

    /// Whoever heard of the beginning hears of the end, whatever else holds.
    fn owes_no_end(&self, decision: &Decision) {
        for over in decision.transitions().filter(|step| step.to == State::Resolved) {
            for channel in CHANNELS.iter().filter(|channel| **channel != "journal") {
                let heard = self.heard(&over.episode, channel).count() > 0;
                let ends = decision.notices().filter(|n| n.episode == over.episode && n.channel == *channel).count();
                assert_eq!(ends, usize::from(heard), "{channel} at {}s", self.at);
            }
        }
    }

    /// What flaps is one episode: it does not end while seven of its last twenty steps are changes, which are 28 % at least.
    fn keeps_episodes_open(&self, decision: &Decision) {
        for over in decision.transitions().filter(|step| step.to == State::Resolved) {
            let Some(flap) = self.book.alerts.get(&over.fingerprint).map(|alert| &alert.flap).filter(|flap| flap.since.is_some()) else {
                continue;
            };
            let latest = decision.book.rules[&over.rule].evaluations;
            let changes = flap.changes.iter().filter(|change| *change + 20 > latest).count() + usize::from(over.from == State::Firing);
            assert!(changes < 7, "{} is over at {}s after {changes} changes", over.summary, self.at);
        }
    }

    /// Who is to be told of what flaps has heard something since it does, or last heard that it did before.
    fn tells_of_flapping(&self, decision: &Decision, now: DateTime<Utc>) {
        for alert in decision.book.alerts.values() {
            let Some(since) = alert.flap.since.filter(|_| !self.kept_back(alert, &decision.book.alerts, now)) else { continue };
            for channel in ["journal", "mail"] {
                let told = decision.notices().any(|notice| notice.episode == alert.episode && notice.channel == channel);
                let heard = self.heard(&alert.episode, channel).any(|row| row.notice.at >= since);
                let last = self.heard(&alert.episode, channel).next_back();
                let knows = heard || last.is_some_and(|row| row.notice.kind == NoticeKind::Flapping);
                assert!(told || knows, "{channel} does not know that {} flaps at {}s", alert.summary, self.at);
            }
        }
    }

    /// What fires and is not kept back is known to its channels, with its severity; what is kept back says so.
    fn leaves_nobody_in_the_dark(&self, decision: &Decision, now: DateTime<Utc>) {
        for alert in decision.book.alerts.values().filter(|alert| alert.state == State::Firing) {
            let kept_back = self.kept_back(alert, &decision.book.alerts, now);
            assert_eq!(alert.suppressed_by.is_some(), kept_back || alert.flap.since.is_some(), "{} at {}s", alert.summary, self.at);
            for channel in ["journal", "mail", "pager"] {
                if kept_back || (channel == "pager" && alert.severity < Severity::Critical) {
                    continue;
                }
                let now = decision.notices().find(|n| n.episode == alert.episode && n.channel == channel).map(|n| n.severity);
                let before = self.heard(&alert.episode, channel).map(|row| row.notice.severity).next_back();
                assert!(now.or(before) >= Some(alert.severity), "{channel} does not know of {} at {}s", alert.summary, self.at);
            }
        }
    }

    /// What was not judged stays as it was, and only what changed is written down.
    fn changes_only_what_it_must(&self, decision: &Decision, turn: &Turn) {
        for (fingerprint, after) in &decision.book.alerts {
            let Some(before) = self.book.alerts.get(fingerprint) else {
                assert!(decision.changed.contains(fingerprint));
                continue;
            };
            let same = before == after;
            assert_eq!(same, Arc::ptr_eq(before, after), "{} at {}s is shared when nothing changed", after.summary, self.at);
            assert_eq!(same, !decision.changed.contains(fingerprint), "{} at {}s", after.summary, self.at);
        }
        for (at, rule) in RULES.iter().enumerate().filter(|(at, _)| !matches!(turn.ended[*at], Ended::Judged(_))) {
            for before in self.book.alerts.values().filter(|alert| alert.rule == *rule) {
                let after = &decision.book.alerts[&before.fingerprint];
                let life =
                    |alert: &Alert| (alert.state, alert.severity, alert.active_at, alert.fired_at, alert.recovering_at, alert.flap.clone());
                assert_eq!(life(after), life(before), "{rule} was not judged (rule {at})");
            }
        }
    }

    /// An acknowledgement ends for one of its reasons and never without.
    fn keeps_acks(&self, decision: &Decision, now: DateTime<Utc>) {
        for (fingerprint, ack) in &self.book.acks {
            let moved = decision.transitions().any(|step| step.fingerprint == *fingerprint);
            let holds = decision.book.alerts.get(fingerprint).is_some_and(|alert| {
                let changed = moved || alert.severity != ack.severity;
                alert.episode == ack.episode
                    && alert.severity <= ack.severity
                    && ack.until.is_none_or(|until| now < until)
                    && (ack.mode == AckMode::UntilResolved || !changed)
            });
            assert_eq!(decision.book.acks.contains_key(fingerprint), holds, "{} at {}s", ack.who, self.at);
            assert_eq!(decision.ended_acks.iter().filter(|(of, _)| of == fingerprint).count(), usize::from(!holds), "{}", ack.who);
        }
    }

    /// A silence that ends with what it kept back ends when the last of it is over.
    fn keeps_silences(&self, decision: &Decision, now: DateTime<Utc>) {
        for silence in self.book.silences.iter().filter(|silence| silence.is_active(now)) {
            let about = |subject: &Labels| silence.matchers.to_string() == format!("table={}", subject.get("table").unwrap_or_default());
            let over = decision.transitions().any(|step| step.to == State::Resolved && about(&step.subject));
            let left = decision.book.alerts.values().any(|alert| about(&alert.subject));
            let ends = silence.expire_on_resolve && over && !left;
            assert_eq!(decision.ended_silences.iter().any(|(id, _)| *id == silence.id), ends, "{} at {}s", silence.id, self.at);
        }
    }

    /// Each notice has its record, and no record says what the one before it said.
    fn writes_down_what_is_new(&self, decision: &Decision) {
        let sent: Vec<_> =
            decision.records.iter().filter(|record| record.sent).map(|r| (r.fingerprint.clone(), r.channel.clone())).collect();
        let told: Vec<_> = decision.notices().map(|n| (n.fingerprint.clone(), Some(n.channel.clone()))).collect();
        let sorted = |mut all: Vec<(Fingerprint, Option<String>)>| {
            all.sort();
            all
        };
        assert_eq!(sorted(sent), sorted(told), "at {}s", self.at);
        for record in decision.records.iter().filter(|record| !record.sent && record.channel.is_some()) {
            let before = self.records.get(&(record.fingerprint.clone(), record.channel.clone()));
            assert_ne!(before, Some(record), "at {}s", self.at);
        }
    }

    /// Takes over what was decided, and what became of the notices.
    fn goes_on(&mut self, decision: Decision, turn: &Turn, now: DateTime<Utc>) {
        self.outbox.extend(decision.notices().map(|notice| Row { notice, delivered_at: None, tried: false, dead: false }));
        for record in decision.records {
            self.records.insert((record.fingerprint.clone(), record.channel.clone()), record);
        }
        self.book = decision.book.clone();
        self.book.told = self.told();
        self.takes_back(turn, now);
        for row in self.outbox.iter_mut().filter(|row| row.delivered_at.is_none() && !row.dead) {
            let fate = turn.fate(&row.notice.channel);
            row.tried |= fate != Fate::Waiting;
            match fate {
                Fate::Delivered => row.delivered_at = Some(now + TimeDelta::seconds(1)),
                Fate::Failed => row.dead = true,
                Fate::Waiting | Fate::Retried => {}
            }
        }
        let ended: BTreeSet<&String> = decision.ended_silences.iter().map(|(id, _)| id).collect();
        let mut silences = decision.book.silences.clone();
        silences.iter_mut().filter(|silence| ended.contains(&silence.id)).for_each(|silence| silence.ended = Some((now, "over".into())));
        self.book = Book { told: self.told(), silences, version: self.book.version + 1, ..self.book.clone() };
    }

    fn told(&self) -> Arc<BTreeMap<Fingerprint, Few<Told>>> {
        let mut told: BTreeMap<Fingerprint, Few<Told>> = BTreeMap::new();
        for Row { notice, delivered_at, .. } in self.outbox.iter().filter(|row| !row.dead) {
            let row = Told {
                episode: notice.episode.clone(),
                kind: notice.kind,
                severity: notice.severity,
                queued_at: notice.at,
                delivered_at: *delivered_at,
            };
            told.entry(notice.fingerprint.clone()).or_default().insert(notice.channel.clone(), row);
        }
        Arc::new(told)
    }

    /// Before anything is sent: what is kept back by now and was never tried is taken back, and nothing else.
    fn takes_back(&mut self, turn: &Turn, now: DateTime<Utc>) {
        let list = withdrawn(&self.book, &self.config, now);
        let living = self.book.alerts.clone();
        for at in 0..self.outbox.len() {
            let row = &self.outbox[at];
            let Notice { kind, fingerprint, episode, channel, .. } = row.notice.clone();
            let alert = living.get(&fingerprint).filter(|alert| alert.episode == episode);
            let (Some(alert), false, None) = (alert, row.dead || row.tried, row.delivered_at) else { continue };
            let one = list.iter().find(|one| one.episode == episode && one.channel == channel && one.kinds.contains(&kind));
            let acked = self.book.acks.contains_key(&fingerprint)
                && (kind == NoticeKind::Repeat || kind == NoticeKind::Escalated && self.setup.escalates == Some(true));
            let wanted = kind != NoticeKind::Acknowledged && (acked || self.kept_back(alert, &living, now));
            assert_eq!(one.is_some(), wanted, "{kind} to {channel} at {}s", self.at);
            let alone = kind == NoticeKind::Acknowledged && self.heard(&episode, &channel).all(|row| row.notice.kind == kind);
            if turn.fate(&channel) == Fate::Waiting || !(one.is_some() || alone) {
                continue;
            }
            self.outbox[at].dead = true;
            self.taken_back.insert(kind);
            let alert = Arc::make_mut(self.book.alerts.get_mut(&fingerprint).unwrap());
            if let (NoticeKind::Escalated, Some(one), Some(escalated)) = (kind, one, &mut alert.escalated) {
                escalated.steps.extend(one.steps.clone());
            }
        }
    }

    /// Moves the clocks of the episodes on to `at`: those that ran at the latest tick and had been told by then.
    fn passes(&mut self, at: i64) {
        for episode in &self.running {
            let first =
                self.outbox.iter().filter(|row| !row.dead && row.notice.episode == *episode).filter_map(|row| row.delivered_at).min();
            let Some(first) = first else { continue };
            let from = (first - time(0)).num_seconds().max(self.at);
            *self.lasted.entry(episode.clone()).or_default() += (at - from).max(0);
        }
        self.at = at;
    }

    fn tick(&mut self, turn: &Turn) {
        self.passes(self.at + turn.step * EVERY_S);
        let now = time(self.at);
        self.acts(&turn.deed, now);
        let outcomes: Vec<RuleOutcome> = (0..2).map(|rule| outcome(self.setup, rule, &turn.ended[rule])).collect();
        let decision = decide(&self.book, &outcomes, &self.config, now);
        assert_eq!(json(&decision), json(&turned(&self.book, &outcomes, &self.config, now)), "order decides nothing");
        assert_eq!(json(&decision), json(&replayed(&self.book, &outcomes, &self.config, now)), "a tick file replays");

        let told: BTreeSet<_> = decision.notices().map(|notice| (notice.fingerprint, notice.channel)).collect();
        assert_eq!(told.len(), decision.tellings.len(), "one notice for each alert and channel");
        decision.notices().for_each(|notice| self.allows(&decision, &notice, now));
        self.owes_no_end(&decision);
        self.keeps_episodes_open(&decision);
        self.tells_of_flapping(&decision, now);
        self.leaves_nobody_in_the_dark(&decision, now);
        self.changes_only_what_it_must(&decision, turn);
        self.keeps_acks(&decision, now);
        self.keeps_silences(&decision, now);
        self.writes_down_what_is_new(&decision);

        let running = decision.book.alerts.values().filter(|alert| !self.kept_back(alert, &decision.book.alerts, now));
        self.running = running.map(|alert| alert.episode.clone()).collect();
        self.goes_on(decision, turn, now);
    }
}

fn turned(book: &Book, outcomes: &[RuleOutcome], config: &DecideConfig, now: DateTime<Utc>) -> Decision {
    let mut turned: Vec<RuleOutcome> = outcomes.iter().rev().cloned().collect();
    for ended in &mut turned {
        if let Outcome::Ok(evaluation) = &mut ended.outcome {
            evaluation.findings.reverse();
            evaluation.held.reverse();
        }
    }
    decide(book, &turned, config, now)
}

fn replayed(book: &Book, outcomes: &[RuleOutcome], config: &DecideConfig, now: DateTime<Utc>) -> Decision {
    fn through<T: serde::Serialize + serde::de::DeserializeOwned>(value: &T) -> T {
        serde_json::from_str(&json(value)).unwrap()
    }
    let outcomes: Vec<RuleOutcome> = outcomes.iter().map(through).collect();
    decide(&through(book), &outcomes, &through(config), through(&now))
}

fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap()
}

/// Kinds of notices that were made, and that were taken back.
fn play(setup: &Setup, turns: &[Turn]) -> [BTreeSet<NoticeKind>; 2] {
    let mut past = Past {
        config: config(setup),
        setup,
        book: Book::default(),
        outbox: Vec::new(),
        records: BTreeMap::new(),
        lasted: BTreeMap::new(),
        running: BTreeSet::new(),
        taken_back: BTreeSet::new(),
        at: 0,
    };
    turns.iter().for_each(|turn| past.tick(turn));
    [past.outbox.iter().map(|row| row.notice.kind).collect(), past.taken_back]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn whatever_happens_nobody_is_told_too_much_or_too_little(setup in setup(), turns in turns()) {
        play(&setup, &turns);
    }
}

/// What never happens here would be proven of nothing.
#[test]
fn what_happens_here_brings_about_every_kind_of_notice() {
    let mut runner = TestRunner::deterministic();
    let (mut seen, mut taken_back) = (BTreeSet::new(), BTreeSet::new());
    for _ in 0..200 {
        let (setup, turns) = (setup(), turns()).new_tree(&mut runner).unwrap().current();
        let [made, withdrawn] = play(&setup, &turns);
        seen.extend(made);
        taken_back.extend(withdrawn);
    }
    let never = |of: &BTreeSet<NoticeKind>| NoticeKind::ALL.into_iter().filter(|kind| !of.contains(kind)).collect::<Vec<_>>();
    assert_eq!(never(&seen), [NoticeKind::Heartbeat], "a heartbeat is not about an alert");
    let rare = [NoticeKind::Acknowledged, NoticeKind::Settled];
    let never_taken_back: Vec<NoticeKind> = never(&taken_back).into_iter().filter(|kind| !rare.contains(kind)).collect();
    assert_eq!(never_taken_back, [NoticeKind::Resolved, NoticeKind::Heartbeat], "an end is always told");
}
