//! What every kind of channel must do. A new kind adds its case here; the suite does the rest.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use super::super::testing::{Receiver, hostile_notice, nobody, notice};
use super::{Channel, ChannelSettings, KINDS, Means, SendError, Terminal};
use crate::deliver::Message;
use crate::env::Env;
use crate::text::safe;
use crate::yaml::{self, Fields};

/// One kind under test: a channel that works, where its output shows, and one whose receiver is broken.
struct Case {
    kind: &'static str,
    works: Box<dyn Channel>,
    output: Box<dyn Fn() -> String>,
    broken: Box<dyn Channel>,
    _folder: tempfile::TempDir,
}

/// One that works, one whose receiver is broken, and what the first sent.
type Tried = (Box<dyn Channel>, Box<dyn Channel>, Box<dyn Fn() -> String>);

fn cases() -> Vec<Case> {
    KINDS.iter().map(|kind| case(kind.name)).collect()
}

fn case(kind: &'static str) -> Case {
    let folder = tempfile::tempdir().unwrap();
    let screen = Arc::new(Mutex::new(Vec::<u8>::new()));
    let means = |terminal| Means { terminal, env: Env::of([]) };
    let terminal = means(Terminal::plain(screen.clone()));
    let cut_off = means(Terminal::plain(Arc::new(Mutex::new(CutOff))));
    let file = folder.path().join("a.jsonl");
    let build = |yaml: &str, means: &Means| settings(kind, yaml).build("a channel", means);
    let (works, broken, output): Tried = match kind {
        "alertmanager" => over_http(kind, "urls: [ADDRESS]", 200, ""),
        "console" => {
            (build("", &terminal), build("", &cut_off), Box::new(move || String::from_utf8(screen.lock().unwrap().clone()).unwrap()))
        }
        "email" => {
            let program = format!("cat >> {0}; echo END >> {0}", file.display());
            let yaml = |program: &str| format!("from: me@x.org\nto: dba@x.org\nsendmail: [{program}]");
            let works = build(&yaml(&format!("/bin/sh, -c, \"{program}\"")), &terminal);
            let broken = build(&yaml("/no/such/sendmail"), &terminal);
            (works, broken, Box::new(move || mail_texts(&std::fs::read_to_string(&file).unwrap())))
        }
        "exec" => {
            let works = build(&format!("command: [sh, -c, 'cat >> \"$0\"', {}]", file.display()), &terminal);
            let broken = build("command: [/no/such/program]", &terminal);
            (works, broken, Box::new(move || std::fs::read_to_string(&file).unwrap()))
        }
        "log" => {
            let nowhere = folder.path().join("no/such/folder/a.jsonl");
            let broken = build(&format!("file: {}", nowhere.display()), &terminal);
            let works = build(&format!("file: {}", file.display()), &terminal);
            (works, broken, Box::new(move || std::fs::read_to_string(&file).unwrap()))
        }
        "discord" => over_http(kind, "url: {env: URL}", 200, r#"{"id": "12"}"#),
        "pagerduty" => over_http(kind, "{routing_key: {env: KEY}, url: ADDRESS}", 202, ""),
        "slack" => {
            over_http(kind, "{token: {env: TOKEN}, channel: C1, api: ADDRESS}", 200, r#"{"ok": true, "channel": "C1", "ts": "1.2"}"#)
        }
        "teams" => over_http(kind, "url: {env: URL}", 202, ""),
        "webhook" => over_http(kind, "url: ADDRESS", 200, ""),
        other => panic!("`{other}` needs a case here"),
    };
    Case { kind, works, output, broken, _folder: folder }
}

/// A channel to a receiver that takes everything with that answer, what it was sent, and one to nobody.
fn over_http(kind: &str, yaml: &str, status: u16, answer: &'static str) -> Tried {
    let receiver = Receiver::new(move |_| (status, answer.into()));
    let build = |url: &str| {
        let terminal = Terminal::plain(Arc::new(Mutex::new(CutOff)));
        let env = Env::of([("URL", url), ("TOKEN", "xoxb-1"), ("KEY", "0123456789abcdef0123456789abcdef")]);
        settings(kind, &yaml.replace("ADDRESS", url)).build("a channel", &Means { terminal, env })
    };
    let (works, broken) = (build(&receiver.url), build(&nobody()));
    (works, broken, Box::new(move || receiver.seen().iter().map(|request| format!("{}\n", request.body)).collect()))
}

fn settings(kind: &str, yaml: &str) -> ChannelSettings {
    let kind = KINDS.iter().find(|k| k.name == kind).unwrap();
    let root = yaml::parse("config.yaml", yaml).unwrap();
    let mut fields = Fields::open("config.yaml", &root, "a channel").unwrap();
    fields.text("kind");
    let settings = (kind.settings)("config.yaml", &mut fields);
    assert_eq!(fields.finish(), []);
    settings.unwrap()
}

/// What a mail program would show of mails without HTML.
fn mail_texts(mails: &str) -> String {
    let texts = mails
        .split("\nEND\n")
        .filter_map(|mail| mail_parser::MessageParser::new().parse(mail.trim_start())?.body_text(0).map(String::from));
    texts.collect()
}

/// A terminal that has gone away.
struct CutOff;

impl Write for CutOff {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn kinds_are_sorted_and_their_examples_are_right() {
    assert!(KINDS.iter().map(|k| k.name).is_sorted());
    for kind in KINDS {
        let settings = settings(kind.name, kind.example);
        assert_eq!(settings.kind(), kind.name);
        assert_eq!(serde_json::json!(settings)["kind"], kind.name, "settings say what they are");
        assert!(kind.example.starts_with(&format!("kind: {}\n", kind.name)), "{}", kind.example);
    }
}

#[tokio::test]
async fn a_channel_knows_its_name_and_kind() {
    for case in cases() {
        assert_eq!((case.works.name(), case.works.kind()), ("a channel", case.kind));
    }
}

#[tokio::test]
async fn nothing_that_a_database_wrote_gives_orders_to_the_reader() {
    for case in cases() {
        case.works.send(&Message::of(hostile_notice("k1"))).await.unwrap();
        let output = (case.output)();
        for line in output.lines() {
            assert_eq!(safe(line), line, "{}", case.kind);
            assert!(!line.starts_with("CRITICAL"), "{} lets a name forge an entry: {line}", case.kind);
        }
        assert!(output.contains("forged"), "{} shows what it made harmless", case.kind);
    }
}

#[tokio::test]
async fn the_key_goes_out_with_every_notice_and_stays_the_same() {
    for case in cases() {
        for key in ["key-of-one", "key-of-two", "key-of-two"] {
            let receipt = case.works.send(&Message::of(notice(key))).await.unwrap();
            assert!(!receipt.text.is_empty());
        }
        let output = (case.output)();
        assert_eq!((output.matches("key-of-one").count(), output.matches("key-of-two").count()), (1, 2), "{}", case.kind);
    }
}

#[tokio::test]
async fn a_broken_receiver_is_a_classed_error_of_one_line() {
    for case in cases() {
        let error = case.broken.send(&Message::of(notice("k1"))).await.unwrap_err();
        assert!(matches!(error, SendError::Retryable { after_s: None, .. } | SendError::Unready { .. }), "{}: {error:?}", case.kind);
        assert_eq!(error.to_string().lines().count(), 1);
        assert!(error.to_string().starts_with("the "), "{error}");
    }
}

#[tokio::test]
async fn the_largest_notice_goes_through() {
    for case in cases() {
        let mut large = notice("k1");
        large.detail = "word\n".repeat(200_000);
        large.summary = "s".repeat(1_000_000);
        case.works.send(&Message::of(large)).await.unwrap();
        assert!((case.output)().contains("k1"), "{}", case.kind);
    }
}
