//! `run` against a real server, as a service manager and cron use it: signals, reloads, crashes, a server that goes
//! away, two processes on one store. Everything is waited for by looking, within a bound.
//! Long, because each example is a whole life of the process on the same few helpers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use pgsteward::app::status;
use pgsteward::clock::Clock;
use pgsteward::demo::Cluster;
use pgsteward::demo::cluster::{self, STEWARD, SUPERUSER};
use pgsteward::model::{Notice, NoticeKind};
use pgsteward::store::{LeaseRequest, Store};
use support::gate::Gate;
use support::service::{Service, wait_for};

/// A folder with a config, a state folder and logs.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A config of these targets that logs every notice; `more` is YAML at its top level.
    fn config(&self, targets: &[(&str, &str)], every: &str, more: &str) {
        let targets: String = targets.iter().map(|(name, dsn)| format!("  - {{name: {name}, dsn: \"{dsn}\"}}\n")).collect();
        let log = self.path("alerts.jsonl");
        let text = format!(
            "version: 1\ntargets:\n{targets}schedule: {{every: {every}, spread: false}}\nchannels:\n  log: {{kind: log, file: {}, rotate: 4kB, keep: 900}}\n{}",
            log.display(),
            if more.contains("routes:") { more.to_string() } else { format!("routes: {{channel: log}}\n{more}") },
        );
        fs::write(self.path("pgsteward.yaml"), text).unwrap();
    }

    fn steward(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pgsteward"));
        command.args(args).env_clear().env("HOME", self.0.path()).env("STATE_DIRECTORY", self.path("state")).current_dir(self.0.path());
        command
    }

    /// `run --once`: its exit code and what it logged.
    fn once(&self) -> (i32, String) {
        let output = self.steward(&["run", "--once", "--config", "pgsteward.yaml"]).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    }

    fn service(&self) -> Service {
        Service::start(self.steward(&["run", "--config", "pgsteward.yaml"]))
    }

    fn store(&self) -> Store {
        Store::open(&self.path("state/pgsteward.db")).unwrap()
    }

    fn status(&self) -> status::Status {
        status::read(&status::path_in(&self.path("state"))).expect("a status file")
    }

    /// What a rule came to at the last tick.
    fn outcome(&self, target: &str, rule: &str) -> String {
        let outcomes = self.store().latest_outcomes(target).unwrap();
        outcomes.iter().find(|o| o.rule == rule).unwrap_or_else(|| panic!("`{rule}` has no outcome")).outcome.clone()
    }

    /// Every notice in the log, the turned over files too. A line is whole or not there.
    fn told(&self, log: &str) -> Vec<serde_json::Value> {
        let mut lines = Vec::new();
        for entry in fs::read_dir(self.path(log).parent().unwrap()).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_string();
            let base = Path::new(log).file_name().unwrap().to_str().unwrap();
            if name.starts_with(base) && !name.ends_with("lock") {
                // It may have been turned over in between.
                let text = fs::read_to_string(&path).unwrap_or_default();
                lines.extend(text.lines().filter_map(|line| serde_json::from_str(line).ok()));
            }
        }
        lines
    }

    /// How often each key was told.
    fn keys(&self, log: &str) -> BTreeMap<String, usize> {
        let mut keys = BTreeMap::new();
        for line in self.told(log) {
            *keys.entry(line["key"].as_str().unwrap().to_string()).or_default() += 1;
        }
        keys
    }

    fn is_told(&self, rule: &str, kind: &str) -> bool {
        self.told("alerts.jsonl").iter().any(|line| line["rule"] == rule && line["kind"] == kind)
    }

    /// The keys of all notices of one channel that the store ever made.
    fn made(&self, channel: &str) -> Vec<String> {
        let store = self.store();
        let alerts = store.alerts(None).unwrap();
        let notices = alerts.iter().flat_map(|alert| store.notices_of(&alert.fingerprint.0).unwrap());
        notices.map(|sent| sent.notice).filter(|notice| notice.channel == channel).map(|notice| notice.key).collect()
    }
}

async fn dsn() -> String {
    support::server(support::newest()).await.steward("postgres")
}

#[tokio::test]
async fn the_second_run_of_cron_has_rates() {
    let place = Place::new();
    place.config(&[("a", &dsn().await)], "60s", "");
    let (code, log) = place.once();
    assert_eq!(code, 0, "{log}");
    assert_eq!(place.outcome("a", "cache_hit_low"), "no_data", "a counter needs two readings");
    assert!(place.is_told("durability_off", "firing"), "delivered before it ends: {log}");
    let told = place.keys("alerts.jsonl");
    assert_eq!(place.once().0, 0);
    assert_eq!(place.outcome("a", "cache_hit_low"), "ok");
    assert_eq!(place.keys("alerts.jsonl"), told, "nothing is told twice");
}

#[tokio::test]
async fn cron_beside_a_living_process_ends_with_75_and_says_who_it_is() {
    let place = Place::new();
    place.config(&[("a", &dsn().await)], "60s", "");
    place.store().acquire_lease("a", "another-one", Clock::System.now(), 60).unwrap();
    let (code, log) = place.once();
    assert_eq!(code, 75, "{log}");
    assert!(log.contains("target `a` is held by `another-one` until "), "{log}");
    assert_eq!(place.status().skipped_overlap.unwrap().targets, ["a"]);
    place.store().release_lease("a", "another-one").unwrap();
    assert_eq!(place.once().0, 0);
    let status = place.status();
    assert!(status.last_tick["a"].is_some() && status.channels.contains_key("log"), "{status:?}");
    assert_eq!(status.skipped_overlap.unwrap().targets, ["a"], "the latest is kept");
    assert_eq!(place.once().0, 0, "it has given the lease back");
}

#[tokio::test]
async fn a_target_whose_secret_cannot_be_read_is_an_alert_of_our_own_and_over_when_it_can() {
    let place = Place::new();
    place.config(&[("a", &dsn().await)], "60s", "");
    let whole = fs::read_to_string(place.path("pgsteward.yaml")).unwrap();
    let locked = whole.replace("schedule:", "  - {name: b, dsn: \"host=/nowhere user=u\", password: {file: /nowhere/secret}}\nschedule:");
    fs::write(place.path("pgsteward.yaml"), locked).unwrap();
    assert_eq!(place.once().0, 0);
    assert!(place.is_told("target_unusable", "firing"));
    fs::write(place.path("pgsteward.yaml"), whole).unwrap();
    assert_eq!(place.once().0, 0);
    assert!(place.is_told("target_unusable", "resolved"));
}

#[tokio::test]
async fn with_no_target_to_watch_our_own_alerts_go_on_and_those_of_the_targets_are_held() {
    let (place, dsn) = (Place::new(), dsn().await);
    place.config(&[("a", &dsn)], "1d", "");
    assert_eq!(place.once().0, 0);
    let whole = fs::read_to_string(place.path("pgsteward.yaml")).unwrap();
    let locked = whole.replace("\"}\n", "\", password: {file: secret}}\n");
    fs::write(place.path("pgsteward.yaml"), &locked).unwrap();
    let (code, log) = place.once();
    assert_eq!(code, 3, "nothing was watched: {log}");
    assert!(place.is_told("target_unusable", "firing") && !place.is_told("durability_off", "resolved"));
    assert!(place.status().last_tick["a"].is_some(), "it is not forgotten");

    fs::remove_file(place.path("alerts.jsonl")).unwrap();
    let more = "heartbeat: {channel: log, every: 1h}\n";
    fs::write(place.path("pgsteward.yaml"), format!("{locked}{more}")).unwrap();
    let service = place.service();
    wait_for("a sign of life", || place.is_told("pgsteward_alive", "heartbeat").then_some(()));
    assert!(!place.is_told("target_unusable", "resolved"), "it is as it was");
    fs::write(place.path("secret"), "x").unwrap();
    Command::new("chmod").arg("600").arg(place.path("secret")).status().unwrap();
    service.signal("HUP");
    service.says(&["tick", "target_name=\"a\"", "reached=true"], 0);
    wait_for("the end of our own alert", || place.is_told("target_unusable", "resolved").then_some(()));
    assert!(!place.is_told("durability_off", "resolved"), "only a judgement ends an alert");
    fs::remove_file(place.path("secret")).unwrap();
    service.signal("HUP");
    service.says(&["not reloaded", "no target could be watched any more"], 0);
    assert_eq!(service.stop(), 0);
}

#[tokio::test]
async fn a_sign_of_life_is_told_at_its_interval() {
    let place = Place::new();
    place.config(&[("a", &dsn().await)], "60s", "heartbeat: {channel: log, every: 1h}\n");
    assert_eq!([place.once().0, place.once().0], [0, 0]);
    let beats: Vec<_> = place.told("alerts.jsonl").into_iter().filter(|line| line["kind"] == "heartbeat").collect();
    assert_eq!(beats.len(), 1, "{beats:?}");
}

#[tokio::test]
async fn a_reload_keeps_the_old_config_when_the_new_one_is_broken_and_takes_a_good_one() {
    let (place, dsn) = (Place::new(), dsn().await);
    place.config(&[("a", &dsn)], "1s", "");
    let service = place.service();
    service.says(&["tick", "target_name=\"a\"", "reached=true"], 0);
    fs::write(place.path("pgsteward.yaml"), "targets: 7\n").unwrap();
    service.signal("HUP");
    let refused = service.says(&["not reloaded; the old config and rules stay"], 0);
    service.says(&["tick", "target_name=\"a\""], refused);
    place.config(&[("b", &dsn)], "1s", "");
    service.signal("HUP");
    let reloaded = service.says(&["INFO", "reloaded"], refused + 1);
    let first = service.says(&["tick", "target_name=\"b\""], reloaded);
    service.says(&["tick", "target_name=\"b\""], first + 1);
    let late = service.logged.lock().unwrap().iter().skip(first).filter(|line| line.contains("target_name=\"a\"")).count();
    assert!(late <= 1, "at most the tick in flight");
    assert_eq!(service.stop(), 0);
    for target in ["a", "b"] {
        place.store().acquire_lease(target, "next", Clock::System.now(), 60).unwrap();
    }
}

/// A receiver that answers every request with that status and says the request back. What it was asked is kept.
fn parrot(status: &'static str) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, asked) = (listener.local_addr().unwrap().to_string(), Arc::new(Mutex::new(Vec::new())));
    let kept = asked.clone();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut buffer = vec![0; 65_536];
            let read = stream.read(&mut buffer).unwrap_or(0);
            let head = String::from_utf8_lossy(&buffer[..read]).replace("\r\n", " ");
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{head}", head.len());
            kept.lock().unwrap().push(head);
            drop(stream.write_all(answer.as_bytes()));
        }
    });
    (address, asked)
}

/// Every file of the state folder, bytes that are no text as they are shown.
fn kept(place: &Place) -> String {
    let files = fs::read_dir(place.path("state")).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    files.map(|path| String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned()).collect()
}

#[tokio::test]
async fn what_an_address_says_behind_its_host_shows_nowhere() {
    let place = Place::new();
    let (address, asked) = parrot("500 Oops");
    let hook = format!("http://{address}/hooks/tok3n-in-path?key=tok3n-in-query");
    let more = format!(
        "  hook: {{kind: webhook, url: \"{hook}\"}}\n  members: {{kind: alertmanager, urls: [\"{hook}\"]}}\nroutes: {{channel: [hook, members]}}\nheartbeat: {{channel: hook, every: 1h}}\n"
    );
    place.config(&[("a", &dsn().await)], "60s", &more);
    let (_, log) = place.once();
    assert!(asked.lock().unwrap().iter().any(|head| head.contains("/hooks/tok3n-in-path?key=tok3n-in-query")), "{log}");
    let mut said = format!("{log}{}", kept(&place));
    assert!(place.status().channels["hook"].error.contains("500"), "{:?}", place.status());
    for args in [
        &["notify", "list"][..],
        &["notify", "dead"],
        &["notify", "test", "--channel", "hook"],
        &["notify", "test", "--channel", "members"],
        &["alerts", "list"],
        &["explain", "durability_off"],
        &["config", "check", "pgsteward.yaml"],
    ] {
        let mut args = args.to_vec();
        if args[0] != "config" {
            args.extend(["--config", "pgsteward.yaml"]);
        }
        let output = place.steward(&args).output().unwrap();
        let texts = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
        assert!(!texts.is_empty() && !texts.contains("Usage:"), "{args:?}: {texts}");
        said += &texts;
    }
    // A line of the config that is shown for another reason.
    let config = fs::read_to_string(place.path("pgsteward.yaml")).unwrap();
    fs::write(place.path("pgsteward.yaml"), config.replace("kind: webhook", "kind: webhook, sercet: x")).unwrap();
    let output = place.steward(&["config", "check", "pgsteward.yaml"]).output().unwrap();
    said += &String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("unknown key `sercet`") && said.contains(&format!("`{address}` answers 500")), "{said}");
    let at = said.find("tok3n");
    assert_eq!(at.map(|at| said.chars().skip(at.saturating_sub(300)).take(600).collect::<String>()), None);
}

#[tokio::test]
async fn a_secret_that_alone_was_changed_counts_after_a_reload() {
    let place = Place::new();
    let (address, asked) = parrot("200 OK");
    let more = |token: &str| {
        format!("  hook: {{kind: webhook, url: \"http://{address}/\", token: {token}}}\nroutes: {{channel: hook}}\nalerts: {{dedup: 1s}}\n")
    };
    let dsn = dsn().await;
    let comes = |token: &str| {
        let header = format!("authorization: bearer {token}");
        wait_for(&header, || asked.lock().unwrap().iter().any(|head| head.to_lowercase().contains(&header)).then_some(()));
    };
    place.config(&[("a", &dsn)], "1s", &more("first-token"));
    let service = place.service();
    comes("first-token");
    place.config(&[("a", &dsn)], "1s", &more("second-token"));
    service.signal("HUP");
    comes("second-token");
    assert_eq!(service.stop(), 0);
}

/// With 15 minutes between ticks nobody wants to wait for the next one.
#[tokio::test]
async fn a_reload_does_not_wait_for_the_next_tick() {
    let (place, dsn) = (Place::new(), dsn().await);
    place.config(&[("a", &dsn)], "1d", "");
    let service = place.service();
    service.says(&["tick", "target_name=\"a\""], 0);
    place.config(&[("b", &dsn)], "1d", "");
    service.signal("HUP");
    service.says(&["tick", "target_name=\"b\""], 0);
    assert_eq!(service.stop(), 0);
}

/// A rule that always fires, on a metric of its own.
fn rule(id: &str) -> String {
    format!(
        "rules:\n  - id: {id}\n    title: It always fires\n    category: test\n    tier: ticket\n    metric: {{name: {id}_frame, sql: \"SELECT 1::float8 AS {id}_n\", columns: {{{id}_n: gauge}}}}\n    value: {id}_n\n    warning: value > 0\n    summary: it is \"{{{{value}}}}\"\n    runbook: \"Do: nothing.\"\n"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_tick_under_way_at_a_reload_ends_with_the_old_config_and_the_next_one_has_the_new() {
    reload_in_a_tick(|_, service| service.signal("HUP")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_tick_under_way_when_a_rule_file_changes_ends_with_the_old_rules_and_the_next_one_has_the_new() {
    reload_in_a_tick(|place, _| fs::write(place.path("old.yaml"), "rules: []\n").unwrap()).await;
}

/// The tick stands still in the middle of its collecting while the config is changed in everything: rules, labels, channel.
async fn reload_in_a_tick(reload: fn(&Place, &Service)) {
    let place = Place::new();
    let server = support::server(support::newest()).await;
    let mut gate = Gate::before(server.cluster.port(), "old_n").await;
    let dsn = format!("host=127.0.0.1 port={} dbname=postgres user={STEWARD} sslmode=disable", gate.port);
    for name in ["old", "new"] {
        fs::write(place.path(&format!("{name}.yaml")), rule(name)).unwrap();
    }
    let config = |of: &str| {
        let text = format!(
            "version: 1\ntargets: [{{name: a, dsn: \"{dsn}\", labels: {{of: {of}}}}}]\nschedule: {{every: 1d}}\ndefaults: {{budget: {{statement_timeout: 60s}}}}\nchannels: {{old: {{kind: log, file: old.jsonl}}, new: {{kind: log, file: new.jsonl}}}}\nroutes: {{channel: {of}}}\ninclude: [{of}.yaml]\n"
        );
        fs::write(place.path("pgsteward.yaml"), text).unwrap();
    };
    config("old");
    let service = place.service();
    gate.is_waited_at().await;
    config("new");
    reload(&place, &service);
    service.says(&["INFO", "reloaded"], 0);
    assert_eq!(place.store().latest("a").unwrap(), None, "the tick is under way");

    gate.open();
    let first = service.says(&["tick", "target_name=\"a\"", "reached=true"], 0);
    service.says(&["tick", "target_name=\"a\"", "reached=true"], first + 1);
    assert_eq!(service.stop(), 0);
    let outbox = rusqlite::Connection::open(place.path("state/pgsteward.db")).unwrap();
    let mut rows = outbox.prepare("SELECT body, state FROM outbox").unwrap();
    let rows = rows.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))).unwrap();
    let (notices, states): (Vec<Notice>, Vec<String>) =
        rows.map(Result::unwrap).map(|(body, state)| (serde_json::from_str::<Notice>(&body).unwrap(), state)).unzip();
    let (store, first) = (place.store(), notices.iter().map(|notice| notice.at).min().unwrap());
    let second = store.latest("a").unwrap().unwrap().taken_at;
    for (at, of, other) in [(first, "old", "new"), (second, "new", "old")] {
        let seen = store.tick_at("a", at).unwrap().unwrap();
        let frames = [of, other].map(|name| seen.frame(&format!("{name}_frame")).is_some());
        assert_eq!((seen.target.labels.get("of"), frames), (Some(of), [true, false]), "what the tick of the {of} config saw");
        let began: Vec<_> = notices.iter().filter(|notice| notice.at == at && notice.kind == NoticeKind::Firing).collect();
        assert!(began.iter().any(|notice| notice.rule == of) && began.iter().all(|notice| notice.rule != other), "{began:?}");
        assert!(began.iter().all(|notice| notice.channel == of && notice.labels.get("of") == Some(of)), "{began:?}");
    }
    for channel in ["old", "new"] {
        // The old rule's alert may be over before it was told: then neither is, and both are kept as such.
        let needed = |(notice, state): &(&Notice, &String)| notice.channel == channel && (*state != "collapsed" || notice.rule != "old");
        let made = notices.iter().zip(&states).filter(needed);
        let made: BTreeMap<String, usize> = made.map(|(notice, _)| (notice.key.clone(), 1)).collect();
        assert_eq!(place.keys(&format!("{channel}.jsonl")), made, "all that was made is told, and once");
    }
}

#[tokio::test]
async fn of_two_services_on_one_store_one_works_and_the_other_takes_over() {
    let place = Place::new();
    place.config(&[("a", &dsn().await)], "1s", "");
    let first = place.service();
    first.says(&["tick", "target_name=\"a\""], 0);
    let second = place.service();
    second.says(&["tick left to the other process", "is held by"], 0);
    let seen = first.lines();
    first.says(&["tick", "target_name=\"a\""], seen);
    assert_eq!(first.stop(), 0);
    second.says(&["tick", "target_name=\"a\"", "reached=true"], 0);
    assert_eq!(second.stop(), 0);
    assert!(place.keys("alerts.jsonl").values().all(|times| *times == 1), "{:?}", place.keys("alerts.jsonl"));
}

/// Notices pile up before a channel that does not work while another takes them; then the process dies.
#[tokio::test]
async fn a_broken_channel_stops_no_other_and_a_kill_loses_nothing() {
    let place = Place::new();
    let late = place.path("late/late.jsonl");
    let more = format!("  late: {{kind: log, file: {}}}\nroutes: {{channel: [late, log]}}\nalerts: {{dedup: 1s}}\n", late.display());
    place.config(&[("a", &dsn().await)], "1s", &more);
    let service = place.service();
    service.says(&["the channel does not take them", "late"], 0);
    wait_for("a log that was turned over", || place.path("alerts.jsonl.1").exists().then_some(()));
    service.signal("KILL");
    drop(service);
    assert!(!late.exists());
    fs::create_dir(late.parent().unwrap()).unwrap();
    let made = [place.made("log"), place.made("late")];
    assert!(made.iter().all(|keys| !keys.is_empty()), "{made:?}");
    assert!(place.store().resume_channel("late", Clock::System.now()).unwrap(), "it rests");
    let again = place.service();
    wait_for("every notice made before the kill", || {
        let (log, late) = (place.keys("alerts.jsonl"), place.keys("late/late.jsonl"));
        (made[0].iter().all(|key| log.contains_key(key)) && made[1].iter().all(|key| late.contains_key(key))).then_some(())
    });
    again.says(&["tick", "target_name=\"a\"", "reached=true"], 0);
    assert_eq!(again.stop(), 0);
    let twice: Vec<String> = place.keys("alerts.jsonl").into_iter().filter(|(_, times)| *times > 1).map(|(key, _)| key).collect();
    assert!(twice.len() <= LeaseRequest::MOST, "only what was in flight may be told again: {twice:?}");
}

const DOWN: &str = r#"rules:
  - id: down_at_once
    title: The server does not answer
    category: availability
    tier: page
    from: target
    critical: not(reachable)
    for: 2s
    summary: "the server does not answer: {{error}}"
    runbook: |
      Why: nobody can work.
      Do: look at the host.
"#;

#[tokio::test]
async fn a_server_that_goes_away_is_told_holds_the_rest_and_is_told_again_when_it_comes_back() {
    let server = Cluster::start(&support::binaries(support::newest()), &cluster::options()).unwrap();
    server.create_steward().await.unwrap();
    let place = Place::new();
    fs::write(place.path("down.yaml"), DOWN).unwrap();
    place.config(&[("a", &server.dsn("postgres", STEWARD))], "1s", "include: [down.yaml]\n");
    let service = place.service();
    wait_for("what is wrong with a healthy server", || place.is_told("instance_restarted", "firing").then_some(()));
    server.stop(true).unwrap();
    wait_for("the notice that it is down", || place.is_told("down_at_once", "firing").then_some(()));
    let held = wait_for("the other alert being held", || {
        let alerts = place.store().alerts(Some("a")).unwrap();
        alerts.into_iter().find(|alert| alert.rule == "instance_restarted" && alert.held.is_some())
    });
    assert_eq!(held.state.to_string(), "firing");
    assert!(!place.is_told("instance_restarted", "resolved"), "not seen is not gone");
    assert!(place.store().alerts(Some("a")).unwrap().iter().any(|alert| alert.rule == "instance_down"));
    server.restart().unwrap();
    wait_for("the notice that it is back", || place.is_told("down_at_once", "resolved").then_some(()));
    wait_for("the other alert being judged again", || {
        let alerts = place.store().alerts(Some("a")).unwrap();
        alerts.into_iter().find(|alert| alert.rule == "instance_restarted" && alert.held.is_none())
    });
    assert!(!place.is_told("instance_restarted", "resolved"));
    assert_eq!(service.stop(), 0);
}

/// Processes of our sessions under that name.
async fn ours(eye: &tokio_postgres::Client, name: &str) -> Vec<i32> {
    let rows = eye.query("SELECT pid FROM pg_stat_activity WHERE application_name = $1 ORDER BY pid", &[&name]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

/// Waits until the sessions under that name are as wanted.
async fn ours_become(eye: &tokio_postgres::Client, name: &str, wanted: impl Fn(&[i32]) -> bool) -> Vec<i32> {
    for _ in 0..400 {
        let found = ours(eye, name).await;
        if wanted(&found) {
            return found;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    panic!("our sessions have stayed {:?}", ours(eye, name).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_serves_tick_after_tick_is_replaced_when_ended_and_gone_after_reload_and_stop() {
    let (place, name) = (Place::new(), "pgsteward kept");
    let server = support::server(support::newest()).await;
    let eye = support::connect(&server.cluster.config("postgres", SUPERUSER)).await;
    place.config(&[("a", &format!("{} application_name=kept", server.steward("postgres")))], "1s", "");
    let service = place.service();
    let tick = |from: usize| service.says(&["tick", "target_name=\"a\"", "reached="], from) + 1;
    let second = tick(tick(0));
    let first = ours(&eye, name).await;
    assert_eq!(first.len(), 1);
    let third = tick(second);
    assert_eq!(ours(&eye, name).await, first, "the same backend");

    eye.execute("SELECT pg_terminate_backend($1)", &[&first[0]]).await.unwrap();
    let fifth = tick(tick(third));
    let replaced = ours(&eye, name).await;
    assert!(replaced.len() == 1 && replaced != first, "{replaced:?} after {first:?}");

    service.signal("HUP");
    let reloaded = service.says(&["INFO", "reloaded"], fifth);
    tick(reloaded);
    let renewed = ours_become(&eye, name, |now| now.len() == 1 && now != replaced).await;
    let logged = service.logged.lock().unwrap().join("\n");
    assert!(!logged.contains("reached=false"), "no tick was lost to a session that had died: {logged}");
    assert_eq!(service.stop(), 0);
    ours_become(&eye, name, |now| now.is_empty()).await;
    assert_ne!(renewed, first);
}

/// Frozen, as behind a dead disk or a firewall that drops: connections open and nobody answers.
#[tokio::test]
async fn a_server_that_hangs_is_given_up_and_does_not_keep_the_service_from_stopping() {
    let server = Cluster::start(&support::binaries(support::newest()), &cluster::options()).unwrap();
    server.create_steward().await.unwrap();
    let place = Place::new();
    place.config(&[("a", &server.dsn("postgres", STEWARD))], "1s", "");
    let service = place.service();
    service.says(&["tick", "reached=true"], 0);
    let pid = fs::read_to_string(server.data().join("postmaster.pid")).unwrap().lines().next().unwrap().to_string();
    let signal = |name: &str| assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    signal("-STOP");
    service.says(&["tick", "reached=false"], 0);
    let stopped = service.stop();
    signal("-CONT");
    assert_eq!(stopped, 0);
}

#[tokio::test]
async fn looks_work_beside_a_running_service_and_start_from_its_tick() {
    let place = Place::new();
    place.config(&[("a", &dsn().await)], "1s", "");
    let service = place.service();
    wait_for("a notice", || place.is_told("durability_off", "firing").then_some(()));
    let run = |args: &[&str]| place.steward(args).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let look = run(&["check", "--config", "pgsteward.yaml"]);
    assert_eq!(look.status.code(), Some(2), "{}", text(&look.stderr));
    assert!(text(&look.stdout).contains("after the stored tick"), "{}", text(&look.stdout));
    assert!(text(&look.stdout).contains("firing for "), "{}", text(&look.stdout));
    let list = text(&run(&["alerts", "list", "--config", "pgsteward.yaml"]).stdout);
    assert!(list.contains("durability_off") && list.contains("firing"), "{list}");
    let alerts: serde_json::Value = serde_json::from_slice(&run(&["alerts", "list", "--json"]).stdout).unwrap();
    let id =
        alerts.as_array().unwrap().iter().find(|a| a["rule"] == "durability_off").unwrap()["fingerprint"].as_str().unwrap().to_string();
    let shown = text(&run(&["alerts", "show", &id]).stdout);
    assert!(shown.contains("Told") && shown.contains("delivered") && shown.contains("inactive -> firing"), "{shown}");
    assert_eq!(service.stop(), 0);
}

#[tokio::test]
async fn one_look_at_a_real_server_can_be_kept_and_turned_again() {
    let (place, dsn) = (Place::new(), dsn().await);
    let run = |args: &[&str]| {
        let output = place.steward(args).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, page, err) = run(&["check", &dsn, "--interval", "200ms", "--record", "tick.json.gz"]);
    assert_eq!((code, err.as_str()), (2, ""), "{page}");
    assert!(page.contains("2 samples 2") && page.contains("CRITICAL  durability_off"), "{page}");
    let (code, same, _) = run(&["replay", "tick.json.gz"]);
    assert_eq!(code, 0, "{same}");
    let (code, written, _) = run(&["collect", &dsn, "--interval", "200ms", "--out", "sample.json.gz"]);
    assert_eq!(code, 0, "{written}");
    let (code, again, _) = run(&["check", "--snapshot", "sample.json.gz"]);
    assert_eq!(code, 2, "{again}");
    let (code, doctor, err) = run(&["doctor", &dsn]);
    assert_eq!((code, err.as_str()), (0, ""), "{doctor}");
    assert!(doctor.contains("as steward") && doctor.contains("slow_statement, top_consumer: "), "{doctor}");
    assert!(doctor.lines().all(|line| line.chars().count() <= 110), "{doctor}");
    let (code, refused, _) = run(&["check", &dsn.replace("steward", "stranger")]);
    assert_eq!(code, 1, "{refused}");
    assert!(
        refused.contains("refuses our login")
            && refused.contains("WARNING   login_refused")
            && !refused.contains("CRITICAL  instance_down"),
        "{refused}"
    );
    let (code, nowhere, _) = run(&["doctor", &dsn.replace("'postgres'", "nowhere")]);
    assert_eq!(code, 3, "{nowhere}");
    assert!(nowhere.starts_with("no connection  ") && nowhere.contains("database \"nowhere\" does not exist"), "{nowhere}");
}
