//! Where a process may not make executable memory, as hardened services may not: plugins do not run, everything else
//! does, and both are said.

use std::process::{Command, Stdio};

use super::guest::{Finding, Guest};
use super::place::{Place, run};
use super::support;

/// Forbids it to itself for good (PR_SET_MDWE), says so by its exit code where the kernel does not know that, and becomes
/// the program that it is given.
const LAUNCHER: &str = "import ctypes, os, sys\n\
                        if ctypes.CDLL(None, use_errno=True).prctl(65, 1, 0, 0, 0) != 0: sys.exit(99)\n\
                        os.execv(sys.argv[1], sys.argv[1:])\n";

/// The binary without the right to make code; none where that cannot be arranged, which is said.
#[allow(clippy::print_stderr, reason = "a test that did not run says so")]
fn forbidden(place: &Place) -> Option<Command> {
    // The caller's PATH is only for finding it.
    let found = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output();
    let Some(python) = found.ok().filter(|ran| ran.status.success()).and_then(|ran| String::from_utf8(ran.stdout).ok()) else {
        eprintln!("NOT TESTED: without python3 there is nobody to forbid executable memory");
        return None;
    };
    let launcher = |program: &str| {
        let mut command = place.launched(Command::new(python.trim()));
        command.args(["-c", LAUNCHER, program]);
        command
    };
    if launcher("/bin/true").stdin(Stdio::null()).status().unwrap().code() == Some(99) {
        eprintln!("NOT TESTED: this kernel knows no PR_SET_MDWE (it needs Linux 6.3)");
        return None;
    }
    Some(launcher(env!("CARGO_BIN_EXE_pgsteward")))
}

const WHY: &str = "plugins cannot run here: this process may not make executable memory";

#[test]
fn a_look_goes_on_without_plugins_and_says_why() {
    let place = Place::new();
    place.install(&Guest::finding(Finding::default()));
    place.check(&[]).goes_on();
    let Some(mut command) = forbidden(&place) else { return };
    let ran =
        run(command.args(["check", "--format", "json", "--snapshot", &super::place::recorded()])).says(&["MemoryDenyWriteExecute=no"]);
    assert_eq!(ran.code, 2, "{}", ran.all());
    assert!(ran.err.contains(WHY) && ran.err.contains("guest 1.0.0"), "{}", ran.err);
    let check = super::place::Check { document: serde_json::from_str(&ran.out).unwrap(), err: ran.err };
    let check = check.goes_on();
    let (word, reason) = check.outcome("guest_rule").unwrap();
    assert!(word == "skipped" && reason.starts_with(WHY), "{reason}");
    assert_eq!(check.unusable().len(), 1, "its rules are not taken for quiet");
}

#[test]
fn managing_plugins_says_why_it_cannot_look_into_them() {
    let place = Place::new();
    place.install(&Guest::default());
    for (args, code) in [
        (["install", "guest.wasm"], 3),
        (["inspect", "guest.wasm"], 3),
        (["list", "--json"], 0),
        (["disable", "guest"], 0),
        (["remove", "guest"], 0),
    ] {
        let Some(mut command) = forbidden(&place) else { return };
        let ran = run(command.arg("plugin").args(args)).ends(code);
        assert!(code == 0 || ran.err.contains(WHY), "{args:?}: {}", ran.err);
    }
    assert!(!place.shelf("guest.wasm").exists());
}

#[tokio::test]
async fn the_doctor_says_which_plugins_run_and_why_others_do_not() {
    let dsn = support::server(support::newest()).await.steward("postgres");
    let place = Place::new();
    let page = |command: &mut Command| run(command.args(["doctor", &dsn])).ends(0).out;
    assert!(!page(&mut place.steward()).contains("Plugins"), "nobody asked for any");
    place.install(&Guest::default());
    place.install(&Guest { id: "broken", rules: vec![super::guest::Rule { id: "broken_rule", ..Default::default() }], ..Guest::default() });
    std::fs::write(place.shelf("broken.wasm"), "").unwrap();
    let seen = page(&mut place.steward());
    let lines: Vec<&str> = seen.lines().skip_while(|line| *line != "Plugins").take(4).collect();
    assert_eq!(lines.get(..2), Some(["Plugins", "   1 can be run"].as_slice()), "{seen}");
    assert!(lines[2].starts_with("   cannot run  broken 1.0.0: "), "{seen}");
    let Some(mut command) = forbidden(&place) else { return };
    let seen = page(&mut command);
    let text = seen.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("Plugins 0 can be run cannot run broken 1.0.0, guest 1.0.0: ") && text.contains(WHY), "{seen}");
    assert!(seen.lines().all(|line| line.chars().count() <= 110), "{seen}");
}
