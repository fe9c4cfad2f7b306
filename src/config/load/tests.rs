//! Whole configs: what a person sees of a bad one, what becomes of a good one, and that nothing makes it panic.

use proptest::prelude::*;

use super::*;
use crate::config::EXAMPLE;
use crate::config::checked::{ActionsMode, Databases, StatementText};

fn loaded(text: &str) -> Loaded {
    check(Source::of_text("config.yaml", text), &Env::of([("SET", "x")]))
}

fn lines(text: &str) -> Vec<String> {
    loaded(text).problems.iter().map(ToString::to_string).collect()
}

fn rendered(loaded: &Loaded) -> String {
    let none = String::new();
    let shown = loaded.problems.iter().map(|problem| problem.render(loaded.sources.get(&problem.file).unwrap_or(&none), false));
    shown.collect::<Vec<_>>().join("\n\n")
}

/// As many different mistakes as people make.
const SICK: &str = r#"version: 2
state-dir: /var/lib/pgsteward
plugins: [{name: hot, file: hot.wasm}]
defaults:
  sslmode: verify-ful
  password: hunter2
  budget: {server_cpu: 200%, lock_timeout: 100, statement_timeout: -5s, connections: many}
targets:
  - {name: orders-1, dsn: "host=orders-1 password='hunter3'", labels: {tier: prod, severity: high}}
  - {name: orders-1, dsn: host=orders-2}
  - {name: "orders 3", dsn: postgres://app:hunter4/x@orders-3/app}
  - {dsn: host=orders-4, databases: []}
schedule: {tick: 60s, collect: {tables: soon, sizes: 15s}}
rules:
  shipped: [page, tickets]
  override:
    - {match: {tier: prdo}, rule: long_query, setings: {warn: 10m}}
    - {match: {severity: info}, settings: {factor: 4}}
channels:
  console: {kind: console}
  mail: {kind: emial}
routes:
  chanel: console
  group_by: [rule]
  routes:
    - {match: {severity: crit}, channel: [console, pager]}
windows:
  - {name: patch, days: [sonday], start: "22:00", end: "04:00", zone: Europe/Pariss}
  - {name: none, days: 0, start: "04:00", end: "04:00"}
alerts: {dedup: 99999999999999999999s}
actions: {mode: auto, policy: []}
history: {keep: 10, max_size: 20, statement_text: redacted}
"#;

#[test]
fn all_mistakes_are_shown_at_once_each_at_its_place() {
    let loaded = loaded(SICK);
    assert!(loaded.config.is_none());
    insta::assert_snapshot!("sick_list", lines(SICK).join("\n"));
    insta::assert_snapshot!("sick_rendered", rendered(&loaded));
}

#[test]
fn no_secret_is_in_anything_that_can_be_shown() {
    let sick = loaded(SICK);
    let well =
        "targets:\n- {name: a, dsn: 'host=a password=hunter2'}\n- name: b\n  dsn: postgres://u:hunter3@b\n  password: &x\n    hunter4\n";
    let broken = "targets:\n- {name: a, dsn: 'host=a', password: @hunter2}\n";
    for loaded in [sick, loaded(well), loaded(broken)] {
        let shown = format!("{loaded:?}\n{}", rendered(&loaded));
        assert!(!shown.contains("hunter"), "{shown}");
    }
    // The well one is a config all the same: a password in a connection string is only a warning.
    let one = loaded("targets: [{name: a, dsn: 'host=a password=hunter2'}]").config.unwrap();
    assert_eq!(one.targets[0].dsn, "host=a");
    assert!(one.targets[0].password.as_ref().is_some_and(crate::secret::Secret::is_plain));
}

#[test]
fn no_target_has_the_name_of_our_own_troubles() {
    let told = lines("targets: [{name: pgsteward, dsn: host=a}]\nschedule: {every: 60s}");
    assert!(told.iter().any(|line| line.contains("a target cannot be called `pgsteward`")), "{told:?}");
}

#[test]
fn a_password_that_yaml_misreads_is_neither_shown_nor_used() {
    let odd = [
        "*hunter2",
        "&hunter2",
        "!hunter2",
        "#hunter2",
        "@hunter2",
        "{hunter2}",
        "{hunter2: 1}",
        "{hunter2",
        "[hunter2]",
        "%hunter2",
        "a: hunter2",
        "\"hunter2",
        "\"hun\\qter2\"",
        "|hunter2",
        "'hunter2' x",
        "- hunter2",
        "hunter2: x: y",
        "{env: [hunter2]}",
        "0123",
    ];
    for password in odd {
        let loaded = loaded(&format!("targets:\n- name: a\n  dsn: host=a\n  password: {password}\n"));
        assert!(!loaded.problems.is_empty(), "{password}");
        let shown = format!("{loaded:?}\n{}", rendered(&loaded));
        assert!(!shown.contains("hunter2") && !shown.contains("0123"), "{password}: {shown}");
        assert!(loaded.config.is_none_or(|config| config.targets[0].password.is_none()), "{password}");
    }
}

#[test]
fn defaults_reach_every_target_and_yield_to_its_own() {
    let text = "
defaults: {user: watch, sslmode: require, databases: {all_except: [postgres]}, budget: {connections: 2, lock_timeout: 200ms}}
targets:
- {name: a, dsn: host=a}
- {name: b, dsn: host=b, user: other, databases: [shop], budget: {connections: 1}, password: {env: SET}}
schedule: {every: 5m}
actions: {mode: observe}
history: {statement_text: none}
";
    let loaded = loaded(text);
    assert_eq!(loaded.problems, []);
    let config = loaded.config.unwrap();
    let [a, b] = config.targets.as_slice() else { panic!("two targets") };
    assert_eq!((a.user.as_deref(), b.user.as_deref()), (Some("watch"), Some("other")));
    assert_eq!((a.sslmode.as_deref(), b.sslmode.as_deref()), (Some("require"), Some("require")));
    assert_eq!(a.databases, Databases::AllExcept(vec!["postgres".into()]));
    assert_eq!(b.databases, Databases::Only(vec!["shop".into()]));
    assert_eq!((a.budget.connections, b.budget.connections), (2, 1));
    assert_eq!((a.budget.lock_timeout_ms, b.budget.lock_timeout_ms), (200, 200));
    assert_eq!(config.unknown_after_s, 900, "three ticks of five minutes");
    assert_eq!((config.actions_mode, config.history.statement_text), (ActionsMode::Observe, StatementText::None));
}

#[test]
fn a_file_of_classic_rules_is_a_config_by_itself() {
    let text = r#"
rules:
  cache:
    - {name: low_cache_hit, metric: cache_hit_ratio, threshold: 80, comparison: less_than, severity: warning, action: notify, enabled: true}
aggregation:
  deduplication: {enabled: true, window: 1800}
suppression:
  maintenance_windows:
    - {name: sunday_night, start_time: "22:00", end_time: "04:00", day_of_week: sunday, enabled: true}
    - {name: monday, start_time: "01:00", end_time: "02:00", day_of_week: 1, enabled: true}
    - {name: off, start_time: "01:00", end_time: "02:00", day_of_week: tuesday, enabled: false}
"#;
    assert_eq!(
        lines(text),
        [
            "config.yaml:9:7: warning: the window `sunday_night` has no zone and is read as UTC; add `time_zone: Europe/Paris`, or `time_zone: UTC` if it is meant",
            "config.yaml:10:7: warning: the window `monday` has no zone and is read as UTC; add `time_zone: Europe/Paris`, or `time_zone: UTC` if it is meant",
            "config.yaml:10:75: error: day `1` is monday to cron and tuesday to Python; write `monday` or `tuesday`",
        ]
    );
    let config = loaded(&text.replace("day_of_week: 1,", "day_of_week: monday, time_zone: UTC,")).config.unwrap();
    assert_eq!(config.dedup_s, Some(1_800));
    assert_eq!(config.rules.files, [PathBuf::from("config.yaml")]);
    assert!(config.rules.packs.is_empty(), "its own rules and no others");
    assert_eq!(config.windows.iter().map(|w| w.name.as_str()).collect::<Vec<_>>(), ["sunday_night", "monday"]);
    assert_eq!(config.route.channels, ["console"]);
}

#[test]
fn included_files_are_put_together() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    write(
        "main.yaml",
        "include: ['t*.yaml', rules.yaml, more.yaml]\ntargets: [{name: a, dsn: host=a}]\nroutes: {channel: two}\nalerts: {dedup: never}\n",
    );
    write("t1.yaml", "- {name: b, dsn: host=b}\n");
    write("t2.yaml", "- {name: a, dsn: host=other}\n");
    write("rules.yaml", "rules: [{id: x}]\naggregation: {deduplication: {enabled: false}}\n");
    write("more.yaml", "channels: {one: {kind: console}, two: {kind: console}}\nschedule: {every: 1m}\ninclude: [x]\n");
    let loaded = load(&dir.path().join("main.yaml"), &Env::of([]));
    let problems: Vec<String> = loaded.problems.iter().map(|p| p.to_string().replace(&format!("{}/", dir.path().display()), "")).collect();
    let only_main = "stands in the main file only; an included one may hold targets, channels, windows, silences or rules";
    assert_eq!(
        problems,
        [
            "t2.yaml:1:3: error: a target `a` stands already at main.yaml:2; the name is a target's identity: each needs its own"
                .to_string(),
            "rules.yaml:2:30: warning: deduplication is off: a firing alert is told anew at every tick; set enabled: true and a window"
                .into(),
            format!("more.yaml:2:1: error: `schedule` {only_main}"),
            format!("more.yaml:3:1: error: `include` {only_main}"),
        ]
    );
    write("t2.yaml", "[]");
    write("more.yaml", "channels: {one: {kind: console}, two: {kind: console}}\n");
    let config = load(&dir.path().join("main.yaml"), &Env::of([])).config.unwrap();
    assert_eq!(config.targets.iter().map(|t| t.target.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(config.rules.files, [dir.path().join("rules.yaml")]);
    assert_eq!(config.dedup_s, None, "the main file's word counts");
    assert_eq!(config.places.get("targets.b").unwrap().at.line, 1);
}

#[cfg(unix)]
#[test]
fn a_secret_that_others_may_read_is_named() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c.yaml");
    let secret = dir.path().join("pw");
    std::fs::write(&secret, "x").unwrap();
    std::fs::write(&path, "targets: [{name: a, dsn: host=a, password: plain}, {name: b, dsn: host=b, password: {file: pw}}]").unwrap();
    let messages = |mode: u32| {
        for file in [&path, &secret] {
            std::fs::set_permissions(file, std::fs::Permissions::from_mode(mode)).unwrap();
        }
        load(&path, &Env::of([]))
            .problems
            .into_iter()
            .map(|p| p.message.replace(&format!("{}/", dir.path().display()), ""))
            .collect::<Vec<_>>()
    };
    assert_eq!(messages(0o600), ["`password` is written out in the config"]);
    let open =
        ["it holds a secret, and others may read it", "`password` is written out in the config", "others may read the secret file `pw`"];
    assert_eq!(messages(0o644), open);
}

#[test]
fn several_channels_need_routes_and_one_does_not() {
    let one = loaded("channels: {pager: {kind: console}}").config.unwrap();
    assert_eq!(one.route.channels, ["pager"]);
    assert_eq!(
        lines("channels: {a: {kind: console}, b: {kind: console}}"),
        ["config.yaml: error: there are several channels and no `routes`; add `routes: {channel: NAME}` with one of a, b"]
    );
}

#[test]
fn every_kind_of_channel_reads_its_own_example() {
    for kind in crate::deliver::channels::KINDS {
        let text = format!("channels:\n  it:\n    {}\n", kind.example.trim_end().replace('\n', "\n    "));
        let loaded = loaded(&text);
        assert_eq!(loaded.problems, [], "{text}");
        assert_eq!(loaded.config.unwrap().channels["it"].settings.kind(), kind.name);
    }
    assert_eq!(
        lines("channels:\n  a: {kind: log, rotat: 1MB}\n  b: {file: x}\n  c: {kind: [log]}\nroutes: {channel: a}\n"),
        [
            "config.yaml:2:6: error: `file` is missing",
            "config.yaml:2:18: error: unknown key `rotat`; did you mean `rotate`?",
            "config.yaml:3:6: error: `kind` is missing",
            "config.yaml:4:13: error: `kind` must be text, this is a list",
        ]
    );
}

#[test]
fn what_is_no_config_at_all_is_said_plainly() {
    assert_eq!(lines("just text"), ["config.yaml:1:1: error: a config must be a map, this is text"]);
    assert_eq!(lines(""), [] as [&str; 0]);
    assert_eq!(lines("a: [1"), lines("a: [1"));
    assert_eq!(
        lines("rules: {cache: [{name: x}]}\ntargets: []"),
        ["config.yaml:1:8: error: rules stand in a file of their own; move them there and name that file in `include`"]
    );
    let hostile = lines("\"\\e[31m\\u202e\": 1");
    assert!(hostile[0].contains("unknown key `\\u{1b}[31m\\u{202e}`"), "{hostile:?}");
}

#[test]
fn a_file_full_of_mistakes_stays_readable() {
    let targets: Vec<String> = (0..5_000).map(|n| format!("{{name: t{n}, dsn: host=h, x{n}: 1}}")).collect();
    let loaded = loaded(&format!("targets: [{}]", targets.join(", ")));
    assert_eq!(loaded.problems.len(), MOST_PROBLEMS + 1);
    assert_eq!(loaded.problems.last().map(ToString::to_string), Some("config.yaml: error: 4800 more problems; mend these first".into()));
    assert!(rendered(&loaded).len() < 1_000_000);
}

fn anything() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<Vec<u8>>().prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
        "\\PC{0,200}",
        "[-a-z:{}\\[\\]#&*!|>'\"%@ \n]{0,200}"
    ]
}

proptest! {
    #[test]
    fn any_text_is_answered(text in anything()) {
        let loaded = loaded(&text);
        prop_assert!(loaded.config.is_some() || loaded.problems.iter().any(Problem::is_error));
        let hidden = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
        prop_assert!(!rendered(&loaded).contains(hidden), "{:?}", rendered(&loaded));
    }

    #[test]
    fn a_damaged_config_is_answered(
        sick in any::<bool>(),
        damages in prop::collection::vec((any::<prop::sample::Index>(), 0usize..12, "[-a-z0-9:{}\\[\\]#&*!|>'\"%@. \n\u{e9}\u{202e}]{0,6}"), 1..6),
    ) {
        let mut chars: Vec<char> = if sick { SICK } else { EXAMPLE }.chars().collect();
        for (at, cut, put) in damages {
            let at = at.index(chars.len());
            let end = (at + cut).min(chars.len());
            chars.splice(at..end, put.chars());
        }
        let loaded = loaded(&chars.iter().collect::<String>());
        prop_assert!(loaded.config.is_some() || loaded.problems.iter().any(Problem::is_error));
        let hidden = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
        prop_assert!(!rendered(&loaded).contains(hidden), "{:?}", rendered(&loaded));
    }
}
