//! One channel tried with a drill, and how that reads: what it answered, and what to mend.

use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use chrono::{DateTime, Utc};
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::app::drill::{self, Answer};
use crate::app::report::exit;
use crate::cli::place::{Place, unknown};
use crate::cli::shared::block_on;
use crate::cli::table;
use crate::cli::term;
use crate::config::Config;
use crate::deliver::channels::{KINDS, Means, Terminal};
use crate::deliver::render::Look;
use crate::deliver::{Channel, SendError};
use crate::model::Notice;
use crate::text::safe;

/// What came of it.
pub(super) struct Tried {
    channel: String,
    kind: String,
    answer: Answer,
    paused: Option<(DateTime<Utc>, String)>,
}

/// Sends each notice to its channel, all at the same time.
pub(super) fn all(notices: Vec<Notice>, place: &Place) -> anyhow::Result<Vec<Tried>> {
    let config = place.config()?;
    let channels =
        notices.into_iter().map(|notice| Ok((channel(&notice.channel, config, place)?, notice))).collect::<anyhow::Result<Vec<_>>>()?;
    // Where the store cannot be read a drill is still worth something.
    let states = place.existing_store().ok().flatten().and_then(|store| store.channel_states().ok()).unwrap_or_default();
    let sends = channels.iter().map(|(channel, notice)| drill::send(channel.as_ref(), notice.clone()));
    let answers = block_on(join_all(sends))?;
    let mut tried = Vec::with_capacity(answers.len());
    for ((channel, _), answer) in channels.iter().zip(answers) {
        let paused = states.get(channel.name()).and_then(|state| state.paused.clone());
        tried.push(Tried { channel: channel.name().into(), kind: channel.kind().into(), answer, paused });
    }
    Ok(tried)
}

fn channel(name: &str, config: &Config, place: &Place) -> anyhow::Result<Box<dyn Channel>> {
    let Some(found) = config.channels.get(name) else { return Err(unknown("channel", name, "the config", config.channels.keys())) };
    // What a channel writes to the terminal is no answer for a script.
    let look = Look { colour: term::colours(), width: term::width() };
    let terminal = Terminal { writer: Arc::new(Mutex::new(anstream::stderr())), look };
    Ok(found.settings.build(name, &Means { terminal, env: place.env.clone() }))
}

/// Shows the answers; 0 when every channel took its drill, else 1.
pub(super) fn show(tried: &[Tried], as_json: bool) -> anyhow::Result<ExitCode> {
    let text = if as_json {
        format!("{}\n", serde_json::to_string_pretty(&tried.iter().map(Tried::document).collect::<Vec<_>>())?)
    } else {
        page(tried)
    };
    term::out(&text);
    let failed = tried.iter().any(|one| one.answer.began.is_err() || one.is_open());
    Ok(ExitCode::from(if failed { exit::WARNING } else { exit::OK }))
}

/// A table, and below it what to do, so that it can be pasted.
fn page(tried: &[Tried]) -> String {
    let rows: Vec<Vec<String>> = tried.iter().map(Tried::row).collect();
    let mends: Vec<String> = tried.iter().filter_map(|one| Some(format!("{}: {}\n", safe(&one.channel), one.mend()?))).collect();
    let table = table::render(&["channel", "kind", "result", "detail"], &rows);
    if mends.is_empty() { table } else { format!("{table}\n{}", mends.concat()) }
}

impl Tried {
    fn result(&self) -> &'static str {
        match &self.answer.began {
            Ok(_) => "sent",
            Err(SendError::Retryable { .. } | SendError::Unready { .. }) => "not now",
            Err(SendError::Permanent { .. }) => "refused",
            Err(SendError::Auth { .. }) => "login refused",
        }
    }

    /// Whether the drill was taken and its end was not.
    fn is_open(&self) -> bool {
        matches!(self.answer.ended, Some(Err(_)))
    }

    /// What somebody can do about it.
    fn mend(&self) -> Option<String> {
        if self.is_open() {
            return Some("the drill may still be open there: close it by hand".into());
        }
        let resume = format!("pgsteward notify resume {}", self.channel);
        match (&self.answer.began, &self.paused) {
            (Ok(_), Some((at, _))) => Some(format!("it is paused since {}; it works again, so: {resume}", at.format("%F %TZ"))),
            (Ok(_), None) => None,
            (Err(SendError::Auth { .. }), _) => Some(format!("{}; then: {resume}", self.refused())),
            (Err(SendError::Unready { setting, .. }), _) => {
                let whose = "a service has an environment and rights of its own";
                Some(format!(
                    "mend its setting `{setting}`, or on this machine what that names ({whose}); notices wait and are tried again"
                ))
            }
            (Err(SendError::Permanent { .. }), _) => Some("it will never be taken like this: mend the channel's settings".into()),
            (Err(SendError::Retryable { .. }), _) => {
                Some("notices wait and are tried again; is the receiver up, and is it reached from here?".into())
            }
        }
    }

    fn refused(&self) -> &'static str {
        KINDS.iter().find(|kind| kind.name == self.kind).map(|kind| kind.refused).unwrap_or_default()
    }

    fn detail(&self) -> String {
        match (&self.answer.began, &self.answer.ended) {
            (Ok(receipt), None) => receipt.text.clone(),
            (Ok(receipt), Some(Ok(_))) => format!("{}; ended at once", receipt.text),
            (Ok(receipt), Some(Err(error))) => format!("{}; its end was not taken: {error}", receipt.text),
            (Err(error), _) => error.to_string(),
        }
    }

    fn row(&self) -> Vec<String> {
        vec![self.channel.clone(), self.kind.clone(), self.result().into(), self.detail()]
    }

    fn document(&self) -> Value {
        json!({
            "channel": self.channel,
            "kind": self.kind,
            "result": self.result().replace(' ', "_"),
            "detail": self.detail(),
            "ended": self.answer.ended.as_ref().map(Result::is_ok),
            "mend": self.mend(),
            "paused_since": self.paused.as_ref().map(|(at, _)| *at),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deliver::Receipt;

    #[test]
    fn each_answer_says_what_to_mend() {
        let at = DateTime::UNIX_EPOCH;
        let tried = |began, paused| Tried { channel: "chat".into(), kind: "slack".into(), answer: Answer { began, ended: None }, paused };
        let auth = || Err(SendError::Auth { detail: "401 invalid_auth".into() });
        let said = |one: Tried| page(&[one]).lines().skip(1).map(String::from).collect::<Vec<_>>();
        assert_eq!(said(tried(Ok(Receipt::new("250 accepted")), None)), ["chat     slack  sent    250 accepted"]);
        assert_eq!(
            said(tried(Ok(Receipt::new("ok")), Some((at, "401".into())))),
            [
                "chat     slack  sent    ok",
                "",
                "chat: it is paused since 1970-01-01 00:00:00Z; it works again, so: pgsteward notify resume chat"
            ]
        );
        assert_eq!(
            said(tried(auth(), None)),
            [
                "chat     slack  login refused  401 invalid_auth",
                "",
                "chat: put a token with the scope `chat:write` into `token`, or the address of a live webhook into `url`; then: pgsteward notify resume chat"
            ]
        );
        assert_eq!(tried(auth(), None).document()["result"], "login_refused");
        let unready = SendError::Unready { setting: "url", detail: "the setting `url` is not to be had".into() };
        assert!(said(tried(Err(unready), None))[2].starts_with("chat: mend its setting `url`, or on this machine what that names"));
        let of_kind = |kind: &str| Tried { kind: kind.into(), ..tried(auth(), None) }.mend().unwrap();
        assert!(of_kind("pagerduty").contains("into `routing_key`"), "{}", of_kind("pagerduty"));
        assert!(of_kind("exec").contains("exit code 77"), "{}", of_kind("exec"));
        assert_eq!(tried(auth(), None).document()["ended"], Value::Null);
        let ended = |ended| Tried {
            channel: "pager".into(),
            kind: "pagerduty".into(),
            answer: Answer { began: Ok(Receipt::new("202 accepted")), ended: Some(ended) },
            paused: None,
        };
        assert_eq!(said(ended(Ok(Receipt::new("202 accepted")))), ["pager    pagerduty  sent    202 accepted; ended at once"]);
        assert_eq!(ended(Ok(Receipt::new(""))).document()["ended"], true);
        let open = said(ended(Err(SendError::retryable("503"))));
        assert_eq!(open[0], "pager    pagerduty  sent    202 accepted; its end was not taken: 503");
        assert_eq!(open[2], "pager: the drill may still be open there: close it by hand");
        assert!(said(tried(Err(SendError::retryable("connection refused")), None))[2].starts_with("chat: notices wait"));
    }
}
