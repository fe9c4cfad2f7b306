//! `alert::decide` against a reference written the naive way: it keeps every evaluation and every notice for ever and works
//! out from the whole log, each tick anew, how things stand. Random outcomes, gaps, clocks put back, windows and deliveries
//! that fail, at the three tick intervals people use. Long, because what can happen, the reference and the invariants are read
//! together.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, NaiveTime, TimeDelta, Utc};
use pgsteward::alert::{RULE_UNEVALUABLE, decide, fingerprint, rule_unevaluable};
use pgsteward::calendar::{Form, Weekly, Window};
use pgsteward::model::*;
use proptest::prelude::*;

// What can happen.

const TABLES: [&str; 3] = ["a", "b", "c"];
const RULES: [&str; 2] = ["dead_rows", "long_query"];

#[derive(Debug, Clone, Copy, PartialEq)]
enum Said {
    Absent,
    Seen(Severity),
    Held,
}

#[derive(Debug, Clone, PartialEq)]
enum Ended {
    Judged([Said; 3]),
    NoData,
    Failed,
    Skipped,
    NotDue,
    Disabled,
    Removed,
}

#[derive(Debug, Clone, Copy)]
enum Fate {
    Delivered,
    Waiting,
    Failed,
}

/// One tick: how it is reached, how each rule ended, what became of all that is on its way to `mail` and to `pager`.
#[derive(Debug, Clone)]
struct Turn {
    /// In intervals; 0 puts the clock back.
    step: i64,
    ended: [Ended; 2],
    fates: [Fate; 2],
}

/// Times in intervals, to make the edges likely.
#[derive(Debug, Clone)]
struct Rule {
    waits: i64,
    keeps: i64,
    every: i64,
    missing_fires: bool,
}

#[derive(Debug, Clone)]
struct Setup {
    rules: [Rule; 2],
    repeats: [Option<i64>; 2],
    patience: i64,
    /// Minutes of the day, UTC; keeps back what is about table `a`.
    window: Option<(u32, u32)>,
}

fn said() -> impl Strategy<Value = Said> {
    let seen = prop::sample::select(&Severity::ALL[..]).prop_map(Said::Seen);
    prop_oneof![3 => Just(Said::Absent), 4 => seen, 1 => Just(Said::Held)]
}

fn ended() -> impl Strategy<Value = Ended> {
    let others = prop::sample::select(vec![Ended::NoData, Ended::Failed, Ended::Skipped, Ended::NotDue, Ended::Disabled, Ended::Removed]);
    prop_oneof![8 => [said(), said(), said()].prop_map(Ended::Judged), 2 => others]
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![4 => Just(Fate::Delivered), 2 => Just(Fate::Waiting), 1 => Just(Fate::Failed)]
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let step = prop_oneof![14 => Just(1i64), 2 => Just(2), 2 => Just(3), 1 => 4i64..200, 1 => Just(0)];
    let turn = (step, [ended(), ended()], [fate(), fate()]).prop_map(|(step, ended, fates)| Turn { step, ended, fates });
    prop::collection::vec(turn, 1..40)
}

fn setup() -> impl Strategy<Value = Setup> {
    let rule = || (0..5i64, 0..4i64, 0..3i64, prop::bool::weighted(0.3));
    let rule = move || rule().prop_map(|(waits, keeps, every, missing_fires)| Rule { waits, keeps, every, missing_fires });
    let repeat = || prop::option::weighted(0.8, 0..6i64);
    let window = prop::option::of((0..24u32, 1..24u32)).prop_map(|w| w.map(|(start, hours)| (start * 60, (start + hours) % 24 * 60)));
    ([rule(), rule()], [repeat(), repeat()], 0..5i64, window).prop_map(|(rules, repeats, patience, window)| Setup {
        rules,
        repeats,
        patience,
        window,
    })
}

// The reference. Time is seconds since the start; a subject is a table, or "" for the whole server.

#[derive(Debug, Clone, Copy, PartialEq)]
enum Phase {
    Quiet,
    Waiting { proven: i64 },
    Firing,
    Fading { away: i64 },
}

/// How one subject stands at the end of a log.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Standing {
    phase: Phase,
    severity: Severity,
    fired: i64,
    lives: usize,
}

struct Sent {
    who: (String, String),
    life: usize,
    channel: usize,
    severity: Severity,
    queued: i64,
    delivered: Option<i64>,
}

struct Reference<'a> {
    every: i64,
    setup: &'a Setup,
    log: Vec<(i64, [Ended; 2])>,
    sent: Vec<Sent>,
}

/// `(rule, subject, from, to)` and `(rule, subject, channel, kind, severity, began inside the window)`.
type Step = (String, String, &'static str, &'static str);
type Told = (String, String, usize, &'static str, Severity, bool);

impl Reference<'_> {
    fn said(&self, rule: usize, subject: &str, ended: &Ended) -> Option<Said> {
        match ended {
            Ended::Judged(said) => Some(TABLES.iter().position(|table| *table == subject).map_or(Said::Absent, |at| said[at])),
            Ended::NoData if self.setup.rules[rule].missing_fires => {
                Some(if subject.is_empty() { Said::Seen(Severity::Warning) } else { Said::Held })
            }
            _ => None,
        }
    }

    /// Goes through the log counting seconds of proof and of absence, instead of keeping start times.
    fn table(&self, rule: usize, subject: &str, log: &[(i64, [Ended; 2])]) -> Standing {
        let Rule { waits, keeps, every, .. } = &self.setup.rules[rule];
        let (waits, keeps, tolerated) = (waits * self.every, keeps * self.every, 2 * self.every * every.max(&1));
        let mut now = Standing { phase: Phase::Quiet, severity: Severity::Info, fired: 0, lives: 0 };
        let mut judged: Option<i64> = None;
        for (at, ended) in log {
            match ended[rule] {
                Ended::Removed => (now.phase, judged) = (Phase::Quiet, None),
                Ended::Disabled => now.phase = Phase::Quiet,
                _ => {}
            }
            let Some(said) = self.said(rule, subject, &ended[rule]) else { continue };
            let passed = judged.map_or(0, |judged| at - judged);
            judged = Some(*at);
            if let Said::Seen(severity) = said {
                now.severity = severity;
            }
            let counts = if (0..=tolerated).contains(&passed) { passed } else { 0 };
            let before = now.phase;
            now.phase = match (before, said) {
                (Phase::Quiet, Said::Seen(_)) if waits == 0 => Phase::Firing,
                (Phase::Quiet, Said::Seen(_)) => Phase::Waiting { proven: 0 },
                (Phase::Waiting { proven }, Said::Seen(_)) if proven + counts >= waits => Phase::Firing,
                (Phase::Waiting { proven }, Said::Seen(_)) => Phase::Waiting { proven: proven + counts },
                (Phase::Waiting { .. }, Said::Absent) => Phase::Quiet,
                (Phase::Firing, Said::Absent) if keeps == 0 => Phase::Quiet,
                (Phase::Firing, Said::Absent) => Phase::Fading { away: 0 },
                (Phase::Fading { .. }, Said::Seen(_)) => Phase::Firing,
                (Phase::Fading { away }, Said::Absent) if away + passed.max(0) >= keeps => Phase::Quiet,
                (Phase::Fading { away }, Said::Absent) => Phase::Fading { away: away + passed.max(0) },
                (same, _) => same,
            };
            if before == Phase::Quiet && now.phase != Phase::Quiet {
                now.lives += 1;
            }
            if now.phase == Phase::Firing && !matches!(before, Phase::Firing | Phase::Fading { .. }) {
                now.fired = *at;
            }
        }
        now
    }

    /// The alert about a rule.
    fn health(&self, rule: usize, log: &[(i64, [Ended; 2])]) -> Standing {
        let mut now = Standing { phase: Phase::Quiet, severity: Severity::Warning, fired: 0, lives: 0 };
        let mut since: Option<i64> = None;
        for (at, ended) in log {
            let tried = match &ended[rule] {
                Ended::Skipped | Ended::NotDue => false,
                Ended::Disabled | Ended::Removed => {
                    since = None;
                    false
                }
                ended if self.said(rule, "", ended).is_some() => {
                    since = None;
                    true
                }
                _ => {
                    since = Some(since.unwrap_or(*at).min(*at));
                    true
                }
            };
            let long = since.is_some_and(|since| at - since >= self.setup.patience * self.every);
            match now.phase {
                Phase::Quiet if long && tried => {
                    now = Standing { phase: Phase::Firing, fired: *at, lives: now.lives + 1, ..now };
                }
                Phase::Firing if !long => now.phase = Phase::Quiet,
                _ => {}
            }
        }
        now
    }

    fn standings(&self, log: &[(i64, [Ended; 2])]) -> BTreeMap<(String, String), Standing> {
        let mut all = BTreeMap::new();
        for (at, rule) in RULES.iter().enumerate() {
            for subject in TABLES.iter().chain(&[""]) {
                all.insert((rule.to_string(), subject.to_string()), self.table(at, subject, log));
            }
            all.insert((RULE_UNEVALUABLE.to_string(), rule.to_string()), self.health(at, log));
        }
        all
    }

    fn in_window(&self, table: &str, at: i64) -> bool {
        let minute = ((at + 10 * 3_600) / 60).rem_euclid(1_440);
        table == "a"
            && self.setup.window.is_some_and(|(start, end)| match (i64::from(start), i64::from(end)) {
                (start, end) if start < end => start <= minute && minute < end,
                (start, end) => minute >= start || minute < end,
            })
    }

    /// One tick: what changes, and who is told.
    fn tick(&mut self, at: i64, ended: &[Ended; 2]) -> (Vec<Step>, Vec<Told>) {
        let before = self.standings(&self.log);
        self.log.push((at, ended.clone()));
        let after = self.standings(&self.log);
        let (mut steps, mut told) = (Vec::new(), Vec::new());
        for (who, now) in &after {
            let (was, is) = (name(before[who].phase), name(now.phase));
            let is = if is == "inactive" && ["firing", "recovering"].contains(&was) { "resolved" } else { is };
            if was != is {
                steps.push((who.0.clone(), who.1.clone(), was, is));
            }
            for channel in 0..2 {
                if let Some((kind, began_inside)) = self.choice(who, now, is, channel, at) {
                    told.push((who.0.clone(), who.1.clone(), channel, kind.as_str(), now.severity, began_inside));
                    let sent = Sent { who: who.clone(), life: now.lives, channel, severity: now.severity, queued: at, delivered: None };
                    self.sent.push(sent);
                }
            }
        }
        (steps, told)
    }

    fn choice(&self, who: &(String, String), now: &Standing, is: &str, channel: usize, at: i64) -> Option<(NoticeKind, bool)> {
        let last = self.sent.iter().rfind(|sent| sent.who == *who && sent.life == now.lives && sent.channel == channel);
        if is == "resolved" {
            return last.map(|_| (NoticeKind::Resolved, false));
        }
        let routed = channel == 0 || now.severity == Severity::Critical;
        if is != "firing" || !routed || self.in_window(&who.1, at) {
            return None;
        }
        let Some(last) = last else { return Some((NoticeKind::Firing, now.fired != at && self.in_window(&who.1, now.fired))) };
        if now.severity > last.severity {
            return Some((NoticeKind::Raised, false));
        }
        let window = self.setup.repeats[channel]? * self.every;
        let delivered = last.delivered?;
        let from = if delivered <= at { delivered } else { last.queued };
        (from > at || from + window <= at).then_some((NoticeKind::Repeat, false))
    }

    fn fates(&mut self, fates: [Fate; 2], at: i64) {
        for (channel, fate) in fates.into_iter().enumerate() {
            let waiting = |sent: &Sent| sent.channel == channel && sent.delivered.is_none();
            match fate {
                Fate::Waiting => {}
                Fate::Failed => self.sent.retain(|sent| !waiting(sent)),
                Fate::Delivered => {
                    self.sent.iter_mut().filter(|sent| waiting(sent)).for_each(|sent| sent.delivered = Some(at + delay(channel)))
                }
            }
        }
    }
}

/// Seconds from the tick to a delivery: mail comes a little later.
fn delay(channel: usize) -> i64 {
    if channel == 0 { 1 } else { 0 }
}

fn name(phase: Phase) -> &'static str {
    match phase {
        Phase::Quiet => "inactive",
        Phase::Waiting { .. } => "pending",
        Phase::Firing => "firing",
        Phase::Fading { .. } => "recovering",
    }
}

// The real thing, driven by the same turns.

const CHANNELS: [&str; 2] = ["mail", "pager"];

fn time(at: i64) -> DateTime<Utc> {
    "2026-01-05T10:00:00Z".parse::<DateTime<Utc>>().unwrap() + TimeDelta::seconds(at)
}

fn config(setup: &Setup, every: i64) -> DecideConfig {
    let repeat = |channel: usize| setup.repeats[channel].map(|times| (times * every) as u64);
    let only = |name: &str, value: &str| Matchers(vec![Matcher::is(name, vec![value.to_string()])]);
    let to = |channel: usize| Route { channels: vec![CHANNELS[channel].into()], repeat_s: repeat(channel), ..Route::default() };
    let pager = Route { matchers: only("severity", "critical"), go_on: true, ..to(1) };
    let time = |minutes: u32| NaiveTime::from_hms_opt(minutes / 60, minutes % 60, 0).unwrap();
    let window = |(start, end): (u32, u32)| {
        let weekly = Weekly { days: vec![], start: time(start), end: time(end), all_day: false };
        Window::new(Form::Weekly(weekly), chrono_tz::UTC)
    };
    DecideConfig {
        target: Target { name: "orders-1".into(), cluster: None, labels: Labels::default() },
        every_s: every as u64,
        dedup_s: None,
        unknown_after_s: (setup.patience * every) as u64,
        windows: setup
            .window
            .map(|w| MaintenanceWindow { name: "w".into(), matchers: only("table", "a"), window: window(w) })
            .into_iter()
            .collect(),
        route: Route { routes: vec![pager, to(0)], ..Route::default() },
        ..DecideConfig::default()
    }
}

fn outcome(setup: &Setup, every: i64, rule: usize, ended: &Ended) -> Option<RuleOutcome> {
    let held = |table: &str| Held { subject: [("table", table)].into_iter().collect(), reason: "unknown".into() };
    let finding = |table: &str, severity: Severity| Finding {
        subject: [("table", table)].into_iter().collect(),
        severity,
        summary: format!("{table} {severity}"),
        detail: String::new(),
        evidence: vec![],
        actions: vec![],
        links: vec![],
    };
    let outcome = match ended {
        Ended::Removed => return None,
        Ended::NoData => Outcome::NoData(vec![("tables".into(), Missing::new(MissingReason::NoGrant, "no grant"))]),
        Ended::Failed => Outcome::Error("line 1".into()),
        Ended::Skipped => Outcome::Skipped("not for this server".into()),
        Ended::Disabled => Outcome::Skipped("disabled: by hand".into()),
        Ended::NotDue => Outcome::Skipped("not due".into()),
        Ended::Judged(said) => {
            let mut evaluation = Evaluation::default();
            for (table, said) in TABLES.iter().zip(said) {
                match said {
                    Said::Absent => {}
                    Said::Held => evaluation.held.push(held(table)),
                    Said::Seen(severity) => {
                        // The worst is the one that holds, so milder ones beside it change nothing.
                        evaluation.findings.extend(Severity::ALL.iter().filter(|s| *s <= severity).map(|s| finding(table, *s)));
                    }
                }
            }
            Outcome::Ok(evaluation)
        }
    };
    let own = &setup.rules[rule];
    let meta = RuleMeta {
        id: RULES[rule].into(),
        for_s: (own.waits * every) as u64,
        keep_firing_for_s: (own.keeps * every) as u64,
        interval_s: (own.every * every) as u64,
        fire_when_missing: own.missing_fires,
        ..rule_unevaluable()
    };
    Some(RuleOutcome { meta: Arc::new(meta), outcome })
}

struct Row {
    notice: Notice,
    delivered_at: Option<DateTime<Utc>>,
}

/// The outbox as `store` would keep it, without failed rows.
fn told(outbox: &[Row]) -> BTreeMap<Fingerprint, Few<pgsteward::model::Told>> {
    let mut told: BTreeMap<Fingerprint, Few<pgsteward::model::Told>> = BTreeMap::new();
    for Row { notice, delivered_at } in outbox {
        let row = pgsteward::model::Told {
            episode: notice.episode.clone(),
            kind: notice.kind,
            severity: notice.severity,
            queued_at: notice.at,
            delivered_at: *delivered_at,
        };
        told.entry(notice.fingerprint.clone()).or_default().insert(notice.channel.clone(), row);
    }
    told
}

fn subject_of(rule: &str, subject: &Labels) -> String {
    subject.get(if rule == RULE_UNEVALUABLE { "rule" } else { "table" }).unwrap_or_default().to_string()
}

fn check(every: i64, setup: &Setup, turns: &[Turn]) {
    let config = config(setup, every);
    let mut reference = Reference { every, setup, log: Vec::new(), sent: Vec::new() };
    let (mut book, mut outbox) = (Book::default(), Vec::<Row>::new());
    let (mut at, mut put_back) = (0, 0);
    for turn in turns {
        // Twice at most and by odd seconds, so that no two lives begin in the same second.
        let back = turn.step == 0 && put_back < 2;
        put_back += i32::from(back);
        at += if back { -(7 * every + 3) } else { turn.step.max(1) * every };
        let outcomes: Vec<RuleOutcome> = (0..2).filter_map(|rule| outcome(setup, every, rule, &turn.ended[rule])).collect();
        let decision = decide(&book, &outcomes, &config, time(at));

        let (steps, notices) = reference.tick(at, &turn.ended);
        assert_eq!(steps_of(&decision), steps, "at {at}");
        assert_eq!(notices_of(&decision), notices, "at {at}");
        assert_eq!(standing(&decision.book), expected(&reference), "at {at}");

        holds(&book, &decision, turn, setup);
        channels_hear_beginnings_before_ends(&outbox, &decision);
        if put_back == 0 {
            no_repeat_within_its_window(&outbox, &decision, &config);
        }
        records_answer_for_every_channel(&book, &decision);
        assert_eq!(
            json(&decision),
            json(&shuffled(&book, &outcomes, &config, time(at))),
            "the order of rules and findings decides nothing"
        );
        assert_eq!(json(&decision), json(&replayed(&book, &outcomes, &config, time(at))), "a tick file replays");

        outbox.extend(decision.notices().map(|notice| Row { notice: notice.clone(), delivered_at: None }));
        for (channel, fate) in turn.fates.into_iter().enumerate() {
            let waiting = |row: &Row| row.notice.channel == CHANNELS[channel] && row.delivered_at.is_none();
            match fate {
                Fate::Waiting => {}
                Fate::Failed => outbox.retain(|row| !waiting(row)),
                Fate::Delivered => {
                    outbox.iter_mut().filter(|row| waiting(row)).for_each(|row| row.delivered_at = Some(time(at + delay(channel))))
                }
            }
        }
        reference.fates(turn.fates, at);
        book = Book { told: Arc::new(told(&outbox)), version: book.version + 1, ..decision.book };
    }
}

fn steps_of(decision: &Decision) -> Vec<Step> {
    let steps = decision.transitions().map(|t| (t.rule.clone(), subject_of(&t.rule, &t.subject), t.from.as_str(), t.to.as_str()));
    let mut steps: Vec<Step> = steps.collect();
    steps.sort();
    steps
}

fn notices_of(decision: &Decision) -> Vec<Told> {
    let channel = |name: &str| CHANNELS.iter().position(|channel| *channel == name).unwrap();
    let told = decision.notices().map(|n| {
        (n.rule.clone(), subject_of(&n.rule, &n.subject), channel(&n.channel), n.kind.as_str(), n.severity, n.began_during.is_some())
    });
    let mut told: Vec<Told> = told.collect();
    told.sort();
    told
}

fn standing(book: &Book) -> Vec<(String, String, &'static str, Severity)> {
    let all = book.alerts.values().map(|a| (a.rule.clone(), subject_of(&a.rule, &a.subject), a.state.as_str(), a.severity));
    let mut all: Vec<_> = all.collect();
    all.sort();
    all
}

fn expected(reference: &Reference<'_>) -> Vec<(String, String, &'static str, Severity)> {
    let all = reference.standings(&reference.log).into_iter().filter(|(_, now)| now.phase != Phase::Quiet);
    all.map(|((rule, subject), now)| (rule, subject, name(now.phase), now.severity)).collect()
}

/// A rule that was not judged leaves its alerts as they were, but for the word that they are held.
fn holds(before: &Book, decision: &Decision, turn: &Turn, setup: &Setup) {
    for (at, rule) in RULES.iter().enumerate() {
        let judged = matches!(turn.ended[at], Ended::Judged(_) | Ended::Disabled | Ended::Removed)
            || (turn.ended[at] == Ended::NoData && setup.rules[at].missing_fires);
        for alert in before.alerts.values().filter(|alert| alert.rule == *rule && !judged) {
            let after = &decision.book.alerts[&alert.fingerprint];
            let plain =
                |alert: &Alert| Alert { held: None, suppressed_by: None, choices: Few::default(), seen_at: time(0), ..alert.clone() };
            assert_eq!(plain(after), plain(alert));
        }
    }
}

/// In each episode a channel hears of the firing once and first, and of the end at most once and last.
fn channels_hear_beginnings_before_ends(outbox: &[Row], decision: &Decision) {
    let mut keys = std::collections::BTreeSet::new();
    for notice in decision.notices() {
        assert!(keys.insert(notice.key.clone()), "two notices with one key");
        assert!(outbox.iter().all(|row| row.notice.key != notice.key), "a key is used again");
        let heard = outbox.iter().filter(|row| row.notice.episode == notice.episode && row.notice.channel == notice.channel);
        let heard: Vec<NoticeKind> = heard.map(|row| row.notice.kind).collect();
        assert_eq!(heard.is_empty(), notice.kind == NoticeKind::Firing, "{heard:?} then {}", notice.kind);
        assert!(!heard.contains(&NoticeKind::Resolved), "{heard:?} then {}", notice.kind);
    }
}

fn no_repeat_within_its_window(outbox: &[Row], decision: &Decision, config: &DecideConfig) {
    for notice in decision.notices().filter(|notice| notice.kind == NoticeKind::Repeat) {
        let last = outbox.iter().rfind(|row| row.notice.episode == notice.episode && row.notice.channel == notice.channel).unwrap();
        let route = config.route.routes.iter().find(|route| route.channels[0] == notice.channel).unwrap();
        let window = TimeDelta::seconds(route.repeat_s.unwrap() as i64);
        assert!(last.delivered_at.unwrap() + window <= notice.at);
        assert!(notice.severity <= last.notice.severity);
    }
}

/// Each firing alert has a choice for each channel it is routed to, each choice that has changed a record, and each notice
/// one that says it was sent.
fn records_answer_for_every_channel(before: &Book, decision: &Decision) {
    for alert in decision.book.alerts.values().filter(|alert| alert.state == State::Firing) {
        let channels = if alert.severity == Severity::Critical { 2 } else { 1 };
        let chosen = alert.choices.keys().filter(|channel| !channel.is_empty()).count();
        assert!(chosen >= channels, "{chosen} of {channels}: {:?}", alert.choices);
        let before = before.alerts.get(&alert.fingerprint).map(|alert| alert.choices.clone()).unwrap_or_default();
        for (channel, (sent, reason)) in &alert.choices {
            let written =
                decision.records.iter().any(|r| r.fingerprint == alert.fingerprint && r.channel.as_deref().unwrap_or_default() == channel);
            assert_eq!(written, *sent && written || before.get(channel) != Some(&(*sent, reason.clone())), "{channel}: {reason}");
        }
        let target = fingerprint(&alert.rule, &alert.target, &alert.subject);
        assert_eq!(target, alert.fingerprint);
    }
    assert_eq!(decision.records.iter().filter(|r| r.sent).count(), decision.tellings.len());
}

fn shuffled(book: &Book, outcomes: &[RuleOutcome], config: &DecideConfig, now: DateTime<Utc>) -> Decision {
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn decides_as_the_reference_every_ten_seconds(setup in setup(), turns in turns()) {
        check(10, &setup, &turns);
    }

    #[test]
    fn decides_as_the_reference_every_minute(setup in setup(), turns in turns()) {
        check(60, &setup, &turns);
    }

    #[test]
    fn decides_as_the_reference_every_quarter_of_an_hour(setup in setup(), turns in turns()) {
        check(900, &setup, &turns);
    }
}
