//! One mail through a local program: its arguments, `-f` with the sender, and the recipients behind `--`. No shell. Its exit
//! code says what became of the mail, by the codes of `sysexits.h`.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

use super::Ready;
use crate::deliver::{Receipt, SendError, render::cut};
use crate::text::safe;

/// Bytes of its error output that are read.
const MAX_ERROR_BYTES: u64 = 16 * 1024;

pub(super) async fn send(command: &[String], limit: Duration, mail: &Ready) -> Result<Receipt, SendError> {
    let (program, arguments) = command.split_first().ok_or_else(|| SendError::retryable("the program `sendmail` is not named"))?;
    let mut command = Command::new(program);
    command.args(arguments);
    if let Some(from) = mail.envelope.from() {
        command.arg("-f").arg(from);
    }
    command.arg("--").args(mail.envelope.to());
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    let started = command.spawn();
    let unready = |e| SendError::Unready { setting: "sendmail", detail: format!("the program `{program}` cannot be started: {e}") };
    let child = started.map_err(unready)?;
    let late = |_| SendError::retryable(format!("the program `{program}` did not end within {} s", limit.as_secs()));
    let (status, said) = tokio::time::timeout(limit, hand_over(child, &mail.bytes)).await.map_err(late)?;
    let status = status.map_err(|e| SendError::retryable(format!("the program `{program}` cannot be waited for: {e}")))?;
    class(program, status, &said)
}

/// Writes the mail and gathers what is said at the same time, so that neither waits for the other.
async fn hand_over(mut child: Child, mail: &[u8]) -> (std::io::Result<ExitStatus>, String) {
    let (stdin, stderr) = (child.stdin.take(), child.stderr.take());
    let write = async {
        if let Some(mut pipe) = stdin {
            // Who ends without reading to the end says why by its exit code.
            drop(pipe.write_all(mail).await);
            drop(pipe.shutdown().await);
        }
    };
    let read = async {
        let mut said = Vec::new();
        if let Some(pipe) = stderr {
            drop(pipe.take(MAX_ERROR_BYTES).read_to_end(&mut said).await);
        }
        String::from_utf8_lossy(&said).into_owned()
    };
    let ((), said) = futures_util::future::join(write, read).await;
    (child.wait().await, said)
}

fn class(program: &str, status: ExitStatus, said: &str) -> Result<Receipt, SendError> {
    if status.success() {
        return Ok(Receipt::new(format!("taken by {program}")));
    }
    let last = said.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("it says nothing more");
    let detail = format!("the program `{program}` failed ({status}): {}", safe(&cut(last, 300)));
    Err(match status.code() {
        // EX_DATAERR, EX_NOUSER, EX_NOHOST: about this mail.
        Some(65 | 67 | 68) => SendError::Permanent { detail },
        // EX_NOPERM: about us.
        Some(77) => SendError::Auth { detail },
        _ => SendError::retryable(detail),
    })
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use lettre::address::Envelope;

    use super::*;

    async fn with(script: &str, mail: &[u8]) -> Result<Receipt, SendError> {
        let command = ["/bin/sh", "-c", script].map(String::from).to_vec();
        let address = |text: &str| text.parse().unwrap();
        let envelope = Envelope::new(Some(address("me@x.org")), vec![address("a@x.org"), address("b@x.org")]).unwrap();
        send(&command, Duration::from_secs(5), &Ready { envelope, bytes: mail.to_vec() }).await
    }

    #[tokio::test]
    async fn the_program_gets_sender_recipients_and_the_whole_mail() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("mail");
        let mail = "a line\r\n".repeat(100_000);
        with(&format!("{{ echo $0 $*; cat; }} > {}", file.display()), mail.as_bytes()).await.unwrap();
        let got = std::fs::read_to_string(&file).unwrap();
        assert_eq!(got, format!("-f me@x.org -- a@x.org b@x.org\n{mail}"));
    }

    #[tokio::test]
    async fn its_exit_code_says_what_became_of_the_mail() {
        let failed = async |script: &str| with(script, b"m").await.unwrap_err();
        let detail = |code: u8| format!("the program `/bin/sh` failed (exit status: {code}): no");
        for code in [75, 1, 69] {
            assert_eq!(failed(&format!("echo no >&2; exit {code}")).await, SendError::retryable(detail(code)));
        }
        assert_eq!(failed("echo first >&2; echo no >&2; exit 67").await, SendError::Permanent { detail: detail(67) });
        assert_eq!(failed("echo no >&2; exit 77").await, SendError::Auth { detail: detail(77) });
    }

    #[tokio::test]
    async fn one_that_floods_or_never_reads_does_not_hang_us() {
        let mail = vec![b'x'; 1 << 20];
        let flood = with("yes abc >&2; exit 1", &mail).await.unwrap_err();
        assert!(flood.to_string().ends_with(": abc"), "{flood}");
        assert!(with("exit 0", &mail).await.is_ok());
    }
}
