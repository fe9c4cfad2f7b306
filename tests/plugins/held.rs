//! A plugin that was installed and cannot be used now: its rules are still known, are skipped with the reason, and so hold
//! their alerts.

use super::guest::{Finding, Guest};
use super::place::Place;

fn installed() -> Place {
    let place = Place::new();
    place.install(&Guest::finding(Finding::default()));
    place
}

#[test]
fn one_that_cannot_be_asked_what_it_is() {
    let place = installed();
    place.config("plugins: {use: {guest: {limits: {memory_bytes: 1MB}}}}\n");
    let check = place.check(&["--config", "pgsteward.yaml"]).goes_on();
    let (outcome, reason) = check.outcome("guest_rule").unwrap();
    assert_eq!(outcome, "skipped");
    assert!(reason.contains("limit `memory_bytes` of 1048576"), "{reason}");
}

#[test]
fn one_whose_record_cannot_be_read() {
    let place = installed();
    std::fs::write(place.shelf("guest.json"), "{").unwrap();
    let check = place.check(&[]).goes_on();
    assert_eq!(check.outcome("guest_rule"), Some(("skipped", "its record cannot be read; install it again")));
}

#[test]
fn installing_makes_the_code_so_that_a_start_writes_nothing() {
    let place = installed();
    assert_eq!(std::fs::read_dir(place.shelf("compiled")).unwrap().count(), 1);
}
