//! A running service takes in changed rules and plugins between two ticks, and refuses those that are broken or fail
//! their own tests, while the old ones keep judging.

use std::fs;
use std::process::Command;

use chrono::{DateTime, Utc};
use pgsteward::model::{Alert, Severity};
use pgsteward::store::Store;

use super::guest::{Finding, Guest, Rule};
use super::place::{Place, run, sha256};
use super::support;
use super::support::service::{Service, wait_for};

/// A plugin that always warns.
fn guest(version: &'static str, summary: &'static str, severity: u8) -> Guest<'static> {
    let rule = Rule { from: Some("connections"), needs: &["connections.max_connections"], ..Rule::default() };
    Guest { version, rules: vec![rule], ..Guest::finding(Finding { summary: summary.as_bytes(), severity, ..Finding::default() }) }
}

fn rule(summary: &str) -> String {
    format!("rules:\n  - {{id: own_rule, title: t, from: connections, warning: max_connections > 0, summary: {summary}}}\n")
}

/// The shelf holds this as if it had been put there by something that tries nothing, such as a copy from another machine.
fn smuggle(place: &Place, packed: &str, version: &str) {
    let record: serde_json::Value = serde_json::from_slice(&fs::read(place.shelf("guest.json")).unwrap()).unwrap();
    let mut record = record.as_object().unwrap().clone();
    record.insert("version".into(), version.into());
    record.insert("sha256".into(), sha256(&place.path(packed)).into());
    fs::copy(place.path(packed), place.shelf("guest.wasm")).unwrap();
    fs::write(place.shelf("guest.json"), serde_json::to_vec(&record).unwrap()).unwrap();
}

/// The living alert of a rule.
fn alert(place: &Place, rule: &str) -> Option<Alert> {
    let store = Store::open_read_only(&place.path("state/pgsteward.db")).ok()?;
    store.alerts(Some("a")).ok()?.into_iter().find(|alert| alert.rule == rule)
}

/// When a rule last came to an end.
fn judged_at(place: &Place, rule: &str) -> Option<DateTime<Utc>> {
    let store = Store::open_read_only(&place.path("state/pgsteward.db")).ok()?;
    store.book("a").ok()?.rules.get(rule)?.last_ok
}

fn is_told(place: &Place, rule: &str, summary: &str) -> Alert {
    wait_for(&format!("`{rule}` to say `{summary}`"), || alert(place, rule).filter(|alert| alert.summary == summary))
}

/// The rule is judged again, and still by the one that says this.
fn still_judges(place: &Place, rule: &str, summary: &str) {
    is_told(place, rule, summary);
    let before = judged_at(place, rule);
    wait_for(&format!("`{rule}` to be judged again"), || Some(()).filter(|()| judged_at(place, rule) > before));
    let after = alert(place, rule).unwrap();
    assert_eq!((after.summary.as_str(), after.held), (summary, None));
}

#[tokio::test]
async fn good_changes_are_taken_in_between_ticks_and_bad_ones_leave_the_old_at_work() {
    let dsn = support::server(support::newest()).await.steward("postgres");
    let place = Place::new();
    place.file("own.yaml", rule("first"));
    place.install(&guest("1.0.0", "one", 1));
    let first = sha256(&place.path("guest.wasm"));
    // What was wrong before the service began is no reason to refuse what comes.
    place.file("state/plugins/stray.json", "");
    place.file("pgsteward.yaml", format!(
        "version: 1\ntargets: [{{name: a, dsn: \"{dsn}\"}}]\nschedule: {{every: 1s, spread: false}}\nchannels: {{log: {{kind: log, file: {}}}}}\nroutes: {{channel: log}}\ninclude: [own.yaml]\n",
        place.path("alerts.jsonl").display()
    ));
    // As an upgrade of the package does it: the binary that runs is not there any more.
    let binary = place.path("pgsteward");
    fs::copy(env!("CARGO_BIN_EXE_pgsteward"), &binary).unwrap();
    let mut command = place.launched(Command::new(&binary));
    command.args(["run", "--config", "pgsteward.yaml"]);
    let service = Service::start(command);
    is_told(&place, "own_rule", "first");
    let id = is_told(&place, "guest_rule", "one").fingerprint.0;
    fs::remove_file(&binary).unwrap();
    assert_eq!(service.logged.lock().unwrap().iter().filter(|line| line.contains("reloaded")).count(), 0);

    place.file("own.yaml", rule("second"));
    let mut at = service.says(&["INFO", "reloaded"], 0) + 1;
    is_told(&place, "own_rule", "second");
    place.install(&guest("1.1.0", "two", 2));
    at = service.says(&["INFO", "reloaded"], at) + 1;
    assert_eq!(is_told(&place, "guest_rule", "two").severity, Severity::Critical);

    place.file("own.yaml", "rules: [");
    at = service.says(&["own.yaml:1:"], at);
    at = service.says(&["ERROR", "not reloaded; the old config and rules stay"], at) + 1;
    still_judges(&place, "own_rule", "second");
    place.file("own.yaml", rule("third").replace("max_connections >", "max_conections >"));
    at = service.says(&["ERROR", "not reloaded", "own.yaml:2:", "max_conections"], at) + 1;
    still_judges(&place, "own_rule", "second");
    place.file("own.yaml", rule("second"));

    place.file("bad/plugin.wasm", guest("1.2.0", "bad", 0).component());
    place.file("bad/guest_rule.test.yaml", "rule: guest_rule\nhealthy: {connections: {max_connections: 5}}\ncases:\n  - {name: quiet, given: {connections: [{}]}, expect: []}\n");
    place.ran(&["plugin", "pack", "bad"]).ends(0);
    smuggle(&place, "bad/guest-1.2.0.wasm", "1.2.0");
    at = service.says(&["ERROR", "not reloaded", "plugin guest 1.2.0, guest_rule.test.yaml:4: quiet: unexpected"], at) + 1;
    still_judges(&place, "guest_rule", "two");

    place.file("torn.wasm", &guest("1.3.0", "torn", 0).component()[..500]);
    smuggle(&place, "torn.wasm", "1.3.0");
    at = service.says(&["ERROR", "not reloaded", "plugin guest 1.3.0", "it does not run: it is no WASM component"], at) + 1;
    still_judges(&place, "guest_rule", "two");
    still_judges(&place, "own_rule", "second");

    place.install(&Guest { findings: Vec::new(), ..guest("1.4.0", "", 0) });
    let second = sha256(&place.path("guest.wasm"));
    at = service.says(&["INFO", "reloaded"], at) + 1;
    wait_for("the alert to be over", || alert(&place, "guest_rule").is_none().then_some(()));
    place.install(&guest("1.5.0", "again", 1));
    let third = sha256(&place.path("guest.wasm"));
    service.says(&["INFO", "reloaded"], at);
    is_told(&place, "guest_rule", "again");
    let shown = run(place.steward().args(["alerts", "show", &id])).ends(0).out;
    let is_hash = |word: &&str| word.len() == 12 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let steps = shown.lines().filter(|line| line.contains(" -> "));
    let hashes: Vec<&str> = steps.map(|line| line.split_whitespace().find(is_hash).unwrap()).collect();
    assert_eq!(hashes, [&first[..12], &second[..12], &third[..12]], "{shown}");
    assert_eq!(service.stop(), 0);
}

#[tokio::test]
async fn a_service_starts_with_a_broken_plugin_and_takes_in_the_mended_one() {
    let dsn = support::server(support::newest()).await.steward("postgres");
    let place = Place::new();
    place.install(&guest("1.0.0", "one", 1));
    fs::write(place.shelf("guest.wasm"), "torn").unwrap();
    place.file("pgsteward.yaml", format!(
        "version: 1\ntargets: [{{name: a, dsn: \"{dsn}\"}}]\nschedule: {{every: 1s, spread: false}}\nchannels: {{log: {{kind: log, file: {}}}}}\nroutes: {{channel: log}}\n",
        place.path("alerts.jsonl").display()
    ));
    let mut command = place.steward();
    command.args(["run", "--config", "pgsteward.yaml"]);
    let service = Service::start(command);
    service.says(&["plugin guest 1.0.0: it does not run"], 0);
    let at = service.says(&["tick", "reached=true"], 0);
    place.install(&guest("1.0.0", "one", 1));
    service.says(&["INFO", "reloaded"], at);
    is_told(&place, "guest_rule", "one");
    assert_eq!(service.stop(), 0);
}
