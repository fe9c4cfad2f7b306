//! The binary as a whole, as a shell sees it: what it prints, where, and how it ends. No server is needed.
//! Long, because it is one list of whole-command examples.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A run of the binary: exit code, standard output, standard error.
#[derive(Debug)]
struct Ran {
    code: i32,
    out: String,
    err: String,
}

/// The binary with a state folder of its own and nothing of the caller's environment.
fn steward(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pgsteward"));
    command.env_clear().env("HOME", folder).env("STATE_DIRECTORY", folder.join("state")).current_dir(folder);
    command
}

fn run(command: &mut Command) -> Ran {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

fn ran(folder: &Path, args: &[&str]) -> Ran {
    run(steward(folder).args(args))
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn file(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

/// The sick database as the demo ships it.
fn recorded() -> String {
    format!("{}/src/cli/demo/recorded.json.gz", env!("CARGO_MANIFEST_DIR"))
}

const NOBODY: &str = "host=/nonexistent user=me dbname=shop";

#[test]
fn every_subcommand_explains_itself() {
    let folder = folder();
    let help = ran(folder.path(), &["--help"]);
    assert_eq!(help.code, 0);
    let commands: Vec<&str> = help
        .out
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect();
    for expected in [
        "check",
        "run",
        "doctor",
        "demo",
        "alerts",
        "explain",
        "silence",
        "notify",
        "rules",
        "frames",
        "config",
        "collect",
        "replay",
        "completions",
    ] {
        assert!(commands.contains(&expected), "{commands:?}");
    }
    for command in commands {
        let help = ran(folder.path(), &[command, "--help"]);
        assert_eq!((help.code, help.err.as_str()), (0, ""), "{command}");
        assert!(help.out.contains(&format!("Usage: pgsteward {command}")), "{}", help.out);
        assert!(help.out.lines().all(|line| line.chars().count() <= 110), "{}", help.out);
    }
    assert_eq!(ran(folder.path(), &["--version"]).out, format!("pgsteward {}\n", env!("CARGO_PKG_VERSION")));
}

/// Runs it with that as its standard output.
#[cfg(target_os = "linux")]
fn ran_into(folder: &Path, args: &[&str], stdout: impl Into<Stdio>) -> Ran {
    let child = steward(folder).args(args).stdin(Stdio::null()).stdout(stdout).stderr(Stdio::piped()).spawn().unwrap();
    let output = child.wait_with_output().unwrap();
    Ran { code: output.status.code().unwrap(), out: String::new(), err: String::from_utf8(output.stderr).unwrap() }
}

#[cfg(target_os = "linux")]
#[test]
fn an_answer_that_nobody_gets_is_no_success() {
    let (folder, recorded) = (folder(), recorded());
    let commands: [&[&str]; 9] = [
        &["--help"],
        &["run", "--help"],
        &["--version"],
        &["check", "--snapshot", &recorded],
        &["doctor", "--role-sql"],
        &["config", "example"],
        &["rules", "list"],
        &["frames", "show", "tables"],
        &["completions", "bash"],
    ];
    for args in commands {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let ran = ran_into(folder.path(), args, full);
        let said = "error: the output cannot be written: No space left on device (os error 28); all else was done\n";
        assert_eq!((ran.code, ran.err.as_str()), (3, said), "{args:?}");
        // A reader who has gone, as `head` does, has had enough.
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let cut = ran_into(folder.path(), args, writer);
        let whole = run(steward(folder.path()).args(args));
        assert_eq!((cut.code, cut.err.as_str()), (whole.code, ""), "{args:?}");
    }
}

/// 2 would look like a critical finding to a script.
#[test]
fn what_cannot_be_understood_ends_with_three() {
    let folder = folder();
    let wrong: [&[&str]; 8] = [
        &[],
        &["chek"],
        &["check", "--no-such-option"],
        &["check", "--interval", "soon"],
        &["check", "--format", "xml"],
        &["check", "--tier", "all"],
        &["check", "--snapshot", "a.json", "host=b"],
        &["run"],
    ];
    for args in wrong {
        let ran = ran(folder.path(), args);
        assert_eq!((ran.code, ran.out.as_str()), (3, ""), "{args:?}");
        assert!(!ran.err.is_empty() && !ran.err.contains("panicked"), "{args:?}: {}", ran.err);
    }
    assert!(ran(folder.path(), &["chek"]).err.contains("check"), "the nearest name");
}

#[test]
fn a_server_that_does_not_answer_is_found_by_the_rule_for_it() {
    let folder = folder();
    let ran = ran(folder.path(), &["check", NOBODY]);
    assert_eq!(ran.code, 2);
    assert!(ran.out.contains("could not be reached") && ran.out.contains("CRITICAL  instance_down"), "{}", ran.out);
    assert!(ran.out.lines().count() < 20, "one reason, not one a rule: {}", ran.out);
    assert!(ran.out.contains("mend: check the host and port"), "{}", ran.out);
    assert!(!folder.path().join("state/pgsteward.db").exists(), "a look leaves no state");
}

#[test]
fn without_the_rule_for_it_no_connection_is_three() {
    let folder = folder();
    assert_eq!(ran(folder.path(), &["check", NOBODY, "--tier", "ticket"]).code, 3);
    assert_eq!(ran(folder.path(), &["doctor", NOBODY]).code, 3);
    assert_eq!(ran(folder.path(), &["collect", NOBODY, "--out", "x.json"]).code, 3);
}

#[test]
fn a_password_in_a_dsn_is_never_printed() {
    let folder = folder();
    for dsn in
        ["postgresql://me:hunter2@127.0.0.1:1/shop", "host=127.0.0.1 port=1 user=me password=hunter2", "postgresql://me:hunter2@[/shop"]
    {
        for args in [vec!["check", dsn], vec!["check", dsn, "--format", "json"], vec!["doctor", dsn]] {
            let ran = ran(folder.path(), &args);
            assert!(!format!("{ran:?}").contains("hunter2"), "{args:?}: {ran:?}");
        }
    }
}

#[test]
fn a_snapshot_gives_the_same_page_json_and_scheduler_line_with_one_exit_code() {
    let folder = folder();
    let recorded = recorded();
    let look = |args: &[&str]| run(steward(folder.path()).args(["check", "--snapshot", &recorded]).args(args));
    let (text, json, nagios) = (look(&[]), look(&["--format", "json"]), look(&["--format", "nagios"]));
    assert_eq!([text.code, json.code, nagios.code], [2; 3]);
    assert!(text.out.contains("CRITICAL  ddl_queue_jam"), "{}", text.out);
    let document: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(document["exit_code"], 2);
    assert!(nagios.out.starts_with("PGSTEWARD CRITICAL - demo - ddl_queue_jam: "), "{}", nagios.out);
    assert_eq!([text.err, json.err, nagios.err], [""; 3]);
}

#[test]
fn a_snapshot_that_is_none_is_an_error_with_its_name() {
    let folder = folder();
    file(folder.path(), "list.json", "[]");
    file(folder.path(), "torn.json.gz", "\u{1f}");
    for name in ["list.json", "torn.json.gz", "absent.json"] {
        let ran = ran(folder.path(), &["check", "--snapshot", name]);
        assert_eq!((ran.code, ran.out.as_str()), (3, ""));
        assert!(ran.err.starts_with("error: ") && ran.err.contains(&format!("`{name}`")), "{}", ran.err);
    }
}

#[test]
fn a_recorded_tick_replays_byte_for_byte_until_somebody_changes_it() {
    let folder = folder();
    ran(folder.path(), &["check", "--snapshot", &recorded(), "--record", "tick.json"]);
    let same = ran(folder.path(), &["replay", "tick.json"]);
    assert_eq!(same.code, 0, "{same:?}");
    assert!(same.out.starts_with("same: demo at ") && same.out.ends_with("byte for byte\n"), "{}", same.out);
    let text = std::fs::read_to_string(folder.path().join("tick.json")).unwrap();
    file(folder.path(), "changed.json", &text.replacen("2 sessions stand still", "no session stands still", 1));
    let changed = ran(folder.path(), &["replay", "changed.json"]);
    assert_eq!(changed.code, 1);
    assert!(changed.out.starts_with("not the same: the replay differs from the record in "), "{}", changed.out);
    let own = file(folder.path(), "own.yaml", DEAD_ROWS);
    let other_rules = ran(folder.path(), &["replay", "tick.json", "--rules", own.to_str().unwrap()]);
    assert_eq!(other_rules.code, 1);
    assert_eq!(other_rules.out, "not the same: rules have changed since the tick: my_dead_rows\n");
    assert_eq!(ran(folder.path(), &["replay", "own.yaml"]).code, 3);
}

#[test]
fn the_example_config_passes_the_check() {
    let folder = folder();
    let example = ran(folder.path(), &["config", "example"]);
    file(folder.path(), "pgsteward.yaml", &example.out);
    let checked = ran(folder.path(), &["config", "check", "pgsteward.yaml"]);
    assert_eq!(checked.code, 0, "{checked:?}");
    assert!(checked.out.starts_with("ok  1 target, 1 channel, 0 windows"), "{}", checked.out);
    let mut piped =
        steward(folder.path()).args(["config", "check", "/dev/stdin"]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    piped.stdin.take().unwrap().write_all(example.out.as_bytes()).unwrap();
    assert_eq!(piped.wait().unwrap().code(), Some(0), "config example | config check /dev/stdin");
}

const SICK: &str = "\
version: 1
targets:
  - name: a
    dsn: host=a
    databses: all
  - name: a
    dsn: host=b
schedule:
  every: soon
channels:
  log: {kind: lgo, file: /tmp/x}
routes: {channel: nobody}
";

#[test]
fn all_problems_of_a_config_are_told_at_once_each_at_its_place() {
    let folder = folder();
    file(folder.path(), "sick.yaml", SICK);
    let ran = ran(folder.path(), &["config", "check", "sick.yaml"]);
    assert_eq!(ran.code, 1);
    for (place, word) in [
        ("sick.yaml:5:5", "databases"),
        ("sick.yaml:6", "`a`"),
        ("sick.yaml:9", "soon"),
        ("sick.yaml:11", "lgo"),
        ("sick.yaml:12", "nobody"),
    ] {
        assert!(ran.err.contains(place) && ran.err.contains(word), "{place} {word}: {}", ran.err);
    }
    assert!(ran.out.ends_with(" errors\n"), "{}", ran.out);
    let started = self::ran(folder.path(), &["run", "--config", "sick.yaml"]);
    assert_eq!(started.code, 3);
    assert!(started.err.contains("`sick.yaml` cannot be used"), "{}", started.err);
    assert_eq!(started.err.matches("databses").count(), ran.err.matches("databses").count(), "told once");
}

#[test]
fn a_config_that_is_not_there_or_no_yaml_says_so() {
    let folder = folder();
    file(folder.path(), "torn.yaml", "targets: [\n  a: {");
    for name in ["absent.yaml", "torn.yaml"] {
        let ran = ran(folder.path(), &["config", "check", name]);
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(ran.err.contains(name), "{}", ran.err);
    }
}

#[test]
fn a_config_with_an_override_for_a_rule_that_is_none_names_the_nearest() {
    let folder = folder();
    file(folder.path(), "c.yaml", "version: 1\ntargets: [{name: a, dsn: host=a}]\nrules: {override: [{rule: dedlocks, enabled: false}]}\n");
    let ran = ran(folder.path(), &["config", "check", "c.yaml"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.err.contains("dedlocks") && ran.err.contains("`deadlocks`"), "{}", ran.err);
}

#[test]
fn the_tests_of_the_shipped_rules_pass() {
    let ran = ran(folder().path(), &["rules", "test"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    assert!(ran.out.contains(" passed, 0 failed, in "), "{}", ran.out);
}

/// A rule of a user's own.
const DEAD_ROWS: &str = r#"rules:
  - id: my_dead_rows
    title: Too many dead rows
    category: vacuum
    tier: ticket
    from: tables
    where: autovacuum_enabled
    value: dead
    unit: rows
    warning: value > 100
    summary: "{{schema}}.{{table}} has {{value}} dead rows"
    runbook: |
      Why: they take room.
      Do: vacuum.
"#;

#[test]
fn a_shipped_rule_that_somebody_changes_is_tested_as_changed() {
    let folder = folder();
    let shipped = format!("{}/rules/locks", env!("CARGO_MANIFEST_DIR"));
    for name in ["deadlocks.yaml", "deadlocks.test.yaml"] {
        let text = std::fs::read_to_string(format!("{shipped}/{name}")).unwrap();
        file(folder.path(), name, &text.replace("default: 0.2", "default: 2"));
    }
    let changed = ran(folder.path(), &["rules", "test", "deadlocks.yaml"]);
    assert_eq!((changed.code, changed.err.as_str()), (1, ""), "{}", changed.out);
    assert!(changed.out.contains("FAIL") && changed.out.contains("one a minute warns"), "{}", changed.out);
    let whole = ran(folder.path(), &["rules", "test", &format!("{}/rules/classic", env!("CARGO_MANIFEST_DIR"))]);
    assert_eq!(whole.code, 0, "{} {}", whole.out, whole.err);
}

/// Its test, with what is expected of a table that has 500.
fn rule_test(expected: &str) -> String {
    format!(
        "rule: my_dead_rows
healthy:
  tables: {{database: shop, schema: public, table: orders, autovacuum_enabled: true, dead: 5}}
cases:
  - name: many
    given: {{tables: [{{dead: 500}}]}}
    expect: {expected}
"
    )
}

#[test]
fn a_user_rule_is_tested_and_what_differs_is_shown() {
    let folder = folder();
    file(folder.path(), "own.yaml", DEAD_ROWS);
    let test = |text: &str| {
        file(folder.path(), "own.test.yaml", text);
        ran(folder.path(), &["rules", "test", "own.yaml"])
    };
    let passed = test(&rule_test("[{warning: {table: orders}}]"));
    assert_eq!((passed.code, passed.out.as_str()), (0, "1 passed, 0 failed, in 1 test file\n"), "{passed:?}");
    let failed = test(&rule_test("[]"));
    assert_eq!(failed.code, 1);
    assert!(failed.out.starts_with("FAIL  own.test.yaml:5: many\n      unexpected warning "), "{}", failed.out);
    assert!(failed.out.ends_with("0 passed, 1 failed, in 1 test file\n"), "{}", failed.out);
}

#[test]
fn a_test_file_that_cannot_be_read_is_a_failure_and_not_a_silence() {
    let folder = folder();
    file(folder.path(), "own.yaml", DEAD_ROWS);
    for wrong in ["rule: my_dead_rows\ncasses: []\n", "- a\n", "rule: another\ncases: []\n", "", "rule: my_dead_rows\ncases: []\n"] {
        file(folder.path(), "own.test.yaml", wrong);
        let ran = ran(folder.path(), &["rules", "test", "own.yaml"]);
        assert_eq!(ran.code, 1, "{wrong:?} {ran:?}");
        assert!(ran.out.contains("FAIL  own.test.yaml: no case could be run"), "{wrong:?} {ran:?}");
    }
    std::fs::remove_file(folder.path().join("own.test.yaml")).unwrap();
    let none = ran(folder.path(), &["rules", "test", "own.yaml"]);
    assert_eq!((none.code, none.err.as_str()), (3, "error: no test file: a rule `x.rhai` has its tests in `x.test.yaml`\n"));
}

#[test]
fn unknown_columns_metrics_and_words_in_a_user_rule_get_the_nearest_name() {
    let folder = folder();
    let wrongs = [("value: dead", "value: deda", "dead"), ("from: tables", "from: tabels", "tables"), ("runbook:", "runbok:", "runbook")];
    for (right, wrong, near) in wrongs {
        file(folder.path(), "own.yaml", &DEAD_ROWS.replace(right, wrong));
        let ran = ran(folder.path(), &["rules", "test", "own.yaml"]);
        assert_eq!(ran.code, 1, "{wrong}: {ran:?}");
        let line = DEAD_ROWS.lines().position(|line| line.contains(right)).unwrap() + 1;
        assert!(ran.err.contains(&format!("own.yaml:{line}:")) && ran.err.contains(&format!("`{near}`")), "{wrong}: {}", ran.err);
    }
}

#[test]
fn a_rule_that_cannot_be_used_leaves_the_others_at_work() {
    let folder = folder();
    file(folder.path(), "own.yaml", &DEAD_ROWS.replace("value: dead", "value: deda"));
    let ran = ran(folder.path(), &["check", "--snapshot", &recorded(), "--rules", "own.yaml"]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("own.yaml:") && ran.out.contains("ddl_queue_jam"), "{ran:?}");
}

#[test]
fn a_rule_that_cannot_be_loaded_is_not_taken_for_quiet() {
    let folder = folder();
    let quiet = "rules:\n  - {id: q, title: q, from: connections, warning: clients > 1e9, summary: q}\n";
    file(folder.path(), "quiet.yaml", quiet);
    file(folder.path(), "broken.yaml", &quiet.replace("clients", "cliemts"));
    let page = ["check", "--snapshot", &recorded(), "--tier", "ticket", "--format", "json"].map(String::from);
    let of = |rules: &str| {
        let ran = run(steward(folder.path()).args(&page).args(["--rules", rules]));
        serde_json::from_str::<serde_json::Value>(&ran.out).unwrap()["unusable_rules"].as_array().unwrap().len()
    };
    assert_eq!((of("quiet.yaml"), of("broken.yaml")), (0, 1));
}

#[test]
fn a_device_is_written_through_and_not_replaced() {
    use std::os::unix::fs::{FileTypeExt, symlink};
    let folder = folder();
    symlink("/dev/null", folder.path().join("sink")).unwrap();
    let ran = ran(folder.path(), &["check", "--snapshot", &recorded(), "--record", "sink"]);
    assert_eq!(ran.code, 2, "{}", ran.err);
    assert!(folder.path().join("sink").is_symlink());
    assert!(std::fs::metadata("/dev/null").unwrap().file_type().is_char_device());
}

#[test]
fn a_connection_string_that_cannot_be_read_is_a_problem_of_the_config() {
    let folder = folder();
    for dsn in ["port=99999999", "host=a nosuchkey=1", "service=nosuch"] {
        let text = format!("version: 1\ntargets: [{{name: a, dsn: \"{dsn}\"}}]\nchannels: {{console: {{kind: console}}}}\n");
        file(folder.path(), "bad.yaml", &text);
        let ran = ran(folder.path(), &["config", "check", "bad.yaml"]);
        assert_eq!(ran.code, 1, "{dsn}: {} {}", ran.out, ran.err);
        assert!(ran.err.contains("bad.yaml:2:") && ran.err.contains("of `a`"), "{dsn}: {}", ran.err);
    }
}

#[test]
fn the_classic_form_is_converted() {
    let folder = folder();
    let classic = "rules:\n  performance:\n    - {name: connections, metric: connection_usage_pct, threshold: 80, severity: warning, comparison: greater_than, action: alert, enabled: true}\n";
    file(folder.path(), "classic.yaml", classic);
    let converted = ran(folder.path(), &["rules", "convert", "classic.yaml"]);
    assert_eq!(converted.code, 0, "{converted:?}");
    file(folder.path(), "rich.yaml", &converted.out);
    let listed = ran(folder.path(), &["rules", "list", "--pack", "own", "--rules", "rich.yaml"]);
    assert!(listed.out.contains("connections") && listed.out.ends_with("\n1 rule\n") && listed.err.is_empty(), "{listed:?}");
    file(folder.path(), "bad.yaml", &classic.replace("connection_usage_pct", "connection_usage_pc"));
    let refused = ran(folder.path(), &["rules", "convert", "bad.yaml"]);
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("`connection_usage_pct`"), "{}", refused.err);
}

#[test]
fn frames_and_rules_that_are_not_there_get_the_nearest_name() {
    let folder = folder();
    let frame = ran(folder.path(), &["frames", "show", "tabels"]);
    assert_eq!((frame.code, frame.err.as_str()), (3, "error: there is no frame `tabels`; did you mean `tables`?\n"));
    let rule = ran(folder.path(), &["rules", "show", "dedlocks"]);
    assert_eq!((rule.code, rule.err.as_str()), (3, "error: there is no rule `dedlocks`; did you mean `deadlocks`?\n"));
    assert_eq!(ran(folder.path(), &["frames", "show", "tables"]).code, 0);
}

#[test]
fn lists_fit_the_width() {
    let folder = folder();
    for args in
        [vec!["rules", "list"], vec!["frames", "list"], vec!["frames", "show", "tables"], vec!["rules", "show", "dead_tuples_past_trigger"]]
    {
        let shown = ran(folder.path(), &args);
        assert_eq!((shown.code, shown.err.as_str()), (0, ""), "{args:?}");
        // A manual's text and its links are shown as they were written.
        let table = shown.out.split("\nWhy: ").next().unwrap();
        assert!(table.lines().all(|line| line.chars().count() <= 110), "{args:?}: {}", shown.out);
    }
}

#[test]
fn completions_are_a_script_that_a_shell_accepts() {
    let folder = folder();
    let script = ran(folder.path(), &["completions", "bash"]);
    assert_eq!(script.code, 0);
    let path = file(folder.path(), "completions.bash", &script.out);
    assert!(Command::new("bash").arg("-n").arg(path).status().unwrap().success());
    assert!(script.out.contains("doctor"));
}

#[test]
fn colours_are_for_terminals_and_may_be_switched_off() {
    let folder = folder();
    let recorded = recorded();
    let look = |name: &str, value: &str| run(steward(folder.path()).env(name, value).args(["check", "--snapshot", &recorded])).out;
    assert!(!ran(folder.path(), &["check", "--snapshot", &recorded]).out.contains('\u{1b}'), "a pipe is no terminal");
    assert!(look("CLICOLOR_FORCE", "1").contains('\u{1b}'), "but it may be told to be one");
    let both = run(steward(folder.path()).env("CLICOLOR_FORCE", "1").env("NO_COLOR", "1").args(["check", "--snapshot", &recorded]));
    assert!(!both.out.contains('\u{1b}'), "NO_COLOR wins");
    assert!(!look("NO_COLOR", "1").contains('\u{1b}'));
}

#[test]
fn a_reader_that_goes_away_ends_the_output_and_not_the_program() {
    let folder = folder();
    let mut child = steward(folder.path())
        .args(["check", "--all", "--snapshot", &recorded()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(2), ""));
}

fn config(folder: &Path, more: &str) -> PathBuf {
    file(
        folder,
        "pgsteward.yaml",
        &format!(
            "version: 1\ntargets: [{{name: a, dsn: \"{NOBODY}\"}}]\nchannels: {{console: {{kind: console}}}}\nroutes: {{channel: console}}\n{more}"
        ),
    )
}

#[test]
fn alerts_without_a_store_say_who_makes_one() {
    let folder = folder();
    let ran = ran(folder.path(), &["alerts", "list"]);
    let path = folder.path().join("state/pgsteward.db");
    let said = "`pgsteward run --config FILE` makes one; give its `--config` here too";
    assert_eq!((ran.code, ran.err), (3, format!("error: there is no store yet at `{}`: {said}\n", path.display())));
}

/// Who asks about an alert is not told about the config.
#[test]
fn warnings_about_a_config_are_for_those_who_look_after_it() {
    let folder = folder();
    let path = config(folder.path(), "schedule: {every: 5m}\n");
    let text = std::fs::read_to_string(&path).unwrap();
    let chat =
        |url: &str| std::fs::write(&path, text.replace("channels: {", &format!("channels: {{chat: {{kind: slack, url: \"{url}\"}}, ")));
    let warned = |args: &[&str]| ran(folder.path(), args).err.matches("`url` is written out in the config").count();
    let file = "pgsteward.yaml";
    chat("https://hooks.example/T0/xyz").unwrap();
    assert_eq!(warned(&["run", "--once", "--log", "error", "--config", file]), 1, "once");
    assert_eq!((warned(&["config", "check", file]), warned(&["doctor", "--config", file])), (1, 1));
    for args in [&["alerts", "list"][..], &["notify", "list"], &["silence", "list"], &["check"]] {
        assert_eq!(warned(&[args, &["--config", file]].concat()), 0, "{args:?}");
    }
    chat("http://127.0.0.1:8025/slack").unwrap();
    assert_eq!(warned(&["config", "check", file]), 0, "nothing is guarded there");
}

#[test]
fn cron_needs_a_schedule() {
    let folder = folder();
    config(folder.path(), "");
    let ran = ran(folder.path(), &["run", "--once", "--config", "pgsteward.yaml"]);
    assert_eq!(ran.code, 3);
    assert!(ran.err.contains("needs `schedule: {every: ...}`"), "{}", ran.err);
}

#[test]
fn a_state_folder_that_is_a_file_and_a_store_that_is_none_are_named() {
    let folder = folder();
    config(folder.path(), "schedule: {every: 60s}\n");
    file(folder.path(), "state", "");
    let no_folder = ran(folder.path(), &["run", "--once", "--config", "pgsteward.yaml"]);
    assert_eq!(no_folder.code, 3);
    assert!(
        no_folder.err.contains("the state folder cannot be used: the state folder `") && no_folder.err.contains("is not a folder"),
        "{}",
        no_folder.err
    );
    std::fs::remove_file(folder.path().join("state")).unwrap();
    std::fs::create_dir(folder.path().join("state")).unwrap();
    file(folder.path(), "state/pgsteward.db", &"this is a letter to my aunt. ".repeat(100));
    // A look at the server needs no store: it warns, and goes on to say that the server is down.
    for (args, code) in [
        (vec!["run", "--once", "--config", "pgsteward.yaml"], 3),
        (vec!["alerts", "list"], 3),
        (vec!["check", "--config", "pgsteward.yaml"], 2),
    ] {
        let ran = ran(folder.path(), &args);
        assert_eq!(ran.code, code, "{args:?} {ran:?}");
        assert!(ran.err.contains("is not a store of pgsteward; name another state folder, or move the file away"), "{args:?}: {}", ran.err);
    }
    assert!(std::fs::read_to_string(folder.path().join("state/pgsteward.db")).unwrap().starts_with("this is a letter"));
}

/// Runs as somebody whom file modes bind; root passes them all.
fn bound(folder: &Path) -> Command {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::os::unix::process::CommandExt;
    let mut command = steward(folder);
    if std::fs::metadata(folder).unwrap().uid() == 0 {
        // The binary must be in reach of that user too.
        let copy = folder.join("pgsteward");
        std::fs::copy(env!("CARGO_BIN_EXE_pgsteward"), &copy).unwrap();
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).unwrap();
        command = Command::new(copy);
        command.env_clear().env("HOME", folder).env("STATE_DIRECTORY", folder.join("state")).current_dir(folder).uid(65_534).gid(65_534);
    }
    command
}

#[test]
fn a_state_folder_that_may_not_be_written_says_who_should_do_what() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder();
    config(folder.path(), "schedule: {every: 60s}\n");
    std::fs::create_dir(folder.path().join("state")).unwrap();
    std::fs::set_permissions(folder.path().join("state"), std::fs::Permissions::from_mode(0o555)).unwrap();
    let mut command = bound(folder.path());
    let ran = run(command.args(["run", "--once", "--config", "pgsteward.yaml"]));
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(ran.err.contains("let the user that runs pgsteward read and write its folder"), "{}", ran.err);
}

#[test]
fn the_state_folder_can_be_missing_and_the_server_too_and_a_tick_is_kept() {
    let folder = folder();
    config(folder.path(), "schedule: {every: 60s}\n");
    let ran = ran(folder.path(), &["run", "--once", "--config", "pgsteward.yaml"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let listed = self::ran(folder.path(), &["alerts", "list", "--json"]);
    let alerts: serde_json::Value = serde_json::from_str(&listed.out).unwrap();
    assert_eq!(alerts[0]["rule"], "instance_down");
    assert_eq!(alerts[0]["state"], "pending");
    let id = alerts[0]["fingerprint"].as_str().unwrap();
    let shown = self::ran(folder.path(), &["alerts", "show", &id[..8]]);
    assert_eq!(shown.code, 0, "{shown:?}");
    assert!(shown.out.contains("instance_down") && shown.out.contains("History"), "{}", shown.out);
    let none = self::ran(folder.path(), &["alerts", "show", "zzzz"]);
    assert_eq!(
        (none.code, none.err.as_str()),
        (3, "error: no alert's id begins with `zzzz`; `pgsteward alerts list` and `alerts history` show them\n")
    );
}
