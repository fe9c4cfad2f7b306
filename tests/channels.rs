//! Channels against receivers that fail in every way: channel x fault -> what becomes of the message.
//!
//! A new channel over HTTP is one line in `CHANNELS`; a new fault is one line in `faults`. Below the matrix: receivers that
//! enforce what a service has published, and a real Alertmanager. Long, because the matrix, the receivers behind it and what
//! they enforce are read together.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "support/alertmanager.rs"]
mod alertmanager;
#[path = "support/debian.rs"]
mod debian;
#[path = "support/faults.rs"]
mod faults;
#[path = "support/proxy.rs"]
mod proxy;
#[path = "channels/ways.rs"]
mod ways;

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, Mutex};

use alertmanager::Alertmanager;
use chrono::{DateTime, TimeDelta, Utc};
use faults::{Act, Receiver, Request, Tls, answer, nobody};
use futures_util::future::join_all;
use pgsteward::deliver::channels::{KINDS, Means, Terminal};
use pgsteward::deliver::{Channel, Message, SendError};
use pgsteward::env::Env;
use pgsteward::model::{ActionRequest, Evidence, Fingerprint, Group, Labels, Link, Notice, NoticeKind, Severity, Unit};
use pgsteward::yaml::{self, Fields};

/// A kind of channel over HTTP. `ADDRESS` stands for the receiver's, and the variable `HOOK` for a secret path there; `TOKEN`
/// and `KEY` are variables with secrets.
struct Case {
    kind: &'static str,
    yaml: &'static str,
    /// What its service answers when all is well: status and body.
    good: (u16, &'static str),
    /// Faults that mean something else to this kind, by name.
    but: &'static [(&'static str, Class)],
}

const CHANNELS: &[Case] = &[
    Case { kind: "alertmanager", yaml: "{urls: [ADDRESS], token: {env: TOKEN}}", good: (200, ""), but: &[] },
    Case {
        kind: "discord",
        yaml: "{url: {env: HOOK}}",
        good: (200, r#"{"id":"12"}"#),
        but: &[("200 with an error in it", Class::Later), ("200 with nothing in it", Class::Later)],
    },
    Case {
        kind: "pagerduty",
        yaml: "{routing_key: {env: KEY}, url: ADDRESS}",
        good: (202, r#"{"status":"success"}"#),
        but: &[
            ("200 with an error in it", Class::Later),
            ("200 with nothing in it", Class::Later),
            ("429", Class::LaterIn(120)),
            ("429 garbage", Class::LaterIn(120)),
        ],
    },
    Case {
        kind: "slack",
        yaml: "{token: {env: TOKEN}, channel: C1, api: ADDRESS}",
        good: (200, r#"{"ok":true,"channel":"C1","ts":"1.2"}"#),
        but: &[("200 with an error in it", Class::Never), ("200 with nothing in it", Class::Later)],
    },
    Case {
        kind: "slack",
        yaml: "{url: {env: HOOK}}",
        good: (200, "ok"),
        but: &[("200 with an error in it", Class::Later), ("200 with nothing in it", Class::Later)],
    },
    Case { kind: "teams", yaml: "{url: {env: HOOK}}", good: (202, ""), but: &[("200 with an error in it", Class::Later)] },
    Case {
        kind: "webhook",
        yaml: "{url: {env: HOOK}, secret: {env: TOKEN}, username: bot, password: {env: TOKEN}}",
        good: (200, ""),
        but: &[],
    },
];

/// A secret that no error may repeat.
const TOKEN: &str = "hunter2-hunter2-hunter2";
/// `bot` with the token as password, as a header has it.
const BASIC: &str = "Ym90Omh1bnRlcjItaHVudGVyMi1odW50ZXIy";
const KEY: &str = "0123456789abcdef0123456789abcdef";

/// What becomes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Taken,
    Later,
    LaterIn(u64),
    Refused,
    Never,
}

impl Class {
    fn of<T>(result: &Result<T, SendError>) -> Self {
        match result {
            Ok(_) => Self::Taken,
            Err(SendError::Retryable { after_s: None, .. } | SendError::Unready { .. }) => Self::Later,
            Err(SendError::Retryable { after_s: Some(after_s), .. }) => Self::LaterIn(*after_s),
            Err(SendError::Auth { .. }) => Self::Refused,
            Err(SendError::Permanent { .. }) => Self::Never,
        }
    }
}

/// One way to fail.
struct Fault {
    name: &'static str,
    tls: Tls,
    /// `None`: nobody is there.
    act: Option<Act>,
    class: Class,
    /// What the error says, for whoever has to mend it.
    says: &'static str,
}

fn fault(name: &'static str, act: Act, class: Class) -> Fault {
    Fault { name, tls: Tls::Plain, act: Some(act), class, says: "" }
}

/// An answer with that status, some headers and a body.
fn status(name: &'static str, status: u16, headers: &str, class: Class) -> Fault {
    fault(name, Act::Answer(answer(status, headers, b"some words")), class)
}

fn faults(good: (u16, &'static str)) -> Vec<Fault> {
    let fine = answer(good.0, "", good.1.as_bytes());
    let cut = answer(good.0, "", format!("{}more", good.1).as_bytes());
    let cut = cut[..cut.len() - 4].to_vec();
    let tls = |name, tls, class, says| Fault { name, tls, act: Some(Act::Answer(answer(good.0, "", good.1.as_bytes()))), class, says };
    let huge = |status| Act::Answer(answer(status, "", &vec![b'x'; 10_000_000]));
    let gzip = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x4b\x4e\x2d\x2a\x02\x00";
    vec![
        fault("all is well", Act::Answer(fine.clone()), Class::Taken),
        tls("sound certificate", Tls::Sound, Class::Taken, ""),
        tls("expired certificate", Tls::Expired, Class::Later, "has expired; whoever runs it must renew it"),
        tls("certificate for another name", Tls::WrongName, Class::Later, "is for another name"),
        tls("certificate of a stranger", Tls::Stranger, Class::Later, "set `ca` to the file"),
        Fault { name: "nobody listens", tls: Tls::Plain, act: None, class: Class::Later, says: "cannot be reached: Connection refused" },
        fault("accepts and hangs", Act::Hang, Class::Later),
        fault("drips", Act::Drip(fine.clone()), Class::Later),
        fault("resets before it answers", Act::Reset(Vec::new()), Class::Later),
        fault("resets within the head", Act::Reset(b"HTTP/1.1 20".to_vec()), Class::Later),
        fault("resets within the body", Act::Reset(cut), Class::Taken),
        fault("speaks something else", Act::Close(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()), Class::Later),
        status("302", 302, "location: http://127.0.0.1:1/hunter2\r\n", Class::Never),
        fault("200 with an error in it", Act::Answer(answer(200, "", br#"{"ok":false,"error":"fatal"}"#)), Class::Taken),
        fault("200 with nothing in it", Act::Answer(answer(200, "", b"")), Class::Taken),
        status("400", 400, "", Class::Never),
        status("401", 401, "", Class::Refused),
        status("403", 403, "", Class::Refused),
        status("404", 404, "", Class::Never),
        status("407", 407, "", Class::Refused),
        status("408", 408, "", Class::Later),
        status("413", 413, "", Class::Never),
        status("425", 425, "", Class::Later),
        status("429", 429, "", Class::Later),
        status("429 at once", 429, "retry-after: 0\r\n", Class::LaterIn(0)),
        status("429 in an hour", 429, "retry-after: 3600\r\n", Class::LaterIn(3_600)),
        status("429 on a day that is over", 429, "retry-after: Thu, 01 Jan 1970 00:00:00 GMT\r\n", Class::LaterIn(0)),
        status("429 garbage", 429, "retry-after: soon\r\n", Class::Later),
        status("500", 500, "", Class::Later),
        status("503 in a minute", 503, "retry-after: 60\r\n", Class::LaterIn(60)),
        fault("10 MB of error, later", huge(500), Class::Later),
        fault("10 MB of error, never", huge(422), Class::Never),
        fault("an error in gzip", Act::Answer(answer(400, "content-encoding: gzip\r\n", gzip)), Class::Never),
    ]
}

fn channel(kind: &str, yaml: &str, address: &str, ca: Option<&std::path::Path>) -> Box<dyn Channel> {
    channel_in(kind, yaml, address, ca, [("HTTPS_PROXY", ""); 2])
}

/// With more variables.
fn channel_in(kind: &str, yaml: &str, address: &str, ca: Option<&std::path::Path>, env: [(&str, &str); 2]) -> Box<dyn Channel> {
    let kind = KINDS.iter().find(|known| known.name == kind).unwrap();
    let ca = ca.map_or(String::new(), |ca| format!(", ca: {}", ca.display()));
    let whole = yaml.replace("ADDRESS", address);
    let whole = whole.strip_suffix('}').map(|open| format!("{open}, timeout: 1s{ca}}}")).unwrap();
    let root = yaml::parse("config.yaml", &whole).unwrap();
    let mut fields = Fields::open("config.yaml", &root, "a channel").unwrap();
    let settings = (kind.settings)("config.yaml", &mut fields);
    assert_eq!(fields.finish(), [], "{whole}");
    let hook = format!("{address}/hook/{TOKEN}");
    let env = Env::of([("HOOK", hook.as_str()), ("TOKEN", TOKEN), ("KEY", KEY), env[0], env[1]]);
    let terminal = Terminal::plain(Arc::new(Mutex::new(std::io::sink())) as Arc<Mutex<dyn Write + Send>>);
    settings.unwrap().build("a channel", &Means { terminal, env })
}

fn at(s: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_000) + TimeDelta::seconds(s)
}

fn notice(key: &str, kind: NoticeKind) -> Notice {
    Notice {
        key: key.into(),
        kind,
        fingerprint: Fingerprint("7f3a".into()),
        episode: "7f3a-1".into(),
        target: "orders-1".into(),
        rule: "dead_rows".into(),
        title: "dead rows".into(),
        subject: [("database", "shop"), ("table", "orders")].into_iter().collect(),
        labels: [("tier", "prod")].into_iter().collect(),
        severity: Severity::Warning,
        summary: "1.2 M dead rows".into(),
        category: "vacuum".into(),
        active_at: at(0),
        at: at(600),
        ..Notice::default()
    }
}

/// Tries one fault on one channel; what is wrong with what became of it.
async fn tried(case: &Case, fault: Fault) -> Option<String> {
    let receiver = match fault.act {
        Some(act) => Some(Receiver::start(fault.tls, move |_| act.clone()).await),
        None => None,
    };
    let address = match &receiver {
        Some(receiver) => receiver.address.clone(),
        None => nobody().await,
    };
    let channel = channel(case.kind, case.yaml, &address, receiver.as_ref().and_then(|receiver| receiver.ca.as_deref()));
    let result = channel.send(&Message::of(notice("key-1", NoticeKind::Firing))).await;
    let expected = case.but.iter().find(|(name, _)| *name == fault.name).map_or(fault.class, |(_, class)| *class);
    let mut wrong = Vec::new();
    if Class::of(&result) != expected {
        wrong.push(format!("is {:?} and should be {expected:?} ({result:?})", Class::of(&result)));
    }
    let said = result.map_or_else(|error| error.to_string(), |receipt| receipt.text);
    if said.contains("hunter2") || said.contains(KEY) {
        wrong.push(format!("tells a secret: {said}"));
    }
    if said.is_empty() || said.lines().count() > 1 || said.chars().count() > 600 || !said.contains(fault.says) {
        wrong.push(format!("says `{said}`"));
    }
    if receiver.is_some_and(|receiver| receiver.requests().len() > 1) {
        wrong.push("was sent more than once".into());
    }
    (!wrong.is_empty()).then(|| format!("{} x {}: {}", case.kind, fault.name, wrong.join("; ")))
}

#[tokio::test]
async fn every_channel_classes_every_fault_and_tells_no_secret() {
    let mut wrong: Vec<String> = Vec::new();
    // All faults of one kind at a time: all kinds at once would not be answered within the second that a send may take.
    for case in CHANNELS {
        let all = faults(case.good).into_iter().map(|fault| tried(case, fault));
        wrong.extend(join_all(all).await.into_iter().flatten());
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[tokio::test]
async fn a_name_that_nobody_knows_may_be_known_later() {
    for case in CHANNELS {
        let channel = channel(case.kind, case.yaml, "http://no-such-host.invalid:8080", None);
        let error = channel.send(&Message::of(notice("k", NoticeKind::Firing))).await.unwrap_err();
        assert!(matches!(error, SendError::Retryable { after_s: None, .. }), "{}: {error:?}", case.kind);
        assert!(error.to_string().contains("`no-such-host.invalid:8080`"), "{}: {error}", case.kind);
    }
}

#[tokio::test]
async fn a_secret_that_a_receiver_sends_back_is_blotted_out() {
    for case in CHANNELS {
        for status in [400, 403, 500] {
            let echo = move |request: &Request| {
                Act::Answer(answer(status, "", format!("{} {}", request.head.replace('\n', " "), request.body).as_bytes()))
            };
            let receiver = Receiver::start(Tls::Plain, echo).await;
            // An address that is written out has its secrets too.
            let address = format!("{}/hunter2-in-path/", receiver.address);
            let error =
                channel(case.kind, case.yaml, &address, None).send(&Message::of(notice("k", NoticeKind::Firing))).await.unwrap_err();
            let error = error.to_string();
            assert!(![TOKEN, "hunter2", KEY, BASIC].iter().any(|secret| error.contains(secret)), "{} {status}: {error}", case.kind);
        }
    }
}

#[tokio::test]
async fn a_connection_that_the_receiver_closes_between_messages_loses_nothing() {
    for case in CHANNELS {
        let fine = answer(case.good.0, "", case.good.1.as_bytes());
        let receiver = Receiver::always(Act::Close(fine)).await;
        let channel = channel(case.kind, case.yaml, &receiver.address, None);
        for n in 0..30 {
            let message = Message::of(notice(&format!("key-{n}"), NoticeKind::Firing));
            // Whoever meets the closing connection is told to come again, and is taken then.
            let mut result = channel.send(&message).await;
            if Class::of(&result) == Class::Later {
                result = channel.send(&message).await;
            }
            assert_eq!(Class::of(&result), Class::Taken, "{} {n}: {result:?}", case.kind);
        }
        assert!(receiver.requests().len() >= 30, "{}", case.kind);
    }
}

#[tokio::test]
async fn a_success_that_comes_too_late_is_sent_again_under_the_same_key() {
    let late = Receiver::start(Tls::Plain, |_| Act::Drip(answer(200, "", b""))).await;
    let channel = channel("webhook", "{url: ADDRESS}", &late.address, None);
    let message = Message::of(notice("key-1", NoticeKind::Firing));
    for _ in 0..2 {
        assert_eq!(Class::of(&channel.send(&message).await), Class::Later);
    }
    let keys: Vec<String> = late.requests().iter().map(|request| request.header("idempotency-key").unwrap().to_string()).collect();
    assert_eq!(keys, ["key-1", "key-1"]);
}

#[tokio::test]
async fn a_refused_secret_is_read_anew() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "old").unwrap();
    let receiver = Receiver::start(Tls::Plain, |request: &Request| {
        let status = if request.header("authorization") == Some("Bearer new") { 200 } else { 401 };
        Act::Answer(answer(status, "", b""))
    })
    .await;
    let channel = channel("webhook", &format!("{{url: ADDRESS, token: {{file: {}}}}}", file.display()), &receiver.address, None);
    let message = Message::of(notice("k", NoticeKind::Firing));
    assert_eq!(Class::of(&channel.send(&message).await), Class::Refused);
    std::fs::write(&file, "new").unwrap();
    assert_eq!(Class::of(&channel.send(&message).await), Class::Taken);
}

#[tokio::test]
async fn a_webhook_is_signed_and_says_who_we_are() {
    let receiver = Receiver::always(Act::Answer(answer(200, "", b""))).await;
    let yaml = "{url: ADDRESS, secret: {env: TOKEN}, username: bot, password: {env: KEY}}";
    channel("webhook", yaml, &receiver.address, None).send(&Message::of(notice("key-1", NoticeKind::Firing))).await.unwrap();
    let request = receiver.requests().remove(0);
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(request.header("authorization"), Some("Basic Ym90OjAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2Nzg5YWJjZGVm"));
    let (time, hash) = request.header("x-pgsteward-signature").unwrap().strip_prefix("t=").unwrap().split_once(",v1=").unwrap();
    use hmac::{KeyInit, Mac};
    let mut mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(TOKEN.as_bytes()).unwrap();
    mac.update(format!("{time}.{}", request.body).as_bytes());
    let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hash, hex);
}

/// 10,000 notices of one group, as the outbox hands them over.
#[tokio::test]
async fn ten_thousand_notices_go_out_once_each_over_few_connections() {
    let receiver = Receiver::always(Act::Answer(answer(200, "", b""))).await;
    let channel = channel("webhook", "{url: ADDRESS}", &receiver.address, None);
    let notices: Vec<Notice> = (0..10_000)
        .map(|n| {
            let mut one = notice(&format!("key-{n:05}"), NoticeKind::Firing);
            one.group = Group { key: "g".into(), ..Group::default() };
            one.subject.set("table", format!("t{n}"));
            one
        })
        .collect();
    for (n, chunk) in notices.chunks(64).enumerate() {
        let message = Message { key: format!("m{n}"), notices: chunk.to_vec(), ..Message::of(chunk[0].clone()) };
        channel.send(&message).await.unwrap();
    }
    let bodies: Vec<serde_json::Value> = receiver.requests().iter().map(Request::json).collect();
    let keys: Vec<&str> =
        bodies.iter().flat_map(|body| body["alerts"].as_array().unwrap()).map(|alert| alert["key"].as_str().unwrap()).collect();
    assert_eq!((bodies.len(), keys.len()), (157, 10_000));
    assert!(keys.is_sorted() && keys.windows(2).all(|pair| pair[0] != pair[1]));
    assert!(bodies.iter().all(|body| body["truncatedAlerts"] == 0));
    assert_eq!(receiver.connections(), 1);
}

/// PagerDuty by what it has published: limits of an event, and what becomes of incidents.
#[derive(Default)]
struct PagerDuty {
    /// By key: open, acknowledged or closed, with its severity.
    incidents: BTreeMap<String, (&'static str, String)>,
    dropped: usize,
}

impl PagerDuty {
    fn take(&mut self, body: &str) -> (u16, String) {
        match self.judge(body) {
            Ok(()) => (202, r#"{"status":"success","message":"Event processed"}"#.into()),
            Err(why) => (400, format!(r#"{{"status":"invalid event","message":"Event object is invalid","errors":["{why}"]}}"#)),
        }
    }

    fn judge(&mut self, body: &str) -> Result<(), String> {
        let event: serde_json::Value = serde_json::from_str(body).map_err(|error| error.to_string())?;
        let text = |path: &str, most: usize| -> Result<String, String> {
            let text = event.pointer(path).and_then(serde_json::Value::as_str).ok_or(format!("{path} is missing or blank"))?;
            let fits = !text.is_empty() && text.chars().count() <= most;
            if fits { Ok(text.to_string()) } else { Err(format!("{path} has a bad length")) }
        };
        if body.len() > 512 * 1024 {
            return Err("the event is too large".into());
        }
        if text("/routing_key", 32)? != KEY {
            return Err("Invalid routing key".into());
        }
        let key = text("/dedup_key", 255)?;
        let action = text("/event_action", 255)?;
        if action == "trigger" {
            text("/payload/summary", 1_024)?;
            text("/payload/source", 255)?;
            let severity = text("/payload/severity", 255)?;
            if !["critical", "error", "warning", "info"].contains(&severity.as_str()) {
                return Err(format!("severity {severity}"));
            }
            DateTime::parse_from_rfc3339(&text("/payload/timestamp", 64)?).map_err(|error| error.to_string())?;
            let state = self.incidents.entry(key).or_default();
            // One that is acknowledged stays so; one that is over begins anew.
            *state = (if state.0 == "acknowledged" { "acknowledged" } else { "open" }, severity);
            return Ok(());
        }
        match (action.as_str(), self.incidents.get_mut(&key)) {
            ("acknowledge", Some(incident)) if incident.0 != "closed" => incident.0 = "acknowledged",
            ("resolve", Some(incident)) if incident.0 != "closed" => incident.0 = "closed",
            ("acknowledge" | "resolve", _) => self.dropped += 1,
            (other, _) => return Err(format!("event_action {other}")),
        }
        Ok(())
    }
}

async fn pagerduty(yaml: &str) -> (Box<dyn Channel>, Arc<Mutex<PagerDuty>>, Receiver) {
    let service = Arc::new(Mutex::new(PagerDuty::default()));
    let take = service.clone();
    let receiver = Receiver::start(Tls::Plain, move |request: &Request| {
        let (status, body) = take.lock().unwrap().take(&request.body);
        Act::Answer(answer(status, "", body.as_bytes()))
    })
    .await;
    (channel("pagerduty", yaml, &receiver.address, None), service, receiver)
}

#[tokio::test]
async fn an_episode_is_one_incident_at_pagerduty_from_its_beginning_to_its_end() {
    use NoticeKind::{Acknowledged, Escalated, Firing, Flapping, Raised, Repeat, Resolved, Settled};
    let (channel, service, _receiver) = pagerduty("{routing_key: {env: KEY}, url: ADDRESS}").await;
    let states = [
        (Firing, "open", "warning"),
        (Repeat, "open", "warning"),
        (Flapping, "open", "warning"),
        (Settled, "open", "warning"),
        (Escalated, "open", "critical"),
        (Acknowledged, "acknowledged", "critical"),
        (Repeat, "acknowledged", "warning"),
        (Raised, "acknowledged", "warning"),
        (Resolved, "closed", "warning"),
    ];
    for (kind, state, severity) in states {
        let receipt = channel.send(&Message::of(notice("k", kind))).await.unwrap();
        assert!(receipt.text.starts_with("202 accepted, incident key "), "{}", receipt.text);
        let service = service.lock().unwrap();
        let incidents: Vec<_> = service.incidents.values().cloned().collect();
        assert_eq!(incidents, [(state, severity.to_string())], "after {kind}");
        assert_eq!(service.dropped, 0);
    }
    let next = Notice { episode: "7f3a-2".into(), ..notice("k", Firing) };
    channel.send(&Message::of(next)).await.unwrap();
    assert_eq!(service.lock().unwrap().incidents.len(), 2, "another episode is another incident");
}

#[tokio::test]
async fn nothing_that_can_stand_in_a_notice_breaks_pagerdutys_limits() {
    let (channel, service, receiver) = pagerduty("{routing_key: {env: KEY}, url: ADDRESS}").await;
    let texts = ["x", "\u{1f600}", "e\u{301}", "\r\n", "\0", "\u{202e}", "\"\\", "<!channel>"];
    for text in texts {
        for length in [0, 1, 254, 255, 256, 1_023, 1_024, 1_025, 600_000] {
            let long: String = text.chars().cycle().take(length).collect();
            let mut full = notice("k", NoticeKind::Firing);
            (full.summary, full.detail, full.rule, full.runbook) = (long.clone(), long.clone(), long.clone(), long.clone());
            full.target = format!("t{long}");
            full.cluster = Some(long.clone());
            full.subject.set("table", long.clone());
            full.labels = (0..20).map(|n| (format!("label{n}"), long.clone())).collect::<Labels>();
            full.links = (0..20).map(|n| Link { title: long.clone(), url: format!("https://h/{n}") }).collect();
            full.evidence = [f64::NAN, f64::INFINITY, 1.0]
                .map(|n| Evidence { metric: long.clone(), value: Some(n), threshold: Some(n), unit: Unit::Bytes })
                .into();
            full.actions =
                vec![ActionRequest { kind: long.clone(), subject: full.subject.clone(), params: BTreeMap::new(), why: long.clone() }];
            channel.send(&Message::of(full)).await.unwrap_or_else(|error| panic!("{text:?} x {length}: {error}"));
        }
    }
    assert_eq!((receiver.requests().len(), service.lock().unwrap().incidents.len()), (72, 1));
}

#[tokio::test]
async fn a_mistyped_routing_key_pauses_and_loses_nothing() {
    for key in ["too-short", "ffffffffffffffffffffffffffffffff"] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        std::fs::write(&file, key).unwrap();
        let (channel, _service, _receiver) = pagerduty(&format!("{{routing_key: {{file: {}}}, url: ADDRESS}}", file.display())).await;
        let message = Message::of(notice("k", NoticeKind::Firing));
        let result = channel.send(&message).await;
        assert_eq!(Class::of(&result), Class::Refused, "{result:?}");
        std::fs::write(&file, KEY).unwrap();
        assert_eq!(Class::of(&channel.send(&message).await), Class::Taken, "it is read anew");
    }
}

#[tokio::test]
async fn a_heartbeat_opens_no_incident() {
    let (channel, service, _receiver) = pagerduty("{routing_key: {env: KEY}, url: ADDRESS}").await;
    assert_eq!(Class::of(&channel.send(&Message::of(notice("k", NoticeKind::Heartbeat))).await), Class::Never);
    assert!(service.lock().unwrap().incidents.is_empty());
}

#[tokio::test]
async fn a_member_that_is_away_is_named_and_the_others_have_it() {
    let here = Receiver::always(Act::Answer(answer(200, "", b""))).await;
    let away = nobody().await;
    let yaml = format!("{{urls: [ADDRESS, \"{away}\"]}}");
    let receipt = channel("alertmanager", &yaml, &here.address, None).send(&Message::of(notice("k", NoticeKind::Firing))).await.unwrap();
    assert!(receipt.text.starts_with("taken by 1 of 2: 127.0.0.1:"), "{}", receipt.text);
    assert!(receipt.text.contains("cannot be reached"), "{}", receipt.text);
}

/// Debian's Alertmanager: what it holds after each notice.
#[tokio::test(flavor = "multi_thread")]
async fn a_real_alertmanager_opens_and_ends_what_it_is_told() {
    let Some(real) = Alertmanager::start().await else { return };
    let channel = channel("alertmanager", "{urls: [ADDRESS]}", &real.address, None);
    let now = Utc::now();
    let told =
        |kind, severity| Notice { severity, active_at: now - TimeDelta::minutes(10), at: now - TimeDelta::seconds(1), ..notice("k", kind) };
    let steps: [(NoticeKind, Severity, &[&str]); 6] = [
        (NoticeKind::Firing, Severity::Warning, &["warning"]),
        (NoticeKind::Repeat, Severity::Warning, &["warning"]),
        (NoticeKind::Raised, Severity::Critical, &["critical"]),
        (NoticeKind::Acknowledged, Severity::Critical, &["critical"]),
        (NoticeKind::Lowered, Severity::Info, &["info"]),
        (NoticeKind::Resolved, Severity::Info, &[]),
    ];
    for (kind, severity, open) in steps {
        let mut told = told(kind, severity);
        told.acked = (kind == NoticeKind::Acknowledged).then(|| "anna: on it".into());
        told.links = vec![Link { title: "wiki".into(), url: "https://wiki.example/dead-rows".into() }];
        let receipt = channel.send(&Message::of(told)).await.unwrap();
        assert!(receipt.text.starts_with("taken by 1 of 1: 127.0.0.1:"), "{}", receipt.text);
        let held = real.alerts().await;
        let severities: Vec<&str> = held.iter().map(|alert| alert["labels"]["severity"].as_str().unwrap()).collect();
        assert_eq!(severities, open, "after {kind}: {held:?}");
        if kind == NoticeKind::Acknowledged {
            assert_eq!(held[0]["annotations"]["acknowledged"], "anna: on it");
            assert_eq!(held[0]["labels"]["alertname"], "dead_rows");
            assert_eq!(held[0]["generatorURL"], "https://wiki.example/dead-rows");
            let ends = DateTime::parse_from_rfc3339(held[0]["endsAt"].as_str().unwrap()).unwrap();
            assert!(ends > now + TimeDelta::days(6), "it stays open although nobody posts it again: {ends}");
        }
    }
    let many: Vec<Notice> = (0..64)
        .map(|n| {
            let mut one = told(NoticeKind::Firing, Severity::Critical);
            one.subject = [("table", format!("t\u{0}\u{202e}\"\n{n}")), ("5 bad-name.", "x".to_string())].into_iter().collect();
            one
        })
        .collect();
    channel.send(&Message { notices: many.clone(), ..Message::of(many[0].clone()) }).await.unwrap();
    assert_eq!(real.alerts().await.len(), 64, "names and values that a database made up are taken");
}
