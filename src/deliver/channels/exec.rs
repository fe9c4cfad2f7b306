//! `exec`: a program of the user's, which is given the notices and says by its exit code what became of them.
//!
//! Program and arguments are a list, so no shell ever sees a name from a database. Notices come as lines of JSON on the
//! standard input, the form of the `log` channel; what a short script wants to know stands in `PGSTEWARD_*` variables. The
//! rest of the environment is cleared, since ours may hold secrets. The exit codes are those of sysexits.h: 0 delivered, 75
//! try again, 77 not allowed to (the channel pauses), any other: never. A program that takes too long, or whose send is given
//! up, is ended with all that it started.

use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, Either, join, select};
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

use super::{ChannelKind, ChannelSettings, Doubt, Means, Settings, Traits};
use crate::deliver::card::Card;
use crate::deliver::{Channel, Message, Receipt, SendError, render};
use crate::env::{Env, NoProgram};
use crate::model::Reach;
use crate::problem::Problem;
use crate::text::safe;
use crate::yaml::{Fields, Value};

pub(super) const KIND: ChannelKind = ChannelKind {
    name: "exec",
    doc: "runs a program with the notices as lines of JSON on its standard input; exit code 0 is delivered, 75 try again, 77 not allowed (the channel pauses), any other is never tried again",
    example: "kind: exec\ncommand: [/usr/local/bin/tell, --urgent]   # a list; no shell reads it\ntimeout: 20s                               # at most 25s\n",
    traits: Traits { stateful: false, reach: Reach::Tell, most: 64, digest: false, rate: None, draws: false },
    refused: "the program ended with exit code 77, not allowed to: give it, or the user that runs pgsteward, the rights or the login that it lacks",
    settings,
};

/// Longest that a program may take; below the longest that any send may take.
const LONGEST_S: u64 = 25;
/// What of our own environment a program is given.
const KEPT: [&str; 6] = ["PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR"];
/// What no program's name holds, but a line for a shell does.
const SHELL: [char; 12] = [' ', '\t', '\n', '|', '&', ';', '<', '>', '$', '`', '"', '\''];
/// Characters of a variable.
const VARIABLE: usize = 1_000;
/// Bytes of the error output that are kept: the last ones.
const LAST_WORDS: usize = 4_096;
/// How long the error output is waited for after the end, when something else still holds it.
const GRACE: Duration = Duration::from_millis(200);

const TRY_AGAIN: i32 = 75;
const NOT_ALLOWED: i32 = 77;

/// Arguments may be secret, so only the program is ever shown.
#[derive(Clone, Serialize)]
struct ExecSettings {
    #[serde(serialize_with = "shown")]
    command: Vec<String>,
    timeout_s: u64,
}

fn shown<S: serde::Serializer>(command: &[String], ser: S) -> Result<S::Ok, S::Error> {
    let program = command.first().map(String::as_str).unwrap_or_default();
    format!("{program} and {} arguments", command.len().saturating_sub(1)).serialize(ser)
}

fn settings(_: &str, fields: &mut Fields<'_>) -> Option<ChannelSettings> {
    let command = command(fields);
    let timeout_s = fields.seconds("timeout").unwrap_or(20);
    if let Some(node) = fields.node("timeout").filter(|_| !(1..=LONGEST_S).contains(&timeout_s)) {
        fields.error(node, format!("`timeout` must be from 1s to {LONGEST_S}s"));
    }
    Some(ChannelSettings(Arc::new(ExecSettings { command: command?, timeout_s })))
}

/// A list; a single text is a program without arguments.
fn command(fields: &mut Fields<'_>) -> Option<Vec<String>> {
    let node = fields.required("command")?;
    if matches!(&node.value, Value::Text(text) if text.contains(SHELL)) {
        let problem = Problem::error(fields.file(), node.at, "`command` is one text with more than a program in it, and no shell reads it");
        // Its arguments may be secret.
        fields.secrets.push(node.at);
        fields.problems.push(problem.hint("make it a list: [/usr/local/bin/tell, --urgent]; for a shell: [sh, -c, \"...\"]"));
        return None;
    }
    let command = fields.texts("command").filter(|words| words.first().is_some_and(|program| !program.is_empty()));
    if command.is_none() {
        fields.error(node, "`command` must be a list: program and arguments");
    }
    command
}

impl Settings for ExecSettings {
    fn kind(&self) -> &'static str {
        KIND.name
    }

    fn json(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn doubts(&self, env: &Env) -> Vec<Doubt> {
        let program = self.command.first().map(String::as_str).unwrap_or_default();
        let (message, hint) = match env.program(program) {
            Ok(_) => return Vec::new(),
            Err(NoProgram::Missing) => (format!("there is no program `{program}` here"), "install it, or write its whole path".into()),
            Err(NoProgram::NotExecutable) => (format!("the file `{program}` is no program"), format!("chmod +x {program}")),
        };
        vec![Doubt { key: "command", message, hint }]
    }

    fn build(&self, name: &str, means: &Means) -> Box<dyn Channel> {
        Box::new(Exec { name: name.into(), settings: self.clone(), env: means.env.clone() })
    }
}

struct Exec {
    name: String,
    settings: ExecSettings,
    env: Env,
}

impl Channel for Exec {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> &'static str {
        KIND.name
    }

    fn send<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<Receipt, SendError>> {
        Box::pin(async move {
            let lines = lines(message)?;
            let mut running = self.start(message)?;
            let limit = Duration::from_secs(self.settings.timeout_s);
            match tokio::time::timeout(limit, running.end(lines.as_bytes())).await {
                Ok(ended) => verdict(self.program(), ended?),
                Err(_) => Err(SendError::retryable(format!("the program `{}` did not end within {} s", self.program(), limit.as_secs()))),
            }
        })
    }
}

impl Exec {
    fn program(&self) -> &str {
        self.settings.command.first().map(String::as_str).unwrap_or_default()
    }

    fn start(&self, message: &Message) -> Result<Running, SendError> {
        let mut command = Command::new(self.program());
        command.args(self.settings.command.get(1..).unwrap_or_default()).env_clear().envs(variables(message, &self.env));
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        #[cfg(unix)]
        command.process_group(0);
        let started = command.spawn();
        let unready =
            |e| SendError::Unready { setting: "command", detail: format!("the program `{}` cannot be started: {e}", self.program()) };
        started.map(Running).map_err(unready)
    }
}

fn lines(message: &Message) -> Result<String, SendError> {
    let lines: Result<String, _> = message.notices.iter().map(|n| render::json_line(n, &n.key).map(|line| line + "\n")).collect();
    lines.map_err(|e| SendError::Permanent { detail: format!("a notice has no JSON form: {e}") })
}

/// What a program is told besides its input.
fn variables(message: &Message, env: &Env) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = KEPT.iter().filter_map(|name| Some((name.to_string(), env.get(name)?))).collect();
    let Some(first) = message.first().map(Card::of) else { return all };
    let count = message.notices.len() + message.omitted;
    let own = [
        ("KEY", safe(&message.key)),
        ("KIND", first.kind.into()),
        ("SEVERITY", message.severity().as_str().into()),
        ("RESOLVED", message.is_resolved().to_string()),
        ("DRILL", first.drill.to_string()),
        ("COUNT", count.to_string()),
        ("CHANNEL", first.channel),
        ("TARGET", first.target),
        ("RULE", first.rule),
        ("SUBJECT", first.subject),
        ("EPISODE", first.episode),
        ("SUMMARY", first.summary),
    ];
    all.extend(own.map(|(name, value)| (format!("PGSTEWARD_{name}"), render::cut(&value, VARIABLE).into_owned())));
    all
}

/// A program at work. When it is dropped, it and all that it started are ended.
struct Running(Child);

struct Ended {
    status: ExitStatus,
    last_words: String,
}

impl Running {
    /// Hands the input over and waits for the end. A program need not read its input, nor close its output.
    async fn end(&mut self, input: &[u8]) -> Result<Ended, SendError> {
        let (stdin, stderr) = (self.0.stdin.take(), self.0.stderr.take());
        let write = async move {
            if let Some(mut stdin) = stdin {
                // It may have read enough; its exit code says what came of it.
                stdin.write_all(input).await.unwrap_or_default();
            }
        };
        let mut last_words = Vec::new();
        let status = {
            let listen = async {
                if let Some(stderr) = stderr {
                    keep_last(stderr, &mut last_words).await;
                }
            };
            match select(pin!(self.0.wait()), pin!(join(write, listen))).await {
                Either::Left((status, talk)) => {
                    tokio::time::timeout(GRACE, talk).await.map(drop).unwrap_or_default();
                    status
                }
                Either::Right((_, wait)) => wait.await,
            }
        };
        let status = status.map_err(|e| SendError::retryable(format!("the program cannot be waited for: {e}")))?;
        Ok(Ended { status, last_words: last_line(&last_words) })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Only while it has not been waited for: later its number may be somebody else's.
        #[cfg(unix)]
        if let Some(group) = self.0.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw) {
            rustix::process::kill_process_group(group, rustix::process::Signal::KILL).unwrap_or_default();
        }
    }
}

async fn keep_last(mut from: impl AsyncRead + Unpin, kept: &mut Vec<u8>) {
    let mut chunk = [0; 4_096];
    while let Ok(read @ 1..) = from.read(&mut chunk).await {
        kept.extend_from_slice(chunk.get(..read).unwrap_or_default());
        kept.drain(..kept.len().saturating_sub(LAST_WORDS));
    }
}

fn last_line(words: &[u8]) -> String {
    let text = String::from_utf8_lossy(words);
    let line = text.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    safe(&render::cut(line, 300))
}

fn verdict(program: &str, ended: Ended) -> Result<Receipt, SendError> {
    let because = if ended.last_words.is_empty() { String::new() } else { format!(": {}", ended.last_words) };
    match ended.status.code() {
        Some(0) => Ok(Receipt::new("exit code 0")),
        Some(TRY_AGAIN) => Err(SendError::retryable(format!("the program `{program}` asks to try again{because}"))),
        Some(NOT_ALLOWED) => Err(SendError::Auth { detail: format!("the program `{program}` is not allowed to tell it{because}") }),
        Some(code) => Err(SendError::Permanent { detail: format!("the program `{program}` ended with exit code {code}{because}") }),
        None => Err(SendError::retryable(format!("the program `{program}` was ended by a signal{because}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{at, group, hostile_notice, notice};
    use super::*;

    fn exec(script: &str, timeout_s: u64) -> Exec {
        let command = ["sh", "-c", script].map(String::from).to_vec();
        let env = Env::of([("PATH", "/usr/bin:/bin"), ("PGPASSWORD", "hunter2")]);
        Exec { name: "a channel".into(), settings: ExecSettings { command, timeout_s }, env }
    }

    async fn said(script: &str, message: &Message) -> String {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("said");
        exec(&format!("{script} > {}", file.display()), 20).send(message).await.unwrap();
        std::fs::read_to_string(file).unwrap()
    }

    #[tokio::test]
    async fn a_program_reads_one_line_of_json_for_each_notice() {
        let said = said("cat", &group(3)).await;
        let keys: Vec<String> =
            said.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["key"].as_str().unwrap().into()).collect();
        assert_eq!(keys, ["7f3a.0.firing", "7f3a.1.firing", "7f3a.2.firing"]);
    }

    #[tokio::test]
    async fn its_environment_is_short_and_holds_no_secret_of_ours() {
        let mut notice = hostile_notice("k1");
        notice.at = at(600);
        let said = said("env | grep -v -e ^PWD= -e ^SHLVL= -e ^_= | sort", &Message::of(notice)).await;
        insta::assert_snapshot!(said);
    }

    #[tokio::test]
    async fn the_exit_code_is_the_verdict_and_the_last_line_of_errors_the_reason() {
        let message = Message::of(notice("k"));
        let verdict = async |script: &str| exec(script, 20).send(&message).await;
        assert_eq!(verdict("cat >/dev/null").await, Ok(Receipt::new("exit code 0")));
        assert_eq!(verdict("exit 0").await, Ok(Receipt::new("exit code 0")), "it need not read its input");
        let script = "echo first >&2; printf 'no \\033[2J room\\n\\n' >&2; exit ";
        let refused = async |code: i32| verdict(&format!("{script}{code}")).await.unwrap_err();
        assert_eq!(refused(75).await, SendError::retryable("the program `sh` asks to try again: no \\u{1b}[2J room"));
        assert_eq!(refused(77).await, SendError::Auth { detail: "the program `sh` is not allowed to tell it: no \\u{1b}[2J room".into() });
        assert_eq!(refused(1).await, SendError::Permanent { detail: "the program `sh` ended with exit code 1: no \\u{1b}[2J room".into() });
        assert_eq!(verdict("kill -9 $$").await, Err(SendError::retryable("the program `sh` was ended by a signal")));
    }

    #[tokio::test]
    async fn what_it_says_is_drained_and_only_the_end_is_kept() {
        let message = Message::of(notice("k"));
        let script =
            "i=0; while [ $i -lt 3000 ]; do echo 'a line of some length to fill the pipe' >&2; i=$((i+1)); done; echo end >&2; exit 1";
        let error = exec(script, 20).send(&message).await.unwrap_err();
        assert_eq!(error.to_string(), "the program `sh` ended with exit code 1: end");
    }

    #[tokio::test]
    async fn one_that_takes_too_long_is_ended_with_its_children() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("alive");
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        // The child of the child holds the pipe open for as long as it lives.
        let script = format!("sleep 600 > {} & wait", fifo.display());
        let watch = tokio::task::spawn_blocking(move || std::fs::read_to_string(fifo));
        let error = exec(&script, 1).send(&Message::of(notice("k"))).await.unwrap_err();
        assert_eq!(error, SendError::retryable("the program `sh` did not end within 1 s"));
        assert_eq!(watch.await.unwrap().unwrap(), "", "it reads the end only when nobody is left to write");
    }

    #[test]
    fn settings_are_checked_and_show_no_argument() {
        let checked = |yaml: &str| {
            let root = crate::yaml::parse("c", yaml).unwrap();
            let mut fields = Fields::open("c", &root, "a channel").unwrap();
            let settings = settings("c", &mut fields).map(|s| serde_json::json!(s)["command"].to_string());
            (settings, fields.finish().iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        let (settings, problems) = checked("command: [/bin/tell, --token, hunter2]");
        assert_eq!(problems, Vec::<String>::new());
        assert_eq!(settings.unwrap(), "\"/bin/tell and 2 arguments\"");
        assert_eq!(
            checked("command: []\ntimeout: 60s").1,
            ["c:1:10: error: `command` must be a list: program and arguments", "c:2:10: error: `timeout` must be from 1s to 25s",]
        );
        assert_eq!(checked("command: /bin/tell").1, Vec::<String>::new());
        for line in ["/bin/tell --urgent", "cat>/tmp/x", "tell|tee"] {
            assert_eq!(
                checked(&format!("command: {line}")).1,
                [
                    "c:1:10: error: `command` is one text with more than a program in it, and no shell reads it; make it a list: [/usr/local/bin/tell, --urgent]; for a shell: [sh, -c, \"...\"]"
                ]
            );
        }
    }

    #[test]
    fn a_program_that_is_not_there_or_none_is_doubted() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tell");
        std::fs::write(&file, "#!/bin/sh\n").unwrap();
        let env = Env::of([("PATH", folder.path().to_str().unwrap())]);
        let doubts = |program: &str| -> Vec<String> {
            let settings = ExecSettings { command: vec![program.into()], timeout_s: 1 };
            settings.doubts(&env).into_iter().map(|doubt| format!("{}: {}; {}", doubt.key, doubt.message, doubt.hint)).collect()
        };
        assert_eq!(doubts("no-such"), ["command: there is no program `no-such` here; install it, or write its whole path"]);
        assert_eq!(doubts("/no/such"), ["command: there is no program `/no/such` here; install it, or write its whole path"]);
        assert_eq!(doubts("tell"), ["command: the file `tell` is no program; chmod +x tell"]);
        std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        assert_eq!([doubts("tell"), doubts(file.to_str().unwrap())].concat(), Vec::<String>::new());
    }
}
