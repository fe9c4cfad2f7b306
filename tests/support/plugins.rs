//! Plugins for integration tests, built by the binary itself with real tools: `#[path = "support/plugins.rs"] mod plugins;`.
//!
//! Tools that are missing are fetched through npm and pip into pgsteward's own cache of tools. A language whose tools
//! cannot be had is left out and says so; with `PGSTEWARD_TEST_PLUGIN_LANGS` (`rust,c,js,python`) those named there must be
//! had.
#![allow(dead_code, reason = "every test file uses its own part")]
#![allow(clippy::print_stderr, reason = "what is left out must be seen")]

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// All languages, by the words of the command line.
pub const LANGUAGES: [&str; 4] = ["rust", "c", "js", "python"];

/// A run of the binary: exit code, standard output, standard error.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// Where the tools of all tests are: `$PGSTEWARD_TOOLS`, else where pgsteward itself keeps them for this user.
pub fn tools() -> PathBuf {
    let cache = || directories::ProjectDirs::from("", "", "pgsteward").unwrap().cache_dir().join("plugin-tools");
    std::env::var_os("PGSTEWARD_TOOLS").map_or_else(cache, PathBuf::from)
}

/// Cargo's folder for what the tests build: not that of pgsteward itself, whose build may be what runs the tests.
pub fn cargo_target() -> PathBuf {
    tools().join("rust-target")
}

/// The binary in a folder, with a home of its own.
pub fn steward(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pgsteward"));
    at_home(&mut command, folder);
    command
}

/// Gives a command a home of its own; only the tools and the package clients' caches are this user's.
pub fn at_home(command: &mut Command, folder: &Path) {
    let home = PathBuf::from(std::env::var_os("HOME").unwrap());
    command.current_dir(folder).env("HOME", folder).env("STATE_DIRECTORY", folder.join("state")).stdin(Stdio::null());
    command.env("XDG_CACHE_HOME", folder.join("cache")).env("PGSTEWARD_TOOLS", tools()).env("CARGO_TARGET_DIR", cargo_target());
    for (variable, below) in [
        ("CARGO_HOME", ".cargo"),
        ("RUSTUP_HOME", ".rustup"),
        ("npm_config_cache", ".npm"),
        ("npm_config_userconfig", ".npmrc"),
        ("PIP_CACHE_DIR", ".cache/pip"),
    ] {
        if std::env::var_os(variable).is_none() {
            command.env(variable, home.join(below));
        }
    }
}

pub fn run(command: &mut Command) -> Ran {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

pub fn ran(folder: &Path, args: &[&str]) -> Ran {
    run(steward(folder).args(args))
}

/// Builds a project; `None` when its tools cannot be had on this machine.
pub fn build(folder: &Path, language: &str, project: &Path) -> Option<Ran> {
    // One at a time: the tests of all processes share the tools, and the projects of the examples.
    std::fs::create_dir_all(tools()).unwrap();
    let turn = File::create(tools().join("tests.lock")).unwrap();
    turn.lock().unwrap();
    let built = run(steward(folder).args(["plugin", "build", "--install-tools"]).arg(project));
    let unavailable = built.code != 0
        && (built.err.contains("error: no ") || built.err.contains("cannot be started") || built.err.contains("installing: "));
    if !unavailable {
        return Some(built);
    }
    let needed = std::env::var_os("PGSTEWARD_TEST_PLUGIN_LANGS").unwrap_or_default().into_string().unwrap();
    assert!(!needed.split(',').any(|word| word.trim() == language), "PGSTEWARD_TEST_PLUGIN_LANGS wants {language}: {}", built.err);
    // Not by `eprintln!`, which a test that passes keeps to itself.
    let skipped = format!("\nSKIPPED: {language} plugins are not tested here, since their tools cannot be had: {}\n", built.err);
    std::io::stderr().write_all(skipped.as_bytes()).unwrap();
    None
}

/// A folder of the plugins in pgsteward's own sources.
pub fn source(below: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("plugins").join(below)
}

/// The language of a project.
pub fn language_of(project: &Path) -> Option<&'static str> {
    let marks = ["Cargo.toml", "main.c", "main.js", "main.py"];
    LANGUAGES.into_iter().zip(marks).find(|(_, mark)| project.join(mark).is_file()).map(|(language, _)| language)
}
