//! Mails: a scripted server that fails in every way, a real one, and what a strict parser makes of our own mails.
//!
//! `cargo test --test email show_mails -- --ignored` writes mails as HTML files to look at.
#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "support/debian.rs"]
mod debian;
#[path = "support/exim.rs"]
mod exim;
#[path = "support/smtp.rs"]
mod smtp;

use std::path::Path;
use std::sync::{Arc, Mutex};

use chrono::{DateTime, TimeDelta, Utc};
use mail_parser::{MessageParser, MimeHeaders};
use pgsteward::deliver::channels::{KINDS, Means, Terminal};
use pgsteward::deliver::{Channel, Message, SendError, Trend};
use pgsteward::env::Env;
use pgsteward::model::{ActionRequest, Evidence, Fingerprint, Group, Link, Notice, NoticeKind, Severity, Unit};
use pgsteward::yaml::{self, Fields};

use exim::Exim;
use smtp::{Act, Aiosmtpd, PASSWORD, Scripted, Shown, Tls, USER};

fn channel(yaml: &str) -> Box<dyn Channel> {
    let kind = KINDS.iter().find(|kind| kind.name == "email").unwrap();
    let root = yaml::parse("config.yaml", yaml).unwrap();
    let mut fields = Fields::open("config.yaml", &root, "a channel").unwrap();
    let settings = (kind.settings)("config.yaml", &mut fields).unwrap();
    assert_eq!(fields.finish(), []);
    let terminal = Terminal::plain(Arc::new(Mutex::new(Vec::<u8>::new())));
    settings.build("mail", &Means { terminal, env: Env::of([("PW", PASSWORD), ("WRONG", "not this one")]) })
}

/// The settings for a server on this machine.
fn over(tls: &str, port: u16, ca: &Path, more: &str) -> Box<dyn Channel> {
    within("20s", tls, port, ca, more)
}

fn within(timeout: &str, tls: &str, port: u16, ca: &Path, more: &str) -> Box<dyn Channel> {
    let (ca, more) = (ca.display(), more.replace('\n', "\n  "));
    channel(&format!(
        "from: pgsteward <pgsteward@x.org>\nto: [a@x.org, Ada <b@x.org>]\ntimeout: {timeout}\nsmtp:\n  host: 127.0.0.1\n  port: {port}\n  tls: {tls}\n  ca: {ca}\n  hello: here.x.org\n  {more}"
    ))
}

fn login(password: &str) -> String {
    format!("user: {USER}\npassword: {{env: {password}}}\n")
}

fn at(s: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(1_790_000_000 + s)
}

fn notice(key: &str, kind: NoticeKind) -> Notice {
    let subject = [("database", "shop"), ("schema", "public"), ("table", "orders")];
    Notice {
        key: key.into(),
        channel: "mail".into(),
        kind,
        fingerprint: Fingerprint("7f3a".into()),
        episode: "7f3a-0".into(),
        target: "orders-1".into(),
        rule: "dead_tuples_past_trigger".into(),
        title: "dead rows past the vacuum trigger".into(),
        subject: subject.into_iter().collect(),
        severity: Severity::Critical,
        summary: "1.2 M dead rows, 6 x the vacuum trigger (größer als erlaubt)".into(),
        detail: "2.2 of 4 GB is dead.\n.\nNo vacuum is running.".into(),
        evidence: vec![
            Evidence { metric: "tables.dead".into(), value: Some(1_200_000.0), threshold: Some(200_000.0), unit: Unit::Rows },
            Evidence { metric: "dead / trigger".into(), value: Some(6.0), threshold: Some(4.0), unit: Unit::Times },
        ],
        actions: vec![ActionRequest {
            kind: "vacuum".into(),
            subject: subject.into_iter().collect(),
            params: [("analyze".to_string(), "true".to_string())].into(),
            why: "nothing else takes the dead rows away".into(),
        }],
        runbook: "Why: autovacuum does not keep up.\nDo: vacuum the table.".into(),
        links: vec![Link {
            title: "Routine vacuuming".into(),
            url: "https://www.postgresql.org/docs/current/routine-vacuuming.html".into(),
        }],
        active_at: at(0),
        at: at(600),
        category: "vacuum".into(),
        ..Notice::default()
    }
}

fn plotted(notice: Notice) -> Message {
    let points = (0..32_i32).map(|n| (at(i64::from(n) * 600 - 18_000), 50_000.0 + f64::from(n * n) * 1_200.0)).collect();
    let trend = Trend { notice: notice.key.clone(), fact: notice.evidence[0].clone(), points };
    Message { trends: vec![trend], ..Message::of(notice) }
}

fn firing() -> Message {
    plotted(notice("7f3a.mail.firing.600", NoticeKind::Firing))
}

#[derive(Debug, PartialEq, Eq)]
enum Class {
    Later,
    Never,
    Refused,
}

fn class(error: &SendError) -> Class {
    match error {
        SendError::Retryable { .. } | SendError::Unready { .. } => Class::Later,
        SendError::Permanent { .. } => Class::Never,
        SendError::Auth { .. } => Class::Refused,
    }
}

/// Fault, at which step, what becomes of the mail, and what the error says.
type Fault = (&'static str, &'static [(&'static str, Act)], Class, &'static str);

const FAULTS: &[Fault] = &[
    ("busy at the greeting", &[("greeting", Act::SayAndDrop("421 too busy"))], Class::Later, "answered 421 at the connection: too busy"),
    ("no service", &[("greeting", Act::SayAndDrop("554 not you"))], Class::Later, "answered 554 at the connection: not you"),
    ("gone at the greeting", &[("greeting", Act::Drop)], Class::Later, "broke off at the connection"),
    ("silent", &[("greeting", Act::Hang)], Class::Later, "did not take the mail within 1 s"),
    ("no STARTTLS", &[("EHLO", Act::Say("250 here"))], Class::Later, "offers no STARTTLS; set `tls: implicit`"),
    ("STARTTLS fails", &[("STARTTLS", Act::Say("454 not now"))], Class::Later, "answered 454 at the connection"),
    ("wrong password", &[("AUTH", Act::Say("535 5.7.8 bad login"))], Class::Refused, "answered 535 at the login: 5.7.8 bad login"),
    ("login too weak", &[("AUTH", Act::Say("534 5.7.9 stronger please"))], Class::Refused, "answered 534"),
    ("login rests", &[("AUTH", Act::Say("454 4.7.0 later"))], Class::Later, "answered 454 at the login"),
    ("login needed", &[("MAIL", Act::Say("530 5.7.0 who are you"))], Class::Refused, "answered 530 to the sender"),
    ("sender refused", &[("MAIL", Act::Say("550 5.7.1 not yours"))], Class::Never, "answered 550 to the sender: 5.7.1 not yours"),
    ("greylisted", &[("RCPT", Act::Say("451 4.7.1 come again"))], Class::Later, "answered 451 to the recipient: 4.7.1 come again"),
    ("nobody there", &[("RCPT", Act::Say("550 5.1.1 no such user"))], Class::Never, "answered 550 to the recipient"),
    (
        "nobody there, and one may be later",
        &[("RCPT a@x.org", Act::Say("550 no such user")), ("RCPT b@x.org", Act::Say("452 full"))],
        Class::Later,
        "answered 452",
    ),
    ("DATA refused", &[("DATA", Act::Say("554 no"))], Class::Never, "answered 554 to the mail"),
    ("too large", &[(".", Act::Say("552 5.3.4 too big"))], Class::Never, "answered 552 to the mail: 5.3.4 too big"),
    ("disk full", &[(".", Act::Say("452 4.3.1 no room"))], Class::Later, "answered 452 to the mail"),
    ("dropped after the dot", &[(".", Act::Drop)], Class::Later, "broke off to the mail"),
    ("taken, but never said", &[(".", Act::Hang)], Class::Later, "did not take the mail within 1 s"),
    ("nonsense", &[("MAIL", Act::Say("what?"))], Class::Later, "broke off to the sender"),
    ("hostile answer", &[("MAIL", Act::Say("550 \u{1b}[2J\u{202e}gone"))], Class::Never, r"\u{1b}[2J\u{202e}gone"),
];

#[tokio::test]
async fn every_fault_has_its_class_and_says_what_happened() {
    let tried = FAULTS.iter().map(|(name, steps, expected, says)| async move {
        let server = Scripted::start(Tls::Starttls, Shown::Sound, steps).await;
        let mail = within("1s", "starttls", server.port, server.ca.path(), &login("PW"));
        let error = mail.send(&firing()).await.expect_err(name);
        let told = error.to_string();
        assert_eq!(class(&error), *expected, "{name}: {told}");
        assert!(told.contains(says), "{name}: {told}");
        assert!(told.starts_with("the mail server `127.0.0.1` ") && told.lines().count() == 1, "{name}: {told}");
        assert!(!told.contains(PASSWORD), "{name}: {told}");
    });
    futures_util::future::join_all(tried).await;
}

#[tokio::test]
async fn a_certificate_that_is_not_trusted_is_named_with_what_to_do() {
    for (shown, says) in [
        (Shown::Expired, "it has expired; who runs the server must renew it"),
        (Shown::WrongName, "it is for another name; set `host` to the name that stands in it"),
        (Shown::Stranger, "its issuer is unknown here; set `ca` to the file with the issuer's certificate"),
    ] {
        for (tls, word) in [(Tls::Starttls, "starttls"), (Tls::Implicit, "implicit")] {
            let server = Scripted::start(tls, shown, &[]).await;
            let error = over(word, server.port, server.ca.path(), &login("PW")).send(&firing()).await.unwrap_err();
            assert!(matches!(error, SendError::Retryable { .. }) && error.to_string().ends_with(says), "{shown:?} {word}: {error}");
            assert!(server.sessions().iter().all(|session| !session.said.iter().any(|line| line.starts_with("AUTH"))));
        }
    }
}

#[tokio::test]
async fn nobody_listens_and_files_that_are_not_there() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error = over("starttls", free, Path::new("/etc/hostname"), "").send(&firing()).await.unwrap_err();
    assert!(error.to_string().contains("broke off at the connection: Connection refused"), "{error}");
    let server = Scripted::start(Tls::Starttls, Shown::Sound, &[]).await;
    let error = over("starttls", server.port, Path::new("/no/such/ca"), "").send(&firing()).await.unwrap_err();
    assert!(error.to_string().contains("the certificates `/no/such/ca` cannot be read: No such file"), "{error}");
    let error = over("starttls", server.port, server.ca.path(), &login("UNSET")).send(&firing()).await.unwrap_err();
    let detail = "the setting `password` is not to be had: the environment variable `UNSET` is not set".to_string();
    assert_eq!(error, SendError::Unready { setting: "password", detail });
}

#[tokio::test]
async fn one_refused_recipient_costs_the_other_nothing_and_is_named() {
    let server = Scripted::start(Tls::Starttls, Shown::Sound, &[("RCPT a@x.org", Act::Say("550 5.1.1 no such user"))]).await;
    let receipt = over("starttls", server.port, server.ca.path(), &login("PW")).send(&firing()).await.unwrap();
    assert_eq!(receipt.text, "250 2.0.0 queued as 42; refused: a@x.org (550 5.1.1 no such user)");
    assert_eq!(server.mails().len(), 1);
}

#[tokio::test]
async fn once_the_mail_is_taken_no_farewell_can_lose_it() {
    for fault in [&[("QUIT", Act::Say("500 what?"))], &[("QUIT", Act::Drop)], &[("QUIT", Act::Hang)]] {
        let server = Scripted::start(Tls::Implicit, Shown::Sound, fault).await;
        let receipt = over("implicit", server.port, server.ca.path(), "").send(&firing()).await.unwrap();
        assert_eq!(receipt.text, "250 2.0.0 queued as 42");
    }
}

#[tokio::test]
async fn what_is_sent_again_is_the_same_mail_to_the_byte() {
    let server = Scripted::start(Tls::None, Shown::Sound, &[(".", Act::Drop)]).await;
    let plain = over("none", server.port, server.ca.path(), "why: a test\n");
    for _ in 0..2 {
        plain.send(&firing()).await.unwrap_err();
    }
    let mails = server.mails();
    assert_eq!((mails.len(), &mails[0]), (2, &mails[1]));
    assert!(mails[0].contains("Message-ID: <7f3a-0.firing."), "{}", &mails[0][..600]);
}

#[tokio::test]
async fn a_server_of_seven_bits_gets_seven_bits() {
    let server = Scripted::start(Tls::None, Shown::Sound, &[("EHLO", Act::Say("250 here"))]).await;
    over("none", server.port, server.ca.path(), "why: a test\n").send(&firing()).await.unwrap();
    let mails = server.mails();
    assert!(mails[0].is_ascii() && mails[0].lines().all(|line| line.len() <= 998));
    let said = server.sessions()[0].said.clone();
    assert_eq!(said[..4], ["EHLO here.x.org", "MAIL FROM:<pgsteward@x.org>", "RCPT TO:<a@x.org>", "RCPT TO:<b@x.org>"]);
    let parsed = MessageParser::new().parse(&mails[0]).unwrap();
    assert!(parsed.body_text(0).unwrap().contains("größer als erlaubt"));
}

/// The mail of a message, as a server gets it.
async fn written(message: &Message) -> String {
    let server = Scripted::start(Tls::None, Shown::Sound, &[]).await;
    over("none", server.port, server.ca.path(), "why: a test\n").send(message).await.unwrap();
    server.mails().remove(0)
}

/// Headers of a mail, by name.
fn headers(mail: &str) -> Vec<String> {
    let parsed = MessageParser::new().parse(mail).unwrap();
    parsed.headers().iter().map(|header| header.name().to_string()).collect()
}

#[tokio::test]
async fn a_strict_parser_finds_every_header_both_parts_and_the_picture() {
    let mail = written(&firing()).await;
    check(&mail);
    let parsed = MessageParser::new().parse(&mail).unwrap();
    assert_eq!(parsed.header_raw("X-Priority").unwrap().trim(), "1 (Highest)");
    assert_eq!(parsed.date().unwrap().to_timestamp(), at(600).timestamp());
}

fn check(mail: &str) {
    let parsed = MessageParser::new().parse(mail).unwrap();
    assert_eq!(parsed.subject(), Some("[critical] dead rows past the vacuum trigger: shop.public.orders on orders-1"));
    assert_eq!(parsed.from().unwrap().first().unwrap().address(), Some("pgsteward@x.org"));
    let to: Vec<_> = parsed.to().unwrap().iter().map(|to| to.address().unwrap().to_string()).collect();
    assert_eq!(to, ["a@x.org", "b@x.org"]);
    assert!(parsed.message_id().unwrap().starts_with("7f3a-0.firing.") && parsed.message_id().unwrap().ends_with("@pgsteward"));
    assert_eq!(parsed.in_reply_to().as_text(), Some("7f3a-0@pgsteward"));
    assert_eq!(parsed.references().as_text(), Some("7f3a-0@pgsteward"));
    assert_eq!(parsed.header_raw("Auto-Submitted").unwrap().trim(), "auto-generated");
    assert_eq!((parsed.text_body_count(), parsed.html_body_count()), (1, 1));
    let text = parsed.body_text(0).unwrap();
    for part in ["1.2 M dead rows", "VACUUM (ANALYZE) public.orders;", "\n  .\n", "▁", "limit 200 k rows", "Key   7f3a.mail.firing.600"] {
        assert!(text.replace("\r\n", "\n").contains(part), "{part}: {text}");
    }
    let html = parsed.body_html(0).unwrap();
    assert!(html.contains("cid:plot-0@pgsteward") && html.contains("VACUUM (ANALYZE) public.orders;"), "{html}");
    assert!(!html.contains("src=\"http") && !html.contains("<script") && !html.contains("url("), "nothing is loaded: {html}");
    let picture = parsed.attachment(0).unwrap();
    assert_eq!(picture.content_id(), Some("plot-0@pgsteward"));
    assert_eq!(picture.content_type().unwrap().subtype(), Some("png"));
    assert!(picture.contents().starts_with(b"\x89PNG\r\n\x1a\n"));
}

#[tokio::test]
async fn names_that_forge_headers_parts_or_pages_are_only_text() {
    let plain = written(&Message::of(notice("k", NoticeKind::Firing))).await;
    let boundary = plain.split("boundary=\"").nth(1).unwrap().split('"').next().unwrap();
    for evil in [
        "x\r\nBcc: thief@x.org\r\n\r\n<b>body</b>",
        &format!("x\r\n--{boundary}--\r\n--{boundary}\r\nContent-Type: text/html\r\n\r\n<script>1</script>"),
        "=?utf-8?Q?x=0D=0ABcc:_thief@x.org?=",
        "\"><img src=\"http://thief.example/x.png\"><script>alert(1)</script>",
        ".\r\nMAIL FROM:<thief@x.org>\r\n",
        "{{ key }}{% include 'x' %}\u{202e}\u{0}",
    ] {
        let mut hostile = notice("k", NoticeKind::Firing);
        for text in
            [&mut hostile.title, &mut hostile.summary, &mut hostile.detail, &mut hostile.rule, &mut hostile.target, &mut hostile.runbook]
        {
            *text = evil.into();
        }
        hostile.subject.set("table", evil);
        hostile.evidence[0].metric = evil.into();
        hostile.links[0].url = format!("javascript:{evil}");
        hostile.episode = evil.into();
        let mail = written(&Message::of(hostile)).await;
        assert_eq!(headers(&mail), headers(&plain), "{evil}");
        let parsed = MessageParser::new().parse(&mail).unwrap();
        assert_eq!((parsed.parts.len(), parsed.attachment_count()), (3, 0), "{evil}");
        assert!(parsed.bcc().is_none());
        let html = parsed.body_html(0).unwrap();
        for tag in ["<script", "<img", "<b>body", "javascript:"] {
            assert!(!html.contains(tag), "{evil}: {html}");
        }
        assert!(parsed.message_id().unwrap().ends_with("@pgsteward"));
    }
}

/// What RFC 5256 leaves of a subject to see what belongs together.
fn base(subject: &str) -> &str {
    let rest = subject.trim_start();
    rest.strip_prefix('[').and_then(|rest| rest.split_once(']')).map_or(rest, |(_, rest)| base(rest))
}

#[tokio::test]
async fn all_mails_about_one_episode_or_group_are_one_conversation() {
    let kinds = [NoticeKind::Firing, NoticeKind::Raised, NoticeKind::Repeat, NoticeKind::Resolved];
    let alone: Vec<Message> = kinds.into_iter().enumerate().map(|(n, kind)| Message::of(notice(&format!("k{n}"), kind))).collect();
    let group = Group { key: "by-target".into(), labels: [("target", "orders-1")].into_iter().collect(), wait_s: 30, interval_s: 300 };
    let member = |key: &str, kind| Notice { group: group.clone(), episode: format!("e-{key}"), ..notice(key, kind) };
    let several = Message {
        notices: vec![member("g1", NoticeKind::Firing), member("g2", NoticeKind::Firing)],
        ..Message::of(member("g1", NoticeKind::Firing))
    };
    let grouped = [several, Message::of(member("g3", NoticeKind::Resolved))];
    for (messages, root, end) in [(alone, "7f3a-0@pgsteward", "[resolved]"), (grouped.to_vec(), "group.", "[resolved]")] {
        let mut ids = Vec::new();
        let mut subjects = Vec::new();
        for message in &messages {
            let mail = written(message).await;
            let parsed = MessageParser::new().parse(&mail).unwrap();
            assert!(parsed.references().as_text().unwrap().starts_with(root));
            ids.push(parsed.message_id().unwrap().to_string());
            subjects.push(parsed.subject().unwrap().to_string());
        }
        assert!(subjects.iter().all(|subject| base(subject) == base(&subjects[0])), "{subjects:?}");
        assert!(subjects.last().unwrap().starts_with(end), "{subjects:?}");
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), messages.len());
    }
}

#[tokio::test]
async fn a_real_server_takes_them_over_both_kinds_of_tls_after_a_login() {
    let Some(server) = Aiosmtpd::start() else { return };
    for (tls, port) in [("starttls", server.starttls), ("implicit", server.implicit)] {
        let error = over(tls, port, &server.ca, &login("WRONG")).send(&firing()).await.unwrap_err();
        assert!(matches!(error, SendError::Auth { .. }) && !error.to_string().contains("not this one"), "{error}");
        let error = over(tls, port, &server.ca, "").send(&firing()).await.unwrap_err();
        assert!(matches!(error, SendError::Auth { .. }), "{error}");
        let receipt = over(tls, port, &server.ca, &login("PW")).send(&firing()).await.unwrap();
        assert!(receipt.text.starts_with("250 "), "{}", receipt.text);
    }
    let mails = server.mails();
    assert_eq!(mails.len(), 2);
    mails.iter().for_each(|mail| check(mail));
}

#[tokio::test]
async fn a_real_exim_takes_them_and_says_why_it_does_not() {
    let Some(server) = Exim::start() else { return };
    for (tls, port) in [("starttls", server.starttls), ("implicit", server.implicit)] {
        let send = async |login: &str| over(tls, port, &server.ca, login).send(&firing()).await;
        let error = send(&login("WRONG")).await.unwrap_err();
        assert!(class(&error) == Class::Refused && error.to_string().contains("answered 535 at the login"), "{error}");
        let error = send("").await.unwrap_err();
        assert!(
            class(&error) == Class::Never && error.to_string().ends_with("answered 550 to the recipient: relay not permitted"),
            "{error}"
        );
        let receipt = send(&login("PW")).await.unwrap();
        assert!(receipt.text.starts_with("250 OK id="), "{}", receipt.text);
    }
    let mails = server.mails();
    assert_eq!(mails.len(), 2);
    mails.iter().for_each(|mail| check(mail));
}

fn crowd(n: usize, omitted: usize, digest: bool) -> Message {
    let one = |n: usize| {
        let mut notice = notice(&format!("k{n}"), if n % 5 == 4 { NoticeKind::Resolved } else { NoticeKind::Firing });
        notice.severity = if n < 2 { Severity::Critical } else { Severity::Warning };
        notice.subject.set("table", format!("orders_{n}"));
        notice
    };
    let notices: Vec<Notice> = (0..n).map(one).collect();
    let trends = notices.iter().take(2).flat_map(|notice| plotted(notice.clone()).trends).collect();
    Message { key: "crowd".into(), notices, omitted, digest, trends, ..firing() }
}

#[tokio::test]
async fn a_digest_lists_the_worst_and_counts_the_rest() {
    let mail = written(&crowd(200, 37, true)).await;
    let parsed = MessageParser::new().parse(&mail).unwrap();
    assert_eq!(parsed.subject(), Some("[critical, 237 alerts] alerts that came too fast to be told one by one"));
    for part in [parsed.body_text(0).unwrap(), parsed.body_html(0).unwrap()] {
        assert!(part.contains("37 more") && part.contains("orders_199"));
        assert!(
            (0..2).all(|n| part.contains(&format!("tables.dead of orders-1  shop.public.orders_{n}"))),
            "a plot says whose it is: {part}"
        );
    }
    assert!(mail.len() < 400_000, "{}", mail.len());
}

/// Files to look at: `$PGSTEWARD_SHOW_MAILS`, else the system's folder for temporary files.
#[tokio::test]
#[ignore = "writes files for a person to look at"]
async fn show_mails() {
    let folder = std::env::var_os("PGSTEWARD_SHOW_MAILS").map_or_else(std::env::temp_dir, Into::into);
    let over = plotted(notice("over", NoticeKind::Resolved));
    let drill = plotted(Notice { drill: true, ..notice("drill", NoticeKind::Firing) });
    let mut long = notice("long", NoticeKind::Firing);
    long.subject.set("table", "order_lines_of_the_western_region_partitioned_by_month_".repeat(3));
    long.evidence[0].metric = "dead_rows_past_the_trigger_of_the_table_".repeat(3);
    (long.summary, long.rule) = ("x".repeat(300), "dead_tuples_past_trigger_".repeat(6));
    let all = [("firing", firing()), ("resolved", over), ("drill", drill), ("digest", crowd(12, 37, true)), ("long", plotted(long))];
    for (name, message) in all {
        let mail = written(&message).await;
        let parsed = MessageParser::new().parse(&mail).unwrap();
        let mut html = parsed.body_html(0).unwrap().into_owned();
        for picture in parsed.attachments() {
            let file = format!("pgsteward-{name}-{}", picture.attachment_name().unwrap());
            std::fs::write(folder.join(&file), picture.contents()).unwrap();
            html = html.replace(&format!("cid:{}", picture.content_id().unwrap()), &file);
        }
        std::fs::write(folder.join(format!("pgsteward-{name}.html")), html).unwrap();
        std::fs::write(folder.join(format!("pgsteward-{name}.txt")), parsed.body_text(0).unwrap().as_bytes()).unwrap();
    }
}
