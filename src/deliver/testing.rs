//! What this room's tests share.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use proptest::prelude::*;

use super::Message;
use crate::model::{ActionRequest, Evidence, Fingerprint, Notice, NoticeKind, Severity, Tier, Unit};
pub use crate::store::testing::at;

/// A notice about a table with dead rows.
pub fn notice(key: &str) -> Notice {
    let subject = [("database", "shop"), ("schema", "public"), ("table", "orders")].into_iter().collect();
    Notice {
        key: key.into(),
        channel: "console".into(),
        kind: NoticeKind::Firing,
        fingerprint: Fingerprint("7f3a".into()),
        episode: "7f3a-0".into(),
        target: "orders-1".into(),
        rule: "dead_tuples_past_trigger".into(),
        title: "dead rows past the vacuum trigger".into(),
        subject,
        labels: [("tier", "prod")].into_iter().collect(),
        tier: Tier::Ticket,
        severity: Severity::Warning,
        summary: "1.2 M dead rows, 6 x the vacuum trigger".into(),
        detail: "2.2 of 4 GB is dead.\nNo vacuum is running.".into(),
        evidence: vec![
            Evidence { metric: "tables.dead".into(), value: Some(1_200_000.0), threshold: None, unit: Unit::Rows },
            Evidence { metric: "dead / trigger".into(), value: Some(6.0), threshold: Some(4.0), unit: Unit::Times },
        ],
        actions: vec![ActionRequest {
            kind: "vacuum".into(),
            subject: [("database", "shop"), ("schema", "public"), ("table", "orders")].into_iter().collect(),
            params: [("analyze".to_string(), "true".to_string())].into(),
            why: "nothing else takes the dead rows away".into(),
        }],
        runbook: "Why: autovacuum does not keep up.\nDo: vacuum the table.".into(),
        began_during: None,
        active_at: at(0),
        at: at(600),
        category: "vacuum".into(),
        ..Notice::default()
    }
}

/// A notice in which every text of the database turns against its reader.
pub fn hostile_notice(key: &str) -> Notice {
    let evil = "x\u{1b}[2J\u{9b}31m\u{202e}gnp\r\nCRITICAL  forged\u{7}\u{0}\u{feff}\";drop";
    let mut notice = notice(key);
    for text in [&mut notice.summary, &mut notice.detail, &mut notice.runbook, &mut notice.rule, &mut notice.target] {
        *text = evil.into();
    }
    notice.subject.set("table", evil);
    notice.evidence[0].metric = evil.into();
    notice.actions[0].subject.set("table", evil);
    notice.actions[0].why = evil.into();
    notice.began_during = Some(evil.into());
    notice
}

/// A message about so many tables of one server, the first of them critical and the last of them over.
pub fn group(count: usize) -> Message {
    let mut notices: Vec<Notice> = (0..count).map(|n| of_table(n, Severity::Warning)).collect();
    notices.iter_mut().take(2).for_each(|notice| notice.severity = Severity::Critical);
    notices.iter_mut().skip(1).last().into_iter().for_each(|notice| notice.kind = NoticeKind::Resolved);
    for notice in &mut notices {
        notice.group.key = "route|orders-1".into();
        notice.group.labels = [("cluster", "orders")].into_iter().collect();
    }
    Message { key: "7f3a.group".into(), notices, ..Message::of(notice("k")) }
}

/// So many notices that came too fast, of which only the first are in the message.
pub fn digest(count: usize, shown: usize) -> Message {
    let notices = (0..shown).map(|n| of_table(n, Severity::Warning)).collect();
    Message { key: "7f3a.digest".into(), notices, omitted: count - shown, digest: true, ..Message::of(notice("k")) }
}

fn of_table(n: usize, severity: Severity) -> Notice {
    let mut notice = notice(&format!("7f3a.{n}.firing"));
    let table = format!("orders_{n}");
    notice.subject.set("table", table.clone());
    notice.actions[0].subject.set("table", table);
    notice.episode = format!("7f3a-{n}");
    Notice { severity, ..notice }
}

/// One message of everything that a channel has to tell, by name, for goldens.
pub fn told() -> Vec<(&'static str, Message)> {
    let of = |kind: NoticeKind| Notice { kind, ..notice(&format!("7f3a.{kind}")) };
    let raised = Notice { severity: Severity::Critical, reason: "severity rose from warning".into(), ..of(NoticeKind::Raised) };
    let acked = Notice { acked: Some("alice: on it".into()), ..of(NoticeKind::Acknowledged) };
    let windowed =
        Notice { began_during: Some("window `weekly-patch`".into()), fallback_of: Some("pager".into()), ..of(NoticeKind::Firing) };
    vec![
        ("firing", Message::of(of(NoticeKind::Firing))),
        ("raised", Message::of(raised)),
        ("repeat", Message::of(of(NoticeKind::Repeat))),
        ("resolved", Message::of(of(NoticeKind::Resolved))),
        ("acknowledged", Message::of(acked)),
        ("escalated", Message::of(of(NoticeKind::Escalated))),
        ("flapping", Message::of(of(NoticeKind::Flapping))),
        ("told_late_and_elsewhere", Message::of(windowed)),
        ("drill", Message::of(Notice { drill: true, ..of(NoticeKind::Firing) })),
        ("hostile", Message::of(hostile_notice("7f3a.hostile"))),
        ("group_of_12", group(12)),
        ("digest_of_37", digest(37, 10)),
    ]
}

/// Messages of up to so many notices with texts of any length and kind: what limits are tried with.
pub fn novel(most: usize) -> impl Strategy<Value = Message> {
    let letters = prop_oneof![Just("x"), Just("&"), Just("*_`"), Just("👍🏽"), Just("e\u{301}"), Just("\u{1b}\u{202e}"), Just("word ")];
    let text = (letters, prop_oneof![0..40usize, 0..5_000usize]).prop_map(|(letter, times)| letter.repeat(times));
    let told = (text.clone(), text.clone(), text.clone(), text, 0..30usize, 0..NoticeKind::ALL.len()).prop_map(novel_notice);
    (proptest::collection::vec(told, 1..=most), 0..100usize, any::<bool>()).prop_map(|(notices, omitted, digest)| Message {
        key: notices.iter().map(|notice| notice.key.as_str()).collect::<Vec<_>>().join(","),
        omitted: if digest { omitted } else { 0 },
        notices,
        digest,
        ..Message::of(notice("k"))
    })
}

fn novel_notice((name, summary, detail, why, items, kind): (String, String, String, String, usize, usize)) -> Notice {
    let mut novel = notice(&name);
    let (fact, action) = (novel.evidence[1].clone(), novel.actions[0].clone());
    novel.evidence = vec![Evidence { metric: name.clone(), ..fact }; items];
    novel.actions = vec![ActionRequest { why, ..action }; items];
    novel.actions.iter_mut().for_each(|action| action.subject.set("table", name.clone()));
    novel.subject.set("table", name);
    novel.runbook = summary.clone();
    novel.reason = summary.clone();
    Notice { kind: NoticeKind::ALL[kind], summary, detail, ..novel }
}

/// A receiver over HTTP in this process, which remembers what it was sent.
pub struct Receiver {
    /// Where it listens: `http://127.0.0.1:port/`.
    pub url: String,
    seen: Arc<Mutex<Vec<Request>>>,
}

/// What a receiver was sent.
#[derive(Debug, Clone)]
pub struct Request {
    /// `POST /path?query`.
    pub line: String,
    /// The headers as they came.
    pub head: String,
    /// The body.
    pub body: String,
}

impl Receiver {
    /// One that answers as it is told, with a status and a body.
    pub fn new(answer: impl Fn(&Request) -> (u16, String) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let kept = seen.clone();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let Some(request) = read_request(&stream) else { continue };
                let (status, body) = answer(&request);
                kept.lock().unwrap().push(request);
                let length = body.len();
                write!(stream, "HTTP/1.1 {status} x\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}").unwrap_or_default();
            }
        });
        Self { url, seen }
    }

    /// All that it was sent so far.
    pub fn seen(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }
}

fn read_request(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        reader.read_line(&mut head).ok().filter(|read| *read > 0)?;
    }
    let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length:")?.trim().parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let line = head.lines().next()?.trim_end_matches(" HTTP/1.1").to_string();
    Some(Request { line, head, body: String::from_utf8(body).ok()? })
}

/// An address where nobody listens.
pub fn nobody() -> String {
    format!("http://{}/", TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap())
}
