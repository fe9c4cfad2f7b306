//! What can be wrong with a plugin, its files or its answers: each is told by the plugin's name, version and the cause,
//! and everything else goes on.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::guest::{Finding, Guest, Rule, Setting, traps_at, works};
use super::place::{Place, sha256};

fn guest() -> Guest<'static> {
    Guest::finding(Finding::default())
}

/// A second plugin that must go on whatever the first does.
fn other() -> Guest<'static> {
    Guest { id: "other", version: "2.0.0", rules: vec![Rule { id: "other_rule", ..Rule::default() }], ..guest() }
}

/// A place with both installed.
fn both(first: &Guest<'_>) -> Place {
    let place = Place::new();
    place.install(&other());
    place.install(first);
    place
}

/// `check` in which the shipped rules and the other plugin have judged as ever.
#[track_caller]
fn check(place: &Place, more: &[&str]) -> super::place::Check {
    let check = place.check(more).goes_on();
    assert_eq!(check.findings("other_rule").len(), 1, "{}", check.err);
    check
}

const CONFIG: [&str; 2] = ["--config", "pgsteward.yaml"];

#[test]
fn a_file_that_is_no_plugin_is_refused_by_its_name_and_the_cause() {
    let place = Place::new();
    let whole = guest().component();
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("empty.wasm", Vec::new(), "it is no WASM component"),
        ("text.wasm", b"#!/bin/sh\necho plugin\n".to_vec(), "it is no WASM component"),
        ("torn.wasm", whole.get(..whole.len() / 2).unwrap().to_vec(), "it is no WASM component"),
        ("module.wasm", wat::parse_str("(module (func))").unwrap(), "module"),
        (
            "foreign.wasm",
            wat::parse_str("(component)").unwrap(),
            "it does not export `pgsteward:plugin/rules`, so it is no pgsteward plugin",
        ),
        (
            "newer.wasm",
            guest().component_for("2.0.0"),
            "it was built for version 2.0.0 of the plugin contract; this pgsteward supports 1.0",
        ),
    ];
    for (name, bytes, cause) in cases {
        place.file(name, bytes);
        for command in ["install", "inspect", "test"] {
            place.ran(&["plugin", command, name]).ends(3).says(&[name, cause]);
        }
    }
    place.ran(&["plugin", "install", "absent.wasm"]).ends(3).says(&["`absent.wasm` cannot be read"]);
    place.ran(&["plugin", "install", "."]).ends(3).says(&["plugin.wasm", "is not there"]);
    assert_eq!(place.ran(&["plugin", "list"]).out, "No plugin is installed.\n");
}

#[test]
fn a_huge_file_and_one_without_an_end_are_not_read() {
    let place = Place::new();
    fs::File::create(place.path("huge.wasm")).unwrap().set_len(5 << 30).unwrap();
    place.ran(&["plugin", "install", "huge.wasm"]).ends(3).says(&["huge.wasm", "more than the 67108864 that a plugin may have"]);
    place.ran(&["plugin", "install", "/dev/zero"]).ends(3).says(&["/dev/zero", "more than the 67108864 that a plugin may have"]);
}

#[test]
fn a_plugin_that_says_nonsense_of_itself_is_refused_with_every_problem() {
    let place = Place::new();
    let refused = |guest: Guest<'_>, words: &[&str]| {
        place.file("guest.wasm", guest.component());
        place.ran(&["plugin", "install", "guest.wasm"]).ends(3).says(&["guest.wasm"]).says(words);
        assert!(!place.shelf("guest.json").exists());
    };
    let rule = |rule: Rule<'static>| Guest { rules: vec![rule], ..guest() };
    refused(Guest { id: "../evil", ..guest() }, &["plugin id:", "`../evil`"]);
    refused(Guest { version: "1.0", ..guest() }, &["plugin `guest`: `1.0` is no version; write 1.2.3"]);
    refused(Guest { rules: Vec::new(), ..guest() }, &["plugin `guest 1.0.0` has 0 rules"]);
    refused(
        rule(Rule { from: Some("tabels"), needs: &["tables.dead"], ..Rule::default() }),
        &["plugin `guest 1.0.0`, rule `guest_rule`: there is no frame `tabels`; did you mean `tables`?"],
    );
    refused(
        rule(Rule { needs: &["tables.deed", "indxes.bytes", "rate(tables.dead)", "dead"], ..Rule::default() }),
        &[
            "frame `tables` has no column `deed`; did you mean `dead`?",
            "there is no frame `indxes`; did you mean `indexes`?",
            "`rate(tables.dead)`: `tables.dead` is no counter, so it has no rate",
            "`dead` names no column: write `frame.column`",
        ],
    );
    let settings = &[
        Setting { name: "most", default: 5.0, range: (0.0, 1.0), unit: "rows" },
        Setting { name: "least", default: 5.0, range: (9.0, 1.0), unit: "byte" },
    ];
    refused(
        rule(Rule { settings, ..Rule::default() }),
        &[
            "its own default: `most` must be 0 rows to 1 rows, not 5 rows",
            "setting `least`: unknown unit `byte`",
            "setting `least`: its range is empty",
        ],
    );
    refused(
        rule(Rule { extra: &[("tier", "soon"), ("for", "long")], ..Rule::default() }),
        &["its tier must be page, ticket or advice, not `soon`", "its `for` must be a span such as 10m, not `long`"],
    );
    refused(rule(Rule { id: "rule_unevaluable", ..Rule::default() }), &["rule id `rule_unevaluable` is taken by the rule about rules"]);
}

#[test]
fn an_answer_that_is_not_legal_is_an_error_of_the_rule_and_nothing_of_it_is_believed() {
    let answers: Vec<(Finding<'_>, &str)> = vec![
        (Finding { summary: b"\xff\xfe", ..Finding::default() }, "what it handed over cannot be read: invalid utf-8 sequence"),
        (Finding { evidence: &[("x", f64::INFINITY)], ..Finding::default() }, "evidence `x` is infinite"),
        (Finding { row: Some(9_999_999), ..Finding::default() }, "its answer names row 9999999 of `tables`, which has "),
        (Finding { actions: &[("vacum", &[])], ..Finding::default() }, "unknown action `vacum`; did you mean `vacuum`?"),
        (
            Finding { actions: &[("alter_table_storage", &[("fillfactor", "5")])], ..Finding::default() },
            "action `alter_table_storage`: `fillfactor` must be an integer 10..100, not `5`",
        ),
        (Finding { summary: b"{tabel} is ill", ..Finding::default() }, "a message names `{tabel}`"),
    ];
    for (finding, cause) in answers {
        let place = both(&Guest { findings: vec![Finding::default(), finding], ..Guest::default() });
        let check = check(&place, &[]);
        let (word, reason) = check.outcome("guest_rule").unwrap();
        assert_eq!(word, "error", "{cause}");
        assert!(reason.starts_with("plugin `guest 1.0.0`: ") && reason.contains(cause), "{reason}");
        assert!(check.findings("guest_rule").is_empty());
    }
}

#[test]
fn a_number_that_is_none_is_unknown_and_a_row_that_it_cannot_judge_too() {
    let place = both(&Guest::finding(Finding { summary: b"{x}", evidence: &[("x", f64::NAN)], ..Finding::default() }));
    let check = check(&place, &[]);
    let found = check.findings("guest_rule");
    assert_eq!((found[0]["summary"].as_str(), found[0]["evidence"][0]["value"].as_f64()), (Some("unknown"), None));
    place.install(&Guest { unknown: &[0], ..guest() });
    let check = self::check(&place, &[]);
    assert_eq!(check.outcome("guest_rule"), Some(("ok", "")));
    assert!(check.findings("guest_rule").is_empty(), "it does not know and says so all the same");
}

#[test]
fn a_plugin_that_breaks_off_is_an_error_of_its_rule() {
    let place = both(&Guest { before: "(unreachable)".into(), ..guest() });
    let check = check(&place, &[]);
    assert_eq!(check.outcome("guest_rule"), Some(("error", "plugin `guest 1.0.0`: it broke off: wasm `unreachable` instruction executed")));
    place.install(&Guest { before: traps_at(-1.0), ..guest() });
    assert_eq!(self::check(&place, &[]).outcome("guest_rule"), Some(("ok", "")));
}

#[test]
fn the_limits_of_the_config_hold_and_are_named() {
    let place = both(&Guest { before: works(100_000), ..guest() });
    let ends = |limits: &str| {
        place.config(&format!("plugins: {{{limits}}}\n"));
        let check = check(&place, &CONFIG);
        let (word, reason) = check.outcome("guest_rule").unwrap();
        (word.to_string(), reason.to_string())
    };
    assert_eq!(ends("limits: {fuel: 10M}").0, "ok");
    let few = "plugin `guest 1.0.0`: it wanted more than its limit `fuel` of 20000 allows".to_string();
    assert_eq!(ends("limits: {fuel: 20k}"), ("error".to_string(), few.clone()));
    assert_eq!(ends("use: {guest: {limits: {fuel: 20k}}}"), ("error".to_string(), few), "its own before those of all");
    assert_eq!(ends("limits: {fuel: 20k}, use: {guest: {limits: {fuel: 10M}}}").0, "ok");
    let memory = "plugin `guest 1.0.0`: it wanted more than its limit `memory_bytes` of 1048576 allows".to_string();
    place.config("plugins: {use: {guest: {limits: {memory_bytes: 1MB}}}}\n");
    let check = check(&place, &CONFIG);
    assert_eq!(check.outcome("guest_rule").unwrap().0, "skipped");
    let told = check.unusable();
    assert!(
        told.len() == 1 && told[0].starts_with("plugin guest 1.0.0: error: ") && memory.ends_with(told[0].rsplit(": ").next().unwrap())
    );
}

#[test]
fn a_file_that_was_changed_since_it_was_installed_does_not_run() {
    let place = both(&guest());
    let recorded = sha256(&place.shelf("guest.wasm"));
    let newer = Guest { version: "6.6.6", ..guest() }.component();
    fs::write(place.shelf("guest.wasm"), newer).unwrap();
    let found = sha256(&place.shelf("guest.wasm"));
    let check = check(&place, &[]);
    let (word, reason) = check.outcome("guest_rule").unwrap();
    assert_eq!(word, "skipped");
    let cause = format!("was changed since it was installed (SHA-256 {found}, recorded {recorded}); install it again");
    assert!(reason.ends_with(&cause), "{reason}");
    assert_eq!(check.unusable(), [format!("plugin guest 1.0.0: error: it does not run: {reason}")]);
    assert!(place.ran(&["plugin", "list"]).out.contains("file changed"));
    fs::remove_file(place.shelf("guest.wasm")).unwrap();
    let check = self::check(&place, &[]);
    let (word, reason) = check.outcome("guest_rule").unwrap();
    assert!(word == "skipped" && reason.contains("guest.wasm` cannot be read: "), "{reason}");
    assert!(place.ran(&["plugin", "list"]).out.contains("file missing"));
    place.install(&guest());
    assert_eq!(self::check(&place, &[]).findings("guest_rule").len(), 1);
}

#[test]
fn a_broken_record_is_told_by_its_name() {
    let place = both(&guest());
    let good = fs::read_to_string(place.shelf("guest.json")).unwrap();
    for broken in ["", "{\"id\": \"guest\"", "[]", &good.replace("\"id\": \"guest\"", "\"id\": \"../other\"")] {
        fs::write(place.shelf("guest.json"), broken).unwrap();
        let check = check(&place, &[]);
        assert_eq!(check.outcome("guest_rule"), Some(("skipped", "its record cannot be read; install it again")));
        let told = check.unusable();
        assert!(
            told.len() == 1 && told[0].contains("guest.json: error: it is no record of a plugin") && told[0].ends_with("install it again"),
            "{told:?}"
        );
        let listed = place.ran(&["plugin", "list"]).ends(1);
        assert!(listed.out.contains("other ") && listed.err.contains("guest.json"), "{}", listed.all());
    }
    place.install(&guest());
    assert_eq!(check(&place, &[]).findings("guest_rule").len(), 1);
}

#[test]
fn a_config_that_names_a_plugin_that_is_not_there() {
    let place = both(&guest());
    place.config("plugins: {use: {gest: {enabled: true}}}\n");
    let check = check(&place, &CONFIG);
    assert_eq!(check.findings("guest_rule").len(), 1);
    let told = "the config names plugin `gest`, which is not installed";
    assert!(check.unusable()[0].contains(told), "{:?}", check.unusable());
    let checked = place.ran(&["config", "check", "pgsteward.yaml"]).ends(1);
    checked.says(&[told, "pgsteward.yaml:5:17", "did you mean `guest`?"]);
}

#[test]
fn an_override_that_a_setting_does_not_allow_is_refused() {
    let most = &[Setting { name: "most", default: 10.0, range: (0.0, 1000.0), unit: "rows" }];
    let guest = Guest { rules: vec![Rule { settings: most, ..Rule::default() }], ..guest() };
    let place = both(&guest);
    place.config("rules: {override: [{rule: guest_rule, settings: {most: 2000}}]}\n");
    let range = "`most` must be 0 rows to 1000 rows, not 2000 rows";
    place.ran(&["config", "check", "pgsteward.yaml"]).ends(1).says(&["pgsteward.yaml:5", "rule `guest_rule`: ", range]);
    let check = check(&place, &CONFIG);
    let (word, reason) = check.outcome("guest_rule").unwrap();
    assert!(word == "error" && reason.contains(range), "{reason}");
    // Legal one by one, but the plugin says that they do not fit.
    place.install(&Guest { unfit: &["most must be a prime", "and odd"], ..guest });
    place.config("rules: {override: [{rule: guest_rule, settings: {most: 20}}]}\n");
    place.ran(&["config", "check", "pgsteward.yaml"]).ends(1).says(&["plugin `guest 1.0.0`: most must be a prime; and odd"]);
    assert_eq!(self::check(&place, &CONFIG).outcome("guest_rule"), Some(("error", "plugin `guest 1.0.0`: most must be a prime; and odd")));
}

#[test]
fn of_two_rules_with_one_id_the_first_is_used_and_both_places_are_named() {
    let place = both(&guest());
    // Nobody can install such a one, but it may have been put there.
    let elsewhere = Place::new();
    elsewhere.install(&Guest { id: "zealous", version: "3.0.0", findings: Vec::new(), ..guest() });
    for name in ["zealous.wasm", "zealous.json"] {
        fs::copy(elsewhere.shelf(name), place.shelf(name)).unwrap();
    }
    let yaml = "rules:\n  - {id: other_rule, title: t, from: tables, warning: dead > 1e12, summary: s}\n";
    place.file("own.yaml", yaml);
    let check = place.check(&["--rules", "own.yaml"]).goes_on();
    assert_eq!(check.findings("guest_rule").len(), 1, "that of the plugin that comes first");
    assert!(check.findings("other_rule").is_empty(), "that of the file");
    let told = check.unusable();
    let of = |source: &str, first: &str| {
        let words = [source, "is taken", first];
        assert!(told.iter().any(|line| words.iter().all(|word| line.contains(word))), "{words:?}: {told:?}");
    };
    of("plugin zealous 3.0.0: error: rule id `guest_rule`", "the one in plugin guest 1.0.0 is used");
    of("plugin other 2.0.0: error: rule id `other_rule`", "the one in own.yaml:2 is used");
    let install = |rule: &'static str| {
        place.file("late.wasm", Guest { id: "late", rules: vec![Rule { id: rule, ..Rule::default() }], ..guest() }.component());
        place.ran(&["plugin", "install", "late.wasm"]).ends(3)
    };
    install("deadlocks").says(&["`late.wasm` is not installed: rule id `deadlocks` is taken: ", "deadlocks.yaml declares it"]);
    install("other_rule").says(&["rule id `other_rule` is taken: plugin other 2.0.0 declares it"]);
}

const METRIC: &str = "name: queue\nsql: {14: \"SELECT 'a' AS kind, 1::int8 AS jobs\"}\ncolumns: {kind: label, jobs: gauge}\nkey: [kind]\n";

#[test]
fn its_own_sql_is_not_asked_before_it_is_granted() {
    let place = Place::new();
    let rule = Rule { from: Some("queue"), needs: &["queue.jobs"], ..Rule::default() };
    place.file("guest/plugin.wasm", Guest { rules: vec![rule], ..guest() }.component());
    place.file("guest/metrics/queue.yaml", METRIC);
    place.ran(&["plugin", "pack", "guest"]).ends(0).says(&["1 metric"]);
    let file = "guest/guest-1.0.0.wasm";
    place.ran(&["plugin", "inspect", file]).ends(0).says(&["Its own SQL: queue", "SELECT 'a' AS kind, 1::int8 AS jobs"]);
    let installed = place.ran(&["plugin", "install", file]).ends(0);
    installed.says(&["It brings its own SQL for queue, which runs only where the config grants it.", "grant: [metrics]}"]);
    let check = place.check(&[]).goes_on();
    let (word, reason) = check.outcome("guest_rule").unwrap();
    assert_eq!((word, reason.starts_with("queue: ")), ("no_data", true), "{reason}");
    assert!(
        check.err.contains("plugin guest 1.0.0: its metric `queue` is not collected: the plugin may not ask the servers"),
        "{}",
        check.err
    );
    assert!(check.err.contains("then set `grant: [metrics]` for it in the config"), "{}", check.err);
    place.config("plugins: {use: {guest: {grant: [metrics]}}}\n");
    assert_eq!(place.check(&CONFIG).goes_on().err, "");
    // A metric that is broken shows when it is packed.
    place.file("guest/metrics/queue.yaml", METRIC.replace("gauge", "gouge"));
    place.ran(&["plugin", "pack", "guest"]).ends(3).says(&["metrics/queue.yaml", "gouge"]);
}

#[test]
fn a_folder_of_compiled_code_that_others_may_write_is_not_trusted() {
    let place = both(&guest());
    place.check(&[]).goes_on();
    let compiled = place.shelf("compiled");
    fs::set_permissions(&compiled, fs::Permissions::from_mode(0o770)).unwrap();
    let check = place.check(&[]).goes_on();
    let (word, reason) = check.outcome("guest_rule").unwrap();
    assert_eq!(word, "skipped");
    assert!(reason.contains("compiled` may be written by others than its owner, so no code is loaded from it; `chmod 700` it"), "{reason}");
    let told = check.unusable();
    assert!(told.len() == 1 && told[0].contains("guest 1.0.0, other 2.0.0") && told[0].contains("chmod 700"), "{told:?}");
    fs::set_permissions(&compiled, fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(self::check(&place, &[]).findings("guest_rule").len(), 1);
}

#[test]
fn compiled_code_that_was_damaged_is_made_anew() {
    let place = both(&guest());
    check(&place, &[]);
    let files = || {
        let mut files: Vec<_> = fs::read_dir(place.shelf("compiled")).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    };
    let good: Vec<(std::path::PathBuf, Vec<u8>)> = files().into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect();
    assert_eq!(good.len(), 2);
    let damages: [fn(&mut Vec<u8>); 4] = [
        Vec::clear,
        |code| code.truncate(code.len() / 2),
        |code| code[..64].fill(0),
        // Nothing in the form of the file is wrong then; only what it holds.
        |code| code.iter_mut().skip(0x1000).step_by(97).for_each(|byte| *byte ^= 0x55),
    ];
    for damage in damages {
        for (path, code) in &good {
            let mut code = code.clone();
            damage(&mut code);
            fs::write(path, code).unwrap();
        }
        let check = check(&place, &[]);
        assert_eq!((check.findings("guest_rule").len(), check.err.as_str()), (1, ""));
        assert_eq!(
            files().iter().map(|path| fs::read(path).unwrap()).collect::<Vec<_>>(),
            good.iter().map(|(_, code)| code.clone()).collect::<Vec<_>>()
        );
    }
}
