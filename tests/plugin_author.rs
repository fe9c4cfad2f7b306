//! An author's way, through the binary: from nothing to a plugin that is built, tested, packed and looked at, in each
//! language, and what is said where it goes wrong.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::disallowed_methods, reason = "what a tool is found by stands in the environment")]

#[path = "support/plugins.rs"]
mod plugins;

use std::path::Path;

use plugins::{LANGUAGES, Ran, build, cargo_target, language_of, ran, run, source, steward};

/// The sick database as the demo ships it.
fn recorded() -> String {
    format!("{}/src/cli/demo/recorded.json.gz", env!("CARGO_MANIFEST_DIR"))
}

fn fine(ran: Ran) -> String {
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{}", ran.out);
    ran.out
}

fn replace(path: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "`{from}` is not in {}", path.display());
    std::fs::write(path, text.replacen(from, to, 1)).unwrap();
}

/// From nothing to a packed plugin, and on to one with a slip in it, of which the compiler's word is shown.
fn whole_way(language: &str, slip: (&str, &str, &str), said: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let name = format!("first_{language}");
    let told = fine(ran(here, &["plugin", "new", "--lang", language, &name]));
    for command in ["build", "test", "dev"] {
        assert!(told.contains(&format!("pgsteward plugin {command} {name} ")), "{told}");
    }
    let Some(built) = build(here, language, &here.join(&name)) else { return };
    assert_eq!(built.code, 0, "{built:?}");
    assert!(built.out.contains("/plugin.wasm  ") && built.out.contains(", from "), "{built:?}");
    assert!(fine(ran(here, &["plugin", "test", &name])).ends_with(" passed, 0 failed, in 1 test file\n"));

    let packed = fine(ran(here, &["plugin", "pack", &name, "--out", "packed.wasm"]));
    assert!(packed.starts_with("packed.wasm  ") && packed.contains("1 test file, 0 metrics, README packed"), "{packed}");
    let inspected = fine(ran(here, &["plugin", "inspect", "packed.wasm"]));
    assert!(inspected.starts_with(&format!("{name} 0.1.0\n")) && inspected.contains("pgsteward:plugin/rules@1.0.0"), "{inspected}");
    assert!(fine(ran(here, &["plugin", "test", "packed.wasm"])).contains(" 0 failed"));

    let snapshot = recorded();
    let round = fine(ran(here, &["plugin", "dev", &name, "--once", "--snapshot", &snapshot]));
    assert!(round.contains(" 0 failed") && round.contains(&format!("\n{name}  ")) && !round.contains('\x1b'), "{round}");

    let before = std::fs::read(here.join(&name).join("plugin.wasm")).unwrap();
    let (file, from, to) = slip;
    replace(&here.join(&name).join(file), from, to);
    let broken = build(here, language, &here.join(&name)).unwrap();
    assert_eq!((broken.code, broken.out.as_str()), (3, ""), "{broken:?}");
    for word in said {
        assert!(broken.err.contains(word), "`{word}` is not in:\n{}", broken.err);
    }
    assert!(broken.err.contains("error: `") && broken.err.trim_end().ends_with("` failed"), "{}", broken.err);
    assert!(std::fs::read(here.join(&name).join("plugin.wasm")).unwrap() == before, "the earlier one stays");
    assert_eq!(ran(here, &["plugin", "dev", &name, "--once"]).code, 3);
}

#[test]
fn a_plugin_in_rust() {
    whole_way("rust", ("src/lib.rs", "t.live.max(1.0)", "t.living.max(1.0)"), &["no field `living` on type", "src/lib.rs:"]);
}

#[test]
fn a_plugin_in_c() {
    whole_way("c", ("main.c", "100 * (dead[row]", "100 * (deda[row]"), &["main.c:", "deda"]);
}

#[test]
fn a_plugin_in_javascript() {
    whole_way("js", ("main.js", "const limit =", "const limit limit ="), &["main.js:", "SyntaxError"]);
}

#[test]
fn a_plugin_in_python() {
    let said = ["main.py", "SyntaxError"];
    whole_way("python", ("main.py", "for row in call.rows:", "for row on call.rows:"), &said);
}

#[test]
fn what_a_compiler_made_becomes_a_component() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    fine(ran(here, &["plugin", "new", "--lang", "rust", "core_module"]));
    let Some(built) = build(here, "rust", &here.join("core_module")) else { return };
    assert_eq!(built.code, 0, "{built:?}");
    let module = cargo_target().join("wasm32-unknown-unknown/release/core_module.wasm");
    let made = fine(ran(here, &["plugin", "componentize", module.to_str().unwrap(), "--out", "made.wasm"]));
    assert!(made.starts_with("made.wasm  "), "{made}");
    assert!(std::fs::read(here.join("made.wasm")).unwrap() == std::fs::read(here.join("core_module/plugin.wasm")).unwrap());
    let again = ran(here, &["plugin", "componentize", "made.wasm"]);
    assert_eq!((again.code, again.err.as_str()), (3, "error: `made.wasm` is a component already\n"));
}

#[test]
fn a_plugin_that_wants_files_is_told_what_it_has_not() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    fine(ran(here, &["plugin", "new", "--lang", "c", "chatty"]));
    replace(&here.join("chatty/main.c"), "#include \"pgsteward.h\"", "#include <stdio.h>\n#include \"pgsteward.h\"");
    replace(&here.join("chatty/main.c"), "double share =", "puts(\"hello\");\n    double share =");
    let Some(built) = build(here, "c", &here.join("chatty")) else { return };
    assert_eq!(built.code, 3, "{built:?}");
    assert!(built.err.contains("files, output or a clock (") && built.err.contains("fd_write"), "{}", built.err);
}

#[test]
fn what_a_compiler_warns_of_is_shown_beside_the_plugin() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    fine(ran(here, &["plugin", "new", "--lang", "c", "careless"]));
    replace(&here.join("careless/main.c"), "double share =", "int unused = 1;\n    double share =");
    let Some(built) = build(here, "c", &here.join("careless")) else { return };
    assert_eq!(built.code, 0, "{built:?}");
    assert!(built.err.contains("main.c:") && built.err.contains("unused variable"), "{built:?}");
    assert!(built.out.contains("/careless/plugin.wasm  "), "{built:?}");
}

#[test]
fn nothing_is_made_over_something_or_under_a_name_that_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    fine(ran(here, &["plugin", "new", "--lang", "c", "mine"]));
    let again = ran(here, &["plugin", "new", "--lang", "js", "mine"]);
    let said = "error: `mine` is there already; give another name, or `--dir` with a folder that is new or empty\n";
    assert_eq!((again.code, again.err.as_str()), (3, said));
    assert!(!here.join("mine/main.js").exists());
    let elsewhere = fine(ran(here, &["plugin", "new", "--lang", "js", "mine", "--dir", "a/b"]));
    assert!(elsewhere.contains("pgsteward plugin build a/b ") && here.join("a/b/mine.test.yaml").is_file(), "{elsewhere}");
    for name in ["../mine", "Mine", "my-plugin", ""] {
        let refused = ran(here, &["plugin", "new", "--lang", "rust", name]);
        assert_eq!(refused.code, 3, "{name}");
        assert!(refused.err.contains("is not an id: lower-case letters"), "{}", refused.err);
    }
    let other = ran(here, &["plugin", "new", "--lang", "cobol", "mine2"]);
    assert!(other.code == 3 && other.err.contains("rust") && other.err.contains("python"), "{}", other.err);
}

#[test]
fn a_machine_without_tools_is_told_what_to_install() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let bare = |args: &[&str]| {
        let none = here.join("none");
        run(steward(here).env("PATH", &none).env("PGSTEWARD_TOOLS", &none).env_remove("WASI_SDK_PATH").args(args))
    };
    for (language, said) in [
        ("rust", "rustup target add wasm32-unknown-unknown"),
        ("c", "apt-get install --no-install-recommends clang-22"),
        ("js", "npm install "),
        ("python", "python3 -m venv "),
    ] {
        fine(bare(&["plugin", "new", "--lang", language, language]));
        let built = bare(&["plugin", "build", language]);
        assert_eq!((built.code, built.out.as_str()), (3, ""), "{built:?}");
        assert!(built.err.starts_with("error: no ") && built.err.contains(said), "{}", built.err);
        assert!(!here.join("none").exists(), "nothing is installed without being asked");
    }
    let asked = bare(&["plugin", "build", "js", "--install-tools"]);
    assert_eq!(asked.code, 3);
    assert!(asked.err.starts_with("installing: npm install ") && asked.err.contains("`npm` cannot be started"), "{}", asked.err);
}

#[test]
fn a_folder_that_is_no_project_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    for command in ["build", "dev"] {
        let ran = ran(here, &["plugin", command]);
        assert_eq!(ran.code, 3);
        assert!(ran.err.contains("holds no plugin: there is no Cargo.toml, main.c, main.js or main.py in it"), "{}", ran.err);
    }
    std::fs::write(here.join("main.c"), "").unwrap();
    std::fs::write(here.join("main.js"), "").unwrap();
    assert!(ran(here, &["plugin", "build"]).err.contains("has a main.c and a main.js"));
}

/// Builds a plugin of pgsteward's own sources and passes its tests, and others.
fn passes(project: &Path, others: &[&Path]) {
    let folder = tempfile::tempdir().unwrap();
    let Some(language) = language_of(project) else { return };
    let Some(built) = build(folder.path(), language, project) else { return };
    assert_eq!((built.code, built.err.as_str()), (0, ""), "{}: {}", project.display(), built.out);
    let tested = run(steward(folder.path()).args(["plugin", "test"]).arg(project).args(others));
    assert_eq!((tested.code, tested.err.as_str()), (0, ""), "{}: {}", project.display(), tested.out);
    assert!(!tested.out.starts_with("0 passed"), "{}: {}", project.display(), tested.out);
}

/// The projects in a folder that are in some language.
fn projects(below: &str, languages: &[&str]) -> Vec<std::path::PathBuf> {
    let all = std::fs::read_dir(source(below)).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<_> = all.filter(|path| path.is_dir() && language_of(path).is_some_and(|l| languages.contains(&l))).collect();
    found.sort();
    found
}

#[test]
fn every_example_in_rust_builds_and_passes_its_tests() {
    let found = projects("examples", &["rust"]);
    assert!(found.len() >= 4, "{found:?}");
    found.iter().for_each(|project| passes(project, &[]));
}

#[test]
fn every_other_example_builds_and_passes_its_tests() {
    let found = projects("examples", &["c", "js", "python"]);
    assert!(found.len() >= 4, "{found:?}");
    found.iter().for_each(|project| passes(project, &[]));
}

#[test]
fn the_three_kits_say_the_same_of_the_conformance_rule() {
    let found = projects("conformance", &LANGUAGES);
    assert_eq!(found.len(), 3, "{found:?}");
    let tests = source("conformance/conformance.test.yaml");
    found.iter().for_each(|project| passes(project, &[&tests]));
}
