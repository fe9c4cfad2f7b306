//! Runs another program to its end, within a time, and keeps the end of what it said.
//!
//! Output goes to a nameless file and not through a pipe: a server that `pg_ctl` starts inherits it and would hold a pipe
//! open for ever.

use std::ffi::OsStr;
use std::io::{self, Read, Seek, SeekFrom};
use std::process::{Command, Stdio};
use std::time::Duration;

/// How often a running program is looked at.
const POLL: Duration = Duration::from_millis(5);
/// How much of its output is kept, in bytes: the end, where the reason stands.
const KEEP: u64 = 16 * 1024;

/// A program that has ended.
#[derive(Debug)]
pub(super) struct Ran {
    /// Whether it ended with 0 and in time.
    pub(super) ok: bool,
    /// The end of its output and error output.
    pub(super) said: String,
}

impl Ran {
    /// The last lines of what it said, on one line and without control characters: fit for a message.
    pub(super) fn reason(&self) -> String {
        let lines: Vec<&str> = self.said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let tail = lines.iter().skip(lines.len().saturating_sub(4)).copied().collect::<Vec<_>>().join(" | ");
        tail.chars().filter(|c| !c.is_control()).take(600).collect()
    }
}

/// Runs it; past `limit` it is killed.
///
/// # Errors
/// When it cannot be started, mostly because there is no such program.
pub(super) fn run(command: &mut Command, limit: Duration) -> io::Result<Ran> {
    let mut output = tempfile::tempfile()?;
    let mut child = command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output.try_clone()?).spawn()?;
    let polls = limit.as_millis() / POLL.as_millis();
    let mut status = None;
    for _ in 0..polls {
        status = child.try_wait()?;
        if status.is_some() {
            break;
        }
        std::thread::sleep(POLL);
    }
    let late = status.is_none();
    if late {
        child.kill()?;
        status = Some(child.wait()?);
    }
    let mut said = tail(&mut output)?;
    if late {
        said.push_str(&format!("\nstopped: it took longer than {} s", limit.as_secs()));
    }
    Ok(Ran { ok: !late && status.is_some_and(|status| status.success()), said })
}

/// A command with an environment of its own: `PGDATA`, `PGPORT` and the like of the caller must not steer a throw-away server.
pub(super) fn clean(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("LC_ALL", "C");
    command
}

fn tail(file: &mut std::fs::File) -> io::Result<String> {
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(KEEP)))?;
    let mut bytes = Vec::new();
    file.take(KEEP).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_both_outputs_and_the_verdict() {
        let ran = run(Command::new("sh").args(["-c", "echo one; echo two >&2; exit 3"]), Duration::from_secs(10)).unwrap();
        assert!(!ran.ok);
        assert_eq!(ran.said, "one\ntwo\n");
        assert_eq!(ran.reason(), "one | two");
    }

    #[test]
    fn stops_a_program_that_hangs_and_says_so() {
        let ran = run(Command::new("sleep").arg("60"), Duration::from_millis(50)).unwrap();
        assert!(!ran.ok);
        assert_eq!(ran.reason(), "stopped: it took longer than 0 s");
    }

    #[test]
    fn a_reason_is_one_line_without_escape_codes() {
        let ran = Ran { ok: false, said: "a\nb\nc\n\n\x1b[31md\ne\n".into() };
        assert_eq!(ran.reason(), "b | c | [31md | e");
    }

    #[test]
    fn a_program_that_is_not_there_is_an_error() {
        assert_eq!(run(&mut Command::new("no-such-program-here"), POLL).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
