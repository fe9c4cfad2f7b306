//! `discord`: to a channel of Discord, through a webhook. The webhook's address is its password.
//!
//! A webhook cannot reply, but it can change what it has posted: the first message of an episode always shows how it
//! stands, and what is new is posted besides, since a change wakes nobody. A message is changed before the next is posted,
//! since changing it twice does no harm.

mod embed;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use reqwest::Url;
use serde::Serialize;
use serde_json::{Value, json};

use super::{ChannelKind, ChannelSettings, Means, Rate, Settings, Traits};
use crate::deliver::escape::Escape;
use crate::deliver::hook::Hook;
use crate::deliver::http::{Answer, Http};
use crate::deliver::story::Story;
use crate::deliver::{Channel, Message, Receipt, SendError};
use crate::model::{NoticeKind, Reach};
use crate::yaml::Fields;

pub(super) const KIND: ChannelKind = ChannelKind {
    name: "discord",
    doc: "posts to a channel of Discord through a webhook, and changes the first message of an episode in place",
    example: "kind: discord\nurl: {env: DISCORD_WEBHOOK}   # its address is a password\n",
    traits: Traits { stateful: false, reach: Reach::Tell, most: 20, digest: true, rate: Some(Rate { count: 25, per_s: 60 }), draws: false },
    refused: "make a new webhook in Discord and put its address into `url`",
    settings,
};

/// Discord's own numbers for: no such webhook, not this token, no such message.
const UNKNOWN_WEBHOOK: u64 = 10_015;
const WRONG_TOKEN: u64 = 50_027;
const UNKNOWN_MESSAGE: u64 = 10_008;

#[derive(Debug, Clone, Serialize)]
struct DiscordSettings(Hook);

fn settings(_: &str, fields: &mut Fields<'_>) -> Option<ChannelSettings> {
    Hook::take(fields, Escape::Markdown).map(|hook| ChannelSettings(Arc::new(DiscordSettings(hook))))
}

impl Settings for DiscordSettings {
    fn kind(&self) -> &'static str {
        KIND.name
    }

    fn json(&self) -> Value {
        json!(self)
    }

    fn build(&self, name: &str, means: &Means) -> Box<dyn Channel> {
        Box::new(Discord { name: name.into(), http: Http::new(&self.0.http, &means.env), hook: self.0.clone() })
    }
}

struct Discord {
    name: String,
    hook: Hook,
    http: Http,
}

impl Channel for Discord {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> &'static str {
        KIND.name
    }

    fn send<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<Receipt, SendError>> {
        Box::pin(async move {
            let story = Story::of(message, &self.hook.templates);
            let body =
                embed::message(&story).ok_or_else(|| SendError::Permanent { detail: "it does not fit into Discord's limits".into() })?;
            let body = body.to_string().into_bytes();
            let webhook = self.http.url("url", &self.hook.url).await?;
            let first = match first(message) {
                Some(first) if self.change(&webhook, &first, body.clone()).await? => Some(first),
                _ => None,
            };
            self.post(webhook, body, first.or_else(|| First::unknown(message))).await
        })
    }
}

const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

impl Discord {
    /// Changes the first message; whether it is still there.
    async fn change(&self, webhook: &Url, first: &First, body: Vec<u8>) -> Result<bool, SendError> {
        let mut url = webhook.clone();
        url.path_segments_mut().map_err(|()| no_address())?.pop_if_empty().extend(["messages", &first.id]);
        let answer = self.http.patch(&url, &JSON, body).await?;
        if answer.status == 404 && code(&answer) == Some(UNKNOWN_MESSAGE) {
            return Ok(false);
        }
        self.taken(&answer).map(|_| true)
    }

    async fn post(&self, mut url: Url, body: Vec<u8>, first: Option<First>) -> Result<Receipt, SendError> {
        // Only then does Discord say which message it was, and whether it was posted at all.
        url.query_pairs_mut().append_pair("wait", "true");
        let answer = self.http.post(&url, &JSON, body).await?;
        let id = self.taken(&answer)?;
        let first = first.map(|first| if first.id.is_empty() { First { id: id.clone(), ..first } } else { first });
        Ok(Receipt { text: format!("{}, message {id}", answer.status), handle: first.and_then(|first| first.handle()) })
    }

    /// The id of the message that Discord made of it.
    fn taken(&self, answer: &Answer) -> Result<String, SendError> {
        match self.http.judge(answer) {
            Ok(()) => {
                let id = serde_json::from_slice::<Value>(&answer.body).ok().and_then(|body| Some(body.get("id")?.as_str()?.to_string()));
                let nothing =
                    || SendError::retryable(format!("the receiver `{}` answers {} without a message", answer.host, answer.status));
                id.filter(|id| is_id(id)).ok_or_else(nothing)
            }
            Err(SendError::Retryable { detail, after_s }) => {
                Err(SendError::Retryable { detail, after_s: after_s.or_else(|| wait_s(answer)) })
            }
            Err(error) if matches!(code(answer), Some(UNKNOWN_WEBHOOK | WRONG_TOKEN)) => {
                Err(SendError::Auth { detail: format!("{error}; the webhook is gone: make a new one and put it into `url`") })
            }
            Err(error) => Err(error),
        }
    }
}

fn no_address() -> SendError {
    SendError::Auth { detail: "the setting `url` is no address to send to".into() }
}

fn code(answer: &Answer) -> Option<u64> {
    serde_json::from_slice::<Value>(&answer.body).ok()?.get("code")?.as_u64()
}

/// Seconds that the body of a 429 asks to wait, with their fraction, rounded up.
fn wait_s(answer: &Answer) -> Option<u64> {
    let asked = serde_json::from_slice::<Value>(&answer.body).ok()?.get("retry_after")?.as_f64()?;
    (0.0..1e9).contains(&asked).then(|| asked.ceil() as u64)
}

/// The first message of an episode.
#[derive(Debug, Clone, PartialEq, Eq)]
struct First {
    id: String,
    episode: String,
}

/// The first message of the episode that this one is about, where it is to be changed.
fn first(message: &Message) -> Option<First> {
    let only = only(message).filter(|(_, kind)| !matches!(kind, NoticeKind::Firing | NoticeKind::Repeat));
    message.previous.as_deref().and_then(First::parse).filter(|first| only.is_some_and(|(episode, _)| episode == first.episode))
}

/// Episode and kind of a message that is about one notice only.
fn only(message: &Message) -> Option<(&str, NoticeKind)> {
    match message.notices.as_slice() {
        [only] if message.omitted == 0 => Some((&only.episode, only.kind)),
        _ => None,
    }
}

impl First {
    /// The one that is kept for next time: an earlier first, else the message that is about to be posted.
    fn unknown(message: &Message) -> Option<Self> {
        let (episode, kind) = only(message)?;
        let earlier =
            message.previous.as_deref().and_then(Self::parse).filter(|first| first.episode == episode && kind == NoticeKind::Repeat);
        Some(earlier.unwrap_or_else(|| Self { id: String::new(), episode: episode.into() }))
    }

    /// `1200000000000000000 7f3a-0`.
    fn handle(&self) -> Option<String> {
        is_id(&self.id).then(|| format!("{} {}", self.id, self.episode))
    }

    fn parse(handle: &str) -> Option<Self> {
        let (id, episode) = handle.split_once(' ')?;
        is_id(id).then(|| Self { id: id.into(), episode: episode.into() })
    }
}

/// It becomes part of an address.
fn is_id(text: &str) -> bool {
    (1..30).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
}
