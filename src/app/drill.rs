//! Exercises: notices that say of themselves that nothing is wrong, sent past the outbox so that whoever asks sees at once
//! what each channel answers.
//!
//! A sample of a rule is decided by the code that decides in a tick, so that it takes the rule's real way: routes, groups,
//! severity filters. What keeps notices back (windows, silences, inhibitions) is left out: a drill is wanted now. What a
//! receiver would keep open is ended at once, so that no drill becomes an incident that somebody has to close.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::alert;
use crate::deliver::{Channel, Message, Receipt, SendError};
use crate::model::{
    Book, DecideConfig, Decision, Evaluation, Evidence, Finding, Labels, Notice, NoticeKind, Outcome, RuleMeta, RuleOutcome, SettingValue,
    Severity, Telling, Tier,
};

/// Longest that one channel is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// A drill for one channel, about nothing.
#[must_use]
pub fn of_channel(channel: &str, who: &str, now: DateTime<Utc>) -> Notice {
    let key = format!("drill-{channel}-{}", now.timestamp_millis());
    Notice {
        channel: channel.into(),
        episode: key.clone(),
        fingerprint: crate::model::Fingerprint(key.clone()),
        key,
        target: "pgsteward".into(),
        rule: "drill".into(),
        title: "Drill: nothing is wrong".into(),
        tier: Tier::Advice,
        severity: Severity::Info,
        summary: format!("Drill by {who}: this channel can be reached; nothing is wrong"),
        detail: "Sent by `pgsteward notify test`. Nobody has to do anything.".into(),
        active_at: now,
        at: now,
        drill: true,
        ..Notice::default()
    }
}

/// What would be told of a finding of this rule, if it fired now: the notices, and why other channels are told nothing.
#[must_use]
pub fn sample(meta: &RuleMeta, subject: &Labels, severity: Severity, config: &DecideConfig, now: DateTime<Utc>) -> Decision {
    let at_once = RuleMeta { for_s: 0, ..meta.clone() };
    let finding = Finding {
        subject: subject.clone(),
        severity,
        summary: format!("Drill: {}", meta.title),
        detail: "A sample, not a finding: nothing is wrong.".into(),
        evidence: limits(meta),
        actions: Vec::new(),
        links: Vec::new(),
    };
    let found = Evaluation { findings: vec![finding], ..Evaluation::default() };
    let open = DecideConfig { windows: Vec::new(), silences: Vec::new(), inhibitions: Vec::new(), ..config.clone() };
    let mut decision = alert::decide(&Book::default(), &[RuleOutcome { meta: Arc::new(at_once), outcome: Outcome::Ok(found) }], &open, now);
    let drill = |notice: Notice| Telling::from(Notice { drill: true, key: format!("drill-{}", notice.key), ..notice });
    decision.tellings = decision.notices().map(drill).collect();
    decision
}

/// Who a sample is about: the key of the rule's frame, each with the word `sample`.
#[must_use]
pub fn sample_subject(key: &[String]) -> Labels {
    key.iter().map(|name| (name.as_str(), "sample")).collect()
}

/// The rule's numeric settings as facts, so that a message has a table to show.
fn limits(meta: &RuleMeta) -> Vec<Evidence> {
    let fact = |def: &crate::model::SettingDef| match def.default {
        SettingValue::Number(limit) => {
            Some(Evidence { metric: format!("{} (sample)", def.name), value: Some(limit), threshold: Some(limit), unit: def.unit })
        }
        _ => None,
    };
    meta.settings.iter().filter_map(fact).collect()
}

/// What a channel answered to a drill.
#[derive(Debug)]
pub struct Answer {
    /// To the drill.
    pub began: Result<Receipt, SendError>,
    /// To its end, where the receiver would keep open what it took.
    pub ended: Option<Result<Receipt, SendError>>,
}

/// Sends one drill and waits for the answer; its end follows at once where it would stay open.
pub async fn send(channel: &dyn Channel, notice: Notice) -> Answer {
    let end = end_of(&notice);
    let began = send_one(channel, notice).await;
    let ended = if began.is_ok() && channel.keeps_drills_open() { Some(send_one(channel, end).await) } else { None };
    Answer { began, ended }
}

/// The end of a drill, about the same episode.
fn end_of(drill: &Notice) -> Notice {
    let reason = "the drill is over".to_string();
    Notice { kind: NoticeKind::Resolved, key: format!("{}-end", drill.key), reason, ..drill.clone() }
}

async fn send_one(channel: &dyn Channel, notice: Notice) -> Result<Receipt, SendError> {
    match tokio::time::timeout(PATIENCE, channel.send(&Message::of(notice))).await {
        Ok(answer) => answer,
        Err(_) => Err(SendError::retryable(format!("no answer within {}", pgsteward_helpers::span(PATIENCE.as_secs_f64())))),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use futures_util::future::BoxFuture;

    use super::*;
    use crate::model::{ChannelPolicy, Route};

    /// Keeps what it is told, until it has had enough.
    struct Keeper {
        keeps: bool,
        takes: usize,
        told: Mutex<Vec<(NoticeKind, String)>>,
    }

    impl Channel for Keeper {
        fn name(&self) -> &str {
            "keeper"
        }

        fn kind(&self) -> &'static str {
            "keeper"
        }

        fn send<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<Receipt, SendError>> {
            let mut told = self.told.lock().unwrap();
            told.extend(message.notices.iter().map(|notice| (notice.kind, notice.episode.clone())));
            let taken = told.len() <= self.takes;
            Box::pin(async move { if taken { Ok(Receipt::new("taken")) } else { Err(SendError::retryable("503")) } })
        }

        fn keeps_drills_open(&self) -> bool {
            self.keeps
        }
    }

    async fn drilled(keeps: bool, takes: usize) -> (Answer, Vec<(NoticeKind, String)>) {
        let keeper = Keeper { keeps, takes, told: Mutex::default() };
        let answer = send(&keeper, of_channel("keeper", "ann", DateTime::UNIX_EPOCH)).await;
        (answer, keeper.told.into_inner().unwrap())
    }

    #[tokio::test]
    async fn what_a_receiver_would_keep_open_is_ended_at_once() {
        let (answer, told) = drilled(true, 2).await;
        assert_eq!(answer.ended, Some(Ok(Receipt::new("taken"))));
        assert_eq!((told.len(), told[0].0, told[1].0), (2, NoticeKind::Firing, NoticeKind::Resolved));
        assert_eq!(told[0].1, told[1].1, "one episode, so one incident");
        assert!(drilled(true, 1).await.0.ended.unwrap().is_err());
        assert_eq!(drilled(true, 0).await.1.len(), 1, "what was not taken need not be ended");
        assert_eq!(drilled(false, 2).await.1.len(), 1, "people are told once");
    }

    #[test]
    fn a_sample_takes_the_rules_own_way_and_says_that_it_is_a_drill() {
        let matching = |text: &str| text.parse().unwrap();
        let pager = Route { matchers: matching("severity=critical"), channels: vec!["pager".into()], ..Route::default() };
        let config = DecideConfig {
            route: Route { channels: vec!["mail".into()], routes: vec![pager], ..Route::default() },
            channels: [("pager".to_string(), ChannelPolicy::default())].into(),
            ..DecideConfig::default()
        };
        let meta = RuleMeta { id: "dead_rows".into(), for_s: 600, ..alert::rule_unevaluable() };
        let subject = sample_subject(&["schema".into(), "table".into()]);
        let told = |severity| {
            let decision = sample(&meta, &subject, severity, &config, DateTime::UNIX_EPOCH);
            decision.notices().map(|n| (n.channel, n.drill, n.subject.to_string())).collect::<Vec<_>>()
        };
        assert_eq!(told(Severity::Critical), [("pager".to_string(), true, "sample.sample".to_string())]);
        assert_eq!(told(Severity::Warning), [("mail".to_string(), true, "sample.sample".to_string())]);
    }
}
