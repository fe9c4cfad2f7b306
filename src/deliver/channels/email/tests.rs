//! What the parts of a mail look like.

use chrono::TimeDelta;

use super::page::Page;
use crate::deliver::template::Templates;
use crate::deliver::testing::{at, hostile_notice, notice};
use crate::deliver::{Message, Trend};
use crate::model::{Evidence, Link, Notice, NoticeKind, Severity, Unit};

fn full() -> Message {
    let fact = Evidence { metric: "tables.dead".into(), value: Some(1_200_000.0), threshold: Some(200_000.0), unit: Unit::Rows };
    let points = (0..8).map(|n| (at(0) + TimeDelta::minutes(n * 20), 50_000.0 + (n * n) as f64 * 20_000.0)).collect();
    let notice = Notice {
        reason: "severity rose from info".into(),
        acked: Some("ada: on it".into()),
        fallback_of: Some("chat".into()),
        cluster: Some("orders".into()),
        links: vec![Link { title: "Vacuuming".into(), url: "https://x.org/?a=1&b=2".into() }],
        ..notice("k1")
    };
    Message { trends: vec![Trend { notice: "k1".into(), fact, points }], ..Message::of(notice) }
}

fn several() -> Message {
    let one = |key: &str, severity, kind| Notice { severity, kind, ..notice(key) };
    let notices = vec![
        one("a", Severity::Critical, NoticeKind::Firing),
        one("b", Severity::Warning, NoticeKind::Firing),
        one("c", Severity::Info, NoticeKind::Resolved),
    ];
    Message { key: "all".into(), notices, omitted: 37, digest: true, ..Message::of(notice("a")) }
}

fn page(message: &Message) -> Page {
    Page::of(message, &Templates::none()).unwrap()
}

#[test]
fn the_text_of_one_notice() {
    insta::assert_snapshot!(page(&full()).text());
}

#[test]
fn the_page_of_one_notice() {
    insta::assert_snapshot!(page(&full()).html().unwrap());
}

#[test]
fn a_digest_lists_worst_first_and_counts_the_rest() {
    insta::assert_snapshot!(page(&several()).text());
}

#[test]
fn the_page_of_a_digest() {
    insta::assert_snapshot!(page(&several()).html().unwrap());
}

#[test]
fn a_drill_says_so_first() {
    let drill = Message::of(Notice { drill: true, ..notice("k") });
    assert!(page(&drill).text().starts_with("DRILL: this is an exercise, nothing is wrong.\n"));
    let html = page(&drill).html().unwrap();
    let body = html.split("<body").nth(1).unwrap();
    assert!(body.find("DRILL: this").unwrap() < body.find("dead rows past").unwrap(), "{html}");
}

#[test]
fn the_page_of_hostile_names() {
    insta::assert_snapshot!(page(&Message::of(hostile_notice("k"))).html().unwrap());
}
