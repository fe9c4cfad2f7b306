//! What this room's tests share.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

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

/// A receiver that answers every request with that status line and body, and keeps the bodies that came: its address, and
/// what it keeps. It lives as long as the process.
pub fn receiver(status: &'static str, answer: &'static str) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let bodies = Arc::new(Mutex::new(Vec::new()));
    let kept = bodies.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut stream = BufReader::new(stream);
            kept.lock().unwrap().push(request_body(&mut stream));
            let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", answer.len());
            stream.get_mut().write_all(format!("{head}{answer}").as_bytes()).unwrap();
        }
    });
    (address, bodies)
}

fn request_body(stream: &mut BufReader<TcpStream>) -> String {
    let mut length = 0;
    let head = stream.by_ref().lines().map(Result::unwrap).take_while(|line| !line.is_empty());
    for line in head {
        if let Some(("content-length", value)) = line.to_ascii_lowercase().split_once(": ") {
            length = value.parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    String::from_utf8(body).unwrap()
}
