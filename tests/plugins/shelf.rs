//! What an operator does with a plugin: look at it, install it, see it work, switch it off and on, renew and remove it.

use super::guest::{Finding, Guest, Rule, Setting, quiet_up_to};
use super::place::{Place, sha256};

/// A plugin that warns of more than ten rows in the first table, and says so of itself.
fn guest() -> Guest<'static> {
    let most = &[Setting { name: "most", default: 10.0, range: (0.0, 1000.0), unit: "rows" }];
    Guest {
        facts: &[("summary", "Counts rows")],
        rules: vec![Rule {
            title: "a table has rows",
            needs: &["tables.live"],
            settings: most,
            extra: &[("category", "vacuum"), ("runbook", "Why: they take room.\nDo: vacuum.")],
            ..Rule::default()
        }],
        before: quiet_up_to(10.0),
        ..Guest::finding(Finding { summary: b"{table} has {live}, more than {most}", ..Finding::default() })
    }
}

/// Its project's folder, with a test that expects this of a table with 500 rows.
fn project(place: &Place, expected: &str) {
    place.file("guest/plugin.wasm", guest().component());
    place.file("guest/README.md", "# Guest\n");
    let healthy = "healthy:\n  tables: {database: d, schema: s, table: orders, live: 5}\n";
    let cases = format!("cases:\n  - {{name: many, given: {{tables: [{{live: 500}}]}}, expect: {expected}}}\n");
    place.file("guest/guest_rule.test.yaml", format!("rule: guest_rule\n{healthy}{cases}"));
}

#[test]
fn from_install_to_remove() {
    let place = Place::new();
    assert_eq!(place.ran(&["plugin", "list"]).ends(0).out, "No plugin is installed.\n");
    let installed = place.install(&guest());
    let hash = sha256(&place.path("guest.wasm"));
    assert_eq!(
        installed.out.replace(&hash, "<sha256>"),
        "guest 1.0.0 installed: 1 rule (guest_rule)\n\n\
         Pin it in the config, so that no other file runs under its name:\n\n   \
         plugins:\n     use:\n       guest: {sha256: \"<sha256>\"}\n"
    );
    assert_eq!(
        place.ran(&["plugin", "list"]).ends(0).out,
        format!(
            "PLUGIN  VERSION  RUNS  SIGNED  RULES       SHA256\nguest   1.0.0    on    no      guest_rule  {}\n",
            hash.get(..12).unwrap()
        )
    );
    let check = place.check(&[]).goes_on();
    assert_eq!((check.outcome("guest_rule"), check.err.as_str()), (Some(("ok", "")), ""));
    let found = check.findings("guest_rule");
    assert_eq!(found.len(), 1);
    let summary = found[0]["summary"].as_str().unwrap();
    assert_eq!(summary, "employees has 200 k rows, more than 10 rows");
    let shown = place.ran(&["rules", "show", "guest_rule"]).ends(0).out;
    assert!(shown.starts_with("guest_rule  a table has rows\nticket / vacuum / pack own / wasm form, plugin guest 1.0.0\n"), "{shown}");

    assert_eq!(place.ran(&["plugin", "disable", "guest"]).ends(0).out, "guest 1.0.0 is off.\n");
    assert_eq!(place.check(&[]).goes_on().outcome("guest_rule"), None);
    assert!(place.ran(&["plugin", "list"]).out.contains("off"));
    assert_eq!(place.ran(&["plugin", "enable", "guest"]).ends(0).out, "guest 1.0.0 is on.\n");
    assert_eq!(place.check(&[]).findings("guest_rule").len(), 1);

    assert_eq!(place.ran(&["plugin", "remove", "guest"]).ends(0).out, "guest 1.0.0 is removed.\n");
    assert_eq!(place.check(&[]).goes_on().outcome("guest_rule"), None);
    let left: Vec<_> = std::fs::read_dir(place.shelf("compiled")).unwrap().collect();
    assert!(left.is_empty() && std::fs::read_dir(place.shelf("")).unwrap().count() == 1, "{left:?}");
    let none = "error: no plugin `guest` is installed; `pgsteward plugin list` shows those that are\n";
    for command in ["remove", "enable", "disable"] {
        assert_eq!(place.ran(&["plugin", command, "guest"]).ends(3).err, none, "{command}");
    }
}

#[test]
fn what_is_installed_for_a_script() {
    let place = Place::new();
    place.install(&guest());
    let listed = place.ran(&["plugin", "list", "--json"]).ends(0).out;
    insta::assert_snapshot!(listed.replace(&sha256(&place.path("guest.wasm")), "<sha256>"));
}

#[test]
fn a_new_version_takes_the_place_of_the_old_and_stays_off_if_that_was() {
    let place = Place::new();
    place.install(&guest());
    place.check(&[]).goes_on();
    let before = std::fs::read_dir(place.shelf("compiled")).unwrap().count();
    let newer = Guest { version: "1.1.0", before: String::new(), ..guest() };
    place.install(&newer).says(&["guest 1.1.0 installed in place of 1.0.0: 1 rule (guest_rule)"]);
    assert_eq!(place.check(&[]).goes_on().findings("guest_rule").len(), 1);
    assert_eq!(std::fs::read_dir(place.shelf("compiled")).unwrap().count(), before, "the code of the old one is gone");
    place.ran(&["plugin", "disable", "guest"]).ends(0);
    let told = "It is disabled, as the version before it was; `pgsteward plugin enable guest` lets it run.";
    place.install(&Guest { version: "1.2.0", ..guest() }).says(&["guest 1.2.0 installed in place of 1.1.0", told]);
    assert_eq!(place.check(&[]).goes_on().outcome("guest_rule"), None);
}

#[test]
fn the_config_has_the_last_word_on_what_runs() {
    let place = Place::new();
    place.install(&guest());
    place.config("plugins: {use: {guest: {enabled: false}}}\n");
    assert_eq!(place.check(&["--config", "pgsteward.yaml"]).outcome("guest_rule"), None);
    let listed = place.ran(&["plugin", "list", "--config", "pgsteward.yaml"]).ends(0);
    assert!(listed.out.contains(" off "), "{}", listed.out);
    let enabled = place.ran(&["plugin", "enable", "guest", "--config", "pgsteward.yaml"]).ends(0);
    assert_eq!(enabled.out, "guest 1.0.0 is on.\nThe config says `enabled: false` of it, and that holds.\n");
    let removed = place.ran(&["plugin", "remove", "guest", "--config", "pgsteward.yaml"]).ends(0);
    assert!(removed.out.ends_with("The config still names it: take it out of `plugins: {use: ..}` there.\n"), "{}", removed.out);
}

#[test]
fn a_packed_plugin_is_one_file_that_says_what_is_in_it() {
    let place = Place::new();
    project(&place, "[{warning: {table: orders}}]");
    place.ran(&["plugin", "test", "guest"]).ends(0).says(&["1 passed, 0 failed"]);
    let packed = place.ran(&["plugin", "pack", "guest"]).ends(0);
    let (file, hash) = ("guest/guest-1.0.0.wasm", sha256(&place.path("guest/guest-1.0.0.wasm")));
    let size = pgsteward_helpers::bytes(std::fs::metadata(place.path(file)).unwrap().len() as f64);
    assert_eq!(packed.out, format!("{file}  {size}, 1 test file, 0 metrics, README packed\nsha256  {hash}\n"));
    let inspected = place.ran(&["plugin", "inspect", file]).ends(0);
    assert_eq!(inspected.err, "");
    // What it has used depends on the compiler's version.
    let fuel = inspected.out.lines().find(|line| line.starts_with("fuel ")).unwrap();
    let shown =
        inspected.out.replace(&hash, "<sha256>").replace(&size, "<size>").replace(fuel, "fuel            <used>             5000000000");
    insta::assert_snapshot!(shown);
    place.ran(&["plugin", "install", file]).ends(0).says(&["1 passed, 0 failed", "guest 1.0.0 installed"]);
}

#[test]
fn a_plugin_whose_own_tests_fail_is_not_installed() {
    let place = Place::new();
    project(&place, "[]");
    place.ran(&["plugin", "pack", "guest"]).ends(0);
    let refused = place.ran(&["plugin", "install", "guest/guest-1.0.0.wasm"]).ends(3);
    assert_eq!(refused.err, "error: `guest/guest-1.0.0.wasm` is not installed: its own tests fail\n");
    refused.says(&["FAIL", "guest_rule.test.yaml:", "many", "unexpected warning", "0 passed, 1 failed"]);
    assert_eq!(place.ran(&["plugin", "list"]).out, "No plugin is installed.\n");
    // A good one in place stays where it is.
    project(&place, "[{warning: {table: orders}}]");
    place.ran(&["plugin", "pack", "guest"]).ends(0);
    place.ran(&["plugin", "install", "guest/guest-1.0.0.wasm"]).ends(0);
    let good = sha256(&place.shelf("guest.wasm"));
    project(&place, "[]");
    place.ran(&["plugin", "pack", "guest"]).ends(0);
    place.ran(&["plugin", "install", "guest/guest-1.0.0.wasm"]).ends(3);
    assert_eq!(sha256(&place.shelf("guest.wasm")), good);
}
