//! A folder of an operator's own: state, cache, config and plugin files, and the binary that knows no other.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::guest::Guest;

/// A run of the binary: exit code, standard output, standard error.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// Both streams, for messages that may stand in either.
    pub fn all(&self) -> String {
        format!("{}\n{}", self.out, self.err)
    }

    /// Fails with everything that was printed unless it ended with this code.
    #[track_caller]
    pub fn ends(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}", self.all());
        self
    }

    /// Fails unless all of these words were printed, and no panic.
    #[track_caller]
    pub fn says(self, words: &[&str]) -> Self {
        // What is wrapped on the screen is one line here.
        let all = self.all().split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(!all.contains("panicked"), "{all}");
        words.iter().for_each(|word| assert!(all.contains(word), "`{word}` is not in: {all}"));
        self
    }
}

/// The folder.
pub struct Place(tempfile::TempDir);

impl Place {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file.
    pub fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// A config of one target that nobody answers at; `more` is YAML at its top level.
    pub fn config(&self, more: &str) {
        let text = "version: 1\ntargets: [{name: demo, dsn: \"host=/nonexistent user=me dbname=shop\"}]\nchannels: {console: {kind: console}}\nroutes: {channel: console}\n";
        self.file("pgsteward.yaml", format!("{text}{more}"));
    }

    /// The binary with nothing of the caller's environment.
    pub fn steward(&self) -> Command {
        self.launched(Command::new(env!("CARGO_BIN_EXE_pgsteward")))
    }

    /// A command that knows only this folder.
    pub fn launched(&self, mut command: Command) -> Command {
        command.env_clear().env("HOME", self.0.path()).env("STATE_DIRECTORY", self.path("state")).current_dir(self.0.path());
        command
    }

    pub fn ran(&self, args: &[&str]) -> Ran {
        run(self.steward().args(args))
    }

    /// Writes `guest.wasm` and installs it.
    #[track_caller]
    pub fn install(&self, guest: &Guest<'_>) -> Ran {
        self.file("guest.wasm", guest.component());
        self.ran(&["plugin", "install", "guest.wasm"]).ends(0)
    }

    /// `check` on the recorded sick database; `more` are arguments.
    pub fn check(&self, more: &[&str]) -> Check {
        let ran = run(self.steward().args(["check", "--snapshot", &recorded(), "--format", "json"]).args(more));
        Check { document: serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {ran:?}")), err: ran.err }
    }

    /// A file of the shelf.
    pub fn shelf(&self, name: &str) -> PathBuf {
        self.path("state/plugins").join(name)
    }
}

/// What `check` says to a script, and what it complains of.
#[derive(Debug)]
pub struct Check {
    pub document: serde_json::Value,
    pub err: String,
}

impl Check {
    /// How a rule ended, and why; `None` when there is no such rule.
    pub fn outcome(&self, rule: &str) -> Option<(&str, &str)> {
        let outcome = self.document["outcomes"].as_array().unwrap().iter().find(|outcome| outcome["rule"] == rule)?;
        Some((outcome["outcome"].as_str().unwrap(), outcome["reason"].as_str().unwrap()))
    }

    /// What a rule found.
    pub fn findings(&self, rule: &str) -> Vec<&serde_json::Value> {
        self.document["findings"].as_array().unwrap().iter().filter(|finding| finding["rule"] == rule).collect()
    }

    /// Rules that could not be loaded.
    pub fn unusable(&self) -> Vec<&str> {
        self.document["unusable_rules"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect()
    }

    /// Fails unless the shipped rules have judged as ever.
    #[track_caller]
    pub fn goes_on(self) -> Self {
        assert!(!self.err.contains("panicked"), "{}", self.err);
        assert_eq!(self.findings("ddl_queue_jam").len(), 1, "{:#}", self.document);
        self
    }
}

pub fn run(command: &mut Command) -> Ran {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
}

/// The sick database as the demo ships it.
pub fn recorded() -> String {
    format!("{}/src/cli/demo/recorded.json.gz", env!("CARGO_MANIFEST_DIR"))
}

/// The SHA-256 of a file, hex.
pub fn sha256(path: &Path) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(std::fs::read(path).unwrap()).iter().map(|byte| format!("{byte:02x}")).collect()
}
