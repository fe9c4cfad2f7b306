//! `notify catch`: stands in for a mail relay and for chat and paging services on this machine, and shows what came.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Context;

use crate::cli::shared::block_on;
use crate::cli::term::{self, BOLD, styled};
use crate::demo::catch::{Catcher, Caught};
use crate::text::safe;

/// Stand in for a mail relay and for chat and paging services, and show what comes
///
/// Takes mail without login or TLS, and any HTTP request, on loopback only; nothing is passed on. Ends with Ctrl-C.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Port for mail
    #[arg(long, value_name = "PORT", default_value_t = 2525)]
    smtp: u16,
    /// Port for Slack, PagerDuty, webhooks and the like
    #[arg(long, value_name = "PORT", default_value_t = 8025)]
    http: u16,
    /// Folder in which each message is kept whole: 1.eml, 2.json, ...
    #[arg(long, value_name = "DIR")]
    into: Option<PathBuf>,
    /// End after so many messages
    #[arg(long, value_name = "N")]
    count: Option<usize>,
}

/// Characters of a body that are shown.
const SHOWN: usize = 2_000;

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    block_on(async {
        let catcher = Catcher::bind(args.smtp, args.http).await.context("a port cannot be opened; choose others")?;
        let (smtp, http) = catcher.addresses()?;
        term::out(&format!("mail goes to {smtp}, requests to http://{http}; Ctrl-C ends\n"));
        let caught = Arc::new(AtomicUsize::new(0));
        let (done, into, most) = (Arc::new(tokio::sync::Notify::new()), args.into.clone(), args.count);
        let (told, ended) = (caught.clone(), done.clone());
        let tell = move |one: Caught| {
            let number = told.fetch_add(1, Ordering::Relaxed) + 1;
            term::out(&show(&one));
            if let Some(dir) = &into
                && let Err(error) = keep(dir, number, &one)
            {
                term::err(&format!("`{}` cannot be written: {error}\n", dir.display()));
            }
            if most.is_some_and(|most| number >= most) {
                ended.notify_one();
            }
        };
        tokio::select! {
            () = catcher.run(Arc::new(tell)) => {}
            () = done.notified() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        Ok(ExitCode::SUCCESS)
    })?
}

fn keep(dir: &std::path::Path, number: usize, caught: &Caught) -> std::io::Result<()> {
    std::fs::create_dir_all(dir)?;
    match caught {
        Caught::Mail { text, .. } => std::fs::write(dir.join(format!("{number}.eml")), text),
        Caught::Request { body, .. } => std::fs::write(dir.join(format!("{number}.json")), body),
    }
}

fn show(caught: &Caught) -> String {
    let (head, body) = parts(caught);
    format!("\n{}\n{}\n", styled(BOLD, &safe(&head)), body)
}

/// Who it went to, and its lines.
fn parts(caught: &Caught) -> (String, String) {
    let (head, body) = match caught {
        Caught::Mail { to, text } => {
            let (headers, body) = text.split_once("\n\n").unwrap_or((text, ""));
            let shown = headers.lines().filter(|line| ["From:", "Subject:"].iter().any(|name| line.starts_with(name)));
            (format!("mail to {}", to.join(", ")), format!("{}\n{}", shown.collect::<Vec<_>>().join("\n"), plain(body)))
        }
        Caught::Request { path, body } => (format!("request to {path}"), body.clone()),
    };
    let lines: Vec<String> = body.chars().take(SHOWN).collect::<String>().lines().map(|line| format!("  {}", safe(line))).collect();
    (head, lines.join("\n"))
}

/// The text part as it came: what follows its own headers, up to the next part.
fn plain(body: &str) -> String {
    let Some((_, part)) = body.split_once("Content-Type: text/plain") else { return body.into() };
    let text = part.split_once("\n\n").map_or(part, |(_, text)| text);
    text.split("\n--").next().unwrap_or_default().replace("=\n", "").trim().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_is_shown_by_its_subject_and_its_text() {
        let text = "From: pg@corp\nSubject: DRILL\nX: y\n\n--b\nContent-Type: text/plain; charset=utf-8\n\nDRILL of =\none line\n\n--b\nContent-Type: text/html\n\n<p>";
        let (head, body) = parts(&Caught::Mail { to: vec!["dba@corp".into()], text: text.into() });
        assert_eq!((head.as_str(), body.as_str()), ("mail to dba@corp", "  From: pg@corp\n  Subject: DRILL\n  DRILL of one line"));
    }

    #[test]
    fn what_came_gives_no_orders_to_the_terminal() {
        let shown = show(&Caught::Request { path: "/x\u{1b}[2J".into(), body: "\u{1b}]0;x\u{7}".into() });
        assert!(!shown.contains("\u{1b}[2J") && !shown.contains("\u{1b}]") && !shown.contains('\u{7}'), "{shown:?}");
    }
}
