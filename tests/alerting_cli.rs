//! What people type about alerts, as a shell sees it: explain, silences, acknowledgements, history, channels. No server is
//! needed: a service's store is made by the same turn and commit that the service uses. Long, because it is one list of
//! whole-command examples on one story.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use pgsteward::app::oneshot::basis_of;
use pgsteward::app::plugins::Plugins;
use pgsteward::app::setup::{self, Rules};
use pgsteward::app::tick::basis;
use pgsteward::app::turn::turn;
use pgsteward::clock::Clock;
use pgsteward::collect::{Sample, metrics};
use pgsteward::config::{self, Config};
use pgsteward::env::Env;
use pgsteward::model::*;
use pgsteward::rules::TickInput;
use pgsteward::store::{AttemptOutcome, LeaseRequest, Store, TickCommit};
use serde_json::Value;

const CONFIG: &str = r#"targets:
  - {name: orders-1, dsn: "host=/nonexistent user=me dbname=shop", labels: {env: prod, team: shop}}
schedule: {every: 5m}
channels:
  mail: {kind: log, file: mail.jsonl, rate: 600/1m}
  pager: {kind: log, file: pager.jsonl}
  broken: {kind: log, file: /nonexistent/folder/x.jsonl}
routes:
  channel: mail
  repeat: 4h
  routes:
    - {match: {severity: critical}, channel: pager}
    - {match: {team: nobody}, channel: broken}
rules:
  override:
    - {match: {env: dev}, severity_at_most: info}
    - {match: {target: orders-1}, rule: dead_tuples_past_trigger, settings: {factor: 3}, why: DBA-311}
silences:
  - {name: move, match: {team: data}, from: "2026-01-05T00:00:00Z", to: "2026-01-20T00:00:00Z", reason: new racks, author: ops}
"#;

/// A run of the binary: exit code, standard output, standard error.
#[derive(Debug)]
struct Ran {
    code: i32,
    out: String,
    err: String,
}

/// A state folder with the store of a service that has watched `orders-1`.
struct World {
    folder: tempfile::TempDir,
    store: Store,
    rules: Rules,
    config: Config,
    start: DateTime<Utc>,
    /// Only so many tables are collected.
    top: Option<u64>,
}

fn fixed() -> DateTime<Utc> {
    "2026-01-05T17:00:00Z".parse().unwrap()
}

impl World {
    fn new(start: DateTime<Utc>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pgsteward.yaml");
        std::fs::write(&path, CONFIG).unwrap();
        let state = folder.path().join("state");
        std::fs::create_dir(&state).unwrap();
        let config = config::load(&path, &Env::of([])).config.unwrap();
        let store = Store::open(&setup::store_path(&state)).unwrap();
        Self { folder, store, rules: setup::load_rules(&[], Plugins::default()), config, start, top: None }
    }

    fn at(&self, s: i64) -> DateTime<Utc> {
        self.start + TimeDelta::seconds(s)
    }

    fn tick(&mut self, s: i64, dead: &[(&str, f64)]) -> Decision {
        self.tick_of(self.config.targets[0].target.clone(), s, dead)
    }

    /// One tick of a target: dead rows by table; `statements` are there or need an extension.
    fn tick_of(&mut self, target: Target, s: i64, dead: &[(&str, f64)]) -> Decision {
        let now = self.at(s);
        let missing = Missing::new(MissingReason::NoExtension, "pg_stat_statements is not installed");
        let missing = missing.with_remedy("CREATE EXTENSION pg_stat_statements");
        let mut seen = Frame::clone(&tables(now, dead));
        seen.coverage.top = self.top;
        let frames = [("tables".to_string(), Reading::Collected(Arc::new(seen))), ("statements".to_string(), Reading::Missing(missing))];
        let snapshot = Snapshot {
            form: Snapshot::FORM,
            target: target.clone(),
            taken_at: now,
            server: Some(Server::default()),
            frames: frames.into(),
            cost: Cost::default(),
        };
        let (wishes, decide) = setup::wants(Some(&self.config), &target);
        let snapshot = Arc::new(snapshot);
        self.store.acquire_lease(&target.name, "me", now, 60).unwrap();
        let book = self.store.book(&target.name).unwrap();
        let basis = basis(&self.store, snapshot.clone(), book, &self.rules.set.windows()).unwrap();
        let (outcomes, decision) = turn(&basis, &self.rules.set, &wishes, &decide);
        let commit = TickCommit {
            target: &target.name,
            owner: "me",
            now,
            snapshot: &snapshot,
            outcomes: &outcomes,
            decision: &decision,
            base_version: basis.book.version,
        };
        self.store.commit(&commit).unwrap();
        decision
    }

    /// All that waits for a channel ends so, two seconds after that time.
    fn end(&mut self, channel: &str, s: i64, outcome: &AttemptOutcome) {
        let now = self.at(s + 2);
        let ask = LeaseRequest { channel, owner: "me", now, messages: 64, most: 1, ttl_s: 60, critical: false };
        let rows: Vec<_> = self.store.lease_messages(&ask).unwrap().into_iter().flat_map(|batch| batch.rows).collect();
        let ended: Vec<_> = rows.iter().map(|row| (row.id, outcome.clone())).collect();
        self.store.finish("me", &ended, None, now).unwrap();
    }

    fn deliver(&mut self, channel: &str, s: i64, receipt: &str) {
        self.end(channel, s, &AttemptOutcome::Delivered { receipt: receipt.into(), handle: None });
    }

    /// The table `orders` fills with dead rows for two hours; `carts` stays below its limit.
    fn story(&mut self) {
        for n in 0..24 {
            let grown = 100_000.0 + f64::from(n) * 50_000.0;
            self.tick(i64::from(n) * 300, &[("orders", grown), ("carts", 300_000.0)]);
            self.deliver("mail", i64::from(n) * 300, "250 accepted");
            self.end("pager", i64::from(n) * 300, &AttemptOutcome::Dead { error: "401 no such key".into(), fallback: None });
        }
    }

    fn ran(&self, args: &[&str]) -> Ran {
        ran(self.folder.path(), args)
    }

    /// What it prints when it can answer.
    fn out(&self, args: &[&str]) -> String {
        let ran = self.ran(args);
        assert_eq!(ran.code, 0, "{args:?}: {ran:?}");
        ran.out
    }

    fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.out(args)).unwrap()
    }
}

fn steward(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pgsteward"));
    command.env_clear().env("HOME", folder).env("USER", "ann").env("STATE_DIRECTORY", folder.join("state")).current_dir(folder);
    command.args(args).stdin(Stdio::null());
    command
}

fn ran(folder: &Path, args: &[&str]) -> Ran {
    let output = steward(folder, args).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

fn tables(as_of: DateTime<Utc>, dead: &[(&str, f64)]) -> Arc<Frame> {
    let def = metrics::catalog().frame("tables").unwrap().clone();
    let column = |column: &ColumnDef| {
        let texts = |word: Option<&'static str>| ColumnData::Text(Arc::new(dead.iter().map(|(name, _)| word.or(Some(*name))).collect()));
        let numbers = |value: &dyn Fn(f64) -> f64| ColumnData::Float(dead.iter().map(|(_, dead)| value(*dead)).collect());
        match column.name.as_str() {
            "database" => texts(Some("shop")),
            "schema" => texts(Some("public")),
            "table" => texts(None),
            "dead" => numbers(&|dead| dead),
            "live" => numbers(&|_| 1e6),
            "vacuum_trigger" => numbers(&|_| 200_000.0),
            "heap_bytes" => numbers(&|_| 4e9),
            "vacuum_age" => numbers(&|_| 7_200.0),
            "vacuum_running" => ColumnData::Flag(dead.iter().map(|(name, _)| u8::from(*name == "busy")).collect()),
            "autovacuum_enabled" => ColumnData::Flag(vec![1; dead.len()].into()),
            _ => ColumnData::unknown(column.kind, dead.len()),
        }
    };
    let columns = def.columns.iter().map(column).collect();
    Arc::new(Frame::new(def, as_of, columns).unwrap())
}

const RULE: &str = "dead_tuples_past_trigger";

#[test]
fn explain_says_why_it_fires_how_it_came_and_who_was_told() {
    let mut world = World::new(fixed());
    world.story();
    let ask = |more: &[&str]| world.out(&[&["explain", RULE, "orders", "--config", "pgsteward.yaml"], more].concat());
    insta::assert_snapshot!("explain_firing", ask(&["--at", "2026-01-05 18:30"]));
    insta::assert_snapshot!("explain_pending", ask(&["--at", "2026-01-05 17:57"]));
    let critical = ask(&["--at", "2026-01-05 18:56", "--channel", "pager"]);
    assert!(critical.contains("CRITICAL, firing") && critical.contains("pager: NOT delivered"), "{critical}");
    assert!(critical.contains("given up") && critical.contains("401 no such key") && !critical.contains("250 accepted"), "{critical}");
}

#[test]
fn explain_says_why_it_is_silent_and_how_far_away_it_is() {
    let mut world = World::new(fixed());
    world.story();
    let at = ["--at", "2026-01-05 18:30", "--config", "pgsteward.yaml"];
    insta::assert_snapshot!("explain_quiet", world.out(&[&["explain", RULE, "shop.public.carts"][..], &at].concat()));
    insta::assert_snapshot!("explain_conditions", world.out(&[&["explain", "autovacuum_off_table", "carts"][..], &at].concat()));
    let gone = world.ran(&[&["explain", RULE, "nobody"][..], &at].concat());
    assert_eq!((gone.code, gone.out.as_str()), (3, ""));
    assert!(gone.err.contains("has no `nobody` on `orders-1`"), "{}", gone.err);
}

/// `carts` has 2.5 times its trigger, which the shipped factor of 2 would not let pass.
#[test]
fn explain_says_what_the_shipped_settings_would_make_of_it() {
    let mut world = World::new(fixed());
    world.tick(0, &[("carts", 500_000.0), ("orders", 1_100_000.0), ("tags", 360_000.0)]);
    let ask = |rules: &str, more: &[&str]| {
        std::fs::write(world.folder.path().join("other.yaml"), CONFIG.replace("settings: {factor: 3}, why: DBA-311", rules)).unwrap();
        world.out(&[&["explain", RULE, "--config", "other.yaml", "--at", "2026-01-05 17:01"], more].concat())
    };
    insta::assert_snapshot!("explain_shipped", ask("settings: {factor: 3}, why: DBA-311", &["carts"]));
    let line = |page: String| page.lines().skip(1).take_while(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
    for (rules, table, says) in [
        ("settings: {factor: 2.2}", "carts", None),
        ("settings: {critical: 9}", "orders", Some("With the shipped `critical: 5 x` its severity would be critical.")),
        ("settings: {factor: 1.6}", "orders", None),
        ("settings: {factor: 1.6}", "tags", Some("With the shipped `factor: 2 x` it would not fire.")),
        ("settings: {factor: 4, critical: 9}", "orders", Some("With the shipped `factor: 2 x` and `critical: 5 x` its severity")),
        ("enabled: false, why: noisy", "carts", Some("Without the overrides of the config it would fire with severity warning")),
        ("severity_at_most: info", "carts", Some("Without the overrides of the config its severity would be warning.")),
    ] {
        let page = line(ask(rules, &[table]));
        assert_eq!(page.contains(" it would ") || page.contains(" its severity would "), says.is_some(), "{rules}: {page}");
        assert!(says.is_none_or(|says| page.contains(says)), "{rules}: {page}");
    }
}

/// By cron: what lies between runs that are too far apart does not count, and both commands say so.
#[test]
fn how_long_an_alert_is_pending_is_what_counts() {
    let mut world = World::new(Clock::System.now() - TimeDelta::seconds(1_800));
    let orders = [("orders", 900_000.0)];
    let page = |world: &World| {
        let listed = world.out(&["alerts", "list", "--state", "pending"]);
        let page = world.out(&["explain", RULE, "orders", "--config", "pgsteward.yaml"]);
        (listed.split_whitespace().collect::<Vec<_>>().join(" "), page.split_whitespace().collect::<Vec<_>>().join(" "))
    };
    world.tick(0, &orders);
    world.tick(900, &orders);
    let (listed, page_then) = page(&world);
    assert!(listed.contains("warning pending 0s orders-1"), "{listed}");
    assert!(page_then.contains("WARNING, pending for 0s"), "{page_then}");
    assert!(page_then.contains("Fires 10m after the next evaluation at the earliest"), "{page_then}");
    assert!(page_then.contains("The 15m before the last evaluation did not count."), "{page_then}");
    assert!(page_then.contains("Gaps of more than 10m between evaluations do not count."), "{page_then}");
    world.tick(1_380, &orders);
    let (listed, page_then) = page(&world);
    assert!(listed.contains("warning pending 8m orders-1"), "{listed}");
    assert!(page_then.contains("WARNING, pending for 8m"), "{page_then}");
    assert!(page_then.contains("Fires at the next evaluation, if that still finds it and comes by"), "{page_then}");
    let then = world.at(1_790);
    world.tick(1_790, &orders);
    assert_eq!(world.store.alerts(None).unwrap().iter().find(|alert| alert.rule == RULE).and_then(|alert| alert.fired_at), Some(then));
}

#[test]
fn explain_names_the_guard_that_keeps_a_rule_from_firing() {
    let mut world = World::new(fixed());
    world.tick(0, &[("busy", 900_000.0)]);
    insta::assert_snapshot!("explain_guarded", world.out(&["explain", RULE, "busy", "--at", "2026-01-05 17:01"]));
}

#[test]
fn explain_says_of_whom_no_row_was_seen_why_that_may_be() {
    let mut world = World::new(fixed());
    world.story();
    world.top = Some(1);
    world.tick(7_200, &[("carts", 300_000.0)]);
    let at = ["--at", "2026-01-05 19:00"];
    insta::assert_snapshot!("explain_cut", world.out(&[&["explain", RULE, "orders"][..], &at].concat()));
    let list = world.out(&[&["explain", RULE][..], &at].concat());
    assert!(list.contains("1 row looked at, 0 could not be judged (only the first 1 rows were collected)"), "{list}");
    let other = world.ran(&[&["explain", RULE, "nobody"][..], &at].concat());
    assert!(other.err.contains("in what was seen, which is not all: only the first 1 rows were collected"), "{}", other.err);
    let blind = world.out(&[&["explain", "slow_statement", "12345"][..], &at].concat());
    assert!(blind.contains("Cannot tell since") && blind.contains("pg_stat_statements is not installed"), "{blind}");
}

#[test]
fn explain_says_since_when_it_cannot_tell_and_what_mends_it() {
    let mut world = World::new(fixed());
    world.story();
    let page = world.out(&["explain", "slow_statement", "--at", "2026-01-05 18:30"]);
    insta::assert_snapshot!("explain_blind", page);
    let own = world.out(&["explain", "rule_unevaluable", "slow_statement"]);
    assert!(own.contains("firing for") && own.contains("slow_statement"), "{own}");
    let never = world.ran(&["explain", "channel_unhealthy"]);
    assert_eq!(never.code, 3);
    assert!(never.err.contains("`channel_unhealthy` never had an alert on `orders-1`"), "{}", never.err);
}

#[test]
fn explain_of_a_rule_lists_its_subjects_and_its_json_can_be_read() {
    let mut world = World::new(fixed());
    world.story();
    let page = world.out(&["explain", RULE, "--at", "2026-01-05 18:30"]);
    assert!(page.contains("2 rows looked at, 0 could not be judged") && page.contains("shop.public.orders"), "{page}");
    let one = &world.json(&["explain", RULE, "orders", "--json", "--at", "2026-01-05 18:30"])["one"];
    assert_eq!(one["verdict"]["is"], "found");
    assert_eq!(one["life"]["state"], "firing");
    assert_eq!(one["channels"][0]["channel"], "mail");
    assert!(one["trend"]["points"].as_array().unwrap().len() > 3, "{one}");
    let early = world.out(&["explain", RULE, "orders", "--at", "2025-01-01 00:00"]);
    assert!(early.contains("no tick of that time is kept (the oldest that is kept is of 2026-01-05 17:00:00Z)"), "{early}");
    let typo = world.ran(&["explain", "dead_tuple_past_trigger"]);
    assert_eq!(typo.code, 3);
    assert!(typo.err.contains("did you mean `dead_tuples_past_trigger`?"), "{}", typo.err);
}

/// A rule is asked about one subject in another way than in a tick; both must say the same.
#[test]
fn what_a_rule_says_of_one_subject_agrees_with_what_it_finds() {
    let rules = setup::load_rules(&[], Plugins::default()).set;
    let recorded = format!("{}/src/cli/demo/recorded.json.gz", env!("CARGO_MANIFEST_DIR"));
    let (basis, _) = basis_of(Sample::read(Path::new(&recorded)).unwrap());
    let packs = rules.iter().map(|rule| rule.meta().pack.clone()).collect();
    let tick = TickInput {
        now: basis.snapshot.taken_at,
        every_s: 60,
        changes: Arc::new(Changes::between(&basis.previous, &basis.snapshot)),
        snapshot: basis.snapshot.clone(),
        past: basis.past.clone(),
        book: &Book::default(),
        overrides: &[],
        packs: &packs,
        evaluate_all: true,
    };
    let (mut found, mut quiet) = (0, 0);
    for rule in rules.iter() {
        let (ended, Some(input)) = rules.judge(&rule.meta().id, &tick).unwrap() else { panic!("{}", rule.meta().id) };
        let Outcome::Ok(evaluation) = ended.outcome else { continue };
        let Some(frame) = rule.meta().from.as_deref().and_then(|name| basis.snapshot.frame(name)) else { continue };
        for subject in (0..frame.rows).map(|row| frame.subject(row)) {
            let Some(facts) = rule.facts(&input, &subject) else { continue };
            let finding = evaluation.findings.iter().find(|finding| finding.subject == subject);
            assert_eq!(facts.found == Some(true), finding.is_some(), "{} {subject}: {facts:?}", rule.meta().id);
            // Nothing fires here yet, so that each guard must hold for a finding; masks of shipped scripts can all be followed.
            let mut guards = facts.conditions.iter().filter(|condition| ["where", "rows"].contains(&condition.name.as_str()));
            assert!(finding.is_none() || guards.clone().all(|guard| guard.holds == Some(true)), "{} {subject}: {facts:?}", rule.meta().id);
            assert!(guards.all(|guard| guard.name == "where" || guard.line.is_some()), "{} {subject}: {facts:?}", rule.meta().id);
            match finding {
                Some(finding) => assert_eq!(facts.evidence, finding.evidence, "{} {subject}", rule.meta().id),
                None => quiet += 1,
            }
            found += usize::from(finding.is_some());
        }
    }
    assert!(found > 20 && quiet > 200, "{found} found, {quiet} quiet");
}

#[test]
fn a_silence_is_begun_shown_and_ended_by_scripts() {
    let mut world = World::new(Clock::System.now() - TimeDelta::hours(2));
    world.story();
    let started = world.ran(&["silence", "start", "rule=dead_tuples_past_trigger", "team=shop", "--for", "30m", "--reason", "deploy"]);
    assert_eq!(started.code, 0, "{started:?}");
    let id = started.out.trim();
    assert!(id.chars().all(|c| c.is_ascii_hexdigit()) && !id.is_empty(), "only the id: {started:?}");
    assert!(started.err.contains("It matches 1 alert now:") && started.err.contains("shop.public.orders"), "{}", started.err);
    assert!(started.err.contains("It matched 1 alert in the last 7 days:") && started.err.contains("by ann@"), "{}", started.err);
    let list = world.json(&["silence", "list", "--json"]);
    assert_eq!((list[0]["id"].as_str(), list[0]["reason"].as_str()), (Some(id), Some("deploy")));
    assert_eq!(list[0]["matchers"][1]["values"][0], "shop");
    assert!(world.out(&["silence", "list"]).contains("30m left") || world.out(&["silence", "list"]).contains("29m"));

    let ended = world.ran(&["silence", "end", &id[..4], "--reason", "deployed"]);
    assert_eq!((ended.code, ended.out.trim()), (0, id));
    assert_eq!(world.out(&["silence", "list"]), "no silence\n");
    let all = world.json(&["silence", "list", "--all", "--json"]);
    assert!(all[0]["ended"][1].as_str().unwrap().starts_with("deployed (by ann@"), "{all}");
    assert_eq!(world.ran(&["silence", "end", id]).code, 3, "it is over already");
}

#[test]
fn a_silence_takes_back_what_waits_and_it_is_told_once_it_is_over() {
    let mut world = World::new(Clock::System.now() - TimeDelta::hours(2));
    (0..17).for_each(|n| drop(world.tick(n * 300, &[("orders", 100_000.0 + n as f64 * 50_000.0)])));
    let explained = || world.out(&["explain", RULE, "orders", "--config", "pgsteward.yaml"]);
    let mailed = || std::fs::read_to_string(world.folder.path().join("mail.jsonl")).unwrap_or_default();
    assert!(explained().contains("firing waits until"), "{}", explained());
    let rule = format!("rule={RULE}");
    let id = world.out(&["silence", "start", &rule, "--for", "30m", "--reason", "deploy"]);
    let once = || world.ran(&["run", "--once", "--config", "pgsteward.yaml"]);
    let ran = once();
    assert!(!mailed().contains(RULE), "{ran:?} {}", mailed());
    let page = explained();
    assert!(page.contains("firing taken back") && page.contains(", before it was sent: silence"), "{page}");
    assert!(!page.contains("on its way"), "{page}");
    world.out(&["silence", "end", id.trim()]);
    once();
    let told: Vec<String> = mailed().lines().filter(|line| line.contains(RULE)).map(String::from).collect();
    assert_eq!(told.len(), 1, "{told:?} {}", explained());
    assert!(explained().contains("firing delivered"), "{}", explained());
}

#[test]
fn explain_says_what_becomes_of_a_notice_that_waits_and_is_kept_back() {
    // Its last tick comes a little after the silence.
    let mut world = World::new(Clock::System.now() - TimeDelta::seconds(16 * 300 - 60));
    let grow = |world: &mut World, n: i64| drop(world.tick(n * 300, &[("orders", 100_000.0 + n as f64 * 50_000.0)]));
    (0..16).for_each(|n| grow(&mut world, n));
    world.out(&["silence", "start", &format!("rule={RULE}"), "--for", "3h", "--reason", "deploy"]);
    grow(&mut world, 16);
    let page = world.out(&["explain", RULE, "orders", "--config", "pgsteward.yaml"]);
    assert!(page.contains("and is taken back then if it is still kept back"), "{page}");
}

#[test]
fn explain_names_the_rate_that_a_notice_waits_for() {
    let mut world = World::new(Clock::System.now() - TimeDelta::hours(2));
    (0..17).for_each(|n| drop(world.tick(n * 300, &[("orders", 100_000.0 + n as f64 * 50_000.0)])));
    let mut state = world.store.channel_state("mail").unwrap();
    state.bucket = Some((0.0, Clock::System.now()));
    world.store.set_channel_state("mail", &state).unwrap();
    let page = world.out(&["explain", RULE, "orders", "--config", "pgsteward.yaml"]);
    assert!(page.contains("waits for the rate of 600/1m of channel mail: the next message may go at"), "{page}");
}

#[test]
fn a_silence_must_be_meant_and_must_end() {
    let mut world = World::new(fixed());
    world.tick(0, &[("orders", 0.0)]);
    let refused = |args: &[&str], why: &str| {
        let ran = world.ran(&[&["silence", "start", "--reason", "x"], args].concat());
        assert_eq!((ran.code, ran.out.as_str()), (3, ""), "{args:?}");
        assert!(ran.err.contains(why), "{args:?}: {}", ran.err);
    };
    refused(&["--for", "30m"], "say `--all` when that is meant");
    refused(&["tier=dev"], "--for <SPAN>");
    refused(&["tier=dev", "--for", "31d"], "at most 30d");
    refused(&["tier=dev", "--until", "2026-01-01 00:00"], "over before it begins");
    refused(&["tier=~(", "--for", "1h"], "cannot be read");
    refused(&["severity>=loud", "--for", "1h"], "there is no severity `loud`");
    assert_eq!(world.ran(&["silence", "start", "--all", "--for", "30m", "--reason", "move"]).code, 0);
    assert!(world.out(&["silence", "list"]).contains("(everything)"));
    let planned = world.json(&["silence", "list", "--all", "--json", "--config", "pgsteward.yaml"]);
    assert!(planned.as_array().unwrap().iter().any(|one| one["id"] == "move" && one["reason"] == "new racks"), "{planned}");
}

#[test]
fn an_alert_is_acknowledged_by_a_beginning_of_its_id() {
    let mut world = World::new(fixed());
    world.story();
    let alerts = world.json(&["alerts", "list", "--json", "rule=dead_tuples_past_trigger"]);
    let id = alerts[0]["fingerprint"].as_str().unwrap().to_string();
    let said = world.out(&["alerts", "ack", &id[..6], "--note", "vacuuming now", "--for", "2h", "--who", "bob"]);
    assert!(said.starts_with(&id[..8]) && said.contains("acknowledged until"), "{said}");
    assert!(world.out(&["alerts", "show", &id[..6]]).contains("acknowledged by bob"));
    assert!(world.out(&["alerts", "unack", &id[..6]]).contains("taken back"));
    assert_eq!(world.ran(&["alerts", "unack", &id[..6]]).code, 3);
    let wrong = world.ran(&["alerts", "ack", &id[..6], "ffffffffffff", "--note", "x"]);
    assert_eq!(wrong.code, 3);
    assert!(!world.out(&["alerts", "show", &id[..6]]).contains("acknowledged by"), "all or none");
}

#[test]
fn alerts_are_listed_by_conditions_and_state() {
    let mut world = World::new(fixed());
    world.story();
    let count = |args: &[&str]| world.json(&[&["alerts", "list", "--json"], args].concat()).as_array().unwrap().len();
    let rule = "rule=dead_tuples_past_trigger";
    assert_eq!((count(&[rule]), count(&[rule, "--state", "firing"]), count(&[rule, "--state", "pending"])), (1, 1, 0));
    assert_eq!((count(&["team=nobody"]), count(&[rule, "severity>=critical"]), count(&["--silenced"])), (0, 1, 0));
}

#[test]
fn an_alert_that_is_over_is_found_and_its_episodes_are_told() {
    let mut world = World::new(fixed());
    world.story();
    let id = world.json(&["alerts", "list", "--json", "rule=dead_tuples_past_trigger"])[0]["fingerprint"].as_str().unwrap().to_string();
    for n in 24..28 {
        world.tick(n * 300, &[("orders", 0.0), ("carts", 0.0)]);
        world.deliver("mail", n * 300, "250 accepted");
    }
    assert_eq!(world.json(&["alerts", "list", "--json", "rule=dead_tuples_past_trigger"]), Value::Array(Vec::new()));
    world.tick(28 * 300, &[("carts", 0.0)]);
    let dropped = world.out(&["explain", RULE, "orders", "--config", "pgsteward.yaml"]);
    assert!(dropped.contains("Quiet: no such object was there") && dropped.contains("is resolved since"), "{dropped}");
    let shown = world.out(&["alerts", "show", &id[..6]]);
    for part in ["resolved since", "firing -> resolved", "250 accepted", "1 episode is kept"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let history = world.json(&["alerts", "history", "--since", "20000d", "--json", "rule=dead_tuples_past_trigger", "severity=critical"]);
    let [episode] = &history.as_array().unwrap()[..] else { panic!("{history}") };
    assert_eq!((episode["state"].as_str(), episode["severity"].as_str()), (Some("resolved"), Some("critical")));
    assert_eq!((episode["dead"].as_u64(), episode["transitions"].as_array().unwrap().len()), (Some(1), 3));
    assert!(world.out(&["alerts", "history", "--since", "20000d"]).contains("resolved"));
    assert_eq!(world.out(&["alerts", "history", "team=nobody", "--since", "20000d"]), "no episode\n");
}

#[test]
fn a_drill_says_of_each_channel_what_happened() {
    let mut world = World::new(fixed());
    world.tick(0, &[("orders", 0.0)]);
    let config = ["--config", "pgsteward.yaml"];
    let all = world.ran(&[&["notify", "test"], &config[..]].concat());
    assert_eq!(all.code, 1, "one cannot be reached: {all:?}");
    let line = |name: &str| all.out.lines().find(|line| line.starts_with(name)).unwrap().to_string();
    assert!(line("mail").contains("sent") && line("broken").contains("not now"), "{}", all.out);
    let told = std::fs::read_to_string(world.folder.path().join("mail.jsonl")).unwrap();
    assert!(told.contains("drill") && told.contains("nothing is wrong"), "{told}");
    assert_eq!(world.ran(&[&["notify", "test", "--channel", "mail"], &config[..]].concat()).code, 0);
    let unknown = world.ran(&[&["notify", "test", "--channel", "fax"], &config[..]].concat());
    assert_eq!(unknown.code, 3);
    assert!(unknown.err.contains("the config has: broken, mail, pager"), "{}", unknown.err);
    assert_eq!(world.ran(&["notify", "test"]).code, 3, "no config, no channels");
}

#[test]
fn a_sample_takes_the_rules_route() {
    let mut world = World::new(fixed());
    world.tick(0, &[("orders", 0.0)]);
    let send = |args: &[&str]| world.ran(&[&["notify", "send", "--config", "pgsteward.yaml", "--json"], args].concat());
    let channels = |ran: &Ran| {
        let list: Value = serde_json::from_str(&ran.out).unwrap();
        list.as_array().unwrap().iter().map(|one| one["channel"].as_str().unwrap().to_string()).collect::<Vec<_>>()
    };
    let warning = send(&["Dead rows far past the table's own autovacuum trigger"]);
    assert_eq!((warning.code, channels(&warning)), (0, vec!["mail".to_string()]), "{warning:?}");
    let critical = send(&[RULE, "--severity", "critical"]);
    assert_eq!((critical.code, channels(&critical)), (0, vec!["pager".to_string()]), "{critical:?}");
    let told = std::fs::read_to_string(world.folder.path().join("pager.jsonl")).unwrap();
    assert!(told.contains("Drill: Dead rows") && told.contains(r#""table":"sample""#), "{told}");
    let elsewhere = send(&[RULE, "--channel", "pager"]);
    assert_eq!(elsewhere.code, 3);
    assert!(elsewhere.err.contains("does not lead to channel `pager`"), "{}", elsewhere.err);
}

#[test]
fn what_was_given_up_is_shown_and_driven_again_and_a_paused_channel_goes_on() {
    let mut world = World::new(fixed());
    world.story();
    let dead = world.json(&["notify", "dead", "--json"]);
    let key = dead[0]["key"].as_str().unwrap().to_string();
    assert_eq!((dead[0]["channel"].as_str(), dead[0]["error"].as_str()), (Some("pager"), Some("401 no such key")));
    assert!(world.out(&["notify", "dead", "--channel", "mail"]).contains("nothing was given up"));
    assert_eq!(world.out(&["notify", "redrive", &key[..12]]), "1 notice waiting again\n");
    assert_eq!(world.ran(&["notify", "redrive", "--all"]).code, 3, "none is left");

    let list: BTreeMap<String, Value> = world
        .json(&["notify", "list", "--json", "--config", "pgsteward.yaml"])
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["channel"].as_str().unwrap().to_string(), one.clone()))
        .collect();
    assert_eq!((list["pager"]["waiting"].as_u64(), list["mail"]["state"].as_str()), (Some(1), Some("ok")));

    let mut state = world.store.channel_state("pager").unwrap();
    state.paused = Some((world.at(0), "401 no such key".into()));
    world.store.set_channel_state("pager", &state).unwrap();
    let shown = world.out(&["notify", "list"]);
    assert!(shown.contains("paused") && shown.contains("pgsteward notify resume pager"), "{shown}");
    let why = world.out(&["explain", RULE, "orders", "--config", "pgsteward.yaml"]);
    assert!(why.contains("channel paused since") && why.contains("Mend it, then: pgsteward notify resume pager"), "{why}");
    assert!(why.contains("broken         not told: routes[1] needs team=nobody"), "{why}");
    assert_eq!(world.out(&["notify", "resume", "pager"]), "pager goes on; 1 notice waiting for it\n");
    assert_eq!(world.ran(&["notify", "resume", "pager"]).code, 3);
}

#[cfg(target_os = "linux")]
#[test]
fn a_check_of_the_config_says_that_a_channel_still_owes_an_end() {
    let mut world = World::new(fixed());
    world.story();
    let whole = world.ran(&["config", "check", "pgsteward.yaml"]);
    assert!(!whole.err.contains("the end cannot be told"), "{}", whole.err);
    std::fs::write(world.folder.path().join("renamed.yaml"), CONFIG.replace("mail:", "post:").replace("channel: mail", "channel: post"))
        .unwrap();
    let renamed = world.ran(&["config", "check", "renamed.yaml"]);
    let said = "channel `mail` is not in the config any more and was told of 53 alerts that go on: the end cannot be told there";
    assert!(renamed.err.contains(said), "{}", renamed.err);
}

#[test]
fn what_is_done_before_its_output_is_lost_stays_done_and_the_end_says_so() {
    let mut world = World::new(fixed());
    world.story();
    let id = world.json(&["alerts", "list", "--json", "rule=dead_tuples_past_trigger"])[0]["fingerprint"].as_str().unwrap().to_string();
    for args in [
        &["alerts", "list"][..],
        &["alerts", "show", &id],
        &["alerts", "history"],
        &["alerts", "ack", &id, "--note", "on it"],
        &["explain", RULE, "orders"],
        &["silence", "start", "--all", "--for", "30m", "--reason", "move"],
        &["silence", "list"],
        &["notify", "list"],
        &["notify", "dead"],
        &["notify", "redrive", "--all"],
        &["notify", "test", "--config", "pgsteward.yaml"],
    ] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = steward(world.folder.path(), args).stdout(full).output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        let last = "error: the output cannot be written: No space left on device (os error 28); all else was done";
        assert_eq!((output.status.code(), err.lines().last()), (Some(3), Some(last)), "{args:?}");
    }
    assert!(world.out(&["alerts", "show", &id]).contains("acknowledged by ann@"));
    assert!(world.out(&["silence", "list"]).contains("(everything)"));
}

#[test]
fn names_that_nobody_has_heard_of_are_told_with_those_there_are() {
    let mut world = World::new(fixed());
    world.story();
    let config = ["--config", "pgsteward.yaml"];
    let refused = |args: &[&str], why: &str| {
        let ran = world.ran(args);
        assert_eq!((ran.code, ran.out.as_str()), (3, ""), "{args:?}");
        assert!(ran.err.contains(why), "{args:?}: {}", ran.err);
    };
    let channel = "there is no channel `pagre`; the config has: pager, broken, mail";
    for args in [
        &["explain", RULE, "orders", "--channel", "pagre"][..],
        &["explain", RULE, "--channel", "pagre"],
        &["notify", "resume", "pagre"],
        &["notify", "dead", "--channel", "pagre"],
        &["notify", "redrive", "--all", "--channel", "pagre"],
        &["notify", "test", "--channel", "pagre"],
        &["notify", "send", RULE, "--channel", "pagre"],
    ] {
        refused(&[args, &config].concat(), channel);
    }
    refused(&["notify", "dead", "--channel", "pagre"], "there is no channel `pagre`; the store has: mail");
    let target = "there is no target `orders`; the config has: orders-1, pgsteward";
    refused(&[&["alerts", "list", "--target", "orders"][..], &config].concat(), target);
    refused(&[&["alerts", "history", "--target", "orders"][..], &config].concat(), target);
    refused(&[&["explain", "nosuch"][..], &config].concat(), "there is no rule `nosuch`");
    assert_eq!(world.out(&["notify", "dead", "--channel", "mail"]), "nothing was given up\n");
}

#[test]
fn the_only_target_of_the_config_is_meant_beside_our_own() {
    let mut world = World::new(fixed());
    world.story();
    world.tick_of(Target { name: Target::OWN.into(), ..Target::default() }, 0, &[]);
    let asked = world.ran(&["explain", "autovacuum_off_table", "carts"]);
    assert!(asked.code == 3 && asked.err.contains("which target?"), "{asked:?}");
    assert!(world.out(&["explain", "autovacuum_off_table", "carts", "--config", "pgsteward.yaml"]).contains("orders-1"));
}

#[test]
fn a_note_has_words() {
    let mut world = World::new(fixed());
    world.story();
    for note in ["", "  "] {
        let ran = world.ran(&["alerts", "ack", "0", "--note", note]);
        assert!(ran.code == 3 && ran.err.contains("a note needs words"), "{ran:?}");
    }
}

#[test]
fn a_drill_says_which_setting_to_mend() {
    let folder = tempfile::tempdir().unwrap();
    let config = r#"targets: [{name: a, dsn: "host=/nonexistent user=me dbname=shop"}]
schedule: {every: 5m}
channels:
  chat: {kind: slack, url: {env: NO_SUCH}}
  desk: {kind: pagerduty, routing_key: {file: no-such-key}}
  hook: {kind: webhook, url: "http://127.0.0.1:9/", token: {command: ["false"]}}
  tell: {kind: exec, command: [sh, -c, "exit 77"]}
  full: {kind: log, file: /dev/full}
routes: {channel: chat}
"#;
    std::fs::write(folder.path().join("c.yaml"), config).unwrap();
    let ran = ran(folder.path(), &["notify", "test", "--config", "c.yaml"]);
    assert_eq!((ran.code, ran.err.as_str()), (1, ""), "{ran:?}");
    for (channel, setting) in [("chat", "url"), ("desk", "routing_key"), ("hook", "token"), ("full", "file")] {
        assert!(ran.out.contains(&format!("\n{channel}: mend its setting `{setting}`, or on this machine what that names")), "{}", ran.out);
    }
    let flat = ran.out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(flat.contains("the environment variable `NO_SUCH` is not set"), "{}", ran.out);
    assert!(ran.out.contains("\ntell: the program ended with exit code 77, not allowed to: give it,"), "{}", ran.out);
    assert!(flat.contains("it is a pipe, a device or a folder; name a plain file"), "{}", ran.out);
}

#[test]
fn a_silence_may_come_before_the_first_run() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("c.yaml"), CONFIG).unwrap();
    let config = ["--config", "c.yaml"];
    let planned = ran(folder.path(), &[&["silence", "list", "--all", "--json"][..], &config].concat());
    assert!(planned.code == 0 && planned.out.contains("new racks"), "{planned:?}");
    let store = setup::store_path(&folder.path().join("state"));
    assert!(!store.exists(), "a look makes nothing");
    let args = ["silence", "start", "team=shop", "--for", "30m", "--reason", "deploy"];
    let begun = ran(folder.path(), &[&args[..], &config].concat());
    assert_eq!(begun.code, 0, "{begun:?}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&store).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(Store::open(&store).unwrap().silences_since(Clock::System.now()).unwrap()[0].reason, "deploy");
    assert_eq!(ran(folder.path(), &["alerts", "list"]).out, "no alert\n");
}

#[test]
fn without_a_store_everybody_says_what_makes_one() {
    let folder = tempfile::tempdir().unwrap();
    for args in [
        &["explain", RULE][..],
        &["silence", "list"],
        &["silence", "start", "a=b", "--for", "1h", "--reason", "x"],
        &["alerts", "history"],
        &["notify", "dead"],
        &["notify", "resume", "mail"],
    ] {
        let ran = ran(folder.path(), args);
        assert_eq!((ran.code, ran.out.as_str()), (3, ""), "{args:?}");
        assert!(ran.err.contains("there is no store yet"), "{args:?}: {}", ran.err);
    }
}
