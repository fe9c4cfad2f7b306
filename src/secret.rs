//! Secrets: where one is to be had, and getting it when it is needed.
//!
//! A `Secret` is only the way to the value, so a config can be checked, shown and reloaded without it. The value is read
//! at each use, so that a rotated password needs no restart. Neither type prints what it holds, and no error quotes it;
//! a command's own error output is dropped for the same reason. Open to every room: targets and channels have secrets.

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use futures_util::FutureExt;
use thiserror::Error;
use tokio::io::AsyncReadExt;

use serde::{Serialize, Serializer};

use crate::env::Env;
use crate::problem::Problem;
use crate::yaml::{Fields, Node, Value, text_of};

/// Longest secret in bytes.
pub const MAX_BYTES: u64 = 64 * 1024;
/// How long a command may take.
pub const COMMAND_TIMEOUT: Duration = Duration::from_secs(10);

/// The way to a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub Way);

/// How to get at it.
#[derive(Clone, PartialEq, Eq)]
pub enum Way {
    /// It stands in the config itself.
    Plain(String),
    /// The content of a file.
    File(PathBuf),
    /// An environment variable.
    Env(String),
    /// What a command writes: program and arguments, no shell.
    Command(Vec<String>),
}

/// A secret's value.
#[derive(Clone, PartialEq, Eq)]
pub struct Revealed(String);

/// Why a secret is not to be had.
#[derive(Debug, Error)]
pub enum SecretError {
    /// The file cannot be read.
    #[error("cannot read the secret file `{}`", .0.display())]
    File(PathBuf, #[source] std::io::Error),
    /// The variable is not there.
    #[error("the environment variable `{0}` is not set")]
    Env(String),
    /// The command cannot be started or read.
    #[error("cannot run the secret command `{0}`")]
    Command(String, #[source] std::io::Error),
    /// The command said that it failed.
    #[error("the secret command `{0}` failed ({1})")]
    Failed(String, std::process::ExitStatus),
    /// The command did not end.
    #[error("the secret command `{0}` did not end within 10 s")]
    Timeout(String),
    /// More than a secret can be.
    #[error("the secret from {0} is longer than 64 kB")]
    TooLong(String),
    /// Nothing there.
    #[error("the secret from {0} is empty")]
    Empty(String),
    /// Bytes that are no text.
    #[error("the secret from {0} is not UTF-8 text")]
    NotText(String),
}

impl Secret {
    /// A secret that stands in the config itself.
    #[must_use]
    pub fn plain(value: impl Into<String>) -> Self {
        Self(Way::Plain(value.into()))
    }

    /// Whether the value stands in the config itself.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        matches!(self.0, Way::Plain(_))
    }

    /// The file that holds it.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match &self.0 {
            Way::File(path) => Some(path),
            _ => None,
        }
    }

    /// Takes the key of a channel's or target's map: `{file: ..}`, `{env: ..}`, `{command: [..]}` or, with a warning, the plain
    /// value, whose place is noted in `fields` so that no problem shows its line.
    pub fn take(fields: &mut Fields<'_>, key: &'static str) -> Option<Self> {
        let node = fields.node(key)?;
        Self::of(fields, key, node)
    }

    /// The same for a node that stands at that key.
    pub fn of<'a>(fields: &mut Fields<'a>, key: &str, node: &'a Node) -> Option<Self> {
        match &node.value {
            Value::Map(_) => {
                let secret = Self::elsewhere(fields.file(), node);
                match secret {
                    Some(_) => fields.elsewhere.push(node),
                    None => {
                        fields.secrets.push(node.at);
                        let ways = "{file: /path}, {env: NAME} or {command: [program, argument]}";
                        fields.error(node, format!("`{key}` is not one way to a secret: {ways}"));
                    }
                }
                secret
            }
            Value::Text(text) if !text.is_empty() => {
                fields.secrets.push(node.at);
                let hint = "keep it elsewhere: {file: /path}, {env: NAME} or {command: [program, argument]}";
                let problem = Problem::warning(fields.file(), node.at, format!("`{key}` is written out in the config"));
                fields.problems.push(problem.hint(hint));
                Some(Self::plain(text))
            }
            // A number may not be what was written (leading zeros, exponents), and its place is as secret.
            _ => {
                fields.secrets.push(node.at);
                fields.error(node, format!("`{key}` must be {{file: /path}}, {{env: NAME}} or {{command: [program, argument]}}"));
                None
            }
        }
    }

    /// The way that a map names; paths are looked for beside the `config`.
    #[must_use]
    pub fn elsewhere(config: &str, node: &Node) -> Option<Self> {
        let Value::Map(entries) = &node.value else { return None };
        let [(name, value)] = entries.as_slice() else { return None };
        let beside = |path: String| Path::new(config).parent().map_or_else(|| PathBuf::from(&path), |dir| dir.join(&path));
        let way = match name.text.as_str() {
            "file" => text_of(value).map(|path| Way::File(beside(path))),
            "env" => text_of(value).map(Way::Env),
            "command" => words(value).map(Way::Command),
            _ => None,
        };
        way.map(Self)
    }

    /// Gets the value. Files and commands are read anew each time; a trailing newline is cut.
    ///
    /// # Errors
    /// Says which way failed, and never what came.
    pub async fn reveal(&self, env: &Env) -> Result<Revealed, SecretError> {
        match &self.0 {
            Way::Plain(value) => Ok(Revealed(value.clone())),
            Way::Env(name) => env.get(name).map(Revealed).ok_or_else(|| SecretError::Env(name.clone())),
            Way::File(path) => from_file(path).and_then(|bytes| clean(bytes, &format!("the file `{}`", path.display()))),
            Way::Command(command) => {
                let program = command.first().map(String::as_str).unwrap_or_default();
                let run = tokio::time::timeout(COMMAND_TIMEOUT, from_command(command));
                let bytes = run.await.map_err(|_| SecretError::Timeout(program.into()))??;
                clean(bytes, &format!("the command `{program}`"))
            }
        }
    }

    /// The value, if it can be had and no command must be run for it.
    #[must_use]
    pub fn at_hand(&self, env: &Env) -> Option<Revealed> {
        let is_command = matches!(self.0, Way::Command(_));
        if is_command { None } else { self.reveal(env).now_or_never()?.ok() }
    }

    /// What may go wrong when it is needed, and what mends it. A doubt only: the service may run as somebody else.
    #[must_use]
    pub fn doubt(&self, env: &Env) -> Option<(String, String)> {
        let said = |message: String, hint: &str| Some((message, hint.to_string()));
        match &self.0 {
            Way::Env(name) if env.get(name).is_none() => {
                said(format!("the environment variable `{name}` is not set here"), "set it where the service starts")
            }
            Way::File(path) if !path.is_file() => {
                said(format!("there is no file `{}`", path.display()), "make it, or see that the service can read it")
            }
            Way::File(path) if others_may_read(path) => {
                said(format!("others may read the secret file `{}`", path.display()), &format!("chmod 600 {}", path.display()))
            }
            Way::Command(words) => {
                let program = words.first().filter(|program| env.program(program).is_err())?;
                said(format!("`{program}` is no program that can be run here"), "install it, or write its whole path")
            }
            _ => None,
        }
    }
}

fn words(node: &Node) -> Option<Vec<String>> {
    let Value::List(list) = &node.value else { return None };
    let words: Option<Vec<String>> = list.iter().map(text_of).collect();
    words.filter(|words| words.first().is_some_and(|program| !program.is_empty()))
}

fn from_file(path: &Path) -> Result<Vec<u8>, SecretError> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|error| SecretError::File(path.into(), error))?;
    Ok(bytes)
}

async fn from_command(command: &[String]) -> Result<Vec<u8>, SecretError> {
    let program = command.first().cloned().unwrap_or_default();
    let fail = |error| SecretError::Command(program.clone(), error);
    let mut child = tokio::process::Command::new(&program)
        .args(command.get(1..).unwrap_or_default())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(fail)?;
    let mut bytes = Vec::new();
    if let Some(out) = child.stdout.take() {
        out.take(MAX_BYTES + 1).read_to_end(&mut bytes).await.map_err(fail)?;
    }
    // What says more than fits would block or die of a closed pipe: its exit code means nothing then.
    if bytes.len() as u64 > MAX_BYTES {
        return Ok(bytes);
    }
    let status = child.wait().await.map_err(fail)?;
    if status.success() { Ok(bytes) } else { Err(SecretError::Failed(program, status)) }
}

fn clean(bytes: Vec<u8>, from: &str) -> Result<Revealed, SecretError> {
    if bytes.len() as u64 > MAX_BYTES {
        return Err(SecretError::TooLong(from.into()));
    }
    let mut text = String::from_utf8(bytes).map_err(|_| SecretError::NotText(from.into()))?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    if text.is_empty() { Err(SecretError::Empty(from.into())) } else { Ok(Revealed(text)) }
}

impl Revealed {
    /// The value itself, for the one call that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// Whether anybody but the owner may read or change a file; unknown counts as no.
#[cfg(unix)]
pub fn others_may_read(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o077 != 0)
}

/// Not known on this platform.
#[cfg(not(unix))]
pub fn others_may_read(_path: &Path) -> bool {
    false
}

/// The way, never the value: `{"env": "SLACK_TOKEN"}`. A command is shown by its program, since arguments may be secret too.
impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, ser: S) -> Result<S::Ok, S::Error> {
        let shown = match &self.0 {
            Way::Plain(_) => ("plain", "***".into()),
            Way::File(path) => ("file", path.display().to_string()),
            Way::Env(name) => ("env", name.clone()),
            Way::Command(words) => ("command", words.first().cloned().unwrap_or_default()),
        };
        std::collections::BTreeMap::from([shown]).serialize(ser)
    }
}

macro_rules! prints_stars {
    ($($type:ty),*) => {$(
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("***")
            }
        }
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("***")
            }
        }
    )*};
}
prints_stars!(Secret, Revealed);

#[cfg(test)]
mod tests {
    use super::*;

    fn reveal(secret: Secret, env: &Env) -> Result<Revealed, SecretError> {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(secret.reveal(env))
    }

    fn command(words: &[&str]) -> Secret {
        Secret(Way::Command(words.iter().map(ToString::to_string).collect()))
    }

    #[test]
    fn every_way_leads_to_the_value_without_its_newline() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pg");
        std::fs::write(&path, "hunter2\r\n").unwrap();
        let env = Env::of([("PW", "hunter2")]);
        for secret in [Secret::plain("hunter2"), Secret(Way::File(path)), Secret(Way::Env("PW".into())), command(&["echo", "hunter2"])] {
            assert_eq!(reveal(secret, &env).unwrap().expose(), "hunter2");
        }
    }

    #[test]
    fn a_failure_names_the_way_and_never_the_value() {
        let env = Env::of([]);
        let long = "x".repeat(70_000);
        let cases = [
            (Secret(Way::Env("PW".into())), "the environment variable `PW` is not set"),
            (Secret(Way::File("/nowhere/pg".into())), "cannot read the secret file `/nowhere/pg`"),
            (command(&["/nowhere/vault"]), "cannot run the secret command `/nowhere/vault`"),
            (command(&["sh", "-c", "echo hunter2; exit 3"]), "the secret command `sh` failed (exit status: 3)"),
            (command(&["echo", &long]), "the secret from the command `echo` is longer than 64 kB"),
            (command(&["true"]), "the secret from the command `true` is empty"),
            (command(&["printf", "\\377"]), "the secret from the command `printf` is not UTF-8 text"),
        ];
        for (secret, message) in cases {
            assert_eq!(reveal(secret, &env).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn a_command_that_hangs_is_ended() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        let error = runtime.block_on(command(&["sleep", "600"]).reveal(&Env::of([]))).unwrap_err();
        assert_eq!(error.to_string(), "the secret command `sleep` did not end within 10 s");
    }

    #[test]
    fn nothing_prints() {
        let secret = Secret::plain("hunter2");
        let revealed = reveal(secret.clone(), &Env::of([])).unwrap();
        assert_eq!(format!("{secret} {secret:?} {revealed} {revealed:?}"), "*** *** *** ***");
    }
}
