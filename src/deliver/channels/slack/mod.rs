//! `slack`: to a channel of Slack, through an incoming webhook or as an app with a token.
//!
//! Only an app can reply and change: the first message of an episode always shows how it stands, and its thread tells how
//! it came to be so. A message is changed before the thread is told, since changing it twice does no harm. A message that
//! tells of something new begins a thread of its own.

mod answer;
mod blocks;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use reqwest::Url;
use serde::Serialize;
use serde_json::{Value, json};

use self::answer::Refusal;
use super::{ChannelKind, ChannelSettings, Means, Rate, Settings, Traits};
use crate::deliver::escape::Escape;
use crate::deliver::http::{Address, Http, HttpSettings};
use crate::deliver::story::Story;
use crate::deliver::template::Templates;
use crate::deliver::{Channel, Message, Receipt, SendError};
use crate::model::{NoticeKind, Reach};
use crate::secret::Secret;
use crate::text::safe;
use crate::yaml::Fields;

pub(super) const KIND: ChannelKind = ChannelKind {
    name: "slack",
    doc: "tells a channel of Slack: as an app (`token` and `channel`; needs the scope `chat:write`), which replies in threads and changes the first message in place, or through an incoming webhook (`url`), which can do neither",
    example: "kind: slack\ntoken: {env: SLACK_TOKEN}     # or url: {env: SLACK_WEBHOOK}, and no channel\nchannel: \"#shop-db\"\ntemplates: {title: \"[shop] {{ heading }}\"}   # and body, in mrkdwn; or {file: body.txt}\n",
    // The 15 keep a list within 50 blocks.
    traits: Traits { stateful: false, reach: Reach::Tell, most: 15, digest: true, rate: Some(Rate { count: 1, per_s: 1 }), draws: false },
    refused: "put a token with the scope `chat:write` into `token`, or the address of a live webhook into `url`",
    settings,
};

/// Where Slack's API is.
const API: &str = "https://slack.com/api/";

#[derive(Debug, Clone, Serialize)]
struct SlackSettings {
    #[serde(flatten)]
    way: Way,
    #[serde(flatten)]
    http: HttpSettings,
    templates: Templates,
}

/// How Slack is reached.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
enum Way {
    Webhook {
        url: Address,
    },
    App {
        token: Secret,
        channel: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        api: Option<Address>,
    },
}

fn settings(file: &str, fields: &mut Fields<'_>) -> Option<ChannelSettings> {
    let way = way(file, fields);
    let http = HttpSettings::read(fields);
    let templates = Templates::take(fields, Escape::Slack);
    Some(ChannelSettings(Arc::new(SlackSettings { way: way?, http, templates })))
}

fn way(file: &str, fields: &mut Fields<'_>) -> Option<Way> {
    let (has_url, has_token) = (fields.node("url").is_some(), fields.node("token").is_some());
    if has_url && !has_token {
        fields.refuse("channel", "is fixed by the webhook; leave it out, or use `token`");
        return Address::secret(fields, "url").map(|url| Way::Webhook { url });
    }
    if has_url || !has_token {
        let say = "a slack channel needs either `token` and `channel`, or `url`";
        fields.problems.push(crate::problem::Problem::error(file, fields.at(), say));
    }
    let token = Secret::take(fields, "token");
    let channel = if has_token { fields.required("channel") } else { fields.node("channel") }.and_then(|_| fields.text("channel"));
    let api = Address::take(fields, "api");
    Some(Way::App { token: token?, channel: channel?, api })
}

impl Settings for SlackSettings {
    fn kind(&self) -> &'static str {
        KIND.name
    }

    fn json(&self) -> Value {
        json!(self)
    }

    fn build(&self, name: &str, means: &Means) -> Box<dyn Channel> {
        Box::new(Slack { name: name.into(), http: Http::new(&self.http, &means.env), settings: self.clone() })
    }
}

struct Slack {
    name: String,
    settings: SlackSettings,
    http: Http,
}

/// A message of ours that can be replied to, and the episode that it alone is about.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Thread {
    channel: String,
    ts: String,
    episode: String,
}

impl Channel for Slack {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> &'static str {
        KIND.name
    }

    fn send<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<Receipt, SendError>> {
        Box::pin(async move {
            let story = Story::of(message, &self.settings.templates);
            let body =
                blocks::message(&story).ok_or_else(|| SendError::Permanent { detail: "it does not fit into Slack's limits".into() })?;
            match &self.settings.way {
                Way::Webhook { url } => self.through_webhook(url, &body).await,
                Way::App { token, channel, api } => {
                    App { slack: self, token, api: api.as_ref() }.tell(channel, message, body).await.map_err(|no| no.error)
                }
            }
        })
    }
}

impl Slack {
    async fn through_webhook(&self, url: &Address, body: &Value) -> Result<Receipt, SendError> {
        let url = self.http.url("url", url).await?;
        let answer = self.http.post(&url, &[("content-type", "application/json")], body.to_string().into_bytes()).await?;
        answer::of_webhook(&self.http, &answer).map(|()| Receipt::new("ok"))
    }
}

/// Slack by its API.
struct App<'a> {
    slack: &'a Slack,
    token: &'a Secret,
    api: Option<&'a Address>,
}

impl App<'_> {
    async fn tell(&self, channel: &str, message: &Message, body: Value) -> Result<Receipt, Refusal> {
        if let Some(thread) = thread(message) {
            match self.go_on(&thread, message, &body).await {
                Err(Refusal { gone: true, .. }) => {}
                other => return other,
            }
        }
        let posted = self.post(channel, &body, json!({})).await?;
        let episode = only_episode(message).unwrap_or_default();
        let thread = Thread { channel: text(&posted, "channel"), ts: text(&posted, "ts"), episode: episode.into() };
        Ok(Receipt { text: format!("ok, message {} in {}", safe(&thread.ts), safe(&thread.channel)), handle: thread.handle() })
    }

    /// Changes the first message, where it is about the same, and tells its thread.
    async fn go_on(&self, thread: &Thread, message: &Message, body: &Value) -> Result<Receipt, Refusal> {
        let kinds: Vec<NoticeKind> = message.notices.iter().map(|notice| notice.kind).collect();
        let changes = only_episode(message) == Some(thread.episode.as_str()) && kinds != [NoticeKind::Repeat];
        if changes {
            self.call("chat.update", body, json!({"channel": thread.channel, "ts": thread.ts})).await?;
        }
        let loud = kinds.iter().any(|kind| matches!(kind, NoticeKind::Raised | NoticeKind::Escalated));
        let reply = json!({"thread_ts": thread.ts, "reply_broadcast": loud});
        let posted = self.post(&thread.channel, body, reply).await?;
        let changed = if changes { ", and the first changed" } else { "" };
        Ok(Receipt { text: format!("ok, reply {} to {}{changed}", safe(&text(&posted, "ts")), safe(&thread.ts)), handle: thread.handle() })
    }

    async fn post(&self, channel: &str, body: &Value, place: Value) -> Result<Value, Refusal> {
        let mut place = place;
        place["channel"] = channel.into();
        self.call("chat.postMessage", body, place).await
    }

    async fn url(&self, method: &str) -> Result<Url, SendError> {
        let joined = match self.api {
            Some(api) => self.slack.http.url("api", api).await?.join(method),
            None => Url::parse(API).and_then(|api| api.join(method)),
        };
        joined.map_err(|why| SendError::Auth { detail: format!("the setting `api` is no address to send to: {why}") })
    }

    async fn call(&self, method: &str, body: &Value, place: Value) -> Result<Value, Refusal> {
        let http = &self.slack.http;
        let url = self.url(method).await?;
        let token = http.reveal("token", self.token).await?;
        let body = merged(body.clone(), place).to_string();
        let login = format!("Bearer {}", token.expose());
        let headers = [("content-type", "application/json; charset=utf-8"), ("authorization", login.as_str())];
        let answer = http.post(&url, &headers, body.into_bytes()).await?;
        answer::of_api(http, &answer)
    }
}

fn merged(mut body: Value, place: Value) -> Value {
    if let (Some(body), Value::Object(place)) = (body.as_object_mut(), place) {
        body.extend(place);
    }
    body
}

fn text(answer: &Value, key: &str) -> String {
    answer.get(key).and_then(Value::as_str).unwrap_or_default().into()
}

/// The episode of a message that is about one notice only.
fn only_episode(message: &Message) -> Option<&str> {
    match message.notices.as_slice() {
        [only] if message.omitted == 0 => Some(&only.episode),
        _ => None,
    }
}

/// What a message goes on with: the last one about the same, unless it tells of something new.
fn thread(message: &Message) -> Option<Thread> {
    let new = message.notices.iter().any(|notice| notice.kind == NoticeKind::Firing);
    message.previous.as_deref().filter(|_| !new).and_then(Thread::parse)
}

impl Thread {
    /// `C024BE91L 1401383885.000061 7f3a-0`; `None` where the answer named no message.
    fn handle(&self) -> Option<String> {
        let handle = format!("{} {} {}", self.channel, self.ts, self.episode);
        (Self::parse(&handle).as_ref() == Some(self)).then_some(handle)
    }

    fn parse(handle: &str) -> Option<Self> {
        let mut words = handle.splitn(3, ' ');
        let thread = Self { channel: words.next()?.into(), ts: words.next()?.into(), episode: words.next()?.into() };
        let is_id = |text: &str| (1..64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.');
        (is_id(&thread.channel) && is_id(&thread.ts)).then_some(thread)
    }
}
